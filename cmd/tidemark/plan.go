package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

func planCommand(e *env) *cobra.Command {
	var w wish
	var out string
	var detailed bool
	c := &cobra.Command{
		Use:   "plan --to SNAPSHOT",
		Short: "Show the writes that would bring the tenant to a snapshot",
		Long: `Captures the tenant and shows what a restore would write, what cannot come back, and what guard objects to.
Nothing is written to the tenant.`,
		Example: `  tidemark plan --to latest~1
  tidemark plan --object "group:Finance" --to "3 days ago" --out finance.plan
  tidemark apply finance.plan`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := w.pick(e); err != nil {
				return err
			}
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			// The writer's permissions are part of the judgement where one is configured.
			var writer guard.Writer
			// A person signs in when there is something to carry out.
			if !s.settings.Restore.none() && !s.settings.Restore.Interactive {
				if _, writer, err = s.writer(c.Context()); err != nil {
					fmt.Fprintf(s.err, "tidemark: warning: the restore identity cannot sign in, so its permissions are not judged: %s\n", clean(err.Error()))
				}
			}
			x, err := s.propose(c.Context(), &w, writer)
			if err != nil {
				return err
			}
			doc := s.planDoc(c.Context(), x)
			if out != "" {
				if err := writePlan(out, x); err != nil {
					return err
				}
			}
			if err := s.print(result{doc: doc, rows: []any{doc}, text: doc.text()}); err != nil {
				return err
			}
			if err := refused(x); err != nil {
				return err
			}
			if err := incomplete(x.base); err != nil {
				return err
			}
			if detailed && len(x.plan.Steps) > 0 {
				return &exit{code: 4}
			}
			return nil
		},
	}
	w.flags(c)
	c.Flags().BoolVar(&w.newSecrets, "new-secrets", false, "plan new passwords and certificates where the old secrets cannot come back; apply hands them out with --new-secrets FILE")
	c.Flags().StringVar(&out, "out", "", "also write the plan to this file, for apply")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 4 where the plan has steps")
	return c
}

func writePlan(path string, x *proposal) error {
	k, err := x.keep()
	if err != nil {
		return err
	}
	text, err := k.encode()
	if err != nil {
		return err
	}
	if err := writeFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// validity is how long a plan may wait before it is applied.
const validity = 4 * time.Hour

func applyCommand(e *env) *cobra.Command {
	var yes string
	var out receipt
	c := &cobra.Command{
		Use:   "apply PLAN",
		Short: "Carry out a plan that was made earlier",
		Long: `PLAN is a file that plan --out wrote, or the number of a restore that was not finished. A plan that was edited,
is older than four hours, or no longer fits the tenant is refused before anything is written.`,
		Example: "  tidemark apply finance.plan\n  tidemark apply 17",
		Args:    takes(1, 1, "a plan file, or the number of an unfinished restore"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return s.applyPlan(c.Context(), args[0], out, yes)
		},
	}
	out.flags(c)
	e.personFlags(c)
	c.Flags().StringVar(&yes, "yes", "", "carry out without asking: the plan's digest, or \"any\"")
	return c
}

func (s *session) applyPlan(ctx context.Context, name string, out receipt, yes string) error {
	began := s.now()
	record, k, p, err := s.submitted(ctx, name)
	if err != nil {
		return err
	}
	write := s.writer
	if k.Bootstrap != nil {
		write = func(ctx context.Context) (*graph.Client, guard.Writer, error) { return s.asPerson(ctx, k.Bootstrap) }
	}
	client, writer, err := write(ctx)
	if err != nil {
		return err
	}
	base, goal, err := s.ends(ctx, k)
	if err != nil {
		return err
	}
	switch {
	case out.file != "" && !p.NewSecrets:
		return usage("--new-secrets: the plan makes no secrets; plan --new-secrets makes one that does")
	case out.file == "" && record == 0 && p.NewSecrets && (issues(p) || len(accounts(p)) > 0):
		return usage("the plan makes new secrets; say where to hand them out with --new-secrets FILE")
	}
	var conflicts []conflictDoc
	if record == 0 {
		if err := s.timely(k); err != nil {
			return err
		}
		reach, err := s.reach(ctx, p.Scope, goal, k.making, writer)
		if err != nil {
			return err
		}
		fresh, err := s.proposed(ctx, reach, func(now *snapshot.Snapshot) (*proposal, error) {
			base = now
			return s.judge(ctx, base, goal, k.making, plan.Request{Scope: p.Scope, Limits: p.Limits, Enforce: p.Enforce, EnableUsers: p.EnableUsers, RenameTaken: p.RenameTaken, NewSecrets: p.NewSecrets}, writer)
		})
		if err != nil {
			return err
		}
		if fresh.digest != k.Digest {
			return &exit{code: 6, err: errors.New("the tenant changed since the plan was made, or the plan was edited; nothing was written"), hint: "make a new plan and look at it"}
		}
		conflicts = fresh.conflicts
	}
	x, err := s.cleared(ctx, k, p, base, goal, writer, record == 0)
	if err != nil {
		return err
	}
	x.receipt, x.conflicts = out, conflicts
	if x.reach, err = s.reach(ctx, p.Scope, goal, k.making, writer); err != nil {
		return err
	}
	doc := s.planDoc(ctx, x)
	if s.format == "table" {
		fmt.Fprint(s.out, doc.text())
	}
	if err := refused(x); err != nil {
		return err
	}
	x.continues = record != 0
	if record == 0 {
		if err := s.confirm(x, yes); err != nil {
			return err
		}
		if record, err = s.begin(ctx, x); err != nil {
			return err
		}
	}
	return s.carryOut(ctx, client, x, x.digest, doc, record, began)
}

// submitted is what apply and approve are given: an unfinished restore by its number, or a plan file. record is 0 where the
// plan was not begun; where it was, it is taken as it was begun, whatever the file says about it.
func (s *session) submitted(ctx context.Context, name string) (record int64, k *kept, p *plan.Plan, err error) {
	if record, k, p, err = s.begun(ctx, name); err != nil || k != nil {
		return record, k, p, err
	}
	if k, p, err = readPlan(name); err != nil {
		return 0, nil, nil, err
	}
	if p.Tenant != s.repo.Tenant().ID {
		return 0, nil, nil, &exit{code: 6, err: fmt.Errorf("the plan is for tenant %s, this is %s; nothing was written", p.Tenant, s.repo.Tenant().ID)}
	}
	record, begun, q, err := s.unfinished(ctx, func(other kept, _ *plan.Plan) bool { return other.Digest == k.Digest })
	if err != nil || begun == nil {
		return 0, k, p, err
	}
	return record, begun, q, nil
}

// ends are the snapshots that a plan leads from and to.
func (s *session) ends(ctx context.Context, k *kept) (base, goal *snapshot.Snapshot, err error) {
	if goal, err = s.goalNumbered(ctx, k.making, k.Goal); err == nil {
		if base, err = s.index.Snapshot(ctx, k.Base); err != nil {
			err = fmt.Errorf("the plan's base, snapshot %d: %w", k.Base, err)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = &exit{code: 6, err: fmt.Errorf("%w; nothing was written", err), hint: "the plan was edited, or is of another repository, or its snapshots were forgotten: make a new plan"}
	}
	return base, goal, err
}

// timely refuses a plan that has waited too long, or was made tomorrow.
func (s *session) timely(k *kept) error {
	switch age := s.now().Sub(k.Made); {
	case age > validity:
		return &exit{code: 6, err: fmt.Errorf("the plan is %s old and expired after %s; nothing was written", duration(age.Seconds()), validity), hint: "make a new plan"}
	case age < -guard.Skew:
		return &exit{code: 6, err: fmt.Errorf("the plan is dated %s, which has not come yet; nothing was written", k.Made.UTC().Format(time.RFC3339)), hint: "correct the clock of this machine, or make a new plan"}
	}
	return nil
}

// begun returns the unfinished restore with a number; nothing where the name is none.
func (s *session) begun(ctx context.Context, name string) (int64, *kept, *plan.Plan, error) {
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return 0, nil, nil, nil
	}
	records, err := s.index.Records(ctx, repository.KindPlan, repository.KindResult)
	if err != nil {
		return 0, nil, nil, err
	}
	i := slices.IndexFunc(records, func(r repository.Record) bool { return r.Kind == repository.KindPlan && r.Number == n })
	if i < 0 {
		return 0, nil, nil, usage("there is no restore %d; tidemark snapshots lists restores too", n)
	}
	if slices.ContainsFunc(records, func(r repository.Record) bool { return r.Kind == repository.KindResult && r.Parent == n }) {
		return 0, nil, nil, usage("restore %d is finished", n)
	}
	k, p, err := s.keptPlan(ctx, records[i])
	return n, k, p, err
}

func (s *session) keptPlan(ctx context.Context, rec repository.Record) (*kept, *plan.Plan, error) {
	data, err := s.repo.Data(ctx, rec)
	if err != nil {
		return nil, nil, err
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, nil, fmt.Errorf("record %d: %w", rec.Number, err)
	}
	p, err := k.open()
	if err != nil {
		return nil, nil, fmt.Errorf("record %d: %w", rec.Number, err)
	}
	return &k, p, nil
}

// readPlan reads a file that plan --out wrote.
func readPlan(path string) (*kept, *plan.Plan, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the person names the file
	if err != nil {
		return nil, nil, &exit{code: 2, err: fmt.Errorf("read plan: %w", err)}
	}
	k := &kept{}
	if err := json.Unmarshal(data, k); err != nil || len(k.Plan) == 0 {
		return nil, nil, &exit{code: 2, err: fmt.Errorf("%s is no plan file", path), hint: "tidemark plan --out FILE writes one"}
	}
	p, err := k.open()
	return k, p, err
}

func verifyCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "verify PLAN",
		Short: "Capture again and say what still differs from what a plan promised",
		Long: `PLAN is a plan file or the number of a restore. The tenant is captured anew and compared with the plan's goal,
through what the log says of re-created objects and through nothing else.`,
		Example: "  tidemark verify 17\n  tidemark verify finance.plan -o json",
		Args:    takes(1, 1, "a plan file or the number of a restore"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			s, err := e.open(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			k, p, err := s.planNamed(ctx, args[0])
			if err != nil {
				return err
			}
			goal, err := s.goalNumbered(ctx, k.making, k.Goal)
			if err != nil {
				return err
			}
			after, err := s.capture(ctx)
			if err != nil {
				return err
			}
			differences, _, err := s.verified(ctx, p, goal, k.making, after)
			if err != nil {
				return err
			}
			docs := s.differenceDocs(differences, s.namesOf(ctx, k.making, goal, after.Number))
			var b strings.Builder
			for _, d := range docs {
				fmt.Fprintf(&b, "differs: %s\n", clean(d.line()))
			}
			proven := len(docs) == 0 && proves(after, p.Scope)
			if proven {
				fmt.Fprintf(&b, "verified: snapshot %d is as the plan promised, but for its %d gaps\n", after.Number, len(p.Gaps))
			}
			doc := map[string]any{"plan": k.Digest, "snapshot": after.Number, "differences": docs, "verified": proven}
			if err := s.print(result{doc: doc, rows: []any{doc}, text: b.String()}); err != nil {
				return err
			}
			if len(docs) > 0 {
				return &exit{code: 5, err: fmt.Errorf("%d differences from what the plan promised", len(docs))}
			}
			if proven {
				return nil // what else could not be read was no part of this
			}
			return incomplete(after)
		},
	}
	return c
}

// planNamed finds a plan by the number of its record, the beginning of its digest, or as a file.
func (s *session) planNamed(ctx context.Context, name string) (*kept, *plan.Plan, error) {
	records, err := s.index.Records(ctx, repository.KindPlan)
	if err != nil {
		return nil, nil, err
	}
	n, notNumber := strconv.ParseInt(name, 10, 64)
	for _, rec := range slices.Backward(records) {
		if notNumber != nil && !isDigest(name) || notNumber == nil && rec.Number != n {
			continue
		}
		k, p, err := s.keptPlan(ctx, rec)
		if err != nil {
			return nil, nil, err
		}
		if notNumber == nil || strings.HasPrefix(k.Digest, name) {
			return k, p, nil
		}
	}
	return readPlan(name)
}
