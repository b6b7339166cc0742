package emulator

import "strings"

// What people have to agree to, whose access is looked at again, and what is done when people come, move and leave.

const (
	agreements = "identityGovernance/termsOfUse/agreements"
	reviews    = "identityGovernance/accessReviews/definitions"
	lifecycle  = "identityGovernance/lifecycleWorkflows"
)

func reviewKinds() []*family {
	return []*family{
		// Only people may write these.
		{path: agreements, types: []string{"agreement"}, noun: "terms of use", inline: []string{"files"}, access: access{"identityGovernance", []string{"Agreement.Read.All"}, nil, nil},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				return map[string]any{"displayName": "Terms " + itoa(i), "isPerDeviceAcceptanceRequired": false, "isViewingBeforeAcceptanceRequired": true, "userReacceptRequiredFrequency": "P90D",
					"termsExpiration": map[string]any{"startDateTime": stamp(t.clock()), "frequency": "P365D"},
					"files":           []any{map[string]any{"id": t.fresh(kKey), "displayName": "Terms", "fileName": "terms.pdf", "language": "en", "isDefault": true, "isMajorVersion": false, "createdDateTime": stamp(t.clock()), "fileData": nil}}}
			}},
		{path: reviews, types: []string{"accessReviewScheduleDefinition"}, noun: "access review", verbs: "POST PUT DELETE",
			access: access{"identityGovernance", []string{"AccessReview.Read.All", "AccessReview.ReadWrite.All"}, []string{"AccessReview.ReadWrite.All"}, nil},
			create: func(c *call, o *object, _ checked) error {
				if begins := text(sub(sub(sub(o.p["settings"])["recurrence"])["range"])["startDate"]); begins != "" && begins < stamp(c.t.clock())[:10] {
					return bad("The start date of a review cannot be in the past.")
				}
				o.p["status"], o.p["createdDateTime"], o.p["lastModifiedDateTime"] = "NotStarted", stamp(c.t.clock()), stamp(c.t.clock())
				return nil
			},
			change: func(c *call, o, d *object, _ checked) error {
				for _, name := range []string{"scope", "instanceEnumerationScope", "stageSettings"} {
					if !sameJSON(versioned(o.p[name]), versioned(d.p[name])) {
						return bad("Property '%s' cannot be changed.", name)
					}
				}
				d.p["lastModifiedDateTime"] = stamp(c.t.clock())
				for _, name := range []string{"scope", "instanceEnumerationScope", "reviewers", "fallbackReviewers"} {
					d.p[name] = versioned(d.p[name])
				}
				return nil
			},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				query := func(path string, o *object) map[string]any {
					return map[string]any{"@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": "/v1.0/" + path + "/" + o.id + "/transitiveMembers", "queryType": "MicrosoftGraph", "queryRoot": nil}
				}
				g, u := t.first(kGroup, samples)[i], t.first(kUser, samples+1)[i+1]
				who := map[string]any{"query": "/users/" + u.id, "queryType": "MicrosoftGraph", "queryRoot": nil}
				return map[string]any{"displayName": "Review " + itoa(i), "descriptionForAdmins": "Sample", "descriptionForReviewers": "Sample", "status": "InProgress", "createdDateTime": stamp(t.clock()), "lastModifiedDateTime": stamp(t.clock()),
					"createdBy": map[string]any{"id": u.id, "displayName": u.p["displayName"], "userPrincipalName": u.p["userPrincipalName"], "ipAddress": nil},
					"scope":     query("groups", g), "instanceEnumerationScope": query("groups", g), "reviewers": []any{who}, "fallbackReviewers": []any{who}, "stageSettings": []any{},
					"additionalNotificationRecipients": []any{map[string]any{"notificationTemplateType": "CompletedAdditionalRecipients",
						"notificationRecipientScope": map[string]any{"@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope", "query": "/users/" + u.id, "queryType": "MicrosoftGraph", "queryRoot": nil}}},
					"settings": map[string]any{"mailNotificationsEnabled": true, "autoApplyDecisionsEnabled": i == 1, "defaultDecision": "Deny", "defaultDecisionEnabled": false, "instanceDurationInDays": 14, "recommendationsEnabled": true, "reminderNotificationsEnabled": true,
						"justificationRequiredOnApproval": true, "applyActions": []any{map[string]any{"@odata.type": "#microsoft.graph.removeAccessApplyAction"}}, "recurrence": map[string]any{
							"pattern": map[string]any{"type": "absoluteMonthly", "interval": 3, "dayOfMonth": 0, "month": 0, "daysOfWeek": []any{}, "firstDayOfWeek": "sunday", "index": "first"},
							"range":   map[string]any{"type": "noEnd", "startDate": "2025-01-01", "numberOfOccurrences": 0, "recurrenceTimeZone": nil, "endDate": "9999-12-31"}}}}
			}},
		{path: "identityGovernance/appConsent/appConsentRequests", types: []string{"appConsentRequest"}, noun: "app consent request", access: access{"identityGovernance", []string{"ConsentRequest.Read.All"}, nil, nil},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				return map[string]any{"appId": t.fresh(kKey), "appDisplayName": "Wanted " + itoa(i), "pendingScopes": []any{map[string]any{"displayName": "Mail.Read"}}}
			}},
	}
}

// versioned returns a value whose queries begin with the version of Graph, and which has no nulls: so the service
// gives it out however it was written.
func versioned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			if x == nil {
				continue
			}
			out[name] = versioned(x)
			if s := text(x); name == "query" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "/v1.0/") && !strings.HasPrefix(s, "/beta/") {
				out[name] = "/v1.0" + s
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = versioned(x)
		}
		return out
	}
	return v
}

func workflowKinds() []*family {
	may := access{"identityGovernance", []string{"LifecycleWorkflows.Read.All", "LifecycleWorkflows.ReadWrite.All"}, []string{"LifecycleWorkflows.ReadWrite.All"}, nil}
	return []*family{
		{path: lifecycle + "/settings", types: []string{"identityGovernance.lifecycleManagementSettings"}, one: "lifecycleManagementSettings", noun: "lifecycle workflow settings", verbs: "PATCH", whole: true, access: may,
			seed: func(t *Tenant, _ string) {
				t.plant(lifecycle+"/settings", "lifecycleManagementSettings", map[string]any{"workflowScheduleIntervalInHours": 3, "emailSettings": map[string]any{"senderDomain": t.pop.domain, "useCompanyBranding": false}})
			},
			change: func(c *call, _, d *object, _ checked) error {
				if !c.t.get(text(sub(d.p["emailSettings"])["senderDomain"])).live() {
					return bad("The sender domain is not a verified domain of the tenant.")
				}
				return nil
			}},
		{path: lifecycle + "/customTaskExtensions", types: []string{"identityGovernance.customTaskExtension"}, noun: "custom task extension", verbs: "POST PATCH DELETE", access: may,
			create: func(c *call, o *object, _ checked) error {
				o.p["createdDateTime"], o.p["lastModifiedDateTime"] = stamp(c.t.clock()), stamp(c.t.clock())
				return nil
			},
			change: func(c *call, _, d *object, _ checked) error {
				d.p["lastModifiedDateTime"] = stamp(c.t.clock())
				return nil
			},
			remove: func(c *call, o *object) error {
				var user *object
				c.t.each(kin().kinds[lifecycle+"/workflows"], func(w *object) bool {
					for _, task := range subs(w.p["tasks"]) {
						for _, a := range subs(task["arguments"]) {
							if w.live() && text(a["value"]) == o.id {
								user = w
							}
						}
					}
					return user == nil
				})
				if user != nil {
					return bad("The extension is used by workflow '%s' and cannot be deleted.", user.id)
				}
				return nil
			},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				p := callout("Task extension", i)
				p["createdDateTime"], p["lastModifiedDateTime"] = stamp(t.clock()), stamp(t.clock())
				return p
			}},
		{path: lifecycle + "/workflows", types: []string{"identityGovernance.workflow"}, noun: "lifecycle workflow", verbs: "POST PATCH DELETE", bin: lifecycle + "/deletedItems/workflows", access: may,
			create: func(c *call, o *object, _ checked) error {
				o.p["version"], o.p["createdDateTime"], o.p["lastModifiedDateTime"] = 1, stamp(c.t.clock()), stamp(c.t.clock())
				for _, name := range []string{"isEnabled", "isSchedulingEnabled"} {
					if o.p[name] == nil {
						o.p[name] = false
					}
				}
				return c.workflow(o)
			},
			change: func(c *call, _, d *object, _ checked) error {
				d.p["lastModifiedDateTime"] = stamp(c.t.clock())
				return c.workflow(d)
			},
			act: newVersion,
			// What a deleted workflow does shows only when it is back.
			value: func(_ *Tenant, o *object, name string) (any, bool) {
				return nil, !o.deleted.IsZero() && (name == "executionConditions" || name == "tasks")
			},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				g, x := t.first(kGroup, samples)[i], t.first(kin().kinds[lifecycle+"/customTaskExtensions"], 1)[0]
				conditions := map[string]any{"@odata.type": "#microsoft.graph.identityGovernance.triggerAndScopeBasedConditions",
					"scope":   map[string]any{"@odata.type": "#microsoft.graph.identityGovernance.ruleBasedSubjectSet", "rule": "department eq 'Sales'"},
					"trigger": map[string]any{"@odata.type": "#microsoft.graph.identityGovernance.timeBasedAttributeTrigger", "timeBasedAttribute": "employeeHireDate", "offsetInDays": i}}
				if i == 2 {
					conditions = map[string]any{"@odata.type": "#microsoft.graph.identityGovernance.onDemandExecutionOnly"}
				}
				task := func(n int, definition string, argument, value string) map[string]any {
					return map[string]any{"id": t.fresh(kKey), "category": "joiner", "taskDefinitionId": definition, "displayName": "Task " + itoa(n), "description": "Sample", "executionSequence": n, "isEnabled": true, "continueOnError": false,
						"arguments": []any{map[string]any{"name": argument, "value": value}}}
				}
				return map[string]any{"displayName": "Workflow " + itoa(i), "description": "Sample", "category": "joiner", "isEnabled": i != 2, "isSchedulingEnabled": i == 0, "version": 1, "executionConditions": conditions,
					"tasks":           []any{task(2, "4262b724-8dba-4fad-afc3-43fcbb497a0e", "customTaskExtensionID", x.id), task(1, "22085229-5809-45e8-97fd-270d28d66910", "groupID", g.id)},
					"createdDateTime": stamp(t.clock()), "lastModifiedDateTime": stamp(t.clock()), "nextScheduleRunDateTime": stamp(t.clock())}
			}},
	}
}

// workflow holds a workflow against what the service takes and numbers its tasks.
func (c *call) workflow(o *object) error {
	if flag(o.p["isSchedulingEnabled"]) && !flag(o.p["isEnabled"]) {
		return bad("A workflow that is disabled cannot be scheduled.")
	}
	if len(subs(o.p["tasks"])) == 0 {
		return bad("A workflow needs a task.")
	}
	for i, task := range subs(o.p["tasks"]) {
		if task["executionSequence"] == nil {
			task["id"], task["executionSequence"] = c.t.fresh(kKey), i+1
		}
		if text(task["taskDefinitionId"]) == "" || text(task["displayName"]) == "" {
			return bad("A task needs a definition and a name.")
		}
	}
	return nil
}

// newVersion makes of a complete workflow the next version of one that exists.
func newVersion(c *call, o *object, rest []string) (bool, answer, error) {
	if rest[0] != "createNewVersion" || len(rest) != 1 || c.method != "POST" {
		return false, answer{}, nil
	}
	if err := c.allow(o.kind, true); err != nil {
		return true, answer{}, err
	}
	body, err := c.object()
	if err != nil {
		return true, answer{}, err
	}
	typ := c.t.schema.Types[o.typ]
	in, err := c.check(sub(body["workflow"]), typ, true)
	if err != nil {
		return true, answer{}, err
	}
	for _, name := range typ.Required {
		if in.p[name] == nil {
			return true, answer{}, missing(typ, name)
		}
	}
	if in.p["category"] != o.p["category"] {
		return true, answer{}, bad("The category of a workflow cannot be changed.")
	}
	d := o.clone()
	delete(d.p, "description")
	for name, v := range in.p {
		d.p[name] = v
	}
	for _, task := range subs(d.p["tasks"]) {
		delete(task, "executionSequence")
	}
	if err := c.workflow(d); err != nil {
		return true, answer{}, err
	}
	n, _ := number(o.p["version"])
	d.p["version"], d.p["lastModifiedDateTime"] = n+1, stamp(c.t.clock())
	c.t.put(d, []string{"tasks", "executionConditions"})
	c.audit("Update "+noun(o.kind), d, changes(o.p, d.p, []string{"executionConditions", "tasks"}))
	a, err := c.one(d)
	return true, a, err
}
