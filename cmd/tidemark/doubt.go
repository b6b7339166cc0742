package main

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/words"
)

// recent is how long before a goal what came up in it is looked at. Who gets in is mostly found within two weeks; what has
// been there longer is taken for how the tenant is, or each administrator made since would be doubted for ever.
const recent = 14 * 24 * time.Hour

// before returns the snapshot from which on what came up in another is recent; the first where none is as old.
func (s *session) before(ctx context.Context, goal *snapshot.Snapshot) (*snapshot.Snapshot, error) {
	from, err := s.index.At(ctx, goal.Ended.Add(-recent))
	if !errors.Is(err, fs.ErrNotExist) {
		return from, err
	}
	all, err := s.index.Numbers(ctx)
	if err != nil {
		return nil, err
	}
	return s.index.Snapshot(ctx, all[0])
}

// doubts are what came up in the goal shortly before it as a change of high risk, and what a plan does again. What an object
// that was there long lost by going itself comes back with it and is not doubted. Nor is an undo: who asks for one names what
// is taken back, and no time that was good.
func (s *session) doubts(ctx context.Context, of making, goal *snapshot.Snapshot, p *plan.Plan) ([]guard.Doubt, error) {
	if len(p.Steps) == 0 || of.Contain != nil || of.Undo != nil {
		return nil, nil
	}
	o, err := s.origin(ctx, of.Move)
	if err != nil {
		return nil, err
	}
	from, err := o.before(ctx, goal)
	if err != nil || from.Number >= goal.Number {
		return nil, err
	}
	d := &doubter{s: o, called: o.names(ctx, goal.Number, from.Number), older: map[entra.Ref][]entra.Ref{}, ofGoal: map[entra.Ref]entra.Ref{}, ids: map[entra.ID]entra.ID{}, back: map[entra.ID]bool{}}
	if d.is, err = o.index.Tree(ctx, o.repo, goal.Number); err != nil {
		return nil, err
	}
	if d.was, err = o.index.Tree(ctx, o.repo, from.Number); err != nil {
		return nil, err
	}
	aliases, err := o.index.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	for old, now := range aliases {
		d.older[now] = append(d.older[now], old)
	}
	for goal, base := range p.IDs {
		d.ofGoal[base], d.ids[base.ID] = goal, goal.ID
	}
	for _, t := range p.Steps {
		if t.Action != plan.Create && t.Action != plan.Undelete {
			continue
		}
		for _, r := range d.earlier(t.Ref) {
			_, had, err := d.was.Version(ctx, r)
			if err != nil {
				return nil, err
			}
			d.back[t.Ref.ID] = d.back[t.Ref.ID] || had
		}
	}
	for _, t := range p.Steps {
		if err := d.step(ctx, t); err != nil {
			return nil, err
		}
	}
	return d.found, nil
}

// A doubter compares a goal with what the tenant was shortly before.
type doubter struct {
	s       *session // of the tenant that the goal is a snapshot of
	was, is *index.Tree
	called  names
	older   map[entra.Ref][]entra.Ref // what an object was called before it was made anew
	ofGoal  map[entra.Ref]entra.Ref   // what the goal calls objects that base calls otherwise
	ids     map[entra.ID]entra.ID
	back    map[entra.ID]bool // what the plan brings back that was there long
	found   []guard.Doubt
}

// step looks for what a step does again.
func (d *doubter) step(ctx context.Context, t plan.Step) error {
	var changes []diff.Change
	var err error
	if t.Link != nil {
		changes, err = d.link(ctx, t)
	} else {
		changes, err = d.object(ctx, t)
	}
	if err != nil {
		return err
	}
	for _, c := range changes {
		said := words.Say(c, d.called)
		if said.Risk != words.High {
			continue
		}
		i := slices.IndexFunc(d.found, func(x guard.Doubt) bool { return x.Text == said.Text })
		if i >= 0 {
			d.found[i].Steps = append(d.found[i].Steps, t.Number)
			continue
		}
		x := guard.Doubt{Steps: []int{t.Number}, Text: said.Text}
		if x.Since, x.Last, err = d.since(ctx, c); err != nil {
			return err
		}
		d.found = append(d.found, x)
	}
	return nil
}

// goalRef is what the goal calls the object of a step.
func (d *doubter) goalRef(r entra.Ref, ofBase bool) entra.Ref {
	if to, ok := d.ofGoal[r]; ok && ofBase {
		return to
	}
	return r
}

// earlier returns what the earlier tree may call an object.
func (d *doubter) earlier(r entra.Ref) []entra.Ref {
	all := []entra.Ref{r}
	for i := 0; i < len(all); i++ {
		for _, old := range d.older[all[i]] {
			if !slices.Contains(all, old) {
				all = append(all, old)
			}
		}
	}
	return all
}

// link says whether the link of a step came, or went, shortly before the goal.
func (d *doubter) link(ctx context.Context, t plan.Step) ([]diff.Change, error) {
	l := entra.Link{From: d.goalRef(t.Link.From, t.OfBase), Rel: t.Link.Rel, To: d.goalRef(t.Link.To, t.OfBase)}
	if d.back[l.From.ID] || d.back[l.To.ID] {
		return nil, nil
	}
	had := false
	for _, from := range d.earlier(l.From) {
		for _, to := range d.earlier(l.To) {
			has, err := d.was.Has(ctx, entra.Link{From: from, Rel: l.Rel, To: to})
			if err != nil {
				return nil, err
			}
			had = had || has
		}
	}
	has, err := d.is.Has(ctx, l)
	switch {
	case err != nil:
		return nil, err
	case t.Action == plan.Attach && has && !had && d.without(l.From, l.Rel):
		return []diff.Change{{Kind: diff.Linked, Ref: l.From, Link: l}}, nil
	case t.Action == plan.Detach && had && !has && d.is.Snapshot().KnowsLink(l):
		return []diff.Change{{Kind: diff.Unlinked, Ref: l.From, Link: l}}, nil
	}
	return nil, nil
}

// object says what of an object a step makes as it became shortly before the goal.
func (d *doubter) object(ctx context.Context, t plan.Step) ([]diff.Change, error) {
	ref := d.goalRef(t.Ref, t.OfBase)
	is, err := object(ctx, d.is, ref)
	if err != nil {
		return nil, err
	}
	var was *entra.Object
	for _, r := range d.earlier(ref) {
		if was, err = object(ctx, d.was, r); err != nil {
			return nil, err
		}
		if was != nil {
			break
		}
	}
	c := diff.Change{Ref: ref, Before: was, After: is}
	switch {
	case was == nil && is == nil:
		return nil, nil
	case t.Action == plan.Delete:
		c.Kind = diff.Removed
		if is != nil || !d.is.Snapshot().Knows(ref) {
			return nil, nil
		}
		return []diff.Change{c}, nil
	case is == nil:
		return nil, nil
	case was == nil:
		c.Kind = diff.Added
		long, err := d.long(ctx, ref)
		if err != nil || long || !d.without(ref, "") || t.Action == plan.Update {
			return nil, err
		}
		in, _ := catalog.Container(ref)
		if d.back[in.ID] || slices.ContainsFunc(catalog.Refs(*is), func(x catalog.Reference) bool { return d.back[x.ID] }) {
			return nil, nil
		}
		if t.Action == plan.Create { // a secret that it had does not come back
			made := *is
			if made.Body, err = holding(t.Set); err != nil {
				return nil, err
			}
			c.After = &made
		}
		return []diff.Change{c}, nil
	}
	c.Kind = diff.Changed
	r, _ := catalog.Lookup(ref.Type)
	does := d.does(r, t)
	for _, f := range diff.Bodies(r, catalog.Rename(*was, d.renamed(*was, ref)).Body, is.Body) {
		if id, ok := f.After.(string); ok && d.back[entra.ID(id)] {
			continue
		}
		if d.asked(ref.Type, f.Path) && slices.ContainsFunc(does, func(g diff.Field) bool { return again(f, g) }) {
			c.Fields = append(c.Fields, f)
		}
	}
	if len(c.Fields) == 0 {
		return nil, nil
	}
	return []diff.Change{c}, nil
}

// renamed is what an object's older name is called in the goal.
func (d *doubter) renamed(was entra.Object, ref entra.Ref) map[entra.ID]entra.ID {
	if was.Ref == ref {
		return nil
	}
	return map[entra.ID]entra.ID{was.Ref.ID: ref.ID}
}

// does is what a step makes of an object's properties, as the goal names things.
func (d *doubter) does(r *catalog.Resource, t plan.Step) []diff.Field {
	if t.Action == plan.Undelete {
		return []diff.Field{{}} // all that it had comes back
	}
	had := t.Was
	if t.Action == plan.Create {
		had = nil
	}
	before, err := holding(had)
	after, err2 := holding(t.Set)
	if errors.Join(err, err2) != nil {
		return []diff.Field{{}}
	}
	return diff.Bodies(r, catalog.Rename(entra.Object{Ref: t.Ref, Body: before}, d.ids).Body, after)
}

// holding is the body of what has these values at these paths, and nothing else.
func holding(values map[string]any) (entra.Body, error) {
	m := map[string]any{}
	for path, v := range values {
		entra.Set(m, path, v)
	}
	return entra.Encode(m)
}

// again reports whether what a step does to a property is what was done to it before: it leaves there what came there, or
// one of the two is about all that the other lies in. A path of "" is everything, as it was.
func again(before, step diff.Field) bool {
	switch {
	case step.Path == "":
		return before.After != nil
	case step.Path == before.Path:
		return reflect.DeepEqual(step.After, before.After)
	}
	within := func(path, outer string) bool {
		rest, ok := strings.CutPrefix(path, outer)
		return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
	}
	return (within(step.Path, before.Path) || within(before.Path, step.Path)) && (step.After == nil) == (before.After == nil)
}

// asked reports whether both snapshots asked for a property.
func (d *doubter) asked(t entra.Type, path string) bool {
	return d.was.Snapshot().Part(t, "").Asks(path) && d.is.Snapshot().Part(t, "").Asks(path)
}

// without reports whether what the earlier tree does not have of a part was not there: then, or when all of it was last read.
func (d *doubter) without(r entra.Ref, rel string) bool {
	p := d.was.Snapshot().Part(r.Type, rel)
	return p.Complete != 0 && !p.Hole(r)
}

// long reports whether an object was there before what is recent, and was away in between.
func (d *doubter) long(ctx context.Context, ref entra.Ref) (bool, error) {
	for _, r := range d.earlier(ref) {
		spans, err := d.s.index.Spans(ctx, r)
		if err != nil {
			return false, err
		}
		if len(spans) > 0 && spans[0].First <= d.was.Snapshot().Number {
			return true, nil
		}
	}
	return false, nil
}

// since returns the first snapshot that shows a change, and the last before.
func (d *doubter) since(ctx context.Context, c diff.Change) (first, last int64, err error) {
	first, last = d.is.Snapshot().Number, d.was.Snapshot().Number
	for ev, err := range history.Between(ctx, history.Stored(d.s.index, d.s.repo), c.Ref, last, first) {
		if err != nil {
			return 0, 0, err
		}
		if x := ev.Change; x.Kind == c.Kind && x.Link == c.Link && (len(c.Fields) == 0 || slices.ContainsFunc(x.Fields, func(f diff.Field) bool {
			return slices.ContainsFunc(c.Fields, func(g diff.Field) bool { return again(g, f) })
		})) {
			return ev.Snapshot, ev.Last, nil
		}
	}
	return first, last, nil
}

// object returns an object of a tree, nil where it has none.
func object(ctx context.Context, tree *index.Tree, ref entra.Ref) (*entra.Object, error) {
	o, err := tree.Object(ctx, ref)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	if err != nil {
		return nil, err
	}
	return &o, nil
}
