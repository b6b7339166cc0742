package plan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// bonds are the values that bind an object to another for good, such as a service principal's appId: it is
// recognised by them, they cannot be changed, and the service chose them for the other.
func bonds(r *catalog.Resource, body entra.Body) (all []catalog.Reference) {
	for _, f := range catalog.Refs(entra.Object{Ref: entra.Ref{Type: r.Type}, Body: body}) {
		p, ok := r.Property(f.Path)
		if ok && f.By != "" && p.Write == catalog.OnCreate && slices.Contains(r.Match, f.Path) {
			all = append(all, f)
		}
	}
	return all
}

// bereft returns the first bond that leads to what base has no more by that value; zero is none.
func (m *maker) bereft(r *catalog.Resource, body entra.Body) (first catalog.Reference) {
	for _, f := range bonds(r, body) {
		if m.former[f.ID] {
			return f
		}
	}
	return first
}

// loose returns a bond of an absent object to what the goal has and base lacks: it cannot be made without that. What
// the goal lacks as well is somebody else's.
func (m *maker) loose(r *catalog.Resource, o entra.Object) (catalog.Reference, bool, error) {
	for _, f := range bonds(r, o.Body) {
		for _, t := range f.Types {
			by, err := m.handled(t)
			if err != nil {
				return f, false, err
			}
			to, ok := by[f.ID]
			if !ok {
				continue
			}
			if is, err := m.exists(to); !is || err != nil {
				return f, !is, err
			}
		}
	}
	return catalog.Reference{}, false, nil
}

// handled returns the goal's objects of a type by all that names them.
func (m *maker) handled(t entra.Type) (map[entra.ID]entra.Ref, error) {
	if m.called[t] == nil {
		by := map[entra.ID]entra.Ref{}
		for e, err := range m.goal.Entries(m.ctx, t) {
			if err != nil {
				return nil, err
			}
			o, err := m.goal.Object(m.ctx, e.Ref)
			if err != nil {
				return nil, err
			}
			for _, id := range catalog.Handles(o) {
				by[id] = e.Ref
			}
		}
		m.called[t] = by
	}
	return m.called[t], nil
}

// renew notes the values by which an absent object was named, where it is made anew and will have others.
func (m *maker) renew(g entra.Ref) error {
	if len(catalog.Naming(g.Type)) == 0 || !m.whole() {
		return nil
	}
	o, err := m.goal.Object(m.ctx, g)
	if err != nil || m.refuse(o) != "" {
		return err
	}
	_, why, err := m.fresh(o, false)
	clear(m.resolved) // it is not known yet what else will be made
	if err != nil || why != "" {
		return err
	}
	for _, v := range values(o) {
		m.former[v] = true
	}
	return nil
}

// outlived finds base's objects of a type that are left behind by what they were bound to. The goal's have to be
// made anew as well, so base's are no longer they.
func (m *maker) outlived(r *catalog.Resource) error {
	if !r.Relates() || !m.whole() {
		return nil
	}
	for _, v := range slices.Sorted(maps.Keys(m.former)) {
		var found []entra.Ref
		for h, err := range m.world.Holders(m.ctx, v) {
			if err != nil {
				return err
			}
			if h.Type == r.Type {
				found = append(found, h)
			}
		}
		for _, b := range found {
			o, err := m.world.Object(m.ctx, b)
			if err != nil {
				return err
			}
			g := m.goalName(b)
			if m.bereft(r, o.Body).ID != v || catalog.Frozen(o) != "" || !m.wants(g) {
				continue
			}
			if _, had, err := get(m.ctx, m.goal, g); err != nil {
				return err
			} else if had {
				if err := m.hide(o, g); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// A leftover is an object of base, and the goal's that it is no more.
type leftover struct {
	base entra.Object
	goal entra.Ref
}

// outdated returns what an earlier restore left beside the objects that it made: of two that a line of aliases takes
// for one and that do nothing but relate others, only the newest relates what the goal's did.
func outdated(ctx context.Context, t *reader, aliases map[entra.Ref]entra.Ref) (map[entra.Ref]bool, error) {
	pairs := map[entra.Ref]entra.Ref{}
	for old := range aliases {
		last := newest(old, aliases)
		if r, ok := catalog.Lookup(old.Type); ok && r.Relates() && old != last {
			pairs[old] = last
		}
	}
	found := map[entra.Ref]bool{}
	for some := range slices.Chunk(slices.SortedFunc(maps.Keys(pairs), entra.Ref.Compare), ahead) {
		all := slices.Clone(some)
		for _, old := range some {
			all = append(all, pairs[old])
		}
		if err := t.read(ctx, all...); err != nil {
			return nil, err
		}
		for _, old := range some {
			_, was, err := get(ctx, t, old)
			if err != nil {
				return nil, err
			}
			_, is, err := get(ctx, t, pairs[old])
			if err != nil {
				return nil, err
			}
			if was && is {
				found[old] = true
			}
		}
	}
	return found, nil
}

// Present returns the tree without what an earlier restore left beside the objects that it made anew, as aliases
// tell: a service principal that cannot follow its application to another appId.
func Present(ctx context.Context, t snapshot.Tree, aliases map[entra.Ref]entra.Ref) (snapshot.Tree, error) {
	old, err := outdated(ctx, newReader(t), aliases)
	if err != nil || len(old) == 0 {
		return t, err
	}
	o := over(t)
	for r := range old {
		o.Drop(r)
	}
	return o, nil
}

// clear hides leftovers.
func (m *maker) clear(older []leftover) error {
	place := catalog.Order()
	slices.SortStableFunc(older, func(a, b leftover) int {
		return cmp.Compare(slices.Index(place, a.base.Ref.Type), slices.Index(place, b.base.Ref.Type))
	})
	for _, x := range older {
		// It may have gone with another.
		if _, ok, err := get(m.ctx, m.world, x.base.Ref); err != nil {
			return err
		} else if !ok {
			continue
		}
		if err := m.hide(x.base, x.goal); err != nil {
			return err
		}
	}
	return nil
}

// hide puts out of sight an object of base that is left beside the one that stands, or will stand, for the goal's,
// with what belongs to it.
func (m *maker) hide(o entra.Object, g entra.Ref) error {
	first := o.Ref
	m.left[first] = g
	todo := []entra.Object{o}
	for len(todo) > 0 {
		o, todo = todo[0], todo[1:]
		more, err := belonging(m.ctx, m.world, o.Ref, catalog.Handles(o))
		if err != nil {
			return err
		}
		m.world.Drop(o.Ref)
		for _, x := range more {
			if o, ok, err := get(m.ctx, m.world, x); err != nil {
				return err
			} else if ok && !slices.Contains(m.along[first], x) {
				todo = append(todo, o)
				m.along[first] = append(m.along[first], x)
			}
		}
	}
	return nil
}

// leftovers says what becomes of the hidden objects when the goal's are there: they are deleted if the scope says
// so, else told.
func (m *maker) leftovers() error {
	for _, b := range slices.SortedFunc(maps.Keys(m.left), entra.Ref.Compare) {
		g := m.left[b]
		made := m.makes[g]
		if _, paired := m.to[g]; made == nil && !paired {
			continue // nothing takes its place
		}
		o, err := m.base.Object(m.ctx, b)
		if err != nil {
			return err
		}
		r, _ := catalog.Lookup(b.Type)
		if m.q.Scope.Delete && r.Can.Has(catalog.Delete) {
			var first []*node
			for _, x := range m.along[b] {
				if c, ok := catalog.Container(x); ok && (c == b || slices.Contains(m.along[b], c)) || !m.q.Scope.Has(x.Type) {
					continue
				}
				o, err := m.base.Object(m.ctx, x)
				if err != nil {
					return err
				}
				first = append(first, m.clean(o, made))
			}
			m.clean(o, append(first, made)...)
			continue
		}
		m.gap(g, catalog.Name(o), m.bereft(r, o.Body).Path, fmt.Sprintf(
			"what it belonged to was made anew, and this cannot be changed, so another takes its place; the old one, %s, stays: delete it when nobody needs it, or ask for --with-deletes", b))
	}
	return nil
}

// clean plans the deletion of a leftover after other steps, of which some can be nil.
func (m *maker) clean(o entra.Object, after ...*node) *node {
	n := m.add(node{Step: Step{
		Action: Delete, Ref: o.Ref, OfBase: true, Name: catalog.Name(o), Version: o.Version(), Asked: catalog.Named(o), Why: "what it belonged to is gone for good, and another takes its place",
	}, rank: rankDelete, needs: slices.DeleteFunc(after, func(n *node) bool { return n == nil })})
	m.deletes[o.Ref] = n
	return n
}
