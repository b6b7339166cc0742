package capture_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A tape answers what was asked before as it was answered then, so that the made-up tenant's own work is not measured.
type tape struct {
	mu     sync.Mutex
	by     map[string]*take
	takes  []*take // in the order of first asking
	plays  bool
	missed int // requests that were not on the tape, once it plays
}

// A take is one request and its answer.
type take struct {
	batch  bool
	url    string
	answer http.Response
	body   []byte
}

// record returns a tenant's answers to a whole first capture.
func record(t testing.TB, tenant *emulator.Tenant) *tape {
	p := &tape{by: map[string]*take{}}
	l := lab.New(t, tenant)
	l.Asked = nil
	l.Wire.Meddle = p.meddle
	l.Capture()
	p.plays = true
	return p
}

// meddle answers from the tape, and puts on it what is not there. It knows nothing of signing in.
func (p *tape) meddle(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/oauth2/") {
		return pass()
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	key := r.Method + " " + r.URL.String() + " " + string(body)
	p.mu.Lock()
	k := p.by[key]
	p.mu.Unlock()
	if k == nil {
		answer, err := pass()
		if err != nil {
			return nil, err
		}
		k = &take{batch: strings.HasSuffix(r.URL.Path, "/$batch"), url: r.URL.String(), answer: *answer}
		if k.body, err = io.ReadAll(answer.Body); err != nil {
			return nil, err
		}
		p.mu.Lock()
		p.by[key], p.takes = k, append(p.takes, k)
		if p.plays {
			p.missed++
		}
		p.mu.Unlock()
	}
	answer := k.answer
	answer.Header, answer.Body, answer.Request = k.answer.Header.Clone(), io.NopCloser(bytes.NewReader(k.body)), r
	return &answer, nil
}

// plain returns the body of the answer as it was before it was compressed.
func (k *take) plain() ([]byte, error) {
	if k.answer.Header.Get("Content-Encoding") != "gzip" {
		return k.body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(k.body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// items are the objects in an answer: those of its list, or of the lists in the answers of a batch, or itself.
func items(body []byte) []jsontext.Value {
	var list struct {
		Value     []jsontext.Value `json:"value"`
		Responses []struct {
			Body jsontext.Value `json:"body"`
		} `json:"responses"`
	}
	if json.Unmarshal(body, &list) != nil {
		return nil
	}
	all := list.Value
	for _, r := range list.Responses {
		all = append(all, items(r.Body)...)
	}
	if all == nil && list.Responses == nil && len(body) > 0 && body[0] == '{' {
		all = []jsontext.Value{body}
	}
	return all
}

// loop is what no capture can do without: of each answer it takes the objects, canonicalises and hashes them, and
// compresses and seals frames of them as a first snapshot does, on all processors. It returns how many objects there were.
func (p *tape) loop() (objects int, err error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return 0, err
	}
	takes := make(chan *take)
	var g errgroup.Group
	var mu sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			defer func() {
				for range takes { // in case of an error
				}
			}()
			sealed, err := age.Encrypt(io.Discard, identity.Recipient())
			if err != nil {
				return err
			}
			z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithSingleSegment(true), zstd.WithWindowSize(256<<10))
			if err != nil {
				return err
			}
			n, frame := 0, []byte(nil)
			for k := range takes {
				body, err := k.plain()
				if err != nil {
					return err
				}
				for _, item := range items(body) {
					b, err := entra.Canonical(item)
					if err != nil {
						return err
					}
					v := b.Version()
					n++
					frame = append(append(append(frame, v[:]...), b...), '\n')
					if len(frame) >= 256<<10 {
						if _, err := sealed.Write(z.EncodeAll(frame, nil)); err != nil {
							return err
						}
						frame = frame[:0]
					}
				}
			}
			if _, err := sealed.Write(z.EncodeAll(frame, nil)); err != nil {
				return err
			}
			mu.Lock()
			objects += n
			mu.Unlock()
			return sealed.Close()
		})
	}
	for _, k := range p.takes {
		takes <- k
	}
	close(takes)
	return objects, g.Wait()
}

// A lap is what something took, of the clock and of the processors.
type lap struct{ wall, cpu time.Duration }

func timed(t testing.TB, do func()) lap {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	runtime.GC()
	began, before := time.Now(), used()
	do()
	return lap{time.Since(began), used() - before}
}

// BenchmarkCaptureAgainstLoop compares a whole first capture, from answers that cost nothing, with a loop that does what
// no capture can do without. They take turns, each capture is held against the loops before and after it, since a machine
// is not as fast at one moment as at another, and the middle one of the ratios counts. The tenant is a large one with
// TIDEMARK_LONG.
func BenchmarkCaptureAgainstLoop(b *testing.B) {
	const most, turns = 1.5, 15
	n := 10_000
	if os.Getenv("TIDEMARK_LONG") != "" {
		n = 30_000
	}
	tenant := lab.Start(b, emulator.Options{Users: n, Groups: n / 10, Apps: n / 50})
	p := record(b, tenant)
	loop := func() lap {
		return timed(b, func() {
			if objects, err := p.loop(); err != nil || objects < n {
				b.Fatalf("%d objects, %v", objects, err)
			}
		})
	}
	for b.Loop() {
		var wall, cpu []float64
		before := loop()
		for range turns {
			l := lab.New(b, tenant)
			l.Asked = nil
			l.Wire.Meddle = p.meddle
			whole := timed(b, func() {
				if _, err := capture.Run(b.Context(), l.Reader, l.Repo, l.Index, tenant.Now, capture.Options{}); err != nil {
					b.Fatal(err)
				}
			})
			after := loop()
			wall = append(wall, 2*whole.wall.Seconds()/(before.wall+after.wall).Seconds())
			cpu = append(cpu, 2*whole.cpu.Seconds()/(before.cpu+after.cpu).Seconds())
			before = after
		}
		slices.Sort(wall)
		slices.Sort(cpu)
		b.Logf("%d answers: capture takes %.2f to %.2f times the loop, of the processors %.2f to %.2f times", len(p.takes), wall[0], wall[turns-1], cpu[0], cpu[turns-1])
		b.ReportMetric(wall[turns/2], "x-loop")
		b.ReportMetric(cpu[turns/2], "x-loop-cpu")
		if wall[turns/2] > most {
			b.Errorf("a capture took %.2f times what the loop takes", wall[turns/2])
		}
		if p.missed > 0 {
			b.Errorf("%d requests were not on the tape", p.missed)
		}
	}
}

// bubble runs something in virtual time, which the testing package gives to tests only.
func bubble(b *testing.B, do func(t *testing.T)) {
	b.Helper()
	all := func(string, string) (bool, error) { return true, nil }
	if !testing.RunTests(all, []testing.InternalTest{{Name: b.Name(), F: func(t *testing.T) { synctest.Test(t, do) }}}) {
		b.Fail()
	}
}

// slow is how long a page takes in virtual time.
const slow = time.Second

// taking makes each request take some time.
func taking(d time.Duration, with carrier) carrier {
	return func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		if !strings.Contains(r.URL.Path, "/oauth2/") {
			time.Sleep(d) // of the bubble
		}
		return with(r, pass)
	}
}

// lists returns how many pages each list on the tape has, in the order of asking, and how many batches there are.
func (p *tape) lists() (lists []int, batches int, err error) {
	at := map[string]int{} // the list that goes on with a link
	for _, k := range p.takes {
		if k.batch {
			batches++
			continue
		}
		i, ok := at[k.url]
		if !ok {
			i = len(lists)
			lists = append(lists, 0)
		}
		lists[i]++
		body, err := k.plain()
		if err != nil {
			return nil, 0, err
		}
		var page struct {
			Next string `json:"@odata.nextLink"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, 0, err
		}
		if next, err := url.Parse(page.Next); err != nil {
			return nil, 0, err
		} else if page.Next != "" {
			at[next.String()] = i
		}
	}
	return lists, batches, nil
}

// download is a bare loop over lists and batches, each of which takes a page's time: six lists at once, as a capture has,
// and ten batches, as the client has.
func download(lists []int, batches int) time.Duration {
	began := time.Now()
	var six, ten errgroup.Group
	six.SetLimit(6)
	ten.SetLimit(10)
	var both errgroup.Group
	both.Go(func() error {
		for range batches {
			ten.Go(func() error { time.Sleep(slow); return nil })
		}
		return ten.Wait()
	})
	for _, pages := range lists {
		six.Go(func() error { time.Sleep(time.Duration(pages) * slow); return nil })
	}
	_, _ = six.Wait(), both.Wait() // neither can fail
	return time.Since(began)
}

// BenchmarkSlowPages compares a whole first capture with a bare loop that downloads the same, where each page takes a
// second of virtual time.
func BenchmarkSlowPages(b *testing.B) {
	tenant := lab.Start(b, emulator.Options{Users: 6000, Groups: 600, Apps: 60, Page: 100})
	p := record(b, tenant)
	lists, batches, err := p.lists()
	if err != nil || len(lists) < 20 || batches < 10 {
		b.Fatalf("%d lists, %d batches, %v", len(lists), batches, err)
	}
	for b.Loop() {
		bubble(b, func(t *testing.T) {
			loop := download(lists, batches)
			l := lab.New(t, tenant)
			l.Asked = nil
			l.Wire.Meddle = taking(slow, p.meddle)
			began := time.Now()
			l.Capture()
			whole := time.Since(began)
			ratio := whole.Seconds() / loop.Seconds()
			b.Logf("%d lists and %d batches: download %s, capture %s", len(lists), batches, loop, whole)
			b.ReportMetric(ratio, "x-download")
			if ratio > 1.25 {
				b.Errorf("a capture took %.2f times what a download takes", ratio)
			}
			if p.missed > 0 {
				b.Errorf("%d requests were not on the tape", p.missed)
			}
		})
	}
}

// BenchmarkMemberships compares reading the memberships of groups by the delta function with a bare loop that asks for
// them group by group, six at once, where each page takes a second of virtual time.
func BenchmarkMemberships(b *testing.B) {
	tenant := lab.Start(b, emulator.Options{Users: 600, Groups: 2000, Apps: 1})
	var others []entra.Type
	for r := range catalog.All() {
		if r.Type != "group" {
			others = append(others, r.Type)
		}
	}
	for b.Loop() {
		bubble(b, func(t *testing.T) {
			l := lab.New(t, tenant)
			l.Asked = nil
			var mu sync.Mutex
			var first, last time.Time
			requests := 0
			l.Wire.Meddle = taking(slow, func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				for _, address := range addresses(t, r) {
					if strings.Contains(address, "/members") || strings.Contains(address, "/groups/delta") && !strings.Contains(address, "deltatoken=latest") {
						if last = time.Now(); first.IsZero() {
							first = last.Add(-slow)
						}
						requests++
					}
				}
				return pass()
			})
			s, err := capture.Run(t.Context(), l.Reader, l.Repo, l.Index, tenant.Now, capture.Options{Exclude: others})
			if err != nil {
				t.Fatal(err)
			}
			groups, p := int(s.Part("group", "").Objects), s.Part("group", "members")
			if p.Coverage != snapshot.Complete || p.Links < int64(groups) || groups < 2000 || requests == 0 {
				t.Fatalf("%d requests, %d groups, %d links, %s: %s", requests, groups, p.Links, p.Coverage, p.Reason)
			}
			took, one := last.Sub(first), download(slices.Repeat([]int{1}, groups), 0)
			few, short := float64(requests)/float64(groups), took.Seconds()/one.Seconds()
			b.Logf("%d memberships of %d groups: %d requests in %s, group by group %s", p.Links, groups, requests, took, one)
			b.ReportMetric(few, "x-requests")
			b.ReportMetric(short, "x-time")
			if few > 0.5 || short > 0.5 {
				b.Errorf("by delta they take %.2f of the requests and %.2f of the time", few, short)
			}
		})
	}
}
