package entra

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// A Type says what sort of thing an object is, in the catalog's word: "group", "conditionalAccessPolicy".
type Type string

// An ID names an object within its type. It is text, not always a GUID: a domain's name, a word, or, for
// an object contained in another, the parent's ID and its own, joined by Join. The service assigned it,
// and it dies with the object: a re-created object has a new one.
type ID string

// Join makes the ID of a contained object: each part percent-encoded, separated by slashes.
func Join(parts ...ID) ID {
	escaped := make([]string, len(parts))
	for i, p := range parts {
		escaped[i] = url.PathEscape(string(p))
	}
	return ID(strings.Join(escaped, "/"))
}

// Split is the inverse of Join: the parts of a contained object's ID, decoded. An ID that Join did not
// make comes back whole, as its only part.
func (id ID) Split() []ID {
	if !strings.Contains(string(id), "/") {
		return []ID{id}
	}
	var parts []ID
	for p := range strings.SplitSeq(string(id), "/") {
		part, err := url.PathUnescape(p)
		if err != nil {
			return []ID{id}
		}
		parts = append(parts, ID(part))
	}
	return parts
}

// In returns the ID of what contains the object, and "" for an ID that Join did not make.
func (id ID) In() ID {
	parts := id.Split()
	switch n := len(parts) - 1; n {
	case 0:
		return ""
	case 1:
		return parts[0]
	default:
		return Join(parts[:n]...)
	}
}

// A Ref identifies one object in one tenant. Type and ID together are unique; an ID alone is not.
type Ref struct {
	Type Type
	ID   ID
}

// String returns "TYPE/ID", which ParseRef reads.
func (r Ref) String() string { return string(r.Type) + "/" + string(r.ID) }

// Compare orders refs by type, then by ID, bytewise.
func (r Ref) Compare(s Ref) int {
	if c := strings.Compare(string(r.Type), string(s.Type)); c != 0 {
		return c
	}
	return strings.Compare(string(r.ID), string(s.ID))
}

// MarshalText makes a Ref a JSON string and a JSON member name.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *Ref) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRef(string(text))
	return err
}

// ParseRef reads "TYPE/ID". Everything after the first slash is the ID.
func ParseRef(s string) (Ref, error) {
	t, id, ok := strings.Cut(s, "/")
	if !ok || t == "" || id == "" {
		return Ref{}, fmt.Errorf("ref %q: want TYPE/ID", s)
	}
	return Ref{Type(t), ID(id)}, nil
}

// A Version names one state of one object: the SHA-256 of its body, which anyone can recompute from the
// body's bytes. The zero Version stands for an absent object.
type Version [sha256.Size]byte

// String returns the version as 64 hexadecimal digits.
func (v Version) String() string { return hex.EncodeToString(v[:]) }

// MarshalText makes a Version a JSON string.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (v *Version) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(v) {
		return errors.New("version: want 64 hexadecimal digits")
	}
	_, err := hex.Decode(v[:], text)
	return err
}

// An Object is one thing in a tenant as it was at one moment.
type Object struct {
	Ref  Ref
	Body Body
}

// Version returns the object's version.
func (o Object) Version() Version { return o.Body.Version() }

// A Link is a plain relation between two objects: group/1 members user/2. It is or it isn't; what has an
// ID or properties of its own (an app role assignment, say) is an object.
type Link struct {
	From Ref
	Rel  string
	To   Ref
}

// String returns "FROM REL TO".
func (l Link) String() string { return l.From.String() + " " + l.Rel + " " + l.To.String() }

// Compare orders links by From, then Rel, then To.
func (l Link) Compare(m Link) int {
	if c := l.From.Compare(m.From); c != 0 {
		return c
	}
	if c := strings.Compare(l.Rel, m.Rel); c != 0 {
		return c
	}
	return l.To.Compare(m.To)
}
