package repository

import (
	"errors"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
)

// A reader refuses a record of any other kind than signer by the recovery signer, so that who can only read
// cannot pass off a snapshot as a machine's.
func TestTheRecoverySignerSignsNothingElse(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := GenerateSigner("machine")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	s := new(mem.Store)
	if _, err := Init(t.Context(), s, InitOptions{Tenant: entra.Tenant{ID: "t"}, Holders: []string{identity.Recipient().String()}, Now: now, Signer: signer}); err != nil {
		t.Fatal(err)
	}
	o := Options{Identities: []age.Identity{identity}, Signer: signer, Now: now}
	r, err := Open(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.commitAs(t.Context(), r.recoverySigner(), Record{Kind: KindPlan}, nil)
	var e *CorruptError
	if !errors.As(err, &e) || !strings.Contains(e.Reason, "may only introduce signers") {
		t.Errorf("a plan by the recovery signer: %v", err)
	}
	if _, err := Open(t.Context(), s, o); !errors.As(err, &e) || e.Blob != noteName(1) {
		t.Errorf("Open with such a plan in the log: %v", err)
	}
}

// A tree is its parent's with changes applied, so a reader refuses a snapshot that passes another one over.
func TestASnapshotFollowsTheNewest(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := GenerateSigner("machine")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	s := new(mem.Store)
	o := InitOptions{Tenant: entra.Tenant{ID: "t"}, Holders: []string{identity.Recipient().String()}, Now: now, Signer: signer}
	r, err := Init(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, parent := range []int64{0, 1, 2} {
		if _, err := r.commit(t.Context(), Record{Kind: KindSnapshot, Parent: parent}, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, err = r.commit(t.Context(), Record{Kind: KindSnapshot, Parent: 2}, nil)
	var e *CorruptError
	if !errors.As(err, &e) || !strings.Contains(e.Reason, "its parent is 2") {
		t.Errorf("a snapshot that passes record 3 over: %v", err)
	}
	if _, err := Open(t.Context(), s, Options{}); !errors.As(err, &e) || e.Blob != noteName(4) {
		t.Errorf("Open with such a snapshot in the log: %v", err)
	}
}

func TestSlotsHaveOneForm(t *testing.T) {
	secret, err := newEpochSecret()
	if err != nil {
		t.Fatal(err)
	}
	good := secret.text()
	if got, err := parseEpochSecret(good); err != nil || got.text() != good {
		t.Errorf("parse what text writes: %v", err)
	}
	if ids, err := age.ParseIdentities(strings.NewReader(good)); err != nil || len(ids) != 1 {
		t.Errorf("age reads the slot as %d identities, %v", len(ids), err)
	}
	for _, bad := range []string{"", good + "\n", strings.TrimSuffix(good, "\n"), strings.Replace(good, "# ", "#", 1), secret.identity.String() + "\n",
		strings.ToLower(good), strings.Replace(good, "recovery+", "other+", 1)} {
		if _, err := parseEpochSecret(bad); err == nil {
			t.Errorf("parsed %q", bad)
		}
	}
}
