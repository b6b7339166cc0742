package graph

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// costs are the resource units of reads that cost more than one (Microsoft Graph documentation, service-specific
// throttling limits, identity and access; protocol.md section 5.3). A star stands for one segment. What the documentation
// says of me holds for users/{id}; that a delta function costs what its collection does is assumed.
var costs = map[string]float64{
	"applications":                           2,
	"applications/delta":                     2,
	"applications/*/extensionproperties":     2,
	"contracts":                              3,
	"directoryobjects/getbyids":              3,
	"domains/*/domainnamereferences":         4,
	"groups/*/members":                       3,
	"groups/*/transitivemembers":             5,
	"oauth2permissiongrants":                 2,
	"oauth2permissiongrants/*":               2,
	"oauth2permissiongrants/delta":           2,
	"serviceprincipals/*/approleassignments": 2,
	"subscribedskus":                         3,
	"users":                                  2,
	"users/delta":                            2,
	"users/*/licensedetails":                 2,
	"users/*/memberof":                       2,
	"users/*/ownedobjects":                   2,
	"users/*/transitivememberof":             2,
}

// units is what a call is expected to cost of a quota: for a batch, what its items do. The service says what it did
// cost, which counts in the end.
func (k *call) units() float64 {
	if k.holds > 0 {
		return k.holds
	}
	if k.service == directoryWrites {
		return 1 // they are counted, whatever they cost
	}
	n := 1.0
	parts := strings.Split(strings.Trim(strings.ToLower(k.path), "/"), "/")
	if v, ok := costs[strings.Join(parts, "/")]; ok {
		n = v
	} else if len(parts) > 1 {
		parts[1] = "*"
		if v, ok := costs[strings.Join(parts, "/")]; ok {
			n = v
		}
	}
	if k.method != http.MethodGet {
		return n
	}
	_, query, _ := strings.Cut(k.url, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return n
	}
	if q.Has("$select") {
		n--
	}
	if q.Has("$expand") {
		n++
	}
	if top, err := strconv.Atoi(q.Get("$top")); err == nil && top < 20 {
		n--
	}
	return max(n, 1)
}
