package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A slotDoc is one key to the repository, as data. Whose it is only its holder can show.
type slotDoc struct {
	Epoch   int       `json:"epoch"`
	Slot    string    `json:"slot"`   // its file in the repository
	Record  int64     `json:"record"` // that made it
	Made    time.Time `json:"made"`
	By      string    `json:"by"`      // the machine that signed that
	Present bool      `json:"present"` // of the epoch to which is sealed what is written now
	Opens   bool      `json:"opens"`   // with the identity at hand
}

func keyCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "List, add, test and change the keys that open the repository",
		Long: `A repository is sealed to a secret of its own, and that is sealed once for each holder: for an age recipient, or with a
passphrase. Adding a holder rewrites nothing. Nobody can be made to forget what they could read: to remove a holder
begins another epoch, so that they cannot read what is written from then on.`,
		Example: "  tidemark key list\n  tidemark key add age1...\n  tidemark key add --new-passphrase ask\n  tidemark key test",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(keyList(e), keyAdd(e), keyRemove(e), keyRotate(e), keyTest(e), keySheet(e))
	return c
}

func keyList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the keys, and which of them the identity at hand opens",
		Long:    "Lists the keys of all epochs in the order in which they were made. Whose a key is nobody sees who cannot open it.",
		Example: "  tidemark key list\n  tidemark key list -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.openKeys(c.Context())
			if err != nil {
				return err
			}
			docs, err := s.slotDocs(c.Context())
			if err != nil {
				return err
			}
			return s.print(slotResult(docs))
		},
	}
}

func keyAdd(e *env) *cobra.Command {
	var passphrase string
	c := &cobra.Command{
		Use:   "add [RECIPIENT]",
		Short: "Let one more holder read the repository: an age recipient, or who knows a passphrase",
		Long: `Seals the repository's secrets for one more holder: all of them that the identity at hand opens, so that the new one
reads the past as well. --new-passphrase takes ask, file:PATH, env:NAME or exec:COMMAND.`,
		Example: "  tidemark key add age1...\n  tidemark key add --new-passphrase ask\n  tidemark snapshots --passphrase ask",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == (passphrase != "") {
				return usage("name one age recipient, which begins with age1, or --new-passphrase")
			}
			s, err := e.openKeys(c.Context())
			if err != nil {
				return err
			}
			to, err := s.newHolder(c.Context(), args, passphrase)
			if err != nil {
				return err
			}
			return s.addHolder(c.Context(), to)
		},
	}
	c.Flags().StringVar(&passphrase, "new-passphrase", "", "a passphrase in the place of a recipient: ask, file:PATH, env:NAME or exec:COMMAND")
	return c
}

func keyRotate(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Seal what is written from now on to a new secret, for the configured holders",
		Long: `Begins an epoch: what is written from now on is sealed to a new secret, which the configured holders can open, those of
keys.holders and of the identity at hand, and nobody else. What was written before stays as it is, readable to whoever
could read it. Passphrases have to be added again.`,
		Example: "  tidemark key rotate",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return e.rotate(c.Context(), "")
		},
	}
}

func keyRemove(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "remove RECIPIENT",
		Short: "Let a holder read nothing of what is written from now on",
		Long: `Begins an epoch for the configured holders without this one, as key rotate does. What was written before they can
still read, if they have a copy of it or of the repository: keep them from the store, too.`,
		Example: "  tidemark key remove age1...",
		Args:    takes(1, 1, "one age recipient"),
		RunE: func(c *cobra.Command, args []string) error {
			return e.rotate(c.Context(), strings.TrimSpace(args[0]))
		},
	}
}

func keyTest(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "test",
		Short: "Try whether the identity or passphrase at hand opens the repository",
		Long: `Opens every epoch with the identity or passphrase given, and reads the newest snapshot to its end. Do it now and then
with each copy of a key, on another machine: a key that was never tried is a hope. doctor says when it was done last
from this machine.`,
		Example: "  tidemark key test --identity /media/safe/identity.txt\n  tidemark key test --passphrase ask",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.openKeys(c.Context())
			if err != nil {
				return err
			}
			return s.testKeys(c.Context())
		},
	}
}

func keySheet(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "sheet",
		Short:   "Print the recovery sheet again",
		Long:    "Prints what init printed: what a person needs on the day when this machine is gone. Keep it on paper, away from here.",
		Example: "  tidemark key sheet",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.openKeys(c.Context())
			if err != nil {
				return err
			}
			return s.printSheet(c.Context())
		},
	}
}

// openKeys opens the repository without its index.
func (e *env) openKeys(ctx context.Context) (*session, error) {
	t, err := e.tenantSettings()
	if err != nil {
		return nil, err
	}
	s := &session{env: e, settings: t, url: t.Repository}
	return s, s.openRepository(ctx)
}

func (s *session) slotDocs(ctx context.Context) ([]slotDoc, error) {
	slots, err := s.repo.Slots(ctx)
	if err != nil {
		return nil, err
	}
	var records []repository.Record
	for rec, err := range s.repo.Records(ctx, 0) {
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
	docs := make([]slotDoc, len(slots))
	for i, x := range slots {
		made := records[x.Record]
		docs[i] = slotDoc{x.Epoch, x.Name, x.Record, made.At, made.Signer, x.Epoch == s.repo.Epoch(), x.Opens}
	}
	return docs, nil
}

func slotResult(docs []slotDoc) result {
	r := result{doc: docs, rows: anySlice(docs), head: []string{"EPOCH", "MADE", "BY", "OPENS", "SLOT"}}
	r.cells = func(yield func([]string)) {
		for _, d := range docs {
			epoch := fmt.Sprint(d.Epoch)
			if d.Present {
				epoch += " (now)"
			}
			yield([]string{epoch, d.Made.Format(time.RFC3339), d.By, yes(d.Opens), d.Slot})
		}
	}
	return r
}

// newHolder is whom a new key is for.
func (s *session) newHolder(ctx context.Context, args []string, passphrase string) (age.Recipient, error) {
	if passphrase == "" {
		to, err := age.ParseRecipients(strings.NewReader(args[0]))
		if err != nil || len(to) != 1 {
			return nil, usage("%q is no age recipient; one begins with age1, and age-keygen -y prints it of an identity", args[0])
		}
		return to[0], nil
	}
	words, err := s.passphrase(ctx, passphrase, true)
	if err != nil {
		return nil, err
	}
	if n := utf8.RuneCountInString(words); n < leastPassphrase {
		return nil, usage("the passphrase has %d characters; it guards everything alone and needs at least %d", n, leastPassphrase)
	}
	return age.NewScryptRecipient(words) // its work factor takes about a second of whoever tries one
}

// leastPassphrase is how many characters a passphrase must have. Source: NIST SP 800-63B-4, section 3.1.1.2, of passwords
// that are the only factor.
const leastPassphrase = 15

// passphrase reads one where the reference says, or asks for it; twice where it is a new one.
func (s *env) passphrase(ctx context.Context, ref string, twice bool) (string, error) {
	if ref != "ask" {
		if !isReference(ref) {
			return "", usage("a passphrase is given as ask, file:PATH, env:NAME or exec:COMMAND: what is typed here stays in the shell's history")
		}
		text, err := s.resolve(ctx, ref)
		return strings.TrimRight(string(text), "\r\n"), err
	}
	f, ok := s.in.(*os.File)
	if s.noInput || !s.asks || !ok {
		return "", &exit{code: 2, err: errors.New("nobody can be asked for the passphrase here"), hint: "name where it is: file:PATH, env:NAME or exec:COMMAND"}
	}
	read := func(prompt string) (string, error) {
		fmt.Fprint(s.err, prompt)
		text, err := term.ReadPassword(int(f.Fd())) //nolint:gosec // a file descriptor fits an int
		fmt.Fprintln(s.err)
		if err != nil {
			return "", fmt.Errorf("read passphrase: %w", err)
		}
		return string(text), nil
	}
	words, err := read("Passphrase: ")
	if err != nil || !twice {
		return words, err
	}
	again, err := read("The same again: ")
	if err == nil && again != words {
		err = usage("these are two different passphrases; nothing was changed")
	}
	return words, err
}

// addHolder makes a key of each epoch that is open.
func (s *session) addHolder(ctx context.Context, to age.Recipient) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	var closed []string
	for epoch := s.repo.Epoch(); epoch > 0; epoch-- {
		_, err := s.repo.AddHolder(ctx, epoch, to)
		if errors.Is(err, repository.ErrKey) && epoch < s.repo.Epoch() {
			closed = append(closed, fmt.Sprint(epoch))
			continue
		}
		if err != nil {
			return err
		}
	}
	if err := s.saw(); err != nil {
		return err
	}
	if len(closed) > 0 {
		fmt.Fprintf(s.err, "tidemark: warning: the new holder cannot read epoch %s, which the identity at hand does not open\n", strings.Join(closed, ", "))
	}
	docs, err := s.slotDocs(ctx)
	if err != nil {
		return err
	}
	return s.print(slotResult(docs))
}

// rotate begins an epoch for the configured holders but one.
func (e *env) rotate(ctx context.Context, without string) error {
	s, err := e.openKeys(ctx)
	if err != nil {
		return err
	}
	_, own, err := s.ownHolders(ctx)
	if err != nil {
		return err
	}
	all, err := distinct(append(slices.Clone(s.settings.Keys.Holders), own...))
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(all), func(h string) bool { return h == without })
	switch {
	case without != "" && len(left) == len(all):
		return usage("%q is none of the configured holders: keys.holders and the identity at hand. To leave out somebody else, tidemark key rotate does it", without)
	case slices.Contains(own, without):
		return &exit{code: 2, err: errors.New("this is the identity at hand, with which nothing could be read any more"), hint: "do it with the identity of another holder"}
	case len(left) == 0:
		return &exit{code: 2, err: errors.New("nobody could read what is written from now on"), hint: "name keys.identity or keys.holders"}
	case len(left) < 2 && !s.settings.Keys.SingleKey && s.settings.ID != "":
		return &exit{code: 2, err: errors.New("one holder would be left: who loses that key loses every snapshot from now on"),
			hint: "add a recipient to keys.holders, or decide for one with keys.single_key: true"}
	}
	to, err := age.ParseRecipients(strings.NewReader(strings.Join(left, "\n")))
	if err != nil {
		return usage("keys.holders: %v", err)
	}
	if err := s.writable(ctx); err != nil {
		return err
	}
	first := to[:min(len(to), repository.MostHolders)]
	if _, err := s.repo.Rotate(ctx, first); err != nil {
		return err
	}
	for _, holder := range to[len(first):] {
		if _, err := s.repo.AddHolder(ctx, s.repo.Epoch(), holder); err != nil {
			return err
		}
	}
	if err := s.saw(); err != nil {
		return err
	}
	if without != "" && s.settings.ID != "" {
		fmt.Fprintf(s.err, "tidemark: take %s out of keys.holders: key rotate would add it again\n", without)
	}
	docs, err := s.slotDocs(ctx)
	if err != nil {
		return err
	}
	return s.print(slotResult(docs))
}

// A keyTestDoc is what came of trying a key, as data.
type keyTestDoc struct {
	Opens    []int `json:"opens"`    // epochs
	Closed   []int `json:"closed"`   // epochs that the key does not open
	Snapshot int64 `json:"snapshot"` // that was read to its end; 0 where there is none
	Objects  int64 `json:"objects"`  // bodies that were read
}

func (s *session) testKeys(ctx context.Context) error {
	slots, err := s.repo.Slots(ctx)
	if err != nil {
		return err
	}
	doc := keyTestDoc{Opens: []int{}, Closed: []int{}}
	for epoch := range s.repo.Epoch() {
		if slices.ContainsFunc(slots, func(x repository.Slot) bool { return x.Epoch == epoch+1 && x.Opens }) {
			doc.Opens = append(doc.Opens, epoch+1)
		} else {
			doc.Closed = append(doc.Closed, epoch+1)
		}
	}
	var newest repository.Record
	for rec, err := range s.repo.Records(ctx, 0) {
		if err != nil {
			return err
		}
		if rec.Kind == repository.KindSnapshot {
			newest = rec
		}
	}
	if len(doc.Closed) == 0 && newest.Number != 0 {
		doc.Snapshot = newest.Number
		for line, err := range s.repo.Replay(ctx, newest) {
			if err != nil {
				return err
			}
			if _, ok := line.(repository.Object); ok {
				doc.Objects++
			}
		}
	}
	if len(doc.Closed) == 0 {
		if err := s.keepTest(); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("opens epochs %s", list(doc.Opens))
	if doc.Snapshot != 0 {
		text += fmt.Sprintf("; snapshot %d was read to its end (%s)", doc.Snapshot, count(int(doc.Objects), "object"))
	}
	text += "\n"
	if err := s.print(result{doc: doc, rows: []any{doc}, text: text}); err != nil {
		return err
	}
	if len(doc.Closed) > 0 {
		return &exit{code: 3, err: fmt.Errorf("the key does not open epoch %s, so not all can be read with it", list(doc.Closed)), hint: "a holder who opens it adds this one with tidemark key add"}
	}
	return nil
}

func list(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
}

func (s *session) printSheet(ctx context.Context) error {
	path, own, err := s.ownHolders(ctx)
	if err != nil {
		return err
	}
	holders, err := distinct(append(slices.Clone(s.settings.Keys.Holders), own...))
	if err != nil {
		return err
	}
	signer, err := s.signer(s.state(s.repo.ID()))
	if err != nil {
		return err
	}
	tenant := s.repo.Tenant()
	doc := sheet{Repository: absolute(s.url), ID: s.repo.ID(), Tenant: string(tenant.ID), Name: tenant.Name, Identity: path, Holders: holders, Head: s.repo.Head().String()}
	if signer != nil {
		doc.Signer = signer.String()
	}
	for rec, err := range s.repo.Records(ctx, 0) {
		if err != nil {
			return err
		}
		doc.Made = rec.At
		break
	}
	return s.print(result{doc: doc, rows: []any{doc}, text: doc.text()})
}

// passphraseIdentity is who knows the passphrase.
func (s *session) passphraseIdentity(ctx context.Context, ref string) ([]age.Identity, error) {
	words, err := s.passphrase(ctx, ref, false)
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(words)
	if err != nil {
		return nil, &exit{code: 12, err: fmt.Errorf("passphrase: %w", err)}
	}
	return []age.Identity{id}, nil
}

// testedAt is the file that says when a key was tested last from this machine.
const testedAt = "key-tested"

// keepTest notes that a key was tested.
func (s *session) keepTest() error {
	if err := writeFile(s.state(s.repo.ID())+"/"+testedAt, []byte(s.now().UTC().Format(time.RFC3339)+"\n"), 0o600); err != nil {
		return fmt.Errorf("note the test of the key: %w", err)
	}
	return nil
}

// tested returns when a key was tested last from this machine; zero for never.
func (s *session) tested() (time.Time, error) {
	text, err := os.ReadFile(s.state(s.repo.ID()) + "/" + testedAt) //nolint:gosec // our own folder
	if errors.Is(err, os.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read when a key was tested: %w", err)
	}
	return time.Parse(time.RFC3339, string(bytes.TrimSpace(text)))
}
