package graph

import (
	"context"
	"fmt"
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
	directoryWrites   service = "directory writes"
	conditionalAccess service = "conditional access" // and identity protection
	reports           service = "reports"            // audit and sign-in entries
	governance        service = "governance"
)

// A quota is what a service allows of requests: a bucket of them that fills evenly, from empty to full in the window.
type quota struct {
	requests float64
	window   time.Duration
	rule     string // in words
	units    bool   // it counts resource units and not requests
}

// A Scale is how many times as fast as documented the quotas of a tenant fill: Microsoft raises them for a tenant that
// asks for it. What is below 1, and so the zero value, is once.
type Scale int

// InFlight is how many requests have to be under way at once to use up the quota of writes though each takes half a
// second: 24, and for greater scales more, up to 240.
func (s Scale) InFlight() int { return defaultInFlight * min(max(int(s), 1), 10) }

// quotas is what the documentation grants one application in one tenant (Microsoft Graph documentation,
// service-specific throttling limits). Where it grants a tenant as a whole, a share is left to others. These are
// beginnings: a Client holds to what the service says of itself.
func (s Scale) quotas() map[service]quota {
	all := map[service]quota{
		directory:         {8000, 10 * time.Second, "the directory grants 800 units of reading a second", true}, // to more than 500 people
		directoryWrites:   {3000, 150 * time.Second, "the directory takes 20 writes a second", false},
		conditionalAccess: {1, 1250 * time.Millisecond, "Conditional Access takes one request a second", false}, // of one a second
		reports:           {5, 10 * time.Second, "the audit log takes one request in two seconds", false},
		governance:        {20, 10 * time.Second, "identity governance takes two requests a second", false}, // as observed; not documented
	}
	for name, q := range all {
		q.window /= time.Duration(max(s, 1))
		if s > 1 {
			q.rule += fmt.Sprintf(", times the %d of this tenant", s)
		}
		all[name] = q
	}
	return all
}

// perSecond is how many requests a second the quota grants for good.
func (q quota) perSecond() float64 { return q.requests / q.window.Seconds() }

func newBuckets(scale Scale) map[service]*bucket {
	buckets := map[service]*bucket{}
	for s, q := range scale.quotas() {
		buckets[s] = &bucket{quota: q, share: 1}
	}
	return buckets
}

// serviceOf tells the service from a path below the version, and whether it is read.
func serviceOf(path string, read bool) service {
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
	if !read {
		return directoryWrites
	}
	return directory
}

// A bucket lets the requests to one service through, or holds them back.
//
// Requests go as fast as they come until the service shows that its limit is near, by a refusal or by saying how much
// of the limit is used. From then on they go at a pace: the documented one, more where the service says that there is
// room and less where there is none, so that what the service grants is used up and not gone over. Where it says that
// a fifth of the limit is left, they go as they come again. Where it refuses although the pace was kept, it grants
// less than documented, or others take their part: the pace falls by a third each time and grows again by a tenth of
// the documented one for each bucketful that is accepted.
//
// It needs no clock: each hold has a timer of its own, and the way is free when the last of them has run out; at a
// pace, a timer brings what may go next.
type bucket struct {
	quota

	mu       sync.Mutex
	holds    int
	free     chan struct{} // closed when holds falls to 0
	held     time.Duration // the longest of the holds
	accepted uint64        // answers other than 429 so far

	paced   bool
	tells   bool          // the service says how much of the limit is used
	used    float64       // what it said last, 1 being the limit
	share   float64       // of the documented pace, as learned from refusals
	credit  float64       // requests that may go now
	filling chan struct{} // closed when credit has come; nil while none is on its way
	waiting int           // requests that wait for credit, or for a hold to end
}

// near is the fraction of its limit up to which a service says nothing of how much is used (Microsoft Graph
// documentation on throttling, x-ms-throttle-limit-percentage).
const near = 0.8

// pace is how many requests may go in a second. At 0.95 of the limit it is what comes in; it falls to nearly nothing
// at 1.2, since there are services that refuse only beyond their limit.
func (b *bucket) pace() float64 {
	factor := 1.0
	if b.tells {
		factor = min(max((1.2-b.used)/0.25, 0.05), 1.6)
	}
	return b.perSecond() * b.share * factor
}

// one reports whether the service wants its requests one by one.
func (b *bucket) one() bool { return b.requests == 1 }

// slow begins to keep the pace.
func (b *bucket) slow() {
	if !b.paced {
		b.paced, b.credit = true, 0
	}
	b.fill()
}

// fill sees to it that credit comes, until there is a quarter of a second's worth.
func (b *bucket) fill() {
	rate := b.pace()
	if b.filling != nil || b.credit >= max(1, rate/4) {
		return
	}
	const often = 25 * time.Millisecond
	d := max(often, time.Duration(float64(time.Second)/rate))
	came := make(chan struct{})
	b.filling = came
	time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.credit = min(b.credit+rate*d.Seconds(), max(1, rate/4))
		b.filling = nil
		if b.paced {
			b.fill()
		}
		close(came)
	})
}

// pass returns nil if a request that costs so much may go now, which may put others off for longer, else a channel that is closed when it is worth asking again.
func (b *bucket) pass(units float64) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.holds > 0:
		return b.free
	case !b.paced:
		return nil
	case b.credit > 0.999: // what came in parts may lack a little
		b.credit -= units
		b.fill()
		return nil
	}
	b.fill()
	return b.filling
}

// waits counts a request in or out of those that wait.
func (b *bucket) waits(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting += n
}

// hold keeps requests back for d.
func (b *bucket) hold(d time.Duration) {
	if b.holds == 0 {
		b.free, b.held = make(chan struct{}), 0
	}
	b.holds++
	b.held = max(b.held, d)
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
	if b.paced && b.holds == 0 { // of several requests under way, one refusal says it all
		b.share = max(b.share*2/3, 1.0/64)
	}
	b.slow()
	b.hold(d)
}

// heard notes an answer other than a refusal for throttling, and what it says of its cost, where another was expected, and
// of the limit.
func (b *bucket) heard(h http.Header, expected float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accepted++
	if units, err := strconv.ParseFloat(h.Get("x-ms-resource-unit"), 64); err == nil && units > 0 && b.units {
		b.credit -= min(units, 100) - expected
	}
	used, err := strconv.ParseFloat(h.Get("x-ms-throttle-limit-percentage"), 64)
	switch {
	case err == nil && used > near:
		b.tells, b.used = true, min(used, 2)
		b.slow()
	case b.tells:
		b.paced, b.used = false, near
	}
	if b.used < 1 {
		b.share = min(b.share+0.1/b.requests, 1)
	}
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
		if b.one() {
			first = 2 * b.window // its rate is known, and it never says how long
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

// enter waits for a free slot and for the service to be open. The caller gives the slot back with leave.
func (c *Client) enter(ctx context.Context, b *bucket, units float64) error {
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
		free := b.pass(units)
		if free == nil {
			return nil
		}
		c.leave()
		b.waits(1)
		select {
		case <-free:
			b.waits(-1)
		case <-ctx.Done():
			b.waits(-1)
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
