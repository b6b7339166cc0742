package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
)

// A pile is a repository of many small snapshots in a folder, without a tenant.
type pile struct{ *bench }

// pileOf makes n snapshots of a hundred groups, with all the parts that a capture has. One group changes in each.
func pileOf(b testing.TB, n int) *pile {
	b.Helper()
	ctx, s := b.Context(), new(mem.Store)
	p := &pile{bench: &bench{t: b, dir: b.TempDir()}}
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	identity, err := age.GenerateX25519Identity()
	must(err)
	signer, err := repository.GenerateSigner("test")
	must(err)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	o := repository.InitOptions{Tenant: entra.Tenant{ID: "11111111-2222-3333-4444-555555555555", Name: "test"},
		Holders: []string{identity.Recipient().String()}, Now: func() time.Time { return now }, Signer: signer}
	r, err := repository.Init(ctx, s, o)
	must(err)
	group := func(i, turn int) entra.Object {
		body, err := entra.Canonical(fmt.Appendf(nil, `{"displayName":"Group %d","description":"turn %d"}`, i, turn))
		must(err)
		return entra.Object{Ref: entra.Ref{Type: "group", ID: entra.ID(fmt.Sprintf("00000000-0000-0000-0000-%012d", i))}, Body: body}
	}
	var base snapshot.Base
	objects := map[entra.Ref]entra.Object{}
	for turn := range n {
		now = now.Add(time.Hour)
		w, err := r.Begin(ctx, base, now)
		must(err)
		touched := []int{1 + turn%98}
		if turn == 0 {
			touched = nil
			for i := range 100 {
				touched = append(touched, i)
			}
		}
		for _, i := range touched {
			o := group(i, turn)
			objects[o.Ref] = o
			must(w.Put(ctx, o))
		}
		for t := range catalog.All() {
			part := snapshot.Part{Type: t.Type, Coverage: snapshot.Complete, Read: now, Full: now, Declaration: "0123456789abcdef"}
			must(w.End(ctx, part, turn == 0))
			for _, rel := range t.Links {
				part.Relation = rel.Rel
				must(w.End(ctx, part, turn == 0))
			}
		}
		x, err := w.Commit(ctx)
		must(err)
		base = snapshot.NewMemory(x, nil, slices.Collect(maps.Values(objects)), nil)
	}
	must(spread(ctx, s, filepath.Join(p.dir, "repository")))
	must(os.WriteFile(filepath.Join(p.dir, "identity.txt"), []byte(identity.String()+"\n"), 0o600))
	p.env = append(os.Environ(), "HOME="+p.dir, "XDG_STATE_HOME="+filepath.Join(p.dir, "state"), "XDG_CACHE_HOME="+filepath.Join(p.dir, "cache"), "TIDEMARK_CONFIG=")
	return p
}

// spread writes a store's blobs into a folder.
func spread(ctx context.Context, s *mem.Store, dir string) error {
	for name, err := range s.List(ctx, "") {
		if err != nil {
			return err
		}
		f, err := s.Get(ctx, name, 0, -1)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(f)
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(err, f.Close(), os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// tidemark runs a command on the pile.
func (p *pile) tidemark(args ...string) {
	p.t.Helper()
	p.run(0, append(args, "--repository", filepath.Join(p.dir, "repository"), "--identity", filepath.Join(p.dir, "identity.txt"))...)
}

// BenchmarkManySnapshots runs whole commands on a repository of 5,000 snapshots and on one of 100, of 500 below the full size.
// None that is asked about a few of them takes twice as long for there being so many.
func BenchmarkManySnapshots(b *testing.B) {
	counts := [2]int{100, 500}
	if long() {
		counts[1] = 5000
	}
	for b.Loop() {
		var piles [2]*pile
		for i, n := range counts {
			took := measure(func() { piles[i] = pileOf(b, n) })
			b.Logf("%d snapshots: %.1f s, read for the first time in %.1f s", n, took.Seconds(), measure(func() { piles[i].tidemark("snapshots") }).Seconds())
		}
		for _, x := range []struct {
			name string
			most float64 // times that it takes with few
			args []string
		}{
			{"snapshots", 2, []string{"snapshots"}},
			{"diff", 2, []string{"diff", "latest~1"}},
			{"history", 2, []string{"history", "group:Group 0"}},
			{"find", 2, []string{"find", "Group 7"}},
			{"all", 0, []string{"snapshots", "-o", "json"}},
		} {
			var times, used [2][]float64
			for range 21 {
				for i, p := range piles {
					times[i] = append(times[i], 1e3*measure(func() { p.tidemark(x.args...) }).Seconds())
					used[i] = append(used[i], 1e3*p.cpu.Seconds())
				}
			}
			middle := func(all []float64) float64 {
				slices.Sort(all)
				return all[len(all)/2]
			}
			ratio := middle(times[1]) / middle(times[0])
			b.Logf("%s: %.0f ms with %d snapshots, %.0f ms with %d, %.2f times; of the processors %.0f and %.0f ms", x.name,
				middle(times[0]), counts[0], middle(times[1]), counts[1], ratio, middle(used[0]), middle(used[1]))
			b.ReportMetric(ratio, "x-"+x.name)
			if x.most > 0 && ratio > x.most {
				b.Errorf("%s takes %.2f times as long with %d snapshots as with %d, want at most %.1f", x.name, ratio, counts[1], counts[0], x.most)
			}
		}
	}
}
