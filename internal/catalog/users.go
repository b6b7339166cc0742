package catalog

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Types that other packages have to name.
const (
	UserType             entra.Type = "user"
	GroupType            entra.Type = "group"
	ApplicationType      entra.Type = "application"
	ServicePrincipalType entra.Type = "servicePrincipal"
	UnitType             entra.Type = "administrativeUnit"
	RoleType             entra.Type = "unifiedRoleDefinition"
	PolicyType           entra.Type = "conditionalAccessPolicy"
	LocationType         entra.Type = "namedLocation"
	StrengthType         entra.Type = "authenticationStrengthPolicy"
	DomainType           entra.Type = "domain"
	LicenceType          entra.Type = "subscribedSku"

	roleAssignmentType entra.Type = "unifiedRoleAssignment"
	appRoleType        entra.Type = "appRoleAssignment"
	grantType          entra.Type = "oAuth2PermissionGrant"
	defaultsType       entra.Type = "identitySecurityDefaultsEnforcementPolicy"
	auditType          entra.Type = "directoryAudit"
)

// Relations that other packages have to name.
const (
	Members = "members"
	Owners  = "owners"
	Manager = "manager"
)

// Mastery is the property that says whether an object is mastered on premises.
const Mastery = "onPremisesSyncEnabled"

// Reasons that several declarations give.
const (
	byService  = "set by the service"
	onPremises = "mastered on premises"
	fromID     = "derived from the object's ID"
	whatItIs   = "what it is, is fixed"
	fromSync   = "says when or how synchronisation last ran"
)

func entries(w Write, reason string, names ...string) []Property {
	ps := make([]Property, len(names))
	for i, n := range names {
		ps[i] = Property{Name: n, Write: w, Reason: reason}
	}
	return ps
}

func both(names ...string) []Property { return entries(Both, "", names...) }

// stays declares properties that can be changed and not cleared.
func stays(names ...string) []Property {
	ps := entries(Both, "once it has a value the service does not let it be cleared", names...)
	for i := range ps {
		ps[i].Stays = true
	}
	return ps
}

func never(reason string, names ...string) []Property { return entries(Never, reason, names...) }

func omit(reason string, names ...string) []Property {
	ps := entries(Never, reason, names...)
	for i := range ps {
		ps[i].Omit = true
	}
	return ps
}

// sets declares arrays whose order means nothing.
func sets(w Write, reason string, names ...string) []Property {
	ps := entries(w, reason, names...)
	for i := range ps {
		ps[i].Set = true
	}
	return ps
}

// here marks properties that are written here even where the rest of the object is mastered on premises. Source: Microsoft Entra
// documentation of licences, of password hash synchronisation, and of what Entra Connect synchronises.
func here(ps []Property, names ...string) []Property {
	for i := range ps {
		ps[i].Cloud = slices.Contains(names, ps[i].Name)
	}
	return ps
}

var licences = []Property{
	{Name: "assignedLicenses", Write: ByAction, Key: "skuId"},
	{Name: "assignedLicenses[].disabledPlans", Set: true},
	{Name: "assignedLicenses[].skuId", Ref: []entra.Type{LicenceType}, By: "skuId"},
}

func users() []*Resource {
	return []*Resource{{
		Type: UserType, Native: true, Title: "Users", Doc: "People, guests and other accounts that sign in.",
		List: "/users", Delta: "/users/delta", Top: 999, Select: true, Extended: "User", Kinds: []string{"agentUser"},
		Bin: "deletedUser", Undelete: fromBin,
		Abroad: "Azure role assignments, the mailbox and permissions in Exchange, SharePoint and OneDrive permissions, Teams, Intune, applications that keep the object ID of a token",
		Name:   []string{"displayName", "userPrincipalName"}, Match: []string{"userPrincipalName"}, Revoke: "/users/{id}/revokeSignInSessions",
		Can: Create | Update | Delete, Read: []string{"User.Read.All"},
		Write: []string{"User.ReadWrite.All", "User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All", "User.ManageIdentities.All", "LicenseAssignment.ReadWrite.All", "User.DeleteRestore.All"},
		Properties: here(slices.Concat(
			[]Property{
				{Name: "@odata.type", Reason: whatItIs},
				{Name: "accountEnabled", Write: Both, Safe: false, Lift: "enable-users", Still: true},
				{Name: "displayName", Write: Both, Must: true},
				{Name: "mailNickname", Write: Both, Must: true},
				{Name: "userPrincipalName", Write: Both, Must: true, Home: true},
				{Name: "passwordProfile", Write: OnCreate, Omit: true, Secret: true, Must: true, Fresh: true,
					Reason: "the service never gives a password out; a new account gets a random one that nobody knows, to be reset"},
				{Name: "identities", Write: Both, Set: true},
				{Name: "licenseAssignmentStates", Omit: true, raw: true, Reason: "the licences assigned to the user itself are kept in assignedLicenses; those of groups follow from membership"},
			},
			licences,
			both("ageGroup", "authorizationInfo", "city", "companyName", "consentProvidedForMinor", "country",
				"department", "employeeId", "employeeOrgData", "employeeType", "faxNumber", "givenName", "jobTitle",
				"mobilePhone", "officeLocation", "onPremisesExtensionAttributes", "onPremisesImmutableId", "passwordPolicies",
				"postalCode", "preferredDataLocation", "preferredLanguage", "state", "streetAddress", "surname", "userType"),
			stays("mail", "usageLocation"),
			sets(Both, "", "businessPhones", "otherMails"),
			[]Property{{Name: "authorizationInfo.certificateUserIds", Set: true}},
			[]Property{{Name: "employeeHireDate", Write: Both, Group: "employeeHireDate", Reason: "an application alone may be refused a change of this property"}},
			sets(Never, "the service derives it from mail, name and mailbox", "proxyAddresses", "imAddresses"),
			never(byService, "createdDateTime", "creationType"),
			never("whether a guest accepted cannot be written; a guest created anew has to be invited again", "externalUserState", "externalUserStateChangeDateTime"),
			never("Exchange owns it", "showInAddressList"),
			never("follows from membership in a restricted administrative unit", "isManagementRestricted"),
			never(onPremises, "onPremisesDistinguishedName", "onPremisesDomainName", "onPremisesSamAccountName",
				"onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "onPremisesUserPrincipalName"),
			omit(fromSync, "onPremisesLastSyncDateTime", "onPremisesProvisioningErrors", "serviceProvisioningErrors"),
			omit(fromID, "securityIdentifier"),
			omit("follows from the licences", "assignedPlans", "provisionedPlans"),
			omit("follows from ageGroup and consentProvidedForMinor", "legalAgeGroupClassification"),
			omit("moves with every password change or revoked session, which cannot be undone", "lastPasswordChangeDateTime", "signInSessionsValidFromDateTime"),
			omit("set only on deleted objects", "deletedDateTime"),
		), "assignedLicenses", "usageLocation", "passwordPolicies", "preferredDataLocation", "ageGroup", "consentProvidedForMinor"),
		Links: []Relation{
			{Rel: Manager, To: []entra.Type{UserType, "orgContact"}, Read: ByDelta, Path: "/users/{id}/manager", Back: "directReports", Write: true, Said: "users"},
			{Rel: "sponsors", To: []entra.Type{UserType, GroupType}, Many: true, Read: ByExpand, Path: "/users/{id}/sponsors", Write: true},
		},
		rules: 1, read: readUser, frozen: frozenUser, held: heldUser, keys: userKeys, spare: []string{"userPrincipalName", "proxyAddresses"}, revive: reviveUser,
		fixed: func(m map[string]any, rel string) string {
			if rel == Manager {
				return synced(m)
			}
			return ""
		},
		create: func(set map[string]any, f Fresh) (map[string]any, error) {
			if f.Password == "" {
				return nil, errors.New("a user needs a password")
			}
			set["passwordProfile"] = map[string]any{"password": f.Password, "forceChangePasswordNextSignIn": true}
			if _, ok := set["accountEnabled"]; !ok {
				set["accountEnabled"] = false
			}
			return nil, nil
		},
		update: assignLicences,
	}}
}

// frozenUser knows the accounts of agents, which are no people: an agent identity makes its own and signs in as it.
func frozenUser(m map[string]any) string {
	if m["@odata.type"] != nil {
		return "the account belongs to an agent identity, which makes it"
	}
	return synced(m)
}

// heldUser knows the attributes that Exchange keeps for ever of an account that was synchronised once.
// Source: Microsoft Graph documentation, onPremisesExtensionAttributes.
func heldUser(m map[string]any, name string) string {
	if name == "onPremisesExtensionAttributes" && m[Mastery] == false {
		return "the account was synchronised once, so that Exchange owns it"
	}
	return ""
}

// synced says where an object is mastered that directory synchronisation brings, or "".
func synced(m map[string]any) string {
	if m[Mastery] != true {
		return ""
	}
	if forest := text(m, "onPremisesDomainName"); forest != "" {
		return onPremises + ", in " + forest
	}
	return onPremises
}

// readUser keeps the licences that were assigned to the user itself, where the answer tells them apart from
// those of groups, and gives a deleted user back the name that it will have: the service puts the ID
// without dashes before it. Source: Microsoft Graph documentation of licenseAssignmentState.
func readUser(m map[string]any) {
	if states, ok := m["licenseAssignmentStates"].([]any); ok {
		direct := []any{}
		for _, s := range states {
			if s, ok := s.(map[string]any); ok && s["assignedByGroup"] == nil && s["skuId"] != nil {
				plans, _ := s["disabledPlans"].([]any)
				direct = append(direct, map[string]any{"skuId": s["skuId"], "disabledPlans": slices.Clone(plans)})
			}
		}
		m["assignedLicenses"] = direct
	}
	id, _ := m["id"].(string)
	name, _ := m["userPrincipalName"].(string)
	if mark := strings.ReplaceAll(id, "-", ""); len(mark) == 32 && len(name) > 32 && strings.EqualFold(name[:32], mark) {
		m["userPrincipalName"] = name[32:]
	}
}

// assignLicences takes the licences out of set: they are written by an action that adds and removes.
// Source: Microsoft Graph documentation, "user: assignLicense".
func assignLicences(_ entra.ID, set, was map[string]any) ([]part, error) {
	want, asked := set["assignedLicenses"]
	if !asked {
		return nil, nil
	}
	delete(set, "assignedLicenses")
	had := map[any]string{}
	for _, l := range list(was["assignedLicenses"]) {
		if l, ok := l.(map[string]any); ok {
			had[l["skuId"]] = textOf(licence(l))
		}
	}
	add, remove := []any{}, []any{}
	for _, l := range list(want) {
		if l, ok := l.(map[string]any); ok {
			if had[l["skuId"]] != textOf(licence(l)) {
				add = append(add, licence(l))
			}
			delete(had, l["skuId"])
		}
	}
	for sku := range had {
		remove = append(remove, sku)
	}
	if len(add)+len(remove) == 0 {
		return nil, nil
	}
	return []part{{method: "POST", suffix: "/assignLicense", body: map[string]any{"addLicenses": add, "removeLicenses": arrange(remove, "")}}}, nil
}

func licence(l map[string]any) map[string]any {
	l = maps.Clone(l)
	l["disabledPlans"] = arrange(slices.Clone(list(l["disabledPlans"])), "")
	return l
}
