package catalog

import "slices"

// How applications inside a network are reached from outside, which the service shows to people only.
// Source: Microsoft Graph documentation, onPremisesPublishing and "Automate the configuration of Application Proxy".
func publishing() []*Resource {
	const at = "onPremisesPublishing"
	return []*Resource{{
		Type: at, Is: ApplicationType, Title: "Application proxy", Doc: "Where a published application is inside the network and outside, who signs people in to it, and how long it may take.", Version: "beta",
		List: "/applications/{parent}", Item: "/applications/{parent}", Under: ApplicationType, One: true, ID: ownNone, Expand: at, Select: true, Chosen: "PATCH", Silent: true, People: true, Grants: true,
		Name: []string{at + ".externalUrl", at + ".applicationType"}, Match: []string{at},
		Can: Create | Update, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: at, Write: Both, Must: true},
				{Name: at + ".verifiedCustomDomainKeyCredential", Omit: true, Secret: true, Reason: "the key of the certificate of the outer address is never given out"},
				{Name: at + ".verifiedCustomDomainPasswordCredential", Omit: true, Secret: true, Reason: "the password of the certificate of the outer address is never given out"},
			},
			omit("follows from the rest", at+".isOnPremPublishingEnabled"),
			omit("says which certificate there is, of which the key is never given out", at+".verifiedCustomDomainCertificatesMetadata"),
			omit("has a list of its own", at+".segmentsConfiguration"),
			omit("the service no longer says it, and says it in segmentsConfiguration", at+".onPremisesApplicationSegments"),
		),
		read: func(m map[string]any) { keepOnly(m, at) },
		none: func(m map[string]any) bool { v, told := m[at]; return told && v == nil },
	}}
}
