package plan

import (
	"context"
	"maps"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// over returns a tree to put a plan's steps over.
func over(t snapshot.Tree) *snapshot.Overlay {
	return snapshot.NewOverlay(t, catalog.IDs, catalog.Container)
}

// revived is what a recycle bin's object is when it has come back.
func revived(bin entra.Object, live entra.Type) (entra.Object, error) {
	m := bin.Body.Decode()
	c, _ := catalog.Lookup(live)
	if c == nil {
		return entra.Object{Ref: entra.Ref{Type: live, ID: bin.Ref.ID}, Body: bin.Body}, nil
	}
	maps.DeleteFunc(m, func(name string, _ any) bool {
		p, ok := c.Property(name)
		return ok && p.Omit
	})
	body, err := entra.Encode(m)
	return entra.Object{Ref: entra.Ref{Type: live, ID: bin.Ref.ID}, Body: body}, err
}

// Simulate returns the tree the plan promises when it is carried out on base, by base's names. What is
// created keeps the goal's ID, what is undeleted leaves the recycle bin, what is deleted enters it where its
// type has one. Nothing is read but the objects that the steps write; an error in reading is what the
// tree's methods then give. Where base still has an object by a created one's ID, which is as good as gone, the created one
// has another: others maps the goal's name to it.
func (p *Plan) Simulate(base snapshot.Tree) (after snapshot.Tree, others map[entra.Ref]entra.Ref) {
	o, others := over(base), map[entra.Ref]entra.Ref{}
	ids := map[entra.ID]entra.ID{}
	maps.Copy(ids, p.Values)
	for g, b := range p.IDs {
		ids[g.ID] = b.ID
	}
	named := func(r entra.Ref, ofBase bool) entra.Ref {
		if ofBase {
			return r
		}
		if b, ok := p.IDs[r]; ok {
			return b
		}
		return rename(entra.Object{Ref: r}, ids).Ref
	}
	ctx := context.Background() // trees in memory and indexes are read without waiting
	for _, s := range p.Steps {
		if s.Action == Create {
			_, taken, err := get(ctx, base, named(s.Ref, false))
			if err != nil {
				o.Fail(err)
				return o, others
			}
			if own := s.Ref.ID.Split(); taken {
				ids[own[len(own)-1]] = marker(own[len(own)-1])
			}
			if r := named(s.Ref, false); r != s.Ref {
				others[s.Ref] = r
			}
		}
		if err := take(ctx, o, s, named(s.Ref, s.OfBase), func(r entra.Ref) entra.Ref { return named(r, s.OfBase) }, ids); err != nil {
			o.Fail(err)
			return o, others
		}
	}
	return o, others
}

// take puts one step over the tree.
func take(ctx context.Context, o *snapshot.Overlay, s Step, ref entra.Ref, name func(entra.Ref) entra.Ref, ids map[entra.ID]entra.ID) error {
	r, known := catalog.Lookup(ref.Type)
	switch s.Action {
	case Create, Update:
		m := map[string]any{}
		if s.Action == Update {
			x, err := o.Object(ctx, ref)
			if err != nil {
				return err
			}
			m = x.Body.Decode()
		}
		set, err := entra.Encode(nested(s.Set))
		if err != nil {
			return err
		}
		fresh := rename(entra.Object{Ref: s.Ref, Body: set}, ids).Body.Decode()
		for path := range s.Set {
			path = catalog.RenamePath(path, ids)
			v, _ := entra.Get(fresh, path)
			put(m, path, v)
		}
		if s.Action == Create {
			for property, v := range s.Values {
				m[property] = string(v)
			}
		}
		body, err := entra.Encode(m)
		if err != nil {
			return err
		}
		o.Set(entra.Object{Ref: ref, Body: body})
	case Undelete:
		if !known {
			return nil
		}
		bin, err := o.Object(ctx, entra.Ref{Type: r.Bin, ID: ref.ID})
		if err != nil {
			return err
		}
		x, err := revived(bin, ref.Type)
		if err != nil {
			return err
		}
		for property, v := range s.Set {
			x = with(x, property, v)
		}
		o.Set(x)
		o.Drop(bin.Ref)
	case Delete:
		x, err := o.Object(ctx, ref)
		if err != nil {
			return err
		}
		o.Drop(ref)
		if known && r.Bin != "" {
			o.Set(entra.Object{Ref: entra.Ref{Type: r.Bin, ID: ref.ID}, Body: x.Body})
		}
	case Attach:
		l := entra.Link{From: name(s.Link.From), Rel: s.Link.Rel, To: name(s.Link.To)}
		if s.Replaces != nil {
			o.Unlink(entra.Link{From: l.From, Rel: l.Rel, To: *s.Replaces})
		}
		o.Link(l)
	case Detach:
		o.Unlink(entra.Link{From: name(s.Link.From), Rel: s.Link.Rel, To: name(s.Link.To)})
	}
	return nil
}

// nested turns values by path into an object that holds them.
func nested(set map[string]any) map[string]any {
	m := map[string]any{}
	for path, v := range set {
		put(m, path, v)
	}
	return m
}

// put stores a value at a path. The name of an annotation holds dots and is not one.
func put(m map[string]any, path string, v any) {
	switch {
	case !strings.HasPrefix(path, "@"):
		entra.Set(m, path, v)
	case v == nil:
		delete(m, path)
	default:
		m[path] = v
	}
}

// Count says how much the plan does, in the terms of Limits. Privileged and Approvers are for others to
// judge and stay 0.
func (p *Plan) Count() Limits {
	objects := map[entra.Ref]bool{}
	var n Limits
	for _, s := range p.Steps {
		switch s.Action {
		case Attach, Detach:
			n.Links++
			continue
		case Delete:
			n.Deletions++
		}
		objects[s.Ref] = true
	}
	n.Objects = len(objects)
	return n
}
