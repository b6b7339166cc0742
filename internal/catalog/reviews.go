package catalog

import (
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	agreementType entra.Type = "agreement"
	reviewType    entra.Type = "accessReviewScheduleDefinition"
	programType   entra.Type = "program"
)

// What people have to agree to, and whose access is looked at again.
func reviews() []*Resource {
	const document = "the service takes terms of use from people only, not from applications, and does not give their documents out"
	const record = "it says what somebody asked for, which is not state"
	const ran, grows = "a record of a review that ran", "a record of what was done, which grows with every review"
	const withdrawn = "Microsoft has withdrawn it, so that most services give out nothing there"
	const runs, asked = "/identityGovernance/accessReviews/definitions/{parent}/instances", "/identityGovernance/accessReviews/definitions/{holder}/instances/{parent}/contactedReviewers"
	return []*Resource{{
		Type: agreementType, Title: "Terms of use", Doc: "What people have to accept before policies let them in; which documents there are, not what they say.",
		List: "/identityGovernance/termsOfUse/agreements", Inline: "files",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Read: []string{"Agreement.Read.All"}, Refusal: document,
		Properties: slices.Concat(
			never(document, "displayName", "isPerDeviceAcceptanceRequired", "isViewingBeforeAcceptanceRequired", "termsExpiration", "userReacceptRequiredFrequency"),
			[]Property{
				{Name: "files", Key: "id", Reason: document},
				{Name: "files[].fileData", Omit: true, Secret: true, Reason: document},
			},
		),
	}, {
		// One that is made anew begins at once: it writes to its reviewers, and what they do not answer can cost people
		// their access. So one that is gone stays gone, and one that should be gone is stopped by hand.
		Type: reviewType, Title: "Access reviews", Doc: "Whose access is looked at again, when, by whom, and what follows from it.",
		List: "/identityGovernance/accessReviews/definitions",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Update, Read: []string{"AccessReview.Read.All"}, Write: []string{"AccessReview.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "displayName", Write: OnUpdate, Must: true},
				{Name: "settings", Write: OnUpdate, Must: true},
				{Name: "additionalNotificationRecipients", Write: OnUpdate, Set: true},
				{Name: "reviewers", Write: OnUpdate, Set: true},
				{Name: "fallbackReviewers", Write: OnUpdate, Set: true},
			},
			queries("additionalNotificationRecipients[].notificationRecipientScope", "fallbackReviewers[]", "instanceEnumerationScope", "reviewers[]",
				"scope", "scope.principalScopes[]", "scope.resourceScopes[]", "stageSettings[].fallbackReviewers[]", "stageSettings[].reviewers[]"),
			entries(OnUpdate, "", "descriptionForAdmins", "descriptionForReviewers"),
			never("fixed when the review is set up", "instanceEnumerationScope", "scope", "stageSettings"),
			never(byService, "createdBy", "createdDateTime"),
			omit("says how far the review is", "status"),
			omit("moves with every write", "lastModifiedDateTime"),
		),
		rules: 1, read: func(m map[string]any) { shorten(m) },
		update: replace(shape{"additionalNotificationRecipients": []any{}, "descriptionForAdmins": nil, "descriptionForReviewers": nil, "displayName": nil, "fallbackReviewers": []any{},
			"instanceEnumerationScope": nil, "reviewers": []any{}, "scope": nil, "settings": nil, "stageSettings": []any{}}),
	}, {
		Type: "accessReviewInstance", Title: "Runs of access reviews", Doc: "When a review ran, about whom, and how far it came.",
		List: runs, Item: runs + "/{id}", Under: reviewType, Unless: grows,
		Name: []string{"startDateTime"}, Read: []string{"AccessReview.Read.All"}, Refusal: ran,
		Properties: slices.Concat(
			never(ran, "endDateTime", "scope", "startDateTime", "status"),
			sets(Never, ran, "fallbackReviewers", "reviewers"),
			queries("fallbackReviewers[]", "reviewers[]", "scope", "scope.principalScopes[]", "scope.resourceScopes[]"),
		),
		rules: 1, read: func(m map[string]any) { shorten(m) },
	}, {
		Type: "accessReviewReviewer", Title: "Reviewers of access reviews", Doc: "Who was asked in a run of a review.",
		List: asked, Item: asked + "/{id}", Under: "accessReviewInstance", Unless: grows,
		Name: []string{"displayName", "userPrincipalName"}, Read: []string{"AccessReview.Read.All"}, Refusal: ran,
		Properties: never(ran, "createdDateTime", "displayName", "userPrincipalName"),
	}, {
		Type: "appConsentRequest", Title: "App consent requests", Doc: "Applications that people asked an administrator to allow.",
		List: "/identityGovernance/appConsent/appConsentRequests",
		Name: []string{"appDisplayName"}, Match: []string{"appId"},
		Read: []string{"ConsentRequest.Read.All"}, Refusal: record,
		Properties: slices.Concat(
			never(record, "appDisplayName", "appId"),
			[]Property{{Name: "pendingScopes", Key: "displayName", Reason: record}},
		),
	}, {
		// Access reviews took its place, and the reference shows it no more.
		// Source: Microsoft Graph documentation of 2023, program and programControl.
		Type: programType, Title: "Access review programs", Doc: "What access reviews were gathered in once.", Version: "beta",
		List: "/programs", Unshown: true, Unless: withdrawn, Name: []string{"displayName"}, Read: []string{"ProgramControl.Read.All"}, Refusal: withdrawn,
		Properties: never(withdrawn, "description", "displayName"),
	}, {
		Type: "programControl", Title: "Controls of access review programs", Doc: "Which reviews a program gathered.", Version: "beta",
		List: "/programs/{parent}/controls", Under: programType, Unshown: true, Unless: withdrawn, Name: []string{"displayName"}, Read: []string{"ProgramControl.Read.All"}, Refusal: withdrawn,
		Properties: slices.Concat(
			[]Property{{Name: "programId", Ref: []entra.Type{programType}, Reason: withdrawn}},
			never(withdrawn, "controlId", "controlTypeId", "createdDateTime", "displayName", "owner", "resource", "status"),
		),
	}}
}

// queries declares addresses that say who is meant, with IDs in them.
func queries(paths ...string) (ps []Property) {
	for _, path := range paths {
		ps = append(ps, Property{Name: path + ".query", Ref: []entra.Type{GroupType, UserType, ServicePrincipalType, RoleType, packageType, packagePolicyType}})
	}
	return ps
}

// shorten takes the version of Graph from the beginning of queries, which the service writes there or not.
func shorten(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			if s, ok := e.(string); ok && name == "query" {
				for _, version := range []string{"/v1.0", "/beta"} {
					if rest, ok := strings.CutPrefix(s, version+"/"); ok {
						v[name] = "/" + rest
					}
				}
				continue
			}
			shorten(e)
		}
	case []any:
		for _, e := range v {
			shorten(e)
		}
	}
}
