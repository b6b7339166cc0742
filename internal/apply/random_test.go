package apply_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// havoc damages a tenant n times at random.
func havoc(t *testing.T, l *lab.Lab, s *snapshot.Snapshot, random *rand.Rand, n int) (done int) {
	t.Helper()
	var kinds []*catalog.Resource
	for r := range catalog.All() {
		if r.Can != 0 {
			kinds = append(kinds, r)
		}
	}
	v := newVandal(t, l, s)
	for try := 0; done < n && try < 20*n; try++ {
		r := kinds[random.IntN(len(kinds))]
		all := v.objects(r)
		if _, defaults := catalog.SecurityDefaults(first(all)); defaults || len(all) == 0 {
			continue
		}
		o := all[random.IntN(len(all))]
		ok := false
		switch random.IntN(4) {
		case 0:
			ok = r.Can.Has(catalog.Create|catalog.Delete) && v.remove(r, o)
		case 1:
			ok = r.Can.Has(catalog.Create|catalog.Delete) && v.purge(r, o, random.IntN(2) == 0)
		case 2:
			ok = r.Can.Has(catalog.Update) && v.alive(r, o) && v.change(r, o, random)
		case 3:
			if len(r.Links) > 0 {
				rel := r.Links[random.IntN(len(r.Links))]
				if links := v.links(r, rel); rel.Write && len(links) > 0 {
					ok = v.unlink(r, links[random.IntN(len(links))])
				}
			}
		}
		if ok {
			done++
		}
	}
	return done
}

// TestRandomDamageComesBack damages a tenant at random, restores it, and finds it as it was but for the gaps that
// the plan announced; and no step was outside what was asked for.
func TestRandomDamageComesBack(t *testing.T) {
	damages, steps, gaps, refused := 0, 0, 0, 0
	far := func() string {
		return fmt.Sprintf("%d damages, %d steps, %d gaps, %d parts refused by guard", damages, steps, gaps, refused)
	}
	lawful(t, 20, 500, far, func(t *testing.T, l *lab.Lab, random *rand.Rand) {
		goal := l.Capture()
		damages += havoc(t, l, goal, random, 1+random.IntN(25))
		if random.IntN(3) == 0 { // half of the types, then all that is left
			q := plan.Request{}
			for r := range catalog.All() {
				if random.IntN(2) == 0 {
					q.Scope.Types = append(q.Scope.Types, r.Type)
				}
			}
			base := l.Capture()
			p := l.Plan(base, goal, q)
			for _, s := range p.Steps {
				if !slices.Contains(q.Scope.Types, s.Ref.Type) && !touches(q.Scope.Types, s) {
					t.Errorf("step %d %s %s is outside of %v", s.Number, s.Action, s.Ref, q.Scope.Types)
				}
			}
			// A policy of these types can name what is of the others and gone: then guard keeps it out of force.
			if _, objections := l.Judge(p, base); len(objections) == 0 {
				steps += len(p.Steps)
				l.Apply(p, base)
			} else {
				refused++
			}
		}
		p := restored(t, l, goal, plan.Request{})
		steps += len(p.Steps)
		gaps += len(p.Gaps)
	})
	if damages == 0 || steps == 0 {
		t.Error("too little happened")
	}
}

// touches reports whether a step belongs to an object of the types though it is about another: what it names, or
// is linked with, was selected.
func touches(types []entra.Type, s plan.Step) bool {
	return s.Link != nil && slices.Contains(types, s.Link.To.Type)
}

func first(all []entra.Object) (o entra.Object) {
	if len(all) > 0 {
		o = all[0]
	}
	return o
}
