package history

import (
	"context"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// Kept is what the index keeps of an object besides its version, as the catalog sees it.
func Kept() index.Options {
	return index.Options{
		Version: catalog.Fingerprint(),
		Project: func(o entra.Object) index.Projection {
			name, words := catalog.Called(o)
			return index.Projection{Name: name, Search: words, Refs: catalog.IDs(o)}
		},
		Act: func(b entra.Body) (index.Act, bool) {
			id, _ := b.Get("id")
			name, _ := id.(string)
			act, ok := catalog.Acted(entra.Object{Ref: entra.Ref{Type: catalog.Audit().Type, ID: entra.ID(name)}, Body: b})
			if !ok {
				return index.Act{}, false
			}
			a := index.Act{ID: name, At: act.At}
			for _, ref := range act.On {
				a.On = append(a.On, ref.ID)
			}
			return a, true
		},
	}
}

// Stored is the Source of a repository with its index.
func Stored(x *index.Index, r *repository.Repository) Source { return stored{x, r} }

type stored struct {
	index *index.Index
	repo  *repository.Repository
}

func (s stored) Before(ctx context.Context, number int64) (int64, error) {
	return s.index.Before(ctx, number)
}

func (s stored) Aliases(ctx context.Context) (map[entra.Ref]entra.Ref, error) {
	return s.index.Aliases(ctx)
}

func (s stored) Tree(ctx context.Context, number int64) (snapshot.Tree, error) {
	return s.index.Tree(ctx, s.repo, number)
}

func (s stored) Moments(ctx context.Context, ref entra.Ref) ([]int64, error) {
	return s.index.Moments(ctx, ref)
}

func (s stored) Acts(ctx context.Context, ref entra.Ref, from, to time.Time) ([]entra.Body, error) {
	return s.index.Acts(ctx, s.repo, ref, from, to)
}
