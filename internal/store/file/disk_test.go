package file_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/file"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

func TestStoreOnADisk(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return file.On(storetest.NewDisk()) })
}

// The disk loses what it should, or the tests that use it would prove nothing.
func TestTheDiskLosesWhatIsNotSynced(t *testing.T) {
	d := storetest.NewDisk()
	if err := errors.Join(d.Mkdir("kept"), d.Mkdir("lost")); err != nil {
		t.Fatal(err)
	}
	write := func(name string, sync bool) {
		t.Helper()
		f, err := d.Create(name)
		if err == nil {
			_, err = f.Write([]byte(strings.Repeat("x", 2000)))
		}
		if err == nil && sync {
			err = f.Sync()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("kept/whole", true)
	write("kept/empty", false)
	if err := d.SyncDir("kept"); err != nil {
		t.Fatal(err)
	}
	write("kept/late", true)
	left := func() map[string]int64 {
		sizes := map[string]int64{}
		for _, dir := range []string{".", "kept"} {
			entries, err := d.ReadDir(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			for _, e := range entries {
				if i, err := e.Info(); err == nil && !e.IsDir() {
					sizes[e.Name()] = i.Size()
				}
			}
		}
		return sizes
	}
	before := d.Clone()
	d.PowerLoss(storetest.Nothing, nil)
	if got := left(); len(got) != 0 {
		t.Errorf("a directory that was not synced in its own has %v", got)
	}
	if err := before.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	d = before.Clone()
	d.PowerLoss(storetest.Nothing, nil)
	if got := left(); len(got) != 2 || got["whole"] != 2000 || got["empty"] != 0 {
		t.Errorf("left are %v", got)
	}
	torn := false
	for seed := range uint64(50) {
		d = before.Clone()
		d.PowerLoss(storetest.Sectors, rand.New(rand.NewPCG(seed, 0)))
		n := left()["empty"]
		torn = torn || 0 < n && n < 2000
	}
	if !torn {
		t.Error("no file was ever torn")
	}
}

// A directory that an earlier program had made, and not yet synced when it was stopped, was once taken for durable.
func TestADirectoryOfAnotherIsMadeDurable(t *testing.T) {
	d := storetest.NewDisk()
	if err := errors.Join(d.Mkdir("a"), d.Mkdir("a/b")); err != nil {
		t.Fatal(err)
	}
	if err := file.On(d).Put(t.Context(), "a/b/c", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	d.PowerLoss(storetest.Nothing, nil)
	if _, err := file.On(d).Get(t.Context(), "a/b/c", 0, -1); err != nil {
		t.Errorf("after the loss of power: %v", err)
	}
}

// A sync that failed once is not tried again, and nothing more goes into a directory that failed: what the first one lost
// would be lost under it.
func TestAFailedSyncIsFinal(t *testing.T) {
	for _, op := range []string{"sync", "syncdir"} {
		d := storetest.NewDisk()
		s := file.On(d)
		if err := s.Put(t.Context(), "a/b", strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		failed := false
		d.Inject(func(_ int, is, _ string) storetest.Trouble {
			if is != op || failed {
				return storetest.Trouble{}
			}
			failed = true
			return storetest.Trouble{Err: syscall.EIO}
		})
		err := s.Put(t.Context(), "a/c", strings.NewReader("x"))
		if !errors.Is(err, syscall.EIO) || errors.Is(err, store.ErrNotDurable) != (op == "syncdir") {
			t.Errorf("%s: Put: %v", op, err)
		}
		err = s.Put(t.Context(), "a/d", strings.NewReader("x"))
		if (err == nil) != (op == "sync") {
			t.Errorf("%s: the next Put: %v", op, err)
		}
		if again := d.Retried(); len(again) != 0 {
			t.Errorf("%s: %q synced again", op, again)
		}
	}
}

// A link whose answer is lost, and which is then found to be taken, is one's own and not yet durable.
func TestWhatIsTakenIsDurable(t *testing.T) {
	d := storetest.NewDisk()
	d.Inject(func(_ int, op, _ string) storetest.Trouble {
		if op == "link" {
			return storetest.Trouble{Err: fs.ErrExist, Done: true}
		}
		return storetest.Trouble{}
	})
	if err := file.On(d).Put(t.Context(), "a", strings.NewReader("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Put: %v, want fs.ErrExist", err)
	}
	d.PowerLoss(storetest.Nothing, nil)
	if _, err := file.On(d).Get(t.Context(), "a", 0, -1); err != nil {
		t.Errorf("after the loss of power: %v", err)
	}
}
