package capture_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
)

// Lists of objects and of their links are read side by side. Whichever comes first, the snapshot is the same, and the
// links of who was made in between are none of it.
func TestLinksMayComeBeforeObjects(t *testing.T) {
	const hour = time.Hour
	for name, late := range map[string]func(r *http.Request) time.Duration{
		"objects": func(r *http.Request) time.Duration {
			if q := r.URL.Query(); !q.Has("$expand") && !strings.HasSuffix(r.URL.Path, "/delta") && q.Has("$select") {
				return hour
			}
			return 0
		},
		"links": func(r *http.Request) time.Duration {
			if q := r.URL.Query(); q.Has("$expand") || strings.HasSuffix(r.URL.Path, "/delta") && !q.Has("$deltatoken") {
				return hour
			}
			return 0
		},
		"pages by turns": func(r *http.Request) time.Duration {
			return time.Duration(len(r.URL.RawQuery)%7) * time.Minute
		},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Users: 40, Groups: 12, Page: 5})
			synctest.Test(t, func(t *testing.T) {
				// What is read only if it is asked for would be late too, and hold all turns before people are listed.
				calm, l := lab.New(t, tenant), lab.New(t, tenant)
				calm.Asked, l.Asked = nil, nil
				truth := calm.Capture()
				waited := 0
				var once sync.Once
				var mu sync.Mutex
				var made entra.Ref
				l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
					d := time.Duration(0)
					if strings.HasPrefix(r.URL.Path, "/v1.0/users") || strings.HasPrefix(r.URL.Path, "/v1.0/groups") {
						d = late(r)
					}
					if d == 0 {
						return pass()
					}
					time.Sleep(d)
					if name == "links" { // by now all objects are listed
						once.Do(func() {
							boss := somebody(t, tenant)
							status, answer := tenant.Do("POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": "Late", "mailNickname": "late",
								"userPrincipalName": "late@contoso.example", "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})
							if status != 201 {
								t.Errorf("%d %v", status, answer)
							}
							made = entra.Ref{Type: "user", ID: entra.ID(fmt.Sprint(answer["id"]))}
							if status, answer := tenant.Do("PUT", "/v1.0/users/"+string(made.ID)+"/manager/$ref", map[string]any{"@odata.id": tenant.URL() + "/v1.0/users/" + boss}); status != 204 {
								t.Errorf("%d %v", status, answer)
							}
						})
					}
					mu.Lock()
					waited++
					mu.Unlock()
					return pass()
				}
				s := l.Capture()
				if waited < 10 || (name == "links") != (made.ID != "") {
					t.Errorf("%d requests were late, %q was made", waited, made)
				}
				for _, p := range s.Parts {
					if p.Type == "directoryAudit" {
						continue
					}
					if is := truth.Part(p.Type, p.Relation); p.Coverage != is.Coverage || p.Root != is.Root || p.Objects != is.Objects || p.Links != is.Links {
						t.Errorf("%s %s is %s with %d objects and %d links, not %d and %d: %s", p.Type, p.Relation, p.Coverage, p.Objects, p.Links, is.Objects, is.Links, p.Reason)
					}
				}
				if made.ID != "" {
					l.Wire.Meddle = nil
					s, tree := l.Capture(), l.Tree
					got := 0
					for link, err := range tree(s).Around(t.Context(), made) {
						if err != nil {
							t.Fatal(err)
						}
						if link.From == made && link.Rel == "manager" {
							got++
						}
					}
					if got != 1 {
						t.Errorf("who was made meanwhile has %d managers in the next snapshot", got)
					}
				}
			})
		})
	}
}

// somebody is a user of the tenant.
func somebody(t *testing.T, tenant *emulator.Tenant) string {
	status, answer := tenant.Do("GET", "/v1.0/users?$top=1&$select=id", nil)
	users, _ := answer["value"].([]any)
	if status != 200 || len(users) == 0 {
		t.Fatalf("%d %v", status, answer)
	}
	return fmt.Sprint(users[0].(map[string]any)["id"])
}
