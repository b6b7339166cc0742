package emulator_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// every is a tenant with every kind of object.
func every(t *testing.T) *emulator.Tenant {
	t.Helper()
	return start(t, emulator.Options{Every: true})
}

// A row is a request and its status.
type row struct {
	method, path, body string
	status             int
}

func (r row) do(t *testing.T, at *emulator.Tenant) map[string]any {
	t.Helper()
	var body any
	if r.body != "" {
		if err := json.Unmarshal([]byte(r.body), &body); err != nil {
			t.Fatal(err)
		}
	}
	status, answer := at.Do(r.method, r.path, body)
	if status != r.status {
		t.Errorf("%s %s %s: %d, want %d: %v", r.method, r.path, r.body, status, r.status, answer)
	}
	return answer
}

func TestSettingsRefuse(t *testing.T) {
	at := every(t)
	const devices = `{"userDeviceQuota":9,"multiFactorAuthConfiguration":"notRequired","localAdminPassword":{"isEnabled":true},"azureADJoin":{"isAdminConfigurable":true},"azureADRegistration":`
	const everybody = `{"@odata.type":"#microsoft.graph.allDeviceRegistrationMembership"}`
	for _, r := range []row{
		{"DELETE", "/v1.0/policies/authorizationPolicy", "", 405},
		{"PATCH", "/v1.0/policies/authorizationPolicy", `{"guestUserRoleId":"11111111-2222-4333-8444-555555555555"}`, 400},
		{"PATCH", "/v1.0/policies/authorizationPolicy", `{"defaultUserRolePermissions":{"allowedToCreateApps":true}}`, 204},
		{"PATCH", "/v1.0/policies/adminConsentRequestPolicy", `{"isEnabled":true}`, 405},
		{"PUT", "/v1.0/policies/adminConsentRequestPolicy", `{"isEnabled":true}`, 400},
		{"PUT", "/v1.0/policies/adminConsentRequestPolicy", `{"isEnabled":true,"notifyReviewers":true,"remindersEnabled":true,"requestDurationInDays":7,"reviewers":[{"queryType":"MicrosoftGraph"}]}`, 400},
		{"PUT", "/v1.0/policies/adminConsentRequestPolicy", `{"isEnabled":true,"notifyReviewers":true,"remindersEnabled":true,"requestDurationInDays":7,"reviewers":[],"version":9}`, 400},
		{"PUT", "/v1.0/policies/adminConsentRequestPolicy", `{"isEnabled":true,"notifyReviewers":true,"remindersEnabled":true,"requestDurationInDays":7,"reviewers":[]}`, 204},
		{"PUT", "/v1.0/policies/deviceRegistrationPolicy", `{"userDeviceQuota":9}`, 400},
		{"PUT", "/v1.0/policies/deviceRegistrationPolicy", devices + `{"isAdminConfigurable":true,"allowedToRegister":` + everybody + `}}`, 400},
		{"PUT", "/v1.0/policies/deviceRegistrationPolicy", devices + `{"isAdminConfigurable":false,"allowedToRegister":` + everybody + `}}`, 200},
		{"PATCH", "/v1.0/policies/federatedTokenValidationPolicy", `{"validatingDomains":{"rootDomains":"all"}}`, 400},
		{"PATCH", "/v1.0/policies/federatedTokenValidationPolicy", `{"validatingDomains":{"@odata.type":"#microsoft.graph.allDomains","rootDomains":"all"}}`, 204},
		{"PATCH", "/v1.0/policies/defaultAppManagementPolicy", `{"applicationRestrictions":{"identifierUris":{"nonDefaultUriAddition":{"state":"enabled","isStateSetByMicrosoft":true}}}}`, 400},
		{"GET", "/v1.0/policies/externalIdentitiesPolicy", "", 400},
		{"GET", "/beta/policies/externalIdentitiesPolicy", "", 200},
		{"PATCH", "/v1.0/policies/crossTenantAccessPolicy/default", `{"b2bCollaborationInbound":{"usersAndGroups":{"accessType":"blocked","targets":[]}}}`, 400},
		{"PATCH", "/v1.0/policies/crossTenantAccessPolicy/default", `{"automaticUserConsentSettings":{"inboundAllowed":true}}`, 400},
		{"PATCH", "/v1.0/policies/crossTenantAccessPolicy/default", `{"isServiceDefault":true}`, 400},
	} {
		r.do(t, at)
	}
	if p := must(t, at, 200, "GET", "/v1.0/policies/authorizationPolicy", nil)["defaultUserRolePermissions"].(map[string]any); p["allowedToReadOtherUsers"] != true {
		t.Errorf("a PATCH of one member changed the others: %v", p)
	}
	if v := must(t, at, 200, "GET", "/v1.0/policies/adminConsentRequestPolicy", nil)["version"]; v != 2.0 {
		t.Errorf("version %v after one write", v)
	}
}

func TestConsentPartnersAndContextsRefuse(t *testing.T) {
	at := every(t)
	const grants, partners, contexts = "/v1.0/policies/permissionGrantPolicies", "/v1.0/policies/crossTenantAccessPolicy/partners", "/v1.0/identity/conditionalAccess/authenticationContextClassReferences"
	const other = "33333333-0000-4000-8000-000000000000"
	for _, r := range []row{
		{"POST", grants, `{"displayName":"P","description":"D"}`, 400},
		{"POST", grants, `{"id":"microsoft-mine","displayName":"P","description":"D"}`, 400},
		{"POST", grants, `{"id":"consent-0","displayName":"P","description":"D"}`, 400},
		{"POST", grants, `{"id":"mine","displayName":"P","description":"D"}`, 201},
		{"PATCH", grants + "/microsoft-user-default-low", `{"displayName":"P"}`, 403},
		{"DELETE", grants + "/microsoft-user-default-low", "", 403},
		{"POST", grants + "/microsoft-user-default-low/includes", `{"permissionType":"delegated"}`, 403},
		{"POST", grants + "/mine/includes", `{"permissionType":"delegatedUserConsentable"}`, 400},
		{"POST", grants + "/mine/includes", `{"permissionType":"delegated"}`, 201},
		{"GET", grants + "/mine/excludes", "", 200},
		{"DELETE", grants + "/mine", "", 204},
		{"GET", grants + "/mine/includes", "", 404},
		{"POST", partners, `{}`, 400},
		{"POST", partners, `{"tenantId":"no GUID"}`, 400},
		{"POST", partners, `{"tenantId":"` + other + `","b2bCollaborationInbound":{"applications":{"accessType":"allowed","targets":[]}}}`, 400},
		{"POST", partners, `{"tenantId":"` + other + `"}`, 201},
		{"POST", partners, `{"tenantId":"` + other + `"}`, 409},
		{"GET", partners + "/" + other + "/identitySynchronization", "", 404},
		{"PUT", partners + "/" + other + "/identitySynchronization", `{"userSyncInbound":{"isSyncAllowed":true}}`, 204},
		{"DELETE", partners + "/" + other, "", 400},
		{"DELETE", partners + "/" + other + "/identitySynchronization", "", 204},
		{"DELETE", partners + "/" + other, "", 204},
		{"PATCH", contexts + "/c100", `{}`, 400},
		{"PATCH", contexts + "/c50", `{}`, 204},
		{"GET", contexts + "/c50", "", 200},
		{"GET", contexts + "/c51", "", 404},
		{"DELETE", contexts + "/c1", "", 403},
		{"DELETE", contexts + "/c50", "", 204},
	} {
		r.do(t, at)
	}
}

// A tenant that nobody has touched has the settings all the same.
func TestSettingsAreAlwaysThere(t *testing.T) {
	at := start(t, emulator.Options{})
	for _, path := range []string{"authorizationPolicy", "adminConsentRequestPolicy", "deviceRegistrationPolicy", "federatedTokenValidationPolicy", "authenticationFlowsPolicy",
		"defaultAppManagementPolicy", "crossTenantAccessPolicy", "crossTenantAccessPolicy/default", "crossTenantAccessPolicy/templates/multiTenantOrganizationIdentitySynchronization"} {
		must(t, at, 200, "GET", "/v1.0/policies/"+path, nil)
	}
	if d := must(t, at, 200, "GET", "/v1.0/policies/crossTenantAccessPolicy/default", nil); d["isServiceDefault"] != true {
		t.Errorf("the default is said to be changed: %v", d)
	}
}

func TestSettingsOfOneGroup(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	var with, without, other string
	groups, _, _ := c.all("/v1.0/groups")
	for _, g := range groups {
		path := "/v1.0/groups/" + g["id"].(string) + "/settings"
		switch have, _, _ := c.all(path); {
		case len(have) > 0:
			with = path
		case slices.Contains(g["groupTypes"].([]any), any("Unified")):
			without = path
		default:
			other = path
		}
	}
	if with == "" || without == "" || other == "" {
		t.Fatal(with, without, other)
	}
	const setting = `{"templateId":"08d542b9-071f-4e16-94b0-74abb372e3d9","values":[{"name":"AllowToAddGuests","value":"False"}]}`
	for _, tc := range []struct {
		name, path, body string
		status           int
	}{
		{"of a group that is not of Microsoft 365", other, setting, 400},
		{"a second one", with, setting, 409},
		{"of a template for tenants", without, `{"templateId":"62375ab9-6b52-47ed-826b-58e47e0e304b","values":[]}`, 404},
		{"with other values", without, `{"templateId":"08d542b9-071f-4e16-94b0-74abb372e3d9","values":[{"name":"X","value":"False"}]}`, 400},
		{"as it is", without, setting, 201},
	} {
		if r := c.do("POST", tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
}
