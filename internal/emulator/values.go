package emulator

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Values returns other values than was that the metadata lets a property of a type have, by the name that Microsoft Graph
// gives the type. There are none where either is not known.
func (t *Tenant) Values(kind, property string, was any) []any {
	info := t.schema.Types[kind]
	for _, name := range slices.Sorted(maps.Keys(t.schema.Types)) {
		if info == nil && strings.HasSuffix(name, "."+kind) { // in a namespace of its own
			info = t.schema.Types[name]
		}
	}
	if info == nil || info.byName[property] == nil {
		return nil
	}
	return t.schema.others(info.byName[property], was, 2)
}

// others returns values of a property's type that differ from one; what is nested deeper is left out.
func (s *schema) others(p *property, was any, deep int) []any {
	if !p.coll {
		return s.alter(p.elem, was, deep)
	}
	var all []any
	list, _ := was.([]any)
	if len(list) > 1 {
		all = append(all, list[:1])
	}
	for i, e := range list {
		for _, other := range s.alter(p.elem, e, deep) {
			changed := slices.Clone(list)
			changed[i] = other
			all = append(all, changed)
		}
	}
	for _, e := range s.alter(p.elem, nil, deep) {
		if !slices.ContainsFunc(list, func(has any) bool { return equal(has, e) }) {
			all = append(all, append(slices.Clone(list), e))
		}
	}
	return all
}

func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// alter returns values of a type that differ from one.
func (s *schema) alter(kind string, was any, deep int) (all []any) {
	one := func(values ...any) []any {
		return slices.DeleteFunc(values, func(v any) bool { return equal(v, was) })
	}
	if e := s.Enums[kind]; e != nil {
		for _, m := range e.Members {
			if m != "unknownFutureValue" && !slices.Contains(e.late, m) {
				all = append(all, m)
			}
		}
		return one(all...)
	}
	if c := s.Complex[kind]; c != nil {
		if deep == 0 {
			return nil
		}
		had, _ := was.(map[string]any)
		for _, p := range c.Props {
			for _, v := range s.others(p, had[p.Name], deep-1) {
				changed := maps.Clone(had)
				if changed == nil {
					changed = map[string]any{}
				}
				changed[p.Name] = v
				all = append(all, changed)
			}
		}
		return all
	}
	switch name, _ := strings.CutPrefix(kind, "Edm."); name {
	case "String":
		text, _ := was.(string)
		return one(text+"x", "https://other.example/x", "2")
	case "Boolean":
		return one(true, false)
	case "Int16", "Int32", "Int64", "Byte":
		return one(json.Number("3"), json.Number("4"), json.Number("30"))
	case "Double", "Single", "Decimal":
		return one(json.Number("0.5"), json.Number("0.25"))
	case "DateTimeOffset":
		return one("2031-01-01T00:00:00Z")
	case "Date":
		return one("2031-01-01")
	case "TimeOfDay":
		return one("08:00:00")
	case "Duration":
		return one("P3D", "PT5H")
	case "Guid":
		return one("7e4d5c3a-1111-4222-8333-944444444444")
	case "Binary":
		return one("b3RoZXJz")
	}
	return nil
}
