package emulator

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

const batchMost = 20

// batch carries out $batch (Microsoft Graph documentation, JSON batching).
// Each item is checked, limited and recorded as a request of its own.
func (c *call) batch() (answer, error) {
	if c.method != "POST" {
		return answer{}, notAllowed()
	}
	if c.batched {
		return answer{}, bad("A batch cannot contain a batch.")
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	reqs, ok := body["requests"].([]any)
	if !ok || len(body) != 1 {
		return answer{}, refuse(400, "BadRequest", "Invalid batch payload format.")
	}
	if len(reqs) > batchMost {
		return answer{}, refuse(400, "BadRequest", "Number of batch request steps exceeds the maximum value of %d.", batchMost)
	}
	type item struct {
		m      map[string]any
		id     string
		after  []string
		status int
		out    map[string]any
	}
	var items []*item
	byID := map[string]*item{}
	for _, r := range reqs {
		m := sub(r)
		it := &item{m: m, id: text(m["id"])}
		key := strings.ToLower(it.id)
		if it.id == "" || text(m["method"]) == "" || text(m["url"]) == "" {
			return answer{}, refuse(400, "BadRequest", "A batch request needs id, method and url.")
		}
		if byID[key] != nil {
			return answer{}, refuse(400, "BadRequest", "The id '%s' is used more than once in the batch.", it.id)
		}
		for k := range m {
			if !slices.Contains([]string{"id", "method", "url", "headers", "body", "dependsOn"}, k) {
				return answer{}, refuse(400, "BadRequest", "Invalid property '%s' in a batch request.", k)
			}
		}
		for _, d := range texts(m["dependsOn"]) {
			it.after = append(it.after, strings.ToLower(d))
		}
		byID[key] = it
		items = append(items, it)
	}
	for _, it := range items {
		for _, d := range it.after {
			if byID[d] == nil || byID[d] == it {
				return answer{}, refuse(400, "BadRequest", "The request '%s' depends on '%s', which is not in the batch.", it.id, d)
			}
		}
	}
	left := slices.Clone(items)
	for len(left) > 0 {
		progress := false
		for i := 0; i < len(left); i++ {
			it := left[i]
			ready, failed := true, false
			for _, d := range it.after {
				ready = ready && byID[d].status != 0
				failed = failed || byID[d].status >= 400
			}
			if !ready {
				continue
			}
			var a answer
			if failed {
				a = c.refused(refuse(424, "FailedDependency", "The request depends on a failed request."))
			} else {
				a = c.item(it.m)
			}
			it.status = a.status
			it.out = map[string]any{"id": it.id, "status": a.status}
			headers := map[string]any{}
			for k, v := range a.header {
				headers[k] = v[0]
			}
			if len(a.body) > 0 {
				if headers["Content-Type"] == nil {
					headers["Content-Type"] = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
				}
				if json.Valid(a.body) && !strings.HasPrefix(text(headers["Content-Type"]), "text/") {
					it.out["body"] = json.RawMessage(a.body)
				} else {
					it.out["body"] = base64.StdEncoding.EncodeToString(a.body)
				}
			}
			it.out["headers"] = headers
			left = slices.Delete(left, i, i+1)
			i--
			progress = true
		}
		if !progress {
			return answer{}, refuse(400, "BadRequest", "The requests of the batch depend on each other in a circle.")
		}
	}
	// No order is promised: the last comes first.
	slices.Reverse(items)
	outs := make([]map[string]any, len(items))
	for i, it := range items {
		outs[i] = it.out
	}
	b, err := json.Marshal(map[string]any{"responses": outs})
	if err != nil {
		return answer{}, err
	}
	return answer{status: 200, body: b}, nil
}

func (c *call) item(m map[string]any) answer {
	url := text(m["url"])
	if !strings.HasPrefix(url, "/") {
		url = "/" + url
	}
	w := &call{t: c.t, method: strings.ToUpper(text(m["method"])), header: http.Header{}, actor: c.actor, appID: c.appID, roles: c.roles, direct: c.direct, batched: true}
	for _, k := range []string{"request-id", "client-request-id"} {
		w.header.Set(k, c.header.Get(k))
	}
	for k, v := range sub(m["headers"]) {
		w.header.Set(k, text(v))
	}
	if strings.Contains(text(m["url"]), "://") {
		return w.refused(bad("The url of a batch request must be relative to the version root."))
	}
	w.setTarget("/" + c.version + url)
	if body, ok := m["body"]; ok {
		if w.header.Get("Content-Type") == "" {
			return w.refused(bad("A batch request with a body needs a Content-Type header."))
		}
		if s, isText := body.(string); isText {
			b, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				return w.refused(bad("The body of a batch request is neither an object nor base64."))
			}
			w.body = b
		} else {
			w.body = appendValue(nil, body)
		}
	}
	if c.direct {
		return w.serve()
	}
	target := "/" + w.version + w.path
	if w.query != "" {
		target += "?" + w.query
	}
	a, drop := c.t.injected(context.Background(), w.method, target, w.pageOf(), w.limited)
	if drop { // a single item cannot be dropped
		a = w.refused(refuse(504, "GatewayTimeout", "The request timed out."))
	}
	a.set("x-ms-resource-unit", itoa(w.cost()))
	c.t.received.add(Request{Method: w.method, Path: target, Status: a.status, At: c.t.Now(), Write: w.isWrite()})
	return a
}
