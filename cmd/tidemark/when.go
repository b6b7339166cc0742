package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/words"
)

func whenCommand(e *env) *cobra.Command {
	var field, risk, since string
	c := &cobra.Command{
		Use:   "when [OBJECT]",
		Short: "Since when something is as it is, and the last good snapshot before",
		Long: `Says since when an object, or one of its properties or links, is as it is, and names the last snapshot before: a suggestion for --to.

With --risk it looks for the first change of at least that risk, about the object or anything, in the last two weeks or since
the snapshot that --since names, and says which snapshot is the last before it. Whether a change of high risk is an intruder's
or an administrator's is for people to judge: look at what it says, and ask again with --since the snapshot that shows it.
What was there when it was seen for the first time is no change.`,
		Example: `  tidemark when "conditionalAccessPolicy:Require MFA for admins" --field state
  tidemark when --risk high
  tidemark when application:Payroll --risk high --since "3 months ago"`,
		Args: takes(0, 1, "one object: TYPE/ID, TYPE:NAME or a UPN"),
		RunE: func(c *cobra.Command, args []string) error {
			var least words.Risk
			switch {
			case risk == "" && len(args) == 0:
				return usage("name an object, or ask for --risk high of anything")
			case risk == "" && since != "":
				return usage("--since goes with --risk")
			case risk != "" && field != "":
				return usage("--field and --risk are two questions")
			case risk != "":
				if err := least.UnmarshalText([]byte(risk)); err != nil || least == words.None {
					return usage("--risk %q: want low, medium or high", risk)
				}
			}
			ctx := c.Context()
			s, err := e.open(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			var ref entra.Ref
			if len(args) > 0 {
				if ref, err = s.object(ctx, args[0], 0); err != nil {
					return err
				}
			}
			if risk == "" {
				return s.when(ctx, ref, field)
			}
			return s.firstRisk(ctx, ref, least, since)
		},
	}
	f := c.Flags()
	f.StringVar(&field, "field", "", "a property, an element of one, or a relation such as members[ID]")
	f.StringVar(&risk, "risk", "", "look for the first change of at least this risk: low, medium or high")
	f.StringVar(&since, "since", "", "with --risk: the snapshot to begin at")
	return c
}

func (s *session) when(ctx context.Context, ref entra.Ref, field string) error {
	ev, ok, err := history.When(ctx, history.Stored(s.index, s.repo), ref, field)
	if err != nil {
		return err
	}
	if !ok {
		return usage("%s has no %q in any snapshot", ref, field)
	}
	d := s.eventDoc(ctx, ev)
	doc := map[string]any{"change": d, "snapshot": ev.Snapshot, "before": ev.Last}
	text := fmt.Sprintf("since snapshot %d (between %s and %s): %s\n", ev.Snapshot, d.Between[0], d.Between[1], clean(d.Words))
	if ev.Last == 0 {
		text = fmt.Sprintf("since snapshot %d or earlier: no snapshot shows it otherwise\n", ev.Snapshot)
	} else {
		text += fmt.Sprintf("before that: --to %d\n", ev.Last)
	}
	if d.Actor != nil {
		text += fmt.Sprintf("by %s\n", clean(d.Actor.Name))
	}
	return s.print(result{doc: doc, rows: []any{doc}, text: text})
}

// firstRisk finds the last good snapshot: the last before the first change of at least a risk.
func (s *session) firstRisk(ctx context.Context, ref entra.Ref, least words.Risk, since string) error {
	latest, err := s.snapshot(ctx, "latest")
	if err != nil {
		return err
	}
	from, err := s.before(ctx, latest)
	if since != "" {
		from, err = s.snapshot(ctx, since)
	}
	if err != nil {
		return err
	}
	look := s.riskAnywhere
	if ref != (entra.Ref{}) {
		look = func(ctx context.Context, from *snapshot.Snapshot, least words.Risk) ([]changeDoc, int64, int64, error) {
			return s.riskOf(ctx, ref, from, least)
		}
	}
	found, first, last, err := look(ctx, from, least)
	if err != nil {
		return err
	}
	doc := map[string]any{"since": from.Number, "changes": found, "snapshot": first, "before": last}
	if len(found) == 0 {
		doc["changes"], doc["before"] = []changeDoc{}, latest.Number
		text := fmt.Sprintf("no change of %s risk or more from snapshot %d to %d\n", least, from.Number, latest.Number)
		return s.print(result{doc: doc, rows: []any{doc}, text: text})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "since snapshot %d, the first change of %s risk or more is in snapshot %d (between %s and %s):\n", from.Number, least, first, found[0].Between[0], found[0].Between[1])
	for i, d := range found {
		if i == shown {
			fmt.Fprintf(&b, "  and %d more; -o json has them all\n", len(found)-shown)
			break
		}
		by := ""
		if d.Actor != nil {
			by = " By " + d.Actor.Name + "."
		}
		fmt.Fprintf(&b, "  %s: %s\n", d.Risk, clean(d.Words+by))
	}
	fmt.Fprintf(&b, "the last snapshot before: --to %d\n", last)
	return s.print(result{doc: doc, rows: []any{doc}, text: b.String()})
}

// riskOf looks in the life of one object, of what it contains, of what relates it to others, and of what names it. It returns
// the changes of the first snapshot that shows any, that snapshot, and the last before.
func (s *session) riskOf(ctx context.Context, ref entra.Ref, from *snapshot.Snapshot, least words.Risk) (found []changeDoc, first, last int64, err error) {
	latest, err := s.index.Latest(ctx)
	if err != nil {
		return nil, 0, 0, err
	}
	var trees []*index.Tree
	for _, n := range []int64{from.Number, latest.Number} {
		tree, err := s.index.Tree(ctx, s.repo, n)
		if err != nil {
			return nil, 0, 0, err
		}
		trees = append(trees, tree)
	}
	refs, err := s.about(ctx, []entra.Ref{ref}, trees...)
	if err != nil {
		return nil, 0, 0, err
	}
	first = math.MaxInt64
	for _, r := range refs {
		for ev, err := range history.Between(ctx, history.Stored(s.index, s.repo), r, from.Number, first) {
			if err != nil {
				return nil, 0, 0, err
			}
			if ev.Last == 0 || ev.Change.Kind == diff.Unknown || !mentioned(&ev.Change, []entra.Ref{ref}) {
				continue
			}
			d := s.eventDoc(ctx, ev)
			if d.Risk < least || slices.ContainsFunc(found, func(x changeDoc) bool { return x.Words == d.Words && ev.Snapshot == first }) {
				continue
			}
			if ev.Snapshot < first {
				found, first, last = nil, ev.Snapshot, ev.Last
			}
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		first = 0
	}
	return found, first, last, nil
}

// riskAnywhere looks at everything, as riskOf does at one object.
func (s *session) riskAnywhere(ctx context.Context, from *snapshot.Snapshot, least words.Risk) (found []changeDoc, first, last int64, err error) {
	numbers, err := s.index.Numbers(ctx)
	if err != nil {
		return nil, 0, 0, err
	}
	a := from
	for _, n := range numbers {
		if n <= from.Number {
			continue
		}
		b, err := s.index.Snapshot(ctx, n)
		if err != nil {
			return nil, 0, 0, err
		}
		changes, err := s.changes(ctx, a, b, &selection{}, false)
		if err != nil {
			return nil, 0, 0, err
		}
		var some []words.Said
		for _, said := range words.All(changes, s.names(ctx, b.Number, a.Number)) {
			if said.Risk >= least && said.Change.Kind != diff.Unknown {
				some = append(some, said)
			}
		}
		if len(some) > 0 {
			acts, err := history.Within(ctx, s.index, s.repo, a.Began, b.Ended)
			if err != nil {
				return nil, 0, 0, err
			}
			found, _ = s.changeResult(ctx, some, acts, a, b).doc.([]changeDoc)
			return found, b.Number, a.Number, nil
		}
		a = b
	}
	return nil, 0, 0, nil
}
