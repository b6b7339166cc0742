package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/merge"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// most is how many changes are taken back with a reading of what they touch; for more the whole tenant is read.
const most = 50_000

// reach says what has to be read for a plan with this scope, or to what is made of something else; nil is the whole tenant.
func (s *session) reach(ctx context.Context, scope plan.Scope, goal *snapshot.Snapshot, of making, writer guard.Writer) (*plan.Reach, error) {
	u := of.Undo
	latest, err := s.index.Latest(ctx)
	if errors.Is(err, fs.ErrNotExist) || of.Move != nil || u == nil && of.Contain == nil && len(scope.Refs) == 0 {
		return nil, nil //nolint:nilnil // everything is an answer
	}
	if err != nil {
		return nil, err
	}
	tree, err := s.index.Tree(ctx, s.repo, latest.Number)
	if err != nil {
		return nil, err
	}
	aliases, err := s.index.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	if of.Contain != nil {
		if scope.Refs, err = of.Contain.around(ctx, tree); err != nil {
			return nil, err
		}
	}
	var r plan.Reach
	if u != nil {
		changed, all, err := s.changed(ctx, u)
		if err != nil || !all {
			return nil, err
		}
		if r, err = plan.Guarded(ctx, changed.Named(aliases), tree); err != nil {
			return nil, err
		}
	} else {
		goalTree, err := s.index.Tree(ctx, s.repo, goal.Number)
		if err != nil {
			return nil, err
		}
		if r, err = plan.Around(ctx, scope.Refs, aliases, goalTree, tree); err != nil {
			return nil, err
		}
	}
	// Guard judges by who these are and what they are in.
	protected := plan.Reach{}
	for _, text := range s.settings.Guard.BreakGlass {
		ref, err := entra.ParseRef(text)
		if err != nil {
			return nil, err
		}
		protected.Around = append(protected.Around, entra.Object{Ref: ref})
		protected.Inside = append(protected.Inside, ref)
	}
	if writer.Ref != (entra.Ref{}) {
		protected.Around = append(protected.Around, entra.Object{Ref: writer.Ref})
	}
	r = r.Add(protected)
	return &r, nil
}

// changed returns what the changes that u takes back are about. It reports false where they are too many to be read
// one by one.
func (s *session) changed(ctx context.Context, u *undoing) (r plan.Reach, all bool, err error) {
	from, to, q, err := s.undoRequest(ctx, u)
	if err != nil {
		return r, false, err
	}
	n := 0
	for c, err := range merge.Changes(ctx, from, to, q) {
		if err != nil {
			return r, false, err
		}
		if n++; n > most {
			return r, false, nil
		}
		switch {
		case c.IsLink():
			r.Links = append(r.Links, c.Link)
			r.Refs = append(r.Refs, c.Link.From, c.Link.To)
		case c.Kind == diff.Removed:
			r.Around = append(r.Around, *c.Before)
		default:
			r.Refs = append(r.Refs, c.Ref)
		}
		for _, o := range []*entra.Object{c.Before, c.After} {
			if o == nil {
				continue
			}
			named := plan.Named(*o)
			r.Refs = append(r.Refs, named...)
			if plan.Guards(o.Ref.Type) {
				r.Inside = append(r.Inside, named...)
			}
		}
	}
	return r, true, nil
}

// written adds what a report says was written under new IDs, and what its steps are about.
func (x *proposal) written(ids map[entra.Ref]entra.Ref) *plan.Reach {
	if x.reach == nil {
		return nil
	}
	more := plan.Reach{}
	for _, t := range x.plan.Steps {
		switch {
		case t.Action == plan.Create && catalog.Defines(t.Ref.Type):
			return nil // objects have properties that nobody has asked for yet
		case t.Link != nil:
			more.Links = append(more.Links, *t.Link)
		case t.Action == plan.Create || t.Action == plan.Undelete:
			more.Around = append(more.Around, entra.Object{Ref: t.Ref})
		default:
			more.Refs = append(more.Refs, t.Ref)
		}
	}
	all := maps.Clone(x.plan.IDs)
	if all == nil {
		all = map[entra.Ref]entra.Ref{}
	}
	maps.Copy(all, ids)
	r := x.reach.Add(more.Named(all))
	return &r
}

// proposed captures what the plan may depend on, has it made, and captures more where it turns out to depend on more.
// With a nil reach the whole tenant is read.
func (s *session) proposed(ctx context.Context, reach *plan.Reach, propose func(base *snapshot.Snapshot) (*proposal, error)) (*proposal, error) {
	for {
		base, err := s.captured(ctx, nil, capture.Options{Now: true, Target: s.target(ctx, reach, true)})
		if err != nil {
			return nil, err
		}
		if reach != nil && faulty(base) {
			reach = nil // asked for by itself it could not be read; a listing may show it
			continue
		}
		x, err := propose(base)
		if err != nil {
			return nil, err
		}
		x.reach = reach
		if reach == nil || x.plan.Unread.Empty() || hopeless(base, x.plan.Unread) {
			return x, nil
		}
		more := reach.Add(x.plan.Unread)
		if more.Size() == reach.Size() {
			reach = nil
			continue
		}
		reach = &more
	}
}

// faulty reports whether something could not be read that is not refused to this identity.
func faulty(base *snapshot.Snapshot) bool {
	return slices.ContainsFunc(base.Parts, func(p snapshot.Part) bool {
		return p.Coverage == snapshot.Partial || p.Coverage == snapshot.Failed
	})
}

// hopeless reports whether what is not known is refused to this identity, or not there to be read, so that reading
// the whole tenant tells no more.
func hopeless(base *snapshot.Snapshot, unread plan.Reach) bool {
	known := func(t entra.Type, rel string) bool {
		switch base.Part(t, rel).Coverage {
		case snapshot.Denied, snapshot.Unlicensed, snapshot.Unsupported, snapshot.Skipped:
			return false
		}
		return true
	}
	return !slices.ContainsFunc(unread.Around, func(o entra.Object) bool { return known(o.Ref.Type, "") }) &&
		!slices.ContainsFunc(unread.Refs, func(r entra.Ref) bool { return known(r.Type, "") }) &&
		!slices.ContainsFunc(unread.Links, func(l entra.Link) bool { return known(l.From.Type, l.Rel) })
}

// target turns a reach into what a capture is to go after, and says so. For guard it is to see all that decides who
// gets in.
func (s *session) target(ctx context.Context, r *plan.Reach, guarded bool) *capture.Target {
	if r == nil {
		return nil
	}
	if latest, err := s.index.Latest(ctx); err == nil {
		fmt.Fprintf(s.err, "tidemark: reading what this may touch; everything else is as snapshot %d has it (--full reads all)\n", latest.Number)
	}
	return &capture.Target{Judged: guarded, Around: r.Around, Inside: r.Inside, Refs: r.Refs, Links: r.Links}
}
