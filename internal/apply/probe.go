package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// maxProbe bounds how many steps are probed: a rehearsal must not cost what the restore costs.
const maxProbe = 200

// Probe reads from the live tenant, as the identity that would write, what the first steps of a plan are
// about, and returns those that would not succeed. It writes nothing.
func Probe(ctx context.Context, c *graph.Client, p *plan.Plan) ([]Result, error) {
	u := &run{client: c, plan: p, ids: p.IDs, values: p.Values}
	u.learn()
	names := u.names()
	var found []Result
	for _, s := range p.Steps[:min(len(p.Steps), maxProbe)] {
		r, ok := catalog.Lookup(s.Ref.Type)
		if !ok {
			continue
		}
		ref := names.now(s.Ref, s.OfBase)
		var why string
		switch s.Action {
		case plan.Undelete:
			_, err := u.call(ctx, r.Fetch(ref.ID))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				why = err.Error()
			}
			if bin, ok := catalog.Lookup(r.Bin); ok && err != nil {
				if _, err := u.call(ctx, bin.Fetch(ref.ID)); err != nil {
					why = fmt.Sprintf("it is not in the recycle bin: %v", err)
				}
			}
		case plan.Update, plan.Delete:
			if needed(s, p) {
				continue // it does not exist yet
			}
			if _, err := u.fetch(ctx, r, entra.Ref{Type: s.Ref.Type, ID: ref.ID}); err != nil {
				why = err.Error()
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if why != "" {
			found = append(found, Result{Step: s.Number, Outcome: Failed, Error: why})
		}
	}
	return found, nil
}

// needed reports whether a step is about something that an earlier step of the plan makes.
func needed(s plan.Step, p *plan.Plan) bool {
	for _, n := range s.Needs {
		if need := p.Steps[n-1]; need.Ref == s.Ref && (need.Action == plan.Create || need.Action == plan.Undelete) {
			return true
		}
	}
	return false
}
