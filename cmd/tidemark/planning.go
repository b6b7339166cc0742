package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A wish is what a person asks to be brought back; its flags are those of plan and restore.
type wish struct {
	selection
	route
	to          string
	deletes     bool
	allow       []string
	enforce     bool
	enableUsers bool
	renameTaken bool
	newSecrets  bool
	full        bool
}

func (w *wish) flags(c *cobra.Command) {
	w.undoFlags(c)
	w.route.flags(c)
	f := c.Flags()
	f.StringVar(&w.to, "to", "", "the snapshot to go back to: a number, latest~1, a time, \"3 days ago\"")
	f.BoolVar(&w.deletes, "with-deletes", false, "also take away what the snapshot does not have (into the recycle bin where there is one)")
	_ = c.MarkFlagRequired("to") // fails only for a flag that does not exist
}

// undoFlags are those that need no goal.
func (w *wish) undoFlags(c *cobra.Command) {
	w.selection.flags(c)
	f := c.Flags()
	f.StringSliceVar(&w.allow, "allow", nil, "raise limits of the plan: objects=N,links=N,deletions=N,privileged=N,suspect=N")
	f.BoolVar(&w.enforce, "enforce", false, "let re-created policies come back as they were instead of report-only")
	f.BoolVar(&w.full, "full", false, "read the whole tenant first, not only what the plan may touch")
	f.BoolVar(&w.enableUsers, "enable-users", false, "let re-created users come back enabled instead of disabled")
	f.BoolVar(&w.renameTaken, "rename-taken", false, "bring back under a free name, without the address, what has a name or an address that another took since")
}

// limits are the configured ones, raised by --allow.
func (w *wish) limits(t *tenantSettings) (plan.Limits, error) {
	l := t.limits()
	for _, a := range w.allow {
		name, value, ok := strings.Cut(a, "=")
		n, err := strconv.Atoi(value)
		if !ok || err != nil || n < 0 {
			return l, usage("--allow %q: want objects=N, links=N, deletions=N, privileged=N or suspect=N", a)
		}
		limit, ok := map[string]*int{"objects": &l.Objects, "links": &l.Links, "deletions": &l.Deletions, "privileged": &l.Privileged, "suspect": &l.Suspect}[name]
		if !ok {
			return l, usage("--allow: there is no limit called %q; there are objects, links, deletions, privileged, suspect", name)
		}
		*limit = max(*limit, n)
	}
	return l, nil
}

// A proposal is a plan with all it was made from and what guard says of it.
type proposal struct {
	plan       *plan.Plan
	digest     string
	base, goal *snapshot.Snapshot
	making
	receipt    receipt     // where new secrets go
	continues  bool        // a restore that was begun before
	reach      *plan.Reach // what was read for it; nil is the whole tenant
	requester  string
	conflicts  []conflictDoc
	room       *roomDoc // nil where the plan needs none
	cleared    guard.Cleared
	objections []guard.Objection
	estimate   estimate
	made       time.Time
}

// An estimate says how many writes a plan costs and how long they take within the service's quotas.
type estimate struct {
	Writes  int     `json:"writes"`
	Seconds float64 `json:"seconds"`
}

// propose captures the tenant, makes the plan that the wish asks for, and has it judged.
func (s *session) propose(ctx context.Context, w *wish, writer guard.Writer) (*proposal, error) {
	limits, err := w.limits(s.settings)
	if err != nil {
		return nil, err
	}
	goal, of, scope, err := w.goal(ctx, s)
	if err != nil {
		return nil, err
	}
	var reach *plan.Reach
	if !w.full {
		if reach, err = s.reach(ctx, scope, goal, of, writer); err != nil {
			return nil, err
		}
	}
	return s.proposed(ctx, reach, func(base *snapshot.Snapshot) (*proposal, error) {
		return s.judge(ctx, base, goal, of, plan.Request{Scope: scope, Limits: limits, Enforce: w.enforce, EnableUsers: w.enableUsers, RenameTaken: w.renameTaken, NewSecrets: w.newSecrets}, writer)
	})
}

// goal is what the wish leads to.
func (w *wish) goal(ctx context.Context, s *session) (*snapshot.Snapshot, making, plan.Scope, error) {
	of := making{}
	var scope plan.Scope
	var err error
	if of.Move, err = w.moving(ctx, s); err != nil {
		return nil, of, scope, err
	}
	o, err := s.origin(ctx, of.Move)
	if err != nil {
		return nil, of, scope, err
	}
	if of.Move != nil && w.to == "live" {
		return nil, of, scope, usage("--to live: name a snapshot of %s; tidemark capture --tenant %s takes one", w.from, w.from)
	}
	goal, err := o.snapshot(ctx, w.to)
	if err != nil {
		return nil, of, scope, err
	}
	scope, err = w.scope(ctx, o, goal.Number)
	scope.Delete = w.deletes
	return goal, of, scope, err
}

// judge makes the plan from base to goal, or to what that is made of, and asks guard.
func (s *session) judge(ctx context.Context, base, goal *snapshot.Snapshot, of making, q plan.Request, writer guard.Writer) (*proposal, error) {
	var err error
	if q.Aliases, err = s.index.Aliases(ctx); err != nil {
		return nil, err
	}
	baseTree, err := s.index.Tree(ctx, s.repo, base.Number)
	if err != nil {
		return nil, err
	}
	if err := s.settleDomains(ctx, of.Move, baseTree, goal); err != nil {
		return nil, err
	}
	goalTree, conflicts, err := s.wanted(ctx, baseTree, goal, of)
	if err != nil {
		return nil, err
	}
	if of.Contain != nil {
		q.Revoke = of.Contain.Principals
	}
	p, err := plan.Make(ctx, baseTree, goalTree, q)
	if err != nil {
		return nil, fmt.Errorf("make plan: %w", err)
	}
	x, err := s.cleared(ctx, &kept{Requester: requester(), Made: s.now(), making: of}, p, base, goal, writer, true)
	if err != nil {
		return nil, err
	}
	x.conflicts = conflicts
	return x, nil
}

// wanted is the tree that a plan made from base shall lead to: the goal's, or base with changes undone.
func (s *session) wanted(ctx context.Context, base *index.Tree, goal *snapshot.Snapshot, of making) (snapshot.Tree, []conflictDoc, error) {
	switch {
	case of.Undo != nil:
		return s.undone(ctx, base, of.Undo)
	case of.Contain != nil:
		tree, err := s.contained(ctx, base, of.Contain)
		return tree, []conflictDoc{}, err
	case of.Bootstrap != nil:
		tree, _, err := s.bootstrapped(ctx, base, goal, of.Bootstrap)
		return tree, []conflictDoc{}, err
	}
	tree, err := s.goalTree(ctx, of, goal)
	return tree, []conflictDoc{}, err
}

// cleared asks guard about a plan; k says when, by whom and for what it was made. With ask, the tenant is asked
// whether it has room: who approves cannot, and of a restore that was begun some is there already.
func (s *session) cleared(ctx context.Context, k *kept, p *plan.Plan, base, goal *snapshot.Snapshot, writer guard.Writer, ask bool) (*proposal, error) {
	digest, err := p.Digest()
	if err != nil {
		return nil, err
	}
	tree, err := s.index.Tree(ctx, s.repo, base.Number)
	if err != nil {
		return nil, err
	}
	approvals, verify, err := s.approvals(ctx, digest, k.Requester)
	if err != nil {
		return nil, err
	}
	c := guard.Config{Writer: writer, Approvers: s.settings.limits().Approvers, Own: []string{k.Requester, requester(), s.clients["restore"].claims.Name}, Verify: verify}
	for _, text := range s.settings.Guard.BreakGlass {
		ref, err := entra.ParseRef(text)
		if err != nil {
			return nil, err
		}
		c.BreakGlass = append(c.BreakGlass, ref)
	}
	if c.Doubts, err = s.doubts(ctx, k.making, goal, p); err != nil {
		return nil, fmt.Errorf("look at what came up before the goal: %w", err)
	}
	var room *roomDoc
	if ask {
		if room, err = s.room(ctx, p); err != nil {
			return nil, err
		}
	}
	if room != nil && room.Unread == "" {
		c.Room = &guard.Room{Used: room.Used, Total: room.Total}
	}
	f := apply.Estimate(p, s.settings.scale())
	x := &proposal{room: room, plan: p, digest: digest, base: base, goal: goal, making: k.making, requester: k.Requester, made: k.Made, estimate: estimate{f.Writes, f.Whole().Seconds()}}
	if x.cleared, x.objections, err = guard.Clear(ctx, p, tree, c, approvals, s.now()); err != nil {
		return nil, fmt.Errorf("judge plan: %w", err)
	}
	return x, nil
}

// writer signs in as the identity that restores. It returns what guard should know of it.
func (s *session) writer(ctx context.Context) (*graph.Client, guard.Writer, error) {
	client, claims, err := s.connect(ctx, s.settings.Restore, "restore")
	if err != nil {
		return nil, guard.Writer{}, err
	}
	w := guard.Writer{Permissions: claims.Permissions}
	if claims.Person != "" {
		w.Ref = entra.Ref{Type: catalog.UserType, ID: entra.ID(claims.Person)}
		return client, w, nil
	}
	if latest, err := s.index.Latest(ctx); err == nil {
		w.Ref, _, _ = s.names(ctx, latest.Number).Find(entra.ID(s.settings.Restore.ClientID), []entra.Type{catalog.ServicePrincipalType}, "appId")
	}
	return client, w, nil
}

// A planDoc is a plan as data.
type planDoc struct {
	Digest     string    `json:"digest"`
	Tenant     string    `json:"tenant"`
	Base       string    `json:"base"` // snapshot ID
	Goal       string    `json:"goal"` // snapshot ID
	BaseNumber int64     `json:"baseNumber"`
	GoalNumber int64     `json:"goalNumber"`
	Made       time.Time `json:"made"`
	Steps      []stepDoc `json:"steps"`
	Gaps       []gapDoc  `json:"gaps"`
	making
	Conflicts  []conflictDoc  `json:"conflicts"`
	Objections []objectionDoc `json:"objections"`
	Estimate   estimate       `json:"estimate"`
	Room       *roomDoc       `json:"room,omitempty"`   // left out where the plan makes no object
	ByHand     []choreDoc     `json:"byHand,omitempty"` // what a person has to do, in another tenant; left out where there is nothing
}

type stepDoc struct {
	Number int            `json:"number"`
	Action plan.Action    `json:"action"`
	Type   entra.Type     `json:"type"`
	ID     entra.ID       `json:"id"`
	Name   string         `json:"name"`
	Set    map[string]any `json:"set,omitempty"`
	Was    map[string]any `json:"was,omitempty"`
	Link   *linkDoc       `json:"link,omitempty"`
	Needs  []int          `json:"needs"`
	Why    string         `json:"why"`

	lines []string // of an update, what becomes of each property, as a person reads it
}

type linkDoc struct {
	Rel string `json:"rel"`
	To  endDoc `json:"to"`
}

type endDoc struct {
	Type entra.Type `json:"type"`
	ID   entra.ID   `json:"id"`
	Name string     `json:"name"`
}

type gapDoc struct {
	Type   entra.Type `json:"type"`
	ID     entra.ID   `json:"id"`
	Name   string     `json:"name"`
	Field  string     `json:"field"`
	Reason string     `json:"reason"`
	// ByHand names the chore that a person can do about it; left out where there is none.
	ByHand string `json:"byHand,omitempty"`
}

func gapOf(g plan.Gap) gapDoc {
	return gapDoc{Type: g.Ref.Type, ID: g.Ref.ID, Name: g.Name, Field: g.Field, Reason: g.Reason, ByHand: catalog.ByHand(g.Ref.Type, g.Missing.Type, g.Field, g.Reason)}
}

type objectionDoc struct {
	Rule   guard.Rule `json:"rule"`
	Reason string     `json:"reason"`
	Steps  []int      `json:"steps"`
	Lift   string     `json:"lift,omitempty"`
}

// values makes decoded JSON printable: numbers as numbers.
func values(v any) any {
	switch v := v.(type) {
	case entra.Number:
		return json.Number(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = values(e)
		}
		return out
	case map[string]any:
		if v == nil {
			return v
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = values(e)
		}
		return out
	}
	return v
}

func valueMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	out, _ := values(m).(map[string]any)
	return out
}

func (s *session) planDoc(ctx context.Context, x *proposal) planDoc {
	d := planDoc{Digest: x.digest, Tenant: s.tenantName(), Base: x.base.ID.String(), Goal: x.goal.ID.String(), BaseNumber: x.base.Number, GoalNumber: x.goal.Number, Made: x.made.UTC(), Estimate: x.estimate,
		Steps: []stepDoc{}, Gaps: []gapDoc{}, making: x.making, Conflicts: x.conflicts, Objections: []objectionDoc{}, Room: x.room}
	if d.Conflicts == nil {
		d.Conflicts = []conflictDoc{}
	}
	called := s.namesOf(ctx, x.making, x.goal, x.base.Number)
	for _, t := range x.plan.Steps {
		doc := stepDoc{Number: t.Number, Action: t.Action, Type: t.Ref.Type, ID: t.Ref.ID, Name: stepName(t, called), Set: valueMap(t.Set), Was: valueMap(t.Was), Needs: t.Needs, Why: t.Why,
			lines: told(t, called)}
		if doc.Needs == nil {
			doc.Needs = []int{}
		}
		if t.Link != nil {
			name, _ := called.Name(t.Link.To)
			doc.Link = &linkDoc{t.Link.Rel, endDoc{t.Link.To.Type, t.Link.To.ID, name}}
		}
		d.Steps = append(d.Steps, doc)
	}
	for _, g := range x.plan.Gaps {
		d.Gaps = append(d.Gaps, gapOf(g))
	}
	if x.Move != nil {
		d.ByHand = chores(x.plan.Gaps)
	}
	d.Gaps = append(d.Gaps, owned(x.plan, s.clients["restore"].claims)...)
	for _, o := range x.objections {
		if o.Steps == nil {
			o.Steps = []int{}
		}
		d.Objections = append(d.Objections, objectionDoc{o.Rule, o.Reason, o.Steps, o.Lift})
	}
	return d
}

// owned are the gaps that a person makes by carrying out a plan: the service makes who creates an object its owner.
func owned(p *plan.Plan, who graph.Claims) (gaps []gapDoc) {
	if who.Person == "" {
		return nil
	}
	for _, t := range p.Steps {
		if r, ok := catalog.Lookup(t.Ref.Type); ok && t.Action == plan.Create {
			if _, ok := r.Relation(catalog.Owners); ok {
				gaps = append(gaps, gapDoc{t.Ref.Type, t.Ref.ID, t.Name, catalog.Owners, "the service may make " + cmp.Or(who.Name, who.Person) + " an owner, as who created it: look at its owners afterwards", ""})
			}
		}
	}
	return gaps
}

// text is the plan as a person reads it.
func (d planDoc) text() string {
	var b strings.Builder
	what := fmt.Sprintf("from now (snapshot %d) to snapshot %d", d.BaseNumber, d.GoalNumber)
	switch {
	case d.Move != nil:
		what = fmt.Sprintf("what tenant %s had in snapshot %d, from now (snapshot %d)", d.Move.Tenant, d.GoalNumber, d.BaseNumber)
	case d.Contain != nil:
		what = "contain " + count(len(d.Contain.Principals), "principal")
	case d.Bootstrap != nil:
		what = fmt.Sprintf("bring back Tidemark's own applications, from now (snapshot %d) to snapshot %d and what they need", d.BaseNumber, d.GoalNumber)
	case d.Undo != nil:
		what = fmt.Sprintf("undo what changed from snapshot %d to %d", d.Undo.From, d.Undo.To)
	}
	fmt.Fprintf(&b, "plan %s: %s, %s, about %s\n", d.Digest[:12], what, count(len(d.Steps), "step"), duration(d.Estimate.Seconds))
	for _, t := range d.Steps {
		fmt.Fprintf(&b, "%5d %s %s\n", t.Number, sign(t.Action), clean(t.line()))
		for _, line := range t.lines {
			fmt.Fprintf(&b, "          %s\n", clean(line))
		}
	}
	elsewhere := "what has to be done on premises:\n"
	if d.Contain != nil {
		elsewhere = "what has to be done on premises, at once, since until then they can sign in again:\n"
	}
	here := func(g gapDoc) bool { return g.ByHand != catalog.OnPremises }
	there := func(g gapDoc) bool { return g.ByHand == catalog.OnPremises }
	if d.Move != nil { // what only a person can do has a list of its own
		here, there = func(g gapDoc) bool { return g.ByHand == "" }, func(gapDoc) bool { return false }
	}
	for _, list := range []struct {
		head string
		has  func(gapDoc) bool
	}{{"what will not come back:\n", here}, {elsewhere, there}} {
		head := list.head
		for _, g := range d.Gaps {
			if list.has(g) {
				fmt.Fprintf(&b, "%s      ! %s\n", head, clean(g.line()))
				head = ""
			}
		}
	}
	b.WriteString(checklist(d.ByHand))
	if len(d.Conflicts) > 0 {
		fmt.Fprintf(&b, "changed again since:\n")
		for _, c := range d.Conflicts {
			fmt.Fprintf(&b, "      ! %s\n", clean(c.line()))
		}
	}
	if d.Room != nil && d.Room.Unread != "" {
		fmt.Fprintf(&b, "whether the directory has room for what is made was not read: %s\n", clean(d.Room.Unread))
	}
	for _, o := range d.Objections {
		fmt.Fprintf(&b, "objection (%s): %s\n", o.Rule, clean(o.Reason))
		if o.Lift != "" {
			fmt.Fprintf(&b, "      to allow it: %s\n", o.Lift)
		}
	}
	switch {
	case len(d.Steps) > 0:
	case d.Contain != nil && len(d.Gaps) == 0:
		b.WriteString("nothing to do: they can do nothing as it is\n")
	case d.Bootstrap != nil:
		b.WriteString("nothing to do: Tidemark's own applications are there and hold what they need\n")
	case d.Undo != nil:
		b.WriteString("nothing to undo\n")
	case d.Move != nil:
		b.WriteString("nothing to do: all of it is there\n")
	case len(d.Gaps) > 0:
		b.WriteString("nothing to do here: what is listed above is all that differs\n")
	default:
		b.WriteString("nothing to do: the tenant is as it was\n")
	}
	return b.String()
}

func (t stepDoc) line() string {
	what := fmt.Sprintf("%s %s %q", t.Action, t.Type, t.Name)
	if t.Name == "" {
		what = fmt.Sprintf("%s %s/%s", t.Action, t.Type, t.ID)
	}
	if t.Link != nil {
		to := t.Link.To.Name
		if to == "" {
			to = string(t.Link.To.ID)
		}
		what += fmt.Sprintf(" %s %s %q", t.Link.Rel, t.Link.To.Type, to)
	}
	return what
}

func (g gapDoc) line() string {
	name := g.Name
	if name == "" {
		name = string(g.ID)
	}
	if g.Field != "" {
		name += ": " + g.Field
	}
	return fmt.Sprintf("%s %s: %s", g.Type, name, g.Reason)
}

// count says how many of a thing there are.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func sign(a plan.Action) string {
	return map[plan.Action]string{plan.Create: "+", plan.Undelete: "^", plan.Update: "~", plan.Attach: ">", plan.Detach: "<", plan.Delete: "-", plan.Issue: "*", plan.Revoke: "x"}[a]
}

// stepName is what to call the object of a step.
func stepName(t plan.Step, called names) string {
	if o, ok := called.Object(t.Ref); ok {
		return holderName(o, catalog.Refs(o), called)
	}
	return t.Name
}

// told says what an update does to each property, of sets and keyed arrays to each element, with names beside
// the IDs in it.
func told(t plan.Step, called names) []string {
	if t.Action != plan.Update {
		return nil
	}
	var bodies [2]entra.Body
	is := map[string]string{}
	for i, values := range []map[string]any{t.Was, t.Set} {
		m := map[string]any{}
		for path, v := range values {
			entra.Set(m, path, v)
		}
		body, err := entra.Encode(m)
		if err != nil {
			return []string{err.Error()}
		}
		bodies[i] = body
		for _, r := range catalog.Refs(entra.Object{Ref: t.Ref, Body: body}) {
			if _, name, ok := called.Find(r.ID, r.Types, r.By); ok {
				is[string(r.ID)] = name
			}
		}
	}
	r, _ := catalog.Lookup(t.Ref.Type)
	var lines []string
	for _, f := range diff.Bodies(r, bodies[0], bodies[1]) {
		path := f.Path
		for id, name := range is {
			path = strings.ReplaceAll(path, "["+id+"]", "["+name+"]")
		}
		switch {
		case f.Before == nil && path != f.Path:
			lines = append(lines, "+ "+path)
		case f.After == nil && path != f.Path:
			lines = append(lines, "- "+path)
		case f.Before == nil:
			lines = append(lines, "+ "+path+": "+short(f.After, is))
		case f.After == nil:
			lines = append(lines, "- "+path+": "+short(f.Before, is))
		default:
			lines = append(lines, "  "+path+": "+short(f.Before, is)+" -> "+short(f.After, is))
		}
	}
	return lines
}

// short is a value in one line of bounded length, with what its IDs are called.
func short(v any, is map[string]string) string {
	if id, ok := v.(string); ok && is[id] != "" {
		return is[id]
	}
	data, err := json.Marshal(values(v))
	text := string(data)
	if err != nil {
		text = fmt.Sprint(v)
	}
	for id, name := range is {
		text = strings.ReplaceAll(text, `"`+id+`"`, name)
	}
	if r := []rune(text); len(r) > 70 {
		text = string(r[:69]) + "…"
	}
	return text
}

func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Second {
		return "1s"
	}
	return d.Round(time.Second).String()
}

// refused is how a command ends whose plan guard objects to.
func refused(x *proposal) error {
	objections := x.objections
	if len(objections) == 0 {
		return nil
	}
	code := 6
	if !slices.ContainsFunc(objections, func(o guard.Objection) bool { return o.Rule != guard.Approvals }) {
		code = 7
	}
	var lifts []string
	for _, o := range objections {
		if o.Lift != "" && !slices.Contains(lifts, o.Lift) {
			lifts = append(lifts, o.Lift)
		}
	}
	if code == 7 {
		by := "plan"
		switch {
		case x.Undo != nil:
			by = "undo"
		case x.Contain != nil:
			by = "contain"
		case x.Bootstrap != nil:
			by = "bootstrap"
		}
		lifts = []string{"write the plan with " + by + " --out FILE, have somebody else approve it with approve FILE, then apply FILE"}
	}
	return &exit{code: code, err: fmt.Errorf("refused by guard, nothing was written: %s", objections[0].Reason), hint: strings.Join(lifts, " ")}
}

// A kept is the document that a plan's record in the log holds.
type kept struct {
	Digest string    `json:"digest"`
	Base   int64     `json:"base"`
	Goal   int64     `json:"goal"`
	Made   time.Time `json:"made"`
	// Requester is who had the plan made, whose own approval does not count.
	Requester string `json:"requester"`
	making
	// Plan is the plan's encoding to the byte, but for its last line feed: the digest is of its bytes.
	Plan json.RawMessage `json:"plan"`
}

// encode writes the document without touching a byte of the plan in it.
func (k kept) encode() ([]byte, error) {
	doc := map[string]any{"digest": k.Digest, "base": k.Base, "goal": k.Goal, "made": k.Made, "requester": k.Requester}
	if k.Undo != nil {
		doc["undo"] = k.Undo
	}
	if k.Move != nil {
		doc["move"] = k.Move
	}
	if k.Contain != nil {
		doc["contain"] = k.Contain
	}
	if k.Bootstrap != nil {
		doc["bootstrap"] = k.Bootstrap
	}
	head, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, err
	}
	return slices.Concat(bytes.TrimSuffix(head, []byte("\n}")), []byte(",\n \"plan\": "), k.Plan, []byte("\n}\n")), nil
}

func (x *proposal) keep() (kept, error) {
	data, err := x.plan.Encode()
	return kept{x.digest, x.base.Number, x.goal.Number, x.made.UTC(), x.requester, x.making, bytes.TrimSuffix(data, []byte("\n"))}, err
}

// open returns the plan that was kept, after checking that it is the one its digest names.
func (k kept) open() (*plan.Plan, error) {
	text := append(slices.Clone(k.Plan), '\n')
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != k.Digest {
		return nil, &exit{code: 6, err: errors.New("the plan was edited: it is not the one its digest names"), hint: "make a new plan"}
	}
	p, err := plan.Decode(text)
	if err != nil {
		return nil, &exit{code: 6, err: fmt.Errorf("read plan: %w", err), hint: "it was edited, or is of another release: make a new plan"}
	}
	return p, nil
}

// unfinished returns the newest restore that was begun and not ended and that wants returns true for.
func (s *session) unfinished(ctx context.Context, wants func(kept, *plan.Plan) bool) (int64, *kept, *plan.Plan, error) {
	plans, err := s.index.Records(ctx, repository.KindPlan, repository.KindResult)
	if err != nil {
		return 0, nil, nil, err
	}
	ended := map[int64]bool{}
	for _, rec := range slices.Backward(plans) {
		if rec.Kind == repository.KindResult {
			ended[rec.Parent] = true
			continue
		}
		if ended[rec.Number] {
			continue
		}
		k, p, err := s.keptPlan(ctx, rec)
		if err != nil {
			return 0, nil, nil, err
		}
		if wants(*k, p) {
			return rec.Number, k, p, nil
		}
	}
	return 0, nil, nil, nil
}

// namesOf knows what the objects of snapshots and of a goal are called.
func (s *session) namesOf(ctx context.Context, of making, goal *snapshot.Snapshot, numbers ...int64) names {
	if of.Move == nil {
		return s.names(ctx, append(numbers, goal.Number)...)
	}
	n := s.names(ctx, numbers...)
	if o, err := s.origin(ctx, of.Move); err == nil {
		n.trees = append(n.trees, o.names(ctx, goal.Number).trees...)
	}
	return n
}

// names knows what the objects of the given snapshots are called.
func (s *session) names(ctx context.Context, numbers ...int64) names {
	n := names{ctx: ctx}
	for _, number := range numbers {
		if tree, err := s.index.Tree(ctx, s.repo, number); err == nil {
			n.trees = append(n.trees, tree)
		}
	}
	return n
}

// isDigest reports whether a text can be the beginning of a digest.
func isDigest(text string) bool {
	_, err := hex.DecodeString(text + strings.Repeat("0", len(text)%2))
	return err == nil && len(text) >= 6 && len(text) <= 64
}
