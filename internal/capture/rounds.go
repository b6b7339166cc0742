package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// How long a part goes without being listed whole. Delta rounds are known to miss a change now and then, the audit
// log says less, and a listing heals both. A little less than a day, so that a daily capture lists what the log vouches
// for each time. Source: protocol.md section 3.5.
const (
	roundsFor  = 7*24*time.Hour - 4*time.Hour
	vouchedFor = 20 * time.Hour
)

// lately reports whether a part of the parent can be brought up to date instead of listed whole: it was read by the
// rules of now, whole not long ago, and nothing happened that the service tells nobody of.
func (rd *reading) lately(r *catalog.Resource, rel string, within time.Duration) bool {
	if rd.o.Full || rd.parent == nil || rd.blind {
		return false
	}
	p := rd.parent.Part(r.Type, rel)
	age := rd.began.Sub(p.Full)
	return p.Complete != 0 && !p.Full.IsZero() && age >= 0 && age < within && p.Declaration == r.Declaration() &&
		(rel != "" || slices.Equal(p.Asked, r.Asked()) && slices.Equal(p.Absent, rd.absences(r)))
}

// rounded reports whether a round can bring a type's objects and all that it tells of their links up to date.
func (rd *reading) rounded(r *catalog.Resource) bool {
	if r.Delta == "" || !rd.lately(r, "", roundsFor) || rd.parent.Part(r.Type, "").Delta == "" {
		return false
	}
	for _, rel := range r.Links {
		if rel.Read == catalog.ByDelta && !rd.together(r, rel) {
			return false
		}
	}
	return true
}

// together reports whether a relation was known as of the same moment as the objects, from which a round goes on.
func (rd *reading) together(r *catalog.Resource, rel catalog.Relation) bool {
	return rd.lately(r, rel.Rel, roundsFor) && rd.parent.Part(r.Type, rel.Rel).Complete == rd.parent.Part(r.Type, "").Complete
}

// follows reports whether a round said what has become of a relation.
func (rd *reading) follows(r *catalog.Resource, rel catalog.Relation) bool {
	return rel.Read == catalog.ByDelta && rd.followed(r.Type) != nil
}

// followed returns the round that told of a type, nil where it is listed.
func (rd *reading) followed(t entra.Type) *round {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return rd.rounds[t]
}

// track returns the link from which a later capture hears what changed from now on, "" where the service gives none.
// What a round cannot tell of, it is not asked for: a property that the service refuses to track is left out.
// Source: protocol.md sections 3.2.3 and 3.2.9.
func (rd *reading) track(ctx context.Context, r *catalog.Resource) (link string, err error) {
	if r.Delta == "" {
		return "", nil
	}
	var without []string
	for {
		err = nil
		for page, e := range rd.client.Pages(ctx, request(r.Track(without))) {
			if err = e; err == nil {
				link = page.Delta
			}
		}
		refused, ok := errors.AsType[*graph.Error](err)
		if !ok || refused.Status != http.StatusBadRequest {
			break
		}
		more := slices.DeleteFunc(slices.Clone(r.Asked()), func(name string) bool {
			return slices.Contains(without, name) || !strings.Contains(refused.Message, name)
		})
		if len(more) == 0 {
			break
		}
		without = append(without, more...)
	}
	if err != nil {
		return "", ctx.Err() // then the next capture lists as this one does
	}
	return link, nil
}

// maxRound is how many bytes a round may have: it counts whole or not at all, so all of it is held until its end.
const maxRound = 64 << 20

var errMuch = errors.New("so much changed that listing all costs less")

// A round is what the service says changed in a type's objects, and in the links that start at them, since the parent.
type round struct {
	*reading
	resource *catalog.Resource
	n        int64               // items heard
	size     int                 // bytes of them
	next     string              // where the next round begins
	told     map[entra.ID]string // as they are now, as JSON
	gone     map[entra.ID]bool
	links    map[string][]told // by relation, as they came
	came     map[entra.ID]bool // was not there, and may have come with links
	back     map[entra.ID]bool // of these, those that came out of the recycle bin
	err      error             // why nothing of it counts
}

// A told link is one end that a round says is there, or is not.
type told struct {
	from entra.ID
	end  string // JSON
}

// round brings a type's objects up to date. It reports false where they have to be listed whole.
func (rd *reading) round(ctx context.Context, r *catalog.Resource) (bool, error) {
	was := rd.parent.Part(r.Type, "")
	w := &round{reading: rd, resource: r, told: map[entra.ID]string{}, gone: map[entra.ID]bool{}, links: map[string][]told{}, came: map[entra.ID]bool{}, back: map[entra.ID]bool{}}
	n, err := w.follow(ctx, was.Delta)
	if err == nil {
		err = w.apply(ctx)
	}
	refused, ok := errors.AsType[*graph.Error](err)
	switch {
	case errors.Is(err, errMuch), errors.Is(err, graph.ErrDeltaReset), errors.Is(err, graph.ErrExpiredPage),
		ok && refused.Status >= 400 && refused.Status < 500 && refused.Status != http.StatusTooManyRequests && !errors.Is(err, fs.ErrPermission):
		return false, ctx.Err()
	}
	w.n, w.err = n, err
	rd.mu.Lock()
	rd.rounds[r.Type] = w
	rd.mu.Unlock()
	return true, nil
}

// end closes the part of the objects.
func (w *round) end(ctx context.Context) error {
	was := w.parent.Part(w.resource.Type, "")
	p := w.part(w.resource, "")
	p.Full, p.Holes = was.Full, was.Holes
	if w.err != nil {
		return w.close(ctx, p, 0, w.err, false)
	}
	p.Delta, p.Holes = w.next, w.open(was.Holes)
	return w.close(ctx, p, w.n, nil, false)
}

// open returns which of the holes of the parent are not known any better now.
func (w *round) open(holes []entra.Ref) []entra.Ref {
	return slices.DeleteFunc(slices.Clone(holes), func(h entra.Ref) bool { return w.told[h.ID] != "" || w.gone[h.ID] })
}

// follow hears the whole round.
func (w *round) follow(ctx context.Context, link string) (n int64, err error) {
	for range restarts {
		n, w.size = 0, 0
		clear(w.told)
		clear(w.gone)
		clear(w.links)
		for page, e := range w.client.Follow(ctx, link, nil) {
			if err = e; err != nil {
				break
			}
			for _, item := range page.Items {
				if err := w.take(item); err != nil {
					return n, fmt.Errorf("GET %s: page %d: %w", w.resource.Delta, page.Number, err)
				}
				n++
			}
			if w.size > maxRound {
				return n, errMuch
			}
			if page.Delta != "" {
				w.next = page.Delta
			}
			w.tell(Progress{Type: w.resource.Type, Items: n})
		}
		if !errors.Is(err, graph.ErrExpiredPage) {
			break
		}
	}
	return n, err
}

// take notes what one item of a round says. What it says last holds; of links that come in slices all do.
// Source: protocol.md sections 3.3.9 to 3.3.12.
func (w *round) take(raw []byte) error {
	m, err := entra.Decode(raw)
	if err != nil {
		return err
	}
	w.size += len(raw)
	name, _ := m["id"].(string)
	if name == "" {
		return errors.New("an item has no id")
	}
	id := entra.ID(name)
	if _, removed := m["@removed"]; removed {
		w.gone[id] = true
		delete(w.told, id)
		return nil
	}
	delete(w.gone, id)
	for _, rel := range w.resource.Links {
		key := rel.Rel + "@delta"
		ends, isList := m[key].([]any)
		if one := m[key]; !isList && one != nil {
			ends = []any{one}
		}
		for _, end := range ends {
			text, err := entra.Text(end)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", id, rel.Rel, err)
			}
			w.links[rel.Rel] = append(w.links[rel.Rel], told{id, text})
		}
		delete(m, key)
		delete(m, rel.Rel)
	}
	if before, ok := w.told[id]; ok { // a slice of the same, which may lack what came with another
		if err := fill(m, []byte(before)); err != nil {
			return err
		}
	}
	w.told[id], err = entra.Text(m)
	return err
}

// fill gives an object the properties of another that it does not have.
func fill(m map[string]any, other []byte) error {
	more, err := entra.Decode(other)
	if err != nil {
		return err
	}
	for name, v := range more {
		if _, ok := m[name]; !ok {
			m[name] = v
		}
	}
	return nil
}

// apply writes what the round says of objects.
func (w *round) apply(ctx context.Context) error {
	r, had := w.resource, w.parent.Part(w.resource.Type, "").Objects
	if int64(len(w.gone)) > much(had) {
		return errMuch // it is not believed unheard
	}
	ids := make([]entra.ID, 0, len(w.told))
	for id := range w.told {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	// A round does not tell of properties that the service does not track: who is new is read by itself too, and so is
	// what lacks something that it had.
	whole := map[entra.ID][]byte{}
	for some := range slices.Chunk(ids, chunk) {
		again, err := w.unsure(ctx, some)
		if err != nil {
			return err
		}
		for _, id := range some {
			if w.named[entra.Ref{Type: r.Type, ID: id}] || w.named[entra.Ref{ID: id}] {
				w.came[id], w.back[id] = true, true // what it had before it went, the round does not take back
			}
		}
		if err := w.fetch(ctx, again, func(id entra.ID, raw []byte) error {
			whole[id] = raw
			return nil
		}); err != nil {
			return err
		}
		for _, id := range some {
			m, err := entra.Decode([]byte(w.told[id]))
			if err == nil && whole[id] != nil {
				err = fill(m, whole[id])
			}
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			text, err := entra.Text(m)
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			if err := w.put(ctx, r, []byte(text), "", nil); err != nil {
				return err
			}
		}
		clear(whole)
	}
	for id := range w.gone {
		if err := w.writer.Gone(ctx, entra.Ref{Type: r.Type, ID: id}); err != nil {
			return &writeError{err}
		}
	}
	return nil
}

// unsure returns which of the objects that a round tells of have to be read by themselves. A property that was cleared
// it would call null. Source: protocol.md section 3.3.1.
func (w *round) unsure(ctx context.Context, ids []entra.ID) (again []entra.ID, err error) {
	refs := make([]entra.Ref, len(ids))
	for i, id := range ids {
		refs[i] = entra.Ref{Type: w.resource.Type, ID: id}
	}
	had := map[entra.ID]bool{}
	for o, err := range w.before.Objects(ctx, refs) {
		if err != nil {
			return nil, &writeError{err}
		}
		had[o.Ref.ID] = true
		m, err := entra.Decode([]byte(w.told[o.Ref.ID]))
		if err != nil {
			return nil, err
		}
		lacks := w.resource.Lacks(m)
		for name := range o.Body.Decode() {
			_, told := m[name]
			lacks = lacks || !told && !strings.HasPrefix(name, "@")
		}
		if lacks {
			again = append(again, o.Ref.ID)
		}
	}
	for _, id := range ids {
		if !had[id] {
			w.came[id] = true
			again = append(again, id)
		}
	}
	return again, nil
}

// fetch reads objects of a type by themselves and hands over those that are there.
func (w *round) fetch(ctx context.Context, ids []entra.ID, do func(id entra.ID, raw []byte) error) error {
	for some := range slices.Chunk(ids, chunk) {
		requests := make([]graph.Request, len(some))
		for i, id := range some {
			requests[i] = request(w.resource.Fetch(id))
		}
		results, err := w.client.Batch(ctx, w.resource.Version, requests)
		if err != nil {
			return err
		}
		for i, result := range results {
			if errors.Is(result.Err, fs.ErrNotExist) {
				continue // not here yet, or gone again, of which a later round tells
			}
			if result.Err != nil {
				return result.Err
			}
			if err := do(some[i], result.Body); err != nil {
				return err
			}
		}
	}
	return nil
}

// living returns the objects of the type that are there now.
func (w *round) living(ctx context.Context) (*roll, error) {
	l := newRoll()
	close(l.done)
	for id := range w.told {
		l.add(id, false)
	}
	for e, err := range w.before.Entries(ctx, w.resource.Type) {
		if err != nil {
			return nil, &writeError{err}
		}
		if !w.gone[e.Ref.ID] {
			l.add(e.Ref.ID, false)
		}
	}
	return l, nil
}

// lives reports whether an object of the type is there now.
func (w *round) lives(ctx context.Context, id entra.ID) (bool, error) {
	if w.told[id] != "" || w.gone[id] {
		return !w.gone[id], nil
	}
	_, was, err := w.before.Version(ctx, entra.Ref{Type: w.resource.Type, ID: id})
	if err != nil {
		return false, &writeError{err}
	}
	return was, nil
}

// roomy returns the objects of the type that are there now and that could contain something of another as they were, and
// those of which the round told.
func (w *round) roomy(ctx context.Context, in *catalog.Resource) (*roll, error) {
	l := newRoll()
	close(l.done)
	for id := range w.told {
		l.add(id, false)
	}
	for holder, err := range w.before.Holders(ctx, in.Room()) {
		if err != nil {
			return nil, &writeError{err}
		}
		if holder.Type == w.resource.Type && !w.gone[holder.ID] {
			l.add(holder.ID, false)
		}
	}
	return l, nil
}

// agree takes in what the round and the recycle bin say of an object that the other does not: what left the bin
// without a word is back or purged, and what came into it is not alive. Source: protocol.md section 3.2.11.
func (w *round) agree(ctx context.Context) error {
	r := w.resource
	w.mu.Lock()
	bin, listed := w.seen[r.Bin], w.parts[r.Bin].Coverage == snapshot.Complete
	w.mu.Unlock()
	if r.Bin == "" || !listed {
		return nil
	}
	var ask []entra.ID
	known := map[entra.ID]bool{}
	for e, err := range w.before.Entries(ctx, r.Bin) {
		if err != nil {
			return &writeError{err}
		}
		known[e.Ref.ID] = true
		if !bin.has(e.Ref.ID) && !w.gone[e.Ref.ID] {
			if w.told[e.Ref.ID] == "" {
				ask = append(ask, e.Ref.ID)
			}
			w.back[e.Ref.ID] = true
		}
	}
	for _, id := range bin.all() {
		if !known[id] && !w.gone[id] && w.told[id] == "" {
			ask = append(ask, id)
		}
	}
	slices.Sort(ask)
	there := map[entra.ID]bool{}
	if err := w.fetch(ctx, ask, func(id entra.ID, raw []byte) error {
		there[id] = true
		w.told[id] = string(raw)
		return w.put(ctx, r, raw, "", nil)
	}); err != nil {
		return err
	}
	for _, id := range ask {
		if !there[id] {
			w.gone[id] = true
			if err := w.writer.Gone(ctx, entra.Ref{Type: r.Type, ID: id}); err != nil {
				return &writeError{err}
			}
		}
	}
	for id := range w.back {
		if w.told[id] == "" {
			delete(w.back, id)
		}
	}
	maps.Copy(w.came, w.back)
	return nil
}

// linked brings one relation up to date with what the round said.
func (w *round) linked(ctx context.Context, rel catalog.Relation) error {
	p := w.part(w.resource, rel.Rel)
	was := w.parent.Part(w.resource.Type, rel.Rel)
	p.Full, p.Holes = was.Full, was.Holes
	if w.err != nil {
		return w.close(ctx, p, 0, w.err, false)
	}
	p.Holes = w.open(was.Holes)
	l := &linking{reading: w.reading, resource: w.resource, relation: rel, part: &p}
	for id := range w.told {
		ref := entra.Ref{Type: w.resource.Type, ID: id}
		if hidden, err := w.hides(rel, ref); err != nil {
			return err
		} else if hidden {
			l.conceal(ref)
		}
	}
	if len(p.Holes) > 0 && p.Reason == "" {
		p.Reason = was.Reason
	}
	for _, t := range w.links[rel.Rel] {
		from := entra.Ref{Type: w.resource.Type, ID: t.from}
		end, err := entra.Decode([]byte(t.end))
		if _, removed := end["@removed"]; err == nil && !removed && !rel.Many {
			err = w.only(ctx, from, rel)
		}
		if err == nil {
			err = l.link(ctx, from, end)
		}
		if err != nil {
			return w.close(ctx, p, l.n, err, false)
		}
	}
	// What came back brings links along of which no round need tell; and where there is one at the most, asking for it
	// costs little. Source: protocol.md section 3.5.
	from := slices.Sorted(maps.Keys(w.came))
	if !rel.Many {
		from = slices.Sorted(maps.Keys(w.told))
	}
	return w.close(ctx, p, l.n, l.again(ctx, from), false)
}

// hides reports whether the service leaves the links of an object that the round tells of out without a word.
func (w *round) hides(rel catalog.Relation, ref entra.Ref) (bool, error) {
	if rel.Hidden == "" || w.o.Permissions == nil || slices.Contains(w.o.Permissions, rel.HiddenFrom) {
		return false, nil
	}
	body, err := entra.Canonical([]byte(w.told[ref.ID]))
	if err != nil {
		return false, fmt.Errorf("%s: %w", ref, err)
	}
	_, hidden := rel.Conceals(entra.Object{Ref: ref, Body: body})
	return hidden, nil
}

// only ends the links that an object has of a relation that can have one.
func (w *round) only(ctx context.Context, from entra.Ref, rel catalog.Relation) error {
	for link, err := range w.before.Around(ctx, from) {
		if err != nil {
			return &writeError{err}
		}
		if link.From == from && link.Rel == rel.Rel {
			if err := w.writer.Unlink(ctx, link); err != nil {
				return &writeError{err}
			}
		}
	}
	return nil
}
