package emulator

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// A family is a kind of object that is mostly a table: where it is, what it is, and what may be done with it by whom.
// What a table cannot say its hooks do; a hook that is nil has nothing to add.
type family struct {
	path   string   // after the version, "policies/tokenLifetimePolicies"; of one with under, after its parent
	under  string   // the collection whose objects contain these, as in collectionName; "" for none
	types  []string // of the schema; where there are several, objects say by @odata.type which they are
	poly   bool     // objects say so even where there is one type only
	one    string   // the id of the only object, which always exists; "" in a collection
	noun   string   // what the audit log calls an object
	beta   bool     // v1.0 has none
	verbs  string   // those of POST, PATCH, PUT and DELETE that are allowed, parted by spaces
	bin    string   // the path of what was deleted and can be restored; "" where deletion is final
	sealed bool     // the bin is in the preview only, and nobody may bring back or purge what lies in it
	full   bool     // PATCH and PUT answer with the object
	whole  bool     // PATCH replaces complex values whole
	delta  bool     // it has a delta function
	inline []string // the properties that an answer has only where $expand names them: what is related, written out
	bare   bool     // of one with under: where there are none, their list is not found
	upsert bool     // PATCH of one that is not there makes it
	ends   []string // the properties that hold the ids of objects without which it does not show
	along  bool     // of one with under: $expand lists them with their parents
	open   bool     // they can have properties of any name
	silent bool     // PUT of one that is not there makes it without a word; of one with under, POST does
	people bool     // no application is let near, whatever it is permitted
	access

	// sample makes the ith of some objects that have every property that can be written. Of those under others, parent is
	// what contains it. It is nil where there can be no more.
	sample  func(t *Tenant, i int, parent *object) map[string]any
	ready   func(t *Tenant) bool                          // whether the tenant uses the service at all
	initial map[string]any                                // of one with under: what it is where nobody set it
	key     func(id string) string                        // by which id the store has it, where that is not its own
	list    func(c *call) error                           // before they are listed
	seed    func(t *Tenant, born string)                  // what is there from the start
	create  func(c *call, o *object, in checked) error    // before a new object is stored
	change  func(c *call, o, d *object, in checked) error // before d takes the place of o
	remove  func(c *call, o *object) error                // before it is deleted
	reset   func(o *object) map[string]any                // what DELETE makes of it instead
	act     func(c *call, o *object, rest []string) (done bool, a answer, err error)
	value   func(t *Tenant, o *object, name string) (v any, ok bool) // a property that is computed
}

// appendInline writes the properties that $expand names.
func (c *call) appendInline(b []byte, o *object) []byte {
	for i, name := range c.opts.inline {
		p := c.t.schema.Types[o.typ].byName[name]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, p.key...)
		v := c.t.value(o, p)
		if v == nil && p.coll {
			v = []any{}
		}
		b = appendValue(b, v)
	}
	return b
}

// A tie is a relationship whose far ends a caller sets by reference.
type tie struct {
	from  []kindID
	name  string
	to    string   // the collection of the far ends
	most  int      // how many one object can have; 0 is any number
	write []string // none: no application may
}

// families are all of them. Their order numbers their kinds, and so decides about the GUIDs of what a seed makes.
func families() []*family {
	return slices.Concat(signInPolicies(), groupKinds(), attributeKinds(), certificateKinds(), federationKinds(), tenantKinds(), deviceKinds(), entitlementKinds(), reviewKinds(), workflowKinds(), tenantSettings(), consentPolicies(), authenticationContexts(), crossTenantKinds(), externalKinds(), partnerKinds(), previewKinds(), provisioningKinds(), privilegedKinds(), asideKinds(), remoteDesktopKinds(), combinationKinds(), observedKinds(), groupSettings(), methodKinds(), recordKinds(), segmentKinds(), networkKinds(), delegatedKinds(), rolloutKinds(), microsoft365Kinds(), configurationKinds(), claimKinds(), publishingKinds(), firewallKinds(), unshownKinds())
}

func ties(kinds map[string]kindID) []tie {
	return slices.Concat(signInTies(), deviceTies(kinds), entitlementTies(kinds), externalTies(kinds), previewTies(kinds), rolloutTies(kinds), publishingTies(kinds))
}

const firstFamily = kExtension + 1

// A registry finds families and ties.
type registry struct {
	all   []*family
	kinds map[string]kindID // by collection
	tied  []tie
}

func newRegistry() registry {
	r := registry{all: families(), kinds: map[string]kindID{}}
	for k := kUser; k < firstFamily; k++ {
		if name := coreCollection(k); name != "" {
			r.kinds[name] = k
		}
	}
	for i, f := range r.all {
		if f.under != "" {
			r.kinds[f.under+"/{}/"+f.path] = firstFamily + kindID(i)
			continue
		}
		r.kinds[f.path] = firstFamily + kindID(i)
	}
	r.tied = ties(r.kinds)
	return r
}

// families are found in it; it is filled once and never changed. It has no initial value because the hooks of families refer to it.
var found struct {
	once sync.Once
	registry
}

func kin() *registry {
	found.once.Do(func() { found.registry = newRegistry() })
	return &found.registry
}

// familyOf returns the family that is a kind, or nil.
func familyOf(k kindID) *family {
	if k < firstFamily {
		return nil
	}
	return kin().all[k-firstFamily]
}

// forPeople reports whether applications are let nowhere near a kind.
func forPeople(k kindID) bool {
	f := familyOf(k)
	return f != nil && f.people
}

// name is the family's collection, with {} for the id of a parent.
func (f *family) name() string {
	if f.under != "" {
		return f.under + "/{}/" + f.path
	}
	return f.path
}

func (f *family) allows(verb string) bool {
	return verb == "GET" || slices.Contains(strings.Fields(f.verbs), verb)
}

// relOf returns the relationship of objects of a kind that a tie declares.
func relOf(k kindID, name string) (relID, *tie) {
	for i := range kin().tied {
		if x := &kin().tied[i]; x.name == name && slices.Contains(x.from, k) {
			return rOwners + 1 + relID(i), x
		}
	}
	return 0, nil
}

// family finds the family whose collection or bin the path begins with, and what comes after it.
func (c *call) family(segs []string) (k kindID, bin bool, rest []string) {
	for n := len(segs); n > 0; n-- {
		path := strings.Join(segs[:n], "/")
		for i, f := range kin().all {
			if (f.under == "" && f.path == path || f.bin == path && (!f.sealed || c.version == "beta")) && (!f.beta || c.version == "beta") {
				return firstFamily + kindID(i), f.bin == path, segs[n:]
			}
		}
	}
	return 0, false, nil
}

// inFamily serves a family that hangs on no other.
func (c *call) inFamily(k kindID, bin bool, rest []string) (answer, error) {
	f := familyOf(k)
	if f.ready != nil && !f.ready(c.t) {
		return answer{}, refuse(403, "Forbidden", "The tenant is not onboarded.")
	}
	switch {
	case bin:
		return c.policyBin(k, rest)
	case f.one == "":
		return c.collection(k, rest)
	case len(rest) == 0:
		if !f.allows(c.method) {
			return answer{}, notAllowed()
		}
		return c.singleton(k, f.one, nil)
	}
	if err := c.allow(k, false); err != nil {
		return answer{}, err
	}
	return c.below(c.see(c.t.get(f.one)), rest)
}

// contained serves what an object contains: the objects of a family under its own. It reports false where the name is
// none.
func (c *call) contained(o *object, rest []string) (done bool, a answer, err error) {
	var k kindID
	var ok bool
	for n := 1; n <= len(rest) && !ok; n++ { // the path has one name, or several
		if k, ok = kin().kinds[collectionName(o.kind)+"/{}/"+strings.Join(rest[:n], "/")]; ok {
			rest = rest[n-1:]
		}
	}
	if !ok {
		return false, answer{}, nil
	}
	f := familyOf(k)
	if f.beta && c.version != "beta" {
		return true, answer{}, noSegment(f.path, o.typ)
	}
	if !f.allows(c.method) && len(rest) < 3 {
		return true, answer{}, notAllowed()
	}
	if err := c.allow(k, c.method != "GET"); err != nil {
		return true, answer{}, err
	}
	here := func() []*object { return liveOnly(c.t.joined(k, "_parent", o.id)) }
	if f.one != "" { // one at the most of each parent
		all := here()
		var x *object
		if len(all) > 0 {
			x = c.see(all[0])
		}
		switch {
		case len(rest) > 1 && x.live():
			a, err = c.below(x, rest[1:])
		case c.method == "PUT":
			a, err = c.replace(k, x, map[string]any{"_parent": o.id})
		case c.method == "POST" && len(rest) == 1:
			if x.live() {
				return true, a, refuse(409, "Request_MultipleObjectsWithSameKeyValue", "The object has '%s' already.", f.path)
			}
			var body map[string]any
			if body, err = c.object(); err == nil {
				x, err = c.make(k, body, map[string]any{"_parent": o.id})
			}
			if err == nil {
				a, err = created(c, x)
			}
		case !x.live() && f.initial != nil && c.method == "GET":
			a, err = c.one(&object{kind: k, typ: f.types[0], p: f.initial})
		case !x.live() && f.initial != nil:
			x = c.t.plant(f.name(), "", map[string]any{"_parent": o.id})
			maps.Copy(x.p, f.initial)
			a, err = c.alone(x)
		case !x.live():
			err = notFound(f.path)
		default:
			a, err = c.alone(x)
		}
		return true, a, err
	}
	if len(rest) == 1 {
		if c.method == "GET" {
			all := here()
			if f.bare && len(all) == 0 {
				return true, answer{}, notFound(f.path)
			}
			l := listing{kind: k, name: f.name(), n: len(all), types: c.types(k), annotate: poly(k), at: func(i int) *object {
				if x := c.see(all[i]); x.live() {
					return x
				}
				return nil
			}}
			a, err = c.page(l)
			return true, a, err
		}
		body, err := c.object()
		if err != nil {
			return true, answer{}, err
		}
		x, err := c.make(k, body, map[string]any{"_parent": o.id})
		if err != nil {
			return true, answer{}, err
		}
		if f.silent {
			return true, answer{status: 204}, nil
		}
		a, err = created(c, x)
		return true, a, err
	}
	var x *object
	for _, y := range here() {
		if strings.EqualFold(text(y.p["id"]), rest[1]) {
			x = c.see(y)
		}
	}
	switch {
	case c.method == "PUT" && len(rest) == 2:
		a, err = c.replace(k, x, map[string]any{"_parent": o.id, "id": rest[1]})
	case !x.live():
		err = notFound(rest[1])
	case len(rest) == 2:
		a, err = c.alone(x)
	default:
		a, err = c.below(x, rest[2:])
	}
	return true, a, err
}

// alone serves one object.
func (c *call) alone(o *object) (answer, error) {
	switch c.method {
	case "GET":
		return c.one(o)
	case "PATCH":
		return c.update(o)
	case "DELETE":
		return c.remove(o)
	}
	return answer{}, notAllowed()
}

// replace carries out PUT: the object, if it is there, becomes what the body says and nothing else.
func (c *call) replace(k kindID, o *object, extra map[string]any) (answer, error) {
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	if !o.live() {
		if o, err = c.make(k, body, extra); err != nil {
			return answer{}, err
		}
		if familyOf(k).silent {
			return answer{status: 204}, nil
		}
		return created(c, o)
	}
	if id := text(body["id"]); id != "" && id != text(o.p["id"]) {
		return answer{}, bad("The id in the body is not that of the address.")
	}
	delete(body, "id")
	in, err := c.check(body, c.t.schema.Types[o.typ], true)
	if err != nil {
		return answer{}, err
	}
	d := o.clone()
	for name := range d.p {
		if p := c.t.schema.Types[o.typ].byName[name]; p != nil && p.Write != "" {
			delete(d.p, name)
		}
	}
	maps.Copy(d.p, in.p)
	if f := familyOf(k); f.change != nil {
		if err := f.change(c, o, d, in); err != nil {
			return answer{}, err
		}
	}
	names := slices.Sorted(maps.Keys(d.p))
	c.t.put(d, names)
	c.audit("Update "+noun(k), d, changes(o.p, d.p, names))
	if f := familyOf(k); f.full {
		w := *c
		w.opts = options{}
		return w.one(d)
	}
	return answer{status: 204}, nil
}

// tied serves a relationship that a tie declares. It reports false where the name is none.
func (c *call) tied(o *object, name string, rest []string) (done bool, a answer, err error) {
	r, x := relOf(o.kind, name)
	if x == nil {
		return false, a, nil
	}
	t, far := c.t, kin().kinds[x.to]
	if c.method == "GET" {
		if len(rest) > 0 {
			return true, a, noSegment(rest[0], "")
		}
		if err := c.allow(far, false); err != nil {
			return true, a, err
		}
		l := c.linksOf(o, r)
		a, err = c.page(listing{kind: far, name: x.to, n: l.n, at: l.at, types: c.types(far), annotate: true})
		return true, a, err
	}
	if !c.holds(x.write...) {
		return true, a, denied()
	}
	switch {
	case len(rest) == 1 && rest[0] == "$ref" && c.method == "POST":
		body, err := c.object()
		if err != nil {
			return true, a, err
		}
		ref := text(body["@odata.id"])
		id := ref[strings.LastIndexByte(ref, '/')+1:]
		if len(body) != 1 || !strings.HasSuffix(ref, "/"+x.to+"/"+id) && !strings.HasSuffix(ref, "/directoryObjects/"+id) {
			return true, a, bad("Invalid entity reference '%s'.", ref)
		}
		y := c.see(t.get(id))
		if !y.live() || y.kind != far {
			return true, a, notFound(id)
		}
		if t.linked(o, r, y.id) {
			return true, a, bad("One or more added object references already exist for the following modified properties: '%s'.", name)
		}
		if x.most > 0 && len(t.liveTargets(o, r)) >= x.most {
			return true, a, bad("The limit of %d for '%s' has been reached.", x.most, name)
		}
		t.link(o, r, y.id)
		c.audit("Add policy to "+noun(o.kind), o, nil, y)
		return true, answer{status: 204}, nil
	case len(rest) == 2 && rest[1] == "$ref" && c.method == "DELETE":
		y := t.get(rest[0])
		if y == nil || !t.linked(o, r, y.id) {
			return true, a, notFound(rest[0])
		}
		t.unlink(o, r, y.id)
		c.audit("Remove policy from "+noun(o.kind), o, nil, y)
		return true, answer{status: 204}, nil
	}
	return true, a, notAllowed()
}

// samples is how many objects of each family a tenant with every kind of object has, and how many parents have some.
const samples = 3

// seedFamilies makes what families have from the start.
func (t *Tenant) seedFamilies(born string) {
	for _, f := range kin().all {
		if f.seed != nil {
			f.seed(t, born)
		}
		if !t.o.Every || f.sample == nil {
			continue
		}
		if f.under == "" {
			for i := range samples {
				p := f.sample(t, i, nil)
				if p == nil {
					break
				}
				t.plant(f.name(), f.one, p)
				if f.one != "" {
					break
				}
			}
			continue
		}
		for i, parent := range t.first(kin().kinds[f.under], samples) {
			p := f.sample(t, i, parent)
			p["_parent"] = parent.id
			t.plant(f.name(), "", p)
		}
	}
	if !t.o.Every {
		return
	}
	t.seedStreams()
	t.seedNotes()
	t.seedPublished()
	for i, x := range kin().tied {
		for _, from := range x.from {
			far := t.first(kin().kinds[x.to], samples)
			for j, o := range t.first(from, samples) {
				if j < len(far) {
					t.link(o, rOwners+1+relID(i), far[j].id)
				}
			}
		}
	}
}

// first returns the first objects of a kind that are the tenant's own.
func (t *Tenant) first(k kindID, n int) (all []*object) {
	t.each(k, func(o *object) bool {
		if o.live() && !o.managed && o.id != t.capture.ObjectID && o.id != t.restore.ObjectID {
			all = append(all, o)
		}
		return len(all) < n
	})
	return all
}

// plant puts an object of a family into the tenant as it is at the start; without an id it gets one.
func (t *Tenant) plant(collection, id string, p map[string]any) *object {
	k, ok := kin().kinds[collection]
	if !ok {
		panic("emulator: no collection " + collection)
	}
	typ := strings.TrimPrefix(text(p["@odata.type"]), "#microsoft.graph.")
	delete(p, "@odata.type")
	if typ == "" {
		typ = familyOf(k).types[0]
	}
	own := text(p["id"]) // that whoever makes such an object chooses
	if id == "" && familyOf(k).under == "" {
		id = own
	}
	o := t.seed(k, typ, id, p)
	if own != "" {
		o.p["id"] = own
	}
	return o
}

// writes reports whether a permission lets its holder write.
func writes(permission string) bool { return strings.Contains(permission, ".ReadWrite.") }

// familyRoles adds to permissions the least that families need besides. One that also writes is no reader's.
func familyRoles(roles []string, write bool) []string {
	add := func(names []string) {
		for _, name := range names {
			if name != anyToken && !slices.Contains(roles, name) {
				roles = append(roles, name)
			}
		}
	}
	for _, f := range kin().all {
		if !write {
			if !f.people && !writes(f.read[0]) { // with no permission is an application let near what is for people
				add(f.read[:1])
			}
		} else if len(f.access.write) > 0 {
			add(f.access.write[:1])
			add(f.also)
		}
	}
	for _, x := range kin().tied {
		if write && len(x.write) > 0 {
			add(x.write[:1])
		}
	}
	return roles
}
