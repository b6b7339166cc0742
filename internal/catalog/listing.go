package catalog

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Listing returns the call that lists the type's objects; of a contained type, those of one parent.
func (r *Resource) Listing(parent entra.ID) Call {
	c := Call{Method: "GET", Version: r.Version, Path: r.within(r.List, parent), Query: url.Values{}, Header: r.accept(), People: r.People}
	if asked := r.Asked(); asked != nil {
		c.Query.Set("$select", strings.Join(asked, ","))
	}
	if r.Inline != "" {
		c.Query.Set("$expand", r.Inline)
	}
	if r.Filter != "" {
		c.Query.Set("$filter", strings.ReplaceAll(r.Filter, "{parent}", strings.ReplaceAll(string(parent), "'", "''")))
	}
	if r.Top > 0 {
		c.Query.Set("$top", strconv.Itoa(r.Top))
	}
	return c
}

// streamReach is how far back the first reading of a log goes; the service keeps no more than 30 days
// (Microsoft Entra documentation, data retention). streamOverlap is how far each later reading goes back
// behind the one before, because entries can arrive hours late.
const (
	streamReach   = 30 * 24 * time.Hour
	streamOverlap = 24 * time.Hour
)

// Since returns the call that lists a log's entries for a reading that begins at now, and the time from
// which on they are asked for. last is when the last whole reading began; zero means there was none.
func (r *Resource) Since(now, last time.Time) (Call, time.Time) {
	from := now.Add(-streamReach)
	if !last.IsZero() {
		from = last.Add(-streamOverlap)
	}
	c := r.Listing("")
	c.Query.Set("$filter", r.Clock+" ge "+from.UTC().Format("2006-01-02T15:04:05Z"))
	return c, from
}

// Ends returns the call that reads one object's links.
func (r *Resource) Ends(rel Relation, from entra.ID) Call {
	c := Call{Method: "GET", Version: r.Version, Path: rel.at(from), Query: url.Values{"$select": {"id"}}, People: r.People}
	if rel.Many && rel.Top > 0 {
		c.Query.Set("$top", strconv.Itoa(rel.Top))
	}
	return c
}

// MaxExpanded is how many targets $expand returns at the most, without saying that there are more
// (Microsoft Graph documentation, query parameters).
const MaxExpanded = 20

// Contents returns the call that lists what contains the type's objects with them. The service caps such pages at a
// hundred objects.
func (r *Resource) Contents() Call {
	in := declarations.byType[r.Under]
	if r.One {
		return Call{Method: "GET", Version: r.Version, Path: in.List, Query: url.Values{"$select": {"id," + r.Expand}, "$top": {strconv.Itoa(in.Top)}}, People: r.People}
	}
	expand := r.Expand
	if r.Inline != "" {
		expand += "($expand=" + r.Inline + ")"
	}
	return Call{Method: "GET", Version: r.Version, Path: in.List, Query: url.Values{"$select": {"id"}, "$expand": {expand}, "$top": {"100"}}, People: r.People}
}

// Expanded returns the call that lists the type's objects with their links. The service caps such pages at
// a hundred objects.
func (r *Resource) Expanded(rel Relation) Call {
	return Call{Method: "GET", Version: r.Version, Path: r.List, People: r.People, Query: url.Values{
		"$select": {"id"}, "$expand": {rel.Rel + "($select=id)"}, "$top": {"100"},
	}}
}

// Round returns the call that begins a delta round with the links of one relation.
func (r *Resource) Round(rel Relation) Call {
	return Call{Method: "GET", Version: r.Version, Path: r.Delta, Query: url.Values{"$select": {"id," + rel.Rel}}}
}

// Track returns the call that answers with nothing but the link from which a delta query goes on: with every property
// but those without, and with the relations that are read by delta. Source: protocol.md sections 3.2.3 and 3.2.6.
func (r *Resource) Track(without []string) Call {
	c := Call{Method: "GET", Version: r.Version, Path: r.Delta, Query: url.Values{"$deltatoken": {"latest"}}}
	if asked := r.Asked(); asked != nil {
		names := slices.DeleteFunc(slices.Clone(asked), func(name string) bool { return slices.Contains(without, name) })
		for _, rel := range r.Links {
			if rel.Read == ByDelta {
				names = append(names, rel.Rel)
			}
		}
		c.Query.Set("$select", strings.Join(names, ","))
	}
	return c
}

// Conceals reports whether the service leaves the object's links out of its answers, without a word, for an
// application without the permission that it returns.
func (rel Relation) Conceals(o entra.Object) (permission string, ok bool) {
	if rel.Hidden == "" {
		return "", false
	}
	path, value, _ := strings.Cut(rel.Hidden, "=")
	v, _ := o.Body.Get(path)
	return rel.HiddenFrom, v == value
}

// Locate returns the call that lists the objects among which one with the values of set would be: filtered
// by its name where the service can, else all; of a contained type, those of one parent.
func (r *Resource) Locate(parent entra.ID, set map[string]any) Call {
	c := r.Listing(parent)
	if r.Delta == "" {
		return c // only the types of the directory's own store filter by any name
	}
	for _, name := range r.Match {
		if v, ok := set[name].(string); ok && v != "" {
			c.Query.Set("$filter", name+" eq '"+strings.ReplaceAll(v, "'", "''")+"'")
			break
		}
	}
	return c
}
