package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/words"
)

// A containing says who shall not be able to do anything any more. It is kept with the plan, so that the goal can be made again.
type containing struct {
	Principals []entra.Ref `json:"principals"`
}

func containCommand(e *env) *cobra.Command {
	var w wish
	var principals []string
	var since, out, yes string
	var dry, anew bool
	c := &cobra.Command{
		Use:   "contain --principal WHO",
		Short: "Stop somebody, or an application, at once: off, sessions ended, credentials and grants taken away",
		Long: `For the day on which an attacker is inside, before anything is restored. Captures the tenant, plans that each principal that
is named is off, that its sessions end, that its credentials, roles, consents and the jobs that run in its name are
taken away, has guard judge that nobody legitimate is locked out by it, asks, and carries it out. Of an application both
halves are meant, whichever is named. It is a restore like any other in the log: tidemark undo --restore N takes it back,
but for secrets, which nobody can.

--since SNAPSHOT suggests whom to name: who came into power since then, or changed what is of high risk.`,
		Example: `  tidemark contain --since "2 days ago"
  tidemark contain --principal eve@contoso.com --principal "servicePrincipal:Mail archiver" --allow privileged=5,deletions=5`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if (since == "") == (len(principals) == 0) {
				return usage("name whom to stop with --principal, or have somebody suggested with --since SNAPSHOT")
			}
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			if since != "" {
				return s.suspects(c.Context(), since)
			}
			return s.contain(c.Context(), principals, &w, out, yes, dry, anew)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&principals, "principal", nil, "whom to stop: a person, an application or a device, as TYPE/ID, TYPE:NAME or a UPN (repeatable)")
	f.StringVar(&since, "since", "", "suggest whom to name, by what has changed since a snapshot; nothing is written")
	f.StringSliceVar(&w.allow, "allow", nil, "raise limits of the plan: objects=N,links=N,deletions=N,privileged=N")
	f.StringVar(&out, "out", "", "write the plan to this file, for approve and apply, and nothing to the tenant")
	f.StringVar(&yes, "yes", "", "carry out without asking: the plan's digest, or \"any\" for whatever guard clears")
	f.BoolVar(&dry, "dry-run", false, "everything but the writes")
	f.BoolVar(&anew, "anew", false, "make a new plan even where the same was begun and not finished")
	e.personFlags(c)
	return c
}

func (s *session) contain(ctx context.Context, names []string, w *wish, out, yes string, dry, anew bool) error {
	began := s.now()
	client, writer, err := s.writer(ctx)
	if err != nil {
		return err
	}
	limits, err := w.limits(s.settings)
	if err != nil {
		return err
	}
	of := making{Contain: &containing{}}
	for _, name := range names {
		ref, err := s.object(ctx, name, 0)
		if err != nil {
			return err
		}
		if r, ok := catalog.Lookup(ref.Type); !ok || !r.Acts() {
			return usage("--principal %s: nobody acts as a %s; name people, applications or devices, such as its members", name, ref.Type)
		}
		of.Contain.Principals = append(of.Contain.Principals, ref)
	}
	slices.SortFunc(of.Contain.Principals, entra.Ref.Compare)
	of.Contain.Principals = slices.Compact(of.Contain.Principals)
	if !anew && !dry && out == "" {
		record, x, err := s.resumed(ctx, writer, func(k kept, _ *plan.Plan) bool {
			return k.Contain != nil && slices.Equal(k.Contain.Principals, of.Contain.Principals)
		})
		if err != nil {
			return err
		}
		if x != nil {
			return s.conclude(ctx, client, x, record, yes, dry, began)
		}
	}
	latest, err := s.index.Latest(ctx)
	if err != nil {
		return err
	}
	reach, err := s.reach(ctx, plan.Scope{}, latest, of, writer)
	if err != nil {
		return err
	}
	x, err := s.proposed(ctx, reach, func(base *snapshot.Snapshot) (*proposal, error) {
		return s.judge(ctx, base, base, of, plan.Request{Scope: plan.Scope{Delete: true}, Limits: limits}, writer)
	})
	if err != nil {
		return err
	}
	if out != "" {
		if err := writePlan(out, x); err != nil {
			return err
		}
	}
	return s.conclude(ctx, client, x, 0, yes, dry || out != "", began)
}

// around is what a capture is to read for a containment. An attacker does not wait for a long reading: what stands around the
// principals is read, and all that guard judges by.
func (c *containing) around(ctx context.Context, tree *index.Tree) (refs []entra.Ref, err error) {
	for _, ref := range c.Principals {
		both, err := halves(ctx, tree, ref)
		if err != nil {
			return nil, err
		}
		for _, half := range both {
			refs = append(refs, half.Ref)
		}
	}
	return refs, nil
}

// contained is base as it is where the principals can do nothing.
func (s *session) contained(ctx context.Context, base *index.Tree, c *containing) (snapshot.Tree, error) {
	goal := snapshot.NewOverlay(base, catalog.IDs, catalog.Container)
	still := func(o entra.Object) {
		if o, ok := catalog.Contained(o); ok {
			goal.Set(o)
		}
	}
	for _, ref := range c.Principals {
		both, err := halves(ctx, base, ref)
		if errors.Is(err, fs.ErrNotExist) {
			continue // who is gone can do nothing
		}
		if err != nil {
			return nil, err
		}
		for _, half := range both {
			still(half)
			around, err := plan.Belonging(ctx, base, half.Ref)
			if err != nil {
				return nil, fmt.Errorf("contain %s: %w", ref, err)
			}
			for _, x := range around {
				o, err := base.Object(ctx, x)
				if err != nil {
					return nil, fmt.Errorf("contain %s: %w", ref, err)
				}
				r, _ := catalog.Lookup(x.Type)
				switch {
				case slices.Contains(catalog.Powers(o), half.Ref.ID), r.Admits == catalog.AsContainer && r.Can.Has(catalog.Delete):
					goal.Drop(x)
				default:
					if p, inside := catalog.Container(x); inside && p == half.Ref {
						still(o)
					}
				}
			}
		}
	}
	return goal, nil
}

// halves returns an object, and of an application the registration or the service principal beside it as well.
func halves(ctx context.Context, tree *index.Tree, ref entra.Ref) ([]entra.Object, error) {
	o, err := tree.Object(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("contain %s: %w", ref, err)
	}
	both := []entra.Object{o}
	if id, _ := o.Body.Get("appId"); id != nil {
		other := catalog.ApplicationType
		if ref.Type == other {
			other = catalog.ServicePrincipalType
		}
		called := names{ctx: ctx, trees: []*index.Tree{tree}}
		if half, _, ok := called.Find(entra.ID(fmt.Sprint(id)), []entra.Type{other}, "appId"); ok {
			if o, err = tree.Object(ctx, half); err != nil {
				return nil, fmt.Errorf("contain %s: %w", ref, err)
			}
			both = append(both, o)
		}
	}
	return both, nil
}

// A suspectDoc is somebody who may have to be contained, and why.
type suspectDoc struct {
	Type entra.Type `json:"type"`
	ID   entra.ID   `json:"id"`
	Name string     `json:"name"`
	Why  []string   `json:"why"`
}

// suspects prints who came into power since a snapshot, or did what is of high risk.
func (s *session) suspects(ctx context.Context, since string) error {
	a, err := s.snapshot(ctx, since)
	if err != nil {
		return err
	}
	b, err := s.index.Latest(ctx)
	if err != nil {
		return err
	}
	changes, err := s.changes(ctx, a, b, &selection{}, false)
	if err != nil {
		return err
	}
	called := s.names(ctx, b.Number, a.Number)
	acts, err := history.Within(ctx, s.index, s.repo, a.Began, b.Ended)
	if err != nil {
		return err
	}
	found := map[entra.Ref][]string{}
	note := func(r entra.Ref, why string) {
		if !slices.Contains(found[r], why) {
			found[r] = append(found[r], why)
		}
	}
	for _, said := range words.All(changes, called) {
		if said.Risk != words.High {
			continue
		}
		c := said.Change
		var who []entra.Ref
		if _, ok := catalog.AccountOf(entra.Object{Ref: c.Ref}); ok && c.Kind != diff.Removed {
			who = append(who, c.Ref)
		}
		if c.After != nil {
			for _, id := range catalog.Powers(*c.After) {
				if r, _, ok := called.Find(id, []entra.Type{catalog.UserType, catalog.ServicePrincipalType, catalog.GroupType}, ""); ok {
					who = append(who, r)
				}
			}
		}
		for _, r := range who {
			note(r, said.Text)
		}
		for _, act := range acts.About(c) {
			if r, _, ok := called.Find(act.Actor.ID, []entra.Type{catalog.UserType, catalog.ServicePrincipalType}, ""); ok {
				note(r, "did it: "+said.Text)
			}
		}
	}
	docs := []suspectDoc{}
	for r, why := range found {
		name, _ := called.Name(r)
		docs = append(docs, suspectDoc{r.Type, r.ID, name, why})
	}
	slices.SortFunc(docs, func(a, b suspectDoc) int {
		return cmp.Or(len(b.Why)-len(a.Why), entra.Ref{Type: a.Type, ID: a.ID}.Compare(entra.Ref{Type: b.Type, ID: b.ID}))
	})
	r := result{doc: docs, head: []string{"PRINCIPAL", "NAME", "WHY"}}
	for _, d := range docs {
		r.rows = append(r.rows, d)
	}
	r.cells = func(yield func([]string)) {
		for _, d := range docs {
			yield([]string{string(d.Type) + "/" + string(d.ID), d.Name, strings.Join(d.Why, "\n")})
		}
	}
	return s.print(s.unlessEmpty(len(docs), fmt.Sprintf("nobody came into power between snapshots %d and %d\n", a.Number, b.Number), r))
}
