package emulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// call is one request to Microsoft Graph, from HTTP, from a batch or direct.
type call struct {
	t       *Tenant
	method  string
	version string // "v1.0" or "beta"
	path    string // after the version, as received
	query   string // raw
	header  http.Header
	body    []byte
	actor   Actor
	appID   string
	roles   map[string]bool
	direct  bool
	batched bool
	bad     bool // the target has no version

	opts   options
	reads  bool // a POST that only reads
	reveal bool // secrets just made are part of the answer

	asDefault bool // it makes the default branding
	said      bool // the one object of the answer says of what type it is
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) set(k, v string) {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(k, v)
}

// refusal is an error answer.
type refusal struct {
	status  int
	code    string
	message string
	details []any
	header  map[string]string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.code, r.message) }

func bad(format string, args ...any) *refusal {
	return &refusal{status: 400, code: "Request_BadRequest", message: fmt.Sprintf(format, args...)}
}

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func notFound(id string) *refusal {
	return refuse(404, "Request_ResourceNotFound", "Resource '%s' does not exist or one of its queried reference-property objects are not present.", id)
}

func denied() *refusal {
	return refuse(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
}

func (c *call) setTarget(target string) {
	path, query, _ := strings.Cut(target, "?")
	c.query = query
	rest, ok := strings.CutPrefix(path, "/")
	c.version, c.path, _ = strings.Cut(rest, "/")
	c.bad = !ok || c.version != "v1.0" && c.version != "beta"
	c.path = "/" + c.path
}

// serve carries out a call. It takes the lock itself.
func (c *call) serve() answer {
	w, err := c.dispatch()
	if err == nil {
		return w
	}
	r, ok := err.(*refusal)
	if !ok {
		r = refuse(500, "InternalServerError", "%v", err)
	}
	return c.refused(r)
}

func (c *call) refused(r *refusal) answer {
	w := answer{status: r.status}
	for k, v := range r.header {
		w.set(k, v)
	}
	inner := map[string]any{"date": c.t.Now().Format("2006-01-02T15:04:05"), "request-id": c.header.Get("request-id"), "client-request-id": c.header.Get("client-request-id")}
	e := map[string]any{"code": r.code, "message": r.message, "innerError": inner}
	if r.details != nil {
		e["details"] = r.details
	}
	w.body = appendValue(nil, map[string]any{"error": e})
	return w
}

func (c *call) dispatch() (answer, error) {
	if c.bad {
		return answer{}, bad("Invalid version: %s", c.version)
	}
	if c.path == "/$batch" {
		return c.batch()
	}
	var segs []string
	for s := range strings.SplitSeq(strings.Trim(c.path, "/"), "/") {
		u, err := url.PathUnescape(s)
		if err != nil {
			return answer{}, bad("Invalid path segment '%s'.", s)
		}
		segs = append(segs, splitKey(u)...)
	}
	if err := c.parseQuery(); err != nil {
		return answer{}, err
	}
	if c.method == "GET" {
		// A reader that may use up lag changes the store.
		c.t.mu.RLock()
		if c.t.lagging == 0 || c.direct {
			defer c.t.mu.RUnlock()
			return c.route(segs)
		}
		c.t.mu.RUnlock()
	}
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.t.asked = c.asks()
	defer func() { c.t.asked = 0 }()
	return c.route(segs)
}

// splitKey turns servicePrincipals(appId='x') into two segments, the second
// still in parentheses, and users('id') into users and id.
func splitKey(s string) []string {
	i := strings.IndexByte(s, '(')
	if i <= 0 || !strings.HasSuffix(s, ")") {
		return []string{s}
	}
	in := s[i+1 : len(s)-1]
	switch {
	case in == "":
		return []string{s[:i]}
	case strings.Contains(in, "="):
		return []string{s[:i], "(" + in + ")"}
	}
	return []string{s[:i], strings.ReplaceAll(strings.Trim(in, "'"), "''", "'")}
}

// anyToken is needed where any caller may read.
const anyToken = ""

// access is what a path needs: any one of the read permissions to read, any
// one of the write permissions and all of also to write.
type access struct {
	service string
	read    []string
	write   []string
	also    []string
}

func accessOf(k kindID) access {
	if f := familyOf(k); f != nil {
		return f.access
	}
	switch k {
	case kUser:
		return access{"directory", []string{"User.Read.All", "User.ReadWrite.All"}, []string{"User.ReadWrite.All"}, nil}
	case kGroup:
		return access{"directory", []string{"Group.Read.All", "Group.ReadWrite.All", "GroupMember.Read.All"}, []string{"Group.ReadWrite.All"}, nil}
	case kApp, kSP, kExtension:
		return access{"directory", []string{"Application.Read.All", "Application.ReadWrite.All"}, []string{"Application.ReadWrite.All"}, nil}
	case kRoleGrant:
		return access{"directory", []string{"Application.Read.All", "Directory.Read.All"}, []string{"AppRoleAssignment.ReadWrite.All"}, []string{"Application.Read.All"}}
	case kConsent:
		return access{"directory", []string{"Directory.Read.All", "DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All"}, []string{"DelegatedPermissionGrant.ReadWrite.All"}, nil}
	case kUnit:
		return access{"directory", []string{"AdministrativeUnit.Read.All", "AdministrativeUnit.ReadWrite.All"}, []string{"AdministrativeUnit.ReadWrite.All"}, nil}
	case kRoleDef, kRoleAssignment:
		return access{"directory", []string{"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory"}, []string{"RoleManagement.ReadWrite.Directory"}, nil}
	case kPolicy:
		return access{"conditionalAccess", []string{"Policy.Read.All"}, []string{"Policy.ReadWrite.ConditionalAccess"}, []string{"Policy.Read.All", "Application.Read.All"}}
	case kLocation:
		return access{"conditionalAccess", []string{"Policy.Read.All"}, []string{"Policy.ReadWrite.ConditionalAccess"}, []string{"Policy.Read.All"}}
	case kStrength:
		return access{"directory", []string{"Policy.Read.All"}, []string{"Policy.ReadWrite.ConditionalAccess", "Policy.ReadWrite.AuthenticationMethod"}, nil}
	case kMethodPolicy, kMethod:
		return access{"directory", []string{"Policy.Read.All", "Policy.ReadWrite.AuthenticationMethod"}, []string{"Policy.ReadWrite.AuthenticationMethod"}, nil}
	case kDefaults:
		return access{"directory", []string{"Policy.Read.All"}, []string{"Policy.ReadWrite.SecurityDefaults", "Policy.ReadWrite.ConditionalAccess"}, []string{"Policy.Read.All"}}
	case kDomain:
		return access{"directory", []string{"Domain.Read.All", "Domain.ReadWrite.All"}, []string{"Domain.ReadWrite.All"}, nil}
	case kOrg:
		return access{"directory", []string{"Organization.Read.All", "Organization.ReadWrite.All"}, []string{"Organization.ReadWrite.All"}, nil}
	case kSku:
		return access{"directory", []string{"LicenseAssignment.Read.All", "Organization.Read.All"}, nil, nil}
	case kAudit:
		// The second permission is a known issue of the service, not of the
		// permission tables.
		return access{"reports", []string{"AuditLog.Read.All"}, nil, []string{"Directory.Read.All"}}
	}
	return access{"directory", []string{"Directory.Read.All"}, nil, nil}
}

func (c *call) holds(any ...string) bool {
	if c.direct {
		return true
	}
	return slices.ContainsFunc(any, func(p string) bool { return p == anyToken || c.roles[p] && !c.t.denied[p] })
}

// allow checks the caller's permissions for a kind.
func (c *call) allow(k kindID, write bool) error {
	a := accessOf(k)
	if c.direct {
		return nil
	}
	if forPeople(k) && c.actor.kind != "user" {
		return denied()
	}
	need := a.read
	if write {
		need = a.write
	}
	if !c.holds(need...) {
		return denied()
	}
	if write || k == kAudit {
		for _, p := range a.also {
			if !c.holds(p) {
				return denied()
			}
		}
	}
	return nil
}

// received is a bounded record of requests.
type received struct {
	mu   sync.Mutex
	ring []Request
	next int
}

const ringSize = 200_000

func (r *received) add(q Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring) < ringSize {
		r.ring = append(r.ring, q)
		return
	}
	r.ring[r.next] = q
	r.next = (r.next + 1) % ringSize
}

// Requests returns the requests received since the start or the last
// [Tenant.ResetRequests], oldest first, at most 200,000; items of a batch are
// listed as requests of their own, before the batch.
func (t *Tenant) Requests() []Request {
	t.received.mu.Lock()
	defer t.received.mu.Unlock()
	return append(slices.Clone(t.received.ring[t.received.next:]), t.received.ring[:t.received.next]...)
}

// ResetRequests forgets the requests received so far.
func (t *Tenant) ResetRequests() {
	t.received.mu.Lock()
	defer t.received.mu.Unlock()
	t.received.ring, t.received.next = nil, 0
}

// cost is the price of a request in resource units (Microsoft Graph
// documentation, throttling limits, identity and access).
func (c *call) cost() int {
	n := 1
	p := strings.Trim(c.path, "/")
	parts := strings.Split(p, "/")
	last := parts[len(parts)-1]
	if c.method == "GET" {
		switch {
		case p == "applications" || p == "users" || p == "users/delta" || parts[0] == "oauth2PermissionGrants", last == "appRoleAssignments", last == "licenseDetails" || last == "memberOf" && parts[0] == "users":
			n = 2
		case p == "subscribedSkus", parts[0] == "groups" && last == "members":
			n = 3
		case last == "transitiveMembers":
			n = 5
		}
	} else if last == "getByIds" {
		n = 3
	}
	if c.opts.selected {
		n--
	}
	if c.opts.expand != "" {
		n++
	}
	if c.opts.top > 0 && c.opts.top < 20 {
		n--
	}
	return max(n, 1)
}

func (c *call) isWrite() bool {
	return c.method != "GET" && !c.reads && !strings.HasSuffix(c.path, "/getByIds") && !strings.HasSuffix(c.path, "/getAvailableExtensionProperties") && !strings.HasSuffix(c.path, "/$batch")
}

func itoa(n int) string { return strconv.Itoa(n) }
