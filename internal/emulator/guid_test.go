package emulator

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// find reverses at, and at makes version 4 GUIDs.
func TestGUIDsInvert(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	rapid.Check(t, func(t *rapid.T) {
		g := newGUIDs(rapid.Uint64().Draw(t, "seed"))
		k := kindID(rapid.IntRange(1, int(kNone)).Draw(t, "kind"))
		n := rapid.Uint64Range(0, 1<<56-1).Draw(t, "n")
		id := g.at(k, n)
		if !shape.MatchString(id) {
			t.Fatalf("%s is not a version 4 GUID", id)
		}
		if k2, n2, ok := g.find(id); !ok || k2 != k || n2 != n {
			t.Fatalf("find(%s) = %d %d %v, want %d %d", id, k2, n2, ok, k, n)
		}
		if _, _, ok := newGUIDs(g.k0).find(id); ok {
			t.Fatalf("%s belongs to another seed too", id)
		}
	})
}

// What links says of a source, sources says of the target.
func TestLinksAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := population{seed: rapid.Uint64().Draw(t, "seed"), users: rapid.Uint64Range(16, 400).Draw(t, "users"), groups: rapid.Uint64Range(fixedGroups, 60).Draw(t, "groups")}
		p.ids = newGUIDs(p.seed)
		for _, e := range []struct {
			k kindID
			r relID
		}{{kUser, rManager}, {kUser, rSponsors}, {kGroup, rMembers}, {kGroup, rOwners}} {
			forward := map[[2]string]bool{}
			for n := range p.count(e.k) {
				id := p.ids.at(e.k, n)
				b := p.links(e.k, id, e.r)
				for _, x := range b.all(p) {
					if !b.has(p, x) {
						t.Fatalf("%s lists %s and does not have it", id, x)
					}
					forward[[2]string{id, x}] = true
				}
			}
			n := 0
			for _, k := range []kindID{kUser, kGroup} {
				for m := range p.count(k) {
					x := p.ids.at(k, m)
					for _, id := range p.sources(e.r, x) {
						n++
						if !forward[[2]string{id, x}] {
							t.Fatalf("relation %d: %s is no target of %s", e.r, x, id)
						}
					}
				}
			}
			if n != len(forward) || n == 0 && e.r != rSponsors {
				t.Fatalf("relation %d: %d links forward, %d back", e.r, len(forward), n)
			}
		}
		for n := range p.users {
			if m, ok := p.userByUPN(strings.ToLower(p.upn(n))); !ok || m != n {
				t.Fatalf("user %d is not found by name %s", n, p.upn(n))
			}
		}
	})
}
