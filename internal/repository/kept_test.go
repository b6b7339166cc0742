package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
)

// counted is a store that counts what is read of the log.
type counted struct {
	store.Store
	mu    *sync.Mutex
	notes map[string]int
}

func count(s store.Store) counted { return counted{s, new(sync.Mutex), map[string]int{}} }

func (c counted) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(name, "log/") {
		c.notes[name]++
	}
	return c.Store.Get(ctx, name, off, n)
}

// all returns the records of a repository.
func all(t *testing.T, r *repository.Repository) (records []repository.Record) {
	t.Helper()
	for rec, err := range r.Records(t.Context(), 0) {
		must(t, err)
		records = append(records, rec)
	}
	return records
}

// A keeper has read a repository, and keeps what it knows of it.
func keeper(t *testing.T, s store.Store, k keys) repository.Options {
	t.Helper()
	r := reopen(t, s, k)
	o := k.options()
	o.Seen, o.Kept = r.Head(), r.Kept()
	return o
}

// Law: what is opened with what was kept, of any age, is what is opened without.
func TestKeptIsWhatIsRead(t *testing.T) {
	s, k, late := new(mem.Store), newKeys(t), newKeys(t)
	r := create(t, s, k)
	var kept []promise
	keepers := []repository.Options{keeper(t, s, k)}
	did := func(err error) {
		t.Helper()
		must(t, err)
		keepers = append(keepers, keeper(t, s, k))
	}
	did(capture(t.Context(), t, s, k, &kept))
	_, err := r.Append(t.Context(), repository.KindSigner, 0, []byte(late.signer.String()))
	did(err)
	_, err = r.Append(t.Context(), repository.KindPlan, 1, []byte("plan"))
	did(err)
	_, err = r.AddHolder(t.Context(), 1, late.identity.Recipient())
	did(err)
	_, err = r.Rotate(t.Context(), []age.Recipient{k.identity.Recipient()})
	did(err)
	did(capture(t.Context(), t, s, keys{late.signer, k.identity}, &kept))
	for range 40 {
		_, err = r.Append(t.Context(), repository.KindPlan, 1, []byte("plan"))
		must(t, err)
	}
	did(nil)
	want := reopen(t, s, k)
	for i, o := range keepers {
		c := count(s)
		got, err := repository.Open(t.Context(), c, o)
		must(t, err)
		if diff := cmp.Diff(all(t, want), all(t, got)); diff != "" || got.Head() != want.Head() || got.Epoch() != want.Epoch() {
			t.Errorf("keeper %d: head %v, want %v: %s", i, got.Head(), want.Head(), diff)
		}
		for n := range o.Seen.Size - 1 {
			if c.notes[noted(n)] > 0 && o.Seen.Size > 1 {
				t.Errorf("keeper %d of %d records reads note %d", i, o.Seen.Size, n)
			}
		}
		if c.notes[noted(o.Seen.Size-1)] == 0 {
			t.Errorf("keeper %d does not look whether note %d is still there", i, o.Seen.Size-1)
		}
		rec, err := got.Append(t.Context(), repository.KindPlan, 1, []byte("more"))
		must(t, err)
		if data, err := reopen(t, s, k).Data(t.Context(), rec); err != nil || string(data) != "more" {
			t.Errorf("keeper %d: what it appends is %q, %v", i, data, err)
		}
		want = reopen(t, s, k)
	}
}

// Law: whatever becomes of what was kept, what is opened is what is opened without.
func TestSpoiltKeptIsDropped(t *testing.T) {
	k, random := newKeys(t), rand.New(rand.NewPCG(1, 3))
	files, _, _ := rich(t, k)
	s := storing(t, files)
	want := all(t, reopen(t, s, k))
	foreign, _, _ := rich(t, keys{k.signer, k.identity})
	o := keeper(t, s, k)
	sound := o.Kept
	same := func(what string, kept []byte, seen repository.Head) {
		t.Helper()
		o.Kept, o.Seen = kept, seen
		r, err := repository.Open(t.Context(), s, o)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if diff := cmp.Diff(want, all(t, r)); diff != "" {
			t.Errorf("%s: other records: %s", what, diff)
		}
	}
	head := o.Seen
	for at := range sound {
		if at%31 == 0 {
			spoilt := bytes.Clone(sound)
			spoilt[at] ^= 1 << random.IntN(8)
			same(fmt.Sprintf("bit of byte %d", at), spoilt, head)
		}
		if at%53 == 0 {
			same(fmt.Sprintf("cut at %d", at), sound[:at], head)
			same(fmt.Sprintf("without what is before %d", at), sound[at:], head)
		}
	}
	other := reopen(t, storing(t, foreign), k)
	same("of another repository", other.Kept(), head)
	same("nothing", nil, head)
	same("empty", []byte{}, head)
	same("zeroes", make([]byte, len(sound)), head)
	same("twice", append(bytes.Clone(sound), sound...), head)
	same("nothing seen", sound, repository.Head{})
	early := maps.Clone(files)
	for n := int64(3); early[noted(n)] != nil; n++ {
		delete(early, noted(n))
	}
	before := keeper(t, storing(t, early), k)
	same("newer than what was seen", sound, before.Seen)
	same("older than what was seen", before.Kept, head)

	// What somebody else made up in its form is not the log that was seen.
	forged := new(mem.Store)
	for name, data := range early {
		must(t, forged.Put(t.Context(), name, bytes.NewReader(data)))
	}
	f := reopen(t, forged, k)
	for range len(want) {
		_, err := f.Append(t.Context(), repository.KindPlan, 0, []byte("forged"))
		must(t, err)
	}
	same("forged", f.Kept(), head)
}

// Law: what is told of a store that was tampered with is the same with what was kept as without, but for the notes before the
// newest seen, which a check tells of.
func TestKeptHidesNoTampering(t *testing.T) {
	k := newKeys(t)
	files, _, _ := rich(t, k)
	s := storing(t, files)
	o := keeper(t, s, k)
	size := o.Seen.Size
	upTo := func(n int64) map[string][]byte {
		some := maps.Clone(files)
		for ; n < size; n++ {
			delete(some, noted(n))
		}
		return some
	}
	open := func(files map[string][]byte, kept bool) (*repository.Repository, error) {
		o := o
		if !kept {
			o.Kept = nil
		}
		return repository.Open(t.Context(), storing(t, files), o)
	}
	alike := func(what string, files map[string][]byte) {
		t.Helper()
		_, without := open(files, false)
		_, with := open(files, true)
		if without == nil || with == nil || without.Error() != with.Error() {
			t.Errorf("%s: without what was kept %v, with it %v", what, without, with)
		}
	}
	for n := range size {
		if n > 0 {
			alike(fmt.Sprintf("rolled back to %d", n), upTo(n))
			_, err := open(upTo(n), true)
			if !errors.Is(err, repository.ErrRollback) {
				t.Errorf("rolled back to %d: %v, want ErrRollback", n, err)
			}
		}
		forked := storing(t, upTo(max(n, 1)))
		for range size + 1 - n {
			_, err := reopen(t, forked, k).Append(t.Context(), repository.KindPlan, 0, []byte("forked"))
			must(t, err)
		}
		alike(fmt.Sprintf("forked at %d", n), contents(t, forked))
	}
	last := noted(size - 1)
	for i := range files[last] {
		flipped := maps.Clone(files)
		flipped[last] = bytes.Clone(files[last])
		flipped[last][i] ^= 1 << (i % 8)
		alike(fmt.Sprintf("byte %d of the newest note", i), flipped)
	}
	for i := range files["repo.json"] {
		flipped := maps.Clone(files)
		flipped["repo.json"] = bytes.Clone(files["repo.json"])
		flipped["repo.json"][i] ^= 1 << (i % 8)
		alike(fmt.Sprintf("byte %d of repo.json", i), flipped)
	}
	for n := range size - 1 {
		flipped := maps.Clone(files)
		flipped[noted(n)] = bytes.Clone(files[noted(n)])
		flipped[noted(n)][len(flipped[noted(n)])/2] ^= 1
		r, err := open(flipped, true)
		must(t, err)
		var blamed []string
		for f, err := range r.Check(t.Context(), false) {
			must(t, err)
			blamed = append(blamed, f.Blob)
		}
		if !slices.Contains(blamed, noted(n)) {
			t.Errorf("note %d is damaged, and blamed are %q", n, blamed)
		}
		if _, err := open(flipped, false); err == nil {
			t.Errorf("note %d is damaged, and who has kept nothing opens it", n)
		}
	}

	// A hole behind what was seen.
	longer := storing(t, files)
	r := reopen(t, longer, k)
	for range 3 {
		_, err := r.Append(t.Context(), repository.KindPlan, 0, []byte("more"))
		must(t, err)
	}
	holed := contents(t, longer)
	delete(holed, noted(size+1))
	alike("without the second note after the newest seen", holed)
}

// A capture and a restore go on side by side, each with what it knew.
func TestTwoWritersKeep(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	create(t, s, k)
	o := keeper(t, s, k)
	var mu sync.Mutex
	var both sync.WaitGroup
	for w := range 2 {
		both.Go(func() {
			for i := range 20 {
				mu.Lock()
				mine := o
				mu.Unlock()
				r, err := repository.Open(t.Context(), s, mine)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := r.Append(t.Context(), repository.KindPlan, 0, fmt.Append(nil, w, i)); err != nil {
					t.Error(err)
				}
				mu.Lock()
				if o.Seen, o.Kept = r.Head(), r.Kept(); i%3 == 0 {
					o.Kept = mine.Kept // the two files are written one after the other
				}
				mu.Unlock()
			}
		})
	}
	both.Wait()
	if got := len(all(t, reopen(t, s, k))); got != 41 {
		t.Errorf("%d records, want 41", got)
	}
	if r, err := repository.Open(t.Context(), s, o); err != nil || len(all(t, r)) != 41 {
		t.Errorf("with what was kept: %v", err)
	}
}

// What was forgotten after it was kept is gone, and what was kept after it was forgotten knows that.
func TestForgottenSinceItWasKept(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	create(t, s, k)
	var kept []promise
	must(t, capture(t.Context(), t, s, k, &kept))
	before := keeper(t, s, k)
	r := reopen(t, s, k)
	now, first, last := newState(), repository.Record{}, (*snapshot.Snapshot)(nil)
	for _, rec := range all(t, r) {
		for l, err := range r.Replay(t.Context(), rec) {
			must(t, err)
			now.play(l)
			if l, ok := l.(repository.Snapshot); ok {
				last = l.Snapshot
			}
		}
		if rec.Kind == repository.KindSnapshot && first.Number == 0 {
			first = rec
		}
	}
	_, err := r.Checkpoint(t.Context(), whole{now.tree(last)})
	must(t, err)
	f, err := r.Forgetting(t.Context(), last.Number, nil)
	must(t, err)
	_, err = r.Forget(t.Context(), f)
	must(t, err)
	after := keeper(t, s, k)
	_, _, err = r.Drop(t.Context(), s.Remove)
	must(t, err)
	for _, o := range []repository.Options{before, after} {
		again, err := repository.Open(t.Context(), s, o)
		must(t, err)
		if !again.Forgotten(first) {
			t.Error("the first snapshot is not forgotten")
		}
		if names := blame(t, s, o, true); names != nil {
			t.Errorf("blamed are %q", names)
		}
	}
}

// whole is a tree that can be read as a whole.
type whole struct{ *snapshot.Memory }

func (w whole) Whole(ctx context.Context, of entra.Type) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		for e, err := range w.Entries(ctx, of) {
			if err != nil {
				yield(entra.Object{}, err)
				return
			}
			if o, err := w.Object(ctx, e.Ref); !yield(o, err) {
				return
			}
		}
	}
}

// BenchmarkOpenKept opens logs with what was kept of them. It costs little, though it grows with the log.
func BenchmarkOpenKept(b *testing.B) {
	for _, n := range []int{100, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ctx, s := b.Context(), new(mem.Store)
			signer, err := repository.GenerateSigner("bench")
			if err != nil {
				b.Fatal(err)
			}
			identity, err := age.GenerateX25519Identity()
			if err != nil {
				b.Fatal(err)
			}
			r, err := repository.Init(ctx, s, repository.InitOptions{Tenant: tenant, Holders: []string{identity.Recipient().String()}, Now: func() time.Time { return start }, Signer: signer})
			if err != nil {
				b.Fatal(err)
			}
			for range n {
				if _, err := r.AppendAll(ctx, repository.KindPlan, 0, []byte("1"), []byte("2")); err != nil {
					b.Fatal(err)
				}
			}
			o := repository.Options{Seen: r.Head(), Kept: r.Kept()}
			b.ReportMetric(float64(len(o.Kept)), "B-kept")
			for b.Loop() {
				if _, err := repository.Open(ctx, s, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
