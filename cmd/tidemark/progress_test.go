package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
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
		{0, 0, 0, "step 0 of 100, about 1m40s left: begin", 100},
		{5, time.Second, 0, "step 5 of 100, about 1m35s left, 5.0/s: wrote", 95},
		{50, 25 * time.Second, 4 * time.Second, "step 50 of 100, waits 4s: Conditional Access takes one request a second, about 25s left, 2.0/s: wrote", 25},
		{100, 200 * time.Second, 0, "step 100 of 100, 0.5/s: wrote", 0},
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
		if _, waits := event["waitingFor"]; waits != (x.wait > 0) || strings.Contains(line, "waits") != waits {
			t.Errorf("%s: %v", line, event)
		}
	}
}

// The parts of a small capture: users, groups, and the members of groups.
const users, groups = catalog.UserType, catalog.GroupType

// The time left follows from how much there was and how fast it comes, objects and links each by themselves; where one
// of them is not known no number is made up.
func TestProgressOfACapture(t *testing.T) {
	begin := time.Date(2026, 1, 15, 8, 0, 0, 0, time.UTC)
	const pace = "the directory grants 800 units of reading a second"
	type told struct {
		after time.Duration
		capture.Progress
	}
	announced := func(n int64) []told {
		return []told{{0, capture.Progress{Type: users, Of: n}}, {0, capture.Progress{Type: groups, Of: n}}, {0, capture.Progress{Type: groups, Relation: catalog.Members, Of: n}}}
	}
	objects := []told{{time.Second, capture.Progress{Type: users, Items: 999, Of: 10000}}, {11 * time.Second, capture.Progress{Type: users, Items: 9990, Of: 10000}},
		{12 * time.Second, capture.Progress{Type: users, Items: 10010, Of: 10000, Done: true, Coverage: snapshot.Complete}}}
	links := append(objects, told{13 * time.Second, capture.Progress{Type: groups, Items: 10000, Of: 10000, Done: true, Coverage: snapshot.Complete}},
		told{20 * time.Second, capture.Progress{Type: groups, Relation: catalog.Members, Items: 100, Of: 10000}}, told{40 * time.Second, capture.Progress{Type: groups, Relation: catalog.Members, Items: 2500, Of: 10000}})
	first := []told{{time.Second, capture.Progress{Type: users, Items: 999, Of: -1}}, {11 * time.Second, capture.Progress{Type: users, Items: 9990, Of: -1}}}
	for name, x := range map[string]struct {
		told  []told
		after time.Duration
		wait  time.Duration
		line  string
		left  float64 // below 0: not said
		of    float64
	}{
		"at first":       {announced(10000), 0, 0, "0/3 parts, 0 of 30000 items: user 0 of 10000", -1, 30000},
		"soon":           {append(announced(10000), objects[0]), 2 * time.Second, 0, "0/3 parts, 999 of 30000 items: user 999 of 10000", -1, 30000},
		"objects":        {append(announced(10000), objects...), 12 * time.Second, 0, "1/3 parts, 10010 of 30010 items, 910/s: user", -1, 30010},
		"links":          {append(announced(10000), links...), 40 * time.Second, 0, "2/3 parts, 22510 of 30010 items, 125/s, about 1m0s to read: group.members 2500 of 10000", 60, 30010},
		"held back":      {append(announced(10000), links...), 40 * time.Second, 12 * time.Second, "2/3 parts, waits 12s: " + pace + ", about 1m0s to read, 22510 of 30010 items", 60, 30010},
		"a moment":       {append(announced(10000), links...), 40 * time.Second, time.Second / 2, "2/3 parts, 22510 of 30010 items, 125/s, about 1m0s to read: group.members 2500 of 10000", 60, 30010},
		"for the first":  {append(announced(-1), first...), 11 * time.Second, 0, "0/3 parts, 9990 items, 999/s, time left unknown: user 9990", -1, -1},
		"as it was":      {append(announced(0), told{time.Second, capture.Progress{Type: users, Done: true}}), 12 * time.Second, 0, "1/3 parts, 0 items: user", 0, 0},
		"again":          {append(announced(10000), append(objects[:2:2], told{12 * time.Second, capture.Progress{Type: users, Items: 0, Of: 10000}})...), 12 * time.Second, 0, "0/3 parts, 0 of 30000 items: user 0 of 10000", -1, 30000},
		"after a target": {[]told{{time.Second, capture.Progress{Type: users, Items: 3, Of: -1, Done: true}}}, time.Second, 0, "1/1 parts, 3 items: user", 0, 3},
		"all": {append(announced(10000), append(links, told{time.Minute, capture.Progress{Type: groups, Relation: catalog.Members, Items: 10000, Of: 10000, Done: true}})...), time.Minute, 0,
			"3/3 parts, 30010 items: all is read, keeping what differs", -1, 30010},
	} {
		v := &viewed{began: begin, parts: map[string]*viewedPart{}}
		for _, p := range x.told {
			v.take(p.Progress, begin.Add(p.after))
		}
		line, data := v.state(begin.Add(x.after), pace, x.wait)
		if line != x.line {
			t.Errorf("%s:\ngot  %s\nwant %s", name, line, x.line)
		}
		if left, said := data["left"].(float64); said != (x.left >= 0) || said && left != x.left {
			t.Errorf("%s: left %v, want %v", name, data["left"], x.left)
		}
		if of, said := data["totalOf"].(int64); said != (x.of >= 0) || said && float64(of) != x.of {
			t.Errorf("%s: of %v, want %v", name, data["totalOf"], x.of)
		}
		if _, waits := data["waitingFor"]; waits != (x.wait >= time.Second) {
			t.Errorf("%s: %v", name, data)
		}
	}
}

// On a terminal one line is written over and never wraps; elsewhere a line comes every ten seconds; a program hears of
// each part that is done and of the rest every second, also while nothing comes because the service has asked to wait.
func TestProgressAsItIsSeen(t *testing.T) {
	for _, mode := range []string{"line", "plain", "json", "none"} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			e := &env{err: &out, now: time.Now, progress: mode}
			p := e.newProgress()
			waits := time.Duration(0)
			told, stop := p.capturing(func() (string, time.Duration) {
				return "the directory asked for it", waits
			})
			told(capture.Progress{Type: users, Of: 1000000})
			for i := range 100 {
				time.Sleep(100 * time.Millisecond)
				told(capture.Progress{Type: users, Items: int64(i) * 999, Of: 1000000})
			}
			waits = 30 * time.Second
			time.Sleep(30 * time.Second)
			told(capture.Progress{Type: users, Items: 1000000, Of: 1000000, Done: true, Coverage: snapshot.Complete})
			stop()
			p.close()
			p.close()
			text := out.String()
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			switch mode {
			case "line":
				drawn := strings.Split(text, "\r\x1b[K")
				if len(lines) != 1 || len(drawn) < 50 || drawn[len(drawn)-1] != "" || !strings.Contains(text, "waits 30s: the directory asked for it, about ") {
					t.Errorf("%d lines, drawn %d times: %q", len(lines), len(drawn), text)
				}
				for _, d := range drawn {
					if utf8.RuneCountInString(d) > 79 {
						t.Errorf("%q is longer than a terminal is wide", d)
					}
				}
			case "plain":
				if len(lines) != 4 || !strings.Contains(lines[3], "waits 30s") {
					t.Errorf("%q", lines)
				}
			case "json":
				if len(lines) < 35 || len(lines) > 45 {
					t.Errorf("%d events", len(lines))
				}
				for i, line := range lines {
					var data struct {
						Event, Part, WaitingFor string
						Items, Of               int64
						Done                    bool
						Waiting, Left           float64
					}
					if err := json.Unmarshal([]byte(line), &data); err != nil || data.Event != "capture" || data.Part != "user" {
						t.Fatalf("%v: %s", err, line)
					}
					if last := i == len(lines)-1; data.Done != last || (data.Of == 1000000) == last || i > 20 && (data.Waiting != 30 || data.WaitingFor == "") {
						t.Errorf("%s", line)
					}
				}
			case "none":
				if text != "" {
					t.Errorf("%q", text)
				}
			}
		})
	}
}
