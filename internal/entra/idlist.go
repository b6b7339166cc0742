package entra

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// An IDList is a list of IDs that numbers them from 0 on. One that is a GUID in lower case, as most of the service's are,
// takes 16 bytes, any other about 40 more than it is long. The zero value is empty. It is not safe for concurrent use.
type IDList struct {
	keys   []idKey
	others []ID // those that are no GUIDs
}

// An idKey is a GUID's bytes, or noGUID and a place among the others.
type idKey [16]byte

// noGUID begins the key of an ID that is no GUID. A GUID that begins so is held as if it were none.
var noGUID = [8]byte{'n', 'o', ' ', 'G', 'U', 'I', 'D', 0}

// Len returns how many IDs there are.
func (l *IDList) Len() int { return len(l.keys) }

// Add puts the ID at the end, whether or not the list has it.
func (l *IDList) Add(id ID) { l.add(keyOf(id), id) }

func (l *IDList) add(key idKey, id ID) {
	if key.other() {
		binary.BigEndian.PutUint64(key[8:], uint64(len(l.others)))
		l.others = append(l.others, id)
	}
	l.keys = append(l.keys, key)
}

// At returns the ID with the number, which must be below Len.
func (l *IDList) At(n uint32) ID {
	k := l.keys[n]
	if k.other() {
		return l.others[k.place()]
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

// Compare orders the IDs with two numbers bytewise, as text.
func (l *IDList) Compare(m, n uint32) int {
	if x, y := &l.keys[m], &l.keys[n]; !x.other() && !y.other() {
		return bytes.Compare(x[:], y[:]) // hexadecimal digits in lower case are in the order of what they stand for
	}
	return strings.Compare(string(l.At(m)), string(l.At(n)))
}

func (k *idKey) other() bool   { return [8]byte(k[:8]) == noGUID }
func (k *idKey) place() uint64 { return binary.BigEndian.Uint64(k[8:]) }

// pairs is where in a GUID's text its bytes are.
var pairs = [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// nibbles is what each digit of a GUID in lower case stands for.
var nibbles = func() (all [256]byte) {
	for c := range all {
		all[c] = byte(strings.IndexByte("0123456789abcdef", byte(c))) // -1, and so all bits, where it is none
	}
	return all
}()

// keyOf returns a GUID's bytes, or noGUID and nothing.
func keyOf(id ID) (key idKey) {
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		var all byte
		for n, at := range pairs {
			high, low := nibbles[id[at]], nibbles[id[at+1]]
			all |= high | low
			key[n] = high<<4 | low
		}
		if all <= 0xf && !key.other() {
			return key
		}
	}
	return other()
}

func other() (key idKey) {
	copy(key[:], noGUID[:])
	return key
}
