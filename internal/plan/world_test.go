package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A world is what a tree is made of, written and read as lines: a comment after "#", an object
// "TYPE/ID BODY", a link "FROM REL TO", a part that is not complete "TYPE[.REL] COVERAGE [HOLE...]".
type world struct {
	objects map[entra.Ref]entra.Object
	links   map[entra.Link]bool
	odd     map[string]snapshot.Part
}

func newWorld() world {
	return world{map[entra.Ref]entra.Object{}, map[entra.Link]bool{}, map[string]snapshot.Part{}}
}

func (w world) clone() world {
	return world{maps.Clone(w.objects), maps.Clone(w.links), maps.Clone(w.odd)}
}

func (w world) put(t entra.Type, id, body string) {
	r, ok := catalog.Lookup(t)
	if !ok {
		panic("no type " + t)
	}
	raw, err := entra.Decode([]byte(body))
	if err != nil {
		panic(err)
	}
	parts := entra.ID(id).Split()
	raw["id"] = string(parts[len(parts)-1])
	text, err := entra.Encode(raw)
	if err != nil {
		panic(err)
	}
	parent := entra.ID("")
	if len(parts) > 1 {
		parent = parts[0]
	}
	o, err := r.Object([]byte(text), parent)
	if err != nil {
		panic(err)
	}
	w.objects[o.Ref] = o
}

func parse(text string) (world, error) {
	w := newWorld()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		head, rest, _ := strings.Cut(line, " ")
		if strings.HasPrefix(rest, "{") {
			ref, err := entra.ParseRef(head)
			if err != nil {
				return w, err
			}
			w.put(ref.Type, string(ref.ID), rest)
			continue
		}
		words := strings.Fields(line)
		if strings.Contains(head, "/") && len(words) == 3 {
			from, err := entra.ParseRef(words[0])
			if err != nil {
				return w, err
			}
			to, err := entra.ParseRef(words[2])
			if err != nil {
				return w, err
			}
			w.links[entra.Link{From: from, Rel: words[1], To: to}] = true
			continue
		}
		if len(words) < 2 {
			return w, fmt.Errorf("line %q", line)
		}
		t, rel, _ := strings.Cut(words[0], ".")
		p := snapshot.Part{Type: entra.Type(t), Relation: rel}
		if err := p.Coverage.UnmarshalText([]byte(words[1])); err != nil {
			return w, err
		}
		for _, hole := range words[2:] {
			p.Holes = append(p.Holes, entra.Ref{Type: p.Type, ID: entra.ID(hole)})
		}
		w.odd[words[0]] = p
	}
	return w, nil
}

func ids(o entra.Object) []entra.ID {
	var all []entra.ID
	for _, r := range catalog.Refs(o) {
		all = append(all, r.ID)
	}
	return all
}

// tree makes a tree of the world, filled in an order that shuffle changes.
func (w world) tree(shuffle func([]entra.Object)) *snapshot.Memory {
	s := &snapshot.Snapshot{Tenant: "11111111-1111-1111-1111-111111111111", Began: time.Date(2026, 1, 15, 8, 0, 0, 0, time.UTC)}
	part := func(p snapshot.Part) {
		name := string(p.Type)
		if p.Relation != "" {
			name += "." + p.Relation
		}
		if odd, ok := w.odd[name]; ok {
			p = odd
		} else {
			p.Coverage = snapshot.Complete
		}
		p.Root = snapshot.Root(entra.Body(w.text(p.Type, p.Relation)).Version())
		s.Parts = append(s.Parts, p)
	}
	for r := range catalog.All() {
		part(snapshot.Part{Type: r.Type})
		for _, l := range r.Links {
			part(snapshot.Part{Type: r.Type, Relation: l.Rel})
		}
	}
	slices.SortFunc(s.Parts, snapshot.Part.Compare)
	objects := slices.SortedFunc(maps.Values(w.objects), func(a, b entra.Object) int { return a.Ref.Compare(b.Ref) })
	if shuffle != nil {
		shuffle(objects)
	}
	return snapshot.NewMemory(s, ids, objects, slices.Collect(maps.Keys(w.links)))
}

func (w world) text(t entra.Type, rel string) string {
	var b strings.Builder
	for _, r := range slices.SortedFunc(maps.Keys(w.objects), entra.Ref.Compare) {
		if r.Type == t && rel == "" {
			fmt.Fprintln(&b, r, w.objects[r].Body)
		}
	}
	for _, l := range slices.SortedFunc(maps.Keys(w.links), entra.Link.Compare) {
		if l.From.Type == t && l.Rel == rel {
			fmt.Fprintln(&b, l)
		}
	}
	return b.String()
}

// read is the inverse of tree.
func read(t interface {
	Helper()
	Fatal(...any)
}, tree snapshot.Tree) world {
	t.Helper()
	w := newWorld()
	for _, p := range tree.Snapshot().Parts {
		if p.Relation == "" {
			for e, err := range tree.Entries(ctx, p.Type) {
				if err != nil {
					t.Fatal(err)
				}
				o, err := tree.Object(ctx, e.Ref)
				if err != nil {
					t.Fatal(err)
				}
				if o.Version() != e.Version {
					t.Fatal("the version of", e.Ref, "is not its body's")
				}
				w.objects[e.Ref] = o
			}
			continue
		}
		for l, err := range tree.Links(ctx, p.Type, p.Relation) {
			if err != nil {
				t.Fatal(err)
			}
			w.links[l] = true
		}
	}
	return w
}
