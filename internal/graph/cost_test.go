package graph

import "testing"

// The examples of protocol.md section 5.3.3, and calls that the table has in other words.
func TestUnits(t *testing.T) {
	for _, tt := range []struct {
		method, path, query string
		want                float64
	}{
		{"GET", "/users", "$select=id&$top=999", 1},
		{"GET", "/users", "$top=999", 2},
		{"GET", "/groups/1/members", "$select=id&$top=999", 2},
		{"GET", "/groups/1/members", "$top=10&$select=id", 1},
		{"GET", "/groups", "$expand=members", 2},
		{"GET", "/Users/delta", "", 2},
		{"GET", "/users/1/memberOf", "", 2},
		{"GET", "/oauth2PermissionGrants/1", "", 2},
		{"GET", "/domains", "", 1},
		{"POST", "/directoryObjects/getByIds", "", 3},
		{"POST", "/users", "", 1},
		{"DELETE", "/groups/1/members/2/$ref", "", 1},
	} {
		read := tt.method == "GET" || tt.path == "/directoryObjects/getByIds"
		k := &call{method: tt.method, path: tt.path, url: "https://graph.microsoft.com/v1.0" + tt.path + "?" + tt.query, read: read, service: serviceOf(tt.path, read)}
		if got := k.units(); got != tt.want {
			t.Errorf("%s %s?%s is expected to cost %v, want %v", tt.method, tt.path, tt.query, got, tt.want)
		}
	}
}

// A batch puts off those that come after it by all that its items cost.
func TestABatchCostsWhatItsItemsDo(t *testing.T) {
	b := newBuckets(1)[directory]
	b.paced, b.credit = true, 1
	if wait := b.pass(40); wait != nil {
		t.Fatal("a batch is held back though there is credit")
	}
	if b.credit != -39 {
		t.Errorf("%v is left of 1 after 40", b.credit)
	}
	if wait := b.pass(1); wait == nil {
		t.Error("a request passes though a batch has used up what there was")
	}
}
