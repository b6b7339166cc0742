package guard

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

const (
	holdsFor = 4 * time.Hour
	// Skew is how far the clocks of two machines that have to do with one plan may be apart.
	Skew = 5 * time.Minute
)

// approvals asks for as many people as the configuration does, and the plan: what a plan says of it can be edited. An
// approval that does not count is passed over, so that more of them never make a plan worse.
func (j *judge) approvals(as []Approval, now time.Time) error {
	need := max(j.p.Limits.Approvers, j.c.Approvers)
	if need <= 0 {
		return nil
	}
	digest, err := j.p.Digest()
	if err != nil {
		return err
	}
	own := map[string]bool{"": true}
	for _, name := range j.c.Own {
		own[person(name)] = true
	}
	people := map[string]bool{}
	var not []string
	for _, a := range as {
		who := person(a.By)
		switch {
		case a.Plan != digest:
			not = append(not, fmt.Sprintf("that of %q is for another plan", a.By))
		case own[who]:
			not = append(not, fmt.Sprintf("%q asked for the plan, or carries it out", a.By))
		case a.Used:
			not = append(not, fmt.Sprintf("that of %q was for a restore that is finished", a.By))
		case a.At.After(now.Add(Skew)):
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

// SamePerson reports whether two names are taken for those of one person.
func SamePerson(a, b string) bool { return person(a) == person(b) }

// person is what two names of one person have in common: Anna, CONTOSO\anna and anna@contoso.com are one. Of two people
// of one name in two domains it makes one as well, which asks for an approval too many and never for one too few.
func person(name string) string {
	name = name[strings.LastIndexByte(name, '\\')+1:]
	name, _, _ = strings.Cut(name, "@")
	name = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1 // what nobody sees tells nobody apart
		}
		return r
	}, name)
	return strings.ToLower(strings.ToUpper(name)) // so that letters with two lower cases are one
}
