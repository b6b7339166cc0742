package catalog

import (
	"strings"
	"unicode"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	fromBin = "/directory/deletedItems/{id}/restore"
	inBin   = "what lies in the recycle bin is not written; it is brought back, or stays"
	sealed  = "the service lets nobody bring back what lies in this recycle bin; what is wanted again is made anew"
)

// Counts reports whether the type's objects count towards how many objects the directory may hold: people, groups, applications,
// service principals, administrative units, which are what the directory's own recycle bin takes. There they go on counting until
// they are purged.
// Source: Microsoft Entra documentation, service limits and restrictions.
func (r *Resource) Counts() bool { return r.Undelete == fromBin }

// bins declares the recycle bins: one for each type that has one, with the properties of that type, none
// of which can be written.
func bins(live []*Resource) (bins []*Resource) {
	for _, l := range live {
		if l.Bin == "" {
			continue
		}
		b := discarded(l, l.Bin, "/directory/deletedItems/microsoft.graph."+string(l.Type), "/directory/deletedItems/{id}", inBin)
		if !strings.HasPrefix(l.Undelete, "/directory/") {
			// These have a recycle bin of their own, which not every tenant offers.
			b.Doc = b.Doc[:len(b.Doc)-1] + ", where the tenant has this recycle bin."
			b.List = strings.TrimSuffix(l.Undelete, "/{id}/restore")
			b.Item = b.List + "/{id}"
		}
		if l.Type == UserType {
			b.Read = []string{"User.Read.All"}
		}
		bins = append(bins, b)
	}
	return bins
}

// discarded declares what objects of a type become in a recycle bin: they keep their properties, none of which can be
// written, for which why is the reason.
func discarded(l *Resource, t entra.Type, list, item, why string) *Resource {
	title := l.Title
	if !strings.ContainsFunc(title[1:], unicode.IsUpper) { // a name keeps its capitals
		title = strings.ToLower(title)
	}
	b := &Resource{
		Type: t, Title: "Deleted " + title, Live: l.Type,
		Doc:  "What lies in the recycle bin for 30 days: " + title + ".",
		List: list, Item: item, ID: l.ID,
		Top: l.Top, Select: l.Select, Extended: l.Extended, Variants: l.Variants, Kinds: l.Kinds, Each: l.Each, Name: l.Name, Match: l.Match,
		Read: l.Read, Refusal: why,
		rules: l.rules, read: l.read,
	}
	for _, p := range l.Properties {
		p.Write, p.Must, p.Elements, p.Issue, p.Group, p.Safe, p.Lift = Never, false, "", "", "", nil, ""
		if p.Name == "deletedDateTime" {
			p.Omit, p.Reason = false, byService
		}
		if p.Reason == "" {
			p.Reason = why
		}
		b.Properties = append(b.Properties, p)
	}
	return b
}
