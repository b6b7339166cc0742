package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// signedIn has the administrator sign in to the tenant's restore application, which may use some permissions for people.
func signedIn(t *testing.T, at *emulator.Tenant, scope string) *client {
	t.Helper()
	app := at.RestoreApp()
	c := newClient(t, at, app)
	must(t, at, 204, "PATCH", "/v1.0/applications(appId='"+app.ClientID+"')", map[string]any{"isFallbackPublicClient": true})
	must(t, at, 201, "POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": app.ObjectID, "consentType": "AllPrincipals", "resourceId": at.Find("servicePrincipals", "Microsoft Graph"), "scope": scope})
	ada := must(t, at, 200, "GET", "/v1.0/users/"+at.Find("users", "Ada Admin"), nil)["userPrincipalName"].(string)
	home := at.URL() + "/" + at.ID() + "/oauth2/v2.0/"
	r, err := c.http.PostForm(home+"devicecode", url.Values{"client_id": {app.ClientID}, "scope": {"https://graph.microsoft.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	var begun map[string]any
	if err := json.Unmarshal([]byte(read(t, r)), &begun); err != nil {
		t.Fatal(err)
	}
	if r, err = c.http.PostForm(begun["verification_uri"].(string), url.Values{"otc": {begun["user_code"].(string)}, "username": {ada}}); err != nil {
		t.Fatal(err)
	}
	_ = read(t, r)
	status, m := c.tokenRequest(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {app.ClientID}, "device_code": {begun["device_code"].(string)}})
	if status != 200 {
		t.Fatal(status, m)
	}
	c.token = m["access_token"].(string)
	return c
}

// An application is not let near what people are shown, and people are with the permission.
func TestPeopleOnly(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	app := newClient(t, at, at.RestoreApp())
	person := signedIn(t, at, "Policy.Read.HybridAuthentication Policy.Read.All AgreementAcceptance.Read.All RiskPreventionProviders.Read.All")
	agreement := must(t, at, 200, "GET", "/v1.0/identityGovernance/termsOfUse/agreements", nil)["value"].([]any)[0].(map[string]any)["id"].(string)
	for _, list := range []string{"/v1.0/policies/featureRolloutPolicies", "/beta/policies/mobileDeviceManagementPolicies", "/beta/policies/mobileAppManagementPolicies",
		"/v1.0/identityGovernance/termsOfUse/agreements/" + agreement + "/acceptances", "/v1.0/identity/riskPrevention/fraudProtectionProviders"} {
		if got := app.do("GET", list, ""); got.status != 403 {
			t.Errorf("an application sees %s: %d", list, got.status)
		}
		got := person.do("GET", list, "")
		if got.status != 200 || len(got.items()) == 0 {
			t.Errorf("%s: %d %s", list, got.status, got.raw)
			continue
		}
		one := list + "/" + got.items()[0]["id"].(string)
		if got := app.do("GET", one, ""); got.status != 403 {
			t.Errorf("an application sees %s: %d", one, got.status)
		}
		if got := person.do("GET", one, ""); got.status != 200 {
			t.Errorf("%s: %d", one, got.status)
		}
		for _, c := range []*client{app, person} { // who may read may not write
			if got := c.do("PATCH", one, `{"displayName":"Other"}`); got.status != 403 && got.status != 405 {
				t.Errorf("PATCH %s: %d", one, got.status)
			}
		}
	}
	for _, rel := range []string{"/v1.0/policies/featureRolloutPolicies/%s/appliesTo", "/beta/policies/mobileDeviceManagementPolicies/%s/includedGroups"} {
		policy := fmt.Sprint(must(t, at, 200, "GET", rel[:strings.Index(rel, "/%s")], nil)["value"].([]any)[0].(map[string]any)["id"])
		if got := app.do("GET", fmt.Sprintf(rel, policy), ""); got.status != 403 {
			t.Errorf("an application sees %s: %d", rel, got.status)
		}
		if got := app.do("POST", fmt.Sprintf(rel, policy)+"/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/groups/x"}`); got.status != 403 {
			t.Errorf("an application binds %s: %d", rel, got.status)
		}
	}
}

func TestStagedRollout(t *testing.T) {
	at := start(t, emulator.Options{})
	const list = "/v1.0/policies/featureRolloutPolicies"
	body := map[string]any{"displayName": "Hashes", "feature": "passwordHashSync", "isEnabled": true}
	made := must(t, at, 201, "POST", list, body)
	one := list + "/" + made["id"].(string)
	if made["isAppliedToOrganization"] != false {
		t.Error(made)
	}
	must(t, at, 409, "POST", list, body)
	must(t, at, 400, "POST", list, map[string]any{"displayName": "Nothing", "isEnabled": true})
	must(t, at, 400, "PATCH", one, map[string]any{"feature": "seamlessSso"})
	must(t, at, 204, "PATCH", one, map[string]any{"isEnabled": false})
	var all []any
	for i := range 11 {
		g := must(t, at, 201, "POST", "/v1.0/groups", map[string]any{"displayName": fmt.Sprint("Stage ", i), "mailEnabled": false, "mailNickname": fmt.Sprint("stage", i), "securityEnabled": true})
		all = append(all, g["id"])
		want := 204
		if i == 10 { // one too many
			want = 400
		}
		must(t, at, want, "POST", one+"/appliesTo/$ref", map[string]any{"@odata.id": at.URL() + "/v1.0/directoryObjects/" + g["id"].(string)})
	}
	if got := must(t, at, 200, "GET", one+"?$expand=appliesTo($select=id)", nil)["appliesTo"].([]any); len(got) != 10 {
		t.Error(got)
	}
	must(t, at, 204, "DELETE", one+"/appliesTo/"+all[0].(string)+"/$ref", nil)
	must(t, at, 404, "DELETE", one+"/appliesTo/"+all[0].(string)+"/$ref", nil)
	must(t, at, 204, "DELETE", one, nil)
}

// To whom an enrolment policy applies is set alone, and to selected groups by adding them.
func TestEnrolment(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	const list = "/beta/policies/mobileDeviceManagementPolicies"
	policy := must(t, at, 200, "GET", list+"?$expand=includedGroups", nil)["value"].([]any)[0].(map[string]any)
	one, groups := list+"/"+policy["id"].(string), policy["includedGroups"].([]any)
	if policy["appliesTo"] != "selected" || len(groups) == 0 {
		t.Fatal(policy)
	}
	must(t, at, 405, "POST", list, map[string]any{"displayName": "Mine"})
	must(t, at, 405, "DELETE", one, nil)
	must(t, at, 400, "PATCH", one, map[string]any{"displayName": "Mine"})
	must(t, at, 400, "PATCH", one, map[string]any{"appliesTo": "selected"})
	must(t, at, 400, "PATCH", one, map[string]any{"appliesTo": "all", "discoveryUrl": "https://other.example"})
	must(t, at, 204, "PATCH", one, map[string]any{"discoveryUrl": "https://other.example"})
	must(t, at, 204, "PATCH", one, map[string]any{"appliesTo": "all"})
	if got := must(t, at, 200, "GET", one+"?$expand=includedGroups", nil); got["appliesTo"] != "all" || len(got["includedGroups"].([]any)) > 0 {
		t.Error(got)
	}
	must(t, at, 204, "POST", one+"/includedGroups/$ref", map[string]any{"@odata.id": at.URL() + "/beta/groups/" + groups[0].(map[string]any)["id"].(string)})
	if got := must(t, at, 200, "GET", one, nil); got["appliesTo"] != "selected" {
		t.Error(got)
	}
}

// The secrets of who tells people from robots are never shown, and say what kind a provider is.
func TestFraudProtection(t *testing.T) {
	at := start(t, emulator.Options{})
	const list = "/v1.0/identity/riskPrevention/fraudProtectionProviders"
	body := map[string]any{"@odata.type": "#microsoft.graph.humanSecurityFraudProtectionProvider", "displayName": "HUMAN", "appId": "PXabc"}
	must(t, at, 400, "POST", list, body)
	body["serverToken"] = "s3cret"
	made := must(t, at, 201, "POST", list, body)
	one := list + "/" + made["id"].(string)
	if got := must(t, at, 200, "GET", one, nil); got["serverToken"] != nil || got["@odata.type"] != body["@odata.type"] {
		t.Error(got)
	}
	must(t, at, 400, "PATCH", one, map[string]any{"displayName": "Other"})
	must(t, at, 204, "PATCH", one, map[string]any{"@odata.type": body["@odata.type"], "displayName": "Other"})
	must(t, at, 204, "DELETE", one, nil)
}

// How an application is published is told where it is asked for, in the preview, and to people only.
func TestPublished(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	app := newClient(t, at, at.RestoreApp())
	person := signedIn(t, at, "Application.ReadWrite.All")
	list := "/beta/applications?$select=id,onPremisesPublishing"
	if got := app.do("GET", list, ""); got.status != 403 {
		t.Errorf("an application sees it: %d", got.status)
	}
	if got := person.do("GET", "/v1.0/applications?$select=id,onPremisesPublishing", ""); got.status != 400 {
		t.Errorf("v1.0: %d", got.status)
	}
	published, other := "", ""
	for _, a := range person.do("GET", list, "").items() {
		if p, ok := a["onPremisesPublishing"].(map[string]any); !ok {
			other = "/beta/applications/" + a["id"].(string)
		} else if p["externalUrl"] != nil {
			published = "/beta/applications/" + a["id"].(string)
		}
	}
	for i, x := range []struct {
		who  *client
		at   string
		body string
		want int
	}{
		{app, published, `{"onPremisesPublishing":{"isSecureCookieEnabled":false}}`, 403},
		{person, published, `{"onPremisesPublishing":{"isSecureCookieEnabled":false}}`, 204},
		{person, published, `{"onPremisesPublishing":{"isOnPremPublishingEnabled":false}}`, 400},
		{person, published, `{"onPremisesPublishing":{"externalAuthenticationType":"magic"}}`, 400},
		{person, other, `{"onPremisesPublishing":{"externalUrl":"https://outside.example"}}`, 400},
		{person, other, `{"onPremisesPublishing":{"externalUrl":"https://outside.example","internalUrl":"https://inside.example"}}`, 204},
	} {
		if got := x.who.do("PATCH", x.at, x.body); got.status != x.want {
			t.Errorf("%d: %d, want %d: %s", i, got.status, x.want, got.raw)
		}
	}
	p := person.do("GET", other+"?$select=onPremisesPublishing", "").body["onPremisesPublishing"].(map[string]any)
	if p["isOnPremPublishingEnabled"] != true || p["isSecureCookieEnabled"] != true || p["externalUrl"] != "https://outside.example" {
		t.Error(p)
	}
	if got := person.do("GET", other, ""); got.body["onPremisesPublishing"] != nil {
		t.Error("it is told unasked")
	}
}

// A connector and a published application are in one connector group always, and a group is emptied before it goes.
func TestConnectorGroups(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	const list, machines = "/beta/onPremisesPublishingProfiles/applicationProxy/connectorGroups", "/onPremisesPublishingProfiles/applicationProxy/connectors"
	app := newClient(t, at, at.RestoreApp())
	for _, path := range []string{list, "/beta" + machines, "/beta/onPremisesPublishingProfiles/applicationProxy", "/beta/onPremisesPublishingProfiles/provisioning/agents"} {
		if got := app.do("GET", path, ""); got.status != 403 {
			t.Errorf("an application sees %s: %d", path, got.status)
		}
	}
	groups := map[string]string{}
	for _, g := range must(t, at, 200, "GET", list, nil)["value"].([]any) {
		groups[g.(map[string]any)["name"].(string)] = list + "/" + g.(map[string]any)["id"].(string)
	}
	end := func(path string) string {
		all := must(t, at, 200, "GET", path, nil)["value"].([]any)
		if len(all) != 1 {
			t.Fatalf("%s: %v", path, all)
		}
		return all[0].(map[string]any)["id"].(string)
	}
	machine, published := end(groups["Branch"]+"/members"), end(groups["Branch"]+"/applications")
	must(t, at, 404, "GET", groups["Spare"]+"/members", nil)
	must(t, at, 404, "GET", groups["Spare"]+"/applications", nil)
	must(t, at, 400, "PATCH", groups["Branch"], map[string]any{"region": "asia"})
	must(t, at, 400, "DELETE", groups["Branch"], nil)
	must(t, at, 400, "DELETE", groups["Default"], nil)
	must(t, at, 405, "DELETE", groups["Branch"]+"/members/"+machine+"/$ref", nil)
	must(t, at, 405, "DELETE", "/beta"+machines+"/"+machine, nil)
	must(t, at, 204, "POST", groups["Spare"]+"/members/$ref", map[string]any{"@odata.id": at.URL() + "/beta" + machines + "/" + machine})
	must(t, at, 404, "GET", groups["Branch"]+"/members", nil)
	spare := map[string]any{"@odata.id": at.URL() + groups["Spare"]}
	must(t, at, 204, "PUT", "/beta/applications/"+published+"/connectorGroup/$ref", spare)
	must(t, at, 405, "DELETE", "/beta/applications/"+published+"/connectorGroup/$ref", nil)
	other := must(t, at, 201, "POST", "/v1.0/applications", map[string]any{"displayName": "Inside"})["id"].(string)
	must(t, at, 400, "PUT", "/beta/applications/"+other+"/connectorGroup/$ref", spare)
	if end(groups["Spare"]+"/members") != machine || end(groups["Spare"]+"/applications") != published {
		t.Error("they are not in the other group")
	}
	must(t, at, 200, "PATCH", groups["Branch"], map[string]any{"region": "asia"})
	must(t, at, 204, "DELETE", groups["Branch"], nil)
}

// Agents and what they publish are assigned to groups of agents where they are.
func TestAgentGroups(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	for _, profile := range []string{"provisioning", "authentication", "exchangeOnline", "adAdministration", "intunePfx", "oflineDomainJoin"} {
		home := "/beta/onPremisesPublishingProfiles/" + profile
		must(t, at, 405, "POST", home+"/agents", map[string]any{"machineName": "mine"})
		must(t, at, 400, "POST", home+"/publishedResources", map[string]any{"displayName": "No name"})
		must(t, at, 400, "POST", home+"/publishedResources", map[string]any{"displayName": "Again", "resourceName": "domain0.corp.example"})
		group := must(t, at, 201, "POST", home+"/agentGroups", map[string]any{"displayName": "Mine"})["id"].(string)
		for rel, list := range map[string]string{"agents": "/agents", "publishedResources": "/publishedResources"} {
			one := home + list + "/" + must(t, at, 200, "GET", home+list, nil)["value"].([]any)[0].(map[string]any)["id"].(string)
			ref := map[string]any{"@odata.id": at.URL() + home + "/agentGroups/" + group}
			must(t, at, 204, "POST", one+"/agentGroups/$ref", ref)
			must(t, at, 400, "POST", one+"/agentGroups/$ref", ref)
			if got := must(t, at, 200, "GET", home+"/agentGroups/"+group+"?$expand="+rel+"($select=id)", nil)[rel].([]any); len(got) != 1 {
				t.Error(got)
			}
			must(t, at, 204, "DELETE", one+"/agentGroups/"+group+"/$ref", nil)
			must(t, at, 404, "DELETE", one+"/agentGroups/"+group+"/$ref", nil)
		}
		update := map[string]any{"allowUpdateConfigurationOverride": true}
		must(t, at, 400, "PATCH", home, map[string]any{"hybridAgentUpdaterConfiguration": update})
		must(t, at, 400, "PATCH", home+"/hybridAgentUpdaterConfiguration", map[string]any{"deferUpdate": "2018-08-20T12:00:00Z"})
		must(t, at, 204, "PATCH", home+"/hybridAgentUpdaterConfiguration", update)
		if now := must(t, at, 200, "GET", home, nil)["hybridAgentUpdaterConfiguration"].(map[string]any); now["allowUpdateConfigurationOverride"] != true || now["updateWindow"] == nil {
			t.Error(now)
		}
		must(t, at, 405, "DELETE", home, nil)
		must(t, at, 405, "DELETE", home+"/hybridAgentUpdaterConfiguration", nil)
	}
	must(t, at, 400, "GET", "/beta/onPremisesPublishingProfiles/unknown", nil)
	must(t, at, 204, "PATCH", "/beta/onPremisesPublishingProfiles/privateAccess/hybridAgentUpdaterConfiguration", map[string]any{"allowUpdateConfigurationOverride": true})
	must(t, at, 405, "POST", "/beta/onPremisesPublishingProfiles/privateAccess/sensors", map[string]any{"machineName": "mine"})
}

// What a firewall is signed in to with is needed and never told, and what is behind it only the service says.
func TestFirewalls(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	const list, seen = "/v1.0/identity/riskPrevention/webApplicationFirewallProviders", "/v1.0/identity/riskPrevention/webApplicationFirewallVerifications"
	app := newClient(t, at, at.RestoreApp())
	for _, path := range []string{list, seen} {
		if got := app.do("GET", path, ""); got.status != 403 {
			t.Errorf("an application sees %s: %d", path, got.status)
		}
	}
	body := map[string]any{"@odata.type": "#microsoft.graph.cloudFlareWebApplicationFirewallProvider", "displayName": "New", "zoneId": "z"}
	must(t, at, 400, "POST", list, body)
	body["apiToken"] = "s3cret"
	made := must(t, at, 201, "POST", list, body)
	if made["apiToken"] != nil {
		t.Error("a secret is told")
	}
	one := list + "/" + made["id"].(string)
	must(t, at, 400, "PATCH", one, map[string]any{"displayName": "Other"})
	must(t, at, 200, "PATCH", one, map[string]any{"@odata.type": body["@odata.type"], "displayName": "Other"})
	must(t, at, 204, "DELETE", one, nil)
	if got := must(t, at, 200, "GET", seen, nil)["value"].([]any)[0].(map[string]any); got["provider"] != nil {
		t.Error("it is told unasked by whom")
	}
	for _, v := range must(t, at, 200, "GET", seen+"?$expand=provider", nil)["value"].([]any) {
		if p := v.(map[string]any)["provider"].(map[string]any); must(t, at, 200, "GET", list+"/"+p["id"].(string), nil)["displayName"] != p["displayName"] {
			t.Error(p)
		}
	}
	must(t, at, 405, "POST", seen, map[string]any{"verifiedHost": "mine.example"})
}

// A site has segments, made without a word, and they say which sites they answer; what is no site has none.
func TestWebSegments(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	app, person := newClient(t, at, at.RestoreApp()), signedIn(t, at, "Application.ReadWrite.All")
	const below = "/onPremisesPublishing/segmentsConfiguration/microsoft.graph.webSegmentConfiguration/applicationSegments"
	site, other := "", ""
	for _, a := range person.do("GET", "/beta/applications?$select=id,onPremisesPublishing", "").items() {
		one := "/beta/applications/" + a["id"].(string)
		if p, ok := a["onPremisesPublishing"].(map[string]any); ok && p["externalUrl"] != nil {
			site = one
		} else if ok {
			other = one
		}
	}
	if got := app.do("GET", site+below, ""); got.status != 403 {
		t.Errorf("an application sees it: %d", got.status)
	}
	const body = `{"externalUrl":"https://new.example/","internalUrl":"https://in.example/"}`
	n := len(person.do("GET", site+below, "").items())
	for i, x := range []struct {
		at, body string
		want     int
	}{
		{other, body, 400},
		{site, `{"externalUrl":"https://new.example/"}`, 400},
		{site, body, 204},
	} {
		if got := person.do("POST", x.at+below, x.body); got.status != x.want {
			t.Errorf("%d: %d, want %d: %s", i, got.status, x.want, got.raw)
		}
	}
	all := person.do("GET", site+below, "").items()
	if len(all) != n+1 {
		t.Fatal(all)
	}
	one := ""
	for _, s := range all {
		if s["externalUrl"] == "https://new.example/" {
			one = site + below + "/" + s["id"].(string)
		}
	}
	for i, x := range []struct {
		method, at, body string
		want             int
	}{
		{"PATCH", one, `{"internalUrl":null}`, 400},
		{"PATCH", one, `{"alternateUrl":"https://near.example/"}`, 204},
		{"POST", one + "/corsConfigurations", `{"allowedMethods":["GET"]}`, 400},
		{"POST", one + "/corsConfigurations", `{"resource":"/","allowedMethods":["GET"]}`, 201},
		{"DELETE", one, "", 204},
	} {
		if got := person.do(x.method, x.at, x.body); got.status != x.want {
			t.Errorf("%d: %d, want %d: %s", i, got.status, x.want, got.raw)
		}
	}
}
