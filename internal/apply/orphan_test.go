package apply_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// An estate is an application with everything that can hang on it and on its service principal.
type estate struct{ app, appID, principal, group, other string }

func newEstate(t *testing.T, tenant *emulator.Tenant) (e estate) {
	t.Helper()
	const role = "0f0f0f0f-0000-4000-8000-000000000001"
	id := func(o map[string]any) string { s, _ := o["id"].(string); return s }
	user := id(tell(t, tenant, 201, "POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": "Otto Owner", "mailNickname": "otto",
		"userPrincipalName": "otto@contoso.example", "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}}))
	app := tell(t, tenant, 201, "POST", "/v1.0/applications", map[string]any{"displayName": "Payslips", "appRoles": []any{map[string]any{
		"id": role, "allowedMemberTypes": []any{"User", "Application"}, "displayName": "Read", "description": "Read", "value": "read", "isEnabled": true}}})
	e.app, e.appID = id(app), app["appId"].(string)
	tell(t, tenant, 204, "PATCH", "/v1.0/applications/"+e.app, map[string]any{"identifierUris": []any{"api://" + e.appID, "api://" + e.appID + "/more"}})
	e.principal = id(tell(t, tenant, 201, "POST", "/v1.0/servicePrincipals", map[string]any{"appId": e.appID}))
	client := tell(t, tenant, 201, "POST", "/v1.0/applications", map[string]any{"displayName": "Payslips client", "requiredResourceAccess": []any{
		map[string]any{"resourceAppId": e.appID, "resourceAccess": []any{map[string]any{"id": role, "type": "Role"}}}}})
	e.other = id(tell(t, tenant, 201, "POST", "/v1.0/servicePrincipals", map[string]any{"appId": client["appId"]}))
	e.group = id(tell(t, tenant, 201, "POST", "/v1.0/groups", map[string]any{"displayName": "Machines", "mailNickname": "machines", "mailEnabled": false, "securityEnabled": true}))
	ref := func(to string) map[string]any {
		return map[string]any{"@odata.id": tenant.URL() + "/v1.0/directoryObjects/" + to}
	}
	tell(t, tenant, 204, "POST", "/v1.0/groups/"+e.group+"/members/$ref", ref(e.principal))
	tell(t, tenant, 204, "POST", "/v1.0/servicePrincipals/"+e.principal+"/owners/$ref", ref(user))
	for _, principal := range []string{user, e.other} {
		tell(t, tenant, 201, "POST", "/v1.0/servicePrincipals/"+e.principal+"/appRoleAssignedTo", map[string]any{"principalId": principal, "resourceId": e.principal, "appRoleId": role})
	}
	tell(t, tenant, 201, "POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": e.other, "resourceId": e.principal, "consentType": "AllPrincipals", "scope": "read"})
	tell(t, tenant, 201, "POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": e.principal, "resourceId": e.other, "consentType": "Principal", "principalId": user, "scope": "read"})
	tell(t, tenant, 201, "POST", "/v1.0/identity/conditionalAccess/policies", map[string]any{"displayName": "Payslips needs MFA", "state": "disabled",
		"conditions":    map[string]any{"clientAppTypes": []any{"all"}, "users": map[string]any{"includeUsers": []any{"All"}}, "applications": map[string]any{"includeApplications": []any{e.appID}}},
		"grantControls": map[string]any{"operator": "OR", "builtInControls": []any{"mfa"}}})
	return e
}

// loseApplication purges the application alone: its service principal stays in the recycle bin, to which it went with the
// application, and can never come back.
func (e estate) loseApplication(t *testing.T, tenant *emulator.Tenant) {
	t.Helper()
	tell(t, tenant, 204, "DELETE", "/v1.0/applications/"+e.app, nil)
	tell(t, tenant, 400, "POST", "/v1.0/directory/deletedItems/"+e.principal+"/restore", nil)
	tell(t, tenant, 204, "DELETE", "/v1.0/directory/deletedItems/"+e.app, nil)
	tell(t, tenant, 400, "POST", "/v1.0/directory/deletedItems/"+e.principal+"/restore", nil)
}

// payrolls are the living service principals named Payslips.
func payrolls(t *testing.T, l *lab.Lab, s *snapshot.Snapshot) (all []entra.Object) {
	t.Helper()
	for entry, err := range l.Tree(s).Entries(t.Context(), catalog.ServicePrincipalType) {
		if err != nil {
			t.Fatal(err)
		}
		o, err := l.Tree(s).Object(t.Context(), entry.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if catalog.Name(o) == "Payslips" {
			all = append(all, o)
		}
	}
	return all
}

// An application that is made anew has a new appId, and its service principal cannot follow: a new one is made, with
// all that hung on the old one.
func TestAnApplicationMadeAnewGetsAServicePrincipal(t *testing.T) {
	for _, only := range []bool{false, true} { // restore the application and what belongs to it
		t.Run(fmt.Sprintf("only %t", only), func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 2})
			e := newEstate(t, tenant)
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				goal := l.Capture()
				e.loseApplication(t, tenant)
				q := plan.Request{}
				if only {
					q.Scope.Refs = []entra.Ref{{Type: catalog.ApplicationType, ID: entra.ID(e.app)}}
				}
				restored(t, l, goal, q)
				e.hangs(t, l)
			})
		})
	}
}

// hangs holds everything that hung on the old service principal to hang on the one that was made, and nothing to name
// the old appId.
func (e estate) hangs(t *testing.T, l *lab.Lab) {
	t.Helper()
	after := l.Capture()
	all := payrolls(t, l, after)
	if len(all) != 1 {
		t.Fatalf("%d service principals", len(all))
	}
	id := string(all[0].Ref.ID)
	appID, _ := all[0].Body.Get("appId")
	if appID == e.appID {
		t.Errorf("it goes by the old appId")
	}
	for path, want := range map[string]int{
		"/v1.0/servicePrincipals/" + id + "/appRoleAssignedTo":                                 2,
		"/v1.0/servicePrincipals/" + id + "/owners":                                            1,
		"/v1.0/servicePrincipals/" + id + "/memberOf":                                          1,
		"/v1.0/oauth2PermissionGrants?$filter=clientId eq '" + id + "'":                        1,
		"/v1.0/servicePrincipals/" + e.other + "/oauth2PermissionGrants":                       1,
		fmt.Sprintf("/v1.0/applications?$filter=identifierUris/any(u:u eq 'api://%s')", appID): 1,
	} {
		if got, _ := tell(t, l.Tenant, 200, "GET", strings.ReplaceAll(path, " ", "%20"), nil)["value"].([]any); len(got) != want {
			t.Errorf("%s: %d, want %d", path, len(got), want)
		}
	}
	for _, kind := range []entra.Type{catalog.PolicyType, catalog.ApplicationType} {
		for h, err := range l.Tree(after).Holders(t.Context(), entra.ID(e.appID)) {
			if err != nil {
				t.Fatal(err)
			}
			if h.Type == kind {
				t.Errorf("%s names the old appId", h)
			}
		}
	}
}

// What an earlier restore made can be lost as well, alone or whole. Of two service principals in the recycle bin the one
// comes back that has an application, and neither where both have none.
func TestAnApplicationLostTwice(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone %t", alone), func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 2})
			e := newEstate(t, tenant)
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				first := l.Capture()
				e.loseApplication(t, tenant)
				restored(t, l, first, plan.Request{})
				again := e
				again.app = string(l.Aliases()[entra.Ref{Type: catalog.ApplicationType, ID: entra.ID(e.app)}].ID)
				again.principal = string(l.Aliases()[entra.Ref{Type: catalog.ServicePrincipalType, ID: entra.ID(e.principal)}].ID)
				second := l.Capture()
				if alone {
					again.loseApplication(t, tenant)
				} else {
					tell(t, tenant, 204, "DELETE", "/v1.0/applications/"+again.app, nil)
				}
				p := restored(t, l, second, plan.Request{})
				if is := slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Undelete }); is == alone {
					t.Errorf("something comes back from the recycle bin: %t", is)
				}
				e.hangs(t, l)
				if p := l.Plan(l.Capture(), first, plan.Request{}); len(p.Steps) > 0 {
					t.Errorf("by the first goal there are %d steps, %+v", len(p.Steps), p.Steps[0])
				}
			})
		})
	}
}

// A service principal that is selected without its application, which is gone as well, cannot be made: a gap says what
// to restore with it.
func TestAServicePrincipalAloneNeedsItsApplication(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 2})
	e := newEstate(t, tenant)
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		goal := l.Capture()
		e.loseApplication(t, tenant)
		tell(t, tenant, 204, "DELETE", "/v1.0/directory/deletedItems/"+e.principal, nil)
		p := restored(t, l, goal, plan.Request{Scope: plan.Scope{Types: []entra.Type{catalog.ServicePrincipalType}}})
		if len(p.Steps) > 0 || !slices.ContainsFunc(p.Gaps, func(g plan.Gap) bool {
			return g.Ref.ID == entra.ID(e.principal) && g.Field == "" && strings.Contains(g.Reason, e.appID)
		}) {
			t.Errorf("steps %+v, gaps %+v", p.Steps, p.Gaps)
		}
		restored(t, l, goal, plan.Request{})
	})
}

// A condition of a policy outlives an application that it names: it is told, and no second one is made beside it.
func TestAConditionOutlivesAnApplication(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	e := newEstate(t, tenant)
	const path = "/v1.0/policies/permissionGrantPolicies/consent-0/excludes"
	tell(t, tenant, 201, "POST", path, map[string]any{"permissionType": "delegated", "clientApplicationIds": []any{e.appID}})
	count := func() int {
		all, _ := tell(t, tenant, 200, "GET", path, nil)["value"].([]any)
		return len(all)
	}
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		goal, were := l.Capture(), count()
		e.loseApplication(t, tenant)
		p := restored(t, l, goal, plan.Request{})
		if is := count(); is != were {
			t.Errorf("%d conditions, were %d", is, were)
		}
		if !slices.ContainsFunc(p.Gaps, func(g plan.Gap) bool { return strings.HasPrefix(g.Field, "clientApplicationIds[") }) {
			t.Errorf("no gap tells of it: %+v", p.Gaps)
		}
	})
}
