// Package file is a store in a directory of an ordinary file system.
//
// It promises that a Put that returned nil survives the loss of power, and that one that did not leaves
// nothing under the name, unless its error wraps store.ErrNotDurable. A blob is written to a file in tmp/, synced, linked
// to its name, which fails where the name is taken, and its directory is synced. What a crash leaves in tmp/ means nothing
// and is never read. It refuses names that could lead out of the directory, symbolic links included, and to go on in a
// directory that once failed to sync.
package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// tmp is where unfinished blobs lie. Names of blobs may not begin with it.
const tmp = "tmp"

// A Disk is what a Store asks of a file system. Names are relative, with slashes, and lead nowhere else.
type Disk interface {
	// Create makes a file that must not exist, which nobody may write to afterwards.
	Create(name string) (Draft, error)
	Open(name string) (File, error)
	Link(from, to string) error
	Remove(name string) error
	Mkdir(name string) error
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	ReadDir(name string) ([]fs.DirEntry, error)
	Lstat(name string) (fs.FileInfo, error)
}

// A Draft is a file that is being written.
type Draft interface {
	io.WriteCloser
	Sync() error
}

// A File is one that is being read.
type File interface {
	fs.File
	io.ReaderAt
}

// A Store is a store.Store in a directory.
type Store struct {
	disk Disk
	root *os.Root // of Open, else nil

	mu   sync.Mutex
	dirs map[string]error // those whose own entry is durable, or why nothing more is put into one
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
	if err := settle(root, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), root.Close())
	}
	s := On(folder{root})
	s.root = root
	return s, nil
}

// On returns a store on a disk of the caller's.
func On(d Disk) *Store { return &Store{disk: d, dirs: map[string]error{}} }

// Close releases the directory.
func (s *Store) Close() error {
	if s.root == nil {
		return nil
	}
	return s.root.Close()
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, name string, r io.Reader) error {
	if err := check(name); err != nil {
		return err
	}
	if _, err := s.disk.Lstat(name); err == nil {
		return fmt.Errorf("put %s: %w", name, fs.ErrExist) // saves the work; link decides
	}
	if err := s.put(ctx, name, r); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, name string, r io.Reader) (err error) {
	draft := tmp + "/" + strings.ToLower(rand.Text())
	f, err := s.disk.Create(draft)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.disk.Mkdir(tmp); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		f, err = s.disk.Create(draft)
	}
	if err != nil {
		return err
	}
	defer func() {
		// A draft left behind by a failed removal is garbage that nothing reads.
		if gone := s.disk.Remove(draft); err == nil && gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = gone
		}
	}()
	if err := fill(ctx, f, r); err != nil {
		return err
	}
	dir := path.Dir(name)
	if err := s.ready(dir); err != nil {
		return err
	}
	err = s.disk.Link(draft, name)
	// A link that failed may have been made: a server that lost its answer is asked again, and says that the name is
	// taken. Whoever reads what lies there must not build on what is not durable.
	if synced := s.sync(dir); synced != nil {
		return fmt.Errorf("%w: %w", store.ErrNotDurable, errors.Join(err, synced))
	}
	return err
}

// fill writes r to f, syncs and closes it. A sync that failed is final: the kernel may have dropped the
// pages, so a second one that succeeds would prove nothing.
func fill(ctx context.Context, f Draft, r io.Reader) error {
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

// ready makes the directory and its parents, each one durably. One that is there may have been made by somebody who was
// stopped before it was durable, so the first time each is synced all the same.
func (s *Store) ready(dir string) error {
	s.mu.Lock()
	err, known := s.dirs[dir]
	s.mu.Unlock()
	if known || dir == "." {
		return err
	}
	parent := path.Dir(dir)
	if err := s.ready(parent); err != nil {
		return err
	}
	if err := s.disk.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.sync(parent); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.dirs[dir]; !known {
		s.dirs[dir] = nil
	}
	return nil
}

// sync makes the directory's entries durable. One that failed is final, as of a file.
func (s *Store) sync(dir string) error {
	s.mu.Lock()
	err := s.dirs[dir]
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err = s.disk.SyncDir(dir); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dirs[dir] = err
	}
	return err
}

// Settle makes durable what is there, which somebody may have put who was stopped before it was.
func (s *Store) Settle(ctx context.Context) error {
	if err := s.settle(ctx, "."); err != nil {
		return fmt.Errorf("settle store: %w", err)
	}
	return nil
}

func (s *Store) settle(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := s.disk.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := path.Join(dir, e.Name()); e.IsDir() && name != tmp {
			if err := s.settle(ctx, name); err != nil {
				return err
			}
		}
	}
	return s.sync(dir)
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
	f, err := s.disk.Open(name)
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
		err = s.disk.Remove(name)
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
	entries, err := s.disk.ReadDir(dir)
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
