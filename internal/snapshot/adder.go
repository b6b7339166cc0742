package snapshot

import (
	"encoding/binary"
	"math/bits"

	"github.com/cloudflare/circl/simd/keccakf1600"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// rate is how many bytes of a block SHAKE256 takes in or gives at a time (FIPS 202, section 6.2).
const rate = 136

// lanes is how many texts an Adder hashes side by side.
const lanes = 4

// An Adder changes a sum by many texts, of which it hashes four at a time where the processor can. It is as good as calling
// the methods of a Sum one by one. It is not safe for concurrent use.
type Adder struct {
	sum   Sum
	state *keccakf1600.StateX4 // on the heap, since it may not move
	words []uint64             // of the state: word w of text i at lanes*w+i
	n     int                  // texts that wait
	texts [lanes][rate]byte    // padded
	out   [lanes]bool          // whether to take out
}

// NewAdder returns an Adder that begins with a sum.
func NewAdder(sum Sum) *Adder {
	a := &Adder{sum: sum}
	if keccakf1600.IsEnabledX4() {
		a.state = new(keccakf1600.StateX4)
		a.words = a.state.Initialize(false)
	}
	return a
}

// AddEntry takes in an object in a version.
func (a *Adder) AddEntry(r entra.Ref, v entra.Version) {
	var room [2 * rate]byte
	a.put(entryText(room[:0], r, v), false)
}

// SubEntry takes out an object in a version, which must be in it.
func (a *Adder) SubEntry(r entra.Ref, v entra.Version) {
	var room [2 * rate]byte
	a.put(entryText(room[:0], r, v), true)
}

// AddLink takes in a link.
func (a *Adder) AddLink(l entra.Link) {
	var room [2 * rate]byte
	a.put(linkText(room[:0], l), false)
}

// SubLink takes out a link, which must be in it.
func (a *Adder) SubLink(l entra.Link) {
	var room [2 * rate]byte
	a.put(linkText(room[:0], l), true)
}

// Sum returns the sum with all that it was given.
func (a *Adder) Sum() *Sum {
	a.flush()
	return &a.sum
}

func (a *Adder) put(text []byte, out bool) {
	if a.state == nil || len(text) >= rate { // more than a block, and few are
		a.sum.put(text, out)
		return
	}
	block := &a.texts[a.n]
	clear(block[copy(block[:], text):])
	block[len(text)] = 0x1f // what tells SHAKE from others, and the padding (FIPS 202, sections 6.2 and 5.1)
	block[rate-1] |= 0x80
	a.out[a.n] = out
	if a.n++; a.n == lanes {
		a.flush()
	}
}

// flush hashes the texts that wait and adds them up, word by word, each with a carry of its own.
func (a *Adder) flush() {
	if a.n == 0 {
		return
	}
	clear(a.words)
	for i := range a.n {
		for w := range rate / 8 {
			a.words[lanes*w+i] = binary.LittleEndian.Uint64(a.texts[i][8*w:])
		}
	}
	var carry [lanes]uint64
	for at := range a.sum {
		w := at % (rate / 8)
		if w == 0 {
			a.state.Permute()
		}
		word := a.sum[at]
		for i, n := range a.words[lanes*w : lanes*w+a.n] {
			if a.out[i] {
				word, carry[i] = bits.Sub64(word, n, carry[i])
			} else {
				word, carry[i] = bits.Add64(word, n, carry[i])
			}
		}
		a.sum[at] = word
	}
	a.n = 0
}
