package index_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
)

// checkpoint restates a snapshot.
func (w *world) checkpoint(n int64) {
	w.t.Helper()
	tree, err := w.x.Tree(w.ctx, w.r, n)
	w.must(err)
	_, err = w.r.Checkpoint(w.ctx, tree)
	w.must(err)
}

// sound holds that the repository has no finding.
func (w *world) sound() {
	w.t.Helper()
	for f, err := range w.r.Check(w.ctx, true) {
		w.t.Fatalf("check: %+v, %v", f, err)
	}
}

// Law: whatever is captured and restated, and whatever is forgotten, each snapshot that stays is what it was, in the index
// that lived through it and in one made anew; and history goes on.
func TestForgetting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, t.Context())
		defer w.x.Close()
		live := func() {
			for range rapid.IntRange(1, 4).Draw(t, "captures") {
				objects, links := draw(t)
				w.capture(objects, links, `{"id":"a","at":"2026-03-01T12:00:00Z","on":"id/1"}`)
				if rapid.IntRange(0, 3).Draw(t, "checkpoint") == 0 {
					w.checkpoint(w.all[len(w.all)-1])
				}
			}
		}
		live()
		for range rapid.IntRange(1, 3).Draw(t, "forgets") {
			to := rapid.SampledFrom(w.all).Draw(t, "to")
			var kept, left []int64
			for _, n := range w.all {
				held := n < to && rapid.IntRange(0, 2).Draw(t, "held") == 0
				if held {
					kept = append(kept, n)
				}
				if (held || n == to) && !w.r.Restated(n) {
					w.checkpoint(n)
				}
				if held || n >= to {
					left = append(left, n)
				}
			}
			f, err := w.r.Forgetting(w.ctx, to, kept)
			w.must(err)
			if len(f.Files) == 0 {
				live()
				continue
			}
			_, err = w.r.Forget(w.ctx, f)
			w.must(err)
			w.sound() // before anything is taken away
			gone, still, err := w.r.Drop(w.ctx, w.store.(store.Remover).Remove)
			w.must(err)
			if gone != len(f.Files) || len(still) > 0 {
				t.Fatalf("%d of %d files were taken away, left are %v", gone, len(f.Files), still)
			}
			for _, n := range w.all {
				if _, err := w.x.Snapshot(w.ctx, n); !slices.Contains(left, n) && err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
			}
			w.all = left
			w.must(w.x.Update(w.ctx, w.r))
			live()
		}
		w.sound()
		again, err := repository.Open(w.ctx, w.store, w.o)
		w.must(err)
		w.r = again
		w.sound()
		anew := w.open(":memory:")
		defer anew.Close()
		w.must(anew.Update(w.ctx, w.r))
		var numbers []int64
		all, err := anew.Tallies(w.ctx, 0)
		w.must(err)
		for _, s := range all {
			numbers = append(numbers, s.Number)
		}
		if !slices.Equal(numbers, w.all) {
			t.Fatalf("snapshots %v stay, want %v", numbers, w.all)
		}
		for _, n := range w.all {
			w.same(anew, n)
			w.same(w.x, n)
		}
		from, to := rapid.SampledFrom(w.all).Draw(t, "from"), rapid.SampledFrom(w.all).Draw(t, "to")
		w.touched(anew, from, to)
	})
}

// What has no checkpoint is not forgotten up to, and nobody forgets who cannot read.
func TestForgettingIsRefused(t *testing.T) {
	w := newWorld(t, t.Context())
	defer w.x.Close()
	first := w.capture(nil, nil)
	second := w.capture(nil, nil)
	if _, err := w.r.Forgetting(w.ctx, second, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without a checkpoint: %v", err)
	}
	w.checkpoint(second)
	if _, err := w.r.Forgetting(w.ctx, second, []int64{first}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("with a held one without a checkpoint: %v", err)
	}
	if _, err := w.r.Forgetting(w.ctx, second+1, nil); err == nil {
		t.Error("up to what is no snapshot")
	}
	f, err := w.r.Forgetting(w.ctx, second, nil)
	w.must(err)
	blind, err := repository.Open(w.ctx, w.store, repository.Options{Signer: w.o.Signer, Now: w.o.Now})
	w.must(err)
	if _, err := blind.Forget(w.ctx, f); !errors.Is(err, repository.ErrKey) {
		t.Errorf("by who can only write: %v, want ErrKey", err)
	}
	tree, err := w.x.Tree(w.ctx, w.r, second)
	w.must(err)
	other := *tree.Snapshot()
	other.ID[0]++
	if _, err := w.r.Checkpoint(w.ctx, lying{tree, &other}); err == nil {
		t.Error("a checkpoint of another log's snapshot")
	}
	other = *tree.Snapshot()
	other.Parts = slices.Clone(other.Parts)
	other.Parts[0].Root[0]++
	if _, err := w.r.Checkpoint(w.ctx, lying{tree, &other}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a checkpoint of something else: %v", err)
	}
	w.sound()
}

// A lying tree says that it is of another snapshot.
type lying struct {
	*index.Tree
	s *snapshot.Snapshot
}

func (l lying) Snapshot() *snapshot.Snapshot { return l.s }
