package emulator_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// What the service observes of somebody has that one's ID, and nobody writes it.
func TestObservations(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	for list, of := range map[string]string{
		"/v1.0/identityProtection/riskyUsers":                         "/v1.0/users/",
		"/v1.0/identityProtection/riskyServicePrincipals":             "/v1.0/servicePrincipals/",
		"/v1.0/reports/authenticationMethods/userRegistrationDetails": "/v1.0/users/",
	} {
		all := must(t, at, 200, "GET", list, nil)["value"].([]any)
		if len(all) == 0 {
			t.Errorf("%s: none", list)
		}
		for _, x := range all {
			id := x.(map[string]any)["id"].(string)
			must(t, at, 200, "GET", of+id, nil)
			if got := must(t, at, 200, "GET", list+"/"+id, nil); got["id"] != id {
				t.Errorf("%s/%s: %v", list, id, got["id"])
			}
			must(t, at, 405, "PATCH", list+"/"+id, map[string]any{"riskLevel": "none"})
		}
	}
	must(t, at, 400, "GET", "/v1.0/directory/recommendations", nil)
	if all := must(t, at, 200, "GET", "/beta/directory/recommendations", nil)["value"].([]any); len(all) == 0 {
		t.Error("no recommendations")
	}
}
