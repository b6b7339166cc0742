package plan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Request says what to plan. The zero Request is everything, deleting nothing.
type Request struct {
	Scope Scope
	// Aliases maps every object that was ever re-created to its next or newest name, from the whole log.
	Aliases              map[entra.Ref]entra.Ref
	Limits               Limits
	Enforce, EnableUsers bool
	// RenameTaken lets what comes back and has a name or an address that another took since come back under a free
	// name, without the address. Otherwise it does not come back.
	RenameTaken bool
	// Revoke asks that the sessions of these end, once all else is done to them; by base's names.
	Revoke []entra.Ref
	// NewSecrets asks for a new credential in the place of each that cannot come back.
	NewSecrets bool
}

// lifts reports whether the request asks for what a property's Lift stands for.
func (q Request) lifts(lift string) bool {
	return lift == "enforce" && q.Enforce || lift == "enable-users" && q.EnableUsers
}

// A maker is one run of Make. Refs are the goal's names unless they are said to be base's.
type maker struct {
	ctx        context.Context
	base, goal *reader
	world      *snapshot.Overlay // base with what the plan undeletes
	q          Request
	plan       *Plan
	apart      bool // the goal is another tenant's, so that nothing is called the same on both sides but by chance

	to, from map[entra.Ref]entra.Ref   // goal's name to base's and back, where they differ
	known    map[entra.ID]entra.ID     // base's IDs and values to the goal's
	stale    map[entra.ID]entra.ID     // goal's IDs that no longer name the object in base, to markers
	ids      map[entra.ID]entra.ID     // of renaming; nil when known or stale have grown
	meant    map[entra.ID]entra.ID     // markers to what they stand for
	anew     map[entra.Ref]bool        // base's names of what a restore re-created
	lines    map[entra.Ref][]entra.Ref // all names of what base has under none of them, the newest first
	former   map[entra.ID]bool         // the goal's values by which base no longer means what they meant
	gone     map[entra.Ref]bool        // what base still has and is bound to what is gone
	given    map[entra.ID]entra.Ref    // free keys to who comes back with them

	selected map[entra.Ref]bool                    // what Scope.Refs comes to; nil is everything
	ends     map[entra.ID]bool                     // IDs and values that name the selected objects
	absent   []entra.Ref                           // what base lacks and the scope wants, in the order of catalog.Order
	kept     map[entra.Ref]bool                    // base's names of what may be the same as something of the goal's
	born     map[entra.Ref]bool                    // created or undeleted
	resolved map[entra.Ref]bool                    // whether what a reference leads to exists
	defined  *definitions                          // of the goal
	called   map[entra.Type]map[entra.ID]entra.Ref // the goal\'s objects of some types, by all that names them
	hidden   map[string][]*node                    // properties that are out of sight in base, to the steps that reveal them

	nodes   []*node
	makes   map[entra.Ref]*node // creations, undeletions
	updates map[entra.Ref]*node // of what there is
	deletes map[entra.Ref]*node // by base's name
	gaps    map[Gap]bool
}

// Make returns the plan that brings base to goal. It is a pure function of its arguments: the same trees
// and the same request give the same bytes. It refuses trees of two tenants.
func Make(ctx context.Context, base, goal snapshot.Tree, q Request) (*Plan, error) {
	if b, g := base.Snapshot().Tenant, goal.Snapshot().Tenant; b != g {
		return nil, fmt.Errorf("make plan: base is of tenant %s, goal of tenant %s", b, g)
	}
	was := newReader(base)
	m := &maker{
		ctx: ctx, base: was, goal: newReader(goal), world: over(was), q: q,
		to: map[entra.Ref]entra.Ref{}, from: map[entra.Ref]entra.Ref{}, known: map[entra.ID]entra.ID{}, stale: map[entra.ID]entra.ID{},
		anew: map[entra.Ref]bool{}, kept: map[entra.Ref]bool{}, born: map[entra.Ref]bool{}, resolved: map[entra.Ref]bool{},
		lines: map[entra.Ref][]entra.Ref{}, former: map[entra.ID]bool{}, gone: map[entra.Ref]bool{}, given: map[entra.ID]entra.Ref{}, called: map[entra.Type]map[entra.ID]entra.Ref{}, makes: map[entra.Ref]*node{}, updates: map[entra.Ref]*node{}, gaps: map[Gap]bool{},
		plan: &Plan{
			Tenant: base.Snapshot().Tenant, Scope: q.Scope, Limits: q.Limits, Enforce: q.Enforce, EnableUsers: q.EnableUsers, RenameTaken: q.RenameTaken, NewSecrets: q.NewSecrets,
			Steps: []Step{}, Gaps: []Gap{},
		},
	}
	_, m.apart = goal.(*moved)
	var err error
	if m.defined, err = m.define(m.goal); err != nil {
		return nil, fmt.Errorf("make plan: %w", err)
	}
	for _, do := range []func() error{m.alias, m.search, m.create, m.differ, m.revoke, m.finish} {
		if err := do(); err != nil {
			return nil, fmt.Errorf("make plan: %w", err)
		}
	}
	return m.plan, nil
}

func get(ctx context.Context, t snapshot.Tree, r entra.Ref) (entra.Object, bool, error) {
	o, err := t.Object(ctx, r)
	if errors.Is(err, fs.ErrNotExist) {
		return o, false, nil
	}
	return o, err == nil, err
}

func (m *maker) gap(r entra.Ref, name, field, reason string) {
	m.gaps[Gap{Ref: r, Name: name, Field: field, Reason: reason}] = true
}

// lack is gap for a property that cannot come back because what it names with the ID does not exist.
func (m *maker) lack(o entra.Object, field, id, reason string) {
	g := Gap{Ref: o.Ref, Name: catalog.Name(o), Field: field, Reason: reason}
	for _, f := range catalog.Refs(o) {
		if string(f.ID) == id && f.By == "" && len(f.Types) > 0 {
			g.Missing = entra.Ref{Type: f.Types[0], ID: f.ID}
			break
		}
	}
	m.gaps[g] = true
}

// baseName returns what base calls an object.
func (m *maker) baseName(r entra.Ref) entra.Ref {
	if b, ok := m.to[r]; ok {
		return b
	}
	return r
}

// goalName is the inverse of baseName.
func (m *maker) goalName(r entra.Ref) entra.Ref {
	if g, ok := m.from[r]; ok {
		return g
	}
	return r
}

// pair notes that two names are one object.
func (m *maker) pair(g, b entra.Object) {
	m.ids = nil
	if g.Ref != b.Ref {
		m.to[g.Ref], m.from[b.Ref] = b.Ref, g.Ref
		m.known[b.Ref.ID] = g.Ref.ID
		m.mark(g.Ref)
	}
	was := values(b)
	for p, v := range values(g) {
		if w := was[p]; w != "" && w != v {
			m.known[w] = v
			m.stale[v], m.former[v] = marker(v), true
			if m.plan.Values == nil {
				m.plan.Values = map[entra.ID]entra.ID{}
			}
			m.plan.Values[v] = w
		}
	}
}

// mark notes that base no longer means the object by the goal's ID of it.
func (m *maker) mark(g entra.Ref) {
	m.ids = nil
	for r := range catalog.All() {
		for _, p := range r.Properties {
			if p.By == "" && slices.Contains(p.Ref, g.Type) {
				m.stale[g.ID] = marker(g.ID)
				return
			}
		}
	}
}

// alias pairs what the goal and base call by different names of one line of aliases.
func (m *maker) alias() error {
	lines := map[entra.Ref][]entra.Ref{}
	for _, old := range slices.SortedFunc(maps.Keys(m.q.Aliases), entra.Ref.Compare) {
		last := newest(old, m.q.Aliases)
		m.anew[m.q.Aliases[old]] = true
		if len(lines[last]) == 0 {
			lines[last] = []entra.Ref{last}
		}
		if old != last {
			lines[last] = append(lines[last], old)
		}
	}
	sorted := slices.SortedFunc(maps.Keys(lines), entra.Ref.Compare)
	for last, err := range m.each(sorted, func(r entra.Ref) []entra.Ref { return lines[r] }) {
		if err != nil {
			return err
		}
		var g, b []entra.Object
		for _, r := range lines[last] {
			if o, ok, err := get(m.ctx, m.goal, r); err != nil {
				return err
			} else if ok {
				g = append(g, o)
			}
			if o, ok, err := get(m.ctx, m.base, r); err != nil {
				return err
			} else if ok {
				b = append(b, o)
			}
		}
		if len(g) != 1 {
			continue
		}
		switch len(b) {
		case 0:
			m.lines[g[0].Ref] = lines[last]
		case 1:
			m.pair(g[0], b[0])
		}
	}
	return nil
}

// undelete pairs an object of the goal with what lies in base's recycle bin under a name of it.
func (m *maker) undelete(g entra.Object, name entra.Ref) (bool, error) {
	r, ok := catalog.Lookup(g.Ref.Type)
	if !ok || r.Bin == "" || r.Undelete == "" || !m.whole() || m.born[g.Ref] {
		return false, nil
	}
	bin, ok, err := get(m.ctx, m.base, entra.Ref{Type: r.Bin, ID: name.ID})
	if !ok || err != nil {
		return false, err
	}
	if r.Revive(name.ID, nil).Path == "" {
		return false, nil
	}
	if bound, err := m.bound(r, g, bin); !bound || err != nil {
		return false, err // the service refuses it, or it would come back as what it no longer is
	}
	live, err := revived(bin, name.Type)
	if err != nil {
		return false, err
	}
	taken, err := m.clashes(g.Ref, live)
	if err != nil {
		return false, err
	}
	if why := m.clashing(r, live, taken); why != "" {
		m.gap(g.Ref, catalog.Name(g), "", "it lies in the recycle bin, but "+why)
		return true, nil
	}
	set, err := m.spare(live, taken)
	if err != nil {
		return false, err
	}
	for property, v := range set {
		live = with(live, property, v)
	}
	m.world.Set(live)
	m.pair(g, live)
	m.born[g.Ref] = true
	n := node{Step: Step{
		Action: Undelete, Ref: g.Ref, Name: catalog.Name(g), Version: bin.Version(), Asked: catalog.Named(bin), Set: set,
		Why: "it lies in the recycle bin and comes back with the ID it had",
	}, rank: rankUndelete}
	if enforced(r) {
		n.rank = rankPolicy // it is in force at once
	}
	if why := catalog.Frozen(live); catalog.Mastered(why) {
		m.gap(g.Ref, catalog.Name(g), catalog.Mastery, why+"; it comes back from the recycle bin, and synchronisation deletes it again unless it is brought back there as well")
	}
	m.makes[g.Ref] = m.add(n)
	return true, nil
}

// whole reports whether the request restores objects and not only some of their properties or links.
func (m *maker) whole() bool { return len(m.q.Scope.Fields) == 0 && len(m.q.Scope.Links) == 0 }

// Has reports whether the scope takes in objects of the type. Recycle bins and streams are never restored.
func (s Scope) Has(t entra.Type) bool {
	if r, ok := catalog.Lookup(t); ok && (r.Stream || r.Live != "") {
		return false
	}
	return len(s.Types) == 0 || slices.Contains(s.Types, t)
}

// wants reports whether the scope has the object, by the goal's name.
func (m *maker) wants(r entra.Ref) bool {
	return m.q.Scope.Has(r.Type) && (m.selected == nil || m.selected[r])
}

// walk calls f with the refs of a type that only one of the trees has, by the goal's names as far as they
// are known.
func (m *maker) walk(t entra.Type, f func(r entra.Ref, ofGoal bool)) error {
	had := map[entra.Ref]bool{} // what base has under another name
	for g := range m.to {
		if g.Type == t {
			had[g] = true
		}
	}
	goal, base := m.goal.Entries(m.ctx, t), m.world.Entries(m.ctx, t)
	for p, err := range both(goal, base) {
		switch {
		case err != nil:
			return err
		case p.base == (entra.Ref{}) && !had[p.goal]:
			f(p.goal, true)
		case p.goal == (entra.Ref{}) && m.from[p.base] == (entra.Ref{}):
			f(p.base, false)
		}
	}
	return nil
}

// values returns, by property, what else names the object and is chosen by the service.
func values(o entra.Object) map[string]entra.ID {
	found := map[string]entra.ID{}
	r, ok := catalog.Lookup(o.Ref.Type)
	if !ok {
		return found
	}
	for _, name := range catalog.Naming(o.Ref.Type) {
		p, ok := r.Property(name)
		if v, has := o.Body.Get(name); ok && has && p.Write == catalog.Never && r.Can.Has(catalog.Create) {
			if s, _ := v.(string); s != "" {
				found[name] = entra.ID(s)
			}
		}
	}
	return found
}

// choose finds what Scope.Refs comes to.
func (m *maker) choose() error {
	if len(m.q.Scope.Refs) == 0 {
		return nil
	}
	m.selected, m.ends = map[entra.Ref]bool{}, map[entra.ID]bool{}
	todo := []entra.Ref{}
	for _, r := range m.q.Scope.Refs {
		r = m.goalName(r)
		if _, ok, err := get(m.ctx, m.goal, r); err != nil {
			return err
		} else if !ok { // it may be one of the names of what the goal has
			for old := range m.to {
				if m.q.Aliases[old] == r {
					r = old
				}
			}
		}
		todo = append(todo, r)
	}
	met := map[entra.Ref]bool{} // what was named itself counts with all that belongs to it, though it belongs to another as well
	for len(todo) > 0 {
		r := todo[0]
		todo = todo[1:]
		if met[r] {
			continue
		}
		met[r], m.selected[r] = true, true
		if !m.whole() {
			continue
		}
		more, err := m.belonging(r)
		if err != nil {
			return err
		}
		for _, x := range more {
			if m.selected[x] {
				continue
			}
			// What relates two objects and is gone may have others at its own ends.
			if _, ok, err := get(m.ctx, m.world, m.baseName(x)); err != nil {
				return err
			} else if ok {
				m.selected[x] = true
			} else {
				todo = append(todo, x)
			}
		}
	}
	return nil
}

// belonging returns what an object contains and what relates it to others, and notes its names.
func (m *maker) belonging(r entra.Ref) ([]entra.Ref, error) {
	var all []entra.Ref
	sides := []struct {
		tree snapshot.Tree
		ref  entra.Ref
		name func(entra.Ref) entra.Ref
	}{{m.goal, r, func(r entra.Ref) entra.Ref { return r }}, {m.world, m.baseName(r), m.goalName}}
	var ids []entra.ID
	for _, side := range sides {
		o, ok, err := get(m.ctx, side.tree, side.ref)
		if err != nil {
			return nil, err
		}
		if !ok {
			o = entra.Object{Ref: side.ref}
		}
		ids = append(ids, catalog.Handles(o)...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		m.ends[id] = true
	}
	for _, side := range sides {
		found, err := belonging(m.ctx, side.tree, side.ref, ids)
		if err != nil {
			return nil, err
		}
		for _, x := range found {
			all = append(all, side.name(x))
		}
	}
	slices.SortFunc(all, entra.Ref.Compare)
	return slices.Compact(all), nil
}

// Belonging returns what an object contains, and what relates it to others (an assignment, a grant), ascending.
// One that the tree does not have has nothing.
func Belonging(ctx context.Context, tree snapshot.Tree, r entra.Ref) ([]entra.Ref, error) {
	o, ok, err := get(ctx, tree, r)
	if err != nil || !ok {
		return nil, err
	}
	all, err := belonging(ctx, tree, r, catalog.Handles(o))
	slices.SortFunc(all, entra.Ref.Compare)
	return slices.Compact(all), err
}

// belonging is Belonging for an object that goes by any of the IDs.
func belonging(ctx context.Context, tree snapshot.Tree, r entra.Ref, ids []entra.ID) (all []entra.Ref, err error) {
	for _, id := range ids {
		for h, err := range tree.Holders(ctx, id) {
			if err != nil {
				return nil, err
			}
			c, ok := catalog.Lookup(h.Type)
			if !ok || c.Live != "" || c.Stream || !c.Relates() {
				continue
			}
			x, _, err := get(ctx, tree, h)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(catalog.Refs(x), func(f catalog.Reference) bool {
				return f.ID == id && slices.Contains(c.Match, f.Path) && slices.Contains(f.Types, r.Type)
			}) {
				all = append(all, h)
			}
		}
	}
	for c := range catalog.All() {
		if c.Under != r.Type || c.Live != "" || c.Stream {
			continue
		}
		for e, err := range tree.Entries(ctx, c.Type) {
			if err != nil {
				return nil, err
			}
			if p, ok := catalog.Container(e.Ref); ok && p == r {
				all = append(all, e.Ref)
			}
		}
	}
	return all, nil
}

// search finds what the scope comes to. What is recognised on the way can have more that belongs to it.
func (m *maker) search() error {
	for {
		known := len(m.to) + len(m.born) + len(m.gone)
		m.absent = nil
		if err := m.choose(); err != nil {
			return err
		}
		if err := m.find(); err != nil {
			return err
		}
		if m.selected == nil || len(m.to)+len(m.born)+len(m.gone) == known {
			return nil
		}
	}
}

// find goes through what only the goal has: what lies in a recycle bin, what base has under another name,
// and what is absent.
func (m *maker) find() error {
	wanted := map[entra.Type]bool{}
	for r := range m.selected {
		wanted[r.Type] = true
	}
	for _, t := range catalog.Order() {
		r, _ := catalog.Lookup(t)
		if r.Stream || r.Live != "" || m.selected != nil && !wanted[t] && !m.apart {
			continue
		}
		if err := m.outlived(r); err != nil {
			return err
		}
		var goals, bases []entra.Ref
		if err := m.walk(t, func(r entra.Ref, ofGoal bool) {
			if ofGoal {
				goals = append(goals, r)
			} else {
				bases = append(bases, r)
			}
		}); err != nil {
			return err
		}
		if len(goals) == 0 {
			continue
		}
		var left []entra.Ref
		for g, err := range m.each(goals, m.names) {
			if err != nil {
				return err
			}
			if m.wants(g) {
				o, err := m.goal.Object(m.ctx, g)
				if err != nil {
					return err
				}
				found := false
				for _, name := range append(m.lines[g], g) {
					if found, err = m.undelete(o, name); err != nil {
						return err
					} else if found {
						break
					}
				}
				if found {
					continue
				}
			}
			left = append(left, g)
		}
		vague, err := m.match(r, left, bases)
		if err != nil {
			return err
		}
		for g, err := range m.each(left, m.names) {
			if err != nil {
				return err
			}
			if _, found := m.to[g]; !found && m.wants(g) && !vague[g] {
				m.absent = append(m.absent, g)
				if err := m.renew(g); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// match pairs what only the goal has with what only base has, where both are recognised by equal values and
// nothing else is. It returns what could be more than one.
func (m *maker) match(r *catalog.Resource, goals, bases []entra.Ref) (map[entra.Ref]bool, error) {
	vague := map[entra.Ref]bool{}
	if len(goals) == 0 || len(bases) == 0 {
		return vague, nil
	}
	ids := m.renaming()
	type group struct{ goals, bases []entra.Object }
	groups := map[string]*group{}
	collect := func(refs []entra.Ref, t snapshot.Tree, ofGoal bool) error {
		for ref, err := range m.each(refs, func(r entra.Ref) []entra.Ref { return []entra.Ref{r} }) {
			if err != nil {
				return err
			}
			o, err := t.Object(m.ctx, ref)
			if err != nil {
				return err
			}
			named := o
			if !ofGoal {
				named = rename(o, ids)
				if named.Ref != o.Ref && slices.Contains(goals, named.Ref) { // contained in what has another name
					g, err := m.goal.Object(m.ctx, named.Ref)
					if err != nil {
						return err
					}
					m.pair(g, o)
					continue
				}
			}
			key := r.Likeness(named)
			if key == "" {
				continue
			}
			if groups[key] == nil {
				groups[key] = &group{}
			}
			if ofGoal {
				groups[key].goals = append(groups[key].goals, o)
			} else {
				groups[key].bases = append(groups[key].bases, o)
			}
		}
		return nil
	}
	if err := collect(bases, m.world, false); err != nil {
		return nil, err
	}
	if err := collect(goals, m.goal, true); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		g.goals = slices.DeleteFunc(g.goals, func(o entra.Object) bool { return m.to[o.Ref] != (entra.Ref{}) })
		switch {
		case len(g.goals) == 0 || len(g.bases) == 0:
		case r.Relates():
			// Objects that relate the same ends are the same for every purpose.
			for i := range min(len(g.goals), len(g.bases)) {
				m.pair(g.goals[i], g.bases[i])
			}
		case len(g.goals) == 1 && len(g.bases) == 1 && m.base.Snapshot().Knows(g.goals[0].Ref) && m.goal.Snapshot().Knows(g.bases[0].Ref):
			m.pair(g.goals[0], g.bases[0])
		default:
			for _, o := range g.bases {
				m.kept[o.Ref] = true
			}
			for _, o := range g.goals {
				vague[o.Ref] = true
				if m.wants(o.Ref) {
					m.gap(o.Ref, catalog.Name(o), "", fmt.Sprintf("it is gone, and %d present objects of its type could be it by %s; rename or remove those that are not it, or restore it by hand",
						len(g.bases), strings.Join(r.Match, " and ")))
				}
			}
		}
	}
	return vague, nil
}

// binned reports whether base proves that the object is in no recycle bin.
func (m *maker) binned(r *catalog.Resource, g entra.Ref) bool {
	if r.Bin == "" {
		return true
	}
	s := m.base.Snapshot()
	switch s.Part(r.Bin, "").Coverage {
	case snapshot.Unsupported, snapshot.Unlicensed:
		return true
	}
	return s.Knows(entra.Ref{Type: r.Bin, ID: g.ID})
}

// create plans what has to be made anew.
func (m *maker) create() error {
	if !m.whole() {
		for _, g := range m.absent {
			if m.selected[g] {
				o, err := m.goal.Object(m.ctx, g)
				if err != nil {
					return err
				}
				m.gap(g, catalog.Name(o), "", "it does not exist, so none of its properties or links can be restored alone; restore the object")
			}
		}
		return nil
	}
	var objects []entra.Object
	lame := map[entra.Ref]bool{} // made without something they name
	absent, comes := map[entra.Ref]bool{}, map[entra.Ref]entra.Ref{}
	var served []entra.Object // what only the service makes
	for _, g := range m.absent {
		absent[g] = true
	}
	for g, err := range m.each(m.absent, m.names) {
		if err != nil {
			return err
		}
		o, err := m.goal.Object(m.ctx, g)
		if err != nil {
			return err
		}
		with, why, follows, err := m.follows(o, absent)
		if err != nil {
			return err
		}
		if follows && why == "" {
			comes[g] = with
			continue
		}
		if r, _ := catalog.Lookup(g.Type); why == "" && r.Can.Has(catalog.Update) && !r.Can.Has(catalog.Create) {
			served = append(served, o)
			continue
		}
		var missing entra.Ref
		if why == "" {
			if why = m.refuse(o); why != "" {
				missing = m.unmakable(g)
			}
		}
		if why == "" {
			if missing, why, err = m.homeless(o); err != nil {
				return err
			}
		}
		if why == "" {
			if why, err = m.grounded(o); err != nil {
				return err
			}
		}
		if why == "" && !m.q.RenameTaken {
			if why, err = m.occupied(o); err != nil {
				return err
			}
		}
		if why != "" {
			m.gaps[Gap{Ref: g, Name: catalog.Name(o), Reason: why, Missing: missing}] = true
			continue
		}
		objects = append(objects, o)
		m.born[g] = true
	}
	// What cannot be made takes along what needs it.
	for again := true; again; {
		again = false
		clear(m.resolved)
		var can []entra.Object
		for _, o := range objects {
			_, why, err := m.fresh(o, false)
			if err != nil {
				return err
			}
			if why == "" {
				can = append(can, o)
				continue
			}
			m.gap(o.Ref, catalog.Name(o), "", why)
			delete(m.born, o.Ref)
			again = true
		}
		objects = can
	}
	for _, g := range slices.SortedFunc(maps.Keys(comes), entra.Ref.Compare) {
		o, err := m.goal.Object(m.ctx, g)
		if err != nil {
			return err
		}
		if with := comes[g]; !m.born[with] {
			m.gap(g, catalog.Name(o), "", fmt.Sprintf("it comes and goes with %s, which does not come back", with))
			continue
		}
		r, _ := catalog.Lookup(g.Type)
		m.lost(r, o, nil)
	}
	for _, o := range served {
		with, ok := m.served(o)
		if !ok {
			m.gaps[Gap{Ref: o.Ref, Name: catalog.Name(o), Reason: m.refuse(o), Missing: m.unmakable(o.Ref)}] = true
			continue
		}
		r, _ := catalog.Lookup(o.Ref.Type)
		m.lost(r, o, nil)
		for _, name := range slices.Sorted(maps.Keys(o.Body.Decode())) {
			if p, ok := r.Property(name); ok && p.Write != catalog.Never {
				m.gap(o.Ref, catalog.Name(o), name, fmt.Sprintf("the service makes it anew with %s, with values of its own; restore it once more after this", with))
			}
		}
	}
	for _, o := range objects {
		missing, err := m.missing(o)
		if err != nil {
			return err
		}
		lame[o.Ref] = len(missing) > 0
		set, _, err := m.fresh(o, true)
		if err != nil {
			return err
		}
		r, _ := catalog.Lookup(o.Ref.Type)
		n := node{Step: Step{
			Action: Create, Ref: o.Ref, Name: catalog.Name(o), Set: set, Values: values(o),
			Why: "it is gone for good and is made anew, with a new ID",
		}, rank: rankCreate}
		if enforced(r) {
			n.rank = rankPolicy
		}
		made := m.add(n)
		m.makes[o.Ref] = made
		m.mark(o.Ref)
		for _, v := range made.Values {
			m.stale[v] = marker(v)
		}
		m.safe(r, o, made, lame[o.Ref])
		m.lost(r, o, made)
	}
	return nil
}

// served returns what is made anew with which the service makes an object as well: the object is recognised by it.
func (m *maker) served(o entra.Object) (entra.Ref, bool) {
	r, _ := catalog.Lookup(o.Ref.Type)
	for _, f := range catalog.Refs(o) {
		for _, t := range f.Types {
			if with := (entra.Ref{Type: t, ID: f.ID}); slices.Contains(r.Match, f.Path) && m.born[with] {
				return with, true
			}
		}
	}
	return entra.Ref{}, false
}

// refuse says why an absent object is not made anew, or "" if it is.
func (m *maker) refuse(o entra.Object) string {
	r, _ := catalog.Lookup(o.Ref.Type)
	switch why := catalog.Frozen(o); {
	case r.Can == 0:
		return r.Refusal
	case !r.Can.Has(catalog.Create):
		return "the service offers no way to create it"
	case catalog.Mastered(why):
		return why + "; bring it back there and let it be synchronised, then restore this again for what it had here: made anew here it would be another, which synchronisation does not know"
	case why != "":
		return why
	case catalog.Untimely(o, m.base.Snapshot().Began) != "":
		return catalog.Untimely(o, m.base.Snapshot().Began)
	case !m.base.Snapshot().Knows(o.Ref):
		m.plan.Unread.Around = append(m.plan.Unread.Around, o)
		return "it could not be read whether it still exists; capture again with the missing permission and plan again"
	case !m.binned(r, o.Ref):
		m.plan.Unread.Around = append(m.plan.Unread.Around, o)
		return "it could not be read whether it lies in the recycle bin; capture again with the missing permission and plan again"
	}
	return ""
}

// unmakable is what is missing where an absent object is refused: itself, unless it could be there.
func (m *maker) unmakable(g entra.Ref) entra.Ref {
	if !m.base.Snapshot().Knows(g) {
		return entra.Ref{}
	}
	return g
}

// homeless says why an object cannot have the address that it had, or "", and under which domain that was.
func (m *maker) homeless(o entra.Object) (entra.Ref, string, error) {
	property, domain, ok := catalog.Home(o)
	if !ok || !m.base.Snapshot().Knows(domain) {
		return entra.Ref{}, "", nil
	}
	d, there, err := get(m.ctx, m.base, domain)
	if err != nil || there && catalog.Verified(d) {
		return entra.Ref{}, "", err
	}
	for _, err := range m.base.Entries(m.ctx, domain.Type) {
		if err != nil {
			return entra.Ref{}, "", err
		}
		return domain, fmt.Sprintf("its %s is under %s, which is no verified domain of this tenant; verify it, or map it to one that is, and restore this again", property, domain.ID), nil
	}
	return entra.Ref{}, "", nil // a tenant without domains is one of which none is known
}

// grounded says of what there must be some before there can be such an object, where there is none and none is made, or "".
func (m *maker) grounded(o entra.Object) (string, error) {
	r, _ := catalog.Lookup(o.Ref.Type)
	needs, ok := catalog.Lookup(r.Given)
	if !ok || m.base.Snapshot().Part(r.Given, "").Coverage != snapshot.Complete ||
		needs.Can.Has(catalog.Create) && slices.ContainsFunc(m.absent, func(r entra.Ref) bool { return r.Type == needs.Type }) {
		return "", nil
	}
	for _, err := range m.base.Entries(m.ctx, r.Given) {
		return "", err
	}
	return fmt.Sprintf("there is nothing in this tenant of what it depends on (%s); make that first, and restore this again", strings.ToLower(needs.Title)), nil
}

// revoke plans that sessions end. Whoever is off already may have some still.
func (m *maker) revoke() error {
	for _, b := range m.q.Revoke {
		r, ok := catalog.Lookup(b.Type)
		o, there, err := get(m.ctx, m.base, b)
		if err != nil {
			return err
		}
		if !ok || r.Revoke == "" || !there {
			continue
		}
		n := node{Step: Step{Action: Revoke, Ref: b, OfBase: true, Name: catalog.Name(o), Why: "whoever is signed in still would go on"}, rank: rankEnforce}
		for _, other := range m.nodes {
			if m.baseName(other.Ref) == b && other.Action == Update {
				n.needs = append(n.needs, other)
			}
		}
		m.add(n)
	}
	return nil
}

// enforced reports whether objects of the type guard sign-in, so that they come after all else.
func enforced(r *catalog.Resource) bool {
	return slices.ContainsFunc(r.Properties, func(p catalog.Property) bool { return p.Lift == "enforce" })
}

// fresh returns what a creation sends. why says what makes it impossible. With tell, references that are
// left out because they lead nowhere become gaps.
func (m *maker) fresh(o entra.Object, tell bool) (set map[string]any, why string, err error) {
	r, _ := catalog.Lookup(o.Ref.Type)
	missing, err := m.missing(o)
	if err != nil {
		return nil, "", err
	}
	if p, ok := catalog.Container(o.Ref); ok && !m.born[p] {
		if ok, err := m.exists(p); err != nil {
			return nil, "", err
		} else if !ok {
			return nil, fmt.Sprintf("%s, which contains it, does not exist; restore that as well", p), nil
		}
	}
	if ok, err := m.holds(r, o.Ref); err != nil {
		return nil, "", err
	} else if !ok {
		return nil, "what contains it lacks, or comes back without, what the service needs to make such a thing in it; make it by hand", nil
	}
	if beside, lacks, err := m.alone(o.Ref); err != nil {
		return nil, "", err
	} else if lacks {
		return nil, fmt.Sprintf("what contains it is, or comes back, without its %s, which it needs; restore that as well", beside), nil
	}
	if f, ok, err := m.loose(r, o); ok || err != nil {
		return nil, fmt.Sprintf("its %s is %s, which does not exist; restore that as well", f.Path, f.ID), err
	}
	body := o.Body
	if len(missing) > 0 {
		fields, lost := mentioning(r, body, missing)
		for _, f := range fields {
			if must(r, f.Path) {
				return nil, fmt.Sprintf("its %s is %s, which does not exist; restore that as well", f.Path, lost[f.Path]), nil
			}
		}
		for _, f := range fields {
			if tell {
				m.lack(o, f.Path, lost[f.Path], "it names what does not exist; restore that as well, then this again")
			}
		}
		if body, err = diff.With(r, body, fields); err != nil {
			return nil, "", err
		}
		if paths, called := emptied(r, o.Body, body); called != "" {
			return nil, fmt.Sprintf("nothing of %s exists, of its %s; restore that as well", called, strings.Join(paths, ", ")), nil
		}
	}
	set = catalog.Writable(entra.Object{Ref: o.Ref, Body: body})
	if tell {
		if err := m.rename(o, set); err != nil {
			return nil, "", err
		}
	}
	for _, p := range r.Properties {
		if v := set[p.Name]; p.Must && !p.Omit && (v == nil || v == "") {
			return nil, fmt.Sprintf("it cannot be created without %s, which was not captured", p.Name), nil
		}
	}
	return set, "", nil
}

// alone reports whether what contains an object lacks the other without which there is no such object in it, and of what
// type that is. What a restore made has no more than is known, nor has what another tenant has in its place.
func (m *maker) alone(g entra.Ref) (entra.Type, bool, error) {
	beside, ok := catalog.Beside(g)
	if !ok || m.born[beside] {
		return "", false, nil
	}
	p, _ := catalog.Container(g)
	step := m.makes[p]
	if m.born[p] && (step == nil || step.Action == Create) {
		return beside.Type, true, nil
	}
	b := m.baseName(beside)
	_, is, err := get(m.ctx, m.world, b)
	return beside.Type, !is && (m.base.Snapshot().Knows(b) || m.anew[m.baseName(p)] || m.apart), err
}

// holds reports whether what is to contain an object can contain such a thing, as it is or is made anew.
func (m *maker) holds(r *catalog.Resource, g entra.Ref) (bool, error) {
	p, ok := catalog.Container(g)
	if !ok || !r.Picky() {
		return true, nil
	}
	if step := m.makes[p]; m.born[p] && (step == nil || step.Action == Create) {
		o, err := m.goal.Object(m.ctx, p)
		return err == nil && r.Fits(catalog.Writable(o)), err
	}
	o, ok, err := get(m.ctx, m.world, m.baseName(p))
	return !ok || r.Fits(o.Body.Decode()), err // where nobody knows, it is tried
}

// must reports whether nothing can be made without the property at the path.
func must(r *catalog.Resource, path string) bool {
	p, ok := r.Property(r.Unit(path))
	return ok && p.Must && p.Name == path || r.Relates() && slices.Contains(r.Match, path)
}

// elements narrows a field that holds a whole array down to the elements that mention what is missing.
func elements(r *catalog.Resource, body entra.Body, f diff.Field, missing map[string]bool) ([]diff.Field, bool) {
	if _, ok := f.After.([]any); !ok {
		if _, ok := f.After.(map[string]any); !ok {
			return nil, false
		}
	}
	// Against a body that has the value empty, the comparison goes into it.
	m := body.Decode()
	switch f.After.(type) {
	case []any:
		entra.Set(m, f.Path, []any{})
	default:
		entra.Set(m, f.Path, map[string]any{})
	}
	less, err := entra.Encode(m)
	if err != nil {
		return nil, false
	}
	var out []diff.Field
	for _, in := range diff.Bodies(r, less, body) {
		if _, ok := mentions(in.After, missing); !ok {
			continue
		}
		if in.Path != f.Path {
			if deeper, ok := elements(r, body, in, missing); ok {
				out = append(out, deeper...)
				continue
			}
		}
		out = append(out, diff.Field{Path: in.Path})
	}
	return out, len(out) > 0
}

// safe gives a created object the values that can do no harm, until the request lifts them.
// What lacks something that it named is not put into force at all.
func (m *maker) safe(r *catalog.Resource, o entra.Object, made *node, lame bool) {
	for _, p := range r.Properties {
		v, ok := made.Set[p.Name]
		if p.Safe == nil || !ok || !harmful(v) || v == p.Safe {
			continue
		}
		switch {
		case !m.q.lifts(p.Lift):
			made.Set[p.Name] = p.Safe
			m.gap(o.Ref, made.Name, p.Name, unsafe(p))
		case lame && p.Lift == "enforce":
			made.Set[p.Name] = p.Safe
			m.gap(o.Ref, made.Name, p.Name, lacking)
		case p.Lift == "enforce":
			made.Set[p.Name] = p.Safe
			m.add(node{Step: Step{
				Action: Update, Ref: o.Ref, Name: made.Name, Set: map[string]any{p.Name: v}, Was: map[string]any{p.Name: p.Safe},
				Why: "it comes into force as it was, now that everything it names is back",
			}, rank: rankEnforce, needs: []*node{made}})
		}
	}
}

// harmful reports whether a value is one that Safe stands in for: on, or in force.
func harmful(v any) bool { return v == true || v == string(catalog.Enabled) }

const lacking = "it comes back without being in force, because something that it names does not exist; restore that, then this again"

func unsafe(p catalog.Property) string {
	if p.Lift == "enforce" {
		return "it comes back without being in force; look at what it would do, then ask for --enforce"
	}
	return "it comes back disabled; give it a new password, then ask for --enable-users"
}

// lost names what a creation cannot bring back.
func (m *maker) lost(r *catalog.Resource, o entra.Object, made *node) {
	body := o.Body.Decode()
	name := catalog.Name(o)
	for _, p := range r.Properties {
		top := p.Name == r.Unit(p.Name)
		if !top {
			continue
		}
		v, has := body[p.Name]
		if a, ok := v.([]any); ok && len(a) == 0 {
			has = false
		}
		switch {
		case p.Issue != "" && has:
			if left := m.issue(o, p, nil, nil, made); len(left) > 0 {
				m.gap(o.Ref, name, p.Name, secret(p))
			}
		case p.Fresh && m.q.NewSecrets:
			m.gap(o.Ref, name, p.Name, "the old password cannot come back; a new one, to be changed at the first sign-in, is handed out in the restore's secrets file")
		case p.Elements != "" && has, p.Secret && (has || p.Omit):
			m.gap(o.Ref, name, p.Name, secret(p))
		}
	}
	var never []string
	for property := range body {
		p, ok := r.Property(property)
		if !ok || p.Write == catalog.Never && !p.Omit && p.Elements == "" && !p.Secret {
			never = append(never, property)
		}
	}
	m.bygone(o, never)
}

// bygone announces once what the service sets anew.
func (m *maker) bygone(o entra.Object, properties []string) {
	if len(properties) > 0 {
		slices.Sort(properties)
		m.gap(o.Ref, catalog.Name(o), strings.Join(slices.Compact(properties), ", "), "set by the service anew, since the object is a new one; nothing to do")
	}
}

func secret(p catalog.Property) string {
	why := p.Reason
	if why == "" {
		why = "the service never gives it out; set a new one"
	}
	if p.Elements != "" {
		return why + "; create a new one and give it to whoever uses it"
	}
	return why
}
