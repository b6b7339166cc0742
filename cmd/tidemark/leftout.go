package main

// leftOut are the types of Microsoft Graph that belong to a tenant's identities and that the catalog does
// not have, by the reason: a line holds the type, the version unless it is v1.0, and where Graph lists it.
var leftOut = []struct{ reason, types string }{
	{"not read by this release", `
authenticationEventListener /identity/authenticationEventListeners
authenticationEventsFlow /identity/authenticationEventsFlows
b2xIdentityUserFlow /identity/b2xUserFlows
customAuthenticationExtension /identity/customAuthenticationExtensions
featureRolloutPolicy /policies/featureRolloutPolicies
identityApiConnector /identity/apiConnectors
identityProvider /identity/identityProviders
identityUserFlowAttribute /identity/userFlowAttributes
mobileAppManagementPolicy beta /policies/mobileAppManagementPolicies
mobileDeviceManagementPolicy beta /policies/mobileDeviceManagementPolicies
ownerlessGroupPolicy /policies/ownerlessGroupPolicy
privilegedAccessGroupAssignmentSchedule /identityGovernance/privilegedAccess/group/assignmentSchedules
privilegedAccessGroupEligibilitySchedule /identityGovernance/privilegedAccess/group/eligibilitySchedules
scopedRoleMembership /directory/administrativeUnits/{parent}/scopedRoleMembers
synchronizationJob /servicePrincipals/{parent}/synchronization/jobs
unifiedRoleAssignmentSchedule /roleManagement/directory/roleAssignmentSchedules
unifiedRoleEligibilitySchedule /roleManagement/directory/roleEligibilitySchedules
unifiedRoleManagementPolicy /policies/roleManagementPolicies
unifiedRoleManagementPolicyAssignment /policies/roleManagementPolicyAssignments
`},
	{"listed for every tenant's at once, and the tenant's own only by the application that made each", `
schemaExtension /schemaExtensions
`},
	{"Microsoft makes it, the same for every tenant", `
applicationTemplate /applicationTemplates
conditionalAccessTemplate /identity/conditionalAccess/templates
directoryRoleTemplate /directoryRoleTemplates
groupSettingTemplate /groupSettingTemplates
workflowTemplate /identityGovernance/lifecycleWorkflows/workflowTemplates
`},
	{"says again what role definitions and assignments say", `
directoryRole /directoryRoles
`},
	{"moves by itself: what the service observed, not what anybody set", `
provisioningObjectSummary /auditLogs/provisioning
recommendation beta /directory/recommendations
riskDetection /identityProtection/riskDetections
riskyServicePrincipal /identityProtection/riskyServicePrincipals
riskyUser /identityProtection/riskyUsers
signIn /auditLogs/signIns
userRegistrationDetails /reports/authenticationMethods/userRegistrationDetails
`},
	{"belongs to its person; the service never gives the secret out", `
authenticationMethod /users/{parent}/authentication/methods
`},
}
