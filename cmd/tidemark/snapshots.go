package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
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

func snapshotsCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "snapshots",
		Short: "List the snapshots: number, time, coverage, how much changed, and who holds them",
		Long: `Lists the snapshots, the newest last. Changes are counted against the snapshot before. Numbers are shared with
the other records of the repository, so they have holes; restores carry numbers of the same row.`,
		Example: "  tidemark snapshots\n  tidemark snapshots -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			docs, err := s.snapshotDocs(c.Context())
			if err != nil {
				return err
			}
			return s.print(s.unlessEmpty(len(docs), "no snapshot yet; tidemark capture makes one\n", snapshotResult(docs)))
		},
	}
}

func (s *session) snapshotDocs(ctx context.Context) ([]snapshotDoc, error) {
	all, err := s.index.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	restores, err := s.index.Records(ctx, repository.KindPlan)
	if err != nil {
		return nil, err
	}
	held, err := s.holds(ctx)
	if err != nil {
		return nil, err
	}
	docs := make([]snapshotDoc, 0, len(all))
	last := int64(0)
	for _, x := range all {
		d := snapshotDocOf(x)
		d.Holds = append(d.Holds, held[x.Number]...)
		for _, r := range restores {
			if r.Number > last && r.Number < x.Number {
				d.Restores = append(d.Restores, r.Number)
			}
		}
		last = x.Number
		docs = append(docs, d)
	}
	return docs, nil
}

func snapshotDocOf(x *snapshot.Snapshot) snapshotDoc {
	d := snapshotDoc{Number: x.Number, ID: x.ID.String(), Began: x.Began.UTC(), Ended: x.Ended.UTC(), Complete: x.Whole(), Parent: x.Parent, Restores: []int64{}, Holds: []holdDoc{}}
	for _, p := range x.Parts {
		d.Objects += p.Objects
		d.Links += p.Links
		d.Added += p.Added
		d.Removed += p.Removed
		d.Changed += p.Changed
		d.Linked += p.Linked
		d.Unlinked += p.Unlinked
		if p.Coverage.Gap() {
			d.gaps++
		}
	}
	return d
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
