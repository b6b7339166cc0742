package plan_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// What somebody has for a time comes back for that time, and an activation not at all: the assignment or the membership in
// which they show would last.
func TestWhatIsForATime(t *testing.T) {
	const (
		always = `"scheduleInfo":{"expiration":{"type":"noExpiration"}}`
		ends   = `"scheduleInfo":{"expiration":{"type":"afterDateTime","endDateTime":"2099-01-01T00:00:00Z"}}`
		over   = `"scheduleInfo":{"expiration":{"type":"afterDateTime","endDateTime":"2000-01-01T00:00:00Z"}}`
		later  = `"scheduleInfo":{"startDateTime":"2098-01-01T00:00:00Z","expiration":{"type":"noExpiration"}}`
	)
	role := `"principalId":"` + guid(1) + `","roleDefinitionId":"` + guid(3) + `","directoryScopeId":"/"`
	inGroup := `"principalId":"` + guid(1) + `","accessId":"member","groupId":"` + guid(2) + `"`
	const eligible, schedule, assigned = "unifiedRoleEligibilitySchedule", "unifiedRoleAssignmentSchedule", "unifiedRoleAssignment"
	const group, groupSchedule = "group", "privilegedAccessGroupAssignmentSchedule"
	type object struct{ typ, id, body string }
	given := object{assigned, "a", "{" + role + "}"}
	tests := map[string]struct {
		objects []object
		member  bool
		steps   string // what is made: the types, parted by spaces
		gaps    string // what a gap says
		removes string // what is taken away where only base has it
	}{
		"a role that lasts":      {[]object{given, {schedule, "s", "{" + role + "," + always + `,"assignmentType":"Assigned","memberType":"Direct"}`}}, false, assigned, "anew", assigned},
		"a role for a time":      {[]object{given, {schedule, "s", "{" + role + "," + ends + `,"assignmentType":"Assigned","memberType":"Direct"}`}}, false, schedule, "anew", schedule},
		"an activated role":      {[]object{given, {schedule, "s", "{" + role + "," + ends + `,"assignmentType":"Activated","memberType":"Direct"}`}}, false, "", "activation", ""},
		"a role without a word":  {[]object{given}, false, assigned, "", assigned},
		"a role that is over":    {[]object{given, {schedule, "s", "{" + role + "," + over + `,"assignmentType":"Assigned"}`}}, false, "", "over", schedule},
		"who can have a role":    {[]object{{eligible, "e", "{" + role + "," + always + "}"}}, false, eligible, "", eligible},
		"who will can have one":  {[]object{{eligible, "e", "{" + role + "," + later + "}"}}, false, "", "begins", eligible},
		"by a group":             {[]object{{eligible, "e", "{" + role + "," + always + `,"memberType":"Group"}`}}, false, "", "group", ""},
		"a member":               {nil, true, "", "", ""},
		"a member for a time":    {[]object{{groupSchedule, guid(2) + "/m", "{" + inGroup + "," + ends + `,"assignmentType":"assigned","memberType":"direct"}`}}, true, groupSchedule, "", groupSchedule},
		"a member by a schedule": {[]object{{groupSchedule, guid(2) + "/m", "{" + inGroup + "," + always + `,"assignmentType":"assigned","memberType":"direct"}`}}, true, groupSchedule, "", groupSchedule},
		"an activated member":    {[]object{{groupSchedule, guid(2) + "/m", "{" + inGroup + "," + ends + `,"assignmentType":"activated","memberType":"direct"}`}}, true, "", "activation", ""},
	}
	for name, tt := range tests {
		goal, base := newWorld(), newWorld()
		for _, w := range []world{goal, base} {
			w.put("user", guid(1), `{"displayName":"U","userPrincipalName":"u@x.example"}`)
			w.put(group, guid(2), `{"displayName":"G","mailNickname":"g"}`)
			w.put("unifiedRoleDefinition", guid(3), `{"displayName":"R","isBuiltIn":true}`)
		}
		for _, o := range tt.objects {
			goal.put(entra.Type(o.typ), o.id, o.body)
		}
		if tt.member {
			goal.links[entra.Link{From: entra.Ref{Type: group, ID: entra.ID(guid(2))}, Rel: "members", To: entra.Ref{Type: "user", ID: entra.ID(guid(1))}}] = true
		}
		p := mustMake(t, base, goal, plan.Request{})
		made, attached := "", false
		for _, s := range p.Steps {
			if s.Action == plan.Attach {
				attached = true
				continue
			}
			made += " " + string(s.Ref.Type)
		}
		said := ""
		for _, g := range p.Gaps {
			said += g.Reason + "\n"
		}
		if made = strings.TrimSpace(made); made != tt.steps || !strings.Contains(said, tt.gaps) || attached != (tt.member && tt.objects == nil) {
			t.Errorf("%s: makes %q, attaches %v, says %q", name, made, attached, said)
		}
		p = mustMake(t, goal, base, plan.Request{Scope: plan.Scope{Delete: true}})
		gone, detached := "", false
		for _, s := range p.Steps {
			if s.Action == plan.Detach {
				detached = true
				continue
			}
			gone += " " + string(s.Ref.Type)
		}
		if gone = strings.TrimSpace(gone); gone != tt.removes || detached != (tt.member && tt.objects == nil) {
			t.Errorf("%s: takes away %q, detaches %v", name, gone, detached)
		}
	}
}

// On what terms a role can be given is put back before it is given on them.
func TestTermsComeFirst(t *testing.T) {
	goal, base := newWorld(), newWorld()
	for i, w := range []world{goal, base} {
		w.put("user", guid(1), `{"displayName":"U","userPrincipalName":"u@x.example"}`)
		for _, n := range []int{3, 4} {
			w.put("unifiedRoleDefinition", guid(n), `{"displayName":"R","isBuiltIn":true}`)
			w.put("unifiedRoleManagementPolicyAssignment", "p_"+guid(n), `{"policyId":"p`+guid(n)+`","roleDefinitionId":"`+guid(n)+`","policy":{"rules":[{"id":"Expiration_Admin_Eligibility","isExpirationRequired":`+[]string{"false", "true"}[i]+`}]}}`)
		}
	}
	goal.put("unifiedRoleEligibilitySchedule", "e", `{"principalId":"`+guid(1)+`","roleDefinitionId":"`+guid(3)+`","directoryScopeId":"/","scheduleInfo":{"expiration":{"type":"noExpiration"}}}`)
	p := mustMake(t, base, goal, plan.Request{})
	var gives plan.Step
	for _, s := range p.Steps {
		if s.Action == plan.Create {
			gives = s
		}
	}
	if len(gives.Needs) != 1 || string(p.Steps[gives.Needs[0]-1].Ref.ID) != "p_"+guid(3) {
		t.Errorf("got\n%s", show(p))
	}
}

// The service makes the terms of a role with the role, under a name and with values of its own.
func TestTermsOfANewRole(t *testing.T) {
	goal, base := newWorld(), newWorld()
	terms := func(w world, role, hours string) {
		w.put("unifiedRoleManagementPolicyAssignment", "p_"+role, `{"policyId":"p`+role+`","roleDefinitionId":"`+role+`","policy":{"rules":[{"id":"E","maximumDuration":"`+hours+`"}]}}`)
	}
	goal.put("unifiedRoleDefinition", guid(3), `{"displayName":"R","isBuiltIn":false,"isEnabled":true,"rolePermissions":[{"allowedResourceActions":["a"]}]}`)
	terms(goal, guid(3), "PT1H")
	p := mustMake(t, base, goal, plan.Request{})
	if len(p.Steps) != 1 || len(p.Gaps) != 3 || p.Gaps[1].Field != "policy" || !strings.Contains(p.Gaps[1].Reason, "once more") || p.Gaps[2].Field != "policyId, roleDefinitionId" {
		t.Errorf("got\n%s", show(p))
	}
	base.put("unifiedRoleDefinition", guid(4), `{"displayName":"R","isBuiltIn":false,"isEnabled":true,"rolePermissions":[{"allowedResourceActions":["a"]}]}`)
	terms(base, guid(4), "PT8H")
	alias := map[entra.Ref]entra.Ref{{Type: "unifiedRoleDefinition", ID: entra.ID(guid(3))}: {Type: "unifiedRoleDefinition", ID: entra.ID(guid(4))}}
	p = mustMake(t, base, goal, plan.Request{Aliases: alias})
	if len(p.Steps) != 1 || p.Steps[0].Action != plan.Update || p.Steps[0].Ref.Type != "unifiedRoleManagementPolicyAssignment" {
		t.Errorf("got\n%s", show(p))
	}
}
