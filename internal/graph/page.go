package graph

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxPages = 100_000
	maxItems = 20_000_000
)

// A Page is one answer of a listing.
type Page struct {
	Items  []jsontext.Value // in the order received; they share memory
	Count  int64            // @odata.count, or -1 if the page has none
	Delta  string           // the delta link; only on the last page of a delta round
	Number int              // 1-based
	URL    string           // that was asked
}

// Pages lists what r asks for, following next links, exactly as received, to the end. The request's headers go
// with every page. An error is the last pair and names the page; a sequence without one is complete. A page may
// be empty without being the last.
//
// Each page is retried like a read of [Client.Do]. A listing whose links or contents repeat themselves, that
// leaves the endpoint or the version, or has more than 100,000 pages or 20 million items, or other than as many as
// its first page counts, ends with a *[ProtocolError]. Pages of a path that ends in "/delta" must end with a delta link.
func (c *Client) Pages(ctx context.Context, r Request) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		k, err := c.call(r)
		if err == nil && !k.read {
			err = fmt.Errorf("%s: not a request that lists", k)
		}
		if err != nil {
			yield(Page{}, err)
			return
		}
		c.pages(ctx, k, nil, yield)
	}
}

// PagesFrom is as [Client.Pages] where the first page came by other means, such as a batch: it asks for the others
// only. A first answer that is no page of a listing is a *[ProtocolError].
func (c *Client) PagesFrom(ctx context.Context, r Request, first Response) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		k, err := c.call(r)
		if err != nil {
			yield(Page{}, err)
			return
		}
		c.pages(ctx, k, &first, yield)
	}
}

// Follow lists the changes since a delta link was issued; else it is as [Client.Pages]. The link must be of this
// client's endpoint.
func (c *Client) Follow(ctx context.Context, link string, h http.Header) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		version, path, err := c.origin.checkLink(link, "")
		if err == nil {
			err = checkHeader(h)
		}
		if err != nil {
			yield(Page{}, fmt.Errorf("follow a link: %w", err))
			return
		}
		k := &call{method: http.MethodGet, path: path, version: version, service: serviceOf(path, true), url: link, header: h, read: true}
		c.pages(ctx, k, nil, yield)
	}
}

// pages lists what begin asks for; first, if it is not nil, is the answer to that.
func (c *Client) pages(ctx context.Context, begin *call, first *Response, yield func(Page, error) bool) {
	k := *begin
	last := k.path[strings.LastIndexByte(k.path, '/'):]
	delta := last == "/delta" || last == "/delta()"
	links := map[[sha256.Size]byte]bool{sha256.Sum256([]byte(k.url)): true}
	contents := map[[sha256.Size]byte]int{}
	items, said := 0, int64(-1)
	for n := 1; ; n++ {
		var e envelope
		k.page = n
		k.judge = func(body jsontext.Value) (err error) {
			e, err = decodePage(body)
			if err != nil {
				return err
			}
			for _, link := range []string{e.next, e.delta} {
				if link == "" {
					continue
				}
				if _, _, err := c.origin.checkLink(link, k.version); err != nil {
					return err
				}
			}
			return nil
		}
		reject := func(reason string) {
			yield(Page{}, &ProtocolError{Endpoint: k.method + " " + k.path, Page: n, Reason: reason})
		}
		if n == 1 && first != nil {
			if err := k.judge(first.Body); err != nil {
				reject(err.Error())
				return
			}
		} else if _, err := c.exchange(ctx, &k); err != nil {
			yield(Page{}, err)
			return
		}
		if items += len(e.items); items > maxItems || n > maxPages {
			reject("the listing does not end")
			return
		}
		// A page met again under another link is a loop. A page of one item may honestly come twice, when
		// that item changed to and fro during a delta round.
		if len(e.items) > 0 {
			contents[e.sum]++
			if seen := contents[e.sum]; seen > 2 || seen > 1 && len(e.items) > 1 {
				reject("the same page came again")
				return
			}
		}
		if n == 1 {
			said = e.count
		}
		if e.next == "" && said >= 0 && said != int64(items) {
			yield(Page{}, &ProtocolError{Endpoint: k.method + " " + k.path, Page: n, Reason: fmt.Sprintf("the listing ends after %d items and was said to have %d", items, said), miscounted: true})
			return
		}
		if e.next == "" && e.delta == "" && delta {
			reject("a delta round ends without a delta link")
			return
		}
		if e.next != "" {
			sum := sha256.Sum256([]byte(e.next))
			if links[sum] {
				reject("the listing leads back to a page already read")
				return
			}
			links[sum] = true
		}
		if !yield(Page{Items: e.items, Count: e.count, Delta: e.delta, Number: n, URL: k.url}, nil) || e.next == "" {
			return
		}
		k = call{method: http.MethodGet, path: k.path, version: k.version, service: k.service, url: e.next, header: k.header, read: true}
	}
}

// An envelope is a page as decoded.
type envelope struct {
	items       []jsontext.Value
	sum         [sha256.Size]byte // of the items
	next, delta string
	count       int64
}

// decodePage reads the envelope of a listing strictly. Items alias body.
func decodePage(body []byte) (envelope, error) {
	e := envelope{count: -1}
	fields, err := scan(body, 1)
	if err != nil {
		return envelope{}, err
	}
	for _, f := range fields {
		raw := jsontext.Value(body[f.start:f.end])
		lower := strings.ToLower(f.name)
		switch lower {
		case "value", "@odata.nextlink", "@odata.deltalink", "@odata.count":
			if want := map[string]string{"@odata.nextlink": "@odata.nextLink", "@odata.deltalink": "@odata.deltaLink"}[lower]; f.name != orDefault(want, lower) {
				return envelope{}, errors.New("a name of the envelope is spelled in another case")
			}
		case "error", "odata.error":
			return envelope{}, errors.New("an error under a status of success")
		}
		switch f.name {
		case "value":
			if f.items == nil {
				return envelope{}, errors.New("value is not an array")
			}
			for _, item := range f.items {
				if item.Kind() != '{' {
					return envelope{}, errors.New("an item is not an object")
				}
			}
			e.items, e.sum = f.items, sha256.Sum256(raw)
		case "@odata.nextLink":
			e.next, err = linkText(raw)
		case "@odata.deltaLink":
			e.delta, err = linkText(raw)
		case "@odata.count":
			e.count, err = strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
			if err != nil || e.count < 0 {
				err = errors.New("the count is not a number")
			}
		}
		if err != nil {
			return envelope{}, err
		}
	}
	switch {
	case e.items == nil:
		return envelope{}, errors.New("value is missing")
	case e.next != "" && e.delta != "":
		return envelope{}, errors.New("a next link and a delta link on one page")
	}
	return e, nil
}

func linkText(raw jsontext.Value) (string, error) {
	if raw.Kind() != '"' {
		return "", errors.New("a link is not a string")
	}
	plain, err := jsontext.AppendUnquote(nil, raw)
	if err != nil || len(plain) == 0 {
		return "", errors.New("a link is empty or malformed")
	}
	return string(plain), nil
}
