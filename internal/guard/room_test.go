package guard_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// TestRoom holds that a plan is objected to exactly where it makes more than there is room for, of what counts, and that what was not
// read is no number.
func TestRoom(t *testing.T) {
	s := corpus(t, "harmless")["harmless-title"]
	rapid.Check(t, func(t *rapid.T) {
		makes, total, used := rapid.IntRange(0, 4).Draw(t, "makes"), rapid.IntRange(0, 9).Draw(t, "total"), rapid.IntRange(0, 9).Draw(t, "used")
		p := *s.plan
		p.Steps = slices.Clone(p.Steps)
		others := rapid.IntRange(0, 3).Draw(t, "others")
		p.Limits.Objects += makes + others
		for i := range makes {
			p.Steps = append(p.Steps, plan.Step{Number: len(p.Steps) + 1, Action: plan.Create, Ref: entra.Ref{Type: "group", ID: entra.ID(strings.Repeat("n", i+1))},
				Set: map[string]any{"displayName": "N", "mailNickname": "n", "mailEnabled": false, "securityEnabled": true}})
		}
		for i := range others {
			p.Steps = append(p.Steps, plan.Step{Number: len(p.Steps) + 1, Action: plan.Create, Ref: entra.Ref{Type: "namedLocation", ID: entra.ID(strings.Repeat("l", i+1))},
				Set: map[string]any{"@odata.type": "#microsoft.graph.countryNamedLocation", "displayName": "L", "countriesAndRegions": []any{"NL"}}})
		}
		c := s.config
		for _, room := range []*guard.Room{nil, {Used: used, Total: total}} {
			c.Room = room
			_, all, err := guard.Clear(t.Context(), &p, s.tree(), c, s.approvals, noon())
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(all, func(o guard.Objection) bool { return o.Rule == guard.Quota })
			if got, want := i >= 0, room != nil && makes > max(total-used, 0); got != want {
				t.Fatalf("makes %d, %v: objected %v, want %v", makes, room, got, want)
			}
			if i >= 0 && (len(all[i].Steps) != makes || all[i].Lift != "") {
				t.Fatalf("got %+v", all[i])
			}
		}
	})
}
