package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Devices and contacts: what the directory knows of things and people that are managed elsewhere.
func devices() []*Resource {
	const itself = "the device says it, or what manages it"
	return []*Resource{{
		Type: "device", Title: "Devices", Doc: "Computers and phones that are registered with the tenant.",
		List: "/devices", Delta: "/devices/delta", Top: 999,
		Name: []string{"displayName", "deviceId"}, Match: []string{"deviceId"},
		// Only a device can register itself, and what a deletion takes along, such as recovery keys, never comes back.
		Can: Update, Read: []string{"Device.Read.All"}, Write: []string{"Device.ReadWrite.All"},
		Properties: slices.Concat(
			entries(OnUpdate, "", "accountEnabled", "extensionAttributes"),
			never(itself, "deviceCategory", "deviceId", "deviceMetadata", "deviceOwnership", "deviceVersion", "displayName", "enrollmentProfileName", "enrollmentType",
				"isCompliant", "isManaged", "isRooted", "managementType", "manufacturer", "mdmAppId", "model", "operatingSystem", "operatingSystemVersion", "profileType", "trustType"),
			sets(Never, itself, "physicalIds", "systemLabels"),
			never(byService, "registrationDateTime"),
			never(onPremises, "onPremisesSyncEnabled"),
			omit(fromSync, "onPremisesLastSyncDateTime"),
			omit("moves by itself", "approximateLastSignInDateTime", "complianceExpirationDateTime"),
			omit("internal to the registration", "alternativeSecurityIds"),
			omit("read only when asked for, and follows from what else is known", "isManagementRestricted", "onPremisesSecurityIdentifier"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		Links: []Relation{
			{Rel: "registeredOwners", To: []entra.Type{UserType}, Many: true, Read: ByExpand, Path: "/devices/{id}/registeredOwners"},
			{Rel: "registeredUsers", To: []entra.Type{UserType}, Many: true, Read: ByExpand, Path: "/devices/{id}/registeredUsers"},
		},
		frozen: synced,
	}, {
		Type: "orgContact", Title: "Contacts", Doc: "People outside the tenant whom its address book knows.",
		List: "/contacts", Delta: "/contacts/delta", Top: 999,
		Name: []string{"displayName", "mail"}, Match: []string{"mail"},
		Read: []string{"OrgContact.Read.All"}, Refusal: "contacts are managed in Exchange or on premises",
		Properties: slices.Concat(
			never("managed in Exchange or on premises", "companyName", "department", "displayName", "givenName", "jobTitle", "mail", "mailNickname", "onPremisesSyncEnabled", "surname"),
			sets(Never, "managed in Exchange or on premises", "addresses", "phones", "proxyAddresses"),
			omit(fromSync, "onPremisesLastSyncDateTime", "onPremisesProvisioningErrors", "serviceProvisioningErrors"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}}
}
