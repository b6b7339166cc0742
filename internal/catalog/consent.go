package catalog

import (
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// What people may consent to: policies that the authorization policy and roles name, and the conditions in them.
func grantPolicies() []*Resource {
	native := func(id entra.ID) string {
		if strings.HasPrefix(string(id.Split()[0]), "microsoft-") {
			return "a built-in policy is the same in every tenant and cannot be changed"
		}
		return ""
	}
	write := []string{"Policy.Read.PermissionGrant", "Policy.ReadWrite.PermissionGrant"}
	// Conditions cannot be changed, only taken away and added, and the service gives each a new ID. So what recognises
	// one is all that it says.
	conditions := func(in *Resource, t, is entra.Type, path, title, doc, name string, flat, many []string) *Resource {
		r := &Resource{
			Type: t, Is: is, Title: title, Doc: doc, Version: in.Version,
			List: in.List + "/{parent}/" + path, Item: in.List + "/{parent}/" + path + "/{id}", Under: in.Type,
			Name: []string{name}, Match: slices.Concat(flat, many),
			Can: Create | Delete, Read: in.Read, Write: in.Write, Grants: true,
			Properties: slices.Concat(entries(OnCreate, "", flat...), sets(OnCreate, "", many...)),
			native:     native,
		}
		for i, p := range r.Properties {
			switch p.Name {
			case "resourceApplication", "clientApplicationIds", "applicationIds":
				r.Properties[i].Ref, r.Properties[i].By = []entra.Type{ServicePrincipalType}, "appId"
			}
		}
		return r
	}
	policy := func(t entra.Type, path, title, doc, read, write string) *Resource {
		return &Resource{
			Type: t, Title: title, Doc: doc,
			List: "/policies/" + path, Chosen: "POST", Name: []string{"displayName"}, Match: []string{"id"}, Grants: true,
			Can: Create | Update | Delete, Read: []string{read}, Write: []string{read, write},
			Properties: slices.Concat(
				[]Property{{Name: "displayName", Write: Both, Must: true}, {Name: "description", Write: Both, Must: true}},
				omit("each is an object of its own", "includes", "excludes"),
				omit("set only on deleted objects", "deletedDateTime"),
			),
			native: native,
		}
	}
	grants := policy(permissionGrantType, "permissionGrantPolicies", "Permission grant policies", "Under which conditions people may consent to what applications ask for.", "Policy.Read.PermissionGrant", "Policy.ReadWrite.PermissionGrant")
	creation := policy("servicePrincipalCreationPolicy", "servicePrincipalCreationPolicies", "Service principal creation policies", "Of which applications people may make service principals.", "Policy.Read.All", "Policy.ReadWrite.ServicePrincipalCreate")
	creation.Version = "beta"
	creation.Properties = append(creation.Properties, omit("its ID says it", "isBuiltIn")...)
	const set, sort = "permissionGrantConditionSet", "servicePrincipalCreationConditionSet"
	flat, many := []string{"permissionClassification", "permissionType", "resourceApplication", "clientApplicationsFromVerifiedPublisherOnly"}, []string{"permissions", "clientApplicationIds", "clientApplicationPublisherIds", "clientApplicationTenantIds"}
	which, ids := []string{"applicationsFromVerifiedPublisherOnly", "certifiedApplicationsOnly"}, []string{"applicationIds", "applicationPublisherIds", "applicationTenantIds"}
	return []*Resource{
		grants,
		conditions(grants, "permissionGrantInclude", set, "includes", "Conditions of consent", "Conditions under which people may consent.", "resourceApplication", flat, many),
		conditions(grants, "permissionGrantExclude", set, "excludes", "Exceptions of consent", "Conditions under which people may not consent though others say so.", "resourceApplication", flat, many),
		creation,
		conditions(creation, "servicePrincipalCreationInclude", sort, "includes", "Conditions of creation", "Applications of which people may make service principals.", "id", which, ids),
		conditions(creation, "servicePrincipalCreationExclude", sort, "excludes", "Exceptions of creation", "Applications of which people may not make service principals though others say so.", "id", which, ids),
		{
			Type: "permissionGrantPreApprovalPolicy", Title: "Preapproved permissions", Doc: "What applications that the policy is given to are granted in groups and chats without being asked; not to which applications it is given.",
			List: "/policies/permissionGrantPreApprovalPolicies", Version: "beta", Name: []string{"id"}, Match: []string{"conditions"}, Grants: true,
			Can: Create | Update | Delete, Read: []string{"Policy.Read.PermissionGrant"}, Write: write,
			Properties: slices.Concat(
				[]Property{
					{Name: "conditions", Write: Both, Must: true, Set: true},
					{Name: "conditions[].permissions.permissionIds", Set: true},
					{Name: "conditions[].permissions.resourceApplicationId", Ref: []entra.Type{ServicePrincipalType}, By: "appId"},
					{Name: "conditions[].sensitivityLabels.sensitivityLabels", Set: true},
				},
				omit("set only on deleted objects", "deletedDateTime"),
			),
		},
	}
}

const permissionGrantType entra.Type = "permissionGrantPolicy"
