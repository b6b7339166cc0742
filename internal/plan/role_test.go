package plan_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/plan"
)

// An assignment of a role waits for the update that puts the role back, and for no other application's.
func TestAnAssignmentNeedsItsRole(t *testing.T) {
	goal, base := newWorld(), newWorld()
	for i, w := range []world{goal, base} {
		for _, n := range []int{10, 20} { // two applications that declare a role of the same ID
			app, principal, name := guid(n), guid(n+1), guid(n+2)
			roles := `[{"allowedMemberTypes":["User"],"displayName":"R","id":"` + guid(90) + `","isEnabled":true,"value":"r"}]`
			if i == 1 {
				roles = `[]`
			}
			w.put("application", app, `{"appId":"`+name+`","appRoles":`+roles+`,"displayName":"A`+app+`"}`)
			w.put("servicePrincipal", principal, `{"appId":"`+name+`","displayName":"A`+app+`"}`)
		}
		w.put("user", guid(1), `{"displayName":"U","userPrincipalName":"u@x.example"}`)
	}
	goal.put("appRoleAssignment", guid(11)+"/"+guid(50), `{"appRoleId":"`+guid(90)+`","principalId":"`+guid(1)+`","resourceId":"`+guid(11)+`"}`)
	p := mustMake(t, base, goal, plan.Request{})
	var puts, gives plan.Step
	for _, s := range p.Steps {
		switch {
		case s.Action == plan.Create:
			gives = s
		case s.Action == plan.Update && string(s.Ref.ID) == guid(10):
			puts = s
		}
	}
	if puts.Number == 0 || gives.Number <= puts.Number || len(gives.Needs) != 1 || gives.Needs[0] != puts.Number {
		t.Errorf("got\n%s", show(p))
	}
}
