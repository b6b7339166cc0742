package plan_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// Who had a manager that does not come back, and has another now, has none after a restore that also takes away; where it does
// come back it takes the other's place, and nothing is taken away first.
func TestAStrangerDoesNotStayInTheManagersPlace(t *testing.T) {
	person := func(n int) entra.Ref { return entra.Ref{Type: "user", ID: entra.ID(guid(n))} }
	manager := func(to int) entra.Link { return entra.Link{From: person(1), Rel: "manager", To: person(to)} }
	for _, stranger := range []int{1, 2} { // one may be one's own
		goal, base := newWorld(), newWorld()
		for _, w := range []world{goal, base} {
			w.put("user", guid(1), `{"displayName":"U","userPrincipalName":"u@x.example"}`)
			w.put("user", guid(2), `{"displayName":"S","userPrincipalName":"s@x.example"}`)
		}
		goal.put("user", guid(3), `{"accountEnabled":true,"displayName":"M","mailNickname":"m","userPrincipalName":"m@x.example"}`)
		goal.links[manager(3)] = true
		base.links[manager(stranger)] = true
		alone := mustMake(t, base, goal, plan.Request{Scope: plan.Scope{Refs: []entra.Ref{person(1)}, Delete: true}})
		if len(alone.Steps) != 1 || alone.Steps[0].Action != plan.Detach || *alone.Steps[0].Link != manager(stranger) {
			t.Errorf("without the manager:\n%s", show(alone))
		}
		if kept := mustMake(t, base, goal, plan.Request{Scope: plan.Scope{Refs: []entra.Ref{person(1)}}}); len(kept.Steps) != 0 {
			t.Errorf("without leave to take away:\n%s", show(kept))
		}
		both := mustMake(t, base, goal, plan.Request{Scope: plan.Scope{Delete: true}})
		if len(both.Steps) != 2 || both.Steps[1].Action != plan.Attach || both.Steps[1].Replaces == nil || *both.Steps[1].Replaces != person(stranger) {
			t.Errorf("with the manager:\n%s", show(both))
		}
	}
}
