package index

import (
	"context"
	"slices"
	"time"

	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Tally is a snapshot with its parts added up, which is all that a list of snapshots shows, and is read a hundred times
// as quickly.
type Tally struct {
	Number  int64
	ID      snapshot.ID
	Began   time.Time
	Ended   time.Time
	Parent  int64
	Gaps    int // parts that have one
	Objects int64
	Links   int64
	// Changes against the parent.
	Added, Removed, Changed, Linked, Unlinked int64
}

// TallyOf adds up a snapshot.
func TallyOf(s *snapshot.Snapshot) Tally {
	t := Tally{Number: s.Number, ID: s.ID, Began: s.Began, Ended: s.Ended, Parent: s.Parent}
	for _, p := range s.Parts {
		t.Objects += p.Objects
		t.Links += p.Links
		t.Added += p.Added
		t.Removed += p.Removed
		t.Changed += p.Changed
		t.Linked += p.Linked
		t.Unlinked += p.Unlinked
		if p.Coverage.Gap() {
			t.Gaps++
		}
	}
	return t
}

// Tallies returns the newest snapshots added up, ascending by number, at most so many unless that is 0.
func (x *Index) Tallies(ctx context.Context, most int) ([]Tally, error) {
	if most == 0 {
		most = -1
	}
	all, err := decoded[Tally](x, ctx, "tallies", most)
	slices.Reverse(all)
	return all, err
}
