package emulator

import (
	"slices"
	"strings"
)

// These are the rules of users, groups and administrative units.

// principal is the id of who acts: of the person signed in, or else of the
// application's service principal. It is empty where there is none.
func (c *call) principal() string {
	if c.actor.kind == "user" {
		return c.actor.id
	}
	if sp := c.t.spByAppID(c.appID, true); sp != nil {
		return sp.id
	}
	return ""
}

// mayChangeAdmin refuses who acts on someone who holds an administrator role,
// or is in a role-assignable group, without a role of their own that ranks
// above.
func (c *call) mayChangeAdmin(o *object) error {
	if c.direct || !c.t.privileged(o) {
		return nil
	}
	for _, a := range c.t.joined(kRoleAssignment, "principalId", c.principal()) {
		if r := a.p["roleDefinitionId"]; a.live() && (r == roleAuthAdmin || r == roleGlobalAdmin) {
			return nil
		}
	}
	return denied()
}

func (t *Tenant) privileged(o *object) bool {
	for _, a := range t.joined(kRoleAssignment, "principalId", o.id) {
		if a.live() {
			return true
		}
	}
	for _, r := range []relID{rMembers, rOwners} {
		for _, g := range t.sources(r, o.id) {
			if g.live() && flag(g.p["isAssignableToRole"]) {
				return true
			}
		}
	}
	return false
}

// unrestricted refuses who acts on a member of a restricted
// management administrative unit without a role scoped to it.
func (c *call) unrestricted(o *object) error {
	if c.direct {
		return nil
	}
	for _, u := range c.t.sources(rMembers, o.id) {
		if u.kind != kUnit || !u.live() || !flag(u.p["isMemberManagementRestricted"]) {
			continue
		}
		allowed := false
		for _, a := range c.t.joined(kRoleAssignment, "principalId", c.principal()) {
			allowed = allowed || a.live() && a.p["directoryScopeId"] == "/administrativeUnits/"+u.id
		}
		if !allowed {
			return denied()
		}
	}
	return nil
}

func (c *call) checkUPN(upn string, o *object) error {
	local, domain, ok := strings.Cut(upn, "@")
	if !ok || local == "" {
		return bad("Property userPrincipalName is invalid.")
	}
	for _, r := range local {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("'.-_!#^~", r)) {
			return bad("Property userPrincipalName is invalid.")
		}
	}
	d := c.t.get(strings.ToLower(domain))
	if !d.live() || d.kind != kDomain || !flag(d.p["isVerified"]) {
		return bad("The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization.")
	}
	if other := c.t.byUPN(upn); other.live() && (o == nil || other.id != o.id) {
		return conflict("userPrincipalName")
	}
	return nil
}

func oneOf(m map[string]any, typ, name string, allowed ...string) error {
	v, ok := m[name]
	if !ok || v == nil || slices.Contains(allowed, text(v)) {
		return nil
	}
	return bad("Invalid value specified for property '%s' of resource '%s'.", name, title(typ))
}

// checkPerson holds the rules common to new and changed users.
func (c *call) checkPerson(o *object, in map[string]any) error {
	for _, e := range []error{
		oneOf(in, "user", "userType", "Member", "Guest"), oneOf(in, "user", "ageGroup", "Minor", "NotAdult", "Adult"),
		oneOf(in, "user", "consentProvidedForMinor", "Granted", "Denied", "NotRequired"),
	} {
		if e != nil {
			return e
		}
	}
	if v, ok := in["userPrincipalName"]; ok {
		if err := c.checkUPN(text(v), o); err != nil {
			return err
		}
	}
	invalid := func(name string) error {
		return bad("Invalid value specified for property '%s' of resource 'User'.", name)
	}
	if len(asList(in["businessPhones"])) > 1 {
		return invalid("businessPhones")
	}
	if len(asList(in["otherMails"])) > 250 {
		return invalid("otherMails")
	}
	for _, m := range append(texts(in["otherMails"]), text(in["mail"])) {
		if len(m) > 250 || strings.ContainsFunc(m, func(r rune) bool { return r > 127 }) || m != "" && !strings.Contains(m, "@") {
			return invalid("mail")
		}
	}
	if s, ok := in["usageLocation"].(string); ok && (len(s) != 2 || strings.ToUpper(s) != s) {
		return invalid("usageLocation")
	}
	if s, ok := in["onPremisesImmutableId"].(string); ok {
		if strings.ContainsAny(s, "$_") {
			return invalid("onPremisesImmutableId")
		}
		if c.t.taken(kUser, o, func(x *object) bool { return x.p["onPremisesImmutableId"] == s }) {
			return conflict("onPremisesImmutableId")
		}
	}
	if s, ok := in["passwordPolicies"].(string); ok {
		for p := range strings.SplitSeq(s, ",") {
			if p = strings.TrimSpace(p); p != "None" && p != "DisableStrongPassword" && p != "DisablePasswordExpiration" {
				return invalid("passwordPolicies")
			}
		}
	}
	if certs := asList(sub(in["authorizationInfo"])["certificateUserIds"]); len(certs) > 10 {
		return invalid("certificateUserIds")
	}
	if s, ok := in["mailNickname"].(string); ok && strings.ContainsAny(s, "@()\\[]\";:<>, ") {
		return invalid("mailNickname")
	}
	if v, ok := in["customSecurityAttributes"]; ok && v != nil {
		noted, err := c.note(nil, v)
		if err != nil {
			return err
		}
		in["customSecurityAttributes"] = noted
	}
	return nil
}

// taken tells whether another object of a kind, deleted or not, meets a
// condition.
func (t *Tenant) taken(k kindID, o *object, cond func(*object) bool) bool {
	found := false
	t.each(k, func(x *object) bool {
		found = (o == nil || x.id != o.id) && cond(x)
		return !found
	})
	return found
}

// setMail makes an address the primary one.
func setMail(p map[string]any, mail string) {
	out := []any{"SMTP:" + mail}
	for _, a := range texts(p["proxyAddresses"]) {
		_, addr, _ := strings.Cut(a, ":")
		if !strings.EqualFold(addr, mail) {
			out = append(out, "smtp:"+addr)
		}
	}
	p["proxyAddresses"] = out
}

func (c *call) mailTaken(mail string, id string) bool {
	if slices.ContainsFunc(c.t.mail[strings.ToLower(mail)], func(other string) bool { return other != id }) {
		return true
	}
	o := c.t.byUPN(mail) // computed people have their own name as address
	return o.live() && o.id != id && strings.EqualFold(text(o.p["mail"]), mail)
}

func (c *call) newUser(o *object, in checked) ([]func(), error) {
	p := in.p
	for name := range p {
		if q := c.t.schema.Types["user"].byName[name]; q != nil && q.Profile {
			return nil, bad("Property '%s' cannot be set when the resource is created.", name)
		}
	}
	if text(sub(p["passwordProfile"])["password"]) == "" {
		return nil, bad("A password must be specified to create a new user.")
	}
	if !strong(text(sub(p["passwordProfile"])["password"])) {
		return nil, bad("The specified password does not comply with password complexity requirements. Please provide a different password.")
	}
	if err := c.checkPerson(nil, p); err != nil {
		return nil, err
	}
	if m := text(p["mail"]); m != "" {
		if c.mailTaken(m, o.id) {
			return nil, conflict("proxyAddresses")
		}
		setMail(p, m)
	}
	now := stamp(c.t.clock())
	p["createdDateTime"], p["lastPasswordChangeDateTime"], p["signInSessionsValidFromDateTime"] = now, now, now
	p["securityIdentifier"] = sid(o.id)
	if p["userType"] == nil {
		p["userType"] = "Member"
	}
	if p["identities"] == nil {
		p["identities"] = c.t.pop.identity(text(p["userPrincipalName"]))
	}
	delete(p, "passwordProfile")
	return c.bind(o, in.binds, map[string]relID{"manager": rManager, "sponsors": rSponsors})
}

func (c *call) changeUser(o, d *object, in checked) error {
	p := in.p
	typ := c.t.schema.Types["user"]
	profile := 0
	for name := range p {
		if q := typ.byName[name]; q != nil && q.Profile {
			profile++
		}
	}
	if profile > 0 {
		if profile != len(p) {
			return bad("Properties of the profile store cannot be updated together with directory properties.")
		}
		if !c.direct {
			return denied()
		}
		return nil
	}
	if !c.holds("User.ReadWrite.All") {
		return denied()
	}
	if _, ok := p["employeeHireDate"]; ok && !c.direct {
		return denied()
	}
	for _, s := range []string{"accountEnabled", "businessPhones", "mobilePhone", "onPremisesImmutableId", "otherMails", "passwordProfile", "userPrincipalName"} {
		if _, ok := p[s]; ok {
			if err := c.mayChangeAdmin(o); err != nil {
				return err
			}
		}
	}
	if err := c.unrestricted(o); err != nil {
		return err
	}
	if v, ok := p["passwordProfile"]; ok && v != nil {
		if !c.holds("User-PasswordProfile.ReadWrite.All") {
			return denied()
		}
		delete(d.p, "passwordProfile")
		d.p["lastPasswordChangeDateTime"] = stamp(c.t.clock())
	}
	if flag(o.p["onPremisesSyncEnabled"]) {
		for name := range p {
			cloud := strings.HasPrefix(name, "extension_") && !flag(c.t.get(c.t.extensions[strings.ToLower(name)]).p["isSyncedFromOnPremises"])
			if !cloud && !slices.Contains([]string{"usageLocation", "passwordProfile", "passwordPolicies", "preferredDataLocation", "ageGroup", "consentProvidedForMinor"}, name) {
				return mastered()
			}
		}
	}
	if _, ok := p["onPremisesExtensionAttributes"]; ok && o.p["onPremisesSyncEnabled"] == false { // it was synchronised once
		return bad("Unable to update the specified properties for objects that have originated within an external service.")
	}
	for _, n := range []string{"displayName", "mail", "usageLocation", "userPrincipalName", "mailNickname", "accountEnabled"} {
		if v, ok := p[n]; ok && v == nil && o.p[n] != nil {
			return bad("Property '%s' cannot be cleared.", n)
		}
	}
	if err := c.checkPerson(o, p); err != nil {
		return err
	}
	if v, ok := p["identities"]; ok {
		upn := text(d.p["userPrincipalName"])
		if !slices.ContainsFunc(subs(v), func(i map[string]any) bool {
			return i["signInType"] == "userPrincipalName" && strings.EqualFold(text(i["issuerAssignedId"]), upn)
		}) {
			return bad("The identities of a user must contain the userPrincipalName identity.")
		}
	} else if _, ok := p["userPrincipalName"]; ok {
		ids := []any{}
		for _, i := range subs(o.p["identities"]) {
			if i["signInType"] != "userPrincipalName" {
				ids = append(ids, i)
			}
		}
		d.p["identities"] = append(ids, c.t.pop.identity(text(p["userPrincipalName"]))...)
	}
	if m := text(p["mail"]); m != "" {
		if c.mailTaken(m, o.id) {
			return conflict("proxyAddresses")
		}
		setMail(d.p, m)
	}
	return nil
}

func (c *call) nicknameTaken(nick, id string) bool {
	found := false
	c.t.each(kGroup, func(x *object) bool {
		found = x.live() && x.id != id && strings.EqualFold(text(x.p["mailNickname"]), nick) && slices.Contains(texts(x.p["groupTypes"]), "Unified")
		return !found
	})
	return found
}

// checkTeam holds the rules common to new and changed groups.
func (c *call) checkTeam(o *object, in map[string]any) error {
	p := o.p
	types := texts(p["groupTypes"])
	for _, g := range types {
		if g != "Unified" && g != "DynamicMembership" {
			return bad("Invalid value specified for property 'groupTypes' of resource 'Group'.")
		}
	}
	unified, dynamic := slices.Contains(types, "Unified"), slices.Contains(types, "DynamicMembership")
	for _, e := range []error{oneOf(in, "group", "membershipRuleProcessingState", "On", "Paused"), oneOf(in, "group", "visibility", "Private", "Public", "HiddenMembership"),
		oneOf(in, "group", "theme", "Teal", "Purple", "Green", "Blue", "Pink", "Orange", "Red"), oneOf(in, "group", "classification", "Low", "Medium", "High")} {
		if e != nil {
			return e
		}
	}
	if s, ok := in["mailNickname"]; ok {
		if strings.ContainsAny(text(s), "@()\\[]\";:<>, ") || text(s) == "" || strings.ContainsFunc(text(s), func(r rune) bool { return r > 127 }) {
			return bad("Invalid value specified for property 'mailNickname' of resource 'Group'.")
		}
		if unified && c.nicknameTaken(text(s), o.id) {
			return conflict("mailNickname")
		}
	}
	if v, ok := in["displayName"]; ok && text(v) == "" {
		return bad("Invalid value specified for property 'displayName' of resource 'Group'.")
	}
	if dynamic && text(p["membershipRule"]) == "" {
		return bad("A dynamic group needs a membershipRule.")
	}
	if !dynamic && (text(p["membershipRule"]) != "" || text(p["membershipRuleProcessingState"]) != "" && in["membershipRuleProcessingState"] != nil) {
		return bad("A membershipRule is only allowed for a dynamic group.")
	}
	if dynamic && flag(p["isAssignableToRole"]) {
		return bad("A role-assignable group cannot have dynamic membership.")
	}
	if !unified && !flag(p["securityEnabled"]) {
		return bad("A group that is neither security enabled nor a Microsoft 365 group cannot be managed through this API.")
	}
	if unified && !flag(p["mailEnabled"]) {
		return bad("A Microsoft 365 group must be mail enabled.")
	}
	if flag(p["mailEnabled"]) && !unified {
		return bad("Mail-enabled security groups and distribution lists cannot be created or managed through this API.")
	}
	if labels := asList(in["assignedLabels"]); len(labels) > 0 {
		if !c.direct {
			return denied()
		}
		return bad("The sensitivity label does not exist.")
	}
	return nil
}

func (c *call) newGroup(o *object, in checked) ([]func(), error) {
	p := in.p
	if p["groupTypes"] == nil {
		p["groupTypes"] = []any{}
	}
	unified := slices.Contains(texts(p["groupTypes"]), "Unified")
	if flag(p["isAssignableToRole"]) {
		if !c.holds("RoleManagement.ReadWrite.Directory") {
			return nil, denied()
		}
		if !flag(p["securityEnabled"]) {
			return nil, bad("A role-assignable group must be security enabled.")
		}
		if v := text(p["visibility"]); v == "Public" {
			return nil, bad("A role-assignable group must be private.")
		}
		if c.t.countLive(kGroup, func(x *object) bool { return flag(x.p["isAssignableToRole"]) }) >= 500 {
			return nil, refuse(403, "Directory_QuotaExceeded", "The maximum number of role-assignable groups has been reached.")
		}
		p["visibility"] = "Private"
	}
	if p["visibility"] == "HiddenMembership" && !unified {
		return nil, bad("HiddenMembership is only allowed for Microsoft 365 groups.")
	}
	if p["resourceBehaviorOptions"] != nil && !unified {
		return nil, bad("resourceBehaviorOptions are only allowed for Microsoft 365 groups.")
	}
	if err := c.checkTeam(o, p); err != nil {
		return nil, err
	}
	now := stamp(c.t.clock())
	p["createdDateTime"], p["renewedDateTime"], p["securityIdentifier"], p["organizationId"] = now, now, sid(o.id), c.t.id
	if unified {
		mail := text(p["mailNickname"]) + "@" + c.t.pop.domain
		p["mail"] = mail
		p["proxyAddresses"] = list("SMTP:" + mail)
		if p["visibility"] == nil {
			p["visibility"] = "Public"
		}
	}
	links, err := c.bind(o, in.binds, map[string]relID{"owners": rOwners, "members": rMembers})
	if err != nil {
		return nil, err
	}
	if len(in.binds["members"]) > 0 && slices.Contains(texts(p["groupTypes"]), "DynamicMembership") {
		return nil, bad("The members of a dynamic group are computed from its membership rule.")
	}
	// A person who creates a Microsoft 365 group owns it.
	if unified && c.actor.kind == "user" && len(in.binds["owners"]) == 0 {
		if u := c.t.liveOf(c.actor.id, kUser); u != nil {
			links = append(links, func() { c.t.link(o, rOwners, u.id) })
		}
	}
	return links, nil
}

func (t *Tenant) countLive(k kindID, cond func(*object) bool) int {
	n := 0
	t.each(k, func(x *object) bool {
		if x.live() && cond(x) {
			n++
		}
		return true
	})
	return n
}

func (c *call) changeGroup(o, d *object, in checked) (int, []func(), error) {
	p := in.p
	typ := c.t.schema.Types["group"]
	exchange := 0
	for name := range p {
		if q := typ.byName[name]; q != nil && q.Exchange {
			exchange++
		}
	}
	if exchange > 0 {
		if exchange != len(p) || len(in.binds) > 0 {
			return 0, nil, bad("Properties of the mail store cannot be updated together with directory properties.")
		}
		if !c.direct {
			return 0, nil, denied()
		}
		return 200, nil, nil
	}
	onlyMembers := len(p) == 0 && len(in.binds) > 0
	if !c.holds("Group.ReadWrite.All") && !(onlyMembers && c.holds("GroupMember.ReadWrite.All")) {
		return 0, nil, denied()
	}
	if flag(o.p["isAssignableToRole"]) && !c.holds("RoleManagement.ReadWrite.Directory") {
		return 0, nil, denied()
	}
	if err := c.unrestricted(o); err != nil {
		return 0, nil, err
	}
	if flag(o.p["onPremisesSyncEnabled"]) {
		return 0, nil, mastered()
	}
	if v, ok := p["groupTypes"]; ok && slices.Contains(texts(v), "Unified") != slices.Contains(texts(o.p["groupTypes"]), "Unified") {
		return 0, nil, bad("The type of a group cannot be changed: 'Unified' can neither be added nor removed.")
	}
	if v, ok := p["visibility"]; ok && v != o.p["visibility"] {
		if v == "HiddenMembership" || o.p["visibility"] == "HiddenMembership" {
			return 0, nil, bad("HiddenMembership can only be chosen when a group is created, and is permanent.")
		}
		if flag(o.p["isAssignableToRole"]) {
			return 0, nil, bad("The visibility of a role-assignable group cannot be changed.")
		}
	}
	if v, ok := p["uniqueName"]; ok && c.t.taken(kGroup, o, func(x *object) bool { return x.p["uniqueName"] == v }) {
		return 0, nil, conflict("uniqueName")
	}
	if v, ok := p["securityEnabled"]; ok && flag(o.p["isAssignableToRole"]) && v != true {
		return 0, nil, bad("A role-assignable group must be security enabled.")
	}
	if err := c.checkTeam(d, p); err != nil {
		return 0, nil, err
	}
	if len(in.binds["members"]) > 0 {
		if err := c.mayLink(o, rMembers); err != nil {
			return 0, nil, err
		}
	}
	links, err := c.bind(o, in.binds, map[string]relID{"members": rMembers})
	return 204, links, err
}

func (c *call) checkUnitRule(p, in map[string]any) error {
	for _, e := range []error{oneOf(in, "administrativeUnit", "membershipRuleProcessingState", "On", "Paused"), oneOf(in, "administrativeUnit", "visibility", "HiddenMembership", "Public"),
		oneOf(in, "administrativeUnit", "membershipType", "Dynamic", "dynamic", "Assigned", "assigned")} {
		if e != nil {
			return e
		}
	}
	if dynamic := strings.EqualFold(text(p["membershipType"]), "dynamic"); dynamic != (text(p["membershipRule"]) != "") {
		return bad("membershipType and membershipRule must be changed together.")
	}
	if text(p["displayName"]) == "" {
		return bad("Invalid value specified for property 'displayName' of resource 'AdministrativeUnit'.")
	}
	return nil
}

func (c *call) newUnit(o *object, in checked) error {
	if flag(in.p["isMemberManagementRestricted"]) && c.t.countLive(kUnit, func(x *object) bool { return flag(x.p["isMemberManagementRestricted"]) }) >= 100 {
		return refuse(403, "Directory_QuotaExceeded", "The maximum number of restricted management administrative units has been reached.")
	}
	return c.checkUnitRule(o.p, in.p)
}

func (c *call) changeUnit(_, d *object, in checked) error {
	if err := c.allow(kUnit, true); err != nil {
		return err
	}
	return c.checkUnitRule(d.p, in.p)
}

// groupInUnit creates a group inside an administrative unit: that is what a
// POST to members without $ref means.
func (c *call) groupInUnit(u *object) (answer, error) {
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	if text(body["@odata.type"]) != "#microsoft.graph.group" {
		return answer{}, refuse(400, "BadRequest", "Write requests are only supported on contained entities")
	}
	if err := c.allow(kUnit, true); err != nil {
		return answer{}, err
	}
	if err := c.allow(kGroup, true); err != nil {
		return answer{}, err
	}
	g, err := c.make(kGroup, body, nil)
	if err != nil {
		return answer{}, err
	}
	c.t.link(u, rMembers, g.id)
	return created(c, g)
}

// licence carries out assignLicense of a user or group.
func (c *call) licence(o *object) (answer, error) {
	t := c.t
	if !c.holds("LicenseAssignment.ReadWrite.All", map[kindID]string{kUser: "User.ReadWrite.All", kGroup: "Group.ReadWrite.All"}[o.kind]) {
		return answer{}, denied()
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	add, ok1 := body["addLicenses"].([]any)
	remove, ok2 := body["removeLicenses"].([]any)
	if !ok1 || !ok2 || len(body) != 2 {
		return answer{}, bad("Both addLicenses and removeLicenses are required.")
	}
	key := "_direct"
	if o.kind == kGroup {
		key = "assignedLicenses"
	}
	has := asList(o.p[key])
	find := func(id string) int {
		return slices.IndexFunc(has, func(x any) bool { return strings.EqualFold(text(sub(x)["skuId"]), id) })
	}
	for _, r := range remove {
		i := find(text(r))
		if i < 0 {
			return answer{}, bad("User license is inherited from a group membership and it cannot be removed directly from the user, or the license %s is not assigned.", text(r))
		}
		has = slices.Delete(has, i, i+1)
	}
	if o.kind == kUser && len(add) > 0 && text(o.p["usageLocation"]) == "" {
		return answer{}, bad("License assignment cannot be done for user with invalid usage location.")
	}
	for _, l := range add {
		m := sub(l)
		id := strings.ToLower(text(m["skuId"]))
		var sku *object
		t.each(kSku, func(x *object) bool {
			if x.p["skuId"] == id {
				sku = x
			}
			return sku == nil
		})
		if sku == nil {
			return answer{}, bad("License %s does not correspond to a valid company License.", id)
		}
		for _, plan := range texts(m["disabledPlans"]) {
			if !slices.ContainsFunc(subs(sku.p["servicePlans"]), func(p map[string]any) bool { return strings.EqualFold(text(p["servicePlanId"]), plan) }) {
				return answer{}, bad("License assignment failed because service plan %s is not part of the license.", plan)
			}
		}
		if i := find(id); i >= 0 {
			has = slices.Delete(has, i, i+1)
		} else if units, _ := number(sub(sku.p["prepaidUnits"])["enabled"]); o.kind == kUser && t.consumed(id) >= units && !t.through(o, id) {
			return answer{}, bad("Subscription with SKU %s does not have any available licenses.", id)
		}
		has = append(has, map[string]any{"skuId": id, "disabledPlans": asPlans(m)})
	}
	d := o.clone()
	d.p[key] = has
	t.put(d, []string{"assignedLicenses"})
	c.audit("Change "+noun(o.kind)+" license", d, nil)
	w := *c
	w.opts = options{}
	return w.one(d)
}

// strong reports whether a password is of eight characters at least, and of three of four kinds.
// Source: Microsoft Entra documentation, "Password policies and account restrictions".
func strong(password string) bool {
	kinds := 0
	for _, of := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "@#$%^&*-_!+=[]{}|\\:',.?/`~\"();<> "} {
		if strings.ContainsAny(password, of) {
			kinds++
		}
	}
	return len(password) >= 8 && len(password) <= 256 && kinds >= 3
}
