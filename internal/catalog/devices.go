package catalog

import (
	"errors"
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
			[]Property{{Name: "accountEnabled", Write: OnUpdate, Still: true}},
			here(entries(OnUpdate, "", "extensionAttributes"), "extensionAttributes"),
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
	}, {
		Type: "hardwareOathTokenAuthenticationMethodDevice", Title: "Hardware tokens", Doc: "Devices that show codes for a second factor, and whose each is.", Version: "beta",
		List: "/directory/authenticationMethodDevices/hardwareOathDevices", Name: []string{"displayName", "serialNumber"}, Match: []string{"serialNumber"}, Grants: true,
		// A new one would need its seed, which the service never gives out, so none is made or taken away.
		Can: Update, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.ReadWrite.AuthenticationMethod", "UserAuthenticationMethod.ReadWrite.All"},
		Properties: slices.Concat(
			entries(OnUpdate, "", "displayName", "hashFunction", "manufacturer", "model", "timeIntervalInSeconds"),
			[]Property{
				{Name: "assignedTo", Write: OnUpdate, Reason: "whoever gets it has to turn it on with a code that it shows"},
				{Name: "assignedTo.id", Ref: []entra.Type{UserType}},
				{Name: "assignedTo.displayName", Omit: true, Reason: "copied from the person"},
				{Name: "secretKey", Omit: true, Secret: true, Reason: "the service never gives it out; it comes from whoever made the device"},
			},
			never("it is turned on with a code that it shows", "status"),
			never("printed on the device", "serialNumber"),
		),
		update: assignToken,
	}}
}

// assignToken takes out of set whose a token is: it is given and taken among the methods of its person. What else is
// known of it changes only while it is nobody's.
// Source: Microsoft Graph documentation, "Create hardwareOathAuthenticationMethod" and "Update
// hardwareOathTokenAuthenticationMethodDevice".
func assignToken(id entra.ID, set, was map[string]any) (parts []part, err error) {
	to, asked := set["assignedTo"]
	from := text(was, "assignedTo.id")
	delete(set, "assignedTo")
	if len(set) > 0 && from != "" {
		return nil, errors.New("a token that is somebody's cannot be changed")
	}
	methods := func(user string) string {
		return "/users/" + escape(entra.ID(user)) + "/authentication/hardwareOathMethods"
	}
	next := text(map[string]any{"to": to}, "to.id")
	if asked && from != "" && from != next {
		parts = append(parts, part{method: "DELETE", at: methods(from) + "/" + escape(id)})
	}
	if asked && next != "" && from != next {
		parts = append(parts, part{method: "POST", at: methods(next), body: map[string]any{"device": map[string]any{"id": string(id)}}})
	}
	return parts, nil
}
