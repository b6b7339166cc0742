package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

func groups() []*Resource {
	return []*Resource{{
		Type: GroupType, Native: true, Title: "Groups", Doc: "Security and Microsoft 365 groups, with assigned or dynamic membership.",
		List: "/groups", Delta: "/groups/delta", Top: 999, Select: true, Extended: "Group",
		Bin: "deletedGroup", Undelete: fromBin,
		Name: []string{"displayName"}, Match: []string{"displayName", "mailNickname"},
		Can: Create | Update | Delete, Read: []string{"Group.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"},
		Abroad: "Azure role assignments, SharePoint permissions, Exchange and Teams where it is a Microsoft 365 group, Intune assignments, applications that read groups from a token",
		Write:  []string{"Group.ReadWrite.All", "RoleManagement.ReadWrite.Directory", "LicenseAssignment.ReadWrite.All"},
		Properties: here(slices.Concat(
			[]Property{
				{Name: "displayName", Write: Both, Must: true},
				{Name: "mailNickname", Write: Both, Must: true},
				{Name: "mailEnabled", Write: OnCreate, Must: true, Reason: "fixed when the group is created"},
				{Name: "securityEnabled", Write: Both, Must: true},
				{Name: "groupTypes", Write: Both, Set: true},
				{Name: "isAssignableToRole", Write: OnCreate, Reason: "fixed when the group is created"},
				{Name: "membershipRule", Write: Both, Ref: []entra.Type{GroupType, UserType}},
				{Name: "resourceBehaviorOptions", Write: OnCreate, Set: true, Reason: "fixed when the group is created"},
				{Name: "assignedLabels", Key: "labelId", Reason: "an application alone may not write sensitivity labels"},
			},
			licences,
			both("classification", "description", "membershipRuleProcessingState", "preferredDataLocation", "theme", "visibility"),
			entries(OnCreate, "fixed once it is set", "uniqueName"),
			sets(Never, "a team is made by a call of its own", "resourceProvisioningOptions"),
			sets(Never, "the service derives it", "proxyAddresses"),
			never("the service derives it", "mail", "preferredLanguage"),
			never(byService, "createdDateTime"),
			never("follows from membership in a restricted administrative unit", "isManagementRestricted"),
			never(onPremises, "onPremisesDomainName", "onPremisesNetBiosName", "onPremisesSamAccountName",
				"onPremisesSecurityIdentifier", "onPremisesSyncEnabled"),
			omit(fromSync, "onPremisesLastSyncDateTime", "onPremisesProvisioningErrors", "serviceProvisioningErrors"),
			omit(fromID, "securityIdentifier"),
			omit("moves when the group is used or renewed", "renewedDateTime", "expirationDateTime"),
			omit("says how far the service is with the group's licences", "licenseProcessingState"),
			omit("set only on deleted objects", "deletedDateTime"),
		), "assignedLicenses"),
		Links: []Relation{
			{Rel: Members, To: []entra.Type{UserType, GroupType, ServicePrincipalType, "device", "orgContact"}, Many: true, Read: ByDelta, Path: "/groups/{id}/members", Top: 999, Back: "memberOf", Write: true, Batch: true, Kept: true, Hidden: "visibility=HiddenMembership", HiddenFrom: "Member.Read.Hidden"},
			{Rel: Owners, To: []entra.Type{UserType, ServicePrincipalType}, Many: true, Read: ByList, Path: "/groups/{id}/owners", Back: "ownedObjects", Write: true},
		},
		frozen: frozenGroup, fixed: fixedGroup, keys: groupKeys, update: assignLicences,
		create: func(set map[string]any, _ Fresh) (map[string]any, error) {
			if _, ok := set["groupTypes"]; !ok {
				set["groupTypes"] = []any{}
			}
			return nil, nil
		},
	}}
}

// frozenGroup knows the groups that only Exchange or the directory on premises may change.
// Source: Microsoft Graph documentation, "Working with groups".
func frozenGroup(m map[string]any) string {
	if why := synced(m); why != "" {
		return why
	}
	if m["mailEnabled"] == true && !slices.Contains(list(m["groupTypes"]), "Unified") {
		return "distribution lists and mail-enabled security groups are managed in Exchange"
	}
	return ""
}

func fixedGroup(m map[string]any, rel string) string {
	if rel == Members && slices.Contains(list(m["groupTypes"]), "DynamicMembership") {
		return "its membership follows from its rule"
	}
	return frozenGroup(m)
}
