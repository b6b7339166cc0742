package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const contextType entra.Type = "authenticationContextClassReference"

// The types of method configurations end so, after the ID of the method.
const methodSuffix = "AuthenticationMethodConfiguration"

func policies() []*Resource {
	people := func(name string, to ...entra.Type) Property {
		return Property{Name: "conditions." + name, Set: true, Ref: to}
	}
	// Errors 1010 and 1011: "The policy includes no users", "no applications".
	some := func(p Property, of string) Property {
		p.Some = of
		return p
	}
	const whom, what = "whom it is for", "what it is for"
	return []*Resource{{
		Type: PolicyType, Judged: true, Native: true, Title: "Conditional Access policies", Doc: "Who may sign in to what, from where, under which conditions.",
		List: "/identity/conditionalAccess/policies",
		Bin:  "deletedConditionalAccessPolicy", Undelete: "/identity/conditionalAccess/deletedItems/policies/{id}/restore",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: []string{"Policy.Read.All"},
		Write: []string{"Policy.Read.All", "Policy.ReadWrite.ConditionalAccess", "Application.Read.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "displayName", Write: Both, Must: true},
				{Name: "state", Write: Both, Must: true, Safe: string(ReportOnly), Lift: "enforce"},
				{Name: "conditions", Write: Both, Must: true},
				some(people("users.includeUsers", UserType), whom), people("users.excludeUsers", UserType),
				some(people("users.includeGroups", GroupType), whom), people("users.excludeGroups", GroupType),
				some(people("users.includeRoles", RoleType), whom), people("users.excludeRoles", RoleType),
				{Name: "conditions.users.includeGuestsOrExternalUsers", Some: whom},
				people("users.includeGuestsOrExternalUsers.externalTenants.members"), people("users.excludeGuestsOrExternalUsers.externalTenants.members"),
				{Name: "conditions.applications.includeApplications", Set: true, Ref: []entra.Type{ServicePrincipalType}, By: "appId", Firm: true, Some: what},
				{Name: "conditions.applications.excludeApplications", Set: true, Ref: []entra.Type{ServicePrincipalType}, By: "appId", Firm: true},
				some(people("applications.includeUserActions"), what), some(people("applications.includeAuthenticationContextClassReferences", contextType), what),
				{Name: "conditions.applications.applicationFilter", Some: what},
				people("clientApplications.includeServicePrincipals", ServicePrincipalType), people("clientApplications.excludeServicePrincipals", ServicePrincipalType),
				people("locations.includeLocations", LocationType), people("locations.excludeLocations", LocationType),
				people("platforms.includePlatforms"), people("platforms.excludePlatforms"),
				people("clientAppTypes"), people("signInRiskLevels"), people("userRiskLevels"), people("servicePrincipalRiskLevels"),
				{Name: "grantControls", Write: Both},
				{Name: "grantControls.authenticationStrength.id", Ref: []entra.Type{StrengthType}},
				{Name: "grantControls.builtInControls", Set: true},
				{Name: "grantControls.customAuthenticationFactors", Set: true},
				{Name: "grantControls.termsOfUse", Set: true, Ref: []entra.Type{agreementType}},
			},
			both("description", "sessionControls"),
			never("says which template the policy was made from", "templateId"),
			never(byService, "createdDateTime"),
			omit("moves with every write", "modifiedDateTime"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		rules: 1, read: readPolicy,
		create: func(set map[string]any, _ Fresh) (map[string]any, error) {
			// Of the two kinds of controls the one not used has to be null.
			for _, name := range []string{"grantControls", "sessionControls"} {
				if _, ok := set[name]; !ok {
					set[name] = nil
				}
			}
			return nil, nil
		},
		update: func(_ entra.ID, set, _ map[string]any) ([]part, error) {
			for name, m := range shapes() {
				if v, ok := set[name].(map[string]any); ok {
					set[name] = fill(v, m)
				}
			}
			return nil, nil
		},
	}, {
		Type: LocationType, Judged: true, Native: true, Title: "Named locations", Doc: "IP ranges and countries that Conditional Access policies name.",
		List: "/identity/conditionalAccess/namedLocations", Variants: true,
		Bin: "deletedNamedLocation", Undelete: "/identity/conditionalAccess/deletedItems/namedLocations/{id}/restore",
		Name: []string{"displayName"}, Match: []string{"@odata.type", "displayName"},
		Can: Create | Update | Delete, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.Read.All", "Policy.ReadWrite.ConditionalAccess"},
		Properties: slices.Concat(
			[]Property{
				{Name: "@odata.type", Write: OnCreate, Must: true, Reason: "whether it holds addresses or countries is fixed"},
				{Name: "displayName", Write: Both, Must: true},
				{Name: "ipRanges", Write: Both, Key: "cidrAddress"},
				{Name: "countriesAndRegions", Write: Both, Set: true},
			},
			both("isTrusted", "countryLookupMethod", "includeUnknownCountriesAndRegions"),
			never(byService, "createdDateTime"),
			omit("moves with every write", "modifiedDateTime"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		update: func(_ entra.ID, set, was map[string]any) ([]part, error) {
			return nil, sayType(set, was, func() string {
				for name := range set {
					switch name {
					case "ipRanges", "isTrusted":
						return "#microsoft.graph.ipNamedLocation"
					case "countriesAndRegions", "countryLookupMethod", "includeUnknownCountriesAndRegions":
						return "#microsoft.graph.countryNamedLocation"
					}
				}
				return ""
			})
		},
		// The service refuses to delete a trusted location.
		disarm: func(m map[string]any) []part {
			if m["isTrusted"] != true {
				return nil
			}
			return []part{{method: "PATCH", body: map[string]any{"@odata.type": m["@odata.type"], "isTrusted": false}}}
		},
	}, {
		Type: contextType, Title: "Authentication contexts", Doc: "Names under which applications ask for a stricter sign-in.",
		List: "/identity/conditionalAccess/authenticationContextClassReferences", Chosen: "PATCH",
		Name: []string{"displayName"}, Match: []string{"id"},
		Can: Create | Update | Delete, Read: []string{"Policy.Read.ConditionalAccess"}, Write: []string{"Policy.Read.ConditionalAccess", "Policy.ReadWrite.ConditionalAccess"},
		Properties: both("displayName", "description", "isAvailable"),
		// The service refuses to delete one that applications can ask for.
		disarm: func(m map[string]any) []part {
			if m["isAvailable"] != true {
				return nil
			}
			return []part{{method: "PATCH", body: map[string]any{"isAvailable": false}}}
		},
	}, {
		Type: StrengthType, Judged: true, Native: true, Title: "Authentication strengths", Doc: "Combinations of sign-in methods that policies can demand.",
		List: "/policies/authenticationStrengthPolicies",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.ReadWrite.ConditionalAccess"},
		Properties: slices.Concat(
			[]Property{
				{Name: "displayName", Write: Both, Must: true},
				{Name: "description", Write: Both},
				{Name: "allowedCombinations", Write: Both, Set: true, Must: true},
			},
			never(byService, "createdDateTime", "policyType"),
			omit("follows from allowedCombinations", "requirementsSatisfied"),
			omit("moves with every write", "modifiedDateTime"),
			omit("each is an object of its own", "combinationConfigurations"),
		),
		rules: 1,
		// A combination is words parted by commas, sometimes with spaces.
		read: func(m map[string]any) {
			for i, c := range list(m["allowedCombinations"]) {
				if c, ok := c.(string); ok {
					m["allowedCombinations"].([]any)[i] = strings.ReplaceAll(c, " ", "")
				}
			}
		},
		frozen: func(m map[string]any) string {
			if m["policyType"] == "builtIn" {
				return "a built-in strength is the same in every tenant and cannot be changed"
			}
			return ""
		},
		// Source: Microsoft Graph documentation, "authenticationStrengthPolicy: updateAllowedCombinations".
		update: func(_ entra.ID, set, _ map[string]any) ([]part, error) {
			c, ok := set["allowedCombinations"]
			if !ok {
				return nil, nil
			}
			delete(set, "allowedCombinations")
			return []part{{method: "POST", suffix: "/updateAllowedCombinations", body: map[string]any{"allowedCombinations": c}}}, nil
		},
	}, {
		Type: "authenticationCombinationConfiguration", Title: "Restrictions of authentication strengths", Doc: "Which security keys and which certificates a combination of an authentication strength takes.",
		List: "/policies/authenticationStrengthPolicies/{parent}/combinationConfigurations", Item: "/policies/authenticationStrengthPolicies/{parent}/combinationConfigurations/{id}", Under: StrengthType, Variants: true, Grants: true,
		Name: []string{"appliesToCombinations"}, Match: []string{"@odata.type", "appliesToCombinations"},
		Can: Create | Update | Delete, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.ReadWrite.ConditionalAccess"},
		Properties: slices.Concat(
			[]Property{{Name: "@odata.type", Write: OnCreate, Must: true, Reason: "whether it is about keys or certificates is fixed"}, {Name: "appliesToCombinations", Write: Both, Must: true, Set: true}},
			sets(Both, "", "allowedAAGUIDs", "allowedIssuerSkis", "allowedPolicyOIDs"),
		),
		// A write to one of several shapes has to say which it is.
		update: func(_ entra.ID, set, was map[string]any) ([]part, error) {
			return nil, sayType(set, was, func() string { return "" })
		},
		// What Microsoft makes is the same in every tenant, without restrictions.
		holds: func(strength map[string]any) bool { return strength["policyType"] != "builtIn" },
	}, {
		Type: "authenticationMethodsPolicy", Judged: true, Native: true, Title: "Authentication methods policy", Doc: "How people are asked to register sign-in methods.",
		List: "/policies/authenticationMethodsPolicy", One: true,
		Name: []string{"displayName"},
		Can:  Update, Read: []string{"Policy.Read.AuthenticationMethod"}, Write: []string{"Policy.ReadWrite.AuthenticationMethod"},
		Properties: slices.Concat(
			[]Property{
				{Name: "registrationEnforcement", Write: OnUpdate},
				{Name: "registrationEnforcement.authenticationMethodsRegistrationCampaign.includeTargets", Key: "id"},
				{Name: "registrationEnforcement.authenticationMethodsRegistrationCampaign.includeTargets[].id", Ref: []entra.Type{GroupType, UserType}},
				{Name: "registrationEnforcement.authenticationMethodsRegistrationCampaign.excludeTargets", Key: "id"},
				{Name: "registrationEnforcement.authenticationMethodsRegistrationCampaign.excludeTargets[].id", Ref: []entra.Type{GroupType, UserType}},
				{Name: "policyMigrationState", Write: OnUpdate},
			},
			never(byService, "displayName", "description", "reconfirmationInDays"),
			omit("moves with every write", "lastModifiedDateTime", "policyVersion"),
			omit("each is an object of its own", "authenticationMethodConfigurations"),
		),
	}, {
		Type: "authenticationMethodConfiguration", Judged: true, Native: true, Title: "Authentication methods", Doc: "Which sign-in methods are allowed, and for whom.",
		List: "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations", Variants: true,
		Name: []string{"displayName"},
		// A deletion would put a built-in method back to its default, and only external ones can be created.
		Can: Update, Read: []string{"Policy.Read.AuthenticationMethod"}, Write: []string{"Policy.ReadWrite.AuthenticationMethod"},
		Properties: slices.Concat(
			[]Property{
				{Name: "@odata.type", Reason: "which method it is, is fixed"},
				{Name: "includeTargets", Write: OnUpdate, Key: "id"},
				{Name: "includeTargets[].id", Ref: []entra.Type{GroupType, UserType}},
				{Name: "excludeTargets", Write: OnUpdate, Key: "id"},
				{Name: "excludeTargets[].id", Ref: []entra.Type{GroupType, UserType}},
				{Name: "featureSettings", Write: OnUpdate},
				{Name: "certificateUserBindings", Write: OnUpdate, Key: "priority"},
				{Name: "keyRestrictions", Write: OnUpdate},
				{Name: "keyRestrictions.aaGuids", Set: true},
				// The application at which the provider asks for people to be sent to it.
				{Name: "appId", Write: OnUpdate, Ref: []entra.Type{ServicePrincipalType}, By: "appId"},
				{Name: "certificateAuthorityScopes", Write: OnUpdate},
				{Name: "certificateAuthorityScopes[].includeTargets", Key: "id"},
				{Name: "certificateAuthorityScopes[].includeTargets[].id", Ref: []entra.Type{GroupType}},
				// Microsoft's example has the name of the trust store there.
				{Name: "certificateAuthorityScopes[].publicKeyInfrastructureIdentifier", Ref: []entra.Type{trustStoreType}, Loose: true},
			},
			features("displayAppInformationRequiredState", "displayLocationInformationRequiredState"),
			entries(OnUpdate, "", "state", "allowExternalIdToUseEmailOtp", "displayName", "openIdConnectSetting",
				"defaultPasskeyProfile", "isAttestationEnforced", "isSelfServiceRegistrationAllowed", "isSoftwareOathEnabled",
				"pinLength", "standardQRCodeLifetimeInDays", "defaultLength", "defaultLifetimeInMinutes", "isUsableOnce",
				"maximumLifetimeInMinutes", "minimumLifetimeInMinutes", "isOfficePhoneAllowed",
				"authenticationModeConfiguration", "crlValidationConfiguration", "issuerHintsConfiguration", "passkeyProfiles"),
		),
		update: func(id entra.ID, set, was map[string]any) ([]part, error) {
			return nil, sayType(set, was, func() string {
				if slices.Contains([]string{"email", "fido2", "hardwareOath", "microsoftAuthenticator", "qrCodePin", "sms", "softwareOath",
					"temporaryAccessPass", "verifiableCredentials", "voice", "x509Certificate"}, lowerFirst(string(id))) {
					return "#microsoft.graph." + lowerFirst(string(id)) + methodSuffix
				}
				return ""
			})
		},
	}, {
		Type: defaultsType, Judged: true, Title: "Security defaults", Doc: "Whether Microsoft's basic protection of sign-in is on.",
		List: "/policies/identitySecurityDefaultsEnforcementPolicy", One: true,
		Name: []string{"displayName"},
		Can:  Update, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.Read.All", "Policy.ReadWrite.SecurityDefaults", "Policy.ReadWrite.ConditionalAccess"},
		Properties: slices.Concat(
			[]Property{{Name: "isEnabled", Write: OnUpdate}},
			never(byService, "displayName", "description"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}}
}

func features(names ...string) (ps []Property) {
	for _, n := range names {
		for _, side := range []string{"includeTarget", "excludeTarget"} {
			ps = append(ps, Property{Name: "featureSettings." + n + "." + side + ".id", Ref: []entra.Type{GroupType, UnitType, RoleType}})
		}
	}
	return ps
}

func lowerFirst(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// sayType puts @odata.type into a write, which the service demands wherever objects of one collection
// differ in shape.
func sayType(set, was map[string]any, guess func() string) error {
	t, _ := was["@odata.type"].(string)
	if t == "" {
		t = guess()
	}
	if t == "" {
		return fmt.Errorf("the write needs the object's present @odata.type")
	}
	set["@odata.type"] = t
	return nil
}

// readPolicy keeps of the strength that the service writes out inside a policy only its ID: the rest is an
// object of its own.
func readPolicy(m map[string]any) {
	if g, ok := m["grantControls"].(map[string]any); ok {
		if s, ok := g["authenticationStrength"].(map[string]any); ok {
			g["authenticationStrength"] = map[string]any{"id": s["id"]}
		}
	}
}

// A shape names the members of a complex value: nil for one that is null when cleared, an empty array for
// one that is empty then, a shape for one that has members itself and is null when cleared.
type shape map[string]any

// shapes says what a policy's complex values are made of, so that what a write leaves out is cleared and
// not kept. Source: Microsoft Graph documentation of conditionalAccessConditionSet,
// conditionalAccessGrantControls and conditionalAccessSessionControls.
func shapes() map[string]shape {
	none := []any{}
	return map[string]shape{
		"conditions": {
			"applications": shape{"applicationFilter": nil, "excludeApplications": none, "includeApplications": none,
				"includeAuthenticationContextClassReferences": none, "includeUserActions": none},
			"authenticationFlows": nil,
			"clientApplications":  shape{"excludeServicePrincipals": none, "includeServicePrincipals": none, "servicePrincipalFilter": nil},
			"clientAppTypes":      none, "devices": shape{"deviceFilter": nil}, "insiderRiskLevels": nil,
			"locations":                  shape{"excludeLocations": none, "includeLocations": none},
			"platforms":                  shape{"excludePlatforms": none, "includePlatforms": none},
			"servicePrincipalRiskLevels": none, "signInRiskLevels": none, "userRiskLevels": none,
			"users": shape{"excludeGroups": none, "excludeGuestsOrExternalUsers": nil, "excludeRoles": none, "excludeUsers": none,
				"includeGroups": none, "includeGuestsOrExternalUsers": nil, "includeRoles": none, "includeUsers": none},
		},
		"grantControls": {"authenticationStrength": nil, "builtInControls": none, "customAuthenticationFactors": none, "operator": nil, "termsOfUse": none},
		"sessionControls": {"applicationEnforcedRestrictions": nil, "cloudAppSecurity": nil, "disableResilienceDefaults": nil,
			"persistentBrowser": nil, "secureSignInSession": nil, "signInFrequency": nil},
	}
}

// fill adds to a value the members of its shape that it lacks.
func fill(v map[string]any, s shape) map[string]any {
	out := maps.Clone(v)
	for name, in := range s {
		has, ok := out[name]
		if sub, complex := in.(shape); complex {
			if has, complex := has.(map[string]any); complex {
				out[name] = fill(has, sub)
			} else if !ok {
				out[name] = nil
			}
			continue
		}
		if !ok || has == nil {
			out[name] = in
		}
	}
	return out
}
