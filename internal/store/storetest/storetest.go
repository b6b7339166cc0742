// Package storetest holds a store to the promises of store.Store, and makes stores that fail.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// Run tests the stores that open makes. Each call of open must return an empty store.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Run("what is put is got", func(t *testing.T) {
		s := open(t)
		for name, data := range map[string]string{"a": "", "b/c": "hello", "b/d/e.x": strings.Repeat("long ", 100_000)} {
			put(t, s, name, data)
			if got := get(t, s, name, 0, -1); got != data {
				t.Errorf("%s: got %d bytes, want %d", name, len(got), len(data))
			}
		}
	})
	t.Run("ranges", func(t *testing.T) {
		s := open(t)
		put(t, s, "r", "0123456789")
		for _, c := range []struct {
			off, n int64
			want   string
		}{{0, -1, "0123456789"}, {3, -1, "3456789"}, {3, 4, "3456"}, {0, 0, ""}, {8, 5, "89"}, {10, 1, ""}, {12, -1, ""}, {12, 3, ""}} {
			if got := get(t, s, "r", c.off, c.n); got != c.want {
				t.Errorf("Get(%d, %d) = %q, want %q", c.off, c.n, got, c.want)
			}
		}
		if _, err := s.Get(t.Context(), "r", -1, 1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("negative offset: %v, want fs.ErrInvalid", err)
		}
	})
	t.Run("a taken name stays as it is", func(t *testing.T) {
		s := open(t)
		put(t, s, "x/y", "first")
		if err := s.Put(t.Context(), "x/y", strings.NewReader("second")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("second Put: %v, want fs.ErrExist", err)
		}
		if got := get(t, s, "x/y", 0, -1); got != "first" {
			t.Errorf("after the second Put: %q", got)
		}
	})
	t.Run("what is removed", func(t *testing.T) {
		s, ok := open(t).(store.Remover)
		if !ok {
			return
		}
		put(t, s, "x/y", "first")
		if err := s.Remove(t.Context(), "x/y"); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(t.Context(), "x/y"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("second Remove: %v, want fs.ErrNotExist", err)
		}
		if _, err := s.Get(t.Context(), "x/y", 0, -1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get: %v, want fs.ErrNotExist", err)
		}
		put(t, s, "x/y", "second")
		if got := get(t, s, "x/y", 0, -1); got != "second" {
			t.Errorf("put again: %q", got)
		}
	})
	t.Run("what is not there", func(t *testing.T) {
		s := open(t)
		put(t, s, "d/f", "x")
		for _, name := range []string{"n", "d", "d/g", "d/f/h"} {
			if _, err := s.Get(t.Context(), name, 0, -1); !errors.Is(err, fs.ErrNotExist) && name != "d/f/h" {
				t.Errorf("Get(%s): %v, want fs.ErrNotExist", name, err)
			} else if err == nil {
				t.Errorf("Get(%s) has a blob", name)
			}
		}
	})
	t.Run("names that are refused", func(t *testing.T) {
		s := open(t)
		for _, name := range []string{"", "/", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.b", "A", "a b", "a\x00b", `a\b`, "c:", "ä", "a.", strings.Repeat("x", store.MaxName+1)} {
			if err := s.Put(t.Context(), name, strings.NewReader("x")); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("Put(%q): %v, want fs.ErrInvalid", name, err)
			}
		}
		if names := list(t, s, ""); len(names) != 0 {
			t.Errorf("refused names left %q", names)
		}
	})
	t.Run("list", func(t *testing.T) {
		s := open(t)
		all := []string{"a", "b-1", "b.x", "b/1", "b/2/3", "b/20", "b0", "log/000/000000001", "log/000/000000002"}
		for _, name := range slices.Backward(all) {
			put(t, s, name, name)
		}
		for _, prefix := range []string{"", "a", "b", "b/", "b/2", "b/2/", "log/", "log/000/00000000", "c", "b//", "/", "../"} {
			var want []string
			for _, name := range all {
				if strings.HasPrefix(name, prefix) {
					want = append(want, name)
				}
			}
			if got := list(t, s, prefix); !slices.Equal(got, want) {
				t.Errorf("List(%q) = %q, want %q", prefix, got, want)
			}
		}
		for range s.List(t.Context(), "") {
			break // a consumer may stop
		}
	})
	t.Run("a reader that fails leaves nothing", func(t *testing.T) {
		s := open(t)
		broken := errors.New("broken")
		err := s.Put(t.Context(), "half", io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("Put: %v, want the reader's error", err)
		}
		if names := list(t, s, ""); len(names) != 0 {
			t.Errorf("left %q", names)
		}
		put(t, s, "half", "whole")
	})
	t.Run("a cancelled context leaves nothing", func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Put(ctx, "c", strings.NewReader("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("Put: %v, want context.Canceled", err)
		}
		if names := list(t, s, ""); len(names) != 0 {
			t.Errorf("left %q", names)
		}
		put(t, s, "d", "x")
		if _, err := s.Get(ctx, "d", 0, -1); !errors.Is(err, context.Canceled) {
			t.Errorf("Get: %v, want context.Canceled", err)
		}
		for _, err := range s.List(ctx, "") {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("List: %v, want context.Canceled", err)
			}
		}
	})
	t.Run("of many writers one wins", func(t *testing.T) {
		s := open(t)
		const writers = 8
		for round := range 20 {
			name := "race/" + string(rune('a'+round))
			errs := make([]error, writers)
			var wg sync.WaitGroup
			for i := range writers {
				wg.Go(func() {
					errs[i] = s.Put(t.Context(), name, bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 1000)))
				})
			}
			wg.Wait()
			won := -1
			for i, err := range errs {
				switch {
				case err == nil && won < 0:
					won = i
				case err == nil:
					t.Fatalf("writers %d and %d both won", won, i)
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("writer %d: %v, want fs.ErrExist", i, err)
				}
			}
			if won < 0 {
				t.Fatal("no writer won")
			}
			if got := get(t, s, name, 0, -1); got != strings.Repeat(string([]byte{byte(won)}), 1000) {
				t.Errorf("writer %d won, the blob is another's", won)
			}
		}
	})
}

func put(t *testing.T, s store.Store, name, data string) {
	t.Helper()
	if err := s.Put(t.Context(), name, strings.NewReader(data)); err != nil {
		t.Fatalf("Put(%s): %v", name, err)
	}
}

func get(t *testing.T, s store.Store, name string, off, n int64) string {
	t.Helper()
	r, err := s.Get(t.Context(), name, off, n)
	if err != nil {
		t.Fatalf("Get(%s): %v", name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("Get(%s): %v", name, err)
	}
	return string(data)
}

func list(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	var names []string
	for name, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List(%q): %v", prefix, err)
		}
		names = append(names, name)
	}
	return names
}

// A Fault says how an operation fails.
type Fault int

// The faults.
const (
	None   Fault = iota
	Before       // nothing happens, and the caller is told so
	After        // it happens, and the caller is told it did not
)

// ErrFault is the error of a fault.
var ErrFault = errors.New("injected fault")

// Faulty returns a store that fails as fault says. It asks fault before each operation, giving its number
// from 0, whether it is "put", "get" or "list", and the name or prefix.
func Faulty(s store.Store, fault func(n int, op, name string) Fault) store.Store {
	return &faulty{s: s, fault: fault}
}

type faulty struct {
	s     store.Store
	fault func(int, string, string) Fault
	mu    sync.Mutex
	n     int
}

func (f *faulty) next(op, name string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return f.fault(f.n-1, op, name)
}

// Put implements store.Store.
func (f *faulty) Put(ctx context.Context, name string, r io.Reader) error {
	switch f.next("put", name) {
	case Before:
		return ErrFault
	case After:
		return errors.Join(ErrFault, f.s.Put(ctx, name, r))
	}
	return f.s.Put(ctx, name, r)
}

// Get implements store.Store.
func (f *faulty) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	fault := f.next("get", name)
	if fault == Before {
		return nil, ErrFault
	}
	r, err := f.s.Get(ctx, name, off, n)
	if err != nil || fault == None {
		return r, err
	}
	// The connection breaks half-way.
	return section{io.MultiReader(io.LimitReader(r, 100), iotest.ErrReader(ErrFault)), r}, nil
}

type section struct {
	io.Reader
	io.Closer
}

// List implements store.Store.
func (f *faulty) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if f.next("list", prefix) != None {
			yield("", ErrFault)
			return
		}
		f.s.List(ctx, prefix)(yield)
	}
}
