package entra

import (
	"hash/maphash"
	"iter"
)

// An IDs is a set of IDs that numbers them from 0 on, in the order they are added. One that is a GUID in lower case,
// as most of the service's are, takes some 24 bytes, any other about 40 more than it is long. The zero value is empty.
// It holds up to 2^32-2 IDs and is not safe for concurrent use.
type IDs struct {
	list  IDList
	slots []uint32 // number + 1 by hash, 0 for none; as many as a power of two
	seed  maphash.Seed
}

// Len returns how many IDs there are.
func (s *IDs) Len() int { return s.list.Len() }

// Add returns the ID's number, which is the former Len where it was not there.
func (s *IDs) Add(id ID) uint32 {
	if (s.Len()+1)*4 > len(s.slots)*3 {
		s.grow()
	}
	key, at, n := s.find(id)
	if s.slots[at] != 0 {
		return n
	}
	s.list.add(key, id)
	s.slots[at] = uint32(s.Len())
	return uint32(s.Len() - 1)
}

// Find returns the ID's number, or false where it is not there.
func (s *IDs) Find(id ID) (uint32, bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	_, at, n := s.find(id)
	return n, s.slots[at] != 0
}

// At returns the ID with the number, which must be below Len.
func (s *IDs) At(n uint32) ID { return s.list.At(n) }

// All yields the IDs in the order they were added.
func (s *IDs) All() iter.Seq[ID] {
	return func(yield func(ID) bool) {
		for n := range s.Len() {
			if !yield(s.At(uint32(n))) {
				return
			}
		}
	}
}

// Compare orders the IDs with two numbers bytewise, as text.
func (s *IDs) Compare(m, n uint32) int { return s.list.Compare(m, n) }

// find returns the ID's key, the slot where it is or belongs, and its number where it is there.
func (s *IDs) find(id ID) (key idKey, at uint64, n uint32) {
	key = keyOf(id)
	mask := uint64(len(s.slots) - 1)
	for at = s.hash(key, id) & mask; s.slots[at] != 0; at = (at + 1) & mask {
		n = s.slots[at] - 1
		has := &s.list.keys[n]
		if !key.other() && *has == key || key.other() && has.other() && s.list.others[has.place()] == id {
			return key, at, n
		}
	}
	return key, at, 0
}

func (s *IDs) hash(key idKey, id ID) uint64 {
	if key.other() {
		return maphash.String(s.seed, string(id))
	}
	return maphash.Bytes(s.seed, key[:])
}

func (s *IDs) grow() {
	if s.slots == nil {
		s.seed = maphash.MakeSeed()
	}
	s.slots = make([]uint32, max(8, 2*len(s.slots)))
	mask := uint64(len(s.slots) - 1)
	for n, key := range s.list.keys {
		id := ID("")
		if key.other() {
			id = s.list.others[key.place()]
		}
		at := s.hash(key, id) & mask
		for s.slots[at] != 0 {
			at = (at + 1) & mask
		}
		s.slots[at] = uint32(n + 1)
	}
}
