package catalog

import (
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	eligibleType      entra.Type = "unifiedRoleEligibilitySchedule"
	scheduleType      entra.Type = "unifiedRoleAssignmentSchedule"
	termsType         entra.Type = "unifiedRoleManagementPolicyAssignment"
	managedGroupType  entra.Type = "groupResource"
	groupEligibleType entra.Type = "privilegedAccessGroupEligibilitySchedule"
	groupScheduleType entra.Type = "privilegedAccessGroupAssignmentSchedule"
	groupTermsType    entra.Type = "groupRoleManagementPolicyAssignment"

	onSchedule  = "/roleManagement/directory/role"
	onGroups    = "/identityGovernance/privilegedAccess/group/"
	activation  = "it is an activation, which ends by itself; who still needs it activates it again"
	byProcess   = "a schedule that is made anew begins when the service makes it"
	requestGone = "names the request that made it, which the service forgets"
)

// privilegedAccess declares who can have a role or be in a group, who has or is for a time, and on what terms. Schedules are not
// written themselves: requests, which are no state, have the service make, change and remove them.
// Source: Microsoft Graph documentation, "Overview of role management through the privileged identity management (PIM) API".
func privilegedAccess() []*Resource {
	eligible := schedule(eligibleType, onSchedule+"Eligibility", "Eligible roles", "Who can activate which directory role, until when.", "RoleEligibilitySchedule")
	eligible.Properties = append(eligible.Properties, roleEnds()...)
	eligible.Name, eligible.Match, eligible.Terms = []string{"roleDefinitionId"}, roleKey, termsType

	active := schedule(scheduleType, onSchedule+"Assignment", "Role schedules", "Until when somebody has a directory role, and whether by activation.", "RoleAssignmentSchedule")
	active.Properties = slices.Concat(active.Properties, roleEnds(), never("whether it was given or activated", "assignmentType"))
	active.Name, active.Match, active.Terms, active.Echo = []string{"roleDefinitionId"}, roleKey, termsType, roleAssignmentType

	groupEligible := schedule(groupEligibleType, onGroups+"eligibility", "Eligible members and owners of groups", "Who can activate being a member or an owner of which group, until when.", "PrivilegedEligibilitySchedule")
	groupEligible.Terms = groupTermsType

	groupActive := schedule(groupScheduleType, onGroups+"assignment", "Group schedules", "Until when somebody is a member or an owner of a group, and whether by activation.", "PrivilegedAssignmentSchedule")
	groupActive.Properties = append(groupActive.Properties, never("whether it was given or activated", "assignmentType")...)
	groupActive.Terms, groupActive.Echo = groupTermsType, GroupType

	for _, r := range []*Resource{groupEligible, groupActive} {
		r.Under, r.Among, r.Filter = GroupType, managedGroupType, "groupId eq '{parent}'"
		r.Item = r.List + "/{id}"
		for _, permissions := range [][]string{r.Read, r.Write} {
			permissions[0] = strings.TrimSuffix(permissions[0], "Directory") + "AzureADGroup"
		}
		r.Name, r.Match = []string{"principalId"}, []string{"principalId", "accessId"}
		r.Properties = append(r.Properties, Property{Name: "accessId", Write: OnCreate, Must: true}, Property{Name: "groupId", Omit: true, Reason: "the group that contains it"})
	}

	return []*Resource{
		eligible, active, groupEligible, groupActive,
		terms(termsType, "scopeId eq '/' and scopeType eq 'DirectoryRole'", "Role settings", "On what terms a directory role can be given and activated.", "Directory"),
		terms(groupTermsType, "scopeId eq '{parent}' and scopeType eq 'Group'", "Group settings of privileged access", "On what terms membership and ownership of a group can be given and activated.", "AzureADGroup"),
		{
			Type: managedGroupType, Title: "Groups under privileged access", Doc: "For which groups membership and ownership can be given for a time.", Version: "beta",
			List: onGroups + "resources",
			Name: []string{"id"}, Read: []string{"PrivilegedAccess.Read.AzureADGroup"},
			Refusal: "a group comes under it with the first request or setting, and stays",
		},
	}
}

var roleKey = []string{"principalId", "roleDefinitionId", "directoryScopeId", "appScopeId"}

// schedule declares what a kind of schedules has in common with the others.
func schedule(t entra.Type, path, title, doc, permission string) *Resource {
	return &Resource{
		Type: t, Title: title, Doc: doc,
		List: path + "Schedules", Requests: path + "ScheduleRequests",
		Can: Create | Update | Delete, Read: []string{permission + ".Read.Directory"}, Write: []string{permission + ".ReadWrite.Directory"},
		Properties: slices.Concat(
			[]Property{
				{Name: "principalId", Write: OnCreate, Must: true, Ref: []entra.Type{UserType, GroupType, ServicePrincipalType}},
				{Name: "scheduleInfo", Write: Both, Must: true},
				{Name: "startDateTime", Reason: byProcess},
			},
			never("says whether it comes from a group", "memberType"),
			never(byService, "createdDateTime", "status"),
			omit("moves with every request", "modifiedDateTime"),
			omit(requestGone, "createdUsing"),
		),
		// When it began stands by itself, so that all of scheduleInfo can be written.
		rules: 1, read: func(m map[string]any) {
			if info, ok := m["scheduleInfo"].(map[string]any); ok {
				if begins, ok := info["startDateTime"]; ok {
					m["startDateTime"] = begins
				}
				keep(m, "scheduleInfo", "expiration")
			}
		},
		frozen: func(m map[string]any) string {
			if strings.EqualFold(text(m, "assignmentType"), "Activated") {
				return activation
			}
			if member := text(m, "memberType"); member != "" && !strings.EqualFold(member, "Direct") {
				return "it comes from a group that has it"
			}
			return ""
		},
		untimely: func(m map[string]any, now time.Time) string {
			if begins := moment(text(m, "startDateTime")); begins.After(now) {
				return "it begins only on " + begins.Format(time.DateOnly) + "; ask for it when it is time"
			}
			if ends := moment(text(m, "scheduleInfo.expiration.endDateTime")); !ends.IsZero() && !ends.After(now) {
				return "it was for a time that is over since " + ends.Format(time.DateOnly)
			}
			return ""
		},
		ask:   request,
		fails: failed,
	}
}

func roleEnds() []Property {
	return []Property{
		{Name: "roleDefinitionId", Write: OnCreate, Must: true, Ref: []entra.Type{RoleType}},
		{Name: "directoryScopeId", Write: OnCreate, Ref: []entra.Type{UnitType, ApplicationType, ServicePrincipalType}},
		{Name: "appScopeId", Write: OnCreate},
	}
}

// request asks for a schedule, for another end of it, or for its removal. A start in the past is replaced by the moment
// at which the service makes the schedule.
// Source: Microsoft Graph documentation, "Create roleEligibilityScheduleRequests".
func request(id entra.ID, set, was map[string]any) map[string]any {
	body := map[string]any{"action": "adminAssign", "justification": "Restored from a backup"}
	if was != nil {
		body["action"] = "adminUpdate"
	}
	if set == nil {
		body["action"] = "adminRemove"
	}
	for _, name := range slices.Concat(roleKey, []string{"accessId"}) {
		for _, from := range []map[string]any{was, set} {
			if v, ok := from[name]; ok {
				body[name] = v
			}
		}
	}
	if own := id.Split(); len(own) > 1 {
		body["groupId"] = string(own[0])
	}
	if info, ok := set["scheduleInfo"].(map[string]any); ok {
		body["scheduleInfo"] = map[string]any{"startDateTime": "2020-01-01T00:00:00Z", "expiration": info["expiration"]}
	}
	return body
}

// failed says what became of a request that the service took and will not carry out.
// Source: Microsoft Graph documentation of the status of requests.
func failed(answer map[string]any) string {
	switch status := text(answer, "status"); status {
	case "Failed", "Denied", "AdminDenied", "Canceled", "Revoked", "Invalid", "TimedOut":
		return "the service took the request and says " + status
	}
	return ""
}

// Leads reports whether a schedule is what is written of it and of what the service shows it as. A role that lasts is an
// assignment above all, which every tenant has; one for a time is not, because an assignment would last. That somebody is in a
// group by a schedule, a link alone would not say.
func Leads(schedule entra.Object) bool {
	m := schedule.Body.Decode()
	ends := text(m, "scheduleInfo.expiration.endDateTime") != "" || text(m, "scheduleInfo.expiration.duration") != "" || strings.EqualFold(text(m, "assignmentType"), "Activated")
	return ends || schedule.Ref.Type == groupScheduleType
}

// Eligible returns the directory role that somebody has, or can activate, by a schedule. It reports false for any other object.
func Eligible(o entra.Object, who entra.ID) (role entra.ID, ok bool) {
	if o.Ref.Type != eligibleType && o.Ref.Type != scheduleType {
		return "", false
	}
	m := o.Body.Decode()
	return entra.ID(text(m, "roleDefinitionId")), text(m, "principalId") == string(who)
}

// terms declares on what terms something can be given and activated: a policy with rules, of which one can be
// written at a time, and none be added or taken away.
func terms(t entra.Type, filter, title, doc, permission string) *Resource {
	r := &Resource{
		Type: t, Title: title, Doc: doc, Grants: true,
		List: "/policies/roleManagementPolicyAssignments", Item: "/policies/roleManagementPolicyAssignments/{id}", Filter: filter, Inline: "policy($expand=rules)",
		Name: []string{"roleDefinitionId"}, Match: []string{"roleDefinitionId"},
		Can: Update, Read: []string{"RoleManagementPolicy.Read." + permission}, Write: []string{"RoleManagementPolicy.ReadWrite." + permission},
		Properties: slices.Concat(
			[]Property{
				{Name: "roleDefinitionId", Reason: byService, Ref: []entra.Type{RoleType}},
				{Name: "policy", Write: OnUpdate},
				{Name: "policy.rules", Key: "id"},
				{Name: "policy.rules[].target.operations", Set: true},
				{Name: "policy.rules[].target.enforcedSettings", Set: true},
				{Name: "policy.rules[].target.inheritableSettings", Set: true},
				{Name: "policy.rules[].enabledRules", Set: true},
				{Name: "policy.rules[].notificationRecipients", Set: true},
				{Name: "policy.rules[].claimValue", Ref: []entra.Type{contextType}},
			},
			approvers("policy.rules[].setting.approvalStages[].", "primaryApprovers", "escalationApprovers"),
			never("the service makes a policy for each role", "policyId", "scopeId", "scopeType"),
		),
		rules: 1, read: func(m map[string]any) { keep(m, "policy", "rules") },
		update: func(_ entra.ID, set, was map[string]any) (parts []part, err error) {
			policy, ok := set["policy"].(map[string]any)
			delete(set, "policy")
			if !ok {
				return nil, nil
			}
			had := map[string]string{}
			for _, rule := range list(mapOf(was["policy"])["rules"]) {
				had[text(mapOf(rule), "id")] = textOf(rule)
			}
			for _, rule := range list(policy["rules"]) {
				if id := text(mapOf(rule), "id"); id != "" && had[id] != textOf(rule) {
					parts = append(parts, part{method: "PATCH", at: "/policies/roleManagementPolicies/" + escape(entra.ID(text(was, "policyId"))) + "/rules/" + escape(entra.ID(id)), body: mapOf(rule)})
				}
			}
			return parts, nil
		},
	}
	if t == groupTermsType {
		r.Is, r.Under, r.Among = termsType, GroupType, managedGroupType
		r.Properties[0] = Property{Name: "roleDefinitionId", Reason: byService} // "member" or "owner"
	}
	return r
}

// Echoes reports whether the service shows at objects of the type what schedules say.
func Echoes(t entra.Type) bool {
	return slices.ContainsFunc(declarations.sorted, func(r *Resource) bool { return r.Echo == t })
}

// Follows reports whether an object is what the service shows of a schedule elsewhere: the role assignment that comes and goes
// with it.
func Follows(o, schedule entra.Object) bool {
	r, ok := Lookup(schedule.Ref.Type)
	if !ok || r.Echo != o.Ref.Type {
		return false
	}
	m, s := o.Body.Decode(), schedule.Body.Decode()
	of, _ := Lookup(o.Ref.Type)
	return !slices.ContainsFunc(of.Match, func(name string) bool { return text(m, name) != text(s, name) })
}

// LinkFollows is Follows for a link that starts at what contains the schedule.
func LinkFollows(l entra.Link, schedule entra.Object) bool {
	r, ok := Lookup(schedule.Ref.Type)
	in, contained := Container(schedule.Ref)
	if !ok || !contained || r.Echo != l.From.Type || in != l.From {
		return false
	}
	m := schedule.Body.Decode()
	return strings.EqualFold(text(m, "accessId")+"s", l.Rel) && text(m, "principalId") == string(l.To.ID)
}

func mapOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// moment reads a time of the service's; the zero Time is none.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
