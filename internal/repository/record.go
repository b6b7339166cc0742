package repository

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A Kind says what a record holds.
type Kind string

// The kinds. A reader meets others with indifference: it keeps them in the log and does not interpret them.
const (
	KindInit     Kind = "init"     // record 0: binds repo.json
	KindSnapshot Kind = "snapshot" // what a capture saw
	KindPlan     Kind = "plan"     // a plan as it was shown
	KindApproval Kind = "approval" // a person's yes to a plan
	KindIntents  Kind = "intents"  // the steps a wave is about to take
	KindOutcomes Kind = "outcomes" // what came of them, and the IDs of what was re-created
	KindResult   Kind = "result"   // how a restore ended
	KindHold     Kind = "hold"     // a wish to keep
	KindDrill    Kind = "drill"    // how a rehearsed restore ended
	KindSigner   Kind = "signer"   // another key that may sign records
	KindHolder   Kind = "holder"   // another slot of the present epoch
	KindEpoch    Kind = "epoch"    // another identity that later blobs are sealed to

	KindCheckpoint Kind = "checkpoint" // all that a snapshot's tree holds, once more
	KindForget     Kind = "forget"     // which files are dropped
)

// A Record is one entry of the log.
type Record struct {
	Number int64
	Kind   Kind
	At     time.Time // by the signer's clock, to the second, UTC; order is by Number
	Parent int64     // for a snapshot the one it was compared with, else what the kind says; 0 is none
	Blobs  []Blob
	Leaf   [32]byte // the record's hash in the log; a snapshot's ID
	Signer string   // the name in the key that signed it
	// Key is the verifier key that a record of kind signer introduces, or an epoch's age recipient, a blank and
	// the verifier key of its recovery signer; of a snapshot and a checkpoint the commitment to the objects that it says.
	Key string
}

// A Blob is one file that a record binds.
type Blob struct {
	Role string // "repository", "slot", "objects", "audit", "data" or "list"
	Name string // in the store
	Size int64
	Hash [32]byte // SHA-256 of the file as it lies there, sealed
}

// The roles of blobs.
const (
	roleRepository = "repository"
	roleSlot       = "slot"
	roleObjects    = "objects"
	roleAudit      = "audit"
	roleData       = "data"
	roleList       = "list"    // a plain file of blob lines, where a record has too many for its note
	roleDropped    = "dropped" // a plain file of the blob lines that a record of kind forget drops
)

const (
	maxNote  = 2048 // bytes that a reader accepts; a writer stays below 1 KB
	maxBlobs = 4    // in a note; more go to a list
	maxList  = 1 << 20
)

// isKind reports whether s is 1 to 20 small letters.
func isKind(s string) bool {
	for _, c := range []byte(s) {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return s != "" && len(s) <= 20
}

// isName reports whether s is 1 to 151 of a-z 0-9 . / _ -, of which the first is a letter or a digit.
func isName(s string) bool {
	if s == "" || len(s) > 151 || strings.IndexByte("./_-", s[0]) >= 0 {
		return false
	}
	for _, c := range []byte(s) {
		if !inName[c] {
			return false
		}
	}
	return true
}

var inName = func() (in [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789./_-") {
		in[c] = true
	}
	return in
}()

// isKey reports whether s is one word or two, of 1 to 300 printable letters of ASCII, with a blank between.
func isKey(s string) bool {
	first, second, two := strings.Cut(s, " ")
	word := func(s string) bool {
		for _, c := range []byte(s) {
			if c < '!' || c > '~' {
				return false
			}
		}
		return s != "" && len(s) <= 300
	}
	return word(first) && (!two || word(second))
}

// noteName is where record n's note lies.
func noteName(n int64) string { return fmt.Sprintf("log/%03d/%09d", n/1_000_000, n) }

// text returns the record's own lines, which its leaf is the hash of.
func (r Record) text() string { return string(r.appendText(nil)) }

func (r Record) appendText(to []byte) []byte {
	to = append(append(append(to, "kind "...), r.Kind...), "\ntime "...)
	to = append(r.At.UTC().AppendFormat(to, time.RFC3339), '\n')
	if r.Parent != 0 {
		to = append(strconv.AppendInt(append(to, "parent "...), r.Parent, 10), '\n')
	}
	if r.Key != "" {
		to = append(append(append(to, "key "...), r.Key...), '\n')
	}
	for _, blob := range r.Blobs {
		to = blob.appendText(to)
	}
	return to
}

func (b Blob) text() string { return string(b.appendText(nil)) }

func (b Blob) appendText(to []byte) []byte {
	to = append(append(append(append(append(to, "blob "...), b.Role...), ' '), b.Name...), ' ')
	to = append(strconv.AppendInt(to, b.Size, 10), ' ')
	return append(hex.AppendEncode(to, b.Hash[:]), '\n')
}

// parseRecord reads what text wrote, and nothing else: what it accepts, text writes again. The record's strings are parts of
// the text.
func parseRecord(text string) (Record, error) {
	var r Record
	for rest := text; rest != ""; {
		line, more, _ := strings.Cut(rest, "\n")
		word, is, _ := strings.Cut(line, " ")
		var err error
		switch word {
		case "kind":
			if r.Kind = Kind(is); !isKind(is) {
				err = errors.New("not a kind")
			}
		case "time":
			r.At, err = time.Parse(time.RFC3339, is)
			r.At = r.At.UTC()
		case "parent":
			r.Parent, err = strconv.ParseInt(is, 10, 64)
		case "key":
			if r.Key = is; !isKey(is) {
				err = errors.New("not a key")
			}
		case "blob":
			if r.Blobs == nil {
				r.Blobs = make([]Blob, 0, strings.Count(more, "\n")+1)
			}
			var b Blob
			b, err = parseBlob(is)
			r.Blobs = append(r.Blobs, b)
		default:
			err = errors.New("not a line of a record")
		}
		if err != nil {
			return Record{}, fmt.Errorf("%q: %w", line, err)
		}
		rest = more
	}
	if len(r.Blobs) > maxBlobs {
		return Record{}, fmt.Errorf("%d blobs in a note", len(r.Blobs))
	}
	leaf := append(make([]byte, 0, maxNote), 0) // as tlog.RecordHash has it
	if leaf = r.appendText(leaf); r.Parent < 0 || string(leaf[1:]) != text {
		return Record{}, errors.New("record is not in its one form")
	}
	r.Leaf = sha256.Sum256(leaf)
	return r, nil
}

func parseBlob(text string) (Blob, error) {
	role, rest, _ := strings.Cut(text, " ")
	name, rest, _ := strings.Cut(rest, " ")
	number, sum, ok := strings.Cut(rest, " ")
	if !ok || !isKind(role) || !isName(name) {
		return Blob{}, errors.New("want ROLE NAME SIZE SHA256")
	}
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil || size < 0 {
		return Blob{}, errors.New("not a size")
	}
	b := Blob{Role: role, Name: name, Size: size}
	var digits [2 * len(b.Hash)]byte
	if len(sum) != copy(digits[:], sum) || len(sum) != len(digits) {
		return Blob{}, errors.New("not a SHA-256")
	}
	if _, err := hex.Decode(b.Hash[:], digits[:]); err != nil {
		return Blob{}, errors.New("not a SHA-256")
	}
	return b, nil
}

// parseList reads the file of a blob of role list.
func parseList(text string) ([]Blob, error) {
	var blobs []Blob
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "blob ")
		if !ok {
			return nil, fmt.Errorf("%q: not a blob line", line)
		}
		b, err := parseBlob(strings.TrimSuffix(rest, "\n"))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if b.Role == roleList || b.text() != line {
			return nil, fmt.Errorf("%q: not in its one form", line)
		}
		blobs = append(blobs, b)
	}
	return blobs, nil
}

// A Head is the signed end of the log: the size and root of the tree over its records.
type Head struct {
	Size int64
	Root [32]byte
	Note string // the newest note as signed, which anyone with the public key can check; "" from ParseHead
}

// String returns "SIZE ROOT", the root in base64, which ParseHead reads.
func (h Head) String() string {
	return strconv.FormatInt(h.Size, 10) + " " + base64.StdEncoding.EncodeToString(h.Root[:])
}

// ParseHead reads what String writes.
func ParseHead(s string) (Head, error) {
	size, root, ok := strings.Cut(s, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	hash, rootErr := tlog.ParseHash(root)
	h := Head{Size: n, Root: hash}
	if !ok || err != nil || rootErr != nil || n < 0 || h.String() != s {
		return Head{}, fmt.Errorf("head %q: want SIZE ROOT", s)
	}
	return h, nil
}

// noteText returns the text to sign for the record at number n, in a log whose tree with it has the root.
func noteText(origin string, n int64, root tlog.Hash, record string) string {
	return fmt.Sprintf("%s\n%d\n%s\n%s", origin, n+1, root, record)
}

// parseNote takes the text of record n's note apart.
func parseNote(origin string, n int64, text string) (root tlog.Hash, r Record, err error) {
	f := strings.SplitN(text, "\n", 4)
	if len(f) != 4 {
		return root, r, errors.New("note is too short")
	}
	if f[0] != origin {
		return root, r, fmt.Errorf("note is of %q", f[0])
	}
	if f[1] != strconv.FormatInt(n+1, 10) {
		return root, r, fmt.Errorf("note is of size %q, want %d", f[1], n+1)
	}
	if root, err = tlog.ParseHash(f[2]); err != nil || root.String() != f[2] {
		return root, r, errors.New("note has no root")
	}
	r, err = parseRecord(f[3])
	r.Number = n
	return root, r, err
}
