// Package lab wires a made-up tenant, a repository and an index together for tests of the packages between them.
//
// It promises the path that the program takes, but for the network: requests reach the tenant within the process,
// so that a test can let time pass as fast as it likes (testing/synctest). The repository is sealed, the index
// follows the log. It refuses to know better than they: what a test wants to be true it has to ask of the tenant.
package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
	"github.com/tidemark-backup/tidemark/internal/verify"
)

// A Lab is one tenant with its repository. Its methods fail the test where they cannot do what they say.
type Lab struct {
	Tenant *emulator.Tenant
	Repo   *repository.Repository
	Index  *index.Index
	Reader *graph.Client // as the identity that captures
	Writer *graph.Client // as the identity that restores
	Person *graph.Client // as somebody who signed in; nil until SignIn
	Wire   *Wire
	Asked  []entra.Type // what captures read though it is left out otherwise: at first everything
	open   func() (*repository.Repository, error)
	power  *power
	t      testing.TB
}

// Start starts a tenant that ends with the test, and whose reader may read everything. Where the test makes a bubble of
// its own time, the tenant has to be started outside of it, since it listens to the network.
func Start(t testing.TB, o emulator.Options) *emulator.Tenant {
	t.Helper()
	o.Privy = true
	tenant, err := emulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tenant.Close)
	return tenant
}

// New makes a repository for a tenant, which ends with the test.
func New(t testing.TB, tenant *emulator.Tenant) *Lab {
	t.Helper()
	l := &Lab{t: t, Tenant: tenant, Wire: &Wire{tenant: tenant}, power: &power{Store: new(mem.Store)}}
	l.Wire.power = l.power
	for r := range catalog.All() {
		if r.Unless != "" {
			l.Asked = append(l.Asked, r.Type)
		}
	}
	signer, err := repository.GenerateSigner("lab")
	l.must(err)
	identity, err := age.GenerateX25519Identity()
	l.must(err)
	_, err = repository.Init(t.Context(), l.power, repository.InitOptions{Tenant: entra.Tenant{ID: entra.TenantID(l.Tenant.ID())}, Holders: []string{identity.Recipient().String()}, Now: l.Tenant.Now, Signer: signer})
	l.must(err)
	l.open = func() (*repository.Repository, error) {
		return repository.Open(t.Context(), l.power, repository.Options{Identities: []age.Identity{identity}, Signer: signer, Now: l.Tenant.Now})
	}
	l.Repo, err = l.open()
	l.must(err)
	l.Index, err = index.Open(t.Context(), ":memory:", history.Kept())
	l.must(err)
	t.Cleanup(func() { l.must(l.Index.Close()) })
	l.Raise(1)
	l.Reader = l.client(l.Tenant.CaptureApp(), unbound)
	return l
}

func (l *Lab) must(err error) {
	if err != nil {
		l.t.Helper()
		l.t.Fatal(err)
	}
}

// unbound is the scale of a tenant that holds to no quotas, as a made-up one does until Tenant.Throttle.
const unbound = 100

// Raise makes both identities expect quotas that fill so many times as fast as documented, as Tenant.Throttle makes
// them. Until then the one that restores goes by the documented ones, and the one that captures is not held back.
func (l *Lab) Raise(scale graph.Scale) {
	l.Reader, l.Writer = l.client(l.Tenant.CaptureApp(), scale), l.client(l.Tenant.RestoreApp(), scale)
}

func (l *Lab) client(app emulator.App, scale graph.Scale) *graph.Client {
	h := &http.Client{Transport: l.Wire}
	c, err := graph.New(login{h, l.Tenant, app}, graph.Options{HTTP: h, Endpoint: l.Tenant.URL(), Now: l.Tenant.Now, Scale: scale})
	l.must(err)
	return c
}

// SignIn has an administrator sign in to the application that restores, which may from now on use for people all
// permissions that any type needs.
func (l *Lab) SignIn() {
	l.t.Helper()
	app, reads, writes := l.Tenant.RestoreApp(), map[string]bool{}, map[string]bool{}
	for r := range catalog.All() {
		for _, p := range r.Read {
			reads[p] = true
		}
		for _, p := range r.Write {
			writes[p] = true
		}
	}
	l.do(http.MethodPatch, "/v1.0/applications(appId='"+app.ClientID+"')", map[string]any{"isFallbackPublicClient": true})
	_, ada := l.Tenant.Do(http.MethodGet, "/v1.0/users/"+l.Tenant.Find("users", "Ada Admin"), nil)
	// A consent takes so many only: everybody's is for what is read, the administrator's own for what is written.
	consent := map[string]any{"clientId": app.ObjectID, "consentType": "AllPrincipals", "resourceId": l.Tenant.Find("servicePrincipals", "Microsoft Graph"), "scope": strings.Join(slices.Sorted(maps.Keys(reads)), " ")}
	l.do(http.MethodPost, "/v1.0/oauth2PermissionGrants", consent)
	consent["consentType"], consent["principalId"], consent["scope"] = "Principal", ada["id"], strings.Join(slices.Sorted(maps.Keys(writes)), " ")
	l.do(http.MethodPost, "/v1.0/oauth2PermissionGrants", consent)
	h := &http.Client{Transport: l.Wire}
	cred, err := graph.Login(graph.Identity{Tenant: l.Tenant.ID(), ClientID: app.ClientID, Authority: l.Tenant.URL(), Scope: l.Tenant.URL() + "/.default", HTTP: h, Custom: true,
		Person: &graph.Person{Code: func(address, code string) error {
			answer, err := h.PostForm(address, url.Values{"otc": {code}, "username": {fmt.Sprint(ada["userPrincipalName"])}})
			if err != nil {
				return err
			}
			return answer.Body.Close()
		}}})
	l.must(err)
	_, _, err = cred.Token(l.t.Context(), "")
	l.must(err)
	l.Person, err = graph.New(cred, graph.Options{HTTP: h, Endpoint: l.Tenant.URL(), Now: l.Tenant.Now, Scale: unbound})
	l.must(err)
}

// do changes something of the tenant itself.
func (l *Lab) do(method, path string, body map[string]any) {
	l.t.Helper()
	if status, answer := l.Tenant.Do(method, path, body); status >= http.StatusBadRequest {
		l.t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
}

// Kill lets nothing reach the tenant or the store any more, as if the program had died at this moment. It may be
// called from within Wire.Meddle.
func (l *Lab) Kill() { l.power.off.Store(true) }

// Revive undoes Kill and opens the repository anew, as the next run of the program does.
func (l *Lab) Revive() {
	l.t.Helper()
	l.power.off.Store(false)
	var err error
	l.Repo, err = l.open()
	l.must(err)
	l.Follow()
}

var errOff = errors.New("the program is dead")

// A power is what a store runs on.
type power struct {
	store.Store
	off atomic.Bool
}

// Put implements store.Store.
func (p *power) Put(ctx context.Context, name string, r io.Reader) error {
	if p.off.Load() {
		return errOff
	}
	return p.Store.Put(ctx, name, r)
}

// A Wire brings requests to the tenant without a network.
type Wire struct {
	tenant *emulator.Tenant
	power  *power
	// Meddle, where it is not nil, stands between the client and the tenant: pass carries the request out.
	Meddle func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error)
	// Top, where it is not 0, is put in the place of the page sizes that requests ask for: the service may give
	// fewer than it was asked for at any time.
	Top int
}

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	pass := func() (*http.Response, error) {
		if w.power.off.Load() {
			return nil, errOff
		}
		return w.pass(r)
	}
	if w.Meddle == nil {
		return pass()
	}
	return w.Meddle(r, pass)
}

func (w *Wire) pass(r *http.Request) (answer *http.Response, err error) {
	defer func() {
		if dropped := recover(); dropped == http.ErrAbortHandler {
			answer, err = nil, io.ErrUnexpectedEOF
		} else if dropped != nil {
			panic(dropped)
		}
	}()
	asked := r.Clone(r.Context())
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	if w.Top > 0 {
		size := regexp.MustCompile(`\$top=[0-9]+`)
		asked.URL.RawQuery = size.ReplaceAllLiteralString(asked.URL.RawQuery, "$top="+strconv.Itoa(w.Top))
		body, err := io.ReadAll(asked.Body)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(asked.URL.Path, "/$batch") {
			body = size.ReplaceAllLiteral(body, []byte("$top="+strconv.Itoa(w.Top)))
		}
		asked.Body = io.NopCloser(bytes.NewReader(body))
	}
	record := httptest.NewRecorder()
	w.tenant.ServeHTTP(record, asked)
	return record.Result(), nil
}

// A login signs in with an application's secret.
type login struct {
	http   *http.Client
	tenant *emulator.Tenant
	app    emulator.App
}

// Token implements graph.Credential.
func (l login) Token(ctx context.Context, claims string) (string, time.Time, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {l.tenant.URL() + "/.default"}, "client_id": {l.app.ClientID}, "client_secret": {l.app.Secret}}
	if claims != "" {
		form.Set("claims", claims)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.tenant.URL()+"/"+l.tenant.ID()+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", time.Time{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := l.http.Do(r)
	if err != nil {
		return "", time.Time{}, err
	}
	defer answer.Body.Close()
	var got struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.Token == "" {
		return "", time.Time{}, fmt.Errorf("sign in: status %d: %w", answer.StatusCode, err)
	}
	return got.Token, l.tenant.Now().Add(time.Duration(got.Expires) * time.Second), nil
}

// Capture takes a snapshot.
func (l *Lab) Capture() *snapshot.Snapshot {
	l.t.Helper()
	return l.captured(capture.Options{})
}

// Full takes a snapshot for which all is listed whole.
func (l *Lab) Full() *snapshot.Snapshot {
	l.t.Helper()
	return l.captured(capture.Options{Full: true})
}

// Aim takes a snapshot that is after a target only.
func (l *Lab) Aim(target *capture.Target) *snapshot.Snapshot {
	l.t.Helper()
	return l.captured(capture.Options{Target: target})
}

func (l *Lab) captured(o capture.Options) *snapshot.Snapshot {
	l.t.Helper()
	o.Include, o.Person = l.Asked, l.Person
	s, err := capture.Run(l.t.Context(), l.Reader, l.Repo, l.Index, l.Tenant.Now, o)
	l.must(err)
	l.Follow()
	return s
}

// Follow brings the index up to date.
func (l *Lab) Follow() {
	l.t.Helper()
	l.must(l.Index.Update(l.t.Context(), l.Repo))
}

// Tree returns what a snapshot names.
func (l *Lab) Tree(s *snapshot.Snapshot) *index.Tree {
	l.t.Helper()
	tree, err := l.Index.Tree(l.t.Context(), l.Repo, s.Number)
	l.must(err)
	return tree
}

// Aliases returns what the log knows of re-created objects.
func (l *Lab) Aliases() map[entra.Ref]entra.Ref {
	l.t.Helper()
	aliases, err := l.Index.Aliases(l.t.Context())
	l.must(err)
	return aliases
}

// Plan makes a plan with limits that nothing reaches.
func (l *Lab) Plan(base, goal *snapshot.Snapshot, q plan.Request) *plan.Plan {
	l.t.Helper()
	const none = 1 << 30
	q.Aliases = l.Aliases()
	q.Limits = plan.Limits{Objects: none, Links: none, Deletions: none, Privileged: none}
	p, err := plan.Make(l.t.Context(), l.Tree(base), l.Tree(goal), q)
	l.must(err)
	return p
}

// Judge has guard judge a plan.
func (l *Lab) Judge(p *plan.Plan, base *snapshot.Snapshot) (guard.Cleared, []guard.Objection) {
	l.t.Helper()
	cleared, objections, err := guard.Clear(l.t.Context(), p, l.Tree(base), guard.Config{}, nil, l.Tenant.Now())
	l.must(err)
	return cleared, objections
}

// Clear has guard clear a plan, and keeps it in the log. It returns the plan's record.
func (l *Lab) Clear(p *plan.Plan, base *snapshot.Snapshot) (guard.Cleared, int64) {
	l.t.Helper()
	cleared, objections := l.Judge(p, base)
	if len(objections) > 0 {
		l.t.Fatalf("guard objects: %+v", objections)
	}
	data, err := p.Encode()
	l.must(err)
	rec, err := l.Repo.Append(l.t.Context(), repository.KindPlan, base.Number, data)
	l.must(err)
	return cleared, rec.Number
}

// Options are those of apply for this tenant and a plan made from base.
func (l *Lab) Options(base *snapshot.Snapshot) apply.Options {
	tree := l.Tree(base)
	return apply.Options{Endpoint: l.Tenant.URL(), Now: l.Tenant.Now, Password: func(plan.Step) (string, bool) { return "Xk29!fmmwqp0-lab", true },
		Existed: func(ctx context.Context, r entra.Ref) (bool, error) {
			_, err := tree.Object(ctx, r)
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			return err == nil, err
		}}
}

// Apply carries a plan out.
func (l *Lab) Apply(p *plan.Plan, base *snapshot.Snapshot) *apply.Report {
	l.t.Helper()
	cleared, record := l.Clear(p, base)
	report, err := apply.Run(l.t.Context(), l.Writer, l.Repo, cleared, record, l.Options(base))
	l.must(err)
	l.Follow()
	return report
}

// Verify compares the plan's goal with a later snapshot.
func (l *Lab) Verify(p *plan.Plan, goal, after *snapshot.Snapshot) []verify.Difference {
	l.t.Helper()
	d, _, err := verify.Run(l.t.Context(), p, l.Tree(goal), l.Tree(after), l.Aliases())
	l.must(err)
	return d
}
