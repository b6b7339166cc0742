package emulator

import "slices"

// These are the policies of which every tenant has one: what people, guests, devices and applications may do.

// setting is a family of one object. made is how it is in a new tenant, set what a sample of it differs in.
func setting(path, typ, noun, write string, made func() map[string]any, set func() map[string]any) *family {
	f := &family{path: "policies/" + path, types: []string{typ}, noun: noun, one: typ, verbs: "PATCH",
		access: access{"directory", []string{"Policy.Read.All"}, []string{write}, []string{"Policy.Read.All"}}}
	f.seed = func(t *Tenant, _ string) { t.plant(f.path, f.one, made()) }
	f.sample = func(*Tenant, int, *object) map[string]any {
		p := made()
		merge(p, set())
		return p
	}
	return f
}

type props = map[string]any

func tenantSettings() []*family {
	authorization := setting("authorizationPolicy", "authorizationPolicy", "authorization policy", "Policy.ReadWrite.Authorization", func() props {
		return props{"displayName": "Authorization Policy", "description": "Used to manage authorization related settings across the company.",
			"allowedToSignUpEmailBasedSubscriptions": true, "allowedToUseSSPR": true, "allowEmailVerifiedUsersToJoinOrganization": false,
			"allowInvitesFrom": "everyone", "allowUserConsentForRiskyApps": nil, "blockMsolPowerShell": false, "guestUserRoleId": guestRoles()[1],
			"defaultUserRolePermissions": props{"allowedToCreateApps": true, "allowedToCreateSecurityGroups": true, "allowedToCreateTenants": true,
				"allowedToReadBitlockerKeysForOwnedDevice": true, "allowedToReadOtherUsers": true, "permissionGrantPoliciesAssigned": list("ManagePermissionGrantsForSelf.microsoft-user-default-legacy")}}
	}, func() props {
		return props{"allowUserConsentForRiskyApps": false, "allowInvitesFrom": "adminsAndGuestInviters",
			"defaultUserRolePermissions": props{"allowedToCreateApps": false, "permissionGrantPoliciesAssigned": list("ManagePermissionGrantsForSelf.microsoft-user-default-low")}}
	})
	authorization.change = func(_ *call, _, d *object, _ checked) error {
		if id := text(d.p["guestUserRoleId"]); !slices.Contains(guestRoles(), id) {
			return bad("Invalid value specified for property 'guestUserRoleId' of resource 'AuthorizationPolicy'.")
		}
		return nil
	}

	consent := setting("adminConsentRequestPolicy", "adminConsentRequestPolicy", "admin consent request policy", "Policy.ReadWrite.ConsentRequest", func() props {
		return props{"isEnabled": false, "notifyReviewers": false, "remindersEnabled": false, "requestDurationInDays": 0, "reviewers": []any{}, "version": 0}
	}, func() props {
		return props{"isEnabled": true, "notifyReviewers": true, "remindersEnabled": true, "requestDurationInDays": 30, "version": 1}
	})
	consent.verbs = "PUT"
	plain := consent.sample
	consent.sample = func(t *Tenant, i int, o *object) map[string]any {
		p, reviewers := plain(t, i, o), []any{}
		for _, u := range t.some(kUser, 1) {
			reviewers = append(reviewers, props{"query": "/users/" + u.id, "queryType": "MicrosoftGraph", "queryRoot": nil})
		}
		for _, g := range t.first(kGroup, 1) {
			reviewers = append(reviewers, props{"query": "/groups/" + g.id + "/transitiveMembers/microsoft.graph.user", "queryType": "MicrosoftGraph", "queryRoot": nil})
		}
		p["reviewers"] = reviewers
		return p
	}
	consent.change = func(_ *call, o, d *object, in checked) error {
		if err := needs(in, o, "isEnabled", "notifyReviewers", "remindersEnabled", "requestDurationInDays", "reviewers"); err != nil {
			return err
		}
		for _, r := range asList(d.p["reviewers"]) {
			if text(sub(r)["query"]) == "" || text(sub(r)["queryType"]) != "MicrosoftGraph" {
				return bad("A reviewer needs a query of the type MicrosoftGraph.")
			}
		}
		n, _ := number(o.p["version"])
		d.p["version"] = n + 1
		return nil
	}

	registration := setting("deviceRegistrationPolicy", "deviceRegistrationPolicy", "device registration policy", "Policy.ReadWrite.DeviceConfiguration", func() props {
		return props{"displayName": "Device Registration Policy", "description": "Tenant-wide policy that manages initial provisioning controls.",
			"userDeviceQuota": 50, "multiFactorAuthConfiguration": "notRequired", "localAdminPassword": props{"isEnabled": false},
			"azureADRegistration": props{"isAdminConfigurable": false, "allowedToRegister": props{"@odata.type": "#microsoft.graph.allDeviceRegistrationMembership"}},
			"azureADJoin": props{"isAdminConfigurable": true, "allowedToJoin": props{"@odata.type": "#microsoft.graph.allDeviceRegistrationMembership"},
				"localAdmins": props{"enableGlobalAdmins": true, "registeringUsers": props{"@odata.type": "#microsoft.graph.noDeviceRegistrationMembership"}}}}
	}, func() props { return props{"localAdminPassword": props{"isEnabled": true}} })
	registration.verbs, registration.full = "PUT", true
	made := registration.sample
	registration.sample = func(t *Tenant, i int, o *object) map[string]any {
		p, users, groups := made(t, i, o), []any{}, []any{}
		for _, u := range t.some(kUser, 2) {
			users = append(users, u.id)
		}
		for _, g := range t.first(kGroup, 1) {
			groups = append(groups, g.id)
		}
		sub(p["azureADJoin"])["allowedToJoin"] = props{"@odata.type": "#microsoft.graph.enumeratedDeviceRegistrationMembership", "users": users, "groups": groups}
		return p
	}
	registration.change = func(_ *call, o, d *object, in checked) error {
		if err := needs(in, o, "userDeviceQuota", "multiFactorAuthConfiguration", "azureADRegistration", "azureADJoin", "localAdminPassword"); err != nil {
			return err
		}
		if is := sub(o.p["azureADRegistration"]); !flag(is["isAdminConfigurable"]) && !sameJSON(is, d.p["azureADRegistration"]) {
			return bad("azureADRegistration cannot be changed when Intune is enabled.")
		}
		return nil
	}

	validation := setting("federatedTokenValidationPolicy", "federatedTokenValidationPolicy", "federated token validation policy", "Policy.ReadWrite.FedTokenValidation", func() props {
		return props{"validatingDomains": props{"@odata.type": "#microsoft.graph.allDomains", "rootDomains": "none"}}
	}, func() props {
		return props{"validatingDomains": props{"@odata.type": "#microsoft.graph.enumeratedDomains", "rootDomains": "enumerated", "domainNames": list("contoso.example", "mail."+"contoso.example")}}
	})
	flows := setting("authenticationFlowsPolicy", "authenticationFlowsPolicy", "authentication flows policy", "Policy.ReadWrite.AuthenticationFlows", func() props {
		return props{"displayName": "Authentication flows policy", "description": "Authentication flows policy allows modification of settings related to authentication flows in AAD tenant, such as self-service sign up configuration.",
			"selfServiceSignUp": props{"isEnabled": false}}
	}, func() props { return props{"selfServiceSignUp": props{"isEnabled": true}} })

	apps := setting("defaultAppManagementPolicy", "tenantAppManagementPolicy", "tenant app management policy", "Policy.ReadWrite.ApplicationConfiguration", func() props {
		none := func() props { return props{"passwordCredentials": []any{}, "keyCredentials": []any{}} }
		return props{"displayName": "Default app management tenant policy", "description": "Default tenant policy that enforces app management restrictions on applications and service principals.",
			"isEnabled": false, "applicationRestrictions": none(), "servicePrincipalRestrictions": none()}
	}, func() props {
		return props{"applicationRestrictions": restrictions(), "servicePrincipalRestrictions": restrictions()}
	})
	external := setting("externalIdentitiesPolicy", "externalIdentitiesPolicy", "external identities policy", "Policy.ReadWrite.ExternalIdentities", func() props {
		return props{"displayName": "External Identities Policy", "description": "What external identities may do.", "allowExternalIdentitiesToLeave": true, "allowDeletedIdentitiesDataRemoval": false}
	}, func() props { return props{"allowExternalIdentitiesToLeave": false} })
	reviews := setting("accessReviewPolicy", "accessReviewPolicy", "access review policy", "Policy.ReadWrite.AccessReview", func() props {
		return props{"displayName": "Access Review Policy", "description": "Who may set up access reviews.", "isGroupOwnerManagementEnabled": false}
	}, func() props { return props{"isGroupOwnerManagementEnabled": true} })
	external.beta, reviews.beta = true, true
	return []*family{authorization, consent, registration, validation, flows, apps, external, reviews}
}

// some returns objects of a kind that are nobody in particular, unlike the first ones.
func (t *Tenant) some(k kindID, n int) []*object {
	all := t.first(k, 20)
	return all[max(0, len(all)-n):]
}

// guestRoles are what guests can be: like members, limited, or limited to themselves.
func guestRoles() []string {
	return []string{"a0b1b346-4d3e-4e8b-98f8-753987be4970", "10dae51f-b6af-4016-8d66-8c2a99b929b3", "2af84b1e-32c8-42b7-82bc-daa82404023b"}
}

// needs refuses a PUT that leaves something out.
func needs(in checked, o *object, names ...string) error {
	for _, name := range names {
		if _, ok := in.p[name]; !ok {
			return bad("Property '%s' is required to replace '%s'.", name, o.typ)
		}
	}
	return nil
}

// restrictions are one of each kind that applications and service principals can be under.
func restrictions() props {
	const since = "2024-01-01T00:00:00Z"
	return props{
		"passwordCredentials": []any{
			props{"restrictionType": "passwordAddition", "state": "disabled", "maxLifetime": nil, "restrictForAppsCreatedAfterDateTime": since, "excludeActors": nil},
			props{"restrictionType": "passwordLifetime", "state": "enabled", "maxLifetime": "P365D", "restrictForAppsCreatedAfterDateTime": since, "excludeActors": nil},
		},
		"keyCredentials": []any{props{"restrictionType": "asymmetricKeyLifetime", "state": "enabled", "maxLifetime": "P730D", "restrictForAppsCreatedAfterDateTime": since, "excludeActors": nil}},
	}
}
