package emulator

import (
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// object reads the body of the call: one JSON object with its content type.
func (c *call) object() (map[string]any, error) {
	if len(c.body) == 0 {
		return nil, bad("An unexpected 'EndOfInput' node was found when reading from the JSON reader. A 'StartObject' node was expected.")
	}
	ct, _, err := mime.ParseMediaType(c.header.Get("Content-Type"))
	if err != nil || ct != "application/json" {
		return nil, refuse(415, "Request_BadRequest", "A supported MIME type could not be found that matches the content type of the request: 'application/json' is required.")
	}
	m, err := parseObject(c.body)
	if err != nil {
		return nil, refuse(400, "BadRequest", "Unable to read JSON request payload. %v", err)
	}
	return m, nil
}

// bindings are the links a body asks for, by relationship.
type bindings map[string][]string

// checked is a body that passed the checks of its type.
type checked struct {
	p     map[string]any
	binds bindings
}

// check holds a body against the type: names, types, who may write what.
func (c *call) check(body map[string]any, typ *typeInfo, creating bool, allow ...string) (checked, error) {
	out := checked{p: map[string]any{}, binds: bindings{}}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		v := body[name]
		if name == "@odata.type" {
			if s := strings.TrimPrefix(text(v), "#"); s != "microsoft.graph."+typ.Name {
				return out, bad("The type '%s' does not match the type of the resource, 'microsoft.graph.%s'.", s, typ.Name)
			}
			continue
		}
		if rel, ok := strings.CutSuffix(name, "@odata.bind"); ok {
			if !slices.Contains(typ.Relationships, rel) {
				return out, bad("The property '%s' does not exist on type 'microsoft.graph.%s'.", rel, typ.Name)
			}
			var ids []string
			switch v := v.(type) {
			case string:
				ids = []string{v}
			case []any:
				ids = texts(v)
				if len(ids) != len(v) {
					return out, bad("Invalid value specified for property '%s'.", name)
				}
			default:
				return out, bad("Invalid value specified for property '%s'.", name)
			}
			out.binds[rel] = ids
			continue
		}
		p := c.t.property(typ, name)
		if p != nil && p.Name != name {
			p = nil // a body is held to the case of names
		}
		if p == nil && strings.HasPrefix(name, "extension_") {
			return out, bad("The following extension properties are not available: %s.", name)
		}
		if p == nil && typ.Open && typ.Name == "openTypeExtension" {
			out.p[name] = v
			continue
		}
		if p == nil || p.Beta && c.version != "beta" {
			if strings.Contains(name, "@odata.") {
				return out, bad("The annotation '%s' is not valid in a request body.", name)
			}
			return out, bad("Invalid property '%s'.", name)
		}
		if p.People && !c.direct && c.actor.kind != "user" {
			return out, denied()
		}
		letter := "u"
		if creating {
			letter = "c"
		}
		if !strings.Contains(p.Write, letter) && !slices.Contains(allow, name) {
			switch {
			case strings.Contains(p.Write, "c") && !creating:
				return out, bad("Property '%s' can only be set when the resource is created.", name)
			case strings.Contains(p.Write, "u") && creating:
				return out, bad("Property '%s' cannot be set when the resource is created.", name)
			}
			return out, bad("Property '%s' is read-only and cannot be set.", name)
		}
		if v == nil && !p.Nullable {
			return out, bad("Invalid value specified for property '%s' of resource '%s': it cannot be null.", name, title(typ.Name))
		}
		if err := c.checkValue(p.elem, p.coll, v, name, typ); err != nil {
			return out, err
		}
		if s, ok := v.(string); ok {
			if s == "" && !slices.Contains(allow, "empty:"+name) && p.elem == "Edm.String" && typ.Name == "user" {
				return out, bad("Invalid value specified for property '%s' of resource '%s'.", name, title(typ.Name))
			}
			if p.Max > 0 && utf8.RuneCountInString(s) > p.Max {
				return out, bad("Property '%s' exceeds the maximum length of %d.", name, p.Max)
			}
		}
		if p.extension {
			if err := checkExtension(p, v); err != nil {
				return out, err
			}
			if a, ok := v.([]any); ok && len(a) == 0 {
				v = nil
			}
		}
		out.p[name] = v
	}
	for _, path := range typ.ReadOnlyInside {
		if present(out.p, strings.Split(path, ".")) {
			return out, bad("Property '%s' is read-only and cannot be set.", path)
		}
	}
	return out, nil
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// present tells whether a path such as appRoles[].origin holds a value.
func present(v any, path []string) bool {
	if len(path) == 0 {
		return v != nil
	}
	m := sub(v)
	name, each := strings.CutSuffix(path[0], "[]")
	if !each {
		return present(m[name], path[1:])
	}
	return slices.ContainsFunc(subs(m[name]), func(x map[string]any) bool { return present(x, path[1:]) })
}

// checkValue holds a value against its type in the metadata.
func (c *call) checkValue(typ string, coll bool, v any, name string, of *typeInfo) error {
	wrong := func() error {
		return bad("Invalid value specified for property '%s' of resource '%s'.", name, title(of.Name))
	}
	if coll {
		a, ok := v.([]any)
		if !ok {
			return wrong()
		}
		for _, x := range a {
			if x == nil {
				return wrong()
			}
			if err := c.checkValue(typ, false, x, name, of); err != nil {
				return err
			}
		}
		return nil
	}
	if v == nil {
		return nil
	}
	s, isText := v.(string)
	n, isNumber := v.(json.Number)
	switch typ {
	case "Edm.String", "Edm.Binary":
		if !isText {
			return wrong()
		}
	case "Edm.Guid":
		if !isText || !isGUID(s) {
			return wrong()
		}
	case "Edm.Boolean":
		if _, ok := v.(bool); !ok {
			return wrong()
		}
	case "Edm.Int32", "Edm.Int64", "Edm.Int16":
		if _, err := n.Int64(); !isNumber || err != nil {
			return wrong()
		}
	case "Edm.Double", "Edm.Single":
		if !isNumber {
			return wrong()
		}
	case "Edm.DateTimeOffset":
		if _, err := time.Parse(time.RFC3339Nano, s); !isText || err != nil {
			return wrong()
		}
	case "nav":
		m := sub(v)
		if len(m) != 1 || text(m["id"]) == "" {
			return bad("Only the id of '%s' can be set.", name)
		}
	default:
		if e := c.t.schema.Enums[typ]; e != nil {
			if !isText {
				return wrong()
			}
			parts := []string{s}
			if e.Flags || strings.Contains(s, ",") && typ == "microsoft.graph.authenticationMethodModes" {
				parts = strings.Split(s, ",")
			}
			for _, p := range parts {
				p = strings.TrimSpace(p)
				if p == "unknownFutureValue" || !slices.Contains(e.Members, p) {
					return wrong()
				}
			}
			return nil
		}
		t := c.t.schema.Complex[typ]
		if t == nil {
			if !isText {
				if _, ok := v.(map[string]any); !ok {
					return wrong()
				}
			}
			return nil
		}
		m, ok := v.(map[string]any)
		if !ok {
			return wrong()
		}
		if want := text(m["@odata.type"]); want != "" {
			d := c.t.schema.Complex[strings.TrimPrefix(want, "#")]
			for x := d; ; x = c.t.schema.Complex[x.Base] {
				if x == nil {
					return bad("The type '%s' of property '%s' is not a kind of '%s'.", want, name, typ)
				}
				if x.Name == typ {
					break
				}
			}
			t = d
		}
		if t.Abstract {
			return bad("A value of property '%s' needs an @odata.type: '%s' is abstract.", name, typ)
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if k == "@odata.type" {
				continue
			}
			p := t.byName[k]
			if p == nil {
				if t.Open {
					continue
				}
				return bad("The property '%s' does not exist on type '%s'.", k, t.Name)
			}
			if m[k] == nil && !p.Nullable {
				return bad("Invalid value specified for property '%s.%s' of resource '%s': it cannot be null.", name, k, title(of.Name))
			}
			if err := c.checkValue(p.elem, p.coll, m[k], name+"."+k, of); err != nil {
				return err
			}
		}
	}
	return nil
}

func missing(typ *typeInfo, name string) *refusal {
	return bad("A value is required for property '%s' of resource '%s'.", name, title(typ.Name))
}

func conflict(name string) *refusal {
	r := bad("Another object with the same value for property %s already exists.", name)
	r.details = []any{map[string]any{"code": "ObjectConflict", "message": r.message, "target": name}}
	return r
}

func created(c *call, o *object) (answer, error) {
	w := *c
	w.opts, w.reveal = options{}, true
	a, err := w.one(o)
	if err != nil {
		return a, err
	}
	a.status = http.StatusCreated
	a.set("Location", c.t.URL()+"/"+c.version+"/"+collectionName(o.kind)+"/"+o.id)
	return a, nil
}

// create carries out POST to a collection.
func (c *call) create(k kindID) (answer, error) {
	if err := c.only(); err != nil {
		return answer{}, err
	}
	if k == kSku || k == kOrg || k == kAudit || k == kRoleGrant {
		return answer{}, notAllowed()
	}
	if k == kUser && !c.holds("User.ReadWrite.All", "User.Create") {
		return answer{}, denied()
	}
	if k != kUser {
		if err := c.allow(k, true); err != nil {
			return answer{}, err
		}
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	o, err := c.make(k, body, nil)
	if err != nil {
		return answer{}, err
	}
	return created(c, o)
}

// make checks a body for a new object and stores it. extra are properties the
// request sets outside its body.
func (c *call) make(k kindID, body, extra map[string]any) (*object, error) {
	t := c.t
	typ := c.types(k)[0]
	if poly(k) {
		name := strings.TrimPrefix(text(body["@odata.type"]), "#microsoft.graph.")
		i := slices.IndexFunc(c.types(k), func(t *typeInfo) bool { return t.Name == name })
		if i < 0 {
			return nil, refuse(400, "BadRequest", "An @odata.type of a concrete type is required in the body.")
		}
		if k == kMethod {
			return nil, bad("Authentication method configurations of this type cannot be created.")
		}
		typ = c.types(k)[i]
	}
	var more []string
	if k == kDomain {
		more = append(more, "id")
	}
	in, err := c.check(body, typ, true, more...)
	if err != nil {
		return nil, err
	}
	maps.Copy(in.p, extra)
	if err := checkExtensions(&object{p: in.p}); err != nil {
		return nil, err
	}
	for _, r := range typ.Required {
		if strings.ContainsAny(r, " .@(") {
			continue // conditional: checked with its type
		}
		if v, ok := in.p[r]; !ok || v == nil {
			return nil, missing(typ, r)
		}
	}
	if slices.Contains(counted, k) {
		if err := t.full(); err != nil {
			return nil, err
		}
	}
	o := &object{kind: k, id: t.fresh(k), typ: typ.Name, p: in.p}
	var links []func()
	switch k {
	case kUser:
		links, err = c.newUser(o, in)
	case kGroup:
		links, err = c.newGroup(o, in)
	case kApp:
		links, err = c.newApp(o, in)
	case kSP:
		links, err = c.newPrincipal(o, in)
	case kUnit:
		err = c.newUnit(o, in)
	case kConsent:
		err = c.newConsent(o)
	case kRoleDef:
		err = c.newRoleDef(o)
	case kRoleAssignment:
		err = c.newRoleAssignment(o)
	case kPolicy:
		err = c.newPolicy(o)
	case kLocation:
		err = c.newLocation(o)
	case kStrength:
		err = c.newStrength(o)
	case kDomain:
		err = c.newDomain(o)
	default:
		if f := familyOf(k); f != nil && f.create != nil {
			err = f.create(c, o, in)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(in.binds) > 0 && links == nil {
		return nil, bad("Links cannot be set when this resource is created.")
	}
	if id := text(o.p["id"]); familyOf(k) == nil || id == "" {
		o.p["id"] = o.id
	} else if text(o.p["_parent"]) == "" {
		o.id = id // of the caller's choice
	}
	t.put(o, nil)
	for _, l := range links {
		l()
	}
	switch k {
	case kRoleDef:
		t.termsFor("/", "DirectoryRole", o.id)
	case kRoleAssignment:
		t.lasting(o)
	}
	c.audit("Add "+noun(k), o, nil)
	return o, nil
}

// update carries out PATCH of an object.
func (c *call) update(o *object) (answer, error) {
	if err := c.only(); err != nil {
		return answer{}, err
	}
	t := c.t
	if o.kind == kSku || o.kind == kAudit || o.kind == kRoleGrant || o.kind == kRoleAssignment {
		return answer{}, notAllowed()
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	typ := t.schema.Types[o.typ]
	if poly(o.kind) && body["@odata.type"] == nil {
		return answer{}, refuse(400, "BadRequest", "The @odata.type of the resource is required in the body.")
	}
	if o.kind == kMethodPolicy && body["authenticationMethodConfigurations"] != nil {
		return answer{}, bad("Property 'authenticationMethodConfigurations' is read-only and cannot be set.")
	}
	in, err := c.check(body, typ, false)
	if err != nil {
		return answer{}, err
	}
	if name, ok := in.p["uniqueName"]; ok && o.p["uniqueName"] != nil && name != o.p["uniqueName"] {
		return answer{}, bad("Property 'uniqueName' cannot be changed once it is set.")
	}
	status := http.StatusNoContent
	d := o.clone()
	if values, ok := in.p["customSecurityAttributes"]; ok && (o.kind == kUser || o.kind == kSP) {
		if d.p["customSecurityAttributes"], err = c.note(o.p["customSecurityAttributes"], values); err != nil {
			return answer{}, err
		}
		if delete(in.p, "customSecurityAttributes"); len(in.p) == 0 {
			t.put(d, []string{"customSecurityAttributes"})
			c.audit("Update attribute values for "+noun(o.kind), d, nil)
			return answer{status: status}, nil
		}
	}
	f := familyOf(o.kind)
	if f != nil && f.whole {
		maps.Copy(d.p, in.p)
	} else {
		merge(d.p, in.p)
	}
	if f != nil && f.full {
		status = http.StatusOK
	}
	if err := checkExtensions(d); err != nil {
		return answer{}, err
	}
	var links []func()
	switch o.kind {
	case kUser:
		err = c.changeUser(o, d, in)
	case kGroup:
		status, links, err = c.changeGroup(o, d, in)
	case kApp:
		err = c.changeApp(o, d, in)
	case kSP:
		err = c.changePrincipal(o, d, in)
	case kUnit:
		err = c.changeUnit(o, d, in)
	case kRoleDef:
		err = c.changeRoleDef(o, d, in)
	case kPolicy:
		err = c.changePolicy(o, d, in)
	case kLocation:
		err = c.changeLocation(d, in)
	case kStrength:
		if o.managed {
			err = bad("Built-in authentication strength policies cannot be changed.")
		}
		d.p["modifiedDateTime"] = stamp(t.clock())
	case kMethod:
		err = c.changeMethod(d)
	case kMethodPolicy:
		status = http.StatusOK
		d.p["lastModifiedDateTime"] = stamp(t.clock())
	case kDefaults:
		err = c.changeDefaults(d)
	case kDomain:
		err = c.changeDomain(o, d, in)
	case kConsent:
		err = checkScope(d)
	default:
		if f != nil && f.change != nil {
			err = f.change(c, o, d, in)
		}
	}
	if err != nil {
		return answer{}, err
	}
	if len(in.binds) > 0 && o.kind != kGroup {
		return answer{}, bad("Links cannot be changed with the properties of this resource.")
	}
	names := slices.Sorted(maps.Keys(in.p))
	if len(names) > 0 {
		t.put(d, names)
		c.audit("Update "+noun(o.kind), d, changes(o.p, d.p, names))
	}
	for _, l := range links {
		l()
	}
	if status == http.StatusOK {
		return c.one(d)
	}
	return answer{status: status}, nil
}

// merge applies a PATCH of a directory object: complex values member by
// member, collections whole, null clears. Conditional Access differs, see
// changePolicy.
func merge(to, from map[string]any) {
	for k, v := range from {
		if m, ok := v.(map[string]any); ok && sub(to[k]) != nil && m["@odata.type"] == nil {
			d := maps.Clone(sub(to[k]))
			merge(d, m)
			to[k] = d
			continue
		}
		to[k] = v
	}
}

// changes lists what audits say about changed properties: old and new values
// as JSON inside strings.
func changes(old, new map[string]any, names []string) []any {
	var out []any
	quote := func(v any) any {
		s := string(appendValue(nil, []any{v}))
		if len(s) > 1000 {
			s = s[:1000]
		}
		return s
	}
	for _, n := range names {
		if !sameJSON(plain(old[n]), plain(new[n])) {
			out = append(out, map[string]any{"displayName": title(n), "oldValue": quote(plain(old[n])), "newValue": quote(plain(new[n]))})
		}
	}
	all := string(appendString(nil, strings.Join(names, ", ")))
	return append(out, map[string]any{"displayName": "Included Updated Properties", "oldValue": nil, "newValue": all})
}

// plain leaves secrets out of a value.
func plain(v any) any {
	if m := sub(v); m != nil && m["password"] != nil {
		return map[string]any{}
	}
	return withoutKey(withoutKey(v, "secretText"), "key")
}

// upsert carries out PATCH by an alternate key with Prefer:
// create-if-missing.
func (c *call) upsert(k kindID, key string) (answer, error) {
	if err := c.allow(k, true); err != nil {
		return answer{}, err
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	name, value, _ := strings.Cut(strings.Trim(key, "()"), "=")
	value = strings.ReplaceAll(strings.Trim(value, "'"), "''", "'")
	extra := map[string]any{name: value}
	o, err := c.make(k, body, extra)
	if err != nil {
		return answer{}, err
	}
	return created(c, o)
}

// remove carries out DELETE of an object.
func (c *call) remove(o *object) (answer, error) {
	if err := c.only(); err != nil {
		return answer{}, err
	}
	t := c.t
	if err := c.mayRemove(o); err != nil {
		return answer{}, err
	}
	if f := familyOf(o.kind); o.kind == kMethod || f != nil && f.reset != nil {
		d := o.clone()
		if f != nil {
			d.p = f.reset(o)
		} else {
			d.p = methodDefault(strings.TrimSuffix(o.typ, "AuthenticationMethodConfiguration"))
		}
		d.p["id"] = o.p["id"]
		t.put(d, nil)
		c.audit("Update "+noun(o.kind), d, changes(o.p, d.p, slices.Sorted(maps.Keys(d.p))))
		return answer{status: 204}, nil
	}
	t.discard(o)
	c.audit("Delete "+noun(o.kind), o, nil)
	if o.kind == kApp { // with its service principal in this tenant
		if sp := t.spByAppID(text(o.p["appId"]), true); sp != nil {
			t.discard(sp)
			c.audit("Remove "+noun(kSP), sp, nil)
		}
	}
	return answer{status: 204}, nil
}

func (c *call) mayRemove(o *object) error {
	t := c.t
	if (o.kind == kUser || o.kind == kGroup) && flag(o.p["onPremisesSyncEnabled"]) {
		return mastered()
	}
	if f := familyOf(o.kind); f != nil {
		if !f.allows("DELETE") {
			return notAllowed()
		}
		if f.remove != nil {
			return f.remove(c, o)
		}
		return nil
	}
	switch o.kind {
	case kOrg, kSku, kAudit, kMethodPolicy, kDefaults:
		return notAllowed()
	case kUser:
		if err := c.mayChangeAdmin(o); err != nil {
			return err
		}
		return c.unrestricted(o)
	case kGroup:
		if flag(o.p["isAssignableToRole"]) && !c.holds("RoleManagement.ReadWrite.Directory") {
			return denied()
		}
		return c.unrestricted(o)
	case kSP:
		if o.p["servicePrincipalType"] == "ManagedIdentity" {
			return bad("Managed identities cannot be deleted through this API: delete the Azure resource.")
		}
	case kPolicy:
		if o.managed {
			return bad("Policies managed by Microsoft cannot be deleted.")
		}
	case kLocation:
		if flag(o.p["isTrusted"]) {
			return bad("A trusted named location cannot be deleted: set isTrusted to false first.")
		}
		if p := t.policyUsing("locations", o.id); p != nil {
			return bad("Named location '%s' is in use by policy '%s' and cannot be deleted.", o.id, p.id)
		}
	case kStrength:
		if o.managed {
			return bad("Built-in authentication strength policies cannot be deleted.")
		}
		if p := t.policyUsing("strength", o.id); p != nil {
			return bad("The authentication strength policy is in use by policy '%s' and cannot be deleted.", p.id)
		}
	case kRoleDef:
		if o.managed {
			return bad("Built-in role definitions cannot be deleted.")
		}
		used := false
		t.each(kRoleAssignment, func(x *object) bool {
			used = used || x.live() && x.p["roleDefinitionId"] == o.id
			return !used
		})
		if used {
			return bad("The role definition has assignments and cannot be deleted.")
		}
	case kRoleAssignment:
		if o.p["roleDefinitionId"] == roleGlobalAdmin && o.p["directoryScopeId"] == "/" {
			n := 0
			t.each(kRoleAssignment, func(x *object) bool {
				if t.shown(x) && x.p["roleDefinitionId"] == roleGlobalAdmin && x.p["directoryScopeId"] == "/" {
					n++
				}
				return true
			})
			if n < 2 {
				return bad("The last Global Administrator cannot be removed.")
			}
		}
	case kDomain:
		if flag(o.p["isInitial"]) || flag(o.p["isDefault"]) {
			return bad("The initial and the default domain cannot be deleted.")
		}
		inUse := false
		for _, k := range []kindID{kUser, kGroup, kApp} {
			t.each(k, func(x *object) bool {
				for _, p := range []any{x.p["userPrincipalName"], x.p["mail"]} {
					inUse = inUse || strings.HasSuffix(strings.ToLower(text(p)), "@"+o.id)
				}
				for _, u := range texts(x.p["identifierUris"]) {
					inUse = inUse || strings.Contains(u, "//"+o.id)
				}
				return !inUse
			})
		}
		if inUse {
			return bad("The domain is still referenced by users, groups or applications and cannot be deleted.")
		}
	}
	return nil
}

func mastered() *refusal {
	return bad("Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.")
}

// target resolves the @odata.id of a link body.
func (c *call) target(ref string) (string, error) {
	_, rest, ok := strings.Cut(ref, "/"+c.version+"/")
	if !ok {
		_, rest, ok = strings.Cut(ref, "/v1.0/")
	}
	if !ok || !strings.HasPrefix(ref, "https://graph.microsoft.com/") && !strings.HasPrefix(ref, c.t.URL()+"/") {
		return "", bad("Invalid entity reference '%s'.", ref)
	}
	name, id, ok := strings.Cut(rest, "/")
	if !ok || !slices.Contains([]string{"directoryObjects", "users", "groups", "servicePrincipals", "devices", "applications"}, name) || strings.Contains(id, "/") || id == "" {
		return "", bad("Invalid entity reference '%s'.", ref)
	}
	return id, nil
}

// reachable is the live object a link may point at, as a writer sees it.
func (c *call) reachable(id string) (*object, error) {
	o := c.see(c.t.get(id))
	if !o.live() {
		return nil, notFound(id)
	}
	return o, nil
}

// writeLink carries out writes below rel/: $ref, {id}/$ref, and {id} alone,
// which is the object itself.
func (c *call) writeLink(o *object, rel string, rest []string) (answer, error) {
	t := c.t
	r := map[string]relID{"manager": rManager, "sponsors": rSponsors, "members": rMembers, "owners": rOwners}[rel]
	switch {
	case rel == "extensionProperties" && len(rest) == 0 && c.method == "POST":
		return c.define(o)
	case rel == "extensionProperties" && len(rest) == 1 && c.method == "DELETE":
		return c.undefine(o, rest[0])
	case r == 0:
		return c.writeGrant(o, rel, rest)
	}
	single := r == rManager
	switch {
	case len(rest) == 0 && c.method == "POST" && o.kind == kUnit && rel == "members":
		return c.groupInUnit(o)
	case len(rest) == 0:
		return answer{}, refuse(400, "BadRequest", "Write requests are only supported on contained entities")
	case len(rest) == 1 && rest[0] != "$ref" && (c.method == "DELETE" || c.method == "PATCH"):
		// Without /$ref the path names the object at the other end.
		x, err := c.reachable(rest[0])
		if err != nil {
			return answer{}, err
		}
		if !t.linked(o, r, x.id) {
			return answer{}, notFound(rest[0])
		}
		if err := c.allow(x.kind, true); err != nil {
			return answer{}, err
		}
		if c.method == "PATCH" {
			return c.update(x)
		}
		return c.remove(x)
	case rest[len(rest)-1] != "$ref":
		return answer{}, notAllowed()
	}
	if err := c.mayLink(o, r); err != nil {
		return answer{}, err
	}
	switch {
	case len(rest) == 1 && (c.method == "POST" && !single || c.method == "PUT" && single):
		body, err := c.object()
		if err != nil {
			return answer{}, err
		}
		if len(body) != 1 || text(body["@odata.id"]) == "" {
			return answer{}, bad("The body of a reference is an object with only '@odata.id'.")
		}
		id, err := c.target(text(body["@odata.id"]))
		if err != nil {
			return answer{}, err
		}
		x, err := c.reachable(id)
		if err != nil {
			return answer{}, err
		}
		if err := c.fits(o, r, x); err != nil {
			return answer{}, err
		}
		if single {
			for _, old := range t.liveTargets(o, r) {
				t.unlink(o, r, old.id)
			}
		} else if t.linked(o, r, x.id) {
			return answer{}, bad("One or more added object references already exist for the following modified properties: '%s'.", rel)
		}
		t.link(o, r, x.id)
		c.auditLink(o, r, x, true)
		return answer{status: 204}, nil
	case len(rest) == 2 && c.method == "DELETE" && !single:
		x := t.get(rest[0])
		if x == nil || !t.linked(o, r, x.id) || !x.live() {
			return answer{}, notFound(rest[0])
		}
		if r == rOwners && o.kind == kGroup && x.kind == kUser {
			n := 0
			for _, y := range t.liveTargets(o, r) {
				if y.kind == kUser {
					n++
				}
			}
			if n < 2 {
				return answer{}, bad("The group must have at least one owner, hence this owner cannot be removed.")
			}
		}
		t.unlink(o, r, x.id)
		c.auditLink(o, r, x, false)
		return answer{status: 204}, nil
	case len(rest) == 1 && c.method == "DELETE" && single:
		old := t.liveTargets(o, r)
		if len(old) == 0 {
			return answer{}, notFound(rel)
		}
		for _, x := range old {
			t.unlink(o, r, x.id)
			c.auditLink(o, r, x, false)
		}
		return answer{status: 204}, nil
	}
	return answer{}, notAllowed()
}

// mayLink checks whether the caller may change a relationship of o at all.
func (c *call) mayLink(o *object, r relID) error {
	if o.kind == kGroup && r == rMembers {
		if !c.holds("Group.ReadWrite.All", "GroupMember.ReadWrite.All") {
			return denied()
		}
	} else if err := c.allow(o.kind, true); err != nil {
		return err
	}
	if o.kind == kGroup || o.kind == kUnit {
		if flag(o.p["isAssignableToRole"]) && !c.holds("RoleManagement.ReadWrite.Directory") {
			return denied()
		}
		if flag(o.p["onPremisesSyncEnabled"]) {
			return mastered()
		}
		if r == rMembers && (slices.Contains(texts(o.p["groupTypes"]), "DynamicMembership") || strings.EqualFold(text(o.p["membershipType"]), "dynamic")) {
			return bad("Insufficient privileges to complete the operation: the members of a dynamic group are computed from its membership rule.")
		}
		if o.kind == kGroup && flag(o.p["mailEnabled"]) && !slices.Contains(texts(o.p["groupTypes"]), "Unified") {
			return bad("Cannot Update a mail-enabled security groups and or distribution list.")
		}
		if o.kind == kGroup {
			return c.unrestricted(o)
		}
	}
	return nil
}

// fits checks whether x may be the target of a relationship of o.
func (c *call) fits(o *object, r relID, x *object) error {
	t := c.t
	invalid := func() error {
		return bad("Invalid object type '%s' for the relationship '%s' of '%s'.", x.typ, relNames[r], o.typ)
	}
	unified := func(g *object) bool { return slices.Contains(texts(g.p["groupTypes"]), "Unified") }
	switch {
	case r == rManager:
		if x.kind != kUser {
			return invalid()
		}
		if x.id == o.id {
			return bad("A user cannot be their own manager.")
		}
		if flag(o.p["onPremisesSyncEnabled"]) {
			return mastered()
		}
	case r == rSponsors:
		if x.kind != kUser && x.kind != kGroup {
			return invalid()
		}
		if len(t.liveTargets(o, r)) >= 5 {
			return bad("The maximum number of sponsors has been reached.")
		}
	case r == rOwners:
		if x.kind != kUser && x.kind != kSP {
			return invalid()
		}
		if len(t.liveTargets(o, r)) >= 100 {
			return refuse(403, "Directory_QuotaExceeded", "The maximum number of owners of the resource has been reached.")
		}
	case o.kind == kUnit:
		if x.kind != kUser && x.kind != kGroup {
			return invalid()
		}
		if flag(o.p["isMemberManagementRestricted"]) && x.kind == kGroup && unified(x) {
			return bad("Microsoft 365 groups cannot be members of a restricted management administrative unit.")
		}
		units := 0
		for _, u := range t.sources(rMembers, x.id) {
			if u.kind == kUnit {
				units++
			}
		}
		if units >= 30 {
			return refuse(403, "Directory_QuotaExceeded", "The resource is a member of the maximum number of administrative units.")
		}
	default:
		if x.kind != kUser && x.kind != kGroup && x.kind != kSP {
			return invalid()
		}
		if unified(o) && x.kind != kUser {
			return invalid()
		}
		if x.kind == kGroup && unified(x) {
			return bad("A Microsoft 365 group cannot be a member of a group.")
		}
		if x.kind == kGroup && flag(o.p["isAssignableToRole"]) {
			return bad("A group cannot be a member of a role-assignable group.")
		}
		if x.id == o.id {
			return bad("A group cannot be a member of itself.")
		}
		if x.kind == kSP && !c.holds("Application.ReadWrite.All") {
			return denied()
		}
	}
	return nil
}

const bindMost = 20

// bind prepares links given with a body: all or none.
func (c *call) bind(o *object, binds bindings, allowed map[string]relID) ([]func(), error) {
	t := c.t
	links := []func(){}
	total := 0
	for _, rel := range slices.Sorted(maps.Keys(binds)) {
		r := allowed[rel]
		if r == 0 {
			return nil, bad("The relationship '%s' cannot be bound in this request.", rel)
		}
		total += len(binds[rel])
		if total > bindMost {
			return nil, bad("The number of references in the request exceeds the maximum of %d.", bindMost)
		}
		seen := map[string]bool{}
		for _, ref := range binds[rel] {
			id, err := c.target(ref)
			if err != nil {
				return nil, err
			}
			x, err := c.reachable(id)
			if err != nil {
				return nil, err
			}
			if seen[x.id] {
				return nil, bad("Object '[ResourceType=%s,Id=%s]' referenced from '[ResourceType=%s,Id=%s]' can only be present once as an add/remove change.", title(x.typ), x.id, title(o.typ), o.id)
			}
			seen[x.id] = true
			if err := c.fits(o, r, x); err != nil {
				return nil, err
			}
			if t.get(o.id) != nil && t.linked(o, r, x.id) {
				return nil, bad("One or more added object references already exist for the following modified properties: '%s'.", rel)
			}
			links = append(links, func() { t.link(o, r, x.id); c.auditLink(o, r, x, true) })
		}
	}
	return links, nil
}
