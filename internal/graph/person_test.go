package graph_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

// tokensOf are what the authority of a tenant gives a person of a name.
func tokensOf(name, tenant string, n int) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	id := "e30." + part(fmt.Sprintf(`{"oid":"%s","sub":"%[1]s","tid":"%s","preferred_username":"%[1]s@contoso.example","aud":"%[3]s","exp":4000000000}`, name, tenant, app)) + ".c2ln"
	return fmt.Sprintf(`{"token_type":"Bearer","expires_in":3599,"access_token":"%s-%d","refresh_token":"r-%[1]s","id_token":"%[3]s","scope":"https://graph.example/.default openid profile offline_access","client_info":"%s"}`,
		name, n, id, part(fmt.Sprintf(`{"uid":"%s","utid":"%s"}`, name, tenant)))
}

// A person signs in once, the token is renewed without them, and they are asked again when the authority says so and
// for nothing else; then nobody but them can go on.
func TestAPersonSignsIn(t *testing.T) {
	const claims = `{"access_token":{"nbf":{"essential":true}}}`
	who, home, refuse, n := "ada", tenant, 0, 0
	a := newAuthority(t, 404, func(form url.Values) (int, string) {
		n++
		switch form.Get("grant_type") {
		case "refresh_token":
			if refuse != 0 {
				return refuse, `{"error":"interaction_required","error_description":"AADSTS50076: Use multi-factor authentication.","error_codes":[50076]}`
			}
			return 200, tokensOf(strings.TrimPrefix(form.Get("refresh_token"), "r-"), tenant, n)
		case "authorization_code":
			return 200, tokensOf(form.Get("code"), home, n)
		}
		return 400, `{"error":"unsupported_grant_type"}`
	})
	var asked []url.Values
	var browsers sync.WaitGroup
	defer browsers.Wait()
	answer := func(q url.Values) url.Values { return url.Values{"code": {who}, "state": {q.Get("state")}} }
	id := a.identity()
	id.Person = &graph.Person{Open: func(address string) error {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		q := u.Query()
		asked = append(asked, q)
		if u.Host != strings.TrimPrefix(a.URL, "https://") || u.Path != "/"+tenant+"/oauth2/v2.0/authorize" {
			t.Errorf("the sign-in page is %s", address)
		}
		form := answer(q)
		browsers.Go(func() {
			r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).PostForm(q.Get("redirect_uri"), form)
			if err != nil {
				t.Error(err)
				return
			}
			_ = r.Body.Close()
		})
		return nil
	}}
	cred, err := graph.Login(id)
	if err != nil {
		t.Fatal(err)
	}
	token := func(claims, want string, times int) {
		t.Helper()
		got, _, err := cred.Token(t.Context(), claims)
		if err != nil || !strings.HasPrefix(got, want) || len(asked) != times {
			t.Errorf("%q %v, asked %d times, want %s and %d", got, err, len(asked), want, times)
		}
	}
	token("", "ada-1", 1)
	token("", "ada-1", 1)
	token(claims, "ada-2", 1)
	q, f := asked[0], a.forms[0]
	sum := sha256.Sum256([]byte(f.Get("code_verifier")))
	if q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || q.Get("code_challenge_method") != "S256" || len(f.Get("code_verifier")) < 43 {
		t.Errorf("no proof of who asked: %v %v", q, f)
	}
	if u, err := url.Parse(q.Get("redirect_uri")); err != nil || u.Scheme != "http" || u.Hostname() != "localhost" {
		t.Errorf("the code goes to %s", q.Get("redirect_uri"))
	}
	if f.Get("client_secret") != "" || f.Get("client_assertion") != "" || f.Get("client_id") != app || q.Get("client_id") != app {
		t.Errorf("%v %v", q, f)
	}

	refuse = 401 // nothing a person can help
	if _, _, err := cred.Token(t.Context(), claims); err == nil || len(asked) != 1 {
		t.Errorf("%v, asked %d times", err, len(asked))
	}
	refuse = 400
	token(claims, "ada-", 2)
	if asked[1].Get("login_hint") != "ada@contoso.example" || !strings.Contains(asked[1].Get("claims"), "nbf") {
		t.Errorf("%v", asked[1])
	}
	who = "eve"
	if _, _, err := cred.Token(t.Context(), claims); err == nil || !strings.Contains(err.Error(), "only they can go on") {
		t.Errorf("another goes on: %v", err)
	}
	who, home = "ada", "5d4f1c00-0000-4000-8000-000000000009"
	if _, _, err := cred.Token(t.Context(), claims); err == nil || !strings.Contains(err.Error(), "signed in to tenant "+home+", and not to "+tenant) {
		t.Errorf("another tenant is accepted: %v", err)
	}
	home = tenant
	token(claims, "ada-", 5)

	for name, form := range map[string]func(url.Values) url.Values{
		"AADSTS65004": func(q url.Values) url.Values {
			return url.Values{"error": {"access_denied"}, "error_description": {"AADSTS65004: User declined."}, "state": {q.Get("state")}}
		},
		"state": func(url.Values) url.Values { return url.Values{"code": {"ada"}, "state": {"forged"}} },
	} {
		answer = form
		if _, _, err := cred.Token(t.Context(), claims); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPeopleWhoCannotBeAsked(t *testing.T) {
	none := errors.New("no screen")
	a := newAuthority(t, 404, issue)
	for name, p := range map[string]*graph.Person{
		"neither": {}, "both": {Open: func(string) error { return nil }, Code: func(string, string) error { return nil }},
	} {
		id := a.identity()
		id.Person = p
		if _, err := graph.Login(id); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	id := a.identity()
	id.Person = &graph.Person{Open: func(string) error { return none }}
	cred, err := graph.Login(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cred.Token(t.Context(), ""); err == nil || !strings.Contains(err.Error(), none.Error()) {
		t.Error(err)
	}
}
