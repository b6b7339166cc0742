package index_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(rebuildIn); dir != "" {
		if err := rebuild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// options project bodies {"name", "search", "holds"} and entries {"id", "at", "on"}.
var options = index.Options{
	Version: "1",
	Project: func(o entra.Object) index.Projection {
		m := o.Body.Decode()
		p := index.Projection{Refs: holds(o)}
		p.Name, _ = m["name"].(string)
		if s, ok := m["search"].(string); ok {
			p.Search = []string{s}
		}
		return p
	},
	Act: func(b entra.Body) (index.Act, bool) {
		m := b.Decode()
		at, err := time.Parse(time.RFC3339, fmt.Sprint(m["at"]))
		on, _ := m["on"].(string)
		return index.Act{ID: fmt.Sprint(m["id"]), At: at, On: []entra.ID{entra.ID(on)}}, err == nil
	},
}

func holds(o entra.Object) (ids []entra.ID) {
	all, _ := o.Body.Decode()["holds"].([]any)
	for _, id := range all {
		ids = append(ids, entra.ID(id.(string)))
	}
	return ids
}

// A world is a repository, the index that captures compare with, and what each snapshot should hold.
type world struct {
	t     rapid.TB
	ctx   context.Context
	store store.Store
	o     repository.Options
	r     *repository.Repository
	x     *index.Index
	now   time.Time
	trees map[int64]*snapshot.Memory
	all   []int64
}

var types = []entra.Type{"apple", "pear"}

func newWorld(t rapid.TB, ctx context.Context) *world {
	t.Helper()
	w := &world{t: t, ctx: ctx, store: &mem.Store{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), trees: map[int64]*snapshot.Memory{}}
	identity, err := age.GenerateX25519Identity()
	w.must(err)
	signer, err := repository.GenerateSigner("test")
	w.must(err)
	clock := func() time.Time { return w.now }
	_, err = repository.Init(ctx, w.store, repository.InitOptions{Tenant: entra.Tenant{ID: "11111111-2222-3333-4444-555555555555", Name: "test"},
		Holders: []string{identity.Recipient().String()}, Now: clock, Signer: signer})
	w.must(err)
	w.o = repository.Options{Identities: []age.Identity{identity}, Signer: signer, Now: clock}
	w.r, err = repository.Open(ctx, w.store, w.o)
	w.must(err)
	w.x = w.open(":memory:")
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v", err)
	}
}

func (w *world) open(path string) *index.Index {
	w.t.Helper()
	x, err := index.Open(w.ctx, path, options)
	w.must(err)
	return x
}

// capture commits a snapshot of exactly these objects and links, with complete parts.
func (w *world) capture(objects []entra.Object, links []entra.Link, acts ...string) int64 {
	w.t.Helper()
	var parent snapshot.Base
	if len(w.all) > 0 {
		tree, err := w.x.Tree(w.ctx, w.r, w.all[len(w.all)-1])
		w.must(err)
		parent = tree
	}
	began := w.now
	w.now = w.now.Add(time.Minute)
	c, err := w.r.Begin(w.ctx, parent, began)
	w.must(err)
	for _, o := range objects {
		w.must(c.Put(w.ctx, o))
	}
	for _, l := range links {
		w.must(c.Link(w.ctx, l))
	}
	for _, a := range acts {
		w.must(c.Audit(w.ctx, []byte(a)))
	}
	for _, t := range types {
		for _, rel := range []string{"", "near"} {
			w.must(c.End(w.ctx, snapshot.Part{Type: t, Relation: rel, Coverage: snapshot.Complete, Read: began}, true))
		}
	}
	s, err := c.Commit(w.ctx)
	w.must(err)
	w.now = w.now.Add(59 * time.Minute)
	w.must(w.x.Update(w.ctx, w.r))
	w.all = append(w.all, s.Number)
	w.trees[s.Number] = snapshot.NewMemory(s, holds, objects, links)
	return s.Number
}

func (w *world) dump(x *index.Index) string {
	w.t.Helper()
	s, err := x.Dump(w.ctx)
	w.must(err)
	return s
}

func object(r entra.Ref, name, search string, ids ...entra.ID) entra.Object {
	all := make([]any, len(ids))
	for i, id := range ids {
		all[i] = string(id)
	}
	b, err := entra.Encode(map[string]any{"name": name, "search": search, "holds": all})
	if err != nil {
		panic(err)
	}
	return entra.Object{Ref: r, Body: b}
}

func ref(t entra.Type, id entra.ID) entra.Ref { return entra.Ref{Type: t, ID: id} }

func collect[T any](t rapid.TB, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range seq {
		if err != nil {
			t.Fatalf("%v", err)
		}
		all = append(all, v)
	}
	return all
}

// draw makes a random tenant: links end at an object that is there, or at one of a type that is never read.
func draw(t *rapid.T) (objects []entra.Object, links []entra.Link) {
	var there []entra.Ref
	for _, of := range types {
		for i := range 5 {
			if rapid.Bool().Draw(t, "there") {
				r := ref(of, entra.ID(fmt.Sprintf("id/%d", i)))
				there = append(there, r)
				var ids []entra.ID
				for _, id := range []entra.ID{"id/0", "else"} {
					if rapid.Bool().Draw(t, "holds") {
						ids = append(ids, id)
					}
				}
				name := rapid.SampledFrom([]string{"Red", "Green", "Blue"}).Draw(t, "name")
				objects = append(objects, object(r, name, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "search"), ids...))
			}
		}
	}
	ends := append(slices.Clone(there), ref("stone", "1"))
	for _, from := range there {
		for _, to := range ends {
			if rapid.IntRange(0, 3).Draw(t, "near") == 0 {
				links = append(links, entra.Link{From: from, Rel: "near", To: to})
			}
		}
	}
	return objects, links
}

// TestRebuilt holds law 9, and that every tree is what was captured.
func TestRebuilt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, t.Context())
		defer w.x.Close()
		for range rapid.IntRange(1, 5).Draw(t, "captures") {
			objects, links := draw(t)
			w.capture(objects, links)
			if rapid.Bool().Draw(t, "alias") {
				n := rapid.IntRange(0, 4).Draw(t, "old")
				w.outcomes(map[string]string{fmt.Sprintf("pear/id/%d", n): fmt.Sprintf("pear/id/%d", n+1)})
			}
		}
		w.must(w.x.Update(w.ctx, w.r))
		anew := w.open(":memory:")
		defer anew.Close()
		w.must(anew.Update(w.ctx, w.r))
		if d := cmp.Diff(w.dump(w.x), w.dump(anew)); d != "" {
			t.Fatalf("updated and rebuilt differ:\n%s", d)
		}
		for _, n := range w.all {
			w.same(anew, n)
		}
		from, to := rapid.SampledFrom(w.all).Draw(t, "from"), rapid.SampledFrom(w.all).Draw(t, "to")
		w.touched(anew, from, to)
	})
}

func (w *world) outcomes(ids map[string]string) {
	w.t.Helper()
	data, err := json.Marshal(map[string]any{"ids": ids, "other": 1})
	w.must(err)
	_, err = w.r.Append(w.ctx, repository.KindOutcomes, 0, data)
	w.must(err)
}

// same compares the index's tree with what was captured.
func (w *world) same(x *index.Index, n int64) {
	w.t.Helper()
	tree, err := x.Tree(w.ctx, w.r, n)
	w.must(err)
	want := w.trees[n]
	eq := func(what string, got, want any) {
		w.t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			w.t.Fatalf("snapshot %d: %s: %s", n, what, d)
		}
	}
	var every []entra.Ref
	for _, of := range append(types, "stone") {
		entries := collect(w.t, tree.Entries(w.ctx, of))
		eq("entries", entries, collect(w.t, want.Entries(w.ctx, of)))
		eq("links", collect(w.t, tree.Links(w.ctx, of, "near")), collect(w.t, want.Links(w.ctx, of, "near")))
		for _, rel := range []string{"", "near", "far"} {
			sum, err := tree.Sum(w.ctx, of, rel)
			w.must(err)
			wanted, _ := want.Sum(w.ctx, of, rel)
			eq("sum", sum, wanted)
			if stored, err := x.Stored(w.ctx, of, rel); n == w.all[len(w.all)-1] { // of the newest none has to be made
				w.must(err)
				eq("stored sum of "+string(of)+" "+rel, stored, wanted)
			}
		}
		for i := range 6 {
			r := ref(of, entra.ID(fmt.Sprintf("id/%d", i)))
			every = append(every, r)
			eq("around", collect(w.t, tree.Around(w.ctx, r)), collect(w.t, want.Around(w.ctx, r)))
			v, ok, err := tree.Version(w.ctx, r)
			w.must(err)
			wantV, wantOK, _ := want.Version(w.ctx, r)
			eq("version", fmt.Sprint(v, ok), fmt.Sprint(wantV, wantOK))
			for _, rel := range []string{"near", "far"} {
				l := entra.Link{From: ref("apple", "id/1"), Rel: rel, To: r}
				has, err := tree.Has(w.ctx, l)
				w.must(err)
				there, _ := want.Has(w.ctx, l)
				eq("has "+l.String(), has, there)
			}
			o, err := tree.Object(w.ctx, r)
			wanted, missing := want.Object(w.ctx, r)
			if errors.Is(err, fs.ErrNotExist) != (missing != nil) || (err == nil) != (missing == nil) {
				w.t.Fatalf("snapshot %d: %s: %v, want %v", n, r, err, missing)
			}
			eq("object", o, wanted)
			name, err := tree.Name(w.ctx, r)
			if (err == nil) != (missing == nil) {
				w.t.Fatalf("snapshot %d: name of %s: %v, want %v", n, r, err, missing)
			}
			if missing == nil {
				eq("name", name, options.Project(wanted).Name)
			}
		}
	}
	var objects []entra.Object
	slices.Reverse(every)
	for _, r := range every {
		if o, err := want.Object(w.ctx, r); err == nil {
			objects = append(objects, o)
		}
	}
	eq("objects", collect(w.t, tree.Objects(w.ctx, every)), objects)
	for _, id := range []entra.ID{"id/0", "else", "none"} {
		eq("holders", collect(w.t, tree.Holders(w.ctx, id)), collect(w.t, want.Holders(w.ctx, id)))
	}
}

// touched compares Touched with comparing all of both trees.
func (w *world) touched(x *index.Index, from, to int64) {
	w.t.Helper()
	a, err := x.Tree(w.ctx, w.r, from)
	w.must(err)
	b, err := x.Tree(w.ctx, w.r, to)
	w.must(err)
	refs, ok := b.Touched(w.ctx, a)
	if !ok {
		w.t.Fatalf("two trees of one index do not know each other")
	}
	want := map[entra.Ref]bool{}
	sides := map[string]int{}
	for _, n := range []int64{from, to} {
		for _, of := range types {
			for _, e := range collect(w.t, w.trees[n].Entries(w.ctx, of)) {
				sides[e.Ref.String()+" "+e.Version.String()] += 1
				want[e.Ref] = want[e.Ref] || false
			}
			for _, l := range collect(w.t, w.trees[n].Links(w.ctx, of, "near")) {
				sides[l.From.String()+" "+l.String()]++
			}
		}
	}
	for what, n := range sides {
		if r, _, _ := strings.Cut(what, " "); n == 1 {
			p, err := entra.ParseRef(r)
			w.must(err)
			want[p] = true
		}
	}
	maps.DeleteFunc(want, func(_ entra.Ref, differs bool) bool { return !differs || from == to })
	if d := cmp.Diff(slices.SortedFunc(maps.Keys(want), entra.Ref.Compare), collect(w.t, refs)); d != "" {
		w.t.Fatalf("touched between %d and %d: %s", from, to, d)
	}
	objects, was, is, ok := b.Apart(w.ctx, a)
	if !ok {
		w.t.Fatalf("two trees of one index do not know each other")
	}
	maps.DeleteFunc(want, func(r entra.Ref, _ bool) bool {
		x, _ := w.trees[from].Object(w.ctx, r) // where it is not, no body
		y, _ := w.trees[to].Object(w.ctx, r)
		return x.Body == y.Body
	})
	if d := cmp.Diff(slices.SortedFunc(maps.Keys(want), entra.Ref.Compare), collect(w.t, objects)); d != "" {
		w.t.Fatalf("objects between %d and %d: %s", from, to, d)
	}
	only := func(one, other int64) (links []entra.Link) {
		for _, of := range types {
			not := collect(w.t, w.trees[other].Links(w.ctx, of, "near"))
			for _, l := range collect(w.t, w.trees[one].Links(w.ctx, of, "near")) {
				if !slices.Contains(not, l) {
					links = append(links, l)
				}
			}
		}
		return links
	}
	if d := cmp.Diff([][]entra.Link{only(from, to), only(to, from)}, [][]entra.Link{collect(w.t, was), collect(w.t, is)}); d != "" {
		w.t.Fatalf("links between %d and %d: %s", from, to, d)
	}
}

// garden is a small world with a life in it.
func garden(t *testing.T) (w *world, anna, bob entra.Ref) {
	w = newWorld(t, t.Context())
	t.Cleanup(func() { w.x.Close() })
	anna, bob = ref("apple", "aaaa1111"), ref("apple", "bbbb2222")
	g := ref("pear", "cccc3333")
	near := func(r entra.Ref) entra.Link { return entra.Link{From: g, Rel: "near", To: r} }
	bobby := object(bob, "Bob Möller", "bob@contoso.example")
	group := object(g, "Finance", "0f0f-app", "aaaa1111")
	entry := func(id, at string) string { return fmt.Sprintf(`{"at":%q,"id":%q,"on":"aaaa1111"}`, at, id) }
	w.capture([]entra.Object{object(anna, "Anna Berg", "anna.berg@contoso.example"), bobby, group}, []entra.Link{near(anna)}, entry("e1", "2026-03-01T11:00:00Z"))
	w.capture([]entra.Object{object(anna, "Anna Lund", "anna.lund@contoso.example"), bobby, group}, []entra.Link{near(anna), near(bob)},
		entry("e1", "2026-03-01T11:00:00Z"), entry("e2", "2026-03-01T12:30:00Z"))
	w.capture([]entra.Object{bobby, group}, []entra.Link{near(bob)})
	w.capture([]entra.Object{object(anna, "Anna Lund", "anna.lund@contoso.example"), bobby, object(g, "Finance", "0f0f-app")}, []entra.Link{near(bob)})
	return w, anna, bob
}

func TestFind(t *testing.T) {
	w, anna, bob := garden(t)
	n := w.all
	for _, c := range []struct {
		name string
		q    index.Query
		want []string
	}{
		{"by the beginning of a word", index.Query{Text: "ann"}, []string{"Anna Lund"}},
		{"by two words", index.Query{Text: "lun ANNA"}, []string{"Anna Lund"}},
		{"by a name it had", index.Query{Text: "berg"}, []string{"Anna Berg"}},
		{"by a name it had, now", index.Query{Text: "berg", At: n[3]}, nil},
		{"by a name it had, then", index.Query{Text: "berg", At: n[0]}, []string{"Anna Berg"}},
		{"while it was gone", index.Query{Text: "anna", At: n[2]}, nil},
		{"by user principal name", index.Query{Text: "anna.lund@contoso.example"}, []string{"Anna Lund"}},
		{"without the accent", index.Query{Text: "moller"}, []string{"Bob Möller"}},
		{"with the accent", index.Query{Text: "Möl"}, []string{"Bob Möller"}},
		{"with an accent of its own", index.Query{Text: "Mo\u0308ller"}, []string{"Bob Möller"}},
		{"by an ID", index.Query{Text: "bbbb2222"}, []string{"Bob Möller"}},
		{"by the beginning of an ID", index.Query{Text: "bbbb"}, []string{"Bob Möller"}},
		{"by too short a beginning", index.Query{Text: "bbb"}, nil},
		{"by appId", index.Query{Text: "0f0f-app"}, []string{"Finance"}},
		{"of a type", index.Query{Text: "contoso", Type: "apple"}, []string{"Anna Lund", "Bob Möller"}},
		{"of another type", index.Query{Text: "contoso", Type: "pear"}, nil},
		{"at most", index.Query{Text: "contoso", Max: 1}, []string{"Anna Lund"}},
		{"nothing", index.Query{}, nil},
		{"no words", index.Query{Text: `"*() -`}, nil},
		{"a query's syntax", index.Query{Text: `anna OR bob`}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := w.x.Find(t.Context(), c.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				got = append(got, f.Name)
				tree, err := w.x.Tree(t.Context(), w.r, f.Seen())
				if err != nil {
					t.Fatal(err)
				}
				if name, err := tree.Name(t.Context(), f.Ref); err != nil || name != f.Name {
					t.Errorf("seen %d: %q, %v", f.Seen(), name, err)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	found, err := w.x.Find(t.Context(), index.Query{Text: "anna"})
	if err != nil || len(found) != 1 || found[0].Ref != anna || found[0].First != n[0] || found[0].Last != 0 {
		t.Errorf("life of the found: %+v, %v", found, err)
	}
	_ = bob
}

// TestFindAnything holds that no text is an error.
func TestFindAnything(t *testing.T) {
	w, _, _ := garden(t)
	rapid.Check(t, func(t *rapid.T) {
		if _, err := w.x.Find(w.ctx, index.Query{Text: rapid.String().Draw(t, "text")}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLife(t *testing.T) {
	w, anna, bob := garden(t)
	n := w.all
	ctx := t.Context()
	spans, err := w.x.Spans(ctx, anna)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range spans {
		got = append(got, fmt.Sprintf("%s %d-%d", s.Name, s.First, s.Last))
	}
	want := []string{fmt.Sprintf("Anna Berg %d-%d", n[0], n[0]), fmt.Sprintf("Anna Lund %d-%d", n[1], n[1]), fmt.Sprintf("Anna Lund %d-0", n[3])}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("spans: %s", d)
	}
	got = nil
	for l, err := range w.x.LinkSpans(ctx, ref("pear", "cccc3333")) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d-%d", l.Link.To.ID, l.First, l.Last))
	}
	if d := cmp.Diff([]string{fmt.Sprintf("aaaa1111 %d-%d", n[0], n[1]), fmt.Sprintf("bbbb2222 %d-0", n[1])}, got); d != "" {
		t.Errorf("link spans: %s", d)
	}
	for _, c := range []struct {
		ref  entra.Ref
		want []int64
	}{{anna, n}, {bob, n[:2]}, {ref("apple", "none"), nil}} {
		if got, err := w.x.Moments(ctx, c.ref); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("moments of %s: %v, %v, want %v", c.ref, got, err, c.want)
		}
	}
	last, err := w.x.Tree(ctx, w.r, n[3])
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, last.Holders(ctx, "aaaa1111")); len(got) != 0 {
		t.Errorf("holders at last: %v", got)
	}
	before, err := w.x.Tree(ctx, w.r, n[2])
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, before.Holders(ctx, "aaaa1111")); len(got) != 1 {
		t.Errorf("holders before: %v", got)
	}
	if _, ok := last.Touched(ctx, w.trees[n[0]]); ok {
		t.Error("a tree of another kind is touched")
	}
}

func TestSnapshots(t *testing.T) {
	w, _, _ := garden(t)
	ctx := t.Context()
	all, err := w.x.Tallies(ctx, 0)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d snapshots, %v", len(all), err)
	}
	if newest, err := w.x.Tallies(ctx, 2); err != nil || !cmp.Equal(newest, all[2:]) {
		t.Errorf("the newest two of %v are %v, %v", all, newest, err)
	}
	for i, tally := range all {
		s, err := w.x.Snapshot(ctx, tally.Number)
		w.must(err)
		if d := cmp.Diff(index.TallyOf(s), tally); d != "" {
			t.Errorf("snapshot %d added up (-want +got):\n%s", tally.Number, d)
		}
		want := w.trees[w.all[i]].Snapshot()
		if d := cmp.Diff(want, s); d != "" {
			t.Errorf("snapshot %d: %s", s.Number, d)
		}
		next := s.Ended.Add(time.Hour)
		if i+1 < len(all) {
			next = all[i+1].Ended
		}
		for _, when := range []time.Time{s.Ended, next.Add(-1)} {
			if at, err := w.x.At(ctx, when); err != nil || at.Number != s.Number {
				t.Errorf("at %s: %+v, %v", when, at, err)
			}
		}
	}
	if latest, err := w.x.Latest(ctx); err != nil || latest.Number != w.all[3] {
		t.Errorf("latest: %v, %v", latest, err)
	}
	for what, err := range map[string]error{
		"before the first": second(w.x.At(ctx, all[0].Ended.Add(-1))),
		"no such number":   second(w.x.Snapshot(ctx, 99)),
		"no such tree":     second(w.x.Tree(ctx, w.r, 99)),
		"the year 1":       second(w.x.At(ctx, time.Time{})),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	records, err := w.x.Records(ctx, repository.KindSnapshot)
	if err != nil || len(records) != 4 || records[0].Number != w.all[0] {
		t.Errorf("records: %v, %v", records, err)
	}
	records, err = w.x.Records(ctx, repository.KindInit, repository.KindSnapshot)
	if err != nil || len(records) != 5 || records[0].Number != 0 || records[4].Number != w.all[3] {
		t.Errorf("records of two kinds: %v, %v", records, err)
	}
	empty := w.open(":memory:")
	defer empty.Close()
	if _, err := empty.Latest(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("latest of nothing: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestActs(t *testing.T) {
	w, anna, bob := garden(t)
	at := func(h, m int) time.Time { return time.Date(2026, 3, 1, h, m, 0, 0, time.UTC) }
	for _, c := range []struct {
		name     string
		ref      entra.Ref
		from, to time.Time
		want     []string
	}{
		{"all", anna, at(0, 0), at(23, 0), []string{"e1", "e2"}},
		{"from", anna, at(11, 0), at(12, 30), []string{"e1"}},
		{"to", anna, at(11, 1), at(12, 31), []string{"e2"}},
		{"another", bob, at(0, 0), at(23, 0), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			bodies, err := w.x.Acts(t.Context(), w.r, c.ref, c.from, c.to)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range bodies {
				id, _ := b.Get("id")
				got = append(got, fmt.Sprint(id))
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	if ids, err := w.x.ActsSince(t.Context(), at(11, 1)); err != nil || !slices.Equal(ids, []string{"e2"}) {
		t.Errorf("since: %v, %v", ids, err)
	}
}

func TestAliases(t *testing.T) {
	w, _, _ := garden(t)
	w.outcomes(map[string]string{"apple/1": "apple/2", "pear/1": "pear/1"})
	w.outcomes(map[string]string{"apple/2": "apple/3"})
	w.outcomes(map[string]string{"pear/8": "pear/9"})
	w.outcomes(map[string]string{"pear/9": "pear/8"})
	w.outcomes(map[string]string{"plum/1": "plum/2"})
	w.outcomes(map[string]string{"plum/1": "plum/1"}) // made once more, beside the other
	w.must(w.x.Update(w.ctx, w.r))
	got, err := w.x.Aliases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[entra.Ref]entra.Ref{
		ref("apple", "1"): ref("apple", "3"), ref("apple", "2"): ref("apple", "3"),
		ref("pear", "9"): ref("pear", "8"), // the later has the name again
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestMany reads more than a page of everything, asking the tree again from within each sequence.
func TestMany(t *testing.T) {
	w := newWorld(t, t.Context())
	defer w.x.Close()
	var objects []entra.Object
	var links []entra.Link
	hub := ref("pear", "hub")
	objects = append(objects, object(hub, "Hub", ""))
	for i := range 2345 {
		r := ref("apple", entra.ID(fmt.Sprintf("%05d", rand.New(rand.NewPCG(1, uint64(i))).IntN(1<<30)*10000+i)))
		objects = append(objects, object(r, fmt.Sprintf("Apple %d", i), "", "all"))
		links = append(links, entra.Link{From: hub, Rel: "near", To: r}, entra.Link{From: r, Rel: "near", To: hub})
	}
	n := w.capture(objects, links)
	m := w.capture(objects[:1], nil)
	tree, err := w.x.Tree(w.ctx, w.r, n)
	w.must(err)
	want := w.trees[n]
	again := func() {
		if _, err := tree.Name(w.ctx, hub); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for e, err := range tree.Entries(w.ctx, "apple") {
		w.must(err)
		again()
		_ = e
		seen++
	}
	if seen != 2345 {
		t.Errorf("%d entries", seen)
	}
	for _, of := range types {
		if d := cmp.Diff(collect(t, want.Links(w.ctx, of, "near")), collect(t, tree.Links(w.ctx, of, "near"))); d != "" {
			t.Errorf("links of %s: %s", of, d)
		}
	}
	if d := cmp.Diff(collect(t, want.Around(w.ctx, hub)), collect(t, tree.Around(w.ctx, hub))); d != "" {
		t.Errorf("around: %s", d)
	}
	for _, err := range tree.Around(w.ctx, hub) {
		w.must(err)
		again()
		break
	}
	if got := collect(t, tree.Holders(w.ctx, "all")); len(got) != 2345 {
		t.Errorf("%d holders", len(got))
	}
	refs := make([]entra.Ref, len(objects))
	for i, o := range objects {
		refs[i] = o.Ref
	}
	if d := cmp.Diff(objects, collect(t, tree.Objects(w.ctx, refs))); d != "" {
		t.Errorf("objects: %s", d)
	}
	names, err := tree.Names(w.ctx, refs)
	if err != nil || len(names) != len(refs) || names[hub] != "Hub" {
		t.Errorf("%d names, %v", len(names), err)
	}
	w.touched(w.x, n, m)
}

// TestFaults stops an update at every operation of the store, and by cancelling it.
func TestFaults(t *testing.T) {
	w, _, _ := garden(t)
	want := w.dump(w.x)
	tried := 0
	for n := 0; ; n++ {
		armed, hit := false, false
		start := -1
		s := storetest.Faulty(w.store, func(i int, _, _ string) storetest.Fault {
			if armed && start < 0 {
				start = i
			}
			if armed && i-start == n {
				hit = true
				return storetest.Before
			}
			return storetest.None
		})
		r, err := repository.Open(w.ctx, s, w.o)
		w.must(err)
		path := filepath.Join(t.TempDir(), "folder", "index")
		x := w.open(path)
		armed = true
		err = x.Update(w.ctx, r)
		if hit && err == nil {
			t.Fatalf("operation %d failed and Update did not say so", n)
		}
		if _, err := x.Tallies(w.ctx, 0); err != nil {
			t.Fatalf("after a fault at %d: %v", n, err)
		}
		w.must(x.Close())
		x = w.open(path)
		w.must(x.Update(w.ctx, w.r))
		if d := cmp.Diff(want, w.dump(x)); d != "" {
			t.Fatalf("after a fault at %d: %s", n, d)
		}
		w.must(x.Close())
		if !hit {
			break
		}
		tried++
	}
	if tried == 0 {
		t.Fatal("no operation failed")
	}
	x := w.open(":memory:")
	defer x.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Update(ctx, w.r); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	w.must(x.Update(w.ctx, w.r))
	if d := cmp.Diff(want, w.dump(x)); d != "" {
		t.Fatal(d)
	}
}

// TestDisposable opens what is no index, or is another's.
func TestDisposable(t *testing.T) {
	w, _, _ := garden(t)
	other, _, _ := garden(t)
	want := w.dump(w.x)
	full := func(t *testing.T, path string) {
		x := w.open(path)
		w.must(x.Update(w.ctx, w.r))
		w.must(x.Close())
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
	}{
		{"nothing", func(*testing.T, string) {}},
		{"no database", func(t *testing.T, path string) {
			w.must(os.WriteFile(path, []byte(strings.Repeat("nonsense ", 1000)), 0o600))
		}},
		{"an empty file", func(t *testing.T, path string) { w.must(os.WriteFile(path, nil, 0o644)) }},
		{"damaged at the start", func(t *testing.T, path string) { full(t, path); w.must(scribble(path, 100, 3000)) }},
		{"damaged in the middle", func(t *testing.T, path string) { full(t, path); w.must(scribble(path, 8192, 300000)) }},
		{"cut off", func(t *testing.T, path string) { full(t, path); w.must(os.Truncate(path, 3*8192)) }},
		{"another number", func(t *testing.T, path string) { full(t, path); w.must(scribble(path, 60, 4)) }},
		{"another program's", func(t *testing.T, path string) { full(t, path); w.must(scribble(path, 68, 4)) }},
		{"another repository's", func(t *testing.T, path string) {
			x := w.open(path)
			w.must(x.Update(w.ctx, other.r))
			w.must(x.Close())
		}},
		{"another projection's", func(t *testing.T, path string) {
			o := options
			o.Version, o.Project = "0", nil
			x, err := index.Open(w.ctx, path, o)
			w.must(err)
			w.must(x.Update(w.ctx, w.r))
			w.must(x.Close())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "an index?#%41")
			c.make(t, path)
			x := w.open(path)
			defer x.Close()
			w.must(x.Update(w.ctx, w.r))
			if d := cmp.Diff(want, w.dump(x)); d != "" {
				t.Fatal(d)
			}
			w.same(x, w.all[1])
			files, err := os.ReadDir(filepath.Dir(path))
			w.must(err)
			for _, f := range files {
				info, err := f.Info()
				w.must(err)
				if info.Mode().Perm() != 0o600 {
					t.Errorf("%s has mode %s", f.Name(), info.Mode())
				}
			}
		})
	}
}

func scribble(path string, off, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		n = min(n, info.Size()-off)
		_, err = f.WriteAt([]byte(strings.Repeat("\xa5", int(n))), off)
	}
	return errors.Join(err, f.Close())
}

// TestTogether updates one file through two indexes at once, as two processes do, while readers read.
func TestTogether(t *testing.T) {
	w, anna, _ := garden(t)
	path := filepath.Join(t.TempDir(), "index")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			x, err := index.Open(w.ctx, path, options)
			if err != nil {
				t.Error(err)
				return
			}
			defer x.Close()
			for range 3 {
				if err := x.Update(w.ctx, w.r); err != nil {
					t.Error(err)
				}
				if spans, err := x.Spans(w.ctx, anna); err != nil || len(spans) != 3 {
					t.Errorf("%d spans, %v", len(spans), err)
				}
			}
		})
	}
	group.Wait()
	x := w.open(path)
	defer x.Close()
	if d := cmp.Diff(w.dump(w.x), w.dump(x)); d != "" {
		t.Fatal(d)
	}
}

// TestPlans holds that what is asked often does not read whole tables.
func TestPlans(t *testing.T) {
	w, _, _ := garden(t)
	plans, err := w.x.Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(plans) == 0 {
		t.Fatal("no statements")
	}
	for name, plan := range plans {
		for _, line := range plan {
			for _, table := range []string{"o", "v", "l", "m", "s", "d", "version", "link", "object", "reference", "label", "acton", "c"} {
				if line == "SCAN "+table && (!slices.Contains([]string{"touched", "revised", "apart"}, name) || table != "c") && (name != "find" || table != "s") {
					t.Errorf("%s: %s\n\t%s", name, line, strings.Join(plan, "\n\t"))
				}
			}
		}
	}
	for name, indexes := range map[string][]string{
		"touched": {"version_a", "version_z", "link_a", "link_z"},
		"revised": {"version_a", "version_z"},
		"apart":   {"link_a", "link_z"},
		"into":    {"link_dst"},
		"around":  {"link_dst"},
		"holders": {"reference_target"},
	} {
		for _, ix := range indexes {
			if !strings.Contains(strings.Join(plans[name], "\n"), ix) {
				t.Errorf("%s does not use %s:\n\t%s", name, ix, strings.Join(plans[name], "\n\t"))
			}
		}
	}
}

// TestClosed holds that a closed index says so.
func TestClosed(t *testing.T) {
	w, _, _ := garden(t)
	w.must(w.x.Close())
	w.must(w.x.Close())
	if _, err := w.x.Tallies(t.Context(), 0); err == nil {
		t.Error("reads after Close")
	}
	if err := w.x.Update(t.Context(), w.r); err == nil {
		t.Error("updates after Close")
	}
}
