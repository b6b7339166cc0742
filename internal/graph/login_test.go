package graph_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

const tenant, app = "5d4f1c00-0000-4000-8000-000000000001", "5d4f1c00-0000-4000-8000-000000000002"

// authority issues tokens to one application.
type authority struct {
	*httptest.Server
	mu       sync.Mutex
	describe int // status of its description of itself, if it is asked
	forms    []url.Values
	paths    []string
	answer   func(form url.Values) (status int, body string)
}

func newAuthority(t *testing.T, describe int, answer func(url.Values) (int, string)) *authority {
	a := &authority{describe: describe, answer: answer}
	a.Server = quietServer(t, func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.paths = append(a.paths, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/" + tenant + "/v2.0/.well-known/openid-configuration":
			w.WriteHeader(a.describe)
			if a.describe == 200 {
				home := a.URL + "/" + tenant
				fmt.Fprintf(w, `{"issuer":"%s/v2.0","authorization_endpoint":"%[1]s/oauth2/v2.0/authorize","token_endpoint":"%[1]s/oauth2/v2.0/token"}`, home)
			}
		case "/" + tenant + "/oauth2/v2.0/token":
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			a.forms = append(a.forms, r.PostForm)
			status, body := a.answer(r.PostForm)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		default:
			t.Errorf("asked for %s", r.URL)
			w.WriteHeader(http.StatusTeapot)
		}
	})
	return a
}

func (a *authority) identity() graph.Identity {
	return graph.Identity{Tenant: tenant, ClientID: app, Authority: a.URL, Scope: "https://graph.example/.default", HTTP: a.Client(), Custom: true}
}

func issue(form url.Values) (int, string) {
	return 200, `{"token_type":"Bearer","expires_in":3599,"access_token":"issued-for-` + form.Get("grant_type") + `"}`
}

func TestLoginWithASecret(t *testing.T) {
	for _, describe := range []int{200, 302, 400, 401, 404, 405, 500, 501} {
		t.Run(fmt.Sprint(describe), func(t *testing.T) {
			a := newAuthority(t, describe, issue)
			id := a.identity()
			id.Secret = "p&ss w+rd"
			cred, err := graph.Login(id)
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					token, expires, err := cred.Token(t.Context(), "")
					if err != nil || token != "issued-for-client_credentials" || expires.IsZero() {
						t.Errorf("%q %v %v", token, expires, err)
					}
				})
			}
			all.Wait()
			if len(a.forms) != 1 {
				t.Fatalf("%d tokens were issued", len(a.forms))
			}
			for _, p := range a.paths {
				if p != "/"+tenant+"/oauth2/v2.0/token" {
					t.Errorf("asked for %s", p)
				}
			}
			f := a.forms[0]
			for name, want := range map[string]string{"client_id": app, "client_secret": "p&ss w+rd", "grant_type": "client_credentials"} {
				if f.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, f.Get(name), want)
				}
			}
			if !slices.Contains(strings.Fields(f.Get("scope")), "https://graph.example/.default") || !strings.Contains(strings.ToLower(f.Get("claims")), `"cp1"`) {
				t.Errorf("scope %q, claims %q", f.Get("scope"), f.Get("claims"))
			}
			// Claims ask for a fresh token, whether they demand something or only freshness.
			for _, claims := range []string{`{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}`, `{"access_token":{"xms_cc":{"values":["cp1"]}}}`} {
				if _, _, err := cred.Token(t.Context(), claims); err != nil {
					t.Fatal(err)
				}
			}
			if len(a.forms) != 3 || !strings.Contains(a.forms[1].Get("claims"), "1604106651") || !strings.Contains(strings.ToLower(a.forms[1].Get("claims")), "cp1") {
				t.Errorf("%d tokens, claims %v", len(a.forms), a.forms)
			}
		})
	}
}

// certificate makes a key with its certificate in PEM.
func certificate(t *testing.T) (*rsa.PrivateKey, *x509.Certificate, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	draft := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tidemark"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, draft, draft, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	return key, cert, append(both, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

func TestLoginWithACertificate(t *testing.T) {
	key, cert, both := certificate(t)
	for _, describe := range []int{200, 404} {
		a := newAuthority(t, describe, issue)
		id := a.identity()
		id.CertificatePEM = both
		cred, err := graph.Login(id)
		if err != nil {
			t.Fatal(err)
		}
		if token, _, err := cred.Token(t.Context(), ""); err != nil || token != "issued-for-client_credentials" {
			t.Fatalf("%q %v", token, err)
		}
		f := a.forms[0]
		if f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || f.Has("client_secret") {
			t.Errorf("%v", f)
		}
		parts := strings.Split(f.Get("client_assertion"), ".")
		if len(parts) != 3 {
			t.Fatalf("assertion %q", f.Get("client_assertion"))
		}
		decode := func(s string) []byte {
			b, err := base64.RawURLEncoding.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		var header, claims map[string]any
		if err := errors.Join(json.Unmarshal(decode(parts[0]), &header), json.Unmarshal(decode(parts[1]), &claims)); err != nil {
			t.Fatal(err)
		}
		thumb := sha256.Sum256(cert.Raw)
		if header["alg"] != "PS256" || header["x5t#S256"] != base64.RawURLEncoding.EncodeToString(thumb[:]) && header["x5t#S256"] != base64.StdEncoding.EncodeToString(thumb[:]) {
			t.Errorf("header %v", header)
		}
		if claims["aud"] != a.URL+"/"+tenant+"/oauth2/v2.0/token" || claims["iss"] != app || claims["sub"] != app {
			t.Errorf("claims %v", claims)
		}
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if err := rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest[:], decode(parts[2]), nil); err != nil {
			t.Error(err)
		}
	}
}

// Certificates come as PKCS#12 too, with the ciphers of long ago and of today.
func TestLoginWithPKCS12(t *testing.T) {
	for _, file := range []string{"legacy.p12", "modern.p12"} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		a := newAuthority(t, 404, issue)
		id := a.identity()
		id.CertificatePEM = data
		cred, err := graph.Login(id)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if token, _, err := cred.Token(t.Context(), ""); err != nil || token != "issued-for-client_credentials" || strings.Count(a.forms[0].Get("client_assertion"), ".") != 2 {
			t.Errorf("%s: %q, %v, %v", file, token, err, a.forms)
		}
		id.CertificatePassword = []byte("wrong")
		if _, err := graph.Login(id); err == nil {
			t.Errorf("%s opens with a wrong password", file)
		}
		id.CertificatePassword, id.CertificatePEM = nil, data[:len(data)/2]
		if _, err := graph.Login(id); err == nil {
			t.Errorf("half of %s is accepted", file)
		}
	}
}

func TestLoginWithAFederatedToken(t *testing.T) {
	a := newAuthority(t, 404, issue)
	id := a.identity()
	id.FederatedTokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(id.FederatedTokenFile, []byte("outside-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	cred, err := graph.Login(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cred.Token(t.Context(), ""); err != nil || a.forms[0].Get("client_assertion") != "outside-token" {
		t.Errorf("%v %v", a.forms, err)
	}
}

func TestTheAuthorityRefuses(t *testing.T) {
	a := newAuthority(t, 404, func(url.Values) (int, string) {
		return 401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x","error_codes":[7000215],"trace_id":"x"}`
	})
	id := a.identity()
	id.Secret = "wrong-secret"
	cred, err := graph.Login(id)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = cred.Token(t.Context(), "")
	var e *graph.Error
	if !errors.As(err, &e) || e.Status != 401 || e.Code != "invalid_client" || !slices.Equal(e.Inner, []string{"AADSTS7000215"}) || !errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "wrong-secret") || strings.ContainsAny(err.Error(), "\r\n") {
		t.Errorf("%#v", err)
	}
}

// A client and its login, from the first request to a revoked token.
func TestLoginAndClientTogether(t *testing.T) {
	n := 0
	a := newAuthority(t, 501, func(url.Values) (int, string) {
		n++
		return 200, fmt.Sprintf(`{"token_type":"Bearer","expires_in":"3599","access_token":"t%d"}`, n)
	})
	id := a.identity()
	id.Secret = "s"
	cred, err := graph.Login(id)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{serve: func(_ int, r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") != "Bearer t2" {
			return refuse(401, "InvalidAuthenticationToken", ""), nil
		}
		return reply(200, `{"id":"1"}`), nil
	}}
	c, err := graph.New(cred, graph.Options{Endpoint: endpoint, HTTP: &http.Client{Transport: w}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := get(t, c); err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 || w.count() != 4 {
		t.Errorf("%d tokens, %d requests", n, w.count())
	}
}

// The authority of the public cloud answers for itself; nothing stands in for it.
func TestOnlyACustomAuthorityIsDescribedForIt(t *testing.T) {
	a := newAuthority(t, 404, issue)
	id := a.identity()
	id.Secret, id.Custom = "s", false
	id.HTTP = &http.Client{Transport: always(func() *http.Response { return reply(404, `{}`) })}
	cred, err := graph.Login(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cred.Token(t.Context(), ""); err == nil || len(a.forms) != 0 {
		t.Errorf("%v", err)
	}
}

func TestLoginsThatContradict(t *testing.T) {
	_, _, both := certificate(t)
	good := graph.Identity{Tenant: tenant, ClientID: app, Secret: "s"}
	if _, err := graph.Login(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*graph.Identity){
		"nothing":        func(id *graph.Identity) { id.Secret = "" },
		"two ways":       func(id *graph.Identity) { id.CertificatePEM = both },
		"managed too":    func(id *graph.Identity) { id.ManagedIdentity = true },
		"no tenant":      func(id *graph.Identity) { id.Tenant = "" },
		"no client":      func(id *graph.Identity) { id.ClientID = "" },
		"odd tenant":     func(id *graph.Identity) { id.Tenant = "a/b" },
		"plain http":     func(id *graph.Identity) { id.Authority = "http://login.example" },
		"user":           func(id *graph.Identity) { id.Authority = "https://u:p@login.example" },
		"not a URL":      func(id *graph.Identity) { id.Authority = "login.example" },
		"no certificate": func(id *graph.Identity) { id.Secret, id.CertificatePEM = "", []byte("x") },
	} {
		id := good
		change(&id)
		if _, err := graph.Login(id); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestReadClaims(t *testing.T) {
	token := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for payload, want := range map[string]graph.Claims{
		`{"roles":["User.Read.All","Group.Read.All"],"tid":"t","appid":"a","oid":"o"}`: {Permissions: []string{"User.Read.All", "Group.Read.All"}, Tenant: "t", App: "a"},
		`{"tid":"t","azp":"a"}`: {Permissions: []string{}, Tenant: "t", App: "a"},
		`{"scp":"User.Read.All openid","tid":"t","appid":"a","oid":"o","upn":"ada@contoso.example"}`:          {Permissions: []string{"User.Read.All", "openid"}, Tenant: "t", App: "a", Person: "o", Name: "ada@contoso.example"},
		`{"scp":"","roles":["Group.Read.All"],"tid":"t","appid":"a","oid":"o","unique_name":"ada@x.example"}`: {Permissions: []string{}, Tenant: "t", App: "a", Person: "o", Name: "ada@x.example"},
	} {
		if got, ok := graph.ReadClaims(token(payload)); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v", payload, got, ok)
		}
	}
	for _, s := range []string{"", "opaque", "a.b", "a.%.c", token("[]"), token(`{"roles":"x"}`), token(`{"scp":[]}`), "a.b.c.d.e"} {
		if _, ok := graph.ReadClaims(s); ok {
			t.Errorf("%q is readable", s)
		}
	}
}
