package capture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// listen reads the audit log before all else, where there is something to bring up to date: what it names is read
// again, and if Microsoft's own recovery ran, everything is.
func (rd *reading) listen(ctx context.Context) error {
	if rd.parent == nil || rd.o.Full {
		return nil
	}
	rd.heard = true
	audit := catalog.Audit()
	if rd.o.Leaves(audit) == "" {
		if err := rd.stream(ctx, audit); err != nil {
			return err
		}
		if err := rd.recall(ctx); err != nil {
			return err
		}
		rd.vouches = !rd.unclear && rd.parts[audit.Type].Coverage == snapshot.Complete && rd.parent.Part(audit.Type, "").Complete != 0
	}
	if rd.blind {
		return nil
	}
	return rd.recovered(ctx)
}

// late is how much later than its time an entry of the audit log can arrive.
const late = 24 * time.Hour

// oldest is as of when the oldest part of the parent is known that could be brought up to date: a reading that failed
// leaves one behind.
func (rd *reading) oldest() time.Time {
	at := rd.parent.Began
	for _, p := range rd.parent.Parts {
		if p.Complete != 0 && !p.Full.IsZero() && rd.began.Sub(p.Full) < roundsFor && p.Read.Before(at) {
			at = p.Read
		}
	}
	return at
}

// recall takes in what the log said before, where a part of the parent is older than the last reading of the log.
func (rd *reading) recall(ctx context.Context) error {
	oldest := rd.oldest()
	if !oldest.Before(rd.parent.Part(catalog.Audit().Type, "").Read) {
		return nil
	}
	for entry, err := range rd.index.ActsWithin(ctx, rd.repo, oldest.Add(-late), rd.began.Add(late)) {
		if err != nil {
			return err
		}
		rd.note(catalog.Audit(), entry)
	}
	return nil
}

// recovered looks for jobs of Microsoft's own recovery since the oldest part of the parent, whose changes no delta round tells of. A cloud
// that has none refuses the question, and so does one that has not given the permission: then only the audit log can
// tell. Source: protocol.md sections 3.3.18 and 11.
func (rd *reading) recovered(ctx context.Context) error {
	err := rd.pages(ctx, catalog.Recoveries(), func(page graph.Page) error {
		for _, item := range page.Items {
			job, err := catalog.RecoveryOf(item)
			if err != nil {
				return err
			}
			const slack = time.Hour // between the clock of the service and ours
			rd.blind = rd.blind || !job.Preview && (job.Ended.IsZero() || job.Ended.After(rd.oldest().Add(-slack)))
		}
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	refused, ok := errors.AsType[*graph.Error](err)
	if err != nil && (!ok || refused.Status >= http.StatusInternalServerError) {
		rd.blind = true // it may have run
	}
	return nil
}

// note takes in what an entry of the audit log is about.
func (rd *reading) note(r *catalog.Resource, entry entra.Body) {
	o := entra.Object{Ref: entra.Ref{Type: r.Type}, Body: entry}
	act, ok := catalog.Acted(o)
	if !ok {
		rd.unclear = true
		return
	}
	rd.blind = rd.blind || catalog.Recovered(o)
	for _, on := range act.On {
		if _, known := catalog.Lookup(on.Type); !known {
			on.Type = ""
		}
		rd.named[on] = rd.named[on] || act.Restores()
	}
}

// vouched reports whether a part whose entries hang on objects of a type can be brought up to date by what the audit log
// names: the log is whole since the part was, the part was listed whole not long ago, and rounds tell of all that went,
// which takes along what names it.
func (rd *reading) vouched(r *catalog.Resource, rel string, on entra.Type) bool {
	if !rd.vouches || rd.o.Now || r.Silent && rel == "" || rd.followed(on) == nil {
		return false
	}
	for other := range catalog.All() {
		if other.Delta != "" && rd.followed(other.Type) == nil {
			return false
		}
	}
	return rd.lately(r, rel, vouchedFor)
}

// settle makes rounds, recycle bins and the audit log agree before anything that hangs on objects is read.
func (rd *reading) settle(ctx context.Context) error {
	types := slices.Sorted(maps.Keys(rd.rounds))
	for _, t := range types {
		if w := rd.rounds[t]; w.err == nil {
			w.err = w.agree(ctx)
		}
	}
	for _, t := range types {
		w := rd.rounds[t]
		if w.err == nil {
			w.err = w.returned(ctx)
		}
		if err := w.end(ctx); err != nil {
			return err
		}
		// What holds the ID of an object that is gone can be gone with it, without a word of its own.
		for id := range w.gone {
			for holder, err := range rd.before.Holders(ctx, id) {
				if err != nil {
					return err
				}
				if in, ok := catalog.Container(holder); ok {
					rd.look(in)
				}
			}
		}
	}
	return nil
}

// look puts an object among those that have to be looked at again.
func (rd *reading) look(r entra.Ref) {
	if _, ok := rd.named[r]; !ok {
		rd.named[r] = false
	}
}

// again returns which of a type's objects that are there are to be looked at again, ascending: those that the audit log
// names, and those that were not there before.
func (w *round) again(ctx context.Context) ([]entra.ID, error) {
	t, found := w.resource.Type, maps.Clone(w.came)
	var ask []entra.Ref
	for ref := range w.named {
		switch {
		case ref.Type != t && ref.Type != "":
		case w.told[ref.ID] != "":
			found[ref.ID] = true
		case !w.gone[ref.ID]:
			ask = append(ask, entra.Ref{Type: t, ID: ref.ID})
		}
	}
	slices.SortFunc(ask, entra.Ref.Compare)
	for o, err := range w.before.Objects(ctx, slices.Compact(ask)) {
		if err != nil {
			return nil, &writeError{err}
		}
		found[o.Ref.ID] = true
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// relink reads a relation again at the objects that have to be looked at.
func (rd *reading) relink(ctx context.Context, r *catalog.Resource, rel catalog.Relation) error {
	w := rd.followed(r.Type)
	p := rd.part(r, rel.Rel)
	was := rd.parent.Part(r.Type, rel.Rel)
	p.Full, p.Holes = was.Full, was.Holes
	if w.err != nil {
		return rd.close(ctx, p, 0, w.err, false)
	}
	from, err := w.again(ctx)
	if err != nil {
		return rd.close(ctx, p, 0, err, false)
	}
	p.Holes = slices.DeleteFunc(slices.Clone(was.Holes), func(h entra.Ref) bool { return w.gone[h.ID] || slices.Contains(from, h.ID) })
	l := &linking{reading: rd, resource: r, relation: rel, part: &p}
	return rd.close(ctx, p, l.n, l.again(ctx, from), false)
}

// again asks for the relation at some objects once more.
func (l *linking) again(ctx context.Context, from []entra.ID) error {
	return l.batch(ctx, l.resource.Version, l.resource.Type, from, l.ends, !l.relation.Many, l.bare(), func(id entra.ID, items [][]byte) error {
		return l.exactly(ctx, entra.Ref{Type: l.resource.Type, ID: id}, items)
	})
}

// exactly takes in all links of the relation that start at an object.
func (l *linking) exactly(ctx context.Context, from entra.Ref, items [][]byte) error {
	has := map[entra.Link]bool{}
	for _, item := range items {
		link, err := l.relation.Link(from, item)
		if err != nil {
			return err
		}
		has[link] = true
		l.n++
		if err := l.writer.Link(ctx, link); err != nil {
			return &writeError{err}
		}
	}
	for link, err := range l.before.Around(ctx, from) {
		if err != nil {
			return &writeError{err}
		}
		if link.From == from && link.Rel == l.relation.Rel && !has[link] {
			if err := l.writer.Unlink(ctx, link); err != nil {
				return &writeError{err}
			}
		}
	}
	return nil
}

// recontent reads again what is contained in the objects that have to be looked at, and drops what was in those that
// are gone.
func (rd *reading) recontent(ctx context.Context, r *catalog.Resource) error {
	w := rd.followed(r.Under)
	p := rd.part(r, "")
	was := rd.parent.Part(r.Type, "")
	p.Full, p.Holes = was.Full, was.Holes
	if w.err != nil {
		return rd.close(ctx, p, 0, w.err, false)
	}
	parents, err := w.again(ctx)
	if err != nil {
		return rd.close(ctx, p, 0, err, false)
	}
	ask, err := rd.able(ctx, r, parents)
	if err != nil {
		return rd.close(ctx, p, 0, err, false)
	}
	listed, seen, n := map[entra.ID]bool{}, rd.inside(r), int64(0)
	for _, id := range parents {
		if _, asked := slices.BinarySearch(ask, id); !asked {
			listed[id] = true // and has nothing
		}
	}
	err = rd.batch(ctx, r.Version, r.Under, ask, r.Listing, r.One, rd.hollow(ctx, r), func(parent entra.ID, items [][]byte) error {
		m, err := rd.fill(ctx, r, parent, items, seen)
		listed[parent] = err == nil
		n += m
		return err
	})
	if len(listed)+len(w.gone)+len(r.Inside()) > 0 {
		for e, failed := range rd.before.Entries(ctx, r.Type) {
			if failed != nil {
				return failed
			}
			in, _ := catalog.Container(e.Ref)
			if !seen.has(e.Ref.ID) && listed[in.ID] || w.gone[in.ID] {
				if err := rd.writer.Gone(ctx, e.Ref); err != nil {
					return err
				}
			} else if len(r.Inside()) > 0 {
				seen.add(e.Ref.ID, false)
			}
		}
	}
	return rd.close(ctx, p, n, err, false)
}

// holds reports whether what contains an object is there, as far as rounds tell: these lists name also what is contained
// in something that is deleted.
func (rd *reading) holds(ctx context.Context, r entra.Ref) (bool, error) {
	in, ok := catalog.Container(r)
	if !ok {
		return true, nil
	}
	w := rd.followed(in.Type)
	if w == nil {
		return false, nil // it is listed
	}
	return w.lives(ctx, in.ID)
}

// returned reads what leads to objects that came out of the recycle bin, which brings such links back without a word.
func (w *round) returned(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(w.back)) {
		to := entra.Ref{Type: w.resource.Type, ID: id}
		for _, b := range w.resource.Backs() {
			err := w.pages(ctx, b.Call(id), func(page graph.Page) error {
				for _, item := range page.Items {
					links, o, err := b.Item(to, item)
					if err != nil {
						return err
					}
					if o != nil {
						if held, err := w.holds(ctx, o.Ref); err != nil {
							return err
						} else if held {
							if err := w.writer.Put(ctx, *o); err != nil {
								return &writeError{err}
							}
						}
					}
					for _, l := range links {
						if err := w.writer.Link(ctx, l); err != nil {
							return &writeError{err}
						}
					}
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("%s: %s: %w", to, b.Name(), err)
			}
		}
	}
	return nil
}
