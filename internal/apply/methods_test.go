package apply_test

import (
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// The service takes no second mobile telephone without the first, and gives the first up after the second.
func TestTelephonesComeAndGoInOrder(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		without := l.Capture()
		where := "/v1.0/users/" + tenant.Find("users", "Henk Helpdesk") + "/authentication/"
		for kind, number := range map[string]string{"mobile": "+1 2065550101", "office": "+1 2065550103"} {
			if status, _ := tenant.Do("POST", where+"phoneMethods", map[string]any{"phoneType": kind, "phoneNumber": number}); status != 201 {
				t.Fatal(status)
			}
		}
		tenant.Do("POST", where+"phoneMethods", map[string]any{"phoneType": "alternateMobile", "phoneNumber": "+1 2065550102"})
		tenant.Do("POST", where+"emailMethods", map[string]any{"emailAddress": "me@home.example"})
		with := l.Capture()
		for _, goal := range []struct {
			name   string
			q      plan.Request
			with   bool
			number int
		}{
			{"they go", plan.Request{Scope: plan.Scope{Delete: true}}, false, 1},
			{"they come", plan.Request{}, true, 5},
		} {
			to := without
			if goal.with {
				to = with
			}
			restored(t, l, to, goal.q)
			_, is := tenant.Do("GET", where+"methods", nil)
			if methods, _ := is["value"].([]any); len(methods) != goal.number {
				t.Errorf("%s: there are %v", goal.name, methods)
			}
		}
	})
}
