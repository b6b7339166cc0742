// Package catalog declares every type of object: where Microsoft Graph keeps it, how it is read, which of
// its properties mean something, what they refer to, and what may be written back and how.
//
// It promises that a type is fully described by its declaration here: no other package names a type. What
// data cannot say is a pure function beside the declaration that needs it. It refuses input and output:
// requests are described as Calls, which others send.
package catalog

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A Resource declares one type. It is read-only: every caller shares it.
type Resource struct {
	Type    entra.Type
	Is      entra.Type // what the service calls the type, where another declaration has that name; "" is Type
	Title   string     // plural, for people: "Conditional Access policies"
	Doc     string     // one sentence, for people
	Version string     // of Microsoft Graph: "v1.0" or "beta"
	List    string     // "/groups"; of a contained type "/servicePrincipals/{parent}/appRoleAssignedTo", with {holder} for what contains the parent
	Item    string     // "/groups/{id}"; "" means List and the ID, or for a singleton List itself
	Filter  string     // $filter of List, which can name {parent}; "" for none
	Under   entra.Type // the type whose objects contain these; "" for none
	Among   entra.Type // of a contained type: only what an object of this type has the ID of can contain any
	One     bool       // a single object, not a collection
	Silent  bool       // of a contained type: neither the audit log nor what contains its objects shows that one changed
	Binary  string     // of a contained single object that is no JSON but bytes, which it holds in base64 as data, with their media type as contentType: what that can be, as in an Accept header
	ID      string     // the property that tells objects apart; "" is id
	Expand  string     // of a contained type: by this name $expand lists its objects with what contains them, fewer than 20 being all, or with One $select the object; "" where that is not possible
	Given   entra.Type // where there are no objects of this type there can be none, and nothing is asked
	Open    bool       // its objects hold properties of any name, and all can be written
	Admits  Admission  // as whom its objects let others in
	Inline  string     // what $expand writes into every answer about an object, which bodies keep as properties: "role($expand=resource),scope"
	Chosen  string     // of objects whose ID the caller chooses: the method that creates one, POST with the ID in the body, else at its own path; "" where the service chooses
	Judged  bool       // who gets in, and what is possible at all, follows from its objects: small, and read whole before a plan is judged
	Echo    entra.Type // what its objects say, the service shows at objects of this type as well, see Follows
	Beside  entra.Type // of a contained type: what contains its objects has to contain the one object of this type too
	Terms   entra.Type // on what terms its objects can be made, objects of this type say, which are written before
	Grants  bool       // what its objects allow can let somebody in, or give them power: to touch one counts as privileged

	Each     bool       // a listing lacks properties that cannot be asked for there, so each object is read by itself
	Delta    string     // path of the delta function; "" where there is none
	Unless   string     // why it is captured only where the configuration asks for it by name; "" for what always is
	Unshown  bool       // Microsoft's reference does not show it: a service that takes a request for it for a false one does not have it
	People   bool       // the service shows and takes its objects for people only, for no application
	Stream   bool       // a log of entries, not state
	Clock    string     // of a log: the property that says when an entry was written
	Revoke   string     // ends all that somebody who is signed in as the object still can do: "/users/{id}/revokeSignInSessions"; "" is nothing
	Bin      entra.Type // what its deleted objects become; "" where deletion is final
	Live     entra.Type // of a bin: what its objects were
	Native   bool       // Microsoft's own recovery takes its objects back to what they were, unless they were purged
	Undelete string     // path to POST to in order to bring a deleted object back, with {id}; "" where impossible
	Top      int        // page size to ask for; 0 asks for none
	Select   bool       // the default answer lacks properties, so ask for every one by name
	Extended string     // what definitions of directory extensions call the type: "User"; "" where its objects hold no values of them
	Kinds    []string   // what its objects can be more specially; one that is says so in @odata.type, which stays in the body
	Variants bool       // objects differ in shape and say so in @odata.type, which stays in the body

	Requests string // where to POST what adds, changes or removes an object, in place of its own path; "" for most. The answer is no object

	Name       []string   // properties that name it to people; the first with a value counts
	Match      []string   // properties that together recognise it after it was created anew
	Properties []Property // in any order; a property not listed is captured and never written
	Links      []Relation

	Can     Can
	Read    []string // least application permissions to read it, with People delegated ones
	Write   []string // likewise, to do all that Can says
	Refusal string   // why nothing can be restored; set exactly where Can is 0
	Chore   string   // what a person has to do where one is missing; "" for most
	Abroad  string   // who outside of the directory may know an object by its ID, and has to be told a new one; "" for most

	rules    int                                                                 // raised when read makes something else of the same answer
	read     func(m map[string]any)                                              // reshapes an answer before the table is applied
	native   func(id entra.ID) string                                            // why the object of this ID is not written
	place    func(id entra.ID) (method, path string, header map[string]string)   // where the object of this ID is written and made, where that is not its own path; "" for most
	frozen   func(m map[string]any) string                                       // why this very object is not written
	held     func(m map[string]any, name string) string                          // why a property of this very object is not written, though the object is
	fixed    func(m map[string]any, rel string) string                           // why its links are not written
	create   func(set map[string]any, f Fresh) (later map[string]any, err error) // reshapes the first call of a creation, in place; later is to follow it
	update   func(id entra.ID, set, was map[string]any) ([]part, error)          // takes out of set what travels by itself, reshapes the rest
	barren   func(m map[string]any) bool                                         // of what contains it: there is nothing in it, which the service says by refusing the list
	holds    func(m map[string]any) bool                                         // of what contains it, as captured: there can be something in it, so it is asked; nil asks all
	ask      func(id entra.ID, set, was map[string]any) map[string]any           // with Requests: what to POST to have an object with these properties, with a nil set to have none; was is nil where there is none yet
	fails    func(answer map[string]any) string                                  // with Requests: why one that was taken comes to nothing; "" where it does not
	untimely func(m map[string]any, now time.Time) string                        // why an object is not made at that time, or ever
	keys     func(m map[string]any) []Key                                        // what only one living object can have
	shelf    func(m map[string]any) string                                       // of what differs in shape: the name of the list in which such an object is written, beside List; "" where that is List
	precedes func(m map[string]any) bool                                         // of what is contained: without it the others of its type cannot be there in what contains them
	spare    []string                                                            // properties to which an undelete can give another value
	revive   func(set map[string]any) map[string]any                             // how an undelete says so
	none     func(m map[string]any) bool                                         // of a single object that is always answered: it says that there is none
	clear    func(m map[string]any) map[string]any                               // what is sent by PATCH in the place of a deletion
	disarm   func(m map[string]any) []part                                       // what must be written before it can be removed
	room     func(m map[string]any) (by string, n, used int, ok bool)            // see Room

	extensions []string // of With

	inside []*Resource // the types whose objects are contained in these
	tree   *node       // of Properties
	sparse bool        // empty arrays are left out of bodies
	refers bool        // a property is a reference
}

// Fresh holds what a creation needs and a pure package cannot make.
type Fresh struct {
	Password string // a random one, for a user that is created
}

// A Can is a set of things that can be done to objects of a type.
type Can uint8

// What can be done to objects of a type.
const (
	Create Can = 1 << iota
	Update
	Delete
)

// Has reports whether every member of d is in c.
func (c Can) Has(d Can) bool { return c&d == d }

// A Property declares one property, or refines a part of one.
type Property struct {
	Name     string       // "displayName"; members after a dot, elements after "[]": "requiredResourceAccess[].resourceAppId"
	Write    Write        // of a top-level property; parts follow it unless they say otherwise with Secret
	Set      bool         // an array whose order means nothing
	Key      string       // of an array of objects: the member that tells its elements apart
	Elements string       // "remove" where elements can be taken away but not added or changed; else ""
	Issue    Issue        // what an element is that a new one can be made for; "" where it is nothing of the kind
	Of       string       // it holds the key of an element that another object declares in this property: "appRoles"
	Ref      []entra.Type // it holds IDs of objects of these types, alone, in scopes such as "/administrativeUnits/ID", or in text
	By       string       // the property of the target that it holds; "" is the target's ID
	Firm     bool         // with By: the service does not take the value of a target that the tenant does not have
	Some     string       // of those with the same Some one at least must hold something, or the service refuses the object
	Loose    bool         // with Ref: it can hold anything, and what of it are GUIDs are IDs
	Whole    bool         // with Ref: all that stands there is one ID, such as the name of a domain
	Cloud    bool         // it is written here even where the rest of the object is mastered on premises
	Still    bool         // once it is false, or empty, nobody can act as the object, or through it
	Home     bool         // what follows the last @ in it is a verified domain of the tenant
	Back     string       // what to list of the target to find the objects that name it here: "appRoleAssignments"; "" where there is no such list
	Secret   bool         // the service never gives the value out, so it cannot come back
	Omit     bool         // not kept: it changes by itself, or says what another object already says
	Must     bool         // a creation without it is refused
	Fresh    bool         // a creation gives it a new random password
	Stays    bool         // once it has a value it can be changed, not cleared
	Group    string       // properties of one group travel together in a change of their own; "" is the common one
	Reason   string       // why it is omitted, secret or not fully restorable; "" where it simply is
	Safe     any          // the value a re-created object gets until Lift is asked for; nil is the goal's own
	alive    bool         // written to an object that exists, never in order to complete a creation
	kept     bool         // omitted from comparison only: it follows from objects of another type, and says so where those were not read
	raw      bool         // omitted, yet asked for, because read makes another property of it
	Lift     string       // with Safe: "enforce" or "enable-users", the wish that lets the goal's value come back
}

// Shows reports whether the property says no more than what follows from objects of another type.
func (p Property) Shows() bool { return p.kept }

// An Issue says what sort of credential the elements of a property are.
type Issue string

// The sorts of credentials.
const (
	Password    Issue = "password"    // the service makes it, and shows it once
	Certificate Issue = "certificate" // the service gets its public half
)

// An Admission says as whom the objects of a type let in who has what they name: a key, a token of an issuer's.
type Admission string

// As whom something lets others in.
const (
	AsContainer Admission = "container" // as what contains it
	AsAnyone    Admission = "anyone"    // as any person of the tenant, or of one of its domains
)

// A Write says when a property can be written.
type Write uint8

// When a property can be written.
const (
	Never    Write = iota // never
	OnCreate              // only when the object is created
	OnUpdate              // only to an object that exists
	Both                  // at creation and later
	ByAction              // by a call of its own
)

// String returns never, create, update, both or action.
func (w Write) String() string {
	switch w {
	case OnCreate:
		return "create"
	case OnUpdate:
		return "update"
	case Both:
		return "both"
	case ByAction:
		return "action"
	}
	return "never"
}

// A Relation declares one kind of link that starts at a type.
type Relation struct {
	Rel   string
	To    []entra.Type // what it can lead to; the first is the commonest
	Many  bool
	Read  Via
	Path  string // to read it for one object: "/groups/{id}/members"; with Many a list, else one object or 404
	Top   int    // page size to ask for when reading Path; 0 asks for none
	Write bool   // Bind and Unbind work
	Batch bool   // BindMany works
	Back  string // what to list of an object to learn where links that end there start: "memberOf"; "" where there is no such list
	Kept  bool   // an undelete of either end brings links back by itself; which ones, nobody promises
	Sole  bool   // with Write: what it leads to has one such link always, so Bind takes it from elsewhere, and there is no Unbind
	Bare  bool   // where there are none the service does not find the list
	Said  string // the collection under which a write names what a link leads to; "" is directoryObjects

	Turned map[entra.Type]string // with Write: it is written at what it leads to, by these paths: "/servicePrincipals/{id}/claimsMappingPolicies"

	Hidden     string // "property=value" of the objects whose links are left out in silence; "" for none
	HiddenFrom string // the application permission without which they are
}

// A Via says how links are read in bulk.
type Via uint8

// How links are read in bulk. Each falls back on ByList.
const (
	ByList   Via = iota // GET of Path for each object
	ByExpand            // listed with the objects by $expand; fewer than 20 are all, 20 ask for ByList
	ByDelta             // by the delta function with $select=id,REL
)

// String returns list, expand or delta.
func (v Via) String() string {
	switch v {
	case ByExpand:
		return "expand"
	case ByDelta:
		return "delta"
	}
	return "list"
}

// A Call describes one request. Path starts with a slash and is percent-encoded; Version goes before it.
// A Body can hold the text {endpoint}: whoever sends it puts the address of the service there, such as
// https://graph.microsoft.com, because the service takes references to objects only as addresses.
// It is JSON unless Header says by Content-Type that it is something else.
// The calls after the first of a creation can hold {id} in Path, and {appId} in Body, for what the first
// call's answer says under that name.
type Call struct {
	Method  string
	Version string
	Path    string
	Query   url.Values
	Header  map[string]string
	Body    []byte
	Read    bool // a POST that changes nothing
	People  bool // a person has to ask
}

// All yields the declarations in the order of their types.
func All() iter.Seq[*Resource] { return slices.Values(declarations.sorted) }

// Lookup finds the declaration of a type.
func Lookup(t entra.Type) (*Resource, bool) {
	r, ok := declarations.byType[t]
	return r, ok
}

// Order lists every type so that what a type refers to, or is contained in, comes before it. Links count
// less than references: where they close a circle they are left out, because a link can be written last.
func Order() []entra.Type { return slices.Clone(declarations.order) }

// Declaration hashes what shapes the bodies of a type: two bodies read under different declarations may
// differ though the objects did not.
func (r *Resource) Declaration() string {
	h := sha256.New()
	fmt.Fprintln(h, r.Type, r.Version, r.List, r.Delta, r.Variants, r.rules)
	if r.Filter != "" || r.Among != "" || r.Open {
		fmt.Fprintln(h, r.Filter, r.Among)
	}
	for _, p := range slices.SortedFunc(slices.Values(r.Properties), func(a, b Property) int { return strings.Compare(a.Name, b.Name) }) {
		fmt.Fprintln(h, p.Name, p.Set, p.Key, p.Omit)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// Asked returns the names of the properties to put into $select, ascending; nil where none is sent.
func (r *Resource) Asked() []string {
	if !r.Select {
		return nil
	}
	names := []string{"id"}
	inline := strings.Split(r.Inline, ",") // what $expand names comes by itself
	for _, p := range r.Properties {
		if !strings.ContainsAny(p.Name, ".[@") && (!p.Omit || p.raw) && !slices.Contains(inline, p.Name) {
			names = append(names, p.Name)
		}
	}
	names = append(names, r.extensions...)
	slices.Sort(names)
	return slices.Compact(names)
}

// Property returns the declaration that rules a path: the entry with the longest name that is the path or
// leads to it. Element selectors in the path, as in excludeUsers[ID], count as "[]".
func (r *Resource) Property(path string) (Property, bool) {
	path = plain(path)
	best, found := Property{}, false
	for _, p := range r.Properties {
		if within(path, p.Name) && (!found || len(p.Name) > len(best.Name)) {
			best, found = p, true
		}
	}
	if !found {
		if r.Extended != "" && strings.HasPrefix(path, prefix) {
			return Property{Name: path, Write: Both, Cloud: r.Type == UserType}, true
		}
		if r.Open && !annotation(path) {
			return Property{Name: r.Unit(path), Write: Both}, true
		}
		return Property{}, false
	}
	// Parts refine sets, keys and references; when a value may be written is said at the top.
	if top, ok := r.top(path); ok && best.Name != top.Name {
		best.Write, best.Group, best.Must = top.Write, top.Group, false
		best.Omit = best.Omit || top.Omit
		if best.Reason == "" {
			best.Reason = top.Reason
		}
		if best.Elements == "" {
			best.Elements = top.Elements
		}
	}
	return best, true
}

// Unit returns the property that has to be sent whole in order to change the value at path: its first
// name. Members left out of a complex value may be kept or lost, depending on the type, so no part of one
// ever travels alone.
func (r *Resource) Unit(path string) string {
	if i := strings.IndexAny(path, ".["); i >= 0 && !strings.HasPrefix(path, "@") {
		return path[:i]
	}
	return path
}

func (r *Resource) top(path string) (Property, bool) {
	for _, p := range r.Properties {
		if p.Name == r.Unit(path) {
			return p, true
		}
	}
	return Property{}, false
}

// within reports whether path is name or lies inside it.
func within(path, name string) bool {
	rest, ok := strings.CutPrefix(path, name)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// plain turns every element selector of a path into "[]". A selector can hold dots and slashes, not brackets.
func plain(path string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(path, '[')
		if i < 0 {
			return b.String() + path
		}
		j := strings.IndexByte(path[i:], ']')
		if j < 0 {
			return b.String() + path
		}
		b.WriteString(path[:i] + "[]")
		path = path[i+j+1:]
	}
}

type table struct {
	sorted []*Resource
	byType map[entra.Type]*Resource
	order  []entra.Type
}

// declarations is written here and never again.
var declarations = declare()

func declare() *table {
	t := &table{sorted: slices.Concat(users(), groups(), apps(), provisioning(), remoteDesktop(), asides(), roles(), privilegedAccess(), otherRoles(), policies(), signIn(), settings(), grantPolicies(), crossTenant(), tenantWide(), streams(), attributes(), trusts(), devices(), networkAccess(), entitlements(), reviews(), workflows(), external(), partners(), directory(), observations(), audits(), methods(), records(), privateAccess(), delegated(), rollouts(), publishing(), microsoft365(), configurationManagement()), byType: map[entra.Type]*Resource{}}
	t.sorted = append(t.sorted, bins(t.sorted)...)
	slices.SortFunc(t.sorted, func(a, b *Resource) int { return strings.Compare(string(a.Type), string(b.Type)) })
	for _, r := range t.sorted {
		if r.Item == "" {
			r.Item = r.List
			if !r.One {
				r.Item += "/{id}"
			}
		}
		if r.Version == "" {
			r.Version = "v1.0"
		}
		r.tree = grow(r.Properties)
		t.byType[r.Type] = r
	}
	for _, r := range t.sorted {
		live := t.byType[r.Live]
		r.sparse = r.Delta != "" || live != nil && live.Delta != ""
		r.refers = slices.ContainsFunc(r.Properties, func(p Property) bool { return p.Ref != nil })
		if in := t.byType[r.Under]; in != nil {
			in.inside = append(in.inside, r)
		}
	}
	t.order = arrangeTypes(t.sorted)
	return t
}

// arrangeTypes puts what a type refers to before it. In a circle, the type that waits for the fewest links
// goes first; references never make a circle of several types, which a test holds.
func arrangeTypes(all []*Resource) []entra.Type {
	hard, soft := map[entra.Type]map[entra.Type]bool{}, map[entra.Type]map[entra.Type]bool{}
	for _, r := range all {
		hard[r.Type], soft[r.Type] = map[entra.Type]bool{}, map[entra.Type]bool{}
	}
	note := func(m map[entra.Type]map[entra.Type]bool, from, to entra.Type) {
		if _, known := hard[to]; known && from != to {
			m[from][to] = true
		}
	}
	for _, r := range all {
		note(hard, r.Type, r.Under)
		note(hard, r.Type, r.Terms)
		note(hard, r.Type, r.Beside)
		for _, p := range r.Properties {
			for _, to := range p.Ref {
				note(hard, r.Type, to)
			}
		}
		for _, l := range r.Links {
			for _, to := range l.To {
				note(soft, r.Type, to)
			}
		}
	}
	var order []entra.Type
	placed := map[entra.Type]bool{}
	waits := func(m map[entra.Type]bool) (n int) {
		for to := range m {
			if !placed[to] {
				n++
			}
		}
		return n
	}
	for len(order) < len(all) {
		var best entra.Type
		least := [2]int{1 << 30}
		for _, r := range all {
			if w := [2]int{waits(hard[r.Type]), waits(soft[r.Type])}; !placed[r.Type] && (w[0] < least[0] || w[0] == least[0] && w[1] < least[1]) {
				best, least = r.Type, w
			}
		}
		placed[best] = true
		order = append(order, best)
	}
	return order
}
