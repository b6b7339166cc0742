package catalog

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A Back is a list that the service keeps at one object of what leads to it: the groups that a person is in, the
// assignments that a group has. It costs a request where the other direction costs one per group of the tenant.
// Source: Microsoft Graph documentation, the relationships memberOf, ownedObjects, directReports,
// appRoleAssignments and oauth2PermissionGrants.
type Back struct {
	to    *Resource
	name  string
	links []start   // relations that end at the type
	names *Resource // the type whose objects name one of the type; nil where it lists where links start
}

type start struct {
	from *Resource
	rel  Relation
}

// Backs returns the lists that an object of the type has, ascending by name.
func (r *Resource) Backs() []Back {
	byName := map[string]*Back{}
	var order []string
	back := func(name string) *Back {
		if byName[name] == nil {
			byName[name] = &Back{to: r, name: name}
			order = append(order, name)
		}
		return byName[name]
	}
	for from := range All() {
		if from.Live != "" {
			continue
		}
		for _, rel := range from.Links {
			if rel.Back != "" && slices.Contains(rel.To, r.Type) {
				b := back(rel.Back)
				b.links = append(b.links, start{from, rel})
			}
		}
		for _, p := range from.Properties {
			if p.Back != "" && slices.Contains(p.Ref, r.Type) {
				back(p.Back).names = from
			}
		}
	}
	slices.Sort(order)
	all := make([]Back, len(order))
	for i, name := range order {
		all[i] = *byName[name]
	}
	return all
}

// Name returns what the service calls the list.
func (b Back) Name() string { return b.name }

// Call returns the call that lists it at an object of the type.
func (b Back) Call(id entra.ID) Call {
	c := Call{Method: "GET", Version: b.to.Version, Path: b.to.at(id) + "/" + b.name, Query: url.Values{"$top": {"999"}}}
	if b.names == nil {
		c.Query.Set("$select", "id")
	}
	return c
}

// Links yields the types and relations of the links that it lists, none where it lists objects.
func (b Back) Links(yield func(from entra.Type, rel Relation) bool) {
	for _, s := range b.links {
		if !yield(s.from.Type, s.rel) {
			return
		}
	}
}

// Item turns an item of the list at an object into the links that it stands for, or into the object that it is. What
// the catalog has no declaration for is neither.
func (b Back) Item(to entra.Ref, raw []byte) (links []entra.Link, object *entra.Object, err error) {
	m, err := entra.Decode(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s of %s: %w", b.name, to, err)
	}
	id, _ := m["id"].(string)
	if id == "" {
		return nil, nil, fmt.Errorf("reading %s of %s: an item has no id", b.name, to)
	}
	if b.names != nil {
		o, err := b.names.Object(raw, b.names.parentIn(m))
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s of %s: %w", b.name, to, err)
		}
		return nil, &o, nil
	}
	name, _ := m["@odata.type"].(string)
	t := entra.Type(strings.TrimPrefix(name, "#microsoft.graph."))
	if t == "" && len(b.links) == 1 {
		t = b.links[0].from.Type
	}
	if t == "" {
		return nil, nil, fmt.Errorf("reading %s of %s: item %s does not say what it is", b.name, to, id)
	}
	for _, s := range b.links {
		if s.from.Type == t {
			links = append(links, entra.Link{From: entra.Ref{Type: t, ID: entra.ID(id)}, Rel: s.rel.Rel, To: to})
		}
	}
	return links, nil, nil
}

// parentIn returns the ID of what contains an object, which its properties name; "" of a type that is not contained.
func (r *Resource) parentIn(m map[string]any) entra.ID {
	for _, p := range r.Properties {
		if r.Under != "" && p.Must && slices.Equal(p.Ref, []entra.Type{r.Under}) {
			return entra.ID(text(m, p.Name))
		}
	}
	return ""
}
