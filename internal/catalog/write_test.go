package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

func members(t *testing.T, text string) map[string]any {
	m, err := entra.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func show(calls ...catalog.Call) string {
	var b strings.Builder
	for _, c := range calls {
		fmt.Fprintf(&b, "%s /%s%s", c.Method, c.Version, c.Path)
		if len(c.Query) > 0 {
			b.WriteString("?" + c.Query.Encode())
		}
		if len(c.Body) > 0 {
			fmt.Fprintf(&b, " %s", c.Body)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestCreate(t *testing.T) {
	tests := []struct{ typ, id, set, want string }{
		{"configurationMonitor", "", `{"displayName":"M","status":"inactive","baseline":{"displayName":"B","resources":[{"displayName":"D"}]}}`, `POST /v1.0/admin/configurationManagement/configurationMonitors {"baseline":{"displayName":"B","resources":[{"displayName":"D"}]},"displayName":"M"}
PATCH /v1.0/admin/configurationManagement/configurationMonitors/{id} {"status":"inactive"}
`},
		{"configurationMonitor", "", `{"displayName":"M"}`, ""},
		{"customClaimsPolicy", g1 + "/customClaimsPolicy", `{"claims":[],"includeBasicClaimSet":true}`, `PUT /beta/servicePrincipals/` + g1 + `/claimsPolicy {"claims":[],"includeBasicClaimSet":true}
`},
		{"userExtension", "u/com.x", `{"extensionName":"com.x","theme":"dark","n":{"a":[1]}}`, `POST /v1.0/users/u/extensions {"@odata.type":"#microsoft.graph.openTypeExtension","extensionName":"com.x","n":{"a":[1]},"theme":"dark"}
`},
		{"groupExtension", "g/com.x", `{"extensionName":"com.x"}`, `POST /v1.0/groups/g/extensions {"@odata.type":"#microsoft.graph.openTypeExtension","extensionName":"com.x"}
`},
		{"administrativeUnitExtension", "a/com.x", `{"extensionName":"com.x"}`, `POST /v1.0/directory/administrativeUnits/a/extensions {"@odata.type":"#microsoft.graph.openTypeExtension","extensionName":"com.x"}
`},
		{"userSecurityAttributes", "u/userSecurityAttributes", `{"customSecurityAttributes":{"Set":{"Level":"high","Places":{"type":"#Collection(String)","value":["a"]}}}}`,
			`PATCH /v1.0/users/u {"customSecurityAttributes":{"Set":{"@odata.type":"#Microsoft.DirectoryServices.CustomSecurityAttributeValue","Level":"high","Places":["a"],"Places@odata.type":"#Collection(String)"}}}
`},
		{"onPremisesPublishing", "a/onPremisesPublishing", `{"onPremisesPublishing":{"externalUrl":"e","internalUrl":"i"}}`, `PATCH /beta/applications/a {"onPremisesPublishing":{"externalUrl":"e","internalUrl":"i"}}
`},
		{"servicePrincipalSecurityAttributes", "s/servicePrincipalSecurityAttributes", `{"customSecurityAttributes":{"Set":{"Rank":{"type":"#Int32","value":1}}}}`,
			`PATCH /v1.0/servicePrincipals/s {"customSecurityAttributes":{"Set":{"@odata.type":"#Microsoft.DirectoryServices.CustomSecurityAttributeValue","Rank":1,"Rank@odata.type":"#Int32"}}}
`},
		{"user", "", `{"displayName":"A","mailNickname":"a","userPrincipalName":"a@c.example","assignedLicenses":[{"skuId":"s"}],"accountEnabled":true}`,
			`POST /v1.0/users {"accountEnabled":true,"displayName":"A","mailNickname":"a","passwordProfile":{"forceChangePasswordNextSignIn":true,"password":"PW"},"userPrincipalName":"a@c.example"}
POST /v1.0/users/{id}/assignLicense {"addLicenses":[{"disabledPlans":[],"skuId":"s"}],"removeLicenses":[]}
`},
		{"user", "", `{"displayName":"A","mailNickname":"a","userPrincipalName":"a@c.example"}`,
			`POST /v1.0/users {"accountEnabled":false,"displayName":"A","mailNickname":"a","passwordProfile":{"forceChangePasswordNextSignIn":true,"password":"PW"},"userPrincipalName":"a@c.example"}
`},
		{"user", "", `{"displayName":"A","mailNickname":"a"}`, ""},
		{"user", "", `{"displayName":"A","mailNickname":"a","userPrincipalName":"a@c.example","createdDateTime":"x"}`, ""},
		{"user", "", `{"displayName":"A","mailNickname":"a","userPrincipalName":"a@c.example","unheardOf":1}`, ""},
		{"group", "", `{"displayName":"G","mailEnabled":false,"mailNickname":"g","securityEnabled":true,"isAssignableToRole":true}`,
			`POST /v1.0/groups {"displayName":"G","groupTypes":[],"isAssignableToRole":true,"mailEnabled":false,"mailNickname":"g","securityEnabled":true}
`},
		{"application", "", `{"displayName":"A","identifierUris":["api://` + g1 + `/x","https://c.example"],"isDisabled":true}`,
			`POST /v1.0/applications {"displayName":"A","identifierUris":["https://c.example"]}
PATCH /v1.0/applications/{id} {"identifierUris":["https://c.example","api://{appId}/x"],"isDisabled":true}
`},
		{"application", "", `{"displayName":"A","keyCredentials":[{"keyId":"k"}]}`, ""},
		{"accessPackageResource", "c/old", `{"originId":"g","originSystem":"AadGroup"}`, `POST /v1.0/identityGovernance/entitlementManagement/resourceRequests {"catalog":{"id":"c"},"requestType":"adminAdd","resource":{"originId":"g","originSystem":"AadGroup"}}
`},
		{"connectedOrganization", "", `{"displayName":"O","description":"D","identitySources":[{"tenantId":"t"}]}`, `POST /v1.0/identityGovernance/entitlementManagement/connectedOrganizations {"description":"D","displayName":"O","identitySources":[{"tenantId":"t"}]}
`},
		{"connectedOrganization", "", `{"displayName":"O","description":"D","identitySources":[{"tenantId":"t"},{"domainName":"d"}]}`, ""},
		{"workflow", "", `{"displayName":"W","category":"joiner","executionConditions":{},"tasks":[],"isEnabled":false}`, `POST /v1.0/identityGovernance/lifecycleWorkflows/workflows {"category":"joiner","displayName":"W","executionConditions":{},"isEnabled":false,"tasks":[]}
`},
		{"servicePrincipal", "", `{"appId":"` + g1 + `","tags":["t"]}`, `POST /v1.0/servicePrincipals {"appId":"` + g1 + `","tags":["t"]}
`},
		{"appRoleAssignment", g3 + "/old", `{"appRoleId":"r","principalId":"p","resourceId":"` + g3 + `"}`, `POST /v1.0/servicePrincipals/` + g3 + `/appRoleAssignedTo {"appRoleId":"r","principalId":"p","resourceId":"` + g3 + `"}
`},
		{"oAuth2PermissionGrant", "", `{"clientId":"c","consentType":"AllPrincipals","resourceId":"r","scope":"A B"}`, `POST /v1.0/oauth2PermissionGrants {"clientId":"c","consentType":"AllPrincipals","resourceId":"r","scope":"A B"}
`},
		{"administrativeUnit", "", `{"displayName":"U"}`, `POST /v1.0/directory/administrativeUnits {"displayName":"U"}
`},
		{"unifiedRoleDefinition", "", `{"displayName":"R","isEnabled":true,"rolePermissions":[{"allowedResourceActions":["a"],"condition":"x"}],"templateId":"` + g1 + `"}`,
			`POST /v1.0/roleManagement/directory/roleDefinitions {"displayName":"R","isEnabled":true,"rolePermissions":[{"allowedResourceActions":["a"]}],"templateId":"` + g1 + `"}
`},
		{"cloudPCRoleDefinition", "", `{"displayName":"R","isEnabled":true,"rolePermissions":[{"allowedResourceActions":["a"],"excludedResourceActions":[]}]}`,
			`POST /beta/roleManagement/cloudPC/roleDefinitions {"displayName":"R","isEnabled":true,"rolePermissions":[{"allowedResourceActions":["a"]}]}
`},
		{"deviceManagementRoleDefinition", "", `{"displayName":"R","rolePermissions":[]}`, `POST /beta/roleManagement/deviceManagement/roleDefinitions {"displayName":"R","rolePermissions":[]}
`},
		{"defenderRoleDefinition", "", `{"displayName":"R"}`, ""},
		{"exchangeRoleDefinition", "", `{"displayName":"R","rolePermissions":[]}`, ""},
		{"entitlementRoleAssignment", "", `{"appScopeId":"/AccessPackageCatalog/c","principalId":"p","roleDefinitionId":"r"}`, `POST /v1.0/roleManagement/entitlementManagement/roleAssignments {"appScopeId":"/AccessPackageCatalog/c","principalId":"p","roleDefinitionId":"r"}
`},
		{"unifiedRoleAssignment", "", `{"directoryScopeId":"/","principalId":"p","roleDefinitionId":"r"}`, `POST /v1.0/roleManagement/directory/roleAssignments {"directoryScopeId":"/","principalId":"p","roleDefinitionId":"r"}
`},
		{"conditionalAccessPolicy", "", `{"displayName":"P","state":"disabled","conditions":{"users":{"includeUsers":["All"]}},"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`,
			`POST /v1.0/identity/conditionalAccess/policies {"conditions":{"users":{"includeUsers":["All"]}},"displayName":"P","grantControls":{"builtInControls":["mfa"],"operator":"OR"},"sessionControls":null,"state":"disabled"}
`},
		{"namedLocation", "", `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"L","countriesAndRegions":["CH"]}`,
			`POST /v1.0/identity/conditionalAccess/namedLocations {"@odata.type":"#microsoft.graph.countryNamedLocation","countriesAndRegions":["CH"],"displayName":"L"}
`},
		{"namedLocation", "", `{"displayName":"L","countriesAndRegions":["CH"]}`, ""},
		{"authenticationStrengthPolicy", "", `{"displayName":"S","allowedCombinations":["fido2"]}`, `POST /v1.0/policies/authenticationStrengthPolicies {"allowedCombinations":["fido2"],"displayName":"S"}
`},
		{"extensionProperty", "p/x", `{"name":"extension_00112233445566778899aabbccddeeff_costCenter","dataType":"String","targetObjects":["User"],"isMultiValued":false}`,
			`POST /v1.0/applications/p/extensionProperties {"dataType":"String","isMultiValued":false,"name":"costCenter","targetObjects":["User"]}
`},
		{"extensionProperty", "p/x", `{"name":"costCenter","dataType":"String"}`, ""},
		{"permissionGrantPolicy", "mine", `{"displayName":"P","description":"D"}`, `POST /v1.0/policies/permissionGrantPolicies {"description":"D","displayName":"P","id":"mine"}
`},
		{"permissionGrantInclude", "mine/old", `{"permissionType":"delegated","permissions":["all"]}`, `POST /v1.0/policies/permissionGrantPolicies/mine/includes {"permissionType":"delegated","permissions":["all"]}
`},
		{"authenticationContextClassReference", "c7", `{"displayName":"C","isAvailable":true}`, `PATCH /v1.0/identity/conditionalAccess/authenticationContextClassReferences/c7 {"displayName":"C","isAvailable":true}
`},
		{"crossTenantAccessPolicyConfigurationPartner", g1, `{"tenantId":"` + g1 + `"}`, `POST /v1.0/policies/crossTenantAccessPolicy/partners {"tenantId":"` + g1 + `"}
`},
		{"crossTenantIdentitySyncPolicyPartner", g1 + "/crossTenantIdentitySyncPolicyPartner", `{"userSyncInbound":{"isSyncAllowed":true}}`,
			`PUT /v1.0/policies/crossTenantAccessPolicy/partners/` + g1 + `/identitySynchronization {"userSyncInbound":{"isSyncAllowed":true}}
`},
		{"synchronizationJob", g1 + "/old", `{"templateId":"scim","isActive":false}`, `POST /v1.0/servicePrincipals/` + g1 + `/synchronization/jobs {"templateId":"scim"}
`},
		{"synchronizationJob", g1 + "/old", `{"templateId":"scim","isActive":true}`, `POST /v1.0/servicePrincipals/` + g1 + `/synchronization/jobs {"templateId":"scim"}
POST /v1.0/servicePrincipals/` + g1 + `/synchronization/jobs/{id}/start {}
`},
		{"synchronizationSchema", g1 + "/scim.t.x/synchronizationSchema", `{"directories":[{"id":"a"}],"synchronizationRules":[]}`, `PUT /v1.0/servicePrincipals/` + g1 + `/synchronization/jobs/scim.t.x/schema {"directories":[{"id":"a"}],"synchronizationRules":[]}
`},
		{"synchronizationSchema", g1 + "/scim.t.x/synchronizationSchema", `{"synchronizationRules":[]}`, ""},
		{"remoteDesktopSecurityConfiguration", g1 + "/remoteDesktopSecurityConfiguration", `{"isRemoteDesktopProtocolEnabled":true}`,
			`POST /v1.0/servicePrincipals/` + g1 + `/remoteDesktopSecurityConfiguration {"isRemoteDesktopProtocolEnabled":true}
`},
		{"targetDeviceGroup", g1 + "/remoteDesktopSecurityConfiguration/" + g2, `{"displayName":"D","id":"` + g2 + `"}`,
			`POST /v1.0/servicePrincipals/` + g1 + `/remoteDesktopSecurityConfiguration/targetDeviceGroups {"displayName":"D","id":"` + g2 + `"}
`},
		{"applicationLogo", g1 + "/applicationLogo", `{"contentType":"text/css","data":"YSB7fQ=="}`, `PUT /v1.0/applications/` + g1 + `/logo a {}
`},
		{"applicationLogo", g1 + "/applicationLogo", `{"contentType":"text/css","data":"a"}`, ""},
		{"applicationLogo", g1 + "/applicationLogo", `{"data":"YSB7fQ=="}`, ""},
		{"brandingCustomCSS", g1 + "/fr-FR/brandingCustomCSS", `{"contentType":"text/css","data":"YSB7fQ=="}`, `PUT /v1.0/organization/` + g1 + `/branding/localizations/fr-FR/customCSS a {}
`},
		{"organizationalBrandingLocalization", g1 + "/fr-FR", `{"id":"fr-FR","signInPageText":"Salut"}`, `POST /v1.0/organization/` + g1 + `/branding/localizations {"id":"fr-FR","signInPageText":"Salut"}
PATCH /v1.0/organization/` + g1 + `/branding/localizations/{id} {"backgroundColor":null,"customAccountResetCredentialsUrl":null,"customCannotAccessYourAccountText":null,"customCannotAccessYourAccountUrl":null,"customForgotMyPasswordText":null,"customPrivacyAndCookiesText":null,"customPrivacyAndCookiesUrl":null,"customResetItNowText":null,"customTermsOfUseText":null,"customTermsOfUseUrl":null,"headerBackgroundColor":null,"usernameHintText":null}
`},
		{"authenticationMethod", g1 + "/old", `{"@odata.type":"#microsoft.graph.phoneAuthenticationMethod","phoneNumber":"+1 2","phoneType":"office"}`, `POST /v1.0/users/` + g1 + `/authentication/phoneMethods {"phoneNumber":"+1 2","phoneType":"office"}
`},
		{"domain", "", `{}`, ""}, {"subscribedSku", "", `{}`, ""}, {"deletedUser", "", `{}`, ""}, {"directoryAudit", "", `{}`, ""},
	}
	seen := map[entra.Type]bool{}
	for _, tt := range tests {
		r, _ := catalog.Lookup(entra.Type(tt.typ))
		seen[r.Type] = true
		calls, err := r.Create(entra.ID(tt.id), members(t, tt.set), catalog.Fresh{Password: "PW"})
		if (err != nil) != (tt.want == "") {
			t.Errorf("%s %s: error %v", tt.typ, tt.set, err)
		}
		if d := cmp.Diff(tt.want, show(calls...)); d != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.typ, tt.set, d)
		}
	}
	for r := range catalog.All() {
		if _, creates, _ := catalog.Shapes(r); creates && !seen[r.Type] {
			t.Errorf("%s has no case", r.Type)
		}
	}
}

type update struct{ typ, id, set, was, want string }

func TestUpdate(t *testing.T) {
	const app, policy = "PATCH /v1.0/applications/i", "PATCH /v1.0/identity/conditionalAccess/policies/i"
	tests := []update{
		{"user", "i", `{"department":null,"otherMails":null,"jobTitle":""}`, `{}`, `PATCH /v1.0/users/i {"department":null,"jobTitle":null,"otherMails":[]}
`},
		{"user", "i", `{"employeeOrgData.division":"D","employeeOrgData.costCenter":null}`, `{}`, `PATCH /v1.0/users/i {"employeeOrgData":{"costCenter":null,"division":"D"}}
`},
		{"user", "i", `{"usageLocation":"CH","assignedLicenses":[{"skuId":"a"},{"skuId":"b","disabledPlans":["p"]}]}`, `{"assignedLicenses":[{"skuId":"a"},{"skuId":"b"},{"skuId":"c"}]}`,
			`PATCH /v1.0/users/i {"usageLocation":"CH"}
POST /v1.0/users/i/assignLicense {"addLicenses":[{"disabledPlans":["p"],"skuId":"b"}],"removeLicenses":["c"]}
`},
		{"user", "i", `{"assignedLicenses":null}`, `{"assignedLicenses":[{"skuId":"c"}]}`, `POST /v1.0/users/i/assignLicense {"addLicenses":[],"removeLicenses":["c"]}
`},
		{"user", "i", `{"createdDateTime":"x"}`, `{}`, "error"},
		{"user", "i", `{"mail":null}`, `{"mail":"a@b.example"}`, "error"},
		{"user", "i", `{"usageLocation":""}`, `{"usageLocation":"CH"}`, "error"},
		{"user", "i", `{"displayName":null}`, `{"displayName":"N"}`, "error"},
		{"user", "i", `{"department":"D","employeeHireDate":"2026-01-01T00:00:00Z"}`, `{}`, `PATCH /v1.0/users/i {"department":"D"}
PATCH /v1.0/users/i {"employeeHireDate":"2026-01-01T00:00:00Z"}
`},
		{"onPremisesDirectorySynchronization", "i", `{"features":{"passwordSyncEnabled":true,"blockSoftMatchEnabled":true}}`, `{"features":{"passwordSyncEnabled":true,"blockSoftMatchEnabled":false}}`,
			`PATCH /v1.0/directory/onPremisesSynchronization/i {"features":{"blockSoftMatchEnabled":true}}
`},
		{"group", "i", `{"uniqueName":"u"}`, `{"uniqueName":"v"}`, "error"},
		{"ownerlessGroupPolicy", "i", `{"isEnabled":false,"maxMembersToNotify":null}`, `{"isEnabled":true,"maxMembersToNotify":3}`, `PATCH /v1.0/policies/ownerlessGroupPolicy {"isEnabled":false}
`},
		{"ownerlessGroupPolicy", "i", `{"isEnabled":true,"maxMembersToNotify":3}`, `{"isEnabled":false}`, `PATCH /v1.0/policies/ownerlessGroupPolicy {"isEnabled":true,"maxMembersToNotify":3}
`},
		{"application", "i", `{"authenticationBehaviors":{"blockAzureADGraphAccess":true}}`, `{}`, app + ` {"authenticationBehaviors":{"blockAzureADGraphAccess":true}}
`},
		{"user", "i", `{"extension_0_a":"1"}`, `{}`, `PATCH /v1.0/users/i {"extension_0_a":"1"}
`},
		{"group", "i", `{"assignedLicenses":[{"skuId":"c"}]}`, `{}`, `POST /v1.0/groups/i/assignLicense {"addLicenses":[{"disabledPlans":[],"skuId":"c"}],"removeLicenses":[]}
`},
		{"group", "i", `{"isAssignableToRole":true}`, `{}`, "error"},
		{"application", "i", `{"passwordCredentials":[{"keyId":"a"}],"keyCredentials":null}`, `{"passwordCredentials":[{"keyId":"a"},{"keyId":"b"}],"keyCredentials":[{"keyId":"k"}]}`,
			app + ` {"keyCredentials":[]}
POST /v1.0/applications/i/removePassword {"keyId":"b"}
`},
		{"application", "i", `{"passwordCredentials":[{"keyId":"a"}]}`, `{"passwordCredentials":[]}`, "error"},
		{"application", "i", `{"keyCredentials":[{"keyId":"a","displayName":"x"}]}`, `{"keyCredentials":[{"keyId":"a","displayName":"y"}]}`, "error"},
		{"application", "i", `{"appRoles":[{"id":"a","isEnabled":true}]}`, `{"appRoles":[{"id":"a","isEnabled":true},{"id":"b","isEnabled":true}]}`,
			app + ` {"appRoles":[{"id":"a","isEnabled":true},{"id":"b","isEnabled":false}]}
` + app + ` {"appRoles":[{"id":"a","isEnabled":true}]}
`},
		{"application", "i", `{"appRoles":[{"id":"a","isEnabled":true}]}`, `{"appRoles":[{"id":"a","isEnabled":true},{"id":"b","isEnabled":false}]}`, app + ` {"appRoles":[{"id":"a","isEnabled":true}]}
`},
		{"application", "i", `{"api":{"requestedAccessTokenVersion":2}}`, `{"api":{"oauth2PermissionScopes":[{"id":"s","isEnabled":true}]}}`,
			app + ` {"api":{"oauth2PermissionScopes":[{"id":"s","isEnabled":false}]}}
` + app + ` {"api":{"oauth2PermissionScopes":[],"requestedAccessTokenVersion":2}}
`},
		{"application", "i", `{"web":{"redirectUris":["https://a"]}}`, `{"web":{"logoutUrl":"https://b","redirectUris":[]}}`, app + ` {"web":{"logoutUrl":null,"redirectUris":["https://a"]}}
`},
		{"servicePrincipal", "i", `{"accountEnabled":false,"passwordCredentials":[]}`, `{"passwordCredentials":[{"keyId":"a"}]}`, `PATCH /v1.0/servicePrincipals/i {"accountEnabled":false}
POST /v1.0/servicePrincipals/i/removePassword {"keyId":"a"}
`},
		{"oAuth2PermissionGrant", "i-_x", `{"scope":"A"}`, `{}`, `PATCH /v1.0/oauth2PermissionGrants/i-_x {"scope":"A"}
`},
		{"administrativeUnit", "i", `{"description":null}`, `{}`, `PATCH /v1.0/directory/administrativeUnits/i {"description":null}
`},
		{"unifiedRoleDefinition", "i", `{"rolePermissions":[{"allowedResourceActions":["a"],"excludedResourceActions":[]}]}`, `{}`, `PATCH /v1.0/roleManagement/directory/roleDefinitions/i {"rolePermissions":[{"allowedResourceActions":["a"]}]}
`},
		{"cloudPCRoleDefinition", "i", `{"rolePermissions":[{"allowedResourceActions":["a"],"condition":"x"}]}`, `{}`, `PATCH /beta/roleManagement/cloudPC/roleDefinitions/i {"rolePermissions":[{"allowedResourceActions":["a"]}]}
`},
		{"deviceManagementRoleDefinition", "i", `{"description":null}`, `{}`, `PATCH /beta/roleManagement/deviceManagement/roleDefinitions/i {"description":null}
`},
		{"defenderRoleDefinition", "i", `{"version":"2"}`, `{}`, "error"},
		{"unifiedRoleManagementAlertConfiguration", "i", `{"isEnabled":false}`, `{"@odata.type":"#microsoft.graph.staleSignInAlertConfiguration","duration":"P30D"}`,
			`PATCH /beta/identityGovernance/roleManagementAlerts/alertConfigurations/i {"@odata.type":"#microsoft.graph.staleSignInAlertConfiguration","isEnabled":false}
`},
		{"unifiedRoleManagementAlertConfiguration", "i", `{"isEnabled":false}`, `{}`, "error"},
		{"conditionalAccessPolicy", "i", `{"state":"disabled","grantControls":null}`, `{}`, policy + ` {"grantControls":null,"state":"disabled"}
`},
		{"conditionalAccessPolicy", "i", `{"conditions":{"clientAppTypes":["all"],"users":{"includeUsers":["All"]},"locations":{"includeLocations":["All"]}}}`, `{}`,
			policy + ` {"conditions":{"applications":null,"authenticationFlows":null,"clientAppTypes":["all"],"clientApplications":null,"devices":null,"insiderRiskLevels":null,"locations":{"excludeLocations":[],"includeLocations":["All"]},"platforms":null,"servicePrincipalRiskLevels":[],"signInRiskLevels":[],"userRiskLevels":[],"users":{"excludeGroups":[],"excludeGuestsOrExternalUsers":null,"excludeRoles":[],"excludeUsers":[],"includeGroups":[],"includeGuestsOrExternalUsers":null,"includeRoles":[],"includeUsers":["All"]}}}
`},
		{"conditionalAccessPolicy", "i", `{"conditions.users.excludeUsers":["b"]}`, `{"conditions":{"clientAppTypes":["all"],"users":{"excludeUsers":["a","b"],"includeUsers":["All"]},"locations":{"includeLocations":["All"]}}}`,
			policy + ` {"conditions":{"applications":null,"authenticationFlows":null,"clientAppTypes":["all"],"clientApplications":null,"devices":null,"insiderRiskLevels":null,"locations":{"excludeLocations":[],"includeLocations":["All"]},"platforms":null,"servicePrincipalRiskLevels":[],"signInRiskLevels":[],"userRiskLevels":[],"users":{"excludeGroups":[],"excludeGuestsOrExternalUsers":null,"excludeRoles":[],"excludeUsers":["b"],"includeGroups":[],"includeGuestsOrExternalUsers":null,"includeRoles":[],"includeUsers":["All"]}}}
`},
		{"conditionalAccessPolicy", "i", `{"conditions.users.excludeUsers":["b"]}`, `{"conditions.users.excludeUsers":["a","b"]}`, "error"},
		{"conditionalAccessPolicy", "i", `{"conditions.users.excludeUsers":["b"]}`, `{}`, "error"},
		{"conditionalAccessPolicy", "i", `{"conditions.users.excludeUsers[b]":null}`, `{"conditions":{}}`, "error"},
		{"application", "i", `{"web.redirectUris":null}`, `{"web":{"logoutUrl":"https://b","redirectUris":["x"]}}`, app + ` {"web":{"logoutUrl":"https://b","redirectUris":[]}}
`},
		{"user", "i", `{"employeeOrgData.division":"D"}`, `{"employeeOrgData":{"costCenter":"C","division":"E"}}`, `PATCH /v1.0/users/i {"employeeOrgData":{"costCenter":"C","division":"D"}}
`},
		{"conditionalAccessPolicy", "i", `{"grantControls":{"operator":"AND","authenticationStrength":{"id":"s"}},"sessionControls":{"persistentBrowser":{"isEnabled":true}}}`, `{}`,
			policy + ` {"grantControls":{"authenticationStrength":{"id":"s"},"builtInControls":[],"customAuthenticationFactors":[],"operator":"AND","termsOfUse":[]},"sessionControls":{"applicationEnforcedRestrictions":null,"cloudAppSecurity":null,"disableResilienceDefaults":null,"persistentBrowser":{"isEnabled":true},"secureSignInSession":null,"signInFrequency":null}}
`},
		{"namedLocation", "i", `{"displayName":"L"}`, `{"@odata.type":"#microsoft.graph.countryNamedLocation"}`, `PATCH /v1.0/identity/conditionalAccess/namedLocations/i {"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"L"}
`},
		{"namedLocation", "i", `{"isTrusted":false}`, `{}`, `PATCH /v1.0/identity/conditionalAccess/namedLocations/i {"@odata.type":"#microsoft.graph.ipNamedLocation","isTrusted":false}
`},
		{"namedLocation", "i", `{"displayName":"L"}`, `{}`, "error"},
		{"authenticationStrengthPolicy", "i", `{"displayName":"S","allowedCombinations":["fido2"]}`, `{}`, `PATCH /v1.0/policies/authenticationStrengthPolicies/i {"displayName":"S"}
POST /v1.0/policies/authenticationStrengthPolicies/i/updateAllowedCombinations {"allowedCombinations":["fido2"]}
`},
		{"authenticationMethodsPolicy", "authenticationMethodsPolicy", `{"policyMigrationState":"preMigration"}`, `{}`, `PATCH /v1.0/policies/authenticationMethodsPolicy {"policyMigrationState":"preMigration"}
`},
		{"authenticationMethodConfiguration", "Sms", `{"state":"disabled"}`, `{}`, `PATCH /v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/Sms {"@odata.type":"#microsoft.graph.smsAuthenticationMethodConfiguration","state":"disabled"}
`},
		{"authenticationMethodConfiguration", g1, `{"state":"disabled"}`, `{}`, "error"},
		{"identitySecurityDefaultsEnforcementPolicy", "x", `{"isEnabled":false}`, `{}`, `PATCH /v1.0/policies/identitySecurityDefaultsEnforcementPolicy {"isEnabled":false}
`},
		{"identityProviderBase", "Google-OAUTH", `{"clientId":"c"}`, `{"@odata.type":"#microsoft.graph.socialIdentityProvider","displayName":"G"}`, `PATCH /v1.0/identity/identityProviders/Google-OAUTH {"@odata.type":"#microsoft.graph.socialIdentityProvider","clientId":"c"}
`},
		{"identityProviderBase", "i", `{"clientSecret":"****"}`, `{"@odata.type":"#microsoft.graph.socialIdentityProvider"}`, "error"},
		{"identityProviderBase", "i", `{"clientAuthentication":{}}`, `{"@odata.type":"#microsoft.graph.oidcIdentityProvider"}`, "error"},
		{"identityApiConnector", "i", `{"authenticationConfiguration":{"password":"****"}}`, `{}`, "error"},
		{"customAuthenticationExtension", "i", `{"clientConfiguration.maximumRetries":0}`, `{"@odata.type":"#microsoft.graph.onTokenIssuanceStartCustomExtension","clientConfiguration":{"timeoutInMilliseconds":9}}`,
			`PATCH /v1.0/identity/customAuthenticationExtensions/i {"@odata.type":"#microsoft.graph.onTokenIssuanceStartCustomExtension","clientConfiguration":{"maximumRetries":0,"timeoutInMilliseconds":9}}
`},
		{"authenticationEventsFlow", "i", `{"description":null}`, `{"@odata.type":"#microsoft.graph.externalUsersSelfServiceSignUpEventsFlow"}`, `PATCH /v1.0/identity/authenticationEventsFlows/i {"@odata.type":"#microsoft.graph.externalUsersSelfServiceSignUpEventsFlow","description":null}
`},
		{"domain", "d.example", `{"isDefault":false}`, `{}`, ``},
		{"domain", "c.example", `{"isDefault":true}`, `{}`, `PATCH /v1.0/domains/c.example {"isDefault":true}
`},
		{"organization", "i", `{"technicalNotificationMails":null}`, `{}`, `PATCH /v1.0/organization/i {"technicalNotificationMails":[]}
`},
		{"appRoleAssignment", "a/b", `{"principalId":"x"}`, `{}`, "error"},
		{"customCalloutExtension", "c/e", `{"displayName":"E"}`, `{"@odata.type":"#microsoft.graph.accessPackageAssignmentWorkflowExtension"}`, `PATCH /v1.0/identityGovernance/entitlementManagement/catalogs/c/customWorkflowExtensions/e {"@odata.type":"#microsoft.graph.accessPackageAssignmentWorkflowExtension","displayName":"E"}
`},
		{"customCalloutExtension", "c/e", `{"displayName":"E"}`, `{}`, "error"},
		{"accessPackageAssignmentPolicy", "i", `{"displayName":"Q","questions":null}`, `{"accessPackage":{"id":"p"},"displayName":"P","allowedTargetScope":"allMemberUsers","questions":[{"text":"Why?"}],"createdDateTime":"2020-01-01T00:00:00Z"}`,
			`PUT /v1.0/identityGovernance/entitlementManagement/assignmentPolicies/i {"accessPackage":{"id":"p"},"allowedTargetScope":"allMemberUsers","automaticRequestSettings":null,"customExtensionStageSettings":[],"description":null,"displayName":"Q","expiration":null,"id":"i","notificationSettings":null,"questions":[],"requestApprovalSettings":null,"requestorSettings":null,"reviewSettings":null,"specificAllowedTargets":[]}
`},
		{"accessReviewScheduleDefinition", "i", `{"displayName":"Q"}`, `{"displayName":"R","scope":{"query":"/groups/g"},"status":"InProgress"}`,
			`PUT /v1.0/identityGovernance/accessReviews/definitions/i {"additionalNotificationRecipients":[],"descriptionForAdmins":null,"descriptionForReviewers":null,"displayName":"Q","fallbackReviewers":[],"id":"i","instanceEnumerationScope":null,"reviewers":[],"scope":{"query":"/groups/g"},"settings":null,"stageSettings":[]}
`},
		{"workflow", "i", `{"displayName":"V"}`, `{"displayName":"W","tasks":[]}`, `PATCH /v1.0/identityGovernance/lifecycleWorkflows/workflows/i {"displayName":"V"}
`},
		{"workflow", "i", `{"displayName":"V","tasks":[{"displayName":"T"}]}`, `{"category":"joiner","displayName":"W","tasks":[],"createdDateTime":"2020-01-01T00:00:00Z","isEnabled":true}`,
			`POST /v1.0/identityGovernance/lifecycleWorkflows/workflows/i/createNewVersion {"workflow":{"category":"joiner","displayName":"V","isEnabled":true,"tasks":[{"displayName":"T"}]}}
`},
		{"synchronizationJob", "s/j", `{"isActive":true}`, `{"isActive":false}`, `POST /v1.0/servicePrincipals/s/synchronization/jobs/j/start {}
`},
		{"synchronizationJob", "s/j", `{"isActive":false}`, `{"isActive":true}`, `POST /v1.0/servicePrincipals/s/synchronization/jobs/j/pause {}
`},
		{"synchronizationSchema", "s/j/synchronizationSchema", `{"synchronizationRules":[{"id":"r"}]}`, `{"directories":[{"id":"a"}],"synchronizationRules":[]}`, `PUT /v1.0/servicePrincipals/s/synchronization/jobs/j/schema {"directories":[{"id":"a"}],"synchronizationRules":[{"id":"r"}]}
`},
		{"synchronizationSchema", "s/j/synchronizationSchema", `{"synchronizationRules":[{"id":"r"}]}`, `{}`, "error"},
		{"userSecurityAttributes", "u/x", `{"customSecurityAttributes":{"Set":{"Level":"low"}}}`, `{"customSecurityAttributes":{"Set":{"Level":"high","Places":{"type":"#Collection(String)","value":["a"]}},"Other":{"On":true,"Rank":{"type":"#Int32","value":1}}}}`,
			`PATCH /v1.0/users/u {"customSecurityAttributes":{"Other":{"@odata.type":"#Microsoft.DirectoryServices.CustomSecurityAttributeValue","On":null,"Rank":null},"Set":{"@odata.type":"#Microsoft.DirectoryServices.CustomSecurityAttributeValue","Level":"low","Places":[],"Places@odata.type":"#Collection(String)"}}}
`},
		{"servicePrincipalSecurityAttributes", "s/x", `{"customSecurityAttributes.Set.Level":"low"}`, `{"customSecurityAttributes":{"Set":{"Level":"high","On":true}}}`,
			`PATCH /v1.0/servicePrincipals/s {"customSecurityAttributes":{"Set":{"@odata.type":"#Microsoft.DirectoryServices.CustomSecurityAttributeValue","Level":"low","On":true}}}
`},
		{"unifiedRoleManagementPolicyAssignment", "a", `{"policy":{"rules":[{"id":"A","isEnabled":true},{"id":"B/","maximumDuration":"PT1H"}]}}`, `{"policyId":"p q","policy":{"rules":[{"id":"A","isEnabled":true},{"id":"B/","maximumDuration":"PT8H"}]}}`,
			`PATCH /v1.0/policies/roleManagementPolicies/p%20q/rules/B%2F {"id":"B/","maximumDuration":"PT1H"}
`},
		{"groupRoleManagementPolicyAssignment", "g/a", `{"policy.rules":[{"id":"A","isEnabled":true}]}`, `{"policyId":"p","policy":{"rules":[{"id":"A","isEnabled":false}]}}`,
			`PATCH /v1.0/policies/roleManagementPolicies/p/rules/A {"id":"A","isEnabled":true}
`},
		{"unifiedRoleEligibilitySchedule", "s", `{"scheduleInfo.expiration":{"type":"noExpiration"}}`, `{"principalId":"u","roleDefinitionId":"r","directoryScopeId":"/","scheduleInfo":{"expiration":{"type":"afterDateTime","endDateTime":"2030-01-01T00:00:00Z"}},"status":"Provisioned"}`,
			`POST /v1.0/roleManagement/directory/roleEligibilityScheduleRequests {"action":"adminUpdate","directoryScopeId":"/","justification":"Restored from a backup","principalId":"u","roleDefinitionId":"r","scheduleInfo":{"expiration":{"type":"noExpiration"},"startDateTime":"2020-01-01T00:00:00Z"}}
`},
		{"authenticationCombinationConfiguration", "s/c", `{"allowedAAGUIDs":["b"]}`, `{"@odata.type":"#microsoft.graph.fido2CombinationConfiguration","appliesToCombinations":["fido2"],"allowedAAGUIDs":["a"]}`,
			`PATCH /v1.0/policies/authenticationStrengthPolicies/s/combinationConfigurations/c {"@odata.type":"#microsoft.graph.fido2CombinationConfiguration","allowedAAGUIDs":["b"]}
`},
		{"authenticationCombinationConfiguration", "s/c", `{"allowedAAGUIDs":["b"]}`, `{}`, "error"},
		{"onPremisesPublishing", "a/onPremisesPublishing", `{"onPremisesPublishing.externalAuthenticationType":"aadPreAuthentication"}`, `{"onPremisesPublishing":{"externalAuthenticationType":"passthru","externalUrl":"e","internalUrl":"i"}}`,
			`PATCH /beta/applications/a {"onPremisesPublishing":{"externalAuthenticationType":"aadPreAuthentication","externalUrl":"e","internalUrl":"i"}}
`},
		{"featureRolloutPolicy", "i", `{"isEnabled":false}`, `{"feature":"seamlessSso","isEnabled":true}`, `PATCH /v1.0/policies/featureRolloutPolicies/i {"isEnabled":false}
`},
		{"mobileDeviceManagementPolicy", "i", `{"appliesTo":"all","discoveryUrl":"u"}`, `{"appliesTo":"none"}`, `PATCH /beta/policies/mobileDeviceManagementPolicies/i {"discoveryUrl":"u"}
PATCH /beta/policies/mobileDeviceManagementPolicies/i {"appliesTo":"all"}
`},
		{"mobileAppManagementPolicy", "i", `{"appliesTo":"selected"}`, `{"appliesTo":"none"}`, ""}, // as soon as a group is added
		{"fraudProtectionProvider", "i", `{"displayName":"N"}`, `{"@odata.type":"#microsoft.graph.arkoseFraudProtectionProvider","displayName":"O"}`,
			`PATCH /v1.0/identity/riskPrevention/fraudProtectionProviders/i {"@odata.type":"#microsoft.graph.arkoseFraudProtectionProvider","displayName":"N"}
`},
		{"webApplicationFirewallProvider", "i", `{"zoneId":"N"}`, `{"@odata.type":"#microsoft.graph.cloudFlareWebApplicationFirewallProvider","displayName":"O","zoneId":"O"}`,
			`PATCH /v1.0/identity/riskPrevention/webApplicationFirewallProviders/i {"@odata.type":"#microsoft.graph.cloudFlareWebApplicationFirewallProvider","zoneId":"N"}
`},
		{"fraudProtectionProvider", "i", `{"publicKey":"N"}`, `{"@odata.type":"#microsoft.graph.arkoseFraudProtectionProvider"}`, "error"},
	}
	tests = append(append(tests, settingUpdates()...), agentUpdates()...)
	seen := map[entra.Type]bool{}
	for _, tt := range tests {
		r, _ := catalog.Lookup(entra.Type(tt.typ))
		seen[r.Type] = true
		set, was := members(t, tt.set), members(t, tt.was)
		calls, err := r.Update(entra.ID(tt.id), set, was)
		if (err != nil) != (tt.want == "error") {
			t.Errorf("%s %s: error %v", tt.typ, tt.set, err)
		}
		if d := cmp.Diff(strings.TrimPrefix(tt.want, "error"), show(calls...)); d != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.typ, tt.set, d)
		}
		if d := cmp.Diff(members(t, tt.set), set) + cmp.Diff(members(t, tt.was), was); d != "" {
			t.Errorf("%s %s: the arguments were changed:\n%s", tt.typ, tt.set, d)
		}
	}
	for r := range catalog.All() {
		if _, _, updates := catalog.Shapes(r); updates && !seen[r.Type] {
			t.Errorf("%s has no case", r.Type)
		}
	}
}

func TestOtherCalls(t *testing.T) {
	r := func(ty entra.Type) *catalog.Resource {
		r, ok := catalog.Lookup(ty)
		if !ok {
			t.Fatal(ty)
		}
		return r
	}
	call := func(c catalog.Call, err error) catalog.Call {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		return c
	}
	ref := func(ty entra.Type, id entra.ID) entra.Ref { return entra.Ref{Type: ty, ID: id} }
	gone := func(ty entra.Type, id entra.ID) catalog.Call { return r(ty).Remove(entra.Object{Ref: ref(ty, id)}) }
	member := entra.Link{From: ref("group", "g"), Rel: "members", To: ref("user", "u")}
	manager := entra.Link{From: ref("user", "a#b"), Rel: "manager", To: ref("user", "m")}
	applies := entra.Link{From: ref("claimsMappingPolicy", "p"), Rel: "appliesTo", To: ref("servicePrincipal", "s")}
	batch, ok := r("group").BindMany(member.From, "members", []entra.Ref{ref("user", "u"), ref("device", "d")})
	if !ok {
		t.Error("members cannot be bound together")
	}
	got := show(
		r("privilegedAccessGroupEligibilitySchedule").Remove(entra.Object{Ref: ref("privilegedAccessGroupEligibilitySchedule", "g/s"), Body: `{"accessId":"member","principalId":"u","status":"Provisioned"}`}),
		gone("group", "g"), gone("appRoleAssignment", entra.Join("p", "a/_-")), gone("domain", ""), gone("user", "a#b/c"),
		r("user").Revive("u", nil), r("conditionalAccessPolicy").Revive("p", nil), r("domain").Revive("d", nil),
		r("servicePrincipal").Fetch("a"), r("identitySecurityDefaultsEnforcementPolicy").Fetch("x"), r("deletedNamedLocation").Fetch("n"), r("administrativeUnit").Fetch("n"),
		call(r("group").Bind(member)), call(r("group").Unbind(member)), call(r("group").Linked(member)),
		call(r("user").Bind(manager)), call(r("user").Unbind(manager)), call(r("user").Linked(manager)), batch,
		call(r("claimsMappingPolicy").Bind(applies)), call(r("claimsMappingPolicy").Unbind(applies)), call(r("claimsMappingPolicy").Linked(applies)),
	)
	want := `POST /v1.0/identityGovernance/privilegedAccess/group/eligibilityScheduleRequests {"accessId":"member","action":"adminRemove","groupId":"g","justification":"Restored from a backup","principalId":"u"}
DELETE /v1.0/groups/g
DELETE /v1.0/servicePrincipals/p/appRoleAssignedTo/a%2F_-
DELETE /v1.0/domains/-
DELETE /v1.0/users/a%23b%2Fc
POST /v1.0/directory/deletedItems/u/restore {}
POST /v1.0/identity/conditionalAccess/deletedItems/policies/p/restore {}
 /
GET /v1.0/servicePrincipals/a
GET /v1.0/policies/identitySecurityDefaultsEnforcementPolicy
GET /v1.0/identity/conditionalAccess/deletedItems/namedLocations/n
GET /v1.0/directory/administrativeUnits/n?%24select=description%2CdisplayName%2Cid%2CisMemberManagementRestricted%2CmembershipRule%2CmembershipRuleProcessingState%2CmembershipType%2Cvisibility
POST /v1.0/groups/g/members/$ref {"@odata.id":"{endpoint}/v1.0/directoryObjects/u"}
DELETE /v1.0/groups/g/members/u/$ref
GET /v1.0/groups/g/members?%24select=id&%24top=999
PUT /v1.0/users/a%23b/manager/$ref {"@odata.id":"{endpoint}/v1.0/users/m"}
DELETE /v1.0/users/a%23b/manager/$ref
GET /v1.0/users/a%23b/manager?%24select=id
PATCH /v1.0/groups/g {"members@odata.bind":["{endpoint}/v1.0/directoryObjects/u","{endpoint}/v1.0/directoryObjects/d"]}
POST /v1.0/servicePrincipals/s/claimsMappingPolicies/$ref {"@odata.id":"{endpoint}/v1.0/policies/claimsMappingPolicies/p"}
DELETE /v1.0/servicePrincipals/s/claimsMappingPolicies/p/$ref
GET /v1.0/policies/claimsMappingPolicies/p/appliesTo?%24select=id
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	if _, ok := r("group").BindMany(member.From, "owners", []entra.Ref{ref("user", "u")}); ok {
		t.Error("owners can be bound together")
	}
	if _, ok := r("group").BindMany(member.From, "members", make([]entra.Ref, catalog.MaxBind+1)); ok {
		t.Error("too many can be bound together")
	}
	trusted := entra.Object{Ref: ref("namedLocation", "n"), Body: `{"@odata.type":"#microsoft.graph.ipNamedLocation","isTrusted":true}`}
	calls, err := r("namedLocation").Disarm(trusted)
	if got, want := show(calls...), "PATCH /v1.0/identity/conditionalAccess/namedLocations/n {\"@odata.type\":\"#microsoft.graph.ipNamedLocation\",\"isTrusted\":false}\n"; got != want || err != nil {
		t.Errorf("Disarm: %s, %v", got, err)
	}
}

// Removing a link without /$ref would delete what it leads to.
func TestUnbindNeverDeletesAnObject(t *testing.T) {
	n := 0
	var linked []*catalog.Resource
	for r := range catalog.All() {
		if slices.ContainsFunc(r.Links, func(rel catalog.Relation) bool { return rel.Write }) {
			linked = append(linked, r)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(linked).Draw(t, "type")
		id := rapid.StringMatching(`[a-zA-Z0-9/?#%$.& -]{0,12}`)
		for _, rel := range r.Links {
			if !rel.Write || rel.Sole {
				continue
			}
			n++
			l := entra.Link{From: entra.Ref{Type: r.Type, ID: entra.ID(id.Draw(t, "from"))}, Rel: rel.Rel, To: entra.Ref{Type: rel.To[0], ID: entra.ID(id.Draw(t, "to"))}}
			c, err := r.Unbind(l)
			if whole := rel.Write && l.From.ID != "" && l.To.ID != ""; whole != (err == nil) {
				t.Fatalf("%s: %v", l, err)
			} else if !whole {
				continue
			}
			segments := strings.Count(rel.Path, "/") + 1
			if rel.Many {
				segments++
			}
			if rel.Turned != nil {
				segments = strings.Count(rel.Turned[rel.To[0]], "/") + 2
			}
			if !strings.HasSuffix(c.Path, "/$ref") || strings.Count(c.Path, "/") != segments || strings.ContainsAny(c.Path, "?#") || c.Method != "DELETE" || c.Query != nil {
				t.Fatalf("%s: %s", l, show(c))
			}
		}
	})
	if n == 0 {
		t.Fatal("no link was tried")
	}
}

// What shows only by its value that it is a list is emptied like any other.
func TestAListOfAnExtensionIsEmptied(t *testing.T) {
	r, _ := catalog.Lookup(catalog.UserType)
	calls, err := r.Update("i", members(t, `{"extension_0_a":null}`), members(t, `{"extension_0_a":["x"]}`))
	if want := "PATCH /v1.0/users/i {\"extension_0_a\":[]}\n"; err != nil || show(calls...) != want {
		t.Errorf("%s, %v", show(calls...), err)
	}
}

// Bytes travel with what they are, and what is said in every language is written at the branding itself.
func TestBranding(t *testing.T) {
	r := func(name entra.Type) *catalog.Resource { x, _ := catalog.Lookup(name); return x }
	calls, err := r("brandingFavicon").Update("o/0/brandingFavicon", map[string]any{"data": "YQ=="}, map[string]any{"data": "Yg==", "contentType": "image/png"})
	if got := show(calls...); err != nil || got != "PUT /v1.0/organization/o/branding/localizations/0/favicon a\n" || calls[0].Header["Content-Type"] != "image/png" {
		t.Errorf("an image: %s %v", got, err)
	}
	if c := r("brandingFavicon").Fetch("o/0/brandingFavicon"); c.Header["Accept"] != "image/*, application/octet-stream" || c.Path != "/organization/o/branding/localizations/0/favicon" {
		t.Errorf("reading an image: %+v", c)
	}
	branding := r("organizationalBrandingLocalization")
	calls, err = branding.Update("o/0", map[string]any{"signInPageText": "Hello"}, map[string]any{})
	if got := show(calls...); err != nil || got != "PATCH /v1.0/organization/o/branding {\"signInPageText\":\"Hello\"}\n" || calls[0].Header["Accept-Language"] != "0" {
		t.Errorf("the default: %s %v", got, err)
	}
	calls, err = branding.Create("o/0", map[string]any{"id": "0", "signInPageText": "Hello"}, catalog.Fresh{})
	if got := show(calls[0]); err != nil || got != "PATCH /v1.0/organization/o/branding {\"signInPageText\":\"Hello\"}\n" || calls[0].Header["Accept-Language"] != "0" {
		t.Errorf("a new default: %s %v", got, err)
	}
	o := entra.Object{Ref: entra.Ref{Type: branding.Type, ID: "o/0"}, Body: `{"bannerLogo":true,"customCSS":true}`}
	if got := show(branding.Remove(o)); got != "DELETE /v1.0/organization/o/branding {\"id\":\"0\"}\n" {
		t.Errorf("removing the default: %s", got)
	}
	calls, err = branding.Disarm(o)
	if got := show(calls...); err != nil || got != "DELETE /v1.0/organization/o/branding/localizations/0/bannerLogo\nDELETE /v1.0/organization/o/branding/localizations/0/customCSS\n" {
		t.Errorf("removing images: %s %v", got, err)
	}
	if logo := r("brandingBannerLogo"); !logo.Holds(o.Body.Decode()) || r("brandingFavicon").Holds(o.Body.Decode()) || !r("brandingFavicon").Fits(o.Body.Decode()) {
		t.Error("which images there are")
	}
}

// Each kind of authentication method is written in a list of its own.
func TestAuthenticationMethods(t *testing.T) {
	r, _ := catalog.Lookup("authenticationMethod")
	const phone, email = `{"@odata.type":"#microsoft.graph.phoneAuthenticationMethod","phoneNumber":"+1 2","phoneType":"mobile"}`, `{"@odata.type":"#microsoft.graph.emailAuthenticationMethod","emailAddress":"a@b.example"}`
	object := func(id entra.ID, body entra.Body) entra.Object {
		return entra.Object{Ref: entra.Ref{Type: r.Type, ID: id}, Body: body}
	}
	var calls []catalog.Call
	for _, o := range []entra.Object{object("u/p", phone), object("u/e", email)} {
		made, err := r.Create(o.Ref.ID, catalog.Writable(o), catalog.Fresh{})
		if err != nil {
			t.Fatal(err)
		}
		calls = append(append(calls, made...), r.Remove(o), r.Fetch(o.Ref.ID))
		if catalog.Frozen(o) != "" || catalog.Precedes(o) != (o.Body == phone) {
			t.Errorf("%s: %q, %t", o.Body, catalog.Frozen(o), catalog.Precedes(o))
		}
	}
	changed, err := r.Update("u/p", map[string]any{"phoneNumber": "+1 3"}, object("u/p", phone).Body.Decode())
	if err != nil {
		t.Fatal(err)
	}
	want := `POST /v1.0/users/u/authentication/phoneMethods {"phoneNumber":"+1 2","phoneType":"mobile"}
DELETE /v1.0/users/u/authentication/phoneMethods/p
GET /v1.0/users/u/authentication/methods/p
POST /v1.0/users/u/authentication/emailMethods {"emailAddress":"a@b.example"}
DELETE /v1.0/users/u/authentication/emailMethods/e
GET /v1.0/users/u/authentication/methods/e
PATCH /v1.0/users/u/authentication/phoneMethods/p {"phoneNumber":"+1 3"}
`
	if d := cmp.Diff(want, show(append(calls, changed...)...)); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	reasons := map[string]bool{}
	for _, kind := range []string{"password", "fido2", "softwareOath", "temporaryAccessPass", "external", "somethingNew"} {
		why := catalog.Frozen(object("u/x", entra.Body(`{"@odata.type":"#microsoft.graph.`+kind+`AuthenticationMethod"}`)))
		reasons[why] = true
	}
	if len(reasons) != 6 || reasons[""] {
		t.Errorf("reasons: %v", reasons)
	}
	if _, err := r.Update("u/p", map[string]any{"phoneNumber": nil}, object("u/p", phone).Body.Decode()); err == nil {
		t.Error("a number can be cleared")
	}
}

// What is in one place always is put elsewhere, and taken away by nothing.
func TestOnePlaceAlways(t *testing.T) {
	r, _ := catalog.Lookup("connectorGroup")
	group := entra.Ref{Type: r.Type, ID: "g"}
	for want, l := range map[string]entra.Link{
		`POST /beta/onPremisesPublishingProfiles/applicationProxy/connectorGroups/g/members/$ref {"@odata.id":"{endpoint}/beta/onPremisesPublishingProfiles/applicationProxy/connectors/c"}
`: {From: group, Rel: "members", To: entra.Ref{Type: "connector", ID: "c"}},
		`PUT /beta/applications/a/connectorGroup/$ref {"@odata.id":"{endpoint}/beta/onPremisesPublishingProfiles/applicationProxy/connectorGroups/g"}
`: {From: group, Rel: "applications", To: entra.Ref{Type: "application", ID: "a"}},
	} {
		c, err := r.Bind(l)
		if d := cmp.Diff(want, show(c)); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", l, err, d)
		}
		if c, err := r.Unbind(l); !errors.Is(err, catalog.ErrRelation) {
			t.Errorf("%s: it is taken away: %s", l, show(c))
		}
	}
}

// What an application left is not written.
func TestPoliciesOfGoneApplications(t *testing.T) {
	for valid, frozen := range map[string]bool{"true": false, "false": true} {
		o := entra.Object{Ref: entra.Ref{Type: "mobileAppManagementPolicy", ID: "p"}, Body: entra.Body(`{"isValid":` + valid + `}`)}
		if why := catalog.Frozen(o); (why != "") != frozen {
			t.Errorf("isValid %s: %q", valid, why)
		}
		if why := catalog.FrozenLinks(o, "includedGroups"); (why != "") != frozen {
			t.Errorf("isValid %s: %q", valid, why)
		}
	}
}

// When agents update themselves is written at a path of its own, and the rest of a profile at the profile's.
func agentUpdates() []update {
	const at = "PATCH /beta/onPremisesPublishingProfiles/"
	const was = `{"isEnabled":false,"hybridAgentUpdaterConfiguration":{"allowUpdateConfigurationOverride":true,"deferUpdateDateTime":"2026-01-01T12:00:00Z"}}`
	const now = `{"isEnabled":true,"hybridAgentUpdaterConfiguration":{"allowUpdateConfigurationOverride":false,"deferUpdateDateTime":"2026-01-01T12:00:00Z"}}`
	all := []update{{"onPremisesPublishingProfile", "applicationProxy", now, was,
		at + `applicationProxy/hybridAgentUpdaterConfiguration {"allowUpdateConfigurationOverride":false,"deferUpdateDateTime":"2026-01-01T12:00:00Z"}
` + at + `applicationProxy {"isEnabled":true}
`}}
	for _, id := range []string{"provisioning", "authentication", "exchangeOnline", "adAdministration", "intunePfx", "oflineDomainJoin", "privateAccess"} {
		all = append(all,
			update{id + "PublishingProfile", id, `{"hybridAgentUpdaterConfiguration":{"allowUpdateConfigurationOverride":false}}`, was,
				at + id + `/hybridAgentUpdaterConfiguration {"allowUpdateConfigurationOverride":false,"deferUpdateDateTime":null}
`},
			update{id + "PublishingProfile", id, `{"hybridAgentUpdaterConfiguration":null}`, was,
				at + id + `/hybridAgentUpdaterConfiguration {"allowUpdateConfigurationOverride":false,"deferUpdateDateTime":null}
`},
			update{id + "PublishingProfile", id, `{"isEnabled":true}`, was, "error"})
	}
	return all
}
