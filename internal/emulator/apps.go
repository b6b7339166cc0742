package emulator

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// These are the rules of applications, service principals and grants.

func (c *call) checkApp(o, old *object, in map[string]any) error {
	p := o.p
	if text(p["displayName"]) == "" {
		return bad("Invalid value specified for property 'displayName' of resource 'Application'.")
	}
	if err := oneOf(in, "application", "signInAudience", "AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"); err != nil {
		return err
	}
	personal := strings.Contains(text(p["signInAudience"]), "Personal")
	if v, ok := number(sub(p["api"])["requestedAccessTokenVersion"]); personal && (!ok || v != 2) {
		return bad("Property api.requestedAccessTokenVersion must be 2 for this signInAudience.")
	} else if ok && v != 1 && v != 2 {
		return bad("Property api.requestedAccessTokenVersion is invalid.")
	}
	if p["samlMetadataUrl"] != nil && p["signInAudience"] != "AzureADMyOrg" {
		return bad("samlMetadataUrl is only supported for single tenant applications.")
	}
	if s, ok := in["groupMembershipClaims"].(string); ok {
		for x := range strings.SplitSeq(s, ",") {
			if !slices.Contains([]string{"None", "SecurityGroup", "DirectoryRole", "ApplicationGroup", "All"}, strings.TrimSpace(x)) {
				return bad("Invalid value specified for property 'groupMembershipClaims' of resource 'Application'.")
			}
		}
	}
	for _, u := range texts(in["identifierUris"]) {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Scheme == "" || parsed.Host == "" {
			return bad("Values of identifierUris property must be valid absolute URIs: %s", u)
		}
		d := c.t.get(strings.ToLower(parsed.Host))
		verified := d.live() && d.kind == kDomain && flag(d.p["isVerified"])
		if !strings.EqualFold(parsed.Host, text(p["appId"])) && !verified {
			return bad("Values of identifierUris property must use a verified domain of the organization or its subdomain: '%s'", u)
		}
		if c.t.taken(kApp, o, func(x *object) bool { return slices.Contains(texts(x.p["identifierUris"]), u) }) {
			return conflict("identifierUris")
		}
	}
	uris := map[string]string{}
	for _, k := range []string{"web", "spa", "publicClient"} {
		for _, u := range texts(sub(p[k])["redirectUris"]) {
			if at, dup := uris[u]; dup {
				return bad("The redirect URI '%s' is used in both %s and %s.", u, at, k)
			}
			uris[u] = k
		}
	}
	ids, values := map[string]bool{}, map[string]bool{}
	for _, r := range subs(p["appRoles"]) {
		id, value := text(r["id"]), text(r["value"])
		if id == "" || ids[id] || value != "" && values[value] {
			return bad("Property appRoles contains duplicate or missing ids or values.")
		}
		ids[id], values[value] = true, true
		kinds := texts(r["allowedMemberTypes"])
		if len(kinds) == 0 || slices.ContainsFunc(kinds, func(s string) bool { return s != "User" && s != "Application" }) {
			return bad("Property appRoles.allowedMemberTypes is invalid.")
		}
		if len(value) > 120 || strings.Contains(value, " ") {
			return bad("Property appRoles.value is invalid.")
		}
	}
	values = map[string]bool{}
	for _, s := range subs(sub(p["api"])["oauth2PermissionScopes"]) {
		id, value := text(s["id"]), text(s["value"])
		if id == "" || ids[id] || values[value] && value != "" {
			return bad("Property api.oauth2PermissionScopes contains duplicate or missing ids or values.")
		}
		ids[id], values[value] = true, true
		if k := s["type"]; k != nil && k != "User" && k != "Admin" {
			return bad("Property api.oauth2PermissionScopes.type is invalid.")
		}
	}
	total := 0
	need := subs(p["requiredResourceAccess"])
	for _, r := range need {
		total += len(asList(r["resourceAccess"]))
	}
	if len(need) > 50 || total > 400 {
		return bad("Property requiredResourceAccess exceeds the maximum of 50 resources and 400 permissions.")
	}
	for _, r := range need {
		for _, a := range subs(r["resourceAccess"]) {
			if t := a["type"]; t != "Role" && t != "Scope" {
				return bad("Property requiredResourceAccess.resourceAccess.type is invalid.")
			}
		}
	}
	for _, k := range texts(sub(in["api"])["knownClientApplications"]) {
		if c.t.get(c.t.appID[strings.ToLower(k)]) == nil {
			return bad("Property api.knownClientApplications references application '%s' that cannot be found.", k)
		}
	}
	for _, k := range subs(sub(in["api"])["preAuthorizedApplications"]) {
		id := strings.ToLower(text(k["appId"]))
		if c.t.get(c.t.appID[id]) == nil && c.t.spByAppID(id, true) == nil {
			return bad("Property api.preAuthorizedApplications references application '%s' that cannot be found.", id)
		}
	}
	return c.checkKeys(o, old, in)
}

// checkKeys resolves keyCredentials: an entry sent back without its key keeps
// the key it has, a new one gets its names from the certificate.
func (c *call) checkKeys(o, old *object, in map[string]any) error {
	if _, ok := in["keyCredentials"]; ok {
		out := []any{}
		for _, k := range subs(in["keyCredentials"]) {
			k = maps.Clone(k)
			if k["key"] == nil {
				i := -1
				var have []map[string]any
				if old != nil {
					have = subs(old.p["keyCredentials"])
					i = slices.IndexFunc(have, func(x map[string]any) bool { return x["keyId"] == k["keyId"] && k["keyId"] != nil })
				}
				if i < 0 {
					return bad("Property keyCredentials.key is required for a new key.")
				}
				k["key"] = have[i]["key"]
			}
			if k["type"] == nil || k["usage"] == nil {
				return bad("Property keyCredentials needs type and usage.")
			}
			if k["keyId"] == nil {
				if err := c.newKey(k); err != nil {
					return err
				}
			}
			out = append(out, k)
		}
		o.p["keyCredentials"] = out
	}
	if id := o.p["tokenEncryptionKeyId"]; id != nil && !slices.ContainsFunc(subs(o.p["keyCredentials"]), func(k map[string]any) bool { return k["keyId"] == id }) {
		return bad("Property tokenEncryptionKeyId must be the keyId of a present keyCredential.")
	}
	return nil
}

// newKey completes a certificate that is new to its object.
func (c *call) newKey(k map[string]any) error {
	k["keyId"] = c.t.fresh(kKey)
	if k["type"] != "AsymmetricX509Cert" {
		return nil
	}
	der, err := base64.StdEncoding.DecodeString(text(k["key"]))
	if err != nil {
		return bad("Property keyCredentials.key is not valid.")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return bad("Key credential certificate is invalid.")
	}
	sum := sha1.Sum(cert.Raw)
	for name, v := range map[string]string{"startDateTime": stamp(cert.NotBefore), "endDateTime": stamp(cert.NotAfter), "customKeyIdentifier": base64.StdEncoding.EncodeToString(sum[:])} {
		if k[name] == nil {
			k[name] = v
		}
	}
	if end, err := time.Parse(time.RFC3339, text(k["endDateTime"])); err != nil || end.After(cert.NotAfter) {
		return bad("Key credential end date is invalid.")
	}
	return nil
}

func (c *call) newApp(o *object, in checked) ([]func(), error) {
	p := in.p
	p["appId"] = c.t.fresh(kAppID)
	if p["signInAudience"] == nil {
		p["signInAudience"] = "AzureADMyOrg"
	}
	p["createdDateTime"], p["publisherDomain"] = stamp(c.t.clock()), c.t.pop.domain
	for k, v := range map[string]any{
		"api":          map[string]any{"acceptMappedClaims": nil, "knownClientApplications": []any{}, "oauth2PermissionScopes": []any{}, "preAuthorizedApplications": []any{}, "requestedAccessTokenVersion": nil},
		"web":          map[string]any{"homePageUrl": nil, "logoutUrl": nil, "redirectUris": []any{}, "implicitGrantSettings": map[string]any{"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false}, "redirectUriSettings": []any{}},
		"spa":          map[string]any{"redirectUris": []any{}},
		"publicClient": map[string]any{"redirectUris": []any{}},
		"info":         map[string]any{"logoUrl": nil, "marketingUrl": nil, "privacyStatementUrl": nil, "supportUrl": nil, "termsOfServiceUrl": nil},
	} {
		d := maps.Clone(v.(map[string]any))
		merge(d, sub(p[k]))
		p[k] = d
	}
	for _, w := range subs(p["passwordCredentials"]) {
		for k := range w {
			if k != "displayName" && k != "endDateTime" && k != "startDateTime" {
				return nil, bad("Property passwordCredentials can only be created with a displayName.")
			}
		}
	}
	if a, ok := p["passwordCredentials"].([]any); ok {
		for i, w := range a {
			a[i] = c.secret(sub(w))
		}
	}
	if err := c.checkApp(o, nil, p); err != nil {
		return nil, err
	}
	links, err := c.bind(o, in.binds, map[string]relID{"owners": rOwners})
	if err != nil {
		return nil, err
	}
	if c.actor.kind == "user" && len(in.binds["owners"]) == 0 {
		if u := c.t.liveOf(c.actor.id, kUser); u != nil {
			links = append(links, func() { c.t.link(o, rOwners, u.id) })
		}
	}
	return links, nil
}

// secret makes a password credential; its text is kept so that it works at
// the token endpoint, and is never read back.
func (c *call) secret(in map[string]any) map[string]any {
	now := c.t.clock()
	text := "s" + strings.ReplaceAll(c.t.fresh(kKey), "-", "~")
	w := map[string]any{"customKeyIdentifier": nil, "displayName": in["displayName"], "startDateTime": stamp(now), "endDateTime": stamp(now.Add(2 * 365 * 24 * time.Hour)), "hint": text[:3], "keyId": c.t.fresh(kKey), "secretText": text}
	for _, k := range []string{"startDateTime", "endDateTime"} {
		if in[k] != nil {
			w[k] = in[k]
		}
	}
	return w
}

func (c *call) changeApp(o, d *object, in checked) error {
	if err := c.allow(kApp, true); err != nil {
		return err
	}
	if v, ok := in.p["uniqueName"]; ok && c.t.taken(kApp, o, func(x *object) bool { return x.p["uniqueName"] == v }) {
		return conflict("uniqueName")
	}
	if in.p["onPremisesPublishing"] != nil {
		if err := publish(d); err != nil {
			return err
		}
	}
	// An enabled role or scope is disabled first, then changed or removed.
	for _, e := range []struct {
		name     string
		old, now []map[string]any
	}{{"appRoles", subs(o.p["appRoles"]), subs(d.p["appRoles"])}, {"oauth2PermissionScopes", subs(sub(o.p["api"])["oauth2PermissionScopes"]), subs(sub(d.p["api"])["oauth2PermissionScopes"])}} {
		for _, r := range e.old {
			if !flag(r["isEnabled"]) {
				continue
			}
			i := slices.IndexFunc(e.now, func(x map[string]any) bool { return strings.EqualFold(text(x["id"]), text(r["id"])) })
			if i < 0 || e.now[i]["value"] != r["value"] && flag(e.now[i]["isEnabled"]) {
				return refuse(400, "CannotDeleteOrUpdateEnabledEntitlement", "Permission (scope or role) cannot be deleted or updated unless disabled first.")
			}
		}
	}
	if err := c.checkApp(d, o, in.p); err != nil {
		return err
	}
	for _, id := range slices.Clone(c.t.spOf[text(o.p["appId"])]) {
		if sp := c.t.get(id); sp.live() {
			s := sp.clone()
			syncPrincipal(s.p, d.p)
			if s.p["displayName"] == o.p["displayName"] {
				s.p["displayName"] = d.p["displayName"]
			}
			if !sameJSON(s.p, sp.p) {
				c.t.put(s, []string{"displayName", "appDisplayName", "appRoles", "oauth2PermissionScopes", "servicePrincipalNames", "replyUrls", "tags", "info", "signInAudience"})
			}
		}
	}
	return nil
}

func (c *call) newPrincipal(o *object, in checked) ([]func(), error) {
	p := in.p
	id := strings.ToLower(text(p["appId"]))
	app := c.t.get(c.t.appID[id])
	foreign, everywhere := c.t.elsewhere(id, stamp(c.t.clock()))
	if !app.live() && !everywhere {
		return nil, bad("The appId '%s' of the service principal does not reference a valid application object.", id)
	}
	if c.t.spByAppID(id, true) != nil {
		return nil, refuse(409, "Request_MultipleObjectsWithSameKeyValue", "The service principal cannot be created, updated, or restored because the service principal name %s is already in use.", id)
	}
	if err := c.checkPrincipal(o, nil, p); err != nil {
		return nil, err
	}
	var full map[string]any
	if app.live() {
		full = c.t.servicePrincipalOf(app)
	} else {
		full, o.managed = foreign, true
	}
	for k, v := range full {
		if _, ok := p[k]; !ok {
			p[k] = v
		}
	}
	return []func(){}, nil
}

func (c *call) checkPrincipal(o, old *object, in map[string]any) error {
	if err := oneOf(in, "servicePrincipal", "preferredSingleSignOnMode", "password", "saml", "oidc", "notSupported", "external"); err != nil {
		return err
	}
	return c.checkKeys(o, old, in)
}

func (c *call) changePrincipal(o, d *object, in checked) error {
	if err := c.allow(kSP, true); err != nil {
		return err
	}
	app := c.t.get(c.t.appID[text(o.p["appId"])])
	for _, k := range []string{"appRoles", "oauth2PermissionScopes"} {
		if v, ok := in.p[k]; ok && app != nil && !sameJSON(v, o.p[k]) {
			return bad("Property '%s' is inherited from the application and cannot be changed on the service principal.", k)
		}
	}
	if app != nil {
		lock := sub(app.p["servicePrincipalLockConfiguration"])
		if _, ok := in.p["keyCredentials"]; ok && flag(lock["isEnabled"]) && (flag(lock["allProperties"]) || flag(lock["credentialsWithUsageSign"])) {
			return bad("Property keyCredentials is locked by the application.")
		}
		syncPrincipal(d.p, app.p)
	}
	return c.checkPrincipal(d, o, in.p)
}

// maxRoleGrants is how many app roles one principal may have.
const maxRoleGrants = 1500

// newRoleGrant creates an app role assignment below one of its ends.
func (c *call) newRoleGrant(o *object, rel string) (answer, error) {
	if err := c.allow(kRoleGrant, true); err != nil {
		return answer{}, err
	}
	t := c.t
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	typ := t.schema.Types["appRoleAssignment"]
	in, err := c.check(body, typ, true)
	if err != nil {
		return answer{}, err
	}
	p := in.p
	for _, r := range typ.Required {
		if p[r] == nil {
			return answer{}, missing(typ, r)
		}
	}
	end := "principalId"
	if rel == "appRoleAssignedTo" {
		end = "resourceId"
	}
	if !strings.EqualFold(text(p[end]), o.id) {
		return answer{}, bad("The %s of the assignment does not match the resource of the request.", end)
	}
	principal, err := c.reachable(text(p["principalId"]))
	if err != nil {
		return answer{}, err
	}
	resource, err := c.reachable(text(p["resourceId"]))
	if err != nil {
		return answer{}, err
	}
	if principal.kind != kUser && principal.kind != kGroup && principal.kind != kSP || resource.kind != kSP {
		return answer{}, bad("The principal or the resource of an app role assignment is of a wrong type.")
	}
	member := "User"
	if principal.kind == kSP {
		member = "Application"
	}
	roles := subs(resource.p["appRoles"])
	fitting := slices.ContainsFunc(roles, func(r map[string]any) bool {
		return flag(r["isEnabled"]) && slices.Contains(texts(r["allowedMemberTypes"]), member)
	})
	if p["appRoleId"] == zeroGUID {
		if fitting {
			return answer{}, bad("Permission being assigned was not found on application '%s'.", text(resource.p["appId"]))
		}
	} else {
		i := slices.IndexFunc(roles, func(r map[string]any) bool { return strings.EqualFold(text(r["id"]), text(p["appRoleId"])) })
		if i < 0 || !flag(roles[i]["isEnabled"]) || !slices.Contains(texts(roles[i]["allowedMemberTypes"]), member) {
			return answer{}, bad("Permission being assigned was not found on application '%s'.", text(resource.p["appId"]))
		}
	}
	have := t.joined(kRoleGrant, "principalId", principal.id)
	for _, x := range have {
		if x.p["resourceId"] == resource.id && x.p["appRoleId"] == p["appRoleId"] {
			return answer{}, bad("Permission being assigned already exists on the object")
		}
	}
	if len(have) >= maxRoleGrants {
		return answer{}, refuse(403, "Directory_QuotaExceeded", "The maximum number of app role assignments of the principal has been reached.")
	}
	p["principalId"], p["resourceId"] = principal.id, resource.id
	p["principalDisplayName"], p["resourceDisplayName"], p["principalType"], p["createdDateTime"] = principal.name(), resource.name(), principalType(principal), stamp(t.clock())
	g := &object{kind: kRoleGrant, typ: typ.Name, id: linkID(principal.id, t.fresh(kKey)), p: p}
	p["id"] = g.id
	t.put(g, nil)
	c.audit(map[kindID]string{kUser: "Add app role assignment grant to user", kGroup: "Add app role assignment to group", kSP: "Add app role assignment to service principal"}[principal.kind], resource, nil, principal)
	return created(c, g)
}

// writeGrant carries out writes below appRoleAssignments and
// appRoleAssignedTo.
func (c *call) writeGrant(o *object, rel string, rest []string) (answer, error) {
	if rel != "appRoleAssignments" && rel != "appRoleAssignedTo" {
		return answer{}, notAllowed()
	}
	if len(rest) == 0 && c.method == "POST" {
		return c.newRoleGrant(o, rel)
	}
	if len(rest) != 1 || c.method != "DELETE" {
		return answer{}, notAllowed()
	}
	if err := c.allow(kRoleGrant, true); err != nil {
		return answer{}, err
	}
	end := "principalId"
	if rel == "appRoleAssignedTo" {
		end = "resourceId"
	}
	g := c.t.get(rest[0])
	if g == nil || g.kind != kRoleGrant || g.p[end] != o.id {
		return answer{}, notFound(rest[0])
	}
	c.t.purge(g)
	principal, resource := c.t.get(text(g.p["principalId"])), c.t.get(text(g.p["resourceId"]))
	c.audit(map[kindID]string{kUser: "Remove app role assignment from user", kGroup: "Remove app role assignment from group", kSP: "Remove app role assignment from service principal"}[principal.kind], resource, nil, principal)
	return answer{status: 204}, nil
}

func checkScope(o *object) error {
	if s := text(o.p["scope"]); len(s) > 3850 || strings.TrimSpace(s) == "" {
		return bad("Invalid value specified for property 'scope' of resource 'OAuth2PermissionGrant'.")
	}
	return nil
}

func (c *call) newConsent(o *object) error {
	p := o.p
	switch p["consentType"] {
	case "AllPrincipals":
		if p["principalId"] != nil {
			return bad("principalId must be null when consentType is AllPrincipals.")
		}
	case "Principal":
		u := c.t.liveOf(text(p["principalId"]), kUser)
		if u == nil {
			return bad("A principalId of an existing user is required when consentType is Principal.")
		}
	default:
		return bad("Invalid value specified for property 'consentType' of resource 'OAuth2PermissionGrant'.")
	}
	for _, e := range []string{"clientId", "resourceId"} {
		x, err := c.reachable(text(p[e]))
		if err != nil {
			return err
		}
		if x.kind != kSP {
			return bad("The %s must be the object id of a service principal.", e)
		}
	}
	if err := checkScope(o); err != nil {
		return err
	}
	for _, x := range c.t.joined(kConsent, "clientId", text(p["clientId"])) {
		if x.p["resourceId"] == p["resourceId"] && x.p["consentType"] == p["consentType"] && x.p["principalId"] == p["principalId"] {
			return refuse(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
		}
	}
	o.id = linkID(text(p["clientId"]), c.t.fresh(kKey))
	return nil
}

// action carries out POST to an action of an object. done is false when name
// is none.
func (c *call) action(o *object, name string) (done bool, a answer, err error) {
	switch {
	case o.kind == kUser && name == "revokeSignInSessions":
		if err := c.allow(kUser, true); err != nil {
			return true, answer{}, err
		}
		d := o.clone()
		d.p["signInSessionsValidFromDateTime"] = stamp(c.t.clock())
		c.t.put(d, []string{"signInSessionsValidFromDateTime"})
		return true, jsonAnswer(200, map[string]any{"value": true}), nil
	case (o.kind == kUser || o.kind == kGroup) && name == "assignLicense":
		a, err = c.licence(o)
	case (o.kind == kApp || o.kind == kSP) && (name == "addPassword" || name == "removePassword"):
		a, err = c.password(o, name == "addPassword")
	case o.kind == kStrength && name == "updateAllowedCombinations":
		a, err = c.updateCombinations(o)
	case o.kind == kDomain && name == "verify":
		if err = c.allow(kDomain, true); err == nil {
			err = bad("The DNS record that proves the ownership of %s was not found.", o.id)
		}
	default:
		return false, a, nil
	}
	return true, a, err
}

func (c *call) password(o *object, add bool) (answer, error) {
	if err := c.allow(o.kind, true); err != nil {
		return answer{}, err
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	d := o.clone()
	have := asList(o.p["passwordCredentials"])
	act := "Update " + noun(o.kind) + " – Certificates and secrets management"
	if add {
		in := sub(body["passwordCredential"])
		for k := range in {
			if k != "displayName" && k != "endDateTime" && k != "startDateTime" {
				return answer{}, bad("Property passwordCredential.%s cannot be set.", k)
			}
		}
		w := c.secret(in)
		from, err := time.Parse(time.RFC3339, text(w["startDateTime"]))
		until, wrong := time.Parse(time.RFC3339, text(w["endDateTime"]))
		if err != nil || wrong != nil || !from.Before(until) {
			return answer{}, bad("Credential lifetime is invalid: endDateTime must be after startDateTime.")
		}
		d.p["passwordCredentials"] = append(have, w)
		c.t.put(d, []string{"passwordCredentials"})
		c.audit(act, d, nil)
		return answer{status: 200, body: appendValue(nil, w)}, nil
	}
	i := slices.IndexFunc(have, func(x any) bool { return sub(x)["keyId"] == body["keyId"] })
	if i < 0 {
		return answer{}, bad("No password credential found with keyId '%s'.", text(body["keyId"]))
	}
	d.p["passwordCredentials"] = slices.Delete(have, i, i+1)
	c.t.put(d, []string{"passwordCredentials"})
	c.audit(act, d, nil)
	return answer{status: 204}, nil
}
