package index

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// errMoved says that another process emptied the index, or filled it from another repository, meanwhile.
var errMoved = errors.New("index was replaced by another process")

// Update takes in the records that the index does not have yet, each in a transaction of its own. Where it
// is interrupted, the index stands at the last record it took in whole. A database that belongs to another
// repository or projection, or whose newest record the repository does not have, is emptied first; one that
// is damaged is replaced.
func (x *Index) Update(ctx context.Context, r *repository.Repository) error {
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return fmt.Errorf("update index: %w", ctx.Err())
	}
	var err error
	for range 3 {
		if x.broken.Load() {
			if err = x.reset(ctx); err != nil {
				break
			}
		}
		err = x.update(ctx, r)
		x.note(err)
		if ctx.Err() != nil || !x.broken.Load() && !errors.Is(err, errMoved) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("update index: %w", err)
	}
	return nil
}

func (x *Index) update(ctx context.Context, r *repository.Repository) error {
	next, err := x.next(ctx, r)
	if err != nil {
		return err
	}
	for record, err := range r.Records(ctx, next) {
		if err != nil {
			return err
		}
		if record.Kind == repository.KindForget && next > 0 {
			// What was taken in may be gone.
			if err := x.within(ctx, func(tx *writer) error { return tx.clear(r) }); err != nil {
				return err
			}
			return x.update(ctx, r)
		}
		err := x.within(ctx, func(tx *writer) error { return tx.add(r, record) })
		if err != nil {
			return fmt.Errorf("record %d: %w", record.Number, err)
		}
	}
	return nil
}

// next returns the number of the first record the index does not have. It empties an index that is not of
// this repository as it stands.
func (x *Index) next(ctx context.Context, r *repository.Repository) (next int64, err error) {
	fits := false
	err = x.within(ctx, func(tx *writer) error {
		var err error
		fits, err = tx.belongs(r)
		if fits && err == nil {
			next, err = tx.next()
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if fits && next > 0 {
		if fits, err = x.same(ctx, r, next-1); err != nil {
			return 0, err
		}
	}
	if fits {
		return next, nil
	}
	return 0, x.within(ctx, func(tx *writer) error { return tx.clear(r) })
}

// same reports whether the repository's record is the one the index took in. A repository that was restored
// from an older copy of itself and then went on has another.
func (x *Index) same(ctx context.Context, r *repository.Repository, n int64) (bool, error) {
	mine, err := decoded[repository.Record](x, ctx, "record", n)
	if err != nil || len(mine) == 0 {
		return false, err
	}
	for theirs, err := range r.Records(ctx, n) { // not Head, which may be older than what another process took in
		return err == nil && theirs.Number == n && theirs.Leaf == mine[0].Leaf, err
	}
	return false, nil
}

// A writer is one transaction. Its statements are not cut short by ctx, which it looks at between lines:
// watching for a cancellation costs more than most statements.
type writer struct {
	ctx   context.Context
	x     *Index
	tx    *sql.Tx
	bare  context.Context
	stmts map[string]*sql.Stmt
}

// within runs do in a transaction, which it commits where do returns nil.
func (x *Index) within(ctx context.Context, do func(*writer) error) (err error) {
	x.gate.RLock()
	defer x.gate.RUnlock()
	if x.pool == nil {
		return errClosed
	}
	defer func() { x.note(err) }()
	conn, err := x.pool.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	bare := context.WithoutCancel(ctx)
	var tx *sql.Tx
	for { // another process may take minutes over the first snapshot
		if tx, err = conn.BeginTx(bare, nil); err == nil {
			break
		}
		if !busy(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	defer tx.Rollback()
	w := &writer{ctx: ctx, x: x, tx: tx, bare: bare, stmts: map[string]*sql.Stmt{}}
	if err := do(w); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return tx.Commit()
}

func (w *writer) stmt(name string) *sql.Stmt {
	s, ok := w.stmts[name]
	if !ok {
		s = w.tx.Stmt(w.x.pool.stmt(name))
		w.stmts[name] = s
	}
	return s
}

// run runs a statement and returns how many rows it touched.
func (w *writer) run(name string, args ...any) (int64, error) {
	res, err := w.stmt(name).ExecContext(w.bare, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return res.RowsAffected()
}

// get scans the first row into dest. It reports false where there is none.
func (w *writer) get(name string, args []any, dest ...any) (bool, error) {
	err := w.stmt(name).QueryRowContext(w.bare, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	return true, nil
}

// insert runs an insert and returns the new row's number. It reports false where the row was there already.
func (w *writer) insert(name string, args ...any) (n int64, added bool, err error) {
	res, err := w.stmt(name).ExecContext(w.bare, args...)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", name, err)
	}
	rows, err := res.RowsAffected()
	if err != nil || rows == 0 {
		return 0, false, err
	}
	n, err = res.LastInsertId()
	return n, true, err
}

// belongs reports whether the database was filled from the repository by the projection.
func (w *writer) belongs(r *repository.Repository) (bool, error) {
	var id, version string
	if _, err := w.get("meta", []any{"repository"}, &id); err != nil {
		return false, err
	}
	_, err := w.get("meta", []any{"projection"}, &version)
	return id == r.ID() && version == w.x.o.Version, err
}

// next returns the number of the first record the index does not have.
func (w *writer) next() (int64, error) {
	var s string
	if ok, err := w.get("meta", []any{"next"}, &s); !ok {
		return 0, err
	}
	return strconv.ParseInt(s, 10, 64)
}

func (w *writer) clear(r *repository.Repository) error {
	if _, err := w.tx.ExecContext(w.bare, script("clear.sql")); err != nil {
		return fmt.Errorf("empty: %w", err)
	}
	_, err := w.run("set meta", "repository", r.ID())
	if err == nil {
		_, err = w.run("set meta", "projection", w.x.o.Version)
	}
	return err
}

// add takes in one record, or does nothing where another process has taken it in meanwhile.
func (w *writer) add(r *repository.Repository, record repository.Record) error {
	next, err := w.next()
	if err != nil {
		return err
	}
	if ok, err := w.belongs(r); err != nil || !ok || next > 0 && next < record.Number {
		return errors.Join(err, errMoved)
	}
	if next > record.Number {
		return nil
	}
	switch record.Kind {
	case repository.KindSnapshot:
		if !r.Forgotten(record) {
			err = w.segment(r, record)
		}
	case repository.KindOutcomes, repository.KindResult:
		err = w.aliases(r, record)
	}
	if err != nil {
		return err
	}
	body, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if _, err := w.run("add record", record.Number, string(record.Kind), body); err != nil {
		return err
	}
	_, err = w.run("set meta", "next", strconv.FormatInt(record.Number+1, 10))
	return err
}

// aliases takes in what a restore re-created, or what came with that.
func (w *writer) aliases(r *repository.Repository, record repository.Record) error {
	data, err := r.Data(w.ctx, record)
	if err != nil {
		return err
	}
	var outcomes struct {
		IDs map[entra.Ref]entra.Ref `json:"ids"`
	}
	if err := json.Unmarshal(data, &outcomes); err != nil {
		return fmt.Errorf("outcomes: %w", err)
	}
	// What was made just now is the newest of its name, also where the service gave it a name that an earlier one had.
	for _, to := range outcomes.IDs {
		if _, err := w.run("drop alias", to.String()); err != nil {
			return err
		}
	}
	for old, to := range outcomes.IDs {
		if old == to {
			continue
		}
		if _, err := w.run("add alias", old.String(), to.String()); err != nil {
			return err
		}
	}
	return nil
}
