package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/apply"
)

// The line says how far, how fast, how long yet and what is waited for; the time left follows how the forecast has
// proved.
func TestProgressOfARestore(t *testing.T) {
	begin := time.Date(2026, 1, 15, 8, 0, 0, 0, time.UTC)
	f := apply.Forecast{Writes: 100}
	for i := range 100 {
		f.Ends = append(f.Ends, time.Duration(i+1)*time.Second)
	}
	for _, x := range []struct {
		done  int
		after time.Duration
		wait  time.Duration
		line  string
		left  float64
	}{
		{0, 0, 0, "step 0 of 100: begin; about 1m40s left", 100},
		{5, time.Second, 0, "step 5 of 100: wrote; 5.0 a second; about 1m35s left", 95},
		{50, 25 * time.Second, 4 * time.Second, "step 50 of 100: wrote; 2.0 a second; about 25s left; waiting 4s: Conditional Access takes one request a second", 25},
		{100, 200 * time.Second, 0, "step 100 of 100: wrote; 0.5 a second", 0},
	} {
		w := &carried{forecast: f, began: begin, done: x.done, what: "wrote"}
		if x.done > 0 {
			w.expected = f.Ends[x.done-1]
		} else {
			w.what = "begin"
		}
		line, event := w.state(begin.Add(x.after), "Conditional Access takes one request a second", x.wait)
		if line != x.line || event["left"] != x.left || event["done"] != x.done {
			t.Errorf("got  %s, %v\nwant %s, %v", line, event, x.line, x.left)
		}
		if _, waits := event["waitingFor"]; waits != (x.wait > 0) || strings.Contains(line, "waiting") != waits {
			t.Errorf("%s: %v", line, event)
		}
	}
}
