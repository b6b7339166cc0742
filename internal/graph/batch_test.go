package graph_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/hostile"
)

type asked struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// part answers an item: status, body ("" for none), headers as name and value in turn.
type part struct {
	status  int
	body    string
	headers []string
}

// batches is a service that answers batches item by item, in reverse order. A nil part is left out.
type batches struct {
	wire
	mu    sync.Mutex
	seen  [][]asked
	item  func(a asked) *part
	outer func(n int) *http.Response // nil means that all is well
}

func newBatches(item func(asked) *part) *batches {
	b := &batches{item: item}
	b.serve = func(n int, r *http.Request) (*http.Response, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.outer != nil {
			if resp := b.outer(n); resp != nil {
				return resp, nil
			}
		}
		var envelope struct{ Requests []asked }
		b.wire.mu.Lock()
		err := json.Unmarshal([]byte(b.sent[n-1]), &envelope)
		b.wire.mu.Unlock()
		if err != nil || r.Method != "POST" || len(envelope.Requests) > 20 || len(envelope.Requests) == 0 {
			return refuse(400, "BadRequest", "Invalid batch payload format."), nil
		}
		b.seen = append(b.seen, envelope.Requests)
		var parts []string
		for _, a := range slices.Backward(envelope.Requests) {
			p := b.item(a)
			if p == nil {
				continue
			}
			h := map[string]string{"Content-Type": "application/json"}
			for i := 0; i+1 < len(p.headers); i += 2 {
				h[p.headers[i]] = p.headers[i+1]
			}
			header, err := json.Marshal(h)
			if err != nil {
				return nil, err
			}
			body := ""
			if p.body != "" {
				body = `,"body":` + p.body
			}
			parts = append(parts, fmt.Sprintf(`{"id":%q,"status":%d,"headers":%s%s}`, a.ID, p.status, header, body))
		}
		return reply(200, `{"responses":[`+strings.Join(parts, ",")+`]}`), nil
	}
	return b
}

func (b *batches) client(t *testing.T, o graph.Options) *graph.Client {
	o.HTTP = &http.Client{Transport: &b.wire}
	return client(t, nil, o)
}

func gets(n int) []graph.Request {
	rs := make([]graph.Request, n)
	for i := range rs {
		rs[i] = graph.Request{Path: fmt.Sprintf("/users/%d", i)}
	}
	return rs
}

func idOf(a asked) string { return a.URL[strings.LastIndexByte(a.URL, '/')+1:] }

func echo(a asked) *part { return &part{status: 200, body: `{"id":"` + idOf(a) + `"}`} }

func TestBatchAnswersInOrder(t *testing.T) {
	for _, n := range []int{0, 1, 19, 20, 21, 100} {
		b := newBatches(echo)
		results, err := b.client(t, graph.Options{}).Batch(t.Context(), "beta", gets(n))
		if err != nil || len(results) != n || len(b.seen) != (n+19)/20 {
			t.Fatalf("%d: %d results of %d batches, %v", n, len(results), len(b.seen), err)
		}
		for i, r := range results {
			if r.Err != nil || r.Status != 200 || string(r.Body) != fmt.Sprintf(`{"id":"%d"}`, i) {
				t.Errorf("%d: %d is %+v", n, i, r)
			}
		}
		for _, r := range b.asked {
			if r.URL.String() != endpoint+"/beta/$batch" {
				t.Errorf("asked %s", r.URL)
			}
		}
	}
}

func TestBatchItemsAsSent(t *testing.T) {
	b := newBatches(func(a asked) *part { return &part{status: 200, body: `{"id":"1"}`} })
	_, err := b.client(t, graph.Options{}).Batch(t.Context(), "", []graph.Request{
		{Path: "/users", Query: url.Values{"$filter": {"startswith(displayName,'ä b')"}, "$count": {"true"}}, Header: http.Header{"ConsistencyLevel": {"eventual"}}},
		{Method: "POST", Path: "/groups/1/members/$ref", Body: []byte(`{"@odata.id":"x"}`)},
		{Method: "DELETE", Path: "/users/1"},
	})
	if err != nil || len(b.seen) != 1 {
		t.Fatal(err)
	}
	get, post, del := b.seen[0][0], b.seen[0][1], b.seen[0][2]
	if get.URL != "/users?$count=true&$filter=startswith(displayName,'%C3%A4%20b')" || get.Headers["Consistencylevel"] != "eventual" || get.Headers["Prefer"] != "include-unknown-enum-members" || get.Body != nil {
		t.Errorf("%+v", get)
	}
	if post.Method != "POST" || post.Headers["Content-Type"] != "application/json" || string(post.Body) != `{"@odata.id":"x"}` || post.Headers["Prefer"] != "" {
		t.Errorf("%+v", post)
	}
	if del.Method != "DELETE" || del.Body != nil || get.ID == post.ID || post.ID == del.ID {
		t.Errorf("%+v", del)
	}
	for name, v := range get.Headers {
		if strings.Contains(v, "secret-token") {
			t.Errorf("the token is in %s", name)
		}
	}
}

func TestBatchItemsAreJudgedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := map[string]int{}
		b := newBatches(nil)
		b.item = func(a asked) *part {
			id := idOf(a)
			tries[id]++
			fault := func(status int) *part { return &part{status: status, body: `{"error":{"code":"c","message":"m"}}`} }
			switch id {
			case "missing":
				return fault(404)
			case "slow":
				if tries[id] == 1 {
					return &part{status: 429, body: `{"error":{"code":"TooManyRequests"}}`, headers: []string{"retry-after", "0.249"}}
				}
			case "slower":
				if tries[id] <= 2 {
					return &part{status: 429, headers: []string{"Retry-After", "7"}}
				}
			case "shaky":
				if tries[id] <= 4 {
					return fault(503)
				}
			case "down":
				return fault(500)
			case "torn":
				if tries[id] == 1 {
					return nil
				}
			case "hostile":
				return &part{status: 200, body: `{"error":{"code":"x"}}`}
			case "empty":
				return &part{status: 200}
			case "write-down":
				return fault(504)
			case "write-slow":
				if tries[id] == 1 {
					return fault(429)
				}
				return &part{status: 204}
			case "write-torn":
				return nil
			case "write-crossed":
				if tries[id] <= 2 {
					return &part{status: 409, body: `{"error":{"code":"Directory_ConcurrencyViolation"}}`}
				}
				return &part{status: 204}
			case "dependent":
				return fault(424)
			case "denied":
				return fault(401)
			case "moved":
				return &part{status: 302, headers: []string{"Location", "https://evil.example"}}
			}
			return echo(a)
		}
		var rs []graph.Request
		ids := []string{"good", "missing", "slow", "slower", "shaky", "down", "torn", "hostile", "empty", "write-down", "write-slow", "write-torn", "write-crossed", "dependent", "denied", "moved"}
		for _, id := range ids {
			r := graph.Request{Path: "/users/" + id}
			if strings.HasPrefix(id, "write") {
				r.Method = "PATCH"
			}
			rs = append(rs, r)
		}
		c := b.client(t, graph.Options{})
		results, err := c.Batch(t.Context(), "v1.0", rs)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			id      string
			tries   int
			status  int // of the error; 0 means success; -1 an answer that breaks the protocol
			unknown bool
		}{
			{"good", 1, 0, false}, {"missing", 1, 404, false}, {"slow", 2, 0, false}, {"slower", 3, 0, false}, {"shaky", 5, 0, false}, {"down", 8, 500, false},
			{"torn", 2, 0, false}, {"hostile", 8, -1, false}, {"empty", 8, -1, false}, {"write-down", 1, 504, true}, {"write-slow", 2, 0, false}, {"write-torn", 1, -1, true}, {"write-crossed", 3, 0, false},
			{"dependent", 1, 424, false}, {"denied", 2, 401, false}, {"moved", 1, -1, false},
		} {
			got := results[slices.Index(ids, row.id)].Err
			var e *graph.Error
			var p *graph.ProtocolError
			switch {
			case row.status == 0 && got != nil, row.status > 0 && (!errors.As(got, &e) || e.Status != row.status || !strings.HasSuffix(e.Path, row.id)), row.status < 0 && !errors.As(got, &p):
				t.Errorf("%s: %v", row.id, got)
			}
			if errors.Is(got, graph.ErrUnknownOutcome) != row.unknown {
				t.Errorf("%s: unknown outcome is %t: %v", row.id, !row.unknown, got)
			}
			if tries[row.id] != row.tries {
				t.Errorf("%s: sent %d times, want %d", row.id, tries[row.id], row.tries)
			}
		}
		if !errors.Is(results[1].Err, fs.ErrNotExist) {
			t.Error(results[1].Err)
		}
		if s := c.Stats(); s.Throttled != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBatchThrottledForEverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(func(asked) *part { return &part{status: 429} })
		begin := time.Now()
		results, err := b.client(t, graph.Options{}).Batch(t.Context(), "", gets(30))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			var e *graph.Error
			if !errors.As(r.Err, &e) || e.Status != 429 {
				t.Error(r.Err)
			}
		}
		if d := time.Since(begin); d > 30*time.Minute || len(b.seen) > 200 {
			t.Errorf("%s, %d batches", d, len(b.seen))
		}
	})
}

// When a batch fails as a whole, its reads are made again and its writes are unknown.
func TestBatchFailsAsAWhole(t *testing.T) {
	for name, outer := range map[string]func() *http.Response{
		"429": func() *http.Response { return refuse(429, "TooManyRequests", "", "Retry-After", "5") },
		"500": func() *http.Response { return refuse(500, "", "") }, "503": func() *http.Response { return refuse(503, "", "") }, "504": func() *http.Response { return refuse(504, "", "") },
		"html":     func() *http.Response { return reply(200, "<html>", "Content-Type", "text/html") },
		"no parts": func() *http.Response { return reply(200, `{}`) },
		"null":     func() *http.Response { return reply(200, `{"responses":null}`) },
		"twice": func() *http.Response {
			return reply(200, `{"responses":[{"id":"1","status":200,"body":{"id":"1"}},{"id":"2","status":204},{"id":"2","status":204}]}`)
		},
		"unasked":   func() *http.Response { return reply(200, `{"responses":[{"id":"77","status":200}]}`) },
		"no id":     func() *http.Response { return reply(200, `{"responses":[{"status":200}]}`) },
		"no status": func() *http.Response { return reply(200, `{"responses":[{"id":"1"}]}`) },
		"status":    func() *http.Response { return reply(200, `{"responses":[{"id":"1","status":"200"}]}`) },
		"status 99": func() *http.Response { return reply(200, `{"responses":[{"id":"1","status":99}]}`) },
		"not parts": func() *http.Response { return reply(200, `{"responses":[1]}`) },
		"error":     func() *http.Response { return reply(200, `{"responses":[],"error":{}}`) },
		"cut":       func() *http.Response { return reply(200, `{"responses":[{"id":"1","status":2`) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBatches(echo)
				b.outer = func(n int) *http.Response {
					if n == 1 {
						return outer()
					}
					return nil
				}
				results, err := b.client(t, graph.Options{}).Batch(t.Context(), "", []graph.Request{{Path: "/users/1"}, {Method: "PATCH", Path: "/users/2"}})
				if err != nil {
					t.Fatal(err)
				}
				if results[0].Err != nil || string(results[0].Body) != `{"id":"1"}` {
					t.Errorf("the read: %+v", results[0])
				}
				if !errors.Is(results[1].Err, graph.ErrUnknownOutcome) || len(b.seen) != 1 || len(b.seen[0]) != 1 {
					t.Errorf("the write: %v; %v", results[1].Err, b.seen)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(echo)
		b.outer = func(int) *http.Response { return refuse(503, "", "") }
		results, err := b.client(t, graph.Options{}).Batch(t.Context(), "", []graph.Request{{Path: "/users/1"}, {Method: "PATCH", Path: "/users/2"}})
		if err != nil || results[0].Err == nil || errors.Is(results[0].Err, graph.ErrUnknownOutcome) || !errors.Is(results[1].Err, graph.ErrUnknownOutcome) {
			t.Errorf("for ever: %+v %v", results, err)
		}
		b = newBatches(echo)
		b.outer = func(int) *http.Response { return refuse(403, "Authorization_RequestDenied", "") }
		results, err = b.client(t, graph.Options{}).Batch(t.Context(), "", []graph.Request{{Path: "/users/1"}, {Method: "PATCH", Path: "/users/2"}})
		if err != nil || !errors.Is(results[0].Err, fs.ErrPermission) || !errors.Is(results[1].Err, fs.ErrPermission) || errors.Is(results[1].Err, graph.ErrUnknownOutcome) {
			t.Errorf("refused: %+v %v", results, err)
		}
	})
}

// A law: in a batch too, a write takes effect at most once, and nobody is told otherwise.
func TestBatchedWritesTakeEffectAtMostOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 45).Draw(rt, "requests")
		writes := rapid.SliceOfN(rapid.Bool(), n, n).Draw(rt, "writes")
		fates := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 40).Draw(rt, "fates")
		outers := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 6).Draw(rt, "outers")
		acted := make(map[string]int)
		var rs []graph.Request
		for i, w := range writes {
			r := graph.Request{Path: fmt.Sprint("/users/", i)}
			if w {
				r.Method, r.Body = "PATCH", []byte(`{}`)
			}
			rs = append(rs, r)
		}
		var results []graph.Result
		var err error
		synctest.Test(t, func(t *testing.T) {
			k := 0
			b := newBatches(nil)
			b.item = func(a asked) *part {
				fate := fates[k%len(fates)]
				k++
				switch fate {
				case 0:
					return &part{status: 429, headers: []string{"Retry-After", "1"}}
				case 1:
					return &part{status: 400}
				case 2:
					return &part{status: 503}
				}
				acted[idOf(a)]++
				switch fate {
				case 3:
					return nil
				case 4:
					return &part{status: 504}
				}
				return echo(a)
			}
			b.outer = func(n int) *http.Response {
				if n <= len(outers) && outers[n-1] > 1 {
					return refuse(map[int]int{2: 429, 3: 502, 4: 400}[outers[n-1]], "", "")
				}
				return nil
			}
			results, err = b.client(t, graph.Options{}).Batch(t.Context(), "", rs)
		})
		if err != nil {
			rt.Fatal(err)
		}
		for i, r := range results {
			n := acted[fmt.Sprint(i)]
			switch {
			case r.Err == nil && !strings.Contains(string(r.Body), fmt.Sprintf(`"%d"`, i)):
				rt.Fatalf("%d has the answer of another: %s", i, r.Body)
			case !writes[i]:
			case n > 1, r.Err == nil && n != 1, r.Err != nil && n > 0 && !errors.Is(r.Err, graph.ErrUnknownOutcome):
				rt.Fatalf("%d took effect %d times: %v", i, n, r.Err)
			}
		}
	})
}

func TestBatchEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		b := newBatches(func(a asked) *part {
			if idOf(a) == "3" {
				return &part{status: 429, headers: []string{"Retry-After", "60"}}
			}
			return echo(a)
		})
		results, err := b.client(t, graph.Options{}).Batch(ctx, "", gets(5))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		for i, r := range results {
			if (r.Err != nil) != (i == 3) {
				t.Errorf("%d: %v", i, r.Err)
			}
		}
	})
}

func TestBatchOfAThrottledServiceGoesOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		b := newBatches(nil)
		b.item = func(a asked) *part {
			if first {
				first = false
				return &part{status: 429, body: `{"error":{"code":"TooManyRequests","message":"Too many requests."}}`}
			}
			return echo(a)
		}
		var rs []graph.Request
		for i := range 5 {
			rs = append(rs, graph.Request{Path: fmt.Sprint("/identity/conditionalAccess/policies/", i)})
		}
		c := b.client(t, graph.Options{})
		for range 2 {
			results, err := c.Batch(t.Context(), "", rs)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if r.Err != nil {
					t.Error(r.Err)
				}
			}
		}
		var sizes []int
		for _, s := range b.seen {
			sizes = append(sizes, len(s))
		}
		if !slices.Equal(sizes, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}) {
			t.Errorf("batches of %v", sizes)
		}
	})
}

func TestBatchesThatAreNotSent(t *testing.T) {
	b := newBatches(func(asked) *part { t.Error("sent"); return nil })
	c := b.client(t, graph.Options{})
	for name, rs := range map[string][]graph.Request{
		"path": {{Path: "users"}}, "version": {{Path: "/users", Version: "beta"}}, "absolute": {{Path: "https://graph.example/v1.0/users"}}, "header": {{Path: "/users", Header: http.Header{"Authorization": {"x"}}}},
	} {
		if _, err := c.Batch(t.Context(), "v1.0", rs); err == nil {
			t.Error(name)
		}
	}
	if _, err := c.Batch(t.Context(), "v3", nil); err == nil {
		t.Error("version")
	}
	big := []graph.Request{}
	for i := range 20 {
		big = append(big, graph.Request{Method: "PATCH", Path: fmt.Sprint("/users/", i), Body: []byte(`{"a":"` + strings.Repeat("a", 200<<10) + `"}`)})
	}
	b = newBatches(echo)
	if _, err := b.client(t, graph.Options{}).Batch(t.Context(), "", big); err != nil || len(b.seen) != 4 {
		t.Errorf("%d batches for 4 MB: %v", len(b.seen), err)
	}
}

// FuzzBatch: what is taken for the answer to a batch is JSON, each part with a status and a body that is JSON too.
func FuzzBatch(f *testing.F) {
	for _, body := range []string{
		`{"responses":[]}`, `{"responses":[{"id":"1","status":200,"headers":{"Retry-After":"1"},"body":{"value":[]}}]}`,
		`{"responses":[{"id":"2","status":204},{"id":"1","status":429,"headers":null,"body":null}]}`,
		`{"responses":[{"id":"1","status":200,"body":"aGVsbG8="}]}`, `{"responses":[{"id":1,"status":"200"}]}`,
		`{"responses":[{"id":"1","status":200},{"id":"1","status":200}]}`, `{"responses":[{"id":"4","status":200}]}`, `{"error":{}}`, `{"responses":{}}`, `[]`, ``,
	} {
		f.Add([]byte(body))
	}
	for row := range hostile.All() {
		if len(row.Body) < 1<<12 {
			f.Add([]byte(strings.ReplaceAll(row.Body, "value", "responses")))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { graph.CheckDecodeBatch(t, body, 3) })
}

// Bytes go into a batch, and come out of it, as they do by themselves.
func TestBatchedBytes(t *testing.T) {
	large := base64.StdEncoding.EncodeToString(make([]byte, 2<<20))
	bodies := map[string]string{"/a": `"iVBORw=="`, "/b": `"no base64"`, "/c": `{"id":"1"}`, "/d": `"` + large + `"`, "/f": `"PGh0bWw+"`, "/e": `"` + base64.StdEncoding.EncodeToString(make([]byte, 4<<20+1)) + `"`}
	b := newBatches(func(a asked) *part {
		if a.Method == "PUT" {
			return &part{status: 204}
		}
		return &part{status: 200, body: bodies[a.URL], headers: []string{"Content-Type", map[bool]string{true: "text/html", false: "image/png; x=y"}[a.URL == "/f"]}}
	})
	synctest.Test(t, func(t *testing.T) {
		var rs []graph.Request
		for _, path := range []string{"/a", "/b", "/c", "/d", "/e", "/f"} {
			rs = append(rs, graph.Request{Path: path, Header: http.Header{"Accept": {"image/*, application/octet-stream"}}})
		}
		rs = append(rs, graph.Request{Method: "PUT", Path: "/a", Header: http.Header{"Content-Type": {"image/png"}}, Body: []byte("\x89PNG")})
		results, err := b.client(t, graph.Options{}).Batch(t.Context(), "", rs)
		if err != nil {
			t.Fatal(err)
		}
		if r := results[0]; r.Err != nil || string(r.Body) != `{"contentType":"image/png","data":"iVBORw=="}` {
			t.Errorf("an image: %s %v", r.Body, r.Err)
		}
		if r := results[3]; r.Err != nil || len(r.Body) < len(large) {
			t.Errorf("a large image: %d bytes, %v", len(r.Body), r.Err)
		}
		for _, i := range []int{1, 2, 4, 5} {
			if _, ok := errors.AsType[*graph.ProtocolError](results[i].Err); !ok {
				t.Errorf("%s is taken: %v", rs[i].Path, results[i].Err)
			}
		}
		if results[6].Err != nil {
			t.Error(results[6].Err)
		}
	})
	for _, a := range b.seen[0] {
		if a.Method == "PUT" && (string(a.Body) != `"iVBORw=="` || a.Headers["Content-Type"] != "image/png") {
			t.Errorf("sent %+v", a)
		}
	}
}
