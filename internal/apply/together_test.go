package apply_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// Members come back twenty at a time. Where one of twenty is there already, the others do not suffer for it.
func TestMembersComeBackTogether(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 60, Groups: 8, Apps: 1})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		id := group(t, tenant, "Crowd")
		var members []string
		for e, err := range l.Tree(l.Capture()).Entries(t.Context(), "user") {
			if err != nil {
				t.Fatal(err)
			}
			if len(members) < 45 {
				members = append(members, string(e.Ref.ID))
			}
		}
		join := func(user string) {
			if status, answer := tenant.Do("POST", "/v1.0/groups/"+id+"/members/$ref", map[string]any{"@odata.id": tenant.URL() + "/v1.0/directoryObjects/" + user}); status != 204 {
				t.Fatalf("%d %v", status, answer)
			}
		}
		for _, m := range members {
			join(m)
		}
		goal := l.Capture()
		for _, m := range members {
			if status, _ := tenant.Do("DELETE", "/v1.0/groups/"+id+"/members/"+m+"/$ref", nil); status != 204 {
				t.Fatal(status)
			}
		}
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		join(members[3]) // somebody was quicker
		var many, single atomic.Int64
		l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			switch {
			case r.Method == http.MethodPatch:
				many.Add(1)
			case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/$ref"):
				single.Add(1)
			}
			return pass()
		}
		report := l.Apply(p, base)
		l.Wire.Meddle = nil
		if report.Count(apply.Done) != 44 || report.Count(apply.AlreadyDone) != 1 {
			t.Errorf("%d done, %d already done of %d", report.Count(apply.Done), report.Count(apply.AlreadyDone), len(report.Results))
		}
		if many.Load() != 3 || single.Load() > 20 {
			t.Errorf("%d calls for many and %d for one, want 3 and at most 20", many.Load(), single.Load())
		}
		if d := l.Verify(p, goal, l.Capture()); len(d) > 0 {
			t.Errorf("differs: %+v", d)
		}
	})
}
