package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/hostile"
)

// TestHostileAnswers is G5 and G6 of the table: what is not to be taken ends with an error of a type that names the
// request and the page, soon, with little memory, and with nothing asked of anybody else; what is odd comes through
// as it is.
func TestHostileAnswers(t *testing.T) {
	cases, asked := map[string]int{}, 0
	for c := range hostile.All() {
		if c.Family == "meaning" {
			continue // for who knows what a page is about
		}
		cases[c.Family]++
		t.Run(c.Family+"/"+c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{serve: func(n int, _ *http.Request) (*http.Response, error) {
					status := c.Status
					if status == 0 {
						status = 200
					}
					headers := make([]string, len(c.Header))
					for i, h := range c.Header {
						headers[i] = strings.ReplaceAll(h, "{n}", strconv.Itoa(n))
					}
					return reply(status, strings.ReplaceAll(c.Body, "{n}", strconv.Itoa(n)), headers...), nil
				}}
				o := graph.Options{}
				if c.Raw != "" {
					tr := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return said(c.Raw), nil }}
					defer tr.CloseIdleConnections()
					o.HTTP = &http.Client{Transport: tr}
				}
				begin := time.Now()
				items, _, err := users1(client(t, w, o), t)
				if took := time.Since(begin); took > time.Minute {
					t.Errorf("it took %s", took)
				}
				for _, r := range w.asked {
					asked++
					if !strings.HasPrefix(r.URL.String(), users) || r.Host != "graph.example" && r.Host != "" {
						t.Errorf("asked for %s", r.URL)
					}
				}
				if c.Taken {
					var page struct {
						Value []json.RawMessage `json:"value"`
					}
					if e := json.Unmarshal([]byte(c.Body), &page); e != nil || err != nil || len(items) != 1 || items[0] != string(page.Value[0]) {
						t.Errorf("%d items, %v, %v", len(items), err, e)
					}
					return
				}
				var p *graph.ProtocolError
				var broken *graph.ConnectionError
				switch {
				case errors.As(err, &p):
					if p.Endpoint != "GET /users" || p.Page < 1 || p.Reason == "" {
						t.Errorf("%+v", p)
					}
				case errors.As(err, &broken):
					if broken.Endpoint != "GET /users" || broken.Page < 1 || c.Raw == "" {
						t.Errorf("%+v", broken)
					}
				default:
					t.Fatalf("%d items, %v", len(items), err)
				}
				if n := w.count(); len(err.Error()) > 200 || len(items) > 2 || n > 5 {
					t.Errorf("%d items, %d requests: %.300s", len(items), n, err)
				}
			})
		})
	}
	total := 0
	for _, n := range cases {
		total += n
	}
	if total < 300 || asked == 0 {
		t.Errorf("%d cases, %d requests", total, asked)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d cases: %v; %d requests; %d MiB of heap at the most", total, cases, asked, m.HeapSys>>20)
}

// said is a connection over which a text comes once a request has begun, and which then ends.
func said(text string) net.Conn {
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		if _, err := there.Read(make([]byte, 1<<16)); err != nil {
			return
		}
		if _, err := io.WriteString(there, text); err != nil {
			return // it heard enough
		}
	}()
	return here
}

// Text of the service is harmless by the time that it stands in an error.
func TestErrorsCarryNothingHostile(t *testing.T) {
	n := 0
	for c := range hostile.All() {
		if c.Family != "text" {
			continue
		}
		n++
		var page struct {
			Value []struct {
				Name json.RawMessage `json:"displayName"`
			} `json:"value"`
		}
		if err := json.Unmarshal([]byte(c.Body), &page); err != nil {
			t.Fatal(err)
		}
		w := always(func() *http.Response {
			return reply(403, `{"error":{"code":`+string(page.Value[0].Name)+`,"message":`+string(page.Value[0].Name)+`}}`)
		})
		_, _, err := users1(client(t, w, graph.Options{}), t)
		var refused *graph.Error
		if !errors.As(err, &refused) || len([]rune(refused.Message)) > 300 {
			t.Fatalf("%s: %.200v", c.Name, err)
		}
		for _, r := range err.Error() {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x200b {
				t.Errorf("%s: the error has %U", c.Name, r)
			}
		}
	}
	if n < 150 {
		t.Errorf("%d texts", n)
	}
}

// forgetful is a service that does not remember what it was asked.
type forgetful func() (*http.Response, error)

func (f forgetful) RoundTrip(*http.Request) (*http.Response, error) { return f() }

// A listing that goes on for ever ends at a limit, of pages or of items.
func TestListingsWithoutEnd(t *testing.T) {
	many := strings.Repeat("{},", 99_998)
	for name, row := range map[string]struct {
		value       string
		pages, most int
	}{
		"pages": {``, 100_001, 100_000},
		"items": {`{"id":"{n}"},` + many + `{}`, 201, 200},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "items" && os.Getenv("TIDEMARK_LONG") == "" {
				t.Skip("it takes seconds to read 20 million items")
			}
			synctest.Test(t, func(t *testing.T) {
				n := 0
				hc := &http.Client{Transport: forgetful(func() (*http.Response, error) {
					if n++; n > row.pages {
						t.Error("it is still asked")
					}
					return reply(200, strings.ReplaceAll(`{"value":[`+row.value+`],"@odata.nextLink":"`+users+`?page={n}"}`, "{n}", strconv.Itoa(n))), nil
				})}
				read := 0
				var err error
				for p, e := range client(t, nil, graph.Options{HTTP: hc}).Pages(t.Context(), graph.Request{Path: "/users"}) {
					if err = e; e == nil {
						read = p.Number
					}
				}
				var p *graph.ProtocolError
				if !errors.As(err, &p) || p.Endpoint != "GET /users" || p.Page != row.most+1 || read != row.most {
					t.Errorf("%d pages: %v", read, err)
				}
			})
		})
	}
}

// A service that ends each connection after one answer, by GOAWAY, costs connections and no items.
func TestGoAwayAfterEachPage(t *testing.T) {
	var remotes sync.Map
	var s *httptest.Server
	s = quietServer(t, func(w http.ResponseWriter, r *http.Request) {
		remotes.Store(r.RemoteAddr, true)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close") // over HTTP/2: GOAWAY
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		link := ""
		if n < 9 {
			link = `,"@odata.nextLink":"` + s.URL + `/v1.0/users?page=` + strconv.Itoa(n+1) + `"`
		}
		if _, err := io.WriteString(w, `{"value":[{"id":"`+strconv.Itoa(n)+`","proto":"`+r.Proto+`"}]`+link+`}`); err != nil {
			t.Error(err)
		}
	})
	items, _, err := users1(client(t, nil, graph.Options{HTTP: s.Client(), Endpoint: s.URL}), t)
	connections := 0
	remotes.Range(func(any, any) bool { connections++; return true })
	if err != nil || len(items) != 10 || connections < 5 || !strings.Contains(items[9], "HTTP/2.0") {
		t.Errorf("%v over %d connections: %v", items, connections, err)
	}
}
