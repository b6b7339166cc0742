package bucket_test

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/bucket"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

func TestS3(t *testing.T) { run(t, storetest.S3(t)) }

func TestAzureBlob(t *testing.T) { run(t, storetest.Azure(t)) }

// run holds a store to its promises, each under a prefix of its own.
func run(t *testing.T, place string) {
	storetest.Run(t, func(t *testing.T) store.Store {
		u, err := url.Parse(strings.Replace(place, "{name}", "a/"+strings.ToLower(rand.Text()), 1))
		if err != nil {
			t.Fatal(err)
		}
		return opened(t, u)
	})
}

// opened opens a place until the test ends.
func opened(t *testing.T, u *url.URL) store.Remover {
	t.Helper()
	s, err := bucket.Open(t.Context(), u, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// What is locked nobody takes away before its time, nor shortens the lock; it can be made longer. Everything else is as in
// any store.
func TestLockedS3(t *testing.T) {
	place := storetest.LockedS3(t)
	u, err := url.Parse(strings.Replace(place, "{name}", "a", 1))
	if err != nil {
		t.Fatal(err)
	}
	plain := opened(t, u)
	q := u.Query()
	q.Set("lock_days", "2")
	u.RawQuery = q.Encode()
	s, ok := opened(t, u).(store.Locker)
	if !ok || s.Days() != 2 {
		t.Fatalf("%T has no locks", s)
	}
	ctx := t.Context()
	put := func(s store.Store, name string) {
		t.Helper()
		if err := s.Put(ctx, name, strings.NewReader("kept")); err != nil {
			t.Fatal(err)
		}
	}
	until := func(name string) time.Duration {
		t.Helper()
		at, err := s.Until(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if at.IsZero() {
			return 0
		}
		return time.Until(at).Round(time.Hour)
	}
	put(s, "x/locked")
	put(plain, "x/open")
	if got := until("x/locked"); got != 48*time.Hour {
		t.Errorf("locked for %s", got)
	}
	if got := until("x/open"); got != 0 {
		t.Errorf("what was put without a lock is locked for %s", got)
	}
	if err := s.Put(ctx, "x/locked", strings.NewReader("other")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("put again: %v", err)
	}
	if err := s.Remove(ctx, "x/locked"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Remove of what is locked: %v, want fs.ErrPermission", err)
	}
	if err := s.Lock(ctx, "x/locked", time.Now().Add(24*time.Hour)); err != nil || until("x/locked") != 48*time.Hour {
		t.Errorf("a shorter lock: %v, now for %s", err, until("x/locked"))
	}
	for _, name := range []string{"x/locked", "x/open"} {
		if err := s.Lock(ctx, name, time.Now().Add(96*time.Hour)); err != nil || until(name) != 96*time.Hour {
			t.Errorf("%s: a longer lock: %v, now for %s", name, err, until(name))
		}
	}
	if _, err := s.Until(ctx, "x/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock of what is not there: %v", err)
	}
	if err := s.Lock(ctx, "x/none", time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("locking what is not there: %v", err)
	}
	put(plain, "x/gone")
	if err := s.Remove(ctx, "x/gone"); err != nil {
		t.Errorf("Remove of what is not locked: %v", err)
	}
	if err := s.Remove(ctx, "x/gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Remove of what is gone: %v", err)
	}
	// Who has the right to delete can hide what is locked; it is there all the same, and to put it shows it again.
	if err := plain.Remove(ctx, "x/locked"); err == nil {
		if err := s.Put(ctx, "x/locked", strings.NewReader("kept")); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
	r, err := s.Get(ctx, "x/locked", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "kept" {
		t.Errorf("%q, %v", text, err)
	}
}

// Places that no bucket can be.
func TestOpenRefuses(t *testing.T) {
	for _, place := range []string{"s3://", "s3://user:secret@bucket", "s3://bucket/A", "s3://bucket/.hidden", "s3://bucket?what=this", "azblob://container#x", "s3://bucket?lock_days=0", "s3://bucket?lock_days=x", "azblob://container?lock_days=3"} {
		u, err := url.Parse(place)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := bucket.Open(t.Context(), u, time.Now); err == nil || s != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", place, err)
		}
	}
}
