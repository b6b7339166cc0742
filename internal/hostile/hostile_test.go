package hostile_test

import (
	"fmt"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/hostile"
)

// Each case is another one, and there are enough of each family.
func TestCasesAreDistinct(t *testing.T) {
	names, answers, families := map[string]bool{}, map[string]string{}, map[string]int{}
	total := 0
	for c := range hostile.All() {
		name := c.Family + "/" + c.Name
		if names[name] {
			t.Errorf("%s: twice", name)
		}
		names[name] = true
		what := fmt.Sprint(c.Status, c.Header, c.Body, "|", c.Raw)
		if other := answers[what]; other != "" {
			t.Errorf("%s: the same as %s", name, other)
		}
		answers[what] = name
		families[c.Family]++
		total++
	}
	for family, least := range map[string]int{"pagination": 60, "redirects": 40, "JSON": 80, "transport": 50, "meaning": 20, "text": 150} {
		if families[family] < least {
			t.Errorf("%s: %d cases, want %d", family, families[family], least)
		}
	}
	if total < 300 || len(families) != 6 {
		t.Errorf("%d cases in %v", total, families)
	}
	t.Logf("%d cases: %v", total, families)
}
