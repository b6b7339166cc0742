package graph

import (
	"context"
	"fmt"
	"strings"
)

// maxTarget is the longest request target that is sent as such. The service states no limit of its own; 8,000 octets
// are what every server has to take (RFC 9110, 4.1), and some in between take no more.
const maxTarget = 8000

// target returns what follows the version in a call's address: the path and the query.
func (k *call) target() string {
	start := strings.Index(k.url, "/"+k.version+k.path)
	if start < 0 {
		return ""
	}
	return k.url[start+1+len(k.version):]
}

// wrapped sends a call whose target is too long for an address: as the only request of a batch its target is part of
// a body. Source: Microsoft Graph documentation, "Combine multiple requests in one HTTP call using JSON batching".
func (c *Client) wrapped(ctx context.Context, k *call) (answer, error) {
	it := c.item(k)
	(&batch{c: c, version: k.version}).run(ctx, k.service, []*item{it})
	if err := ctx.Err(); err != nil {
		return answer{}, fmt.Errorf("%s: %w", k, err)
	}
	return answer{Response: it.result.Response}, it.result.Err
}
