package entra_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// TestIDs holds that an IDs is a slice and a map of the same IDs, whatever they look like.
func TestIDs(t *testing.T) {
	// "6e6f2047-5549-4400-…" has the bytes that mark what is no GUID.
	near := rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|6e6f2047-5549-4400-[0-9a-f]{4}-00000000000[0-9]|[0-9A-Fg-]{36}|.{0,40}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{10}-[0-9a-f]`)
	rapid.Check(t, func(t *rapid.T) {
		var s entra.IDs
		if _, ok := s.Find("x"); ok {
			t.Fatal("an empty set has x")
		}
		var want []entra.ID
		at := map[entra.ID]uint32{}
		pool := rapid.SliceOfN(near, 1, 60).Draw(t, "pool")
		for _, text := range rapid.SliceOf(rapid.SampledFrom(pool)).Draw(t, "added") {
			id := entra.ID(text)
			n, ok := s.Find(id)
			if w, there := at[id]; ok != there || ok && n != w {
				t.Fatalf("Find(%q) = %d, %v; want %d, %v", id, n, ok, w, there)
			} else if !there {
				at[id] = uint32(len(want))
				want = append(want, id)
			}
			if n := s.Add(id); n != at[id] {
				t.Fatalf("Add(%q) = %d, want %d", id, n, at[id])
			}
		}
		if s.Len() != len(want) || !slices.Equal(slices.Collect(s.All()), want) {
			t.Fatalf("All() = %q, want %q", slices.Collect(s.All()), want)
		}
		for m := range want {
			for n := range want {
				if got := s.Compare(uint32(m), uint32(n)); got != strings.Compare(string(want[m]), string(want[n])) {
					t.Fatalf("Compare(%q, %q) = %d", want[m], want[n], got)
				}
			}
		}
	})
}

// Many GUIDs, so that the set grows often.
func TestManyIDs(t *testing.T) {
	var s entra.IDs
	id := func(i int) entra.ID {
		return entra.ID(fmt.Sprintf("%08x-0000-4000-8000-%012x", i*2654435761&0xffffffff, i))
	}
	const n = 20000
	for i := range n {
		if got := s.Add(id(i)); got != uint32(i) {
			t.Fatalf("Add(%d) = %d", i, got)
		}
	}
	for i := range n {
		if got, ok := s.Find(id(i)); !ok || got != uint32(i) || s.At(got) != id(i) {
			t.Fatalf("Find(%d) = %d, %v", i, got, ok)
		}
	}
	if _, ok := s.Find(id(n)); ok {
		t.Error("has what was not added")
	}
}
