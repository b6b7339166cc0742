package emulator

// What people can ask for, who may ask, and who has to agree.

const (
	entitlement = "identityGovernance/entitlementManagement"
	catalogs    = entitlement + "/catalogs"
	packages    = entitlement + "/accessPackages"
	policies    = entitlement + "/assignmentPolicies"
	assignments = entitlement + "/assignments"
	connected   = entitlement + "/connectedOrganizations"
)

func entitlementKinds() []*family {
	may := access{"identityGovernance", []string{"EntitlementManagement.Read.All", "EntitlementManagement.ReadWrite.All"}, []string{"EntitlementManagement.ReadWrite.All"}, nil}
	return []*family{
		{path: catalogs, types: []string{"accessPackageCatalog"}, noun: "access package catalog", verbs: "POST PATCH DELETE", access: may,
			seed: func(t *Tenant, born string) {
				t.plant(catalogs, "", map[string]any{"displayName": "General", "description": "Built-in catalog.", "catalogType": "serviceDefault", "state": "published", "isExternallyVisible": true, "createdDateTime": born, "modifiedDateTime": born})
			},
			create: func(c *call, o *object, _ checked) error {
				o.p["catalogType"], o.p["createdDateTime"], o.p["modifiedDateTime"] = "userManaged", stamp(c.t.clock()), stamp(c.t.clock())
				for name, v := range map[string]any{"state": "published", "isExternallyVisible": true} {
					if o.p[name] == nil {
						o.p[name] = v
					}
				}
				return nil
			},
			change: modified,
			remove: func(c *call, o *object) error {
				switch {
				case o.p["catalogType"] != "userManaged":
					return bad("The catalog cannot be deleted.")
				case c.t.naming(packages, "catalog", o.id) != nil:
					return bad("The catalog has access packages and cannot be deleted.")
				}
				c.t.each(kin().kinds[inPackages], func(x *object) bool {
					if x.live() && text(x.p["appScopeId"]) == inCatalog+o.id {
						c.t.discard(x)
					}
					return true
				})
				return nil
			},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				return map[string]any{"displayName": "Catalog " + itoa(i), "description": "Sample", "catalogType": "userManaged", "state": "published", "isExternallyVisible": i == 1, "createdDateTime": stamp(t.clock()), "modifiedDateTime": stamp(t.clock())}
			}},
		{path: "resources", under: catalogs, types: []string{"accessPackageResource"}, noun: "access package resource", access: may,
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				g := t.first(kGroup, samples+1)[i+1]
				return map[string]any{"displayName": g.p["displayName"], "originId": g.id, "originSystem": "AadGroup", "attributes": []any{}, "createdDateTime": stamp(t.clock()), "modifiedDateTime": stamp(t.clock())}
			}},
		{path: entitlement + "/resourceRequests", types: []string{"accessPackageResourceRequest"}, noun: "access package resource request", verbs: "POST", inline: []string{"catalog", "resource"}, access: may, create: carryOut},
		{path: "customWorkflowExtensions", under: catalogs, types: []string{"accessPackageAssignmentRequestWorkflowExtension", "accessPackageAssignmentWorkflowExtension"}, noun: "custom workflow extension",
			verbs: "POST PATCH PUT DELETE", access: may,
			create: func(c *call, o *object, _ checked) error {
				o.p["createdDateTime"], o.p["lastModifiedDateTime"] = stamp(c.t.clock()), stamp(c.t.clock())
				return nil
			},
			remove: func(c *call, o *object) error {
				var user *object
				c.t.each(kin().kinds[policies], func(p *object) bool {
					for _, s := range subs(p.p["customExtensionStageSettings"]) {
						if p.live() && text(sub(s["customExtension"])["id"]) == o.id {
							user = p
						}
					}
					return user == nil
				})
				if user != nil {
					return bad("The extension is used by policy '%s' and cannot be deleted.", user.id)
				}
				return nil
			},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				p := callout("Extension", i)
				p["@odata.type"] = "#microsoft.graph.accessPackageAssignmentRequestWorkflowExtension"
				if i == 2 {
					p["@odata.type"] = "#microsoft.graph.accessPackageAssignmentWorkflowExtension"
				}
				p["createdDateTime"], p["lastModifiedDateTime"] = stamp(t.clock()), stamp(t.clock())
				return p
			}},
		{path: packages, types: []string{"accessPackage"}, noun: "access package", verbs: "POST PATCH DELETE", inline: []string{"catalog"}, access: may,
			create: func(c *call, o *object, in checked) error {
				if c.t.liveIn(catalogs, text(sub(in.p["catalog"])["id"])) == nil {
					return notFound(text(sub(in.p["catalog"])["id"]))
				}
				o.p["createdDateTime"], o.p["modifiedDateTime"] = stamp(c.t.clock()), stamp(c.t.clock())
				if o.p["isHidden"] == nil {
					o.p["isHidden"] = false
				}
				return nil
			},
			change: modified,
			remove: func(c *call, o *object) error {
				if c.t.naming(assignments, "accessPackage", o.id) != nil {
					return bad("The access package has assignments and cannot be deleted.")
				}
				for p := c.t.naming(policies, "accessPackage", o.id); p != nil; p = c.t.naming(policies, "accessPackage", o.id) {
					c.t.discard(p)
				}
				return nil
			},
			value: func(t *Tenant, o *object, name string) (any, bool) {
				if name != "catalog" {
					return nil, false
				}
				id := text(sub(o.p[name])["id"])
				return map[string]any{"id": id, "displayName": t.get(id).p["displayName"]}, true
			},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				in := t.first(kin().kinds[catalogs], samples)[i%2] // one catalog has none
				return map[string]any{"displayName": "Package " + itoa(i), "description": "Sample", "isHidden": i == 1, "catalog": map[string]any{"id": in.id}, "createdDateTime": stamp(t.clock()), "modifiedDateTime": stamp(t.clock())}
			}},
		{path: "resourceRoleScopes", under: packages, types: []string{"accessPackageResourceRoleScope"}, noun: "access package resource role scope", verbs: "POST DELETE", inline: []string{"role", "scope"}, access: may,
			create: func(c *call, o *object, _ checked) error {
				role, scope, in := sub(o.p["role"]), sub(o.p["scope"]), sub(sub(c.t.get(text(o.p["_parent"])).p["catalog"]))
				r := c.t.get(text(sub(role["resource"])["id"]))
				switch {
				case !r.live() || text(r.p["_parent"]) != text(in["id"]):
					return bad("The resource is not in the catalog of the access package.")
				case text(role["originId"]) == "" || text(role["originSystem"]) != text(r.p["originSystem"]) || text(scope["originId"]) != text(r.p["originId"]):
					return bad("The role or the scope is not of the resource.")
				}
				o.p["createdDateTime"] = stamp(c.t.clock())
				return nil
			},
			sample: func(t *Tenant, i int, parent *object) map[string]any {
				r := t.joined(kin().kinds[catalogs+"/{}/resources"], "_parent", text(sub(parent.p["catalog"])["id"]))[0]
				g := text(r.p["originId"])
				return map[string]any{"createdDateTime": stamp(t.clock()),
					"role":  map[string]any{"id": "role" + itoa(i), "displayName": "Member", "originId": "Member_" + g, "originSystem": "AadGroup", "resource": map[string]any{"id": r.id, "displayName": "Group", "originId": g, "originSystem": "AadGroup"}},
					"scope": map[string]any{"id": "scope" + itoa(i), "displayName": "Root", "originId": g, "originSystem": "AadGroup", "isRootScope": true}}
			}},
		{path: connected, types: []string{"connectedOrganization"}, noun: "connected organization", verbs: "POST PATCH DELETE", full: true, access: may,
			create: func(c *call, o *object, _ checked) error {
				if len(subs(o.p["identitySources"])) != 1 {
					return bad("A connected organization has exactly one identity source.")
				}
				if o.p["state"] == nil {
					o.p["state"] = "configured"
				}
				o.p["createdDateTime"], o.p["modifiedDateTime"] = stamp(c.t.clock()), stamp(c.t.clock())
				return nil
			},
			change: modified,
			remove: func(c *call, o *object) error {
				var user *object
				c.t.each(kin().kinds[policies], func(p *object) bool {
					for _, s := range subs(p.p["specificAllowedTargets"]) {
						if p.live() && text(s["connectedOrganizationId"]) == o.id {
							user = p
						}
					}
					return user == nil
				})
				if user != nil {
					return bad("The organization is named by policy '%s' and cannot be deleted.", user.id)
				}
				return nil
			},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				source := map[string]any{"@odata.type": "#microsoft.graph.domainIdentitySource", "displayName": "Partner", "domainName": "partner" + itoa(i) + ".example"}
				if i == 1 {
					source = map[string]any{"@odata.type": "#microsoft.graph.azureActiveDirectoryTenant", "displayName": "Partner", "tenantId": t.fresh(kKey)}
				}
				return map[string]any{"displayName": "Partner " + itoa(i), "description": "Sample", "state": "configured", "identitySources": []any{source}, "createdDateTime": stamp(t.clock()), "modifiedDateTime": stamp(t.clock())}
			}},
		{path: policies, types: []string{"accessPackageAssignmentPolicy"}, noun: "access package assignment policy", verbs: "POST PUT DELETE", full: true, inline: []string{"accessPackage", "customExtensionStageSettings", "questions"}, access: may,
			create: func(c *call, o *object, _ checked) error {
				o.p["createdDateTime"] = stamp(c.t.clock())
				return c.policy(o)
			},
			change: func(c *call, o, d *object, _ checked) error {
				if text(sub(d.p["accessPackage"])["id"]) != text(sub(o.p["accessPackage"])["id"]) {
					return bad("A policy stays with its access package.")
				}
				return c.policy(d)
			},
			remove: func(c *call, o *object) error {
				if c.t.naming(assignments, "assignmentPolicy", o.id) != nil {
					return bad("The policy has assignments and cannot be deleted.")
				}
				return nil
			},
			value: func(t *Tenant, o *object, name string) (any, bool) {
				if name != "accessPackage" {
					return nil, false
				}
				id := text(sub(o.p[name])["id"])
				return map[string]any{"id": id, "displayName": t.get(id).p["displayName"]}, true
			},
			sample: samplePolicy},
		{path: assignments, types: []string{"accessPackageAssignment"}, noun: "access package assignment", inline: []string{"target", "accessPackage", "assignmentPolicy"}, access: may,
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				p, who := t.first(kin().kinds[policies], 1)[0], t.first(kUser, samples+1)[i+1]
				return map[string]any{"state": "delivered", "status": "Delivered", "customExtensionCalloutInstances": []any{}, "schedule": map[string]any{"startDateTime": stamp(t.clock()), "expiration": map[string]any{"type": "noExpiration"}},
					"target":        map[string]any{"id": t.fresh(kKey), "objectId": who.id, "displayName": who.p["displayName"], "subjectType": "user"},
					"accessPackage": map[string]any{"id": sub(p.p["accessPackage"])["id"]}, "assignmentPolicy": map[string]any{"id": p.id}}
			}},
		{path: entitlement + "/settings", types: []string{"entitlementManagementSettings"}, one: "entitlementManagementSettings", noun: "entitlement management settings", verbs: "PATCH", full: true, access: may,
			seed: func(t *Tenant, _ string) {
				t.plant(entitlement+"/settings", "entitlementManagementSettings", map[string]any{"externalUserLifecycleAction": "blockSignInAndDelete", "durationUntilExternalUserDeletedAfterBlocked": "P30D"})
			}},
	}
}

func entitlementTies(kinds map[string]kindID) []tie {
	write := []string{"EntitlementManagement.ReadWrite.All"}
	packs, orgs := []kindID{kinds[packages]}, []kindID{kinds[connected]}
	return []tie{
		{from: packs, name: "incompatibleAccessPackages", to: packages, write: write},
		{from: packs, name: "incompatibleGroups", to: "groups", write: write},
		{from: orgs, name: "internalSponsors", to: "users", write: write},
		{from: orgs, name: "externalSponsors", to: "users", write: write},
	}
}

// carryOut adds a resource to a catalog or removes it, which is all that a request is for.
func carryOut(c *call, o *object, in checked) error {
	catalog, want := c.t.liveIn(catalogs, text(sub(in.p["catalog"])["id"])), sub(in.p["resource"])
	if catalog == nil {
		return notFound(text(sub(in.p["catalog"])["id"]))
	}
	k := kin().kinds[catalogs+"/{}/resources"]
	there := liveOnly(c.t.joined(k, "_parent", catalog.id))
	switch in.p["requestType"] {
	case "adminAdd":
		origin, kind := c.t.get(text(want["originId"])), map[string]kindID{"AadGroup": kGroup, "AadApplication": kSP}[text(want["originSystem"])]
		if !origin.live() || origin.kind != kind {
			return bad("The resource '%s' does not exist in '%s'.", text(want["originId"]), text(want["originSystem"]))
		}
		for _, x := range there {
			if x.p["originId"] == origin.id {
				return bad("The resource is already in the catalog.")
			}
		}
		c.t.plant(catalogs+"/{}/resources", "", map[string]any{"_parent": catalog.id, "displayName": origin.p["displayName"], "originId": origin.id, "originSystem": want["originSystem"], "attributes": []any{},
			"createdDateTime": stamp(c.t.clock()), "modifiedDateTime": stamp(c.t.clock())})
	case "adminRemove":
		var gone *object
		for _, x := range there {
			if x.p["id"] == want["id"] {
				gone = x
			}
		}
		if gone == nil {
			return notFound(text(want["id"]))
		}
		used := false
		c.t.each(kin().kinds[packages+"/{}/resourceRoleScopes"], func(s *object) bool {
			used = used || s.live() && text(sub(sub(s.p["role"])["resource"])["id"]) == gone.id
			return !used
		})
		if used {
			return bad("An access package uses a role of the resource.")
		}
		c.t.discard(gone)
	default:
		return bad("Requests of this type are not taken.")
	}
	o.p["state"], o.p["createdDateTime"] = "delivered", stamp(c.t.clock())
	return nil
}

// modified notes when an object was changed.
func modified(c *call, _, d *object, _ checked) error {
	d.p["modifiedDateTime"] = stamp(c.t.clock())
	return nil
}

// liveIn returns the living object of a collection with an id.
func (t *Tenant) liveIn(collection, id string) *object {
	if o := t.get(id); o.live() && o.kind == kin().kinds[collection] {
		return o
	}
	return nil
}

// naming returns an object of a collection that has another one in a property.
func (t *Tenant) naming(collection, property, id string) (found *object) {
	t.each(kin().kinds[collection], func(o *object) bool {
		if o.live() && text(sub(o.p[property])["id"]) == id {
			found = o
		}
		return found == nil
	})
	return found
}

// policy holds a policy against what it names.
func (c *call) policy(o *object) error {
	in := c.t.liveIn(packages, text(sub(o.p["accessPackage"])["id"]))
	if in == nil {
		return notFound(text(sub(o.p["accessPackage"])["id"]))
	}
	for _, s := range subs(o.p["specificAllowedTargets"]) {
		for property, kind := range map[string]kindID{"userId": kUser, "groupId": kGroup, "connectedOrganizationId": kin().kinds[connected]} {
			if id := text(s[property]); id != "" {
				if x := c.t.get(id); !x.live() || x.kind != kind {
					return bad("The target '%s' does not exist.", id)
				}
			}
		}
	}
	for _, s := range subs(o.p["customExtensionStageSettings"]) {
		x := c.t.get(text(sub(s["customExtension"])["id"]))
		if !x.live() || text(x.p["_parent"]) != text(sub(in.p["catalog"])["id"]) {
			return bad("The custom extension of stage '%s' does not exist in the catalog.", text(s["stage"]))
		}
		if text(s["id"]) == "" {
			s["id"] = c.t.fresh(kKey)
		}
	}
	for _, q := range subs(o.p["questions"]) {
		if text(q["id"]) == "" {
			q["id"] = c.t.fresh(kKey)
		}
	}
	o.p["modifiedDateTime"] = stamp(c.t.clock())
	return nil
}

func samplePolicy(t *Tenant, i int, _ *object) map[string]any {
	in, who, org := t.first(kin().kinds[packages], samples)[i], t.first(kUser, samples+1)[i+1], t.first(kin().kinds[connected], 1)[0]
	of := t.joined(kin().kinds[catalogs+"/{}/customWorkflowExtensions"], "_parent", text(sub(in.p["catalog"])["id"]))
	user := map[string]any{"@odata.type": "#microsoft.graph.singleUser", "userId": who.id, "description": who.p["displayName"]}
	p := map[string]any{"displayName": "Policy " + itoa(i), "description": "Sample", "accessPackage": map[string]any{"id": in.id}, "createdDateTime": stamp(t.clock()), "modifiedDateTime": stamp(t.clock()),
		"allowedTargetScope": "specificDirectoryUsers", "specificAllowedTargets": []any{user},
		"automaticRequestSettings": nil, "expiration": map[string]any{"type": "afterDuration", "duration": "P365D"}, "notificationSettings": map[string]any{"isAssignmentNotificationDisabled": false},
		"requestorSettings": map[string]any{"enableTargetsToSelfAddAccess": true, "enableTargetsToSelfRemoveAccess": true, "allowCustomAssignmentSchedule": false, "onBehalfRequestors": []any{}},
		"requestApprovalSettings": map[string]any{"isApprovalRequiredForAdd": true, "isApprovalRequiredForUpdate": false, "stages": []any{map[string]any{"durationBeforeAutomaticDenial": "P14D", "isApproverJustificationRequired": true, "isEscalationEnabled": false,
			"primaryApprovers": []any{user, map[string]any{"@odata.type": "#microsoft.graph.requestorManager", "managerLevel": 1}}, "fallbackPrimaryApprovers": []any{}, "escalationApprovers": []any{}, "fallbackEscalationApprovers": []any{}}}},
		"reviewSettings":               map[string]any{"isEnabled": true, "expirationBehavior": "keepAccess", "isSelfReview": false, "isRecommendationEnabled": true, "isReviewerJustificationRequired": true, "primaryReviewers": []any{user}, "fallbackReviewers": []any{}},
		"questions":                    []any{map[string]any{"@odata.type": "#microsoft.graph.accessPackageTextInputQuestion", "id": t.fresh(kKey), "isRequired": true, "sequence": 0, "text": "Why?", "isSingleLineQuestion": true}},
		"customExtensionStageSettings": []any{}}
	switch i {
	case 0:
		p["allowedTargetScope"], p["specificAllowedTargets"] = "specificConnectedOrganizationUsers", []any{map[string]any{"@odata.type": "#microsoft.graph.connectedOrganizationMembers", "connectedOrganizationId": org.id}}
		if len(of) > 0 {
			p["customExtensionStageSettings"] = []any{map[string]any{"id": t.fresh(kKey), "stage": "assignmentRequestCreated", "customExtension": map[string]any{"@odata.type": "#microsoft.graph." + of[0].typ, "id": of[0].id}}}
		}
	case 1:
		p["automaticRequestSettings"] = map[string]any{"requestAccessForAllowedTargets": true, "removeAccessWhenTargetLeavesAllowedTargets": true, "gracePeriodBeforeAccessRemoval": "P7D"}
		p["specificAllowedTargets"] = []any{map[string]any{"@odata.type": "#microsoft.graph.attributeRuleMembers", "description": "Rule", "membershipRule": "(user.department -eq \"Sales\")"}}
	}
	return p
}

// callout is what calls a logic app.
func callout(name string, i int) map[string]any {
	return map[string]any{"displayName": name + " " + itoa(i), "description": "Sample",
		"authenticationConfiguration": map[string]any{"@odata.type": "#microsoft.graph.azureAdPopTokenAuthentication"},
		"clientConfiguration":         map[string]any{"maximumRetries": 1, "timeoutInMilliseconds": 1000},
		"callbackConfiguration":       map[string]any{"@odata.type": "#microsoft.graph.identityGovernance.customTaskExtensionCallbackConfiguration", "timeoutDuration": "PT20M"},
		"endpointConfiguration": map[string]any{"@odata.type": "#microsoft.graph.logicAppTriggerEndpointConfiguration", "subscriptionId": "00000000-0000-4000-8000-000000000001", "resourceGroupName": "governance",
			"logicAppWorkflowName": "flow" + itoa(i), "url": "https://logic.example/" + itoa(i) + "?sig=secret"}}
}
