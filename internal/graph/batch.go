package graph

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxBatch is how many requests go in one batch; the service refuses more.
const MaxBatch = 20

const (
	batchPath  = "/$batch"
	lanes      = 10      // batches of one call under way; the service has its own bound
	batchBytes = 1 << 20 // of one batch, as sent; a single larger request goes alone
)

// A Result is the answer to one request of a batch. Err is as [Client.Do] would return it.
type Result struct {
	Response
	Err error
}

// Batch sends requests of one version in groups of at most twenty and returns their results in the order of
// rs. No order is promised for what the service does with them; what must come after something else does not
// belong into the same call. A batch saves round trips and no resource units.
//
// Items are judged one by one: those refused for throttling are sent again after the longest wait that any of
// them asked for, reads that failed are sent again a bounded number of times, everything else stands. If a
// group with writes fails as a whole, its reads are sent again and its writes end as [ErrUnknownOutcome], even
// after status 429, since nothing is known about them.
//
// The error is for what no result can say: a request that cannot be sent, or the end of the context. In the
// second case the results are valid, and those without an answer say so.
func (c *Client) Batch(ctx context.Context, version string, rs []Request) ([]Result, error) {
	version, err := checkVersion(version)
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	items := make([]*item, len(rs))
	for i, r := range rs {
		if r.Version != "" && r.Version != version {
			return nil, fmt.Errorf("batch: request %d is for version %q", i, r.Version)
		}
		r.Version = version
		k, err := c.call(r)
		if err != nil {
			return nil, fmt.Errorf("batch: request %d: %w", i, err)
		}
		items[i] = c.item(k)
	}
	b := &batch{c: c, version: version}
	byService := map[service][]*item{}
	for _, it := range items {
		s := serviceOf(it.k.path, true) // a batch with writes in it stays one
		byService[s] = append(byService[s], it)
	}
	var all sync.WaitGroup
	for s, its := range byService {
		all.Go(func() { b.run(ctx, s, its) })
	}
	all.Wait()
	results := make([]Result, len(rs))
	for i, it := range items {
		results[i] = it.result
	}
	if err := ctx.Err(); err != nil {
		return results, fmt.Errorf("batch: %w", err)
	}
	return results, nil
}

// An item is one request of a batch and what became of it.
type item struct {
	k      *call
	raw    []byte // its object in the envelope, without the id
	tries  int
	asked  bool        // a new token
	tired  func() bool // another failure is the last
	result Result
}

type batch struct {
	c       *Client
	version string
}

// run sends the items of one service until each has its result.
func (b *batch) run(ctx context.Context, s service, its []*item) {
	bucket := b.c.buckets[s]
	calm := patience{limit: b.c.patience}
	calm.mark = bucket.progress()
	for len(its) > 0 {
		var mu sync.Mutex
		var again []*item
		failures := 0
		held, patient := time.Duration(0), true
		var wave sync.WaitGroup
		lanes := make(chan struct{}, lanes)
		for group := range groups(its, bucket.together()) {
			lanes <- struct{}{}
			wave.Go(func() {
				defer func() { <-lanes }()
				repeat, refusal, turn := b.send(ctx, s, group)
				mu.Lock()
				defer mu.Unlock()
				again = append(again, repeat...)
				for _, it := range repeat {
					failures = max(failures, it.tries)
				}
				if refusal != nil {
					if patient && (held == 0 || bucket.anew(turn)) {
						held, patient = calm.wait(bucket, refusal.RetryAfter)
					}
					held = max(held, refusal.RetryAfter, time.Second)
					bucket.throttled(held, turn) // at once: others of the wave have yet to go
				}
			})
		}
		wave.Wait()
		if len(again) == 0 {
			return
		}
		if !patient {
			return // each has the refusal that it met last
		}
		var d time.Duration
		if failures > 0 {
			d = backoff(failures)
		}
		b.c.count.retries.Add(int64(len(again)))
		if err := pause(ctx, d); err != nil {
			for _, it := range again {
				it.result = Result{Err: fmt.Errorf("%s: %w", it.k, err)}
			}
			return
		}
		its = again
	}
}

// groups cuts items into batches.
func groups(its []*item, most int) func(yield func([]*item) bool) {
	return func(yield func([]*item) bool) {
		for len(its) > 0 {
			n, size := 0, 0
			for n < len(its) && n < most && (n == 0 || size+len(its[n].raw) <= batchBytes) {
				size += len(its[n].raw)
				n++
			}
			if !yield(its[:n]) {
				return
			}
			its = its[n:]
		}
	}
}

// item renders a call for the envelope once, since it may be sent often.
func (c *Client) item(k *call) *item {
	h := http.Header{}
	for name, values := range k.header {
		for _, v := range values {
			h.Add(name, v)
		}
	}
	if k.read {
		readManners(h)
	}
	if h.Get("Accept") == "" {
		h.Set("Accept", "application/json")
	}
	if len(k.body) > 0 && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	var raw bytes.Buffer
	quoted := func(s string) []byte {
		q, err := jsontext.AppendQuote(nil, s)
		if err != nil {
			q = []byte(`""`)
		}
		return q
	}
	fmt.Fprintf(&raw, `"method":%s,"url":%s,"headers":{`, quoted(k.method), quoted(k.target()))
	for i, name := range slices.Sorted(maps.Keys(h)) {
		if i > 0 {
			raw.WriteByte(',')
		}
		fmt.Fprintf(&raw, "%s:%s", quoted(name), quoted(strings.Join(h[name], ", ")))
	}
	raw.WriteByte('}')
	if len(k.body) > 0 {
		raw.WriteString(`,"body":`)
		if acceptsJSON(h.Get("Content-Type")) {
			raw.Write(k.body)
		} else {
			raw.Write(quoted(base64.StdEncoding.EncodeToString(k.body)))
		}
	}
	it, since := &item{k: k, raw: raw.Bytes()}, c.count.good.Load()
	it.tired = func() bool { return c.tired(it.tries+1, since) }
	return it
}

// send sends one group and gives each of its items a result. It returns those to be sent again, and the
// refusal with the longest wait if any was for throttling, and in which turn they went.
func (b *batch) send(ctx context.Context, s service, group []*item) (again []*item, throttled *Error, t *turn) {
	c := b.c
	k := &call{
		method: http.MethodPost, path: batchPath, version: b.version, read: true,
		service: s, // that of the items: only what concerns them holds them back
		url:     c.origin.String() + "/" + b.version + batchPath,
	}
	var body bytes.Buffer
	body.WriteString(`{"requests":[`)
	for i, it := range group {
		k.read = k.read && it.k.read
		k.holds += it.k.units()
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":"%d",`, i+1)
		body.Write(it.raw)
		body.WriteByte('}')
	}
	body.WriteString(`]}`)
	k.body = body.Bytes()
	var parts []part
	k.judge = func(v jsontext.Value) (err error) {
		parts, err = decodeBatch(v, len(group))
		return err
	}
	whole, err := c.exchange(ctx, k)
	if err != nil {
		return b.lost(ctx, group, k, err), nil, nil
	}
	renewed := false
	for i, it := range group {
		p := parts[i]
		if p.status == 0 {
			again = append(again, it.failed(&faulty{reason: "the batch has no answer for it"})...)
			continue
		}
		a := answer{Response: Response{Status: p.status, Header: p.header, Body: p.body}}
		if p.status != http.StatusTooManyRequests {
			c.buckets[s].hears(p.header, it.k.units(), k.turn)
		}
		if units, err := strconv.ParseInt(p.header.Get("x-ms-resource-unit"), 10, 64); err == nil && units > 0 {
			c.count.units.Add(units)
		}
		if p.status < 400 {
			c.count.good.Add(1)
			again = append(again, it.accept(a)...)
			continue
		}
		e := c.refusal(it.k, a)
		it.result = Result{Response: a.Response, Err: e}
		switch {
		case p.status == http.StatusTooManyRequests:
			c.count.throttled.Add(1)
			again = append(again, it)
			if throttled == nil || e.RetryAfter > throttled.RetryAfter {
				throttled = e
			}
		case p.status == http.StatusUnauthorized && !it.asked:
			it.asked = true
			if !renewed {
				renewed = true
				if err := c.tokens.renew(ctx, whole.token, challenge(p.header)); err != nil {
					it.result.Err = fmt.Errorf("%w: new token: %w", e, err)
					continue
				}
			}
			again = append(again, it)
		case (it.k.read && repeatable(p.status) || e.crossed()) && !it.tired():
			it.tries++
			again = append(again, it)
		}
	}
	return again, throttled, k.turn
}

// accept takes an answer of success if it is what was asked for.
func (it *item) accept(a answer) []*item {
	switch {
	case a.Status < 200 || a.Status >= 300:
		return it.failed(&faulty{reason: fmt.Sprintf("status %d, and redirects are not followed", a.Status), final: true})
	case a.Body == nil && it.k.read && a.Status == http.StatusOK:
		return it.failed(&faulty{reason: "the body is empty"})
	case it.k.wanted != "" && a.Body != nil:
		var err error
		if a.Body, err = it.k.unpacked(a.Header, a.Body); err != nil {
			f, ok := errors.AsType[*faulty](err)
			if !ok {
				f = &faulty{reason: err.Error()}
			}
			return it.failed(f)
		}
	case it.k.judge != nil:
		if err := it.k.judge(a.Body); err != nil {
			return it.failed(&faulty{reason: err.Error()})
		}
	case a.Body.Kind() == '{':
		if fields, err := scan(a.Body, 1); err != nil {
			return it.failed(&faulty{reason: err.Error()})
		} else if onlyError(fields) {
			return it.failed(&faulty{reason: "an error under a status of success"})
		}
	}
	it.result = Result{Response: a.Response}
	return nil
}

// unpacked makes of an answer that is not JSON, which a batch holds in base64, what [Client.Do] makes of it.
func (k *call) unpacked(h http.Header, body jsontext.Value) (jsontext.Value, error) {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return nil, errors.New("the content type is missing or malformed")
	}
	raw, err := base64.StdEncoding.DecodeString(plainText(body))
	if body.Kind() != '"' || err != nil || len(raw) == 0 {
		return nil, errors.New("the body is not base64")
	}
	return k.plainBytes(kind, raw)
}

// failed gives an item the outward form of a failure and returns it if it is to be sent again.
func (it *item) failed(f *faulty) []*item {
	err := it.k.failed(f)
	it.result = Result{Err: err}
	if it.k.again(err) && !it.tired() {
		it.tries++
		return []*item{it}
	}
	return nil
}

// lost gives results to a group that failed as a whole and returns its reads, if writes were the reason not to
// repeat it.
func (b *batch) lost(ctx context.Context, group []*item, k *call, err error) (again []*item) {
	unknown := errors.Is(err, ErrUnknownOutcome)
	for _, it := range group {
		if !it.k.read {
			it.result = Result{Err: fmt.Errorf("%s: %w", it.k, err)}
		} else {
			it.result = Result{Err: fmt.Errorf("%s: %w", it.k, withoutUnknown{err})}
			if unknown && ctx.Err() == nil && !it.tired() {
				it.tries++
				again = append(again, it)
			}
		}
	}
	return again
}

// withoutUnknown is an error about a batch as it concerns a read in it, whose outcome is simply a failure.
type withoutUnknown struct{ error }

func (w withoutUnknown) Is(target error) bool {
	return target != ErrUnknownOutcome && errors.Is(w.error, target)
}

func (w withoutUnknown) As(target any) bool { return errors.As(w.error, target) }

// A part is the answer to one item as decoded; status 0 means that there was none.
type part struct {
	status int
	header http.Header
	body   jsontext.Value
}

// decodeBatch reads the envelope of a batch's answer strictly. Part i answers the request with id i+1.
func decodeBatch(body []byte, n int) ([]part, error) {
	fields, err := scan(body, 3)
	if err != nil {
		return nil, err
	}
	parts := make([]part, n)
	found := false
	for _, f := range fields {
		if f.name == "error" {
			return nil, errors.New("an error under a status of success")
		}
		if f.name != "responses" {
			continue
		}
		if f.items == nil {
			return nil, errors.New("responses is not an array")
		}
		found = true
		for _, raw := range f.items {
			i, p, err := decodePart(raw)
			if err != nil {
				return nil, err
			}
			if i < 1 || i > n || parts[i-1].status != 0 {
				return nil, errors.New("a batch answers what was not asked, or twice")
			}
			parts[i-1] = p
		}
	}
	if !found {
		return nil, errors.New("responses is missing")
	}
	return parts, nil
}

func decodePart(raw jsontext.Value) (id int, p part, err error) {
	if raw.Kind() != '{' {
		return 0, part{}, errors.New("a part of a batch is not an object")
	}
	fields, err := scan(raw, 2)
	if err != nil {
		return 0, part{}, err
	}
	p.header = http.Header{}
	for _, f := range fields {
		v := raw[f.start:f.end]
		switch f.name {
		case "id":
			if id, err = strconv.Atoi(plainText(v)); err != nil {
				return 0, part{}, errors.New("a part of a batch has an id that was not given")
			}
		case "status":
			p.status, err = strconv.Atoi(string(v))
			if err != nil || p.status < 200 || p.status > 599 {
				return 0, part{}, errors.New("a part of a batch has no usable status")
			}
		case "headers":
			if f.kind != '{' {
				continue
			}
			headers, err := scan(v, 1)
			if err != nil {
				return 0, part{}, err
			}
			for _, h := range headers {
				p.header.Set(h.name, plainText(v[h.start:h.end]))
			}
		case "body":
			if f.kind != 'n' {
				p.body = v[:len(v):len(v)]
			}
		}
	}
	if id == 0 || p.status == 0 {
		return 0, part{}, errors.New("a part of a batch has no id or no status")
	}
	return id, p, nil
}

// plainText is the text of a JSON string, or the spelling of any other value.
func plainText(v jsontext.Value) string {
	if v.Kind() != '"' {
		return string(v)
	}
	s, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(s)
}
