package catalog

import (
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// What people may consent to: policies that the authorization policy and roles name, and the conditions in them.
func grantPolicies() []*Resource {
	const list = "/policies/permissionGrantPolicies"
	native := func(id entra.ID) string {
		if strings.HasPrefix(string(id.Split()[0]), "microsoft-") {
			return "a built-in policy is the same in every tenant and cannot be changed"
		}
		return ""
	}
	write := []string{"Policy.Read.PermissionGrant", "Policy.ReadWrite.PermissionGrant"}
	// Conditions cannot be changed, only taken away and added, and the service gives each a new ID. So what recognises
	// one is all that it says.
	conditions := func(t entra.Type, path, title, doc string) *Resource {
		flat := []string{"permissionClassification", "permissionType", "resourceApplication", "clientApplicationsFromVerifiedPublisherOnly"}
		many := []string{"permissions", "clientApplicationIds", "clientApplicationPublisherIds", "clientApplicationTenantIds"}
		r := &Resource{
			Type: t, Title: title, Doc: doc,
			List: list + "/{parent}/" + path, Item: list + "/{parent}/" + path + "/{id}", Under: permissionGrantType,
			Name: []string{"resourceApplication"}, Match: slices.Concat(flat, many),
			Can: Create | Delete, Read: []string{"Policy.Read.PermissionGrant"}, Write: write, Grants: true,
			Properties: slices.Concat(entries(OnCreate, "", flat...), sets(OnCreate, "", many...)),
			native:     native,
		}
		for i, p := range r.Properties {
			if p.Name == "resourceApplication" || p.Name == "clientApplicationIds" {
				r.Properties[i].Ref, r.Properties[i].By = []entra.Type{ServicePrincipalType}, "appId"
			}
		}
		return r
	}
	return []*Resource{{
		Type: permissionGrantType, Title: "Permission grant policies", Doc: "Under which conditions people may consent to what applications ask for.",
		List: list, Chosen: "POST", Name: []string{"displayName"}, Match: []string{"id"}, Grants: true,
		Can: Create | Update | Delete, Read: []string{"Policy.Read.PermissionGrant"}, Write: write,
		Properties: slices.Concat(
			[]Property{{Name: "displayName", Write: Both, Must: true}, {Name: "description", Write: Both, Must: true}},
			omit("each is an object of its own", "includes", "excludes"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		native: native,
	},
		conditions("permissionGrantInclude", "includes", "Conditions of consent", "Conditions under which people may consent."),
		conditions("permissionGrantExclude", "excludes", "Exceptions of consent", "Conditions under which people may not consent though others say so."),
	}
}

const permissionGrantType entra.Type = "permissionGrantPolicy"
