package main

import (
	"fmt"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
)

// A progress tells the person on standard error how far a long command has come: one line that is written
// over on a terminal, else a plain line every ten seconds, or JSON events.
type progress struct {
	*env
	mode string // "line", "plain", "json" or "none"

	mu    sync.Mutex
	last  time.Time // something was said
	drawn bool      // a line stands that is to be written over
}

func (e *env) newProgress() *progress {
	p := &progress{env: e, mode: e.progress, last: e.now()}
	if p.mode == "auto" {
		p.mode = "plain"
		if e.terminal {
			p.mode = "line"
		}
	}
	return p
}

// A weight says how much it would matter if something was not said.
type weight int

const (
	passing   weight = iota // the next one says more
	milestone               // a program that follows is told
	final                   // nothing comes after
)

// due reports whether something is to be said.
func (p *progress) due(w weight) bool {
	since := p.now().Sub(p.last)
	switch p.mode {
	case "line":
		return since >= 100*time.Millisecond || w == final
	case "plain":
		return since >= 10*time.Second || w == final
	case "json":
		return since >= time.Second || w >= milestone
	}
	return false
}

// say says how far the command has come, in a line and as data.
func (p *progress) say(line string, data map[string]any) {
	p.last = p.now()
	switch p.mode {
	case "line":
		fmt.Fprintf(p.err, "\r\x1b[K%s", cut(clean(line), p.columns()-1)) // in the last column some terminals begin a new line
		p.drawn = true
	case "json":
		_ = writeJSON(p.err, data, "") // a progress line that cannot be written harms nothing
	case "plain":
		fmt.Fprintln(p.err, clean(line))
	}
}

// columns is the width of the terminal that standard error is; where nobody can say, 80.
func (e *env) columns() int {
	if f, ok := e.err.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 { //nolint:gosec // a file descriptor fits an int
			return w
		}
	}
	return 80
}

// cut shortens a line to a width.
func cut(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:max(width-1, 0)]) + "…"
}

// clear takes the line off the terminal.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.err, "\r\x1b[K")
		p.drawn = false
	}
}

// note says something on a line of its own.
func (p *progress) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.err, "tidemark: %s\n", line)
}

// close ends what is said, and takes the line off the terminal. Calling it twice does no harm.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.mode = "none"
}

// A teller says how far something has come at a moment, in a line and as data. rule is what is waited for, and wait
// about how long yet.
type teller interface {
	state(now time.Time, rule string, wait time.Duration) (string, map[string]any)
}

// follow says every second, until it is stopped, how far something has come and what waiting says of the service. What
// is told of in between is told at once, as far as it matters.
func (p *progress) follow(t teller, waiting func() (string, time.Duration)) (tell func(weight, func()), stop func()) {
	tell = func(w weight, happened func()) {
		p.mu.Lock()
		defer p.mu.Unlock()
		happened()
		if p.due(w) {
			rule, wait := waiting()
			p.say(t.state(p.now(), rule, wait))
		}
	}
	tick := time.NewTicker(time.Second)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-tick.C:
				tell(passing, func() {})
			case <-end:
				return
			}
		}
	}()
	return tell, sync.OnceFunc(func() {
		tick.Stop()
		close(end)
		<-ended
	})
}

// capturing tells how far a capture has come, until stop: told takes in what it says of its parts.
func (p *progress) capturing(waiting func() (string, time.Duration)) (told func(capture.Progress), stop func()) {
	v := &viewed{began: p.now(), parts: map[string]*viewedPart{}}
	tell, stop := p.follow(v, waiting)
	return func(c capture.Progress) {
		w := passing
		if c.Done {
			w = milestone
		}
		tell(w, func() { v.take(c, p.now()) })
	}, stop
}

// A viewed is how far a capture has come.
type viewed struct {
	began     time.Time
	parts     map[string]*viewedPart
	announced bool // all of them are known
	done      int
	last      *viewedPart // that was told of
	kinds     [2]pace     // of objects, and of what is read once they are known
}

// A viewedPart is how far one part has come.
type viewedPart struct {
	capture.Progress
	name string
	kind int
}

// left is how many items are still to come; false where that cannot be said.
func (p *viewedPart) left() (int64, bool) {
	if p.Done {
		return 0, true
	}
	return max(p.Of-p.Items, 0), p.Of >= 0
}

// A pace is how fast one kind of items has come. Objects come by hundreds and links one object at a time, so that the
// pace of the ones says nothing about the others.
type pace struct {
	began time.Time // zero while none has come
	items int64
}

// perSecond is the pace; false while it says nothing, because it has not been long.
func (k pace) perSecond(now time.Time) (float64, bool) {
	const proven = 5 * time.Second
	took := now.Sub(k.began)
	if k.began.IsZero() || k.items == 0 || took < proven {
		return 0, false
	}
	return float64(k.items) / took.Seconds(), true
}

func (v *viewed) take(c capture.Progress, now time.Time) {
	name := string(c.Type)
	if c.Relation != "" {
		name += "." + c.Relation
	}
	p := v.parts[name]
	if p == nil {
		p = &viewedPart{name: name}
		if r, ok := catalog.Lookup(c.Type); c.Relation != "" || ok && r.Under != "" {
			p.kind = 1
		}
		v.parts[name] = p
	}
	k := &v.kinds[p.kind]
	k.items += c.Items - p.Items
	if k.began.IsZero() && c.Items > 0 {
		k.began = now
	}
	if c.Done && !p.Done {
		v.done++
	}
	v.announced = v.announced || c.Items == 0 && !c.Done
	p.Progress = c
	if c.Items > 0 || c.Done || v.last == nil {
		v.last = p
	}
}

// left is how long it will take to read the rest, about, by what there is and by how fast it has come so far; false where one of
// them cannot be said.
func (v *viewed) left(now time.Time) (time.Duration, bool) {
	var rest [len(v.kinds)]int64
	for _, p := range v.parts {
		n, ok := p.left()
		if !ok {
			return 0, false
		}
		rest[p.kind] += n
	}
	seconds := 0.0
	for kind, n := range rest {
		if n == 0 {
			continue
		}
		rate, ok := v.kinds[kind].perSecond(now)
		if !ok || rate <= 0 {
			return 0, false
		}
		seconds += float64(n) / rate
	}
	return time.Duration(seconds * float64(time.Second)), true
}

func (v *viewed) state(now time.Time, rule string, wait time.Duration) (string, map[string]any) {
	if v.last == nil {
		return "connecting", map[string]any{"event": "capture", "parts": 0, "total": 0}
	}
	p := v.last
	var total, of int64
	counted := true
	for _, q := range v.parts {
		n, ok := q.left()
		total, of, counted = total+q.Items, of+q.Items+n, counted && ok
	}
	data := map[string]any{"event": "capture", "part": p.name, "items": p.Items, "done": p.Done, "coverage": p.Coverage.String(), "reason": p.Reason,
		"parts": v.done, "partsOf": len(v.parts), "total": total, "seconds": now.Sub(v.began).Seconds()}
	items := fmt.Sprintf("%d items", total)
	if counted {
		data["totalOf"] = of
		if of > total {
			items = fmt.Sprintf("%d of %d items", total, of)
		}
	}
	if p.Of >= 0 && !p.Done {
		data["of"] = p.Of
	}
	rest := ""
	left, known := v.left(now)
	switch {
	case known && left > 0:
		rest = fmt.Sprintf(", about %s to read", duration(left.Seconds())) // then what differs has to be kept
	case !known && !counted && now.Sub(v.began) >= 10*time.Second:
		rest = ", time left unknown" // nobody has said how much there is
	}
	all := v.announced && v.done == len(v.parts)
	if known && !all {
		data["left"] = left.Seconds()
	}
	rate, steady := v.kinds[p.kind].perSecond(now)
	if steady {
		data["rate"] = rate
	}
	// What matters most stands first: a line that is too long loses its end.
	line := fmt.Sprintf("%d/%d parts, ", v.done, len(v.parts))
	switch {
	case wait >= time.Second:
		data["waiting"], data["waitingFor"] = wait.Seconds(), rule
		line += fmt.Sprintf("waits %s: %s", duration(wait.Seconds()), rule)
		if known {
			line += rest
		}
		return line + ", " + items, data
	case all:
		return line + items + ": all is read, keeping what differs", data
	case steady:
		items += fmt.Sprintf(", %.0f/s", rate)
	}
	line += items + rest + ": " + p.name
	if !p.Done {
		line += fmt.Sprintf(" %d", p.Items)
		if p.Of > p.Items {
			line += fmt.Sprintf(" of %d", p.Of)
		}
	}
	return line, data
}

// applying tells how far a plan of this forecast has come: told takes in the result of a step, until stop.
func (p *progress) applying(f apply.Forecast, waiting func() (string, time.Duration)) (told func(step int, what string), stop func()) {
	c := &carried{forecast: f, began: p.now(), what: "begin"}
	tell, stop := p.follow(c, waiting)
	return func(step int, what string) {
		w := milestone
		if c.done+1 == len(f.Ends) {
			w = final
		}
		tell(w, func() {
			c.done, c.what = c.done+1, what
			c.expected = max(c.expected, f.Ends[step-1])
		})
	}, stop
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
	left := (w.forecast.Whole() - w.expected).Seconds()
	const proven = 10 * time.Second // of forecast, before it is corrected
	if w.expected > proven {
		left *= took.Seconds() / w.expected.Seconds()
	}
	event["left"] = left
	// What matters most stands first, as in a capture.
	line := fmt.Sprintf("step %d of %d", w.done, total)
	if wait >= time.Second {
		event["waiting"], event["waitingFor"] = wait.Seconds(), rule
		line += fmt.Sprintf(", waits %s: %s", duration(wait.Seconds()), rule)
	}
	if w.done < total {
		line += fmt.Sprintf(", about %s left", duration(left))
	}
	if rate := float64(w.done) / took.Seconds(); took > 0 && w.done > 0 {
		event["rate"] = rate
		line += fmt.Sprintf(", %.1f/s", rate)
	}
	return line + ": " + w.what, event
}
