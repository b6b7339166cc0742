package repository_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/store/file"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

// Law: of two that write at once each record is one's, a snapshot's parent is the newest, and what either was promised is
// there, on a disk that loses the answers to links too, as a network's does.
func TestTwoWriters(t *testing.T) {
	rounds := 20
	if long() {
		rounds = 200
	}
	k := newKeys(t)
	begun := storetest.NewDisk()
	create(t, file.On(begun), k)
	lost, told := 0, 0
	for round := range rounds {
		d := begun.Clone()
		if round%2 == 1 {
			random := rand.New(rand.NewPCG(uint64(round), 12))
			d.Inject(func(_ int, op, _ string) storetest.Trouble { // one at a time
				if op == "link" && random.IntN(8) == 0 {
					lost++
					return storetest.Trouble{Err: fs.ErrExist, Done: true}
				}
				return storetest.Trouble{}
			})
		}
		var kept [2][]promise
		var errs [2]error
		var wg sync.WaitGroup
		for i := range kept {
			wg.Go(func() {
				ctx, s := t.Context(), file.On(d)
				for range 3 {
					err := capture(ctx, t, s, k, &kept[i])
					if r, e := repository.Open(ctx, s, k.options()); e == nil {
						err = errors.Join(err, journal(ctx, r, &kept[i], repository.KindPlan, repository.KindResult))
					} else {
						err = e
					}
					errs[i] = errors.Join(errs[i], err)
				}
			})
		}
		wg.Wait()
		d.Inject(nil)
		all := slices.Concat(kept[0], kept[1])
		slices.SortFunc(all, func(a, b promise) int { return int(a.rec.Number - b.rec.Number) })
		for i := range all[1:] {
			if all[i].rec.Number == all[i+1].rec.Number {
				t.Errorf("round %d: record %d was promised to both", round, all[i].rec.Number)
			}
		}
		for _, err := range errs {
			if err != nil && !errors.Is(err, repository.ErrParent) && (round%2 == 0 || !errors.Is(err, fs.ErrExist)) {
				t.Errorf("round %d: %v", round, err)
			}
		}
		d.PowerLoss(storetest.Nothing, nil)
		if err := keeps(t, file.On(d), k, all); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		told += len(all)
	}
	if told < 6*rounds || lost == 0 {
		t.Errorf("only %d records, %d answers lost", told, lost)
	}
	t.Logf("%d rounds: %d records, %d answers lost", rounds, told, lost)
}

// Law: order is by number, whatever the clock says; it may be years off, jump, or stand still.
func TestTheClockJumps(t *testing.T) {
	const rounds = 60
	for round := range rounds {
		random := rand.New(rand.NewPCG(uint64(round), 13))
		k, d := newKeys(t), storetest.NewDisk()
		jumps := []time.Duration{0, time.Second, -time.Second, time.Hour, -time.Hour, 87_600 * time.Hour, -87_600 * time.Hour}
		at := start
		if round%3 == 1 {
			at = time.Date(2016, 12, 31, 23, 59, 59, 999_999_999, time.UTC) // before a leap second
		}
		if round%3 == 2 {
			at = time.Date(2026, 10, 25, 2, 59, 59, 0, time.FixedZone("CEST", 7200)) // the hour that comes twice
		}
		var mu sync.Mutex
		o := k.options()
		o.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			at = at.Add(jumps[random.IntN(len(jumps))])
			return at
		}
		s := file.On(d)
		_, err := repository.Init(t.Context(), s, repository.InitOptions{Tenant: tenant, Holders: []string{k.identity.Recipient().String()}, Now: o.Now, Signer: k.signer})
		must(t, err)
		r, err := repository.Open(t.Context(), s, o)
		must(t, err)
		var kept []promise
		must(t, journal(t.Context(), r, &kept, repository.KindPlan, repository.KindIntents))
		must(t, capture(t.Context(), t, s, k, &kept))
		must(t, journal(t.Context(), r, &kept, repository.KindOutcomes, repository.KindResult))
		if err := keeps(t, s, k, kept); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		for i, p := range kept {
			if p.rec.Number != int64(i+1) {
				t.Errorf("round %d: record %d came as number %d", round, i, p.rec.Number)
			}
		}
	}
	// A time that no record can name is an error, and the log stays as it is.
	k, s := newKeys(t), file.On(storetest.NewDisk())
	create(t, s, k)
	for _, year := range []int{-1, 10_000} {
		o := k.options()
		o.Now = func() time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
		r, err := repository.Open(t.Context(), s, o)
		must(t, err)
		if _, err := r.Append(t.Context(), repository.KindPlan, 0, []byte("{}")); err == nil {
			t.Errorf("a record of the year %d", year)
		}
	}
	if err := keeps(t, s, k, nil); err != nil {
		t.Error(err)
	}
	t.Logf("%d clocks", rounds)
}

// What may not be written to, or read, is an error that says so, and nothing is spoilt.
func TestPermissionsAreLost(t *testing.T) {
	k := newKeys(t)
	cases := 0
	for _, why := range []error{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		for _, op := range []string{"create", "write", "sync", "link", "mkdir", "open", "read", "readdir"} {
			if why == syscall.EROFS && op[0] == 'o' || why == syscall.EROFS && op[0] == 'r' {
				continue // what is for reading only is read
			}
			for _, from := range []int{0, 3} {
				d := storetest.NewDisk()
				create(t, file.On(d), k)
				n := 0
				d.Inject(func(_ int, is, _ string) storetest.Trouble {
					if is != op {
						return storetest.Trouble{}
					}
					if n++; n <= from {
						return storetest.Trouble{}
					}
					return storetest.Trouble{Err: why}
				})
				var kept []promise
				err := capture(t.Context(), t, file.On(d), k, &kept)
				if n > from {
					if cases++; !errors.Is(err, why) {
						t.Errorf("%s, %v after %d: %v", op, why, from, err)
					}
				}
				d.Inject(nil)
				if err := keeps(t, file.On(d), k, kept); err != nil {
					t.Errorf("%s, %v after %d: %v", op, why, from, err)
				}
			}
		}
	}
	if cases < 30 {
		t.Errorf("only %d cases", cases)
	}
	t.Logf("%d cases", cases)
}

// What is put in the place of a file, and is none, is told, and does not hold anybody up.
func TestSomethingElseInThePlaceOfAFile(t *testing.T) {
	k, dir := newKeys(t), t.TempDir()
	s, err := file.Open(dir)
	must(t, err)
	defer s.Close()
	create(t, s, k)
	var kept []promise
	must(t, capture(t.Context(), t, s, k, &kept))
	outside, head := t.TempDir(), reopen(t, s, k).Head()
	cases := 0
	for name, data := range contents(t, s) {
		path, copied := filepath.Join(dir, name), filepath.Join(outside, "same")
		must(t, os.WriteFile(copied, data, 0o600))
		for what, put := range map[string]func() error{
			"a link to the same content elsewhere": func() error { return os.Symlink(copied, path) },
			"a link to itself":                     func() error { return os.Symlink(filepath.Base(path), path) },
			"a link to nothing":                    func() error { return os.Symlink("nothing", path) },
			"a folder":                             func() error { return os.Mkdir(path, 0o700) },
			"a pipe":                               func() error { return pipe(path) },
		} {
			must(t, os.Remove(path))
			if err := put(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			var told error
			if r, err := repository.Open(ctx, s, repository.Options{Seen: head}); err != nil {
				told = err
			} else {
				for f, err := range r.Check(ctx, false) {
					told = errors.Join(told, err, fmt.Errorf("%s %s", f.Blob, f.Reason))
				}
			}
			cancel()
			if told == nil {
				t.Errorf("%s in the place of %s is not told", what, name)
			}
			must(t, os.Remove(path))
			must(t, os.WriteFile(path, data, 0o600))
			cases++
		}
	}
	if err := keeps(t, s, k, kept); err != nil {
		t.Error(err)
	}
	if cases < 40 {
		t.Errorf("only %d cases", cases)
	}
	t.Logf("%d cases", cases)
}
