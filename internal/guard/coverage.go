package guard

import (
	"context"
	"fmt"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/access"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// coverage objects to steps that could shut somebody out where what decides about it was not read whole.
func (j *judge) coverage(ctx context.Context) error {
	unread := j.was.Unread()
	named, err := j.named(ctx)
	if err != nil {
		return err
	}
	var deciding, methods []int
	for _, s := range j.p.Steps {
		if methodType(s.Ref.Type) {
			methods = append(methods, s.Number)
			if p := j.base.Snapshot().Part(s.Ref.Type, ""); p.Coverage != snapshot.Complete && !slices.ContainsFunc(unread, func(u snapshot.Part) bool { return u.Type == p.Type }) {
				unread = append(unread, p)
			}
			continue
		}
		matters, err := j.matters(ctx, s, named)
		if err != nil {
			return err
		}
		if matters {
			deciding = append(deciding, s.Number)
		}
	}
	for _, p := range unread {
		steps := deciding
		if methodType(p.Type) {
			steps = methods
		}
		if len(steps) == 0 {
			continue
		}
		what := string(p.Type)
		if r, ok := catalog.Lookup(p.Type); ok {
			what = r.Title
		}
		if p.Relation != "" {
			what += ", " + p.Relation
		}
		why := p.Coverage.String()
		if p.Reason != "" {
			why += ": " + p.Reason
		}
		j.object(Coverage, slices.Clone(steps), "could not be judged: %s were not read whole (%s): capture them again", what, why)
	}
	members := j.base.Snapshot().Part(catalog.GroupType, catalog.Members)
	for _, r := range j.c.BreakGlass {
		if len(deciding) > 0 && members.Hole(r) {
			j.object(Coverage, slices.Clone(deciding), "could not be judged: who is in break-glass group %s was not read: capture it again", j.called(ctx, r))
		}
	}
	return nil
}

// named returns the objects that decide about access by who they are: those that policies refer to, that
// hold a role, that are break-glass or carry out the plan.
func (j *judge) named(ctx context.Context) (map[entra.Ref]bool, error) {
	all := map[entra.Ref]bool{j.c.Writer.Ref: true}
	for _, r := range j.c.BreakGlass {
		all[r] = true
	}
	for _, side := range []struct {
		view *access.View
		tree snapshot.Tree
	}{{j.was, j.base}, {j.is, j.after}} {
		for _, p := range side.view.Policies() {
			o, err := side.tree.Object(ctx, p.Ref)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", p.Ref, err)
			}
			for _, f := range catalog.Refs(o) {
				for _, t := range f.Types {
					all[entra.Ref{Type: t, ID: f.ID}] = true
				}
			}
		}
		for h, err := range side.view.Holders(ctx, access.GlobalAdministrator) {
			if err != nil {
				return nil, err
			}
			all[h.Principal] = true
		}
	}
	return all, nil
}

// matters reports whether a step could decide about somebody's access.
func (j *judge) matters(ctx context.Context, s plan.Step, named map[entra.Ref]bool) (bool, error) {
	refs := j.names(s)
	if s.Link != nil {
		if s.Link.Rel != catalog.Members || s.Link.From.Type != catalog.GroupType {
			return false, nil
		}
		refs = j.both(s.Link.From, s.OfBase)
	}
	if s.Action == plan.Issue {
		return true, nil // whoever holds the secret acts as the object, with all that it may
	}
	switch refs[0].Type {
	case catalog.PolicyType, catalog.LocationType, catalog.StrengthType, catalog.RoleType:
		return true, nil
	case catalog.GroupType:
		if s.Action == plan.Create || s.Action == plan.Undelete || s.Action == plan.Update && !empowers(s.Set) {
			return false, nil
		}
	case catalog.UserType, catalog.ServicePrincipalType:
		if s.Action != plan.Delete && !(s.Action == plan.Update && empowers(s.Set)) {
			return false, nil
		}
	default:
		all, err := j.seen(ctx, refs)
		for _, o := range all {
			_, held := catalog.RoleHeld(o)
			_, defaults := catalog.SecurityDefaults(o)
			if held || defaults {
				return true, nil
			}
		}
		return false, err
	}
	// A person or a group decides only where something names it; where that was not read, it may.
	if !j.was.Known(catalog.PolicyType, "") {
		return true, nil
	}
	for _, r := range refs {
		if named[r] {
			return true, nil
		}
		for over := range named {
			if over.Type != catalog.GroupType {
				continue
			}
			in, err := j.was.Inside(ctx, r, over)
			if err != nil || in == access.Yes {
				return in == access.Yes, err
			}
		}
	}
	return false, nil
}
