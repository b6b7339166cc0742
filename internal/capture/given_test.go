package capture_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// given counts the types that there can be none of where the tenant does not use a service, and what was asked of it.
func given(t *testing.T, l *lab.Lab, s *snapshot.Snapshot, want func(p snapshot.Part) bool) (types, asked int) {
	t.Helper()
	for r := range catalog.All() {
		if strings.HasPrefix(r.List, "/networkAccess/") && r.Given != "" {
			types++
			if p := s.Part(r.Type, ""); !want(p) {
				t.Errorf("%s: %s, %d objects: %s", r.Type, p.Coverage, p.Objects, p.Reason)
			}
		}
	}
	for _, q := range l.Tenant.Requests() {
		if strings.Contains(q.Path, "/networkAccess/") {
			asked++
		}
	}
	return types, asked
}

// A tenant that does not use a service is asked no more than whether it does.
func TestAServiceThatIsNotUsed(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{})
	tenant.Offboard()
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		tenant.ResetRequests()
		s := l.Capture()
		types, asked := given(t, l, s, func(p snapshot.Part) bool {
			return p.Coverage == snapshot.Unsupported && strings.HasSuffix(p.Reason, "the tenant has none of what this needs: Global Secure Access")
		})
		if p := s.Part("tenantStatus", ""); types < 10 || asked != 1 || p.Coverage != snapshot.Complete || p.Objects != 0 {
			t.Errorf("%d types, %d requests; %s, %d objects: %s", types, asked, p.Coverage, p.Objects, p.Reason)
		}
		if p := s.Part("policyLink", ""); p.Coverage != snapshot.Unsupported {
			t.Errorf("what is contained is %s: %s", p.Coverage, p.Reason)
		}
	})
}

// One that uses it is asked for one list of each type, with what its objects contain.
func TestAServiceThatIsUsed(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		tenant.ResetRequests()
		types, asked := given(t, l, l.Capture(), func(p snapshot.Part) bool { return p.Coverage == snapshot.Complete && p.Objects > 0 })
		if types < 10 || asked > 2*types {
			t.Errorf("%d types, %d requests", types, asked)
		}
	})
}

// Where it cannot be read whether the tenant uses a service, its types are asked for, and say themselves what became of
// that.
func TestAServiceThatRefuses(t *testing.T) {
	for _, tt := range []struct {
		status     int
		code, says string
		want       snapshot.Coverage
	}{
		{403, "Forbidden", "Access denied", snapshot.Denied},
		{403, "NoLicense", "The tenant is not licensed for it.", snapshot.Unlicensed},
		{404, "ResourceNotFound", "Tenant not found", snapshot.Unsupported},
		{400, "BadRequest", "Resource not found for the segment 'networkAccess'.", snapshot.Unsupported},
	} {
		tenant := lab.Start(t, emulator.Options{Every: true})
		synctest.Test(t, func(t *testing.T) {
			l := lab.New(t, tenant)
			tenant.Inject(emulator.Fault{Match: "GET /beta/networkAccess", Status: tt.status, Times: -1, Body: fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, tt.code, tt.says)})
			given(t, l, l.Capture(), func(p snapshot.Part) bool { return p.Coverage == tt.want })
		})
	}
}
