package emulator

// What people of the tenant may do in other tenants, and those of others in this one.

// everybody is a setting that lets all in to everything, or nobody to anything.
func everybody(access string) props {
	return props{
		"usersAndGroups": props{"accessType": access, "targets": []any{props{"target": "AllUsers", "targetType": "user"}}},
		"applications":   props{"accessType": access, "targets": []any{props{"target": "AllApplications", "targetType": "application"}}},
	}
}

// crossing is what is allowed across tenants unless somebody says otherwise.
func crossing() props {
	return props{
		"b2bCollaborationInbound": everybody("allowed"), "b2bCollaborationOutbound": everybody("allowed"),
		"b2bDirectConnectInbound": everybody("blocked"), "b2bDirectConnectOutbound": everybody("blocked"),
		"inboundTrust":                 props{"isMfaAccepted": false, "isCompliantDeviceAccepted": false, "isHybridAzureADJoinedDeviceAccepted": false},
		"automaticUserConsentSettings": props{"inboundAllowed": false, "outboundAllowed": false},
	}
}

// crossingSample differs from the default in each setting.
func crossingSample(t *Tenant) props {
	users, apps := []any{}, []any{}
	for _, u := range t.some(kUser, 2) {
		users = append(users, props{"target": u.id, "targetType": "user"})
	}
	for _, g := range t.first(kGroup, 1) {
		users = append(users, props{"target": g.id, "targetType": "group"})
	}
	for _, sp := range t.first(kSP, 2) {
		apps = append(apps, props{"target": sp.p["appId"], "targetType": "application"})
	}
	out, in := everybody("allowed"), everybody("allowed")
	out["usersAndGroups"] = props{"accessType": "allowed", "targets": users}
	in["applications"] = props{"accessType": "allowed", "targets": apps}
	return props{
		"b2bCollaborationInbound": in, "b2bCollaborationOutbound": out, "b2bDirectConnectInbound": everybody("allowed"), "b2bDirectConnectOutbound": everybody("allowed"),
		"inboundTrust":                 props{"isMfaAccepted": true, "isCompliantDeviceAccepted": true, "isHybridAzureADJoinedDeviceAccepted": false},
		"automaticUserConsentSettings": props{"inboundAllowed": false, "outboundAllowed": false},
	}
}

// checkCrossing refuses a setting of which one half is missing.
func checkCrossing(_ *call, _, d *object, in checked) error {
	for name, v := range in.p {
		switch name {
		case "b2bCollaborationInbound", "b2bCollaborationOutbound", "b2bDirectConnectInbound", "b2bDirectConnectOutbound", "tenantRestrictions":
			if s := sub(v); s != nil && (s["usersAndGroups"] == nil || s["applications"] == nil) {
				return bad("Both usersAndGroups and applications are required in '%s'.", name)
			}
		}
	}
	return nil
}

func crossTenantKinds() []*family {
	const path, write = "crossTenantAccessPolicy", "Policy.ReadWrite.CrossTenantAccess"
	root := setting(path, "crossTenantAccessPolicy", "cross tenant access policy", write, func() props {
		return props{"displayName": "CrossTenantAccessPolicy", "description": "", "allowedCloudEndpoints": []any{}}
	}, func() props {
		return props{"allowedCloudEndpoints": list("microsoftonline.us", "partner.microsoftonline.cn")}
	})

	standard := setting(path+"/default", "crossTenantAccessPolicyConfigurationDefault", "cross tenant access default", write, func() props {
		p := crossing()
		p["isServiceDefault"] = true
		p["tenantRestrictions"] = everybody("blocked")
		p["invitationRedemptionIdentityProviderConfiguration"] = props{"primaryIdentityProviderPrecedenceOrder": list("externalFederation", "azureActiveDirectory", "socialIdentityProviders"), "fallbackIdentityProvider": "defaultConfiguredIdp"}
		return p
	}, func() props { return props{"isServiceDefault": false} })
	made := standard.sample
	standard.sample = func(t *Tenant, i int, o *object) map[string]any {
		p, all := made(t, i, o), everybody("allowed")
		p["appServiceConnectInbound"] = props{"applications": all["applications"]}
		p["m365CollaborationInbound"], p["m365CollaborationOutbound"] = props{"users": all["usersAndGroups"]}, props{"usersAndGroups": all["usersAndGroups"]}
		for name, v := range crossingSample(t) {
			p[name] = v
		}
		return p
	}
	standard.change = func(c *call, o, d *object, in checked) error {
		if flag(sub(d.p["automaticUserConsentSettings"])["inboundAllowed"]) || flag(sub(d.p["automaticUserConsentSettings"])["outboundAllowed"]) {
			return bad("automaticUserConsentSettings can be turned on for partners only.")
		}
		d.p["isServiceDefault"] = false
		return checkCrossing(c, o, d, in)
	}

	sync := setting(path+"/templates/multiTenantOrganizationIdentitySynchronization", "multiTenantOrganizationIdentitySyncPolicyTemplate", "multi-tenant synchronization template", write, func() props {
		return props{"templateApplicationLevel": "none", "userSyncInbound": props{"isSyncAllowed": false}}
	}, func() props { return props{"userSyncInbound": props{"isSyncAllowed": true}} })
	partners := setting(path+"/templates/multiTenantOrganizationPartnerConfiguration", "multiTenantOrganizationPartnerConfigurationTemplate", "multi-tenant partner template", write, func() props {
		p := crossing()
		p["templateApplicationLevel"] = "none"
		return p
	}, func() props { return props{"inboundTrust": props{"isMfaAccepted": true}} })
	partners.change = checkCrossing
	named := partnerKind(path, write)
	return []*family{root, standard, sync, partners, named, synchronization(named)}
}

func partnerKind(path, write string) *family {
	f := &family{path: "policies/" + path + "/partners", types: []string{"crossTenantAccessPolicyConfigurationPartner"}, noun: "cross tenant partner", verbs: "POST PATCH DELETE", bin: "policies/deletedItems/crossTenantPartners", sealed: true,
		access: access{"directory", []string{"Policy.Read.All"}, []string{write}, []string{"Policy.Read.All"}}}
	made := func(t *Tenant, i int) props {
		id := "22222222-0000-4000-8000-00000000000" + itoa(i)
		p := crossingSample(t)
		p["id"], p["tenantId"], p["isServiceProvider"], p["isInMultiTenantOrganization"] = id, id, nil, false
		p["automaticUserConsentSettings"] = props{"inboundAllowed": true, "outboundAllowed": nil}
		all := everybody("allowed")
		p["appServiceConnectInbound"] = props{"applications": all["applications"]}
		p["m365CollaborationInbound"], p["m365CollaborationOutbound"] = props{"users": all["usersAndGroups"]}, props{"usersAndGroups": all["usersAndGroups"]}
		p["tenantRestrictions"] = everybody("blocked")
		return p
	}
	f.sample = func(t *Tenant, i int, _ *object) map[string]any { return made(t, i) }
	f.seed = func(t *Tenant, _ string) {
		if t.o.Every { // one that synchronises nobody
			t.plant(f.path, "", made(t, samples))
		}
	}
	f.create = func(c *call, o *object, in checked) error {
		id := text(o.p["tenantId"])
		if !isGUID(id) || id == c.t.id {
			return bad("The tenantId '%s' is not valid for a partner.", id)
		}
		if c.t.get(id).live() {
			return refuse(409, "Conflict", "A partner with the tenantId '%s' exists already.", id)
		}
		o.p["id"], o.p["isInMultiTenantOrganization"] = id, false
		return checkCrossing(c, nil, o, in)
	}
	f.change = checkCrossing
	f.remove = func(c *call, o *object) error {
		if len(liveOnly(c.t.joined(kin().kinds[f.path+"/{}/identitySynchronization"], "_parent", o.id))) > 0 {
			return bad("The partner cannot be deleted before its synchronization policy.")
		}
		return nil
	}
	return f
}

func synchronization(partner *family) *family {
	f := &family{path: "identitySynchronization", under: partner.path, one: "identitySynchronization", types: []string{"crossTenantIdentitySyncPolicyPartner"}, noun: "cross tenant synchronization", verbs: "PUT PATCH DELETE", silent: true, access: partner.access,
		bin: "policies/deletedItems/crossTenantSyncPolicyPartners", sealed: true}
	f.create = func(c *call, o *object, _ checked) error { // what lay in the bin under this id is no more
		if old := c.t.binned(o.kind, text(o.p["_parent"])); old != nil {
			c.t.purge(old)
		}
		return nil
	}
	f.sample = func(_ *Tenant, i int, parent *object) map[string]any {
		return props{"displayName": "Partner " + itoa(i), "userSyncInbound": props{"isSyncAllowed": true}}
	}
	f.value = func(_ *Tenant, o *object, name string) (any, bool) { return o.p["_parent"], name == "tenantId" }
	return f
}
