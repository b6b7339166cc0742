package emulator

import "maps"

// This is what tools are known to read and write, and the reference of Microsoft Graph does not show, or no more.
// Sources: Microsoft365DSC, AADIdentityProtectionPolicySettings and AADEnrichedAuditLogs; Microsoft Graph documentation of
// 2024, enrichedAuditLogs; the published schema, onPremisesPublishingType.
func unshownKinds() []*family {
	one := func(path, typ, noun string, a access, made, set props) *family {
		f := &family{path: path, types: []string{typ}, noun: noun, one: typ, beta: true, verbs: "PATCH", access: a}
		f.seed = func(t *Tenant, _ string) { t.plant(f.path, f.one, maps.Clone(made)) }
		f.sample = func(*Tenant, int, *object) map[string]any { return maps.Clone(set) }
		return f
	}
	const name = "isUserRiskClearedOnPasswordReset"
	risk := one("identityProtection/policy", "identityProtectionPolicy", "identity protection policy",
		access{"directory", []string{"Policy.Read.IdentityProtection", "Policy.ReadWrite.IdentityProtection"}, []string{"Policy.ReadWrite.IdentityProtection"}, nil},
		props{name: false}, props{name: true})

	status := func(exchange, sharepoint, teams string) props {
		return props{"exchange": props{"status": exchange}, "sharepoint": props{"status": sharepoint}, "teams": props{"status": teams}}
	}
	logs := one(networks+"/settings/enrichedAuditLogs", "networkaccess.enrichedAuditLogs", "enriched audit logs",
		access{"directory", []string{"NetworkAccess.Read.All", "NetworkAccess.ReadWrite.All"}, []string{"NetworkAccess.ReadWrite.All"}, nil},
		status("disabled", "disabled", "disabled"), status("disabled", "enabled", "enabled"))
	logs.full = true
	logs.ready = func(t *Tenant) bool { return t.get(statusID).p["onboardingStatus"] == "onboarded" }

	all := []*family{risk, logs, profile("privateAccess")}
	for _, in := range unshownProfiles {
		all = append(all, served(in)...)
	}
	return all
}
