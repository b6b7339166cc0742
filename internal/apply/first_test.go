package apply_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// Of a tenant that was wiped, half of it for good, the first administrator can work within five minutes of writes under the
// quotas that the service documents, whatever else there is to bring back.
func TestTheFirstAdministratorComesSoon(t *testing.T) {
	n := 2000
	if long() {
		n = 10_000
	}
	tenant := lab.Start(t, emulator.Options{Users: 600, Groups: 8, Apps: 1})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		l.Asked = nil
		d := &disaster{t: t, tenant: tenant}
		d.build(n)
		const roles = "/roleManagement/directory/roleAssignments"
		var role any
		_, held := tenant.Do(http.MethodGet, "/v1.0"+roles+"?$filter=principalId eq '"+tenant.Find("users", "Ada Admin")+"'", nil)
		for _, a := range held["value"].([]any) {
			role = a.(map[string]any)["roleDefinitionId"]
		}
		// Three administrators: one has a role of their own, the others have it through a group.
		group := d.make("/groups", false, map[string]any{"displayName": "Zone administrators", "mailEnabled": false, "mailNickname": "zone", "securityEnabled": true, "isAssignableToRole": true})
		for i := range 3 {
			who := d.make("/users", true, map[string]any{"accountEnabled": true, "displayName": fmt.Sprintf("Zoe %d", i), "mailNickname": fmt.Sprintf("zoe%d", i),
				"userPrincipalName": fmt.Sprintf("zoe%d@contoso.example", i), "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})
			if i == 0 {
				d.make(roles, false, map[string]any{"principalId": who, "roleDefinitionId": role, "directoryScopeId": "/"})
			} else {
				d.link("/groups/"+group+"/members", who)
			}
		}
		d.make(roles, false, map[string]any{"principalId": group, "roleDefinitionId": role, "directoryScopeId": "/"})
		goal := l.Capture()
		gone := d.strike()
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{EnableUsers: true})
		cleared, record := l.Clear(p, base)
		if len(cleared.Returning()) < 3 {
			t.Fatalf("%d ways back for administrators, want 3 at least", len(cleared.Returning()))
		}
		l.Wire.Meddle = func(_ *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			time.Sleep(150 * time.Millisecond) // of the bubble; as Estimate takes a request to need
			return pass()
		}
		tenant.Throttle(1)
		began := time.Now()
		when := map[int]time.Duration{}
		o := l.Options(base)
		o.Progress = func(s plan.Step, r apply.Result) {
			if r.Outcome == apply.Done || r.Outcome == apply.AlreadyDone {
				when[s.Number] = time.Since(began)
			}
		}
		report, err := apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, o)
		took := time.Since(began)
		tenant.Throttle(0)
		l.Wire.Meddle = nil
		if err != nil {
			t.Fatal(err)
		}
		if done := report.Count(apply.Done) + report.Count(apply.AlreadyDone); done != len(p.Steps) {
			t.Errorf("%d of %d steps happened", done, len(p.Steps))
		}
		var first, last time.Duration
		for _, way := range cleared.Returning() {
			var at time.Duration
			for _, step := range way {
				at = max(at, when[step])
			}
			if first == 0 || at < first {
				first = at
			}
			last = max(last, at)
		}
		t.Logf("%d objects, %d steps in %s of the service's time: the first administrator after %s, the last after %s", gone, len(p.Steps), took.Round(time.Second), first.Round(time.Second/10), last.Round(time.Second/10))
		if first == 0 || first > 5*time.Minute {
			t.Errorf("the first administrator could work after %s", first)
		}
		if last > took/2 {
			t.Errorf("the last administrator could work after %s of %s", last, took)
		}
	})
}
