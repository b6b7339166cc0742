package emulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// ids are the objects the rows below refer to.
type ids map[string]string

func (i ids) fill(s string) string {
	for k, v := range i {
		s = strings.ReplaceAll(s, "{"+k+"}", v)
	}
	return s
}

func must(t *testing.T, at *emulator.Tenant, want int, method, path string, body any) map[string]any {
	t.Helper()
	status, r := at.Do(method, path, body)
	if status != want {
		t.Fatalf("%s %s: %d %v", method, path, status, r)
	}
	return r
}

const graph = "https://graph.microsoft.com/v1.0/directoryObjects/"

func world(t *testing.T) (*emulator.Tenant, *client, ids) {
	t.Helper()
	at := start(t, emulator.Options{Users: 100, Groups: 40})
	c := newClient(t, at, at.RestoreApp())
	i := ids{"zero": "00000000-0000-0000-0000-000000000000", "gone": "11111111-2222-4333-8444-555555555555"}
	for name, at2 := range map[string][2]string{"admin": {"users", "Ada Admin"}, "glass1": {"users", "Break-glass 1"}, "glass": {"groups", "Break-glass accounts"}, "tier0": {"groups", "Tier 0 administrators"},
		"everyone": {"groups", "All employees"}, "finance": {"groups", "Finance"}, "pilot": {"groups", "MFA pilot"}, "payroll": {"applications", "Payroll"}, "payrollsp": {"servicePrincipals", "Payroll"}, "expenses": {"applications", "Expenses"},
		"expensessp": {"servicePrincipals", "Expenses"}, "graphsp": {"servicePrincipals", "Microsoft Graph"}, "vm": {"servicePrincipals", "vm-build-01"}, "nl": {"administrativeUnits", "Netherlands"},
		"office": {"namedLocations", "Head office"}, "branch": {"namedLocations", "Branch offices"}, "countries": {"namedLocations", "Countries without staff"}, "keys": {"authenticationStrengthPolicies", "Administrators with keys"},
		"mfa": {"policies", "Require MFA for all users"}, "managed": {"policies", "Microsoft-managed: Multifactor authentication for admins accessing Microsoft Admin Portals"}, "custom": {"roleDefinitions", "Group membership keeper"}} {
		i[name] = at.Find(at2[0], at2[1])
		if i[name] == "" {
			t.Fatalf("no %v", at2)
		}
	}
	// People of no special standing.
	list, _, _ := c.all("/v1.0/users?$select=id,userPrincipalName,onPremisesSyncEnabled,userType,usageLocation")
	n := 0
	for _, u := range list[5:] {
		switch {
		case u["onPremisesSyncEnabled"] == true:
			i["synced"] = u["id"].(string)
		case u["userType"] == "Guest":
			i["guest"] = u["id"].(string)
		default:
			n++
			i[fmt.Sprintf("user%d", n)] = u["id"].(string)
			i[fmt.Sprintf("upn%d", n)] = u["userPrincipalName"].(string)
		}
	}
	groups, _, _ := c.all("/v1.0/groups")
	for _, g := range groups[8:] {
		if g["onPremisesSyncEnabled"] == true {
			i["syncedgroup"] = g["id"].(string)
		} else if g["mailEnabled"] == true && i["m365"] == "" {
			i["m365"], i["m365nick"] = g["id"].(string), g["mailNickname"].(string)
		} else if g["mailEnabled"] == false && i["plain"] == "" {
			i["plain"] = g["id"].(string)
		}
	}
	assignments, _, _ := c.all("/v1.0/servicePrincipals/" + i["payrollsp"] + "/appRoleAssignedTo")
	i["appassignment"] = assignments[0]["id"].(string)
	held, _, _ := c.all("/v1.0/roleManagement/directory/roleAssignments")
	i["assignment"] = held[0]["id"].(string)
	i["roleprincipal"], i["role"] = assignments[0]["principalId"].(string), assignments[0]["appRoleId"].(string)
	app := c.do("GET", "/v1.0/applications/"+i["payroll"], "")
	i["appid"] = app.text("appId")
	i["daemon"] = app.body["appRoles"].([]any)[1].(map[string]any)["id"].(string)
	grants, _, _ := c.all("/v1.0/oauth2PermissionGrants")
	i["grant"], i["client"] = grants[0]["id"].(string), grants[0]["clientId"].(string)
	return at, c, i
}

// What the service is documented to refuse, the tenant refuses.
func TestRefusals(t *testing.T) {
	at, c, i := world(t)
	user := func(more string) string {
		return `{"accountEnabled":true,"displayName":"N","mailNickname":"n","userPrincipalName":"new@contoso.example","passwordProfile":{"password":"Abcdefg1!"}` + more + `}`
	}
	group := func(more string) string {
		return `{"displayName":"G","mailEnabled":false,"mailNickname":"gnick","securityEnabled":true` + more + `}`
	}
	unified := func(more string) string {
		return `{"displayName":"G","mailEnabled":true,"mailNickname":"gnick","securityEnabled":false,"groupTypes":["Unified"]` + more + `}`
	}
	policy := func(cond, rest string) string {
		return `{"displayName":"P","state":"disabled","conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":["All"]},"clientAppTypes":["all"]` + cond + `}` + rest + `}`
	}
	mfa := `,"grantControls":{"operator":"OR","builtInControls":["mfa"]}`
	ip := func(more string) string { return `{"@odata.type":"#microsoft.graph.ipNamedLocation"` + more + `}` }
	ref := func(id string) string { return `{"@odata.id":"` + graph + `{` + id + `}"}` }
	bind := func(n int) string {
		var s []string
		for k := range n {
			s = append(s, fmt.Sprintf(`"%s{user%d}"`, graph, k+1))
		}
		return "[" + strings.Join(s, ",") + "]"
	}
	scopes := func(n int) string { return strings.Repeat("a", n) }
	refusals := []struct {
		name, method, path, body string
		status                   int
	}{
		{"body missing", "POST", "/users", ``, 400},
		{"body not an object", "POST", "/users", `[]`, 400},
		{"body with trailing text", "POST", "/users", user("") + "x", 400},
		{"body with a property twice", "POST", "/users", user(`,"displayName":"M"`), 400},
		{"unknown property", "POST", "/users", user(`,"nonsense":1`), 400},
		{"unknown annotation", "POST", "/users", user(`,"x@odata.context":"y"`), 400},
		{"wrong type", "POST", "/users", user(`,"department":5`), 400},
		{"query option on a write", "POST", "/users?$select=id", user(""), 400},
		{"wrong method on a collection", "PATCH", "/users", user(""), 405},
		{"wrong method on an object", "PUT", "/users/{user1}", user(""), 405},
		{"unknown object", "GET", "/users/{gone}", ``, 404},
		{"unknown user name", "GET", "/users/nobody@contoso.example", ``, 404},
		{"id of another type", "GET", "/groups/{user1}", ``, 404},
		{"unknown segment", "GET", "/users/{user1}/nonsense", ``, 400},
		{"me without a person", "GET", "/me", ``, 400},

		{"user without password", "POST", "/users", `{"accountEnabled":true,"displayName":"N","mailNickname":"n","userPrincipalName":"new@contoso.example"}`, 400},
		{"user with empty password", "POST", "/users", `{"accountEnabled":true,"displayName":"N","mailNickname":"n","userPrincipalName":"new@contoso.example","passwordProfile":{}}`, 400},
		{"user without accountEnabled", "POST", "/users", `{"displayName":"N","mailNickname":"n","userPrincipalName":"new@contoso.example","passwordProfile":{"password":"Abcdefg1!"}}`, 400},
		{"user with a foreign domain", "POST", "/users", strings.Replace(user(""), "contoso.example", "elsewhere.example", 1), 400},
		{"user with a bad name", "POST", "/users", strings.Replace(user(""), "new@", "né w@", 1), 400},
		{"user with a taken name", "POST", "/users", strings.Replace(user(""), "new@contoso.example", "{upn1}", 1), 400},
		{"user with id", "POST", "/users", user(`,"id":"{gone}"`), 400},
		{"user with createdDateTime", "POST", "/users", user(`,"createdDateTime":"2020-01-01T00:00:00Z"`), 400},
		{"user with proxyAddresses", "POST", "/users", user(`,"proxyAddresses":["SMTP:a@contoso.example"]`), 400},
		{"user with profile property", "POST", "/users", user(`,"aboutMe":"x"`), 400},
		{"user with assignedLicenses", "POST", "/users", user(`,"assignedLicenses":[]`), 400},
		{"user with odd userType", "POST", "/users", user(`,"userType":"Robot"`), 400},
		{"user with odd usageLocation", "POST", "/users", user(`,"usageLocation":"Holland"`), 400},
		{"user with two phones", "POST", "/users", user(`,"businessPhones":["1","2"]`), 400},
		{"user with a long department", "POST", "/users", user(`,"department":"` + strings.Repeat("d", 65) + `"`), 400},
		{"user with an empty text", "POST", "/users", user(`,"department":""`), 400},
		{"user with odd ageGroup", "POST", "/users", user(`,"ageGroup":"Old"`), 400},
		{"user with odd passwordPolicies", "POST", "/users", user(`,"passwordPolicies":"Anything"`), 400},
		{"user with eleven certificates", "POST", "/users", user(`,"authorizationInfo":{"certificateUserIds":["1","2","3","4","5","6","7","8","9","10","11"]}`), 400},
		{"user with a spaced nickname", "POST", "/users", strings.Replace(user(""), `"n"`, `"n n"`, 1), 400},
		{"user with $ in the anchor", "POST", "/users", user(`,"onPremisesImmutableId":"a$b"`), 400},
		{"clear displayName", "PATCH", "/users/{user1}", `{"displayName":null}`, 400},
		{"clear mail", "PATCH", "/users/{user1}", `{"mail":null}`, 400},
		{"clear usageLocation", "PATCH", "/users/{user1}", `{"usageLocation":null}`, 400},
		{"null for a collection", "PATCH", "/users/{user1}", `{"otherMails":null}`, 400},
		{"nested unknown property", "PATCH", "/users/{user1}", `{"employeeOrgData":{"x":1}}`, 400},
		{"patch id", "PATCH", "/users/{user1}", `{"id":"{gone}"}`, 400},
		{"patch licenses", "PATCH", "/users/{user1}", `{"assignedLicenses":[]}`, 400},
		{"patch to a taken name", "PATCH", "/users/{user1}", `{"userPrincipalName":"{upn2}"}`, 400},
		{"patch to a taken address", "PATCH", "/users/{user1}", `{"mail":"{upn2}"}`, 400},
		{"identities without the name", "PATCH", "/users/{user1}", `{"identities":[]}`, 400},
		{"profile with directory properties", "PATCH", "/users/{user1}", `{"aboutMe":"x","department":"y"}`, 400},
		{"profile by an application", "PATCH", "/users/{user1}", `{"aboutMe":"x"}`, 403},
		{"hire date by an application", "PATCH", "/users/{user1}", `{"employeeHireDate":"2020-01-01T00:00:00Z"}`, 403},
		{"security attributes of an absent set", "PATCH", "/users/{user1}", `{"customSecurityAttributes":{"A":{}}}`, 400},
		{"patch a synchronised user", "PATCH", "/users/{synced}", `{"department":"x"}`, 400},
		{"delete a synchronised user", "DELETE", "/users/{synced}", ``, 400},
		{"delete twice", "DELETE", "/users/{gone}", ``, 404},
		{"own manager", "PUT", "/users/{user1}/manager/$ref", ref("user1"), 400},
		{"group as manager", "PUT", "/users/{user1}/manager/$ref", ref("plain"), 400},
		{"manager missing", "PUT", "/users/{user1}/manager/$ref", ref("gone"), 404},
		{"manager by POST", "POST", "/users/{user1}/manager/$ref", ref("user2"), 405},
		{"no manager to read", "GET", "/users/{admin}/manager", ``, 404},
		{"no manager to remove", "DELETE", "/users/{admin}/manager/$ref", ``, 404},
		{"application as sponsor", "POST", "/users/{guest}/sponsors/$ref", ref("payrollsp"), 400},
		{"licence unknown", "POST", "/users/{user1}/assignLicense", `{"addLicenses":[{"skuId":"{gone}"}],"removeLicenses":[]}`, 400},
		{"licence without removeLicenses", "POST", "/users/{user1}/assignLicense", `{"addLicenses":[]}`, 400},
		{"licence not assigned", "POST", "/users/{admin}/assignLicense", `{"addLicenses":[],"removeLicenses":["06ebc4ee-1bb5-47dd-8120-11324bc54e06"]}`, 400},
		{"licence without usageLocation", "POST", "/users/{glass1}/assignLicense", `{"addLicenses":[{"skuId":"06ebc4ee-1bb5-47dd-8120-11324bc54e06"}],"removeLicenses":[]}`, 400},
		{"licence with a foreign plan", "POST", "/users/{user1}/assignLicense", `{"addLicenses":[{"skuId":"06ebc4ee-1bb5-47dd-8120-11324bc54e06","disabledPlans":["{gone}"]}],"removeLicenses":[]}`, 400},

		{"group without mailNickname", "POST", "/groups", `{"displayName":"G","mailEnabled":false,"securityEnabled":true}`, 400},
		{"mail-enabled security group", "POST", "/groups", strings.Replace(group(""), `"mailEnabled":false`, `"mailEnabled":true`, 1), 400},
		{"Microsoft 365 group without mail", "POST", "/groups", group(`,"groupTypes":["Unified"]`), 400},
		{"group of no kind", "POST", "/groups", strings.Replace(group(""), `"securityEnabled":true`, `"securityEnabled":false`, 1), 400},
		{"odd group type", "POST", "/groups", group(`,"groupTypes":["Odd"]`), 400},
		{"dynamic group without rule", "POST", "/groups", group(`,"groupTypes":["DynamicMembership"]`), 400},
		{"rule without dynamic", "POST", "/groups", group(`,"membershipRule":"x"`), 400},
		{"dynamic and role-assignable", "POST", "/groups", group(`,"groupTypes":["DynamicMembership"],"membershipRule":"x","isAssignableToRole":true`), 400},
		{"public and role-assignable", "POST", "/groups", group(`,"isAssignableToRole":true,"visibility":"Public"`), 400},
		{"hidden security group", "POST", "/groups", group(`,"visibility":"HiddenMembership"`), 400},
		{"behaviour of a security group", "POST", "/groups", group(`,"resourceBehaviorOptions":["WelcomeEmailDisabled"]`), 400},
		{"mail property at create", "POST", "/groups", unified(`,"hideFromOutlookClients":true`), 400},
		{"nickname characters", "POST", "/groups", strings.Replace(group(""), "gnick", "g nick", 1), 400},
		{"taken nickname", "POST", "/groups", strings.Replace(unified(""), "gnick", "{m365nick}", 1), 400},
		{"long nickname", "POST", "/groups", strings.Replace(group(""), "gnick", strings.Repeat("n", 65), 1), 400},
		{"classification unknown", "POST", "/groups", unified(`,"classification":"Secret"`), 400},
		{"labels by an application", "POST", "/groups", group(`,"assignedLabels":[{"labelId":"x"}]`), 403},
		{"21 bindings", "POST", "/groups", group(`,"members@odata.bind":` + bind(21)), 400},
		{"binding twice", "POST", "/groups", group(`,"members@odata.bind":["` + graph + `{user1}","` + graph + `{user1}"]`), 400},
		{"binding a missing object", "POST", "/groups", group(`,"members@odata.bind":["` + graph + `{gone}"]`), 404},
		{"binding a strange relationship", "POST", "/groups", group(`,"memberOf@odata.bind":["` + graph + `{user1}"]`), 400},
		{"group owner is a group", "POST", "/groups", group(`,"owners@odata.bind":["` + graph + `{plain}"]`), 400},
		{"patch owners bind", "PATCH", "/groups/{plain}", `{"owners@odata.bind":["` + graph + `{user1}"]}`, 400},
		{"patch mailEnabled", "PATCH", "/groups/{plain}", `{"mailEnabled":true}`, 400},
		{"patch isAssignableToRole", "PATCH", "/groups/{plain}", `{"isAssignableToRole":true}`, 400},
		{"add Unified", "PATCH", "/groups/{plain}", `{"groupTypes":["Unified"]}`, 400},
		{"remove Unified", "PATCH", "/groups/{m365}", `{"groupTypes":[]}`, 400},
		{"patch visibility to hidden", "PATCH", "/groups/{m365}", `{"visibility":"HiddenMembership"}`, 400},
		{"patch visibility of role-assignable", "PATCH", "/groups/{tier0}", `{"visibility":"Public"}`, 400},
		{"clear group name", "PATCH", "/groups/{plain}", `{"displayName":null}`, 400},
		{"mail store with directory", "PATCH", "/groups/{m365}", `{"hideFromOutlookClients":true,"description":"x"}`, 400},
		{"mail store by an application", "PATCH", "/groups/{m365}", `{"hideFromOutlookClients":true}`, 403},
		{"patch a synchronised group", "PATCH", "/groups/{syncedgroup}", `{"description":"x"}`, 400},
		{"member of a synchronised group", "POST", "/groups/{syncedgroup}/members/$ref", ref("user1"), 400},
		{"member of a dynamic group", "POST", "/groups/{everyone}/members/$ref", ref("glass1"), 400},
		{"member removed from a dynamic group", "DELETE", "/groups/{everyone}/members/{user1}/$ref", ``, 400},
		{"bind to a dynamic group", "PATCH", "/groups/{everyone}", `{"members@odata.bind":["` + graph + `{glass1}"]}`, 400},
		{"present member", "POST", "/groups/{glass}/members/$ref", ref("glass1"), 400},
		{"missing member", "POST", "/groups/{glass}/members/$ref", ref("gone"), 404},
		{"members without $ref", "POST", "/groups/{glass}/members", ref("user1"), 400},
		{"reference of another shape", "POST", "/groups/{glass}/members/$ref", `{"id":"{user1}"}`, 400},
		{"reference to another host", "POST", "/groups/{glass}/members/$ref", `{"@odata.id":"https://evil.example/v1.0/directoryObjects/{user1}"}`, 400},
		{"no such member", "DELETE", "/groups/{glass}/members/{user1}/$ref", ``, 404},
		{"group in a Microsoft 365 group", "POST", "/groups/{m365}/members/$ref", ref("plain"), 400},
		{"Microsoft 365 group in a group", "POST", "/groups/{plain}/members/$ref", ref("m365"), 400},
		{"group in a role-assignable group", "POST", "/groups/{tier0}/members/$ref", ref("plain"), 400},
		{"group in itself", "POST", "/groups/{plain}/members/$ref", ref("plain"), 400},
		{"application as member", "POST", "/groups/{plain}/members/$ref", ref("payroll"), 400},
		{"last owner", "DELETE", "/groups/{glass}/owners/{admin}/$ref", ``, 400},

		{"application without name", "POST", "/applications", `{}`, 400},
		{"application with appId", "POST", "/applications", `{"displayName":"A","appId":"{gone}"}`, 400},
		{"application with a secret", "POST", "/applications", `{"displayName":"A","passwordCredentials":[{"displayName":"x","secretText":"y"}]}`, 400},
		{"application with a foreign uri", "POST", "/applications", `{"displayName":"A","identifierUris":["https://elsewhere.example/a"]}`, 400},
		{"application with another's uri", "POST", "/applications", `{"displayName":"A","identifierUris":["api://{appid}"]}`, 400},
		{"application with odd audience", "POST", "/applications", `{"displayName":"A","signInAudience":"Anyone"}`, 400},
		{"personal audience with token version 1", "POST", "/applications", `{"displayName":"A","signInAudience":"AzureADandPersonalMicrosoftAccount"}`, 400},
		{"metadata of a shared application", "POST", "/applications", `{"displayName":"A","signInAudience":"AzureADMultipleOrgs","samlMetadataUrl":"https://x"}`, 400},
		{"redirect in two places", "POST", "/applications", `{"displayName":"A","web":{"redirectUris":["https://x"]},"spa":{"redirectUris":["https://x"]}}`, 400},
		{"role ids twice", "POST", "/applications", `{"displayName":"A","appRoles":[{"id":"{gone}","allowedMemberTypes":["User"],"isEnabled":true,"value":"a"},{"id":"{gone}","allowedMemberTypes":["User"],"isEnabled":true,"value":"b"}]}`, 400},
		{"role for nobody", "POST", "/applications", `{"displayName":"A","appRoles":[{"id":"{gone}","allowedMemberTypes":[],"isEnabled":true,"value":"a"}]}`, 400},
		{"role with origin", "POST", "/applications", `{"displayName":"A","appRoles":[{"id":"{gone}","allowedMemberTypes":["User"],"isEnabled":true,"value":"a","origin":"Application"}]}`, 400},
		{"logo url", "POST", "/applications", `{"displayName":"A","info":{"logoUrl":"https://x"}}`, 400},
		{"key without its value", "POST", "/applications", `{"displayName":"A","keyCredentials":[{"type":"AsymmetricX509Cert","usage":"Verify"}]}`, 400},
		{"encryption key absent", "POST", "/applications", `{"displayName":"A","tokenEncryptionKeyId":"{gone}"}`, 400},
		{"known client absent", "POST", "/applications", `{"displayName":"A","api":{"knownClientApplications":["{gone}"]}}`, 400},
		{"pre-authorised absent", "POST", "/applications", `{"displayName":"A","api":{"preAuthorizedApplications":[{"appId":"{gone}","delegatedPermissionIds":[]}]}}`, 400},
		{"claims of no kind", "POST", "/applications", `{"displayName":"A","groupMembershipClaims":"Odd"}`, 400},
		{"access of no kind", "POST", "/applications", `{"displayName":"A","requiredResourceAccess":[{"resourceAppId":"{gone}","resourceAccess":[{"id":"{gone}","type":"Odd"}]}]}`, 400},
		{"patch passwordCredentials", "PATCH", "/applications/{payroll}", `{"passwordCredentials":[]}`, 400},
		{"patch appId", "PATCH", "/applications/{payroll}", `{"appId":"{gone}"}`, 400},
		{"remove an enabled role", "PATCH", "/applications/{payroll}", `{"appRoles":[]}`, 400},
		{"remove an enabled scope", "PATCH", "/applications/{payroll}", `{"api":{"oauth2PermissionScopes":[]}}`, 400},
		{"service principal twice", "POST", "/servicePrincipals", `{"appId":"{appid}"}`, 409},
		{"service principal of nothing", "POST", "/servicePrincipals", `{"appId":"{gone}"}`, 400},
		{"service principal without appId", "POST", "/servicePrincipals", `{"displayName":"x"}`, 400},
		{"inherited roles", "PATCH", "/servicePrincipals/{payrollsp}", `{"appRoles":[]}`, 400},
		{"odd sign-on mode", "PATCH", "/servicePrincipals/{payrollsp}", `{"preferredSingleSignOnMode":"magic"}`, 400},
		{"service principal type", "PATCH", "/servicePrincipals/{payrollsp}", `{"servicePrincipalType":"Legacy"}`, 400},
		{"managed identity", "DELETE", "/servicePrincipals/{vm}", ``, 400},
		{"assignment twice", "POST", "/servicePrincipals/{payrollsp}/appRoleAssignedTo", `{"principalId":"{roleprincipal}","resourceId":"{payrollsp}","appRoleId":"{role}"}`, 400},
		{"assignment of an absent role", "POST", "/servicePrincipals/{payrollsp}/appRoleAssignedTo", `{"principalId":"{user9}","resourceId":"{payrollsp}","appRoleId":"{gone}"}`, 400},
		{"default access where roles exist", "POST", "/servicePrincipals/{payrollsp}/appRoleAssignedTo", `{"principalId":"{user9}","resourceId":"{payrollsp}","appRoleId":"{zero}"}`, 400},
		{"daemon role to a person", "POST", "/servicePrincipals/{payrollsp}/appRoleAssignedTo", `{"principalId":"{user9}","resourceId":"{payrollsp}","appRoleId":"{daemon}"}`, 400},
		{"assignment of another resource", "POST", "/servicePrincipals/{payrollsp}/appRoleAssignedTo", `{"principalId":"{user9}","resourceId":"{expensessp}","appRoleId":"{role}"}`, 400},
		{"assignment to nobody", "POST", "/servicePrincipals/{payrollsp}/appRoleAssignedTo", `{"principalId":"{gone}","resourceId":"{payrollsp}","appRoleId":"{role}"}`, 404},
		{"assignment without role", "POST", "/servicePrincipals/{payrollsp}/appRoleAssignedTo", `{"principalId":"{user9}","resourceId":"{payrollsp}"}`, 400},
		{"assignment patched", "PATCH", "/servicePrincipals/{payrollsp}/appRoleAssignedTo/x", `{}`, 405},
		{"consent twice", "POST", "/oauth2PermissionGrants", `{"clientId":"{client}","consentType":"AllPrincipals","resourceId":"{graphsp}","scope":"User.Read"}`, 409},
		{"consent of a person without person", "POST", "/oauth2PermissionGrants", `{"clientId":"{vm}","consentType":"Principal","resourceId":"{graphsp}","scope":"User.Read"}`, 400},
		{"consent of all with person", "POST", "/oauth2PermissionGrants", `{"clientId":"{vm}","consentType":"AllPrincipals","principalId":"{user1}","resourceId":"{graphsp}","scope":"User.Read"}`, 400},
		{"consent by appId", "POST", "/oauth2PermissionGrants", `{"clientId":"{appid}","consentType":"AllPrincipals","resourceId":"{graphsp}","scope":"User.Read"}`, 404},
		{"consent without scope", "POST", "/oauth2PermissionGrants", `{"clientId":"{vm}","consentType":"AllPrincipals","resourceId":"{graphsp}"}`, 400},
		{"consent with too long a scope", "POST", "/oauth2PermissionGrants", `{"clientId":"{vm}","consentType":"AllPrincipals","resourceId":"{graphsp}","scope":"` + scopes(3851) + `"}`, 400},
		{"patch the client of a consent", "PATCH", "/oauth2PermissionGrants/{grant}", `{"clientId":"{vm}"}`, 400},

		{"unit without name", "POST", "/directory/administrativeUnits", `{}`, 400},
		{"dynamic unit without rule", "POST", "/directory/administrativeUnits", `{"displayName":"U","membershipType":"Dynamic"}`, 400},
		{"restriction patched", "PATCH", "/directory/administrativeUnits/{nl}", `{"isMemberManagementRestricted":true}`, 400},
		{"service principal in a unit", "POST", "/directory/administrativeUnits/{nl}/members/$ref", ref("payrollsp"), 400},
		{"member of a unit twice", "POST", "/directory/administrativeUnits/{nl}/members/$ref", ref("user1"), 400},

		{"role with an unknown action", "POST", "/roleManagement/directory/roleDefinitions", `{"displayName":"R","isEnabled":true,"rolePermissions":[{"allowedResourceActions":["microsoft.mail/x/y"]}]}`, 400},
		{"role without permissions", "POST", "/roleManagement/directory/roleDefinitions", `{"displayName":"R","isEnabled":true}`, 400},
		{"role with a condition", "POST", "/roleManagement/directory/roleDefinitions", `{"displayName":"R","isEnabled":true,"rolePermissions":[{"allowedResourceActions":["microsoft.directory/users/basic/update"],"condition":"x"}]}`, 400},
		{"role of another scope", "POST", "/roleManagement/directory/roleDefinitions", `{"displayName":"R","isEnabled":true,"resourceScopes":["/x"],"rolePermissions":[{"allowedResourceActions":["microsoft.directory/users/basic/update"]}]}`, 400},
		{"role name twice", "POST", "/roleManagement/directory/roleDefinitions", `{"displayName":"Group membership keeper","isEnabled":true,"rolePermissions":[{"allowedResourceActions":["microsoft.directory/users/basic/update"]}]}`, 400},
		{"built-in role patched", "PATCH", "/roleManagement/directory/roleDefinitions/62e90394-69f5-4237-9190-012177145e10", `{"description":"x"}`, 400},
		{"built-in role deleted", "DELETE", "/roleManagement/directory/roleDefinitions/62e90394-69f5-4237-9190-012177145e10", ``, 400},
		{"assigned role deleted", "DELETE", "/roleManagement/directory/roleDefinitions/{custom}", ``, 400},
		{"role assignment twice", "POST", "/roleManagement/directory/roleAssignments", `{"principalId":"{admin}","roleDefinitionId":"62e90394-69f5-4237-9190-012177145e10","directoryScopeId":"/"}`, 400},
		{"role to a plain group", "POST", "/roleManagement/directory/roleAssignments", `{"principalId":"{plain}","roleDefinitionId":"62e90394-69f5-4237-9190-012177145e10","directoryScopeId":"/"}`, 400},
		{"role to nobody", "POST", "/roleManagement/directory/roleAssignments", `{"principalId":"{gone}","roleDefinitionId":"62e90394-69f5-4237-9190-012177145e10","directoryScopeId":"/"}`, 404},
		{"absent role", "POST", "/roleManagement/directory/roleAssignments", `{"principalId":"{user1}","roleDefinitionId":"{gone}","directoryScopeId":"/"}`, 404},
		{"role without scope", "POST", "/roleManagement/directory/roleAssignments", `{"principalId":"{user1}","roleDefinitionId":"62e90394-69f5-4237-9190-012177145e10"}`, 400},
		{"role over an absent unit", "POST", "/roleManagement/directory/roleAssignments", `{"principalId":"{user1}","roleDefinitionId":"62e90394-69f5-4237-9190-012177145e10","directoryScopeId":"/administrativeUnits/{gone}"}`, 404},

		{"policy without conditions", "POST", "/identity/conditionalAccess/policies", `{"displayName":"P","state":"disabled"` + mfa + `}`, 400},
		{"policy without client types", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), `,"clientAppTypes":["all"]`, "", 1), 400},
		{"policy without users", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), `"users":{"includeUsers":["All"]},`, "", 1), 400},
		{"policy without applications", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), `"applications":{"includeApplications":["All"]},`, "", 1), 400},
		{"policy without controls", "POST", "/identity/conditionalAccess/policies", policy("", ""), 400},
		{"policy of an odd state", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), "disabled", "on", 1), 400},
		{"grant without operator", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"builtInControls":["mfa"]}`), 400},
		{"grant without control", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"OR","builtInControls":[]}`), 400},
		{"session of nulls", "POST", "/identity/conditionalAccess/policies", policy("", mfa+`,"sessionControls":{"signInFrequency":null}`), 400},
		{"session not enabled", "POST", "/identity/conditionalAccess/policies", policy("", mfa+`,"sessionControls":{"persistentBrowser":{"isEnabled":false,"mode":"never"}}`), 400},
		{"policy for an absent user", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), `"All"]}`, `"{gone}"]}`, 1), 400},
		{"policy for an absent group", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), `"includeUsers":["All"]`, `"includeGroups":["{gone}"]`, 1), 400},
		{"policy for an absent role", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), `"includeUsers":["All"]`, `"includeRoles":["{gone}"]`, 1), 400},
		{"policy for an absent application", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), `"includeApplications":["All"]`, `"includeApplications":["{gone}"]`, 1), 400},
		{"policy for an absent location", "POST", "/identity/conditionalAccess/policies", policy(`,"locations":{"includeLocations":["{gone}"]}`, mfa), 400},
		{"policy with absent strength", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"OR","authenticationStrength":{"id":"{gone}"}}`), 400},
		{"strength sent whole", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"OR","authenticationStrength":{"id":"{keys}","displayName":"x"}}`), 400},
		{"strength and mfa", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"OR","builtInControls":["mfa"],"authenticationStrength":{"id":"{keys}"}}`), 400},
		{"block and mfa", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"OR","builtInControls":["block","mfa"]}`), 400},
		{"flows without block", "POST", "/identity/conditionalAccess/policies", policy(`,"authenticationFlows":{"transferMethods":"deviceCodeFlow"}`, mfa), 400},
		{"password change alone", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"AND","builtInControls":["passwordChange"]}`), 400},
		{"control of an odd name", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"OR","builtInControls":["odd"]}`), 400},
		{"control unknownFutureValue", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"OR","builtInControls":["unknownFutureValue"]}`), 400},
		{"external tenants without type", "POST", "/identity/conditionalAccess/policies", strings.Replace(policy("", mfa), `"includeUsers":["All"]`, `"includeGuestsOrExternalUsers":{"guestOrExternalUserTypes":"internalGuest","externalTenants":{"membershipKind":"all"}}`, 1), 400},
		{"terms of use absent", "POST", "/identity/conditionalAccess/policies", policy("", `,"grantControls":{"operator":"OR","termsOfUse":["{gone}"]}`), 400},
		{"context in a body", "PATCH", "/identity/conditionalAccess/policies/{mfa}", `{"grantControls":{"operator":"OR","authenticationStrength@odata.context":"x","builtInControls":["mfa"]}}`, 400},
		{"modified date of a policy", "PATCH", "/identity/conditionalAccess/policies/{mfa}", `{"modifiedDateTime":null}`, 400},
		{"all controls cleared", "PATCH", "/identity/conditionalAccess/policies/{mfa}", `{"grantControls":null}`, 400},
		{"managed policy renamed", "PATCH", "/identity/conditionalAccess/policies/{managed}", `{"displayName":"x"}`, 400},
		{"managed policy deleted", "DELETE", "/identity/conditionalAccess/policies/{managed}", ``, 400},
		{"policy absent", "GET", "/identity/conditionalAccess/policies/{gone}", ``, 404},
		{"security defaults beside policies", "PATCH", "/policies/identitySecurityDefaultsEnforcementPolicy", `{"isEnabled":true}`, 400},
		{"security defaults renamed", "PATCH", "/policies/identitySecurityDefaultsEnforcementPolicy", `{"displayName":"x"}`, 400},

		{"location without type", "POST", "/identity/conditionalAccess/namedLocations", `{"displayName":"L","ipRanges":[]}`, 400},
		{"location without ranges", "POST", "/identity/conditionalAccess/namedLocations", ip(`,"displayName":"L"`), 400},
		{"range without type", "POST", "/identity/conditionalAccess/namedLocations", ip(`,"displayName":"L","ipRanges":[{"cidrAddress":"192.0.2.0/24"}]`), 400},
		{"range of a wrong family", "POST", "/identity/conditionalAccess/namedLocations", ip(`,"displayName":"L","ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"2001:db8::/32"}]`), 400},
		{"range of nonsense", "POST", "/identity/conditionalAccess/namedLocations", ip(`,"displayName":"L","ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"x"}]`), 400},
		{"trusted country", "POST", "/identity/conditionalAccess/namedLocations", `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"L","countriesAndRegions":["NL"],"isTrusted":true}`, 400},
		{"long country", "POST", "/identity/conditionalAccess/namedLocations", `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"L","countriesAndRegions":["NLD"]}`, 400},
		{"empty lookup method", "POST", "/identity/conditionalAccess/namedLocations", `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"L","countriesAndRegions":["NL"],"countryLookupMethod":null}`, 400},
		{"location patched without type", "PATCH", "/identity/conditionalAccess/namedLocations/{branch}", `{"displayName":"L"}`, 400},
		{"location of another type", "PATCH", "/identity/conditionalAccess/namedLocations/{branch}", `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"L"}`, 400},
		{"trusted location deleted", "DELETE", "/identity/conditionalAccess/namedLocations/{office}", ``, 400},
		{"used location deleted", "DELETE", "/identity/conditionalAccess/namedLocations/{countries}", ``, 400},

		{"strength without combinations", "POST", "/policies/authenticationStrengthPolicies", `{"displayName":"S"}`, 400},
		{"strength with an odd combination", "POST", "/policies/authenticationStrengthPolicies", `{"displayName":"S","allowedCombinations":["odd"]}`, 400},
		{"combinations patched", "PATCH", "/policies/authenticationStrengthPolicies/{keys}", `{"allowedCombinations":["fido2"]}`, 400},
		{"built-in strength patched", "PATCH", "/policies/authenticationStrengthPolicies/00000000-0000-0000-0000-000000000002", `{"displayName":"x"}`, 400},
		{"built-in strength deleted", "DELETE", "/policies/authenticationStrengthPolicies/00000000-0000-0000-0000-000000000002", ``, 400},
		{"built-in combinations", "POST", "/policies/authenticationStrengthPolicies/00000000-0000-0000-0000-000000000002/updateAllowedCombinations", `{"allowedCombinations":["fido2"]}`, 400},
		{"used strength deleted", "DELETE", "/policies/authenticationStrengthPolicies/{keys}", ``, 400},
		{"combinations of none", "POST", "/policies/authenticationStrengthPolicies/{keys}/updateAllowedCombinations", `{"allowedCombinations":[]}`, 400},
		{"method patched without type", "PATCH", "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/fido2", `{"state":"enabled"}`, 400},
		{"method of another type", "PATCH", "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/fido2", `{"@odata.type":"#microsoft.graph.smsAuthenticationMethodConfiguration","state":"enabled"}`, 400},
		{"pass too short", "PATCH", "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass", `{"@odata.type":"#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration","defaultLength":7}`, 400},
		{"pass lifetimes out of order", "PATCH", "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass", `{"@odata.type":"#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration","minimumLifetimeInMinutes":1000}`, 400},
		{"binding priorities twice", "PATCH", "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/x509Certificate", `{"@odata.type":"#microsoft.graph.x509CertificateAuthenticationMethodConfiguration","certificateUserBindings":[{"priority":1},{"priority":1}]}`, 400},
		{"methods through the policy", "PATCH", "/policies/authenticationMethodsPolicy", `{"authenticationMethodConfigurations":[]}`, 400},
		{"method created", "POST", "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations", `{"@odata.type":"#microsoft.graph.smsAuthenticationMethodConfiguration"}`, 400},

		{"deleted items without cast", "GET", "/directory/deletedItems", ``, 400},
		{"deleted items of an odd cast", "GET", "/directory/deletedItems/microsoft.graph.device", ``, 400},
		{"restore of a live object", "POST", "/directory/deletedItems/{user1}/restore", `{}`, 404},
		{"getByIds of nonsense", "POST", "/directoryObjects/getByIds", `{"ids":["x"]}`, 400},
		{"SKU written", "PATCH", "/subscribedSkus/x", `{}`, 403},
		{"organization deleted", "DELETE", "/organization/" + at.ID(), ``, 405},
		{"organization renamed", "PATCH", "/organization/" + at.ID(), `{"displayName":"x"}`, 400},
		{"domain with more than its name", "POST", "/domains", `{"id":"new.example","isDefault":true}`, 400},
		{"domain in use", "DELETE", "/domains/contoso.example", ``, 400},
		{"domain without another default", "PATCH", "/domains/contoso.example", `{"isDefault":false}`, 400},
		{"service a domain cannot have", "PATCH", "/domains/contoso.example", `{"supportedServices":["Odd"]}`, 400},
		{"domain verified by hand", "PATCH", "/domains/contoso.example", `{"isVerified":true}`, 400},
		{"domain absent", "GET", "/domains/elsewhere.example", ``, 404},
		{"role assignment patched", "PATCH", "/roleManagement/directory/roleAssignments/{assignment}", `{"directoryScopeId":"/"}`, 405},
		{"app role assignment patched", "PATCH", "/servicePrincipals/{payrollsp}/appRoleAssignedTo/{appassignment}", `{"appRoleId":"{daemon}"}`, 405},
		{"app role assignment of another resource", "POST", "/servicePrincipals/{payrollsp}/appRoleAssignedTo", `{"principalId":"{user1}","resourceId":"{expensessp}","appRoleId":"{role}"}`, 400},
		{"audit entry written", "POST", "/auditLogs/directoryAudits", `{}`, 405},
		{"SKUs filtered", "GET", "/subscribedSkus?$filter=skuPartNumber%20eq%20%27x%27", ``, 400},
		{"more than a thousand by ids", "POST", "/directoryObjects/getByIds", `{"ids":["` + strings.Repeat(`{gone}","`, 1000) + `{gone}"]}`, 400},
		{"deleted policy absent", "POST", "/identity/conditionalAccess/deletedItems/policies/{gone}/restore", `{}`, 404},
		{"live policy undeleted", "POST", "/identity/conditionalAccess/deletedItems/policies/{mfa}/restore", `{}`, 404},
		{"policy in the bin of the directory", "GET", "/directory/deletedItems/{mfa}", ``, 404},
		{"policy put into the bin", "POST", "/identity/conditionalAccess/deletedItems/policies", `{}`, 405},
		{"live location purged", "DELETE", "/identity/conditionalAccess/deletedItems/namedLocations/{branch}", ``, 404},
		{"security defaults deleted", "DELETE", "/policies/identitySecurityDefaultsEnforcementPolicy", ``, 405},
		{"methods policy created", "POST", "/policies/authenticationMethodsPolicy", `{}`, 405},
		{"policy version written", "PATCH", "/policies/authenticationMethodsPolicy", `{"policyVersion":"9"}`, 400},
		{"migration of no kind", "PATCH", "/policies/authenticationMethodsPolicy", `{"policyMigrationState":"unknownFutureValue"}`, 400},
		{"tenant type written", "PATCH", "/organization/" + at.ID(), `{"tenantType":"AAD"}`, 400},
		{"delta of policies", "GET", "/identity/conditionalAccess/policies/delta", ``, 400},
		{"delta with $top", "GET", "/users/delta?$top=5", ``, 400},
		{"delta with $expand", "GET", "/groups/delta?$expand=members", ``, 400},
		{"delta with a filter by name", "GET", "/users/delta?$filter=displayName%20eq%20%27x%27", ``, 400},
		{"delta of an untracked property", "GET", "/users/delta?$select=signInActivity", ``, 400},
		{"delta with a bad token", "GET", "/users/delta?$deltatoken=x", ``, 400},
	}
	before := len(c.do("GET", "/v1.0/auditLogs/directoryAudits", "").items())
	for _, tc := range refusals {
		t.Run(tc.name, func(t *testing.T) {
			r := c.do(tc.method, "/v1.0"+i.fill(tc.path), i.fill(tc.body))
			if r.status != tc.status {
				t.Fatalf("%s %s: %d, want %d: %s", tc.method, i.fill(tc.path), r.status, tc.status, r.raw)
			}
			if r.code() == "" || r.message() == "" {
				t.Errorf("error body %s", r.raw)
			}
		})
	}
	if after := len(c.do("GET", "/v1.0/auditLogs/directoryAudits", "").items()); after != before {
		t.Errorf("%d refused writes left a mark", after-before)
	}
	if r := c.do("POST", "/v1.0/users", user(""), "Content-Type", "text/plain"); r.status != 415 {
		t.Errorf("another content type: %d", r.status)
	}
}

// A unique name is taken once, by a group and by an application, and stays.
func TestUniqueNameIsSetOnce(t *testing.T) {
	_, c, i := world(t)
	for _, path := range []string{"/v1.0/groups/" + i["plain"], "/v1.0/applications/" + i["payroll"]} {
		c.want(204, "PATCH", path, `{"uniqueName":"first"}`)
		c.want(400, "PATCH", path, `{"uniqueName":"second"}`)
		c.want(400, "PATCH", path, `{"uniqueName":null}`)
		if r := c.want(200, "GET", path+"?$select=uniqueName", ""); r.text("uniqueName") != "first" {
			t.Errorf("%s: %s", path, r.raw)
		}
	}
}
