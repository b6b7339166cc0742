package capture_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A first capture uses up what a service that keeps to its quotas grants for reads, and is never refused, whatever the
// size of the tenant. It counts from the first request to the directory to the last batch, for after that there are
// only lists of which each page has to be there before the next one can be asked for. What is granted is what was there
// at first and what has come since: that Conditional Access, governance or the audit log keep the capture waiting does
// not keep it from the directory. Where quotas are raised twentyfold requests take no time, because the capture has no
// more than ten batches of one relation under way.
func TestCapturesUseTheReadQuota(t *testing.T) {
	for _, x := range []struct {
		size          string
		users, groups int
		scale         graph.Scale
		told          graph.Scale
		takes         time.Duration // of a request
		units         float64       // in ten seconds, once
		long          bool
	}{
		{"S", 40, 9000, 1, 1, 20 * time.Millisecond, 3500, false},
		{"M", 60, 30000, 1, 1, 20 * time.Millisecond, 5000, true},
		{"L", 510, 30000, 1, 1, 20 * time.Millisecond, 8000, true},
		{"L", 510, 12000, 20, 20, 0, 8000, false},
		{"L", 510, 30000, 20, 20, 0, 8000, true},
		{"L", 510, 30000, 20, 1, 0, 8000, true},
	} {
		if x.long && os.Getenv("TIDEMARK_LONG") == "" {
			continue
		}
		t.Run(fmt.Sprintf("%s times %d told %d", x.size, x.scale, x.told), func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Users: x.users, Groups: x.groups, Apps: 1})
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				l.Asked = nil
				l.Raise(x.told)
				tenant.Throttle(float64(x.scale))
				defer tenant.Throttle(0)
				rate := float64(x.scale) * x.units / 10
				var mu sync.Mutex
				var first, last time.Time
				granted, spent, batches, use := x.units, 0.0, 0.0, 0.0
				l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
					if toDirectory(t, r) {
						mu.Lock()
						now := time.Now()
						if first.IsZero() {
							first, last = now, now
						}
						came := now.Sub(last).Seconds() * rate
						spent = float64(l.Reader.Stats().ResourceUnits) - batches // whose envelope costs nothing, whatever is said of it
						granted, last = granted+came, now
						if strings.HasSuffix(r.URL.Path, "/$batch") {
							use = spent / granted
							batches++
						}
						mu.Unlock()
					}
					time.Sleep(x.takes) // of the bubble
					return pass()
				}
				tenant.ResetRequests()
				s := l.Capture()
				for _, p := range s.Parts {
					if p.Coverage != snapshot.Complete && p.Coverage != snapshot.Skipped {
						t.Errorf("%s %s is %s: %s", p.Type, p.Relation, p.Coverage, p.Reason)
					}
				}
				refused, all := 0, 0
				for _, r := range tenant.Requests() {
					if all++; r.Status == http.StatusTooManyRequests {
						refused++
					}
				}
				t.Logf("%s times %d, told %d: %d requests of %.0f units in %s, %d refused, %.1f %% of the quota", x.size, x.scale, x.told, all, spent, last.Sub(first).Round(100*time.Millisecond), refused, 100*use)
				if use < 0.9 {
					t.Errorf("only %.0f %% of the quota were used", 100*use)
				}
				if refused > 0 {
					t.Errorf("%d of %d requests were refused", refused, all)
				}
			})
		})
	}
}

// toDirectory reports whether a request draws on the quota of the directory; a batch, whether its first one does.
func toDirectory(t *testing.T, r *http.Request) bool {
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if path == "$batch" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var batch struct {
			Requests []struct {
				URL string `json:"url"`
			} `json:"requests"`
		}
		if err := json.Unmarshal(body, &batch); err != nil || len(batch.Requests) == 0 {
			t.Fatalf("%s: %v", body, err)
		}
		path = strings.TrimPrefix(batch.Requests[0].URL, "/")
	}
	return !strings.Contains(r.URL.Path, "/oauth2/") && graph.Request{Path: "/" + path}.Service() == graph.Request{Path: "/users"}.Service()
}
