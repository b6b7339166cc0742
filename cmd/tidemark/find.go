package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
)

// A foundDoc is one object that a search found.
type foundDoc struct {
	Type  entra.Type `json:"type"`
	ID    entra.ID   `json:"id"`
	Name  string     `json:"name"`
	First int64      `json:"first"` // the first snapshot that has it
	Last  int64      `json:"last"`  // the last one; 0 where the newest has it
	Gone  int64      `json:"gone"`  // the snapshot that first missed it; 0 where it is still there
}

func findCommand(e *env) *cobra.Command {
	var at string
	var only []string
	var most int
	c := &cobra.Command{
		Use:   "find TEXT",
		Short: "Find objects by name, user principal name, appId or ID, what is gone included",
		Long: `Finds objects by an ID or its beginning, or by words that each begin a word of a name, a user principal name or an
appId. All snapshots are searched unless --at names one.`,
		Example: "  tidemark find finance\n  tidemark find anna@contoso.com --at \"3 days ago\"\n  tidemark find mail --only application,servicePrincipal -o json",
		Args:    takes(1, 1, "one text to look for"),
		RunE: func(c *cobra.Command, args []string) error {
			types, err := parseTypes(only)
			if err != nil {
				return err
			}
			if most < 1 {
				return usage("--max %d: want 1 or more", most)
			}
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			q := index.Query{Text: args[0], Max: most}
			if at != "" {
				x, err := s.snapshot(c.Context(), at)
				if err != nil {
					return err
				}
				q.At = x.Number
			}
			docs, err := s.find(c.Context(), q, types)
			if err != nil {
				return err
			}
			if len(docs) > most {
				docs = docs[:most]
				fmt.Fprintf(s.err, "tidemark: there are more than %d; --max shows more\n", most)
			}
			where := "any snapshot"
			if q.At != 0 {
				where = fmt.Sprintf("snapshot %d", q.At)
			}
			return s.print(s.foundResult(docs, fmt.Sprintf("nothing is called %q in %s; the beginnings of words are enough\n", clean(args[0]), where)))
		},
	}
	c.Flags().StringVar(&at, "at", "", "only what this snapshot has")
	c.Flags().StringSliceVar(&only, "only", nil, "only objects of these types")
	c.Flags().IntVar(&most, "max", 100, "the most to show")
	completeTypes(c, "only")
	return c
}

// find asks for one more than the query's most, so that the caller sees that there are more.
func (s *session) find(ctx context.Context, q index.Query, types []entra.Type) ([]foundDoc, error) {
	if len(types) == 0 {
		types = []entra.Type{""}
	}
	q.Max++
	all, err := s.index.Numbers(ctx)
	if err != nil {
		return nil, err
	}
	docs := []foundDoc{}
	for _, q.Type = range types {
		found, err := s.index.Find(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("find %q: %w", q.Text, err)
		}
		for _, f := range found {
			d := foundDoc{Type: f.Ref.Type, ID: f.Ref.ID, Name: f.Name, First: f.First, Last: f.Last}
			if i, _ := slices.BinarySearch(all, f.Last+1); f.Last != 0 && i < len(all) {
				d.Gone = all[i]
			}
			docs = append(docs, d)
		}
	}
	return docs, nil
}

func (s *session) foundResult(docs []foundDoc, nothing string) result {
	return s.unlessEmpty(len(docs), nothing, result{
		doc: docs, rows: anySlice(docs), head: []string{"TYPE", "ID", "SINCE", "GONE", "NAME"}, cells: func(yield func([]string)) {
			for _, d := range docs {
				gone := ""
				if d.Gone != 0 {
					gone = strconv.FormatInt(d.Gone, 10)
				}
				yield([]string{string(d.Type), string(d.ID), strconv.FormatInt(d.First, 10), gone, d.Name})
			}
		}})
}

// unlessEmpty says in words to people that a list is empty; data stays the empty list.
func (e *env) unlessEmpty(rows int, text string, r result) result {
	if rows == 0 && e.format == "table" {
		r.text, r.cells = text, nil
	}
	return r
}
