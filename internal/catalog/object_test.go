package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	g1 = "11111111-1111-4111-8111-111111111111"
	x1 = "11111111111141118111111111111111" // g1 in the names of directory extensions
	g2 = "22222222-2222-4222-8222-222222222222"
	g3 = "33333333-3333-4333-8333-333333333333"
)

// answers are what the service sends for one object of each type, and the body that comes of it.
func answers() []struct {
	typ                 entra.Type
	parent              entra.ID
	raw, id, name, body string
} {
	type answer = struct {
		typ                 entra.Type
		parent              entra.ID
		raw, id, name, body string
	}
	all := []answer{
		{"user", "", `{"@odata.context":"x","id":"` + g1 + `","displayName":"Ann","userPrincipalName":"ann@c.example","mail":null,"businessPhones":[],"otherMails":["b","a"],
			"assignedLicenses":[{"skuId":"s2","disabledPlans":[]},{"skuId":"s1","disabledPlans":["p2","p1"]}],
			"licenseAssignmentStates":[{"skuId":"s1","assignedByGroup":null,"disabledPlans":["p2","p1"],"state":"Active"},{"skuId":"s2","assignedByGroup":"` + g2 + `","disabledPlans":[]}],
			"extension_0123_badge":"7","securityIdentifier":"S-1"}`, g1, "Ann",
			`{"assignedLicenses":[{"disabledPlans":["p1","p2"],"skuId":"s1"}],"displayName":"Ann","extension_0123_badge":"7","otherMails":["a","b"],"userPrincipalName":"ann@c.example"}`},
		{"group", "", `{"id":"` + g1 + `","displayName":"G","groupTypes":[],"renewedDateTime":"2020-01-01T00:00:00Z","members@delta":[{"id":"x"}],"mailEnabled":false}`, g1, "G",
			`{"displayName":"G","mailEnabled":false}`},
		{"application", "", `{"id":"` + g1 + `","appId":"` + g2 + `","displayName":"App","web":{"redirectUris":["https://b","https://a"],"redirectUriSettings":[{"uri":"https://b","index":null}]},
			"keyCredentials":[{"keyId":"k2","key":null},{"keyId":"k1","key":"AA"}],"info":{"logoUrl":"https://cdn","supportUrl":null},
			"appRoles":[{"id":"r2","origin":"Application"},{"id":"r1","allowedMemberTypes":["User","Application"]}]}`, g1, "App",
			`{"appId":"` + g2 + `","appRoles":[{"allowedMemberTypes":["Application","User"],"id":"r1"},{"id":"r2"}],"displayName":"App","info":{},"keyCredentials":[{"keyId":"k1"},{"keyId":"k2"}],"logo":true,"web":{"redirectUris":["https://a","https://b"]}}`},
		{"webApplicationFirewallVerification", "", `{"id":"v","verifiedHost":"www.contoso.example","provider":{"@odata.type":"#microsoft.graph.cloudFlareWebApplicationFirewallProvider","id":"p","displayName":"C","zoneId":"z"}}`,
			"v", "www.contoso.example", `{"provider":{"id":"p"},"verifiedHost":"www.contoso.example"}`},
		{"onPremisesPublishing", g1, `{"id":"` + g1 + `","onPremisesPublishing":{"externalUrl":"https://o","internalUrl":"https://i","isOnPremPublishingEnabled":true,"segmentsConfiguration":null,"verifiedCustomDomainKeyCredential":{"keyId":"k"},"verifiedCustomDomainCertificatesMetadata":{"thumbprint":"t"}}}`,
			g1 + "/onPremisesPublishing", "https://o", `{"onPremisesPublishing":{"externalUrl":"https://o","internalUrl":"https://i"}}`},
		{"applicationLogo", g1, `{"contentType":"image/png","data":"iVBORw=="}`, g1 + "/applicationLogo", "image/png", `{"contentType":"image/png","data":"iVBORw=="}`},
		{"organizationalBrandingLocalization", g1, `{"id":"fr-FR","signInPageText":"Salut","bannerLogoRelativeUrl":"x/y?ts=1","faviconRelativeUrl":null,"cdnList":["c"]}`, g1 + "/fr-FR", "fr-FR", `{"bannerLogo":true,"id":"fr-FR","signInPageText":"Salut"}`},
		{"servicePrincipal", "", `{"id":"` + g1 + `","appId":"` + g2 + `","displayName":"SP","tags":["b","a","a"],"replyUrls":[]}`, g1, "SP", `{"appId":"` + g2 + `","displayName":"SP","tags":["a","b"]}`},
		{"appRoleAssignment", g3, `{"id":"aB-_9","principalId":"` + g1 + `","principalDisplayName":"Ann","resourceId":"` + g3 + `","appRoleId":"00000000-0000-0000-0000-000000000000","deletedDateTime":null}`, g3 + "/aB-_9", "00000000-0000-0000-0000-000000000000",
			`{"appRoleId":"00000000-0000-0000-0000-000000000000","principalId":"` + g1 + `","resourceId":"` + g3 + `"}`},
		{"oAuth2PermissionGrant", "", `{"id":"q","clientId":"` + g1 + `","scope":" User.Read  Mail.Read User.Read","consentType":"AllPrincipals","principalId":null}`, "q", "Mail.Read User.Read",
			`{"clientId":"` + g1 + `","consentType":"AllPrincipals","scope":"Mail.Read User.Read"}`},
		{"administrativeUnit", "", `{"id":"` + g1 + `","displayName":"AU","visibility":null}`, g1, "AU", `{"displayName":"AU"}`},
		{"unifiedRoleDefinition", "", `{"id":"` + g1 + `","displayName":"R","isBuiltIn":false,"rolePermissions":[{"allowedResourceActions":["b","a"],"condition":null}],"resourceScopes":["/"]}`, g1, "R",
			`{"displayName":"R","isBuiltIn":false,"resourceScopes":["/"],"rolePermissions":[{"allowedResourceActions":["a","b"]}]}`},
		{"unifiedRoleAssignment", "", `{"id":"z","principalId":"` + g1 + `","roleDefinitionId":"` + g2 + `","directoryScopeId":"/","principalOrganizationId":"t"}`, "z", g2,
			`{"directoryScopeId":"/","principalId":"` + g1 + `","roleDefinitionId":"` + g2 + `"}`},
		{"conditionalAccessPolicy", "", `{"id":"` + g1 + `","displayName":"P","modifiedDateTime":"2020-01-01T00:00:00Z","state":"enabled","conditions":{"users":{"excludeUsers":["b","a"],"includeUsers":[]},"applications":null},
			"grantControls":{"operator":"OR","authenticationStrength@odata.context":"x","authenticationStrength":{"id":"` + g3 + `","displayName":"S"}}}`, g1, "P",
			`{"conditions":{"users":{"excludeUsers":["a","b"],"includeUsers":[]}},"displayName":"P","grantControls":{"authenticationStrength":{"id":"` + g3 + `"},"operator":"OR"},"state":"enabled"}`},
		{"extensionProperty", "p", `{"id":"d","deletedDateTime":null,"appDisplayName":"HR","name":"extension_` + x1 + `_a","dataType":"String","isMultiValued":false,"isSyncedFromOnPremises":false,"targetObjects":["User","Group"]}`,
			"p/d", "extension_" + x1 + "_a", `{"dataType":"String","isMultiValued":false,"name":"extension_` + x1 + `_a","targetObjects":["Group","User"]}`},
		{"namedLocation", "", `{"@odata.type":"#microsoft.graph.ipNamedLocation","id":"` + g1 + `","displayName":"L","ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"2.0.0.0/8"},{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"1.0.0.0/8"}]}`, g1, "L",
			`{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"L","ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"1.0.0.0/8"},{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"2.0.0.0/8"}]}`},
		{"authenticationStrengthPolicy", "", `{"id":"` + g1 + `","displayName":"S","allowedCombinations":["password, sms","fido2"],"requirementsSatisfied":"mfa"}`, g1, "S", `{"allowedCombinations":["fido2","password,sms"],"displayName":"S"}`},
		{"authenticationMethodsPolicy", "", `{"id":"authenticationMethodsPolicy","displayName":"M","policyVersion":"1.5","authenticationMethodConfigurations":[{"id":"x"}]}`, "authenticationMethodsPolicy", "M", `{"displayName":"M"}`},
		{"authenticationMethodConfiguration", "", `{"@odata.type":"#microsoft.graph.smsAuthenticationMethodConfiguration","id":"Sms","state":"enabled","includeTargets@odata.context":"x","includeTargets":[{"id":"b"},{"id":"all_users"}]}`, "Sms", "Sms",
			`{"@odata.type":"#microsoft.graph.smsAuthenticationMethodConfiguration","includeTargets":[{"id":"all_users"},{"id":"b"}],"state":"enabled"}`},
		{"identitySecurityDefaultsEnforcementPolicy", "", `{"displayName":"D","isEnabled":true}`, "identitySecurityDefaultsEnforcementPolicy", "D", `{"displayName":"D","isEnabled":true}`},
		{"domain", "", `{"id":"c.example","isDefault":true,"state":null,"supportedServices":["Email","A"]}`, "c.example", "c.example", `{"isDefault":true,"supportedServices":["A","Email"]}`},
		{"organization", "", `{"id":"` + g1 + `","displayName":"O","assignedPlans":[{"x":1}],"verifiedDomains":[{"name":"b"},{"name":"a"}]}`, g1, "O", `{"displayName":"O","verifiedDomains":[{"name":"a"},{"name":"b"}]}`},
		{"subscribedSku", "", `{"id":"t_s","skuId":"s","skuPartNumber":"E5","consumedUnits":3,"prepaidUnits":{"enabled":5}}`, "t_s", "E5", `{"consumedUnits":3,"prepaidUnits":{"enabled":5},"skuId":"s","skuPartNumber":"E5"}`},
		{"accessPackage", "", `{"id":"` + g1 + `","displayName":"P","isHidden":false,"modifiedDateTime":"2020-01-01T00:00:00Z","catalog@odata.context":"x","catalog":{"id":"` + g2 + `","displayName":"C"}}`, g1, "P",
			`{"catalog":{"id":"` + g2 + `"},"displayName":"P","isHidden":false}`},
		{"accessPackageResourceRoleScope", g1, `{"id":"r_s","role":{"id":"r","displayName":"Member","description":null,"originId":"Member_` + g2 + `","originSystem":"AadGroup","resource":{"id":"q","displayName":"G","originId":"` + g2 + `","originSystem":"AadGroup"}},
			"scope":{"id":"s","displayName":"Root","isRootScope":true,"originId":"` + g2 + `","originSystem":"AadGroup"}}`, g1 + "/r_s", "Member",
			`{"role":{"displayName":"Member","originId":"Member_` + g2 + `","originSystem":"AadGroup","resource":{"id":"q","originId":"` + g2 + `","originSystem":"AadGroup"}},"scope":{"isRootScope":true,"originId":"` + g2 + `","originSystem":"AadGroup"}}`},
		{"accessPackageAssignmentPolicy", "", `{"id":"` + g1 + `","displayName":"P","accessPackage":{"id":"` + g2 + `","displayName":"X"},"specificAllowedTargets":[{"@odata.type":"#microsoft.graph.singleUser","userId":"` + g3 + `","description":"Ann"},{"@odata.type":"#microsoft.graph.groupMembers","groupId":"` + g2 + `"}],
			"questions":[{"@odata.type":"#microsoft.graph.accessPackageTextInputQuestion","id":"n","text":"Why?"}],"customExtensionStageSettings":[{"id":"n","stage":"assignmentRequestCreated","customExtension":{"id":"e","displayName":"E"}}]}`, g1, "P",
			`{"accessPackage":{"id":"` + g2 + `"},"customExtensionStageSettings":[{"customExtension":{"id":"e"},"stage":"assignmentRequestCreated"}],"displayName":"P","questions":[{"@odata.type":"#microsoft.graph.accessPackageTextInputQuestion","text":"Why?"}],` +
				`"specificAllowedTargets":[{"@odata.type":"#microsoft.graph.groupMembers","groupId":"` + g2 + `"},{"@odata.type":"#microsoft.graph.singleUser","userId":"` + g3 + `"}]}`},
		{"accessPackageAssignment", "", `{"id":"` + g1 + `","state":"delivered","status":"Delivered","target":{"id":"t","objectId":"` + g2 + `","displayName":"Ann"},"accessPackage":{"id":"` + g3 + `"},"assignmentPolicy":{"id":"` + g1 + `"}}`, g1, g2,
			`{"accessPackage":{"id":"` + g3 + `"},"assignmentPolicy":{"id":"` + g1 + `"},"state":"delivered","target":{"objectId":"` + g2 + `"}}`},
		{"accessReviewInstance", g1, `{"id":"` + g2 + `","startDateTime":"2026-01-02T00:00:00Z","status":"Applied","scope":{"query":"/v1.0/groups/` + g2 + `/members"},"reviewers":[{"query":"./manager"},{"query":"/beta/users/` + g3 + `"}],"fallbackReviewers":[]}`, g1 + "/" + g2, "2026-01-02T00:00:00Z",
			`{"fallbackReviewers":[],"reviewers":[{"query":"./manager"},{"query":"/users/` + g3 + `"}],"scope":{"query":"/groups/` + g2 + `/members"},"startDateTime":"2026-01-02T00:00:00Z","status":"Applied"}`},
		{"accessReviewScheduleDefinition", "", `{"id":"` + g1 + `","displayName":"R","status":"InProgress","scope":{"@odata.type":"#microsoft.graph.accessReviewQueryScope","query":"/v1.0/groups/` + g2 + `/transitiveMembers","queryType":"MicrosoftGraph"},"reviewers":[{"query":"./manager"},{"query":"/beta/users/` + g3 + `"}]}`, g1, "R",
			`{"displayName":"R","reviewers":[{"query":"./manager"},{"query":"/users/` + g3 + `"}],"scope":{"@odata.type":"#microsoft.graph.accessReviewQueryScope","query":"/groups/` + g2 + `/transitiveMembers","queryType":"MicrosoftGraph"}}`},
		{"workflow", "", `{"id":"` + g1 + `","displayName":"W","version":3,"tasks":[{"id":"n","executionSequence":2,"displayName":"B"},{"id":"m","executionSequence":1,"displayName":"A","arguments":[{"name":"b","value":"1"},{"name":"a","value":"2"}]}]}`, g1, "W",
			`{"displayName":"W","tasks":[{"arguments":[{"name":"a","value":"2"},{"name":"b","value":"1"}],"displayName":"A"},{"displayName":"B"}]}`},
		{"certificateBasedApplicationConfiguration", "", `{"id":"` + g1 + `","displayName":"C","trustedCertificateAuthorities":[{"id":"b","certificate":"TUlJQw==","isRootAuthority":false},{"id":"a","certificate":"TUlJQg==","isRootAuthority":true}]}`, g1, "C",
			`{"displayName":"C","trustedCertificateAuthorities":[{"certificate":"TUlJQg==","isRootAuthority":true},{"certificate":"TUlJQw==","isRootAuthority":false}]}`},
		{"profileCardProperty", "", `{"directoryPropertyName":"CustomAttribute1","isVisible":true,"annotations":[{"displayName":"Badge","localizations":[{"languageTag":"fr","displayName":"Carte"},{"languageTag":"de","displayName":"Ausweis"}]}]}`, "CustomAttribute1", "CustomAttribute1",
			`{"annotations":[{"displayName":"Badge","localizations":[{"displayName":"Ausweis","languageTag":"de"},{"displayName":"Carte","languageTag":"fr"}]}],"directoryPropertyName":"CustomAttribute1","isVisible":true}`},
		{"synchronizationJob", g1, `{"id":"scim.t.` + g2 + `","templateId":"scim","schedule":{"interval":"PT40M","state":"Paused","expiration":null},"status":{"code":"Paused"},"synchronizationJobSettings":[{"name":"b","value":"1"},{"name":"a","value":"2"}]}`,
			g1 + "/scim.t." + g2, "scim", `{"isActive":false,"schedule":{"interval":"PT40M"},"synchronizationJobSettings":[{"name":"a","value":"2"},{"name":"b","value":"1"}],"templateId":"scim"}`},
		{"synchronizationSchema", g1 + "/scim.t.x", `{"id":"z","version":"7","directories":[{"id":"b","name":"B","version":"7"},{"id":"a","discoveryDateTime":"2020-01-01T00:00:00Z","objects":[{"name":"User"},{"name":"Group"}]}],"synchronizationRules":[{"id":"r","containerFilter":null}]}`,
			g1 + "/scim.t.x/synchronizationSchema", g1 + "/scim.t.x/synchronizationSchema", `{"directories":[{"id":"a","objects":[{"name":"Group"},{"name":"User"}]},{"id":"b","name":"B"}],"synchronizationRules":[{"id":"r"}]}`},
		{"directoryAudit", "", `{"id":"D_1","activityDisplayName":"Delete user"}`, "D_1", "Delete user", `{"activityDisplayName":"Delete user"}`},
		{"user", "", `{"@odata.type":"#microsoft.graph.agentUser","id":"` + g1 + `","displayName":"Bot"}`, g1, "Bot", `{"@odata.type":"#microsoft.graph.agentUser","displayName":"Bot"}`},
		{"servicePrincipal", "", `{"@odata.type":"#microsoft.graph.servicePrincipal","id":"` + g1 + `","displayName":"A"}`, g1, "A", `{"displayName":"A"}`},
		{"deletedApplication", "", `{"@odata.type":"#microsoft.graph.agentIdentityBlueprint","id":"` + g1 + `","displayName":"A"}`, g1, "A", `{"@odata.type":"#microsoft.graph.agentIdentityBlueprint","displayName":"A"}`},
		{"deletedUser", "", `{"id":"` + g1 + `","displayName":"Ann","userPrincipalName":"` + strings.ReplaceAll(g1, "-", "") + `ann@c.example","deletedDateTime":"2020-01-01T00:00:00Z"}`, g1, "Ann", `{"deletedDateTime":"2020-01-01T00:00:00Z","displayName":"Ann","userPrincipalName":"ann@c.example"}`},
	}
	// What is read in the place of a secret is not kept.
	all = append(all,
		answer{"identityProviderBase", "", `{"@odata.type":"#microsoft.graph.socialIdentityProvider","id":"Google-OAUTH","displayName":"G","clientId":"c","clientSecret":"****"}`, "Google-OAUTH", "G",
			`{"@odata.type":"#microsoft.graph.socialIdentityProvider","clientId":"c","displayName":"G"}`},
		answer{"identityProviderBase", "", `{"@odata.type":"#microsoft.graph.oidcIdentityProvider","id":"o","displayName":"O","clientAuthentication":{"@odata.type":"#microsoft.graph.oidcClientSecretAuthentication","clientSecret":"****"}}`, "o", "O",
			`{"@odata.type":"#microsoft.graph.oidcIdentityProvider","clientAuthentication":{"@odata.type":"#microsoft.graph.oidcClientSecretAuthentication"},"displayName":"O"}`},
		answer{"identityApiConnector", "", `{"id":"a","displayName":"A","authenticationConfiguration":{"@odata.type":"#microsoft.graph.basicAuthentication","username":"u","password":"****"}}`, "a", "A",
			`{"authenticationConfiguration":{"@odata.type":"#microsoft.graph.basicAuthentication","username":"u"},"displayName":"A"}`},
	)
	for _, typ := range []entra.Type{"userSecurityAttributes", "servicePrincipalSecurityAttributes"} {
		all = append(all, answer{typ, g1, `{"@odata.context":"x","id":"` + g1 + `","customSecurityAttributes":{"Set":{"@odata.type":"#microsoft.graph.customSecurityAttributeValue","Places@odata.type":"#Collection(String)","Places":["b","a"],"Level":"high","Gone":null},"Empty":{"@odata.type":"x"}}}`,
			g1 + "/" + string(typ), string(g1) + "/" + string(typ), `{"customSecurityAttributes":{"Set":{"Level":"high","Places":{"type":"#Collection(String)","value":["a","b"]}}}}`})
	}
	schedule := `"createdDateTime":"2020-01-01T00:00:00Z","modifiedDateTime":null,"createdUsing":"u","status":"Provisioned","scheduleInfo":{"startDateTime":"2020-01-01T00:00:00Z","recurrence":null,"expiration":{"type":"afterDateTime","endDateTime":"2021-01-01T00:00:00Z","duration":null}}`
	kept := `"createdDateTime":"2020-01-01T00:00:00Z",%s"scheduleInfo":{"expiration":{"endDateTime":"2021-01-01T00:00:00Z","type":"afterDateTime"}},"startDateTime":"2020-01-01T00:00:00Z","status":"Provisioned"`
	for _, typ := range []entra.Type{"unifiedRoleEligibilitySchedule", "unifiedRoleAssignmentSchedule"} {
		all = append(all, answer{typ, "", `{"id":"s","principalId":"` + g1 + `","roleDefinitionId":"` + g2 + `","directoryScopeId":"/","appScopeId":null,"memberType":"Direct",` + schedule + `}`, "s", g2,
			`{` + fmt.Sprintf(kept, `"directoryScopeId":"/","memberType":"Direct","principalId":"`+g1+`","roleDefinitionId":"`+g2+`",`) + `}`})
	}
	for _, typ := range []entra.Type{"privilegedAccessGroupEligibilitySchedule", "privilegedAccessGroupAssignmentSchedule"} {
		all = append(all, answer{typ, g3, `{"id":"` + g3 + `_member_s","groupId":"` + g3 + `","accessId":"member","principalId":"` + g1 + `","memberType":"direct",` + schedule + `}`, g3 + "/" + g3 + "_member_s", g1,
			`{"accessId":"member",` + fmt.Sprintf(kept, `"memberType":"direct","principalId":"`+g1+`",`) + `}`})
	}
	rules := `"policy":{"id":"p","displayName":"Group","rules":[{"@odata.type":"#microsoft.graph.unifiedRoleManagementPolicyEnablementRule","id":"E","enabledRules":["Ticketing","Justification"]},{"id":"A","setting":{"approvalStages":[{"primaryApprovers":[{"userId":"` + g3 + `","description":"Ann"},{"groupId":"` + g2 + `"}]}]}}]}}`
	wanted := `{"policy":{"rules":[{"id":"A","setting":{"approvalStages":[{"primaryApprovers":[{"groupId":"` + g2 + `"},{"userId":"` + g3 + `"}]}]}},{"@odata.type":"#microsoft.graph.unifiedRoleManagementPolicyEnablementRule","enabledRules":["Justification","Ticketing"],"id":"E"}]},"policyId":"p","roleDefinitionId":`
	all = append(all,
		answer{"unifiedRoleManagementPolicyAssignment", "", `{"id":"p_r","policyId":"p","roleDefinitionId":"` + g1 + `","scopeId":"/",` + rules, "p_r", g1, wanted + `"` + g1 + `","scopeId":"/"}`},
		answer{"groupRoleManagementPolicyAssignment", g3, `{"id":"p_r","policyId":"p","roleDefinitionId":"member","scopeId":"` + g3 + `",` + rules, g3 + "/p_r", "member", wanted + `"member","scopeId":"` + g3 + `"}`})
	const of = `"version":"1.0.0","lastModifiedDateTime":"2020-01-01T00:00:00Z"`
	all = append(all,
		answer{"forwardingProfile", "", `{"id":"f","name":"Internet","state":"enabled","priority":1,"associations":[{"branchId":"b"}],"servicePrincipal":{"id":"` + g1 + `","appId":"` + g2 + `","displayName":"S"},` + of + `}`, "f", "Internet",
			`{"name":"Internet","priority":1,"servicePrincipal":{"appId":"` + g2 + `","id":"` + g1 + `"},"state":"enabled"}`},
		answer{"forwardingPolicyLink", "f", `{"@odata.type":"#microsoft.graph.networkaccess.forwardingPolicyLink","id":"l","state":"enabled","version":"1","policy":{"id":"p","name":"P","version":"1"}}`, "f/l", "p",
			`{"@odata.type":"#microsoft.graph.networkaccess.forwardingPolicyLink","policy":{"id":"p"},"state":"enabled"}`},
		answer{"filteringProfile", "", `{"id":"f","name":"N","state":"enabled","priority":100,"conditionalAccessPolicies":[{"id":"` + g1 + `","displayName":"C"}],` + of + `}`, "f", "N",
			`{"conditionalAccessPolicies":[{"id":"` + g1 + `"}],"name":"N","priority":100,"state":"enabled"}`},
		answer{"policyLink", "f", `{"@odata.type":"#microsoft.graph.networkaccess.filteringPolicyLink","id":"l","state":"enabled","priority":100,"loggingState":"enabled","policy":{"@odata.type":"#microsoft.graph.networkaccess.filteringPolicy","id":"p","name":"P"},` + of + `}`, "f/l", "p",
			`{"@odata.type":"#microsoft.graph.networkaccess.filteringPolicyLink","loggingState":"enabled","policy":{"@odata.type":"#microsoft.graph.networkaccess.filteringPolicy","id":"p"},"priority":100,"state":"enabled"}`},
		answer{"remoteNetwork", "", `{"id":"r","name":"R","region":"eastUS","forwardingProfiles":[{"id":"g","name":"M"},{"id":"f","name":"Internet"}],` + of + `}`, "r", "R",
			`{"forwardingProfiles":[{"id":"f"},{"id":"g"}],"name":"R","region":"eastUS"}`})
	for _, policy := range []entra.Type{"tokenLifetimePolicy", "tokenIssuancePolicy", "claimsMappingPolicy", "homeRealmDiscoveryPolicy", "activityBasedTimeoutPolicy", "b2bManagementPolicy"} {
		all = append(all, answer{policy, "", `{"id":"` + g1 + `","displayName":"P","deletedDateTime":null,"isOrganizationDefault":false,"definition":["{ \"B\": 1,\"A\":2 }"]}`, g1, "P",
			`{"definition":["{\"A\":2,\"B\":1}"],"displayName":"P","isOrganizationDefault":false}`})
	}
	const claims = `{"@odata.type":"#microsoft.graph.customClaimsPolicy","id":"c","audienceOverride":null,"includeBasicClaimSet":true,"claims":[{"@odata.type":"#microsoft.graph.customClaim","name":"n","tokenFormat":["saml","jwt"],"configurations":[{"condition":{"memberOf":["` + g2 + `","` + g1 + `"]}}]}]}`
	for _, raw := range []string{claims, `{"@odata.context":"x","value":[` + claims + `]}`} {
		all = append(all, answer{"customClaimsPolicy", g1, raw, g1 + "/customClaimsPolicy", g1 + "/customClaimsPolicy",
			`{"claims":[{"@odata.type":"#microsoft.graph.customClaim","configurations":[{"condition":{"memberOf":["` + g1 + `","` + g2 + `"]}}],"name":"n","tokenFormat":["jwt","saml"]}],"includeBasicClaimSet":true}`})
	}
	const logs = `{"@odata.type":"#microsoft.graph.networkaccess.enrichedAuditLogs","exchange":{"status":"disabled"},"id":"c","sharepoint":{"status":"enabled"},"teams":{"status":"enabled"}}`
	for id, raw := range map[string]string{"c": logs, "enrichedAuditLogs": `{"@odata.context":"x","value":[` + logs + `]}`} {
		all = append(all, answer{"enrichedAuditLogs", "", raw, id, id, `{"exchange":{"status":"disabled"},"sharepoint":{"status":"enabled"},"teams":{"status":"enabled"}}`})
	}
	all = append(all, answer{"synchronizationSecrets", g1, `{"@odata.context":"x","value":[{"key":"SyncAll","value":"false"},{"key":"SecretToken","value":"s3cret"},{"key":"Unheard","value":"s3cret"},{"key":"Url","value":"*"},{"key":"BaseAddress","value":"https://u:s3cret@scim.example:8443/s3cret?k=s3cret"},{"key":"SyncNotificationSettings","value":"{\"DeleteThresholdValue\":50}"}]}`,
		g1 + "/synchronizationSecrets", g1 + "/synchronizationSecrets",
		`{"secrets":[{"key":"BaseAddress","value":"https://scim.example:8443"},{"key":"SecretToken"},{"key":"SyncAll","value":"false"},{"key":"SyncNotificationSettings","value":"{\"DeleteThresholdValue\":50}"},{"key":"Unheard"},{"key":"Url"}]}`})
	for _, bin := range []entra.Type{"deletedGroup", "deletedApplication", "deletedServicePrincipal", "deletedAdministrativeUnit", "deletedConditionalAccessPolicy", "deletedNamedLocation", "deletedWorkflow"} {
		all = append(all, answer{bin, "", `{"id":"` + g1 + `","displayName":"X","deletedDateTime":"2020-01-01T00:00:00Z"}`, g1, "X", `{"deletedDateTime":"2020-01-01T00:00:00Z","displayName":"X"}`})
	}
	return all
}

func TestObject(t *testing.T) {
	seen := map[entra.Type]bool{}
	for _, a := range answers() {
		seen[a.typ] = true
		r, ok := catalog.Lookup(a.typ)
		if !ok {
			t.Fatalf("%s is not declared", a.typ)
		}
		o, err := r.Object([]byte(a.raw), a.parent)
		if err != nil {
			t.Errorf("%s: %v", a.typ, err)
			continue
		}
		if o.Ref != (entra.Ref{Type: a.typ, ID: entra.ID(a.id)}) || catalog.Name(o) != a.name {
			t.Errorf("%s: %s named %q, want %s named %q", a.typ, o.Ref, catalog.Name(o), a.id, a.name)
		}
		if d := cmp.Diff(a.body, string(o.Body)); d != "" {
			t.Errorf("%s: body (-want +got):\n%s", a.typ, d)
		}
	}
	for r := range catalog.All() {
		if reads, _, _ := catalog.Shapes(r); reads && !seen[r.Type] {
			t.Errorf("%s has no case", r.Type)
		}
	}
	u, _ := catalog.Lookup("user")
	a, _ := catalog.Lookup("appRoleAssignment")
	for _, tt := range []struct {
		r      *catalog.Resource
		raw    string
		parent entra.ID
	}{{u, `{}`, ""}, {u, `[]`, ""}, {u, `{"id":"x"}`, "p"}, {a, `{"id":"x"}`, ""}, {u, `{"id":""}`, ""}} {
		if o, err := tt.r.Object([]byte(tt.raw), tt.parent); err == nil {
			t.Errorf("%s: Object(%s, %q) = %v", tt.r.Type, tt.raw, tt.parent, o)
		}
	}
}

// resource draws a declaration.
func resource(t *rapid.T) *catalog.Resource {
	types := catalog.Order()
	r, _ := catalog.Lookup(rapid.SampledFrom(types).Draw(t, "type"))
	return r
}

// value draws what a property of a declaration could hold.
func value(t *rapid.T, p catalog.Property) any {
	id := rapid.SampledFrom([]any{g1, g2, g3, "All", "a", "/administrativeUnits/" + g1, "x (" + g2 + ") y", json.Number("1.50"), true, nil})
	if p.Key != "" {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any {
			return map[string]any{p.Key: id.Draw(t, "key"), "more": id.Draw(t, "more")}
		}), 0, 3).Draw(t, p.Name)
	}
	if p.Set {
		return rapid.SliceOfN(id, 0, 4).Draw(t, p.Name)
	}
	return id.Draw(t, p.Name)
}

// sample draws an object of a type, through an answer of the service.
func sample(t *rapid.T, r *catalog.Resource) entra.Object {
	m := map[string]any{"id": g3}
	for _, p := range r.Properties {
		if p.Name != "id" && !strings.Contains(p.Name, "[]") && rapid.IntRange(0, 3).Draw(t, "has") == 0 {
			if strings.HasPrefix(p.Name, "@") {
				m[p.Name] = "#microsoft.graph.x"
				if len(r.Kinds) > 0 {
					m[p.Name] = "#microsoft.graph." + r.Kinds[0]
				}
			} else {
				dotted(m, strings.Split(p.Name, "."), value(t, p))
			}
		}
	}
	return object(t, r, m)
}

func dotted(m map[string]any, names []string, v any) {
	if len(names) == 1 {
		m[names[0]] = v
		return
	}
	in, ok := m[names[0]].(map[string]any)
	if !ok {
		in = map[string]any{}
		m[names[0]] = in
	}
	dotted(in, names[1:], v)
}

func object(t *rapid.T, r *catalog.Resource, m map[string]any) entra.Object {
	if r.ID != "" {
		m[r.ID] = m["id"]
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var parent entra.ID
	if r.Under != "" {
		parent = g1
	}
	o, err := r.Object(raw, parent)
	if errors.Is(err, catalog.ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjectTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := resource(t)
		o := sample(t, r)
		var m map[string]any
		d := json.NewDecoder(strings.NewReader(string(o.Body)))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		m["id"] = g3
		if again := object(t, r, m); again != o {
			t.Fatalf("%s\nthen\n%s", o.Body, again.Body)
		}
	})
}

func TestRenameLaws(t *testing.T) {
	const n1, n2 = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa", "bbbbbbbb-2222-4222-8222-bbbbbbbbbbbb"
	there := map[entra.ID]entra.ID{g1: n1, g2: n2}
	back := map[entra.ID]entra.ID{n1: g1, n2: g2}
	rapid.Check(t, func(t *rapid.T) {
		o := sample(t, resource(t))
		if same := catalog.Rename(o, map[entra.ID]entra.ID{g1: g1, g2: g2}); same != o {
			t.Fatalf("identity changed %v into %v", o, same)
		}
		moved := catalog.Rename(o, there)
		if strings.Contains(string(moved.Body)+string(moved.Ref.ID), g1) || strings.Contains(string(moved.Body), g2) {
			t.Fatalf("left an old ID in %v", moved)
		}
		if home := catalog.Rename(moved, back); home != o {
			t.Fatalf("there and back changed\n%v into\n%v", o, home)
		}
		// What is referred to is renamed like the body itself.
		want := map[string]int{}
		for _, r := range catalog.Refs(o) {
			if to, ok := there[r.ID]; ok {
				r.ID = to
			}
			want[fmt.Sprint(r)]++
		}
		for _, r := range catalog.Refs(moved) {
			want[fmt.Sprint(r)]--
		}
		for r, n := range want {
			if n != 0 {
				t.Fatalf("%s: %+d", r, n)
			}
		}
	})
}

func TestRename(t *testing.T) {
	const n1 = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
	tests := []struct{ typ, id, body, wantID, want string }{
		{"appRoleAssignment", g1 + "/aB", `{"resourceId":"` + g1 + `"}`, n1 + "/aB", `{"resourceId":"` + n1 + `"}`},
		{"unifiedRoleAssignment", "z", `{"directoryScopeId":"/administrativeUnits/` + g1 + `"}`, "z", `{"directoryScopeId":"/administrativeUnits/` + n1 + `"}`},
		{"group", g1, `{"membershipRule":"user.memberof -any (group.objectId -in ['` + strings.ToUpper(g1) + `'])"}`, n1, `{"membershipRule":"user.memberof -any (group.objectId -in ['` + n1 + `'])"}`},
		{"user", g2, `{"extension_` + strings.ReplaceAll(g1, "-", "") + `_badge":"7"}`, g2, `{"extension_` + strings.ReplaceAll(n1, "-", "") + `_badge":"7"}`},
		{"application", g2, `{"identifierUris":["api://` + g1 + `/x"]}`, g2, `{"identifierUris":["api://` + n1 + `/x"]}`},
		{"user", g2, `{"employeeId":"1` + g1 + `"}`, g2, `{"employeeId":"1` + g1 + `"}`},
		{"unknownType", g1, `{"x":["` + g1 + `"]}`, n1, `{"x":["` + n1 + `"]}`},
	}
	for _, tt := range tests {
		o := entra.Object{Ref: entra.Ref{Type: entra.Type(tt.typ), ID: entra.ID(tt.id)}, Body: entra.Body(tt.body)}
		got := catalog.Rename(o, map[entra.ID]entra.ID{g1: n1})
		if string(got.Ref.ID) != tt.wantID || string(got.Body) != tt.want {
			t.Errorf("%s %s: got %s %s, want %s %s", tt.typ, tt.body, got.Ref.ID, got.Body, tt.wantID, tt.want)
		}
	}
}

func TestRefs(t *testing.T) {
	tests := []struct{ typ, body, want string }{
		{"conditionalAccessPolicy", `{"conditions":{"applications":{"includeApplications":["All","` + g1 + `"]},"locations":{"excludeLocations":["AllTrusted","l1"]},"users":{"excludeUsers":["GuestsOrExternalUsers","` + g2 + `"],"includeUsers":["All"]}},"grantControls":{"authenticationStrength":{"id":"` + g3 + `"}}}`,
			"[{conditions.applications.includeApplications " + g1 + " [servicePrincipal] appId} {conditions.locations.excludeLocations l1 [namedLocation] } {conditions.users.excludeUsers " + g2 + " [user] } {grantControls.authenticationStrength.id " + g3 + " [authenticationStrengthPolicy] }]"},
		{"unifiedRoleAssignment", `{"directoryScopeId":"/administrativeUnits/` + g1 + `","principalId":"u1"}`, "[{directoryScopeId " + g1 + " [administrativeUnit application servicePrincipal] } {principalId u1 [user group servicePrincipal] }]"},
		{"unifiedRoleAssignment", `{"directoryScopeId":"/"}`, "[]"},
		{"appRoleAssignment", `{"appRoleId":"` + g1 + `"}`, "[]"},
		{"group", `{"membershipRule":"(user.department -eq \"Sales\") or ['` + g1 + `']"}`, "[{membershipRule " + g1 + " [group user] }]"},
		{"group", `{"membershipRule":"user.x"}`, "[]"},
		{"authenticationMethodConfiguration", `{"includeTargets":[{"id":"all_users"},{"id":"` + g1 + `"}]}`, "[{includeTargets[].id " + g1 + " [group user] }]"},
		{"application", `{"identifierUris":["api://` + g1 + `","https://c.example"]}`, "[{identifierUris " + g1 + " [application] appId}]"},
		{"user", `{"displayName":"` + g1 + `"}`, "[]"},
		{"user", `{"extension_` + x1 + `_costCenter":"CC1","extension_nobody_x":"1","onPremisesExtensionAttributes":{"extensionAttribute1":"a"}}`,
			"[{extension_" + x1 + "_costCenter extension_" + x1 + "_costCenter [extensionProperty] name}]"},
		{"group", `{"membershipRule":"(user.extension_` + x1 + `_a -eq \"x\") and (user.extension_` + x1 + `_b -ne null)"}`,
			"[{membershipRule extension_" + x1 + "_a [extensionProperty] name} {membershipRule extension_" + x1 + "_b [extensionProperty] name}]"},
		{"application", `{"optionalClaims":{"idToken":[{"name":"extension_` + x1 + `_a"}]}}`, "[{optionalClaims extension_" + x1 + "_a [extensionProperty] name}]"},
		{"extensionProperty", `{"name":"extension_` + x1 + `_a"}`, "[]"},
		{"authenticationMethodConfiguration", `{"certificateAuthorityScopes":[{"includeTargets":[{"id":"` + g1 + `"}],"publicKeyInfrastructureIdentifier":"Contoso PKI"}]}`, "[{certificateAuthorityScopes[].includeTargets[].id " + g1 + " [group] }]"},
		{"authenticationMethodConfiguration", `{"certificateAuthorityScopes":[{"publicKeyInfrastructureIdentifier":"` + g1 + `"}]}`, "[{certificateAuthorityScopes[].publicKeyInfrastructureIdentifier " + g1 + " [certificateBasedAuthPki] }]"},
		{"lifecycleManagementSettings", `{"emailSettings":{"senderDomain":"mail.c.example"}}`, "[{emailSettings.senderDomain mail.c.example [domain] }]"},
		{"lifecycleManagementSettings", `{"emailSettings":{"senderDomain":""}}`, "[]"},
		{"other", `{"principalId":"` + g1 + `"}`, "[]"},
	}
	for _, tt := range tests {
		all := []string{}
		for _, f := range catalog.Refs(entra.Object{Ref: entra.Ref{Type: entra.Type(tt.typ), ID: "x"}, Body: entra.Body(tt.body)}) {
			all = append(all, fmt.Sprintf("{%s %s %v %s}", f.Path, f.ID, f.Types, f.By))
			if f.Firm != (f.By == "name" || strings.HasPrefix(f.Path, "conditions.applications.")) {
				t.Errorf("%s %s: %+v", tt.typ, tt.body, f)
			}
		}
		if got := fmt.Sprint(all); got != tt.want {
			t.Errorf("%s %s:\n got %s\nwant %s", tt.typ, tt.body, got, tt.want)
		}
	}
}

func TestWritable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := resource(t)
		for name := range catalog.Writable(sample(t, r)) {
			if p, ok := r.Property(name); !ok || p.Write == catalog.Never || p.Secret || p.Omit || r.Can == 0 {
				t.Fatalf("%s: %s is writable: %+v", r.Type, name, p)
			}
		}
	})
}

func TestLink(t *testing.T) {
	from := entra.Ref{Type: "group", ID: "g"}
	one, many := catalog.Relation{Rel: "r", To: []entra.Type{"user"}}, catalog.Relation{Rel: "r", To: []entra.Type{"user", "group"}}
	tests := []struct {
		rel       catalog.Relation
		raw, want string
	}{
		{many, `{"@odata.type":"#microsoft.graph.user","id":"u"}`, "group/g r user/u"},
		{many, `{"@odata.type":"#microsoft.graph.orgContact","id":"c"}`, "group/g r orgContact/c"},
		{one, `{"id":"u"}`, "group/g r user/u"},
		{catalog.Relation{Rel: "r", To: []entra.Type{"authenticationAgent"}}, `{"@odata.type":"#microsoft.graph.onPremisesAgent","id":"a"}`, "group/g r authenticationAgent/a"},
		{many, `{"id":"u"}`, ""}, {one, `{"@odata.type":"#microsoft.graph.user"}`, ""}, {one, `x`, ""},
	}
	for _, tt := range tests {
		l, err := tt.rel.Link(from, []byte(tt.raw))
		if (err != nil) != (tt.want == "") || err == nil && l.String() != tt.want {
			t.Errorf("Link(%s) = %s, %v; want %q", tt.raw, l, err, tt.want)
		}
	}
}

func TestFrozen(t *testing.T) {
	tests := []struct {
		typ, body, rel string
		want           bool
	}{
		{"user", `{"onPremisesSyncEnabled":true}`, "", true},
		{"user", `{"onPremisesSyncEnabled":false}`, "", false},
		{"group", `{"mailEnabled":true,"groupTypes":["Unified"]}`, "", false},
		{"group", `{"mailEnabled":true}`, "", true},
		{"group", `{"groupTypes":["DynamicMembership"]}`, "", false},
		{"group", `{"groupTypes":["DynamicMembership"]}`, "members", true},
		{"group", `{"groupTypes":["DynamicMembership"]}`, "owners", false},
		{"group", `{"onPremisesSyncEnabled":true}`, "members", true},
		{"servicePrincipal", `{"servicePrincipalType":"ManagedIdentity"}`, "", true},
		{"unifiedRoleDefinition", `{"isBuiltIn":true}`, "", true},
		{"permissionGrantPolicy", `{}`, "", false},
		{"authenticationStrengthPolicy", `{"policyType":"builtIn"}`, "", true},
		{"authenticationStrengthPolicy", `{"policyType":"custom"}`, "", false},
		{"administrativeUnit", `{"membershipType":"Dynamic"}`, "members", true},
		{"domain", `{}`, "", false},
	}
	for _, tt := range tests {
		o := entra.Object{Ref: entra.Ref{Type: entra.Type(tt.typ), ID: "x"}, Body: entra.Body(tt.body)}
		got := catalog.Frozen(o)
		if tt.rel != "" {
			got = catalog.FrozenLinks(o, tt.rel)
		}
		if (got != "") != tt.want {
			t.Errorf("%s %s %s: %q", tt.typ, tt.body, tt.rel, got)
		}
	}
}

func TestHeld(t *testing.T) {
	const there = `{"onPremisesSyncEnabled":true,"onPremisesDomainName":"corp.x.example"}`
	tests := []struct {
		typ, body, path string
		mastered, held  bool
	}{
		{"user", there, "jobTitle", true, true},
		{"user", there, "accountEnabled", true, true},
		{"user", there, "onPremisesExtensionAttributes.extensionAttribute1", true, true},
		{"user", there, "usageLocation", false, false},
		{"user", there, "assignedLicenses[skuId=s]", false, false},
		{"user", there, "extension_0123_cost", false, false},
		{"user", `{"onPremisesSyncEnabled":false}`, "onPremisesExtensionAttributes.extensionAttribute1", false, true},
		{"user", `{"onPremisesSyncEnabled":false}`, "jobTitle", false, false},
		{"user", `{}`, "onPremisesExtensionAttributes.extensionAttribute1", false, false},
		{"group", there, "description", true, true},
		{"group", there, "assignedLicenses", false, false},
		{"group", `{"mailEnabled":true}`, "description", false, true},
		{"group", `{"mailEnabled":true}`, "assignedLicenses", false, true},
		{"device", there, "accountEnabled", true, true},
		{"device", there, "extensionAttributes.extensionAttribute1", false, false},
	}
	for _, tt := range tests {
		why := catalog.Held(entra.Object{Ref: entra.Ref{Type: entra.Type(tt.typ), ID: "x"}, Body: entra.Body(tt.body)}, tt.path)
		if (why != "") != tt.held || catalog.Mastered(why) != tt.mastered || tt.mastered && !strings.Contains(why, "corp.x.example") {
			t.Errorf("%s %s %s: %q", tt.typ, tt.body, tt.path, why)
		}
	}
}
