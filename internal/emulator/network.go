package emulator

import (
	"maps"
	"strings"
	"unicode/utf8"
)

// This is Global Secure Access: what of people's and branches' traffic goes through Microsoft, and what is let through
// there. The tenant has turned it on; one that has not is refused all of it but the question whether it has.

const (
	networks   = "networkAccess"
	gatePath   = networks + "/tenantStatus"
	throughs   = networks + "/forwardingProfiles"
	routesPath = networks + "/forwardingPolicies"
	webPath    = networks + "/filteringPolicies"
	tlsPath    = networks + "/tlsInspectionPolicies"
	dangerPath = networks + "/threatIntelligencePolicies"
	wallPath   = networks + "/cloudFirewallPolicies"
	securePath = networks + "/filteringProfiles"
	branchPath = networks + "/connectivity/remoteNetworks"

	ofNetworks = "#microsoft.graph.networkaccess."
	baseline   = 65000 // the priority of the profile that holds for everybody
)

const statusID = "networkAccessTenantStatus"

// Offboard turns Global Secure Access off.
func (t *Tenant) Offboard() {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.get(statusID).clone()
	d.p["onboardingStatus"] = "offboarded"
	t.put(d, []string{"onboardingStatus"})
}

func networkKinds() []*family {
	const version = "1.0.0"
	may := access{"directory", []string{"NetworkAccess.Read.All", "NetworkAccess.ReadWrite.All"}, []string{"NetworkAccess.ReadWrite.All"}, nil}
	gate := &family{path: gatePath, types: []string{"networkaccess.tenantStatus"}, noun: "tenant status", one: statusID, beta: true, access: may}
	gate.seed = func(t *Tenant, _ string) { t.plant(gatePath, gate.one, props{"onboardingStatus": "onboarded"}) }
	kind := func(path, noun, verbs string, types ...string) *family {
		f := &family{path: path, noun: noun, beta: true, verbs: verbs, access: may, whole: true}
		for _, typ := range types {
			f.types = append(f.types, "networkaccess."+typ)
		}
		f.ready = func(t *Tenant) bool { return t.get(statusID).p["onboardingStatus"] == "onboarded" }
		touch := func(c *call, o *object) {
			for _, name := range []string{"createdDateTime", "lastModifiedDateTime"} {
				if p := c.t.schema.Types[o.typ].byName[name]; p != nil && (o.p[name] == nil || name != "createdDateTime") {
					o.p[name] = precise(c)
				}
			}
			if o.p["version"] == nil {
				o.p["version"] = version
			}
		}
		f.create = func(c *call, o *object, _ checked) error { touch(c, o); return nil }
		f.change = func(c *call, _, d *object, _ checked) error { touch(c, d); return nil }
		return f
	}
	under := func(f *family, of string) *family {
		f.under, f.along = of, true
		return f
	}
	also := func(f *family, check func(c *call, o *object) error) *family {
		create, change := f.create, f.change
		f.create = func(c *call, o *object, in checked) error {
			if err := check(c, o); err != nil {
				return err
			}
			return create(c, o, in)
		}
		f.change = func(c *call, o, d *object, in checked) error {
			if err := check(c, d); err != nil {
				return err
			}
			return change(c, o, d, in)
		}
		return f
	}
	const all = "POST PATCH DELETE"

	branches := kind(branchPath, "remote network", all, "remoteNetwork")
	branches.inline, branches.full = []string{"forwardingProfiles"}, true
	branches.value = func(t *Tenant, o *object, name string) (any, bool) {
		if name != "forwardingProfiles" {
			return nil, false
		}
		out := []any{}
		for _, m := range subs(o.p[name]) {
			if f := t.get(text(m["id"])); f.live() {
				out = append(out, props{"id": f.id, "name": f.p["name"], "state": f.p["state"], "trafficForwardingType": f.p["trafficForwardingType"]})
			}
		}
		return out, true
	}
	forwards := kind(throughs, "traffic forwarding profile", "PATCH", "forwardingProfile")
	profiles := func(c *call, v any) error {
		for _, m := range subs(v) {
			if f := c.t.get(text(m["id"])); !f.live() || f.kind != kin().kinds[throughs] {
				return notFound(text(m["id"]))
			}
		}
		return nil
	}
	also(branches, func(c *call, o *object) error { return profiles(c, o.p["forwardingProfiles"]) })
	branches.act = func(c *call, o *object, rest []string) (bool, answer, error) {
		if c.method != "PATCH" || len(rest) != 1 || rest[0] != "forwardingProfiles" {
			return false, answer{}, nil
		}
		return true, answer{}, denied() // to applications
	}
	branches.sample = func(t *Tenant, i int, _ *object) map[string]any {
		uses := []any{}
		for _, f := range t.first(kin().kinds[throughs], i) {
			uses = append(uses, props{"id": f.id})
		}
		return props{"name": "Branch " + itoa(i), "region": []string{"westEurope", "northEurope", "eastUS"}[i], "version": version, "lastModifiedDateTime": "2026-01-01T00:00:00Z", "forwardingProfiles": uses}
	}

	routers := under(kind("deviceLinks", "device link", all, "deviceLink"), branchPath)
	key := routers.create
	routers.create = func(c *call, o *object, in checked) error {
		if text(sub(o.p["tunnelConfiguration"])["preSharedKey"]) == "" {
			return bad("A value is required for property 'preSharedKey'.")
		}
		return key(c, o, in)
	}
	routers.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"name": "Router " + itoa(i), "ipAddress": "198.51.100.1" + itoa(i), "deviceVendor": "ciscoCatalyst", "bandwidthCapacityInMbps": "mbps250", "lastModifiedDateTime": "2026-01-01T00:00:00Z",
			"bgpConfiguration":        props{"asn": 65010 + i, "ipAddress": nil, "localIpAddress": "10.0.0.1" + itoa(i), "peerIpAddress": "10.1.0.1" + itoa(i)},
			"redundancyConfiguration": props{"redundancyTier": "noRedundancy", "zoneLocalIpAddress": nil},
			"tunnelConfiguration":     props{"@odata.type": ofNetworks + "tunnelConfigurationIKEv2Default", "preSharedKey": "s3cret-of-tunnel", "zoneRedundancyPreSharedKey": nil}}
	}

	forwards.sample = func(t *Tenant, i int, _ *object) map[string]any {
		sp := t.first(kSP, i+1)[i]
		return props{"name": []string{"Microsoft 365 traffic forwarding profile", "Internet traffic forwarding profile", "Private access traffic forwarding profile"}[i], "description": "Sample", "state": []string{"enabled", "disabled", "enabled"}[i],
			"version": version, "lastModifiedDateTime": "2026-01-01T00:00:00Z", "trafficForwardingType": []string{"m365", "internet", "private"}[i], "priority": i, "isCustomProfile": false, "associations": []any{},
			"servicePrincipal": props{"id": sp.id, "appId": sp.p["appId"]}}
	}
	routes := kind(routesPath, "traffic forwarding policy", "", "forwardingPolicy")
	routes.sample = func(t *Tenant, i int, _ *object) map[string]any {
		p := props{"name": []string{"Exchange Online", "Default Acquire", "Private application"}[i], "description": nil, "version": version, "trafficForwardingType": []string{"m365", "internet", "private"}[i]}
		if i == 2 {
			p["privateAccessAppId"] = t.first(kApp, 1)[0].p["appId"]
		}
		return p
	}
	rules := under(kind("policyRules", "traffic forwarding rule", "", "m365ForwardingRule", "internetAccessForwardingRule", "privateAccessForwardingRule"), routesPath)
	rules.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		p := props{"@odata.type": ofNetworks + "m365ForwardingRule", "name": "Exchange", "action": "forward", "clientFallbackAction": "default", "ruleType": "fqdn", "category": "optimized", "protocol": "tcp", "ports": list("80", "443"),
			"destinations": []any{props{"@odata.type": ofNetworks + "fqdn", "value": "outlook.office.com"}, props{"@odata.type": ofNetworks + "fqdn", "value": "*.outlook.com"}}}
		switch i {
		case 1:
			p["@odata.type"], p["name"], p["ruleType"] = ofNetworks+"internetAccessForwardingRule", "Acquire", "ipSubnet"
			p["destinations"] = []any{props{"@odata.type": ofNetworks + "ipSubnet", "value": "0.0.0.0/0"}}
			delete(p, "category")
		case 2:
			p["@odata.type"], p["name"] = ofNetworks+"privateAccessForwardingRule", "Files"
			for _, name := range []string{"category", "protocol", "ports"} {
				delete(p, name)
			}
		}
		return p
	}
	routes.act = func(c *call, o *object, rest []string) (bool, answer, error) {
		if c.method != "POST" || len(rest) != 1 || rest[0] != "updatePolicyRules" {
			return false, answer{}, nil
		}
		return true, answer{}, denied() // to applications
	}

	points := func(f *family) *family { // at a policy
		f.inline, f.poly = []string{"policy"}, true
		f.value = func(t *Tenant, o *object, name string) (any, bool) {
			if name != "policy" {
				return nil, false
			}
			p := t.get(text(o.p["_policy"]))
			if !p.live() {
				return nil, true
			}
			return props{"@odata.type": "#microsoft.graph." + p.typ, "id": p.id, "name": p.p["name"], "description": p.p["description"], "version": p.p["version"]}, true
		}
		return f
	}
	routeLinks := points(under(kind("policies", "traffic forwarding policy link", "PATCH", "forwardingPolicyLink"), throughs))
	routeLinks.sample = func(t *Tenant, i int, _ *object) map[string]any {
		return props{"state": "enabled", "version": version, "priority": i, "_policy": t.first(kin().kinds[routesPath], i+1)[i].id}
	}

	links := points(under(kind("policies", "policy link", all, "filteringPolicyLink", "tlsInspectionPolicyLink", "threatIntelligencePolicyLink", "cloudFirewallPolicyLink"), securePath))
	stamped := links.create
	links.create = func(c *call, o *object, in checked) error {
		said := sub(o.p["policy"])
		p := c.t.get(text(said["id"]))
		if !p.live() || said["@odata.type"] != "#microsoft.graph."+p.typ {
			return notFound(text(said["id"]))
		}
		if o.typ != p.typ+"Link" {
			return bad("The policy is no policy of such a link.")
		}
		for _, other := range liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"]))) {
			if other.p["_policy"] == p.id {
				return refuse(409, "Conflict", "The policy is linked to the profile already.")
			}
			if o.typ == "networkaccess.tlsInspectionPolicyLink" && other.typ == o.typ {
				return bad("A profile can have one TLS inspection policy only.")
			}
		}
		delete(o.p, "policy")
		o.p["_policy"] = p.id
		if o.p["state"] == nil {
			o.p["state"] = "enabled"
		}
		return stamped(c, o, in)
	}
	sources := []string{webPath, tlsPath, dangerPath, wallPath}
	link := func(t *Tenant, of, i int) map[string]any {
		p := t.first(kin().kinds[sources[of]], i+1)[i]
		out := props{"@odata.type": "#microsoft.graph." + p.typ + "Link", "state": "enabled", "version": version, "_policy": p.id}
		if of == 0 {
			out["priority"], out["loggingState"], out["createdDateTime"], out["lastModifiedDateTime"] = 100+i, "enabled", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
		}
		return out
	}
	links.sample = func(t *Tenant, i int, parent *object) map[string]any {
		for of := 1; of < len(sources) && i > 0; of++ { // the first has one policy only
			more := link(t, of, i)
			more["_parent"] = parent.id
			t.plant(links.name(), "", more)
		}
		return link(t, 0, i)
	}

	// A policy takes the links to it along.
	policy := func(path, noun, typ string) *family {
		f := kind(path, noun, all, typ)
		f.remove = func(c *call, o *object) error {
			var gone []*object
			c.t.each(kin().kinds[links.name()], func(x *object) bool {
				if x.live() && x.p["_policy"] == o.id {
					gone = append(gone, x)
				}
				return true
			})
			for _, x := range gone {
				c.t.discard(x)
			}
			return nil
		}
		return f
	}
	filters := policy(webPath, "filtering policy", "filteringPolicy")
	filters.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"name": "Web policy " + itoa(i), "description": "Sample", "action": []string{"block", "allow", "block"}[i], "version": version, "createdDateTime": "2026-01-01T00:00:00Z", "lastModifiedDateTime": "2026-01-01T00:00:00Z"}
	}
	sites := under(kind("policyRules", "filtering rule", all, "fqdnFilteringRule", "webCategoryFilteringRule", "urlDestinationFilteringRule"), webPath)
	also(sites, func(_ *call, o *object) error {
		kinds := map[string]string{"networkaccess.fqdnFilteringRule": "fqdn", "networkaccess.webCategoryFilteringRule": "webCategory", "networkaccess.urlDestinationFilteringRule": "url"}
		if o.p["ruleType"] != kinds[o.typ] || len(asList(o.p["destinations"])) == 0 {
			return bad("A rule of this type has destinations of its kind.")
		}
		for _, to := range subs(o.p["destinations"]) {
			if to["@odata.type"] != ofNetworks+kinds[o.typ] {
				return bad("A rule of this type has destinations of its kind.")
			}
		}
		return nil
	})
	sites.value = func(_ *Tenant, o *object, name string) (any, bool) {
		if name != "destinations" || o.typ != "networkaccess.webCategoryFilteringRule" {
			return nil, false
		}
		out := []any{}
		for _, to := range subs(o.p[name]) { // the service knows what they are called
			out = append(out, props{"@odata.type": to["@odata.type"], "name": to["name"], "displayName": strings.ToUpper(text(to["name"])), "group": "Liability"})
		}
		return out, true
	}
	sites.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		one := []props{{"@odata.type": ofNetworks + "fqdn", "value": "bad.example"}, {"@odata.type": ofNetworks + "webCategory", "name": "Gambling"}, {"@odata.type": ofNetworks + "url", "value": "bad.example/path"}}[i]
		two := []props{{"@odata.type": ofNetworks + "fqdn", "value": "*.worse.example"}, {"@odata.type": ofNetworks + "webCategory", "name": "Weapons"}, {"@odata.type": ofNetworks + "url", "value": "worse.example/*"}}[i]
		return props{"@odata.type": ofNetworks + []string{"fqdnFilteringRule", "webCategoryFilteringRule", "urlDestinationFilteringRule"}[i], "name": "Sites " + itoa(i), "ruleType": []string{"fqdn", "webCategory", "url"}[i], "destinations": []any{one, two}}
	}

	newer := func(f *family, action string) *family {
		f.sample = func(_ *Tenant, i int, _ *object) map[string]any {
			return props{"name": f.noun + " " + itoa(i), "description": "Sample", "settings": props{"defaultAction": action}, "version": version, "lastModifiedDateTime": "2026-01-01T00:00:00Z"}
		}
		return f
	}
	// ordered are the rules of a policy, of which each has another priority. Some the service made.
	ordered := func(path, noun, typ string, made func(o *object) bool, check func(c *call, o *object) error) *family {
		f := under(kind("policyRules", noun, all, typ), path)
		f.poly = true
		also(f, func(c *call, o *object) error {
			for _, x := range liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"]))) {
				if a, _ := number(x.p["priority"]); x.id != o.id {
					if b, _ := number(o.p["priority"]); a == b {
						return bad("Another rule of the policy has this priority.")
					}
				}
			}
			return check(c, o)
		})
		change := f.change
		f.change = func(c *call, o, d *object, in checked) error {
			if made(o) {
				return bad("The rule is the service's own.")
			}
			return change(c, o, d, in)
		}
		f.remove = func(_ *call, o *object) error {
			if made(o) {
				return bad("The rule is the service's own.")
			}
			return nil
		}
		return f
	}
	system := func(o *object) bool { n, _ := number(o.p["priority"]); return n == 50 }
	worst := func(o *object) bool { return o.p["name"] == "Default threat intel rule" }
	on := props{"status": "enabled"}
	// What policies bring along.
	bring := func(f, rules *family, make func() []props) {
		create := f.create
		f.create = func(c *call, o *object, in checked) error {
			if err := create(c, o, in); err != nil {
				return err
			}
			for _, p := range make() {
				p["_parent"] = o.id
				c.t.plant(rules.name(), "", p)
			}
			return nil
		}
	}
	brought := func(t *Tenant, rules *family, parent *object, all []props) {
		for _, p := range all {
			p["_parent"] = parent.id
			t.plant(rules.name(), "", p)
		}
	}

	inspections := newer(policy(tlsPath, "TLS inspection policy", "tlsInspectionPolicy"), "bypass")
	inspected := ordered(tlsPath, "TLS inspection rule", "tlsInspectionRule", system, func(_ *call, o *object) error {
		if n, _ := number(o.p["priority"]); n < 100 {
			return bad("The priority of a rule is at least 100.")
		}
		return nil
	})
	bypasses := func() []props {
		return []props{
			{"name": "System Bypass TLS inspection rule", "priority": 50, "description": nil, "action": "bypass", "settings": on, "matchingConditions": nil},
			{"name": "Recommended TLS inspection bypass categories rule", "priority": baseline, "description": nil, "action": "bypass", "settings": on,
				"matchingConditions": props{"destinations": []any{props{"@odata.type": ofNetworks + "tlsInspectionWebCategoryDestination", "values": list("Education", "Finance", "Government", "HealthAndMedicine")}}}},
		}
	}
	bring(inspections, inspected, bypasses)
	inspected.sample = func(t *Tenant, i int, parent *object) map[string]any {
		brought(t, inspected, parent, bypasses())
		return props{"name": "Inspected " + itoa(i), "priority": 100, "description": "Sample", "action": "inspect", "settings": on,
			"matchingConditions": props{"destinations": []any{props{"@odata.type": ofNetworks + "tlsInspectionFqdnDestination", "values": list("a"+itoa(i)+".example", "*.b.example")}}}}
	}

	dangers := newer(policy(dangerPath, "threat intelligence policy", "threatIntelligencePolicy"), "allow")
	stopped := ordered(dangerPath, "threat intelligence rule", "threatIntelligenceRule", worst, func(*call, *object) error { return nil })
	defaults := func() []props {
		return []props{{"name": "Default threat intel rule", "priority": baseline, "description": nil, "action": "block", "settings": on,
			"matchingConditions": props{"severity": "high", "destinations": []any{props{"@odata.type": ofNetworks + "threatIntelligenceFqdnDestination", "values": list("*")}}}}}
	}
	bring(dangers, stopped, defaults)
	stopped.sample = func(t *Tenant, i int, parent *object) map[string]any {
		brought(t, stopped, parent, defaults())
		return props{"name": "Trusted " + itoa(i), "priority": 100, "description": "Sample", "action": "allow", "settings": on,
			"matchingConditions": props{"severity": "high", "destinations": []any{props{"@odata.type": ofNetworks + "threatIntelligenceFqdnDestination", "values": list("partner"+itoa(i)+".example", "more.example")}}}}
	}

	walls := newer(policy(wallPath, "cloud firewall policy", "cloudFirewallPolicy"), "allow")
	doors := ordered(wallPath, "cloud firewall rule", "cloudFirewallRule", func(*object) bool { return false }, func(c *call, o *object) error {
		for _, x := range liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"]))) {
			if x.id != o.id && x.p["name"] == o.p["name"] {
				return refuse(409, "Conflict", "A rule with the name '%s' exists already.", text(o.p["name"]))
			}
		}
		return nil
	})
	doors.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"name": "Ports " + itoa(i), "priority": 100 + i, "description": "Sample", "action": "block", "settings": on, "matchingConditions": props{
			"sources":      props{"addresses": []any{props{"@odata.type": ofNetworks + "cloudFirewallSourceIpAddress", "values": list("10.0.0.0/8", "192.168.0.0/16")}}, "ports": list("1024-65535")},
			"destinations": props{"addresses": []any{props{"@odata.type": ofNetworks + "cloudFirewallDestinationFqdnAddress", "values": list("bad.example")}}, "ports": list("22", "23"), "protocols": "tcp"}}}
	}

	secures := also(kind(securePath, "filtering profile", all, "filteringProfile"), func(c *call, o *object) error {
		if c.t.taken(o.kind, o, func(x *object) bool { return x.live() && sameJSON(x.p["priority"], o.p["priority"]) }) {
			return bad("Another profile has this priority.")
		}
		return nil
	})
	secures.remove = func(_ *call, o *object) error {
		if n, _ := number(o.p["priority"]); n == baseline {
			return bad("The baseline profile cannot be deleted.")
		}
		return nil
	}
	secures.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		p := props{"name": "Security profile " + itoa(i), "description": "Sample", "state": "enabled", "priority": 100 * (i + 1), "version": version, "createdDateTime": "2026-01-01T00:00:00Z", "lastModifiedDateTime": "2026-01-01T00:00:00Z"}
		if i == 0 {
			p["name"], p["priority"] = "Baseline profile", baseline
		}
		return p
	}

	one := func(path, typ string, made props) *family {
		f := kind(networks+"/settings/"+path, typ, "PATCH", typ)
		f.one, f.whole = "networkAccess"+typ, false
		f.change, f.create = nil, nil
		f.open = true // answers show more than the published schema has
		f.seed = func(t *Tenant, _ string) { t.plant(f.path, f.one, maps.Clone(made)) }
		f.sample = func(*Tenant, int, *object) map[string]any { return maps.Clone(made) }
		return f
	}
	page := one("customBlockPage", "customBlockPage", props{"state": "enabled", "configuration": props{"@odata.type": ofNetworks + "markdownBlockMessageConfiguration", "body": "Ask the [help desk](https://help.example)."}})
	page.change = func(_ *call, _, d *object, _ checked) error {
		if utf8.RuneCountInString(text(sub(d.p["configuration"])["body"])) > 1024 {
			return bad("The body of the message is too long.")
		}
		return nil
	}
	certificates := kind(networks+"/tls/externalCertificateAuthorityCertificates", "TLS certificate", "", "externalCertificateAuthorityCertificate")
	certificates.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		if i > 0 {
			return nil
		}
		return props{"name": "Inspection", "commonName": "Contoso TLS", "organizationName": "Contoso", "status": "enabled", "certificate": "MIIB", "chain": "MIIC", "certificateSigningRequest": nil,
			"validity": props{"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z"}}
	}

	return []*family{gate, forwards, routes, rules, routeLinks, filters, sites, inspections, inspected, dangers, stopped, walls, doors, secures, links, branches, routers,
		one("conditionalAccess", "conditionalAccessSettings", props{"signalingStatus": "enabled", "dataPlaneSignalingOptions": "enabled"}),
		one("crossTenantAccess", "crossTenantAccessSettings", props{"networkPacketTaggingStatus": "disabled", "dataPlaneTaggingOptions": "none"}),
		one("forwardingOptions", "forwardingOptions", props{"skipDnsLookupState": "disabled"}),
		page, certificates}
}
