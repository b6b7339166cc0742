package index

import (
	"cmp"
	"context"
	"database/sql"
	"iter"
	"slices"
	"sync"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// few is how many links an object has that are read in one go, and how many of more are read at first.
const few = 256

// around yields the links at either end of which the object stands, in the snapshot with the number, or ever
// where it is 0. The spans' First and Last are a and z still.
func (x *Index) around(ctx context.Context, r entra.Ref, number int64) iter.Seq2[LinkSpan, error] {
	return func(yield func(LinkSpan, error) bool) {
		var all []LinkSpan
		err := x.read(ctx, "around", func(rows *sql.Rows) error {
			var out bool
			var s LinkSpan
			var other entra.Ref
			err := rows.Scan(&out, &s.Link.Rel, (*string)(&other.Type), (*string)(&other.ID), &s.First, &s.Last)
			if s.Link.From, s.Link.To = r, other; !out {
				s.Link.From, s.Link.To = other, r
			}
			all = append(all, s)
			return err
		}, string(r.Type), string(r.ID), number, few+1)
		if err != nil {
			yield(LinkSpan{}, err)
			return
		}
		if len(all) > few {
			x.crowd(ctx, r, number)(yield)
			return
		}
		slices.SortFunc(all, LinkSpan.compare)
		for _, s := range all {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (s LinkSpan) compare(t LinkSpan) int {
	return cmp.Or(s.Link.Compare(t.Link), cmp.Compare(s.First, t.First))
}

// crowd is around for an object with many links. Those that lead to it are held, of those that start at it no more than
// a page is.
func (x *Index) crowd(ctx context.Context, r entra.Ref, number int64) iter.Seq2[LinkSpan, error] {
	return func(yield func(LinkSpan, error) bool) {
		var n int64
		err := x.read(ctx, "number", func(rows *sql.Rows) error { return rows.Scan(&n) }, string(r.Type), string(r.ID))
		var into spans
		if err == nil {
			err = x.spans(ctx, &into, "into", n, number)
		}
		if err != nil {
			yield(LinkSpan{}, err)
			return
		}
		i := 0
		for ; i < into.len() && into.at(i).Link.From.Compare(r) < 0; i++ {
			if !yield(into.at(i), nil) {
				return
			}
		}
		for s, err := range x.out(ctx, r, n, "", number) {
			if !yield(s, err) || err != nil {
				return
			}
		}
		for ; i < into.len(); i++ {
			if !yield(into.at(i), nil) {
				return
			}
		}
	}
}

// A fan is the links of one relation from one object to objects of one type.
type fan struct {
	rel  int64
	kind int64 // the type's number
	like entra.Link
}

// out yields the links that start at the object, which has the number n, ascending; of one relation, or of all where it is "".
func (x *Index) out(ctx context.Context, r entra.Ref, n int64, rel string, number int64) iter.Seq2[LinkSpan, error] {
	return func(yield func(LinkSpan, error) bool) {
		var fans []fan
		err := x.read(ctx, "fans", func(rows *sql.Rows) error {
			f := fan{like: entra.Link{From: r}}
			err := rows.Scan(&f.rel, &f.like.Rel, &f.kind, (*string)(&f.like.To.Type))
			if rel == "" || rel == f.like.Rel {
				fans = append(fans, f)
			}
			return err
		}, n)
		if err != nil {
			yield(LinkSpan{}, err)
			return
		}
		for _, f := range fans {
			for s, err := range x.fan(ctx, f, n, number) {
				if !yield(s, err) || err != nil {
					return
				}
			}
		}
	}
}

// fan yields the links of a fan from the object with the number n, ascending.
func (x *Index) fan(ctx context.Context, f fan, n, number int64) iter.Seq2[LinkSpan, error] {
	return func(yield func(LinkSpan, error) bool) {
		size := few
		for low, end := f.kind<<rankBits-1, (f.kind+1)<<rankBits; ; size = chunk {
			var page []LinkSpan
			var ranks []int64
			err := x.read(ctx, "fan", func(rows *sql.Rows) error {
				s := LinkSpan{Link: f.like}
				var rank int64
				err := rows.Scan(&rank, (*string)(&s.Link.To.ID), &s.First, &s.Last)
				page, ranks = append(page, s), append(ranks, rank)
				return err
			}, n, f.rel, low, end, number, size)
			if err != nil {
				yield(LinkSpan{}, err)
				return
			}
			full := len(page) == size
			if full { // the last rank's links may go on
				i, _ := slices.BinarySearch(ranks, ranks[size-1])
				page = page[:i]
				if low = ranks[max(i-1, 0)]; i == 0 { // and be more than a page
					var all spans
					if err := x.spans(ctx, &all, "alike", n, f.rel, low, number); err != nil {
						yield(LinkSpan{}, err)
						return
					}
					for i := range all.len() {
						if !yield(all.at(i), nil) {
							return
						}
					}
				}
			}
			slices.SortFunc(page, LinkSpan.compare)
			for _, s := range page {
				if !yield(s, nil) {
					return
				}
			}
			if !full {
				return
			}
		}
	}
}

// spans is a list of links that takes some 50 bytes for each.
type spans struct {
	ids   entra.IDList // of both ends
	all   []held
	kinds []entra.Link // without IDs
}

type held struct {
	kind int32
	a, z int64
}

func (l *spans) len() int { return len(l.all) }

func (l *spans) at(i int) LinkSpan {
	s := LinkSpan{l.kinds[l.all[i].kind], l.all[i].a, l.all[i].z}
	s.Link.From.ID, s.Link.To.ID = l.ids.At(uint32(2*i)), l.ids.At(uint32(2*i+1))
	return s
}

func (l *spans) add(s LinkSpan) {
	l.ids.Add(s.Link.From.ID)
	l.ids.Add(s.Link.To.ID)
	s.Link.From.ID, s.Link.To.ID = "", ""
	kind := slices.Index(l.kinds, s.Link)
	if kind < 0 {
		kind = len(l.kinds)
		l.kinds = append(l.kinds, s.Link)
	}
	l.all = append(l.all, held{int32(kind), s.First, s.Last})
}

// spans adds the links that the statement gives.
func (x *Index) spans(ctx context.Context, l *spans, name string, args ...any) error {
	return x.read(ctx, name, func(rows *sql.Rows) error {
		var s LinkSpan
		from, to := &s.Link.From, &s.Link.To
		err := rows.Scan((*string)(&from.Type), (*string)(&from.ID), &s.Link.Rel, (*string)(&to.Type), (*string)(&to.ID), &s.First, &s.Last)
		l.add(s)
		return err
	}, args...)
}

// apart yields the links that only the earlier of two snapshots has, and those that only the later has. They are read once for
// both, when the first is asked for.
func (x *Index) apart(ctx context.Context, low, high int64) (was, is iter.Seq2[entra.Link, error]) {
	read := sync.OnceValues(func() (all spans, err error) {
		err = x.spans(ctx, &all, "apart", low, high)
		return all, err
	})
	which := func(way int64) iter.Seq2[entra.Link, error] {
		return func(yield func(entra.Link, error) bool) {
			all, err := read()
			if err != nil {
				yield(entra.Link{}, err)
				return
			}
			for i := range all.len() {
				if s := all.at(i); s.First == way && !yield(s.Link, nil) {
					return
				}
			}
		}
	}
	return which(-1), which(1)
}

// refs yields the refs that the statement gives, in its order, in which those of one type follow one another.
func (x *Index) refs(ctx context.Context, name string, args ...any) iter.Seq2[entra.Ref, error] {
	return func(yield func(entra.Ref, error) bool) {
		var ids entra.IDList
		var kinds []entra.Type
		var begin []int // of each type
		err := x.read(ctx, name, func(rows *sql.Rows) error {
			var r entra.Ref
			err := rows.Scan((*string)(&r.Type), (*string)(&r.ID))
			if n := len(kinds); n == 0 || kinds[n-1] != r.Type {
				kinds, begin = append(kinds, r.Type), append(begin, ids.Len())
			}
			ids.Add(r.ID)
			return err
		}, args...)
		if err != nil {
			yield(entra.Ref{}, err)
			return
		}
		begin = append(begin, ids.Len())
		for k, kind := range kinds {
			for i := begin[k]; i < begin[k+1]; i++ {
				if !yield(entra.Ref{Type: kind, ID: ids.At(uint32(i))}, nil) {
					return
				}
			}
		}
	}
}
