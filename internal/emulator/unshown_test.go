package emulator_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// What the reference does not show is in the preview only, one object each, and changed by those who may.
func TestUnshown(t *testing.T) {
	at := start(t, emulator.Options{})
	reader, writer := newClient(t, at, at.CaptureApp()), newClient(t, at, at.RestoreApp())
	for path, body := range map[string]string{
		"/identityProtection/policy":                `{"isUserRiskClearedOnPasswordReset":true}`,
		"/networkAccess/settings/enrichedAuditLogs": `{"exchange":{"status":"enabled"}}`,
	} {
		reader.want(400, "GET", "/v1.0"+path, "")
		before := reader.want(200, "GET", "/beta"+path, "").body
		reader.want(403, "PATCH", "/beta"+path, body)
		writer.want(400, "PATCH", "/beta"+path, `{"unheardOf":true}`)
		for _, method := range []string{"POST", "DELETE"} {
			writer.want(405, method, "/beta"+path, body)
		}
		if got := writer.do("PATCH", "/beta"+path, body); got.status != 200 && got.status != 204 {
			t.Errorf("%s: %d %v", path, got.status, got.body)
		}
		after := reader.want(200, "GET", "/beta"+path, "").body
		switch path {
		case "/identityProtection/policy":
			if before["isUserRiskClearedOnPasswordReset"] != false || after["isUserRiskClearedOnPasswordReset"] != true {
				t.Errorf("%v, then %v", before, after)
			}
		default:
			status := func(o map[string]any, of string) any { return o[of].(map[string]any)["status"] }
			if status(before, "exchange") != "disabled" || status(after, "exchange") != "enabled" || status(after, "teams") != "disabled" {
				t.Errorf("%v, then %v", before, after)
			}
		}
	}
	writer.want(400, "PATCH", "/beta/networkAccess/settings/enrichedAuditLogs", `{"teams":{"status":"perhaps"}}`)
	at.Offboard()
	reader.want(403, "GET", "/beta/networkAccess/settings/enrichedAuditLogs", "")
}

// What an application provisions with is shown but for its credentials, and written at once.
func TestProvisioningSecrets(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	reader, writer := newClient(t, at, at.CaptureApp()), newClient(t, at, at.RestoreApp())
	path := ""
	for _, sp := range reader.want(200, "GET", "/v1.0/servicePrincipals?$select=id,applicationTemplateId", "").items() {
		if sp["applicationTemplateId"] != nil {
			path = "/servicePrincipals/" + sp["id"].(string) + "/synchronization/secrets"
		}
	}
	values := func() map[string]any {
		m := map[string]any{}
		for _, e := range reader.want(200, "GET", "/beta"+path, "").items() {
			m[e["key"].(string)] = e["value"]
		}
		return m
	}
	if m := values(); m["SecretToken"] != "*" || m["SyncAll"] != "false" {
		t.Error(m)
	}
	body := `{"value":[{"key":"SecretToken","value":"new"},{"key":"SyncAll","value":"true"}]}`
	reader.want(403, "PUT", "/beta"+path, body)
	writer.want(204, "PUT", "/beta"+path, body)
	if m := values(); len(m) != 2 || m["SecretToken"] != "*" || m["SyncAll"] != "true" {
		t.Error(m)
	}
	writer.want(405, "PATCH", "/beta"+path, body)
	writer.want(405, "DELETE", "/beta"+path, "")
}
