package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// LockDays is for how many days the store locks what is put into it; 0 where it has no locks.
func (r *Repository) LockDays() int {
	if l, ok := r.store.(store.Locker); ok {
		return l.Days()
	}
	return 0
}

// bound returns the names of the files of all records that are not dropped, with the notes.
func (r *Repository) bound(ctx context.Context) ([]binding, error) {
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	r.mu.RLock()
	records := r.records
	r.mu.RUnlock()
	c := &checker{r: r, bad: map[string]bool{}, yield: func(Finding, error) bool { return true }}
	all, err := c.bound(ctx, records)
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		all = append(all, binding{rec, Blob{Name: noteName(rec.Number)}})
	}
	return all, nil
}

// Lock locks every file of the repository until a time at least, but for what was dropped: while the chain is alive, what it
// builds on is to be locked as well. The error wraps errors.ErrUnsupported where the store has no locks.
func (r *Repository) Lock(ctx context.Context, until time.Time) error {
	l, ok := r.store.(store.Locker)
	if !ok {
		return fmt.Errorf("lock repository: %w", errors.ErrUnsupported)
	}
	all, err := r.bound(ctx)
	if err != nil {
		return fmt.Errorf("lock repository: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, x := range all {
		g.Go(func() error { return l.Lock(ctx, x.blob.Name, until) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("lock repository: %w", err)
	}
	return nil
}

// Unlocked yields the files that somebody could take away before a time, as a Finding each; what is missing is not among
// them. A store without locks has none.
func (r *Repository) Unlocked(ctx context.Context, until time.Time) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		l, ok := r.store.(store.Locker)
		if !ok {
			return
		}
		all, err := r.bound(ctx)
		if err == nil {
			err = inBatches(ctx, all, func(ctx context.Context, x binding) (string, error) {
				at, err := l.Until(ctx, x.blob.Name)
				switch {
				case errors.Is(err, fs.ErrNotExist):
					return "", nil
				case err != nil:
					return "", err
				case at.IsZero():
					return "is not locked: whoever may delete can take it away", nil
				case at.Before(until):
					return "is locked only until " + at.UTC().Format(time.RFC3339), nil
				}
				return "", nil
			}, func(x binding, reason string, err error) error {
				if err == nil && reason != "" && !yield(Finding{Blob: x.blob.Name, Reason: reason}, nil) {
					return errStop
				}
				return err
			})
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(Finding{}, fmt.Errorf("look at locks: %w", err))
		}
	}
}
