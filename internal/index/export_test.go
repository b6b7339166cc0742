package index

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// What orders and places are made of.
var (
	Rank   = rank
	Pack   = pack
	Unpack = unpack
)

// Sizes of what is read at once.
const (
	Few      = few
	Chunk    = chunk
	RankBits = rankBits
)

// Dump returns the content of all tables, in the order of their keys, for comparing two indexes.
func (x *Index) Dump(ctx context.Context) (string, error) {
	var tables []string
	p := x.pool
	rows, err := p.db.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'fts%' ORDER BY name")
	if err != nil {
		return "", err
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return "", err
		}
		tables = append(tables, name)
	}
	if err := rows.Close(); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, table := range tables {
		if err := dump(ctx, &b, p.db, table); err != nil {
			return "", fmt.Errorf("%s: %w", table, err)
		}
	}
	return b.String(), nil
}

// Stored returns what the index keeps of a part's sum.
func (x *Index) Stored(ctx context.Context, of entra.Type, rel string) (sum snapshot.Sum, err error) {
	err = x.read(ctx, "added up", func(rows *sql.Rows) error {
		var value []byte
		err := rows.Scan(&value)
		sum, _ = snapshot.SumOf(value)
		return err
	}, string(of), rel)
	return sum, err
}

func dump(ctx context.Context, b *strings.Builder, db *sql.DB, table string) error {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+table+" ORDER BY 1, 2")
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		fmt.Fprintf(b, "%s %v\n", table, values)
	}
	return rows.Err()
}

// Plans returns how SQLite would carry out each statement that reads.
func (x *Index) Plans(ctx context.Context) (map[string][]string, error) {
	all := map[string][]string{}
	for name, text := range named("find.sql") {
		rows, err := x.pool.db.QueryContext(ctx, "EXPLAIN QUERY PLAN "+text, make([]any, strings.Count(text, "?"))...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = []string{}
		for rows.Next() {
			var id, parent, not int
			var detail string
			if err := rows.Scan(&id, &parent, &not, &detail); err != nil {
				return nil, err
			}
			all[name] = append(all[name], detail)
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}
