package plan

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A reader is a tree that remembers the objects read last, and that it lacks some. It can be told which will be asked
// for: a tree of an index reads many at once many times quicker than one by one.
type reader struct {
	snapshot.Tree
	now, before map[entra.Ref]entra.Object // the zero Object is none
	size        int                        // of the bodies of now
}

// maxRead bounds each of the two halves of what a reader remembers, and ahead is how many objects it reads at once.
const (
	maxRead = 8 << 20
	ahead   = 1024
)

func newReader(t snapshot.Tree) *reader { return &reader{Tree: t, now: map[entra.Ref]entra.Object{}} }

func (r *reader) known(ref entra.Ref) (entra.Object, bool) {
	o, ok := r.now[ref]
	if !ok {
		o, ok = r.before[ref]
	}
	return o, ok
}

func (r *reader) keep(ref entra.Ref, o entra.Object) {
	const overhead = 128 // of the ref and the map
	if r.size > maxRead {
		r.now, r.before, r.size = map[entra.Ref]entra.Object{}, r.now, 0
	}
	r.now[ref] = o
	r.size += len(o.Body) + overhead
}

// Object implements snapshot.Tree.
func (r *reader) Object(ctx context.Context, ref entra.Ref) (entra.Object, error) {
	o, ok := r.known(ref)
	if !ok {
		var err error
		if o, err = r.Tree.Object(ctx, ref); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
		r.keep(ref, o)
	}
	if o.Ref != ref {
		return entra.Object{}, &fs.PathError{Op: "object", Path: ref.String(), Err: fs.ErrNotExist}
	}
	return o, nil
}

// Objects yields those of the objects that the tree has, in the order asked for, leaving the others out.
func (r *reader) Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		for some := range slices.Chunk(refs, ahead) {
			err := r.read(ctx, some...)
			if err != nil {
				yield(entra.Object{}, err)
				return
			}
			for _, ref := range some {
				o, err := r.Object(ctx, ref)
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if !yield(o, err) || err != nil {
					return
				}
			}
		}
	}
}

// read reads objects that will be asked for soon.
func (r *reader) read(ctx context.Context, refs ...entra.Ref) error {
	shelf, ok := r.Tree.(interface {
		Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error]
	})
	if !ok {
		return nil
	}
	refs = slices.DeleteFunc(slices.Clone(refs), func(ref entra.Ref) bool {
		_, ok := r.known(ref)
		return ok
	})
	if len(refs) < 2 {
		return nil
	}
	found := make(map[entra.Ref]entra.Object, len(refs))
	for o, err := range shelf.Objects(ctx, refs) {
		if err != nil {
			return err
		}
		found[o.Ref] = o
	}
	for _, ref := range refs {
		r.keep(ref, found[ref])
	}
	return nil
}

// each yields refs. Before, it has both trees read what they call by one of the names of these.
func (m *maker) each(refs []entra.Ref, names func(entra.Ref) []entra.Ref) iter.Seq2[entra.Ref, error] {
	return func(yield func(entra.Ref, error) bool) {
		for some := range slices.Chunk(refs, ahead) {
			var all []entra.Ref
			for _, r := range some {
				all = append(all, names(r)...)
			}
			if err := errors.Join(m.goal.read(m.ctx, all...), m.base.read(m.ctx, all...)); err != nil {
				yield(entra.Ref{}, err)
				return
			}
			for _, r := range some {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// names returns what either tree may call an object of the goal, and the recycle bin.
func (m *maker) names(g entra.Ref) []entra.Ref {
	b := m.baseName(g)
	all := []entra.Ref{g, b}
	if r, ok := catalog.Lookup(b.Type); ok && r.Bin != "" {
		all = append(all, entra.Ref{Type: r.Bin, ID: b.ID})
	}
	return all
}
