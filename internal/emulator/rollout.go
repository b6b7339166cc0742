package emulator

import "strings"

// These are shown to people only: how groups sign in before the rest does, whose devices are managed, who agreed to what,
// and who tells people from robots.

const (
	rolloutPath = "policies/featureRolloutPolicies"
	devicesPath = "policies/mobileDeviceManagementPolicies"
	appsPath    = "policies/mobileAppManagementPolicies"
)

func rolloutKinds() []*family {
	hybrid := access{"directory", []string{"Policy.Read.HybridAuthentication", "Directory.ReadWrite.All", "Policy.ReadWrite.HybridAuthentication"}, []string{"Policy.ReadWrite.HybridAuthentication", "Directory.ReadWrite.All"}, nil}
	features := []string{"passwordHashSync", "passthroughAuthentication", "certificateBasedAuthentication"}
	rollout := &family{path: rolloutPath, types: []string{"featureRolloutPolicy"}, noun: "feature rollout policy", verbs: "POST PATCH DELETE", people: true, access: hybrid,
		create: func(c *call, o *object, _ checked) error {
			if c.t.countLive(o.kind, func(x *object) bool { return x.p["feature"] == o.p["feature"] }) > 0 {
				return refuse(409, "Request_MultipleObjectsWithSameKeyValue", "A policy for the feature '%s' exists already.", text(o.p["feature"]))
			}
			if o.p["isAppliedToOrganization"] == nil {
				o.p["isAppliedToOrganization"] = false
			}
			return nil
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return props{"displayName": "Rollout " + itoa(i), "description": "Sample", "feature": features[i], "isEnabled": true, "isAppliedToOrganization": false}
		}}

	enrolment := func(path, typ string) *family {
		f := &family{path: path, types: []string{typ}, noun: "mobility management policy", beta: true, verbs: "PATCH", people: true,
			access: access{"directory", []string{"Policy.Read.All", "Policy.ReadWrite.MobilityManagement"}, []string{"Policy.ReadWrite.MobilityManagement"}, nil}}
		// It applies to selected groups as long as there are some.
		f.value = func(t *Tenant, o *object, name string) (any, bool) {
			r, _ := relOf(o.kind, "includedGroups")
			return "selected", name == "appliesTo" && len(t.liveTargets(o, r)) > 0
		}
		f.change = func(c *call, o, d *object, in checked) error {
			to, scoped := in.p["appliesTo"]
			switch {
			case !flag(o.p["isValid"]):
				return bad("The policy is not valid and cannot be updated.")
			case scoped && len(in.p) > 1:
				return bad("Property 'appliesTo' cannot be updated together with other properties.")
			case to == "selected":
				return bad("Property 'appliesTo' cannot be set to 'selected': add groups to the policy.")
			case scoped:
				r, _ := relOf(o.kind, "includedGroups")
				for _, g := range c.t.liveTargets(o, r) {
					c.t.unlink(d, r, g.id)
				}
			}
			return nil
		}
		f.sample = func(_ *Tenant, i int, _ *object) map[string]any {
			p := props{"displayName": "Manager " + itoa(i), "description": "Sample", "appliesTo": "none", "isValid": true,
				"complianceUrl": "https://portal.manager" + itoa(i) + ".example/compliance", "discoveryUrl": "https://enrol.manager" + itoa(i) + ".example/discovery.svc", "termsOfUseUrl": "https://portal.manager" + itoa(i) + ".example/terms"}
			if typ == "mobileDeviceManagementPolicy" {
				p["isMdmEnrollmentDuringRegistrationDisabled"] = false
			}
			return p
		}
		return f
	}

	acceptance := &family{path: "acceptances", under: agreements, types: []string{"agreementAcceptance"}, noun: "agreement acceptance", people: true,
		access: access{"identityGovernance", []string{"AgreementAcceptance.Read.All"}, nil, nil},
		sample: func(t *Tenant, i int, agreement *object) map[string]any {
			u := t.first(kUser, samples+1)[i+1]
			return props{"id": agreement.id + "_" + u.id, "agreementId": agreement.id, "agreementFileId": text(subs(agreement.p["files"])[0]["id"]), "state": []string{"accepted", "declined", "accepted"}[i], "recordedDateTime": stamp(t.clock()),
				"userId": u.id, "userDisplayName": u.p["displayName"], "userPrincipalName": u.p["userPrincipalName"], "userEmail": u.p["mail"], "deviceId": "00000000-0000-0000-0000-000000000000"}
		}}

	fraud := &family{path: "identity/riskPrevention/fraudProtectionProviders", types: []string{"arkoseFraudProtectionProvider", "humanSecurityFraudProtectionProvider"}, noun: "fraud protection provider", verbs: "POST PATCH DELETE", people: true,
		access: access{"directory", []string{"RiskPreventionProviders.Read.All", "RiskPreventionProviders.ReadWrite.All"}, []string{"RiskPreventionProviders.ReadWrite.All"}, nil},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			if i == 0 {
				return props{"@odata.type": "#microsoft.graph.arkoseFraudProtectionProvider", "displayName": "Arkose", "publicKey": "11111111-AAAA-4BBB-8CCC-555555555555", "privateKey": "s3cret-of-arkose", "clientSubDomain": "client-api", "verifySubDomain": "verify-api"}
			}
			return props{"@odata.type": "#microsoft.graph.humanSecurityFraudProtectionProvider", "displayName": "HUMAN " + itoa(i), "appId": "PXabc" + itoa(i), "serverToken": "s3cret-of-human"}
		}}
	return []*family{rollout, enrolment(devicesPath, "mobileDeviceManagementPolicy"), enrolment(appsPath, "mobileAppManagementPolicy"), acceptance, fraud}
}

func rolloutTies(kinds map[string]kindID) []tie {
	return []tie{
		{from: []kindID{kinds[rolloutPath]}, name: "appliesTo", to: "groups", most: 10, write: []string{"Policy.ReadWrite.HybridAuthentication", "Directory.ReadWrite.All"}},
		{from: []kindID{kinds[devicesPath], kinds[appsPath]}, name: "includedGroups", to: "groups", write: []string{"Policy.ReadWrite.MobilityManagement"}},
	}
}

// firewallKinds are who filters what comes from outside, and what is behind them.
func firewallKinds() []*family {
	const path = "identity/riskPrevention/webApplicationFirewallProviders"
	may := access{"directory", []string{"RiskPreventionProviders.Read.All", "RiskPreventionProviders.ReadWrite.All"}, []string{"RiskPreventionProviders.ReadWrite.All"}, nil}
	// What it signs in with is never told. Nobody says that an address is behind it: the service looks.
	firewalls := &family{path: path, types: []string{"akamaiWebApplicationFirewallProvider", "cloudFlareWebApplicationFirewallProvider"}, noun: "web application firewall provider", verbs: "POST PATCH DELETE", full: true, people: true, access: may,
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			if i == 0 {
				return props{"@odata.type": "#microsoft.graph.akamaiWebApplicationFirewallProvider", "displayName": "Akamai", "hostPrefix": "akab-contoso", "accessToken": "s3cret-1", "clientSecret": "s3cret-2", "clientToken": "s3cret-3"}
			}
			return props{"@odata.type": "#microsoft.graph.cloudFlareWebApplicationFirewallProvider", "displayName": "Cloudflare " + itoa(i), "zoneId": strings.Repeat(itoa(i), 32), "apiToken": "s3cret-4"}
		}}
	seen := &family{path: "identity/riskPrevention/webApplicationFirewallVerifications", types: []string{"webApplicationFirewallVerificationModel"}, noun: "web application firewall verification", verbs: "DELETE", inline: []string{"provider"}, people: true, access: may,
		sample: func(t *Tenant, i int, _ *object) map[string]any {
			host := []string{"www.contoso.example", "shop.contoso.example", "login.contoso.example"}[i]
			by := t.first(kin().kinds[path], samples)[i]
			p := props{"verifiedHost": host, "providerType": "cloudflare", "verificationResult": props{"status": "success", "verifiedOnDateTime": stamp(t.clock()), "errors": []any{}, "warnings": []any{}}}
			details := props{"@odata.type": "#microsoft.graph.cloudFlareVerifiedDetailsModel", "zoneId": by.p["zoneId"], "enabledCustomRules": []any{props{"ruleId": "r" + itoa(i), "name": "Block", "action": "block"}}, "enabledRecommendedRulesets": []any{}}
			if i == 0 {
				p["providerType"] = "akamai"
				details = props{"@odata.type": "#microsoft.graph.akamaiVerifiedDetailsModel", "activeAttackGroups": []any{props{"group": "SQL", "action": "deny"}}, "activeCustomRules": []any{}, "rapidRules": props{"isEnabled": true, "defaultAction": "deny"}}
			}
			details["dnsConfiguration"] = props{"name": host, "isProxied": true, "recordType": "cname", "value": "contoso.azurefd.example", "isDomainVerified": true}
			p["verifiedDetails"], p["provider"] = details, props{"@odata.type": "#microsoft.graph." + by.typ, "id": by.id, "displayName": by.p["displayName"]}
			return p
		}}
	return []*family{firewalls, seen}
}
