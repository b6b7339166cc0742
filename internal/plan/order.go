package plan

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"fmt"
	hashes "hash"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

func newHash() hashes.Hash { return sha256.New() }

// What comes before all else, where no need says otherwise: who can put the rest right if this restore cannot, then
// what the tenant's rules are made of, then who others ask what to do.
const (
	tierAdministrators = iota - 3 // who holds a privileged role, with all that it takes
	tierControl                   // other roles and who holds them, and what policies name
	tierManagers                  // whom others have as their manager
	tierRest
)

// Within that, the order of steps where no need says otherwise. Policies come when everything they name is there,
// and are put into force last of all.
const (
	rankUndelete = iota
	rankCreate
	rankUpdate
	rankAttach
	rankIssue
	rankPolicy
	rankDetach
	rankDelete
	rankEnforce
)

// A node is a step that is not numbered yet.
type node struct {
	Step
	rank  int
	needs []*node

	tier   int  // tierRest until lead says otherwise
	kind   int  // the type's place in catalog.Order
	void   bool // ration left nothing of it to do
	wait   int  // needs that have no number yet
	wanted []*node
}

func (m *maker) add(n node) *node {
	m.nodes = append(m.nodes, &n)
	return &n
}

// compare orders nodes that could be taken next.
func (n *node) compare(o *node) int {
	kind := cmp.Compare(n.kind, o.kind)
	if n.Action == Delete { // what refers to others goes before them
		kind = -kind
	}
	if c := cmp.Or(cmp.Compare(n.tier, o.tier), cmp.Compare(n.rank, o.rank), kind, n.Ref.Compare(o.Ref)); c != 0 {
		return c
	}
	if n.Link != nil && o.Link != nil {
		return n.Link.Compare(*o.Link)
	}
	return 0
}

type queue []*node

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].compare(q[j]) < 0 }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*node)) }
func (q *queue) Pop() any {
	old := *q
	n := old[len(old)-1]
	*q = old[:len(old)-1]
	return n
}

// finish orders the steps, numbers them and fills the plan.
func (m *maker) finish() error {
	if err := m.need(); err != nil {
		return err
	}
	m.breakCircles()
	if err := m.lead(); err != nil {
		return err
	}
	if err := m.ration(); err != nil {
		return err
	}
	if err := m.number(); err != nil {
		return err
	}
	types := map[entra.Type]bool{}
	if m.selected == nil && len(m.q.Scope.Types) == 0 {
		types = nil
	} else {
		for r := range m.selected {
			types[r.Type] = true
		}
		for _, t := range m.q.Scope.Types {
			types[t] = true
		}
		for _, s := range m.plan.Steps {
			types[s.Ref.Type] = true
			if s.Link != nil {
				types[s.Link.To.Type] = true
			}
		}
		for t := range maps.Clone(types) {
			if r, ok := catalog.Lookup(t); ok && r.Bin != "" {
				types[r.Bin] = true
			}
		}
	}
	m.plan.Base, m.plan.Goal = hash(m.base.Snapshot(), types), hash(m.goal.Snapshot(), types)
	if len(m.to) > 0 {
		m.plan.IDs = m.to
	}
	for g := range m.gaps {
		m.plan.Gaps = append(m.plan.Gaps, g)
	}
	slices.SortFunc(m.plan.Gaps, func(a, b Gap) int {
		return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Reason, b.Reason))
	})
	return nil
}

// need finds which steps a step needs by what it names.
func (m *maker) need() error {
	place := map[entra.Type]int{}
	for i, t := range catalog.Order() {
		place[t] = i
	}
	by := map[entra.ID][]*node{} // who brings back what an ID or a value names
	for r, err := range m.each(slices.SortedFunc(maps.Keys(m.makes), entra.Ref.Compare), m.names) {
		if err != nil {
			return err
		}
		o, err := m.goal.Object(m.ctx, r)
		if err != nil {
			return err
		}
		for _, id := range catalog.Handles(o) {
			by[id] = append(by[id], m.makes[r])
		}
	}
	updates := map[entra.Ref]*node{} // by base's name
	setting := map[string][]*node{}  // updates by what they set
	for _, n := range m.nodes {
		n.kind = place[n.Ref.Type]
		if n.Action == Update {
			updates[m.baseName(n.Ref)] = n
			for property := range n.Set {
				setting[property] = append(setting[property], n)
			}
		}
	}
	terms := map[entra.Type][]*node{} // updates of what says on what terms others are made
	for _, n := range updates {
		terms[n.Ref.Type] = append(terms[n.Ref.Type], n)
	}
	bound := map[entra.ID][]*node{} // deletions by what the deleted is bound to
	for _, n := range m.nodes {
		if n.Action != Delete {
			continue
		}
		o, ok, err := get(m.ctx, m.base, m.baseName(n.Ref))
		if err != nil {
			return err
		}
		if r, _ := catalog.Lookup(n.Ref.Type); ok {
			for _, f := range bonds(r, o.Body) {
				bound[f.ID] = append(bound[f.ID], n)
			}
		}
	}
	if err := m.precede(); err != nil {
		return err
	}
	for _, n := range m.nodes {
		if n.Action == Update && len(bound) > 0 {
			o, _, err := get(m.ctx, m.base, m.baseName(n.Ref))
			if err != nil {
				return err
			}
			for _, id := range catalog.Handles(o) {
				n.needs = append(n.needs, bound[id]...) // what follows it would no longer be as it was
			}
		}
		switch n.Action {
		case Issue: // what is taken away goes first, because some credentials are only written all at once
			if u := updates[m.baseName(n.Ref)]; u != nil {
				n.needs = append(n.needs, u)
			}
		case Create, Update, Undelete:
			set := n.Set
			if n.Action != Update {
				if err := m.freed(n, updates); err != nil {
					return err
				}
			}
			if n.Action == Undelete {
				o, err := m.goal.Object(m.ctx, n.Ref)
				if err != nil {
					return err
				}
				if n.rank == rankUndelete { // with all that it names, but not without what it is bound to
					r, _ := catalog.Lookup(n.Ref.Type)
					n.needs = append(n.needs, makers(bonds(r, o.Body), by)...)
					continue
				}
				set = o.Body.Decode()
			}
			for _, made := range m.named(n.Ref, set, by) {
				if made != n {
					n.needs = append(n.needs, made)
				}
			}
			r, _ := catalog.Lookup(n.Ref.Type)
			for _, u := range terms[r.Terms] {
				if on, err := m.rules(u.Ref, n); err != nil {
					return err
				} else if on {
					n.needs = append(n.needs, u)
				}
			}
			if n.Action == Create {
				if err := m.declared(n, setting); err != nil {
					return err
				}
				for property := range n.Set { // nobody can have one before it is known in the tenant
					for _, shows := range m.hidden[property] {
						if shows != n {
							n.needs = append(n.needs, shows)
						}
					}
				}
			}
			if p, ok := catalog.Container(n.Ref); ok && m.makes[p] != nil {
				n.needs = append(n.needs, m.makes[p])
			}
			if b, ok := catalog.Beside(n.Ref); ok && m.makes[b] != nil {
				n.needs = append(n.needs, m.makes[b])
			}
		case Delete:
			for h, err := range m.world.Holders(m.ctx, n.Ref.ID) {
				if err != nil {
					return err
				}
				if first := m.deletes[h]; first != nil && first != n && (first.kind > n.kind || first.kind == n.kind && first.Ref.Compare(n.Ref) < 0) {
					n.needs = append(n.needs, first)
				}
				if first := updates[h]; first != nil && first.rank < rankDelete {
					n.needs = append(n.needs, first)
				}
			}
		}
	}
	return m.conceal(updates)
}

// precede makes what has to be there before its like in what contains both, come before them and go after them.
func (m *maker) precede() error {
	type place struct {
		in entra.Ref
		t  entra.Type
	}
	first, rest := map[place][]*node{}, map[place][]*node{}
	for _, n := range m.nodes {
		r, _ := catalog.Lookup(n.Ref.Type)
		in, contained := catalog.Container(n.Ref)
		if !contained || !r.Ordered() || n.Action != Create && n.Action != Delete {
			continue
		}
		tree, ref := m.goal, n.Ref
		if n.Action == Delete {
			tree, ref = m.base, m.baseName(n.Ref)
		}
		o, _, err := get(m.ctx, tree, ref)
		if err != nil {
			return err
		}
		at := place{in, n.Ref.Type}
		if catalog.Precedes(o) {
			first[at] = append(first[at], n)
		} else {
			rest[at] = append(rest[at], n)
		}
	}
	for at, leaders := range first {
		for _, leader := range leaders {
			for _, n := range rest[at] {
				switch {
				case leader.Action == Create && n.Action == Create:
					n.needs = append(n.needs, leader)
				case leader.Action == Delete && n.Action == Delete:
					leader.needs = append(leader.needs, n)
				}
			}
		}
	}
	return nil
}

// rules reports whether an object of the goal's says on what terms a step's object is made: both are in one object, or what
// recognises the one the other names.
func (m *maker) rules(terms entra.Ref, n *node) (bool, error) {
	if in, ok := catalog.Container(terms); ok {
		other, _ := catalog.Container(n.Ref)
		return in == other, nil
	}
	t, err := m.goal.Object(m.ctx, terms)
	if err != nil {
		return false, err
	}
	o, err := m.goal.Object(m.ctx, n.Ref)
	if err != nil {
		return false, err
	}
	r, _ := catalog.Lookup(terms.Type)
	return slices.ContainsFunc(catalog.Refs(t), func(f catalog.Reference) bool {
		return slices.Contains(r.Match, f.Path) && slices.Contains(catalog.IDs(o), f.ID)
	}), nil
}

// freed finds which steps have to take a key from its holder before an object comes back with it. A step that waits
// for the object itself cannot go first.
func (m *maker) freed(n *node, updates map[entra.Ref]*node) error {
	o, err := m.goal.Object(m.ctx, n.Ref)
	if err != nil {
		return err
	}
	for _, k := range catalog.Keys(o) {
		holders, err := m.holding(k.ID, m.baseName(n.Ref))
		if err != nil {
			return err
		}
		for _, h := range holders {
			for _, first := range []*node{updates[h.Ref], m.deletes[h.Ref]} {
				if first != nil && !first.waits(n) {
					n.needs = append(n.needs, first)
				}
			}
		}
	}
	return nil
}

// waits reports whether a step needs another, if not at first hand.
func (n *node) waits(o *node) bool {
	return n == o || slices.ContainsFunc(n.needs, func(x *node) bool { return x.waits(o) })
}

// declared finds which updates put back what the values of a creation are keys of, such as the app role that is
// assigned: in an object that the created one names, or that one of these names, as a service principal does its
// application.
func (m *maker) declared(n *node, setting map[string][]*node) error {
	r, _ := catalog.Lookup(n.Ref.Type)
	for _, p := range r.Properties {
		key := n.Set[p.Name]
		if p.Of == "" || key == nil {
			continue
		}
		near, err := m.near(n)
		if err != nil {
			return err
		}
		for _, u := range setting[p.Of] {
			if !declares(u, p.Of, key) {
				continue
			}
			o, err := m.goal.Object(m.ctx, u.Ref)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(catalog.Handles(o), func(id entra.ID) bool { return near[id] }) {
				n.needs = append(n.needs, u)
			}
		}
	}
	return nil
}

// declares reports whether an update sets a keyed array to one that has an element with the key.
func declares(u *node, property string, key any) bool {
	r, _ := catalog.Lookup(u.Ref.Type)
	p, _ := r.Property(property)
	elements, _ := u.Set[property].([]any)
	return p.Name == property && slices.ContainsFunc(elements, func(e any) bool {
		element, _ := e.(map[string]any)
		return element[p.Key] == key
	})
}

// near returns what a creation names, and what the named objects name.
func (m *maker) near(n *node) (map[entra.ID]bool, error) {
	body, err := entra.Encode(nested(n.Set))
	if err != nil {
		return nil, err
	}
	near := map[entra.ID]bool{}
	for _, f := range catalog.Refs(entra.Object{Ref: n.Ref, Body: body}) {
		near[f.ID] = true
		for _, t := range f.Types {
			o, ok, err := get(m.ctx, m.goal, entra.Ref{Type: t, ID: f.ID})
			if err != nil {
				return nil, err
			}
			for _, id := range catalog.IDs(o) {
				if ok {
					near[id] = true
				}
			}
		}
	}
	return near, nil
}

// lead gives the steps their tiers. What only takes away, and policies, which must find everything they name, stay
// where they are.
func (m *maker) lead() error {
	first, err := m.administrators()
	if err != nil {
		return err
	}
	for _, n := range m.nodes {
		if n.Action == Attach && n.Link.Rel == catalog.Manager && !n.OfBase {
			first[n.Link.To] = min(first[n.Link.To], tierManagers)
		}
	}
	// pull takes a step with all that it needs. What is written to the same object then completes it.
	var pull func(n *node, tier int)
	pull = func(n *node, tier int) {
		if n.tier <= tier || n.rank > rankAttach {
			return
		}
		n.tier = tier
		for _, o := range n.needs {
			pull(o, tier)
		}
	}
	for tier := tierAdministrators; tier < tierRest; tier++ {
		for _, n := range m.nodes {
			o := entra.Object{Ref: n.Ref}
			_, role := catalog.Role(o)
			_, held := catalog.RoleHeld(o)
			switch {
			case n.rank == rankPolicy && tier == tierControl:
				for _, o := range n.needs {
					pull(o, tier)
				}
			case n.Action == Attach && n.Link.Rel != catalog.Members, n.OfBase:
			case first[n.Ref] <= tier, (role || held) && tier == tierControl:
				pull(n, tier)
			}
		}
		theirs := map[entra.Ref]bool{}
		for _, n := range m.nodes {
			if n.tier == tier && (n.Action == Create || n.Action == Undelete) {
				theirs[n.Ref] = true
			}
		}
		for _, n := range m.nodes {
			if n.Action == Update && theirs[n.Ref] {
				pull(n, tier)
			}
		}
	}
	return nil
}

// administrators returns the tier of the role assignments of the goal and of those who hold them; a ref that it lacks is in
// tierRest. A role that the goal does not define could be any.
func (m *maker) administrators() (map[entra.Ref]int, error) {
	found := map[entra.Ref]int{}
	for r := range catalog.All() {
		if _, ok := catalog.RoleHeld(entra.Object{Ref: entra.Ref{Type: r.Type}}); !ok {
			continue
		}
		for e, err := range m.goal.Entries(m.ctx, r.Type) {
			if err != nil {
				return nil, err
			}
			o, err := m.goal.Object(m.ctx, e.Ref)
			if err != nil {
				return nil, err
			}
			h, _ := catalog.RoleHeld(o)
			tier := tierAdministrators
			if d, ok, err := get(m.ctx, m.goal, entra.Ref{Type: catalog.RoleType, ID: h.Role}); err != nil {
				return nil, err
			} else if role, _ := catalog.Role(d); ok && !role.Privileged {
				tier = tierControl
			}
			found[e.Ref] = tier
			for _, t := range []entra.Type{catalog.UserType, catalog.GroupType, catalog.ServicePrincipalType} {
				who := entra.Ref{Type: t, ID: h.Principal}
				found[who] = min(found[who], tier)
			}
		}
	}
	return found, nil
}

// named returns the steps that bring back what values name.
func (m *maker) named(r entra.Ref, set map[string]any, by map[entra.ID][]*node) []*node {
	body, err := entra.Encode(nested(set))
	if err != nil {
		return nil // unreachable: every value came out of a body
	}
	return makers(catalog.Refs(entra.Object{Ref: r, Body: body}), by)
}

// makers returns the steps that bring back what references lead to.
func makers(refs []catalog.Reference, by map[entra.ID][]*node) (found []*node) {
	for _, f := range refs {
		for _, made := range by[f.ID] {
			if slices.Contains(f.Types, made.Ref.Type) && !slices.Contains(found, made) {
				found = append(found, made)
			}
		}
	}
	return found
}

// breakCircles takes out of creations the properties by which they wait for each other, or name themselves,
// and writes them afterwards.
func (m *maker) breakCircles() {
	var creates []*node
	for _, n := range m.nodes {
		if n.Action == Create {
			creates = append(creates, n)
		}
	}
	slices.SortFunc(creates, (*node).compare)
	done := map[*node]bool{}
	ready := func(n *node) bool {
		return !slices.ContainsFunc(n.needs, func(o *node) bool { return o.Action == Create && !done[o] })
	}
	for len(creates) > 0 {
		before := len(creates)
		creates = slices.DeleteFunc(creates, func(n *node) bool {
			if ready(n) {
				done[n] = true
			}
			return done[n]
		})
		if len(creates) == before {
			// A circle: take the first that can do without what it waits for.
			for _, n := range creates {
				if m.postpone(n, creates) {
					break
				}
			}
			if !slices.ContainsFunc(creates, ready) {
				return // number reports it
			}
		}
	}
	for _, n := range slices.Clone(m.nodes) {
		if n.Action == Create {
			m.postpone(n, []*node{n})
		}
	}
}

// postpone moves the properties that name what late creations bring into an update after both. It reports
// whether it moved any.
func (m *maker) postpone(n *node, late []*node) bool {
	r, ok := catalog.Lookup(n.Ref.Type)
	if !ok || !r.Can.Has(catalog.Update) {
		return false
	}
	by := map[entra.ID][]*node{}
	for _, made := range late {
		by[made.Ref.ID] = append(by[made.Ref.ID], made)
		for _, v := range made.Values {
			by[v] = append(by[v], made)
		}
		for _, property := range catalog.Naming(made.Ref.Type) {
			if v, ok := made.Set[property].(string); ok {
				by[entra.ID(v)] = append(by[entra.ID(v)], made)
			}
		}
	}
	later := node{Step: Step{
		Action: Update, Ref: n.Ref, Name: n.Name, Set: map[string]any{}, Why: "it names what had to be created first",
	}, rank: rankUpdate, needs: []*node{n}, kind: n.kind}
	for _, property := range slices.Sorted(maps.Keys(n.Set)) {
		found := m.named(n.Ref, map[string]any{property: n.Set[property]}, by)
		p, ok := r.Property(property)
		if len(found) == 0 || !ok || p.Must || p.Write == catalog.OnCreate {
			continue
		}
		later.Set[property] = n.Set[property]
		delete(n.Set, property)
		later.needs = append(later.needs, found...)
		n.needs = slices.DeleteFunc(n.needs, func(o *node) bool { return slices.Contains(found, o) })
	}
	if len(later.Set) == 0 {
		return false
	}
	m.add(later)
	return true
}

// number puts the steps in order: each after what it needs, and otherwise by compare.
func (m *maker) number() error {
	var q queue
	for _, n := range m.nodes {
		slices.SortFunc(n.needs, (*node).compare)
		n.needs = slices.Compact(n.needs)
		n.wait = len(n.needs)
		for _, o := range n.needs {
			o.wanted = append(o.wanted, n)
		}
		if n.wait == 0 {
			q = append(q, n)
		}
	}
	heap.Init(&q)
	for q.Len() > 0 {
		n := heap.Pop(&q).(*node)
		n.Number = len(m.plan.Steps) + 1
		for _, o := range n.needs {
			n.Needs = append(n.Needs, o.Number)
		}
		slices.Sort(n.Needs)
		m.plan.Steps = append(m.plan.Steps, n.Step)
		for _, o := range n.wanted {
			if o.wait--; o.wait == 0 {
				heap.Push(&q, o)
			}
		}
	}
	for _, n := range m.nodes {
		if n.Number == 0 {
			return fmt.Errorf("order steps: %s of %s needs what needs it", n.Action, n.Ref)
		}
	}
	return nil
}
