package capture_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
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

// Only what can contain a thing is asked for it, by what a reading, or the one before it, said.
func TestOnlyWhatCanContainIsAsked(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true, Apps: 40})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		asked := func(then string) {
			t.Helper()
			n := map[string]int{}
			for _, q := range tenant.Requests() {
				for _, end := range []string{"/jobs", "/schema"} {
					if path, _, _ := strings.Cut(q.Path, "?"); strings.HasSuffix(path, "/synchronization"+end) || strings.Contains(path, "/synchronization/jobs/") && strings.HasSuffix(path, end) {
						n[end]++
					}
				}
			}
			if n["/jobs"] != 12 || n["/schema"] != 12 {
				t.Errorf("%s: %v", then, n)
			}
		}
		for _, then := range []string{"at first", "afterwards", "a day later"} {
			if then == "a day later" {
				tenant.Advance(24 * 60 * 60 * 1e9)
			}
			tenant.ResetRequests()
			s := l.Capture()
			for _, kind := range []string{"synchronizationJob", "synchronizationSchema"} {
				if p := s.Part(entra.Type(kind), ""); p.Objects != 12 || p.Coverage != snapshot.Complete {
					t.Errorf("%s: %d %s, %s: %s", then, p.Objects, kind, p.Coverage, p.Reason)
				}
			}
			if then == "at first" {
				asked(then)
			}
		}
		asked("a day later")
	})
}

// Only groups under privileged access are asked who can be in them. Which these are is a list of its own; where it cannot be
// read, nothing is known of what they contain.
func TestOnlyManagedGroupsAreAsked(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		tenant.ResetRequests()
		first := l.Capture()
		asked := 0
		for _, q := range tenant.Requests() {
			if strings.Contains(q.Path, "/privilegedAccess/group/eligibilitySchedules") {
				asked++
			}
		}
		groups := first.Part("groupResource", "").Objects
		if p := first.Part("privilegedAccessGroupEligibilitySchedule", ""); groups == 0 || int64(asked) != groups || p.Objects == 0 || p.Coverage != snapshot.Complete {
			t.Errorf("%d requests for %d groups: %d objects, %s", asked, groups, p.Objects, p.Coverage)
		}
		l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if !strings.HasSuffix(r.URL.Path, "/privilegedAccess/group/resources") {
				return pass()
			}
			return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
				Body: io.NopCloser(strings.NewReader(`{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}`))}, nil
		}
		p := l.Full().Part("privilegedAccessGroupEligibilitySchedule", "")
		if p.Coverage != snapshot.Denied || p.Objects != first.Part(p.Type, "").Objects {
			t.Errorf("%d objects, %s: %s", p.Objects, p.Coverage, p.Reason)
		}
	})
}

// Where no custom security attribute is defined, nobody is asked for values.
func TestNobodyIsAskedForWhatIsNotDefined(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		tenant.ResetRequests()
		if p := l.Capture().Part("userSecurityAttributes", ""); p.Coverage != snapshot.Complete || p.Objects != 0 {
			t.Errorf("%d objects, %s: %s", p.Objects, p.Coverage, p.Reason)
		}
		for _, q := range tenant.Requests() {
			if strings.Contains(q.Path, "customSecurityAttributes") {
				t.Errorf("asked: %s", q.Path)
			}
		}
	})
}
