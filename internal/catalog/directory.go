package catalog

import (
	"slices"
	"strconv"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

func directory() []*Resource {
	return []*Resource{{
		Type: UnitType, Title: "Administrative units", Doc: "Parts of the tenant that administrators can be put in charge of.",
		List: "/directory/administrativeUnits", Delta: "/directory/administrativeUnits/delta", Top: 999, Select: true, Extended: "AdministrativeUnit",
		Bin: "deletedAdministrativeUnit", Undelete: fromBin,
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: []string{"AdministrativeUnit.Read.All", "Member.Read.Hidden"}, Write: []string{"AdministrativeUnit.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "displayName", Write: Both, Must: true},
				{Name: "membershipRule", Write: Both, Ref: []entra.Type{GroupType, UserType}},
				{Name: "isMemberManagementRestricted", Write: OnCreate, Reason: "fixed when the unit is created"},
			},
			both("description", "membershipRuleProcessingState", "membershipType", "visibility"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		Links: []Relation{{Rel: Members, To: []entra.Type{UserType, GroupType, "device"}, Many: true, Read: ByDelta, Path: "/directory/administrativeUnits/{id}/members", Top: 999, Back: "memberOf", Write: true, Hidden: "visibility=HiddenMembership", HiddenFrom: "Member.Read.Hidden"}},
		fixed: func(m map[string]any, _ string) string {
			if m["membershipType"] == "Dynamic" || m["membershipType"] == "dynamic" {
				return "its membership follows from its rule"
			}
			return ""
		},
	}, {
		Type: DomainType, Chore: inDNS, Judged: true, Title: "Domains", Doc: "The names that belong to the tenant.",
		List: "/domains", Name: []string{"id"},
		// A domain can be added, but only its owner can prove that it is theirs, in the public name system.
		Can: Update, Read: []string{"Domain.Read.All"}, Write: []string{"Domain.ReadWrite.All"},
		Properties: slices.Concat(
			entries(OnUpdate, "", "isDefault", "passwordNotificationWindowInDays", "passwordValidityPeriodInDays"),
			sets(OnUpdate, "", "supportedServices"),
			never("a domain becomes federated or managed by a configuration of its own", "authenticationType"),
			never(byService, "isAdminManaged", "isInitial", "isRoot", "isVerified"),
			omit("says how far a change of the domain is", "state", "availabilityStatus"),
			never("undocumented", "manufacturer", "model"),
		),
		// The service takes the mark from the old default when another domain gets it, and refuses just to take it
		// away. Source: Microsoft Graph documentation, "Update domain".
		update: func(_ entra.ID, set, _ map[string]any) ([]part, error) {
			if set["isDefault"] != true {
				delete(set, "isDefault")
			}
			return nil, nil
		},
	}, {
		Type: "organization", Judged: true, Native: true, Title: "Organization", Doc: "The tenant itself: its name, its contacts, its privacy statement.",
		List: "/organization", Select: true, Extended: "Organization", Name: []string{"displayName"},
		Can: Update, Read: []string{"Organization.Read.All"}, Write: []string{"Organization.ReadWrite.All"},
		Properties: slices.Concat(
			sets(OnUpdate, "", "marketingNotificationEmails", "securityComplianceNotificationMails", "securityComplianceNotificationPhones", "technicalNotificationMails"),
			entries(OnUpdate, "", "privacyProfile"),
			never("written in the portals of Microsoft only", "businessPhones", "city", "country", "countryLetterCode", "defaultUsageLocation", "displayName",
				"mobileDeviceManagementAuthority", "partnerTenantType", "postalCode", "preferredLanguage", "state", "street"),
			never(byService, "createdDateTime", "tenantType"),
			never(onPremises, "onPremisesSyncEnabled"),
			[]Property{{Name: "verifiedDomains", Key: "name", Reason: "says again what the domains say"}},
			omit("follows from the licences", "assignedPlans", "provisionedPlans"),
			omit(fromSync, "onPremisesLastSyncDateTime"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}, {
		Type: LicenceType, Judged: true, Title: "Licences", Doc: "What the tenant has bought, and how much of it.",
		List: "/subscribedSkus", Name: []string{"skuPartNumber"}, Match: []string{"skuId"},
		Read: []string{"LicenseAssignment.Read.All"}, Refusal: "licences are bought, not written",
		Properties: slices.Concat(
			never("bought, not written", "accountId", "accountName", "appliesTo", "capabilityStatus", "prepaidUnits", "skuId", "skuPartNumber"),
			[]Property{{Name: "servicePlans", Key: "servicePlanId", Reason: "bought, not written"}},
			sets(Never, "bought, not written", "subscriptionIds"),
			[]Property{{Name: "consumedUnits", Omit: true, kept: true, Reason: "moves with every licence that is assigned, of which those who have one tell"}},
		),
		rules: 1,
		room: func(m map[string]any) (by string, n, used int, ok bool) {
			bought, _ := m["prepaidUnits"].(map[string]any)
			enabled, ok := units(bought["enabled"])
			warning, _ := units(bought["warning"])
			used, known := units(m["consumedUnits"])
			if !known {
				used = -1
			}
			return text(m, "skuId"), enabled + warning, used, ok
		},
	}}
}

// units reads how many there are of something.
func units(v any) (n int, ok bool) {
	text, _ := v.(entra.Number)
	n, err := strconv.Atoi(string(text))
	return n, err == nil
}
