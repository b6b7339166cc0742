package emulator

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// schemas hold, for each type of object, its properties as the published
// v1.0 metadata and the reference pages of Microsoft Graph state them: type,
// nullability, whether a property is returned by default, when it may be
// written, its length limit. Complex types and enumerations are those the
// properties lead to.
//
//go:embed schema/*.json
var schemas embed.FS

type property struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
	Returned string `json:"returned"` // "" means default; "select" or "never"
	Write    string `json:"write"`    // any of 'c' (create) and 'u' (update)
	Max      int    `json:"max"`      // most characters; 0 means no stated limit
	Single   bool   `json:"single"`   // readable on a single object only
	Profile  bool   `json:"profile"`  // kept in the profile store: own PATCH, delegated only
	Exchange bool   `json:"exchange"` // kept in the mail store: own PATCH, delegated only
	Beta     bool   `json:"beta"`
	People   bool   `json:"people"` // shown to and taken from people only, from no application

	extension bool // a directory extension: no part of the metadata
	masked    bool // its type leads to an enumeration with members after unknownFutureValue
	coll      bool
	elem      string
	key       []byte // `"name":`
}

type typeInfo struct {
	Name           string
	Props          []*property `json:"props"`
	ReadOnlyInside []string    `json:"readOnlyInside"`
	Required       []string    `json:"required"`
	Relationships  []string    `json:"relationships"`
	Open           bool        `json:"open"`
	Abstract       bool        `json:"abstract"`
	Base           string      `json:"base"`

	byName   map[string]*property
	byFold   map[string]*property
	defaults []*property
	masked   bool
}

type enumInfo struct {
	Members []string `json:"members"`
	Flags   bool     `json:"flags"`
	late    []string // members after unknownFutureValue
}

type schema struct {
	Types   map[string]*typeInfo `json:"types"`
	Complex map[string]*typeInfo `json:"complex"`
	Enums   map[string]*enumInfo `json:"enums"`
}

func readSchema() (*schema, error) {
	s := &schema{Types: map[string]*typeInfo{}, Complex: map[string]*typeInfo{}, Enums: map[string]*enumInfo{}}
	names, err := fs.Glob(schemas, "schema/*.json")
	if err != nil {
		return nil, fmt.Errorf("list embedded schemas: %w", err)
	}
	for _, name := range names {
		b, err := schemas.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read embedded schema: %w", err)
		}
		in := new(schema)
		if err := json.Unmarshal(b, in); err != nil {
			return nil, fmt.Errorf("read embedded schema %s: %w", name, err)
		}
		maps.Copy(s.Types, in.Types)
		maps.Copy(s.Complex, in.Complex)
		maps.Copy(s.Enums, in.Enums)
	}
	for _, e := range s.Enums {
		if i := slices.Index(e.Members, "unknownFutureValue"); i >= 0 {
			e.late = e.Members[i+1:]
		}
	}
	prepare := func(name string, t *typeInfo) {
		t.Name = name
		t.byName = make(map[string]*property, len(t.Props))
		t.byFold = make(map[string]*property, len(t.Props))
		for _, p := range t.Props {
			p.elem, p.coll = p.Type, false
			if in, ok := strings.CutPrefix(p.Type, "Collection("); ok {
				p.elem, p.coll = strings.TrimSuffix(in, ")"), true
			}
			p.key = append(appendString(nil, p.Name), ':')
			t.byName[p.Name] = p
			t.byFold[strings.ToLower(p.Name)] = p
			if p.Returned == "" {
				t.defaults = append(t.defaults, p)
			}
		}
	}
	for n, t := range s.Types {
		prepare(n, t)
	}
	for n, t := range s.Complex {
		prepare(n, t)
	}
	// A type is masked when a value of it can hold a late enumeration member.
	for changed := true; changed; {
		changed = false
		for _, m := range []map[string]*typeInfo{s.Complex, s.Types} {
			for _, t := range m {
				for _, p := range t.Props {
					if p.masked {
						continue
					}
					e, c := s.Enums[p.elem], s.Complex[p.elem]
					if e != nil && len(e.late) > 0 || c != nil && c.masked {
						p.masked, t.masked, changed = true, true, true
					}
				}
			}
		}
	}
	return s, nil
}

// mask replaces enumeration members that were added after unknownFutureValue,
// as the service does for callers that did not ask for them (Microsoft Graph
// documentation, best practices, evolvable enumerations).
func (s *schema) mask(typ string, v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = s.mask(typ, v[i])
		}
		return out
	case string:
		e := s.Enums[typ]
		if e == nil {
			return v
		}
		if slices.Contains(e.late, v) {
			return "unknownFutureValue"
		}
		if strings.Contains(v, ",") {
			for part := range strings.SplitSeq(v, ",") {
				if slices.Contains(e.late, strings.TrimSpace(part)) {
					return "unknownFutureValue"
				}
			}
		}
		return v
	case map[string]any:
		c := s.Complex[typ]
		if c == nil {
			return v
		}
		out := make(map[string]any, len(v))
		for k, x := range v {
			if p := c.byName[k]; p != nil && p.masked {
				x = s.mask(p.elem, x)
			}
			out[k] = x
		}
		return out
	}
	return v
}
