package emulator_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func TestProvisioning(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	var with, without string
	items, _, _ := c.all("/v1.0/servicePrincipals")
	for _, sp := range items {
		switch id := "/v1.0/servicePrincipals/" + sp["id"].(string) + "/synchronization/jobs"; {
		case sp["applicationTemplateId"] != nil:
			with = id
		case sp["servicePrincipalType"] == "Application":
			without = id
		}
	}
	jobs, _, _ := c.all(with)
	if len(jobs) != 1 || !strings.HasPrefix(jobs[0]["id"].(string), jobs[0]["templateId"].(string)+"."+strings.ReplaceAll(at.ID(), "-", "")+".") {
		t.Fatalf("%v", jobs)
	}
	if none, _, _ := c.all(without); len(none) != 0 {
		t.Fatalf("%v", none)
	}
	made := c.do("POST", with, `{"templateId":"customappsso"}`)
	id, _ := made.body["id"].(string)
	job, state := with+"/"+id, func() any {
		schedule, _ := c.do("GET", with+"/"+id, "").body["schedule"].(map[string]any)
		return schedule["state"]
	}
	if made.status != 201 || state() != "Disabled" {
		t.Fatalf("%d: %s", made.status, made.raw)
	}
	before := c.do("GET", job+"/schema", "").body
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		state                    string
	}{
		{"job of no gallery application", "POST", without, `{"templateId":"customappsso"}`, 404, "Disabled"},
		{"job of no template", "POST", with, `{"templateId":"nothing"}`, 404, "Disabled"},
		{"job without a template", "POST", with, `{}`, 400, "Disabled"},
		{"schedule of a job", "POST", with, `{"templateId":"customappsso","schedule":{"state":"Active"}}`, 400, "Disabled"},
		{"job changed", "PATCH", job, `{"schedule":{"state":"Active"}}`, 405, "Disabled"},
		{"pause of what does not run", "POST", job + "/pause", ``, 204, "Disabled"},
		{"start", "POST", job + "/start", ``, 204, "Active"},
		{"pause", "POST", job + "/pause", ``, 204, "Paused"},
		{"schema by PATCH", "PATCH", job + "/schema", `{"synchronizationRules":[]}`, 405, "Paused"},
		{"rule between unknown directories", "PUT", job + "/schema", `{"directories":[],"synchronizationRules":[{"id":"r","name":"R","sourceDirectoryName":"A","targetDirectoryName":"B"}]}`, 400, "Paused"},
		{"schema without rules", "PUT", job + "/schema", `{"directories":[{"id":"d","name":"D"}],"synchronizationRules":[]}`, 204, "Paused"},
	} {
		if r := c.do(tc.method, tc.path, tc.body); r.status != tc.status || state() != tc.state {
			t.Errorf("%s: %d, want %d, then %v: %s", tc.name, r.status, tc.status, state(), r.raw)
		}
	}
	// A write replaces all of the schema, and a removal brings the template's back.
	empty := c.do("GET", job+"/schema", "").body
	if rules, _ := empty["synchronizationRules"].([]any); len(rules) != 0 || empty["version"] == before["version"] {
		t.Errorf("%v", empty)
	}
	if r := c.do("DELETE", job+"/schema", ""); r.status != 204 {
		t.Errorf("%d: %s", r.status, r.raw)
	}
	if rules, _ := c.do("GET", job+"/schema", "").body["synchronizationRules"].([]any); len(rules) != 1 {
		t.Errorf("%v", rules)
	}
	if c.do("DELETE", job, ""); c.do("GET", job+"/schema", "").status != 404 || c.do("GET", job, "").status != 404 {
		t.Error("the job is still there")
	}
}

func TestRemoteDesktop(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	var in, other string
	items, _, _ := c.all("/v1.0/servicePrincipals")
	for _, sp := range items {
		if id := "/v1.0/servicePrincipals/" + sp["id"].(string) + "/remoteDesktopSecurityConfiguration"; sp["displayName"] == "Windows Cloud Login" {
			in = id
		} else if sp["displayName"] == "Microsoft Graph" {
			other = id
		}
	}
	groups, _, _ := c.all("/v1.0/groups")
	have, _, _ := c.all(in + "/targetDeviceGroups")
	there := map[any]bool{}
	for _, g := range have {
		there[g["id"]] = true
	}
	if len(have) == 0 {
		t.Fatal("it has no groups")
	}
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"configuration elsewhere", "POST", other, `{"isRemoteDesktopProtocolEnabled":true}`, 400},
		{"groups of none", "GET", other + "/targetDeviceGroups", ``, 404},
		{"a second configuration", "POST", in, `{"isRemoteDesktopProtocolEnabled":true}`, 409},
		{"a group that is there", "POST", in + "/targetDeviceGroups", `{"id":"` + have[0]["id"].(string) + `"}`, 409},
		{"what is no group", "POST", in + "/targetDeviceGroups", `{"id":"11111111-2222-4333-8444-555555555555"}`, 404},
		{"a group without its id", "POST", in + "/targetDeviceGroups", `{"displayName":"D"}`, 400},
		{"another group in its place", "PATCH", in + "/targetDeviceGroups/" + have[0]["id"].(string), `{"id":"11111111-2222-4333-8444-555555555555"}`, 400},
		{"a group renamed", "PATCH", in + "/targetDeviceGroups/" + have[0]["id"].(string), `{"displayName":"D"}`, 200},
	} {
		if r := c.do(tc.method, tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	n := len(have)
	for _, g := range groups {
		if there[g["id"]] {
			continue
		}
		want := 201
		if n >= 10 {
			want = 400
		}
		if r := c.do("POST", in+"/targetDeviceGroups", `{"id":"`+g["id"].(string)+`"}`); r.status != want {
			t.Fatalf("group %d: %d: %s", n, r.status, r.raw)
		}
		n++
	}
	if n <= 10 {
		t.Errorf("only %d groups", n)
	}
	// With a configuration goes what it has, and a new one has nothing.
	if r := c.do("DELETE", in, ""); r.status != 204 || c.do("GET", in, "").status != 404 {
		t.Errorf("%d: %s", r.status, r.raw)
	}
	if r := c.do("POST", in, `{"isRemoteDesktopProtocolEnabled":false}`); r.status != 201 {
		t.Errorf("%d: %s", r.status, r.raw)
	}
	if left, _, _ := c.all(in + "/targetDeviceGroups"); len(left) != 0 {
		t.Errorf("%v", left)
	}
}

func TestCombinationConfigurations(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	const path, key = "/v1.0/policies/authenticationStrengthPolicies", `{"@odata.type":"#microsoft.graph.fido2CombinationConfiguration"`
	var own, builtIn string
	items, _, _ := c.all(path)
	for _, s := range items {
		if id := path + "/" + s["id"].(string) + "/combinationConfigurations"; s["displayName"] == "Administrators with keys" {
			own = id
		} else if s["policyType"] == "builtIn" {
			builtIn = id
		}
	}
	have, _, _ := c.all(own)
	if len(have) != 2 || have[0]["@odata.type"] == have[1]["@odata.type"] {
		t.Fatalf("%v", have)
	}
	at0 := own + "/" + have[0]["id"].(string)
	kind := have[0]["@odata.type"].(string)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"of no type", "POST", own, `{"appliesToCombinations":["fido2"]}`, 400},
		{"of a built-in strength", "POST", builtIn, key + `,"appliesToCombinations":["fido2"],"allowedAAGUIDs":["a"]}`, 400},
		{"without a combination", "POST", own, key + `,"appliesToCombinations":[],"allowedAAGUIDs":["a"]}`, 400},
		{"of a combination that the strength has not", "POST", own, key + `,"appliesToCombinations":["sms"],"allowedAAGUIDs":["a"]}`, 400},
		{"changed without its type", "PATCH", at0, `{"appliesToCombinations":["fido2"]}`, 400},
		{"another type", "PATCH", at0, `{"@odata.type":"#microsoft.graph.combination"}`, 400},
		{"changed", "PATCH", at0, `{"@odata.type":"` + kind + `"}`, 200},
		{"deleted", "DELETE", at0, ``, 204},
	} {
		if r := c.do(tc.method, tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	// One combination is restricted once.
	c.do("DELETE", own+"/"+have[1]["id"].(string), "")
	for _, want := range []int{201, 400} {
		if r := c.do("POST", own, key+`,"appliesToCombinations":["fido2"],"allowedAAGUIDs":["a"]}`); r.status != want {
			t.Errorf("%d, want %d: %s", r.status, want, r.raw)
		}
	}
}
