package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A checkDoc is what an examination of the repository found.
type checkDoc struct {
	OK       bool         `json:"ok"`
	Deep     bool         `json:"deep"`
	Records  int64        `json:"records"`
	Blobs    int64        `json:"blobs"`
	Head     string       `json:"head"`
	Findings []findingDoc `json:"findings"`

	unlocked int // of the findings
}

// A findingDoc is one thing that is not as it should be.
type findingDoc struct {
	Blob      string  `json:"blob"`
	Reason    string  `json:"reason"`
	Snapshots []int64 `json:"snapshots"` // those that the damage touches
}

func checkCommand(e *env) *cobra.Command {
	var deep bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Prove that the repository is whole and unchanged, or name what is damaged",
		Long: `Checks every record of the log, its signature and the hash of every file that a record names; --deep also opens
every file and computes what it says anew. Exit code 5 means damage: each finding names the snapshots it touches.`,
		Example: "  tidemark check\n  tidemark check --deep -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// The index is not asked: what is examined here is what it is made from.
			t, err := e.tenantSettings()
			if err != nil {
				return err
			}
			s := &session{env: e, settings: t, url: t.Repository, anew: true}
			if err := s.openRepository(c.Context()); err != nil {
				return err
			}
			doc, err := s.check(c.Context(), deep)
			if err != nil {
				return err
			}
			if err := s.print(s.checkResult(doc)); err != nil {
				return err
			}
			if !doc.OK {
				hint := "restore the files that are named from a copy of the repository (tidemark copy --heal), then check again"
				if doc.unlocked == len(doc.Findings) {
					hint = "see that the bucket has object lock; the next capture locks all that it builds on"
				}
				return &exit{code: 5, err: fmt.Errorf("%d findings in %s", len(doc.Findings), s.url), hint: hint}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&deep, "deep", false, "also open every file and compute what it says anew")
	return c
}

func (s *session) check(ctx context.Context, deep bool) (checkDoc, error) {
	doc := checkDoc{Deep: deep, Head: s.repo.Head().String(), Findings: []findingDoc{}}
	for rec, err := range s.repo.Records(ctx, 0) {
		if err != nil {
			found, ok := errors.AsType[*repository.CorruptError](err)
			if !ok {
				return doc, err
			}
			doc.Findings = append(doc.Findings, findingOf(repository.Finding{Blob: found.Blob, Reason: found.Reason, Snapshots: found.Snapshots}))
			break
		}
		doc.Records++
		doc.Blobs += int64(len(rec.Blobs))
	}
	for f, err := range s.repo.Check(ctx, deep) {
		if err != nil {
			return doc, fmt.Errorf("check %s: %w", s.url, err)
		}
		doc.Findings = append(doc.Findings, findingOf(f))
	}
	for f, err := range s.repo.Unlocked(ctx, time.Now()) { // by the clock of the world, which the store goes by
		if err != nil {
			return doc, fmt.Errorf("check %s: %w", s.url, err)
		}
		doc.Findings = append(doc.Findings, findingOf(f))
		doc.unlocked++
	}
	doc.OK = len(doc.Findings) == 0
	return doc, nil
}

func findingOf(f repository.Finding) findingDoc {
	return findingDoc{Blob: f.Blob, Reason: f.Reason, Snapshots: append([]int64{}, f.Snapshots...)}
}

func (s *session) checkResult(doc checkDoc) result {
	how := "every record, signature and file hash"
	if doc.Deep {
		how += ", and what the files say"
	}
	r := result{doc: doc, head: []string{"FILE", "SNAPSHOTS", "WHAT IS WRONG"}}
	r.cells = func(yield func([]string)) {
		for _, f := range doc.Findings {
			yield([]string{f.Blob, numbers(f.Snapshots), f.Reason})
		}
	}
	return s.unlessEmpty(len(doc.Findings), fmt.Sprintf("ok: %d records, %d blobs; %s\nhead %s\n", doc.Records, doc.Blobs, how, doc.Head), r)
}

// numbers lists numbers for people.
func numbers(all []int64) string {
	text := make([]string, len(all))
	for i, n := range all {
		text[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(text, ", ")
}
