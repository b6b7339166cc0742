package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// CopyOptions say how two stores are made to hold the same repository. The zero value copies what the second lacks.
type CopyOptions struct {
	// Heal reads all of both and repairs each from the other: what one lacks, and what is not what the log binds. To
	// put a right file into the place of a wrong one takes a [store.Remover].
	Heal bool
	// Seen is the newest head that is known of the repository; the zero value trusts the stores this once.
	Seen Head
	// Progress is told how many of the records are done; nil means silence. It is called by one goroutine at a time.
	Progress func(done, of int64)
}

// A Copied says what a copy came to.
type Copied struct {
	Head    Head  // of both from now on
	Records int64 // in the log
	Files   int64 // that were written
	Bytes   int64 // of them
	Healed  []Mended
	Lost    []Finding // what neither has right
}

// A Mended file was wrong or missing in a store that had its record.
type Mended struct {
	First  bool   // in the first of the two stores
	Blob   string // the file's name
	Reason string
}

// Copy makes a second store hold the repository that the first holds. No key is needed: what is copied is compared with
// what the log binds, and of each record the files come before its note, so that what is there at any time is a whole
// repository, if an older one. It refuses, with an error that wraps ErrRollback, where each has records that the other has
// not, and where the log is not that of Seen. What neither has right is told, and ends the copy where it is part of the log.
func Copy(ctx context.Context, from, to store.Store, o CopyOptions) (*Copied, error) {
	c := &copying{sides: [2]*side{{store: from}, {store: to}}, o: o, out: &Copied{}}
	err := c.run(ctx)
	if err != nil {
		return c.out, fmt.Errorf("copy repository: %w", err)
	}
	return c.out, nil
}

// A side is one of the two stores.
type side struct {
	store store.Store
	names map[string]bool // what it has
	notes int64           // one more than the highest note
}

type copying struct {
	sides [2]*side
	o     CopyOptions
	r     *Repository // the log of both, without a store

	mu  sync.Mutex // guards out
	out *Copied
}

// A file is one of those that the log binds, or that bind it.
type file struct {
	name string
	hash [32]byte
	size int64
	rec  Record
}

func (c *copying) run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for i, s := range c.sides {
		g.Go(func() error { return s.look(gctx, i == 1 || c.o.Heal) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	header, slots, err := c.header(ctx)
	if err != nil {
		return err
	}
	if err := c.log(ctx); err != nil {
		return err
	}
	if err := c.r.seen(c.o.Seen); err != nil {
		return err
	}
	if err := c.drops(ctx); err != nil {
		return err
	}
	// Before record 0 there is no repository.
	if err := c.all(ctx, append(slots, file{repoName, sha256.Sum256(header), int64(len(header)), c.r.records[0]})); err != nil {
		return err
	}
	done := int64(0)
	for batch := range slices.Chunk(c.r.records, readers) {
		var files []file
		for _, rec := range batch {
			of, err := c.files(ctx, rec)
			if err != nil {
				return err
			}
			files = append(files, of...)
		}
		if err := c.all(ctx, files); err != nil {
			return err
		}
		for _, rec := range batch {
			if err := c.note(ctx, rec.Number); err != nil {
				return err
			}
		}
		if done += int64(len(batch)); c.o.Progress != nil {
			c.o.Progress(done, int64(len(c.r.records)))
		}
	}
	c.out.Head, c.out.Records = c.r.Head(), int64(len(c.r.records))
	return nil
}

// look lists what a store has. Where it is to be written to, what is found counts as written, so it must be durable: an
// earlier copy may have been stopped before its last files were.
func (s *side) look(ctx context.Context, write bool) error {
	if on, ok := s.store.(interface{ Settle(context.Context) error }); ok && write {
		if err := on.Settle(ctx); err != nil {
			return err
		}
	}
	s.names = map[string]bool{}
	for name, err := range s.store.List(ctx, "") {
		if err != nil {
			return err
		}
		s.names[name] = true
		if n, ok := noteNumber(name); ok {
			s.notes = max(s.notes, n+1)
		}
	}
	return nil
}

// either returns a small file as each side has it; nil where it has none.
func (c *copying) either(ctx context.Context, name string, limit int64) (has [2][]byte, err error) {
	for i, s := range c.sides {
		if !s.names[name] {
			continue
		}
		data, err := read(ctx, s.store, name, limit)
		if _, long := errors.AsType[*CorruptError](err); long {
			continue // more than any has that is right
		}
		if err != nil {
			return has, err
		}
		has[i] = data
	}
	return has, nil
}

// header returns repo.json, which record 0 binds, and the slots that it names.
func (c *copying) header(ctx context.Context) ([]byte, []file, error) {
	has, err := c.either(ctx, repoName, 1<<20)
	if err != nil {
		return nil, nil, err
	}
	notes, err := c.either(ctx, noteName(0), maxNote)
	if err != nil {
		return nil, nil, err
	}
	var why error
	for _, raw := range has {
		if raw == nil {
			continue
		}
		h, err := parseHeader(raw)
		if err != nil {
			why = err
			continue
		}
		for _, msg := range notes {
			r, err := fresh(nil, h, Options{})
			if err != nil || msg == nil {
				why = err
				continue
			}
			if err := r.extend(0, msg); err != nil {
				why = err
				continue
			}
			if first := r.records[0]; first.Kind != KindInit || len(first.Blobs) != 1 || first.Blobs[0].Hash != sha256.Sum256(raw) {
				why = corrupt(repoName, "is not what record 0 binds")
				continue
			}
			slots := make([]file, len(h.Slots))
			for i, s := range h.Slots {
				slots[i] = file{name: s.Name, size: s.Size, rec: r.records[0]}
				if n, err := hex.Decode(slots[i].hash[:], []byte(s.Hash)); err != nil || n != len(slots[i].hash) {
					return nil, nil, corrupt(repoName, "slot %s has no hash", s.Name)
				}
			}
			if other := c.sides[1]; other.notes > 0 && has[1] != nil && !bytes.Equal(has[1], raw) {
				if g, err := parseHeader(has[1]); err == nil && g.Repository != h.Repository {
					return nil, nil, fmt.Errorf("the second store holds another repository, %s: %w", g.Repository, fs.ErrExist)
				}
			}
			c.r = r
			return raw, slots, nil
		}
	}
	if why != nil {
		return nil, nil, why
	}
	return nil, nil, ErrNoRepository
}

// log reads the log of both: where one ends the other goes on, and each note is taken from whoever has it right.
func (c *copying) log(ctx context.Context) error {
	most := max(c.sides[0].notes, c.sides[1].notes)
	for first := int64(1); first < most; first += readers {
		n := min(readers, most-first)
		notes := make([][2][]byte, n)
		g, gctx := errgroup.WithContext(ctx)
		for i := range n {
			g.Go(func() (err error) {
				notes[i], err = c.either(gctx, noteName(first+i), maxNote)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for i, msgs := range notes {
			if err := c.take(first+int64(i), msgs); err != nil {
				return err
			}
		}
	}
	return nil
}

// drops reads what the log says was dropped, which is copied no more, from whoever has it right.
func (c *copying) drops(ctx context.Context) error {
	c.r.drops = map[string]bool{}
	for _, rec := range c.r.records {
		if rec.Kind != KindForget {
			continue
		}
		has, err := c.either(ctx, rec.Blobs[0].Name, maxDropped)
		if err != nil {
			return err
		}
		why := error(spoilt(rec.Blobs[0].Name, rec, "missing in both"))
		for _, raw := range has {
			if raw == nil || why == nil {
				continue
			}
			var names []string
			if names, why = parseDropped(rec, raw); why == nil {
				for _, name := range names {
					c.r.drops[name] = true
				}
			}
		}
		if why != nil {
			return why
		}
	}
	return nil
}

// take takes in the next note, from whoever has it right.
func (c *copying) take(n int64, msgs [2][]byte) error {
	var takes [2]func()
	var why error
	for i, msg := range msgs {
		if msg == nil {
			continue
		}
		take, err := c.r.examine(n, msg)
		if err != nil {
			why = err
			continue
		}
		takes[i] = take
	}
	switch {
	case takes[0] != nil && takes[1] != nil && !bytes.Equal(msgs[0], msgs[1]):
		return fmt.Errorf("%w: the two have gone apart at record %d", ErrRollback, n)
	case takes[0] != nil:
		takes[0]()
	case takes[1] != nil:
		takes[1]()
	case why != nil:
		return why
	default:
		return corrupt(noteName(n), "missing in both, though the log goes on")
	}
	return nil
}

// files returns the files of a record, a list of them resolved.
func (c *copying) files(ctx context.Context, rec Record) ([]file, error) {
	var all []file
	if c.r.dropped(rec) {
		return nil, nil
	}
	for _, b := range rec.Blobs {
		if b.Name == repoName {
			continue
		}
		f := file{b.Name, b.Hash, b.Size, rec}
		if b.Role == roleList {
			has, err := c.either(ctx, b.Name, maxList)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(has[:], func(raw []byte) bool { return raw != nil && sha256.Sum256(raw) == b.Hash })
			if i < 0 {
				c.lose(rec, b.Name, "is right in neither")
				continue
			}
			listed, err := parseList(string(has[i]))
			if err != nil {
				return nil, spoilt(b.Name, rec, err.Error())
			}
			for _, b := range listed {
				all = append(all, file{b.Name, b.Hash, b.Size, rec})
			}
		}
		all = append(all, f)
	}
	return all, nil
}

// all makes both have some files, several at a time.
func (c *copying) all(ctx context.Context, files []file) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, f := range files {
		g.Go(func() error { return c.file(ctx, f) })
	}
	return g.Wait()
}

// file makes both have a file.
func (c *copying) file(ctx context.Context, f file) error {
	var state [2]string // what is wrong with it; "" for nothing
	for i, s := range c.sides {
		switch {
		case !s.names[f.name]:
			state[i] = "missing"
		case c.o.Heal:
			reason, err := f.wrong(ctx, s.store)
			if err != nil {
				return err
			}
			state[i] = reason
		}
	}
	for i, s := range c.sides {
		other := c.sides[1-i]
		if state[i] == "" {
			continue
		}
		if i == 0 && !c.o.Heal && state[1] == "" {
			c.lose(f.rec, f.name, "is "+state[0]+" in the first, and not in the second")
			continue
		}
		if state[1-i] != "" {
			if i == 1 || state[0] == "" {
				c.lose(f.rec, f.name, "is right in neither: "+state[0]+", "+state[1])
			}
			continue
		}
		if err := c.put(ctx, f, other.store, s.store, state[i] != "missing"); err != nil {
			if damage, ok := errors.AsType[*CorruptError](err); ok && damage.Blob == f.name {
				c.lose(f.rec, f.name, damage.Reason)
				continue
			}
			return err
		}
		c.wrote(i, f, state[i])
	}
	return nil
}

// put copies a file that is right in one store into the other.
func (c *copying) put(ctx context.Context, f file, from, to store.Store, replace bool) error {
	if replace {
		if err := remove(ctx, to, f.name); err != nil {
			return err
		}
	}
	in, err := from.Get(ctx, f.name, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return spoilt(f.name, f.rec, "missing")
	}
	if err != nil {
		return err
	}
	v := &verified{in: in, file: f, sum: sha256.New()}
	err = to.Put(ctx, f.name, v)
	if closed := in.Close(); err == nil && closed != nil {
		err = closed
	}
	switch {
	case v.bad != nil:
		return v.bad
	case errors.Is(err, fs.ErrExist): // by another copy meanwhile
		reason, look := f.wrong(ctx, to)
		if look == nil && reason != "" {
			look = corrupt(f.name, "%s", reason)
		}
		return look
	}
	return err
}

// remove takes a wrong file away, where that can be done.
func remove(ctx context.Context, s store.Store, name string) error {
	r, ok := s.(store.Remover)
	if !ok {
		return fmt.Errorf("%s is wrong, and nothing can be taken away there: %w", name, errors.ErrUnsupported)
	}
	if err := r.Remove(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// note makes both have the note of a record whose files they have.
func (c *copying) note(ctx context.Context, n int64) error {
	msgs, err := c.either(ctx, noteName(n), maxNote)
	if err != nil {
		return err
	}
	want, err := c.right(n, msgs)
	if err != nil {
		return err
	}
	f := file{noteName(n), sha256.Sum256(want), int64(len(want)), c.r.records[n]}
	for i, s := range c.sides {
		if bytes.Equal(msgs[i], want) {
			continue
		}
		reason := "missing"
		if s.names[f.name] {
			reason = "another one"
		}
		if !c.o.Heal && (i == 0 || s.names[f.name]) {
			c.lose(f.rec, f.name, "is "+reason+" in the "+[]string{"first", "second"}[i]+", and right in the other")
			continue
		}
		if s.names[f.name] {
			if err := remove(ctx, s.store, f.name); err != nil {
				return err
			}
		}
		if err := s.store.Put(ctx, f.name, bytes.NewReader(want)); err != nil {
			return err
		}
		c.wrote(i, f, reason)
	}
	return nil
}

// right returns which of two notes the log took in.
func (c *copying) right(n int64, msgs [2][]byte) ([]byte, error) {
	for _, msg := range msgs {
		if msg == nil {
			continue
		}
		if reason, err := (&checker{r: c.r}).note(c.r.records[n], msg); err != nil {
			return nil, err
		} else if reason == "" {
			return msg, nil
		}
	}
	return nil, corrupt(noteName(n), "was there when the log was read, and is no more")
}

// wrote notes what was written. A file that a store lacked of a record that it had was lost there.
func (c *copying) wrote(i int, f file, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.Files++
	c.out.Bytes += f.size
	if reason != "missing" || f.rec.Number < c.sides[i].notes {
		c.out.Healed = append(c.out.Healed, Mended{i == 0, f.name, reason})
	}
}

// lose notes what neither store has right.
func (c *copying) lose(rec Record, name, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := Finding{Blob: name, Reason: reason}
	for _, other := range c.r.records[rec.Number:] {
		if rec.Kind == KindSnapshot && other.Kind == KindSnapshot {
			lost.Snapshots = append(lost.Snapshots, other.Number)
		}
	}
	c.out.Lost = append(c.out.Lost, lost)
}

// wrong says what is wrong with a file in a store; "" for nothing.
func (f file) wrong(ctx context.Context, s store.Store) (string, error) {
	in, err := s.Get(ctx, f.name, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return "missing", nil
	}
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, in)
	if err := errors.Join(err, in.Close()); err != nil {
		return "", fmt.Errorf("read %s: %w", f.name, err)
	}
	switch {
	case n != f.size:
		return fmt.Sprintf("is %d bytes long, want %d", n, f.size), nil
	case !bytes.Equal(sum.Sum(nil), f.hash[:]):
		return "is not what the log binds", nil
	}
	return "", nil
}

// A verified file is read to its end only where it is what the log binds, so that nothing else is ever stored.
type verified struct {
	in   io.Reader
	file file
	sum  hash.Hash
	n    int64
	bad  error
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.in.Read(p)
	v.sum.Write(p[:n])
	v.n += int64(n)
	if v.n > v.file.size || errors.Is(err, io.EOF) && (v.n != v.file.size || !bytes.Equal(v.sum.Sum(nil), v.file.hash[:])) {
		v.bad = spoilt(v.file.name, v.file.rec, "is not what the log binds")
		return 0, v.bad
	}
	return n, err
}
