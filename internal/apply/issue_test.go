package apply_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A drawer is a handout in memory, which a crash of the program does not reach.
type drawer struct {
	mu    sync.Mutex
	given map[int]apply.Issued
	gives int
	fail  func(n int) error // before the nth is kept
}

func (d *drawer) Given(s plan.Step) (entra.ID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.given[s.Number]
	return i.Key, ok
}

func (d *drawer) Give(i apply.Issued) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gives++
	if d.fail != nil {
		if err := d.fail(d.gives); err != nil {
			return err
		}
	}
	if d.given == nil {
		d.given = map[int]apply.Issued{}
	}
	d.given[i.Step.Number] = i
	return nil
}

// TestEverySecretMayBeLost: at each write of a restore that hands out secrets the answer is lost, or the program dies,
// or the secret cannot be kept. In the end every credential of the application is one whose secret was handed out,
// there is one for each that was lost, and the log holds none of the secrets.
func TestEverySecretMayBeLost(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 8, Groups: 3, Apps: 3})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		runs, ways := 0, len(losses)+2
		for n, most := 0, 1; n < most; n++ {
			for i := n % 2; i < ways; i += 2 {
				if long() || (n+i/2)%2 == 0 {
					runs++
					most = max(most, loseSecret(t, l, n, i))
				}
				if t.Failed() {
					t.Fatalf("write %d, way %d", n, i)
				}
			}
		}
		t.Logf("%d restores", runs)
		if runs < 10 {
			t.Errorf("only %d restores", runs)
		}
	})
}

// loseSecret loses the nth write in the ith way and returns how many writes there were.
func loseSecret(t *testing.T, l *lab.Lab, n, i int) int {
	t.Helper()
	l.Tenant.Advance(48 * time.Hour)
	must := func(method, path string, body any) map[string]any {
		status, answer := l.Tenant.Do(method, path, body)
		if status >= 300 {
			t.Fatalf("%s %s: %d %v", method, path, status, answer)
		}
		return answer
	}
	app := must("POST", "/v1.0/applications", map[string]any{"displayName": "Harbour " + strings.Repeat("i", n+1) + strings.Repeat("v", i)})
	id, _ := app["id"].(string)
	at := "/v1.0/applications/" + id
	for _, name := range []string{"night", "night", "day"} {
		must("POST", at+"/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": name}})
	}
	der := certificate(t, l.Tenant.Now())
	must("PATCH", at, map[string]any{"keyCredentials": []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": der, "displayName": "CN=harbour"}}})
	goal := l.Capture()
	must("DELETE", at, nil)
	must("DELETE", "/v1.0/directory/deletedItems/"+id, nil)
	base := l.Capture()
	p := l.Plan(base, goal, plan.Request{Scope: plan.Scope{Refs: []entra.Ref{{Type: catalog.ApplicationType, ID: entra.ID(id)}}}, NewSecrets: true})
	issues := 0
	for _, s := range p.Steps {
		if s.Action == plan.Issue {
			issues++
		}
	}
	if issues != 4 {
		t.Fatalf("%d new credentials are planned, want 4", issues)
	}
	cleared, record := l.Clear(p, base)
	d := &drawer{}
	var sent atomic.Int64
	l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		if writes(r) && sent.Add(1) == int64(n+1) && i < len(losses) {
			return losses[i].do(l, pass)
		}
		return pass()
	}
	if i >= len(losses) {
		d.fail = func(give int) error {
			if give != n+1 {
				return nil
			}
			if i == len(losses) {
				l.Kill()
			}
			return errors.New("no space left on device")
		}
	}
	o := l.Options(base)
	o.Secrets = d
	report, err := apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, o)
	if err != nil || report.Count(apply.Failed) > 0 {
		l.Revive()
		d.fail = nil
		report, err = apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.Wire.Meddle = nil
	l.Follow()
	for _, res := range report.Results {
		if res.Outcome != apply.Done && res.Outcome != apply.AlreadyDone {
			t.Errorf("step %d %s: %s", res.Step, res.Outcome, res.Error)
		}
	}
	var keys, held []entra.ID
	for _, i := range d.given {
		keys = append(keys, i.Key)
		if i.Secret == "" {
			t.Errorf("%s was handed out without its secret", i)
		}
	}
	after := l.Capture()
	now := report.IDs[entra.Ref{Type: catalog.ApplicationType, ID: entra.ID(id)}]
	made, err := l.Tree(after).Object(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range catalog.Credentials(made) {
		held = append(held, c.Key)
	}
	slices.Sort(keys)
	slices.Sort(held)
	if len(held) != 4 || !slices.Equal(keys, held) {
		t.Errorf("the application has %v, handed out were %v", held, keys)
	}
	for rec, err := range l.Repo.Records(t.Context(), record) {
		if err != nil {
			t.Fatal(err)
		}
		data, _ := l.Repo.Data(t.Context(), rec)
		for _, i := range d.given {
			if strings.Contains(string(data), i.Secret) {
				t.Errorf("record %d holds a secret", rec.Number)
			}
		}
	}
	for _, x := range l.Verify(p, goal, after) {
		t.Errorf("differs: %s %s: %s", x.Ref, x.Field, x.Reason)
	}
	for _, again := range []bool{true, false} {
		if p := l.Plan(after, goal, plan.Request{Scope: p.Scope, NewSecrets: again}); len(p.Steps) > 0 {
			t.Errorf("a second plan has %d steps; the first: %+v", len(p.Steps), p.Steps[0])
		}
	}
	must("DELETE", "/v1.0/applications/"+string(now.ID), nil)
	must("DELETE", "/v1.0/directory/deletedItems/"+string(now.ID), nil)
	return int(sent.Load())
}

// certificate makes one, as the service takes it.
func certificate(t *testing.T, now time.Time) string {
	t.Helper()
	return base64.StdEncoding.EncodeToString(der(t, now))
}

func der(t *testing.T, now time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestEveryRegistrationMayBeLost: the certificates of an application are told, so that they are registered again and nobody
// needs a new secret. At each write of it the answer is lost, or the program dies. In the end each is there once.
func TestEveryRegistrationMayBeLost(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 8, Groups: 3, Apps: 3})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		runs := 0
		for n, most := 0, 1; n < most; n++ {
			for i := range losses {
				runs++
				most = max(most, loseRegistration(t, l, n, i))
				if t.Failed() {
					t.Fatalf("write %d, %s", n, losses[i].name)
				}
			}
		}
		if runs < 10 {
			t.Errorf("only %d restores", runs)
		}
	})
}

// loseRegistration loses the nth write in the ith way and returns how many writes there were.
func loseRegistration(t *testing.T, l *lab.Lab, n, i int) int {
	t.Helper()
	l.Tenant.Advance(48 * time.Hour)
	must := func(method, path string, body any) map[string]any {
		status, answer := l.Tenant.Do(method, path, body)
		if status >= 300 {
			t.Fatalf("%s %s: %d %v", method, path, status, answer)
		}
		return answer
	}
	ders := [][]byte{der(t, l.Tenant.Now()), der(t, l.Tenant.Now()), der(t, l.Tenant.Now())} // the last was never there
	var entries []any
	for _, c := range ders[:2] {
		entries = append(entries, map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(c), "displayName": "CN=harbour"})
	}
	app := must("POST", "/v1.0/applications", map[string]any{"displayName": "Pier " + strings.Repeat("i", n+1) + strings.Repeat("v", i), "keyCredentials": entries})
	id, _ := app["id"].(string)
	ref := entra.Ref{Type: catalog.ApplicationType, ID: entra.ID(id)}
	goal := l.Capture()
	must("DELETE", "/v1.0/applications/"+id, nil)
	must("DELETE", "/v1.0/directory/deletedItems/"+id, nil)
	base := l.Capture()
	wanted := func(is entra.Object) snapshot.Tree {
		tree := snapshot.NewOverlay(l.Tree(goal), catalog.IDs, catalog.Container)
		was, err := l.Tree(goal).Object(t.Context(), ref)
		if err == nil {
			was, err = catalog.SignsIn(was, is, ders, false)
		}
		if err != nil {
			t.Fatal(err)
		}
		tree.Set(was)
		return tree
	}
	q := plan.Request{Scope: plan.Scope{Refs: []entra.Ref{ref}}, Aliases: l.Aliases(), Limits: plan.Limits{Objects: 9, Links: 9, Privileged: 9}}
	p, err := plan.Make(t.Context(), l.Tree(base), wanted(entra.Object{}), q)
	if err != nil {
		t.Fatal(err)
	}
	cleared, record := l.Clear(p, base)
	var sent atomic.Int64
	l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		if writes(r) && sent.Add(1) == int64(n+1) {
			return losses[i].do(l, pass)
		}
		return pass()
	}
	report, err := apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, l.Options(base))
	if err != nil || report.Count(apply.Failed) > 0 {
		l.Revive()
		report, err = apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, l.Options(base))
	}
	if err != nil {
		t.Fatal(err)
	}
	l.Wire.Meddle = nil
	l.Follow()
	for _, res := range report.Results {
		if res.Outcome != apply.Done && res.Outcome != apply.AlreadyDone {
			t.Errorf("step %d %s: %s", res.Step, res.Outcome, res.Error)
		}
	}
	after := l.Capture()
	made, err := l.Tree(after).Object(t.Context(), report.IDs[ref])
	if err != nil {
		t.Fatal(err)
	}
	var marks, want []string
	for _, c := range catalog.Credentials(made) {
		marks = append(marks, c.Mark)
	}
	for _, c := range ders {
		want = append(want, catalog.Mark(c))
	}
	slices.Sort(marks)
	slices.Sort(want)
	if !slices.Equal(marks, want) {
		t.Errorf("the application has the certificates %v, want %v", marks, want)
	}
	q.Aliases = l.Aliases()
	again, err := plan.Make(t.Context(), l.Tree(after), wanted(made), q)
	if err != nil || len(again.Steps) > 0 {
		t.Errorf("a second plan has %d steps: %v", len(again.Steps), err)
	}
	must("DELETE", "/v1.0/applications/"+string(made.Ref.ID), nil)
	must("DELETE", "/v1.0/directory/deletedItems/"+string(made.Ref.ID), nil)
	return int(sent.Load())
}
