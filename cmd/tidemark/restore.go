package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/verify"
)

func restoreCommand(e *env) *cobra.Command {
	var w wish
	var yes string
	var dry, anew bool
	var out receipt
	c := &cobra.Command{
		Use:   "restore --to SNAPSHOT",
		Short: "Bring the tenant, or a part of it, back to a snapshot",
		Long: `Captures the tenant, plans the writes that bring it back, has guard judge them, asks, carries them out, captures
again and compares. Interrupted, the same command continues where it stopped.

Re-created Conditional Access policies come back report-only and re-created users disabled, unless --enforce and
--enable-users ask for more. What has a name or an address that another took since does not come back, unless
--rename-taken asks for a free one. Nothing is deleted without --with-deletes, and nothing is ever purged.

Passwords, and private keys of applications, cannot come back. With --new-secrets FILE new ones are made in their place
and handed out once, in that file, sealed with age for the repository's key holders or for whom --secrets-to names. People
whose accounts are made anew are in it in the order in which they come back: administrators, managers, everyone.`,
		Example: `  tidemark restore --object user:anna@contoso.com --to "3 days ago"
  tidemark restore --object "conditionalAccessPolicy:Require MFA" --field state --to 12
  tidemark restore --object application:Payroll --to latest~1 --new-secrets payroll.age
  tidemark restore --to latest~1 --with-deletes --allow deletions=5 --dry-run`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			w.newSecrets = out.file != ""
			if err := w.pick(e); err != nil {
				return err
			}
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return s.restore(c.Context(), &w, out, yes, dry, anew)
		},
	}
	w.flags(c)
	out.flags(c)
	e.personFlags(c)
	f := c.Flags()
	f.StringVar(&yes, "yes", "", "carry out without asking: the plan's digest, or \"any\" for whatever guard clears")
	f.BoolVar(&dry, "dry-run", false, "everything but the writes")
	f.BoolVar(&anew, "anew", false, "make a new plan even where an earlier restore to the same end was not finished")
	return c
}

// A restoreDoc is what restore and apply print as data.
type restoreDoc struct {
	Restore     int64             `json:"restore"`
	Plan        any               `json:"plan"` // of restore the whole plan, of apply its digest
	Results     []apply.Result    `json:"results"`
	NewIDs      map[string]string `json:"ids"`
	Gaps        []gapDoc          `json:"gaps"`
	Conflicts   []conflictDoc     `json:"conflicts"`
	Differences []differenceDoc   `json:"differences"`
	Verified    bool              `json:"verified"`
	Requests    int64             `json:"requests"` // sent to the tenant, the captures' included
	Seconds     float64           `json:"seconds"`
	Secrets     *secretsDoc       `json:"secrets,omitempty"` // left out where the plan makes none or nobody took them
	// After so many seconds of writing the first administrator that the plan brings back could work; left out where
	// it brings none.
	FirstAdministrator *float64 `json:"firstAdministratorSeconds,omitempty"`
	// Configuration is what the configuration has to say after a bootstrap that it does not.
	Configuration []clientDoc `json:"configuration,omitempty"`
}

// A secretsDoc says where new secrets are.
type secretsDoc struct {
	File        string `json:"file"` // sealed with age
	Credentials int    `json:"credentials"`
	Passwords   int    `json:"passwords"` // of people whose accounts were made anew
}

type differenceDoc struct {
	Type   entra.Type `json:"type"`
	ID     entra.ID   `json:"id"`
	Name   string     `json:"name"`
	Field  string     `json:"field,omitempty"`
	Reason string     `json:"reason"`
}

func (s *session) restore(ctx context.Context, w *wish, out receipt, yes string, dry, anew bool) error {
	began := s.now()
	client, writer, err := s.writer(ctx)
	if err != nil {
		return err
	}
	var x *proposal
	var record int64
	if !anew && !dry {
		if record, x, err = s.proceed(ctx, w, writer); err != nil {
			return err
		}
	}
	if x == nil {
		if x, err = s.propose(ctx, w, writer); err != nil {
			return err
		}
	}
	x.receipt = out
	return s.conclude(ctx, client, x, record, yes, dry, began)
}

// conclude shows a proposal and, where guard and the person agree, carries it out. record is that of the restore
// which it continues, 0 where it is new.
func (s *session) conclude(ctx context.Context, client *graph.Client, x *proposal, record int64, yes string, dry bool, began time.Time) error {
	doc := s.planDoc(ctx, x)
	if dry || len(x.objections) > 0 || len(x.plan.Steps) == 0 {
		return s.settled(ctx, client, x, doc, dry, began)
	}
	if s.format == "table" {
		fmt.Fprint(s.out, doc.text())
	}
	x.continues = record != 0
	if record == 0 {
		err := s.confirm(x, yes)
		if err == nil {
			record, err = s.begin(ctx, x)
		}
		if err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.err, "tidemark: restore %d was not finished; continuing it\n", record)
	}
	return s.carryOut(ctx, client, x, doc, doc, record, began)
}

// settled ends a restore that writes nothing: a rehearsal, a refusal, or one with nothing to do.
func (s *session) settled(ctx context.Context, client *graph.Client, x *proposal, doc planDoc, dry bool, began time.Time) error {
	out := restoreDoc{Plan: doc, Results: []apply.Result{}, NewIDs: map[string]string{}, Gaps: doc.Gaps, Conflicts: doc.Conflicts, Differences: []differenceDoc{}}
	out.Verified = len(x.objections) == 0 && len(x.plan.Steps) == 0
	text := doc.text()
	if dry && len(x.plan.Steps) > 0 {
		found, err := s.probe(ctx, client, x)
		if err != nil {
			return err
		}
		for _, d := range found {
			out.Differences = append(out.Differences, d)
			text += fmt.Sprintf("live tenant: %s\n", clean(d.Reason))
		}
		text += "dry run: nothing was written\n"
	}
	var err error
	if out.Configuration, err = s.clientIDs(ctx, x.Bootstrap, x.base.Number); err != nil {
		return err
	}
	text += configured(out.Configuration)
	out.Requests, out.Seconds = s.requests(), s.now().Sub(began).Seconds()
	if err := s.print(result{doc: out, rows: []any{out}, text: text}); err != nil {
		return err
	}
	if err := refused(x); err != nil {
		return err
	}
	if err := undecided(doc.Conflicts); err != nil {
		return err
	}
	return incomplete(x.base)
}

// probe asks the live tenant what could make a step fail that no snapshot shows.
func (s *session) probe(ctx context.Context, client *graph.Client, x *proposal) ([]differenceDoc, error) {
	found, err := apply.Probe(ctx, client, x.plan)
	if err != nil {
		return nil, err
	}
	docs := []differenceDoc{}
	for _, f := range found {
		t := x.plan.Steps[f.Step-1]
		docs = append(docs, differenceDoc{t.Ref.Type, t.Ref.ID, t.Name, "", fmt.Sprintf("step %d would not succeed: %s", f.Step, f.Error)})
	}
	return docs, nil
}

// proceed finds the unfinished restore with the same end and scope, if there is one, and has it judged anew.
func (s *session) proceed(ctx context.Context, w *wish, writer guard.Writer) (int64, *proposal, error) {
	if w.to == "live" {
		return 0, nil, usage("--to live: there is nothing to go back to; name a snapshot")
	}
	goal, of, scope, err := w.goal(ctx, s)
	if err != nil {
		return 0, nil, err
	}
	return s.resumed(ctx, writer, func(k kept, p *plan.Plan) bool {
		return k.Undo == nil && k.Contain == nil && k.Bootstrap == nil && k.Move.same(of.Move) && k.Goal == goal.Number && reflect.DeepEqual(normal(p.Scope), normal(scope)) && p.Enforce == w.enforce && p.EnableUsers == w.enableUsers && p.RenameTaken == w.renameTaken && (p.NewSecrets || !w.newSecrets)
	})
}

// resumed finds the newest restore that was begun and not ended and that wants returns true for, and has it judged anew;
// nothing where there is none.
func (s *session) resumed(ctx context.Context, writer guard.Writer, wants func(kept, *plan.Plan) bool) (int64, *proposal, error) {
	record, k, p, err := s.unfinished(ctx, wants)
	if err != nil || k == nil {
		return 0, nil, err
	}
	base, goal, err := s.ends(ctx, k)
	if err != nil {
		return 0, nil, err
	}
	x, err := s.cleared(ctx, k, p, base, goal, writer, false)
	if err != nil {
		return 0, nil, err
	}
	x.reach, err = s.reach(ctx, p.Scope, goal, k.making, writer)
	return record, x, err
}

// normal makes scopes comparable: no list and an empty one are the same.
func normal(s plan.Scope) string {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Sprint(s)
	}
	return string(data)
}

// confirm asks the person, unless --yes has answered.
func (s *session) confirm(x *proposal, yes string) error {
	switch {
	case yes == "any", isDigest(yes) && strings.HasPrefix(x.digest, yes):
		return nil
	case yes != "":
		return &exit{code: 6, err: fmt.Errorf("--yes names another plan than this one, which is %s; nothing was written", x.digest),
			hint: "the tenant has changed since you looked, or the wish has: look at this plan and name its digest"}
	case s.noInput || !s.asks:
		return &exit{code: 2, err: errors.New("nobody can be asked here; nothing was written"), hint: "--yes " + x.digest[:12] + " carries out exactly this plan, --yes any whatever guard clears"}
	}
	fmt.Fprintf(s.err, "Carry out these %d writes? Type yes: ", len(x.plan.Steps))
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "yes" {
		return &exit{code: 1, err: errors.New("not confirmed; nothing was written")}
	}
	return nil
}

// begin writes the plan into the log and returns its record's number, by which the restore is called.
func (s *session) begin(ctx context.Context, x *proposal) (int64, error) {
	k, err := x.keep()
	if err != nil {
		return 0, err
	}
	data, err := k.encode()
	if err != nil {
		return 0, err
	}
	rec, err := s.repo.Append(ctx, repository.KindPlan, x.base.Number, data)
	if err != nil {
		return 0, fmt.Errorf("keep plan: %w", err)
	}
	return rec.Number, s.saw()
}

// An ending is the document that ends a restore in the log.
type ending struct {
	Verified    bool    `json:"verified"`
	Failed      int     `json:"failed"`
	Differences int     `json:"differences"`
	Seconds     float64 `json:"seconds"`
	// IDs names what the service made by itself in the place of something, as an outcome does what was made.
	IDs map[entra.Ref]entra.Ref `json:"ids,omitempty"`
}

// carryOut applies a confirmed plan, captures again and compares.
// The result shows the plan as given.
func (s *session) carryOut(ctx context.Context, client *graph.Client, x *proposal, shown any, doc planDoc, record int64, began time.Time) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	base, err := s.index.Tree(ctx, s.repo, x.base.Number)
	if err != nil {
		return err
	}
	before, err := s.goalTree(ctx, x.making, x.goal)
	if err != nil {
		return err
	}
	secrets, err := s.hands(ctx, x, before)
	if err != nil {
		return err
	}
	var give apply.Handout // an interface that holds nothing is not the same as none
	if secrets != nil {
		give = secrets
	}
	progress := s.env.newProgress()
	told, done := progress.applying(apply.Estimate(x.plan, client.Scale()), client.Waiting)
	quiet := context.AfterFunc(ctx, func() {
		progress.note("stopping: what is under way is finished first, within half a minute")
	})
	writing, held := s.now(), map[int]time.Duration{}
	report, err := apply.Run(ctx, client, s.repo, x.cleared, record, apply.Options{
		Endpoint: s.settings.Graph, Now: s.now, Password: func(t plan.Step) (string, bool) { return secrets.password(x.plan, t) }, Secrets: give,
		Existed: existed(base),
		Progress: func(t plan.Step, r apply.Result) {
			if r.Outcome == apply.Done || r.Outcome == apply.AlreadyDone {
				held[t.Number] = s.now().Sub(writing)
			}
			told(t.Number, fmt.Sprintf("%s %s %s", t.Action, t.Ref.Type, r.Outcome))
		},
	})
	quiet()
	done()
	progress.close()
	if e := s.update(context.WithoutCancel(ctx)); e != nil {
		return errors.Join(err, e)
	}
	if err != nil {
		return err
	}
	after, differences, came, err := s.converge(ctx, x, report)
	if err != nil {
		return fmt.Errorf("the writes were carried out, but could not be verified: %w", err)
	}
	out := restoreDoc{Restore: record, Plan: shown, Results: report.Results, NewIDs: map[string]string{}, Gaps: doc.Gaps, Conflicts: doc.Conflicts,
		Differences: s.differenceDocs(differences, s.namesOf(ctx, x.making, x.goal, after.Number)), Requests: s.requests(), Seconds: s.now().Sub(began).Seconds()}
	out.FirstAdministrator = earliest(x.cleared.Returning(), report, held)
	for old, now := range report.IDs {
		if old != now { // what the service brought back by itself kept its ID
			out.NewIDs[old.String()] = string(now.ID)
		}
	}
	if secrets != nil {
		if err := secrets.settle(report); err != nil {
			return fmt.Errorf("note in %s which accounts were made: %w", x.receipt.file, err)
		}
		out.Secrets = &secretsDoc{File: x.receipt.file}
		out.Secrets.Credentials, out.Secrets.Passwords = secrets.count()
	}
	failed := report.Count(apply.Failed) + report.Count(apply.NotRun)
	stale := report.Count(apply.Stale)
	out.Verified = len(differences) == 0 && proves(after, x.plan.Scope)
	if failed == 0 && stale == 0 {
		// Only a restore that has done all it can is over; another one is continued by the same command.
		data, err := asJSON(ending{out.Verified, failed, len(differences), out.Seconds, came})
		if err != nil {
			return err
		}
		if _, err := s.repo.Append(ctx, repository.KindResult, record, data); err != nil {
			return fmt.Errorf("keep result: %w", err)
		}
		if err := s.update(ctx); err != nil {
			return err
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "restore %d: %d done, %d already done, %d stale, %d failed in %s\n", record, report.Count(apply.Done), report.Count(apply.AlreadyDone), stale, failed, duration(out.Seconds))
	if f := out.FirstAdministrator; f != nil {
		fmt.Fprintf(&b, "  the first administrator could work after %s\n", duration(*f))
	}
	for _, r := range report.Results {
		if r.Error != "" {
			fmt.Fprintf(&b, "  step %d %s: %s\n", r.Step, r.Outcome, clean(r.Error))
		}
	}
	const most = 20 // new IDs in the text: all are in the report
	for i, old := range slices.Sorted(mapsKeys(out.NewIDs)) {
		if i == most {
			fmt.Fprintf(&b, "  and %d more new IDs\n", len(out.NewIDs)-most)
			break
		}
		fmt.Fprintf(&b, "  new ID: %s is now %s\n", old, out.NewIDs[old])
	}
	if len(out.NewIDs) > 0 {
		fmt.Fprintf(&b, "  who outside of the directory may hold the old ones: tidemark report ids --restore %d\n", record)
	}
	if out.Secrets != nil {
		fmt.Fprintf(&b, "  %s and %s in %s, and nowhere else: open it with age --decrypt, give each to who uses it, destroy the file\n",
			count(out.Secrets.Credentials, "new secret"), count(out.Secrets.Passwords, "password"), out.Secrets.File)
	}
	if out.Configuration, err = s.clientIDs(ctx, x.Bootstrap, after.Number); err != nil {
		return err
	}
	b.WriteString(configured(out.Configuration))
	for _, d := range out.Differences {
		fmt.Fprintf(&b, "  differs: %s\n", clean(d.line()))
	}
	if out.Verified {
		b.WriteString("verified: as before")
		if len(out.Gaps) > 0 {
			fmt.Fprintf(&b, ", but for %s the plan announced", count(len(out.Gaps), "gap"))
		}
		b.WriteString("\n")
	}
	if err := s.print(result{doc: out, rows: []any{out}, text: b.String()}); err != nil {
		return err
	}
	switch {
	case stale > 0:
		return &exit{code: 6, err: fmt.Errorf("%d steps found the tenant changed since the plan was made and left it alone: %w", stale, apply.ErrStale), hint: "the same command with --anew plans from the tenant as it is now"}
	case failed > 0:
		return &exit{code: 1, err: fmt.Errorf("%d steps did not happen", failed), hint: "the same command continues; --anew plans from the tenant as it is now"}
	case len(differences) > 0:
		return &exit{code: 5, err: fmt.Errorf("%d differences remain that the plan did not announce", len(differences))}
	}
	if err := undecided(doc.Conflicts); err != nil {
		return err
	}
	if out.Verified {
		return nil // what else could not be read was no part of this
	}
	return incomplete(after)
}

// existed says what was there before a restore.
func existed(base snapshot.Tree) func(context.Context, entra.Ref) (bool, error) {
	return func(ctx context.Context, r entra.Ref) (bool, error) {
		_, err := base.Object(ctx, r)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
}

// earliest returns after how many seconds of writing the first of several sets of steps held, nil where none does.
// held says when each step did; one that an earlier run carried out held from the beginning.
func earliest(ways [][]int, report *apply.Report, held map[int]time.Duration) (first *float64) {
	for _, steps := range ways {
		last := time.Duration(0)
		whole := true
		for _, n := range steps {
			o := report.Results[n-1].Outcome
			whole = whole && (o == apply.Done || o == apply.AlreadyDone)
			last = max(last, held[n])
		}
		if at := last.Seconds(); whole && (first == nil || at < *first) {
			first = &at
		}
	}
	return first
}

// settles are the waits between captures while what was written does not show yet. The service promises no time
// (Microsoft Graph documentation, eventual consistency); half a minute is mostly enough, and verify PLAN asks again.
var settles = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second}

// converge captures and compares until nothing differs, or what does has had its time, or is nothing that was just
// written.
func (s *session) converge(ctx context.Context, x *proposal, report *apply.Report) (*snapshot.Snapshot, []verify.Difference, map[entra.Ref]entra.Ref, error) {
	written := map[entra.Ref]bool{}
	for _, r := range report.Results {
		if t := x.plan.Steps[r.Step-1]; r.Outcome == apply.Done {
			written[t.Ref] = true
			if t.Link != nil {
				written[t.Link.From] = true
			}
		}
	}
	for i := 0; ; i++ {
		after, err := s.captured(ctx, nil, capture.Options{Now: true, Target: s.target(ctx, x.written(report.IDs), false)})
		if err != nil {
			return nil, nil, nil, err
		}
		differences, came, err := s.verified(ctx, x.plan, x.goal, x.making, after)
		if err != nil || i == len(settles) || !slices.ContainsFunc(differences, func(d verify.Difference) bool { return written[d.Ref] }) {
			return after, differences, came, err
		}
		fmt.Fprintf(s.err, "tidemark: %s not seen as written yet; looking again in %s\n", count(len(differences), "place"), settles[i])
		select {
		case <-ctx.Done():
			return nil, nil, nil, ctx.Err()
		case <-time.After(settles[i]):
		}
	}
}

func (d differenceDoc) line() string {
	return gapDoc{Type: d.Type, ID: d.ID, Name: d.Name, Field: d.Field, Reason: d.Reason}.line()
}

// proves reports whether a capture saw all that a restore of this scope could have touched.
func proves(after *snapshot.Snapshot, scope plan.Scope) bool {
	return !slices.ContainsFunc(after.Parts, func(p snapshot.Part) bool { return p.Coverage.Gap() && scope.Has(p.Type) })
}

// verified compares the goal with what a later capture saw, by what the log says of re-created objects and
// by nothing else.
func (s *session) verified(ctx context.Context, p *plan.Plan, goal *snapshot.Snapshot, of making, after *snapshot.Snapshot) ([]verify.Difference, map[entra.Ref]entra.Ref, error) {
	afterTree, err := s.index.Tree(ctx, s.repo, after.Number)
	if err != nil {
		return nil, nil, err
	}
	// Undone is what can be undone again without a trace: what is there is then the goal.
	goalTree, _, err := s.wanted(ctx, afterTree, goal, of)
	if err != nil {
		return nil, nil, err
	}
	aliases, err := s.index.Aliases(ctx)
	if err != nil {
		return nil, nil, err
	}
	differences, came, err := verify.Run(ctx, p, goalTree, afterTree, aliases)
	if err != nil {
		return nil, nil, fmt.Errorf("verify: %w", err)
	}
	return differences, came, nil
}

func (s *session) differenceDocs(differences []verify.Difference, called names) []differenceDoc {
	docs := []differenceDoc{}
	for _, d := range differences {
		name := d.Name
		if name == "" {
			name, _ = called.Name(d.Ref)
		}
		docs = append(docs, differenceDoc{d.Ref.Type, d.Ref.ID, name, d.Field, d.Reason})
	}
	return docs
}
