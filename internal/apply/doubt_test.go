package apply_test

import (
	"context"
	"net/http"
	"strings"
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
)

func group(t *testing.T, tenant *emulator.Tenant, name string) string {
	t.Helper()
	status, answer := tenant.Do("POST", "/v1.0/groups", map[string]any{"displayName": name, "mailNickname": "made", "mailEnabled": false, "securityEnabled": true})
	id, ok := answer["id"].(string)
	if status != 201 || !ok {
		t.Fatalf("%d %v", status, answer)
	}
	return id
}

func purge(t *testing.T, tenant *emulator.Tenant, id string) {
	t.Helper()
	if status, answer := tenant.Do("DELETE", "/v1.0/groups/"+id, nil); status != 204 {
		t.Fatalf("%d %v", status, answer)
	}
	tenant.Do("DELETE", "/v1.0/directory/deletedItems/"+id, nil)
}

// A creation whose answer is lost, while somebody else makes the very same thing, is nothing to choose between: the
// step stops and says so, and nothing is made a second time.
func TestTwoThatCouldBeIt(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 1})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		id := group(t, tenant, "Lost")
		goal := l.Capture()
		purge(t, tenant, id)
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		var once atomic.Bool
		l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/groups") && once.CompareAndSwap(false, true) {
				drop(pass())
				group(t, tenant, "Lost")
				return nil, errReset
			}
			return pass()
		}
		report := l.Apply(p, base)
		l.Wire.Meddle = nil
		if n := report.Count(apply.Failed); n != 1 || !strings.Contains(report.Results[0].Error, "2 objects are as") {
			t.Errorf("%+v", report.Results)
		}
		if n := counts(l.Capture())["group"]; n != counts(goal)["group"]+1 {
			t.Errorf("%d groups, there were %d", n, counts(goal)["group"])
		}
	})
}

// What was written is not to be seen everywhere at once. The restore waits, makes nothing twice and reports nothing
// as failed.
func TestWritesThatAppearLate(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 24, Groups: 10, Apps: 3})
	for range 3 {
		group(t, tenant, "Twin")
	}
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		for _, lag := range []int{1, 3, 5} {
			tenant.Advance(48 * time.Hour)
			goal := badDay(t, l, 1)
			base := l.Full()
			p := l.Plan(base, goal, plan.Request{})
			tenant.Lag(lag)
			var n atomic.Int64
			l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
				if writes(r) && n.Add(1)%7 == 0 {
					return losses[0].do(l, pass)
				}
				return pass()
			}
			report := l.Apply(p, base)
			l.Wire.Meddle = nil
			tenant.Lag(0)
			for _, res := range report.Results {
				if res.Outcome != apply.Done && res.Outcome != apply.AlreadyDone {
					t.Errorf("lag %d: step %d (%s %s) %s: %s", lag, res.Step, p.Steps[res.Step-1].Action, p.Steps[res.Step-1].Ref, res.Outcome, res.Error)
				}
			}
			for range 8 {
				l.Full() // until what was written last is seen
			}
			after := l.Full()
			for kind, had := range counts(goal) {
				if is := counts(after)[kind]; is != had {
					t.Errorf("lag %d: %d %s, there were %d", lag, is, kind, had)
				}
			}
			for _, d := range l.Verify(p, goal, after) {
				t.Errorf("lag %d: differs: %s %s: %s", lag, d.Ref, d.Field, d.Reason)
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	})
}

// A change of an object that is there, and a deletion, may be sent again: one that loses its answers four times over,
// while what is read is old still, is carried out and not given up.
func TestAnswersThatKeepGettingLost(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 1})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		changed := group(t, tenant, "Changed")
		goal := l.Capture()
		if status, answer := tenant.Do("PATCH", "/v1.0/groups/"+changed, map[string]any{"description": "other"}); status != 204 {
			t.Fatalf("%d %v", status, answer)
		}
		more := group(t, tenant, "More")
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{Scope: plan.Scope{Delete: true}})
		if len(p.Steps) != 2 {
			t.Fatalf("%+v", p.Steps)
		}
		tenant.Lag(9)
		var lost [2]atomic.Int64
		l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			for i, id := range []string{changed, more} {
				if writes(r) && strings.HasSuffix(r.URL.Path, id) && lost[i].Add(1) <= 4 {
					return losses[0].do(l, pass)
				}
			}
			return pass()
		}
		report := l.Apply(p, base)
		l.Wire.Meddle = nil
		if n := report.Count(apply.Done) + report.Count(apply.AlreadyDone); n != 2 {
			t.Errorf("%+v", report.Results)
		}
		if lost[0].Load() < 2 {
			t.Errorf("only %d of the changes were sent", lost[0].Load())
		}
		tenant.Lag(0)
	})
}

// Someone who asks to stop is heard soon: what is under way ends, nothing else begins, and the log says which.
func TestStopping(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 1})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		var ids []string
		for range 30 {
			ids = append(ids, group(t, tenant, "Lost"))
		}
		goal := l.Capture()
		for _, id := range ids {
			purge(t, tenant, id)
		}
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		cleared, record := l.Clear(p, base)
		ctx, stop := context.WithCancel(t.Context())
		var sent atomic.Int64
		l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if writes(r) && sent.Add(1) == 3 {
				stop()
				time.Sleep(5 * time.Second) // the answer takes a while
			}
			return pass()
		}
		began := time.Now()
		report, err := apply.Run(ctx, l.Writer, l.Repo, cleared, record, l.Options(base))
		if err == nil || time.Since(began) > 40*time.Second {
			t.Errorf("stopped after %v with %v", time.Since(began), err)
		}
		done, left := report.Count(apply.Done), report.Count(apply.NotRun)
		if done < 3 || left == 0 || done+left != 30 || report.Count(apply.Failed) != 0 {
			t.Errorf("%d done, %d left: %+v", done, left, report.Results)
		}
		report, err = apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, l.Options(base))
		if err != nil || report.Count(apply.Done) != 30 {
			t.Errorf("%v: %+v", err, report)
		}
		l.Follow()
		if n := counts(l.Capture())["group"]; n != counts(goal)["group"] {
			t.Errorf("%d groups, there were %d", n, counts(goal)["group"])
		}
	})
}

// A step that finds the tenant changed stops what needs it, and nothing else.
func TestOnlyWhatNeedsAStaleStepStops(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 1})
	a, b := group(t, tenant, "First"), group(t, tenant, "Second")
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		goal := l.Capture()
		rename := func(id, name string) {
			if status, answer := tenant.Do("PATCH", "/v1.0/groups/"+id, map[string]any{"displayName": name}); status != 204 {
				t.Fatalf("%d %v", status, answer)
			}
		}
		rename(a, "First, changed")
		rename(b, "Second, changed")
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		rename(a, "by a colleague")
		report := l.Apply(p, base)
		if report.Count(apply.Stale) != 1 || report.Count(apply.Done) != 1 {
			t.Errorf("%+v", report.Results)
		}
		after := l.Capture()
		o, err := l.Tree(after).Object(t.Context(), entra.Ref{Type: catalog.GroupType, ID: entra.ID(a)})
		if err != nil || catalog.Name(o) != "by a colleague" {
			t.Errorf("%v: %s", err, o.Body)
		}
	})
}
