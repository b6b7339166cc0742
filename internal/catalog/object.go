package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// ErrAnother says that an answer is an object of another type than the one that was asked for.
var ErrAnother = errors.New("it is of another type")

// ErrNone says that an answer which is always given tells of no object. It is an fs.ErrNotExist.
var ErrNone = fmt.Errorf("there is none: %w", fs.ErrNotExist)

// Parent returns the ID of what contains the object of this ID, "" for a type that is not contained.
func (r *Resource) Parent(id entra.ID) entra.ID {
	if r.Under == "" {
		return ""
	}
	return id.In()
}

// Object turns what the service sent into an object in canonical form. Its body has neither the ID, which
// the Ref holds, unless others name it by its own ID alone, nor annotations, nor omitted properties; sets are sorted. parent is the ID of the object
// that contains it, and "" for a type that is not contained. An answer that is not one JSON object with an
// ID is an error.
func (r *Resource) Object(raw []byte, parent entra.ID) (entra.Object, error) {
	m, err := entra.Decode(raw)
	if err != nil {
		return entra.Object{}, fmt.Errorf("reading a %s: %w", r.Type, err)
	}
	name := "id"
	if r.ID != "" {
		name = r.ID
	}
	own, _ := m[name].(string)
	if r.One && (own == "" || r.Under != "") { // the only one needs no name, and one made anew would have another
		own = string(r.Type)
	}
	if own == "" {
		return entra.Object{}, fmt.Errorf("reading a %s: it has no id", r.Type)
	}
	// The recycle bin is asked for an object by its ID alone, and gives one of any type.
	if kind, ok := m["@odata.type"].(string); ok && r.Live != "" && !r.Variants && kind[strings.LastIndexByte(kind, '.')+1:] != string(r.Live) && !r.special(kind) {
		return entra.Object{}, fmt.Errorf("reading %s %s: it is a %s: %w", r.Type, own, strings.TrimPrefix(kind, "#microsoft.graph."), ErrAnother)
	}
	if (parent != "") != (r.Under != "") {
		return entra.Object{}, fmt.Errorf("reading %s %s: a parent is given to what is not contained, or missing", r.Type, own)
	}
	if r.none != nil && r.none(m) {
		return entra.Object{}, fmt.Errorf("reading %s of %s: %w", r.Type, parent, ErrNone)
	}
	if r.read != nil {
		r.read(m)
	}
	if r.tree.member("id") == nil {
		delete(m, "id")
	}
	r.clean(m, r.tree, true)
	body, err := entra.Encode(m)
	if err != nil {
		return entra.Object{}, fmt.Errorf("reading %s %s: %w", r.Type, own, err)
	}
	id := entra.ID(own)
	if r.Under != "" {
		id = entra.Join(append(r.lineage(parent), id)...)
	}
	return entra.Object{Ref: entra.Ref{Type: r.Type, ID: id}, Body: body}, nil
}

// Barren reports whether what an answer tells of can contain none of the type's objects, so that the service does not
// even list them.
func (r *Resource) Barren(container []byte) bool {
	m, err := entra.Decode(container)
	return err == nil && r.barren != nil && r.barren(m)
}

// Beside returns the object without which there is none such as ref in what contains both.
func Beside(ref entra.Ref) (entra.Ref, bool) {
	r, ok := Lookup(ref.Type)
	if !ok || r.Beside == "" {
		return entra.Ref{}, false
	}
	return entra.Ref{Type: r.Beside, ID: entra.Join(append(r.lineage(ref.ID.In()), entra.ID(r.Beside))...)}, true
}

// Inside returns the types whose objects are contained in the type's. It is read-only.
func (r *Resource) Inside() []*Resource { return r.inside }

// Picky reports whether only some of what could contain the type's objects is asked for them.
func (r *Resource) Picky() bool { return r.holds != nil }

// Holds reports whether what has these properties, as captured, can contain objects of the type.
func (r *Resource) Holds(container map[string]any) bool { return r.holds == nil || r.holds(container) }

// Fits reports whether what has these properties can be given an object of the type. Of bytes it shows whether it has
// any, not whether it could.
func (r *Resource) Fits(container map[string]any) bool { return r.Binary != "" || r.Holds(container) }

// Lacks reports whether an answer does not have all that Object makes other properties of.
func (r *Resource) Lacks(m map[string]any) bool {
	return slices.ContainsFunc(r.Properties, func(p Property) bool {
		_, told := m[p.Name]
		return p.raw && !told
	})
}

// A node holds what the property table says about one path.
type node struct {
	rule    Property // the zero Property where the table has no entry for exactly this path
	members map[string]*node
	elem    *node
}

func (n *node) member(name string) *node {
	if n == nil {
		return nil
	}
	return n.members[name]
}

func (n *node) element() *node {
	if n == nil {
		return nil
	}
	return n.elem
}

// grow makes the nodes of a property table.
func grow(properties []Property) *node {
	root := &node{}
	for _, p := range properties {
		n := root
		names := []string{p.Name}
		if !strings.HasPrefix(p.Name, "@") {
			names = strings.Split(p.Name, ".")
		}
		for _, name := range names {
			name, elements := strings.CutSuffix(name, "[]")
			if n.members == nil {
				n.members = map[string]*node{}
			}
			if n.members[name] == nil {
				n.members[name] = &node{}
			}
			n = n.members[name]
			if elements {
				if n.elem == nil {
					n.elem = &node{}
				}
				n = n.elem
			}
		}
		n.rule = p
	}
	return root
}

// clean drops from a value what its canonical form does not hold, and sorts its sets.
func (r *Resource) clean(v any, n *node, top bool) any {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			in := n.member(name)
			if annotation(name) && (name != "@odata.type" || top && !r.Variants && !r.special(e)) || in != nil && in.rule.Omit && !in.rule.kept || e == nil {
				delete(v, name)
				continue
			}
			switch e := e.(type) {
			case map[string]any:
				r.clean(e, in, false)
			case []any:
				if len(e) == 0 && r.sparse {
					delete(v, name)
				} else {
					v[name] = r.clean(e, in, false)
				}
			}
		}
	case []any:
		for i, e := range v {
			v[i] = r.clean(e, n.element(), false)
		}
		if n != nil && (n.rule.Set || n.rule.Key != "") {
			return arrange(v, n.rule.Key)
		}
	}
	return v
}

// special reports whether what an answer says that an object is, is more special than its type.
func (r *Resource) special(kind any) bool {
	name, _ := kind.(string)
	return slices.Contains(r.Kinds, strings.TrimPrefix(name, "#microsoft.graph."))
}

// annotation reports whether a member's name is one of OData's, not the object's.
func annotation(name string) bool { return strings.ContainsAny(name, "@#") }

// arrange sorts a set, by the member key if that is not "". Equal elements of a plain set are one.
func arrange(a []any, key string) []any {
	if len(a) < 2 {
		return a
	}
	type item struct {
		by, all string
		v       any
	}
	items := make([]item, len(a))
	for i, e := range a {
		all, _ := entra.Text(e) // Decode made e, so it has a text
		items[i] = item{"", all, e}
		if m, ok := e.(map[string]any); ok && key != "" {
			items[i].by, _ = entra.Text(m[key])
		}
	}
	slices.SortStableFunc(items, func(x, y item) int {
		if c := strings.Compare(x.by, y.by); c != 0 {
			return c
		}
		return strings.Compare(x.all, y.all)
	})
	if key == "" {
		items = slices.CompactFunc(items, func(x, y item) bool { return x.all == y.all })
	}
	out := make([]any, len(items))
	for i, it := range items {
		out[i] = it.v
	}
	return out
}

// Link turns an item of a relation into a link. The item needs an id, and its @odata.type unless the
// relation leads to one type only. A type that the catalog does not know keeps the service's name for it.
func (rel Relation) Link(from entra.Ref, raw []byte) (entra.Link, error) {
	m, err := entra.Decode(raw)
	if err != nil {
		return entra.Link{}, fmt.Errorf("reading %s of %s: %w", rel.Rel, from, err)
	}
	return rel.End(from, m)
}

// End is [Relation.Link] for an item that is decoded already.
func (rel Relation) End(from entra.Ref, m map[string]any) (entra.Link, error) {
	id, _ := m["id"].(string)
	if id == "" {
		return entra.Link{}, fmt.Errorf("reading %s of %s: an item has no id", rel.Rel, from)
	}
	name, _ := m["@odata.type"].(string)
	t := entra.Type(strings.TrimPrefix(name, "#microsoft.graph."))
	if t == "" {
		if len(rel.To) != 1 {
			return entra.Link{}, fmt.Errorf("reading %s of %s: item %s does not say what it is", rel.Rel, from, id)
		}
		t = rel.To[0]
	} else if len(rel.To) == 1 && t != rel.To[0] { // the service may call the objects of several collections the same
		if to, ok := Lookup(rel.To[0]); ok && to.Is == t {
			t = to.Type
		}
	}
	return entra.Link{From: from, Rel: rel.Rel, To: entra.Ref{Type: t, ID: entra.ID(id)}}, nil
}

// Relation finds the declaration of a kind of link.
func (r *Resource) Relation(rel string) (Relation, bool) {
	for _, l := range r.Links {
		if l.Rel == rel {
			return l, true
		}
	}
	return Relation{}, false
}

// Name returns what people call an object: the first of its naming properties that has a value, or its ID.
func Name(o entra.Object) string {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return string(o.Ref.ID)
	}
	return r.called(o.Ref.ID, o.Body.Decode())
}

func (r *Resource) called(id entra.ID, m map[string]any) string {
	for _, p := range r.Name {
		if v, ok := entra.Get(m, p); ok {
			if s, _ := v.(string); s != "" {
				return s
			}
		}
	}
	return string(id)
}

// Writable returns the properties that a creation may send, by name: those whose table entry says so and
// that the service gives out, with values as Decode makes them. What can only be written to an object that
// exists is among them, because Create completes an object with further calls.
func Writable(o entra.Object) map[string]any {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return map[string]any{}
	}
	m := o.Body.Decode()
	maps.DeleteFunc(m, func(name string, _ any) bool {
		p, ok := r.Property(name)
		return !ok || p.Write == Never || p.Secret || p.Omit || p.alive || p.Elements != ""
	})
	return m
}

// Frozen says why this very object is never written though its type can be, or "" if it can.
func Frozen(o entra.Object) string {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return ""
	}
	if r.native != nil {
		if why := r.native(o.Ref.ID); why != "" {
			return why
		}
	}
	if r.frozen == nil {
		return ""
	}
	return r.frozen(o.Body.Decode())
}

// Held says why a property of this very object is not written, "" if it is: of what is mastered on premises the service takes
// some properties here, and of what is mastered here some belong to others.
func Held(o entra.Object, path string) string {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return ""
	}
	name := r.Unit(path)
	why := Frozen(o)
	if p, _ := r.Property(name); Mastered(why) && p.Cloud {
		return ""
	}
	if why == "" && r.held != nil {
		return r.held(o.Body.Decode(), name)
	}
	return why
}

// Mastered reports whether a reason says that something is mastered on premises, where it has to be repaired.
func Mastered(why string) bool { return strings.Contains(why, onPremises) }

// Untimely says why an object is not made at a time: it is to begin later, or was for a time that is over. It is "" for most.
func Untimely(o entra.Object, now time.Time) string {
	r, ok := Lookup(o.Ref.Type)
	if !ok || r.untimely == nil {
		return ""
	}
	return r.untimely(o.Body.Decode(), now)
}

// FrozenLinks says why the links of one kind that start at this very object are never written though the
// relation can be, or "" if they can.
func FrozenLinks(o entra.Object, rel string) string {
	r, ok := Lookup(o.Ref.Type)
	if !ok || r.fixed == nil {
		return ""
	}
	return r.fixed(o.Body.Decode(), rel)
}

// Words returns the texts by which people look for an object, besides its ID: its names, what recognises
// it, and its addresses.
func Words(o entra.Object) []string {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return nil
	}
	return r.words(o.Body.Decode())
}

// Called is Name and Words at once, for who asks it of every object of a tenant.
func Called(o entra.Object) (name string, words []string) {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return string(o.Ref.ID), nil
	}
	m := o.Body.Decode()
	return r.called(o.Ref.ID, m), r.words(m)
}

func (r *Resource) words(m map[string]any) (words []string) {
	for _, path := range slices.Concat(r.Name, r.Match, []string{"appId", "mail", "userPrincipalName", "uniqueName"}) {
		if v, ok := entra.Get(m, path); ok {
			if s, ok := v.(string); ok && s != "" && !slices.Contains(words, s) {
				words = append(words, s)
			}
		}
	}
	return words
}

// Fingerprint is a hash over all declarations: what was derived from bodies under another one may differ.
func Fingerprint() string {
	h := sha256.New()
	for r := range All() {
		fmt.Fprintln(h, r.Declaration(), r.Name, r.Match, r.keys != nil, r.holds != nil)
		for _, p := range r.Properties {
			fmt.Fprintln(h, p.Name, p.Ref, p.By)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
