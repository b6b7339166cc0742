// Package index is the disposable SQL projection of a repository: it answers questions about snapshots
// quickly and holds nothing that the repository does not.
//
// It promises that an index brought up to date step by step equals one built anew, that an interrupted
// update leaves it whole at the last record it took in, and that no answer holds more in memory than a page
// and a few bytes for each of its rows.
// It refuses to be the truth: a database that is damaged, foreign, of another schema, another projection or
// another repository is deleted and filled again. It knows no type by name; names, search words and
// references come from the projection its caller gives it.
//
// The database holds names and IDs in clear. Its file has mode 0600.
package index

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

//go:embed *.sql
var statements embed.FS

// forever is the z of a row that still holds. The SQL says it as a literal, without which SQLite does not
// use the partial indexes. No log gets that long, and most rows hold it, twice.
const forever = 1<<31 - 1

// chunk is how many rows or refs one statement takes or gives.
const chunk = 1000

// A Projection is what the index keeps of an object beside its place.
type Projection struct {
	Name   string     // what people call it
	Search []string   // the texts it is found by: names, user principal name, appId
	Refs   []entra.ID // the IDs its properties hold as declared references
}

// An Act is what the index keeps of an entry of the tenant's audit log beside its place.
type Act struct {
	ID string // unique in the tenant; a second entry with the same ID is dropped
	At time.Time
	On []entra.ID // what it was done to, and who did it
}

// Options say what the index keeps. The zero value names objects by their IDs and keeps no references and
// no acts. The functions are called inside a transaction and must not ask the index.
type Options struct {
	Project func(entra.Object) Projection
	// Act reads one entry of the audit log. It reports false for an entry that is not to be found.
	Act func(entra.Body) (Act, bool)
	// Version names the two functions' version. Where it differs from the database's, the index is rebuilt.
	Version string
}

// An Index is a database on this machine. It is safe for concurrent use, by several processes too.
type Index struct {
	path string
	o    Options

	gate   sync.RWMutex // held for writing while the database file is replaced
	pool   *pool
	broken atomic.Bool // the database turned out to be damaged

	turn  chan struct{} // held by the one Update at a time
	cache *cache
	shelf shelf
}

// Open opens the database at path, or makes one. ":memory:" keeps it in memory, until Close. The folder is
// made where it is missing, with mode 0700.
func Open(ctx context.Context, path string, o Options) (*Index, error) {
	x := &Index{path: path, o: o, turn: make(chan struct{}, 1), cache: newCache()}
	if err := x.open(ctx); err != nil {
		return nil, fmt.Errorf("open index %s: %w", path, err)
	}
	return x, nil
}

// Close closes the database. A database that turned out to be damaged is deleted.
func (x *Index) Close() error {
	x.gate.Lock()
	defer x.gate.Unlock()
	if x.pool == nil {
		return nil
	}
	err := x.pool.close()
	x.pool = nil
	if x.broken.Load() {
		err = errors.Join(err, x.remove())
	}
	return err
}

var errClosed = errors.New("index is closed")

// read runs one statement and scans its rows. No rows stay open while anything else happens, so callers may
// ask again from within a sequence.
func (x *Index) read(ctx context.Context, name string, scan func(*sql.Rows) error, args ...any) error {
	x.gate.RLock()
	defer x.gate.RUnlock()
	if x.pool == nil {
		return errClosed
	}
	err := query(ctx, x.pool.stmt(name), scan, args...)
	x.note(err)
	if err != nil {
		return fmt.Errorf("index: read %s: %w", name, err)
	}
	return nil
}

func query(ctx context.Context, s *sql.Stmt, scan func(*sql.Rows) error, args ...any) error {
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Snapshot returns the snapshot with the number. The error wraps fs.ErrNotExist where there is none.
func (x *Index) Snapshot(ctx context.Context, number int64) (*snapshot.Snapshot, error) {
	return one(x.snapshots(ctx, "snapshot", number))(fmt.Sprintf("snapshot %d", number))
}

// Latest returns the newest snapshot. The error wraps fs.ErrNotExist where there is none.
func (x *Index) Latest(ctx context.Context) (*snapshot.Snapshot, error) {
	return one(x.snapshots(ctx, "latest"))("latest snapshot")
}

// Before returns the number of the last snapshot before the one with the number, 0 where there is none.
func (x *Index) Before(ctx context.Context, number int64) (before int64, err error) {
	err = x.read(ctx, "before", func(rows *sql.Rows) error { return rows.Scan(&before) }, number)
	return before, err
}

// At returns the last snapshot that had ended by the time. The error wraps fs.ErrNotExist where there is none.
func (x *Index) At(ctx context.Context, when time.Time) (*snapshot.Snapshot, error) {
	return one(x.snapshots(ctx, "at", nano(when)))("snapshot at " + when.UTC().Format(time.RFC3339))
}

// nano is the time in nanoseconds since 1970. A time outside 1678 to 2261 becomes the nearest one inside.
func nano(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func (x *Index) snapshots(ctx context.Context, name string, args ...any) ([]*snapshot.Snapshot, error) {
	return decoded[*snapshot.Snapshot](x, ctx, name, args...)
}

// decoded reads a column of JSON.
func decoded[T any](x *Index, ctx context.Context, name string, args ...any) ([]T, error) {
	var all []T
	err := x.read(ctx, name, func(rows *sql.Rows) error {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var v T
		if err := json.Unmarshal(text, &v); err != nil {
			return err
		}
		all = append(all, v)
		return nil
	}, args...)
	return all, err
}

func one[T any](all []T, err error) func(what string) (T, error) {
	return func(what string) (T, error) {
		var zero T
		if err != nil {
			return zero, err
		}
		if len(all) == 0 {
			return zero, absent(what)
		}
		return all[0], nil
	}
}

func absent(what string) error {
	return &fs.PathError{Op: "index", Path: what, Err: fs.ErrNotExist}
}

// Records returns the records of the given kinds, ascending by number.
func (x *Index) Records(ctx context.Context, kinds ...repository.Kind) ([]repository.Record, error) {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return decoded[repository.Record](x, ctx, "records", text(names))
}

// Aliases returns, for each object that a restore made anew, its ref before and its newest ref. Only refs
// that were replaced are keys.
func (x *Index) Aliases(ctx context.Context) (map[entra.Ref]entra.Ref, error) {
	next := map[entra.Ref]entra.Ref{}
	err := x.read(ctx, "aliases", func(rows *sql.Rows) error {
		var from, to string
		if err := rows.Scan(&from, &to); err != nil {
			return err
		}
		var o, n entra.Ref
		if err := errors.Join(o.UnmarshalText([]byte(from)), n.UnmarshalText([]byte(to))); err != nil {
			return err
		}
		next[o] = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	newest := make(map[entra.Ref]entra.Ref, len(next))
	for old := range next {
		seen := []entra.Ref{old}
		for at := old; ; {
			to, ok := next[at]
			if !ok || slices.Contains(seen, to) { // a log that leads in a circle names no newest
				break
			}
			newest[old], at = to, to
			seen = append(seen, to)
		}
	}
	return newest, nil
}

// text is the JSON that statements take lists as.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("index: " + err.Error()) // lists of strings and numbers always marshal
	}
	return string(b)
}
