package storetest

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// A Mishap is what a service does to one request instead of answering it as it should.
type Mishap int

// The mishaps.
const (
	Fine        Mishap = iota
	Broken             // 500, and nothing was done
	Busy               // 503, and nothing was done
	BrokenAfter        // 500, and it was done
	Lost               // it was done, and the connection ends without an answer
	Cut                // it was done, and the answer ends half-way
	Refused            // 412, and nothing was done
	Lagging            // of a list, the last name is not in it; else nothing
	OtherTag           // another ETag than that of the content
)

// Mishaps is how many there are.
const Mishaps = int(OtherTag)

// Proxy stands before the S3 service of a URL as S3 gives it until the test ends, and returns the URL that leads through
// it. It asks mishap before each request, which it gives the URL of the request.
func Proxy(t *testing.T, place string, mishap func(method string, at *url.URL) Mishap) string {
	t.Helper()
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	to, err := url.Parse(q.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // which is signed
	}, ErrorLog: log.New(io.Discard, "", 0)} // a client that goes away is part of it
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := mishap(r.Method, r.URL)
		switch what {
		case Broken, Busy, Refused:
			_, _ = io.Copy(io.Discard, r.Body) // the client may not read before it has sent
			http.Error(w, "", map[Mishap]int{Broken: 500, Busy: 503, Refused: 412}[what])
			return
		case Fine:
			pass.ServeHTTP(w, r)
			return
		}
		got := httptest.NewRecorder()
		pass.ServeHTTP(got, r)
		body := got.Body.Bytes()
		for name, values := range got.Header() {
			w.Header()[name] = values
		}
		switch what {
		case BrokenAfter:
			http.Error(w, "", http.StatusInternalServerError)
			return
		case Lost:
			panic(http.ErrAbortHandler)
		case Cut:
			w.Header().Set("Content-Length", strconv.Itoa(max(len(body), 1)))
			w.WriteHeader(got.Code)
			_, _ = w.Write(body[:len(body)/2]) // the client may be gone
			panic(http.ErrAbortHandler)
		case Lagging:
			if last := bytes.LastIndex(body, []byte("<Contents>")); last >= 0 && r.URL.Query().Has("list-type") {
				end := last + bytes.Index(body[last:], []byte("</Contents>")) + len("</Contents>")
				body = append(body[:last:last], body[end:]...)
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		case OtherTag:
			w.Header().Set("ETag", `"00000000000000000000000000000000"`)
		}
		w.WriteHeader(got.Code)
		_, _ = w.Write(body)
	}))
	t.Cleanup(front.Close)
	name, rest, _ := strings.Cut(place, "?")
	rest, _, _ = strings.Cut(rest, "endpoint=")
	return name + "?" + rest + "endpoint=" + url.QueryEscape(front.URL)
}
