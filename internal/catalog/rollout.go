package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// How groups sign in before the rest does, whose devices are managed, who agreed to what, who tells people from
// robots, and who filters what comes from outside: the service shows it to people only.
func rollouts() []*Resource {
	const (
		accepted = "it says what somebody agreed to, and only they can agree again"
		paired   = "belongs to a secret that the service never gives out"
		noKey    = "the service never gives it out; it has to come from the provider"
		ofApp    = "follows from the application"
		verified = "it says what the service saw, and only another look says it again"

		firewallProviderType entra.Type = "webApplicationFirewallProvider"
	)
	secret := func(name string) Property { return Property{Name: name, Omit: true, Secret: true, Reason: noKey} }
	// An application brings its policy along, so none is made or taken away.
	// Source: Microsoft Graph documentation, "Update mobileDeviceManagementPolicy": to whom it applies travels alone, and
	// becomes selected groups by adding one.
	enrolment := func(t entra.Type, path, title, doc string, more ...string) *Resource {
		return &Resource{
			Type: t, Title: title, Doc: doc, Version: "beta", List: "/policies/" + path, People: true, Name: []string{"displayName"},
			Can: Update, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.ReadWrite.MobilityManagement"},
			Properties: slices.Concat(
				[]Property{{Name: "appliesTo", Write: OnUpdate, Group: "scope"}},
				entries(OnUpdate, "", "complianceUrl", "discoveryUrl", "termsOfUseUrl"),
				entries(OnUpdate, "", more...),
				never(ofApp, "description", "displayName", "isValid"),
			),
			Links: []Relation{{Rel: "includedGroups", To: []entra.Type{GroupType}, Many: true, Read: ByExpand, Path: "/policies/" + path + "/{id}/includedGroups", Write: true, Said: "groups"}},
			update: func(_ entra.ID, set, _ map[string]any) ([]part, error) {
				if set["appliesTo"] == "selected" {
					delete(set, "appliesTo")
				}
				return nil, nil
			},
			frozen: func(m map[string]any) string { return invalid(m) },
			fixed:  func(m map[string]any, _ string) string { return invalid(m) },
		}
	}
	const acceptances = "/identityGovernance/termsOfUse/agreements/{parent}/acceptances"
	return []*Resource{{
		Type: "featureRolloutPolicy", Title: "Staged rollout", Doc: "Which groups sign in another way already than their domain says.",
		List: "/policies/featureRolloutPolicies", People: true, Grants: true, Name: []string{"displayName"}, Match: []string{"feature"},
		Can: Create | Update | Delete, Read: []string{"Policy.Read.HybridAuthentication"}, Write: []string{"Policy.ReadWrite.HybridAuthentication"},
		Properties: slices.Concat(
			[]Property{
				{Name: "displayName", Write: Both, Must: true},
				{Name: "feature", Write: OnCreate, Must: true, Reason: "fixed when the policy is made"},
				{Name: "isEnabled", Write: Both, Must: true},
			},
			both("description", "isAppliedToOrganization"),
		),
		Links: []Relation{{Rel: "appliesTo", To: []entra.Type{GroupType}, Many: true, Read: ByExpand, Path: "/policies/featureRolloutPolicies/{id}/appliesTo", Write: true}},
	},
		enrolment("mobileDeviceManagementPolicy", "mobileDeviceManagementPolicies", "Device enrolment", "Whose devices are managed as soon as they join, and by which application.", "isMdmEnrollmentDuringRegistrationDisabled"),
		enrolment("mobileAppManagementPolicy", "mobileAppManagementPolicies", "Application enrolment", "Whose applications are managed on devices of their own, and by which application."),
		&Resource{
			Type: "agreementAcceptance", Title: "Accepted terms of use", Doc: "Who accepted or declined which terms of use, when, and on which device.",
			List: acceptances, Item: acceptances + "/{id}", Under: agreementType, Silent: true, People: true, Unless: "one for each person and each of the terms",
			Name: []string{"userPrincipalName", "userDisplayName"}, Read: []string{"AgreementAcceptance.Read.All"}, Refusal: accepted,
			Properties: slices.Concat(
				[]Property{
					{Name: "agreementId", Ref: []entra.Type{agreementType}, Reason: accepted},
					{Name: "userId", Ref: []entra.Type{UserType}, Reason: accepted},
					{Name: "deviceId", Ref: []entra.Type{"device"}, By: "deviceId", Reason: accepted},
				},
				never(accepted, "agreementFileId", "deviceDisplayName", "deviceOSType", "deviceOSVersion", "expirationDateTime", "recordedDateTime", "state", "userDisplayName", "userEmail", "userPrincipalName"),
			),
		}, &Resource{
			// As for identity providers: a new one would need its secret.
			Type: "fraudProtectionProvider", Title: "Fraud protection", Doc: "Who tells people from robots when they sign up: Arkose Labs, HUMAN Security.",
			List: "/identity/riskPrevention/fraudProtectionProviders", Variants: true, People: true, Name: []string{"displayName"},
			Can: Update, Read: []string{"RiskPreventionProviders.Read.All"}, Write: []string{"RiskPreventionProviders.ReadWrite.All"},
			Properties: slices.Concat(
				[]Property{
					{Name: "@odata.type", Reason: whatItIs},
					{Name: "displayName", Write: OnUpdate, Must: true},
					secret("privateKey"), secret("serverToken"),
				},
				entries(OnUpdate, "", "clientSubDomain", "verifySubDomain"),
				never(paired, "appId", "publicKey"),
			),
			update: sayKind,
		}, &Resource{
			// Nor can one be made without what it signs in with.
			Type: firewallProviderType, Title: "Web application firewalls", Doc: "Who filters what comes to the tenant's own addresses: Akamai, Cloudflare.",
			List: "/identity/riskPrevention/webApplicationFirewallProviders", Variants: true, People: true, Name: []string{"displayName"},
			Can: Update, Read: []string{"RiskPreventionProviders.Read.All"}, Write: []string{"RiskPreventionProviders.ReadWrite.All"},
			Properties: slices.Concat(
				[]Property{
					{Name: "@odata.type", Reason: whatItIs},
					{Name: "displayName", Write: OnUpdate, Must: true},
					secret("accessToken"), secret("apiToken"), secret("clientSecret"), secret("clientToken"),
				},
				entries(OnUpdate, "", "hostPrefix", "zoneId"),
			),
			update: sayKind,
		}, &Resource{
			Type: "webApplicationFirewallVerification", Is: "webApplicationFirewallVerificationModel", Title: "Addresses behind web application firewalls", Doc: "Which addresses of the tenant's were seen to be behind which firewall, by which rules of it.",
			List: "/identity/riskPrevention/webApplicationFirewallVerifications", Inline: "provider", People: true, Name: []string{"verifiedHost"},
			Read: []string{"RiskPreventionProviders.Read.All"}, Refusal: verified,
			Properties: slices.Concat(
				never(verified, "providerType", "verificationResult", "verifiedDetails", "verifiedHost"),
				[]Property{{Name: "provider", Reason: verified}, {Name: "provider.id", Ref: []entra.Type{firewallProviderType}, Reason: verified}},
			),
			read: func(m map[string]any) {
				if p, ok := m["provider"].(map[string]any); ok {
					keepOnly(p, "id")
				}
			},
		}}
}

// invalid says why a policy is not written whose application is gone.
func invalid(m map[string]any) string {
	if m["isValid"] == false {
		return "its application is gone, and the service takes no change of what it left"
	}
	return ""
}
