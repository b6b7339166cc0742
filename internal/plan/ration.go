package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// ration keeps the plan to what there is of things that only so many can have, such as the units of a licence. Those whose
// steps come last go without: the service would refuse them, and the restore would never be done.
func (m *maker) ration() error {
	for r := range catalog.All() {
		if !r.Rations() {
			continue
		}
		takers := m.takers(r.Type)
		if len(takers) == 0 {
			continue
		}
		for e, err := range m.base.Entries(m.ctx, r.Type) {
			if err != nil {
				return err
			}
			o, err := m.base.Object(m.ctx, e.Ref)
			if err != nil {
				return err
			}
			by, room, used, ok := catalog.Room(o)
			if !ok || len(takers[by]) == 0 {
				continue
			}
			had, have, given, back, err := m.having(r.Type, by, takers[by])
			if err != nil {
				return err
			}
			if used < 0 {
				used = len(had)
			}
			// The service has counted those, too, of whom base does not tell.
			total := used + len(have) - len(had)
			over := total - room
			if over+len(back) > 0 { // what is given back has to be, first
				for _, n := range takers[by] {
					n.needs = append(n.needs, slices.DeleteFunc(slices.Clone(back), func(o *node) bool { return o.waits(n) })...)
				}
			}
			slices.SortFunc(takers[by], (*node).compare)
			for _, n := range slices.Backward(takers[by]) {
				if over <= 0 {
					break
				}
				if c, _ := catalog.Lookup(n.Ref.Type); hands(c) || given[n.Ref] {
					continue // what hands on to its members is not refused, and who has it from such loses nothing
				}
				m.without(n, r.Type, by, fmt.Sprintf("only %d can have %s at once, and with all of this plan %d would: make room for more, or take it from others, and restore again", room, catalog.Name(o), total))
				over--
			}
		}
	}
	m.nodes = slices.DeleteFunc(m.nodes, func(n *node) bool { return n.void })
	for _, n := range m.nodes {
		n.needs = slices.DeleteFunc(n.needs, func(o *node) bool { return o.void })
	}
	return nil
}

// hands reports whether what objects of the type have is their members' as well, each of whom counts.
func hands(r *catalog.Resource) bool {
	_, ok := r.Relation(catalog.Members)
	return ok
}

// takers returns the steps that give an object of the type to whoever lacks it, by what it is named by.
func (m *maker) takers(of entra.Type) map[entra.ID][]*node {
	found := map[entra.ID][]*node{}
	for _, n := range m.nodes {
		r, _ := catalog.Lookup(n.Ref.Type)
		if n.Action != Create && n.Action != Update || r == nil {
			continue
		}
		p, ok := r.Taking(of)
		if !ok || n.Set[p.Name] == nil {
			continue
		}
		had := keys(n.Was[p.Name], p.Key)
		for id := range keys(n.Set[p.Name], p.Key) {
			if !had[id] {
				found[id] = append(found[id], n)
			}
		}
	}
	return found
}

// keys returns the keys of the elements of an array.
func keys(array any, key string) map[entra.ID]bool {
	found := map[entra.ID]bool{}
	elements, _ := array.([]any)
	for _, e := range elements {
		e, _ := e.(map[string]any)
		if id, _ := e[key].(string); id != "" {
			found[entra.ID(id)] = true
		}
	}
	return found
}

// having returns who has what goes by the ID now, and who has it when the plan is carried out, by the goal's names, each once
// however many ways lead to it. given are those among the latter who have it from what they are members of, back the steps by
// which others lose it.
func (m *maker) having(of entra.Type, by entra.ID, takers []*node) (had, have, given map[entra.Ref]bool, back []*node, err error) {
	had, have, given = map[entra.Ref]bool{}, map[entra.Ref]bool{}, map[entra.Ref]bool{}
	through := map[entra.Ref]bool{} // what hands on to its members; true where it does so now
	takes := func(t entra.Type) (catalog.Property, bool) {
		if r, ok := catalog.Lookup(t); ok && r.Live == "" {
			return r.Taking(of)
		}
		return catalog.Property{}, false
	}
	for h, err := range m.world.Holders(m.ctx, by) {
		if err != nil {
			return nil, nil, nil, nil, err
		}
		if _, ok := takes(h.Type); !ok {
			continue
		}
		g := m.goalName(h)
		if r, _ := catalog.Lookup(h.Type); hands(r) {
			through[g] = !m.born[g]
		} else if !m.born[g] {
			had[g] = true
		}
		if n := m.deletes[h]; n != nil {
			back = append(back, n)
		} else {
			have[g] = true
		}
	}
	for _, n := range m.nodes {
		p, ok := takes(n.Ref.Type)
		if n.Action != Update || !ok || !have[n.Ref] {
			continue
		}
		if v, ok := n.Set[p.Name]; ok && !keys(v, p.Key)[by] {
			delete(have, n.Ref)
			back = append(back, n)
		}
	}
	for _, n := range takers {
		have[n.Ref] = true
	}
	after := map[entra.Ref]bool{} // what hands on to its members then
	for h := range have {
		if r, _ := catalog.Lookup(h.Type); hands(r) {
			after[h] = true
			delete(have, h)
		}
	}
	person := func(r entra.Ref) bool {
		c, _ := catalog.Lookup(r.Type)
		_, ok := takes(r.Type)
		return ok && !hands(c)
	}
	leaves := map[entra.Link]bool{} // by base's names
	for _, n := range m.nodes {
		switch {
		case n.Action == Detach && n.OfBase:
			leaves[*n.Link] = true
		case n.Action == Detach:
			leaves[entra.Link{From: m.baseName(n.Link.From), Rel: n.Link.Rel, To: m.baseName(n.Link.To)}] = true
		case n.Action == Attach && n.Link.Rel == catalog.Members && after[n.Link.From] && person(n.Link.To):
			have[n.Link.To], given[n.Link.To] = true, true
		}
	}
	for _, h := range slices.Concat(slices.Collect(maps.Keys(through)), slices.Collect(maps.Keys(after))) {
		for l, err := range m.world.Around(m.ctx, m.baseName(h)) {
			if err != nil {
				return nil, nil, nil, nil, err
			}
			if l.From != m.baseName(h) || l.Rel != catalog.Members || !person(l.To) {
				continue
			}
			g := m.goalName(l.To)
			if through[h] && !m.born[g] {
				had[g] = true
			}
			if after[h] && !leaves[l] && m.deletes[l.To] == nil {
				have[g], given[g] = true, true
			}
		}
	}
	return had, have, given, back, nil
}

// without takes one element out of what a step writes, and says why. A step that has nothing left to do is void.
func (m *maker) without(n *node, of entra.Type, by entra.ID, why string) {
	r, _ := catalog.Lookup(n.Ref.Type)
	p, _ := r.Taking(of)
	elements, _ := n.Set[p.Name].([]any)
	left := slices.DeleteFunc(slices.Clone(elements), func(e any) bool { return keys([]any{e}, p.Key)[by] })
	n.Set, n.Was = maps.Clone(n.Set), maps.Clone(n.Was)
	n.Set[p.Name] = left
	path := at(p, by)
	if len(left) == 0 { // as a comparison will tell it
		m.gap(n.Ref, n.Name, p.Name, why)
	} else {
		m.gap(n.Ref, n.Name, path, why)
	}
	was, _ := n.Was[p.Name].([]any)
	if same, err := equal(left, was); err == nil && same {
		delete(n.Set, p.Name)
		delete(n.Was, p.Name)
	}
	if n.Action != Update {
		return
	}
	const differs = "differs in "
	if rest, ok := strings.CutPrefix(n.Why, differs); ok {
		n.Why = differs + strings.Join(slices.DeleteFunc(strings.Split(rest, ", "), func(s string) bool {
			return s == path || strings.HasPrefix(s, path+".") || n.Set[p.Name] == nil && r.Unit(s) == p.Name
		}), ", ")
	}
	n.void = len(n.Set) == 0
}

func equal(a, b []any) (bool, error) {
	if len(a) == 0 && len(b) == 0 {
		return true, nil
	}
	x, err := entra.Text(a)
	if err != nil {
		return false, err
	}
	y, err := entra.Text(b)
	return x == y, err
}
