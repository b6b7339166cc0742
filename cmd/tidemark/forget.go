package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// A forgetDoc is what is or was forgotten, as data.
type forgetDoc struct {
	Before    time.Time `json:"before"`
	From      int64     `json:"from"`      // the snapshot from which on all stays; 0 where nothing is so old
	Snapshots []int64   `json:"snapshots"` // that are forgotten
	Held      []int64   `json:"held"`      // earlier ones that stay
	Digest    string    `json:"digest"`    // of all this, for --yes
	Done      bool      `json:"done"`
	Files     int       `json:"files"`  // that were taken away
	Locked    int       `json:"locked"` // that the store would not give up
}

func forgetCommand(e *env) *cobra.Command {
	var before, yes string
	var dry bool
	c := &cobra.Command{
		Use:   "forget --before TIME",
		Short: "Give up what is older than a time, but for what is held",
		Long: `Gives up every snapshot before the one that was the newest at the time, but for those that are held. What stays is
written once more as a whole first, so that nothing it builds on is lost; what is dropped is written into the log,
signed with a key that only who can read the repository has. Then the files are taken away, for which the credential
of this machine must be able to delete; one that captures needs no such right. What a lock keeps stays until it ends:
run the same again then. The log itself, with who did what and when, is never shortened.

Age is taken from the log: nothing counts as older than what was written before it, whatever a clock said, and "30 days
ago" is 30 days before the newest record at the most.`,
		Example: "  tidemark forget --before \"2 years ago\" --dry-run\n  tidemark forget --before 2024-01-01",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return s.forget(c.Context(), before, yes, dry)
		},
	}
	f := c.Flags()
	f.StringVar(&before, "before", "", "a time, a date, or \"2 years ago\"")
	f.BoolVar(&dry, "dry-run", false, "only say what would be forgotten")
	f.StringVar(&yes, "yes", "", "without asking: the digest that --dry-run prints, or any")
	_ = c.MarkFlagRequired("before") // fails only for a flag that does not exist
	return c
}

func (s *session) forget(ctx context.Context, before, yes string, dry bool) error {
	doc, err := s.forgettable(ctx, before)
	if err != nil {
		return err
	}
	if !dry && len(doc.Snapshots) > 0 {
		if err := s.agreed(doc, yes); err != nil {
			return err
		}
		if err := s.drop(ctx, doc); err != nil {
			return err
		}
	}
	if !dry {
		// Also what an earlier run, or a lock, left behind.
		if err := s.sweep(ctx, doc); err != nil {
			return err
		}
	}
	if err := s.print(result{doc: doc, rows: []any{doc}, text: doc.text(dry)}); err != nil {
		return err
	}
	if doc.Locked > 0 {
		return &exit{code: 3, err: fmt.Errorf("%s could not be taken away yet", count(doc.Locked, "file")), hint: "a lock may keep them: run the same again when it ends, with a credential that may delete"}
	}
	return nil
}

// forgettable finds what is to be forgotten.
func (s *session) forgettable(ctx context.Context, before string) (*forgetDoc, error) {
	// A clock that runs ahead must not make everything old.
	clock := *s.env
	if newest := s.repo.Witnessed(); newest.Before(s.now()) {
		clock.now = func() time.Time { return newest }
	}
	at, err := clock.moment(before)
	if err != nil {
		return nil, usage("--before %q: want a time such as 2026-03-03T10:00Z, a date, or \"2 years ago\"", before)
	}
	doc := &forgetDoc{Before: at.UTC(), Snapshots: []int64{}, Held: []int64{}}
	older, err := s.repo.Older(ctx, at)
	if err != nil {
		return nil, err
	}
	if len(older) == 0 {
		return doc, nil
	}
	doc.From = older[len(older)-1].Number
	held, err := s.holds(ctx)
	if err != nil {
		return nil, err
	}
	for _, rec := range older[:len(older)-1] {
		if len(held[rec.Number]) > 0 {
			doc.Held = append(doc.Held, rec.Number)
		} else {
			doc.Snapshots = append(doc.Snapshots, rec.Number)
		}
	}
	sum := sha256.Sum256(fmt.Append(nil, s.repo.ID(), doc.From, doc.Snapshots, doc.Held))
	doc.Digest = hex.EncodeToString(sum[:])
	return doc, nil
}

// agreed asks the person, unless --yes has answered.
func (s *session) agreed(doc *forgetDoc, yes string) error {
	switch {
	case yes == "any", isDigest(yes) && strings.HasPrefix(doc.Digest, yes):
		return nil
	case yes != "":
		return &exit{code: 6, err: fmt.Errorf("--yes names something else than this, which is %s; nothing was forgotten", doc.Digest), hint: "look at it with --dry-run and name its digest"}
	case s.noInput || !s.asks:
		return &exit{code: 2, err: errors.New("nobody can be asked here; nothing was forgotten"), hint: "--yes " + doc.Digest[:12] + " forgets exactly this"}
	}
	fmt.Fprint(s.out, doc.text(true))
	fmt.Fprintf(s.err, "Forget %s for good? Type yes: ", count(len(doc.Snapshots), "snapshot"))
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "yes" {
		return &exit{code: 1, err: errors.New("not confirmed; nothing was forgotten")}
	}
	return nil
}

// drop restates what stays, and says in the log what is dropped.
func (s *session) drop(ctx context.Context, doc *forgetDoc) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	for _, n := range append(slices.Clone(doc.Held), doc.From) {
		if !s.repo.Restated(n) {
			if err := s.restate(ctx, n); err != nil {
				return err
			}
		}
	}
	f, err := s.repo.Forgetting(ctx, doc.From, doc.Held)
	if err != nil {
		return err
	}
	if _, err := s.repo.Forget(ctx, f); err != nil {
		return err
	}
	doc.Done = true
	return s.saw()
}

// restate writes a checkpoint of a snapshot.
func (s *session) restate(ctx context.Context, number int64) error {
	tree, err := s.index.Tree(ctx, s.repo, number)
	if err != nil {
		return err
	}
	_, err = s.repo.Checkpoint(ctx, tree)
	return err
}

// sweep takes away what the log says was dropped.
func (s *session) sweep(ctx context.Context, doc *forgetDoc) error {
	st, err := openStore(s.url)
	if err != nil {
		return err
	}
	defer closeStore(st)
	r, ok := st.(store.Remover)
	if !ok {
		return &exit{code: 1, err: fmt.Errorf("nothing can be taken away from %s", s.url), hint: "what was dropped is in the log; take it away by other means"}
	}
	gone, left, err := s.repo.Drop(ctx, r.Remove)
	if err != nil {
		return err
	}
	doc.Files, doc.Locked = gone, len(left)
	reasons := map[string]bool{}
	for _, x := range left {
		why := x.Err.Error()
		if errors.Is(x.Err, fs.ErrPermission) {
			why = "the store refuses to delete: a lock, or a credential without that right"
		}
		reasons[why] = true
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(s.err, "tidemark: not taken away: %s\n", clean(why))
	}
	return s.update(ctx)
}

func (d *forgetDoc) text(asking bool) string {
	var b strings.Builder
	switch {
	case d.From == 0:
		fmt.Fprintf(&b, "no snapshot is older than %s\n", d.Before.Format(time.RFC3339))
	case len(d.Snapshots) == 0:
		fmt.Fprintf(&b, "nothing to forget before snapshot %d, the newest at %s\n", d.From, d.Before.Format(time.RFC3339))
	default:
		word := "forgot"
		if asking {
			word = "forgets"
		}
		fmt.Fprintf(&b, "%s %s (%s); the first that stays is snapshot %d, the newest at %s\n", word, count(len(d.Snapshots), "snapshot"), numbers(d.Snapshots), d.From, d.Before.Format(time.RFC3339))
		if len(d.Held) > 0 {
			fmt.Fprintf(&b, "held, and kept: %s\n", numbers(d.Held))
		}
		if asking {
			fmt.Fprintf(&b, "digest %s\n", d.Digest)
		}
	}
	if d.Files > 0 {
		fmt.Fprintf(&b, "%s taken away\n", count(d.Files, "file"))
	}
	return b.String()
}

// lockedAt is the file that says when this machine last locked everything anew.
const lockedAt = "locked"

// lockOn locks everything anew where the store has locks and a quarter of their time has passed: what a later snapshot builds
// on stays locked as long as it does.
func (s *session) lockOn(ctx context.Context) error {
	days := s.repo.LockDays()
	if days == 0 {
		return nil
	}
	path, now := filepath.Join(s.state(s.repo.ID()), lockedAt), time.Now() // by the clock of the world, which the store goes by
	text, err := os.ReadFile(path)                                         //nolint:gosec // our own folder
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read when the repository was locked: %w", err)
	}
	last, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err == nil && now.Sub(last) < time.Duration(days)*24*time.Hour/4 && !last.After(now) {
		return nil
	}
	if err := s.repo.Lock(ctx, now.AddDate(0, 0, days)); err != nil {
		return err
	}
	if err := writeFile(path, []byte(now.UTC().Format(time.RFC3339)+"\n"), 0o600); err != nil {
		return fmt.Errorf("note that the repository was locked: %w", err)
	}
	return nil
}

// checkpointed writes a checkpoint of the newest snapshot where it is time for one.
func (s *session) checkpointed(ctx context.Context) error {
	due, err := s.repo.Due(ctx)
	if err != nil || due == 0 {
		return err
	}
	if err := s.restate(ctx, due); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return s.saw()
}
