package guard

import (
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A Room is how many objects a directory may hold, and how many count as held: those in its recycle bin do as well.
type Room struct{ Used, Total int }

// Makes returns the steps of a plan that make an object which counts towards what the directory may hold. What is undeleted counts
// already, and what is deleted goes on counting.
func Makes(p *plan.Plan) (steps []int) {
	for _, s := range p.Steps {
		if r, ok := catalog.Lookup(s.Ref.Type); ok && s.Action == plan.Create && r.Counts() {
			steps = append(steps, s.Number)
		}
	}
	return steps
}

// room objects to a plan that makes more objects than the directory may still hold: the service would refuse it half way. Where the
// quota was not read nothing is said, which whoever shows the plan has to say.
func (j *judge) room() {
	if j.c.Room == nil {
		return
	}
	steps := Makes(j.p)
	if left := max(j.c.Room.Total-j.c.Room.Used, 0); len(steps) > left {
		j.object(Quota, steps, "the plan makes %d object%s, and the directory has room for %d: of %d that it may hold, %d are used, those in the recycle bin included; purge what nobody needs from the recycle bin, have Microsoft raise the quota, or restore less",
			len(steps), plural(len(steps)), left, j.c.Room.Total, j.c.Room.Used)
	}
}
