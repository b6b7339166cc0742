package plan_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/verify"
)

type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// checkPromise carries a plan out on base in memory, and plans again: nothing may be left to do, and
// nothing outside what the request allows may have changed.
func checkPromise(t failer, p *plan.Plan, base, goal world, q plan.Request) {
	t.Helper()
	tree, others := p.Simulate(base.tree(nil))
	simulated := read(t, tree)
	simulated.odd = base.odd
	again := q
	again.Aliases = map[entra.Ref]entra.Ref{}
	for old, to := range q.Aliases {
		again.Aliases[old] = to
	}
	for _, s := range p.Steps {
		switch s.Action {
		case plan.Create:
			if part := base.tree(nil).Snapshot().Part(s.Ref.Type, ""); part.Coverage != snapshot.Complete || part.Hole(s.Ref) {
				t.Fatalf("%s is created though its absence is not proven", s.Ref)
			}
			again.Aliases[s.Ref] = s.Ref
			if other, ok := others[s.Ref]; ok {
				again.Aliases[s.Ref] = other
			}
		case plan.Delete, plan.Detach:
			if !q.Scope.Delete {
				t.Fatalf("step %d deletes unasked", s.Number)
			}
		}
		for _, n := range s.Needs {
			if n >= s.Number {
				t.Fatalf("step %d needs step %d", s.Number, n)
			}
		}
		if len(q.Scope.Types) > 0 && !slices.Contains(q.Scope.Types, s.Ref.Type) {
			t.Fatalf("step %d writes %s, which is out of scope", s.Number, s.Ref)
		}
	}
	checkMastery(t, p, base, goal)
	second, err := plan.Make(ctx, simulated.tree(nil), goal.tree(nil), again)
	if err != nil {
		t.Fatal(err)
	}
	if len(second.Steps) > 0 {
		t.Fatalf("first plan:\n%s\nsecond plan:\n%s", show(p), show(second))
	}
}

// checkMastery says that nothing is written that the directory on premises would write again: no object is made or deleted that is
// mastered there, and of one that is there only what the service takes all the same.
func checkMastery(t failer, p *plan.Plan, base, goal world) {
	t.Helper()
	here := []string{"ageGroup", "assignedLicenses", "consentProvidedForMinor", "passwordPolicies", "preferredDataLocation", "usageLocation"}
	mastered := func(w world, refs ...entra.Ref) bool {
		return slices.ContainsFunc(refs, func(r entra.Ref) bool {
			v, _ := w.objects[r].Body.Get("onPremisesSyncEnabled")
			return v == true
		})
	}
	for _, s := range p.Steps {
		is := []entra.Ref{s.Ref}
		if to, ok := p.IDs[s.Ref]; ok && !s.OfBase {
			is = []entra.Ref{to}
		}
		if r, _ := catalog.Lookup(s.Ref.Type); r.Bin != "" {
			is = append(is, entra.Ref{Type: r.Bin, ID: is[0].ID}) // an earlier step brings it back
		}
		switch s.Action {
		case plan.Create:
			if mastered(goal, s.Ref) {
				t.Fatalf("step %d makes %s, which synchronisation does not know", s.Number, s.Ref)
			}
		case plan.Delete, plan.Issue:
			if mastered(base, is...) {
				t.Fatalf("step %d is a %s of %s, which is mastered on premises", s.Number, s.Action, s.Ref)
			}
		case plan.Attach, plan.Detach:
			if mastered(base, is...) && (s.Link.Rel == "manager" || s.Ref.Type == "group") {
				t.Fatalf("step %d writes %s of %s, which is mastered on premises", s.Number, s.Link.Rel, s.Ref)
			}
		case plan.Update:
			for path := range s.Set {
				if mastered(base, is...) && !slices.Contains(here, path) && !(s.Ref.Type == "user" && strings.HasPrefix(path, "extension_")) {
					t.Fatalf("step %d writes %s of %s, which is mastered on premises", s.Number, path, s.Ref)
				}
			}
		}
	}
}

// guid names the nth object of a drawn tenant.
func guid(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n*7919+1, n) }

func quoted(ids []string) string {
	for i, id := range ids {
		ids[i] = `"` + id + `"`
	}
	return "[" + strings.Join(ids, ",") + "]"
}

func some(t *rapid.T, of []string) []string {
	out := []string{}
	for _, id := range of {
		if rapid.IntRange(0, 2).Draw(t, "in") == 0 {
			out = append(out, id)
		}
	}
	return out
}

// The IDs that a drawn tenant can have, by type.
var (
	people    = []string{guid(1), guid(2), guid(3)}
	groups    = []string{guid(11), guid(12), guid(13)}
	places    = []string{guid(21), guid(22)}
	policies  = []string{guid(31), guid(32)}
	apps      = []string{guid(41), guid(42)}
	services  = []string{guid(51), guid(52)}
	holdings  = []string{guid(61), guid(62)}
	approles  = []string{guid(71), guid(72)}
	roles     = []string{guid(81)}
	valuesFor = []string{"a", "b"}
)

// draw makes a tenant in which nothing refers to what does not exist.
func draw(t *rapid.T) world {
	w := newWorld()
	one := func(of []string) string { return rapid.SampledFrom(of).Draw(t, "one") }
	keep := func(of []string) []string {
		out := []string{}
		for _, id := range of {
			if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
				out = append(out, id)
			}
		}
		return out
	}
	us, gs, ls, ps, as := keep(people), keep(groups), keep(places), keep(policies), keep(apps)
	from := func() string { return one([]string{"null", "null", "false", "true"}) } // whether it is mastered on premises
	for i, id := range us {
		w.put("user", id, fmt.Sprintf(`{"displayName":"U","userPrincipalName":"u%d@x.example","mailNickname":"u","accountEnabled":%t,"department":%q,"usageLocation":%q,"createdDateTime":%q,"onPremisesSyncEnabled":%s}`,
			i, rapid.Bool().Draw(t, "enabled"), one(valuesFor), one(valuesFor), one(valuesFor), from()))
	}
	for _, id := range gs {
		w.put("group", id, fmt.Sprintf(`{"displayName":"G","mailNickname":%q,"mailEnabled":false,"securityEnabled":true,"description":%q,"onPremisesSyncEnabled":%s}`, one(valuesFor), one(valuesFor), from()))
		for _, u := range some(t, append(slices.Clone(us), gs...)) {
			kind := entra.Type("user")
			if slices.Contains(gs, u) {
				kind = "group"
			}
			w.links[entra.Link{From: entra.Ref{Type: "group", ID: entra.ID(id)}, Rel: "members", To: entra.Ref{Type: kind, ID: entra.ID(u)}}] = true
		}
	}
	if len(us) > 1 {
		w.links[entra.Link{From: entra.Ref{Type: "user", ID: entra.ID(us[0])}, Rel: "manager", To: entra.Ref{Type: "user", ID: entra.ID(one(us))}}] = true
	}
	for _, id := range ls {
		w.put("namedLocation", id, fmt.Sprintf(`{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":%q,"isTrusted":true}`, one(valuesFor)+id))
	}
	for _, id := range ps {
		w.put("conditionalAccessPolicy", id, fmt.Sprintf(`{"displayName":%q,"state":%q,"conditions":{"users":{"includeUsers":["All"],"excludeUsers":%s,"excludeGroups":%s},"locations":{"includeLocations":["All"],"excludeLocations":%s}}}`,
			one(valuesFor), one([]string{"enabled", "disabled"}), quoted(some(t, us)), quoted(some(t, gs)), quoted(some(t, ls))))
	}
	w.put("unifiedRoleDefinition", roles[0], `{"displayName":"R","isBuiltIn":true,"isEnabled":true,"rolePermissions":[]}`)
	var sps []string
	for i, id := range as {
		appID := guid(100 + slices.Index(apps, id))
		w.put("application", id, fmt.Sprintf(`{"displayName":"A","appId":%q,"notes":%q}`, appID, one(valuesFor)))
		if rapid.Bool().Draw(t, "service") {
			w.put("servicePrincipal", services[i], fmt.Sprintf(`{"displayName":"A","appId":%q,"accountEnabled":true}`, appID))
			sps = append(sps, services[i])
		}
	}
	ends := slices.Concat(us, gs, sps)
	for _, id := range holdings {
		if len(ends) > 0 && rapid.Bool().Draw(t, "held") {
			w.put("unifiedRoleAssignment", id, fmt.Sprintf(`{"principalId":%q,"roleDefinitionId":%q,"directoryScopeId":"/"}`, one(ends), roles[0]))
		}
	}
	for _, id := range approles {
		if len(sps) > 0 && rapid.Bool().Draw(t, "assigned") {
			sp := one(sps)
			w.put("appRoleAssignment", string(entra.Join(entra.ID(sp), entra.ID(id))), fmt.Sprintf(`{"principalId":%q,"resourceId":%q,"appRoleId":%q}`, one(ends), sp, guid(90)))
		}
	}
	return w
}

// damage takes objects away as the service does: into the recycle bin, or for good; with their links and
// what relates them, while policies keep the ID. An application takes its service principal along.
func damage(t *rapid.T, w world) world {
	w = w.clone()
	var lose func(r entra.Ref)
	lose = func(r entra.Ref) {
		o, ok := w.objects[r]
		if !ok {
			return
		}
		delete(w.objects, r)
		for l := range w.links {
			if l.From == r || l.To == r {
				delete(w.links, l)
			}
		}
		for h, x := range w.objects {
			if (h.Type == "unifiedRoleAssignment" || h.Type == "appRoleAssignment") && slices.Contains(ids(x), r.ID) {
				delete(w.objects, h)
			}
		}
		if c, _ := catalog.Lookup(r.Type); c.Bin != "" && rapid.Bool().Draw(t, "binned") {
			w.put(c.Bin, string(r.ID), string(o.Body))
		}
		if appID, ok := o.Body.Get("appId"); ok && r.Type == "application" {
			for _, along := range services {
				sp := entra.Ref{Type: "servicePrincipal", ID: entra.ID(along)}
				if x, ok := w.objects[sp]; !ok {
					continue
				} else if its, _ := x.Body.Get("appId"); its == appID {
					lose(sp)
				}
			}
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(w.objects), entra.Ref.Compare) {
		if r.Type != "unifiedRoleDefinition" && rapid.IntRange(0, 3).Draw(t, "lost") == 0 {
			lose(r)
		}
	}
	return w
}

// cover makes some parts incomplete.
func cover(t *rapid.T, w world) world {
	w = w.clone()
	for _, name := range []string{"user", "group", "deletedUser", "conditionalAccessPolicy", "group.members", "user.manager", "unifiedRoleAssignment"} {
		if rapid.IntRange(0, 3).Draw(t, "incomplete") > 0 {
			continue
		}
		kind, rel, _ := strings.Cut(name, ".")
		w.odd[name] = snapshot.Part{Type: entra.Type(kind), Relation: rel, Coverage: rapid.SampledFrom([]snapshot.Coverage{snapshot.Denied, snapshot.Partial, snapshot.Missed}).Draw(t, "coverage")}
		for r := range w.objects {
			if string(r.Type) == name && slices.Contains([]string{guid(1), guid(11), guid(31), guid(61)}, string(r.ID)) {
				delete(w.objects, r)
			}
		}
	}
	return w
}

func request(t *rapid.T, goal world) plan.Request {
	q := plan.Request{Enforce: rapid.Bool().Draw(t, "enforce"), EnableUsers: rapid.Bool().Draw(t, "enable users")}
	q.Scope.Delete = rapid.Bool().Draw(t, "delete")
	refs := slices.SortedFunc(maps.Keys(goal.objects), entra.Ref.Compare)
	switch rapid.IntRange(0, 3).Draw(t, "scope") {
	case 0:
		q.Scope.Types = []entra.Type{"group", "user"}
	case 1:
		q.Scope.Refs = []entra.Ref{rapid.SampledFrom(refs).Draw(t, "object")}
	}
	return q
}

func mustMake(t failer, base, goal world, q plan.Request) *plan.Plan {
	t.Helper()
	p, err := plan.Make(ctx, base.tree(nil), goal.tree(nil), q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPlanKeepsItsPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		goal := draw(t)
		base := damage(t, goal)
		if rapid.Bool().Draw(t, "another tenant") {
			base = damage(t, draw(t))
		}
		if rapid.Bool().Draw(t, "badly read") {
			base = cover(t, base)
		}
		q := request(t, goal)
		p := mustMake(t, base, goal, q)
		checkPromise(t, p, base, goal, q)
		// What it did agrees with an independent comparison, but for the gaps.
		aliases := map[entra.Ref]entra.Ref{}
		for _, s := range p.Steps {
			if s.Action == plan.Create {
				aliases[s.Ref] = s.Ref
			}
		}
		after, others := p.Simulate(base.tree(nil))
		maps.Copy(aliases, others)
		if len(base.odd) > 0 {
			return // what could not be read differs, and is said
		}
		left, _, err := verify.Run(ctx, p, goal.tree(nil), after, aliases)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Fatalf("still differs: %+v\nplan:\n%s", left, show(p))
		}
	})
}

func TestNothingToDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		q := request(t, w)
		if p := mustMake(t, w, w, q); len(p.Steps)+len(p.Gaps) > 0 {
			t.Fatalf("got\n%s", show(p))
		}
	})
}

func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		goal := draw(t)
		base := damage(t, draw(t))
		q := request(t, goal)
		want, err := mustMake(t, base, goal, q).Encode()
		if err != nil {
			t.Fatal(err)
		}
		p, err := plan.Make(ctx, base.tree(slices.Reverse), goal.tree(slices.Reverse), q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got) {
			t.Fatalf("want\n%s\ngot\n%s", want, got)
		}
		decoded, err := plan.Decode(got)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decoded.Encode(); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("decoding and encoding gives\n%s\nof\n%s", again, got)
		}
		for _, bad := range [][]byte{append(bytes.Clone(got), ' '), bytes.Replace(got, []byte(`"steps"`), []byte(`"more":1,"steps"`), 1), got[:len(got)-2]} {
			if _, err := plan.Decode(bad); err == nil {
				t.Fatalf("read\n%s", bad)
			}
		}
	})
}

// TestOutsideTheScopeNothingMoves carries out scoped plans and compares all else.
func TestOutsideTheScopeNothingMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		goal := draw(t)
		base := damage(t, draw(t))
		q := plan.Request{Scope: plan.Scope{Types: []entra.Type{"group"}, Delete: true}}
		tree, _ := mustMake(t, base, goal, q).Simulate(base.tree(nil))
		after := read(t, tree)
		for r, o := range base.objects {
			if r.Type != "group" && r.Type != "deletedGroup" && after.objects[r] != o {
				t.Fatalf("%s was %v and is %v", r, o, after.objects[r])
			}
		}
		for r := range after.objects {
			if _, ok := base.objects[r]; !ok && r.Type != "group" && r.Type != "deletedGroup" {
				t.Fatalf("%s is new", r)
			}
		}
	})
}

func TestTenantsAreNotMixed(t *testing.T) {
	other := snapshot.NewMemory(&snapshot.Snapshot{Tenant: "other"}, nil, nil, nil)
	if _, err := plan.Make(ctx, newWorld().tree(nil), other, plan.Request{}); err == nil {
		t.Fatal("made a plan of two tenants")
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	want := plan.Plan{Steps: []plan.Step{{
		Number: 1, Action: plan.Update, Ref: entra.Ref{Type: "group", ID: "g"},
		Set: map[string]any{"a.b": entra.Number("1.50"), "c": nil, "d": []any{entra.Number("12345678901234567890"), "<&>", true}},
		Was: map[string]any{"a.b": map[string]any{"x": entra.Number("0")}, "c": "", "d": nil},
	}}, Gaps: []plan.Gap{}}
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := plan.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&want, got); d != "" {
		t.Error(d)
	}
	one, err := got.Digest()
	if err != nil {
		t.Fatal(err)
	}
	got.Steps[0].Set["c"] = "x"
	if two, err := got.Digest(); err != nil || one == two || len(one) != 64 {
		t.Errorf("digests %s and %s, %v", one, two, err)
	}
}

func TestCount(t *testing.T) {
	user, group := entra.Ref{Type: "user", ID: "u"}, entra.Ref{Type: "group", ID: "g"}
	l := &entra.Link{From: group, Rel: "members", To: user}
	p := plan.Plan{Steps: []plan.Step{
		{Action: plan.Undelete, Ref: user}, {Action: plan.Update, Ref: user}, {Action: plan.Attach, Ref: group, Link: l},
		{Action: plan.Detach, Ref: group, Link: l}, {Action: plan.Delete, Ref: group},
	}}
	if got, want := p.Count(), (plan.Limits{Objects: 2, Links: 2, Deletions: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestSimulateUsesTheBins looks at what enters and leaves a recycle bin.
func TestSimulateUsesTheBins(t *testing.T) {
	base := newWorld()
	base.put("deletedUser", guid(1), `{"displayName":"A","userPrincipalName":"a@x.example"}`)
	base.put("user", guid(2), `{"displayName":"B","userPrincipalName":"b@x.example"}`)
	base.put("namedLocation", guid(3), `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"L"}`)
	p := plan.Plan{Steps: []plan.Step{
		{Action: plan.Undelete, Ref: entra.Ref{Type: "user", ID: entra.ID(guid(1))}},
		{Action: plan.Delete, Ref: entra.Ref{Type: "user", ID: entra.ID(guid(2))}, OfBase: true},
	}}
	var got []string
	tree, _ := p.Simulate(base.tree(nil))
	for r := range read(t, tree).objects {
		got = append(got, r.String())
	}
	slices.Sort(got)
	want := []string{"deletedUser/" + guid(2), "namedLocation/" + guid(3), "user/" + guid(1)}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// What a step writes and base does not have is an error of the tree.
	bad := plan.Plan{Steps: []plan.Step{{Action: plan.Update, Ref: entra.Ref{Type: "user", ID: "none"}}}}
	tree, _ = bad.Simulate(base.tree(nil))
	if _, err := tree.Object(ctx, entra.Ref{Type: "user", ID: "none"}); err == nil {
		t.Error("simulated the change of nothing")
	}
}
