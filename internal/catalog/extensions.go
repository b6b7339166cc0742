package catalog

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// definitionType is the type of the definitions of directory extensions. An application defines a property, and
// objects of the types that the definition names can then hold values under extension_{appId without dashes}_{name}.
// Source: Microsoft Graph documentation, "Add custom data to resources using extensions".
const definitionType entra.Type = "extensionProperty"

func definitions() *Resource {
	return &Resource{
		Type: definitionType, Title: "Directory extensions", Doc: "Properties that applications add to people, groups and other objects.",
		List: "/applications/{parent}/extensionProperties", Item: "/applications/{parent}/extensionProperties/{id}", Under: ApplicationType, Expand: "extensionProperties",
		Name: []string{"name"}, Match: []string{"name"},
		Can: Create | Delete, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "name", Write: OnCreate, Must: true},
				{Name: "dataType", Write: OnCreate, Must: true, Reason: "fixed when the extension is defined"},
				{Name: "targetObjects", Write: OnCreate, Must: true, Set: true, Reason: "fixed when the extension is defined"},
				{Name: "isMultiValued", Write: OnCreate, Reason: "fixed when the extension is defined"},
			},
			never("set by Entra Connect", "isSyncedFromOnPremises"),
			omit("copied from the application", "appDisplayName"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		// Where the directory on premises has nothing to do with it, that is nothing to tell.
		read: func(m map[string]any) {
			if m["isSyncedFromOnPremises"] == false {
				delete(m, "isSyncedFromOnPremises")
			}
		},
		frozen: func(m map[string]any) string {
			if m["isSyncedFromOnPremises"] == true {
				return "Entra Connect defines it"
			}
			return ""
		},
		// The service puts the prefix before the name by itself.
		create: func(set map[string]any, _ Fresh) (map[string]any, error) {
			if _, short, ok := extension(text(set, "name")); ok {
				set["name"] = short
			}
			return nil, nil
		},
	}
}

const (
	prefix = "extension_"
	hexes  = 32 // digits of an appId
)

// extension takes the name of a directory extension apart: the appId of the application that defines it, and what
// that calls it.
func extension(name string) (app entra.ID, short string, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok || len(rest) < hexes+2 || rest[hexes] != '_' {
		return "", "", false
	}
	s := strings.ToLower(rest[:hexes])
	id := strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
	if !guid(id) {
		return "", "", false
	}
	return entra.ID(id), rest[hexes+1:], true
}

// Extension takes the name of a directory extension apart: the appId of the application that defines it, and what
// that calls it. It reports false for any other name.
func Extension(name string) (app entra.ID, short string, ok bool) { return extension(name) }

// extensionsIn yields the names of directory extensions in a text.
func extensionsIn(s string, yield func(string)) {
	for {
		i := strings.Index(s, prefix)
		if i < 0 {
			return
		}
		s = s[i:]
		end := 0
		for end < len(s) && (wordByte(s[end]) && s[end] != '-' || s[end] == '_') {
			end++
		}
		if _, _, ok := extension(s[:end]); ok {
			yield(s[:end])
		}
		s = s[max(end, len(prefix)):]
	}
}

// extensionRefs returns the definitions that a body names: by properties of its own, and in texts such as the rule of
// a dynamic group.
func (r *Resource) extensionRefs(body entra.Body) (refs []Reference) {
	if r.Type == definitionType || !strings.Contains(string(body), prefix) {
		return nil
	}
	for property, v := range body.Decode() {
		found := func(name string) {
			refs = append(refs, Reference{Path: property, ID: entra.ID(name), Types: []entra.Type{definitionType}, By: "name", Firm: true})
		}
		extensionsIn(property, found)
		eachText(v, func(s string) { extensionsIn(s, found) })
	}
	return refs
}

func eachText(v any, do func(string)) {
	switch v := v.(type) {
	case string:
		do(v)
	case []any:
		for _, e := range v {
			eachText(e, do)
		}
	case map[string]any:
		for _, e := range v {
			eachText(e, do)
		}
	}
}

// With returns the declaration with the directory extensions of a tenant: the service gives their values out where
// they are asked for by name, and their names are its own. Names of anything else are left aside.
func (r *Resource) With(names ...string) *Resource {
	var more []string
	for _, name := range names {
		if _, _, ok := extension(name); ok && r.Extended != "" {
			more = append(more, name)
		}
	}
	if len(more) == 0 {
		return r
	}
	c := *r
	c.extensions = more
	return &c
}

// Named returns the names among an object's properties that have to be given to With so that a reading of the object
// has them, ascending.
func Named(o entra.Object) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(o.Body.Decode())) {
		if _, _, ok := extension(name); ok {
			names = append(names, name)
		}
	}
	return names
}

// RenamePath puts the IDs of another tree into a path that begins with the name of a directory extension, as Rename
// does in bodies; any other path stays.
func RenamePath(path string, ids map[entra.ID]entra.ID) string {
	app, short, ok := extension(path)
	if !ok {
		return path
	}
	to, ok := ids[app]
	if !ok {
		return path
	}
	return prefix + strings.ReplaceAll(string(to), "-", "") + "_" + short
}

// A Definition is what an application adds to objects of some types.
type Definition struct {
	Name string       // of the property
	Of   []entra.Type // whose objects can hold values
}

// Definitions returns the call that lists all definitions in a tenant, those of other tenants' applications too. It
// is answered with an empty list where there are more than 1,000 service principals.
// Source: Microsoft Graph documentation, "directoryObject: getAvailableExtensionProperties".
func Definitions() Call {
	return Call{Method: "POST", Version: "v1.0", Path: "/directoryObjects/getAvailableExtensionProperties", Body: []byte("{}"), Read: true}
}

// Definers returns the call that lists the applications of the tenant with what they define. The service caps such
// pages at a hundred objects.
func Definers() Call {
	return Call{Method: "GET", Version: "v1.0", Path: "/applications", Query: url.Values{
		"$select": {"id,appId"}, "$expand": {"extensionProperties"}, "$top": {"100"},
	}}
}

// Definer reads an application that Definers listed: its appId, and what it defines. more is the call that lists all
// that it defines where this may be only the first of it; else its Path is "".
func Definer(item []byte) (app entra.ID, defines []Definition, more Call, err error) {
	m, err := entra.Decode(item)
	if err != nil {
		return "", nil, Call{}, fmt.Errorf("reading what an application defines: %w", err)
	}
	id, app := entra.ID(text(m, "id")), entra.ID(strings.ToLower(text(m, "appId")))
	all, told := m["extensionProperties"].([]any)
	if id == "" || app == "" {
		return "", nil, Call{}, fmt.Errorf("reading what an application defines: it has no id")
	}
	if !told || len(all) >= MaxExpanded {
		return app, nil, declarations.byType[definitionType].Listing(id), nil
	}
	for _, d := range all {
		d, _ := d.(map[string]any)
		defines = append(defines, define(d))
	}
	return app, defines, Call{}, nil
}

// Define reads a definition.
func Define(item []byte) (Definition, error) {
	m, err := entra.Decode(item)
	if err != nil {
		return Definition{}, fmt.Errorf("reading a %s: %w", definitionType, err)
	}
	return define(m), nil
}

func define(m map[string]any) Definition {
	d := Definition{Name: text(m, "name")}
	targets := texts(m, "targetObjects")
	for r := range All() {
		if r.Extended != "" && slices.Contains(targets, r.Extended) {
			d.Of = append(d.Of, r.Type)
		}
	}
	return d
}

// Consented returns the call that finds the service principal of an application by its appId. Where there is none,
// what the application defines cannot be seen in the tenant.
func Consented(app entra.ID) Call {
	return Call{Method: "GET", Version: "v1.0", Path: "/servicePrincipals(appId='" + escape(app) + "')", Query: url.Values{"$select": {"id"}}}
}

// Naming returns the properties besides the ID by which others may name objects of a type, ascending.
func Naming(t entra.Type) []string {
	var all []string
	for r := range All() {
		for _, p := range r.Properties {
			if p.By != "" && slices.Contains(p.Ref, t) {
				all = append(all, p.By)
			}
		}
	}
	if t == definitionType {
		all = append(all, "name")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Handles returns all by which others may name an object: its ID, and what Naming says.
func Handles(o entra.Object) []entra.ID {
	ids := []entra.ID{o.Ref.ID}
	for _, name := range Naming(o.Ref.Type) {
		if v, ok := o.Body.Get(name); ok {
			if s, _ := v.(string); s != "" {
				ids = append(ids, entra.ID(s))
			}
		}
	}
	return ids
}

// Defines reports whether objects of a type define properties of others, which are asked for by name from then on.
func Defines(t entra.Type) bool { return t == definitionType }
