package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A showDoc is one object in one snapshot, with everything that leads to it and away from it.
type showDoc struct {
	Type     entra.Type     `json:"type"`
	ID       entra.ID       `json:"id"`
	Name     string         `json:"name"`
	Version  string         `json:"version"`
	Snapshot int64          `json:"snapshot"`
	Body     map[string]any `json:"body"`
	Links    []linkDoc      `json:"links"`
	// LinkedFrom are the links that end at the object.
	LinkedFrom []fromDoc `json:"linkedFrom"`
	// References are what its properties name; those that lead to nothing in the snapshot have no name.
	References []referenceDoc `json:"references"`
	// ReferencedBy are the objects whose properties name it.
	ReferencedBy []holderDoc `json:"referencedBy"`
}

type fromDoc struct {
	Rel  string `json:"rel"`
	From endDoc `json:"from"`
}

type referenceDoc struct {
	Path string `json:"path"`
	To   endDoc `json:"to"`

	by string // the property of the target that stands there instead of its ID
	is string // what stands there
}

type holderDoc struct {
	Path string `json:"path"`
	From endDoc `json:"from"`
}

func showCommand(e *env) *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "show OBJECT",
		Short: "Show one object with its links both ways, names beside IDs",
		Long: `Shows one object as a snapshot has it, the latest unless --at names another: its properties, its links in both
directions, and the objects whose properties name it. One that is gone is shown as it was last seen.`,
		Example: `  tidemark show anna@contoso.com
  tidemark show "conditionalAccessPolicy:Require MFA for admins" --at "3 days ago"
  tidemark show group/6f1c0c1e-0000-4000-8000-000000000001 -o json`,
		Args: takes(1, 1, "one object: TYPE/ID, TYPE:NAME or a UPN"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			s, err := e.open(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			var x *snapshot.Snapshot
			var number int64
			if at != "" {
				if x, err = s.snapshot(ctx, at); err != nil {
					return err
				}
				number = x.Number
			}
			ref, err := s.object(ctx, args[0], number)
			if err != nil {
				return err
			}
			if x, err = s.seenIn(ctx, ref, x); err != nil {
				return err
			}
			doc, err := s.show(ctx, ref, x)
			if err != nil {
				return fmt.Errorf("show %s of snapshot %d: %w", ref, x.Number, err)
			}
			return s.print(result{doc: doc, rows: []any{doc}, text: doc.text(x)})
		},
	}
	c.Flags().StringVar(&at, "at", "", "the snapshot to show it of")
	return c
}

// seenIn returns the snapshot to show an object of: the named one, which must have it, or, where it is nil, the
// last that has.
func (s *session) seenIn(ctx context.Context, ref entra.Ref, x *snapshot.Snapshot) (*snapshot.Snapshot, error) {
	spans, err := s.index.Spans(ctx, ref)
	if err != nil {
		return nil, err
	}
	if x == nil {
		if len(spans) > 0 && spans[len(spans)-1].Last != 0 {
			last := spans[len(spans)-1].Last
			fmt.Fprintf(s.err, "tidemark: %s is gone; snapshot %d is the last that has it\n", clean(ref.String()), last)
			return s.index.Snapshot(ctx, last)
		}
		return s.index.Latest(ctx)
	}
	var when []string
	for _, span := range spans {
		if span.First <= x.Number && (span.Last == 0 || span.Last >= x.Number) {
			return x, nil
		}
		last := fmt.Sprint(span.Last)
		if span.Last == 0 {
			last = "latest"
		}
		when = append(when, fmt.Sprintf("%d to %s", span.First, last))
	}
	if p := x.Part(ref.Type, ""); p.Coverage != snapshot.Complete {
		return nil, usage("snapshot %d does not know %s: its type was not read whole (%s); it is in snapshots %s", x.Number, ref, p.Coverage, strings.Join(when, ", "))
	}
	return nil, usage("snapshot %d does not have %s; it is in snapshots %s", x.Number, ref, strings.Join(when, ", "))
}

func (s *session) show(ctx context.Context, ref entra.Ref, x *snapshot.Snapshot) (*showDoc, error) {
	tree, err := s.index.Tree(ctx, s.repo, x.Number)
	if err != nil {
		return nil, err
	}
	o, err := tree.Object(ctx, ref)
	if err != nil {
		return nil, err
	}
	doc := &showDoc{Type: ref.Type, ID: ref.ID, Name: catalog.Name(o), Version: o.Version().String(), Snapshot: x.Number,
		Body: valueMap(o.Body.Decode()), Links: []linkDoc{}, LinkedFrom: []fromDoc{}, References: []referenceDoc{}, ReferencedBy: []holderDoc{}}
	called := names{ctx, []*index.Tree{tree}}
	if err := doc.links(ctx, tree, ref); err != nil {
		return nil, err
	}
	for _, r := range catalog.Refs(o) {
		doc.References = append(doc.References, reference(r, called))
	}
	return doc, doc.holders(ctx, tree, o, called)
}

// links fills in the links at either end of which the object stands.
func (d *showDoc) links(ctx context.Context, tree *index.Tree, ref entra.Ref) error {
	var links []entra.Link
	var ends []entra.Ref
	for l, err := range tree.Around(ctx, ref) {
		if err != nil {
			return err
		}
		links = append(links, l)
		ends = append(ends, l.From, l.To)
	}
	called, err := tree.Names(ctx, ends)
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.From == ref {
			d.Links = append(d.Links, linkDoc{l.Rel, endDoc{l.To.Type, l.To.ID, called[l.To]}})
		}
		if l.To == ref {
			d.LinkedFrom = append(d.LinkedFrom, fromDoc{l.Rel, endDoc{l.From.Type, l.From.ID, called[l.From]}})
		}
	}
	return nil
}

// reference resolves what a property holds. What leads nowhere keeps the first type it can be of and no name.
func reference(r catalog.Reference, called names) referenceDoc {
	d := referenceDoc{Path: r.Path, To: endDoc{ID: r.ID}, by: r.By, is: string(r.ID)}
	if len(r.Types) > 0 {
		d.To.Type = r.Types[0]
	}
	if ref, name, ok := called.Find(r.ID, r.Types, r.By); ok {
		d.To = endDoc{ref.Type, ref.ID, name}
	}
	return d
}

// holders fills in the objects whose properties name the object, by its ID or by another of its properties.
func (d *showDoc) holders(ctx context.Context, tree *index.Tree, o entra.Object, called names) error {
	ids := map[string]entra.ID{"": o.Ref.ID}
	for r := range catalog.All() {
		for _, p := range r.Properties {
			if v, ok := o.Body.Get(p.By); p.By != "" && ok {
				if text, ok := v.(string); ok {
					ids[p.By] = entra.ID(text)
				}
			}
		}
	}
	var refs []entra.Ref
	for _, by := range slices.Sorted(mapsKeys(ids)) {
		for ref, err := range tree.Holders(ctx, ids[by]) {
			if err != nil {
				return err
			}
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, entra.Ref.Compare)
	refs = slices.Compact(refs)
	for holder, err := range tree.Objects(ctx, refs) {
		if err != nil {
			return err
		}
		all := catalog.Refs(holder)
		for _, r := range all {
			if id, ok := ids[r.By]; ok && id == r.ID && slices.Contains(r.Types, o.Ref.Type) {
				d.ReferencedBy = append(d.ReferencedBy, holderDoc{r.Path, endDoc{holder.Ref.Type, holder.Ref.ID, holderName(holder, all, called)}})
			}
		}
	}
	return nil
}

// holderName is what to call an object in a list. One that has no name of its own, such as a role
// assignment, is called by what it names.
func holderName(o entra.Object, refs []catalog.Reference, called names) string {
	name := catalog.Name(o)
	if name != string(o.Ref.ID) && !guidForm.MatchString(name) && !slices.ContainsFunc(refs, func(r catalog.Reference) bool { return string(r.ID) == name }) {
		return name
	}
	var parts []string
	for _, r := range refs {
		if _, n, ok := called.Find(r.ID, r.Types, r.By); ok && !slices.Contains(parts, n) {
			parts = append(parts, n)
		}
	}
	if len(parts) == 0 {
		return name
	}
	return strings.Join(parts, ", ")
}

// shown is how many links of one kind the text lists. Data has them all.
const shown = 20

func (d *showDoc) text(x *snapshot.Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s/%s\nsnapshot %d of %s, version %s\n\n", clean(d.Name), d.Type, clean(string(d.ID)), x.Number, x.Ended.UTC().Format(time.RFC3339), d.Version[:12])
	called := map[string]string{}
	for _, r := range d.References {
		if r.To.Name != "" {
			called[r.is] = r.To.Name
		}
	}
	writeValue(&b, "  ", d.Body, called)
	to := map[string][]endDoc{}
	for _, l := range d.Links {
		to[l.Rel] = append(to[l.Rel], l.To)
	}
	writeEnds(&b, "", to)
	from := map[string][]endDoc{}
	for _, l := range d.LinkedFrom {
		from[l.Rel] = append(from[l.Rel], l.From)
	}
	writeEnds(&b, " of", from)
	named := map[string][]endDoc{}
	for _, h := range d.ReferencedBy {
		key := "named by " + h.Path + " of " + string(h.From.Type)
		named[key] = append(named[key], h.From)
	}
	writeEnds(&b, "", named)
	return b.String()
}

// writeEnds lists objects under a heading for each kind.
func writeEnds(b *strings.Builder, heading string, kinds map[string][]endDoc) {
	for _, kind := range slices.Sorted(mapsKeys(kinds)) {
		ends := kinds[kind]
		fmt.Fprintf(b, "\n%s%s (%d)\n", kind, heading, len(ends))
		slices.SortStableFunc(ends, func(a, b endDoc) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
		for i, end := range ends {
			if i == shown {
				fmt.Fprintf(b, "  and %d more; -o json has them all\n", len(ends)-shown)
				break
			}
			name := clean(end.Name)
			if name == "" {
				name = "?"
			}
			fmt.Fprintf(b, "  %s  %s/%s\n", name, end.Type, clean(string(end.ID)))
		}
	}
}

// writeValue writes a decoded JSON value as an outline, with the name beside every ID that has one.
func writeValue(b *strings.Builder, indent string, v any, called map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(mapsKeys(v)) {
			writeMember(b, indent+clean(name)+":", indent, v[name], called)
		}
	case []any:
		for _, element := range v {
			writeMember(b, indent+"-", indent, element, called)
		}
	}
}

func writeMember(b *strings.Builder, head, indent string, v any, called map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			fmt.Fprintln(b, head, "{}")
			return
		}
		fmt.Fprintln(b, head)
		writeValue(b, indent+"  ", v, called)
	case []any:
		if len(v) == 0 {
			fmt.Fprintln(b, head, "[]")
			return
		}
		fmt.Fprintln(b, head)
		writeValue(b, indent+"  ", v, called)
	case string:
		fmt.Fprintln(b, head, named(v, called))
	default:
		fmt.Fprintln(b, head, v)
	}
}

// named puts the name beside a text that is an ID or holds one.
func named(text string, called map[string]string) string {
	if name, ok := called[text]; ok {
		return fmt.Sprintf("%s (%s)", clean(name), clean(text))
	}
	for _, id := range slices.Sorted(mapsKeys(called)) {
		if strings.Contains(text, id) {
			return fmt.Sprintf("%s (%s)", clean(text), clean(called[id]))
		}
	}
	return clean(text)
}
