package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Encode returns the plan as JSON with its members in a fixed order: the document that is kept, shown and
// approved. Decode reads it.
func (p *Plan) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return append(b, '\n'), nil
}

// Digest names the plan: the SHA-256 of its encoding, as 64 hexadecimal digits. Who approves it approves
// every byte.
func (p *Plan) Digest() (string, error) {
	b, err := p.Encode()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Decode reads what Encode wrote, and nothing else: a document that Encode would write differently by a
// single byte is refused, so that the plan which is carried out is the one that was approved.
func Decode(data []byte) (*Plan, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	p := &Plan{}
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	again, err := p.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, errors.New("decode plan: not as it was written")
	}
	return p, nil
}

// A wire is a Step whose values are JSON already: package entra keeps numbers as text, to lose no digit,
// and encoding/json would write them as such.
type wire struct {
	*bare
	Set members `json:"set,omitempty"`
	Was members `json:"was,omitempty"`
}

// bare is a Step without its methods.
type bare Step

type members map[string]any

// MarshalJSON writes the values of Set and Was as they were received.
func (s Step) MarshalJSON() ([]byte, error) {
	return json.Marshal(wire{(*bare)(&s), s.Set, s.Was})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (s *Step) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	w := wire{bare: (*bare)(s)}
	if err := d.Decode(&w); err != nil {
		return err
	}
	s.Set, s.Was = w.Set, w.Was
	return nil
}

func (v members) MarshalJSON() ([]byte, error) {
	raw := make(map[string]json.RawMessage, len(v))
	for path, e := range v {
		t, err := entra.Text(e)
		if err != nil {
			return nil, err
		}
		raw[path] = json.RawMessage(t)
	}
	return json.Marshal(raw)
}

func (v *members) UnmarshalJSON(data []byte) (err error) {
	m, err := entra.Decode(data)
	*v = m
	return err
}
