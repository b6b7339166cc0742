package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Writer takes what one capture sees, in any order and from any number of goroutines, and writes what
// differs from the parent. It must be ended by Commit or Abort. After an error it only repeats it.
type Writer struct {
	r      *Repository
	ctx    context.Context // of Begin: blobs are stored while calls come and go
	cancel context.CancelFunc
	parent snapshot.Base // nil in the first snapshot
	base   *snapshot.Snapshot
	began  time.Time

	mu      sync.Mutex
	err     error
	done    bool
	tables  map[entra.Type]*table
	rels    map[partKey]*relation
	endings map[partKey]ending
	objects *segment
	audit   *segment
	next    int64 // ordinal
}

type partKey struct {
	t   entra.Type
	rel string
}

func (k partKey) String() string { return strings.TrimSpace(string(k.t) + " " + k.rel) }

func (k partKey) compare(l partKey) int {
	return cmp.Or(cmp.Compare(k.t, l.t), cmp.Compare(k.rel, l.rel))
}

type ending struct {
	part  snapshot.Part
	whole bool
}

var (
	errDone = errors.New("snapshot is committed or given up")
	errBody = errors.New("want canonical JSON")
)

// Begin starts a snapshot that is compared with parent, which must be the newest one, or nil for the first;
// else the error wraps ErrParent. The context governs the Writer until its end.
func (r *Repository) Begin(ctx context.Context, parent snapshot.Base, began time.Time) (*Writer, error) {
	if !r.CanWrite() {
		return nil, fmt.Errorf("begin snapshot: %w", ErrReadOnly)
	}
	w := &Writer{r: r, parent: parent, base: &snapshot.Snapshot{}, began: began,
		tables: map[entra.Type]*table{}, rels: map[partKey]*relation{}, endings: map[partKey]ending{}}
	kind, level := kindCheckpoint, zstd.SpeedBetterCompression
	if parent != nil {
		kind, level = kindSegment, zstd.SpeedDefault
		w.base = parent.Snapshot()
	}
	if err := r.refresh(ctx); err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	if err := w.follows(); err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	z, err := newEncoder(level)
	if err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.objects = &segment{r: r, ctx: w.ctx, role: roleObjects, kind: kind, parent: w.base.Number, limit: maxBlob, z: z}
	w.audit = &segment{r: r, ctx: w.ctx, role: roleAudit, kind: kindAudit, parent: w.base.Number, limit: maxBlob, z: z}
	return w, nil
}

// follows refuses a parent that is not the log's newest snapshot.
func (w *Writer) follows() error {
	newest := w.r.newest()
	if newest == 0 && w.parent == nil {
		return nil
	}
	rec, err := w.r.record(newest)
	if err != nil {
		return err
	}
	if w.parent == nil || newest != w.base.Number || snapshot.ID(rec.Leaf) != w.base.ID {
		return fmt.Errorf("%w: it is %d", ErrParent, newest)
	}
	return nil
}

// do runs one call on the writer and keeps its error.
func (w *Writer) do(ctx context.Context, what string, call func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return fmt.Errorf("%s: %w", what, errDone)
	}
	if w.err == nil {
		if err := cmp.Or(ctx.Err(), w.ctx.Err()); err != nil {
			return fmt.Errorf("%s: %w", what, err) // nothing happened, so the writer goes on
		}
		if err := call(); err != nil {
			w.err = fmt.Errorf("%s: %w", what, err)
		}
	}
	return w.err
}

// table returns the type's table.
func (w *Writer) table(t entra.Type) *table {
	x := w.tables[t]
	if x == nil {
		x = &table{t: t, before: map[uint32]entra.Version{}}
		w.tables[t] = x
	}
	return x
}

// Put says that the object is there as given. Where an object is put twice in one snapshot, the last body
// holds, and its part says so. The body must be canonical.
func (w *Writer) Put(ctx context.Context, o entra.Object) error {
	v := o.Version()
	same := false
	err := w.do(ctx, "put", func() (err error) {
		same, err = w.same(o.Ref, v)
		return err
	})
	if err != nil || same {
		return err
	}
	if err := o.Body.Check(); err != nil {
		return fmt.Errorf("put %s: body: %w", o.Ref, errors.Join(errBody, err))
	}
	return w.do(ctx, "put", func() error {
		if same, err := w.same(o.Ref, v); same || err != nil {
			return err
		}
		t := w.table(o.Ref.Type)
		i, err := t.find(w.ctx, w.parent, o.Ref.ID)
		if err != nil {
			return err
		}
		if t.rows.at(i).flags&said != 0 && t.rows.at(i).flags&left == 0 {
			t.twice++
		}
		line := objectLine{N: -1, Ref: o.Ref, Version: v, Body: o.Body}
		if w.parent == nil {
			line.N = w.number(t, i)
		}
		t.came(i)
		t.set(i, v)
		return w.objects.append(line)
	})
}

// same reports whether the object is there in this version already, and then notes that it was seen.
func (w *Writer) same(r entra.Ref, v entra.Version) (bool, error) {
	if r.Type == "" || r.ID == "" {
		return false, fmt.Errorf("%q names no object", r)
	}
	t := w.table(r.Type)
	i, err := t.find(w.ctx, w.parent, r.ID)
	if err != nil {
		return false, fmt.Errorf("%s: parent: %w", r.Type, err)
	}
	if t.rows.at(i).now != v {
		return false, nil
	}
	t.came(i)
	return true, nil
}

// number gives the object the next ordinal.
func (w *Writer) number(t *table, i uint32) int64 {
	for t.ord.n <= int(i) {
		t.ord.add(0)
	}
	w.next++
	*t.ord.at(i) = w.next
	return w.next - 1
}

// Gone says that the object is not there, which needs no complete part: it is known of this one. Its links
// in both directions go with it.
func (w *Writer) Gone(ctx context.Context, r entra.Ref) error {
	return w.do(ctx, "gone", func() error {
		if r.Type == "" || r.ID == "" {
			return fmt.Errorf("%q names no object", r)
		}
		t := w.table(r.Type)
		i, err := t.find(w.ctx, w.parent, r.ID)
		if err != nil {
			return fmt.Errorf("%s: parent: %w", r.Type, err)
		}
		t.leave(i)
		return nil
	})
}

// Link says that the link is there.
func (w *Writer) Link(ctx context.Context, l entra.Link) error {
	return w.do(ctx, "link", func() error { return w.link(l, true) })
}

// Unlink says that the link is not there. Of Link and Unlink for one link, the later holds.
func (w *Writer) Unlink(ctx context.Context, l entra.Link) error {
	return w.do(ctx, "unlink", func() error { return w.link(l, false) })
}

func (w *Writer) link(l entra.Link, there bool) error {
	if l.From.Type == "" || l.From.ID == "" || l.To.Type == "" || l.To.ID == "" || l.Rel == "" {
		return fmt.Errorf("%q names no link", l)
	}
	key := partKey{l.From.Type, l.Rel}
	rel := w.rels[key]
	if rel == nil {
		rel = &relation{seen: map[entra.Type][][]uint64{}, ended: map[end]bool{}}
		w.rels[key] = rel
	}
	from, to := w.table(l.From.Type).node(l.From.ID), w.table(l.To.Type).node(l.To.ID)
	e := end{l.To.Type, uint64(from)<<32 | uint64(to)}
	if !there {
		rel.ended[e] = true
		return nil
	}
	delete(rel.ended, e)
	rel.add(e)
	return nil
}

// Audit adds one entry, a JSON object, to the audit stream, which lies in a blob of its own.
func (w *Writer) Audit(ctx context.Context, entry []byte) error {
	body, err := entra.Canonical(entry)
	if err != nil {
		return fmt.Errorf("audit entry: %w", err)
	}
	return w.do(ctx, "audit entry", func() error { return w.audit.append(auditLine{Body: body}) })
}

// End closes a part with what was achieved; p says its type, relation, coverage, reason, version, asked
// properties, declaration, holes, what was seen by itself, delta, when its reading began and when all of it was
// last listed, the rest is found out. With whole, which only a complete part can be, what was not mentioned is gone,
// but for the holes, which keep what the parent had; without, only what Gone and Unlink named is. A part that is not complete keeps what the
// parent had and what it was read by. A part never ended is Missed. p.Holes are taken as given: a delta
// round that leaves earlier holes open repeats them.
func (w *Writer) End(ctx context.Context, p snapshot.Part, whole bool) error {
	return w.do(ctx, "end "+partKey{p.Type, p.Relation}.String(), func() error {
		key := partKey{p.Type, p.Relation}
		switch _, twice := w.endings[key]; {
		case p.Type == "":
			return errors.New("part has no type")
		case twice:
			return errors.New("part has ended already")
		case whole && p.Coverage != snapshot.Complete:
			return fmt.Errorf("a part that is %s is not whole", p.Coverage)
		case len(p.Holes) > snapshot.MaxHoles:
			return fmt.Errorf("%d holes are more than %d", len(p.Holes), snapshot.MaxHoles)
		}
		p.Holes, p.Asked, p.Absent = slices.Clone(p.Holes), slices.Clone(p.Asked), slices.Clone(p.Absent)
		slices.SortFunc(p.Holes, entra.Ref.Compare)
		p.Seen, p.SeenTo = sortedRefs(p.Seen), sortedRefs(p.SeenTo)
		w.endings[key] = ending{p, whole}
		return nil
	})
}

// sortedRefs returns a copy in order, without repeats; nil for none.
func sortedRefs(refs []entra.Ref) []entra.Ref {
	refs = slices.Clone(refs)
	slices.SortFunc(refs, entra.Ref.Compare)
	return slices.Compact(refs)
}

// Abort gives the snapshot up; nothing of it becomes visible. After Commit it does nothing.
func (w *Writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop()
}

func (w *Writer) stop() {
	w.done = true
	w.cancel()
	w.objects.abort()
	w.audit.abort()
	w.tables, w.rels, w.endings = nil, nil, nil
}

// Commit makes the snapshot durable and returns it: its blobs first, then the signed note that makes them
// count. The error wraps ErrParent where another snapshot was committed meanwhile. After an error nothing
// is committed, unless the store took the note and neither its answer nor the note could be read back.
func (w *Writer) Commit(ctx context.Context) (*snapshot.Snapshot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil, fmt.Errorf("commit snapshot: %w", errDone)
	}
	defer w.stop()
	if w.err != nil {
		return nil, w.err
	}
	s, err := w.commit(ctx)
	if err != nil {
		return nil, fmt.Errorf("commit snapshot: %w", err)
	}
	return s, nil
}

func (w *Writer) commit(ctx context.Context) (*snapshot.Snapshot, error) {
	stop := context.AfterFunc(ctx, w.cancel)
	defer stop()
	parts, err := w.parts()
	if err != nil {
		return nil, err
	}
	s := &snapshot.Snapshot{Began: w.began.UTC(), Ended: w.r.now().UTC(), Parent: w.base.Number, Parts: parts}
	if err := w.objects.append(snapshotLine{s}); err != nil {
		return nil, err
	}
	if err := w.objects.end(); err != nil {
		return nil, err
	}
	if w.audit.cur != nil {
		if err := w.audit.end(); err != nil {
			return nil, err
		}
	}
	if err := cmp.Or(ctx.Err(), w.ctx.Err()); err != nil {
		return nil, err
	}
	rec := Record{Kind: KindSnapshot, Parent: s.Parent, Key: w.objects.says.key(), Blobs: slices.Concat(w.objects.blobs, w.audit.blobs)}
	rec, err = w.r.commit(ctx, rec, w.follows)
	if err != nil {
		return nil, err
	}
	settle(s, rec, w.r.tenant.ID)
	return s, nil
}

// parts finishes every part, objects before links since links leave with their objects.
func (w *Writer) parts() ([]snapshot.Part, error) {
	keys := map[partKey]bool{}
	for _, p := range w.base.Parts {
		keys[partKey{p.Type, p.Relation}] = true
	}
	for k := range w.endings {
		keys[k] = true
	}
	for k := range w.rels {
		keys[k] = true
	}
	for _, t := range w.tables {
		if t.told() {
			keys[partKey{t.t, ""}] = true
		}
	}
	order := slices.SortedFunc(maps.Keys(keys), partKey.compare)
	done := map[partKey]snapshot.Part{}
	for _, k := range order {
		if k.rel == "" {
			p, err := w.objectPart(k.t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.t, err)
			}
			done[k] = p
		}
	}
	gone, err := w.parting()
	if err != nil {
		return nil, err
	}
	for _, k := range order {
		if k.rel != "" {
			p, err := w.linkPart(k, gone)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			done[k] = p
		}
	}
	parts := make([]snapshot.Part, len(order))
	for i, k := range order {
		parts[i] = done[k]
	}
	return parts, nil
}

// basis returns the part as far as it does not depend on what it holds, the parent's part, and whether
// the parent has it.
func (w *Writer) basis(k partKey) (p, base snapshot.Part, known, whole bool) {
	e := w.endings[k]
	p = e.part
	p.Type, p.Relation = k.t, k.rel
	p.Added, p.Removed, p.Changed, p.Linked, p.Unlinked = 0, 0, 0, 0, 0
	base = w.base.Part(k.t, k.rel)
	known = slices.ContainsFunc(w.base.Parts, func(q snapshot.Part) bool { return q.Type == k.t && q.Relation == k.rel })
	p.Read, p.Full = p.Read.UTC(), p.Full.UTC()
	if p.Coverage == snapshot.Complete {
		p.Complete = thisSnapshot
		if p.Read.IsZero() {
			p.Read = w.began.UTC()
		}
		return p, base, known, e.whole
	}
	p.Complete, p.Delta, p.Full = 0, "", time.Time{}
	if known && (base.Complete != 0 || base.Objects+base.Links > 0) {
		p.Version, p.Asked, p.Absent, p.Declaration = base.Version, base.Asked, base.Absent, base.Declaration
		p.Complete, p.Read, p.Full, p.Delta = base.Complete, base.Read, base.Full, base.Delta
		if len(p.Holes) == 0 {
			p.Holes = base.Holes
		}
	}
	return p, base, known, false
}

// objectPart finishes a type's objects and writes which are gone.
func (w *Writer) objectPart(of entra.Type) (snapshot.Part, error) {
	p, base, known, whole := w.basis(partKey{of, ""})
	t := w.table(of)
	if whole || !known {
		if err := t.load(w.ctx, w.parent); err != nil {
			return p, fmt.Errorf("parent: %w", err)
		}
	}
	if whole {
		for i := range uint32(t.rows.n) {
			if x := t.rows.at(i); x.now != (entra.Version{}) && x.flags&said == 0 && !p.Hole(t.ref(i)) {
				t.leave(i)
			}
		}
	}
	var gone []uint32
	for i := range uint32(t.ids.Len()) {
		was, now := t.was(i), t.rows.at(i).now
		if now == (entra.Version{}) && (was != now || t.rows.at(i).flags&said != 0) {
			gone = append(gone, i)
		}
		switch {
		case was == now:
		case was == (entra.Version{}):
			p.Added++
		case now == (entra.Version{}):
			p.Removed++
		default:
			p.Changed++
		}
	}
	slices.SortFunc(gone, t.ids.Compare)
	for _, i := range gone {
		if err := w.objects.append(objectLine{N: -1, Ref: t.ref(i), Gone: true}); err != nil {
			return p, err
		}
	}
	if t.twice > 0 {
		p.Reason = joinReason(p.Reason, fmt.Sprintf("%d objects came again with other content; the last is kept", t.twice))
	}
	p.Objects, p.Links = base.Objects+p.Added-p.Removed, 0
	sum, err := w.sum(partKey{of, ""})
	if err != nil {
		return p, err
	}
	all, n := newSummer(sum), t.ids.Len()
	for first := 0; first < n; first += summed {
		all.do(func(part *snapshot.Adder) {
			for i := uint32(first); i < uint32(min(first+summed, n)); i++ {
				was, now := t.was(i), t.rows.at(i).now
				if was == now {
					continue
				}
				if was != (entra.Version{}) {
					part.SubEntry(t.ref(i), was)
				}
				if now != (entra.Version{}) {
					part.AddEntry(t.ref(i), now)
				}
			}
		})
	}
	p.Root = all.root()
	return p, nil
}

// sum returns the sum of what the parent has of a part.
func (w *Writer) sum(k partKey) (snapshot.Sum, error) {
	if w.parent == nil {
		return snapshot.Sum{}, nil
	}
	s, err := w.parent.Sum(w.ctx, k.t, k.rel)
	if err != nil {
		return s, fmt.Errorf("parent: %w", err)
	}
	return s, nil
}

func joinReason(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
