package words

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A speaker talks about one change.
type speaker struct {
	c     diff.Change
	r     *catalog.Resource // nil where the catalog does not know the type
	o     entra.Object      // as it is, else as it was; zero for a link
	names Namer
}

// noun returns what one object of a type is called within a sentence: "group", "Conditional Access policy".
func noun(t entra.Type) string {
	r, ok := catalog.Lookup(t)
	if !ok || r.Title == "" {
		return spaced(string(t))
	}
	title := r.Title
	switch {
	case r.One:
	case strings.HasSuffix(title, "ies"):
		title = strings.TrimSuffix(title, "ies") + "y"
	default:
		title = strings.TrimSuffix(title, "s")
	}
	// A title of several capitalised words is a proper name; else only its first letter is capital for
	// standing first.
	first, rest, _ := strings.Cut(title, " ")
	if strings.ContainsFunc(rest, unicode.IsUpper) || strings.ContainsFunc(first[1:], unicode.IsUpper) {
		return title
	}
	return strings.ToLower(title[:1]) + title[1:]
}

// spaced makes words of a name in camel case.
func spaced(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// name returns what people call an object, or its ID.
func (s *speaker) name(r entra.Ref) string {
	for _, o := range []*entra.Object{s.c.After, s.c.Before} {
		if o != nil && o.Ref == r {
			if n := catalog.Name(*o); n != string(r.ID) {
				return unprefixed(n)
			}
		}
	}
	if n, ok := s.names.Name(r); ok && n != "" {
		return unprefixed(n)
	}
	return string(r.ID)
}

// unprefixed leaves of the name of a directory extension what people gave it.
func unprefixed(name string) string {
	if _, short, ok := catalog.Extension(name); ok {
		return short
	}
	return name
}

// label returns what people call the property at a path: of a directory extension its plain name and the
// application that added it, else the path.
func (s *speaker) label(path string) string {
	app, short, ok := catalog.Extension(path)
	if !ok {
		return path
	}
	short = strings.TrimSuffix(short, "[]")
	if _, name, ok := s.names.Find(app, []entra.Type{catalog.ApplicationType, catalog.ServicePrincipalType}, "appId"); ok {
		return short + " (extension of " + name + ")"
	}
	return short + " (directory extension)"
}

// called returns an object's noun and name: "group Finance".
func (s *speaker) called(r entra.Ref) string {
	n := noun(r.Type)
	if d, ok := catalog.Lookup(r.Type); ok && d.One {
		if in, ok := catalog.Container(r); ok && d.Binary != "" {
			return "the " + n + " of " + s.called(in)
		}
		return "the " + n
	}
	return n + " " + s.name(r)
}

// self is the object of the change.
func (s *speaker) self() string { return s.called(s.c.Ref) }

// object returns an object from the change, or from the names where they hold objects.
func (s *speaker) object(r entra.Ref) (entra.Object, bool) {
	if s.o.Ref == r && r.ID != "" {
		return s.o, true
	}
	if l, ok := s.names.(library); ok {
		return l.Object(r)
	}
	return entra.Object{}, false
}

// find resolves an ID that the object holds at a path.
func (s *speaker) find(path, id string) (entra.Ref, string, bool) {
	if s.r == nil || id == "" {
		return entra.Ref{}, "", false
	}
	p, ok := s.r.Property(path)
	if !ok || len(p.Ref) == 0 {
		return entra.Ref{}, "", false
	}
	return s.names.Find(entra.ID(id), p.Ref, p.By)
}

// words that stand where an ID could
func special(v string) (string, bool) {
	switch v {
	case "All":
		return "everything", true
	case "None":
		return "nothing", true
	case "GuestsOrExternalUsers":
		return "guests and external users", true
	case "AllTrusted":
		return "all trusted locations", true
	case "Office365":
		return "Office 365", true
	case "MicrosoftAdminPortals":
		return "the Microsoft admin portals", true
	case "ServicePrincipalsInMyTenant":
		return "all service principals of this tenant", true
	case "all_users":
		return "all users", true
	case "00000000-0000-0000-0000-000000000000":
		return "the place called multifactor authentication trusted IPs", true
	}
	return "", false
}

// value shows a value: an ID by name, text as it is, anything else as JSON, cut at 120 characters.
func (s *speaker) value(path string, v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		if ref, name, ok := s.find(path, v); ok {
			return noun(ref.Type) + " " + name
		}
		if v == "" {
			return "empty text"
		}
		if s.r != nil && s.r.Binary != "" && path == "data" {
			return fmt.Sprintf("%d bytes", base64.StdEncoding.DecodedLen(len(v))-strings.Count(v, "="))
		}
		return short(v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case entra.Number:
		return string(v)
	}
	t, err := entra.Text(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return short(t)
}

func short(s string) string {
	if r := []rune(s); len(r) > 120 {
		return string(r[:117]) + "..."
	}
	return s
}

// list joins names; beyond five it counts.
func list(names []string) string {
	const most = 5
	if n := len(names); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	switch n := len(names); n {
	case 0:
		return "nothing"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

func is(names []string) string {
	if len(names) == 1 {
		return "is"
	}
	return "are"
}

func (s *speaker) text(path string) string {
	v, _ := s.o.Body.Get(path)
	t, _ := v.(string)
	return t
}

func (s *speaker) has(path string) bool {
	v, _ := s.o.Body.Get(path)
	a, _ := v.([]any)
	return len(a) > 0
}

// until says how long a deleted object stays in the recycle bin: 30 days, by Microsoft's documentation.
func until(o *entra.Object) string {
	if o == nil {
		return ""
	}
	v, _ := o.Body.Get("deletedDateTime")
	text, _ := v.(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return " (in the recycle bin)"
	}
	return fmt.Sprintf(" (in the recycle bin until %s)", at.AddDate(0, 0, 30).Format(time.DateOnly))
}

// A turn is one property, or the elements of one array, going one way.
type turn struct {
	path          string // with element selectors as "[]"; of elements it ends in "[]"
	full          string // the path of the field, of the first one for elements
	before, after any    // of a property that is no array
	in, out       []any  // elements that came and went
}

// turns groups the fields of a change: complex values are taken apart, the elements of one array put together.
func (s *speaker) turns() []turn {
	var all []turn
	put := func(path, full string, before, after any) {
		if strings.HasSuffix(path, "]") && (before == nil || after == nil) {
			i := slices.IndexFunc(all, func(t turn) bool { return t.path == path && outer(t.full) == outer(full) })
			if i < 0 {
				all, i = append(all, turn{path: path, full: full}), len(all)
			}
			if before != nil {
				all[i].out = append(all[i].out, before)
			} else {
				all[i].in = append(all[i].in, after)
			}
			return
		}
		all = append(all, turn{path: path, full: full, before: before, after: after})
	}
	for _, f := range s.c.Fields {
		path := bare(f.Path)
		b, bMap := f.Before.(map[string]any)
		a, aMap := f.After.(map[string]any)
		bList, bOK := scalars(f.Before)
		aList, aOK := scalars(f.After)
		switch {
		case !strings.HasSuffix(path, "]") && (bMap && f.After == nil || aMap && f.Before == nil):
			for _, in := range s.open(f.Path, b, a) {
				put(bare(in.Path), in.Path, in.Before, in.After)
			}
		case (bOK || f.Before == nil) && (aOK || f.After == nil) && len(bList)+len(aList) > 0:
			n := 0
			for _, v := range bList {
				if !slices.Contains(aList, v) {
					put(path+"[]", f.Path+"[]", v, nil)
					n++
				}
			}
			for _, v := range aList {
				if !slices.Contains(bList, v) {
					put(path+"[]", f.Path+"[]", nil, v)
					n++
				}
			}
			if n == 0 {
				put(path, f.Path, f.Before, f.After)
			}
		case (bOK || aOK) && len(bList)+len(aList) == 0: // no array, or one without elements
		default:
			put(path, f.Path, f.Before, f.After)
		}
	}
	return all
}

// open takes apart a complex value that came or went whole.
func (s *speaker) open(path string, before, after map[string]any) []diff.Field {
	var hollow func(m map[string]any) map[string]any
	hollow = func(m map[string]any) map[string]any {
		out := map[string]any{}
		for k, v := range m {
			if in, ok := v.(map[string]any); ok {
				out[k] = hollow(in)
			}
		}
		return out
	}
	if before == nil {
		before = hollow(after)
	} else {
		after = hollow(before)
	}
	wrap := func(v map[string]any) entra.Body {
		m := map[string]any{}
		entra.Set(m, path, v)
		b, err := entra.Encode(m)
		if err != nil {
			return "{}"
		}
		return b
	}
	if strings.ContainsAny(path, "[@") {
		return nil
	}
	return diff.Bodies(s.r, wrap(before), wrap(after))
}

// scalars returns the elements of an array of plain values.
func scalars(v any) ([]any, bool) {
	a, ok := v.([]any)
	if !ok {
		return nil, false
	}
	for _, e := range a {
		switch e.(type) {
		case string, bool, entra.Number:
		default:
			return nil, false
		}
	}
	return a, true
}

// bare is a path with its element selectors as "[]".
func bare(path string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(path, '[')
		j := strings.IndexByte(path, ']')
		if i < 0 || j < i {
			return b.String() + path
		}
		b.WriteString(path[:i] + "[]")
		path = path[j+1:]
	}
}

// outer is a path without its last element selector.
func outer(path string) string {
	if i := strings.LastIndexByte(path, '['); i >= 0 {
		return path[:i]
	}
	return path
}

// member returns a member of an element as text.
func member(v any, name string) string {
	m, _ := v.(map[string]any)
	t, _ := m[name].(string)
	return t
}
