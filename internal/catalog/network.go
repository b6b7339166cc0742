package catalog

import (
	"slices"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	securedType           entra.Type = "tenantStatus"
	forwardingProfileType entra.Type = "forwardingProfile"
	forwardingPolicyType  entra.Type = "forwardingPolicy"
	filteringPolicyType   entra.Type = "filteringPolicy"
	filteringProfileType  entra.Type = "filteringProfile"
	remoteNetworkType     entra.Type = "remoteNetwork"
	inspectionPolicyType  entra.Type = "tlsInspectionPolicy"
	threatPolicyType      entra.Type = "threatIntelligencePolicy"
	firewallPolicyType    entra.Type = "cloudFirewallPolicy"

	networks = "/networkAccess"
)

// Global Secure Access: which traffic of people and branches goes through Microsoft, and what is let through there. What
// the reference does not show to be written is not written.
func networkAccess() []*Resource {
	const (
		microsofts = "Microsoft makes it, the same for every tenant"
		byItself   = "the service makes it with its policy"
		ownList    = "has a list of its own"
		linked     = "what is linked stays so"
		people     = "the service lets only people change it, no application"
	)
	permit := func(all ...*Resource) []*Resource {
		for _, r := range all {
			r.Version, r.Read = "beta", []string{"NetworkAccess.Read.All"}
			if r.Can != 0 {
				r.Write = []string{"NetworkAccess.ReadWrite.All"}
			}
			if r.Under == "" && r.Type != securedType {
				r.Given = securedType
			}
		}
		return all
	}
	kept := slices.Concat(omit("moves with every write, of what it contains too", "lastModifiedDateTime"), omit("counted by the service", "version"))
	named := []Property{{Name: "name", Write: Both, Must: true}, {Name: "description", Write: Both}}
	what := Property{Name: "@odata.type", Write: OnCreate, Must: true, Reason: "what kind it is stays so"}

	policy := func(t entra.Type, path, title, doc string, properties ...Property) *Resource {
		return &Resource{
			Type: t, Title: title, Doc: doc, List: networks + "/" + path, Name: []string{"name"}, Match: []string{"name"},
			Can:        Create | Update | Delete,
			Properties: slices.Concat(named, properties, omit(ownList, "policyRules"), kept),
		}
	}
	rule := func(t, of entra.Type, path, title, doc string, properties ...Property) *Resource {
		return &Resource{
			Type: t, Title: title, Doc: doc, Under: of, Expand: "policyRules", Variants: true,
			List: networks + "/" + path + "/{parent}/policyRules", Item: networks + "/" + path + "/{parent}/policyRules/{id}",
			Name: []string{"name"}, Match: []string{"name"}, Can: Create | Update | Delete,
			Properties: slices.Concat([]Property{what, {Name: "name", Write: Both, Must: true}}, properties),
			update:     sayKind,
		}
	}
	// The rules of the newer policies look alike.
	newer := func(t, of entra.Type, path, title, doc string, made func(m map[string]any) bool, properties ...Property) *Resource {
		r := rule(t, of, path, title, doc, slices.Concat([]Property{
			{Name: "action", Write: Both, Must: true}, {Name: "priority", Write: Both, Must: true}, {Name: "settings", Write: Both, Must: true},
		}, both("description", "matchingConditions"), properties)...)
		r.frozen = func(m map[string]any) string {
			if made != nil && made(m) {
				return byItself
			}
			return ""
		}
		return r
	}
	standard := func(t entra.Type, path, title, doc string, names ...string) *Resource {
		return &Resource{
			Type: t, Title: title, Doc: doc, List: networks + "/settings/" + path, One: true, Name: []string{"id"},
			Can: Update, Properties: entries(OnUpdate, "", names...),
		}
	}
	// The published schema had it once, and so had the reference, which showed the answer as a list of one and the update
	// as one for people. Microsoft's own configuration tool wrote it with the permission below, and left it out since.
	// Source: Microsoft Graph documentation of 2023 and 2024, enrichedAuditLogs; Microsoft365DSC, AADEnrichedAuditLogs.
	enriched := standard("enrichedAuditLogs", "enrichedAuditLogs", "Enriched audit logs", "Of which services the audit logs are enriched with what Global Secure Access knows of the traffic.", "exchange", "sharepoint", "teams")
	enriched.Unshown, enriched.Unless = true, "Microsoft has withdrawn it, so that most services do not have it"
	enriched.rules, enriched.read = 1, readFirst
	enriched.none = func(m map[string]any) bool { all, many := m["value"].([]any); return many && len(all) == 0 }
	values := Property{Name: "matchingConditions.destinations", Set: true}
	inspected := newer("tlsInspectionRule", inspectionPolicyType, "tlsInspectionPolicies", "TLS inspection rules", "Which encrypted traffic is looked into.",
		func(m map[string]any) bool { return textOf(m["priority"]) == "50" }, values, Property{Name: "matchingConditions.destinations[].values", Set: true})
	inspected.untimely = func(m map[string]any, _ time.Time) string {
		if m["name"] == "Recommended TLS inspection bypass categories rule" {
			return byItself
		}
		return ""
	}

	return permit(&Resource{
		Type: securedType, Title: "Global Secure Access", Doc: "Whether the tenant has turned on Global Secure Access.",
		List: networks + "/tenantStatus", One: true, Name: []string{"onboardingStatus"},
		Refusal:    "the service lets no application turn it on",
		Properties: slices.Concat(never("the service lets no application turn it on", "onboardingStatus"), omit("moves by itself", "onboardingErrorMessage")),
		none:       func(m map[string]any) bool { return m["onboardingStatus"] == "offboarded" },
	}, &Resource{
		Type: forwardingProfileType, Title: "Traffic forwarding profiles", Doc: "Whether traffic to Microsoft 365, to the Internet and to private applications goes through Global Secure Access.",
		List: networks + "/forwardingProfiles", Name: []string{"name"}, Can: Update,
		Properties: slices.Concat(
			entries(OnUpdate, "", "state"),
			never(microsofts, "name", "description", "isCustomProfile", "priority", "trafficForwardingType"),
			[]Property{
				{Name: "servicePrincipal", Reason: "made with the profile; who has a role in it uses the profile"},
				{Name: "servicePrincipal.id", Ref: []entra.Type{ServicePrincipalType}},
			},
			omit("remote networks say again which profiles they use", "associations"),
			omit(ownList, "policies"),
			kept,
		),
		rules: 1, read: func(m map[string]any) { keep(m, "servicePrincipal", "id", "appId") },
	}, &Resource{
		Type: forwardingPolicyType, Title: "Traffic forwarding policies", Doc: "Groups of rules about the traffic of one service or one private application.",
		List: networks + "/forwardingPolicies", Name: []string{"name"},
		Refusal: "Microsoft makes them, and every private application brings its own",
		Properties: slices.Concat(
			never("Microsoft makes it, or a private application", "name", "description", "trafficForwardingType"),
			[]Property{{Name: "privateAccessAppId", Ref: []entra.Type{ApplicationType}, By: "appId", Reason: "it comes with the application"}},
			omit(ownList, "policyRules"),
			omit("counted by the service", "version"),
		),
	}, &Resource{
		Type: "forwardingPolicyLink", Title: "Policies of traffic forwarding profiles", Doc: "Which traffic forwarding policies of a profile are in force.",
		Under: forwardingProfileType, Expand: "policies", Inline: "policy", Variants: true,
		List: networks + "/forwardingProfiles/{parent}/policies", Item: networks + "/forwardingProfiles/{parent}/policies/{id}",
		Name: []string{"policy.id"}, Can: Update,
		Properties: slices.Concat(
			entries(OnUpdate, "", "state"),
			never(linked, "@odata.type", "policy", "priority"),
			[]Property{{Name: "policy.id", Ref: []entra.Type{forwardingPolicyType}}},
			omit("counted by the service", "version"),
		),
		rules: 1, read: func(m map[string]any) { keep(m, "policy", "id") },
		update: sayKind,
	}, &Resource{
		// Source: Microsoft Graph documentation, "forwardingPolicy: updatePolicyRules".
		Type: "forwardingRule", Title: "Traffic forwarding rules", Doc: "Which traffic goes through Global Secure Access, and which past it.",
		Under: forwardingPolicyType, Expand: "policyRules", Variants: true,
		List: networks + "/forwardingPolicies/{parent}/policyRules", Item: networks + "/forwardingPolicies/{parent}/policyRules/{id}",
		Name: []string{"name"}, Refusal: people,
		Properties: slices.Concat(
			never(people, "@odata.type", "action", "category", "clientFallbackAction", "name", "protocol", "ruleType"),
			sets(Never, people, "destinations", "ports"),
		),
	},
		policy(filteringPolicyType, "filteringPolicies", "Web filtering policies", "What of the Internet is let through or stopped, by rules.",
			slices.Concat([]Property{{Name: "action", Write: Both, Must: true}}, never(byService, "createdDateTime"))...),
		rule("filteringRule", filteringPolicyType, "filteringPolicies", "Web filtering rules", "Which sites and kinds of sites a web filtering policy is about.",
			Property{Name: "ruleType", Write: OnCreate, Must: true, Reason: "what kind it is stays so"},
			Property{Name: "destinations", Write: Both, Must: true, Set: true},
			Property{Name: "destinations[].displayName", Omit: true, Reason: "Microsoft's name for the category"},
			Property{Name: "destinations[].group", Omit: true, Reason: "Microsoft's name for the category"}),
		policy(inspectionPolicyType, "tlsInspectionPolicies", "TLS inspection policies", "Whether encrypted traffic is looked into.", Property{Name: "settings", Write: Both, Must: true}),
		inspected,
		policy(threatPolicyType, "threatIntelligencePolicies", "Threat intelligence policies", "What is done about traffic to places that are known to be dangerous.", Property{Name: "settings", Write: Both, Must: true}),
		newer("threatIntelligenceRule", threatPolicyType, "threatIntelligencePolicies", "Threat intelligence rules", "Which dangers are stopped, and what is let through all the same.",
			func(m map[string]any) bool { return m["name"] == "Default threat intel rule" }, values, Property{Name: "matchingConditions.destinations[].values", Set: true}),
		policy(firewallPolicyType, "cloudFirewallPolicies", "Cloud firewall policies", "Which connections of remote networks are let through.", Property{Name: "settings", Write: Both, Must: true}),
		newer("cloudFirewallRule", firewallPolicyType, "cloudFirewallPolicies", "Cloud firewall rules", "Which connections are let through, by addresses, ports and protocols.", nil,
			Property{Name: "matchingConditions.sources.addresses", Set: true}, Property{Name: "matchingConditions.sources.addresses[].values", Set: true}, Property{Name: "matchingConditions.sources.ports", Set: true},
			Property{Name: "matchingConditions.destinations.addresses", Set: true}, Property{Name: "matchingConditions.destinations.addresses[].values", Set: true}, Property{Name: "matchingConditions.destinations.ports", Set: true}),
		&Resource{
			Type: filteringProfileType, Title: "Security profiles", Doc: "Sets of policies that a Conditional Access policy applies to people's traffic.",
			List: networks + "/filteringProfiles", Name: []string{"name"}, Match: []string{"name"}, Can: Create | Update | Delete,
			Properties: slices.Concat(
				named,
				[]Property{
					{Name: "state", Write: Both, Must: true}, {Name: "priority", Write: Both, Must: true},
					{Name: "conditionalAccessPolicies", Key: "id", Reason: "a Conditional Access policy says it, by a session control that is in the preview only"},
					{Name: "conditionalAccessPolicies[].id", Ref: []entra.Type{PolicyType}},
				},
				never(byService, "createdDateTime"),
				omit(ownList, "policies"),
				kept,
			),
			rules: 1, read: func(m map[string]any) { onlyIDs(m, "conditionalAccessPolicies") },
		}, &Resource{
			Type: "policyLink", Title: "Policies of security profiles", Doc: "Which policies a security profile holds, and whether they are in force.",
			Under: filteringProfileType, Expand: "policies", Inline: "policy", Variants: true,
			List: networks + "/filteringProfiles/{parent}/policies", Item: networks + "/filteringProfiles/{parent}/policies/{id}",
			Name: []string{"policy.id"}, Match: []string{"policy.id"}, Can: Create | Update | Delete,
			Properties: slices.Concat(
				[]Property{
					what,
					{Name: "state", Write: Both, Must: true},
					{Name: "policy", Write: OnCreate, Must: true, Reason: linked},
					{Name: "policy.id", Ref: []entra.Type{filteringPolicyType, inspectionPolicyType, threatPolicyType, firewallPolicyType}},
				},
				entries(OnCreate, "fixed when the policy is linked", "loggingState", "priority"),
				never(byService, "createdDateTime"),
				kept,
			),
			rules: 1, read: func(m map[string]any) { keep(m, "policy", "id", "@odata.type") },
			update: sayKind,
		}, &Resource{
			Type: remoteNetworkType, Title: "Remote networks", Doc: "Branches that are connected to Global Secure Access, and which of their traffic goes there.",
			List: networks + "/connectivity/remoteNetworks", Inline: "forwardingProfiles", Name: []string{"name"}, Match: []string{"name"}, Can: Create | Update | Delete,
			Properties: slices.Concat(
				[]Property{
					{Name: "name", Write: Both, Must: true},
					{Name: "region", Write: OnCreate, Must: true, Reason: "fixed when the network is made"},
					{Name: "forwardingProfiles", Write: OnCreate, Key: "id", Reason: "the service lets no application change which profiles a network uses"},
					{Name: "forwardingProfiles[].id", Ref: []entra.Type{forwardingProfileType}},
				},
				omit(ownList, "deviceLinks"),
				kept,
			),
			rules: 1, read: func(m map[string]any) { onlyIDs(m, "forwardingProfiles") },
		}, &Resource{
			// A new one would need the key that both ends of its tunnel have, so none is made or taken away.
			Type: "deviceLink", Title: "Device links", Doc: "The routers of a remote network, and the tunnels from them to Global Secure Access.",
			Under: remoteNetworkType, Expand: "deviceLinks",
			List: networks + "/connectivity/remoteNetworks/{parent}/deviceLinks", Item: networks + "/connectivity/remoteNetworks/{parent}/deviceLinks/{id}",
			Name: []string{"name"}, Can: Update,
			Properties: slices.Concat(
				entries(OnUpdate, "", "bgpConfiguration", "deviceVendor", "ipAddress", "name"),
				[]Property{
					{Name: "tunnelConfiguration", Reason: "travels with a key that is never kept"},
					{Name: "tunnelConfiguration.preSharedKey", Omit: true, Secret: true, Reason: "the key of the tunnel, which both its ends have, is never kept"},
					{Name: "tunnelConfiguration.zoneRedundancyPreSharedKey", Omit: true, Secret: true, Reason: "the key of the tunnel, which both its ends have, is never kept"},
				},
				never("the service documents no way to change it", "bandwidthCapacityInMbps", "redundancyConfiguration"),
				omit("moves with every write", "lastModifiedDateTime"),
			),
		},
		standard("conditionalAccessSettings", "conditionalAccess", "Signalling to Conditional Access", "Whether Conditional Access is told from where people come who come through Global Secure Access.", "signalingStatus"),
		standard("crossTenantAccessSettings", "crossTenantAccess", "Tenant restrictions in traffic", "Whether traffic is marked with the tenant, so that other tenants can be kept from its people.", "networkPacketTaggingStatus"),
		standard("forwardingOptions", "forwardingOptions", "Traffic forwarding options", "Whether names are looked up again on the way to Microsoft 365.", "skipDnsLookupState"),
		standard("customBlockPage", "customBlockPage", "Page for what is stopped", "What people read who are kept from a site.", "configuration", "state"),
		enriched,
		&Resource{
			Type: "externalCertificateAuthorityCertificate", Title: "TLS inspection authorities", Doc: "The certificates with which traffic is encrypted again after it was looked into.",
			List: networks + "/tls/externalCertificateAuthorityCertificates", Name: []string{"name"},
			Refusal:    "the service makes the key, and the tenant's own authority has to sign it again",
			Properties: never("signed by the tenant's own authority", "certificate", "certificateSigningRequest", "chain", "commonName", "name", "organizationName", "status", "validity"),
		})
}

// sayKind puts what kind an object is into a write, which the service demands.
func sayKind(_ entra.ID, set, was map[string]any) ([]part, error) {
	return nil, sayType(set, was, func() string { return "" })
}

// onlyIDs leaves of the elements of an array only their IDs: the rest says what other objects say.
func onlyIDs(m map[string]any, name string) {
	for _, e := range list(m[name]) {
		if e, ok := e.(map[string]any); ok {
			keepOnly(e, "id")
		}
	}
}
