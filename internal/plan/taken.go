package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A clash is a key of an object that a living one of base has.
type clash struct {
	catalog.Key
	holder entra.Object
}

// why says who has the key, and what to do.
func (c clash) why(value any, next string) string {
	return fmt.Sprintf("%s %v is taken by %s, %s; %s", c.Path, value, catalog.Name(c.holder), c.holder.Ref, next)
}

// clashes returns which keys of what is to be the object g of the goal another living object of base has, and keeps.
// One that this plan gives another value, or deletes, does not keep it.
func (m *maker) clashes(g entra.Ref, o entra.Object) (found []clash, err error) {
	own := m.baseName(g)
	for _, k := range catalog.Keys(o) {
		holders, err := m.holding(k.ID, own)
		if err != nil {
			return nil, err
		}
		for _, h := range holders {
			frees, err := m.frees(h, k)
			if err != nil {
				return nil, err
			}
			if !frees {
				found = append(found, clash{k, h})
				break
			}
		}
	}
	return found, nil
}

// holding returns the living objects of base but one that have a key.
func (m *maker) holding(key entra.ID, but entra.Ref) (all []entra.Object, err error) {
	for h, err := range m.world.Holders(m.ctx, key) {
		if err != nil {
			return nil, err
		}
		if h == but {
			continue
		}
		o, err := m.world.Object(m.ctx, h)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// frees reports whether the plan takes a key from its holder.
func (m *maker) frees(h entra.Object, k catalog.Key) (bool, error) {
	r, _ := catalog.Lookup(h.Ref.Type)
	g := m.goalName(h.Ref)
	if !m.wants(g) || catalog.Frozen(h) != "" || !m.whole() {
		return false, nil
	}
	is, there, err := get(m.ctx, m.goal, g)
	if err != nil {
		return false, err
	}
	if !there {
		return m.q.Scope.Delete && r.Can.Has(catalog.Delete) && !m.kept[h.Ref], nil
	}
	p, ok := r.Property(k.Path)
	same := func(o catalog.Key) bool { return o.ID == k.ID }
	return ok && p.Write == catalog.Both && !slices.ContainsFunc(catalog.Keys(is), same), nil
}

// spare returns other values for taken keys by property, so that the object can come back beside who has them now:
// a name that is free, and of a list what is not taken.
func (m *maker) spare(o entra.Object, taken []clash) (map[string]any, error) {
	set := map[string]any{}
	for _, c := range taken {
		switch v := value(set, o, c.Path).(type) {
		case string:
			for n := 1; ; n++ {
				other := catalog.Spare(v, n)
				free, err := m.free(o, c.Path, other)
				if err != nil {
					return nil, err
				}
				if free {
					set[c.Path] = other
					break
				}
			}
		case []any:
			rest := slices.DeleteFunc(slices.Clone(v), func(e any) bool { return claims(o, c, []any{e}) })
			set[c.Path] = rest
		}
	}
	return set, nil
}

// value returns what was set, else what the object has.
func value(set map[string]any, o entra.Object, property string) any {
	if v, ok := set[property]; ok {
		return v
	}
	v, _ := o.Body.Get(property)
	return v
}

// with returns the object with another value.
func with(o entra.Object, property string, v any) entra.Object {
	body := o.Body.Decode()
	body[property] = v
	if b, err := entra.Encode(body); err == nil { // every value came out of a body
		o.Body = b
	}
	return o
}

// claims reports whether the object would have the key by the value.
func claims(o entra.Object, c clash, v any) bool {
	return slices.ContainsFunc(catalog.Keys(with(o, c.Path, v)), func(k catalog.Key) bool { return k.ID == c.ID })
}

// free reports whether nobody has, or is given, the key that the object would have by the value; then it has it.
func (m *maker) free(o entra.Object, property, v string) (bool, error) {
	for _, k := range catalog.Keys(with(o, property, v)) {
		if k.Path != property {
			continue
		}
		holders, err := m.holding(k.ID, o.Ref)
		if err != nil || len(holders) > 0 || m.given[k.ID] != (entra.Ref{}) && m.given[k.ID] != o.Ref {
			return false, err
		}
		m.given[k.ID] = o.Ref
	}
	return true, nil
}

const (
	freeOrRename = "free it there, then restore this again, or ask for --rename-taken to bring this back beside it"
	freeFirst    = "free it there, then restore this again"
)

// clashing says why an undelete is refused for what others have, or "".
func (m *maker) clashing(r *catalog.Resource, bin entra.Object, taken []clash) string {
	var why []string
	for _, c := range taken {
		v, _ := bin.Body.Get(c.Path)
		switch {
		case !r.Spares(c.Path):
			why = append(why, c.why(c.of(v), freeFirst))
		case !m.q.RenameTaken:
			why = append(why, c.why(c.of(v), freeOrRename))
		}
	}
	return strings.Join(slices.Compact(why), "; and ")
}

// of is the value, or of a list the element, that is the key.
func (c clash) of(v any) any {
	if _, list := v.([]any); list {
		_, v, _ := strings.Cut(string(c.ID), " ")
		return v
	}
	return v
}

// wanted returns the clashes of a creation: those of what it sends.
func (m *maker) wanted(o entra.Object) ([]clash, error) {
	taken, err := m.clashes(o.Ref, o)
	sent := catalog.Writable(o)
	return slices.DeleteFunc(taken, func(c clash) bool { return sent[c.Path] == nil }), err
}

// occupied says why an object is not made anew for what others have, or "".
func (m *maker) occupied(o entra.Object) (string, error) {
	taken, err := m.wanted(o)
	if err != nil || len(taken) == 0 {
		return "", err
	}
	v, _ := o.Body.Get(taken[0].Path)
	return taken[0].why(v, freeOrRename), nil
}

// rename gives a creation free names in the place of taken ones, and tells it.
func (m *maker) rename(o entra.Object, set map[string]any) error {
	taken, err := m.wanted(o)
	if err != nil || len(taken) == 0 {
		return err
	}
	other, err := m.spare(o, taken)
	if err != nil {
		return err
	}
	for _, c := range taken {
		m.gap(o.Ref, catalog.Name(o), c.Path, c.why(set[c.Path], fmt.Sprintf("it comes back as %v; %s", other[c.Path], freeFirst)))
	}
	maps.Copy(set, other)
	return nil
}

// occupies says why a property cannot get the goal's value for what others have, or "".
func (m *maker) occupies(g entra.Object, taken []clash, path string) string {
	for _, c := range taken {
		if path == c.Path || strings.HasPrefix(path, c.Path+"[") && claims(g, c, []any{strings.TrimSuffix(path[len(c.Path)+1:], "]")}) {
			v, _ := g.Body.Get(c.Path)
			return c.why(c.of(v), freeFirst)
		}
	}
	return ""
}
