package emulator

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Writes have a quota of their own: 3,000 in 150 seconds for one application, as a bucket that fills evenly. The
// service says how full it is above 0.8, and for how long to wait.
func TestWriteQuota(t *testing.T) {
	tenant, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tenant.Close()
	now := time.Unix(0, 0)
	tenant.now = func() time.Time { return now }
	tenant.Throttle(1)
	write := func(app string) (string, *refusal) {
		c := &call{t: tenant, method: "POST", header: http.Header{}, appID: app, path: "/groups"}
		r := tenant.limits.take(c)
		return tenant.limits.percentage(c), r
	}
	for i := range 3000 {
		near, r := write("a")
		if r != nil {
			t.Fatalf("write %d: %v", i+1, r)
		}
		if said := near != ""; said != (i >= 2400) {
			t.Fatalf("write %d: x-ms-throttle-limit-percentage is %q", i+1, near)
		}
	}
	granted, refused := 0, 0
	for range 1000 { // ten seconds, at five times the rate
		if _, r := write("a"); r == nil {
			granted++
		} else if refused++; r.header["Retry-After"] != "1" || !strings.HasPrefix(r.header["x-ms-throttle-scope"], "Tenant_Application/Write/a/") || r.header["x-ms-throttle-information"] != "WriteLimitExceeded" {
			t.Fatalf("429: %v", r.header)
		}
		now = now.Add(10 * time.Millisecond)
	}
	if granted < 199 || granted > 201 || refused == 0 {
		t.Errorf("%d granted and %d refused in ten seconds, want 200", granted, refused)
	}
	if _, r := write("b"); r != nil {
		t.Errorf("another application: %v", r)
	}
	tenant.Throttle(20) // every quota is full again
	granted = 0
	for range 9000 { // 7.5 s
		if _, r := write("a"); r == nil {
			granted++
		}
		now = now.Add(833 * time.Microsecond)
	}
	if granted < 5900 || granted > 6100 {
		t.Errorf("%d granted of what was there and what came in the time, want 6000", granted)
	}
}
