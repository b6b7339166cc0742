package emulator

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Fault is something that goes wrong with requests that match. Faults are
// tried in the order they were injected; the first that matches is used.
type Fault struct {
	Match       string        // "METHOD path-prefix", or a regular expression after the method; METHOD may be "*"
	Page        int           // only the nth page of a listing, 1 is the first; 0: any
	After       int           // let this many matching requests pass first
	Times       int           // how often; 0: once, -1: always
	Status      int           // answer with this status; 0 with Hang alone: answer as usual afterwards
	RetryAfter  string        // value of the header, as it is
	Body        string        // "" is the usual error body
	ContentType string        // "" is application/json
	Reset       bool          // drop the connection instead of answering
	Commit      bool          // carry the request out first
	Hang        time.Duration // wait this long first, or until the client is gone
	Struck      func()        `json:"-"` // is called first; nil calls nothing
}

type faults struct {
	mu   sync.Mutex
	list []*armed
}

type armed struct {
	Fault
	method string
	path   string
	re     *regexp.Regexp
}

// Inject arms a fault. The path is matched with and without the version, with
// its query.
func (t *Tenant) Inject(f Fault) {
	a := &armed{Fault: f}
	a.method, a.path, _ = strings.Cut(f.Match, " ")
	if a.path == "" {
		a.method, a.path = "*", f.Match
	}
	if strings.ContainsAny(a.path, `^$*+?()[]{}|\`) {
		a.re, _ = regexp.Compile(a.path) // else a plain prefix
	}
	if a.Times == 0 {
		a.Times = 1
	}
	t.faults.mu.Lock()
	defer t.faults.mu.Unlock()
	t.faults.list = append(t.faults.list, a)
}

// ClearFaults disarms all faults.
func (t *Tenant) ClearFaults() {
	t.faults.mu.Lock()
	defer t.faults.mu.Unlock()
	t.faults.list = nil
}

func (a *armed) matches(method, target string, page int) bool {
	if a.method != "*" && !strings.EqualFold(a.method, method) || a.Page != 0 && a.Page != page {
		return false
	}
	bare := strings.TrimPrefix(strings.TrimPrefix(target, "/v1.0"), "/beta")
	return strings.HasPrefix(target, a.path) || strings.HasPrefix(bare, a.path) || a.re != nil && (a.re.MatchString(target) || a.re.MatchString(bare))
}

// next takes the fault that is due for a request, if any.
func (f *faults) next(method, target string, page int) *armed {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if a.Times == 0 || !a.matches(method, target, page) {
			continue
		}
		if a.After > 0 {
			a.After--
			continue
		}
		if a.Times > 0 {
			a.Times--
		}
		return a
	}
	return nil
}

// injected serves a request under the faults in force. drop asks to drop the
// connection.
func (t *Tenant) injected(ctx context.Context, method, target string, page int, serve func() answer) (a answer, drop bool) {
	f := t.faults.next(method, target, page)
	if f == nil {
		return serve(), false
	}
	if f.Struck != nil {
		f.Struck()
	}
	if f.Hang > 0 {
		timer := time.NewTimer(f.Hang)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	usual := f.Status == 0 && !f.Reset
	if f.Commit || usual {
		a = serve()
	}
	if usual {
		return a, false
	}
	if f.Reset {
		return answer{}, true
	}
	a = answer{status: f.Status}
	if f.Body != "" {
		a.body = []byte(f.Body)
	} else if f.Status != http.StatusNoContent {
		code := map[int]string{429: "TooManyRequests", 401: "InvalidAuthenticationToken", 403: "Authorization_RequestDenied", 404: "Request_ResourceNotFound", 500: "InternalServerError", 502: "UnknownError", 503: "serviceNotAvailable", 504: "GatewayTimeout"}[f.Status]
		if code == "" {
			code = "UnknownError"
		}
		c := call{t: t, header: http.Header{}}
		a.body = c.refused(refuse(f.Status, code, "Injected fault.")).body
	}
	if f.ContentType != "" {
		a.set("Content-Type", f.ContentType)
	}
	if f.RetryAfter != "" {
		a.set("Retry-After", f.RetryAfter)
	}
	return a, false
}
