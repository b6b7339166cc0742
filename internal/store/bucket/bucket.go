// Package bucket is a store in an object store: S3 and what speaks as it does, or Azure Blob Storage.
//
// It promises what store.Store says, by the conditional writes of the service: a name is taken exactly once, whoever asks.
// A write whose answer is lost is looked at, and counts as done where it is ours. It refuses to write without that
// condition, and needs no right to delete but for Remove.
package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/s3blob"    // s3://
	"gocloud.dev/gcerrors"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// A Store is a store.Store in a bucket or a container, below a prefix.
type Store struct {
	b      *blob.Bucket
	before func(as func(any) bool) error // a blob is put; nil for nothing
}

// Open opens the place that a URL names: s3://BUCKET/PREFIX or azblob://CONTAINER/PREFIX, with the parameters that
// gocloud.dev documents for both, such as endpoint and region. Credentials are those that the SDK of each service finds
// by itself. It does not look whether the bucket is there.
//
// With lock_days=N, of s3:// only, it is a *[Locking] store, by the clock now: the bucket must have object lock.
func Open(ctx context.Context, u *url.URL, now func() time.Time) (store.Remover, error) {
	if u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("open %s: a bucket's URL is %s://BUCKET/PREFIX: %w", u.Redacted(), u.Scheme, fs.ErrInvalid)
	}
	prefix := strings.Trim(path.Clean("/"+u.Path), "/")
	if prefix != "" {
		if err := store.CheckName(prefix); err != nil {
			return nil, err
		}
		prefix += "/"
	}
	place := *u
	place.Path = ""
	days, err := locked(&place)
	if err != nil {
		return nil, err
	}
	b, err := blob.OpenBucket(ctx, place.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), err)
	}
	if prefix != "" {
		b = blob.PrefixedBucket(b, prefix)
	}
	s := &Store{b: b}
	if days == 0 {
		return s, nil
	}
	l := &Locking{Store: s, bucket: u.Host, prefix: prefix, days: days, now: now}
	if !b.As(&l.client) {
		return nil, fmt.Errorf("open %s: the service has no locks: %w", u.Redacted(), fs.ErrInvalid)
	}
	s.before = l.lock
	return l, nil
}

// Close lets the connections go.
func (s *Store) Close() error { return s.b.Close() }

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, name string, r io.Reader) error {
	if err := store.CheckName(name); err != nil {
		return err
	}
	ours := &tally{r: r, sum: sha256.New()}
	// Upload and not a Writer: that of Azure panics where an upload fails (gocloud.dev v0.47.0).
	err := s.b.Upload(ctx, name, ours, &blob.WriterOptions{ContentType: "application/octet-stream", DisableContentTypeDetection: true, IfNotExist: true, BeforeWrite: s.before})
	if err == nil {
		return nil
	}
	if ours.err != nil && ours.err != io.EOF {
		return fmt.Errorf("put %s: %w", name, ours.err)
	}
	// The SDK sends again what it got no answer to, and may so meet its own write.
	if taken(err) {
		if same, look := s.holds(ctx, name, ours); look == nil && same {
			return nil
		}
		return fmt.Errorf("put %s: %w", name, fs.ErrExist)
	}
	return s.wrap(ctx, "put", name, err)
}

// taken reports whether a write was refused because the name has a blob, by each of the services' words.
func taken(err error) bool {
	switch gcerrors.Code(err) {
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return true
	}
	return false
}

// holds reports whether a blob is what was put. What went up is random where it is sealed, so that nobody else's can be.
func (s *Store) holds(ctx context.Context, name string, put *tally) (bool, error) {
	if _, err := io.Copy(io.Discard, put); err != nil { // what was not asked for before the refusal
		return false, err
	}
	if put.n == 0 {
		return false, nil // an empty blob says nothing of who wrote it
	}
	r, err := s.Get(ctx, name, 0, -1)
	if err != nil {
		return false, err
	}
	defer r.Close()
	is := sha256.New()
	if _, err := io.Copy(is, r); err != nil {
		return false, err
	}
	return bytes.Equal(is.Sum(nil), put.sum.Sum(nil)), nil
}

// A tally sums what is read.
type tally struct {
	r   io.Reader
	sum hash.Hash
	n   int64
	err error
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.sum.Write(p[:n])
	t.n += int64(n)
	t.err = err
	return n, err
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	if err := store.CheckRange(name, off); err != nil {
		return nil, err
	}
	r, err := s.b.NewRangeReader(ctx, name, off, n, nil)
	if err == nil {
		return r, nil
	}
	if ctx.Err() == nil && gcerrors.Code(err) != gcerrors.NotFound && off > 0 {
		// The service refuses a range behind the end.
		if a, look := s.b.Attributes(ctx, name); look == nil && off >= a.Size {
			return io.NopCloser(strings.NewReader("")), nil
		}
	}
	return nil, s.wrap(ctx, "get", name, err)
}

// Remove implements store.Remover. In a bucket that keeps versions the service hides the blob, and keeps it.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := store.CheckName(name); err != nil {
		return err
	}
	if there, err := s.b.Exists(ctx, name); err != nil {
		return s.wrap(ctx, "remove", name, err)
	} else if !there {
		return fmt.Errorf("remove %s: %w", name, fs.ErrNotExist)
	}
	if err := s.b.Delete(ctx, name); err != nil {
		return s.wrap(ctx, "remove", name, err)
	}
	return nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last := ""
		for it := s.b.List(&blob.ListOptions{Prefix: prefix}); ; {
			o, err := it.Next(ctx)
			if err == io.EOF {
				return
			}
			if err == nil && o.Key <= last {
				err = fmt.Errorf("the service lists %s after %s", o.Key, last)
			}
			if err != nil {
				yield("", s.wrap(ctx, "list", prefix, err))
				return
			}
			if last = o.Key; store.CheckName(o.Key) != nil {
				continue // of somebody else
			}
			if !yield(o.Key, nil) {
				return
			}
		}
	}
}

// sdk is wrap for errors that do not come by way of gocloud.
func (s *Store) sdk(ctx context.Context, op, name string, err error) error {
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) {
		switch status.HTTPStatusCode() {
		case http.StatusNotFound:
			err = errors.Join(fs.ErrNotExist, err)
		case http.StatusForbidden:
			err = errors.Join(fs.ErrPermission, err)
		}
	}
	return s.wrap(ctx, op, name, err)
}

// wrap says what was being done, with the errors that store.Store promises.
func (s *Store) wrap(ctx context.Context, op, name string, err error) error {
	switch {
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		err = errors.Join(ctx.Err(), err)
	case gcerrors.Code(err) == gcerrors.NotFound:
		err = errors.Join(fs.ErrNotExist, err)
	case gcerrors.Code(err) == gcerrors.PermissionDenied:
		err = errors.Join(fs.ErrPermission, err)
	}
	return fmt.Errorf("%s %s: %w", op, name, err)
}
