package diff

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// names says how the earlier tree's refs are called in the later one, where that differs.
type names struct {
	to, from map[entra.Ref]entra.Ref // from the earlier name to the later one, and back
	ids      map[entra.ID]entra.ID   // the same for what bodies hold, and for what else names objects
	was      map[entra.ID]entra.ID   // what else names objects, from the later name to the earlier
	extra    []entra.Ref             // later names of what a renaming may have changed although its version did not; ascending
	moved    map[part][]entra.Link   // the earlier tree's links with a renamed end, under later names; ascending
}

type part struct {
	t   entra.Type
	rel string
}

// earlier returns the earlier tree's name of a ref.
func (n names) earlier(r entra.Ref) entra.Ref {
	if old, ok := n.from[r]; ok {
		return old
	}
	return r
}

// later returns the later tree's name of a ref.
func (n names) later(r entra.Ref) entra.Ref {
	if to, ok := n.to[r]; ok {
		return to
	}
	return r
}

func (n names) link(l entra.Link) entra.Link {
	l.From, l.To = n.later(l.From), n.later(l.To)
	return l
}

// kept reports whether the link has no renamed end.
func (n names) kept(l entra.Link) bool { return n.link(l) == l }

// movedFrom returns the renamed links that start at an object, by its later name, ascending.
func (n names) movedFrom(r entra.Ref) []entra.Link {
	var links []entra.Link
	for p, all := range n.moved {
		if p.t != r.Type {
			continue
		}
		i, _ := slices.BinarySearchFunc(all, r, func(l entra.Link, r entra.Ref) int { return l.From.Compare(r) })
		for ; i < len(all) && all[i].From == r; i++ {
			links = append(links, all[i])
		}
	}
	slices.SortFunc(links, entra.Link.Compare)
	return links
}

// renamed returns the object under later names.
func (n names) renamed(o entra.Object) *entra.Object {
	if len(n.ids) > 0 {
		r := n.later(o.Ref)
		own := o.Body
		o = catalog.Rename(o, n.ids)
		o.Ref = r
		o.Body = n.keep(o, own)
	}
	return &o
}

// keep gives an object back what it is named by itself: that this is another now is a change of it.
func (n names) keep(o entra.Object, own entra.Body) entra.Body {
	r, ok := catalog.Lookup(o.Ref.Type)
	if _, renamed := n.from[o.Ref]; !ok || !renamed {
		return o.Body
	}
	m := o.Body.Decode()
	naming, id := catalog.Naming(o.Ref.Type), string(n.earlier(o.Ref).ID)
	for _, p := range r.Properties {
		v, has := own.Get(p.Name)
		if has && (p.Write == catalog.Never && slices.Contains(naming, p.Name) || len(p.Ref) == 0 && v == id) {
			m[p.Name] = v
		}
	}
	body, err := entra.Encode(m)
	if err != nil {
		return o.Body // unreachable: Decode made every value
	}
	return body
}

// prepare finds out which aliases matter between two trees.
func prepare(ctx context.Context, before, after snapshot.Tree, o Options) (*comparison, error) {
	c := &comparison{before: before, after: after, types: o.Types, names: names{
		to: map[entra.Ref]entra.Ref{}, from: map[entra.Ref]entra.Ref{}, ids: map[entra.ID]entra.ID{}, was: map[entra.ID]entra.ID{}, moved: map[part][]entra.Link{},
	}}
	if t, ok := after.(apart); ok {
		if objects, was, is, ok := t.Apart(ctx, before); ok {
			c.touched, c.ended, c.begun = objects, was, is
		}
	}
	if t, ok := after.(touched); ok && c.touched == nil {
		if refs, ok := t.Touched(ctx, before); ok {
			c.touched = refs
		}
	}
	if o.Raw || len(o.Aliases) == 0 {
		return c, nil
	}
	if err := c.pair(ctx, o.Aliases); err != nil || len(c.to) == 0 {
		return c, err
	}
	if err := c.contained(ctx); err != nil {
		return nil, err
	}
	return c, c.follow(ctx)
}

// pair finds the objects that stand under one name in the earlier tree and under another in the later. An
// alias that only one tree knows, or that a tree knows two names of, is none.
func (c *comparison) pair(ctx context.Context, aliases map[entra.Ref]entra.Ref) error {
	known := func(entra.Ref) bool { return true }
	if c.touched != nil {
		// What has another name in the other tree is missing under this one there, so it is touched.
		hit := map[entra.Ref]bool{}
		newer := map[entra.Ref]bool{}
		for _, to := range aliases {
			newer[to] = true
		}
		for r, err := range c.touched {
			if err != nil {
				return err
			}
			if _, ok := aliases[r]; ok || newer[r] {
				hit[r] = true
			}
		}
		known = func(r entra.Ref) bool { return hit[r] }
	}
	same := map[entra.Ref][]entra.Ref{} // newest name to all names
	for _, old := range slices.SortedFunc(maps.Keys(aliases), entra.Ref.Compare) {
		newest := old
		for range len(aliases) { // a circle of aliases ends here
			to, ok := aliases[newest]
			if !ok {
				break
			}
			newest = to
		}
		if len(same[newest]) == 0 {
			same[newest] = []entra.Ref{newest}
		}
		if old != newest {
			same[newest] = append(same[newest], old)
		}
	}
	lines := slices.SortedFunc(maps.Keys(same), entra.Ref.Compare)
	lines = slices.DeleteFunc(lines, func(newest entra.Ref) bool { return !slices.ContainsFunc(same[newest], known) })
	for some := range slices.Chunk(lines, batch) {
		var all []entra.Ref
		for _, newest := range some {
			all = append(all, same[newest]...)
		}
		was, err := fetch(ctx, c.before, all)
		if err != nil {
			return err
		}
		is, err := fetch(ctx, c.after, all)
		if err != nil {
			return err
		}
		for _, newest := range some {
			old, one := only(was, same[newest])
			to, other := only(is, same[newest])
			if one && other {
				c.rename(old, to)
				c.revalue(was[old], is[to])
			}
		}
	}
	return nil
}

// only returns the one of the names under which there is an object; false where there is none, or several.
func only(found map[entra.Ref]*entra.Object, names []entra.Ref) (one entra.Ref, ok bool) {
	for _, r := range names {
		if found[r] == nil {
			continue
		}
		if ok {
			return one, false
		}
		one, ok = r, true
	}
	return one, ok
}

func (c *comparison) rename(old, to entra.Ref) {
	if old == to {
		return
	}
	c.to[old], c.from[to] = to, old
	c.ids[old.ID] = to.ID
}

// revalue notes by what else an object is named, where that changed.
func (c *comparison) revalue(old, to *entra.Object) {
	if old == nil || to == nil || old.Ref == to.Ref {
		return
	}
	for _, property := range catalog.Naming(to.Ref.Type) {
		was, _ := old.Body.Get(property)
		is, _ := to.Body.Get(property)
		a, _ := was.(string)
		b, _ := is.(string)
		if a != "" && b != "" && a != b {
			c.ids[entra.ID(a)], c.was[entra.ID(b)] = entra.ID(b), entra.ID(a)
		}
	}
}

// contained renames what lies in a renamed object and has no alias of its own: its ID has the parent's in it.
func (c *comparison) contained(ctx context.Context) error {
	ids := maps.Clone(c.ids)
	try := func(refs iter.Seq2[entra.Ref, error]) error {
		for r, err := range refs {
			if err != nil {
				return err
			}
			if _, done := c.to[r]; done {
				continue
			}
			to := entra.Ref{Type: r.Type, ID: catalog.RenameID(r.ID, ids)}
			if _, taken := c.from[to]; to == r || taken {
				continue
			}
			was, err := fetch(ctx, c.before, []entra.Ref{r, to})
			if err != nil {
				return err
			}
			is, err := fetch(ctx, c.after, []entra.Ref{r, to})
			if err != nil {
				return err
			}
			if was[r] != nil && was[to] == nil && is[r] == nil && is[to] != nil {
				c.rename(r, to)
			}
		}
		return nil
	}
	under := func(t entra.Type) bool { r, ok := catalog.Lookup(t); return ok && r.Under != "" }
	if c.touched != nil {
		return try(where(c.touched, func(r entra.Ref) bool { return under(r.Type) }))
	}
	for _, p := range c.before.Snapshot().Parts {
		if p.Relation != "" || !under(p.Type) {
			continue
		}
		refs := func(yield func(entra.Ref, error) bool) {
			for e, err := range c.before.Entries(ctx, p.Type) {
				if !yield(e.Ref, err) {
					return
				}
			}
		}
		if err := try(refs); err != nil {
			return err
		}
	}
	return nil
}

// follow collects what the renamings reach: who holds a renamed ID, and the links of what was renamed.
func (c *comparison) follow(ctx context.Context) error {
	extra := map[entra.Ref]bool{}
	links := map[entra.Link]bool{}
	for old, to := range c.to {
		extra[to] = true
		for r, err := range c.before.Holders(ctx, old.ID) {
			if err != nil {
				return err
			}
			extra[c.later(r)] = true
		}
		for l, err := range c.before.Around(ctx, old) {
			if err != nil {
				return err
			}
			l = c.link(l)
			links[l], extra[l.From] = true, true
		}
	}
	for to, old := range c.was {
		if c.ids[old] != to {
			continue
		}
		for r, err := range c.before.Holders(ctx, old) {
			if err != nil {
				return err
			}
			extra[c.later(r)] = true
		}
	}
	c.extra = slices.SortedFunc(maps.Keys(extra), entra.Ref.Compare)
	for _, l := range slices.SortedFunc(maps.Keys(links), entra.Link.Compare) {
		p := part{l.From.Type, l.Rel}
		c.moved[p] = append(c.moved[p], l)
	}
	return nil
}
