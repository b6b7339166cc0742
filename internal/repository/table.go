package repository

import (
	"context"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A table numbers the IDs of one type, and knows of each what the parent had and what this snapshot has.
// It holds IDs and hashes, never bodies.
type table struct {
	t      entra.Type
	index  map[entra.ID]uint32
	ids    []entra.ID
	now    []entra.Version // zero: no such object
	flags  []flags
	before map[uint32]entra.Version // the parent's, of those that were written or removed
	ord    []int64                  // ordinals in a checkpoint, nil in a segment
	loaded bool
	left   int // how many have the flag left
	twice  int // how many came again with another body

	perm []uint32 // rank to index; nil until ranked
	rank []uint32
}

type flags uint8

const (
	said flags = 1 << iota // put in this snapshot
	left                   // gone in this snapshot
)

// node returns the ID's index.
func (t *table) node(id entra.ID) uint32 {
	i, ok := t.index[id]
	if !ok {
		i = uint32(len(t.ids))
		t.index[id] = i
		t.ids = append(t.ids, id)
		t.now = append(t.now, entra.Version{})
		t.flags = append(t.flags, 0)
		t.perm, t.rank = nil, nil
	}
	return i
}

// load takes the parent's entries in.
func (t *table) load(ctx context.Context, parent snapshot.Tree) error {
	if t.loaded {
		return nil
	}
	if parent != nil {
		for e, err := range parent.Entries(ctx, t.t) {
			if err != nil {
				return err
			}
			t.now[t.node(e.Ref.ID)] = e.Version
		}
	}
	t.loaded = true
	return nil
}

// set gives the object a version, the zero Version for none.
func (t *table) set(i uint32, v entra.Version) {
	if _, ok := t.before[i]; !ok {
		t.before[i] = t.now[i]
	}
	t.now[i] = v
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
	t.perm = make([]uint32, len(t.ids))
	for i := range t.perm {
		t.perm[i] = uint32(i)
	}
	order := func(i, j uint32) int { return strings.Compare(string(t.ids[i]), string(t.ids[j])) }
	if !slices.IsSortedFunc(t.perm, order) {
		slices.SortFunc(t.perm, order)
	}
	t.rank = make([]uint32, len(t.ids))
	for rank, i := range t.perm {
		t.rank[i] = uint32(rank)
	}
}

func (t *table) ref(i uint32) entra.Ref { return entra.Ref{Type: t.t, ID: t.ids[i]} }
