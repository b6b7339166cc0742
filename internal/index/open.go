package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// schema is the number of create.sql. There are no migrations: another number means another database.
	schema = 4
	// application marks a database as an index, in the header of the file.
	application = 0x7469646d
	memory      = ":memory:"
	// pageCache is what each connection keeps of the database in memory, in KiB, and firstCache what the one keeps that
	// takes in a first snapshot: IDs come in no order, so each goes to another page.
	pageCache, firstCache = "-16384", "-65536"
)

// errForeign says that the file is a database, but not one of ours.
var errForeign = errors.New("not an index of this version")

// A pool is an open database and its statements.
type pool struct {
	db    *sql.DB
	stmts map[string]*sql.Stmt
}

func (p *pool) stmt(name string) *sql.Stmt {
	s, ok := p.stmts[name]
	if !ok {
		panic("index: no statement " + name)
	}
	return s
}

func (p *pool) close() error {
	var errs []error
	for _, s := range p.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, p.db.Close())...)
}

// open opens or makes the database. It deletes one that is damaged or foreign. The caller holds the gate, or
// is alone.
func (x *Index) open(ctx context.Context) (err error) {
	if x.path == memory {
		x.pool, err = connect(ctx, memory)
		return err
	}
	if err := os.MkdirAll(filepath.Dir(x.path), 0o700); err != nil {
		return err
	}
	unlock, err := lock(ctx, x.path+".lock")
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	x.pool, err = connect(ctx, x.path)
	if ctx.Err() == nil && (errors.Is(err, errForeign) || damaged(err)) {
		if err := x.remove(); err != nil {
			return err
		}
		x.pool, err = connect(ctx, x.path)
	}
	return err
}

// reset replaces a damaged database by an empty one.
func (x *Index) reset(ctx context.Context) error {
	x.gate.Lock()
	defer x.gate.Unlock()
	if x.pool == nil {
		return errClosed
	}
	x.pool.close() // what a damaged database says on closing does not matter
	x.pool = nil
	if err := x.remove(); err != nil {
		return err
	}
	if err := x.open(ctx); err != nil {
		return err
	}
	x.broken.Store(false)
	return nil
}

// remove deletes the database's files.
func (x *Index) remove() error {
	if x.path == memory {
		return nil
	}
	var errs []error
	for _, end := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(x.path + end); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// lock keeps other processes from opening or replacing the database meanwhile. It is a lock of SQLite's on
// an empty file beside it, since locks of files differ between systems and SQLite knows them all.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	if err := own(path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", source(path)+"?_pragma=busy_timeout(1000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	for {
		_, err = db.ExecContext(ctx, "BEGIN EXCLUSIVE")
		if err == nil {
			return db.Close, nil
		}
		if !busy(err) || ctx.Err() != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
}

// own makes the file where it is missing, and readable for nobody else. SQLite gives the files beside it the
// same mode.
func own(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

func source(path string) string {
	if path == memory {
		return "file:" + memory
	}
	p := filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" {
		p = "/" + p // a drive letter is part of the path, not a host
	}
	return "file:" + (&url.URL{Path: p}).EscapedPath()
}

func connect(ctx context.Context, path string) (_ *pool, err error) {
	if path != memory {
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		if err := own(path); err != nil {
			return nil, err
		}
	}
	// The size of a page counts only before the first page is written, so it comes before the journal's mode.
	db, err := sql.Open("sqlite", source(path)+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=page_size(8192)"+
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=cache_size("+pageCache+")&_pragma=trusted_schema(0)")
	if err != nil {
		return nil, err
	}
	p := &pool{db: db, stmts: map[string]*sql.Stmt{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	db.SetMaxOpenConns(4)
	if path == memory { // each connection would have a memory of its own
		db.SetMaxOpenConns(1)
	}
	db.SetConnMaxIdleTime(0)
	db.SetMaxIdleConns(4)
	if err := create(ctx, db); err != nil {
		return nil, err
	}
	for _, file := range []string{"update.sql", "find.sql"} {
		for name, text := range named(file) {
			if p.stmts[name], err = db.PrepareContext(ctx, text); err != nil {
				delete(p.stmts, name)
				// A table that is not as the schema has it was made by someone else.
				return nil, fmt.Errorf("prepare %s: %w", name, errors.Join(errForeign, err))
			}
		}
	}
	return p, nil
}

// create fills an empty database with the schema, and refuses one that is neither empty nor an index.
func create(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var app, version, tables int64
	if err := errors.Join(
		tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app),
		tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables),
	); err != nil {
		return err
	}
	switch {
	case app == application && version == schema:
		return nil
	case tables > 0 || app != 0 || version != 0:
		return errForeign
	}
	if _, err := tx.ExecContext(ctx, script("create.sql")+
		fmt.Sprintf(";PRAGMA application_id = %d; PRAGMA user_version = %d", application, schema)); err != nil {
		return err
	}
	return tx.Commit()
}

func script(file string) string {
	b, err := statements.ReadFile(file)
	if err != nil {
		panic("index: " + err.Error()) // it is embedded
	}
	return string(b)
}

// named yields the statements of a file by name.
func named(file string) map[string]string {
	all := map[string]string{}
	for _, part := range strings.Split(script(file), "-- name: ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		all[name] = strings.TrimSpace(text)
	}
	return all
}

// note remembers that the database is damaged, so that the next update replaces it.
func (x *Index) note(err error) {
	if damaged(err) {
		x.broken.Store(true)
	}
}

func damaged(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB
}

func busy(err error) bool { return code(err) == sqlite3.SQLITE_BUSY }

// code is the primary result code of SQLite in the error, 0 where it is not SQLite's.
func code(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
