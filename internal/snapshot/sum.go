package snapshot

import (
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A Sum adds up what a tree has of one part, in any order; the zero Sum is that of nothing. Each object and each link is a
// number of 4,096 bits that SHAKE256 makes of its text, and they are added modulo 2^4096: AdHASH of Bellare and Micciancio
// ("A New Paradigm for Collision-Free Hashing", EUROCRYPT 1997). So a change of a part costs what has changed. To find
// another content with the same sum takes some 2^128 steps (Wagner, "A Generalized Birthday Problem", CRYPTO 2002).
// doc/format.md says the same in full.
type Sum [64]uint64 // the least significant first

// sumSize is how many bytes a Sum has.
const sumSize = 8 * len(Sum{})

// Add takes in all that another sum has.
func (s *Sum) Add(t *Sum) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], t[i], carry)
	}
}

// AddEntry takes in an object in a version.
func (s *Sum) AddEntry(r entra.Ref, v entra.Version) {
	var room [256]byte
	s.put(entryText(room[:0], r, v), false)
}

// SubEntry takes out an object in a version, which must be in it.
func (s *Sum) SubEntry(r entra.Ref, v entra.Version) {
	var room [256]byte
	s.put(entryText(room[:0], r, v), true)
}

// AddLink takes in a link.
func (s *Sum) AddLink(l entra.Link) {
	var room [256]byte
	s.put(linkText(room[:0], l), false)
}

// SubLink takes out a link, which must be in it.
func (s *Sum) SubLink(l entra.Link) {
	var room [256]byte
	s.put(linkText(room[:0], l), true)
}

// put adds the number of a text, or subtracts it.
func (s *Sum) put(text []byte, out bool) {
	var h sha3.SHAKE // the zero value is SHAKE256
	var b [sumSize]byte
	_, _ = h.Write(text)
	_, _ = h.Read(b[:]) // neither has an error to return
	var carry uint64
	for i := range s {
		n := binary.LittleEndian.Uint64(b[8*i:])
		if out {
			s[i], carry = bits.Sub64(s[i], n, carry)
		} else {
			s[i], carry = bits.Add64(s[i], n, carry)
		}
	}
}

// entryText is "TYPE/ID VERSION", the version in hexadecimal.
func entryText(b []byte, r entra.Ref, v entra.Version) []byte {
	b = append(append(append(append(b, r.Type...), '/'), r.ID...), ' ')
	return hex.AppendEncode(b, v[:])
}

// linkText is "FROM RELATION TO".
func linkText(b []byte, l entra.Link) []byte {
	b = append(append(append(append(b, l.From.Type...), '/'), l.From.ID...), ' ')
	b = append(append(b, l.Rel...), ' ')
	return append(append(append(b, l.To.Type...), '/'), l.To.ID...)
}

// Root returns the hash of the sum, which is what a snapshot keeps of it.
func (s *Sum) Root() Root { return sha256.Sum256(s.Bytes()) }

// Bytes returns the sum as 512 bytes, the least significant first.
func (s *Sum) Bytes() []byte {
	b := make([]byte, 0, sumSize)
	for _, word := range s {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

// SumOf is the inverse of Bytes. It reports false where there are not 512 bytes.
func SumOf(b []byte) (s Sum, ok bool) {
	if len(b) != sumSize {
		return s, false
	}
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return s, true
}
