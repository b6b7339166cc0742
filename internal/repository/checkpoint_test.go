package repository_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
)

// A checkpoint is due after a thousand snapshots, however small; and where much was written, when that is half of the
// whole, or after thirty days.
func TestDue(t *testing.T) {
	due := func(t *testing.T, snapshots, bytes int, apart time.Duration) (due bool) {
		t.Helper()
		k, at := newKeys(t), start
		s := new(mem.Store)
		create(t, s, k)
		o := k.options()
		o.Now = func() time.Time { return at }
		r, err := repository.Open(t.Context(), s, o)
		must(t, err)
		now := newState()
		var last *snapshot.Snapshot
		for n := range snapshots + 1 {
			var parent snapshot.Base
			if last != nil {
				parent = now.tree(last)
			}
			w, err := r.Begin(t.Context(), parent, at)
			must(t, err)
			size := bytes
			if n == 0 {
				size = 8 << 20
			}
			b := object(t, ref("user", "1"), fmt.Sprintf(`{"n":%d,"x":%q}`, n, noise(n, size)))
			now.objects[b.Ref] = b.Body
			must(t, w.Put(t.Context(), b))
			must(t, w.End(t.Context(), snapshot.Part{Type: "user", Coverage: snapshot.Complete}, true))
			last, err = w.Commit(t.Context())
			must(t, err)
			at = at.Add(apart)
		}
		number, err := r.Due(t.Context())
		must(t, err)
		if number != 0 && number != last.Number {
			t.Errorf("snapshot %d is due, the newest is %d", number, last.Number)
		}
		return number != 0
	}
	for _, tt := range []struct {
		name             string
		snapshots, bytes int
		apart            time.Duration
		want             bool
	}{
		{"few and small", 5, 100, time.Hour, false},
		{"small for a long time", 5, 100, 1000 * time.Hour, false},
		{"a thousand", 1000, 10, time.Second, true},
		{"a quarter of the whole", 2, 1 << 20, time.Hour, false},
		{"a quarter of the whole in a long time", 2, 1 << 20, 1000 * time.Hour, true},
		{"more than half of the whole", 6, 1 << 20, time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := due(t, tt.snapshots, tt.bytes, tt.apart); got != tt.want {
				t.Errorf("due: %v", got)
			}
		})
	}
}

// Law: whatever is appended by whatever clock, nothing that was there counts as older for it; and a clock that is wrong for a
// while makes nothing of what was written before or after older than it is.
func TestNothingGrowsOld(t *testing.T) {
	rounds := 5
	if long() {
		rounds = 50
	}
	random := rand.New(rand.NewPCG(7, 8))
	for round := range rounds {
		k, at := newKeys(t), start
		s := new(mem.Store)
		create(t, s, k)
		o := k.options()
		skew := time.Duration(0)
		o.Now = func() time.Time { return at.Add(skew) }
		r, err := repository.Open(t.Context(), s, o)
		must(t, err)
		now := newState()
		var last *snapshot.Snapshot
		real := map[int64]time.Time{}
		capture := func() {
			var parent snapshot.Base
			if last != nil {
				parent = now.tree(last)
			}
			w, err := r.Begin(t.Context(), parent, at)
			must(t, err)
			must(t, w.End(t.Context(), snapshot.Part{Type: "user", Coverage: snapshot.Complete}, true))
			last, err = w.Commit(t.Context())
			must(t, err)
			real[last.Number] = at
			at = at.Add(24 * time.Hour)
		}
		numbers := func(before time.Time) (all []int64) {
			older, err := r.Older(t.Context(), before)
			must(t, err)
			for _, rec := range older {
				all = append(all, rec.Number)
			}
			return all
		}
		for range 12 {
			capture()
		}
		honest := last.Number
		before := at.Add(-5 * 24 * time.Hour)
		was := numbers(before)
		if len(was) != 8 {
			t.Fatalf("%d of 12 snapshots are older", len(was))
		}
		// Whoever has the machine writes with a clock that is years ahead or behind, as often as they like.
		for range 1 + random.IntN(6) {
			skew = time.Duration(random.IntN(8000)-4000) * 24 * time.Hour
			capture()
		}
		for _, n := range numbers(before) {
			if n <= honest && !slices.Contains(was, n) {
				t.Errorf("round %d: snapshot %d counts as older since something was appended", round, n)
			}
			if n > honest {
				t.Errorf("round %d: snapshot %d of %s counts as older than %s, by a clock that is %s off", round, n, real[n], before, skew)
			}
		}
		if got := numbers(before); len(got) < len(was) {
			t.Errorf("round %d: %d of %d count as older", round, len(got), len(was))
		}
	}
	t.Logf("%d rounds", rounds)
}

// noise is text that compresses to about half.
func noise(seed, size int) string {
	var b strings.Builder
	x := uint64(seed)*2654435761 + 88172645463325252
	for b.Len() < size {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		fmt.Fprintf(&b, "%016x", x)
	}
	return b.String()[:size]
}
