package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Tree is the tenant as one snapshot names it, answered from the index; bodies come from the repository.
// Its sequences read in pages and keep nothing open while the caller is at work.
type Tree struct {
	x *Index
	r *repository.Repository
	s *snapshot.Snapshot
}

// Tree returns the tree of a snapshot of the repository that the index was last updated from. The error
// wraps fs.ErrNotExist where the index has no such snapshot.
func (x *Index) Tree(ctx context.Context, r *repository.Repository, number int64) (*Tree, error) {
	var id string
	var body []byte
	err := x.read(ctx, "snapshot of", func(rows *sql.Rows) error { return rows.Scan(&id, &body) }, number)
	if err != nil {
		return nil, err
	}
	if err := foreign(id, r); err != nil {
		return nil, err
	}
	if body == nil {
		return nil, absent(fmt.Sprintf("snapshot %d", number))
	}
	s, err := x.shelf.get(body)
	if err != nil {
		return nil, err
	}
	return &Tree{x, r, s}, nil
}

// of refuses a repository that the index was not filled from: its positions would lie elsewhere.
func (x *Index) of(ctx context.Context, r *repository.Repository) error {
	var id string
	err := x.read(ctx, "repository", func(rows *sql.Rows) error { return rows.Scan(&id) })
	if err != nil {
		return err
	}
	return foreign(id, r)
}

func foreign(id string, r *repository.Repository) error {
	if id != r.ID() {
		return fmt.Errorf("index: it was filled from repository %q, not from %q: %w", id, r.ID(), fs.ErrNotExist)
	}
	return nil
}

// Knowing returns the tree with the knowledge that what it does not have of the objects was not there, for a caller
// that has it from elsewhere.
func (t *Tree) Knowing(refs []entra.Ref) *Tree {
	s := *t.s
	s.Parts = slices.Clone(s.Parts)
	for _, r := range refs {
		i, ok := slices.BinarySearchFunc(s.Parts, snapshot.Part{Type: r.Type}, snapshot.Part.Compare)
		if !ok {
			continue
		}
		p := &s.Parts[i]
		if at, has := slices.BinarySearchFunc(p.Seen, r, entra.Ref.Compare); !has {
			p.Seen = slices.Insert(slices.Clone(p.Seen), at, r)
		}
	}
	return &Tree{t.x, t.r, &s}
}

// Snapshot implements snapshot.Tree.
func (t *Tree) Snapshot() *snapshot.Snapshot { return t.s }

// Entries implements snapshot.Tree.
func (t *Tree) Entries(ctx context.Context, of entra.Type) iter.Seq2[snapshot.Entry, error] {
	return func(yield func(snapshot.Entry, error) bool) {
		for after := ""; ; {
			var page []snapshot.Entry
			err := t.x.read(ctx, "entries", func(rows *sql.Rows) error {
				e := snapshot.Entry{Ref: entra.Ref{Type: of}}
				var hash []byte
				if err := rows.Scan(&e.Ref.ID, &hash); err != nil {
					return err
				}
				copy(e.Version[:], hash)
				page = append(page, e)
				return nil
			}, string(of), after, t.s.Number, chunk)
			if err != nil {
				yield(snapshot.Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < chunk {
				return
			}
			after = string(page[chunk-1].Ref.ID)
		}
	}
}

// Whole implements repository.Whole. It holds the IDs and places of the type's objects.
func (t *Tree) Whole(ctx context.Context, of entra.Type) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		var ids entra.IDList
		var at []spot
		err := t.x.read(ctx, "whole", func(rows *sql.Rows) error {
			var id string
			var hash, position sql.RawBytes
			if err := rows.Scan(&id, &hash, &position); err != nil {
				return err
			}
			s := spot{n: uint32(ids.Len())}
			copy(s.version[:], hash)
			var err error
			s.at, err = unpack(position)
			ids.Add(entra.ID(id))
			at = append(at, s)
			return err
		}, string(of), t.s.Number)
		if err != nil {
			yield(entra.Object{}, err)
			return
		}
		slices.SortFunc(at, func(a, b spot) int { return a.at.Compare(b.at) })
		for some := range slices.Chunk(at, chunk) {
			places := make([]repository.Position, len(some))
			for i, s := range some {
				places[i] = s.at
			}
			n := 0
			for b, err := range t.r.Bodies(ctx, places) {
				o := entra.Object{Ref: entra.Ref{Type: of, ID: ids.At(some[n].n)}, Body: b}
				if err == nil && b.Version() != some[n].version {
					err = fmt.Errorf("index: the body of %s is not the version the index names", o.Ref)
				}
				if err != nil {
					yield(entra.Object{}, fmt.Errorf("read bodies: %w", err))
					return
				}
				if !yield(o, nil) {
					return
				}
				n++
			}
		}
	}
}

// A spot is where the body of an object lies.
type spot struct {
	n       uint32 // of its ID
	version entra.Version
	at      repository.Position
}

// Links implements snapshot.Tree.
func (t *Tree) Links(ctx context.Context, of entra.Type, rel string) iter.Seq2[entra.Link, error] {
	return func(yield func(entra.Link, error) bool) {
		for after := ""; ; {
			var page []entra.Link
			var last int64
			err := t.x.read(ctx, "part", func(rows *sql.Rows) error {
				l := entra.Link{From: entra.Ref{Type: of}, Rel: rel}
				if err := rows.Scan(&last, &l.From.ID, &l.To.Type, &l.To.ID); err != nil {
					return err
				}
				page = append(page, l)
				return nil
			}, string(of), rel, after, t.s.Number, chunk)
			if err != nil {
				yield(entra.Link{}, err)
				return
			}
			full := len(page) == chunk
			var from entra.Ref
			if full { // the last object's links may go on; they are read by themselves, in one go
				from = page[chunk-1].From
				for len(page) > 0 && page[len(page)-1].From == from {
					page = page[:len(page)-1]
				}
			}
			for _, l := range page {
				if !yield(l, nil) {
					return
				}
			}
			if !full {
				return
			}
			for span, err := range t.x.out(ctx, from, last, rel, t.s.Number) {
				if !yield(span.Link, err) || err != nil {
					return
				}
			}
			after = string(from.ID)
		}
	}
}

// Version implements snapshot.Base.
func (t *Tree) Version(ctx context.Context, r entra.Ref) (v entra.Version, ok bool, err error) {
	err = t.x.read(ctx, "version", func(rows *sql.Rows) error {
		var hash []byte
		ok = true
		err := rows.Scan(&hash)
		copy(v[:], hash)
		return err
	}, string(r.Type), string(r.ID), t.s.Number)
	return v, ok, err
}

// Has implements snapshot.Base.
func (t *Tree) Has(ctx context.Context, l entra.Link) (has bool, err error) {
	err = t.x.read(ctx, "has", func(rows *sql.Rows) error { return rows.Scan(&has) },
		string(l.From.Type), string(l.From.ID), l.Rel, string(l.To.Type), string(l.To.ID), t.s.Number, rank(l.To.ID))
	return has, err
}

// Sum implements snapshot.Base. It costs one lookup in the newest snapshot, and in another a reading of the part.
func (t *Tree) Sum(ctx context.Context, of entra.Type, rel string) (sum snapshot.Sum, err error) {
	err = t.x.read(ctx, "added up", func(rows *sql.Rows) error {
		var value []byte
		err := rows.Scan(&value)
		sum, _ = snapshot.SumOf(value)
		return err
	}, string(of), rel)
	if err != nil || sum.Root() == t.s.Part(of, rel).Root {
		return sum, err
	}
	return snapshot.Summed(ctx, t, of, rel)
}

// Around implements snapshot.Tree.
func (t *Tree) Around(ctx context.Context, r entra.Ref) iter.Seq2[entra.Link, error] {
	return func(yield func(entra.Link, error) bool) {
		for span, err := range t.x.around(ctx, r, t.s.Number) {
			if !yield(span.Link, err) {
				return
			}
		}
	}
}

// Holders implements snapshot.Tree.
func (t *Tree) Holders(ctx context.Context, id entra.ID) iter.Seq2[entra.Ref, error] {
	return t.x.refs(ctx, "holders", string(id), t.s.Number)
}

// Object implements snapshot.Tree.
func (t *Tree) Object(ctx context.Context, r entra.Ref) (entra.Object, error) {
	for o, err := range t.Objects(ctx, []entra.Ref{r}) {
		return o, err
	}
	return entra.Object{}, absent(fmt.Sprintf("%s in snapshot %d", r, t.s.Number))
}

// A place says where an object's body lies.
type place struct {
	i       int // which of the refs asked for
	version entra.Version
	at      repository.Position
	name    string
}

// places returns the places of those refs that the tree has, in the refs' order.
func (t *Tree) places(ctx context.Context, refs []entra.Ref) ([]place, error) {
	pairs := make([][2]string, len(refs))
	for i, r := range refs {
		pairs[i] = [2]string{string(r.Type), string(r.ID)}
	}
	all := make([]place, 0, len(refs))
	err := t.x.read(ctx, "versions", func(rows *sql.Rows) error {
		var p place
		var hash, at sql.RawBytes
		if err := rows.Scan(&p.i, &hash, &at, &p.name); err != nil {
			return err
		}
		copy(p.version[:], hash)
		var err error
		p.at, err = unpack(at)
		all = append(all, p)
		return err
	}, text(pairs), t.s.Number)
	return all, err
}

// Position returns where the object's body lies. The error wraps fs.ErrNotExist where the tree has no such object.
func (t *Tree) Position(ctx context.Context, r entra.Ref) (repository.Position, error) {
	all, err := t.places(ctx, []entra.Ref{r})
	if err != nil {
		return repository.Position{}, err
	}
	if len(all) == 0 {
		return repository.Position{}, absent(fmt.Sprintf("%s in snapshot %d", r, t.s.Number))
	}
	return all[0].at, nil
}

// maxBatch bounds the bytes of bodies that Objects holds at once, not counting the last one.
const maxBatch = 32 << 20

// Objects yields those of the objects that the tree has, in the order asked for, leaving the others out. Its
// bodies are read in batches by where they lie, which is many times quicker than Object for each.
func (t *Tree) Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		var batch []place
		size, base := 0, 0
		asked := make([]entra.Ref, 0, min(len(refs), chunk)) // of the batch, place by place
		flush := func() bool {
			ok := t.bodies(ctx, asked, batch, yield)
			batch, asked, size = batch[:0], asked[:0], 0
			return ok
		}
		for ; base < len(refs); base += chunk {
			some := refs[base:min(base+chunk, len(refs))]
			found, err := t.places(ctx, some)
			if err != nil {
				yield(entra.Object{}, err)
				return
			}
			for _, p := range found {
				batch, asked = append(batch, p), append(asked, some[p.i])
				if size += int(p.at.Len); size >= maxBatch && !flush() {
					return
				}
			}
		}
		if len(batch) > 0 {
			flush()
		}
	}
}

// bodies reads the bodies at the places and yields their objects. It reports whether to go on.
func (t *Tree) bodies(ctx context.Context, refs []entra.Ref, places []place, yield func(entra.Object, error) bool) bool {
	bodies := make([]entra.Body, len(places))
	var missing []int
	for i, p := range places {
		var ok bool
		if bodies[i], ok = t.x.cache.get(p.version); !ok {
			missing = append(missing, i)
		}
	}
	slices.SortFunc(missing, func(i, j int) int { return places[i].at.Compare(places[j].at) })
	// Bodies that lie far from one another take most of the time to decrypt and decompress.
	var g errgroup.Group
	share := max(alone, (len(missing)-1)/runtime.GOMAXPROCS(0)+1)
	for len(missing) > share {
		some := missing[:share]
		g.Go(func() error { return t.fetch(ctx, refs, places, some, bodies) })
		missing = missing[share:]
	}
	err := t.fetch(ctx, refs, places, missing, bodies)
	if err := errors.Join(g.Wait(), err); err != nil {
		yield(entra.Object{}, fmt.Errorf("read bodies: %w", err))
		return false
	}
	for i, b := range bodies {
		if !yield(entra.Object{Ref: refs[i], Body: b}, nil) {
			return false
		}
	}
	return true
}

// alone is how many bodies one goroutine reads at least.
const alone = 16

// fetch reads some of the bodies at the places.
func (t *Tree) fetch(ctx context.Context, refs []entra.Ref, places []place, some []int, bodies []entra.Body) error {
	at := make([]repository.Position, len(some))
	for n, i := range some {
		at[n] = places[i].at
	}
	n := 0
	for b, err := range t.r.Bodies(ctx, at) {
		if err != nil {
			return err
		}
		i := some[n]
		if b.Version() != places[i].version {
			return fmt.Errorf("index: the body of %s is not the version the index names", refs[i])
		}
		bodies[i] = b
		t.x.cache.put(places[i].version, b)
		n++
	}
	if n < len(some) {
		return fmt.Errorf("%d of %d came", n, len(some))
	}
	return nil
}

// Name returns what people call the object in this snapshot. The error wraps fs.ErrNotExist where the tree
// has none.
func (t *Tree) Name(ctx context.Context, r entra.Ref) (string, error) {
	names, err := t.Names(ctx, []entra.Ref{r})
	if err != nil {
		return "", err
	}
	name, ok := names[r]
	if !ok {
		return "", absent(fmt.Sprintf("%s in snapshot %d", r, t.s.Number))
	}
	return name, nil
}

// Names returns what people call the objects in this snapshot, leaving out those that the tree has not.
func (t *Tree) Names(ctx context.Context, refs []entra.Ref) (map[entra.Ref]string, error) {
	names := make(map[entra.Ref]string, len(refs))
	for base := 0; base < len(refs); base += chunk {
		some := refs[base:min(base+chunk, len(refs))]
		found, err := t.places(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			names[some[p.i]] = p.name
		}
	}
	return names, nil
}

// Find is Index.Find in this snapshot; the query's At does not count.
func (t *Tree) Find(ctx context.Context, q Query) ([]Found, error) {
	q.At = t.s.Number
	return t.x.Find(ctx, q)
}

// Touched yields the refs of the objects that differ between the two trees, or from which a link starts that
// only one of them has, ascending. It costs what happened in between, not the tenant. It reports false where
// the other tree is not from the same index and repository.
func (t *Tree) Touched(ctx context.Context, other snapshot.Tree) (iter.Seq2[entra.Ref, error], bool) {
	o, ok := other.(*Tree)
	if !ok || o.x != t.x || o.r.ID() != t.r.ID() {
		return nil, false
	}
	from, to := o.s.Number, t.s.Number
	return t.x.refs(ctx, "touched", min(from, to), max(from, to)), true
}

// Apart yields what differs between the two trees: the objects whose versions do, the links that only the other tree has,
// and those that only this one has, each ascending. It costs what happened in between, not the tenant, and not the groups
// that have a link more. It reports false where the other tree is not from the same index and repository.
func (t *Tree) Apart(ctx context.Context, other snapshot.Tree) (objects iter.Seq2[entra.Ref, error], was, is iter.Seq2[entra.Link, error], ok bool) {
	o, ok := other.(*Tree)
	if !ok || o.x != t.x || o.r.ID() != t.r.ID() {
		return nil, nil, nil, false
	}
	low, high := min(o.s.Number, t.s.Number), max(o.s.Number, t.s.Number)
	was, is = t.x.apart(ctx, low, high)
	if o.s.Number > t.s.Number {
		was, is = is, was
	}
	return t.x.refs(ctx, "revised", low, high), was, is, true
}
