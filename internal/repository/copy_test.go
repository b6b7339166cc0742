package repository_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

// storing returns a store that has the files.
func storing(t *testing.T, files map[string][]byte) *mem.Store {
	t.Helper()
	s := new(mem.Store)
	for name, data := range files {
		must(t, s.Put(t.Context(), name, bytes.NewReader(data)))
	}
	return s
}

// long reports whether tests are to take long.
func long() bool { return os.Getenv("TIDEMARK_LONG") != "" }

// lived returns a store that holds a repository with two snapshots, a plan, a result and two epochs.
func lived(t *testing.T, k keys) *mem.Store {
	t.Helper()
	s := new(mem.Store)
	must(t, live(t.Context(), t, s, k, func(*snapshot.Snapshot, state) {}))
	return s
}

func TestCopy(t *testing.T) {
	k, to := newKeys(t), new(mem.Store)
	from := lived(t, k)
	told := int64(0)
	out, err := repository.Copy(t.Context(), from, to, repository.CopyOptions{Progress: func(done, of int64) { told = done * 100 / of }})
	must(t, err)
	all := contents(t, from)
	if out.Files != int64(len(all)) || out.Records != out.Head.Size || len(out.Healed)+len(out.Lost) > 0 || told != 100 {
		t.Errorf("%d files: %+v, told %d %%", len(all), out, told)
	}
	same := func() {
		t.Helper()
		a, b := contents(t, from), contents(t, to)
		for name, data := range a {
			if !bytes.Equal(b[name], data) {
				t.Errorf("%s is another one in the copy", name)
			}
		}
	}
	same()
	if names := blame(t, to, k.options(), true); names != nil {
		t.Errorf("blamed in the copy: %q", names)
	}
	// What is there is not written again, and what came since is.
	out, err = repository.Copy(t.Context(), from, to, repository.CopyOptions{})
	if must(t, err); out.Files != 0 {
		t.Errorf("again: %+v", out)
	}
	_, err = reopen(t, from, k).Append(t.Context(), repository.KindPlan, 0, []byte("more"))
	must(t, err)
	out, err = repository.Copy(t.Context(), from, to, repository.CopyOptions{})
	if must(t, err); out.Files != 2 {
		t.Errorf("after one record: %+v", out)
	}
	same()
	// A copy that has more than the first is not cut short, and says so.
	out, err = repository.Copy(t.Context(), storing(t, all), to, repository.CopyOptions{})
	if must(t, err); out.Files != 0 || len(out.Lost) != 2 {
		t.Errorf("from an older one: %+v", out)
	}
	back := storing(t, all)
	out, err = repository.Copy(t.Context(), back, to, repository.CopyOptions{Heal: true})
	if must(t, err); out.Files != 2 || len(out.Lost) != 0 || len(contents(t, back)) != len(all)+2 {
		t.Errorf("healed from a newer one: %+v", out)
	}
}

// Law: stop a copy at any operation of the second store; what is there opens, as a repository that is the beginning of the
// first, and the next copy completes it.
func TestCopyStoppedAnywhere(t *testing.T) {
	k := newKeys(t)
	from := lived(t, k)
	for _, kind := range []storetest.Fault{storetest.Before, storetest.After} {
		for n, whole := 0, false; !whole; n++ {
			if n > 500 {
				t.Fatal("the copy does not end")
			}
			to := new(mem.Store)
			whole = true
			_, err := repository.Copy(t.Context(), from, storetest.Faulty(to, func(i int, _, _ string) storetest.Fault {
				if i < n {
					return storetest.None
				}
				whole = false
				return kind
			}), repository.CopyOptions{})
			if (err == nil) != whole {
				t.Errorf("fault %d at %d: error %v", kind, n, err)
			}
			if _, err := repository.Open(t.Context(), to, k.options()); err != nil && !errors.Is(err, repository.ErrNoRepository) {
				t.Errorf("fault %d at %d: Open: %v", kind, n, err)
			} else if err == nil {
				if names := blame(t, to, k.options(), true); names != nil {
					t.Errorf("fault %d at %d: blamed %q", kind, n, names)
				}
			}
			_, err = repository.Copy(t.Context(), from, to, repository.CopyOptions{})
			must(t, err)
			for name, data := range contents(t, from) {
				if got := contents(t, to)[name]; !bytes.Equal(got, data) {
					t.Errorf("fault %d at %d: %s is another one", kind, n, name)
				}
			}
		}
	}
}

// spoil does something to a random file of a store, and says what.
func spoil(t *testing.T, s *mem.Store, random *rand.Rand) (name, how string) {
	t.Helper()
	all := contents(t, s)
	names := slices.Sorted(maps.Keys(all))
	name = names[random.IntN(len(names))]
	data := slices.Clone(all[name])
	must(t, s.Remove(t.Context(), name))
	if how = []string{"bit", "cut", "zero", "garbage", "swap", "delete", "empty"}[random.IntN(7)]; len(data) == 0 {
		how = "delete" // what is empty already
	}
	switch how {
	case "bit":
		data[random.IntN(len(data))] ^= 1 << random.IntN(8)
	case "cut":
		data = data[:random.IntN(len(data))]
	case "zero":
		clear(data[random.IntN(len(data)):])
	case "garbage":
		data = append(data, fmt.Sprint(random.Uint64())...)
	case "swap":
		data = all[names[random.IntN(len(names))]]
	case "empty":
		data = nil
	case "delete":
		return name, how
	}
	must(t, s.Put(t.Context(), name, bytes.NewReader(data)))
	return name, how
}

// Law: of two copies, whatever happens to files of one of them, and to other files of the other, both are as they were after
// one healing.
func TestHealing(t *testing.T) {
	k, random := newKeys(t), rand.New(rand.NewPCG(3, 4))
	was := contents(t, lived(t, k))
	rounds := 50
	if long() {
		rounds = 500
	}
	for round := range rounds {
		sides := [2]*mem.Store{storing(t, was), storing(t, was)}
		hurt := map[string]string{}
		for range 1 + random.IntN(3) {
			i := random.IntN(2)
			name, how := spoil(t, sides[i], random)
			if before, twice := hurt[name]; twice && !strings.HasPrefix(before, fmt.Sprint(i)) {
				hurt = nil // in both, of which a test of its own speaks
				break
			}
			hurt[name] = fmt.Sprint(i, " ", how)
		}
		if hurt == nil {
			continue
		}
		out, err := repository.Copy(t.Context(), sides[0], sides[1], repository.CopyOptions{Heal: true})
		if err != nil || len(out.Lost) > 0 {
			t.Errorf("round %d, %v: %v, %+v", round, hurt, err, out)
			continue
		}
		for i, s := range sides {
			is := contents(t, s)
			for name, data := range was {
				if !bytes.Equal(is[name], data) {
					t.Errorf("round %d, %v: %s of store %d is not healed", round, hurt, name, i)
				}
			}
			if len(is) != len(was) {
				t.Errorf("round %d, %v: %d files, were %d", round, hurt, len(is), len(was))
			}
		}
	}
	t.Logf("%d rounds", rounds)
}

// What neither has right is named with the snapshots that it touches, and all else is healed.
func TestWhatCannotBeHealed(t *testing.T) {
	k := newKeys(t)
	was := contents(t, lived(t, k))
	blobs := 0
	for name := range was {
		if !strings.HasPrefix(name, "blobs/") {
			continue
		}
		blobs++
		sides := [2]*mem.Store{storing(t, was), storing(t, was)}
		for _, s := range sides {
			must(t, s.Remove(t.Context(), name))
		}
		must(t, sides[0].Remove(t.Context(), "log/000/000000001"))
		out, err := repository.Copy(t.Context(), sides[0], sides[1], repository.CopyOptions{Heal: true})
		must(t, err)
		if len(out.Lost) != 1 || out.Lost[0].Blob != name || len(out.Healed) != 1 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if blobs < 4 {
		t.Fatalf("only %d blobs", blobs)
	}
}

// Nothing wrong is ever copied.
func TestACopyOfDamage(t *testing.T) {
	k, random := newKeys(t), rand.New(rand.NewPCG(5, 6))
	was := contents(t, lived(t, k))
	for round := range 60 {
		from, to := storing(t, was), new(mem.Store)
		name, how := spoil(t, from, random)
		if bytes.Equal(contents(t, from)[name], was[name]) {
			continue // swapped with itself
		}
		out, err := repository.Copy(t.Context(), from, to, repository.CopyOptions{})
		if err == nil && len(out.Lost) == 0 {
			t.Errorf("round %d: %s of %s is not told", round, how, name)
		}
		if _, err := to.Get(t.Context(), "repo.json", 0, -1); err != nil {
			continue // nothing was copied
		}
		for got, data := range contents(t, to) {
			if !bytes.Equal(was[got], data) {
				t.Errorf("round %d: %s of %s: %s was copied as it should not be", round, how, name, got)
			}
		}
	}
}

func TestCopiesThatAreNone(t *testing.T) {
	k := newKeys(t)
	from := lived(t, k)
	other := lived(t, newKeys(t))
	if _, err := repository.Copy(t.Context(), from, other, repository.CopyOptions{Heal: true}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto another repository: %v, want fs.ErrExist", err)
	}
	if _, err := repository.Copy(t.Context(), new(mem.Store), new(mem.Store), repository.CopyOptions{}); !errors.Is(err, repository.ErrNoRepository) {
		t.Errorf("of nothing: %v, want ErrNoRepository", err)
	}
	fork := storing(t, contents(t, from))
	for i, s := range []store.Store{from, fork} {
		_, err := reopen(t, s, k).Append(t.Context(), repository.KindPlan, 0, fmt.Append(nil, "plan ", i))
		must(t, err)
	}
	before := contents(t, fork)
	if _, err := repository.Copy(t.Context(), from, fork, repository.CopyOptions{Heal: true}); !errors.Is(err, repository.ErrRollback) {
		t.Errorf("of two that went apart: %v, want ErrRollback", err)
	}
	if len(contents(t, fork)) != len(before) {
		t.Error("what went apart was written to")
	}
	head := reopen(t, from, k).Head()
	head.Size++
	if _, err := repository.Copy(t.Context(), from, new(mem.Store), repository.CopyOptions{Seen: head}); !errors.Is(err, repository.ErrRollback) {
		t.Errorf("of one that was taken back: %v, want ErrRollback", err)
	}
}
