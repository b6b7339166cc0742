package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// What can be looked up later and never be written: catalogues of Microsoft's, and what the service keeps by itself.
func records() []*Resource {
	const same = "it is Microsoft's catalogue, the same in every tenant"
	const disk = "it says which disk a device has encrypted"
	const extended = "what is released is never deleted, and no application can change it"
	const kept = "Microsoft keeps states of the tenant for some days, by itself"
	return []*Resource{{
		Type: "groupSettingTemplate", Title: "Templates of group settings", Doc: "What group settings can be made of, and what holds where nothing is set.",
		List: "/groupSettingTemplates", Unless: same,
		Name: []string{"displayName"}, Read: []string{"Directory.Read.All"}, Refusal: same,
		Properties: slices.Concat(
			never(same, "description", "displayName"),
			[]Property{{Name: "values", Key: "name", Reason: same}},
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}, {
		Type: "conditionalAccessTemplate", Title: "Templates of Conditional Access policies", Doc: "Policies that Microsoft recommends.",
		List: "/identity/conditionalAccess/templates", Unless: same,
		Name: []string{"name"}, Read: []string{"Policy.Read.All"}, Refusal: same,
		Properties: never(same, "description", "details", "name", "scenarios"),
	}, {
		// The service asks for no permission at all.
		Type: "applicationTemplate", Title: "Application gallery", Doc: "The applications of which Microsoft knows how to set them up.",
		List: "/applicationTemplates", Unless: "thousands of entries of Microsoft's catalogue, the same in every tenant",
		Name: []string{"displayName"}, Read: []string{"Application.Read.All"}, Refusal: same,
		Properties: slices.Concat(
			never(same, "deprecationDate", "description", "displayName", "endpoints", "homePageUrl", "isEntraIntegrated", "logoUrl", "publisher"),
			sets(Never, same, "categories", "supportedProvisioningTypes", "supportedSingleSignOnModes"),
			omit("told only where it is asked for and there is a licence for it", "riskFactors", "riskScore"),
			omit("moves with every write", "lastModifiedDateTime"),
		),
	}, {
		Type: "bitlockerRecoveryKey", Title: "BitLocker keys", Doc: "Of which disks the service has the key; the keys themselves are never asked for.",
		List: "/informationProtection/bitlocker/recoveryKeys", Unless: "one for each encrypted disk, by a permission of its own",
		Name: []string{"id"}, Read: []string{"BitlockerKey.ReadBasic.All"}, Refusal: "a device hands its key over by itself",
		Properties: slices.Concat(
			never(disk, "createdDateTime", "volumeType"),
			[]Property{
				{Name: "deviceId", Ref: []entra.Type{"device"}, By: "deviceId", Reason: disk},
				{Name: "key", Omit: true, Secret: true, Reason: "a secret, which is never asked for"},
			},
		),
	}, {
		Type: "recoverySnapshot", Is: "entraRecoveryServices.snapshot", Title: "Microsoft Entra Backup", Doc: "Of when Microsoft itself keeps states of the tenant; what is in them it does not give out.",
		List: "/directory/recovery/snapshots", Unless: "there are others every day",
		Name: []string{"createdDateTime"}, Read: []string{"EntraBackup.Read.All"}, Refusal: kept,
		Properties: never(kept, "createdDateTime", "totalChangedObjects"),
	}, {
		// Source: Microsoft Graph documentation, "schemaExtension" and "Update schemaExtension".
		Type: "schemaExtension", Title: "Schema extensions", Doc: "Which properties applications have defined for objects of any tenant, as far as they have released them.",
		List: "/schemaExtensions", Unless: "the list holds what any tenant has released",
		Name: []string{"id"}, Read: []string{"Application.Read.All"}, Refusal: extended,
		Properties: slices.Concat(
			never(extended, "description", "status"),
			[]Property{
				{Name: "owner", Ref: []entra.Type{ApplicationType}, By: "appId", Reason: extended},
				{Name: "properties", Key: "name", Reason: extended},
			},
			sets(Never, extended, "targetTypes"),
		),
	}}
}
