package capture_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// What applications contain comes with a list of them. Only one that has as many as such a list can tell is asked itself.
func TestContentsComeWithTheirContainers(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Apps: 30})
	full, some := tenant.Find("applications", "Payroll"), tenant.Find("applications", "Expenses")
	for i := range 20 {
		for _, app := range []string{full, some} {
			if app == some && i > 18 {
				continue
			}
			status, answer := tenant.Do("POST", "/v1.0/applications/"+app+"/federatedIdentityCredentials", map[string]any{"name": fmt.Sprint("n", i), "issuer": "https://i.example", "subject": fmt.Sprint("s", i), "audiences": []any{"u"}})
			if status != 201 {
				t.Fatal(status, answer)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		tenant.ResetRequests()
		p := l.Capture().Part("federatedIdentityCredential", "")
		if p.Objects != 39 || p.Coverage != snapshot.Complete {
			t.Errorf("%d objects, %s: %s", p.Objects, p.Coverage, p.Reason)
		}
		var asked []string
		for _, q := range tenant.Requests() {
			if strings.HasPrefix(q.Path, "/v1.0/applications/") && strings.Contains(q.Path, "/federatedIdentityCredentials") {
				asked = append(asked, q.Path)
			}
		}
		if len(asked) != 1 || !strings.Contains(asked[0], full) {
			t.Errorf("asked by themselves: %v", asked)
		}
	})
}

// A domain whose people sign in here has no list of federations: that is none, not a fault.
func TestNoFederation(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{})
	synctest.Test(t, func(t *testing.T) {
		p := lab.New(t, tenant).Capture().Part("internalDomainFederation", "")
		if p.Objects != 0 || p.Coverage != snapshot.Complete {
			t.Errorf("%d objects, %s: %s", p.Objects, p.Coverage, p.Reason)
		}
	})
}
