package emulator

import "maps"

// These are how people from outside sign up and in.

func externalKinds() []*family {
	may := func(name string) access {
		return access{"directory", []string{name + ".Read.All", name + ".ReadWrite.All"}, []string{name + ".ReadWrite.All"}, nil}
	}
	const all = "POST PATCH DELETE"
	return []*family{{
		path: "identity/identityProviders", types: []string{"socialIdentityProvider", "oidcIdentityProvider", "appleManagedIdentityProvider", "builtInIdentityProvider"}, noun: "identity provider",
		verbs: all, access: may("IdentityProvider"),
		create: func(_ *call, o *object, _ checked) error {
			if o.typ == "builtInIdentityProvider" {
				return bad("Built-in identity providers cannot be created.")
			}
			if o.typ == "socialIdentityProvider" {
				for _, name := range []string{"identityProviderType", "clientId", "clientSecret", "displayName"} {
					if text(o.p[name]) == "" {
						return bad("Property '%s' is required.", name)
					}
				}
				o.p["id"] = text(o.p["identityProviderType"]) + "-OAUTH"
			}
			return nil
		},
		change: func(_ *call, o, d *object, in checked) error {
			if o.typ == "builtInIdentityProvider" {
				return bad("Built-in identity providers cannot be changed.")
			}
			return unmasked(in.p)
		},
		remove: func(_ *call, o *object) error {
			if o.typ == "builtInIdentityProvider" {
				return bad("Built-in identity providers cannot be deleted.")
			}
			return nil
		},
		value: func(_ *Tenant, o *object, name string) (any, bool) {
			switch name {
			case "clientSecret", "certificateData":
				return masked, o.p[name] != nil
			case "clientAuthentication":
				return mask(o.p[name], "clientSecret"), true
			}
			return nil, false
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			switch i {
			case 0:
				return map[string]any{"@odata.type": "#microsoft.graph.builtInIdentityProvider", "displayName": "Microsoft Account", "identityProviderType": "MicrosoftAccount"}
			case 1:
				return map[string]any{"@odata.type": "#microsoft.graph.socialIdentityProvider", "displayName": "Google", "identityProviderType": "Google", "clientId": "client.example", "clientSecret": "s3cret-of-google"}
			}
			return map[string]any{"@odata.type": "#microsoft.graph.oidcIdentityProvider", "displayName": "Partner", "clientId": "tidal", "issuer": "https://issuer.example", "responseType": "code", "scope": "openid",
				"wellKnownEndpoint":    "https://issuer.example/.well-known/openid-configuration",
				"clientAuthentication": map[string]any{"@odata.type": "#microsoft.graph.oidcClientSecretAuthentication", "clientSecret": "s3cret-of-partner"},
				"inboundClaimMapping":  map[string]any{"sub": "sub", "name": "name", "email": "mail"}}
		},
	}, {
		path: "identity/apiConnectors", types: []string{"identityApiConnector"}, noun: "API connector", verbs: all, access: may("APIConnectors"),
		change: func(_ *call, _, _ *object, in checked) error {
			return unmasked(sub(in.p["authenticationConfiguration"]))
		},
		value: func(_ *Tenant, o *object, name string) (any, bool) {
			if name != "authenticationConfiguration" {
				return nil, false
			}
			return mask(o.p[name], "password", "pkcs12Value"), true
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"displayName": "Connector " + itoa(i), "targetUrl": "https://api.example/" + itoa(i),
				"authenticationConfiguration": map[string]any{"@odata.type": "#microsoft.graph.basicAuthentication", "username": "tidal", "password": "s3cret-of-connector"}}
		},
	}, {
		path: "identity/userFlowAttributes", types: []string{"identityUserFlowAttribute"}, noun: "user flow attribute", verbs: all, access: may("IdentityUserFlow"),
		create: func(c *call, o *object, _ checked) error {
			o.p["id"], o.p["userFlowAttributeType"] = attributeID(text(o.p["displayName"])), "custom"
			if c.t.get(text(o.p["id"])).live() {
				return bad("A user flow attribute with the name '%s' exists already.", text(o.p["displayName"]))
			}
			return nil
		},
		change: func(_ *call, o, _ *object, _ checked) error { return custom(o) },
		remove: func(_ *call, o *object) error { return custom(o) },
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			if i == 0 {
				return map[string]any{"displayName": "City", "description": "City", "dataType": "string", "userFlowAttributeType": "builtIn"}
			}
			return map[string]any{"displayName": "Hobby" + itoa(i), "description": "What they like", "dataType": "string", "userFlowAttributeType": "custom"}
		},
	}, {
		path: "identity/customAuthenticationExtensions", types: []string{"onTokenIssuanceStartCustomExtension", "onAttributeCollectionStartCustomExtension"}, noun: "custom authentication extension",
		verbs: all, whole: true, access: may("CustomAuthenticationExtension"),
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			p := map[string]any{"@odata.type": "#microsoft.graph.onTokenIssuanceStartCustomExtension", "displayName": "Extension " + itoa(i), "description": "Sample",
				"authenticationConfiguration": map[string]any{"@odata.type": "#microsoft.graph.azureAdTokenAuthentication", "resourceId": "api://functions.example/" + itoa(i)},
				"clientConfiguration":         map[string]any{"timeoutInMilliseconds": 2000, "maximumRetries": 1},
				"endpointConfiguration":       map[string]any{"@odata.type": "#microsoft.graph.httpRequestEndpoint", "targetUrl": "https://functions.example/" + itoa(i)},
				"behaviorOnError":             map[string]any{"@odata.type": "#microsoft.graph.fallbackToMicrosoftProviderOnError"},
				"claimsForTokenConfiguration": []any{map[string]any{"claimIdInApiResponse": "birthday"}, map[string]any{"claimIdInApiResponse": "badge"}}}
			if i == 2 {
				p["@odata.type"] = "#microsoft.graph.onAttributeCollectionStartCustomExtension"
				delete(p, "claimsForTokenConfiguration")
			}
			return p
		},
	}, {
		path: "identity/verifiedId/profiles", types: []string{"verifiedIdProfile"}, noun: "Verified ID profile", access: access{"directory", []string{"VerifiedId-Profile.Read.All"}, nil, nil},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return props{"name": "Employee badge " + itoa(i), "description": "Sample", "priority": i, "state": "enabled", "verifierDid": "did:web:contoso.example",
				"faceCheckConfiguration":        props{"isEnabled": true, "sourcePhotoClaimName": "photo"},
				"verifiedIdUsageConfigurations": []any{props{"isEnabledForTestOnly": false, "purpose": "recovery"}, props{"isEnabledForTestOnly": true, "purpose": "onboarding"}},
				"verifiedIdProfileConfiguration": props{"type": "verifiedEmployee", "acceptedIssuer": "did:web:contoso.example", "claimBindingSource": "directory",
					"claimBindings":   []any{props{"sourceAttribute": "First name", "verifiedIdClaim": "vc.credentialSubject.firstName", "matchConfidenceLevel": "exact"}, props{"sourceAttribute": "Last name", "verifiedIdClaim": "vc.credentialSubject.lastName", "matchConfidenceLevel": "relaxed"}},
					"claimValidation": props{"isEnabled": true, "customExtensionId": "66666666-2222-4333-8444-55555555555" + itoa(i)}}}
		},
	}, {
		path: "identity/authenticationEventListeners", types: []string{"onTokenIssuanceStartListener", "onUserCreateStartListener"}, noun: "authentication event listener", verbs: all, access: may("EventListener"),
		change: func(_ *call, o, _ *object, in checked) error {
			if in.p["handler"] != nil && o.typ != "onTokenIssuanceStartListener" {
				return bad("Property 'handler' cannot be changed.")
			}
			return nil
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"@odata.type": "#microsoft.graph.onTokenIssuanceStartListener", "displayName": "Listener " + itoa(i), "conditions": conditionsOf("11111111-2222-4333-8444-55555555555" + itoa(i)),
				"handler": map[string]any{"@odata.type": "#microsoft.graph.onTokenIssuanceStartCustomExtensionHandler", "customExtension": map[string]any{"id": "66666666-2222-4333-8444-55555555555" + itoa(i)}}}
		},
	}, {
		path: "identity/authenticationEventsFlows", types: []string{"externalUsersSelfServiceSignUpEventsFlow"}, poly: true, noun: "user flow", verbs: all, access: may("EventListener"),
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			graph := "#microsoft.graph."
			return map[string]any{"@odata.type": graph + "externalUsersSelfServiceSignUpEventsFlow", "displayName": "Flow " + itoa(i), "description": "Sample",
				"conditions":                 conditionsOf("11111111-2222-4333-8444-55555555556" + itoa(i)),
				"onInteractiveAuthFlowStart": map[string]any{"@odata.type": graph + "onInteractiveAuthFlowStartExternalUsersSelfServiceSignUp", "isSignUpAllowed": true},
				"onUserCreateStart":          map[string]any{"@odata.type": graph + "onUserCreateStartExternalUsersSelfServiceSignUp", "userTypeToCreate": "member"},
				"onAttributeCollection": map[string]any{"@odata.type": graph + "onAttributeCollectionExternalUsersSelfServiceSignUp", "attributeCollectionPage": map[string]any{
					"views": []any{map[string]any{"title": nil, "description": nil, "inputs": []any{map[string]any{"attribute": "email", "label": "Email", "inputType": "text", "hidden": true, "required": true}}}}}}}
		},
	}, {
		path: "identity/b2xUserFlows", types: []string{"b2xIdentityUserFlow"}, noun: "guest sign-up flow", verbs: "POST DELETE", access: may("IdentityUserFlow"),
		create: func(c *call, o *object, in checked) error {
			if o.p["userFlowType"] != "signUpOrSignIn" {
				return bad("Property 'userFlowType' must be signUpOrSignIn.")
			}
			if o.p["id"] = "B2X_1_" + text(in.p["id"]); c.t.get(text(o.p["id"])).live() {
				return bad("A user flow with the name '%s' exists already.", text(in.p["id"]))
			}
			return nil
		},
		sample: func(_ *Tenant, _ int, _ *object) map[string]any {
			return map[string]any{"userFlowType": "signUpOrSignIn", "userFlowTypeVersion": 1}
		},
	}, {
		path: "userAttributeAssignments", under: "identity/b2xUserFlows", types: []string{"identityUserFlowAttributeAssignment"}, noun: "user flow attribute assignment", verbs: all, access: may("IdentityUserFlow"),
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"displayName": "Question " + itoa(i), "isOptional": true, "requiresVerification": false, "userInputType": "textBox",
				"userAttributeValues": []any{map[string]any{"name": "A", "value": "a", "isDefault": true}}}
		},
	}, {
		path: "languages", under: "identity/b2xUserFlows", types: []string{"userFlowLanguageConfiguration"}, noun: "user flow language", verbs: "PUT DELETE", access: may("IdentityUserFlow"),
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"displayName": "Language " + itoa(i), "isEnabled": true}
		},
	}}
}

func externalTies(kinds map[string]kindID) []tie {
	return []tie{{[]kindID{kinds["identity/b2xUserFlows"]}, "userFlowIdentityProviders", "identity/identityProviders", 0, []string{"IdentityUserFlow.ReadWrite.All"}}}
}

// These are what a partner and its customers have agreed on.
func partnerKinds() []*family {
	may := access{"directory", []string{"DelegatedAdminRelationship.Read.All", "DelegatedAdminRelationship.ReadWrite.All"}, []string{"DelegatedAdminRelationship.ReadWrite.All"}, nil}
	const relationships = "tenantRelationships/delegatedAdminRelationships"
	roles := map[string]any{"unifiedRoles": []any{map[string]any{"roleDefinitionId": "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"}, map[string]any{"roleDefinitionId": "729827e3-9c14-49f7-bb1b-9608f156bbb8"}}}
	begun := func(status string) func(c *call, o *object, _ checked) error {
		return func(c *call, o *object, _ checked) error {
			now := stamp(c.t.clock())
			o.p["status"], o.p["createdDateTime"], o.p["lastModifiedDateTime"] = status, now, now
			return nil
		}
	}
	moved := func(c *call, _, d *object, _ checked) error {
		d.p["lastModifiedDateTime"] = stamp(c.t.clock())
		return nil
	}
	return []*family{{
		path: relationships, types: []string{"delegatedAdminRelationship"}, noun: "delegated admin relationship", verbs: "POST PATCH DELETE", access: may,
		create: begun("created"),
		change: func(c *call, o, d *object, in checked) error {
			if o.p["status"] != "created" {
				return bad("A delegated admin relationship can be changed before it is locked for approval only.")
			}
			return moved(c, o, d, in)
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"displayName": "Customer " + itoa(i), "duration": "P730D", "autoExtendDuration": "P180D", "accessDetails": roles, "status": "active",
				"customer":        map[string]any{"tenantId": "77777777-2222-4333-8444-55555555555" + itoa(i), "displayName": "Customer " + itoa(i)},
				"createdDateTime": "2026-01-01T00:00:00Z", "activatedDateTime": "2026-01-02T00:00:00Z", "endDateTime": "2028-01-02T00:00:00Z", "lastModifiedDateTime": "2026-01-02T00:00:00Z"}
		},
	}, {
		path: "accessAssignments", under: relationships, types: []string{"delegatedAdminAccessAssignment"}, noun: "delegated admin access assignment", verbs: "POST PATCH DELETE", access: may,
		create: begun("pending"), change: moved,
		sample: func(t *Tenant, _ int, _ *object) map[string]any {
			return map[string]any{"accessContainer": map[string]any{"accessContainerId": t.first(kGroup, 1)[0].id, "accessContainerType": "securityGroup"}, "accessDetails": roles, "status": "active",
				"createdDateTime": "2026-01-03T00:00:00Z", "lastModifiedDateTime": "2026-01-03T00:00:00Z"}
		},
	}}
}

// masked stands in answers for what the service does not give out.
const masked = "****"

// mask hides members of a complex value.
func mask(v any, names ...string) any {
	m := maps.Clone(sub(v))
	for _, name := range names {
		if m[name] != nil {
			m[name] = masked
		}
	}
	if m == nil {
		return nil
	}
	return m
}

// unmasked refuses what was read in the place of a secret and is written back: the secret would be lost.
func unmasked(m map[string]any) error {
	for name, v := range m {
		if v == masked || unmasked(sub(v)) != nil {
			return bad("Invalid value specified for property '%s'.", name)
		}
	}
	return nil
}

func attributeID(name string) string { return "extension_0123456789abcdef0123456789abcdef_" + name }

func custom(o *object) error {
	if o.p["userFlowAttributeType"] != "custom" {
		return bad("Only custom user flow attributes can be changed or deleted.")
	}
	return nil
}

func conditionsOf(app string) map[string]any {
	return map[string]any{"applications": map[string]any{"includeApplications": []any{map[string]any{"appId": app}}}}
}
