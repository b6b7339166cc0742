package graph

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits on what an answer may contain, far above anything the service sends.
const (
	maxDepth  = 64
	maxObject = 4 << 20 // bytes; envelopes are exempt
	maxString = 1 << 20 // bytes as sent; names too
	maxPacked = 6 << 20 // of a string in the envelope of a batch, which can be an answer in base64
	maxArray  = 100_000 // elements
)

// A member of the outermost object of an answer.
type field struct {
	name       string
	start, end int64 // of the value
	kind       jsontext.Kind
	items      []jsontext.Value // if the value is an array
}

// scan checks that body is one JSON value and nothing else: valid UTF-8, no name twice in an object, nor two
// that differ only in case, nothing too deep or too large. If it is an object, its members are returned in
// order. Values alias body. Objects down to the depth given as envelopes may be of any size.
func scan(body []byte, envelopes int) ([]field, error) {
	s := &scanner{body: body, envelopes: envelopes, dec: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))}
	fields, err := s.root()
	if err != nil {
		return nil, explain(err)
	}
	if _, err := s.dec.ReadToken(); err != io.EOF {
		return nil, errors.New("text follows the JSON value")
	}
	return fields, nil
}

// explain turns an error of the decoder into one that holds no text of the answer.
func explain(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON text ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("not valid JSON at byte %d", syntax.ByteOffset)
	}
	return err
}

type scanner struct {
	body      []byte
	envelopes int
	dec       *jsontext.Decoder // which lets a name occur twice: distinct does not
	names     [][]byte          // of the objects around, the innermost last
}

func (s *scanner) root() ([]field, error) {
	if s.dec.PeekKind() != '{' {
		_, _, err := s.value(1)
		return nil, err
	}
	var fields []field
	err := s.object(1, func(name []byte) error {
		kind := s.dec.PeekKind()
		f := field{name: string(name), kind: kind}
		var err error
		if kind == '[' {
			f.start, f.items, err = s.array(2)
		} else {
			f.start, _, err = s.value(2)
		}
		f.end = s.dec.InputOffset()
		fields = append(fields, f)
		return err
	})
	return fields, err
}

// value reads one value at the given depth and returns where it starts.
func (s *scanner) value(depth int) (start int64, kind jsontext.Kind, err error) {
	kind = s.dec.PeekKind()
	switch kind {
	case '{':
		before := s.dec.InputOffset()
		err = s.object(depth, func([]byte) error {
			_, _, err := s.value(depth + 1)
			return err
		})
		start = s.skipTo(before)
		if err == nil && depth > s.envelopes && s.dec.InputOffset()-start > maxObject {
			err = fmt.Errorf("an object has more than %d bytes", maxObject)
		}
		return start, kind, err
	case '[':
		before := s.dec.InputOffset()
		_, _, err = s.array(depth)
		return s.skipTo(before), kind, err
	}
	before := s.dec.InputOffset()
	if _, err = s.dec.ReadToken(); err != nil {
		return 0, kind, err
	}
	start = s.skipTo(before)
	most := int64(maxString)
	if s.envelopes > 1 {
		most = maxPacked
	}
	if kind == '"' && s.dec.InputOffset()-start > most {
		err = fmt.Errorf("a string has more than %d bytes", most)
	}
	return start, kind, err
}

// skipTo returns the offset of the value that follows the token ending at i.
func (s *scanner) skipTo(i int64) int64 {
	for int(i) < len(s.body) && strings.IndexByte(" \t\r\n,:", s.body[i]) >= 0 {
		i++
	}
	return i
}

func (s *scanner) array(depth int) (start int64, items []jsontext.Value, err error) {
	if depth > maxDepth {
		return 0, nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if _, err := s.dec.ReadToken(); err != nil {
		return 0, nil, err
	}
	start = s.dec.InputOffset() - 1
	keep := depth == 2
	if keep {
		items = []jsontext.Value{}
	}
	for n := 0; s.dec.PeekKind() != ']'; n++ {
		if n == maxArray {
			return start, nil, fmt.Errorf("an array has more than %d elements", maxArray)
		}
		from, _, err := s.value(depth + 1)
		if err != nil {
			return start, nil, err
		}
		if to := s.dec.InputOffset(); keep {
			items = append(items, jsontext.Value(s.body[from:to:to]))
		}
	}
	_, err = s.dec.ReadToken()
	return start, items, err
}

// object reads an object, calling member for the value of each name.
func (s *scanner) object(depth int, member func(name []byte) error) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if _, err := s.dec.ReadToken(); err != nil {
		return err
	}
	first, ascii := len(s.names), true
	var many map[string]bool
	for s.dec.PeekKind() != '}' {
		before := s.dec.InputOffset()
		quoted, err := s.dec.ReadValue()
		if err != nil {
			return err
		}
		if len(quoted) > maxString {
			return fmt.Errorf("a name has more than %d bytes", maxString)
		}
		name, err := s.plain(s.skipTo(before), s.dec.InputOffset())
		if err != nil {
			return err
		}
		if len(s.names)-first < 64 {
			ascii = ascii && isASCII(name)
			if err := distinct(s.names[first:], name, ascii); err != nil {
				return err
			}
			s.names = append(s.names, name)
		} else {
			if many == nil {
				many = map[string]bool{}
				for _, other := range s.names[first:] {
					many[strings.ToLower(string(other))] = true
				}
			}
			lower := strings.ToLower(string(name))
			if many[lower] {
				return errAlike
			}
			many[lower] = true
		}
		if err := member(name); err != nil {
			return err
		}
	}
	s.names = s.names[:first]
	_, err := s.dec.ReadToken()
	return err
}

var errAlike = errors.New("an object has a name twice, or two that differ only in case")

// plain returns what the string between two offsets says. It aliases the body where nothing is escaped.
func (s *scanner) plain(from, to int64) ([]byte, error) {
	quoted := s.body[from:to]
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	return jsontext.AppendUnquote(nil, quoted)
}

// distinct refuses a name that one of the others is equal to but for case. Only where one is not ASCII can two of different
// length be that.
func distinct(others [][]byte, name []byte, ascii bool) error {
	for _, other := range others {
		if (len(other) == len(name) || !ascii) && bytes.EqualFold(other, name) {
			return errAlike
		}
	}
	return nil
}

func isASCII(name []byte) bool {
	for _, b := range name {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
