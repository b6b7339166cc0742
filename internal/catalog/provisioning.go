package catalog

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const jobType entra.Type = "synchronizationJob"

// How accounts are made, kept and taken away in other directories, or from them in this one.
func provisioning() []*Resource {
	const jobs = "/servicePrincipals/{parent}/synchronization/jobs"
	const together = "it is written together with the credentials, which nobody gives out"
	read, write := []string{"Synchronization.Read.All"}, []string{"Synchronization.ReadWrite.All"}
	key := func(name, by string) Property { return Property{Name: name, Key: by} }
	const objects = "directories[].objects"
	const mappings = "synchronizationRules[].objectMappings"
	return []*Resource{{
		Type: jobType, Title: "Provisioning jobs", Doc: "Which directory an enterprise application provisions accounts to or from, and whether it does.",
		List: jobs, Item: jobs + "/{id}", Under: ServicePrincipalType, Grants: true,
		Name: []string{"templateId"}, Match: []string{"templateId"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{
				{Name: "templateId", Write: OnCreate, Must: true, Reason: "fixed when the job is made"},
				// A job that runs with a wrong scope or mapping disables and deletes accounts.
				{Name: "isActive", Write: OnUpdate, Safe: false, Lift: "enforce", Still: true},
				{Name: "schedule", Reason: "follows from the template"},
				{Name: "schedule.state", Omit: true, Reason: "says what isActive says"},
				{Name: "synchronizationJobSettings", Key: "name", Reason: "most follow from the template, and the service documents no way to write them"},
				{Name: "secrets", Omit: true, Secret: true, Reason: "the service never gives out the credentials; give them again before the job is started, and with them whom it notifies and how many deletions are too many"},
			},
			omit("moves by itself", "status"),
		),
		rules: 1, read: readJob, update: startOrPause,
		holds: provisions,
	}, {
		Type: "synchronizationSchema", Title: "Provisioning mappings", Doc: "Which accounts and groups a provisioning job takes along, and which attribute becomes which.",
		List: "/servicePrincipals/{holder}/synchronization/jobs/{parent}/schema", Item: "/servicePrincipals/{holder}/synchronization/jobs/{parent}/schema", Under: jobType, One: true, Grants: true,
		Chosen: "PUT", Name: []string{"id"}, Match: []string{"id"},
		Can: Create | Update, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{
				{Name: "directories", Write: Both, Must: true, Key: "id"},
				{Name: "directories[].discoveryDateTime", Omit: true, Reason: "moves by itself"},
				{Name: "directories[].version", Omit: true, Reason: "moves with every write"},
				key(objects, "name"), key(objects+"[].attributes", "name"), key(objects+"[].attributes[].metadata", "key"), key(objects+"[].attributes[].apiExpressions", "key"), key(objects+"[].metadata", "key"),
				{Name: objects + "[].supportedApis", Set: true},
				{Name: "synchronizationRules", Write: Both, Must: true, Key: "id"},
				{Name: "synchronizationRules[].containerFilter.includedContainers", Set: true},
				{Name: "synchronizationRules[].groupFilter.includedGroups", Set: true, Ref: []entra.Type{GroupType}, Loose: true},
				key("synchronizationRules[].metadata", "key"),
				key(mappings, "name"), key(mappings+"[].metadata", "key"), key(mappings+"[].attributeMappings", "targetAttributeName"),
			},
			omit("moves with every write", "version"),
		),
		// What a write left out would be gone. Source: Microsoft Graph documentation, "Update synchronizationSchema".
		update: whole("directories", "synchronizationRules"),
	}, {
		// The reference shows only how they are written, all at once: who left out a credential, which the service gives
		// out as an asterisk, would take it away. Microsoft's guides read them.
		// Source: Microsoft Entra documentation, "Skip deletion of out of scope users"; MicrosoftDocs/azure-docs, issue 55184.
		Type: "synchronizationSecrets", Title: "Provisioning settings", Doc: "Where an enterprise application provisions to, which credentials it has for that, whom it notifies, and how many deletions are too many.", Version: "beta",
		List: "/servicePrincipals/{parent}/synchronization/secrets", Item: "/servicePrincipals/{parent}/synchronization/secrets", Under: ServicePrincipalType, One: true, Silent: true, Unshown: true,
		Unless: "the service is asked about each application that can provision", Name: []string{"id"},
		Read: read, Refusal: together,
		Properties: []Property{{Name: "secrets", Key: "key", Reason: together}},
		rules:      1, read: readSecrets,
		none:  func(m map[string]any) bool { all, many := m["value"].([]any); return many && len(all) == 0 },
		holds: provisions,
	}}
}

// readSecrets keeps which credentials there are, and the values of what is none: of an address only the server, because
// a credential can stand in it.
func readSecrets(m map[string]any) {
	settings := []string{"AuthenticationType", "CompanyId", "Domain", "EnforceDomain", "HardDeletesEnabled", "PerformInboundEntitlementGrants", "SkipOutOfScopeDeletions", "SyncAll", "SyncNotificationSettings",
		"SynchronizationSchedule", "TestReferences", "UpdateKeyOnSoftDelete", "ValidateDomain"}
	all, told := m["value"].([]any)
	if !told { // as it is kept
		if all, told = m["secrets"].([]any); !told {
			return
		}
	}
	kept := []any{}
	for _, e := range all {
		key, _ := mapOf(e)["key"].(string)
		value, said := mapOf(e)["value"].(string)
		one := map[string]any{"key": key}
		switch at, err := url.Parse(value); {
		case said && slices.Contains(settings, key):
			one["value"] = value
		case (key == "BaseAddress" || key == "Url") && err == nil && at.Host != "":
			one["value"] = at.Scheme + "://" + at.Host
		}
		kept = append(kept, one)
	}
	keepOnly(m)
	m["secrets"] = kept
}

// Which devices people can sign in to from afar with the tenant's own word, and to which without being asked.
func remoteDesktop() []*Resource {
	const configurationType entra.Type = "remoteDesktopSecurityConfiguration"
	const path = "/servicePrincipals/{parent}/remoteDesktopSecurityConfiguration"
	read, write := []string{"Application.Read.All"}, []string{"Application-RemoteDesktopConfig.ReadWrite.All"}
	member := func(t entra.Type, list, title, doc string, id Property) *Resource {
		id.Name, id.Write, id.Must, id.Reason = "id", OnCreate, true, "it says which is meant"
		at := "/servicePrincipals/{holder}/remoteDesktopSecurityConfiguration/" + list
		return &Resource{
			Type: t, Title: title, Doc: doc, List: at, Item: at + "/{id}", Under: configurationType, Chosen: "POST",
			Name: []string{"displayName", "id"}, Match: []string{"id"},
			Can: Create | Update | Delete, Read: read, Write: write,
			Properties: append([]Property{id}, both("displayName")...),
		}
	}
	return []*Resource{{
		Type: configurationType, Title: "Remote desktop sign-in", Doc: "Whether people can sign in to remote desktops with the tenant's own word.",
		List: path, Item: path, Under: ServicePrincipalType, One: true, Grants: true,
		Name: []string{"id"}, Match: []string{"id"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: []Property{{Name: "isRemoteDesktopProtocolEnabled", Write: Both, Must: true}},
		// Source: Microsoft Entra documentation, single sign-on for Azure Virtual Desktop: Microsoft Remote Desktop and
		// Windows Cloud Login, of which every tenant has its own.
		holds: func(sp map[string]any) bool {
			return sp["appId"] == "a4a365df-50f1-4397-bc59-1a1564b8bb9c" || sp["appId"] == "270efc09-cd0d-444b-a71f-39af4910ec45"
		},
	},
		member("targetDeviceGroup", "targetDeviceGroups", "Remote desktop device groups", "Groups of devices to which people sign in from afar without being asked whether they trust them.", Property{Ref: []entra.Type{GroupType}}),
		member("approvedClientApp", "approvedClientApps", "Remote desktop clients", "Applications from which people sign in to remote desktops without being asked.", Property{Ref: []entra.Type{ServicePrincipalType}, By: "appId"}),
	}
}

// privateAccess declares what of the network inside applications lead to.
func privateAccess() []*Resource {
	const at = "/applications/{parent}/onPremisesPublishing/segmentsConfiguration/microsoft.graph.ipSegmentConfiguration/applicationSegments"
	return []*Resource{{
		Type: "ipApplicationSegment", Title: "Private access", Doc: "Which addresses and ports inside a network an application lets its people reach.", Version: "beta",
		List: at, Item: at + "/{id}", Under: ApplicationType, Silent: true, Grants: true, Beside: "onPremisesPublishing",
		Name: []string{"destinationHost"}, Match: []string{"destinationHost", "destinationType", "protocol", "ports"},
		Can: Create | Update | Delete, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
		Properties: slices.Concat(
			both("destinationHost", "destinationType", "protocol"),
			sets(Both, "", "ports"),
			never("the service names no way to write it", "action"),
			omit("the first of the ports, which is no longer used", "port"),
		),
		// Source: Microsoft Entra PowerShell, Get-EntraBetaPrivateAccessApplication.
		holds: func(app map[string]any) bool {
			return slices.ContainsFunc(texts(app, "tags"), func(tag string) bool {
				return slices.Contains([]string{"PrivateAccessNonWebApplication", "NetworkAccessManagedApplication", "NetworkAccessQuickAccessApplication"}, tag)
			})
		},
	}}
}

// provisions reports whether a service principal can have provisioning jobs. A job is made from a template of the
// application, which only one that came from the gallery has; those that came from it before the service noted which
// entry they came from bear a tag.
func provisions(sp map[string]any) bool {
	if id, _ := sp["applicationTemplateId"].(string); id != "" {
		return true
	}
	return slices.ContainsFunc(list(sp["tags"]), func(tag any) bool {
		s, _ := tag.(string)
		return strings.HasPrefix(s, "WindowsAzureActiveDirectoryGalleryApplication") || s == "WindowsAzureActiveDirectoryCustomSingleSignOnApplication"
	})
}

// readJob says by itself whether the job runs, apart from how often: that is what can be written.
func readJob(m map[string]any) {
	if state, ok := entra.Get(m, "schedule.state"); ok {
		m["isActive"] = state == "Active"
	}
}

// startOrPause takes out of set whether the job runs. A new one does not.
// Source: Microsoft Graph documentation, "synchronizationJob: start" and "pause".
func startOrPause(_ entra.ID, set, was map[string]any) ([]part, error) {
	active, ok := set["isActive"]
	if !ok {
		return nil, nil
	}
	delete(set, "isActive")
	switch {
	case active == true:
		return []part{{method: "POST", suffix: "/start"}}, nil
	case was["isActive"] == true:
		return []part{{method: "POST", suffix: "/pause"}}, nil
	}
	return nil, nil
}
