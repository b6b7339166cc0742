package capture_test

import (
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A single object that the service shows as a list of one is read, and none where the list is empty, whatever there was before.
func TestAListOfOne(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		for _, tt := range []struct {
			typ        entra.Type
			match, one string
		}{
			{"enrichedAuditLogs", "GET /beta/networkAccess/settings/enrichedAuditLogs", `{"id":"c","exchange":{"status":"enabled"}}`},
			{"customClaimsPolicy", `GET /claimsPolicy$`, `{"id":"c","includeBasicClaimSet":true}`},
		} {
			for _, list := range []string{`[]`, `[` + tt.one + `]`, `[]`} {
				want := list != `[]`
				tenant.Inject(emulator.Fault{Match: tt.match, Status: 200, Times: -1, Body: `{"@odata.context":"x","value":` + list + `}`})
				if p := l.Capture().Part(tt.typ, ""); p.Coverage != snapshot.Complete || (p.Objects > 0) != want {
					t.Errorf("%s, %s: %s, %d objects: %s", tt.typ, list, p.Coverage, p.Objects, p.Reason)
				}
				tenant.ClearFaults()
			}
		}
	})
}
