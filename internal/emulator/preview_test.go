package emulator_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

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
