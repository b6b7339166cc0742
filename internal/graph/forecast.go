package graph

import (
	"net/http"
	"time"
)

// A Forecast says when requests can go by the quotas that a Client begins with, each of them full. The zero value
// is ready. It is not safe for concurrent use.
type Forecast struct {
	Scale  Scale // of the Client
	levels map[service]*level
}

// A level is what is left of a quota at a moment.
type level struct {
	quota
	left float64
	at   time.Duration
}

// Go returns when a request that is ready at a time may go. Times count from the beginning and shall not fall by more
// than what is under way at once.
func (f *Forecast) Go(method, path string, ready time.Duration) time.Duration {
	if f.levels == nil {
		f.levels = map[service]*level{}
		for s, q := range f.Scale.quotas() {
			f.levels[s] = &level{quota: q, left: q.cap()}
		}
	}
	l := f.levels[serviceOf(path, method == http.MethodGet)]
	if ready > l.at {
		l.left = min(l.cap(), l.left+l.perSecond()*(ready-l.at).Seconds())
		l.at = ready
	}
	if l.left < 1 {
		l.at += time.Duration((1 - l.left) / l.perSecond() * float64(time.Second))
		l.left, ready = 1, l.at
	}
	l.left--
	return ready
}

// Waiting says what holds most requests of a Client back, and for how long yet, about: that a service has asked for it,
// or the rule by which it is not asked more often. It says "" and 0 while none waits for the service.
func (c *Client) Waiting() (rule string, d time.Duration) {
	for s, b := range c.buckets {
		if wait, asked := b.wait(); wait > d {
			rule, d = b.rule, wait
			if asked {
				rule = s.String() + " asked for it"
			}
		}
	}
	return rule, d
}

// String is what people call the service.
func (s service) String() string {
	switch s {
	case reports:
		return "the audit log"
	case conditionalAccess:
		return "Conditional Access"
	case governance:
		return "identity governance"
	}
	return "the directory"
}

// wait is how long those that wait now will need, and whether the service has asked for it by a refusal.
func (b *bucket) wait() (d time.Duration, asked bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return 0, false
	}
	now := b.refill()
	held := max(b.until.Sub(now), 0)
	units := 0.0
	for _, t := range b.queue {
		units += t.units
	}
	return max(held, time.Duration((units-b.level)/b.rate*float64(time.Second)), 0), held > 0
}
