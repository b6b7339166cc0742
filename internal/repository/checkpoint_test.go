package repository_test

import (
	"fmt"
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
