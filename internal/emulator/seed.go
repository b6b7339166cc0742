package emulator

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	graphAppID = "00000003-0000-0000-c000-000000000000"
	zeroGUID   = "00000000-0000-0000-0000-000000000000"
	microsoft  = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

	roleGlobalAdmin = "62e90394-69f5-4237-9190-012177145e10"
	roleUserAdmin   = "fe930be7-5e62-47db-91af-98c3a49a38b1"
	roleAuthAdmin   = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"

	strengthMFA          = "00000000-0000-0000-0000-000000000002"
	strengthPasswordless = "00000000-0000-0000-0000-000000000003"
	strengthPhishing     = "00000000-0000-0000-0000-000000000004"

	defaultsID = "00000000-0000-0000-0000-000000000005"
)

func readRoles() []string {
	return familyRoles([]string{"User.Read.All", "Group.Read.All", "Application.Read.All", "AdministrativeUnit.Read.All", "RoleManagement.Read.Directory",
		"Policy.Read.All", "AuditLog.Read.All", "Directory.Read.All", "Domain.Read.All", "Organization.Read.All", "DelegatedPermissionGrant.Read.All", "LicenseAssignment.Read.All", "EntraBackup.Read.All", "CustomSecAttributeAssignment.Read.All"}, false)
}

func writeRoles() []string {
	return familyRoles([]string{"User.ReadWrite.All", "User.DeleteRestore.All", "User-PasswordProfile.ReadWrite.All", "User.EnableDisableAccount.All", "User.ManageIdentities.All", "LicenseAssignment.ReadWrite.All",
		"Group.ReadWrite.All", "GroupMember.ReadWrite.All", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All",
		"AdministrativeUnit.ReadWrite.All", "RoleManagement.ReadWrite.Directory", "Policy.ReadWrite.ConditionalAccess", "Policy.ReadWrite.AuthenticationMethod",
		"Policy.ReadWrite.SecurityDefaults", "Domain.ReadWrite.All", "Organization.ReadWrite.All", "CustomSecAttributeAssignment.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"}, true)
}

// graphRoleID is the id of an application role of Microsoft Graph. The
// well-known ones are those of the real service.
func (t *Tenant) graphRoleID(value string) string {
	known := map[string]string{
		"User.Read.All": "df021288-bdef-4463-88db-98f22de89214", "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
		"Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b", "Group.ReadWrite.All": "62a82d76-70ea-41e2-9197-370581804d09",
		"Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
		"Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61", "AuditLog.Read.All": "b0afded3-3588-46d8-8b3d-9842eff778da",
		"Policy.Read.All": "246dd0d5-5bd0-4def-940b-0421030a5b68", "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
		"RoleManagement.ReadWrite.Directory": "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8", "RoleManagement.Read.Directory": "483bed4a-2ad3-4361-a73b-c83ccdbdc53c",
	}
	if id := known[value]; id != "" {
		return id
	}
	h := uint64(14695981039346656037)
	for i := range len(value) {
		h = (h ^ uint64(value[i])) * 1099511628211
	}
	return guids{k0: 1, k1: 2, k2: 3, k3: 4, check: 5}.at(kKey, h>>8)
}

// fresh returns a GUID no object has had before. That of a request follows from what was asked for, and not from when:
// the same requests give the same GUIDs, in whatever order they come.
func (t *Tenant) fresh(k kindID) string {
	if t.asked == 0 {
		t.made++
		return t.pop.ids.at(k, 1<<40+t.made)
	}
	n := 1<<55 | t.asked>>9
	for t.given[n] {
		n = 1<<55 | (n+1)&(1<<55-1)
	}
	t.given[n] = true
	return t.pop.ids.at(k, n)
}

// asks is a hash of what a request asks for, whatever address the tenant has.
func (c *call) asks() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s /%s%s\n", c.method, c.version, c.path)
	h.Write(bytes.ReplaceAll(c.body, []byte(c.t.URL()), nil))
	return mix(h.Sum64()) | 1
}

func (t *Tenant) seed(k kindID, typ, id string, p map[string]any) *object {
	if id == "" {
		id = t.fresh(k)
	}
	p["id"] = id
	o := &object{kind: k, id: id, typ: typ, p: p}
	t.put(o, nil)
	return o
}

func (t *Tenant) populate() {
	born := stamp(t.pop.start.Add(-900 * 24 * time.Hour))
	admin := t.pop.ids.at(kUser, userAdmin)
	for i, d := range []string{t.pop.initial, t.pop.domain, "mail." + t.pop.domain} {
		t.seed(kDomain, "domain", d, map[string]any{"authenticationType": "Managed", "isAdminManaged": true, "isDefault": i == 1, "isInitial": i == 0,
			"isRoot": i != 2, "isVerified": true, "supportedServices": list("Email", "OfficeCommunicationsOnline"), "passwordValidityPeriodInDays": 2147483647, "passwordNotificationWindowInDays": 14})
	}
	for _, d := range t.o.World.Domains {
		if t.get(d) == nil {
			t.seed(kDomain, "domain", d, map[string]any{"authenticationType": "Managed", "isAdminManaged": true, "isDefault": false, "isInitial": false, "isRoot": true, "isVerified": true,
				"supportedServices": list("Email", "OfficeCommunicationsOnline"), "passwordValidityPeriodInDays": 2147483647, "passwordNotificationWindowInDays": 14})
		}
	}
	t.seed(kOrg, "organization", t.id, map[string]any{"displayName": "Contoso", "createdDateTime": born, "city": "Amsterdam", "country": "Netherlands", "countryLetterCode": "NL",
		"preferredLanguage": "en", "tenantType": "AAD", "technicalNotificationMails": list("it@" + t.pop.domain), "securityComplianceNotificationMails": []any{},
		"securityComplianceNotificationPhones": []any{}, "marketingNotificationEmails": []any{}, "businessPhones": list("+31 20 5550100"), "onPremisesSyncEnabled": true,
		"mobileDeviceManagementAuthority": "intune", "privacyProfile": map[string]any{"contactEmail": "privacy@" + t.pop.domain, "statementUrl": "https://" + t.pop.domain + "/privacy"},
		"verifiedDomains": []any{
			map[string]any{"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": false, "isInitial": true, "name": t.pop.initial, "type": "Managed"},
			map[string]any{"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": true, "isInitial": false, "name": t.pop.domain, "type": "Managed"}}})
	sku := func(id, part string, units int, plans ...string) {
		var ps []any
		for i := 0; i < len(plans); i += 2 {
			ps = append(ps, map[string]any{"servicePlanId": plans[i], "servicePlanName": plans[i+1], "provisioningStatus": "Success", "appliesTo": "User"})
		}
		t.seed(kSku, "subscribedSku", t.id+"_"+id, map[string]any{"skuId": id, "skuPartNumber": part, "appliesTo": "User", "capabilityStatus": "Enabled", "accountName": "Contoso",
			"accountId": t.id, "prepaidUnits": map[string]any{"enabled": units, "suspended": 0, "warning": 0, "lockedOut": 0}, "servicePlans": ps, "subscriptionIds": list(t.fresh(kKey))})
	}
	many := int(t.pop.users) + 100
	sku(skuE5, "SPE_E5", many, "eec0eb4f-6444-4f95-aba0-50c24d67f998", "AAD_PREMIUM_P2", "efb87545-963c-4e0d-99df-69c6916d9eb0", "EXCHANGE_S_ENTERPRISE", "57ff2da0-773e-42df-b2af-ffb7a2317929", "TEAMS1")
	sku(skuP2, "AAD_PREMIUM_P2", many, "eec0eb4f-6444-4f95-aba0-50c24d67f998", "AAD_PREMIUM_P2", "8a256a2b-b617-496d-b51b-e76466e88db0", "MFA_PREMIUM")
	sku(skuP1, "AAD_PREMIUM", 5, "41781fb2-bc02-4b7c-bd55-b576c07bb09d", "AAD_PREMIUM")

	for _, bought := range t.o.World.Licences {
		if has := t.get(t.id + "_" + text(bought["skuId"])); has == nil {
			t.seed(kSku, "subscribedSku", t.id+"_"+text(bought["skuId"]), maps.Clone(bought))
		} else {
			units, _ := number(sub(bought["prepaidUnits"])["enabled"])
			sub(has.p["prepaidUnits"])["enabled"] = many + units // beside those of its own people
		}
	}
	t.seedApps(born, admin)
	t.seedRoles(born)
	t.seedPolicies(born)
	t.seedFamilies(born)
	t.log, t.seq = nil, 0 // the state at the start has no history
	for _, o := range t.objects {
		o.lag, o.stale = 0, nil
	}
}

func (t *Tenant) servicePrincipalOf(app *object) map[string]any {
	p := map[string]any{"appId": app.p["appId"], "displayName": app.p["displayName"], "accountEnabled": true, "servicePrincipalType": "Application",
		"appOwnerOrganizationId": t.id, "appRoleAssignmentRequired": false, "createdDateTime": stamp(t.clock())}
	syncPrincipal(p, app.p)
	return p
}

// microsoftApps are applications of Microsoft's that any tenant can have a service principal of, by appId.
var microsoftApps = map[string]string{
	graphAppID: "Microsoft Graph", "00000002-0000-0ff1-ce00-000000000000": "Office 365 Exchange Online",
	"00000003-0000-0ff1-ce00-000000000000": "Office 365 SharePoint Online", "797f4846-ba00-4fd7-ba43-dac1f8f63013": "Windows Azure Service Management API",
	"c44b4083-3bb0-49c1-b47d-974e53cbdf3c": "Azure Portal", commandLineTools: "Microsoft Graph Command Line Tools", "a4a365df-50f1-4397-bc59-1a1564b8bb9c": "Microsoft Remote Desktop", "270efc09-cd0d-444b-a71f-39af4910ec45": "Windows Cloud Login",
}

// elsewhere returns the service principal that an application of another tenant's has here, but for what is this tenant's own.
func (t *Tenant) elsewhere(appID, born string) (p map[string]any, ok bool) {
	if name, is := microsoftApps[appID]; is {
		p, ok = microsoftPrincipal(appID, name, born), true
	}
	for _, app := range t.o.World.Apps {
		if strings.EqualFold(text(app["appId"]), appID) {
			if !ok {
				p = microsoftPrincipal(appID, text(app["displayName"]), born)
			}
			for _, name := range []string{"displayName", "appDisplayName", "appRoles", "oauth2PermissionScopes", "servicePrincipalNames", "servicePrincipalType", "signInAudience", "appOwnerOrganizationId", "info", "tags", "replyUrls"} {
				if v, has := app[name]; has {
					p[name] = deepCopy(v)
				}
			}
			return p, true
		}
	}
	return p, ok
}

// besides adds to a list of roles those of another that it lacks.
func besides(list any, more []any) []any {
	all, _ := list.([]any)
	for _, r := range more {
		if !slices.ContainsFunc(all, func(x any) bool { return sub(x)["id"] == sub(r)["id"] }) {
			all = append(all, r)
		}
	}
	return all
}

func microsoftPrincipal(appID, name, born string) map[string]any {
	return map[string]any{"appId": appID, "displayName": name, "appDisplayName": name, "accountEnabled": true, "servicePrincipalType": "Application", "appOwnerOrganizationId": microsoft,
		"signInAudience": "AzureADMultipleOrgs", "servicePrincipalNames": list(appID), "createdDateTime": born, "appRoleAssignmentRequired": false,
		"info": map[string]any{"logoUrl": nil, "marketingUrl": nil, "privacyStatementUrl": nil, "supportUrl": nil, "termsOfServiceUrl": nil}}
}

// syncPrincipal copies what an application owns to its service principal.
func syncPrincipal(sp, app map[string]any) {
	sp["appDisplayName"] = app["displayName"]
	sp["signInAudience"] = app["signInAudience"]
	sp["info"] = app["info"]
	set := func(k string, v any) {
		if v == nil {
			v = []any{}
		}
		sp[k] = deepCopy(v)
	}
	origin := func(v any) []any {
		out := []any{}
		for _, m := range subs(v) {
			m = deepCopy(m).(map[string]any)
			m["origin"] = "Application"
			out = append(out, m)
		}
		return out
	}
	set("appRoles", origin(app["appRoles"]))
	scopes := []any{}
	for _, m := range subs(sub(app["api"])["oauth2PermissionScopes"]) {
		m = deepCopy(m).(map[string]any)
		delete(m, "origin")
		scopes = append(scopes, m)
	}
	set("oauth2PermissionScopes", scopes)
	names := []any{app["appId"]}
	names = append(names, asList(app["identifierUris"])...)
	set("servicePrincipalNames", names)
	urls := []any{}
	for _, k := range []string{"web", "spa", "publicClient"} {
		urls = append(urls, asList(sub(app[k])["redirectUris"])...)
	}
	set("replyUrls", urls)
	tags := asList(app["tags"])
	for _, x := range asList(sp["tags"]) {
		if !slices.Contains(tags, x) {
			tags = append(tags, x)
		}
	}
	set("tags", tags)
	sp["homepage"] = sub(app["web"])["homePageUrl"]
	sp["logoutUrl"] = sub(app["web"])["logoutUrl"]
}

func asList(v any) []any { a, _ := v.([]any); return slices.Clone(a) }

func (t *Tenant) seedApps(born, admin string) {
	roles := []any{}
	for _, v := range append(append(readRoles(), writeRoles()...), "Mail.Read", "Files.Read.All", "Sites.Read.All") {
		roles = append(roles, map[string]any{"allowedMemberTypes": list("Application"), "description": "Allows the app to use " + v, "displayName": v, "id": t.graphRoleID(v), "isEnabled": true, "origin": "Application", "value": v})
	}
	scopes := []any{}
	for id, v := range map[string]string{"e1fe6dd8-ba31-4d61-89e7-88639da4683d": "User.Read", "37f7f235-527c-4136-accd-4a02d197296e": "openid", "14dad69e-099b-42c9-810b-d002981feec1": "profile", "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0": "email", "570282fd-fa5c-430d-a7fd-fc8dc98a9dca": "Mail.Read"} {
		scopes = append(scopes, map[string]any{"adminConsentDescription": v, "adminConsentDisplayName": v, "id": id, "isEnabled": true, "type": "User", "value": v, "userConsentDescription": nil, "userConsentDisplayName": nil})
	}
	slices.SortFunc(scopes, func(a, b any) int { return strings.Compare(text(sub(a)["value"]), text(sub(b)["value"])) })
	for _, appID := range []string{graphAppID, "00000002-0000-0ff1-ce00-000000000000", "00000003-0000-0ff1-ce00-000000000000", "797f4846-ba00-4fd7-ba43-dac1f8f63013", "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"} {
		p, _ := t.elsewhere(appID, born)
		if appID == graphAppID {
			p["appRoles"], p["oauth2PermissionScopes"] = besides(p["appRoles"], roles), besides(p["oauth2PermissionScopes"], scopes)
		}
		o := t.seed(kSP, "servicePrincipal", "", p)
		o.managed = true
		if appID == graphAppID {
			t.graphSP = o.id
		}
	}
	t.seed(kSP, "servicePrincipal", "", map[string]any{"appId": t.fresh(kAppID), "displayName": "vm-build-01", "accountEnabled": true, "servicePrincipalType": "ManagedIdentity",
		"alternativeNames": list("isExplicit=False", "/subscriptions/"+t.fresh(kKey)+"/resourcegroups/build/providers/Microsoft.Compute/virtualMachines/vm-build-01"), "createdDateTime": born, "appRoleAssignmentRequired": false}).managed = true

	reads := readRoles()
	if t.o.Privy {
		for _, f := range kin().all {
			if writes(f.read[0]) && !slices.Contains(reads, f.read[0]) {
				reads = append(reads, f.read[0])
			}
		}
	}
	t.capture = t.seedIdentity("Directory backup reader", "capture-secret~", reads)
	t.restore = t.seedIdentity("Directory restore writer", "restore-secret~", append(readRoles(), writeRoles()...))

	for n := range uint64(t.o.Apps) {
		num := strconv.FormatUint(n, 10)
		name := []string{"Payroll", "Expenses", "Warehouse", "CRM connector", "Helpdesk", "Intranet", "Data lake", "Badge printer", "Fleet", "Translations", "Invoicing", "Survey"}[n%12]
		if n >= 12 {
			name += " " + num
		}
		appID := t.pop.ids.at(kAppID, n)
		born := t.pop.born(n + 2<<40)
		userRole, appRole, scope := t.pop.ids.at(kKey, n*4), t.pop.ids.at(kKey, n*4+1), t.pop.ids.at(kKey, n*4+2)
		p := map[string]any{"appId": appID, "displayName": name, "createdDateTime": born, "signInAudience": "AzureADMyOrg", "publisherDomain": t.pop.domain,
			"identifierUris": list("api://" + appID), "tags": list("WindowsAzureActiveDirectoryIntegratedApp"), "notes": nil,
			"api": map[string]any{"acceptMappedClaims": nil, "knownClientApplications": []any{}, "preAuthorizedApplications": []any{}, "requestedAccessTokenVersion": 2, "oauth2PermissionScopes": []any{
				map[string]any{"adminConsentDescription": "Use " + name, "adminConsentDisplayName": "Use " + name, "id": scope, "isEnabled": true, "type": "User", "userConsentDescription": nil, "userConsentDisplayName": nil, "value": "access_as_user"}}},
			"appRoles": []any{
				map[string]any{"allowedMemberTypes": list("User"), "description": "Readers of " + name, "displayName": "Reader", "id": userRole, "isEnabled": true, "origin": "Application", "value": "Reader"},
				map[string]any{"allowedMemberTypes": list("Application"), "description": "Daemons of " + name, "displayName": "Daemon", "id": appRole, "isEnabled": true, "origin": "Application", "value": "Daemon"}},
			"requiredResourceAccess": []any{map[string]any{"resourceAppId": graphAppID, "resourceAccess": []any{
				map[string]any{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}, map[string]any{"id": t.graphRoleID("Mail.Read"), "type": "Role"}}}},
			"web":                 map[string]any{"homePageUrl": "https://app" + num + "." + t.pop.domain, "logoutUrl": nil, "redirectUris": list("https://app" + num + "." + t.pop.domain + "/signin"), "implicitGrantSettings": map[string]any{"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false}, "redirectUriSettings": []any{map[string]any{"uri": "https://app" + num + "." + t.pop.domain + "/signin", "index": nil}}},
			"spa":                 map[string]any{"redirectUris": []any{}},
			"publicClient":        map[string]any{"redirectUris": []any{}},
			"info":                map[string]any{"logoUrl": nil, "marketingUrl": nil, "privacyStatementUrl": nil, "supportUrl": nil, "termsOfServiceUrl": nil},
			"keyCredentials":      []any{},
			"passwordCredentials": []any{},
		}
		until := stamp(t.pop.start.Add(200 * 24 * time.Hour))
		if n%3 == 0 {
			p["keyCredentials"] = []any{map[string]any{"customKeyIdentifier": "AAECAwQFBgc=", "displayName": "CN=" + name, "endDateTime": until, "key": base64.StdEncoding.EncodeToString([]byte("public certificate of " + name)), "keyId": t.pop.ids.at(kKey, n*4+3), "startDateTime": born, "type": "AsymmetricX509Cert", "usage": "Verify"}}
		}
		if n%2 == 0 {
			p["passwordCredentials"] = []any{map[string]any{"customKeyIdentifier": nil, "displayName": "deploy", "endDateTime": until, "hint": "aB3", "keyId": t.pop.ids.at(kKey, n*4+3+1<<40), "secretText": nil, "startDateTime": born}}
		}
		app := t.seed(kApp, "application", "", p)
		if n == definer(t.o) {
			t.seedExtensions(app)
		}
		owner := t.pop.ids.at(kUser, t.pop.owner(n+fixedGroups))
		t.link(app, rOwners, owner)
		if n%4 == 1 {
			t.link(app, rOwners, admin)
		}
		sp := t.servicePrincipalOf(app)
		sp["createdDateTime"] = born
		sp["appRoleAssignmentRequired"] = n%2 == 0
		sp["tags"] = list("WindowsAzureActiveDirectoryIntegratedApp")
		if t.o.Every && n < 4*samples { // from the gallery
			sp["applicationTemplateId"] = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"
			app.p["applicationTemplateId"] = sp["applicationTemplateId"]
		}
		s := t.seed(kSP, "servicePrincipal", "", sp)
		t.link(s, rOwners, owner)
		for i := range 2 + n%2 {
			u := fixedUsers + t.pop.roll(n*4+i, 41, t.pop.users-fixedUsers)
			t.seedRoleGrant(t.pop.ids.at(kUser, u), s.id, userRole, born)
		}
		if n%2 == 0 && n < 2*maxRoleGrants {
			t.seedRoleGrant(t.pop.ids.at(kGroup, groupFinance+n%2), s.id, userRole, born)
		}
		if n%3 == 1 {
			t.seedRoleGrant(s.id, t.graphSP, t.graphRoleID("Mail.Read"), born)
		}
		t.seedConsent(s.id, "AllPrincipals", nil, t.graphSP, " User.Read openid profile")
		if n%3 == 0 {
			t.seedConsent(s.id, "Principal", t.pop.ids.at(kUser, fixedUsers+n%4), t.graphSP, "Mail.Read")
		}
		if n == 1 {
			// A service principal as a member of a computed group.
			t.link(t.get(t.pop.ids.at(kGroup, groupPilot)), rMembers, s.id)
		}
	}
}

func (t *Tenant) seedIdentity(name, secret string, roles []string) App {
	appID := t.fresh(kAppID)
	born := stamp(t.pop.start.Add(-90 * 24 * time.Hour))
	access := []any{}
	for _, r := range roles {
		access = append(access, map[string]any{"id": t.graphRoleID(r), "type": "Role"})
	}
	app := t.seed(kApp, "application", "", map[string]any{"appId": appID, "displayName": name, "createdDateTime": born, "signInAudience": "AzureADMyOrg", "publisherDomain": t.pop.domain,
		"web":                    map[string]any{"homePageUrl": nil, "logoutUrl": nil, "redirectUris": []any{}, "implicitGrantSettings": map[string]any{"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false}, "redirectUriSettings": []any{}},
		"spa":                    map[string]any{"redirectUris": []any{}},
		"publicClient":           map[string]any{"redirectUris": []any{}},
		"info":                   map[string]any{"logoUrl": nil, "marketingUrl": nil, "privacyStatementUrl": nil, "supportUrl": nil, "termsOfServiceUrl": nil},
		"requiredResourceAccess": []any{map[string]any{"resourceAppId": graphAppID, "resourceAccess": access}},
		"api":                    map[string]any{"acceptMappedClaims": nil, "knownClientApplications": []any{}, "preAuthorizedApplications": []any{}, "requestedAccessTokenVersion": nil, "oauth2PermissionScopes": []any{}},
		"passwordCredentials":    []any{map[string]any{"customKeyIdentifier": nil, "displayName": "login", "endDateTime": stamp(t.pop.start.Add(700 * 24 * time.Hour)), "hint": secret[:3], "keyId": t.fresh(kKey), "secretText": nil, "startDateTime": born}}})
	t.link(app, rOwners, t.pop.ids.at(kUser, userAdmin))
	sp := t.seed(kSP, "servicePrincipal", "", t.servicePrincipalOf(app))
	for _, r := range roles {
		t.seedRoleGrant(sp.id, t.graphSP, t.graphRoleID(r), born)
	}
	return App{ClientID: appID, Secret: secret + appID[:8], ObjectID: sp.id}
}

// linkID is the form of the ids of grants: opaque text that holds the GUIDs
// it joins.
func linkID(a, b string) string {
	x, _ := parseGUID(a)
	y, _ := parseGUID(b)
	return base64.RawURLEncoding.EncodeToString(append(x[:], y[:]...))
}

func (t *Tenant) seedRoleGrant(principal, resource, role, born string) {
	o, r := t.get(principal), t.get(resource)
	for _, old := range t.joined(kRoleGrant, "principalId", principal) {
		if old.p["resourceId"] == resource && old.p["appRoleId"] == role {
			return
		}
	}
	t.seed(kRoleGrant, "appRoleAssignment", linkID(principal, t.fresh(kKey)), map[string]any{"appRoleId": role, "createdDateTime": born, "principalDisplayName": o.name(),
		"principalId": principal, "principalType": principalType(o), "resourceDisplayName": r.name(), "resourceId": resource})
}

func principalType(o *object) string {
	switch o.kind {
	case kGroup:
		return "Group"
	case kSP:
		return "ServicePrincipal"
	}
	return "User"
}

func (t *Tenant) seedConsent(client, kind string, principal any, resource, scope string) {
	t.seed(kConsent, "oAuth2PermissionGrant", linkID(client, t.fresh(kKey)), map[string]any{"clientId": client, "consentType": kind, "principalId": principal, "resourceId": resource, "scope": scope})
}

func (t *Tenant) seedRoles(born string) {
	for _, r := range [][2]string{{roleGlobalAdmin, "Global Administrator"}, {"e8611ab8-c189-46e8-94e1-60213ab1f814", "Privileged Role Administrator"}, {"b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", "Conditional Access Administrator"},
		{roleUserAdmin, "User Administrator"}, {"194ae4cb-b126-40b2-bd5b-6091b380977d", "Security Administrator"}, {"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", "Application Administrator"},
		{"f2ef992c-3afb-46b9-b7cf-a126ee74c451", "Global Reader"}, {"729827e3-9c14-49f7-bb1b-9608f156bbb8", "Helpdesk Administrator"}, {"fdd7a751-b60b-444a-984c-02652fe8fa1c", "Groups Administrator"},
		{"c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator"}, {roleAuthAdmin, "Privileged Authentication Administrator"}, {"158c047a-c907-4556-b7ef-446551a6b5f7", "Cloud Application Administrator"},
		{"29232cdf-9323-42fd-ade2-1d097af3e4de", "Exchange Administrator"}, {"f28a1f50-f6e7-4571-818b-6a12f2af6b6c", "SharePoint Administrator"}, {"5d6b6bb7-de71-4623-b4af-96380a352509", "Security Reader"}, {"88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "Directory Readers"}} {
		t.seed(kRoleDef, "unifiedRoleDefinition", r[0], map[string]any{"displayName": r[1], "description": "Built-in role " + r[1], "isBuiltIn": true, "isEnabled": true, "resourceScopes": list("/"), "templateId": r[0], "version": "1",
			"rolePermissions": []any{map[string]any{"allowedResourceActions": list("microsoft.directory/users/standard/read", "microsoft.directory/groups/standard/read"), "condition": nil}}}).managed = true
	}
	var custom []*object
	for _, name := range []string{"Group membership keeper", "Application credential auditor"} {
		id := t.fresh(kRoleDef)
		custom = append(custom, t.seed(kRoleDef, "unifiedRoleDefinition", id, map[string]any{"displayName": name, "description": name + " of Contoso", "isBuiltIn": false, "isEnabled": true, "resourceScopes": list("/"), "templateId": id, "version": nil,
			"rolePermissions": []any{map[string]any{"allowedResourceActions": list("microsoft.directory/groups/members/update", "microsoft.directory/applications/credentials/update"), "condition": nil}}}))
	}
	var units []*object
	for i, name := range []string{"Netherlands", "Sales department", "Laboratory"} {
		u := t.seed(kUnit, "administrativeUnit", "", map[string]any{"displayName": name, "description": "Unit for " + name, "visibility": nil})
		units = append(units, u)
		for n := range uint64(6) {
			t.link(u, rMembers, t.pop.ids.at(kUser, fixedUsers+uint64(i)*2+n))
		}
	}
	t.link(units[1], rMembers, t.pop.ids.at(kGroup, groupEngineering))
	assign := func(principal, role, scope string) {
		t.seed(kRoleAssignment, "unifiedRoleAssignment", linkID(role, t.fresh(kKey)), map[string]any{"principalId": principal, "roleDefinitionId": role, "directoryScopeId": scope, "principalOrganizationId": t.id})
	}
	user := func(n uint64) string { return t.pop.ids.at(kUser, n) }
	assign(user(userAdmin), roleGlobalAdmin, "/")
	assign(user(userGlass1), roleGlobalAdmin, "/")
	assign(user(userGlass2), roleGlobalAdmin, "/")
	assign(user(userSecurity), "194ae4cb-b126-40b2-bd5b-6091b380977d", "/")
	assign(user(userHelpdesk), "729827e3-9c14-49f7-bb1b-9608f156bbb8", "/")
	assign(user(userHelpdesk), roleUserAdmin, "/administrativeUnits/"+units[0].id)
	assign(t.pop.ids.at(kGroup, groupTierZero), "e8611ab8-c189-46e8-94e1-60213ab1f814", "/")
	assign(user(fixedUsers), custom[0].id, "/")
	// Without this role the restore app could not change people who hold
	// administrator roles.
	assign(t.restore.ObjectID, roleAuthAdmin, "/")
}

func (t *Tenant) seedPolicies(born string) {
	strength := func(id, name, kind string, combos ...string) *object {
		o := t.seed(kStrength, "authenticationStrengthPolicy", id, map[string]any{"displayName": name, "description": name, "policyType": kind, "requirementsSatisfied": "mfa", "createdDateTime": born, "modifiedDateTime": born, "allowedCombinations": list(combos...)})
		o.managed = kind == "builtIn"
		return o
	}
	strength(strengthMFA, "Multifactor authentication", "builtIn", "windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush", "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse", "password,microsoftAuthenticatorPush", "password,softwareOath", "password,hardwareOath", "password,sms", "password,voice", "federatedMultiFactor")
	strength(strengthPasswordless, "Passwordless MFA", "builtIn", "windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush")
	strength(strengthPhishing, "Phishing-resistant MFA", "builtIn", "windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor")
	own := strength("", "Administrators with keys", "custom", "fido2", "x509CertificateMultiFactor")

	office := t.seed(kLocation, "ipNamedLocation", "", map[string]any{"displayName": "Head office", "createdDateTime": born, "modifiedDateTime": born, "isTrusted": true, "ipRanges": []any{
		map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.0/24"}, map[string]any{"@odata.type": "#microsoft.graph.iPv6CidrRange", "cidrAddress": "2001:db8::/32"}}})
	t.seed(kLocation, "ipNamedLocation", "", map[string]any{"displayName": "Branch offices", "createdDateTime": born, "modifiedDateTime": born, "isTrusted": false, "ipRanges": []any{
		map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.51.100.0/25"}}})
	blocked := t.seed(kLocation, "countryNamedLocation", "", map[string]any{"displayName": "Countries without staff", "createdDateTime": born, "modifiedDateTime": born, "countriesAndRegions": list("KP", "AQ"), "countryLookupMethod": "clientIpAddress", "includeUnknownCountriesAndRegions": false})

	glass := t.pop.ids.at(kGroup, groupGlass)
	users := func(include, exclude map[string][]string) map[string]any {
		m := map[string]any{"includeGuestsOrExternalUsers": nil, "excludeGuestsOrExternalUsers": nil}
		for _, k := range []string{"Users", "Groups", "Roles"} {
			m["include"+k] = list(include[k]...)
			m["exclude"+k] = list(exclude[k]...)
		}
		return m
	}
	noGlass := map[string][]string{"Groups": {glass}}
	all := map[string][]string{"Users": {"All"}}
	admins := map[string][]string{"Roles": {roleGlobalAdmin, "e8611ab8-c189-46e8-94e1-60213ab1f814", "194ae4cb-b126-40b2-bd5b-6091b380977d", "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9"}}
	apps := func(include ...string) map[string]any {
		return map[string]any{"includeApplications": list(include...), "excludeApplications": []any{}, "includeUserActions": []any{}, "includeAuthenticationContextClassReferences": []any{}, "applicationFilter": nil}
	}
	grant := func(op string, strength any, controls ...string) map[string]any {
		g := map[string]any{"operator": op, "builtInControls": list(controls...), "customAuthenticationFactors": []any{}, "termsOfUse": []any{}, "authenticationStrength": nil}
		if strength != nil {
			g["authenticationStrength"] = map[string]any{"id": strength}
		}
		return g
	}
	policy := func(name, state string, conditions, grant, session map[string]any) *object {
		c := emptyConditions()
		for k, v := range conditions {
			c[k] = v
		}
		p := map[string]any{"displayName": name, "state": state, "createdDateTime": born, "modifiedDateTime": nil, "templateId": nil, "conditions": c, "grantControls": nil, "sessionControls": nil}
		if grant != nil {
			p["grantControls"] = grant
		}
		if session != nil {
			p["sessionControls"] = session
		}
		return t.seed(kPolicy, "conditionalAccessPolicy", "", p)
	}
	policy("Require MFA for administrators", "enabled", map[string]any{"users": users(admins, noGlass), "applications": apps("All")}, grant("OR", nil, "mfa"), nil)
	policy("Block legacy authentication", "enabled", map[string]any{"users": users(all, noGlass), "applications": apps("All"), "clientAppTypes": list("exchangeActiveSync", "other")}, grant("OR", nil, "block"), nil)
	policy("Require MFA for all users", "enabled", map[string]any{"users": users(all, noGlass), "applications": apps("All")}, grant("OR", nil, "mfa"), nil)
	policy("Block sign-in from unused countries", "enabled", map[string]any{"users": users(all, noGlass), "applications": apps("All"), "locations": map[string]any{"includeLocations": list(blocked.id), "excludeLocations": list(office.id)}}, grant("OR", nil, "block"), nil)
	policy("Payroll needs a compliant device outside the office", "enabled", map[string]any{"users": users(map[string][]string{"Groups": {t.pop.ids.at(kGroup, groupFinance)}}, noGlass), "applications": apps(t.pop.ids.at(kAppID, 0)),
		"locations": map[string]any{"includeLocations": list("All"), "excludeLocations": list("AllTrusted")}}, grant("AND", nil, "mfa", "compliantDevice"), nil)
	policy("Global administrators use keys", "enabled", map[string]any{"users": users(map[string][]string{"Roles": {roleGlobalAdmin}}, noGlass), "applications": apps("All")}, grant("OR", own.id), nil)
	policy("Unmanaged devices sign in daily", "disabled", map[string]any{"users": users(all, noGlass), "applications": apps("Office365"), "platforms": map[string]any{"includePlatforms": list("all"), "excludePlatforms": list("linux")},
		"devices": map[string]any{"deviceFilter": map[string]any{"mode": "exclude", "rule": `device.isCompliant -eq True`}}}, nil,
		map[string]any{"applicationEnforcedRestrictions": nil, "cloudAppSecurity": nil, "persistentBrowser": map[string]any{"isEnabled": true, "mode": "never"}, "disableResilienceDefaults": nil, "secureSignInSession": nil,
			"signInFrequency": map[string]any{"isEnabled": true, "type": "days", "value": 1, "authenticationType": "primaryAndSecondaryAuthentication", "frequencyInterval": "timeBased"}})
	policy("Guests need MFA", "enabledForReportingButNotEnforced", map[string]any{"users": func() map[string]any {
		u := users(nil, noGlass)
		u["includeGuestsOrExternalUsers"] = map[string]any{"guestOrExternalUserTypes": "b2bCollaborationGuest,b2bCollaborationMember", "externalTenants": map[string]any{"@odata.type": "#microsoft.graph.conditionalAccessAllExternalTenants", "membershipKind": "all"}}
		return u
	}(), "applications": apps("All")}, grant("OR", nil, "mfa"), nil)
	managed := policy("Microsoft-managed: Multifactor authentication for admins accessing Microsoft Admin Portals", "enabledForReportingButNotEnforced", map[string]any{"users": users(map[string][]string{"Roles": {roleGlobalAdmin}}, noGlass), "applications": apps("MicrosoftAdminPortals")}, grant("OR", nil, "mfa"), nil)
	managed.managed = true

	t.seed(kDefaults, "identitySecurityDefaultsEnforcementPolicy", defaultsID, map[string]any{"displayName": "Security Defaults", "description": "Security defaults is a set of basic identity security mechanisms recommended by Microsoft.", "isEnabled": false})
	t.seed(kMethodPolicy, "authenticationMethodsPolicy", "authenticationMethodsPolicy", map[string]any{"displayName": "Authentication Methods Policy", "description": "The tenant-wide policy that controls which authentication methods are allowed", "lastModifiedDateTime": born,
		"policyVersion": "1.5", "policyMigrationState": "migrationComplete", "reconfirmationInDays": nil, "registrationEnforcement": map[string]any{"authenticationMethodsRegistrationCampaign": map[string]any{"snoozeDurationInDays": 1, "state": "default", "excludeTargets": []any{},
			"includeTargets": []any{map[string]any{"id": "all_users", "targetType": "group", "targetedAuthenticationMethod": "microsoftAuthenticator"}}}}})
	for _, m := range methodNames() {
		p := methodDefault(m)
		if m == "fido2" || m == "microsoftAuthenticator" || m == "temporaryAccessPass" {
			p["state"] = "enabled"
		}
		if m == "sms" {
			p["state"] = "enabled"
			p["includeTargets"] = []any{map[string]any{"id": t.pop.ids.at(kGroup, groupPilot), "targetType": "group", "isRegistrationRequired": false, "isUsableForSignIn": false}}
		}
		t.seed(kMethod, m+"AuthenticationMethodConfiguration", methodID(m), p)
	}
}

func emptyConditions() map[string]any {
	return map[string]any{"applications": nil, "authenticationFlows": nil, "clientApplications": nil, "clientAppTypes": list("all"), "devices": nil, "insiderRiskLevels": nil, "locations": nil, "platforms": nil,
		"servicePrincipalRiskLevels": []any{}, "signInRiskLevels": []any{}, "userRiskLevels": []any{}, "users": nil}
}

func methodNames() []string {
	return []string{"fido2", "microsoftAuthenticator", "sms", "temporaryAccessPass", "softwareOath", "voice", "email", "x509Certificate"}
}

// methodID is the spelling of the id the service uses.
func methodID(m string) string {
	return map[string]string{"fido2": "Fido2", "microsoftAuthenticator": "MicrosoftAuthenticator", "sms": "Sms", "temporaryAccessPass": "TemporaryAccessPass", "softwareOath": "SoftwareOath", "voice": "Voice", "email": "Email", "x509Certificate": "X509Certificate"}[m]
}

// methodDefault is the configuration a method has before anyone touches it,
// and again after DELETE.
func methodDefault(m string) map[string]any {
	target := map[string]any{"id": "all_users", "targetType": "group", "isRegistrationRequired": false}
	p := map[string]any{"state": "disabled", "excludeTargets": []any{}, "includeTargets": []any{target}}
	switch m {
	case "fido2":
		p["isSelfServiceRegistrationAllowed"], p["isAttestationEnforced"] = true, false
		p["keyRestrictions"] = map[string]any{"aaGuids": []any{}, "enforcementType": "block", "isEnforced": false}
	case "microsoftAuthenticator":
		target["authenticationMode"] = "any"
		p["isSoftwareOathEnabled"] = false
		feature := func() map[string]any {
			return map[string]any{"state": "default", "includeTarget": map[string]any{"id": "all_users", "targetType": "group"}, "excludeTarget": map[string]any{"id": zeroGUID, "targetType": "group"}}
		}
		p["featureSettings"] = map[string]any{"displayAppInformationRequiredState": feature(), "displayLocationInformationRequiredState": feature()}
	case "sms":
		target["isUsableForSignIn"] = true
	case "temporaryAccessPass":
		p["defaultLength"], p["defaultLifetimeInMinutes"], p["isUsableOnce"], p["maximumLifetimeInMinutes"], p["minimumLifetimeInMinutes"] = 8, 60, false, 480, 60
	case "voice":
		p["isOfficePhoneAllowed"] = false
	case "email":
		p["allowExternalIdToUseEmailOtp"] = "default"
	case "x509Certificate":
		p["certificateUserBindings"] = []any{map[string]any{"x509CertificateField": "PrincipalName", "userProperty": "userPrincipalName", "priority": 1, "trustAffinityLevel": "low"}}
		p["authenticationModeConfiguration"] = map[string]any{"x509CertificateAuthenticationDefaultMode": "x509CertificateSingleFactor", "x509CertificateDefaultRequiredAffinityLevel": "low", "rules": []any{}}
		p["issuerHintsConfiguration"] = map[string]any{"state": "disabled"}
		p["crlValidationConfiguration"] = map[string]any{"state": "disabled", "exemptedCertificateAuthoritiesSubjectKeyIdentifiers": []any{}}
		p["certificateAuthorityScopes"] = []any{}
	}
	return p
}

// Find returns the id of the live object with this display name, user
// principal name or part number, or "" if there is none. Collection is the
// last segment of a collection's path, such as "users", "policies" (of
// Conditional Access) or "namedLocations".
func (t *Tenant) Find(collection, name string) string {
	kinds := map[string]kindID{"users": kUser, "groups": kGroup, "applications": kApp, "servicePrincipals": kSP, "administrativeUnits": kUnit, "policies": kPolicy, "conditionalAccessPolicies": kPolicy,
		"namedLocations": kLocation, "authenticationStrengthPolicies": kStrength, "roleDefinitions": kRoleDef, "domains": kDomain, "subscribedSkus": kSku, "organization": kOrg}
	k, ok := kinds[collection[strings.LastIndexByte(collection, '/')+1:]]
	if !ok {
		panic(fmt.Sprintf("emulator: no collection %q", collection))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if k == kUser {
		if o := t.byUPN(name); o.live() {
			return o.id
		}
	}
	id := ""
	t.each(k, func(o *object) bool {
		if o.live() && o.name() == name {
			id = o.id
		}
		return id == ""
	})
	return id
}
