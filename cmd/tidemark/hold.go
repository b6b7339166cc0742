package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A holdData is what a record of kind hold says of the snapshot that is its parent: doc/format.md, section 9.
type holdData struct {
	Reason   string  `json:"reason"`
	By       string  `json:"by"`
	Released []int64 `json:"released,omitempty"` // the holds that end; none in a record that is one
}

// A holdDoc is one hold as data.
type holdDoc struct {
	Number int64     `json:"number"` // of the record
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

func holdCommand(e *env) *cobra.Command {
	var reason string
	var release bool
	c := &cobra.Command{
		Use:   "hold SNAPSHOT --reason TEXT",
		Short: "Keep a snapshot whatever is forgotten later, or release it",
		Long: `Says in the repository's signed log that a snapshot is to be kept, why, and who wants it. A snapshot may be held by
several; each hold stays until it is released, which takes a reason as well. --release ends all holds on the snapshot
that there are by then. Nothing is ever taken out of the log: who held what, and who released it, stays there.`,
		Example: `  tidemark hold latest --reason "before the migration"
  tidemark hold 12 --release --reason "migration accepted"`,
		Args: takes(1, 1, "one snapshot"),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("say why with --reason; who finds the record in years knows nothing else")
			}
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return s.hold(c.Context(), args[0], holdData{Reason: reason, By: requester()}, release)
		},
	}
	f := c.Flags()
	f.StringVar(&reason, "reason", "", "why, for who reads it years later")
	f.BoolVar(&release, "release", false, "end the holds on the snapshot")
	return c
}

func (s *session) hold(ctx context.Context, name string, data holdData, release bool) error {
	x, err := s.snapshot(ctx, name)
	if err != nil {
		return err
	}
	if release {
		held, err := s.holds(ctx)
		if err != nil {
			return err
		}
		for _, h := range held[x.Number] {
			data.Released = append(data.Released, h.Number)
		}
		if len(data.Released) == 0 {
			return &exit{code: 2, err: fmt.Errorf("nothing holds snapshot %d", x.Number), hint: "tidemark snapshots shows what is held"}
		}
	}
	text, err := asJSON(data)
	if err != nil {
		return err
	}
	if err := s.writable(ctx); err != nil {
		return err
	}
	if _, err := s.repo.Append(ctx, repository.KindHold, x.Number, text); err != nil {
		return fmt.Errorf("keep hold: %w", err)
	}
	if err := s.update(ctx); err != nil {
		return err
	}
	held, err := s.holds(ctx)
	if err != nil {
		return err
	}
	d := snapshotDocOf(index.TallyOf(x))
	d.Holds = append(d.Holds, held[x.Number]...)
	say := fmt.Sprintf("snapshot %d is held: %s\n", x.Number, clean(d.held()))
	if len(d.Holds) == 0 {
		say = fmt.Sprintf("snapshot %d is released\n", x.Number)
	}
	return s.print(result{doc: d, rows: []any{d}, text: say})
}

// holds returns the holds that were not released, by snapshot.
func (s *session) holds(ctx context.Context) (map[int64][]holdDoc, error) {
	records, err := s.index.Records(ctx, repository.KindHold)
	if err != nil {
		return nil, err
	}
	held := map[int64][]holdDoc{}
	for _, rec := range records {
		text, err := s.repo.Data(ctx, rec)
		if err != nil {
			return nil, err
		}
		var data holdData
		if err := json.Unmarshal(text, &data); err != nil {
			return nil, fmt.Errorf("record %d: %w", rec.Number, err)
		}
		if len(data.Released) == 0 {
			held[rec.Parent] = append(held[rec.Parent], holdDoc{Number: rec.Number, Reason: data.Reason, By: data.By, At: rec.At})
			continue
		}
		held[rec.Parent] = slices.DeleteFunc(held[rec.Parent], func(h holdDoc) bool { return slices.Contains(data.Released, h.Number) })
	}
	return held, nil
}

// held says who holds the snapshot, and why.
func (d snapshotDoc) held() string {
	var all []string
	for _, h := range d.Holds {
		all = append(all, fmt.Sprintf("%s (%s)", h.Reason, h.By))
	}
	return strings.Join(all, "; ")
}
