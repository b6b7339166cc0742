package apply_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A disaster fills a tenant with objects of mixed types that hang together, and takes them all away again: what has
// a recycle bin lies in it, every second one of them purged.
type disaster struct {
	t      testing.TB
	tenant *emulator.Tenant
	made   []string // addresses to delete, the last made first
	binned []string // of these, what goes to the recycle bin, by ID
}

// do writes to the tenant and returns the ID of what it made, "" for nothing.
func (d *disaster) do(method, path string, body any) string {
	d.t.Helper()
	status, answer := d.tenant.Do(method, "/v1.0"+path, body)
	if status >= 300 {
		d.t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	id, _ := answer["id"].(string)
	return id
}

func (d *disaster) make(path string, bin bool, body map[string]any) string {
	d.t.Helper()
	id := d.do(http.MethodPost, path, body)
	d.made = append(d.made, path+"/"+id)
	if bin {
		d.binned = append(d.binned, id)
	}
	return id
}

func (d *disaster) link(path, to string) {
	d.t.Helper()
	d.do(http.MethodPost, path+"/$ref", map[string]any{"@odata.id": d.tenant.URL() + "/v1.0/directoryObjects/" + to})
}

// build makes about n objects: of each hundred 44 users, 12 groups with members and owners, 12 applications with as
// many service principals, 10 assignments of application roles, 6 grants, 3 administrative units and 1 role
// assignment; and a few roles, places and policies.
func (d *disaster) build(n int) {
	d.t.Helper()
	var users, principals, roles []string
	for i := range n * 44 / 100 {
		users = append(users, d.make("/users", true, map[string]any{"accountEnabled": true, "displayName": fmt.Sprintf("Person %d", i), "mailNickname": fmt.Sprintf("person%d", i),
			"userPrincipalName": fmt.Sprintf("person%d@contoso.example", i), "department": fmt.Sprintf("Department %d", i%40), "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}}))
	}
	for i := range n * 12 / 100 {
		g := d.make("/groups", false, map[string]any{"displayName": fmt.Sprintf("Team %d", i), "mailEnabled": false, "mailNickname": fmt.Sprintf("team%d", i), "securityEnabled": true})
		for k := range 8 {
			d.link("/groups/"+g+"/members", users[(i*7+k)%len(users)])
		}
		d.link("/groups/"+g+"/owners", users[i%len(users)])
	}
	role := "11111111-2222-4333-8444-555555555555"
	for i := range n * 12 / 100 {
		id := d.make("/applications", true, map[string]any{"displayName": fmt.Sprintf("Service %d", i), "signInAudience": "AzureADMyOrg",
			"appRoles": []any{map[string]any{"id": role, "allowedMemberTypes": []string{"User"}, "displayName": "Reader", "description": "Reads", "value": "Read", "isEnabled": true}}})
		d.link("/applications/"+id+"/owners", users[i%len(users)])
		_, app := d.tenant.Do(http.MethodGet, "/v1.0/applications/"+id, nil)
		principals = append(principals, d.make("/servicePrincipals", true, map[string]any{"appId": app["appId"]}))
	}
	for i := range n / 10 {
		sp := principals[i%len(principals)]
		d.make("/servicePrincipals/"+sp+"/appRoleAssignedTo", false, map[string]any{"principalId": users[(i*3)%len(users)], "resourceId": sp, "appRoleId": role})
	}
	graphSP := d.tenant.Find("servicePrincipals", "Microsoft Graph")
	for i := range n * 6 / 100 {
		d.make("/oauth2PermissionGrants", false, map[string]any{"clientId": principals[i%len(principals)], "consentType": "Principal", "principalId": users[(i*5)%len(users)], "resourceId": graphSP, "scope": "User.Read"})
	}
	for i := range n * 3 / 100 {
		u := d.make("/directory/administrativeUnits", false, map[string]any{"displayName": fmt.Sprintf("Branch %d", i)})
		for k := range 5 {
			d.link("/directory/administrativeUnits/"+u+"/members", users[(i*11+k)%len(users)])
		}
	}
	for i := range min(60, max(1, n/150)) {
		roles = append(roles, d.make("/roleManagement/directory/roleDefinitions", false, map[string]any{"displayName": fmt.Sprintf("Duty %d", i), "isEnabled": true,
			"rolePermissions": []any{map[string]any{"allowedResourceActions": []string{"microsoft.directory/applications/basic/update"}}}}))
	}
	for i := range n / 100 {
		d.make("/roleManagement/directory/roleAssignments", false, map[string]any{"principalId": users[(i*13)%len(users)], "roleDefinitionId": roles[i%len(roles)], "directoryScopeId": "/"})
	}
	for i := range min(20, max(1, n/500)) {
		place := d.make("/identity/conditionalAccess/namedLocations", false, map[string]any{"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": fmt.Sprintf("Office %d", i),
			"ipRanges": []any{map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": fmt.Sprintf("203.0.113.%d/32", i)}}})
		d.make("/identity/conditionalAccess/policies", false, map[string]any{"displayName": fmt.Sprintf("Rule %d", i), "state": "enabledForReportingButNotEnforced",
			"conditions": map[string]any{"clientAppTypes": []string{"all"}, "applications": map[string]any{"includeApplications": []string{"All"}}, "users": map[string]any{"includeUsers": []string{users[i]}},
				"locations": map[string]any{"includeLocations": []string{place}}},
			"grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"mfa"}}})
	}
}

// strike deletes what build made and returns how many objects there were.
func (d *disaster) strike() int {
	d.t.Helper()
	for i := len(d.made) - 1; i >= 0; i-- {
		// What relates others goes with them, and an application takes its service principal along.
		if status, answer := d.tenant.Do(http.MethodDelete, "/v1.0"+d.made[i], nil); status >= 300 && status != 404 {
			d.t.Fatalf("DELETE %s: %d %v", d.made[i], status, answer)
		}
	}
	for i, id := range d.binned {
		if i%2 == 0 {
			d.tenant.Do(http.MethodDelete, "/v1.0/directory/deletedItems/"+id, nil) // it may have gone with another
		}
	}
	return len(d.made)
}

// suffer makes a disaster of about n objects and restores from it, in real time. It returns how many there were and how
// long each part of the restore took.
func suffer(t testing.TB, n int) (gone int, laps map[string]time.Duration) {
	t.Helper()
	tenant := lab.Start(t, emulator.Options{Users: 60, Groups: 25, Apps: 12})
	l := lab.New(t, tenant)
	l.Asked = nil
	l.Raise(100) // it has no quotas
	d := &disaster{t: t, tenant: tenant}
	d.build(n)
	goal := l.Capture()
	gone = d.strike()
	laps = map[string]time.Duration{}
	at := time.Now()
	lap := func(what string) {
		laps[what], at = time.Since(at), time.Now()
	}
	base := l.Capture()
	lap("capture")
	p := l.Plan(base, goal, plan.Request{})
	lap("plan")
	report := l.Apply(p, base)
	lap("apply")
	after := l.Capture()
	lap("capture again")
	differences := l.Verify(p, goal, after)
	lap("verify")
	if done := report.Count(apply.Done) + report.Count(apply.AlreadyDone); done != len(p.Steps) || len(p.Steps) < gone || len(differences) > 0 {
		t.Errorf("%d of %d steps happened for %d objects, and %d differences remain", done, len(p.Steps), gone, len(differences))
	}
	return gone, laps
}

// Ten thousand objects of mixed types come back within a minute, where the service does not hold the restore back.
func TestTenThousandComeBackWithinAMinute(t *testing.T) {
	if !long() {
		t.Skip("TIDEMARK_LONG is not set")
	}
	gone, laps := suffer(t, 10_000)
	whole := time.Duration(0)
	for what, took := range laps {
		whole += took
		t.Logf("%s: %.1f s", what, took.Seconds())
	}
	t.Logf("%d objects in %.1f s", gone, whole.Seconds())
	if gone < 10_000 || whole > time.Minute {
		t.Errorf("%d objects took %s", gone, whole)
	}
}

// BenchmarkRestore restores from the loss of a thousand objects, ten thousand with TIDEMARK_LONG.
func BenchmarkRestore(b *testing.B) {
	n := 1000
	if long() {
		n = 10_000
	}
	laps := map[string]time.Duration{}
	objects := 0
	for b.Loop() {
		gone, took := suffer(b, n)
		objects += gone
		for what, d := range took {
			laps[what] += d
		}
	}
	whole := time.Duration(0)
	for what, d := range laps {
		whole += d
		b.ReportMetric(d.Seconds()/float64(b.N), strings.ReplaceAll(what, " ", "-")+"-s/op")
	}
	b.ReportMetric(float64(objects)/whole.Seconds(), "objects/s")
}
