package apply_test

import (
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// tell carries out a request as the tenant's administrator.
func tell(t *testing.T, tenant *emulator.Tenant, want int, method, path string, body any) map[string]any {
	t.Helper()
	status, answer := tenant.Do(method, path, body)
	if status != want {
		t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	return answer
}

// consent makes a user, and a grant for them with the scope. It returns the IDs of both, and the grant's body.
func consent(t *testing.T, tenant *emulator.Tenant, scope string) (user, grant string, body map[string]any) {
	t.Helper()
	user, _ = tell(t, tenant, 201, "POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": "Grace Granted", "mailNickname": "granted",
		"userPrincipalName": "granted@contoso.example", "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})["id"].(string)
	principals := tell(t, tenant, 200, "GET", "/v1.0/servicePrincipals?$top=999", nil)["value"].([]any)
	var ends []any
	for _, p := range principals {
		if p := p.(map[string]any); p["servicePrincipalType"] == "Application" && p["id"] != tenant.CaptureApp().ObjectID && p["id"] != tenant.RestoreApp().ObjectID {
			ends = append(ends, p["id"])
		}
	}
	body = map[string]any{"clientId": ends[0], "resourceId": ends[1], "consentType": "Principal", "principalId": user, "scope": scope}
	grant, _ = tell(t, tenant, 201, "POST", "/v1.0/oauth2PermissionGrants", body)["id"].(string)
	return user, grant, body
}

// A grant that comes back by itself with the person, as it was when they were deleted, is taken for the one that was
// to be made, and gets the value it shall have.
func TestWhatComesBackByItselfIsAdopted(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 3})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		user, grant, _ := consent(t, tenant, "Mail.Read")
		goal := l.Capture()
		tell(t, tenant, 204, "PATCH", "/v1.0/oauth2PermissionGrants/"+grant, map[string]any{"scope": "Mail.Read Mail.Send"})
		tell(t, tenant, 204, "DELETE", "/v1.0/users/"+user, nil)
		p := restored(t, l, goal, plan.Request{})
		if len(p.Steps) != 2 || p.Steps[1].Action != plan.Create || p.Steps[1].Ref.ID != entra.ID(grant) {
			t.Errorf("%+v", p.Steps)
		}
		if is := tell(t, tenant, 200, "GET", "/v1.0/oauth2PermissionGrants/"+grant, nil); is["scope"] != "Mail.Read" {
			t.Errorf("scope %q", is["scope"])
		}
	})
}

// A grant that somebody else made since, with another value, did not come back with anything: it is left alone.
func TestWhatSomebodyMadeIsNotAdopted(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 3})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		_, grant, body := consent(t, tenant, "Mail.Read")
		goal := l.Capture()
		tell(t, tenant, 204, "DELETE", "/v1.0/oauth2PermissionGrants/"+grant, nil)
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		body["scope"] = "Files.Read"
		other, _ := tell(t, tenant, 201, "POST", "/v1.0/oauth2PermissionGrants", body)["id"].(string)
		report := l.Apply(p, base)
		if report.Count(apply.Failed) != 1 || len(report.Results) != 1 {
			t.Errorf("%+v", report.Results)
		}
		if is := tell(t, tenant, 200, "GET", "/v1.0/oauth2PermissionGrants/"+other, nil); is["scope"] != "Files.Read" {
			t.Errorf("scope %q", is["scope"])
		}
	})
}
