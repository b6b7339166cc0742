// Package history tells the life of one object: every change between two captures, oldest first, with what
// the tenant's audit log says about that time, and since when something is as it is.
//
// It promises to say when by two captures: a change happened after the earlier one began to read, and before
// the later one had ended. It follows an object through restores that gave it another ID. What a capture
// did not see stays unknown and is told as that.
//
// It refuses to name a culprit: the audit entries of an event are those about its objects at its time, and
// which of them made the change is for people to judge.
package history

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Source answers what a history is told from.
type Source interface {
	// Before returns the number of the last snapshot before the one with the number, 0 where there is none.
	Before(ctx context.Context, number int64) (int64, error)
	// Aliases maps the ref of an object to the ref it was re-created under.
	Aliases(ctx context.Context) (map[entra.Ref]entra.Ref, error)
	// Tree returns what the snapshot with the number names.
	Tree(ctx context.Context, number int64) (snapshot.Tree, error)
	// Moments returns the numbers of the snapshots in which the object or a link at either end of which it
	// stands came, went or changed, in any order.
	Moments(ctx context.Context, ref entra.Ref) ([]int64, error)
	// Acts returns the bodies of the audit entries about the object with a time in [from, to).
	Acts(ctx context.Context, ref entra.Ref, from, to time.Time) ([]entra.Body, error)
}

// An Event is one change in the life of an object, or of one of its links.
type Event struct {
	// The change happened after After and before Before: when the earlier capture began to read the part,
	// and when the later one ended. After is zero where there is no earlier capture.
	After, Before time.Time
	Snapshot      int64 // the first snapshot that has it as it became
	Last          int64 // the last snapshot that has it as it was, 0 where there is none
	Change        diff.Change
	Acts          []catalog.Act // ascending by time
}

// Of yields the events in the life of an object, oldest first; an error is the last pair. What the first
// snapshot holds is an event too, of kind Unknown: whether it was there before is not known. ref can be any
// of the names that the object had.
func Of(ctx context.Context, s Source, ref entra.Ref) iter.Seq2[Event, error] {
	return Between(ctx, s, ref, 0, math.MaxInt64)
}

// Between yields those events of Of that a snapshot after the one with the number after shows first, and none after upTo does.
func Between(ctx context.Context, s Source, ref entra.Ref, after, upTo int64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		l, err := begin(ctx, s, ref)
		if err != nil {
			yield(Event{}, fmt.Errorf("history of %s: %w", ref, err))
			return
		}
		for i, moment := range l.moments {
			if moment <= after || moment > upTo {
				continue
			}
			events, err := l.at(ctx, i)
			if err != nil {
				yield(Event{}, fmt.Errorf("history of %s: snapshot %d: %w", ref, l.moments[i], err))
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// When returns the event since which the object is as it is, reading backwards from the newest snapshot.
// path narrows it to a property, with all that lies within, or to a relation or one of its links, as in
// members[ID]; "" means the object and all its links. Last of the event is the snapshot to go back to. It
// reports false where the object, or what path names, was never seen.
func When(ctx context.Context, s Source, ref entra.Ref, path string) (Event, bool, error) {
	l, err := begin(ctx, s, ref)
	if err != nil {
		return Event{}, false, fmt.Errorf("history of %s: %w", ref, err)
	}
	for i := len(l.moments) - 1; i >= 0; i-- {
		events, err := l.at(ctx, i)
		if err != nil {
			return Event{}, false, fmt.Errorf("history of %s: snapshot %d: %w", ref, l.moments[i], err)
		}
		for _, e := range slices.Backward(events) {
			if touches(e.Change, path) {
				return e, true, nil
			}
		}
	}
	return Event{}, false, nil
}

// touches reports whether a change is about what path names.
func touches(c diff.Change, path string) bool {
	if path == "" {
		return true
	}
	if c.IsLink() {
		return path == c.Link.Rel || path == c.Link.Rel+"["+string(c.Link.To.ID)+"]"
	}
	if c.Kind != diff.Changed {
		for _, o := range []*entra.Object{c.Before, c.After} {
			if o != nil && holds(c.Ref.Type, o.Body, path) {
				return true
			}
		}
		return false
	}
	for _, f := range c.Fields {
		if f.Path == path || within(f.Path, path) {
			return true
		}
		if within(path, f.Path) && holds(c.Ref.Type, only(f.Path, f.Before), path) != holds(c.Ref.Type, only(f.Path, f.After), path) {
			return true // it came or went with what it lies in
		}
	}
	return false
}

// within reports whether a path lies inside another.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

// only is a body with one value.
func only(path string, v any) entra.Body {
	m := map[string]any{}
	entra.Set(m, path, v)
	b, err := entra.Encode(m)
	if err != nil {
		panic("history: " + err.Error()) // fields hold what bodies do
	}
	return b
}

// holds reports whether a body has a value at a path, elements of arrays included.
func holds(t entra.Type, b entra.Body, path string) bool {
	r, _ := catalog.Lookup(t)
	for _, f := range diff.Bodies(r, hollow(b, path), b) {
		if f.Path == path || within(f.Path, path) {
			return true
		}
	}
	return false
}

// hollow is a body with only the complex values that lead to a path, so that comparing the two shows what
// lies there property by property.
func hollow(b entra.Body, path string) entra.Body {
	whole, m := b.Decode(), map[string]any{}
	for i, c := range path {
		if c != '.' {
			continue
		}
		if v, _ := entra.Get(whole, path[:i]); isObject(v) {
			entra.Set(m, path[:i], map[string]any{})
		}
	}
	body, err := entra.Encode(m)
	if err != nil {
		panic("history: " + err.Error())
	}
	return body
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// A life is what the events of an object are made from.
type life struct {
	source  Source
	refs    []entra.Ref // all names the object had, ascending
	aliases map[entra.Ref]entra.Ref
	moments []int64 // ascending
}

func begin(ctx context.Context, s Source, ref entra.Ref) (*life, error) {
	l := &life{source: s}
	var err error
	if l.aliases, err = s.Aliases(ctx); err != nil {
		return nil, err
	}
	newest := func(r entra.Ref) entra.Ref {
		for range l.aliases { // a circle of aliases ends here
			to, ok := l.aliases[r]
			if !ok {
				break
			}
			r = to
		}
		return r
	}
	names := map[entra.Ref]bool{ref: true, newest(ref): true}
	for old := range l.aliases {
		if newest(old) == newest(ref) {
			names[old] = true
		}
	}
	l.refs = slices.SortedFunc(maps.Keys(names), entra.Ref.Compare)
	for _, r := range l.refs {
		moments, err := s.Moments(ctx, r)
		if err != nil {
			return nil, err
		}
		l.moments = append(l.moments, moments...)
	}
	slices.Sort(l.moments)
	l.moments = slices.Compact(l.moments)
	return l, nil
}

// at returns the events that led to the snapshot of the moment with the given place.
func (l *life) at(ctx context.Context, i int) ([]Event, error) {
	after, err := l.source.Tree(ctx, l.moments[i])
	if err != nil {
		return nil, err
	}
	last, err := l.source.Before(ctx, l.moments[i])
	if err != nil {
		return nil, err
	}
	before := snapshot.Tree(snapshot.NewMemory(&snapshot.Snapshot{}, nil, nil, nil))
	if last != 0 {
		if before, err = l.source.Tree(ctx, last); err != nil {
			return nil, err
		}
	}
	now, then := after.Snapshot(), before.Snapshot()
	var events []Event
	acts := map[window][]catalog.Act{}
	for c, err := range diff.Trees(ctx, before, after, diff.Options{Aliases: l.aliases, Refs: l.refs}) {
		if err != nil {
			return nil, err
		}
		e := Event{Before: now.Ended, Snapshot: now.Number, Last: last, Change: c}
		if last != 0 {
			e.After = then.Began
			if p := then.Part(c.Ref.Type, c.Link.Rel); !p.Read.IsZero() && p.Read.Before(e.After) {
				e.After = p.Read // it was carried from an earlier reading
			}
			if e.Acts, err = l.acts(ctx, c, window{e.After, e.Before}, acts); err != nil {
				return nil, err
			}
		}
		events = append(events, e)
	}
	return events, nil
}

// acts returns the audit entries about the object in the window. For a change of a link they are those that
// also name the link's other end, if there are any.
func (l *life) acts(ctx context.Context, c diff.Change, w window, known map[window][]catalog.Act) ([]catalog.Act, error) {
	all, ok := known[w]
	if !ok {
		for _, r := range l.refs {
			bodies, err := l.source.Acts(ctx, r, w.from, w.to)
			if err != nil {
				return nil, fmt.Errorf("audit entries about %s: %w", r, err)
			}
			for _, b := range bodies {
				if act, ok := catalog.Acted(entra.Object{Ref: entra.Ref{Type: catalog.Audit().Type}, Body: b}); ok {
					all = append(all, act)
				}
			}
		}
		slices.SortStableFunc(all, func(a, b catalog.Act) int { return a.At.Compare(b.At) })
		all = slices.CompactFunc(all, same)
		known[w] = all
	}
	if !c.IsLink() {
		return all, nil
	}
	other := c.Link.To
	if slices.Contains(l.refs, other) {
		other = c.Link.From
	}
	var about []catalog.Act
	for _, a := range all {
		// By ID alone: the log has its own words for types.
		if slices.ContainsFunc(a.On, func(r entra.Ref) bool { return r.ID == other.ID }) {
			about = append(about, a)
		}
	}
	if len(about) == 0 {
		return all, nil
	}
	return about, nil
}

// A window is the time in which a change happened.
type window struct{ from, to time.Time }

func same(a, b catalog.Act) bool {
	return a.At.Equal(b.At) && a.Actor == b.Actor && a.What == b.What && a.Result == b.Result && slices.Equal(a.On, b.On)
}
