package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// readers bounds how many notes are read at a time.
const readers = 16

func (r *Repository) origin() string { return "tidemark/" + r.id }

func (r *Repository) hashReader() tlog.HashReader {
	return tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			out[i] = r.hashes[n]
		}
		return out, nil
	})
}

// load reads the whole log.
func (r *Repository) load(ctx context.Context) error {
	var last int64 = -1
	for name, err := range r.store.List(ctx, "log/") {
		if err != nil {
			return err
		}
		if n, ok := noteNumber(name); ok {
			last = max(last, n)
		}
	}
	notes := make([][]byte, last+1)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for n := range last + 1 {
		g.Go(func() (err error) {
			notes[n], err = read(gctx, r.store, noteName(n), maxNote)
			if errors.Is(err, fs.ErrNotExist) {
				return corrupt(noteName(n), "missing, though the log goes on to %d", last)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for n, msg := range notes {
		if err := r.extend(int64(n), msg); err != nil {
			return err
		}
	}
	return r.readOn(ctx, 1) // a list may lag behind what is there
}

func noteNumber(name string) (int64, bool) {
	var a, b int64
	if _, err := fmt.Sscanf(name, "log/%d/%d", &a, &b); err != nil || noteName(b) != name {
		return 0, false
	}
	return b, true
}

// refresh reads what others appended.
func (r *Repository) refresh(ctx context.Context) error {
	r.gate.Lock()
	defer r.gate.Unlock()
	return r.readOn(ctx, 1)
}

// readOn is refresh for who holds the gate. At first it looks for so many notes at once; where all are there it looks for more.
func (r *Repository) readOn(ctx context.Context, ahead int64) error {
	for ; ; ahead = min(2*ahead, readers) {
		n := r.Head().Size
		notes, err := r.following(ctx, n, ahead)
		if err != nil || len(notes) == 0 {
			return err
		}
		for i, msg := range notes {
			n := n + int64(i)
			if err := r.extend(n, msg); err != nil {
				return err
			}
			r.mu.Lock()
			r.unlock(ctx, r.records[n].Blobs)
			r.mu.Unlock()
		}
		if err := r.readDrops(ctx); err != nil {
			return err
		}
		if int64(len(notes)) < ahead {
			return nil
		}
	}
}

// following returns up to so many notes from number n on, up to the first that is not there.
func (r *Repository) following(ctx context.Context, n, most int64) ([][]byte, error) {
	notes := make([][]byte, most)
	get := func(ctx context.Context, i int) error {
		msg, err := read(ctx, r.store, noteName(n+int64(i)), maxNote)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		notes[i] = msg
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for i := range notes {
		g.Go(func() error { return get(gctx, i) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	last := len(notes)
	for last > 0 && notes[last-1] == nil {
		last--
	}
	for i, msg := range notes[:last] {
		if msg != nil {
			continue
		}
		// It may have been written since it was looked for, which those after it were not.
		if err := get(ctx, i); err != nil {
			return nil, err
		}
		if notes[i] == nil {
			return nil, corrupt(noteName(n+int64(i)), "missing, though the log goes on to %d", n+int64(last)-1)
		}
	}
	return notes[:last], nil
}

// extend takes note n in after checking its form, signature, number and root.
func (r *Repository) extend(n int64, msg []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	take, err := r.examine(n, msg)
	if err != nil {
		return err
	}
	take()
	return nil
}

// examine checks whether a note continues the log as number n, and returns what takes it in. The caller holds mu.
func (r *Repository) examine(n int64, msg []byte) (take func(), err error) {
	signed, err := note.Open(msg, note.VerifierList(append(slices.Clip(r.verifiers), r.recovery())...))
	if err != nil {
		return nil, corrupt(noteName(n), "%v", err)
	}
	if len(signed.Sigs) != 1 || len(signed.UnverifiedSigs) != 0 || !bytes.Equal(msg, message(signed)) {
		return nil, corrupt(noteName(n), "is not in its one form")
	}
	root, rec, err := parseNote(r.origin(), n, signed.Text)
	if err != nil {
		return nil, corrupt(noteName(n), "%v", err)
	}
	rec.Signer = signed.Sigs[0].Name
	recovery := r.recovery()
	recovers := signed.Sigs[0].Hash == recovery.KeyHash() && rec.Signer == recovery.Name()
	if recovers && rec.Kind != KindSigner && rec.Kind != KindForget {
		return nil, corrupt(noteName(n), "is signed by the key that may only introduce signers and forget")
	}
	more, want, err := r.grown(rec)
	if err != nil {
		return nil, err
	}
	if want != root {
		return nil, corrupt(noteName(n), "its root is not that of the records up to it")
	}
	change, err := r.fits(rec)
	if err != nil {
		return nil, err
	}
	if rec.Kind == KindForget && (!recovers || len(rec.Blobs) != 1 || rec.Blobs[0].Role != roleDropped) {
		return nil, corrupt(noteName(n), "forgets without the key that may, or without saying what")
	}
	return func() {
		change()
		r.records, r.hashes = append(r.records, rec), append(r.hashes, more...)
		r.head = Head{n + 1, root, string(msg)}
	}, nil
}

// fits checks a record against those before it, and returns what it changes of who may sign and what is sealed to. The
// caller holds mu.
func (r *Repository) fits(rec Record) (change func(), err error) {
	switch rec.Kind {
	case KindSnapshot:
		if newest := newest(r.records); rec.Parent != newest {
			return nil, corrupt(noteName(rec.Number), "its parent is %d, the newest snapshot before it %d", rec.Parent, newest)
		}
	case KindCheckpoint, KindForget:
		if rec.Parent >= int64(len(r.records)) || r.records[rec.Parent].Kind != KindSnapshot {
			return nil, corrupt(noteName(rec.Number), "its parent %d is no snapshot", rec.Parent)
		}
	case KindSigner:
		v, err := note.NewVerifier(rec.Key)
		if err != nil {
			return nil, corrupt(noteName(rec.Number), "signer: %v", err)
		}
		if r.verifies(v.Name(), v.KeyHash()) {
			return nil, corrupt(noteName(rec.Number), "signer %s is known already", v.Name())
		}
		return func() { r.verifiers, r.keys[keyName(v)] = append(r.verifiers, v), rec.Key }, nil
	case KindEpoch:
		to, key, _ := strings.Cut(rec.Key, " ")
		recipient, err := age.ParseX25519Recipient(to)
		if err != nil {
			return nil, corrupt(noteName(rec.Number), "epoch: %v", err)
		}
		recovery, err := note.NewVerifier(key)
		if err != nil {
			return nil, corrupt(noteName(rec.Number), "epoch: recovery: %v", err)
		}
		return func() {
			r.epoch, r.recipient, r.recipients, r.recoverers = r.epoch+1, recipient, append(r.recipients, to), append(r.recoverers, recovery)
			r.keys[keyName(recovery)] = key
		}, nil
	}
	return func() {}, nil
}

// more appends the hashes to store with one more record: its leaf, and the root of each tree that it completes.
func (r *Repository) more(to []tlog.Hash, rec Record) []tlog.Hash {
	h := tlog.Hash(rec.Leaf)
	to = append(to, h)
	for level, n := 0, int64(len(r.records)); n&1 == 1; level, n = level+1, n>>1 {
		h = tlog.NodeHash(r.hashes[tlog.StoredHashIndex(level, n-1)], h)
		to = append(to, h)
	}
	return to
}

// grown returns the hashes to store and the root of the log with one more record.
func (r *Repository) grown(rec Record) ([]tlog.Hash, tlog.Hash, error) {
	n, more := int64(len(r.records)), r.more(nil, rec)
	root, err := tlog.TreeHash(n+1, tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			if n < int64(len(r.hashes)) {
				out[i] = r.hashes[n]
			} else {
				out[i] = more[n-int64(len(r.hashes))]
			}
		}
		return out, nil
	}))
	return more, root, err
}

// message writes a note with one signature in its one form. Base64 has several for one signature.
func message(n *note.Note) []byte {
	sig := n.Sigs[0]
	raw, err := base64.StdEncoding.DecodeString(sig.Base64)
	if err != nil || len(raw) < 4 || binary.BigEndian.Uint32(raw) != sig.Hash {
		return nil
	}
	return fmt.Appendf(nil, "%s\n— %s %s\n", n.Text, sig.Name, base64.StdEncoding.EncodeToString(raw))
}

// commit signs the record at the next free number. Each time the log has grown it asks check, with the log
// up to date and nothing else appending, whether the record may still be made.
func (r *Repository) commit(ctx context.Context, rec Record, check func() error) (Record, error) {
	if !r.CanWrite() {
		return Record{}, ErrReadOnly
	}
	return r.commitAs(ctx, r.signer, rec, check)
}

// commitAs is commit with a signer that readers accept for the record.
func (r *Repository) commitAs(ctx context.Context, signer *Signer, rec Record, check func() error) (Record, error) {
	if len(rec.Blobs) > maxBlobs {
		b, err := r.putList(ctx, rec.Blobs)
		if err != nil {
			return Record{}, err
		}
		rec.Blobs = []Blob{b}
	}
	r.gate.Lock()
	defer r.gate.Unlock()
	for {
		if err := r.readOn(ctx, 1); err != nil {
			return Record{}, err
		}
		if check != nil {
			if err := check(); err != nil {
				return Record{}, err
			}
		}
		n := r.Head().Size
		rec.At = r.now()
		own, err := parseRecord(rec.text()) // in the form that readers will see
		if err != nil {
			return Record{}, fmt.Errorf("record: %w", err)
		}
		r.mu.RLock()
		_, root, err := r.grown(own)
		r.mu.RUnlock()
		if err != nil {
			return Record{}, err
		}
		msg, err := note.Sign(&note.Note{Text: noteText(r.origin(), n, root, own.text())}, signer.note)
		if err != nil {
			return Record{}, fmt.Errorf("sign record %d: %w", n, err)
		}
		if putErr := r.store.Put(ctx, noteName(n), bytes.NewReader(msg)); putErr != nil {
			if errors.Is(putErr, store.ErrNotDurable) {
				return Record{}, fmt.Errorf("append record %d: %w", n, putErr) // what lies there now proves nothing
			}
			// The store may have taken the note and lost the answer, so what lies there decides.
			there, err := read(ctx, r.store, noteName(n), maxNote)
			if err != nil {
				return Record{}, fmt.Errorf("append record %d: %w", n, putErr)
			}
			if !bytes.Equal(there, msg) {
				continue // the number went to another writer
			}
		}
		if err := r.extend(n, msg); err != nil {
			return Record{}, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unlock(ctx, r.records[n].Blobs)
		return r.records[n], nil
	}
}

// CanWrite reports whether the repository has a clock, and a signer that readers accept.
func (r *Repository) CanWrite() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.signer
	return s != nil && r.now != nil && (len(r.records) == 0 || r.verifies(s.note.Name(), s.note.KeyHash()))
}

// verifies reports whether records by the key are accepted. The caller holds mu.
func (r *Repository) verifies(name string, hash uint32) bool {
	return slices.ContainsFunc(r.verifiers, func(v note.Verifier) bool { return v.Name() == name && v.KeyHash() == hash })
}

// Admit introduces a signer by the recovery signer of the present epoch, which an identity that opens the epoch
// has with it, and writes with it from then on. A signer that is known already is only written with. The error
// wraps ErrKey where no identity opens the epoch.
//
// It is the way back on the day when every machine that could sign is gone.
func (r *Repository) Admit(ctx context.Context, signer *Signer) error {
	if err := r.refresh(ctx); err != nil {
		return fmt.Errorf("admit signer: %w", err)
	}
	recovery := r.recoverySigner()
	if recovery == nil {
		return fmt.Errorf("admit signer: %w", ErrKey)
	}
	_, err := r.commitAs(ctx, recovery, Record{Kind: KindSigner, Key: signer.String()}, func() error { return r.unknown(signer.String()) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("admit signer: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signer = signer
	return nil
}

// recovery returns the verifier of the present epoch's recovery signer. The caller holds mu.
func (r *Repository) recovery() note.Verifier { return r.recoverers[len(r.recoverers)-1] }

// recoverySigner returns the recovery signer of the present epoch; nil where no identity opened it.
func (r *Repository) recoverySigner() *Signer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s, ok := r.secrets[r.epoch]; ok && s.recovery.note.Name() == r.recovery().Name() && s.recovery.note.KeyHash() == r.recovery().KeyHash() {
		return s.recovery
	}
	return nil
}

// putList stores the blob lines that do not fit into a note.
func (r *Repository) putList(ctx context.Context, blobs []Blob) (Blob, error) {
	var b strings.Builder
	for _, blob := range blobs {
		b.WriteString(blob.text())
	}
	text := b.String()
	if len(text) > maxList {
		return Blob{}, fmt.Errorf("a record of %d blobs is too large", len(blobs))
	}
	name := blobName("list")
	if err := r.store.Put(ctx, name, strings.NewReader(text)); err != nil {
		return Blob{}, err
	}
	return Blob{roleList, name, int64(len(text)), sha256.Sum256([]byte(text))}, nil
}

// blobs returns the record's blobs with its list resolved.
func (r *Repository) blobs(ctx context.Context, rec Record) ([]Blob, error) {
	if len(rec.Blobs) != 1 || rec.Blobs[0].Role != roleList {
		return rec.Blobs, nil
	}
	r.mu.RLock()
	blobs, ok := r.lists[rec.Number]
	r.mu.RUnlock()
	if ok {
		return blobs, nil
	}
	list := rec.Blobs[0]
	raw, err := read(ctx, r.store, list.Name, maxList)
	if err != nil {
		return nil, missing(list.Name, rec, err)
	}
	if sha256.Sum256(raw) != list.Hash || int64(len(raw)) != list.Size {
		return nil, spoilt(list.Name, rec, "is not what the log binds")
	}
	if blobs, err = parseList(string(raw)); err != nil {
		return nil, spoilt(list.Name, rec, err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lists[rec.Number] = blobs
	return blobs, nil
}

// spoilt is a CorruptError that names the snapshot whose record it is.
func spoilt(blob string, rec Record, reason string) *CorruptError {
	e := corrupt(blob, "%s", reason)
	if rec.Kind == KindSnapshot {
		e.Snapshots = []int64{rec.Number}
	}
	return e
}

// missing makes the absence of a blob that the log binds a CorruptError.
func missing(blob string, rec Record, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return spoilt(blob, rec, "missing")
	}
	return err
}

// Records yields the records from a number on, ascending, after reading what was appended meanwhile. Each
// is signed by a known key and bound by the head's root.
func (r *Repository) Records(ctx context.Context, from int64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := r.refresh(ctx); err != nil {
			yield(Record{}, fmt.Errorf("records: %w", err))
			return
		}
		r.mu.RLock()
		records := r.records
		r.mu.RUnlock()
		for n := max(from, 0); n < int64(len(records)); n++ {
			if !yield(records[n], nil) {
				return
			}
		}
	}
}

// record returns the record with the number as the log has it.
func (r *Repository) record(n int64) (Record, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if n < 0 || n >= int64(len(r.records)) {
		return Record{}, fmt.Errorf("record %d: %w", n, fs.ErrNotExist)
	}
	return r.records[n], nil
}

// newest returns the number of the newest snapshot, or 0.
func (r *Repository) newest() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return newest(r.records)
}

func newest(records []Record) int64 {
	for n := len(records) - 1; n > 0; n-- {
		if records[n].Kind == KindSnapshot {
			return int64(n)
		}
	}
	return 0
}

// Append adds a record whose data, unless nil, is sealed in a blob of its own, and returns it once it is
// durable. The data of a record of kind signer is the public key it introduces, which is not sealed.
func (r *Repository) Append(ctx context.Context, kind Kind, parent int64, data []byte) (Record, error) {
	rec := Record{Kind: kind, Parent: parent}
	switch kind {
	case KindInit, KindSnapshot, KindEpoch, KindHolder, KindCheckpoint, KindForget:
		return Record{}, fmt.Errorf("append %s: not this way", kind)
	case KindSigner:
		rec.Key = string(data)
		if _, err := note.NewVerifier(rec.Key); err != nil {
			return Record{}, fmt.Errorf("append signer: %w", err)
		}
	default:
		if data == nil {
			break
		}
		b, err := r.sealData(ctx, data)
		if err != nil {
			return Record{}, fmt.Errorf("append %s: %w", kind, err)
		}
		rec.Blobs = []Blob{b}
	}
	rec, err := r.commit(ctx, rec, func() error {
		if kind == KindSigner {
			return r.unknown(rec.Key)
		}
		return nil
	})
	if err != nil {
		return Record{}, fmt.Errorf("append %s: %w", kind, err)
	}
	return rec, nil
}

// unknown refuses a verifier key that may sign already.
func (r *Repository) unknown(key string) error {
	v, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.verifies(v.Name(), v.KeyHash()) {
		return fmt.Errorf("the signer is known already: %w", fs.ErrExist)
	}
	return nil
}
