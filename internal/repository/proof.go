package repository

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A commitment is the root of an RFC 6962 tree over the objects that a record's blobs say, which the record states in the
// open. Each leaf is salted with what only who can read the blob knows, so that one can be shown and the others not guessed.
type commitment struct {
	pending [][32]byte // of the present blob, whose salt is known at its end
	stack   []tlog.Hash
	leaves  int64
	told    func(n int64, salt, of [32]byte) // of each leaf; nil for nobody
}

// object takes in an object that a line says, as hashOf it.
func (c *commitment) object(hash [32]byte) { c.pending = append(c.pending, hash) }

// hashOf is what a leaf says of an object, before it is salted.
func hashOf(r entra.Ref, v entra.Version) [32]byte {
	var room [256]byte
	text := append(append(append(append(room[:0], r.Type...), '/'), r.ID...), ' ')
	return sha256.Sum256(hex.AppendEncode(text, v[:]))
}

// blob ends a blob, whose end line states the hash.
func (c *commitment) blob(end [32]byte) {
	for i, of := range c.pending {
		salt := sha256.Sum256(binary.BigEndian.AppendUint64(append([]byte("tidemark salt\n"), end[:]...), uint64(i)))
		if c.told != nil {
			c.told(c.leaves, salt, of)
		}
		c.add(leafOf(salt, of))
	}
	c.pending = c.pending[:0]
}

// leafOf is the hash of a leaf.
func leafOf(salt, of [32]byte) tlog.Hash {
	return tlog.RecordHash(append(append(make([]byte, 0, 64), salt[:]...), of[:]...))
}

func (c *commitment) add(h tlog.Hash) {
	for n := c.leaves; n&1 == 1; n >>= 1 {
		last := len(c.stack) - 1
		h = tlog.NodeHash(c.stack[last], h)
		c.stack = c.stack[:last]
	}
	c.stack = append(c.stack, h)
	c.leaves++
}

// key is what the record states: "" where there is no object.
func (c *commitment) key() string {
	if len(c.stack) == 0 {
		return ""
	}
	h := c.stack[len(c.stack)-1]
	for i := len(c.stack) - 2; i >= 0; i-- {
		h = tlog.NodeHash(c.stack[i], h)
	}
	return hex.EncodeToString(h[:])
}

// A Proof shows that an object was captured as it is, and when that came into the log, to whoever has a head of the log that
// is as new. It discloses nothing else that the repository holds. doc/format.md says how it is verified.
type Proof struct {
	Proof      int            `json:"proof"` // the version of this form: 1
	Repository string         `json:"repository"`
	Tenant     entra.TenantID `json:"tenant"`
	Type       entra.Type     `json:"type"`
	ID         entra.ID       `json:"id"`
	Body       string         `json:"body"` // canonical JSON, as text
	Salt       string         `json:"salt"`
	Leaf       int64          `json:"leaf"`
	Leaves     int64          `json:"leaves"`
	Path       []string       `json:"path"` // to the record's key
	Number     int64          `json:"number"`
	Record     string         `json:"record"`
	Size       int64          `json:"size"`    // of the log whose root LogPath leads to
	LogPath    []string       `json:"logPath"` // from the record to that root
	Root       string         `json:"root"`    // base64, as in a note
	Note       string         `json:"note"`    // the signed note of that head
	Signer     string         `json:"signer"`  // the verifier key that signed it
}

// ErrNoProof says that a record was written before single objects could be proven.
var ErrNoProof = errors.New("what was written by that time can be proven as a whole only")

// Prove proves that a record says an object, against the log as it was with size records; 0 stands for all. The record is one
// of kind snapshot or checkpoint. The error wraps fs.ErrNotExist where the record does not say the object, and ErrNoProof
// where it cannot be proven by itself.
func (r *Repository) Prove(ctx context.Context, number int64, ref entra.Ref, size int64) (*Proof, error) {
	p, err := r.prove(ctx, number, ref, size)
	if err != nil {
		return nil, fmt.Errorf("prove %s: %w", ref, err)
	}
	return p, nil
}

func (r *Repository) prove(ctx context.Context, number int64, ref entra.Ref, size int64) (*Proof, error) {
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	rec, err := r.record(number)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		size = r.Head().Size
	}
	if size <= number || size > r.Head().Size {
		return nil, fmt.Errorf("the log with %d records does not hold record %d, or is not reached yet", size, number)
	}
	if rec.Key == "" {
		return nil, fmt.Errorf("record %d: %w", number, ErrNoProof)
	}
	p := &Proof{Proof: 1, Repository: r.id, Tenant: r.tenant.ID, Type: ref.Type, ID: ref.ID, Leaf: -1, Number: number, Record: rec.text(), Size: size}
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			out[i] = hashes[n]
		}
		return out, nil
	})
	var want [32]byte
	var failed error
	found := func(n int64, salt, of [32]byte) {
		more, err := tlog.StoredHashesForRecordHash(n, leafOf(salt, of), reader)
		failed = errors.Join(failed, err)
		hashes = append(hashes, more...)
		if p.Body != "" && of == want {
			p.Leaf, p.Salt = n, hex.EncodeToString(salt[:]) // where it was said twice the last counts
		}
		p.Leaves = n + 1
	}
	err = r.replayed(ctx, rec, false, found, func(l Line) bool {
		if o, ok := l.(Object); ok && o.Ref == ref {
			p.Body, want = string(o.Body), hashOf(o.Ref, o.Version)
		}
		return true
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	if p.Leaf < 0 {
		return nil, fmt.Errorf("record %d does not say it: %w", number, fs.ErrNotExist)
	}
	path, err := tlog.ProveRecord(p.Leaves, p.Leaf, reader)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	logPath, logErr := tlog.ProveRecord(size, number, r.hashReader())
	root, rootErr := tlog.TreeHash(size, r.hashReader())
	r.mu.RUnlock()
	if err := errors.Join(logErr, rootErr); err != nil {
		return nil, err
	}
	p.Path, p.LogPath, p.Root = hexes(path), hexes(logPath), root.String()
	msg, err := read(ctx, r.store, noteName(size-1), maxNote)
	if err != nil {
		return nil, err
	}
	p.Note = string(msg)
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := append(append([]note.Verifier{}, r.verifiers...), r.recoverers...)
	signed, err := note.Open(msg, note.VerifierList(all...))
	if err != nil {
		return nil, corrupt(noteName(size-1), "%v", err)
	}
	p.Signer = r.keys[signed.Sigs[0].Name+fmt.Sprintf("+%08x", signed.Sigs[0].Hash)]
	return p, nil
}

func hexes(hashes []tlog.Hash) []string {
	out := make([]string, len(hashes))
	for i, h := range hashes {
		out[i] = hex.EncodeToString(h[:])
	}
	return out
}
