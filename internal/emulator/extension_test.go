package emulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Values of directory extensions are returned where they are named, follow their definition out of sight and back,
// and are written only where a definition allows it.
func TestExtensions(t *testing.T) {
	at, c, i := world(t)
	i["survey"], i["surveysp"] = at.Find("applications", "Survey"), at.Find("servicePrincipals", "Survey")
	i["appid"] = c.do("GET", "/v1.0/applications/"+i["survey"], "").text("appId")
	app := "/v1.0/applications/" + i["survey"]
	prefix := "extension_" + strings.ReplaceAll(i["appid"], "-", "") + "_"
	defs, _, _ := c.all(app + "/extensionProperties")
	if len(defs) != 3 || defs[0]["name"] != prefix+"costCenter" || defs[0]["appDisplayName"] != "Survey" {
		t.Fatalf("definitions: %v", defs)
	}
	user := "/v1.0/users/" + i["user1"]
	must(t, at, 204, "PATCH", user, map[string]any{prefix + "costCenter": "CC1", prefix + "payGrade": 7, prefix + "badges": []any{"a", "b"}})
	named := user + "?$select=id," + prefix + "costCenter," + prefix + "payGrade," + prefix + "badges"
	if m := must(t, at, 200, "GET", user, nil); m[prefix+"costCenter"] != nil {
		t.Error("returned unasked")
	}
	all := must(t, at, 200, "GET", named, nil)
	if all[prefix+"costCenter"] != "CC1" || all[prefix+"payGrade"] != 7.0 || len(all[prefix+"badges"].([]any)) != 2 {
		t.Errorf("values: %v", all)
	}
	count := func(path string) (n int) {
		list, _, _ := c.all(path)
		for _, m := range list {
			if m[prefix+"costCenter"] != nil {
				n++
			}
		}
		return n
	}
	listing := "/v1.0/users?$top=999&$select=id," + prefix + "costCenter"
	if n := count(listing); n < 10 || count("/v1.0/users/delta?$select=id,"+prefix+"costCenter") != n || count("/v1.0/users?$top=999") != 0 || count("/v1.0/users/delta") != 0 {
		t.Errorf("%d people of the listing have a cost center; delta and unasked listings differ", n)
	}
	if n := count("/v1.0/groups?$select=id," + prefix + "costCenter"); n == 0 {
		t.Error("no group has a cost center")
	}
	if n := count("/v1.0/users?$count=true&$filter=" + prefix + "costCenter%20eq%20'CC1'&$select=" + prefix + "costCenter"); n != 1 {
		t.Errorf("%d people found by their cost center", n)
	}
	must(t, at, 204, "PATCH", user, map[string]any{prefix + "payGrade": nil})
	if m := must(t, at, 200, "GET", named, nil); m[prefix+"payGrade"] != nil || m[prefix+"costCenter"] != "CC1" {
		t.Errorf("after a value was cleared: %v", m)
	}

	available := func() (names []string) {
		m := must(t, at, 200, "POST", "/v1.0/directoryObjects/getAvailableExtensionProperties", map[string]any{})
		for _, d := range m["value"].([]any) {
			names = append(names, d.(map[string]any)["name"].(string))
		}
		return names
	}
	if n := available(); len(n) != 3 {
		t.Errorf("available: %v", n)
	}
	expanded := must(t, at, 200, "GET", app+"?$select=id&$expand=extensionProperties", nil)
	if n := len(expanded["extensionProperties"].([]any)); n != 3 {
		t.Errorf("%d definitions expanded", n)
	}

	// A definition that goes takes its values out of sight; one of the same name brings them back.
	id := defs[0]["id"].(string)
	must(t, at, 204, "DELETE", app+"/extensionProperties/"+id, nil)
	must(t, at, 404, "GET", app+"/extensionProperties/"+id, nil)
	must(t, at, 400, "GET", user+"?$select="+prefix+"costCenter", nil)
	must(t, at, 400, "PATCH", user, map[string]any{prefix + "costCenter": "CC2"})
	definition := map[string]any{"name": "costCenter", "dataType": "String", "targetObjects": []any{"User"}}
	made := must(t, at, 201, "POST", app+"/extensionProperties", definition)
	if made["name"] != prefix+"costCenter" || made["id"] == id || made["isMultiValued"] != false {
		t.Errorf("made: %v", made)
	}
	if m := must(t, at, 200, "GET", named, nil); m[prefix+"costCenter"] != "CC1" {
		t.Errorf("after the definition came back: %v", m)
	}
	must(t, at, 400, "GET", "/v1.0/groups?$select="+prefix+"costCenter", nil) // no longer defined for groups

	// An application that goes takes them too, and they wait for the service principal.
	must(t, at, 204, "DELETE", app, nil)
	if n := available(); len(n) != 0 {
		t.Errorf("available without the application: %v", n)
	}
	must(t, at, 400, "GET", named, nil)
	must(t, at, 200, "POST", "/v1.0/directory/deletedItems/"+i["survey"]+"/restore", nil)
	if n := len(must(t, at, 200, "GET", app+"/extensionProperties", nil)["value"].([]any)); n != 3 {
		t.Errorf("%d definitions came back with the application", n)
	}
	must(t, at, 400, "GET", named, nil)
	must(t, at, 200, "POST", "/v1.0/directory/deletedItems/"+i["surveysp"]+"/restore", nil)
	if m := must(t, at, 200, "GET", named, nil); m[prefix+"costCenter"] != "CC1" {
		t.Errorf("after the application came back: %v", m)
	}

	// One that is purged leaves them out of sight for good.
	must(t, at, 204, "DELETE", app, nil)
	must(t, at, 204, "DELETE", "/v1.0/directory/deletedItems/"+i["survey"], nil)
	must(t, at, 400, "GET", named, nil)
	if n := available(); len(n) != 0 {
		t.Errorf("available after the purge: %v", n)
	}
}

// What documentation says about definitions and values that are not taken.
func TestExtensionRefusals(t *testing.T) {
	at, c, i := world(t)
	i["survey"], i["surveysp"] = at.Find("applications", "Survey"), at.Find("servicePrincipals", "Survey")
	i["appid"] = c.do("GET", "/v1.0/applications/"+i["survey"], "").text("appId")
	app := "/v1.0/applications/" + i["survey"] + "/extensionProperties"
	prefix := "extension_" + strings.ReplaceAll(i["appid"], "-", "") + "_"
	user, group := "/v1.0/users/"+i["user1"], "/v1.0/groups/"+i["plain"]
	rows := []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", app, `{"name":"x","dataType":"String"}`, 400, "targetObjects"},
		{"POST", app, `{"name":"x","dataType":"String","targetObjects":[]}`, 400, "targetObjects"},
		{"POST", app, `{"name":"x","dataType":"String","targetObjects":["ServicePrincipal"]}`, 400, "targetObjects"},
		{"POST", app, `{"name":"x","dataType":"Text","targetObjects":["User"]}`, 400, "dataType"},
		{"POST", app, `{"name":"cost-center","dataType":"String","targetObjects":["User"]}`, 400, "name"},
		{"POST", app, `{"name":"CostCenter","dataType":"String","targetObjects":["User"]}`, 400, "exists"},
		{"POST", app, `{"name":"x","dataType":"String","targetObjects":["User"],"isSyncedFromOnPremises":true}`, 400, "read-only"},
		{"PATCH", app + "/" + i["gone"], `{"dataType":"String"}`, 405, ""},
		{"DELETE", app + "/" + i["gone"], ``, 404, ""},
		{"PATCH", user, `{"` + prefix + `nothing":"x"}`, 400, "not available"},
		{"PATCH", user, `{"` + strings.ToUpper(prefix) + `costcenter":"x"}`, 400, ""},
		{"PATCH", group, `{"` + prefix + `payGrade":1}`, 400, "not available"},
		{"PATCH", user, `{"` + prefix + `payGrade":"one"}`, 400, "payGrade"},
		{"PATCH", user, `{"` + prefix + `payGrade":2147483648}`, 400, "payGrade"},
		{"PATCH", user, `{"` + prefix + `badges":"a"}`, 400, "badges"},
		{"PATCH", user, `{"` + prefix + `costCenter":["a"]}`, 400, "costCenter"},
		{"PATCH", user, `{"` + prefix + `costCenter":"` + strings.Repeat("a", 257) + `"}`, 400, "256"},
		{"GET", user + "?$select=" + prefix + "nothing", ``, 400, "Could not find a property"},
		{"GET", "/v1.0/users/delta?$select=" + prefix + "nothing", ``, 400, "Could not find a property"},
		{"POST", "/v1.0/directoryObjects/getAvailableExtensionProperties", `{"name":"x"}`, 400, ""},
		{"GET", "/v1.0/users?$select=" + strings.Repeat("id,", 2666) + "id", ``, 414, "too long"},
	}
	for _, r := range rows {
		if a := c.do(r.method, r.path, r.body); a.status != r.status || !strings.Contains(fmt.Sprint(a.body), r.says) {
			t.Errorf("%s %.120s %.120s: %d %v, want %d %q", r.method, r.path, r.body, a.status, a.body, r.status, r.says)
		}
	}
	at.Deny("Directory.Read.All")
	if a := c.do("POST", "/v1.0/directoryObjects/getAvailableExtensionProperties", "{}"); a.status != 403 {
		t.Errorf("without the permission: %d", a.status)
	}

	// No more than a hundred values fit on one object.
	values := map[string]any{}
	for n := range 101 {
		name := fmt.Sprintf("more%d", n)
		must(t, at, 201, "POST", app, map[string]any{"name": name, "dataType": "String", "targetObjects": []any{"Organization"}})
		values[prefix+name] = "x"
	}
	org := "/v1.0/organization/" + at.ID()
	must(t, at, 403, "PATCH", org, values)
	delete(values, prefix+"more0")
	must(t, at, 204, "PATCH", org, values)

	// In a tenant with many service principals the one list of all definitions is empty, without a word.
	for n := range 1000 {
		a := must(t, at, 201, "POST", "/v1.0/applications", map[string]any{"displayName": fmt.Sprintf("many %d", n)})
		must(t, at, 201, "POST", "/v1.0/servicePrincipals", map[string]any{"appId": a["appId"]})
	}
	if m := must(t, at, 200, "POST", "/v1.0/directoryObjects/getAvailableExtensionProperties", map[string]any{}); !slices.Equal(m["value"].([]any), []any{}) {
		t.Errorf("with a thousand service principals: %v", m["value"])
	}
}
