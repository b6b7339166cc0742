package emulator

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Who can have a role or be in a group, who has or is for a time, and on what terms. Schedules are made by requests.

const (
	roleEligible  = "roleManagement/directory/roleEligibilitySchedules"
	roleActive    = "roleManagement/directory/roleAssignmentSchedules"
	pimGroups     = "identityGovernance/privilegedAccess/group"
	groupEligible = pimGroups + "/eligibilitySchedules"
	groupActive   = pimGroups + "/assignmentSchedules"
	managedGroups = pimGroups + "/resources"
	terms         = "policies/roleManagementPolicies"
	termsOf       = "policies/roleManagementPolicyAssignments"
)

func privilegedKinds() []*family {
	may := func(name, of string) access {
		return access{"identityGovernance", []string{name + ".Read." + of, name + ".ReadWrite." + of}, []string{name + ".ReadWrite." + of}, nil}
	}
	ends := func(names ...string) []string { return names }
	rules := access{"identityGovernance", []string{"RoleManagementPolicy.Read.Directory", "RoleManagementPolicy.ReadWrite.Directory"}, []string{"RoleManagementPolicy.ReadWrite.Directory"}, []string{"RoleManagementPolicy.ReadWrite.AzureADGroup"}}
	either := func(names ...string) func(c *call) error {
		return func(c *call) error {
			asked := c.opts.filter.paths()
			if slices.ContainsFunc(names, func(name string) bool { return slices.Contains(asked, name) }) {
				return nil
			}
			return refuse(400, "MissingProvider", "A filter on %s is required.", strings.Join(names, " or "))
		}
	}
	both := func(c *call) error {
		asked := c.opts.filter.paths()
		if slices.Contains(asked, "scopeId") && slices.Contains(asked, "scopeType") {
			if strings.Contains(c.opts.filterRaw, "'Group'") && !c.holds("RoleManagementPolicy.Read.AzureADGroup", "RoleManagementPolicy.ReadWrite.AzureADGroup") {
				return denied()
			}
			return nil
		}
		return refuse(400, "InvalidFilter", "The filter has to name scopeId and scopeType.")
	}
	all := []*family{
		{path: roleEligible, types: []string{"unifiedRoleEligibilitySchedule"}, noun: "eligible role", access: may("RoleEligibilitySchedule", "Directory"), ends: ends("principalId"),
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				// Nothing privileged, as what is planted should change no judgement.
				return sampleSchedule(t, i, map[string]any{"principalId": t.first(kUser, samples+1)[i+1].id, "roleDefinitionId": "88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "directoryScopeId": "/"}, "Direct")
			}},
		{path: roleActive, types: []string{"unifiedRoleAssignmentSchedule"}, noun: "role schedule", access: may("RoleAssignmentSchedule", "Directory"), ends: ends("principalId"),
			seed: func(t *Tenant, _ string) {
				t.each(kRoleAssignment, func(o *object) bool {
					t.lasting(o)
					return true
				})
			},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				who := t.first(kUser, samples+1)[i+1]
				role := t.seed(kRoleAssignment, "unifiedRoleAssignment", linkID("88d8e3e3-8f55-4a1e-953a-9b9898b8876b", t.fresh(kKey)), map[string]any{"principalId": who.id, "roleDefinitionId": "88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "directoryScopeId": "/", "principalOrganizationId": t.id})
				p := sampleSchedule(t, i, map[string]any{"principalId": who.id, "roleDefinitionId": role.p["roleDefinitionId"], "directoryScopeId": "/", "_parent": role.id}, "Direct")
				if p["assignmentType"] = "Assigned"; i == 1 {
					p["assignmentType"] = "Activated"
				}
				return p
			}},
		{path: groupEligible, types: []string{"privilegedAccessGroupEligibilitySchedule"}, noun: "eligible member", access: may("PrivilegedEligibilitySchedule", "AzureADGroup"), ends: ends("principalId", "groupId"), list: either("groupId", "principalId"),
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				return sampleInGroup(t, i, false)
			}},
		{path: groupActive, types: []string{"privilegedAccessGroupAssignmentSchedule"}, noun: "group schedule", access: may("PrivilegedAssignmentSchedule", "AzureADGroup"), ends: ends("principalId", "groupId"), list: either("groupId", "principalId"),
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				p := sampleInGroup(t, i, true)
				if p["assignmentType"] = "assigned"; i == 1 {
					p["assignmentType"] = "activated"
				}
				return p
			}},
		{path: managedGroups, types: []string{"groupResource"}, noun: "group resource", beta: true, ends: ends("_group"), key: func(id string) string { return "managed " + id },
			access: access{"identityGovernance", []string{"PrivilegedAccess.Read.AzureADGroup"}, nil, nil},
			value: func(_ *Tenant, o *object, name string) (any, bool) {
				return o.p["_group"], name == "id"
			}},
		{path: termsOf, types: []string{"unifiedRoleManagementPolicyAssignment"}, noun: "role management policy assignment", inline: []string{"policy"}, access: access{rules.service, rules.read, nil, nil}, list: both,
			seed: func(t *Tenant, _ string) {
				t.each(kRoleDef, func(o *object) bool {
					t.termsFor("/", "DirectoryRole", o.id)
					return true
				})
			},
			value: func(t *Tenant, o *object, name string) (any, bool) {
				if name != "policy" {
					return nil, false
				}
				return maps.Clone(t.get(text(o.p["policyId"])).p), true
			}},
		{path: terms, types: []string{"unifiedRoleManagementPolicy"}, noun: "role management policy", verbs: "PATCH", inline: []string{"rules"},
			access: access{rules.service, append([]string{"RoleManagementPolicy.Read.AzureADGroup"}, rules.read...), rules.write, rules.also}, list: both, act: changeRule,
			change: func(*call, *object, *object, checked) error { return bad("A policy is changed rule by rule.") }},
	}
	for _, path := range []string{roleEligible, roleActive, groupEligible, groupActive} {
		for _, f := range all {
			if f.path != path {
				continue
			}
			asks := *f
			asks.path, asks.verbs, asks.noun, asks.sample, asks.seed, asks.list, asks.ends = strings.TrimSuffix(path, "s")+"Requests", "POST", "request for "+f.noun, nil, nil, nil, nil
			asks.types = []string{f.types[0] + "Request"}
			asks.create = carryOutRequest(path)
			all = append(all, &asks)
			break
		}
	}
	return all
}

// sampleSchedule completes what a schedule of the seed says.
func sampleSchedule(t *Tenant, i int, p map[string]any, member string) map[string]any {
	ends := map[string]any{"type": "noExpiration", "endDateTime": nil, "duration": nil}
	if i > 0 {
		ends = map[string]any{"type": "afterDateTime", "endDateTime": stamp(t.clock().Add(time.Duration(2000*i) * 24 * time.Hour)), "duration": nil}
	}
	maps.Copy(p, map[string]any{"createdDateTime": stamp(t.clock()), "modifiedDateTime": nil, "createdUsing": t.fresh(kKey), "status": "Provisioned", "memberType": member,
		"scheduleInfo": map[string]any{"startDateTime": stamp(t.clock()), "recurrence": nil, "expiration": ends}})
	return p
}

// sampleInGroup makes somebody an owner or a member of a group for a time, or lets them become it.
func sampleInGroup(t *Tenant, i int, active bool) map[string]any {
	var g *object
	n := 0
	t.each(kGroup, func(o *object) bool {
		if o.live() && manageable(o) == nil {
			if n++; n == i+1 {
				g = o
			}
		}
		return g == nil
	})
	who, access, rel := t.first(kUser, 2*samples)[i+2], "member", rMembers
	if i == 2 {
		access, rel = "owner", rOwners
	}
	t.manage(g)
	if active && !t.linked(g, rel, who.id) {
		t.link(g, rel, who.id)
	}
	return sampleSchedule(t, i, map[string]any{"id": g.id + "_" + access + "_" + t.fresh(kKey), "groupId": g.id, "principalId": who.id, "accessId": access}, "direct")
}

// lasting makes the schedule that a role assignment has which was not given for a time.
func (t *Tenant) lasting(o *object) {
	t.plant(roleActive, "", map[string]any{"_parent": o.id, "principalId": o.p["principalId"], "roleDefinitionId": o.p["roleDefinitionId"], "directoryScopeId": o.p["directoryScopeId"],
		"createdDateTime": stamp(t.clock()), "status": "Provisioned", "memberType": "Direct", "assignmentType": "Assigned",
		"scheduleInfo": map[string]any{"startDateTime": stamp(t.clock()), "recurrence": nil, "expiration": map[string]any{"type": "noExpiration", "endDateTime": nil, "duration": nil}}})
}

// roleSchedules returns the schedules of a role assignment.
func (t *Tenant) roleSchedules(o *object) []*object {
	return t.joined(kin().kinds[roleActive], "_parent", o.id)
}

// manage brings a group under privileged access, if it is not.
func (t *Tenant) manage(g *object) {
	if t.get("managed "+g.id) != nil {
		return
	}
	t.plant(managedGroups, "managed "+g.id, map[string]any{"_group": g.id})
	for _, access := range []string{"member", "owner"} {
		t.termsFor(g.id, "Group", access)
	}
}

// manageable says why a group cannot be under privileged access.
func manageable(g *object) error {
	switch {
	case flag(g.p["onPremisesSyncEnabled"]):
		return bad("A group that is synchronized from on-premises cannot be managed.")
	case slices.Contains(texts(g.p["groupTypes"]), "DynamicMembership"):
		return bad("A group with dynamic membership cannot be managed.")
	case !flag(g.p["securityEnabled"]) && !slices.Contains(texts(g.p["groupTypes"]), "Unified"):
		return bad("Only security groups and Microsoft 365 groups can be managed.")
	}
	return nil
}

// termsFor makes the policy for a role, or for a relation to a group.
func (t *Tenant) termsFor(scope, kind, role string) {
	rule := func(name, id string, p map[string]any) map[string]any {
		parts := strings.Split(id, "_")
		p["@odata.type"], p["id"] = "#microsoft.graph.unifiedRoleManagementPolicy"+name+"Rule", id
		p["target"] = map[string]any{"caller": parts[len(parts)-2], "level": parts[len(parts)-1], "operations": list("all"), "inheritableSettings": []any{}, "enforcedSettings": []any{}}
		return p
	}
	ends := func(id, most string, must bool) map[string]any {
		return rule("Expiration", id, map[string]any{"isExpirationRequired": must, "maximumDuration": most})
	}
	tells := func(who, caller, level string) map[string]any {
		return rule("Notification", "Notification_"+who+"_"+caller+"_"+level, map[string]any{"notificationType": "Email", "recipientType": who, "notificationLevel": "All", "isDefaultRecipientsEnabled": true, "notificationRecipients": []any{}})
	}
	id := kind + "_" + t.fresh(kKey) + "_" + t.fresh(kKey)
	t.plant(terms, id, map[string]any{"displayName": kind, "description": kind, "isOrganizationDefault": false, "scopeId": scope, "scopeType": kind, "lastModifiedDateTime": nil, "rules": []any{
		ends("Expiration_Admin_Eligibility", "P365D", false), ends("Expiration_Admin_Assignment", "P180D", false), ends("Expiration_EndUser_Assignment", "PT8H", true),
		rule("Enablement", "Enablement_Admin_Eligibility", map[string]any{"enabledRules": []any{}}),
		rule("Enablement", "Enablement_Admin_Assignment", map[string]any{"enabledRules": list("Justification")}),
		rule("Enablement", "Enablement_EndUser_Assignment", map[string]any{"enabledRules": list("MultiFactorAuthentication", "Justification")}),
		rule("Approval", "Approval_EndUser_Assignment", map[string]any{"setting": map[string]any{"isApprovalRequired": false, "isApprovalRequiredForExtension": false, "isRequestorJustificationRequired": true, "approvalMode": "SingleStage",
			"approvalStages": []any{map[string]any{"approvalStageTimeOutInDays": 1, "isApproverJustificationRequired": true, "escalationTimeInMinutes": 0, "isEscalationEnabled": false, "primaryApprovers": []any{}, "escalationApprovers": []any{}}}}}),
		rule("AuthenticationContext", "AuthenticationContext_EndUser_Assignment", map[string]any{"isEnabled": false, "claimValue": ""}),
		tells("Admin", "Admin", "Eligibility"), tells("Requestor", "EndUser", "Assignment"),
	}})
	t.plant(termsOf, id+"_"+role, map[string]any{"policyId": id, "roleDefinitionId": role, "scopeId": scope, "scopeType": kind})
}

// ruleFor returns a rule of the policy for a role or a relation to a group.
func (t *Tenant) ruleFor(scope, role, id string) (found map[string]any) {
	t.each(kin().kinds[termsOf], func(o *object) bool {
		if o.live() && o.p["scopeId"] == scope && o.p["roleDefinitionId"] == role {
			for _, r := range subs(t.get(text(o.p["policyId"])).p["rules"]) {
				if r["id"] == id {
					found = r
				}
			}
		}
		return found == nil
	})
	return found
}

// changeRule serves the rules of a policy: each is changed by itself.
func changeRule(c *call, o *object, rest []string) (bool, answer, error) {
	if rest[0] != "rules" {
		return false, answer{}, nil
	}
	if len(rest) == 1 && c.method == "GET" {
		return true, answer{status: 200, body: appendValue(nil, map[string]any{"value": o.p["rules"]})}, nil
	}
	if len(rest) != 2 || c.method != "PATCH" {
		return true, answer{}, notAllowed()
	}
	permission := "RoleManagementPolicy.ReadWrite.Directory"
	if o.p["scopeType"] == "Group" {
		permission = "RoleManagementPolicy.ReadWrite.AzureADGroup"
	}
	if !c.holds(permission) {
		return true, answer{}, denied()
	}
	body, err := c.object()
	if err != nil {
		return true, answer{}, err
	}
	d := o.clone()
	rules := slices.Clone(asList(o.p["rules"]))
	d.p["rules"] = rules
	for i, r := range asList(o.p["rules"]) {
		old := sub(r)
		if old["id"] != rest[1] {
			continue
		}
		kind := strings.TrimPrefix(text(old["@odata.type"]), "#")
		switch {
		case body["@odata.type"] != old["@odata.type"]:
			return true, answer{}, bad("The type of a rule has to be given and cannot be changed.")
		case body["id"] != old["id"] || sub(body["target"])["level"] != sub(old["target"])["level"] || sub(body["target"])["caller"] != sub(old["target"])["caller"]:
			return true, answer{}, bad("The id and the target of a rule cannot be changed.")
		case flag(body["isExpirationRequired"]) && text(body["maximumDuration"]) == "":
			return true, answer{}, bad("maximumDuration is required.")
		}
		if err := c.checkValue(kind, false, body, "rule", c.t.schema.Types[o.typ]); err != nil {
			return true, answer{}, err
		}
		next := maps.Clone(old)
		maps.Copy(next, body)
		rules[i] = next
		if id := "Enablement_EndUser_Assignment"; flag(c.ruleIn(d, "AuthenticationContext_EndUser_Assignment")["isEnabled"]) && slices.Contains(texts(c.ruleIn(d, id)["enabledRules"]), "MultiFactorAuthentication") {
			return true, answer{}, bad("Multifactor authentication and an authentication context exclude each other.")
		}
		d.p["lastModifiedDateTime"] = stamp(c.t.clock())
		c.t.put(d, []string{"rules"})
		c.audit("Update "+noun(o.kind), d, changes(o.p, d.p, []string{"rules"}))
		return true, answer{status: 200, body: appendValue(nil, next)}, nil
	}
	return true, answer{}, notFound(rest[1])
}

func (c *call) ruleIn(o *object, id string) map[string]any {
	for _, r := range subs(o.p["rules"]) {
		if r["id"] == id {
			return r
		}
	}
	return nil
}

// carryOutRequest does at once what a request for schedules of a collection asks for.
func carryOutRequest(path string) func(c *call, o *object, in checked) error {
	active, groups := path == roleActive || path == groupActive, strings.HasPrefix(path, pimGroups)
	level := "Eligibility"
	if active {
		level = "Assignment"
	}
	return func(c *call, o *object, in checked) error {
		t, p := c.t, o.p
		action := text(p["action"])
		if !strings.HasPrefix(action, "admin") {
			return bad("The action '%s' is for the principal itself.", action)
		}
		scope, role, err := c.subject(p, groups, active)
		if err != nil {
			return err
		}
		var there *object
		t.each(kin().kinds[path], func(s *object) bool {
			same := s.p["principalId"] == p["principalId"]
			if groups {
				same = same && s.p["groupId"] == p["groupId"] && s.p["accessId"] == p["accessId"]
			} else {
				same = same && s.p["roleDefinitionId"] == p["roleDefinitionId"] && s.p["directoryScopeId"] == p["directoryScopeId"]
			}
			if same && s.live() {
				there = s
			}
			return there == nil
		})
		p["status"], p["createdDateTime"] = "Provisioned", stamp(t.clock())
		if action == "adminRemove" {
			if there == nil {
				return refuse(404, "RoleAssignmentDoesNotExist", "The Role assignment does not exist.")
			}
			p["status"] = "Revoked"
			if role := t.get(text(there.p["_parent"])); role != nil {
				if err := c.mayRemove(role); err != nil {
					return err
				}
				t.discard(role)
			}
			if groups && active {
				t.unlink(t.get(text(there.p["groupId"])), relationOf(there), text(there.p["principalId"]))
			}
			if there.live() {
				t.discard(there)
			}
			return nil
		}
		info, err := c.period(sub(p["scheduleInfo"]))
		if err != nil {
			return err
		}
		ends := sub(info["expiration"])
		if r := t.ruleFor(scope, role, "Expiration_Admin_"+level); flag(r["isExpirationRequired"]) {
			most, _ := strconv.Atoi(strings.Trim(text(r["maximumDuration"]), "PD"))
			until, _ := time.Parse(time.RFC3339, text(ends["endDateTime"]))
			if ends["type"] == "noExpiration" || until.Sub(t.clock()) > time.Duration(most)*24*time.Hour+time.Minute {
				return refuse(400, "RoleAssignmentRequestPolicyValidationFailed", "The following policy rules failed: [\"ExpirationRule\"]")
			}
		}
		for _, rule := range texts(t.ruleFor(scope, role, "Enablement_Admin_"+level)["enabledRules"]) {
			if rule == "Justification" && text(p["justification"]) == "" || rule == "Ticketing" && text(sub(p["ticketInfo"])["ticketNumber"]) == "" {
				return refuse(400, "RoleAssignmentRequestPolicyValidationFailed", "The following policy rules failed: [\"%sRule\"]", rule)
			}
		}
		if action != "adminAssign" {
			if there == nil {
				return refuse(404, "RoleAssignmentDoesNotExist", "The Role assignment does not exist.")
			}
			d := there.clone()
			d.p["scheduleInfo"], d.p["modifiedDateTime"] = map[string]any{"startDateTime": sub(there.p["scheduleInfo"])["startDateTime"], "recurrence": nil, "expiration": ends}, stamp(t.clock())
			t.put(d, []string{"scheduleInfo"})
			return nil
		}
		if there != nil {
			return refuse(400, "RoleAssignmentExists", "The Role assignment already exists.")
		}
		s := map[string]any{"principalId": p["principalId"], "createdDateTime": stamp(t.clock()), "modifiedDateTime": nil, "createdUsing": o.id, "status": "Provisioned", "memberType": "Direct", "scheduleInfo": info}
		if active {
			s["assignmentType"] = "Assigned"
		}
		if groups {
			g := t.get(text(p["groupId"]))
			t.manage(g)
			s["id"] = g.id + "_" + text(p["accessId"]) + "_" + t.fresh(kKey)
			s["groupId"], s["accessId"], s["memberType"] = g.id, p["accessId"], "direct"
			if active {
				s["assignmentType"] = "assigned"
				if rel := relationOf(&object{p: s}); !t.linked(g, rel, text(p["principalId"])) {
					t.link(g, rel, text(p["principalId"]))
				}
			}
		} else {
			s["roleDefinitionId"], s["directoryScopeId"] = p["roleDefinitionId"], p["directoryScopeId"]
			if active {
				x := t.seed(kRoleAssignment, "unifiedRoleAssignment", linkID(role, t.fresh(kKey)), map[string]any{"principalId": p["principalId"], "roleDefinitionId": role, "directoryScopeId": p["directoryScopeId"], "principalOrganizationId": t.id})
				s["_parent"] = x.id
			}
		}
		t.plant(path, "", s)
		return nil
	}
}

// subject holds whom and what a request is about against what there is.
func (c *call) subject(p map[string]any, groups, active bool) (scope, role string, err error) {
	t := c.t
	if groups {
		g := t.liveOf(text(p["groupId"]), kGroup)
		if g == nil {
			return "", "", refuse(404, "ResourceNotFound", "The resource is not found.")
		}
		if err := manageable(g); err != nil {
			return "", "", err
		}
		if t.liveOf(text(p["principalId"]), kUser, kGroup, kSP) == nil {
			return "", "", refuse(404, "SubjectNotFound", "The subject is not found.")
		}
		return g.id, text(p["accessId"]), nil
	}
	who := t.liveOf(text(p["principalId"]), kUser, kGroup, kSP)
	if who == nil {
		return "", "", refuse(404, "SubjectNotFound", "The subject is not found.")
	}
	if who.kind == kSP && !active {
		return "", "", bad("A service principal cannot be eligible.")
	}
	x := &object{kind: kRoleAssignment, id: "-", p: maps.Clone(p)}
	err = c.newRoleAssignment(x)
	if err != nil && strings.Contains(err.Error(), "A conflicting object") {
		err = nil // whether it is a conflict, the schedules say
	}
	if x.p["roleDefinitionId"] != nil {
		p["roleDefinitionId"] = x.p["roleDefinitionId"]
	}
	return "/", text(p["roleDefinitionId"]), err
}

// period completes when a schedule begins and ends.
func (c *call) period(info map[string]any) (map[string]any, error) {
	now := c.t.clock()
	begins, _ := time.Parse(time.RFC3339Nano, text(info["startDateTime"]))
	if begins.Before(now) {
		begins = now
	}
	ends := maps.Clone(sub(info["expiration"]))
	switch text(ends["type"]) {
	case "noExpiration":
		ends["endDateTime"], ends["duration"] = nil, nil
	case "afterDateTime":
		if until, err := time.Parse(time.RFC3339Nano, text(ends["endDateTime"])); err != nil || !until.After(begins) {
			return nil, refuse(400, "InvalidRoleAssignmentRequest", "The end of the schedule is not after its start.")
		}
	case "afterDuration":
		d, err := time.ParseDuration(strings.ToLower(strings.TrimPrefix(text(ends["duration"]), "PT")))
		if days, dayErr := strconv.Atoi(strings.Trim(text(ends["duration"]), "PD")); dayErr == nil {
			d, err = time.Duration(days)*24*time.Hour, nil
		}
		if err != nil {
			return nil, bad("Invalid duration '%s'.", text(ends["duration"]))
		}
		ends = map[string]any{"type": "afterDateTime", "endDateTime": stamp(begins.Add(d)), "duration": nil}
	default:
		return nil, refuse(400, "InvalidRoleAssignmentRequest", "The expiration of the schedule is missing.")
	}
	if info["recurrence"] != nil {
		return nil, bad("A recurrence is not supported.")
	}
	return map[string]any{"startDateTime": stamp(begins), "recurrence": nil, "expiration": ends}, nil
}

// relationOf is the relation that a schedule of a group gives.
func relationOf(s *object) relID {
	if s.p["accessId"] == "owner" {
		return rOwners
	}
	return rMembers
}

// unschedule ends the schedule by which somebody was in a group, since they are not any more.
func (t *Tenant) unschedule(g *object, r relID, who string) {
	var over []*object
	t.each(kin().kinds[groupActive], func(s *object) bool {
		if s.live() && s.p["groupId"] == g.id && s.p["principalId"] == who && relationOf(s) == r {
			over = append(over, s)
		}
		return true
	})
	for _, s := range over {
		t.purge(s)
	}
}

// expire ends the schedules whose time is over.
func (t *Tenant) expire() {
	for _, path := range []string{roleEligible, roleActive, groupEligible, groupActive} {
		var over []*object
		t.each(kin().kinds[path], func(s *object) bool {
			if until, err := time.Parse(time.RFC3339Nano, text(sub(sub(s.p["scheduleInfo"])["expiration"])["endDateTime"])); err == nil && s.live() && !until.After(t.clock()) {
				over = append(over, s)
			}
			return true
		})
		for _, s := range over {
			if role := t.get(text(s.p["_parent"])); role.live() {
				t.discard(role)
			}
			if path == groupActive {
				t.unlink(t.get(text(s.p["groupId"])), relationOf(s), text(s.p["principalId"]))
			}
			t.discard(s)
		}
	}
}
