package emulator

import (
	"slices"
	"strings"
)

// These are how accounts are provisioned from one directory to another.

const provisioningJobs = "synchronization/jobs"

func provisioningKinds() []*family {
	may := access{"directory", []string{"Synchronization.Read.All", "Synchronization.ReadWrite.All"}, []string{"Synchronization.ReadWrite.All"}, nil}
	return []*family{{
		path: provisioningJobs, under: "servicePrincipals", types: []string{"synchronizationJob"}, noun: "provisioning job", verbs: "POST DELETE", access: may,
		create: func(c *call, o *object, _ checked) error {
			in := c.t.get(text(o.p["_parent"]))
			if text(in.p["applicationTemplateId"]) == "" || provisioningTemplates()[text(o.p["templateId"])] == nil {
				return refuse(404, "SynchronizationTemplateNotFound", "The template '%s' does not exist for service principal '%s'.", text(o.p["templateId"]), in.id)
			}
			o.p["id"] = text(o.p["templateId"]) + "." + strings.ReplaceAll(c.t.id, "-", "") + "." + o.id
			c.t.newJob(o)
			return nil
		},
		act: func(c *call, o *object, rest []string) (bool, answer, error) {
			if c.method != "POST" || len(rest) != 1 || rest[0] != "start" && rest[0] != "pause" {
				return false, answer{}, nil
			}
			d := o.clone()
			schedule, status := deepCopy(o.p["schedule"]).(map[string]any), deepCopy(o.p["status"]).(map[string]any)
			switch {
			case rest[0] == "start":
				schedule["state"], status["code"] = "Active", "Active"
			case schedule["state"] == "Active":
				schedule["state"], status["code"] = "Paused", "Paused"
			}
			d.p["schedule"], d.p["status"] = schedule, status
			c.t.put(d, []string{"schedule", "status"})
			c.audit("Update "+noun(o.kind), d, changes(o.p, d.p, []string{"schedule"}))
			return true, answer{status: 204}, nil
		},
		// Only what came from the gallery has jobs.
		seed: func(t *Tenant, _ string) {
			n := 0
			t.each(kSP, func(sp *object) bool {
				if text(sp.p["applicationTemplateId"]) != "" {
					template := []string{"customappsso", "GoogleApps", "Azure2Azure"}[n%3]
					job := t.plant("servicePrincipals/{}/"+provisioningJobs, "", map[string]any{"_parent": sp.id, "templateId": template,
						"id": template + "." + strings.ReplaceAll(t.id, "-", "") + "." + t.fresh(kKey)})
					t.newJob(job)
					if n%3 != 1 {
						job.p["schedule"].(map[string]any)["state"] = "Active"
					}
					// As somebody made it.
					t.each(kin().kinds["servicePrincipals/{}/"+provisioningJobs+"/{}/schema"], func(s *object) bool {
						if s.p["_parent"] == job.id {
							rule := subs(s.p["synchronizationRules"])[0]
							rule["groupFilter"] = map[string]any{"includedGroups": []any{t.first(kGroup, samples)[n%samples].id, "CN=Sales,OU=Groups,DC=contoso,DC=example"}}
							rule["containerFilter"] = map[string]any{"includedContainers": []any{"OU=Sales,DC=contoso,DC=example"}}
						}
						return true
					})
					n++
				}
				return t.o.Every
			})
		},
	}, {
		path: "schema", under: "servicePrincipals/{}/" + provisioningJobs, one: "schema", types: []string{"synchronizationSchema"}, noun: "provisioning schema", verbs: "PUT DELETE", access: may,
		change: func(c *call, _, d *object, _ checked) error {
			directories := map[string]bool{}
			for _, in := range subs(d.p["directories"]) {
				directories[text(in["name"])] = true
			}
			for _, rule := range subs(d.p["synchronizationRules"]) {
				for _, end := range []string{"sourceDirectoryName", "targetDirectoryName"} {
					if !directories[text(rule[end])] {
						return refuse(400, "SchemaInvalid", "The synchronization rule '%s' references the directory '%s', which the schema does not define.", text(rule["name"]), text(rule[end]))
					}
				}
			}
			c.t.versionSchema(d)
			return nil
		},
		// Without its own it has the template's.
		reset: func(o *object) map[string]any {
			p := defaultSchema(text(o.p["_template"]))
			p["_parent"], p["_template"], p["version"] = o.p["_parent"], o.p["_template"], o.p["version"]
			return p
		},
	}}
}

// provisioningTemplates are, by template, the directories that it joins.
func provisioningTemplates() map[string][]string {
	return map[string][]string{"customappsso": {"Azure Active Directory", "customappsso"}, "GoogleApps": {"Azure Active Directory", "Google Apps"}, "Azure2Azure": {"Azure Active Directory", "Azure Active Directory (target tenant)"}}
}

// newJob makes of an object a job as the service makes it: it does not run, and has the template's schema.
func (t *Tenant) newJob(o *object) {
	o.p["schedule"] = map[string]any{"expiration": nil, "interval": "PT40M", "state": "Disabled"}
	o.p["status"] = map[string]any{"code": "NotRun", "countSuccessiveCompleteFailures": 0, "escrowsPruned": false, "progress": []any{}, "steadyStateFirstAchievedTime": "0001-01-01T00:00:00Z",
		"steadyStateLastAchievedTime": stamp(t.clock()), "synchronizedEntryCountByType": []any{}, "troubleshootingUrl": nil}
	o.p["synchronizationJobSettings"] = []any{map[string]any{"name": "AzureIngestionAttributeOptimization", "value": "False"}, map[string]any{"name": "LookaheadQueryEnabled", "value": "False"}}
	p := defaultSchema(text(o.p["templateId"]))
	p["_parent"], p["_template"] = o.id, o.p["templateId"]
	t.versionSchema(t.plant("servicePrincipals/{}/"+provisioningJobs+"/{}/schema", "", p))
}

// versionSchema notes that a schema was written.
func (t *Tenant) versionSchema(o *object) {
	o.p["version"] = "v" + itoa(int(t.seq))
	directories := slices.Clone(asList(o.p["directories"]))
	for i, in := range directories {
		d := deepCopy(in).(map[string]any)
		d["version"], d["discoveryDateTime"] = o.p["version"], stamp(t.clock())
		directories[i] = d
	}
	o.p["directories"] = directories
}

func defaultSchema(template string) map[string]any {
	ends := provisioningTemplates()[template]
	attribute := func(name, kind string) map[string]any {
		return map[string]any{"name": name, "type": kind, "anchor": name == "objectId", "caseExact": false, "defaultValue": nil, "flowNullValues": false, "multivalued": false, "mutability": "ReadWrite", "required": false,
			"apiExpressions": []any{}, "metadata": []any{}, "referencedObjects": []any{}}
	}
	directory := func(n int, read bool) map[string]any {
		return map[string]any{"id": "0000000" + itoa(n) + "-5cd2-4f3a-9d4a-2f1a54c6ba5e", "name": ends[n], "discoverabilities": "None", "readOnly": read, "objects": []any{
			map[string]any{"name": "User", "supportedApis": []any{}, "metadata": []any{map[string]any{"key": "PropertyNameAccountEnabled", "value": "active"}}, "attributes": []any{attribute("userPrincipalName", "String"), attribute("objectId", "String"), attribute("manager", "Reference")}}}}
	}
	mapping := func(from, to string, priority int) map[string]any {
		return map[string]any{"defaultValue": nil, "exportMissingReferences": false, "flowBehavior": "FlowWhenChanged", "flowType": "Always", "matchingPriority": priority, "targetAttributeName": to,
			"source": map[string]any{"expression": "[" + from + "]", "name": from, "type": "Attribute", "parameters": []any{}}}
	}
	return map[string]any{
		"directories": []any{directory(0, true), directory(1, false)},
		"synchronizationRules": []any{map[string]any{"id": "6c409270-f78a-4bc6-af23-7cf3ab6482fe", "name": "USER_TO_USER", "editable": true, "priority": 1, "sourceDirectoryName": ends[0], "targetDirectoryName": ends[1],
			"containerFilter": nil, "groupFilter": nil, "metadata": []any{map[string]any{"key": "defaultSourceObjectMappings", "value": ""}},
			"objectMappings": []any{map[string]any{"name": "Provision users", "enabled": true, "flowTypes": "Add, Update, Delete", "sourceObjectName": "User", "targetObjectName": "User", "metadata": []any{},
				"scope": map[string]any{"categoryFilterGroups": []any{}, "inputFilterGroups": []any{}, "groups": []any{map[string]any{"name": "Employees", "clauses": []any{
					map[string]any{"operatorName": "EQUALS", "sourceOperandName": "department", "targetOperand": map[string]any{"values": []any{"Sales"}}}}}}},
				"attributeMappings": []any{mapping("userPrincipalName", "userName", 1), mapping("displayName", "displayName", 0)}}}}},
	}
}

// These are how people sign in to remote desktops.

const remoteDesktop = "remoteDesktopSecurityConfiguration"

// The service principals that remote desktops are configured at.
func remoteDesktopApps() []string {
	return []string{"a4a365df-50f1-4397-bc59-1a1564b8bb9c", "270efc09-cd0d-444b-a71f-39af4910ec45"}
}

func remoteDesktopKinds() []*family {
	may := access{"directory", []string{"Application.Read.All", "Application-RemoteDesktopConfig.ReadWrite.All", "Application.ReadWrite.All"}, []string{"Application-RemoteDesktopConfig.ReadWrite.All", "Application.ReadWrite.All"}, nil}
	const at = "servicePrincipals/{}/" + remoteDesktop
	member := func(path, typ string, most int, known func(t *Tenant, id string) bool) *family {
		return &family{path: path, under: at, types: []string{typ}, noun: "remote desktop setting", verbs: "POST PATCH DELETE", access: may, full: true,
			create: func(c *call, o *object, _ checked) error {
				have := liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"])))
				switch {
				case len(have) >= most:
					return bad("There can be at most %d of '%s'.", most, path)
				case slices.ContainsFunc(have, func(x *object) bool { return x.p["id"] == o.p["id"] }):
					return refuse(409, "Request_MultipleObjectsWithSameKeyValue", "'%s' has '%s' already.", path, text(o.p["id"]))
				case !known(c.t, text(o.p["id"])):
					return notFound(text(o.p["id"]))
				}
				return nil
			},
		}
	}
	groups := member("targetDeviceGroups", "targetDeviceGroup", 10, func(t *Tenant, id string) bool {
		o := t.get(id)
		return o.live() && o.kind == kGroup
	})
	clients := member("approvedClientApps", "approvedClientApp", 20, func(_ *Tenant, id string) bool { return isGUID(id) })
	configuration := &family{path: remoteDesktop, under: "servicePrincipals", one: remoteDesktop, types: []string{remoteDesktop}, noun: "remote desktop sign-in", verbs: "POST PATCH DELETE", access: may, full: true,
		create: func(c *call, o *object, _ checked) error {
			if in := c.t.get(text(o.p["_parent"])); !slices.Contains(remoteDesktopApps(), text(in.p["appId"])) {
				return bad("Remote desktop sign-in cannot be configured at service principal '%s'.", in.id)
			}
			return nil
		},
		seed: func(t *Tenant, born string) {
			if !t.o.Every {
				return
			}
			for i, appID := range remoteDesktopApps() {
				sp := t.seed(kSP, "servicePrincipal", "", microsoftPrincipal(appID, microsoftApps[appID], born))
				sp.managed = true
				in := t.plant(at, "", map[string]any{"_parent": sp.id, "isRemoteDesktopProtocolEnabled": true})
				for j, g := range t.first(kGroup, samples) {
					if j >= i {
						t.plant(at+"/{}/targetDeviceGroups", "", map[string]any{"_parent": in.id, "id": g.id, "displayName": g.p["displayName"]})
					}
				}
				app := t.first(kApp, samples)[i%len(t.first(kApp, samples))]
				t.plant(at+"/{}/approvedClientApps", "", map[string]any{"_parent": in.id, "id": app.p["appId"], "displayName": app.p["displayName"]})
				t.plant(at+"/{}/approvedClientApps", "", map[string]any{"_parent": in.id, "id": "a85cf173-4192-42f8-81fa-777a763e6e2c", "displayName": "Windows client"})
			}
		},
	}
	return []*family{configuration, groups, clients}
}
