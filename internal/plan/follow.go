package plan

import (
	"context"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// What somebody has by a schedule, the service shows in another place as well: as a role assignment, or as a link. The two come
// and go together, so a plan writes one of them: the schedule where it ends by itself, because what it is shown as would last,
// and else what it is shown as.

// schedule returns the schedule of a tree for somebody, from which something follows.
func schedule(ctx context.Context, tree snapshot.Tree, who entra.ID, follows func(entra.Object) bool) (entra.Object, bool, error) {
	for h, err := range tree.Holders(ctx, who) {
		if err != nil {
			return entra.Object{}, false, err
		}
		if r, ok := catalog.Lookup(h.Type); !ok || r.Echo == "" {
			continue
		}
		s, ok, err := get(ctx, tree, h)
		if err != nil {
			return s, false, err
		}
		if ok && follows(s) {
			return s, true, nil
		}
	}
	return entra.Object{}, false, nil
}

// leader returns the schedule that an object follows from.
func leader(ctx context.Context, tree snapshot.Tree, o entra.Object) (entra.Object, bool, error) {
	if !catalog.Echoes(o.Ref.Type) {
		return entra.Object{}, false, nil
	}
	for _, f := range catalog.Refs(o) {
		if s, ok, err := schedule(ctx, tree, f.ID, func(s entra.Object) bool { return catalog.Follows(o, s) }); ok || err != nil {
			return s, ok, err
		}
	}
	return entra.Object{}, false, nil
}

// led returns the schedule that a link follows from.
func led(ctx context.Context, tree snapshot.Tree, l entra.Link) (entra.Object, bool, error) {
	if !catalog.Echoes(l.From.Type) {
		return entra.Object{}, false, nil
	}
	return schedule(ctx, tree, l.To.ID, func(s entra.Object) bool { return catalog.LinkFollows(l, s) })
}

// follower returns the object of a tree that a schedule is shown as.
func follower(ctx context.Context, tree snapshot.Tree, s entra.Object) (o entra.Object, ok bool, err error) {
	r, _ := catalog.Lookup(s.Ref.Type)
	for _, f := range catalog.Refs(s) {
		for h, err := range tree.Holders(ctx, f.ID) {
			if err != nil {
				return o, false, err
			}
			if h.Type != r.Echo {
				continue
			}
			if o, ok, err = get(ctx, tree, h); err != nil || ok && catalog.Follows(o, s) {
				return o, ok, err
			}
		}
	}
	return entra.Object{}, false, nil
}

// unmade says why what follows from a schedule does not come back: neither does the schedule.
func unmade(s entra.Object) string {
	if why := catalog.Frozen(s); why != "" {
		return why
	}
	return "it was given for a time only, and comes back with " + s.Ref.String()
}

// unended says why what follows from a schedule does not go: neither does the schedule.
func unended(s entra.Object) string {
	if why := catalog.Frozen(s); why != "" {
		return why
	}
	return "it ends with " + s.Ref.String()
}

// follows finds what of an absent object's two places is made, before anything is. It returns the object with which this one
// comes, or the reason why none does; ok is false for what is made by itself.
func (m *maker) follows(o entra.Object, absent map[entra.Ref]bool) (with entra.Ref, why string, ok bool, err error) {
	if s, found, err := leader(m.ctx, m.goal, o); found || err != nil {
		switch {
		case err != nil || !catalog.Leads(s):
			return with, "", false, err
		case absent[s.Ref] && catalog.Frozen(s) == "":
			return s.Ref, "", true, nil
		}
		return with, unmade(s), true, nil
	}
	if !m.behind(o) {
		return with, "", false, nil
	}
	x, found, err := follower(m.ctx, m.goal, o)
	return x.Ref, "", found && absent[x.Ref], err
}

// behind reports whether an object is a schedule that what it is shown as is written in the place of.
func (m *maker) behind(o entra.Object) bool {
	r, _ := catalog.Lookup(o.Ref.Type)
	return r.Echo != "" && catalog.Frozen(o) == "" && !catalog.Leads(o) && m.q.Scope.Has(r.Echo)
}

// leaves reports whether an object that base has and the goal lacks goes with another one, or says why it stays. gone is
// what is to go.
func (m *maker) leaves(o entra.Object, gone map[entra.Ref]bool) (goes bool, stays string, err error) {
	s, found, err := leader(m.ctx, m.world, o)
	switch {
	case err != nil:
		return false, "", err
	case found && catalog.Leads(s):
		return gone[s.Ref] && catalog.Frozen(s) == "", catalog.Frozen(s), nil
	case !m.behind(o):
		return false, "", nil
	}
	x, found, err := follower(m.ctx, m.world, o)
	return found && gone[x.Ref], "", err
}
