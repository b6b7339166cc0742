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
		segments  = "/applications/{holder}/onPremisesPublishing/segmentsConfiguration/microsoft.graph.webSegmentConfiguration/applicationSegments"
		proxy     = "/onPremisesPublishingProfiles/applicationProxy"
		byWriting = "it is read by a permission that also lets its holder write"
		installed = "it registers itself where somebody installs it"

		connectorType entra.Type = "connector"
		segmentType   entra.Type = "webApplicationSegment"
	)
	// A profile is there for each sort of what is published. When its agents update themselves is written by itself.
	// Source: Microsoft Graph documentation, "Update onPremisesPublishingProfile".
	profile := func(t entra.Type, id, title, doc string, more []Property) *Resource {
		return &Resource{
			Type: t, Is: "onPremisesPublishingProfile", Title: title, Doc: doc, Version: "beta", List: "/onPremisesPublishingProfiles/" + id, One: true, People: true, Name: []string{"id"},
			Can: Update, Read: []string{"Policy.Read.HybridAuthentication"}, Write: []string{"OnPremisesPublishingProfiles.ReadWrite.All"},
			Properties: slices.Concat(entries(OnUpdate, "", "hybridAgentUpdaterConfiguration"), more), update: updateAgents,
		}
	}
	// Where there are agents they are in groups, which serve what is published.
	agents := func(id string, profileType, agentType, groupType, targetType entra.Type, title, does, which, what string) []*Resource {
		path := "/onPremisesPublishingProfiles/" + id
		// What is in a group of agents is assigned where it is.
		grouped := func(rel string, to entra.Type) Relation {
			return Relation{Rel: rel, To: []entra.Type{to}, Many: true, Read: ByExpand, Path: path + "/agentGroups/{id}/" + rel, Write: true, Turned: map[entra.Type]string{to: path + "/" + rel + "/{id}/agentGroups"}}
		}
		is := func(t, is entra.Type) entra.Type {
			if t == is {
				return ""
			}
			return is
		}
		return []*Resource{
			profile(profileType, id, title+" agent settings", "When the agents inside a network that "+does+" update themselves.", never("it is of the application proxy", "isDefaultAccessEnabled", "isEnabled")),
			{
				Type: agentType, Is: is(agentType, "onPremisesAgent"), Title: title + " agents", Doc: "The machines inside a network that " + does + ".", Version: "beta",
				List: path + "/agents", People: true, Name: []string{"machineName"},
				Read: []string{"Policy.Read.HybridAuthentication"}, Refusal: installed,
				Properties: slices.Concat(never(installed, "machineName"), sets(Never, installed, "supportedPublishingTypes"), omit("moves by itself", "externalIp", "status")),
			},
			{
				Type: groupType, Is: is(groupType, "onPremisesAgentGroup"), Title: title + " agent groups", Doc: "Which agents " + which + ".", Version: "beta",
				List: path + "/agentGroups", People: true, Name: []string{"displayName"}, Match: []string{"displayName"},
				Can: Create | Update | Delete, Read: []string{"Policy.Read.HybridAuthentication"}, Write: []string{"Directory.ReadWrite.All", "OnPremisesPublishingProfiles.ReadWrite.All"},
				Properties: slices.Concat([]Property{{Name: "displayName", Write: Both, Must: true}}, never(byService, "isDefault", "publishingType")),
				Links:      []Relation{grouped("agents", agentType), grouped("publishedResources", targetType)},
			},
			{
				Type: targetType, Is: is(targetType, "publishedResource"), Title: title + " targets", Doc: what, Version: "beta",
				List: path + "/publishedResources", People: true, Unless: byWriting, Name: []string{"displayName", "resourceName"}, Match: []string{"resourceName"},
				Can: Create | Update | Delete, Read: []string{"OnPremisesPublishingProfiles.ReadWrite.All"}, Write: []string{"OnPremisesPublishingProfiles.ReadWrite.All"},
				Properties: slices.Concat(
					[]Property{
						{Name: "displayName", Write: Both, Must: true},
						{Name: "resourceName", Write: OnCreate, Must: true, Reason: "fixed when it is made"},
					},
					never(byService, "publishingType"),
				),
			},
		}
	}
	// The published schema names them in an enumeration, onPremisesPublishingType, and the reference does not name them
	// where it says which profiles there are.
	unshown := func(all ...*Resource) []*Resource {
		for _, r := range all {
			r.Unshown = true
		}
		return all
	}
	return slices.Concat([]*Resource{{
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
		// The reference says which role a person needs to read the segments of what is published and to write them, and no
		// permission: it is that of what contains them.
		&Resource{
			Type: segmentType, Title: "Application segments", Doc: "Which further addresses inside the network and outside a published application has.", Version: "beta",
			List: segments, Item: segments + "/{id}", Under: at, Silent: true, People: true, Grants: true, Name: []string{"externalUrl"}, Match: []string{"externalUrl"},
			Can: Create | Update | Delete, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
			Properties: slices.Concat([]Property{{Name: "externalUrl", Write: Both, Must: true}, {Name: "internalUrl", Write: Both, Must: true}}, both("alternateUrl")),
			// Applications of the other sorts have segments of another kind.
			holds: func(m map[string]any) bool {
				sort, _ := entra.Get(m, at+".applicationType")
				return sort != "nonwebapp" && sort != "quickaccessapp"
			},
		},
		&Resource{
			Type: "corsConfiguration_v2", Title: "Sites that application segments answer", Doc: "Which other sites can ask what of a segment of a published application.", Version: "beta",
			List: segments + "/{parent}/corsConfigurations", Item: segments + "/{parent}/corsConfigurations/{id}", Under: segmentType, Silent: true, People: true, Grants: true, Name: []string{"resource"}, Match: []string{"resource"},
			Can: Create | Update | Delete, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
			Properties: slices.Concat([]Property{{Name: "resource", Write: Both, Must: true}}, sets(Both, "", "allowedHeaders", "allowedMethods", "allowedOrigins"), both("maxAgeInSeconds")),
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
		&Resource{
			Type: "privateAccessSensor", Title: "Private access sensors", Doc: "The domain controllers inside a network that ask for a second factor.", Version: "beta",
			List: "/onPremisesPublishingProfiles/privateAccess/sensors", People: true, Unless: byWriting, Name: []string{"machineName"},
			Read: []string{"OnPremisesPublishingProfiles.ReadWrite.All"}, Refusal: installed,
			Properties: slices.Concat(never(installed, "machineName"), never("the service names no way to write it", "isAuditMode", "isBreakglassEnabled"), omit("moves by itself", "externalIp", "status", "version")),
		},
	},
		agents("provisioning", "provisioningPublishingProfile", "onPremisesAgent", "onPremisesAgentGroup", "publishedResource", "Provisioning",
			"provision people into it", "provision into which domains inside a network", "The domains inside a network into which agents provision."),
		agents("authentication", "authenticationPublishingProfile", "authenticationAgent", "authenticationAgentGroup", "authenticationPublishedResource", "Pass-through sign-in",
			"check people's passwords there", "check passwords in which domains inside a network", "The domains inside a network in which agents check passwords."),
		agents("exchangeOnline", "exchangeOnlinePublishingProfile", "exchangeOnlineAgent", "exchangeOnlineAgentGroup", "exchangeOnlinePublishedResource", "Exchange hybrid",
			"let Exchange Online reach the Exchange there", "let Exchange Online reach which servers inside a network", "The servers inside a network that Exchange Online reaches through agents."),
		agents("adAdministration", "adAdministrationPublishingProfile", "adAdministrationAgent", "adAdministrationAgentGroup", "adAdministrationPublishedResource", "Directory administration",
			"administer the directory there", "administer which domains inside a network", "The domains inside a network that agents administer."),
		unshown(agents("intunePfx", "intunePfxPublishingProfile", "intunePfxAgent", "intunePfxAgentGroup", "intunePfxPublishedResource", "Intune certificate",
			"handle certificates for Intune", "serve which targets inside a network", "What inside a network the agents serve that handle certificates for Intune.")...),
		unshown(agents("oflineDomainJoin", "oflineDomainJoinPublishingProfile", "oflineDomainJoinAgent", "oflineDomainJoinAgentGroup", "oflineDomainJoinPublishedResource", "Offline domain join",
			"join devices to the domains there", "serve which targets inside a network", "What inside a network the agents serve that join devices to domains.")...),
		unshown(profile("privateAccessPublishingProfile", "privateAccess", "Private access agent settings", "When the agents inside a network that carry the traffic of private access update themselves.",
			never("it is of the application proxy", "isDefaultAccessEnabled", "isEnabled"))),
	)
}

// updateAgents takes out of set when agents update themselves, which has a path of its own.
func updateAgents(_ entra.ID, set, was map[string]any) ([]part, error) {
	const name = "hybridAgentUpdaterConfiguration"
	v, ok := set[name]
	if !ok {
		return nil, nil
	}
	delete(set, name)
	body, _ := v.(map[string]any)
	if body == nil { // nothing is set
		body = map[string]any{}
		had, _ := was[name].(map[string]any)
		for member, v := range had {
			body[member] = nil
			if _, switched := v.(bool); switched {
				body[member] = false
			}
		}
	}
	return []part{{method: "PATCH", suffix: "/" + name, body: body}}, nil
}
