package repository

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

const (
	frameSize = 256 << 10 // decompressed bytes of a frame, unless one line is longer
	maxLine   = 16 << 20  // bytes of a line, and so of a frame
	maxBlob   = 256 << 20 // sealed bytes after which a record goes on in another blob
	maxData   = 64 << 20  // bytes of a record's data

	skipMagic  = 0x184D2A5E // of the skippable frame that holds the seek table
	tableMagic = 0x8F92EAB1
)

func blobName(suffix string) string {
	id := randomHex()
	return "blobs/" + id[:2] + "/" + id + "." + suffix
}

// A sealer writes one sealed blob: age over zstd frames and the seek table.
type sealer struct {
	name   string
	hash   hash.Hash
	size   atomic.Int64 // of what is sealed so far
	pipe   *io.PipeWriter
	sealed io.WriteCloser
	frames []frameSizes
	done   chan error
	ended  bool

	order  chan chan packed // frames that are being compressed, as they were given
	under  sync.WaitGroup   // counts those that are not sealed yet
	queued atomic.Int64     // bytes of data in them
	err    atomic.Pointer[error]
}

// packed is a frame and how many bytes of data it holds.
type packed struct {
	frame []byte
	plain int
}

// compressors is how many frames of a blob are compressed at once, each on a processor and with some MB of memory.
func compressors() int { return min(runtime.GOMAXPROCS(0), 8) }

// frameSizes are an entry of the seek table.
type frameSizes struct{ compressed, plain uint32 }

// seal starts a blob that is stored while it is written.
func (r *Repository) seal(ctx context.Context) (*sealer, error) {
	r.mu.RLock()
	recipient := r.recipient
	r.mu.RUnlock()
	out, in := io.Pipe()
	s := &sealer{name: blobName("age"), hash: sha256.New(), pipe: in, done: make(chan error, 1)}
	go func() {
		err := r.store.Put(ctx, s.name, out)
		if err == nil {
			// A store that did not read to the end has not stored the blob.
			if n, _ := out.Read(make([]byte, 1)); n != 0 {
				err = errors.New("store did not read the whole blob")
			}
		}
		out.CloseWithError(errors.Join(errAborted, err))
		s.done <- err
	}()
	sealed, err := age.Encrypt(s, recipient)
	if err != nil {
		s.abort()
		return nil, fmt.Errorf("seal: %w", err)
	}
	s.sealed = sealed
	order := make(chan chan packed, compressors())
	s.order = order
	go func() {
		for f := range order {
			s.add(<-f)
		}
	}()
	return s, nil
}

var errAborted = errors.New("blob was given up")

// Write takes sealed bytes from age.
func (s *sealer) Write(p []byte) (int, error) {
	n, err := s.pipe.Write(p)
	s.hash.Write(p[:n])
	s.size.Add(int64(n))
	return n, err
}

// frame appends one zstd frame that holds the data, which it keeps. It is compressed while the caller goes on, and sealed
// after those before it; what goes wrong then is told by one of the next calls.
func (s *sealer) frame(z *zstd.Encoder, data []byte) error {
	if err := s.failed(); err != nil {
		return err
	}
	s.queued.Add(int64(len(data)))
	f := make(chan packed, 1)
	s.under.Add(1)
	s.order <- f
	go func() { f <- packed{z.EncodeAll(data, nil), len(data)} }()
	return nil
}

// add seals a frame.
func (s *sealer) add(f packed) {
	defer s.under.Done()
	s.frames = append(s.frames, frameSizes{uint32(len(f.frame)), uint32(f.plain)})
	_, err := s.sealed.Write(f.frame) // which goes on failing once it has failed
	s.queued.Add(-int64(f.plain))
	if err != nil {
		s.err.CompareAndSwap(nil, &err)
	}
}

// failed returns the first error of sealing a frame so far.
func (s *sealer) failed() error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return nil
}

// full reports whether so many bytes are sealed, of all that was given so far. It waits only where that is in doubt.
func (s *sealer) full(limit int64) bool {
	queued := s.queued.Load()                        // before size, so that nothing is counted in neither
	if s.size.Load()+queued+queued/64+4096 < limit { // what does not compress grows by little
		return false
	}
	s.under.Wait()
	return s.size.Load() >= limit
}

// finish ends the blob and returns it once it is durable.
func (s *sealer) finish(role string) (Blob, error) {
	s.settle()
	err := s.failed()
	if err == nil {
		_, err = s.sealed.Write(seekTable(s.frames))
	}
	if err == nil {
		err = s.sealed.Close()
	}
	if err != nil {
		s.abort()
		return Blob{}, fmt.Errorf("seal %s: %w", s.name, err)
	}
	s.ended = true
	closed := s.pipe.Close()
	if err := errors.Join(<-s.done, closed); err != nil {
		return Blob{}, fmt.Errorf("seal %s: %w", s.name, err)
	}
	return Blob{Role: role, Name: s.name, Size: s.size.Load(), Hash: [32]byte(s.hash.Sum(nil))}, nil
}

// abort gives the blob up and waits until the store has let go of it.
func (s *sealer) abort() {
	if !s.ended {
		s.ended = true
		s.pipe.CloseWithError(errAborted)
		<-s.done
		s.settle()
	}
}

// settle waits for what was given to be sealed, after which nothing more can be given.
func (s *sealer) settle() {
	s.under.Wait()
	if s.order != nil {
		close(s.order)
		s.order = nil
	}
}

// seekTable writes the table as a skippable frame in zstd's seekable format.
func seekTable(frames []frameSizes) []byte {
	b := binary.LittleEndian.AppendUint32(nil, skipMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(8*len(frames)+9))
	for _, f := range frames {
		b = binary.LittleEndian.AppendUint32(b, f.compressed)
		b = binary.LittleEndian.AppendUint32(b, f.plain)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frames)))
	b = append(b, 0)
	return binary.LittleEndian.AppendUint32(b, tableMagic)
}

// parseSeekTable reads what seekTable writes, and nothing else.
func parseSeekTable(b []byte) ([]frameSizes, error) {
	if len(b) < 17 || (len(b)-17)%8 != 0 {
		return nil, errors.New("seek table has an impossible length")
	}
	frames := make([]frameSizes, (len(b)-17)/8)
	for i := range frames {
		at := b[8+8*i:]
		frames[i] = frameSizes{binary.LittleEndian.Uint32(at), binary.LittleEndian.Uint32(at[4:])}
	}
	if !bytes.Equal(seekTable(frames), b) {
		return nil, errors.New("seek table is not in its one form")
	}
	return frames, nil
}

// newEncoder returns an encoder for frames. The first snapshot, which is large and written once, is worth
// the slower level. Single segments say their size however small they are.
func newEncoder(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(compressors()), zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true), zstd.WithSingleSegment(true),
		zstd.WithWindowSize(frameSize)) // a larger one is memory that no frame fills
}

// newDecoder returns a decoder of so many frames at once that writes no more than the capacity it is given.
func newDecoder(frames int) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(frames), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(2*maxLine))
}

// nextFrame reads one whole frame without decompressing it.
func nextFrame(r *bufio.Reader) (raw []byte, h zstd.Header, err error) {
	head, err := r.Peek(zstd.HeaderMaxSize)
	if len(head) == 0 {
		return nil, h, err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, h, err
	}
	if err := h.Decode(head); err != nil {
		return nil, h, fmt.Errorf("zstd: %w", err)
	}
	take := func(n int64) error {
		at := len(raw)
		raw = slices.Grow(raw, int(n))[:at+int(n)]
		_, err := io.ReadFull(r, raw[at:])
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if h.Skippable {
		if h.SkippableSize > 8*maxBlob/1024 { // a table entry of 8 bytes stands for more than 1 KiB
			return nil, h, errors.New("zstd: skippable frame too large")
		}
		err := take(int64(h.HeaderSize) + int64(h.SkippableSize))
		return raw, h, err
	}
	if !h.HasFCS || !h.HasCheckSum || h.DictionaryID != 0 || h.FrameContentSize > maxLine {
		return nil, h, errors.New("zstd: frame without size or checksum, or too large")
	}
	if err := take(int64(h.HeaderSize)); err != nil {
		return nil, h, err
	}
	for last := false; !last; {
		at := len(raw)
		if err := take(3); err != nil {
			return nil, h, err
		}
		block := raw[at:]
		word := uint32(block[0]) | uint32(block[1])<<8 | uint32(block[2])<<16
		size := int64(word >> 3)
		if word>>1&3 == 1 {
			size = 1 // a run of one byte
		}
		if size > 128<<10 || len(raw) > 2*maxLine {
			return nil, h, errors.New("zstd: block too large")
		}
		last = word&1 == 1
		if err := take(size); err != nil {
			return nil, h, err
		}
	}
	err = take(4)
	return raw, h, err
}

// inflate decompresses one frame.
func inflate(z *zstd.Decoder, raw []byte, h zstd.Header) ([]byte, error) {
	data, err := z.DecodeAll(raw, make([]byte, 0, h.FrameContentSize))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if uint64(len(data)) != h.FrameContentSize {
		return nil, errors.New("zstd: frame is shorter than it says")
	}
	return data, nil
}
