package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// A cost is what one capture took, in a process of its own.
type cost struct {
	objects, links, requests, peak int64
	seconds, whole, cpu            float64 // until it was committed; with the filling of the index; of the processors
	tenant                         float64 // of the processors, for the made-up tenant
}

// cost captures the bench's tenant.
func (b *bench) cost() cost {
	b.t.Helper()
	var out []byte
	before := used(b.t)
	whole := measure(func() { out = b.run(0, "capture", "-o", "json") })
	var doc struct {
		Seconds float64 `json:"seconds"`
		Parts   []struct {
			Objects int64 `json:"objects"`
			Links   int64 `json:"links"`
		} `json:"parts"`
		Requests struct {
			Total int64 `json:"total"`
		} `json:"requests"`
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		b.t.Fatal(err)
	}
	c := cost{requests: doc.Requests.Total, seconds: doc.Seconds, whole: whole.Seconds(), cpu: b.cpu.Seconds(),
		tenant: (used(b.t) - before).Seconds(), peak: b.peak()}
	for _, p := range doc.Parts {
		c.objects += p.Objects
		c.links += p.Links
	}
	return c
}

// used is what this process, which is the tenant, has taken of the processors.
func used(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// mean is c with the times of both in the mean: a machine is not as fast at one moment as at another.
func (c cost) mean(d cost) cost {
	c.seconds, c.whole, c.cpu, c.tenant = (c.seconds+d.seconds)/2, (c.whole+d.whole)/2, (c.cpu+d.cpu)/2, (c.tenant+d.tenant)/2
	return c
}

func (c cost) String() string {
	return fmt.Sprintf("%d objects, %d links: %d requests, %.1f s, %.1f s with the index, %.1f s of the processors and %.1f for the tenant, peak %d MiB",
		c.objects, c.links, c.requests, c.seconds, c.whole, c.cpu, c.tenant, c.peak>>20)
}

// BenchmarkLarge captures a tenant and one of ten times its size, each whole, then unchanged, and then after a change of every
// thousandth object: what that takes of time, requests and memory must grow no more than the tenant did. With TIDEMARK_LONG the
// larger one has a million users, and a tenth of that without.
func BenchmarkLarge(b *testing.B) {
	users, spare := 100_000, cost{requests: 40, seconds: 2}
	if long() {
		users, spare = 1_000_000, cost{}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // the tenant shares the processors, and may have memory
	for b.Loop() {
		var first, idle, second [2]cost
		for i, n := range []int{users / 10, users} {
			tenant := newBench(b, emulator.Options{Users: n, Groups: n / 10, Apps: n / 50})
			first[i] = tenant.cost()
			b.Logf("whole:   %s", first[i])
			idle[i] = tenant.cost()
			b.Logf("idle:    %s", idle[i])
			tenant.change(max(n/1000, 1))
			second[i] = tenant.cost()
			b.Logf("changed: %s", second[i])
			tenant.tenant.Close()
		}
		again := newBench(b, emulator.Options{Users: users / 10, Groups: users / 100, Apps: users / 500})
		small, large, later := first[0].mean(again.cost()), first[1], second[1]
		again.tenant.Close()
		b.Logf("small:   %s, in the mean of before and after", small)
		heard := later.requests - idle[1].requests // what the changes cost: the lists of small types are read each time
		if large.objects < int64(users) || large.links < 5*int64(users) {
			b.Fatalf("only %d objects and %d links", large.objects, large.links)
		}
		b.ReportMetric(large.seconds/small.seconds, "x-time")
		b.ReportMetric(large.cpu/small.cpu, "x-cpu")
		b.ReportMetric(float64(large.peak)/(1<<20), "peak-MiB")
		b.ReportMetric(100*float64(heard)/float64(large.requests), "%-requests")
		b.ReportMetric(100*later.seconds/large.seconds, "%-time")
		// The tenant shares the processors: where its own work grows more than it does, the clock may show that.
		slack := max(1, large.tenant/small.tenant/10)
		most := 11.0 // of the processors; below the full size an index that fits into the cache is held against one that does not
		if !long() {
			most = 12
		}
		if large.seconds > 11*slack*small.seconds || large.cpu > most*small.cpu {
			b.Errorf("ten times the tenant takes %.1f times the time (and the tenant %.1f times the processors), and with the index %.1f times the processors",
				large.seconds/small.seconds, large.tenant/small.tenant, large.cpu/small.cpu)
		}
		if most := 512<<20 - (1_000_000-int64(users))*240; large.peak > most {
			b.Errorf("peak memory is %d MiB, more than %d", large.peak>>20, most>>20)
		}
		// What is kept to go fast is full in the larger of the large tenants only.
		if most := 200*(large.objects-small.objects) + 16*(large.links-small.links); long() && large.peak-small.peak > most {
			b.Errorf("memory grows by %d MiB, more than %d", (large.peak-small.peak)>>20, most>>20)
		}
		if heard > large.requests/100+spare.requests || later.seconds > large.seconds/50+spare.seconds {
			b.Errorf("after %d changes a capture takes %d of %d requests and %.1f of %.1f s", users/1000, heard, large.requests, later.seconds, large.seconds)
		}
	}
}

// change changes as many things of the tenant, of the types that delta queries cover.
func (b *bench) change(n int) {
	b.t.Helper()
	_, answer := b.tenant.Do("GET", "/v1.0/groups?$top=999&$select=id", nil)
	groups, _ := answer["value"].([]any)
	_, answer = b.tenant.Do("GET", "/v1.0/users?$top=999&$select=id", nil)
	users, _ := answer["value"].([]any)
	done := 0
	for i := range n {
		user, group := fmt.Sprint(dig(users[i%len(users)], "id")), fmt.Sprint(dig(groups[i%len(groups)], "id"))
		var status int
		if i%3 < 2 {
			status, _ = b.tenant.Do("PATCH", "/v1.0/users/"+user, map[string]any{"jobTitle": fmt.Sprint("title ", i)})
		} else {
			status, _ = b.tenant.Do("POST", "/v1.0/groups/"+group+"/members/$ref", map[string]any{"@odata.id": b.tenant.URL() + "/v1.0/directoryObjects/" + user})
		}
		if status == 204 {
			done++
		}
	}
	if done < n/2 {
		b.t.Fatalf("only %d of %d changes were made", done, n)
	}
}
