package graph

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxTries  = 5                // of a read, for reasons other than throttling, where the service answers nothing
	moreTries = 8                // where it answers other requests: then these fail at random
	stall     = 60 * time.Second // without a byte, headers included
	maxAnswer = 5 * time.Minute  // for one answer as a whole
	maxError  = 1 << 20          // bytes read of a refusal
)

var (
	errStalled = errors.New("no data for 60 s")
	errSlow    = errors.New("answer not complete after 5 minutes")
)

// An answer is what came back, whatever its status.
type answer struct {
	Response
	token string // that the request carried
}

// A faulty answer breaks the protocol.
type faulty struct {
	reason string
	final  bool // asking again would only cost
}

func (f *faulty) Error() string { return f.reason }

// A connection that never came about cannot have carried a request.
type unsent struct {
	err   error
	final bool
}

func (u *unsent) Error() string { return u.err.Error() }
func (u *unsent) Unwrap() error { return u.err }

// exchange sends a call until it is answered, or until asking again is pointless or dangerous.
func (c *Client) exchange(ctx context.Context, k *call) (answer, error) {
	if len(k.target()) > maxTarget {
		return c.wrapped(ctx, k)
	}
	b := c.buckets[k.service]
	calm := patience{limit: c.patience}
	calm.mark = b.progress()
	refreshed, fresh := false, false
	since := c.count.good.Load()
	for tries := 1; ; {
		token, err := c.tokens.get(ctx)
		if err != nil {
			return answer{}, fmt.Errorf("%s: token: %w", k, err)
		}
		k.turn, err = c.enter(ctx, k)
		if err != nil {
			return answer{}, fmt.Errorf("%s: %w", k, err)
		}
		a, err := c.attempt(ctx, k, token, fresh)
		c.leave(k, k.turn, err == nil && a.Status != http.StatusTooManyRequests)
		if err != nil {
			err = k.failed(err)
			if ctx.Err() != nil || !k.again(err) || c.tired(tries, since) {
				return answer{}, err
			}
			fresh = true
			if e := c.retry(ctx, k, err, backoff(tries)); e != nil {
				return answer{}, e
			}
			tries++
			continue
		}
		if a.Status != http.StatusTooManyRequests && k.path != batchPath {
			b.hears(a.Header, k.units(), k.turn)
		}
		if a.Status < 400 {
			if k.path != batchPath {
				c.count.good.Add(1)
			}
			return a, nil
		}
		refusal := c.refusal(k, a)
		switch {
		case a.Status == http.StatusUnauthorized && !refreshed:
			refreshed = true
			claims := challenge(a.Header)
			if err := c.tokens.renew(ctx, a.token, claims); err != nil {
				return answer{}, fmt.Errorf("%w: new token: %w", refusal, err)
			}
			c.count.retries.Add(1)
		case a.Status == http.StatusTooManyRequests:
			d, ok := calm.wait(b, refusal.RetryAfter)
			c.count.throttled.Add(1)
			if !ok || refusal.unknown {
				b.throttled(max(d, refusal.RetryAfter, time.Second), k.turn)
				return answer{}, refusal
			}
			b.throttled(d, k.turn)
			c.note(ctx, k, refusal, d)
		case (k.read && repeatable(a.Status) || refusal.crossed()) && !c.tired(tries, since):
			fresh = a.Status == http.StatusServiceUnavailable
			if err := c.retry(ctx, k, refusal, max(backoff(tries), refusal.RetryAfter)); err != nil {
				return answer{}, err
			}
			tries++
		default:
			return answer{}, refusal
		}
	}
}

// tired reports whether a call that was sent so many times, first when so many had been answered, is not sent again. A
// service that fails some of all requests at random may not cost a part of a large tenant, and one that is down is not
// waited for.
func (c *Client) tired(tries int, since int64) bool {
	return tries >= moreTries || tries >= maxTries && c.count.good.Load() == since
}

// repeatable tells the statuses after which a read is worth repeating.
func repeatable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout, 509: // bandwidth limit
		return true
	}
	return false
}

// ambiguous tells the statuses that leave open whether a write took effect.
func ambiguous(status int) bool {
	return status == http.StatusRequestTimeout || status >= 500 && status != http.StatusNotImplemented
}

// again tells whether a call may be sent again after a failure without an answer.
func (k *call) again(err error) bool {
	var u *unsent
	if errors.As(err, &u) {
		return !u.final
	}
	var f *faulty
	if errors.As(err, &f) && f.final {
		return false
	}
	return k.read
}

// String says which call it is.
func (k *call) String() string {
	if k.page > 0 {
		return fmt.Sprintf("%s %s: page %d", k.method, k.path, k.page)
	}
	return k.method + " " + k.path
}

// A refused answer is a faulty one in its outward form.
type refused struct {
	*ProtocolError
	cause *faulty
}

func (r *refused) Unwrap() []error { return []error{r.ProtocolError, r.cause} }

// failed gives a failure without a usable answer its outward form.
func (k *call) failed(err error) error {
	var f *faulty
	var u *unsent
	if errors.As(err, &f) {
		err = &refused{&ProtocolError{Endpoint: k.method + " " + k.path, Page: k.page, Reason: f.reason}, f}
	} else {
		err = &ConnectionError{Endpoint: k.method + " " + k.path, Page: k.page, Err: err}
	}
	if !k.read && !errors.As(err, &u) {
		err = fmt.Errorf("%w: %w", err, ErrUnknownOutcome)
	}
	return err
}

func (c *Client) note(ctx context.Context, k *call, why error, d time.Duration) {
	c.count.retries.Add(1)
	c.log.InfoContext(ctx, "request is repeated", slog.String("request", k.String()), slog.Duration("after", d), slog.Any("because", why))
}

func (c *Client) retry(ctx context.Context, k *call, why error, d time.Duration) error {
	c.note(ctx, k, why, d)
	if err := pause(ctx, d); err != nil {
		return fmt.Errorf("%w: then %w", why, err)
	}
	return nil
}

// refusal makes an Error of an answer.
func (c *Client) refusal(k *call, a answer) *Error {
	now := c.now()
	e := &Error{
		Method: k.method, Path: k.path, Page: k.page, Status: a.Status, At: now,
		RequestID:  text(a.Header.Get("request-id")),
		RetryAfter: retryAfter(a.Header, now),
		unknown:    !k.read && ambiguous(a.Status),
	}
	if k.path == batchPath && !k.read && a.Status == http.StatusTooManyRequests {
		// Refusing the envelope says nothing about its items (Microsoft Graph documentation on batching).
		e.unknown = true
	}
	e.fill(a.Body)
	e.RequestID = orDefault(e.RequestID, text(a.Header.Get("client-request-id")))
	return e
}

// authorize is the only place where a token meets a request.
func (c *Client) authorize(req *http.Request, token string) error {
	at, ok := originOf(req.URL)
	if !ok || at != c.origin || req.Host != req.URL.Host {
		return errors.New("the address is not of the configured endpoint")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || token == "" {
		return errors.New("the token cannot be sent")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

func (c *Client) request(ctx context.Context, k *call, token string) (*http.Request, error) {
	var body io.Reader
	if len(k.body) > 0 {
		body = bytes.NewReader(k.body)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, k.url, body)
	if err != nil {
		return nil, err
	}
	for name, values := range k.header {
		name = http.CanonicalHeaderKey(name)
		req.Header[name] = append(req.Header[name], values...)
	}
	h := req.Header
	if h.Get("Accept") == "" {
		h.Set("Accept", "application/json")
	}
	if len(k.body) > 0 && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Accept-Encoding", "gzip")
	h.Set("User-Agent", c.userAgent)
	h.Set("client-request-id", newID())
	if k.read {
		readManners(h)
	}
	return req, c.authorize(req, token)
}

// readManners sets what every read asks for.
func readManners(h http.Header) {
	const unknownMembers = "include-unknown-enum-members"
	prefer := strings.Join(h.Values("Prefer"), ", ")
	if !strings.Contains(strings.ToLower(prefer), unknownMembers) {
		if prefer != "" {
			prefer += ", "
		}
		h.Set("Prefer", prefer+unknownMembers)
	}
	if h.Get("x-ms-throttle-priority") == "" {
		h.Set("x-ms-throttle-priority", "Low")
	}
}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// attempt sends a call once. Its error means that no usable answer came: *unsent, *faulty, or a broken
// connection.
func (c *Client) attempt(ctx context.Context, k *call, token string, fresh bool) (answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	whole := time.AfterFunc(maxAnswer, func() { cancel(errSlow) })
	defer whole.Stop()
	idle := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer idle.Stop()
	var connected atomic.Bool
	req, err := c.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), k, token)
	if err != nil {
		return answer{}, &unsent{err: err, final: true}
	}
	hc, done := c.http, func() {}
	if fresh {
		hc, done = c.alone()
	}
	defer done()
	c.count.requests.Add(1)
	c.log.DebugContext(ctx, "request", slog.String("request", k.String()), slog.String("client-request-id", req.Header.Get("client-request-id")))
	resp, err := hc.Do(req)
	if err != nil {
		return answer{}, broken(ctx, err, connected.Load())
	}
	defer resp.Body.Close()
	a := answer{Response: Response{Status: resp.StatusCode, Header: resp.Header}, token: token}
	if units, err := strconv.ParseInt(resp.Header.Get("x-ms-resource-unit"), 10, 64); err == nil && units > 0 {
		c.count.units.Add(units)
	}
	limit := c.maxPage
	if a.Status >= 400 {
		limit = maxError
	}
	body, err := inflate(&watched{resp.Body, func() { idle.Reset(stall) }}, resp.Header, limit)
	c.count.bytes.Add(int64(len(body)))
	if a.Status >= 400 {
		// The status has been read; a refusal stays one even if its explanation is lost.
		a.Body = body
		return a, nil
	}
	if err != nil {
		var f *faulty
		if !errors.As(err, &f) {
			err = broken(ctx, err, true)
		}
		return answer{}, err
	}
	a.Body, err = k.accept(a.Status, resp.Header, body)
	return a, err
}

// alone returns a client that opens a connection of its own, for a service whose other connections lead to a
// machine in trouble.
func (c *Client) alone() (*http.Client, func()) {
	t, ok := c.http.Transport.(*http.Transport)
	if !ok {
		c.http.CloseIdleConnections()
		return c.http, func() {}
	}
	own := t.Clone()
	own.DisableKeepAlives = true
	hc := *c.http
	hc.Transport = own
	return &hc, own.CloseIdleConnections
}

// broken sorts a failure of the transport. Only proof counts as proof that nothing was sent: an error of
// dialling, of looking up a name, or of the server's certificate, before any connection was had.
func broken(ctx context.Context, err error, connected bool) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // it would repeat the address, with all that was asked
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if connected {
		return err
	}
	var cert *tls.CertificateVerificationError
	var name *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &cert):
		return &unsent{err: err, final: true}
	case errors.As(err, &name), errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return &unsent{err: err}
	}
	return err
}

// watched reports each arrival of data.
type watched struct {
	io.Reader
	alive func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.alive()
	}
	return n, err
}

// counted counts what has been read.
type counted struct {
	io.Reader
	n int64
}

func (r *counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	return n, err
}

// What reads bodies is used again: an answer is a megabyte or more, and growing to that costs as much as reading it.
var (
	unzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}
	bodies    = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// inflate reads a body to its end within the limits.
func inflate(r io.Reader, h http.Header, limit int64) ([]byte, error) {
	raw := &counted{Reader: r}
	plain := io.Reader(raw)
	switch encoding := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ","))); encoding {
	case "", "identity":
	case "gzip":
		z := unzippers.Get().(*gzip.Reader)
		defer unzippers.Put(z)
		switch err := z.Reset(raw); {
		case err == io.EOF:
			return nil, nil // an empty body is empty in any encoding
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, &faulty{reason: "the body ends too early"}
		case errors.Is(err, gzip.ErrHeader):
			return nil, &faulty{reason: "the body is not gzip, as announced"}
		case err != nil:
			return nil, err
		}
		plain = z
	default:
		return nil, &faulty{reason: "the body has an encoding that was not asked for"}
	}
	const (
		free  = 1 << 20
		ratio = 100
	)
	body := bodies.Get().(*bytes.Buffer)
	defer func() {
		if body.Cap() <= 4*free {
			body.Reset()
			bodies.Put(body)
		}
	}()
	for {
		n, err := io.CopyN(body, plain, 32<<10)
		switch {
		case int64(body.Len()) > limit:
			return nil, &faulty{reason: fmt.Sprintf("the body has more than %d bytes", limit), final: true}
		case body.Len() > free && int64(body.Len()) > ratio*raw.n:
			return nil, &faulty{reason: "the body is more than 100 times as long as what was received", final: true}
		case err == io.EOF || err == nil && n == 0:
			return bytes.Clone(body.Bytes()), nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, &faulty{reason: "the body ends too early"}
		case errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.As(err, new(flate.CorruptInputError)):
			return nil, &faulty{reason: "the compressed body is damaged"}
		case err != nil:
			return nil, err
		}
	}
}

// accept looks at a successful answer: it is what was asked for, or faulty.
func (k *call) accept(status int, h http.Header, body []byte) (jsontext.Value, error) {
	if status >= 300 || status < 200 {
		return nil, &faulty{reason: fmt.Sprintf("status %d, and redirects are not followed", status), final: true}
	}
	if len(body) == 0 {
		if k.judge != nil || k.read && status == http.StatusOK {
			return nil, &faulty{reason: "the body is empty"}
		}
		return nil, nil
	}
	if status == http.StatusNoContent {
		return nil, &faulty{reason: "status 204 with a body"}
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return nil, &faulty{reason: "the content type is missing or malformed"}
	}
	if k.wanted != "" {
		return k.plainBytes(kind, body)
	}
	if strings.HasSuffix(k.path, "/$count") && kind == "text/plain" {
		// A bare number, after a byte order mark as the service likes it.
		body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF")))
		if _, err := strconv.ParseUint(string(body), 10, 63); err != nil {
			return nil, &faulty{reason: "the count is not a number"}
		}
		return body, nil
	}
	if kind != "application/json" {
		return nil, &faulty{reason: "the content type is not application/json"}
	}
	if set := params["charset"]; set != "" && !strings.EqualFold(set, "utf-8") {
		return nil, &faulty{reason: "the charset is not utf-8"}
	}
	if k.judge != nil {
		if err := k.judge(body); err != nil {
			return nil, &faulty{reason: err.Error()}
		}
		return body, nil
	}
	fields, err := scan(body, 1)
	if err != nil {
		return nil, &faulty{reason: err.Error()}
	}
	if onlyError(fields) {
		return nil, &faulty{reason: "an error under a status of success"}
	}
	return body, nil
}

// maxBytes is how long an answer that is not JSON can be. The largest that the service keeps of the kind are photos of
// 4 MB (Microsoft Graph documentation, Update profilePhoto).
const maxBytes = 4 << 20

// plainBytes makes JSON of an answer that is none. What is not of a kind that was asked for is a page of something that
// stands between.
func (k *call) plainBytes(kind string, body []byte) (jsontext.Value, error) {
	if !slices.ContainsFunc(strings.Split(k.wanted, ","), func(want string) bool {
		group, all := strings.CutSuffix(strings.TrimSpace(want), "*")
		return kind == group || all && (group == "*/" || strings.HasPrefix(kind, group))
	}) {
		return nil, &faulty{reason: "the content type is none that was asked for"}
	}
	if len(body) > maxBytes {
		return nil, &faulty{reason: fmt.Sprintf("it is longer than %d bytes, which is more than is kept", maxBytes), final: true}
	}
	quoted, err := jsontext.AppendQuote(nil, kind)
	if err != nil {
		return nil, &faulty{reason: "the content type is malformed"}
	}
	return jsontext.Value(fmt.Sprintf(`{"contentType":%s,"data":"%s"}`, quoted, base64.StdEncoding.EncodeToString(body))), nil
}

// onlyError tells an error envelope from an object that has a property of that name.
func onlyError(fields []field) bool {
	found := false
	for _, f := range fields {
		switch {
		case strings.EqualFold(f.name, "error") || strings.EqualFold(f.name, "odata.error"):
			found = true
		case !strings.HasPrefix(f.name, "@"):
			return false
		}
	}
	return found
}
