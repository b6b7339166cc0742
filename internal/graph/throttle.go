package graph

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
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
	// tells says that answers say how much of the limit is used when it is near. What is granted is then learned:
	// larger are the amounts that the service grants to larger tenants.
	tells  bool
	larger []float64
}

// A Scale is how many times as fast as documented the quotas of a tenant fill: Microsoft raises them for a tenant that
// asks for it. What is below 1, and so the zero value, is once.
type Scale int

// InFlight is how many requests have to be under way at once to use up the quota of writes though each takes half a
// second: 24, and for greater scales more, up to 240.
func (s Scale) InFlight() int { return usualInFlight * min(max(int(s), 1), 10) }

// quotas is what the documentation grants one application in one tenant (Microsoft Graph documentation,
// service-specific throttling limits): the least of it where it depends on the size of the tenant, and a share where it
// grants a tenant as a whole. What does not say how much of it is used has a tenth more time than documented.
func (s Scale) quotas() map[service]quota {
	all := map[service]quota{
		directory:         {requests: 3500, window: 10 * time.Second, rule: "the directory grants 350 units of reading a second, more to more than 50 people", units: true, tells: true, larger: []float64{5000, 8000}},
		directoryWrites:   {requests: 3000, window: 150 * time.Second, rule: "the directory takes 20 writes a second", tells: true},
		conditionalAccess: {requests: 1, window: 1250 * time.Millisecond, rule: "Conditional Access takes one request a second"}, // of all applications
		reports:           {requests: 5, window: 11 * time.Second, rule: "the audit log takes one request in two seconds"},
		governance:        {requests: 20, window: 11 * time.Second, rule: "identity governance takes two requests a second"}, // as observed; not documented
	}
	for name, q := range all {
		q.window /= time.Duration(max(s, 1))
		if s > 1 {
			if n := len(q.larger); n > 0 { // who has raised quotas is large
				q.requests, q.larger = q.larger[n-1], nil
			}
			q.rule += fmt.Sprintf(", times the %d of this tenant", s)
		}
		all[name] = q
	}
	return all
}

// perSecond is how many requests a second the quota grants for good.
func (q quota) perSecond() float64 { return q.requests / q.window.Seconds() }

// cap is the most that may go at once.
func (q quota) cap() float64 {
	if q.tells {
		return full * q.requests
	}
	return q.requests
}

func newBuckets(scale Scale, inFlight int) map[service]*bucket {
	buckets := map[service]*bucket{}
	for s, q := range scale.quotas() {
		buckets[s] = newBucket(q, inFlight)
	}
	return buckets
}

// Service names the part of Microsoft Graph whose quota r draws on. What waits for one does not wait for another.
func (r Request) Service() string {
	return string(serviceOf(r.Path, r.Read || r.Method == "" || r.Method == http.MethodGet))
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

// A bucket lets the requests to one service through in the order in which they came, or holds them back.
//
// It keeps an account of what the service must have left: what was granted less what was sent, beginning with the least
// that is documented. So nothing is sent that a service which keeps to the documentation refuses. From four fifths of its
// limit on the service says how much is used, which puts the account and the rate right. Its silence means that more than
// a fifth is left: where the account has less, the tenant is larger than thought, or its quotas were raised. So much is
// under way at the most that what is left without a word cannot be used up before the word comes. Some of the limit is
// left alone, because a service counts in its own order, and others may count with it.
//
// A service that does not say how much is used, by its documentation or as a refusal without such a word shows, is held
// to what is documented. Where that is refused, others take their part: the rate falls by a third each time and grows
// again by a tenth for each bucketful that is accepted. After a refusal one request asks whether it is over, before the
// others go.
type bucket struct {
	quota
	now func() time.Time // real time, or a test's

	mu       sync.Mutex
	queue    []*turn // those that wait
	timer    *time.Timer
	until    time.Time // nothing goes before
	refused  time.Time // the last time
	probing  bool      // no request that went since has been accepted
	probe    *turn     // the one that asks whether it is over
	accepted uint64    // answers other than 429 so far
	flying   int       // requests under way
	under    float64   // what they cost
	width    width     // how many may be

	blind float64   // what may be under way without a word of the limit: it cannot use up what is left above near
	level float64   // what may go now
	at    time.Time // when it was
	brim  time.Time // when the account was last full
	rate  float64   // what comes in a second
	most  float64   // of rate
	sent  float64   // all that has gone
	told  bool      // the service says how much is used
	mute  bool      // it does not
	grown time.Time // when the quota was last taken for larger
	proof float64   // units that were answered since as if it were larger still
}

// A turn is that of one request.
type turn struct {
	units float64
	at    time.Time     // when it went
	sent  float64       // all that had gone then, itself included
	under float64       // what those cost that were under way then
	left  float64       // what was left then, by the account
	ready chan struct{} // closed when it may go
}

const (
	// near is the fraction of its limit up to which a service says nothing of how much is used (Microsoft Graph
	// documentation on throttling, x-ms-throttle-limit-percentage).
	near = 0.8
	// full is the fraction that is used.
	full = 0.95
	// raised is how many times the documented rate the service may turn out to grant.
	raised = 100
)

func newBucket(q quota, inFlight int) *bucket {
	b := &bucket{quota: q, now: time.Now, rate: q.perSecond(), most: q.perSecond(), width: newWidth(inFlight)}
	b.level = b.cap()
	b.blind = (1 - near) * q.requests
	if q.tells {
		b.most *= raised
	}
	return b
}

// refill brings the level up to now.
func (b *bucket) refill() time.Time {
	now := b.now()
	if b.tells {
		if !b.at.IsZero() {
			b.level += b.rate * now.Sub(b.at).Seconds()
		}
		if b.level >= b.cap() {
			b.level, b.brim = b.cap(), now
		}
	}
	b.at = now
	return now
}

// admit lets go who may.
func (b *bucket) admit() {
	now := b.refill()
	for len(b.queue) > 0 && !now.Before(b.until) && b.flying < b.width.limit() && (!b.probing || b.probe == nil) {
		t := b.queue[0]
		if b.tells && b.flying > 0 && b.under+t.units > b.blind+b.rate*b.width.mean.Seconds() {
			break
		}
		need := min(t.units, b.cap()) - b.level
		if need > 1e-6 {
			if b.tells {
				b.wake(time.Duration(need/b.rate*float64(time.Second)) + time.Microsecond)
			}
			return
		}
		b.queue = b.queue[1:]
		b.level -= t.units
		b.sent += t.units
		t.at, t.sent, t.under, t.left = now, b.sent, b.under, b.level
		b.flying++
		b.under += t.units
		if b.probing {
			b.probe = t
		}
		close(t.ready)
	}
	if len(b.queue) > 0 && now.Before(b.until) {
		b.wake(b.until.Sub(now))
	}
}

// wake calls admit after d.
func (b *bucket) wake(d time.Duration) {
	d = max(d, time.Millisecond)
	if b.timer != nil {
		b.timer.Stop()
	}
	b.timer = time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.admit()
	})
}

// join queues a request that costs so much.
func (b *bucket) join(units float64) *turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &turn{units: units, ready: make(chan struct{})}
	b.queue = append(b.queue, t)
	b.admit()
	return t
}

// quit takes back a turn that was not used.
func (b *bucket) quit(t *turn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, t); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	} else {
		b.gone(t)
		b.level += t.units
		b.sent -= t.units
	}
	b.admit()
}

// gone notes that a turn is over.
func (b *bucket) gone(t *turn) {
	b.flying--
	b.under -= t.units
	if b.probe == t {
		b.probe = nil
	}
}

// landed notes that a request is no longer under way.
func (b *bucket) landed(t *turn, answered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone(t)
	if answered {
		now := b.now()
		b.width.answered(now, now.Sub(t.at), b.flying+1, t.at)
	}
	if !b.tells {
		// A service that counts in windows, from its own first request on, never sees more than it allows.
		units := t.units
		time.AfterFunc(time.Duration(b.requests/b.rate*float64(time.Second)), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.level = min(b.level+units, b.cap())
			b.admit()
		})
	}
	b.wake(0) // what the answer says comes first, if there is one
}

// anew tells whether a request went after the last refusal, of which those that were under way with it are part.
func (b *bucket) anew(t *turn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return t.at.After(b.refused)
}

// throttled notes that the request of a turn was refused, and holds all back for d.
func (b *bucket) throttled(d time.Duration, t *turn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.refill()
	switch {
	case !t.at.After(b.refused): // of several requests under way, one refusal says it all
	case b.tells && !b.told && !b.mute:
		b.mute = true
		b.rate, b.most = b.perSecond(), b.perSecond()
	default:
		b.rate = max(b.rate*2/3, b.perSecond()/64)
	}
	b.refused, b.probing = now, true
	if b.tells {
		b.level = min(b.level, 0)
	}
	if until := now.Add(d); until.After(b.until) {
		b.until = until
	}
	b.admit()
}

// hears notes an answer other than a refusal for throttling, to the request of a turn or one of several in it, and
// what it says of its cost, where another was expected, and of the limit.
func (b *bucket) hears(h http.Header, expected float64, t *turn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.refill()
	b.accepted++
	if t.at.After(b.refused) {
		b.probing = false
	}
	if units, err := strconv.ParseFloat(h.Get("x-ms-resource-unit"), 64); err == nil && units > 0 && b.units {
		more := min(units, 100) - expected
		b.level -= more
		b.sent += more
		t.sent += more
	}
	used, err := strconv.ParseFloat(h.Get("x-ms-throttle-limit-percentage"), 64)
	if err == nil && used > near && b.tells {
		b.learn(now, used, expected, t)
	} else if b.tells && !b.mute {
		b.silent(now, expected, t)
	} else {
		b.rate = min(b.rate+b.perSecond()/10/b.requests, b.most)
	}
	b.admit()
}

// learn takes in what the service says about the limit at the moment at which it counted the request of a turn, which
// cost so much. It is not known which of the requests that were under way it had counted by then: in the mean, those that
// went before. So a bucketful of readings puts the account right, and from a single one only what is certain is taken.
func (b *bucket) learn(now time.Time, used, units float64, t *turn) {
	b.proof = 0
	b.told, b.mute, b.most = true, false, raised*b.perSecond()
	since := b.rate * now.Sub(t.at).Seconds()
	left := (full - min(used, full+b.rate/b.requests)) * b.requests // what is far over the limit and answers is asked once a second
	off := left + since - (b.sent - t.sent) - b.level
	weight := min(4*units/b.requests, 0.5)
	b.level = min(b.level+weight*off, left+since)
	b.rate = min(max(b.rate*(1+weight*off/b.requests), b.perSecond()/64), b.most)
}

// silent takes in that the service says nothing of the limit. Where a whole round of answers says nothing, though by the
// account the limit is near, the tenant is larger than thought, or its quotas fill faster.
func (b *bucket) silent(now time.Time, units float64, t *turn) {
	came := b.rate * now.Sub(t.at).Seconds() / 2 // until it was counted, in the mean
	if t.left+came > (full-near-0.05)*b.requests || !t.at.After(b.grown) {
		return
	}
	if b.proof += units; b.proof < t.under {
		return
	}
	b.grown, b.proof = now, 0
	if len(b.larger) > 0 {
		had, rate := b.requests, b.rate
		b.requests, b.larger = b.larger[0], b.larger[1:]
		b.rate = b.perSecond()
		b.level = min(b.level+b.requests-had+(b.rate-rate)*now.Sub(b.brim).Seconds(), b.cap())
	} else {
		b.level, b.rate = b.cap(), min(b.rate*3/2, b.most)
	}
}

// together is how many requests may go in one batch.
func (b *bucket) together() int {
	if b.tells {
		return MaxBatch
	}
	return min(int(b.requests), MaxBatch)
}

// progress counts the answers other than refusals.
func (b *bucket) progress() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepted
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
	if accepted := b.progress(); accepted != p.mark {
		p.mark, p.waited = accepted, 0
	}
	p.times++
	d := retryAfter
	if d == 0 {
		first := 10 * time.Second
		if b.requests == 1 {
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

// enter waits until a call may go: for its service, and for a free slot. The caller gives the turn back with leave.
func (c *Client) enter(ctx context.Context, k *call) (*turn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := c.buckets[k.service]
	t := b.join(k.units())
	select {
	case <-t.ready:
	case <-ctx.Done():
		b.quit(t)
		return nil, ctx.Err()
	}
	select {
	case c.slots <- struct{}{}:
		return t, nil
	case <-ctx.Done():
		b.quit(t)
		return nil, ctx.Err()
	}
}

func (c *Client) leave(k *call, t *turn, answered bool) {
	<-c.slots
	c.buckets[k.service].landed(t, answered)
}

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
