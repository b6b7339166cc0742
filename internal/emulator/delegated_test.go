package emulator_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// Some things are shown to people only: an application is refused, to read and to write, and the tenant itself is not.
func TestShownToPeopleOnly(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	reads, writes := newClient(t, at, at.CaptureApp()), newClient(t, at, at.RestoreApp())
	for _, tt := range []struct{ path, body string }{
		{"/v1.0/policies/ownerlessGroupPolicy", `{"isEnabled":false}`},
	} {
		if r := reads.do("GET", tt.path, ""); r.status != 403 {
			t.Errorf("GET %s: %d %s", tt.path, r.status, r.body)
		}
		if r := writes.do("PATCH", tt.path, tt.body); r.status != 403 {
			t.Errorf("PATCH %s: %d %s", tt.path, r.status, r.body)
		}
		must(t, at, 200, "GET", tt.path, nil)
	}
	// To turn the policy off clears the rest of it.
	must(t, at, 204, "PATCH", "/v1.0/policies/ownerlessGroupPolicy", map[string]any{"isEnabled": false})
	if is := must(t, at, 200, "GET", "/v1.0/policies/ownerlessGroupPolicy", nil); is["isEnabled"] != false || is["policyWebUrl"] != nil {
		t.Errorf("turned off it is %v", is)
	}
}
