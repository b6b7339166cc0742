package emulator

import (
	"slices"
	"strings"
)

// These are settings of the whole tenant: of its groups, its attributes, and what it is to others.

func groupKinds() []*family {
	dir := access{"directory", []string{"Directory.Read.All"}, []string{"Directory.ReadWrite.All"}, nil}
	return []*family{{
		path: "groupSettings", types: []string{"groupSetting"}, noun: "group setting", verbs: "POST PATCH DELETE", access: dir, whole: true,
		create: func(c *call, o *object, _ checked) error {
			t := settingTemplates()[text(o.p["templateId"])]
			if t == nil {
				return notFound(text(o.p["templateId"]))
			}
			taken := false
			c.t.each(o.kind, func(x *object) bool {
				taken = taken || x.live() && x.p["templateId"] == o.p["templateId"]
				return !taken
			})
			if taken {
				return refuse(409, "Request_BadRequest", "A conflicting object with one or more of the specified property values is present in the directory.")
			}
			o.p["displayName"] = t[0]
			return checkSetting(o, t[1:])
		},
		change: func(_ *call, _, d *object, _ checked) error {
			return checkSetting(d, settingTemplates()[text(d.p["templateId"])][1:])
		},
		sample: func(t *Tenant, i int, _ *object) map[string]any {
			id := []string{"62375ab9-6b52-47ed-826b-58e47e0e304b", "5cf42378-d67d-4f36-ba46-e8b86229381d", "898f1161-d651-43d1-805c-3b0b388a9fc2"}[i]
			names := settingTemplates()[id]
			values := []any{}
			for _, name := range names[1:] {
				v := "sample" + itoa(i)
				if strings.HasSuffix(name, "GroupId") {
					v = t.pop.ids.at(kGroup, groupFinance)
				}
				values = append(values, map[string]any{"name": name, "value": v})
			}
			return map[string]any{"templateId": id, "displayName": names[0], "values": values}
		},
	}, {
		path: "groupLifecyclePolicies", types: []string{"groupLifecyclePolicy"}, noun: "group lifecycle policy", verbs: "POST PATCH DELETE", access: dir, full: true,
		create: func(c *call, o *object, _ checked) error {
			one := false
			c.t.each(o.kind, func(x *object) bool { one = one || x.live(); return !one })
			if one {
				return bad("Only one lifecycle policy can exist in a tenant.")
			}
			return checkLifecycle(o)
		},
		change: func(_ *call, _, d *object, _ checked) error { return checkLifecycle(d) },
		sample: func(t *Tenant, i int, _ *object) map[string]any {
			if i > 0 {
				return nil
			}
			return map[string]any{"groupLifetimeInDays": 180, "managedGroupTypes": "Selected", "alternateNotificationEmails": "it@" + t.pop.domain}
		},
	}}
}

// guestTemplate is the template of what is set for one Microsoft 365 group.
const guestTemplate = "08d542b9-071f-4e16-94b0-74abb372e3d9"

// groupSettings are what is set for one Microsoft 365 group.
func groupSettings() []*family {
	names := []string{"AllowToAddGuests"}
	return []*family{{
		path: "settings", under: "groups", types: []string{"groupSetting"}, noun: "group setting", verbs: "POST PATCH DELETE", whole: true,
		access: access{"directory", []string{"Directory.Read.All"}, []string{"Directory.ReadWrite.All"}, nil},
		create: func(c *call, o *object, _ checked) error {
			in := c.t.get(text(o.p["_parent"]))
			switch {
			case o.p["templateId"] != guestTemplate:
				return notFound(text(o.p["templateId"]))
			case !slices.Contains(texts(in.p["groupTypes"]), "Unified"):
				return bad("Settings of this template can be set for Microsoft 365 groups only.")
			case len(liveOnly(c.t.joined(o.kind, "_parent", in.id))) > 0:
				return refuse(409, "Request_BadRequest", "A conflicting object with one or more of the specified property values is present in the directory.")
			}
			o.p["displayName"] = "Group.Unified.Guest"
			return checkSetting(o, names)
		},
		change: func(_ *call, _, d *object, _ checked) error { return checkSetting(d, names) },
		seed: func(t *Tenant, _ string) {
			n := 0
			t.each(kGroup, func(g *object) bool {
				if t.o.Every && g.live() && slices.Contains(texts(g.p["groupTypes"]), "Unified") {
					n++
					t.plant("groups/{}/settings", "", map[string]any{"_parent": g.id, "templateId": guestTemplate, "displayName": "Group.Unified.Guest", "values": []any{map[string]any{"name": names[0], "value": "False"}}})
				}
				return t.o.Every && n < samples
			})
		},
	}}
}

// settingTemplates are what settings can be made of, by id: what each is called, and its names.
func settingTemplates() map[string][]string {
	return map[string][]string{
		"62375ab9-6b52-47ed-826b-58e47e0e304b": {"Group.Unified", "EnableGroupCreation", "GroupCreationAllowedGroupId", "PrefixSuffixNamingRequirement"},
		"5cf42378-d67d-4f36-ba46-e8b86229381d": {"Password Rule Settings", "BannedPasswordCheckOnPremisesMode", "LockoutThreshold"},
		"898f1161-d651-43d1-805c-3b0b388a9fc2": {"Application", "EnableAccessCheckForPrivilegedApplicationUpdates"},
		"dffd5d46-495d-40a9-8e21-954ff55e198a": {"Consent Policy Settings", "EnableGroupSpecificConsent", "ConstrainGroupSpecificConsentToMembersOfGroupId"},
	}
}

// checkSetting refuses values that are not all of the template's.
func checkSetting(o *object, names []string) error {
	got := []string{}
	for _, v := range subs(o.p["values"]) {
		got = append(got, text(v["name"]))
	}
	slices.Sort(got)
	if !slices.Equal(got, slices.Sorted(slices.Values(names))) {
		return bad("The values of a setting must be those of its template, each once.")
	}
	return nil
}

func checkLifecycle(o *object) error {
	if !slices.Contains([]string{"All", "Selected", "None"}, text(o.p["managedGroupTypes"])) {
		return bad("Invalid value specified for property 'managedGroupTypes' of resource 'GroupLifecyclePolicy'.")
	}
	return nil
}

func attributeKinds() []*family {
	a := access{"directory", []string{"CustomSecAttributeDefinition.Read.All", "CustomSecAttributeDefinition.ReadWrite.All"}, []string{"CustomSecAttributeDefinition.ReadWrite.All"}, nil}
	const sets, definitions = "directory/attributeSets", "directory/customSecurityAttributeDefinitions"
	return []*family{{
		path: sets, types: []string{"attributeSet"}, noun: "attribute set", verbs: "POST PATCH", access: a,
		create: func(c *call, o *object, _ checked) error { return c.untaken(text(o.p["id"])) },
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"id": "Set" + itoa(i), "description": "Sample", "maxAttributesPerSet": 25}
		},
	}, {
		path: definitions, types: []string{"customSecurityAttributeDefinition"}, noun: "custom security attribute definition", verbs: "POST PATCH", access: a,
		create: func(c *call, o *object, _ checked) error {
			set := c.t.get(text(o.p["attributeSet"]))
			if !set.live() {
				return notFound(text(o.p["attributeSet"]))
			}
			o.p["id"] = set.id + "_" + text(o.p["name"])
			return c.untaken(text(o.p["id"]))
		},
		change: func(_ *call, o, d *object, _ checked) error {
			if flag(d.p["usePreDefinedValuesOnly"]) && !flag(o.p["usePreDefinedValuesOnly"]) {
				return bad("usePreDefinedValuesOnly cannot be changed from false to true.")
			}
			if s := d.p["status"]; s != "Available" && s != "Deprecated" {
				return bad("Invalid value specified for property 'status'.")
			}
			return nil
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"id": "Set" + itoa(i) + "_Level", "attributeSet": "Set" + itoa(i), "name": "Level", "description": "Sample", "type": "String", "status": "Available",
				"isCollection": false, "isSearchable": true, "usePreDefinedValuesOnly": true}
		},
	}, {
		path: "allowedValues", under: definitions, types: []string{"allowedValue"}, noun: "custom security attribute value", verbs: "POST PATCH", access: a,
		create: func(c *call, o *object, _ checked) error {
			for _, x := range c.t.joined(o.kind, "_parent", text(o.p["_parent"])) {
				if x.p["id"] == o.p["id"] {
					return conflict("id")
				}
			}
			return nil
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"id": "Value " + itoa(i), "isActive": true}
		},
	}}
}

// untaken refuses a name that an object has already.
func (c *call) untaken(id string) error {
	if c.t.get(id) != nil {
		return refuse(409, "Request_BadRequest", "Another object with the same value for property id already exists.")
	}
	return nil
}

func tenantKinds() []*family {
	readOnly := func(path, typ, read string, sample func(t *Tenant, i int, _ *object) map[string]any) *family {
		return &family{path: path, types: []string{typ}, noun: typ, access: access{"directory", []string{read}, nil, nil}, sample: sample}
	}
	together := readOnly("tenantRelationships/multiTenantOrganization", "multiTenantOrganization", "MultiTenantOrganization.Read.All", nil)
	together.one = "multiTenantOrganization"
	together.seed = func(t *Tenant, born string) {
		t.plant(together.path, together.one, map[string]any{"displayName": "Contoso and friends", "description": "Sample", "createdDateTime": born, "state": "active"})
	}
	return []*family{
		{
			path: "directory/onPremisesSynchronization", types: []string{"onPremisesDirectorySynchronization"}, noun: "directory synchronization", verbs: "PATCH",
			access: access{"directory", []string{"OnPremDirectorySynchronization.Read.All", "OnPremDirectorySynchronization.ReadWrite.All"}, []string{"OnPremDirectorySynchronization.ReadWrite.All"}, nil},
			seed: func(t *Tenant, _ string) {
				t.plant("directory/onPremisesSynchronization", "onPremisesSynchronization", map[string]any{
					"configuration": map[string]any{"accidentalDeletionPrevention": map[string]any{"alertThreshold": 500, "synchronizationPreventionType": "enabledForCount"}},
					"features":      map[string]any{"passwordSyncEnabled": true, "blockSoftMatchEnabled": false, "passwordWritebackEnabled": false}})
			},
			change: func(_ *call, o, d *object, in checked) error {
				if features := sub(in.p["features"]); features["passwordWritebackEnabled"] != nil {
					return bad("Property 'features.passwordWritebackEnabled' is read-only and cannot be set.")
				}
				return nil
			},
		},
		together,
		readOnly("tenantRelationships/multiTenantOrganization/tenants", "multiTenantOrganizationMember", "MultiTenantOrganization.Read.All", func(t *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"tenantId": t.fresh(kOrg), "displayName": "Tenant " + itoa(i), "role": "member", "state": "active"}
		}),
		brandingKind(),
		{
			path: "delegatedPermissionClassifications", under: "servicePrincipals", types: []string{"delegatedPermissionClassification"}, noun: "delegated permission classification", verbs: "POST DELETE",
			access: access{"directory", []string{"Application.Read.All", "Application.ReadWrite.All"}, []string{"Policy.ReadWrite.PermissionGrant"}, nil},
			create: func(c *call, o *object, _ checked) error {
				var scope map[string]any
				for _, s := range subs(c.t.get(text(o.p["_parent"])).p["oauth2PermissionScopes"]) {
					if s["id"] == o.p["permissionId"] {
						scope = s
					}
				}
				if scope == nil {
					return bad("Permission '%s' is not exposed by the service principal.", text(o.p["permissionId"]))
				}
				for _, x := range liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"]))) {
					if x.p["permissionId"] == o.p["permissionId"] {
						return conflict("permissionId")
					}
				}
				if name := o.p["permissionName"]; name != nil && name != scope["value"] {
					return bad("permissionName does not match permissionId.")
				}
				o.p["permissionName"] = scope["value"]
				return nil
			},
			sample: func(t *Tenant, i int, parent *object) map[string]any {
				scopes := asList(parent.p["oauth2PermissionScopes"])
				if len(scopes) == 0 {
					scopes = append(scopes, map[string]any{"id": t.fresh(kKey), "value": "sample", "type": "User", "isEnabled": true, "adminConsentDisplayName": "Sample", "adminConsentDescription": "Sample"})
					parent.p["oauth2PermissionScopes"] = scopes
				}
				s := sub(scopes[0])
				return map[string]any{"permissionId": s["id"], "permissionName": s["value"], "classification": []string{"low", "medium", "high"}[i]}
			},
		},
		readOnly("directory/subscriptions", "companySubscription", "Organization.Read.All", func(t *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"commerceSubscriptionId": t.fresh(kOrg), "skuId": t.fresh(kOrg), "skuPartNumber": "SAMPLE_" + itoa(i), "status": "Enabled", "totalLicenses": 10 + i, "isTrial": false,
				"serviceStatus": []any{map[string]any{"servicePlanId": t.fresh(kOrg), "servicePlanName": "SAMPLE", "provisioningStatus": "Success", "appliesTo": "User"}}}
		}),
		readOnly("contracts", "contract", "Directory.Read.All", func(t *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"contractType": "ResellerPartner", "customerId": t.fresh(kOrg), "defaultDomainName": "customer" + itoa(i) + ".example", "displayName": "Customer " + itoa(i)}
		}),
	}
}
