package index_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// TestRankIsInOrder: of two IDs the greater never has the lesser rank, and GUIDs that begin with other digits never the same.
func TestRankIsInOrder(t *testing.T) {
	ids := rapid.OneOf(rapid.StringMatching(`[0-9a-f]{4,8}(-[0-9a-f]{4})?`), rapid.StringMatching(`[ /0-9:@A-G`+"`"+`a-h~é]{0,7}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		a, b := ids.Draw(t, "a"), ids.Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b = a[:min(len(a), rapid.IntRange(0, 6).Draw(t, "same"))] + b
		}
		if a > b {
			a, b = b, a
		}
		x, y := index.Rank(entra.ID(a)), index.Rank(entra.ID(b))
		if x > y || x < 0 || y >= 1<<index.RankBits {
			t.Fatalf("%q has rank %d, %q has %d", a, x, b, y)
		}
	})
	seen := map[int64]bool{}
	for i := range 1 << 20 {
		seen[index.Rank(entra.ID(fmt.Sprintf("%05x000-0000-4000-8000-000000000000", i)))] = true
	}
	if len(seen) != 1<<20 {
		t.Errorf("GUIDs have %d ranks", len(seen))
	}
}

// TestPositions: a position comes back as it was, and half of one is refused.
func TestPositions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(bits int) int64 { return rapid.Int64Range(0, 1<<bits-1).Draw(t, "number") }
		p := repository.Position{Record: number(40), Blob: int(number(20)), Frame: number(40), Size: int32(number(31)), Off: int32(number(31)), Len: int32(number(31))}
		packed := index.Pack(p)
		got, err := index.Unpack(packed)
		if err != nil || got != p {
			t.Fatalf("%+v came back as %+v, %v", p, got, err)
		}
		if _, err := index.Unpack(packed[:rapid.IntRange(0, len(packed)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("half a position is one")
		}
	})
}

// TestCrowd holds that the links of an object with many are those that were captured, in their order, at any time, and from any
// of them on: of several types, with IDs that begin alike, to itself, and from objects before and after it.
func TestCrowd(t *testing.T) {
	w := newWorld(t, t.Context())
	defer w.x.Close()
	r := rand.New(rand.NewPCG(5, 5))
	guid := func() entra.ID { return entra.ID(fmt.Sprintf("%08x-%04x", r.Uint32(), r.IntN(1<<16))) }
	hub := ref("pear", "77777777-0000")
	objects := []entra.Object{object(hub, "Hub", "")}
	var ends, starts []entra.Ref
	for range 700 {
		a := ref("apple", guid())
		objects = append(objects, object(a, "Apple", ""))
		ends, starts = append(ends, a), append(starts, a)
	}
	for range 300 {
		p := ref("pear", guid())
		objects = append(objects, object(p, "Pear", ""))
		ends, starts = append(ends, p), append(starts, p)
	}
	for i := range index.Chunk + index.Few {
		ends = append(ends, ref("stone", entra.ID(fmt.Sprintf("quarry/%d", i)))) // all of one rank
	}
	for i := range index.Few { // and pairs
		ends = append(ends, ref("stone", entra.ID(fmt.Sprintf("%05x-%d", i/2, i%2))))
	}
	ends = append(ends, hub)
	for share := range 4 { // of each of them another part
		var links []entra.Link
		for i, to := range ends {
			if i%4 != share {
				links = append(links, entra.Link{From: hub, Rel: "near", To: to})
			}
		}
		for i, from := range starts {
			if i%5 == share {
				links = append(links, entra.Link{From: from, Rel: "near", To: hub})
			}
		}
		w.capture(objects, links)
	}
	holds := map[int64][]entra.Link{} // of each snapshot, by the spans
	spans := collect(t, w.x.LinkSpans(w.ctx, hub))
	if !slices.IsSortedFunc(spans, func(a, b index.LinkSpan) int {
		if c := a.Link.Compare(b.Link); c != 0 {
			return c
		}
		return int(a.First - b.First)
	}) {
		t.Error("spans are in no order")
	}
	for _, s := range spans {
		for _, n := range w.all {
			if n >= s.First && (s.Last == 0 || n <= s.Last) {
				holds[n] = append(holds[n], s.Link)
			}
		}
	}
	for _, n := range w.all {
		want := w.trees[n]
		tree, err := w.x.Tree(w.ctx, w.r, n)
		w.must(err)
		around := collect(t, want.Around(w.ctx, hub))
		if len(around) < 3*index.Few {
			t.Fatalf("%d links make no crowd", len(around))
		}
		if d := cmp.Diff(around, collect(t, tree.Around(w.ctx, hub))); d != "" {
			t.Errorf("around in %d: %s", n, d)
		}
		if d := cmp.Diff(around, holds[n]); d != "" {
			t.Errorf("spans in %d: %s", n, d)
		}
		if d := cmp.Diff(collect(t, want.Links(w.ctx, "pear", "near")), collect(t, tree.Links(w.ctx, "pear", "near"))); d != "" {
			t.Errorf("links in %d: %s", n, d)
		}
		for _, l := range []entra.Link{around[0], around[len(around)-1], {From: hub, Rel: "near", To: ends[0]}, {From: hub, Rel: "near", To: ref("stone", "quarry/x")}} {
			is, err := tree.Has(w.ctx, l)
			w.must(err)
			if want := slices.Contains(around, l); is != want {
				t.Errorf("%v in %d: %v, want %v", l, n, is, want)
			}
		}
		for _, first := range []int{1, 100, index.Few, index.Few + 1, len(around) - 1} {
			if got := take(t, tree.Around(w.ctx, hub), first); !slices.Equal(got, around[:first]) {
				t.Errorf("the first %d in %d are others", first, n)
			}
		}
	}
}

func take[T any](t testing.TB, seq iter.Seq2[T, error], n int) (all []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, v); len(all) == n {
			break
		}
	}
	return all
}

// TestTreesShareSnapshots holds that a snapshot that many trees were asked for is decoded once, and is still its own after
// others were asked for.
func TestTreesShareSnapshots(t *testing.T) {
	w, _, _ := garden(t)
	seen := map[int64]*snapshot.Snapshot{}
	for range 2 {
		for _, n := range w.all {
			tree, err := w.x.Tree(w.ctx, w.r, n)
			w.must(err)
			s := tree.Snapshot()
			if s.Number != n {
				t.Errorf("tree %d has snapshot %d", n, s.Number)
			}
			if seen[n] != nil && seen[n] != s {
				t.Errorf("snapshot %d was decoded twice", n)
			}
			seen[n] = s
		}
	}
	if _, err := w.x.Tree(w.ctx, w.r, 1<<20); err == nil || !strings.Contains(err.Error(), "snapshot") {
		t.Errorf("a snapshot that is not there: %v", err)
	}
}
