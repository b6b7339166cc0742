package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is a service in memory. It answers each request, numbered from 1, and remembers all of them.
type wire struct {
	mu    sync.Mutex
	asked []*http.Request
	sent  []string // bodies
	serve func(n int, r *http.Request) (*http.Response, error)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	w.asked = append(w.asked, r)
	w.sent = append(w.sent, string(body))
	n := len(w.asked)
	w.mu.Unlock()
	return w.serve(n, r)
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// reply makes an answer in JSON. Headers are name and value in turn; an empty value removes one.
func reply(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json;odata.metadata=minimal;charset=utf-8"}, "Request-Id": {"4f1c"}}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			h.Del(headers[i])
		} else {
			h.Set(headers[i], headers[i+1])
		}
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ProtoMajor: 1, ProtoMinor: 1}
}

func refuse(status int, code, message string, headers ...string) *http.Response {
	return reply(status, `{"error":{"code":"`+code+`","message":"`+message+`"}}`, headers...)
}

// bearer is a credential that never expires.
type bearer string

func (b bearer) Token(context.Context, string) (string, time.Time, error) {
	return string(b), time.Time{}, nil
}

const endpoint = "https://graph.example"

func client(t *testing.T, w *wire, o graph.Options) *graph.Client {
	t.Helper()
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: w}
	}
	if o.Endpoint == "" {
		o.Endpoint = endpoint
	}
	c, err := graph.New(bearer("secret-token"), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// always answers alike.
func always(f func() *http.Response) *wire {
	return &wire{serve: func(int, *http.Request) (*http.Response, error) { return f(), nil }}
}

// script answers in turn; the last answer repeats.
func script(fs ...func() (*http.Response, error)) *wire {
	return &wire{serve: func(n int, _ *http.Request) (*http.Response, error) { return fs[min(n, len(fs))-1]() }}
}

func answer(status int, body string, headers ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) { return reply(status, body, headers...), nil }
}

var errReset = errors.New("read: connection reset by peer")

func reset() (*http.Response, error) { return nil, errReset }

// collect reads a listing to its end.
func collect(seq func(func(graph.Page, error) bool)) (items []string, last graph.Page, err error) {
	ended := false
	for p, e := range seq {
		if ended {
			return nil, last, errors.New("a pair after an error")
		}
		if e != nil {
			ended, err = true, e
			continue
		}
		for _, item := range p.Items {
			items = append(items, string(item))
		}
		last = p
	}
	return items, last, err
}

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

func jsonString(s string) (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}
