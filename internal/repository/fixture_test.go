package repository_test

import (
	"crypto/sha256"
	"crypto/sha3"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
)

// fataler is what *testing.T and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
	Fatal(...any)
}

var (
	start  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tenant = entra.Tenant{ID: "8f1c4f5e-0000-4000-8000-000000000001", Name: "contoso", Cloud: "china"}
)

// clock returns a clock that goes on by a second each time it is looked at.
func clock() func() time.Time {
	at := start
	return func() time.Time { at = at.Add(time.Second); return at }
}

// keys are who may write and read a repository.
type keys struct {
	signer   *repository.Signer
	identity *age.X25519Identity
}

func newKeys(t fataler) keys {
	t.Helper()
	signer, err := repository.GenerateSigner("test/machine-1")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return keys{signer, identity}
}

func (k keys) options() repository.Options {
	return repository.Options{Identities: []age.Identity{k.identity}, Signer: k.signer, Now: clock()}
}

// create makes a repository and opens it.
func create(t *testing.T, s store.Store, k keys) *repository.Repository {
	t.Helper()
	o := repository.InitOptions{Tenant: tenant, Holders: []string{k.identity.Recipient().String()}, Now: clock(), Signer: k.signer}
	if _, err := repository.Init(t.Context(), s, o); err != nil {
		t.Fatal(err)
	}
	return reopen(t, s, k)
}

func reopen(t *testing.T, s store.Store, k keys) *repository.Repository {
	t.Helper()
	r, err := repository.Open(t.Context(), s, k.options())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ref(t, id string) entra.Ref { return entra.Ref{Type: entra.Type(t), ID: entra.ID(id)} }

func object(t fataler, r entra.Ref, body string) entra.Object {
	t.Helper()
	b, err := entra.Canonical([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return entra.Object{Ref: r, Body: b}
}

// state is what a tree holds, as plain maps.
type state struct {
	objects map[entra.Ref]entra.Body
	links   map[entra.Link]bool
}

func newState() state { return state{map[entra.Ref]entra.Body{}, map[entra.Link]bool{}} }

func (s state) clone() state { return state{maps.Clone(s.objects), maps.Clone(s.links)} }

func (s state) tree(snap *snapshot.Snapshot) *snapshot.Memory {
	var objects []entra.Object
	for r, b := range s.objects {
		objects = append(objects, entra.Object{Ref: r, Body: b})
	}
	return snapshot.NewMemory(snap, nil, objects, slices.Collect(maps.Keys(s.links)))
}

// play applies a line.
func (s state) play(l repository.Line) {
	switch l := l.(type) {
	case repository.Object:
		s.objects[l.Ref] = l.Body
	case repository.Gone:
		delete(s.objects, l.Ref)
	case repository.Anew:
		clear(s.objects)
		clear(s.links)
	case repository.Links:
		for _, to := range l.Add {
			s.links[entra.Link{From: l.From, Rel: l.Rel, To: to}] = true
		}
		for _, to := range l.Remove {
			delete(s.links, entra.Link{From: l.From, Rel: l.Rel, To: to})
		}
	}
}

// root computes a part's root and size the plain way.
func (s state) root(of entra.Type, rel string) (snapshot.Root, int64) {
	var leaves []string
	if rel == "" {
		for r, b := range s.objects {
			if r.Type == of {
				leaves = append(leaves, fmt.Sprintf("%s %s", r, b.Version()))
			}
		}
	}
	for l := range s.links {
		if l.From.Type == of && l.Rel == rel {
			leaves = append(leaves, l.String())
		}
	}
	sum := new(big.Int)
	for _, leaf := range leaves {
		number := sha3.SumSHAKE256([]byte(leaf), 512)
		slices.Reverse(number) // the least significant byte is first
		sum.Add(sum, new(big.Int).SetBytes(number))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 4096))
	b := sum.FillBytes(make([]byte, 512))
	slices.Reverse(b)
	return sha256.Sum256(b), int64(len(leaves))
}
