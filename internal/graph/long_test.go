package graph_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

// What is too long for an address travels inside a batch, page by page, and is retried and judged as ever.
func TestLongAddressesTravelInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := strings.Repeat("extension_00000000000000000000000000000000_name,", 200) + "id"
		answers := []*part{
			{429, `{"error":{"code":"TooManyRequests","message":"wait"}}`, []string{"Retry-After", "1"}},
			{200, `{"value":[{"id":"1"}],"@odata.nextLink":"` + users + `?$select=` + names + `&$skiptoken=2"}`, nil},
			{200, `{"value":"no list"}`, nil},
			{200, `{"value":[{"id":"2"}],"@odata.nextLink":"` + users + `?$skiptoken=3"}`, nil},
		}
		b := newBatches(nil)
		b.item = func(a asked) *part {
			if a.Method != "GET" || !strings.HasPrefix(a.URL, "/users?$select=extension_") || len(a.URL) < 8000 || a.Headers["Consistencylevel"] != "eventual" {
				t.Errorf("item: %s %.60s %v", a.Method, a.URL, a.Headers)
			}
			p := answers[0]
			answers = answers[1:]
			return p
		}
		last, batch := answer(200, `{"value":[{"id":"3"}]}`), b.serve
		b.serve = func(n int, r *http.Request) (*http.Response, error) {
			if len(r.URL.RequestURI()) > 8000 {
				t.Errorf("an address of %d octets was sent", len(r.URL.RequestURI()))
			}
			if r.URL.Path == "/v1.0/users" {
				return last()
			}
			return batch(n, r)
		}
		c := client(t, &b.wire, graph.Options{})
		r := graph.Request{Path: "/users", Query: url.Values{"$select": {names}}, Header: http.Header{"Consistencylevel": {"eventual"}}}
		items, page, err := collect(c.Pages(t.Context(), r))
		if err != nil || strings.Join(items, "") != `{"id":"1"}{"id":"2"}{"id":"3"}` || page.Number != 3 {
			t.Errorf("%v, page %d: %v", items, page.Number, err)
		}
		if len(answers) > 0 {
			t.Errorf("%d answers were not asked for", len(answers))
		}
	})
}
