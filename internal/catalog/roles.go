package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

func roles() []*Resource {
	return []*Resource{{
		Type: RoleType, Judged: true, Title: "Directory roles", Doc: "What the holders of a role may do, built in or made by the tenant.",
		List: "/roleManagement/directory/roleDefinitions",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: []string{"RoleManagement.Read.Directory"}, Write: []string{"RoleManagement.ReadWrite.Directory"},
		Properties: slices.Concat(
			[]Property{
				{Name: "displayName", Write: Both, Must: true},
				{Name: "isEnabled", Write: Both, Must: true},
				{Name: "rolePermissions", Write: Both, Set: true, Must: true},
				{Name: "rolePermissions[].allowedResourceActions", Set: true},
				{Name: "rolePermissions[].excludedResourceActions", Set: true},
				{Name: "templateId", Write: OnCreate, Reason: "fixed when the role is created; not kept where it is the role's own ID"},
				{Name: "resourceScopes", Set: true, Reason: "where a role holds is said by its assignments"},
			},
			both("description", "version"),
			never(byService, "isBuiltIn"),
		),
		frozen: func(m map[string]any) string {
			if m["isBuiltIn"] == true {
				return "a built-in role is the same in every tenant and cannot be changed"
			}
			return ""
		},
		read: func(m map[string]any) {
			if m["templateId"] == m["id"] && m["isBuiltIn"] != true {
				delete(m, "templateId")
			}
		},
		create: func(set map[string]any, _ Fresh) (map[string]any, error) { return nil, customActions(set) },
		update: func(_ entra.ID, set, _ map[string]any) ([]part, error) { return nil, customActions(set) },
	}, {
		Type: roleAssignmentType, Judged: true, Title: "Role assignments", Doc: "Who has which directory role, and where it holds.",
		List: "/roleManagement/directory/roleAssignments",
		Name: []string{"roleDefinitionId"}, Match: []string{"principalId", "roleDefinitionId", "directoryScopeId", "appScopeId"},
		Can: Create | Delete, Read: []string{"RoleManagement.Read.Directory"}, Write: []string{"RoleManagement.ReadWrite.Directory"},
		Properties: slices.Concat(
			[]Property{
				{Name: "principalId", Write: OnCreate, Must: true, Ref: []entra.Type{UserType, GroupType, ServicePrincipalType}},
				{Name: "roleDefinitionId", Write: OnCreate, Must: true, Ref: []entra.Type{RoleType}},
				{Name: "directoryScopeId", Write: OnCreate, Ref: []entra.Type{UnitType, ApplicationType, ServicePrincipalType}},
				{Name: "appScopeId", Write: OnCreate},
			},
			never("undocumented", "condition"),
			omit("the tenant of the principal, which is this one", "principalOrganizationId"),
		),
	}}
}

// customActions reduces a role's permissions to what the service accepts for roles that a tenant makes.
// Source: Microsoft Graph documentation of unifiedRolePermission.
func customActions(set map[string]any) error {
	want, ok := set["rolePermissions"]
	if !ok {
		return nil
	}
	out := []any{}
	for _, p := range list(want) {
		if p, ok := p.(map[string]any); ok {
			out = append(out, map[string]any{"allowedResourceActions": slices.Clone(list(p["allowedResourceActions"]))})
		}
	}
	set["rolePermissions"] = out
	return nil
}

// privileged reports whether a built-in role, by its template's ID, lets its holder take over the tenant or
// something that leads to it: other people's credentials, applications' credentials, or the policies that
// guard sign-in. Source: Microsoft Entra documentation, "Microsoft Entra built-in roles".
func privileged(template string) bool {
	switch template {
	case "62e90394-69f5-4237-9190-012177145e10", // Global Administrator
		"e8611ab8-c189-46e8-94e1-60213ab1f814", // Privileged Role Administrator
		"7be44c8a-adaf-4e2a-84d6-ab2649e08a13", // Privileged Authentication Administrator
		"b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", // Conditional Access Administrator
		"194ae4cb-b126-40b2-bd5b-6091b380977d", // Security Administrator
		"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", // Application Administrator
		"158c047a-c907-4556-b7ef-446551a6b5f7", // Cloud Application Administrator
		"fe930be7-5e62-47db-91af-98c3a49a38b1", // User Administrator
		"29232cdf-9323-42fd-ade2-1d097af3e4de", // Exchange Administrator
		"f28a1f50-f6e7-4571-818b-6a12f2af6b6c", // SharePoint Administrator
		"3a2c62db-5318-420d-8d74-23affee5d9d5", // Intune Administrator
		"8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2", // Hybrid Identity Administrator
		"c4e39bd9-1100-46d3-8c65-fb160da0071f", // Authentication Administrator
		"0526716b-113d-4c15-b2c8-68e3c22b9f80", // Authentication Policy Administrator
		"729827e3-9c14-49f7-bb1b-9608f156bbb8", // Helpdesk Administrator
		"966707d0-3269-4727-9be2-8c3a10f19b9d", // Password Administrator
		"fdd7a751-b60b-444a-984c-02652fe8fa1c", // Groups Administrator
		"8329153b-31d0-4727-b945-745eb3bc5f31", // Domain Name Administrator
		"be2f45a1-457d-42af-a067-6ec1fa63bc45", // External Identity Provider Administrator
		"9360feb5-f418-4baa-8175-e2a00bac4301", // Directory Writers
		"d29b2b05-8046-44ba-8758-1e26182fcf32", // Directory Synchronization Accounts
		"45d8d3c5-c802-45c6-b32a-1d70b5e1e86e", // Identity Governance Administrator
		"7698a772-787b-4ac8-901f-60d6b08affd2", // Cloud Device Administrator
		"cf1c38e5-3621-4004-a7cb-879624dced7c", // Application Developer
		"4ba39ca4-527c-499a-b93d-d9b492c50246", // Partner Tier1 Support
		"e00e864a-17c5-4a4b-9c06-f5b95a8d5bd8": // Partner Tier2 Support
		return true
	}
	return false
}

// HighPermission reports whether an application permission lets its holder take over the tenant or change
// what guards it. resource is the appId of the application whose permission it is; value is the
// permission's, such as RoleManagement.ReadWrite.Directory.
// Source: Microsoft Graph permissions reference.
func HighPermission(resource, value string) bool {
	switch resource {
	case "00000003-0000-0000-c000-000000000000", // Microsoft Graph
		"00000002-0000-0000-c000-000000000000": // its predecessor
	default:
		return false
	}
	switch value {
	case "RoleManagement.ReadWrite.Directory", "RoleManagement.ReadWrite.All", "RoleManagementPolicy.ReadWrite.Directory",
		"RoleAssignmentSchedule.ReadWrite.Directory", "RoleEligibilitySchedule.ReadWrite.Directory",
		"PrivilegedAccess.ReadWrite.AzureADGroup", "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup", "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
		"AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All",
		"Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.ReadWrite.All", "Directory.AccessAsUser.All",
		"Group.ReadWrite.All", "GroupMember.ReadWrite.All", "User.ReadWrite.All", "User.ManageIdentities.All", "User.EnableDisableAccount.All",
		"User-PasswordProfile.ReadWrite.All", "User.DeleteRestore.All",
		"UserAuthenticationMethod.ReadWrite.All", "UserAuthMethod-Passkey.ReadWrite.All",
		"Policy.ReadWrite.ConditionalAccess", "Policy.ReadWrite.AuthenticationMethod", "Policy.ReadWrite.SecurityDefaults",
		"Policy.ReadWrite.PermissionGrant", "Policy.ReadWrite.Authorization", "Policy.ReadWrite.CrossTenantAccess",
		"Domain.ReadWrite.All", "Domain-InternalFederation.ReadWrite.All", "Organization.ReadWrite.All", "OrgContact.ReadWrite.All",
		"IdentityProvider.ReadWrite.All", "Synchronization.ReadWrite.All", "OnPremDirectorySynchronization.ReadWrite.All",
		"AdministrativeUnit.ReadWrite.All", "EntitlementManagement.ReadWrite.All", "LifecycleWorkflows.ReadWrite.All", "CustomSecAttributeAssignment.ReadWrite.All",
		"PublicKeyInfrastructure.ReadWrite.All", "DeviceManagementConfiguration.ReadWrite.All", "DeviceManagementRBAC.ReadWrite.All",
		"Mail.ReadWrite", "Mail.Send", "MailboxSettings.ReadWrite", "Files.ReadWrite.All", "Sites.FullControl.All", "full_access_as_app":
		return true
	}
	return false
}
