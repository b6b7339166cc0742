package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A copyDoc is what came of a copy, as data.
type copyDoc struct {
	From    string       `json:"from"`
	To      string       `json:"to"`
	Records int64        `json:"records"` // in the log
	Files   int64        `json:"files"`   // that were written
	Bytes   int64        `json:"bytes"`
	Healed  []mendedDoc  `json:"healed"`
	Lost    []findingDoc `json:"lost"` // that neither has right
	Head    string       `json:"head"`
}

// A mendedDoc is a file that was repaired, as data.
type mendedDoc struct {
	At     string `json:"at"` // the repository in which it was wrong
	Blob   string `json:"blob"`
	Reason string `json:"reason"`
}

func copyCommand(e *env) *cobra.Command {
	var heal bool
	c := &cobra.Command{
		Use:   "copy DEST",
		Short: "Bring a copy of the repository up to date, or repair each from the other",
		Long: `Writes what DEST lacks, which may be empty, and is a URL as of any repository. No key is needed: everything is compared
with what the signed log says of it, and nothing wrong is copied. What is there at any moment is a whole repository, so a
copy can be interrupted. With --heal all of both is read, and what is missing or wrong in one is repaired from the other; for
that the credentials must be able to delete there. Two that have gone apart are refused.`,
		Example: "  tidemark copy file:///mnt/disk/contoso\n  tidemark copy 's3://backup/contoso?region=eu-central-1' --heal",
		Args:    takes(1, 1, "where the copy is or will be"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := e.tenantSettings()
			if err != nil {
				return err
			}
			return (&session{env: e, settings: t, url: t.Repository}).copy(c.Context(), args[0], heal)
		},
	}
	c.Flags().BoolVar(&heal, "heal", false, "read all of both, and repair each from the other")
	return c
}

// copy works on the stores themselves: a repository that does not open may be healed all the same.
func (s *session) copy(ctx context.Context, dest string, heal bool) error {
	if absolute(dest) == absolute(s.url) {
		return usage("%s is the repository itself", dest)
	}
	open := openStore
	if heal {
		open = makeStore // what was lost whole comes back
	}
	from, err := open(s.url)
	if err != nil {
		return err
	}
	defer closeStore(from)
	to, err := makeStore(dest)
	if err != nil {
		return err
	}
	defer closeStore(to)
	o := repository.CopyOptions{Heal: heal}
	id, err := repository.Identify(ctx, from)
	if err != nil && heal {
		id, err = repository.Identify(ctx, to)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", s.url, err)
	}
	text, err := os.ReadFile(filepath.Join(s.state(id), "head"))
	if err == nil {
		o.Seen, err = repository.ParseHead(strings.TrimSpace(string(text)))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read newest head seen: %w", err)
	}
	out, err := repository.Copy(ctx, from, to, o)
	if err != nil {
		return err
	}
	doc := copyDoc{From: s.url, To: dest, Records: out.Records, Files: out.Files, Bytes: out.Bytes, Healed: []mendedDoc{}, Lost: []findingDoc{}, Head: out.Head.String()}
	var b strings.Builder
	for _, m := range out.Healed {
		at := dest
		if m.First {
			at = s.url
		}
		doc.Healed = append(doc.Healed, mendedDoc{at, m.Blob, m.Reason})
		fmt.Fprintf(&b, "healed in %s: %s (%s)\n", at, m.Blob, m.Reason)
	}
	for _, f := range out.Lost {
		doc.Lost = append(doc.Lost, findingOf(f))
		fmt.Fprintf(&b, "not repaired: %s: %s\n", f.Blob, f.Reason)
	}
	fmt.Fprintf(&b, "%s written to %s, %d bytes; it has %s\nhead %s\n", count(int(doc.Files), "file"), dest, doc.Bytes, count(int(doc.Records), "record"), doc.Head)
	if err := s.print(result{doc: doc, rows: []any{doc}, text: b.String()}); err != nil {
		return err
	}
	if n := len(doc.Lost); n > 0 {
		hint := "with --heal each is repaired from the other"
		if heal {
			hint = "a third copy may have it right: copy from there with --heal"
		}
		return &exit{code: 5, err: fmt.Errorf("%s could not be copied as the log has it", count(n, "file")), hint: hint}
	}
	return nil
}
