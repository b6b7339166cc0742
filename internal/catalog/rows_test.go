package catalog_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// TestEveryRow holds the catalog against testdata/rows.txt, every list of a tenant's identities in Microsoft Graph that
// some tool is known to read or write, or could. A line is a version and a path; then "= TYPE", "= TYPE.RELATION" or
// "= TYPE:PROPERTY" where the catalog has it under another path, or "- REASON" where it has it not.
func TestEveryRow(t *testing.T) {
	raw, err := os.ReadFile("testdata/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`\{[^}]*\}`)
	lists := map[string]bool{}
	for r := range catalog.All() {
		lists[ids.ReplaceAllString(r.List, "{}")] = true
		for _, rel := range r.Links {
			lists[ids.ReplaceAllString(rel.Path, "{}")] = true
		}
	}
	rows, has := 0, 0
	for line := range strings.Lines(string(raw)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) < 2 {
			t.Fatalf("not a row: %q", line)
		}
		rows++
		path, found := fields[1], lists["/"+ids.ReplaceAllString(fields[1], "{}")]
		switch {
		case len(fields) == 2 && !found:
			t.Errorf("%s is not in the catalog, and nobody says why", path)
		case len(fields) == 2:
			has++
		case found:
			t.Errorf("%s is in the catalog and needs no excuse", path)
		case strings.HasPrefix(fields[2], "= "):
			has++
			name := strings.TrimPrefix(fields[2], "= ")
			name, property, _ := strings.Cut(name, ":")
			kind, rel, _ := strings.Cut(name, ".")
			r, ok := catalog.Lookup(entra.Type(kind))
			if !ok {
				t.Errorf("%s: there is no type %s", path, kind)
				continue
			}
			if _, ok := r.Relation(rel); rel != "" && !ok {
				t.Errorf("%s: %s has no relation %s", path, kind, rel)
			}
			if _, ok := r.Property(property); property != "" && !ok {
				t.Errorf("%s: %s has no property %s", path, kind, property)
			}
		case !strings.HasPrefix(fields[2], "- "):
			t.Errorf("%s: %q says neither where it is nor why it is not", path, fields[2])
		}
	}
	if rows < 200 {
		t.Fatalf("only %d rows", rows)
	}
	t.Logf("%d of %d rows", has, rows)
}
