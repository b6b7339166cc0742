package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tidemark-backup/tidemark/internal/capture"
)

// A progress tells the person on standard error how far a long command has come: one line that is written
// over on a terminal, else a plain line every ten seconds, or JSON events.
type progress struct {
	*env
	mode string // "bar", "plain", "json" or "none"

	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	last  time.Time
	items map[string]int64
	done  int
}

func (e *env) newProgress() *progress {
	p := &progress{env: e, mode: e.progress, items: map[string]int64{}, last: e.now()}
	if p.mode == "auto" {
		p.mode = "plain"
		if e.terminal {
			p.mode = "bar"
		}
	}
	if p.mode == "bar" {
		p.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(e.err), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetDescription("connecting"), progressbar.OptionSpinnerType(14), progressbar.OptionThrottle(100*time.Millisecond))
	}
	return p
}

// part takes in how far the reading of one part has come.
func (p *progress) part(c capture.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := string(c.Type)
	if c.Relation != "" {
		name += "." + c.Relation
	}
	p.items[name] = c.Items
	if c.Done {
		p.done++
	}
	var total int64
	for _, n := range p.items {
		total += n
	}
	p.say(fmt.Sprintf("reading %s: %d items; %d parts done, %d items in all", name, c.Items, p.done, total),
		map[string]any{"event": "capture", "part": name, "items": c.Items, "done": c.Done, "coverage": c.Coverage.String(), "reason": c.Reason, "parts": p.done, "total": total}, c.Done)
}

// step takes in that a write was carried out.
func (p *progress) step(done, total int, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say(fmt.Sprintf("step %d of %d: %s", done, total, what), map[string]any{"event": "apply", "done": done, "total": total, "what": what}, done == total)
}

func (p *progress) say(line string, event map[string]any, always bool) {
	switch p.mode {
	case "bar":
		p.bar.Describe(clean(line))
		_ = p.bar.Add(1) // a progress line that cannot be drawn harms nothing
	case "json":
		_ = writeJSON(p.err, event, "")
	case "plain":
		if now := p.now(); now.Sub(p.last) >= 10*time.Second || always && event["event"] == "apply" {
			p.last = now
			fmt.Fprintln(p.err, clean(line))
		}
	}
}

// close takes the line off the terminal. Calling it twice does no harm.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
		p.mode = "none"
	}
}
