package guard

import (
	"fmt"
	"slices"
	"strings"
)

// told is how many doubts an objection tells in words.
const told = 5

// goal objects to a goal that lies within an attack: to bring back what an intruder did is no restore. That a change is of high
// risk and young does not make it an intruder's, so that a flag lifts it.
func (j *judge) goal() {
	all := j.c.Doubts
	if len(all) <= j.p.Limits.Suspect {
		return
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Doubt) int { return int(a.Since - b.Since) })
	var steps []int
	var texts []string
	last := all[0].Last
	for i, d := range all {
		steps = append(steps, d.Steps...)
		last = min(last, d.Last)
		if i < told {
			texts = append(texts, fmt.Sprintf("%s (since snapshot %d)", strings.TrimSuffix(d.Text, "."), d.Since))
		}
	}
	if more := len(all) - told; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	slices.Sort(steps)
	j.objections = append(j.objections, Objection{
		Rule: Goal, Steps: slices.Compact(steps),
		Reason: fmt.Sprintf("the goal may lie within an attack: the plan would bring back what came up shortly before it, with high risk: %s. Snapshot %d is the last before all of it: make that the goal, or leave this out, unless you know that it is legitimate",
			strings.Join(texts, "; "), last),
		Lift: fmt.Sprintf("--allow suspect=%d", len(all)),
	})
}
