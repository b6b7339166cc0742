// Package repository keeps the history of one tenant in a store, sealed, signed and append-only.
//
// A repository is a log of records. A record is a signed note of less than 1 KB that names sealed blobs by
// their SHA-256 and carries the root of the RFC 6962 tree over all records so far:
//
//	repo.json                   plain: format, repository, tenant, first epoch, first signer
//	keys/1.5c1a9e0d....age      epoch 1's identity, sealed for one holder
//	log/000/000000000           the note of record 0, which binds repo.json
//	log/000/000000001           the note of record 1, a snapshot, which binds
//	blobs/3f/3f0c....age        age( zstd frames of JSON lines )
//
// It promises that a commit is all or nothing and durable, that of two writers one wins, that a byte
// changed, a blob dropped or swapped, and a log cut short are found and named, and that what it yields is
// what was written. It refuses records signed by an unknown key, formats newer than its own, logs that
// are older than one already seen or not its continuation, and lines that are not in their one form.
// It never rewrites and never deletes. Bytes on disk are defined in doc/format.md and known only here.
package repository

import (
	"errors"
	"fmt"
	"strings"
)

// What callers decide on. fs.ErrExist is returned where a repository is already there.
var (
	// ErrNoRepository says that the store holds no repository, or only the beginning of one.
	ErrNoRepository = errors.New("no repository here")
	// ErrKey says that no given identity opens the repository, or that none was given.
	ErrKey = errors.New("key does not open this repository")
	// ErrFormat says that the repository's format is newer than this program.
	ErrFormat = errors.New("repository format is newer than this program")
	// ErrRollback says that the log is shorter than, or not a continuation of, one already seen.
	ErrRollback = errors.New("repository is older than a head already seen, or not its continuation")
	// ErrParent says that a snapshot was compared with one that is no longer the newest.
	ErrParent = errors.New("parent is not the newest snapshot")
	// ErrReadOnly says that the repository was opened without a signer, or with one it does not know.
	ErrReadOnly = errors.New("no known signer to write with")
)

// A CorruptError says which blob is not what it should be.
type CorruptError struct {
	Blob      string
	Reason    string
	Snapshots []int64 // the snapshots that name the blob directly; nil where unknown
}

func (e *CorruptError) Error() string {
	s := e.Blob + ": " + e.Reason
	if len(e.Snapshots) > 0 {
		s += fmt.Sprintf(" (snapshot %s)", strings.Trim(fmt.Sprint(e.Snapshots), "[]"))
	}
	return s
}

func corrupt(blob, format string, args ...any) *CorruptError {
	return &CorruptError{Blob: blob, Reason: fmt.Sprintf(format, args...)}
}
