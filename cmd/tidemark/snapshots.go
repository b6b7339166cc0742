package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A snapshotDoc is one snapshot as data. Changes are counted against Parent, which is 0 for the first.
type snapshotDoc struct {
	Number   int64     `json:"number"`
	ID       string    `json:"id"`
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Complete bool      `json:"complete"`
	Added    int64     `json:"added"`
	Removed  int64     `json:"removed"`
	Changed  int64     `json:"changed"`
	Linked   int64     `json:"linked"`
	Unlinked int64     `json:"unlinked"`
	Objects  int64     `json:"objects"`
	Links    int64     `json:"links"`
	Parent   int64     `json:"parent"`
	// Restores are the numbers of the restores that were begun after Parent and before this snapshot.
	Restores []int64   `json:"restores"`
	Holds    []holdDoc `json:"holds"` // that were not released

	gaps int // parts that could not be read whole
}

// newest is how many snapshots people are shown unless they ask for all.
const newest = 50

func snapshotsCommand(e *env) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "snapshots",
		Short: "List the snapshots: number, time, coverage, how much changed, and who holds them",
		Long: `Lists the snapshots, the newest last: as a table the newest 50, with --all and in every other format all of them.
Changes are counted against the snapshot before. Numbers are shared with the other records of the repository, so they
have holes; restores carry numbers of the same row.`,
		Example: "  tidemark snapshots\n  tidemark snapshots --all\n  tidemark snapshots -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			most := newest
			if all || s.format != "table" {
				most = 0
			}
			docs, older, err := s.snapshotDocs(c.Context(), most)
			if err != nil {
				return err
			}
			if older > 0 {
				fmt.Fprintf(s.err, "tidemark: %d older ones are not shown; --all shows them\n", older)
			}
			return s.print(s.unlessEmpty(len(docs), "no snapshot yet; tidemark capture makes one\n", snapshotResult(docs)))
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all snapshots, not just the newest 50")
	return c
}

// snapshotDocs returns the newest snapshots, at most so many unless that is 0, and how many older ones there are.
func (s *session) snapshotDocs(ctx context.Context, most int) (docs []snapshotDoc, older int, err error) {
	numbers, err := s.index.Numbers(ctx)
	if err != nil {
		return nil, 0, err
	}
	tallies, err := s.index.Tallies(ctx, most)
	if err != nil {
		return nil, 0, err
	}
	restores, err := s.index.Records(ctx, repository.KindPlan)
	if err != nil {
		return nil, 0, err
	}
	held, err := s.holds(ctx)
	if err != nil {
		return nil, 0, err
	}
	docs = make([]snapshotDoc, 0, len(tallies))
	last := int64(0)
	if older = len(numbers) - len(tallies); older > 0 {
		last = numbers[older-1]
	}
	for _, x := range tallies {
		d := snapshotDocOf(x)
		d.Holds = append(d.Holds, held[x.Number]...)
		for len(restores) > 0 && restores[0].Number < x.Number {
			if restores[0].Number > last {
				d.Restores = append(d.Restores, restores[0].Number)
			}
			restores = restores[1:]
		}
		last = x.Number
		docs = append(docs, d)
	}
	return docs, older, nil
}

func snapshotDocOf(x index.Tally) snapshotDoc {
	return snapshotDoc{Number: x.Number, ID: x.ID.String(), Began: x.Began.UTC(), Ended: x.Ended.UTC(), Complete: x.Gaps == 0, Parent: x.Parent,
		Added: x.Added, Removed: x.Removed, Changed: x.Changed, Linked: x.Linked, Unlinked: x.Unlinked, Objects: x.Objects, Links: x.Links,
		Restores: []int64{}, Holds: []holdDoc{}, gaps: x.Gaps}
}

func snapshotResult(docs []snapshotDoc) result {
	r := result{doc: docs, rows: anySlice(docs)}
	r.head = []string{"NUMBER", "TIME", "COVERAGE", "OBJECTS", "LINKS", "CHANGES", "HELD"}
	r.cells = func(yield func([]string)) {
		for _, d := range docs {
			coverage := "complete"
			if d.gaps > 0 {
				coverage = fmt.Sprintf("%d incomplete", d.gaps)
			}
			row := []string{strconv.FormatInt(d.Number, 10), d.Ended.Format(time.RFC3339), coverage,
				strconv.FormatInt(d.Objects, 10), strconv.FormatInt(d.Links, 10), d.changes(), d.held()}
			yield(row)
		}
	}
	return r
}

// changes counts what changed since the snapshot before, in the signs that diff uses, and names the restores
// between the two.
func (d snapshotDoc) changes() string {
	var parts []string
	for _, c := range []struct {
		sign string
		n    int64
	}{{"+", d.Added}, {"-", d.Removed}, {"~", d.Changed}, {">", d.Linked}, {"<", d.Unlinked}} {
		if c.n > 0 {
			parts = append(parts, c.sign+strconv.FormatInt(c.n, 10))
		}
	}
	for _, n := range d.Restores {
		parts = append(parts, fmt.Sprintf("restore %d", n))
	}
	return strings.Join(parts, " ")
}
