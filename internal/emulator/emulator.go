// Package emulator is a made-up Microsoft Entra tenant behind a real HTTPS
// server: the token endpoint and the identity part of Microsoft Graph.
//
// It promises to be as strict as the service: what the service is documented
// to refuse it refuses, with the same status and code; what trips a naive
// client (pages that are empty, expansions cut at twenty, properties that are
// only returned when selected, a DELETE without /$ref that deletes the member
// itself) is there. It is written from the public documentation alone and
// shares nothing with the client, so that the two can disagree.
//
// Users and groups are computed from the seed; memory grows with what was
// written, not with the size of the population. The clock is virtual: it
// moves by Advance and by one millisecond with each write, and with the
// clock it is given to follow.
//
// It refuses to know anything beyond the collections it models: any other
// path is a 400, never an empty answer.
package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options for a Tenant. The zero value is a small deterministic tenant.
type Options struct {
	Seed uint64
	// Users, Groups and Apps are population sizes; 0 means 60, 25 and 12.
	// A tenant has at least 16 users, 8 groups and 1 application.
	Users, Groups, Apps int
	Domain              string    // that people have addresses under; "" means contoso.example
	World               World     // what there is outside of the tenant
	Every               bool      // with some objects of each kind, which have every property that can be written
	Privy               bool      // the reader has the permissions, too, that also write and without which some kinds are not shown
	Page                int       // the most items on a page of a listing or a delta round, whatever is asked for; 0: as many as the service gives
	Start               time.Time // virtual time at the start; zero means 2026-01-15T08:00:00Z, or what Now says
	// Now is a clock that the virtual one follows; nil means it moves with
	// Advance and with writes only.
	Now  func() time.Time
	Addr string // listen address; "" means 127.0.0.1:0
}

// World is what a tenant has from outside: what is bought, proven in DNS, or made by others.
type World struct {
	Domains []string // verified domains besides those that every tenant has
	// Licences and Apps are bodies as Microsoft Graph gives them: subscribedSku, and servicePrincipal for applications whose home is
	// another tenant. Of what a tenant has anyhow they add the roles and scopes of an application.
	Licences, Apps []map[string]any
}

// App is an identity registered in the tenant.
type App struct {
	ClientID, Secret string
	ObjectID         string // of the service principal
	CertificatePEM   []byte // key and certificate, registered for the application
}

// Request is one request the tenant received.
type Request struct {
	Method string
	Path   string // with query
	Status int    // 0 when the connection was dropped
	At     time.Time
	Write  bool // anything but GET, queries by POST and token requests
}

// Tenant is a running tenant. It is safe for concurrent use.
type Tenant struct {
	o      Options
	id     string
	schema *schema
	now    func() time.Time // real time, for quotas only

	mu sync.RWMutex
	*store
	began      time.Time // by the clock it follows
	advanced   time.Duration
	made       uint64          // GUIDs made outside of requests, and tokens
	asked      uint64          // what the request that holds mu asks for; 0 is none
	given      map[uint64]bool // ordinals of the GUIDs that requests made
	audits     []*object
	recoveries []map[string]any // jobs of Microsoft's own recovery
	graphSP    string
	denied     map[string]bool
	capacity   int // how many objects the directory may hold

	noExtensions map[string]any // onPremisesExtensionAttributes of those who have none

	capture, restore App
	keys             *keys
	limits           *limits
	faults           faults
	received         received
	tokens           tokens
	signIns          signIns

	server   *http.Server
	listener net.Listener
	done     chan struct{}
	cancel   context.CancelFunc
}

// Start makes a tenant and serves it on a TLS listener of its own, HTTP/1.1
// and HTTP/2. Close must be called to stop it.
func Start(o Options) (*Tenant, error) {
	if o.Users < 0 || o.Groups < 0 || o.Apps < 0 || o.Page < 0 {
		return nil, fmt.Errorf("start tenant: negative population or page")
	}
	for _, d := range []struct {
		v            *int
		usual, least int
	}{{&o.Users, 60, 16}, {&o.Groups, 25, fixedGroups}, {&o.Apps, 12, 1}} {
		if *d.v == 0 {
			*d.v = d.usual
		}
		*d.v = max(*d.v, d.least)
	}
	var began time.Time
	if o.Now != nil {
		if began = o.Now(); o.Start.IsZero() {
			o.Start = began
		}
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 15, 8, 0, 0, 0, time.UTC)
	}
	if o.Domain == "" {
		o.Domain = "contoso.example"
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	s, err := readSchema()
	if err != nil {
		return nil, err
	}
	pop := population{seed: o.Seed, users: uint64(o.Users), groups: uint64(o.Groups), ids: newGUIDs(o.Seed), start: o.Start.UTC(), domain: o.Domain}
	pop.initial = o.Domain[:max(strings.IndexByte(o.Domain, '.'), 0)] + ".onmicrosoft.com"
	for n, name := range []string{extCostCenter: "costCenter", extPayGrade: "payGrade", extBadges: "badges"} {
		pop.extensions[n] = extensionName(pop.ids.at(kAppID, definer(o)), name)
	}
	t := &Tenant{o: o, schema: s, now: time.Now, began: began, store: newStore(pop), denied: map[string]bool{}, given: map[uint64]bool{}, done: make(chan struct{})}
	t.id = pop.ids.at(kNone, 0)
	t.noExtensions = map[string]any{}
	for i := 1; i <= 15; i++ {
		t.noExtensions["extensionAttribute"+itoa(i)] = nil
	}
	t.limits = &limits{t: t}
	t.populate()
	t.capacity = max(usualCapacity, 2*t.used())
	if err := t.listen(); err != nil {
		return nil, fmt.Errorf("start tenant: %w", err)
	}
	return t, nil
}

// Close stops the server and drops its connections.
func (t *Tenant) Close() {
	t.cancel()
	t.server.Close()
	<-t.done
	t.keys.wait()
}

// URL is where both the authority and Microsoft Graph of the tenant are,
// without a slash at the end.
func (t *Tenant) URL() string { return "https://" + t.listener.Addr().String() }

// CA is the PEM form of the certificate that signed the server's.
func (t *Tenant) CA() []byte { return slices.Clone(t.keys.ca) }

// ID is the GUID of the tenant.
func (t *Tenant) ID() string { return t.id }

// CaptureApp is an identity that may read everything and write nothing.
func (t *Tenant) CaptureApp() App { return t.withCertificate(t.capture, 0) }

// RestoreApp is an identity that may read and write everything. It holds the
// Privileged Authentication Administrator role, which the service asks for
// before an application may change people with administrator roles.
func (t *Tenant) RestoreApp() App { return t.withCertificate(t.restore, 1) }

func (t *Tenant) withCertificate(a App, i int) App {
	t.keys.wait()
	a.CertificatePEM = slices.Clone(t.keys.pem[i])
	return a
}

// clock is the virtual time; the caller holds mu.
func (t *Tenant) clock() time.Time {
	at := t.pop.start.Add(t.advanced + time.Duration(t.seq)*time.Millisecond)
	if t.o.Now != nil {
		at = at.Add(t.o.Now().Sub(t.began))
	}
	return at
}

// Now is the virtual time.
func (t *Tenant) Now() time.Time {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.clock()
}

// Advance moves the virtual clock: tokens and page tokens expire, delta tokens
// after seven days, what was deleted thirty days ago is purged, and what was
// given for a time ends.
func (t *Tenant) Advance(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advanced += d
	var due []*object
	for id := range t.bin {
		o := t.objects[idKey(id)]
		// Applications open to other tenants are never purged automatically.
		if o.kind == kApp && text(o.p["signInAudience"]) != "AzureADMyOrg" {
			continue
		}
		if t.clock().Sub(o.deleted) >= 30*24*time.Hour {
			due = append(due, o)
		}
	}
	slices.SortFunc(due, func(a, b *object) int { return a.deleted.Compare(b.deleted) })
	for _, o := range due {
		t.purge(o)
	}
	t.expire()
}

// Actor is someone who acts on the tenant directly.
type Actor struct {
	t             *Tenant
	kind, id, who string
}

// As returns an actor that directory audits name as initiator. Kind is "user"
// (id is an object id, name a user principal name) or "app" (id is a client
// id, name a display name).
func (t *Tenant) As(kind, id, name string) *Actor {
	if kind != "user" && kind != "app" {
		panic("emulator: an actor is a user or an app, not " + kind)
	}
	return &Actor{t: t, kind: kind, id: id, who: name}
}

// Do acts on the tenant as its first Global Administrator. See [Actor.Do].
func (t *Tenant) Do(method, path string, body any) (status int, result map[string]any) {
	return t.As("user", t.pop.ids.at(kUser, userAdmin), t.pop.upn(userAdmin)).Do(method, path, body)
}

// Do carries out one request through the code that serves HTTP, without a
// token, quotas, faults or replication lag of its own reads. The path starts
// with the version, such as "/v1.0/users/{id}"; the body is anything
// encoding/json can marshal, or nil for none. It returns the status and the
// decoded body, nil when there is none.
func (a *Actor) Do(method, path string, body any) (status int, result map[string]any) {
	c := &call{t: a.t, method: method, header: http.Header{}, direct: true, actor: *a}
	c.setTarget(path)
	c.header.Set("ConsistencyLevel", "eventual")
	c.header.Set("Prefer", "include-unknown-enum-members")
	if body != nil {
		c.header.Set("Content-Type", "application/json")
		var err error
		if c.body, err = json.Marshal(body); err != nil {
			panic(fmt.Sprintf("emulator: body of %s %s: %v", method, path, err))
		}
	}
	w := c.serve()
	if len(w.body) > 0 {
		if err := json.Unmarshal(w.body, &result); err != nil {
			result = map[string]any{"value": string(w.body)}
		}
	}
	return w.status, result
}

// Deny takes a permission of Microsoft Graph away from every application, at
// once and for tokens already issued.
func (t *Tenant) Deny(permission string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.denied[permission] = true
}

// Grant gives a denied permission back. A token issued in between still lacks
// it, as at the service.
func (t *Tenant) Grant(permission string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.denied, permission)
}

// InitialDomain is the domain that the tenant was made with.
func (t *Tenant) InitialDomain() string { return t.pop.initial }

// Lag makes the first n reads over HTTP that concern an object after a write
// to it see its old state: for a new object, that it is not there. 0 ends it
// for later writes.
func (t *Tenant) Lag(readsAfterWrite int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lag = readsAfterWrite
}
