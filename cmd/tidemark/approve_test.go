package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// An approver's hand: the key, and what the configuration knows of it.
type hand struct {
	note.Signer
	secret, line string
}

func newHand(t *testing.T, name string) hand {
	t.Helper()
	k, err := repository.GenerateSigner(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(k.Secret())
	if err != nil {
		t.Fatal(err)
	}
	return hand{s, k.Secret(), k.String()}
}

// signed is an approval as approve makes it.
func (h hand) signed(t *testing.T, digest, requester, by string, at time.Time, more ...note.Signer) guard.Approval {
	t.Helper()
	return guard.Approval{Plan: digest, By: by, At: at, Signature: h.over(t, approvalText(digest, requester, by, at), more...)}
}

func (h hand) over(t *testing.T, text string, more ...note.Signer) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, append([]note.Signer{h.Signer}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// TestApprovalForgery has people forge approvals with keys that they have.
func TestApprovalForgery(t *testing.T) {
	ben, kim, other, mallory := newHand(t, "ben"), newHand(t, "kim"), newHand(t, "kim"), newHand(t, "mallory")
	digest, at := strings.Repeat("ab", 32), time.Date(2026, 3, 4, 11, 0, 0, 0, time.UTC)
	verify, err := verifier([]string{ben.line, kim.line}, "anna")
	if err != nil {
		t.Fatal(err)
	}
	edited := func(change func(*guard.Approval)) guard.Approval {
		a := kim.signed(t, digest, "anna", "kim", at)
		change(&a)
		return a
	}
	// Ben's key under Kim's name.
	_, rest, _ := strings.Cut(strings.TrimPrefix(ben.secret, "PRIVATE+KEY+"), "+")
	_, key, _ := strings.Cut(rest, "+")
	public, err := base64.StdEncoding.DecodeString(strings.SplitN(ben.line, "+", 3)[2])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append([]byte("kim\n"), public...))
	relabelled, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+kim+%08x+%s", sum[:4], key))
	if err != nil {
		t.Fatal(err)
	}
	attempts := map[string]guard.Approval{
		"a stranger":                       mallory.signed(t, digest, "anna", "mallory", at),
		"a stranger as Kim":                mallory.signed(t, digest, "anna", "kim", at),
		"another key of Kim's name":        other.signed(t, digest, "anna", "kim", at),
		"Ben's key with Kim's name":        hand{Signer: relabelled}.signed(t, digest, "anna", "kim", at),
		"Ben as Kim":                       ben.signed(t, digest, "anna", "kim", at),
		"Kim in capitals":                  edited(func(a *guard.Approval) { a.By = "KIM" }),
		"Kim for Ben":                      edited(func(a *guard.Approval) { a.By = "ben" }),
		"of nobody":                        edited(func(a *guard.Approval) { a.By = "" }),
		"two in one, by one":               kim.signed(t, digest, "anna", "kim", at, ben.Signer),
		"moved to another plan":            edited(func(a *guard.Approval) { a.Plan = strings.Repeat("cd", 32) }),
		"moved to the plan in capitals":    edited(func(a *guard.Approval) { a.Plan = strings.ToUpper(digest) }),
		"an hour later":                    edited(func(a *guard.Approval) { a.At = at.Add(time.Hour) }),
		"a blink later":                    edited(func(a *guard.Approval) { a.At = at.Add(time.Second - 1) }),
		"another asked for it":             kim.signed(t, digest, "somebody", "kim", at),
		"nobody asked for it":              kim.signed(t, digest, "", "kim", at),
		"signed for something else":        {Plan: digest, By: "kim", At: at, Signature: kim.over(t, "hello\n")},
		"signed with more below":           {Plan: digest, By: "kim", At: at, Signature: kim.over(t, approvalText(digest, "anna", "kim", at)+"and everything else\n")},
		"signed with more above":           {Plan: digest, By: "kim", At: at, Signature: kim.over(t, "not:\n"+approvalText(digest, "anna", "kim", at))},
		"not signed":                       {Plan: digest, By: "kim", At: at},
		"signed in half":                   edited(func(a *guard.Approval) { a.Signature = a.Signature[:len(a.Signature)/2] }),
		"with its text edited below":       edited(func(a *guard.Approval) { a.Signature = []byte(strings.Replace(string(a.Signature), "anna", "Anna", 1)) }),
		"with another's signature beneath": edited(func(a *guard.Approval) { a.Signature = append(a.Signature, mallory.over(t, "x\n")...) }),
	}
	if len(attempts) < 20 {
		t.Fatalf("%d attempts, want at least 20", len(attempts))
	}
	for name, a := range attempts {
		if verify(a) {
			t.Errorf("%s: it counts", name)
		}
	}
	good := kim.signed(t, digest, "anna", "kim", at)
	if !verify(good) {
		t.Error("Kim's own does not count")
	}
	if !verify(kim.signed(t, digest, "anna", "kim", at.In(time.FixedZone("there", 3600)))) {
		t.Error("the same moment elsewhere does not count")
	}
	// Who was taken out of the configuration approves nothing any more, and nobody is there by default.
	for _, lines := range [][]string{{ben.line}, {other.line}, {}} {
		if gone, err := verifier(lines, "anna"); err != nil || gone(good) {
			t.Errorf("Kim's counts with %d others: %v", len(lines), err)
		}
	}
}

// TestApproversAreDifferentPeople refuses a configuration in which one key is two people, and limits that mean nothing.
func TestApproversAreDifferentPeople(t *testing.T) {
	ben, kim := newHand(t, "ben"), newHand(t, "kim")
	_, rest, _ := strings.Cut(kim.line, "+")
	_, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(key64)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := note.NewEd25519VerifierKey("lee", key[1:])
	if err != nil {
		t.Fatal(err)
	}
	for lines, refused := range map[string]bool{
		ben.line + ", " + kim.line:  false,
		kim.line + ", " + kim.line:  true,
		kim.line + ", " + vkey:      true,
		kim.line + ", kim+00000000": true,
	} {
		text := strings.Replace(exampleConfig, "approvers: []  ", "approvers: ["+lines+"]  ", 1)
		if text == exampleConfig {
			t.Fatal("the example has no approvers")
		}
		if _, err := parseSettings([]byte(text)); (err != nil) != refused {
			t.Errorf("%s: %v, want refused %v", lines, err, refused)
		}
	}
	if _, err := parseSettings([]byte(strings.Replace(exampleConfig, "approvers: 0}", "approvers: -1}", 1))); err == nil {
		t.Error("a limit below zero is accepted")
	}
}
