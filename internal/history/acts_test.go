package history

import (
	"slices"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

var (
	script = catalog.Actor{ID: "sp1", Name: "HR import", Kind: "app"}
	anna   = catalog.Actor{ID: "u9", Name: "anna@contoso.example", Kind: "user"}
)

func ledger(acts ...catalog.Act) *Acts {
	a := &Acts{on: map[entra.ID][]catalog.Act{}, actors: map[catalog.Actor]bool{}}
	for i, act := range acts {
		act.At = time.Date(2026, 3, 4, 5, i, 0, 0, time.UTC)
		a.actors[act.Actor] = true
		for _, r := range act.On {
			a.on[r.ID] = append(a.on[r.ID], act)
		}
	}
	return a
}

func user(id entra.ID) entra.Ref { return entra.Ref{Type: "User", ID: id} } // the log's own word for the type

// The log names objects, and sometimes properties: what it leaves open counts as the actor's, what it says is
// another's does not.
func TestAChangeIsWhoseTheLogSaysItIs(t *testing.T) {
	changed := diff.Change{Kind: diff.Changed, Ref: entra.Ref{Type: "user", ID: "u1"}, Fields: []diff.Field{{Path: "city"}, {Path: "department"}, {Path: "jobTitle"}}}
	member := diff.Change{Kind: diff.Unlinked, Ref: entra.Ref{Type: "group", ID: "g1"}, Link: entra.Link{From: entra.Ref{Type: "group", ID: "g1"}, Rel: "members", To: entra.Ref{Type: "user", ID: "u1"}}}
	held := entra.Object{Ref: entra.Ref{Type: "unifiedRoleAssignment", ID: "a1"}, Body: `{"directoryScopeId":"/","principalId":"00000000-0000-4000-8000-0000000000a1","roleDefinitionId":"00000000-0000-4000-8000-0000000000b1"}`}
	given := diff.Change{Kind: diff.Added, Ref: held.Ref, After: &held}
	cases := []struct {
		name   string
		acts   []catalog.Act
		change diff.Change
		fields []string // nil: not the script's; empty: the whole change
	}{
		{"nobody", nil, changed, nil},
		{"another only", []catalog.Act{{Actor: anna, On: []entra.Ref{user("u1")}}}, changed, nil},
		{"the script alone", []catalog.Act{{Actor: script, On: []entra.Ref{user("u1")}}}, changed, []string{"city", "department", "jobTitle"}},
		{"both, and the log says nothing", []catalog.Act{{Actor: script, On: []entra.Ref{user("u1")}}, {Actor: anna, On: []entra.Ref{user("u1")}}}, changed, []string{"city", "department", "jobTitle"}},
		{"both, and the log says which", []catalog.Act{{Actor: script, On: []entra.Ref{user("u1")}, Changed: []string{"department"}}, {Actor: anna, On: []entra.Ref{user("u1")}, Changed: []string{"jobtitle"}}}, changed, []string{"city", "department"}},
		{"the other did all of it", []catalog.Act{{Actor: script, On: []entra.Ref{user("u1")}, Changed: []string{"mail"}}, {Actor: anna, On: []entra.Ref{user("u1")}, Changed: []string{"city", "department", "jobtitle"}}}, changed, nil},
		{"a link by its two ends", []catalog.Act{{Actor: anna, On: []entra.Ref{user("u1")}}, {Actor: script, On: []entra.Ref{user("u1"), {Type: "Group", ID: "g1"}}}}, member, []string{}},
		{"a link that another undid", []catalog.Act{{Actor: script, On: []entra.Ref{user("u1")}}, {Actor: anna, On: []entra.Ref{user("u1"), {Type: "Group", ID: "g1"}}}}, member, nil},
		{"a link by its far end", []catalog.Act{{Actor: script, On: []entra.Ref{user("u1")}}}, member, []string{}},
		{"an assignment by what it joins", []catalog.Act{{Actor: script, On: []entra.Ref{user("00000000-0000-4000-8000-0000000000a1"), {Type: "Role", ID: "00000000-0000-4000-8000-0000000000b1"}}}}, given, []string{}},
		{"an assignment of another role", []catalog.Act{{Actor: script, On: []entra.Ref{user("00000000-0000-4000-8000-0000000000a1")}}}, given, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := ledger(c.acts...).By(c.change, []catalog.Actor{script})
			if ok != (c.fields != nil) {
				t.Fatalf("the script's: %v", ok)
			}
			var paths []string
			for _, f := range got.Fields {
				paths = append(paths, f.Path)
			}
			if ok && !slices.Equal(paths, c.fields) {
				t.Errorf("fields %q, want %q", paths, c.fields)
			}
			if len(c.change.Fields) != 0 && len(changed.Fields) != 3 {
				t.Error("the change itself was narrowed")
			}
		})
	}
}
