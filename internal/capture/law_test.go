package capture_test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A trouble is what a service, a proxy or a network can give instead of an answer, and what a part is called that
// met it on its first page.
type trouble struct {
	name string
	emulator.Fault
	wire carrier           // in the place of the Fault, or nil; what a batch suffers, all in it does
	word snapshot.Coverage // Complete where the client outlasts it
}

// A carrier stands between the client and the service.
type carrier func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error)

func (t trouble) expired() bool { return strings.HasPrefix(t.name, "expired") }

// troubles last for ever, but for those that say how often.
func troubles() []trouble {
	throttled := func(name, after string) trouble {
		return trouble{name, emulator.Fault{Status: 429, RetryAfter: after, Times: 3}, nil, snapshot.Complete}
	}
	return []trouble{
		{"400", emulator.Fault{Status: 400}, nil, snapshot.Failed},
		{"expired", emulator.Fault{Status: 400, Body: `{"error":{"code":"Directory_ExpiredPageToken","message":"The specified page token value has expired."}}`}, nil, snapshot.Failed},
		{"expired once", emulator.Fault{Status: 400, Times: 1, Body: `{"error":{"code":"Directory_ExpiredPageToken","message":"The specified page token value has expired."}}`}, nil, snapshot.Complete},
		{"401", emulator.Fault{Status: 401}, nil, snapshot.Denied},
		{"403", emulator.Fault{Status: 403}, nil, snapshot.Denied},
		{"no licence", emulator.Fault{Status: 403, Body: `{"error":{"code":"Authentication_RequestFromNonPremiumTenantOrB2CTenant","message":"Neither tenant is B2C or tenant doesn't have premium license"}}`}, nil, snapshot.Unlicensed},
		{"token expired", emulator.Fault{Status: 401, Times: 1}, nil, snapshot.Complete},
		{"404", emulator.Fault{Status: 404}, nil, snapshot.Failed},
		{"409", emulator.Fault{Status: 409}, nil, snapshot.Failed},
		{"410", emulator.Fault{Status: 410}, nil, snapshot.Failed},
		{"412", emulator.Fault{Status: 412}, nil, snapshot.Failed},
		{"423", emulator.Fault{Status: 423}, nil, snapshot.Failed},
		{"429 for ever", emulator.Fault{Status: 429}, nil, snapshot.Failed},
		throttled("429 in seconds", "2"),
		throttled("429 in decimals", "0.249"),
		throttled("429 absurd", "99999999999999999999"),
		throttled("429 negative", "-5"),
		throttled("429 empty", ""),
		throttled("429 until a date", "Wed, 21 Oct 2026 07:28:00 GMT"),
		throttled("429 in words", "soon"),
		{"500", emulator.Fault{Status: 500}, nil, snapshot.Failed},
		{"500 twice", emulator.Fault{Status: 500, Times: 2}, nil, snapshot.Complete},
		{"501", emulator.Fault{Status: 501}, nil, snapshot.Failed},
		{"502", emulator.Fault{Status: 502, Body: "<html>", ContentType: "text/html"}, nil, snapshot.Failed},
		{"503", emulator.Fault{Status: 503}, nil, snapshot.Failed},
		{"504", emulator.Fault{Status: 504}, nil, snapshot.Failed},
		{"504 once", emulator.Fault{Status: 504, Times: 1}, nil, snapshot.Complete},
		{"reset", emulator.Fault{Reset: true}, nil, snapshot.Failed},
		{"reset twice", emulator.Fault{Reset: true, Times: 2}, nil, snapshot.Complete},
		{"half a page", emulator.Fault{Status: 200, Body: `{"value":[{"id":"1","displayNa`}, nil, snapshot.Failed},
		{"a page of a portal", emulator.Fault{Status: 200, Body: `<html>sign in</html>`, ContentType: "text/html"}, nil, snapshot.Failed},
		{"a page of a portal as JSON", emulator.Fault{Status: 200, Body: `<html>sign in</html>`}, nil, snapshot.Failed},
		{"an error as success", emulator.Fault{Status: 200, Body: `{"error":{"code":"UnknownError","message":"broken"}}`}, nil, snapshot.Failed},
		{"no value", emulator.Fault{Status: 200, Body: `{"@odata.context":"x"}`}, nil, snapshot.Failed},
		{"value is null", emulator.Fault{Status: 200, Body: `{"value":null}`}, nil, snapshot.Failed},
		{"value is an object", emulator.Fault{Status: 200, Body: `{"value":{"id":"1"}}`}, nil, snapshot.Failed},
		{"no id", emulator.Fault{Status: 200, Body: `{"value":[{"displayName":"no id"}]}`}, nil, snapshot.Failed},
		{"two ids", emulator.Fault{Status: 200, Body: `{"value":[{"id":"1","id":"2"}]}`}, nil, snapshot.Failed},
		{"nothing", emulator.Fault{Status: 200, Body: " "}, nil, snapshot.Failed},
		{"timeout", emulator.Fault{}, silence, snapshot.Failed},
		{"timeout once", emulator.Fault{Times: 1}, silence, snapshot.Complete},
		{"slow drip", emulator.Fault{}, drip, snapshot.Failed},
		{"reset within", emulator.Fault{}, within, snapshot.Failed},
		{"reset within twice", emulator.Fault{Times: 2}, within, snapshot.Complete},
		{"no such host", emulator.Fault{}, broken(noHost), snapshot.Failed},
		{"no such host twice", emulator.Fault{Times: 2}, broken(noHost), snapshot.Complete},
		{"refused connection", emulator.Fault{}, broken(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}), snapshot.Failed},
		{"false certificate", emulator.Fault{}, broken(&tls.CertificateVerificationError{Err: errors.New("signed by unknown authority")}), snapshot.Failed},
		{"TLS alert", emulator.Fault{}, broken(&net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}), snapshot.Failed},
		{"GOAWAY", emulator.Fault{}, broken(errGoAway), snapshot.Failed},
		{"GOAWAY twice", emulator.Fault{Times: 2}, broken(errGoAway), snapshot.Complete},
		{"a list of texts", emulator.Fault{Status: 200, Body: `{"value":["1"]}`}, nil, snapshot.Failed},
	}
}

var (
	noHost    = &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "graph.example", IsNotFound: true}}
	errGoAway = errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=\"\"")
)

// broken gives an error in the place of an answer.
func broken(err error) carrier {
	return func(*http.Request, func() (*http.Response, error)) (*http.Response, error) { return nil, err }
}

// silence never answers.
func silence(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// within breaks the connection in the middle of an answer.
func within(_ *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
	return through(pass, func(body []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(body[:len(body)/2]), readerFunc(func([]byte) (int, error) { return 0, syscall.ECONNRESET }))
	})
}

// drip gives one byte every ten seconds.
func drip(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
	return through(pass, func(body []byte) io.Reader {
		return readerFunc(func(p []byte) (int, error) {
			select {
			case <-r.Context().Done():
				return 0, r.Context().Err()
			case <-time.After(10 * time.Second):
			}
			if len(body) == 0 {
				return 0, io.EOF
			}
			n := copy(p[:1], body)
			body = body[n:]
			return n, nil
		})
	})
}

// through passes a request on and gives the body of its answer another shape.
func through(pass func() (*http.Response, error), shape func(body []byte) io.Reader) (*http.Response, error) {
	answer, err := pass()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(shape(body))
	return answer, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A target is one part and the requests that read it.
type target struct {
	kind   entra.Type
	rel    string
	match  []string          // after the method
	each   bool              // one list for each of many objects
	single bool              // one at the most: what is not found is simply not there
	one    bool              // no list at all
	pages  int               // in a capture without faults
	log    *catalog.Resource // what it is, if it is a log, of which each reading is of another length

	given trouble
	asked []string // addresses, as the wire meets them
	met   int
}

// reads tells how many of the requests that go to some addresses are for the part.
func (x *target) reads(addresses []string) (n int) {
	for _, a := range addresses {
		a = strings.TrimPrefix(strings.TrimPrefix(a, "/v1.0"), "/beta")
		if slices.ContainsFunc(x.match, func(m string) bool { return pattern(m).MatchString(a) }) {
			n++
		}
	}
	return n
}

// hit tells whether it is the turn of the part's trouble to befall a request.
func (x *target) hit(addresses []string) bool {
	n := x.reads(addresses)
	if n == 0 {
		return false
	}
	if x.each {
		if x.given.After -= n; x.given.After >= 0 {
			return false
		}
	} else {
		if !slices.Contains(x.asked, addresses[0]) {
			x.asked = append(x.asked, addresses[0])
		}
		if slices.Index(x.asked, addresses[0])+1 != x.given.Page {
			return false
		}
	}
	x.met++
	return x.given.Times < 0 || x.met <= x.given.Times
}

var patterns sync.Map // compiled

func pattern(m string) *regexp.Regexp {
	if re, ok := patterns.Load(m); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(m)
	patterns.Store(m, re)
	return re
}

// addresses are what a request asks for: of a batch, what each of its items does.
func addresses(t testing.TB, r *http.Request) (all []string) {
	if !strings.HasSuffix(r.URL.Path, "/$batch") {
		return []string{r.URL.RequestURI()}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var batch struct {
		Requests []struct {
			URL string `json:"url"`
		} `json:"requests"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		t.Error(err)
	}
	for _, q := range batch.Requests {
		all = append(all, q.URL)
	}
	return all
}

// befall lets those of the parts' troubles that are of the wire come over it.
func befall(t *testing.T, l *lab.Lab, parts []*target) {
	var mu sync.Mutex
	l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		if carry := func() carrier {
			mu.Lock()
			defer mu.Unlock()
			asked := addresses(t, r)
			for _, x := range parts {
				if x.given.wire != nil && x.hit(asked) {
					return x.given.wire
				}
			}
			return nil
		}(); carry != nil {
			return carry(r, pass)
		}
		return pass()
	}
}

// targets are the parts that are read by themselves, or with within those that begin at other objects.
func targets(within bool) []*target {
	var all []*target
	path := func(p string) string {
		return "^" + regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(p), "[^/]+")
	}
	for r := range catalog.All() {
		if r.People {
			continue // nobody signs in
		}
		if (r.Under != "") == within {
			asks := "select=|top=|filter=|skiptoken="
			if r.Inline != "" { // others are listed with what they contain
				asks += "|expand=" + regexp.MustCompile(`^\w+`).FindString(r.Inline)
			}
			match := path(r.List) + `(\?\$(` + asks + `)|$)`
			if r.Under == "" { // another reading of them asks for the ID first
				match = path(r.List) + `(\?\$select=([^i]|i[^d]|id[^,])|\?\$(` + strings.TrimPrefix(asks, "select=|") + `)|$)`
			}
			if words := strings.Split(r.Filter, "'"); len(words) > 3 { // of two that have one list
				match = path(r.List) + `\?.*` + words[len(words)-2]
			}
			all = append(all, &target{kind: r.Type, match: []string{match}, each: within, one: r.One, single: within && r.One})
			if r.Expand != "" {
				in, _ := catalog.Lookup(r.Under)
				x := all[len(all)-1]
				x.match, x.each = append(x.match, path(in.List)+`\?\$expand=`+r.Expand), false
				if r.One {
					x.match = []string{path(in.List) + `\?\$select=id,` + r.Expand}
				}
			}
			all[len(all)-1].single = within && r.One || r.Barren([]byte("{}")) // a refusal says that there is nothing, whatever it is in
			if r.Stream {
				all[len(all)-1].log = r
			}
		}
		for _, rel := range r.Links {
			if !within {
				break
			}
			x := &target{kind: r.Type, rel: rel.Rel, match: []string{path(rel.Path) + `(\?|$)`}, each: rel.Read == catalog.ByList}
			switch rel.Read {
			case catalog.ByDelta:
				x.match = append(x.match, path(r.Delta)+`\?\$(select=id,`+rel.Rel+`$|skiptoken=)`)
			case catalog.ByExpand:
				x.match = append(x.match, path(r.List)+`\?\$expand=`+rel.Rel)
			}
			x.single = !rel.Many
			all = append(all, x)
		}
	}
	return all
}

// state is what a tree holds of a part.
func state(t *testing.T, l *lab.Lab, s *snapshot.Snapshot, p snapshot.Part) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	tree := l.Tree(s)
	if p.Relation == "" {
		for e, err := range tree.Entries(t.Context(), p.Type) {
			if err != nil {
				t.Fatal(err)
			}
			all[e.Ref.String()] = true
		}
		return all
	}
	for link, err := range tree.Links(t.Context(), p.Type, p.Relation) {
		if err != nil {
			t.Fatal(err)
		}
		all[link.String()] = true
	}
	return all
}

// change makes a little of everything happen to the tenant.
func change(t *testing.T, tenant *emulator.Tenant, n int) {
	t.Helper()
	do := doer(t, tenant)
	tenant.Advance(25 * time.Hour) // so that not every reading of the log is of all that happened
	if n%8 == 0 {
		bury(t, tenant, n)
	}
	user := do(201, "POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": fmt.Sprint("New ", n), "mailNickname": fmt.Sprint("new", n),
		"userPrincipalName": fmt.Sprintf("new%d@contoso.example", n), "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})
	group := do(201, "POST", "/v1.0/groups", map[string]any{"displayName": fmt.Sprint("New ", n), "mailNickname": fmt.Sprint("new", n), "mailEnabled": false, "securityEnabled": true})
	do(204, "POST", "/v1.0/groups/"+group+"/members/$ref", map[string]any{"@odata.id": tenant.URL() + "/v1.0/directoryObjects/" + user})
	do(204, "POST", "/v1.0/groups/"+group+"/owners/$ref", map[string]any{"@odata.id": tenant.URL() + "/v1.0/directoryObjects/" + user})
	if old := tenant.Find("groups", fmt.Sprint("New ", n-2)); old != "" {
		do(204, "DELETE", "/v1.0/groups/"+old, nil)
	}
	if old := tenant.Find("users", fmt.Sprintf("new%d@contoso.example", n-2)); old != "" {
		do(204, "DELETE", "/v1.0/users/"+old, nil)
	}
}

// length is how many pages of a log the capture after a snapshot reads.
func length(t *testing.T, l *lab.Lab, r *catalog.Resource, last *snapshot.Snapshot) (pages int) {
	t.Helper()
	call, _ := r.Since(l.Tenant.Now(), last.Part(r.Type, "").Read)
	for _, err := range l.Reader.Pages(t.Context(), graph.Request{Path: call.Path, Query: call.Query}) {
		if err != nil {
			t.Fatal(err)
		}
		pages++
	}
	return pages
}

// doer acts on a tenant and returns the ID of what it made.
func doer(t *testing.T, tenant *emulator.Tenant) func(want int, method, path string, body map[string]any) string {
	return func(want int, method, path string, body map[string]any) string {
		t.Helper()
		status, answer := tenant.Do(method, path, body)
		if status != want {
			t.Fatalf("%s %s: %d %v", method, path, status, answer)
		}
		id, _ := answer["id"].(string)
		return id
	}
}

// bury puts one object of each type that has a recycle bin into it, where it stays for 30 days, and makes what else
// a tenant needs so that every list has three pages.
func bury(t *testing.T, tenant *emulator.Tenant, n int) {
	t.Helper()
	do := doer(t, tenant)
	name := fmt.Sprint("buried", n)
	for path, body := range map[string]map[string]any{
		"/v1.0/users":                         {"accountEnabled": true, "displayName": name, "mailNickname": name, "userPrincipalName": name + "@contoso.example", "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}},
		"/v1.0/groups":                        {"displayName": name, "mailNickname": name, "mailEnabled": true, "securityEnabled": false, "groupTypes": []string{"Unified"}},
		"/v1.0/directory/administrativeUnits": {"displayName": name},
		"/v1.0/identityGovernance/lifecycleWorkflows/workflows": {"displayName": name, "category": "leaver", "executionConditions": map[string]any{"@odata.type": "#microsoft.graph.identityGovernance.onDemandExecutionOnly"},
			"tasks": []any{map[string]any{"taskDefinitionId": "8d18588d-9ad3-4c0f-99d0-ec215f0e3dff", "displayName": "Delete"}}},
		"/v1.0/identity/conditionalAccess/namedLocations": {"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": name, "ipRanges": []any{map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}}},
		"/v1.0/identity/conditionalAccess/policies":       {"displayName": name, "state": "disabled", "conditions": map[string]any{"clientAppTypes": []string{"all"}, "applications": map[string]any{"includeApplications": []string{"None"}}, "users": map[string]any{"includeUsers": []string{"None"}}}, "grantControls": map[string]any{"operator": "OR", "builtInControls": []string{"mfa"}}},
	} {
		do(204, "DELETE", path+"/"+do(201, "POST", path, body), nil)
	}
	const partners = "/v1.0/policies/crossTenantAccessPolicy/partners"
	partner := fmt.Sprintf("55555555-0000-4000-8000-%012d", n+100)
	do(201, "POST", partners, map[string]any{"tenantId": partner})
	do(204, "PUT", partners+"/"+partner+"/identitySynchronization", map[string]any{"displayName": name, "userSyncInbound": map[string]any{"isSyncAllowed": true}})
	do(204, "DELETE", partners+"/"+partner+"/identitySynchronization", nil)
	do(204, "DELETE", partners+"/"+partner, nil)
	status, app := tenant.Do("POST", "/v1.0/applications", map[string]any{"displayName": name})
	if status != 201 {
		t.Fatalf("%d %v", status, app)
	}
	do(201, "POST", "/v1.0/servicePrincipals", map[string]any{"appId": app["appId"]})
	do(204, "DELETE", fmt.Sprint("/v1.0/applications/", app["id"]), nil) // and its service principal
}

// TestAbsenceNeedsAWholeListing is law 12. Every part meets every trouble on its first, a middle and its last page:
// nothing that is there counts as gone, a part that is called complete is, one that is not says why and keeps the
// age of what it keeps, and the next capture is equal to one that begins anew. In one capture each part meets
// another trouble.
func TestAbsenceNeedsAWholeListing(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 18, Groups: 9, Apps: 3, Page: 1, Every: true})
	for i := range 3 {
		bury(t, tenant, -i)
	}
	for i := range 3 { // what only Microsoft 365 groups have
		status, answer := tenant.Do("POST", "/v1.0/groups", map[string]any{"displayName": fmt.Sprint("Unified ", i), "mailNickname": fmt.Sprint("unified", i), "mailEnabled": true, "securityEnabled": false, "groupTypes": []string{"Unified"}})
		if status != 201 {
			t.Fatalf("%d %v", status, answer)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		kinds := troubles()
		changes, rounds, cases, broken := 0, 0, 0, map[string]int{}
		met := map[string]bool{}
		for _, within := range []bool{false, true} {
			changes++
			change(t, tenant, changes)
			tenant.ResetRequests()
			before := l.Full()
			parts := targets(within)
			alone := map[entra.Type]bool{"organization": true, "onPremisesDirectorySynchronization": true, "groupLifecyclePolicy": true, "certificateBasedAuthConfiguration": true, "organizationalBrandingLocalization": true, "externalCertificateAuthorityCertificate": true} // of which a tenant has one
			for _, x := range parts {
				for _, q := range tenant.Requests() {
					if in := (&target{match: x.match[len(x.match)-1:]}); in.reads([]string{q.Path}) > 0 {
						x.pages++ // of the list that has all at once, where there is one
					}
				}
				if least := 3; x.pages < least && !x.one && !alone[x.kind] || x.pages == 0 {
					t.Errorf("%s %s: %d requests read it, want %d", x.kind, x.rel, x.pages, least)
				}
			}
			step := 1
			if os.Getenv("TIDEMARK_LONG") == "" {
				step = 12 // each part meets some of the troubles, each trouble some of the parts
			}
			for place := range 3 {
				for k := range len(kinds) + 1 {
					if (k+place)%step != 0 {
						continue
					}
					rounds++
					changes++
					change(t, tenant, changes)
					given := map[*target]trouble{}
					for i, x := range parts {
						at := (i*5 + k) % (len(kinds) + 1)
						if at == len(kinds) {
							x.given = trouble{}
							continue // it is left in peace
						}
						if at < len(kinds) && x.single && kinds[at].Status == http.StatusNotFound {
							x.given = trouble{}
							continue
						}
						if x.log != nil {
							x.pages = length(t, l, x.log, before)
						}
						f := kinds[at]
						if x.one && f.expired() {
							f.word = snapshot.Failed // there is no second page, and no page token
						}
						page := []int{1, (x.pages + 1) / 2, x.pages}[place]
						given[x] = f
						if x.each {
							// Of one list after another the first, those from the middle on, the last.
							f.After, page = page-1, 0
						}
						f.Page = page
						f.Times = cmp.Or(f.Times, -1)
						x.given, x.asked, x.met = f, nil, 0
						for _, m := range x.match {
							if f.wire != nil {
								break
							}
							f.Match = "GET " + m
							tenant.Inject(f.Fault)
						}
						cases++
					}
					befall(t, l, parts)
					got := l.Full()
					tenant.ClearFaults()
					l.Wire.Meddle = nil
					truth := fresh(t, tenant)
					for _, p := range got.Parts {
						if forPeople(p.Type) {
							continue
						}
						was, is := before.Part(p.Type, p.Relation), truth.snap.Part(p.Type, p.Relation)
						who := strings.TrimSpace(string(p.Type) + " " + p.Relation)
						if p.Coverage == snapshot.Complete {
							if p.Root != is.Root && p.Type != "directoryAudit" {
								t.Errorf("%s is called complete and is not what is there", who)
							}
							continue
						}
						if !strings.Contains(p.Reason, "GET /") {
							t.Errorf("%s is %s and does not say why and where: %s", who, p.Coverage, p.Reason)
						}
						if p.Complete != was.Complete || !p.Read.Equal(was.Read) {
							t.Errorf("%s is of %s, snapshot %d; it was of %s, snapshot %d", who, p.Read, p.Complete, was.Read, was.Complete)
						}
						there := state(t, truth.Lab, truth.snap, is)
						kept := state(t, l, got, p)
						for name := range state(t, l, before, was) {
							if there[name] && !kept[name] {
								t.Errorf("%s: %s is there and counts as gone: %s", who, name, p.Reason)
							}
						}
						for name := range kept {
							if !there[name] && !state(t, l, before, was)[name] {
								t.Errorf("%s: %s was never there", who, name)
							}
						}
					}
					for x, f := range given {
						p := got.Part(x.kind, x.rel)
						name := fmt.Sprintf("%s %s, %s on page %d of %d", x.kind, x.rel, f.name, []int{1, (x.pages + 1) / 2, x.pages}[place], x.pages)
						if p.Coverage != snapshot.Complete {
							broken[f.name]++
							if !x.one && !x.each && x.rel == "" && !within && !strings.Contains(p.Reason, fmt.Sprintf("page %d: ", x.given.Page)) {
								t.Errorf("%s: it does not say on which page: %s", name, p.Reason)
							}
							if f.word == snapshot.Complete && !x.each && (x.rel == "" && !within || f.Times != 1) && got.Part(x.kind, "").Coverage == snapshot.Complete {
								t.Errorf("%s: %s: %s", name, p.Coverage, p.Reason)
							}
						} else if f.word != snapshot.Complete && (!within || x.each) {
							t.Errorf("%s: it is called complete", name)
						}
						if !within && place == 0 && f.word != p.Coverage {
							t.Errorf("%s: it is called %s: %s", name, p.Coverage, p.Reason)
						}
						if place == 2 && x.pages > 1 && !x.each && f.word != snapshot.Complete && p.Coverage != snapshot.Partial && !within {
							t.Errorf("%s: it is called %s: %s", name, p.Coverage, p.Reason)
						}
						met[fmt.Sprint(x.kind, x.rel, f.name, place)] = true
					}
					before = l.Capture()
					for _, p := range before.Parts {
						if p.Coverage != snapshot.Complete && !forPeople(p.Type) {
							t.Errorf("%s %s is not healed: %s: %s", p.Type, p.Relation, p.Coverage, p.Reason)
						}
						if is := truth.snap.Part(p.Type, p.Relation); p.Root != is.Root {
							t.Errorf("%s %s: healed it is not what a capture that begins anew sees", p.Type, p.Relation)
						}
					}
					if t.Failed() {
						t.Fatalf("place %d, round %d", place, k)
					}
				}
			}
			for _, x := range parts {
				n, all := 0, 3*len(kinds)
				if x.single {
					all -= 3
				}
				for _, f := range kinds {
					for place := range 3 {
						if met[fmt.Sprint(x.kind, x.rel, f.name, place)] {
							n++
						}
					}
				}
				if n == 0 || step == 1 && n != all {
					t.Errorf("%s %s met %d of %d troubles", x.kind, x.rel, n, all)
				}
			}
		}
		for _, f := range kinds {
			if f.word != snapshot.Complete && broken[f.name] == 0 {
				t.Errorf("%s broke nothing", f.name)
			}
		}
		t.Logf("%d cases in %d rounds of a broken capture, a healing one and one that begins anew", cases, rounds)
	})
}

// A captured is a repository of its own with one snapshot.
type captured struct {
	*lab.Lab
	snap *snapshot.Snapshot
}

func fresh(t *testing.T, tenant *emulator.Tenant) captured {
	t.Helper()
	l := lab.New(t, tenant)
	return captured{l, l.Capture()}
}
