package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/words"
)

func diffCommand(e *env) *cobra.Command {
	var x selection
	var detailed, raw bool
	var by []string
	c := &cobra.Command{
		Use:   "diff A [B]",
		Short: "Say what changed between two snapshots, in words",
		Long: `Compares snapshot A with B, which is the latest unless given; "live" captures now. What is riskiest comes first.
A change whose earlier or later state was not seen is shown as unknown, never as a deletion.`,
		Example: `  tidemark diff latest~1
  tidemark diff "3 days ago" live
  tidemark diff 3 7 --only conditionalAccessPolicy,unifiedRoleAssignment -o json`,
		Args: takes(1, 2, "one or two snapshots"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			s, err := e.open(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			if len(args) == 1 {
				args = append(args, "latest")
			}
			a, err := s.snapshot(ctx, args[0])
			if err != nil {
				return err
			}
			b, err := s.snapshot(ctx, args[1])
			if err != nil {
				return err
			}
			changes, err := s.changes(ctx, a, b, &x, raw)
			if err != nil {
				return err
			}
			acts, err := history.Within(ctx, s.index, s.repo, a.Began, b.Ended)
			if err != nil {
				return err
			}
			who, err := s.actors(ctx, acts, by, a.Number, b.Number)
			if err != nil {
				return err
			}
			if len(by) > 0 {
				changes = acts.Of(changes, who)
			}
			if err := s.print(s.changeResult(ctx, words.All(changes, s.names(ctx, b.Number, a.Number)), acts, a, b)); err != nil {
				return err
			}
			if args[1] == "live" {
				if err := incomplete(b); err != nil {
					return err
				}
			}
			if detailed && len(changes) > 0 {
				return &exit{code: 4}
			}
			return nil
		},
	}
	x.flags(c)
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 4 where there are differences")
	c.Flags().StringArrayVar(&by, "by", nil, "only what this person or application did, as far as the audit log tells (repeatable)")
	c.Flags().BoolVar(&raw, "raw", false, "show a re-created object as one that went and one that came")
	return c
}

// changes returns what differs between two snapshots within a selection.
func (s *session) changes(ctx context.Context, a, b *snapshot.Snapshot, x *selection, raw bool) ([]diff.Change, error) {
	scope, err := x.scope(ctx, s, 0)
	if err != nil {
		return nil, err
	}
	o := diff.Options{Types: scope.Types}
	if !raw {
		if o.Aliases, err = s.index.Aliases(ctx); err != nil {
			return nil, err
		}
	}
	before, err := s.index.Tree(ctx, s.repo, a.Number)
	if err != nil {
		return nil, err
	}
	after, err := s.index.Tree(ctx, s.repo, b.Number)
	if err != nil {
		return nil, err
	}
	if o.Refs, err = s.about(ctx, scope.Refs, before, after); err != nil {
		return nil, err
	}
	var changes []diff.Change
	for c, err := range diff.Trees(ctx, before, after, o) {
		if err != nil {
			return nil, fmt.Errorf("compare snapshots %d and %d: %w", a.Number, b.Number, err)
		}
		if narrow(&c, x) && mentioned(&c, scope.Refs) {
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// narrow keeps of a change what --field and --link ask for, and reports whether anything is left.
func narrow(c *diff.Change, x *selection) bool {
	if len(x.fields) == 0 && len(x.links) == 0 {
		return true
	}
	if c.IsLink() {
		for _, l := range x.links {
			if l == c.Link.Rel || l == fmt.Sprintf("%s[%s]", c.Link.Rel, c.Link.To.ID) {
				return true
			}
		}
		return false
	}
	if c.Kind != diff.Changed {
		return false
	}
	var fields []diff.Field
	for _, f := range c.Fields {
		for _, want := range x.fields {
			if rest, ok := strings.CutPrefix(f.Path, want); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				fields = append(fields, f)
				break
			}
		}
	}
	c.Fields = fields
	return len(fields) > 0
}

// A changeDoc is one change as data.
type changeDoc struct {
	Kind    diff.Kind  `json:"kind"`
	Type    entra.Type `json:"type"`
	ID      entra.ID   `json:"id"`
	Name    string     `json:"name"`
	Fields  []fieldDoc `json:"fields,omitempty"`
	Link    *linkDoc   `json:"link,omitempty"`
	Words   string     `json:"words"`
	Effect  string     `json:"effect,omitempty"`
	Risk    words.Risk `json:"risk"`
	Reason  string     `json:"reason,omitempty"`
	Between [2]string  `json:"between"`
	Actor   *actorDoc  `json:"actor,omitempty"`
	Acts    []actDoc   `json:"acts,omitempty"`
}

type fieldDoc struct {
	Path   string `json:"path"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

type actorDoc struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	Kind string `json:"kind"`
}

type actDoc struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Result string    `json:"result"`
	Actor  actorDoc  `json:"actor"`
}

func changeOf(said words.Said, names words.Namer) changeDoc {
	c := said.Change
	d := changeDoc{Kind: c.Kind, Type: c.Ref.Type, ID: c.Ref.ID, Name: said.Name, Words: said.Text, Effect: said.Effect, Risk: said.Risk, Reason: c.Reason}
	for _, f := range c.Fields {
		d.Fields = append(d.Fields, fieldDoc{f.Path, values(f.Before), values(f.After)})
	}
	if c.IsLink() {
		name, _ := names.Name(c.Link.To)
		d.Link = &linkDoc{c.Link.Rel, endDoc{c.Link.To.Type, c.Link.To.ID, name}}
	}
	return d
}

func (s *session) changeResult(ctx context.Context, said []words.Said, acts *history.Acts, a, b *snapshot.Snapshot) result {
	docs := []changeDoc{}
	called := s.names(ctx, b.Number, a.Number)
	between := [2]string{a.Began.UTC().Format(time.RFC3339), b.Ended.UTC().Format(time.RFC3339)}
	counts := map[words.Risk]int{}
	for _, one := range said {
		d := changeOf(one, called)
		d.Between = between
		// What the earlier capture did not look at may have changed since it was last read.
		c := one.Change
		if p := a.Part(c.Ref.Type, c.Link.Rel); !p.Read.IsZero() && p.Read.Before(a.Began) && (c.IsLink() && !a.KnowsLink(c.Link) || !c.IsLink() && !a.Knows(c.Ref)) {
			d.Between[0] = p.Read.UTC().Format(time.RFC3339)
		}
		d.Actor, _ = actedBy(acts.About(one.Change))
		counts[d.Risk]++
		docs = append(docs, d)
	}
	text := fmt.Sprintf("from snapshot %d (%s) to %d (%s): ", a.Number, between[0], b.Number, between[1])
	if len(docs) == 0 {
		text += "no change\n"
		return result{doc: docs, rows: anySlice(docs), text: text}
	}
	text += fmt.Sprintf("%d changes, %d of high risk\n", len(docs), counts[words.High])
	return result{doc: docs, rows: anySlice(docs), text: text, head: []string{"RISK", "", "WHAT"}, cells: func(yield func([]string)) {
		for _, d := range docs {
			what := d.Words
			if d.Effect != "" {
				what += " " + d.Effect
			}
			if d.Actor != nil {
				what += " By " + d.Actor.Name + "."
			}
			yield([]string{d.Risk.String(), kindSign(d.Kind), what})
		}
	}}
}

func kindSign(k diff.Kind) string { return string(rune(k)) }

// actedBy says who acted, where the audit log knows; the entries are those about the object at the time.
func actedBy(acts []catalog.Act) (one *actorDoc, all []actDoc) {
	for _, a := range acts {
		all = append(all, actDoc{a.At.UTC(), a.What, a.Result, actorDoc{a.Actor.Name, string(a.Actor.ID), string(a.Actor.Kind)}})
	}
	for i := range all {
		if all[i].Actor != all[0].Actor {
			return nil, all // several people were at it: which one is for the reader to judge
		}
	}
	if len(all) > 0 {
		one = &all[0].Actor
	}
	return one, all
}

func historyCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "history OBJECT",
		Short:   "Every change in the life of one object, with who made it where the audit log knows",
		Example: "  tidemark history \"conditionalAccessPolicy:Require MFA for admins\"\n  tidemark history anna@contoso.com -o jsonl",
		Args:    takes(1, 1, "one object: TYPE/ID, TYPE:NAME or a UPN"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			s, err := e.open(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			ref, err := s.object(ctx, args[0], 0)
			if err != nil {
				return err
			}
			docs := []changeDoc{}
			for ev, err := range history.Of(ctx, history.Stored(s.index, s.repo), ref) {
				if err != nil {
					return err
				}
				docs = append(docs, s.eventDoc(ctx, ev))
			}
			return s.print(result{doc: docs, rows: anySlice(docs), head: []string{"UNTIL", "RISK", "", "BY", "WHAT"}, cells: func(yield func([]string)) {
				for _, d := range docs {
					by := ""
					if d.Actor != nil {
						by = d.Actor.Name
					} else if len(d.Acts) > 0 {
						by = "several"
					}
					yield([]string{d.Between[1], d.Risk.String(), kindSign(d.Kind), by, d.Words})
				}
			}})
		},
	}
}

func (s *session) eventDoc(ctx context.Context, ev history.Event) changeDoc {
	numbers := []int64{ev.Snapshot}
	if ev.Last != 0 {
		numbers = append(numbers, ev.Last)
	}
	called := s.names(ctx, numbers...)
	sentence := words.Say(ev.Change, called)
	name, _ := called.Name(ev.Change.Ref)
	d := changeOf(words.Said{Change: ev.Change, Name: name, Sentence: sentence}, called)
	if !ev.After.IsZero() {
		d.Between[0] = ev.After.UTC().Format(time.RFC3339)
	}
	d.Between[1] = ev.Before.UTC().Format(time.RFC3339)
	d.Actor, d.Acts = actedBy(ev.Acts)
	return d
}
