package merge_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/merge"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A world is a tenant whose every part was read whole.
type world struct {
	objects map[entra.Ref]map[string]any
	links   map[entra.Link]bool
}

func (w world) clone() world {
	c := world{map[entra.Ref]map[string]any{}, map[entra.Link]bool{}}
	for r, m := range w.objects {
		c.objects[r] = map[string]any{}
		for k, v := range m {
			if list, ok := v.([]any); ok {
				v = slices.Clone(list)
			}
			c.objects[r][k] = v
		}
	}
	for l := range w.links {
		c.links[l] = true
	}
	return c
}

func (w world) tree(t *testing.T) snapshot.Tree {
	t.Helper()
	s := &snapshot.Snapshot{Tenant: "t", Number: 1}
	for _, of := range []entra.Type{"group", "user"} {
		for _, rel := range []string{"", "manager", "members", "owners", "sponsors"} {
			s.Parts = append(s.Parts, snapshot.Part{Type: of, Relation: rel, Coverage: snapshot.Complete})
		}
	}
	var objects []entra.Object
	for r, m := range w.objects {
		body, err := entra.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, entra.Object{Ref: r, Body: body})
	}
	var links []entra.Link
	for l := range w.links {
		links = append(links, l)
	}
	return snapshot.NewMemory(s, catalog.IDs, objects, links)
}

func user(n int) entra.Ref  { return entra.Ref{Type: "user", ID: entra.ID(fmt.Sprintf("u%d", n))} }
func group(n int) entra.Ref { return entra.Ref{Type: "group", ID: entra.ID(fmt.Sprintf("g%d", n))} }

const users, groups = 8, 4

func random(r *rand.Rand) world {
	w := world{map[entra.Ref]map[string]any{}, map[entra.Link]bool{}}
	for range 30 {
		w.mutate(r, func(entra.Ref, string) bool { return true })
	}
	return w
}

// mutate does one random thing to the world, where may allows it for the object and the place in it.
func (w world) mutate(r *rand.Rand, may func(entra.Ref, string) bool) {
	u, g := user(r.IntN(users)), group(r.IntN(groups))
	there := func(r entra.Ref) bool { _, ok := w.objects[r]; return ok }
	switch r.IntN(7) {
	case 0:
		if !there(u) && may(u, "") {
			w.objects[u] = map[string]any{"displayName": fmt.Sprint(u.ID), "proxyAddresses": []any{"SMTP:a"}}
		}
	case 1:
		if !there(g) && may(g, "") {
			w.objects[g] = map[string]any{"displayName": fmt.Sprint(g.ID)}
		}
	case 2:
		if r.IntN(4) == 0 && there(u) && may(u, "") {
			delete(w.objects, u)
			for l := range w.links {
				if l.From == u || l.To == u {
					delete(w.links, l)
				}
			}
		}
	case 3:
		field := []string{"department", "city", "jobTitle"}[r.IntN(3)]
		if there(u) && may(u, field) {
			if r.IntN(3) == 0 {
				delete(w.objects[u], field)
			} else {
				w.objects[u][field] = fmt.Sprint(r.IntN(3))
			}
		}
	case 4:
		if there(u) && may(u, "proxyAddresses") {
			list, _ := w.objects[u]["proxyAddresses"].([]any)
			address := fmt.Sprintf("smtp:%d", r.IntN(4))
			if i := slices.Index(list, any(address)); i >= 0 {
				list = slices.Delete(list, i, i+1)
			} else {
				list = append(list, address)
			}
			slices.SortFunc(list, func(a, b any) int { return slices.Compare([]byte(a.(string)), []byte(b.(string))) })
			w.objects[u]["proxyAddresses"] = list
		}
	case 5:
		l := entra.Link{From: g, Rel: "members", To: u}
		if there(u) && there(g) && may(g, "members"+string(u.ID)) && may(u, "members") {
			if w.links[l] {
				delete(w.links, l)
			} else {
				w.links[l] = true
			}
		}
	case 6:
		to := user(r.IntN(users))
		if there(u) && there(to) && to != u && may(u, "manager") && may(to, "manager of") {
			for l := range w.links {
				if l.From == u && l.Rel == "manager" {
					delete(w.links, l)
				}
			}
			w.links[entra.Link{From: u, Rel: "manager", To: to}] = true
		}
	}
}

func equal(t *testing.T, what string, got, want snapshot.Tree) {
	t.Helper()
	for c, err := range diff.Trees(t.Context(), want, got, diff.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s: %s %s %s %+v", what, c.Kind, c.Ref, c.Link, c.Fields)
	}
}

// Undoing everything between two trees, with nothing later, gives the earlier; undoing it again changes nothing.
func TestUndoingEverythingGivesTheEarlier(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
		from := random(r)
		to := from.clone()
		for range 10 {
			to.mutate(r, func(entra.Ref, string) bool { return true })
		}
		a, b := from.tree(t), to.tree(t)
		done, err := merge.Undo(t.Context(), b, a, b, merge.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if len(done.Conflicts) > 0 {
			t.Errorf("seed %d: conflicts without later work: %+v", seed, done.Conflicts)
		}
		equal(t, fmt.Sprintf("seed %d", seed), done.Goal, a)
		again, err := merge.Undo(t.Context(), done.Goal, a, b, merge.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Touched) > 0 || len(again.Conflicts) > 0 {
			t.Errorf("seed %d: undoing again touches %v, conflicts %+v", seed, again.Touched, again.Conflicts)
		}
		if t.Failed() {
			break
		}
	}
}

// Later work at other places stays, and there is no conflict about it.
func TestLaterWorkStays(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test
		from := random(r)
		to := from.clone()
		mine := func(ref entra.Ref, place string) bool { return place != "" && (len(ref.ID)+len(place))%2 == 0 }
		theirs := func(ref entra.Ref, place string) bool { return place != "" && (len(ref.ID)+len(place))%2 == 1 }
		for range 10 {
			to.mutate(r, mine)
		}
		state := rand.NewPCG(seed, 3)
		base, want := to.clone(), from.clone()
		later := rand.New(state) //nolint:gosec // a test
		for range 10 {
			base.mutate(later, theirs)
		}
		later = rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // a test
		for range 10 {
			want.mutate(later, theirs)
		}
		done, err := merge.Undo(t.Context(), base.tree(t), from.tree(t), to.tree(t), merge.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if len(done.Conflicts) > 0 {
			t.Errorf("seed %d: %+v", seed, done.Conflicts)
		}
		equal(t, fmt.Sprintf("seed %d", seed), done.Goal, want.tree(t))
		if t.Failed() {
			break
		}
	}
}

func TestConflicts(t *testing.T) {
	from := world{map[entra.Ref]map[string]any{
		user(1): {"displayName": "Anna", "department": "Sales", "proxyAddresses": []any{"SMTP:a", "smtp:b"}},
		user(2): {"displayName": "Ben"}, user(3): {"displayName": "Cara"}, user(4): {"displayName": "Dan"},
	}, map[entra.Link]bool{{From: user(1), Rel: "manager", To: user(2)}: true}}
	to := from.clone()
	delete(to.objects[user(1)], "department")               // a script blanked it
	to.objects[user(1)]["proxyAddresses"] = []any{"SMTP:a"} // and took an address
	to.objects[user(5)] = map[string]any{"displayName": "Eve"}
	delete(to.links, entra.Link{From: user(1), Rel: "manager", To: user(2)})
	to.links[entra.Link{From: user(1), Rel: "manager", To: user(3)}] = true
	base := to.clone()
	base.objects[user(1)]["department"] = "Marketing"                   // HR corrected it
	base.objects[user(1)]["proxyAddresses"] = []any{"SMTP:a", "smtp:c"} // and somebody added another address
	base.objects[user(5)]["city"] = "Rome"
	delete(base.links, entra.Link{From: user(1), Rel: "manager", To: user(3)})
	base.links[entra.Link{From: user(1), Rel: "manager", To: user(4)}] = true

	done, err := merge.Undo(t.Context(), base.tree(t), from.tree(t), to.tree(t), merge.Request{})
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, c := range done.Conflicts {
		places = append(places, c.Ref.String()+" "+c.Field)
		if c.Undone {
			t.Errorf("%+v was undone unasked", c)
		}
	}
	if want := []string{"user/u1 department", "user/u1 manager", "user/u5 "}; !slices.Equal(places, want) {
		t.Errorf("conflicts at %q, want %q", places, want)
	}
	if c := done.Conflicts[0]; c.Now != "Marketing" || c.Undo != "Sales" || c.Left != nil {
		t.Errorf("the first conflict is %+v", c)
	}
	want := base.clone()
	want.objects[user(1)]["proxyAddresses"] = []any{"SMTP:a", "smtp:b", "smtp:c"} // both addresses
	equal(t, "later", done.Goal, want.tree(t))

	forced, err := merge.Undo(t.Context(), base.tree(t), from.tree(t), to.tree(t), merge.Request{Anyway: true})
	if err != nil {
		t.Fatal(err)
	}
	want.objects[user(1)]["department"] = "Sales"
	delete(want.objects, user(5))
	delete(want.links, entra.Link{From: user(1), Rel: "manager", To: user(4)})
	want.links[entra.Link{From: user(1), Rel: "manager", To: user(2)}] = true
	equal(t, "anyway", forced.Goal, want.tree(t))
}

// What was re-created since goes by its new name, in links and in what properties hold.
func TestUndoLooksThroughAliases(t *testing.T) {
	from := world{map[entra.Ref]map[string]any{user(1): {"displayName": "Anna", "department": "Sales"}, group(1): {"displayName": "G"}},
		map[entra.Link]bool{{From: group(1), Rel: "members", To: user(1)}: true}}
	to := from.clone()
	to.objects[user(1)]["department"] = "None"
	delete(to.links, entra.Link{From: group(1), Rel: "members", To: user(1)})
	base := world{map[entra.Ref]map[string]any{user(7): {"displayName": "Anna", "department": "None"}, group(1): {"displayName": "G"}}, map[entra.Link]bool{}}
	done, err := merge.Undo(t.Context(), base.tree(t), from.tree(t), to.tree(t), merge.Request{Aliases: map[entra.Ref]entra.Ref{user(1): user(7)}})
	if err != nil || len(done.Conflicts) > 0 {
		t.Fatalf("%v, %+v", err, done)
	}
	want := base.clone()
	want.objects[user(7)]["department"] = "Sales"
	want.links[entra.Link{From: group(1), Rel: "members", To: user(7)}] = true
	equal(t, "aliases", done.Goal, want.tree(t))
}

// A role that was made anew keeps its template, which is the ID it had: that it holds a former ID is no later change.
func TestWhatRepeatsItsOwnFormerIDIsUndone(t *testing.T) {
	const old, now = "0000b99a-0000-4000-8000-000000000001", "0000b99a-0000-4000-8000-000000000002"
	role := func(id entra.ID) entra.Ref { return entra.Ref{Type: catalog.RoleType, ID: id} }
	side := func(objects ...entra.Object) snapshot.Tree {
		s := &snapshot.Snapshot{Tenant: "t", Number: 1, Parts: []snapshot.Part{{Type: catalog.RoleType, Coverage: snapshot.Complete}}}
		return snapshot.NewMemory(s, catalog.IDs, objects, nil)
	}
	made := side(entra.Object{Ref: role(now), Body: `{"displayName":"Harbour master","templateId":"` + old + `"}`})
	res, err := merge.Undo(t.Context(), made, side(), made, merge.Request{Aliases: map[entra.Ref]entra.Ref{role(old): role(now)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := res.Goal.Object(t.Context(), role(now)); err == nil || len(res.Conflicts) > 0 {
		t.Errorf("it stays; conflicts %+v", res.Conflicts)
	}
}
