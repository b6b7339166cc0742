package main

// leftOut are the types of Microsoft Graph that belong to a tenant's identities and that the catalog does
// not have, by the reason: a line holds the type, the version unless it is v1.0, and where Graph lists it.
var leftOut = []struct{ reason, types string }{
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
