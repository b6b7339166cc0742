package repository

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"unsafe"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// source reads a blob from the store, remembers what the store itself did wrong, and hashes what passes.
type source struct {
	in   io.Reader
	err  error
	size int64
	hash hash.Hash
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	_, _ = s.hash.Write(p[:n]) // a hash never fails
	s.size += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// A visitor is told each frame of a blob in turn: its decompressed bytes, which it may not keep, what was made of them,
// and where the frame lies in the blob's plaintext.
type visitor func(data []byte, made any, off int64, size int) error

// errStop is how a visitor says that it has seen enough.
var errStop = errors.New("enough")

// frames reads a blob from front to back. Frames are decompressed and given to prepare, if any, several at a time and ahead
// of the visitor. Whatever it meets, it reports damage only after comparing the
// blob with the hash that the log binds. A visitor's own error comes back as it is.
func (r *Repository) frames(ctx context.Context, rec Record, b Blob, prepare func(data []byte) any, visit visitor) error {
	f, err := r.store.Get(ctx, b.Name, 0, -1)
	if err != nil {
		return missing(b.Name, rec, err)
	}
	src := &source{in: f, hash: sha256.New()}
	stopped, err := r.decode(ctx, src, prepare, visit)
	if stopped == nil && src.err == nil {
		_, _ = io.Copy(io.Discard, src) // what it could not read is in src.err
	}
	switch closed := f.Close(); {
	case errors.Is(stopped, errStop):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case stopped != nil: // before what was met while reading ahead
		return stopped
	case src.err != nil:
		return fmt.Errorf("read %s: %w", b.Name, src.err)
	case src.size != b.Size || !bytes.Equal(src.hash.Sum(nil), b.Hash[:]):
		return spoilt(b.Name, rec, "is not what the log binds")
	case errors.Is(err, ErrKey):
		return err
	case err != nil:
		return spoilt(b.Name, rec, err.Error())
	case closed != nil:
		return fmt.Errorf("read %s: %w", b.Name, closed)
	}
	return nil
}

// A frame is one that is read ahead.
type frame struct {
	raw  []byte
	h    zstd.Header
	data []byte
	made any
	err  error
	done chan struct{} // closed once all this is there
}

// ahead reads frames until the source ends, and opens several at a time. What it sends last has an error. It goes on until
// then or until stop is closed.
func ahead(in *bufio.Reader, z *zstd.Decoder, prepare func([]byte) any, order chan<- *frame, stop <-chan struct{}) {
	defer close(order)
	for {
		raw, h, err := nextFrame(in)
		f := &frame{raw: raw, h: h, err: err, done: make(chan struct{})}
		if err != nil || h.Skippable {
			close(f.done)
		} else {
			go func() {
				defer close(f.done)
				if f.data, f.err = inflate(z, f.raw, f.h); f.err == nil && prepare != nil {
					f.made = prepare(f.data)
				}
			}()
		}
		select {
		case order <- f:
		case <-stop:
			<-f.done
			return
		}
		if err != nil {
			return
		}
	}
}

// decode is frames without the store. It returns the visitor's error apart from its own.
func (r *Repository) decode(ctx context.Context, src io.Reader, prepare func([]byte) any, visit visitor) (stopped, err error) {
	plain, err := r.decrypt(src)
	if err != nil {
		return nil, err
	}
	z, err := newDecoder(compressors())
	if err != nil {
		return nil, err
	}
	defer z.Close()
	order, stop := make(chan *frame, compressors()), make(chan struct{})
	go ahead(bufio.NewReaderSize(plain, 64<<10), z, prepare, order, stop)
	defer func() {
		close(stop)
		for f := range order {
			<-f.done
		}
	}()
	var seen, table []frameSizes
	var off int64
	for f := range order {
		<-f.done
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if errors.Is(f.err, io.EOF) {
			if table == nil {
				return nil, errors.New("ends without a seek table")
			}
			return nil, nil
		}
		if table != nil {
			return nil, errors.New("goes on after the seek table")
		}
		if f.err != nil {
			return nil, f.err
		}
		if f.h.Skippable {
			if table, err = parseSeekTable(f.raw); err != nil {
				return nil, err
			}
			if !slices.Equal(table, seen) {
				return nil, errors.New("seek table is not that of its frames")
			}
			continue
		}
		if err := visit(f.data, f.made, off, len(f.raw)); err != nil {
			return err, nil
		}
		seen = append(seen, frameSizes{uint32(len(f.raw)), uint32(len(f.data))})
		off += int64(len(f.raw))
	}
	return nil, errors.New("ends without an end") // unreachable: the last frame has an error
}

func (r *Repository) decrypt(src io.Reader) (io.Reader, error) {
	r.mu.RLock()
	identities := r.identities
	r.mu.RUnlock()
	if len(identities) == 0 {
		return nil, ErrKey
	}
	plain, err := age.Decrypt(src, identities...)
	return plain, sealError(err)
}

// sealError says what age's error means here.
func sealError(err error) error {
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return ErrKey
	}
	return err
}

// own returns the log's record for one that a caller may have kept elsewhere.
func (r *Repository) own(rec Record) (Record, error) {
	own, err := r.record(rec.Number)
	if err == nil && own.Leaf != rec.Leaf {
		err = fmt.Errorf("record %d is another one: %w", rec.Number, fs.ErrNotExist)
	}
	return own, err
}

// Data returns what was given to Append, or nil where it was nil.
func (r *Repository) Data(ctx context.Context, rec Record) ([]byte, error) {
	rec, err := r.own(rec)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if rec.Kind == KindSigner {
		return []byte(rec.Key), nil
	}
	for _, b := range rec.Blobs {
		if b.Role != roleData {
			continue
		}
		data := []byte{}
		err := r.frames(ctx, rec, b, nil, func(part []byte, _ any, _ int64, _ int) error {
			if data = append(data, part...); len(data) > maxData {
				return spoilt(b.Name, rec, "is too long for a record's data")
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("data of record %d: %w", rec.Number, err)
		}
		return data, nil
	}
	return nil, nil
}

// sealData stores a record's data.
func (r *Repository) sealData(ctx context.Context, data []byte) (Blob, error) {
	if len(data) > maxData {
		return Blob{}, fmt.Errorf("%d bytes are more than a record's data may have", len(data))
	}
	z, err := r.encoder()
	if err != nil {
		return Blob{}, err
	}
	s, err := r.seal(ctx)
	if err != nil {
		return Blob{}, err
	}
	for part := range slices.Chunk(data, frameSize) {
		if err := s.frame(z, part); err != nil {
			s.abort()
			return Blob{}, err
		}
	}
	return s.finish(roleData)
}

// Replay yields what a record of kind snapshot or checkpoint says, in the order it was written; for other records it
// yields nothing. Of a snapshot whose own files were dropped it yields Anew and what its checkpoint says; of one that was
// forgotten the error wraps ErrForgotten. Damage to the blob as a whole may be found only at its end, so what was yielded counts
// only once the sequence ended without an error. What the log binds is taken as its writer wrote it: whether versions are those
// of their bodies, end lines those of their lines and the record's key that of its objects, a deep [Repository.Check] says. A
// body is a part of its frame's text, which it keeps in memory.
func (r *Repository) Replay(ctx context.Context, rec Record) iter.Seq2[Line, error] {
	return r.said(ctx, rec, true)
}

// said is Replay, with trust or without.
func (r *Repository) said(ctx context.Context, rec Record, trust bool) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		stopped := false
		err := r.replay(ctx, rec, trust, func(l Line) bool {
			stopped = !yield(l, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(nil, fmt.Errorf("replay record %d: %w", rec.Number, err))
		}
	}
}

func (r *Repository) replay(ctx context.Context, rec Record, trust bool, yield func(Line) bool) error {
	rec, err := r.own(rec)
	if err != nil || rec.Kind != KindSnapshot && rec.Kind != KindCheckpoint {
		return err
	}
	if r.dropped(rec) {
		instead, ok := r.restated(rec.Number)
		if !ok {
			return ErrForgotten
		}
		if !yield(Anew{}) {
			return nil
		}
		rec = instead
	}
	return r.replayed(ctx, rec, trust, nil, yield)
}

// replayed is replay of the record itself. told is told of each leaf of the record's commitment, unless it is nil; that needs
// to be without trust.
func (r *Repository) replayed(ctx context.Context, rec Record, trust bool, told func(n int64, salt, of [32]byte), yield func(Line) bool) error {
	blobs, err := r.blobs(ctx, rec)
	if err != nil {
		return err
	}
	p := &player{r: r, rec: rec, trust: trust, yield: yield, says: commitment{told: told}}
	parse := func(data []byte) any {
		return parseLines(unsafe.String(unsafe.SliceData(data), len(data)), trust) // inflate made it and nobody writes there
	}
	counts := map[string]int64{}
	for i, b := range blobs {
		if b.Role != roleObjects && b.Role != roleAudit {
			continue
		}
		p.begin(i, counts[b.Role], b)
		counts[b.Role]++
		if err := r.frames(ctx, rec, b, parse, p.frame); err != nil {
			return err
		}
		if p.stopped {
			return nil
		}
		if !p.ended {
			return spoilt(b.Name, rec, "ends without an end line")
		}
	}
	if !p.closed {
		return spoilt(noteName(rec.Number), rec, "its blobs hold no snapshot line")
	}
	if !trust && rec.Key != "" && rec.Key != p.says.key() {
		return spoilt(noteName(rec.Number), rec, "its key is not that of the objects that its blobs say")
	}
	return nil
}

// A player turns the lines of a snapshot's blobs into what they say.
type player struct {
	r     *Repository
	rec   Record
	trust bool
	yield func(Line) bool

	blob    Blob
	index   int   // among the record's blobs
	nth     int64 // among those of its role
	hash    *hashLines
	ended   bool
	stopped bool

	ordinals ordinals // of a checkpoint, through all its blobs
	kind     string   // of the objects blobs
	format   int64    // of all blobs
	closed   bool     // the snapshot line was met
	says     commitment
}

func (p *player) begin(index int, nth int64, b Blob) {
	p.blob, p.index, p.nth, p.hash, p.ended = b, index, nth, newHashLines(), false
}

func (p *player) bad(format string, args ...any) error {
	return spoilt(p.blob.Name, p.rec, fmt.Sprintf(format, args...))
}

// A parsed line is one of a frame, in a form on disk.
type parsed struct {
	v          any
	err        error
	start, end int // end is 0 where the frame ends within it
}

// parseLines reads the lines of a frame, up to the first that is wrong.
func parseLines(data string, trust bool) (lines []parsed) {
	for start := 0; start < len(data); {
		n := strings.IndexByte(data[start:], '\n')
		if n < 0 {
			return append(lines, parsed{start: start})
		}
		l := parsed{start: start, end: start + n + 1}
		l.v, l.err = parseLine(data[start:l.end], trust)
		if lines = append(lines, l); l.err != nil {
			break
		}
		start = l.end
	}
	return lines
}

// frame takes in one frame of whole lines, as parseLines returned them.
func (p *player) frame(data []byte, made any, off int64, size int) error {
	at := Position{Record: p.rec.Number, Blob: p.index, Frame: off, Size: int32(size)}
	for _, l := range made.([]parsed) {
		if l.end == 0 {
			return p.bad("a frame ends within a line")
		}
		at.Off = int32(l.start)
		if p.ended {
			return p.bad("goes on after its end line")
		}
		if l.err != nil {
			return p.bad("%v", l.err)
		}
		if end, ok := l.v.(endLine); ok {
			if end.Lines != p.hash.lines || !p.trust && end != p.hash.end() {
				return p.bad("end line does not fit what came before it")
			}
			p.ended = true
			p.says.blob(end.Hash)
			continue
		}
		said, err := p.line(l.v, at)
		if err != nil {
			return err
		}
		if p.trust {
			p.hash.lines++
		} else {
			p.hash.add(data[l.start:l.end])
		}
		if said != nil && !p.yield(said) {
			p.stopped = true
			return errStop
		}
	}
	return nil
}

// line turns one line into what it says; nil where it is of use only to the player.
func (p *player) line(v any, at Position) (Line, error) {
	head, isHead := v.(headLine)
	if isHead != (p.hash.lines == 0) {
		return nil, p.bad("does not begin with one header line")
	}
	_, isAudit := v.(auditLine)
	if !isHead && isAudit != (p.blob.Role == roleAudit) || p.closed && !isHead && !isAudit {
		return nil, p.bad("line %d has no place here", p.hash.lines+1)
	}
	switch v := v.(type) {
	case headLine:
		return nil, p.head(head)
	case objectLine:
		return p.object(v, at)
	case linkLine:
		if p.kind != kindSegment {
			return nil, p.bad("link changes in a %s", p.kind)
		}
		return Links(v), nil
	case ordLine:
		return p.ord(v)
	case auditLine:
		at.Off, at.Len = at.Off+int32(v.Off), int32(len(v.Body))
		return AuditEntry{v.Body, at}, nil
	case snapshotLine:
		s, of := v.Snapshot, p.rec
		if of.Kind == KindCheckpoint {
			var err error
			if of, err = p.r.record(of.Parent); err != nil {
				return nil, err
			}
		}
		if s.Parent != of.Parent {
			return nil, p.bad("its parent is %d, its record's %d", s.Parent, of.Parent)
		}
		p.closed = true
		settle(s, of, p.r.tenant.ID)
		return Snapshot{s, p.format}, nil
	}
	return nil, p.bad("line %d has no place here", p.hash.lines+1)
}

// settle fills in what only the record knows.
func settle(s *snapshot.Snapshot, rec Record, tenant entra.TenantID) {
	s.Number, s.ID, s.Tenant = rec.Number, rec.Leaf, tenant
	for i := range s.Parts {
		if s.Parts[i].Complete == thisSnapshot {
			s.Parts[i].Complete = rec.Number
		}
	}
}

// The kinds of blobs that hold lines.
const (
	kindCheckpoint = "checkpoint"
	kindSegment    = "segment"
	kindAudit      = "audit"
)

func (p *player) head(h headLine) error {
	want := headLine{h.Format, p.r.id, string(p.r.tenant.ID), kindSegment, p.rec.Parent, p.nth}
	switch {
	case p.blob.Role == roleAudit:
		want.Kind = kindAudit
	case p.rec.Parent == 0 || p.rec.Kind == KindCheckpoint:
		want.Kind = kindCheckpoint
	}
	if h.Format > format {
		return fmt.Errorf("%w: format %d", ErrFormat, h.Format)
	}
	if h != want || h.Format < 1 || p.format != 0 && h.Format != p.format {
		return p.bad("header is that of another blob")
	}
	p.format = h.Format
	if p.blob.Role == roleObjects {
		p.kind = h.Kind
	}
	return nil
}

func (p *player) object(o objectLine, at Position) (Line, error) {
	if o.Gone {
		return Gone{o.Ref}, nil
	}
	if (o.N >= 0) != (p.kind == kindCheckpoint) {
		return nil, p.bad("%s in a %s: ordinal missing or out of place", o.Ref, p.kind)
	}
	if o.N >= 0 {
		if n := p.ordinals.len(); o.N != n {
			return nil, p.bad("%s has ordinal %d, want %d", o.Ref, o.N, n)
		}
		p.ordinals.add(o.Ref)
	}
	if o.Body == "" {
		return nil, nil
	}
	if !p.trust {
		p.says.object(o.Said)
	}
	at.Off, at.Len = at.Off+int32(o.Off), int32(len(o.Body))
	return Object{o.Ref, o.Version, o.Body, at, o.N}, nil
}

func (p *player) ord(l ordLine) (Line, error) {
	n := p.ordinals.len()
	if p.kind != kindCheckpoint || l.From >= n || l.Add[len(l.Add)-1] >= n {
		return nil, p.bad("an ordinal stands for nothing")
	}
	links := Links{From: p.ordinals.ref(l.From), Rel: l.Rel, Add: make([]entra.Ref, len(l.Add)), Ordinals: append([]int64{l.From}, l.Add...)}
	var of span // that of the ordinals up to next
	next := int64(-1)
	for i, o := range l.Add { // which ascend
		if o > next {
			of, next = p.ordinals.around(o)
		}
		links.Add[i] = entra.Ref{Type: of.t, ID: p.ordinals.ids.At(uint32(o))}
	}
	return links, nil
}

// ordinals are what the ordinals of a checkpoint stand for. They take 16 bytes for each, where a ref takes 100.
type ordinals struct {
	ids   entra.IDList
	spans []span
}

// A span is objects of one type with ordinals that follow one another.
type span struct {
	begin int64
	t     entra.Type
}

func (o *ordinals) len() int64 { return int64(o.ids.Len()) }

func (o *ordinals) add(r entra.Ref) {
	if n := len(o.spans); n == 0 || o.spans[n-1].t != r.Type {
		o.spans = append(o.spans, span{o.len(), r.Type})
	}
	o.ids.Add(r.ID)
}

// around returns the span that the ordinal, which must be below len, is in, and the last ordinal of it.
func (o *ordinals) around(n int64) (s span, last int64) {
	i, _ := slices.BinarySearchFunc(o.spans, n+1, func(s span, n int64) int { return cmp.Compare(s.begin, n) })
	last = o.len() - 1
	if i < len(o.spans) {
		last = o.spans[i].begin - 1
	}
	return o.spans[i-1], last
}

// ref returns what the ordinal stands for, which must be below len.
func (o *ordinals) ref(n int64) entra.Ref {
	of, _ := o.around(n)
	return entra.Ref{Type: of.t, ID: o.ids.At(uint32(n))}
}

// bodyBatch bounds how many bodies Bodies holds at a time.
const bodyBatch = 1024

// Bodies yields the bodies at the positions in the order asked. It reads them in batches of up to 1,024 in
// the order they lie in, each frame once, and keeps the frames that calls ended in, since who asks for one body
// often asks for its neighbour next. A position is trusted to be one that Replay gave: whoever holds the version
// compares it, since sealing alone does not prove who wrote.
func (r *Repository) Bodies(ctx context.Context, at []Position) iter.Seq2[entra.Body, error] {
	return func(yield func(entra.Body, error) bool) {
		if len(at) == 0 {
			return
		}
		d, err := r.dig(ctx, at[0])
		if err != nil {
			yield("", fmt.Errorf("bodies: %w", err))
			return
		}
		defer r.rest(d)
		for batch := range slices.Chunk(at, bodyBatch) {
			order := make([]int, len(batch))
			for i := range order {
				order[i] = i
			}
			slices.SortFunc(order, func(i, j int) int { return batch[i].Compare(batch[j]) })
			bodies := make([]entra.Body, len(batch))
			for _, i := range order {
				if bodies[i], err = d.body(batch[i]); err != nil {
					yield("", fmt.Errorf("body of record %d: %w", batch[i].Record, err))
					return
				}
			}
			for _, b := range bodies {
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// Compare orders positions as bodies lie.
func (p Position) Compare(q Position) int {
	for _, d := range []int64{p.Record - q.Record, int64(p.Blob - q.Blob), p.Frame - q.Frame, int64(p.Off - q.Off)} {
		if d != 0 {
			return int(min(max(d, -1), 1))
		}
	}
	return 0
}

// A digger reads bodies by position and keeps the blob and frame it was last in.
type digger struct {
	r     *Repository
	ctx   context.Context // of the call that it works for
	z     *zstd.Decoder
	last  Position // of the frame held; Size 0 is none
	blob  Blob
	rec   Record
	plain io.ReaderAt
	src   *ranged
	raw   []byte // the frame as it lies
	data  []byte // what is in it, as far as anybody wanted to know, in room that later frames use again; nil for no frame
	size  int    // of all that is in it
}

// maxRested bounds how many diggers rest; each holds a frame and a block of a blob.
const maxRested = 4

// dig returns a digger that is in the frame of the position if one rests there, else in its blob, else any.
func (r *Repository) dig(ctx context.Context, p Position) (*digger, error) {
	r.digs.Lock()
	defer r.digs.Unlock()
	best, rank := -1, 0
	for i, d := range r.rested {
		fit := 1
		if d.plain != nil && d.last.Record == p.Record && d.last.Blob == p.Blob {
			if fit = 2; d.last.Frame == p.Frame {
				fit = 3
			}
		}
		if fit > rank && (fit > 1 || len(r.rested) == maxRested) {
			best, rank = i, fit
		}
	}
	if best >= 0 {
		d := r.rested[best]
		r.rested = slices.Delete(r.rested, best, best+1)
		d.ctx = ctx
		return d, nil
	}
	z, err := newDecoder(1)
	return &digger{r: r, z: z, ctx: ctx}, err
}

// rest keeps a digger for the next call, unless the blob it is in has failed.
func (r *Repository) rest(d *digger) {
	d.ctx = nil
	r.digs.Lock()
	defer r.digs.Unlock()
	if d.src == nil || d.src.err != nil || d.data == nil || len(r.rested) == maxRested {
		d.z.Close()
		return
	}
	r.rested = append(r.rested, d)
}

func (d *digger) body(p Position) (entra.Body, error) {
	if p.Size <= 0 || p.Size > 2*maxLine || p.Frame < 0 || p.Off < 0 || p.Len < 0 {
		return "", fmt.Errorf("position %+v: %w", p, fs.ErrInvalid)
	}
	if d.plain == nil || p.Record != d.last.Record || p.Blob != d.last.Blob {
		if err := d.enter(p); err != nil {
			return "", err
		}
	}
	if d.data == nil || p.Frame != d.last.Frame {
		if err := d.read(p); err != nil {
			return "", err
		}
	}
	end := int(p.Off) + int(p.Len)
	if end > d.size {
		return "", spoilt(d.blob.Name, d.rec, "a body lies outside its frame")
	}
	if known := len(d.data); end > known {
		d.data = d.data[:end]
		if _, err := io.ReadFull(d.z, d.data[known:]); err != nil {
			d.data = nil
			return "", d.damage(fmt.Errorf("zstd: %w", err))
		}
	}
	return entra.Body(d.data[p.Off:end]), nil
}

// enter opens the blob for reading at random.
func (d *digger) enter(p Position) error {
	d.plain, d.data = nil, nil
	rec, err := d.r.record(p.Record)
	if err != nil {
		return err
	}
	blobs, err := d.r.blobs(d.ctx, rec)
	if err != nil {
		return err
	}
	if p.Blob < 0 || p.Blob >= len(blobs) {
		return fmt.Errorf("record %d has no blob %d: %w", p.Record, p.Blob, fs.ErrNotExist)
	}
	d.rec, d.blob, d.last = rec, blobs[p.Blob], p
	d.r.mu.RLock()
	identities := d.r.identities
	d.r.mu.RUnlock()
	if len(identities) == 0 {
		return ErrKey
	}
	d.src = &ranged{get: func(off, n int64) (io.ReadCloser, error) { return d.r.store.Get(d.ctx, d.blob.Name, off, n) }, size: d.blob.Size}
	plain, _, err := age.DecryptReaderAt(d.src, d.blob.Size, identities...)
	if err != nil {
		return d.damage(sealError(err))
	}
	d.plain = plain
	return nil
}

// read begins with a frame, of which body decompresses the blocks up to what it wants: the rest is seldom asked for.
func (d *digger) read(p Position) error {
	room := d.data
	d.data, d.last = nil, p
	d.raw = slices.Grow(d.raw[:0], int(p.Size))[:p.Size]
	if n, err := d.plain.ReadAt(d.raw, p.Frame); n < len(d.raw) {
		return d.damage(err)
	}
	var h zstd.Header
	if err := h.Decode(d.raw); err != nil {
		return d.damage(err)
	}
	if h.Skippable || !h.HasFCS || h.FrameContentSize > maxLine {
		return d.damage(errors.New("no frame of this format lies at the position"))
	}
	if err := d.z.Reset(bytes.NewReader(d.raw)); err != nil {
		return d.damage(err)
	}
	d.size = int(h.FrameContentSize)
	d.data = slices.Grow(room[:0], max(d.size, 1))
	return nil
}

// damage tells the store's faults from the blob's.
func (d *digger) damage(err error) error {
	if d.src.err != nil {
		return missing(d.blob.Name, d.rec, d.src.err)
	}
	if errors.Is(err, ErrKey) {
		return err
	}
	return spoilt(d.blob.Name, d.rec, err.Error())
}

// blockSize is what ranged reads at a time: some frames and age's header at once.
const blockSize = 256 << 10

// ranged reads a blob at random in aligned blocks, of which it keeps the last.
type ranged struct {
	get  func(off, n int64) (io.ReadCloser, error)
	size int64
	off  int64
	data []byte
	err  error
}

// ReadAt implements io.ReaderAt.
func (s *ranged) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= s.size {
			return n, io.EOF
		}
		if at < s.off || at >= s.off+int64(len(s.data)) {
			if err := s.fill(at - at%blockSize); err != nil {
				s.err = err
				return n, err
			}
			if at >= s.off+int64(len(s.data)) {
				return n, io.ErrUnexpectedEOF
			}
		}
		n += copy(p[n:], s.data[at-s.off:])
	}
	return n, nil
}

// fill reads a block into the room of the one before it, of which nobody keeps a part.
func (s *ranged) fill(off int64) error {
	size := min(blockSize, s.size-off)
	room := slices.Grow(s.data[:0], int(size))[:size]
	s.data = s.data[:0]
	f, err := s.get(off, size)
	if err != nil {
		return err
	}
	n, err := io.ReadFull(f, room)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // ReadAt finds that it is too short
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.off, s.data = off, room[:n]
	return nil
}
