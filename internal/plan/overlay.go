package plan

import (
	"context"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// An overlay is a tree with some objects and links put over it. It is read-only once it is made.
type overlay struct {
	tree snapshot.Tree
	put  map[entra.Ref]entra.Object
	gone map[entra.Ref]bool // with what they contain and their links
	add  map[entra.Link]bool
	cut  map[entra.Link]bool
	err  error // what kept it from being made

	held map[entra.ID]map[entra.Ref]bool   // of put
	ends map[entra.Ref]map[entra.Link]bool // of add
}

func over(t snapshot.Tree) *overlay {
	return &overlay{
		tree: t, put: map[entra.Ref]entra.Object{}, gone: map[entra.Ref]bool{}, add: map[entra.Link]bool{}, cut: map[entra.Link]bool{},
		held: map[entra.ID]map[entra.Ref]bool{}, ends: map[entra.Ref]map[entra.Link]bool{},
	}
}

func (o *overlay) set(x entra.Object) {
	o.lift(x.Ref)
	delete(o.gone, x.Ref)
	o.put[x.Ref] = x
	for _, f := range catalog.Refs(x) {
		note(o.held, f.ID, x.Ref)
	}
}

func (o *overlay) drop(r entra.Ref) {
	o.lift(r)
	o.gone[r] = true
}

// lift takes away what was put over an object.
func (o *overlay) lift(r entra.Ref) {
	if x, ok := o.put[r]; ok {
		for _, f := range catalog.Refs(x) {
			delete(o.held[f.ID], r)
		}
		delete(o.put, r)
	}
}

func (o *overlay) link(l entra.Link) {
	delete(o.cut, l)
	o.add[l] = true
	note(o.ends, l.From, l)
	note(o.ends, l.To, l)
}

func (o *overlay) unlink(l entra.Link) {
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

func (o *overlay) hidden(r entra.Ref) bool {
	if o.gone[r] {
		return true
	}
	p, ok := parent(r)
	return ok && o.gone[p]
}

// parent returns the object that contains another.
func parent(r entra.Ref) (entra.Ref, bool) {
	c, ok := catalog.Lookup(r.Type)
	parts := r.ID.Split()
	if !ok || c.Under == "" || len(parts) < 2 {
		return entra.Ref{}, false
	}
	return entra.Ref{Type: c.Under, ID: parts[0]}, true
}

// Snapshot implements snapshot.Tree.
func (o *overlay) Snapshot() *snapshot.Snapshot { return o.tree.Snapshot() }

// Entries implements snapshot.Tree.
func (o *overlay) Entries(ctx context.Context, t entra.Type) iter.Seq2[snapshot.Entry, error] {
	var own []snapshot.Entry
	for r, x := range o.put {
		if r.Type == t {
			own = append(own, snapshot.Entry{Ref: r, Version: x.Version()})
		}
	}
	compare := func(a, b snapshot.Entry) int { return a.Ref.Compare(b.Ref) }
	return mergeInto(o.err, own, func(e snapshot.Entry) bool { return o.below(e.Ref) }, compare, o.tree.Entries(ctx, t))
}

// below reports whether an object of the tree shows through.
func (o *overlay) below(r entra.Ref) bool {
	_, over := o.put[r]
	return !over && !o.hidden(r)
}

// Links implements snapshot.Tree.
func (o *overlay) Links(ctx context.Context, t entra.Type, rel string) iter.Seq2[entra.Link, error] {
	return o.links(o.tree.Links(ctx, t, rel), o.add, func(l entra.Link) bool { return l.From.Type == t && l.Rel == rel })
}

// Around implements snapshot.Tree.
func (o *overlay) Around(ctx context.Context, r entra.Ref) iter.Seq2[entra.Link, error] {
	return o.links(o.tree.Around(ctx, r), o.ends[r], func(entra.Link) bool { return true })
}

func (o *overlay) links(tree iter.Seq2[entra.Link, error], add map[entra.Link]bool, want func(entra.Link) bool) iter.Seq2[entra.Link, error] {
	var own []entra.Link
	for l := range add {
		if want(l) && !o.hidden(l.From) && !o.hidden(l.To) {
			own = append(own, l)
		}
	}
	show := func(l entra.Link) bool { return !o.cut[l] && !o.add[l] && !o.hidden(l.From) && !o.hidden(l.To) }
	return mergeInto(o.err, own, show, entra.Link.Compare, tree)
}

// Object implements snapshot.Tree.
func (o *overlay) Object(ctx context.Context, r entra.Ref) (entra.Object, error) {
	if o.err != nil {
		return entra.Object{}, o.err
	}
	if x, ok := o.put[r]; ok {
		return x, nil
	}
	if o.hidden(r) {
		return entra.Object{}, &fs.PathError{Op: "object", Path: r.String(), Err: fs.ErrNotExist}
	}
	return o.tree.Object(ctx, r)
}

// Holders implements snapshot.Tree.
func (o *overlay) Holders(ctx context.Context, id entra.ID) iter.Seq2[entra.Ref, error] {
	own := slices.Collect(maps.Keys(o.held[id]))
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

// revived is what a recycle bin's object is when it has come back.
func revived(bin entra.Object, live entra.Type) (entra.Object, error) {
	m := bin.Body.Decode()
	c, _ := catalog.Lookup(live)
	if c == nil {
		return entra.Object{Ref: entra.Ref{Type: live, ID: bin.Ref.ID}, Body: bin.Body}, nil
	}
	maps.DeleteFunc(m, func(name string, _ any) bool {
		p, ok := c.Property(name)
		return ok && p.Omit
	})
	body, err := entra.Encode(m)
	return entra.Object{Ref: entra.Ref{Type: live, ID: bin.Ref.ID}, Body: body}, err
}

// Simulate returns the tree the plan promises when it is carried out on base, by base's names. What is
// created keeps the goal's ID, what is undeleted leaves the recycle bin, what is deleted enters it where its
// type has one. Nothing is read but the objects that the steps write; an error in reading is what the
// tree's methods then give.
func (p *Plan) Simulate(base snapshot.Tree) snapshot.Tree {
	o := over(base)
	ids := map[entra.ID]entra.ID{}
	maps.Copy(ids, p.Values)
	for g, b := range p.IDs {
		ids[g.ID] = b.ID
	}
	named := func(r entra.Ref, ofBase bool) entra.Ref {
		if ofBase {
			return r
		}
		if b, ok := p.IDs[r]; ok {
			return b
		}
		return rename(entra.Object{Ref: r}, ids).Ref
	}
	ctx := context.Background() // trees in memory and indexes are read without waiting
	for _, s := range p.Steps {
		if err := o.take(ctx, s, named(s.Ref, s.OfBase), func(r entra.Ref) entra.Ref { return named(r, s.OfBase) }, ids); err != nil {
			o.err = err
			return o
		}
	}
	return o
}

// take puts one step over the tree.
func (o *overlay) take(ctx context.Context, s Step, ref entra.Ref, name func(entra.Ref) entra.Ref, ids map[entra.ID]entra.ID) error {
	r, known := catalog.Lookup(ref.Type)
	switch s.Action {
	case Create, Update:
		m := map[string]any{}
		if s.Action == Update {
			x, err := o.Object(ctx, ref)
			if err != nil {
				return err
			}
			m = x.Body.Decode()
		}
		set, err := entra.Encode(nested(s.Set))
		if err != nil {
			return err
		}
		fresh := rename(entra.Object{Ref: s.Ref, Body: set}, ids).Body.Decode()
		for path := range s.Set {
			v, _ := entra.Get(fresh, path)
			put(m, path, v)
		}
		if s.Action == Create {
			for property, v := range s.Values {
				m[property] = string(v)
			}
		}
		body, err := entra.Encode(m)
		if err != nil {
			return err
		}
		o.set(entra.Object{Ref: ref, Body: body})
	case Undelete:
		if !known {
			return nil
		}
		bin, err := o.Object(ctx, entra.Ref{Type: r.Bin, ID: ref.ID})
		if err != nil {
			return err
		}
		x, err := revived(bin, ref.Type)
		if err != nil {
			return err
		}
		o.set(x)
		o.drop(bin.Ref)
	case Delete:
		x, err := o.Object(ctx, ref)
		if err != nil {
			return err
		}
		o.drop(ref)
		if known && r.Bin != "" {
			o.set(entra.Object{Ref: entra.Ref{Type: r.Bin, ID: ref.ID}, Body: x.Body})
		}
	case Attach:
		l := entra.Link{From: name(s.Link.From), Rel: s.Link.Rel, To: name(s.Link.To)}
		if s.Replaces != nil {
			o.unlink(entra.Link{From: l.From, Rel: l.Rel, To: *s.Replaces})
		}
		o.link(l)
	case Detach:
		o.unlink(entra.Link{From: name(s.Link.From), Rel: s.Link.Rel, To: name(s.Link.To)})
	}
	return nil
}

// nested turns values by path into an object that holds them.
func nested(set map[string]any) map[string]any {
	m := map[string]any{}
	for path, v := range set {
		put(m, path, v)
	}
	return m
}

// put stores a value at a path. The name of an annotation holds dots and is not one.
func put(m map[string]any, path string, v any) {
	switch {
	case !strings.HasPrefix(path, "@"):
		entra.Set(m, path, v)
	case v == nil:
		delete(m, path)
	default:
		m[path] = v
	}
}

// Count says how much the plan does, in the terms of Limits. Privileged and Approvers are for others to
// judge and stay 0.
func (p *Plan) Count() Limits {
	objects := map[entra.Ref]bool{}
	var n Limits
	for _, s := range p.Steps {
		switch s.Action {
		case Attach, Detach:
			n.Links++
			continue
		case Delete:
			n.Deletions++
		}
		objects[s.Ref] = true
	}
	n.Objects = len(objects)
	return n
}
