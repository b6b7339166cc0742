package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// How applications inside a network are reached from outside, which the service shows to people only.
// Source: Microsoft Graph documentation, onPremisesPublishing and "Automate the configuration of Application Proxy".
func publishing() []*Resource {
	const (
		at        = "onPremisesPublishing"
		proxy     = "/onPremisesPublishingProfiles/applicationProxy"
		agents    = "/onPremisesPublishingProfiles/provisioning"
		byWriting = "it is read by a permission that also lets its holder write"
		installed = "it registers itself where somebody installs it"

		connectorType  entra.Type = "connector"
		agentGroupType entra.Type = "onPremisesAgentGroup"
	)
	profile := func(t entra.Type, id, title, doc string, more []Property) *Resource {
		return &Resource{
			Type: t, Is: "onPremisesPublishingProfile", Title: title, Doc: doc, Version: "beta", List: "/onPremisesPublishingProfiles/" + id, One: true, People: true, Name: []string{"id"},
			Can: Update, Read: []string{"Policy.Read.HybridAuthentication"}, Write: []string{"OnPremisesPublishingProfiles.ReadWrite.All"},
			Properties: slices.Concat(entries(OnUpdate, "", "hybridAgentUpdaterConfiguration"), more),
		}
	}
	// What is in a group of agents is assigned where it is.
	grouped := func(rel string, to entra.Type) Relation {
		return Relation{Rel: rel, To: []entra.Type{to}, Many: true, Read: ByExpand, Path: agents + "/agentGroups/{id}/" + rel, Write: true, Turned: map[entra.Type]string{to: agents + "/" + rel + "/{id}/agentGroups"}}
	}
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
	},
		&Resource{
			Type: "connectorGroup", Title: "Connector groups", Doc: "Which connectors inside a network carry the traffic of which applications.", Version: "beta",
			List: proxy + "/connectorGroups", People: true, Unless: byWriting, Name: []string{"name"}, Match: []string{"name"},
			Can: Create | Update | Delete, Read: []string{"Directory.ReadWrite.All"}, Write: []string{"Directory.ReadWrite.All"},
			Properties: slices.Concat(
				[]Property{{Name: "name", Write: Both, Must: true}, {Name: "region", Write: Both}},
				never(byService, "connectorGroupType", "isDefault"),
			),
			// Each connector and each published application is in one group always.
			Links: []Relation{
				{Rel: "members", To: []entra.Type{connectorType}, Many: true, Path: proxy + "/connectorGroups/{id}/members", Write: true, Sole: true, Bare: true, Said: "onPremisesPublishingProfiles/applicationProxy/connectors"},
				{Rel: "applications", To: []entra.Type{ApplicationType}, Many: true, Path: proxy + "/connectorGroups/{id}/applications", Write: true, Sole: true, Bare: true, Turned: map[entra.Type]string{ApplicationType: "/applications/{id}/connectorGroup"}},
			},
		},
		&Resource{
			Type: connectorType, Title: "Connectors", Doc: "The machines inside a network that carry the traffic of published applications.", Version: "beta",
			List: proxy + "/connectors", People: true, Unless: byWriting, Name: []string{"machineName"},
			Read: []string{"Directory.ReadWrite.All"}, Refusal: installed,
			Properties: slices.Concat(never(installed, "machineName"), omit("moves by itself", "externalIp", "status", "version")),
		},
		profile("onPremisesPublishingProfile", "applicationProxy", "Application proxy settings", "Whether applications are published at all, and when connectors update themselves.", entries(OnUpdate, "", "isDefaultAccessEnabled", "isEnabled")),
		profile("provisioningPublishingProfile", "provisioning", "Provisioning agent settings", "When the agents that provision into a network update themselves.", never("it is of the application proxy", "isDefaultAccessEnabled", "isEnabled")),
		&Resource{
			Type: "onPremisesAgent", Title: "Provisioning agents", Doc: "The machines inside a network that provision people into it.", Version: "beta",
			List: agents + "/agents", People: true, Name: []string{"machineName"},
			Read: []string{"Policy.Read.HybridAuthentication"}, Refusal: installed,
			Properties: slices.Concat(never(installed, "machineName"), sets(Never, installed, "supportedPublishingTypes"), omit("moves by itself", "externalIp", "status")),
		},
		&Resource{
			Type: agentGroupType, Title: "Provisioning agent groups", Doc: "Which agents provision into which domains inside a network.", Version: "beta",
			List: agents + "/agentGroups", People: true, Name: []string{"displayName"}, Match: []string{"displayName"},
			Can: Create | Update | Delete, Read: []string{"Policy.Read.HybridAuthentication"}, Write: []string{"Directory.ReadWrite.All", "OnPremisesPublishingProfiles.ReadWrite.All"},
			Properties: slices.Concat([]Property{{Name: "displayName", Write: Both, Must: true}}, never(byService, "isDefault", "publishingType")),
			Links:      []Relation{grouped("agents", "onPremisesAgent"), grouped("publishedResources", "publishedResource")},
		},
		&Resource{
			Type: "publishedResource", Title: "Provisioning targets", Doc: "The domains inside a network into which agents provision.", Version: "beta",
			List: agents + "/publishedResources", People: true, Unless: byWriting, Name: []string{"displayName", "resourceName"}, Match: []string{"resourceName"},
			Can: Create | Update | Delete, Read: []string{"OnPremisesPublishingProfiles.ReadWrite.All"}, Write: []string{"OnPremisesPublishingProfiles.ReadWrite.All"},
			Properties: slices.Concat(
				[]Property{
					{Name: "displayName", Write: Both, Must: true},
					{Name: "resourceName", Write: OnCreate, Must: true, Reason: "fixed when it is made"},
				},
				never(byService, "publishingType"),
			),
		}}
}
