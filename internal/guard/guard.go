// Package guard says why a plan must not be applied, and clears those that may be.
//
// It promises that no plan is cleared that would lock the tenant's administrators, its break-glass accounts
// or the identity that carries out the plan out of it, that does more than its limits allow or the directory has room for, that touches
// privilege unasked, that brings back what looks like an intruder's work unasked, or that lacks approvals. It judges the tenant as it would be, not the single steps, and
// objects to what a plan makes worse, not to what was so before. What it cannot decide it objects to, if the
// plan touches anything that could matter. It refuses to write, to ask and to guess.
package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/access"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Config is what the guard knows besides the plan and the tenant. The zero Config protects the
// administrators in place of break-glass accounts, knows no writer, and accepts no approval.
type Config struct {
	// BreakGlass are users, and groups of users, who must keep access to everything.
	BreakGlass []entra.Ref
	Writer     Writer
	// Approvers is how many people must approve, whatever the plan says; a plan can ask for more.
	Approvers int
	// Own are who asked for the plan and who carries it out, by every name that is known of them; their own approvals
	// do not count.
	Own []string
	// Doubts are what came up in the goal shortly before it, and the plan does again.
	Doubts []Doubt
	// Room is how much room the directory has, nil where it was not read.
	Room *Room
	// Verify reports whether an approval's signature is one of a known approver's. Nil verifies none.
	Verify func(Approval) bool
}

// A Writer is the identity that will carry out a plan.
type Writer struct {
	Ref entra.Ref // a service principal or a user; zero where it is not known
	// Permissions are those its token holds; nil where they are not known.
	Permissions []string
}

// A Doubt is something in the goal that may be an intruder's work: a change of high risk that was made shortly before it, and
// that the plan does again.
type Doubt struct {
	Text  string // the change, in words
	Steps []int  // those that do it again
	Since int64  // the first snapshot that shows it
	Last  int64  // the last one before
}

// An Approval is a person's signature over a plan's digest. It holds for 4 hours, and for one restore.
type Approval struct {
	Plan      string // the digest
	By        string
	At        time.Time
	Signature []byte
	Used      bool // a restore that it let through is finished
}

// A Rule says what an objection is about.
type Rule string

// The rules.
const (
	LockOut     Rule = "lock-out"
	BlastRadius Rule = "blast-radius"
	Privilege   Rule = "privilege"
	Approvals   Rule = "approval"
	Permission  Rule = "permission"
	Coverage    Rule = "coverage"
	Goal        Rule = "goal"
	Quota       Rule = "quota"
)

// An Objection is one reason to refuse a plan. It is an answer, not an error.
type Objection struct {
	Rule   Rule   `json:"rule"`
	Reason string `json:"reason"` // and what would make the plan safe
	Steps  []int  `json:"steps,omitempty"`
	// Lift is the exact flag that would lift the objection: "--allow objects=137". "" where none does.
	Lift string `json:"lift,omitempty"`
}

// A Cleared plan met no objection. Only Clear fills one; the zero Cleared holds no plan.
type Cleared struct {
	p         *plan.Plan
	returning [][]int
}

// Plan returns the plan that was cleared, nil of the zero Cleared.
func (c Cleared) Plan() *plan.Plan { return c.p }

// Returning says how the plan brings administrators back: for each enabled user who holds a privileged role after it
// and did not before, and each way to it, the numbers of the steps that it takes, ascending.
func (c Cleared) Returning() [][]int { return c.returning }

// Clear judges a plan against the tenant it is for. It returns the plan cleared where it has no objection,
// and the objections otherwise, in the order of their rules. It errs where the trees cannot be read or
// belong to another tenant than the plan.
func Clear(ctx context.Context, p *plan.Plan, base snapshot.Tree, c Config, as []Approval, now time.Time) (Cleared, []Objection, error) {
	if p == nil {
		return Cleared{}, nil, errors.New("clear plan: there is none")
	}
	if t := base.Snapshot().Tenant; t != p.Tenant {
		return Cleared{}, nil, fmt.Errorf("clear plan: it is for tenant %s, the snapshot is of %s", p.Tenant, t)
	}
	if len(p.Steps) == 0 {
		return Cleared{p: p}, nil, nil
	}
	j := &judge{p: p, c: c, base: base, ids: map[entra.ID]entra.ID{}}
	j.after, j.others = p.Simulate(base)
	for from, to := range p.IDs {
		j.ids[from.ID] = to.ID
	}
	var err error
	if j.was, err = access.Open(ctx, j.base); err != nil {
		return Cleared{}, nil, fmt.Errorf("clear plan: %w", err)
	}
	if j.is, err = access.Open(ctx, j.after); err != nil {
		return Cleared{}, nil, fmt.Errorf("clear plan: after it: %w", err)
	}
	for _, rule := range []func(context.Context) error{j.lockOut, j.privilege, j.coverage, j.consent} {
		if err := rule(ctx); err != nil {
			return Cleared{}, nil, fmt.Errorf("clear plan: %w", err)
		}
	}
	j.goal()
	j.radius()
	j.room()
	j.permissions()
	if err := j.approvals(as, now); err != nil {
		return Cleared{}, nil, fmt.Errorf("clear plan: %w", err)
	}
	if len(j.objections) == 0 {
		returning, err := j.returning(ctx)
		if err != nil {
			return Cleared{}, nil, fmt.Errorf("clear plan: who comes back: %w", err)
		}
		return Cleared{p, returning}, nil, nil
	}
	order := []Rule{LockOut, Coverage, Goal, Privilege, BlastRadius, Quota, Permission, Approvals}
	slices.SortStableFunc(j.objections, func(a, b Objection) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Rule), slices.Index(order, b.Rule)), strings.Compare(a.Reason, b.Reason))
	})
	j.objections = slices.CompactFunc(j.objections, func(a, b Objection) bool { return a.Rule == b.Rule && a.Reason == b.Reason })
	return Cleared{}, j.objections, nil
}

// A judge holds what the rules look at.
type judge struct {
	p           *plan.Plan
	c           Config
	base, after snapshot.Tree
	ids         map[entra.ID]entra.ID   // the plan's IDs, without their types
	others      map[entra.Ref]entra.Ref // what after calls created objects that base has another of by the goal's name
	was, is     *access.View
	objections  []Objection
}

func (j *judge) object(rule Rule, steps []int, format string, args ...any) {
	j.objections = append(j.objections, Objection{Rule: rule, Reason: fmt.Sprintf(format, args...), Steps: steps})
}

// names returns what a step's object is called: as the plan says, and as base does.
func (j *judge) names(s plan.Step) []entra.Ref { return j.both(s.Ref, s.OfBase) }

func (j *judge) both(r entra.Ref, ofBase bool) []entra.Ref {
	if ofBase {
		return []entra.Ref{r}
	}
	to, ok := j.p.IDs[r]
	if !ok { // what is contained in a renamed object has its ID within its own
		to = catalog.Rename(entra.Object{Ref: r}, j.ids).Ref
	}
	all := []entra.Ref{to, r}
	if other, ok := j.others[r]; ok {
		all = append(all, other)
	}
	if to == r {
		all = all[1:]
	}
	return all
}

// touching returns the numbers of the steps that write one of the objects, or a link at one of them.
func (j *judge) touching(refs ...entra.Ref) []int {
	var steps []int
	for _, s := range j.p.Steps {
		all := j.names(s)
		if s.Link != nil {
			all = append(all, j.both(s.Link.From, s.OfBase)...)
			all = append(all, j.both(s.Link.To, s.OfBase)...)
		}
		if slices.ContainsFunc(all, func(r entra.Ref) bool { return slices.Contains(refs, r) }) {
			steps = append(steps, s.Number)
		}
	}
	return steps
}

// seen returns the objects that a step's ref means, as they are before and as they are after the plan, where
// they exist.
func (j *judge) seen(ctx context.Context, refs []entra.Ref) ([]entra.Object, error) {
	var all []entra.Object
	for _, tree := range []snapshot.Tree{j.base, j.after} {
		for _, r := range refs {
			o, err := tree.Object(ctx, r)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", r, err)
			}
			all = append(all, o)
		}
	}
	return all, nil
}

// called returns what people call an object, quoted, with its ref.
func (j *judge) called(ctx context.Context, r entra.Ref) string {
	for _, tree := range []snapshot.Tree{j.after, j.base} {
		if o, err := tree.Object(ctx, r); err == nil {
			return fmt.Sprintf("%q (%s)", catalog.Name(o), r)
		}
	}
	return r.String()
}
