package apply_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A service principal lies in the recycle bin as it was when it went there. Where its application has come back before
// it and is as it was, nothing makes it follow, and the plan says so.
func TestAServicePrincipalInTheBinDoesNotFollow(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 2})
	e := newEstate(t, tenant)
	app := "/v1.0/applications/" + e.app
	scope := map[string]any{"id": "0f0f0f0f-0000-4000-8000-000000000002", "value": "read", "type": "User", "isEnabled": false,
		"adminConsentDisplayName": "Read", "adminConsentDescription": "Read"}
	tell(t, tenant, 204, "PATCH", app, map[string]any{"api": map[string]any{"oauth2PermissionScopes": []any{scope}}})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		goal := l.Capture()
		tell(t, tenant, 204, "PATCH", app, map[string]any{"identifierUris": []any{}, "api": map[string]any{"oauth2PermissionScopes": []any{}}})
		tell(t, tenant, 204, "DELETE", app, nil)
		restored(t, l, goal, plan.Request{Scope: plan.Scope{Types: []entra.Type{catalog.ApplicationType}}})
		p := restored(t, l, goal, plan.Request{})
		if len(p.Gaps) == 0 {
			t.Error("nothing is announced")
		}
		for _, g := range p.Gaps {
			t.Log(g)
		}
	})
}

// An application comes back under another appId, and what else its directory extensions need comes back later: the
// present has never asked for values under the new names, and nobody has one. They come back all the same.
func TestValuesComeBackWhenWhatDefinesThemIsWhole(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 24, Groups: 10, Apps: 4})
	e := newEstate(t, tenant)
	synctest.Test(t, func(t *testing.T) {
		for _, first := range [][]entra.Type{{catalog.ApplicationType}, {catalog.ApplicationType, "extensionProperty"}, {catalog.ApplicationType, catalog.ServicePrincipalType}} {
			l := lab.New(t, tenant)
			tell(t, tenant, 201, "POST", "/v1.0/applications/"+e.app+"/extensionProperties", map[string]any{"name": "colour", "dataType": "String", "targetObjects": []any{"User"}})
			name := "extension_" + strings.ReplaceAll(e.appID, "-", "") + "_colour"
			ada := tenant.Find("users", "Otto Owner")
			tell(t, tenant, 204, "PATCH", "/v1.0/users/"+ada, map[string]any{name: "green"})
			goal := l.Capture()
			e.loseApplication(t, tenant)
			tell(t, tenant, 204, "DELETE", "/v1.0/directory/deletedItems/"+e.principal, nil)
			restored(t, l, goal, plan.Request{Scope: plan.Scope{Types: first}})
			restored(t, l, goal, plan.Request{})
			e.app, e.principal = tenant.Find("applications", "Payslips"), tenant.Find("servicePrincipals", "Payslips")
			app := tell(t, tenant, 200, "GET", "/v1.0/applications/"+e.app, nil)
			e.appID, _ = app["appId"].(string)
			name = "extension_" + strings.ReplaceAll(e.appID, "-", "") + "_colour"
			if is := tell(t, tenant, 200, "GET", "/v1.0/users/"+ada+"?$select="+name, nil)[name]; is != "green" {
				t.Errorf("after %v, then the rest: %v", first, is)
			}
			tell(t, tenant, 204, "DELETE", "/v1.0/applications/"+e.app+"/extensionProperties/"+tell(t, tenant, 200, "GET", "/v1.0/applications/"+e.app+"/extensionProperties", nil)["value"].([]any)[0].(map[string]any)["id"].(string), nil)
			if t.Failed() {
				t.Fatal(first)
			}
		}
	})
}
