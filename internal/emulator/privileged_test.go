package emulator_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// Schedules are made, changed and removed by requests only, within what the terms allow, and show where they let somebody be.
func TestPrivilegedAccess(t *testing.T) {
	at := start(t, emulator.Options{})
	const roles = "/v1.0/roleManagement/directory/"
	list := func(path, filter string) []any {
		t.Helper()
		return must(t, at, 200, "GET", path+"?$filter="+url.QueryEscape(filter), nil)["value"].([]any)
	}
	made := func(name string) string {
		t.Helper()
		u := must(t, at, 201, "POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": name, "mailNickname": name, "userPrincipalName": name + "@contoso.example", "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})
		return u["id"].(string)
	}
	who, role := made("who"), "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"
	ask := func(action, ends string, more map[string]any) map[string]any {
		m := map[string]any{"action": action, "principalId": who, "roleDefinitionId": role, "directoryScopeId": "/", "justification": "test",
			"scheduleInfo": map[string]any{"startDateTime": "2020-01-01T00:00:00Z", "expiration": map[string]any{"type": "afterDateTime", "endDateTime": ends}}}
		if ends == "" {
			m["scheduleInfo"] = map[string]any{"expiration": map[string]any{"type": "noExpiration"}}
		}
		for name, v := range more {
			m[name] = v
		}
		return m
	}
	soon := at.Now().Add(100 * 24 * time.Hour).UTC().Format(time.RFC3339)
	eligible, active := roles+"roleEligibilityScheduleRequests", roles+"roleAssignmentScheduleRequests"
	must(t, at, 405, "POST", roles+"roleEligibilitySchedules", ask("adminAssign", "", nil))
	must(t, at, 400, "POST", eligible, ask("selfActivate", "", nil))
	must(t, at, 404, "POST", eligible, ask("adminAssign", "", map[string]any{"principalId": role}))
	must(t, at, 404, "POST", eligible, ask("adminAssign", "", map[string]any{"roleDefinitionId": who}))
	must(t, at, 400, "POST", eligible, ask("adminAssign", "2020-02-01T00:00:00Z", nil))
	must(t, at, 404, "POST", eligible, ask("adminRemove", "", nil))
	if a := must(t, at, 201, "POST", eligible, ask("adminAssign", "", nil)); a["status"] != "Provisioned" {
		t.Errorf("answer: %v", a)
	}
	must(t, at, 400, "POST", eligible, ask("adminAssign", "", nil)) // twice
	if n := len(list(roles+"roleAssignments", "principalId eq '"+who+"'")); n != 0 {
		t.Errorf("who can have a role has %d", n)
	}
	must(t, at, 400, "POST", active, ask("adminAssign", soon, map[string]any{"justification": nil})) // the terms ask for one
	must(t, at, 201, "POST", active, ask("adminAssign", soon, nil))
	if n := len(list(roles+"roleAssignments", "principalId eq '"+who+"'")); n != 1 {
		t.Errorf("who was given a role has %d", n)
	}
	s := list(roles+"roleAssignmentSchedules", "principalId eq '"+who+"'")[0].(map[string]any)
	if begins := s["scheduleInfo"].(map[string]any)["startDateTime"].(string); begins < "2026" {
		t.Errorf("it begins at %s", begins)
	}

	// The terms of a role are one policy, changed rule by rule.
	must(t, at, 400, "GET", "/v1.0/policies/roleManagementPolicyAssignments", nil)
	terms := must(t, at, 200, "GET", "/v1.0/policies/roleManagementPolicyAssignments?$expand=policy($expand=rules)&$filter="+url.QueryEscape("scopeId eq '/' and scopeType eq 'DirectoryRole' and roleDefinitionId eq '"+role+"'"), nil)["value"].([]any)[0].(map[string]any)
	policy := "/v1.0/policies/roleManagementPolicies/" + terms["policyId"].(string)
	var rule map[string]any
	for _, r := range terms["policy"].(map[string]any)["rules"].([]any) {
		if r.(map[string]any)["id"] == "Expiration_Admin_Eligibility" {
			rule = r.(map[string]any)
		}
	}
	must(t, at, 400, "PATCH", policy, map[string]any{"displayName": "X"})
	must(t, at, 404, "PATCH", policy+"/rules/Nothing", rule)
	rule["isExpirationRequired"], rule["maximumDuration"] = true, nil
	must(t, at, 400, "PATCH", policy+"/rules/Expiration_Admin_Eligibility", rule)
	rule["maximumDuration"] = "P30D"
	must(t, at, 200, "PATCH", policy+"/rules/Expiration_Admin_Eligibility", rule)
	must(t, at, 400, "POST", eligible, ask("adminUpdate", "", nil))
	must(t, at, 400, "POST", eligible, ask("adminUpdate", soon, nil))
	must(t, at, 201, "POST", eligible, ask("adminUpdate", at.Now().Add(24*time.Hour).UTC().Format(time.RFC3339), nil))

	// What is for a time ends by itself.
	at.Advance(48 * time.Hour)
	if n := len(list(roles+"roleEligibilitySchedules", "principalId eq '"+who+"'")); n != 0 {
		t.Errorf("%d are left of what is over", n)
	}
	must(t, at, 201, "POST", active, ask("adminRemove", "", nil))
	if n := len(list(roles+"roleAssignments", "principalId eq '"+who+"'")); n != 0 {
		t.Errorf("whose schedule is removed has %d", n)
	}
	at.Advance(200 * 24 * time.Hour)

	// A role that is given without a schedule has one that lasts, and they go together.
	a := must(t, at, 201, "POST", roles+"roleAssignments", map[string]any{"principalId": who, "roleDefinitionId": role, "directoryScopeId": "/"})
	if n := len(list(roles+"roleAssignmentSchedules", "principalId eq '"+who+"'")); n != 1 {
		t.Errorf("%d schedules", n)
	}
	must(t, at, 204, "DELETE", roles+"roleAssignments/"+a["id"].(string), nil)
	if n := len(list(roles+"roleAssignmentSchedules", "principalId eq '"+who+"'")); n != 0 {
		t.Errorf("%d schedules", n)
	}

	// A group comes under it with the first request.
	const pim = "/v1.0/identityGovernance/privilegedAccess/group/"
	g := must(t, at, 201, "POST", "/v1.0/groups", map[string]any{"displayName": "P", "mailNickname": "p", "mailEnabled": false, "securityEnabled": true})["id"].(string)
	must(t, at, 400, "GET", pim+"assignmentSchedules", nil)
	must(t, at, 404, "GET", "/beta/identityGovernance/privilegedAccess/group/resources/"+g, nil)
	must(t, at, 404, "POST", pim+"assignmentScheduleRequests", map[string]any{"action": "adminAssign", "groupId": who, "accessId": "member", "principalId": who, "scheduleInfo": map[string]any{"expiration": map[string]any{"type": "noExpiration"}}})
	must(t, at, 201, "POST", pim+"assignmentScheduleRequests", map[string]any{"action": "adminAssign", "groupId": g, "accessId": "member", "principalId": who, "justification": "test",
		"scheduleInfo": map[string]any{"expiration": map[string]any{"type": "afterDuration", "duration": "P3D"}}})
	must(t, at, 200, "GET", "/beta/identityGovernance/privilegedAccess/group/resources/"+g, nil)
	if n := len(list("/v1.0/policies/roleManagementPolicyAssignments", "scopeId eq '"+g+"' and scopeType eq 'Group'")); n != 2 {
		t.Errorf("%d policies", n)
	}
	if n := len(list(pim+"assignmentSchedules", "groupId eq '"+g+"'")) + len(must(t, at, 200, "GET", "/v1.0/groups/"+g+"/members", nil)["value"].([]any)); n != 2 {
		t.Errorf("schedule and member are %d", n)
	}
	at.Advance(96 * time.Hour)
	if n := len(list(pim+"assignmentSchedules", "groupId eq '"+g+"'")) + len(must(t, at, 200, "GET", "/v1.0/groups/"+g+"/members", nil)["value"].([]any)); n != 0 {
		t.Errorf("%d are left of what is over", n)
	}
}
