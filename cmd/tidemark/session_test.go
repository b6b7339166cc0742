package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Two programs that kept the newest head at once wrote into the same draft, and one put the other's half into place.
func TestFilesAreReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "head")
	const writers, rounds = 4, 25
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range rounds {
				if err := writeFile(path, bytes.Repeat([]byte{byte('a' + i)}, 100_000), 0o600); err != nil {
					t.Error(err)
				}
				if got, err := os.ReadFile(path); err != nil || len(got) != 100_000 || bytes.Count(got, got[:1]) != len(got) {
					t.Errorf("%d bytes of several, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// What must not exist is made whole or not at all, and by one of many.
func TestNewFilesAreMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.txt")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = writeNew(path, bytes.Repeat([]byte{byte('a' + i)}, 1000)) })
	}
	wg.Wait()
	made := 0
	for i, err := range errs {
		if got, e := os.ReadFile(path); err == nil && (e != nil || got[0] != byte('a'+i) || len(got) != 1000) {
			t.Errorf("made by %d, and it is %d bytes of %c", i, len(got), got[0])
		}
		if err == nil {
			made++
		} else if !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || made != 1 || len(left) != 1 {
		t.Errorf("made %d times; left are %v, %v", made, left, err)
	}
}
