package graph_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/hostile"
)

const users = endpoint + "/v1.0/users"

func users1(c *graph.Client, t *testing.T) ([]string, graph.Page, error) {
	return collect(c.Pages(t.Context(), graph.Request{Path: "/users"}))
}

func TestPagesFollowLinksAsReceived(t *testing.T) {
	next := users + `?$select=id,displayName&$top=5&$skiptoken=X%274453%2f%2F+a%20b%27`
	w := script(
		answer(200, `{"@odata.context":"c","@odata.count":4,"@odata.nextLink":"`+strings.Replace(next, "/v1.0", `\/v1.0`, 1)+`","value":[{"id":"1"},{"id":"2"}]}`),
		answer(200, `{"value":[],"@odata.nextLink":"`+next+`2"}`),
		answer(200, `{"value":[{"id":"3"}, {"id":"4","n":9007199254740993}]}`),
	)
	c := client(t, w, graph.Options{})
	var pages []graph.Page
	for p, err := range c.Pages(t.Context(), graph.Request{Path: "/users", Header: http.Header{"ConsistencyLevel": {"eventual"}}}) {
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
	}
	if len(pages) != 3 || pages[0].Count != 4 || pages[1].Count != -1 || pages[1].Items == nil || pages[2].Number != 3 || pages[2].URL != next+"2" || pages[2].Delta != "" {
		t.Fatalf("%+v", pages)
	}
	if got := string(pages[2].Items[1]); got != `{"id":"4","n":9007199254740993}` {
		t.Error(got)
	}
	if got, want := w.asked[1].URL.RequestURI(), strings.TrimPrefix(next, endpoint); got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	for i, r := range w.asked {
		if r.Header.Get("ConsistencyLevel") != "eventual" || r.Header.Get("Prefer") != "include-unknown-enum-members" || r.Header.Get("Authorization") == "" {
			t.Errorf("page %d: %v", i+1, r.Header)
		}
	}
}

// A law: whatever happens on the way, a listing either yields every item once and in order, or ends in an error.
func TestListingIsWholeOrAnError(t *testing.T) {
	faults := []func() (*http.Response, error){
		reset, answer(429, ``, "Retry-After", "1"), answer(500, ``), answer(503, ``), answer(401, `{}`), answer(200, ``), answer(200, `{"value":[`),
		answer(200, `{}`), answer(200, `[]`), answer(200, `{"value":null}`), answer(204, ``), answer(403, `{}`), answer(200, `{"value":[]} `+"\x00"),
	}
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 8).Draw(rt, "sizes")
		broken := rapid.SliceOfN(rapid.IntRange(-8, len(faults)-1), 0, 30).Draw(rt, "faults")
		var want []string
		pages := make([]string, len(sizes))
		for i, n := range sizes {
			var items []string
			for range n {
				items = append(items, fmt.Sprintf(`{"id":"%d"}`, len(want)+len(items)))
			}
			want = append(want, items...)
			link := ""
			if i < len(sizes)-1 {
				link = fmt.Sprintf(`,"@odata.nextLink":"%s?page=%d"`, users, i+1)
			}
			pages[i] = `{"value":[` + strings.Join(items, ",") + `]` + link + `}`
		}
		var got []string
		var err error
		synctest.Test(t, func(t *testing.T) {
			w := &wire{serve: func(n int, r *http.Request) (*http.Response, error) {
				if n <= len(broken) && broken[n-1] >= 0 {
					return faults[broken[n-1]]()
				}
				i := 0
				fmt.Sscan(r.URL.Query().Get("page"), &i)
				return reply(200, pages[i]), nil
			}}
			got, _, err = users1(client(t, w, graph.Options{}), t)
		})
		if err == nil && !cmp.Equal(got, want) {
			rt.Fatal(cmp.Diff(want, got))
		}
		if err != nil && (len(got) > len(want) || len(got) > 0 && !cmp.Equal(got, want[:len(got)])) {
			rt.Fatal(cmp.Diff(want, got))
		}
	})
}

func TestErrorsNameThePage(t *testing.T) {
	page := func(n int) string {
		return fmt.Sprintf(`{"value":[{"id":"%d"}],"@odata.nextLink":"%s?page=%d"}`, n, users, n+1)
	}
	for name, row := range map[string]struct {
		fail func() (*http.Response, error)
		want string
		is   error
	}{
		"refused":     {answer(403, `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges."}}`), "GET /users: page 3: 403 Authorization_RequestDenied: Insufficient privileges. (request 4f1c)", fs.ErrPermission},
		"expired":     {answer(400, `{"error":{"code":"Directory_ExpiredPageToken","message":""}}`), "GET /users: page 3: 400 Directory_ExpiredPageToken (request 4f1c)", graph.ErrExpiredPage},
		"expired in":  {answer(400, `{"error":{"code":"","innererror":{"code":"Directory_ExpiredPageToken"}}}`), "GET /users: page 3: 400 Bad Request (request 4f1c)", graph.ErrExpiredPage},
		"reset":       {reset, "GET /users: page 3: read: connection reset by peer", errReset},
		"not a page":  {answer(200, `{"id":"1"}`), "GET /users: page 3: answer refused: value is missing", nil},
		"back to one": {answer(200, `{"value":[{"id":"3"}],"@odata.nextLink":"`+users+`?page=2"}`), "GET /users: page 3: answer refused: the listing leads back to a page already read", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				items, _, err := users1(client(t, script(answer(200, page(1)), answer(200, page(2)), row.fail), graph.Options{}), t)
				if err == nil || err.Error() != row.want || row.is != nil && !errors.Is(err, row.is) {
					t.Errorf("%v\nwant %s", err, row.want)
				}
				if len(items) != 2 {
					t.Errorf("%d items", len(items))
				}
			})
		})
	}
}

func TestLoopsEnd(t *testing.T) {
	two := `{"value":[{"id":"1"},{"id":"2"}],"@odata.nextLink":"` + users + `?page=`
	for name, serve := range map[string]func(n int) string{
		"self":               func(int) string { return `{"value":[],"@odata.nextLink":"` + users + `"}` },
		"same link":          func(int) string { return `{"value":[],"@odata.nextLink":"` + users + `?page=2"}` },
		"A B A":              func(n int) string { return fmt.Sprintf(`{"value":[],"@odata.nextLink":"%s?page=%d"}`, users, 1+n%2) },
		"new link same page": func(n int) string { return fmt.Sprintf(`%s%d"}`, two, n) },
		"new link same item": func(n int) string {
			return fmt.Sprintf(`{"value":[{"id":"1"}],"@odata.nextLink":"%s?page=%d"}`, users, n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{serve: func(n int, _ *http.Request) (*http.Response, error) { return reply(200, serve(n)), nil }}
			items, _, err := users1(client(t, w, graph.Options{}), t)
			var p *graph.ProtocolError
			if !errors.As(err, &p) || p.Endpoint != "GET /users" || p.Page < 1 || w.count() > 4 || len(items) > 2 {
				t.Errorf("%d requests, %d items: %v", w.count(), len(items), err)
			}
		})
	}
}

// A listing that is not as long as its first page says is told apart from others, since it may have changed meanwhile.
func TestCountsAreHeld(t *testing.T) {
	first := `{"@odata.count":%d,"value":[{"id":"1"},{"id":"2"}],"@odata.nextLink":"` + users + `?page=2"}`
	for count, right := range map[int]bool{2: false, 3: true, 4: false} {
		w := script(answer(200, fmt.Sprintf(first, count)), answer(200, `{"value":[{"id":"3"}]}`))
		items, _, err := users1(client(t, w, graph.Options{}), t)
		if right != (err == nil) || errors.Is(err, graph.ErrMiscounted) == right || right && len(items) != 3 {
			t.Errorf("count %d: %d items, %v", count, len(items), err)
		}
		var p *graph.ProtocolError
		if !right && (!errors.As(err, &p) || p.Page != 2 || p.Endpoint != "GET /users") {
			t.Errorf("count %d: %v", count, err)
		}
	}
}

// A listing whose first page came in a batch is held to the same rules as any other.
func TestPagesFromABatch(t *testing.T) {
	w := script(answer(200, `{"value":[{"id":"2"}],"@odata.nextLink":"`+users+`?page=3"}`), answer(200, `{"value":[{"id":"3"}]}`))
	from := func(body string) ([]string, graph.Page, error) {
		return collect(client(t, w, graph.Options{}).PagesFrom(t.Context(), graph.Request{Path: "/users"}, graph.Response{Status: 200, Body: jsontext.Value(body)}))
	}
	items, last, err := from(`{"value":[{"id":"1"}],"@odata.nextLink":"` + users + `?page=2"}`)
	if err != nil || len(items) != 3 || last.Number != 3 || w.count() != 2 {
		t.Errorf("%v, page %d, %d requests: %v", items, last.Number, w.count(), err)
	}
	for row := range hostile.All() {
		if row.Family != "JSON" {
			continue
		}
		items, _, err := from(row.Body)
		var p *graph.ProtocolError
		if !errors.As(err, &p) || p.Page != 1 || p.Endpoint != "GET /users" || len(items) != 0 {
			t.Errorf("%s: %d items, %v", row.Name, len(items), err)
		}
	}
	if w.count() != 2 {
		t.Errorf("%d requests", w.count())
	}
}

func TestDeltaRounds(t *testing.T) {
	link := endpoint + "/v1.0/users/delta?$deltatoken=abc"
	w := &wire{serve: func(_ int, r *http.Request) (*http.Response, error) {
		switch r.URL.RawQuery {
		case "$deltatoken=latest", "$deltatoken=abc":
			return reply(200, `{"value":[],"@odata.deltaLink":"`+link+`"}`), nil
		case "$deltatoken=gone":
			return refuse(410, "syncStateNotFound", "", "Location", link), nil
		case "$deltatoken=old":
			return refuse(400, "resyncRequired", ""), nil
		case "$deltatoken=bad":
			return refuse(400, "Request_BadRequest", "Badly formed token."), nil
		case "$deltatoken=none":
			return reply(200, `{"value":[]}`), nil
		}
		return refuse(400, "Request_BadRequest", "Something else."), nil
	}}
	c := client(t, w, graph.Options{})
	_, last, err := collect(c.Pages(t.Context(), graph.Request{Path: "/users/delta", Query: url.Values{"$deltatoken": {"latest"}}}))
	if err != nil || last.Delta != link {
		t.Fatalf("%+v %v", last, err)
	}
	_, last, err = collect(c.Follow(t.Context(), last.Delta, http.Header{"Prefer": {"return=minimal"}}))
	if err != nil || last.Delta != link || w.asked[1].Header.Get("Prefer") != "return=minimal, include-unknown-enum-members" {
		t.Fatalf("%+v %v", last, err)
	}
	for token, want := range map[string]bool{"gone": true, "old": true, "bad": true, "other": false} {
		_, _, err := collect(c.Follow(t.Context(), endpoint+"/v1.0/users/delta?$deltatoken="+token, nil))
		if errors.Is(err, graph.ErrDeltaReset) != want || err == nil {
			t.Errorf("%s: %v", token, err)
		}
	}
	var p *graph.ProtocolError
	if _, _, err := collect(c.Follow(t.Context(), endpoint+"/v1.0/users/delta?$deltatoken=none", nil)); !errors.As(err, &p) {
		t.Errorf("a round without a delta link: %v", err)
	}
}

func TestPagesStopWhenTheReaderDoes(t *testing.T) {
	w := &wire{serve: func(n int, _ *http.Request) (*http.Response, error) {
		return reply(200, fmt.Sprintf(`{"value":[{"id":"%d"}],"@odata.nextLink":"%s?page=%d"}`, n, users, n+1)), nil
	}}
	for p := range client(t, w, graph.Options{}).Pages(t.Context(), graph.Request{Path: "/users"}) {
		if p.Number == 3 {
			break
		}
	}
	if w.count() != 3 {
		t.Errorf("%d requests", w.count())
	}
}

// The canary: no request, and so no token, goes where a hostile link leads.
func TestTokenStaysAtTheEndpoint(t *testing.T) {
	links := hostile.Links()
	if len(links) < 60 {
		t.Fatalf("only %d links", len(links))
	}
	quote := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, "\r", `\r`, "\n", `\n`, "\t", `\t`, "\x00", `\u0000`).Replace(s) + `"`
	}
	for i, link := range links {
		for _, kind := range []string{"@odata.nextLink", "@odata.deltaLink"} {
			synctest.Test(t, func(t *testing.T) {
				w := always(func() *http.Response { return reply(200, `{"value":[{"id":"1"}],"`+kind+`":`+quote(link)+`}`) })
				items, last, err := users1(client(t, w, graph.Options{}), t)
				var p *graph.ProtocolError
				if !errors.As(err, &p) || p.Page != 1 || len(items) != 0 || last.Delta != "" {
					t.Errorf("%d: %s %.80q: %d items, %v", i, kind, link, len(items), err)
				}
				for _, r := range w.asked {
					if r.URL.String() != users {
						t.Errorf("%d: %s %.80q: asked for %s", i, kind, link, r.URL)
					}
				}
			})
		}
		if strings.HasPrefix(link, endpoint+"/beta/") {
			continue // good to follow by itself, but not from a page of v1.0
		}
		w := always(func() *http.Response { return reply(200, `{"value":[]}`) })
		if _, _, err := collect(client(t, w, graph.Options{}).Follow(t.Context(), link, nil)); err == nil || w.count() != 0 {
			t.Errorf("%d: followed %.80q", i, link)
		}
	}
}

// The last check stands by itself: even a request that passed all others gets no token for another origin.
func TestTokenIsRefusedToOtherOrigins(t *testing.T) {
	c := client(t, always(func() *http.Response { return reply(200, `{}`) }), graph.Options{})
	for i, link := range hostile.Links() {
		r, err := http.NewRequestWithContext(t.Context(), "GET", link, nil)
		if err == nil && graph.Authorizes(c, r) && !strings.EqualFold(r.URL.Host, "graph.example") {
			t.Errorf("%d: %.80q is authorized", i, link)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", users, nil)
	if err != nil || !graph.Authorizes(c, r) {
		t.Fatalf("the endpoint itself is refused: %v", err)
	}
	r.Host = "evil.example"
	r.Header.Del("Authorization")
	if graph.Authorizes(c, r) {
		t.Error("another Host is authorized")
	}
}

// Links of the endpoint are followed in whatever way it spells itself.
func TestLinksOfTheEndpoint(t *testing.T) {
	for _, link := range []string{
		"https://graph.example/v1.0/users?page=2", "https://GRAPH.example:443/v1.0/users?page=2", "HTTPS://graph.example/v1.0/users?page=2", "https://graph.example/v1.0/users/delta()?$skiptoken=X%27a%27",
		"https://graph.example/v1.0/groups/1/microsoft.graph.delta(token='a')", "https://graph.example/v1.0/users?", "https://graph.example/v1.0/users?q=https://evil.example/@x",
	} {
		w := script(answer(200, `{"value":[],"@odata.nextLink":"`+link+`"}`), answer(200, `{"value":[{"id":"1"}]}`))
		items, _, err := users1(client(t, w, graph.Options{}), t)
		if err != nil || len(items) != 1 || !strings.HasSuffix(link, w.asked[1].URL.RequestURI()) {
			t.Errorf("%s: %v, %v", link, err, w.asked)
		}
	}
}

// Odd but lawful.
func TestLawfulAnswersAreTaken(t *testing.T) {
	for name, row := range map[string]struct {
		body    string
		items   int
		headers []string
	}{
		"spaced":         {" {\n\t\"value\" : [ {} , { \"id\" : \"1\" } ] } \r\n", 2, nil},
		"value first":    {`{"value":[{"id":"1"}],"@odata.context":"c","@odata.count":1}`, 1, nil},
		"big numbers":    {`{"value":[{"a":9007199254740993,"b":1e400,"c":-0,"d":1.10}]}`, 1, nil},
		"odd names":      {`{"value":[{"__proto__":1,"":2,"a.b@odata.type":"x"}]}`, 1, nil},
		"odd text":       {`{"value":[{"id":"../\u0000\ud83d\ude00<script>"}]}`, 1, nil},
		"deepest":        {`{"value":[{"a":` + strings.Repeat("[", 61) + strings.Repeat("]", 61) + `}]}`, 1, nil},
		"count as text":  {`{"value":[{"id":"1"}],"@odata.count":"1"}`, 1, nil},
		"more than 4 MB": {`{"value":[` + strings.TrimSuffix(strings.Repeat(`{"a":"`+strings.Repeat("a", 1<<19)+`"},`, 12), ",") + `]}`, 12, nil},
		"plain type":     {`{"value":[]}`, 0, []string{"Content-Type", "APPLICATION/JSON; Charset=\"UTF-8\""}},
		"gzip":           {hostile.Squeeze(`{"value":[{"id":"1"}]}`), 1, []string{"Content-Encoding", "GZIP"}},
		"identity":       {`{"value":[]}`, 0, []string{"Content-Encoding", "identity"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := always(func() *http.Response { return reply(200, row.body, row.headers...) })
			items, _, err := users1(client(t, w, graph.Options{}), t)
			if err != nil || len(items) != row.items || w.count() != 1 {
				t.Errorf("%d items, want %d: %v", len(items), row.items, err)
			}
		})
	}
}

// A page cut anywhere is no page.
func TestTruncatedAtEveryByte(t *testing.T) {
	page := `{"@odata.context":"c","@odata.count":2,"@odata.nextLink":"` + users + `?page=2","value":[` +
		strings.TrimSuffix(strings.Repeat(`{"id":"1","displayName":"a \"b\" \u00e9","n":[1,2.5,null,true],"o":{"x":{}}},`, 25), ",") + `]}`
	if len(page) < 2000 {
		t.Fatalf("the page has only %d bytes", len(page))
	}
	for i := range len(page) {
		synctest.Test(t, func(t *testing.T) {
			items, _, err := users1(client(t, always(func() *http.Response { return reply(200, page[:i]) }), graph.Options{}), t)
			if err == nil || len(items) > 0 {
				t.Errorf("cut at %d: %d items, %v", i, len(items), err)
			}
		})
	}
}

// FuzzPage: what a listing accepts, standard JSON accepts too; items are objects; nothing panics.
func FuzzPage(f *testing.F) {
	for row := range hostile.All() {
		if len(row.Body) < 1<<12 {
			f.Add([]byte(row.Body))
		}
	}
	f.Add([]byte(`{"value":[{"id":"1"}],"@odata.count":1,"@odata.nextLink":"` + users + `?page=2"}`))
	f.Fuzz(func(t *testing.T, body []byte) { graph.CheckDecodePage(t, body) })
}

// FuzzQuery: what is asked for arrives as it was meant, whatever names and values hold.
func FuzzQuery(f *testing.F) {
	for _, v := range []string{"id,displayName", "displayName eq 'O''Brien & sons #1'", "a+b c%20d", "\u00e9\x00", "owners($select=id)", "';--", "x&$top=1", ""} {
		f.Add("$filter", v)
		f.Add(v, "1")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		q := url.Values{name: {value, "2"}, "$top": {"999"}}
		text := graph.EncodeQuery(q)
		got, err := url.ParseQuery(strings.TrimPrefix(text, "?"))
		if err != nil || got.Encode() != q.Encode() || strings.ContainsAny(text, " +#\"<>") || !strings.HasPrefix(text, "?") {
			t.Fatalf("%q=%q is spelled %s: %v, %v", name, value, text, got, err)
		}
		u, err := url.Parse(users + text)
		if err != nil || u.Query().Encode() != q.Encode() {
			t.Fatalf("%s: %v", text, err)
		}
	})
}

// FuzzLink: what is followed is sent as received, to the endpoint and below its version.
func FuzzLink(f *testing.F) {
	for _, link := range hostile.Links() {
		if len(link) < 1<<12 {
			f.Add(link)
		}
	}
	f.Add(users + "?$skiptoken=X%27a%27&$select=id,displayName")
	f.Add("https://GRAPH.example:443/beta/groups/1/members?x")
	f.Fuzz(func(t *testing.T, link string) { graph.CheckLink(t, endpoint, link) })
}

func BenchmarkPage(b *testing.B) {
	item := `{"id":"6e7b768e-07e2-4810-8459-485f84f8f204","displayName":"Conf Room Adams","businessPhones":["+61 2 0000"],"accountEnabled":true,"assignedPlans":[` + strings.TrimSuffix(strings.Repeat(`{"assignedDateTime":"2024-01-01T00:00:00Z","service":"exchange"},`, 10), ",") + `]},`
	body := `{"value":[` + strings.TrimSuffix(strings.Repeat(item, 999), ",") + `]}`
	c, err := graph.New(bearer("x"), graph.Options{Endpoint: endpoint, HTTP: &http.Client{Transport: always(func() *http.Response { return reply(200, body) })}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		for _, err := range c.Pages(b.Context(), graph.Request{Path: "/users"}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
