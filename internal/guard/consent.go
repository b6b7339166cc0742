package guard

import (
	"context"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// consent objects to permissions that reach the directory and are given by a person whose roles do not let them. Where they
// hold a role of the tenant's own making, it may, and the service will say.
func (j *judge) consent(ctx context.Context) error {
	if j.c.Writer.Ref.Type != catalog.UserType {
		return nil
	}
	var steps []int
	for _, s := range j.p.Steps {
		if s.Action != plan.Create {
			continue
		}
		all, err := j.seen(ctx, j.names(s))
		if err != nil {
			return err
		}
		for _, o := range all {
			if a, ok := catalog.Assignment(o); ok {
				reaches, err := j.reaches(ctx, a.Resource)
				if err != nil {
					return err
				}
				if reaches && !slices.Contains(steps, s.Number) {
					steps = append(steps, s.Number)
				}
			}
		}
	}
	if len(steps) == 0 {
		return nil
	}
	held, err := j.was.Held(ctx, j.c.Writer.Ref)
	if err != nil {
		return err
	}
	for _, id := range held {
		if r, ok := j.was.Role(id); !ok || !r.BuiltIn || slices.Contains(catalog.ConsentingRoles, id) || slices.ContainsFunc(catalog.ConsentingRoles, func(c entra.ID) bool { return string(c) == r.Template }) {
			return nil
		}
	}
	j.object(Permission, steps, "%s would carry out the plan, and gives application permissions that reach the directory: for that a person needs the role Global Administrator or Privileged Role Administrator, active now; activate it, or have somebody sign in who holds it", j.called(ctx, j.c.Writer.Ref))
	return nil
}
