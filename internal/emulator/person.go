package emulator

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// This is how people sign in: with an authorization code that a browser brings
// back to the program that asked (RFC 6749, RFC 7636, RFC 8252), or with a code
// they type in elsewhere (RFC 8628). Passwords, second factors and Conditional
// Access are not modelled: who is named is believed.

const (
	deviceGrant      = "urn:ietf:params:oauth:grant-type:device_code"
	shortDeviceGrant = "device_code" // as the platform's own library calls it
	devicePage       = "/common/oauth2/deviceauth"

	codeLife   = 10 * time.Minute
	deviceLife = 15 * time.Minute
)

// signIns are what people have begun and not yet ended, by their codes.
type signIns struct {
	mu      sync.Mutex
	codes   map[string]*signIn // authorization codes
	refresh map[string]*signIn // refresh tokens
	devices map[string]*signIn // device codes
}

// A signIn is a person at an application.
type signIn struct {
	app       string // client id
	scope     string // asked for
	user      string // object id; empty while nobody has signed in
	redirect  string // of an authorization code
	challenge string // of an authorization code: the SHA-256 of the verifier, or empty
	typed     string // of a device code: what the person types
	until     time.Time
	spent     bool
}

// page is an answer for a person to look at.
func page(status int, title, body string) answer {
	a := answer{status: status, body: []byte("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + title + "</title></head><body><h1>" + title + "</h1>\n" + body + "</body></html>\n")}
	a.set("Content-Type", "text/html; charset=utf-8")
	a.set("Cache-Control", "no-store, no-cache")
	return a
}

// form is a page's form with hidden fields, in the order of their names.
func form(action string, hidden url.Values, rest string) string {
	var b strings.Builder
	b.WriteString(`<form method="post" action="` + html.EscapeString(action) + `">`)
	names := make([]string, 0, len(hidden))
	for name := range hidden {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(`<input type="hidden" name="` + html.EscapeString(name) + `" value="` + html.EscapeString(hidden.Get(name)) + `">`)
	}
	b.WriteString(rest + "</form>\n")
	return b.String()
}

// loopback tells whether an address is one of this machine's, by which
// native applications are reached (RFC 8252, 7.3).
func loopback(u *url.URL) bool {
	return u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1") && u.User == nil && u.Fragment == ""
}

// commandLineTools is a public client of Microsoft's to which people of every
// tenant can sign in. A tenant has a service principal of it from the first
// consent on.
const commandLineTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e"

// publicApp returns the living application that signs people in, with its
// service principal; the caller holds mu.
func (t *Tenant) publicApp(id string) (app, sp *object, err *wrong) {
	if strings.EqualFold(id, commandLineTools) {
		app = &object{kind: kApp, p: props{"appId": commandLineTools, "displayName": microsoftApps[commandLineTools], "isFallbackPublicClient": true, "publicClient": props{"redirectUris": list("http://localhost")}}}
		if sp = t.spByAppID(id, true); sp != nil && sp.p["accountEnabled"] == false {
			return nil, nil, disabled(id)
		}
		return app, sp, nil
	}
	return t.acting(id)
}

// acting returns a living application with its service principal, if it may
// have tokens; the caller holds mu.
func (t *Tenant) acting(id string) (app, sp *object, err *wrong) {
	app = t.get(t.appID[strings.ToLower(id)])
	if !app.live() {
		return nil, nil, &wrong{400, "unauthorized_client", 700016, "Application with identifier '" + id + "' was not found in the directory."}
	}
	switch sp = t.spByAppID(id, true); {
	case sp == nil:
		return nil, nil, &wrong{401, "invalid_client", 7000229, "The client application " + id + " is missing service principal in the tenant " + t.id + "."}
	case sp.p["accountEnabled"] == false || app.p["isDisabled"] == true:
		return nil, nil, disabled(id)
	}
	return app, sp, nil
}

func disabled(id string) *wrong {
	return &wrong{400, "unauthorized_client", 7000112, "Application '" + id + "' is disabled."}
}

// asksPerson holds a request's scopes of a person to those of the permissions
// granted, or to delegated permissions by their names, which it returns.
func (t *Tenant) asksPerson(scope string) (names []string, w *wrong) {
	for s := range strings.FieldsSeq(scope) {
		at := strings.LastIndex(s, "/")
		if r := s[:max(0, at)]; strings.Contains(s, "/.default") || r != "https://graph.microsoft.com" && r != t.URL() && r != graphAppID {
			continue
		}
		names = append(names, s[at+1:])
	}
	if names == nil {
		return nil, t.asksDefault(scope)
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, name := range names {
		graph := t.get(t.graphSP)
		if graph == nil || !slices.ContainsFunc(append(subs(graph.p["oauth2PermissionScopes"]), subs(graph.p["appRoles"])...), func(p map[string]any) bool { return p["value"] == name }) {
			return nil, &wrong{400, "invalid_client", 650053, "The application asked for scope '" + name + "' that doesn't exist on the resource '" + graphAppID + "'. Contact the app vendor."}
		}
	}
	return names, nil
}

// lacks returns which of the permissions asked for nobody has consented to for
// a user of an application; the caller holds mu.
func (t *Tenant) lacks(sp *object, user string, asked []string) []string {
	var has []string
	if sp != nil {
		has = t.scopesOf(sp, user)
	}
	return slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return slices.Contains(has, s) })
}

// consents has a user consent for themselves to permissions of an application.
// All but the least ask for an administrator.
func (t *Tenant) consents(app, user *object, scopes []string) *wrong {
	id := text(app.p["appId"])
	t.mu.RLock()
	admin, sp, graph := t.administers(user), t.spByAppID(id, true), t.graphSP
	t.mu.RUnlock()
	if !admin && slices.ContainsFunc(scopes, func(s string) bool {
		return !slices.Contains([]string{"User.Read", "openid", "profile", "email", "offline_access"}, s)
	}) {
		return &wrong{400, "access_denied", 90094, "The grant requires admin permission. An administrator of " + t.id + " has to consent to the permissions of the application '" + id + "'."}
	}
	as := t.As("user", user.id, text(user.p["userPrincipalName"]))
	client := ""
	if sp != nil {
		client = sp.id
	} else if status, made := as.Do("POST", "/v1.0/servicePrincipals", map[string]any{"appId": id}); status == 201 {
		client = text(made["id"])
	}
	t.mu.RLock()
	var grant *object
	for _, g := range t.joined(kConsent, "clientId", client) {
		if g.live() && text(g.p["resourceId"]) == graph && g.p["principalId"] == user.id {
			grant = g
		}
	}
	t.mu.RUnlock()
	var status int
	if grant != nil {
		status, _ = as.Do("PATCH", "/v1.0/oauth2PermissionGrants/"+grant.id, map[string]any{"scope": text(grant.p["scope"]) + " " + strings.Join(scopes, " ")})
	} else {
		status, _ = as.Do("POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": client, "consentType": "Principal", "principalId": user.id, "resourceId": graph, "scope": strings.Join(scopes, " ")})
	}
	if status >= 300 {
		return &wrong{400, "server_error", 90033, "A transient error has occurred. Please try again."}
	}
	return nil
}

// registered tells whether a redirect goes to an address that the application
// has registered for native clients. The port of loopback addresses is not
// compared (Microsoft identity platform, redirect URI restrictions).
func registered(app *object, redirect string) bool {
	u, err := url.Parse(redirect)
	if err != nil || !loopback(u) {
		return false
	}
	return slices.ContainsFunc(texts(sub(app.p["publicClient"])["redirectUris"]), func(s string) bool {
		r, err := url.Parse(s)
		return err == nil && loopback(r) && r.Hostname() == u.Hostname() && strings.TrimSuffix(r.Path, "/") == strings.TrimSuffix(u.Path, "/")
	})
}

// authorize shows the sign-in page, and sends who has signed in back to the
// program that asked. What is wrong before the address of that program is
// known to be the application's own is shown, and sent nowhere.
func (t *Tenant) authorize(c *call, tenant, target string) answer {
	path, query, _ := strings.Cut(target, "?")
	if c.method == http.MethodPost {
		query = string(c.body)
	}
	f, err := url.ParseQuery(query)
	if err != nil {
		return page(400, "Sign in", "<p>AADSTS900144: The request is not well formed.</p>")
	}
	show := func(w *wrong) answer {
		return page(w.status, "Sign in", "<p>AADSTS"+itoa(w.number)+": "+html.EscapeString(w.text)+"</p>")
	}
	if !t.names(tenant) {
		return show(&wrong{400, "invalid_request", 90002, "Tenant '" + tenant + "' not found."})
	}
	t.mu.RLock()
	app, sp, wrongApp := t.publicApp(f.Get("client_id"))
	t.mu.RUnlock()
	if wrongApp != nil {
		return show(wrongApp)
	}
	redirect := f.Get("redirect_uri")
	if !registered(app, redirect) {
		return show(&wrong{400, "invalid_request", 50011, "The redirect URI '" + redirect + "' specified in the request does not match the redirect URIs configured for the application '" + f.Get("client_id") + "'."})
	}
	back := func(v url.Values) answer {
		if s := f.Get("state"); s != "" {
			v.Set("state", s)
		}
		if f.Get("response_mode") == "form_post" {
			return page(200, "Working...", form(redirect, v, `<input type="submit" value="Continue">`)+"<script>document.forms[0].submit()</script>")
		}
		sep := "?"
		if strings.Contains(redirect, "?") {
			sep = "&"
		}
		a := answer{status: http.StatusFound}
		a.set("Location", redirect+sep+v.Encode())
		return a
	}
	refused := func(code string, number int, text string) answer {
		return back(url.Values{"error": {code}, "error_description": {"AADSTS" + itoa(number) + ": " + text}})
	}
	if m := f.Get("response_mode"); m != "" && m != "query" && m != "form_post" {
		return refused("invalid_request", 70007, "'"+m+"' is not a supported value of 'response_mode' when requesting a code.")
	}
	if r := f.Get("response_type"); r != "code" {
		return refused("unsupported_response_type", 700054, "response_type '"+r+"' is not enabled for the application.")
	}
	asked, w := t.asksPerson(f.Get("scope"))
	if w != nil {
		return refused(w.code, w.number, w.text)
	}
	challenge := f.Get("code_challenge")
	switch m := f.Get("code_challenge_method"); {
	case challenge == "":
	case m != "S256" && m != "plain" && m != "":
		return refused("invalid_request", 501491, "Invalid size or method of Code_Challenge parameter.")
	case m != "S256":
		sum := sha256.Sum256([]byte(challenge))
		challenge = base64.RawURLEncoding.EncodeToString(sum[:])
	case len(challenge) != 43: // a SHA-256 in base64url
		return refused("invalid_request", 501491, "Invalid size or method of Code_Challenge parameter.")
	}
	if f.Get("cancel") != "" {
		return refused("access_denied", 65004, "User declined to consent to access the app.")
	}
	ask := func(status int, text string) answer {
		hidden := url.Values{}
		for name := range f {
			if name != "username" {
				hidden.Set(name, f.Get(name))
			}
		}
		return page(status, "Sign in to "+html.EscapeString(app.name()), text+form(path, hidden,
			`<label>User principal name <input name="username" autofocus value="`+html.EscapeString(f.Get("login_hint"))+`"></label> <input type="submit" value="Sign in"> <input type="submit" name="cancel" value="Cancel">`))
	}
	name := f.Get("username")
	if c.method != http.MethodPost || name == "" {
		return ask(200, "")
	}
	t.mu.RLock()
	user, w := t.signsIn(name)
	var lacks []string
	if w == nil {
		lacks = t.lacks(sp, user.id, asked)
	}
	t.mu.RUnlock()
	if w != nil {
		return ask(200, "<p>AADSTS"+itoa(w.number)+": "+html.EscapeString(w.text)+"</p>")
	}
	if len(lacks) > 0 && f.Get("accept") == "" {
		hidden := maps.Clone(f)
		hidden.Set("accept", "true")
		return page(200, "Permissions requested", "<p>"+html.EscapeString(app.name())+" asks for: "+html.EscapeString(strings.Join(lacks, ", "))+"</p>"+
			form(path, hidden, `<input type="submit" value="Accept"> <input type="submit" name="cancel" value="Cancel">`))
	}
	if len(lacks) > 0 {
		if w := t.consents(app, user, lacks); w != nil {
			return refused(w.code, w.number, w.text)
		}
	}
	code := t.requestID()
	t.signIns.mu.Lock()
	defer t.signIns.mu.Unlock()
	put(&t.signIns.codes, code, &signIn{app: f.Get("client_id"), scope: f.Get("scope"), user: user.id, redirect: redirect, challenge: challenge, until: t.Now().Add(codeLife)})
	return back(url.Values{"code": {code}})
}

func put(m *map[string]*signIn, code string, s *signIn) {
	if *m == nil {
		*m = map[string]*signIn{}
	}
	(*m)[code] = s
}

// signsIn finds who signs in by a name; the caller holds mu.
func (t *Tenant) signsIn(name string) (*object, *wrong) {
	o := t.byUPN(name)
	switch {
	case !o.live():
		return nil, &wrong{400, "invalid_grant", 50034, "The user account " + name + " does not exist in the directory."}
	case o.p["accountEnabled"] == false:
		return nil, &wrong{400, "invalid_grant", 50057, "The user account is disabled."}
	}
	return o, nil
}

// deviceCode begins a sign-in that ends on another machine.
func (t *Tenant) deviceCode(c *call, tenant string) answer {
	f, err := url.ParseQuery(string(c.body))
	if err != nil || !t.names(tenant) {
		return loginError(t, 400, "invalid_request", 90002, "Tenant '"+tenant+"' not found.")
	}
	t.mu.RLock()
	app, _, w := t.publicApp(f.Get("client_id"))
	t.mu.RUnlock()
	if w != nil {
		return w.answer(t)
	}
	if _, w := t.asksPerson(f.Get("scope")); w != nil {
		return w.answer(t)
	}
	if !flag(app.p["isFallbackPublicClient"]) {
		return loginError(t, 401, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	}
	code := t.requestID()
	typed := strings.ToUpper(strings.ReplaceAll(code, "-", "")[:9])
	t.signIns.mu.Lock()
	put(&t.signIns.devices, code, &signIn{app: f.Get("client_id"), scope: f.Get("scope"), typed: typed, until: t.Now().Add(deviceLife)})
	t.signIns.mu.Unlock()
	at := t.URL() + devicePage
	return jsonAnswer(200, map[string]any{"device_code": code, "user_code": typed, "verification_uri": at, "expires_in": int(deviceLife / time.Second), "interval": 5,
		"message": "To sign in, use a web browser to open the page " + at + " and enter the code " + typed + " to authenticate."})
}

// enterCode is the page on which people type a device's code.
func (t *Tenant) enterCode(c *call) answer {
	f, err := url.ParseQuery(string(c.body))
	if c.method != http.MethodPost || err != nil {
		return page(200, "Enter code", form(devicePage, nil, `<label>Code <input name="otc" autofocus></label> <label>User principal name <input name="username"></label> <input type="submit" value="Next">`))
	}
	t.mu.RLock()
	user, w := t.signsIn(f.Get("username"))
	now := t.clock()
	t.mu.RUnlock()
	if w != nil {
		return page(400, "Enter code", "<p>AADSTS"+itoa(w.number)+": "+html.EscapeString(w.text)+"</p>")
	}
	t.signIns.mu.Lock()
	defer t.signIns.mu.Unlock()
	for _, s := range t.signIns.devices {
		if s.typed != strings.ToUpper(f.Get("otc")) || s.user != "" || !now.Before(s.until) {
			continue
		}
		asked, w := t.asksPerson(s.scope)
		var app, sp *object
		if w == nil {
			t.mu.RLock()
			app, sp, w = t.publicApp(s.app)
			lacks := []string{}
			if w == nil {
				lacks = t.lacks(sp, user.id, asked)
			}
			t.mu.RUnlock()
			if len(lacks) > 0 && f.Get("accept") == "" {
				hidden := maps.Clone(f)
				hidden.Set("accept", "true")
				return page(200, "Permissions requested", "<p>"+html.EscapeString(app.name())+" asks for: "+html.EscapeString(strings.Join(lacks, ", "))+"</p>"+form(devicePage, hidden, `<input type="submit" value="Accept">`))
			}
			if len(lacks) > 0 {
				w = t.consents(app, user, lacks)
			}
		}
		if w != nil {
			return page(400, "Enter code", "<p>AADSTS"+itoa(w.number)+": "+html.EscapeString(w.text)+"</p>")
		}
		s.user = user.id
		return page(200, "You have signed in", "<p>You may now close this window.</p>")
	}
	return page(400, "Enter code", "<p>That code didn't work. Check the code and try again.</p>")
}

// personToken gives a person's tokens for an authorization code, a device code
// or a refresh token.
func (t *Tenant) personToken(f url.Values) answer {
	if f.Get("client_secret") != "" || f.Get("client_assertion") != "" {
		return loginError(t, 401, "invalid_client", 700025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.")
	}
	s, w := t.redeem(f)
	if w != nil {
		return w.answer(t)
	}
	t.mu.RLock()
	app, sp, w := t.publicApp(s.app)
	user := t.liveOf(s.user, kUser)
	now := t.clock()
	var scopes []string
	if w == nil && sp != nil {
		scopes = t.scopesOf(sp, s.user)
	}
	t.mu.RUnlock()
	switch {
	case w != nil:
		return w.answer(t)
	case user == nil:
		return loginError(t, 400, "invalid_grant", 50034, "The user account does not exist in the directory.")
	case user.p["accountEnabled"] == false:
		return loginError(t, 400, "invalid_grant", 50057, "The user account is disabled.")
	case len(scopes) == 0:
		return loginError(t, 400, "invalid_grant", 65001, "The user or administrator has not consented to use the application with ID '"+s.app+"' named '"+app.name()+"'. Send an interactive authorization request for this user and resource.")
	}
	upn, name := text(user.p["userPrincipalName"]), user.name()
	id, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"aud": s.app, "iss": t.URL() + "/" + t.id + "/v2.0", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"oid": user.id, "sub": user.id, "tid": t.id, "name": name, "preferred_username": upn, "ver": "2.0"}).SignedString(t.keys.issuer)
	client, wrongClient := json.Marshal(map[string]string{"uid": user.id, "utid": t.id})
	if err != nil || wrongClient != nil {
		return loginError(t, 500, "server_error", 90033, "A transient error has occurred. Please try again.")
	}
	refresh := t.requestID()
	t.signIns.mu.Lock()
	put(&t.signIns.refresh, refresh, &signIn{app: s.app, scope: s.scope, user: s.user})
	t.signIns.mu.Unlock()
	return t.issue(claims{App: s.app, OID: user.id, UPN: upn, Name: name, Scopes: strings.Join(scopes, " "), Able: able(f.Get("claims"))},
		map[string]any{"scope": strings.Join(append(scopes, strings.Fields(s.scope)...), " "), "id_token": id, "refresh_token": refresh, "client_info": base64.RawURLEncoding.EncodeToString(client)})
}

// redeem takes a code or a refresh token and says who signed in with it. A
// code is good once.
func (t *Tenant) redeem(f url.Values) (*signIn, *wrong) {
	now := t.Now()
	t.signIns.mu.Lock()
	defer t.signIns.mu.Unlock()
	var s *signIn
	switch f.Get("grant_type") {
	case "refresh_token":
		if s = t.signIns.refresh[f.Get("refresh_token")]; s == nil || s.app != f.Get("client_id") {
			return nil, &wrong{400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid."}
		}
		return s, nil
	case deviceGrant, shortDeviceGrant:
		s = t.signIns.devices[f.Get("device_code")]
		switch {
		case s == nil || s.app != f.Get("client_id"):
			return nil, &wrong{400, "bad_verification_code", 70018, "Invalid verification code."}
		case !now.Before(s.until):
			return nil, &wrong{400, "expired_token", 70020, "The provided value for the input parameter 'device_code' is not valid. This device code has expired."}
		case s.user == "":
			return nil, &wrong{400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling."}
		}
	default:
		s = t.signIns.codes[f.Get("code")]
		switch {
		case s == nil || s.app != f.Get("client_id"):
			return nil, &wrong{400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid."}
		case !now.Before(s.until):
			return nil, &wrong{400, "invalid_grant", 70008, "The provided authorization code has expired."}
		case s.redirect != f.Get("redirect_uri"):
			return nil, &wrong{400, "invalid_grant", 500112, "The reply address does not match the reply address provided when requesting the authorization code."}
		}
		if s.challenge != "" {
			sum := sha256.Sum256([]byte(f.Get("code_verifier")))
			if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(s.challenge)) == 0 {
				return nil, &wrong{400, "invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request."}
			}
		}
	}
	if s.spent {
		return nil, &wrong{400, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."}
	}
	s.spent = true
	return s, nil
}

// scopesOf lists the delegated permissions on Microsoft Graph to which the
// user, or an administrator for all, has consented; the caller holds mu.
func (t *Tenant) scopesOf(sp *object, user string) []string {
	var out []string
	for _, g := range t.joined(kConsent, "clientId", sp.id) {
		if t.shown(g) && text(g.p["resourceId"]) == t.graphSP && (g.p["consentType"] == "AllPrincipals" || g.p["principalId"] == user) {
			for s := range strings.FieldsSeq(text(g.p["scope"])) {
				if !t.denied[s] {
					out = append(out, s)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// authenticatePerson makes a call that of a person. An application does for a
// person what both may: of the roles that allow people to write, only that of
// Global Administrators is modelled. The caller holds mu.
func (c *call) authenticatePerson(got claims) *refusal {
	u := c.t.liveOf(got.OID, kUser)
	if u == nil || u.p["accountEnabled"] == false {
		return &refusal{status: 401, code: "InvalidAuthenticationToken", message: "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: UserNotFoundOrDisabled."}
	}
	c.actor = Actor{t: c.t, kind: "user", id: u.id, who: text(u.p["userPrincipalName"])}
	if !c.t.administers(u) {
		for p := range c.roles {
			if !strings.Contains(p, ".Read.") {
				delete(c.roles, p)
			}
		}
	}
	return nil
}

// administers tells whether somebody is a Global Administrator, by themselves
// or as a member of a group.
func (t *Tenant) administers(u *object) bool {
	for _, o := range append(t.sources(rMembers, u.id), u) {
		for _, a := range t.joined(kRoleAssignment, "principalId", o.id) {
			if o.live() && a.live() && a.p["roleDefinitionId"] == roleGlobalAdmin && a.p["directoryScopeId"] == "/" {
				return true
			}
		}
	}
	return false
}
