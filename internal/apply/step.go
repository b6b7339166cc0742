package apply

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// do carries out one step and says what came of it.
func (u *run) do(ctx context.Context, s plan.Step) (Outcome, entra.ID, error) {
	r, ok := catalog.Lookup(s.Ref.Type)
	if !ok {
		return Failed, "", fmt.Errorf("%s: no such type", s.Ref.Type)
	}
	var outcome Outcome
	var id entra.ID
	var err error
	switch s.Action {
	case plan.Create:
		outcome, id, err = u.create(ctx, r, s)
	case plan.Undelete:
		outcome, err = u.undelete(ctx, r, s)
	case plan.Update:
		outcome, err = u.update(ctx, r, s)
	case plan.Attach:
		outcome, err = u.attach(ctx, r, s)
	case plan.Detach:
		outcome, err = u.detach(ctx, r, s)
	case plan.Delete:
		outcome, err = u.delete(ctx, r, s)
	case plan.Issue:
		outcome, id, err = u.issue(ctx, r, s)
	case plan.Revoke:
		outcome, err = u.again(ctx, nil, r.Revoked(u.names().now(s.Ref, s.OfBase).ID), nil) // once more does no harm
	default:
		err = fmt.Errorf("no such action: %s", s.Action)
	}
	return outcome, id, err
}

// A naming is what the tenant calls what the goal names, at one moment.
type naming struct {
	refs map[entra.Ref]entra.Ref
	ids  map[entra.ID]entra.ID // the refs' IDs, and what else names objects
}

// learn takes over what has been created so far. The steps of a wave do not need one another, so that once for each
// wave is enough; once for each step would cost the square of a large restore.
func (u *run) learn() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.learned = naming{maps.Clone(u.ids), map[entra.ID]entra.ID{}}
	maps.Copy(u.learned.ids, u.values)
	for from, to := range u.ids {
		u.learned.ids[from.ID] = to.ID
	}
}

// names returns what was learned when the wave under way began.
func (u *run) names() naming { return u.learned }

// now returns what the tenant calls the object that a step names.
func (n naming) now(ref entra.Ref, ofBase bool) entra.Ref {
	if ofBase {
		return ref
	}
	if to, ok := n.refs[ref]; ok {
		return to
	}
	return catalog.Rename(entra.Object{Ref: ref, Body: "{}"}, n.ids).Ref
}

// translate puts the tenant's IDs into the values of a step.
func (n naming) translate(t entra.Type, set map[string]any) (map[string]any, error) {
	nested := map[string]any{}
	for _, path := range slices.Sorted(maps.Keys(set)) {
		if set[path] != nil {
			entra.Set(nested, path, set[path])
		}
	}
	body, err := entra.Encode(nested)
	if err != nil {
		return nil, err
	}
	renamed := catalog.Rename(entra.Object{Ref: entra.Ref{Type: t, ID: "-"}, Body: body}, n.ids).Body.Decode()
	out := map[string]any{}
	for path, v := range n.paths(set) {
		if v != nil {
			v, _ = entra.Get(renamed, path)
		}
		out[path] = v
	}
	return out, nil
}

// paths puts the tenant's IDs into paths that hold some.
func (n naming) paths(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for path, v := range values {
		out[catalog.RenamePath(path, n.ids)] = v
	}
	return out
}

// same compares two values by their canonical text; nil is the absent one, and so is an empty array.
func same(a, b any) bool {
	if empty(a) && empty(b) {
		return true
	}
	x, errX := entra.Text(a)
	y, errY := entra.Text(b)
	return errX == nil && errY == nil && x == y
}

func empty(v any) bool {
	a, ok := v.([]any)
	return v == nil || ok && len(a) == 0
}

// call sends a call of the catalog.
func (u *run) call(ctx context.Context, c catalog.Call) (graph.Response, error) {
	h := http.Header{}
	for name, value := range c.Header {
		h.Set(name, value)
	}
	body := c.Body
	if h.Get("Content-Type") == "" { // else it is no JSON
		body = bytes.ReplaceAll(body, []byte("{endpoint}"), []byte(u.o.Endpoint))
	}
	return u.client.Do(ctx, graph.Request{Method: c.Method, Version: c.Version, Path: c.Path, Query: c.Query, Header: h,
		Body: body})
}

// attempts is how often a write to an object that has its ID is sent while its outcome stays unknown. Before each the
// object is read, and written only if that did not happen; a second such write does no harm.
const attempts = 5

// appears is how long an object that was just made may stay invisible to some replicas (Microsoft Graph
// documentation promises no time; some minutes are usual, and a quarter of an hour has been seen).
const appears = 15 * time.Minute

// young reports whether one of the refs names an object that this plan made or undeleted.
func (u *run) young(refs []entra.Ref) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.ContainsFunc(refs, func(r entra.Ref) bool { return u.made[r] || u.coined[r.ID] })
}

// patient repeats what was refused because an object that this plan made is not visible yet.
func (u *run) patient(ctx context.Context, refs []entra.Ref, do func() error) error {
	young := u.young(refs)
	wait := 500 * time.Millisecond
	for waited := time.Duration(0); ; waited += wait {
		err := do()
		if err == nil || !young || !unseen(err) || waited >= appears {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, 30*time.Second)
	}
}

// unseen reports whether a refusal may mean that a replica does not know an object yet: it says so with 404, and
// for objects that others refer to with 400, or for a service principal's application with 403, in these words.
// Source: Microsoft Graph documentation of groups, service principals and Conditional Access policies.
func unseen(err error) bool {
	refused, ok := errors.AsType[*graph.Error](err)
	if !ok {
		return false
	}
	said := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(refused.Message), w) })
	}
	switch refused.Status {
	case http.StatusNotFound:
		return true
	case http.StatusBadRequest:
		return said("not exist", "don't exist", "not found", "does not reference a valid", "cannot be found", "are not available") ||
			said("invalid") && said("value") && strings.HasPrefix(strings.TrimLeft(refused.Message, "0123456789"), ": ")
	case http.StatusForbidden:
		return said("backing application")
	}
	return false
}

// named returns what values name, beside the object that has them.
func named(ref entra.Ref, set map[string]any) []entra.Ref {
	refs := []entra.Ref{ref}
	for _, r := range catalog.Refs(entra.Object{Ref: ref, Body: body(set)}) {
		for _, t := range r.Types {
			refs = append(refs, entra.Ref{Type: t, ID: r.ID})
		}
	}
	return refs
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// ask asks for an object as it is now. A property that the tenant has no more, which the service refuses to name, nobody
// has: then it is read without.
func (u *run) ask(ctx context.Context, r *catalog.Resource, id entra.ID) (graph.Response, error) {
	answer, err := u.call(ctx, r.Fetch(id))
	refused, ok := errors.AsType[*graph.Error](err)
	if declared, _ := catalog.Lookup(r.Type); ok && refused.Status == http.StatusBadRequest && declared != r {
		return u.call(ctx, declared.Fetch(id))
	}
	return answer, err
}

// fetch reads an object as it is now.
func (u *run) fetch(ctx context.Context, r *catalog.Resource, ref entra.Ref) (o entra.Object, err error) {
	err = u.patient(ctx, []entra.Ref{ref}, func() error {
		answer, err := u.ask(ctx, r, ref.ID)
		if err != nil {
			return err
		}
		o, err = r.Object(answer.Body, r.Parent(ref.ID))
		return err
	})
	if err != nil {
		return o, fmt.Errorf("read %s: %w", ref, err)
	}
	return o, nil
}

func (u *run) update(ctx context.Context, r *catalog.Resource, s plan.Step) (Outcome, error) {
	names := u.names()
	ref := names.now(s.Ref, s.OfBase)
	set, err := names.translate(s.Ref.Type, s.Set)
	if err != nil {
		return Failed, err
	}
	s.Was = names.paths(s.Was)
	r = r.With(slices.Collect(maps.Keys(set))...)
	for range attempts {
		o, err := u.fetch(ctx, r, ref)
		if errors.Is(err, fs.ErrNotExist) {
			return Stale, fmt.Errorf("%w: %w", err, ErrStale)
		}
		if err != nil {
			return Failed, err
		}
		is := o.Body.Decode()
		differ := map[string]any{}
		for path, want := range set {
			have, _ := entra.Get(is, path)
			if same(have, want) {
				continue
			}
			differ[path] = want
			// A path that Was lacks is one of an object this plan makes: the service's default may be there.
			if was, expected := s.Was[path]; expected && !same(have, was) && !same(have, names.was(s, path)) {
				return Stale, fmt.Errorf("%s: %s is neither what it was nor what it shall be: %w", ref, path, ErrStale)
			}
		}
		if len(differ) == 0 {
			return AlreadyDone, nil
		}
		whole, was := map[string]any{}, o.Body.Decode()
		next := o.Body.Decode()
		for path, v := range differ {
			entra.Set(next, path, v)
		}
		for path := range differ {
			unit := r.Unit(path)
			whole[unit] = next[unit]
		}
		calls, err := r.Update(ref.ID, whole, was)
		if err != nil {
			return Failed, err
		}
		if err = u.all(ctx, r, named(ref, differ), calls); err == nil {
			return Done, nil
		}
		if !errors.Is(err, graph.ErrUnknownOutcome) {
			return Failed, err
		}
	}
	return Failed, fmt.Errorf("%s: the update's outcome stayed unknown: %w", ref, graph.ErrUnknownOutcome)
}

// was is the value that a step expects, where an earlier wave of the same plan has already put a new ID in
// the place of an old one.
func (n naming) was(s plan.Step, path string) any {
	was, err := n.translate(s.Ref.Type, map[string]any{path: s.Was[path]})
	if err != nil {
		return s.Was[path]
	}
	return was[path]
}

// all sends the calls of a type one after the other, until one fails.
func (u *run) all(ctx context.Context, r *catalog.Resource, refs []entra.Ref, calls []catalog.Call) error {
	for _, c := range calls {
		err := u.patient(ctx, refs, func() error {
			answer, err := u.call(ctx, c)
			if why := r.Fails(answer.Body); err == nil && why != "" {
				return errors.New(why)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *run) undelete(ctx context.Context, r *catalog.Resource, s plan.Step) (Outcome, error) {
	ref := u.names().now(s.Ref, s.OfBase)
	bin, ok := catalog.Lookup(r.Bin)
	if !ok {
		return Failed, fmt.Errorf("%s: it has no recycle bin", s.Ref)
	}
	r, bin = r.With(s.Asked...), bin.With(s.Asked...)
	u.mu.Lock()
	_, asked := u.open[s.Number]
	u.mu.Unlock()
	var taken error // its own name: the service no longer takes what has come back, by our hand or with something else
	for range attempts {
		if _, err := u.ask(ctx, r, ref.ID); err == nil {
			return AlreadyDone, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return Failed, err
		}
		answer, err := u.ask(ctx, bin, ref.ID)
		if errors.Is(err, fs.ErrNotExist) && asked {
			break // it has left the bin by our hand, and has not appeared yet
		}
		if errors.Is(err, fs.ErrNotExist) {
			return Stale, fmt.Errorf("%s: it is no longer in the recycle bin: %w", s.Ref, ErrStale)
		}
		if err != nil {
			return Failed, err
		}
		o, err := bin.Object(answer.Body, "")
		if err != nil {
			return Failed, err
		}
		if o.Version() != s.Version {
			return Stale, fmt.Errorf("%s: it was deleted anew: %w", s.Ref, ErrStale)
		}
		if _, err = u.call(ctx, r.Revive(ref.ID, s.Set)); err == nil {
			return Done, nil
		}
		if errors.Is(err, fs.ErrExist) {
			taken = err
			break
		}
		if !errors.Is(err, graph.ErrUnknownOutcome) {
			return Failed, err
		}
		asked = true
	}
	u.mu.Lock()
	u.made[ref] = true
	u.mu.Unlock()
	if _, err := u.fetch(ctx, r, ref); taken != nil && err != nil {
		return Failed, taken
	} else if err != nil {
		return Failed, fmt.Errorf("whether it was undeleted stayed unknown: %w: %w", err, graph.ErrUnknownOutcome)
	}
	return AlreadyDone, nil
}

// ends returns a step's link in the tenant's names.
func (u *run) ends(s plan.Step) (entra.Link, error) {
	if s.Link == nil {
		return entra.Link{}, fmt.Errorf("step %d holds no link", s.Number)
	}
	names := u.names()
	return entra.Link{From: names.now(s.Link.From, s.OfBase), Rel: s.Link.Rel, To: names.now(s.Link.To, s.OfBase)}, nil
}

func (u *run) attach(ctx context.Context, r *catalog.Resource, s plan.Step) (Outcome, error) {
	l, err := u.ends(s)
	if err != nil {
		return Failed, err
	}
	if rel, ok := r.Relation(l.Rel); ok && !rel.Many {
		to, err := u.single(ctx, r, l)
		if err != nil {
			return Failed, err
		}
		if to == l.To.ID {
			return AlreadyDone, nil
		}
		if to != "" && (s.Replaces == nil || s.Replaces.ID != to) {
			return Stale, fmt.Errorf("%s: its %s is another one now: %w", l.From, l.Rel, ErrStale)
		}
	}
	c, err := r.Bind(l)
	if err != nil {
		return Failed, err
	}
	// A link that is there is refused, so asking again is no duplicate.
	return u.again(ctx, []entra.Ref{l.From, l.To}, c, fs.ErrExist)
}

// A bundle is steps that one call carries out.
type bundle struct {
	call  catalog.Call
	steps []plan.Step
}

// bundled puts attachments of one kind to one object together, up to catalog.MaxBind in a call, and returns what is
// left too.
func (u *run) bundled(steps []plan.Step) (bundles []bundle, rest []plan.Step) {
	type kind struct {
		from entra.Ref
		rel  string
	}
	of := map[kind][]plan.Step{}
	to := map[int]entra.Ref{} // by step
	var order []kind
	for _, s := range steps {
		l, err := u.ends(s)
		if s.Action != plan.Attach || err != nil {
			rest = append(rest, s)
			continue
		}
		k := kind{l.From, l.Rel}
		if len(of[k]) == 0 {
			order = append(order, k)
		}
		of[k], to[s.Number] = append(of[k], s), l.To
	}
	for _, k := range order {
		r, ok := catalog.Lookup(k.from.Type)
		for some := range slices.Chunk(of[k], catalog.MaxBind) {
			ends := make([]entra.Ref, len(some))
			for i, s := range some {
				ends[i] = to[s.Number]
			}
			if ok && len(some) > 1 {
				if c, bound := r.BindMany(k.from, k.rel, ends); bound {
					bundles = append(bundles, bundle{c, some})
					continue
				}
			}
			rest = append(rest, some...)
		}
	}
	return bundles, rest
}

// together carries out bundles of attachments and returns the steps that are left. A bundle does all or nothing, and
// is refused where one of the links is there already: its steps are then left to be taken one by one, which tells
// those that are done from those that cannot be.
func (u *run) together(ctx, work context.Context, steps []plan.Step) []plan.Step {
	bundles, rest := u.bundled(steps)
	var g errgroup.Group
	g.SetLimit(u.scale.InFlight())
	for _, b := range bundles {
		g.Go(func() error {
			err := ctx.Err()
			if err == nil {
				_, err = u.call(work, b.call)
			}
			u.mu.Lock()
			defer u.mu.Unlock()
			for _, s := range b.steps {
				if err == nil {
					u.settle(s, Result{Step: s.Number, Outcome: Done})
				} else {
					rest = append(rest, s)
				}
			}
			return nil
		})
	}
	_ = g.Wait() // what was refused is left
	slices.SortFunc(rest, func(a, b plan.Step) int { return cmp.Compare(a.Number, b.Number) })
	return rest
}

// single returns where a relation to one object leads now, "" for nowhere.
func (u *run) single(ctx context.Context, r *catalog.Resource, l entra.Link) (entra.ID, error) {
	c, err := r.Linked(l)
	if err != nil {
		return "", err
	}
	answer, err := u.call(ctx, c)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	m, err := entra.Decode(answer.Body)
	if err != nil {
		return "", err
	}
	id, _ := m["id"].(string)
	return entra.ID(id), nil
}

func (u *run) detach(ctx context.Context, r *catalog.Resource, s plan.Step) (Outcome, error) {
	l, err := u.ends(s)
	if err != nil {
		return Failed, err
	}
	c, err := r.Unbind(l)
	if err != nil {
		return Failed, err
	}
	return u.again(ctx, nil, c, fs.ErrNotExist)
}

// again sends a call that the service refuses with settled where it has nothing left to do, nil for one that it never refuses so,
// and repeats it where the outcome is unknown.
func (u *run) again(ctx context.Context, refs []entra.Ref, c catalog.Call, settled error) (Outcome, error) {
	for try := 0; ; try++ {
		err := u.patient(ctx, refs, func() error {
			_, err := u.call(ctx, c)
			return err
		})
		switch {
		case err == nil && try == 0:
			return Done, nil
		case err == nil, errors.Is(err, settled):
			return AlreadyDone, nil
		case !errors.Is(err, graph.ErrUnknownOutcome) || try == attempts-1:
			return Failed, err
		}
	}
}

func (u *run) delete(ctx context.Context, r *catalog.Resource, s plan.Step) (Outcome, error) {
	r = r.With(s.Asked...)
	ref := u.names().now(s.Ref, s.OfBase)
	u.mu.Lock()
	_, begun := u.open[s.Number]
	u.mu.Unlock()
	for range attempts {
		answer, err := u.ask(ctx, r, ref.ID)
		if errors.Is(err, fs.ErrNotExist) {
			return AlreadyDone, nil
		}
		if err != nil {
			return Failed, err
		}
		o, err := r.Object(answer.Body, r.Parent(ref.ID))
		if errors.Is(err, catalog.ErrNone) {
			return AlreadyDone, nil
		}
		if err != nil {
			return Failed, err
		}
		disarm, err := r.Disarm(o)
		if err != nil {
			return Failed, err
		}
		// Disarming changes the object, so one that an attempt cut off has disarmed is no stranger.
		if o.Version() != s.Version && !(begun && r.Disarms() && len(disarm) == 0) {
			return Stale, fmt.Errorf("%s: it changed: %w", ref, ErrStale)
		}
		begun = true
		switch err = u.all(ctx, r, nil, append(disarm, r.Remove(o))); {
		case err == nil:
			return Done, nil
		case errors.Is(err, fs.ErrNotExist):
			return AlreadyDone, nil
		case !errors.Is(err, graph.ErrUnknownOutcome):
			return Failed, err
		}
	}
	return Failed, fmt.Errorf("%s: whether it was deleted stayed unknown: %w", ref, graph.ErrUnknownOutcome)
}

// pages lists what a call of the catalog asks for.
func (u *run) pages(ctx context.Context, c catalog.Call) iter.Seq2[graph.Page, error] {
	h := http.Header{}
	for name, value := range c.Header {
		h.Set(name, value)
	}
	return u.client.Pages(ctx, graph.Request{Method: c.Method, Version: c.Version, Path: c.Path, Query: c.Query, Header: h})
}
