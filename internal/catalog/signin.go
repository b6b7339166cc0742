package catalog

import (
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// The policies that applications and service principals are given.
func signIn() []*Resource {
	policy := func(t entra.Type, path, title, doc string, to ...entra.Type) *Resource {
		r := &Resource{
			Type: t, Title: title, Doc: doc, List: "/policies/" + path,
			Name: []string{"displayName"}, Match: []string{"displayName"},
			Can: Create | Update | Delete, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.Read.All", "Policy.ReadWrite.ApplicationConfiguration"},
			Properties: slices.Concat(
				[]Property{
					{Name: "displayName", Write: Both, Must: true},
					{Name: "definition", Write: Both, Must: true},
				},
				both("description", "isOrganizationDefault"),
				omit("set only on deleted objects", "deletedDateTime"),
			),
			rules: 1, read: readDefinition,
		}
		if to != nil {
			at := map[entra.Type]string{ApplicationType: "/applications/{id}/" + path, ServicePrincipalType: "/servicePrincipals/{id}/" + path}
			r.Links = []Relation{{Rel: "appliesTo", To: to, Many: true, Path: "/policies/" + path + "/{id}/appliesTo", Write: true, Turned: at}}
			r.Write = append(r.Write, "Application.ReadWrite.All")
		}
		return r
	}
	management := policy("appManagementPolicy", "appManagementPolicies", "Application management policies", "Which credentials and addresses the applications may be given that it applies to.", ApplicationType, ServicePrincipalType)
	management.rules, management.read = 0, nil
	management.Properties = slices.Concat(
		[]Property{{Name: "displayName", Write: Both, Must: true}, {Name: "restrictions", Write: Both, Must: true}},
		both("description", "isEnabled"),
		restrictions("restrictions", "restrictions.applicationRestrictions.identifierUris"),
		omit("set only on deleted objects", "deletedDateTime"),
	)
	guests := policy("b2bManagementPolicy", "b2bManagementPolicies", "Invitation policies", "From which domains guests may be invited, and whose invitations are accepted by themselves.")
	guests.Version, guests.Grants = "beta", true
	guests.Read, guests.Write = []string{"Policy.Read.B2BManagementPolicy"}, []string{"Policy.Read.B2BManagementPolicy", "Policy.ReadWrite.B2BManagementPolicy"}
	for i, p := range guests.Properties {
		guests.Properties[i].Must = p.Must || p.Name == "description"
	}
	// Not even Policy.Read.All lets an application read it. The reference shows the answer as a list.
	// Source: Microsoft Graph documentation, "Get customClaimsPolicy" and "Create or replace claimsPolicy"; it shows no
	// way to take one away.
	const at = "/servicePrincipals/{parent}/claimsPolicy"
	claims := &Resource{
		Type: "customClaimsPolicy", Title: "Custom claims policies", Doc: "What tokens for an application say of people, as set at the application itself.", Version: "beta",
		List: at, Item: at, Under: ServicePrincipalType, One: true, Silent: true, Chosen: "PUT", Grants: true,
		Unless: "the service shows it only to an application that may also write it, and is asked about each application",
		Name:   []string{"id"}, Match: []string{"id"},
		Can: Create | Update, Read: []string{"Policy.ReadWrite.ApplicationConfiguration"}, Write: []string{"Policy.ReadWrite.ApplicationConfiguration"},
		Properties: slices.Concat(
			both("audienceOverride", "claims", "includeApplicationIdInIssuer", "includeBasicClaimSet"),
			[]Property{
				{Name: "claims[].tokenFormat", Set: true},
				{Name: "claims[].configurations[].condition.memberOf", Set: true, Ref: []entra.Type{GroupType}},
			},
		),
		rules: 1, read: readFirst,
		none: func(m map[string]any) bool { all, many := m["value"].([]any); return many && len(all) == 0 },
	}
	return []*Resource{
		claims,
		guests,
		policy("tokenLifetimePolicy", "tokenLifetimePolicies", "Token lifetime policies", "How long tokens of applications are good for.", ServicePrincipalType, ApplicationType),
		policy("tokenIssuancePolicy", "tokenIssuancePolicies", "Token issuance policies", "How SAML tokens are signed.", ApplicationType, ServicePrincipalType),
		policy("claimsMappingPolicy", "claimsMappingPolicies", "Claims mapping policies", "What tokens of an application say of people.", ServicePrincipalType),
		policy("homeRealmDiscoveryPolicy", "homeRealmDiscoveryPolicies", "Home realm discovery policies", "Where people are sent to sign in.", ServicePrincipalType, ApplicationType),
		management,
		policy("activityBasedTimeoutPolicy", "activityBasedTimeoutPolicies", "Inactivity timeouts", "When idle people are signed out of Microsoft's portals."),
	}
}

// readDefinition makes texts of JSON canonical: what they say counts, not how it is written.
func readDefinition(m map[string]any) {
	for i, text := range list(m["definition"]) {
		text, ok := text.(string)
		if !ok {
			continue
		}
		if body, err := entra.Canonical([]byte(text)); err == nil {
			list(m["definition"])[i] = string(body)
		}
	}
}

// readFirst makes one object of an answer that is a list of one.
func readFirst(m map[string]any) {
	if all, many := m["value"].([]any); many && len(all) == 1 {
		keepOnly(m)
		maps.Copy(m, mapOf(all[0]))
	}
}
