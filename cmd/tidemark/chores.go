package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A choreDoc is work that a person has to do so that what a plan leaves out comes back, and for what.
type choreDoc struct {
	Name  string     `json:"name"`
	Title string     `json:"title"`
	Do    string     `json:"do"`
	For   []choreFor `json:"for"`
}

// A choreFor is what a chore is done for, once, whatever it is that waits for it.
type choreFor struct {
	Type entra.Type `json:"type"`
	ID   entra.ID   `json:"id"`
	Name string     `json:"name"`
	// Objects is how many others wait for it.
	Objects int `json:"objects,omitempty"`
}

// chores groups gaps by what a person has to do about them.
func chores(gaps []plan.Gap) (docs []choreDoc) {
	for _, c := range catalog.Chores() {
		doc := choreDoc{Name: c.Name, Title: c.Title, Do: c.Do}
		at, waits := map[entra.Ref]int{}, map[[2]entra.Ref]bool{}
		for _, g := range gaps {
			if gapOf(g).ByHand != c.Name {
				continue
			}
			of, name := g.Ref, g.Name
			if g.Missing != (entra.Ref{}) && g.Missing != g.Ref && c.Name != catalog.OnPremises {
				of, name = g.Missing, string(g.Missing.ID)
			}
			i, known := at[of]
			if !known {
				i = len(doc.For)
				at[of] = i
				doc.For = append(doc.For, choreFor{Type: of.Type, ID: of.ID, Name: name})
			}
			if of == g.Ref {
				doc.For[i].Name = name
			} else if pair := [2]entra.Ref{of, g.Ref}; !waits[pair] {
				waits[pair] = true
				doc.For[i].Objects++
			}
		}
		slices.SortFunc(doc.For, func(x, y choreFor) int {
			return entra.Ref{Type: x.Type, ID: x.ID}.Compare(entra.Ref{Type: y.Type, ID: y.ID})
		})
		if len(doc.For) > 0 {
			docs = append(docs, doc)
		}
	}
	return docs
}

// shownFor is how many of what a chore is for a person is shown.
const shownFor = 20

// checklist is chores as a person reads them.
func checklist(docs []choreDoc) string {
	if len(docs) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("what has to be done by hand:\n")
	for _, d := range docs {
		fmt.Fprintf(&b, "  [ ] %s: %s\n", d.Title, d.Do)
		for i, f := range d.For {
			if i == shownFor {
				fmt.Fprintf(&b, "          and %d more (-o json names them all)\n", len(d.For)-i)
				break
			}
			name := f.Name
			if name == "" {
				name = string(f.ID)
			}
			line := fmt.Sprintf("%s %s", f.Type, name)
			if f.Objects > 0 {
				line += fmt.Sprintf(" (for %s)", count(f.Objects, "object"))
			}
			fmt.Fprintf(&b, "          %s\n", clean(line))
		}
	}
	return b.String()
}
