package apply_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// TestATargetedBaseTellsWhatAFullOneDoes damages a tenant at random, selects objects, and plans their restore from a
// capture that is after them only: the plan is that of a capture of everything, and nothing is claimed to be absent
// that is there.
func TestATargetedBaseTellsWhatAFullOneDoes(t *testing.T) {
	seeds, from := 30, uint64(1)
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
	steps, claims, again, faults := 0, 0, 0, 0
	for done := 0; done < seeds; done += tenants {
		tenant := lab.Start(t, emulator.Options{Seed: from + uint64(done), Users: 24, Groups: 10, Apps: 4})
		synctest.Test(t, func(t *testing.T) {
			l, witness := lab.New(t, tenant), lab.New(t, tenant) // who sees everything
			for i := range min(tenants, seeds-done) {
				random := rand.New(rand.NewPCG(from+uint64(done+i), 0))
				goal, before := l.Capture(), witness.Capture()
				goalTree := l.Tree(goal)
				if random.IntN(2) == 0 { // what was seen last need not be the goal
					havoc(t, l, goal, random, random.IntN(8))
					l.Capture()
				}
				havoc(t, l, goal, random, 1+random.IntN(20))
				latest, err := l.Index.Latest(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				all := witness.Plan(witness.Capture(), before, plan.Request{Scope: plan.Scope{Delete: true}})
				refs := someOf(t, goalTree, all, random)
				reach, err := plan.Around(t.Context(), refs, l.Aliases(), goalTree, l.Tree(latest))
				if err != nil {
					t.Fatal(err)
				}
				q := plan.Request{Scope: plan.Scope{Refs: refs, Delete: random.IntN(2) == 0}}
				of := func(base *index.Tree) *plan.Plan {
					q.Aliases = l.Aliases()
					p, err := plan.Make(t.Context(), base, goalTree, q)
					if err != nil {
						t.Fatal(err)
					}
					return p
				}
				var aimed *index.Tree
				var p *plan.Plan
				for range 3 { // what the plan turns out to depend on is read as well
					aimed = l.Tree(l.Aim(&capture.Target{Judged: random.IntN(2) == 0, Around: reach.Around, Inside: reach.Inside, Refs: reach.Refs, Links: reach.Links}))
					if p = of(aimed); p.Unread.Empty() {
						break
					}
					again++
					reach = reach.Add(p.Unread)
				}
				full := l.Tree(l.Capture())
				if !aimed.Snapshot().Whole() {
					faults++ // a person's plan is then made from a full base
					continue
				}
				claims += honest(t, aimed, full)
				want := of(full)
				steps += len(want.Steps)
				if d := cmp.Diff(want.Steps, p.Steps, cmpopts.EquateEmpty()); d != "" {
					t.Errorf("%v: other steps from a targeted base than from a full one: %s", refs, d)
				}
				if d := cmp.Diff(want.Gaps, p.Gaps, cmpopts.EquateEmpty()); d != "" {
					t.Errorf("%v: other gaps from a targeted base than from a full one: %s", refs, d)
				}
				if t.Failed() {
					t.Fatalf("seed %d; TIDEMARK_SEED=%d repeats its tenant", from+uint64(done+i), from+uint64(done))
				}
			}
		})
		tenant.Close()
		if t.Failed() {
			return
		}
	}
	t.Logf("seeds %d to %d: %d steps, %d absences claimed, %d second readings, %d not whole", from, from+uint64(seeds)-1, steps, claims, again, faults)
	if steps < seeds || claims < seeds {
		t.Error("too little happened")
	}
}

// someOf chooses up to three objects, mostly such that something happened to.
func someOf(t *testing.T, tree *index.Tree, all *plan.Plan, random *rand.Rand) (refs []entra.Ref) {
	t.Helper()
	var types []entra.Type
	for r := range catalog.All() {
		if r.Can != 0 {
			types = append(types, r.Type)
		}
	}
	for len(refs) == 0 || len(refs) < 3 && random.IntN(2) == 0 {
		if n := len(all.Steps); n > 0 && random.IntN(4) > 0 {
			s := all.Steps[random.IntN(n)]
			if s.Link != nil && random.IntN(2) == 0 {
				s.Ref = s.Link.To
			}
			refs = append(refs, s.Ref)
			continue
		}
		var some []entra.Ref
		for e, err := range tree.Entries(t.Context(), types[random.IntN(len(types))]) {
			if err != nil {
				t.Fatal(err)
			}
			some = append(some, e.Ref)
		}
		if len(some) > 0 {
			refs = append(refs, some[random.IntN(len(some))])
		}
	}
	return refs
}

// honest holds that what the targeted tree says it knows is so, and returns how often it knew that something was not.
func honest(t *testing.T, aimed, full *index.Tree) (claims int) {
	t.Helper()
	ctx, s := t.Context(), aimed.Snapshot()
	for _, p := range s.Parts {
		if r, ok := catalog.Lookup(p.Type); !ok || r.Stream {
			continue
		}
		if p.Relation == "" {
			has := map[entra.Ref]entra.Version{}
			for e, err := range aimed.Entries(ctx, p.Type) {
				if err != nil {
					t.Fatal(err)
				}
				has[e.Ref] = e.Version
			}
			is := map[entra.Ref]entra.Version{}
			for e, err := range full.Entries(ctx, p.Type) {
				if err != nil {
					t.Fatal(err)
				}
				is[e.Ref] = e.Version
				if _, ok := has[e.Ref]; !ok && s.Knows(e.Ref) {
					t.Errorf("%s is said to be absent, and is there", e.Ref)
				}
			}
			for _, r := range p.Seen {
				if _, ok := is[r]; !ok {
					claims++
				}
				if has[r] != is[r] {
					t.Errorf("%s was seen as %v, and is %v", r, has[r], is[r])
				}
			}
			continue
		}
		has := map[entra.Link]bool{}
		for l, err := range aimed.Links(ctx, p.Type, p.Relation) {
			if err != nil {
				t.Fatal(err)
			}
			has[l] = true
		}
		is := map[entra.Link]bool{}
		for l, err := range full.Links(ctx, p.Type, p.Relation) {
			if err != nil {
				t.Fatal(err)
			}
			is[l] = true
			if !has[l] && s.KnowsLink(l) {
				t.Errorf("%s is said not to hold, and does", l)
			}
		}
		for l := range has {
			if !is[l] && (slices.Contains(p.Seen, l.From) || slices.Contains(p.SeenTo, l.To)) {
				t.Errorf("%s is said to hold, and does not", l)
			}
		}
	}
	return claims
}
