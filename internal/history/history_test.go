package history_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A shelf is a source in memory: every snapshot's tree, and the audit log.
type shelf struct {
	trees   []*snapshot.Memory
	aliases map[entra.Ref]entra.Ref
	audit   []entra.Body
}

func (s *shelf) Before(_ context.Context, number int64) (before int64, err error) {
	for _, t := range s.trees {
		if n := t.Snapshot().Number; n < number {
			before = max(before, n)
		}
	}
	return before, nil
}

func (s *shelf) Aliases(context.Context) (map[entra.Ref]entra.Ref, error) { return s.aliases, nil }

func (s *shelf) Tree(_ context.Context, number int64) (snapshot.Tree, error) {
	for _, t := range s.trees {
		if t.Snapshot().Number == number {
			return t, nil
		}
	}
	return nil, fs.ErrNotExist
}

func (s *shelf) Moments(ctx context.Context, ref entra.Ref) ([]int64, error) {
	var numbers []int64
	was := ""
	for _, t := range s.trees {
		is := ""
		if o, err := t.Object(ctx, ref); err == nil {
			is = string(o.Body)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for l, err := range t.Around(ctx, ref) {
			if err != nil {
				return nil, err
			}
			is += "\n" + l.String()
		}
		if is != was {
			numbers = append(numbers, t.Snapshot().Number)
		}
		was = is
	}
	slices.Reverse(numbers)
	return numbers, nil
}

func (s *shelf) Acts(_ context.Context, ref entra.Ref, from, to time.Time) ([]entra.Body, error) {
	var found []entra.Body
	for _, b := range s.audit {
		act, ok := catalog.Acted(entra.Object{Ref: entra.Ref{Type: catalog.Audit().Type}, Body: b})
		if ok && !act.At.Before(from) && act.At.Before(to) && slices.ContainsFunc(act.On, func(r entra.Ref) bool { return r.ID == ref.ID }) {
			found = append(found, b)
		}
	}
	return found, nil
}

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// add captures a state of the tenant, an hour after the one before.
func (s *shelf) add(objects []entra.Object, links []entra.Link) {
	n := len(s.trees)
	began := start.Add(time.Duration(n) * time.Hour)
	snap := &snapshot.Snapshot{Number: int64(10 * (n + 1)), Began: began, Ended: began.Add(time.Minute)}
	for r := range catalog.All() {
		snap.Parts = append(snap.Parts, snapshot.Part{Type: r.Type, Coverage: snapshot.Complete})
		for _, rel := range r.Links {
			snap.Parts = append(snap.Parts, snapshot.Part{Type: r.Type, Relation: rel.Rel, Coverage: snapshot.Complete})
		}
	}
	slices.SortFunc(snap.Parts, snapshot.Part.Compare)
	s.trees = append(s.trees, snapshot.NewMemory(snap, nil, objects, links))
}

var (
	user  = entra.Ref{Type: catalog.UserType, ID: "u1"}
	group = entra.Ref{Type: catalog.GroupType, ID: "g1"}
	link  = entra.Link{From: group, Rel: "members", To: user}
)

func object(ref entra.Ref, body string) entra.Object {
	return entra.Object{Ref: ref, Body: entra.Body(body)}
}

func events(t interface {
	Helper()
	Fatal(...any)
}, s history.Source, ref entra.Ref) []history.Event {
	t.Helper()
	var all []history.Event
	for e, err := range history.Of(context.Background(), s, ref) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func TestEventsMakeTheLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &shelf{}
		n := rapid.IntRange(1, 8).Draw(t, "snapshots")
		for range n {
			var objects []entra.Object
			var links []entra.Link
			if rapid.Bool().Draw(t, "there") {
				objects = append(objects, object(user, fmt.Sprintf(`{"city":%q,"department":%q}`, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "city"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "department"))))
				if rapid.Bool().Draw(t, "member") {
					links = append(links, link)
				}
			}
			s.add(append(objects, object(group, `{}`)), links)
		}
		var is *entra.Object
		held := map[entra.Link]bool{}
		after := int64(0)
		all := events(t, s, user)
		for i := 0; i < len(all); {
			at := all[i].Snapshot
			if at <= after {
				t.Fatalf("snapshot %d comes after %d", at, after)
			}
			after = at
			for ; i < len(all) && all[i].Snapshot == at; i++ {
				switch c := all[i].Change; {
				case !c.IsLink():
					is = c.After
				case c.Kind == diff.Unlinked:
					delete(held, c.Link)
				default:
					held[c.Link] = true
				}
			}
			tree, err := s.Tree(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			want, err := tree.Object(t.Context(), user)
			if (err == nil) != (is != nil) || is != nil && want != *is {
				t.Fatalf("at %d the events make %v, want %v", at, is, want)
			}
			links := map[entra.Link]bool{}
			for l := range tree.Around(t.Context(), user) {
				links[l] = true
			}
			if !maps.Equal(links, held) {
				t.Fatalf("at %d the events make %v, want %v", at, held, links)
			}
		}

		// Since then it is as it is, and was not so before.
		newest := s.trees[n-1]
		for _, path := range []string{"city", "department"} {
			value := func(number int64) any {
				tree, err := s.Tree(t.Context(), number)
				if err != nil {
					t.Fatal(err)
				}
				o, err := tree.Object(t.Context(), user)
				if err != nil {
					return nil
				}
				v, _ := o.Body.Get(path)
				return v
			}
			e, ok, err := history.When(t.Context(), s, user, path)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				for _, tree := range s.trees {
					if value(tree.Snapshot().Number) != nil {
						t.Fatalf("%s was seen in %d and is not found", path, tree.Snapshot().Number)
					}
				}
				continue
			}
			now := value(newest.Snapshot().Number)
			for _, tree := range s.trees {
				if n := tree.Snapshot().Number; n >= e.Snapshot && value(n) != now {
					t.Fatalf("%s: got %d, but in %d it was %v and now is %v", path, e.Snapshot, n, value(n), now)
				}
			}
			if e.Last != 0 && value(e.Last) == now {
				t.Fatalf("%s: in %d it was %v already", path, e.Last, now)
			}
		}
	})
}

func TestLifeGoesOnUnderAnotherName(t *testing.T) {
	again := entra.Ref{Type: user.Type, ID: "u2"}
	s := &shelf{aliases: map[entra.Ref]entra.Ref{user: again}}
	s.add([]entra.Object{object(user, `{"city":"a"}`), object(group, `{}`)}, []entra.Link{link})
	s.add([]entra.Object{object(group, `{}`)}, nil)
	s.add([]entra.Object{object(again, `{"city":"a"}`), object(group, `{}`)}, []entra.Link{{From: group, Rel: "members", To: again}})
	s.add([]entra.Object{object(again, `{"city":"b"}`), object(group, `{}`)}, []entra.Link{{From: group, Rel: "members", To: again}})
	for _, name := range []entra.Ref{user, again} {
		var kinds []diff.Kind
		for _, e := range events(t, s, name) {
			kinds = append(kinds, e.Change.Kind)
		}
		want := []diff.Kind{diff.Unknown, diff.Unknown, diff.Unlinked, diff.Removed, diff.Linked, diff.Added, diff.Changed}
		if !slices.Equal(kinds, want) {
			t.Errorf("%s: got %v, want %v", name, kinds, want)
		}
	}
	// Restored between two captures, it never was away.
	s.trees = slices.Delete(s.trees, 1, 2)
	if got := events(t, s, user); len(got) != 3 || got[2].Change.Kind != diff.Changed {
		t.Errorf("got %v, want the first state and one change", got)
	}
}

func TestActsAreThoseOfTheTime(t *testing.T) {
	entry := func(minutes int, what string, on ...entra.ID) entra.Body {
		targets := []any{}
		for _, id := range on {
			targets = append(targets, map[string]any{"id": string(id), "type": "Other"})
		}
		b, err := entra.Encode(map[string]any{
			"activityDateTime": start.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339), "activityDisplayName": what, "result": "success",
			"initiatedBy": map[string]any{"user": map[string]any{"id": "admin", "userPrincipalName": "admin@contoso.example"}}, "targetResources": targets,
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	s := &shelf{audit: []entra.Body{
		entry(-5, "too early", "u1"), entry(10, "Update user", "u1"), entry(20, "Add member to group", "u1", "g1"),
		entry(30, "someone else", "u9"), entry(70, "Remove member from group", "u1", "g1"), entry(500, "too late", "u1"),
	}}
	s.add([]entra.Object{object(user, `{"city":"a"}`), object(group, `{}`)}, nil)
	s.add([]entra.Object{object(user, `{"city":"b"}`), object(group, `{}`)}, []entra.Link{link})
	s.add([]entra.Object{object(user, `{"city":"b"}`), object(group, `{}`)}, nil)
	got := events(t, s, user)
	want := [][]string{nil, {"Add member to group"}, {"Update user", "Add member to group"}, {"Remove member from group"}}
	if len(got) != len(want) {
		t.Fatalf("got %d events, want %d", len(got), len(want))
	}
	for i, e := range got {
		var acts []string
		for _, a := range e.Acts {
			acts = append(acts, a.What)
		}
		if !slices.Equal(acts, want[i]) {
			t.Errorf("event %d (%s): got %v, want %v", i, e.Change.Kind, acts, want[i])
		}
		if e.Last != 0 && (!e.After.Equal(start.Add(time.Duration(e.Last/10-1)*time.Hour)) || !e.After.Before(e.Before)) {
			t.Errorf("event %d happened between %v and %v", i, e.After, e.Before)
		}
	}
}

func TestWhenFindsThePath(t *testing.T) {
	policy := entra.Ref{Type: catalog.PolicyType, ID: "p1"}
	s := &shelf{}
	s.add([]entra.Object{object(policy, `{"conditions":{"users":{"excludeUsers":["a"]}},"state":"enabled"}`)}, nil)
	s.add([]entra.Object{object(policy, `{"conditions":{"users":{"excludeUsers":["a","b"]}},"state":"enabled"}`)}, nil)
	s.add([]entra.Object{object(policy, `{"conditions":{"users":{"excludeUsers":["a","b"]}},"grantControls":{"operator":"OR"},"state":"disabled"}`)}, nil)
	s.add([]entra.Object{object(policy, `{"conditions":{"users":{"excludeUsers":["a","b"]}},"displayName":"P","grantControls":{"operator":"OR"},"state":"disabled"}`), object(group, `{}`), object(user, `{}`)}, []entra.Link{link})
	for path, want := range map[string]int64{
		"":                                 40,
		"state":                            30,
		"displayName":                      40,
		"conditions":                       20,
		"conditions.users.excludeUsers":    20,
		"conditions.users.excludeUsers[b]": 20,
		"conditions.users.excludeUsers[a]": 10,
		"grantControls.operator":           30,
		"grantControls":                    30,
		"sessionControls":                  0,
	} {
		e, ok, err := history.When(t.Context(), s, policy, path)
		if err != nil || ok != (want != 0) || e.Snapshot != want {
			t.Errorf("%q: got snapshot %d (%v, %v), want %d", path, e.Snapshot, ok, err, want)
		}
	}
	for _, path := range []string{"members", "members[u1]"} {
		if e, ok, err := history.When(t.Context(), s, group, path); err != nil || !ok || e.Snapshot != 40 || e.Last != 30 {
			t.Errorf("%q: got %v, %v, %v", path, e, ok, err)
		}
	}
	if _, ok, err := history.When(t.Context(), s, entra.Ref{Type: user.Type, ID: "nobody"}, ""); ok || err != nil {
		t.Errorf("an object that never was has a history: %v", err)
	}
}

type broken struct{ *shelf }

func (broken) Tree(context.Context, int64) (snapshot.Tree, error) {
	return nil, errors.New("unreadable")
}

func TestErrorsAreTheLastPair(t *testing.T) {
	s := &shelf{}
	s.add([]entra.Object{object(user, `{}`)}, nil)
	s.add([]entra.Object{object(user, `{"city":"a"}`)}, nil)
	n := 0
	for _, err := range history.Of(t.Context(), broken{s}, user) {
		if n++; err == nil {
			t.Error("an event from an unreadable tree")
		}
	}
	if n != 1 {
		t.Errorf("got %d pairs, want one", n)
	}
	if _, _, err := history.When(t.Context(), broken{s}, user, ""); err == nil {
		t.Error("no error from an unreadable tree")
	}
}
