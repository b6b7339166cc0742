package emulator_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func (c *client) want(status int, method, path, body string) reply {
	c.t.Helper()
	r := c.do(method, path, body)
	if r.status != status {
		c.t.Fatalf("%s %s: %d, want %d: %s", method, path, r.status, status, r.raw)
	}
	return r
}

func (c *client) members(path string) []string {
	c.t.Helper()
	var out []string
	items, _, _ := c.all(path)
	for _, m := range items {
		out = append(out, m["id"].(string))
	}
	slices.Sort(out)
	return out
}

func TestWrites(t *testing.T) {
	_, c, i := world(t)
	r := c.want(201, "POST", "/v1.0/users", `{"accountEnabled":true,"displayName":"Nora New","mailNickname":"nora","userPrincipalName":"nora@contoso.example","passwordProfile":{"password":"Abcdefg1!"},"mail":"nora@contoso.example"}`)
	id := r.text("id")
	r = c.want(200, "GET", "/v1.0/users/nora@contoso.example?$select=id,proxyAddresses,createdDateTime,passwordProfile,userType,securityIdentifier", "")
	if r.text("id") != id || fmt.Sprint(r.body["proxyAddresses"]) != "[SMTP:nora@contoso.example]" || r.body["passwordProfile"] != nil || r.text("userType") != "Member" || r.text("securityIdentifier") == "" {
		t.Errorf("computed properties: %s", r.raw)
	}
	if r := c.want(204, "PATCH", "/v1.0/users/"+id, `{"department":"Sales","employeeOrgData":{"division":"EMEA"}}`); r.raw != "" {
		t.Errorf("204 with a body %q", r.raw)
	}
	c.want(204, "PATCH", "/v1.0/users/"+id, `{"employeeOrgData":{"costCenter":"1"}}`)
	r = c.want(200, "GET", "/v1.0/users/"+id+"?$select=department,employeeOrgData", "")
	if o := r.body["employeeOrgData"].(map[string]any); r.text("department") != "Sales" || o["division"] != "EMEA" || o["costCenter"] != "1" {
		t.Errorf("merged: %s", r.raw)
	}
	c.want(204, "PUT", "/v1.0/users/"+id+"/manager/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/users/`+i["user1"]+`"}`)
	if r := c.want(200, "GET", "/v1.0/users/"+id+"/manager", ""); r.text("id") != i["user1"] || r.text("@odata.type") != "#microsoft.graph.user" {
		t.Errorf("manager: %s", r.raw)
	}

	// The exact message of a present member, and a bind of all or none.
	r = c.want(400, "POST", "/v1.0/groups/"+i["glass"]+"/members/$ref", `{"@odata.id":"`+graph+i["glass1"]+`"}`)
	if r.code() != "Request_BadRequest" || r.message() != "One or more added object references already exist for the following modified properties: 'members'." {
		t.Errorf("present member: %s", r.raw)
	}
	before := c.members("/v1.0/groups/" + i["glass"] + "/members")
	c.want(400, "PATCH", "/v1.0/groups/"+i["glass"], `{"description":"x","members@odata.bind":["`+graph+id+`","`+graph+i["glass1"]+`"]}`)
	if after := c.members("/v1.0/groups/" + i["glass"] + "/members"); !slices.Equal(before, after) {
		t.Errorf("a refused bind added %v", after)
	}
	c.want(204, "PATCH", "/v1.0/groups/"+i["glass"], `{"members@odata.bind":["`+graph+id+`","`+graph+i["user2"]+`"]}`)
	if after := c.members("/v1.0/groups/" + i["glass"] + "/members"); len(after) != len(before)+2 {
		t.Errorf("members %v", after)
	}
	c.want(204, "DELETE", "/v1.0/groups/"+i["glass"]+"/members/"+id+"/$ref", "")
	c.want(200, "GET", "/v1.0/users/"+id, "")
	// Without /$ref it is the member that is deleted.
	c.want(204, "DELETE", "/v1.0/groups/"+i["glass"]+"/members/"+i["user2"], "")
	c.want(404, "GET", "/v1.0/users/"+i["user2"], "")
	c.want(200, "GET", "/v1.0/directory/deletedItems/"+i["user2"], "")

	// Names of groups and applications may repeat.
	for range 2 {
		c.want(201, "POST", "/v1.0/groups", `{"displayName":"Twice","mailEnabled":false,"mailNickname":"twice","securityEnabled":true}`)
		c.want(201, "POST", "/v1.0/applications", `{"displayName":"Twice"}`)
	}
	if n := len(c.do("GET", "/v1.0/groups?$filter=displayName%20eq%20'Twice'", "").items()); n != 2 {
		t.Errorf("%d groups of one name", n)
	}
	r = c.do("PATCH", "/v1.0/applications(uniqueName='one')", `{"displayName":"Upserted"}`, "Prefer", "create-if-missing")
	if r.status != 201 {
		t.Errorf("upsert: %d %s", r.status, r.raw)
	}
	if r = c.do("PATCH", "/v1.0/applications(uniqueName='one')", `{"displayName":"Changed"}`, "Prefer", "create-if-missing"); r.status != 204 {
		t.Errorf("second upsert: %d %s", r.status, r.raw)
	}

	// A role leaves in two steps.
	roles := c.do("GET", "/v1.0/applications/"+i["payroll"], "").body["appRoles"].([]any)
	for _, x := range roles {
		x.(map[string]any)["isEnabled"] = false
		delete(x.(map[string]any), "origin")
	}
	c.want(204, "PATCH", "/v1.0/applications/"+i["payroll"], `{"appRoles":`+mustJSON(roles)+`}`)
	c.want(204, "PATCH", "/v1.0/applications/"+i["payroll"], `{"appRoles":[]}`)
	if n := len(c.do("GET", "/v1.0/servicePrincipals/"+i["payrollsp"], "").body["appRoles"].([]any)); n != 0 {
		t.Errorf("the service principal kept %d roles", n)
	}
}

func TestDeletedUserComesBack(t *testing.T) {
	at, c, i := world(t)
	u := i["user1"]
	groups := c.members("/v1.0/users/" + u + "/memberOf")
	must(t, at, 204, "POST", "/v1.0/groups/"+i["glass"]+"/owners/$ref", map[string]any{"@odata.id": graph + u})
	must(t, at, 201, "POST", "/v1.0/roleManagement/directory/roleAssignments", map[string]any{"principalId": u, "roleDefinitionId": "f2ef992c-3afb-46b9-b7cf-a126ee74c451", "directoryScopeId": "/"})
	reports := c.members("/v1.0/users/" + u + "/directReports")
	if len(groups) == 0 || len(reports) == 0 {
		t.Fatalf("user1 has %d groups and %d reports", len(groups), len(reports))
	}
	c.want(204, "DELETE", "/v1.0/users/"+u, "")
	c.want(404, "DELETE", "/v1.0/users/"+u, "")
	r := c.want(200, "GET", "/v1.0/directory/deletedItems/"+u+"?$select=id,userPrincipalName,deletedDateTime", "")
	if r.text("userPrincipalName") != strings.ReplaceAll(u, "-", "")+i["upn1"] || r.text("deletedDateTime") == "" {
		t.Errorf("deleted user: %s", r.raw)
	}
	if got := c.members("/v1.0/directory/deletedItems/microsoft.graph.user"); !slices.Equal(got, []string{u}) {
		t.Errorf("bin %v", got)
	}
	if slices.Contains(c.members("/v1.0/groups/"+i["glass"]+"/owners"), u) {
		t.Error("a deleted owner is listed")
	}
	// The name is free until somebody takes it; then the restore is refused, or gives another.
	other := c.want(201, "POST", "/v1.0/users", `{"accountEnabled":true,"displayName":"N","mailNickname":"n","userPrincipalName":"`+i["upn1"]+`","passwordProfile":{"password":"Abcdefg1!"}}`).text("id")
	r = c.want(400, "POST", "/v1.0/directory/deletedItems/"+u+"/restore", "{}")
	if d := r.body["error"].(map[string]any)["details"].([]any)[0].(map[string]any); d["code"] != "ObjectConflict" {
		t.Errorf("conflict with a living user: %s", r.raw)
	}
	c.want(200, "POST", "/v1.0/directory/deletedItems/"+u+"/restore", `{"newUserPrincipalName":"free@contoso.example"}`)
	c.want(204, "DELETE", "/v1.0/users/"+other, "")
	c.want(204, "PATCH", "/v1.0/users/"+u, `{"userPrincipalName":"`+i["upn1"]+`"}`)
	c.want(204, "DELETE", "/v1.0/users/"+u, "")
	c.want(200, "POST", "/v1.0/directory/deletedItems/"+u+"/restore", "{}")
	if got := c.members("/v1.0/users/" + u + "/memberOf"); !slices.Equal(got, groups) {
		t.Errorf("groups %v, before %v", got, groups)
	}
	if n := len(c.do("GET", "/v1.0/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'"+u+"'", "").items()); n == 0 {
		t.Error("the role is gone")
	}
	c.want(404, "GET", "/v1.0/users/"+u+"/manager", "")
	if got := c.members("/v1.0/users/" + u + "/directReports"); len(got) != 0 {
		t.Errorf("reports came back: %v", got)
	}
	if slices.Contains(c.members("/v1.0/groups/"+i["glass"]+"/owners"), u) {
		t.Error("the ownership came back")
	}
	// Purged, it is gone with its links.
	c.want(204, "DELETE", "/v1.0/users/"+u, "")
	c.want(204, "DELETE", "/v1.0/directory/deletedItems/"+u, "")
	c.want(404, "POST", "/v1.0/directory/deletedItems/"+u+"/restore", "{}")
	c.want(404, "GET", "/v1.0/directory/deletedItems/"+u, "")
	if n := len(c.do("GET", "/v1.0/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'"+u+"'", "").items()); n != 0 {
		t.Error("the role of a purged user is left")
	}
}

func TestProxyConflictOnRestore(t *testing.T) {
	_, c, i := world(t)
	c.want(204, "DELETE", "/v1.0/users/"+i["user1"], "")
	c.want(204, "PATCH", "/v1.0/users/"+i["user2"], `{"mail":"`+i["upn1"]+`"}`)
	c.want(400, "POST", "/v1.0/directory/deletedItems/"+i["user1"]+"/restore", "{}")
	c.want(200, "POST", "/v1.0/directory/deletedItems/"+i["user1"]+"/restore", `{"autoReconcileProxyConflict":true,"newUserPrincipalName":"back@contoso.example"}`)
	if r := c.want(200, "GET", "/v1.0/users/back@contoso.example?$select=id,proxyAddresses", ""); r.text("id") != i["user1"] || strings.Contains(r.raw, i["upn1"]+`"`) && strings.Contains(r.raw, "SMTP:"+i["upn1"]) {
		t.Errorf("restored: %s", r.raw)
	}
}

func TestBins(t *testing.T) {
	at, c, i := world(t)
	// A security group says that it is not security enabled while deleted.
	c.want(204, "DELETE", "/v1.0/groups/"+i["plain"], "")
	if r := c.want(200, "GET", "/v1.0/directory/deletedItems/"+i["plain"], ""); r.body["securityEnabled"] != false {
		t.Errorf("deleted group: %s", r.raw)
	}
	members := func() int { return len(c.members("/v1.0/groups/" + i["finance"] + "/members")) }
	n := members()
	c.want(204, "DELETE", "/v1.0/groups/"+i["finance"], "")
	c.want(200, "POST", "/v1.0/directory/deletedItems/"+i["finance"]+"/restore", "")
	if members() != n {
		t.Errorf("%d members, before %d", members(), n)
	}
	// The service principal goes with its application, stays away, and cannot come back without it.
	c.want(204, "DELETE", "/v1.0/applications/"+i["payroll"], "")
	c.want(404, "GET", "/v1.0/servicePrincipals/"+i["payrollsp"], "")
	c.want(400, "POST", "/v1.0/directory/deletedItems/"+i["payrollsp"]+"/restore", "")
	c.want(200, "POST", "/v1.0/directory/deletedItems/"+i["payroll"]+"/restore", "")
	c.want(404, "GET", "/v1.0/servicePrincipals/"+i["payrollsp"], "")
	c.want(200, "POST", "/v1.0/directory/deletedItems/"+i["payrollsp"]+"/restore", "")
	if len(c.members("/v1.0/servicePrincipals/"+i["payrollsp"]+"/appRoleAssignedTo")) == 0 {
		t.Error("its assignments are gone")
	}
	// A second service principal of the same application blocks the restore.
	c.want(204, "DELETE", "/v1.0/servicePrincipals/"+i["expensessp"], "")
	appID := c.want(200, "GET", "/v1.0/applications/"+i["expenses"], "").text("appId")
	c.want(201, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`)
	c.want(409, "POST", "/v1.0/directory/deletedItems/"+i["expensessp"]+"/restore", "")
	// What is purged is purged alone, and what was bound to it never comes back.
	c.want(204, "DELETE", "/v1.0/applications/"+i["payroll"], "")
	c.want(204, "DELETE", "/v1.0/directory/deletedItems/"+i["payroll"], "")
	c.want(200, "GET", "/v1.0/directory/deletedItems/"+i["payrollsp"], "")
	c.want(400, "POST", "/v1.0/directory/deletedItems/"+i["payrollsp"]+"/restore", "")
	// Units cannot be purged.
	c.want(204, "DELETE", "/v1.0/directory/administrativeUnits/"+i["nl"], "")
	c.want(400, "DELETE", "/v1.0/directory/deletedItems/"+i["nl"], "")
	c.want(200, "POST", "/v1.0/directory/deletedItems/"+i["nl"]+"/restore", "")
	if len(c.members("/v1.0/directory/administrativeUnits/"+i["nl"]+"/members")) == 0 {
		t.Error("its members are gone")
	}
	// Conditional Access has bins of its own.
	was := c.want(200, "GET", "/v1.0/identity/conditionalAccess/policies/"+i["mfa"], "")
	c.want(204, "DELETE", "/v1.0/identity/conditionalAccess/policies/"+i["mfa"], "")
	c.want(404, "GET", "/v1.0/identity/conditionalAccess/policies/"+i["mfa"], "")
	c.want(404, "GET", "/v1.0/directory/deletedItems/"+i["mfa"], "")
	if got := c.members("/v1.0/identity/conditionalAccess/deletedItems/policies"); !slices.Equal(got, []string{i["mfa"]}) {
		t.Errorf("policy bin %v", got)
	}
	back := c.want(200, "POST", "/v1.0/identity/conditionalAccess/deletedItems/policies/"+i["mfa"]+"/restore", "")
	if back.text("id") != i["mfa"] || back.text("state") != was.text("state") {
		t.Errorf("restored policy %s", back.raw)
	}
	c.want(204, "DELETE", "/v1.0/identity/conditionalAccess/namedLocations/"+i["branch"], "")
	c.want(200, "POST", "/v1.0/identity/conditionalAccess/deletedItems/namedLocations/"+i["branch"]+"/restore", "")
	c.want(204, "DELETE", "/v1.0/identity/conditionalAccess/namedLocations/"+i["branch"], "")
	c.want(204, "DELETE", "/v1.0/identity/conditionalAccess/deletedItems/namedLocations/"+i["branch"], "")
	// Thirty days later the bins are empty.
	c.want(204, "DELETE", "/v1.0/users/"+i["user3"], "")
	at.Advance(29 * 24 * time.Hour)
	if s, _ := at.Do("GET", "/v1.0/directory/deletedItems/"+i["user3"], nil); s != 200 {
		t.Errorf("after 29 days: %d", s)
	}
	at.Advance(2 * 24 * time.Hour)
	if s, _ := at.Do("GET", "/v1.0/directory/deletedItems/"+i["user3"], nil); s != 404 {
		t.Errorf("after 31 days: %d", s)
	}
}

func TestPolicyPatch(t *testing.T) {
	_, c, i := world(t)
	path := "/v1.0/identity/conditionalAccess/policies/" + i["mfa"]
	c.want(204, "PATCH", path, `{"conditions":{"signInRiskLevels":["high"]}}`)
	r := c.want(200, "GET", path, "")
	cond := r.body["conditions"].(map[string]any)
	if cond["users"].(map[string]any)["excludeGroups"].([]any)[0] != i["glass"] || cond["signInRiskLevels"].([]any)[0] != "high" || r.text("modifiedDateTime") == "" {
		t.Errorf("a condition left out did not keep its value: %s", r.raw)
	}
	c.want(204, "PATCH", path, `{"conditions":{"users":{"includeUsers":["All"]}}}`)
	cond = c.want(200, "GET", path, "").body["conditions"].(map[string]any)
	if n := len(cond["users"].(map[string]any)["excludeGroups"].([]any)); n != 0 {
		t.Error("a value sent did not replace the one there")
	}
	c.want(204, "PATCH", path, `{"grantControls":{"operator":"OR","authenticationStrength":{"id":"`+i["keys"]+`"}},"sessionControls":null,"conditions":{"locations":{"includeLocations":["All"]}}}`)
	g := c.want(200, "GET", path, "").body["grantControls"].(map[string]any)
	if g["authenticationStrength"].(map[string]any)["displayName"] != "Administrators with keys" || g["authenticationStrength@odata.context"] == nil {
		t.Errorf("strength is not embedded: %v", g)
	}
	c.want(204, "PATCH", path, `{"conditions":{"locations":null}}`)
	if l := c.want(200, "GET", path, "").body["conditions"].(map[string]any)["locations"]; l != nil {
		t.Errorf("null did not clear: %v", l)
	}
	// A deleted group stays in the policy as a stale id.
	c.want(204, "PATCH", path, `{"conditions":{"users":{"includeUsers":["All"],"excludeGroups":["`+i["plain"]+`"]}}}`)
	c.want(204, "DELETE", "/v1.0/groups/"+i["plain"], "")
	c.want(204, "DELETE", "/v1.0/directory/deletedItems/"+i["plain"], "")
	if r := c.want(200, "GET", path, ""); !strings.Contains(r.raw, i["plain"]) {
		t.Error("the stale id is gone")
	}
	usage := c.want(200, "GET", "/v1.0/policies/authenticationStrengthPolicies/"+i["keys"]+"/usage", "")
	if len(usage.body["mfa"].([]any)) != 2 {
		t.Errorf("usage: %s", usage.raw)
	}
	r = c.want(200, "POST", "/v1.0/policies/authenticationStrengthPolicies/"+i["keys"]+"/updateAllowedCombinations", `{"allowedCombinations":["fido2"]}`)
	if fmt.Sprint(r.body["currentCombinations"]) != "[fido2]" || len(r.body["previousCombinations"].([]any)) != 2 {
		t.Errorf("combinations: %s", r.raw)
	}
	fido := "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/fido2"
	c.want(204, "PATCH", fido, `{"@odata.type":"#microsoft.graph.fido2AuthenticationMethodConfiguration","state":"disabled","isAttestationEnforced":true}`)
	c.want(204, "DELETE", fido, "")
	if r := c.want(200, "GET", fido, ""); r.body["isAttestationEnforced"] != false {
		t.Errorf("DELETE did not revert: %s", r.raw)
	}
}

func TestEvolvableEnumerations(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.CaptureApp())
	path := "/v1.0/identity/conditionalAccess/policies/" + at.Find("policies", "Unmanaged devices sign in daily")
	platforms := func(h ...string) any {
		return c.do("GET", path, "", h...).body["conditions"].(map[string]any)["platforms"].(map[string]any)["excludePlatforms"].([]any)[0]
	}
	if p := platforms(); p != "unknownFutureValue" {
		t.Errorf("without Prefer: %v", p)
	}
	if p := platforms("Prefer", "include-unknown-enum-members"); p != "linux" {
		t.Errorf("with Prefer: %v", p)
	}
}

func TestLicences(t *testing.T) {
	_, c, i := world(t)
	p2 := "84a661c4-e949-4bd2-a560-ed7766fcaf2b"
	path := "/v1.0/users/" + i["user1"]
	c.want(200, "POST", path+"/assignLicense", `{"addLicenses":[{"skuId":"`+p2+`","disabledPlans":[]}],"removeLicenses":[]}`)
	r := c.want(200, "GET", path+"?$select=assignedLicenses,licenseAssignmentStates", "")
	direct, byGroup := 0, 0
	for _, s := range r.body["licenseAssignmentStates"].([]any) {
		if s.(map[string]any)["assignedByGroup"] == nil {
			direct++
		} else {
			byGroup++
		}
	}
	if direct != 1 || byGroup != 1 || len(r.body["assignedLicenses"].([]any)) != 2 {
		t.Errorf("licences: %s", r.raw)
	}
	c.want(200, "POST", path+"/assignLicense", `{"addLicenses":[],"removeLicenses":["`+p2+`"]}`)

	// Of the other one there are five: a sixth person gets it when one of the five is gone, or gives it back.
	p1 := "078d2b04-f1bd-4111-bbd4-b4b1b354cef4"
	var at []string
	for n := range 7 {
		at = append(at, "/v1.0/users/"+i[fmt.Sprintf("user%d", n+1)])
	}
	give := func(status int, user string) {
		c.want(status, "POST", user+"/assignLicense", `{"addLicenses":[{"skuId":"`+p1+`","disabledPlans":[]}],"removeLicenses":[]}`)
	}
	for _, user := range at[:5] {
		give(200, user)
	}
	give(200, at[0]) // has it
	give(400, at[5])
	c.want(204, "DELETE", at[1], "")
	give(200, at[5])
	give(400, at[6])
	c.want(200, "POST", at[0]+"/assignLicense", `{"addLicenses":[],"removeLicenses":["`+p1+`"]}`)
	give(200, at[6])
	give(400, at[0])
}

func TestAudits(t *testing.T) {
	at, c, i := world(t)
	from := at.Now().UTC().Format("2006-01-02T15:04:05.0000000Z")
	at.As("user", i["admin"], "admin@contoso.example").Do("PATCH", "/v1.0/users/"+i["user1"], map[string]any{"department": "Somewhere"})
	at.As("app", i["appid"], "Payroll").Do("POST", "/v1.0/groups/"+i["glass"]+"/members/$ref", map[string]any{"@odata.id": graph + i["user1"]})
	c.want(204, "DELETE", "/v1.0/users/"+i["user1"], "")
	items, _, _ := c.all("/v1.0/auditLogs/directoryAudits?$filter=activityDateTime%20ge%20" + from)
	var got []string
	for _, a := range items {
		got = append(got, a["activityDisplayName"].(string))
	}
	if want := []string{"Delete user", "Add member to group", "Update user"}; !slices.Equal(got, want) {
		t.Fatalf("audits %v, want %v", got, want)
	}
	by := items[2]["initiatedBy"].(map[string]any)
	if by["app"] != nil || by["user"].(map[string]any)["userPrincipalName"] != "admin@contoso.example" {
		t.Errorf("initiator %v", by)
	}
	mod := items[2]["targetResources"].([]any)[0].(map[string]any)["modifiedProperties"].([]any)[0].(map[string]any)
	if mod["newValue"] != `["Somewhere"]` {
		t.Errorf("modified property %v", mod)
	}
	if by := items[0]["initiatedBy"].(map[string]any); by["user"] != nil || by["app"].(map[string]any)["displayName"] != "Directory restore writer" {
		t.Errorf("initiator over HTTP %v", by)
	}
	for f, n := range map[string]int{"activityDisplayName eq 'Update user'": 1, "targetResources/any(t:t/id eq '" + i["glass"] + "')": 1, "initiatedBy/user/userPrincipalName eq 'admin@contoso.example'": 1, "activityDateTime ge 2099-01-01T00:00:00Z": 0} {
		if r := c.do("GET", "/v1.0/auditLogs/directoryAudits?$filter="+strings.ReplaceAll(f, " ", "%20"), ""); len(r.items()) != n {
			t.Errorf("%s: %d items: %s", f, len(r.items()), r.raw)
		}
	}
	// Pages hold together while the log grows.
	for n := range 30 {
		at.Do("PATCH", "/v1.0/users/"+i["user2"], map[string]any{"department": fmt.Sprint("D", n)})
	}
	first := c.do("GET", "/v1.0/auditLogs/directoryAudits?$top=10", "")
	at.Do("PATCH", "/v1.0/users/"+i["user2"], map[string]any{"department": "late"})
	rest, _, _ := c.all(first.text("@odata.nextLink"))
	seen := map[any]bool{}
	for _, a := range append(first.items(), rest...) {
		if seen[a["id"]] {
			t.Fatalf("audit %v twice", a["id"])
		}
		seen[a["id"]] = true
	}
	if len(seen) != 33 {
		t.Errorf("%d audits, want 33", len(seen))
	}
}

// state applies delta pages as a client does.
type state struct {
	objects map[string]map[string]any
	members map[string]map[string]bool
	gone    map[string]string
}

func (s *state) apply(items []map[string]any) {
	for _, it := range items {
		id := it["id"].(string)
		if r, ok := it["@removed"].(map[string]any); ok {
			delete(s.objects, id)
			s.gone[id] = r["reason"].(string)
			continue
		}
		delete(s.gone, id)
		if s.objects[id] == nil {
			s.objects[id] = map[string]any{}
		}
		maps.Copy(s.objects[id], it)
		if s.members[id] == nil {
			s.members[id] = map[string]bool{}
		}
		links, _ := it["members@delta"].([]any)
		for _, l := range links {
			m := l.(map[string]any)
			if m["@removed"] != nil {
				delete(s.members[id], m["id"].(string))
			} else {
				s.members[id][m["id"].(string)] = true
			}
		}
	}
}

func TestDelta(t *testing.T) {
	at := start(t, emulator.Options{Users: 2500, Groups: 30})
	c := newClient(t, at, at.RestoreApp())
	s := &state{map[string]map[string]any{}, map[string]map[string]bool{}, map[string]string{}}
	items, pages, last := c.all("/v1.0/groups/delta?$select=displayName,description,members")
	everyone, plain, glass := at.Find("groups", "All employees"), at.Find("groups", "Engineering"), at.Find("groups", "Break-glass accounts")
	slices := 0
	for _, it := range items {
		if it["id"] == everyone {
			slices++
		}
		if _, ok := it["mail"]; ok {
			t.Fatalf("an unselected property: %v", it)
		}
	}
	if slices < 2 || pages < 3 {
		t.Errorf("a group of 2,300 came in %d parts over %d pages", slices, pages)
	}
	s.apply(items)
	if len(s.objects) != 30 {
		t.Errorf("%d groups", len(s.objects))
	}
	for id := range s.objects {
		if got, want := len(s.members[id]), len(c.members("/v1.0/groups/"+id+"/members?$top=999")); got != want {
			t.Errorf("group %s: %d members by delta, %d listed", id, got, want)
		}
	}
	link := last.text("@odata.deltaLink")
	if items, _, _ := c.all(link); len(items) != 0 {
		t.Errorf("news without a change: %v", items)
	}
	user := at.Find("users", "Sigrid Security")
	glass1 := at.Find("users", "Break-glass 1")
	must(t, at, 204, "PATCH", "/v1.0/groups/"+plain, map[string]any{"description": "changed"})
	must(t, at, 204, "POST", "/v1.0/groups/"+plain+"/members/$ref", map[string]any{"@odata.id": graph + user})
	must(t, at, 204, "DELETE", "/v1.0/groups/"+glass+"/members/"+glass1+"/$ref", nil)
	must(t, at, 204, "DELETE", "/v1.0/groups/"+at.Find("groups", "Finance"), nil)
	made := must(t, at, 201, "POST", "/v1.0/groups", map[string]any{"displayName": "Made", "mailEnabled": false, "mailNickname": "made", "securityEnabled": true, "members@odata.bind": []string{graph + user}})["id"].(string)
	at.Do("PATCH", "/v1.0/groups/"+at.Find("groups", "Partner guests"), map[string]any{"mailNickname": "unselected"})
	for range 2 { // a link may be followed again
		items, _, last = c.all(link)
		if len(items) != 5 { // one of them the group the deleted one was a member of
			t.Errorf("%d news: %s", len(items), mustJSON(items))
		}
	}
	s.apply(items)
	if !s.members[plain][user] || s.members[glass][glass1] || s.objects[plain]["description"] != "changed" || !s.members[made][user] {
		t.Error("the changes did not arrive")
	}
	if len(s.gone) != 1 || !strings.Contains(mustJSON(s.gone), "changed") {
		t.Errorf("gone %v", s.gone)
	}
	link = last.text("@odata.deltaLink")
	must(t, at, 204, "PATCH", "/v1.0/groups/"+plain, map[string]any{"description": nil})
	r := c.do("GET", link, "", "Prefer", "return=minimal")
	it := r.items()[0]
	if v, ok := it["description"]; !ok || v != nil {
		t.Errorf("a cleared property: %v", it)
	}
	if _, ok := it["displayName"]; ok {
		t.Errorf("return=minimal returned %v", it)
	}
	if _, ok := c.do("GET", link, "").items()[0]["displayName"]; !ok {
		t.Error("an unchanged property is missing without return=minimal")
	}
	latest := c.do("GET", "/v1.0/users/delta?$deltatoken=latest", "")
	if len(latest.items()) != 0 || latest.text("@odata.deltaLink") == "" {
		t.Errorf("latest: %s", latest.raw)
	}
	must(t, at, 204, "DELETE", "/v1.0/users/"+user, nil)
	news, _, _ := c.all(latest.text("@odata.deltaLink"))
	if n := len(news); n == 0 || !strings.Contains(mustJSON(news), `"reason":"changed"`) {
		t.Errorf("a deleted user: %v", news)
	}
	must(t, at, 204, "DELETE", "/v1.0/directory/deletedItems/"+user, nil)
	news, _, _ = c.all(latest.text("@odata.deltaLink"))
	if !strings.Contains(mustJSON(news), `"reason":"deleted"`) {
		t.Errorf("a purged user: %v", news)
	}
	at.Advance(8 * 24 * time.Hour)
	c = newClient(t, at, at.RestoreApp())
	r = c.do("GET", link, "")
	if r.status != 410 || !strings.HasPrefix(r.header.Get("Location"), at.URL()+"/v1.0/groups/delta?$deltatoken=") {
		t.Fatalf("expired: %d %v", r.status, r.header)
	}
	if r := c.do("GET", r.header.Get("Location"), ""); r.status != 200 || len(r.items()) == 0 {
		t.Errorf("after the reset: %d", r.status)
	}
	for _, p := range []string{"/users", "/applications", "/servicePrincipals", "/directory/administrativeUnits", "/oauth2PermissionGrants"} {
		all, _, last := c.all("/v1.0" + p + "/delta")
		if len(all) == 0 || last.text("@odata.deltaLink") == "" {
			t.Errorf("%s/delta: %d items", p, len(all))
		}
	}
	if all, _, _ := c.all("/v1.0/groups/delta?$filter=id%20eq%20'" + plain + "'%20or%20id%20eq%20'" + glass + "'"); len(all) != 2 {
		t.Errorf("delta of two ids: %d", len(all))
	}
	// A property that was never set is absent, not null.
	if all, _, _ := c.all("/v1.0/groups/delta?$select=mail,displayName&$filter=id%20eq%20'" + plain + "'"); strings.Contains(mustJSON(all), `"mail"`) {
		t.Errorf("never set: %v", all)
	}
}

func TestBatch(t *testing.T) {
	at, c, i := world(t)
	post := func(reqs ...string) reply {
		return c.do("POST", "/v1.0/$batch", `{"requests":[`+strings.Join(reqs, ",")+`]}`)
	}
	byID := func(r reply) map[string]map[string]any {
		out := map[string]map[string]any{}
		a, _ := r.body["responses"].([]any)
		for _, x := range a {
			m := x.(map[string]any)
			out[m["id"].(string)] = m
		}
		return out
	}
	r := post(`{"id":"1","method":"GET","url":"/users/`+i["user1"]+`?$select=id"}`, `{"id":"2","method":"GET","url":"users/`+i["gone"]+`"}`,
		`{"id":"3","method":"PATCH","url":"/users/`+i["user1"]+`","headers":{"Content-Type":"application/json"},"body":{"department":"B"}}`,
		`{"id":"4","method":"GET","url":"/users/`+i["user1"]+`","dependsOn":["2"]}`, `{"id":"5","method":"PATCH","url":"/users/x","body":{}}`, `{"id":"6","method":"GET","url":"https://x/y"}`)
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.raw)
	}
	got := byID(r)
	for id, want := range map[string]float64{"1": 200, "2": 404, "3": 204, "4": 424, "5": 400, "6": 400} {
		if got[id]["status"] != want {
			t.Errorf("item %s: %v", id, got[id])
		}
	}
	if _, ok := got["3"]["body"]; ok {
		t.Error("a 204 item with a body")
	}
	if r.body["responses"].([]any)[0].(map[string]any)["id"] == "1" {
		t.Error("the answers are in order")
	}
	item := `{"id":"%s","method":"GET","url":"/users"}`
	var many []string
	for n := range 21 {
		many = append(many, fmt.Sprintf(item, fmt.Sprint(n)))
	}
	for name, reqs := range map[string][]string{"21 items": many, "one id twice": {fmt.Sprintf(item, "a"), fmt.Sprintf(item, "A")}, "no method": {`{"id":"1","url":"/users"}`}, "absent dependency": {`{"id":"1","method":"GET","url":"/users","dependsOn":["9"]}`},
		"circle": {`{"id":"1","method":"GET","url":"/users","dependsOn":["2"]}`, `{"id":"2","method":"GET","url":"/users","dependsOn":["1"]}`}} {
		if r := post(reqs...); r.status != 400 {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	at.Inject(emulator.Fault{Match: "GET /groups", Status: 429, RetryAfter: "0.249"})
	got = byID(post(fmt.Sprintf(item, "a"), `{"id":"b","method":"GET","url":"/groups"}`))
	if got["a"]["status"] != 200.0 || got["b"]["status"] != 429.0 || got["b"]["headers"].(map[string]any)["Retry-After"] != "0.249" {
		t.Errorf("an item throttled: %v", got["b"])
	}
}

func TestFaults(t *testing.T) {
	at, c, i := world(t)
	at.ResetRequests()
	at.Inject(emulator.Fault{Match: "GET /v1.0/users", Page: 2, Status: 503})
	first := c.want(200, "GET", "/v1.0/users?$top=20", "")
	c.want(503, "GET", first.text("@odata.nextLink"), "")
	c.want(200, "GET", first.text("@odata.nextLink"), "")
	at.Inject(emulator.Fault{Match: "* /groups", After: 1, Times: 2, Status: 500, Body: "<html>", ContentType: "text/html"})
	c.want(200, "GET", "/v1.0/groups", "")
	for range 2 {
		if r := c.want(500, "GET", "/v1.0/groups", ""); r.raw != "<html>" || r.header.Get("Content-Type") != "text/html" {
			t.Errorf("body %q", r.raw)
		}
	}
	c.want(200, "GET", "/v1.0/groups", "")
	at.Inject(emulator.Fault{Match: `PATCH /users/[0-9a-f-]+$`, Reset: true, Commit: true})
	if _, err := c.try(t.Context(), "PATCH", "/v1.0/users/"+i["user1"], `{"department":"Kept"}`); err == nil {
		t.Error("the connection was not dropped")
	}
	if r := c.want(200, "GET", "/v1.0/users/"+i["user1"]+"?$select=department", ""); r.text("department") != "Kept" {
		t.Error("the write was not carried out")
	}
	at.Inject(emulator.Fault{Match: `PATCH /users`, Status: 504})
	c.want(504, "PATCH", "/v1.0/users/"+i["user1"], `{"department":"Lost"}`)
	if r := c.want(200, "GET", "/v1.0/users/"+i["user1"]+"?$select=department", ""); r.text("department") != "Kept" {
		t.Error("the write was carried out")
	}
	at.Inject(emulator.Fault{Match: "GET /users", Times: -1, Status: 503})
	c.want(503, "GET", "/v1.0/users", "")
	at.ClearFaults()
	c.want(200, "GET", "/v1.0/users", "")
	reqs := at.Requests()
	writes := 0
	for _, r := range reqs {
		if r.Write {
			writes++
		}
	}
	if len(reqs) != 13 || writes != 2 || reqs[0].Path != "/v1.0/users?$top=20" {
		t.Errorf("%d requests, %d writes: %v", len(reqs), writes, reqs)
	}
}

// The sessions of a person end by themselves: who else they are, and that they may sign in again, stays.
func TestSessionsEnd(t *testing.T) {
	at, c, _ := world(t)
	id := at.Find("users", "Ada Admin")
	const seen = "?$select=accountEnabled,signInSessionsValidFromDateTime"
	before := c.want(200, "GET", "/v1.0/users/"+id+seen, "")
	at.Advance(time.Hour)
	if r := c.want(200, "POST", "/v1.0/users/"+id+"/revokeSignInSessions", "{}"); r.body["value"] != true {
		t.Errorf("%v", r.body)
	}
	after := c.want(200, "GET", "/v1.0/users/"+id+seen, "")
	if after.text("signInSessionsValidFromDateTime") <= before.text("signInSessionsValidFromDateTime") || after.body["accountEnabled"] != true {
		t.Errorf("%v, was %v", after.body, before.body)
	}
	c.want(404, "POST", "/v1.0/users/00000000-0000-4000-8000-000000000000/revokeSignInSessions", "{}")
}

func TestLag(t *testing.T) {
	at, c, _ := world(t)
	at.Lag(3)
	id := c.want(201, "POST", "/v1.0/groups", `{"displayName":"Late","mailEnabled":false,"mailNickname":"late","securityEnabled":true}`).text("id")
	c.want(404, "GET", "/v1.0/groups/"+id, "")
	if n := len(c.do("GET", "/v1.0/groups?$filter=displayName%20eq%20'Late'", "").items()); n != 0 {
		t.Error("a listing shows it already")
	}
	c.want(404, "PATCH", "/v1.0/groups/"+id, `{"description":"x"}`)
	c.want(200, "GET", "/v1.0/groups/"+id, "")
	c.want(204, "PATCH", "/v1.0/groups/"+id, `{"description":"x"}`)
	for range 3 {
		if r := c.want(200, "GET", "/v1.0/groups/"+id, ""); r.body["description"] != nil {
			t.Error("the change shows already")
		}
	}
	if r := c.want(200, "GET", "/v1.0/groups/"+id, ""); r.text("description") != "x" {
		t.Error("the change does not show")
	}
	at.Lag(0)
}

func TestThrottle(t *testing.T) {
	at, c, _ := world(t)
	at.Throttle(1)
	statuses := map[int]int{}
	for range 4 {
		r := c.do("GET", "/v1.0/identity/conditionalAccess/policies", "")
		statuses[r.status]++
		if r.status == 429 && (r.header.Get("Retry-After") != "" || r.code() != "TooManyRequests") {
			t.Errorf("policy 429: %v", r.header)
		}
	}
	if statuses[429] == 0 || statuses[200] == 0 {
		t.Errorf("Conditional Access: %v", statuses)
	}
	c.want(200, "GET", "/v1.0/users", "") // another service
	var limited reply
	for range 2000 {
		if r := c.do("GET", "/v1.0/groups/"+at.ID()+"/transitiveMembers", ""); r.status == 429 {
			limited = r
			break
		}
	}
	if limited.status != 429 || limited.header.Get("Retry-After") == "" || !strings.HasPrefix(limited.header.Get("x-ms-throttle-scope"), "Tenant_Application/ReadWrite/") {
		t.Errorf("no directory 429: %v", limited.header)
	}
	at.Throttle(0)
	c.want(200, "GET", "/v1.0/users", "")
}

func TestAdministratorsNeedARank(t *testing.T) {
	at, c, i := world(t)
	c.want(204, "PATCH", "/v1.0/users/"+i["glass1"], `{"accountEnabled":false}`)
	_, r := at.Do("GET", "/v1.0/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'"+at.RestoreApp().ObjectID+"'", nil)
	id := r["value"].([]any)[0].(map[string]any)["id"].(string)
	must(t, at, 204, "DELETE", "/v1.0/roleManagement/directory/roleAssignments/"+id, nil)
	c.want(403, "PATCH", "/v1.0/users/"+i["glass1"], `{"accountEnabled":true}`)
	c.want(403, "DELETE", "/v1.0/users/"+i["glass1"], "")
	c.want(204, "PATCH", "/v1.0/users/"+i["glass1"], `{"department":"x"}`)
	c.want(204, "PATCH", "/v1.0/users/"+i["user4"], `{"accountEnabled":false}`)
}

func TestLastGlobalAdministrator(t *testing.T) {
	at := start(t, emulator.Options{})
	_, r := at.Do("GET", "/v1.0/roleManagement/directory/roleAssignments?$filter=roleDefinitionId%20eq%20'62e90394-69f5-4237-9190-012177145e10'", nil)
	all := r["value"].([]any)
	for n, x := range all {
		want := 204
		if n == len(all)-1 {
			want = 400
		}
		must(t, at, want, "DELETE", "/v1.0/roleManagement/directory/roleAssignments/"+x.(map[string]any)["id"].(string), nil)
	}
}

// Readers, writers and faults at once: meant for the race detector.
func TestConcurrency(t *testing.T) {
	at, c, i := world(t)
	at.Lag(1)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for k := range 20 {
				_, err := c.try(t.Context(), "PATCH", "/v1.0/users/"+i[fmt.Sprintf("user%d", n+1)], fmt.Sprintf(`{"department":"D%d"}`, k))
				if err != nil {
					t.Error(err)
				}
				for _, p := range []string{"/users?$top=50", "/groups/delta", "/auditLogs/directoryAudits", "/groups?$expand=members"} {
					if r, err := c.try(t.Context(), "GET", "/v1.0"+p, ""); err != nil || r.status != 200 {
						t.Error(r.status, err)
					}
				}
				at.Do("POST", "/v1.0/groups/"+i["plain"]+"/members/$ref", map[string]any{"@odata.id": graph + i[fmt.Sprintf("user%d", k+1)]})
			}
		})
	}
	wg.Wait()
}
