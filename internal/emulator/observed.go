package emulator

// These are what the service observes by itself. Nobody writes them.
func observedKinds() []*family {
	of := func(path, typ, noun, permission string, sample func(t *Tenant, i int, _ *object) map[string]any) *family {
		return &family{path: path, types: []string{typ}, noun: noun, access: access{"directory", []string{permission}, nil, nil}, sample: sample}
	}
	// What is said of something else has its ID.
	about := func(path, typ, noun, permission string, sample func(t *Tenant, i int, _ *object) map[string]any) *family {
		f := of(path, typ, noun, permission, func(t *Tenant, i int, o *object) map[string]any {
			p := sample(t, i, o)
			p["_of"], p["id"] = p["id"], typ+" "+text(p["id"])
			return p
		})
		f.key = func(id string) string { return typ + " " + id }
		f.value = func(_ *Tenant, o *object, name string) (any, bool) { return o.p["_of"], name == "id" }
		return f
	}
	advice := of("directory/recommendations", "recommendation", "recommendation", "DirectoryRecommendations.Read.All", func(t *Tenant, i int, _ *object) map[string]any {
		return props{"id": t.id + "_advice" + itoa(i), "displayName": "Advice " + itoa(i), "priority": "high", "status": "active", "category": "identityBestPractice", "currentScore": i, "maxScore": 10,
			"createdDateTime": stamp(t.clock()), "lastCheckedDateTime": stamp(t.clock()), "featureAreas": list("users"), "actionSteps": []any{props{"stepNumber": 1, "text": "Turn it on"}}}
	})
	advice.beta = true
	summary := &family{path: "reports/authenticationMethods/microsoft.graph.usersRegisteredByFeature", types: []string{"userRegistrationFeatureSummary"}, one: "usersRegisteredByFeature", noun: "registration summary",
		access: access{"directory", []string{"AuditLog.Read.All"}, nil, nil}}
	summary.seed = func(t *Tenant, _ string) {
		counts := []any{}
		for i, feature := range []string{"ssprRegistered", "ssprEnabled", "ssprCapable", "passwordlessCapable", "mfaCapable"} {
			counts = append(counts, props{"feature": feature, "userCount": 10 * (i + 1)})
		}
		t.plant(summary.path, summary.one, props{"totalUserCount": 60, "userTypes": "all", "userRoles": "all", "userRegistrationFeatureCounts": counts})
	}
	return []*family{
		summary,
		about("identityProtection/riskyUsers", "riskyUser", "risky user", "IdentityRiskyUser.Read.All", func(t *Tenant, i int, _ *object) map[string]any {
			u := t.first(kUser, samples)[i]
			return props{"id": u.id, "isDeleted": false, "isProcessing": false, "riskDetail": "none", "riskLevel": "high", "riskState": "atRisk", "riskLastUpdatedDateTime": stamp(t.clock()),
				"userDisplayName": u.p["displayName"], "userPrincipalName": u.p["userPrincipalName"]}
		}),
		about("identityProtection/riskyServicePrincipals", "riskyServicePrincipal", "risky service principal", "IdentityRiskyServicePrincipal.Read.All", func(t *Tenant, i int, _ *object) map[string]any {
			p := t.first(kSP, samples)[i]
			return props{"id": p.id, "appId": p.p["appId"], "displayName": p.p["displayName"], "isEnabled": true, "isProcessing": false, "riskDetail": "none", "riskLevel": "medium", "riskState": "atRisk",
				"riskLastUpdatedDateTime": stamp(t.clock()), "servicePrincipalType": "Application"}
		}),
		of("identityProtection/riskDetections", "riskDetection", "risk detection", "IdentityRiskEvent.Read.All", func(t *Tenant, i int, _ *object) map[string]any {
			u := t.first(kUser, samples)[i]
			return props{"activity": "signin", "activityDateTime": stamp(t.clock()), "detectedDateTime": stamp(t.clock()), "ipAddress": "203.0.113." + itoa(i), "riskEventType": "anonymizedIPAddress",
				"riskLevel": "high", "riskState": "atRisk", "riskDetail": "none", "userId": u.id, "userDisplayName": u.p["displayName"], "userPrincipalName": u.p["userPrincipalName"]}
		}),
		about("reports/authenticationMethods/userRegistrationDetails", "userRegistrationDetails", "registration", "AuditLog.Read.All", func(t *Tenant, i int, _ *object) map[string]any {
			u := t.first(kUser, samples)[i]
			return props{"id": u.id, "isAdmin": false, "isMfaCapable": true, "isMfaRegistered": true, "isPasswordlessCapable": false, "isSsprCapable": true, "isSsprEnabled": true, "isSsprRegistered": true,
				"lastUpdatedDateTime": stamp(t.clock()), "methodsRegistered": list("mobilePhone", "email"), "systemPreferredAuthenticationMethods": list("push"), "userType": "member",
				"userDisplayName": u.p["displayName"], "userPrincipalName": u.p["userPrincipalName"]}
		}),
		advice,
	}
}
