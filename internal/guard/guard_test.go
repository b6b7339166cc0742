package guard_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// TestMoreApprovals is the law that more approvals never add an objection, whatever they are.
func TestMoreApprovals(t *testing.T) {
	all := corpus(t, "harm")
	maps.Copy(all, corpus(t, "harmless"))
	names := slices.Sorted(maps.Keys(all))
	if len(names) == 0 {
		t.Fatal("the corpus is empty")
	}
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		s := all[rapid.SampledFrom(names).Draw(t, "case")]
		p := *s.plan
		p.Limits.Approvers = rapid.IntRange(0, 3).Draw(t, "approvers")
		digest, err := p.Digest()
		if err != nil {
			t.Fatal(err)
		}
		approval := rapid.Custom(func(t *rapid.T) guard.Approval {
			return guard.Approval{
				Plan:      rapid.SampledFrom([]string{digest, "other"}).Draw(t, "plan"),
				By:        rapid.SampledFrom([]string{"ann", "Ann", "ben", "cat", "zoe", ""}).Draw(t, "by"),
				At:        noon().Add(time.Duration(rapid.IntRange(-300, 60).Draw(t, "minutes")) * time.Minute),
				Signature: []byte(rapid.SampledFrom([]string{"good", "bad"}).Draw(t, "signature")),
			}
		})
		some := rapid.SliceOfN(approval, 0, 5).Draw(t, "some")
		more := append(slices.Clone(some), rapid.SliceOfN(approval, 0, 5).Draw(t, "more")...)
		rules := func(as []guard.Approval) map[string]bool {
			_, objections, err := guard.Clear(ctx, &p, s.tree(), s.config, as, noon())
			if err != nil {
				t.Fatal(err)
			}
			set := map[string]bool{}
			for _, o := range objections {
				key := line(o)
				if o.Rule == guard.Approvals {
					key = string(o.Rule) // its reason counts
				}
				set[key] = true
			}
			return set
		}
		few, many := rules(some), rules(more)
		for o := range many {
			if !few[o] {
				t.Fatalf("more approvals added: %s", o)
			}
		}
	})
}

// TestApprovalBoundaries holds the times at which an approval begins and ends to count.
func TestApprovalBoundaries(t *testing.T) {
	s := corpus(t, "harmless")["harmless-title"]
	p := *s.plan
	p.Limits.Approvers = 1
	digest, err := p.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for age, cleared := range map[time.Duration]bool{
		-5*time.Minute - 1: false, -5 * time.Minute: true, 0: true, 4*time.Hour - 1: true, 4 * time.Hour: false,
	} {
		a := guard.Approval{Plan: digest, By: "ann", At: noon().Add(-age), Signature: []byte("good")}
		c, _, err := guard.Clear(t.Context(), &p, s.tree(), s.config, []guard.Approval{a}, noon())
		if err != nil {
			t.Fatal(err)
		}
		if (c.Plan() != nil) != cleared {
			t.Errorf("approved %v ago: cleared %v, want %v", age, !cleared, cleared)
		}
	}
}

// TestLiftsLift holds that the flags which objections print lift them, and nothing else.
func TestLiftsLift(t *testing.T) {
	tried := 0
	for name, s := range corpus(t, "harm") {
		_, before, err := guard.Clear(t.Context(), s.plan, s.tree(), s.config, s.approvals, noon())
		if err != nil {
			t.Fatal(err)
		}
		p := *s.plan
		var want []string
		for _, o := range before {
			var n int
			var what string
			if o.Lift == "" {
				want = append(want, line(o))
				continue
			}
			tried++
			if _, err := fmt.Sscanf(strings.Replace(o.Lift, "=", " ", 1), "--allow %s %d", &what, &n); err != nil {
				t.Fatalf("%s: flag %q: %v", name, o.Lift, err)
			}
			switch what {
			case "objects":
				p.Limits.Objects = n
			case "links":
				p.Limits.Links = n
			case "deletions":
				p.Limits.Deletions = n
			case "privileged":
				p.Limits.Privileged = n
			case "suspect":
				p.Limits.Suspect = n
			default:
				t.Fatalf("%s: flag %q", name, o.Lift)
			}
		}
		_, after, err := guard.Clear(t.Context(), &p, s.tree(), s.config, s.approvals, noon())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range after {
			if o.Lift != "" {
				t.Errorf("%s: not lifted: %s", name, line(o))
			}
			if o.Lift == "" {
				got = append(got, line(o))
			}
		}
		// The digest is another with other limits, so approvals of the old plan no longer count.
		if p.Limits == s.plan.Limits && !slices.Equal(got, want) {
			t.Errorf("%s: objections %q, want %q", name, got, want)
		}
	}
	if tried == 0 {
		t.Fatal("no objection of the corpus can be lifted")
	}
}

func TestRefused(t *testing.T) {
	s := corpus(t, "harmless")["harmless-title"]
	if _, _, err := guard.Clear(t.Context(), nil, s.tree(), s.config, nil, noon()); err == nil {
		t.Error("no plan is cleared")
	}
	other := *s.plan
	other.Tenant = "fabrikam"
	if c, _, err := guard.Clear(t.Context(), &other, s.tree(), s.config, nil, noon()); err == nil || c.Plan() != nil {
		t.Error("a plan for another tenant is judged")
	}
	lost := *s.plan
	lost.Steps = []plan.Step{{Number: 1, Action: plan.Update, Ref: s.plan.Steps[0].Ref, Set: map[string]any{"x": errors.New("no value")}}}
	if c, _, err := guard.Clear(t.Context(), &lost, s.tree(), s.config, nil, noon()); err == nil || c.Plan() != nil {
		t.Error("a plan that cannot be simulated is cleared")
	}
	if (guard.Cleared{}).Plan() != nil {
		t.Error("the zero Cleared holds a plan")
	}
}

func TestEmptyPlan(t *testing.T) {
	s := corpus(t, "harm")["harm-approval-none"]
	p := *s.plan
	p.Steps = nil
	c, objections, err := guard.Clear(t.Context(), &p, s.tree(), s.config, nil, noon())
	if err != nil || len(objections) > 0 || c.Plan() != &p {
		t.Errorf("a plan of no steps: %v, %v", objections, err)
	}
}

// What the service takes from people only is no plan for an application, whatever it is permitted; a person is judged by
// what they are permitted, as any writer.
func TestWhatPeopleOnlyMayWrite(t *testing.T) {
	var people *catalog.Resource
	for r := range catalog.All() {
		if r.People && r.Can != 0 {
			people = r
		}
	}
	s := corpus(t, "harmless")["harmless-title"]
	s.plan.Steps = []plan.Step{{Number: 1, Action: plan.Create, Ref: entra.Ref{Type: people.Type, ID: "x"}, Set: map[string]any{}}}
	for _, tt := range []struct {
		writer guard.Writer
		want   int
	}{
		{guard.Writer{Permissions: people.Write}, 1},
		{guard.Writer{Ref: entra.Ref{Type: catalog.ServicePrincipalType, ID: "a"}, Permissions: people.Write}, 1},
		{guard.Writer{Ref: entra.Ref{Type: catalog.UserType, ID: "a"}, Permissions: people.Write}, 0},
		{guard.Writer{Ref: entra.Ref{Type: catalog.UserType, ID: "a"}, Permissions: []string{"User.Read"}}, len(people.Write)},
		{guard.Writer{}, 0}, // nothing is known of who writes
	} {
		s.config.Writer = tt.writer
		_, objections, err := guard.Clear(t.Context(), s.plan, s.tree(), s.config, nil, noon())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, o := range objections {
			if o.Rule == guard.Permission {
				n++
			}
		}
		if n != tt.want {
			t.Errorf("%+v: %d objections of permissions, want %d: %v", tt.writer, n, tt.want, objections)
		}
	}
}

// TestNotMadeWorse holds that a step which decides nothing draws no objection, whatever state the tenant is in.
func TestNotMadeWorse(t *testing.T) {
	all := corpus(t, "harm")
	title := corpus(t, "harmless")["harmless-title"].plan
	if len(all) == 0 {
		t.Fatal("the corpus is empty")
	}
	for name, s := range all {
		s.config.Writer.Permissions, s.config.Doubts = nil, nil // of another plan
		_, objections, err := guard.Clear(t.Context(), title, s.tree(), s.config, nil, noon())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objections {
			t.Errorf("%s: %s", name, line(o))
		}
	}
}
