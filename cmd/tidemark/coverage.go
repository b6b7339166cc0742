package main

import (
	"context"
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
	// Purged is what lies in a recycle bin and is taken out of it for good within the days asked for, the next first.
	Purged []purgedDoc `json:"purged"`
	Bins   []binDoc    `json:"bins"`
}

// A binDoc is how much of a type lies in its recycle bin.
type binDoc struct {
	Type    entra.Type `json:"type"` // of what lies there
	Objects int64      `json:"objects"`
	Purged  int64      `json:"purged"` // of them, within the days asked for
}

// A purgedDoc is an object that the service is about to purge.
type purgedDoc struct {
	Type    entra.Type `json:"type"`
	ID      entra.ID   `json:"id"`
	Name    string     `json:"name"`
	Deleted time.Time  `json:"deleted"`
	Purged  time.Time  `json:"purged"`
}

// shownPurged is how many objects about to be purged a table names.
const shownPurged = 20

// binKeeps is how long a recycle bin keeps what is put there (Microsoft Graph documentation, "directory: deletedItems").
const binKeeps = 30 * 24 * time.Hour

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
	days := 7
	c := &cobra.Command{
		Use:   "coverage [SNAPSHOT]",
		Short: "Say what a snapshot saw of the tenant, what not, and why",
		Long: `Lists the parts of a snapshot, the latest unless another is named: how completely each was read, why it was not,
how old its data is where an earlier reading had to stand in for it, and when it was last listed whole where what was
read since is what the service said had changed. A type that the snapshot knows nothing
about is listed as missed.`,
		Example: "  tidemark coverage\n  tidemark coverage latest~1 -o json",
		Args:    takes(0, 1, "at most one snapshot"),
		RunE: func(c *cobra.Command, args []string) error {
			if days < 0 {
				return usage("--purged-within %d: days are a number from 0 on", days)
			}
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
			doc := coverageOf(x)
			if err := s.bins(c.Context(), x, days, &doc); err != nil {
				return err
			}
			return s.print(coverageResult(doc, days))
		},
	}
	c.Flags().IntVar(&days, "purged-within", days, "name what is purged from a recycle bin within so many days of the snapshot")
	return c
}

// bins adds what lies in recycle bins, as far as a snapshot tells.
func (s *session) bins(ctx context.Context, x *snapshot.Snapshot, days int, doc *coverageDoc) error {
	tree, err := s.index.Tree(ctx, s.repo, x.Number)
	if err != nil {
		return err
	}
	until := x.Ended.UTC().AddDate(0, 0, days)
	for r := range catalog.All() {
		if r.Live == "" {
			continue
		}
		bin := binDoc{Type: r.Live}
		var refs []entra.Ref
		for e, err := range tree.Entries(ctx, r.Type) {
			if err != nil {
				return err
			}
			refs = append(refs, e.Ref)
		}
		for o, err := range tree.Objects(ctx, refs) { // many at once: a bin can be large
			if err != nil {
				return err
			}
			bin.Objects++
			text, _ := o.Body.Get("deletedDateTime")
			said, _ := text.(string)
			deleted, err := time.Parse(time.RFC3339, said)
			if err != nil {
				continue // when it is purged cannot be told
			}
			if purged := deleted.Add(binKeeps).UTC(); !purged.After(until) {
				bin.Purged++
				doc.Purged = append(doc.Purged, purgedDoc{Type: r.Live, ID: o.Ref.ID, Name: catalog.Name(o), Deleted: deleted.UTC(), Purged: purged})
			}
		}
		if bin.Objects > 0 {
			doc.Bins = append(doc.Bins, bin)
		}
	}
	slices.SortStableFunc(doc.Purged, func(a, b purgedDoc) int { return a.Purged.Compare(b.Purged) })
	return nil
}

func coverageOf(x *snapshot.Snapshot) coverageDoc {
	doc := coverageDoc{Snapshot: x.Number, ID: x.ID.String(), Ended: x.Ended.UTC(), Complete: x.Whole(), Parts: []coveragePart{}, Purged: []purgedDoc{}, Bins: []binDoc{}}
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

func coverageResult(doc coverageDoc, days int) result {
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
	for _, bin := range doc.Bins {
		title := string(bin.Type)
		if live, ok := catalog.Lookup(bin.Type); ok {
			if in, ok := catalog.Lookup(live.Bin); ok {
				title = in.Title
			}
		}
		text += fmt.Sprintf("%s: %d, of which %d are purged within %d days\n", title, bin.Objects, bin.Purged, days)
	}
	for i, p := range doc.Purged {
		if i == shownPurged {
			text += fmt.Sprintf("  and %d more (-o json names them all)\n", len(doc.Purged)-i)
			break
		}
		text += fmt.Sprintf("  %s  %s %s\n", p.Purged.Format(time.RFC3339), p.Type, p.Name)
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
