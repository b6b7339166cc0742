package repository

import (
	"context"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A table numbers the IDs of one type, and knows of each what the parent had and what this snapshot has.
// It holds IDs and hashes, never bodies.
type table struct {
	t      entra.Type
	ids    entra.IDs
	rows   list[row]                // by the numbers that ids gives
	before map[uint32]entra.Version // the parent's, of those that it has and that were written or removed
	ord    list[int64]              // ordinals in a checkpoint, from 1 on; 0 is none
	loaded bool
	looks  int64 // how often the parent was asked about one object
	left   int   // how many have the flag left
	twice  int   // how many came again with another body

	perm []uint32 // rank to index; nil until ranked
	rank []uint32
}

// A row is what is known of one object.
type row struct {
	now   entra.Version // zero: no such object
	flags flags
}

type flags uint8

const (
	said  flags = 1 << iota // put in this snapshot
	left                    // gone in this snapshot
	held                    // the parent has it
	known                   // whether it has it is known
)

// node returns the ID's index.
func (t *table) node(id entra.ID) uint32 {
	i := t.ids.Add(id)
	if int(i) == t.rows.n {
		t.rows.add(row{})
		t.perm, t.rank = nil, nil
	}
	return i
}

// find returns the ID's index, once it is known what the parent has of it. The parent is asked about single objects
// while they are few, and else for all of them.
func (t *table) find(ctx context.Context, parent snapshot.Base, id entra.ID) (uint32, error) {
	i := t.node(id)
	if t.loaded || t.rows.at(i).flags&known != 0 {
		return i, nil
	}
	if parent == nil || t.looks >= few(parent.Snapshot().Part(t.t, "").Objects) {
		return i, t.load(ctx, parent)
	}
	t.looks++
	v, ok, err := parent.Version(ctx, entra.Ref{Type: t.t, ID: id})
	if err != nil {
		return i, err
	}
	if t.rows.at(i).flags |= known; ok {
		t.rows.at(i).now = v
		t.rows.at(i).flags |= held
	}
	return i, nil
}

// few is how many single things of so many are looked up rather than reading all of them.
func few(of int64) int64 { return max(256, of/64) }

// load takes the parent's entries in.
func (t *table) load(ctx context.Context, parent snapshot.Base) error {
	if t.loaded {
		return nil
	}
	if parent != nil {
		for e, err := range parent.Entries(ctx, t.t) {
			if err != nil {
				return err
			}
			i := t.node(e.Ref.ID)
			if t.rows.at(i).flags&known == 0 {
				t.rows.at(i).now = e.Version
				t.rows.at(i).flags |= held | known
			}
		}
	}
	t.loaded = true
	return nil
}

// set gives the object a version, the zero Version for none.
func (t *table) set(i uint32, v entra.Version) {
	if _, ok := t.before[i]; !ok && t.rows.at(i).flags&held != 0 {
		t.before[i] = t.rows.at(i).now
	}
	t.rows.at(i).now = v
}

// was returns the version that the parent has.
func (t *table) was(i uint32) entra.Version {
	if v, ok := t.before[i]; ok {
		return v
	}
	if t.rows.at(i).flags&held != 0 {
		return t.rows.at(i).now
	}
	return entra.Version{}
}

// leave says that the object is gone.
func (t *table) leave(i uint32) {
	if t.rows.at(i).flags&left == 0 {
		t.rows.at(i).flags |= left
		t.left++
	}
	t.set(i, entra.Version{})
}

// came says that the object is there.
func (t *table) came(i uint32) {
	if t.rows.at(i).flags&left != 0 {
		t.rows.at(i).flags &^= left
		t.left--
	}
	t.rows.at(i).flags |= said
}

// told reports whether this snapshot says anything of the type's objects.
func (t *table) told() bool {
	for i := range uint32(t.rows.n) {
		if t.rows.at(i).flags&(said|left) != 0 {
			return true
		}
	}
	return false
}

// sort ranks the IDs bytewise.
func (t *table) sort() {
	if t.perm != nil {
		return
	}
	t.perm = make([]uint32, t.ids.Len())
	for i := range t.perm {
		t.perm[i] = uint32(i)
	}
	if !slices.IsSortedFunc(t.perm, t.ids.Compare) {
		slices.SortFunc(t.perm, t.ids.Compare)
	}
	t.rank = make([]uint32, t.ids.Len())
	for rank, i := range t.perm {
		t.rank[i] = uint32(rank)
	}
}

func (t *table) ref(i uint32) entra.Ref { return entra.Ref{Type: t.t, ID: t.ids.At(i)} }

// A list grows without being copied.
type list[T any] struct {
	pages [][]T // of listPage each, but for the last
	n     int
}

const listPage = 4096

// at returns a place, which must be below n.
func (l *list[T]) at(i uint32) *T { return &l.pages[i/listPage][i%listPage] }

// len is 0 for no list.
func (l *list[T]) len() int {
	if l == nil {
		return 0
	}
	return l.n
}

func (l *list[T]) add(v T) {
	if l.n%listPage == 0 {
		l.pages = append(l.pages, nil)
	}
	last := len(l.pages) - 1
	l.pages[last] = append(l.pages[last], v)
	l.n++
}
