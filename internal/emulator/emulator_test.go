package emulator_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTokens(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.CaptureApp())
	app := at.CaptureApp()
	aud := at.URL() + "/" + at.ID() + "/oauth2/v2.0/token"
	typ := "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	for _, tc := range []struct {
		name   string
		form   url.Values
		status int
	}{
		{"secret", url.Values{"client_id": {app.ClientID}, "client_secret": {app.Secret}}, 200},
		{"wrong secret", url.Values{"client_id": {app.ClientID}, "client_secret": {"x"}}, 401},
		{"no secret", url.Values{"client_id": {app.ClientID}}, 401},
		{"unknown app", url.Values{"client_id": {at.ID()}, "client_secret": {"x"}}, 400},
		{"no default scope", url.Values{"client_id": {app.ClientID}, "client_secret": {app.Secret}, "scope": {"https://graph.microsoft.com/User.Read"}}, 400},
		{"two resources", url.Values{"client_id": {app.ClientID}, "client_secret": {app.Secret}, "scope": {"https://graph.microsoft.com/.default https://x/.default"}}, 400},
		{"other grant", url.Values{"grant_type": {"password"}}, 400},
		{"PS256", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t#S256", aud, nil)}}, 200},
		{"RS256", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodRS256, "x5t", aud, nil)}}, 200},
		{"no thumbprint", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "", aud, nil)}}, 401},
		{"wrong audience", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", "https://x", nil)}}, 401},
		{"expired", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, func(m jwt.MapClaims) { m["exp"] = 1 })}}, 401},
		{"other issuer", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, func(m jwt.MapClaims) { m["iss"] = "x" })}}, 401},
		{"another certificate", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "another's", aud, nil)}}, 401},
		{"audience without the endpoint", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", at.URL()+"/"+at.ID()+"/v2.0", nil)}}, 401},
		{"no audience", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, func(m jwt.MapClaims) { delete(m, "aud") })}}, 401},
		{"other subject", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, func(m jwt.MapClaims) { m["sub"] = "x" })}}, 401},
		{"not yet valid", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, func(m jwt.MapClaims) { m["nbf"] = m["exp"].(int64) + 3600 })}}, 401},
		{"never expires", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, func(m jwt.MapClaims) { delete(m, "exp") })}}, 401},
		{"no jti", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, func(m jwt.MapClaims) { delete(m, "jti") })}}, 401},
		{"assertion of another kind", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {"x"}, "client_assertion": {assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, nil)}}, 400},
		{"tampered assertion", url.Values{"client_id": {app.ClientID}, "client_assertion_type": {typ}, "client_assertion": {strings.Replace(assertion(t, at, app, jwt.SigningMethodPS256, "x5t", aud, nil), ".", ".e30", 1)}}, 401},
		{"claims of no kind", url.Values{"client_id": {app.ClientID}, "client_secret": {app.Secret}, "claims": {"x"}}, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, m := c.tokenRequest(tc.form)
			if status != tc.status {
				t.Fatalf("status %d, want %d: %v", status, tc.status, m)
			}
			if status != 200 && (m["error_codes"] == nil || m["error_description"] == nil) {
				t.Errorf("error body %v", m)
			}
		})
	}
	if r := c.do("GET", "/"+at.ID()+"/v2.0/.well-known/openid-configuration", ""); r.text("token_endpoint") != aud {
		t.Errorf("metadata: %s", r.raw)
	}
	for _, bad := range []string{"", "garbage", c.token[:len(c.token)-3] + "AAA"} {
		c2 := *c
		c2.token = bad
		if r := c2.do("GET", "/v1.0/users", ""); r.status != 401 || r.code() != "InvalidAuthenticationToken" {
			t.Errorf("token %q: %d %s", bad, r.status, r.raw)
		}
	}
	at.Advance(2 * time.Hour)
	if r := c.do("GET", "/v1.0/users", ""); r.status != 401 {
		t.Errorf("expired token: %d", r.status)
	}
}

// A revoked token is refused; only who said that it understands is told what to do.
func TestRevocation(t *testing.T) {
	at := start(t, emulator.Options{})
	app := at.CaptureApp()
	c := newClient(t, at, app)
	for said, told := range map[string]bool{"": false, `{"access_token":{"xms_cc":{"values":["cp1"]}}}`: true} {
		form := url.Values{"client_id": {app.ClientID}, "client_secret": {app.Secret}}
		if said != "" {
			form.Set("claims", said)
		}
		_, m := c.tokenRequest(form)
		c2 := *c
		c2.token, _ = m["access_token"].(string)
		if r := c2.do("GET", "/v1.0/users", ""); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		at.Revoke()
		r := c2.do("GET", "/v1.0/users", "")
		if r.status != 401 || strings.Contains(r.header.Get("WWW-Authenticate"), `error="insufficient_claims", claims="`) != told {
			t.Errorf("claims %s: %d %s", said, r.status, r.header.Get("WWW-Authenticate"))
		}
	}
}

// Every collection answers, and every object of it can be read on its own
// under the id the listing gave.
func TestCollectionsAreReadable(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.CaptureApp())
	for path, least := range map[string]int{"/users": 60, "/groups": 25, "/applications": 14, "/servicePrincipals": 20, "/oauth2PermissionGrants": 12, "/directory/administrativeUnits": 3,
		"/roleManagement/directory/roleDefinitions": 18, "/roleManagement/directory/roleAssignments": 9, "/identity/conditionalAccess/policies": 9, "/identity/conditionalAccess/namedLocations": 3,
		"/policies/authenticationStrengthPolicies": 4, "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations": 8, "/domains": 3, "/organization": 1, "/subscribedSkus": 3} {
		for _, v := range []string{"/v1.0", "/beta"} {
			items, _, _ := c.all(v + path)
			if len(items) < least {
				t.Errorf("%s: %d items, want %d", v+path, len(items), least)
			}
			seen := map[string]bool{}
			for _, it := range items {
				id := it["id"].(string)
				if seen[id] {
					t.Errorf("%s: %s listed twice", path, id)
				}
				seen[id] = true
				if r := c.do("GET", v+path+"/"+url.PathEscape(id), ""); r.status != 200 || r.text("id") != id {
					t.Errorf("GET %s/%s: %d %s", path, id, r.status, r.raw)
				}
			}
		}
	}
	for _, path := range []string{"/policies/authenticationMethodsPolicy", "/policies/identitySecurityDefaultsEnforcementPolicy", "/auditLogs/directoryAudits"} {
		if r := c.do("GET", "/v1.0"+path, ""); r.status != 200 {
			t.Errorf("GET %s: %d %s", path, r.status, r.raw)
		}
	}
	for _, path := range []string{"/nonsense", "/identity/nonsense", "/policies/nonsense", "/administrativeUnits", "/directory/recovery"} {
		if r := c.do("GET", "/v1.0"+path, ""); r.status != 400 || !strings.Contains(r.message(), "Resource not found for the segment") {
			t.Errorf("GET %s: %d %s", path, r.status, r.raw)
		}
	}
}

// Two tenants with one seed are the same tenant; another seed is another.
func TestSeedDecides(t *testing.T) {
	read := func(seed uint64) string {
		at := start(t, emulator.Options{Seed: seed})
		c := newClient(t, at, at.CaptureApp())
		var b strings.Builder
		for _, p := range []string{"/v1.0/users", "/v1.0/groups", "/v1.0/applications", "/v1.0/identity/conditionalAccess/policies", "/v1.0/servicePrincipals"} {
			items, _, _ := c.all(p)
			b.WriteString(strings.ReplaceAll(mustJSON(items), at.URL(), ""))
		}
		return b.String()
	}
	a, b, other := read(7), read(7), read(8)
	if a != b {
		t.Error("one seed, two tenants")
	}
	if a == other {
		t.Error("two seeds, one tenant")
	}
}

func TestPaging(t *testing.T) {
	at := start(t, emulator.Options{Users: 300})
	c := newClient(t, at, at.CaptureApp())
	whole, _, _ := c.all("/v1.0/users?$top=999&$select=id")
	items, pages, _ := c.all("/v1.0/users?$top=7&$select=id")
	if len(whole) != 300 || mustJSON(whole) != mustJSON(items) {
		t.Errorf("%d items by pages, %d whole", len(items), len(whole))
	}
	if pages < 300/7+2 {
		t.Errorf("%d pages: none was short or empty", pages)
	}
	first := c.do("GET", "/v1.0/users?$top=7&$select=id", "")
	next := first.text("@odata.nextLink")
	if !strings.HasPrefix(next, at.URL()+"/v1.0/users?$top=7&$select=id&$skiptoken=X%27") {
		t.Fatalf("nextLink %s", next)
	}
	for name, link := range map[string]string{
		"other options": strings.Replace(next, "$top=7", "$top=8", 1),
		"other path":    strings.Replace(next, "/users", "/groups", 1),
		"decoded":       strings.Replace(next, "%27", "'", 2),
		"lower case":    next[:strings.Index(next, "X%27")] + strings.ToLower(next[strings.Index(next, "X%27"):]),
		"no token":      next[:strings.Index(next, "X%27")],
		"garbage":       next[:len(next)-6] + "00%27",
		"other version": strings.Replace(next, "/v1.0/", "/beta/", 1),
	} {
		if r := c.do("GET", link, ""); r.status != 400 {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	if r := c.do("GET", next, "", "ConsistencyLevel", "eventual"); r.status != 400 || r.code() != "Directory_ExpiredPageToken" {
		t.Errorf("another ConsistencyLevel: %d %s", r.status, r.raw)
	}
	at.Advance(11 * time.Minute)
	if r := c.do("GET", next, ""); r.status != 400 || r.code() != "Directory_ExpiredPageToken" {
		t.Errorf("expired page: %d %s", r.status, r.raw)
	}
	for _, q := range []string{"$top=1000", "$top=0", "$top=x", "$skip=3", "$nonsense=1", "top=5", "$select=nope", "$select=", "$top=5&$top=6", "$filter=nope eq 1", "$filter=id eq", "$search=%22displayName:a%22",
		"$filter=displayName ne 'x'", "$filter=endswith(mail,'x')", "$orderby=createdDateTime", "$expand=nope", "$expand=manager,memberOf", "$expand=manager($levels=max)", "$filter=displayName eq 'a'&$orderby=displayName"} {
		if r := c.do("GET", "/v1.0/users?"+strings.ReplaceAll(q, " ", "%20"), ""); r.status != 400 {
			t.Errorf("%s: %d %s", q, r.status, r.raw)
		}
	}
	if r := c.do("GET", "/v1.0/users?$top=1000", ""); r.message() != "Invalid page size specified: '1000'. Must be between 1 and 999 inclusive." {
		t.Errorf("message %q", r.message())
	}
	if r := c.do("GET", "/beta/users?top=5", ""); r.status != 200 || len(r.items()) != 5 {
		t.Errorf("beta without $: %d", r.status)
	}
	if r := c.do("GET", "/v1.0/users?$select=skills", ""); r.status != 501 {
		t.Errorf("profile property in a listing: %d", r.status)
	}
}

// A tenant can be told to give small pages of everything; together they are the same.
func TestSmallPages(t *testing.T) {
	large, small := start(t, emulator.Options{}), start(t, emulator.Options{Page: 2})
	a, b := newClient(t, large, large.CaptureApp()), newClient(t, small, small.CaptureApp())
	for _, path := range []string{"/v1.0/users?$top=999&$select=id", "/v1.0/policies/authenticationStrengthPolicies", "/v1.0/users?$expand=manager($select=id)&$select=id", "/v1.0/groups/delta?$select=id,members"} {
		want, one, _ := a.all(path)
		got, pages, _ := b.all(path)
		if one != 1 || pages < len(got)/2 || len(got) < 4 || mustJSON(got) != mustJSON(want) {
			t.Errorf("%s: %d items on %d pages, %d on %d", path, len(want), one, len(got), pages)
		}
	}
}

func TestSelect(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.CaptureApp())
	id := at.Find("users", "admin@contoso.example")
	r := c.do("GET", "/v1.0/users/"+id, "")
	keys := []string{}
	for k := range r.body {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	want := []string{"@odata.context", "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname", "userPrincipalName"}
	if !slices.Equal(keys, want) {
		t.Errorf("default properties %v", keys)
	}
	r = c.do("GET", "/v1.0/users/admin@contoso.example?$select=accountEnabled,department", "")
	if len(r.body) != 3 || r.body["accountEnabled"] != true {
		t.Errorf("selected: %s", r.raw)
	}
	// The public key of a certificate only comes when it is selected on one object.
	app := at.Find("applications", "Payroll")
	key := func(r reply) any {
		return r.body["keyCredentials"].([]any)[0].(map[string]any)["key"]
	}
	if key(c.do("GET", "/v1.0/applications/"+app, "")) != nil || key(c.do("GET", "/v1.0/applications/"+app+"?$select=keyCredentials", "")) == nil {
		t.Error("keyCredentials.key")
	}
	if strings.Contains(c.do("GET", "/v1.0/applications", "").raw, at.RestoreApp().Secret) {
		t.Error("a secret is readable")
	}
}

func TestCounts(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.CaptureApp())
	if r := c.do("GET", "/v1.0/users?$count=true", ""); r.status != 200 || r.body["@odata.count"] != nil {
		t.Errorf("$count without the header: %d %v", r.status, r.body["@odata.count"])
	}
	r := c.do("GET", "/v1.0/users?$count=true&$top=5", "", "ConsistencyLevel", "eventual")
	if r.body["@odata.count"] != 60.0 {
		t.Errorf("count %v", r.body["@odata.count"])
	}
	if r = c.do("GET", r.text("@odata.nextLink"), "", "ConsistencyLevel", "eventual"); r.status != 200 || r.body["@odata.count"] != nil {
		t.Errorf("count on the second page: %d %s", r.status, r.raw)
	}
	if r := c.do("GET", "/v1.0/users/$count", ""); r.status != 400 || r.message() != "$count is not currently supported." {
		t.Errorf("/$count without the header: %d %s", r.status, r.raw)
	}
	if r := c.do("GET", "/v1.0/users/$count", "", "ConsistencyLevel", "eventual"); r.raw != "60" {
		t.Errorf("/$count: %s", r.raw)
	}
	if r := c.do("GET", "/v1.0/users?$count=true&$expand=manager", "", "ConsistencyLevel", "eventual"); r.status != 400 {
		t.Errorf("$expand in an advanced query: %d", r.status)
	}
}

func TestExpandIsCutAtTwenty(t *testing.T) {
	at := start(t, emulator.Options{Users: 200})
	c := newClient(t, at, at.CaptureApp())
	all := at.Find("groups", "All employees")
	members, _, _ := c.all("/v1.0/groups/" + all + "/members?$top=999&$select=id")
	if len(members) < 150 {
		t.Fatalf("%d members", len(members))
	}
	r := c.do("GET", "/v1.0/groups/"+all+"?$expand=members", "")
	if n := len(r.body["members"].([]any)); n != 20 {
		t.Errorf("%d expanded members", n)
	}
	r = c.do("GET", "/v1.0/users?$expand=manager($select=id)&$top=999", "")
	if len(r.items()) != 100 {
		t.Errorf("page of %d with $expand", len(r.items()))
	}
	if members[0]["@odata.type"] != "#microsoft.graph.user" {
		t.Errorf("member %v", members[0])
	}
}

func TestFilters(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.CaptureApp())
	admin := at.Find("users", "admin@contoso.example")
	for path, want := range map[string]int{
		"/users?$filter=id eq '" + admin + "'":                                                                         1,
		"/users?$filter=id in ('" + admin + "','" + at.ID() + "')":                                                     1,
		"/users?$filter=userPrincipalName eq 'ADMIN@contoso.example'":                                                  1,
		"/users?$filter=startswith(displayName,'Break-glass')":                                                         2,
		"/users?$filter=startswith(displayName,'Break') and accountEnabled eq false":                                   0,
		"/users?$filter=(displayName eq 'Ada Admin' or displayName eq 'Henk Helpdesk')":                                2,
		"/groups?$filter=groupTypes/any(c:c eq 'DynamicMembership')":                                                   1,
		"/groups?$filter=displayName eq 'Break-glass accounts'":                                                        1,
		"/servicePrincipals?$filter=appId eq '00000003-0000-0000-c000-000000000000'":                                   1,
		"/roleManagement/directory/roleAssignments?$filter=principalId eq '" + admin + "'":                             1,
		"/roleManagement/directory/roleAssignments?$filter=roleDefinitionId eq '62e90394-69f5-4237-9190-012177145e10'": 3,
		"/identity/conditionalAccess/policies?$filter=state eq 'disabled'":                                             1,
		"/users?$filter=createdDateTime ge 2100-01-01T00:00:00Z":                                                       0,
		"/users?$filter=onPremisesSyncEnabled eq null and userPrincipalName eq 'admin@contoso.example'":                1,
	} {
		if r := c.do("GET", "/v1.0"+strings.ReplaceAll(path, " ", "%20"), ""); r.status != 200 || len(r.items()) != want {
			t.Errorf("%s: %d, %d items, want %d: %.200s", path, r.status, len(r.items()), want, r.raw)
		}
	}
}

func TestPermissions(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.CaptureApp())
	for _, tc := range []struct{ permission, path string }{
		{"User.Read.All", "/users"}, {"Group.Read.All", "/groups"}, {"Application.Read.All", "/applications"}, {"Policy.Read.All", "/identity/conditionalAccess/policies"},
		{"RoleManagement.Read.Directory", "/roleManagement/directory/roleAssignments"}, {"AuditLog.Read.All", "/auditLogs/directoryAudits"}, {"AdministrativeUnit.Read.All", "/directory/administrativeUnits"}, {"Domain.Read.All", "/domains"},
	} {
		at.Deny(tc.permission)
		if r := c.do("GET", "/v1.0"+tc.path, ""); r.status != 403 || r.code() != "Authorization_RequestDenied" {
			t.Errorf("%s without %s: %d", tc.path, tc.permission, r.status)
		}
		at.Grant(tc.permission)
		if r := c.do("GET", "/v1.0"+tc.path, ""); r.status != 200 {
			t.Errorf("%s again: %d %s", tc.path, r.status, r.raw)
		}
	}
	if r := c.do("PATCH", "/v1.0/users/"+at.Find("users", "Ada Admin"), `{"department":"x"}`); r.status != 403 {
		t.Errorf("the capture app wrote: %d", r.status)
	}
}

func TestHeaders(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.CaptureApp())
	for _, path := range []string{"/v1.0/users", "/v1.0/nonsense"} {
		r := c.do("GET", path, "", "client-request-id", "11111111-2222-4333-8444-555555555555")
		if r.header.Get("request-id") == "" || r.header.Get("client-request-id") != "11111111-2222-4333-8444-555555555555" || r.header.Get("x-ms-ags-diagnostic") == "" || r.header.Get("x-ms-resource-unit") == "" || r.header.Get("Date") == "" {
			t.Errorf("%s: %v", path, r.header)
		}
	}
	r := c.do("GET", "/v1.0/nonsense", "")
	inner := r.body["error"].(map[string]any)["innerError"].(map[string]any)
	if d := inner["date"].(string); strings.HasSuffix(d, "Z") || inner["request-id"] != r.header.Get("request-id") {
		t.Errorf("inner error %v", inner)
	}
}
