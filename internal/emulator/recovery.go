package emulator

import (
	"encoding/json"
	"time"
)

// Recover lets Microsoft's own recovery run: what do does to the tenant is in no delta round, and the directory audit
// log has no entry for any of it but one that says that a recovery ran.
// Source: Microsoft Entra documentation, "Microsoft Entra Backup and Recovery", limitations.
func (t *Tenant) Recover(do func()) {
	quiet := func(on bool) time.Time {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.quiet = on
		return t.clock()
	}
	began := quiet(true)
	do()
	ended := quiet(false)
	t.mu.Lock()
	defer t.mu.Unlock()
	id := t.fresh(kKey)
	t.recoveries = append(t.recoveries, map[string]any{
		"@odata.type": "#microsoft.graph.entraRecoveryServices.recoveryJob", "id": id, "status": "successful",
		"targetStateDateTime": began.Add(-24 * time.Hour).UTC().Format(time.RFC3339), "jobStartDateTime": began.UTC().Format(time.RFC3339), "jobCompletionDateTime": ended.UTC().Format(time.RFC3339),
	})
	entry := map[string]any{"id": "Recovery_" + id, "activityDateTime": ended.UTC().Format(time.RFC3339Nano), "activityDisplayName": "Recovery job completed", "category": "BackupAndRecovery", "correlationId": id,
		"initiatedBy":     map[string]any{"user": nil, "app": map[string]any{"appId": nil, "displayName": "Microsoft Entra Backup", "servicePrincipalId": nil, "servicePrincipalName": nil}},
		"loggedByService": "Backup and Recovery", "operationType": "Update", "result": "success", "resultReason": "", "targetResources": []any{}, "additionalDetails": []any{}}
	t.audits = append(t.audits, &object{kind: kAudit, id: entry["id"].(string), typ: "directoryAudit", p: entry})
}

// recovery serves /directory/recovery.
func (c *call) recovery(rest []string) (answer, error) {
	if len(rest) != 1 || rest[0] != "jobs" {
		return answer{}, noSegment("recovery", "directory")
	}
	if c.method != "GET" {
		return answer{}, refuse(403, "Authorization_RequestDenied", "A recovery job is not created by an application.")
	}
	if !c.holds("EntraBackup.Read.All") {
		return answer{}, denied()
	}
	if err := c.only("$top", "$skiptoken"); err != nil {
		return answer{}, err
	}
	jobs := c.t.recoveries
	if jobs == nil {
		jobs = []map[string]any{}
	}
	b, err := json.Marshal(map[string]any{"@odata.context": c.t.URL() + "/" + c.version + "/$metadata#directory/recovery/jobs", "value": jobs})
	return answer{status: 200, body: b}, err
}
