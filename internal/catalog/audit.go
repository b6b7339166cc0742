package catalog

import "slices"

func audits() []*Resource {
	return []*Resource{{
		Type: auditType, Title: "Audit log", Doc: "Who changed what, as the service wrote it down; it forgets after 7 or 30 days.",
		List: "/auditLogs/directoryAudits", Stream: true, Clock: "activityDateTime", Top: 999,
		Name: []string{"activityDisplayName"},
		Read: []string{"AuditLog.Read.All", "Directory.Read.All"}, Refusal: "the audit log is evidence, not state",
		Properties: slices.Concat(
			never("evidence", "activityDateTime", "activityDisplayName", "additionalDetails", "category", "correlationId", "initiatedBy",
				"loggedByService", "operationType", "result", "resultReason", "targetResources"),
		),
	}}
}
