package emulator

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// limits are the service's quotas as token buckets over real time (Microsoft
// Graph documentation, service-specific throttling limits). A request is
// charged to every bucket it falls under; the first that lacks the amount
// refuses it, and then none is charged.
type limits struct {
	t     *Tenant
	mu    sync.Mutex
	scale float64 // of the documented quotas; 0 means that none is enforced

	buckets map[string]*bucket // by the quota's name and whom it counts for
}

// A quota is an amount in a window.
type quota struct {
	amount float64
	window time.Duration
	scope  string // of x-ms-throttle-scope; "" where the service does not say
	why    string // of x-ms-throttle-information
	silent bool   // 429 comes without Retry-After
}

// units are the resource units of one application in one tenant: small below
// 50 users, medium up to 500, else large.
func (l *limits) units() quota {
	amount := 3500.0
	if l.t.o.Users >= 50 {
		amount = 5000
	}
	if l.t.o.Users > 500 {
		amount = 8000
	}
	return quota{amount, 10 * time.Second, "Tenant_Application/ReadWrite", "ResourceUnitLimitExceeded", false}
}

// A bucket fills evenly, from empty to full in the quota's window.
type bucket struct {
	quota
	level float64
	at    time.Time
}

func (b *bucket) refill(now time.Time, scale float64) {
	b.level = min(b.amount, b.level+scale*b.amount*now.Sub(b.at).Seconds()/b.window.Seconds())
	b.at = now
}

// A charge is what a request takes of one bucket.
type charge struct {
	name string
	quota
	n float64
}

// charges are all that a request costs.
func (l *limits) charges(c *call) []charge {
	const tenant, both = "Tenant/Write", "Tenant_Application/Write"
	switch serviceOf(c.path) {
	case "conditionalAccess":
		return []charge{{"policies", quota{1, time.Second, "", "", true}, 1}}
	case "reports":
		return []charge{{"reports of " + c.appID, quota{5, 10 * time.Second, "", "", false}, 1}}
	}
	units := l.units()
	all := []charge{{"units of " + c.appID, units, float64(c.cost())}}
	if c.isWrite() {
		all = append(all,
			charge{"writes of " + c.appID, quota{3000, 150 * time.Second, both, "WriteLimitExceeded", false}, 1},
			charge{"writes", quota{18000, 5 * time.Minute, tenant, "WriteLimitExceeded", false}, 1})
	}
	return all
}

func serviceOf(path string) string {
	switch {
	case strings.HasPrefix(path, "/identity/conditionalAccess"), strings.HasPrefix(path, "/identityProtection"):
		return "conditionalAccess"
	case strings.HasPrefix(path, "/auditLogs"):
		return "reports"
	}
	return "directory"
}

// bucket is the one that a charge is to, as it is now.
func (l *limits) bucket(x charge) *bucket {
	now := l.t.now()
	b := l.buckets[x.name]
	if b == nil {
		b = &bucket{x.quota, x.amount, now}
		l.buckets[x.name] = b
	}
	b.refill(now, l.scale)
	return b
}

// take charges a request, or refuses it.
func (l *limits) take(c *call) *refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.scale == 0 || c.path == "/$batch" {
		return nil
	}
	if err := c.parseQuery(); err != nil {
		return nil // refused later, for what it is
	}
	all := l.charges(c)
	for _, x := range all {
		b := l.bucket(x)
		if b.level >= x.n {
			continue
		}
		r := refuse(429, "TooManyRequests", "Too many requests.")
		r.header = map[string]string{}
		if !x.silent {
			wait := (x.n - b.level) * b.window.Seconds() / b.amount / l.scale
			r.header["Retry-After"] = strconv.Itoa(max(1, int(math.Ceil(wait))))
		}
		if x.scope != "" {
			r.message = "Please retry again later."
			r.header["x-ms-throttle-scope"] = fmt.Sprintf("%s/%s/%s", x.scope, c.appID, l.t.id)
			r.header["x-ms-throttle-information"] = x.why
		}
		return r
	}
	for _, x := range all {
		l.bucket(x).level -= x.n
	}
	return nil
}

// percentage is the used fraction of the quota that is nearest to its end, ""
// up to 0.8 and where the service does not say.
func (l *limits) percentage(c *call) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.scale == 0 || c.path == "/$batch" {
		return ""
	}
	used := 0.0
	for _, x := range l.charges(c) {
		if x.scope != "" {
			used = max(used, 1-l.bucket(x).level/x.amount)
		}
	}
	if used <= 0.8 {
		return ""
	}
	return strconv.FormatFloat(used, 'f', 2, 64)
}

// Throttle makes the tenant hold to the service's quotas, each of them filling
// scale times as fast as documented: 1 is the service, 0 ends it. Every quota
// begins full.
func (t *Tenant) Throttle(scale float64) {
	t.limits.mu.Lock()
	defer t.limits.mu.Unlock()
	t.limits.scale, t.limits.buckets = scale, map[string]*bucket{}
}
