package emulator_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// client is a plain HTTP client of a tenant.
type client struct {
	t     *testing.T
	at    *emulator.Tenant
	http  *http.Client
	token string
}

func start(t *testing.T, o emulator.Options) *emulator.Tenant {
	t.Helper()
	at, err := emulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.Close)
	return at
}

func newClient(t *testing.T, at *emulator.Tenant, app emulator.App) *client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(at.CA()) {
		t.Fatal("no CA certificate")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	c := &client{t: t, at: at, http: &http.Client{Transport: tr}}
	c.token = c.login(url.Values{"client_id": {app.ClientID}, "client_secret": {app.Secret}})
	return c
}

func (c *client) tokenRequest(v url.Values) (int, map[string]any) {
	c.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"https://graph.microsoft.com/.default"}}
	for k, x := range v {
		form[k] = x
	}
	r, err := c.http.PostForm(c.at.URL()+"/"+c.at.ID()+"/oauth2/v2.0/token", form)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		c.t.Fatal(err)
	}
	return r.StatusCode, m
}

func (c *client) login(v url.Values) string {
	c.t.Helper()
	status, m := c.tokenRequest(v)
	if status != 200 {
		c.t.Fatalf("token: %d %v", status, m)
	}
	return m["access_token"].(string)
}

type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (r reply) code() string {
	e, _ := r.body["error"].(map[string]any)
	s, _ := e["code"].(string)
	return s
}

func (r reply) message() string {
	e, _ := r.body["error"].(map[string]any)
	s, _ := e["message"].(string)
	return s
}

func (r reply) items() []map[string]any {
	var out []map[string]any
	a, _ := r.body["value"].([]any)
	for _, x := range a {
		out = append(out, x.(map[string]any))
	}
	return out
}

func (r reply) text(k string) string { s, _ := r.body[k].(string); return s }

// do sends a request; target is a path or a whole link; body is JSON text.
func (c *client) do(method, target, body string, header ...string) reply {
	c.t.Helper()
	r, err := c.try(c.t.Context(), method, target, body, header...)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *client) try(ctx context.Context, method, target, body string, header ...string) (reply, error) {
	if strings.HasPrefix(target, "/") {
		target = c.at.URL() + target
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader([]byte(body)))
	if err != nil {
		return reply{}, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: resp.StatusCode, header: resp.Header, raw: string(b)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		_ = json.Unmarshal(b, &r.body)
	}
	return r, nil
}

// all follows a listing to its end.
func (c *client) all(target string, header ...string) (items []map[string]any, pages int, last reply) {
	c.t.Helper()
	for {
		r := c.do("GET", target, "", header...)
		if r.status != 200 {
			c.t.Fatalf("GET %s: %d %s", target, r.status, r.raw)
		}
		pages++
		items = append(items, r.items()...)
		if r.text("@odata.nextLink") == "" {
			return items, pages, r
		}
		target = r.text("@odata.nextLink")
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func assertion(t *testing.T, at *emulator.Tenant, app emulator.App, method jwt.SigningMethod, header, aud string, tamper func(jwt.MapClaims)) string {
	t.Helper()
	block, rest := pem.Decode(app.CertificatePEM)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := pem.Decode(rest)
	old, sum := sha1.Sum(cert.Bytes), sha256.Sum256(cert.Bytes)
	now := time.Now()
	m := jwt.MapClaims{"aud": aud, "iss": app.ClientID, "sub": app.ClientID, "jti": "x", "nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	if tamper != nil {
		tamper(m)
	}
	j := jwt.NewWithClaims(method, m)
	switch header {
	case "x5t":
		j.Header[header] = base64.RawURLEncoding.EncodeToString(old[:])
	case "x5t#S256":
		j.Header[header] = base64.RawURLEncoding.EncodeToString(sum[:])
	case "another's":
		j.Header["x5t"] = base64.RawURLEncoding.EncodeToString(sum[:20])
	}
	s, err := j.SignedString(key.(*rsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
