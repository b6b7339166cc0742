package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// setting declares a policy of which every tenant has one.
func setting(t entra.Type, path, title, doc, write string, properties ...[]Property) *Resource {
	return &Resource{
		Type: t, Title: title, Doc: doc, List: "/policies/" + path, One: true, Name: []string{"displayName"},
		Can: Update, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.Read.All", write},
		Properties: slices.Concat(properties...),
	}
}

// The kinds of local accounts.
var localAccounts = []string{"isEmailPasswordAuthenticationEnabled", "isPhoneOneTimePasswordAuthenticationEnabled", "isUserNameAuthenticationEnabled"}

// The policies that say what people, guests, devices and applications of the tenant may do.
func settings() []*Resource {
	gone := omit("set only on deleted objects", "deletedDateTime")
	named := never(byService, "displayName", "description")
	members := func(name string) []Property {
		return []Property{
			{Name: name + ".users", Set: true, Ref: []entra.Type{UserType}},
			{Name: name + ".groups", Set: true, Ref: []entra.Type{GroupType}},
		}
	}
	authorization := setting("authorizationPolicy", "authorizationPolicy", "Authorization policy", "What people and guests may do by default.", "Policy.ReadWrite.Authorization",
		entries(OnUpdate, "", "displayName", "description", "allowedToSignUpEmailBasedSubscriptions", "allowedToUseSSPR", "allowEmailVerifiedUsersToJoinOrganization",
			"allowInvitesFrom", "allowUserConsentForRiskyApps", "blockMsolPowerShell", "defaultUserRolePermissions", "guestUserRoleId"),
		[]Property{{Name: "defaultUserRolePermissions.permissionGrantPoliciesAssigned", Set: true, Ref: []entra.Type{permissionGrantType}}}, gone)
	authorization.Grants, authorization.Native = true, true
	authorization.update = func(_ entra.ID, set, _ map[string]any) ([]part, error) {
		if v, ok := set["defaultUserRolePermissions"].(map[string]any); ok {
			set["defaultUserRolePermissions"] = fill(v, shape{"allowedToCreateTenants": nil, "allowedToReadBitlockerKeysForOwnedDevice": nil, "permissionGrantPoliciesAssigned": []any{}})
		}
		return nil, nil
	}

	consent := setting("adminConsentRequestPolicy", "adminConsentRequestPolicy", "Admin consent requests", "Whether people can ask an administrator for consent, and whom.", "Policy.ReadWrite.ConsentRequest",
		entries(OnUpdate, "", "isEnabled", "notifyReviewers", "remindersEnabled", "requestDurationInDays"),
		[]Property{
			{Name: "reviewers", Write: OnUpdate, Key: "query"},
			{Name: "reviewers[].query", Ref: []entra.Type{UserType, GroupType, RoleType}},
		},
		omit("moves with every write", "version"))
	consent.Name = []string{"id"}
	consent.update = whole("isEnabled", "notifyReviewers", "remindersEnabled", "requestDurationInDays", "reviewers")

	registration := setting("deviceRegistrationPolicy", "deviceRegistrationPolicy", "Device registration policy", "Who may register and join devices, and who administers them.", "Policy.ReadWrite.DeviceConfiguration",
		entries(OnUpdate, "", "azureADJoin", "azureADRegistration", "localAdminPassword", "multiFactorAuthConfiguration", "userDeviceQuota"),
		members("azureADJoin.allowedToJoin"), members("azureADJoin.localAdmins.registeringUsers"), members("azureADRegistration.allowedToRegister"), named)
	registration.update = func(id entra.ID, set, was map[string]any) ([]part, error) {
		if to, ok := set["azureADRegistration"]; ok {
			if is, _ := entra.Get(was, "azureADRegistration.isAdminConfigurable"); is == false && textOf(to) != textOf(was["azureADRegistration"]) {
				return nil, fmt.Errorf("azureADRegistration cannot be changed while devices are managed by Intune")
			}
		}
		return whole("azureADJoin", "azureADRegistration", "localAdminPassword", "multiFactorAuthConfiguration", "userDeviceQuota")(id, set, was)
	}

	validation := setting("federatedTokenValidationPolicy", "federatedTokenValidationPolicy", "Federated token validation", "For which domains tokens of federated identity providers are checked against the domain.", "Policy.ReadWrite.FedTokenValidation",
		entries(OnUpdate, "", "validatingDomains"), sets(OnUpdate, "", "validatingDomains.domainNames"), gone)
	validation.Name = []string{"id"}

	external := setting("externalIdentitiesPolicy", "externalIdentitiesPolicy", "External identities policy", "Whether guests may leave the tenant by themselves.", "Policy.ReadWrite.ExternalIdentities",
		entries(OnUpdate, "", "allowExternalIdentitiesToLeave"), never("reserved by the service", "allowDeletedIdentitiesDataRemoval"), named, gone)
	reviews := setting("accessReviewPolicy", "accessReviewPolicy", "Access review policy", "Whether owners of groups may set up access reviews.", "Policy.ReadWrite.AccessReview",
		entries(OnUpdate, "", "isGroupOwnerManagementEnabled"), named)
	external.Version, reviews.Version = "beta", "beta"

	local := setting("b2cAuthenticationMethodsPolicy", "b2cAuthenticationMethodsPolicy", "Local accounts", "With what customers sign in that have an account of the tenant's own.", "Policy.ReadWrite.AuthenticationMethod",
		entries(OnUpdate, "", localAccounts...))
	local.Version, local.Name = "beta", []string{"id"}
	local.update = func(_ entra.ID, set, was map[string]any) ([]part, error) {
		for _, name := range localAccounts { // a write that lacks one is refused
			if _, said := set[name]; said {
				continue
			}
			if v, known := was[name]; known {
				set[name] = v
			}
		}
		return nil, nil
	}

	const moved = "all that can be written is that it moves into Conditional Access policies, and nothing takes that back"
	evaluation := setting("continuousAccessEvaluationPolicy", "", "Continuous access evaluation", "Whose sessions end at once when they lose access, where that is not said by Conditional Access policies.", "",
		never(moved, "isEnabled", "migrate"), named,
		[]Property{
			{Name: "users", Set: true, Ref: []entra.Type{UserType}, Reason: moved},
			{Name: "groups", Set: true, Ref: []entra.Type{GroupType}, Reason: moved},
		})
	evaluation.List, evaluation.Version = "/identity/continuousAccessEvaluationPolicy", "beta"
	evaluation.Can, evaluation.Write, evaluation.Refusal = 0, nil, moved

	// Microsoft's own configuration tool reads and writes it so; the reference does not show it, and neither does the
	// published schema. What else the service says there is kept and not written.
	// Source: Microsoft365DSC, AADIdentityProtectionPolicySettings.
	protection := setting("identityProtectionPolicy", "", "Identity protection policy", "Whether a password that is changed on premises ends the risk that the service saw in a person.", "Policy.ReadWrite.IdentityProtection",
		entries(OnUpdate, "", "isUserRiskClearedOnPasswordReset"))
	protection.List, protection.Version, protection.Name = "/identityProtection/policy", "beta", []string{"id"}
	protection.Read, protection.Write = []string{"Policy.Read.IdentityProtection"}, []string{"Policy.Read.IdentityProtection", "Policy.ReadWrite.IdentityProtection"}
	protection.Unshown, protection.Grants = true, true

	return []*Resource{
		authorization, consent, registration, validation, external, reviews, local, evaluation, protection,
		setting("authenticationFlowsPolicy", "authenticationFlowsPolicy", "Authentication flows policy", "Whether guests can sign up by themselves.", "Policy.ReadWrite.AuthenticationFlows",
			entries(OnUpdate, "", "selfServiceSignUp"), named),
		setting("tenantAppManagementPolicy", "defaultAppManagementPolicy", "Application management default", "Which credentials and addresses applications may be given.", "Policy.ReadWrite.ApplicationConfiguration",
			entries(OnUpdate, "", "displayName", "description", "isEnabled", "applicationRestrictions", "servicePrincipalRestrictions"),
			restrictions("applicationRestrictions", "applicationRestrictions.identifierUris"), restrictions("servicePrincipalRestrictions", ""), gone),
	}
}

// restrictions declares what the rules for credentials and addresses of applications consist of: uris is where those
// for addresses are, "" for nowhere.
func restrictions(name, uris string) []Property {
	ps := []Property{{Name: name + ".keyCredentials", Key: "restrictionType"}, {Name: name + ".passwordCredentials", Key: "restrictionType"}}
	if uris != "" {
		ps = append(ps, omit("says whether Microsoft or the tenant last set the state", uris+".nonDefaultUriAddition.isStateSetByMicrosoft", uris+".uriAdditionWithoutUniqueTenantIdentifier.isStateSetByMicrosoft")...)
	}
	return ps
}

// whole makes the update hook of a policy that the service only takes whole, by PUT: what a write left out would be
// reset or refused, so what is not known is an error.
func whole(names ...string) func(entra.ID, map[string]any, map[string]any) ([]part, error) {
	return func(_ entra.ID, set, was map[string]any) ([]part, error) {
		body := map[string]any{}
		var unknown []string
		for _, name := range names {
			v, ok := set[name]
			if !ok {
				v, ok = was[name]
			}
			if !ok {
				unknown = append(unknown, name)
			}
			body[name] = v
		}
		if len(unknown) > 0 {
			return nil, fmt.Errorf("it is written whole, and what is there now is not known of %s", strings.Join(unknown, ", "))
		}
		maps.DeleteFunc(set, func(name string, _ any) bool { return slices.Contains(names, name) })
		return []part{{method: "PUT", body: body}}, nil
	}
}
