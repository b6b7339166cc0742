package emulator_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func TestTrustAndTenantWideRefusals(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	sp := at.Find("servicePrincipals", "Expenses")
	first := func(path string) string {
		t.Helper()
		items := c.want(200, "GET", "/v1.0"+path, "").items()
		if len(items) == 0 {
			t.Fatalf("%s: none", path)
		}
		return items[0]["id"].(string)
	}
	app := "/applications/" + at.Find("applications", "Payroll") + "/federatedIdentityCredentials"
	c.want(201, "POST", "/v1.0"+app, `{"name":"a","issuer":"https://i.example","subject":"s","audiences":["u"]}`)
	setting, stores := "/groupSettings/"+first("/groupSettings"), "/directory/publicKeyInfrastructure/certificateBasedAuthConfigurations"
	store := stores + "/" + first(stores)
	authority := store + "/certificateAuthorities/" + first(store+"/certificateAuthorities")
	old := "/organization/" + at.ID() + "/certificateBasedAuthConfiguration"
	set := "/directory/attributeSets"
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"setting of no template", "POST", "/groupSettings", `{"templateId":"x","values":[]}`, 404},
		{"setting twice", "POST", "/groupSettings", `{"templateId":"62375ab9-6b52-47ed-826b-58e47e0e304b","values":[]}`, 409},
		{"setting without all values", "PATCH", setting, `{"values":[{"name":"EnableGroupCreation","value":"true"}]}`, 400},
		{"setting of another template", "PATCH", setting, `{"templateId":"x"}`, 400},
		{"second lifecycle policy", "POST", "/groupLifecyclePolicies", `{"groupLifetimeInDays":1,"managedGroupTypes":"All","alternateNotificationEmails":"a@b.example"}`, 400},
		{"attribute set deleted", "DELETE", set + "/Set0", ``, 405},
		{"attribute set twice", "POST", set, `{"id":"Set0"}`, 409},
		{"attribute deleted", "DELETE", "/directory/customSecurityAttributeDefinitions/Set0_Level", ``, 405},
		{"attribute of another type", "PATCH", "/directory/customSecurityAttributeDefinitions/Set0_Level", `{"type":"Integer"}`, 400},
		{"value deleted", "DELETE", "/directory/customSecurityAttributeDefinitions/Set0_Level/allowedValues/Value%200", ``, 405},
		{"value twice", "POST", "/directory/customSecurityAttributeDefinitions/Set0_Level/allowedValues", `{"id":"Value 0","isActive":true}`, 400},
		{"credential of a taken name", "POST", app, `{"name":"a","issuer":"https://j.example","subject":"s","audiences":["u"]}`, 400},
		{"credential of a taken subject", "POST", app, `{"name":"b","issuer":"https://i.example","subject":"s","audiences":["u"]}`, 400},
		{"credential with two audiences", "POST", app, `{"name":"b","issuer":"https://j.example","subject":"s","audiences":["u","v"]}`, 400},
		{"credential renamed", "PATCH", app + "/" + first(app), `{"name":"b"}`, 400},
		{"authority of another certificate", "PATCH", authority, `{"certificate":"TUlJQw=="}`, 400},
		{"authorities of the old store changed", "PATCH", old + "/" + first(old), `{"certificateAuthorities":[]}`, 405},
		{"old store twice", "POST", old, `{"certificateAuthorities":[{"certificate":"TUlJQg==","isRootAuthority":true}]}`, 400},
		{"switch that is not in use", "PATCH", "/directory/onPremisesSynchronization/" + first("/directory/onPremisesSynchronization"), `{"features":{"passwordWritebackEnabled":true}}`, 400},
		{"permission that is none classified", "POST", "/servicePrincipals/" + sp + "/delegatedPermissionClassifications", `{"permissionId":"x","classification":"low"}`, 400},
		{"device registered by an application", "POST", "/devices", `{}`, 405},
		{"device renamed by hand", "PATCH", "/devices/" + first("/devices"), `{"deviceId":"x"}`, 400},
		{"owner of a device", "POST", "/devices/" + first("/devices") + "/registeredOwners/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/users/x"}`, 403},
		{"contact written", "PATCH", "/contacts/" + first("/contacts"), `{}`, 405},
		{"subscription written", "PATCH", "/directory/subscriptions/" + first("/directory/subscriptions"), `{}`, 405},
	} {
		if r := c.do(tc.method, "/v1.0"+tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	// A domain that is not federated has no such list.
	plain := start(t, emulator.Options{})
	newClient(t, plain, plain.CaptureApp()).want(404, "GET", "/v1.0/domains/contoso.example/federationConfiguration", "")
}
