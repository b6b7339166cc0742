package capture_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A trouble is what a service, a proxy or a network can give instead of an answer, and what a part is called that
// met it on its first page.
type trouble struct {
	name string
	emulator.Fault
	word snapshot.Coverage // Complete where the client outlasts it
}

func (t trouble) expired() bool { return strings.HasPrefix(t.name, "expired") }

// troubles last for ever, but for those that say how often.
func troubles() []trouble {
	throttled := func(name, after string) trouble {
		return trouble{name, emulator.Fault{Status: 429, RetryAfter: after, Times: 3}, snapshot.Complete}
	}
	return []trouble{
		{"400", emulator.Fault{Status: 400}, snapshot.Failed},
		{"expired", emulator.Fault{Status: 400, Body: `{"error":{"code":"Directory_ExpiredPageToken","message":"The specified page token value has expired."}}`}, snapshot.Failed},
		{"expired once", emulator.Fault{Status: 400, Times: 1, Body: `{"error":{"code":"Directory_ExpiredPageToken","message":"The specified page token value has expired."}}`}, snapshot.Complete},
		{"401", emulator.Fault{Status: 401}, snapshot.Denied},
		{"403", emulator.Fault{Status: 403}, snapshot.Denied},
		{"no licence", emulator.Fault{Status: 403, Body: `{"error":{"code":"Authentication_RequestFromNonPremiumTenantOrB2CTenant","message":"Neither tenant is B2C or tenant doesn't have premium license"}}`}, snapshot.Unlicensed},
		{"404", emulator.Fault{Status: 404}, snapshot.Failed},
		{"409", emulator.Fault{Status: 409}, snapshot.Failed},
		{"410", emulator.Fault{Status: 410}, snapshot.Failed},
		{"412", emulator.Fault{Status: 412}, snapshot.Failed},
		{"423", emulator.Fault{Status: 423}, snapshot.Failed},
		{"429 for ever", emulator.Fault{Status: 429}, snapshot.Failed},
		throttled("429 in seconds", "2"),
		throttled("429 in decimals", "0.249"),
		throttled("429 absurd", "99999999999999999999"),
		throttled("429 negative", "-5"),
		throttled("429 empty", ""),
		throttled("429 until a date", "Wed, 21 Oct 2026 07:28:00 GMT"),
		throttled("429 in words", "soon"),
		{"500", emulator.Fault{Status: 500}, snapshot.Failed},
		{"500 twice", emulator.Fault{Status: 500, Times: 2}, snapshot.Complete},
		{"501", emulator.Fault{Status: 501}, snapshot.Failed},
		{"502", emulator.Fault{Status: 502, Body: "<html>", ContentType: "text/html"}, snapshot.Failed},
		{"503", emulator.Fault{Status: 503}, snapshot.Failed},
		{"504", emulator.Fault{Status: 504}, snapshot.Failed},
		{"504 once", emulator.Fault{Status: 504, Times: 1}, snapshot.Complete},
		{"reset", emulator.Fault{Reset: true}, snapshot.Failed},
		{"reset twice", emulator.Fault{Reset: true, Times: 2}, snapshot.Complete},
		{"half a page", emulator.Fault{Status: 200, Body: `{"value":[{"id":"1","displayNa`}, snapshot.Failed},
		{"a page of a portal", emulator.Fault{Status: 200, Body: `<html>sign in</html>`, ContentType: "text/html"}, snapshot.Failed},
		{"a page of a portal as JSON", emulator.Fault{Status: 200, Body: `<html>sign in</html>`}, snapshot.Failed},
		{"an error as success", emulator.Fault{Status: 200, Body: `{"error":{"code":"UnknownError","message":"broken"}}`}, snapshot.Failed},
		{"no value", emulator.Fault{Status: 200, Body: `{"@odata.context":"x"}`}, snapshot.Failed},
		{"value is null", emulator.Fault{Status: 200, Body: `{"value":null}`}, snapshot.Failed},
		{"value is an object", emulator.Fault{Status: 200, Body: `{"value":{"id":"1"}}`}, snapshot.Failed},
		{"no id", emulator.Fault{Status: 200, Body: `{"value":[{"displayName":"no id"}]}`}, snapshot.Failed},
		{"two ids", emulator.Fault{Status: 200, Body: `{"value":[{"id":"1","id":"2"}]}`}, snapshot.Failed},
		{"nothing", emulator.Fault{Status: 200, Body: " "}, snapshot.Failed},
		{"a list of texts", emulator.Fault{Status: 200, Body: `{"value":["1"]}`}, snapshot.Failed},
	}
}

// A target is one part and the requests that read it.
type target struct {
	kind  entra.Type
	rel   string
	match []string // after the method
	each  bool     // one list for each of many objects
	one   bool     // no list at all
	pages int      // in a capture without faults
}

// targets are the parts that are read by themselves, or with within those that begin at other objects.
func targets(within bool) []*target {
	var all []*target
	path := func(p string) string {
		return "^" + regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(p), "[^/]+")
	}
	for r := range catalog.All() {
		if (r.Under != "") == within {
			all = append(all, &target{kind: r.Type, match: []string{path(r.List) + `(\?\$(select|top|filter)=|$)`}, each: within, one: r.One})
		}
		for _, rel := range r.Links {
			if !within {
				break
			}
			x := &target{kind: r.Type, rel: rel.Rel, match: []string{path(rel.Path) + `(\?|$)`}, each: rel.Read == catalog.ByList}
			switch rel.Read {
			case catalog.ByDelta:
				x.match = append(x.match, path(r.Delta)+`\?.*`+rel.Rel)
			case catalog.ByExpand:
				x.match = append(x.match, path(r.List)+`\?\$expand=`+rel.Rel)
			}
			if rel.Many { // what is not found is simply not there where there can be one at the most
				all = append(all, x)
			}
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
	do := func(want int, method, path string, body map[string]any) string {
		t.Helper()
		status, answer := tenant.Do(method, path, body)
		if status != want {
			t.Fatalf("%s %s: %d %v", method, path, status, answer)
		}
		id, _ := answer["id"].(string)
		return id
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

// TestAbsenceNeedsAWholeListing is law 12. Every part meets every trouble on its first, a middle and its last page:
// nothing that is there counts as gone, a part that is called complete is, one that is not says why and keeps the
// age of what it keeps, and the next capture is equal to one that begins anew. In one capture each part meets
// another trouble.
func TestAbsenceNeedsAWholeListing(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 18, Groups: 9, Apps: 3})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		l.Wire.Top = 4
		kinds := troubles()
		changes, rounds, cases, broken := 0, 0, 0, map[string]int{}
		met := map[string]bool{}
		for _, within := range []bool{false, true} {
			changes++
			change(t, tenant, changes)
			tenant.ResetRequests()
			before := l.Capture()
			parts := targets(within)
			for _, x := range parts {
				for _, q := range tenant.Requests() {
					bare := strings.TrimPrefix(strings.TrimPrefix(q.Path, "/v1.0"), "/beta")
					if slices.ContainsFunc(x.match, func(m string) bool { return regexp.MustCompile(m).MatchString(bare) }) {
						x.pages++
					}
				}
				if x.pages == 0 {
					t.Fatalf("%s %s: no request reads it", x.kind, x.rel)
				}
			}
			step := 1
			if os.Getenv("TIDEMARK_LONG") == "" {
				step = 3 // each part still meets every trouble, on one of the pages
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
							continue // it is left in peace
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
						for _, m := range x.match {
							f.Match = "GET " + m
							tenant.Inject(f.Fault)
						}
						cases++
					}
					got := l.Capture()
					tenant.ClearFaults()
					truth := fresh(t, tenant)
					for _, p := range got.Parts {
						was, is := before.Part(p.Type, p.Relation), truth.snap.Part(p.Type, p.Relation)
						who := strings.TrimSpace(string(p.Type) + " " + p.Relation)
						if p.Coverage == snapshot.Complete {
							if p.Root != is.Root && p.Type != "directoryAudit" {
								t.Errorf("%s is called complete and is not what is there", who)
							}
							continue
						}
						if p.Reason == "" {
							t.Errorf("%s is %s and does not say why", who, p.Coverage)
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
							if f.word == snapshot.Complete && !x.each && (x.rel == "" || f.Times != 1) && got.Part(x.kind, "").Coverage == snapshot.Complete {
								t.Errorf("%s: %s: %s", name, p.Coverage, p.Reason)
							}
						} else if f.word != snapshot.Complete && !within {
							t.Errorf("%s: it is called complete", name)
						}
						if !within && place == 0 && f.word != p.Coverage {
							t.Errorf("%s: it is called %s: %s", name, p.Coverage, p.Reason)
						}
						if place == 2 && x.pages > 1 && !x.each && f.word != snapshot.Complete && p.Coverage != snapshot.Partial && !within {
							t.Errorf("%s: it is called %s: %s", name, p.Coverage, p.Reason)
						}
						met[fmt.Sprint(x.kind, x.rel, f.name)] = true
					}
					before = l.Capture()
					for _, p := range before.Parts {
						if p.Coverage != snapshot.Complete {
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
				for _, f := range kinds {
					if !met[fmt.Sprint(x.kind, x.rel, f.name)] {
						t.Errorf("%s %s never met %s", x.kind, x.rel, f.name)
					}
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
