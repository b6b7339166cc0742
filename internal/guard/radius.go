package guard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// radius holds the plan to its limits of size.
func (j *judge) radius() {
	does := j.p.Count()
	for _, l := range []struct {
		name, verb string
		n, limit   int
		of         func(plan.Step) bool
	}{
		{"objects", "writes %d object%s", does.Objects, j.p.Limits.Objects, func(s plan.Step) bool { return s.Link == nil }},
		{"links", "writes %d link%s", does.Links, j.p.Limits.Links, func(s plan.Step) bool { return s.Link != nil }},
		{"deletions", "deletes %d object%s", does.Deletions, j.p.Limits.Deletions, func(s plan.Step) bool { return s.Action == plan.Delete }},
	} {
		if l.n <= l.limit {
			continue
		}
		var steps []int
		for _, s := range j.p.Steps {
			if l.of(s) {
				steps = append(steps, s.Number)
			}
		}
		j.objections = append(j.objections, Objection{
			Rule: BlastRadius, Steps: steps,
			Reason: fmt.Sprintf("the plan "+l.verb+", its limit is %d", l.n, plural(l.n), l.limit),
			Lift:   fmt.Sprintf("--allow %s=%d", l.name, l.n),
		})
	}
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// permissions objects to steps that the writer's token does not allow, where its permissions are known.
func (j *judge) permissions() {
	if j.c.Writer.Permissions == nil {
		return
	}
	missing := map[string][]int{}
	var people []int
	for _, s := range j.p.Steps {
		t := s.Ref.Type
		if s.Link != nil {
			t = s.Link.From.Type
		}
		r, ok := catalog.Lookup(t)
		if !ok {
			continue
		}
		if r.People && j.c.Writer.Ref.Type != catalog.UserType {
			people = append(people, s.Number)
			continue
		}
		for _, need := range r.Write {
			if !slices.ContainsFunc(j.c.Writer.Permissions, func(has string) bool { return strings.EqualFold(has, need) }) {
				missing[need] = append(missing[need], s.Number)
			}
		}
	}
	if len(people) > 0 {
		j.object(Permission, people, "an application would carry out the plan, and the service takes this from people only: leave it out, or let a person sign in for restores (restore.interactive)")
	}
	for need, steps := range missing {
		j.object(Permission, steps, "the identity that would carry out the plan does not hold %s: grant it", need)
	}
}
