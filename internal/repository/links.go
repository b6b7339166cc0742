package repository

import (
	"cmp"
	"container/heap"
	"iter"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A relation holds what was said about the links of one part, as pairs of indexes in the tables of the two
// ends: from in the upper half, to in the lower. They come in runs, so that no list of millions is ever copied.
type relation struct {
	seen  map[entra.Type][][]uint64 // by the type of the far end
	ended map[end]bool              // explicitly not there
}

// maxRun is how many pairs a run has at the most.
const maxRun = 1 << 16

func (r *relation) add(e end) {
	runs := r.seen[e.t]
	if len(runs) == 0 || len(runs[len(runs)-1]) == maxRun {
		runs = append(runs, nil)
	}
	last := len(runs) - 1
	runs[last] = append(runs[last], e.pair)
	r.seen[e.t] = runs
}

// all yields what was seen.
func (r *relation) all() iter.Seq[end] {
	return func(yield func(end) bool) {
		for t, runs := range r.seen {
			for _, run := range runs {
				for _, pair := range run {
					if !yield(end{t, pair}) {
						return
					}
				}
			}
		}
	}
}

type end struct {
	t    entra.Type
	pair uint64
}

// A mention is one link that was seen.
type mention struct {
	from, to uint32
	far      *table
}

// sorted yields what was seen without what was ended, each link once, ascending. It reorders the relation.
func (w *Writer) sorted(k partKey, rel *relation) iter.Seq[mention] {
	near := w.table(k.t)
	near.sort()
	types := slices.Sorted(maps.Keys(rel.seen))
	far := make([]*table, len(types))
	var m merge
	var sorting errgroup.Group
	sorting.SetLimit(runtime.GOMAXPROCS(0))
	for i, t := range types {
		far[i] = w.table(t)
		far[i].sort()
		for _, pairs := range rel.seen[t] {
			pairs = slices.DeleteFunc(pairs, func(pair uint64) bool { return rel.ended[end{t, pair}] })
			if len(pairs) == 0 {
				continue
			}
			m = append(m, run{i, pairs})
			sorting.Go(func() error {
				for j, pair := range pairs {
					pairs[j] = uint64(near.rank[pair>>32])<<32 | uint64(far[i].rank[uint32(pair)])
				}
				slices.Sort(pairs)
				return nil
			})
		}
	}
	_ = sorting.Wait() // nothing of it can fail
	rel.seen = nil
	heap.Init(&m)
	return func(yield func(mention) bool) {
		was, before := -1, uint64(0)
		for len(m) > 0 {
			next, pair := m[0].far, m[0].pairs[0]
			if m[0].pairs = m[0].pairs[1:]; len(m[0].pairs) == 0 {
				heap.Pop(&m)
			} else {
				heap.Fix(&m, 0)
			}
			if next == was && pair == before {
				continue
			}
			was, before = next, pair
			if !yield(mention{near.perm[pair>>32], far[next].perm[uint32(pair)], far[next]}) {
				return
			}
		}
	}
}

// A run is some sorted pairs of one relation, by rank; far says of which type the far ends are.
type run struct {
	far   int
	pairs []uint64
}

// A merge is a heap of runs, the one with the first link on top.
type merge []run

func (m merge) Len() int      { return len(m) }
func (m merge) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)   { *m = append(*m, x.(run)) }

func (m merge) Less(i, j int) bool {
	x, y := m[i].pairs[0], m[j].pairs[0]
	return cmp.Or(cmp.Compare(x>>32, y>>32), cmp.Compare(m[i].far, m[j].far), cmp.Compare(x, y)) < 0
}

func (m *merge) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	*m = (*m)[:last]
	return x
}

// left reports whether the object goes with this snapshot.
func (w *Writer) left(r entra.Ref) bool {
	t := w.tables[r.Type]
	if t == nil || t.left == 0 {
		return false
	}
	i, ok := t.ids.Find(r.ID)
	return ok && t.rows.at(i).flags&left != 0
}

// aroundLimit is the number of gone objects up to which the parent is asked for the links of each; with
// more of them it is cheaper to read all links.
const aroundLimit = 500

// A parting is which of the parent's links end because objects are gone.
type parting struct {
	all   bool // of any part: there are too many to ask for each
	links map[partKey][]entra.Link
}

// parting finds the parent's links of objects that are gone.
func (w *Writer) parting() (parting, error) {
	p := parting{links: map[partKey][]entra.Link{}}
	if w.parent == nil {
		return p, nil
	}
	total := 0
	for _, t := range w.tables {
		total += t.left
	}
	if total > aroundLimit {
		p.all = true
		return p, nil
	}
	for _, t := range w.tables {
		for i := range uint32(t.rows.n) {
			if t.left == 0 || t.rows.at(i).flags&left == 0 {
				continue
			}
			for l, err := range w.parent.Around(w.ctx, t.ref(i)) {
				if err != nil {
					return p, err
				}
				k := partKey{l.From.Type, l.Rel}
				p.links[k] = append(p.links[k], l)
			}
		}
	}
	return p, nil
}

// linkPart finishes a relation's links and writes how they changed.
func (w *Writer) linkPart(k partKey, gone parting) (snapshot.Part, error) {
	p, base, known, whole := w.basis(k)
	p.Objects, p.Links = 0, base.Links
	sum, err := w.sum(k)
	if err != nil {
		return p, err
	}
	rel := w.rels[k]
	if known && rel == nil && !whole && !gone.all && gone.links[k] == nil {
		p.Root = sum.Root()
		return p, nil
	}
	if rel == nil {
		rel = &relation{}
	}
	m := &merger{w: w, key: k, p: &p, rel: rel, whole: whole, holes: map[entra.Ref]bool{}, sum: newSummer(sum)}
	for _, r := range p.Holes {
		m.holes[r] = true
	}
	before := w.links(k, rel, gone, whole)
	next, stop := iter.Pull(w.sorted(k, rel))
	defer stop()
	near := w.table(k.t)
	link := func(n mention) entra.Link { return entra.Link{From: near.ref(n.from), Rel: k.rel, To: n.far.ref(n.to)} }
	n, more := next()
	for l, err := range before {
		if err != nil {
			return p, err
		}
		for more && link(n).Compare(l) < 0 {
			if err := m.seen(link(n), n, false); err != nil {
				return p, err
			}
			n, more = next()
		}
		if more && link(n) == l {
			if err := m.seen(l, n, true); err != nil {
				return p, err
			}
			n, more = next()
		} else if err := m.unseen(l); err != nil {
			return p, err
		}
	}
	for ; more; n, more = next() {
		if err := m.seen(link(n), n, false); err != nil {
			return p, err
		}
	}
	if err := m.flush(); err != nil {
		return p, err
	}
	p.Links, p.Root = base.Links+p.Linked-p.Unlinked, m.sum.root()
	return p, nil
}

// links yields those of the parent's links of a part that this snapshot may say something of, ascending: of a part that was
// read whole all of them, and else, while they are few, those that were named.
func (w *Writer) links(k partKey, rel *relation, gone parting, whole bool) iter.Seq2[entra.Link, error] {
	if w.parent == nil {
		return func(func(entra.Link, error) bool) {}
	}
	n := len(rel.ended) + len(gone.links[k])
	for range rel.all() {
		n++
	}
	if whole || gone.all || int64(n) > few(w.base.Part(k.t, k.rel).Links) {
		return w.parent.Links(w.ctx, k.t, k.rel)
	}
	named := slices.Clone(gone.links[k])
	near := w.table(k.t)
	name := func(e end) {
		named = append(named, entra.Link{From: near.ref(uint32(e.pair >> 32)), Rel: k.rel, To: w.table(e.t).ref(uint32(e.pair))})
	}
	for e := range rel.all() {
		name(e)
	}
	for e := range rel.ended {
		name(e)
	}
	slices.SortFunc(named, entra.Link.Compare)
	named = slices.Compact(named)
	return func(yield func(entra.Link, error) bool) {
		for _, l := range named {
			has, err := w.parent.Has(w.ctx, l)
			if (has || err != nil) && !yield(l, err) {
				return
			}
		}
	}
}

// A merger decides on the links of a part one by one, ascending, and writes the changes.
type merger struct {
	w     *Writer
	key   partKey
	p     *snapshot.Part
	rel   *relation
	whole bool
	holes map[entra.Ref]bool
	sum   *summer
	out   Links // changes at the present object
	ords  []int64
}

// seen takes a link that was seen, and says whether the parent has it.
func (m *merger) seen(l entra.Link, n mention, was bool) error {
	if m.w.left(l.From) || m.w.left(l.To) {
		return m.drop(l, was)
	}
	if was {
		return nil
	}
	m.p.Linked++
	m.sum.link(l)
	if m.w.parent == nil {
		return m.state(l, n)
	}
	return m.change(l, true)
}

// unseen takes a link of the parent that was not seen.
func (m *merger) unseen(l entra.Link) error {
	if m.whole && !m.holes[l.From] || m.ended(l) || m.w.left(l.From) || m.w.left(l.To) {
		return m.drop(l, true)
	}
	return nil
}

func (m *merger) ended(l entra.Link) bool {
	if len(m.rel.ended) == 0 {
		return false
	}
	near, far := m.w.tables[l.From.Type], m.w.tables[l.To.Type]
	if near == nil || far == nil {
		return false
	}
	from, ok1 := near.ids.Find(l.From.ID)
	to, ok2 := far.ids.Find(l.To.ID)
	return ok1 && ok2 && m.rel.ended[end{l.To.Type, uint64(from)<<32 | uint64(to)}]
}

func (m *merger) drop(l entra.Link, was bool) error {
	if !was {
		return nil
	}
	m.p.Unlinked++
	m.sum.change(func(part *snapshot.Adder) { part.SubLink(l) })
	return m.change(l, false)
}

// state notes a link of a first snapshot, in which objects are called by their ordinals.
func (m *merger) state(l entra.Link, n mention) error {
	if l.From != m.out.From {
		if err := m.flush(); err != nil {
			return err
		}
		m.out = Links{From: l.From, Rel: l.Rel}
	}
	o, err := m.ordinal(n.far, n.to)
	m.ords = append(m.ords, o)
	return err
}

// change notes that a link begins or ends.
func (m *merger) change(l entra.Link, begins bool) error {
	if l.From != m.out.From || len(m.out.Add)+len(m.out.Remove) == linkBatch {
		if err := m.flush(); err != nil {
			return err
		}
		m.out = Links{From: l.From, Rel: l.Rel}
	}
	if begins {
		m.out.Add = append(m.out.Add, l.To)
	} else {
		m.out.Remove = append(m.out.Remove, l.To)
	}
	return nil
}

// ordinal returns the ordinal of the table's object in a checkpoint, giving it a stub line where it has none.
func (m *merger) ordinal(t *table, i uint32) (int64, error) {
	if int(i) < t.ord.n && *t.ord.at(i) > 0 {
		return *t.ord.at(i) - 1, nil
	}
	n := m.w.number(t, i)
	return n, m.w.objects.append(objectLine{N: n, Ref: t.ref(i)})
}

// flush writes the changes at the present object.
func (m *merger) flush() error {
	if len(m.ords) > 0 {
		near := m.w.table(m.key.t)
		from, err := m.ordinal(near, near.node(m.out.From.ID))
		if err != nil {
			return err
		}
		slices.SortFunc(m.ords, cmp.Compare[int64])
		for batch := range slices.Chunk(m.ords, linkBatch) {
			if err := m.w.objects.append(ordLine{m.out.Rel, from, batch}); err != nil {
				return err
			}
		}
		m.ords = m.ords[:0]
	}
	if len(m.out.Add)+len(m.out.Remove) > 0 {
		if err := m.w.objects.append(linkLine(m.out)); err != nil {
			return err
		}
	}
	m.out = Links{}
	return nil
}
