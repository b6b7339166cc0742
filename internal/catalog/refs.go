package catalog

import (
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A Reference is one mention of another object in a body.
type Reference struct {
	Path  string       // the name of the property's declaration
	ID    entra.ID     // what stands there
	Types []entra.Type // what it can be
	By    string       // the property of the target that ID is; "" is its ID
	Firm  bool         // without the target the service does not take the value, although By is not ""
}

// Refs returns the references in an object's body, in the order of their paths, then IDs, without repeats.
// Words that stand for many or none, such as All, are none, and neither is the all-zero GUID. A reference
// need not lead to an object of the tenant: an application's ID can be another tenant's.
func Refs(o entra.Object) []Reference {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return nil
	}
	refs := r.extensionRefs(o.Body)
	if !r.refers && refs == nil {
		return nil
	}
	mentions(o.Body.Decode(), r.tree, Property{}, func(p Property, s string) {
		if p.Loose && !slices.ContainsFunc(idsIn(s), func(id entra.ID) bool { return len(id) == 36 && guid(string(id)) }) {
			return
		}
		ids := idsIn(s)
		if p.Whole && !word(s) {
			ids = []entra.ID{entra.ID(s)}
		}
		for _, id := range ids {
			refs = append(refs, Reference{Path: p.Name, ID: id, Types: p.Ref, By: p.By, Firm: p.Firm})
		}
	})
	slices.SortFunc(refs, func(a, b Reference) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return slices.CompactFunc(refs, func(a, b Reference) bool { return a.Path == b.Path && a.ID == b.ID })
}

// Relates reports whether objects of the type do nothing but relate others: what recognises them is whom they name,
// so two that name the same are the same for every purpose, and the service keeps no second one.
func (r *Resource) Relates() bool {
	return slices.ContainsFunc(r.Match, func(name string) bool {
		return slices.ContainsFunc(r.Properties, func(p Property) bool { return p.Name == name && len(p.Ref) > 0 })
	})
}

// Likeness is what recognises an object of the type: two that have the same are the same, whatever their IDs. "" is nothing. IDs
// in it are taken as they are.
func (r *Resource) Likeness(o entra.Object) string {
	var b strings.Builder
	some := false
	body := o.Body.Decode()
	for _, name := range r.Match {
		v, ok := entra.Get(body, name)
		text, err := entra.Text(v)
		if !ok || err != nil {
			text = ""
		}
		some = some || ok && v != ""
		b.WriteString(strings.ToLower(text) + "\n")
	}
	if !some {
		return ""
	}
	if p, ok := Container(o.Ref); ok {
		b.WriteString(p.String())
	}
	return b.String()
}

// mentions calls f with every string that a Ref rules.
func mentions(v any, n *node, p Property, f func(Property, string)) {
	if n != nil && n.rule.Ref != nil {
		p = n.rule
	} else if n != nil && n.rule.Name != "" {
		p = Property{} // a nearer entry without Ref says that it is none
	}
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			if in := n.member(name); in != nil {
				mentions(e, in, Property{}, f)
			}
		}
	case []any:
		for _, e := range v {
			if _, text := e.(string); text {
				mentions(e, n.element(), p, f)
			} else {
				mentions(e, n.element(), Property{}, f)
			}
		}
	case string:
		if p.Ref != nil {
			f(p, v)
		}
	}
}

// word reports whether s is one of those that stand in the place of IDs without being one.
// Source: Microsoft Graph documentation of conditionalAccessUsers, conditionalAccessApplications,
// conditionalAccessLocations, conditionalAccessClientApplications, authenticationMethodTarget and
// crossTenantAccessPolicyTarget.
func word(s string) bool {
	switch s {
	case "", "/", "All", "None", "AllTrusted", "GuestsOrExternalUsers", "Office365", "MicrosoftAdminPortals",
		"ServicePrincipalsInMyTenant", "all_users", "AllUsers", "AllApplications", zero:
		return true
	}
	return false
}

const zero = "00000000-0000-0000-0000-000000000000"

// idsIn returns the IDs in a string: every GUID in it, or else the string itself or the last name of a
// path, unless it is a word, a rule or an address.
func idsIn(s string) []entra.ID {
	var ids []entra.ID
	guids := false
	for start, end := range guidsIn(s) {
		guids = true
		if id := strings.ToLower(s[start:end]); id != zero {
			ids = append(ids, entra.ID(id))
		}
	}
	if guids || word(s) || strings.ContainsAny(s, " ()\".:") {
		return ids
	}
	if i := strings.LastIndexByte(s, '/'); strings.HasPrefix(s, "/") {
		s = s[i+1:]
	}
	if s == "" {
		return nil
	}
	return []entra.ID{entra.ID(s)}
}

// guidsIn yields the start and the end of every dashed GUID in s.
func guidsIn(s string) func(yield func(int, int) bool) {
	return func(yield func(int, int) bool) {
		for i := 0; i+36 <= len(s); {
			if !guid(s[i:i+36]) || i > 0 && wordByte(s[i-1]) || i+36 < len(s) && wordByte(s[i+36]) {
				i++
				continue
			}
			if !yield(i, i+36) {
				return
			}
			i += 36
		}
	}
}

func guid(s string) bool {
	for i := range 36 {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !digit(s[i]) {
			return false
		}
	}
	return true
}

func digit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// Rename replaces IDs wherever the object mentions them: as whole strings, as a name of a path, and as GUIDs
// inside text, where the name of a directory extension holds its application's without dashes. It reaches
// the body and the object's own ID, and sorts sets again. ids can also map application IDs (appId) and
// whatever else identifies by GUID.
func Rename(o entra.Object, ids map[entra.ID]entra.ID) entra.Object {
	changes := changes(ids)
	if len(changes) == 0 {
		return o
	}
	o.Ref.ID = changes.own(o.Ref.ID)
	if o.Body == "{}" || o.Body == "" {
		return o
	}
	m, n := o.Body.Decode(), (*node)(nil)
	if r, ok := Lookup(o.Ref.Type); ok {
		n = r.tree
	}
	renamed := rename(m, n, changes).(map[string]any)
	body, err := entra.Encode(renamed)
	if err != nil {
		return o // unreachable: Decode made every value
	}
	o.Body = body
	return o
}

// changes are the IDs to be replaced. They are looked up and never gone through: there can be as many as a restore
// has created objects, and each of its steps asks.
type changes map[entra.ID]entra.ID

// own returns an object's ID with that of what contains it, which may have one of its own for all of it, replaced too.
func (c changes) own(id entra.ID) entra.ID {
	parts := id.Split()
	for i, p := range parts {
		if to, ok := c.of(string(p)); ok {
			parts[i] = entra.ID(to)
		}
	}
	last := len(parts) - 1
	switch last {
	case 0:
		return parts[0]
	case 1:
		return entra.Join(parts...)
	}
	in := id.In()
	if to, ok := c.of(string(in)); ok {
		in = entra.ID(to)
	} else {
		in = c.own(in)
	}
	return entra.Join(append(in.Split(), parts[last])...)
}

// RenameID replaces IDs in the ID of an object that others contain.
func RenameID(id entra.ID, ids map[entra.ID]entra.ID) entra.ID { return changes(ids).own(id) }

// of returns what a word is replaced by, if it is an ID, or a GUID without its dashes.
func (c changes) of(s string) (string, bool) {
	if to, ok := c[entra.ID(s)]; ok {
		return string(to), string(to) != s
	}
	if len(s) != 32 || strings.Contains(s, "-") {
		return "", false
	}
	dashed := strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
	to, ok := c[entra.ID(dashed)]
	if !ok || string(to) == dashed || len(to) != 36 || !guid(string(to)) || !guid(dashed) {
		return "", false
	}
	return strings.ReplaceAll(string(to), "-", ""), true
}

func rename(v any, n *node, changes changes) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			e = rename(e, n.member(name), changes)
			if strings.HasPrefix(name, "extension_") {
				name = renameText(name, changes)
			}
			out[name] = e
		}
		return out
	case []any:
		for i, e := range v {
			v[i] = rename(e, n.element(), changes)
		}
		if n != nil && (n.rule.Set || n.rule.Key != "") {
			return arrange(v, n.rule.Key)
		}
	case string:
		return renameText(v, changes)
	}
	return v
}

func renameText(s string, changes changes) string {
	if to, ok := changes.of(s); ok {
		return to
	}
	var b strings.Builder
	at := 0
	for i := 0; i < len(s); {
		if i > 0 && wordByte(s[i-1]) || !wordByte(s[i]) {
			i++
			continue
		}
		// A word is a run of what GUIDs and IDs are made of; it is replaced whole, so that no ID is ever
		// found inside a longer one.
		end := i
		for end < len(s) && wordByte(s[end]) {
			end++
		}
		if to, ok := changes.of(s[i:end]); ok && (end-i == 36 || end-i == 32 || s[0] == '/') {
			b.WriteString(s[at:i])
			b.WriteString(to)
			at = end
		} else if lower := strings.ToLower(s[i:end]); end-i == 36 && guid(lower) {
			if to, ok := changes.of(lower); ok {
				b.WriteString(s[at:i])
				b.WriteString(to)
				at = end
			}
		}
		i = end
	}
	return b.String() + s[at:]
}

// wordByte reports whether c can be part of a GUID or of a name of a path; underscores part the pieces of
// an extension's name.
func wordByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-'
}

// IDs returns by what an object is found as a holder: what its properties hold as references, the keys of a
// living one, and of which types it can contain objects, where not everything like it can.
func IDs(o entra.Object) []entra.ID {
	refs := Refs(o)
	ids := make([]entra.ID, len(refs))
	for i, r := range refs {
		ids[i] = r.ID
	}
	r, ok := Lookup(o.Ref.Type)
	if ok && r.keys != nil {
		for _, k := range Keys(o) {
			ids = append(ids, k.ID)
		}
	}
	if ok && slices.ContainsFunc(r.inside, (*Resource).Picky) {
		body := o.Body.Decode()
		for _, in := range r.inside {
			if in.Picky() && in.Holds(body) {
				ids = append(ids, in.Room())
			}
		}
	}
	return ids
}

// Room is what Tree.Holders finds by what can contain objects of a type that is Picky.
func (r *Resource) Room() entra.ID { return entra.ID("room for " + r.Type) }

// Admitted returns as whom an object lets others in, where that is what contains it.
func Admitted(r entra.Ref) (entra.Ref, bool) {
	if c, ok := Lookup(r.Type); !ok || c.Admits != AsContainer {
		return entra.Ref{}, false
	}
	return Container(r)
}

// Container returns the object that contains another.
func Container(r entra.Ref) (entra.Ref, bool) {
	c, ok := Lookup(r.Type)
	if !ok || c.Under == "" || r.ID.In() == "" {
		return entra.Ref{}, false
	}
	return entra.Ref{Type: c.Under, ID: r.ID.In()}, true
}

// Fresh reports whether an object of the type begins with a new random password when it is created.
func (r *Resource) Fresh() bool {
	return slices.ContainsFunc(r.Properties, func(p Property) bool { return p.Fresh })
}

// Rations reports whether objects of the type bound how many others can name them.
func (r *Resource) Rations() bool { return r.room != nil }

// Room says how many objects can name an object at once, by what they do, and how many do: a licence by its skuId, as often as it
// was bought. Units in their time of grace count. used is -1 where the object does not tell. It reports false where there is no
// bound, or none is known.
func Room(o entra.Object) (by entra.ID, n, used int, ok bool) {
	r, known := Lookup(o.Ref.Type)
	if !known || r.room == nil {
		return "", 0, 0, false
	}
	id, n, used, ok := r.room(o.Body.Decode())
	return entra.ID(id), n, used, ok && id != ""
}

// Taking returns the keyed array in which objects of the type name objects of another that rations itself, such as the licences
// of a person. It reports false where they do not.
func (r *Resource) Taking(of entra.Type) (Property, bool) {
	for _, p := range r.Properties {
		if p.By != "" && slices.Contains(p.Ref, of) {
			if top, ok := r.top(p.Name); ok && top.Key != "" && p.Name == top.Name+"[]."+top.Key {
				return top, true
			}
		}
	}
	return Property{}, false
}
