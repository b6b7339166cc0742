package apply_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
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
			ok = r.Can.Has(catalog.Create|catalog.Delete) && v.purge(r, o)
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

const tenants = 10 // seeds that share a tenant

// TestRandomDamageComesBack damages a tenant at random, restores it, and finds it as it was but for the gaps that
// the plan announced; and no step was outside what was asked for.
func TestRandomDamageComesBack(t *testing.T) {
	seeds, from := 20, uint64(1)
	if long() {
		seeds, from = 500, uint64(time.Now().UnixNano())
	}
	if s := os.Getenv("TIDEMARK_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds, from = tenants, n
	}
	damages, steps, gaps := 0, 0, 0
	for done := 0; done < seeds; done += tenants {
		tenant := lab.Start(t, emulator.Options{Seed: from + uint64(done), Users: 24, Groups: 10, Apps: 4})
		synctest.Test(t, func(t *testing.T) {
			l := lab.New(t, tenant)
			var seed uint64
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("seed %d; TIDEMARK_SEED=%d repeats its tenant", seed, from+uint64(done))
				}
			})
			for i := range min(tenants, seeds-done) {
				seed = from + uint64(done+i)
				random := rand.New(rand.NewPCG(seed, 0))
				tenant.Advance(48 * time.Hour)
				goal := l.Capture()
				damages += havoc(t, l, goal, random, 1+random.IntN(25))
				q := plan.Request{}
				if random.IntN(3) == 0 { // half of the types, then all that is left
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
						l.Apply(p, base)
					}
					q = plan.Request{}
				}
				p := restored(t, l, goal, q)
				steps += len(p.Steps)
				gaps += len(p.Gaps)
				if t.Failed() {
					return
				}
			}
		})
		tenant.Close()
		if t.Failed() {
			return
		}
	}
	t.Logf("seeds %d to %d: %d damages, %d steps, %d gaps", from, from+uint64(seeds)-1, damages, steps, gaps)
	if damages < seeds || steps == 0 {
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
