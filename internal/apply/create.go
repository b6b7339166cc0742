package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// looks are the waits between the looks for an object that may have been created: lists lag behind writes.
var looks = [...]time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second}

// create creates an object, or adopts the one that an attempt of unknown outcome created.
func (u *run) create(ctx context.Context, r *catalog.Resource, s plan.Step) (Outcome, entra.ID, error) {
	names := u.names()
	set, err := names.translate(s.Ref.Type, s.Set)
	if err != nil {
		return Failed, "", err
	}
	target := names.now(s.Ref, false)
	calls, err := r.Create(target.ID, set, catalog.Fresh{Password: u.o.Password()})
	if err != nil {
		return Failed, "", err
	}
	var refs []entra.Ref
	for _, ref := range catalog.Refs(entra.Object{Ref: target, Body: body(set)}) {
		for _, t := range ref.Types {
			refs = append(refs, entra.Ref{Type: t, ID: ref.ID})
		}
	}
	if u.open[s.Number] {
		if o, ok, err := u.find(ctx, r, target.ID, set); err != nil {
			return Failed, "", err
		} else if ok {
			return u.complete(ctx, s, o, calls[1:], AlreadyDone)
		}
	}
	for range 2 {
		var answer graph.Response
		err := u.patient(ctx, refs, func() (err error) {
			answer, err = u.call(ctx, calls[0])
			return err
		})
		if err == nil {
			o, err := r.Object(answer.Body, parentOf(r, target.ID))
			if err != nil {
				return Failed, "", err
			}
			return u.complete(ctx, s, o, calls[1:], Done)
		}
		if !errors.Is(err, graph.ErrUnknownOutcome) && !errors.Is(err, fs.ErrExist) {
			return Failed, "", err
		}
		o, ok, look := u.find(ctx, r, target.ID, set)
		if look != nil {
			return Failed, "", errors.Join(err, look)
		}
		if ok {
			return u.complete(ctx, s, o, calls[1:], AlreadyDone)
		}
		if errors.Is(err, fs.ErrExist) {
			return Failed, "", err
		}
	}
	return Failed, "", fmt.Errorf("%s: whether it was created stayed unknown: %w", s.Ref, graph.ErrUnknownOutcome)
}

// complete sends what a creation could not hold. made is the new object.
func (u *run) complete(ctx context.Context, s plan.Step, made entra.Object, rest []catalog.Call, outcome Outcome) (Outcome, entra.ID, error) {
	ref := made.Ref
	u.mu.Lock()
	u.made[ref] = true
	for property, was := range s.Values {
		if v, _ := made.Body.Get(property); v != nil {
			u.values[was] = entra.ID(fmt.Sprint(v))
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
	if err := u.all(ctx, ref, rest); err != nil {
		// The object is there: what comes later must find it instead of making another.
		u.mu.Lock()
		u.ids[s.Ref] = ref
		u.mu.Unlock()
		return Failed, ref.ID, fmt.Errorf("%s was created, but not completed: %w", ref, err)
	}
	return outcome, ref.ID, nil
}

func parentOf(r *catalog.Resource, id entra.ID) entra.ID {
	if r.Under == "" {
		return ""
	}
	return id.Split()[0]
}

// find looks for an object that an attempt of unknown outcome may have created: one with every value that
// the attempt sent, which nothing else in this plan is called. Among equals any will do.
func (u *run) find(ctx context.Context, r *catalog.Resource, target entra.ID, set map[string]any) (entra.Object, bool, error) {
	taken := map[entra.Ref]bool{}
	for _, ref := range u.names().refs {
		taken[ref] = true
	}
	for _, wait := range looks {
		if err := pause(ctx, wait); err != nil {
			return entra.Object{}, false, err
		}
		for page, err := range u.pages(ctx, r.Locate(parentOf(r, target), set)) {
			if err != nil {
				return entra.Object{}, false, fmt.Errorf("look for what may have been created: %w", err)
			}
			for _, item := range page.Items {
				o, err := r.Object(item, parentOf(r, target))
				if err != nil {
					return entra.Object{}, false, err
				}
				if !taken[o.Ref] && agrees(r, o, set) {
					return o, true, nil
				}
			}
		}
	}
	return entra.Object{}, false, nil
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
