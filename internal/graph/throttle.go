package graph

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A service is one of the parts of Microsoft Graph that throttle by themselves: a refusal by one says nothing
// about the others (Microsoft Graph documentation, service-specific throttling limits).
type service string

const (
	directory         service = "directory"
	conditionalAccess service = "conditional access" // and identity protection: one request per second per tenant
	reports           service = "reports"            // audit and sign-in entries
	governance        service = "governance"
)

func newBuckets() map[service]*bucket {
	return map[service]*bucket{
		directory:         {},
		conditionalAccess: {pace: 1250 * time.Millisecond}, // a little less than it allows, which others use too
		reports:           {},
		governance:        {},
	}
}

// serviceOf tells the service from a path below the version.
func serviceOf(path string) service {
	path = strings.ToLower(path)
	for _, rule := range []struct {
		prefix string
		of     service
	}{
		{"/identity/conditionalaccess", conditionalAccess},
		{"/identityprotection", conditionalAccess},
		{"/auditlogs", reports},
		{"/reports", reports},
		{"/identitygovernance", governance},
	} {
		if rest, ok := strings.CutPrefix(path, rule.prefix); ok && (rest == "" || strings.ContainsAny(rest[:1], "/(")) {
			return rule.of
		}
	}
	return directory
}

// A bucket lets the requests to one service through, or holds them all back. It needs no clock: each hold has
// a timer of its own, and the way is free when the last of them has run out.
type bucket struct {
	pace time.Duration // between two requests, once the service has complained; 0 means none

	mu       sync.Mutex
	holds    int
	free     chan struct{} // closed when holds falls to 0
	paced    bool
	accepted uint64 // answers other than 429 so far
}

// pass returns nil if a request may go now, else a channel that is closed when it is worth asking again.
func (b *bucket) pass() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds > 0 {
		return b.free
	}
	if b.paced {
		b.holdLocked(b.pace)
	}
	return nil
}

// hold keeps requests back for d.
func (b *bucket) hold(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holdLocked(d)
}

func (b *bucket) holdLocked(d time.Duration) {
	if b.holds == 0 {
		b.free = make(chan struct{})
	}
	b.holds++
	time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.holds--; b.holds == 0 {
			close(b.free)
		}
	})
}

// throttled notes a refusal and holds requests back for d.
func (b *bucket) throttled(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paced = b.pace > 0
	b.holdLocked(d)
}

// progress notes that the service accepted a request.
func (b *bucket) progress() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accepted++
}

func (b *bucket) state() (accepted uint64, paced bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepted, b.paced
}

// A patience says how often and how long one request, or one set of them, has been refused for throttling.
type patience struct {
	limit  time.Duration
	times  int
	waited time.Duration // since the service last accepted anything
	mark   uint64
}

// wait returns how long to hold back after a refusal that asked for retryAfter (0 means that it did not say),
// or false if the limit would be passed.
func (p *patience) wait(b *bucket, retryAfter time.Duration) (time.Duration, bool) {
	if accepted, _ := b.state(); accepted != p.mark {
		p.mark, p.waited = accepted, 0
	}
	p.times++
	d := retryAfter
	if d == 0 {
		first := 10 * time.Second
		if b.pace > 0 {
			first = 2 * b.pace // its rate is known, and it never says how long
		}
		d = jitter(min(first<<min(p.times-1, 6), 180*time.Second))
	} else if p.times > 3 {
		// A service that answers "1" for ever is asked less and less often: each refused request counts
		// against the limit too.
		d = max(d, min(time.Second<<min(p.times-3, 5), 30*time.Second))
	}
	if p.waited+d > p.limit {
		return 0, false
	}
	p.waited += d
	return d, true
}

// jitter spreads d by a fifth, upwards only.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/5+1) }

// backoff is the wait before the given repetition, 1-based: 1, 2, 4, … s with jitter.
func backoff(n int) time.Duration { return jitter(time.Second << min(n-1, 5)) }

// maxRetryAfter caps what a service may ask for.
const maxRetryAfter = 600 * time.Second

// retryAfter reads the header Retry-After in the spellings that occur: seconds, decimals, dates (RFC 9110,
// section 10.2.3), and nonsense. It returns 0 if nothing usable was said, otherwise 1 to 600 s in whole seconds.
func retryAfter(h http.Header, now time.Time) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil || math.IsInf(n, 1) {
		if math.IsNaN(n) || n < 0 {
			return 0
		}
		return time.Duration(math.Ceil(min(max(n, 1), maxRetryAfter.Seconds()))) * time.Second
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	// Both times by the service's clock, if it tells it: ours may be wrong.
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	d := at.Sub(now)
	return min(max(d.Round(time.Second), time.Second), maxRetryAfter)
}

// brake holds a service back a little when it says that its limit is near: from nothing at 0.8 to 1 s at 1.2
// (x-ms-throttle-limit-percentage, Microsoft Graph documentation on throttling).
func brake(h http.Header) time.Duration {
	p, err := strconv.ParseFloat(h.Get("x-ms-throttle-limit-percentage"), 64)
	if err != nil || !(p > 0.8) {
		return 0
	}
	return time.Duration(min((p-0.8)/0.4, 1) * float64(time.Second))
}

// enter waits for a free slot and for the service to be open. The caller gives the slot back with leave.
func (c *Client) enter(ctx context.Context, b *bucket) error {
	for {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if ctx.Err() != nil {
			c.leave()
			return ctx.Err()
		}
		free := b.pass()
		if free == nil {
			return nil
		}
		c.leave()
		select {
		case <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Client) leave() { <-c.slots }

// pause waits for d or for the end of the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
