package repository

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unique"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Line is one thing a snapshot's blobs say: an Object, Gone, Anew, Links, AuditEntry or Snapshot. Where two
// lines speak of the same object or link, the later one holds.
type Line interface{ line() }

// A Position is where the bytes of a body lie.
type Position struct {
	Record int64 // the record's number
	Blob   int   // which of the record's blobs, its list resolved
	Frame  int64 // offset of the zstd frame in the blob's plaintext
	Size   int32 // the frame's length there
	Off    int32 // offset of the body in the decompressed frame
	Len    int32 // the body's length
}

// An Object says that from this snapshot on the object has this body.
type Object struct {
	Ref      entra.Ref
	Version  entra.Version
	Body     entra.Body
	Position Position
	Ordinal  int64 // in a checkpoint, else -1
}

// Gone says that from this snapshot on there is no such object.
type Gone struct{ Ref entra.Ref }

// Anew says that what follows is all there is: nothing of what earlier snapshots held.
type Anew struct{}

// Links says which links of one relation begin and end at an object. Each list ascends, but in a checkpoint, where it is in the
// order of ordinals.
type Links struct {
	From        entra.Ref
	Rel         string
	Add, Remove []entra.Ref
	Ordinals    []int64 // in a checkpoint, those of From and of each of Add, by which no ref need be looked up; else nil
}

// An AuditEntry is one entry of a stream that the snapshot's capture read.
type AuditEntry struct {
	Body     entra.Body
	Position Position
}

// A Snapshot closes what its record says. Number and ID are filled in from the record. Format is the one it is written in.
type Snapshot struct {
	*snapshot.Snapshot
	Format int64
}

func (Object) line()     {}
func (Gone) line()       {}
func (Anew) line()       {}
func (Links) line()      {}
func (AuditEntry) line() {}
func (Snapshot) line()   {}

// What lines say on disk. Each form has an append that writes it and a case in parseLine that reads it;
// parseLine accepts exactly what append writes.
type (
	headLine struct {
		Format             int64
		Repository, Tenant string
		Kind               string // "checkpoint", "segment" or "audit"
		Parent             int64
		Blob               int64
	}
	objectLine struct {
		N       int64 // ordinal in a checkpoint, -1 elsewhere
		Ref     entra.Ref
		Gone    bool
		Version entra.Version
		Body    entra.Body // "" for a stub, which only gives a link's end its ordinal
		Off     int        // of the body in the line
		Said    [32]byte   // hashOf the object, unless it is trusted
	}
	linkLine Links
	ordLine  struct {
		Rel  string
		From int64
		Add  []int64 // ascending
	}
	auditLine struct {
		Body entra.Body
		Off  int
	}
	snapshotLine struct{ *snapshot.Snapshot }
	endLine      struct {
		Lines int64
		Hash  [32]byte
	}
)

// linkBatch bounds the ends in one line.
const linkBatch = 1000

func quote(b []byte, s string) ([]byte, error) { return jsontext.AppendQuote(b, s) }

// appender writes JSON and keeps the first error, which only invalid UTF-8 causes.
type appender struct {
	b   []byte
	err error
}

func (a *appender) raw(s string) *appender { a.b = append(a.b, s...); return a }

func (a *appender) str(s string) *appender {
	b, err := quote(a.b, s)
	if err != nil {
		a.err = errors.Join(a.err, fmt.Errorf("text %q: %w", s, err))
		return a
	}
	a.b = b
	return a
}

func (a *appender) int(n int64) *appender { a.b = strconv.AppendInt(a.b, n, 10); return a }

func (a *appender) hash(h [32]byte) *appender {
	a.b = append(hex.AppendEncode(append(a.b, '"'), h[:]), '"')
	return a
}

func (h headLine) append(a *appender) {
	a.raw(`{"k":"h","format":`).int(h.Format).raw(`,"repository":`).str(h.Repository).raw(`,"tenant":`).str(h.Tenant).
		raw(`,"kind":`).str(h.Kind).raw(`,"parent":`).int(h.Parent).raw(`,"blob":`).int(h.Blob).raw("}\n")
}

func (o objectLine) append(a *appender) {
	a.raw(`{"k":"o"`)
	if o.N >= 0 {
		a.raw(`,"n":`).int(o.N)
	}
	a.raw(`,"t":`).str(string(o.Ref.Type)).raw(`,"i":`).str(string(o.Ref.ID))
	switch {
	case o.Gone:
		a.raw(`,"d":true`)
	case o.Body != "":
		a.raw(`,"h":`).hash(o.Version).raw(`,"v":`).raw(string(o.Body))
	}
	a.raw("}\n")
}

func (l linkLine) append(a *appender) {
	a.raw(`{"k":"l","t":`).str(string(l.From.Type)).raw(`,"s":`).str(string(l.From.ID)).raw(`,"n":`).str(l.Rel)
	for _, side := range []struct {
		sign string
		refs []entra.Ref
	}{{"+", l.Add}, {"-", l.Remove}} {
		if len(side.refs) == 0 {
			continue
		}
		a.raw(`,"` + side.sign + `":{`)
		var t entra.Type
		for i, r := range side.refs {
			switch {
			case i == 0:
				a.str(string(r.Type)).raw(":[")
			case r.Type != t:
				a.raw("],").str(string(r.Type)).raw(":[")
			default:
				a.raw(",")
			}
			t = r.Type
			a.str(string(r.ID))
		}
		a.raw("]}")
	}
	a.raw("}\n")
}

func (l ordLine) append(a *appender) {
	a.raw(`{"k":"L","n":`).str(l.Rel).raw(`,"s":`).int(l.From).raw(`,"+":[`)
	var last int64
	for i, n := range l.Add {
		if i > 0 {
			a.raw(",")
		}
		a.int(n - last)
		last = n
	}
	a.raw("]}\n")
}

func (l auditLine) append(a *appender) { a.raw(`{"k":"a","v":`).raw(string(l.Body)).raw("}\n") }

func (l snapshotLine) append(a *appender) {
	body, err := encodeSnapshot(l.Snapshot)
	a.err = errors.Join(a.err, err)
	a.raw(`{"k":"s","v":`).raw(string(body)).raw("}\n")
}

func (e endLine) append(a *appender) {
	a.raw(`{"k":"e","lines":`).int(e.Lines).raw(`,"sha256":`).hash(e.Hash).raw("}\n")
}

// scan reads the fixed forms. After the first thing that does not fit, bad is set and nothing advances.
type scan struct {
	b     string
	at    int
	bad   bool
	trust bool // a body is what the line says, which the log binds
}

func (s *scan) lit(x string) bool {
	if s.bad || !strings.HasPrefix(s.b[s.at:], x) {
		return false
	}
	s.at += len(x)
	return true
}

func (s *scan) must(x string) *scan {
	if !s.lit(x) {
		s.bad = true
	}
	return s
}

// str reads a text, which it copies: a part of the line would keep all its frame in memory.
func (s *scan) str() string { return strings.Clone(s.part()) }

// kind reads a type's name, of which there are few.
func (s *scan) kind() entra.Type { return entra.Type(unique.Make(s.part()).Value()) }

// part reads a text that may be a part of the line.
func (s *scan) part() string {
	if !s.lit(`"`) {
		s.bad = true
		return ""
	}
	plain := true
	for i := s.at; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			s.bad = true
			return ""
		case c == '"':
			raw := s.b[s.at:i]
			quoted := s.b[s.at-1 : i+1]
			s.at = i + 1
			if plain && utf8.ValidString(raw) {
				return raw
			}
			text, err := jsontext.AppendUnquote(nil, quoted)
			if err != nil {
				s.bad = true
				return ""
			}
			if again, err := quote(nil, string(text)); err != nil || string(again) != quoted {
				s.bad = true
			}
			return string(text)
		}
	}
	s.bad = true
	return ""
}

func (s *scan) int() int64 {
	at := s.at
	for at < len(s.b) && '0' <= s.b[at] && s.b[at] <= '9' {
		at++
	}
	n, err := strconv.ParseInt(s.b[s.at:at], 10, 64)
	if err != nil || s.b[s.at] == '0' && at-s.at > 1 {
		s.bad = true
		return 0
	}
	s.at = at
	return n
}

func (s *scan) hash() (h [32]byte) {
	if s.bad || len(s.b)-s.at < 66 {
		s.bad = true
		return h
	}
	var q [66]byte
	copy(q[:], s.b[s.at:])
	_, err := hex.Decode(h[:], q[1:65])
	if err != nil || q[0] != '"' || q[65] != '"' || bytes.ContainsAny(q[1:65], "ABCDEF") {
		s.bad = true
		return h
	}
	s.at += 66
	return h
}

// body reads a canonical body that ends one byte before the end of the line's object. It is a part of the line.
func (s *scan) body() (entra.Body, int) {
	end := len(s.b) - 2 // "}\n"
	if s.bad || end <= s.at {
		s.bad = true
		return "", 0
	}
	off := s.at
	body := entra.Body(s.b[off:end])
	if !s.trust && body.Check() != nil {
		s.bad = true
		return "", 0
	}
	s.at = end
	return body, off
}

// ids reads {"TYPE":["ID",...],...}, which must ascend and hold something.
func (s *scan) ids() []entra.Ref {
	var refs []entra.Ref
	for s.must("{"); !s.bad; {
		t := s.kind()
		for s.must(":["); !s.bad; {
			r := entra.Ref{Type: t, ID: entra.ID(s.str())}
			if len(refs) > 0 && refs[len(refs)-1].Compare(r) >= 0 {
				s.bad = true
			}
			if refs = append(refs, r); !s.lit(",") {
				break
			}
		}
		if s.must("]"); !s.lit(",") {
			break
		}
		if !s.bad && s.at < len(s.b) && len(refs) > 0 {
			// The same type again would be the same refs in another form.
			peek := scan{b: s.b, at: s.at}
			if peek.kind() == t {
				s.bad = true
			}
		}
	}
	s.must("}")
	return refs
}

// parseLine reads one line, its newline included. It returns one of the on-disk forms. With trust it does not look into
// bodies: whether they are canonical and in their versions.
func parseLine(line string, trust bool) (any, error) {
	s := &scan{b: line, trust: trust}
	v := s.line()
	if !s.bad && s.at != len(line) {
		s.bad = true
	}
	if s.bad {
		return nil, fmt.Errorf("line %.60q is not in a form of this format", line)
	}
	return v, nil
}

func (s *scan) line() any {
	switch {
	case s.lit(`{"k":"o"`):
		return s.object()
	case s.lit(`{"k":"l","t":`):
		return s.links()
	case s.lit(`{"k":"L","n":`):
		l := ordLine{Rel: s.str()}
		l.From = s.must(`,"s":`).int()
		var last int64
		for s.must(`,"+":[`); !s.bad; {
			n := s.int()
			if len(l.Add) > 0 && n == 0 || len(l.Add) == linkBatch || last+n < last {
				s.bad = true
			}
			last += n
			if l.Add = append(l.Add, last); !s.lit(",") {
				break
			}
		}
		s.must("]}\n")
		return l
	case s.lit(`{"k":"a","v":`):
		var l auditLine
		l.Body, l.Off = s.body()
		s.must("}\n")
		return l
	case s.lit(`{"k":"s","v":`):
		body, _ := s.body()
		s.must("}\n")
		if s.bad {
			return nil
		}
		found, err := decodeSnapshot(body)
		s.bad = err != nil
		return snapshotLine{found}
	case s.lit(`{"k":"e","lines":`):
		e := endLine{Lines: s.int()}
		e.Hash = s.must(`,"sha256":`).hash()
		s.must("}\n")
		return e
	case s.lit(`{"k":"h","format":`):
		h := headLine{Format: s.int()}
		h.Repository = s.must(`,"repository":`).str()
		h.Tenant = s.must(`,"tenant":`).str()
		h.Kind = s.must(`,"kind":`).str()
		h.Parent = s.must(`,"parent":`).int()
		h.Blob = s.must(`,"blob":`).int()
		s.must("}\n")
		return h
	}
	s.bad = true
	return nil
}

func (s *scan) object() objectLine {
	o := objectLine{N: -1}
	if s.lit(`,"n":`) {
		o.N = s.int()
	}
	o.Ref.Type = s.must(`,"t":`).kind()
	o.Ref.ID = entra.ID(s.must(`,"i":`).str())
	switch {
	case s.lit(`,"d":true`):
		o.Gone = true
	case s.lit(`,"h":`):
		o.Version = s.hash()
		o.Body, o.Off = s.must(`,"v":`).body()
		if !s.bad && !s.trust {
			s.bad = o.Body.Version() != o.Version
			o.Said = hashOf(o.Ref, o.Version)
		}
	case o.N < 0:
		s.bad = true // a stub without an ordinal says nothing
	}
	if o.Ref.Type == "" || o.Ref.ID == "" || o.Gone && o.N >= 0 {
		s.bad = true
	}
	s.must("}\n")
	return o
}

func (s *scan) links() linkLine {
	var l linkLine
	l.From.Type = s.kind()
	l.From.ID = entra.ID(s.must(`,"s":`).str())
	l.Rel = s.must(`,"n":`).str()
	if s.lit(`,"+":`) {
		l.Add = s.ids()
	}
	if s.lit(`,"-":`) {
		l.Remove = s.ids()
	}
	if n := len(l.Add) + len(l.Remove); n == 0 || n > linkBatch {
		s.bad = true
	}
	s.must("}\n")
	return l
}

// diskSnapshot is a snapshot as its line holds it: without what only the record knows.
type diskSnapshot struct {
	Began  time.Time  `json:"began"`
	Ended  time.Time  `json:"ended"`
	Parent int64      `json:"parent,omitempty"`
	Parts  []diskPart `json:"parts"`
}

// thisSnapshot stands for the number of the snapshot itself, which is not known before its record is made.
const thisSnapshot = -1

type diskPart struct {
	Type        entra.Type        `json:"type"`
	Relation    string            `json:"relation,omitempty"`
	Coverage    snapshot.Coverage `json:"coverage"`
	Reason      string            `json:"reason,omitempty"`
	Version     string            `json:"version,omitempty"`
	Asked       []string          `json:"asked,omitempty"`
	Absent      []string          `json:"absent,omitempty"`
	Declaration string            `json:"declaration,omitempty"`
	Holes       []entra.Ref       `json:"holes,omitempty"`
	Seen        []entra.Ref       `json:"seen,omitempty"`
	SeenTo      []entra.Ref       `json:"seenTo,omitempty"`
	Objects     int64             `json:"objects,omitempty"`
	Links       int64             `json:"links,omitempty"`
	Root        snapshot.Root     `json:"root"`
	Complete    int64             `json:"complete,omitempty"`
	Read        time.Time         `json:"read,omitzero"`
	Full        time.Time         `json:"full,omitzero"`
	Delta       string            `json:"delta,omitempty"`
	Added       int64             `json:"added,omitempty"`
	Removed     int64             `json:"removed,omitempty"`
	Changed     int64             `json:"changed,omitempty"`
	Linked      int64             `json:"linked,omitempty"`
	Unlinked    int64             `json:"unlinked,omitempty"`
}

func encodeSnapshot(s *snapshot.Snapshot) (entra.Body, error) {
	d := diskSnapshot{s.Began, s.Ended, s.Parent, make([]diskPart, len(s.Parts))}
	for i, p := range s.Parts {
		d.Parts[i] = diskPart(p)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encode snapshot: %w", err)
	}
	return entra.Canonical(raw)
}

func decodeSnapshot(b entra.Body) (*snapshot.Snapshot, error) {
	var d diskSnapshot
	j := json.NewDecoder(bytes.NewReader([]byte(b)))
	j.DisallowUnknownFields()
	if err := j.Decode(&d); err != nil {
		return nil, err
	}
	s := &snapshot.Snapshot{Began: d.Began, Ended: d.Ended, Parent: d.Parent}
	for _, p := range d.Parts {
		s.Parts = append(s.Parts, snapshot.Part(p))
	}
	if !slices.IsSortedFunc(s.Parts, snapshot.Part.Compare) {
		return nil, errors.New("parts are not in order")
	}
	if again, err := encodeSnapshot(s); err != nil || again != b {
		return nil, errors.New("snapshot is not in its one form")
	}
	return s, nil
}

// hashLines is the running hash that an end line states.
type hashLines struct {
	lines int64
	sum   hash.Hash
}

func newHashLines() *hashLines { return &hashLines{sum: sha256.New()} }

func (h *hashLines) add(line []byte) {
	h.lines++
	_, _ = h.sum.Write(line) // a hash never fails
}

func (h *hashLines) end() endLine { return endLine{h.lines, [32]byte(h.sum.Sum(nil))} }
