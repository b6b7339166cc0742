// Package merge makes a goal out of base and the inverse of chosen changes.
//
// It promises that what was changed again later stays as it is, unless the request prefers otherwise, and that
// each such place is named; that nothing is changed in the goal but what the chosen changes touched; and that
// undoing what is undone already changes nothing. It refuses to undo what it does not know: a change whose
// earlier state was not seen is named, and left.
package merge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Request says which changes to undo. The zero value undoes all of them and lets later work stand.
type Request struct {
	Types []entra.Type
	// Refs limits it to changes of these objects, and of links at either end of which they stand.
	Refs []entra.Ref
	// Keep narrows a change to what is to be undone of it, and reports false where nothing is. Nil keeps all.
	Keep func(diff.Change) (diff.Change, bool)
	// Aliases maps the ref of an object to the ref it was re-created under.
	Aliases map[entra.Ref]entra.Ref
	// Anyway undoes also what was changed again since.
	Anyway bool
}

// A Conflict is a place that was changed again after the change that was to be undone, or whose state then is
// not known.
type Conflict struct {
	Ref    entra.Ref // as base names it
	Field  string    // the path of a property, of a link "REL[ID]"; "" is the object itself
	Undo   any       // what undoing would have put there
	Left   any       // what the change left there
	Now    any       // what is there
	Reason string
	// Undone says that it was undone all the same, as the request asked.
	Undone bool
}

// A Result is the goal and what stood in its way.
type Result struct {
	Goal      snapshot.Tree
	Conflicts []Conflict  // ascending by ref and field
	Touched   []entra.Ref // what the goal has otherwise than base, ascending; of a link its start
}

// Undo returns base with the changes between two earlier trees taken back. The goal is a view of base: base must
// outlive it.
func Undo(ctx context.Context, base, from, to snapshot.Tree, q Request) (*Result, error) {
	if b, f, t := base.Snapshot().Tenant, from.Snapshot().Tenant, to.Snapshot().Tenant; b != f || b != t {
		return nil, fmt.Errorf("undo: the snapshots are of different tenants: %s, %s, %s", b, f, t)
	}
	u := &undoing{ctx: ctx, base: base, q: q, goal: snapshot.NewOverlay(base, catalog.IDs, catalog.Container), touched: map[entra.Ref]bool{}, ids: map[entra.ID]entra.ID{}, back: map[entra.Ref]bool{}}
	for old := range q.Aliases {
		if to := u.newest(old); to != old {
			u.ids[old.ID] = to.ID
		}
	}
	var links []diff.Change
	for c, err := range Changes(ctx, from, to, q) {
		if err != nil {
			return nil, fmt.Errorf("undo: %w", err)
		}
		if c.IsLink() {
			links = append(links, c) // an object that comes back is there before its links
			continue
		}
		if err := u.object(c); err != nil {
			return nil, fmt.Errorf("undo: %s: %w", c.Ref, err)
		}
	}
	// What a relation to one object led to goes before what comes back.
	slices.SortStableFunc(links, func(a, b diff.Change) int { return cmp.Compare(order(a), order(b)) })
	for _, c := range links {
		if err := u.link(c); err != nil {
			return nil, fmt.Errorf("undo: %s: %w", c.Link, err)
		}
	}
	slices.SortFunc(u.conflicts, func(a, b Conflict) int { return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.Field, b.Field)) })
	return &Result{Goal: u.goal, Conflicts: u.conflicts, Touched: slices.SortedFunc(maps.Keys(u.touched), entra.Ref.Compare)}, nil
}

// Changes yields the changes between two trees that a request chooses, in the order of diff.Trees.
func Changes(ctx context.Context, from, to snapshot.Tree, q Request) iter.Seq2[diff.Change, error] {
	return func(yield func(diff.Change, error) bool) {
		for c, err := range diff.Trees(ctx, from, to, diff.Options{Types: q.Types, Refs: q.Refs, Aliases: q.Aliases}) {
			if err != nil {
				yield(c, err)
				return
			}
			if r, ok := catalog.Lookup(c.Ref.Type); !ok || r.Live != "" || r.Stream {
				continue // recycle bins follow what they are of
			}
			if q.Keep != nil {
				var some bool
				if c, some = q.Keep(c); !some {
					continue
				}
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

func order(c diff.Change) int {
	if c.Kind == diff.Linked {
		return 0
	}
	return 1
}

type undoing struct {
	ctx       context.Context
	base      snapshot.Tree
	q         Request
	goal      *snapshot.Overlay
	ids       map[entra.ID]entra.ID // earlier IDs of re-created objects, to their newest
	back      map[entra.Ref]bool    // what the goal has and base lacks
	conflicts []Conflict
	touched   map[entra.Ref]bool
	from      entra.Ref           // whose links are at hand
	links     map[entra.Link]bool // of the goal, at either end of which from stands
}

// newest returns the last name of an object.
func (u *undoing) newest(r entra.Ref) entra.Ref {
	for range u.q.Aliases {
		next, ok := u.q.Aliases[r]
		if !ok || next == r {
			break
		}
		r = next
	}
	return r
}

// now returns what base calls an object: by its newest name, unless base has it by the one given.
func (u *undoing) now(r entra.Ref) (entra.Ref, entra.Object, bool, error) {
	for _, name := range []entra.Ref{r, u.newest(r)} {
		o, err := u.base.Object(u.ctx, name)
		if err == nil {
			return name, o, true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return r, o, false, err
		}
	}
	return r, entra.Object{}, false, nil
}

// conflict notes a conflict and reports whether to undo all the same.
func (u *undoing) conflict(c Conflict) bool {
	c.Undone = u.q.Anyway
	u.conflicts = append(u.conflicts, c)
	return u.q.Anyway
}

func (u *undoing) object(c diff.Change) error {
	ref, is, there, err := u.now(c.Ref)
	if err != nil {
		return err
	}
	switch c.Kind {
	case diff.Added:
		if !there {
			return nil // it is gone already
		}
		left := u.renamed(*c.After, ref)
		if is.Body == c.After.Body {
			left.Body = is.Body // an object made anew can hold the ID that it had, on purpose
		}
		if is.Body != left.Body && !u.conflict(Conflict{Ref: ref, Left: left.Body.Decode(), Now: is.Body.Decode(), Reason: "it was changed again after it came"}) {
			return nil
		}
		u.goal.Drop(ref)
		u.touched[ref] = true
	case diff.Removed:
		if there {
			return nil // it is back already
		}
		if twin, err := u.twin(u.renamed(*c.Before, ref)); err != nil || twin {
			return err // another relates the same, for every purpose
		}
		u.goal.Set(u.renamed(*c.Before, ref))
		u.back[ref], u.touched[ref] = true, true
	case diff.Changed:
		if !there {
			u.conflict(Conflict{Ref: ref, Reason: "it is gone since"})
			return nil
		}
		return u.fields(c, ref, is)
	case diff.Unknown:
		if c.Reason == diff.NoBefore && there {
			u.conflicts = append(u.conflicts, Conflict{Ref: ref, Now: is.Body.Decode(), Reason: "whether it was there before is not known, so it stays"})
		}
	}
	return nil
}

// twin reports whether base has an object that relates the same as one that is gone: the service makes some by itself, under IDs
// of its own, with what comes back.
func (u *undoing) twin(o entra.Object) (bool, error) {
	r, ok := catalog.Lookup(o.Ref.Type)
	if !ok || !r.Relates() {
		return false, nil
	}
	for _, f := range catalog.Refs(o) {
		if !slices.Contains(r.Match, f.Path) {
			continue
		}
		for h, err := range u.base.Holders(u.ctx, f.ID) {
			if err != nil {
				return false, err
			}
			if h.Type != o.Ref.Type {
				continue
			}
			x, err := u.base.Object(u.ctx, h)
			if err != nil {
				return false, err
			}
			if is := r.Likeness(x); is != "" && is == r.Likeness(o) {
				return true, nil
			}
		}
		break // all that relate the same hold this as well
	}
	return false, nil
}

// renamed is an earlier object with the names that base has for what it refers to.
func (u *undoing) renamed(o entra.Object, ref entra.Ref) entra.Object {
	if len(u.ids) > 0 {
		o = catalog.Rename(o, u.ids)
	}
	o.Ref = ref
	return o
}

// fields takes back what changed of an object, property by property, of sets and keyed arrays element by element.
func (u *undoing) fields(c diff.Change, ref entra.Ref, is entra.Object) error {
	r, _ := catalog.Lookup(ref.Type)
	wanted := map[string]bool{}
	for _, f := range c.Fields {
		path := f.Path
		if strings.Contains(path, "[") { // an element may be an ID that base knows by a newer one
			for old, to := range u.ids {
				path = strings.ReplaceAll(path, "["+string(old)+"]", "["+string(to)+"]")
			}
		}
		wanted[path] = true
	}
	before, after := u.renamed(*c.Before, ref), u.renamed(*c.After, ref)
	body := is.Body
	for _, f := range diff.Bodies(r, after.Body, before.Body) { // from what the change left to what was
		if !wanted[f.Path] {
			continue
		}
		undone, err := diff.With(r, is.Body, []diff.Field{f})
		if err != nil {
			// The place is no longer of the shape it was.
			u.conflict(Conflict{Ref: ref, Field: f.Path, Undo: f.After, Left: f.Before, Reason: "what is around it was changed again: " + err.Error()})
			continue
		}
		if undone == is.Body {
			continue // it is as it was already
		}
		left, err := diff.With(r, is.Body, []diff.Field{{Path: f.Path, After: f.Before}})
		if err != nil {
			return err
		}
		if left != is.Body && !u.conflict(Conflict{Ref: ref, Field: f.Path, Undo: f.After, Left: f.Before, Now: value(r, is.Body, undone, f.Path), Reason: "it was changed again since"}) {
			continue
		}
		if body, err = diff.With(r, body, []diff.Field{f}); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if body != is.Body {
		u.goal.Set(entra.Object{Ref: ref, Body: body})
		u.touched[ref] = true
	}
	return nil
}

// value returns what a body has at a path, given another body that differs from it there and nowhere else.
func value(r *catalog.Resource, is, other entra.Body, path string) any {
	for _, f := range diff.Bodies(r, other, is) {
		if f.Path == path || strings.HasPrefix(f.Path, path) || strings.HasPrefix(path, f.Path) {
			return f.After
		}
	}
	return nil
}

// has reports whether the goal as it stands has a link, and which other one stands in its place where the relation
// leads to one object.
func (u *undoing) has(l entra.Link) (there bool, one *entra.Link, err error) {
	if u.links == nil || u.from != l.From {
		// Changes of links come in order of where they start: thousands of members gone from a group ask for its
		// links once.
		u.from, u.links = l.From, map[entra.Link]bool{}
		for x, err := range u.goal.Around(u.ctx, l.From) {
			if err != nil {
				return false, nil, err
			}
			u.links[x] = true
		}
	}
	r, _ := catalog.Lookup(l.From.Type)
	if rel, ok := r.Relation(l.Rel); ok && !rel.Many {
		for x := range u.links {
			if x != l && x.From == l.From && x.Rel == l.Rel {
				one = &x
			}
		}
	}
	return u.links[l], one, nil
}

// set makes or undoes a link of the goal.
func (u *undoing) set(l entra.Link, there bool) {
	if there {
		u.goal.Link(l)
		u.links[l] = true
	} else {
		u.goal.Unlink(l)
		delete(u.links, l)
	}
	u.touched[l.From] = true
}

func (u *undoing) link(c diff.Change) error {
	from, _, fromThere, err := u.now(c.Link.From)
	if err != nil {
		return err
	}
	to, _, toThere, err := u.now(c.Link.To)
	if err != nil {
		return err
	}
	l := entra.Link{From: from, Rel: c.Link.Rel, To: to}
	there, other, err := u.has(l)
	if err != nil {
		return err
	}
	field := l.Rel + "[" + string(l.To.ID) + "]"
	switch c.Kind {
	case diff.Linked:
		if there {
			u.set(l, false)
		}
	case diff.Unlinked:
		switch {
		case there:
			return nil
		case !fromThere && !u.back[from] || !toThere && !u.back[to]:
			u.conflict(Conflict{Ref: from, Field: field, Reason: "one of its ends is gone since"})
			return nil
		case other != nil && !u.conflict(Conflict{Ref: from, Field: l.Rel, Undo: string(l.To.ID), Now: string(other.To.ID), Reason: "it leads elsewhere since"}):
			return nil
		}
		if other != nil {
			u.set(*other, false)
		}
		u.set(l, true)
	case diff.Unknown:
		if c.Reason == diff.NoBefore && there {
			u.conflicts = append(u.conflicts, Conflict{Ref: from, Field: field, Reason: "whether it held before is not known, so it stays"})
		}
	}
	return nil
}
