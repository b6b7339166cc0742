package capture_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
)

// All types of a tenant that has next to nothing cost at most 300 requests, and Conditional Access, which grants one in a
// second, lists only.
func TestAllTypesCostFewRequests(t *testing.T) {
	for name, o := range map[string]emulator.Options{
		"next to nothing":     {Users: 16, Groups: 8, Apps: 1},
		"something of a kind": {Users: 16, Groups: 8, Apps: 3, Every: true},
	} {
		tenant := lab.Start(t, o)
		synctest.Test(t, func(t *testing.T) {
			l := lab.New(t, tenant)
			tenant.ResetRequests()
			l.Capture()
			policies := map[string]int{}
			for _, q := range tenant.Requests() {
				if path, _, _ := strings.Cut(q.Path, "?"); strings.HasPrefix(path, "/v1.0/identity/conditionalAccess/") {
					policies[path]++
					if !regexp.MustCompile(`^/v1.0/identity/conditionalAccess/(deletedItems/)?[a-zA-Z]+$`).MatchString(path) {
						t.Errorf("%s: %s is no list", name, path)
					}
				}
			}
			sent := int(l.Reader.Stats().Requests)
			t.Logf("%s: %d requests", name, sent)
			if sent > 300 || sent < 50 || len(policies) < 3 {
				t.Errorf("%s: %d requests, Conditional Access %v", name, sent, policies)
			}
		})
	}
}
