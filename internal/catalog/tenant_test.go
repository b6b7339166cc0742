package catalog_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

func settingUpdates() []update {
	const consent = `{"isEnabled":false,"notifyReviewers":true,"remindersEnabled":true,"requestDurationInDays":7,"reviewers":[{"query":"/users/a"}]}`
	const devices = `{"azureADJoin":{"isAdminConfigurable":true},"azureADRegistration":{"isAdminConfigurable":false},"localAdminPassword":{"isEnabled":true},"multiFactorAuthConfiguration":"required","userDeviceQuota":5,"displayName":"D"}`
	return []update{
		{"authorizationPolicy", "authorizationPolicy", `{"defaultUserRolePermissions.allowedToCreateTenants":null,"allowInvitesFrom":"none"}`, `{"defaultUserRolePermissions":{"allowedToCreateApps":true,"allowedToCreateTenants":false}}`,
			`PATCH /v1.0/policies/authorizationPolicy {"allowInvitesFrom":"none","defaultUserRolePermissions":{"allowedToCreateApps":true,"allowedToCreateTenants":null,"allowedToReadBitlockerKeysForOwnedDevice":null,"permissionGrantPoliciesAssigned":[]}}
`},
		{"customClaimsPolicy", g1 + "/customClaimsPolicy", `{"audienceOverride":null}`, `{"audienceOverride":"https://a.example","includeBasicClaimSet":true}`, `PATCH /beta/servicePrincipals/` + g1 + `/claimsPolicy {"audienceOverride":null}
`},
		{"configurationMonitor", "m", `{"baseline.displayName":"C","parameters":{"a":"1"}}`, `{"displayName":"M","baseline":{"displayName":"B","resources":[{"displayName":"D"}]},"parameters":{"a":"0","b":"2"}}`,
			`PATCH /v1.0/admin/configurationManagement/configurationMonitors/m {"baseline":{"displayName":"C","resources":[{"displayName":"D"}]},"parameters":{"a":"1","b":null}}
`},
		{"sharepointSettings", "sharepointSettings", `{"sharingAllowedDomainList":null,"idleSessionSignOut.isEnabled":true}`, `{"sharingAllowedDomainList":["a.example"],"idleSessionSignOut":{"isEnabled":false,"warnAfterInSeconds":60}}`,
			`PATCH /v1.0/admin/sharepoint/settings {"idleSessionSignOut":{"isEnabled":true,"warnAfterInSeconds":60},"sharingAllowedDomainList":[]}
`},
		{"identityProtectionPolicy", "i", `{"isUserRiskClearedOnPasswordReset":true}`, `{"isUserRiskClearedOnPasswordReset":false}`, `PATCH /beta/identityProtection/policy {"isUserRiskClearedOnPasswordReset":true}
`},
		{"enrichedAuditLogs", "i", `{"exchange.status":"enabled"}`, `{"exchange":{"status":"disabled"},"teams":{"status":"enabled"}}`, `PATCH /beta/networkAccess/settings/enrichedAuditLogs {"exchange":{"status":"enabled"}}
`},
		{"adminConsentRequestPolicy", "i", `{"isEnabled":true}`, consent,
			`PUT /v1.0/policies/adminConsentRequestPolicy {"isEnabled":true,"notifyReviewers":true,"remindersEnabled":true,"requestDurationInDays":7,"reviewers":[{"query":"/users/a"}]}
`},
		{"adminConsentRequestPolicy", "i", `{"isEnabled":true}`, `{"isEnabled":false,"notifyReviewers":true}`, "error"},
		{"deviceRegistrationPolicy", "i", `{"userDeviceQuota":9,"azureADRegistration":{"isAdminConfigurable":false}}`, devices,
			`PUT /v1.0/policies/deviceRegistrationPolicy {"azureADJoin":{"isAdminConfigurable":true},"azureADRegistration":{"isAdminConfigurable":false},"localAdminPassword":{"isEnabled":true},"multiFactorAuthConfiguration":"required","userDeviceQuota":9}
`},
		{"deviceRegistrationPolicy", "i", `{"azureADRegistration":{"isAdminConfigurable":true}}`, devices, "error"},
		{"deviceRegistrationPolicy", "i", `{"userDeviceQuota":9}`, `{}`, "error"},
		{"externalIdentitiesPolicy", "i", `{"allowExternalIdentitiesToLeave":false}`, `{}`, `PATCH /beta/policies/externalIdentitiesPolicy {"allowExternalIdentitiesToLeave":false}
`},
		{"b2cAuthenticationMethodsPolicy", "i", `{"isUserNameAuthenticationEnabled":false}`, `{"isEmailPasswordAuthenticationEnabled":true,"isUserNameAuthenticationEnabled":true}`,
			`PATCH /beta/policies/b2cAuthenticationMethodsPolicy {"isEmailPasswordAuthenticationEnabled":true,"isUserNameAuthenticationEnabled":false}
`},
		{"hardwareOathTokenAuthenticationMethodDevice", "t", `{"displayName":"T"}`, `{"displayName":"S","status":"available"}`, `PATCH /beta/directory/authenticationMethodDevices/hardwareOathDevices/t {"displayName":"T"}
`},
		{"hardwareOathTokenAuthenticationMethodDevice", "t", `{"displayName":"T","assignedTo":{"id":"u"}}`, `{"displayName":"S","status":"available"}`, `PATCH /beta/directory/authenticationMethodDevices/hardwareOathDevices/t {"displayName":"T"}
POST /beta/users/u/authentication/hardwareOathMethods {"device":{"id":"t"}}
`},
		{"hardwareOathTokenAuthenticationMethodDevice", "t", `{"assignedTo":{"id":"u"}}`, `{"assignedTo":{"id":"v"}}`, `DELETE /beta/users/v/authentication/hardwareOathMethods/t
POST /beta/users/u/authentication/hardwareOathMethods {"device":{"id":"t"}}
`},
		{"hardwareOathTokenAuthenticationMethodDevice", "t", `{"assignedTo":null}`, `{"assignedTo":{"id":"v"}}`, `DELETE /beta/users/v/authentication/hardwareOathMethods/t
`},
		{"hardwareOathTokenAuthenticationMethodDevice", "t", `{"displayName":"T"}`, `{"assignedTo":{"id":"v"}}`, "error"},
		{"filteringRule", "p/r", `{"name":"x"}`, `{"@odata.type":"#microsoft.graph.networkaccess.fqdnFilteringRule","name":"y"}`, `PATCH /beta/networkAccess/filteringPolicies/p/policyRules/r {"@odata.type":"#microsoft.graph.networkaccess.fqdnFilteringRule","name":"x"}
`},
		{"tlsInspectionRule", "p/r", `{"name":"x"}`, `{"@odata.type":"#microsoft.graph.networkaccess.tlsInspectionRule","name":"y"}`, `PATCH /beta/networkAccess/tlsInspectionPolicies/p/policyRules/r {"@odata.type":"#microsoft.graph.networkaccess.tlsInspectionRule","name":"x"}
`},
		{"threatIntelligenceRule", "p/r", `{"name":"x"}`, `{"@odata.type":"#microsoft.graph.networkaccess.threatIntelligenceRule","name":"y"}`, `PATCH /beta/networkAccess/threatIntelligencePolicies/p/policyRules/r {"@odata.type":"#microsoft.graph.networkaccess.threatIntelligenceRule","name":"x"}
`},
		{"cloudFirewallRule", "p/r", `{"name":"x"}`, `{"@odata.type":"#microsoft.graph.networkaccess.cloudFirewallRule","name":"y"}`, `PATCH /beta/networkAccess/cloudFirewallPolicies/p/policyRules/r {"@odata.type":"#microsoft.graph.networkaccess.cloudFirewallRule","name":"x"}
`},
		{"policyLink", "p/r", `{"state":"x"}`, `{"@odata.type":"#microsoft.graph.networkaccess.filteringPolicyLink","state":"y"}`, `PATCH /beta/networkAccess/filteringProfiles/p/policies/r {"@odata.type":"#microsoft.graph.networkaccess.filteringPolicyLink","state":"x"}
`},
		{"forwardingPolicyLink", "p/r", `{"state":"x"}`, `{"@odata.type":"#microsoft.graph.networkaccess.forwardingPolicyLink","state":"y"}`, `PATCH /beta/networkAccess/forwardingProfiles/p/policies/r {"@odata.type":"#microsoft.graph.networkaccess.forwardingPolicyLink","state":"x"}
`},
		{"filteringRule", "p/r", `{"name":"x"}`, `{}`, "error"},
		{"crossTenantAccessPolicyConfigurationDefault", "default", `{"b2bCollaborationInbound":{"applications":{},"usersAndGroups":{}}}`, `{}`, `PATCH /v1.0/policies/crossTenantAccessPolicy/default {"b2bCollaborationInbound":{"applications":{},"usersAndGroups":{}}}
`},
	}
}

func TestBuiltInGrantPoliciesAreFrozen(t *testing.T) {
	for ref, want := range map[entra.Ref]bool{
		{Type: "permissionGrantPolicy", ID: "microsoft-user-default-low"}: true, {Type: "permissionGrantPolicy", ID: "mine"}: false,
		{Type: "permissionGrantInclude", ID: "microsoft-user-default-low/c"}: true, {Type: "permissionGrantInclude", ID: "mine/c"}: false,
		{Type: "servicePrincipalCreationPolicy", ID: "microsoft-all-applications"}: true, {Type: "servicePrincipalCreationPolicy", ID: "mine"}: false,
		{Type: "servicePrincipalCreationInclude", ID: "microsoft-all-applications/c"}: true, {Type: "servicePrincipalCreationExclude", ID: "mine/c"}: false,
	} {
		if got := catalog.Frozen(entra.Object{Ref: ref, Body: "{}"}); (got != "") != want {
			t.Errorf("%s: %q", ref, got)
		}
	}
}

// On the way in, people are the other tenant's and applications ours; on the way out it is the other way round.
func TestWhoseTheTargetsAre(t *testing.T) {
	setting := `{"usersAndGroups":{"targets":[{"target":"` + g1 + `"},{"target":"AllUsers"}]},"applications":{"targets":[{"target":"` + g2 + `"},{"target":"AllApplications"},{"target":"Office365"}]}}`
	for body, want := range map[string]entra.ID{`{"b2bCollaborationInbound":` + setting + `}`: g2, `{"b2bCollaborationOutbound":` + setting + `}`: g1} {
		refs := catalog.Refs(entra.Object{Ref: entra.Ref{Type: "crossTenantAccessPolicyConfigurationDefault", ID: "d"}, Body: entra.Body(body)})
		if len(refs) != 1 || refs[0].ID != want {
			t.Errorf("%s refers to %+v, want only %s", body, refs, want)
		}
	}
}
