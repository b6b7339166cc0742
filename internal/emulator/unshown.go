package emulator

import (
	"maps"
	"slices"
	"strings"
)

// This is what tools are known to read and write, and the reference of Microsoft Graph does not show, or no more.
// Sources: Microsoft Graph documentation of 2023, program and programControl; Microsoft365DSC, AADIdentityProtectionPolicySettings and AADEnrichedAuditLogs; Microsoft Graph documentation of
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

	read := access{"directory", []string{"ProgramControl.Read.All", "ProgramControl.ReadWrite.All"}, nil, nil}
	programs := &family{path: "programs", types: []string{"program"}, noun: "program", beta: true, access: read, sample: func(_ *Tenant, i int, _ *object) props {
		return props{"displayName": "Program " + itoa(i), "description": "Reviews of the year"}
	}}
	controls := &family{path: "controls", under: "programs", types: []string{"programControl"}, noun: "program control", beta: true, access: read, sample: func(t *Tenant, i int, in *object) props {
		return props{"displayName": "Control " + itoa(i), "controlId": t.fresh(kKey), "controlTypeId": "6e4f3d20-c5c3-407f-9695-8460952bcc68", "programId": in.id, "status": "Completed",
			"createdDateTime": stamp(t.clock()), "owner": props{"id": t.first(kUser, 1)[0].id, "displayName": "Owner"}, "resource": props{"id": t.first(kGroup, 1)[0].id, "type": "Group"}}
	}}

	all := []*family{risk, logs, programs, controls, provisioningSecrets(), profile("privateAccess")}
	for _, in := range unshownProfiles {
		all = append(all, served(in)...)
	}
	return all
}

// provisioningSecrets are what an application has in order to provision: credentials, which are shown as an asterisk, and
// settings. All of them are written at once.
// Sources: Microsoft Graph documentation, "Add synchronization secrets"; Microsoft Entra documentation, "Skip deletion of
// out of scope users"; MicrosoftDocs/azure-docs, issue 55184.
func provisioningSecrets() *family {
	mask := func(o *object) {
		all := slices.Clone(asList(o.p["value"]))
		for i, e := range all {
			if name := text(sub(e)["key"]); strings.Contains(name, "Secret") || strings.Contains(name, "Password") || strings.Contains(name, "Token") {
				all[i] = props{"key": name, "value": "*"}
			}
		}
		o.p["value"] = all
	}
	f := &family{path: "synchronization/secrets", under: "servicePrincipals", types: []string{"synchronizationSecrets"}, noun: "provisioning secrets", one: "secrets", beta: true, silent: true, verbs: "PUT",
		access: access{"directory", []string{"Synchronization.Read.All", "Synchronization.ReadWrite.All"}, []string{"Synchronization.ReadWrite.All"}, nil}}
	f.create = func(_ *call, o *object, _ checked) error { mask(o); return nil }
	f.change = func(_ *call, _, d *object, _ checked) error { mask(d); return nil }
	f.seed = func(t *Tenant, _ string) {
		t.each(kSP, func(sp *object) bool {
			if text(sp.p["applicationTemplateId"]) != "" {
				o := t.plant(f.name(), "", props{"_parent": sp.id, "value": []any{
					props{"key": "BaseAddress", "value": "https://scim.example/tenants/4711?key=s3cret"}, props{"key": "SecretToken", "value": "s3cret"}, props{"key": "UserName", "value": "robot@contoso.example"},
					props{"key": "SyncNotificationSettings", "value": `{"Enabled":true,"Recipients":"it@contoso.example","DeleteThresholdEnabled":true,"DeleteThresholdValue":50}`}, props{"key": "SyncAll", "value": "false"}}})
				mask(o)
			}
			return t.o.Every
		})
	}
	return f
}
