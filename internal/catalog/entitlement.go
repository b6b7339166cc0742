package catalog

import (
	"errors"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	catalogType       entra.Type = "accessPackageCatalog"
	resourceType      entra.Type = "accessPackageResource"
	extensionType     entra.Type = "customCalloutExtension"
	packageType       entra.Type = "accessPackage"
	packagePolicyType entra.Type = "accessPackageAssignmentPolicy"
	roleScopeType     entra.Type = "accessPackageResourceRoleScope"
	organizationsType entra.Type = "connectedOrganization"

	entitlement = "/identityGovernance/entitlementManagement"
	ownID       = "the service chooses it; what is made anew has another"
	byRequest   = "the service takes it as a request that it carries out later, so nothing says when or whether it is done; it is put back by hand"
)

// What people can ask for, who may ask, and who has to agree.
func entitlements() []*Resource {
	read, write := []string{"EntitlementManagement.Read.All"}, []string{"EntitlementManagement.ReadWrite.All"}
	return []*Resource{{
		Type: catalogType, Title: "Access package catalogs", Doc: "What access packages are kept in, with the resources that they can give.",
		List: entitlement + "/catalogs",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{{Name: "displayName", Write: Both, Must: true}},
			both("description", "isExternallyVisible", "state"),
			never(byService, "catalogType", "createdDateTime"),
			omit("moves with every write", "modifiedDateTime"),
		),
	}, {
		Type: resourceType, Title: "Access package resources", Doc: "The groups, applications and sites that access packages of a catalog can give.",
		List: entitlement + "/catalogs/{parent}/resources", Under: catalogType,
		Name: []string{"displayName"}, Match: []string{"originSystem", "originId"},
		Can: Create | Delete, Read: read, Write: append(slices.Clone(write), "Group.ReadWrite.All"), Requests: entitlement + "/resourceRequests",
		Properties: slices.Concat(
			[]Property{
				{Name: "id", Ref: []entra.Type{resourceType}, By: "id", Reason: ownID},
				{Name: "originId", Write: OnCreate, Must: true, Ref: []entra.Type{GroupType, ServicePrincipalType}},
				{Name: "originSystem", Write: OnCreate, Must: true},
			},
			never("copied from the group, the application or the site", "description", "displayName"),
			never("what is asked of people who get it is set by hand", "attributes"),
			never(byService, "createdDateTime"),
			omit("moves with every write", "modifiedDateTime"),
		),
		ask: func(id entra.ID, set, _ map[string]any) map[string]any {
			own, kind := id.Split(), "adminAdd"
			if set == nil {
				kind, set = "adminRemove", map[string]any{"id": string(own[len(own)-1])}
			}
			return map[string]any{"requestType": kind, "resource": set, "catalog": map[string]any{"id": string(own[0])}}
		},
	}, {
		Type: extensionType, Title: "Access package extensions", Doc: "Logic apps that are called when somebody asks for access or gets it.",
		List: entitlement + "/catalogs/{parent}/customWorkflowExtensions", Under: catalogType, Variants: true,
		Name: []string{"displayName"}, Match: []string{"@odata.type", "displayName"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{
				{Name: "id", Ref: []entra.Type{extensionType}, By: "id", Reason: ownID},
				{Name: "@odata.type", Write: OnCreate, Must: true, Reason: "what it is called for is fixed"},
			},
			callout(),
			never(byService, "createdBy", "createdDateTime"),
			omit("moves with every write", "lastModifiedBy", "lastModifiedDateTime"),
		),
		update: func(_ entra.ID, set, was map[string]any) ([]part, error) {
			return nil, sayType(set, was, func() string { return "" })
		},
	}, {
		Type: packageType, Title: "Access packages", Doc: "Sets of memberships and roles that people can ask for together.",
		List: entitlement + "/accessPackages", Inline: "catalog",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{
				{Name: "catalog", Write: OnCreate, Must: true, Reason: "an access package stays in its catalog"},
				{Name: "catalog.id", Ref: []entra.Type{catalogType}},
				{Name: "displayName", Write: Both, Must: true},
				{Name: "description", Write: Both, Must: true},
			},
			both("isHidden"),
			never(byService, "createdDateTime"),
			omit("moves with every write", "modifiedDateTime"),
		),
		Links: []Relation{
			{Rel: "incompatibleAccessPackages", To: []entra.Type{packageType}, Many: true, Path: entitlement + "/accessPackages/{id}/incompatibleAccessPackages", Write: true, Said: entitlement[1:] + "/accessPackages"},
			{Rel: "incompatibleGroups", To: []entra.Type{GroupType}, Many: true, Path: entitlement + "/accessPackages/{id}/incompatibleGroups", Write: true, Said: "groups"},
		},
		rules: 1, read: func(m map[string]any) { keep(m, "catalog", "id") },
	}, {
		Type: roleScopeType, Title: "Access package roles", Doc: "Which role in which resource an access package gives.",
		List: entitlement + "/accessPackages/{parent}/resourceRoleScopes", Under: packageType, Inline: "role($expand=resource),scope",
		Name: []string{"role.displayName"}, Match: []string{"role.originSystem", "role.originId", "scope.originId"},
		Can: Create | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{
				{Name: "role", Write: OnCreate, Must: true},
				{Name: "role.originId", Ref: []entra.Type{GroupType}},
				{Name: "role.resource.id", Ref: []entra.Type{resourceType}, By: "id", Firm: true},
				{Name: "role.resource.originId", Ref: []entra.Type{GroupType, ServicePrincipalType}},
				{Name: "scope", Write: OnCreate, Must: true},
				{Name: "scope.originId", Ref: []entra.Type{GroupType, ServicePrincipalType}},
			},
			never(byService, "createdDateTime"),
		),
		rules: 1, read: func(m map[string]any) {
			keep(m, "role", "displayName", "originId", "originSystem", "resource")
			if role, ok := m["role"].(map[string]any); ok {
				keep(role, "resource", "id", "originId", "originSystem")
			}
			keep(m, "scope", "isRootScope", "originId", "originSystem")
		},
	}, {
		Type: organizationsType, Title: "Connected organizations", Doc: "Other organizations whose people can ask for access packages.",
		List: entitlement + "/connectedOrganizations",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{
				{Name: "displayName", Write: Both, Must: true},
				{Name: "description", Write: Both, Must: true},
				{Name: "identitySources", Write: OnCreate, Set: true, Must: true, Reason: "fixed when the organization is connected"},
			},
			both("state"),
			never(byService, "createdDateTime"),
			omit("moves with every write", "modifiedDateTime"),
		),
		Links: []Relation{
			{Rel: "internalSponsors", To: []entra.Type{UserType, GroupType}, Many: true, Read: ByExpand, Path: entitlement + "/connectedOrganizations/{id}/internalSponsors", Write: true, Said: "users"},
			{Rel: "externalSponsors", To: []entra.Type{UserType, GroupType}, Many: true, Read: ByExpand, Path: entitlement + "/connectedOrganizations/{id}/externalSponsors", Write: true, Said: "users"},
		},
		create: func(set map[string]any, _ Fresh) (map[string]any, error) {
			if len(list(set["identitySources"])) > 1 {
				return nil, errors.New("the service connects an organization by one identity source only")
			}
			return nil, nil
		},
	}, {
		Type: packagePolicyType, Title: "Access package policies", Doc: "Who can ask for an access package, who has to agree, and for how long it is given.",
		List: entitlement + "/assignmentPolicies", Inline: "accessPackage,customExtensionStageSettings($expand=customExtension),questions",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{
				{Name: "accessPackage", Write: OnCreate, Must: true, Reason: "a policy stays with its access package"},
				{Name: "accessPackage.id", Ref: []entra.Type{packageType}},
				{Name: "displayName", Write: Both, Must: true},
				{Name: "allowedTargetScope", Write: Both, Must: true},
				{Name: "specificAllowedTargets", Write: Both, Set: true},
				{Name: "requestorSettings", Write: Both, Must: true},
				{Name: "requestorSettings.onBehalfRequestors", Set: true},
				{Name: "requestApprovalSettings", Write: Both, Must: true},
				{Name: "reviewSettings", Write: Both},
				{Name: "questions", Write: Both},
				{Name: "questions[].id", Omit: true, Reason: byService},
				{Name: "customExtensionStageSettings", Write: Both, Set: true},
				{Name: "customExtensionStageSettings[].id", Omit: true, Reason: byService},
				{Name: "customExtensionStageSettings[].customExtension.id", Ref: []entra.Type{extensionType}, By: "id", Firm: true},
			},
			subjects("specificAllowedTargets[]"), subjects("requestorSettings.onBehalfRequestors[]"),
			approvers("requestApprovalSettings.stages[].", "primaryApprovers", "fallbackPrimaryApprovers", "escalationApprovers", "fallbackEscalationApprovers"),
			approvers("reviewSettings.", "primaryReviewers", "fallbackReviewers"),
			both("automaticRequestSettings", "description", "expiration", "notificationSettings"),
			never(byService, "createdDateTime"),
			omit("moves with every write", "modifiedDateTime"),
		),
		rules: 1, read: func(m map[string]any) {
			keep(m, "accessPackage", "id")
			for _, s := range list(m["customExtensionStageSettings"]) {
				if s, ok := s.(map[string]any); ok {
					keep(s, "customExtension", "id", "@odata.type")
				}
			}
		},
		update: replace(shape{"accessPackage": nil, "allowedTargetScope": nil, "automaticRequestSettings": nil, "customExtensionStageSettings": []any{}, "description": nil,
			"displayName": nil, "expiration": nil, "notificationSettings": nil, "questions": []any{}, "requestApprovalSettings": nil, "requestorSettings": nil,
			"reviewSettings": nil, "specificAllowedTargets": []any{}}),
	}, {
		Type: "accessPackageAssignment", Title: "Access package assignments", Doc: "Who has which access package.",
		List: entitlement + "/assignments", Inline: "target,accessPackage,assignmentPolicy",
		Name: []string{"target.objectId"}, Match: []string{"target.objectId", "accessPackage.id", "assignmentPolicy.id"},
		Read: read, Refusal: byRequest,
		Properties: slices.Concat(
			[]Property{
				{Name: "target", Reason: byRequest},
				{Name: "target.objectId", Ref: []entra.Type{UserType, ServicePrincipalType}},
				{Name: "accessPackage", Reason: byRequest},
				{Name: "accessPackage.id", Ref: []entra.Type{packageType}},
				{Name: "assignmentPolicy", Reason: byRequest},
				{Name: "assignmentPolicy.id", Ref: []entra.Type{packagePolicyType}},
			},
			never(byRequest, "schedule"),
			never(byService, "expiredDateTime", "state"),
			omit("says again how far the assignment is", "status"),
			omit("what was called, which is a record", "customExtensionCalloutInstances"),
		),
		rules: 1, read: func(m map[string]any) {
			keep(m, "target", "objectId", "subjectType")
			keep(m, "accessPackage", "id")
			keep(m, "assignmentPolicy", "id")
		},
	}, {
		Type: "entitlementManagementSettings", Title: "Entitlement management settings", Doc: "What becomes of guests who have lost their last access package.",
		List: entitlement + "/settings", One: true,
		Name: []string{"id"}, Can: Update, Read: read, Write: write,
		Properties: entries(OnUpdate, "", "durationUntilExternalUserDeletedAfterBlocked", "externalUserLifecycleAction"),
	}}
}

// Hands returns what an object lets others have: the groups that it makes people members of, the roles that it gives, or
// something else that does. A reference can be of another type than the object that has the ID.
func Hands(o entra.Object) (refs []entra.Ref) {
	m := o.Body.Decode()
	switch o.Ref.Type {
	case roleScopeType:
		to := map[string]entra.Type{"AadGroup": GroupType, "DirectoryRole": RoleType}[text(m, "role.originSystem")]
		if to != "" {
			refs = append(refs, entra.Ref{Type: to, ID: entra.ID(text(m, "scope.originId"))})
		}
	case eligibleType, scheduleType:
		refs = append(refs, entra.Ref{Type: RoleType, ID: entra.ID(text(m, "roleDefinitionId"))})
	case groupEligibleType, groupScheduleType:
		in, _ := Container(o.Ref)
		refs = append(refs, in)
	case packagePolicyType:
		refs = append(refs, entra.Ref{Type: packageType, ID: entra.ID(text(m, "accessPackage.id"))})
	case workflowType:
		for _, r := range Refs(o) {
			refs = append(refs, entra.Ref{Type: GroupType, ID: r.ID}, entra.Ref{Type: packageType, ID: r.ID})
		}
	}
	return refs
}

// callout declares what calls a logic app. The address by which it is called holds a key, which the service keeps.
func callout() []Property {
	return slices.Concat(
		[]Property{
			{Name: "displayName", Write: Both, Must: true},
			{Name: "authenticationConfiguration", Write: Both, Must: true},
			{Name: "authenticationConfiguration.resourceId", Ref: []entra.Type{ApplicationType}, By: "appId"},
			{Name: "endpointConfiguration", Write: Both, Must: true},
			{Name: "endpointConfiguration.url", Omit: true, Secret: true, Reason: "the address holds the key by which the logic app is called"},
		},
		both("callbackConfiguration", "clientConfiguration", "description"),
	)
}

// subjects declares what sets of people are made of.
func subjects(path string) []Property {
	return []Property{
		{Name: path + ".userId", Ref: []entra.Type{UserType}},
		{Name: path + ".groupId", Ref: []entra.Type{GroupType}},
		{Name: path + ".servicePrincipalId", Ref: []entra.Type{ServicePrincipalType}},
		{Name: path + ".connectedOrganizationId", Ref: []entra.Type{organizationsType}},
		{Name: path + ".membershipRule", Ref: []entra.Type{GroupType, UserType}},
		{Name: path + ".description", Omit: true, Reason: "copied from whom it means"},
	}
}

func approvers(under string, names ...string) (ps []Property) {
	for _, name := range names {
		ps = append(append(ps, Property{Name: under + name, Set: true}), subjects(under+name+"[]")...)
	}
	return ps
}

// keep leaves of a complex value only the members named: the rest says what other objects say.
func keep(m map[string]any, name string, members ...string) {
	if v, ok := m[name].(map[string]any); ok {
		maps.DeleteFunc(v, func(member string, _ any) bool { return !slices.Contains(members, member) })
	}
}

// replace makes of every change a PUT of the whole object, because the service drops what such a call lacks. s holds
// what the object has, with what stands for nothing.
func replace(s shape) func(id entra.ID, set, was map[string]any) ([]part, error) {
	return func(id entra.ID, set, was map[string]any) ([]part, error) {
		body := maps.Clone(was)
		maps.Copy(body, set)
		maps.DeleteFunc(body, func(name string, _ any) bool { _, has := s[name]; return !has })
		body = fill(body, s)
		body["id"] = string(id)
		maps.DeleteFunc(set, func(string, any) bool { return true })
		return []part{{method: "PUT", body: body}}, nil
	}
}
