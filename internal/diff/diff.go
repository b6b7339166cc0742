// Package diff says what differs between two trees, or between two bodies.
//
// It promises that presence is evidence and absence needs coverage: an object or a link counts as added only
// where the earlier tree proves that it was absent, and as removed only where the later tree does; anything
// else is Unknown, and none is left out. Absence is proven by a part that was read complete in that very
// snapshot, holes excepted, by a targeted capture that asked for the object, and for a link by the proven
// absence of an object at one of its ends. A property that either side did not ask for is not compared.
// The same two trees give the same changes in the same order, whatever order they were filled in.
//
// Two parts that were read by different declarations are compared as they are: what a new declaration
// changed in the canonical form shows up as a change, once.
//
// It refuses to guess: objects are the same where their refs are, or where an alias says so. Bodies are read
// only for objects that differ, a bounded number at a time; what is held in memory besides are the objects
// that aliases rename, and their links. The package does no I/O of its own.
package diff

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Kind says what sort of change a Change is.
type Kind rune

// The kinds of change.
const (
	Added    Kind = '+' // the object is in the later tree only
	Removed  Kind = '-' // the object is in the earlier tree only
	Changed  Kind = '~' // the object is in both, with other properties
	Linked   Kind = '>' // the link is in the later tree only
	Unlinked Kind = '<' // the link is in the earlier tree only
	Unknown  Kind = '?' // one tree has the object or link, the other does not know
)

// String returns the word for the kind: added, removed, changed, linked, unlinked, unknown.
func (k Kind) String() string {
	switch k {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Changed:
		return "changed"
	case Linked:
		return "linked"
	case Unlinked:
		return "unlinked"
	case Unknown:
		return "unknown"
	}
	return fmt.Sprintf("kind(%d)", rune(k))
}

// MarshalText writes the word.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the word.
func (k *Kind) UnmarshalText(text []byte) error {
	for _, kind := range []Kind{Added, Removed, Changed, Linked, Unlinked, Unknown} {
		if kind.String() == string(text) {
			*k = kind
			return nil
		}
	}
	return fmt.Errorf("kind %q is not known", text)
}

// The two reasons of an Unknown change.
const (
	NoBefore = "seen, earlier state unknown" // the later tree has it; the earlier one does not know
	NoAfter  = "not seen"                    // the earlier tree has it; the later one does not know
)

// A Change is one difference between two trees.
type Change struct {
	Kind Kind
	// Ref is the object, as the later tree names it, else as the earlier one does. For a link it is
	// the end the link starts from.
	Ref entra.Ref
	// Before and After are the object in the earlier and the later tree, nil where it is absent, and both nil
	// for a link. Where aliases hold, Before names objects as the later tree does.
	Before, After *entra.Object
	Fields        []Field    // for Changed, ascending by path, never empty
	Link          entra.Link // for Linked and Unlinked, and for Unknown where it is about a link
	Reason        string     // for Unknown: NoBefore or NoAfter
}

// IsLink reports whether the change is about a link rather than an object.
func (c Change) IsLink() bool { return c.Link.Rel != "" }

// Compare orders changes as Trees does: by ref, the object's own change before its links, links by
// relation and target.
func (c Change) Compare(d Change) int {
	if n := c.Ref.Compare(d.Ref); n != 0 {
		return n
	}
	return c.Link.Compare(d.Link)
}

// Options narrows and directs a comparison. The zero value compares everything, and no alias.
type Options struct {
	// Aliases maps the ref of an object to the ref under which it was re-created. An object that stands
	// under one of such names in the earlier tree and under one other in the later is the same object,
	// in either direction. Where a tree holds two of the names at once they are different objects there.
	Aliases map[entra.Ref]entra.Ref
	// Types limits the comparison to changes whose ref is of these types; nil means all.
	Types []entra.Type
	// Refs limits the comparison to these objects and the links at either end of which they stand, by their
	// name in either tree; nil means all.
	Refs []entra.Ref
	// Raw leaves the aliases unused.
	Raw bool
}

// touched is a tree that knows, without comparing them, which refs may differ from another tree: those whose
// version differs, or that a differing link starts from, ascending. It reports false where it cannot tell.
type touched interface {
	Touched(ctx context.Context, other snapshot.Tree) (iter.Seq2[entra.Ref, error], bool)
}

// apart is a tree that also knows which objects and which links differ: the objects whose version does, the links that only
// the other tree has, and those that only it has, each ascending. So a group is not read for one member.
type apart interface {
	Apart(ctx context.Context, other snapshot.Tree) (objects iter.Seq2[entra.Ref, error], was, is iter.Seq2[entra.Link, error], ok bool)
}

// Trees yields the changes from before to after in the order of Change.Compare; an error is the last pair.
// Streams of entries, such as an audit log, are not state and not compared.
func Trees(ctx context.Context, before, after snapshot.Tree, o Options) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		c, err := prepare(ctx, before, after, o)
		if err != nil {
			yield(Change{}, fmt.Errorf("compare through aliases: %w", err))
			return
		}
		switch {
		case o.Refs != nil:
			c.some(ctx, o.Refs)(yield)
		case c.touched != nil:
			c.near(ctx)(yield)
		default:
			c.all(ctx)(yield)
		}
	}
}

// A comparison is one run of Trees.
type comparison struct {
	before, after snapshot.Tree
	types         []entra.Type // nil means all
	names                      // how the earlier tree's refs are called in the later one
	touched       iter.Seq2[entra.Ref, error]
	ended, begun  iter.Seq2[entra.Link, error] // links that only one tree has; nil where that is not known, and then touched has where they start
	defined       map[string]entra.Ref         // of the later tree: what defines properties, by their names; nil until it is asked for
}

func (c *comparison) wants(t entra.Type) bool {
	if c.types != nil && !slices.Contains(c.types, t) {
		return false
	}
	r, ok := catalog.Lookup(t)
	return !ok || !r.Stream
}

// all compares every part of both trees, stream against stream.
func (c *comparison) all(ctx context.Context) iter.Seq2[Change, error] {
	parts := slices.Concat(c.before.Snapshot().Parts, c.after.Snapshot().Parts)
	slices.SortFunc(parts, snapshot.Part.Compare)
	parts = slices.CompactFunc(parts, func(p, q snapshot.Part) bool { return p.Compare(q) == 0 })
	return func(yield func(Change, error) bool) {
		for len(parts) > 0 {
			t, n := parts[0].Type, 0
			for n < len(parts) && parts[n].Type == t {
				n++
			}
			own := parts[:n]
			parts = parts[n:]
			if !c.wants(t) {
				continue
			}
			// The objects are compared even where only a relation has a part: nothing is left out.
			streams := []iter.Seq2[Change, error]{c.objects(ctx, c.rows(ctx, t))}
			for _, p := range own {
				if p.Relation != "" {
					b := join(where(c.before.Links(ctx, t, p.Relation), c.kept), values(c.moved[part{t, p.Relation}]), entra.Link.Compare)
					streams = append(streams, c.links(ctx, b, c.after.Links(ctx, t, p.Relation)))
				}
			}
			for ch, err := range merge(streams) {
				if err != nil {
					err = fmt.Errorf("compare %s: %w", t, err)
				}
				if !yield(ch, err) || err != nil {
					return
				}
			}
		}
	}
}

// near compares the objects that the later tree says may differ, and those that aliases may have changed.
func (c *comparison) near(ctx context.Context) iter.Seq2[Change, error] {
	// A renamed object's old ref is touched too; it is compared under its new one, which is among the extras.
	refs := join(where(c.touched, func(r entra.Ref) bool { return c.to[r] == (entra.Ref{}) }), values(c.extra), entra.Ref.Compare)
	refs = where(refs, func(r entra.Ref) bool { return c.wants(r.Type) })
	rows := func(yield func(row, error) bool) {
		for r, err := range refs {
			if !yield(row{before: c.earlier(r), after: r}, err) || err != nil {
				return
			}
		}
	}
	// Links are compared object by object, where it is not known which of them differ, or where aliases rename them.
	around := refs
	if c.ended != nil {
		around = where(values(c.extra), func(r entra.Ref) bool { return c.wants(r.Type) })
	}
	links := func(yield func(Change, error) bool) {
		for r, err := range around {
			if err != nil {
				yield(Change{}, err)
				return
			}
			from := func(l entra.Link) bool { return l.From == r }
			b := join(where(c.before.Around(ctx, r), func(l entra.Link) bool { return from(l) && c.kept(l) }), values(c.movedFrom(r)), entra.Link.Compare)
			for ch, err := range c.links(ctx, b, where(c.after.Around(ctx, r), from)) {
				if !yield(ch, err) || err != nil {
					return
				}
			}
		}
	}
	streams := []iter.Seq2[Change, error]{c.objects(ctx, rows), links}
	if c.ended != nil {
		others := func(l entra.Link) bool {
			_, extra := slices.BinarySearchFunc(c.extra, l.From, entra.Ref.Compare)
			return !extra && c.to[l.From] == (entra.Ref{}) && c.wants(l.From.Type)
		}
		streams = append(streams, c.links(ctx, where(c.ended, others), where(c.begun, others)))
	}
	return func(yield func(Change, error) bool) {
		for ch, err := range merge(streams) {
			if err != nil {
				err = fmt.Errorf("compare what changed: %w", err)
			}
			if !yield(ch, err) || err != nil {
				return
			}
		}
	}
}

// some compares the given objects, and the links at either end of which they stand.
func (c *comparison) some(ctx context.Context, refs []entra.Ref) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		var rows []row
		var was, is []entra.Link
		for _, r := range refs {
			if to, ok := c.to[r]; ok {
				r = to
			}
			if i := slices.IndexFunc(rows, func(o row) bool { return o.after == r }); i >= 0 {
				continue
			}
			rows = append(rows, row{before: c.earlier(r), after: r})
			for l, err := range c.before.Around(ctx, c.earlier(r)) {
				if err != nil {
					yield(Change{}, fmt.Errorf("compare links of %s: %w", r, err))
					return
				}
				was = append(was, c.link(l))
			}
			for l, err := range c.after.Around(ctx, r) {
				if err != nil {
					yield(Change{}, fmt.Errorf("compare links of %s: %w", r, err))
					return
				}
				is = append(is, l)
			}
		}
		slices.SortFunc(rows, func(a, b row) int { return a.after.Compare(b.after) })
		rows = slices.DeleteFunc(rows, func(r row) bool { return !c.wants(r.after.Type) })
		ordered := func(links []entra.Link) iter.Seq2[entra.Link, error] {
			slices.SortFunc(links, entra.Link.Compare)
			return where(values(slices.Compact(links)), func(l entra.Link) bool { return c.wants(l.From.Type) })
		}
		for ch, err := range merge([]iter.Seq2[Change, error]{c.objects(ctx, values(rows)), c.links(ctx, ordered(was), ordered(is))}) {
			if err != nil {
				err = fmt.Errorf("compare objects: %w", err)
			}
			if !yield(ch, err) || err != nil {
				return
			}
		}
	}
}

// A row is an object to compare, by its ref in each tree.
type row struct{ before, after entra.Ref }

// rows yields the objects of a type that are not the same in both trees, by version.
func (c *comparison) rows(ctx context.Context, t entra.Type) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		byRef := func(a, b snapshot.Entry) int { return a.Ref.Compare(b.Ref) }
		var renamed []snapshot.Entry
		for _, r := range c.extra {
			if r.Type == t && c.from[r] != (entra.Ref{}) {
				renamed = append(renamed, snapshot.Entry{Ref: r}) // no version: always compared
			}
		}
		b := join(where(c.before.Entries(ctx, t), func(e snapshot.Entry) bool { return c.to[e.Ref] == (entra.Ref{}) }), values(renamed), byRef)
		for p, err := range pairs(b, c.after.Entries(ctx, t), byRef) {
			if err != nil {
				yield(row{}, err)
				return
			}
			r := row{}
			switch {
			case p.a == nil:
				r = row{p.b.Ref, p.b.Ref}
			case p.b == nil:
				r = row{c.earlier(p.a.Ref), p.a.Ref}
			default:
				if _, held := slices.BinarySearchFunc(c.extra, p.a.Ref, entra.Ref.Compare); p.a.Version == p.b.Version && !held {
					continue
				}
				r = row{c.earlier(p.a.Ref), p.a.Ref}
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// batch is how many objects are compared at a time, and so how many bodies are held.
const batch = 256

// objects yields the changes of objects.
func (c *comparison) objects(ctx context.Context, rows iter.Seq2[row, error]) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		pending := make([]row, 0, batch)
		flush := func() bool {
			was, is := make([]entra.Ref, len(pending)), make([]entra.Ref, len(pending))
			for i, r := range pending {
				was[i], is[i] = r.before, r.after
			}
			b, err := fetch(ctx, c.before, was)
			if err != nil {
				yield(Change{}, err)
				return false
			}
			a, err := fetch(ctx, c.after, is)
			if err != nil {
				yield(Change{}, err)
				return false
			}
			for _, r := range pending {
				ch, ok, err := c.object(ctx, r.after, b[r.before], a[r.after])
				if err != nil {
					yield(Change{}, err)
					return false
				}
				if ok && !yield(ch, nil) {
					return false
				}
			}
			pending = pending[:0]
			return true
		}
		for r, err := range rows {
			if err != nil {
				yield(Change{}, err)
				return
			}
			if pending = append(pending, r); len(pending) == batch && !flush() {
				return
			}
		}
		flush()
	}
}

// object compares one object. It reports false where nothing that both sides know differs.
func (c *comparison) object(ctx context.Context, r entra.Ref, before, after *entra.Object) (Change, bool, error) {
	if before != nil {
		before = c.renamed(*before)
	}
	ch := Change{Ref: r, Before: before, After: after}
	switch {
	case before == nil && after == nil:
		return ch, false, nil
	case before == nil:
		if ch.Kind = Added; !c.before.Snapshot().Knows(r) {
			ch.Kind, ch.Reason = Unknown, NoBefore
		}
	case after == nil:
		if ch.Kind = Removed; !c.after.Snapshot().Knows(r) {
			ch.Kind, ch.Reason = Unknown, NoAfter
		}
	default:
		if before.Body == after.Body {
			return ch, false, nil
		}
		resource, _ := catalog.Lookup(r.Type)
		was, is := c.before.Snapshot().Part(r.Type, ""), c.after.Snapshot().Part(r.Type, "")
		ch.Kind = Changed
		for _, f := range Bodies(resource, before.Body, after.Body) {
			if resource != nil {
				if p, ok := resource.Property(f.Path); ok && p.Shows() {
					continue // the other object says so
				}
			}
			// No one asks for an annotation; it comes by itself.
			told := strings.HasPrefix(f.Path, "@") || was.Asks(catalog.RenamePath(f.Path, c.was)) && is.Asks(f.Path)
			if !told && is.Asks(f.Path) {
				var err error
				if told, err = c.undefined(ctx, f.Path); err != nil {
					return ch, false, err
				}
			}
			if told {
				ch.Fields = append(ch.Fields, f)
			}
		}
		return ch, len(ch.Fields) > 0, nil
	}
	return ch, true, nil
}

// links yields the changes from one ascending sequence of links to another.
func (c *comparison) links(ctx context.Context, before, after iter.Seq2[entra.Link, error]) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for p, err := range pairs(before, after, entra.Link.Compare) {
			if err != nil {
				yield(Change{}, err)
				return
			}
			var ch Change
			switch {
			case p.a == nil:
				ch = Change{Kind: Linked, Ref: p.b.From, Link: *p.b}
				gone, err := c.loose(ctx, c.before, *p.b, c.earlier)
				if err != nil {
					yield(Change{}, err)
					return
				}
				if !gone {
					ch.Kind, ch.Reason = Unknown, NoBefore
				}
			case p.b == nil:
				ch = Change{Kind: Unlinked, Ref: p.a.From, Link: *p.a}
				gone, err := c.loose(ctx, c.after, *p.a, func(r entra.Ref) entra.Ref { return r })
				if err != nil {
					yield(Change{}, err)
					return
				}
				if !gone {
					ch.Kind, ch.Reason = Unknown, NoAfter
				}
			default:
				continue
			}
			if !yield(ch, nil) {
				return
			}
		}
	}
}

// loose reports whether the tree proves that a link it does not have did not hold: its part says so, or an
// object at one of its ends was not there. name gives the tree's own name of a ref.
func (c *comparison) loose(ctx context.Context, t snapshot.Tree, l entra.Link, name func(entra.Ref) entra.Ref) (bool, error) {
	l.From, l.To = name(l.From), name(l.To)
	s := t.Snapshot()
	if s.KnowsLink(l) {
		return true, nil
	}
	for _, end := range []entra.Ref{l.From, l.To} {
		if !s.Knows(end) {
			continue
		}
		has, err := fetch(ctx, t, []entra.Ref{end})
		if err != nil {
			return false, err
		}
		if has[end] == nil {
			return true, nil
		}
	}
	return false, nil
}
