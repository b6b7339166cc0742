package catalog

import (
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Settings of groups, and what a tenant is to Microsoft, to its partners, to its directory on premises.
func tenantWide() []*Resource {
	const bought, cards = "bought or agreed, not written", "the service takes what cards show from people only, not from applications"
	return []*Resource{{
		Type: "groupSetting", Title: "Group settings", Doc: "How groups may be named, who may create them, what guests may join, which passwords are banned.",
		List: "/groupSettings", Name: []string{"displayName"}, Match: []string{"templateId"},
		Can: Create | Update | Delete, Read: []string{"Directory.Read.All"}, Write: []string{"Directory.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "templateId", Write: OnCreate, Must: true, Reason: "fixed when the setting is created"},
				{Name: "values", Write: Both, Must: true, Key: "name"},
				{Name: "values[].value", Ref: []entra.Type{GroupType}, Loose: true},
			},
			never("copied from the template", "displayName"),
		),
	}, {
		Type: "groupSpecificSetting", Is: "groupSetting", Title: "Settings of single groups", Doc: "What holds in one Microsoft 365 group in place of the tenant's own setting, such as that guests cannot join.",
		List: "/groups/{parent}/settings", Item: "/groups/{parent}/settings/{id}", Under: GroupType, Silent: true, Unless: "the service is asked about each Microsoft 365 group",
		Name: []string{"displayName"}, Match: []string{"templateId"},
		Can: Create | Update | Delete, Read: []string{"Directory.Read.All"}, Write: []string{"Directory.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "templateId", Write: OnCreate, Must: true, Reason: "fixed when the setting is created"},
				{Name: "values", Write: Both, Must: true, Key: "name"},
			},
			never("copied from the template", "displayName"),
		),
		// Source: Microsoft Graph documentation, "groupSetting": what can be set for one group is set for Microsoft 365 groups.
		holds: func(group map[string]any) bool { return slices.Contains(texts(group, "groupTypes"), "Unified") },
	}, {
		Type: "groupLifecyclePolicy", Title: "Group expiration", Doc: "How long Microsoft 365 groups live unless somebody renews them.",
		List: "/groupLifecyclePolicies", Name: []string{"managedGroupTypes"}, Match: []string{"managedGroupTypes"},
		Can: Create | Update | Delete, Read: []string{"Directory.Read.All"}, Write: []string{"Directory.ReadWrite.All"},
		Properties: []Property{
			{Name: "groupLifetimeInDays", Write: Both, Must: true},
			{Name: "managedGroupTypes", Write: Both, Must: true},
			{Name: "alternateNotificationEmails", Write: Both, Must: true},
		},
	}, {
		Type: "onPremisesDirectorySynchronization", Title: "Directory synchronisation", Doc: "What is synchronised with the directory on premises, and how many deletions at once are too many.",
		List: "/directory/onPremisesSynchronization", Name: []string{"id"},
		Can: Update, Read: []string{"OnPremDirectorySynchronization.Read.All"}, Write: []string{"OnPremDirectorySynchronization.ReadWrite.All"},
		Properties: []Property{
			{Name: "configuration", Write: OnUpdate},
			{Name: "features", Write: OnUpdate},
			{Name: "features.passwordWritebackEnabled", Omit: true, Reason: "the service says that it is not in use, and refuses it"},
		},
		// Some switches cannot be turned back, so only those that differ are sent.
		update: func(_ entra.ID, set, was map[string]any) ([]part, error) {
			if to, ok := set["features"].(map[string]any); ok {
				from, _ := was["features"].(map[string]any)
				to = maps.Clone(to)
				maps.DeleteFunc(to, func(name string, v any) bool { return from[name] == v })
				set["features"] = to
			}
			return nil, nil
		},
	}, {
		Type: "multiTenantOrganization", Title: "Multitenant organization", Doc: "The group of tenants that this one has joined.",
		List: "/tenantRelationships/multiTenantOrganization", One: true, Name: []string{"displayName"},
		Read: []string{"MultiTenantOrganization.Read.All"}, Refusal: "the other tenants have to agree, so one tenant cannot bring it back",
		Properties: never("the other tenants have to agree", "createdDateTime", "description", "displayName", "state"),
	}, {
		Type: "multiTenantOrganizationMember", Title: "Multitenant organization members", Doc: "The tenants of the multitenant organization.",
		List: "/tenantRelationships/multiTenantOrganization/tenants", ID: "tenantId", Name: []string{"displayName", "tenantId"},
		Read: []string{"MultiTenantOrganization.Read.All"}, Refusal: "the other tenants have to agree, so one tenant cannot bring it back",
		Properties: slices.Concat(
			never("the other tenants have to agree", "addedByTenantId", "addedDateTime", "displayName", "joinedDateTime", "role", "state", "tenantId"),
			omit("says how far a change of the member is", "transitionDetails"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}, {
		Type: brandingType, Title: "Branding", Doc: "What the page says on which people of the tenant sign in, by language; 0 is what is said in every other.",
		List: "/organization/{parent}/branding/localizations", Item: "/organization/{parent}/branding/localizations/{id}", Under: "organization", Name: []string{"id"}, Match: []string{"id"}, Chosen: "POST",
		Can: Create | Update | Delete, Read: []string{"OrganizationalBranding.Read.All"}, Write: []string{"OrganizationalBranding.ReadWrite.All"},
		Properties: slices.Concat(
			both(brandingTexts()...),
			both("contentCustomization", "loginPageLayoutConfiguration", "loginPageTextVisibilitySettings"),
			[]Property{
				{Name: "id", Write: OnCreate, Must: true, Reason: "fixed when it is made"},
				{Name: "contentCustomization.attributeCollectionRelativeUrl", Omit: true, Reason: "says where it is for now"},
				{Name: "contentCustomization.registrationCampaignRelativeUrl", Omit: true, Reason: "says where it is for now"},
			},
			shown(brandingStreams()...),
			omit("says where the images are for now", "backgroundImageRelativeUrl", "bannerLogoRelativeUrl", "cdnList", "customCSSRelativeUrl", "faviconRelativeUrl", "headerLogoRelativeUrl", "squareLogoDarkRelativeUrl", "squareLogoRelativeUrl"),
		),
		barren: func(map[string]any) bool { return true }, // a tenant without branding has no such list
		read:   readBranding, create: createBranding, disarm: disarmBranding, place: placeBranding,
	}, {
		Type: "delegatedPermissionClassification", Title: "Classified permissions", Doc: "Delegated permissions to which people may consent because they are of low risk.",
		List: "/servicePrincipals/{parent}/delegatedPermissionClassifications", Item: "/servicePrincipals/{parent}/delegatedPermissionClassifications/{id}", Under: ServicePrincipalType, Expand: "delegatedPermissionClassifications",
		Name: []string{"permissionName", "permissionId"}, Match: []string{"permissionId"},
		Can: Create | Delete, Read: []string{"Application.Read.All"}, Write: []string{"Policy.ReadWrite.PermissionGrant"},
		Properties: slices.Concat(
			[]Property{
				{Name: "permissionId", Write: OnCreate, Must: true, Of: "oauth2PermissionScopes", Reason: "fixed when it is made"},
				{Name: "classification", Write: OnCreate, Must: true, Reason: "fixed when it is made"},
			},
			entries(OnCreate, "fixed when it is made", "permissionName"),
		),
	}, {
		Type: "profileCardProperty", Title: "Profile cards", Doc: "What the cards of people show besides, and what it is called in which language.",
		List: "/admin/people/profileCardProperties", ID: "directoryPropertyName", Name: []string{"directoryPropertyName"}, Match: []string{"directoryPropertyName"},
		Read: []string{"PeopleSettings.Read.All"}, Refusal: cards,
		Properties: slices.Concat(
			never(cards, "directoryPropertyName", "isVisible"),
			[]Property{
				{Name: "annotations", Reason: cards},
				{Name: "annotations[].localizations", Key: "languageTag"},
			},
		),
	}, {
		Type: "companySubscription", Title: "Subscriptions", Doc: "What the tenant has subscribed to, and until when.",
		List: "/directory/subscriptions", Name: []string{"skuPartNumber"}, Match: []string{"commerceSubscriptionId"},
		Read: []string{"Organization.Read.All"}, Refusal: "subscriptions are bought, not written",
		Properties: slices.Concat(
			never(bought, "commerceSubscriptionId", "createdDateTime", "isTrial", "nextLifecycleDateTime", "ownerId", "ownerTenantId", "ownerType", "skuId", "skuPartNumber", "status", "totalLicenses"),
			[]Property{{Name: "serviceStatus", Key: "servicePlanId", Reason: bought}},
		),
	}, {
		Type: "contract", Title: "Customers", Doc: "The tenants that this one, a partner of Microsoft's, looks after.",
		List: "/contracts", Name: []string{"displayName", "defaultDomainName"}, Match: []string{"customerId"},
		Read: []string{"Directory.Read.All"}, Refusal: "customers and partners agree on it with Microsoft",
		Properties: slices.Concat(
			never(bought, "contractType", "customerId", "defaultDomainName", "displayName"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}}
}
