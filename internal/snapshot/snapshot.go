// Package snapshot says what a tenant looked like at one moment and how much of it was seen.
//
// It promises that absence is told apart from ignorance: every part says how completely it was read, and
// the zero Coverage is Missed. It holds no bodies and knows no type by name, no wire and no disk.
package snapshot

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// An ID names a snapshot: the hash of its record in the repository's log.
type ID [32]byte

// String returns the ID as 64 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// A Snapshot is what one capture saw. It names versions through a Tree; it holds no bodies.
type Snapshot struct {
	Number int64 // its place in the repository's log; people call it by this
	ID     ID
	Tenant entra.TenantID
	Began  time.Time // by the capturing machine's clock
	Ended  time.Time
	Parent int64  // the snapshot it was compared with; 0 where it is the first
	Parts  []Part // ascending by type and relation
}

// A Part is what was seen of one type's objects, or of one relation that starts at the type.
type Part struct {
	Type     entra.Type `json:"type"`
	Relation string     `json:"relation,omitempty"` // "" for the objects themselves
	Coverage Coverage   `json:"coverage"`
	Reason   string     `json:"reason,omitempty"` // why it is not complete, for people
	// Version is the API it was read from: "v1.0" or "beta".
	Version string `json:"version,omitempty"`
	// Asked names the properties that were asked for, ascending; nil means all the service returns unasked.
	// A property outside it is unknown, not absent.
	Asked []string `json:"asked,omitempty"`
	// Absent names the properties, ascending, that nobody can have: they were asked for once, and the service says that
	// there are none such any more.
	Absent []string `json:"absent,omitempty"`
	// Declaration is the hash of the rules the part was read by. Another hash forces a full reading.
	Declaration string `json:"declaration,omitempty"`
	// Holes are the refs inside a complete part that could not be read, at most MaxHoles. They are unknown.
	Holes []entra.Ref `json:"holes,omitempty"`
	// Seen are the refs that a part which was not read whole is known of, ascending: objects that were asked for
	// by themselves; of a contained type, under the ID of what contains them alone, those whose contents were all
	// listed; of a relation, objects of which every link was listed that starts there.
	Seen []entra.Ref `json:"seen,omitempty"`
	// SeenTo are, of a relation that was not read whole, the objects of which every link was listed that ends
	// there, ascending.
	SeenTo []entra.Ref `json:"seenTo,omitempty"`
	// Objects and Links count what the tree holds of the part, carried entries included.
	Objects int64 `json:"objects"`
	Links   int64 `json:"links"`
	// Root is the hash over the part's entries or links as they stand in the tree; see doc/format.md.
	Root Root `json:"root"`
	// Complete is the number of the last snapshot in which the part was complete, 0 if there is none. Where
	// it is not this snapshot, the part's entries were carried forward from then.
	Complete int64 `json:"complete"`
	// Read is when that reading began.
	Read time.Time `json:"read,omitzero"`
	// Full is when all of the part was last listed. A reading since then took in what the service said had changed.
	Full time.Time `json:"full,omitzero"`
	// Delta is where the next capture may continue; "" where it must read in full.
	Delta string `json:"delta,omitempty"`
	// Changes against the parent snapshot.
	Added, Removed, Changed, Linked, Unlinked int64
}

// MaxHoles bounds Part.Holes; a part with more is Partial.
const MaxHoles = 1000

// A Root is the hash over a part's content.
type Root [32]byte

// MarshalText makes a Root a JSON string of 64 hexadecimal digits.
func (r Root) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(r[:])), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *Root) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(r) {
		return errors.New("root: want 64 hexadecimal digits")
	}
	_, err := hex.Decode(r[:], text)
	return err
}

// Coverage says how much of a part was seen. Absence means something only where it is Complete.
type Coverage uint8

// The coverages, from knowing nothing to knowing all.
const (
	Missed      Coverage = iota // not attempted
	Skipped                     // left out by configuration
	Unsupported                 // this cloud or service does not have it
	Unlicensed                  // the tenant has no licence for it
	Denied                      // the capturing identity may not read it
	Failed                      // nothing could be read
	Carried                     // this capture was after a few objects only, which Part.Seen names
	Partial                     // some pages arrived
	Complete
)

var coverages = []string{"missed", "skipped", "unsupported", "unlicensed", "denied", "failed", "carried", "partial", "complete"}

// String returns the word people read.
func (c Coverage) String() string {
	if int(c) < len(coverages) {
		return coverages[c]
	}
	return fmt.Sprintf("coverage(%d)", uint8(c))
}

// MarshalText writes the word.
func (c Coverage) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the word.
func (c *Coverage) UnmarshalText(text []byte) error {
	i := slices.Index(coverages, string(text))
	if i < 0 {
		return fmt.Errorf("coverage %q is not known", text)
	}
	*c = Coverage(i)
	return nil
}

// Gap reports whether the coverage is a fault the next capture may heal, which makes a snapshot partial:
// what a tenant does not have, or its owner left out, is none.
func (c Coverage) Gap() bool {
	return c == Missed || c == Denied || c == Failed || c == Partial
}

// Whole reports whether no part of the snapshot has a gap.
func (s *Snapshot) Whole() bool {
	return !slices.ContainsFunc(s.Parts, func(p Part) bool { return p.Coverage.Gap() })
}

// Part returns the part for a type and relation. A part the snapshot does not have is Missed.
func (s *Snapshot) Part(t entra.Type, relation string) Part {
	i, ok := slices.BinarySearchFunc(s.Parts, Part{Type: t, Relation: relation}, Part.Compare)
	if !ok {
		return Part{Type: t, Relation: relation}
	}
	return s.Parts[i]
}

// Compare orders parts by type, then relation.
func (p Part) Compare(q Part) int {
	if c := strings.Compare(string(p.Type), string(q.Type)); c != 0 {
		return c
	}
	return strings.Compare(p.Relation, q.Relation)
}

// Hole reports whether the ref is one of the part's holes.
func (p Part) Hole(r entra.Ref) bool { return slices.Contains(p.Holes, r) }

// Knows reports whether the snapshot saw whether an object was there, and how: one that its tree does not have was not
// there then, and one that it has is not carried.
func (s *Snapshot) Knows(r entra.Ref) bool {
	p := s.Part(r.Type, "")
	return p.saw(p.Seen, r) || p.Coverage == Complete && !p.Hole(r)
}

// KnowsLink reports whether the snapshot saw whether a link held: one that its tree does not have did not.
func (s *Snapshot) KnowsLink(l entra.Link) bool {
	p := s.Part(l.From.Type, l.Rel)
	return p.saw(p.Seen, l.From) || p.saw(p.SeenTo, l.To) || p.Coverage == Complete && !p.Hole(l.From)
}

// saw reports whether one of the refs is r, or stands for all that the container of r contains.
func (p Part) saw(refs []entra.Ref, r entra.Ref) bool {
	if len(refs) == 0 {
		return false
	}
	_, ok := slices.BinarySearchFunc(refs, r, entra.Ref.Compare)
	if in := r.ID.In(); !ok && p.Relation == "" && in != "" {
		_, ok = slices.BinarySearchFunc(refs, entra.Ref{Type: r.Type, ID: in}, entra.Ref.Compare)
	}
	return ok
}

// Asks reports whether the property is known of what was read: it was asked for, or nobody can have it. A path is judged by its first name.
func (p Part) Asks(path string) bool {
	if p.Asked == nil {
		return true
	}
	name, _, _ := strings.Cut(path, ".")
	name, _, _ = strings.Cut(name, "[")
	_, asked := slices.BinarySearch(p.Asked, name)
	_, absent := slices.BinarySearch(p.Absent, name)
	return asked || absent
}
