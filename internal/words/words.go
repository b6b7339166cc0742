// Package words says in plain English what a change means, and how much risk lies in it.
//
// It promises a sentence for every change: where it has no wording of its own it names the property and the
// two values. IDs are shown as names wherever the caller's Namer knows one. Risk is judged by what the change
// opens, not by how much it changes: who could now take over the tenant, or get in with less.
//
// It refuses to guess what it was not shown: it reads the change, the names, and nothing else. It names no
// type; what it must know of one comes from the catalog.
package words

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A Risk says how much a change endangers the tenant.
type Risk uint8

// The risks, rising.
const (
	None   Risk = iota // a consequence of another change, or of no consequence
	Low                // daily administration
	Medium             // worth a look: it widens or narrows what someone can do
	High               // it can hand over the tenant, or let someone in with less than before
)

// String returns none, low, medium or high.
func (r Risk) String() string {
	switch r {
	case None:
		return "none"
	case Low:
		return "low"
	case Medium:
		return "medium"
	case High:
		return "high"
	}
	return fmt.Sprintf("risk(%d)", uint8(r))
}

// MarshalText writes the word.
func (r Risk) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the word.
func (r *Risk) UnmarshalText(text []byte) error {
	for k := None; k <= High; k++ {
		if k.String() == string(text) {
			*r = k
			return nil
		}
	}
	return fmt.Errorf("risk %q is not known", text)
}

// A Namer knows what people call things. It is asked about objects of either tree, so that deleted ones still
// have names. One that also has a method Object(entra.Ref) (entra.Object, bool) is asked for the objects at
// the ends of a link or an assignment, whose properties decide its risk; where it does not know, the
// sentence says less and assumes the worse.
type Namer interface {
	// Name returns the name of an object.
	Name(ref entra.Ref) (string, bool)
	// Find looks for the object of one of the types whose property by is id; "" stands for its ID.
	Find(id entra.ID, types []entra.Type, by string) (entra.Ref, string, bool)
}

type library interface {
	Object(ref entra.Ref) (entra.Object, bool)
}

// A Sentence is what to tell people about a change.
type Sentence struct {
	Text   string // one or more sentences, each with a full stop
	Risk   Risk
	Effect string // what follows from it for people, as a sentence; "" where the text says it all
	Plain  int    // how many properties had no wording of their own
}

// Said is a change with what is said of it.
type Said struct {
	Change diff.Change
	Name   string // of the object of the change
	Sentence
}

// Order sorts by falling risk, then type, then name, then as diff does.
func Order(a, b Said) int {
	return cmp.Or(
		cmp.Compare(b.Risk, a.Risk),
		cmp.Compare(a.Change.Ref.Type, b.Change.Ref.Type),
		cmp.Compare(a.Name, b.Name),
		a.Change.Compare(b.Change),
	)
}

// Say puts one change into words.
func Say(c diff.Change, names Namer) Sentence {
	s := &speaker{c: c, names: names}
	s.r, _ = catalog.Lookup(c.Ref.Type)
	switch {
	case c.After != nil:
		s.o = *c.After
	case c.Before != nil:
		s.o = *c.Before
	}
	kind := c.Kind
	if kind == diff.Unknown {
		switch {
		case c.IsLink() && c.Reason == diff.NoBefore:
			kind = diff.Linked
		case c.IsLink():
			kind = diff.Unlinked
		case c.Reason == diff.NoBefore:
			kind = diff.Added
		default:
			kind = diff.Removed
		}
	}
	if c.Kind == diff.Unknown && c.Reason == diff.NoAfter {
		what := s.called(c.Ref)
		if c.IsLink() {
			what = fmt.Sprintf("The link from %s to %s (%s)", s.called(c.Link.From), s.called(c.Link.To), c.Link.Rel)
		}
		return Sentence{Text: upper(what) + " was not seen. It may still be there: the later reading is not complete.", Risk: Low}
	}
	var clauses []clause
	switch kind {
	case diff.Linked, diff.Unlinked:
		clauses = []clause{s.link(kind == diff.Linked)}
	case diff.Added:
		clauses = s.came()
	case diff.Removed:
		clauses = s.went()
	default:
		clauses = s.changed()
	}
	out := s.join(clauses)
	if c.Kind == diff.Unknown {
		out.Text += " It is there now; whether it was before is unknown."
	}
	return out
}

// All says all changes in Order. What follows from another change among them is said with it: a deleted
// object and its row in the recycle bin, one brought back from there, and the links that went with it.
func All(changes []diff.Change, names Namer) []Said {
	gone, came := map[entra.Ref]diff.Change{}, map[entra.Ref]diff.Change{}
	for _, c := range changes {
		switch {
		case c.IsLink():
		case c.Kind == diff.Removed:
			gone[c.Ref] = c
		case c.Kind == diff.Added:
			came[c.Ref] = c
		}
	}
	said := make([]Said, 0, len(changes))
	for _, c := range changes {
		s := Said{Change: c, Sentence: Say(c, names)}
		r, known := catalog.Lookup(c.Ref.Type)
		sp := &speaker{c: c, names: names, r: r}
		s.Name = sp.name(c.Ref)
		switch {
		case c.Kind == diff.Unlinked:
			for _, end := range []entra.Ref{c.Link.From, c.Link.To} {
				if _, ok := gone[end]; ok {
					s.Risk, s.Effect = None, fmt.Sprintf("It went with %s.", sp.called(end))
				}
			}
		case c.IsLink() || !known:
		case r.Bin != "":
			bin := entra.Ref{Type: r.Bin, ID: c.Ref.ID}
			if in, ok := came[bin]; ok && c.Kind == diff.Removed {
				s.Text = strings.Replace(s.Text, " was deleted.", " was deleted"+until(in.After)+".", 1)
			}
			if _, ok := gone[bin]; ok && c.Kind == diff.Added {
				s.Text = strings.Replace(s.Text, " was created", " was brought back from the recycle bin", 1)
			}
		case r.Live != "":
			live := entra.Ref{Type: r.Live, ID: c.Ref.ID}
			if _, ok := gone[live]; ok && c.Kind == diff.Added {
				s.Text = fmt.Sprintf("%s is in the recycle bin.", upper(sp.binned()))
			}
			if _, ok := came[live]; ok && c.Kind == diff.Removed {
				s.Text, s.Risk = fmt.Sprintf("%s is no longer in the recycle bin.", upper(sp.binned())), None
			}
		}
		said = append(said, s)
	}
	slices.SortFunc(said, Order)
	return said
}

// A clause is one thing to say about a change.
type clause struct {
	text   string // without the full stop
	risk   Risk
	effect string
	plain  bool // generic wording
	exact  bool // it starts with a name, which stays as it is
}

func (s *speaker) join(clauses []clause) Sentence {
	slices.SortStableFunc(clauses, func(a, b clause) int { return cmp.Compare(b.risk, a.risk) })
	var out Sentence
	var texts, effects []string
	for _, c := range clauses {
		text := c.text
		if !c.exact {
			text = upper(text)
		}
		texts = append(texts, text+".")
		out.Risk = max(out.Risk, c.risk)
		if c.effect != "" && !slices.Contains(effects, c.effect) {
			effects = append(effects, c.effect)
		}
		if c.plain {
			out.Plain++
		}
	}
	out.Text, out.Effect = strings.Join(texts, " "), strings.Join(effects, " ")
	return out
}
