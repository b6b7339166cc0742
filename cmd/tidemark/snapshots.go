package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
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
	Restores []int64 `json:"restores"`

	gaps int // parts that could not be read whole
}

func snapshotsCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "snapshots",
		Short: "List the snapshots: number, time, coverage, and how much changed",
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
	docs := make([]snapshotDoc, 0, len(all))
	last := int64(0)
	for _, x := range all {
		d := snapshotDocOf(x)
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
	d := snapshotDoc{Number: x.Number, ID: x.ID.String(), Began: x.Began.UTC(), Ended: x.Ended.UTC(), Complete: x.Whole(), Parent: x.Parent, Restores: []int64{}}
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
	restored := slices.ContainsFunc(docs, func(d snapshotDoc) bool { return len(d.Restores) > 0 })
	r.head = []string{"NUMBER", "TIME", "COVERAGE", "OBJECTS", "LINKS", "+", "-", "~", "+LINKS", "-LINKS"}
	if restored {
		r.head = append(r.head, "RESTORES")
	}
	r.cells = func(yield func([]string)) {
		for _, d := range docs {
			coverage := "complete"
			if d.gaps > 0 {
				coverage = fmt.Sprintf("%d incomplete", d.gaps)
			}
			row := []string{strconv.FormatInt(d.Number, 10), d.Ended.Format(time.RFC3339), coverage}
			for _, n := range []int64{d.Objects, d.Links, d.Added, d.Removed, d.Changed, d.Linked, d.Unlinked} {
				row = append(row, strconv.FormatInt(n, 10))
			}
			if restored {
				row = append(row, numbers(d.Restores))
			}
			yield(row)
		}
	}
	return r
}

// numbers lists numbers for people.
func numbers(all []int64) string {
	var b []byte
	for i, n := range all {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(b)
}
