package apply_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/merge"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/verify"
)

// carried applies a plan and holds every step to have been done. It reports false where guard refuses the plan.
func carried(t *testing.T, l *lab.Lab, p *plan.Plan, base *snapshot.Snapshot) bool {
	t.Helper()
	_, objections, err := guard.Clear(t.Context(), p, l.Tree(base), guard.Config{}, nil, l.Tenant.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(objections) > 0 {
		return false
	}
	for _, res := range l.Apply(p, base).Results {
		if res.Outcome != apply.Done && res.Outcome != apply.AlreadyDone {
			s := p.Steps[res.Step-1]
			t.Errorf("step %d %s %s %v: %s: %s", s.Number, s.Action, s.Ref, s.Link, res.Outcome, res.Error)
		}
	}
	return true
}

// announced reports whether gaps of a plan name all that a change is about.
func announced(c diff.Change, plans ...*plan.Plan) bool {
	named := map[string]bool{}
	for _, p := range plans {
		for _, g := range p.Gaps {
			if g.Ref.Type != c.Ref.Type {
				continue
			}
			for f := range strings.SplitSeq(g.Field, ", ") {
				named[f] = true
			}
		}
	}
	for _, f := range c.Fields {
		top, _, _ := strings.Cut(f.Path, ".")
		top, _, _ = strings.Cut(top, "[")
		if !named[f.Path] && !named[top] && top != "appId" && top != "templateId" {
			return false
		}
	}
	return len(c.Fields) > 0 || c.IsLink() && named[c.Link.Rel]
}

// alike reports whether all that changed is the ID by which something is named that is gone, before the restore and
// again after the undo.
func alike(c diff.Change, aliases map[entra.Ref]entra.Ref) bool {
	if c.Kind != diff.Changed {
		return false
	}
	ids := map[entra.ID]entra.ID{}
	for old, to := range aliases {
		for next, ok := aliases[to]; ok && next != to; next, ok = aliases[to] {
			to = next
		}
		ids[old.ID] = to.ID
	}
	return catalog.Rename(*c.Before, ids).Body == catalog.Rename(*c.After, ids).Body
}

// TestUndoneRestoreIsAsBefore damages a tenant at random, restores it, and takes the restore back: the tenant is as
// it was before the restore.
func TestUndoneRestoreIsAsBefore(t *testing.T) {
	undone, refused, damages, steps := 0, 0, 0, 0
	far := func() string {
		return fmt.Sprintf("%d damages, %d restores undone in %d steps, %d refused by guard", damages, undone, steps, refused)
	}
	lawful(t, 10, 200, far, func(t *testing.T, l *lab.Lab, random *rand.Rand) {
		goal := l.Capture()
		damages += havoc(t, l, goal, random, 1+random.IntN(25))
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		if !carried(t, l, p, base) {
			refused++ // what locks people out
			restored(t, l, goal, plan.Request{EnableUsers: true})
			return
		}
		after := l.Capture()
		for _, d := range l.Verify(p, goal, after) {
			t.Errorf("differs from what the restore promised: %s %s: %s", d.Ref, d.Field, d.Reason)
		}
		back, err := merge.Undo(t.Context(), l.Tree(after), l.Tree(base), l.Tree(after), merge.Request{Aliases: l.Aliases()})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range back.Conflicts {
			t.Errorf("conflict: %s %s: %s", c.Ref, c.Field, c.Reason)
		}
		const none = 1 << 30
		undo, err := plan.Make(t.Context(), l.Tree(after), back.Goal, plan.Request{Scope: plan.Scope{Delete: true}, Aliases: l.Aliases(), Enforce: true, EnableUsers: true,
			Limits: plan.Limits{Objects: none, Links: none, Deletions: none, Privileged: none}})
		if err != nil {
			t.Fatal(err)
		}
		if !carried(t, l, undo, after) {
			refused++ // the damage was of the kind that locks people out, and so is bringing it back
			return
		}
		final := l.Capture()
		wrong, _, err := verify.Run(t.Context(), undo, back.Goal, l.Tree(final), l.Aliases())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range wrong {
			t.Errorf("differs from what the undo promised: %s %s: %s: want %v, got %v", d.Ref, d.Field, d.Reason, d.Goal, d.Now)
		}
		for _, c := range changes(t, l, base, final) {
			if !announced(c, undo) && !alike(c, l.Aliases()) {
				t.Errorf("not as before the restore: %s %s %v %v %s", c.Kind, c.Ref, c.Link, c.Fields, c.Reason)
			}
		}
		undone++
		steps += len(undo.Steps)
		restored(t, l, goal, plan.Request{}) // whole, for the next
	})
	if undone == 0 || steps == 0 {
		t.Error("too little happened")
	}
}
