package emulator

import (
	"maps"
	"slices"
	"strings"
)

// route carries out a call; the lock is held.
func (c *call) route(segs []string) (answer, error) {
	beta := c.version == "beta"
	at := func(n int) string {
		if n < len(segs) {
			return segs[n]
		}
		return ""
	}
	if k, bin, rest := c.family(segs); k != 0 {
		return c.inFamily(k, bin, rest)
	}
	switch segs[0] {
	case "users":
		return c.collection(kUser, segs[1:])
	case "groups":
		return c.collection(kGroup, segs[1:])
	case "applications":
		return c.collection(kApp, segs[1:])
	case "servicePrincipals":
		return c.collection(kSP, segs[1:])
	case "oauth2PermissionGrants":
		return c.collection(kConsent, segs[1:])
	case "domains":
		return c.collection(kDomain, segs[1:])
	case "organization":
		return c.collection(kOrg, segs[1:])
	case "subscribedSkus":
		return c.collection(kSku, segs[1:])
	case "directoryObjects":
		return c.directoryObjects(segs[1:])
	case "administrativeUnits":
		if beta {
			return c.collection(kUnit, segs[1:])
		}
	case "directory":
		switch at(1) {
		case "administrativeUnits":
			return c.collection(kUnit, segs[2:])
		case "deletedItems":
			return c.deletedItems(segs[2:])
		case "recovery":
			return c.recovery(segs[2:])
		}
		return answer{}, noSegment(at(1), "directory")
	case "identity":
		if at(1) != "conditionalAccess" {
			return answer{}, noSegment(at(1), "identity")
		}
		switch at(2) {
		case "policies":
			return c.collection(kPolicy, segs[3:])
		case "namedLocations":
			return c.collection(kLocation, segs[3:])
		case "authenticationStrength":
			if at(3) == "policies" {
				return c.collection(kStrength, segs[4:])
			}
		case "deletedItems":
			switch at(3) {
			case "policies":
				return c.policyBin(kPolicy, segs[4:])
			case "namedLocations":
				return c.policyBin(kLocation, segs[4:])
			}
			return answer{}, noSegment(at(3), "deletedItems")
		}
		return answer{}, noSegment(at(2), "conditionalAccess")
	case "policies":
		switch at(1) {
		case "authenticationStrengthPolicies":
			return c.collection(kStrength, segs[2:])
		case "authenticationMethodsPolicy":
			if at(2) == "authenticationMethodConfigurations" {
				return c.collection(kMethod, segs[3:])
			}
			return c.singleton(kMethodPolicy, "authenticationMethodsPolicy", segs[2:])
		case "identitySecurityDefaultsEnforcementPolicy":
			return c.singleton(kDefaults, defaultsID, segs[2:])
		}
		return answer{}, noSegment(at(1), "policies")
	case "roleManagement":
		if at(1) != "directory" {
			return answer{}, noSegment(at(1), "roleManagement")
		}
		switch at(2) {
		case "roleDefinitions":
			return c.collection(kRoleDef, segs[3:])
		case "roleAssignments":
			return c.collection(kRoleAssignment, segs[3:])
		}
		return answer{}, noSegment(at(2), "directory")
	case "auditLogs":
		switch at(1) {
		case "directoryAudits":
			return c.collection(kAudit, segs[2:])
		case "signIns":
			return c.collection(kin().kinds["auditLogs/signIns"], segs[2:])
		}
		return answer{}, noSegment(at(1), "auditLogs")
	case "me":
		return answer{}, refuse(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
	}
	return answer{}, noSegment(segs[0], "")
}

func noSegment(s, _ string) *refusal {
	return refuse(400, "BadRequest", "Resource not found for the segment '%s'.", s)
}

func notAllowed() *refusal {
	return refuse(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
}

// collection serves a collection and everything below it.
func (c *call) collection(k kindID, rest []string) (answer, error) {
	if f := familyOf(k); f != nil && !f.allows(c.method) && len(rest) < 2 {
		return answer{}, notAllowed()
	}
	if len(rest) == 0 {
		switch c.method {
		case "GET":
			return c.listAll(k)
		case "POST":
			return c.create(k)
		}
		return answer{}, notAllowed()
	}
	switch rest[0] {
	case "delta":
		if len(rest) > 1 || c.method != "GET" {
			return answer{}, notAllowed()
		}
		return c.delta(k)
	case "$count":
		return c.countAll(k)
	}
	if len(rest) > 1 && forPeople(kin().kinds[collectionName(k)+"/{}/"+rest[1]]) {
		// What people are shown of an object asks for no permission to see the object.
	} else if err := c.allow(k, c.method != "GET" && len(rest) == 1); err != nil {
		return answer{}, err
	}
	o, err := c.lookup(k, rest[0])
	if f := familyOf(k); err != nil && f != nil && f.upsert && c.method == "PATCH" && len(rest) == 1 {
		body, err := c.object()
		if err != nil {
			return answer{}, err
		}
		_, err = c.make(k, body, map[string]any{"id": rest[0]})
		return answer{status: 204}, err
	}
	if err != nil {
		return answer{}, err
	}
	if len(rest) == 1 {
		switch c.method {
		case "GET":
			return c.one(o)
		case "PATCH":
			if o == nil {
				return c.upsert(k, rest[0])
			}
			return c.update(o)
		case "DELETE":
			return c.remove(o)
		case "PUT":
			if familyOf(k) != nil {
				return c.replace(k, o, map[string]any{"id": rest[0]})
			}
		}
		return answer{}, notAllowed()
	}
	return c.below(o, rest[1:])
}

// lookup finds a live object of a kind by id or alternate key. For a PATCH by
// an alternate key that may create, a missing object is nil without an error.
func (c *call) lookup(k kindID, key string) (*object, error) {
	t := c.t
	var o *object
	missing := notFound(key)
	if in, ok := strings.CutPrefix(key, "("); ok {
		name, value, _ := strings.Cut(strings.TrimSuffix(in, ")"), "=")
		value = strings.ReplaceAll(strings.Trim(value, "'"), "''", "'")
		missing = notFound(value)
		switch {
		case name == "appId" && k == kApp:
			o = t.get(t.appID[strings.ToLower(value)])
		case name == "appId" && k == kSP:
			o = t.spByAppID(value, true)
		case name == "uniqueName" && (k == kApp || k == kGroup):
			t.each(k, func(x *object) bool {
				if x.live() && x.p["uniqueName"] == value {
					o = x
				}
				return o == nil
			})
		default:
			return nil, bad("The key '%s' is not an alternate key of the resource.", name)
		}
		if !o.live() && c.method == "PATCH" && strings.Contains(c.header.Get("Prefer"), "create-if-missing") {
			return nil, nil
		}
	} else {
		switch k {
		case kUser:
			if strings.Contains(key, "@") {
				if o = t.byUPN(key); !o.live() {
					o = nil
				}
			} else if !isGUID(key) {
				return nil, missing
			} else {
				o = t.get(key)
			}
		case kMethod:
			for _, m := range t.order[kMethod] {
				if strings.EqualFold(m, key) {
					o = t.get(m)
				}
			}
		case kDomain:
			o = t.get(strings.ToLower(key))
		case kAudit:
			for _, a := range t.audits {
				if a.id == key {
					o = a
				}
			}
		default:
			if f := familyOf(k); f != nil && f.key != nil {
				key = f.key(key)
			}
			if accessOf(k).service == "directory" && (k == kGroup || k == kApp || k == kSP || k == kUnit) && !isGUID(key) {
				return nil, bad("Invalid object identifier '%s'.", key)
			}
			o = t.get(key)
			if o == nil && k == kRoleDef { // the template id of a custom role also names it
				t.each(k, func(x *object) bool {
					if x.p["templateId"] == key {
						o = x
					}
					return o == nil
				})
			}
		}
	}
	if o != nil && o.kind != k {
		o = nil
	}
	o = c.see(o)
	if o == nil || !t.shown(o) {
		if k == kPolicy || k == kLocation {
			return nil, refuse(404, "ResourceNotFound", "%s with id %s not found.", map[kindID]string{kPolicy: "ConditionalAccessPolicy", kLocation: "NamedLocation"}[k], key)
		}
		return nil, missing
	}
	return o, nil
}

// see is the object as this call sees it: a read over HTTP sees replication
// lag, and a write does not see an object that is still on its way.
func (c *call) see(o *object) *object {
	if o == nil || c.direct || o.lag == 0 {
		return o
	}
	if c.method == "GET" {
		return c.t.seen(o)
	}
	if !o.stale.live() {
		return c.t.seen(o)
	}
	return o
}

// fields are the properties a call returns of one type.
func (c *call) fields(typ *typeInfo, sel []string) []*property {
	if sel == nil {
		if c.version == "beta" {
			return typ.defaults
		}
		out := make([]*property, 0, len(typ.defaults))
		for _, p := range typ.defaults {
			if !p.Beta {
				out = append(out, p)
			}
		}
		return out
	}
	var out []*property
	for _, s := range sel {
		if p := c.t.property(typ, s); p != nil && (!p.Beta || c.version == "beta") && p.Returned != "never" && !slices.ContainsFunc(out, func(q *property) bool { return q.Name == p.Name }) {
			out = append(out, p)
		}
	}
	return out
}

// checkSelect refuses names that none of the types has, and in listings those
// that are kept outside the directory.
func (c *call) checkSelect(sel []string, listing bool, types ...*typeInfo) error {
	for _, s := range sel {
		found := false
		for _, t := range types {
			p := c.t.property(t, s)
			if p == nil || p.Beta && c.version != "beta" {
				found = found || s == "*"
				continue
			}
			found = true
			if p.Single && listing {
				return refuse(501, "NotImplemented", "This operation target is not yet supported.")
			}
			if p.People && !c.direct && c.actor.kind != "user" {
				return denied()
			}
			if p.Name == "customSecurityAttributes" && !c.holds("CustomSecAttributeAssignment.Read.All", "CustomSecAttributeAssignment.ReadWrite.All") {
				return denied()
			}
		}
		if !found {
			return refuse(400, "BadRequest", "Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", s, types[0].Name)
		}
	}
	return nil
}

func (c *call) types(k kindID) []*typeInfo {
	s := c.t.schema.Types
	if f := familyOf(k); f != nil {
		var out []*typeInfo
		for _, name := range f.types {
			out = append(out, s[name])
		}
		return out
	}
	switch k {
	case kUser:
		return []*typeInfo{s["user"]}
	case kGroup:
		return []*typeInfo{s["group"]}
	case kApp:
		return []*typeInfo{s["application"]}
	case kSP:
		return []*typeInfo{s["servicePrincipal"]}
	case kRoleGrant:
		return []*typeInfo{s["appRoleAssignment"]}
	case kConsent:
		return []*typeInfo{s["oAuth2PermissionGrant"]}
	case kUnit:
		return []*typeInfo{s["administrativeUnit"]}
	case kRoleDef:
		return []*typeInfo{s["unifiedRoleDefinition"]}
	case kRoleAssignment:
		return []*typeInfo{s["unifiedRoleAssignment"]}
	case kPolicy:
		return []*typeInfo{s["conditionalAccessPolicy"]}
	case kLocation:
		return []*typeInfo{s["ipNamedLocation"], s["countryNamedLocation"]}
	case kStrength:
		return []*typeInfo{s["authenticationStrengthPolicy"]}
	case kDomain:
		return []*typeInfo{s["domain"]}
	case kSku:
		return []*typeInfo{s["subscribedSku"]}
	case kOrg:
		return []*typeInfo{s["organization"]}
	case kMethodPolicy:
		return []*typeInfo{s["authenticationMethodsPolicy"]}
	case kDefaults:
		return []*typeInfo{s["identitySecurityDefaultsEnforcementPolicy"]}
	case kAudit:
		return []*typeInfo{s["directoryAudit"]}
	case kExtension:
		return []*typeInfo{s["extensionProperty"]}
	case kMethod:
		var out []*typeInfo
		for _, m := range methodNames() {
			out = append(out, s[m+"AuthenticationMethodConfiguration"])
		}
		return out
	}
	return []*typeInfo{s["user"], s["group"], s["application"], s["servicePrincipal"], s["administrativeUnit"]}
}

func collectionName(k kindID) string {
	if f := familyOf(k); f != nil {
		return f.name()
	}
	return coreCollection(k)
}

// coreCollection is collectionName of what is no family.
func coreCollection(k kindID) string {
	return [...]string{kUser: "users", kGroup: "groups", kApp: "applications", kSP: "servicePrincipals", kRoleGrant: "appRoleAssignments", kConsent: "oauth2PermissionGrants", kUnit: "directory/administrativeUnits",
		kRoleDef: "roleManagement/directory/roleDefinitions", kRoleAssignment: "roleManagement/directory/roleAssignments", kPolicy: "identity/conditionalAccess/policies", kLocation: "identity/conditionalAccess/namedLocations",
		kStrength: "policies/authenticationStrengthPolicies", kDomain: "domains", kSku: "subscribedSkus", kOrg: "organization", kMethodPolicy: "policies/authenticationMethodsPolicy",
		kMethod: "policies/authenticationMethodsPolicy/authenticationMethodConfigurations", kDefaults: "policies/identitySecurityDefaultsEnforcementPolicy", kAudit: "auditLogs/directoryAudits", kNone: "directoryObjects", kExtension: "extensionProperties"}[k]
}

// poly tells whether items of a collection of this kind say their type.
func poly(k kindID) bool {
	f := familyOf(k)
	return k == kLocation || k == kMethod || k == kNone || f != nil && (f.poly || len(f.types) > 1)
}

// value is a property of an object as a reader sees it; nil when it is not
// set.
func (t *Tenant) value(o *object, p *property) any {
	if f := familyOf(o.kind); f != nil {
		if f.value != nil {
			if v, ok := f.value(t, o, p.Name); ok {
				return v
			}
		}
		if p.Name == "id" {
			return o.p["id"]
		}
	}
	switch o.kind {
	case kSku:
		if p.Name == "consumedUnits" {
			return t.consumed(text(o.p["skuId"]))
		}
	case kOrg:
		if p.Name == "directorySizeQuota" {
			return map[string]any{"used": t.used(), "total": t.capacity}
		}
	case kUser:
		switch p.Name {
		case "assignedLicenses", "licenseAssignmentStates":
			return t.licences(o, p.Name == "assignedLicenses")
		case "userPrincipalName":
			if !o.deleted.IsZero() {
				return strings.ReplaceAll(o.id, "-", "") + text(o.p[p.Name])
			}
		case "onPremisesExtensionAttributes":
			if o.p[p.Name] == nil {
				return t.noExtensions
			}
			m := map[string]any{}
			for i := 1; i <= 15; i++ {
				k := "extensionAttribute" + itoa(i)
				m[k] = sub(o.p[p.Name])[k]
			}
			return m
		case "passwordProfile":
			return nil
		}
	case kGroup:
		// A known limitation of the service: a deleted security group says
		// that it is not security enabled.
		if p.Name == "securityEnabled" && !o.deleted.IsZero() && len(asList(o.p["groupTypes"])) == 0 {
			return false
		}
	case kExtension:
		if p.Name == "appDisplayName" {
			if app := t.get(text(o.p["_app"])); app != nil {
				return app.p["displayName"]
			}
		}
	case kApp, kSP:
		switch p.Name {
		case "keyCredentials":
			return withoutKey(o.p[p.Name], "key")
		case "passwordCredentials":
			return withoutKey(o.p[p.Name], "secretText")
		}
	case kPolicy:
		if p.Name == "grantControls" {
			return t.embedStrength(o.p[p.Name])
		}
	case kMethodPolicy:
		if p.Name == "authenticationMethodConfigurations" {
			out := []any{}
			for _, id := range t.order[kMethod] {
				m := t.get(id)
				x := map[string]any{"@odata.type": "#microsoft.graph." + m.typ}
				for _, q := range t.schema.Types[m.typ].defaults {
					if v, ok := m.p[q.Name]; ok {
						x[q.Name] = v
					}
				}
				out = append(out, x)
			}
			return out
		}
	}
	if p.Name == "deletedDateTime" && !o.deleted.IsZero() {
		return stamp(o.deleted)
	}
	if p.Name == "id" {
		return o.id
	}
	return o.p[p.Name]
}

func withoutKey(v any, name string) any {
	a, ok := v.([]any)
	if !ok {
		return v
	}
	out := make([]any, len(a))
	for i := range a {
		m := deepCopy(a[i])
		if x := sub(m); x != nil {
			x[name] = nil
		}
		out[i] = m
	}
	return out
}

func (t *Tenant) embedStrength(v any) any {
	g := sub(v)
	id := text(sub(g["authenticationStrength"])["id"])
	if id == "" {
		return v
	}
	s := t.get(id)
	if s == nil {
		return v
	}
	g = deepCopy(g).(map[string]any)
	full := map[string]any{}
	for _, p := range t.schema.Types["authenticationStrengthPolicy"].defaults {
		full[p.Name] = t.value(s, p)
		if full[p.Name] == nil && p.coll {
			full[p.Name] = []any{}
		}
	}
	g["authenticationStrength"] = full
	g["authenticationStrength@odata.context"] = t.URL() + "/v1.0/$metadata#identity/conditionalAccess/policies('id')/grantControls/authenticationStrength/$entity"
	return g
}

// licences computes what a user has: assigned directly and through groups.
func (t *Tenant) licences(o *object, plain bool) any {
	out := []any{}
	direct, _ := o.p["_direct"].([]any)
	when := o.p["createdDateTime"]
	seen := []any{}
	add := func(l map[string]any, group any) {
		if plain {
			if !slices.Contains(seen, l["skuId"]) {
				seen = append(seen, l["skuId"])
				out = append(out, map[string]any{"skuId": l["skuId"], "disabledPlans": asPlans(l)})
			}
			return
		}
		out = append(out, map[string]any{"skuId": l["skuId"], "disabledPlans": asPlans(l), "assignedByGroup": group, "state": "Active", "error": "None", "lastUpdatedDateTime": when})
	}
	for _, l := range subs(direct) {
		add(l, nil)
	}
	for _, id := range append([]string{t.pop.ids.at(kGroup, groupE5)}, t.licence...) {
		if id == t.pop.ids.at(kGroup, groupE5) && slices.Contains(t.licence, id) && plain {
			continue // listed again among the written groups
		}
		if !t.linked(&object{kind: kGroup, id: id}, rMembers, o.id) {
			continue
		}
		g := t.liveOf(id)
		if g == nil {
			continue
		}
		for _, l := range subs(g.p["assignedLicenses"]) {
			add(l, id)
		}
	}
	return out
}

// through reports whether a user has a licence already, through a group.
func (t *Tenant) through(o *object, sku string) bool {
	return slices.ContainsFunc(subs(t.licences(o, true)), func(l map[string]any) bool { return l["skuId"] == sku })
}

// consumed is how many people have a licence, each once: of their own or through a group.
func (t *Tenant) consumed(sku string) int {
	c := &t.counted
	c.Lock()
	defer c.Unlock()
	if c.units == nil || c.seq != t.seq {
		c.units, c.seq = map[string]int{}, t.seq
	}
	n, ok := c.units[sku]
	if !ok {
		n = t.count(sku)
		c.units[sku] = n
	}
	return n
}

func (t *Tenant) count(sku string) int {
	n, seen := t.held[sku], map[string]bool{}
	has := func(licences any) bool {
		return slices.ContainsFunc(subs(licences), func(l map[string]any) bool { return l["skuId"] == sku })
	}
	for _, id := range append([]string{t.pop.ids.at(kGroup, groupE5)}, t.licence...) {
		g := t.liveOf(id)
		if g == nil || !has(g.p["assignedLicenses"]) {
			continue
		}
		for _, u := range t.liveTargets(g, rMembers) {
			if u.kind == kUser && !seen[u.id] && !has(u.p["_direct"]) {
				seen[u.id] = true
				n++
			}
		}
	}
	return n
}

func asPlans(l map[string]any) []any {
	a, _ := l["disabledPlans"].([]any)
	if a == nil {
		a = []any{}
	}
	return a
}

// appendObject writes the wire form of an object.
func (c *call) appendObject(b []byte, o *object, fields []*property, annotate bool, extra func([]byte) []byte) []byte {
	unmasked := strings.Contains(c.header.Get("Prefer"), "include-unknown-enum-members")
	b = append(b, '{')
	first := true
	comma := func() {
		if !first {
			b = append(b, ',')
		}
		first = false
	}
	if annotate {
		comma()
		b = append(append(append(b, `"@odata.type":"#microsoft.graph.`...), o.typ...), '"')
	}
	for _, p := range fields {
		v := c.t.value(o, p)
		if v == nil && p.extension {
			continue // an open type's answer holds what there is
		}
		comma()
		b = append(b, p.key...)
		if c.reveal && p.Name == "passwordCredentials" {
			v = o.p[p.Name]
		}
		if v == nil {
			if p.coll {
				b = append(b, '[', ']')
			} else {
				b = append(b, "null"...)
			}
			continue
		}
		if p.masked && !unmasked {
			v = c.t.schema.mask(p.elem, v)
		}
		b = appendValue(b, v)
	}
	if f := familyOf(o.kind); f != nil && f.open {
		for _, name := range slices.Sorted(maps.Keys(o.p)) {
			if v := o.p[name]; v != nil && !strings.HasPrefix(name, "_") && c.t.schema.Types[o.typ].byName[name] == nil {
				comma()
				b = appendValue(append(appendString(b, name), ':'), v)
			}
		}
	}
	if extra != nil {
		if x := extra(nil); len(x) > 0 {
			comma()
			b = append(b, x...)
		}
	}
	return append(b, '}')
}

func (c *call) context(name string, single bool) string {
	s := c.t.URL() + "/" + c.version + "/$metadata#" + name
	if c.opts.selected {
		s += "(" + strings.Join(c.opts.sel, ",") + ")"
	}
	if single {
		s += "/$entity"
	}
	return s
}

// one answers with a single object.
func (c *call) one(o *object) (answer, error) {
	if err := c.only("$select", "$expand"); err != nil {
		return answer{}, err
	}
	typ := c.t.schema.Types[o.typ]
	if err := c.checkSelect(c.opts.sel, false, typ); err != nil {
		return answer{}, err
	}
	var expanded func([]byte) []byte
	if c.opts.expand != "" {
		if err := c.checkExpand(o.kind); err != nil {
			return answer{}, err
		}
		expanded = func(b []byte) []byte { return c.appendExpanded(b, o) }
	}
	fields := c.fields(typ, c.opts.sel)
	context := append(append([]byte(`"@odata.context":`), appendString(nil, c.context(collectionName(o.kind), true))...), ',')
	// The public key of a certificate is returned only here, when selected.
	if i := slices.IndexFunc(c.opts.sel, func(s string) bool { return strings.EqualFold(s, "keyCredentials") }); i >= 0 {
		fields = slices.DeleteFunc(fields, func(p *property) bool { return p.Name == "keyCredentials" })
		inner := expanded
		expanded = func(b []byte) []byte {
			b = append(b, `"keyCredentials":`...)
			v := o.p["keyCredentials"]
			if v == nil {
				v = []any{}
			}
			b = appendValue(b, v)
			if inner != nil {
				b = inner(append(b, ','))
			}
			return b
		}
	}
	b := c.appendObject(nil, o, fields, poly(o.kind) || c.said, expanded)
	if len(b) == 2 {
		context = context[:len(context)-1]
	}
	b = slices.Insert(b, 1, context...)
	return answer{status: 200, body: b}, nil
}

func (c *call) singleton(k kindID, id string, rest []string) (answer, error) {
	if len(rest) > 0 {
		return answer{}, noSegment(rest[0], "")
	}
	if err := c.allow(k, c.method != "GET"); err != nil {
		return answer{}, err
	}
	o := c.t.get(id)
	switch c.method {
	case "GET":
		return c.one(c.see(o))
	case "PATCH":
		return c.update(o)
	case "PUT":
		return c.replace(k, o, nil)
	}
	return answer{}, notAllowed()
}

// listing is a sequence of objects to page through. An object may be nil: a
// place where there is none (any more).
type listing struct {
	kind     kindID // kNone when types are mixed
	name     string // for the context
	n        int
	at       func(int) *object
	types    []*typeInfo
	annotate bool
}

func (c *call) listAll(k kindID) (answer, error) {
	if err := c.allow(k, false); err != nil {
		return answer{}, err
	}
	if f := familyOf(k); f != nil && f.list != nil {
		if err := f.list(c); err != nil {
			return answer{}, err
		}
	}
	t := c.t
	l := listing{kind: k, name: collectionName(k), types: c.types(k), annotate: poly(k)}
	if k == kAudit {
		// Newest first; the length at the first page stays the start.
		n := len(t.audits)
		l.n, l.at = n, func(i int) *object { return t.audits[n-1-i] }
		return c.page(l)
	}
	l.n = t.size(k)
	l.at = func(i int) *object {
		o := c.see(t.at(k, i))
		if o == nil || !t.shown(o) {
			return nil
		}
		return o
	}
	if ids := c.quick(k); ids != nil {
		l.n = len(ids)
		l.at = func(i int) *object {
			o := c.see(t.get(ids[i]))
			if o == nil || o.kind != k || !t.shown(o) {
				return nil
			}
			return o
		}
	}
	return c.page(l)
}

// quick finds the candidates of a filter that names its objects, so that a
// look-up does not read the whole collection. nil means there is no such
// filter.
func (c *call) quick(k kindID) []string {
	f := c.opts.filter
	if f == nil || f.op != "eq" && f.op != "in" {
		return nil
	}
	ids := []string{}
	for _, v := range f.vals {
		s := text(v)
		switch {
		case f.path == "id":
			ids = append(ids, s)
		case f.path == "userPrincipalName" && k == kUser:
			if o := c.t.byUPN(s); o != nil {
				ids = append(ids, o.id)
			}
		case f.path == "appId" && k == kApp:
			if id := c.t.appID[strings.ToLower(s)]; id != "" {
				ids = append(ids, id)
			}
		case f.path == "appId" && k == kSP:
			ids = append(ids, c.t.spOf[strings.ToLower(s)]...)
		default:
			return nil
		}
	}
	return ids
}

func (c *call) checkList(l listing) error {
	if err := c.only("$select", "$filter", "$top", "$skiptoken", "$expand", "$count", "$orderby", "$search"); err != nil {
		return err
	}
	if err := c.checkSelect(c.opts.sel, true, l.types...); err != nil {
		return err
	}
	o := c.opts
	if o.search {
		if !c.eventual() {
			return refuse(400, "Request_UnsupportedQuery", "Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'")
		}
		return refuse(400, "Request_UnsupportedQuery", "$search is not supported on this resource.")
	}
	if o.expand != "" {
		if c.advanced() {
			return refuse(400, "Request_UnsupportedQuery", "$expand cannot be combined with an advanced query.")
		}
		if err := c.checkExpand(l.kind); err != nil {
			return err
		}
	}
	if l.kind != kAudit && !c.advanced() {
		if o.filter.advancedOp() || o.filter != nil && o.orderBy != "" {
			return refuse(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified for property of resource.")
		}
		if o.orderBy != "" {
			p, _, _ := strings.Cut(o.orderBy, " ")
			if !(p == "displayName" && (l.kind == kUser || l.kind == kGroup) || p == "userPrincipalName" && l.kind == kUser || accessOf(l.kind).service != "directory") {
				return refuse(400, "Request_UnsupportedQuery", "Sorting not supported for current query.")
			}
		}
	}
	for _, p := range o.filter.paths() {
		p, _, _ = strings.Cut(p, "/")
		if !slices.ContainsFunc(l.types, func(t *typeInfo) bool {
			q := c.t.property(t, p)
			return q != nil && q.Name == p && (!q.Beta || c.version == "beta")
		}) {
			return refuse(400, "Request_UnsupportedQuery", "Invalid filter clause: Could not find a property named '%s' on type 'microsoft.graph.%s'.", p, l.types[0].Name)
		}
	}
	if l.kind == kSku && o.filter != nil || l.kind == kAudit && o.count {
		return refuse(400, "Request_UnsupportedQuery", "The query option is not supported on this resource.")
	}
	return nil
}

func (c *call) getter(o *object) func(string) any {
	return func(path string) any {
		first, rest, deep := strings.Cut(path, "/")
		p := c.t.property(c.t.schema.Types[o.typ], first)
		if p == nil || p.Name != first {
			return nil
		}
		v := c.t.value(o, p)
		for deep {
			first, rest, deep = strings.Cut(rest, "/")
			v = sub(v)[first]
		}
		return v
	}
}

func (c *call) matches(o *object) bool {
	return c.opts.filter == nil || c.opts.filter.match(c.getter(o), o.typ)
}

// most is how many items a page has that could have n.
func (t *Tenant) most(n int) int {
	if t.o.Page > 0 {
		return min(n, t.o.Page)
	}
	return n
}

// page answers with one page of a listing.
func (c *call) page(l listing) (answer, error) {
	if err := c.checkList(l); err != nil {
		return answer{}, err
	}
	from, err := c.pageFrom()
	if err != nil {
		return answer{}, err
	}
	size, most := 100, 999
	switch {
	case l.kind == kAudit:
		size, most = 1000, 1000
	case l.kind == kPolicy || l.kind == kLocation || l.kind == kStrength || l.kind == kMethod || l.kind == kRoleDef || l.kind == kRoleAssignment || l.kind == kDomain || l.kind == kSku || l.kind == kOrg:
		size = 999 // small collections come whole
	case familyOf(l.kind) != nil:
		size = 999
	}
	if c.opts.hasTop {
		if c.opts.top > most && l.kind == kAudit {
			c.opts.top = most
		}
		if c.opts.top > most || c.opts.top == 0 {
			return answer{}, bad("Invalid page size specified: '%d'. Must be between 1 and 999 inclusive.", c.opts.top)
		}
		size = c.opts.top
	}
	if c.opts.expand != "" {
		size = min(size, 100)
	}
	size = c.t.most(size)
	if l.kind == kAudit && from.page > 1 {
		// Positions count from the end of the log as it was at the first
		// page; entries written since then are not part of this listing.
		n := from.pos >> 32
		l.n, l.at = n, func(i int) *object { return c.t.audits[n-1-i] }
		from.pos &= 1<<32 - 1
	}
	total := l.n
	if c.opts.orderBy != "" {
		if l, err = c.sorted(l); err != nil {
			return answer{}, err
		}
	}
	short := size
	// Any page may be short or empty; only the missing link ends a listing.
	if l.n > 2*size && from.page > 1 {
		switch h := mix(c.t.pop.seed ^ c.bound() ^ uint64(from.page)); {
		case h%11 == 5:
			short = 0
		case h%7 == 3:
			short = max(1, size*3/4)
		}
	}
	fieldsOf := map[string][]*property{}
	b := make([]byte, 0, 1024+min(short, l.n)*(64+24*len(c.opts.sel)))
	b = append(b, `{"@odata.context":`...)
	b = appendString(b, c.context(l.name, false))
	if c.opts.count && c.eventual() && from.page == 1 {
		n := 0
		for i := range l.n {
			if o := l.at(i); o != nil && c.matches(o) {
				n++
			}
		}
		b = append(append(b, `,"@odata.count":`...), itoa(n)...)
	}
	items := make([]byte, 0, cap(b))
	got, i := 0, from.pos
	for ; i < l.n && got < short; i++ {
		o := l.at(i)
		if o == nil || !c.matches(o) {
			continue
		}
		f, ok := fieldsOf[o.typ]
		if !ok {
			f = c.fields(c.t.schema.Types[o.typ], c.opts.sel)
			if !c.opts.selected {
				f = slices.DeleteFunc(slices.Clone(f), func(p *property) bool { return p.Single })
			}
			fieldsOf[o.typ] = f
		}
		if got > 0 {
			items = append(items, ',')
		}
		got++
		if l.kind == kNone && !c.mayRead(o.kind) {
			items = append(items, `{"@odata.type":"#microsoft.graph.`+o.typ+`","id":"`+o.id+`"}`...)
			continue
		}
		var expanded func([]byte) []byte
		if c.opts.expand != "" {
			expanded = func(b []byte) []byte { return c.appendExpanded(b, o) }
		}
		items = c.appendObject(items, o, f, l.annotate, expanded)
	}
	if i < l.n {
		next := pageToken{pos: i, page: from.page + 1}
		if l.kind == kAudit {
			next.pos |= total << 32
		}
		b = append(b, `,"@odata.nextLink":`...)
		b = appendString(b, c.nextLink(next))
	}
	b = append(b, `,"value":[`...)
	b = append(b, items...)
	b = append(b, ']', '}')
	return answer{status: 200, body: b}, nil
}

// mayRead tells whether the caller sees more of an object of this kind in a
// mixed collection than its id and type.
func (c *call) mayRead(k kindID) bool {
	return c.holds("Directory.Read.All") || c.holds(accessOf(k).read...)
}

func (c *call) sorted(l listing) (listing, error) {
	name, dir, _ := strings.Cut(c.opts.orderBy, " ")
	if dir != "" && dir != "asc" && dir != "desc" || !slices.ContainsFunc(l.types, func(t *typeInfo) bool { return t.byName[name] != nil }) {
		return l, refuse(400, "BadRequest", "Invalid $orderby '%s'.", c.opts.orderBy)
	}
	var all []*object
	for i := range l.n {
		if o := l.at(i); o != nil {
			all = append(all, o)
		}
	}
	key := func(o *object) string { return strings.ToLower(text(c.getter(o)(name))) }
	slices.SortStableFunc(all, func(a, b *object) int {
		n := strings.Compare(key(a), key(b))
		if dir == "desc" {
			return -n
		}
		return n
	})
	l.n, l.at = len(all), func(i int) *object { return all[i] }
	return l, nil
}

func (c *call) countAll(k kindID) (answer, error) {
	if c.method != "GET" {
		return answer{}, notAllowed()
	}
	if err := c.allow(k, false); err != nil {
		return answer{}, err
	}
	if !c.eventual() {
		return answer{}, bad("$count is not currently supported.")
	}
	n := 0
	c.t.each(k, func(o *object) bool {
		if c.t.shown(o) && c.matches(o) {
			n++
		}
		return true
	})
	a := answer{status: 200, body: []byte(itoa(n))}
	a.set("Content-Type", "text/plain")
	return a, nil
}
