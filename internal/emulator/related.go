package emulator

import (
	"slices"
	"strings"
)

// relation is a relationship of one object, ready to be read.
type relation struct {
	kind   kindID // kNone: mixed
	single bool
	n      int
	at     func(int) *object
}

func (c *call) objectsOf(ids []*object) relation {
	return relation{kind: kNone, n: len(ids), at: func(i int) *object { return ids[i] }}
}

func (c *call) linksOf(o *object, r relID) relation {
	n, at := c.t.targets(o, r, !c.direct && c.method == "GET")
	return relation{kind: kNone, n: n, at: func(i int) *object {
		id := at(i)
		if id == "" {
			return nil
		}
		x := c.t.get(id)
		if !x.live() {
			return nil
		}
		return x
	}}
}

// emptyRelations are relationships that are empty throughout this tenant and
// cannot be written here.
func emptyRelations() []string {
	return []string{"tokenLifetimePolicies", "tokenIssuancePolicies", "homeRealmDiscoveryPolicies", "claimsMappingPolicies",
		"appManagementPolicies", "extensions", "createdObjects", "endpoints", "ownedDevices", "registeredDevices"}
}

func (c *call) related(o *object, name string) (relation, bool) {
	t := c.t
	link := func(r relID) (relation, bool) { return c.linksOf(o, r), true }
	list := func(objs []*object) (relation, bool) { return c.objectsOf(objs), true }
	switch o.kind {
	case kUser, kGroup, kSP, kApp:
		switch name {
		case "memberOf":
			if o.kind != kApp {
				return list(c.containers(o))
			}
		case "transitiveMemberOf":
			if o.kind != kApp {
				return list(c.transitive(o, c.containers))
			}
		case "owners":
			if o.kind != kUser {
				return link(rOwners)
			}
		case "ownedObjects":
			if o.kind == kUser || o.kind == kSP {
				return list(liveOnly(t.sources(rOwners, o.id)))
			}
		case "appRoleAssignments":
			if o.kind == kApp {
				break
			}
			out := t.joined(kRoleGrant, "principalId", o.id)
			if o.kind == kUser { // with those of groups the user is a direct member of
				for _, g := range c.containers(o) {
					out = append(out, t.joined(kRoleGrant, "principalId", g.id)...)
				}
			}
			r := c.objectsOf(slices.DeleteFunc(out, func(x *object) bool { return !t.shown(x) }))
			r.kind = kRoleGrant
			return r, true
		case "oauth2PermissionGrants":
			end := map[kindID]string{kUser: "principalId", kSP: "clientId"}[o.kind]
			if end == "" {
				break
			}
			r := c.objectsOf(slices.DeleteFunc(t.joined(kConsent, end, o.id), func(x *object) bool { return !t.shown(x) }))
			r.kind = kConsent
			return r, true
		}
	}
	switch {
	case o.kind == kUser && name == "manager":
		r := c.linksOf(o, rManager)
		r.single = true
		return r, true
	case o.kind == kUser && name == "sponsors":
		return link(rSponsors)
	case o.kind == kUser && name == "directReports":
		return list(liveOnly(t.sources(rManager, o.id)))
	case (o.kind == kGroup || o.kind == kUnit) && name == "members":
		if o.p["visibility"] == "HiddenMembership" && !c.holds("Member.Read.Hidden") {
			return c.objectsOf(nil), true
		}
		return link(rMembers)
	case o.kind == kGroup && name == "transitiveMembers":
		return list(c.transitive(o, func(x *object) []*object {
			if x.kind != kGroup {
				return nil
			}
			return t.liveTargets(x, rMembers)
		}))
	case o.kind == kApp && name == "extensionProperties":
		r := c.objectsOf(t.definitions(o))
		r.kind = kExtension
		return r, true
	case o.kind == kSP && name == "appRoleAssignedTo":
		r := c.objectsOf(slices.DeleteFunc(t.joined(kRoleGrant, "resourceId", o.id), func(x *object) bool { return !t.shown(x) }))
		r.kind = kRoleGrant
		return r, true
	case o.kind == kUnit && name == "scopedRoleMembers":
		return c.objectsOf(nil), true
	case o.kind == kRoleAssignment:
		var x *object
		r := relation{kind: kNone, single: true}
		switch name {
		case "principal":
			x = t.liveOf(text(o.p["principalId"]))
		case "roleDefinition":
			x, r.kind = t.liveOf(text(o.p["roleDefinitionId"])), kRoleDef
		case "directoryScope":
			s := text(o.p["directoryScopeId"])
			x = t.liveOf(s[strings.LastIndexByte(s, '/')+1:])
		default:
			return r, false
		}
		r.n, r.at = 1, func(int) *object { return x }
		return r, true
	}
	if f := familyOf(o.kind); f != nil && f.delta && name == "memberOf" {
		return list(c.containers(o))
	}
	if k, ok := kin().kinds[collectionName(o.kind)+"/{}/"+name]; ok {
		out := c.objectsOf(liveOnly(t.joined(k, "_parent", o.id)))
		out.kind = k
		return out, true
	}
	if r, x := relOf(o.kind, name); x != nil {
		out := c.linksOf(o, r)
		out.kind = kin().kinds[x.to]
		return out, true
	}
	if familyOf(o.kind) != nil && name == "appliesTo" {
		var all []*object
		for i, x := range kin().tied {
			if kin().kinds[x.to] == o.kind {
				all = append(all, liveOnly(t.sources(rOwners+1+relID(i), o.id))...)
			}
		}
		return c.objectsOf(all), true
	}
	if slices.Contains(emptyRelations(), name) && slices.Contains(t.schema.Types[o.typ].Relationships, name) {
		return c.objectsOf(nil), true
	}
	return relation{}, false
}

func liveOnly(o []*object) []*object {
	return slices.DeleteFunc(o, func(x *object) bool { return !x.live() })
}

// containers are the live groups and administrative units an object is a
// direct member of.
func (c *call) containers(o *object) []*object {
	return liveOnly(c.t.sources(rMembers, o.id))
}

func (c *call) transitive(o *object, next func(*object) []*object) []*object {
	seen := map[string]bool{o.id: true}
	var out []*object
	queue := []*object{o}
	for len(queue) > 0 {
		x := queue[0]
		queue = queue[1:]
		for _, y := range next(x) {
			if !seen[y.id] {
				seen[y.id] = true
				out = append(out, y)
				queue = append(queue, y)
			}
		}
	}
	return out
}

func castKind(s string) (kindID, bool) {
	k, ok := map[string]kindID{"microsoft.graph.user": kUser, "microsoft.graph.group": kGroup, "microsoft.graph.application": kApp, "microsoft.graph.servicePrincipal": kSP, "microsoft.graph.administrativeUnit": kUnit}[s]
	return k, ok
}

// below serves what is under an object.
func (c *call) below(o *object, rest []string) (answer, error) {
	name := rest[0]
	if o == nil {
		return answer{}, notFound("")
	}
	if c.method == "POST" && len(rest) == 1 {
		if done, a, err := c.action(o, name); done {
			return a, err
		}
	}
	if done, a, err := c.streamed(o, rest); done {
		return a, err
	}
	if o.kind == kApp && name == "connectorGroup" {
		return c.connected(o, rest[1:])
	}
	if o.kind == kOrg && name == "branding" && len(rest) == 1 {
		return c.branding(o)
	}
	if o.kind == kUser && len(rest) > 1 && name == "authentication" && rest[1] == "hardwareOathMethods" && c.version == "beta" {
		return c.tokens(o, rest[2:])
	}
	if o.kind == kUser && name == "authentication" && len(rest) > 1 && rest[1] == "methods" {
		return c.methods(o, rest[2:])
	}
	if f := familyOf(o.kind); f != nil && f.act != nil {
		if done, a, err := f.act(c, o, rest); done {
			return a, err
		}
	}
	if done, a, err := c.contained(o, rest); done {
		return a, err
	}
	if done, a, err := c.tied(o, name, rest[1:]); done {
		return a, err
	}
	if o.kind == kStrength && name == "usage" && c.method == "GET" && len(rest) == 1 {
		return c.strengthUsage(o)
	}
	r, ok := c.related(o, name)
	if !ok {
		return answer{}, noSegment(name, o.typ)
	}
	if c.method != "GET" {
		return c.writeLink(o, name, rest[1:])
	}
	if r.kind == kRoleGrant || r.kind == kConsent || r.kind == kExtension {
		if err := c.allow(r.kind, false); err != nil {
			return answer{}, err
		}
	}
	l := listing{kind: r.kind, name: collectionName(r.kind), n: r.n, at: r.at, types: c.types(r.kind), annotate: r.kind == kNone}
	switch {
	case len(rest) == 1:
	case rest[1] == "$ref" && len(rest) == 2:
		return c.refs(r)
	case rest[1] == "$count" && len(rest) == 2:
		if !c.eventual() {
			return answer{}, bad("$count is not currently supported.")
		}
		n := 0
		for i := range r.n {
			if r.at(i) != nil {
				n++
			}
		}
		a := answer{status: 200, body: []byte(itoa(n))}
		a.set("Content-Type", "text/plain")
		return a, nil
	case strings.HasPrefix(rest[1], "microsoft.graph.") && len(rest) == 2:
		k, ok := castKind(rest[1])
		if !ok {
			return answer{}, noSegment(rest[1], "")
		}
		if strings.HasPrefix(name, "transitive") && !c.advanced() {
			return answer{}, refuse(400, "Request_UnsupportedQuery", "The OData cast is only supported with an advanced query.")
		}
		at := l.at
		l.kind, l.name, l.types, l.annotate = k, collectionName(k), c.types(k), false
		l.at = func(i int) *object {
			if x := at(i); x != nil && x.kind == k {
				return x
			}
			return nil
		}
	case len(rest) == 2 && (r.kind == kRoleGrant || r.kind == kConsent || r.kind == kExtension):
		for i := range r.n {
			if x := r.at(i); x != nil && x.id == rest[1] {
				return c.one(x)
			}
		}
		return answer{}, notFound(rest[1])
	default:
		return answer{}, noSegment(rest[1], "")
	}
	if r.single {
		if err := c.only("$select"); err != nil {
			return answer{}, err
		}
		var x *object
		for i := range r.n {
			if y := r.at(i); y != nil {
				x = y
			}
		}
		if x == nil {
			return answer{}, notFound(name)
		}
		b := c.appendObject(nil, x, c.fields(c.t.schema.Types[x.typ], c.opts.sel), true, nil)
		b = slices.Insert(b, 1, append(append([]byte(`"@odata.context":`), appendString(nil, c.context("directoryObjects", true))...), ',')...)
		return answer{status: 200, body: b}, nil
	}
	return c.page(l)
}

func (c *call) refs(r relation) (answer, error) {
	if err := c.only(); err != nil {
		return answer{}, err
	}
	var out []any
	for i := range r.n {
		if x := r.at(i); x != nil {
			out = append(out, map[string]any{"@odata.id": c.t.URL() + "/" + c.version + "/directoryObjects/" + x.id + "/Microsoft.DirectoryServices." + strings.ToUpper(x.typ[:1]) + x.typ[1:]})
		}
	}
	if r.single {
		if len(out) == 0 {
			return answer{}, notFound("manager")
		}
		return answer{status: 200, body: appendValue(nil, out[0])}, nil
	}
	if out == nil {
		out = []any{}
	}
	return answer{status: 200, body: appendValue(nil, map[string]any{"@odata.context": c.context("Collection($ref)", false), "value": out})}, nil
}

// expandable lists the relationships $expand knows, by kind.
func expandable(k kindID) []string {
	switch k {
	case kUser:
		return []string{"manager", "sponsors", "memberOf", "directReports", "ownedObjects", "transitiveMemberOf", "appRoleAssignments", "oauth2PermissionGrants", "extensions"}
	case kGroup:
		return []string{"members", "owners", "memberOf", "appRoleAssignments", "extensions"}
	case kApp:
		return []string{"owners", "extensionProperties", "federatedIdentityCredentials", "tokenIssuancePolicies", "tokenLifetimePolicies", "appManagementPolicies", "homeRealmDiscoveryPolicies"}
	case kSP:
		return []string{"owners", "appRoleAssignments", "appRoleAssignedTo", "oauth2PermissionGrants", "memberOf", "claimsMappingPolicies", "homeRealmDiscoveryPolicies", "tokenIssuancePolicies", "tokenLifetimePolicies", "delegatedPermissionClassifications"}
	case kUnit:
		return []string{"members"}
	case kRoleAssignment:
		return []string{"principal", "roleDefinition", "directoryScope"}
	case kStrength:
		return []string{"combinationConfigurations"}
	}
	var names []string
	for _, x := range kin().tied {
		if slices.Contains(x.from, k) {
			names = append(names, x.name)
		}
	}
	if f := familyOf(k); f != nil {
		names = append(names, f.inline...)
	}
	for _, f := range kin().all {
		if f.along && f.under == collectionName(k) {
			names = append(names, f.path)
		}
	}
	return names
}

// along returns the family of what $expand lists with an object, and what it holds.
func (c *call) along(o *object, name string) (*family, []*object) {
	k, ok := kin().kinds[collectionName(o.kind)+"/{}/"+name]
	if f := familyOf(k); ok && f != nil && f.along {
		return f, liveOnly(c.t.joined(k, "_parent", o.id))
	}
	return nil, nil
}

func (c *call) checkExpand(k kindID) error {
	f := familyOf(k)
	if c.opts.nested && f == nil {
		return refuse(400, "Request_UnsupportedQuery", "Only one relationship can be expanded in a request, with no option but $select.")
	}
	if slices.ContainsFunc(c.opts.inline, func(name string) bool { return !slices.Contains(expandable(k), name) }) {
		return refuse(400, "BadRequest", "Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", c.opts.expand, c.types(k)[0].Name)
	}
	if in, ok := kin().kinds[collectionName(k)+"/{}/"+c.opts.expand]; ok && familyOf(in).along && c.opts.within != "" {
		if name, ok := strings.CutPrefix(c.opts.within, "$expand="); !ok || !slices.Contains(familyOf(in).inline, name) {
			return refuse(400, "BadRequest", "Parsing OData Select and Expand failed: '%s' is not understood.", c.opts.within)
		}
	}
	return nil
}

const expandMost = 20

// appendExpanded writes an expanded relationship: at most twenty objects, in
// an order of the service's own, and no sign that there are more.
func (c *call) appendExpanded(b []byte, o *object) []byte {
	if f := familyOf(o.kind); f != nil && slices.Contains(f.inline, c.opts.expand) {
		return c.appendInline(b, o)
	}
	if f, inside := c.along(o, c.opts.expand); f != nil {
		b = append(append(appendString(b, c.opts.expand), ':'), '[')
		w := *c
		w.opts = options{}
		if name, ok := strings.CutPrefix(c.opts.within, "$expand="); ok {
			w.opts.inline = []string{name}
		}
		for i, x := range inside[:min(len(inside), expandMost)] {
			if i > 0 {
				b = append(b, ',')
			}
			var written func([]byte) []byte
			if x = c.see(x); len(w.opts.inline) > 0 {
				written = func(b []byte) []byte { return w.appendInline(b, x) }
			}
			b = w.appendObject(b, x, w.fields(c.t.schema.Types[x.typ], nil), poly(x.kind), written)
		}
		return append(b, ']')
	}
	r, _ := c.related(o, c.opts.expand)
	_, tied := relOf(o.kind, c.opts.expand)
	b = append(appendString(b, c.opts.expand), ':')
	got := 0
	if !r.single {
		b = append(b, '[')
	}
	from := 0
	if r.n > expandMost {
		from = int(mix(c.t.pop.seed^uint64(r.n)) % uint64(r.n))
	}
	for i := 0; i < r.n && got < expandMost; i++ {
		x := r.at((from + i) % r.n)
		if x == nil {
			continue
		}
		if got > 0 {
			b = append(b, ',')
		}
		got++
		b = c.appendObject(b, x, c.fields(c.t.schema.Types[x.typ], c.opts.expandSel), r.kind == kNone || tied != nil, nil)
		if r.single {
			return b
		}
	}
	if r.single {
		return append(b, "null"...)
	}
	return append(b, ']')
}

func (c *call) directoryObjects(rest []string) (answer, error) {
	if len(rest) == 1 && rest[0] == "getAvailableExtensionProperties" {
		return c.available()
	}
	if err := c.allow(kNone, false); err != nil && !(len(rest) == 1 && rest[0] == "getByIds") {
		return answer{}, err
	}
	directory := []kindID{kUser, kGroup, kApp, kSP, kUnit}
	switch {
	case len(rest) == 0:
		return answer{}, refuse(400, "Request_UnsupportedQuery", "Listing directoryObjects without a filter is not supported.")
	case rest[0] == "getByIds" && len(rest) == 1:
		if c.method != "POST" {
			return answer{}, notAllowed()
		}
		c.reads = true
		if err := c.allow(kNone, false); err != nil {
			return answer{}, err
		}
		body, err := c.object()
		if err != nil {
			return answer{}, err
		}
		ids, ok := body["ids"].([]any)
		if !ok || len(ids) > 1000 {
			return answer{}, bad("Invalid value specified for property 'ids' of resource 'GetByIds': between 1 and 1000 ids are allowed.")
		}
		var kinds []kindID
		for _, s := range texts(body["types"]) {
			switch s {
			case "directoryObject":
				kinds = append(kinds, directory...)
			default:
				k, ok := castKind("microsoft.graph." + s)
				if !ok {
					return answer{}, bad("Invalid value '%s' specified for property 'types'.", s)
				}
				kinds = append(kinds, k)
			}
		}
		if kinds == nil {
			kinds = directory
		}
		var found []*object
		for _, v := range texts(ids) {
			if !isGUID(v) {
				return answer{}, bad("Invalid GUID:%s", v)
			}
			// No order is promised.
			if o := c.see(c.t.get(v)); o.live() && slices.Contains(kinds, o.kind) && !slices.Contains(found, o) {
				found = slices.Insert(found, len(found)/2, o)
			}
		}
		b := append(appendString([]byte(`{"@odata.context":`), c.context("directoryObjects", false)), `,"value":[`...)
		for i, o := range found {
			if i > 0 {
				b = append(b, ',')
			}
			b = c.appendObject(b, o, c.fields(c.t.schema.Types[o.typ], c.opts.sel), true, nil)
		}
		return answer{status: 200, body: append(b, ']', '}')}, nil
	}
	o := c.see(c.t.get(rest[0]))
	if !o.live() || !slices.Contains(directory, o.kind) {
		return answer{}, notFound(rest[0])
	}
	if len(rest) > 1 {
		return answer{}, noSegment(rest[1], "")
	}
	switch c.method {
	case "GET":
		b := c.appendObject(nil, o, c.fields(c.t.schema.Types[o.typ], c.opts.sel), true, nil)
		b = slices.Insert(b, 1, append(append([]byte(`"@odata.context":`), appendString(nil, c.context("directoryObjects", true))...), ',')...)
		return answer{status: 200, body: b}, nil
	case "DELETE":
		if err := c.allow(o.kind, true); err != nil {
			return answer{}, err
		}
		return c.remove(o)
	}
	return answer{}, notAllowed()
}
