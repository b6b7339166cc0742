package main

// leftOut are the types of Microsoft Graph that belong to a tenant's identities and that the catalog does
// not have, by the reason: a line holds the type, the version unless it is v1.0, and where Graph lists it.
var leftOut = []struct{ reason, types string }{
	{"the list holds what any tenant has released, and what is not released only for the application that made it", `
schemaExtension /schemaExtensions
`},
	{"the service lets only people read it, no application", `
agreementAcceptance /users/{parent}/agreementAcceptances
connector beta /onPremisesPublishingProfiles/applicationProxy/connectors
connectorGroup beta /onPremisesPublishingProfiles/applicationProxy/connectorGroups
featureRolloutPolicy /policies/featureRolloutPolicies
fraudProtectionProvider /identity/riskPrevention/fraudProtectionProviders
mobileAppManagementPolicy beta /policies/mobileAppManagementPolicies
mobileDeviceManagementPolicy beta /policies/mobileDeviceManagementPolicies
onPremisesPublishingProfile beta /onPremisesPublishingProfiles
ownerlessGroupPolicy /policies/ownerlessGroupPolicy
webApplicationFirewallProvider /identity/riskPrevention/webApplicationFirewallProviders
`},
	{"an application needs a permission to write it in order to read it, which one that captures must not have", `
customClaimsPolicy beta /servicePrincipals/{parent}/claimsPolicy
`},
	{"Microsoft makes it, the same for every tenant", `
directoryRoleTemplate /directoryRoleTemplates
workflowTemplate /identityGovernance/lifecycleWorkflows/workflowTemplates
`},
	{"says again what role definitions, assignments and their settings say", `
directoryRole /directoryRoles
scopedRoleMembership /directory/administrativeUnits/{parent}/scopedRoleMembers
unifiedRoleManagementPolicy /policies/roleManagementPolicies
`},
	{"moves by itself: what the service observed, not what anybody set", `
provisioningObjectSummary /auditLogs/provisioning
`},
}
