package apply_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func long() bool { return os.Getenv("TIDEMARK_LONG") != "" }

// A vandal damages a tenant, in ways that the catalog says can be repaired.
type vandal struct {
	t    *testing.T
	lab  *lab.Lab
	tree snapshot.Tree
	had  map[entra.Type][]entra.Object
	ours map[entra.ID]bool // our own identities
	safe map[entra.ID]bool // these, and the administrator who does the damage
}

func newVandal(t *testing.T, l *lab.Lab, s *snapshot.Snapshot) *vandal {
	t.Helper()
	v := &vandal{t: t, lab: l, tree: l.Tree(s), had: map[entra.Type][]entra.Object{}, ours: map[entra.ID]bool{}}
	for _, app := range []emulator.App{l.Tenant.CaptureApp(), l.Tenant.RestoreApp()} {
		v.ours[entra.ID(app.ClientID)], v.ours[entra.ID(app.ObjectID)] = true, true
	}
	v.safe = maps.Clone(v.ours)
	v.safe[entra.ID(l.Tenant.Find("users", "Ada Admin"))] = true
	return v
}

// objects are those of a type that may be damaged.
func (v *vandal) objects(r *catalog.Resource) []entra.Object {
	v.t.Helper()
	if all, ok := v.had[r.Type]; ok {
		return all
	}
	all := []entra.Object{}
	for e, err := range v.tree.Entries(v.t.Context(), r.Type) {
		if err != nil {
			v.t.Fatal(err)
		}
		o, err := v.tree.Object(v.t.Context(), e.Ref)
		if err != nil {
			v.t.Fatal(err)
		}
		appID, _ := o.Body.Get("appId")
		name, _ := appID.(string)
		if owner, _ := o.Body.Get("appOwnerOrganizationId"); owner != nil && owner != v.lab.Tenant.ID() {
			continue // the application is another tenant's
		}
		if v.safe[o.Ref.ID] || v.safe[entra.ID(name)] || slices.ContainsFunc(catalog.Refs(o), func(ref catalog.Reference) bool { return v.safe[ref.ID] }) {
			continue
		}
		all = append(all, o)
	}
	v.had[r.Type] = all
	return all
}

// do carries out a call of the catalog as the tenant's administrator, and reports whether the tenant took it.
func (v *vandal) do(c catalog.Call) bool {
	v.t.Helper()
	status, _ := v.send(c)
	return status < 300
}

// send carries out a call and returns what came back, as bytes come where they are asked for.
func (v *vandal) send(c catalog.Call) (status int, answer any) {
	v.t.Helper()
	var body any
	if len(c.Header) > 0 {
		item := map[string]any{"id": "1", "method": c.Method, "url": c.Path + "?" + c.Query.Encode(), "headers": c.Header}
		switch {
		case c.Header["Content-Type"] != "":
			item["body"] = base64.StdEncoding.EncodeToString(c.Body)
		case c.Body != nil:
			item["body"] = json.RawMessage(c.Body)
			h := maps.Clone(c.Header)
			h["Content-Type"] = "application/json"
			item["headers"] = h
		}
		_, all := v.lab.Tenant.Do("POST", "/"+c.Version+"/$batch", map[string]any{"requests": []any{item}})
		got := all["responses"].([]any)[0].(map[string]any)
		if data, ok := got["body"].(string); ok {
			return int(got["status"].(float64)), map[string]any{"data": data, "contentType": got["headers"].(map[string]any)["Content-Type"]}
		}
		return int(got["status"].(float64)), got["body"]
	}
	if c.Body != nil {
		if err := json.Unmarshal(bytes.ReplaceAll(c.Body, []byte("{endpoint}"), []byte(v.lab.Tenant.URL())), &body); err != nil {
			v.t.Fatal(err)
		}
	}
	path := "/" + c.Version + c.Path
	if c.Method == "GET" && len(c.Query) > 0 {
		path += "?" + c.Query.Encode()
	}
	return v.lab.Tenant.Do(c.Method, path, body)
}

// now is how the tenant holds an object: what follows from an application is put back at once. One that is no more is empty.
func (v *vandal) now(r *catalog.Resource, o entra.Object) entra.Object {
	v.t.Helper()
	status, is := v.send(r.Fetch(o.Ref.ID))
	raw, err := json.Marshal(is)
	if status != 200 || err != nil {
		v.t.Fatalf("read %s: status %d, %v", o.Ref, status, err)
	}
	in, _ := catalog.Container(o.Ref)
	now, err := r.Object(raw, in.ID)
	if errors.Is(err, catalog.ErrNone) {
		return entra.Object{Ref: o.Ref}
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return now
}

// alive reports whether an object can still be read.
func (v *vandal) alive(r *catalog.Resource, o entra.Object) bool {
	v.t.Helper()
	return v.do(r.Fetch(o.Ref.ID))
}

// disarm lets the service take security defaults, which it refuses while policies are in force.
func (v *vandal) disarm(r *catalog.Resource) {
	v.t.Helper()
	for _, o := range v.objects(r) {
		if _, ok := catalog.SecurityDefaults(o); !ok {
			return
		}
	}
	policies, _ := catalog.Lookup(catalog.PolicyType)
	for _, o := range v.objects(policies) {
		calls, err := policies.Update(o.Ref.ID, map[string]any{"state": "disabled"}, o.Body.Decode())
		if err != nil || !v.do(calls[0]) {
			v.t.Fatalf("%s could not be turned off: %v", o.Ref, err)
		}
	}
}

// remove deletes an object, unless it is one that nobody makes anew.
func (v *vandal) remove(r *catalog.Resource, o entra.Object) bool {
	v.t.Helper()
	if catalog.Untimely(o, v.lab.Tenant.Now()) != "" {
		return false
	}
	return v.do(r.Remove(o))
}

// purge removes an object and takes it out of the recycle bin, if there is one: with what went there along with it, an
// application's service principal, or alone.
func (v *vandal) purge(r *catalog.Resource, o entra.Object, alone bool) bool {
	v.t.Helper()
	if !v.remove(r, o) {
		return false
	}
	appID, _ := o.Body.Get("appId")
	for bin := range catalog.All() {
		live, ok := catalog.Lookup(bin.Live)
		if !ok {
			continue
		}
		for _, other := range v.objects(live) {
			its, _ := other.Body.Get("appId")
			if other.Ref == o.Ref || !alone && appID != nil && its == appID {
				v.do(bin.Remove(other)) // where it lies; not every kind of object does
			}
		}
	}
	return true
}

// links are the links of a type that may be undone.
func (v *vandal) links(r *catalog.Resource, rel catalog.Relation) []entra.Link {
	v.t.Helper()
	var all []entra.Link
	for l, err := range v.tree.Links(v.t.Context(), r.Type, rel.Rel) {
		if err != nil {
			v.t.Fatal(err)
		}
		if !v.ours[l.From.ID] && !v.ours[l.To.ID] {
			all = append(all, l)
		}
	}
	return all
}

func (v *vandal) unlink(r *catalog.Resource, l entra.Link) bool {
	v.t.Helper()
	c, err := r.Unbind(l)
	return err == nil && v.do(c)
}

// furnish adds to a tenant what its population lacks and can be taken away again: what no policy is bound to.
func furnish(t *testing.T, tenant *emulator.Tenant) {
	t.Helper()
	for path, body := range map[string]map[string]any{
		"/v1.0/policies/authenticationStrengthPolicies": {"displayName": "Spare strength", "allowedCombinations": []string{"fido2"}},
		"/v1.0/roleManagement/directory/roleDefinitions": {"displayName": "Spare role", "isEnabled": true,
			"rolePermissions": []any{map[string]any{"allowedResourceActions": []string{"microsoft.directory/applications/basic/update"}}}},
		"/v1.0/identity/conditionalAccess/namedLocations": {"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Spare place", "isTrusted": true,
			"ipRanges": []any{map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.0/24"}}},
	} {
		if status, answer := tenant.Do("POST", path, body); status != 201 {
			t.Fatalf("%s: %d %v", path, status, answer)
		}
	}
	// The service keeps the last owner of a group.
	status, owner := tenant.Do("POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": "Spare owner", "mailNickname": "spare",
		"userPrincipalName": "spare@contoso.example", "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})
	if status != 201 {
		t.Fatalf("%d %v", status, owner)
	}
	_, groups := tenant.Do("GET", "/v1.0/groups?$top=999&$select=id", nil)
	list, _ := groups["value"].([]any)
	for _, g := range list {
		if g, ok := g.(map[string]any); ok {
			tenant.Do("POST", fmt.Sprintf("/v1.0/groups/%v/owners/$ref", g["id"]), map[string]any{"@odata.id": fmt.Sprintf("%s/v1.0/directoryObjects/%v", tenant.URL(), owner["id"])})
		}
	}
}

// restored takes a damaged tenant back to goal and holds the restore to its promises.
func restored(t *testing.T, l *lab.Lab, goal *snapshot.Snapshot, q plan.Request) *plan.Plan {
	t.Helper()
	base := l.Capture()
	p := l.Plan(base, goal, q)
	if _, objections := l.Judge(p, base); len(objections) > 0 && !q.EnableUsers {
		q.EnableUsers = true // who is excluded from a policy and comes back disabled is no way in
		p = l.Plan(base, goal, q)
	}
	for _, s := range p.Steps { // an application comes back with what only people may write
		if r, ok := catalog.Lookup(s.Ref.Type); ok && r.People {
			defer func(w *graph.Client) { l.Writer = w }(l.Writer)
			l.Writer = l.Person
			break
		}
	}
	report := l.Apply(p, base)
	for _, res := range report.Results {
		if res.Outcome != "done" && res.Outcome != "alreadyDone" {
			s := p.Steps[res.Step-1]
			t.Errorf("step %d %s %s %v: %s: %s", s.Number, s.Action, s.Ref, s.Link, res.Outcome, res.Error)
		}
	}
	after := l.Capture()
	for _, d := range l.Verify(p, goal, after) {
		t.Errorf("differs: %s %s: %s: want %v, got %v", d.Ref, d.Field, d.Reason, d.Goal, d.Now)
	}
	if again := l.Plan(after, goal, q); len(again.Steps) > 0 {
		t.Errorf("a second plan has %d steps; the first: %+v", len(again.Steps), again.Steps[0])
	}
	return p
}

// TestEveryTypeComesBack damages objects of every type, in every way that the type can be repaired of: each property that
// can be written is changed in some object, links are undone, and objects deleted, purged, and purged alone.
func TestEveryTypeComesBack(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	furnish(t, tenant)
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		l.SignIn()
		writer := l.Writer
		random := rand.New(rand.NewPCG(1, 2))
		types := 0
		for r := range catalog.All() {
			if l.Writer = writer; r.People {
				l.Writer = l.Person
			}
			type damage struct {
				name string
				do   func(v *vandal) int
			}
			some := func(v *vandal, most int, f func(o entra.Object) bool) (n int) {
				all := v.objects(r)
				for _, i := range random.Perm(len(all)) {
					if n < most && f(all[i]) {
						n++
					}
				}
				return n
			}
			var damages []damage
			if r.Can.Has(catalog.Update) {
				damages = append(damages, damage{"change", func(v *vandal) int {
					v.disarm(r)
					n, left := v.changeAll(r, random)
					for _, name := range left {
						t.Errorf("%s: the tenant takes no other %s", r.Type, name)
					}
					return n
				}})
			}
			if r.Can.Has(catalog.Create | catalog.Delete) {
				damages = append(damages,
					damage{"delete", func(v *vandal) int { return some(v, 3, func(o entra.Object) bool { return v.remove(r, o) }) }},
					damage{"purge", func(v *vandal) int { return some(v, 3, func(o entra.Object) bool { return v.purge(r, o, false) }) }},
					damage{"purge alone", func(v *vandal) int { return some(v, 3, func(o entra.Object) bool { return v.purge(r, o, true) }) }})
			}
			for _, rel := range r.Links {
				if rel.Sole {
					damages = append(damages, damage{"move " + rel.Rel, func(v *vandal) (n int) {
						from := v.objects(r)
						for _, l := range v.links(r, rel) {
							to := from[random.IntN(len(from))].Ref
							for to == l.From {
								to = from[random.IntN(len(from))].Ref
							}
							if c, err := r.Bind(entra.Link{From: to, Rel: rel.Rel, To: l.To}); err == nil && v.do(c) {
								n++
							}
						}
						return n
					}})
				} else if rel.Write {
					damages = append(damages, damage{"unlink " + rel.Rel, func(v *vandal) (n int) {
						all := v.links(r, rel)
						for _, i := range random.Perm(len(all)) {
							if n < 5 && v.unlink(r, all[i]) {
								n++
							}
						}
						return n
					}})
				}
			}
			if len(damages) > 0 {
				types++
			}
			for _, d := range damages {
				tenant.Advance(48 * time.Hour) // what was written down before is read no more
				goal := l.Capture()
				n := d.do(newVandal(t, l, goal))
				if n == 0 {
					t.Errorf("%s: %s: nothing could be damaged", r.Type, d.name)
					continue
				}
				p := restored(t, l, goal, plan.Request{})
				t.Logf("%s: %s of %d: %d steps, %d gaps", r.Type, d.name, n, len(p.Steps), len(p.Gaps))
				if len(p.Steps) == 0 {
					t.Errorf("%s: %s of %d needs no step", r.Type, d.name, n)
				}
				if t.Failed() {
					t.Fatalf("%s: %s", r.Type, d.name)
				}
			}
		}
		if types < 90 {
			t.Errorf("only %d types were damaged", types)
		}
		for name, why := range untouched {
			kind, property, _ := strings.Cut(name, ".")
			r, ok := catalog.Lookup(entra.Type(kind))
			if p, declared := r.Property(property); !ok || !declared || p.Write != catalog.Both && p.Write != catalog.OnUpdate {
				t.Errorf("%s is left alone because it %q, and cannot be written", name, why)
			}
		}
	})
}

// What is in one place always and was in none cannot be taken away, and the plan says so.
func TestWhatIsInOnePlaceAlways(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		l.SignIn()
		goal := l.Capture()
		_, app := tenant.Do("POST", "/v1.0/applications", map[string]any{"displayName": "Inside"})
		one := fmt.Sprint("/beta/applications/", app["id"])
		tenant.Do("PATCH", one, map[string]any{"onPremisesPublishing": map[string]any{"internalUrl": "https://in.example", "externalUrl": "https://out.example"}})
		_, groups := tenant.Do("GET", "/beta/onPremisesPublishingProfiles/applicationProxy/connectorGroups", nil)
		group := fmt.Sprint(groups["value"].([]any)[0].(map[string]any)["id"])
		if status, answer := tenant.Do("PUT", one+"/connectorGroup/$ref", map[string]any{"@odata.id": tenant.URL() + "/beta/onPremisesPublishingProfiles/applicationProxy/connectorGroups/" + group}); status != 204 {
			t.Fatal(status, answer)
		}
		p := l.Plan(l.Capture(), goal, plan.Request{Scope: plan.Scope{Types: []entra.Type{"connectorGroup"}, Delete: true}})
		if len(p.Steps) != 0 || len(p.Gaps) != 1 || !strings.Contains(p.Gaps[0].Reason, "in one such place always") {
			t.Errorf("%d steps, gaps %+v", len(p.Steps), p.Gaps)
		}
	})
}

// What needs another thing beside it in what contains both is not made where that does not come back with it.
func TestWhatNeedsAnotherBesideIt(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	furnish(t, tenant)
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant) // an application, which is not told how applications are published
		apps, _ := catalog.Lookup("application")
		segments, _ := catalog.Lookup("ipApplicationSegment")
		goal := l.Capture()
		v, in := newVandal(t, l, goal), map[entra.ID]bool{}
		for _, o := range v.objects(segments) {
			in[o.Ref.ID.In()] = true
		}
		n := 0
		for _, o := range v.objects(apps) {
			if in[o.Ref.ID] && v.purge(apps, o, false) {
				n++
			}
		}
		p := restored(t, l, goal, plan.Request{})
		for _, g := range p.Gaps {
			if g.Ref.Type == segments.Type && strings.Contains(g.Reason, "without its onPremisesPublishing") {
				n--
			}
		}
		if n != 0 || len(in) == 0 {
			t.Errorf("%d more gone than gaps: %+v", n, p.Gaps)
		}
	})
}
