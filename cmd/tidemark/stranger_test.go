package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A stranger is a service that speaks the protocol in its own way: HTTP/1.1 only and uncompressed, names of headers
// in small letters, tokens that say nothing, pages of two, deltas that tell a manager without an array, some
// functions missing, and no beta. It shares nothing with the emulator. What it does not know it refuses.
type stranger struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	tokens  map[string]bool
	users   []map[string]any // in order
	groups  []map[string]any
	members map[string][]string
	manager map[string]string
	tenant  string
	begun   map[string]bool // what happens only once
	wrote   []string
	asked   int // requests of the service
	revoked bool
	issued  int
}

const strangerClaims = `{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}`

const strangerTenant = "77777777-0000-4000-8000-000000000001"

func newStranger(t *testing.T) *stranger {
	s := &stranger{t: t, tokens: map[string]bool{}, members: map[string][]string{}, manager: map[string]string{}, begun: map[string]bool{}, tenant: strangerTenant}
	for i := range 7 {
		s.users = append(s.users, map[string]any{"id": fmt.Sprintf("u-%d", i), "displayName": fmt.Sprintf("User %d", i), "mailNickname": fmt.Sprintf("u%d", i),
			"userPrincipalName": fmt.Sprintf("u%d@stranger.example", i), "accountEnabled": true, "department": "Sales"})
	}
	for i := range 3 {
		s.groups = append(s.groups, map[string]any{"id": fmt.Sprintf("g-%d", i), "displayName": fmt.Sprintf("Group %d", i), "mailNickname": fmt.Sprintf("g%d", i), "mailEnabled": false, "securityEnabled": true, "groupTypes": []any{}})
	}
	s.members["g-0"] = []string{"u-0", "u-1", "u-2", "u-3", "u-4"}
	s.members["g-1"] = []string{"u-5"}
	s.manager["u-1"], s.manager["u-2"] = "u-0", "u-0"
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.StartTLS() // its own protocol negotiation offers nothing but HTTP/1.1
	t.Cleanup(s.Close)
	return s
}

type strangerAnswer struct {
	status int
	body   any
	header map[string]string
}

func (s *stranger) refuse(status int, code, message string) strangerAnswer {
	return strangerAnswer{status: status, body: map[string]any{"error": map[string]any{"code": code, "message": message, "innererror": map[string]any{"date": "2026-01-01T00:00:00"}}}}
}

func (s *stranger) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	var a strangerAnswer
	switch {
	case r.ProtoMajor != 1:
		a = s.refuse(505, "odd", "HTTP/1.1 only.")
	case !strings.HasPrefix(r.URL.Path, "/v1.0/") && !strings.HasPrefix(r.URL.Path, "/beta/"):
		a = s.token(r, body.Bytes())
	case !s.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]:
		a = s.refuse(401, "InvalidAuthenticationToken", "Access token is empty.")
		if s.revoked {
			a.header = map[string]string{"www-authenticate": `Bearer claims="` + base64.StdEncoding.EncodeToString([]byte(strangerClaims)) + `", realm="", error="insufficient_claims"`}
		}
	case strings.HasPrefix(r.URL.Path, "/beta/"):
		if !slices.ContainsFunc(slices.Collect(catalog.All()), func(c *catalog.Resource) bool { return c.Version == "beta" && "/beta"+c.List == r.URL.Path }) {
			s.t.Errorf("%s %s: beta is asked for", r.Method, r.URL)
		}
		a = s.refuse(403, "AccessDenied", "There is no beta.")
	default:
		if s.asked++; s.asked == 10 {
			clear(s.tokens) // from now on: what is under way still ends
			s.revoked = true
		}
		a = s.graph(r.Method, strings.TrimPrefix(r.URL.EscapedPath(), "/v1.0"), r.URL.RawQuery, r.Header.Get("Content-Type"), body.Bytes())
	}
	text, err := json.Marshal(a.body)
	if err != nil {
		s.t.Error(err)
	}
	h := w.Header()
	h["request-id"] = []string{"r1"}
	h["content-type"] = []string{"application/json; charset=UTF-8"}
	for name, value := range a.header {
		h[name] = []string{value}
	}
	if a.body == nil {
		delete(h, "content-type")
		w.WriteHeader(a.status)
		return
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(text) // a client that is gone has its own error
}

func (s *stranger) token(r *http.Request, body []byte) strangerAnswer {
	f, err := url.ParseQuery(string(body))
	if r.Method != "POST" || r.URL.Path != "/"+s.tenant+"/oauth2/v2.0/token" || err != nil {
		s.t.Errorf("%s %s is asked of the authority", r.Method, r.URL)
		return s.refuse(404, "not_found", "")
	}
	if f.Get("grant_type") != "client_credentials" || f.Get("client_secret") != "s3cret & more" || !slices.Contains(strings.Fields(f.Get("scope")), s.URL+"/.default") {
		return strangerAnswer{status: 401, body: map[string]any{"error": "invalid_client", "error_codes": []int{7000215}, "error_description": "AADSTS7000215"}}
	}
	if s.revoked && !s.begun["challenge"] {
		if !strings.Contains(f.Get("claims"), `"1604106651"`) || !strings.Contains(strings.ToLower(f.Get("claims")), `"cp1"`) {
			s.t.Errorf("the challenge was not answered: claims %s", f.Get("claims"))
		}
		s.begun["challenge"] = true
	}
	s.issued++
	token := fmt.Sprintf("opaque-%d", s.issued)
	s.tokens[token] = true
	return strangerAnswer{status: 200, body: map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": token}}
}

// graph answers one request, from the wire or from a batch.
func (s *stranger) graph(method, path, query, kind string, body []byte) strangerAnswer {
	q, err := url.ParseQuery(query)
	if err != nil {
		return s.refuse(400, "BadRequest", "The query is malformed.")
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	allowed := []string{"$select", "$top", "$filter", "after"}
	for name := range q {
		if !slices.Contains(allowed, name) {
			return s.refuse(400, "BadRequest", "Query option '"+name+"' is not allowed.")
		}
	}
	if n, err := strconv.Atoi(q.Get("$top")); q.Has("$top") && (err != nil || n < 1 || n > 999) {
		return s.refuse(400, "Request_BadRequest", "Invalid page size specified.")
	}
	var in map[string]any
	if method != "GET" && method != "DELETE" {
		if err := json.Unmarshal(body, &in); err != nil || !strings.HasPrefix(kind, "application/json") {
			return s.refuse(400, "BadRequest", "A JSON object is required.")
		}
		if path != "/$batch" && path != "/directoryObjects/getAvailableExtensionProperties" { // which read
			s.wrote = append(s.wrote, method+" "+path+" "+string(body))
		}
	} else if len(body) > 0 {
		return s.refuse(400, "BadRequest", "A body is not allowed.")
	} else if method == "DELETE" {
		s.wrote = append(s.wrote, method+" "+path)
	}
	switch segments[0] {
	case "$batch":
		return s.batch(in)
	case "organization":
		return s.list(path, q, []map[string]any{{"id": s.tenant, "displayName": "Stranger", "technicalNotificationMails": []any{"a@stranger.example"}}})
	case "domains":
		return s.list(path, q, []map[string]any{{"id": "stranger.example", "isDefault": true, "isVerified": true, "isInitial": true, "supportedServices": []any{"Email"}}})
	case "identity":
		return s.refuse(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "Neither tenant is B2C or tenant doesn't have premium license.")
	case "roleManagement":
		return s.refuse(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	case "auditLogs":
		return s.refuse(400, "", "")
	case "users":
		return s.people(method, segments, path, q, in)
	case "groups":
		return s.teams(method, segments, path, q, in)
	}
	return s.refuse(404, "ResourceNotFound", "There is no "+segments[0]+".")
}

func find(all []map[string]any, id string) map[string]any {
	for _, m := range all {
		if m["id"] == id {
			return m
		}
	}
	return nil
}

// list answers with a page of two. Its link has its own spelling, which must come back as it is.
func (s *stranger) list(path string, q url.Values, all []map[string]any) strangerAnswer {
	from := 0
	if after := q.Get("after"); after != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(after, "N'"))
		if err != nil {
			return s.refuse(400, "BadRequest", "The page is not known.")
		}
		from = n
		if strings.HasSuffix(path, "/members") && !s.begun[path] {
			s.begun[path] = true // once, and only then
			return s.refuse(400, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
		}
	}
	to := min(from+2, len(all))
	page := map[string]any{"value": all[from:to]}
	if len(all) == 0 {
		page["value"] = []any{}
	}
	if to < len(all) {
		page["@odata.nextLink"] = fmt.Sprintf("%s/v1.0%s?after=N%%27%d&%%24select=%s", s.URL, path, to, url.QueryEscape(q.Get("$select")))
	}
	return strangerAnswer{status: 200, body: page}
}

func (s *stranger) ref(in map[string]any) (string, bool) {
	link, _ := in["@odata.id"].(string)
	rest, ok := strings.CutPrefix(link, s.URL+"/v1.0/")
	under, id, cut := strings.Cut(rest, "/")
	return id, ok && cut && len(in) == 1 && (under == "users" || under == "directoryObjects") && find(s.users, id) != nil
}

func (s *stranger) people(method string, segments []string, path string, q url.Values, in map[string]any) strangerAnswer {
	if len(segments) == 1 && method == "GET" {
		return s.list(path, q, s.users)
	}
	if path == "/users/delta" && method == "GET" {
		if q.Has("$top") || q.Get("$select") != "id,manager" {
			return s.refuse(400, "BadRequest", "Not for this function.")
		}
		var items []any
		for _, u := range s.users {
			item := map[string]any{"id": u["id"]}
			if m := s.manager[u["id"].(string)]; m != "" {
				item["manager@delta"] = map[string]any{"@odata.type": "#microsoft.graph.user", "id": m}
			}
			items = append(items, item)
		}
		return strangerAnswer{status: 200, body: map[string]any{"value": items, "@odata.deltaLink": s.URL + "/v1.0/users/delta?since=x"}}
	}
	if len(segments) < 2 || find(s.users, segments[1]) == nil {
		return s.refuse(404, "Request_ResourceNotFound", "Resource does not exist.")
	}
	u := find(s.users, segments[1])
	switch at := strings.Join(segments[2:], "/"); {
	case at == "" && method == "GET":
		return strangerAnswer{status: 200, body: u}
	case at == "" && method == "PATCH":
		maps.Copy(u, in)
		return strangerAnswer{status: 204}
	case at == "sponsors" && method == "GET":
		return s.list(path, q, nil)
	case at == "manager" && method == "GET" && s.manager[segments[1]] != "":
		return strangerAnswer{status: 200, body: map[string]any{"@odata.type": "#microsoft.graph.user", "id": s.manager[segments[1]]}}
	case at == "manager/$ref" && method == "PUT":
		id, ok := s.ref(in)
		if !ok {
			return s.refuse(400, "Request_BadRequest", "Not a reference of mine.")
		}
		s.manager[segments[1]] = id
		return strangerAnswer{status: 204}
	}
	return s.refuse(404, "Request_ResourceNotFound", "Resource does not exist.")
}

func (s *stranger) teams(method string, segments []string, path string, q url.Values, in map[string]any) strangerAnswer {
	if len(segments) == 1 && method == "GET" {
		return s.list(path, q, s.groups)
	}
	if path == "/groups/delta" {
		return s.refuse(501, "NotImplemented", "There is no such function.")
	}
	if len(segments) < 2 || find(s.groups, segments[1]) == nil {
		return s.refuse(404, "Request_ResourceNotFound", "Resource does not exist.")
	}
	id := segments[1]
	switch at := strings.Join(segments[2:], "/"); {
	case at == "" && method == "GET":
		return strangerAnswer{status: 200, body: find(s.groups, id)}
	case at == "" && method == "PATCH":
		bound, ok := in["members@odata.bind"].([]any)
		if !ok || len(in) != 1 || len(bound) > 20 {
			return s.refuse(400, "Request_BadRequest", "Only members can be bound.")
		}
		for _, b := range bound {
			m, ok := s.ref(map[string]any{"@odata.id": b})
			if !ok || slices.Contains(s.members[id], m) {
				return s.refuse(400, "Request_BadRequest", "One or more added object references already exist for the following modified properties: 'members'.")
			}
			s.members[id] = append(s.members[id], m)
		}
		return strangerAnswer{status: 204}
	case at == "owners" && method == "GET":
		return s.list(path, q, nil)
	case at == "members" && method == "GET":
		var items []map[string]any
		for _, m := range s.members[id] {
			items = append(items, map[string]any{"@odata.type": "#microsoft.graph.user", "id": m})
		}
		return s.list(path, q, items)
	case at == "members/$ref" && method == "POST":
		m, ok := s.ref(in)
		if !ok || slices.Contains(s.members[id], m) {
			return s.refuse(400, "Request_BadRequest", "One or more added object references already exist for the following modified properties: 'members'.")
		}
		s.members[id] = append(s.members[id], m)
		return strangerAnswer{status: 204}
	}
	return s.refuse(404, "Request_ResourceNotFound", "Resource does not exist.")
}

// batch answers in the opposite order, and throttles one item of the first batch for a fraction of a second.
func (s *stranger) batch(in map[string]any) strangerAnswer {
	requests, _ := in["requests"].([]any)
	if len(requests) == 0 || len(requests) > 20 {
		return s.refuse(400, "BadRequest", "From 1 to 20 requests.")
	}
	ids, responses := map[string]bool{}, []any{}
	for _, r := range slices.Backward(requests) {
		r, _ := r.(map[string]any)
		id, _ := r["id"].(string)
		method, _ := r["method"].(string)
		at, _ := r["url"].(string)
		headers, _ := r["headers"].(map[string]any)
		if id == "" || ids[strings.ToLower(id)] || !strings.HasPrefix(at, "/") || strings.HasPrefix(at, "/v1.0") {
			return s.refuse(400, "BadRequest", "A request of the batch is malformed.")
		}
		ids[strings.ToLower(id)] = true
		path, query, _ := strings.Cut(at, "?")
		var body []byte
		kind := ""
		if b, ok := r["body"]; ok {
			body, _ = json.Marshal(b)
			kind, _ = headers["Content-Type"].(string)
		}
		var a strangerAnswer
		if !s.begun["batch"] {
			s.begun["batch"] = true
			a = s.refuse(429, "UnknownError", "")
			a.header = map[string]string{"retry-after": "0.2"}
		} else {
			a = s.graph(method, path, query, kind, body)
		}
		answer := map[string]any{"id": id, "status": a.status, "headers": a.header}
		if a.body != nil {
			answer["body"] = a.body
		}
		responses = append(responses, answer)
	}
	return strangerAnswer{status: 200, body: map[string]any{"responses": responses}}
}

// The program knows the protocol and not the emulator: another service, pointed at by the configuration alone, is
// captured with the right words for what it lacks, and restored.
func TestAnotherServiceThatSpeaksTheProtocol(t *testing.T) {
	s := newStranger(t)
	dir := t.TempDir()
	b := &bench{t: t, dir: dir, env: append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+filepath.Join(dir, "state"), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"),
		"TIDEMARK_CONFIG="+filepath.Join(dir, "tidemark.yaml"), "STRANGER_SECRET=s3cret & more")}
	config := fmt.Sprintf(`tenants:
  - name: stranger
    id: %[1]s
    cloud: custom
    graph: %[2]s
    authority: %[2]s
    ca: file:%[3]s/ca.pem
    repository: file://%[3]s/repository
    keys:
      identity: file:%[3]s/identity.txt
      single_key: true
    capture: {client_id: 11111111-1111-4111-8111-111111111111, client_secret: "env:STRANGER_SECRET", allow_client_secret: true}
    restore: {client_id: 22222222-2222-4222-8222-222222222222, client_secret: "env:STRANGER_SECRET", allow_client_secret: true}
`, strangerTenant, s.URL, dir)
	for name, data := range map[string][]byte{"tidemark.yaml": []byte(config), "ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.run(0, "init")
	var taken captureDoc
	if err := json.Unmarshal(b.run(3, "capture", "-o", "json"), &taken); err != nil {
		t.Fatal(err)
	}
	if !s.begun["challenge"] || !s.begun["batch"] || !s.begun["/groups/g-0/members"] {
		t.Errorf("of the trouble only %v came", s.begun)
	}
	if len(s.wrote) > 0 {
		t.Errorf("a capture wrote %v", s.wrote)
	}
	want := map[string]partDoc{
		"user":                    {Coverage: snapshot.Complete, Objects: 7, Links: 2},
		"group":                   {Coverage: snapshot.Complete, Objects: 3, Links: 6},
		"organization":            {Coverage: snapshot.Complete, Objects: 1},
		"domain":                  {Coverage: snapshot.Complete, Objects: 1},
		"application":             {Coverage: snapshot.Unsupported},
		"subscribedSku":           {Coverage: snapshot.Unsupported},
		"deletedUser":             {Coverage: snapshot.Unsupported},
		"conditionalAccessPolicy": {Coverage: snapshot.Unlicensed},
		"namedLocation":           {Coverage: snapshot.Unlicensed},
		"deletedNamedLocation":    {Coverage: snapshot.Unlicensed},
		"unifiedRoleAssignment":   {Coverage: snapshot.Denied},
		"directoryAudit":          {Coverage: snapshot.Failed},
	}
	for _, p := range taken.Parts {
		w, ok := want[string(p.Type)]
		if !ok {
			continue
		}
		delete(want, string(p.Type))
		if p.Coverage != w.Coverage || p.Objects != w.Objects || p.Links != w.Links {
			t.Errorf("%s: %s, %d objects, %d links (%s), want %s, %d, %d", p.Type, p.Coverage, p.Objects, p.Links, p.Reason, w.Coverage, w.Objects, w.Links)
		}
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
	s.mu.Lock()
	s.members["g-0"] = []string{"u-0", "u-4"}
	s.manager["u-2"] = "u-3"
	find(s.users, "u-6")["department"] = "Nobody"
	s.mu.Unlock()
	b.run(0, "restore", "--to", "1", "--only", "user,group", "--yes", "any", "-o", "json")
	for _, w := range s.wrote { // what it was asked to change
		t.Log(w)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.members["g-0"])
	if got := fmt.Sprintf("%v %s %v", s.members["g-0"], s.manager["u-2"], find(s.users, "u-6")["department"]); got != "[u-0 u-1 u-2 u-3 u-4] u-0 Sales" {
		t.Errorf("restored: %s", got)
	}
	if len(s.wrote) > 5 {
		t.Errorf("%d writes", len(s.wrote))
	}
}
