package apply_test

import (
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// every lets each different write of a restore meet a loss, once.
type every struct {
	mu   sync.Mutex
	lab  *lab.Lab
	loss int
	met  map[[32]byte]bool
}

func (e *every) meddle(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
	if !writes(r) {
		return pass()
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	key := sha256.Sum256([]byte(r.Method + " " + r.URL.Path + "\n" + string(body)))
	e.mu.Lock()
	again := e.met[key]
	e.met[key] = true
	e.mu.Unlock()
	if again {
		return pass()
	}
	return losses[e.loss].do(e.lab, pass)
}

// TestEveryWriteOfOneRestore has one restore meet the same loss at each of its writes: every answer is lost, every
// connection is reset, or the program dies at each and is run again. It ends, with no object twice and none missing.
func TestEveryWriteOfOneRestore(t *testing.T) {
	size, least := 1, 20
	o := emulator.Options{Users: 24, Groups: 10, Apps: 3}
	if long() {
		size, least = 65, 500
		o = emulator.Options{Users: 400, Groups: 200, Apps: 120}
	}
	for i, loss := range losses {
		t.Run(loss.name, func(t *testing.T) {
			tenant := lab.Start(t, o)
			for range 3 {
				group(t, tenant, "Twin")
			}
			synctest.Test(t, func(t *testing.T) {
				l := lab.New(t, tenant)
				goal := badDay(t, l, size)
				base := l.Capture()
				p := l.Plan(base, goal, plan.Request{})
				objects := map[entra.Ref]bool{}
				for _, s := range p.Steps {
					objects[s.Ref] = true
				}
				cleared, record := l.Clear(p, base)
				e := &every{lab: l, loss: i, met: map[[32]byte]bool{}}
				l.Wire.Meddle = e.meddle
				runs := 1
				report, err := apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, l.Options(base))
				for ; err != nil && runs < 3*len(p.Steps); runs++ {
					l.Revive()
					report, err = apply.Run(t.Context(), l.Writer, l.Repo, cleared, record, l.Options(base))
				}
				if err != nil {
					t.Fatalf("after %d runs: %v", runs, err)
				}
				l.Wire.Meddle = nil
				l.Follow()
				for _, res := range report.Results {
					if res.Outcome != apply.Done && res.Outcome != apply.AlreadyDone {
						t.Errorf("step %d (%s %s) %s: %s", res.Step, p.Steps[res.Step-1].Action, p.Steps[res.Step-1].Ref, res.Outcome, res.Error)
					}
				}
				after := l.Capture()
				is := counts(after)
				for kind, had := range counts(goal) {
					if is[kind] != had {
						t.Errorf("%d %s, there were %d", is[kind], kind, had)
					}
				}
				for _, d := range l.Verify(p, goal, after) {
					t.Errorf("differs: %s %s: %s", d.Ref, d.Field, d.Reason)
				}
				if again := l.Plan(after, goal, plan.Request{}); len(again.Steps) > 0 {
					t.Errorf("a second plan has %d steps; the first: %+v", len(again.Steps), again.Steps[0])
				}
				t.Logf("%d objects, %d steps, %d writes lost, %d runs", len(objects), len(p.Steps), len(e.met), runs)
				if len(objects) < least || len(e.met) < least {
					t.Errorf("only %d objects and %d writes", len(objects), len(e.met))
				}
			})
		})
	}
}
