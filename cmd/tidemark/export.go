package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/export"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// An exportDoc is what export prints as data.
type exportDoc struct {
	Snapshot string `json:"snapshot"`
	Number   int64  `json:"number"`
	Format   string `json:"format"`
	Folder   string `json:"folder"`
	Objects  int64  `json:"objects"`
	Links    int64  `json:"links"`
	Files    int64  `json:"files"`
}

func exportCommand(e *env) *cobra.Command {
	var x selection
	var at, format string
	c := &cobra.Command{
		Use:   "export --format json DIR",
		Short: "Write a snapshot out as plain files that need no program of ours",
		Long: `Writes one JSON file for each object of a snapshot, with the IDs it is linked to, into DIR/TYPE/, and DIR/snapshot.json,
which says what was seen and what not: an object without a file is absent only where its part is complete and all of
it was to be written ("whole"). DIR is made where it does not exist, and must be empty.`,
		Example: `  tidemark export --format json /tmp/contoso
  tidemark export --format json policies --at "3 days ago" --only conditionalAccessPolicy,namedLocation`,
		Args: takes(1, 1, "a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "json" {
				return usage("--format %q: this version writes json", format)
			}
			if len(x.fields) > 0 {
				return usage("--field: an export holds whole objects; --only, --object and --link narrow it")
			}
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return s.export(c.Context(), args[0], at, &x)
		},
	}
	x.flags(c)
	c.Flags().StringVar(&at, "at", "latest", "the snapshot to write")
	c.Flags().StringVar(&format, "format", "json", "what to write: json")
	return c
}

func (s *session) export(ctx context.Context, dir, at string, x *selection) error {
	taken, err := s.snapshot(ctx, at)
	if err != nil {
		return err
	}
	tree, err := s.index.Tree(ctx, s.repo, taken.Number)
	if err != nil {
		return err
	}
	scope, err := x.scope(ctx, s, taken.Number)
	if err != nil {
		return err
	}
	o := export.Options{Types: scope.Types}
	if o.Aliases, err = s.index.Aliases(ctx); err != nil {
		return err
	}
	if err := s.selected(ctx, tree, scope, &o); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &exit{code: 2, err: fmt.Errorf("export: %w", err)}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &exit{code: 2, err: fmt.Errorf("export: %w", err)}
	}
	defer func() { _ = root.Close() }() // its files are closed
	count, err := export.JSON(ctx, root, tree, o)
	if errors.Is(err, export.ErrNotEmpty) {
		return &exit{code: 2, err: fmt.Errorf("%s is not empty; nothing was written", dir), hint: "name a folder that is empty or does not exist"}
	}
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	doc := exportDoc{taken.ID.String(), taken.Number, "json", dir, count.Objects, count.Links, count.Files}
	text := fmt.Sprintf("snapshot %d: %d objects and %d links in %d files below %s\n", doc.Number, doc.Objects, doc.Links, doc.Files, clean(doc.Folder))
	if !taken.Whole() {
		text += fmt.Sprintf("not all was seen: %s says what\n", export.Manifest)
	}
	return s.print(result{doc: doc, rows: []any{doc}, text: text})
}

// selected narrows an export to what a selection means: its objects with what they contain and what relates them
// to others, their links both ways, and the objects that name them.
func (s *session) selected(ctx context.Context, tree *index.Tree, scope plan.Scope, o *export.Options) error {
	keep := map[entra.Ref]bool{}
	named := map[entra.Ref]bool{}
	all, err := s.about(ctx, scope.Refs, tree)
	if err != nil {
		return err
	}
	for _, x := range all {
		keep[x] = true
	}
	for _, r := range scope.Refs {
		named[r] = true
		for l, err := range tree.Around(ctx, r) {
			if err != nil {
				return err
			}
			keep[l.From] = true
		}
	}
	if len(scope.Refs) > 0 {
		o.Keep = func(r entra.Ref) bool { return keep[r] }
	}
	if len(scope.Refs) > 0 || len(scope.Links) > 0 {
		o.Link = func(l entra.Link) bool {
			return (len(named) == 0 || named[l.From] || named[l.To]) && (len(scope.Links) == 0 || slices.ContainsFunc(scope.Links, func(s string) bool {
				return s == l.Rel || s == fmt.Sprintf("%s[%s]", l.Rel, l.To.ID)
			}))
		}
	}
	return nil
}
