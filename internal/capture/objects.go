package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// restarts is how often a listing is begun whose page tokens expire, or that is not as long as the service says.
const restarts = 3

// pages hands over the pages that a call lists, to the true end. Where the service no longer takes its own page
// token the listing begins anew, since asking for that page again is of no use; a page may then come twice. So it does
// where the service counts other than as many items as it lists, since some may have come or gone meanwhile.
func (rd *reading) pages(ctx context.Context, call catalog.Call, do func(graph.Page) error) (err error) {
	for range restarts {
		for page, e := range ahead(rd.via(call).Pages(ctx, request(call))) {
			if err = e; err != nil {
				break
			}
			if err := do(page); err != nil {
				return fmt.Errorf("GET %s: page %d: %w", call.Path, page.Number, err)
			}
		}
		if !again(err) {
			return err
		}
	}
	return err
}

// ahead asks for the next page while one is dealt with.
func ahead(pages iter.Seq2[graph.Page, error]) iter.Seq2[graph.Page, error] {
	type one struct {
		graph.Page
		error
	}
	return func(yield func(graph.Page, error) bool) {
		came, enough := make(chan one), make(chan struct{})
		go func() {
			defer close(came)
			for page, err := range pages {
				select {
				case came <- one{page, err}:
				case <-enough:
					return
				}
			}
		}()
		for p := range came {
			if !yield(p.Page, p.error) {
				close(enough)
				for range came { // until nothing is asked any more
				}
				return
			}
		}
	}
}

// again reports whether a listing that ended with an error is worth beginning anew.
func again(err error) bool {
	return errors.Is(err, graph.ErrExpiredPage) || errors.Is(err, graph.ErrMiscounted)
}

// objects reads the objects of a type that is not contained in another.
func (rd *reading) objects(ctx context.Context, r *catalog.Resource) error {
	r = rd.extended(r)
	if given, ok := catalog.Lookup(r.Given); ok && rd.without(r.Given) {
		return rd.end(ctx, rd.part(r, ""), 0, fmt.Errorf("%w: %s", errWithout, given.Title))
	}
	if rd.rounded(r) {
		if done, err := rd.round(ctx, r); done || err != nil {
			return err
		}
	}
	link, err := rd.track(ctx, r)
	if err != nil {
		return err
	}
	p, seen := rd.part(r, ""), rd.roll(r.Type)
	p.Delta = link
	n, err := rd.twice(ctx, r, seen, func() (int64, error) { return rd.listing(ctx, r, seen) })
	if less, ok := plain(r, err); ok && n == 0 {
		p = rd.part(less, "") // without a link: it would tell of what this listing does not ask for
		p.Reason = fmt.Sprintf("the values of directory extensions are not known: %v", err)
		n, err = rd.twice(ctx, less, seen, func() (int64, error) { return rd.listing(ctx, less, seen) })
	}
	return rd.end(ctx, p, n, err)
}

var errWithout = errors.New("the tenant has none of what this needs")

// without reports whether the tenant is known to have no objects of a type that others need. Where that could not be
// read, they are asked for.
func (rd *reading) without(t entra.Type) bool {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return rd.parts[t].Coverage == snapshot.Complete && rd.seen[t] != nil && rd.seen[t].count() == 0
}

// listing puts what a type's collection holds and marks it seen. It returns how many items arrived.
func (rd *reading) listing(ctx context.Context, r *catalog.Resource, seen *roll) (n int64, err error) {
	if r.One {
		answer, err := rd.via(r.Listing("")).Do(ctx, request(r.Listing("")))
		if r.Chosen != "" && errors.Is(err, fs.ErrNotExist) {
			return 0, nil // somebody makes it first
		}
		if err != nil {
			return 0, err
		}
		if !says(r, answer.Body, "") {
			return 0, fmt.Errorf("GET %s: %w", r.List, errNothingOfIt)
		}
		err = rd.put(ctx, r, answer.Body, "", seen)
		if errors.Is(err, catalog.ErrNone) {
			return 0, nil
		}
		return 1, err
	}
	if r.Each {
		return rd.each(ctx, r, seen)
	}
	err = rd.pages(ctx, r.Listing(""), func(page graph.Page) error {
		if page.Number == 1 {
			n = 0
		}
		objects, err := made(r, page.Items)
		for _, o := range objects {
			if err := rd.keep(ctx, r, o, seen); err != nil {
				return err
			}
			n++
		}
		if err != nil {
			return err
		}
		rd.tell(Progress{Type: r.Type, Items: n, Of: page.Count})
		return nil
	})
	return max(n, seen.count()), err
}

// each reads by themselves the objects that a collection holds.
func (rd *reading) each(ctx context.Context, r *catalog.Resource, seen *roll) (n int64, err error) {
	var ids []entra.ID
	listed := rd.pages(ctx, r.Listing(""), func(page graph.Page) error {
		if page.Number == 1 {
			ids = nil
		}
		objects, err := made(r, page.Items)
		for _, o := range objects {
			ids = append(ids, o.Ref.ID)
		}
		return err
	})
	err = rd.batch(ctx, r.Version, r.Type, ids, r.Fetch, true, nil, func(_ entra.ID, items [][]byte) error {
		for _, item := range items {
			if err := rd.put(ctx, r, item, "", seen); err != nil {
				return err
			}
			n++
		}
		rd.tell(Progress{Type: r.Type, Items: n})
		return nil
	})
	if listed != nil {
		err = listed
	}
	return max(n, seen.count()), err
}

var errNothingOfIt = errors.New("the answer has no property of it")

// says reports whether an answer has any property that its type declares, as it came or as it is read, or says that
// there is none of it. What is not a member of a list has no ID that would have to be there, and an empty answer must not
// look like an object that lost all it had.
func says(r *catalog.Resource, raw []byte, parent entra.ID) bool {
	m, err := entra.Decode(raw)
	if err != nil {
		return false
	}
	told := func(m map[string]any) bool {
		for name, v := range m {
			if _, ok := r.Property(name); ok && v != nil {
				return true
			}
		}
		return false
	}
	if told(m) {
		return true
	}
	o, err := r.Object(raw, parent)
	return errors.Is(err, catalog.ErrNone) || err == nil && told(o.Body.Decode())
}

// twice reads objects, and reads them a second time if much has gone at once: a page lost without a word looks
// just like that. Only if both readings lack it, and it is gone when asked for by itself, is it gone.
func (rd *reading) twice(ctx context.Context, r *catalog.Resource, seen *roll, read func() (int64, error)) (int64, error) {
	n, err := read()
	if err != nil {
		return n, err
	}
	gone, err := rd.gone(ctx, r, seen)
	if err != nil || gone == nil {
		return n, err
	}
	if n, err = read(); err != nil {
		return n, err
	}
	if gone, err = rd.gone(ctx, r, seen); err != nil || gone == nil {
		return n, err
	}
	return n, rd.confirm(ctx, r, gone)
}

// much is how many of the objects or links that a part held may be missing at once without a second look.
func much(had int64) int64 { return max(20, had/20) }

// gone returns the objects that the parent has and this reading did not see, where they are so many that they
// need a second look; else nil.
func (rd *reading) gone(ctx context.Context, r *catalog.Resource, seen *roll) ([]entra.ID, error) {
	if rd.parent == nil {
		return nil, nil
	}
	var gone []entra.ID
	for e, err := range rd.before.Entries(ctx, r.Type) {
		if err != nil {
			return nil, &writeError{err}
		}
		if !seen.has(e.Ref.ID) {
			gone = append(gone, e.Ref.ID)
		}
	}
	if int64(len(gone)) <= much(rd.parent.Part(r.Type, "").Objects) {
		return nil, nil
	}
	return gone, nil
}

// confirmed is how many of the objects that a listing lacks are asked for by themselves.
const confirmed = 40

// confirm asks for some of the objects that two readings lack, spread over all of them. An error says that one
// is there, or that it cannot be told.
func (rd *reading) confirm(ctx context.Context, r *catalog.Resource, gone []entra.ID) error {
	some := min(len(gone), confirmed)
	requests := make([]graph.Request, some)
	for i := range requests {
		requests[i] = request(r.Fetch(gone[i*len(gone)/some]))
	}
	results, err := rd.via(r.Fetch("")).Batch(ctx, r.Version, requests)
	if err != nil {
		return err
	}
	for i, result := range results {
		id := gone[i*len(gone)/some]
		if result.Err == nil {
			_, result.Err = r.Object(result.Body, r.Parent(id))
			if !errors.Is(result.Err, catalog.ErrNone) { // an answer that is always given can say that there is none
				return fmt.Errorf("GET %s: the listing lacks %d objects, and %s is there when asked for by itself", r.List, len(gone), id)
			}
		}
		if !errors.Is(result.Err, fs.ErrNotExist) {
			return fmt.Errorf("GET %s: the listing lacks %d objects; whether they are gone cannot be told: %w", r.List, len(gone), result.Err)
		}
	}
	return nil
}

// absent reports whether an object that was listed is not there when asked for by itself.
func (rd *reading) absent(ctx context.Context, t entra.Type, id entra.ID) bool {
	r, ok := catalog.Lookup(t)
	if !ok {
		return false
	}
	_, err := rd.via(r.Fetch(id)).Do(ctx, request(r.Fetch(id)))
	return errors.Is(err, fs.ErrNotExist)
}

// barren reports whether an object can contain nothing of a type.
func (rd *reading) barren(ctx context.Context, r *catalog.Resource, id entra.ID) bool {
	in, ok := catalog.Lookup(r.Under)
	if !ok {
		return false
	}
	answer, err := rd.via(in.Fetch(id)).Do(ctx, request(in.Fetch(id)))
	return err == nil && r.Barren(answer.Body)
}

// made makes objects of a page's items, on all processors. With an error it returns those before it.
func made(r *catalog.Resource, items []jsontext.Value) ([]entra.Object, error) {
	objects, errs := make([]entra.Object, len(items)), make([]error, len(items))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 1+len(items)/16) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
				objects[i], errs[i] = r.Object(items[i], "")
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return objects[:i], err
		}
	}
	return objects, nil
}

// put keeps the object that an answer holds.
func (rd *reading) put(ctx context.Context, r *catalog.Resource, raw []byte, parent entra.ID, seen *roll) error {
	o, err := r.Object(raw, parent)
	if err != nil {
		return err
	}
	return rd.keep(ctx, r, o, seen)
}

// keep writes an object and marks it seen.
func (rd *reading) keep(ctx context.Context, r *catalog.Resource, o entra.Object, seen *roll) error {
	if err := rd.writer.Put(ctx, o); err != nil {
		return &writeError{err}
	}
	var body map[string]any
	for _, in := range r.Inside() {
		if in.Picky() && rd.o.Leaves(in) == "" {
			if body == nil {
				body = o.Body.Decode()
			}
			rd.roll(r.Type).note(o.Ref.ID, in.Type, in.Holds(body))
		}
	}
	if seen != nil {
		seen.add(o.Ref.ID, slices.ContainsFunc(r.Links, func(rel catalog.Relation) bool {
			permission, ok := rel.Conceals(o)
			return ok && rd.o.Permissions != nil && !slices.Contains(rd.o.Permissions, permission)
		}))
	}
	return nil
}

// contents reads the objects that other objects contain, parent by parent.
func (rd *reading) contents(ctx context.Context, r *catalog.Resource) error {
	if r.Among == "" && rd.vouched(r, "", r.Under) {
		return rd.recontent(ctx, r)
	}
	p, seen := rd.part(r, ""), rd.inside(r)
	for _, t := range []entra.Type{r.Under, r.Among, r.Given} {
		if t != "" && !rd.hangs(&p, t) {
			return rd.end(ctx, p, 0, nil)
		}
	}
	from, err := rd.possible(ctx, r, p.Coverage)
	if err != nil {
		return err
	}
	read := func() (n int64, err error) {
		take := func(parent entra.ID, items [][]byte) error {
			m, err := rd.fill(ctx, r, parent, items, seen)
			n += m
			rd.tell(Progress{Type: r.Type, Items: n})
			return err
		}
		told := &marks{}
		if r.Expand != "" && from.count() > 0 {
			if err := rd.expand(ctx, r, from, told, take); err != nil {
				return n, err
			}
		}
		ask, err := rd.able(ctx, r, from.unmarked(told))
		if err != nil {
			return n, err
		}
		err = rd.batch(ctx, r.Version, r.Under, ask, r.Listing, r.One, rd.hollow(ctx, r), take)
		return n, err
	}
	var n int64
	if p.Coverage == snapshot.Partial {
		n, err = read() // what is missing may lie in a parent that was not seen
	} else {
		n, err = rd.twice(ctx, r, seen, read)
	}
	return rd.end(ctx, p, n, err)
}

// inside returns the roll for the objects of a contained type, which is kept where they contain others.
func (rd *reading) inside(r *catalog.Resource) *roll {
	if len(r.Inside()) == 0 {
		return newRoll()
	}
	return rd.roll(r.Type)
}

// able returns those of some objects that can contain something of a type, as far as they are known, ascending. Of what
// is not known, anything can be.
func (rd *reading) able(ctx context.Context, r *catalog.Resource, ids []entra.ID) ([]entra.ID, error) {
	if !r.Picky() {
		return ids, nil
	}
	var ask []entra.ID
	before := map[entra.Ref]bool{} // as it was before
	notes := rd.roll(r.Under)
	for _, id := range ids {
		switch can, known := notes.holds(id, r.Type); {
		case can || !known && rd.followed(r.Under) == nil:
			ask = append(ask, id)
		case !known:
			before[entra.Ref{Type: r.Under, ID: id}] = true
		}
	}
	for o, err := range rd.before.Objects(ctx, slices.SortedFunc(maps.Keys(before), entra.Ref.Compare)) {
		if err != nil {
			return nil, &writeError{err}
		}
		if !r.Holds(o.Body.Decode()) {
			delete(before, o.Ref)
		}
	}
	for ref := range before {
		ask = append(ask, ref.ID)
	}
	slices.Sort(ask)
	return ask, nil
}

// fill keeps what an object contains, and says how much that is. An answer that is to be one object and says nothing of it is an error.
func (rd *reading) fill(ctx context.Context, r *catalog.Resource, parent entra.ID, items [][]byte, seen *roll) (n int64, err error) {
	for _, item := range items {
		if r.One && !says(r, item, parent) {
			return n, errNothingOfIt
		}
		if err := rd.put(ctx, r, item, parent, seen); errors.Is(err, catalog.ErrNone) {
			continue
		} else if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// possible returns the objects that may contain any of a type: none where what it takes is defined nowhere. Where a round
// told of the objects, they are gone through only if each of them may.
func (rd *reading) possible(ctx context.Context, r *catalog.Resource, coverage snapshot.Coverage) (*roll, error) {
	if r.Given != "" {
		given, err := rd.starts(ctx, r.Given)
		if err != nil || given.count() == 0 && coverage != snapshot.Partial {
			return newRoll(), err
		}
	}
	w := rd.followed(r.Under)
	if r.Among == "" {
		if w != nil && r.Picky() {
			return w.roomy(ctx, r)
		}
		return rd.starts(ctx, r.Under)
	}
	can, err := rd.starts(ctx, r.Among)
	if err != nil {
		return nil, err
	}
	some := newRoll()
	for _, id := range can.all() {
		lives := w == nil && rd.roll(r.Under).has(id)
		if w != nil {
			if lives, err = w.lives(ctx, id); err != nil {
				return nil, err
			}
		}
		if lives {
			some.add(id, false)
		}
	}
	return some, nil
}

// expand reads what objects contain where one list tells that of many of them, and marks those of which it told all.
// Where the service has no such list it tells of none.
func (rd *reading) expand(ctx context.Context, r *catalog.Resource, from *roll, told *marks, take func(entra.ID, [][]byte) error) error {
	arrived := false
	err := rd.pages(ctx, r.Contents(), func(page graph.Page) error {
		arrived = true
		for _, item := range page.Items {
			m, err := entra.Decode(item)
			if err != nil {
				return err
			}
			id, _ := m["id"].(string)
			if v, is := m[r.Expand]; r.One {
				if !is {
					return fmt.Errorf("the service does not tell %s", r.Expand)
				}
				if !from.has(entra.ID(id)) || !from.mark(told, entra.ID(id)) || v == nil {
					continue
				}
				body, err := entra.Encode(map[string]any{r.Expand: v})
				if err != nil {
					return err
				}
				if err := take(entra.ID(id), [][]byte{[]byte(body)}); err != nil {
					return err
				}
				continue
			}
			inside, there := m[r.Expand].([]any)
			if !there || len(inside) >= catalog.MaxExpanded || !from.has(entra.ID(id)) || !from.mark(told, entra.ID(id)) {
				continue
			}
			items := make([][]byte, len(inside))
			for i, e := range inside {
				m, _ := e.(map[string]any)
				body, err := entra.Encode(m)
				if err != nil {
					return err
				}
				items[i] = []byte(body)
			}
			if err := take(entra.ID(id), items); err != nil {
				return err
			}
		}
		return nil
	})
	if !arrived && unlisted(err) {
		return nil
	}
	return err
}

// starts returns the objects of a type, for a part that is read by them. They may still be being listed.
func (rd *reading) starts(ctx context.Context, t entra.Type) (*roll, error) {
	if w := rd.followed(t); w != nil {
		return w.living(ctx)
	}
	return rd.roll(t), nil
}

// hangs makes a part no more complete than the objects of the type that it hangs on, which have been read. Where there
// is nothing to start from it reports false, and the part says why.
func (rd *reading) hangs(p *snapshot.Part, t entra.Type) bool {
	rd.mu.Lock()
	objects := rd.parts[t]
	rd.mu.Unlock()
	if objects.Coverage == snapshot.Complete {
		return true
	}
	p.Coverage = objects.Coverage
	p.Reason = fmt.Sprintf("what it starts from was not read whole: %s", objects.Reason)
	return objects.Coverage == snapshot.Partial
}

// chunk is how many requests are handed over at a time, so that memory does not grow with the tenant.
const chunk = 200

// hollow returns what says of an object that it can contain nothing of a type.
func (rd *reading) hollow(ctx context.Context, r *catalog.Resource) func(of entra.ID) bool {
	return func(of entra.ID) bool { return rd.barren(ctx, r, of) }
}

// batch reads one small list for each of the given objects of a type and hands over those that arrived whole. A
// list that did not keeps no other from being read; the error names the first. The list of an object that has
// gone since it was listed is empty; so is one that is not found and that empty says is, and with single any other that is
// not found.
func (rd *reading) batch(ctx context.Context, version string, of entra.Type, from []entra.ID, ask func(entra.ID) catalog.Call, single bool, empty func(of entra.ID) bool, do func(of entra.ID, items [][]byte) error) error {
	var lost error
	n := 0
	for some := range slices.Chunk(from, chunk) {
		requests := make([]graph.Request, len(some))
		for i, id := range some {
			requests[i] = request(ask(id))
		}
		client := rd.via(ask(some[0]))
		results, err := client.Batch(ctx, version, requests)
		if err != nil {
			return err
		}
		denied := 0
		for i, result := range results {
			items, err := itemsOf(ctx, client, requests[i], result, single)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, fs.ErrNotExist) && (single || rd.absent(ctx, of, some[i]) || empty != nil && empty(some[i])) {
				items, err = nil, nil
			}
			if err == nil {
				if err = do(some[i], items); err != nil {
					err = fmt.Errorf("GET %s: %w", requests[i].Path, err)
				}
			}
			if _, ours := errors.AsType[*writeError](err); ours {
				return err
			}
			if err != nil {
				if n++; n == 1 {
					lost = fmt.Errorf("%s: %w", entra.Ref{Type: of, ID: some[i]}, err)
				}
				if refused, ok := errors.AsType[*graph.Error](err); ok && refused.Status == http.StatusForbidden {
					denied++
				}
			}
		}
		if denied == len(results) && some[0] == from[0] {
			return lost // not these objects, but this reading, is refused
		}
	}
	if n > 1 {
		return fmt.Errorf("%d of %d could not be read; the first: %w", n, len(from), lost)
	}
	return lost
}

// itemsOf returns what a request of a batch was answered with: the one object that it asked for, or what it lists, to
// the true end.
func itemsOf(ctx context.Context, client *graph.Client, r graph.Request, result graph.Result, single bool) ([][]byte, error) {
	if result.Err != nil {
		return nil, result.Err
	}
	if single {
		return [][]byte{result.Body}, nil
	}
	items, err := gather(client.PagesFrom(ctx, r, result.Response))
	for range restarts - 1 {
		if !again(err) {
			break
		}
		items, err = gather(client.Pages(ctx, r))
	}
	return items, err
}

// gather returns the items of all pages.
func gather(pages iter.Seq2[graph.Page, error]) (items [][]byte, err error) {
	for page, err := range pages {
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			items = append(items, slices.Clone(item))
		}
	}
	return items, nil
}

// stream reads a log of the service since shortly before the last reading, since entries arrive late and
// are told apart by their IDs.
func (rd *reading) stream(ctx context.Context, r *catalog.Resource) error {
	p := rd.part(r, "")
	p.Full = time.Time{} // it is never listed whole
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
	err = rd.pages(ctx, call, func(page graph.Page) error {
		for _, item := range page.Items {
			entry, err := entra.Canonical(item)
			if err != nil {
				return err
			}
			id, _ := entry.Get("id")
			if name, _ := id.(string); name == "" {
				return errors.New("an entry has no id")
			}
			n++
			if !known[id] {
				known[id] = true
				if err := rd.writer.Audit(ctx, []byte(entry)); err != nil {
					return &writeError{err}
				}
				rd.note(r, entry)
			}
		}
		rd.tell(Progress{Type: r.Type, Items: n})
		return nil
	})
	return rd.end(ctx, p, n, err)
}
