package catalog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A part is one write to an object: a method, what follows the object's path, and a body.
type part struct {
	method, suffix string
	body           map[string]any
	at             string // the path, where that is not the object's; else ""
}

// Fetch reads one object with the same properties as a listing.
func (r *Resource) Fetch(id entra.ID) Call {
	c := Call{Method: "GET", Version: r.Version, Path: r.at(id), Header: r.accept(), People: r.People}
	if asked := r.Asked(); asked != nil {
		c.Query = url.Values{"$select": {strings.Join(asked, ",")}}
	}
	if r.Inline != "" {
		if c.Query == nil {
			c.Query = url.Values{}
		}
		c.Query.Set("$expand", r.Inline)
	}
	return c
}

// Create returns the calls that create an object with the properties of set, which is keyed by property
// and holds Decode's values. id is the ID it has in the goal; only the parent in it counts, unless the caller
// chooses the ID. The answer of a first call that is no POST can be empty. The first call
// creates; the others complete the object. A property that cannot be written or a missing one that must be
// there is an error.
func (r *Resource) Create(id entra.ID, set map[string]any, fresh Fresh) ([]Call, error) {
	if !r.Can.Has(Create) {
		return nil, fmt.Errorf("creating a %s: the service offers no way", r.Type)
	}
	set = nest(set)
	r = r.shelved(set)
	var err error
	first, later := map[string]any{}, map[string]any{}
	for name, v := range set {
		p, ok := r.Property(name)
		switch {
		case !ok || p.Write == Never || p.Omit || p.alive || p.Elements != "":
			return nil, fmt.Errorf("creating a %s: %s cannot be written", r.Type, name)
		case v == nil:
		case p.Write == OnUpdate || p.Write == ByAction:
			later[name] = v
		default:
			first[name] = v
		}
	}
	if r.create != nil {
		held, err := r.create(first, fresh)
		if err != nil {
			return nil, fmt.Errorf("creating a %s: %w", r.Type, err)
		}
		maps.Copy(later, held)
	}
	for _, p := range r.Properties {
		if v := first[p.Name]; p.Must && (v == nil || v == "") {
			return nil, fmt.Errorf("creating a %s: it needs %s", r.Type, p.Name)
		}
	}
	method, path, parts := "POST", r.List, id.Split()
	switch r.Chosen {
	case "":
	case "POST":
		first["id"] = string(parts[len(parts)-1])
	default:
		method, path = r.Chosen, r.at(id)
	}
	if r.Under != "" {
		path = r.within(path, id.In())
	}
	if r.Requests != "" {
		path, first = r.Requests, r.ask(id, first, nil)
	}
	where, at, header := r.placed(id)
	if at != "" {
		method, path = where, at
		delete(first, "id")
	}
	calls := make([]Call, 1, 2)
	if calls[0], err = r.call(method, path, first); err != nil {
		return nil, fmt.Errorf("creating a %s: %w", r.Type, err)
	}
	if at != "" {
		calls[0].Header = header
	}
	if len(later) > 0 {
		rest, err := r.change(r.within(r.Item, id.In()), "", later, map[string]any{})
		if err != nil {
			return nil, fmt.Errorf("creating a %s: %w", r.Type, err)
		}
		calls = append(calls, rest...)
	}
	return calls, nil
}

// Update returns the calls that change properties. set holds their new values by property, nil to clear
// one; a dotted name sets one member of a complex value, and an array is always set whole. was is the
// object's present body, decoded: a complex value travels whole, see Unit, so the members that set does not
// name come from there, and the rest tells what to take away and what the object is. What set asks for that
// cannot be written is an error, and so is a was that holds parts of values by dotted names.
func (r *Resource) Update(id entra.ID, set, was map[string]any) ([]Call, error) {
	if !r.Can.Has(Update) {
		return nil, fmt.Errorf("changing a %s: the service offers no way", r.Type)
	}
	r = r.shelved(was)
	set, err := r.onto(set, was)
	if err != nil {
		return nil, fmt.Errorf("changing a %s: %w", r.Type, err)
	}
	for name, v := range set {
		p, ok := r.Property(name)
		if !ok || p.Write == Never || p.Write == OnCreate || p.Omit {
			return nil, fmt.Errorf("changing a %s: %s cannot be written", r.Type, name)
		}
		if p.Elements != "" {
			if err := onlyRemoves(p, v, was[name]); err != nil {
				return nil, fmt.Errorf("changing a %s: %w", r.Type, err)
			}
		}
		if (v == nil || v == "") && (p.Stays || p.Must) {
			return nil, fmt.Errorf("changing a %s: %s cannot be cleared", r.Type, name)
		}
		// A list is emptied; a directory extension's only shows by its value that it is one.
		if _, list := was[name].([]any); v == nil && (list || p.Set || p.Key != "") {
			set[name] = []any{}
		}
		// The service refuses the empty string where it means no value.
		if v == "" {
			set[name] = nil
		}
		if whole, ok := v.(map[string]any); ok && r.Requests == "" {
			had, _ := was[name].(map[string]any)
			set[name] = cleared(whole, had)
		}
	}
	if r.Requests != "" {
		c, err := r.call("POST", r.Requests, r.ask(id, set, was))
		return []Call{c}, err
	}
	if r.Binary != "" { // bytes and what they are travel together
		whole := maps.Clone(was)
		maps.Copy(whole, set)
		c, err := r.call(r.Chosen, r.at(id), whole)
		if err != nil {
			return nil, fmt.Errorf("changing a %s: %w", r.Type, err)
		}
		return []Call{c}, nil
	}
	path := r.at(id)
	_, at, header := r.placed(id)
	if at != "" {
		path = at
	}
	calls, err := r.change(path, id, set, was)
	if err != nil {
		return nil, fmt.Errorf("changing a %s: %w", r.Type, err)
	}
	if at != "" {
		for i := range calls {
			calls[i].Header = header
		}
	}
	return calls, nil
}

// cleared is a complex value with a null for each member that it had and has no more, or an empty list: most of the service takes a member that is not named
// to stay as it is (Microsoft Graph documentation, "Update user": only what is given is changed).
func cleared(v, had map[string]any) map[string]any {
	if v["@odata.type"] != had["@odata.type"] {
		return v
	}
	v = maps.Clone(v)
	for name, was := range had {
		is, stays := v[name]
		in, complex := is.(map[string]any)
		before, hadComplex := was.(map[string]any)
		_, list := was.([]any)
		switch {
		case complex && hadComplex:
			v[name] = cleared(in, before)
		case !stays && list:
			v[name] = []any{}
		case !stays:
			v[name] = nil
		}
	}
	return v
}

// onto turns dotted names into the whole complex values that they are parts of, with was for the rest.
func (r *Resource) onto(set, was map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		unit, v := r.Unit(name), set[name]
		if unit == name {
			out[name] = v
			continue
		}
		for known := range was {
			if known != unit && within(known, unit) {
				return nil, fmt.Errorf("%s is to change, and of what is there now only parts are known", name)
			}
		}
		p, ok := r.Property(name)
		if top, must := r.top(name); must && top.Must && was[unit] == nil {
			return nil, fmt.Errorf("%s is to change, and what is there now is not known", name)
		}
		if strings.Contains(name, "[") {
			return nil, fmt.Errorf("%s: an array is set whole", name)
		}
		if ok && v == nil && p.Name == name && (p.Set || p.Key != "") {
			v = []any{}
		}
		if _, begun := out[unit]; !begun {
			out[unit] = was[unit]
		}
		put(out, strings.Split(name, "."), v)
	}
	return out, nil
}

// onlyRemoves reports whether to is from with elements taken away.
func onlyRemoves(p Property, to, from any) error {
	had := map[string]string{}
	for _, e := range list(from) {
		m, _ := e.(map[string]any)
		had[textOf(m[p.Key])] = textOf(e)
	}
	for _, e := range list(to) {
		m, _ := e.(map[string]any)
		if had[textOf(m[p.Key])] != textOf(e) {
			return fmt.Errorf("an element of %s can be removed, not added or changed", p.Name)
		}
	}
	return nil
}

// change makes the calls of an update: what travels by actions, then each group of properties by itself,
// the common one first.
func (r *Resource) change(path string, id entra.ID, set, was map[string]any) ([]Call, error) {
	var special []part
	if r.update != nil {
		var err error
		if special, err = r.update(id, set, was); err != nil {
			return nil, err
		}
	}
	groups := map[string]map[string]any{}
	var first, last []part // before the common properties travel, and after
	for _, p := range special {
		if p.method == "PATCH" {
			first = append(first, p)
		} else {
			last = append(last, p)
		}
	}
	for name, v := range set {
		p, _ := r.Property(name)
		if groups[p.Group] == nil {
			groups[p.Group] = map[string]any{}
		}
		groups[p.Group][name] = v
	}
	parts := first
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		if t, ok := groups[g]["@odata.type"]; ok && len(groups[g]) == 1 && t != nil {
			continue // it says what the object is; nothing changes
		}
		parts = append(parts, part{method: "PATCH", body: groups[g]})
	}
	calls := []Call{}
	for _, p := range append(parts, last...) {
		if p.at == "" {
			p.at = path + p.suffix
		}
		c, err := r.call(p.method, p.at, p.body)
		if err != nil {
			return nil, err
		}
		calls = append(calls, c)
	}
	return calls, nil
}

// Remove deletes an object as it is now. It goes to the recycle bin where there is one.
func (r *Resource) Remove(o entra.Object) Call {
	if r.shelf != nil {
		r = r.shelved(o.Body.Decode())
	}
	if r.Requests != "" {
		c, _ := r.call("POST", r.Requests, r.ask(o.Ref.ID, nil, o.Body.Decode())) // of texts, which can be written
		return c
	}
	if _, at, header := r.placed(o.Ref.ID); at != "" {
		c, _ := r.call("DELETE", at, map[string]any{"id": string(own(o.Ref.ID))}) // a text, which can be written
		c.Header = header
		return c
	}
	if r.clear != nil {
		c, _ := r.call("PATCH", r.at(o.Ref.ID), r.clear(o.Body.Decode()))
		return c
	}
	return Call{Method: "DELETE", Version: r.Version, Path: r.at(o.Ref.ID)}
}

// shelved returns the type with the paths by which an object with these properties is written.
func (r *Resource) shelved(m map[string]any) *Resource {
	if r.shelf == nil {
		return r
	}
	name := r.shelf(m)
	if name == "" {
		return r
	}
	out := *r
	out.List = r.List[:strings.LastIndexByte(r.List, '/')+1] + name
	out.Item = out.List + "/{id}"
	return &out
}

// Precedes reports whether an object has to be there before the others of its type that the same object contains, and as
// long as they are.
func Precedes(o entra.Object) bool {
	r, ok := Lookup(o.Ref.Type)
	return ok && r.precedes != nil && r.precedes(o.Body.Decode())
}

// Ordered reports whether there are objects of the type that have to be there before others.
func (r *Resource) Ordered() bool { return r.precedes != nil }

// placed is place; it says nothing of a type that has none.
func (r *Resource) placed(id entra.ID) (method, path string, header map[string]string) {
	if r.place == nil {
		return "", "", nil
	}
	return r.place(id)
}

// Fails says why a request that the service took comes to nothing, from its answer; "" where it can still be carried out.
func (r *Resource) Fails(answer []byte) string {
	if r.Requests == "" || r.fails == nil {
		return ""
	}
	m, err := entra.Decode(answer)
	if err != nil {
		return ""
	}
	return r.fails(m)
}

// Disarms reports whether there are objects of the type that cannot be removed before they are changed.
func (r *Resource) Disarms() bool { return r.disarm != nil }

// Disarm returns the calls without which an object as it is now cannot be removed; nil for most.
func (r *Resource) Disarm(o entra.Object) ([]Call, error) {
	if r.disarm == nil {
		return nil, nil
	}
	var calls []Call
	for _, p := range r.disarm(o.Body.Decode()) {
		c, err := r.call(p.method, r.at(o.Ref.ID)+p.suffix, p.body)
		if err != nil {
			return nil, fmt.Errorf("preparing to remove %s: %w", o.Ref, err)
		}
		calls = append(calls, c)
	}
	return calls, nil
}

// Revive brings an object back from the recycle bin, under the ID it had. The receiver is the type it
// had. set holds other values for properties that it Spares. The call's Path is "" where nothing comes back.
func (r *Resource) Revive(id entra.ID, set map[string]any) Call {
	if r.Undelete == "" {
		return Call{}
	}
	c := Call{Method: "POST", Version: r.Version, Path: strings.ReplaceAll(r.Undelete, "{id}", escape(id)), Body: []byte("{}")}
	if bin, ok := Lookup(r.Bin); ok {
		c.Version = bin.Version
	}
	if r.revive != nil {
		c.Body, _ = encode(r.revive(set)) // texts and booleans can be written
	}
	return c
}

// Revoked is the call that ends all sessions of an object; its Path is "" where the service knows none.
func (r *Resource) Revoked(id entra.ID) Call {
	if r.Revoke == "" {
		return Call{}
	}
	return Call{Method: "POST", Version: r.Version, Path: strings.ReplaceAll(r.Revoke, "{id}", escape(id)), Body: []byte("{}")}
}

// ErrRelation says that a relation is not declared, or not one that can be written.
var ErrRelation = errors.New("the relation cannot be written")

// Bind adds a link. The service refuses one that is there already.
func (r *Resource) Bind(l entra.Link) (Call, error) {
	rel, err := r.writable(l)
	if err != nil {
		return Call{}, err
	}
	if path, turned := rel.Turned[l.To.Type]; turned {
		c := Call{Method: "POST", Version: r.Version, Path: strings.ReplaceAll(path, "{id}", escape(l.To.ID)) + "/$ref"}
		if rel.Sole {
			c.Method = "PUT"
		}
		c.Body, err = encode(map[string]any{"@odata.id": "{endpoint}/" + r.Version + r.at(l.From.ID)})
		return c, err
	}
	c := Call{Method: "PUT", Version: r.Version, Path: rel.at(l.From.ID) + "/$ref"}
	if rel.Many {
		c.Method = "POST"
	}
	c.Body, err = encode(map[string]any{"@odata.id": rel.address(r.Version, l.To)})
	return c, err
}

// Unbind removes a link. Its path always ends in /$ref: without it the call would delete the object that
// the link leads to. Source: Microsoft Graph documentation, "Remove member".
func (r *Resource) Unbind(l entra.Link) (Call, error) {
	rel, err := r.writable(l)
	if err != nil {
		return Call{}, err
	}
	if rel.Sole {
		return Call{}, fmt.Errorf("%s: it has no other place: %w", l, ErrRelation)
	}
	path := rel.at(l.From.ID)
	if at, turned := rel.Turned[l.To.Type]; turned {
		path = strings.ReplaceAll(at, "{id}", escape(l.To.ID)) + "/" + escape(l.From.ID)
	} else if rel.Many {
		path += "/" + escape(l.To.ID)
	}
	return Call{Method: "DELETE", Version: r.Version, Path: path + "/$ref"}, nil
}

// Linked reads where the links of l's kind that start at l.From lead: a list to page through, or for a
// relation to one object that object, or 404. Only that tells for certain whether l holds: no point read of
// one member is documented, and a filter is answered from an index that lags behind.
func (r *Resource) Linked(l entra.Link) (Call, error) {
	rel, ok := r.Relation(l.Rel)
	if !ok {
		return Call{}, fmt.Errorf("%s: %w", l, ErrRelation)
	}
	return r.Ends(rel, l.From.ID), nil
}

// MaxBind is how many links one call of BindMany can add.
// Source: Microsoft Graph documentation, "Add members".
const MaxBind = 20

// BindMany adds up to MaxBind links of one kind that start at one object, all or none of them: one that is
// there already fails them all. It reports false where the service offers no such call.
func (r *Resource) BindMany(from entra.Ref, rel string, to []entra.Ref) (Call, bool) {
	l, ok := r.Relation(rel)
	if !ok || !l.Write || !l.Batch || len(to) == 0 || len(to) > MaxBind {
		return Call{}, false
	}
	ends := make([]any, len(to))
	for i, t := range to {
		ends[i] = l.address(r.Version, t)
	}
	c, err := r.call("PATCH", r.at(from.ID), map[string]any{rel + "@odata.bind": ends})
	return c, err == nil
}

func (r *Resource) writable(l entra.Link) (Relation, error) {
	rel, ok := r.Relation(l.Rel)
	if !ok || !rel.Write {
		return rel, fmt.Errorf("%s: %w", l, ErrRelation)
	}
	if l.To.ID == "" || l.From.ID == "" {
		return rel, fmt.Errorf("%s: a link needs both ends", l)
	}
	return rel, nil
}

func (rel Relation) at(id entra.ID) string { return strings.ReplaceAll(rel.Path, "{id}", escape(id)) }

// address is how a write names what a link leads to. Any object of the directory can be named under
// directoryObjects; a manager is documented only under the collection of users.
// Source: Microsoft Graph documentation, "Assign manager".
func (rel Relation) address(version string, to entra.Ref) string {
	under := "directoryObjects"
	if to.Type == rel.To[0] && rel.Said != "" {
		under = rel.Said
	}
	return "{endpoint}/" + version + "/" + under + "/" + escape(to.ID)
}

// at returns the path of one object.
func (r *Resource) at(id entra.ID) string {
	if r.Under == "" {
		return strings.ReplaceAll(r.Item, "{id}", escape(id))
	}
	parts := id.Split()
	return strings.ReplaceAll(r.within(r.Item, id.In()), "{id}", escape(parts[len(parts)-1]))
}

// within puts what contains an object into a path: {parent} is that, and {holder} what contains that.
func (r *Resource) within(path string, parent entra.ID) string {
	line := r.lineage(parent)
	path = strings.ReplaceAll(path, "{holder}", escape(line[0]))
	return strings.ReplaceAll(path, "{parent}", escape(line[len(line)-1]))
}

// lineage returns the IDs of what contains the type's objects, the outermost first.
func (r *Resource) lineage(parent entra.ID) []entra.ID {
	if in, ok := Lookup(r.Under); ok && in.Under != "" {
		return parent.Split()
	}
	return []entra.ID{parent}
}

// escape makes an ID one segment of a path. An empty ID becomes one that no object has, because a path
// without it would be that of the collection.
func escape(id entra.ID) string {
	switch id {
	case "":
		return "-"
	case ".", "..": // names of folders, which a server may resolve
		return strings.ReplaceAll(string(id), ".", "%2E")
	}
	return url.PathEscape(string(id))
}

// own is the last part of an ID, which tells an object from others in the same.
func own(id entra.ID) entra.ID {
	parts := id.Split()
	return parts[len(parts)-1]
}

// accept is what a call says that it wants.
func (r *Resource) accept() map[string]string {
	if r.Binary != "" {
		return map[string]string{"Accept": r.Binary}
	}
	return nil
}

func (r *Resource) call(method, path string, body map[string]any) (Call, error) {
	switch {
	case method == "DELETE" && body == nil:
		return Call{Method: method, Version: r.Version, Path: path}, nil
	case r.Binary != "":
		b, err := base64.StdEncoding.DecodeString(text(body, "data"))
		if err != nil || len(b) == 0 {
			return Call{}, errors.New("data is not base64")
		}
		return Call{Method: method, Version: r.Version, Path: path, Body: b, Header: map[string]string{"Content-Type": text(body, "contentType")}}, nil
	}
	b, err := encode(body)
	return Call{Method: method, Version: r.Version, Path: path, Body: b}, err
}

// nest turns dotted names into members of complex values. It copies what it changes.
func nest(set map[string]any) map[string]any {
	out := make(map[string]any, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if strings.Contains(name, ".") && !strings.HasPrefix(name, "@") {
			put(out, strings.Split(name, "."), set[name])
		} else {
			out[name] = set[name]
		}
	}
	return out
}

func put(m map[string]any, names []string, v any) {
	if len(names) == 1 {
		m[names[0]] = v
		return
	}
	in, _ := m[names[0]].(map[string]any)
	if in = maps.Clone(in); in == nil {
		in = map[string]any{}
	}
	put(in, names[1:], v)
	m[names[0]] = in
}

// encode writes a body for the service: like the canonical form, with its nulls kept.
func encode(v map[string]any) ([]byte, error) { return appendJSON(nil, v) }

func appendJSON(b []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			quoted, err := entra.Text(name)
			if err != nil {
				return nil, fmt.Errorf("writing %q: %w", name, err)
			}
			b = append(append(b, quoted...), ':')
			if b, err = appendJSON(b, v[name]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	s, err := entra.Text(v)
	return append(b, s...), err
}

func list(v any) []any {
	a, _ := v.([]any)
	return a
}

func textOf(v any) string {
	s, _ := entra.Text(v)
	return s
}
