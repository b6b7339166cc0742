package graph_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

var methods = []string{"GET", "POST", "PATCH", "PUT", "DELETE"}

// What each status means for each method when the service answers nothing else.
func TestEveryStatusForEveryMethod(t *testing.T) {
	const many = -1
	for _, row := range []struct {
		status        int
		reads, writes int // requests made
		unknown       bool
		is            error
	}{
		{400, 1, 1, false, nil},
		{401, 2, 2, false, fs.ErrPermission},
		{402, 1, 1, false, nil},
		{403, 1, 1, false, fs.ErrPermission},
		{404, 1, 1, false, fs.ErrNotExist},
		{405, 1, 1, false, nil},
		{408, 5, 1, true, nil},
		{409, 1, 1, false, fs.ErrExist},
		{410, 1, 1, false, graph.ErrDeltaReset},
		{412, 1, 1, false, nil},
		{413, 1, 1, false, nil},
		{415, 1, 1, false, nil},
		{423, 1, 1, false, nil},
		{424, 1, 1, false, nil},
		{429, many, many, false, nil},
		{451, 1, 1, false, nil},
		{500, 5, 1, true, nil},
		{501, 1, 1, false, nil},
		{502, 5, 1, true, nil},
		{503, 5, 1, true, nil},
		{504, 5, 1, true, nil},
		{507, 1, 1, true, nil},
		{509, 5, 1, true, nil},
	} {
		for _, method := range methods {
			t.Run(fmt.Sprint(method, " ", row.status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := always(func() *http.Response { return refuse(row.status, "SomeCode", "Some text.") })
					_, err := client(t, w, graph.Options{}).Do(t.Context(), graph.Request{Method: method, Path: "/groups"})
					var e *graph.Error
					if !errors.As(err, &e) || e.Status != row.status || e.Code != "SomeCode" || e.Message != "Some text." || e.RequestID != "4f1c" || e.Method != method || e.Path != "/groups" {
						t.Fatalf("error %#v", err)
					}
					want := row.writes
					if method == "GET" {
						want = row.reads
					}
					if got := w.count(); got != want && (want != many || got < 10) {
						t.Errorf("%d requests, want %d", got, want)
					}
					if got, want := errors.Is(err, graph.ErrUnknownOutcome), row.unknown && method != "GET"; got != want {
						t.Errorf("unknown outcome %t, want %t", got, want)
					}
					for _, target := range []error{fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, graph.ErrDeltaReset, graph.ErrExpiredPage} {
						if got := errors.Is(err, target); got != (target == row.is) {
							t.Errorf("is %v: %t", target, got)
						}
					}
				})
			})
		}
	}
}

// A law: whatever the service and the network do, a write takes effect at most once; success means that it
// did; and an error that does not say "unknown" means that it did not.
func TestWriteTakesEffectAtMostOnce(t *testing.T) {
	type step struct {
		act    bool
		answer func() (*http.Response, error)
	}
	torn := func() (*http.Response, error) {
		r := reply(201, "")
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"id":`), brokenReader{}))
		return r, nil
	}
	steps := []step{
		{true, answer(201, `{"id":"1"}`)},
		{true, answer(204, "")},
		{false, answer(429, `{"error":{"code":"TooManyRequests"}}`, "Retry-After", "3")},
		{false, answer(429, ``)},
		{false, answer(401, `{}`)},
		{false, answer(400, `{"error":{"code":"Request_BadRequest"}}`)},
		{false, answer(403, `<html>`, "Content-Type", "text/html")},
		{false, answer(503, ``, "Retry-After", "5")}, {true, answer(503, ``)},
		{false, answer(500, `x`)}, {true, answer(504, `x`)},
		{false, reset}, {true, reset}, {true, torn},
		{true, answer(200, `{"a":1,"a":2}`)},
		{true, answer(200, `<html>`, "Content-Type", "text/html")},
		{false, answer(307, ``, "Location", "https://evil.example/")},
		{false, func() (*http.Response, error) { return nil, &net.OpError{Op: "dial", Err: errors.New("refused")} }},
		{false, func() (*http.Response, error) { return nil, &net.DNSError{Err: "no such host"} }},
	}
	rapid.Check(t, func(rt *rapid.T) {
		method := rapid.SampledFrom([]string{"POST", "PATCH", "PUT", "DELETE"}).Draw(rt, "method")
		plan := rapid.SliceOfN(rapid.IntRange(0, len(steps)-1), 1, 12).Draw(rt, "steps")
		acted, problem := 0, ""
		synctest.Test(t, func(t *testing.T) {
			w := &wire{serve: func(n int, _ *http.Request) (*http.Response, error) {
				s := steps[plan[min(n, len(plan))-1]]
				if s.act {
					acted++
				}
				return s.answer()
			}}
			_, err := client(t, w, graph.Options{}).Do(t.Context(), graph.Request{Method: method, Path: "/groups", Body: []byte(`{}`)})
			switch {
			case acted > 1:
				problem = "it took effect more than once"
			case err == nil && acted != 1:
				problem = "success without effect"
			case err != nil && !errors.Is(err, graph.ErrUnknownOutcome) && acted > 0:
				problem = "effect denied: " + err.Error()
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errReset }

// A read succeeds after any four failures, and the fifth is the error.
func TestReadsAreRepeated(t *testing.T) {
	for name, fail := range map[string]func() (*http.Response, error){
		"reset":        reset,
		"500":          answer(500, ``),
		"502 html":     answer(502, `<html>bad gateway`, "Content-Type", "text/html"),
		"503":          answer(503, ``),
		"504":          answer(504, ``),
		"broken JSON":  answer(200, `{"id":`),
		"empty":        answer(200, ``),
		"captive":      answer(200, `<html>log in`, "Content-Type", "text/html"),
		"error in 200": answer(200, `{"error":{"code":"x"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := answer(200, `{"id":"1"}`)
				begin := time.Now()
				r, err := client(t, script(fail, fail, fail, fail, good), graph.Options{}).Do(t.Context(), graph.Request{Path: "/users/1"})
				if err != nil || string(r.Body) != `{"id":"1"}` {
					t.Fatalf("%s %v", r.Body, err)
				}
				if d := time.Since(begin); d < 15*time.Second || d > 18*time.Second {
					t.Errorf("waited %s, want 1+2+4+8 s and a little", d)
				}
				w := script(fail, fail, fail, fail, fail, good)
				c := client(t, w, graph.Options{})
				if _, err := c.Do(t.Context(), graph.Request{Path: "/users/1"}); err == nil || errors.Is(err, graph.ErrUnknownOutcome) {
					t.Errorf("after five failures: %v", err)
				}
				if s := c.Stats(); s.Requests != 5 || s.Retries != 4 {
					t.Errorf("%+v", s)
				}
				if _, err := client(t, script(fail, good), graph.Options{}).Do(t.Context(), graph.Request{Method: "POST", Path: "/directoryObjects/getByIds", Read: true, Body: []byte(`{"ids":[]}`)}); err != nil {
					t.Errorf("a POST that reads: %v", err)
				}
			})
		})
	}
}

// A read that fails while the service answers others fails at random, and is sent up to eight times.
func TestReadsAreRepeatedMoreOftenWhileOthersAreAnswered(t *testing.T) {
	for failures, want := range map[int]bool{4: true, 7: true, 8: false} {
		synctest.Test(t, func(t *testing.T) {
			var c *graph.Client
			failed := 0
			c = client(t, &wire{serve: func(_ int, r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/2") || failed == failures {
					return reply(200, `{"id":"1"}`), nil
				}
				if failed++; failed == 3 {
					if _, err := c.Do(t.Context(), graph.Request{Path: "/users/2"}); err != nil {
						t.Error(err)
					}
				}
				return reply(503, ``), nil
			}}, graph.Options{})
			if _, err := c.Do(t.Context(), graph.Request{Path: "/users/1"}); (err == nil) != want || failed != failures {
				t.Errorf("after %d of %d failures: %v", failed, failures, err)
			}
		})
	}
}

// The wait before the second request, for every spelling of Retry-After.
func TestRetryAfterSpellings(t *testing.T) {
	date := func(s string) time.Duration { // as sent at the start of the bubble's clock
		at, err := http.ParseTime(s)
		if err != nil {
			t.Fatal(err)
		}
		return at.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	const unsaid = -1 // 10 to 12 s
	for _, row := range []struct {
		value string
		want  time.Duration
	}{
		{"1", time.Second}, {"2", 2 * time.Second}, {" 7 ", 7 * time.Second}, {"120", 120 * time.Second},
		{"0", time.Second}, {"0.249", time.Second}, {"1.5", 2 * time.Second}, {"2.000", 2 * time.Second}, {"1e1", 10 * time.Second},
		{"600", 600 * time.Second}, {"601", 600 * time.Second}, {"86400", 600 * time.Second}, {"99999999999999999999", 600 * time.Second}, {"1e400", 600 * time.Second}, {"inf", 600 * time.Second},
		{"Sat, 01 Jan 2000 00:00:30 GMT", date("Sat, 01 Jan 2000 00:00:30 GMT")},
		{"Saturday, 01-Jan-00 00:00:30 GMT", 30 * time.Second},
		{"Sat Jan  1 00:00:30 2000", 30 * time.Second},
		{"Fri, 31 Dec 1999 23:00:00 GMT", time.Second},
		{"Wed, 21 Oct 2099 07:28:00 GMT", 600 * time.Second},
		{"", unsaid}, {"-1", unsaid}, {"-0.5", unsaid}, {"-inf", unsaid}, {"nan", unsaid}, {"soon", unsaid}, {"10 s", unsaid}, {"1,5", unsaid}, {"\u0661", unsaid}, {"1; 2", unsaid},
	} {
		t.Run(fmt.Sprintf("%q", row.value), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := []string{"Retry-After", row.value}
				begin := time.Now()
				c := client(t, script(answer(429, ``, h...), answer(200, `{"id":"1"}`)), graph.Options{})
				if _, err := c.Do(t.Context(), graph.Request{Path: "/users/1"}); err != nil {
					t.Fatal(err)
				}
				d := time.Since(begin)
				if row.want == unsaid && (d < 10*time.Second || d > 12*time.Second) || row.want != unsaid && d != row.want {
					t.Errorf("waited %s, want %s", d, row.want)
				}
				if s := c.Stats(); s.Throttled != 1 || s.Retries != 1 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// The service did not act when another write came in between, and says so by this code alone.
func TestCrossedWritesAreRepeated(t *testing.T) {
	for _, method := range methods {
		synctest.Test(t, func(t *testing.T) {
			crossed := func() (*http.Response, error) {
				return refuse(409, "Directory_ConcurrencyViolation", "Concurrency violation has occurred."), nil
			}
			w := script(crossed, crossed, answer(204, ``))
			if _, err := client(t, w, graph.Options{}).Do(t.Context(), graph.Request{Method: method, Path: "/groups/1"}); err != nil || w.count() != 3 {
				t.Errorf("%s: %d requests, %v", method, w.count(), err)
			}
			w = script(crossed)
			_, err := client(t, w, graph.Options{}).Do(t.Context(), graph.Request{Method: method, Path: "/groups/1"})
			if e, ok := errors.AsType[*graph.Error](err); !ok || e.Status != 409 || errors.Is(err, graph.ErrUnknownOutcome) || errors.Is(err, fs.ErrExist) || w.count() != 5 {
				t.Errorf("%s for ever: %d requests, %v", method, w.count(), err)
			}
		})
	}
}

// FuzzRetryAfter: whatever is said, the wait is none that was asked for, or whole seconds from 1 to 600.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "1", "0.249", "-1", "inf", "nan", "1e400", "Sat, 01 Jan 2000 00:00:30 GMT", "Wed, 21 Oct 2099 07:28:00 GMT", "soon", "\u0661"} {
		f.Add(s, "")
		f.Add(s, "Sat, 01 Jan 2000 00:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, after, date string) {
		h := http.Header{"Retry-After": {after}, "Date": {date}}
		d := graph.RetryAfter(h, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
		if d != 0 && (d < time.Second || d > 600*time.Second || d%time.Second != 0) {
			t.Errorf("%q at %q is %s", after, date, d)
		}
	})
}

func TestRetryAfterDateCountsFromTheServicesClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := client(t, script(answer(429, ``, "Retry-After", "Tue, 10 Jun 2031 10:00:20 GMT", "Date", "Tue, 10 Jun 2031 10:00:00 GMT"), answer(204, ``)), graph.Options{})
		if _, err := c.Do(t.Context(), graph.Request{Method: "DELETE", Path: "/users/1"}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != 20*time.Second {
			t.Errorf("waited %s", d)
		}
	})
}

func TestThrottledForEverEnds(t *testing.T) {
	for _, after := range []string{"", "1", "30", "600", "nonsense"} {
		t.Run(after, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := always(func() *http.Response { return refuse(429, "TooManyRequests", "", "Retry-After", after) })
				begin := time.Now()
				_, err := client(t, w, graph.Options{}).Do(t.Context(), graph.Request{Path: "/users"})
				var e *graph.Error
				if !errors.As(err, &e) || e.Status != 429 {
					t.Fatal(err)
				}
				if d := time.Since(begin); d > 30*time.Minute || d < 25*time.Minute {
					t.Errorf("gave up after %s", d)
				}
				if n := w.count(); n > 100 {
					t.Errorf("%d requests to a service that refused all of them", n)
				}
			})
		})
	}
}

// Progress of others is progress: with one request in ten accepted, nobody gives up.
func TestThrottledButMovingDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{serve: func(n int, _ *http.Request) (*http.Response, error) {
			if n%10 == 0 {
				return reply(200, `{"id":"1"}`), nil
			}
			return refuse(429, "TooManyRequests", "", "Retry-After", "60"), nil
		}}
		c := client(t, w, graph.Options{InFlight: 4})
		begin := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := c.Do(t.Context(), graph.Request{Path: "/users/1"}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if d := time.Since(begin); d < time.Hour {
			t.Errorf("took %s, too short to show anything", d)
		}
	})
}

// One request that is refused for an hour is not given up while its service accepts others.
func TestUnluckyRequestsWaitWhileOthersMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusals := 0
		w := &wire{serve: func(_ int, r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second) // of the bubble: both are under way at once
			if strings.HasSuffix(r.URL.Path, "/unlucky") && refusals < 60 {
				refusals++
				return refuse(429, "TooManyRequests", "", "Retry-After", "60"), nil
			}
			return reply(200, `{"id":"1"}`), nil
		}}
		c := client(t, w, graph.Options{InFlight: 2})
		done := make(chan error)
		go func() {
			_, err := c.Do(t.Context(), graph.Request{Path: "/users/unlucky"})
			done <- err
		}()
		for {
			select {
			case err := <-done:
				if err != nil || refusals != 60 {
					t.Errorf("after %d refusals: %v", refusals, err)
				}
				return
			case <-time.After(time.Second):
				if _, err := c.Do(t.Context(), graph.Request{Path: "/users/lucky"}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestThrottlingOfOneServiceDoesNotStopAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := map[string]bool{}
		var mu sync.Mutex
		w := &wire{serve: func(_ int, r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if p := r.URL.Path; !first[p] && strings.Contains(p, "onditional") {
				first[p] = true
				return refuse(429, "TooManyRequests", "", "Retry-After", "100"), nil
			}
			return reply(200, `{"id":"1"}`), nil
		}}
		c := client(t, w, graph.Options{})
		begin := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.Do(t.Context(), graph.Request{Path: "/identity/conditionalAccess/policies"}); err != nil {
				t.Error(err)
			}
			if d := time.Since(begin); d != 100*time.Second {
				t.Errorf("conditional access after %s", d)
			}
		})
		all.Go(func() {
			time.Sleep(time.Second) // of the bubble: the other request has been refused by now
			for _, path := range []string{"/users/1", "/auditLogs/directoryAudits", "/identityGovernance/x", "/identity/conditionalAccessories"} {
				if _, err := c.Do(t.Context(), graph.Request{Path: path}); err != nil {
					t.Error(err)
				}
			}
			if d := time.Since(begin); d != time.Second && !first["/v1.0/identity/conditionalAccessories"] {
				t.Errorf("the others after %s", d)
			}
		})
		all.Wait()
	})
}

// Clients share nothing, so tenants in one process do not wait for one another.
func TestThrottlingOfOneTenantDoesNotStopAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := client(t, &wire{serve: func(int, *http.Request) (*http.Response, error) {
			return refuse(429, "TooManyRequests", "", "Retry-After", "100"), nil
		}}, graph.Options{})
		calm := client(t, &wire{serve: func(int, *http.Request) (*http.Response, error) {
			return reply(200, `{"id":"1"}`), nil
		}}, graph.Options{})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, err := busy.Do(t.Context(), graph.Request{Path: "/users/1"}); err == nil {
					t.Error("the service that always refuses did not")
				}
			})
		}
		time.Sleep(time.Second) // of the bubble: all have been refused by now, or wait
		begin := time.Now()
		for range 100 {
			if _, err := calm.Do(t.Context(), graph.Request{Path: "/users/1"}); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("100 requests took %s", d)
		}
		all.Wait()
	})
}

// A law: whatever the service grants, more or less than documented, and whether it says how much of it is used or only
// refuses: at least 90 in 100 of it are used while there is work, and fewer than 1 answer in 100 is a refusal.
func TestWritesUseTheQuotaAndDoNotGoOver(t *testing.T) {
	for _, x := range []struct {
		scale  float64 // of what is documented
		tells  bool
		writes int
	}{{1, true, 6000}, {20, true, 60000}, {0.5, true, 6000}, {1, false, 6000}, {0.7, false, 6000}} {
		t.Run(fmt.Sprintf("%g tells %t", x.scale, x.tells), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const full, perSecond = 3000.0, 20.0
				begin := time.Now()
				level, at := full, begin
				refused := 0
				var mu sync.Mutex
				w := &wire{serve: func(int, *http.Request) (*http.Response, error) {
					time.Sleep(10 * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					level, at = min(full, level+x.scale*perSecond*time.Since(at).Seconds()), time.Now()
					if level < 1 {
						refused++
						return refuse(429, "TooManyRequests", "", "Retry-After", "1"), nil
					}
					level--
					if used := 1 - level/full; x.tells && used > 0.8 {
						return reply(201, `{"id":"1"}`, "x-ms-throttle-limit-percentage", fmt.Sprintf("%.2f", used)), nil
					}
					return reply(201, `{"id":"1"}`), nil
				}}
				c := client(t, w, graph.Options{})
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						for range x.writes / 8 {
							if _, err := c.Do(t.Context(), graph.Request{Method: "POST", Path: "/users", Body: []byte(`{}`)}); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				took := time.Since(begin)
				use := float64(x.writes) / (full + x.scale*perSecond*took.Seconds())
				t.Logf("%d writes in %s: %.1f %% of the quota, %d refused", x.writes, took.Round(time.Second), 100*use, refused)
				if use < 0.9 {
					t.Errorf("only %.1f %% of the quota were used", 100*use)
				}
				if 100*refused >= x.writes {
					t.Errorf("%d of %d writes were refused", refused, x.writes)
				}
			})
		})
	}
}

// A service that says that much of its limit is used is asked at its pace, whether it is asked for much or little.
func TestNearTheLimitRequestsSlowDown(t *testing.T) {
	for percentage, want := range map[string]time.Duration{"": 0, "0.5": 0, "0.8": 0, "0.95": 50 * time.Millisecond, "1.2": 1050 * time.Millisecond, "nan": 0, "x": 0} {
		synctest.Test(t, func(t *testing.T) {
			c := client(t, always(func() *http.Response {
				return reply(200, `{"id":"1"}`, "x-ms-throttle-limit-percentage", percentage)
			}), graph.Options{})
			begin := time.Now()
			for range 2 {
				if _, err := c.Do(t.Context(), graph.Request{Method: "PATCH", Path: "/users/1", Body: []byte(`{}`)}); err != nil {
					t.Fatal(err)
				}
			}
			if d := time.Since(begin).Round(10 * time.Millisecond); d != want {
				t.Errorf("%q: waited %s, want %s", percentage, d, want)
			}
		})
	}
}

func TestNoMoreInFlightThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		w := &wire{serve: func(int, *http.Request) (*http.Response, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Second)
			return reply(200, `{"id":"1"}`), nil
		}}
		c := client(t, w, graph.Options{InFlight: 3})
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				if _, err := c.Do(t.Context(), graph.Request{Path: "/users/1"}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most.Load() != 3 {
			t.Errorf("%d at once", most.Load())
		}
	})
}

func TestWaitingObeysTheContext(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	for name, serve := range map[string]func(int, *http.Request) (*http.Response, error){
		"throttled": func(int, *http.Request) (*http.Response, error) {
			return refuse(429, "", "", "Retry-After", "500"), nil
		},
		"between": func(int, *http.Request) (*http.Response, error) {
			return refuse(503, "", "", "Retry-After", "500"), nil
		},
		"for headers":  func(_ int, r *http.Request) (*http.Response, error) { return hang(r) },
		"for the body": func(_ int, r *http.Request) (*http.Response, error) { return dripping(r, 0), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
				defer cancel()
				begin := time.Now()
				_, err := client(t, &wire{serve: serve}, graph.Options{}).Do(ctx, graph.Request{Path: "/users/1"})
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 7*time.Second {
					t.Errorf("after %s: %v", time.Since(begin), err)
				}
			})
		})
	}
}

// dripping answers with one byte per interval, or never if that is 0.
func dripping(r *http.Request, every time.Duration) *http.Response {
	resp := reply(200, ``)
	resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
		var tick <-chan time.Time
		if every > 0 {
			tick = time.After(every)
		}
		select {
		case <-tick:
			p[0] = ' '
			return 1, nil
		case <-r.Context().Done():
			return 0, r.Context().Err()
		}
	}))
	return resp
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSilenceAndSlowDripEnd(t *testing.T) {
	for name, row := range map[string]struct {
		every, want time.Duration
	}{"silent": {0, time.Minute}, "drip": {time.Second, 5 * time.Minute}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{serve: func(_ int, r *http.Request) (*http.Response, error) { return dripping(r, row.every), nil }}
				begin := time.Now()
				_, err := client(t, w, graph.Options{}).Do(t.Context(), graph.Request{Method: "POST", Path: "/groups", Body: []byte(`{}`)})
				if !errors.Is(err, graph.ErrUnknownOutcome) || time.Since(begin) != row.want {
					t.Errorf("after %s: %v", time.Since(begin), err)
				}
			})
		})
	}
}

// A connection that never came about is proof that nothing was sent, so that even a write is tried again; a
// certificate that does not verify is not worth another try.
func TestFailuresBeforeAConnection(t *testing.T) {
	t.Run("dial", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var dials atomic.Int64
			hc := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				dials.Add(1)
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
			}}}
			_, err := client(t, nil, graph.Options{HTTP: hc}).Do(t.Context(), graph.Request{Method: "POST", Path: "/groups", Body: []byte(`{}`)})
			if err == nil || errors.Is(err, graph.ErrUnknownOutcome) || dials.Load() != 5 {
				t.Errorf("%d dials: %v", dials.Load(), err)
			}
		})
	})
	t.Run("dial after a connection", func(t *testing.T) {
		// Whatever a connection says once it exists, it proves nothing.
		synctest.Test(t, func(t *testing.T) {
			tr := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					if _, err := io.Copy(io.Discard, there); err != nil {
						t.Error(err)
					}
				}()
				return liar{here}, nil
			}}
			defer tr.CloseIdleConnections()
			c := client(t, nil, graph.Options{HTTP: &http.Client{Transport: tr}})
			_, err := c.Do(t.Context(), graph.Request{Method: "POST", Path: "/groups", Body: []byte(`{}`)})
			if !errors.Is(err, graph.ErrUnknownOutcome) || c.Stats().Requests != 1 {
				t.Errorf("%d requests: %v", c.Stats().Requests, err)
			}
		})
	})
	t.Run("certificate", func(t *testing.T) {
		s := quietServer(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		c := client(t, nil, graph.Options{HTTP: &http.Client{Transport: tr}, Endpoint: s.URL})
		_, err := c.Do(t.Context(), graph.Request{Method: "POST", Path: "/groups", Body: []byte(`{}`)})
		if err == nil || errors.Is(err, graph.ErrUnknownOutcome) || c.Stats().Requests != 1 {
			t.Errorf("%v", err)
		}
	})
}

// liar is a connection that fails as if it had never come about.
type liar struct{ net.Conn }

func (l liar) Read([]byte) (int, error) {
	time.Sleep(time.Second) // of the bubble: the request has been written by now
	return 0, &net.OpError{Op: "dial", Err: errors.New("refused")}
}

// quietServer is a TLS server that keeps its complaints to itself.
func quietServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = discard()
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestOverRealConnections(t *testing.T) {
	var n atomic.Int64
	remotes := map[string]bool{}
	s := quietServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/v1.0/reset":
			if n.Add(1) == 1 || r.Method == "POST" {
				panic(http.ErrAbortHandler)
			}
		case "/v1.0/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, `{"id":"squeezed"}`)
			z.Close()
			return
		case "/v1.0/busy":
			remotes[r.RemoteAddr] = true
			if len(remotes) == 1 {
				w.WriteHeader(503)
				return
			}
		case "/v1.0/gone":
			w.WriteHeader(204)
			return
		}
		fmt.Fprintf(w, `{"proto":%q}`, r.Proto)
	})
	c := client(t, nil, graph.Options{HTTP: s.Client(), Endpoint: s.URL})
	do := func(method, path string) (string, error) {
		r, err := c.Do(t.Context(), graph.Request{Method: method, Path: path})
		return string(r.Body), err
	}
	if got, err := do("GET", "/plain"); err != nil || got != `{"proto":"HTTP/2.0"}` {
		t.Errorf("plain: %s %v", got, err)
	}
	if got, err := do("GET", "/gzip"); err != nil || got != `{"id":"squeezed"}` {
		t.Errorf("gzip: %s %v", got, err)
	}
	if got, err := do("DELETE", "/gone"); err != nil || got != "" {
		t.Errorf("204: %q %v", got, err)
	}
	if _, err := do("GET", "/reset"); err != nil || n.Load() != 2 {
		t.Errorf("a read after a reset: %v", err)
	}
	if _, err := do("POST", "/reset"); !errors.Is(err, graph.ErrUnknownOutcome) || n.Load() != 3 {
		t.Errorf("a write after a reset: %v, %d requests", err, n.Load())
	}
	if _, err := do("GET", "/busy"); err != nil || len(remotes) != 2 {
		t.Errorf("503 is to be followed by a new connection: %v, %d", err, len(remotes))
	}
	if s := c.Stats(); s.Bytes == 0 || s.Retries != 2 {
		t.Errorf("%+v", s)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	canary := quietServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the canary was asked") })
	target := ""
	s := quietServer(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/v1.0/%d", &status)
		w.Header().Set("Location", target)
		w.WriteHeader(status)
	})
	hc := s.Client()
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return nil } // a client that would follow
	c := client(t, nil, graph.Options{HTTP: hc, Endpoint: s.URL})
	for _, target = range []string{canary.URL + "/x", "http://" + strings.TrimPrefix(s.URL, "https://"), s.URL + "/v1.0/200", "/v1.0/200", "//" + strings.TrimPrefix(canary.URL, "https://")} {
		for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
			for _, method := range []string{"GET", "POST"} {
				before := c.Stats().Requests
				_, err := c.Do(t.Context(), graph.Request{Method: method, Path: fmt.Sprint("/", status)})
				var p *graph.ProtocolError
				if !errors.As(err, &p) || c.Stats().Requests != before+1 {
					t.Errorf("%s %d: %v", method, status, err)
				}
			}
		}
	}
}

func TestHeadersOfARequest(t *testing.T) {
	w := always(func() *http.Response { return reply(200, `{"id":"1"}`) })
	c := client(t, w, graph.Options{UserAgent: "tidemark/test"})
	for _, r := range []graph.Request{
		{Path: "/users", Query: url.Values{"$filter": {"startswith(displayName,'a b+c')"}, "$top": {"999"}}},
		{Path: "/users", Version: "beta", Header: http.Header{"Consistencylevel": {"eventual"}, "prefer": {"return=minimal"}, "x-ms-throttle-priority": {"Normal"}}},
		{Method: "PATCH", Path: "/users/1", Body: []byte(`{"a":1}`)},
	} {
		if _, err := c.Do(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	get, beta, patch := w.asked[0], w.asked[1], w.asked[2]
	if got, want := get.URL.String(), endpoint+"/v1.0/users?$filter=startswith(displayName,'a%20b%2Bc')&$top=999"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	if beta.URL.Path != "/beta/users" {
		t.Errorf("asked %s", beta.URL)
	}
	for _, row := range []struct {
		r          *http.Request
		name, want string
	}{
		{get, "Authorization", "Bearer secret-token"}, {get, "Accept", "application/json"}, {get, "Accept-Encoding", "gzip"},
		{get, "User-Agent", "tidemark/test"}, {get, "Prefer", "include-unknown-enum-members"}, {get, "x-ms-throttle-priority", "Low"},
		{get, "ConsistencyLevel", ""}, {get, "Content-Type", ""},
		{beta, "Prefer", "return=minimal, include-unknown-enum-members"}, {beta, "x-ms-throttle-priority", "Normal"}, {beta, "ConsistencyLevel", "eventual"},
		{patch, "Content-Type", "application/json"}, {patch, "Prefer", ""}, {patch, "x-ms-throttle-priority", ""},
	} {
		if got := strings.Join(row.r.Header.Values(row.name), "|"); got != row.want {
			t.Errorf("%s %s: %s is %q, want %q", row.r.Method, row.r.URL.Path, row.name, got, row.want)
		}
	}
	a, b := get.Header.Get("client-request-id"), beta.Header.Get("client-request-id")
	if len(a) != 36 || a == b {
		t.Errorf("request IDs %q, %q", a, b)
	}
}

func TestRequestsThatAreNotSent(t *testing.T) {
	w := always(func() *http.Response { t.Error("sent"); return reply(200, `{}`) })
	c := client(t, w, graph.Options{})
	for name, r := range map[string]graph.Request{
		"method": {Method: "HEAD", Path: "/users"}, "lower case": {Method: "get", Path: "/users"}, "version": {Version: "v2", Path: "/users"},
		"version escape": {Version: "v1.0/../beta", Path: "/users"}, "no path": {}, "relative": {Path: "users"}, "double": {Path: "//evil.example/users"},
		"query": {Path: "/users?x"}, "fragment": {Path: "/users#x"}, "dots": {Path: "/users/../groups"}, "escaped dots": {Path: "/users/%2e%2e/groups"}, "escaped slash and dots": {Path: "/users/a%2F..%2Fb"},
		"space": {Path: "/users/a b"}, "backslash": {Path: `/users\a`}, "control": {Path: "/users/\r\nX: y"}, "broken escape": {Path: "/users/%zz"}, "non-ASCII": {Path: "/users/ü"}, "unescaped": {Path: "/users/{id}"},
		"authorization": {Path: "/users", Header: http.Header{"Authorization": {"Bearer x"}}}, "idempotency": {Method: "POST", Path: "/users", Header: http.Header{"Idempotency-Key": {"x"}}},
		"body": {Method: "POST", Path: "/users", Body: []byte(`{`)},
	} {
		if _, err := c.Do(t.Context(), r); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
}

func TestOptionsThatContradict(t *testing.T) {
	for _, e := range []string{"http://graph.microsoft.com", "graph.microsoft.com", "https://", "https://u:p@host", "https://host/v1.0", "https://host?x", "https://host#x", "ftp://host", "https://host:", "://", "https:host", "https://host:0443"} {
		if _, err := graph.New(bearer("x"), graph.Options{Endpoint: e}); err == nil {
			t.Errorf("endpoint %q is accepted", e)
		}
	}
	for _, o := range []graph.Options{{InFlight: -1}, {MaxPage: -1}, {NoProgress: -1}} {
		if _, err := graph.New(bearer("x"), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := graph.New(nil, graph.Options{}); err == nil {
		t.Error("no credential is accepted")
	}
	if _, err := graph.New(bearer("x"), graph.Options{}); err != nil {
		t.Error(err)
	}
}

func TestBodiesThatAreNotJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client(t, always(func() *http.Response { return reply(200, "\xEF\xBB\xBF1234", "Content-Type", "text/plain") }), graph.Options{})
		if r, err := c.Do(t.Context(), graph.Request{Path: "/users/$count"}); err != nil || string(r.Body) != "1234" {
			t.Errorf("count: %s %v", r.Body, err)
		}
		if _, err := c.Do(t.Context(), graph.Request{Path: "/users"}); err == nil {
			t.Error("text is accepted where JSON is due")
		}
		c = client(t, always(func() *http.Response { return reply(200, "\x89PNG", "Content-Type", "image/png") }), graph.Options{})
		if r, err := c.Do(t.Context(), graph.Request{Path: "/logo", Header: http.Header{"Accept": {"*/*"}}}); err != nil || string(r.Body) != `{"contentType":"image/png","data":"iVBORw=="}` {
			t.Errorf("logo: %s %v", r.Body, err)
		}
		c = client(t, always(func() *http.Response { return reply(204, "") }), graph.Options{})
		if r, err := c.Do(t.Context(), graph.Request{Path: "/users/1/manager"}); err != nil || r.Body != nil || r.Status != 204 {
			t.Errorf("no content: %+v %v", r, err)
		}
		c = client(t, always(func() *http.Response { return reply(200, `{"id":"1","error":{"code":"x"}}`) }), graph.Options{})
		if _, err := c.Do(t.Context(), graph.Request{Path: "/jobs/1"}); err != nil {
			t.Errorf("a property called error: %v", err)
		}
	})
}
