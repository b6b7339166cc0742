package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	noKeys   = "private keys never leave the service, so an entry can be taken away and not put back"
	noSecret = "the service shows a secret once, when it is made, so an entry can be taken away and not put back"
	fromApp  = "follows from the application"
)

func apps() []*Resource {
	return []*Resource{definitions(), {
		Type: ApplicationType, Native: true, Title: "App registrations", Doc: "Applications registered in the tenant: their permissions, addresses, roles and credentials.",
		List: "/applications", Delta: "/applications/delta", Top: 999, Select: true, Extended: "Application", Kinds: []string{"agentIdentityBlueprint"},
		Bin: "deletedApplication", Undelete: fromBin,
		Name: []string{"displayName", "appId"}, Match: []string{"displayName"},
		Abroad: "whatever signs in as the application by its appId, other tenants that use it, deployments and infrastructure as code",
		Can:    Create | Update | Delete, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "@odata.type", Reason: whatItIs},
				{Name: "displayName", Write: Both, Must: true},
				{Name: "appRoles", Write: Both, Key: "id"},
				{Name: "appRoles[].allowedMemberTypes", Set: true},
				{Name: "appRoles[].origin", Omit: true, Reason: "says where the role is declared, which is here"},
				{Name: "api", Write: Both},
				{Name: "api.oauth2PermissionScopes", Key: "id"},
				{Name: "api.oauth2PermissionScopes[].origin", Omit: true, Reason: "says where the permission is declared, which is here"},
				{Name: "api.knownClientApplications", Set: true, Ref: []entra.Type{ApplicationType}, By: "appId"},
				{Name: "api.preAuthorizedApplications", Key: "appId"},
				{Name: "api.preAuthorizedApplications[].appId", Ref: []entra.Type{ApplicationType}, By: "appId"},
				{Name: "api.preAuthorizedApplications[].delegatedPermissionIds", Set: true},
				{Name: "identifierUris", Write: Both, Set: true, Ref: []entra.Type{ApplicationType}, By: "appId"},
				{Name: "requiredResourceAccess", Write: Both, Key: "resourceAppId"},
				{Name: "requiredResourceAccess[].resourceAppId", Ref: []entra.Type{ApplicationType}, By: "appId"},
				{Name: "requiredResourceAccess[].resourceAccess", Key: "id"},
				{Name: "web", Write: Both},
				{Name: "web.redirectUris", Set: true},
				{Name: "web.redirectUriSettings", Omit: true, Reason: "says redirectUris again"},
				{Name: "spa", Write: Both},
				{Name: "spa.redirectUris", Set: true},
				{Name: "publicClient", Write: Both},
				{Name: "publicClient.redirectUris", Set: true},
				{Name: "info", Write: Both},
				{Name: "info.logoUrl", Omit: true, Reason: "the address of the logo changes with it"},
				{Name: "logo", Omit: true, kept: true, Reason: "bytes, which are an object of their own"},
				{Name: "addIns", Write: Both, Key: "id"},
				{Name: "optionalClaims", Write: Both},
				{Name: "optionalClaims.accessToken", Key: "name"},
				{Name: "optionalClaims.idToken", Key: "name"},
				{Name: "optionalClaims.saml2Token", Key: "name"},
				{Name: "parentalControlSettings", Write: Both},
				{Name: "parentalControlSettings.countriesBlockedForMinors", Set: true},
				{Name: "tags", Write: Both, Set: true},
				{Name: "keyCredentials", Write: OnUpdate, Key: "keyId", Elements: "remove", Still: true, Issue: Certificate, Secret: true, Reason: noKeys},
				{Name: "keyCredentials[].key", Omit: true, Reason: "only a reading of one object gives it"},
				{Name: "passwordCredentials", Write: ByAction, Key: "keyId", Elements: "remove", Still: true, Issue: Password, Secret: true, Reason: noSecret},
				{Name: "isDisabled", Write: OnUpdate},
				{Name: "tokenEncryptionKeyId", Write: OnUpdate, alive: true, Reason: "names a certificate that cannot be put back"},
			},
			both("defaultRedirectUri", "description", "groupMembershipClaims", "isDeviceOnlyAuthSupported", "isFallbackPublicClient",
				"nativeAuthenticationApisEnabled", "notes", "requestSignatureVerification", "samlMetadataUrl", "serviceManagementReference",
				"servicePrincipalLockConfiguration", "signInAudience"),
			entries(OnCreate, "fixed once it is set", "uniqueName"),
			entries(OnUpdate, "", "authenticationBehaviors"),
			never("the service chooses it; an application created anew has another", "appId"),
			never(byService, "applicationTemplateId", "certification", "createdByAppId", "createdDateTime", "disabledByMicrosoftStatus", "publisherDomain", "verifiedPublisher"),
			never("this version of the service ignores it", "oauth2RequirePostResponse"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		Links: []Relation{{Rel: Owners, To: []entra.Type{UserType, ServicePrincipalType}, Many: true, Read: ByExpand, Path: "/applications/{id}/owners", Back: "ownedObjects", Write: true}},
		read:  readLogo, create: createApp, update: updateApp, keys: appKeys, frozen: agent,
	}, {
		Type: ServicePrincipalType, Chore: byOthers, Native: true, Title: "Enterprise applications", Doc: "What an application is in this tenant: who may use it and what it may do.",
		List: "/servicePrincipals", Delta: "/servicePrincipals/delta", Top: 999, Kinds: []string{"agentIdentity", "agentIdentityBlueprintPrincipal"},
		Bin: "deletedServicePrincipal", Undelete: fromBin,
		Name: []string{"displayName", "appId"}, Match: []string{"appId"},
		Abroad: "Azure role assignments, Key Vault access policies, permissions in databases and storage, SharePoint permissions",
		Can:    Create | Update | Delete, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "@odata.type", Reason: whatItIs},
				{Name: "appId", Write: OnCreate, Must: true, Ref: []entra.Type{ApplicationType}, By: "appId", Reason: "fixed when it is created"},
				{Name: "agentIdentityBlueprintId", Ref: []entra.Type{ApplicationType}, By: "appId", Reason: "an identity of an agent stays with its blueprint"},
				{Name: "addIns", Write: Both, Key: "id"},
				{Name: "appRoles", Key: "id", Reason: fromApp},
				{Name: "appRoles[].allowedMemberTypes", Set: true},
				{Name: "oauth2PermissionScopes", Key: "id", Reason: fromApp},
				{Name: "resourceSpecificApplicationPermissions", Key: "id", Reason: fromApp},
				{Name: "info", Reason: fromApp},
				{Name: "info.logoUrl", Omit: true, Reason: "the address of the logo changes with it"},
				{Name: "keyCredentials", Write: OnUpdate, Key: "keyId", Elements: "remove", Still: true, Issue: Certificate, Secret: true, Reason: noKeys},
				{Name: "keyCredentials[].key", Omit: true, Reason: "only a reading of one object gives it"},
				{Name: "passwordCredentials", Write: ByAction, Key: "keyId", Elements: "remove", Still: true, Issue: Password, Secret: true, Reason: noSecret},
				{Name: "tokenEncryptionKeyId", Write: OnUpdate, alive: true, Reason: "names a certificate that cannot be put back"},
				{Name: "isDisabled", Write: OnUpdate},
				{Name: "preferredTokenSigningKeyThumbprint", Write: OnUpdate, alive: true, Reason: "names a certificate that cannot be put back"},
			},
			[]Property{{Name: "accountEnabled", Write: Both, Still: true}},
			both("appRoleAssignmentRequired", "description", "displayName", "homepage", "loginUrl", "logoutUrl",
				"notes", "preferredSingleSignOnMode", "samlSingleSignOnSettings"),
			sets(Both, "", "alternativeNames", "notificationEmailAddresses", "replyUrls", "tags"),
			sets(Never, fromApp, "servicePrincipalNames"),
			never(fromApp, "appDescription", "appDisplayName", "appOwnerOrganizationId", "signInAudience", "verifiedPublisher", "samlMetadataUrl"),
			never(byService, "applicationTemplateId", "createdByAppId", "createdDateTime", "disabledByMicrosoftStatus", "servicePrincipalType"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		Links:  []Relation{{Rel: Owners, To: []entra.Type{UserType, ServicePrincipalType}, Many: true, Read: ByExpand, Path: "/servicePrincipals/{id}/owners", Back: "ownedObjects", Write: true}},
		update: removePasswords,
		frozen: func(m map[string]any) string {
			if why := agent(m); why != "" {
				return why
			}
			switch m["servicePrincipalType"] {
			case "ManagedIdentity":
				return "a managed identity belongs to its Azure resource"
			case "Legacy", "SocialIdp":
				return "the service does not let this kind of service principal be written"
			}
			return ""
		},
	}, {
		Type: appRoleType, Native: true, Title: "App role assignments", Doc: "Which user, group or application has which role in an application; for applications, consent to application permissions.",
		List: "/servicePrincipals/{parent}/appRoleAssignedTo", Item: "/servicePrincipals/{parent}/appRoleAssignedTo/{id}", Under: ServicePrincipalType, Top: 999,
		Name: []string{"appRoleId"}, Match: []string{"principalId", "resourceId", "appRoleId"},
		Can: Create | Delete, Read: []string{"Application.Read.All", "Directory.Read.All"}, Write: []string{"AppRoleAssignment.ReadWrite.All", "Application.Read.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "principalId", Write: OnCreate, Must: true, Ref: []entra.Type{UserType, GroupType, ServicePrincipalType}, Back: "appRoleAssignments"},
				{Name: "resourceId", Write: OnCreate, Must: true, Ref: []entra.Type{ServicePrincipalType}},
				{Name: "appRoleId", Write: OnCreate, Must: true, Of: "appRoles"},
			},
			never("says what principalId leads to", "principalType"),
			never(byService, "createdDateTime"),
			omit("copied from the principal", "principalDisplayName"),
			omit("copied from the resource", "resourceDisplayName"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}, {
		Type: grantType, Native: true, Title: "Delegated permission grants", Doc: "What applications may do in the name of one user or of everyone.",
		List: "/oauth2PermissionGrants", Delta: "/oauth2PermissionGrants/delta", Top: 999,
		Name: []string{"scope"}, Match: []string{"clientId", "resourceId", "consentType", "principalId"},
		Can: Create | Update | Delete, Read: []string{"DelegatedPermissionGrant.Read.All"}, Write: []string{"DelegatedPermissionGrant.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "clientId", Write: OnCreate, Must: true, Ref: []entra.Type{ServicePrincipalType}, Back: "oauth2PermissionGrants"},
				{Name: "resourceId", Write: OnCreate, Must: true, Ref: []entra.Type{ServicePrincipalType}},
				{Name: "principalId", Write: OnCreate, Ref: []entra.Type{UserType}, Back: "oauth2PermissionGrants"},
				{Name: "consentType", Write: OnCreate, Must: true},
				{Name: "scope", Write: Both, Must: true},
			},
			omit("this version of the service ignores it", "startTime", "expiryTime"),
		),
		rules: 1,
		// The service keeps the scopes in any order and often begins with a space; they are a set.
		read: func(m map[string]any) {
			if s, ok := m["scope"].(string); ok {
				words := strings.Fields(s)
				slices.Sort(words)
				m["scope"] = strings.Join(slices.Compact(words), " ")
			}
		},
	}}
}

// agent knows what identities of agents are made of: they need sponsors when they are made, which this release does not
// give them, and calls of their own.
func agent(m map[string]any) string {
	if m["@odata.type"] != nil {
		return "it belongs to an agent's identity, which this release does not write"
	}
	return ""
}

// createApp holds back the identifier that is made of the application's own appId, which only the answer
// tells: the service accepts it in a second call.
func createApp(set map[string]any, _ Fresh) (map[string]any, error) {
	var now, later []any
	for _, u := range list(set["identifierUris"]) {
		s, _ := u.(string)
		own := false
		for start, end := range guidsIn(s) {
			if own = strings.HasPrefix(s, "api://") && start == len("api://"); own {
				s = s[:start] + "{appId}" + s[end:]
			}
			break
		}
		if own {
			later = append(later, s)
		} else {
			now = append(now, s)
		}
	}
	if later == nil {
		return nil, nil
	}
	if delete(set, "identifierUris"); now != nil {
		set["identifierUris"] = now
	}
	return map[string]any{"identifierUris": append(slices.Clone(now), later...)}, nil
}

// updateApp disables the roles and permissions that go or change before the call that does it: the service
// refuses to touch enabled ones. Source: Microsoft Graph documentation, error
// CannotDeleteOrUpdateEnabledEntitlement.
func updateApp(id entra.ID, set, was map[string]any) ([]part, error) {
	parts, err := removePasswords(id, set, was)
	if err != nil {
		return nil, err
	}
	off := map[string]any{}
	if want, ok := set["appRoles"]; ok {
		if roles, some := disable(want, was["appRoles"]); some {
			off["appRoles"] = roles
		}
	}
	if want, ok := set["api"]; ok {
		to, _ := want.(map[string]any)
		from, _ := was["api"].(map[string]any)
		_, whole := to["oauth2PermissionScopes"]
		if scopes, some := disable(to["oauth2PermissionScopes"], from["oauth2PermissionScopes"]); some {
			api := maps.Clone(from)
			api["oauth2PermissionScopes"] = scopes
			off["api"] = api
		}
		// Left-out members of a complex value are kept, so what shall go has to be said.
		if to == nil || !whole && len(list(from["oauth2PermissionScopes"])) > 0 {
			if to = maps.Clone(to); to == nil {
				to = map[string]any{}
			}
			to["oauth2PermissionScopes"] = []any{}
			set["api"] = to
		}
	}
	for _, name := range []string{"api", "authenticationBehaviors", "web", "spa", "publicClient", "info", "optionalClaims", "parentalControlSettings"} {
		if to, ok := set[name].(map[string]any); ok {
			from, _ := was[name].(map[string]any)
			set[name] = clear(to, from)
		}
	}
	if len(off) > 0 {
		parts = append(parts, part{method: "PATCH", body: off})
	}
	return parts, nil
}

// clear adds an explicit empty value for each member that from has and to lacks.
func clear(to, from map[string]any) map[string]any {
	out := maps.Clone(to)
	for name, had := range from {
		if _, ok := out[name]; ok {
			continue
		}
		if _, array := had.([]any); array {
			out[name] = []any{}
		} else {
			out[name] = nil
		}
	}
	return out
}

// disable returns from's elements with those disabled that to lacks or changes. some is false where that
// is none that is enabled.
func disable(to, from any) (elements []any, some bool) {
	want := map[any]string{}
	for _, e := range list(to) {
		if e, ok := e.(map[string]any); ok {
			want[e["id"]] = textOf(e)
		}
	}
	for _, e := range list(from) {
		m, ok := e.(map[string]any)
		if ok && m["isEnabled"] == true && want[m["id"]] != textOf(m) {
			m = maps.Clone(m)
			m["isEnabled"] = false
			some = true
		}
		elements = append(elements, m)
	}
	return elements, some
}

// removePasswords takes the secrets out of set: each that goes is removed by an action.
// Source: Microsoft Graph documentation, "application: removePassword".
func removePasswords(_ entra.ID, set, was map[string]any) ([]part, error) {
	want, ok := set["passwordCredentials"]
	if !ok {
		return nil, nil
	}
	delete(set, "passwordCredentials")
	keep := map[any]bool{}
	for _, e := range list(want) {
		if e, ok := e.(map[string]any); ok {
			keep[e["keyId"]] = true
		}
	}
	var parts []part
	for _, e := range list(was["passwordCredentials"]) {
		if e, ok := e.(map[string]any); ok && !keep[e["keyId"]] {
			parts = append(parts, part{method: "POST", suffix: "/removePassword", body: map[string]any{"keyId": e["keyId"]}})
		}
	}
	return parts, nil
}
