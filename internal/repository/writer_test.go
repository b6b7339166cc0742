package repository_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
)

var (
	drawTypes = []entra.Type{"deletedUser", "group", "user"}
	drawIDs   = []entra.ID{"00000000-0000-4000-8000-000000000001", "1", "a b", "b/c%2Fd", "é\"\\\u2028", "z", "zz", "\U0001F600"}
	drawRels  = []string{"members", "owners"}
	coverages = []snapshot.Coverage{snapshot.Missed, snapshot.Skipped, snapshot.Unsupported, snapshot.Unlicensed, snapshot.Denied,
		snapshot.Failed, snapshot.Partial, snapshot.Complete, snapshot.Complete, snapshot.Complete, snapshot.Complete}
)

// An act is one call on a Writer that may come at any moment.
type act func(ctx context.Context, w *repository.Writer) error

// round is one capture: what is said, how each part ends, and what the tree must be afterwards.
type round struct {
	acts    []act
	endings []snapshot.Part
	whole   []bool
	after   state
}

func drawRound(t *rapid.T, before state) round {
	r := round{after: before.clone()}
	left := map[entra.Ref]bool{}
	for _, typ := range drawTypes {
		cov := rapid.SampledFrom(coverages).Draw(t, "coverage")
		ended := rapid.IntRange(0, 5).Draw(t, "ended") > 0 // otherwise nothing is gone but what is said so
		whole := ended && cov == snapshot.Complete && rapid.Bool().Draw(t, "whole")
		var holes []entra.Ref
		said := map[entra.Ref]bool{}
		for _, id := range drawIDs {
			o := entra.Ref{Type: typ, ID: id}
			switch rapid.IntRange(0, 9).Draw(t, "fate") {
			case 0, 1, 2, 3:
				body := object(t, o, fmt.Sprintf(`{"id":"x","v":%d}`, rapid.IntRange(0, 2).Draw(t, "body")))
				r.acts = append(r.acts, func(ctx context.Context, w *repository.Writer) error { return w.Put(ctx, body) })
				if rapid.Bool().Draw(t, "again") {
					r.acts = append(r.acts, r.acts[len(r.acts)-1])
				}
				r.after.objects[o], said[o] = body.Body, true
			case 4:
				r.acts = append(r.acts, func(ctx context.Context, w *repository.Writer) error { return w.Gone(ctx, o) })
				delete(r.after.objects, o)
				left[o] = true
			case 5:
				holes = append(holes, o)
			}
		}
		if whole {
			for o := range before.objects {
				if o.Type == typ && !said[o] && !slices.Contains(holes, o) {
					delete(r.after.objects, o)
					left[o] = true
				}
			}
		}
		if ended {
			r.endings, r.whole = append(r.endings, snapshot.Part{Type: typ, Coverage: cov, Holes: holes}), append(r.whole, whole)
		}
	}
	for _, rel := range drawRels {
		cov := rapid.SampledFrom(coverages).Draw(t, "coverage")
		whole := cov == snapshot.Complete && rapid.Bool().Draw(t, "whole")
		ended := rapid.IntRange(0, 5).Draw(t, "ended") > 0
		holes := []entra.Ref{{Type: "group", ID: rapid.SampledFrom(drawIDs).Draw(t, "hole")}}
		if whole && ended {
			maps.DeleteFunc(r.after.links, func(l entra.Link, _ bool) bool { return l.Rel == rel && l.From != holes[0] })
		}
		for _, from := range drawIDs {
			for _, to := range drawIDs[:4] {
				for _, typ := range []entra.Type{"group", "user"} {
					l := entra.Link{From: entra.Ref{Type: "group", ID: from}, Rel: rel, To: entra.Ref{Type: typ, ID: to}}
					switch rapid.IntRange(0, 11).Draw(t, "link") {
					case 0, 1:
						r.acts = append(r.acts, func(ctx context.Context, w *repository.Writer) error { return w.Link(ctx, l) })
						r.after.links[l] = true
					case 2:
						r.acts = append(r.acts, func(ctx context.Context, w *repository.Writer) error { return w.Unlink(ctx, l) })
						delete(r.after.links, l)
					}
				}
			}
		}
		if ended {
			r.endings, r.whole = append(r.endings, snapshot.Part{Type: "group", Relation: rel, Coverage: cov, Holes: holes}), append(r.whole, whole)
		}
	}
	maps.DeleteFunc(r.after.links, func(l entra.Link, _ bool) bool { return left[l.From] || left[l.To] })
	return r
}

func (r round) run(ctx context.Context, t fataler, repo *repository.Repository, parent snapshot.Base, seed uint64) *snapshot.Snapshot {
	t.Helper()
	w, err := repo.Begin(ctx, parent, start)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	random := rand.New(rand.NewPCG(seed, 1))
	order := random.Perm(len(r.acts))
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for g := range errs {
		wg.Go(func() {
			for i := g; i < len(order); i += len(errs) {
				errs[g] = errors.Join(errs[g], r.acts[order[i]](ctx, w))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, i := range random.Perm(len(r.endings)) {
		if err := w.End(ctx, r.endings[i], r.whole[i]); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Laws: what is replayed is what was said, whatever the order of arrival; the roots are those of the tree.
func TestReplayGivesTheTree(t *testing.T) {
	k := newKeys(t)
	rapid.Check(t, func(rt *rapid.T) {
		repos := []*repository.Repository{create(t, new(mem.Store), k), create(t, new(mem.Store), k)}
		want, replayed := newState(), newState()
		var parents [2]snapshot.Base
		rounds := rapid.IntRange(1, 4).Draw(rt, "rounds")
		for n := range rounds {
			r := drawRound(rt, want)
			var snaps [2]*snapshot.Snapshot
			for i, repo := range repos {
				snaps[i] = r.run(t.Context(), rt, repo, parents[i], uint64(10*n+i))
			}
			before := want
			want = r.after
			for i := range repos {
				parents[i] = want.tree(snaps[i])
			}
			if d := cmp.Diff(snaps[0].Parts, snaps[1].Parts); d != "" {
				rt.Fatalf("the order of arrival matters:\n%s", d)
			}
			var last *snapshot.Snapshot
			for rec, err := range repos[0].Records(t.Context(), snaps[0].Number) {
				if err != nil {
					rt.Fatal(err)
				}
				for l, err := range repos[0].Replay(t.Context(), rec) {
					if err != nil {
						rt.Fatal(err)
					}
					replayed.play(l)
					if s, ok := l.(repository.Snapshot); ok {
						last = s.Snapshot
					}
				}
			}
			if d := cmp.Diff(snaps[0], last); d != "" {
				rt.Fatalf("replayed snapshot (-committed +replayed):\n%s", d)
			}
			if d := cmp.Diff(want.objects, replayed.objects); d != "" {
				rt.Fatalf("objects (-want +replayed):\n%s", d)
			}
			if d := cmp.Diff(want.links, replayed.links); d != "" {
				rt.Fatalf("links (-want +replayed):\n%s", d)
			}
			for _, p := range last.Parts {
				root, size := want.root(p.Type, p.Relation)
				if p.Root != root || p.Objects+p.Links != size {
					rt.Fatalf("%s %s: root or size %d is not that of its %d leaves", p.Type, p.Relation, p.Objects+p.Links, size)
				}
				if p.Relation == "" {
					was := int64(len(only(before, p.Type)))
					if was+p.Added-p.Removed != p.Objects {
						rt.Fatalf("%s: %d + %d - %d is not %d", p.Type, was, p.Added, p.Removed, p.Objects)
					}
				}
				if p.Coverage == snapshot.Complete && p.Complete != last.Number {
					rt.Fatalf("%s %s is complete as of %d", p.Type, p.Relation, p.Complete)
				}
			}
		}
		for finding, err := range repos[1].Check(t.Context(), true) {
			rt.Fatalf("Check: %+v, %v", finding, err)
		}
	})
}

func only(s state, t entra.Type) []entra.Ref {
	var refs []entra.Ref
	for r := range s.objects {
		if r.Type == t {
			refs = append(refs, r)
		}
	}
	return refs
}

// begin starts a snapshot and gives it up when the test ends.
func begin(t *testing.T, r *repository.Repository, parent snapshot.Base) *repository.Writer {
	t.Helper()
	w, err := r.Begin(t.Context(), parent, start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Abort)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, w *repository.Writer) *snapshot.Snapshot {
	t.Helper()
	s, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fill makes a first snapshot with users and a group, and returns it and what it holds.
func fill(t *testing.T, r *repository.Repository, users int) (*snapshot.Snapshot, state) {
	t.Helper()
	w, s := begin(t, r, nil), newState()
	group := object(t, ref("group", "g"), `{"displayName":"g"}`)
	must(t, w.Put(t.Context(), group))
	s.objects[group.Ref] = group.Body
	for i := range users {
		u := object(t, ref("user", fmt.Sprintf("%08d", i)), fmt.Sprintf(`{"displayName":"user %d","mail":"u%d@contoso.com"}`, i, i*7919))
		l := entra.Link{From: group.Ref, Rel: "members", To: u.Ref}
		must(t, errors.Join(w.Put(t.Context(), u), w.Link(t.Context(), l)))
		s.objects[u.Ref], s.links[l] = u.Body, true
	}
	for _, p := range []snapshot.Part{{Type: "user", Delta: "token-1", Asked: []string{"displayName", "mail"}, Version: "v1.0", Declaration: "d1"},
		{Type: "group"}, {Type: "group", Relation: "members"}} {
		p.Coverage = snapshot.Complete
		must(t, w.End(t.Context(), p, true))
	}
	return commit(t, w), s
}

func TestCarriedPartsKeepWhatTheyWereReadBy(t *testing.T) {
	r := create(t, new(mem.Store), newKeys(t))
	first, s := fill(t, r, 3)
	w := begin(t, r, s.tree(first))
	must(t, w.End(t.Context(), snapshot.Part{Type: "user", Coverage: snapshot.Failed, Reason: "503", Version: "beta", Asked: []string{"mail"},
		Declaration: "d2", Delta: "token-2"}, false))
	second := commit(t, w)
	want := first.Part("user", "")
	want.Coverage, want.Reason, want.Added = snapshot.Failed, "503", 0
	if d := cmp.Diff(want, second.Part("user", "")); d != "" {
		t.Errorf("carried part (-want +got):\n%s", d)
	}
	if p := second.Part("group", "members"); p.Coverage != snapshot.Missed || p.Complete != first.Number || p.Links != 3 {
		t.Errorf("a part never ended is %+v", p)
	}
	if second.Whole() || second.Parent != first.Number || second.Number != first.Number+1 {
		t.Errorf("second snapshot: %+v", second)
	}
}

func TestAnObjectPutTwiceKeepsTheLast(t *testing.T) {
	r := create(t, new(mem.Store), newKeys(t))
	w := begin(t, r, nil)
	u := ref("user", "u")
	must(t, w.Put(t.Context(), object(t, u, `{"a":1}`)))
	must(t, w.Put(t.Context(), object(t, u, `{"a":2}`)))
	must(t, w.Link(t.Context(), entra.Link{From: ref("group", "g"), Rel: "members", To: u}))
	must(t, w.End(t.Context(), snapshot.Part{Type: "user", Coverage: snapshot.Complete}, true))
	s := commit(t, w)
	p := s.Part("user", "")
	if p.Objects != 1 || p.Added != 1 || !strings.Contains(p.Reason, "1 objects came again") {
		t.Errorf("part is %+v", p)
	}
	got := newState()
	for rec := range r.Records(t.Context(), s.Number) {
		for l, err := range r.Replay(t.Context(), rec) {
			must(t, err)
			got.play(l)
		}
	}
	if got.objects[u] != `{"a":2}` || len(got.links) != 1 {
		t.Errorf("replayed %v", got)
	}
}

func TestPutThenGoneLeavesNothing(t *testing.T) {
	r := create(t, new(mem.Store), newKeys(t))
	w := begin(t, r, nil)
	must(t, w.Put(t.Context(), object(t, ref("user", "u"), `{"a":1}`)))
	must(t, w.Gone(t.Context(), ref("user", "u")))
	s := commit(t, w)
	if p := s.Part("user", ""); p.Objects != 0 || p.Added != 0 || p.Removed != 0 {
		t.Errorf("part is %+v", p)
	}
	got := newState()
	for rec := range r.Records(t.Context(), s.Number) {
		for l, err := range r.Replay(t.Context(), rec) {
			must(t, err)
			got.play(l)
		}
	}
	if len(got.objects) != 0 {
		t.Errorf("replayed %v", got)
	}
}

func TestNothingChangedIsSmall(t *testing.T) {
	s := new(mem.Store)
	r := create(t, s, newKeys(t))
	first, st := fill(t, r, 2000)
	w := begin(t, r, asleep{st.tree(first), t})
	for _, p := range first.Parts {
		must(t, w.End(t.Context(), snapshot.Part{Type: p.Type, Relation: p.Relation, Coverage: snapshot.Complete, Delta: p.Delta}, false))
	}
	second := commit(t, w)
	for rec := range r.Records(t.Context(), second.Number) {
		if len(rec.Blobs) != 1 || rec.Blobs[0].Size > 2000 {
			t.Errorf("blobs %+v", rec.Blobs)
		}
	}
	if p := second.Part("user", ""); p.Root != first.Part("user", "").Root || p.Complete != second.Number || p.Objects != 2000 {
		t.Errorf("users are %+v", p)
	}
	if len(r.Head().Note) > 1024 {
		t.Errorf("note of %d bytes", len(r.Head().Note))
	}
}

// asleep is a tree that nobody may read.
type asleep struct {
	snapshot.Base
	t *testing.T
}

func (a asleep) Entries(ctx context.Context, of entra.Type) iter.Seq2[snapshot.Entry, error] {
	a.t.Errorf("the parent's %s were read", of)
	return a.Base.Entries(ctx, of)
}

func (a asleep) Links(ctx context.Context, of entra.Type, rel string) iter.Seq2[entra.Link, error] {
	a.t.Errorf("the parent's %s %s were read", of, rel)
	return a.Base.Links(ctx, of, rel)
}

// TestASmallChangeReadsNoPart: what a round tells of a large part is looked up by itself.
func TestASmallChangeReadsNoPart(t *testing.T) {
	r := create(t, new(mem.Store), newKeys(t))
	first, st := fill(t, r, 2000)
	w := begin(t, r, asleep{st.tree(first), t})
	var goes, stays entra.Ref
	for u := range st.objects {
		if u.Type == "user" && goes == (entra.Ref{}) {
			goes = u
		} else if u.Type == "user" {
			stays = u
		}
	}
	next := st.clone()
	must(t, w.Gone(t.Context(), goes))
	delete(next.objects, goes)
	ended, parts := 0, map[string]bool{}
	for l := range st.links {
		if l.From == goes || l.To == goes {
			delete(next.links, l)
			ended++
		}
		if !parts[l.Rel] && l.From != goes && l.To != goes { // one of each relation that is ended by name
			parts[l.Rel] = true
			must(t, w.Unlink(t.Context(), l))
			delete(next.links, l)
		}
	}
	must(t, w.Put(t.Context(), object(t, stays, `{"new":1}`)))
	next.objects[stays] = `{"new":1}`
	for _, p := range first.Parts {
		must(t, w.End(t.Context(), snapshot.Part{Type: p.Type, Relation: p.Relation, Coverage: snapshot.Complete, Delta: p.Delta}, false))
	}
	second := commit(t, w)
	if ended == 0 || len(parts) == 0 {
		t.Fatalf("%d links went with the object, %d were ended", ended, len(parts))
	}
	for _, p := range second.Parts {
		if root, size := next.root(p.Type, p.Relation); root != p.Root || size != p.Objects+p.Links {
			t.Errorf("%s %s: %d things, or their root, are not the %d that are there", p.Type, p.Relation, p.Objects+p.Links, size)
		}
	}
	if p := second.Part("user", ""); p.Removed != 1 || p.Changed != 1 {
		t.Errorf("users are %+v", p)
	}
}

func TestOfTwoWritersOneWins(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	r := create(t, s, k)
	first, st := fill(t, r, 2)
	other := reopen(t, s, k)
	a, b := begin(t, r, st.tree(first)), begin(t, other, st.tree(first))
	must(t, a.Put(t.Context(), object(t, ref("user", "a"), `{"a":1}`)))
	must(t, b.Put(t.Context(), object(t, ref("user", "b"), `{"a":1}`)))
	if _, err := other.Append(t.Context(), repository.KindPlan, first.Number, []byte("{}")); err != nil {
		t.Fatal(err) // a record in between is no other snapshot
	}
	won := commit(t, a)
	if won.Number != first.Number+2 {
		t.Errorf("snapshot is %d", won.Number)
	}
	if _, err := b.Commit(t.Context()); !errors.Is(err, repository.ErrParent) {
		t.Errorf("second Commit: %v, want ErrParent", err)
	}
	if _, err := other.Begin(t.Context(), st.tree(first), start); !errors.Is(err, repository.ErrParent) {
		t.Errorf("Begin on the old parent: %v, want ErrParent", err)
	}
	if _, err := other.Begin(t.Context(), nil, start); !errors.Is(err, repository.ErrParent) {
		t.Errorf("Begin without a parent: %v, want ErrParent", err)
	}
}

func TestWhatAWriterRefuses(t *testing.T) {
	r := create(t, new(mem.Store), newKeys(t))
	for name, call := range map[string]func(*repository.Writer) error{
		"a body that is not canonical": func(w *repository.Writer) error {
			return w.Put(t.Context(), entra.Object{Ref: ref("user", "u"), Body: `{"b":1,"a":2}`})
		},
		"no ID": func(w *repository.Writer) error {
			return w.Put(t.Context(), entra.Object{Ref: ref("user", ""), Body: `{}`})
		},
		"no type": func(w *repository.Writer) error { return w.Gone(t.Context(), ref("", "u")) },
		"no relation": func(w *repository.Writer) error {
			return w.Link(t.Context(), entra.Link{From: ref("a", "b"), To: ref("a", "b")})
		},
		"invalid UTF-8": func(w *repository.Writer) error {
			return w.Put(t.Context(), entra.Object{Ref: ref("user", "\xff"), Body: `{}`})
		},
		"an audit entry": func(w *repository.Writer) error { return w.Audit(t.Context(), []byte(`{"a":1`)) },
		"whole, partial": func(w *repository.Writer) error {
			return w.End(t.Context(), snapshot.Part{Type: "a", Coverage: snapshot.Partial}, true)
		},
		"a part of none": func(w *repository.Writer) error { return w.End(t.Context(), snapshot.Part{}, false) },
		"too many holes": func(w *repository.Writer) error {
			return w.End(t.Context(), snapshot.Part{Type: "a", Holes: make([]entra.Ref, 1001)}, false)
		},
		"ending it twice": func(w *repository.Writer) error {
			return errors.Join(w.End(t.Context(), snapshot.Part{Type: "a"}, false), w.End(t.Context(), snapshot.Part{Type: "a"}, false))
		},
		"after Abort":  func(w *repository.Writer) error { w.Abort(); return w.Put(t.Context(), object(t, ref("a", "b"), `{}`)) },
		"commit again": func(w *repository.Writer) error { w.Abort(); _, err := w.Commit(t.Context()); return err },
	} {
		w := begin(t, r, nil)
		if err := call(w); err == nil {
			t.Errorf("%s: no error", name)
		}
		w.Abort()
	}
	if r.Head().Size != 1 {
		t.Errorf("the log has %d records", r.Head().Size)
	}
}

func TestAuditEntriesLieApart(t *testing.T) {
	r := create(t, new(mem.Store), newKeys(t))
	w := begin(t, r, nil)
	for i := range 3 {
		must(t, w.Audit(t.Context(), fmt.Appendf(nil, `{"id":"%d", "activityDateTime":"2026-03-01T00:00:00Z"}`, i)))
	}
	s := commit(t, w)
	var at []repository.Position
	var want []entra.Body
	for rec := range r.Records(t.Context(), s.Number) {
		if len(rec.Blobs) != 2 || rec.Blobs[1].Role != "audit" {
			t.Errorf("blobs %+v", rec.Blobs)
		}
		for l, err := range r.Replay(t.Context(), rec) {
			must(t, err)
			if a, ok := l.(repository.AuditEntry); ok {
				at, want = append(at, a.Position), append(want, a.Body)
			}
		}
	}
	if len(want) != 3 {
		t.Fatalf("%d entries", len(want))
	}
	if got := bodies(t, r, at); !slices.Equal(got, want) {
		t.Errorf("bodies %q, want %q", got, want)
	}
}

// The longest line was once put into one frame with the end line, which made a frame that no reader takes.
func TestTheLongestLineIsReadAgain(t *testing.T) {
	const longest = 16<<20 - len(`{"k":"a","v":{"v":""}}`+"\n")
	r := create(t, new(mem.Store), newKeys(t))
	w := begin(t, r, nil)
	long := fmt.Appendf(nil, `{"v":"%s"}`, strings.Repeat("x", longest))
	must(t, w.Audit(t.Context(), long))
	s := commit(t, w)
	found := 0
	for rec := range r.Records(t.Context(), s.Number) {
		for l, err := range r.Replay(t.Context(), rec) {
			must(t, err)
			if a, ok := l.(repository.AuditEntry); ok && string(a.Body) == string(long) {
				found++
			}
		}
	}
	if found != 1 {
		t.Errorf("the entry was found %d times", found)
	}
	w = begin(t, r, newState().tree(s))
	if err := w.Audit(t.Context(), fmt.Appendf(nil, `{"v":"%s"}`, strings.Repeat("x", longest+1))); err == nil {
		t.Error("a line one byte longer is taken")
	}
	w.Abort()
}

func bodies(t *testing.T, r *repository.Repository, at []repository.Position) []entra.Body {
	t.Helper()
	var got []entra.Body
	for b, err := range r.Bodies(t.Context(), at) {
		must(t, err)
		got = append(got, b)
	}
	return got
}

func TestBodiesComeInTheOrderAsked(t *testing.T) {
	r := create(t, new(mem.Store), newKeys(t))
	first, st := fill(t, r, 6000) // several frames, and more than a batch
	w := begin(t, r, st.tree(first))
	must(t, w.Put(t.Context(), object(t, ref("user", "new"), `{"a":1}`)))
	commit(t, w)
	var at []repository.Position
	var want []entra.Body
	for rec, err := range r.Records(t.Context(), 0) {
		must(t, err)
		for l, err := range r.Replay(t.Context(), rec) {
			must(t, err)
			if o, ok := l.(repository.Object); ok {
				at, want = append(at, o.Position), append(want, o.Body)
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(at), func(i, j int) { at[i], at[j], want[i], want[j] = at[j], at[i], want[j], want[i] })
	if got := bodies(t, r, at); !slices.Equal(got, want) || len(want) != 6002 {
		t.Errorf("%d bodies, want %d, or in another order", len(got), len(want))
	}
	for i := range 500 { // alone, so that a frame of which only a part was wanted is gone on with, or looked back into
		if got := bodies(t, r, at[i:i+1]); got[0] != want[i] {
			t.Fatalf("%+v: another body", at[i])
		}
	}
	for _, bad := range []repository.Position{{}, {Record: 99, Size: 1}, {Record: 1, Blob: 7, Size: 1}, {Record: 1, Frame: 1 << 40, Size: 9}, {Record: 1, Frame: 3, Size: 100},
		{Record: at[0].Record, Frame: at[0].Frame, Size: at[0].Size, Off: 1 << 30, Len: 1 << 30}} {
		for _, err := range r.Bodies(t.Context(), []repository.Position{bad}) {
			if err == nil {
				t.Errorf("%+v: no error", bad)
			}
		}
	}
}

func TestCancelledCommitLeavesNoRecord(t *testing.T) {
	r := create(t, new(mem.Store), newKeys(t))
	w := begin(t, r, nil)
	must(t, w.Put(t.Context(), object(t, ref("user", "u"), `{}`)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	cancel()
	if _, err := w.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: %v, want context.Canceled", err)
	}
	if r.Head().Size != 1 {
		t.Errorf("the log has %d records", r.Head().Size)
	}
}

// However many links one relation has, and in whatever order they come, again or to types by turns, each is kept once.
func TestManyLinksInAnyOrder(t *testing.T) {
	k := newKeys(t)
	r := create(t, new(mem.Store), k)
	w, s := begin(t, r, nil), newState()
	random := rand.New(rand.NewPCG(1, 2))
	var said []entra.Link
	for g := range 3 {
		group := object(t, ref("group", fmt.Sprint("g", g)), `{}`)
		must(t, w.Put(t.Context(), group))
		s.objects[group.Ref] = group.Body
		for i := range 30_000 {
			l := entra.Link{From: group.Ref, Rel: "members", To: ref([]string{"device", "user", "user", "user", "user", "user"}[i%6], fmt.Sprintf("%08d", i))}
			if s.links[l] = true; i%10 == 0 {
				said = append(said, l)
			}
			said = append(said, l)
		}
	}
	random.Shuffle(len(said), func(i, j int) { said[i], said[j] = said[j], said[i] })
	for _, l := range said {
		must(t, w.Link(t.Context(), l))
	}
	for _, l := range said[:1000] {
		must(t, w.Unlink(t.Context(), l))
		delete(s.links, l)
	}
	for _, p := range []snapshot.Part{{Type: "group"}, {Type: "group", Relation: "members"}} {
		p.Coverage = snapshot.Complete
		must(t, w.End(t.Context(), p, true))
	}
	made := commit(t, w)
	if p := made.Part("group", "members"); p.Links != int64(len(s.links)) || p.Links < 1<<16 {
		t.Errorf("%d links, not %d", p.Links, len(s.links))
	}
	got, err := replayTo(t.Context(), r, made.Number)
	must(t, err)
	if !maps.Equal(got.links, s.links) {
		t.Errorf("%d links are read again, not %d, or others", len(got.links), len(s.links))
	}
}
