package entra

import (
	"errors"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// errForm is what Check says of JSON in another form than the canonical one.
var errForm = errors.New("json: not in canonical form")

// Check returns nil if b is its own canonical form, and else an error that says why it is not. It is much cheaper than
// making the form anew.
func (b Body) Check() error {
	if c := (checker{s: string(b)}); c.object(0) && c.i == len(b) {
		return nil
	}
	again, err := Canonical([]byte(b))
	if err == nil && again != b {
		err = errForm
	}
	return err
}

// A checker knows the canonical form of what most bodies are made of. Where it reports false there is doubt, and no more.
type checker struct {
	s string
	i int
}

// next takes one byte, if it is that.
func (c *checker) next(b byte) bool {
	if c.i < len(c.s) && c.s[c.i] == b {
		c.i++
		return true
	}
	return false
}

// value takes a value; null only in an array.
func (c *checker) value(depth int, null bool) bool {
	if c.i == len(c.s) || depth > maxDepth {
		return false
	}
	switch c.s[c.i] {
	case '{':
		return c.object(depth)
	case '[':
		return c.array(depth)
	case '"':
		_, ok := c.text()
		return ok
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return null && c.word("null")
	}
	return c.integer()
}

func (c *checker) word(w string) bool {
	ok := strings.HasPrefix(c.s[c.i:], w)
	c.i += len(w)
	return ok
}

func (c *checker) integer() bool {
	first := c.i
	for c.i < len(c.s) && c.s[c.i] >= '0' && c.s[c.i] <= '9' {
		c.i++
	}
	return c.i == first+1 || c.i > first && c.s[first] != '0'
}

// Bits of eight bytes: the lowest and the highest of each.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// eight returns the first eight bytes of a text, the first in the lowest place.
func eight(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// marks sets the highest bit of the first byte of eight that is a quote, a backslash or a control character; of those above it
// may set more.
func marks(w uint64) uint64 {
	quote, slash := w^('"'*ones), w^('\\'*ones)
	return (((w - ' '*ones) &^ w) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)) & highs
}

// text takes a string without escapes and returns what is in it.
func (c *checker) text() (string, bool) {
	if !c.next('"') {
		return "", false
	}
	ascii := true
	first := c.i
	for len(c.s)-c.i >= 8 { // eight bytes at a time
		w := eight(c.s[c.i:])
		plain := bits.TrailingZeros64(marks(w)) / 8 // 8 where all are
		ascii = ascii && w&highs<<(8*(8-plain)) == 0
		if c.i += plain; plain < 8 {
			break
		}
	}
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			c.i++
			t := c.s[first : c.i-1]
			return t, ascii || utf8.ValidString(t)
		case b < ' ' || b == '\\':
			return "", false
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", false
}

func (c *checker) array(depth int) bool {
	c.i++
	if c.next(']') {
		return true
	}
	for c.value(depth+1, true) {
		if !c.next(',') {
			return c.next(']')
		}
	}
	return false
}

func (c *checker) object(depth int) bool {
	if !c.next('{') {
		return false
	}
	if c.next('}') {
		return true
	}
	var seen folds
	var names [64]string
	for n := range names {
		name, ok := c.text()
		if !ok || n > 0 && compareUTF16(names[n-1], name) >= 0 {
			return false
		}
		if seen.add(name) {
			for _, other := range names[:n] {
				if strings.EqualFold(other, name) {
					return false
				}
			}
		}
		names[n] = name
		if !c.next(':') || !c.value(depth+1, false) {
			return false
		}
		if !c.next(',') {
			return c.next('}')
		}
	}
	return false
}
