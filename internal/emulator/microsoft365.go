package emulator

// What services of Microsoft 365 let Microsoft Graph say of the whole tenant.
func microsoft365Kinds() []*family {
	const read, write = "SharePointTenantSettings.Read.All", "SharePointTenantSettings.ReadWrite.All"
	files := &family{path: "admin/sharepoint/settings", types: []string{"sharepointSettings"}, one: "sharepointSettings", noun: "SharePoint settings", verbs: "PATCH", full: true, whole: true,
		access: access{"directory", []string{read, write}, []string{write}, nil}}
	made := func() props {
		return props{
			"allowedDomainGuidsForSyncApp": []any{}, "availableManagedPathsForSiteCreation": list("/sites/", "/teams/"), "deletedUserPersonalSiteRetentionPeriodInDays": 30, "excludedFileExtensionsForSyncApp": []any{},
			"idleSessionSignOut": props{"isEnabled": false, "signOutAfterInSeconds": 0, "warnAfterInSeconds": 0}, "imageTaggingOption": "basic", "isCommentingOnSitePagesEnabled": true, "isFileActivityNotificationEnabled": true,
			"isLegacyAuthProtocolsEnabled": false, "isLoopEnabled": true, "isMacSyncAppEnabled": true, "isRequireAcceptingUserToMatchInvitedUserEnabled": false, "isResharingByExternalUsersEnabled": true,
			"isSharePointMobileNotificationEnabled": true, "isSharePointNewsfeedEnabled": true, "isSiteCreationEnabled": true, "isSiteCreationUIEnabled": true, "isSitePagesCreationEnabled": true,
			"isSitesStorageLimitAutomatic": true, "isSyncButtonHiddenOnPersonalSite": false, "isUnmanagedSyncAppForTenantRestricted": false, "personalSiteDefaultStorageLimitInMB": 1048576,
			"sharingAllowedDomainList": []any{}, "sharingBlockedDomainList": []any{}, "sharingCapability": "externalUserAndGuestSharing", "sharingDomainRestrictionMode": "none",
			"siteCreationDefaultManagedPath": "/sites/", "siteCreationDefaultStorageLimitInMB": 26214400, "tenantDefaultTimezone": "(UTC) Coordinated Universal Time",
		}
	}
	files.seed = func(t *Tenant, _ string) { t.plant(files.path, files.one, made()) }
	files.sample = func(*Tenant, int, *object) map[string]any {
		p := made()
		merge(p, props{
			"allowedDomainGuidsForSyncApp": list("786548dd-877b-4760-a749-6b1efbc1190a"), "excludedFileExtensionsForSyncApp": list(".mp3", ".pst"), "sharingAllowedDomainList": list("fabrikam.com"),
			"sharingBlockedDomainList": list("example.org"), "sharingDomainRestrictionMode": "allowList", "sharingCapability": "externalUserSharingOnly",
			"idleSessionSignOut": props{"isEnabled": true, "signOutAfterInSeconds": 7200, "warnAfterInSeconds": 3600},
		})
		return p
	}
	teams := &family{path: "teamwork", types: []string{"teamwork"}, one: "teamwork", noun: "teamwork", access: access{"directory", []string{"Teamwork.Read.All"}, nil, nil}}
	teams.seed = func(t *Tenant, _ string) {
		t.plant(teams.path, teams.one, props{"isTeamsEnabled": true, "region": "EMEA"})
	}
	return []*family{files, teams}
}
