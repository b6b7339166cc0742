package file_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/file"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

func open(t *testing.T, dir string) *file.Store {
	t.Helper()
	s, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

func TestDraftsMeanNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Put(t.Context(), "a", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	drafts, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(drafts) != 0 {
		t.Errorf("a finished Put left drafts %v, %v", drafts, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", "torn"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, err := range s.List(t.Context(), "") {
		if err != nil || name != "a" {
			t.Errorf("List yields %q, %v", name, err)
		}
	}
	if _, err := s.Get(t.Context(), "tmp/torn", 0, -1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Get of a draft: %v, want fs.ErrInvalid", err)
	}
}

func TestLinksLeadNowhere(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := open(t, dir)
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "way")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if _, err := s.Get(t.Context(), "way/secret", 0, -1); err == nil {
		t.Error("Get followed a link out of the store")
	}
	if err := s.Put(t.Context(), "way/in", strings.NewReader("x")); err == nil {
		t.Error("Put followed a link out of the store")
	}
}

func TestReadOnlyDirectoryIsAnError(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("permissions do not bind root")
	}
	dir := t.TempDir()
	s := open(t, dir)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a", strings.NewReader("x")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Put: %v, want fs.ErrPermission", err)
	}
}
