package graph

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Authorizes tells whether a client would put its token on a request, by the last check before it does.
func Authorizes(c *Client, r *http.Request) bool {
	err := c.authorize(r, "token")
	return err == nil && r.Header.Get("Authorization") != ""
}

// RetryAfter is what a header is understood to ask for.
func RetryAfter(h http.Header, now time.Time) time.Duration { return retryAfter(h, now) }

// EncodeQuery spells a query.
func EncodeQuery(q url.Values) string { return encodeQuery(q) }

// CheckLink checks what must hold for any link of a service at endpoint.
func CheckLink(t *testing.T, endpoint, link string) {
	at, err := parseEndpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	version, path, err := at.checkLink(link, "")
	if err != nil {
		if len(err.Error()) > 100 {
			t.Fatalf("long error: %v", err)
		}
		return
	}
	r, err := http.NewRequest(http.MethodGet, link, nil)
	if err != nil {
		t.Fatalf("accepted what cannot be sent: %v", err)
	}
	if got, ok := originOf(r.URL); !ok || got != at || r.Host != r.URL.Host {
		t.Fatalf("%q leads to %v", link, got)
	}
	sent := r.URL.RequestURI()
	if !strings.HasSuffix(link, sent) || !strings.HasPrefix(sent, "/"+version+path) || version != "v1.0" && version != "beta" {
		t.Fatalf("%q is sent as %q", link, sent)
	}
}

// CheckDecodeBatch checks what must hold for any answer to a batch of n items.
func CheckDecodeBatch(t *testing.T, body []byte, n int) {
	before := bytes.Clone(body)
	parts, err := decodeBatch(body, n)
	if !bytes.Equal(before, body) {
		t.Fatal("the input was changed")
	}
	if err != nil {
		if len(err.Error()) > 100 {
			t.Fatalf("long error: %v", err)
		}
		return
	}
	if !json.Valid(body) || len(parts) != n {
		t.Fatalf("%d parts of %s", len(parts), body)
	}
	for i, p := range parts {
		if p.status != 0 && (p.status < 200 || p.status > 599) || p.body != nil && !p.body.IsValid() {
			t.Fatalf("part %d: status %d, %s", i, p.status, p.body)
		}
	}
}

// CheckDecodePage checks what must hold for any input of the page decoder.
func CheckDecodePage(t *testing.T, body []byte) {
	before := bytes.Clone(body)
	e, err := decodePage(body)
	if !bytes.Equal(before, body) {
		t.Fatal("the input was changed")
	}
	if err != nil {
		if len(err.Error()) > 100 {
			t.Fatalf("long error: %v", err)
		}
		return
	}
	var plain struct {
		Value []json.RawMessage `json:"value"`
		Next  string            `json:"@odata.nextLink"`
		Delta string            `json:"@odata.deltaLink"`
	}
	if err := json.Unmarshal(body, &plain); err != nil {
		t.Fatalf("accepted what is not JSON: %v", err)
	}
	if len(plain.Value) != len(e.items) || plain.Next != e.next || plain.Delta != e.delta {
		t.Fatalf("read %d items, %q, %q; the standard library %d, %q, %q", len(e.items), e.next, e.delta, len(plain.Value), plain.Next, plain.Delta)
	}
	for i, item := range e.items {
		if item.Kind() != '{' || !bytes.Equal(item, plain.Value[i]) {
			t.Fatalf("item %d is %s, want %s", i, item, plain.Value[i])
		}
	}
}
