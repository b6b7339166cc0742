package catalog

import (
	"strings"
	"unicode"
)

const inBin = "what lies in the recycle bin is not written; it is brought back, or stays"

// bins declares the recycle bins: one for each type that has one, with the properties of that type, none
// of which can be written.
func bins(live []*Resource) (bins []*Resource) {
	for _, l := range live {
		if l.Bin == "" {
			continue
		}
		title := l.Title
		if !strings.ContainsFunc(title[1:], unicode.IsUpper) { // a name keeps its capitals
			title = strings.ToLower(title)
		}
		b := &Resource{
			Type: l.Bin, Title: "Deleted " + title, Live: l.Type,
			Doc:  "What lies in the recycle bin for 30 days: " + title + ".",
			List: "/directory/deletedItems/microsoft.graph." + string(l.Type), Item: "/directory/deletedItems/{id}",
			Top: l.Top, Select: l.Select, Extended: l.Extended, Variants: l.Variants, Kinds: l.Kinds, Each: l.Each, Name: l.Name, Match: l.Match,
			Read: l.Read, Refusal: inBin,
			rules: l.rules, read: l.read,
		}
		if !strings.HasPrefix(l.Undelete, "/directory/") {
			// These have a recycle bin of their own, which not every tenant offers.
			b.Doc = b.Doc[:len(b.Doc)-1] + ", where the tenant has this recycle bin."
			b.List = strings.TrimSuffix(l.Undelete, "/{id}/restore")
			b.Item = b.List + "/{id}"
		}
		if l.Type == UserType {
			b.Read = []string{"User.Read.All"}
		}
		for _, p := range l.Properties {
			p.Write, p.Must, p.Elements, p.Issue, p.Group, p.Safe, p.Lift = Never, false, "", "", "", nil, ""
			if p.Name == "deletedDateTime" {
				p.Omit, p.Reason = false, byService
			}
			if p.Reason == "" {
				p.Reason = inBin
			}
			b.Properties = append(b.Properties, p)
		}
		bins = append(bins, b)
	}
	return bins
}
