// Package file is a store in a directory of an ordinary file system.
//
// It promises that a Put that returned nil survives the loss of power, and that one that did not leaves
// nothing under the name. A blob is written to a file in tmp/, synced, linked to its name, which fails
// where the name is taken, and its directory is synced. What a crash leaves in tmp/ means nothing and is
// never read. It refuses names that could lead out of the directory, symbolic links included.
package file

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// tmp is where unfinished blobs lie. Names of blobs may not begin with it.
const tmp = "tmp"

// A Store is a store.Store in a directory.
type Store struct {
	root *os.Root
}

// Open opens the directory, making it if there is none. Close lets it go.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Store{root}, nil
}

// Close releases the directory.
func (s *Store) Close() error { return s.root.Close() }

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, name string, r io.Reader) error {
	if err := check(name); err != nil {
		return err
	}
	if _, err := s.root.Lstat(name); err == nil {
		return fmt.Errorf("put %s: %w", name, fs.ErrExist) // saves the work; link decides
	}
	if err := s.put(ctx, name, r); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, name string, r io.Reader) (err error) {
	if err := s.mkdir(tmp); err != nil {
		return err
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	draft := tmp + "/" + hex.EncodeToString(random[:])
	f, err := s.root.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	defer func() {
		// A draft left behind by a failed removal is garbage that nothing reads.
		if gone := s.root.Remove(draft); err == nil && gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = gone
		}
	}()
	if err := fill(ctx, f, r); err != nil {
		return err
	}
	dir := path.Dir(name)
	if err := s.mkdir(dir); err != nil {
		return err
	}
	if err := s.root.Link(draft, name); err != nil {
		return err
	}
	return s.sync(dir)
}

// fill writes r to f, syncs and closes it. A sync that failed is final: the kernel may have dropped the
// pages, so a second one that succeeds would prove nothing.
func fill(ctx context.Context, f *os.File, r io.Reader) error {
	_, err := io.Copy(f, reader{ctx, r})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// reader stops at a cancelled context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// mkdir makes the directory and its parents, each one durably.
func (s *Store) mkdir(dir string) error {
	if _, err := s.root.Stat(dir); err == nil {
		return nil
	}
	parent := path.Dir(dir)
	if parent != "." {
		if err := s.mkdir(parent); err != nil {
			return err
		}
	}
	if err := s.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.sync(parent)
}

// sync makes the directory's entries durable. Windows has no such call and journals them by itself.
func (s *Store) sync(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	if err := store.CheckRange(name, off); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // a directory is not a blob
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("get %s: %w", name, err), f.Close())
	}
	if off == 0 && n < 0 {
		return f, nil
	}
	if n < 0 {
		n = max(0, info.Size()-off)
	}
	return section{io.NewSectionReader(f, off, n), f}, nil
}

// Remove implements store.Remover.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := check(name); err != nil {
		return err
	}
	err := ctx.Err()
	if err == nil {
		err = s.root.Remove(name)
	}
	if err == nil {
		err = s.sync(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

type section struct {
	io.Reader
	io.Closer
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		dir := "."
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			dir = prefix[:i]
		}
		if dir != "." && check(dir) != nil {
			return // no blob has such a name
		}
		s.list(ctx, dir, prefix, yield)
	}
}

// list yields the names in dir and below, ascending. A directory stands in the order as its name and a
// slash, since that is how the names in it continue. It reports whether to go on.
func (s *Store) list(ctx context.Context, dir, prefix string, yield func(string, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield("", err)
		return false
	}
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		yield("", fmt.Errorf("list %s: %w", dir, err))
		return false
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			name += "/"
		}
		if name != tmp+"/" && (strings.HasPrefix(name, prefix) || strings.HasPrefix(prefix, name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		sub, isDir := strings.CutSuffix(name, "/")
		switch {
		case isDir:
			if !s.list(ctx, sub, prefix, yield) {
				return false
			}
		case strings.HasPrefix(name, prefix) && check(name) == nil:
			if !yield(name, nil) {
				return false
			}
		}
	}
	return true
}

func check(name string) error {
	if err := store.CheckName(name); err != nil {
		return err
	}
	if name == tmp || strings.HasPrefix(name, tmp+"/") {
		return fmt.Errorf("store: name %q: %w", name, fs.ErrInvalid)
	}
	return nil
}
