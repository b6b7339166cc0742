package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// Acts are the audit entries of a time, by the objects they are about. Entries of what failed are left out.
type Acts struct {
	on     map[entra.ID][]catalog.Act // each ascending by time
	actors map[catalog.Actor]bool
}

// Within reads the audit entries with a time in [from, to).
func Within(ctx context.Context, x *index.Index, r *repository.Repository, from, to time.Time) (*Acts, error) {
	a := &Acts{on: map[entra.ID][]catalog.Act{}, actors: map[catalog.Actor]bool{}}
	for b, err := range x.ActsWithin(ctx, r, from, to) {
		if err != nil {
			return nil, fmt.Errorf("audit entries: %w", err)
		}
		act, ok := catalog.Acted(entra.Object{Ref: entra.Ref{Type: catalog.Audit().Type}, Body: b})
		if !ok || act.Result == "failure" {
			continue
		}
		a.actors[act.Actor] = true
		// By ID alone: the log has its own words for types.
		seen := map[entra.ID]bool{}
		for _, ref := range act.On {
			if !seen[ref.ID] {
				seen[ref.ID] = true
				a.on[ref.ID] = append(a.on[ref.ID], act)
			}
		}
	}
	return a, nil
}

// Actors returns everyone who acted, by name.
func (a *Acts) Actors() []catalog.Actor {
	all := make([]catalog.Actor, 0, len(a.actors))
	for x := range a.actors {
		all = append(all, x)
	}
	slices.SortFunc(all, func(x, y catalog.Actor) int { return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID)) })
	return all
}

// About returns the entries about a change's object. For a change of a link they are those that name both ends,
// where there are any, else those about the end it starts from, else those about the other.
func (a *Acts) About(c diff.Change) []catalog.Act {
	if !c.IsLink() {
		if own := a.on[c.Ref.ID]; len(own) > 0 {
			return own
		}
		return a.between(c)
	}
	var both []catalog.Act
	for _, act := range a.on[c.Link.From.ID] {
		if slices.ContainsFunc(act.On, func(r entra.Ref) bool { return r.ID == c.Link.To.ID }) {
			both = append(both, act)
		}
	}
	switch {
	case len(both) > 0:
		return both
	case len(a.on[c.Link.From.ID]) > 0:
		return a.on[c.Link.From.ID]
	}
	return a.on[c.Link.To.ID] // the log names some relations from their far end alone
}

// between returns the entries that name what an object relates to one another: the log tells of an assignment by
// its two ends, and not by its ID.
func (a *Acts) between(c diff.Change) (all []catalog.Act) {
	o := c.After
	if o == nil {
		o = c.Before
	}
	if o == nil {
		return nil
	}
	ids := catalog.IDs(*o)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) < 2 {
		return nil
	}
	for _, id := range ids {
		all = append(all, a.on[id]...)
	}
	all = slices.DeleteFunc(all, func(act catalog.Act) bool {
		n := 0
		for _, id := range ids {
			if slices.ContainsFunc(act.On, func(r entra.Ref) bool { return r.ID == id }) {
				n++
			}
		}
		return n < 2
	})
	slices.SortStableFunc(all, func(x, y catalog.Act) int { return x.At.Compare(y.At) })
	return slices.CompactFunc(all, same)
}

// By narrows a change to what an actor did of it, as far as the log tells, and reports false where that is nothing.
// An entry is about an object; which of its properties changed it may say. So a property counts as the actor's
// unless entries of others name it and none of the actor's do.
func (a *Acts) By(c diff.Change, who []catalog.Actor) (diff.Change, bool) {
	var own, others []catalog.Act
	for _, act := range a.About(c) {
		if slices.Contains(who, act.Actor) {
			own = append(own, act)
		} else {
			others = append(others, act)
		}
	}
	if len(own) == 0 {
		return c, false
	}
	if c.Kind != diff.Changed || len(others) == 0 {
		return c, true
	}
	c.Fields = slices.DeleteFunc(slices.Clone(c.Fields), func(f diff.Field) bool { return names(others, f.Path) && !names(own, f.Path) })
	return c, len(c.Fields) > 0
}

// Of returns of each change what one of the actors did, and leaves out those of which that is nothing.
func (a *Acts) Of(changes []diff.Change, who []catalog.Actor) []diff.Change {
	var own []diff.Change
	for _, c := range changes {
		if c, ok := a.By(c, who); ok {
			own = append(own, c)
		}
	}
	return own
}

// names reports whether one of the entries says that the property at a path changed.
func names(acts []catalog.Act, path string) bool {
	top := path
	if i := strings.IndexAny(path, ".["); i > 0 {
		top = path[:i]
	}
	return slices.ContainsFunc(acts, func(a catalog.Act) bool { return slices.Contains(a.Changed, strings.ToLower(top)) })
}
