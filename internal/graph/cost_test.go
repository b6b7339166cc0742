package graph

import (
	"testing"
	"testing/synctest"
	"time"
)

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

// A batch goes when there is room for all that its items cost.
func TestABatchCostsWhatItsItemsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets(1, 4)[directory]
		b.level = 45
		goes := func(t *turn) bool {
			select {
			case <-t.ready:
				return true
			default:
				return false
			}
		}
		if !goes(b.join(40)) {
			t.Fatal("a batch is held back though there is room")
		}
		if b.level != 5 {
			t.Errorf("%v is left of 45 after 40", b.level)
		}
		late := b.join(20)
		if goes(late) || goes(b.join(1)) {
			t.Error("a request passes though there is no room for it, or for one before it")
		}
		began := time.Now()
		<-late.ready
		if d := time.Since(began); d < 42*time.Millisecond || d > 44*time.Millisecond {
			t.Errorf("15 units came after %s, want 43 ms at 350 a second", d)
		}
	})
}
