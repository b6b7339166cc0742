package graph

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
)

// Authorizes tells whether a client would put its token on a request, by the last check before it does.
func Authorizes(c *Client, r *http.Request) bool {
	err := c.authorize(r, "token")
	return err == nil && r.Header.Get("Authorization") != ""
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
