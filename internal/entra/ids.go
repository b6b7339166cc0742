package entra

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"iter"
	"strings"
)

// An IDs is a set of IDs that numbers them from 0 on, in the order they are added. One that is a GUID in lower case,
// as most of the service's are, takes some 24 bytes, any other about 40 more than it is long. The zero value is empty.
// It holds up to 2^32-2 IDs and is not safe for concurrent use.
type IDs struct {
	keys   []idKey
	others []ID     // those that are no GUIDs
	slots  []uint32 // number + 1 by hash, 0 for none; as many as a power of two
	seed   maphash.Seed
}

// An idKey is a GUID's bytes, or noGUID and a place among the others.
type idKey [16]byte

// noGUID begins the key of an ID that is no GUID. A GUID that begins so is held as if it were none.
var noGUID = [8]byte{'n', 'o', ' ', 'G', 'U', 'I', 'D', 0}

// Len returns how many IDs there are.
func (s *IDs) Len() int { return len(s.keys) }

// Add returns the ID's number, which is the former Len where it was not there.
func (s *IDs) Add(id ID) uint32 {
	if (len(s.keys)+1)*4 > len(s.slots)*3 {
		s.grow()
	}
	key, at, n := s.find(id)
	if s.slots[at] != 0 {
		return n
	}
	if key.other() {
		binary.BigEndian.PutUint64(key[8:], uint64(len(s.others)))
		s.others = append(s.others, id)
	}
	s.keys = append(s.keys, key)
	s.slots[at] = uint32(len(s.keys))
	return uint32(len(s.keys) - 1)
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
func (s *IDs) At(n uint32) ID {
	k := s.keys[n]
	if k.other() {
		return s.others[k.place()]
	}
	var b [36]byte
	hex.Encode(b[:8], k[:4])
	hex.Encode(b[9:13], k[4:6])
	hex.Encode(b[14:18], k[6:8])
	hex.Encode(b[19:23], k[8:10])
	hex.Encode(b[24:], k[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return ID(b[:])
}

// All yields the IDs in the order they were added.
func (s *IDs) All() iter.Seq[ID] {
	return func(yield func(ID) bool) {
		for n := range s.keys {
			if !yield(s.At(uint32(n))) {
				return
			}
		}
	}
}

// Compare orders the IDs with two numbers bytewise, as text.
func (s *IDs) Compare(m, n uint32) int {
	if x, y := &s.keys[m], &s.keys[n]; !x.other() && !y.other() {
		return bytes.Compare(x[:], y[:]) // hexadecimal digits in lower case are in the order of what they stand for
	}
	return strings.Compare(string(s.At(m)), string(s.At(n)))
}

func (k *idKey) other() bool   { return [8]byte(k[:8]) == noGUID }
func (k *idKey) place() uint64 { return binary.BigEndian.Uint64(k[8:]) }

// find returns the ID's key, the slot where it is or belongs, and its number where it is there.
func (s *IDs) find(id ID) (key idKey, at uint64, n uint32) {
	key = keyOf(id)
	mask := uint64(len(s.slots) - 1)
	for at = s.hash(key, id) & mask; s.slots[at] != 0; at = (at + 1) & mask {
		n = s.slots[at] - 1
		has := &s.keys[n]
		if !key.other() && *has == key || key.other() && has.other() && s.others[has.place()] == id {
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
	for n, key := range s.keys {
		id := ID("")
		if key.other() {
			id = s.others[key.place()]
		}
		at := s.hash(key, id) & mask
		for s.slots[at] != 0 {
			at = (at + 1) & mask
		}
		s.slots[at] = uint32(n + 1)
	}
}

// keyOf returns a GUID's bytes, or noGUID and nothing.
func keyOf(id ID) (key idKey) {
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		n := 0
		for i := 0; i < len(id); {
			if id[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23) {
				i++
				continue
			}
			high, ok1 := nibble(id[i])
			low, ok2 := nibble(id[i+1])
			if !ok1 || !ok2 {
				return other()
			}
			key[n] = high<<4 | low
			n++
			i += 2
		}
		if !key.other() {
			return key
		}
	}
	return other()
}

func other() (key idKey) {
	copy(key[:], noGUID[:])
	return key
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
