package apply_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// person makes a user with an address.
func person(t *testing.T, tenant *emulator.Tenant, display, name string) string {
	t.Helper()
	id, _ := tell(t, tenant, 201, "POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": display, "mailNickname": "nick", "mail": name,
		"userPrincipalName": name, "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})["id"].(string)
	return id
}

// A person whose name and address another took since does not come back, and it is told who has them; where it is
// asked for, they come back under a free name and without the address.
func TestANameThatIsTaken(t *testing.T) {
	const name = "grace@contoso.example"
	for _, rename := range []bool{false, true} {
		t.Run(fmt.Sprint("rename ", rename), func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 1})
			was := person(t, tenant, "Grace", name)
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				goal := l.Capture()
				tell(t, tenant, 204, "DELETE", "/v1.0/users/"+was, nil)
				taker := person(t, tenant, "Taker", name)
				p := restored(t, l, goal, plan.Request{RenameTaken: rename})
				told := slices.ContainsFunc(p.Gaps, func(g plan.Gap) bool {
					return g.Ref.ID == entra.ID(was) && strings.Contains(g.Reason, "Taker, user/"+taker) && strings.Contains(g.Reason, "--rename-taken") == !rename
				})
				if !told || len(p.Steps) > 0 != rename {
					t.Errorf("steps %+v, gaps %+v", p.Steps, p.Gaps)
				}
				found, _ := tell(t, tenant, 200, "GET", "/v1.0/users?$select=id,userPrincipalName,proxyAddresses&$filter=displayName%20eq%20'Grace'", nil)["value"].([]any)
				if len(found) > 0 != rename {
					t.Fatalf("found %v", found)
				}
				for _, f := range found {
					f := f.(map[string]any)
					if f["userPrincipalName"] != "grace-restored@contoso.example" || f["id"] != was {
						t.Errorf("came back as %v", f)
					}
				}
			})
		})
	}
}

// team makes a Microsoft 365 group.
func team(t *testing.T, tenant *emulator.Tenant, display string) string {
	t.Helper()
	id, _ := tell(t, tenant, 201, "POST", "/v1.0/groups", map[string]any{"displayName": display, "mailNickname": "rockets", "mailEnabled": true,
		"securityEnabled": false, "groupTypes": []any{"Unified"}})["id"].(string)
	return id
}

// The nickname of a group is its address: one that is taken is kept from a group that is made anew, or undeleted,
// where no other can be given.
func TestANicknameThatIsTaken(t *testing.T) {
	for _, test := range []struct {
		title         string
		purge, rename bool
		nick          string // "" for none
	}{
		{"undeleted", false, false, ""},
		{"undeleted, to be renamed", false, true, ""},
		{"created", true, false, ""},
		{"created, renamed", true, true, "rockets-restored"},
	} {
		t.Run(test.title, func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 1})
			was := team(t, tenant, "Rockets")
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				goal := l.Capture()
				tell(t, tenant, 204, "DELETE", "/v1.0/groups/"+was, nil)
				if test.purge {
					tell(t, tenant, 204, "DELETE", "/v1.0/directory/deletedItems/"+was, nil)
				}
				taker := team(t, tenant, "Taker")
				p := restored(t, l, goal, plan.Request{RenameTaken: test.rename})
				told := slices.ContainsFunc(p.Gaps, func(g plan.Gap) bool {
					return g.Ref.ID == entra.ID(was) && strings.Contains(g.Reason, "Taker, group/"+taker)
				})
				if !told {
					t.Errorf("gaps %+v", p.Gaps)
				}
				nick := ""
				for _, f := range tell(t, tenant, 200, "GET", "/v1.0/groups?$filter=displayName%20eq%20'Rockets'", nil)["value"].([]any) {
					nick, _ = f.(map[string]any)["mailNickname"].(string)
				}
				if nick != test.nick {
					t.Errorf("came back as %q", nick)
				}
			})
		})
	}
}

// A name that its holder gives up in the same plan is free.
func TestANameThatIsGivenUp(t *testing.T) {
	const name = "grace@contoso.example"
	for _, deletes := range []bool{false, true} {
		tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 1})
		was, holder := person(t, tenant, "Grace", name), ""
		if !deletes {
			holder = person(t, tenant, "Holder", "holder@contoso.example")
		}
		synctest.Test(t, func(t *testing.T) {
			l := lab.New(t, tenant)
			goal := l.Capture()
			tell(t, tenant, 204, "DELETE", "/v1.0/users/"+was, nil)
			if deletes {
				person(t, tenant, "Taker", name)
			} else {
				tell(t, tenant, 204, "PATCH", "/v1.0/users/"+holder, map[string]any{"userPrincipalName": name})
			}
			restored(t, l, goal, plan.Request{Scope: plan.Scope{Delete: deletes}})
			if is := tell(t, tenant, 200, "GET", "/v1.0/users/"+was, nil); is["userPrincipalName"] != name {
				t.Errorf("came back as %v", is)
			}
		})
	}
}
