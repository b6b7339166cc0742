package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// restarts is how often a listing whose page token expired is begun anew.
const restarts = 3

// objects reads the objects of a type that is not contained in another.
func (rd *reading) objects(ctx context.Context, r *catalog.Resource) error {
	p := rd.part(r, "")
	seen := map[entra.ID]bool{}
	n, err := rd.listing(ctx, r, seen)
	if err == nil && rd.shrunk(p, int64(len(seen))) {
		// Much has gone at once. A page lost without a word looks just like that, so a second listing has
		// to agree before anything counts as gone.
		n, err = rd.listing(ctx, r, seen)
	}
	rd.mu.Lock()
	rd.seen[r.Type] = seen
	rd.mu.Unlock()
	return rd.end(ctx, p, n, err)
}

// listing puts what a type's collection holds and marks it seen. It returns how many items arrived.
func (rd *reading) listing(ctx context.Context, r *catalog.Resource, seen map[entra.ID]bool) (n int64, err error) {
	if r.One {
		answer, err := rd.client.Do(ctx, request(r.Listing("")))
		if err != nil {
			return 0, err
		}
		return 1, rd.put(ctx, r, answer.Body, "", seen)
	}
	for range restarts {
		n = 0
		for page, e := range rd.client.Pages(ctx, request(r.Listing(""))) {
			if err = e; err != nil {
				break
			}
			for _, item := range page.Items {
				if err := rd.put(ctx, r, item, "", seen); err != nil {
					return n, fmt.Errorf("GET %s: page %d: %w", r.List, page.Number, err)
				}
			}
			n += int64(len(page.Items))
			rd.tell(Progress{Type: r.Type, Items: n})
		}
		if !errors.Is(err, graph.ErrExpiredPage) {
			return n, err
		}
	}
	return n, err
}

// shrunk reports whether a listing is so much smaller than the last complete one that it needs a second
// look: by more than 20 objects and more than one in twenty.
func (rd *reading) shrunk(p snapshot.Part, n int64) bool {
	if rd.parent == nil {
		return false
	}
	was := rd.parent.Part(p.Type, p.Relation)
	return was.Coverage == snapshot.Complete && was.Objects-n > max(20, was.Objects/20)
}

func (rd *reading) put(ctx context.Context, r *catalog.Resource, raw []byte, parent entra.ID, seen map[entra.ID]bool) error {
	o, err := r.Object(raw, parent)
	if err != nil {
		return err
	}
	if err := rd.writer.Put(ctx, o); err != nil {
		return &writeError{err}
	}
	if seen != nil {
		seen[o.Ref.ID] = false
		for _, rel := range r.Links {
			if permission, ok := rel.Conceals(o); ok && rd.o.Permissions != nil && !slices.Contains(rd.o.Permissions, permission) {
				seen[o.Ref.ID] = true
			}
		}
	}
	return nil
}

// contents reads the objects that other objects contain, parent by parent.
func (rd *reading) contents(ctx context.Context, r *catalog.Resource) error {
	p := rd.part(r, "")
	parents, ok := rd.starts(&p, r.Under)
	if !ok {
		return rd.end(ctx, p, 0, nil)
	}
	under := make([]entra.Ref, len(parents))
	requests := make([]graph.Request, len(parents))
	for i, parent := range parents {
		under[i] = entra.Ref{Type: r.Under, ID: parent}
		requests[i] = request(r.Listing(parent))
	}
	var n int64
	var lost error
	err := rd.batch(ctx, r.Version, requests, func(i int, items [][]byte, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // the parent has gone since it was listed
			return nil
		case err != nil:
			if lost == nil {
				lost = fmt.Errorf("%s: %w", under[i], err)
			}
			return nil
		}
		for _, item := range items {
			if err := rd.put(ctx, r, item, parents[i], nil); err != nil {
				return err
			}
		}
		n += int64(len(items))
		rd.tell(Progress{Type: r.Type, Items: n})
		return nil
	})
	if err == nil {
		err = lost
	}
	return rd.end(ctx, p, n, err)
}

// starts returns the objects of a type, ascending, for a part that is read object by object. Such a part
// can be no more complete than they are; where there is nothing to start from it reports false, and the
// part says why.
func (rd *reading) starts(p *snapshot.Part, t entra.Type) ([]entra.ID, bool) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	objects := rd.parts[t]
	if objects.Coverage != snapshot.Complete {
		p.Coverage = objects.Coverage
		p.Reason = fmt.Sprintf("what it starts from was not read whole: %s", objects.Reason)
		if objects.Coverage != snapshot.Partial {
			return nil, false
		}
	}
	ids := make([]entra.ID, 0, len(rd.seen[t]))
	for id := range rd.seen[t] {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, true
}

// chunk is how many requests are handed over at a time, so that memory does not grow with the tenant.
const chunk = 200

// batch reads many small lists and hands each over whole, or with the error that kept it from being read.
func (rd *reading) batch(ctx context.Context, version string, requests []graph.Request, do func(i int, items [][]byte, err error) error) error {
	for first := 0; first < len(requests); first += chunk {
		results, err := rd.client.Batch(ctx, version, requests[first:min(first+chunk, len(requests))])
		if err != nil {
			return err
		}
		denied := 0
		for j, result := range results {
			items, err := rd.items(ctx, result)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if refused, ok := errors.AsType[*graph.Error](err); ok && refused.Status == http.StatusForbidden {
				if denied++; denied == len(results) && first == 0 {
					return err // not this object, but this reading, is refused
				}
			}
			if err := do(first+j, items, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// items returns what one answer of a batch lists, following its pages to the end.
func (rd *reading) items(ctx context.Context, result graph.Result) ([][]byte, error) {
	if result.Err != nil {
		return nil, result.Err
	}
	m, err := entra.Decode(result.Body)
	if err != nil {
		return nil, err
	}
	value, isList := m["value"].([]any)
	if !isList {
		if _, ok := m["id"].(string); !ok {
			return nil, errors.New("the answer is neither a list nor an object")
		}
		return [][]byte{result.Body}, nil
	}
	var items [][]byte
	for _, v := range value {
		text, err := entra.Text(v)
		if err != nil {
			return nil, err
		}
		items = append(items, []byte(text))
	}
	if next, _ := m["@odata.nextLink"].(string); next != "" {
		for page, err := range rd.client.Follow(ctx, next, nil) {
			if err != nil {
				return nil, err
			}
			for _, item := range page.Items {
				items = append(items, slices.Clone(item))
			}
		}
	}
	return items, nil
}

// stream reads a log of the service since shortly before the last reading, since entries arrive late and
// are told apart by their IDs.
func (rd *reading) stream(ctx context.Context, r *catalog.Resource) error {
	p := rd.part(r, "")
	var last time.Time
	if rd.parent != nil {
		if was := rd.parent.Part(r.Type, ""); was.Complete > 0 {
			last = was.Read
		}
	}
	call, since := r.Since(rd.began, last)
	known := map[any]bool{}
	ids, err := rd.index.ActsSince(ctx, since)
	if err != nil {
		return err
	}
	for _, id := range ids {
		known[id] = true
	}
	var n int64
	for page, e := range rd.client.Pages(ctx, request(call)) {
		if err = e; err != nil {
			break
		}
		for _, item := range page.Items {
			entry, e := entra.Canonical(item)
			if e != nil {
				return rd.end(ctx, p, n, fmt.Errorf("GET %s: page %d: %w", r.List, page.Number, e))
			}
			n++
			if id, _ := entry.Get("id"); !known[id] {
				known[id] = true
				if e := rd.writer.Audit(ctx, []byte(entry)); e != nil {
					return e
				}
			}
		}
		rd.tell(Progress{Type: r.Type, Items: n})
	}
	return rd.end(ctx, p, n, err)
}
