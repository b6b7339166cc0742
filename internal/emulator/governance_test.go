package emulator_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// What is related is told only where it is asked for, and a policy is replaced whole.
func TestEntitlement(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	const em = "/v1.0/identityGovernance/entitlementManagement"
	first := func(path string) map[string]any {
		t.Helper()
		return must(t, at, 200, "GET", em+path, nil)["value"].([]any)[0].(map[string]any)
	}
	if p := first("/accessPackages"); p["catalog"] != nil {
		t.Errorf("the catalog is told unasked: %v", p)
	}
	pack := first("/accessPackages?$expand=catalog($select=id)")
	in, _ := pack["catalog"].(map[string]any)
	if in["id"] == nil {
		t.Fatalf("no catalog: %v", pack)
	}
	must(t, at, 400, "GET", em+"/accessPackages?$expand=catalog,nothing", nil)
	must(t, at, 400, "GET", em+"/accessPackages?$expand=catalog($select=id", nil)
	must(t, at, 400, "POST", em+"/accessPackages", map[string]any{"displayName": "P", "description": "D"})
	must(t, at, 404, "POST", em+"/accessPackages", map[string]any{"displayName": "P", "description": "D", "catalog": map[string]any{"id": pack["id"]}})
	id := "/" + pack["id"].(string)
	must(t, at, 400, "PATCH", em+"/accessPackages"+id, map[string]any{"catalog": in})
	must(t, at, 400, "DELETE", em+"/accessPackages"+id, nil) // it has assignments
	must(t, at, 400, "DELETE", em+"/catalogs/"+in["id"].(string), nil)
	must(t, at, 405, "POST", em+"/assignments", map[string]any{})
	must(t, at, 405, "POST", em+"/catalogs/"+in["id"].(string)+"/resources", map[string]any{})

	scopes := em + "/accessPackages" + id + "/resourceRoleScopes"
	s := must(t, at, 200, "GET", scopes+"?$expand=role($expand=resource),scope", nil)["value"].([]any)[0].(map[string]any)
	must(t, at, 204, "DELETE", scopes+"/"+s["id"].(string), nil)
	role := s["role"].(map[string]any)
	must(t, at, 400, "POST", scopes, map[string]any{"role": role, "scope": map[string]any{"originId": "x", "originSystem": "AadGroup"}})
	must(t, at, 400, "POST", scopes, map[string]any{"role": map[string]any{"originId": role["originId"], "originSystem": "AadGroup", "resource": map[string]any{"id": "x"}}, "scope": s["scope"]})
	must(t, at, 201, "POST", scopes, map[string]any{"role": role, "scope": s["scope"]})

	all := "?$expand=accessPackage($select=id),customExtensionStageSettings($expand=customExtension($select=id)),questions"
	policy := first("/assignmentPolicies" + all)
	if len(policy["questions"].([]any)) != 1 || len(policy["customExtensionStageSettings"].([]any)) != 1 {
		t.Fatalf("the policy lacks something: %v", policy)
	}
	where := em + "/assignmentPolicies/" + policy["id"].(string)
	must(t, at, 405, "PATCH", where, map[string]any{"displayName": "X"})
	must(t, at, 400, "PUT", where, map[string]any{"id": "another", "displayName": "X"})
	must(t, at, 400, "PUT", where, map[string]any{"displayName": "X", "accessPackage": map[string]any{"id": in["id"]}})
	must(t, at, 200, "PUT", where, map[string]any{"id": policy["id"], "displayName": "X", "accessPackage": map[string]any{"id": pack["id"]}, "allowedTargetScope": "allMemberUsers",
		"requestorSettings": policy["requestorSettings"], "requestApprovalSettings": policy["requestApprovalSettings"]})
	after := must(t, at, 200, "GET", where+all, nil)
	if after["displayName"] != "X" || len(after["questions"].([]any)) != 0 || after["createdDateTime"] != policy["createdDateTime"] {
		t.Errorf("after PUT: %v", after)
	}
	must(t, at, 400, "DELETE", where, nil) // it has assignments

	source := map[string]any{"@odata.type": "#microsoft.graph.domainIdentitySource", "displayName": "P", "domainName": "p.example"}
	must(t, at, 400, "POST", em+"/connectedOrganizations", map[string]any{"displayName": "O", "description": "D", "identitySources": []any{source, source}})
	must(t, at, 400, "POST", em+"/connectedOrganizations", map[string]any{"displayName": "O", "description": "D", "identitySources": []any{map[string]any{"displayName": "P"}}})
	org := must(t, at, 201, "POST", em+"/connectedOrganizations", map[string]any{"displayName": "O", "description": "D", "identitySources": []any{source}})
	must(t, at, 400, "PATCH", em+"/connectedOrganizations/"+org["id"].(string), map[string]any{"identitySources": []any{}})
	must(t, at, 204, "DELETE", em+"/connectedOrganizations/"+org["id"].(string), nil)
}

// A list does not tell what a workflow does, and only a new version changes it.
func TestWorkflows(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	const lw = "/v1.0/identityGovernance/lifecycleWorkflows"
	listed := must(t, at, 200, "GET", lw+"/workflows", nil)["value"].([]any)[0].(map[string]any)
	if _, told := listed["tasks"]; told {
		t.Errorf("the list tells of tasks: %v", listed)
	}
	where := lw + "/workflows/" + listed["id"].(string)
	w := must(t, at, 200, "GET", where, nil)
	must(t, at, 400, "PATCH", where, map[string]any{"tasks": w["tasks"]})
	must(t, at, 400, "PATCH", where, map[string]any{"isEnabled": false})
	must(t, at, 204, "PATCH", where, map[string]any{"isEnabled": false, "isSchedulingEnabled": false})
	must(t, at, 400, "POST", where+"/createNewVersion", map[string]any{"workflow": map[string]any{"displayName": "X"}})
	next := map[string]any{"displayName": "X", "category": "leaver", "executionConditions": w["executionConditions"], "tasks": w["tasks"].([]any)[:1]}
	must(t, at, 400, "POST", where+"/createNewVersion", map[string]any{"workflow": next})
	next["category"] = w["category"]
	if v := must(t, at, 200, "POST", where+"/createNewVersion", map[string]any{"workflow": next}); v["version"] != 2.0 || v["id"] != w["id"] || len(v["tasks"].([]any)) != 1 {
		t.Errorf("the new version is %v", v)
	}
	must(t, at, 204, "DELETE", where, nil)
	must(t, at, 404, "GET", where, nil)
	lies := strings.Replace(where, "/workflows/", "/deletedItems/workflows/", 1)
	if d := must(t, at, 200, "GET", lies, nil); d["executionConditions"] != nil || len(d["tasks"].([]any)) != 0 {
		t.Errorf("deleted it is %v", d)
	}
	must(t, at, 200, "POST", lies+"/restore", nil)
	if d := must(t, at, 200, "GET", where, nil); len(d["tasks"].([]any)) != 1 {
		t.Errorf("restored it is %v", d)
	}
	x := must(t, at, 200, "GET", lw+"/customTaskExtensions", nil)["value"].([]any)[0].(map[string]any)
	must(t, at, 400, "DELETE", lw+"/customTaskExtensions/"+x["id"].(string), nil)
	must(t, at, 400, "PATCH", lw+"/settings", map[string]any{"emailSettings": map[string]any{"senderDomain": "elsewhere.example", "useCompanyBranding": true}})
}

func TestReviews(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	const all = "/v1.0/identityGovernance/accessReviews/definitions"
	r := must(t, at, 200, "GET", all, nil)["value"].([]any)[0].(map[string]any)
	body := map[string]any{"displayName": "R", "scope": r["scope"], "reviewers": r["reviewers"], "settings": r["settings"]}
	must(t, at, 400, "POST", all, body) // it began in the past
	where := all + "/" + r["id"].(string)
	must(t, at, 400, "PUT", where, body) // without the scope in which it is counted
	body["instanceEnumerationScope"], body["stageSettings"] = r["instanceEnumerationScope"], r["stageSettings"]
	must(t, at, 204, "PUT", where, body)
	must(t, at, 405, "PATCH", where, body)
	must(t, at, 405, "POST", "/v1.0/identityGovernance/termsOfUse/agreements", map[string]any{})
}
