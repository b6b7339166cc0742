package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/merge"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// An undoing says which changes to take back. It is kept with the plan, so that the goal can be made again.
type undoing struct {
	From    int64           `json:"from"` // numbers of snapshots
	To      int64           `json:"to"`
	Restore int64           `json:"restore,omitempty"` // only what this restore touched
	Scope   plan.Scope      `json:"scope,omitzero"`
	By      []catalog.Actor `json:"by,omitempty"`
	Prefer  string          `json:"prefer"` // later or undo
	refs    []entra.Ref     // what the restore touched
	made    []entra.Ref     // and what it created, which its base cannot have had
	acts    *history.Acts
}

// A conflictDoc is a place that was changed again, as data.
type conflictDoc struct {
	Type   entra.Type `json:"type"`
	ID     entra.ID   `json:"id"`
	Name   string     `json:"name"`
	Field  string     `json:"field"`
	Undo   any        `json:"undo"` // what undoing would put there
	Left   any        `json:"left"` // what the change left there
	Now    any        `json:"now"`
	Reason string     `json:"reason"`
	Taken  string     `json:"taken"` // later or undo: what the plan does about it
}

func (d conflictDoc) line() string {
	name := cmp.Or(d.Name, string(d.ID))
	if d.Field != "" {
		name += ": " + d.Field
	}
	text := fmt.Sprintf("%s %s: %s", d.Type, name, d.Reason)
	if d.Now != nil && d.Field != "" {
		text += ", to " + short(d.Now, nil)
	}
	if d.Taken == preferUndo {
		return text + "; undone all the same"
	}
	return text + "; it stays"
}

const (
	preferLater = "later"
	preferUndo  = "undo"
)

// undecided is how a command ends that left later work in place and was not told to.
func undecided(conflicts []conflictDoc) error {
	n := 0
	for _, c := range conflicts {
		if c.Taken == preferLater {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return &exit{code: 4, err: fmt.Errorf("%s changed again since and stay as they are", count(n, "place")), hint: "--prefer undo takes the earlier value there too"}
}

func undoCommand(e *env) *cobra.Command {
	var w wish
	var from, to, prefer, file, yes string
	var restore int64
	var by []string
	var dry, anew bool
	var out receipt
	c := &cobra.Command{
		Use:   "undo --from A --to B",
		Short: "Take back chosen changes and keep later ones",
		Long: `Takes back exactly what changed between snapshots A and B, within the selection, and nothing else. What was changed
again since stays as it is and is shown as a conflict, unless --prefer undo says otherwise. A date as --from means its
beginning, as --to its end. With --restore N it takes back what restore N wrote.

--by narrows it to what someone did: an object ID, an appId, a UPN or a name, as the audit log of that time knows them.`,
		Example: `  tidemark undo --from 2026-11-24 --to 2026-11-24 --by "HR import" --dry-run
  tidemark undo --from latest~1 --to latest --object "conditionalAccessPolicy:Require MFA" --field state
  tidemark undo --restore 7`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if prefer != "" && prefer != preferLater && prefer != preferUndo {
				return usage("--prefer %q: want later or undo", prefer)
			}
			switch {
			case restore != 0 && (from != "" || to != ""):
				return usage("--restore names a window of its own; leave --from and --to out")
			case restore == 0 && (from == "" || to == ""):
				return usage("name the window with --from and --to, or a restore with --restore")
			}
			if err := out.check(); err != nil {
				return err
			}
			w.newSecrets = out.file != ""
			ctx := c.Context()
			s, err := e.open(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			u := &undoing{Restore: restore, Prefer: cmp.Or(prefer, preferLater)}
			if err := s.window(ctx, u, from, to); err != nil {
				return err
			}
			if u.Scope, err = w.scope(ctx, s, u.To); err != nil {
				return err
			}
			if err := s.by(ctx, u, by); err != nil {
				return err
			}
			return s.undo(ctx, u, &w, out, file, yes, dry, anew)
		},
	}
	w.undoFlags(c)
	out.flags(c)
	e.personFlags(c)
	f := c.Flags()
	f.StringVar(&from, "from", "", "the snapshot before the changes: a number, a time, a date, latest~1")
	f.StringVar(&to, "to", "", "the snapshot after them")
	f.Int64Var(&restore, "restore", 0, "the number of a restore to take back")
	f.StringArrayVar(&by, "by", nil, "only what this person or application did (repeatable)")
	f.StringVar(&prefer, "prefer", "", "where something changed again since: later keeps it (the default), undo takes the earlier value")
	f.StringVar(&file, "out", "", "write the plan to this file, for approve and apply, and nothing to the tenant")
	f.StringVar(&yes, "yes", "", "carry out without asking: the plan's digest, or \"any\" for whatever guard clears")
	f.BoolVar(&dry, "dry-run", false, "everything but the writes")
	f.BoolVar(&anew, "anew", false, "make a new plan even where the same undo was not finished")
	return c
}

// window finds the two snapshots.
func (s *session) window(ctx context.Context, u *undoing, from, to string) error {
	if u.Restore != 0 {
		return s.ofRestore(ctx, u)
	}
	if from == "live" || to == "live" {
		return usage("an undo takes back what two snapshots show; capture first")
	}
	if day, err := time.ParseInLocation(time.DateOnly, from, time.UTC); err == nil {
		from = day.Add(-time.Nanosecond).Format(time.RFC3339Nano) // the last snapshot before the day
	}
	a, err := s.snapshot(ctx, from)
	if err != nil {
		return err
	}
	b, err := s.snapshot(ctx, to)
	if err != nil {
		return err
	}
	if a.Number >= b.Number {
		return usage("--from %d is not before --to %d: an undo needs the snapshot before the changes and the one after them", a.Number, b.Number)
	}
	u.From, u.To = a.Number, b.Number
	return nil
}

// ofRestore finds what a restore started from, the first snapshot after it, and what it touched.
func (s *session) ofRestore(ctx context.Context, u *undoing) error {
	records, err := s.index.Records(ctx, repository.KindPlan, repository.KindOutcomes, repository.KindResult)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(records, func(r repository.Record) bool { return r.Kind == repository.KindPlan && r.Number == u.Restore })
	if i < 0 {
		return usage("there is no restore %d; tidemark snapshots lists restores too", u.Restore)
	}
	k, p, err := s.keptPlan(ctx, records[i])
	if err != nil {
		return err
	}
	last, over := u.Restore, int64(math.MaxInt64)
	for _, r := range records {
		switch {
		case r.Parent != u.Restore:
		case r.Kind == repository.KindOutcomes:
			last = r.Number
		case r.Kind == repository.KindResult:
			over = r.Number
		}
	}
	all, err := s.index.Numbers(ctx)
	if err != nil {
		return err
	}
	j, _ := slices.BinarySearch(all, last+1)
	if j == len(all) {
		return &exit{code: 1, err: fmt.Errorf("no snapshot shows what restore %d did", u.Restore), hint: "tidemark capture, then undo it"}
	}
	// The restore itself looked until what it wrote was to be seen.
	for j+1 < len(all) && all[j+1] < over && over != math.MaxInt64 {
		j++
	}
	u.From, u.To = k.Base, all[j]
	return s.touchedBy(ctx, u, p)
}

// touchedBy notes what a restore's steps are about, by all names it ever had.
func (s *session) touchedBy(ctx context.Context, u *undoing, p *plan.Plan) error {
	aliases, err := s.index.Aliases(ctx)
	if err != nil {
		return err
	}
	found := map[entra.Ref]bool{}
	for _, t := range p.Steps {
		refs := []entra.Ref{t.Ref}
		if t.Link != nil {
			refs = []entra.Ref{t.Link.From}
		}
		if t.Action == plan.Create && aliases[t.Ref] != (entra.Ref{}) {
			u.made = append(u.made, aliases[t.Ref])
		}
		for _, r := range refs {
			for _, name := range []entra.Ref{r, p.IDs[r], aliases[r]} {
				if name != (entra.Ref{}) {
					found[name] = true
				}
			}
		}
	}
	u.refs = slices.SortedFunc(maps.Keys(found), entra.Ref.Compare)
	return nil
}

// by finds the actors that a person means among those who acted in the window.
func (s *session) by(ctx context.Context, u *undoing, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := s.ledger(ctx, u); err != nil {
		return err
	}
	var err error
	u.By, err = s.actors(ctx, u.acts, names, u.From, u.To)
	return err
}

// actors finds whom the names mean among those who acted.
func (s *session) actors(ctx context.Context, acts *history.Acts, names []string, from, to int64) (who []catalog.Actor, err error) {
	for _, name := range names {
		want := map[entra.ID]bool{entra.ID(name): true}
		if ref, err := s.object(ctx, name, to); err == nil {
			want[ref.ID] = true
		}
		// An appId names the application; who acts is its service principal.
		if ref, _, ok := s.names(ctx, to, from).Find(entra.ID(name), []entra.Type{catalog.ServicePrincipalType}, "appId"); ok {
			want[ref.ID] = true
		}
		var found []catalog.Actor
		for _, a := range acts.Actors() {
			if want[a.ID] || strings.EqualFold(a.Name, name) {
				found = append(found, a)
			}
		}
		ids := map[entra.ID]bool{}
		for _, a := range found {
			ids[a.ID] = true
		}
		if len(ids) > 1 {
			return nil, usage("--by %q is ambiguous; say which by its ID: %s", name, actorList(found))
		}
		if len(found) == 0 {
			return nil, usage("--by %q: nobody of that name acted between snapshots %d and %d, as far as the audit log of that time was captured; there acted: %s", name, from, to, actorList(acts.Actors()))
		}
		who = append(who, found...)
	}
	return who, nil
}

func actorList(all []catalog.Actor) string {
	if len(all) == 0 {
		return "nobody"
	}
	var parts []string
	for _, a := range all {
		parts = append(parts, fmt.Sprintf("%s (%s)", a.Name, a.ID))
	}
	return strings.Join(parts, ", ")
}

// ledger reads the audit entries of the window.
func (s *session) ledger(ctx context.Context, u *undoing) error {
	a, err := s.index.Snapshot(ctx, u.From)
	if err != nil {
		return err
	}
	b, err := s.index.Snapshot(ctx, u.To)
	if err != nil {
		return err
	}
	u.acts, err = history.Within(ctx, s.index, s.repo, a.Began, b.Ended)
	return err
}

// undoRequest returns the trees between which u takes changes back, and which.
func (s *session) undoRequest(ctx context.Context, u *undoing) (from, to *index.Tree, q merge.Request, err error) {
	q = merge.Request{Types: u.Scope.Types, Refs: u.Scope.Refs, Anyway: u.Prefer == preferUndo}
	if q.Aliases, err = s.index.Aliases(ctx); err != nil {
		return nil, nil, q, err
	}
	if u.Restore != 0 && u.refs == nil {
		if err := s.ofRestore(ctx, u); err != nil {
			return nil, nil, q, err
		}
	}
	if len(u.By) > 0 && u.acts == nil {
		if err := s.ledger(ctx, u); err != nil {
			return nil, nil, q, err
		}
	}
	if from, err = s.index.Tree(ctx, s.repo, u.From); err != nil {
		return nil, nil, q, err
	}
	from = from.Knowing(u.made)
	if to, err = s.index.Tree(ctx, s.repo, u.To); err != nil {
		return nil, nil, q, err
	}
	if q.Refs, err = s.about(ctx, u.Scope.Refs, from, to); err != nil {
		return nil, nil, q, err
	}
	narrowing := &selection{fields: u.Scope.Fields, links: u.Scope.Links}
	q.Keep = func(c diff.Change) (diff.Change, bool) {
		if u.Restore != 0 && !slices.Contains(u.refs, c.Ref) {
			return c, false
		}
		if !narrow(&c, narrowing) || !mentioned(&c, u.Scope.Refs) {
			return c, false
		}
		if len(u.By) == 0 {
			return c, true
		}
		return u.acts.By(c, u.By)
	}
	return from, to, q, nil
}

// undone returns base with the changes taken back.
func (s *session) undone(ctx context.Context, base *index.Tree, u *undoing) (snapshot.Tree, []conflictDoc, error) {
	from, to, q, err := s.undoRequest(ctx, u)
	if err != nil {
		return nil, nil, err
	}
	done, err := merge.Undo(ctx, base, from, to, q)
	if err != nil {
		return nil, nil, err
	}
	called := s.names(ctx, base.Snapshot().Number, u.To, u.From)
	docs := []conflictDoc{}
	for _, c := range done.Conflicts {
		name, _ := called.Name(c.Ref)
		d := conflictDoc{c.Ref.Type, c.Ref.ID, name, c.Field, values(c.Undo), values(c.Left), values(c.Now), c.Reason, preferLater}
		if c.Undone {
			d.Taken = preferUndo
		}
		docs = append(docs, d)
	}
	return done.Goal, docs, nil
}

// undo plans, asks, writes and verifies. With a file it plans only, and keeps the plan there.
func (s *session) undo(ctx context.Context, u *undoing, w *wish, out receipt, file, yes string, dry, anew bool) error {
	began := s.now()
	client, writer, err := s.writer(ctx)
	if err != nil {
		return err
	}
	limits, err := w.limits(s.settings)
	if err != nil {
		return err
	}
	if !anew && !dry && file == "" {
		record, x, err := s.proceedUndo(ctx, u, w, writer)
		if err != nil {
			return err
		}
		if x != nil {
			x.receipt = out
			return s.conclude(ctx, client, x, record, yes, dry, began)
		}
	}
	goal, err := s.index.Snapshot(ctx, u.From)
	if err != nil {
		return err
	}
	var reach *plan.Reach
	if !w.full {
		if reach, err = s.reach(ctx, plan.Scope{}, goal, making{Undo: u}, writer); err != nil {
			return err
		}
	}
	// What the goal has otherwise than base is what is undone, so the plan needs no scope but the leave to delete.
	x, err := s.proposed(ctx, reach, func(base *snapshot.Snapshot) (*proposal, error) {
		return s.judge(ctx, base, goal, making{Undo: u}, plan.Request{Scope: plan.Scope{Delete: true}, Limits: limits, Enforce: w.enforce, EnableUsers: w.enableUsers, RenameTaken: w.renameTaken, NewSecrets: w.newSecrets}, writer)
	})
	if err != nil {
		return err
	}
	if file != "" {
		if err := writePlan(file, x); err != nil {
			return err
		}
	}
	x.receipt = out
	return s.conclude(ctx, client, x, 0, yes, dry || file != "", began)
}

// proceedUndo finds the same undo where it was begun and not finished.
func (s *session) proceedUndo(ctx context.Context, u *undoing, w *wish, writer guard.Writer) (int64, *proposal, error) {
	same := func(a, b undoing) bool {
		a.refs, a.made, a.acts, b.refs, b.made, b.acts = nil, nil, nil, nil, nil, nil
		a.Scope.Delete, b.Scope.Delete = false, false
		return normal(a.Scope) == normal(b.Scope) && a.From == b.From && a.To == b.To && a.Restore == b.Restore && a.Prefer == b.Prefer && reflect.DeepEqual(a.By, b.By)
	}
	record, x, err := s.resumed(ctx, writer, func(k kept, p *plan.Plan) bool {
		return k.Undo != nil && same(*k.Undo, *u) && (p.NewSecrets || !w.newSecrets)
	})
	if err != nil || x == nil {
		return 0, nil, err
	}
	tree, err := s.index.Tree(ctx, s.repo, x.base.Number)
	if err != nil {
		return 0, nil, err
	}
	x.Undo = u
	if _, x.conflicts, err = s.undone(ctx, tree, u); err != nil {
		return 0, nil, err
	}
	return record, x, nil
}

// about widens a selection of objects to what it means: what they contain, what relates them to others, and the
// objects that name them.
func (s *session) about(ctx context.Context, refs []entra.Ref, trees ...*index.Tree) ([]entra.Ref, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	found := map[entra.Ref]bool{}
	for _, r := range refs {
		found[r] = true
		for _, tree := range trees {
			all, err := plan.Belonging(ctx, tree, r)
			if err != nil {
				return nil, err
			}
			for _, x := range all {
				found[x] = true
			}
			for h, err := range tree.Holders(ctx, r.ID) {
				if err != nil {
					return nil, err
				}
				found[h] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), entra.Ref.Compare), nil
}

// mentioned narrows a change of an object that is not selected itself to the places that name one that is.
func mentioned(c *diff.Change, refs []entra.Ref) bool {
	if len(refs) == 0 {
		return true
	}
	about := func(r entra.Ref) bool {
		p, ok := catalog.Container(r)
		return slices.Contains(refs, r) || ok && slices.Contains(refs, p)
	}
	if c.IsLink() {
		return about(c.Link.From) || about(c.Link.To)
	}
	if about(c.Ref) || c.Kind != diff.Changed {
		return true
	}
	c.Fields = slices.DeleteFunc(slices.Clone(c.Fields), func(f diff.Field) bool {
		return !slices.ContainsFunc(refs, func(r entra.Ref) bool {
			text := f.Path
			for _, v := range []any{f.Before, f.After} {
				if t, err := entra.Text(v); err == nil {
					text += t
				}
			}
			return strings.Contains(text, string(r.ID))
		})
	})
	return len(c.Fields) > 0
}
