package guard

import (
	"fmt"
	"strings"
	"time"
)

const (
	holdsFor = 4 * time.Hour
	// skew is how far the clocks of an approver and of this machine may be apart.
	skew = 5 * time.Minute
)

// approvals asks for as many people as the plan does. An approval that does not count is passed over, so
// that more of them never make a plan worse.
func (j *judge) approvals(as []Approval, now time.Time) error {
	need := j.p.Limits.Approvers
	if need <= 0 {
		return nil
	}
	digest, err := j.p.Digest()
	if err != nil {
		return err
	}
	people := map[string]bool{}
	var not []string
	for _, a := range as {
		who := strings.ToLower(strings.TrimSpace(a.By))
		switch {
		case a.Plan != digest:
			not = append(not, fmt.Sprintf("that of %q is for another plan", a.By))
		case who == "" || who == strings.ToLower(strings.TrimSpace(j.c.Requester)):
			not = append(not, fmt.Sprintf("that of %q is the requester's own", a.By))
		case a.At.After(now.Add(skew)):
			not = append(not, fmt.Sprintf("that of %q is dated in the future", a.By))
		case !now.Before(a.At.Add(holdsFor)):
			not = append(not, fmt.Sprintf("that of %q has expired", a.By))
		case j.c.Verify == nil || !j.c.Verify(a):
			not = append(not, fmt.Sprintf("the signature of %q is not a known approver's", a.By))
		default:
			people[who] = true
		}
	}
	if len(people) >= need {
		return nil
	}
	reason := fmt.Sprintf("the plan needs %d approvals by different people and has %d", need, len(people))
	if len(not) > 0 {
		reason += "; not counted: " + strings.Join(not, ", ")
	}
	j.object(Approvals, nil, "%s", reason)
	return nil
}
