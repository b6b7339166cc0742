package apply_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// The estimate holds against a service that keeps to its documented quotas: the restore takes as long, within a fifth,
// uses nine tenths of what the service grants for writes, and is hardly ever refused.
func TestEstimateHolds(t *testing.T) {
	n := 2600
	if long() {
		n = 10000
	}
	holds(t, n, 1)
}

// The same holds for a tenant whose quotas were raised, where the configuration says so.
func TestEstimateHoldsForRaisedQuotas(t *testing.T) {
	if n := 10000; long() {
		holds(t, n, 20)
	} else {
		holds(t, 2600, 4)
	}
}

func holds(t *testing.T, n int, scale graph.Scale) {
	tenant := lab.Start(t, emulator.Options{Users: 600, Groups: 8, Apps: 1})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		l.Asked = nil
		d := &disaster{t: t, tenant: tenant}
		d.build(n)
		goal := l.Capture()
		d.strike()
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		forecast := apply.Estimate(p, scale)
		var mu sync.Mutex
		var last time.Time     // when the directory was written
		var idle time.Duration // while only Conditional Access was, before that
		l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/conditionalAccess/") {
				mu.Lock()
				if gap := time.Since(last); gap > time.Second && !last.IsZero() {
					idle += gap
				}
				last = time.Now()
				mu.Unlock()
			}
			time.Sleep(150 * time.Millisecond) // of the bubble; as Estimate takes a request to need
			return pass()
		}
		tenant.ResetRequests()
		tenant.Throttle(float64(scale))
		l.Raise(scale)
		began := time.Now()
		report := l.Apply(p, base)
		took := time.Since(began)
		tenant.Throttle(0)
		l.Wire.Meddle = nil
		writes, refused, all := 0, 0, 0
		for _, r := range tenant.Requests() {
			all++
			if r.Status == http.StatusTooManyRequests {
				refused++
			} else if r.Write && !strings.Contains(r.Path, "/conditionalAccess/") {
				writes++
			}
		}
		use := float64(writes) / (3000 + 20*float64(scale)*(last.Sub(began)-idle).Seconds())
		t.Logf("%d steps, %d writes (of all %d estimated) in %s (estimated %s), %.0f %% of the quota, %d of %d refused", len(p.Steps), writes, forecast.Writes,
			took.Round(time.Second), forecast.Whole().Round(time.Second), 100*use, refused, all)
		if done := report.Count(apply.Done) + report.Count(apply.AlreadyDone); done != len(p.Steps) {
			t.Errorf("%d of %d steps happened", done, len(p.Steps))
		}
		if off := forecast.Whole().Seconds() / took.Seconds(); off < 0.8 || off > 1.2 {
			t.Errorf("estimated %s, took %s", forecast.Whole(), took)
		}
		if use < 0.9 {
			t.Errorf("only %.0f %% of the quota were used", 100*use)
		}
		if 100*refused >= all {
			t.Errorf("%d of %d requests were refused", refused, all)
		}
	})
}
