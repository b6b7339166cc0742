package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Microsoft's own tool for the configuration of tenants: what it watches, which somebody set up, and what it writes down
// about that. A tenant has the tool only where somebody made a service principal for it.
// Source: Microsoft Graph documentation, "Tenant Configuration Management APIs overview".
func configurationManagement() []*Resource {
	const (
		at                  = "/admin/configurationManagement/"
		tool                = "it belongs to another tool, which a tenant has to set up"
		jobs                = "jobs of another tool, which forgets them, and not state of the directory"
		monitor  entra.Type = "configurationMonitor"
		observes            = "the tool observes it and writes it down"
		made                = "the tool writes it down when the state is taken"
	)
	record := func(t entra.Type, list, title, doc, unless, refusal string, names ...string) *Resource {
		return &Resource{
			Type: t, Title: title, Doc: doc, List: at + list, Select: true, Unless: unless,
			Name: names, Read: []string{"ConfigurationMonitoring.Read.All"}, Refusal: refusal,
		}
	}
	own := omit("it is the tenant itself", "tenantId")

	watched := record(monitor, "configurationMonitors", "Configuration monitors", "What another tool compares the tenant with, and by which values.", tool, "", "displayName")
	watched.Match, watched.Inline = []string{"displayName"}, "baseline"
	watched.Can, watched.Write = Create|Update|Delete, []string{"ConfigurationMonitoring.ReadWrite.All"}
	watched.Properties = slices.Concat(
		[]Property{
			{Name: "displayName", Write: Both, Must: true},
			{Name: "baseline", Write: Both, Must: true},
			{Name: "baseline.id", Omit: true, Reason: "another one with every baseline"},
		},
		both("description", "parameters"),
		entries(OnUpdate, "", "status"),
		never("it is the same for every monitor", "mode", "monitorRunFrequencyInHours"),
		never(byService, "createdBy", "createdDateTime", "inactivationReason"),
		omit("moves with every write", "lastModifiedBy", "lastModifiedDateTime"),
		own,
	)

	taken := record("configurationSnapshotJob", "configurationSnapshotJobs", "Configuration snapshot jobs", "When another tool took a state of the tenant, of what, and whether it could.", jobs, "a job takes the state as it is when it runs, so none can be brought back", "displayName")
	taken.Properties = slices.Concat(
		never(made, "completedDateTime", "createdBy", "createdDateTime", "description", "displayName", "resourceLocation", "status"),
		sets(Never, made, "errorDetails", "resources"),
		own,
	)

	state := record("configurationSnapshot", "configurationSnapshots", "Configuration snapshots", "Which states of the tenant another tool keeps for some days; what is in them is not asked for.", jobs, "the tool takes the state as it is, so none can be brought back", "displayName")
	state.Is = "configurationBaseline"
	state.Properties = slices.Concat(
		never(made, "description", "displayName"),
		omit("what such a state is of, other types say", "parameters", "resources"),
	)

	drift := record("configurationDrift", "configurationDrifts", "Configuration drifts", "In what the tenant differs from what a monitor expects.", observes, observes, "baselineResourceDisplayName")
	drift.Properties = slices.Concat(
		[]Property{
			{Name: "driftedProperties", Key: "propertyName", Reason: observes},
			{Name: "monitorId", Ref: []entra.Type{monitor}, Reason: observes},
		},
		never(observes, "baselineResourceDisplayName", "firstReportedDateTime", "resourceInstanceIdentifier", "resourceType", "status"),
		own,
	)

	run := record("configurationMonitoringResult", "configurationMonitoringResults", "Runs of configuration monitors", "When a monitor ran, and how many differences it found.", "there are others every six hours", observes, "runInitiationDateTime")
	run.Properties = slices.Concat(
		[]Property{{Name: "monitorId", Ref: []entra.Type{monitor}, Reason: observes}},
		never(observes, "driftsCount", "errorDetails", "runCompletionDateTime", "runInitiationDateTime", "runStatus"),
		own,
	)
	return []*Resource{watched, taken, state, drift, run}
}
