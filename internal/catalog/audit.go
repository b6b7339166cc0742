package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

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
	}, {
		Type: "signIn", Title: "Sign-in log", Doc: "Who signed in to what, and how it was judged; the service forgets after 7 or 30 days.",
		List: "/auditLogs/signIns", Stream: true, Clock: "createdDateTime", Top: 999, Unless: "it is long, and says where people are",
		Name: []string{"appDisplayName"},
		Read: []string{"AuditLog.Read.All", "Directory.Read.All"}, Refusal: "the sign-in log is evidence, not state",
		Properties: never("evidence", "appDisplayName", "appId", "appliedConditionalAccessPolicies", "clientAppUsed", "conditionalAccessStatus", "correlationId", "createdDateTime",
			"deviceDetail", "homeTenantId", "resourceTenantId", "servicePrincipalName", "servicePrincipalId", "authenticationAppDeviceDetails", "userAgent", "ipAddress", "isInteractive", "location", "resourceDisplayName", "resourceId", "riskDetail", "riskEventTypes", "riskEventTypes_v2", "riskLevelAggregated",
			"riskLevelDuringSignIn", "riskState", "status", "userDisplayName", "userId", "userPrincipalName"),
	}}
}

// Recovered reports whether an audit entry says that Microsoft's own recovery did something.
// Source: protocol.md section 11.3.6; how the category is spelled there is not certain.
func Recovered(o entra.Object) bool {
	if o.Ref.Type != auditType {
		return false
	}
	m := o.Body.Decode()
	for _, name := range []string{"category", "loggedByService"} {
		if strings.EqualFold(strings.ReplaceAll(text(m, name), " ", ""), "BackupAndRecovery") {
			return true
		}
	}
	return false
}

// Restores reports whether the entry says that something came out of the recycle bin.
func (a Act) Restores() bool { return strings.Contains(strings.ToLower(a.What), "restore") }

// A Recovery is a job of Microsoft's own recovery.
type Recovery struct {
	Preview bool      // it only computes what would change
	Ended   time.Time // the last moment at which it may have written; zero while it runs
}

// Recoveries returns the call that lists the jobs of Microsoft's own recovery. Source: protocol.md section 11.2.
func Recoveries() Call {
	return Call{Method: "GET", Version: "v1.0", Path: "/directory/recovery/jobs"}
}

// RecoveryOf reads one of them.
func RecoveryOf(raw []byte) (Recovery, error) {
	m, err := entra.Decode(raw)
	if err != nil {
		return Recovery{}, fmt.Errorf("reading a recovery job: %w", err)
	}
	kind, _ := m["@odata.type"].(string)
	job := Recovery{Preview: strings.Contains(strings.ToLower(kind), "preview")}
	switch strings.ToLower(text(m, "status")) {
	case "successful", "succeeded", "failed", "abandoned":
		for _, name := range []string{"jobCompletionDateTime", "jobStartDateTime"} {
			if job.Ended, err = time.Parse(time.RFC3339Nano, text(m, name)); err == nil {
				break
			}
		}
	}
	return job, nil
}
