package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Acts reports whether somebody can act as an object of the type, or through it, until it is off.
func (r *Resource) Acts() bool {
	return slices.ContainsFunc(r.Properties, func(p Property) bool { return p.Still })
}

// Contained returns what is left of an object where nobody shall act as it, or through it, any more: off, and without
// credentials. It reports false where that is what it is already, or where objects of its type do nothing.
func Contained(o entra.Object) (entra.Object, bool) {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return o, false
	}
	m := o.Body.Decode()
	changed := false
	for _, p := range r.Properties {
		if !p.Still {
			continue
		}
		switch v := m[p.Name].(type) {
		case bool:
			m[p.Name], changed = false, changed || v
		case []any:
			delete(m, p.Name)
			changed = changed || len(v) > 0
		}
	}
	if !changed {
		return o, false
	}
	body, err := entra.Encode(m)
	return entra.Object{Ref: o.Ref, Body: body}, err == nil
}

// Powers returns whom an object that relates others gives what it allows: the holder of a role, who is eligible for one or for a
// group, the client of a consent, the principal of an application's role, and the person for whom alone a consent is. Source:
// Microsoft Graph documentation of these types.
func Powers(o entra.Object) (whom []entra.ID) {
	r, ok := Lookup(o.Ref.Type)
	if !ok || !r.Relates() || !r.Can.Has(Delete) {
		return nil
	}
	m := o.Body.Decode()
	for _, name := range []string{"principalId", "clientId", "roleMemberInfo.id"} {
		v, _ := entra.Get(m, name)
		if id, _ := v.(string); id != "" && slices.ContainsFunc(r.Properties, func(p Property) bool { return p.Name == name }) {
			whom = append(whom, entra.ID(id))
		}
	}
	return whom
}
