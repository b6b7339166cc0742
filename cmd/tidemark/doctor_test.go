package main

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestCovered(t *testing.T) {
	cases := []struct {
		held, need string
		want       bool
	}{
		{"User.Read.All", "User.Read.All", true},
		{"User.ReadWrite.All", "User.Read.All", true},
		{"User.Read.All", "User.ReadWrite.All", false},
		{"Directory.Read.All", "User.Read.All", true},
		{"Directory.ReadWrite.All", "Group.Read.All", true},
		{"Directory.Read.All", "AuditLog.Read.All", false},
		{"Directory.Read.All", "Policy.Read.All", false},
		{"Directory.Read.All", "Member.Read.Hidden", false},
		{"Directory.Read.All", "Directory.ReadWrite.All", false},
		{"Group.Read.All", "GroupMember.Read.All", true},
		{"GroupMember.Read.All", "Group.Read.All", false},
		{"Policy.Read.All", "Policy.Read.AuthenticationMethod", true},
		{"Policy.Read.AuthenticationMethod", "Policy.Read.All", false},
		{"RoleManagement.ReadWrite.Directory", "RoleManagement.Read.Directory", true},
		{"", "User.Read.All", false},
	}
	for _, c := range cases {
		if got := covered([]string{c.held}, c.need); got != c.want {
			t.Errorf("%q covers %q: %v, want %v", c.held, c.need, got, c.want)
		}
	}
}

// What is held is never lacking, and holding more never makes more lacking.
func TestLacking(t *testing.T) {
	doc := consent(captureSettings{})
	all := slices.Concat(doc.Capture, doc.Restore)
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOf(rapid.SampledFrom(all))
		held, more := some.Draw(t, "held"), some.Draw(t, "more")
		lack := lacking(held, all)
		for _, p := range lack {
			if slices.Contains(held, p) {
				t.Fatalf("%s is held and lacking", p)
			}
		}
		for _, p := range lacking(slices.Concat(held, more), all) {
			if !slices.Contains(lack, p) {
				t.Fatalf("holding %v in addition makes %s lacking", more, p)
			}
		}
	})
	if got := lacking(all, all); len(got) != 0 {
		t.Errorf("with everything held, lacking: %v", got)
	}
}
