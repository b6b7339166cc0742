package plan

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// differ plans updates, links and deletions.
func (m *maker) differ() error {
	clear(m.resolved)
	if err := m.reveal(); err != nil {
		return err
	}
	o := diff.Options{Aliases: m.to, Types: m.q.Scope.Types}
	if m.selected != nil {
		o.Refs = slices.SortedFunc(maps.Keys(m.selected), entra.Ref.Compare)
		o.Types = nil
	}
	changed := map[entra.Ref]bool{} // objects to compare; false where only references to what is selected count
	var removed []entra.Ref
	var links []diff.Change
	for c, err := range diff.Trees(m.ctx, m.world, m.goal, o) {
		if err != nil {
			return err
		}
		switch {
		case c.IsLink():
			links = append(links, diff.Change{Kind: c.Kind, Link: c.Link, Reason: c.Reason})
		case c.Kind == diff.Changed && m.q.Scope.Has(c.Ref.Type):
			changed[c.Ref] = true
		case c.Kind == diff.Removed && m.q.Scope.Has(c.Ref.Type):
			removed = append(removed, c.Ref)
		}
	}
	if err := m.holders(changed); err != nil {
		return err
	}
	if m.whole() || len(m.q.Scope.Fields) > 0 {
		for r, err := range m.each(slices.SortedFunc(maps.Keys(changed), entra.Ref.Compare), m.names) {
			if err != nil {
				return err
			}
			if err := m.update(r, changed[r]); err != nil {
				return err
			}
		}
	}
	if m.whole() && m.q.Scope.Delete {
		if err := m.remove(removed); err != nil {
			return err
		}
	}
	if m.whole() || len(m.q.Scope.Links) > 0 {
		return m.relate(links)
	}
	return nil
}

// holders adds what must be compared though its body is the same, because an ID in it means nothing any
// more, and what refers to the selected objects.
func (m *maker) holders(changed map[entra.Ref]bool) error {
	add := func(refs iter.Seq2[entra.Ref, error], name func(entra.Ref) entra.Ref, whole bool) error {
		for r, err := range refs {
			if err != nil {
				return err
			}
			c, ok := catalog.Lookup(r.Type)
			if r = name(r); !ok || c.Live != "" || c.Stream || m.makes[r] != nil && m.makes[r].Action == Create {
				continue
			}
			if m.selected == nil && m.q.Scope.Has(r.Type) || m.selected[r] {
				changed[r] = changed[r] || whole
			} else if m.selected != nil && m.whole() {
				changed[r] = changed[r] || false
			}
		}
		return nil
	}
	same := func(r entra.Ref) entra.Ref { return r }
	for _, id := range slices.Sorted(maps.Keys(m.stale)) {
		if m.selected != nil && !m.ends[id] {
			continue
		}
		if err := add(m.world.Holders(m.ctx, id), m.goalName, true); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.hidden)) {
		if err := add(m.goal.Holders(m.ctx, entra.ID(name)), same, true); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.ends)) {
		if err := add(m.goal.Holders(m.ctx, id), same, false); err != nil {
			return err
		}
		if err := add(m.world.Holders(m.ctx, id), m.goalName, false); err != nil {
			return err
		}
	}
	return nil
}

// inField reports whether the scope has the property at a path.
func (m *maker) inField(path string) bool {
	if len(m.q.Scope.Fields) == 0 {
		return true
	}
	return slices.ContainsFunc(m.q.Scope.Fields, func(f string) bool {
		rest, ok := strings.CutPrefix(path, m.inGoal(f))
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// inGoal puts the goal's IDs into a path that holds base's.
func (m *maker) inGoal(path string) string {
	if !strings.Contains(path, "[") {
		return path
	}
	for b, g := range m.known {
		path = strings.ReplaceAll(path, "["+string(b)+"]", "["+string(g)+"]")
		path = strings.ReplaceAll(path, "="+string(b)+"]", "="+string(g)+"]")
	}
	return path
}

// update plans what differs in one object. Unless whole, only what refers to the selected objects counts.
func (m *maker) update(g entra.Ref, whole bool) error {
	b := m.baseName(g)
	goal, ok, err := get(m.ctx, m.goal, g)
	if err != nil || !ok {
		return err
	}
	base, ok, err := get(m.ctx, m.world, b)
	if err != nil {
		return err
	}
	if !ok {
		if !whole && m.makes[g] == nil {
			m.gap(g, catalog.Name(goal), "", "it named a restored object and does not exist itself; restore it as well")
		}
		return nil
	}
	r, known := catalog.Lookup(g.Type)
	if !known {
		return nil
	}
	if !m.born[g] && !m.base.Snapshot().Knows(b) {
		m.plan.Unread.Refs = append(m.plan.Unread.Refs, b)
	}
	named := rename(base, m.renaming())
	stands := m.standing(r, goal, base)
	if named.Body, err = stand(r, named.Body, goal, base, stands, false); err != nil {
		return fmt.Errorf("restore %s: %w", g, err)
	}
	issued := map[string][]string{} // by property, the paths of credentials that are left as they are
	missing, err := m.missing(goal)
	if err != nil {
		return err
	}
	was, is := m.base.Snapshot().Part(g.Type, ""), m.goal.Snapshot().Part(g.Type, "")
	taken, err := m.clashes(g, goal)
	if err != nil {
		return err
	}
	var take []diff.Field
	var paths []string
	var again []string // what only a re-creation changes
	late := len(m.q.Scope.Fields) == 0
	for _, f := range diff.Bodies(r, named.Body, goal.Body) {
		told := was.Asks(catalog.RenamePath(f.Path, m.plan.Values)) || len(m.hidden[r.Unit(f.Path)]) > 0
		if !strings.HasPrefix(f.Path, "@") && !(told && is.Asks(f.Path)) || !m.inField(f.Path) || !whole && !m.refersToEnds(f) {
			continue
		}
		p, ok := r.Property(f.Path)
		if ok && p.Omit {
			continue
		}
		held, err := m.held(base, f.Path)
		if err != nil {
			return err
		}
		renewed := m.anew[b] || b != g
		why, without := "", ""
		switch {
		case held != "":
			why = held + "; change it where it is mastered"
		case m.occupies(goal, taken, f.Path) != "":
			why = m.occupies(goal, taken, f.Path)
		case !ok:
			why = "it is not known how to write it"
		case p.Issue != "" && m.whole() && (f.After != nil || !strings.HasSuffix(f.Path, "]")):
			unit := r.Unit(f.Path)
			if _, ok := issued[unit]; !ok {
				top, _ := r.Property(unit)
				issued[unit] = m.issue(goal, top, &base, stands, m.makes[g])
			}
			whole := f.Path == unit || !strings.HasSuffix(f.Path, "]") // a change within one that is there cannot be made
			if m.q.NewSecrets || !whole && !slices.Contains(issued[unit], f.Path) || f.Path == unit && len(issued[unit]) == 0 {
				continue
			}
			why = secret(p)
		case p.Elements != "":
			if f.After != nil || !strings.HasSuffix(f.Path, "]") {
				why = secret(p)
			}
		case p.Secret:
			why = secret(p)
		case p.Write == catalog.Never || p.Write == catalog.OnCreate || !r.Can.Has(catalog.Update):
			if m.born[g] && f.Before == nil && !renewed && !m.base.Snapshot().Part(r.Bin, "").Asks(f.Path) {
				continue // the recycle bin does not tell, and it may come back
			}
			if renewed && p.Write == catalog.Never {
				again = append(again, r.Unit(f.Path))
				continue
			}
			if why = p.Reason; why == "" {
				why = "the service offers no way to change it"
			}
			if catalog.Mastered(why) {
				why = "it says where the object is mastered, which is here now" // or it would be held
			}
		case p.Stays && f.Path == p.Name && f.After == nil:
			why = p.Reason
		case p.Safe != nil && m.anew[b] && f.Before == p.Safe && harmful(f.After) && !m.q.lifts(p.Lift):
			why = unsafe(p)
		case p.Lift == "enforce" && m.anew[b] && f.Before == p.Safe && harmful(f.After) && len(missing) > 0:
			why = lacking
		default:
			if id, lost := lacks(f, missing); lost {
				why, without = fmt.Sprintf("it names %s, which does not exist; restore that as well", id), id
			}
		}
		if why != "" {
			m.lack(goal, f.Path, without, why)
			continue
		}
		if !(p.Safe != nil && p.Lift == "enforce" && m.anew[b] && f.Before == p.Safe) {
			late = false
		}
		take, paths = append(take, f), append(paths, f.Path)
	}
	m.bygone(goal, again)
	if len(take) == 0 {
		return nil
	}
	body, err := diff.With(r, named.Body, take)
	if err != nil {
		return fmt.Errorf("restore %s: %w", g, err)
	}
	// drop leaves fields as they are, and says why.
	drop := func(what func(path string) bool, why string) error {
		for _, p := range paths {
			if what(p) {
				m.gap(g, catalog.Name(goal), p, why)
			}
		}
		take = slices.DeleteFunc(take, func(f diff.Field) bool { return what(f.Path) })
		paths = slices.DeleteFunc(paths, what)
		if body, err = diff.With(r, named.Body, take); err != nil {
			return fmt.Errorf("restore %s: %w", g, err)
		}
		return nil
	}
	if some, called := emptied(r, goal.Body, body); called != "" {
		// What of the goal is in it is a gap already.
		if err := drop(func(path string) bool { return under(path, some) }, "nothing that was in its place exists, and without it nothing would be left of "+called+"; restore that as well"); err != nil {
			return err
		}
	}
	// What is written is checked as a whole: what names nothing any more has to be left out of it.
	gone, err := m.missing(entra.Object{Ref: g, Body: body})
	if err != nil {
		return err
	}
	dead, lost := mentioning(r, body, gone)
	dead = slices.DeleteFunc(dead, func(d diff.Field) bool {
		return must(r, d.Path) || !slices.ContainsFunc(paths, func(p string) bool { return r.Unit(p) == r.Unit(d.Path) })
	})
	if len(dead) > 0 {
		if body, err = diff.With(r, body, dead); err != nil {
			return fmt.Errorf("restore %s: %w", g, err)
		}
		if some, called := emptied(r, goal.Body, body); called != "" {
			if err := drop(func(path string) bool { return r.Unit(path) == r.Unit(some[0]) }, "nothing of "+called+" exists, and the service takes no change beside it; restore that as well"); err != nil {
				return err
			}
			dead = slices.DeleteFunc(dead, func(d diff.Field) bool { return r.Unit(d.Path) == r.Unit(some[0]) })
		}
		for _, d := range dead {
			id := lost[d.Path]
			if means, ok := m.meant[entra.ID(id)]; ok {
				id = string(means)
			}
			m.lack(goal, m.shown([]string{d.Path})[0], id, fmt.Sprintf("it names %s, which does not exist, and is left out so that the service takes the rest; restore that as well", id))
			take, paths = append(take, d), append(paths, d.Path)
		}
	}
	if len(take) == 0 {
		return nil
	}
	if body, err = stand(r, body, goal, base, stands, true); err != nil {
		return fmt.Errorf("restore %s: %w", g, err)
	}
	next, now := m.unmarked(g.Type, body).Decode(), base.Body.Decode()
	n := node{Step: Step{
		Action: Update, Ref: g, Name: catalog.Name(goal), Set: map[string]any{}, Was: map[string]any{},
		Why: "differs in " + strings.Join(m.shown(paths), ", "),
	}, rank: rankUpdate}
	for _, p := range paths {
		p, _, _ = strings.Cut(p, "[") // an array travels whole
		n.Set[p], _ = entra.Get(next, p)
		if v, ok := entra.Get(now, catalog.RenamePath(p, m.plan.Values)); ok || !m.born[g] && len(m.hidden[p]) == 0 {
			n.Was[p] = v
		}
		n.needs = append(n.needs, m.hidden[p]...)
	}
	switch {
	case late:
		n.rank = rankEnforce
	case enforced(r):
		n.rank = rankPolicy
	}
	if made := m.makes[g]; made != nil {
		n.needs = append(n.needs, made)
	}
	m.updates[g] = m.add(n)
	return nil
}

// shown returns paths for people: with the IDs that markers stand for, without repeats.
func (m *maker) shown(paths []string) []string {
	var out []string
	for _, p := range paths {
		if i, j := strings.LastIndexAny(p, "[="), strings.LastIndexByte(p, ']'); i >= 0 && i < j {
			if id, ok := m.meant[entra.ID(p[i+1:j])]; ok {
				p = p[:i+1] + string(id) + p[j:]
			}
		}
		out = append(out, p)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// refersToEnds reports whether either side of a field names a selected object.
func (m *maker) refersToEnds(f diff.Field) bool {
	ids := map[string]bool{}
	for id := range m.ends {
		ids[string(id)] = true
		if mark, ok := m.stale[id]; ok {
			ids[string(mark)] = true
		}
	}
	if ids[f.Path] {
		return true
	}
	_, before := mentions(f.Before, ids)
	_, after := mentions(f.After, ids)
	return before || after
}

// inLinks reports whether the scope has a link.
func (m *maker) inLinks(l entra.Link) bool {
	if len(m.q.Scope.Links) == 0 {
		return true
	}
	return slices.ContainsFunc(m.q.Scope.Links, func(s string) bool {
		rel, end, one := strings.Cut(strings.TrimSuffix(m.inGoal(s), "]"), "[")
		return rel == l.Rel && (!one || end == string(l.To.ID) || end == string(l.From.ID) && m.selected[l.To])
	})
}

// relate plans links.
func (m *maker) relate(links []diff.Change) error {
	extra := map[string][]entra.Link{} // base's links of single-valued relations, by where they start
	single := func(l entra.Link) bool {
		r, ok := catalog.Lookup(l.From.Type)
		if !ok {
			return false
		}
		rel, ok := r.Relation(l.Rel)
		return ok && !rel.Many
	}
	start := func(l entra.Link) string { return l.From.String() + " " + l.Rel }
	sole := func(l entra.Link) bool {
		r, ok := catalog.Lookup(l.From.Type)
		if !ok {
			return false
		}
		rel, ok := r.Relation(l.Rel)
		return ok && rel.Sole
	}
	moved := map[entra.Link]bool{} // ends that are taken from elsewhere
	asked := map[string]bool{}
	for _, c := range links {
		missing := c.Kind == diff.Linked || c.Kind == diff.Unknown && c.Reason == diff.NoBefore
		if sole(c.Link) && missing && m.inLinks(c.Link) {
			moved[entra.Link{Rel: c.Link.Rel, To: m.baseName(c.Link.To)}] = true
		}
		if single(c.Link) && missing && !asked[start(c.Link)] {
			// A comparison of selected objects may not see the link that is to be replaced.
			asked[start(c.Link)] = true
			for l, err := range m.world.Around(m.ctx, m.baseName(c.Link.From)) {
				if err != nil {
					return err
				}
				if l.From == m.baseName(c.Link.From) && l.Rel == c.Link.Rel {
					extra[start(c.Link)] = append(extra[start(c.Link)], l)
				}
			}
		}
	}
	takes := map[string]bool{} // single-valued relations that another end is planned for
	for _, c := range links {
		l := c.Link
		if !m.inLinks(l) || c.Kind != diff.Linked && (c.Kind != diff.Unknown || c.Reason != diff.NoBefore) {
			continue
		}
		var replaces *entra.Ref
		if old := extra[start(l)]; single(l) && len(old) == 1 {
			replaces = &old[0].To
		}
		planned, err := m.attach(l, c.Kind == diff.Unknown, replaces)
		if err != nil {
			return err
		}
		takes[start(l)] = takes[start(l)] || planned
	}
	for _, c := range links {
		l := c.Link
		if !m.inLinks(l) || c.Kind != diff.Unlinked || !m.q.Scope.Delete {
			continue
		}
		if single(l) && takes[start(l)] {
			continue // another takes its place
		}
		if sole(l) {
			if to := m.baseName(l.To); !moved[entra.Link{Rel: l.Rel, To: to}] && !m.deleted(to) {
				from := m.baseName(l.From)
				o, _, err := get(m.ctx, m.world, from)
				if err != nil {
					return err
				}
				m.gap(l.From, catalog.Name(o), linkField(l), "it holds now and did not; what it leads to is in one such place always, so give it another")
			}
			continue
		}
		if err := m.detach(l); err != nil {
			return err
		}
	}
	return nil
}

func linkField(l entra.Link) string { return l.Rel + "[" + string(l.To.ID) + "]" }

// held says why a property of an object is not written, or "". What an application added to objects belongs to where its
// definition comes from. The path is the goal's.
func (m *maker) held(o entra.Object, path string) (string, error) {
	why := catalog.Held(o, catalog.RenamePath(path, m.plan.Values))
	frozen := catalog.Frozen(o)
	if why != "" || frozen == "" {
		return why, nil
	}
	r, _ := catalog.Lookup(o.Ref.Type)
	by, ok := m.defined.refs[entra.ID(r.Unit(path))]
	if !ok {
		return "", nil
	}
	d, err := m.goal.Object(m.ctx, by)
	if err != nil || catalog.Frozen(d) == "" {
		return "", err
	}
	return frozen, nil
}

// fixed says why links of one kind that start at an object are not written, or "".
func (m *maker) fixed(l entra.Link, from entra.Object) string {
	r, ok := catalog.Lookup(l.From.Type)
	if !ok {
		return "it is not known how to write it"
	}
	if rel, ok := r.Relation(l.Rel); !ok || !rel.Write {
		return "the service offers no way to write it"
	}
	return catalog.FrozenLinks(from, l.Rel)
}

// attach plans that a link begins, or finds what it comes with. It reports false where it is a gap.
func (m *maker) attach(l entra.Link, unknown bool, replaces *entra.Ref) (planned bool, err error) {
	from, there, err := get(m.ctx, m.world, m.baseName(l.From))
	if err != nil {
		return false, err
	}
	if !there {
		if from, _, err = get(m.ctx, m.goal, l.From); err != nil {
			return false, err
		}
	}
	name := catalog.Name(from)
	then, by, err := m.then(l.From, from)
	if err != nil {
		return false, err
	}
	if why := m.fixed(l, then); why != "" {
		m.gap(l.From, name, linkField(l), why)
		return false, nil
	}
	for _, end := range []entra.Ref{l.From, l.To} {
		if _, ok := catalog.Lookup(end.Type); !ok {
			continue // what is not captured cannot be judged
		}
		is, err := m.exists(end)
		if err != nil {
			return false, err
		}
		if !is {
			if end == l.From && (m.makes[l.To] == nil && m.selected == nil) {
				return false, nil // the object is a gap by itself
			}
			m.gap(l.From, name, linkField(l), fmt.Sprintf("%s does not exist; restore it as well", end))
			return false, nil
		}
	}
	if s, ok, err := led(m.ctx, m.goal, l); err != nil {
		return false, err
	} else if ok && catalog.Leads(s) {
		if m.makes[s.Ref] == nil {
			m.gap(l.From, name, linkField(l), unmade(s))
		}
		return m.makes[s.Ref] != nil, nil // it comes with the schedule
	}
	if unknown && m.makes[l.From] == nil && m.makes[l.To] == nil {
		m.plan.Unread.Links = append(m.plan.Unread.Links, entra.Link{From: m.baseName(l.From), Rel: l.Rel, To: m.baseName(l.To)})
		m.gap(l.From, name, linkField(l), "it could not be read whether it still holds; capture again with the missing permission and plan again")
		return false, nil
	}
	n := node{Step: Step{Action: Attach, Ref: l.From, Name: name, Link: &l, Replaces: replaces, Why: "it held and no longer does"}, rank: rankAttach}
	for _, end := range []entra.Ref{l.From, l.To} {
		if made := m.makes[end]; made != nil {
			n.needs = append(n.needs, made)
			n.Why = "it held, and the object it belongs to comes back"
		}
	}
	if by != nil && m.fixed(l, from) != "" {
		n.needs = append(n.needs, by)
	}
	m.add(n)
	return true, nil
}

// then returns an object as it is when the plan has updated it, and by what step; nil where it does not.
func (m *maker) then(g entra.Ref, o entra.Object) (entra.Object, *node, error) {
	n := m.updates[g]
	if n == nil {
		return o, nil, nil
	}
	body := o.Body.Decode()
	for path, v := range n.Set {
		put(body, path, v)
	}
	var err error
	if o.Body, err = entra.Encode(body); err != nil {
		return o, nil, fmt.Errorf("restore %s: %w", g, err)
	}
	return o, n, nil
}

func (m *maker) detach(l entra.Link) error {
	b := entra.Link{From: m.baseName(l.From), Rel: l.Rel, To: m.baseName(l.To)}
	for _, end := range []entra.Ref{b.From, b.To} {
		if m.deleted(end) {
			return nil // it goes with the object
		}
	}
	from, ok, err := get(m.ctx, m.world, b.From)
	if err != nil {
		return err
	}
	if !ok {
		return nil
	}
	then, by, err := m.then(l.From, from)
	if err != nil {
		return err
	}
	if why := m.fixed(b, then); why != "" {
		m.gap(l.From, catalog.Name(from), linkField(l), "it holds now and did not; "+why)
		return nil
	}
	if s, ok, err := led(m.ctx, m.world, b); err != nil {
		return err
	} else if ok && catalog.Leads(s) {
		if !m.deleted(s.Ref) {
			m.gap(l.From, catalog.Name(from), linkField(l), "it holds now and did not; "+unended(s))
		}
		return nil // it goes with the schedule
	}
	if !m.base.Snapshot().KnowsLink(b) {
		m.plan.Unread.Links = append(m.plan.Unread.Links, b)
	}
	n := node{Step: Step{Action: Detach, Ref: b.From, OfBase: true, Name: catalog.Name(from), Link: &b, Why: "it did not hold"}, rank: rankDetach}
	if by != nil && m.fixed(b, from) != "" {
		n.needs = append(n.needs, by)
	}
	m.add(n)
	return nil
}

// deleted reports whether the plan deletes an object, by base's name.
func (m *maker) deleted(r entra.Ref) bool {
	_, ok := m.deletes[r]
	return ok
}

// remove plans deletions of what only base has.
func (m *maker) remove(refs []entra.Ref) error {
	m.deletes = map[entra.Ref]*node{}
	gone := map[entra.Ref]bool{}
	for _, r := range refs {
		gone[r] = true
	}
	for _, b := range refs {
		r, ok := catalog.Lookup(b.Type)
		if !ok || m.from[b] != (entra.Ref{}) {
			continue
		}
		if p, ok := catalog.Container(b); ok && gone[p] {
			continue // it goes with what contains it
		}
		o, err := m.world.Object(m.ctx, b)
		if err != nil {
			return err
		}
		why := catalog.Frozen(o)
		goes, stays, err := m.leaves(o, gone)
		if err != nil {
			return err
		}
		if goes {
			continue
		}
		switch {
		case stays != "":
			why = stays
		case m.kept[b]:
			why = "it could be what is missing under another ID, so it is not deleted"
		case r.Can == 0:
			why = r.Refusal
		case !r.Can.Has(catalog.Delete):
			why = "the service offers no way to delete it"
		}
		if catalog.Mastered(why) {
			why += "; delete it where it is mastered"
		}
		if why != "" {
			m.gap(b, catalog.Name(o), "", "it exists now and did not; "+why)
			continue
		}
		m.deletes[b] = m.add(node{Step: Step{
			Action: Delete, Ref: b, OfBase: true, Name: catalog.Name(o), Version: o.Version(), Asked: catalog.Named(o), Why: "it did not exist",
		}, rank: rankDelete})
	}
	return nil
}

// hash names the content of a tree as far as a plan used it: SHA-256 over the roots of its parts, a line
// "TYPE RELATION ROOT" each. types is nil for all. Streams do not count, because no plan uses them.
func hash(s *snapshot.Snapshot, types map[entra.Type]bool) string {
	h := newHash()
	for _, p := range s.Parts {
		if r, ok := catalog.Lookup(p.Type); ok && r.Stream || types != nil && !types[p.Type] {
			continue
		}
		root, _ := p.Root.MarshalText() // it has no error to return
		fmt.Fprintf(h, "%s %s %s\n", p.Type, p.Relation, root)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
