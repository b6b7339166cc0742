package catalog_test

import (
	"slices"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// TestCounts holds which types fill the directory. What a bin holds counts with what it was, and is not counted by itself.
func TestCounts(t *testing.T) {
	var counts []entra.Type
	for r := range catalog.All() {
		if r.Counts() {
			counts = append(counts, r.Type)
		}
	}
	slices.Sort(counts)
	if want := []entra.Type{"administrativeUnit", "application", "group", "servicePrincipal", "user"}; !slices.Equal(counts, want) {
		t.Fatalf("got %v, want %v", counts, want)
	}
}
