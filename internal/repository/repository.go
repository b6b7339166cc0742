package repository

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/store"
)

// format is the newest format this package reads and the one it writes. A repository begun in an earlier one goes on in
// this one, blob by blob.
const format = 2

// repoName is where a repository says what it is.
const repoName = "repo.json"

// A Repository is safe for concurrent use. Its log is what it was when last looked at; Records, Begin,
// Append and Commit look again.
type Repository struct {
	store  store.Store
	tenant entra.Tenant
	id     string
	now    func() time.Time
	signer *Signer
	given  []age.Identity // the caller's

	recalled int64 // records that were not read from the store

	gate sync.Mutex // held while the log is read on or appended to

	encoder func() (*zstd.Encoder, error) // of small data, which costs less than making one; for EncodeAll alone

	digs   sync.Mutex // guards rested
	rested []*digger  // what Bodies read with last

	mu         sync.RWMutex // guards what follows
	records    []Record
	hashes     []tlog.Hash // stored hashes of the tree over the records
	verifiers  []note.Verifier
	keys       map[string]string // of verifiers and recoverers, as text, by name and hash
	head       Head
	epoch      int
	recipient  age.Recipient
	recipients []string        // of each epoch, the present one last
	recoverers []note.Verifier // likewise
	secrets    map[int]epochSecret
	identities []age.Identity  // of the secrets
	first      []Blob          // the slots that repo.json names
	tried      map[string]bool // slots, and whether one of the caller's identities opens them
	damaged    []error         // slots that could not be read
	lists      map[int64][]Blob
	drops      map[string]bool // files that the log says were dropped; never changed, only replaced
	dropsRead  int             // records of which that is known
}

// InitOptions say how a repository begins. All fields are required.
type InitOptions struct {
	Tenant  entra.Tenant
	Holders []string // age recipients, each of which can read the repository
	Now     func() time.Time
	Signer  *Signer
}

// Options say how a repository is opened. The zero value opens it to list and check its log without a key.
type Options struct {
	// Identities are tried on the slots. With none, nothing sealed can be read; with some of which none
	// fits, Open fails.
	Identities []age.Identity
	// Signer signs what is appended; nil opens the repository for reading.
	Signer *Signer
	// Now is the clock for what is appended.
	Now func() time.Time
	// Seen is the newest head this reader has seen; the zero value trusts the store this once.
	Seen Head
	// Kept is what Kept returned, earlier and maybe in another process: records that need not be read again. They count as
	// far as Seen proves that they are those that were verified then; the note of Seen is read, and all after it. Where it
	// proves anything else, or what is read does not continue it, all is read. So a note before Seen that was damaged since
	// is not found by Open, but by a Check of what was opened without.
	Kept []byte
}

// header is repo.json.
type header struct {
	Format     int    `json:"format"`
	Repository string `json:"repository"`
	Tenant     struct {
		ID    entra.TenantID `json:"id"`
		Name  string         `json:"name,omitempty"`
		Cloud entra.Cloud    `json:"cloud,omitempty"`
	} `json:"tenant"`
	Recipient string `json:"recipient"` // of epoch 1
	Recovery  string `json:"recovery"`  // of epoch 1: the key that may introduce signers and sign nothing else
	Signer    string `json:"signer"`    // the key that signs record 0
	Slots     []slot `json:"slots"`     // of epoch 1
}

type slot struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Hash string `json:"sha256"`
}

var idForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Init makes a repository in a store that has none; otherwise the error wraps fs.ErrExist. Where an earlier
// Init by the same signer for the same tenant was cut short, it is finished.
//
// Write order: slots, then repo.json, which claims the store, then record 0, which makes it a repository.
func Init(ctx context.Context, s store.Store, o InitOptions) (*Repository, error) {
	if o.Tenant.ID == "" || len(o.Holders) == 0 || o.Now == nil || o.Signer == nil {
		return nil, errors.New("init repository: want a tenant, a holder, a clock and a signer")
	}
	secret, err := newEpochSecret()
	if err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	}
	h := header{Format: format, Repository: randomHex(), Recipient: secret.identity.Recipient().String(), Recovery: secret.recovery.String(), Signer: o.Signer.String()}
	h.Tenant.ID, h.Tenant.Name, h.Tenant.Cloud = o.Tenant.ID, o.Tenant.Name, o.Tenant.Cloud
	if there, err := has(ctx, s, repoName); err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	} else if !there {
		for _, holder := range o.Holders {
			to, err := age.ParseRecipients(strings.NewReader(holder))
			if err != nil || len(to) != 1 {
				return nil, fmt.Errorf("init repository: holder %q: want one age recipient", holder)
			}
			b, err := putSlot(ctx, s, 1, secret, to[0])
			if err != nil {
				return nil, fmt.Errorf("init repository: %w", err)
			}
			h.Slots = append(h.Slots, slot{b.Name, b.Size, hex.EncodeToString(b.Hash[:])})
		}
		raw, err := h.bytes()
		if err != nil {
			return nil, fmt.Errorf("init repository: %w", err)
		}
		if err := s.Put(ctx, repoName, bytes.NewReader(raw)); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("init repository: %w", err)
		}
	}
	raw, err := read(ctx, s, repoName, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	}
	found, err := parseHeader(raw)
	if err != nil {
		return nil, fmt.Errorf("init repository: %w: %w", fs.ErrExist, err)
	}
	began, err := has(ctx, s, noteName(0))
	if err == nil && (began || found.Signer != h.Signer || found.Tenant != h.Tenant) {
		err = fs.ErrExist
	}
	if err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	}
	r, err := fresh(s, found, Options{Signer: o.Signer, Now: o.Now})
	if err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	}
	b := Blob{Role: roleRepository, Name: repoName, Size: int64(len(raw)), Hash: sha256.Sum256(raw)}
	rec, err := r.commit(ctx, Record{Kind: KindInit, Blobs: []Blob{b}}, nil)
	if err == nil && rec.Number != 0 {
		err = fs.ErrExist
	}
	if err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	}
	return r, nil
}

// Open reads the log's notes, but for those of Kept, and the slots, checks them against one another and against Seen, and
// reads nothing else.
func Open(ctx context.Context, s store.Store, o Options) (*Repository, error) {
	r, err := open(ctx, s, o)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return r, nil
}

func open(ctx context.Context, s store.Store, o Options) (*Repository, error) {
	raw, err := read(ctx, s, repoName, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		for name, err := range s.List(ctx, "log/") {
			if err != nil {
				return nil, err
			}
			return nil, corrupt(repoName, "missing, though there is a log (%s)", name)
		}
		return nil, ErrNoRepository
	}
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(raw)
	if err != nil {
		return nil, err
	}
	r, err := recall(ctx, s, h, o)
	if err != nil {
		return nil, err
	}
	if r == nil {
		if r, err = fresh(s, h, o); err != nil {
			return nil, err
		}
		if err := r.load(ctx); err != nil {
			if e, ok := errors.AsType[*CorruptError](err); ok && e.Blob == noteName(0) && bindsAnother(ctx, s, raw) {
				err = corrupt(repoName, "is not what record 0 binds")
			}
			return nil, err
		}
	}
	if len(r.records) == 0 {
		return nil, fmt.Errorf("%w: %s is there, but its log never began", ErrNoRepository, repoName)
	}
	first := r.records[0]
	if first.Kind != KindInit || len(first.Blobs) != 1 || first.Blobs[0].Name != repoName {
		return nil, corrupt(noteName(0), "does not begin a repository")
	}
	if first.Blobs[0].Hash != sha256.Sum256(raw) {
		return nil, corrupt(repoName, "is not what record 0 binds")
	}
	if err := r.seen(o.Seen); err != nil {
		return nil, err
	}
	if err := r.readDrops(ctx); err != nil {
		return nil, err
	}
	for _, s := range h.Slots {
		b := Blob{Role: roleSlot, Name: s.Name, Size: s.Size}
		if n, err := hex.Decode(b.Hash[:], []byte(s.Hash)); err != nil || n != len(b.Hash) {
			return nil, corrupt(repoName, "slot %s has no hash", s.Name)
		}
		r.first = append(r.first, b)
	}
	if len(o.Identities) == 0 {
		return r, nil
	}
	r.unlock(ctx, r.first)
	for _, rec := range r.records {
		r.unlock(ctx, rec.Blobs)
	}
	if len(r.identities) == 0 {
		return nil, errors.Join(append([]error{ErrKey}, r.damaged...)...)
	}
	return r, nil
}

// bindsAnother reports whether record 0, which does not fit to repo.json, is sound in itself: its root is its own hash, so
// what a flipped bit made of repo.json is not blamed on it.
func bindsAnother(ctx context.Context, s store.Store, raw []byte) bool {
	msg, err := read(ctx, s, noteName(0), maxNote)
	if err != nil {
		return false
	}
	text, _, _ := strings.Cut(string(msg), "\n\n")
	origin, _, _ := strings.Cut(text, "\n")
	root, rec, err := parseNote(origin, 0, text+"\n")
	return err == nil && root == rec.Leaf && len(rec.Blobs) == 1 && rec.Blobs[0].Hash != sha256.Sum256(raw)
}

// fresh returns a repository that has read nothing but its header.
func fresh(s store.Store, h header, o Options) (*Repository, error) {
	v, err := note.NewVerifier(h.Signer)
	if err != nil {
		return nil, corrupt(repoName, "signer: %v", err)
	}
	recipient, err := age.ParseX25519Recipient(h.Recipient)
	if err != nil {
		return nil, corrupt(repoName, "recipient: %v", err)
	}
	recovery, err := note.NewVerifier(h.Recovery)
	if err != nil {
		return nil, corrupt(repoName, "recovery: %v", err)
	}
	return &Repository{store: s, tenant: entra.Tenant(h.Tenant), id: h.Repository, now: o.Now, signer: o.Signer, given: o.Identities,
		encoder:   sync.OnceValues(func() (*zstd.Encoder, error) { return newEncoder(zstd.SpeedDefault) }),
		verifiers: []note.Verifier{v}, keys: map[string]string{keyName(v): h.Signer, keyName(recovery): h.Recovery}, epoch: 1, recipient: recipient, recipients: []string{h.Recipient}, recoverers: []note.Verifier{recovery},
		secrets: map[int]epochSecret{}, tried: map[string]bool{}, lists: map[int64][]Blob{}}, nil
}

// keyName tells a verifier from all others.
func keyName(v note.Verifier) string { return fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash()) }

func (h header) bytes() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(h)
	return b.Bytes(), err
}

func parseHeader(raw []byte) (header, error) {
	var version struct{ Format int }
	if err := json.Unmarshal(raw, &version); err != nil {
		return header{}, corrupt(repoName, "%v", err)
	}
	if version.Format > format {
		return header{}, fmt.Errorf("%w: format %d", ErrFormat, version.Format)
	}
	var h header
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return header{}, corrupt(repoName, "%v", err)
	}
	if again, err := h.bytes(); err != nil || !bytes.Equal(again, raw) {
		return header{}, corrupt(repoName, "is not in its one form")
	}
	if h.Format < 1 || h.Tenant.ID == "" || !idForm.MatchString(h.Repository) {
		return header{}, corrupt(repoName, "names no repository and tenant")
	}
	return h, nil
}

// seen refuses a log that does not continue the one with the given head.
func (r *Repository) seen(h Head) error {
	if h.Size == 0 {
		return nil
	}
	if h.Size > int64(len(r.records)) {
		return fmt.Errorf("%w: it has %d records, %d were seen", ErrRollback, len(r.records), h.Size)
	}
	root, err := tlog.TreeHash(h.Size, r.hashReader())
	if err != nil {
		return err
	}
	if root != h.Root {
		return fmt.Errorf("%w: its first %d records are others", ErrRollback, h.Size)
	}
	return nil
}

// Tenant returns the tenant whose history this is.
func (r *Repository) Tenant() entra.Tenant { return r.tenant }

// ID returns the random name that the repository was given when it was made: 32 hexadecimal digits.
func (r *Repository) ID() string { return r.id }

// Head returns the signed end of the log as last read.
func (r *Repository) Head() Head {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.head
}

// A Slot is an epoch's secret, sealed for one holder. Whose it is, nobody sees who cannot open it.
type Slot struct {
	Name   string // in the store
	Epoch  int
	Record int64 // that made it
	Opens  bool  // one of the identities given to Open opens it
}

// Slots returns the slots of all epochs, in the order in which they were made. It needs no identity.
func (r *Repository) Slots(ctx context.Context) ([]Slot, error) {
	if err := r.refresh(ctx); err != nil {
		return nil, fmt.Errorf("slots: %w", err)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	slots := make([]Slot, 0, len(r.first))
	add := func(b Blob, record int64) error {
		epoch, err := slotEpoch(b.Name)
		if err != nil {
			return err
		}
		slots = append(slots, Slot{b.Name, epoch, record, r.tried[b.Name]})
		return nil
	}
	for _, b := range r.first {
		if err := add(b, 0); err != nil {
			return nil, err
		}
	}
	for _, rec := range r.records {
		for _, b := range rec.Blobs {
			if b.Role != roleSlot {
				continue
			}
			if err := add(b, rec.Number); err != nil {
				return nil, err
			}
		}
	}
	return slots, nil
}

// slotEpoch returns the epoch of which a slot's name says that it is.
func slotEpoch(name string) (int, error) {
	number, _, ok := strings.Cut(strings.TrimPrefix(name, "keys/"), ".")
	epoch, err := strconv.Atoi(number)
	if !ok || err != nil || epoch < 1 {
		return 0, corrupt(name, "names no epoch")
	}
	return epoch, nil
}

// Epoch returns the number of the present epoch, from 1.
func (r *Repository) Epoch() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.epoch
}

// AddHolder lets one more holder read what an epoch sealed and, in the present one, will seal. It needs an
// identity that opens the epoch; else the error wraps ErrKey.
func (r *Repository) AddHolder(ctx context.Context, epoch int, to age.Recipient) (Record, error) {
	if err := r.refresh(ctx); err != nil {
		return Record{}, fmt.Errorf("add holder: %w", err)
	}
	r.mu.RLock()
	secret, ok := r.secrets[epoch]
	r.mu.RUnlock()
	if !ok {
		return Record{}, fmt.Errorf("add holder: epoch %d: %w", epoch, ErrKey)
	}
	b, err := putSlot(ctx, r.store, epoch, secret, to)
	if err != nil {
		return Record{}, fmt.Errorf("add holder: %w", err)
	}
	return r.commit(ctx, Record{Kind: KindHolder, Blobs: []Blob{b}}, nil)
}

// MostHolders is how many holders an epoch can begin with.
const MostHolders = maxBlobs

// Rotate opens a new epoch: what is written from now on can be read by these holders, at most MostHolders, and by no
// earlier one. What an earlier holder could read stays readable to them.
func (r *Repository) Rotate(ctx context.Context, holders []age.Recipient) (Record, error) {
	if len(holders) == 0 || len(holders) > MostHolders {
		return Record{}, fmt.Errorf("rotate: want 1 to %d holders", MostHolders)
	}
	if err := r.refresh(ctx); err != nil {
		return Record{}, fmt.Errorf("rotate: %w", err)
	}
	r.mu.RLock()
	epoch := r.epoch
	r.mu.RUnlock()
	secret, err := newEpochSecret()
	if err != nil {
		return Record{}, fmt.Errorf("rotate: %w", err)
	}
	rec := Record{Kind: KindEpoch, Key: secret.identity.Recipient().String() + " " + secret.recovery.String()}
	for _, to := range holders {
		b, err := putSlot(ctx, r.store, epoch+1, secret, to)
		if err != nil {
			return Record{}, fmt.Errorf("rotate: %w", err)
		}
		rec.Blobs = append(rec.Blobs, b)
	}
	rec, err = r.commit(ctx, rec, func() error {
		if r.epoch != epoch {
			return errors.New("another epoch was opened meanwhile")
		}
		return nil
	})
	if err != nil {
		return Record{}, fmt.Errorf("rotate: %w", err)
	}
	return rec, nil
}

// putSlot seals an epoch's secret for one holder and stores it.
func putSlot(ctx context.Context, s store.Store, epoch int, secret epochSecret, to age.Recipient) (Blob, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to)
	if err == nil {
		_, err = io.WriteString(w, secret.text())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return Blob{}, fmt.Errorf("seal slot: %w", err)
	}
	name := fmt.Sprintf("keys/%d.%s.age", epoch, randomHex()[:16])
	if err := s.Put(ctx, name, bytes.NewReader(b.Bytes())); err != nil {
		return Blob{}, err
	}
	return Blob{roleSlot, name, int64(b.Len()), sha256.Sum256(b.Bytes())}, nil
}

// unlock tries the caller's identities on the slots among the blobs.
func (r *Repository) unlock(ctx context.Context, blobs []Blob) {
	for _, b := range blobs {
		if b.Role != roleSlot || len(r.given) == 0 {
			continue
		}
		if _, tried := r.tried[b.Name]; tried {
			continue
		}
		r.tried[b.Name] = false
		raw, err := read(ctx, r.store, b.Name, 1<<20)
		if err != nil {
			r.damaged = append(r.damaged, err)
			continue
		}
		if sha256.Sum256(raw) != b.Hash {
			r.damaged = append(r.damaged, corrupt(b.Name, "is not what the log binds"))
			continue
		}
		in, err := age.Decrypt(bytes.NewReader(raw), r.given...)
		if err != nil {
			continue // another holder's
		}
		text, err := io.ReadAll(io.LimitReader(in, 1<<10))
		if err != nil {
			r.damaged = append(r.damaged, corrupt(b.Name, "%v", err))
			continue
		}
		secret, err := parseEpochSecret(string(text))
		if err != nil {
			r.damaged = append(r.damaged, corrupt(b.Name, "%v", err))
			continue
		}
		epoch, err := slotEpoch(b.Name)
		if err != nil || epoch > len(r.recipients) || secret.identity.Recipient().String() != r.recipients[epoch-1] {
			r.damaged = append(r.damaged, corrupt(b.Name, "holds the secret of another epoch"))
			continue
		}
		r.tried[b.Name] = true
		if _, known := r.secrets[epoch]; !known {
			r.secrets[epoch], r.identities = secret, append(r.identities, secret.identity)
		}
	}
}

// has reports whether the store has a blob of the name.
func has(ctx context.Context, s store.Store, name string) (bool, error) {
	f, err := s.Get(ctx, name, 0, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}

// read returns a whole blob of at most limit bytes.
func read(ctx context.Context, s store.Store, name string, limit int64) (data []byte, err error) {
	f, err := s.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := f.Close(); err == nil && closed != nil {
			err = fmt.Errorf("read %s: %w", name, closed)
		}
	}()
	if data, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, corrupt(name, "is longer than %d bytes", limit)
	}
	return data, nil
}

func randomHex() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand documents that it ends the program instead
	return hex.EncodeToString(b[:])
}
