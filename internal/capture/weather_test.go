package capture_test

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// weather makes so many of a hundred requests fail, as a seed decides: throttled, unavailable or reset.
func weather(t *testing.T, seed, percent int, failed *int) carrier {
	var mu sync.Mutex
	times := map[string]int{}
	return func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "/oauth2/") {
			return pass()
		}
		mu.Lock()
		defer mu.Unlock()
		what := strings.Join(addresses(t, r), " ")
		times[what]++
		h := fnv.New64a()
		fmt.Fprintln(h, seed, what, times[what])
		x := h.Sum64()
		x ^= x >> 33
		x *= 0xff51afd7ed558ccd
		x ^= x >> 33
		if int(x%100) >= percent {
			return pass()
		}
		*failed++
		refusal := &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody, Request: r}
		switch x / 100 % 4 {
		case 0:
			return nil, syscall.ECONNRESET
		case 1:
			refusal.StatusCode = 429
			refusal.Header.Set("Retry-After", "2")
		case 2:
			refusal.StatusCode = 429
		}
		return refusal, nil
	}
}

// In any weather a capture is what it is in calm: nothing is missing and nothing twice.
func TestCapturesInBadWeather(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 40, Page: 5})
	seeds := 3
	if os.Getenv("TIDEMARK_LONG") != "" {
		seeds = 100
	}
	synctest.Test(t, func(t *testing.T) {
		truth := fresh(t, tenant).snap
		failed := 0
		for _, percent := range []int{5, 25} {
			for seed := range seeds {
				l := lab.New(t, tenant)
				l.Wire.Meddle = weather(t, seed, percent, &failed)
				s := l.Capture()
				for _, p := range s.Parts {
					if is := truth.Part(p.Type, p.Relation); p.Coverage != snapshot.Complete || p.Root != is.Root || p.Objects != is.Objects || p.Links != is.Links {
						t.Errorf("seed %d, %d %%: %s %s is %s and not what it is in calm: %s", seed, percent, p.Type, p.Relation, p.Coverage, p.Reason)
					}
				}
			}
		}
		if failed < 10*seeds {
			t.Errorf("only %d requests failed", failed)
		}
		t.Logf("%d captures, %d requests failed", 2*seeds, failed)
	})
}

// A capture of a service that counts requests keeps to what is documented from the first one on: it is never refused.
func TestCapturesKeepToTheRate(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 16, Groups: 8, Apps: 1, Page: 1})
	for i := range 12 {
		bury(t, tenant, i) // for a log of some length
	}
	synctest.Test(t, func(t *testing.T) {
		truth := fresh(t, tenant).snap
		tenant.Throttle(1)
		defer tenant.Throttle(0)
		l := lab.New(t, tenant)
		l.Raise(1)
		var mu sync.Mutex
		sent, refused := map[string][]time.Time{}, map[string]int{}
		services := map[string]string{"/v1.0/identity/conditionalAccess/": "Conditional Access", "/v1.0/auditLogs/": "the audit log"}
		l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			service := ""
			for prefix, name := range services {
				if strings.HasPrefix(r.URL.Path, prefix) {
					service = name
				}
			}
			if service == "" {
				return pass()
			}
			mu.Lock()
			defer mu.Unlock()
			sent[service] = append(sent[service], time.Now())
			answer, err := pass()
			if err == nil && answer.StatusCode == 429 {
				refused[service]++
			}
			return answer, err
		}
		began := time.Now()
		s := l.Capture()
		for _, p := range s.Parts {
			if is := truth.Part(p.Type, p.Relation); p.Coverage != snapshot.Complete || p.Root != is.Root {
				t.Errorf("%s %s is %s: %s", p.Type, p.Relation, p.Coverage, p.Reason)
			}
		}
		for service, grant := range map[string]float64{"Conditional Access": 1, "the audit log": 0.5} {
			const window = 20 * time.Second
			times, most := sent[service], 0
			for i := range times {
				n := 0
				for _, at := range times[i:] {
					if at.Sub(times[i]) < window {
						n++
					}
				}
				most = max(most, n)
			}
			if len(times) < 4 || float64(most) > grant*window.Seconds() || refused[service] > 0 {
				t.Errorf("%s: %d requests, at the most %d in %s; %d were refused", service, len(times), most, window, refused[service])
			}
			t.Logf("%s: %d requests, at the most %d in %s; %d were refused", service, len(times), most, window, refused[service])
		}
		t.Logf("the capture took %s", time.Since(began))
	})
}
