package emulator_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func TestHardwareTokens(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	const all = "/beta/directory/authenticationMethodDevices/hardwareOathDevices"
	const made = `{"displayName":"T","serialNumber":"A1","manufacturer":"Contoso","model":"M","secretKey":"seed","timeIntervalInSeconds":30}`
	methods := func(user string) string {
		return "/beta/users/" + at.Find("users", user) + "/authentication/hardwareOathMethods"
	}
	ada, others := methods("Ada Admin"), ""
	for _, o := range c.want(200, "GET", "/v1.0/users", "").items() {
		if id := o["id"].(string); id != at.Find("users", "Ada Admin") {
			others = "/beta/users/" + id + "/authentication/hardwareOathMethods"
		}
	}
	id := c.want(201, "POST", all, made).body["id"].(string)
	give := `{"device":{"id":"` + id + `"}}`
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"in v1.0", "GET", "/v1.0/directory/authenticationMethodDevices/hardwareOathDevices", ``, 400},
		{"twice", "POST", all, made, 400},
		{"without a seed", "POST", all, `{"serialNumber":"A2","manufacturer":"Contoso","model":"M","timeIntervalInSeconds":30}`, 400},
		{"another seed", "PATCH", all + "/" + id, `{"secretKey":"x"}`, 400},
		{"another number", "PATCH", all + "/" + id, `{"serialNumber":"x"}`, 400},
		{"owner by hand", "PATCH", all + "/" + id, `{"assignedTo":{"id":"x"}}`, 400},
		{"codes of 20 seconds", "PATCH", all + "/" + id, `{"timeIntervalInSeconds":20}`, 400},
		{"renamed", "PATCH", all + "/" + id, `{"displayName":"U"}`, 204},
		{"nobody's taken away", "DELETE", ada + "/" + id, ``, 404},
		{"none given", "POST", ada, `{"device":{"id":"x"}}`, 404},
		{"given", "POST", ada, give, 201},
		{"given twice", "POST", others, give, 400},
		{"somebody's renamed", "PATCH", all + "/" + id, `{"displayName":"V"}`, 400},
		{"somebody's deleted", "DELETE", all + "/" + id, ``, 400},
		{"another's taken away", "DELETE", others + "/" + id, ``, 404},
	} {
		if r := c.do(tc.method, tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	if o := c.want(200, "GET", all+"/"+id, "").body; o["secretKey"] != nil || o["status"] != "assigned" || o["assignedTo"].(map[string]any)["id"] != at.Find("users", "Ada Admin") {
		t.Errorf("a token that is Ada's: %v", o)
	}
	c.want(204, "DELETE", ada+"/"+id, "")
	if o := c.want(200, "GET", all+"/"+id, "").body; o["status"] != "available" || o["assignedTo"] != nil {
		t.Errorf("a token that is nobody's: %v", o)
	}
	c.want(204, "DELETE", all+"/"+id, "")
}

func TestPartnersInTheirBin(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	const partners, bin, id = "/v1.0/policies/crossTenantAccessPolicy/partners", "/policies/deletedItems/crossTenantPartners", "33333333-0000-4000-8000-000000000000"
	c.want(201, "POST", partners, `{"tenantId":"`+id+`"}`)
	c.want(204, "DELETE", partners+"/"+id, "")
	if all := c.want(200, "GET", "/beta"+bin, "").items(); len(all) != 1 || all[0]["tenantId"] != id || all[0]["deletedDateTime"] == nil {
		t.Errorf("in the bin: %v", all)
	}
	c.want(400, "GET", "/v1.0"+bin, "")
	c.want(403, "POST", "/beta"+bin+"/"+id+"/restore", "{}")
	c.want(403, "DELETE", "/beta"+bin+"/"+id, "")
	c.want(201, "POST", partners, `{"tenantId":"`+id+`"}`)
	if all := c.want(200, "GET", "/beta"+bin, "").items(); len(all) != 0 {
		t.Errorf("in the bin though there is one: %v", all)
	}
}

func TestSynchronizationInItsBin(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	const bin = "/policies/deletedItems/crossTenantSyncPolicyPartners"
	partner := "/v1.0/policies/crossTenantAccessPolicy/partners/33333333-0000-4000-8000-000000000000"
	c.want(201, "POST", "/v1.0/policies/crossTenantAccessPolicy/partners", `{"tenantId":"33333333-0000-4000-8000-000000000000"}`)
	for range 2 { // it lies there once
		c.want(204, "PUT", partner+"/identitySynchronization", `{"displayName":"P","userSyncInbound":{"isSyncAllowed":true}}`)
		if all := c.want(200, "GET", "/beta"+bin, "").items(); len(all) != 0 {
			t.Errorf("in the bin though there is one: %v", all)
		}
		c.want(204, "DELETE", partner+"/identitySynchronization", "")
		c.want(404, "GET", partner+"/identitySynchronization", "")
		all := c.want(200, "GET", "/beta"+bin, "").items()
		if len(all) != 1 || all[0]["displayName"] != "P" || all[0]["deletedDateTime"] == nil || all[0]["tenantId"] != "33333333-0000-4000-8000-000000000000" {
			t.Errorf("in the bin: %v", all)
		}
	}
	if got := c.want(200, "GET", "/beta"+bin+"/33333333-0000-4000-8000-000000000000", "").body["displayName"]; got != "P" {
		t.Errorf("of that ID: %v", got)
	}
	c.want(400, "GET", "/v1.0"+bin, "")
	c.want(403, "DELETE", "/beta"+bin+"/33333333-0000-4000-8000-000000000000", "")
	c.want(204, "DELETE", partner, "")
}
