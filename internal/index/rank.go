package index

import (
	"encoding/binary"
	"errors"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A rank orders links by what they lead to: by type, and then roughly by ID.

// rankBits is how many bits of a rank say how the ID begins.
const rankBits = 22

// rank returns how an ID begins, as a number: of two IDs the greater never has the lesser one. Five hexadecimal digits in
// lower case, as a GUID begins with, are told apart whole; of anything else what comes after it does not count.
func rank(id entra.ID) (r int64) {
	const base, places = 19, 5 // 19^5 is less than 2^22
	exact := true
	for i := range places {
		digit := int64(0)
		if exact && i < len(id) {
			switch c := id[i]; {
			case c >= '0' && c <= '9':
				digit = 1 + int64(c-'0')
			case c >= 'a' && c <= 'f':
				digit = 12 + int64(c-'a')
			default: // it shares its digit with others
				exact = false
				if c > 'f' {
					digit = 18
				} else if c > '9' {
					digit = 11
				}
			}
		} else {
			exact = false
		}
		r = r*base + digit
	}
	return r
}

// A far end of a link goes to SQL as one number: rank and object's number, which is split at farBits.
const farBits = 28

func far(kind int64, id entra.ID, object int64) (int64, error) {
	if object >= 1<<farBits || kind >= 1<<(63-farBits-rankBits) {
		return 0, errors.New("more objects or types than an index can hold")
	}
	return (kind<<rankBits|rank(id))<<farBits | object, nil
}

// pack writes a position in a few bytes.
func pack(p repository.Position) []byte {
	b := make([]byte, 0, 24)
	for _, v := range []int64{p.Record, int64(p.Blob), p.Frame, int64(p.Size), int64(p.Off), int64(p.Len)} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

// unpack reads what pack wrote.
func unpack(b []byte) (p repository.Position, err error) {
	var v [6]uint64
	for i := range v {
		n := 0
		if v[i], n = binary.Uvarint(b); n <= 0 {
			return p, errors.New("a position is damaged")
		}
		b = b[n:]
	}
	return repository.Position{Record: int64(v[0]), Blob: int(v[1]), Frame: int64(v[2]), Size: int32(v[3]), Off: int32(v[4]), Len: int32(v[5])}, nil
}
