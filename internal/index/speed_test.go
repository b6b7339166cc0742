package index_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// BenchmarkFill fills an index from a first snapshot: for each ten objects a hub with fifty links to any of them. IDs
// come in no order, as the service's do. Time per object should not grow with their number.
func BenchmarkFill(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, b.Context())
			defer w.x.Close()
			w.many(n)
			for b.Loop() {
				x := w.open(filepath.Join(b.TempDir(), "index.db"))
				w.must(x.Update(w.ctx, w.r))
				w.must(x.Close())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/object")
		})
	}
}

// many commits a first snapshot of n objects, n/10 hubs and 5n links, and does not update the index.
func (w *world) many(n int) {
	r := rand.New(rand.NewPCG(1, 2))
	id := func() entra.ID { return entra.ID(fmt.Sprintf("%016x-%016x", r.Uint64(), r.Uint64())) }
	began := w.now
	w.now = w.now.Add(time.Minute)
	c, err := w.r.Begin(w.ctx, nil, began)
	w.must(err)
	apples := make([]entra.Ref, n)
	for i := range apples {
		apples[i] = ref("apple", id())
		w.must(c.Put(w.ctx, object(apples[i], fmt.Sprintf("Apple %d", i), fmt.Sprintf("apple%d@contoso.example", i))))
	}
	for i := range n / 10 {
		hub := ref("pear", id())
		w.must(c.Put(w.ctx, object(hub, fmt.Sprintf("Hub %d", i), "")))
		for range 50 {
			w.must(c.Link(w.ctx, entra.Link{From: hub, Rel: "near", To: apples[r.IntN(n)]}))
		}
	}
	for _, t := range types {
		for _, rel := range []string{"", "near"} {
			w.must(c.End(w.ctx, snapshot.Part{Type: t, Relation: rel, Coverage: snapshot.Complete, Read: began}, true))
		}
	}
	_, err = c.Commit(w.ctx)
	w.must(err)
}
