package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Finding is one thing that is not as it should be.
type Finding struct {
	Blob   string // the file's name in the store
	Reason string
	// Snapshots are those that cannot be trusted or read whole: the one whose blob it is and those that
	// build on it, ascending.
	Snapshots []int64
}

// Check reads the repository again and yields what is wrong with it. It finds every changed, missing or
// swapped file that the log binds, without a key: notes by their signatures and the tree over them, the
// rest by size and SHA-256. Deep also opens every blob, reads every line, recomputes every version, and
// recomputes the roots of what each snapshot's tree then holds; those of parts over 50,000 entries only
// for the newest. It needs the key, and memory for the refs and versions of one tree. What no note names is
// left-over of an interrupted writer and no finding. An error, the last pair, says that the store or the
// key failed, not that the repository did.
func (r *Repository) Check(ctx context.Context, deep bool) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		c := &checker{r: r, yield: yield, bad: map[string]bool{}}
		err := c.run(ctx, deep)
		if err != nil && !c.stopped {
			yield(Finding{}, fmt.Errorf("check: %w", err))
		}
	}
}

type checker struct {
	r       *Repository
	yield   func(Finding, error) bool
	stopped bool
	bad     map[string]bool // blobs with a finding
}

func (c *checker) run(ctx context.Context, deep bool) error {
	if err := c.r.refresh(ctx); err != nil {
		return c.judge(Record{}, err)
	}
	c.r.mu.RLock()
	records := c.r.records
	sealed := len(c.r.identities) == 0
	c.r.mu.RUnlock()
	if deep && sealed {
		return ErrKey
	}
	if err := c.notes(ctx, records); err != nil {
		return err
	}
	blobs, err := c.bound(ctx, records)
	if err != nil {
		return err
	}
	if err := c.blobs(ctx, blobs); err != nil || !deep {
		return err
	}
	return c.deep(ctx, records)
}

// judge makes damage a finding and returns what is not damage.
func (c *checker) judge(rec Record, err error) error {
	var e *CorruptError
	if !errors.As(err, &e) {
		return err
	}
	return c.found(rec, e.Blob, e.Reason)
}

func (c *checker) found(rec Record, blob, reason string) error {
	if c.bad[blob] {
		return nil // damage of one file is told once
	}
	c.bad[blob] = true
	f := Finding{Blob: blob, Reason: reason}
	first := rec.Number
	touches := rec.Kind == KindSnapshot || blob == noteName(rec.Number)
	if of, err := c.r.record(rec.Parent); err == nil && rec.Kind == KindCheckpoint && c.r.dropped(of) {
		first, touches = of.Number, true // nothing else says what its snapshot held
	}
	if touches {
		c.r.mu.RLock()
		for _, other := range c.r.records[first:] {
			if other.Kind == KindSnapshot {
				f.Snapshots = append(f.Snapshots, other.Number)
			}
		}
		c.r.mu.RUnlock()
	}
	if !c.yield(f, nil) {
		c.stopped = true
		return errStop
	}
	return nil
}

// notes holds each note against the log as it was verified when it was read.
func (c *checker) notes(ctx context.Context, records []Record) error {
	for name, err := range c.r.store.List(ctx, "log/") {
		if err != nil {
			return err
		}
		if n, ok := noteNumber(name); !ok || n > int64(len(records)) {
			if err := c.found(Record{Number: int64(len(records))}, name, "has no place in the log"); err != nil {
				return err
			}
		}
	}
	return inBatches(ctx, records, func(ctx context.Context, rec Record) (string, error) {
		msg, err := read(ctx, c.r.store, noteName(rec.Number), maxNote)
		if err != nil {
			return "", err
		}
		return c.note(rec, msg)
	}, func(rec Record, reason string, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			reason, err = "missing", nil
		}
		if err != nil {
			return c.judge(rec, err)
		}
		if reason != "" {
			return c.found(rec, noteName(rec.Number), reason)
		}
		return nil
	})
}

func (c *checker) note(rec Record, msg []byte) (string, error) {
	c.r.mu.RLock()
	defer c.r.mu.RUnlock()
	// Who may sign what was decided when the log was read; the record is compared with that reading.
	signed, err := note.Open(msg, note.VerifierList(slices.Concat(c.r.verifiers, c.r.recoverers)...))
	if err != nil {
		return err.Error(), nil
	}
	root, got, err := parseNote(c.r.origin(), rec.Number, signed.Text)
	if err != nil {
		return err.Error(), nil
	}
	want, err := tlog.TreeHash(rec.Number+1, c.r.hashReader())
	if err != nil {
		return "", err
	}
	if len(signed.Sigs) != 1 || len(signed.UnverifiedSigs) != 0 || !bytes.Equal(msg, message(signed)) || got.Leaf != rec.Leaf || root != want {
		return "is another one than when the log was read", nil
	}
	return "", nil
}

// inBatches reads for up to 16 things at a time and tells of each in order.
func inBatches[T any](ctx context.Context, all []T, read func(context.Context, T) (string, error), tell func(T, string, error) error) error {
	for batch := range slices.Chunk(all, readers) {
		reasons, errs := make([]string, len(batch)), make([]error, len(batch))
		g, ctx := errgroup.WithContext(ctx)
		for i, x := range batch {
			g.Go(func() error {
				reasons[i], errs[i] = read(ctx, x)
				return ctx.Err()
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for i, x := range batch {
			if err := tell(x, reasons[i], errs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// A binding is a blob and the record that binds it.
type binding struct {
	rec  Record
	blob Blob
}

// bound lists what the log binds: repo.json, the slots it names, and the records' blobs.
func (c *checker) bound(ctx context.Context, records []Record) ([]binding, error) {
	var all []binding
	for _, rec := range records {
		if c.r.dropped(rec) {
			continue // which the log says
		}
		for _, b := range rec.Blobs {
			all = append(all, binding{rec, b})
		}
		listed, err := c.r.blobs(ctx, rec)
		if err != nil {
			if err := c.judge(rec, err); err != nil {
				return nil, err
			}
			continue
		}
		if len(rec.Blobs) == 1 && rec.Blobs[0].Role == roleList {
			for _, b := range listed {
				all = append(all, binding{rec, b})
			}
		}
	}
	raw, err := read(ctx, c.r.store, repoName, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil // its binding in record 0 finds that
	}
	if err != nil {
		return nil, c.judge(Record{}, err)
	}
	if h, err := parseHeader(raw); err == nil && records[0].Blobs[0].Hash == sha256.Sum256(raw) {
		for _, s := range h.Slots {
			b := Blob{Role: roleSlot, Name: s.Name, Size: s.Size}
			if _, err := hex.Decode(b.Hash[:], []byte(s.Hash)); err != nil {
				return nil, fmt.Errorf("slot %s: %w", s.Name, err)
			}
			all = append(all, binding{records[0], b})
		}
	}
	return all, nil
}

// blobs compares every blob with its size and hash.
func (c *checker) blobs(ctx context.Context, all []binding) error {
	return inBatches(ctx, all, func(ctx context.Context, x binding) (string, error) {
		return file{x.blob.Name, x.blob.Hash, x.blob.Size, x.rec}.wrong(ctx, c.r.store)
	}, func(x binding, reason string, err error) error {
		if err != nil || reason == "" {
			return err
		}
		return c.found(x.rec, x.blob.Name, reason)
	})
}

// deep opens everything and replays the log.
func (c *checker) deep(ctx context.Context, records []Record) error {
	s := newShadow()
	defer func() { s.settle() }()
	for _, rec := range records {
		if rec.Kind == KindCheckpoint && !c.r.dropped(rec) {
			if err := c.restates(ctx, rec); err != nil {
				return err
			}
		}
		if rec.Kind == KindSnapshot && c.r.Forgotten(rec) {
			continue
		}
		if rec.Kind != KindSnapshot {
			if _, err := c.r.Data(ctx, rec); err != nil {
				if err := c.judge(rec, err); err != nil {
					return err
				}
			}
			continue
		}
		broken := false
		s.numbers = nil // ordinals are those of one record
		for l, err := range c.r.said(ctx, rec, false) {
			if err == nil {
				if snap, ok := l.(Snapshot); ok && !s.lost {
					if part := s.compare(snap); part != "" {
						err = spoilt(noteName(rec.Number), rec, "the root of "+part+" is not that of what the tree holds")
					}
				} else {
					s.play(l)
				}
			}
			if err != nil {
				broken = true
				if err := c.judge(rec, err); err != nil {
					return err
				}
			}
		}
		s.lost = s.lost || broken // later trees build on what is not known
	}
	return nil
}

// restates plays a checkpoint by itself, and compares what it holds with what it says that its snapshot held.
func (c *checker) restates(ctx context.Context, rec Record) error {
	s := newShadow()
	defer func() { s.settle() }()
	for l, err := range c.r.said(ctx, rec, false) {
		if err == nil {
			if snap, ok := l.(Snapshot); ok {
				if part := s.compare(snap); part != "" {
					err = spoilt(noteName(rec.Number), rec, "the root of "+part+" is not that of what the checkpoint holds")
				}
			} else {
				s.play(l)
			}
		}
		if err != nil {
			return c.judge(rec, err)
		}
	}
	return nil
}

// A shadow is the tree that replaying the log gives, bodies left out. It numbers the IDs of each type, and adds up on all
// processors.
type shadow struct {
	ids      map[entra.Type]*entra.IDs
	versions map[entra.Type]*list[entra.Version]        // by number, zero for none
	count    map[entra.Type]int64                       // of those that are not zero
	links    map[partKey]map[entra.Type]map[uint64]bool // by the type of the far end, the numbers of both, as end has them
	sums     map[partKey]*summer
	trees    map[partKey]treeRoot // of format 1
	numbers  []uint32             // one more than those of objects, by their ordinals in a checkpoint; 0 is not known yet
	lost     bool
}

func newShadow() *shadow {
	return &shadow{ids: map[entra.Type]*entra.IDs{}, versions: map[entra.Type]*list[entra.Version]{}, count: map[entra.Type]int64{},
		links: map[partKey]map[entra.Type]map[uint64]bool{}, sums: map[partKey]*summer{}, trees: map[partKey]treeRoot{}}
}

func (s *shadow) sum(k partKey) *summer {
	if s.sums[k] == nil {
		s.sums[k] = newSummer(snapshot.Sum{})
	}
	return s.sums[k]
}

// ordinal is number for an object that a checkpoint has given an ordinal, and number itself where that is -1.
func (s *shadow) ordinal(o int64, r entra.Ref) uint32 {
	if o < 0 {
		return s.number(r)
	}
	for int64(len(s.numbers)) <= o {
		s.numbers = append(s.numbers, 0)
	}
	if s.numbers[o] == 0 {
		s.numbers[o] = s.number(r) + 1
	}
	return s.numbers[o] - 1
}

// number returns the number of an object's ID.
func (s *shadow) number(r entra.Ref) uint32 {
	of := s.ids[r.Type]
	if of == nil {
		of = &entra.IDs{}
		s.ids[r.Type], s.versions[r.Type] = of, &list[entra.Version]{}
	}
	n := of.Add(r.ID)
	if all := s.versions[r.Type]; int(n) == all.n {
		all.add(entra.Version{})
	}
	return n
}

func (s *shadow) play(l Line) {
	switch l := l.(type) {
	case Anew:
		s.settle()
		*s = *newShadow()
	case Object:
		s.set(l.Ref, l.Version)
	case Gone:
		s.set(l.Ref, entra.Version{})
	case Links:
		k := partKey{l.From.Type, l.Rel}
		of := s.links[k]
		if of == nil {
			of = map[entra.Type]map[uint64]bool{}
			s.links[k] = of
		}
		ordinal := func(i int) int64 {
			if i < len(l.Ordinals) {
				return l.Ordinals[i]
			}
			return -1
		}
		sum, from := s.sum(k), uint64(s.ordinal(ordinal(0), l.From))<<32
		for i, to := range slices.Concat(l.Add, l.Remove) {
			all, pair := of[to.Type], from|uint64(s.ordinal(ordinal(i+1), to))
			if all == nil {
				all = map[uint64]bool{}
				of[to.Type] = all
			}
			link := entra.Link{From: l.From, Rel: l.Rel, To: to}
			switch begins := i < len(l.Add); {
			case begins && !all[pair]:
				all[pair] = true
				sum.link(link)
			case !begins && all[pair]:
				delete(all, pair)
				sum.change(func(part *snapshot.Adder) { part.SubLink(link) })
			}
		}
	}
}

// set gives the object a version, the zero Version for none.
func (s *shadow) set(r entra.Ref, v entra.Version) {
	n := s.number(r)
	place := s.versions[r.Type].at(n)
	was := *place
	if was == v {
		return
	}
	*place = v
	sum := s.sum(partKey{r.Type, ""})
	if was != (entra.Version{}) {
		s.count[r.Type]--
		sum.change(func(part *snapshot.Adder) { part.SubEntry(r, was) })
	}
	if v != (entra.Version{}) {
		s.count[r.Type]++
		sum.change(func(part *snapshot.Adder) { part.AddEntry(r, v) })
	}
}

// settle waits until all is added up.
func (s *shadow) settle() {
	for _, sum := range s.sums {
		sum.root()
	}
}

// size returns how much the tree has of a part.
func (s *shadow) size(k partKey) (n int64) {
	if k.rel == "" {
		return s.count[k.t]
	}
	for _, all := range s.links[k] {
		n += int64(len(all))
	}
	return n
}

// compare returns the first part of the snapshot that is not what the tree holds, or "".
func (s *shadow) compare(snap Snapshot) string {
	parts := map[partKey]bool{}
	for _, p := range snap.Parts {
		k := partKey{p.Type, p.Relation}
		parts[k] = true
		if s.size(k) != p.Objects+p.Links || s.root(k, snap.Format) != p.Root {
			return k.String()
		}
	}
	for t, n := range s.count {
		if n > 0 && !parts[partKey{t, ""}] {
			return string(t)
		}
	}
	for k := range s.links {
		if !parts[k] && s.size(k) > 0 {
			return k.String()
		}
	}
	return ""
}

// root returns a part's root by the rule of a format.
func (s *shadow) root(k partKey, format int64) snapshot.Root {
	sum := s.sum(k).root()
	if format >= 2 {
		return sum
	}
	known := s.trees[k]
	if known.of != sum {
		known = treeRoot{sum, s.tree(k)}
		s.trees[k] = known
	}
	return known.root
}

// A treeRoot is the root by format 1 of what has a sum.
type treeRoot struct{ of, root snapshot.Root }

// tree returns a part's root by format 1: the RFC 6962 tree hash over what it has, in order.
func (s *shadow) tree(k partKey) snapshot.Root {
	var leaves []tlog.Hash
	ids := func(t entra.Type, n uint32) entra.Ref { return entra.Ref{Type: t, ID: s.ids[t].At(n)} }
	if k.rel == "" {
		var there []uint32
		for n := range uint32(s.versions[k.t].len()) {
			if *s.versions[k.t].at(n) != (entra.Version{}) {
				there = append(there, n)
			}
		}
		slices.SortFunc(there, func(m, n uint32) int { return s.ids[k.t].Compare(m, n) })
		for _, n := range there {
			leaves = append(leaves, tlog.RecordHash(fmt.Appendf(nil, "%s %s", ids(k.t, n), *s.versions[k.t].at(n))))
		}
	} else {
		var there []entra.Link
		for t, all := range s.links[k] {
			for pair := range all {
				there = append(there, entra.Link{From: ids(k.t, uint32(pair>>32)), Rel: k.rel, To: ids(t, uint32(pair))})
			}
		}
		slices.SortFunc(there, entra.Link.Compare)
		for _, l := range there {
			leaves = append(leaves, tlog.RecordHash([]byte(l.String())))
		}
	}
	if len(leaves) == 0 {
		return sha256.Sum256(nil)
	}
	return snapshot.Root(treeHash(leaves))
}

// treeHash is MTH of RFC 6962, section 2.1, over the hashes of at least one leaf.
func treeHash(leaves []tlog.Hash) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	left := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	return tlog.NodeHash(treeHash(leaves[:left]), treeHash(leaves[left:]))
}
