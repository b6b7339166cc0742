package emulator

import (
	"maps"
	"slices"
	"strings"
)

// This is how applications inside a network are reached from outside.

// publish refuses to publish an application without its addresses, and completes what is published.
// Source: Microsoft Graph documentation, onPremisesPublishing.
func publish(app *object) error {
	p := maps.Clone(sub(app.p["onPremisesPublishing"]))
	if p["applicationType"] == nil && (text(p["externalUrl"]) == "" || text(p["internalUrl"]) == "") {
		return bad("An application is published with an internalUrl and an externalUrl.")
	}
	for _, name := range []string{"verifiedCustomDomainKeyCredential", "verifiedCustomDomainPasswordCredential"} {
		delete(p, name) // never shown again
	}
	p["isOnPremPublishingEnabled"] = true
	for name, v := range published() {
		if p[name] == nil {
			p[name] = v
		}
	}
	app.p["onPremisesPublishing"] = p
	return nil
}

// published is what holds of a published application where nothing else is said.
func published() props {
	return props{"applicationServerTimeout": "Default", "externalAuthenticationType": "aadPreAuthentication", "isBackendCertificateValidationEnabled": true, "isHttpOnlyCookieEnabled": false,
		"isPersistentCookieEnabled": false, "isSecureCookieEnabled": true, "isTranslateHostHeaderEnabled": true, "isTranslateLinksInBodyEnabled": false}
}

// seedPublished publishes some applications: with single sign-on, without a sign-in before, and one that is no site.
func (t *Tenant) seedPublished() {
	for i, app := range t.first(kApp, samples) {
		d := app.clone()
		p := published()
		switch i {
		case 0:
			p["internalUrl"], p["externalUrl"] = "https://payroll.corp.example/", "https://payroll-contoso.msappproxy.example/"
			p["singleSignOnSettings"] = props{"singleSignOnMode": "onPremisesKerberos", "kerberosSignOnSettings": props{"kerberosServicePrincipalName": "HTTP/payroll.corp.example", "kerberosSignOnMappingAttributeType": "userPrincipalName"}}
		case 1:
			p["internalUrl"], p["externalUrl"], p["externalAuthenticationType"], p["applicationServerTimeout"] = "http://news.corp.example/", "https://news.contoso.example/", "passthru", "Long"
			p["verifiedCustomDomainCertificatesMetadata"] = props{"thumbprint": "0A1B2C", "subjectName": "*.contoso.example", "issuerName": "CN=Authority", "issueDate": stamp(t.clock()), "expiryDate": stamp(t.clock())}
		default:
			p["applicationType"], p["isAccessibleViaZTNAClient"], p["isDnsResolutionEnabled"] = "nonwebapp", true, false
		}
		p["isOnPremPublishingEnabled"] = true
		d.p["onPremisesPublishing"] = p
		t.put(d, nil)
		for j := range 2 - i { // what is no site has none
			name := itoa(i) + itoa(j) + ".corp.example"
			in := t.plant("applications/{}/"+webSegments, "", props{"_parent": app.id, "externalUrl": "https://out" + name + "/", "internalUrl": "https://in" + name + "/", "alternateUrl": "https://near" + name + "/"})
			t.plant("applications/{}/"+webSegments+"/{}/corsConfigurations", "", props{"_parent": in.id, "resource": "/", "allowedOrigins": list("https://a.example", "https://b.example"), "allowedHeaders": list("*"), "allowedMethods": list("GET", "POST"), "maxAgeInSeconds": 3000})
		}
	}
}

const (
	proxyPath       = "onPremisesPublishingProfiles/applicationProxy"
	connectorPath   = proxyPath + "/connectors"
	connectorGroups = proxyPath + "/connectorGroups"
	webSegments     = "onPremisesPublishing/segmentsConfiguration/microsoft.graph.webSegmentConfiguration/applicationSegments"
)

// agentProfiles and unshownProfiles are the sorts of what is published that has agents; the reference shows the first ones.
var (
	agentProfiles   = []string{"provisioning", "authentication", "exchangeOnline", "adAdministration"}
	unshownProfiles = []string{"intunePfx", "oflineDomainJoin"}
)

// agentsPath, agentGroupPath and targetPath say where the agents of a profile are, their groups, and what they serve.
func agentsPath(profile string) string { return "onPremisesPublishingProfiles/" + profile + "/agents" }
func agentGroupPath(profile string) string {
	return "onPremisesPublishingProfiles/" + profile + "/agentGroups"
}
func targetPath(profile string) string {
	return "onPremisesPublishingProfiles/" + profile + "/publishedResources"
}

func publishingKinds() []*family {
	connected := access{"directory", []string{"Directory.ReadWrite.All"}, []string{"Directory.ReadWrite.All"}, nil}
	kind, manage := forPerson, managing()

	machines := kind(connectorPath, "connector", "connector", "", connected)
	machines.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"machineName": "connector" + itoa(i) + ".corp.example", "externalIp": "198.51.100.2" + itoa(i), "status": []string{"active", "inactive", "active"}[i], "version": "1.5.3437.0"}
	}

	groups := kind(connectorGroups, "connectorGroup", "connector group", "POST PATCH DELETE", connected)
	groups.full = true
	groups.create = func(_ *call, o *object, _ checked) error {
		o.p["connectorGroupType"], o.p["isDefault"] = "applicationProxy", false
		if o.p["region"] == nil {
			o.p["region"] = "nam"
		}
		return nil
	}
	used := func(o *object) bool { return len(asList(o.p["_members"]))+len(asList(o.p["_applications"])) > 0 }
	groups.change = func(_ *call, o, d *object, _ checked) error {
		if o.p["region"] != d.p["region"] && used(o) {
			return bad("The region can be set only while no connector and no application is assigned to the group.")
		}
		return nil
	}
	groups.remove = func(_ *call, o *object) error {
		if flag(o.p["isDefault"]) || used(o) {
			return bad("A connector group that is the default or in use cannot be deleted.")
		}
		return nil
	}
	groups.act = func(c *call, o *object, rest []string) (bool, answer, error) {
		far, code := kin().kinds[connectorPath], "ConnectorGroup_NotFound"
		switch rest[0] {
		case "members":
		case "applications":
			far, code = kApp, "ApplicationsForGroup_NotFound"
		default:
			return false, answer{}, nil
		}
		if c.method == "GET" && len(rest) == 1 {
			ids := texts(o.p["_"+rest[0]])
			if len(ids) == 0 {
				return true, answer{}, refuse(404, code, "Nothing is assigned to the connector group.")
			}
			a, err := c.page(listing{kind: far, name: collectionName(far), n: len(ids), types: c.types(far), at: func(i int) *object {
				if x := c.see(c.t.get(ids[i])); x.live() {
					return x
				}
				return nil
			}})
			return true, a, err
		}
		if c.method != "POST" || rest[0] != "members" || len(rest) != 2 || rest[1] != "$ref" {
			return true, answer{}, notAllowed()
		}
		if err := c.allow(o.kind, true); err != nil {
			return true, answer{}, err
		}
		x, err := c.named(connectorPath)
		if err != nil {
			return true, answer{}, err
		}
		return true, answer{status: 204}, c.regroup(o, "_members", x.id)
	}
	groups.sample = func(t *Tenant, i int, _ *object) map[string]any {
		p := props{"name": []string{"Default", "Branch", "Spare"}[i], "region": []string{"eur", "eur", "nam"}[i], "connectorGroupType": "applicationProxy", "isDefault": i == 0}
		if i < 2 {
			p["_members"], p["_applications"] = list(t.first(kin().kinds[connectorPath], samples)[i].id), list(t.first(kApp, samples)[i].id)
		}
		return p
	}

	sensors := kind("onPremisesPublishingProfiles/privateAccess/sensors", "privateAccessSensor", "private access sensor", "", access{"directory", manage, nil, nil})
	sensors.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"machineName": "dc" + itoa(i) + ".corp.example", "externalIp": "198.51.100.4" + itoa(i), "status": "active", "version": "1.0.0.0", "isAuditMode": i == 0, "isBreakglassEnabled": false}
	}

	// Sites have segments, and those say which other sites they answer.
	written := access{"directory", []string{"Application.Read.All", "Application.ReadWrite.All"}, []string{"Application.ReadWrite.All"}, nil}
	segments := kind(webSegments, "webApplicationSegment", "application segment", "POST PATCH DELETE", written)
	segments.under, segments.silent = "applications", true
	segments.create = func(c *call, o *object, _ checked) error {
		p := sub(c.t.get(text(o.p["_parent"])).p["onPremisesPublishing"])
		if kind := text(p["applicationType"]); p == nil || kind == "nonwebapp" || kind == "quickaccessapp" {
			return bad("The application is published as no site.")
		}
		return nil
	}
	cors := kind("corsConfigurations", "corsConfiguration_v2", "CORS configuration", "POST PATCH DELETE", written)
	cors.under = segments.name()

	all := []*family{machines, groups, profile("applicationProxy")}
	for _, in := range agentProfiles {
		all = append(all, served(in)...)
	}
	return append(all, sensors, segments, cors)
}

// forPerson is a kind to which no application is let.
func forPerson(path, typ, noun, verbs string, a access) *family {
	return &family{path: path, types: []string{typ}, noun: noun, verbs: verbs, beta: true, people: true, access: a}
}

func hybrid() []string {
	return []string{"Policy.Read.HybridAuthentication", "Directory.ReadWrite.All", "Policy.ReadWrite.HybridAuthentication"}
}

func managing() []string { return []string{"OnPremisesPublishingProfiles.ReadWrite.All"} }

// profile is one. When agents update themselves is written at a path of its own.
func profile(id string) *family {
	const updater = "hybridAgentUpdaterConfiguration"
	f := forPerson("onPremisesPublishingProfiles/"+id, "onPremisesPublishingProfile", "publishing profile", "PATCH", access{"directory", hybrid(), append(managing(), "Directory.ReadWrite.All"), nil})
	f.one = id
	f.seed = func(t *Tenant, _ string) {
		t.plant(f.path, f.one, props{"isEnabled": id == "applicationProxy", "isDefaultAccessEnabled": false, updater: props{"allowUpdateConfigurationOverride": false,
			"deferUpdateDateTime": "2026-01-01T12:00:00Z", "updateWindow": props{"updateWindowStartTime": "00:00:00", "updateWindowEndTime": "23:59:00"}}})
	}
	f.change = func(_ *call, _, _ *object, in checked) error {
		if _, named := in.p[updater]; named {
			return bad("The %s is updated at its own address.", updater)
		}
		return nil
	}
	f.act = func(c *call, o *object, rest []string) (bool, answer, error) {
		if rest[0] != updater || len(rest) > 1 {
			return false, answer{}, nil
		}
		if c.method != "PATCH" {
			return true, answer{}, notAllowed()
		}
		if err := c.allow(o.kind, true); err != nil {
			return true, answer{}, err
		}
		body, err := c.object()
		if err != nil {
			return true, answer{}, err
		}
		in, err := c.check(map[string]any{updater: body}, c.t.schema.Types[o.typ], false)
		if err != nil {
			return true, answer{}, err
		}
		d := o.clone()
		all := maps.Clone(sub(o.p[updater]))
		if all == nil {
			all = props{}
		}
		maps.Copy(all, sub(in.p[updater]))
		d.p[updater] = all
		c.t.put(d, []string{updater})
		c.audit("Update "+noun(o.kind), d, changes(o.p, d.p, []string{updater}))
		return true, answer{status: 204}, nil
	}
	return f
}

// assigned makes what is in a group of agents be assigned where it is.
func assigned(f *family, rel, in string) *family {
	f.act = func(c *call, o *object, rest []string) (bool, answer, error) {
		if rest[0] != "agentGroups" || len(rest) < 2 || rest[len(rest)-1] != "$ref" {
			return false, answer{}, nil
		}
		if !c.holds(managing()...) {
			return true, answer{}, denied()
		}
		r, _ := relOf(kin().kinds[agentGroupPath(in)], rel)
		if c.method == "DELETE" && len(rest) == 3 {
			g := c.t.get(rest[1])
			if g == nil || !c.t.linked(g, r, o.id) {
				return true, answer{}, notFound(rest[1])
			}
			c.t.unlink(g, r, o.id)
			return true, answer{status: 204}, nil
		}
		if c.method != "POST" || len(rest) != 2 {
			return true, answer{}, notAllowed()
		}
		g, err := c.named(agentGroupPath(in))
		if err != nil {
			return true, answer{}, err
		}
		if c.t.linked(g, r, o.id) {
			return true, answer{}, bad("One or more added object references already exist for the following modified properties: 'agentGroups'.")
		}
		c.t.link(g, r, o.id)
		return true, answer{status: 204}, nil
	}
	return f
}

// served are a profile, the agents in it, their groups, and what these serve.
func served(in string) []*family {
	kind, manage := forPerson, managing()
	workers := assigned(kind(agentsPath(in), "onPremisesAgent", "on-premises agent", "", access{"directory", hybrid(), nil, nil}), "agents", in)
	workers.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"machineName": "agent" + itoa(i) + ".corp.example", "externalIp": "198.51.100.3" + itoa(i), "status": "active", "supportedPublishingTypes": list(in)}
	}
	teams := kind(agentGroupPath(in), "onPremisesAgentGroup", "on-premises agent group", "POST PATCH DELETE", access{"directory", hybrid(), []string{"Directory.ReadWrite.All"}, nil})
	teams.create = func(_ *call, o *object, _ checked) error {
		o.p["isDefault"], o.p["publishingType"] = false, in
		return nil
	}
	teams.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"displayName": "Group " + itoa(i), "isDefault": false, "publishingType": in}
	}
	targets := assigned(kind(targetPath(in), "publishedResource", "published resource", "POST PATCH DELETE", access{"directory", manage, manage, nil}), "publishedResources", in)
	targets.create = func(c *call, o *object, _ checked) error {
		if c.t.countLive(o.kind, func(x *object) bool { return x.p["resourceName"] == o.p["resourceName"] }) > 0 {
			return conflict("resourceName")
		}
		o.p["publishingType"] = in
		return nil
	}
	targets.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"displayName": "Target " + itoa(i), "resourceName": "domain" + itoa(i) + ".corp.example", "publishingType": in}
	}
	return []*family{profile(in), workers, teams, targets}
}

func publishingTies(kinds map[string]kindID) (all []tie) {
	for _, in := range slices.Concat(agentProfiles, unshownProfiles) {
		teams := []kindID{kinds[agentGroupPath(in)]}
		all = append(all, tie{from: teams, name: "agents", to: agentsPath(in)}, tie{from: teams, name: "publishedResources", to: targetPath(in)})
	}
	return all
}

// named returns the object that the body of a write to $ref names, of a collection.
func (c *call) named(collection string) (*object, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	ref := text(body["@odata.id"])
	id := ref[strings.LastIndexByte(ref, '/')+1:]
	if len(body) != 1 || !strings.HasSuffix(ref, "/"+collection+"/"+id) {
		return nil, bad("Invalid entity reference '%s'.", ref)
	}
	x := c.see(c.t.get(id))
	if !x.live() || x.kind != kin().kinds[collection] {
		return nil, notFound(id)
	}
	return x, nil
}

// regroup puts a connector or an application into a connector group, and so takes it from that in which it was.
func (c *call) regroup(to *object, name, id string) error {
	var all []*object
	c.t.each(to.kind, func(g *object) bool {
		if g.live() && (g.id == to.id || slices.Contains(texts(g.p[name]), id)) {
			all = append(all, g)
		}
		return true
	})
	for _, g := range all {
		d := g.clone()
		ids := slices.DeleteFunc(slices.Clone(asList(g.p[name])), func(x any) bool { return x == id })
		if g.id == to.id {
			ids = append(ids, id)
		}
		d.p[name] = ids
		c.t.put(d, []string{name})
	}
	return nil
}

// connected puts an application into the connector group that the body names.
func (c *call) connected(app *object, rest []string) (answer, error) {
	if c.version != "beta" || c.method != "PUT" || len(rest) != 1 || rest[0] != "$ref" {
		return answer{}, notAllowed()
	}
	if err := c.allow(kin().kinds[connectorGroups], true); err != nil {
		return answer{}, err
	}
	if app.p["onPremisesPublishing"] == nil {
		return answer{}, bad("The application is not published.")
	}
	g, err := c.named(connectorGroups)
	if err != nil {
		return answer{}, err
	}
	return answer{status: 204}, c.regroup(g, "_applications", app.id)
}
