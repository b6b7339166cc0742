package apply_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// extend has an application define a property of people, with many values, gives Otto Owner some, and returns its name
// and the definition's ID.
func (e estate) extend(t *testing.T, tenant *emulator.Tenant) (name, id string) {
	t.Helper()
	made := tell(t, tenant, 201, "POST", "/v1.0/applications/"+e.app+"/extensionProperties", map[string]any{
		"name": "colours", "dataType": "String", "isMultiValued": true, "targetObjects": []any{"User"}})
	name, _ = made["name"].(string)
	id, _ = made["id"].(string)
	tell(t, tenant, 204, "PATCH", "/v1.0/users/"+tenant.Find("users", "Otto Owner"), map[string]any{name: []any{"green", "red"}})
	return name, id
}

// What a property cannot be without goes after those who have a value have been changed or deleted: once it has gone
// they could not be read by that name any more.
func TestWhatShowsAPropertyGoesAfterWhoHasIt(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 2})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		goal := l.Capture()
		e := newEstate(t, tenant)
		e.extend(t, tenant)
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{Scope: plan.Scope{Delete: true}})
		user := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Delete && s.Ref.Type == catalog.UserType })
		principal := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Action == plan.Delete && s.Ref.ID == entra.ID(e.principal) })
		if user < 0 || user > principal {
			t.Errorf("step %d deletes the person, step %d what shows the property", user+1, principal+1)
		}
		if !carried(t, l, p, base) {
			t.Error("guard refuses the plan")
		}
	})
}

// A list that is to be as empty as it was is emptied: the service refuses no value in the place of one.
func TestValuesInAListAreTakenAway(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 2})
	e := newEstate(t, tenant)
	name, _ := e.extend(t, tenant)
	otto := "/v1.0/users/" + tenant.Find("users", "Otto Owner")
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		tell(t, tenant, 204, "PATCH", otto, map[string]any{name: []any{}})
		goal := l.Capture()
		tell(t, tenant, 204, "PATCH", otto, map[string]any{name: []any{"blue"}})
		if p := restored(t, l, goal, plan.Request{}); len(p.Steps) != 1 {
			t.Errorf("steps %+v", p.Steps)
		}
	})
}

// A property that goes between the plan and the restore nobody has any more: the person is read without it, and taking
// the value away is done already.
func TestWhatNobodyCanHaveAnyMoreIsNotRead(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 2})
	e := newEstate(t, tenant)
	name, id := e.extend(t, tenant)
	otto := "/v1.0/users/" + tenant.Find("users", "Otto Owner")
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		tell(t, tenant, 204, "PATCH", otto, map[string]any{name: []any{}, "jobTitle": "Owner"})
		goal := l.Capture()
		tell(t, tenant, 204, "PATCH", otto, map[string]any{name: []any{"blue"}, "jobTitle": "Ownerx"})
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		tell(t, tenant, 204, "DELETE", "/v1.0/applications/"+e.app+"/extensionProperties/"+id, nil)
		if len(p.Steps) != 1 || len(p.Steps[0].Set) != 2 {
			t.Fatalf("steps %+v", p.Steps)
		}
		if carried(t, l, p, base); tell(t, tenant, 200, "GET", otto, nil)["jobTitle"] != "Owner" {
			t.Error("what could be put back was not")
		}
	})
}

// A policy that is to name an application which has no service principal is refused by the service: where it names
// others too, it comes back without, else it stays as it is. Both are told.
func TestAPolicyCannotNameWhatIsNotThere(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 2})
	e := newEstate(t, tenant)
	policy := "/v1.0/identity/conditionalAccess/policies/" + tenant.Find("identity/conditionalAccess/policies", "Payslips needs MFA")
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		goal := l.Capture()
		tell(t, tenant, 204, "PATCH", policy, map[string]any{"displayName": "Renamed", "conditions": map[string]any{"applications": map[string]any{"includeApplications": []any{"All"}}}})
		tell(t, tenant, 204, "DELETE", "/v1.0/servicePrincipals/"+e.principal, nil)
		tell(t, tenant, 204, "DELETE", "/v1.0/directory/deletedItems/"+e.principal, nil)
		p := restored(t, l, goal, plan.Request{Scope: plan.Scope{Types: []entra.Type{catalog.PolicyType}}})
		told := 0
		for _, g := range p.Gaps {
			if strings.Contains(g.Field, "includeApplications") {
				told++
			}
		}
		if len(p.Steps) != 1 || p.Steps[0].Set["displayName"] == nil || told == 0 {
			t.Errorf("steps %+v, gaps %+v", p.Steps, p.Gaps)
		}
		restored(t, l, goal, plan.Request{})
	})
}
