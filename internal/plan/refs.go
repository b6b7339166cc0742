package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// marker returns what stands for an ID that names nothing any more while bodies are compared: a GUID, so
// that it can stand wherever the ID can.
func marker(id entra.ID) entra.ID {
	sum := sha256.Sum256([]byte("names nothing: " + string(id)))
	h := hex.EncodeToString(sum[:16])
	return entra.ID(strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"))
}

// rename is catalog.Rename, told only of the IDs that the object can hold: telling it of all of a large
// restore's costs more than the renaming.
func rename(o entra.Object, ids map[entra.ID]entra.ID) entra.Object {
	if len(ids) > 64 {
		few := map[entra.ID]entra.ID{}
		try := func(s string) {
			id := entra.ID(s)
			if to, ok := ids[id]; ok {
				few[id] = to
			}
		}
		words := func(s string) {
			for w := range strings.FieldsFuncSeq(s, func(r rune) bool {
				return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '-')
			}) {
				try(w)
				try(strings.ToLower(w))
				if len(w) == 32 { // in the name of a directory extension
					try(strings.Join([]string{w[:8], w[8:12], w[12:16], w[16:20], w[20:]}, "-"))
				}
			}
		}
		for s := range strings.SplitSeq(string(o.Body), `"`) {
			try(s)
			for part := range strings.SplitSeq(s, "/") {
				try(part)
			}
		}
		words(string(o.Body))
		for _, part := range o.Ref.ID.Split() {
			try(string(part))
		}
		for in := o.Ref.ID.In(); in != ""; in = in.In() {
			try(string(in))
		}
		ids = few
	}
	return catalog.Rename(o, ids)
}

// renaming returns what turns base's IDs into the goal's. An ID that base still holds though it names the
// object no more becomes a marker, so that it differs from the goal's.
func (m *maker) renaming() map[entra.ID]entra.ID {
	if m.ids == nil {
		m.ids = maps.Clone(m.stale)
		maps.Copy(m.ids, m.known)
		m.meant = make(map[entra.ID]entra.ID, len(m.stale))
		for id, mark := range m.stale {
			m.meant[mark] = id
		}
	}
	return m.ids
}

// unmarked returns a body with the IDs back that markers stood for.
func (m *maker) unmarked(t entra.Type, b entra.Body) entra.Body {
	m.renaming()
	return rename(entra.Object{Ref: entra.Ref{Type: t}, Body: b}, m.meant).Body
}

// exists reports whether base has an object, or cannot tell.
func (m *maker) exists(r entra.Ref) (bool, error) {
	if m.born[r] {
		return true, nil
	}
	if is, ok := m.resolved[r]; ok {
		return is, nil
	}
	b := m.baseName(r)
	_, is, err := get(m.ctx, m.world, b)
	if err != nil {
		return false, err
	}
	if !m.base.Snapshot().Knows(b) {
		m.plan.Unread.Refs = append(m.plan.Unread.Refs, b)
		is = true
	}
	m.resolved[r] = is
	return is, nil
}

// missing returns the IDs that an object of the goal holds and that lead to nothing in base nor to anything
// the plan brings back. What base cannot tell is not missing.
func (m *maker) missing(o entra.Object) (map[string]bool, error) {
	found := map[string]bool{}
	for _, f := range catalog.Refs(o) {
		if f.Firm {
			is, err := m.stands(f)
			if err != nil {
				return nil, err
			}
			if !is {
				found[string(f.ID)] = true
			}
			continue
		}
		if f.By != "" || len(f.Types) == 0 {
			continue
		}
		there := false
		for _, t := range f.Types {
			is, err := m.exists(entra.Ref{Type: t, ID: f.ID})
			if err != nil {
				return nil, err
			}
			there = there || is
		}
		if !there {
			found[string(f.ID)] = true
		}
	}
	return found, nil
}

// stands reports whether what a reference by name leads to is in base, will be, or cannot be told. A property that the
// goal does not define can be defined by another tenant's application, which nobody sees.
func (m *maker) stands(f catalog.Reference) (bool, error) {
	for _, t := range f.Types {
		r, ok, err := m.bearer(m.goal, t, f.ID)
		if err != nil {
			return false, err
		}
		if ok {
			return m.exists(r)
		}
		if r, ok, err = m.bearer(m.world, t, f.ID); ok || err != nil {
			if ok && !m.base.Snapshot().Knows(r) { // it is as it was when it was last read
				m.plan.Unread.Refs = append(m.plan.Unread.Refs, r)
			}
			return ok, err
		}
		if catalog.Defines(t) || m.base.Snapshot().Part(t, "").Coverage != snapshot.Complete {
			binned, err := m.binnedBearer(t, f)
			if err != nil {
				return true, err
			}
			if !binned {
				looked, err := m.lookedFor(t, f)
				if !looked || err != nil {
					return true, err
				}
			}
		}
	}
	return len(f.Types) == 0, nil
}

// lookedFor reports whether base was asked for what goes by a name that recognises its type, under the name as if it were an ID;
// a base that was not is to be. Nothing by the name is then there.
func (m *maker) lookedFor(of entra.Type, f catalog.Reference) (bool, error) {
	r, ok := catalog.Lookup(of)
	if !ok || catalog.Defines(of) || len(r.Match) != 1 || r.Match[0] != f.By {
		return false, nil
	}
	probe := entra.Ref{Type: of, ID: f.ID}
	if m.base.Snapshot().Knows(probe) {
		return true, nil
	}
	body, err := entra.Encode(map[string]any{f.By: string(f.ID)})
	m.plan.Unread.Around = append(m.plan.Unread.Around, entra.Object{Ref: probe, Body: body})
	return false, err
}

// binnedBearer reports whether what goes by a name lies in the recycle bin, where the service keeps the name for it.
// What base does not tell of it is to be read.
func (m *maker) binnedBearer(of entra.Type, f catalog.Reference) (bool, error) {
	r, ok := catalog.Lookup(of)
	if !ok || r.Bin == "" {
		return false, nil
	}
	for h, err := range m.world.Holders(m.ctx, f.ID) {
		if err != nil {
			return false, err
		}
		if h.Type != r.Bin {
			continue
		}
		o, err := m.world.Object(m.ctx, h)
		if err != nil {
			return false, err
		}
		if name, _ := o.Body.Get(f.By); name != string(f.ID) {
			continue
		}
		if m.base.Snapshot().Knows(h) {
			return true, nil
		}
		m.plan.Unread.Refs = append(m.plan.Unread.Refs, entra.Ref{Type: of, ID: h.ID})
	}
	return false, nil
}

// bearer returns the object of a type that goes by a name besides its ID. Who is bound to another by the name holds it;
// of what defines properties there are few.
func (m *maker) bearer(t snapshot.Tree, of entra.Type, name entra.ID) (entra.Ref, bool, error) {
	if t == m.goal && catalog.Defines(of) {
		r, ok := m.defined.refs[name]
		return r, ok, nil
	}
	for h, err := range t.Holders(m.ctx, name) {
		if err != nil {
			return entra.Ref{}, false, err
		}
		if h.Type != of {
			continue
		}
		o, err := t.Object(m.ctx, h)
		if err != nil {
			return entra.Ref{}, false, err
		}
		if slices.Contains(catalog.Handles(o), name) {
			return h, true, nil
		}
	}
	return entra.Ref{}, false, nil
}

// definitions are what a tree defines of properties of others.
type definitions struct {
	refs map[entra.ID]entra.Ref  // by name
	in   map[entra.ID][]entra.ID // names, by all that names what contains the definitions
}

// define reads what a tree defines.
func (m *maker) define(t snapshot.Tree) (*definitions, error) {
	d := &definitions{refs: map[entra.ID]entra.Ref{}, in: map[entra.ID][]entra.ID{}}
	for r := range catalog.All() {
		if !catalog.Defines(r.Type) {
			continue
		}
		for e, err := range t.Entries(m.ctx, r.Type) {
			if err != nil {
				return nil, err
			}
			o, err := t.Object(m.ctx, e.Ref)
			if err != nil {
				return nil, err
			}
			c, _ := catalog.Container(e.Ref)
			container, ok, err := get(m.ctx, t, c)
			if err != nil {
				return nil, err
			}
			for _, name := range catalog.Handles(o) {
				d.refs[name] = e.Ref
				if !ok {
					continue
				}
				for _, id := range catalog.Handles(container) {
					d.in[id] = append(d.in[id], name)
				}
			}
		}
	}
	return d, nil
}

// shows returns the names of the properties that nobody can have without an object: what it defines or contains, or
// what is defined where it is bound to, which it makes known in the tenant.
func (d *definitions) shows(o entra.Object) (names []entra.ID) {
	if catalog.Defines(o.Ref.Type) {
		names = catalog.Handles(o)
	}
	names = append(names, d.in[o.Ref.ID]...)
	r, _ := catalog.Lookup(o.Ref.Type)
	for _, f := range bonds(r, o.Body) {
		names = append(names, d.in[f.ID]...)
	}
	return names
}

// reveal finds which properties are out of sight in base until steps of the plan are done.
func (m *maker) reveal() (err error) {
	m.hidden = map[string][]*node{}
	for _, r := range slices.SortedFunc(maps.Keys(m.makes), entra.Ref.Compare) {
		o, err := m.goal.Object(m.ctx, r)
		if err != nil {
			return err
		}
		for _, name := range m.defined.shows(o) {
			m.hidden[string(name)] = append(m.hidden[string(name)], m.makes[r])
		}
	}
	return nil
}

// conceal has the deletion of what a property cannot be without wait for all that is done to those who have one: what
// has gone out of sight can neither be read nor be written.
func (m *maker) conceal(updates map[entra.Ref]*node) error {
	if len(m.deletes) == 0 {
		return nil
	}
	defined, err := m.define(m.world)
	if err != nil || len(defined.refs) == 0 {
		return err
	}
	for _, r := range slices.SortedFunc(maps.Keys(m.deletes), entra.Ref.Compare) {
		n := m.deletes[r]
		o, ok, err := get(m.ctx, m.base, r)
		if !ok || err != nil {
			return err
		}
		for _, name := range defined.shows(o) {
			for h, err := range m.world.Holders(m.ctx, name) {
				if err != nil {
					return err
				}
				for _, first := range []*node{updates[h], m.deletes[h]} {
					if first != nil && !first.waits(n) {
						n.needs = append(n.needs, first)
					}
				}
			}
		}
	}
	return nil
}

// emptied returns properties of which a body has none though the goal has one, without which the service refuses it,
// and how they are called together.
func emptied(r *catalog.Resource, goal, body entra.Body) (paths []string, called string) {
	held := func(b entra.Body, name string) bool {
		v, ok := b.Get(name)
		a, array := v.([]any)
		return ok && v != nil && (!array || len(a) > 0)
	}
	left := map[string]bool{}
	for _, p := range r.Properties {
		left[p.Some] = left[p.Some] || p.Some != "" && held(body, p.Name)
	}
	for _, p := range r.Properties {
		if p.Some != "" && !left[p.Some] && held(goal, p.Name) && (called == "" || called == p.Some) {
			paths, called = append(paths, p.Name), p.Some
		}
	}
	return paths, called
}

// under reports whether a path is or begins with one of the names.
func under(path string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		rest, ok := strings.CutPrefix(path, name)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// mentioning returns where in a body something is named that is missing, down to the elements of arrays, and what.
func mentioning(r *catalog.Resource, body entra.Body, missing map[string]bool) (fields []diff.Field, lost map[string]string) {
	lost = map[string]string{}
	if len(missing) == 0 {
		return nil, lost
	}
	for _, f := range diff.Bodies(r, "{}", body) {
		id, ok := lacks(f, missing)
		if !ok {
			continue
		}
		narrow, ok := elements(r, body, f, missing)
		if !ok {
			narrow = []diff.Field{{Path: f.Path}}
		}
		for _, n := range narrow {
			lost[n.Path] = id
			if _, in, ok := strings.Cut(n.Path, "["); ok && missing[strings.TrimSuffix(in, "]")] {
				lost[n.Path] = strings.TrimSuffix(in, "]")
			}
		}
		fields = append(fields, narrow...)
	}
	return fields, lost
}

// lacks reports whether a field is or holds one of the IDs, and which.
func lacks(f diff.Field, ids map[string]bool) (string, bool) {
	if ids[f.Path] {
		return f.Path, true
	}
	return mentions(f.After, ids)
}

// mentions reports whether a value holds one of the IDs, and which.
func mentions(v any, ids map[string]bool) (string, bool) {
	switch v := v.(type) {
	case string:
		if ids[v] {
			return v, true
		}
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			if len(id) >= 32 && strings.Contains(strings.ToLower(v), strings.ToLower(id)) {
				return id, true
			}
			if strings.HasSuffix(v, "/"+id) {
				return id, true
			}
		}
	case []any:
		for _, e := range v {
			if id, ok := mentions(e, ids); ok {
				return id, true
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if id, ok := mentions(v[name], ids); ok {
				return id, true
			}
		}
	}
	return "", false
}

type refs struct{ goal, base entra.Ref }

// both yields the refs of two ascending sequences side by side.
func both(goal, base iter.Seq2[snapshot.Entry, error]) iter.Seq2[refs, error] {
	return func(yield func(refs, error) bool) {
		next, stop := iter.Pull2(base)
		defer stop()
		b, err, more := next()
		for g, gerr := range goal {
			if gerr != nil {
				yield(refs{}, gerr)
				return
			}
			for more && err == nil && b.Ref.Compare(g.Ref) < 0 {
				if !yield(refs{base: b.Ref}, nil) {
					return
				}
				b, err, more = next()
			}
			if more && err != nil {
				yield(refs{}, err)
				return
			}
			r := refs{goal: g.Ref}
			if more && b.Ref == g.Ref {
				r.base = b.Ref
				b, err, more = next()
			}
			if !yield(r, nil) {
				return
			}
		}
		for more {
			if err != nil {
				yield(refs{}, err)
				return
			}
			if !yield(refs{base: b.Ref}, nil) {
				return
			}
			b, err, more = next()
		}
	}
}

// Values maps what a tree's objects are named by besides their IDs, where the service chose it anew, to what
// the goal's are: the appId of an application that was re-created.
type Values map[entra.ID]entra.ID

// Recognise returns the values by which objects that pairs names are called otherwise in a later tree. pairs
// maps the goal's refs to the tree's; what either tree does not have is left out.
func Recognise(ctx context.Context, goal, tree snapshot.Tree, pairs map[entra.Ref]entra.Ref) (Values, error) {
	found := Values{}
	var all []entra.Ref
	for _, g := range slices.SortedFunc(maps.Keys(pairs), entra.Ref.Compare) {
		if len(catalog.Naming(g.Type)) > 0 {
			all = append(all, g)
		}
	}
	of := func(t snapshot.Tree, refs []entra.Ref) ([]entra.Object, error) {
		read := newReader(t)
		if err := read.read(ctx, refs...); err != nil {
			return nil, err
		}
		objects := make([]entra.Object, len(refs))
		for i, r := range refs {
			o, _, err := get(ctx, read, r) // none has no values
			if err != nil {
				return nil, err
			}
			objects[i] = o
		}
		return objects, nil
	}
	for some := range slices.Chunk(all, ahead) {
		was, err := of(goal, some)
		if err != nil {
			return nil, err
		}
		named := make([]entra.Ref, len(some))
		for i, g := range some {
			named[i] = pairs[g]
		}
		is, err := of(tree, named)
		if err != nil {
			return nil, err
		}
		for i := range some {
			now := values(is[i])
			for property, v := range values(was[i]) {
				if w := now[property]; w != "" && w != v {
					found[w] = v
				}
			}
		}
	}
	return found, nil
}

// Compare compares a tree's object, which is called as the goal calls it, with the goal's.
func (v Values) Compare(tree, goal entra.Object) []diff.Field {
	r, _ := catalog.Lookup(goal.Ref.Type)
	return diff.Bodies(r, rename(tree, v).Body, goal.Body)
}
