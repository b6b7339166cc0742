package catalog

import "slices"

// What services of Microsoft 365 let Microsoft Graph say of the whole tenant.
func microsoft365() []*Resource {
	const teams = "it follows from licences and from where the tenant is"
	return []*Resource{{
		Type: "sharepointSettings", Title: "SharePoint settings", Doc: "With whom people may share files, what they may make, and how long the files of deleted people are kept.",
		List: "/admin/sharepoint/settings", One: true, Name: []string{"id"}, Grants: true,
		Can: Update, Read: []string{"SharePointTenantSettings.Read.All"}, Write: []string{"SharePointTenantSettings.ReadWrite.All"},
		Properties: slices.Concat(
			entries(OnUpdate, "", "deletedUserPersonalSiteRetentionPeriodInDays", "idleSessionSignOut", "imageTaggingOption", "isCommentingOnSitePagesEnabled", "isFileActivityNotificationEnabled",
				"isLegacyAuthProtocolsEnabled", "isLoopEnabled", "isMacSyncAppEnabled", "isRequireAcceptingUserToMatchInvitedUserEnabled", "isResharingByExternalUsersEnabled",
				"isSharePointMobileNotificationEnabled", "isSharePointNewsfeedEnabled", "isSiteCreationEnabled", "isSiteCreationUIEnabled", "isSitePagesCreationEnabled", "isSitesStorageLimitAutomatic",
				"isSyncButtonHiddenOnPersonalSite", "isUnmanagedSyncAppForTenantRestricted", "personalSiteDefaultStorageLimitInMB", "sharingCapability", "sharingDomainRestrictionMode",
				"siteCreationDefaultManagedPath", "siteCreationDefaultStorageLimitInMB", "tenantDefaultTimezone"),
			sets(OnUpdate, "", "allowedDomainGuidsForSyncApp", "excludedFileExtensionsForSyncApp", "sharingAllowedDomainList", "sharingBlockedDomainList"),
			sets(Never, byService, "availableManagedPathsForSiteCreation"),
		),
	}, {
		Type: "teamwork", Title: "Microsoft Teams", Doc: "Whether the tenant has Microsoft Teams, and in which region.",
		List: "/teamwork", One: true, Name: []string{"region"},
		Read: []string{"Teamwork.Read.All"}, Refusal: teams,
		Properties: never(teams, "isTeamsEnabled", "region"),
	}}
}
