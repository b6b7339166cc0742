package emulator_test

import (
	"net/url"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func TestRolesOfServices(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	find := func(path string, builtIn bool) string {
		t.Helper()
		for _, o := range c.want(200, "GET", "/beta"+path, "").items() {
			if o["isBuiltIn"] == builtIn {
				return path + "/" + o["id"].(string)
			}
		}
		t.Fatalf("%s: none", path)
		return ""
	}
	const cloud, intune, defender, exchange = "/beta/roleManagement/cloudPC/roleDefinitions", "/beta/roleManagement/deviceManagement/roleDefinitions", "/beta/roleManagement/defender/roleDefinitions", "/beta/roleManagement/exchange/roleDefinitions"
	const inPackages, alerts = "/v1.0/roleManagement/entitlementManagement/roleAssignments", "/beta/identityGovernance/roleManagementAlerts/alertConfigurations"
	const owner = "ae79f266-94d4-4dab-b730-feca7e132178"
	role := func(action string) string {
		return `{"displayName":"Operators","isEnabled":true,"rolePermissions":[{"allowedResourceActions":["` + action + `"]}]}`
	}
	all := alerts + "?$filter=" + url.QueryEscape("scopeId eq '/' and scopeType eq 'DirectoryRole'")
	alert := alerts + "/" + c.want(200, "GET", all, "").items()[0]["id"].(string)
	ada, sp := at.Find("users", "Ada Admin"), at.Find("servicePrincipals", "Expenses")
	catalog := c.want(201, "POST", "/v1.0/identityGovernance/entitlementManagement/catalogs", `{"displayName":"Tools"}`).body["id"].(string)
	given := `{"principalId":"` + ada + `","roleDefinitionId":"` + owner + `","appScopeId":"/AccessPackageCatalog/` + catalog + `"}`
	assignment := inPackages + "/" + c.want(201, "POST", inPackages, given).body["id"].(string)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"role of the directory's actions", "POST", cloud, role("microsoft.directory/users/basic/update"), 400},
		{"role", "POST", cloud, role("Microsoft.CloudPC/CloudPCs/Read"), 201},
		{"role of a taken name", "POST", cloud, role("Microsoft.CloudPC/CloudPCs/Read"), 400},
		{"role of that name elsewhere", "POST", defender, role("microsoft.xdr/securityposture/read"), 201},
		{"role without actions", "POST", intune, `{"displayName":"R","isEnabled":true,"rolePermissions":[]}`, 400},
		{"built-in role changed", "PATCH", "/beta" + find("/roleManagement/deviceManagement/roleDefinitions", true), `{"description":"x"}`, 400},
		{"built-in role deleted", "DELETE", "/beta" + find("/roleManagement/cloudPC/roleDefinitions", true), ``, 400},
		{"role deleted", "DELETE", "/beta" + find("/roleManagement/defender/roleDefinitions", false), ``, 204},
		{"role of Exchange made", "POST", exchange, role("x"), 405},
		{"roles of a service in v1.0", "GET", "/v1.0/roleManagement/cloudPC/roleDefinitions", ``, 400},
		{"assignment twice", "POST", inPackages, given, 400},
		{"assignment without a scope", "POST", inPackages, `{"principalId":"` + ada + `","roleDefinitionId":"` + owner + `"}`, 400},
		{"assignment of no role", "POST", inPackages, `{"principalId":"` + ada + `","roleDefinitionId":"x","appScopeId":"/"}`, 404},
		{"assignment in no catalog", "POST", inPackages, `{"principalId":"` + ada + `","roleDefinitionId":"` + owner + `","appScopeId":"/AccessPackageCatalog/x"}`, 404},
		{"assignment to an application", "POST", inPackages, `{"principalId":"` + sp + `","roleDefinitionId":"` + owner + `","appScopeId":"/"}`, 201},
		{"assignment changed", "PATCH", assignment, `{"appScopeId":"/"}`, 405},
		{"catalog deleted", "DELETE", "/v1.0/identityGovernance/entitlementManagement/catalogs/" + catalog, ``, 204},
		{"assignment in a deleted catalog", "GET", assignment, ``, 404},
		{"alerts of no scope", "GET", alerts, ``, 400},
		{"alert without its type", "PATCH", alert, `{"isEnabled":false}`, 400},
		{"alert of other numbers", "PATCH", alert, `{"@odata.type":"#microsoft.graph.tooManyGlobalAdminsAssignedToTenantAlertConfiguration","globalAdminCountThreshold":3}`, 204},
		{"alert of another kind's numbers", "PATCH", alert, `{"@odata.type":"#microsoft.graph.tooManyGlobalAdminsAssignedToTenantAlertConfiguration","duration":"P1D"}`, 400},
		{"alert of another scope", "PATCH", alert, `{"@odata.type":"#microsoft.graph.tooManyGlobalAdminsAssignedToTenantAlertConfiguration","scopeId":"/x"}`, 400},
	} {
		if r := c.do(tc.method, tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
}

func TestPreviewRefusals(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	first := func(path string) string {
		t.Helper()
		items := c.want(200, "GET", "/beta"+path, "").items()
		if len(items) == 0 {
			t.Fatalf("%s: none", path)
		}
		return path + "/" + items[0]["id"].(string)
	}
	const b2b, approvals, creation, chains = "/policies/b2bManagementPolicies", "/policies/permissionGrantPreApprovalPolicies", "/policies/servicePrincipalCreationPolicies", "/directory/certificateAuthorities/certificateBasedApplicationConfigurations"
	guests := `{"displayName":"G","description":"D","definition":["{\"B2BManagementPolicy\":{}}"]`
	everywhere := `"scopeType":"chat","sensitivityLabels":{"@odata.type":"#microsoft.graph.allScopeSensitivityLabels","labelKind":"all"}`
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"card shown by an application", "POST", "/admin/people/profileCardProperties", `{"directoryPropertyName":"Fax"}`, 405},
		{"card changed by an application", "PATCH", "/admin/people/profileCardProperties/CustomAttribute1", `{"isVisible":false}`, 405},
		{"evaluation narrowed", "PATCH", "/identity/continuousAccessEvaluationPolicy", `{"groups":[]}`, 400},
		{"evaluation moved", "PATCH", "/identity/continuousAccessEvaluationPolicy", `{"migrate":true}`, 204},
		{"evaluation moved back", "PATCH", "/identity/continuousAccessEvaluationPolicy", `{"migrate":false}`, 400},
		{"local accounts in part", "PATCH", "/policies/b2cAuthenticationMethodsPolicy", `{"isUserNameAuthenticationEnabled":false}`, 400},
		{"invitations without a description", "POST", b2b, `{"displayName":"G","definition":["{}"]}`, 400},
		{"invitations that are no JSON", "POST", b2b, `{"displayName":"G","description":"D","definition":["x"]}`, 400},
		{"a second default", "POST", b2b, guests + `,"isOrganizationDefault":true}`, 400},
		{"invitations", "POST", b2b, guests + `}`, 201},
		{"approval of nothing", "POST", approvals, `{"conditions":[]}`, 400},
		{"approval without permissions", "POST", approvals, `{"conditions":[{` + everywhere + `}]}`, 400},
		{"approval of permissions of nobody", "POST", approvals, `{"conditions":[{` + everywhere + `,"permissions":{"@odata.type":"#microsoft.graph.allPreApprovedPermissionsOnResourceApp","permissionKind":"allPermissionsOnResourceApp","permissionType":"application"}}]}`, 400},
		{"approval", "POST", approvals, `{"conditions":[{` + everywhere + `,"permissions":{"@odata.type":"#microsoft.graph.allPreApprovedPermissions","permissionKind":"all","permissionType":"application"}}]}`, 201},
		{"chain of none", "POST", chains, `{"displayName":"C","trustedCertificateAuthorities":[]}`, 400},
		{"chain without a root", "POST", chains, `{"displayName":"C","trustedCertificateAuthorities":[{"certificate":"TUlJQg==","isRootAuthority":false}]}`, 400},
		{"chain", "POST", chains, `{"displayName":"C","trustedCertificateAuthorities":[{"certificate":"TUlJQg==","isRootAuthority":true}]}`, 201},
		{"chain of others", "PATCH", first(chains), `{"trustedCertificateAuthorities":[]}`, 400},
		{"chain renamed", "PATCH", first(chains), `{"displayName":"D"}`, 204},
		{"creation under a name of Microsoft's", "POST", creation, `{"id":"microsoft-x","displayName":"X","description":"D"}`, 400},
		{"creation twice", "POST", creation, `{"id":"creation-0","displayName":"X","description":"D"}`, 400},
		{"built-in creation", "PATCH", creation + "/microsoft-all-applications", `{"displayName":"X"}`, 403},
		{"condition of a built-in", "POST", creation + "/microsoft-all-applications/includes", `{}`, 403},
		{"condition", "POST", creation + "/creation-1/excludes", `{"certifiedApplicationsOnly":true}`, 201},
		{"customer flow", "POST", "/identity/b2cUserFlows", `{"id":"Shop","userFlowType":"signUp","userFlowTypeVersion":1}`, 201},
		{"customer flow of a taken name", "POST", "/identity/b2cUserFlows", `{"id":"Shop","userFlowType":"signUp","userFlowTypeVersion":1}`, 400},
		{"customer flow of another kind", "PATCH", "/identity/b2cUserFlows/B2C_1_Shop", `{"userFlowType":"signIn"}`, 400},
		{"customer flow in another language", "PATCH", "/identity/b2cUserFlows/B2C_1_Shop", `{"defaultLanguageTag":"de"}`, 204},
		{"provider of a customer flow", "POST", "/identity/b2cUserFlows/B2C_1_Shop/userFlowIdentityProviders/$ref", `{"@odata.id":"https://graph.microsoft.com/beta` + first("/identity/identityProviders") + `"}`, 204},
		{"condition changed", "PATCH", first(creation + "/creation-1/excludes"), `{"certifiedApplicationsOnly":false}`, 405},
	} {
		if r := c.do(tc.method, "/beta"+tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	for _, path := range []string{b2b, approvals, creation, chains, "/identity/continuousAccessEvaluationPolicy", "/policies/b2cAuthenticationMethodsPolicy"} {
		if r := c.do("GET", "/v1.0"+path, ""); r.status != 400 {
			t.Errorf("v1.0 has %s: %d", path, r.status)
		}
	}
	if o := c.want(200, "GET", "/beta"+first(chains), "").body; o["trustedCertificateAuthorities"] != nil {
		t.Errorf("authorities unasked: %v", o)
	}
	if o := c.want(200, "GET", "/beta"+creation+"/creation-1", "").body; len(o["excludes"].([]any)) != 2 {
		t.Errorf("conditions are not in the answer: %v", o)
	}
	if o := c.want(200, "GET", "/v1.0/admin/people/profileCardProperties", "").items()[0]; o["id"] != nil || o["directoryPropertyName"] == nil {
		t.Errorf("a card is %v", o)
	}
}
