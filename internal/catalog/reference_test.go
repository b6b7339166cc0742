package catalog_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Every declared reference is found in what an object says, and names the new ID after what it names was made anew.
func TestEveryReferenceIsRewritten(t *testing.T) {
	const was, is = "11111111-2222-4333-8444-555555555555", "99999999-8888-4777-8666-555555555555"
	n := 0
	for r := range catalog.All() {
		for _, p := range r.Properties {
			if p.Ref == nil || p.Omit {
				continue
			}
			value := any(was)
			names := strings.Split(p.Name, ".")
			for i := len(names) - 1; i >= 0; i-- {
				name, element := strings.CutSuffix(names[i], "[]")
				if element {
					value = []any{value}
				}
				value = map[string]any{name: value}
			}
			body, err := entra.Encode(value.(map[string]any))
			if err != nil {
				t.Fatal(err)
			}
			o := entra.Object{Ref: entra.Ref{Type: r.Type, ID: "x"}, Body: body}
			found := false
			for _, f := range catalog.Refs(o) {
				found = found || f.ID == was && f.Path == p.Name
			}
			if !found {
				t.Errorf("%s: %s is declared and not found", r.Type, p.Name)
			}
			renamed := catalog.Rename(o, map[entra.ID]entra.ID{was: is})
			if strings.Contains(string(renamed.Body), was) || !strings.Contains(string(renamed.Body), is) {
				t.Errorf("%s: %s is not rewritten: %s", r.Type, p.Name, renamed.Body)
			}
			n++
		}
	}
	if n < 150 {
		t.Fatalf("only %d references", n)
	}
}
