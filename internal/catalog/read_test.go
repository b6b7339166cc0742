package catalog_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

func thing(ty entra.Type, id entra.ID, body string) entra.Object {
	return entra.Object{Ref: entra.Ref{Type: ty, ID: id}, Body: entra.Body(body)}
}

func TestPolicy(t *testing.T) {
	got, ok := catalog.Policy(thing("conditionalAccessPolicy", "p", `{"conditions":{"applications":{"applicationFilter":{"mode":"exclude","rule":"r"},"includeApplications":["All"],"includeUserActions":["a"]},
		"authenticationFlows":{"transferMethods":"deviceCodeFlow,authenticationTransfer"},"clientAppTypes":["all"],"clientApplications":{"includeServicePrincipals":["s"]},
		"devices":{"deviceFilter":{"mode":"include","rule":"d"}},"locations":{"excludeLocations":["l"],"includeLocations":["All"]},"platforms":{"includePlatforms":["iOS"]},
		"signInRiskLevels":["high"],"users":{"excludeGroups":["g"],"excludeGuestsOrExternalUsers":{"externalTenants":{"members":["t"]},"guestOrExternalUserTypes":"internalGuest,serviceProvider"},"includeRoles":["r"],"includeUsers":["All"]}},
		"displayName":"P","grantControls":{"authenticationStrength":{"id":"x"},"builtInControls":["block"],"operator":"OR"},"sessionControls":{"persistentBrowser":{"isEnabled":true}},"state":"enabledForReportingButNotEnforced"}`))
	want := catalog.AccessPolicy{
		Name: "P", State: catalog.ReportOnly,
		Users: catalog.Scope{
			Users: catalog.Filter{Include: []string{"All"}}, Groups: catalog.Filter{Exclude: []string{"g"}}, Roles: catalog.Filter{Include: []string{"r"}},
			Except: catalog.Guests{Kinds: []string{"internalGuest", "serviceProvider"}, Tenants: []string{"t"}},
		},
		Apps: catalog.Filter{Include: []string{"All"}}, Actions: []string{"a"}, AppRule: "not (r)", Workloads: catalog.Filter{Include: []string{"s"}},
		Locations: catalog.Filter{Include: []string{"All"}, Exclude: []string{"l"}}, Platforms: catalog.Filter{Include: []string{"iOS"}},
		DeviceRule: "d", DeviceMode: "include", Clients: []string{"all"}, SignInRisk: []string{"high"}, Flows: []string{"deviceCodeFlow", "authenticationTransfer"},
		Any: true, Controls: []string{"block"}, Strength: "x", Session: true,
	}
	if d := cmp.Diff(want, got); d != "" || !ok || !got.Blocks() {
		t.Errorf("Policy (-want +got), ok %t:\n%s", ok, d)
	}
}

func TestReaders(t *testing.T) {
	read := func(got any, ok bool, want any) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" || !ok {
			t.Errorf("ok %t (-want +got):\n%s", ok, d)
		}
	}
	held, ok := catalog.RoleHeld(thing("unifiedRoleAssignment", "z", `{"directoryScopeId":"/","principalId":"p","roleDefinitionId":"r"}`))
	read(held, ok, catalog.Holding{Principal: "p", Role: "r", Scope: "/"})
	role, ok := catalog.Role(thing("unifiedRoleDefinition", "62e90394-69f5-4237-9190-012177145e10", `{"displayName":"Global Administrator","isBuiltIn":true,"isEnabled":true}`))
	read(role, ok, catalog.DirectoryRole{Name: "Global Administrator", Template: "62e90394-69f5-4237-9190-012177145e10", BuiltIn: true, Enabled: true, Privileged: true})
	role, ok = catalog.Role(thing("unifiedRoleDefinition", "c", `{"isBuiltIn":false,"isEnabled":false,"rolePermissions":[{"allowedResourceActions":["microsoft.directory/applications/credentials/update"]}]}`))
	read(role, ok, catalog.DirectoryRole{Template: "c", Privileged: true})
	grant, ok := catalog.Grant(thing("oAuth2PermissionGrant", "g", `{"clientId":"c","resourceId":"r","scope":"A B"}`))
	read(grant, ok, catalog.Consent{Client: "c", Resource: "r", Scopes: []string{"A", "B"}})
	given, ok := catalog.Assignment(thing("appRoleAssignment", "a/b", `{"appRoleId":"x","principalId":"p","resourceId":"a"}`))
	read(given, ok, catalog.AppRole{Principal: "p", Resource: "a", Role: "x"})
	place, ok := catalog.Location(thing("namedLocation", "l", `{"displayName":"L","ipRanges":[{"cidrAddress":"1.0.0.0/8"}],"isTrusted":true}`))
	read(place, ok, catalog.Place{Name: "L", Trusted: true, Ranges: []string{"1.0.0.0/8"}})
	demand, ok := catalog.Strength(thing("authenticationStrengthPolicy", "s", `{"allowedCombinations":["fido2"],"displayName":"S","policyType":"builtIn"}`))
	read(demand, ok, catalog.Demand{Name: "S", BuiltIn: true, Combinations: []string{"fido2"}})
	on, ok := catalog.SecurityDefaults(thing("identitySecurityDefaultsEnforcementPolicy", "x", `{"isEnabled":true}`))
	read(on, ok, true)
	account, ok := catalog.AccountOf(thing("user", "u", `{"accountEnabled":true,"displayName":"U","userPrincipalName":"u@c.example","userType":"Guest"}`))
	read(account, ok, catalog.Account{Name: "U", Login: "u@c.example", Enabled: true, Guest: true})
	group, ok := catalog.GroupOf(thing("group", "g", `{"displayName":"G","groupTypes":["DynamicMembership"],"membershipRule":"r"}`))
	read(group, ok, catalog.Group{Name: "G", Dynamic: true, Rule: "r"})
	offers, ok := catalog.Permissions(thing("servicePrincipal", "s", `{"appRoles":[{"id":"r","value":"Mail.Send"}]}`))
	read(offers, ok, []catalog.Permission{{ID: "r", Value: "Mail.Send"}})
	act, ok := catalog.Acted(thing("directoryAudit", "d", `{"activityDateTime":"2024-03-03T10:00:00.5Z","activityDisplayName":"Add member to group","correlationId":"c","initiatedBy":{"user":{"id":"u","userPrincipalName":"u@c.example"}},
		"loggedByService":"Core Directory","result":"success","targetResources":[{"id":"m","type":"User"},{"id":"g","type":"Group"},{"id":"g","type":"Group"},{"type":"Other"}]}`))
	read(act, ok, catalog.Act{At: time.Date(2024, 3, 3, 10, 0, 0, 5e8, time.UTC), Actor: catalog.Actor{ID: "u", Name: "u@c.example", Kind: "user"}, What: "Add member to group", Result: "success",
		On: []entra.Ref{{Type: "group", ID: "g"}, {Type: "user", ID: "m"}}, Service: "Core Directory", Correlation: "c"})
	act, ok = catalog.Acted(thing("directoryAudit", "d", `{"activityDateTime":"2024-03-03T10:00:00Z","initiatedBy":{"app":{"displayName":"S","servicePrincipalId":"s"}}}`))
	read(act.Actor, ok, catalog.Actor{ID: "s", Name: "S", Kind: "app"})
	if catalog.Audit().Type != "directoryAudit" {
		t.Error("the audit log has another type")
	}
}

// Every reader refuses what it is not for.
func TestReadersRefuse(t *testing.T) {
	for r := range catalog.All() {
		o, taken := thing(r.Type, "x", `{"activityDateTime":"2024-03-03T10:00:00Z"}`), 0
		for _, ok := range []bool{
			second(catalog.Policy(o)), second(catalog.RoleHeld(o)), second(catalog.Role(o)), second(catalog.Grant(o)), second(catalog.Assignment(o)),
			second(catalog.Location(o)), second(catalog.Strength(o)), second(catalog.SecurityDefaults(o)), second(catalog.AccountOf(o)), second(catalog.GroupOf(o)), second(catalog.Acted(o)),
		} {
			if ok {
				taken++
			}
		}
		if taken > 1 {
			t.Errorf("%s is read by %d readers", r.Type, taken)
		}
	}
	if _, ok := catalog.Acted(thing("directoryAudit", "d", `{}`)); ok {
		t.Error("an entry without a time is read")
	}
}

func second[T any](_ T, ok bool) bool { return ok }

func TestHighPermission(t *testing.T) {
	const graph = "00000003-0000-0000-c000-000000000000"
	for _, tt := range []struct {
		resource, value string
		want            bool
	}{
		{graph, "RoleManagement.ReadWrite.Directory", true}, {graph, "AppRoleAssignment.ReadWrite.All", true}, {graph, "User.Read.All", false},
		{"another", "RoleManagement.ReadWrite.Directory", false}, {graph, "", false},
	} {
		if got := catalog.HighPermission(tt.resource, tt.value); got != tt.want {
			t.Errorf("HighPermission(%q, %q) = %t", tt.resource, tt.value, got)
		}
	}
}
