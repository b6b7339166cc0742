package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

//go:embed verify_proof.py
var verifyProof []byte

// A proveDoc is what was proven, as data.
type proveDoc struct {
	Type     entra.Type `json:"type"`
	ID       entra.ID   `json:"id"`
	Name     string     `json:"name"`
	Snapshot int64      `json:"snapshot"` // as which it is shown
	Record   int64      `json:"record"`   // that says it
	At       time.Time  `json:"at"`       // when that was written
	Head     string     `json:"head"`     // against which it is proven
	Dir      string     `json:"dir"`
}

func proveCommand(e *env) *cobra.Command {
	var at, head, dir string
	c := &cobra.Command{
		Use:   "prove OBJECT --out DIR",
		Short: "Prove to anybody that an object was captured as it is, and when, without showing anything else",
		Long: `Writes a folder with the object as a snapshot has it, what leads from it to a head of the repository's log, and a
program that verifies this with nothing but Python. Nothing else of the repository is disclosed. Whoever wrote down a
head at some time, as capture prints it, knows that what is proven against it was in the log by then: name it with
--head. Else the newest head counts, which is signed.`,
		Example: `  tidemark prove user:anna@contoso.com --at "2 years ago" --out evidence
  python3 evidence/verify_proof.py evidence/proof.json`,
		Args: takes(1, 1, "one object"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return s.prove(c.Context(), args[0], at, head, dir)
		},
	}
	f := c.Flags()
	f.StringVar(&at, "at", "latest", "the snapshot")
	f.StringVar(&head, "head", "", "a head that somebody wrote down: \"SIZE ROOT\", as capture prints it")
	f.StringVar(&dir, "out", "", "a folder to make")
	_ = c.MarkFlagRequired("out") // fails only for a flag that does not exist
	return c
}

func (s *session) prove(ctx context.Context, name, at, head, dir string) error {
	x, err := s.snapshot(ctx, at)
	if err != nil {
		return err
	}
	ref, err := s.object(ctx, name, x.Number)
	if err != nil {
		return err
	}
	tree, err := s.index.Tree(ctx, s.repo, x.Number)
	if err != nil {
		return err
	}
	place, err := tree.Position(ctx, ref)
	if err != nil {
		return err
	}
	var given repository.Head
	if head != "" {
		if given, err = repository.ParseHead(head); err != nil {
			return usage("--head: %v", err)
		}
	}
	proof, err := s.repo.Prove(ctx, place.Record, ref, given.Size)
	if errors.Is(err, repository.ErrNoProof) {
		return &exit{code: 1, err: err, hint: "the record's files prove it with the whole of what they hold; captures since this release can be proven object by object"}
	}
	if err != nil {
		return err
	}
	if is := (repository.Head{Size: proof.Size, Root: given.Root}).String(); head != "" && is != fmt.Sprintf("%d %s", proof.Size, proof.Root) {
		return &exit{code: 5, err: fmt.Errorf("the log had another root with %d records: %s", proof.Size, proof.Root), hint: "the head was written down wrong, or the log is not the one it is of"}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return &exit{code: 2, err: fmt.Errorf("make %s: %w", dir, err), hint: "name a folder that is not there yet"}
	}
	text, err := json.MarshalIndent(proof, "", "  ")
	if err != nil {
		return fmt.Errorf("prove: %w", err)
	}
	for file, data := range map[string][]byte{"proof.json": append(text, '\n'), "verify_proof.py": verifyProof} {
		if err := writeNew(filepath.Join(dir, file), data); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	called, err := tree.Name(ctx, ref)
	if err != nil {
		return err
	}
	doc := proveDoc{Type: ref.Type, ID: ref.ID, Name: called, Snapshot: x.Number, Record: place.Record, Head: fmt.Sprintf("%d %s", proof.Size, proof.Root), Dir: dir}
	for rec, err := range s.repo.Records(ctx, place.Record) {
		if err != nil {
			return err
		}
		doc.At = rec.At
		break
	}
	return s.print(result{doc: doc, rows: []any{doc}, text: fmt.Sprintf("%s (%s) as of snapshot %d was written in record %d at %s\nproven against head %s\nverify with: python3 %s %s\n", clean(called), ref,
		doc.Snapshot, doc.Record, doc.At.Format(time.RFC3339), doc.Head, filepath.Join(dir, "verify_proof.py"), filepath.Join(dir, "proof.json"))})
}
