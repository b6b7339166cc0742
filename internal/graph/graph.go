// Package graph speaks HTTP with Microsoft Graph and knows its manners: tokens, throttling, retries, paging,
// batching, and what a refusal looks like. It is blind to types: it does not know what a group is.
//
// It promises:
//   - A listing never ends early in silence. It ends after a page without a next link, or with an error.
//   - A failed read is an error and never an empty result: an answer is accepted only if it is strict JSON of
//     the announced kind, read to its last byte.
//   - A write that may have reached the service is not repeated; the error says [ErrUnknownOutcome].
//   - The access token is sent to the configured endpoint and to nothing else, whatever a link says.
//   - Waiting obeys the context, memory is bounded per answer, and bodies are read to the end and closed.
//
// It refuses to follow redirects, to speak plain HTTP, to guess at malformed answers, to wait for ever on a
// service that makes no progress, and to interpret what it carries.
package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	defaultEndpoint   = "https://graph.microsoft.com"
	usualInFlight     = 24
	defaultInFlight   = 240
	defaultMaxPage    = 64 << 20
	defaultNoProgress = 30 * time.Minute
	defaultUserAgent  = "tidemark"
)

// Options for a [Client]. The zero value talks to the global service.
type Options struct {
	// HTTP carries the requests; nil means a client with a dial limit of 10 s, HTTP/2, and connections dropped
	// after 45 s of idleness. A given client is copied; the copy follows no redirect and keeps no cookie.
	HTTP *http.Client
	// Endpoint is the origin of the service, without a path: "https://graph.microsoft.com", which is also what
	// the empty string means. Only https is accepted.
	Endpoint string
	// InFlight is the largest number of requests under way at once; 0 means 240. How many are follows the service: as
	// many as it answers no slower for.
	InFlight int
	// Scale is of the quotas that the Client begins with.
	Scale Scale
	// Now is the clock for token lifetimes, dates in Retry-After and [Error.At]; nil means time.Now. Waiting
	// does not depend on it.
	Now func() time.Time
	// Log receives one record per retry, at level info, and one per request, at level debug; nil means silence.
	Log *slog.Logger
	// UserAgent names the program; empty means "tidemark".
	UserAgent string
	// MaxPage is the most bytes one answer may have after decompression; 0 means 64 MiB. Whatever its size, an
	// answer above 1 MiB may be at most 100 times as long as what was received for it.
	MaxPage int64
	// NoProgress is how long a throttled request keeps waiting while no request of the same service is
	// accepted; 0 means 30 minutes.
	NoProgress time.Duration
}

// A Credential yields access tokens. It must be safe for concurrent use. The Client caches what it yields.
type Credential interface {
	// Token returns an access token and when it expires; a zero time means that this is not known. Claims is
	// empty, or a claims challenge in JSON that the token must satisfy; in that case the token must be a fresh
	// one and not come from a cache.
	Token(ctx context.Context, claims string) (token string, expires time.Time, err error)
}

// A Client talks to one tenant as one application. It is safe for concurrent use; all its users share one
// throttle.
type Client struct {
	http      *http.Client
	origin    origin
	log       *slog.Logger
	now       func() time.Time
	userAgent string
	maxPage   int64
	patience  time.Duration
	tokens    *lease
	slots     chan struct{}
	buckets   map[service]*bucket
	scale     Scale
	count     counters
}

// New returns a Client. It makes no request. An error means that the options contradict the rules above.
func New(cred Credential, o Options) (*Client, error) {
	if cred == nil {
		return nil, errors.New("graph client: no credential")
	}
	at, err := parseEndpoint(orDefault(o.Endpoint, defaultEndpoint))
	if err != nil {
		return nil, fmt.Errorf("graph client: %w", err)
	}
	if o.InFlight < 0 || o.MaxPage < 0 || o.NoProgress < 0 {
		return nil, errors.New("graph client: a limit is negative")
	}
	inFlight := orDefault(o.InFlight, defaultInFlight)
	c := &Client{
		http:      newHTTP(o.HTTP, inFlight),
		origin:    at,
		log:       o.Log,
		now:       o.Now,
		userAgent: orDefault(o.UserAgent, defaultUserAgent),
		maxPage:   orDefault(o.MaxPage, defaultMaxPage),
		patience:  orDefault(o.NoProgress, defaultNoProgress),
		slots:     make(chan struct{}, inFlight),
		buckets:   newBuckets(o.Scale, inFlight),
		scale:     o.Scale,
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.tokens = newLease(cred, c.now)
	return c, nil
}

// Scale returns the scale that the Client was given.
func (c *Client) Scale() Scale { return c.scale }

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// newHTTP returns a client of our own over given, or one with sane limits. Compression is left to us, because
// the standard transport inflates without bound.
func newHTTP(given *http.Client, inFlight int) *http.Client {
	own := new(http.Client)
	if given != nil {
		*own = *given
	}
	if own.Transport == nil {
		own.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  stall,
			IdleConnTimeout:        45 * time.Second, // the service resets idle connections after a minute or two
			MaxIdleConnsPerHost:    inFlight,
			MaxResponseHeaderBytes: 1 << 20,
			DisableCompression:     true,
		}
	}
	if t, ok := own.Transport.(*http.Transport); ok && given != nil && given.Transport != nil {
		t = t.Clone()
		t.DisableCompression, t.ResponseHeaderTimeout, t.MaxIdleConnsPerHost, t.MaxResponseHeaderBytes = true, stall, inFlight, 1<<20
		own.Transport = t
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return own
}

// A Request is relative to the endpoint and to a version of the service.
type Request struct {
	Method  string      // GET (also if empty), POST, PATCH, PUT or DELETE
	Version string      // "v1.0" (also if empty) or "beta"
	Path    string      // escaped, starting with a slash: "/groups/4f1c…/members"
	Query   url.Values  // unescaped; names with their dollar sign
	Header  http.Header // added to the usual ones; see Do
	Body    []byte      // JSON, or what the Content-Type header says, or nil
	// Read says that a POST changes nothing ("/directoryObjects/getByIds"): it is then repeated like a GET.
	Read bool
}

// A Response has been read to the end and closed.
type Response struct {
	Status int
	Header http.Header
	// Body is strict JSON, or nil if the answer was empty. If the request asked for something else by its
	// Accept header, Body is a JSON object with the bytes in base64, of which there can be 4 MiB, as data, and
	// their media type as contentType.
	Body jsontext.Value
}

// Do sends one request and waits out throttling. A status of 400 or more is an *[Error].
//
// Reads are repeated, a bounded number of times, after a status of 500, 502, 503, 504, 408 or 509, a broken
// connection, and an answer that breaks the protocol; the last two end as a *[ConnectionError] and a
// *[ProtocolError]. A write is sent
// again only if the service says that it did not act (429, 401, and 409 because another write came in between) or
// no connection came about; any other failure
// of a write that is not a plain refusal is [ErrUnknownOutcome].
//
// Reads ask for the unknown members of enumerations ("Prefer: include-unknown-enum-members"), since a restore
// of "unknownFutureValue" would destroy a setting, and for low priority ("x-ms-throttle-priority: Low") unless
// the header says otherwise. Headers that are this package's own business, such as Authorization and
// Idempotency-Key, cannot be given.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	k, err := c.call(r)
	if err != nil {
		return Response{}, err
	}
	a, err := c.exchange(ctx, k)
	return a.Response, err
}

// A Stats says what a Client has done since it was made.
type Stats struct {
	Requests      int64 // sent, repetitions included; a batch is one
	Throttled     int64 // answers with status 429, in batches too
	ResourceUnits int64 // as the service reported them (x-ms-resource-unit)
	Bytes         int64 // received in bodies, after decompression
	Retries       int64 // repetitions, for whatever reason; items of batches included
}

type counters struct {
	requests, throttled, units, bytes, retries atomic.Int64
	good                                       atomic.Int64 // answers of success, also within batches
}

// Stats returns the counts so far. They are read one by one, not as of one instant.
func (c *Client) Stats() Stats {
	return Stats{
		Requests:      c.count.requests.Load(),
		Throttled:     c.count.throttled.Load(),
		ResourceUnits: c.count.units.Load(),
		Bytes:         c.count.bytes.Load(),
		Retries:       c.count.retries.Load(),
	}
}

// A call is a request made ready: checked, addressed, with the judgement that its answer must pass.
type call struct {
	holds        float64 // units of what a batch holds; 0 for any other call
	turn         *turn   // in which it went last
	method, path string  // for messages; the path is without version and query
	version      string
	service      service
	url          string // absolute
	header       http.Header
	body         []byte
	read         bool   // may be repeated
	page         int    // 1-based; 0 outside listings
	wanted       string // the media types that the caller asked for, where they are not JSON; else ""
	// judge looks at the body of a successful answer; its error is a fault of the answer, retried like others.
	judge func(jsontext.Value) error
}

// checkHeader refuses headers that a caller may not give. The standard transport repeats a write that carries
// an idempotency key, which the service does not honour.
func checkHeader(h http.Header) error {
	for _, name := range []string{
		"Authorization", "Host", "Cookie", "Accept-Encoding", "Idempotency-Key", "X-Idempotency-Key",
		"Client-Request-Id", "Content-Length", "Transfer-Encoding", "Connection",
	} {
		for given := range h {
			if strings.EqualFold(given, name) {
				return fmt.Errorf("the header %s cannot be given", name)
			}
		}
	}
	return nil
}

func (c *Client) call(r Request) (*call, error) {
	k := &call{method: orDefault(r.Method, http.MethodGet), path: r.Path, header: r.Header, body: r.Body}
	switch k.method {
	case http.MethodGet:
		k.read = true
	case http.MethodPost:
		k.read = r.Read
	case http.MethodPatch, http.MethodPut, http.MethodDelete:
	default:
		return nil, fmt.Errorf("graph request: method %q is not one of GET, POST, PATCH, PUT, DELETE", k.method)
	}
	var err error
	if k.version, err = checkVersion(r.Version); err != nil {
		return nil, fmt.Errorf("%s %s: %w", k.method, k.path, err)
	}
	if err := checkPath(r.Path); err != nil {
		return nil, fmt.Errorf("%s %q: %w", k.method, r.Path, err)
	}
	if err := checkHeader(r.Header); err != nil {
		return nil, fmt.Errorf("%s %s: %w", k.method, k.path, err)
	}
	if len(k.body) > 0 && acceptsJSON(r.Header.Get("Content-Type")) && !jsontext.Value(k.body).IsValid() {
		return nil, fmt.Errorf("%s %s: the body is not valid JSON", k.method, k.path)
	}
	k.service = serviceOf(k.path, k.read)
	if accept := r.Header.Get("Accept"); !acceptsJSON(accept) {
		k.wanted = strings.ToLower(accept)
	}
	k.url = c.origin.String() + "/" + k.version + r.Path + encodeQuery(r.Query)
	return k, nil
}

// acceptsJSON reports whether a header that names media types, or is not there, means JSON.
func acceptsJSON(accept string) bool {
	return accept == "" || strings.Contains(strings.ToLower(accept), "application/json")
}
