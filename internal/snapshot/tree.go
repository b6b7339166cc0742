package snapshot

import (
	"context"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// An Entry says that an object was there, in this version.
type Entry struct {
	Ref     entra.Ref
	Version entra.Version
}

// A Tree gives access to what a snapshot names: always the full state, with what was not read carried
// forward. Sequences ascend; an error is their last pair. A tree is safe for concurrent use.
type Tree interface {
	Snapshot() *Snapshot
	// Entries yields the objects of a type, ascending by ID.
	Entries(ctx context.Context, t entra.Type) iter.Seq2[Entry, error]
	// Links yields the links of one part, ascending.
	Links(ctx context.Context, t entra.Type, rel string) iter.Seq2[entra.Link, error]
	// Object returns an object by its ref. The error wraps fs.ErrNotExist where the tree has none.
	Object(ctx context.Context, r entra.Ref) (entra.Object, error)
	// Around yields the links at either end of which the object stands, ascending.
	Around(ctx context.Context, r entra.Ref) iter.Seq2[entra.Link, error]
	// Holders yields the refs of the objects whose properties hold the ID as a declared reference, ascending.
	Holders(ctx context.Context, id entra.ID) iter.Seq2[entra.Ref, error]
}

// A Base is a Tree that a next snapshot is compared with, and that can be asked about single things in it.
type Base interface {
	Tree
	// Version returns the version of an object. It reports false where the tree has none.
	Version(ctx context.Context, r entra.Ref) (entra.Version, bool, error)
	// Has reports whether the tree has a link.
	Has(ctx context.Context, l entra.Link) (bool, error)
	// Sum returns the sum of what the tree has of one part; with the relation "", of a type's objects.
	Sum(ctx context.Context, t entra.Type, rel string) (Sum, error)
}

// Summed adds up what a tree has of one part, by reading all of it.
func Summed(ctx context.Context, tree Tree, t entra.Type, rel string) (Sum, error) {
	s := NewAdder(Sum{})
	if rel == "" {
		for e, err := range tree.Entries(ctx, t) {
			if err != nil {
				return Sum{}, err
			}
			s.AddEntry(e.Ref, e.Version)
		}
		return *s.Sum(), nil
	}
	for l, err := range tree.Links(ctx, t, rel) {
		if err != nil {
			return Sum{}, err
		}
		s.AddLink(l)
	}
	return *s.Sum(), nil
}

// A Memory is a Base held in memory, for plans that are simulated and for tests.
type Memory struct {
	snapshot *Snapshot
	refs     func(entra.Object) []entra.ID
	objects  map[entra.Ref]entra.Object
	links    map[entra.Link]bool
}

// NewMemory returns a tree of the given objects and links. refs says which IDs an object's properties
// hold; nil means none.
func NewMemory(s *Snapshot, refs func(entra.Object) []entra.ID, objects []entra.Object, links []entra.Link) *Memory {
	m := &Memory{snapshot: s, refs: refs, objects: map[entra.Ref]entra.Object{}, links: map[entra.Link]bool{}}
	for _, o := range objects {
		m.objects[o.Ref] = o
	}
	for _, l := range links {
		m.links[l] = true
	}
	return m
}

// Snapshot returns the snapshot the tree was made with.
func (m *Memory) Snapshot() *Snapshot { return m.snapshot }

// Entries implements Tree.
func (m *Memory) Entries(_ context.Context, t entra.Type) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, r := range slices.SortedFunc(maps.Keys(m.objects), entra.Ref.Compare) {
			if r.Type == t && !yield(Entry{r, m.objects[r].Version()}, nil) {
				return
			}
		}
	}
}

// Links implements Tree.
func (m *Memory) Links(_ context.Context, t entra.Type, rel string) iter.Seq2[entra.Link, error] {
	return m.those(func(l entra.Link) bool { return l.From.Type == t && l.Rel == rel })
}

// Object implements Tree.
func (m *Memory) Object(_ context.Context, r entra.Ref) (entra.Object, error) {
	o, ok := m.objects[r]
	if !ok {
		return entra.Object{}, &fs.PathError{Op: "object", Path: r.String(), Err: fs.ErrNotExist}
	}
	return o, nil
}

// Version implements Base.
func (m *Memory) Version(_ context.Context, r entra.Ref) (v entra.Version, ok bool, err error) {
	o, ok := m.objects[r]
	if ok {
		v = o.Version()
	}
	return v, ok, nil
}

// Has implements Base.
func (m *Memory) Has(_ context.Context, l entra.Link) (bool, error) { return m.links[l], nil }

// Sum implements Base.
func (m *Memory) Sum(ctx context.Context, t entra.Type, rel string) (Sum, error) {
	return Summed(ctx, m, t, rel)
}

// Around implements Tree.
func (m *Memory) Around(_ context.Context, r entra.Ref) iter.Seq2[entra.Link, error] {
	return m.those(func(l entra.Link) bool { return l.From == r || l.To == r })
}

// Holders implements Tree.
func (m *Memory) Holders(_ context.Context, id entra.ID) iter.Seq2[entra.Ref, error] {
	return func(yield func(entra.Ref, error) bool) {
		if m.refs == nil {
			return
		}
		for _, r := range slices.SortedFunc(maps.Keys(m.objects), entra.Ref.Compare) {
			if slices.Contains(m.refs(m.objects[r]), id) && !yield(r, nil) {
				return
			}
		}
	}
}

func (m *Memory) those(want func(entra.Link) bool) iter.Seq2[entra.Link, error] {
	return func(yield func(entra.Link, error) bool) {
		for _, l := range slices.SortedFunc(maps.Keys(m.links), entra.Link.Compare) {
			if want(l) && !yield(l, nil) {
				return
			}
		}
	}
}
