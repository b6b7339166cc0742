package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tidemark-backup/tidemark/internal/apply"
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

// applying tells how far a plan of this forecast has come: told takes in the result of a step, and every second what
// waiting says of the service is looked at, until done.
func (p *progress) applying(f apply.Forecast, waiting func() (string, time.Duration)) (told func(step int, what string), done func()) {
	w := &carried{forecast: f, began: p.now(), what: "begin"}
	tick := time.NewTicker(time.Second)
	stop, stopped := make(chan struct{}), make(chan struct{})
	say := func(always bool) {
		rule, wait := waiting()
		line, event := w.state(p.now(), rule, wait)
		p.say(line, event, always)
	}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-tick.C:
				p.mu.Lock()
				say(false)
				p.mu.Unlock()
			case <-stop:
				return
			}
		}
	}()
	told = func(step int, what string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.done, w.what = w.done+1, what
		w.expected = max(w.expected, f.Ends[step-1])
		say(w.done == len(f.Ends))
	}
	return told, func() {
		tick.Stop()
		close(stop)
		<-stopped
	}
}

// A carried is how far a plan that is carried out has come.
type carried struct {
	forecast apply.Forecast
	began    time.Time
	done     int
	what     string        // happened last
	expected time.Duration // when what is done should have been
}

// state says how far it has come at a moment, in a line and as data. The time left is what the forecast has for the
// rest, longer or shorter as the forecast has proved so far.
func (w *carried) state(now time.Time, rule string, wait time.Duration) (string, map[string]any) {
	total, took := len(w.forecast.Ends), now.Sub(w.began)
	event := map[string]any{"event": "apply", "done": w.done, "total": total, "what": w.what, "seconds": took.Seconds()}
	line := fmt.Sprintf("step %d of %d: %s", w.done, total, w.what)
	if rate := float64(w.done) / took.Seconds(); took > 0 && w.done > 0 {
		event["rate"] = rate
		line += fmt.Sprintf("; %.1f a second", rate)
	}
	left := (w.forecast.Whole() - w.expected).Seconds()
	const proven = 10 * time.Second // of forecast, before it is corrected
	if w.expected > proven {
		left *= took.Seconds() / w.expected.Seconds()
	}
	event["left"] = left
	if w.done < total {
		line += fmt.Sprintf("; about %s left", duration(left))
	}
	if wait >= time.Second {
		event["waiting"], event["waitingFor"] = wait.Seconds(), rule
		line += fmt.Sprintf("; waiting %s: %s", duration(wait.Seconds()), rule)
	}
	return line, event
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

// note says something on a line of its own.
func (p *progress) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear() // as in say
	}
	fmt.Fprintf(p.err, "tidemark: %s\n", line)
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
