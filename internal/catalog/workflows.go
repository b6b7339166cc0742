package catalog

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const workflowType entra.Type = "workflow"

// What is done with accounts when people come, move and leave.
func workflows() []*Resource {
	const extension = "customTaskExtension"
	read, write := []string{"LifecycleWorkflows.Read.All"}, []string{"LifecycleWorkflows.ReadWrite.All"}
	return []*Resource{{
		Type: extension, Title: "Lifecycle workflow extensions", Doc: "Logic apps that lifecycle workflows call.",
		List: lifecycle + "/customTaskExtensions",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			callout(),
			// Microsoft's page says "unique identifiers or appIds", so one that no application has as its appId is not missing.
			[]Property{
				{Name: "callbackConfiguration.authorizedApps[].id", Ref: []entra.Type{ApplicationType}, By: "appId"},
				{Name: "callbackConfiguration.authorizedApps[].appId", Ref: []entra.Type{ApplicationType}, By: "appId"},
			},
			never(byService, "createdDateTime"),
			omit("moves with every write", "lastModifiedDateTime"),
		),
	}, {
		Type: workflowType, Title: "Lifecycle workflows", Doc: "What is done with accounts when people come, move and leave.",
		List: lifecycle + "/workflows", Each: true,
		Bin: "deletedWorkflow", Undelete: lifecycle + "/deletedItems/workflows/{id}/restore",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: read, Write: write,
		Properties: slices.Concat(
			[]Property{
				{Name: "category", Write: OnCreate, Must: true, Reason: "fixed when the workflow is created"},
				{Name: "displayName", Write: Both, Must: true},
				{Name: "description", Write: Both},
				{Name: "executionConditions", Write: Both, Must: true},
				{Name: "executionConditions.scope.groups", Key: "id"},
				{Name: "executionConditions.scope.groups[].id", Ref: []entra.Type{GroupType}},
				{Name: "tasks", Write: Both, Must: true},
				{Name: "tasks[].id", Omit: true, Reason: byService},
				{Name: "tasks[].executionSequence", Omit: true, Reason: "says the order of the tasks, which they are kept in"},
				{Name: "tasks[].arguments", Key: "name"},
				{Name: "tasks[].arguments[].value", Ref: []entra.Type{GroupType, UserType, extension, packageType, packagePolicyType}},
				// A workflow in force can disable and delete accounts.
				{Name: "isEnabled", Write: Both, Safe: false, Lift: "enforce"},
				{Name: "isSchedulingEnabled", Write: Both, Safe: false, Lift: "enforce"},
				{Name: "settings", Write: OnCreate, Reason: "the service documents no way to change it"},
			},
			never(byService, "createdDateTime"),
			omit("moves by itself", "nextScheduleRunDateTime", "quarantineDetails"),
			omit("moves with every write", "lastModifiedDateTime", "version"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
		rules: 1, read: readWorkflow, update: newVersion,
	}, {
		Type: "lifecycleManagementSettings", Title: "Lifecycle workflow settings", Doc: "How often lifecycle workflows run, and from where they write to people.",
		List: lifecycle + "/settings", One: true,
		Name: []string{"id"}, Can: Update, Read: read, Write: write,
		Properties: slices.Concat(
			entries(OnUpdate, "", "emailSettings", "quarantineConfiguration", "workflowScheduleIntervalInHours"),
			[]Property{{Name: "emailSettings.senderDomain", Ref: []entra.Type{"domain"}, Whole: true}},
		),
	}}
}

const lifecycle = "/identityGovernance/lifecycleWorkflows"

// readWorkflow puts the tasks into the order in which they are done.
func readWorkflow(m map[string]any) {
	at := func(v any) int {
		t, _ := v.(map[string]any)
		n, _ := t["executionSequence"].(entra.Number)
		i, _ := strconv.Atoi(string(n))
		return i
	}
	slices.SortStableFunc(list(m["tasks"]), func(a, b any) int { return cmp.Compare(at(a), at(b)) })
}

// newVersion takes out of set what only a new version of the workflow changes, which is made of the whole workflow.
// Source: Microsoft Graph documentation, "workflow: createNewVersion".
func newVersion(_ entra.ID, set, was map[string]any) ([]part, error) {
	_, conditions := set["executionConditions"]
	if _, tasks := set["tasks"]; !tasks && !conditions {
		return nil, nil
	}
	next := maps.Clone(was)
	maps.Copy(next, set)
	maps.DeleteFunc(next, func(name string, _ any) bool {
		return !slices.Contains([]string{"category", "description", "displayName", "executionConditions", "isEnabled", "isSchedulingEnabled", "tasks"}, name)
	})
	maps.DeleteFunc(set, func(string, any) bool { return true })
	return []part{{method: "POST", suffix: "/createNewVersion", body: map[string]any{"workflow": next}}}, nil
}
