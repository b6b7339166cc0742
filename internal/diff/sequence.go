package diff

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A pair holds the equal elements of two sequences; one is nil where only the other sequence has it.
type pair[T any] struct{ a, b *T }

// pairs walks two ascending sequences together.
func pairs[T any](a, b iter.Seq2[T, error], compare func(T, T) int) iter.Seq2[pair[T], error] {
	return func(yield func(pair[T], error) bool) {
		nextA, stopA := iter.Pull2(a)
		defer stopA()
		nextB, stopB := iter.Pull2(b)
		defer stopB()
		x, errX, okX := nextA()
		y, errY, okY := nextB()
		for okX || okY {
			if err := errors.Join(errX, errY); err != nil {
				yield(pair[T]{}, err)
				return
			}
			n := 0
			switch {
			case !okX:
				n = 1
			case !okY:
				n = -1
			default:
				n = compare(x, y)
			}
			var p pair[T]
			if v := x; n <= 0 {
				p.a = &v
			}
			if v := y; n >= 0 {
				p.b = &v
			}
			if !yield(p, nil) {
				return
			}
			if n <= 0 {
				x, errX, okX = nextA()
			}
			if n >= 0 {
				y, errY, okY = nextB()
			}
		}
	}
}

// join merges two ascending sequences into one; of equal elements it yields the first's.
func join[T any](a, b iter.Seq2[T, error], compare func(T, T) int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for p, err := range pairs(a, b, compare) {
			switch {
			case err != nil:
				var none T
				yield(none, err)
				return
			case p.a != nil:
				if !yield(*p.a, nil) {
					return
				}
			default:
				if !yield(*p.b, nil) {
					return
				}
			}
		}
	}
}

// merge joins ascending sequences of changes.
func merge(streams []iter.Seq2[Change, error]) iter.Seq2[Change, error] {
	switch len(streams) {
	case 0:
		return func(func(Change, error) bool) {}
	case 1:
		return streams[0]
	}
	half := len(streams) / 2
	return join(merge(streams[:half]), merge(streams[half:]), Change.Compare)
}

// where keeps what the test accepts.
func where[T any](s iter.Seq2[T, error], keep func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range s {
			if (err != nil || keep(v)) && !yield(v, err) {
				return
			}
		}
	}
}

func values[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// A shelf is a tree that reads many objects in one go, in any order, leaving out those it does not have.
type shelf interface {
	Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error]
}

// fetch reads the objects that the tree has among refs.
func fetch(ctx context.Context, t snapshot.Tree, refs []entra.Ref) (map[entra.Ref]*entra.Object, error) {
	found := make(map[entra.Ref]*entra.Object, len(refs))
	if s, ok := t.(shelf); ok && len(refs) > 1 {
		for o, err := range s.Objects(ctx, slices.Clone(refs)) {
			if err != nil {
				return nil, fmt.Errorf("read objects: %w", err)
			}
			found[o.Ref] = &o
		}
		return found, nil
	}
	for _, r := range refs {
		o, err := t.Object(ctx, r)
		switch {
		case err == nil:
			found[r] = &o
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("read %s: %w", r, err)
		}
	}
	return found, nil
}
