package apply_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// What an undelete brings back by itself is seen in a list and not written, on later pages of the list too; where the
// list cannot be read, or does not show it, everything is written, and comes to the same.
func TestWhatAnUndeleteBringsBackIsNotWritten(t *testing.T) {
	for _, c := range []struct {
		name   string
		writes func(int64) bool
		meddle func(*http.Request, func() (*http.Response, error)) (*http.Response, error) // of a list
	}{
		{"seen", func(n int64) bool { return n == 0 }, func(_ *http.Request, pass func() (*http.Response, error)) (*http.Response, error) { return pass() }},
		{"not seen", func(n int64) bool { return n > 0 }, func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
			return nil, errors.New("connection reset by peer")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Users: 60, Groups: 8, Apps: 1, Page: 7})
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				id := group(t, tenant, "Crowd")
				var people []string
				for e, err := range l.Tree(l.Capture()).Entries(t.Context(), "user") {
					if err != nil {
						t.Fatal(err)
					}
					if status, answer := tenant.Do("POST", "/v1.0/groups/"+id+"/members/$ref", map[string]any{"@odata.id": tenant.URL() + "/v1.0/directoryObjects/" + string(e.Ref.ID)}); status != 204 {
						t.Fatalf("%d %v", status, answer)
					}
					people = append(people, "/v1.0/users/"+string(e.Ref.ID))
				}
				goal := l.Capture()
				deleted := 0
				for _, path := range append(people[len(people)/2:], "/v1.0/groups/"+id) {
					if status, _ := tenant.Do("DELETE", path, nil); status == 204 { // who is synchronised stays
						deleted++
					}
				}
				if deleted < 20 {
					t.Fatalf("%d are deleted, want 20", deleted)
				}
				base := l.Capture()
				p := l.Plan(base, goal, plan.Request{})
				attached := 0
				for _, s := range p.Steps {
					if s.Action == plan.Attach && s.Link.Rel == "members" {
						attached++
					}
				}
				var writes, lists atomic.Int64
				l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
					if strings.HasSuffix(r.URL.Path, "/$batch") {
						lists.Add(1)
						return c.meddle(r, pass)
					}
					if strings.HasSuffix(r.URL.Path, "/members/$ref") || r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/groups/") {
						writes.Add(1)
					}
					return pass()
				}
				report := l.Apply(p, base)
				l.Wire.Meddle = nil
				if report.Count(apply.Done)+report.Count(apply.AlreadyDone) != len(p.Steps) {
					t.Errorf("%+v", report.Results)
				}
				if attached < 60 || lists.Load() == 0 || !c.writes(writes.Load()) {
					t.Errorf("%d members, %d batches of lists, %d writes", attached, lists.Load(), writes.Load())
				}
				if d := l.Verify(p, goal, l.Capture()); len(d) > 0 {
					t.Errorf("differs: %+v", d)
				}
			})
		})
	}
}
