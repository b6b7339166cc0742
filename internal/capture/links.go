package capture

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// links reads one relation of a type.
func (rd *reading) links(ctx context.Context, r *catalog.Resource, rel catalog.Relation) error {
	switch {
	case rd.follows(r, rel):
		return rd.followed(r.Type).linked(ctx, rel)
	case rd.vouched(r, rel.Rel, r.Type):
		return rd.relink(ctx, r, rel)
	}
	p := rd.part(r, rel.Rel)
	from, err := rd.starts(ctx, r.Type)
	if err != nil {
		return err
	}
	l := &linking{reading: rd, resource: r, relation: rel, part: &p, from: from, early: map[entra.ID][]any{}}
	ask, err := l.listed(ctx)
	if _, ours := errors.AsType[*writeError](err); ours {
		return rd.end(ctx, p, l.n, err)
	}
	if err := wait(ctx, from.done); err != nil {
		return err
	}
	if !rd.hangs(&p, r.Type) {
		return rd.end(ctx, p, 0, nil)
	}
	for _, id := range from.concealed() {
		l.conceal(entra.Ref{Type: r.Type, ID: id})
	}
	if ask {
		err = l.byList(ctx, from.unmarked(&l.heard))
	}
	if err == nil && p.Coverage != snapshot.Partial && rd.parent != nil {
		// Much has gone at once: asked object by object, the service has to say so too.
		if had := rd.parent.Part(r.Type, rel.Rel); had.Links-l.n > much(had.Links) {
			l.n = 0
			err = l.byList(ctx, from.all())
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
	from     *roll
	heard    marks              // the objects whose ends a list told
	early    map[entra.ID][]any // ends, as told, of objects that are not on the roll yet
	held     int                // how many objects and ends that are
	recall   int                // how many are held when the roll is asked for them again
	n        int64              // links that arrived
}

// maxEarly is how many objects and ends are held that came before the objects were listed.
const maxEarly = 20_000

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

// ends asks for the ends at one object.
func (l *linking) ends(id entra.ID) catalog.Call { return l.resource.Ends(l.relation, id) }

// bare returns what says of an object whose list is not found that there are none; nil where that is no way to say so.
func (l *linking) bare() func(of entra.ID) bool {
	if !l.relation.Bare {
		return nil
	}
	return func(entra.ID) bool { return true }
}

// byList asks for the relation object by object.
func (l *linking) byList(ctx context.Context, from []entra.ID) error {
	return l.batch(ctx, l.resource.Version, l.resource.Type, from, l.ends, !l.relation.Many, l.bare(), func(id entra.ID, items [][]byte) error {
		for _, item := range items {
			m, err := entra.Decode(item)
			if err != nil {
				return err
			}
			if err := l.link(ctx, entra.Ref{Type: l.resource.Type, ID: id}, m); err != nil {
				return err
			}
		}
		l.tell(Progress{Type: l.resource.Type, Relation: l.relation.Rel, Items: l.n})
		return nil
	})
}

// listed reads the relation by a list that tells the ends of many objects, where there is one, while the objects may
// still be being listed themselves. It reports whether those of which it told nothing are to be asked for one by one.
func (l *linking) listed(ctx context.Context) (ask bool, err error) {
	call, ends := l.resource.Expanded(l.relation), l.expanded
	switch l.relation.Read {
	case catalog.ByList:
		return true, nil
	case catalog.ByDelta:
		call, ends = l.resource.Round(l.relation), l.slice
	}
	arrived := false
	err = l.pages(ctx, call, func(page graph.Page) error {
		arrived = true
		for _, item := range page.Items {
			m, err := entra.Decode(item)
			if err != nil {
				return err
			}
			id, _ := m["id"].(string)
			if told, ok := ends(entra.ID(id), m); ok {
				if err := l.hear(ctx, entra.ID(id), told); err != nil {
					return err
				}
			}
		}
		l.tell(Progress{Type: l.resource.Type, Relation: l.relation.Rel, Items: l.n})
		if l.held >= l.recall || l.held > maxEarly {
			if err := l.late(ctx); err != nil {
				return err
			}
			l.recall = 2*l.held + 1000 // so that each is asked for a few times, however many there are
		}
		if l.held > maxEarly {
			return l.catchUp(ctx)
		}
		return nil
	})
	if err == nil {
		err = l.catchUp(ctx)
	}
	if !arrived && unlisted(err) {
		return true, nil
	}
	return err == nil, err
}

// unlisted reports whether a service refuses a list because it does not have it: not every one has those that tell of
// many objects what is linked to them or in them.
func unlisted(err error) bool {
	refused, ok := errors.AsType[*graph.Error](err)
	return ok && (refused.Status < 500 && refused.Status != http.StatusForbidden || refused.Status == http.StatusNotImplemented)
}

// expanded returns the ends that a listing by $expand tells of an object, once. Twenty may be all or the first of more,
// so such an object is asked by itself.
func (l *linking) expanded(id entra.ID, m map[string]any) ([]any, bool) {
	value, told := m[l.relation.Rel]
	ends, isList := value.([]any)
	if !isList && value != nil {
		ends = []any{value}
	}
	if l.relation.Many && (!told || len(ends) >= catalog.MaxExpanded) {
		return nil, false
	}
	return ends, l.from.mark(&l.heard, id)
}

// slice returns the ends that the first round of the delta function tells of an object. It neither leaves out the
// members that a plain listing hides nor needs a request per object. Objects come in slices, in any order, and what the
// round says last about an end holds.
func (l *linking) slice(id entra.ID, m map[string]any) ([]any, bool) {
	if _, gone := m["@removed"]; gone {
		return nil, false
	}
	value := m[l.relation.Rel+"@delta"]
	ends, isList := value.([]any)
	if !isList && value != nil {
		ends = []any{value}
	}
	if _, whole := m[l.relation.Rel]; whole && ends == nil {
		return nil, false // told as a list would, which may be cut short: it is asked for by itself
	}
	l.from.mark(&l.heard, id)
	return ends, true
}

// hear takes in ends of an object. They are held while it is not on the roll: it may yet come, or have been made since.
func (l *linking) hear(ctx context.Context, id entra.ID, ends []any) error {
	if before, ok := l.early[id]; ok || !l.from.has(id) {
		if l.early[id] = append(before, ends...); !ok {
			l.held++
		}
		l.held += len(ends)
		return nil
	}
	for _, end := range ends {
		if err := l.link(ctx, entra.Ref{Type: l.resource.Type, ID: id}, end); err != nil {
			return err
		}
	}
	return nil
}

// late takes in what was held of objects that are on the roll by now.
func (l *linking) late(ctx context.Context) error {
	for id, ends := range l.early {
		if !l.from.has(id) {
			continue
		}
		delete(l.early, id)
		l.held -= 1 + len(ends)
		if err := l.hear(ctx, id, ends); err != nil {
			return err
		}
	}
	return nil
}

// catchUp waits until all objects are listed. Those that are not on the roll then are none of this snapshot's.
func (l *linking) catchUp(ctx context.Context) error {
	if err := wait(ctx, l.from.done); err != nil {
		return err
	}
	err := l.late(ctx)
	clear(l.early)
	l.held = 0
	return err
}
