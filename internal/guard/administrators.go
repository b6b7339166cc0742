package guard

import (
	"context"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/access"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// administrators holds that a Global Administrator remains who can get in.
func (j *judge) administrators(ctx context.Context, tight []access.Policy) error {
	was, err := j.was.Administrators(ctx)
	if err != nil {
		return err
	}
	is, err := j.is.Administrators(ctx)
	if err != nil {
		return err
	}
	if len(is) == 0 {
		if len(was) > 0 {
			steps, err := j.from(ctx, was)
			if err != nil {
				return err
			}
			j.object(LockOut, steps, "no enabled user would be Global Administrator any more: keep or restore one")
		}
		return nil
	}
	if len(j.c.BreakGlass) > 0 || len(tight) == 0 {
		return nil
	}
	newly := false
	for _, r := range is {
		after, err := shut(ctx, j.is, r, true)
		if err != nil || !after {
			return err
		}
		before, err := shut(ctx, j.was, r, true)
		if err != nil {
			return err
		}
		newly = newly || !before
	}
	if newly {
		j.object(LockOut, touched(j, tight), "no Global Administrator could be proven to get past the policies in force: exclude one, or name break-glass accounts in the configuration")
	}
	return nil
}

// returning finds what brings administrators back.
func (j *judge) returning(ctx context.Context) ([][]int, error) {
	had := map[entra.Ref]bool{}
	for h, err := range j.was.Privileged(ctx) {
		if err != nil {
			return nil, err
		}
		had[h.Principal] = true
	}
	var all [][]int
	for h, err := range j.is.Privileged(ctx) {
		if err != nil {
			return nil, err
		}
		if had[h.Principal] {
			continue
		}
		steps, err := j.way(ctx, append(h.Path, h.Principal))
		if err != nil {
			return nil, err
		}
		if len(steps) > 0 {
			all = append(all, steps)
		}
	}
	return all, nil
}

// way returns the steps that make the chain from a role to a person: the objects in it, what puts one into the other,
// what gives them roles, and all that those steps need.
func (j *judge) way(ctx context.Context, chain []entra.Ref) ([]int, error) {
	in := func(r entra.Ref, ofBase bool) bool {
		return slices.ContainsFunc(j.both(r, ofBase), func(r entra.Ref) bool { return slices.Contains(chain, r) })
	}
	taken := map[int]bool{}
	var take func(n int)
	take = func(n int) {
		if taken[n] {
			return
		}
		taken[n] = true
		for _, need := range j.p.Steps[n-1].Needs {
			take(need)
		}
	}
	for _, s := range j.p.Steps {
		_, held := catalog.RoleHeld(entra.Object{Ref: s.Ref})
		switch {
		case s.Action == plan.Delete || s.Action == plan.Detach:
		case s.Link != nil:
			if s.Link.Rel == catalog.Members && in(s.Link.From, s.OfBase) && in(s.Link.To, s.OfBase) {
				take(s.Number)
			}
		case held:
			all, err := j.seen(ctx, j.names(s))
			if err != nil {
				return nil, err
			}
			for _, o := range all {
				if h, _ := catalog.RoleHeld(o); slices.ContainsFunc(chain, func(r entra.Ref) bool { return r.ID == h.Principal }) {
					take(s.Number)
				}
			}
		case in(s.Ref, s.OfBase):
			take(s.Number)
		}
	}
	return slices.Sorted(maps.Keys(taken)), nil
}

// from returns the steps that write the people, or role assignments, or groups between them.
func (j *judge) from(ctx context.Context, people []entra.Ref) ([]int, error) {
	steps := j.touching(people...)
	for _, s := range j.p.Steps {
		all, err := j.seen(ctx, j.names(s))
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			h, ok := catalog.RoleHeld(o)
			g, group := catalog.GroupOf(o)
			if (ok && j.global(h.Role) || group && g.Assignable) && !slices.Contains(steps, s.Number) {
				steps = append(steps, s.Number)
			}
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// global reports whether a role is Global Administrator.
func (j *judge) global(role entra.ID) bool {
	r, ok := j.was.Role(role)
	return role == access.GlobalAdministrator || ok && r.Template == string(access.GlobalAdministrator)
}

// maxPlaces bounds from how many named locations a sign-in is tried.
const maxPlaces = 200

// shut reports whether someone is not proven to get in from anywhere, in an ordinary sign-in or, with
// portals, to what administers the tenant.
func shut(ctx context.Context, v *access.View, r entra.Ref, portals bool) (bool, error) {
	apps := []string{""}
	if portals {
		apps = append(apps, "MicrosoftAdminPortals")
	}
	places := append([]entra.ID{""}, slices.Sorted(maps.Keys(v.Places()))...)
	for _, at := range places[:min(len(places), maxPlaces)] {
		open := true
		for _, app := range apps {
			d, err := v.Verdict(ctx, r, access.Where{App: app, Place: at})
			if err != nil {
				return false, err
			}
			open = open && !d.Blocked && !d.MayBlock
		}
		if open {
			return false, nil
		}
	}
	return true, nil
}

// writer holds that the identity that carries out the plan is not shut out half-way.
func (j *judge) writer(ctx context.Context, tight []access.Policy) error {
	r := j.c.Writer.Ref
	if r == (entra.Ref{}) {
		return nil
	}
	was, err := j.was.Exists(ctx, r)
	if err != nil || was != access.Yes {
		return err
	}
	is, err := j.is.Exists(ctx, r)
	if err != nil {
		return err
	}
	if is != access.Yes {
		j.object(LockOut, j.touching(r), "the plan would delete %s, which is to carry it out", j.called(ctx, r))
		return nil
	}
	before, err := j.was.Enabled(ctx, r)
	if err != nil {
		return err
	}
	after, err := j.is.Enabled(ctx, r)
	if err != nil {
		return err
	}
	if before && !after {
		j.object(LockOut, j.touching(r), "the plan would disable %s, which is to carry it out", j.called(ctx, r))
	}
	if len(tight) > 0 {
		now, err := shut(ctx, j.is, r, false)
		if err != nil {
			return err
		}
		if now {
			before, err := shut(ctx, j.was, r, false)
			if err != nil {
				return err
			}
			if !before {
				j.object(LockOut, touched(j, tight), "the policies in force could block %s, which is to carry out the plan: exclude it", j.called(ctx, r))
			}
		}
	}
	for _, s := range j.p.Steps {
		if s.Action != plan.Delete {
			continue
		}
		all, err := j.seen(ctx, j.names(s))
		if err != nil {
			return err
		}
		for _, o := range all {
			if a, ok := catalog.Assignment(o); ok && a.Principal == r.ID {
				j.object(LockOut, []int{s.Number}, "the plan would take a permission from %s, which is to carry it out", j.called(ctx, r))
			}
			if h, ok := catalog.RoleHeld(o); ok && h.Principal == r.ID {
				j.object(LockOut, []int{s.Number}, "the plan would take a role from %s, which is to carry it out", j.called(ctx, r))
			}
		}
	}
	return nil
}
