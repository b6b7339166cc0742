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
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// The estimate holds against a service that keeps to its documented quotas: the restore takes as long, within a fifth,
// uses nine tenths of what the service grants for writes, and is hardly ever refused.
func TestEstimateHolds(t *testing.T) {
	n := 3000
	if long() {
		n = 10000
	}
	tenant := lab.Start(t, emulator.Options{Users: 600, Groups: 8, Apps: 1})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		d := &disaster{t: t, tenant: tenant}
		d.build(n)
		goal := l.Capture()
		d.strike()
		base := l.Capture()
		p := l.Plan(base, goal, plan.Request{})
		forecast := apply.Estimate(p)
		var mu sync.Mutex
		var last time.Time
		var idle time.Duration // while only Conditional Access was written
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
		tenant.Throttle(1)
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
			} else if r.Write {
				writes++
			}
		}
		use := float64(writes) / (3000 + 20*(took-idle).Seconds())
		t.Logf("%d steps, %d writes (estimated %d) in %s (estimated %s), %.0f %% of the quota, %d of %d refused", len(p.Steps), writes, forecast.Writes,
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
