package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// An Overlay is a Tree with some objects and links put over another. It is read-only once it is made.
type Overlay struct {
	tree Tree
	refs func(entra.Object) []entra.ID
	up   func(entra.Ref) (entra.Ref, bool)
	put  map[entra.Ref]entra.Object
	gone map[entra.Ref]bool // with what they contain and their links
	add  map[entra.Link]bool
	cut  map[entra.Link]bool
	err  error // what kept it from being made

	held map[entra.ID]map[entra.Ref]bool   // of put
	ends map[entra.Ref]map[entra.Link]bool // of add
}

// NewOverlay returns an overlay with nothing in it. refs says which IDs an object's properties hold, and parent
// which object contains another.
func NewOverlay(t Tree, refs func(entra.Object) []entra.ID, parent func(entra.Ref) (entra.Ref, bool)) *Overlay {
	return &Overlay{
		tree: t, refs: refs, up: parent, put: map[entra.Ref]entra.Object{}, gone: map[entra.Ref]bool{}, add: map[entra.Link]bool{}, cut: map[entra.Link]bool{},
		held: map[entra.ID]map[entra.Ref]bool{}, ends: map[entra.Ref]map[entra.Link]bool{},
	}
}

// Set puts an object over the tree, in the place of what it has.
func (o *Overlay) Set(x entra.Object) {
	o.lift(x.Ref)
	delete(o.gone, x.Ref)
	o.put[x.Ref] = x
	for _, id := range o.refs(x) {
		note(o.held, id, x.Ref)
	}
}

// Drop hides an object, with what it contains and the links at either end of which they stand.
func (o *Overlay) Drop(r entra.Ref) {
	o.lift(r)
	o.gone[r] = true
}

// Fail makes every method that reads give the error.
func (o *Overlay) Fail(err error) { o.err = err }

// Touched yields the refs of the objects that may differ between the overlay and the tree under it, or from which
// a link starts that only one of them has, ascending. It reports false for any other tree, and where an object
// is hidden.
func (o *Overlay) Touched(_ context.Context, other Tree) (iter.Seq2[entra.Ref, error], bool) {
	if other != o.tree || len(o.gone) > 0 { // what goes with a hidden object is for a comparison to find
		return nil, false
	}
	found := map[entra.Ref]bool{}
	for r := range o.put {
		found[r] = true
	}
	for _, links := range []map[entra.Link]bool{o.add, o.cut} {
		for l := range links {
			found[l.From] = true
		}
	}
	return func(yield func(entra.Ref, error) bool) {
		for _, r := range slices.SortedFunc(maps.Keys(found), entra.Ref.Compare) {
			if !yield(r, o.err) || o.err != nil {
				return
			}
		}
	}, true
}

// lift takes away what was put over an object.
func (o *Overlay) lift(r entra.Ref) {
	if x, ok := o.put[r]; ok {
		for _, id := range o.refs(x) {
			delete(o.held[id], r)
		}
		delete(o.put, r)
	}
}

// Link puts a link over the tree.
func (o *Overlay) Link(l entra.Link) {
	delete(o.cut, l)
	o.add[l] = true
	note(o.ends, l.From, l)
	note(o.ends, l.To, l)
}

// Unlink hides a link.
func (o *Overlay) Unlink(l entra.Link) {
	delete(o.add, l)
	delete(o.ends[l.From], l)
	delete(o.ends[l.To], l)
	o.cut[l] = true
}

func note[K, V comparable](in map[K]map[V]bool, k K, v V) {
	if in[k] == nil {
		in[k] = map[V]bool{}
	}
	in[k][v] = true
}

func (o *Overlay) hidden(r entra.Ref) bool {
	if o.gone[r] {
		return true
	}
	p, ok := o.up(r)
	return ok && o.gone[p]
}

// Snapshot implements Tree.
func (o *Overlay) Snapshot() *Snapshot { return o.tree.Snapshot() }

// Entries implements Tree.
func (o *Overlay) Entries(ctx context.Context, t entra.Type) iter.Seq2[Entry, error] {
	var own []Entry
	for r, x := range o.put {
		if r.Type == t && !o.hidden(r) {
			own = append(own, Entry{Ref: r, Version: x.Version()})
		}
	}
	compare := func(a, b Entry) int { return a.Ref.Compare(b.Ref) }
	return mergeInto(o.err, own, func(e Entry) bool { return o.below(e.Ref) }, compare, o.tree.Entries(ctx, t))
}

// below reports whether an object of the tree shows through.
func (o *Overlay) below(r entra.Ref) bool {
	_, over := o.put[r]
	return !over && !o.hidden(r)
}

// Links implements Tree.
func (o *Overlay) Links(ctx context.Context, t entra.Type, rel string) iter.Seq2[entra.Link, error] {
	return o.links(o.tree.Links(ctx, t, rel), o.add, func(l entra.Link) bool { return l.From.Type == t && l.Rel == rel })
}

// Around implements Tree.
func (o *Overlay) Around(ctx context.Context, r entra.Ref) iter.Seq2[entra.Link, error] {
	return o.links(o.tree.Around(ctx, r), o.ends[r], func(entra.Link) bool { return true })
}

func (o *Overlay) links(tree iter.Seq2[entra.Link, error], add map[entra.Link]bool, want func(entra.Link) bool) iter.Seq2[entra.Link, error] {
	var own []entra.Link
	for l := range add {
		if want(l) && !o.hidden(l.From) && !o.hidden(l.To) {
			own = append(own, l)
		}
	}
	show := func(l entra.Link) bool { return !o.cut[l] && !o.add[l] && !o.hidden(l.From) && !o.hidden(l.To) }
	return mergeInto(o.err, own, show, entra.Link.Compare, tree)
}

// Object implements Tree.
func (o *Overlay) Object(ctx context.Context, r entra.Ref) (entra.Object, error) {
	if o.err != nil {
		return entra.Object{}, o.err
	}
	if o.hidden(r) {
		return entra.Object{}, &fs.PathError{Op: "object", Path: r.String(), Err: fs.ErrNotExist}
	}
	if x, ok := o.put[r]; ok {
		return x, nil
	}
	return o.tree.Object(ctx, r)
}

// Objects yields those of the objects that the overlay has, in the order asked for, leaving the others out. What lies
// in the tree below is read in one go where that tree can.
func (o *Overlay) Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		below := map[entra.Ref]entra.Object{}
		shelf, ok := o.tree.(interface {
			Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error]
		})
		if ok && o.err == nil {
			some := slices.DeleteFunc(slices.Clone(refs), func(r entra.Ref) bool { return !o.below(r) })
			for x, err := range shelf.Objects(ctx, some) {
				if err != nil {
					yield(entra.Object{}, err)
					return
				}
				below[x.Ref] = x
			}
		}
		for _, r := range refs {
			x, known := below[r]
			if !known && ok && o.err == nil && o.below(r) {
				continue
			}
			var err error
			if !known {
				x, err = o.Object(ctx, r)
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if !yield(x, err) || err != nil {
				return
			}
		}
	}
}

// Holders implements Tree.
func (o *Overlay) Holders(ctx context.Context, id entra.ID) iter.Seq2[entra.Ref, error] {
	own := slices.DeleteFunc(slices.Collect(maps.Keys(o.held[id])), o.hidden)
	return mergeInto(o.err, own, o.below, entra.Ref.Compare, o.tree.Holders(ctx, id))
}

// mergeInto yields own and what shows of the tree's sequence, ascending.
func mergeInto[T any](err error, own []T, show func(T) bool, compare func(a, b T) int, tree iter.Seq2[T, error]) iter.Seq2[T, error] {
	slices.SortFunc(own, compare)
	return func(yield func(T, error) bool) {
		var zero T
		if err != nil {
			yield(zero, err)
			return
		}
		rest := own
		for e, err := range tree {
			if err != nil {
				yield(zero, err)
				return
			}
			for len(rest) > 0 && compare(rest[0], e) < 0 {
				if !yield(rest[0], nil) {
					return
				}
				rest = rest[1:]
			}
			if show(e) && !yield(e, nil) {
				return
			}
		}
		for _, e := range rest {
			if !yield(e, nil) {
				return
			}
		}
	}
}
