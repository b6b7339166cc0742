package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const observed = "the service observes it and says it anew, and it moves by itself"

// observations are what the service finds out about people and applications by itself. They are evidence: an undeleted
// person has the same risk again, and one made anew has none.
func observations() []*Resource {
	one := func(t entra.Type, list, title, doc, permission string, top int, names ...string) *Resource {
		return &Resource{
			Type: t, Title: title, Doc: doc, List: list, Top: top, Unless: observed,
			Name: names, Read: []string{permission}, Refusal: "a record of what the service found, which nobody writes",
		}
	}
	people := one("riskyUser", "/identityProtection/riskyUsers", "Risky users", "Whom the service holds for endangered, and why.", "IdentityRiskyUser.Read.All", 500, "userPrincipalName")
	people.Properties = slices.Concat(
		[]Property{{Name: "id", Ref: []entra.Type{UserType}, Reason: observed}},
		never(observed, "isDeleted", "riskDetail", "riskLastUpdatedDateTime", "riskLevel", "riskState", "userDisplayName", "userPrincipalName"),
		omit("says that the service is at it", "isProcessing"),
	)
	programs := one("riskyServicePrincipal", "/identityProtection/riskyServicePrincipals", "Risky applications", "Which applications the service holds for endangered, and why.", "IdentityRiskyServicePrincipal.Read.All", 500, "displayName")
	programs.Properties = slices.Concat(
		[]Property{
			{Name: "id", Ref: []entra.Type{ServicePrincipalType}, Reason: observed},
			{Name: "appId", Ref: []entra.Type{ApplicationType}, By: "appId", Reason: observed},
		},
		never(observed, "displayName", "isEnabled", "riskDetail", "riskLastUpdatedDateTime", "riskLevel", "riskState", "servicePrincipalType"),
		omit("says that the service is at it", "isProcessing"),
	)
	detections := one("riskDetection", "/identityProtection/riskDetections", "Risk detections", "What made the service hold somebody for endangered; it forgets after 7 to 90 days.", "IdentityRiskEvent.Read.All", 500, "riskEventType")
	detections.Properties = slices.Concat(
		[]Property{{Name: "userId", Ref: []entra.Type{UserType}, Reason: observed}},
		never(observed, "activity", "activityDateTime", "additionalInfo", "correlationId", "detectedDateTime", "detectionTimingType", "ipAddress", "lastUpdatedDateTime",
			"location", "requestId", "riskDetail", "riskEventType", "riskLevel", "riskState", "source", "tokenIssuerType", "userDisplayName", "userPrincipalName"),
	)
	registered := one("userRegistrationDetails", "/reports/authenticationMethods/userRegistrationDetails", "Registration of sign-in methods", "Who has registered what kind of sign-in method, up to some days ago; not of disabled people.", "AuditLog.Read.All", 0, "userPrincipalName")
	registered.Properties = slices.Concat(
		[]Property{{Name: "id", Ref: []entra.Type{UserType}, Reason: observed}, {Name: "methodsRegistered", Set: true, Reason: observed}, {Name: "systemPreferredAuthenticationMethods", Set: true, Reason: observed}},
		never(observed, "isAdmin", "isMfaCapable", "isMfaRegistered", "isPasswordlessCapable", "isSsprCapable", "isSsprEnabled", "isSsprRegistered",
			"isSystemPreferredAuthenticationMethodEnabled", "userDisplayName", "userPreferredMethodForSecondaryAuthentication", "userPrincipalName", "userType"),
		omit("moves with every making of the report", "lastUpdatedDateTime"),
	)
	advice := one("recommendation", "/directory/recommendations", "Recommendations", "What the service advises, and what was decided about it.", "DirectoryRecommendations.Read.All", 0, "displayName")
	advice.Version = "beta"
	advice.Properties = slices.Concat(
		[]Property{{Name: "actionSteps", Key: "stepNumber", Reason: observed}, {Name: "featureAreas", Set: true, Reason: observed}},
		never(observed, "benefits", "category", "createdDateTime", "displayName", "impactStartDateTime", "impactType", "insights", "lastModifiedBy", "lastModifiedDateTime",
			"maxScore", "postponeUntilDateTime", "priority", "recommendationType", "releaseType", "remediationImpact", "requiredLicenses", "status"),
		omit("moves daily", "currentScore", "lastCheckedDateTime"),
	)
	const counted = "the service counts it anew, and it moves with what people register"
	summary := one("userRegistrationFeatureSummary", "/reports/authenticationMethods/microsoft.graph.usersRegisteredByFeature()", "Numbers of registered people", "How many people have registered what they need to sign in in which way.", "AuditLog.Read.All", 0, "userTypes")
	summary.One, summary.Unless = true, counted
	summary.Properties = slices.Concat(
		[]Property{{Name: "userRegistrationFeatureCounts", Key: "feature", Reason: counted}},
		never(counted, "totalUserCount", "userRoles", "userTypes"),
	)
	return []*Resource{people, programs, detections, registered, summary, advice}
}
