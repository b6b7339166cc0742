package plan

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// TestRenameWithFewerIDsIsTheSame holds the quick way against the whole one, wherever an ID can stand.
func TestRenameWithFewerIDsIsTheSame(t *testing.T) {
	id := func(n int) entra.ID { return entra.ID(fmt.Sprintf("%08x-aaaa-4000-8000-%012x", n, n)) }
	ids := map[entra.ID]entra.ID{"plain-id_x": "other_y", "a.example": "b.example"}
	for n := range 100 {
		ids[id(n)] = id(1000 + n)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 120).Draw(t, "n")
		s := fmt.Sprintf(rapid.SampledFrom([]string{"%s", "/administrativeUnits/%s", "user.memberof -any (group.objectId -in ['%s'])", "say \"%s\"", "x%s", "%sX"}).Draw(t, "form"), id(n))
		hex := fmt.Sprintf("%08xaaaa40008000%012x", n, n)
		m := map[string]any{
			"text": s, "extension_" + hex + "_x": "v", "list": []any{string(id(n + 1)), "plain-id_x", "a.example", "xa.example"},
			"conditions": map[string]any{"users": map[string]any{"excludeUsers": []any{string(id(n)), "All"}}},
		}
		body, err := entra.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		ref := entra.Ref{Type: "conditionalAccessPolicy", ID: entra.Join(id(n), "plain-id_x")}
		o := entra.Object{Ref: ref, Body: body}
		if got, want := rename(o, ids), catalog.Rename(o, ids); got != want {
			t.Fatalf("got\n%v\nwant\n%v", got, want)
		}
	})
}
