package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Target is what a capture is after that need not read the whole tenant.
type Target struct {
	// Judged asks for all of the types from which it follows who gets in, which are small in every tenant.
	Judged bool
	// Around are objects to read with what they contain and the links at both ends of which they stand. One that has
	// a body is also looked for under another ID, by what recognises its type, where it is gone.
	Around []entra.Object
	// Inside are objects to read with what is in them, all the way down, where objects of their type can hold each
	// other.
	Inside []entra.Ref
	// Refs are objects to read by themselves.
	Refs []entra.Ref
	// Links are to be read at one of their ends.
	Links []entra.Link
}

// aimed reports whether the capture can be narrowed: what it carries has to be there, and as this declaration has it,
// with the directory extensions that the tenant has now.
func (rd *reading) aimed(ctx context.Context) (bool, error) {
	if rd.o.Target == nil || rd.parent == nil {
		return false, nil
	}
	known := map[string]bool{}
	for r := range catalog.All() {
		p := rd.parent.Part(r.Type, "")
		if p.Declaration != "" && p.Declaration != r.Declaration() {
			return false, nil
		}
		for _, name := range p.Asked {
			if _, _, ok := catalog.Extension(name); ok {
				known[name] = true
			}
		}
	}
	there, same := map[string]bool{}, true
	err := rd.pages(ctx, catalog.Definitions(), func(page graph.Page) error {
		for _, item := range page.Items {
			d, err := catalog.Define(item)
			if err != nil {
				return err
			}
			there[d.Name] = true
			same = same && (len(d.Of) == 0 || known[d.Name])
		}
		return nil
	})
	if err != nil || !same {
		return false, ctx.Err()
	}
	return rd.probe(ctx, there)
}

// probe finds which of the directory extensions that the parent asked for the tenant still has: that a list of them
// lacks one proves nothing. It reports false where that cannot be told.
func (rd *reading) probe(ctx context.Context, there map[string]bool) (bool, error) {
	rd.extensions.names, rd.extensions.gone = map[entra.Type][]string{}, map[entra.Type][]string{}
	var requests []graph.Request
	var names []string
	var types []entra.Type
	for r := range catalog.All() {
		for _, name := range properties(rd.parent.Part(r.Type, "")) {
			if _, _, ok := catalog.Extension(name); !ok {
				continue
			}
			if there[name] {
				rd.extensions.names[r.Type] = append(rd.extensions.names[r.Type], name)
				continue
			}
			query := url.Values{"$select": {"id," + name}}
			if !r.One {
				query.Set("$top", "1")
			}
			requests = append(requests, graph.Request{Method: http.MethodGet, Version: r.Version, Path: r.List, Query: query})
			names, types = append(names, name), append(types, r.Type)
		}
	}
	if len(requests) == 0 {
		return true, nil
	}
	results, err := rd.client.Batch(ctx, requests[0].Version, requests)
	if err != nil {
		return false, err
	}
	defined := map[entra.ID]map[string]bool{}
	for i, result := range results {
		refused, ok := errors.AsType[*graph.Error](result.Err)
		switch {
		case result.Err == nil:
			rd.extensions.names[types[i]] = append(rd.extensions.names[types[i]], names[i])
			continue
		case !ok || refused.Status != http.StatusBadRequest:
			return false, ctx.Err()
		}
		// The service does not show it now, which alone does not say that the values are gone.
		app, _, _ := catalog.Extension(names[i])
		if _, asked := defined[app]; !asked {
			if defined[app], err = rd.defined(ctx, app); err != nil {
				return false, err
			}
		}
		if defined[app] == nil || defined[app][names[i]] {
			return false, nil
		}
		rd.extensions.gone[types[i]] = append(rd.extensions.gone[types[i]], names[i])
	}
	return true, nil
}

// defined returns which directory extensions an application defines: what it says itself, or none where it has no
// service principal, without which they cannot be used. Nil is not known.
func (rd *reading) defined(ctx context.Context, app entra.ID) (map[string]bool, error) {
	own := catalog.Definers()
	own.Query.Set("$filter", "appId eq '"+string(app)+"'")
	var names map[string]bool
	err := rd.pages(ctx, own, func(page graph.Page) error {
		for _, item := range page.Items {
			_, defines, more, err := catalog.Definer(item)
			if err != nil || more.Path != "" {
				return errors.Join(err, errors.New("it defines more than one answer tells"))
			}
			names = map[string]bool{}
			for _, d := range defines {
				names[d.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, ctx.Err()
	}
	if names == nil {
		if _, err := rd.client.Do(ctx, request(catalog.Consented(app))); errors.Is(err, fs.ErrNotExist) {
			names = map[string]bool{}
		}
	}
	return names, ctx.Err()
}

// small reports whether a tenant has few objects of the type however large it is: what is no part of the directory's
// own store, which is what has delta functions. Source: protocol.md section 3.1.
func small(r *catalog.Resource) bool {
	if live, ok := catalog.Lookup(r.Live); ok {
		r = live
	}
	return !r.Stream && r.Under == "" && r.Delta == ""
}

// judged reports whether it follows from the type's objects, or from those of its recycle bin, who gets in.
func judged(r *catalog.Resource) bool {
	if live, ok := catalog.Lookup(r.Live); ok {
		r = live
	}
	return r.Judged
}

// An aim is one targeted capture under way.
type aim struct {
	*reading
	whole map[entra.Type]bool
	asked map[entra.Ref]bool
	live  map[entra.Ref]bool // those asked for that are there
	todo  []entra.Ref
	seen  known              // what parts are known of: Part.Seen
	to    known              // Part.SeenTo
	fault map[partName]error // the first
	n     map[partName]int64 // objects or links that arrived
	done  map[partName]bool  // read whole

	alikes map[entra.Type]bool // listed in order to find what could be another
}

type partName struct {
	t   entra.Type
	rel string
}

// known holds refs by part.
type known map[partName]map[entra.Ref]bool

func (k known) add(p partName, r entra.Ref) {
	if k[p] == nil {
		k[p] = map[entra.Ref]bool{}
	}
	k[p][r] = true
}

func (rd *reading) targeted(ctx context.Context) (*snapshot.Snapshot, error) {
	a := &aim{reading: rd, whole: map[entra.Type]bool{}, asked: map[entra.Ref]bool{}, live: map[entra.Ref]bool{},
		seen: known{}, to: known{}, fault: map[partName]error{}, n: map[partName]int64{}, done: map[partName]bool{}, alikes: map[entra.Type]bool{}}
	target := rd.o.Target
	rd.o.Full = true // what it reads whole, it lists
	a.choose()
	for r := range catalog.All() {
		if a.whole[r.Type] {
			if err := rd.roll(r.Type).filled(func(ctx context.Context) error { return a.objects(ctx, r) })(ctx); err != nil {
				return nil, err
			}
			a.done[partName{r.Type, ""}] = true
			for _, rel := range r.Links {
				if small(r) {
					if err := a.links(ctx, r, rel); err != nil {
						return nil, err
					}
					a.done[partName{r.Type, rel.Rel}] = true
				}
			}
		}
	}
	listed := map[entra.Ref]bool{} // what these contain is listed
	for _, o := range target.Around {
		listed[o.Ref] = true
	}
	for _, o := range target.Around {
		if p, in := catalog.Container(o.Ref); !in || !listed[p] {
			if err := a.want(ctx, o.Ref); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range slices.Concat(target.Inside, target.Refs) {
		if p, in := catalog.Container(r); !in || !listed[p] {
			if err := a.want(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	if err := a.points(ctx); err != nil {
		return nil, err
	}
	if err := a.contents(ctx, target.Around); err != nil {
		return nil, err
	}
	for _, o := range target.Around {
		if there, known := a.there(o.Ref); !there && known && o.Body != "" {
			if err := a.alike(ctx, o); err != nil {
				return nil, err
			}
		}
	}
	if err := a.around(ctx, target.Around); err != nil {
		return nil, err
	}
	if err := a.inside(ctx, target.Inside); err != nil {
		return nil, err
	}
	if err := a.pairs(ctx, target.Links); err != nil {
		return nil, err
	}
	if err := a.points(ctx); err != nil { // what was found on the way
		return nil, err
	}
	return a.end(ctx)
}

// choose finds which types are read whole: those that a plan is judged by, and those of which so many objects are wanted that
// listing all of them costs fewer requests.
func (a *aim) choose() {
	wanted := map[entra.Type]int64{}
	for _, o := range a.o.Target.Around {
		wanted[o.Ref.Type]++
	}
	for _, r := range slices.Concat(a.o.Target.Inside, a.o.Target.Refs) {
		wanted[r.Type]++
	}
	for r := range catalog.All() {
		switch {
		case a.o.Leaves(r) != "":
		case a.o.Target.Judged && judged(r):
			a.whole[r.Type] = true
		case r.Stream || r.Under != "":
		default:
			pages := a.parent.Part(r.Type, "").Objects/int64(max(r.Top, 100)) + 1
			a.whole[r.Type] = wanted[r.Type] > 20*pages // a batch holds twenty
		}
	}
}

// ask puts an object on the list of what is read by itself.
func (a *aim) ask(ref entra.Ref) {
	r, ok := catalog.Lookup(ref.Type)
	if !ok || ref.ID == "" || r.Stream || a.asked[ref] || a.done[partName{ref.Type, ""}] || a.o.Leaves(r) != "" {
		return
	}
	a.asked[ref] = true
	a.todo = append(a.todo, ref)
}

// want sees to it that an object is read by itself, unless all of its type were, and in that case its place in the
// recycle bin.
func (a *aim) want(ctx context.Context, ref entra.Ref) error {
	if !a.done[partName{ref.Type, ""}] {
		a.ask(ref)
		return nil
	}
	there, known := a.there(ref)
	r, ok := catalog.Lookup(ref.Type)
	if !ok || !known {
		return nil
	}
	return a.binned(ctx, r, ref, there)
}

// binned asks for an object in the recycle bin: where it is gone, and where it was there before. What is there is not
// in the bin, but the service says so itself.
func (a *aim) binned(ctx context.Context, r *catalog.Resource, ref entra.Ref, there bool) error {
	if r.Bin == "" {
		return nil
	}
	bin := entra.Ref{Type: r.Bin, ID: ref.ID}
	if there {
		_, err := a.before.Object(ctx, bin)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	a.ask(bin)
	return nil
}

// there says whether an object is there; known is false where that could not be read.
func (a *aim) there(r entra.Ref) (there, known bool) {
	if a.live[r] {
		return true, true
	}
	if a.done[partName{r.Type, ""}] {
		return a.reading.seen[r.Type].has(r.ID), a.parts[r.Type].Coverage == snapshot.Complete
	}
	return false, a.seen[partName{r.Type, ""}][r]
}

// gone reports whether it is known that an object is not there.
func (a *aim) gone(r entra.Ref) bool {
	there, known := a.there(r)
	return known && !there
}

// fail notes why a part is not known of all it was asked about.
func (a *aim) fail(part partName, of entra.Ref, err error) {
	if a.fault[part] == nil {
		a.fault[part] = fmt.Errorf("%s: %w", of, err)
	}
}

// A query is one small request and what to do with its answer. An error that do returns is ours.
type query struct {
	call catalog.Call
	do   func(graph.Result) error
}

// send carries out queries in batches.
func (a *aim) send(ctx context.Context, queries []query) error {
	type lot struct {
		version string
		client  *graph.Client
	}
	lots := map[lot][]query{}
	for _, q := range queries {
		l := lot{q.call.Version, a.via(q.call)}
		lots[l] = append(lots[l], q)
	}
	for _, l := range slices.SortedFunc(maps.Keys(lots), func(l, m lot) int { return strings.Compare(l.version, m.version) }) {
		for some := range slices.Chunk(lots[l], chunk) {
			requests := make([]graph.Request, len(some))
			for i, q := range some {
				requests[i] = request(q.call)
			}
			results, err := l.client.Batch(ctx, l.version, requests)
			if err != nil {
				return err
			}
			for i, q := range some {
				if err := q.do(results[i]); err != nil {
					return err
				}
			}
		}
	}
	return ctx.Err()
}

// points reads the objects on the list, and in the recycle bin what is gone.
func (a *aim) points(ctx context.Context) error {
	for len(a.todo) > 0 {
		todo := a.todo
		a.todo = nil
		queries := make([]query, len(todo))
		for i, ref := range todo {
			r, _ := catalog.Lookup(ref.Type)
			r = a.extended(r)
			queries[i] = query{call: r.Fetch(ref.ID), do: func(result graph.Result) error { return a.point(ctx, r, ref, result) }}
		}
		if err := a.send(ctx, queries); err != nil {
			return err
		}
	}
	return nil
}

func (a *aim) point(ctx context.Context, r *catalog.Resource, ref entra.Ref, result graph.Result) error {
	part := partName{ref.Type, ""}
	err := result.Err
	if err == nil {
		parent := entra.ID("")
		if p, ok := catalog.Container(ref); ok {
			parent = p.ID
		}
		err = a.put(ctx, r, result.Body, parent, nil)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, catalog.ErrAnother) {
		if err := a.writer.Gone(ctx, ref); err != nil {
			return err
		}
		a.seen.add(part, ref)
		return a.binned(ctx, r, ref, false)
	}
	if ours, ok := errors.AsType[*writeError](err); ok {
		return ours.err
	}
	if err != nil {
		a.fail(part, ref, err)
		return nil
	}
	a.live[ref] = true
	a.n[part]++
	a.seen.add(part, ref)
	return a.binned(ctx, r, ref, true)
}

// contents lists what objects contain. Of one that is gone nothing is left.
func (a *aim) contents(ctx context.Context, objects []entra.Object) error {
	for _, t := range catalog.Order() { // what contains others first
		r, _ := catalog.Lookup(t)
		if r.Under == "" || a.o.Leaves(r) != "" {
			continue
		}
		part := partName{r.Type, ""}
		inside := map[entra.Ref]map[entra.Ref]bool{}
		var within []entra.Object // what is or was in them
		for _, o := range objects {
			there, known := a.there(o.Ref)
			if o.Ref.Type != r.Under || !known {
				continue
			}
			has := map[entra.Ref]bool{}
			if can, known := a.roll(r.Under).holds(o.Ref.ID, r.Type); there && (can || !known) {
				err := a.batch(ctx, r.Version, r.Under, []entra.ID{o.Ref.ID}, a.extended(r).Listing, r.One, a.hollow(ctx, r), func(_ entra.ID, items [][]byte) error {
					for _, item := range items {
						in, err := r.Object(item, o.Ref.ID)
						if errors.Is(err, catalog.ErrNone) {
							continue
						}
						if err != nil {
							return err
						}
						has[in.Ref] = true
						a.live[in.Ref] = true
						if err := a.keep(ctx, in); err != nil {
							return err
						}
						within = append(within, in)
					}
					a.n[part] += int64(len(items))
					return nil
				})
				if ours, ok := errors.AsType[*writeError](err); ok {
					return ours.err
				}
				if err != nil && !(r.Among != "" && errors.Is(err, fs.ErrNotExist)) { // what is not among those that can contain any
					a.fail(part, o.Ref, err)
					continue
				}
			}
			inside[o.Ref] = has
			a.seen.add(part, entra.Ref{Type: r.Type, ID: o.Ref.ID})
		}
		if len(inside) == 0 {
			continue
		}
		for e, err := range a.before.Entries(ctx, r.Type) {
			if err != nil {
				return err
			}
			of, _ := catalog.Container(e.Ref)
			if has, ok := inside[of]; ok && !has[e.Ref] {
				if err := a.writer.Gone(ctx, e.Ref); err != nil {
					return err
				}
				if len(r.Inside()) > 0 {
					a.seen.add(part, e.Ref)
					within = append(within, entra.Object{Ref: e.Ref})
				}
			}
		}
		for _, o := range within {
			if len(r.Inside()) > 0 && !slices.ContainsFunc(objects, func(x entra.Object) bool { return x.Ref == o.Ref }) {
				objects = append(slices.Clip(objects), o)
			}
		}
	}
	return nil
}

func (a *aim) keep(ctx context.Context, o entra.Object) error {
	if err := a.writer.Put(ctx, o); err != nil {
		return &writeError{err}
	}
	return nil
}

// list hands over the items that a call lists and says how many came.
func (a *aim) list(ctx context.Context, call catalog.Call, do func(item []byte) error) (n int64, err error) {
	err = a.pages(ctx, call, func(page graph.Page) error {
		for _, item := range page.Items {
			if err := do(item); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// alike looks for what could be an object that is gone, made anew by somebody.
func (a *aim) alike(ctx context.Context, o entra.Object) error {
	r, ok := catalog.Lookup(o.Ref.Type)
	part := partName{r.Type, ""}
	if !ok || a.done[part] || a.alikes[r.Type] || r.Live != "" || r.Under != "" || !r.Can.Has(catalog.Create) {
		return nil
	}
	a.alikes[r.Type] = small(r) // such a list names all that there are
	r = a.extended(r)
	_, err := a.list(ctx, r.Locate("", o.Body.Decode()), func(item []byte) error {
		found, err := r.Object(item, "")
		if err != nil {
			return err
		}
		a.live[found.Ref] = true
		a.seen.add(part, found.Ref)
		return a.keep(ctx, found)
	})
	if ours, ok := errors.AsType[*writeError](err); ok {
		return ours.err
	}
	if err != nil {
		a.fail(part, o.Ref, err)
	}
	return nil
}

// around reads the links at both ends of which the objects stand, and what names them and says so there.
func (a *aim) around(ctx context.Context, objects []entra.Object) error {
	var queries []query
	for _, o := range objects {
		r, ok := catalog.Lookup(o.Ref.Type)
		if there, _ := a.there(o.Ref); !ok || !there {
			continue
		}
		for _, rel := range r.Links {
			queries = append(queries, a.ends(ctx, r, rel, o.Ref, func(entra.Link) {}))
		}
		for _, b := range r.Backs() {
			queries = append(queries, a.back(ctx, r, b, o.Ref))
		}
	}
	return a.send(ctx, queries)
}

// inside reads what objects hold, and what those of their type hold that are in them.
func (a *aim) inside(ctx context.Context, todo []entra.Ref) error {
	begun := map[entra.Ref]bool{}
	for len(todo) > 0 {
		var queries []query
		var next []entra.Ref
		for _, from := range todo {
			r, ok := catalog.Lookup(from.Type)
			if !ok || begun[from] || a.gone(from) {
				continue
			}
			begun[from] = true
			for _, rel := range r.Links {
				if !rel.Many || !slices.Contains(rel.To, from.Type) {
					continue
				}
				queries = append(queries, a.ends(ctx, r, rel, from, func(l entra.Link) {
					if l.To.Type == from.Type {
						next = append(next, l.To)
					}
				}))
			}
		}
		if err := a.send(ctx, queries); err != nil {
			return err
		}
		todo = next
	}
	return nil
}

// ends reads the links of one relation that start at an object, and tells of each.
func (a *aim) ends(ctx context.Context, r *catalog.Resource, rel catalog.Relation, from entra.Ref, tell func(entra.Link)) query {
	part := partName{from.Type, rel.Rel}
	call := r.Ends(rel, from.ID)
	return query{call: call, do: func(result graph.Result) error {
		if hidden, err := a.conceals(ctx, rel, from); hidden || err != nil {
			return err
		}
		var links []entra.Link
		items, err := itemsOf(ctx, a.via(call), request(call), result, !rel.Many)
		if errors.Is(err, fs.ErrNotExist) && (!rel.Many || rel.Bare) {
			err = nil
		}
		for _, item := range items {
			l, e := rel.Link(from, item)
			if err = errors.Join(err, e); e == nil {
				links = append(links, l)
				tell(l)
			}
		}
		if err != nil {
			a.fail(part, from, err)
			return nil
		}
		a.seen.add(part, from)
		return a.linked(ctx, links, from, func(l entra.Link) bool { return l.From == from && l.Rel == rel.Rel })
	}}
}

// back reads one of the lists that the service keeps at an object of what leads to it.
func (a *aim) back(ctx context.Context, r *catalog.Resource, b catalog.Back, to entra.Ref) query {
	call := b.Call(to.ID)
	return query{call: call, do: func(result graph.Result) error {
		var links []entra.Link
		items, err := itemsOf(ctx, a.via(call), request(call), result, false)
		for _, item := range items {
			ls, o, e := b.Item(to, item)
			if err = errors.Join(err, e); e != nil {
				continue
			}
			links = append(links, ls...)
			if o != nil {
				part := partName{o.Ref.Type, ""}
				a.live[o.Ref] = true
				a.n[part]++
				a.seen.add(part, o.Ref)
				if err := a.writer.Put(ctx, *o); err != nil {
					return err
				}
			}
		}
		parts := map[partName]catalog.Relation{}
		for from, rel := range b.Links {
			parts[partName{from, rel.Rel}] = rel
		}
		if err != nil {
			for part := range parts {
				a.fail(part, to, err)
			}
			if len(parts) == 0 {
				a.fail(partName{r.Type, ""}, to, err)
			}
			return nil
		}
		for part := range parts {
			a.to.add(part, to)
		}
		for _, l := range links {
			a.ask(l.From) // it may be new
		}
		return a.linked(ctx, links, to, func(l entra.Link) bool {
			rel, ok := parts[partName{l.From.Type, l.Rel}]
			if !ok || l.To != to {
				return false
			}
			hidden, err := a.conceals(ctx, rel, l.From)
			return !hidden && err == nil
		})
	}}
}

// conceals reports whether the service leaves an object's links out of its answers without a word.
func (a *aim) conceals(ctx context.Context, rel catalog.Relation, from entra.Ref) (bool, error) {
	if rel.Hidden == "" || a.o.Permissions == nil || slices.Contains(a.o.Permissions, rel.HiddenFrom) {
		return false, nil
	}
	o, err := a.before.Object(ctx, from)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // nothing is known of it
	}
	if err != nil {
		return false, err
	}
	_, hidden := rel.Conceals(o)
	return hidden, nil
}

// linked takes in links that were read, and that those of the parent at an object do not hold which the reading
// covered and lacks.
func (a *aim) linked(ctx context.Context, links []entra.Link, at entra.Ref, covered func(entra.Link) bool) error {
	has := make(map[entra.Link]bool, len(links))
	for _, l := range links {
		has[l] = true
		a.n[partName{l.From.Type, l.Rel}]++
		if err := a.writer.Link(ctx, l); err != nil {
			return err
		}
	}
	for l, err := range a.before.Around(ctx, at) {
		if err != nil {
			return err
		}
		if !has[l] && covered(l) {
			if err := a.writer.Unlink(ctx, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// pairs reads links by themselves, each at the end where fewer requests tell of more of them.
func (a *aim) pairs(ctx context.Context, links []entra.Link) error {
	type start struct {
		from entra.Ref
		rel  string
	}
	from := map[start][]entra.Link{}
	for _, l := range links {
		part := partName{l.From.Type, l.Rel}
		if a.seen[part][l.From] || a.to[part][l.To] || a.gone(l.From) || a.gone(l.To) {
			continue
		}
		s := start{l.From, l.Rel}
		from[s] = append(from[s], l)
	}
	var queries []query
	backs := map[entra.Ref]map[string]bool{} // by where the links end, the relations
	for s, ls := range from {
		r, ok := catalog.Lookup(s.from.Type)
		if !ok {
			continue
		}
		rel, ok := r.Relation(s.rel)
		if !ok {
			continue
		}
		pages, err := a.cost(ctx, s.from, rel)
		if err != nil {
			return err
		}
		if rel.Back == "" || len(ls) >= pages {
			queries = append(queries, a.ends(ctx, r, rel, s.from, func(entra.Link) {}))
			continue
		}
		for _, l := range ls {
			if backs[l.To] == nil {
				backs[l.To] = map[string]bool{}
			}
			backs[l.To][rel.Back] = true
		}
	}
	for to, names := range backs {
		r, ok := catalog.Lookup(to.Type)
		if !ok {
			continue
		}
		for _, b := range r.Backs() {
			if names[b.Name()] {
				queries = append(queries, a.back(ctx, r, b, to))
			}
		}
	}
	slices.SortFunc(queries, func(p, q query) int { return strings.Compare(p.call.Path, q.call.Path) })
	return a.send(ctx, queries)
}

// cost is how many pages an object's links of one relation fill, as far as the parent knows.
func (a *aim) cost(ctx context.Context, from entra.Ref, rel catalog.Relation) (int, error) {
	n := 0
	for l, err := range a.before.Around(ctx, from) {
		if err != nil {
			return 0, err
		}
		if l.From == from && l.Rel == rel.Rel {
			n++
		}
	}
	return n/max(rel.Top, 100) + 1, nil // a listing that goes on leaves the batch
}

// end closes all parts: those that were not read whole are carried, and say what is known of them.
func (a *aim) end(ctx context.Context) (*snapshot.Snapshot, error) {
	read := false
	var why error
	for r := range catalog.All() {
		for _, rel := range append([]string{""}, relations(r)...) {
			part := partName{r.Type, rel}
			if a.done[part] {
				continue
			}
			p := a.part(r, rel)
			p.Coverage, p.Seen, p.SeenTo = snapshot.Carried, slices.Collect(maps.Keys(a.seen[part])), slices.Collect(maps.Keys(a.to[part]))
			if a.o.Leaves(r) != "" {
				p.Coverage, p.Reason = snapshot.Skipped, a.o.Leaves(r)
			} else if err := a.fault[part]; err != nil {
				p.Coverage, p.Reason = judge(p.Type, err, len(p.Seen)+len(p.SeenTo) > 0), err.Error()
				why = err
			}
			read = read || len(p.Seen)+len(p.SeenTo) > 0
			if err := a.writer.End(ctx, p, false); err != nil {
				return nil, err
			}
			if a.n[part] > 0 || p.Coverage != snapshot.Carried {
				a.tell(Progress{Type: p.Type, Relation: p.Relation, Items: a.n[part], Done: true, Coverage: p.Coverage, Reason: p.Reason})
			}
		}
	}
	if err := a.nothing(); err != nil && !read {
		return nil, errors.Join(err, why)
	}
	return a.writer.Commit(ctx)
}
