package capture_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
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
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A hand does things to a tenant at random.
type hand struct {
	t      *testing.T
	tenant *emulator.Tenant
	random *rand.Rand
	n      int
	done   map[string]int
}

// ids are those of a collection.
func (h *hand) ids(path string) (ids []string) {
	h.t.Helper()
	for next := path; next != ""; {
		status, answer := h.tenant.Do("GET", next, nil)
		if status != 200 {
			return nil // what it would be in is not there
		}
		items, _ := answer["value"].([]any)
		for _, item := range items {
			id, _ := item.(map[string]any)["id"].(string)
			ids = append(ids, id)
		}
		link, _ := answer["@odata.nextLink"].(string)
		next = strings.TrimPrefix(link, h.tenant.URL())
	}
	return ids
}

func (h *hand) one(path string) string {
	h.t.Helper()
	ids := h.ids(path)
	if len(ids) == 0 {
		return "none"
	}
	return ids[h.random.IntN(len(ids))]
}

func (h *hand) ref(path string) map[string]any {
	return map[string]any{"@odata.id": h.tenant.URL() + "/v1.0/directoryObjects/" + h.one(path)}
}

// act does one thing, which the tenant may refuse.
func (h *hand) act() {
	h.t.Helper()
	h.n++
	name := fmt.Sprintf("hand%d", h.n)
	const users, groups, apps, principals, units = "/v1.0/users", "/v1.0/groups", "/v1.0/applications", "/v1.0/servicePrincipals", "/v1.0/directory/administrativeUnits"
	const bin = "/v1.0/directory/deletedItems/microsoft.graph."
	some := func(paths ...string) string { return paths[h.random.IntN(len(paths))] }
	acts := []func() (what string, status int){
		func() (string, int) {
			status, _ := h.tenant.Do("POST", users, map[string]any{"accountEnabled": true, "displayName": name, "mailNickname": name, "userPrincipalName": name + "@contoso.example", "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})
			return "create user", status
		},
		func() (string, int) {
			status, _ := h.tenant.Do("POST", groups, map[string]any{"displayName": name, "mailNickname": name, "mailEnabled": false, "securityEnabled": true, "members@odata.bind": []any{h.ref(users)["@odata.id"]}})
			return "create group", status
		},
		func() (string, int) {
			status, _ := h.tenant.Do("POST", apps, map[string]any{"displayName": name})
			return "create application", status
		},
		func() (string, int) {
			status, _ := h.tenant.Do("PATCH", users+"/"+h.one(users), map[string]any{some("jobTitle", "city", "department"): some("a", "b", name)})
			return "change user", status
		},
		func() (string, int) {
			status, _ := h.tenant.Do("PATCH", users+"/"+h.one(users), map[string]any{some("jobTitle", "city", "department"): nil, "businessPhones": []any{}})
			return "clear", status
		},
		func() (string, int) {
			at := some(groups, apps, principals, units)
			status, _ := h.tenant.Do("PATCH", at+"/"+h.one(at), map[string]any{"description": name})
			return "describe", status
		},
		func() (string, int) {
			at := some(users, groups, apps, principals, units)
			id := h.one(at)
			if _, o := h.tenant.Do("GET", at+"/"+id, nil); strings.HasPrefix(fmt.Sprint(o["displayName"]), "Directory ") {
				return "spare who captures", 400
			}
			status, _ := h.tenant.Do("DELETE", at+"/"+id, nil)
			return "delete", status
		},
		func() (string, int) {
			at := bin + some("user", "group", "application", "servicePrincipal", "administrativeUnit")
			status, _ := h.tenant.Do("POST", "/v1.0/directory/deletedItems/"+h.one(at)+"/restore", nil)
			return "restore", status
		},
		func() (string, int) {
			at := bin + some("user", "group", "application", "servicePrincipal")
			status, _ := h.tenant.Do("DELETE", "/v1.0/directory/deletedItems/"+h.one(at), nil)
			return "purge", status
		},
		func() (string, int) {
			at := some(groups, units)
			status, _ := h.tenant.Do("POST", at+"/"+h.one(at)+"/members/$ref", h.ref(some(users, groups)))
			return "add member", status
		},
		func() (string, int) {
			at := some(groups, units)
			in := at + "/" + h.one(at) + "/members"
			status, _ := h.tenant.Do("DELETE", in+"/"+h.one(in)+"/$ref", nil)
			return "remove member", status
		},
		func() (string, int) {
			at := some(groups, apps, principals)
			status, _ := h.tenant.Do("POST", at+"/"+h.one(at)+"/owners/$ref", h.ref(users))
			return "add owner", status
		},
		func() (string, int) {
			at := some(groups, apps, principals)
			in := at + "/" + h.one(at) + "/owners"
			status, _ := h.tenant.Do("DELETE", in+"/"+h.one(in)+"/$ref", nil)
			return "remove owner", status
		},
		func() (string, int) {
			status, _ := h.tenant.Do("PUT", users+"/"+h.one(users)+"/manager/$ref", h.ref(users))
			return "set manager", status
		},
		func() (string, int) {
			status, _ := h.tenant.Do("DELETE", users+"/"+h.one(users)+"/manager/$ref", nil)
			return "remove manager", status
		},
		func() (string, int) {
			status, _ := h.tenant.Do("POST", users+"/"+h.one(users)+"/sponsors/$ref", h.ref(users))
			return "add sponsor", status
		},
		func() (string, int) {
			resource := h.one(principals)
			status, _ := h.tenant.Do("POST", principals+"/"+resource+"/appRoleAssignedTo", map[string]any{"principalId": h.one(some(users, groups)), "resourceId": resource, "appRoleId": "00000000-0000-0000-0000-000000000000"})
			return "assign", status
		},
		func() (string, int) {
			in := principals + "/" + h.one(principals) + "/appRoleAssignedTo"
			status, _ := h.tenant.Do("DELETE", in+"/"+h.one(in), nil)
			return "take assignment", status
		},
		func() (string, int) {
			status, _ := h.tenant.Do("POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": h.one(principals), "resourceId": h.one(principals), "consentType": "AllPrincipals", "scope": name})
			return "grant", status
		},
		func() (string, int) {
			const grants = "/v1.0/oauth2PermissionGrants"
			status, _ := h.tenant.Do(some("DELETE", "PATCH"), grants+"/"+h.one(grants), map[string]any{"scope": name})
			return "change grant", status
		},
	}
	if what, status := acts[h.random.IntN(len(acts))](); status < 300 {
		h.done[what]++
	}
}

// same holds what a capture saw to be what one sees that begins anew.
func same(t *testing.T, l *lab.Lab, was *snapshot.Snapshot) {
	t.Helper()
	other := lab.New(t, l.Tenant)
	other.Asked = l.Asked
	is := other.Capture()
	for _, p := range is.Parts {
		q := was.Part(p.Type, p.Relation)
		if q.Root == p.Root && q.Coverage == snapshot.Complete || q.Coverage == snapshot.Complete && !slices.Equal(p.Asked, q.Asked) {
			continue // values of extensions that went out of sight are as they were
		}
		if p.Coverage != snapshot.Complete {
			continue // who captures lost a permission
		}
		t.Errorf("%s %s is %s with %d objects and %d links: %s; listed whole it has %d and %d", p.Type, p.Relation, q.Coverage, q.Objects, q.Links, q.Reason, p.Objects, p.Links)
		had, has := state(t, l, was, p), state(t, other, is, p)
		for name := range had {
			if !has[name] {
				t.Errorf("too much: %s", name)
			}
		}
		for name := range has {
			if !had[name] {
				t.Errorf("missing: %s", name)
			}
		}
		for e, err := range other.Tree(is).Entries(t.Context(), p.Type) {
			if err != nil {
				t.Fatal(err)
			}
			if is, err := other.Tree(is).Object(t.Context(), e.Ref); err != nil || p.Relation != "" {
				continue
			} else if was, err := l.Tree(was).Object(t.Context(), e.Ref); err == nil && was.Body != is.Body {
				had, has := was.Body.Decode(), is.Body.Decode()
				for name := range had {
					if fmt.Sprint(had[name]) != fmt.Sprint(has[name]) {
						t.Errorf("%s: %s was heard as %v and is listed as %v", e.Ref, name, had[name], has[name])
					}
				}
				for name := range has {
					if _, ok := had[name]; !ok {
						t.Errorf("%s: %s was not heard and is listed as %v", e.Ref, name, has[name])
					}
				}
			}
		}
	}
}

// TestWhatIsHeardIsWhatIsThere is the law of incremental captures: whatever happens to a tenant, a capture that takes
// in what the service says of it sees the same as one that lists everything.
func TestWhatIsHeardIsWhatIsThere(t *testing.T) {
	seeds := 6
	if os.Getenv("TIDEMARK_LONG") != "" {
		seeds = 200
	}
	done, rounds, whole := map[string]int{}, 0, 0
	for seed := range seeds {
		tenant := lab.Start(t, emulator.Options{Seed: uint64(seed), Users: 24, Groups: 10, Apps: 4})
		synctest.Test(t, func(t *testing.T) {
			l := lab.New(t, tenant)
			random := rand.New(rand.NewPCG(uint64(seed), 1))
			h := &hand{t: t, tenant: tenant, random: random, done: done}
			l.Wire.Top = 7
			l.Capture()
			for range 4 {
				for range 1 + random.IntN(30) {
					h.act()
				}
				heard := l.Capture()
				whole += len(listed(heard))
				tenant.Advance(time.Duration(random.IntN(4)) * time.Hour)
				same(t, l, heard)
				if rounds++; t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
		tenant.Close()
	}
	t.Logf("%d captures, %d types listed whole in them, after %v", rounds, whole, done)
	if len(done) < 18 || whole > rounds { // of six types
		t.Errorf("too little happened: %v", done)
	}
}

// listed are the types whose objects a capture listed whole.
func listed(s *snapshot.Snapshot) (types []entra.Type) {
	for _, p := range s.Parts {
		if r, _ := catalog.Lookup(p.Type); p.Relation == "" && r.Delta != "" && p.Full.Equal(p.Read) {
			types = append(types, p.Type)
		}
	}
	return types
}

// TestWhenAllIsListed holds that a capture lists all again where what it would hear cannot be trusted.
func TestWhenAllIsListed(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{})
	path := "/v1.0/users/" + tenant.Find("users", "admin@contoso.example")
	tracked := 0
	for r := range catalog.All() {
		if r.Delta != "" {
			tracked++
		}
	}
	for name, test := range map[string]struct {
		before func(l *lab.Lab)
		all    bool
	}{
		"nothing happened":  {func(*lab.Lab) {}, false},
		"a week has passed": {func(l *lab.Lab) { l.Tenant.Advance(7 * 24 * time.Hour) }, true},
		"Microsoft's recovery ran": {func(l *lab.Lab) {
			l.Tenant.Recover(func() { l.Tenant.Do("PATCH", path, map[string]any{"city": "Recovered"}) })
		}, true},
		"Microsoft's recovery ran, and only the log says so": {func(l *lab.Lab) {
			l.Tenant.Deny("EntraBackup.Read.All")
			l.Tenant.Recover(func() { l.Tenant.Do("PATCH", path, map[string]any{"city": "Recovered again"}) })
		}, true},
		"the tokens are gone": {func(l *lab.Lab) {
			l.Tenant.Inject(emulator.Fault{Match: `GET ^/.*/delta\?\$deltatoken=[^l]`, Status: 410, Times: -1})
		}, true},
		"the tokens are not understood": {func(l *lab.Lab) {
			l.Tenant.Inject(emulator.Fault{Match: `GET ^/.*/delta\?\$deltatoken=[^l]`, Status: 400, Times: -1})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer tenant.ClearFaults()
				defer tenant.Grant("EntraBackup.Read.All")
				l := lab.New(t, tenant)
				l.Asked = slices.DeleteFunc(l.Asked, func(t entra.Type) bool { return t == "recoverySnapshot" }) // which needs that permission
				l.Capture()
				tenant.Advance(2 * time.Hour)
				if got := listed(l.Capture()); len(got) != 0 && name == "nothing happened" {
					t.Errorf("unasked, %v were listed whole", got)
				}
				test.before(l)
				tenant.Advance(90 * time.Minute)
				s := l.Capture()
				if got := listed(s); len(got) > 0 != test.all || test.all && len(got) != tracked {
					t.Errorf("listed whole: %v", got)
				}
				tenant.ClearFaults()
				same(t, l, s)
				tenant.Advance(2 * time.Hour)
				if got := listed(l.Capture()); len(got) > 0 {
					t.Errorf("once is enough: %v", got)
				}
			})
		})
	}
}

// Where a listing broke off that Microsoft's recovery had made necessary, what came before it is not trusted later.
func TestARecoveryIsNotForgotten(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		l.Capture()
		tenant.Recover(func() {
			tenant.Do("PATCH", "/v1.0/users/"+tenant.Find("users", "admin@contoso.example"), map[string]any{"city": "Recovered"})
		})
		tenant.Advance(2 * time.Hour)
		tenant.Inject(emulator.Fault{Match: `GET ^/users\?`, Status: 500, Times: -1})
		if p := l.Capture().Part(catalog.UserType, ""); p.Coverage != snapshot.Failed {
			t.Fatalf("people are %s", p.Coverage)
		}
		tenant.ClearFaults()
		tenant.Advance(2 * time.Hour)
		s := l.Capture()
		if got := listed(s); !slices.Contains(got, catalog.UserType) {
			t.Errorf("listed whole: %v", got)
		}
		same(t, l, s)
	})
}

// A round that fails counts for nothing, and the next capture hears it again.
func TestARoundCountsWholeOrNotAtAll(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 220})
	l := lab.New(t, tenant)
	before := l.Capture()
	h := &hand{t: t, tenant: tenant, random: rand.New(rand.NewPCG(1, 2)), done: map[string]int{}}
	for range 40 {
		h.act()
	}
	tenant.Inject(emulator.Fault{Match: `GET ^/users/delta\?\$skiptoken`, Status: 500, Times: -1})
	for _, id := range h.ids("/v1.0/users") { // two pages of a round
		tenant.Do("PATCH", "/v1.0/users/"+id, map[string]any{"city": "Elsewhere"})
	}
	broken := l.Capture()
	was, is := before.Part(catalog.UserType, ""), broken.Part(catalog.UserType, "")
	if is.Coverage != snapshot.Failed || is.Root != was.Root || is.Delta != was.Delta || is.Reason == "" {
		t.Errorf("a round broke off: %s, %d changed: %s", is.Coverage, is.Changed, is.Reason)
	}
	if p := broken.Part(catalog.UserType, catalog.Manager); p.Coverage != snapshot.Failed || p.Root != before.Part(p.Type, p.Relation).Root {
		t.Errorf("its links are %s", p.Coverage)
	}
	tenant.ClearFaults()
	healed := l.Capture()
	if got := listed(healed); slices.Contains(got, catalog.UserType) {
		t.Errorf("listed whole: %v", got)
	}
	same(t, l, healed)
}

// carry gives a trouble in the place of an answer.
func (f trouble) carry() carrier {
	switch {
	case f.wire != nil:
		return f.wire
	case f.Reset:
		return broken(syscall.ECONNRESET)
	}
	return func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		body := cmp.Or(f.Body, `{"error":{"code":"Broken","message":"broken"}}`)
		h := http.Header{"Content-Type": {cmp.Or(f.ContentType, "application/json")}}
		if f.RetryAfter != "" {
			h.Set("Retry-After", f.RetryAfter)
		}
		return &http.Response{StatusCode: f.Status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// TestRoundsUnderFire is law 12 for rounds. Each type's round meets every trouble on its first, its second and its last
// page: it counts whole, or not at all and says why, or leads to a listing, and the next capture heals it.
func TestRoundsUnderFire(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 18, Groups: 9, Apps: 3, Page: 1})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		before := l.Capture()
		h := &hand{t: t, tenant: tenant}
		var types []*catalog.Resource
		for r := range catalog.All() {
			if r.Delta != "" && before.Part(r.Type, "").Delta != "" {
				types = append(types, r)
			}
		}
		kinds := troubles()
		step := 1
		if os.Getenv("TIDEMARK_LONG") == "" {
			step = 12
		}
		met, failed, changes := map[string]int{}, 0, 0
		for place := range 3 {
			for k := place; k < len(kinds); k += step {
				changes++
				change(t, tenant, changes)
				for path, name := range map[string]string{"/users": "jobTitle", "/groups": "description", "/applications": "notes", "/servicePrincipals": "notes",
					"/directory/administrativeUnits": "description", "/oauth2PermissionGrants": "scope"} {
					ids := h.ids("/v1.0" + path)
					for _, id := range ids[:min(4, len(ids))] { // some pages of a round
						if status, answer := tenant.Do("PATCH", "/v1.0"+path+"/"+id, map[string]any{name: fmt.Sprint("change ", changes)}); status != 204 {
							t.Fatal(path, status, answer)
						}
					}
				}
				var mu sync.Mutex
				pages, times := map[*catalog.Resource][]string{}, map[*catalog.Resource]int{}
				l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
					address := r.URL.RequestURI()
					i := slices.IndexFunc(types, func(x *catalog.Resource) bool { return strings.HasPrefix(address, "/"+string(x.Version)+x.Delta+"?") })
					if i < 0 || strings.Contains(address, "deltatoken=latest") {
						return pass()
					}
					x, f := types[i], kinds[(i*7+k)%len(kinds)]
					mu.Lock()
					first := len(pages[x]) == 0 && strings.Contains(address, "deltatoken=")
					if (first || len(pages[x]) > 0) && !slices.Contains(pages[x], address) {
						pages[x] = append(pages[x], address)
					}
					page := slices.Index(pages[x], address) + 1
					mu.Unlock()
					due := page == 1+place
					if place == 2 && page > 0 {
						r.Header.Del("Accept-Encoding") // so that the last page can be told
						answer, err := through(pass, func(body []byte) io.Reader {
							due = bytes.Contains(body, []byte("@odata.deltaLink"))
							return bytes.NewReader(body)
						})
						if err != nil || !due {
							return answer, err
						}
					}
					mu.Lock()
					due = due && (f.Times == 0 || times[x] < f.Times)
					if due {
						times[x]++
						met[f.name]++
					}
					mu.Unlock()
					if !due {
						return pass()
					}
					return f.carry()(r, pass)
				}
				got := l.Capture()
				l.Wire.Meddle = nil
				truth := fresh(t, tenant)
				for i, x := range types {
					f := kinds[(i*7+k)%len(kinds)]
					for _, p := range got.Parts {
						if p.Type != x.Type || p.Relation != "" {
							continue
						}
						was, is := before.Part(p.Type, ""), truth.snap.Part(p.Type, "")
						switch {
						case p.Coverage == snapshot.Complete:
							if p.Root != is.Root {
								t.Errorf("%s, %s: called complete it is not what is there", x.Type, f.name)
							}
						case f.word == snapshot.Complete:
							t.Errorf("%s, %s: %s: %s", x.Type, f.name, p.Coverage, p.Reason)
						case p.Root != was.Root || p.Complete != was.Complete || p.Delta != was.Delta || !strings.Contains(p.Reason, "GET /"):
							t.Errorf("%s, %s: it counts in part: %s", x.Type, f.name, p.Reason)
						default:
							failed++
						}
					}
				}
				before = l.Capture()
				if err := asInCalm(before, truth.snap); err != nil || t.Failed() {
					t.Fatalf("place %d, %s: %v", place, kinds[k].name, err)
				}
			}
		}
		t.Logf("%d types, %d captures, %d troubles met, %d rounds failed", len(types), changes, len(met), failed)
		if len(types) < 5 || failed < 2*changes/3 || step == 1 && len(met) < len(kinds) {
			t.Errorf("%d types, %d captures, only %d troubles met, %d rounds failed", len(types), changes, len(met), failed)
		}
	})
}
