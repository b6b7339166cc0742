package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// Identify returns the ID of the repository in a store, from its plain header and without a key, so that a
// caller can look up what it knows of it before opening it. It checks nothing else.
func Identify(ctx context.Context, s store.Store) (string, error) {
	raw, err := read(ctx, s, repoName, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNoRepository
	}
	if err != nil {
		return "", fmt.Errorf("identify repository: %w", err)
	}
	h, err := parseHeader(raw)
	return h.Repository, err
}
