package capture

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// links reads one relation of a type.
func (rd *reading) links(ctx context.Context, r *catalog.Resource, rel catalog.Relation) error {
	switch {
	case rd.follows(r, rel):
		return rd.rounds[r.Type].linked(ctx, rel)
	case rd.vouched(r, rel.Rel, r.Type):
		return rd.relink(ctx, r, rel)
	}
	p := rd.part(r, rel.Rel)
	from, ok, err := rd.starts(ctx, &p, r.Type)
	if err != nil {
		return err
	}
	if !ok {
		return rd.end(ctx, p, 0, nil)
	}
	l := &linking{reading: rd, resource: r, relation: rel, part: &p}
	seen := rd.seen[r.Type]
	for _, id := range from {
		if seen != nil && seen.hidden[id] {
			l.conceal(entra.Ref{Type: r.Type, ID: id})
		}
	}
	switch rel.Read {
	case catalog.ByDelta:
		err = l.byDelta(ctx, from)
	case catalog.ByExpand:
		err = l.byExpand(ctx, from)
	default:
		err = l.byList(ctx, from)
	}
	if err == nil && p.Coverage != snapshot.Partial && rd.parent != nil {
		// Much has gone at once: asked object by object, the service has to say so too.
		if had := rd.parent.Part(r.Type, rel.Rel); had.Links-l.n > much(had.Links) {
			l.n = 0
			err = l.byList(ctx, from)
		}
	}
	return rd.end(ctx, p, l.n, err)
}

// A linking is the reading of one relation.
type linking struct {
	*reading
	resource *catalog.Resource
	relation catalog.Relation
	part     *snapshot.Part
	n        int64 // links that arrived
}

// conceal notes an object whose links the service leaves out without a word.
func (l *linking) conceal(from entra.Ref) {
	l.part.Holes = append(l.part.Holes, from)
	l.part.Reason = fmt.Sprintf("the %s of %d objects are hidden from this identity", l.relation.Rel, len(l.part.Holes))
}

// link takes in one end of a link, or that the end is gone.
func (l *linking) link(ctx context.Context, from entra.Ref, item any) error {
	m, ok := item.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: %s: an end is no object", from, l.relation.Rel)
	}
	link, err := l.relation.End(from, m)
	if err != nil {
		return err
	}
	if _, gone := m["@removed"]; gone {
		err = l.writer.Unlink(ctx, link)
	} else {
		l.n++
		err = l.writer.Link(ctx, link)
	}
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// byList asks for the relation object by object.
func (l *linking) byList(ctx context.Context, from []entra.ID) error {
	requests := make([]graph.Request, len(from))
	for i, id := range from {
		requests[i] = request(l.resource.Ends(l.relation, id))
	}
	return l.batch(ctx, l.resource.Version, l.resource.Type, from, requests, !l.relation.Many, func(i int, items [][]byte) error {
		for _, item := range items {
			m, err := entra.Decode(item)
			if err != nil {
				return err
			}
			if err := l.link(ctx, entra.Ref{Type: l.resource.Type, ID: from[i]}, m); err != nil {
				return err
			}
		}
		l.tell(Progress{Type: l.resource.Type, Relation: l.relation.Rel, Items: l.n})
		return nil
	})
}

// byExpand lists the objects together with the ends of the relation. Twenty ends may be all or the first of
// more, so those objects are asked again one by one, and so are objects that this listing lacked.
func (l *linking) byExpand(ctx context.Context, from []entra.ID) error {
	missing := make(map[entra.ID]bool, len(from))
	for _, id := range from {
		missing[id] = true
	}
	var again []entra.ID
	arrived := false
	err := l.pages(ctx, l.resource.Expanded(l.relation), func(page graph.Page) error {
		arrived = true
		for _, item := range page.Items {
			m, err := entra.Decode(item)
			if err != nil {
				return err
			}
			id, _ := m["id"].(string)
			ref := entra.Ref{Type: l.resource.Type, ID: entra.ID(id)}
			if !missing[ref.ID] {
				continue // created since the objects were listed, or listed twice
			}
			delete(missing, ref.ID)
			ends, isList := m[l.relation.Rel].([]any)
			if one := m[l.relation.Rel]; !isList && one != nil {
				ends = []any{one}
			}
			if _, told := m[l.relation.Rel]; !told && l.relation.Many || l.relation.Many && len(ends) >= catalog.MaxExpanded {
				again = append(again, ref.ID)
				continue
			}
			for _, end := range ends {
				if err := l.link(ctx, ref, end); err != nil {
					return err
				}
			}
		}
		l.tell(Progress{Type: l.resource.Type, Relation: l.relation.Rel, Items: l.n})
		return nil
	})
	if refused, ok := errors.AsType[*graph.Error](err); ok && !arrived && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusNotImplemented) {
		return l.byList(ctx, from) // not every service takes $expand with everything else
	} else if err != nil {
		return err
	}
	for id := range missing {
		again = append(again, id)
	}
	slices.Sort(again)
	return l.byList(ctx, again)
}

// byDelta reads the relation from the first round of the delta function, which neither leaves out the
// members that a plain listing hides nor needs a request per object. Objects come in slices, in any order,
// and what the round says last about an end holds.
func (l *linking) byDelta(ctx context.Context, from []entra.ID) error {
	known := l.seen[l.resource.Type]
	heard := make(map[entra.ID]bool, len(from))
	name := l.relation.Rel + "@delta"
	arrived := false
	err := l.pages(ctx, l.resource.Round(l.relation), func(page graph.Page) error {
		arrived = true
		for _, item := range page.Items {
			m, err := entra.Decode(item)
			if err != nil {
				return err
			}
			id, _ := m["id"].(string)
			ref := entra.Ref{Type: l.resource.Type, ID: entra.ID(id)}
			if _, gone := m["@removed"]; gone || !known.has(ref.ID) {
				continue
			}
			ends, isList := m[name].([]any)
			if one := m[name]; !isList && one != nil {
				ends = []any{one}
			}
			if _, whole := m[l.relation.Rel]; whole && ends == nil {
				continue // told as a list would, which may be cut short: it is asked for by itself
			}
			heard[ref.ID] = true
			for _, end := range ends {
				if err := l.link(ctx, ref, end); err != nil {
					return err
				}
			}
		}
		l.tell(Progress{Type: l.resource.Type, Relation: l.relation.Rel, Items: l.n})
		return nil
	})
	if refused, ok := errors.AsType[*graph.Error](err); ok && !arrived && (refused.Status < 500 && refused.Status != http.StatusForbidden || refused.Status == http.StatusNotImplemented) {
		return l.byList(ctx, from) // no delta here
	} else if err != nil {
		return err
	}
	var missing []entra.ID
	for _, id := range from {
		if !heard[id] {
			missing = append(missing, id)
		}
	}
	return l.byList(ctx, missing)
}
