package apply_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A bad day is damage of every kind that a restore can repair: what is purged, deleted, changed and unlinked. Among
// it are twins, of which one is purged and one lives.
func badDay(t *testing.T, l *lab.Lab, size int) *snapshot.Snapshot {
	t.Helper()
	goal := l.Capture()
	v := newVandal(t, l, goal)
	done := map[string]int{}
	twins := 0
	for r := range catalog.All() {
		if !r.Can.Has(catalog.Create|catalog.Delete) || r.Type == catalog.LocationType {
			continue
		}
		all := v.objects(r)
		for _, o := range all {
			name, _ := o.Body.Get("displayName")
			if name == "Twin" {
				if twins++; twins > 1 && v.purge(r, o, false) { // the first lives on
					done["purged"]++
				}
				continue
			}
			switch {
			case done["purged "+string(r.Type)] < size:
				if v.purge(r, o, false) {
					done["purged "+string(r.Type)]++
					done["purged"]++
				}
			case done["deleted "+string(r.Type)] < size && r.Bin != "":
				if v.remove(r, o) {
					done["deleted "+string(r.Type)]++
					done["deleted"]++
				}
			}
		}
		for _, rel := range r.Links {
			for _, link := range v.links(r, rel) {
				if done[rel.Rel+" of "+string(r.Type)] < size && v.unlink(r, link) {
					done[rel.Rel+" of "+string(r.Type)]++
					done["unlinked"]++
				}
			}
		}
	}
	if twins != 3 || done["purged"] < 8 || done["deleted"] < 4 || done["unlinked"] < 3 {
		t.Fatalf("too little damage: %v", done)
	}
	return goal
}

// counts are how many objects of each type a snapshot has, without what lies in bins and what was written down.
func counts(s *snapshot.Snapshot) map[entra.Type]int64 {
	n := map[entra.Type]int64{}
	for _, p := range s.Parts {
		if r, ok := catalog.Lookup(p.Type); ok && r.Live == "" && !r.Stream && p.Relation == "" {
			n[p.Type] = p.Objects
		}
	}
	return n
}

func writes(r *http.Request) bool {
	return r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/token") && !strings.HasSuffix(r.URL.Path, "/$batch")
}

var errReset = errors.New("connection reset by peer")

func drop(answer *http.Response, err error) {
	if err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

// losses are what can happen to one write.
var losses = []struct {
	name string
	do   func(l *lab.Lab, pass func() (*http.Response, error)) (*http.Response, error)
}{
	{"carried out, 504", func(_ *lab.Lab, pass func() (*http.Response, error)) (*http.Response, error) {
		drop(pass())
		return &http.Response{StatusCode: 504, Header: http.Header{}, Body: http.NoBody, ProtoMajor: 1, ProtoMinor: 1}, nil
	}},
	{"carried out, reset", func(_ *lab.Lab, pass func() (*http.Response, error)) (*http.Response, error) {
		drop(pass())
		return nil, errReset
	}},
	{"reset before", func(*lab.Lab, func() (*http.Response, error)) (*http.Response, error) { return nil, errReset }},
	{"dead before", func(l *lab.Lab, _ func() (*http.Response, error)) (*http.Response, error) {
		l.Kill()
		return nil, errReset
	}},
	{"dead after", func(l *lab.Lab, pass func() (*http.Response, error)) (*http.Response, error) {
		drop(pass())
		l.Kill()
		return nil, errReset
	}},
}

// TestEveryWriteMayBeLost is law 10: at each write of a restore the answer is lost, or the program dies. In the end
// the tenant is as if nothing had happened: no object twice, none missing.
func TestEveryWriteMayBeLost(t *testing.T) {
	size, step := 1, 1
	if long() {
		size = 4
	} else {
		step = len(losses) // each write meets one of them
	}
	most, runs := 1<<30, 0
	const few = 4 // writes for each tenant: values of extensions that are gone count against a limit of the service
	for from := 0; from < most; from += few {
		t.Run(fmt.Sprintf("from %d", from), func(t *testing.T) {
			tenant := lab.Start(t, emulator.Options{Users: 24, Groups: 10, Apps: 3})
			for range 3 {
				if status, answer := tenant.Do("POST", "/v1.0/groups", map[string]any{"displayName": "Twin", "mailNickname": "twin", "mailEnabled": false, "securityEnabled": true}); status != 201 {
					t.Fatalf("%d %v", status, answer)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				for n := from; n < min(from+few, most); n++ {
					for i := n % step; i < len(losses); i += step {
						runs++
						most = min(most, lose(t, l, size, n, i))
						if t.Failed() {
							t.Fatalf("write %d, %s", n, losses[i].name)
						}
					}
				}
			})
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d restores of %d writes or more", runs, most)
	if runs < 30 {
		t.Errorf("only %d restores", runs)
	}
}

// lose damages the tenant, restores it with the nth write lost, and returns how many writes that took.
func lose(t *testing.T, l *lab.Lab, size, n, i int) int {
	t.Helper()
	l.Tenant.Advance(48 * time.Hour) // what was written down before is read no more
	goal := badDay(t, l, size)
	base := l.Capture()
	q := plan.Request{EnableUsers: true} // in the end there would be nobody left whom the policies let in
	p := l.Plan(base, goal, q)
	cleared, record := l.Clear(p, base)
	var sent atomic.Int64
	l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		if writes(r) && sent.Add(1) == int64(n+1) {
			return losses[i].do(l, pass)
		}
		return pass()
	}
	report, err := apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, l.Options(base))
	if err != nil {
		l.Revive()
		report, err = apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, l.Options(base))
	}
	if err != nil {
		t.Fatal(err)
	}
	l.Wire.Meddle = nil
	l.Follow()
	for _, res := range report.Results {
		if res.Outcome != apply.Done && res.Outcome != apply.AlreadyDone {
			t.Errorf("step %d (%s %s) %s: %s", res.Step, p.Steps[res.Step-1].Action, p.Steps[res.Step-1].Ref, res.Outcome, res.Error)
		}
	}
	after := l.Capture()
	was, is := counts(goal), counts(after)
	for kind, had := range was {
		if is[kind] != had {
			t.Errorf("%d %s, there were %d", is[kind], kind, had)
		}
	}
	for _, d := range l.Verify(p, goal, after) {
		t.Errorf("differs: %s %s: %s", d.Ref, d.Field, d.Reason)
	}
	if again := l.Plan(after, goal, q); len(again.Steps) > 0 {
		t.Errorf("a second plan has %d steps; the first: %+v", len(again.Steps), again.Steps[0])
	}
	return int(sent.Load())
}
