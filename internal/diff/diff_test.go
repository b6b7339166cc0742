package diff_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A world is what a tree is made of.
type world struct {
	objects map[entra.Ref]entra.Object
	links   map[entra.Link]bool
	parts   []snapshot.Part
}

var (
	kinds = []entra.Type{"appRoleAssignment", "conditionalAccessPolicy", "group", "servicePrincipal", "user"}
	rels  = []snapshot.Part{{Type: "group", Relation: "members"}, {Type: "group", Relation: "owners"}, {Type: "user", Relation: "manager"}}
)

func guid(n int) entra.ID { return entra.ID(fmt.Sprintf("%08x-0000-4000-8000-%012x", n*7919, n)) }

func held(o entra.Object) []entra.ID {
	var ids []entra.ID
	for _, r := range catalog.Refs(o) {
		ids = append(ids, r.ID)
	}
	return ids
}

func (w world) tree() *snapshot.Memory {
	s := &snapshot.Snapshot{Parts: slices.SortedFunc(slices.Values(w.parts), snapshot.Part.Compare)}
	return snapshot.NewMemory(s, held, slices.Collect(maps.Values(w.objects)), slices.Collect(maps.Keys(w.links)))
}

func complete() []snapshot.Part {
	var parts []snapshot.Part
	for _, k := range kinds {
		parts = append(parts, snapshot.Part{Type: k, Coverage: snapshot.Complete})
	}
	for _, p := range rels {
		p.Coverage = snapshot.Complete
		parts = append(parts, p)
	}
	return parts
}

func scalar(t *rapid.T) any {
	switch rapid.IntRange(0, 3).Draw(t, "kind of value") {
	case 0:
		return rapid.Bool().Draw(t, "value")
	case 1:
		return entra.Number(fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "value")))
	}
	return rapid.SampledFrom([]string{"a", "b", "c]d", "x=1", "50%5D", ""}).Draw(t, "value")
}

func list(t *rapid.T, one func() any) []any {
	a := []any{}
	for range rapid.IntRange(0, 3).Draw(t, "elements") {
		a = append(a, one())
	}
	return a
}

// object makes an object of a type whose properties are drawn from its declaration.
func object(t *rapid.T, ref entra.Ref, max int) entra.Object {
	r, ok := catalog.Lookup(ref.Type)
	if !ok {
		t.Fatalf("the catalog has no %s", ref.Type)
	}
	m := map[string]any{"displayName": rapid.SampledFrom([]string{"A", "B"}).Draw(t, "name"), "unlisted": scalar(t)}
	for _, p := range r.Properties {
		if p.Omit || strings.ContainsAny(p.Name, "[@") || (!p.Set && p.Key == "" && p.Ref == nil) || !rapid.Bool().Draw(t, p.Name) {
			continue
		}
		var v any
		one := func() any {
			if p.Ref != nil {
				return string(guid(rapid.IntRange(1, max).Draw(t, "id")))
			}
			return rapid.SampledFrom([]string{"a", "b", "c]d", "x=1", "50%5D"}).Draw(t, "element")
		}
		switch {
		case p.Key != "":
			v = list(t, func() any {
				return map[string]any{p.Key: one(), "n": scalar(t), "in": map[string]any{"deep": scalar(t)}}
			})
		case p.Set:
			v = list(t, one)
		default:
			v = one()
		}
		entra.Set(m, p.Name, v)
	}
	ids := ref.ID.Split()
	m["id"] = string(ids[len(ids)-1])
	raw, err := entra.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	parent := entra.ID("")
	if len(ids) > 1 {
		parent = ids[0]
	}
	o, err := r.Object([]byte(raw), parent)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// draw makes a world over IDs 1 to max, some of them in kinds of their own.
func draw(t *rapid.T, max int) world {
	w := world{objects: map[entra.Ref]entra.Object{}, links: map[entra.Link]bool{}, parts: complete()}
	of := map[entra.Type][]entra.Ref{}
	for n := 1; n <= max; n++ {
		k := kinds[1+n%(len(kinds)-1)]
		if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
			ref := entra.Ref{Type: k, ID: guid(n)}
			w.objects[ref] = object(t, ref, max)
			of[k] = append(of[k], ref)
		}
	}
	for i, sp := range of["servicePrincipal"] {
		ref := entra.Ref{Type: "appRoleAssignment", ID: entra.Join(sp.ID, guid(500+i))}
		w.objects[ref] = object(t, ref, max)
	}
	for _, p := range rels {
		for _, from := range of[p.Type] {
			for _, to := range of["user"] {
				if rapid.IntRange(0, 2).Draw(t, "linked") == 0 {
					w.links[entra.Link{From: from, Rel: p.Relation, To: to}] = true
				}
			}
		}
	}
	return w
}

// cover gives each part of a world another coverage, and the complete ones a hole.
func cover(t *rapid.T, w world) world {
	w.parts = slices.Clone(w.parts)
	for i := range w.parts {
		p := &w.parts[i]
		p.Coverage = rapid.SampledFrom([]snapshot.Coverage{snapshot.Complete, snapshot.Complete, snapshot.Denied, snapshot.Missed, snapshot.Partial}).Draw(t, "coverage")
		if p.Coverage == snapshot.Complete && rapid.Bool().Draw(t, "has a hole") {
			p.Holes = []entra.Ref{{Type: p.Type, ID: guid(rapid.IntRange(1, 12).Draw(t, "hole"))}}
		}
	}
	return w
}

func changes(t interface {
	Helper()
	Fatal(...any)
}, a, b snapshot.Tree, o diff.Options) []diff.Change {
	t.Helper()
	var all []diff.Change
	for c, err := range diff.Trees(context.Background(), a, b, o) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if !slices.IsSortedFunc(all, diff.Change.Compare) {
		t.Fatal("changes are not in order")
	}
	return all
}

func TestNothingDiffersFromItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := cover(t, draw(t, 12))
		aliases := map[entra.Ref]entra.Ref{{Type: "user", ID: guid(3)}: {Type: "user", ID: guid(7)}}
		if got := changes(t, w.tree(), w.tree(), diff.Options{Aliases: aliases}); len(got) > 0 {
			t.Fatalf("got %v", got)
		}
	})
}

func TestApplyingTheChangesMakesTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, 12), draw(t, 12)
		got := world{objects: maps.Clone(a.objects), links: maps.Clone(a.links)}
		for _, c := range changes(t, a.tree(), b.tree(), diff.Options{}) {
			switch c.Kind {
			case diff.Added:
				got.objects[c.Ref] = *c.After
			case diff.Removed:
				delete(got.objects, c.Ref)
			case diff.Changed:
				r, _ := catalog.Lookup(c.Ref.Type)
				body, err := diff.With(r, c.Before.Body, c.Fields)
				if err != nil {
					t.Fatal(err)
				}
				if body != c.After.Body {
					t.Fatalf("%s: fields %v make\n%s\nof\n%s, want\n%s", c.Ref, c.Fields, body, c.Before.Body, c.After.Body)
				}
				got.objects[c.Ref] = entra.Object{Ref: c.Ref, Body: body}
			case diff.Linked:
				got.links[c.Link] = true
			case diff.Unlinked:
				delete(got.links, c.Link)
			default:
				t.Fatalf("%s in complete trees: %v", c.Kind, c)
			}
		}
		if d := cmp.Diff(b.objects, got.objects) + cmp.Diff(b.links, got.links); d != "" {
			t.Fatal(d)
		}
	})
}

func TestAbsenceNeedsCoverage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, 12), draw(t, 12)
		sure := changes(t, a.tree(), b.tree(), diff.Options{})
		a, b = cover(t, a), cover(t, b)
		before, after := a.tree(), b.tree()
		got := changes(t, before, after, diff.Options{})
		if len(got) != len(sure) {
			t.Fatalf("got %d changes, want %d: nothing is left out", len(got), len(sure))
		}
		proves := func(w world, r entra.Ref) bool {
			p := w.tree().Snapshot().Part(r.Type, "")
			_, there := w.objects[r]
			return !there && p.Coverage == snapshot.Complete && !p.Hole(r)
		}
		apart := func(w world, l entra.Link) bool {
			p := w.tree().Snapshot().Part(l.From.Type, l.Rel)
			return p.Coverage == snapshot.Complete && !p.Hole(l.From) || proves(w, l.From) || proves(w, l.To)
		}
		for i, c := range got {
			if c.Compare(sure[i]) != 0 {
				t.Fatalf("got %v, want %v", c, sure[i])
			}
			want, reason := sure[i].Kind, ""
			switch sure[i].Kind {
			case diff.Added:
				if !proves(a, c.Ref) {
					want, reason = diff.Unknown, diff.NoBefore
				}
			case diff.Removed:
				if !proves(b, c.Ref) {
					want, reason = diff.Unknown, diff.NoAfter
				}
			case diff.Linked:
				if !apart(a, c.Link) {
					want, reason = diff.Unknown, diff.NoBefore
				}
			case diff.Unlinked:
				if !apart(b, c.Link) {
					want, reason = diff.Unknown, diff.NoAfter
				}
			}
			if c.Kind != want || c.Reason != reason {
				t.Fatalf("%v: got %s (%s), want %s (%s)", c, c.Kind, c.Reason, want, reason)
			}
		}
	})
}

// A near tree knows what differs from another, as an index does.
type near struct {
	*snapshot.Memory
	refs []entra.Ref
}

func (n near) Touched(context.Context, snapshot.Tree) (iter.Seq2[entra.Ref, error], bool) {
	return func(yield func(entra.Ref, error) bool) {
		for _, r := range n.refs {
			if !yield(r, nil) {
				return
			}
		}
	}, true
}

func (n near) Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		slices.Reverse(refs)
		for _, r := range refs {
			if o, err := n.Object(ctx, r); err == nil && !yield(o, nil) {
				return
			}
		}
	}
}

func closeTo(a, b world) near {
	refs := map[entra.Ref]bool{}
	for _, w := range [][2]world{{a, b}, {b, a}} {
		for r, o := range w[0].objects {
			if w[1].objects[r] != o {
				refs[r] = true
			}
		}
		for l := range w[0].links {
			if !w[1].links[l] {
				refs[l.From] = true
			}
		}
	}
	return near{b.tree(), slices.SortedFunc(maps.Keys(refs), entra.Ref.Compare)}
}

// A far tree knows which objects and links differ from another, as an index does.
type far struct {
	near
	was, is []entra.Link
}

func (f far) Apart(ctx context.Context, _ snapshot.Tree) (objects iter.Seq2[entra.Ref, error], was, is iter.Seq2[entra.Link, error], ok bool) {
	objects, _ = f.Touched(ctx, nil)
	return objects, each(f.was), each(f.is), true
}

func each(links []entra.Link) iter.Seq2[entra.Link, error] {
	return func(yield func(entra.Link, error) bool) {
		for _, l := range links {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// apart is closeTo for objects and links by themselves.
func apart(a, b world) far {
	f := far{near: closeTo(a, b)}
	f.refs = slices.DeleteFunc(f.refs, func(r entra.Ref) bool { return a.objects[r] == b.objects[r] })
	for l := range a.links {
		if !b.links[l] {
			f.was = append(f.was, l)
		}
	}
	for l := range b.links {
		if !a.links[l] {
			f.is = append(f.is, l)
		}
	}
	slices.SortFunc(f.was, entra.Link.Compare)
	slices.SortFunc(f.is, entra.Link.Compare)
	return f
}

// renamed gives one object another ID wherever it is mentioned.
func renamed(w world, old, to entra.Ref) world {
	ids := map[entra.ID]entra.ID{old.ID: to.ID}
	name := func(r entra.Ref) entra.Ref {
		if r == old {
			return to
		}
		return r
	}
	n := world{objects: map[entra.Ref]entra.Object{}, links: map[entra.Link]bool{}, parts: w.parts}
	for _, o := range w.objects {
		o = catalog.Rename(o, ids)
		n.objects[o.Ref] = o
	}
	for l := range w.links {
		n.links[entra.Link{From: name(l.From), Rel: l.Rel, To: name(l.To)}] = true
	}
	return n
}

func TestAliasesMakeTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t, 12)
		if len(a.objects) == 0 {
			t.Skip("nothing to rename")
		}
		refs := slices.SortedFunc(maps.Keys(a.objects), entra.Ref.Compare)
		refs = slices.DeleteFunc(refs, func(r entra.Ref) bool { return strings.Contains(string(r.ID), "/") })
		if len(refs) == 0 {
			t.Skip("nothing to rename")
		}
		old := rapid.SampledFrom(refs).Draw(t, "old")
		mid := entra.Ref{Type: old.Type, ID: guid(98)}
		to := entra.Ref{Type: old.Type, ID: guid(rapid.SampledFrom([]int{0, 99}).Draw(t, "new"))} // before and after all others
		o := diff.Options{Aliases: map[entra.Ref]entra.Ref{old: mid, mid: to}}
		b := renamed(a, old, to)
		for name, pair := range map[string][2]snapshot.Tree{
			"forward": {a.tree(), b.tree()}, "back": {b.tree(), a.tree()},
			"near": {a.tree(), closeTo(a, b)}, "near and back": {b.tree(), closeTo(b, a)},
			"apart": {a.tree(), apart(a, b)}, "apart and back": {b.tree(), apart(b, a)},
		} {
			if got := changes(t, pair[0], pair[1], o); len(got) > 0 {
				t.Fatalf("%s: got %v", name, got)
			}
			if raw := changes(t, pair[0], pair[1], diff.Options{Aliases: o.Aliases, Raw: true}); len(raw) < 2 {
				t.Fatalf("%s: raw shows only %v", name, raw)
			}
		}
		// What else changed shows as without the renaming, in the later tree's names. (An object that was
		// contained in the renamed one and is gone keeps its own name, which is the only one it ever had.)
		c := draw(t, 12)
		for _, w := range []world{a, c} {
			maps.DeleteFunc(w.objects, func(r entra.Ref, _ entra.Object) bool { return strings.Contains(string(r.ID), "/") })
		}
		b = renamed(a, old, to)
		c.objects[old] = a.objects[old]
		want := changes(t, b.tree(), renamed(c, old, to).tree(), diff.Options{})
		for name, tree := range map[string]snapshot.Tree{"all": renamed(c, old, to).tree(), "near": closeTo(a, renamed(c, old, to)), "apart": apart(a, renamed(c, old, to))} {
			if d := cmp.Diff(want, changes(t, a.tree(), tree, o)); d != "" {
				t.Fatalf("%s: %s", name, d)
			}
		}
	})
}

func TestReferenceThatWasNotRenamedShows(t *testing.T) {
	user, again := entra.Ref{Type: "user", ID: guid(1)}, entra.Ref{Type: "user", ID: guid(2)}
	policy := entra.Object{Ref: entra.Ref{Type: "conditionalAccessPolicy", ID: guid(3)}, Body: entra.Body(`{"conditions":{"users":{"excludeUsers":["` + guid(1) + `"]}}}`)}
	a := world{objects: map[entra.Ref]entra.Object{user: {Ref: user, Body: `{}`}, policy.Ref: policy}, parts: complete()}
	b := world{objects: map[entra.Ref]entra.Object{again: {Ref: again, Body: `{}`}, policy.Ref: policy}, parts: complete()}
	for name, tree := range map[string]snapshot.Tree{"all": b.tree(), "near": closeTo(a, b), "apart": apart(a, b)} {
		got := changes(t, a.tree(), tree, diff.Options{Aliases: map[entra.Ref]entra.Ref{user: again}})
		if len(got) != 1 || got[0].Ref != policy.Ref || len(got[0].Fields) != 2 {
			t.Errorf("%s: got %v, want the policy that still names the old user", name, got)
		}
	}
}

func TestNearAndSomeAgreeWithAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := cover(t, draw(t, 12)), cover(t, draw(t, 12))
		all := changes(t, a.tree(), b.tree(), diff.Options{})
		if d := cmp.Diff(all, changes(t, a.tree(), closeTo(a, b), diff.Options{})); d != "" {
			t.Fatalf("near: %s", d)
		}
		if d := cmp.Diff(all, changes(t, a.tree(), apart(a, b), diff.Options{})); d != "" {
			t.Fatalf("apart: %s", d)
		}
		types := []entra.Type{"group", "user"}
		want := slices.DeleteFunc(slices.Clone(all), func(c diff.Change) bool { return !slices.Contains(types, c.Ref.Type) })
		if d := cmp.Diff(want, changes(t, a.tree(), b.tree(), diff.Options{Types: types})); d != "" && len(want) > 0 {
			t.Fatalf("types: %s", d)
		}
		ref := entra.Ref{Type: "user", ID: guid(3)}
		want = slices.DeleteFunc(slices.Clone(all), func(c diff.Change) bool { return c.Ref != ref && c.Link.To != ref })
		if d := cmp.Diff(want, changes(t, a.tree(), b.tree(), diff.Options{Refs: []entra.Ref{ref, ref}})); d != "" && len(want) > 0 {
			t.Fatalf("refs: %s", d)
		}
	})
}

func TestUnaskedPropertiesAreNotCompared(t *testing.T) {
	ref := entra.Ref{Type: "user", ID: guid(1)}
	side := func(body entra.Body, asked ...string) snapshot.Tree {
		w := world{objects: map[entra.Ref]entra.Object{ref: {Ref: ref, Body: body}}, parts: []snapshot.Part{{Type: "user", Coverage: snapshot.Complete, Asked: asked}}}
		return w.tree()
	}
	a := side(`{"@odata.type":"x","city":"Rome","displayName":"A"}`, "city", "displayName")
	b := side(`{"@odata.type":"y","department":"D","displayName":"B"}`, "department", "displayName")
	got := changes(t, a, b, diff.Options{})
	want := []diff.Field{{Path: "@odata.type", Before: "x", After: "y"}, {Path: "displayName", Before: "A", After: "B"}}
	if len(got) != 1 || cmp.Diff(want, got[0].Fields) != "" {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := changes(t, side(`{"city":"Rome"}`, "city"), side(`{}`, "displayName"), diff.Options{}); len(got) != 0 {
		t.Errorf("got %v for a property that one side did not ask for", got)
	}
}

func TestWhatWasAskedForByItselfIsProvenAbsent(t *testing.T) {
	ref := entra.Ref{Type: "user", ID: guid(1)}
	role := entra.Ref{Type: "appRoleAssignment", ID: entra.Join(guid(2), "a")}
	sp := entra.Ref{Type: "appRoleAssignment", ID: guid(2)}
	for _, c := range []struct {
		name     string
		of       entra.Ref
		coverage snapshot.Coverage
		seen     []entra.Ref
		want     diff.Kind
	}{
		{"carried", ref, snapshot.Carried, nil, diff.Unknown},
		{"asked for", ref, snapshot.Carried, []entra.Ref{ref}, diff.Removed},
		{"asked for beside one that was refused", ref, snapshot.Denied, []entra.Ref{ref}, diff.Removed},
		{"another asked for", ref, snapshot.Carried, []entra.Ref{{Type: "user", ID: guid(3)}}, diff.Unknown},
		{"contents listed", role, snapshot.Carried, []entra.Ref{sp}, diff.Removed},
		{"contents of another listed", role, snapshot.Carried, []entra.Ref{{Type: "appRoleAssignment", ID: guid(3)}}, diff.Unknown},
	} {
		a := world{objects: map[entra.Ref]entra.Object{c.of: {Ref: c.of, Body: `{}`}}, parts: complete()}
		b := world{parts: []snapshot.Part{{Type: c.of.Type, Coverage: c.coverage, Seen: c.seen}}}
		got := changes(t, a.tree(), b.tree(), diff.Options{})
		if len(got) != 1 || got[0].Kind != c.want {
			t.Errorf("%s: got %v, want one %s", c.name, got, c.want)
		}
	}
}

func TestLinksListedAtOneEndAreProvenAbsent(t *testing.T) {
	l := entra.Link{From: entra.Ref{Type: "group", ID: guid(1)}, Rel: "members", To: entra.Ref{Type: "group", ID: guid(2)}}
	objects := map[entra.Ref]entra.Object{l.From: {Ref: l.From, Body: `{}`}, l.To: {Ref: l.To, Body: `{}`}}
	a := world{objects: objects, links: map[entra.Link]bool{l: true}, parts: complete()}
	for _, c := range []struct {
		name string
		part snapshot.Part
		want diff.Kind
	}{
		{"carried", snapshot.Part{}, diff.Unknown},
		{"listed where it starts", snapshot.Part{Seen: []entra.Ref{l.From}}, diff.Unlinked},
		{"listed where it ends", snapshot.Part{SeenTo: []entra.Ref{l.To}}, diff.Unlinked},
		{"listed the other way", snapshot.Part{Seen: []entra.Ref{l.To}, SeenTo: []entra.Ref{l.From}}, diff.Unknown},
	} {
		c.part.Type, c.part.Relation, c.part.Coverage = "group", "members", snapshot.Carried
		b := world{objects: objects, parts: []snapshot.Part{{Type: "group", Coverage: snapshot.Carried}, c.part}}
		got := changes(t, a.tree(), b.tree(), diff.Options{})
		if len(got) != 1 || got[0].Kind != c.want {
			t.Errorf("%s: got %v, want one %s", c.name, got, c.want)
		}
	}
}

func TestStreamsAreNotCompared(t *testing.T) {
	r, ok := catalog.Lookup("directoryAudit")
	if !ok || !r.Stream {
		t.Fatal("directoryAudit is no stream")
	}
	ref := entra.Ref{Type: r.Type, ID: "1"}
	w := world{objects: map[entra.Ref]entra.Object{ref: {Ref: ref, Body: `{}`}}, parts: []snapshot.Part{{Type: r.Type, Coverage: snapshot.Complete}}}
	if got := changes(t, world{parts: w.parts}.tree(), w.tree(), diff.Options{}); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}

type broken struct{ *snapshot.Memory }

func (broken) Entries(context.Context, entra.Type) iter.Seq2[snapshot.Entry, error] {
	return func(yield func(snapshot.Entry, error) bool) { yield(snapshot.Entry{}, errors.New("unreadable")) }
}

func TestErrorsAreTheLastPair(t *testing.T) {
	w := world{parts: complete()}
	for _, pair := range [][2]snapshot.Tree{{broken{w.tree()}, w.tree()}, {w.tree(), broken{w.tree()}}} {
		n, failed := 0, 0
		for _, err := range diff.Trees(t.Context(), pair[0], pair[1], diff.Options{}) {
			if n++; err != nil {
				failed++
			}
		}
		if n != 1 || failed != 1 {
			t.Errorf("got %d pairs, %d errors, want one error", n, failed)
		}
	}
}

func TestBodies(t *testing.T) {
	policy, _ := catalog.Lookup("conditionalAccessPolicy")
	app, _ := catalog.Lookup("servicePrincipal")
	user, _ := catalog.Lookup("user")
	if policy == nil || app == nil || user == nil {
		t.Fatal("the catalog lacks a type")
	}
	n := func(s string) any { return entra.Number(s) }
	for _, c := range []struct {
		name          string
		r             *catalog.Resource
		before, after entra.Body
		want          []diff.Field
	}{
		{"same", policy, `{"a":1}`, `{"a":1}`, nil},
		{"scalar", policy, `{"state":"enabled"}`, `{"state":"disabled"}`, []diff.Field{{"state", "enabled", "disabled"}}},
		{"added and removed", policy, `{"a":1}`, `{"b":2}`, []diff.Field{{"a", n("1"), nil}, {"b", nil, n("2")}}},
		{"digits are kept", policy, `{"a":1.0}`, `{"a":1}`, []diff.Field{{"a", n("1.0"), n("1")}}},
		{"set", policy, `{"conditions":{"users":{"excludeUsers":["x","y"]}}}`, `{"conditions":{"users":{"excludeUsers":["y","z"]}}}`,
			[]diff.Field{{"conditions.users.excludeUsers[x]", "x", nil}, {"conditions.users.excludeUsers[z]", nil, "z"}}},
		{"emptied set", policy, `{"conditions":{"users":{"excludeUsers":["x"]}}}`, `{"conditions":{"users":{"excludeUsers":[]}}}`,
			[]diff.Field{{"conditions.users.excludeUsers[x]", "x", nil}}},
		{"lost set", policy, `{"conditions":{"users":{"excludeUsers":["x"]}}}`, `{"conditions":{"users":{}}}`,
			[]diff.Field{{"conditions.users.excludeUsers", []any{}, nil}, {"conditions.users.excludeUsers[x]", "x", nil}}},
		{"lost complex value", policy, `{"conditions":{"users":{"excludeUsers":["x"]}}}`, `{"conditions":{}}`,
			[]diff.Field{{"conditions.users", map[string]any{"excludeUsers": []any{"x"}}, nil}}},
		{"keyed", app, `{"keyCredentials":[{"keyId":"1","a":1},{"keyId":"2"}]}`, `{"keyCredentials":[{"keyId":"1","a":2},{"keyId":"3"}]}`,
			[]diff.Field{{"keyCredentials[keyId=1].a", n("1"), n("2")}, {"keyCredentials[keyId=2]", map[string]any{"keyId": "2"}, nil}, {"keyCredentials[keyId=3]", nil, map[string]any{"keyId": "3"}}}},
		{"first of a keyed array", app, `{}`, `{"keyCredentials":[{"keyId":"1"}]}`,
			[]diff.Field{{"keyCredentials[keyId=1]", nil, map[string]any{"keyId": "1"}}}},
		{"key that occurs twice", app, `{"keyCredentials":[{"keyId":"1"}]}`, `{"keyCredentials":[{"keyId":"1"},{"keyId":"1"}]}`,
			[]diff.Field{{"keyCredentials", []any{map[string]any{"keyId": "1"}}, []any{map[string]any{"keyId": "1"}, map[string]any{"keyId": "1"}}}}},
		{"set within a keyed array", user, `{"assignedLicenses":[{"skuId":"1","disabledPlans":["a"]}]}`, `{"assignedLicenses":[{"skuId":"1","disabledPlans":["a","b"]}]}`,
			[]diff.Field{{"assignedLicenses[skuId=1].disabledPlans[b]", nil, "b"}}},
		{"brackets in an element", app, `{}`, `{"tags":["a[1]%"]}`, []diff.Field{{"tags[a%5B1%5D%25]", nil, "a[1]%"}}},
		{"undeclared array", user, `{"x":[1,2]}`, `{"x":[2]}`, []diff.Field{{"x", []any{n("1"), n("2")}, []any{n("2")}}}},
		{"undeclared type", nil, `{"x":[1],"y":{"z":1}}`, `{"x":[2],"y":{"z":2}}`, []diff.Field{{"x", []any{n("1")}, []any{n("2")}}, {"y.z", n("1"), n("2")}}},
	} {
		if c.r == nil && c.name != "undeclared type" {
			t.Fatal("no declaration")
		}
		before, after := canonical(t, c.before), canonical(t, c.after)
		got := diff.Bodies(c.r, before, after)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if b, err := diff.With(c.r, before, got); err != nil || b != after {
			t.Errorf("%s: With gives %s, %v, want %s", c.name, b, err, after)
		}
	}
}

func canonical(t *testing.T, b entra.Body) entra.Body {
	t.Helper()
	c, err := entra.Canonical([]byte(b))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSplit(t *testing.T) {
	app, _ := catalog.Lookup("servicePrincipal")
	for path, want := range map[string][]diff.Element{
		"a":                         {{Member: "a"}},
		"a.b":                       {{Member: "a"}, {Member: "b"}},
		"@odata.type":               {{Member: "@odata.type"}},
		"tags[x.y=z]":               {{Member: "tags"}, {Value: "x.y=z"}},
		"tags[%5B%5D%25]":           {{Member: "tags"}, {Value: "[]%"}},
		"keyCredentials[keyId=1].a": {{Member: "keyCredentials"}, {Key: "keyId", Value: "1"}, {Member: "a"}},
		"":                          nil, ".": nil, "a.": nil, ".a": nil, "a..b": nil, "[x]": nil, "a[x": nil,
	} {
		got, err := diff.Split(app, path)
		if (err == nil) != (want != nil) || cmp.Diff(want, got) != "" && want != nil {
			t.Errorf("%q: got %v, %v, want %v", path, got, err, want)
		}
	}
}

func TestKindIsAWord(t *testing.T) {
	n := 0
	for _, k := range []diff.Kind{diff.Added, diff.Removed, diff.Changed, diff.Linked, diff.Unlinked, diff.Unknown} {
		text, err := k.MarshalText()
		var back diff.Kind
		if err != nil || back.UnmarshalText(text) != nil || back != k {
			t.Errorf("%s comes back as %s", k, back)
		}
		n++
	}
	var k diff.Kind
	if n == 0 || k.UnmarshalText([]byte("moved")) == nil {
		t.Error("an unknown word was read")
	}
}

// An object made anew can repeat the ID it had before, as a role does in its template: it names itself by it, and
// nothing has changed.
func TestWhatRepeatsItsOwnFormerIDIsTheSame(t *testing.T) {
	role := func(n int) entra.Ref { return entra.Ref{Type: catalog.RoleType, ID: guid(n)} }
	side := func(ref entra.Ref) snapshot.Tree {
		o := entra.Object{Ref: ref, Body: entra.Body(`{"displayName":"Harbour master","templateId":"` + string(guid(1)) + `"}`)}
		return world{objects: map[entra.Ref]entra.Object{ref: o}, parts: []snapshot.Part{{Type: ref.Type, Coverage: snapshot.Complete}}}.tree()
	}
	if got := changes(t, side(role(1)), side(role(2)), diff.Options{Aliases: map[entra.Ref]entra.Ref{role(1): role(2)}}); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}
