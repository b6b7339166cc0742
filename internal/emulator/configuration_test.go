package emulator_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func TestConfigurationAndSettingsOfServices(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	const in, files, counts = "/admin/configurationManagement/", "/admin/sharepoint/settings", "/reports/authenticationMethods/microsoft.graph.usersRegisteredByFeature()"
	first := func(list string) string {
		t.Helper()
		items := c.want(200, "GET", "/v1.0"+in+list, "").items()
		if len(items) == 0 {
			t.Fatalf("%s: none", list)
		}
		return in + list + "/" + items[0]["id"].(string)
	}
	resource := `{"displayName":"D","resourceType":"microsoft.exchange.accepteddomain","properties":{"Identity":"contoso.example"}}`
	baseline := `{"displayName":"B","resources":[` + resource + `]}`
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"monitor", "POST", in + "configurationMonitors", `{"displayName":"M","baseline":` + baseline + `}`, 201},
		{"monitor of nothing", "POST", in + "configurationMonitors", `{"displayName":"M","baseline":{"displayName":"B","resources":[]}}`, 400},
		{"monitor without a baseline", "POST", in + "configurationMonitors", `{"displayName":"M"}`, 400},
		{"monitor that begins at rest", "POST", in + "configurationMonitors", `{"displayName":"M","status":"inactive","baseline":` + baseline + `}`, 400},
		{"monitor at rest", "PATCH", first("configurationMonitors"), `{"status":"inactive"}`, 204},
		{"monitor of another pace", "PATCH", first("configurationMonitors"), `{"monitorRunFrequencyInHours":1}`, 400},
		{"part of a baseline", "PATCH", first("configurationMonitors"), `{"baseline":{"resources":[` + resource + `]}}`, 400},
		{"job made", "POST", in + "configurationSnapshotJobs", `{}`, 405},
		{"job deleted", "DELETE", first("configurationSnapshotJobs"), ``, 204},
		{"snapshot deleted", "DELETE", first("configurationSnapshots"), ``, 405},
		{"drift changed", "PATCH", first("configurationDrifts"), `{"status":"fixed"}`, 405},
		{"run deleted", "DELETE", first("configurationMonitoringResults"), ``, 405},
		{"sharing", "PATCH", files, `{"sharingCapability":"disabled"}`, 200},
		{"sharing with whom it likes", "PATCH", files, `{"sharingCapability":"sometimes"}`, 400},
		{"paths", "PATCH", files, `{"availableManagedPathsForSiteCreation":["/x/"]}`, 400},
		{"settings deleted", "DELETE", files, ``, 405},
		{"teams turned off", "PATCH", "/teamwork", `{"isTeamsEnabled":false}`, 405},
		{"numbers written", "PATCH", counts, `{"totalUserCount":1}`, 405},
		{"schema extension made", "POST", "/schemaExtensions", `{}`, 405},
	} {
		if r := c.do(tc.method, "/v1.0"+tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	monitor := "/v1.0" + first("configurationMonitors")
	if b := c.want(200, "GET", monitor, "").body; b["parameters"] != nil || b["baseline"] != nil || b["createdDateTime"] == nil {
		t.Errorf("a monitor tells without being asked: %v", b)
	}
	if b := c.want(200, "GET", monitor+"?$select=parameters&$expand=baseline", "").body; b["parameters"] == nil || b["baseline"].(map[string]any)["id"] == nil {
		t.Errorf("a monitor that is asked: %v", b)
	}
	if b := c.want(200, "GET", "/v1.0"+counts, "").body; b["id"] != nil || len(b["userRegistrationFeatureCounts"].([]any)) != 5 {
		t.Errorf("numbers: %v", b)
	}
	if b := c.want(200, "GET", "/v1.0/teamwork", "").body; b["region"] == nil {
		t.Errorf("teams: %v", b)
	}
	mine := 0
	for _, o := range c.want(200, "GET", "/v1.0/schemaExtensions", "").items() {
		if r := c.do("GET", "/v1.0/applications(appId='"+o["owner"].(string)+"')", ""); strings.Contains(r.raw, `"displayName"`) {
			mine++
		}
	}
	if mine != 1 {
		t.Errorf("%d schema extensions are the tenant's own", mine)
	}
}

// What tokens say of people is shown only to who may write it, in the preview only, and nobody takes it away.
func TestClaimsPolicies(t *testing.T) {
	at := start(t, emulator.Options{})
	reader, c := newClient(t, at, at.CaptureApp()), newClient(t, at, at.RestoreApp())
	sp := "/servicePrincipals/" + at.Find("servicePrincipals", "Expenses")
	policy := "/beta" + sp + "/claimsPolicy"
	claim := `{"@odata.type":"#microsoft.graph.customClaim","name":"mail","tokenFormat":["jwt"],"configurations":[{"attribute":{"@odata.type":"#microsoft.graph.sourcedAttribute","id":"mail","source":"user"}}]}`
	c.want(404, "GET", policy, "")
	c.want(404, "PATCH", policy, `{"includeBasicClaimSet":true}`)
	c.want(201, "PUT", policy, `{"includeBasicClaimSet":true,"claims":[`+claim+`]}`)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"replaced", "PUT", policy, `{"includeApplicationIdInIssuer":true}`, 204},
		{"changed", "PATCH", policy, `{"claims":[` + claim + `]}`, 204},
		{"audience that is no address", "PATCH", policy, `{"audienceOverride":"x"}`, 400},
		{"claim of no kind", "PATCH", policy, `{"claims":[{"configurations":[]}]}`, 400},
		{"claim without a name", "PATCH", policy, `{"claims":[{"@odata.type":"#microsoft.graph.customClaim","configurations":[]}]}`, 400},
		{"claim for no token", "PATCH", policy, `{"claims":[{"@odata.type":"#microsoft.graph.customClaim","name":"n","tokenFormat":["paper"]}]}`, 400},
		{"taken away", "DELETE", policy, ``, 405},
		{"in v1.0", "GET", "/v1.0" + sp + "/claimsPolicy", ``, 400},
	} {
		if r := c.do(tc.method, tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	if b := c.want(200, "GET", policy, "").body; b["includeBasicClaimSet"] != nil || b["includeApplicationIdInIssuer"] != true || len(b["claims"].([]any)) != 1 {
		t.Errorf("after a replacement and a change: %v", b)
	}
	reader.want(403, "GET", policy, "")
}
