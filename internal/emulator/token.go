package emulator

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokens remembers access tokens whose signature was checked.
type tokens struct {
	mu      sync.Mutex
	seen    map[[32]byte]claims
	revoked uint64 // how often all tokens were revoked
}

type claims struct {
	jwt.RegisteredClaims
	App    string   `json:"appid"`
	Tenant string   `json:"tid"`
	OID    string   `json:"oid"`
	Roles  []string `json:"roles,omitempty"`
	Scopes string   `json:"scp,omitempty"` // of a person, who has them in the place of roles
	UPN    string   `json:"upn,omitempty"`
	Name   string   `json:"name,omitempty"`
	Able   []string `json:"xms_cc,omitempty"` // what the client said it understands
	Era    uint64   `json:"era"`              // revocations before it was issued
}

// Revoke takes back every access token issued so far (continuous access
// evaluation). A client that declared that it understands is challenged for
// a fresh one; any other is only refused.
func (t *Tenant) Revoke() {
	t.tokens.mu.Lock()
	defer t.tokens.mu.Unlock()
	t.tokens.revoked++
}

// able reads what a client declares in the claims of a token request.
func able(text string) []string {
	var c struct {
		Token struct {
			CC struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	if json.Unmarshal([]byte(text), &c) != nil {
		return nil
	}
	return c.Token.CC.Values
}

// authority answers what is not Microsoft Graph: the token endpoint, the pages
// on which people sign in, and the metadata that clients ask for before.
func (t *Tenant) authority(c *call, target string) answer {
	path, _, _ := strings.Cut(target, "?")
	segs := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/common/discovery/instance" && c.method == "GET":
		return jsonAnswer(200, map[string]any{"tenant_discovery_endpoint": t.URL() + "/" + t.id + "/v2.0/.well-known/openid-configuration", "api-version": "1.1",
			"metadata": []any{map[string]any{"preferred_network": t.listener.Addr().String(), "preferred_cache": t.listener.Addr().String(), "aliases": list(t.listener.Addr().String())}}})
	case len(segs) == 4 && strings.Join(segs[1:], "/") == "v2.0/.well-known/openid-configuration" && c.method == "GET":
		if !t.names(segs[0]) {
			return loginError(t, 400, "invalid_tenant", 90002, "Tenant '"+segs[0]+"' not found.")
		}
		u := t.URL() + "/" + segs[0]
		return jsonAnswer(200, map[string]any{"issuer": t.URL() + "/" + t.id + "/v2.0", "token_endpoint": u + "/oauth2/v2.0/token", "authorization_endpoint": u + "/oauth2/v2.0/authorize",
			"jwks_uri": u + "/discovery/v2.0/keys", "token_endpoint_auth_methods_supported": list("client_secret_post", "private_key_jwt", "client_secret_basic"), "response_types_supported": list("code", "id_token"),
			"subject_types_supported": list("pairwise"), "id_token_signing_alg_values_supported": list("RS256"), "scopes_supported": list("openid"), "tenant_region_scope": "NA", "cloud_instance_name": "made-up", "device_authorization_endpoint": u + "/oauth2/v2.0/devicecode"})
	case len(segs) == 4 && strings.Join(segs[1:], "/") == "oauth2/v2.0/token":
		if c.method != http.MethodPost {
			return loginError(t, 405, "invalid_request", 900561, "The endpoint only accepts POST requests.")
		}
		return t.token(c, segs[0])
	case len(segs) == 4 && strings.Join(segs[1:], "/") == "oauth2/v2.0/authorize":
		return t.authorize(c, segs[0], target)
	case len(segs) == 4 && strings.Join(segs[1:], "/") == "oauth2/v2.0/devicecode" && c.method == http.MethodPost:
		return t.deviceCode(c, segs[0])
	case path == devicePage:
		return t.enterCode(c)
	}
	return jsonAnswer(404, map[string]any{"error": "not_found", "error_description": "No such endpoint."})
}

func jsonAnswer(status int, v map[string]any) answer {
	a := answer{status: status, body: appendValue(nil, v)}
	a.set("Content-Type", "application/json; charset=utf-8")
	return a
}

// wrong is what the authority has against a request.
type wrong struct {
	status int
	code   string
	number int
	text   string
}

func (w *wrong) answer(t *Tenant) answer { return loginError(t, w.status, w.code, w.number, w.text) }

func loginError(t *Tenant, status int, code string, number int, text string) answer {
	at := t.Now().Format("2006-01-02 15:04:05Z")
	trace := t.requestID()
	return jsonAnswer(status, map[string]any{"error": code, "error_codes": []any{number}, "timestamp": at, "trace_id": trace, "correlation_id": trace,
		"error_description": "AADSTS" + itoa(number) + ": " + text + "\r\nTrace ID: " + trace + "\r\nCorrelation ID: " + trace + "\r\nTimestamp: " + at})
}

// names tells whether s is the tenant's id or one of its domains.
func (t *Tenant) names(s string) bool {
	if strings.EqualFold(s, t.id) {
		return true
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	o := t.objects[strings.ToLower(s)]
	return o.live() && o.kind == kDomain && flag(o.p["isVerified"])
}

func (t *Tenant) token(c *call, tenant string) answer {
	if ct, _, _ := strings.Cut(c.header.Get("Content-Type"), ";"); ct != "application/x-www-form-urlencoded" {
		return loginError(t, 400, "invalid_request", 900144, "The request body must be form-encoded.")
	}
	f, err := url.ParseQuery(string(c.body))
	if err != nil {
		return loginError(t, 400, "invalid_request", 900144, "The request body is not well formed.")
	}
	if !t.names(tenant) {
		return loginError(t, 400, "invalid_request", 90002, "Tenant '"+tenant+"' not found.")
	}
	switch g := f.Get("grant_type"); g {
	case "client_credentials":
	case "authorization_code", "refresh_token", deviceGrant, shortDeviceGrant:
		return t.personToken(f)
	default:
		return loginError(t, 400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type '"+g+"'.")
	}
	if wrong := t.asksDefault(f.Get("scope")); wrong != nil {
		return wrong.answer(t)
	}
	if said := f.Get("claims"); said != "" && !json.Valid([]byte(said)) {
		return loginError(t, 400, "invalid_request", 900144, "The claims are not JSON.")
	}
	id, secret := f.Get("client_id"), f.Get("client_secret")
	r := http.Request{Header: c.header}
	if u, p, ok := r.BasicAuth(); ok && id == "" {
		id, _ = url.QueryUnescape(u)
		secret, _ = url.QueryUnescape(p)
	}
	t.mu.RLock()
	app, sp, wrong := t.acting(id)
	now := t.clock()
	t.mu.RUnlock()
	if wrong != nil {
		return wrong.answer(t)
	}
	which, known := -1, [2]App{t.capture, t.restore}
	for i, a := range known {
		if a.ClientID == text(app.p["appId"]) {
			which = i
		}
	}
	switch {
	case f.Get("client_assertion") != "":
		if f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			return loginError(t, 400, "invalid_request", 900144, "The client_assertion_type is not supported.")
		}
		if err := t.assertion(f.Get("client_assertion"), text(app.p["appId"]), tenant, t.certificatesOf(app, which, now)); err != nil {
			return loginError(t, 401, "invalid_client", 700027, "Client assertion failed signature validation: "+err.Error())
		}
	case secret == "":
		return loginError(t, 401, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case which >= 0 && secret == known[which].Secret, t.secretOf(app, secret, now):
	default:
		return loginError(t, 401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.")
	}
	t.mu.RLock()
	roles := t.rolesOf(sp)
	t.mu.RUnlock()
	return t.issue(claims{App: text(app.p["appId"]), OID: sp.id, Roles: roles, Able: able(f.Get("claims"))}, map[string]any{})
}

// asksDefault holds a request's scopes to those of the permissions granted on
// Microsoft Graph, by the name of the resource with /.default.
func (t *Tenant) asksDefault(scope string) *wrong {
	resource := ""
	for s := range strings.FieldsSeq(scope) {
		if s == "openid" || s == "profile" || s == "offline_access" { // some libraries add them
			continue
		}
		r, ok := strings.CutSuffix(s, "/.default")
		if !ok {
			return &wrong{400, "invalid_scope", 1002012, "The provided value for scope " + s + " is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier."}
		}
		if resource != "" && r != resource {
			return &wrong{400, "invalid_scope", 28000, "Provided value for the input parameter scope is not valid because it contains more than one resource."}
		}
		resource = r
	}
	if r := strings.TrimSuffix(resource, "/"); r != "https://graph.microsoft.com" && r != t.URL() && r != graphAppID {
		return &wrong{400, "invalid_resource", 500011, "The resource principal named " + resource + " was not found in the tenant."}
	}
	return nil
}

// issue answers with an access token, and what comes with it.
func (t *Tenant) issue(c claims, with map[string]any) answer {
	t.mu.Lock()
	now := t.clock()
	t.made++
	// The service picks a lifetime between 60 and 90 minutes.
	life := time.Duration(3600+mix(t.pop.seed^t.made)%1800) * time.Second
	t.mu.Unlock()
	t.tokens.mu.Lock()
	c.Era = t.tokens.revoked
	t.tokens.mu.Unlock()
	c.Tenant = t.id
	c.RegisteredClaims = jwt.RegisteredClaims{Issuer: t.URL() + "/" + t.id + "/v2.0", Audience: jwt.ClaimStrings{"https://graph.microsoft.com"}, IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)), ID: t.requestID()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, c).SignedString(t.keys.issuer)
	if err != nil {
		return loginError(t, 500, "server_error", 90033, "A transient error has occurred. Please try again.")
	}
	secs := int(life / time.Second)
	with["token_type"], with["expires_in"], with["ext_expires_in"], with["access_token"] = "Bearer", secs-1, secs-1, token
	a := jsonAnswer(200, with)
	a.set("Cache-Control", "no-store, no-cache")
	return a
}

// secretOf tells whether secret is one that addPassword gave out.
func (t *Tenant) secretOf(app *object, secret string, now time.Time) bool {
	for _, p := range subs(app.p["passwordCredentials"]) {
		until, err := time.Parse(time.RFC3339, text(p["endDateTime"]))
		if text(p["secretText"]) == secret && err == nil && now.Before(until) {
			return true
		}
	}
	return false
}

// certificatesOf lists the certificates an application can sign in with;
// which tells the tenant's own two, whose ones are not among its properties
// until somebody says which ones it has.
func (t *Tenant) certificatesOf(app *object, which int, now time.Time) (certs []*x509.Certificate) {
	t.keys.wait()
	if which >= 0 && t.keys.certs[which] != nil && app.p["keyCredentials"] == nil {
		certs = append(certs, t.keys.certs[which])
	}
	for _, k := range subs(app.p["keyCredentials"]) {
		der, _ := base64.StdEncoding.DecodeString(text(k["key"]))
		cert, err := x509.ParseCertificate(der)
		until, wrong := time.Parse(time.RFC3339, text(k["endDateTime"]))
		if err == nil && wrong == nil && k["usage"] == "Verify" && now.Before(until) {
			certs = append(certs, cert)
		}
	}
	return certs
}

// assertion checks a client assertion (Microsoft Graph documentation,
// certificate credentials): PS256 or RS256 under the registered certificate,
// audience the token endpoint of this tenant, issuer and subject the client.
func (t *Tenant) assertion(signed, client, tenant string, certs []*x509.Certificate) error {
	token, err := jwt.Parse(signed, func(j *jwt.Token) (any, error) {
		for _, cert := range certs {
			old, new := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
			for name, sum := range map[string][]byte{"x5t": old[:], "x5t#S256": new[:]} {
				said := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(text(j.Header[name])), "=") // one library spells it in plain base64
				if said != "" && said == base64.RawURLEncoding.EncodeToString(sum) {
					return cert.PublicKey, nil
				}
			}
		}
		return nil, errors.New("the header names no registered certificate")
	}, jwt.WithValidMethods([]string{"PS256", "RS256"}), jwt.WithExpirationRequired(), jwt.WithIssuer(client), jwt.WithSubject(client), jwt.WithLeeway(5*time.Minute), jwt.WithTimeFunc(t.now))
	if err != nil {
		return err
	}
	if m, ok := token.Claims.(jwt.MapClaims); !ok || text(m["jti"]) == "" {
		return errors.New("the assertion has no jti")
	}
	aud, err := token.Claims.GetAudience()
	if err != nil {
		return err
	}
	for _, a := range aud {
		for _, name := range []string{tenant, t.id} {
			if a == t.URL()+"/"+name+"/oauth2/v2.0/token" {
				return nil
			}
		}
	}
	return errors.New("the audience is not this token endpoint")
}

// rolesOf lists the application permissions a service principal was granted
// on Microsoft Graph.
func (t *Tenant) rolesOf(sp *object) []string {
	graph := t.get(t.graphSP)
	if graph == nil {
		return nil // it was deleted, and then purged
	}
	value := map[string]string{}
	for _, r := range subs(graph.p["appRoles"]) {
		value[text(r["id"])] = text(r["value"])
	}
	var out []string
	for _, g := range t.joined(kRoleGrant, "principalId", sp.id) {
		if v := value[text(g.p["appRoleId"])]; g.live() && text(g.p["resourceId"]) == t.graphSP && v != "" && !t.denied[v] {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// authenticate checks the access token of a call over HTTP.
func (c *call) authenticate() *refusal {
	fail := func(msg string) *refusal {
		return &refusal{status: 401, code: "InvalidAuthenticationToken", message: msg, header: map[string]string{"WWW-Authenticate": `Bearer realm="", authorization_uri="` + c.t.URL() + `/common/oauth2/authorize", client_id="` + graphAppID + `"`}}
	}
	text, ok := strings.CutPrefix(c.header.Get("Authorization"), "Bearer ")
	if !ok || text == "" {
		return fail("Access token is empty.")
	}
	sum := sha256.Sum256([]byte(text))
	c.t.tokens.mu.Lock()
	got, known := c.t.tokens.seen[sum]
	c.t.tokens.mu.Unlock()
	if !known {
		// The time is checked below against the virtual clock, for known
		// tokens too.
		_, err := jwt.ParseWithClaims(text, &got, func(*jwt.Token) (any, error) { return &c.t.keys.issuer.PublicKey, nil }, jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation())
		if err != nil || got.Tenant != c.t.id {
			return fail("CompactToken validation failed.")
		}
		c.t.tokens.mu.Lock()
		if c.t.tokens.seen == nil || len(c.t.tokens.seen) > 1000 {
			c.t.tokens.seen = map[[32]byte]claims{}
		}
		c.t.tokens.seen[sum] = got
		c.t.tokens.mu.Unlock()
	}
	c.t.tokens.mu.Lock()
	revoked := c.t.tokens.revoked > got.Era
	c.t.tokens.mu.Unlock()
	if revoked {
		r := fail("Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp.")
		if slices.ContainsFunc(got.Able, func(s string) bool { return strings.EqualFold(s, "cp1") }) {
			challenge := `{"access_token":{"nbf":{"essential":true,"value":"` + itoa(int(c.t.Now().Unix())) + `"}}}`
			r.header["WWW-Authenticate"] += `, error="insufficient_claims", claims="` + base64.StdEncoding.EncodeToString([]byte(challenge)) + `"`
		}
		return r
	}
	c.t.mu.RLock()
	defer c.t.mu.RUnlock()
	if !c.t.clock().Before(got.ExpiresAt.Time) {
		return fail("Lifetime validation failed, the token is expired.")
	}
	c.roles = map[string]bool{}
	for _, r := range append(got.Roles, strings.Fields(got.Scopes)...) {
		c.roles[r] = true
	}
	c.appID = got.App
	if got.Scopes != "" {
		return c.authenticatePerson(got)
	}
	c.actor = Actor{t: c.t, kind: "app", id: got.App}
	if sp := c.t.get(got.OID); sp != nil {
		c.actor.who = sp.name()
	}
	return nil
}
