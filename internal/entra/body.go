package entra

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A Body is an object's properties as canonical JSON: one object, member names in the order of RFC 8785,
// no null members, no white space, numbers as they were received. It is a string because it never changes.
type Body string

// A Number is a JSON number as it was received, so that no digit is lost.
type Number string

// maxDepth bounds nesting, so that hostile input costs an error and not the stack.
const maxDepth = 64

// Version returns the SHA-256 of the body's bytes.
func (b Body) Version() Version { return sha256.Sum256([]byte(b)) }

// Canonical puts one JSON object into canonical form. Its result is its own canonical form.
func Canonical(raw []byte) (Body, error) {
	v, err := Decode(raw)
	if err != nil {
		return "", err
	}
	return Encode(v)
}

// Decode reads one JSON object strictly. Members are string, bool, Number, nil, []any or map[string]any.
// It refuses what the package refuses.
func Decode(raw []byte) (map[string]any, error) {
	return readObject(raw)
}

// A reader reads JSON. Names of members are few and come often, so it keeps one string of each; and objects at one depth
// tend to be of one type, so a map is made for as many members as the last one had there.
type reader struct {
	jsontext.Decoder
	names map[string]string
	sizes [maxDepth + 1]int
}

var readers = sync.Pool{New: func() any { return &reader{names: map[string]string{}} }}

func readObject(raw []byte) (map[string]any, error) {
	d := readers.Get().(*reader)
	defer readers.Put(d)
	d.Reset(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(false)) // decode sees them
	v, err := d.decode(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("json: text after the value")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("json: want an object")
	}
	return m, nil
}

// name reads the name of a member.
func (d *reader) name() (string, error) {
	const most, longest = 1 << 12, 64
	v, err := d.ReadValue()
	if err != nil {
		return "", fmt.Errorf("json: %w", err)
	}
	if v = v[1 : len(v)-1]; bytes.IndexByte(v, '\\') >= 0 {
		s, err := jsontext.AppendUnquote(nil, slices.Concat([]byte{'"'}, v, []byte{'"'}))
		return string(s), err
	}
	s, ok := d.names[string(v)]
	if !ok {
		if s = string(v); len(s) <= longest && len(d.names) < most {
			d.names[s] = s
		}
	}
	return s, nil
}

// alike returns a name that differs from another in case alone, or "". Only where both have the same hash of what case
// leaves of a letter, or one is not ASCII, are they compared.
func alike(m map[string]any) string {
	var seen folds
	for name := range m {
		if seen.add(name) {
			for other := range m {
				if other != name && strings.EqualFold(other, name) {
					return name
				}
			}
		}
	}
	return ""
}

// folds are hashes of names, equal for names that differ in case alone: a bit for each of 4,096.
type folds [64]uint64

// add reports whether a name that is alike may be among them, and adds it.
func (f *folds) add(name string) bool {
	h := uint64(len(name)) // as FNV-1a, of eight bytes at a time
	rest := name
	for ; len(rest) >= 8; rest = rest[8:] {
		w := eight(rest)
		if w&highs != 0 {
			return true
		}
		h = (h ^ w&(31*ones)) * 1099511628211
	}
	for i := range len(rest) {
		if rest[i] >= utf8.RuneSelf {
			return true
		}
		h = (h ^ uint64(rest[i]&31)) * 1099511628211
	}
	h ^= h >> 32
	word, bit := &f[h>>6&63], uint64(1)<<(h&63)
	may := *word&bit != 0
	*word |= bit
	return may
}

func (d *reader) decode(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("json: nested deeper than %d", maxDepth)
	}
	t, err := d.ReadToken()
	if err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	switch t.Kind() {
	case '{':
		m := make(map[string]any, d.sizes[depth])
		for d.PeekKind() != '}' {
			key, err := d.name()
			if err != nil {
				return nil, err
			}
			v, err := d.decode(depth + 1)
			if err != nil {
				return nil, err
			}
			n := len(m)
			if m[key] = v; len(m) == n {
				return nil, fmt.Errorf("json: member %q occurs twice", key)
			}
		}
		if name := alike(m); name != "" {
			return nil, fmt.Errorf("json: member %q occurs twice in different case", name)
		}
		d.sizes[depth] = min(len(m), 64)
		_, err := d.ReadToken()
		return m, err
	case '[':
		a := []any{}
		for d.PeekKind() != ']' {
			v, err := d.decode(depth + 1)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		_, err := d.ReadToken()
		return a, err
	case '"':
		return t.String(), nil
	case '0':
		return Number(t.String()), nil
	case 't', 'f':
		return t.Bool(), nil
	}
	return nil, nil
}

// Encode writes what Decode reads in canonical form. It refuses values that Decode cannot produce.
func Encode(v map[string]any) (Body, error) {
	b, err := appendValue(nil, v)
	return Body(b), err
}

// Text returns one value as canonical JSON, for comparing and for showing.
func Text(v any) (string, error) {
	b, err := appendValue(nil, v)
	return string(b), err
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		if v {
			return append(b, "true"...), nil
		}
		return append(b, "false"...), nil
	case string:
		return jsontext.AppendQuote(b, v)
	case Number:
		return append(b, v...), nil
	case []any:
		b = append(b, '[')
		var err error
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		names := make([]string, 0, len(v))
		for name, e := range v {
			if e != nil { // a null says the same as no member, and readers differ in which they get
				names = append(names, name)
			}
		}
		slices.SortFunc(names, compareUTF16)
		b = append(b, '{')
		var err error
		for i, name := range names {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = jsontext.AppendQuote(b, name); err != nil {
				return nil, err
			}
			b = append(b, ':')
			if b, err = appendValue(b, v[name]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("json: no canonical form for %T", v)
}

// compareUTF16 orders strings by UTF-16 code units, as RFC 8785 section 3.2.3 asks. It differs from the
// order of bytes only between the surrogate range and the code points U+E000 to U+FFFF.
func compareUTF16(x, y string) int {
	for i := 0; ; i++ {
		if i == len(x) || i == len(y) {
			return len(x) - len(y)
		}
		if x[i] != y[i] && x[i] < 0xEE && y[i] < 0xEE { // below U+E000 the orders are the same
			return int(x[i]) - int(y[i])
		}
		if x[i] != y[i] {
			break
		}
	}
	a, b := []rune(x), []rune(y)
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			if (a[i] > 0xFFFF) != (b[i] > 0xFFFF) {
				return int(lead(a[i])) - int(lead(b[i]))
			}
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

func lead(r rune) rune {
	if r > 0xFFFF {
		return 0xD800 + (r-0x10000)>>10
	}
	return r
}

// Decode returns the body's members. It panics on a Body that Canonical or Encode did not make.
func (b Body) Decode() map[string]any {
	if b == "" {
		return map[string]any{}
	}
	m, err := readObject([]byte(b))
	if err != nil {
		panic("entra: not a canonical body: " + err.Error())
	}
	return m
}

// Get returns the value at a path of member names separated by dots. It reports false where there is none.
func (b Body) Get(path string) (any, bool) {
	if strings.Contains(path, ".") {
		return Get(b.Decode(), path)
	}
	v, ok, err := b.member(path)
	if err != nil {
		panic("entra: not a canonical body: " + err.Error())
	}
	return v, ok
}

// member returns the value of one member and skips the others.
func (b Body) member(name string) (any, bool, error) {
	if b == "" {
		return nil, false, nil
	}
	d := readers.Get().(*reader)
	defer readers.Put(d)
	d.Reset(bytes.NewBufferString(string(b)), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return nil, false, err
	}
	for d.PeekKind() == '"' {
		key, err := d.name()
		if err != nil {
			return nil, false, err
		}
		if key == name {
			v, err := d.decode(1)
			return v, err == nil, err
		}
		if err := d.SkipValue(); err != nil {
			return nil, false, err
		}
	}
	return nil, false, nil
}

// Get returns the value at a path of member names separated by dots. A name that itself holds dots, as an
// annotation does, is found too, longest first.
func Get(m map[string]any, path string) (any, bool) {
	if v, ok := m[path]; ok {
		return v, true
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		if in, ok := m[path[:i]].(map[string]any); ok {
			if v, ok := Get(in, path[i+1:]); ok {
				return v, true
			}
		}
	}
	return nil, false
}

// Set stores value at a path of member names separated by dots, making the objects on the way; a nil value
// removes the member.
func Set(m map[string]any, path string, value any) {
	name, rest, deeper := strings.Cut(path, ".")
	if _, whole := m[path]; whole || !deeper {
		if value == nil {
			delete(m, path)
		} else {
			m[path] = value
		}
		return
	}
	in, ok := m[name].(map[string]any)
	if !ok {
		if value == nil {
			return
		}
		in = map[string]any{}
		m[name] = in
	}
	Set(in, rest, value)
}
