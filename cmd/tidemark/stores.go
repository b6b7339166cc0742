package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/bucket"
	"github.com/tidemark-backup/tidemark/internal/store/file"
)

// stores are the places a repository can lie in, by the scheme of their URLs.
// With anew they begin a place that is not there yet.
var stores = map[string]func(u *url.URL, anew bool) (store.Store, error){
	"azblob": openBucket,
	"file":   openFolder,
	"s3":     openBucket,
}

// openStore opens the place that a URL names, which must be there. What has no scheme is a path on this
// machine.
func openStore(place string) (store.Store, error) { return openPlace(place, false) }

// makeStore is openStore for a place that need not be there yet.
func makeStore(place string) (store.Store, error) { return openPlace(place, true) }

func openPlace(place string, anew bool) (store.Store, error) {
	scheme, _, ok := strings.Cut(place, "://")
	if !ok {
		if place == "" {
			return nil, usage("which repository? --repository takes its URL, such as file:///var/lib/tidemark/contoso")
		}
		if strings.HasPrefix(place, "file:") {
			return nil, usage("repository %q: a folder's URL is file:// and an absolute path, three slashes in all", place)
		}
		path, err := filepath.Abs(place)
		if err != nil {
			return nil, fmt.Errorf("open repository %s: %w", place, err)
		}
		return openFolder(&url.URL{Path: path}, anew)
	}
	open, known := stores[scheme]
	if !known {
		return nil, usage("repository %q: no store is called %q; supported is %s", place, scheme, strings.Join(slices.Sorted(mapsKeys(stores)), ", "))
	}
	u, err := url.Parse(place)
	if err != nil {
		return nil, usage("repository: %v", err)
	}
	return open(u, anew)
}

// openBucket opens a place in an object store. Whether a repository is there shows when it is read.
func openBucket(u *url.URL, _ bool) (store.Store, error) {
	s, err := bucket.Open(context.Background(), u, time.Now)
	if errors.Is(err, fs.ErrInvalid) {
		return nil, usage("repository: %v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return s, nil
}

// openFolder opens a folder on this machine. A mistyped name does not leave an empty folder behind.
func openFolder(u *url.URL, anew bool) (store.Store, error) {
	if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
		return nil, usage("repository %q: a folder's URL is file:// and an absolute path, three slashes in all", u)
	}
	if _, err := os.Stat(u.Path); !anew && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open %s: there is no such folder: %w", u.Path, repository.ErrNoRepository)
	}
	s, err := file.Open(filepath.Clean(u.Path))
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return s, nil
}
