package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/file"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

// A promise is a record that a program was told is in the log, and what it holds.
type promise struct {
	rec  repository.Record
	data []byte
	tree *state
}

// A story is what programs do to a store, again and again.
type story struct {
	name   string
	before *storetest.Disk
	tell   func(ctx context.Context, s store.Store, kept *[]promise) error
	// holds says what is wrong with what lies there, given what was promised and whether the story was told to its end.
	holds func(t *testing.T, s store.Store, kept []promise, whole bool) error
}

// stories are those of a repository: its beginning, captures, changes of keys, a restore's journal, checkpoints and what is
// forgotten before them, and copies.
func stories(t *testing.T, k keys) []story {
	t.Helper()
	empty := storetest.NewDisk()
	begun := storetest.NewDisk()
	create(t, file.On(begun), k)
	full := begun.Clone()
	var first []promise
	must(t, capture(t.Context(), t, file.On(full), k, &first))
	source := new(mem.Store)
	must(t, live(t.Context(), t, source, k, func(*snapshot.Snapshot, state) {}))
	right := contents(t, source)
	damaged, hurt := storetest.NewDisk(), map[string]bool{}
	for i, name := range slices.Sorted(maps.Keys(right)) {
		data := bytes.Clone(right[name])
		switch i % 4 {
		case 0: // lost
			hurt[name] = true
			continue
		case 1:
			hurt[name] = true
			data[len(data)/2] ^= 4
		}
		must(t, file.On(damaged).Put(t.Context(), name, bytes.NewReader(data)))
	}
	holds := func(t *testing.T, s store.Store, kept []promise, _ bool) error { return keeps(t, s, k, kept) }
	same := func(t *testing.T, s store.Store, _ []promise, whole bool) error {
		is := map[string][]byte{}
		for name, err := range s.List(t.Context(), "") {
			if err == nil {
				is[name], err = bytesOf(t, s, name)
			}
			if err != nil {
				return err
			}
		}
		for name, data := range right {
			if got, there := is[name]; (whole || there && !hurt[name]) && !bytes.Equal(got, data) {
				return fmt.Errorf("%s is not that of the first", name)
			}
		}
		return nil
	}
	return []story{
		{"init", empty, func(ctx context.Context, s store.Store, kept *[]promise) error {
			o := repository.InitOptions{Tenant: tenant, Holders: []string{k.identity.Recipient().String()}, Now: clock(), Signer: k.signer}
			r, err := repository.Init(ctx, s, o)
			if errors.Is(err, fs.ErrExist) {
				return nil // it was done, and nobody was told
			}
			if err != nil {
				return err
			}
			for rec, err := range r.Records(ctx, 0) {
				if err != nil {
					return err
				}
				*kept = append(*kept, promise{rec: rec})
			}
			return nil
		}, holds},
		{"capture", begun, func(ctx context.Context, s store.Store, kept *[]promise) error { return capture(ctx, t, s, k, kept) }, holds},
		{"keys", full, func(ctx context.Context, s store.Store, kept *[]promise) error {
			r, err := repository.Open(ctx, s, k.options())
			if err != nil {
				return err
			}
			added, err := r.AddHolder(ctx, r.Epoch(), k.identity.Recipient())
			if err != nil {
				return err
			}
			*kept = append(*kept, promise{rec: added})
			rotated, err := r.Rotate(ctx, []age.Recipient{k.identity.Recipient(), k.identity.Recipient()})
			if err != nil {
				return err
			}
			*kept = append(*kept, promise{rec: rotated})
			return journal(ctx, r, kept, repository.KindHold)
		}, holds},
		{"restore", full, func(ctx context.Context, s store.Store, kept *[]promise) error {
			r, err := repository.Open(ctx, s, k.options())
			if err != nil {
				return err
			}
			return journal(ctx, r, kept, repository.KindPlan, repository.KindIntents, repository.KindOutcomes, repository.KindResult)
		}, holds},
		{"forget", full, func(ctx context.Context, s store.Store, kept *[]promise) error {
			return forget(ctx, t, s, k, kept)
		}, func(t *testing.T, s store.Store, kept []promise, _ bool) error {
			return keeps(t, s, k, slices.Concat(first, kept))
		}},
		{"copy", empty, func(ctx context.Context, s store.Store, _ *[]promise) error {
			_, err := repository.Copy(ctx, source, s, repository.CopyOptions{})
			return err
		}, func(t *testing.T, s store.Store, _ []promise, whole bool) error {
			// What is there is right and a whole repository at any time.
			r, err := repository.Open(t.Context(), s, k.options())
			if errors.Is(err, repository.ErrNoRepository) && !whole {
				err = nil
			}
			if err == nil && r != nil {
				err = checked(t, r)
			}
			return errors.Join(err, same(t, s, nil, whole))
		}},
		{"heal", damaged, func(ctx context.Context, s store.Store, _ *[]promise) error {
			_, err := repository.Copy(ctx, source, s, repository.CopyOptions{Heal: true})
			return err
		}, same},
	}
}

// bytesOf returns a whole blob.
func bytesOf(t *testing.T, s store.Store, name string) ([]byte, error) {
	f, err := s.Get(t.Context(), name, 0, -1)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// capture takes two snapshots on top of what is there.
func capture(ctx context.Context, t *testing.T, s store.Store, k keys, kept *[]promise) error {
	r, err := repository.Open(ctx, s, k.options())
	if err != nil {
		return err
	}
	now, last, err := newest(ctx, r)
	if err != nil {
		return err
	}
	for range 2 {
		var parent snapshot.Base
		if last != nil {
			parent = now.tree(last)
		}
		w, err := r.Begin(ctx, parent, start)
		if err != nil {
			return err
		}
		defer w.Abort()
		g, n := object(t, ref("group", "g"), `{}`), r.Head().Size
		now.objects[g.Ref] = g.Body
		told := []error{w.Put(ctx, g)}
		for i := range 8 {
			u := object(t, ref("user", fmt.Sprint(i)), fmt.Sprintf(`{"displayName":"user %d of %d","about":"%s"}`, i, n, strings.Repeat(fmt.Sprint(n*7919), 40)))
			l := entra.Link{From: g.Ref, Rel: "members", To: u.Ref}
			now.objects[u.Ref], now.links[l] = u.Body, true
			told = append(told, w.Put(ctx, u), w.Link(ctx, l))
		}
		told = append(told, w.Audit(ctx, fmt.Appendf(nil, `{"id":"%d"}`, n)), w.End(ctx, snapshot.Part{Type: "user", Coverage: snapshot.Complete}, true))
		if err := errors.Join(told...); err != nil {
			return err
		}
		if last, err = w.Commit(ctx); err != nil {
			return err
		}
		for rec, err := range r.Records(ctx, last.Number) {
			if err != nil {
				return err
			}
			tree := now.clone()
			*kept = append(*kept, promise{rec: rec, tree: &tree})
			break // what comes after is another's
		}
	}
	return nil
}

// newest returns the newest snapshot and what it holds.
func newest(ctx context.Context, r *repository.Repository) (now state, last *snapshot.Snapshot, err error) {
	now = newState()
	for rec, err := range r.Records(ctx, 0) {
		if err != nil {
			return now, nil, err
		}
		if rec.Kind != repository.KindSnapshot || r.Forgotten(rec) {
			continue
		}
		for l, err := range r.Replay(ctx, rec) {
			if err != nil {
				return now, nil, err
			}
			now.play(l)
			if l, ok := l.(repository.Snapshot); ok {
				last = l.Snapshot
			}
		}
	}
	return now, last, nil
}

// A wholeTree is a tree in memory that can be read as a whole.
type wholeTree struct{ *snapshot.Memory }

func (w wholeTree) Whole(ctx context.Context, of entra.Type) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		for e, err := range w.Entries(ctx, of) {
			var o entra.Object
			if err == nil {
				o, err = w.Object(ctx, e.Ref)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// forget restates the newest snapshot, forgets all before it, takes away what that drops, and goes on with two more.
func forget(ctx context.Context, t *testing.T, s store.Store, k keys, kept *[]promise) error {
	r, err := repository.Open(ctx, s, k.options())
	if err != nil {
		return err
	}
	now, last, err := newest(ctx, r)
	if err != nil {
		return err
	}
	if !r.Restated(last.Number) {
		rec, err := r.Checkpoint(ctx, wholeTree{now.tree(last)})
		if err != nil {
			return err
		}
		*kept = append(*kept, promise{rec: rec})
	}
	f, err := r.Forgetting(ctx, last.Number, nil)
	if err != nil {
		return err
	}
	if len(f.Files) > 0 {
		rec, err := r.Forget(ctx, f)
		if err != nil {
			return err
		}
		*kept = append(*kept, promise{rec: rec})
	}
	_, left, err := r.Drop(ctx, s.(store.Remover).Remove) //nolint:forcetypeassert // a store of files removes
	for _, file := range left {
		err = errors.Join(err, file.Err)
	}
	if err != nil {
		return err
	}
	return capture(ctx, t, s, k, kept)
}

// journal appends records of the kinds.
func journal(ctx context.Context, r *repository.Repository, kept *[]promise, kinds ...repository.Kind) error {
	for _, kind := range kinds {
		data := fmt.Appendf(nil, `{"steps":[],"kind":"%s","size":%d}`, kind, r.Head().Size)
		rec, err := r.Append(ctx, kind, 2, data)
		if err != nil {
			return err
		}
		*kept = append(*kept, promise{rec: rec, data: data})
	}
	return nil
}

// keeps says what is wrong with a repository that has made promises.
func keeps(t *testing.T, s store.Store, k keys, kept []promise) error {
	r, err := repository.Open(t.Context(), s, k.options())
	if errors.Is(err, repository.ErrNoRepository) && len(kept) == 0 {
		return nil // it can be begun again
	}
	if err != nil {
		return err
	}
	if err := checked(t, r); err != nil {
		return err
	}
	var records []repository.Record
	for rec, err := range r.Records(t.Context(), 0) {
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	now := newState()
	for _, p := range kept {
		n := p.rec.Number
		if n >= int64(len(records)) || records[n].Leaf != p.rec.Leaf {
			return fmt.Errorf("record %d, %s, was promised and is lost", n, p.rec.Kind)
		}
		if p.data != nil {
			if got, err := r.Data(t.Context(), p.rec); err != nil || !bytes.Equal(got, p.data) {
				return fmt.Errorf("record %d holds %q, %v", n, got, err)
			}
		}
		if p.tree != nil && !r.Forgotten(p.rec) {
			for l, err := range r.Replay(t.Context(), p.rec) {
				if err != nil {
					return err
				}
				now.play(l)
			}
			if !p.follows(kept) {
				continue // on a snapshot that nobody was told of
			}
			if d := cmp.Diff(p.tree.objects, now.objects) + cmp.Diff(p.tree.links, now.links); d != "" {
				return fmt.Errorf("snapshot %d (-promised +is):\n%s", n, d)
			}
		}
	}
	return nil
}

// follows reports whether all that a snapshot builds on was promised.
func (p promise) follows(kept []promise) bool {
	if p.rec.Parent == 0 {
		return true
	}
	i := slices.IndexFunc(kept, func(q promise) bool { return q.rec.Number == p.rec.Parent })
	return i >= 0 && kept[i].follows(kept)
}

// checked checks a repository, deeply.
func checked(t *testing.T, r *repository.Repository) error {
	var wrong error
	for f, err := range r.Check(t.Context(), true) {
		wrong = errors.Join(wrong, err)
		if err == nil {
			wrong = errors.Join(wrong, fmt.Errorf("check: %+v", f))
		}
	}
	return wrong
}

// operations is how many a story needs, and of each kind how many.
func (s story) operations(t *testing.T) (all int, kinds map[string]int) {
	t.Helper()
	kinds = map[string]int{}
	d := s.before.Clone()
	d.Inject(func(_ int, op, _ string) storetest.Trouble {
		all++
		kinds[op]++
		return storetest.Trouble{}
	})
	var kept []promise
	must(t, s.tell(t.Context(), file.On(d), &kept))
	if all < 20 {
		t.Fatalf("%s: only %d operations", s.name, all)
	}
	return all, kinds
}

// part is 1 where tests are to take long.
func part(short int) int {
	if long() {
		return 1
	}
	return short
}

// tryAll tells each story with something wrong at each operation, or at every so manieth.
func tryAll(t *testing.T, every int, try func(t *testing.T, s story, n int) (hit bool)) {
	k := newKeys(t)
	total := 0
	for _, s := range stories(t, k) {
		t.Run(s.name, func(t *testing.T) {
			tried := 0
			for n := 0; ; n += every {
				if n > 5000 {
					t.Fatal("the story does not end")
				}
				if !try(t, s, n) {
					break
				}
				tried++
			}
			all, _ := s.operations(t)
			if tried < all/every*9/10 { // what happens at once comes in one order or another
				t.Errorf("tried %d of %d operations", tried, all)
			}
			t.Logf("%d operations", tried)
			total += tried
		})
	}
	t.Logf("%d operations in all", total)
}

// again goes on with what a fault left, as the next program does, and takes the power away after it.
func (s story) again(t *testing.T, d *storetest.Disk, on store.Store, kept []promise, name string) {
	t.Helper()
	if err := s.holds(t, file.On(d), kept, false); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if err := s.tell(t.Context(), on, &kept); err != nil {
		t.Errorf("%s: the next program: %v", name, err)
		return
	}
	d.PowerLoss(storetest.Nothing, nil)
	if err := s.holds(t, file.On(d), kept, true); err != nil {
		t.Errorf("%s: after the next program and a loss of power: %v", name, err)
	}
}

// Law: stop the program at any operation of the file system, with and without a loss of power, and nothing that was
// promised is lost, nothing else is there but at most what was being done, and the next program goes on.
func TestStoppedAtEveryOperationOfADisk(t *testing.T) {
	for name, power := range map[string]bool{"stopped": false, "power lost": true} {
		t.Run(name, func(t *testing.T) {
			tryAll(t, part(2), func(t *testing.T, s story, n int) (hit bool) {
				d := s.before.Clone()
				d.Inject(func(i int, _, _ string) storetest.Trouble {
					if i < n {
						return storetest.Trouble{}
					}
					hit = true
					return storetest.Trouble{Err: storetest.ErrStopped}
				})
				var kept []promise
				err := s.tell(t.Context(), file.On(d), &kept)
				if hit != (err != nil) {
					t.Errorf("%d: stopped %v, error %v", n, hit, err)
				}
				d.Inject(nil)
				if power {
					d.PowerLoss(storetest.Nothing, nil)
				}
				s.again(t, d, file.On(d), kept, fmt.Sprint("stopped at ", n))
				return hit
			})
		})
	}
}

// Law: an operation that fails is an error, or what was promised is durable all the same; and no failed sync is tried
// again.
func TestEveryOperationOfADiskFails(t *testing.T) {
	// A look that only saves work, what the log is read for afterwards, and one slot of several.
	spare := []string{"stat", "link", "remove", "shut"}
	for name, done := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			tryAll(t, part(10), func(t *testing.T, s story, n int) (hit bool) {
				d := s.before.Clone()
				what := ""
				d.Inject(func(i int, op, name string) storetest.Trouble {
					if i != n {
						return storetest.Trouble{}
					}
					hit, what = true, op+" "+name
					return storetest.Trouble{Err: syscall.EIO, Done: done}
				})
				var kept []promise
				err := s.tell(t.Context(), file.On(d), &kept)
				op, _, _ := strings.Cut(what, " ")
				switch {
				case !hit && err != nil:
					t.Errorf("%d: %v", n, err)
				case err != nil && !errors.Is(err, syscall.EIO):
					t.Errorf("%d, %s: another error: %v", n, what, err)
				case hit && err == nil && !slices.Contains(spare, op) && !strings.Contains(what, " keys/"):
					t.Errorf("%d, %s: no error", n, what)
				}
				if again := d.Retried(); len(again) > 0 {
					t.Errorf("%d, %s: %q synced again", n, what, again)
				}
				d.PowerLoss(storetest.Nothing, nil)
				if e := s.holds(t, file.On(d), kept, err == nil); e != nil {
					t.Errorf("%d, %s: told %v: %v", n, what, err, e)
				}
				s.again(t, d, file.On(d), kept, fmt.Sprintf("%d, %s", n, what))
				return hit
			})
		})
	}
}

// Law: a disk that is full is an error and spoils nothing, and the same program goes on once there is space again.
func TestADiskThatIsFull(t *testing.T) {
	tryAll(t, part(10), func(t *testing.T, s story, n int) (hit bool) {
		d := s.before.Clone()
		full := false
		d.Inject(func(i int, op, _ string) storetest.Trouble {
			hit = hit || i == n
			if i >= n && slices.Contains([]string{"create", "write", "sync", "link", "mkdir"}, op) {
				full = true
				return storetest.Trouble{Err: syscall.ENOSPC, Short: i % 100}
			}
			return storetest.Trouble{}
		})
		on := file.On(d)
		var kept []promise
		err := s.tell(t.Context(), on, &kept)
		if full != (err != nil) || err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d: full %v, error %v", n, full, err)
		}
		d.Inject(nil)
		s.again(t, d, on, kept, fmt.Sprint("full from ", n))
		return hit
	})
}

// Law: whatever of what was not synced a loss of power keeps, nothing that was promised is lost.
func TestPowerIsLost(t *testing.T) {
	seeds := 200
	if long() {
		seeds = 2000
	}
	all := stories(t, newKeys(t))
	lost := 0
	for seed := range uint64(seeds) {
		random := rand.New(rand.NewPCG(seed, 3))
		s := all[random.IntN(len(all))]
		most, _ := s.operations(t)
		at, keep := random.IntN(most), storetest.Keep(random.IntN(3))
		d := s.before.Clone()
		d.Inject(func(i int, _, _ string) storetest.Trouble {
			if i < at {
				return storetest.Trouble{}
			}
			return storetest.Trouble{Err: storetest.ErrStopped}
		})
		var kept []promise
		if err := s.tell(t.Context(), file.On(d), &kept); err != nil {
			lost++
		}
		d.PowerLoss(keep, random)
		s.again(t, d, file.On(d), kept, fmt.Sprintf("seed %d: %s, power lost at %d, kept %d", seed, s.name, at, keep))
	}
	if lost < seeds*9/10 {
		t.Errorf("only %d of %d were stopped", lost, seeds)
	}
	t.Logf("%d losses of power", lost)
}

// Law: a write that is short or torn is an error and leaves nothing that is read.
func TestWritesAreTorn(t *testing.T) {
	seeds := 100
	if long() {
		seeds = 1000
	}
	all := stories(t, newKeys(t))
	torn := 0
	for seed := range uint64(seeds) {
		random := rand.New(rand.NewPCG(seed, 4))
		s := all[random.IntN(len(all))]
		_, kinds := s.operations(t)
		at, how := random.IntN(kinds["write"]), []error{nil, syscall.EIO, syscall.ENOSPC, storetest.ErrStopped}[random.IntN(4)]
		d := s.before.Clone()
		writes, gone, hit := 0, false, false
		d.Inject(func(_ int, op, _ string) storetest.Trouble {
			switch {
			case gone:
				return storetest.Trouble{Err: storetest.ErrStopped}
			case op != "write":
				return storetest.Trouble{}
			}
			if writes++; writes-1 != at {
				return storetest.Trouble{}
			}
			hit, gone = true, how == storetest.ErrStopped
			return storetest.Trouble{Err: how, Short: 1}
		})
		var kept []promise
		err := s.tell(t.Context(), file.On(d), &kept)
		if hit && err == nil {
			t.Errorf("seed %d: %s: write %d was short, and no error", seed, s.name, at)
		}
		if hit {
			torn++
		}
		d.PowerLoss(storetest.Sectors, random)
		s.again(t, d, file.On(d), kept, fmt.Sprintf("seed %d: %s, write %d torn", seed, s.name, at))
	}
	if torn < seeds*9/10 {
		t.Errorf("only %d of %d writes were torn", torn, seeds)
	}
	t.Logf("%d writes torn", torn)
}
