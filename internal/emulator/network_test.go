package emulator_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func TestTenantStatus(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.RestoreApp())
	const status = "/beta/networkAccess/tenantStatus"
	if o := c.want(200, "GET", status, "").body; o["onboardingStatus"] != "onboarded" || o["id"] != nil {
		t.Errorf("%v", o)
	}
	c.want(405, "PATCH", status, `{"onboardingStatus":"offboarded"}`)
	at.Offboard()
	if o := c.want(200, "GET", status, "").body; o["onboardingStatus"] != "offboarded" {
		t.Errorf("%v", o)
	}
	for _, path := range []string{"filteringPolicies", "settings/conditionalAccess", "connectivity/remoteNetworks", "filteringProfiles?$expand=policies"} {
		c.want(403, "GET", "/beta/networkAccess/"+path, "")
	}
}

func TestSecuredNetworks(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	const root, of = "/beta/networkAccess", `"@odata.type":"#microsoft.graph.networkaccess.`
	add := func(path, body string) string { return c.want(201, "POST", root+path, body).body["id"].(string) }
	first := func(path, name string) string {
		t.Helper()
		for _, o := range c.want(200, "GET", root+path, "").items() {
			if name == "" || o["name"] == name {
				return o["id"].(string)
			}
		}
		t.Fatalf("%s has no %s", path, name)
		return ""
	}
	web := add("/filteringPolicies", `{"name":"W","action":"block"}`)
	tls := add("/tlsInspectionPolicies", `{"name":"T","settings":{"defaultAction":"inspect"}}`)
	danger := add("/threatIntelligencePolicies", `{"name":"D","settings":{"defaultAction":"allow"}}`)
	wall := add("/cloudFirewallPolicies", `{"name":"F","settings":{"defaultAction":"allow"}}`)
	profile := add("/filteringProfiles", `{"name":"P","state":"enabled","priority":777}`)
	site := add("/filteringPolicies/"+web+"/policyRules", `{`+of+`fqdnFilteringRule","name":"R","ruleType":"fqdn","destinations":[{`+of+`fqdn","value":"a.example"}]}`)
	system, recommended := first("/tlsInspectionPolicies/"+tls+"/policyRules", "System Bypass TLS inspection rule"), first("/tlsInspectionPolicies/"+tls+"/policyRules", "Recommended TLS inspection bypass categories rule")
	worst := first("/threatIntelligencePolicies/"+danger+"/policyRules", "Default threat intel rule")
	route := first("/forwardingPolicies", "")
	through, other := first("/forwardingProfiles", ""), first("/forwardingProfiles", "Internet traffic forwarding profile")
	branch := add("/connectivity/remoteNetworks", `{"name":"B","region":"westEurope","forwardingProfiles":[{"id":"`+other+`"}]}`)
	way := first("/forwardingPolicies/"+route+"/policyRules", "")
	link := func(kind, id string) string {
		return `{` + of + kind + `Link","state":"enabled",` + map[bool]string{true: `"priority":100,"loggingState":"enabled",`}[kind == "filteringPolicy"] + `"policy":{` + of + kind + `","id":"` + id + `"}}`
	}
	rule := func(kind, name, priority, conditions string) string {
		return `{` + of + kind + `","name":"` + name + `","action":"bypass","priority":` + priority + `,"settings":{"status":"enabled"},"matchingConditions":` + conditions + `}`
	}
	const tunnel = `"tunnelConfiguration":{"@odata.type":"#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Default"`
	router := func(more string) string {
		return `{"name":"L","ipAddress":"198.51.100.9","deviceVendor":"other","bgpConfiguration":{"asn":65001,"localIpAddress":"10.0.0.1","peerIpAddress":"10.0.0.2"},` + more + `}`
	}
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"v1.0 has none", "GET", "/../../v1.0/networkAccess/filteringPolicies", ``, 400},
		{"a policy without an action", "POST", "/filteringPolicies", `{"name":"X"}`, 400},
		{"a policy is changed", "PATCH", "/filteringPolicies/" + web, `{"action":"allow"}`, 204},
		{"a rule without its type", "PATCH", "/filteringPolicies/" + web + "/policyRules/" + site, `{"name":"S"}`, 400},
		{"a rule is changed", "PATCH", "/filteringPolicies/" + web + "/policyRules/" + site, `{` + of + `fqdnFilteringRule","name":"S"}`, 204},
		{"a rule of another kind", "PATCH", "/filteringPolicies/" + web + "/policyRules/" + site, `{` + of + `fqdnFilteringRule","destinations":[{` + of + `url","value":"a"}]}`, 400},
		{"a rule stays of its kind", "PATCH", "/filteringPolicies/" + web + "/policyRules/" + site, `{` + of + `fqdnFilteringRule","ruleType":"url"}`, 400},
		{"a rule of inspection", "POST", "/tlsInspectionPolicies/" + tls + "/policyRules", rule("tlsInspectionRule", "A", "100", `null`), 201},
		{"two of one priority", "POST", "/tlsInspectionPolicies/" + tls + "/policyRules", rule("tlsInspectionRule", "B", "100", `null`), 400},
		{"too low a priority", "POST", "/tlsInspectionPolicies/" + tls + "/policyRules", rule("tlsInspectionRule", "B", "99", `null`), 400},
		{"the service's own rule", "PATCH", "/tlsInspectionPolicies/" + tls + "/policyRules/" + system, `{` + of + `tlsInspectionRule","name":"B"}`, 400},
		{"the service's own rule away", "DELETE", "/tlsInspectionPolicies/" + tls + "/policyRules/" + system, ``, 400},
		{"the recommended rule", "PATCH", "/tlsInspectionPolicies/" + tls + "/policyRules/" + recommended, `{` + of + `tlsInspectionRule","settings":{"status":"disabled"}}`, 204},
		{"the default rule away", "DELETE", "/threatIntelligencePolicies/" + danger + "/policyRules/" + worst, ``, 400},
		{"a danger is blocked or allowed", "POST", "/threatIntelligencePolicies/" + danger + "/policyRules", rule("threatIntelligenceRule", "A", "100", `{"severity":"high"}`), 400},
		{"a link", "POST", "/filteringProfiles/" + profile + "/policies", link("filteringPolicy", web), 201},
		{"the same link", "POST", "/filteringProfiles/" + profile + "/policies", link("filteringPolicy", web), 409},
		{"a link of another type", "POST", "/filteringProfiles/" + profile + "/policies", link("tlsInspectionPolicy", web), 404},
		{"a link to inspection", "POST", "/filteringProfiles/" + profile + "/policies", link("tlsInspectionPolicy", tls), 201},
		{"a link to a firewall", "POST", "/filteringProfiles/" + profile + "/policies", link("cloudFirewallPolicy", wall), 201},
		{"a profile of the same priority", "POST", "/filteringProfiles", `{"name":"Q","state":"enabled","priority":777}`, 400},
		{"the baseline away", "DELETE", "/filteringProfiles/" + first("/filteringProfiles", "Baseline profile"), ``, 400},
		{"traffic is forwarded no more", "PATCH", "/forwardingProfiles/" + through, `{"state":"disabled"}`, 204},
		{"a forwarding profile renamed", "PATCH", "/forwardingProfiles/" + through, `{"name":"X"}`, 400},
		{"a forwarding profile added", "POST", "/forwardingProfiles", `{"state":"enabled"}`, 405},
		{"a forwarding rule by itself", "PATCH", "/forwardingPolicies/" + route + "/policyRules/" + way, `{}`, 405},
		{"a forwarding rule, by an application", "POST", "/forwardingPolicies/" + route + "/updatePolicyRules", `{"rules":[{"ruleId":"` + way + `","action":"bypass"}]}`, 403},
		{"a branch moved", "PATCH", "/connectivity/remoteNetworks/" + branch, `{"region":"eastUS"}`, 400},
		{"a branch renamed", "PATCH", "/connectivity/remoteNetworks/" + branch, `{"name":"C"}`, 200},
		{"a branch uses a profile, says an application", "PATCH", "/connectivity/remoteNetworks/" + branch + "/forwardingProfiles", `{"@context":"#$delta","value":[{"id":"` + other + `"}]}`, 403},
		{"a new branch uses no profile", "POST", "/connectivity/remoteNetworks", `{"name":"X","region":"westEurope","forwardingProfiles":[{"id":"x"}]}`, 404},
		{"a router without a key", "POST", "/connectivity/remoteNetworks/" + branch + "/deviceLinks", router(tunnel + `}`), 400},
		{"a router", "POST", "/connectivity/remoteNetworks/" + branch + "/deviceLinks", router(tunnel + `,"preSharedKey":"k"}`), 201},
		{"a setting", "PATCH", "/settings/conditionalAccess", `{"signalingStatus":"disabled"}`, 204},
		{"no setting", "PATCH", "/settings/conditionalAccess", `{"signalingStatus":"on"}`, 400},
		{"a long page", "PATCH", "/settings/customBlockPage", `{"configuration":{` + of + `markdownBlockMessageConfiguration","body":"` + strings.Repeat("x", 1025) + `"}}`, 400},
		{"an odd expansion", "GET", "/filteringProfiles?$expand=policies($expand=links)", ``, 400},
	} {
		path := root + tc.path
		if after, ok := strings.CutPrefix(tc.path, "/../.."); ok {
			path = after
		}
		if r := c.do(tc.method, path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	linked := func() (kinds []string) {
		for _, o := range c.want(200, "GET", root+"/filteringProfiles?$select=id&$expand=policies($expand=policy)", "").items() {
			if o["id"] != profile {
				continue
			}
			for _, l := range o["policies"].([]any) {
				l := l.(map[string]any)
				kinds = append(kinds, l["@odata.type"].(string)[len("#microsoft.graph.networkaccess."):]+" to "+l["policy"].(map[string]any)["name"].(string))
			}
		}
		return kinds
	}
	if all := strings.Join(linked(), ", "); all != "filteringPolicyLink to W, tlsInspectionPolicyLink to T, cloudFirewallPolicyLink to F" {
		t.Errorf("linked: %s", all)
	}
	c.want(204, "DELETE", root+"/filteringPolicies/"+web, "")
	if all := strings.Join(linked(), ", "); all != "tlsInspectionPolicyLink to T, cloudFirewallPolicyLink to F" {
		t.Errorf("linked, with a policy less: %s", all)
	}
	for _, o := range c.want(200, "GET", root+"/connectivity/remoteNetworks?$expand=forwardingProfiles", "").items() {
		if all, _ := o["forwardingProfiles"].([]any); o["id"] == branch && (len(all) != 1 || all[0].(map[string]any)["id"] != other) {
			t.Errorf("a branch uses %v", all)
		}
	}
	if o := c.want(200, "GET", root+"/settings/conditionalAccess", "").body; o["id"] != nil || o["signalingStatus"] != "disabled" || o["dataPlaneSignalingOptions"] == nil {
		t.Errorf("a setting: %v", o)
	}
}
