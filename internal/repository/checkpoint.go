package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Whole is a tree that can be read as a whole.
type Whole interface {
	snapshot.Tree
	// Whole yields the objects of a type in the order in which their bodies lie, so that each is reached once.
	Whole(ctx context.Context, of entra.Type) iter.Seq2[entra.Object, error]
}

// Checkpoint writes the whole tree of a snapshot into a record of its own, from which a reader can begin: what came before
// is then needed for nothing later. What is written is proven to be that snapshot's by the roots of its parts. It holds the
// IDs and hashes of one tree in memory, as a first capture does. A snapshot of format 1 is refused with errors.ErrUnsupported,
// since its roots are others.
func (r *Repository) Checkpoint(ctx context.Context, tree Whole) (Record, error) {
	s := tree.Snapshot()
	rec, err := r.checkpoint(ctx, tree)
	if err != nil {
		return Record{}, fmt.Errorf("checkpoint of snapshot %d: %w", s.Number, err)
	}
	return rec, nil
}

func (r *Repository) checkpoint(ctx context.Context, tree Whole) (Record, error) {
	if !r.CanWrite() {
		return Record{}, ErrReadOnly
	}
	s := tree.Snapshot()
	of, err := r.record(s.Number)
	if err != nil || of.Kind != KindSnapshot || snapshot.ID(of.Leaf) != s.ID {
		return Record{}, errors.Join(err, errors.New("the log has another snapshot of this number"))
	}
	z, err := newEncoder(zstd.SpeedBetterCompression)
	if err != nil {
		return Record{}, err
	}
	w := &Writer{r: r, base: &snapshot.Snapshot{}, tables: map[entra.Type]*table{}, rels: map[partKey]*relation{}, endings: map[partKey]ending{}}
	w.ctx, w.cancel = context.WithCancel(ctx)
	defer w.cancel()
	w.objects = &segment{r: r, ctx: w.ctx, role: roleObjects, kind: kindCheckpoint, parent: s.Number, limit: maxBlob, z: z}
	defer w.objects.abort()
	for _, p := range s.Parts {
		if p.Relation != "" {
			continue
		}
		for o, err := range tree.Whole(ctx, p.Type) {
			if err == nil {
				err = w.Put(ctx, o)
			}
			if err != nil {
				return Record{}, err
			}
		}
	}
	for _, p := range s.Parts {
		if p.Relation == "" {
			continue
		}
		for l, err := range tree.Links(ctx, p.Type, p.Relation) {
			if err == nil {
				err = w.Link(ctx, l)
			}
			if err != nil {
				return Record{}, err
			}
		}
	}
	parts, err := w.parts()
	if err != nil {
		return Record{}, err
	}
	is := &snapshot.Snapshot{Parts: parts}
	for _, p := range s.Parts {
		root := (&snapshot.Sum{}).Root()
		got := is.Part(p.Type, p.Relation)
		if got.Objects+got.Links > 0 {
			root = got.Root
		}
		if root != p.Root || got.Objects != p.Objects || got.Links != p.Links {
			return Record{}, fmt.Errorf("what the tree holds of %s is not what the snapshot says, which is damage, or of format 1: %w", partKey{p.Type, p.Relation}, errors.ErrUnsupported)
		}
	}
	if err := w.objects.append(snapshotLine{unsettled(s)}); err != nil {
		return Record{}, err
	}
	if err := w.objects.end(); err != nil {
		return Record{}, err
	}
	return r.commit(ctx, Record{Kind: KindCheckpoint, Parent: s.Number, Key: w.objects.says.key(), Blobs: w.objects.blobs}, nil)
}

// unsettled undoes settle in a copy.
func unsettled(s *snapshot.Snapshot) *snapshot.Snapshot {
	out := *s
	out.Parts = slices.Clone(s.Parts)
	for i := range out.Parts {
		if out.Parts[i].Complete == s.Number {
			out.Parts[i].Complete = thisSnapshot
		}
	}
	return &out
}

// ErrForgotten says that a snapshot was forgotten: that it was there is in the log, and what it held is gone for good.
var ErrForgotten = fmt.Errorf("the snapshot was forgotten: %w", fs.ErrNotExist)

// Forgotten reports whether what a snapshot held is gone: it was dropped, and no checkpoint restates it.
func (r *Repository) Forgotten(rec Record) bool {
	if !r.dropped(rec) {
		return false
	}
	_, ok := r.restated(rec.Number)
	return !ok
}

// dropped reports whether a record's own files were dropped.
func (r *Repository) dropped(rec Record) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.ContainsFunc(rec.Blobs, func(b Blob) bool { return r.drops[b.Name] })
}

// restated returns the newest checkpoint of a snapshot that is there.
func (r *Repository) restated(number int64) (Record, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for n := len(r.records) - 1; n >= 0; n-- {
		rec := r.records[n]
		if rec.Kind == KindCheckpoint && rec.Parent == number && !slices.ContainsFunc(rec.Blobs, func(b Blob) bool { return r.drops[b.Name] }) {
			return rec, true
		}
	}
	return Record{}, false
}

// Restated reports whether a checkpoint restates the snapshot.
func (r *Repository) Restated(number int64) bool {
	_, ok := r.restated(number)
	return ok
}

// Older returns the snapshots that count as no newer than a time and are not forgotten, ascending. A record is as new as the
// newest time of it and of all before it, so what is appended later makes nothing older, whatever its clock says; and a
// clock that was behind makes only what it wrote look newer than it said.
func (r *Repository) Older(ctx context.Context, at time.Time) ([]Record, error) {
	if err := r.refresh(ctx); err != nil {
		return nil, fmt.Errorf("snapshots before %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	r.mu.RLock()
	records := r.records
	r.mu.RUnlock()
	var older []Record
	var witnessed time.Time
	for _, rec := range records {
		if rec.At.After(witnessed) {
			witnessed = rec.At
		}
		if rec.Kind == KindSnapshot && !witnessed.After(at) && !r.Forgotten(rec) {
			older = append(older, rec)
		}
	}
	return older, nil
}

// Witnessed returns the newest time that any record states: it was later than that when the last one was written, unless a
// clock was ahead.
func (r *Repository) Witnessed() (newest time.Time) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, rec := range r.records {
		if rec.At.After(newest) {
			newest = rec.At
		}
	}
	return newest
}

// A Forgetting is what is to be forgotten.
type Forgetting struct {
	To        int64   // the snapshot from which on all stays
	Snapshots []int64 // that are forgotten, ascending
	Kept      []int64 // earlier ones that stay, since they are held
	Files     []Blob  // that are dropped: of these, and of the checkpoints that nothing needs any more
}

// maxDropped is how many bytes a list of dropped files has.
const maxDropped = 64 << 20

// Forgetting says what is dropped where all before the snapshot to is forgotten but those that are kept. It changes nothing.
// to and those kept must have checkpoints, since what they build on goes; else the error names the first that has none.
func (r *Repository) Forgetting(ctx context.Context, to int64, kept []int64) (*Forgetting, error) {
	if err := r.refresh(ctx); err != nil {
		return nil, fmt.Errorf("forget: %w", err)
	}
	r.mu.RLock()
	records := r.records
	r.mu.RUnlock()
	f := &Forgetting{To: to}
	stays := map[int64]bool{to: true}
	for _, n := range kept {
		stays[n] = true
	}
	for n := range stays {
		if rec, err := r.record(n); err != nil || rec.Kind != KindSnapshot || n > to {
			return nil, fmt.Errorf("forget: %d is no snapshot up to %d", n, to)
		}
		if !r.Restated(n) {
			return nil, fmt.Errorf("forget: snapshot %d has no checkpoint: %w", n, errors.ErrUnsupported)
		}
	}
	// Of several checkpoints of one snapshot the newest is read.
	for _, rec := range records {
		switch {
		case r.dropped(rec):
			continue
		case rec.Kind == KindSnapshot && rec.Number <= to:
			if !stays[rec.Number] {
				f.Snapshots = append(f.Snapshots, rec.Number)
			} else if rec.Number != to {
				f.Kept = append(f.Kept, rec.Number)
			}
		case rec.Kind == KindCheckpoint && rec.Parent < to && !stays[rec.Parent]:
		default:
			continue
		}
		files, err := r.blobs(ctx, rec)
		if err != nil {
			return nil, fmt.Errorf("forget: %w", err)
		}
		f.Files = append(f.Files, files...)
		if len(rec.Blobs) == 1 && rec.Blobs[0].Role == roleList {
			f.Files = append(f.Files, rec.Blobs[0])
		}
	}
	return f, nil
}

// Forget says in the log what is dropped, and returns the record. It is signed by the recovery key of the present epoch,
// which only who can read the repository has: whoever can but write cannot make anybody forget. Nothing is taken away
// yet; see Drop.
func (r *Repository) Forget(ctx context.Context, f *Forgetting) (Record, error) {
	recovery := r.recoverySigner()
	if recovery == nil {
		return Record{}, fmt.Errorf("forget: %w", ErrKey)
	}
	var b strings.Builder
	for _, file := range f.Files {
		b.WriteString(file.text())
	}
	if b.Len() == 0 || b.Len() > maxDropped {
		return Record{}, fmt.Errorf("forget: %d files cannot be dropped at once", len(f.Files))
	}
	name, text := blobName("list"), b.String()
	if err := r.store.Put(ctx, name, strings.NewReader(text)); err != nil {
		return Record{}, fmt.Errorf("forget: %w", err)
	}
	blob := Blob{roleDropped, name, int64(len(text)), sha256.Sum256([]byte(text))}
	rec, err := r.commitAs(ctx, recovery, Record{Kind: KindForget, Parent: f.To, Blobs: []Blob{blob}}, func() error {
		for _, n := range append([]int64{f.To}, f.Kept...) {
			if !r.Restated(n) {
				return fmt.Errorf("snapshot %d has no checkpoint any more", n)
			}
		}
		return nil
	})
	if err == nil {
		err = r.readDrops(ctx)
	}
	if err != nil {
		return Record{}, fmt.Errorf("forget: %w", err)
	}
	return rec, nil
}

// A Remaining file was to be dropped and is still there.
type Remaining struct {
	Name string
	Err  error
}

// Drop takes away what the log says was dropped, as far as it is still there. What a lock keeps stays until another Drop.
func (r *Repository) Drop(ctx context.Context, remove func(ctx context.Context, name string) error) (gone int, left []Remaining, err error) {
	r.mu.RLock()
	drops := r.drops
	r.mu.RUnlock()
	for name, err := range r.store.List(ctx, "blobs/") {
		if err != nil {
			return gone, left, fmt.Errorf("drop: %w", err)
		}
		if !drops[name] {
			continue
		}
		switch err := remove(ctx, name); {
		case ctx.Err() != nil:
			return gone, left, ctx.Err()
		case err == nil || errors.Is(err, fs.ErrNotExist):
			gone++
		default:
			left = append(left, Remaining{name, err})
		}
	}
	return gone, left, nil
}

// readDrops reads what the log says was dropped, as far as it is not known yet.
func (r *Repository) readDrops(ctx context.Context) error {
	r.mu.RLock()
	records, from := r.records, r.dropsRead
	r.mu.RUnlock()
	all := map[string]bool{}
	for _, rec := range records[from:] {
		if rec.Kind != KindForget {
			continue
		}
		raw, err := read(ctx, r.store, rec.Blobs[0].Name, maxDropped)
		if err != nil {
			return missing(rec.Blobs[0].Name, rec, err)
		}
		names, err := parseDropped(rec, raw)
		if err != nil {
			return err
		}
		for _, name := range names {
			all[name] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(all) > 0 {
		for name := range r.drops {
			all[name] = true
		}
		r.drops = all // which others may be reading
	}
	r.dropsRead = len(records)
	return nil
}

// parseDropped returns the names of the files that a record of kind forget drops.
func parseDropped(rec Record, raw []byte) ([]string, error) {
	b := rec.Blobs[0]
	if sum := sha256.Sum256(raw); int64(len(raw)) != b.Size || !bytes.Equal(sum[:], b.Hash[:]) {
		return nil, spoilt(b.Name, rec, "is not what the log binds")
	}
	var names []string
	for line := range strings.Lines(string(raw)) {
		rest, ok := strings.CutPrefix(line, "blob ")
		file, err := parseBlob(strings.TrimSuffix(rest, "\n"))
		if !ok || err != nil || file.text() != line || !strings.HasPrefix(file.Name, "blobs/") {
			return nil, spoilt(b.Name, rec, "is not in its one form")
		}
		names = append(names, file.Name)
	}
	return names, nil
}

// How much is written after a whole tree before the tree is written whole once more. It bounds what a reader without an
// index has to read, and what forgetting can give up at a time.
const (
	dueShare = 2                   // one part in so many of the whole
	dueAfter = 30 * 24 * time.Hour // by the times of the records
	dueCount = 1000                // snapshots
	dueLeast = 1 << 20             // bytes; with less and few snapshots nobody gains by it
)

// Due returns the newest snapshot where it is time for a checkpoint of it, else 0: where what was written since the last
// whole tree is more than half of that, or there are a thousand snapshots since, or thirty days have passed.
func (r *Repository) Due(ctx context.Context) (int64, error) {
	if err := r.refresh(ctx); err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	r.mu.RLock()
	records := r.records
	r.mu.RUnlock()
	var whole, since, count int64
	var at, newest time.Time
	for _, rec := range records {
		full := rec.Kind == KindCheckpoint || rec.Kind == KindSnapshot && rec.Parent == 0
		if !full && rec.Kind != KindSnapshot || r.dropped(rec) {
			continue
		}
		blobs, err := r.blobs(ctx, rec)
		if err != nil {
			return 0, fmt.Errorf("checkpoint: %w", err)
		}
		size := int64(0)
		for _, b := range blobs {
			if b.Role == roleObjects {
				size += b.Size
			}
		}
		if full {
			whole, since, count, at = size, 0, 0, rec.At
			continue
		}
		since, count, newest = since+size, count+1, rec.At
	}
	if count >= dueCount || since >= dueLeast && (since > whole/dueShare || newest.Sub(at) >= dueAfter) {
		return r.newest(), nil
	}
	return 0, nil
}
