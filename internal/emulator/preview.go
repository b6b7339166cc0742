package emulator

import (
	"maps"
	"slices"
	"strings"
)

// These are what Microsoft Graph has in its preview only, and what profile cards show.

const (
	creationPath  = "policies/servicePrincipalCreationPolicies"
	approvalPath  = "policies/permissionGrantPreApprovalPolicies"
	customerPath  = "identity/b2cUserFlows"
	appChainsPath = "directory/certificateAuthorities/certificateBasedApplicationConfigurations"
)

func previewKinds() []*family {
	cards := &family{path: "admin/people/profileCardProperties", types: []string{"profileCardProperty"}, noun: "profile card property", access: access{"directory", []string{"PeopleSettings.Read.All", "PeopleSettings.ReadWrite.All"}, nil, nil}}
	cards.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		p := props{"id": "CustomAttribute" + itoa(i+1), "directoryPropertyName": "CustomAttribute" + itoa(i+1), "isVisible": true, "annotations": []any{}}
		if i == 0 {
			p["annotations"] = []any{props{"displayName": "Cost center", "localizations": []any{props{"languageTag": "de", "displayName": "Kostenstelle"}, props{"languageTag": "fr", "displayName": "Centre de frais"}}}}
		}
		return p
	}

	evaluation := setting("", "continuousAccessEvaluationPolicy", "continuous access evaluation policy", "Policy.ReadWrite.ConditionalAccess", func() props {
		return props{"displayName": "Continuous Access Evaluation", "description": "Continuous Access Evaluation automatically blocks access in near real time.", "isEnabled": true, "migrate": false, "users": []any{}, "groups": []any{}}
	}, func() props { return nil })
	evaluation.path, evaluation.beta, evaluation.also = "identity/continuousAccessEvaluationPolicy", true, []string{"Policy.Read.All", "Application.Read.All"}
	whole := evaluation.sample
	evaluation.sample = func(t *Tenant, i int, o *object) map[string]any {
		p := whole(t, i, o)
		p["users"], p["groups"] = []any{t.some(kUser, 1)[0].id}, []any{t.first(kGroup, 1)[0].id}
		return p
	}
	evaluation.change = func(_ *call, o, d *object, _ checked) error {
		if flag(o.p["migrate"]) && !flag(d.p["migrate"]) {
			return bad("A migration to Conditional Access cannot be taken back.")
		}
		return nil
	}

	local := setting("b2cAuthenticationMethodsPolicy", "b2cAuthenticationMethodsPolicy", "B2C authentication methods policy", "Policy.ReadWrite.AuthenticationMethod", func() props {
		return props{"isEmailPasswordAuthenticationEnabled": true, "isPhoneOneTimePasswordAuthenticationEnabled": false, "isUserNameAuthenticationEnabled": false}
	}, func() props { return props{"isUserNameAuthenticationEnabled": true} })
	local.beta = true
	local.change = func(_ *call, o, _ *object, in checked) error {
		return needs(in, o, "isEmailPasswordAuthenticationEnabled", "isPhoneOneTimePasswordAuthenticationEnabled", "isUserNameAuthenticationEnabled")
	}
	return slices.Concat([]*family{cards, evaluation, local, invitationPolicies(), preApprovals(), appChains()}, creationPolicies(), customerFlows(), serviceRoles(), []*family{entitlementRoles(), roleAlerts()})
}

// customerFlows are how customers sign up and in.
func customerFlows() []*family {
	f := &family{path: customerPath, types: []string{"b2cIdentityUserFlow"}, noun: "B2C user flow", beta: true, verbs: "POST PATCH DELETE",
		access: access{"directory", []string{"IdentityUserFlow.Read.All", "IdentityUserFlow.ReadWrite.All"}, []string{"IdentityUserFlow.ReadWrite.All"}, nil}}
	f.create = func(c *call, o *object, in checked) error {
		if o.p["id"] = "B2C_1_" + text(in.p["id"]); c.t.get(text(o.p["id"])).live() {
			return bad("A user flow with the name '%s' exists already.", text(in.p["id"]))
		}
		o.p["isLanguageCustomizationEnabled"], o.p["defaultLanguageTag"] = false, nil
		return nil
	}
	f.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"id": "B2C_1_Customer" + itoa(i), "userFlowType": []string{"signUp", "signIn", "passwordReset"}[i], "userFlowTypeVersion": 1, "isLanguageCustomizationEnabled": true, "defaultLanguageTag": "en"}
	}
	questions := &family{path: "userAttributeAssignments", under: customerPath, types: []string{"identityUserFlowAttributeAssignment"}, noun: "user flow attribute assignment", beta: true, access: f.access}
	questions.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"displayName": "Question " + itoa(i), "isOptional": true, "requiresVerification": false, "userInputType": "textBox", "userAttributeValues": []any{}}
	}
	languages := &family{path: "languages", under: customerPath, types: []string{"userFlowLanguageConfiguration"}, noun: "user flow language", beta: true, access: f.access}
	languages.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"id": "en", "displayName": "English", "isEnabled": true}
	}
	return []*family{f, questions, languages}
}

func previewTies(kinds map[string]kindID) []tie {
	return []tie{{[]kindID{kinds[customerPath]}, "userFlowIdentityProviders", "identity/identityProviders", 0, []string{"IdentityUserFlow.ReadWrite.All"}}}
}

func invitationPolicies() *family {
	f := &family{path: "policies/b2bManagementPolicies", types: []string{"b2bManagementPolicy"}, noun: "B2B management policy", beta: true, verbs: "POST PATCH DELETE", full: true,
		access: access{"directory", []string{"Policy.Read.B2BManagementPolicy", "Policy.ReadWrite.B2BManagementPolicy"}, []string{"Policy.ReadWrite.B2BManagementPolicy"}, nil}}
	// Of the policies that hold for the tenant there is one at the most.
	check := func(c *call, o *object) error {
		other := false
		c.t.each(o.kind, func(x *object) bool {
			other = x.live() && x.id != o.id && flag(x.p["isOrganizationDefault"])
			return !other
		})
		if other && flag(o.p["isOrganizationDefault"]) {
			return bad("Another policy of this type is the default of the organization.")
		}
		return checkDefinition(o)
	}
	f.create = func(c *call, o *object, _ checked) error {
		if o.p["isOrganizationDefault"] == nil {
			o.p["isOrganizationDefault"] = false
		}
		return check(c, o)
	}
	f.change = func(c *call, _, d *object, _ checked) error { return check(c, d) }
	f.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"displayName": "Invitations " + itoa(i), "description": "Sample", "isOrganizationDefault": i == 0,
			"definition": list(`{"B2BManagementPolicy":{"InvitationsAllowedAndBlockedDomainsPolicy":{"BlockedDomains":["bad` + itoa(i) + `.example"]}}}`)}
	}
	return f
}

func preApprovals() *family {
	f := &family{path: approvalPath, types: []string{"permissionGrantPreApprovalPolicy"}, noun: "permission grant preapproval policy", beta: true, verbs: "POST PATCH DELETE",
		access: access{"directory", []string{"Policy.Read.PermissionGrant", "Policy.ReadWrite.PermissionGrant"}, []string{"Policy.ReadWrite.PermissionGrant"}, nil}}
	check := func(o *object) error {
		all := subs(o.p["conditions"])
		if len(all) == 0 {
			return bad("A policy needs a condition.")
		}
		for _, one := range all {
			for _, name := range []string{"permissions", "scopeType", "sensitivityLabels"} {
				if one[name] == nil {
					return bad("Property '%s' of a condition is required.", name)
				}
			}
			switch given := sub(one["permissions"]); {
			case given["permissionKind"] == "enumerated" && (len(asList(given["permissionIds"])) == 0 || text(given["resourceApplicationId"]) == ""), given["permissionKind"] == "allPermissionsOnResourceApp" && text(given["resourceApplicationId"]) == "":
				return bad("The permissions of a condition need the application that declares them.")
			}
		}
		return nil
	}
	f.create = func(_ *call, o *object, _ checked) error { return check(o) }
	f.change = func(_ *call, _, d *object, _ checked) error { return check(d) }
	f.sample = func(t *Tenant, i int, _ *object) map[string]any {
		const graph = "#microsoft.graph."
		chat := props{"scopeType": "chat", "sensitivityLabels": props{"@odata.type": graph + "allScopeSensitivityLabels", "labelKind": "all"},
			"permissions": props{"@odata.type": graph + "allPreApprovedPermissions", "permissionKind": "all", "permissionType": "application"}}
		groups := props{"scopeType": "group",
			"sensitivityLabels": props{"@odata.type": graph + "enumeratedScopeSensitivityLabels", "labelKind": "enumerated", "sensitivityLabels": list("d9c43deb-f3e1-4422-9fd6-ccf22a3206b"+itoa(i), "c99dade2-aa54-4890-ac1c-a146fa26bd1e")},
			"permissions": props{"@odata.type": graph + "enumeratedPreApprovedPermissions", "permissionKind": "enumerated", "permissionType": "application", "resourceApplicationId": t.first(kSP, samples)[i].p["appId"],
				"permissionIds": list("9d33613d-f855-483b-bca7-ea63ac9f5485", "134483aa-3dda-4d65-ac91-b8dda1417875")}}
		return props{"conditions": []any{chat, groups}}
	}
	return f
}

// appChains are the authorities that certificates of applications may be demanded to come from.
func appChains() *family {
	f := &family{path: appChainsPath, types: []string{"certificateBasedApplicationConfiguration"}, noun: "certificate based application configuration", beta: true, verbs: "POST PATCH DELETE", inline: []string{"trustedCertificateAuthorities"},
		access: access{"directory", []string{"AppCertTrustConfiguration.Read.All", "AppCertTrustConfiguration.ReadWrite.All"}, []string{"AppCertTrustConfiguration.ReadWrite.All"}, nil}}
	f.create = func(c *call, o *object, _ checked) error {
		all, roots := subs(o.p["trustedCertificateAuthorities"]), 0
		for _, a := range all {
			if a["id"] != nil || text(a["certificate"]) == "" {
				return bad("An authority needs a certificate, and its id is read-only.")
			}
			if flag(a["isRootAuthority"]) {
				roots++
			}
			a["id"] = c.t.fresh(kKey)
		}
		if len(all) == 0 || len(all) > 10 || roots != 1 {
			return bad("A configuration needs between 1 and 10 trusted certificate authorities, one of them the root.")
		}
		if c.t.countLive(o.kind, func(*object) bool { return true }) >= 100 {
			return refuse(403, "Directory_QuotaExceeded", "The maximum number of configurations has been reached.")
		}
		return nil
	}
	f.sample = func(t *Tenant, i int, _ *object) map[string]any {
		return props{"displayName": "Chain " + itoa(i), "description": "Sample", "trustedCertificateAuthorities": []any{
			props{"id": t.fresh(kKey), "certificate": "TUlJQ" + string(rune('A'+i)) + "==", "isRootAuthority": true, "issuer": "CN=Root", "issuerSubjectKeyIdentifier": "00"},
			props{"id": t.fresh(kKey), "certificate": "TUlJR" + string(rune('A'+i)) + "==", "isRootAuthority": false, "issuer": "CN=Root", "issuerSubjectKeyIdentifier": "01"}}}
	}
	return f
}

// creationPolicies say of which applications people may make service principals, with the conditions in them.
func creationPolicies() []*family {
	may := access{"directory", []string{"Policy.Read.All", "Directory.Read.All"}, []string{"Policy.ReadWrite.ServicePrincipalCreate"}, nil}
	untouched := func(id string) error {
		if builtIn(id) {
			return refuse(403, "Authorization_RequestDenied", "Built-in service principal creation policies cannot be changed.")
		}
		return nil
	}
	inside := func(t *Tenant, path, id string) []*object {
		return liveOnly(t.joined(kin().kinds[creationPath+"/{}/"+path], "_parent", id))
	}
	policy := &family{path: creationPath, types: []string{"servicePrincipalCreationPolicy"}, noun: "service principal creation policy", beta: true, verbs: "POST PATCH DELETE", access: may}
	policy.seed = func(t *Tenant, _ string) {
		t.plant(creationPath, "microsoft-all-applications", props{"displayName": "All applications", "description": "Any application.", "isBuiltIn": true})
	}
	policy.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"id": "creation-" + itoa(i), "displayName": "Creation " + itoa(i), "description": "Sample", "isBuiltIn": false}
	}
	policy.create = func(c *call, o *object, _ checked) error {
		id := text(o.p["id"])
		if builtIn(id) || !chosenID().MatchString(id) {
			return bad("The id '%s' of a service principal creation policy is not allowed.", id)
		}
		if c.t.get(id).live() {
			return conflict("id")
		}
		o.p["isBuiltIn"] = false
		return nil
	}
	policy.change = func(_ *call, o, _ *object, _ checked) error { return untouched(o.id) }
	policy.remove = func(c *call, o *object) error {
		if err := untouched(o.id); err != nil {
			return err
		}
		for _, x := range append(inside(c.t, "includes", o.id), inside(c.t, "excludes", o.id)...) {
			c.t.discard(x)
		}
		return nil
	}
	policy.value = func(t *Tenant, o *object, name string) (any, bool) {
		if name != "includes" && name != "excludes" {
			return nil, false
		}
		all := []any{}
		for _, x := range inside(t, name, o.id) {
			p := maps.Clone(x.p)
			delete(p, "_parent")
			all = append(all, p)
		}
		return all, true
	}
	condition := func(path string) *family {
		f := &family{path: path, under: creationPath, types: []string{"servicePrincipalCreationConditionSet"}, noun: "service principal creation condition", beta: true, verbs: "POST DELETE", access: may}
		f.create = func(_ *call, o *object, _ checked) error {
			for _, name := range []string{"applicationIds", "applicationPublisherIds", "applicationTenantIds"} {
				if o.p[name] == nil {
					o.p[name] = list("all")
				}
			}
			for _, name := range []string{"applicationsFromVerifiedPublisherOnly", "certifiedApplicationsOnly"} {
				if o.p[name] == nil {
					o.p[name] = false
				}
			}
			return untouched(text(o.p["_parent"]))
		}
		f.remove = func(_ *call, o *object) error { return untouched(text(o.p["_parent"])) }
		f.sample = func(t *Tenant, i int, parent *object) map[string]any {
			p := props{"applicationIds": list("all"), "applicationPublisherIds": list("all"), "applicationTenantIds": list("all"), "applicationsFromVerifiedPublisherOnly": path == "includes", "certifiedApplicationsOnly": false}
			if path == "excludes" && !strings.HasPrefix(parent.id, "microsoft-") {
				p["applicationIds"] = []any{t.first(kSP, samples)[i].p["appId"]}
			}
			return p
		}
		return f
	}
	return []*family{policy, condition("includes"), condition("excludes")}
}
