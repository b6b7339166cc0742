package index

import (
	"context"
	"database/sql"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A Query says what to look for.
type Query struct {
	// Text is an ID or the beginning of one, or words that all have to begin a word of the object's name or
	// of its search texts, in any case.
	Text string
	Type entra.Type // only this type; "" is any
	At   int64      // only what this snapshot has, under the name it has there; 0 is any
	Max  int        // the most to return; 0 is 100
}

// Found is an object that a query found.
type Found struct {
	Ref   entra.Ref
	Name  string // the newest one that the query fits
	First int64  // the first snapshot that has the object
	Last  int64  // the last one, 0 where the newest has it
	seen  int64
}

// Seen returns the number of a snapshot that has the object under this name.
func (f Found) Seen() int64 { return f.seen }

// shortest is how many letters of an ID count as the beginning of one.
const shortest = 4

// Find returns the objects that fit the query: first those whose name or ID is the text, then the living,
// then by name.
func (x *Index) Find(ctx context.Context, q Query) ([]Found, error) {
	numbers, err := x.Numbers(ctx)
	if err != nil {
		return nil, err
	}
	limit := q.Max
	if limit <= 0 {
		limit = 100
	}
	whole := strings.TrimSpace(q.Text)
	id := whole
	if len(id) < shortest {
		id = ""
	}
	var found []Found
	err = x.read(ctx, "find", func(rows *sql.Rows) error {
		var f Found
		err := rows.Scan(&f.Ref.Type, &f.Ref.ID, &f.Name, &f.First, &f.Last, &f.seen)
		f.First, f.Last = span(numbers, f.First, f.Last)
		f.seen, _ = span(numbers, f.seen, forever)
		found = append(found, f)
		return err
	}, match(whole), id, q.At, string(q.Type), whole, limit)
	return found, err
}

// match is the full-text query for all words of the text as beginnings, "" where it has no word.
func match(text string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r): // an accent of its own belongs to the letter before it
			return -1
		case unicode.IsLetter(r), unicode.IsNumber(r):
			return r
		}
		return ' '
	}, text)
	var words []string
	for w := range strings.FieldsSeq(plain) {
		words = append(words, `"`+w+`"*`)
	}
	return strings.Join(words, " AND ")
}

// A Span is the time an object spent in one version.
type Span struct {
	Version entra.Version
	Name    string
	First   int64 // the first snapshot that has it
	Last    int64 // the last one, 0 where the newest has it
}

// Spans returns the life of an object, oldest first; nothing where no snapshot has it.
func (x *Index) Spans(ctx context.Context, r entra.Ref) ([]Span, error) {
	numbers, err := x.Numbers(ctx)
	if err != nil {
		return nil, err
	}
	var spans []Span
	err = x.read(ctx, "spans", func(rows *sql.Rows) error {
		var s Span
		var hash []byte
		if err := rows.Scan(&s.First, &s.Last, &hash, &s.Name); err != nil {
			return err
		}
		copy(s.Version[:], hash)
		s.First, s.Last = span(numbers, s.First, s.Last)
		spans = append(spans, s)
		return nil
	}, string(r.Type), string(r.ID))
	return spans, err
}

// A LinkSpan is the time that a link held.
type LinkSpan struct {
	Link  entra.Link
	First int64 // the first snapshot that has it
	Last  int64 // the last one, 0 where the newest has it
}

// LinkSpans yields the spans of all links at either end of which the object ever stood, ascending by link,
// then by time.
func (x *Index) LinkSpans(ctx context.Context, r entra.Ref) iter.Seq2[LinkSpan, error] {
	return func(yield func(LinkSpan, error) bool) {
		numbers, err := x.Numbers(ctx)
		if err != nil {
			yield(LinkSpan{}, err)
			return
		}
		for l, err := range x.around(ctx, r, 0) {
			l.First, l.Last = span(numbers, l.First, l.Last)
			if !yield(l, err) {
				return
			}
		}
	}
}

// Moments returns the numbers of the snapshots in which the object, or a link at either end of which it
// stands, came, went or changed, ascending.
func (x *Index) Moments(ctx context.Context, r entra.Ref) ([]int64, error) {
	var first int64
	err := x.read(ctx, "first", func(rows *sql.Rows) error { return rows.Scan(&first) })
	if err != nil || first == 0 {
		return nil, err
	}
	var all []int64
	err = x.read(ctx, "moments", func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		if n != forever {
			all = append(all, max(n, first))
		}
		return err
	}, string(r.Type), string(r.ID))
	slices.Sort(all)
	return slices.Compact(all), err
}

// Acts returns the audit entries about the object with a time in [from, to), ascending by time. Entries know
// an object by its ID alone.
func (x *Index) Acts(ctx context.Context, r *repository.Repository, ref entra.Ref, from, to time.Time) ([]entra.Body, error) {
	if err := x.of(ctx, r); err != nil {
		return nil, err
	}
	at, err := x.positions(ctx, "acts", string(ref.ID), nano(from), nano(to))
	if err != nil || len(at) == 0 {
		return nil, err
	}
	bodies := make([]entra.Body, 0, len(at))
	for b, err := range r.Bodies(ctx, at) {
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, b)
	}
	return bodies, nil
}

func (x *Index) positions(ctx context.Context, name string, args ...any) (all []repository.Position, err error) {
	err = x.read(ctx, name, func(rows *sql.Rows) error {
		var packed sql.RawBytes
		if err := rows.Scan(&packed); err != nil {
			return err
		}
		p, err := unpack(packed)
		all = append(all, p)
		return err
	}, args...)
	return all, err
}

// ActsWithin yields all audit entries with a time in [from, to), ascending by time.
func (x *Index) ActsWithin(ctx context.Context, r *repository.Repository, from, to time.Time) iter.Seq2[entra.Body, error] {
	return func(yield func(entra.Body, error) bool) {
		err := x.of(ctx, r)
		var at []repository.Position
		if err == nil {
			at, err = x.positions(ctx, "acts within", nano(from), nano(to))
		}
		if err != nil {
			yield("", err)
			return
		}
		for b, err := range r.Bodies(ctx, at) {
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// ActsSince returns the IDs of the audit entries with a time not before since, ascending by time.
func (x *Index) ActsSince(ctx context.Context, since time.Time) ([]string, error) {
	var ids []string
	err := x.read(ctx, "acts since", func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, nano(since))
	return ids, err
}

// Numbers returns the numbers of all snapshots, ascending.
func (x *Index) Numbers(ctx context.Context) ([]int64, error) {
	var all []int64
	err := x.read(ctx, "numbers", func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		all = append(all, n)
		return err
	})
	return all, err
}

// span turns the a and z of a row into the first and the last snapshot that have it, 0 for still.
func span(n []int64, a, z int64) (first, last int64) {
	if len(n) == 0 {
		return a, 0
	}
	if first = max(a, n[0]); z == forever {
		return first, 0
	}
	if i, _ := slices.BinarySearch(n, z); i > 0 {
		last = n[i-1]
	}
	return first, last
}
