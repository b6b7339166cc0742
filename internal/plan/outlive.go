package plan

import (
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// bonds are the values that bind an object to another for good, such as a service principal's appId: it is
// recognised by them, they cannot be changed, and the service chose them for the other. One of several in a list is no
// bond: a condition of a policy outlives an application that it names.
func bonds(r *catalog.Resource, body entra.Body) (all []catalog.Reference) {
	for _, f := range catalog.Refs(entra.Object{Ref: entra.Ref{Type: r.Type}, Body: body}) {
		p, ok := r.Property(f.Path)
		if ok && f.By != "" && !p.Set && p.Write == catalog.OnCreate && slices.Contains(r.Match, f.Path) {
			all = append(all, f)
		}
	}
	return all
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

// bound reports whether what lies in a recycle bin is bound to what the goal's object is bound to, and that is there. Who
// is bound to what is gone cannot come back, and another takes its place.
func (m *maker) bound(r *catalog.Resource, g, bin entra.Object) (bool, error) {
	if _, loose, err := m.loose(r, g); loose || err != nil {
		return false, err
	}
	is, was := bonds(r, bin.Body), bonds(r, g.Body)
	return slices.EqualFunc(is, was, func(b, g catalog.Reference) bool {
		if by, ok := m.known[b.ID]; ok {
			return by == g.ID
		}
		return b.ID == g.ID && !m.former[b.ID]
	}), nil
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

// outlived hides base's objects of a type that are bound to what is made anew, with what belongs to them. The service
// deletes them with it and never lets them come back without it, so base has them only because it was read meanwhile.
func (m *maker) outlived(r *catalog.Resource) error {
	if !r.Relates() || !m.whole() {
		return nil
	}
	var todo []entra.Object
	for _, v := range slices.Sorted(maps.Keys(m.former)) {
		for h, err := range m.world.Holders(m.ctx, v) {
			if err != nil {
				return err
			}
			if h.Type != r.Type {
				continue
			}
			o, err := m.world.Object(m.ctx, h)
			if err != nil {
				return err
			}
			bound := slices.ContainsFunc(bonds(r, o.Body), func(f catalog.Reference) bool { return f.ID == v })
			if bound && catalog.Frozen(o) == "" && m.wants(m.goalName(h)) {
				todo = append(todo, o)
			}
		}
	}
	for len(todo) > 0 {
		o := todo[0]
		todo = todo[1:]
		more, err := belonging(m.ctx, m.world, o.Ref, catalog.Handles(o))
		if err != nil {
			return err
		}
		m.world.Drop(o.Ref)
		m.gone[o.Ref] = true
		for _, x := range more {
			if o, ok, err := get(m.ctx, m.world, x); err != nil {
				return err
			} else if ok {
				todo = append(todo, o)
			}
		}
	}
	return nil
}
