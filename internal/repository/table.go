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
	now    []entra.Version // zero: no such object
	flags  []flags
	before map[uint32]entra.Version // the parent's, of those that it has and that were written or removed
	ord    []int64                  // ordinals in a checkpoint, nil in a segment
	loaded bool
	looks  int64 // how often the parent was asked about one object
	left   int   // how many have the flag left
	twice  int   // how many came again with another body

	perm []uint32 // rank to index; nil until ranked
	rank []uint32
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
	if int(i) == len(t.now) {
		t.now = append(t.now, entra.Version{})
		t.flags = append(t.flags, 0)
		t.perm, t.rank = nil, nil
	}
	return i
}

// find returns the ID's index, once it is known what the parent has of it. The parent is asked about single objects
// while they are few, and else for all of them.
func (t *table) find(ctx context.Context, parent snapshot.Base, id entra.ID) (uint32, error) {
	i := t.node(id)
	if t.loaded || t.flags[i]&known != 0 {
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
	if t.flags[i] |= known; ok {
		t.now[i] = v
		t.flags[i] |= held
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
			if t.flags[i]&known == 0 {
				t.now[i] = e.Version
				t.flags[i] |= held | known
			}
		}
	}
	t.loaded = true
	return nil
}

// set gives the object a version, the zero Version for none.
func (t *table) set(i uint32, v entra.Version) {
	if _, ok := t.before[i]; !ok && t.flags[i]&held != 0 {
		t.before[i] = t.now[i]
	}
	t.now[i] = v
}

// was returns the version that the parent has.
func (t *table) was(i uint32) entra.Version {
	if v, ok := t.before[i]; ok {
		return v
	}
	if t.flags[i]&held != 0 {
		return t.now[i]
	}
	return entra.Version{}
}

// leave says that the object is gone.
func (t *table) leave(i uint32) {
	if t.flags[i]&left == 0 {
		t.flags[i] |= left
		t.left++
	}
	t.set(i, entra.Version{})
}

// came says that the object is there.
func (t *table) came(i uint32) {
	if t.flags[i]&left != 0 {
		t.flags[i] &^= left
		t.left--
	}
	t.flags[i] |= said
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
