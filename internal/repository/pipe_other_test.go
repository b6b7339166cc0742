//go:build !unix

package repository_test

import "os"

// pipe makes a folder where there are no pipes.
func pipe(path string) error { return os.Mkdir(path, 0o700) }
