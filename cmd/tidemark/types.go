package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
)

// A typeDoc is what is known of one type, as data.
type typeDoc struct {
	Type       entra.Type    `json:"type"`
	Title      string        `json:"title"`
	List       string        `json:"list"`
	Version    string        `json:"version"`
	Captured   bool          `json:"captured"`
	Unless     string        `json:"unless,omitempty"` // why it is captured only where capture.include names it
	People     bool          `json:"people,omitempty"` // captured only for somebody who signs in, see capture --person
	Restorable string        `json:"restorable"`       // full, partial or no
	Native     bool          `json:"native"`           // Microsoft's own recovery takes its objects back, unless they were purged
	Reason     string        `json:"reason"`           // why not all of it is restored, or why it is not captured
	Links      []string      `json:"links"`
	Properties []propertyDoc `json:"properties"`
}

// A propertyDoc is one captured property, or a part of one, as data.
type propertyDoc struct {
	Name   string `json:"name"`
	Write  string `json:"write"` // create, update, both, never or action
	Secret bool   `json:"secret"`
	Reason string `json:"reason"`
}

// A needDoc is what it takes to read and to write one type.
type needDoc struct {
	Type  entra.Type `json:"type"`
	Read  []string   `json:"read"`
	Write []string   `json:"write"`
	// People says that these are delegated permissions, of somebody who signs in.
	People bool `json:"people,omitempty"`
}

// A consentDoc holds the application permissions of Microsoft Graph for both identities, and the delegated ones for
// somebody who signs in to read what the service shows to people only, by type and as one list for each.
type consentDoc struct {
	Capture []string  `json:"capture"`
	Restore []string  `json:"restore"`
	Person  []string  `json:"person"`
	Types   []needDoc `json:"types"`
}

func typesCommand(e *env) *cobra.Command {
	var permissions bool
	var who string
	c := &cobra.Command{
		Use:   "types",
		Short: "List every type: what is captured, what can be restored, what not, and why",
		Long: `Lists every type of object: whether it is captured, whether it can be restored, and what of it cannot, with the
reason, and whether Microsoft's own recovery takes it back. With --permissions it lists the least application permissions of Microsoft Graph for each type, and all of
them as one list for each of the two identities. With --manifest it prints the permissions of one identity as the
requiredResourceAccess of an application: capture, restore, or person for what capture --person reads besides.`,
		Example: "  tidemark types\n  tidemark types --permissions\n  tidemark types --manifest capture\n  tidemark types -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if who != "" {
				return e.printManifest(who)
			}
			if permissions {
				return e.print(e.consentResult(consent(captureSettings{})))
			}
			return e.print(e.typeResult(typeDocs()))
		},
	}
	c.Flags().BoolVar(&permissions, "permissions", false, "list the permissions that are needed")
	c.Flags().StringVar(&who, "manifest", "", "print the permissions of capture, of restore or of the person of capture --person as a manifest")
	return c
}

// typeDocs describes every type, those of the catalog and those it leaves out, in the order of their names.
func typeDocs() []typeDoc {
	docs := []typeDoc{}
	for r := range catalog.All() {
		docs = append(docs, typeDocOf(r))
	}
	for _, group := range leftOut {
		for line := range strings.SplitSeq(strings.TrimSpace(group.types), "\n") {
			name, list, _ := strings.Cut(line, " ")
			if typeKnown(name) {
				continue
			}
			version := "v1.0"
			if rest, ok := strings.CutPrefix(list, "beta "); ok {
				version, list = "beta", rest
			}
			docs = append(docs, typeDoc{Type: entra.Type(name), Title: spaced(name), List: list, Version: version,
				Restorable: "no", Reason: group.reason, Links: []string{}, Properties: []propertyDoc{}})
		}
	}
	slices.SortFunc(docs, func(a, b typeDoc) int { return strings.Compare(string(a.Type), string(b.Type)) })
	return docs
}

func typeDocOf(r *catalog.Resource) typeDoc {
	d := typeDoc{Type: r.Type, Title: r.Title, List: r.List, Version: r.Version, Captured: true, Unless: r.Unless, People: r.People, Native: r.Native, Links: []string{}, Properties: []propertyDoc{}}
	for _, l := range r.Links {
		d.Links = append(d.Links, l.Rel)
	}
	for _, p := range r.Properties {
		if p.Omit {
			continue
		}
		write := p.Write
		if part(p.Name) {
			// A part is written with its property; its own entry refines other things.
			if whole, ok := r.Property(r.Unit(p.Name)); ok {
				write = whole.Write
			}
		}
		d.Properties = append(d.Properties, propertyDoc{p.Name, write.String(), p.Secret, p.Reason})
	}
	slices.SortFunc(d.Properties, func(a, b propertyDoc) int { return strings.Compare(a.Name, b.Name) })
	d.Restorable, d.Reason = restorable(r)
	return d
}

// part reports whether a property's name leads into another property. An annotation's dots do not.
func part(name string) bool {
	return strings.Contains(name, "[]") || strings.Contains(name, ".") && !strings.HasPrefix(name, "@")
}

// derived are the beginnings of the reasons that mean that nothing a person set is lost: the service, the
// directory on premises or another object says it again.
var derived = []string{"set by the service", "mastered on premises", "follows from", "the service derives", "says ", "where a role holds is said", "which method it is"}

// restorable says how much of a type can be brought back: full where everything that people set comes
// back, no where nothing does, and else partial, with what is lost.
func restorable(r *catalog.Resource) (how, why string) {
	if r.Can == 0 {
		return "no", r.Refusal
	}
	var reasons []string
	lost := map[string][]string{}
	add := func(reason, name string) {
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
		lost[reason] = append(lost[reason], name)
	}
	for _, p := range r.Properties {
		switch {
		case p.Omit || part(p.Name) && !p.Secret:
		case p.Secret:
			add(p.Reason, p.Name)
		case p.Write == catalog.Never && !slices.ContainsFunc(derived, func(d string) bool { return strings.HasPrefix(p.Reason, d) }):
			add(p.Reason, p.Name)
		}
	}
	for _, l := range r.Links {
		if !l.Write {
			add("this relation cannot be written", l.Rel)
		}
	}
	var said []string
	if !r.Can.Has(catalog.Create) && !r.One {
		said = append(said, "objects are changed back, not created anew")
	}
	for _, reason := range reasons {
		text := strings.Join(lost[reason], ", ")
		if reason != "" {
			text += ": " + reason
		}
		said = append(said, text)
	}
	if len(said) == 0 {
		return "full", ""
	}
	return "partial", strings.Join(said, "; ")
}

// spaced makes words of a type's name: "accessPackageCatalog" is "Access package catalog".
func spaced(name string) string {
	name = name[strings.LastIndexByte(name, '.')+1:]
	var b strings.Builder
	for i, r := range name {
		switch {
		case i == 0:
			b.WriteString(strings.ToUpper(string(r)))
		case r >= 'A' && r <= 'Z':
			b.WriteByte(' ')
			b.WriteString(strings.ToLower(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (e *env) typeResult(docs []typeDoc) result {
	r := result{doc: docs, rows: anySlice(docs), head: []string{"TYPE", "CAPTURED", "RESTORABLE", "TITLE", "REASON"}}
	r.cells = func(yield func([]string)) {
		for _, d := range docs {
			captured := yes(d.Captured)
			switch {
			case d.People:
				captured = "for people"
			case d.Unless != "":
				captured = "if asked"
			}
			yield([]string{string(d.Type), captured, d.Restorable, d.Title, d.Reason})
		}
	}
	if e.format != "table" {
		return r
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-52s %s\n", "TYPE", "RESTORABLE")
	for _, d := range docs {
		if d.Captured {
			fmt.Fprintf(&b, "%-52s %s\n", d.Type, d.Restorable)
			fold(&b, d.Title, 76)
			fold(&b, d.Reason, 76)
			if d.Unless != "" {
				fold(&b, "captured only where capture.include names it: "+d.Unless, 76)
			}
			if d.People {
				fold(&b, "captured and restored only where a person signs in: capture --person, restore.interactive", 76)
			}
		}
	}
	b.WriteByte('\n')
	fold(&b, native(docs), 78)
	b.WriteString("\nNot captured by this release:\n")
	for _, group := range leftOut {
		var names []string
		for _, d := range docs {
			if !d.Captured && d.Reason == group.reason {
				names = append(names, string(d.Type))
			}
		}
		if len(names) > 0 {
			fold(&b, group.reason+":", 76)
			fold(&b, "  "+strings.Join(names, ", "), 76)
		}
	}
	return result{doc: r.doc, text: b.String()}
}

// native says what Microsoft's own recovery does of what can be restored.
func native(docs []typeDoc) string {
	var theirs []string
	ours := 0
	for _, d := range docs {
		if d.Native {
			theirs = append(theirs, string(d.Type))
		}
		if d.Captured && d.Restorable != "no" {
			ours++
		}
	}
	return fmt.Sprintf("Of the %d types that can be restored, Microsoft's own recovery takes %d back to a state of the last days: %s. It does so with what changed and with what lies in a recycle bin, and makes nothing anew that was purged.",
		ours, len(theirs), strings.Join(theirs, ", "))
}

// fold writes a text in lines of at most width columns where its words allow, each indented by two.
func fold(b *strings.Builder, text string, width int) {
	indent := "  "
	for strings.HasPrefix(text, "  ") {
		indent, text = indent+"  ", text[2:]
	}
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+n > width:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	if column > 0 {
		b.WriteByte('\n')
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// consent lists the least permissions for all types that a configuration has captured.
func consent(c captureSettings) consentDoc {
	doc := consentDoc{Types: []needDoc{}}
	capture, restore, person := map[string]bool{}, map[string]bool{}, map[string]bool{}
	o := c.options()
	o.Person = new(graph.Client) // as if somebody had signed in
	for r := range catalog.All() {
		if o.Leaves(r) != "" {
			continue
		}
		n := needDoc{Type: r.Type, Read: append([]string{}, r.Read...), Write: append([]string{}, r.Write...), People: r.People}
		reading, writing := capture, restore
		if r.People {
			reading, writing = person, map[string]bool{}
		}
		for _, p := range n.Read {
			reading[p] = true
		}
		for _, p := range n.Write {
			writing[p] = true
		}
		doc.Types = append(doc.Types, n)
	}
	doc.Capture = append([]string{}, slices.Sorted(maps.Keys(capture))...)
	doc.Restore = append([]string{}, slices.Sorted(maps.Keys(restore))...)
	doc.Person = append([]string{}, slices.Sorted(maps.Keys(person))...)
	return doc
}

func (e *env) consentResult(doc consentDoc) result {
	r := result{doc: doc, rows: anySlice(doc.Types), head: []string{"TYPE", "READ", "WRITE"}}
	r.cells = func(yield func([]string)) {
		for _, n := range doc.Types {
			yield([]string{string(n.Type), strings.Join(n.Read, " "), strings.Join(n.Write, " ")})
		}
	}
	if e.format != "table" {
		return r
	}
	var b strings.Builder
	b.WriteString("Application permissions of Microsoft Graph, for each type:\n")
	for _, n := range doc.Types {
		who := ""
		if n.People {
			who = " (delegated: a person signs in)"
		}
		fmt.Fprintf(&b, "%s%s\n", n.Type, who)
		fold(&b, "read: "+strings.Join(n.Read, " "), 80)
		if len(n.Write) > 0 {
			fold(&b, "write: "+strings.Join(n.Write, " "), 80)
		}
	}
	for _, list := range []struct {
		title string
		names []string
	}{{"All of them, for the identity that captures:", doc.Capture}, {"All of them, for the identity that restores:", doc.Restore}, {"Delegated, for who signs in at capture --person:", doc.Person}} {
		fmt.Fprintf(&b, "\n%s\n", list.title)
		for _, p := range list.names {
			fmt.Fprintf(&b, "  %s\n", p)
		}
	}
	return result{doc: doc, text: b.String()}
}
