package emulator

import (
	"slices"
	"strings"
	"time"
)

// softly tells whether deleting o puts it in a bin. Mail-enabled security
// groups, distribution lists and synchronised groups are deleted at once.
func softly(o *object) bool {
	if f := familyOf(o.kind); f != nil {
		return f.bin != ""
	}
	switch o.kind {
	case kUser, kApp, kSP, kUnit, kPolicy, kLocation:
		return true
	case kGroup:
		unified := slices.Contains(texts(o.p["groupTypes"]), "Unified")
		return (unified || !flag(o.p["mailEnabled"])) && !flag(o.p["onPremisesSyncEnabled"])
	}
	return false
}

// discard deletes o: into its bin, or for good.
//
// The documentation says that a restored user keeps group memberships, roles,
// licences and app role assignments, and says nothing certain about the links
// that point at people. This tenant drops, when a user or service principal is
// deleted, its manager, its reports' manager, its sponsorships and its
// ownerships, so that a client that relies on them finds out.
func (t *Tenant) discard(o *object) {
	if !softly(o) {
		t.purge(o)
		return
	}
	d := o.clone()
	d.deleted = t.clock()
	t.put(d, nil)
	if o.kind == kUser || o.kind == kSP {
		for _, r := range []relID{rManager, rSponsors, rOwners} {
			for _, src := range t.sources(r, o.id) {
				t.unlink(src, r, o.id)
				t.unschedule(src, r, o.id)
			}
		}
	}
	if o.kind == kUser {
		for _, r := range []relID{rManager, rSponsors} {
			for _, x := range t.liveTargets(o, r) {
				t.unlink(o, r, x.id)
			}
		}
	}
	t.reflect(o, false)
}

// reflect logs what a deletion or a restore changes for readers of other
// objects' links.
func (t *Tenant) reflect(o *object, back bool) {
	for _, src := range t.sources(rMembers, o.id) {
		t.logLink(src, rMembers, o.id, back)
	}
	for _, end := range []string{"clientId", "resourceId", "principalId"} {
		for _, g := range t.joined(kConsent, end, o.id) {
			t.seq++
			t.news(change{seq: t.seq, kind: kConsent, id: g.id})
		}
	}
}

// purge removes o for good, with every grant and assignment that joins it.
// Links to it are not read any more; Conditional Access keeps the stale id.
func (t *Tenant) purge(o *object) {
	live := o.live()
	for _, end := range []struct {
		k    kindID
		name string
	}{{kRoleGrant, "principalId"}, {kRoleGrant, "resourceId"}, {kConsent, "clientId"}, {kConsent, "resourceId"}, {kConsent, "principalId"}, {kRoleAssignment, "principalId"}, {kExtension, "_app"}} {
		for _, g := range t.joined(end.k, end.name, o.id) {
			t.purge(g)
		}
	}
	switch o.kind {
	case kRoleAssignment:
		for _, s := range t.roleSchedules(o) {
			if s.live() {
				t.purge(s)
			}
		}
	case kRoleDef:
		t.each(kin().kinds[termsOf], func(x *object) bool {
			if x.live() && x.p["roleDefinitionId"] == o.id {
				t.purge(t.get(text(x.p["policyId"])))
				t.purge(x)
			}
			return true
		})
	}
	for i, f := range kin().all {
		if f.under == collectionName(o.kind) {
			for _, x := range t.joined(firstFamily+kindID(i), "_parent", o.id) {
				t.purge(x)
			}
		}
	}
	if live && (o.kind == kUser || o.kind == kGroup || o.kind == kSP) {
		t.reflect(o, false)
	}
	d := o.clone()
	d.purged = true
	t.put(d, nil)
}

func (c *call) deletedItems(rest []string) (answer, error) {
	t := c.t
	if len(rest) == 0 {
		return answer{}, refuse(400, "Request_BadRequest", "A cast to a type is required: directory/deletedItems/microsoft.graph.user.")
	}
	if k, ok := castKind(rest[0]); ok {
		if len(rest) == 1 && c.method == "GET" {
			if err := c.allow(k, false); err != nil {
				return answer{}, err
			}
			return c.page(c.inBin(k))
		}
		if len(rest) == 2 && rest[1] == "$count" && c.method == "GET" {
			if !c.eventual() {
				return answer{}, bad("$count is not currently supported.")
			}
			a := answer{status: 200, body: []byte(itoa(c.inBin(k).n))}
			a.set("Content-Type", "text/plain")
			return a, nil
		}
		rest = rest[1:]
		if len(rest) == 0 {
			return answer{}, notAllowed()
		}
	} else if strings.HasPrefix(rest[0], "microsoft.graph.") {
		return answer{}, noSegment(rest[0], "")
	}
	o := c.see(t.get(rest[0]))
	if o == nil || o.deleted.IsZero() || o.kind == kPolicy || o.kind == kLocation {
		return answer{}, notFound(rest[0])
	}
	if err := c.allowBin(o); err != nil {
		return answer{}, err
	}
	switch {
	case len(rest) == 1 && c.method == "GET":
		if err := c.only("$select"); err != nil {
			return answer{}, err
		}
		b := c.appendObject(nil, o, c.fields(t.schema.Types[o.typ], c.opts.sel), true, nil)
		b = slices.Insert(b, 1, append(append([]byte(`"@odata.context":`), appendString(nil, c.context("directoryObjects", true))...), ',')...)
		return answer{status: 200, body: b}, nil
	case len(rest) == 1 && c.method == "DELETE":
		if o.kind == kUnit {
			return answer{}, bad("Permanent deletion is not supported for administrative units.")
		}
		t.purge(o)
		c.audit("Hard Delete "+noun(o.kind), o, nil)
		return answer{status: 204}, nil
	case len(rest) == 2 && rest[1] == "restore" && c.method == "POST":
		return c.undelete(o)
	case len(rest) == 1:
		return answer{}, notAllowed()
	}
	return answer{}, noSegment(rest[1], "")
}

func (c *call) allowBin(o *object) error {
	if o.kind == kUser && c.method != "GET" {
		if !c.holds("User.DeleteRestore.All", "User.ReadWrite.All") {
			return denied()
		}
		return c.mayChangeAdmin(o)
	}
	if err := c.allow(o.kind, c.method != "GET"); err != nil {
		return err
	}
	if c.method != "GET" && o.kind == kGroup && flag(o.p["isAssignableToRole"]) && !c.holds("RoleManagement.ReadWrite.Directory") {
		return denied()
	}
	return nil
}

// inBin lists a bin, oldest first.
func (c *call) inBin(k kindID) listing {
	var all []*object
	for id := range c.t.bin {
		if o := c.t.objects[idKey(id)]; o.kind == k {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *object) int {
		if n := a.deleted.Compare(b.deleted); n != 0 {
			return n
		}
		return strings.Compare(a.id, b.id)
	})
	return listing{kind: k, name: "directoryObjects", n: len(all), types: c.types(k), annotate: true, at: func(i int) *object {
		o := c.see(all[i])
		if o == nil || o.deleted.IsZero() {
			return nil
		}
		return o
	}}
}

func (c *call) undelete(o *object) (answer, error) {
	t := c.t
	body := map[string]any{}
	if len(c.body) > 0 {
		var err error
		if body, err = c.object(); err != nil {
			return answer{}, err
		}
	}
	for k := range body {
		if o.kind != kUser || k != "autoReconcileProxyConflict" && k != "newUserPrincipalName" {
			return answer{}, bad("The property '%s' is not supported when restoring a %s.", k, o.typ)
		}
	}
	d := o.clone()
	d.deleted = time.Time{}
	switch o.kind {
	case kUser:
		if v, ok := body["newUserPrincipalName"]; ok {
			if err := c.checkUPN(text(v), o); err != nil {
				return answer{}, err
			}
			d.p["userPrincipalName"] = v
		} else if other := t.byUPN(text(o.p["userPrincipalName"])); other.live() && other.id != o.id {
			return answer{}, conflict("userPrincipalName")
		}
		if taken := t.proxyTaken(o); len(taken) > 0 {
			if body["autoReconcileProxyConflict"] != true {
				return answer{}, conflict("proxyAddresses")
			}
			d.p["proxyAddresses"] = slices.DeleteFunc(asList(o.p["proxyAddresses"]), func(x any) bool { return taken[strings.ToLower(text(x))] })
		}
	case kGroup:
		if slices.Contains(texts(o.p["groupTypes"]), "Unified") {
			if c.nicknameTaken(text(o.p["mailNickname"]), o.id) {
				return answer{}, conflict("mailNickname")
			}
		}
	case kSP:
		// A service principal "can't be restored without having an active corresponding application": Microsoft
		// identity platform documentation, "Restore or remove a recently deleted application", section "Permanently
		// delete an application". The text of the refusal is not documented.
		if o.p["appOwnerOrganizationId"] == t.id && !t.get(t.appID[text(o.p["appId"])]).live() {
			return answer{}, bad("The appId '%s' of the service principal does not reference a valid application object.", text(o.p["appId"]))
		}
		if t.spByAppID(text(o.p["appId"]), true) != nil {
			return answer{}, refuse(409, "Request_MultipleObjectsWithSameKeyValue", "The service principal cannot be restored because the service principal name %s is already in use.", text(o.p["appId"]))
		}
	}
	t.put(d, nil)
	t.reflect(d, true)
	c.audit("Restore "+noun(o.kind), d, nil)
	b := c.appendObject(nil, d, c.fields(t.schema.Types[d.typ], nil), true, nil)
	b = slices.Insert(b, 1, append(append([]byte(`"@odata.context":`), appendString(nil, c.context("directoryObjects", true))...), ',')...)
	return answer{status: 200, body: b}, nil
}

// proxyTaken tells which proxy addresses of a deleted user live users have
// taken since. Only written users can have taken one.
func (t *Tenant) proxyTaken(o *object) map[string]bool {
	mine := map[string]bool{}
	for _, a := range texts(o.p["proxyAddresses"]) {
		mine[strings.ToLower(a)] = true
	}
	taken := map[string]bool{}
	if len(mine) == 0 {
		return taken
	}
	for _, x := range t.objects {
		if x.id == o.id || !x.live() || x.kind != kUser && x.kind != kGroup {
			continue
		}
		for _, a := range texts(x.p["proxyAddresses"]) {
			a = strings.ToLower(a)
			for m := range mine {
				if strings.EqualFold(strings.TrimPrefix(m, "smtp:"), strings.TrimPrefix(a, "smtp:")) {
					taken[m] = true
				}
			}
		}
	}
	return taken
}

// binned returns what lies in the bin of what an object contained, or nil.
func (t *Tenant) binned(k kindID, parent string) *object {
	for id := range t.bin {
		if o := t.objects[idKey(id)]; o.kind == k && o.p["_parent"] == parent {
			return o
		}
	}
	return nil
}

// policyBin serves the bins of Conditional Access, which are their own.
func (c *call) policyBin(k kindID, rest []string) (answer, error) {
	if err := c.allow(k, c.method != "GET"); err != nil {
		return answer{}, err
	}
	if f := familyOf(k); f != nil && f.sealed && c.method != "GET" {
		return answer{}, denied()
	}
	if len(rest) == 0 {
		if c.method != "GET" {
			return answer{}, notAllowed()
		}
		l := c.inBin(k)
		l.name, l.annotate = "identity/conditionalAccess/deletedItems/"+map[kindID]string{kPolicy: "policies", kLocation: "namedLocations"}[k], poly(k)
		if f := familyOf(k); f != nil {
			l.name = f.bin
		}
		return c.page(l)
	}
	o := c.see(c.t.get(rest[0]))
	if f := familyOf(k); f != nil && f.under != "" { // it lies there under the id of what contained it
		o = c.see(c.t.binned(k, rest[0]))
	}
	if o == nil || o.kind != k || o.deleted.IsZero() {
		return answer{}, refuse(404, "ResourceNotFound", "No deleted object with id %s was found.", rest[0])
	}
	switch {
	case len(rest) == 1 && c.method == "GET":
		return c.one(o)
	case len(rest) == 1 && c.method == "DELETE":
		c.t.purge(o)
		c.audit("Hard Delete "+noun(k), o, nil)
		return answer{status: 204}, nil
	case len(rest) == 2 && rest[1] == "restore" && c.method == "POST":
		if len(c.body) > 0 && strings.TrimSpace(string(c.body)) != "{}" {
			return answer{}, bad("The restore action takes no parameters.")
		}
		d := o.clone()
		d.deleted = time.Time{}
		if k == kPolicy && d.p["state"] == "enabled" && flag(c.t.get(defaultsID).p["isEnabled"]) {
			return answer{}, securityDefaultsOn()
		}
		c.t.put(d, nil)
		c.audit("Restore "+noun(k), d, nil)
		w := *c
		w.opts = options{}
		return w.one(d)
	}
	return answer{}, notAllowed()
}
