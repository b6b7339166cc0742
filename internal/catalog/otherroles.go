package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// What is watched of privileged roles, and the roles of services beside the directory.
func otherRoles() []*Resource {
	roles := func(t entra.Type, service, title, doc, permission string) *Resource {
		return &Resource{
			Type: t, Is: RoleType, Title: title, Doc: doc, Version: "beta",
			List: "/roleManagement/" + service + "/roleDefinitions", Name: []string{"displayName"}, Match: []string{"displayName"}, Grants: true,
			Can: Create | Update | Delete, Read: []string{permission}, Write: []string{permission},
			Properties: slices.Concat(
				[]Property{
					{Name: "displayName", Write: Both, Must: true},
					{Name: "rolePermissions", Write: Both, Set: true, Must: true},
					{Name: "rolePermissions[].allowedResourceActions", Set: true},
					{Name: "rolePermissions[].excludedResourceActions", Set: true},
					{Name: "resourceScopes", Set: true, Reason: "where a role holds is said by its assignments"},
				},
				both("description", "isEnabled"),
				never(byService, "isBuiltIn", "templateId", "version"),
			),
			frozen: func(m map[string]any) string {
				if m["isBuiltIn"] == true {
					return "a built-in role is the same in every tenant and cannot be changed"
				}
				return ""
			},
			create: func(set map[string]any, _ Fresh) (map[string]any, error) { return nil, customActions(set) },
			update: func(_ entra.ID, set, _ map[string]any) ([]part, error) { return nil, customActions(set) },
		}
	}
	const elsewhere = "the service takes roles of Exchange from Exchange's own tools only"
	exchange := roles("exchangeRoleDefinition", "exchange", "Roles of Exchange", "What the holders of a role may do in Exchange.", "RoleManagement.Read.Exchange")
	exchange.Can, exchange.Write, exchange.Refusal, exchange.create, exchange.update = 0, nil, elsewhere, nil, nil
	for i, p := range exchange.Properties {
		if p.Write != Never {
			exchange.Properties[i].Write, exchange.Properties[i].Must, exchange.Properties[i].Reason = Never, false, elsewhere
		}
	}
	devices := roles("deviceManagementRoleDefinition", "deviceManagement", "Roles of Intune", "What the holders of a role may do with devices.", "DeviceManagementRBAC.Read.All")
	devices.Write = []string{"DeviceManagementRBAC.ReadWrite.All"}
	cloud := roles("cloudPCRoleDefinition", "cloudPC", "Roles of Cloud PC", "What the holders of a role may do with Cloud PCs.", "RoleManagement.Read.CloudPC")
	cloud.Write = []string{"RoleManagement.ReadWrite.CloudPC"}
	defender := roles("defenderRoleDefinition", "defender", "Roles of Defender", "What the holders of a role may do in Defender.", "RoleManagement.Read.Defender")
	defender.Write = []string{"RoleManagement.ReadWrite.Defender"}
	return []*Resource{exchange, devices, cloud, defender, {
		Type: "entitlementRoleAssignment", Is: roleAssignmentType, Title: "Roles in access packages", Doc: "Who may make and manage access packages, and in which catalog.",
		List: "/roleManagement/entitlementManagement/roleAssignments", Name: []string{"roleDefinitionId"}, Match: []string{"principalId", "roleDefinitionId", "appScopeId", "directoryScopeId"}, Grants: true,
		Can: Create | Delete, Read: []string{"EntitlementManagement.Read.All"}, Write: []string{"EntitlementManagement.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "principalId", Write: OnCreate, Must: true, Ref: []entra.Type{UserType, GroupType, ServicePrincipalType}},
				{Name: "roleDefinitionId", Write: OnCreate, Must: true}, // built in, and the same in every tenant
				{Name: "appScopeId", Write: OnCreate, Ref: []entra.Type{catalogType}},
				{Name: "directoryScopeId", Write: OnCreate},
			},
			never("undocumented", "condition"),
			omit("the tenant of the principal, which is this one", "principalOrganizationId"),
		),
	}, {
		Type: "unifiedRoleManagementAlertConfiguration", Title: "Alerts about roles", Doc: "What about privileged roles raises an alert, and from which numbers on.",
		List: "/identityGovernance/roleManagementAlerts/alertConfigurations", Version: "beta", Variants: true,
		Filter: "scopeId eq '/' and scopeType eq 'DirectoryRole'", // a list without is refused
		Name:   []string{"id"},
		Can:    Update, Read: []string{"RoleManagementAlert.Read.Directory"}, Write: []string{"RoleManagementAlert.ReadWrite.Directory"},
		Properties: slices.Concat(
			[]Property{{Name: "@odata.type", Reason: "what raises the alert is fixed"}},
			entries(OnUpdate, "", "duration", "globalAdminCountThreshold", "isEnabled", "percentageOfGlobalAdminsOutOfRolesThreshold", "sequentialActivationCounterThreshold", "timeIntervalBetweenActivations"),
			never(byService, "alertDefinitionId", "scopeId", "scopeType"),
		),
		update: func(_ entra.ID, set, was map[string]any) ([]part, error) {
			return nil, sayType(set, was, func() string { return "" })
		},
	}}
}
