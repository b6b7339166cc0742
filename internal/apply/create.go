package apply

import (
	"bytes"
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
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// lag is how long a list may lack an object that was created. Microsoft Graph documentation promises no time;
// seconds are usual.
const lag = 30 * time.Second

// doubtful reports whether a refused or lost creation may have happened all the same: nobody knows, or something
// that bears its key is there.
func doubtful(err error) bool {
	return errors.Is(err, graph.ErrUnknownOutcome) || errors.Is(err, fs.ErrExist)
}

// create creates an object. One whose creation is open is looked for first, and adopted.
func (u *run) create(ctx context.Context, r *catalog.Resource, s plan.Step) (Outcome, entra.ID, error) {
	names := u.names()
	set, err := names.translate(s.Ref.Type, s.Set)
	if err != nil {
		return Failed, "", err
	}
	r = r.With(slices.Collect(maps.Keys(set))...)
	target := names.now(s.Ref, false)
	var fresh catalog.Fresh
	if r.Fresh() {
		var ok bool
		if fresh.Password, ok = u.o.Password(s); !ok {
			return NotRun, "", errors.New("its new password is to be handed out, and there is nowhere to; the same command with --new-secrets FILE continues")
		}
	}
	calls, err := r.Create(target.ID, set, fresh)
	if err != nil {
		return Failed, "", err
	}
	refs := named(target, set)
	if parent := r.Parent(target.ID); parent != "" {
		refs = append(refs, entra.Ref{Type: r.Under, ID: parent})
	}
	post := func() (Outcome, entra.ID, error) {
		var answer graph.Response
		err := u.patient(ctx, refs, func() (err error) {
			answer, err = u.call(ctx, calls[0])
			return err
		})
		if err != nil {
			return Failed, "", err
		}
		if why := r.Fails(answer.Body); why != "" {
			return Failed, "", errors.New(why)
		}
		// What is not written at its own path has an ID that only a list tells, where the answer is no object.
		if r.Requests != "" || len(answer.Body) == 0 && calls[0].Method == http.MethodPost && r.Chosen == "" && !r.One {
			o, ok, err := u.find(ctx, r, s, set, refs, u.o.Now())
			if err == nil && !ok {
				err = errors.New("the service took the request and has not carried it out yet")
			}
			if err != nil {
				return Failed, "", fmt.Errorf("%w: %w", err, graph.ErrUnknownOutcome)
			}
			return u.complete(ctx, r, s, o, calls[1:], Done)
		}
		var o entra.Object
		if len(answer.Body) == 0 { // what is written at its own path is there, under the ID that was asked for
			u.mu.Lock()
			u.made[target] = true
			u.mu.Unlock()
			o, err = u.fetch(ctx, r, target)
		} else {
			o, err = r.Object(answer.Body, r.Parent(target.ID))
		}
		if err != nil {
			return Failed, "", fmt.Errorf("%w: %w", err, graph.ErrUnknownOutcome) // it was created, as what cannot be told
		}
		return u.complete(ctx, r, s, o, calls[1:], Done)
	}
	u.mu.Lock()
	since, open := u.open[s.Number]
	id, begun := u.begun[s.Number]
	u.mu.Unlock()
	if begun {
		o, err := u.fetch(ctx, r, entra.Ref{Type: s.Ref.Type, ID: id})
		if err == nil {
			return u.adopt(ctx, r, s, o, set, calls[1:], Done)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return Failed, id, err
		}
		return Failed, "", fmt.Errorf("%s was created before and has gone: %w", entra.Ref{Type: s.Ref.Type, ID: id}, ErrStale)
	}
	if !open {
		if o, ok, err := u.cameBack(ctx, r, s, target); ok || err != nil {
			if err != nil {
				return Failed, "", err
			}
			return u.adopt(ctx, r, s, o, set, calls[1:], AlreadyDone)
		}
		return post()
	}
	// The second look is for what the second attempt may have created.
	for try := range 2 {
		o, ok, err := u.find(ctx, r, s, set, refs, since)
		if err != nil {
			return Failed, "", fmt.Errorf("look for what may have been created: %w: %w", err, graph.ErrUnknownOutcome)
		}
		if ok {
			return u.adopt(ctx, r, s, o, set, calls[1:], AlreadyDone)
		}
		if try == 0 {
			outcome, id, err := post()
			if err == nil || id != "" || !errors.Is(err, graph.ErrUnknownOutcome) {
				return outcome, id, err
			}
			since = u.o.Now()
		}
	}
	return Failed, "", fmt.Errorf("%s: whether it was created stayed unknown: %w", s.Ref, graph.ErrUnknownOutcome)
}

// cameBack looks for what came out of the recycle bin with what contains it, under the ID it had: the service may keep
// several that are alike, and then takes a second one. What does nothing but relate others it keeps once.
func (u *run) cameBack(ctx context.Context, r *catalog.Resource, s plan.Step, target entra.Ref) (entra.Object, bool, error) {
	in, ok := catalog.Container(target)
	if !ok || target != s.Ref || r.Relates() || !u.young([]entra.Ref{in}) {
		return entra.Object{}, false, nil
	}
	if r.One {
		o, err := u.fetch(ctx, r, target)
		if errors.Is(err, fs.ErrNotExist) {
			return o, false, nil
		}
		return o, err == nil, err
	}
	var found []entra.Object
	err := u.patient(ctx, []entra.Ref{in}, func() (err error) {
		found, err = u.look(ctx, r, in.ID, nil, func(o entra.Object) bool { return o.Ref == target })
		return err
	})
	if err != nil || len(found) == 0 {
		return entra.Object{}, false, err
	}
	return found[0], true, nil
}

// adopt takes an object that is there for the one that a creation was to make. What comes back by itself with another
// does so as it was then: what differs from the wanted values is updated.
func (u *run) adopt(ctx context.Context, r *catalog.Resource, s plan.Step, o entra.Object, set map[string]any, rest []catalog.Call, outcome Outcome) (Outcome, entra.ID, error) {
	if (r.Relates() || o.Ref == s.Ref) && !agrees(r, o, set) {
		is, differ := o.Body.Decode(), map[string]any{}
		for property, want := range set {
			if !same(is[property], want) {
				differ[property] = want
			}
		}
		calls, err := r.Update(o.Ref.ID, differ, is)
		if err != nil {
			return Failed, "", fmt.Errorf("%s is there with other values: %w", o.Ref, err)
		}
		rest, outcome = calls, Done
	}
	return u.complete(ctx, r, s, o, rest, outcome)
}

// complete sends what a creation could not hold. made is the new object.
func (u *run) complete(ctx context.Context, r *catalog.Resource, s plan.Step, made entra.Object, rest []catalog.Call, outcome Outcome) (Outcome, entra.ID, error) {
	ref := made.Ref
	u.mu.Lock()
	u.made[ref] = true
	for _, property := range catalog.Naming(ref.Type) {
		if v, _ := made.Body.Get(property); v != nil {
			u.coined[entra.ID(fmt.Sprint(v))] = true
		}
	}
	for property, was := range s.Values {
		if v, _ := made.Body.Get(property); v != nil {
			now := entra.ID(fmt.Sprint(v))
			u.values[was], u.coined[now] = now, true
		}
	}
	u.mu.Unlock()
	own := ref.ID.Split()
	appID, _ := made.Body.Get("appId")
	for i := range rest {
		rest[i].Path = strings.ReplaceAll(rest[i].Path, "{id}", string(own[len(own)-1]))
		if text, ok := appID.(string); ok {
			rest[i].Body = bytes.ReplaceAll(rest[i].Body, []byte("{appId}"), []byte(text))
		}
	}
	var err error
	for range 3 { // what completes an object sets values, and can be said again
		if err = u.all(ctx, r, []entra.Ref{ref}, rest); !errors.Is(err, graph.ErrUnknownOutcome) {
			break
		}
	}
	if err != nil {
		// The object is there: what comes later must find it instead of making another.
		u.mu.Lock()
		u.ids[s.Ref] = ref
		u.mu.Unlock()
		return Failed, ref.ID, fmt.Errorf("%s was created, but not completed: %w", ref, err)
	}
	return outcome, ref.ID, nil
}

// find looks for an object that an attempt of unknown outcome, made at since, may have created: one with every
// value that the attempt sent, which base did not have and nothing else in this plan is called. Among equals any
// will do, as long as there are no more of them than this plan may have created. What relates objects that this
// plan brought back came with them whatever its values, if it relates the same. refs are what the creation names.
func (u *run) find(ctx context.Context, r *catalog.Resource, s plan.Step, set map[string]any, refs []entra.Ref, since time.Time) (entra.Object, bool, error) {
	fits := func(o entra.Object) bool { return agrees(r, o, set) }
	if r.Relates() && u.young(refs) {
		key := map[string]any{}
		for _, property := range r.Match {
			key[property] = set[property]
		}
		fits = func(o entra.Object) bool { return agrees(r, o, key) }
	}
	parent := r.Parent(u.names().now(s.Ref, false).ID)
	left := min(lag, max(0, lag-u.o.Now().Sub(since)))
	for wait := time.Second; ; wait = min(2*wait, 8*time.Second) {
		var found []entra.Object
		err := u.patient(ctx, refs, func() (err error) { // what contains it may be as new
			found, err = u.look(ctx, r, parent, set, fits)
			return err
		})
		if err != nil {
			return entra.Object{}, false, err
		}
		if len(found) > 0 {
			if n := u.alike(s, set); len(found) > n {
				return entra.Object{}, false, fmt.Errorf("%d objects are as %s was to be, and this restore can have created %d of them; %s is one", len(found), s.Ref, n, found[0].Ref)
			}
			return found[0], true, nil
		}
		if left <= 0 {
			return entra.Object{}, false, nil
		}
		wait = min(wait, left)
		if err := pause(ctx, wait); err != nil {
			return entra.Object{}, false, err
		}
		left -= wait
	}
}

// look lists what a creation with these values may have made, if it fits, ascending by ID.
func (u *run) look(ctx context.Context, r *catalog.Resource, parent entra.ID, set map[string]any, fits func(entra.Object) bool) ([]entra.Object, error) {
	taken := map[entra.Ref]bool{}
	u.mu.Lock()
	for _, ref := range u.ids { // those of this wave too
		taken[ref] = true
	}
	u.mu.Unlock()
	found := map[entra.Ref]entra.Object{}
	consider := func(item []byte) error {
		o, err := r.Object(item, parent)
		if err != nil || taken[o.Ref] {
			return err
		}
		if r.Each {
			if o, err = u.fetch(ctx, r, o.Ref); errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if !fits(o) {
			return nil
		}
		existed, err := u.o.Existed(ctx, o.Ref)
		if err == nil && !existed {
			found[o.Ref] = o
		}
		return err
	}
	if r.One { // its list is itself
		answer, err := u.call(ctx, r.Listing(parent))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err == nil {
			err = consider(answer.Body)
		}
		return slices.Collect(maps.Values(found)), err
	}
	for page, err := range u.pages(ctx, r.Locate(parent, set)) {
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			if err := consider(item); err != nil {
				return nil, err
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b entra.Object) int { return a.Ref.Compare(b.Ref) }), nil
}

// alike counts the open creations of this plan that sent the same values as s, which is one of them.
func (u *run) alike(s plan.Step, set map[string]any) (n int) {
	names := u.names()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, other := range u.plan.Steps {
		_, settled := u.results[other.Number]
		_, open := u.open[other.Number]
		if other.Action != plan.Create || other.Ref.Type != s.Ref.Type || settled || !open {
			continue
		}
		if its, err := names.translate(other.Ref.Type, other.Set); err == nil && same(its, set) {
			n++
		}
	}
	return n
}

// agrees reports whether an object has the values a creation sent, as far as the service gives them back.
func agrees(r *catalog.Resource, o entra.Object, set map[string]any) bool {
	is := o.Body.Decode()
	for path, want := range set {
		p, ok := r.Property(path)
		if !ok || p.Secret || p.Omit || p.Write == catalog.ByAction || p.Write == catalog.OnUpdate || p.Group != "" {
			continue
		}
		if have, _ := entra.Get(is, path); !same(have, want) {
			return false
		}
	}
	return true
}

// body makes a body of values by path.
func body(set map[string]any) entra.Body {
	nested := map[string]any{}
	for path, v := range set {
		if v != nil {
			entra.Set(nested, path, v)
		}
	}
	b, err := entra.Encode(nested)
	if err != nil {
		return "{}"
	}
	return b
}
