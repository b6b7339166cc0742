package repository

import (
	"context"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// A segment writes lines into as many sealed blobs as they need. A blob begins with the first line for it.
type segment struct {
	r      *Repository
	ctx    context.Context // of the Writer, since blobs outlive the calls that write to them
	role   string
	kind   string
	parent int64
	limit  int64 // sealed bytes after which the next blob begins
	z      *zstd.Encoder

	cur   *sealer
	frame []byte
	text  appender
	hash  *hashLines
	blobs []Blob
	says  commitment // to the objects
}

// append writes one line.
func (s *segment) append(line interface{ append(*appender) }) error {
	if s.cur == nil {
		if err := s.begin(); err != nil {
			return err
		}
	}
	return s.add(line)
}

func (s *segment) begin() (err error) {
	if s.cur, err = s.r.seal(s.ctx); err != nil {
		s.cur = nil
		return err
	}
	s.hash = newHashLines()
	return s.add(headLine{format, s.r.id, string(s.r.tenant.ID), s.kind, s.parent, int64(len(s.blobs))})
}

func (s *segment) add(line interface{ append(*appender) }) error {
	s.text.b = s.text.b[:0]
	line.append(&s.text)
	if s.text.err != nil {
		return s.text.err
	}
	if len(s.text.b) > maxLine {
		return fmt.Errorf("a line of %d bytes is more than %d", len(s.text.b), maxLine)
	}
	if len(s.frame) > 0 && len(s.frame)+len(s.text.b) > frameSize {
		if err := s.flush(); err != nil {
			return err
		}
		if s.hash.lines > 1 && s.cur.full(s.limit) {
			// The line goes into the next blob.
			text := append([]byte(nil), s.text.b...)
			if err := s.end(); err != nil {
				return err
			}
			if err := s.begin(); err != nil {
				return err
			}
			s.text.b = text
		}
	}
	if o, ok := line.(objectLine); ok && o.Body != "" {
		s.says.object(hashOf(o.Ref, o.Version))
	}
	s.hash.add(s.text.b)
	s.frame = append(s.frame, s.text.b...)
	return nil
}

func (s *segment) flush() error {
	err := s.cur.frame(s.z, s.frame)
	s.frame = make([]byte, 0, frameSize)
	return err
}

// end closes the present blob.
func (s *segment) end() error {
	var end appender
	last := s.hash.end()
	last.append(&end)
	s.says.blob(last.Hash)
	if len(s.frame) > 0 && len(s.frame)+len(end.b) > frameSize {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.frame = append(s.frame, end.b...)
	if err := s.flush(); err != nil {
		return err
	}
	b, err := s.cur.finish(s.role)
	if err != nil {
		return err
	}
	s.blobs, s.cur = append(s.blobs, b), nil
	return nil
}

// abort gives up what is not stored yet.
func (s *segment) abort() {
	if s != nil && s.cur != nil {
		s.cur.abort()
		s.cur = nil
	}
}
