package diff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A Field is one property that differs. A value is what entra.Decode makes; nil is an absent one.
type Field struct {
	// Path names the property: members separated by dots, and elements of declared sets and keyed arrays
	// in brackets, as in conditions.users.excludeUsers[ID] and keyCredentials[keyId=ID].endDateTime.
	// Within brackets %, [ and ] are percent-encoded.
	Path          string
	Before, After any
}

// Bodies compares two bodies of one type property by property, ascending by path. Objects are compared by
// member where both sides have one; arrays that the declaration calls a set, or keyed, by element; all else
// whole. r can be nil: then no array is known to be either.
func Bodies(r *catalog.Resource, before, after entra.Body) []Field {
	if before == after {
		return nil
	}
	before, after = entra.Unlike(before, after) // most of two versions is the same, and need not be decoded
	fields := members(r, "", "", before.Decode(), after.Decode())
	slices.SortStableFunc(fields, func(a, b Field) int { return cmp.Compare(a.Path, b.Path) })
	return fields
}

// members compares two objects. path leads to them; name is path with each element selector as "[]".
func members(r *catalog.Resource, path, name string, before, after map[string]any) []Field {
	var fields []Field
	for member, b := range before {
		if a, ok := after[member]; ok {
			fields = append(fields, value(r, under(path, member), under(name, member), b, a)...)
		} else {
			fields = append(fields, value(r, under(path, member), under(name, member), b, nil)...)
		}
	}
	for member, a := range after {
		if _, ok := before[member]; !ok {
			fields = append(fields, value(r, under(path, member), under(name, member), nil, a)...)
		}
	}
	return fields
}

func under(path, member string) string {
	if path == "" {
		return member
	}
	return path + "." + member
}

func value(r *catalog.Resource, path, name string, before, after any) []Field {
	if text(before) == text(after) {
		return nil
	}
	b, isMap := before.(map[string]any)
	if a, ok := after.(map[string]any); ok && isMap {
		return members(r, path, name, b, a)
	}
	if p, ok := declared(r, name); ok {
		if fields, ok := elements(r, p, path, name, before, after); ok {
			return fields
		}
	}
	return []Field{{path, before, after}}
}

// declared finds the declaration of a set or a keyed array.
func declared(r *catalog.Resource, name string) (catalog.Property, bool) {
	if r != nil {
		for _, p := range r.Properties {
			if p.Name == name && (p.Set || p.Key != "") {
				return p, true
			}
		}
	}
	return catalog.Property{}, false
}

// elements compares two arrays by element. It reports false where that would lose something: where a side is
// neither an array nor absent, or two elements go by the same name.
func elements(r *catalog.Resource, p catalog.Property, path, name string, before, after any) ([]Field, bool) {
	b, ok := selectors(p, before)
	if !ok {
		return nil, false
	}
	a, ok := selectors(p, after)
	if !ok {
		return nil, false
	}
	var fields []Field
	for s, was := range b {
		is, both := a[s]
		wasMap, ok1 := was.(map[string]any)
		isMap, ok2 := is.(map[string]any)
		switch {
		case !both:
			fields = append(fields, Field{path + s, was, nil})
		case ok1 && ok2:
			fields = append(fields, members(r, path+s, name+"[]", wasMap, isMap)...)
		}
	}
	for s, is := range a {
		if _, both := b[s]; !both {
			fields = append(fields, Field{path + s, nil, is})
		}
	}
	// Taking the last element away leaves an array without elements, or none, as the type has it. Where the
	// bodies disagree with that it is a difference of its own.
	if len(a) == 0 && (after == nil) != (left(r) == nil) && !(before == nil && after == nil) {
		fields = append(fields, Field{path, left(r), after})
	}
	if len(fields) == 0 {
		return nil, false // the same elements in another order
	}
	return fields, true
}

// left is what remains of a set without elements. Types that are read by delta lose it, because a delta
// leaves it out, and so do their recycle bins.
func left(r *catalog.Resource) any {
	if live, ok := catalog.Lookup(r.Live); r.Delta != "" || ok && live.Delta != "" {
		return nil
	}
	return []any{}
}

// selectors returns the elements of an array by their selector, "[VALUE]" or "[KEY=VALUE]".
func selectors(p catalog.Property, array any) (map[string]any, bool) {
	if array == nil {
		return nil, true
	}
	list, ok := array.([]any)
	if !ok {
		return nil, false
	}
	found := make(map[string]any, len(list))
	for _, e := range list {
		s, ok := selector(p, e)
		if _, twice := found[s]; !ok || twice {
			return nil, false
		}
		found[s] = e
	}
	return found, true
}

func selector(p catalog.Property, element any) (string, bool) {
	if p.Key == "" {
		return "[" + escape(bare(element)) + "]", true
	}
	m, ok := element.(map[string]any)
	if !ok || m[p.Key] == nil {
		return "", false
	}
	return "[" + p.Key + "=" + escape(bare(m[p.Key])) + "]", true
}

// bare is a string as it is, and any other value as JSON.
func bare(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return text(v)
}

func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(s, "%", "%25"), "[", "%5B"), "]", "%5D")
}

func unescape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(s, "%5D", "]"), "%5B", "["), "%25", "%")
}

func text(v any) string {
	s, err := entra.Text(v)
	if err != nil {
		panic("diff: " + err.Error()) // bodies hold nothing else
	}
	return s
}

// An Element is one name on a path: a member, or an element of an array.
type Element struct {
	Member string // "" for an element of an array
	Key    string // the member that the element is told apart by; "" for an element of a set
	Value  string // what the element is, or what its Key holds
}

// Split takes a path apart. r says which arrays are keyed; without it an element's Value holds the key too.
// It refuses brackets without an end and empty names.
func Split(r *catalog.Resource, path string) ([]Element, error) {
	var found []Element
	name := ""
	for rest := path; rest != "" || len(found) == 0; {
		if in, ok := strings.CutPrefix(rest, "["); ok && len(found) > 0 {
			s, after, ok := strings.Cut(in, "]")
			if !ok {
				return nil, fmt.Errorf("path %q: a bracket is not closed", path)
			}
			e := Element{Value: s}
			if p, ok := declared(r, name); ok && p.Key != "" {
				if v, ok := strings.CutPrefix(s, p.Key+"="); ok {
					e = Element{Key: p.Key, Value: v}
				}
			}
			e.Value = unescape(e.Value)
			found = append(found, e)
			name, rest = name+"[]", after
		} else {
			stop := ".["
			if strings.HasPrefix(rest, "@") {
				stop = "[" // an annotation's name holds dots
			}
			n := strings.IndexAny(rest, stop)
			if n < 0 {
				n = len(rest)
			}
			if n == 0 {
				return nil, fmt.Errorf("path %q: a name is empty", path)
			}
			found = append(found, Element{Member: rest[:n]})
			name, rest = under(name, rest[:n]), rest[n:]
		}
		if next, ok := strings.CutPrefix(rest, "."); ok {
			if next == "" {
				return nil, fmt.Errorf("path %q: a name is empty", path)
			}
			rest = next
		}
	}
	return found, nil
}

// With returns the body with each field's After in its place: With(r, before, Bodies(r, before, after)) is
// after. Elements that a field takes away and the body does not have stay away.
func With(r *catalog.Resource, b entra.Body, fields []Field) (entra.Body, error) {
	m := b.Decode()
	for _, f := range fields {
		path, err := Split(r, f.Path)
		if err != nil {
			return "", err
		}
		v, err := put(r, m, path, "", f.After)
		if err != nil {
			return "", fmt.Errorf("put %s: %w", f.Path, err)
		}
		m = v.(map[string]any)
	}
	return entra.Encode(m)
}

// put returns the value at with v stored at path below it.
func put(r *catalog.Resource, at any, path []Element, name string, v any) (any, error) {
	if len(path) == 0 {
		return v, nil
	}
	e := path[0]
	if e.Member != "" {
		m, ok := at.(map[string]any)
		if at != nil && !ok {
			return nil, fmt.Errorf("%s is not an object", name)
		}
		in, err := put(r, m[e.Member], path[1:], under(name, e.Member), v)
		if err != nil {
			return nil, err
		}
		m = maps.Clone(m)
		if m == nil {
			m = map[string]any{}
		}
		if m[e.Member] = in; in == nil {
			delete(m, e.Member)
		}
		if at == nil && len(m) == 0 {
			return nil, nil
		}
		return m, nil
	}
	list, ok := at.([]any)
	if at != nil && !ok {
		return nil, fmt.Errorf("%s is not an array", name)
	}
	p, ok := declared(r, name)
	if !ok {
		return nil, fmt.Errorf("%s has no elements to tell apart", name)
	}
	i := slices.IndexFunc(list, func(x any) bool {
		s, ok := selector(p, x)
		return ok && s == bracket(e)
	})
	var was any
	if i >= 0 {
		was = list[i]
	}
	is, err := put(r, was, path[1:], name+"[]", v)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	switch {
	case i < 0 && is == nil:
		return at, nil
	case i < 0:
		list = append(list, is)
	case is == nil:
		list = slices.Delete(list, i, i+1)
	default:
		list[i] = is
	}
	if len(list) == 0 {
		return left(r), nil
	}
	slices.SortStableFunc(list, func(x, y any) int {
		if p.Key != "" {
			mx, _ := x.(map[string]any)
			my, _ := y.(map[string]any)
			if n := strings.Compare(text(mx[p.Key]), text(my[p.Key])); n != 0 {
				return n
			}
		}
		return strings.Compare(text(x), text(y))
	})
	return list, nil
}

func bracket(e Element) string {
	if e.Key != "" {
		return "[" + e.Key + "=" + escape(e.Value) + "]"
	}
	return "[" + escape(e.Value) + "]"
}
