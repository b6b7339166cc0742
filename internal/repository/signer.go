package repository

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"
)

// A Signer signs records with an Ed25519 key.
type Signer struct {
	note   note.Signer
	secret string
	public string
}

// GenerateSigner makes a new key. The name says whose it is, a machine's for example: 1 to 40 letters,
// digits, dots, hyphens, underscores or slashes.
func GenerateSigner(name string) (*Signer, error) {
	if !signerForm.MatchString(name) {
		return nil, fmt.Errorf("signer name %q: want 1 to 40 of a-z A-Z 0-9 . - _ /", name)
	}
	secret, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, fmt.Errorf("generate signer: %w", err)
	}
	return ParseSigner(secret)
}

var signerForm = regexp.MustCompile(`^[a-zA-Z0-9._/-]{1,40}$`)

// ParseSigner reads what Secret returns.
func ParseSigner(secret string) (*Signer, error) {
	secret = strings.TrimSpace(secret)
	s, err := note.NewSigner(secret)
	if err != nil {
		return nil, fmt.Errorf("parse signer: %w", err) // the error does not repeat the key
	}
	public, err := publicKey(secret)
	if err != nil {
		return nil, fmt.Errorf("parse signer: %w", err)
	}
	return &Signer{s, secret, public}, nil
}

// Secret returns the private key as text, which must be kept secret.
func (s *Signer) Secret() string { return s.secret }

// String returns the public key as text, the verifier key of a signed note.
func (s *Signer) String() string { return s.public }

// publicKey derives the verifier key from a signer key that note.NewSigner accepted. The seed is what
// follows the algorithm's byte.
func publicKey(secret string) (string, error) {
	f := strings.SplitN(secret, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(f[len(f)-1])
	if err != nil || len(f) != 5 || len(seed) != 1+ed25519.SeedSize {
		return "", errors.New("malformed key")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("malformed key")
	}
	return note.NewEd25519VerifierKey(f[2], public)
}

// An epochSecret is what a holder of an epoch has: the identity that opens its blobs, and the recovery signer
// that introduces another machine's signer when none is left.
type epochSecret struct {
	identity *age.X25519Identity
	recovery *Signer
}

func newEpochSecret() (epochSecret, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return epochSecret{}, fmt.Errorf("generate identity: %w", err)
	}
	recovery, err := GenerateSigner("recovery")
	if err != nil {
		return epochSecret{}, err
	}
	return epochSecret{identity, recovery}, nil
}

// recoveryMark begins the recovery signer's line, which is a comment to age: a slot's content is an identity
// file as it is.
const recoveryMark = "# recovery signer: "

func (s epochSecret) text() string {
	return recoveryMark + s.recovery.Secret() + "\n" + s.identity.String() + "\n"
}

// parseEpochSecret reads what text writes, and nothing else.
func parseEpochSecret(text string) (epochSecret, error) {
	first, second, ok := strings.Cut(text, "\n")
	secret, marked := strings.CutPrefix(first, recoveryMark)
	identity, err := age.ParseX25519Identity(strings.TrimSuffix(second, "\n"))
	if !ok || !marked || err != nil {
		return epochSecret{}, errors.New("holds no identity")
	}
	recovery, err := ParseSigner(secret)
	if err != nil {
		return epochSecret{}, errors.New("holds no recovery signer")
	}
	s := epochSecret{identity, recovery}
	if s.text() != text {
		return epochSecret{}, errors.New("is not in its one form")
	}
	return s, nil
}
