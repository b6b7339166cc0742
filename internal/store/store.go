// Package store says what a repository asks of the place that keeps its bytes: named blobs that are
// written once and never change.
//
// It promises nothing by itself; store/storetest holds every implementation to the words of Store. It
// refuses to overwrite, and to delete unless it is asked by the name of Remover, so nothing else built on it can lose
// what was written.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"
)

// A Store keeps blobs that never change. It is safe for concurrent use, by several processes too. Errors
// wrap fs.ErrNotExist and fs.ErrExist, and fs.ErrInvalid where CheckName refuses the name.
type Store interface {
	// Put writes what r yields under name, all or nothing, and durably once it returns nil. If the name is
	// taken it changes nothing and returns fs.ErrExist; the place itself decides that, not a look
	// beforehand, so of two writers exactly one wins. An error from r fails the Put. Where the error wraps
	// ErrNotDurable, the blob may be there.
	Put(ctx context.Context, name string, r io.Reader) error
	// Get returns n bytes of the blob from off, or all from off if n is negative; fewer where the blob ends
	// before.
	Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// List yields the names that begin with the prefix, ascending bytewise.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// A Remover is a Store that can also take a blob away, where its credential may. Who captures needs none.
type Remover interface {
	Store
	// Remove takes the blob away, durably once it returns nil. Of a name that has no blob the error wraps
	// fs.ErrNotExist, and where a lock keeps the blob it wraps fs.ErrPermission.
	Remove(ctx context.Context, name string) error
}

// A Locker is a Store that can keep what it holds from being taken away, by anybody, until a time. What is put is locked
// from the beginning.
type Locker interface {
	Remover
	// Days is for how many days what is put is locked.
	Days() int
	// Until returns until when a blob is locked so that nobody can lift that, the zero time where it is not.
	Until(ctx context.Context, name string) (time.Time, error)
	// Lock locks a blob until a time at least; it never shortens.
	Lock(ctx context.Context, name string, until time.Time) error
}

// ErrNotDurable is in the error of a Put whose blob may lie under its name and may be lost with the power: nothing may be
// built on it.
var ErrNotDurable = errors.New("it may not be durable")

// MaxName is the greatest length of a name, in bytes.
const MaxName = 200

// CheckName reports whether a store must accept the name: parts of lower-case letters, digits, dots,
// hyphens and underscores, separated by single slashes, no part beginning with a dot. Such names mean the
// same on every file system and in every object store.
func CheckName(name string) error {
	bad := name == "" || len(name) > MaxName
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || part == "" || part[0] == '.' || part[len(part)-1] == '.'
		for _, c := range []byte(part) {
			switch {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
			default:
				bad = true
			}
		}
	}
	if bad {
		return fmt.Errorf("store: name %q: %w", name, fs.ErrInvalid)
	}
	return nil
}

// CheckRange refuses a range that no blob has.
func CheckRange(name string, off int64) error {
	if off < 0 {
		return fmt.Errorf("store: %s: negative offset %d: %w", name, off, fs.ErrInvalid)
	}
	return nil
}
