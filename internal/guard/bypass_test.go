package guard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/guard"
)

// TestApprovalBypass has people try to do without the others. The plan needs one approval unless a case says otherwise, was
// asked for by anna and is carried out by anna; each signature is good unless a case says otherwise. What can be tried with
// a plan file, a key or the configuration is in cmd/tidemark.
func TestApprovalBypass(t *testing.T) {
	s := corpus(t, "harmless")["harmless-title"]
	by := func(names ...string) func(string) []guard.Approval {
		return func(digest string) (as []guard.Approval) {
			for _, name := range names {
				as = append(as, guard.Approval{Plan: digest, By: name, At: noon().Add(-time.Hour), Signature: []byte("good")})
			}
			return as
		}
	}
	aged := func(age time.Duration) func(string) []guard.Approval {
		return func(digest string) []guard.Approval {
			return []guard.Approval{{Plan: digest, By: "ben", At: noon().Add(-age), Signature: []byte("good")}}
		}
	}
	type attempt struct {
		name string
		// Of the plan, and of the configuration; at least one of the two asks for somebody.
		plan, config int
		own          []string
		approvals    func(digest string) []guard.Approval
		why          string // what the objection says of it
	}
	anna := []string{"anna"}
	attempts := []attempt{
		{"nobody approved", 1, 1, anna, by(), "has 0"},
		{"the plan asks for nobody", 0, 1, anna, by(), "needs 1"},
		{"the plan asks for fewer than nobody", -3, 1, anna, by(), "needs 1"},
		{"the plan asks for one of two", 1, 2, anna, by("ben"), "needs 2"},
		{"the configuration asks for one of the plan's two", 2, 1, anna, by("ben"), "needs 2"},
		{"the configuration asks for nobody any more", 1, 0, anna, by(), "needs 1"},
		{"her own", 1, 1, anna, by("anna"), "asked for the plan"},
		{"her own, in capitals", 1, 1, anna, by("ANNA"), "asked for the plan"},
		{"her own, in other capitals", 1, 1, []string{"AnnA"}, by("aNNa"), "asked for the plan"},
		{"her own, between spaces", 1, 1, anna, by(" anna\t"), "asked for the plan"},
		{"her own, with a space in it that is none", 1, 1, anna, by("an\u200bna"), "asked for the plan"},
		{"her own, with a space that does not break", 1, 1, anna, by("anna\u00a0"), "asked for the plan"},
		{"her own, written from the right", 1, 1, anna, by("\u202eanna"), "asked for the plan"},
		{"her own, with a Kelvin sign", 1, 1, []string{"kim"}, by("\u212aim"), "asked for the plan"},
		{"her own, with a long s", 1, 1, []string{"susan"}, by("\u017fu\u017fan"), "asked for the plan"},
		{"she is logged in to a domain", 1, 1, []string{`CONTOSO\anna`}, by("anna"), "asked for the plan"},
		{"she signed in to the tenant by address", 1, 1, []string{"root", "Anna@contoso.com"}, by("anna"), "asked for the plan"},
		{"her key has her address", 1, 1, anna, by("anna@contoso.com"), "asked for the plan"},
		{"the plan says another asked, and she carries it out", 1, 1, []string{"somebody", "anna"}, by("anna"), "carries it out"},
		{"the plan says nobody asked, and she carries it out", 1, 1, []string{"", "anna"}, by("anna"), "carries it out"},
		{"of nobody", 1, 1, anna, by(""), "has 0"},
		{"of nobody that is seen", 1, 1, anna, by("\u200b "), "has 0"},
		{"of nobody in a domain", 1, 1, anna, by(`CONTOSO\`), "has 0"},
		{"of another plan", 1, 1, anna, func(string) []guard.Approval { return by("ben")(strings.Repeat("0", 64)) }, "for another plan"},
		{"of a plan of no name", 1, 1, anna, func(string) []guard.Approval { return by("ben")("") }, "for another plan"},
		{"of a plan whose name begins so", 1, 1, anna, func(d string) []guard.Approval { return by("ben")(d[:12]) }, "for another plan"},
		{"of a plan named in capitals", 1, 1, anna, func(d string) []guard.Approval { return by("ben")(strings.ToUpper(d)) }, "for another plan"},
		{"expired to the second", 1, 1, anna, aged(4 * time.Hour), "expired"},
		{"expired long ago", 1, 1, anna, aged(300 * 24 * time.Hour), "expired"},
		{"of no time", 1, 1, anna, func(d string) []guard.Approval {
			return []guard.Approval{{Plan: d, By: "ben", Signature: []byte("good")}}
		}, "expired"},
		{"of the future, by a blink", 1, 1, anna, aged(-5*time.Minute - 1), "future"},
		{"of next year", 1, 1, anna, aged(-366 * 24 * time.Hour), "future"},
		{"for a restore that is finished", 1, 1, anna, func(d string) []guard.Approval {
			as := by("ben")(d)
			as[0].Used = true
			return as
		}, "finished"},
		{"one person for two", 2, 2, anna, by("ben", "ben"), "has 1"},
		{"one person for two, in capitals", 2, 2, anna, by("ben", "BEN"), "has 1"},
		{"one person for two, from two domains", 2, 2, anna, by(`CONTOSO\ben`, "ben@contoso.com"), "has 1"},
		{"another and herself for two", 2, 2, anna, by("ben", "anna"), "has 1"},
		{"another twice and herself for three", 3, 3, anna, by("ben", "Ben", "anna"), "has 1"},
		{"a good one and an expired one for two", 2, 2, anna, func(d string) []guard.Approval {
			return append(aged(5*time.Hour)(d), by("cat")(d)...)
		}, "has 1"},
		{"a forged one", 1, 1, anna, func(d string) []guard.Approval {
			as := by("ben")(d)
			as[0].Signature = []byte("bad")
			return as
		}, "not a known approver's"},
		{"an unsigned one", 1, 1, anna, func(d string) []guard.Approval {
			as := by("ben")(d)
			as[0].Signature = nil
			return as
		}, "not a known approver's"},
		{"a thousand that do not count", 1, 1, anna, func(d string) []guard.Approval {
			return slices.Repeat(append(aged(4*time.Hour)(d), by("anna")(d)...), 500)
		}, "has 0"},
	}
	if len(attempts) < 30 {
		t.Fatalf("%d attempts, want at least 30", len(attempts))
	}
	for i, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			p := *s.plan
			p.Limits.Approvers = a.plan
			digest, err := p.Digest()
			if err != nil {
				t.Fatal(err)
			}
			config := s.config
			config.Approvers, config.Own = a.config, a.own
			c, objections, err := guard.Clear(t.Context(), &p, s.tree(), config, a.approvals(digest), noon())
			if err != nil {
				t.Fatal(err)
			}
			if c.Plan() != nil || len(objections) != 1 || objections[0].Rule != guard.Approvals || !strings.Contains(objections[0].Reason, a.why) || objections[0].Lift != "" {
				t.Fatalf("attempt %d: cleared %v, objections %+v", i+1, c.Plan() != nil, objections)
			}
			// As many others as are needed do let it through, whatever else was tried.
			if c, objections, err = guard.Clear(t.Context(), &p, s.tree(), config, append(a.approvals(digest), by("xenia", "yusuf", "zoe")(digest)...), noon()); err != nil || c.Plan() == nil {
				t.Fatalf("with three others: %v, %+v", err, objections)
			}
		})
	}
}
