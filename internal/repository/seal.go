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
	size   int64
	plain  int64 // bytes given to age
	pipe   *io.PipeWriter
	sealed io.WriteCloser
	frames []frameSizes
	done   chan error
	ended  bool
}

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
	return s, nil
}

var errAborted = errors.New("blob was given up")

// Write takes sealed bytes from age.
func (s *sealer) Write(p []byte) (int, error) {
	n, err := s.pipe.Write(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, err
}

// frame appends one zstd frame that holds the data.
func (s *sealer) frame(z *zstd.Encoder, data []byte) error {
	f := z.EncodeAll(data, nil)
	s.frames = append(s.frames, frameSizes{uint32(len(f)), uint32(len(data))})
	s.plain += int64(len(f))
	_, err := s.sealed.Write(f)
	return err
}

// finish ends the blob and returns it once it is durable.
func (s *sealer) finish(role string) (Blob, error) {
	_, err := s.sealed.Write(seekTable(s.frames))
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
	return Blob{Role: role, Name: s.name, Size: s.size, Hash: [32]byte(s.hash.Sum(nil))}, nil
}

// abort gives the blob up and waits until the store has let go of it.
func (s *sealer) abort() {
	if !s.ended {
		s.ended = true
		s.pipe.CloseWithError(errAborted)
		<-s.done
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
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true), zstd.WithSingleSegment(true))
}

// newDecoder returns a decoder that writes no more than the capacity it is given.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(2*maxLine))
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
	var b bytes.Buffer
	take := func(n int64) error {
		_, err := io.CopyN(&b, r, n)
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
		return b.Bytes(), h, err
	}
	if !h.HasFCS || !h.HasCheckSum || h.DictionaryID != 0 || h.FrameContentSize > maxLine {
		return nil, h, errors.New("zstd: frame without size or checksum, or too large")
	}
	if err := take(int64(h.HeaderSize)); err != nil {
		return nil, h, err
	}
	for last := false; !last; {
		at := b.Len()
		if err := take(3); err != nil {
			return nil, h, err
		}
		block := b.Bytes()[at:]
		word := uint32(block[0]) | uint32(block[1])<<8 | uint32(block[2])<<16
		size := int64(word >> 3)
		if word>>1&3 == 1 {
			size = 1 // a run of one byte
		}
		if size > 128<<10 || b.Len() > 2*maxLine {
			return nil, h, errors.New("zstd: block too large")
		}
		last = word&1 == 1
		if err := take(size); err != nil {
			return nil, h, err
		}
	}
	err = take(4)
	return b.Bytes(), h, err
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
