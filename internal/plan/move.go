package plan

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Move says how what one tenant is called by is called in another.
type Move struct {
	From, To entra.TenantID
	Domains  map[string]string // of one tenant to those of the other
}

// Move returns the tree as the other tenant would have it: in all IDs and in all text of all bodies its own ID stands for that of
// the first, and its domains for those that are mapped; a name counts where it stands by itself, and not within a longer one.
// What is in both tenants by the same ID is the same, as are the roles that Microsoft made; all else is recognised by Make, or
// made anew. It refuses two domains that become one.
func (m Move) Move(tree snapshot.Tree) (snapshot.Tree, error) {
	there, back := map[string]string{}, map[string]string{}
	pairs := maps.Clone(m.Domains)
	if pairs == nil {
		pairs = map[string]string{}
	}
	pairs[string(m.From)] = string(m.To)
	for from, to := range pairs {
		from, to = strings.ToLower(from), strings.ToLower(to)
		if from == "" || to == "" {
			return nil, fmt.Errorf("move to tenant %s: a domain has no name", m.To)
		}
		if other, taken := back[to]; taken && other != from {
			return nil, fmt.Errorf("move to tenant %s: both %s and %s become %s", m.To, min(from, other), max(from, other), to)
		}
		there[from], back[to] = to, from
	}
	s := *tree.Snapshot()
	s.Tenant = m.To
	t := &moved{tree: tree, there: newRenamer(there), back: newRenamer(back)}
	s.Parts = slices.Clone(s.Parts)
	for i := range s.Parts {
		for _, refs := range []*[]entra.Ref{&s.Parts[i].Holes, &s.Parts[i].Seen, &s.Parts[i].SeenTo} {
			all := make([]entra.Ref, len(*refs))
			for j, r := range *refs {
				all[j] = t.there.ref(r)
			}
			*refs = all
		}
	}
	t.snapshot = &s
	return t, nil
}

// A moved tree is another tenant's, as Move describes.
type moved struct {
	tree        snapshot.Tree
	snapshot    *snapshot.Snapshot
	there, back renamer
}

// Snapshot implements snapshot.Tree.
func (t *moved) Snapshot() *snapshot.Snapshot { return t.snapshot }

// Entries implements snapshot.Tree.
func (t *moved) Entries(ctx context.Context, of entra.Type) iter.Seq2[snapshot.Entry, error] {
	refs := ordered(t.tree.Entries(ctx, of), func(e snapshot.Entry) (snapshot.Entry, bool, error) {
		ref := t.there.ref(e.Ref)
		return snapshot.Entry{Ref: ref}, ref != e.Ref, nil
	}, func(a, b snapshot.Entry) int { return a.Ref.Compare(b.Ref) })
	return func(yield func(snapshot.Entry, error) bool) {
		var some []entra.Ref
		flush := func() bool { // the versions are those of the bodies as they are here
			for o, err := range t.Objects(ctx, some) {
				if !yield(snapshot.Entry{Ref: o.Ref, Version: o.Version()}, err) || err != nil {
					return false
				}
			}
			some = some[:0]
			return true
		}
		for e, err := range refs {
			if err != nil {
				yield(e, err)
				return
			}
			if some = append(some, e.Ref); len(some) == ahead && !flush() {
				return
			}
		}
		flush()
	}
}

// Links implements snapshot.Tree.
func (t *moved) Links(ctx context.Context, of entra.Type, rel string) iter.Seq2[entra.Link, error] {
	return ordered(t.tree.Links(ctx, of, rel), t.link, entra.Link.Compare)
}

// Around implements snapshot.Tree.
func (t *moved) Around(ctx context.Context, r entra.Ref) iter.Seq2[entra.Link, error] {
	return ordered(t.tree.Around(ctx, t.back.ref(r)), t.link, entra.Link.Compare)
}

func (t *moved) link(l entra.Link) (entra.Link, bool, error) {
	m := entra.Link{From: t.there.ref(l.From), Rel: l.Rel, To: t.there.ref(l.To)}
	return m, m != l, nil
}

// Holders implements snapshot.Tree.
func (t *moved) Holders(ctx context.Context, id entra.ID) iter.Seq2[entra.Ref, error] {
	return ordered(t.tree.Holders(ctx, entra.ID(t.back.text(string(id)))), func(r entra.Ref) (entra.Ref, bool, error) {
		m := t.there.ref(r)
		return m, m != r, nil
	}, entra.Ref.Compare)
}

// Object implements snapshot.Tree.
func (t *moved) Object(ctx context.Context, r entra.Ref) (entra.Object, error) {
	o, err := t.tree.Object(ctx, t.back.ref(r))
	if err != nil {
		return entra.Object{}, err
	}
	return entra.Object{Ref: r, Body: t.there.body(o.Body)}, nil
}

// Objects reads many at once, where the tree below can.
func (t *moved) Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error] {
	below := newReader(t.tree)
	old := make([]entra.Ref, len(refs))
	for i, r := range refs {
		old[i] = t.back.ref(r)
	}
	return func(yield func(entra.Object, error) bool) {
		for o, err := range below.Objects(ctx, old) {
			if !yield(entra.Object{Ref: t.there.ref(o.Ref), Body: t.there.body(o.Body)}, err) || err != nil {
				return
			}
		}
	}
}

// A placed is one of a sequence, and whether it may have another place in it.
type placed[T any] struct {
	x    T
	away bool
}

// ordered maps an ascending sequence to an ascending one. What do says has moved may have another place; there is little of it, and
// it is held in memory.
func ordered[T any](seq iter.Seq2[T, error], do func(T) (T, bool, error), compare func(a, b T) int) iter.Seq2[T, error] {
	mapped := func(yield func(placed[T], error) bool) {
		for x, err := range seq {
			var p placed[T]
			if err == nil {
				p.x, p.away, err = do(x)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
	return func(yield func(T, error) bool) {
		var away []T
		for p, err := range mapped {
			if err != nil {
				yield(p.x, err)
				return
			}
			if p.away {
				away = append(away, p.x)
			}
		}
		slices.SortFunc(away, compare)
		for p, err := range mapped {
			if err != nil {
				yield(p.x, err)
				return
			}
			for !p.away && len(away) > 0 && compare(away[0], p.x) < 0 {
				if !yield(away[0], nil) {
					return
				}
				away = away[1:]
			}
			if !p.away && !yield(p.x, nil) {
				return
			}
		}
		for _, x := range away {
			if !yield(x, nil) {
				return
			}
		}
	}
}

// A renamer puts names in the place of names, in text.
type renamer struct {
	to    map[string]string // in lower case
	names []string          // of to, the longest first
}

func newRenamer(to map[string]string) renamer {
	r := renamer{to: to, names: slices.Collect(maps.Keys(to))}
	slices.SortFunc(r.names, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	return r
}

func (r renamer) ref(ref entra.Ref) entra.Ref {
	return entra.Ref{Type: ref.Type, ID: entra.ID(r.text(string(ref.ID)))}
}

// body needs no canonical form anew: names of members have no domains and no tenant's ID in them.
func (r renamer) body(b entra.Body) entra.Body { return entra.Body(r.text(string(b))) }

// text replaces the names where they stand by themselves, in whatever case.
func (r renamer) text(s string) string {
	low := lower(s)
	var out strings.Builder
	from := 0
	for at := 0; at < len(low); {
		next, name := -1, ""
		for _, n := range r.names {
			if i := strings.Index(low[at:], n); i >= 0 && (next < 0 || at+i < next) {
				next, name = at+i, n
			}
		}
		if next < 0 {
			break
		}
		end := next + len(name)
		if alone(low, next, end) {
			out.WriteString(s[from:next])
			out.WriteString(r.to[name])
			from = end
			at = end
		} else {
			at = next + 1
		}
	}
	if from == 0 {
		return s
	}
	out.WriteString(s[from:])
	return out.String()
}

// alone reports whether what is from begin to end is no part of a longer name.
func alone(s string, begin, end int) bool {
	part := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c >= 0x80 }
	if begin > 0 && (part(s[begin-1]) || s[begin-1] == '.') && !escape(s[:begin]) {
		return false
	}
	return end == len(s) || !part(s[end]) && (s[end] != '.' || end+1 == len(s) || !part(s[end+1]))
}

// escape reports whether the text, of a body, ends with an escape of one letter, such as that of a line's end.
func escape(s string) bool {
	letters := s[:len(s)-1]
	slashes := len(letters) - len(strings.TrimRight(letters, "\\"))
	return slashes%2 == 1 && strings.IndexByte("bfnrt", s[len(s)-1]) >= 0
}

// lower is text with its ASCII letters in lower case, of the same length.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
