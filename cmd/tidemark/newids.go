package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A newIDDoc is an object that a restore made anew, and who outside of the directory may know the old one.
type newIDDoc struct {
	Restore int64      `json:"restore"`
	Type    entra.Type `json:"type"`
	Name    string     `json:"name"`
	ID      entra.ID   `json:"id"`    // that it had
	NewID   entra.ID   `json:"newId"` // that it has
	// Values are what else named it and is another now, such as an appId, by property.
	Values map[string]newValueDoc `json:"values,omitempty"`
	// Abroad says who may hold the old ID; "" where nobody is known to.
	Abroad string `json:"abroad,omitempty"`
}

type newValueDoc struct {
	Before entra.ID `json:"before"`
	After  entra.ID `json:"after"`
}

func newIDsCommand(e *env) *cobra.Command {
	var only int64
	var all bool
	c := &cobra.Command{
		Use:   "ids",
		Short: "Every object that a restore made anew, its old and its new ID, and who outside may hold the old one",
		Long: `An object that was purged comes back with a new ID. Inside of the tenant the restore has put the new one in the place of
the old. What is outside of it, such as role assignments in Azure, still names the old one: this is the list to go through.
Objects that nobody outside is known to name, such as memberships of roles, are left out without --all.`,
		Example: "  tidemark report ids --restore 7\n  tidemark report ids -o csv > ids.csv",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			docs, err := s.newIDs(c.Context(), only, all)
			if err != nil {
				return err
			}
			r := result{doc: docs, head: []string{"RESTORE", "TYPE", "NAME", "OLD", "NEW", "MAY HOLD THE OLD ONE"}}
			for _, d := range docs {
				r.rows = append(r.rows, d)
			}
			r.cells = func(yield func([]string)) {
				for _, d := range docs {
					was, is := []string{string(d.ID)}, []string{string(d.NewID)}
					for _, property := range slices.Sorted(maps.Keys(d.Values)) {
						was, is = append(was, property+" "+string(d.Values[property].Before)), append(is, property+" "+string(d.Values[property].After))
					}
					yield([]string{strconv.FormatInt(d.Restore, 10), string(d.Type), d.Name, strings.Join(was, "\n"), strings.Join(is, "\n"), d.Abroad})
				}
			}
			return s.print(s.unlessEmpty(len(docs), "no restore gave an object another ID\n", r))
		},
	}
	c.Flags().Int64Var(&only, "restore", 0, "of this restore alone")
	c.Flags().BoolVar(&all, "all", false, "also those that nobody outside of the directory is known to name")
	return c
}

// newIDs returns what restores made anew, the newest restore first, and within it what is known outside before the rest.
func (s *session) newIDs(ctx context.Context, only int64, all bool) ([]newIDDoc, error) {
	plans, err := s.index.Records(ctx, repository.KindPlan)
	if err != nil {
		return nil, err
	}
	outcomes, err := s.index.Records(ctx, repository.KindOutcomes)
	if err != nil {
		return nil, err
	}
	docs := []newIDDoc{}
	known := only == 0
	for _, rec := range slices.Backward(plans) {
		if only != 0 && rec.Number != only {
			continue
		}
		known = true
		some, err := s.newIDsOf(ctx, rec, slices.DeleteFunc(slices.Clone(outcomes), func(o repository.Record) bool { return o.Parent != rec.Number }), all)
		if err != nil {
			return nil, fmt.Errorf("restore %d: %w", rec.Number, err)
		}
		docs = append(docs, some...)
	}
	if !known {
		return nil, usage("--restore %d: there is no restore of that number; tidemark snapshots shows them", only)
	}
	return docs, nil
}

// newIDsOf returns what one restore made anew.
func (s *session) newIDsOf(ctx context.Context, rec repository.Record, outcomes []repository.Record, all bool) ([]newIDDoc, error) {
	ids, values := map[entra.Ref]entra.Ref{}, map[entra.ID]entra.ID{}
	for _, out := range outcomes {
		data, err := s.repo.Data(ctx, out)
		if err != nil {
			return nil, err
		}
		var o struct {
			IDs    map[entra.Ref]entra.Ref `json:"ids"`
			Values map[entra.ID]entra.ID   `json:"values"`
		}
		if err := json.Unmarshal(data, &o); err != nil {
			return nil, fmt.Errorf("record %d: %w", out.Number, err)
		}
		maps.Copy(ids, o.IDs)
		maps.Copy(values, o.Values)
	}
	k, p, err := s.keptPlan(ctx, rec)
	if err != nil {
		return nil, err
	}
	goal, err := s.goalNumbered(ctx, k.making, k.Goal)
	if err != nil {
		return nil, err
	}
	called := s.namesOf(ctx, k.making, goal)
	var docs []newIDDoc
	for _, t := range p.Steps {
		now, ok := ids[t.Ref]
		r, known := catalog.Lookup(t.Ref.Type)
		if t.Action != plan.Create || !ok || now == t.Ref || !known || r.Abroad == "" && !all {
			continue
		}
		d := newIDDoc{Restore: rec.Number, Type: t.Ref.Type, Name: stepName(t, called), ID: t.Ref.ID, NewID: now.ID, Abroad: r.Abroad}
		for property, was := range t.Values {
			if is, ok := values[was]; ok && is != was {
				if d.Values == nil {
					d.Values = map[string]newValueDoc{}
				}
				d.Values[property] = newValueDoc{was, is}
			}
		}
		docs = append(docs, d)
	}
	slices.SortFunc(docs, func(a, b newIDDoc) int {
		return cmp.Or(-cmp.Compare(min(1, len(a.Abroad)), min(1, len(b.Abroad))), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return docs, nil
}
