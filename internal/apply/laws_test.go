package apply_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

const tenants = 10 // seeds that share a tenant

// lawful runs a law over seeds, few in a short run and many in a long one, several in the same tenant, and tells after
// each tenant how far it has come. A seed repeats its tenant exactly, but for when requests come that are sent at once.
// TIDEMARK_SEED is the first seed, and of one tenant unless the run is a long one.
func lawful(t *testing.T, short, many int, far func() string, law func(t *testing.T, l *lab.Lab, random *rand.Rand)) {
	seeds, from := short, uint64(1)
	if long() {
		seeds, from = many, uint64(time.Now().UnixNano())
	}
	if s := os.Getenv("TIDEMARK_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if from = n; !long() {
			seeds = tenants
		}
	}
	failed := 0
	for done := 0; done < seeds; done += tenants {
		first, last := from+uint64(done), from+uint64(min(done+tenants, seeds))-1
		ok := t.Run(fmt.Sprintf("%d to %d", first, last), func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Seed: first, Users: 24, Groups: 10, Apps: 4})
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				seed := first
				defer func() {
					if t.Failed() {
						t.Logf("seed %d; TIDEMARK_SEED=%d repeats its tenant", seed, first)
					}
				}()
				for ; seed <= last; seed++ {
					tenant.Advance(48 * time.Hour) // what was written down before is read no more
					law(t, l, rand.New(rand.NewPCG(seed, 0)))
					if t.Failed() {
						return
					}
				}
			})
		})
		if !ok {
			failed++
		}
		t.Logf("seeds %d to %d, %d tenants failed: %s", from, last, failed, far())
	}
}

// changes returns what differs between two snapshots, without what lies in bins and what was written down.
func changes(t *testing.T, l *lab.Lab, before, after *snapshot.Snapshot) (all []diff.Change) {
	t.Helper()
	for c, err := range diff.Trees(t.Context(), l.Tree(before), l.Tree(after), diff.Options{Aliases: l.Aliases()}) {
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := catalog.Lookup(c.Ref.Type); ok && r.Live == "" && !r.Stream {
			all = append(all, c)
		}
	}
	return all
}

// A choice is a random selection of objects.
type choice struct {
	scope plan.Scope
	ids   map[string]bool // what names a selected object, in either tree
}

// choose selects types, or objects, and narrows them to properties, relations or neither. Most are among those that
// a plan for everything is about.
func choose(t *testing.T, l *lab.Lab, s *snapshot.Snapshot, all *plan.Plan, random *rand.Rand) choice {
	t.Helper()
	c := choice{ids: map[string]bool{}}
	tree := l.Tree(s)
	v := newVandal(t, l, s)
	var kinds []*catalog.Resource
	for r := range catalog.All() {
		if r.Can != 0 {
			kinds = append(kinds, r)
		}
	}
	if random.IntN(2) == 0 {
		for range 1 + random.IntN(3) {
			kind := kinds[random.IntN(len(kinds))].Type
			if len(all.Steps) > 0 && random.IntN(4) > 0 {
				kind = all.Steps[random.IntN(len(all.Steps))].Ref.Type
			}
			c.scope.Types = append(c.scope.Types, kind)
		}
	} else {
		for range 1 + random.IntN(6) {
			var o entra.Object
			if some := v.objects(kinds[random.IntN(len(kinds))]); len(some) > 0 {
				o = some[random.IntN(len(some))]
			}
			if len(all.Steps) > 0 && random.IntN(4) > 0 {
				if damaged, err := tree.Object(t.Context(), all.Steps[random.IntN(len(all.Steps))].Ref); err == nil {
					o = damaged
				}
			}
			if o.Ref == (entra.Ref{}) {
				continue
			}
			if _, contained := catalog.Container(o.Ref); contained {
				continue // what contains it would belong to it
			}
			c.scope.Refs = append(c.scope.Refs, o.Ref)
			c.ids[string(o.Ref.ID)] = true
			for _, name := range []string{"appId", "templateId"} {
				if id, ok := o.Body.Get(name); ok {
					c.ids[fmt.Sprint(id)], c.ids[strings.ReplaceAll(fmt.Sprint(id), "-", "")] = true, true
					for _, kind := range kinds { // an application and its service principal are one
						for _, twin := range v.objects(kind) {
							if its, ok := twin.Body.Get(name); ok && its == id {
								c.ids[string(twin.Ref.ID)] = true
							}
						}
					}
				}
			}
		}
	}
	switch random.IntN(4) {
	case 0:
		c.scope.Fields = []string{"displayName", "description", "state", "conditions", "jobTitle"}[random.IntN(3):]
	case 1:
		c.scope.Links = []string{"members", "owners", "manager"}[random.IntN(2):]
	}
	return c
}

// about reports whether something said of an object and of what it is linked with is about a selected one: it names
// one, or is of a selected type.
func (c choice) about(ref entra.Ref, link *entra.Link, said any) bool {
	if len(c.scope.Types) > 0 {
		return slices.Contains(c.scope.Types, ref.Type) || link != nil && slices.Contains(c.scope.Types, link.To.Type)
	}
	text, err := json.Marshal([]any{ref.String(), link, said})
	if err != nil {
		panic(err)
	}
	return slices.ContainsFunc(slices.Collect(maps.Keys(c.ids)), func(id string) bool { return strings.Contains(string(text), id) })
}

// narrowed reports whether a property or relation is among those that the selection was narrowed to.
func (c choice) narrowed(what string, link bool) bool {
	only := c.scope.Fields
	if link {
		only = c.scope.Links
	}
	if len(c.scope.Fields)+len(c.scope.Links) == 0 {
		return true
	}
	return slices.ContainsFunc(only, func(o string) bool {
		return what == o || strings.HasPrefix(what, o+".") || strings.HasPrefix(what, o+"[")
	})
}

// wake finds what the service does by itself in the wake of a plan's steps: the appIds of the applications that they are
// about, in any of the trees, and the properties that they set.
type wake struct {
	apps map[any]bool
	sets map[string]bool
}

func newWake(t *testing.T, l *lab.Lab, p *plan.Plan, all ...*snapshot.Snapshot) wake {
	t.Helper()
	w := wake{apps: map[any]bool{}, sets: map[string]bool{}}
	aliases := l.Aliases()
	for _, s := range p.Steps {
		for path := range s.Set {
			w.sets[path] = true
		}
		ref := s.Ref
		if c, ok := catalog.Container(ref); ok {
			ref = c
		}
		names := []entra.Ref{ref}
		for next, ok := aliases[ref]; ok && !slices.Contains(names, next); next, ok = aliases[next] {
			names = append(names, next)
		}
		for _, snap := range all {
			for _, name := range names {
				if o, err := l.Tree(snap).Object(t.Context(), name); err == nil {
					if id, ok := o.Body.Get("appId"); ok {
						w.apps[id] = true
					}
				}
			}
		}
	}
	return w
}

// follows reports whether a change is one that the service makes of its own. What an application says of itself, its
// service principal says as well. What is contained in an application comes and goes with it, and so do the values of
// the properties that it defines. Of all domains one is the default.
func (w wake) follows(t *testing.T, l *lab.Lab, c diff.Change, trees ...*snapshot.Snapshot) bool {
	t.Helper()
	if c.IsLink() {
		return false
	}
	for _, o := range []*entra.Object{c.Before, c.After} {
		if o == nil {
			continue
		}
		if id, ok := o.Body.Get("appId"); ok && w.apps[id] && c.Kind == diff.Changed {
			return true
		}
		if in, ok := catalog.Container(o.Ref); ok {
			for _, s := range trees {
				if o, err := l.Tree(s).Object(t.Context(), in); err == nil {
					if id, ok := o.Body.Get("appId"); ok && w.apps[id] {
						return true
					}
				}
			}
		}
	}
	return len(c.Fields) > 0 && !slices.ContainsFunc(c.Fields, func(f diff.Field) bool {
		app, _, ok := catalog.Extension(f.Path)
		return !(ok && w.apps[string(app)]) && !(f.Path == "isDefault" && w.sets[f.Path])
	})
}

// TestNothingOutsideTheSelection damages a tenant at random and restores a random part of it: no step is about
// anything else, and all else in the tenant is afterwards as it was.
func TestNothingOutsideTheSelection(t *testing.T) {
	damages, steps, quiet, refused, failed := 0, 0, 0, 0, 0
	far := func() string {
		return fmt.Sprintf("%d damages, %d steps; %d selections needed none, %d were refused by guard, %d steps failed", damages, steps, quiet, refused, failed)
	}
	lawful(t, 20, 300, far, func(t *testing.T, l *lab.Lab, random *rand.Rand) {
		goal := l.Capture()
		damages += havoc(t, l, goal, random, 10+random.IntN(25))
		base := l.Capture()
		c := choose(t, l, goal, l.Plan(base, goal, plan.Request{}), random)
		if len(c.scope.Refs)+len(c.scope.Types) == 0 {
			restored(t, l, goal, plan.Request{}) // whole, for the next
			return
		}
		p := l.Plan(base, goal, plan.Request{Scope: c.scope})
		narrow := len(c.scope.Fields)+len(c.scope.Links) > 0
		back := map[entra.ID]bool{}
		for _, s := range p.Steps {
			its, _ := l.Tree(base).Object(t.Context(), s.Ref) // a grant's ID does not show whom it names
			if !c.about(s.Ref, s.Link, []any{s.Set, s.Was, s.Values, its.Body}) {
				t.Errorf("step %d %s %s %v %v is outside of %+v", s.Number, s.Action, s.Ref, s.Link, s.Set, c.scope)
			}
			if s.Action == plan.Undelete {
				back[s.Ref.ID] = true
			}
			switch {
			case s.Link != nil:
				if !c.narrowed(s.Link.Rel, true) {
					t.Errorf("step %d %s %v is outside of %+v", s.Number, s.Action, s.Link, c.scope)
				}
			case s.Action == plan.Delete:
				t.Errorf("step %d deletes %s unasked", s.Number, s.Ref)
			case narrow && s.Action != plan.Update:
				t.Errorf("step %d %s %s though narrowed to %+v", s.Number, s.Action, s.Ref, c.scope)
			default:
				for path := range s.Set {
					if narrow && !c.narrowed(path, false) {
						t.Errorf("step %d %s %s sets %s, outside of %+v", s.Number, s.Action, s.Ref, path, c.scope)
					}
				}
			}
		}
		_, objections, err := guard.Clear(t.Context(), p, l.Tree(base), guard.Config{}, nil, l.Tenant.Now())
		if err != nil {
			t.Fatal(err)
		}
		if len(objections) > 0 {
			refused++
			restored(t, l, goal, plan.Request{EnableUsers: true})
			return
		}
		failed += l.Apply(p, base).Count(apply.Failed) // what is needed may be outside
		after := l.Capture()
		aliases, made := l.Aliases(), map[entra.Ref]bool{}
		for range aliases { // a new name may get a newer one
			for old, to := range aliases {
				made[to] = true
				if c.ids[string(old.ID)] {
					c.ids[string(to.ID)] = true
				}
			}
		}
		w := newWake(t, l, p, goal, base, after)
		for _, ch := range changes(t, l, base, after) {
			var link *entra.Link
			if ch.IsLink() {
				link = &ch.Link
			}
			if ch.Kind == diff.Added && slices.ContainsFunc(catalog.IDs(*ch.After), func(id entra.ID) bool { return back[id] }) {
				continue // the service brings it back along with what it relates
			}
			if in, ok := catalog.Container(ch.Ref); ok && ch.Kind == diff.Added && (made[in] || back[in.ID]) {
				continue // the service makes it with what contains it
			}
			if r, ok := catalog.Lookup(ch.Ref.Type); ok && r.Echo != "" && slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Ref.Type == r.Echo }) {
				continue // it says what the step wrote
			}
			if !c.about(ch.Ref, link, []any{ch.Before, ch.After, ch.Fields}) && !w.follows(t, l, ch, base, after) {
				t.Errorf("%s %s %v %v changed, outside of %+v", ch.Kind, ch.Ref, ch.Link, ch.Fields, c.scope)
			}
		}
		if len(p.Steps) == 0 {
			quiet++
		}
		steps += len(p.Steps)
		base = l.Capture()
		if _, objections := l.Judge(l.Plan(base, goal, plan.Request{EnableUsers: true}), base); len(objections) > 0 {
			refused++ // what earlier seeds left disabled may be all that a policy of the goal lets in
			return
		}
		restored(t, l, goal, plan.Request{}) // all else, for the next
	})
	if steps == 0 {
		t.Error("too little happened")
	}
}
