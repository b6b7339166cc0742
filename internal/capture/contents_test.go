package capture_test

import (
	"fmt"
	"io"
	"net/http"
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

// Where the service refuses to list them so, each is asked itself.
func TestContentsWithoutExpand(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		refused := 0
		l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if r.URL.Query().Get("$expand") != "delegatedPermissionClassifications" {
				return pass()
			}
			refused++
			body := `{"error":{"code":"Request_BadRequest","message":"The query is not supported."}}`
			return &http.Response{StatusCode: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
		p := l.Capture().Part("delegatedPermissionClassification", "")
		if refused == 0 || p.Objects != 3 || p.Coverage != snapshot.Complete {
			t.Errorf("refused %d times; %d objects, %s: %s", refused, p.Objects, p.Coverage, p.Reason)
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
