package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A coverageDoc says how much of the tenant one snapshot saw.
type coverageDoc struct {
	Snapshot int64          `json:"snapshot"`
	ID       string         `json:"id"`
	Ended    time.Time      `json:"ended"`
	Complete bool           `json:"complete"`
	Parts    []coveragePart `json:"parts"`
}

// A coveragePart is what one snapshot saw of a type's objects, or of one relation that starts at them.
type coveragePart struct {
	Type     entra.Type        `json:"type"`
	Relation string            `json:"relation"` // "" for the objects themselves
	Coverage snapshot.Coverage `json:"coverage"`
	Reason   string            `json:"reason"`
	Objects  int64             `json:"objects"`
	Links    int64             `json:"links"`
	Holes    int               `json:"holes"` // what could not be read inside a complete part
	// AsOf is the snapshot in which the part was last read whole, 0 where it never was, and Read when that
	// reading began; nil where it never did. What the snapshot holds of the part is from then.
	AsOf int64      `json:"asOf"`
	Read *time.Time `json:"read"`
	// Full is when all of the part was last listed, where what was read since is what the service said had changed;
	// else it is Read.
	Full *time.Time `json:"full"`
}

func coverageCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "coverage [SNAPSHOT]",
		Short: "Say what a snapshot saw of the tenant, what not, and why",
		Long: `Lists the parts of a snapshot, the latest unless another is named: how completely each was read, why it was not,
how old its data is where an earlier reading had to stand in for it, and when it was last listed whole where what was
read since is what the service said had changed. A type that the snapshot knows nothing
about is listed as missed.`,
		Example: "  tidemark coverage\n  tidemark coverage latest~1 -o json",
		Args:    takes(0, 1, "at most one snapshot"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			name := "latest"
			if len(args) == 1 {
				name = args[0]
			}
			x, err := s.snapshot(c.Context(), name)
			if err != nil {
				return err
			}
			return s.print(coverageResult(coverageOf(x)))
		},
	}
}

func coverageOf(x *snapshot.Snapshot) coverageDoc {
	doc := coverageDoc{Snapshot: x.Number, ID: x.ID.String(), Ended: x.Ended.UTC(), Complete: x.Whole(), Parts: []coveragePart{}}
	parts := slices.Clone(x.Parts)
	// A release that knows more types than the one that captured must not make them look protected.
	for r := range catalog.All() {
		if !slices.ContainsFunc(x.Parts, func(p snapshot.Part) bool { return p.Type == r.Type }) {
			parts = append(parts, snapshot.Part{Type: r.Type, Reason: "not known to the release that captured"})
		}
	}
	slices.SortStableFunc(parts, snapshot.Part.Compare)
	for _, p := range parts {
		d := coveragePart{Type: p.Type, Relation: p.Relation, Coverage: p.Coverage, Reason: p.Reason, Objects: p.Objects, Links: p.Links,
			Holes: len(p.Holes), AsOf: p.Complete}
		if !p.Read.IsZero() {
			read := p.Read.UTC()
			d.Read = &read
		}
		if !p.Full.IsZero() {
			full := p.Full.UTC()
			d.Full = &full
		}
		doc.Parts = append(doc.Parts, d)
	}
	return doc
}

func coverageResult(doc coverageDoc) result {
	gaps := 0
	for _, p := range doc.Parts {
		if p.Coverage.Gap() {
			gaps++
		}
	}
	text := fmt.Sprintf("snapshot %d of %s: ", doc.Snapshot, doc.Ended.Format(time.RFC3339))
	if gaps == 0 {
		text += "complete\n"
	} else {
		text += fmt.Sprintf("%d of %d parts were not read whole\n", gaps, len(doc.Parts))
	}
	return result{doc: doc, rows: anySlice(doc.Parts), text: text, head: []string{"PART", "COVERAGE", "HOLDS", "AS OF", "REASON"}, cells: func(yield func([]string)) {
		for _, p := range doc.Parts {
			name, holds := string(p.Type), strconv.FormatInt(p.Objects, 10)
			if p.Relation != "" {
				name, holds = name+"."+p.Relation, strconv.FormatInt(p.Links, 10)
			}
			asOf := ""
			switch {
			case p.AsOf == 0:
				asOf = "never"
			case p.AsOf != doc.Snapshot:
				asOf = strconv.FormatInt(p.AsOf, 10)
				if p.Read != nil {
					asOf += " of " + p.Read.Format(time.RFC3339)
				}
			case p.Full != nil && p.Full.Before(*p.Read):
				asOf = "listed " + p.Full.Format(time.RFC3339)
			}
			reason := p.Reason
			if p.Holes > 0 {
				reason = strings.TrimPrefix(fmt.Sprintf("%s; %d could not be read", reason, p.Holes), "; ")
			}
			yield([]string{name, p.Coverage.String(), holds, asOf, reason})
		}
	}}
}
