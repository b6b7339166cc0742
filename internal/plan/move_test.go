package plan_test

import (
	"slices"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// What another tenant had is called by this tenant's names, where a name stands by itself, and by nothing else.
func TestAMovedTreeSpeaksOfTheOtherTenant(t *testing.T) {
	from, to := entra.TenantID("00000000-0000-4000-8000-00000000000a"), entra.TenantID("00000000-0000-4000-8000-00000000000b")
	m := plan.Move{From: from, To: to, Domains: map[string]string{"Old.example": "new.example", "mail.old.example": "post.example"}}
	tree := func(objects ...entra.Object) snapshot.Tree {
		s := &snapshot.Snapshot{Tenant: from, Parts: []snapshot.Part{{Type: "user", Coverage: snapshot.Complete, Holes: []entra.Ref{{Type: "domain", ID: "old.example"}}}}}
		ids := func(o entra.Object) []entra.ID { return []entra.ID{"old.example"} }
		moved, err := m.Move(snapshot.NewMemory(s, ids, objects, []entra.Link{{From: entra.Ref{Type: "domain", ID: "zzz"}, Rel: "x", To: entra.Ref{Type: "domain", ID: "old.example"}}}))
		if err != nil {
			t.Fatal(err)
		}
		return moved
	}
	for was, want := range map[string]string{
		"anna@old.example":              "anna@new.example",
		"ANNA@OLD.EXAMPLE":              "ANNA@new.example",
		"anna@mail.old.example":         "anna@post.example",
		"https://old.example/login?x=1": "https://new.example/login?x=1",
		"It was at old.example.":        "It was at new.example.",
		"anna@sub.old.example":          "anna@sub.old.example",
		"anna@cold.example":             "anna@cold.example",
		"anna@old.example.org":          "anna@old.example.org",
		"old.example, old.example":      "new.example, new.example",
		"/" + string(from) + "/":        "/" + string(to) + "/",
		string(from) + "_sku":           string(to) + "_sku",
		"first line\nold.example":       "first line\nnew.example",
		"path\\nold.example":            "path\\nold.example", // a backslash and an n
		"\told.example \\told.example":  "\tnew.example \\told.example",
	} {
		body, err := entra.Encode(map[string]any{"a": was})
		if err != nil {
			t.Fatal(err)
		}
		r := entra.Ref{Type: "user", ID: "1"}
		o, err := tree(entra.Object{Ref: r, Body: body}).Object(t.Context(), r)
		if got := o.Body.Decode()["a"]; err != nil || got != want {
			t.Errorf("%q became %q, want %q; %v", was, got, want, err)
		}
	}
	// IDs that change have another place in the order, and are found by the new name.
	var all []entra.Object
	for _, id := range []entra.ID{"m.example", "old.example", "zzz"} {
		all = append(all, entra.Object{Ref: entra.Ref{Type: "domain", ID: id}, Body: `{}`})
	}
	moved := tree(all...)
	var ids []entra.ID
	for e, err := range moved.Entries(t.Context(), "domain") {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.Ref.ID)
	}
	renamed := entra.Ref{Type: "domain", ID: "new.example"}
	if want := []entra.ID{"m.example", "new.example", "zzz"}; !slices.Equal(ids, want) {
		t.Errorf("%q, want %q", ids, want)
	}
	if o, err := moved.Object(t.Context(), renamed); err != nil || o.Ref != renamed {
		t.Errorf("%+v, %v", o, err)
	}
	links, holders := 0, 0
	for l, err := range moved.Around(t.Context(), renamed) {
		if links++; err != nil || l.To != renamed {
			t.Errorf("%+v, %v", l, err)
		}
	}
	for _, err := range moved.Holders(t.Context(), "new.example") {
		if holders++; err != nil {
			t.Error(err)
		}
	}
	s := moved.Snapshot()
	if links != 1 || holders != len(all) || s.Tenant != to || s.Parts[0].Holes[0] != renamed {
		t.Errorf("%d links, %d holders, %+v", links, holders, s)
	}
	m.Domains = map[string]string{"a.example": "c.example", "b.example": "c.example"}
	if _, err := m.Move(moved); err == nil {
		t.Error("two domains become one")
	}
}
