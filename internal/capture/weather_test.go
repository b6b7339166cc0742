package capture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"strconv"
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

// A storm makes so many of a hundred requests fail, as a seed decides, alone or in a batch: throttled, unavailable, or
// reset before the answer or in the middle of it.
type storm struct {
	seed, percent int

	mu            sync.Mutex
	times         map[string]int
	asked, failed int // requests, and those of them that failed
}

// strikes decides about a request by what it asks for and how often it was asked for before. How, if so, is from 0 on.
func (s *storm) strikes(what string) (how uint64, struck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times == nil {
		s.times = map[string]int{}
	}
	s.times[what]++
	s.asked++
	h := fnv.New64a()
	fmt.Fprintln(h, s.seed, what, s.times[what])
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	if struck = int(x%100) < s.percent; struck {
		s.failed++
	}
	return x / 100 % 5, struck
}

func (s *storm) meddle(t testing.TB) carrier {
	return func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "/oauth2/") {
			return pass()
		}
		all := addresses(t, r)
		r.Header.Del("Accept-Encoding") // so that what is in a batch can be struck
		refusal := &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody, Request: r}
		switch how, struck := s.strikes(strings.Join(all, " ")); {
		case !struck && strings.HasSuffix(r.URL.Path, "/$batch"):
			return through(pass, func(body []byte) io.Reader { return bytes.NewReader(s.items(t, all, body)) })
		case !struck:
			return pass()
		case how == 0:
			return nil, syscall.ECONNRESET
		case how == 1:
			return within(r, pass)
		case how == 2:
			refusal.StatusCode = 429
			refusal.Header.Set("Retry-After", "2")
		case how == 3:
			refusal.StatusCode = 429
		}
		return refusal, nil
	}
}

// items strikes at the answers within a batch to the requests for the addresses.
func (s *storm) items(t testing.TB, all []string, body []byte) []byte {
	var batch struct {
		Responses []map[string]any `json:"responses"`
	}
	if err := json.Unmarshal(body, &batch); err != nil || len(batch.Responses) != len(all) {
		t.Errorf("a batch of %d was answered by %d: %v", len(all), len(batch.Responses), err)
	}
	for i, answer := range batch.Responses {
		// The order of answers is the service's: what it is that fails does not matter.
		if how, struck := s.strikes(all[i]); struck {
			answer["status"], answer["body"], answer["headers"] = 503, nil, map[string]string{}
			if how < 3 {
				answer["status"], answer["headers"] = 429, map[string]string{"Retry-After": strconv.Itoa(int(how))}
			}
		}
	}
	body, err := json.Marshal(batch)
	if err != nil {
		t.Error(err)
	}
	return body
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
				storm := storm{seed: seed, percent: percent}
				l.Wire.Meddle = storm.meddle(t)
				s := l.Capture()
				failed += storm.failed
				if err := asInCalm(s, truth); err != nil {
					t.Errorf("seed %d, %d %%: %v", seed, percent, err)
				}
			}
		}
		if failed < 10*seeds {
			t.Errorf("only %d requests failed", failed)
		}
		t.Logf("%d captures, %d requests failed", 2*seeds, failed)
	})
}

// asInCalm refuses a snapshot that is not complete, or not what another one is.
func asInCalm(s, truth *snapshot.Snapshot) error {
	var all []error
	for _, p := range s.Parts {
		if is := truth.Part(p.Type, p.Relation); p.Coverage != snapshot.Complete && p.Coverage != snapshot.Skipped || p.Root != is.Root || p.Objects != is.Objects || p.Links != is.Links {
			all = append(all, fmt.Errorf("%s %s is %s and not what it is in calm: %s", p.Type, p.Relation, p.Coverage, p.Reason))
		}
	}
	return errors.Join(all...)
}

// BenchmarkWeather captures a tenant of three thousand objects in calm and in storms, where a request takes 150 ms of
// virtual time, and says what the storms cost.
func BenchmarkWeather(b *testing.B) {
	tenant := lab.Start(b, emulator.Options{Users: 2000, Groups: 1000, Apps: 20})
	for b.Loop() {
		bubble(b, func(t *testing.T) {
			var truth *snapshot.Snapshot
			var calm float64
			for _, percent := range []int{0, 5, 25} {
				storm := storm{percent: percent}
				l := lab.New(t, tenant)
				l.Asked = nil
				l.Wire.Meddle = taking(150*time.Millisecond, storm.meddle(t))
				began := time.Now()
				s := l.Capture()
				took := time.Since(began).Seconds()
				if percent == 0 {
					truth, calm = s, took
				} else if b.ReportMetric(took/calm, fmt.Sprintf("x-time-at-%d%%", percent)); storm.failed < storm.asked*percent/200 {
					t.Errorf("%d of %d requests failed", storm.failed, storm.asked)
				}
				b.Logf("%d of %d requests failed: %.0f s", storm.failed, storm.asked, took)
				if err := asInCalm(s, truth); err != nil {
					t.Errorf("%d %%: %v", percent, err)
				}
			}
		})
	}
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
			if is := truth.Part(p.Type, p.Relation); !forPeople(p.Type) && (p.Coverage != snapshot.Complete || p.Root != is.Root) {
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
