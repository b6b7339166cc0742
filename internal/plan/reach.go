package plan

import (
	"context"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Reach is what of base a plan may depend on, so that no more of the tenant has to be read for it.
type Reach struct {
	// Around are objects to know with what they contain and their links both ways; where the goal has one, with its
	// body, by which it is recognised under another ID.
	Around []entra.Object
	Inside []entra.Ref  // objects to know with what is in them, all the way down: whom a policy names
	Refs   []entra.Ref  // objects to know by themselves
	Links  []entra.Link // links to know
}

// Empty reports whether the reach is of nothing.
func (r Reach) Empty() bool { return r.Size() == 0 }

// Add returns the reach of both.
func (r Reach) Add(o Reach) Reach {
	around := map[entra.Ref]entra.Object{}
	for _, x := range slices.Concat(r.Around, o.Around) {
		if known, ok := around[x.Ref]; !ok || known.Body == "" {
			around[x.Ref] = x
		}
	}
	out := Reach{}
	for _, ref := range slices.SortedFunc(maps.Keys(around), entra.Ref.Compare) {
		out.Around = append(out.Around, around[ref])
	}
	out.Inside, out.Refs = union(r.Inside, o.Inside), union(r.Refs, o.Refs)
	out.Links = slices.Concat(r.Links, o.Links)
	slices.SortFunc(out.Links, entra.Link.Compare)
	out.Links = slices.Compact(out.Links)
	return out
}

func union(a, b []entra.Ref) []entra.Ref {
	all := slices.Concat(a, b)
	slices.SortFunc(all, entra.Ref.Compare)
	return slices.Compact(all)
}

// Size is how many things the reach is of.
func (r Reach) Size() int { return len(r.Around) + len(r.Inside) + len(r.Refs) + len(r.Links) }

// Named returns the reach with every object under all names of its line of aliases, and with the links between their
// newest ones.
func (r Reach) Named(aliases map[entra.Ref]entra.Ref) Reach {
	names := lines(aliases)
	more := Reach{}
	for _, o := range r.Around {
		for _, n := range names[o.Ref] {
			more.Around = append(more.Around, entra.Object{Ref: n})
		}
	}
	for _, ref := range r.Inside {
		more.Inside = append(more.Inside, names[ref]...)
	}
	for _, ref := range r.Refs {
		more.Refs = append(more.Refs, names[ref]...)
	}
	for _, l := range r.Links {
		l.From, l.To = newest(l.From, aliases), newest(l.To, aliases)
		more.Links = append(more.Links, l)
	}
	return r.Add(more)
}

// newest returns the last name of an object.
func newest(r entra.Ref, aliases map[entra.Ref]entra.Ref) entra.Ref {
	for range aliases {
		next, ok := aliases[r]
		if !ok || next == r {
			break
		}
		r = next
	}
	return r
}

// Around returns the reach of a plan that restores the objects: themselves by all names that they ever had, what
// belongs to them, what stands at the other ends of their links, what names them, and what they name. Of what guards
// sign-in and is among these, whom it names counts with all that is in there. The first tree that has an object gives
// its body.
func Around(ctx context.Context, refs []entra.Ref, aliases map[entra.Ref]entra.Ref, trees ...snapshot.Tree) (Reach, error) {
	names := lines(aliases)
	around := map[entra.Ref]entra.Object{}
	near := map[entra.Ref]bool{} // true where what is inside counts
	var links []entra.Link
	todo := slices.Clone(refs)
	for len(todo) > 0 {
		r := todo[0]
		todo = todo[1:]
		if _, ok := around[r]; ok {
			continue
		}
		o := entra.Object{Ref: r}
		for _, tree := range trees {
			is, ok, err := get(ctx, tree, r)
			if err != nil {
				return Reach{}, err
			}
			if !ok {
				continue
			}
			if o.Body == "" {
				o = is
			}
			more, err := Belonging(ctx, tree, r)
			if err != nil {
				return Reach{}, err
			}
			todo = append(todo, more...)
			only, err := neighbours(ctx, tree, is, near)
			links = append(links, only...)
			if err != nil {
				return Reach{}, err
			}
		}
		around[r] = o
		if p, ok := catalog.Container(r); ok {
			note(near, p, false)
		}
		todo = append(todo, names[r]...)
	}
	out := Reach{}
	for _, r := range slices.SortedFunc(maps.Keys(around), entra.Ref.Compare) {
		out.Around = append(out.Around, around[r])
	}
	for r, inside := range near {
		for _, name := range append(names[r], r) {
			if _, ok := around[name]; !ok {
				out.Refs = append(out.Refs, name)
			}
			if inside {
				out.Inside = append(out.Inside, name)
			}
		}
	}
	for _, l := range links {
		out.Links = append(out.Links, entra.Link{From: newest(l.From, aliases), Rel: l.Rel, To: newest(l.To, aliases)})
	}
	return out.Add(Reach{}), nil
}

// neighbours notes what an object's links lead to, what names it and what it names. It returns the links that only
// their start tells of.
func neighbours(ctx context.Context, tree snapshot.Tree, o entra.Object, near map[entra.Ref]bool) (links []entra.Link, err error) {
	for l, err := range tree.Around(ctx, o.Ref) {
		if err != nil {
			return nil, err
		}
		note(near, l.From, false)
		note(near, l.To, false)
		if r, ok := catalog.Lookup(l.From.Type); ok && l.To == o.Ref {
			if rel, ok := r.Relation(l.Rel); ok && rel.Back == "" {
				links = append(links, l)
			}
		}
	}
	for _, id := range catalog.Handles(o) {
		for h, err := range tree.Holders(ctx, id) {
			if err != nil {
				return nil, err
			}
			note(near, h, false)
			if !Guards(h.Type) {
				continue
			}
			policy, err := tree.Object(ctx, h)
			if err != nil {
				return nil, err
			}
			for _, r := range Named(policy) {
				note(near, r, true)
			}
		}
	}
	for _, r := range Named(o) {
		note(near, r, Guards(o.Ref.Type))
	}
	return links, nil
}

// Guarded adds to a reach whom those name that guard sign-in and name something in it.
func Guarded(ctx context.Context, r Reach, tree snapshot.Tree) (Reach, error) {
	about := map[entra.Ref]bool{}
	for _, o := range r.Around {
		about[o.Ref] = true
	}
	for _, ref := range r.Refs {
		about[ref] = true
	}
	near := map[entra.Ref]bool{}
	for ref := range about {
		for h, err := range tree.Holders(ctx, ref.ID) {
			if err != nil {
				return r, err
			}
			if !Guards(h.Type) {
				continue
			}
			policy, err := tree.Object(ctx, h)
			if err != nil {
				return r, err
			}
			for _, n := range Named(policy) {
				near[n] = true
			}
		}
	}
	return r.Add(Reach{Inside: slices.Collect(maps.Keys(near))}), nil
}

func note(near map[entra.Ref]bool, r entra.Ref, inside bool) { near[r] = near[r] || inside }

// Guards reports whether objects of a type guard sign-in, so that whom they name decides who gets in.
func Guards(t entra.Type) bool {
	r, ok := catalog.Lookup(t)
	return ok && enforced(r)
}

// Named returns what an object may name by its ID, under each type that it may have.
func Named(o entra.Object) (refs []entra.Ref) {
	for _, f := range catalog.Refs(o) {
		for _, t := range f.Types {
			if f.By == "" {
				refs = append(refs, entra.Ref{Type: t, ID: f.ID})
			}
		}
	}
	return refs
}

// lines returns, for each name of what was ever re-created, its other names.
func lines(aliases map[entra.Ref]entra.Ref) map[entra.Ref][]entra.Ref {
	all := map[entra.Ref][]entra.Ref{} // by the newest
	for old := range aliases {
		last := newest(old, aliases)
		all[last] = append(all[last], old)
	}
	out := map[entra.Ref][]entra.Ref{}
	for last, olds := range all {
		names := append(olds, last)
		slices.SortFunc(names, entra.Ref.Compare)
		names = slices.Compact(names)
		for _, n := range names {
			out[n] = slices.DeleteFunc(slices.Clone(names), func(r entra.Ref) bool { return r == n })
		}
	}
	return out
}
