package emulator

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// These are the rules of Conditional Access, authentication methods, roles
// and domains.

func securityDefaultsOn() *refusal {
	return bad("1002: Security Defaults is enabled in the tenant. You must disable Security defaults before enabling a Conditional Access policy.")
}

// policyUsing returns a live policy that uses a location or a strength.
func (t *Tenant) policyUsing(what, id string) *object {
	var found *object
	t.each(kPolicy, func(p *object) bool {
		if !p.live() {
			return true
		}
		used := false
		if what == "strength" {
			used = sub(sub(p.p["grantControls"])["authenticationStrength"])["id"] == id
		} else {
			l := sub(sub(p.p["conditions"])["locations"])
			used = slices.Contains(texts(l["includeLocations"]), id) || slices.Contains(texts(l["excludeLocations"]), id)
		}
		if used {
			found = p
		}
		return found == nil
	})
	return found
}

func (c *call) newPolicy(o *object) error {
	typ := c.t.schema.Types["conditionalAccessPolicy"]
	cond := sub(o.p["conditions"])
	switch {
	case cond == nil:
		return missing(typ, "conditions")
	case cond["applications"] == nil:
		return missing(typ, "conditions.applications")
	case cond["users"] == nil && cond["clientApplications"] == nil:
		return missing(typ, "conditions.users")
	case len(asList(cond["clientAppTypes"])) == 0:
		return missing(typ, "conditions.clientAppTypes")
	}
	if n := c.t.countLive(kPolicy, func(*object) bool { return true }); n >= 240 {
		return refuse(403, "Directory_QuotaExceeded", "The maximum number of Conditional Access policies has been reached.")
	}
	full := emptyConditions()
	maps.Copy(full, cond)
	o.p["conditions"] = fillConditions(full)
	fillGrant(o.p)
	o.p["createdDateTime"], o.p["modifiedDateTime"] = precise(c), nil
	return c.checkPolicy(o, func(string) bool { return true })
}

func precise(c *call) string { return c.t.clock().Format("2006-01-02T15:04:05.0000000Z") }

// fillConditions adds the collections a caller may leave out.
func fillConditions(cond map[string]any) map[string]any {
	fill := func(name string, lists ...string) {
		m := sub(cond[name])
		if m == nil {
			return
		}
		m = maps.Clone(m)
		for _, l := range lists {
			if m[l] == nil {
				m[l] = []any{}
			}
		}
		cond[name] = m
	}
	fill("users", "includeUsers", "excludeUsers", "includeGroups", "excludeGroups", "includeRoles", "excludeRoles")
	fill("applications", "includeApplications", "excludeApplications", "includeUserActions", "includeAuthenticationContextClassReferences")
	fill("clientApplications", "includeServicePrincipals", "excludeServicePrincipals")
	fill("locations", "includeLocations", "excludeLocations")
	fill("platforms", "includePlatforms", "excludePlatforms")
	for _, name := range []string{"users"} {
		m := sub(cond[name])
		for _, k := range []string{"includeGuestsOrExternalUsers", "excludeGuestsOrExternalUsers"} {
			if m != nil {
				if _, ok := m[k]; !ok {
					m[k] = nil
				}
			}
		}
	}
	if m := sub(cond["applications"]); m != nil {
		if _, ok := m["applicationFilter"]; !ok {
			m["applicationFilter"] = nil
		}
	}
	return cond
}

func fillGrant(p map[string]any) {
	if g := sub(p["grantControls"]); g != nil {
		g = maps.Clone(g)
		for _, l := range []string{"builtInControls", "customAuthenticationFactors", "termsOfUse"} {
			if g[l] == nil {
				g[l] = []any{}
			}
		}
		if _, ok := g["authenticationStrength"]; !ok {
			g["authenticationStrength"] = nil
		}
		p["grantControls"] = g
	}
	if s := sub(p["sessionControls"]); s != nil {
		s = maps.Clone(s)
		for _, k := range []string{"applicationEnforcedRestrictions", "cloudAppSecurity", "disableResilienceDefaults", "persistentBrowser", "secureSignInSession", "signInFrequency"} {
			if _, ok := s[k]; !ok {
				s[k] = nil
			}
		}
		p["sessionControls"] = s
	}
}

// changePolicy applies a PATCH to a policy. The reference patches a single
// condition and says that the others keep their value, so conditions merge at
// their first level; below that, and for grantControls and sessionControls,
// the value sent replaces the value there, and only an explicit null clears.
func (c *call) changePolicy(o, d *object, in checked) error {
	if err := c.allow(kPolicy, true); err != nil {
		return err
	}
	for _, k := range []string{"grantControls", "sessionControls"} {
		if v, ok := in.p[k]; ok {
			d.p[k] = v
		}
	}
	if v, ok := in.p["conditions"]; ok {
		full := maps.Clone(sub(o.p["conditions"]))
		maps.Copy(full, sub(v))
		d.p["conditions"] = fillConditions(full)
	}
	fillGrant(d.p)
	if o.managed {
		for k := range in.p {
			if k != "state" && k != "conditions" {
				return bad("Only the state and the exclusions of a policy managed by Microsoft can be changed.")
			}
		}
		strip := func(v any) any {
			m := deepCopy(v)
			u := sub(sub(m)["users"])
			for _, k := range []string{"excludeUsers", "excludeGroups", "excludeRoles", "excludeGuestsOrExternalUsers"} {
				delete(u, k)
			}
			return m
		}
		if !sameJSON(strip(o.p["conditions"]), strip(d.p["conditions"])) {
			return bad("Only the state and the exclusions of a policy managed by Microsoft can be changed.")
		}
	}
	d.p["modifiedDateTime"] = precise(c)
	return c.checkPolicy(d, func(property string) bool { _, ok := in.p[property]; return ok })
}

// checkPolicy checks a policy as it would be, and whether what a request says of it names something: what a policy
// named before and is gone since stays in it.
func (c *call) checkPolicy(o *object, said func(property string) bool) error {
	t := c.t
	p := o.p
	cond, grant, session := sub(p["conditions"]), sub(p["grantControls"]), sub(p["sessionControls"])
	if text(p["displayName"]) == "" {
		return bad("1004: displayName must not be empty.")
	}
	if p["state"] == "enabled" && flag(t.get(defaultsID).p["isEnabled"]) {
		return securityDefaultsOn()
	}
	empty := func(m map[string]any) bool {
		for _, v := range m {
			if a, ok := v.([]any); ok && len(a) > 0 || !ok && v != nil && v != false {
				return false
			}
		}
		return true
	}
	if grant != nil {
		if op := grant["operator"]; op != "AND" && op != "OR" {
			return bad("1008: grantControls needs the operator AND or OR.")
		}
		g := maps.Clone(grant)
		delete(g, "operator")
		if empty(g) {
			return bad("1085: grantControls has no control; send null instead.")
		}
	}
	if session != nil {
		if empty(session) {
			return bad("1085: sessionControls is malformed: an object without any control; send null instead.")
		}
		for k, v := range session {
			if m := sub(v); m != nil && m["isEnabled"] != true {
				return bad("1085: session control %s is not enabled; send null instead.", k)
			}
		}
	}
	if grant == nil && session == nil {
		return bad("1007: At least one of grantControls and sessionControls is required.")
	}
	if len(asList(cond["clientAppTypes"])) == 0 {
		return bad("1032: clientAppTypes must not be empty.")
	}
	users, apps := sub(cond["users"]), sub(cond["applications"])
	if apps == nil {
		return bad("1011: conditions.applications is required.")
	}
	if users == nil && sub(cond["clientApplications"]) == nil {
		return bad("1010: conditions.users or conditions.clientApplications is required.")
	}
	if users != nil && len(asList(users["includeUsers"]))+len(asList(users["includeGroups"]))+len(asList(users["includeRoles"])) == 0 && users["includeGuestsOrExternalUsers"] == nil {
		return bad("1010: The policy includes no users.")
	}
	if len(asList(apps["includeApplications"]))+len(asList(apps["includeUserActions"]))+len(asList(apps["includeAuthenticationContextClassReferences"])) == 0 && apps["applicationFilter"] == nil {
		return bad("1011: The policy includes no applications.")
	}
	refs := func(in string, m map[string]any, name, number, what string, ok func(string) bool) error {
		for _, id := range texts(m[name]) {
			if said(in) && !ok(id) {
				return bad("%s: Invalid %s value: %s", number, what, id)
			}
		}
		return nil
	}
	is := func(k kindID, special ...string) func(string) bool {
		return func(id string) bool {
			return slices.Contains(special, id) || t.liveOf(id, k) != nil
		}
	}
	role := func(id string) bool {
		r := t.liveOf(id, kRoleDef)
		return r != nil
	}
	app := func(special ...string) func(string) bool {
		return func(id string) bool { return slices.Contains(special, id) || t.spByAppID(id, true) != nil }
	}
	clients, locations := sub(cond["clientApplications"]), sub(cond["locations"])
	for _, err := range []error{
		refs("conditions", users, "includeUsers", "1020", "user", is(kUser, "All", "None", "GuestsOrExternalUsers")), refs("conditions", users, "excludeUsers", "1020", "user", is(kUser, "GuestsOrExternalUsers")),
		refs("conditions", users, "includeGroups", "1021", "group", is(kGroup)), refs("conditions", users, "excludeGroups", "1021", "group", is(kGroup)),
		refs("conditions", users, "includeRoles", "1022", "role", role), refs("conditions", users, "excludeRoles", "1022", "role", role),
		refs("conditions", apps, "includeApplications", "1054", "servicePrincipal", app("All", "None", "Office365", "MicrosoftAdminPortals")), refs("conditions", apps, "excludeApplications", "1054", "servicePrincipal", app("Office365", "MicrosoftAdminPortals")),
		refs("conditions", apps, "includeUserActions", "1055", "user action", func(s string) bool {
			return s == "urn:user:registersecurityinfo" || s == "urn:user:registerdevice"
		}),
		refs("conditions", apps, "includeAuthenticationContextClassReferences", "1056", "authentication context", func(id string) bool {
			return t.get(id).live() && t.get(id).typ == "authenticationContextClassReference"
		}),
		refs("conditions", clients, "includeServicePrincipals", "1054", "servicePrincipal", is(kSP, "ServicePrincipalsInMyTenant")), refs("conditions", clients, "excludeServicePrincipals", "1054", "servicePrincipal", is(kSP)),
		refs("conditions", locations, "includeLocations", "1040", "location", is(kLocation, "All", "AllTrusted", zeroGUID)), refs("conditions", locations, "excludeLocations", "1040", "location", is(kLocation, "AllTrusted", zeroGUID)),
		refs("grantControls", grant, "termsOfUse", "1060", "terms of use", func(string) bool { return false }), refs("grantControls", grant, "customAuthenticationFactors", "1061", "custom control", func(string) bool { return false }),
	} {
		if err != nil {
			return err
		}
	}
	if n := len(asList(apps["includeApplications"])) + len(asList(apps["excludeApplications"])); n > 250 {
		return bad("1057: A policy names at most 250 applications.")
	}
	strength := text(sub(grant["authenticationStrength"])["id"])
	if strength != "" && said("grantControls") && t.liveOf(strength, kStrength) == nil {
		return bad("1070: Invalid authentication strength: %s", strength)
	}
	controls := texts(grant["builtInControls"])
	has := func(s string) bool { return slices.Contains(controls, s) }
	switch {
	case has("block") && (len(controls) > 1 || strength != ""):
		return bad("1080: The block control cannot be combined with other controls.")
	case has("mfa") && strength != "":
		return bad("1081: The mfa control and an authentication strength exclude each other.")
	case cond["authenticationFlows"] != nil && (len(controls) != 1 || !has("block") || session != nil):
		return bad("1235: A policy with authenticationFlows accepts only the block control and no session controls.")
	case has("passwordChange"):
		other := cond["locations"] != nil || cond["platforms"] != nil || cond["devices"] != nil || len(asList(cond["signInRiskLevels"])) > 0 || !slices.Equal(texts(cond["clientAppTypes"]), []string{"all"})
		if !has("mfa") || grant["operator"] != "AND" || len(asList(cond["userRiskLevels"])) == 0 || !slices.Contains(texts(apps["includeApplications"]), "All") || other {
			return bad("1082: The passwordChange control needs mfa with AND, user risk levels, all applications and no other condition.")
		}
	}
	return nil
}

func (c *call) checkLocation(o *object) error {
	if text(o.p["displayName"]) == "" {
		return bad("1077: displayName must not be empty.")
	}
	if o.typ == "ipNamedLocation" {
		ranges := subs(o.p["ipRanges"])
		if len(ranges) == 0 || len(ranges) > 2000 {
			return bad("1077: Between 1 and 2000 ipRanges are required.")
		}
		for _, r := range ranges {
			typ := text(r["@odata.type"])
			if !strings.HasSuffix(typ, "CidrRange") {
				continue
			}
			n, err := netip.ParsePrefix(text(r["cidrAddress"]))
			if err != nil || n.Addr().Is4() != strings.Contains(typ, "iPv4") {
				return bad("1077: Invalid IP range: %s", text(r["cidrAddress"]))
			}
		}
		return nil
	}
	countries := texts(o.p["countriesAndRegions"])
	if len(countries) == 0 && !flag(o.p["includeUnknownCountriesAndRegions"]) {
		return bad("1077: countriesAndRegions must not be empty.")
	}
	for _, s := range countries {
		if len(s) != 2 || strings.ToUpper(s) != s {
			return bad("1077: Invalid country: %s", s)
		}
	}
	if v, ok := o.p["countryLookupMethod"]; ok && v == nil {
		return bad("1077: countryLookupMethod must not be empty.")
	}
	return nil
}

func (c *call) newLocation(o *object) error {
	if o.typ == "ipNamedLocation" {
		if o.p["ipRanges"] == nil {
			return missing(c.t.schema.Types[o.typ], "ipRanges")
		}
		if o.p["isTrusted"] == nil {
			o.p["isTrusted"] = false
		}
	} else {
		if o.p["countriesAndRegions"] == nil {
			return missing(c.t.schema.Types[o.typ], "countriesAndRegions")
		}
		if _, ok := o.p["countryLookupMethod"]; !ok {
			o.p["countryLookupMethod"] = "clientIpAddress"
		}
		if o.p["includeUnknownCountriesAndRegions"] == nil {
			o.p["includeUnknownCountriesAndRegions"] = false
		}
	}
	if c.t.countLive(kLocation, func(x *object) bool { return x.typ == o.typ }) >= 195 {
		return refuse(403, "Directory_QuotaExceeded", "The maximum number of named locations has been reached.")
	}
	o.p["createdDateTime"], o.p["modifiedDateTime"] = precise(c), precise(c)
	return c.checkLocation(o)
}

func (c *call) changeLocation(d *object, _ checked) error {
	if err := c.allow(kLocation, true); err != nil {
		return err
	}
	d.p["modifiedDateTime"] = precise(c)
	return c.checkLocation(d)
}

func checkCombinations(v any) error {
	if len(asList(v)) == 0 {
		return bad("allowedCombinations must not be empty.")
	}
	return nil
}

func (c *call) newStrength(o *object) error {
	if c.t.countLive(kStrength, func(x *object) bool { return !x.managed }) >= 15 {
		return refuse(403, "Directory_QuotaExceeded", "The maximum number of authentication strengths has been reached.")
	}
	o.p["policyType"], o.p["requirementsSatisfied"] = "custom", satisfies(o.p["allowedCombinations"])
	o.p["createdDateTime"], o.p["modifiedDateTime"] = precise(c), precise(c)
	return checkCombinations(o.p["allowedCombinations"])
}

// combinationKinds are what combinations of authentication strengths are restricted to.
func combinationKinds() []*family {
	const path = "combinationConfigurations"
	of := map[string]string{"fido2CombinationConfiguration": "fido2", "x509CertificateCombinationConfiguration": "x509Certificate"}
	check := func(c *call, o *object) error {
		in := c.t.get(text(o.p["_parent"]))
		if in.managed {
			return bad("Built-in authentication strength policies cannot be changed.")
		}
		for _, name := range texts(o.p["appliesToCombinations"]) {
			if !strings.HasPrefix(name, of[o.typ]) || !slices.Contains(texts(in.p["allowedCombinations"]), name) {
				return bad("The combination '%s' cannot be configured here.", name)
			}
			for _, x := range liveOnly(c.t.joined(o.kind, "_parent", in.id)) {
				if x.id != o.id && slices.Contains(texts(x.p["appliesToCombinations"]), name) {
					return bad("The combination '%s' is configured already.", name)
				}
			}
		}
		if len(asList(o.p["appliesToCombinations"])) == 0 {
			return bad("appliesToCombinations must not be empty.")
		}
		return nil
	}
	return []*family{{
		path: path, under: "policies/authenticationStrengthPolicies", types: []string{"fido2CombinationConfiguration", "x509CertificateCombinationConfiguration"}, noun: "authentication strength", verbs: "POST PATCH DELETE", full: true,
		access: accessOf(kStrength),
		create: func(c *call, o *object, _ checked) error { return check(c, o) },
		change: func(c *call, _, d *object, _ checked) error { return check(c, d) },
		seed: func(t *Tenant, born string) {
			if t.o.Every {
				t.seed(kStrength, "authenticationStrengthPolicy", "", map[string]any{"displayName": "Suppliers with keys", "description": "Suppliers with keys", "policyType": "custom", "requirementsSatisfied": "mfa",
					"createdDateTime": born, "modifiedDateTime": born, "allowedCombinations": list("fido2")})
			}
			for _, s := range t.first(kStrength, samples) {
				combinations := texts(s.p["allowedCombinations"])
				if t.o.Every && slices.Contains(combinations, "fido2") {
					t.plant("policies/authenticationStrengthPolicies/{}/"+path, "", map[string]any{"_parent": s.id, "@odata.type": "#microsoft.graph.fido2CombinationConfiguration",
						"appliesToCombinations": list("fido2"), "allowedAAGUIDs": list("486be96f-5c3a-4b9b-9a0c-2f1a54c6ba5e", "a4e9fc6d-4cbe-4758-b8ba-37598bb5bbaa")})
				}
				if t.o.Every && slices.Contains(combinations, "x509CertificateMultiFactor") {
					t.plant("policies/authenticationStrengthPolicies/{}/"+path, "", map[string]any{"_parent": s.id, "@odata.type": "#microsoft.graph.x509CertificateCombinationConfiguration",
						"appliesToCombinations": list("x509CertificateMultiFactor"), "allowedIssuerSkis": list("9A4248C6AC8C2931AB2A86537818E92E7B6C97B6"), "allowedPolicyOIDs": list("1.2.3.4.6")})
				}
			}
		},
	}}
}

// satisfies computes whether every combination is multifactor.
func satisfies(v any) string {
	for _, s := range texts(v) {
		if !strings.Contains(s, ",") && slices.Contains([]string{"password", "voice", "hardwareOath", "softwareOath", "sms", "email", "x509CertificateSingleFactor", "federatedSingleFactor", "microsoftAuthenticatorPush", "qrCodePin"}, s) {
			return "none"
		}
	}
	return "mfa"
}

func (c *call) policiesWith(strength string) (mfa, other []any) {
	mfa = []any{}
	c.t.each(kPolicy, func(p *object) bool {
		if p.live() && sub(sub(p.p["grantControls"])["authenticationStrength"])["id"] == strength {
			mfa = append(mfa, map[string]any{"id": p.id, "displayName": p.p["displayName"], "state": p.p["state"]})
		}
		return true
	})
	return mfa, []any{}
}

func (c *call) strengthUsage(o *object) (answer, error) {
	mfa, none := c.policiesWith(o.id)
	return answer{status: 200, body: appendValue(nil, map[string]any{"@odata.context": c.context("microsoft.graph.authenticationStrengthUsage", false), "mfa": mfa, "none": none})}, nil
}

func (c *call) updateCombinations(o *object) (answer, error) {
	if err := c.allow(kStrength, true); err != nil {
		return answer{}, err
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	if o.managed {
		return answer{}, bad("Built-in authentication strength policies cannot be changed.")
	}
	if len(body) != 1 || body["allowedCombinations"] == nil {
		return answer{}, bad("The parameter allowedCombinations is required.")
	}
	if err := c.checkValue("microsoft.graph.authenticationMethodModes", true, body["allowedCombinations"], "allowedCombinations", c.t.schema.Types[o.typ]); err != nil {
		return answer{}, err
	}
	if err := checkCombinations(body["allowedCombinations"]); err != nil {
		return answer{}, err
	}
	d := o.clone()
	d.p["allowedCombinations"], d.p["requirementsSatisfied"], d.p["modifiedDateTime"] = body["allowedCombinations"], satisfies(body["allowedCombinations"]), precise(c)
	c.t.put(d, []string{"allowedCombinations"})
	c.audit("Update "+noun(kStrength), d, changes(o.p, d.p, []string{"allowedCombinations"}))
	mfa, _ := c.policiesWith(o.id)
	return answer{status: 200, body: appendValue(nil, map[string]any{"@odata.context": c.context("microsoft.graph.updateAllowedCombinationsResult", false), "additionalInformation": "", "conditionalAccessReferences": mfa,
		"currentCombinations": d.p["allowedCombinations"], "previousCombinations": o.p["allowedCombinations"]})}, nil
}

func (c *call) changeMethod(d *object) error {
	if err := c.allow(kMethod, true); err != nil {
		return err
	}
	p := d.p
	for _, x := range append(subs(p["includeTargets"]), subs(p["excludeTargets"])...) {
		if text(x["id"]) == "" || x["targetType"] == nil {
			return bad("A target needs an id and a targetType.")
		}
	}
	switch d.typ {
	case "temporaryAccessPassAuthenticationMethodConfiguration":
		length, _ := number(p["defaultLength"])
		least, _ := number(p["minimumLifetimeInMinutes"])
		usual, _ := number(p["defaultLifetimeInMinutes"])
		most, _ := number(p["maximumLifetimeInMinutes"])
		if length < 8 || length > 48 {
			return bad("defaultLength must be between 8 and 48.")
		}
		if least < 10 || most > 43200 || least > usual || usual > most {
			return bad("The lifetimes must be between 10 and 43200 minutes, the default between the minimum and the maximum.")
		}
	case "x509CertificateAuthenticationMethodConfiguration":
		seen := map[int]bool{}
		for _, b := range subs(p["certificateUserBindings"]) {
			n, _ := number(b["priority"])
			if seen[n] {
				return bad("The priority of a certificate user binding must be unique.")
			}
			seen[n] = true
		}
	}
	return nil
}

func (c *call) changeDefaults(d *object) error {
	if flag(d.p["isEnabled"]) && c.t.countLive(kPolicy, func(p *object) bool { return p.p["state"] == "enabled" }) > 0 {
		return bad("Security Defaults cannot be enabled while a Conditional Access policy is enabled.")
	}
	return nil
}

func (c *call) newDomain(o *object) error {
	id := strings.ToLower(text(o.p["id"]))
	if id == "" || len(o.p) != 1 || !strings.Contains(id, ".") {
		return bad("A domain is created with its id, a domain name, and nothing else.")
	}
	if c.t.get(id) != nil {
		return refuse(409, "ObjectConflict", "Domain already exists in the directory.")
	}
	_, parent, _ := strings.Cut(id, ".")
	root := c.t.get(parent)
	verified := root.live() && root.kind == kDomain && flag(root.p["isVerified"])
	o.id = id
	maps.Copy(o.p, map[string]any{"authenticationType": "Managed", "isAdminManaged": true, "isDefault": false, "isInitial": false, "isRoot": !verified, "isVerified": verified, "supportedServices": []any{}})
	return nil
}

func (c *call) changeDomain(o, d *object, in checked) error {
	if err := c.allow(kDomain, true); err != nil {
		return err
	}
	if !flag(o.p["isVerified"]) {
		return bad("Only verified domains can be updated.")
	}
	if v, ok := in.p["isDefault"]; ok {
		if v != true && flag(o.p["isDefault"]) {
			return bad("A default domain is required: make another domain the default instead.")
		}
		if v == true {
			for _, id := range c.t.order[kDomain] {
				if x := c.t.get(id); x.live() && x.id != o.id && flag(x.p["isDefault"]) {
					y := x.clone()
					y.p["isDefault"] = false
					c.t.put(y, []string{"isDefault"})
				}
			}
		}
	}
	for _, n := range []string{"passwordValidityPeriodInDays", "passwordNotificationWindowInDays"} {
		if _, ok := in.p[n]; ok && !flag(o.p["isRoot"]) {
			return bad("Property '%s' can only be set on root domains.", n)
		}
	}
	for _, s := range texts(in.p["supportedServices"]) {
		if !slices.Contains([]string{"Email", "OfficeCommunicationsOnline", "Yammer"}, s) && !slices.Contains(texts(o.p["supportedServices"]), s) {
			return bad("The service '%s' cannot be changed.", s)
		}
	}
	return nil
}

func (c *call) checkRoleDef(o *object) error {
	if text(o.p["displayName"]) == "" {
		return bad("Invalid value specified for property 'displayName' of resource 'UnifiedRoleDefinition'.")
	}
	if c.t.taken(kRoleDef, o, func(x *object) bool { return x.live() && x.p["displayName"] == o.p["displayName"] }) {
		return conflict("displayName")
	}
	if len(subs(o.p["rolePermissions"])) == 0 {
		return bad("rolePermissions must not be empty.")
	}
	for _, r := range subs(o.p["rolePermissions"]) {
		for _, a := range texts(r["allowedResourceActions"]) {
			if parts := strings.Split(a, "/"); len(parts) < 3 || parts[0] != "microsoft.directory" || slices.Contains(parts, "") {
				return bad("Action '%s' is not supported for custom roles.", a)
			}
		}
		if len(asList(r["allowedResourceActions"])) == 0 {
			return bad("rolePermissions must allow an action.")
		}
		if r["condition"] != nil || len(asList(r["excludedResourceActions"])) > 0 {
			return bad("condition and excludedResourceActions are not supported for custom roles.")
		}
	}
	return nil
}

func (c *call) newRoleDef(o *object) error {
	if s, ok := o.p["resourceScopes"]; ok && !sameJSON(s, list("/")) {
		return bad("resourceScopes can only be '/'.")
	}
	o.p["resourceScopes"], o.p["isBuiltIn"] = list("/"), false
	if id := o.p["templateId"]; id == nil {
		o.p["templateId"] = o.id
	} else if !isGUID(text(id)) || c.t.taken(kRoleDef, o, func(x *object) bool { return x.p["templateId"] == id }) {
		return conflict("templateId")
	}
	if c.t.countLive(kRoleDef, func(x *object) bool { return !x.managed }) >= 100 {
		return refuse(403, "Directory_QuotaExceeded", "The maximum number of custom roles has been reached.")
	}
	return c.checkRoleDef(o)
}

func (c *call) changeRoleDef(o, d *object, _ checked) error {
	if err := c.allow(kRoleDef, true); err != nil {
		return err
	}
	if o.managed {
		return bad("Built-in role definitions cannot be changed.")
	}
	return c.checkRoleDef(d)
}

func (c *call) newRoleAssignment(o *object) error {
	p := o.p
	t := c.t
	typ := t.schema.Types["unifiedRoleAssignment"]
	if p["appScopeId"] != nil {
		return bad("The scope '%s' does not exist.", text(p["appScopeId"]))
	}
	scope := text(p["directoryScopeId"])
	if scope == "" {
		return missing(typ, "directoryScopeId")
	}
	role := t.liveOf(text(p["roleDefinitionId"]), kRoleDef)
	if role == nil {
		t.each(kRoleDef, func(x *object) bool {
			if x.live() && x.p["templateId"] == p["roleDefinitionId"] {
				role = x
			}
			return role == nil
		})
	}
	if role == nil {
		return notFound(text(p["roleDefinitionId"]))
	}
	if !flag(role.p["isEnabled"]) {
		return bad("The role definition is disabled and cannot be assigned.")
	}
	p["roleDefinitionId"] = role.id
	who, err := c.reachable(text(p["principalId"]))
	if err != nil {
		return err
	}
	switch who.kind {
	case kUser, kSP:
	case kGroup:
		if !flag(who.p["isAssignableToRole"]) {
			return bad("The group is not role-assignable.")
		}
	default:
		return bad("The principal must be a user, a role-assignable group or a service principal.")
	}
	p["principalId"] = who.id
	if scope != "/" {
		unit, isUnit := strings.CutPrefix(scope, "/administrativeUnits/")
		id := strings.TrimPrefix(scope, "/")
		ok := false
		if isUnit {
			ok = t.liveOf(unit, kUnit) != nil
		} else {
			ok = t.liveOf(id, kApp, kSP, kUser, kGroup) != nil
		}
		if !ok {
			return notFound(scope)
		}
	}
	n := 0
	for _, x := range t.joined(kRoleAssignment, "principalId", who.id) {
		if x.p["roleDefinitionId"] == role.id && x.p["directoryScopeId"] == scope {
			return bad("A conflicting object with one or more of the specified property values is present in the directory.")
		}
		if d := t.get(text(x.p["roleDefinitionId"])); d != nil && !d.managed {
			n++
		}
	}
	if !role.managed && n >= 150 {
		return refuse(403, "Directory_QuotaExceeded", "The maximum number of custom role assignments of the principal has been reached.")
	}
	p["principalOrganizationId"] = t.id
	o.id = linkID(role.id, t.fresh(kKey))
	return nil
}
