package emulator

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// limits are the service's quotas as token buckets over real time. Windows of
// ten seconds and more are scaled to one second.
type limits struct {
	t  *Tenant
	mu sync.Mutex
	on bool

	units, writes, policies, reports bucket
}

type bucket struct {
	capacity, perSecond, level float64
	at                         time.Time
}

func (b *bucket) refill(now time.Time) {
	if b.at.IsZero() {
		b.level = b.capacity
	} else {
		b.level = min(b.capacity, b.level+now.Sub(b.at).Seconds()*b.perSecond)
	}
	b.at = now
}

// newLimits picks the quotas of the tenant's size: under 50 users small, up to
// 500 medium, above large (Microsoft Graph documentation, throttling limits).
func newLimits(t *Tenant) *limits {
	units := 350.0
	if t.o.Users >= 50 {
		units = 500
	}
	if t.o.Users > 500 {
		units = 800
	}
	return &limits{t: t, units: bucket{capacity: units, perSecond: units}, writes: bucket{capacity: 100, perSecond: 100}, policies: bucket{capacity: 1, perSecond: 1}, reports: bucket{capacity: 5, perSecond: 5}}
}

func (l *limits) set(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = on
	for _, b := range []*bucket{&l.units, &l.writes, &l.policies, &l.reports} {
		b.at = time.Time{}
	}
}

func serviceOf(path string) string {
	switch {
	case strings.HasPrefix(path, "/identity/conditionalAccess"):
		return "conditionalAccess"
	case strings.HasPrefix(path, "/auditLogs"):
		return "reports"
	}
	return "directory"
}

// take charges a request, or refuses it.
func (l *limits) take(c *call) *refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on || c.path == "/$batch" {
		return nil
	}
	now := l.t.now()
	charge := func(b *bucket, n float64) bool {
		b.refill(now)
		if b.level < n {
			return false
		}
		b.level -= n
		return true
	}
	refused := func(retry, scope, why, msg string) *refusal {
		r := refuse(429, "TooManyRequests", "%s", msg)
		r.header = map[string]string{}
		if retry != "" {
			r.header["Retry-After"] = retry
		}
		if scope != "" {
			r.header["x-ms-throttle-scope"] = scope + "/" + c.appID + "/" + l.t.id
			r.header["x-ms-throttle-information"] = why
		}
		return r
	}
	switch serviceOf(c.path) {
	case "conditionalAccess":
		if !charge(&l.policies, 1) {
			return refused("", "", "", "Too many requests.")
		}
		return nil
	case "reports":
		if !charge(&l.reports, 1) {
			return refused("1", "", "", "Too many requests.")
		}
		return nil
	}
	if err := c.parseQuery(); err != nil {
		return nil // refused later, for what it is
	}
	if c.isWrite() && !charge(&l.writes, 1) {
		return refused("1", "Tenant_Application/Write", "WriteLimitExceeded", "Please retry again later.")
	}
	if !charge(&l.units, float64(c.cost())) {
		return refused("1", "Tenant_Application/ReadWrite", "ResourceUnitLimitExceeded", "Too many requests from Identifier:"+l.t.id+" under category:aadgraph.app.tenant. Please try again later.")
	}
	return nil
}

// percentage is the used fraction of the quota, "" up to 0.8.
func (l *limits) percentage(c *call) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on || serviceOf(c.path) != "directory" || l.units.at.IsZero() {
		return ""
	}
	used := 1 - l.units.level/l.units.capacity
	if used <= 0.8 {
		return ""
	}
	return strconv.FormatFloat(used, 'f', 2, 64)
}
