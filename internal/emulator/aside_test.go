package emulator_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// Applications note what they like under a name of their own, once.
func TestOpenExtensions(t *testing.T) {
	at := start(t, emulator.Options{})
	u := must(t, at, 200, "GET", "/v1.0/users?$top=1", nil)["value"].([]any)[0].(map[string]any)["id"].(string)
	list := "/v1.0/users/" + u + "/extensions"
	must(t, at, 400, "POST", list, map[string]any{"theme": "dark"})
	must(t, at, 201, "POST", list, map[string]any{"@odata.type": "#microsoft.graph.openTypeExtension", "extensionName": "com.x", "theme": "dark", "deep": map[string]any{"a": 1}})
	must(t, at, 409, "POST", list, map[string]any{"extensionName": "com.x"})
	must(t, at, 204, "PATCH", list+"/com.x", map[string]any{"theme": nil, "size": 3})
	got := must(t, at, 200, "GET", list+"/com.x", nil)
	if got["theme"] != nil || got["size"] == nil || got["deep"] == nil || got["extensionName"] != "com.x" {
		t.Errorf("got %v", got)
	}
	all := must(t, at, 200, "GET", "/v1.0/users?$select=id&$expand=extensions&$top=100", nil)["value"].([]any)
	n := 0
	for _, x := range all {
		n += len(x.(map[string]any)["extensions"].([]any))
	}
	if n != 1 {
		t.Errorf("%d extensions are told with people", n)
	}
	must(t, at, 204, "DELETE", list+"/com.x", nil)
	must(t, at, 404, "GET", list+"/com.x", nil)
}

// Custom security attributes are told only where they are asked for, and set one by one.
func TestSecurityAttributes(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	u := must(t, at, 200, "GET", "/v1.0/users?$top=1", nil)["value"].([]any)[0].(map[string]any)
	if _, told := u["customSecurityAttributes"]; told {
		t.Error("they are told unasked")
	}
	where := "/v1.0/users/" + u["id"].(string)
	set := func(values map[string]any) map[string]any {
		return map[string]any{"customSecurityAttributes": map[string]any{"Set1": values}}
	}
	const kind = "#Microsoft.DirectoryServices.CustomSecurityAttributeValue"
	must(t, at, 400, "PATCH", where, set(map[string]any{"Level": "x"}))
	must(t, at, 400, "PATCH", where, set(map[string]any{"@odata.type": kind, "Nothing": "x"}))
	must(t, at, 400, "PATCH", where, set(map[string]any{"@odata.type": kind, "Level": []string{"x"}}))
	must(t, at, 204, "PATCH", where, set(map[string]any{"@odata.type": kind, "Level": "x"}))
	got := must(t, at, 200, "GET", where+"?$select=customSecurityAttributes", nil)["customSecurityAttributes"].(map[string]any)
	if got["Set1"].(map[string]any)["Level"] != "x" {
		t.Errorf("got %v", got)
	}
	must(t, at, 204, "PATCH", where, set(map[string]any{"@odata.type": kind, "Level": nil}))
	got, _ = must(t, at, 200, "GET", where+"?$select=customSecurityAttributes", nil)["customSecurityAttributes"].(map[string]any)
	if got["Set1"] != nil {
		t.Errorf("got %v", got)
	}
}

// Whether a person is asked for a second factor is told of everybody.
func TestRequirements(t *testing.T) {
	at := start(t, emulator.Options{})
	u := must(t, at, 200, "GET", "/v1.0/users?$top=1", nil)["value"].([]any)[0].(map[string]any)["id"].(string)
	where := "/beta/users/" + u + "/authentication/requirements"
	if got := must(t, at, 200, "GET", where, nil); got["perUserMfaState"] != "disabled" {
		t.Errorf("got %v", got)
	}
	must(t, at, 400, "PATCH", where, map[string]any{"perUserMfaState": "sometimes"})
	must(t, at, 204, "PATCH", where, map[string]any{"perUserMfaState": "enforced"})
	if got := must(t, at, 200, "GET", where, nil); got["perUserMfaState"] != "enforced" {
		t.Errorf("got %v", got)
	}
}
