// Package verify says whether a restore brought back what its plan promised.
//
// It promises to name everything inside the plan's scope that differs between the goal and a later capture
// but for the gaps that the plan announced: what was not carried out, what the service made different, and
// what someone changed meanwhile. It looks at the two trees, never at what the restore reports of itself. It
// refuses to call equal what the later capture could not read.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A Difference is one thing that is not as the goal has it.
type Difference struct {
	Ref  entra.Ref `json:"ref"` // as the goal names it, else as the later capture does
	Name string    `json:"name,omitempty"`
	// Field is the path of a property, for a link "REL[ID]"; "" is the object itself.
	Field  string `json:"field,omitempty"`
	Goal   any    `json:"goal,omitempty"` // the property's value in the goal, as entra.Decode gives it
	Now    any    `json:"now,omitempty"`  // the property's value in the later capture, by the goal's IDs
	Reason string `json:"reason"`
}

// Run compares the goal with a later capture inside the scope of the plan and returns what differs, ascending
// by ref and field. aliases maps each object that was re-created to its next or newest name; the plan's own
// re-creations are among them. Nothing at all is returned where only announced gaps are left. came names what the service
// made by itself in the place of something of the goal's, as the goal names it.
func Run(ctx context.Context, p *plan.Plan, goal, after snapshot.Tree, aliases map[entra.Ref]entra.Ref) (found []Difference, came map[entra.Ref]entra.Ref, err error) {
	announced := map[key]bool{}
	whole := map[entra.Ref]bool{}
	for _, g := range p.Gaps {
		if g.Field == "" {
			whole[g.Ref] = true
		}
		for f := range strings.SplitSeq(g.Field, ", ") {
			announced[key{g.Ref, f}] = true
		}
	}
	differs := map[key]Difference{}
	came = map[entra.Ref]entra.Ref{}
	add := func(d Difference) {
		if covered(announced, whole, d) {
			return
		}
		k := key{d.Ref, d.Field}
		if _, ok := differs[k]; !ok {
			differs[k] = d
		}
	}
	// What matched under another name is compared under it too.
	paired := map[entra.Ref]entra.Ref{}
	for g, b := range p.IDs {
		paired[g] = b
	}
	for old, to := range aliases {
		// What was made in the place of something may stand beside it, where the service keeps what names nothing any more.
		if _, err := after.Object(ctx, old); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("verify: read %s: %w", old, err)
		}
		paired[old] = to
	}
	// References and relations are held in objects outside the selection, and an ID that no longer means
	// anything looks equal: what would have to be done again says so. It also recognises what the service made by itself.
	again, err := plan.Make(ctx, after, goal, plan.Request{Scope: p.Scope, Aliases: paired, Limits: p.Limits, Enforce: p.Enforce, EnableUsers: p.EnableUsers, RenameTaken: p.RenameTaken})
	if err != nil {
		return nil, nil, fmt.Errorf("verify: %w", err)
	}
	for g, b := range again.IDs {
		if _, known := paired[g]; !known {
			paired[g], came[g] = b, b
		}
	}
	if err := compare(ctx, p, goal, after, paired, add); err != nil {
		return nil, nil, fmt.Errorf("verify: %w", err)
	}
	for _, s := range again.Steps {
		for _, d := range undone(s) {
			if !finer(differs, d) {
				add(d)
			}
		}
	}
	out := make([]Difference, 0, len(differs))
	for _, d := range differs {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Difference) int { return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.Field, b.Field)) })
	return out, came, nil
}

type key struct {
	ref   entra.Ref
	field string
}

// finer reports whether a difference inside the same value is known, which says more.
func finer(found map[key]Difference, d Difference) bool {
	for k := range found {
		if k.ref == d.Ref && d.Field != "" && (strings.HasPrefix(k.field, d.Field+".") || strings.HasPrefix(k.field, d.Field+"[")) {
			return true
		}
	}
	return false
}

// covered reports whether a gap announced the difference, or all of the object.
func covered(announced map[key]bool, whole map[entra.Ref]bool, d Difference) bool {
	if whole[d.Ref] {
		return true
	}
	for f := d.Field; f != ""; {
		if announced[key{d.Ref, f}] {
			return true
		}
		i := strings.LastIndexAny(f, ".[")
		f = f[:max(i, 0)]
	}
	return false
}

// compare is the comparison itself: what the scope selects, body by body and link by link.
func compare(ctx context.Context, p *plan.Plan, goal, after snapshot.Tree, aliases map[entra.Ref]entra.Ref, add func(Difference)) error {
	o := diff.Options{Aliases: aliases, Types: p.Scope.Types}
	if len(p.Scope.Refs) > 0 {
		o.Refs = p.Scope.Refs
	}
	values, err := plan.Recognise(ctx, goal, after, aliases)
	if err != nil {
		return err
	}
	objects := len(p.Scope.Fields) == 0 && len(p.Scope.Links) == 0
	for c, err := range diff.Trees(ctx, after, goal, o) {
		if err != nil {
			return err
		}
		if !p.Scope.Has(c.Ref.Type) && o.Refs == nil {
			continue
		}
		switch {
		case c.IsLink():
			if !objects && !link(p.Scope.Links, c.Link) {
				continue
			}
			d := Difference{Ref: c.Link.From, Field: c.Link.Rel + "[" + string(c.Link.To.ID) + "]"}
			switch {
			case c.Kind == diff.Linked:
				d.Reason = "it held and does not"
			case c.Kind == diff.Unknown && c.Reason == diff.NoBefore:
				d.Reason = "it could not be read whether it holds"
			case c.Kind == diff.Unlinked && p.Scope.Delete:
				d.Reason = "it holds and did not"
			default:
				continue
			}
			add(d)
		case c.Kind == diff.Added && objects:
			add(Difference{Ref: c.Ref, Reason: "it existed and does not"})
		case c.Kind == diff.Unknown && c.Reason == diff.NoBefore && objects:
			add(Difference{Ref: c.Ref, Reason: "it could not be read whether it exists"})
		case c.Kind == diff.Removed && p.Scope.Delete && objects:
			add(Difference{Ref: c.Ref, Reason: "it exists and did not"})
		case c.Kind == diff.Changed:
			fields := c.Fields
			if len(values) > 0 {
				asked := map[string]bool{}
				for _, f := range fields {
					asked[top(f.Path)] = true
				}
				fields = slices.DeleteFunc(values.Compare(*c.Before, *c.After), func(f diff.Field) bool { return !asked[top(f.Path)] })
			}
			for _, f := range fields {
				if objects || field(p.Scope.Fields, f.Path) {
					add(Difference{Ref: c.Ref, Field: f.Path, Goal: f.After, Now: f.Before, Reason: "it differs"})
				}
			}
		}
	}
	return nil
}

// top returns the first name of a path, or all of an annotation's.
func top(path string) string {
	if i := strings.IndexAny(path, ".["); i >= 0 && !strings.HasPrefix(path, "@") {
		return path[:i]
	}
	return path
}

func field(scope []string, path string) bool {
	return slices.ContainsFunc(scope, func(f string) bool {
		rest, ok := strings.CutPrefix(path, f)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

func link(scope []string, l entra.Link) bool {
	return slices.ContainsFunc(scope, func(s string) bool {
		rel, end, one := strings.Cut(strings.TrimSuffix(s, "]"), "[")
		return rel == l.Rel && (!one || end == string(l.To.ID) || end == string(l.From.ID))
	})
}

// undone says what a step that would still be needed leaves to be done.
func undone(s plan.Step) []Difference {
	d := Difference{Ref: s.Ref, Name: s.Name}
	switch s.Action {
	case plan.Attach:
		d.Field, d.Reason = s.Link.Rel+"["+string(s.Link.To.ID)+"]", "it held and does not"
	case plan.Detach:
		d.Field, d.Reason = s.Link.Rel+"["+string(s.Link.To.ID)+"]", "it holds and did not"
	case plan.Create, plan.Undelete:
		d.Reason = "it existed and does not"
	case plan.Delete:
		d.Reason = "it exists and did not"
	case plan.Update:
		var all []Difference
		for path, v := range s.Set {
			all = append(all, Difference{Ref: s.Ref, Name: s.Name, Field: path, Goal: v, Now: s.Was[path], Reason: "it differs"})
		}
		return all
	}
	return []Difference{d}
}
