package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/repository"
)

func TestOpenStoreRefuses(t *testing.T) {
	cases := []string{"", "file://relative/path", "file:relative", "file:///x?y=z", "file:///x#y", "s3://", "s3://bucket/Upper", "azblob://user:secret@container", "gs://bucket", "http://host/x", "file://%zz"}
	for _, place := range cases {
		s, err := openStore(place)
		if code, _ := explain(err); s != nil || err == nil || code != 2 {
			t.Errorf("openStore(%q) = %v, %v, exit code %d, want a usage error", place, s, err, code)
		}
	}
}

// A folder opens by its path and by its URL; one that is missing is only made when asked.
func TestOpenStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder")
	for _, place := range []string{dir, "file://" + dir} {
		if _, err := openStore(place); !errors.Is(err, repository.ErrNoRepository) {
			t.Errorf("openStore(%q) of a missing folder: %v", place, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("openStore(%q) made the folder", place)
		}
	}
	s, err := makeStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	closeStore(s)
	for _, place := range []string{dir, "file://" + dir} {
		s, err := openStore(place)
		if err != nil {
			t.Errorf("openStore(%q): %v", place, err)
			continue
		}
		closeStore(s)
	}
}

func TestSignerName(t *testing.T) {
	cases := map[string]string{"": "tidemark", "vm": "vm", "host.example.com": "host.example.com", "Ünï code": "n-code", "---": "tidemark",
		"a-very-long-host-name-that-nobody-would-ever-give.example.com": "a-very-long-host-name-that-nobody-would-"}
	for host, want := range cases {
		got := signerName(host)
		if got != want {
			t.Errorf("signerName(%q) = %q, want %q", host, got, want)
		}
		if _, err := repository.GenerateSigner(got); err != nil {
			t.Errorf("signerName(%q): %v", host, err)
		}
	}
}
