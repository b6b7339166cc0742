package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/access"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// breakGlass holds that every break-glass account exists, is enabled, and meets no demand that it did not
// meet before.
func (j *judge) breakGlass(ctx context.Context, tight []access.Policy) error {
	accounts := map[entra.Ref]bool{}
	for _, r := range j.c.BreakGlass {
		people, err := j.stands(ctx, r, tight)
		if err != nil {
			return err
		}
		for _, p := range people {
			accounts[p] = true
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(accounts), entra.Ref.Compare) {
		if err := j.reached(ctx, r, tight); err != nil {
			return err
		}
	}
	return nil
}

// stands judges one configured break-glass account or group, and returns the users it means before or after.
func (j *judge) stands(ctx context.Context, r entra.Ref, tight []access.Policy) ([]entra.Ref, error) {
	was, err := j.was.Exists(ctx, r)
	if err != nil {
		return nil, err
	}
	is, err := j.is.Exists(ctx, r)
	if err != nil {
		return nil, err
	}
	name := j.called(ctx, r)
	switch {
	case was == access.Yes && is != access.Yes:
		j.object(LockOut, j.touching(r), "the plan would take away break-glass %s", name)
		if r.Type == catalog.UserType {
			return nil, nil
		}
	case is != access.Yes:
		if len(tight) > 0 {
			reason := "does not exist"
			if is == access.Unknown {
				reason = "was not found in what was read"
			}
			j.object(LockOut, touched(j, tight), "break-glass %s %s, so it is not proven that it keeps access%s", name, reason, j.advice(ctx, r))
		}
		return nil, nil
	}
	if r.Type != catalog.GroupType {
		before, err := j.was.Enabled(ctx, r)
		if err != nil {
			return nil, err
		}
		after, err := j.is.Enabled(ctx, r)
		if err != nil {
			return nil, err
		}
		if before && !after && is == access.Yes {
			j.object(LockOut, j.touching(r), "the plan would disable break-glass account %s", name)
		}
		return []entra.Ref{r}, nil
	}
	people, now := map[entra.Ref]bool{}, 0
	enabled := 0
	for m, err := range j.was.Members(ctx, r) {
		if err != nil {
			return nil, err
		}
		if m.Ref.Type == catalog.UserType {
			people[m.Ref] = true
			on, err := j.was.Enabled(ctx, m.Ref)
			if err != nil {
				return nil, err
			}
			if on {
				enabled++
			}
		}
	}
	for m, err := range j.is.Members(ctx, r) {
		if err != nil {
			return nil, err
		}
		if m.Ref.Type == catalog.UserType {
			people[m.Ref] = true
			on, err := j.is.Enabled(ctx, m.Ref)
			if err != nil {
				return nil, err
			}
			if on {
				now++
			}
		}
	}
	if is == access.Yes && now == 0 && (enabled > 0 || len(tight) > 0) {
		refs := append(slices.Collect(maps.Keys(people)), r)
		for _, p := range tight {
			refs = append(refs, p.Ref)
		}
		j.object(LockOut, j.touching(refs...), "break-glass group %s would have no member who can sign in: restore its members", name)
	}
	dynamic, err := j.turnsDynamic(ctx, r)
	if err != nil {
		return nil, err
	}
	if dynamic {
		j.object(LockOut, j.touching(r), "break-glass group %s would follow a membership rule, so anyone who can edit a user could empty it: keep its membership assigned", name)
	}
	return slices.SortedFunc(maps.Keys(people), entra.Ref.Compare), nil
}

// touched returns the steps that write the policies.
func touched(j *judge, policies []access.Policy) []int {
	refs := make([]entra.Ref, len(policies))
	for i, p := range policies {
		refs[i] = p.Ref
	}
	return j.touching(refs...)
}

// turnsDynamic reports whether a group's members follow a rule, or another rule, only after the plan.
func (j *judge) turnsDynamic(ctx context.Context, r entra.Ref) (bool, error) {
	var groups []catalog.Group
	for _, tree := range []snapshot.Tree{j.base, j.after} {
		o, err := tree.Object(ctx, r)
		if errors.Is(err, fs.ErrNotExist) {
			groups = append(groups, catalog.Group{})
			continue
		}
		if err != nil {
			return false, fmt.Errorf("read %s: %w", r, err)
		}
		g, _ := catalog.GroupOf(o)
		groups = append(groups, g)
	}
	return groups[1].Dynamic && (!groups[0].Dynamic || groups[0].Rule != groups[1].Rule), nil
}

// reached objects where a policy in force reaches a break-glass account that it did not reach before, or asks
// it for more.
func (j *judge) reached(ctx context.Context, r entra.Ref, tight []access.Policy) error {
	there, err := j.is.Exists(ctx, r)
	if err != nil || there != access.Yes {
		return err // that it is gone has been said
	}
	before := map[entra.Ref]access.Reach{}
	known, err := j.was.Exists(ctx, r)
	if err != nil {
		return err
	}
	if known == access.Yes {
		reaches, err := j.was.Reached(ctx, r)
		if err != nil {
			return err
		}
		for _, p := range reaches {
			before[p.Ref] = p
		}
	}
	moved, err := j.moved(ctx)
	if err != nil {
		return err
	}
	reaches, err := j.is.Reached(ctx, r)
	if err != nil {
		return err
	}
	for _, p := range reaches {
		if !p.Blocks() && len(access.Demands(p.AccessPolicy)) == 0 {
			continue // session controls keep nobody out
		}
		if b, ok := before[p.Ref]; ok && (b.Sure || !p.Sure) && !access.Stricter(b.AccessPolicy, p.AccessPolicy) && !moved(p.Policy) {
			continue
		}
		what := "would ask it for " + strings.Join(access.Demands(p.AccessPolicy), " and ")
		if p.Blocks() {
			what = "would block it"
		}
		refs, err := j.circle(ctx, p.Policy)
		if err != nil {
			return err
		}
		steps := j.touching(append(refs, r)...)
		if !p.Sure {
			j.object(LockOut, steps, "break-glass account %s is not proven to be outside policy %q, which %s: %s is not known", j.called(ctx, r), p.Name, what, p.Why)
			continue
		}
		j.object(LockOut, steps, "policy %q would reach break-glass account %s and %s: exclude it, or restore the group that does", p.Name, j.called(ctx, r), what)
	}
	return nil
}

// circle returns a policy and everything it refers to, before and after.
func (j *judge) circle(ctx context.Context, p access.Policy) ([]entra.Ref, error) {
	refs := []entra.Ref{p.Ref}
	all, err := j.seen(ctx, refs)
	for _, o := range all {
		for _, f := range catalog.Refs(o) {
			for _, t := range f.Types {
				refs = append(refs, entra.Ref{Type: t, ID: f.ID})
			}
		}
	}
	if has(slices.Concat(p.Locations.Include, p.Locations.Exclude), "AllTrusted") {
		for _, v := range []*access.View{j.was, j.is} {
			for id := range v.Places() {
				refs = append(refs, entra.Ref{Type: catalog.LocationType, ID: id})
			}
		}
	}
	return refs, err
}
