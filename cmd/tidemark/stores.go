package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/file"
)

// stores are the places a repository can lie in, by the scheme of their URLs.
var stores = map[string]func(*url.URL) (store.Store, error){
	"file": openFolder,
}

// openStore opens the place that a URL names. What has no scheme is a path on this machine.
func openStore(place string) (store.Store, error) {
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
		return openFolder(&url.URL{Path: path})
	}
	open, known := stores[scheme]
	if !known {
		return nil, usage("repository %q: no store is called %q; supported is %s", place, scheme, strings.Join(slices.Sorted(mapsKeys(stores)), ", "))
	}
	u, err := url.Parse(place)
	if err != nil {
		return nil, usage("repository: %v", err)
	}
	return open(u)
}

// openFolder opens a folder on this machine, making it where it is missing.
func openFolder(u *url.URL) (store.Store, error) {
	if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
		return nil, usage("repository %q: a folder's URL is file:// and an absolute path, three slashes in all", u)
	}
	s, err := file.Open(filepath.Clean(u.Path))
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return s, nil
}
