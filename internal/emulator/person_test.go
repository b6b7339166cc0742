package emulator_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// signing makes the tenant's restore application one that signs people in, and consents for all to some permissions.
func signing(t *testing.T, at *emulator.Tenant) emulator.App {
	app := at.RestoreApp()
	_, found := at.Do("GET", "/v1.0/applications?$filter=appId eq '"+app.ClientID+"'", nil)
	id := found["value"].([]any)[0].(map[string]any)["id"].(string)
	if status, a := at.Do("PATCH", "/v1.0/applications/"+id, map[string]any{"publicClient": map[string]any{"redirectUris": []any{"http://localhost"}}, "isFallbackPublicClient": true}); status != 204 {
		t.Fatal(status, a)
	}
	if status, a := at.Do("POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": app.ObjectID, "consentType": "AllPrincipals", "resourceId": at.Find("servicePrincipals", "Microsoft Graph"), "scope": "User.ReadWrite.All Group.Read.All"}); status != 201 {
		t.Fatal(status, a)
	}
	return app
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// fields are the hidden fields of a page's form.
func fields(page string) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		v.Set(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return v
}

func read(t *testing.T, r *http.Response) string {
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// The maker's own library signs a person in with a browser and with a code; who signs in has what the application
// may use and the person may do.
func TestPeopleSignIn(t *testing.T) {
	at := start(t, emulator.Options{})
	app := signing(t, at)
	c := newClient(t, at, app)
	ask := func(address string, form url.Values) string {
		r, err := c.http.PostForm(address, form)
		if err != nil {
			t.Error(err)
			return ""
		}
		return read(t, r)
	}
	client, err := public.New(app.ClientID, public.WithAuthority(at.URL()+"/"+at.ID()), public.WithInstanceDiscovery(false), public.WithHTTPClient(c.http))
	if err != nil {
		t.Fatal(err)
	}
	var returns sync.WaitGroup
	defer returns.Wait()
	scopes := []string{"https://graph.microsoft.com/.default"}
	browser := func(name string) func(string) error {
		return func(address string) error {
			r, err := c.http.Get(address)
			if err != nil {
				return err
			}
			form := fields(read(t, r))
			form.Set("username", name)
			back := fields(ask(address[:strings.IndexByte(address, '?')], form))
			returns.Go(func() { ask(form.Get("redirect_uri"), back) })
			return nil
		}
	}
	_, all := at.Do("GET", "/v1.0/users?$top=50&$select=id,userPrincipalName,displayName,accountEnabled", nil)
	people := all["value"].([]any)
	upn := func(name string) string {
		for _, p := range people {
			if p := p.(map[string]any); p["displayName"] == name {
				return p["userPrincipalName"].(string)
			}
		}
		t.Fatalf("nobody is called %s", name)
		return ""
	}
	for name, writes := range map[string]int{"Ada Admin": 204, "Sigrid Security": 403} {
		r, err := client.AcquireTokenInteractive(t.Context(), scopes, public.WithOpenURL(browser(upn(name))))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Account.PreferredUsername != upn(name) {
			t.Errorf("%s: %+v", name, r.Account)
		}
		c2 := *c
		c2.token = r.AccessToken
		someone := people[len(people)-1].(map[string]any)["id"].(string)
		if got := c2.do("PATCH", "/v1.0/users/"+someone, `{"department":"Sales"}`); got.status != writes {
			t.Errorf("%s: write: %d %s", name, got.status, got.body)
		}
		if got := c2.do("GET", "/v1.0/groups", ""); got.status != 200 {
			t.Errorf("%s: read: %d", name, got.status)
		}
		if got := c2.do("GET", "/v1.0/applications", ""); got.status != 403 {
			t.Errorf("%s: without consent: %d", name, got.status)
		}
		again, err := client.AcquireTokenSilent(t.Context(), scopes, public.WithSilentAccount(r.Account), public.WithClaims(`{"access_token":{"nbf":{"essential":true}}}`))
		if err != nil || again.AccessToken == r.AccessToken {
			t.Errorf("%s: renew: %v", name, err)
		}
	}
	code, err := client.AcquireTokenByDeviceCode(t.Context(), scopes)
	if err != nil {
		t.Fatal(err)
	}
	if p := ask(code.Result.VerificationURL, url.Values{"otc": {"WRONG"}, "username": {upn("Ada Admin")}}); !strings.Contains(p, "didn't work") {
		t.Error(p)
	}
	if p := ask(code.Result.VerificationURL, url.Values{"otc": {code.Result.UserCode}, "username": {upn("Ada Admin")}}); !strings.Contains(p, "You have signed in") {
		t.Error(p)
	}
	if r, err := code.AuthenticationResult(t.Context()); err != nil || r.Account.PreferredUsername != upn("Ada Admin") {
		t.Error(err)
	}
}

// A code goes to the application's own address on this machine only, and is good once, for who knows the verifier.
func TestAnAuthorizationCodeIsBound(t *testing.T) {
	at := start(t, emulator.Options{})
	app := signing(t, at)
	c := newClient(t, at, app)
	home := at.URL() + "/" + at.ID() + "/oauth2/v2.0/"
	sum := sha256.Sum256([]byte("verifier"))
	asked := func(change map[string]string) url.Values {
		v := url.Values{"client_id": {app.ClientID}, "response_type": {"code"}, "redirect_uri": {"http://localhost:4711"}, "scope": {"https://graph.microsoft.com/.default openid offline_access"},
			"state": {"s&1"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "username": {"ada.admin@contoso.example"}}
		for k, s := range change {
			v.Set(k, s)
		}
		return v
	}
	plain := *c.http
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	_, found := at.Do("GET", "/v1.0/users/"+at.Find("users", "Ada Admin"), nil)
	ada := found["userPrincipalName"].(string)
	authorize := func(change map[string]string) (*http.Response, url.Values) {
		v := asked(change)
		if v.Get("username") == "ada.admin@contoso.example" {
			v.Set("username", ada)
		}
		r, err := plain.PostForm(home+"authorize", v)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		u, err := url.Parse(r.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return r, u.Query()
	}
	for _, elsewhere := range []string{"https://evil.example", "http://evil.example", "http://localhost.evil.example", "http://localhost:1@evil.example", "https://localhost", "http://localhost/other", "http://127.0.0.1:4711", ""} {
		if r, _ := authorize(map[string]string{"redirect_uri": elsewhere}); r.StatusCode != 400 || r.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s", elsewhere, r.StatusCode, r.Header.Get("Location"))
		}
	}
	for want, change := range map[string]map[string]string{
		"unsupported_response_type": {"response_type": "token"},
		"invalid_scope":             {"scope": "Mail.Read"},
		"invalid_request":           {"code_challenge": "short"},
		"access_denied":             {"cancel": "1"},
	} {
		if _, q := authorize(change); q.Get("error") != want || q.Get("state") != "s&1" || q.Get("code") != "" {
			t.Errorf("want %s: %v", want, q)
		}
	}
	if r, _ := authorize(map[string]string{"username": "nobody@contoso.example"}); r.StatusCode != 200 || r.Header.Get("Location") != "" {
		t.Error("a stranger is sent back:", r.StatusCode)
	}
	redeem := func(code string, change map[string]string) int {
		v := url.Values{"grant_type": {"authorization_code"}, "client_id": {app.ClientID}, "code": {code}, "redirect_uri": {"http://localhost:4711"}, "code_verifier": {"verifier"}}
		for k, s := range change {
			v.Set(k, s)
		}
		r, err := c.http.PostForm(home+"token", v)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	_, q := authorize(nil)
	if q.Get("state") != "s&1" || q.Get("code") == "" {
		t.Fatal(q)
	}
	for _, change := range []map[string]string{{"code_verifier": "another"}, {"code_verifier": ""}, {"redirect_uri": "http://localhost:4712"}, {"client_id": at.CaptureApp().ClientID}, {"client_secret": app.Secret}, {"code": "made-up"}} {
		if status := redeem(q.Get("code"), change); status < 400 {
			t.Errorf("%v: %d", change, status)
		}
	}
	if status := redeem(q.Get("code"), nil); status != 200 {
		t.Errorf("the right one: %d", status)
	}
	if status := redeem(q.Get("code"), nil); status != 400 {
		t.Errorf("again: %d", status)
	}
	_, q = authorize(nil)
	at.Advance(11 * time.Minute)
	if status := redeem(q.Get("code"), nil); status != 400 {
		t.Errorf("late: %d", status)
	}
}
