package emulator

// Microsoft's own tool for the configuration of tenants.

const monitors = "admin/configurationManagement/configurationMonitors"

func configurationKinds() []*family {
	const at, read, write = "admin/configurationManagement/", "ConfigurationMonitoring.Read.All", "ConfigurationMonitoring.ReadWrite.All"
	may := access{"directory", []string{read, write}, []string{write}, nil}
	by := props{"user": props{"id": "823da47e-fc25-48d8-8b5a-6186c760f0df", "displayName": "System Administrator"}}
	watched := &family{path: monitors, types: []string{"configurationMonitor"}, noun: "configuration monitor", verbs: "POST PATCH DELETE", inline: []string{"baseline"}, whole: true, access: may}
	watched.create = func(c *call, o *object, _ checked) error {
		n := 0
		c.t.each(o.kind, func(x *object) bool {
			if x.live() {
				n++
			}
			return true
		})
		if n >= 30 {
			return bad("There can be at most 30 monitors in a tenant.")
		}
		for name, v := range (props{"status": "active", "mode": "monitorOnly", "monitorRunFrequencyInHours": 6, "tenantId": c.t.id, "createdBy": by, "createdDateTime": stamp(c.t.clock())}) {
			o.p[name] = v
		}
		if o.p["parameters"] == nil {
			o.p["parameters"] = props{}
		}
		return c.t.rebase(o)
	}
	watched.change = func(c *call, _, d *object, in checked) error {
		d.p["lastModifiedDateTime"] = stamp(c.t.clock())
		if in.p["baseline"] == nil {
			return nil
		}
		return c.t.rebase(d)
	}
	watched.sample = func(t *Tenant, i int, _ *object) map[string]any {
		return props{"displayName": "Monitor " + itoa(i), "description": "Sample", "status": []string{"active", "inactive"}[i%2], "mode": "monitorOnly", "monitorRunFrequencyInHours": 6, "tenantId": t.id,
			"createdBy": by, "createdDateTime": stamp(t.clock()), "parameters": props{"FQDN": t.pop.domain},
			"baseline": props{"id": t.fresh(kKey), "displayName": "Baseline " + itoa(i), "description": "Sample", "parameters": []any{props{"displayName": "FQDN", "description": "The domain", "parameterType": "string"}},
				"resources": []any{props{"displayName": "Domain", "resourceType": "microsoft.exchange.accepteddomain", "properties": props{"Identity": "[parameters('FQDN')]", "DomainType": "InternalRelay", "Ensure": "Present"}}}}}
	}
	record := func(path, typ, noun string, sample func(t *Tenant, i int) props) *family {
		return &family{path: at + path, types: []string{typ}, noun: noun, access: access{may.service, may.read, nil, nil},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				p := sample(t, i)
				p["tenantId"] = t.id
				return p
			}}
	}
	jobs := record("configurationSnapshotJobs", "configurationSnapshotJob", "configuration snapshot job", func(t *Tenant, i int) props {
		return props{"displayName": "Snapshot " + itoa(i), "description": "Sample", "status": "succeeded", "createdBy": by, "createdDateTime": stamp(t.clock()), "completedDateTime": stamp(t.clock()), "errorDetails": []any{},
			"resources": list("microsoft.entra.user"), "resourceLocation": "https://graph.microsoft.com/v1.0/" + at + "configurationSnapshots/" + t.fresh(kKey)}
	})
	jobs.verbs, jobs.access.write = "DELETE", may.write
	states := record("configurationSnapshots", "configurationBaseline", "configuration snapshot", func(t *Tenant, i int) props {
		return props{"displayName": "Snapshot " + itoa(i), "description": "Sample", "parameters": []any{}, "resources": []any{props{"displayName": "Domain", "resourceType": "microsoft.exchange.accepteddomain", "properties": props{"Identity": t.pop.domain}}}}
	})
	drifts := record("configurationDrifts", "configurationDrift", "configuration drift", func(t *Tenant, i int) props {
		return props{"baselineResourceDisplayName": "Domain", "monitorId": t.first(kin().kinds[monitors], samples)[i].id, "resourceType": "microsoft.exchange.accepteddomain", "status": "active",
			"firstReportedDateTime": stamp(t.clock()), "resourceInstanceIdentifier": props{"Identity": t.pop.domain}, "driftedProperties": []any{props{"propertyName": "DomainType", "desiredValue": props{}, "currentValue": props{}}}}
	})
	runs := record("configurationMonitoringResults", "configurationMonitoringResult", "run of a configuration monitor", func(t *Tenant, i int) props {
		return props{"monitorId": t.first(kin().kinds[monitors], samples)[i].id, "driftsCount": i, "errorDetails": []any{}, "runStatus": "successful", "runInitiationDateTime": stamp(t.clock()), "runCompletionDateTime": stamp(t.clock())}
	})
	return []*family{watched, jobs, states, drifts, runs}
}

// rebase gives a monitor a baseline of its own, which has to name something to watch.
func (t *Tenant) rebase(o *object) error {
	baseline := deepCopy(o.p["baseline"]).(map[string]any)
	if len(asList(baseline["resources"])) == 0 {
		return bad("A baseline needs at least one resource.")
	}
	for _, name := range []string{"displayName", "resources"} {
		if baseline[name] == nil {
			return bad("A baseline is written whole: '%s' is missing.", name)
		}
	}
	baseline["id"] = t.fresh(kKey)
	o.p["baseline"] = baseline
	return nil
}
