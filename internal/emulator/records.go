package emulator

import (
	"encoding/base64"
	"maps"
	"slices"
	"time"
)

// What can only be read: catalogues of Microsoft's, and what the service writes down by itself.

func recordKinds() []*family {
	review := access{"identityGovernance", []string{"AccessReview.Read.All", "AccessReview.ReadWrite.All"}, nil, nil}
	const recoveryKeys, snapshots = "informationProtection/bitlocker/recoveryKeys", "directory/recovery/snapshots"
	return []*family{
		{path: "instances", under: reviews, types: []string{"accessReviewInstance"}, noun: "access review instance", access: review,
			sample: func(t *Tenant, _ int, parent *object) map[string]any {
				return map[string]any{"startDateTime": stamp(t.clock()), "endDateTime": stamp(t.clock().Add(14 * 24 * time.Hour)), "status": "InProgress", "scope": parent.p["scope"], "reviewers": parent.p["reviewers"], "fallbackReviewers": []any{}}
			}},
		{path: "contactedReviewers", under: reviews + "/{}/instances", types: []string{"accessReviewReviewer"}, noun: "access review reviewer", access: review,
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				u := t.first(kUser, samples+1)[i+1]
				return map[string]any{"id": u.id, "displayName": u.p["displayName"], "userPrincipalName": u.p["userPrincipalName"], "createdDateTime": stamp(t.clock())}
			}},
		// The key itself is part of no list.
		{path: recoveryKeys, types: []string{"bitlockerRecoveryKey"}, noun: "BitLocker key", access: access{"directory", []string{"BitlockerKey.ReadBasic.All", "BitlockerKey.Read.All"}, nil, nil},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				return map[string]any{"createdDateTime": stamp(t.clock()), "deviceId": t.first(kin().kinds["devices"], samples)[i].p["deviceId"], "volumeType": "operatingSystemVolume", "key": "123456-234567-345678"}
			}},
		{path: snapshots, types: []string{"entraRecoveryServices.snapshot"}, noun: "snapshot", access: access{"directory", []string{"EntraBackup.Read.All"}, nil, nil},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				made := stamp(t.clock().Add(-time.Duration(24*i) * time.Hour))
				return map[string]any{"id": base64.StdEncoding.EncodeToString([]byte(made)), "createdDateTime": made, "totalChangedObjects": 7 * i}
			}},
		{path: "schemaExtensions", types: []string{"schemaExtension"}, noun: "schema extension", access: access{"directory", []string{"Application.Read.All"}, nil, nil},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				owner := []any{t.first(kApp, 1)[0].p["appId"], t.fresh(kKey), t.fresh(kKey)}[i] // the rest is other tenants'
				return map[string]any{"id": []string{"contoso_courses", "extkvbmkofy_courses", "fabrikam_badges"}[i], "description": "Sample", "owner": owner, "status": "Available", "targetTypes": list("Group", "User"),
					"properties": []any{map[string]any{"name": "courseId", "type": "Integer"}, map[string]any{"name": "courseName", "type": "String"}}}
			}},
		{path: "groupSettingTemplates", types: []string{"groupSettingTemplate"}, noun: "group setting template", access: access{"directory", []string{"Directory.Read.All"}, nil, nil},
			seed: func(t *Tenant, _ string) {
				all := settingTemplates()
				all[guestTemplate] = []string{"Group.Unified.Guest", "AllowToAddGuests"}
				for _, id := range slices.Sorted(maps.Keys(all)) {
					values := []any{}
					for _, name := range all[id][1:] {
						values = append(values, map[string]any{"name": name, "type": "System.String", "defaultValue": "", "description": name})
					}
					t.plant("groupSettingTemplates", id, map[string]any{"displayName": all[id][0], "description": all[id][0], "values": values})
				}
			}},
		{path: "identity/conditionalAccess/templates", types: []string{"conditionalAccessTemplate"}, noun: "Conditional Access template", access: access{"conditionalAccess", []string{"Policy.Read.All"}, nil, nil},
			seed: func(t *Tenant, _ string) {
				for _, about := range [][]string{
					{"Require multifactor authentication for admins", "secureFoundation,zeroTrust,protectAdmins", "mfa"},
					{"Block legacy authentication", "secureFoundation,zeroTrust,remoteWork", "block"},
					{"Require multifactor authentication for all users", "secureFoundation,zeroTrust,remoteWork", "mfa"},
				} {
					t.plant("identity/conditionalAccess/templates", "", map[string]any{"name": about[0], "description": about[0], "scenarios": about[1],
						"details": map[string]any{"conditions": map[string]any{"clientAppTypes": list("all"), "users": map[string]any{"includeRoles": list(roleGlobalAdmin)}, "applications": map[string]any{"includeApplications": list("All")}},
							"grantControls": map[string]any{"operator": "OR", "builtInControls": list(about[2])}}})
				}
			}},
		{path: "applicationTemplates", types: []string{"applicationTemplate"}, noun: "application template", access: access{"directory", []string{anyToken}, nil, nil},
			seed: func(t *Tenant, born string) {
				for _, name := range []string{"Custom", "Fabrikam", "Northwind"} {
					t.plant("applicationTemplates", "", map[string]any{"displayName": name, "publisher": name, "categories": list("it"), "endpoints": []any{}, "isEntraIntegrated": true, "lastModifiedDateTime": born,
						"supportedProvisioningTypes": []any{}, "supportedSingleSignOnModes": list("saml", "password")})
				}
			}},
	}
}

// segmentKinds are the parts of a network that applications publish.
func segmentKinds() []*family {
	const path = "onPremisesPublishing/segmentsConfiguration/microsoft.graph.ipSegmentConfiguration/applicationSegments"
	return []*family{{path: path, under: "applications", types: []string{"ipApplicationSegment"}, beta: true, noun: "application segment", verbs: "POST PATCH DELETE",
		access: access{"directory", []string{"Application.Read.All", "Application.ReadWrite.All"}, []string{"Application.ReadWrite.All"}, nil},
		create: func(c *call, o *object, _ checked) error {
			if c.t.get(text(o.p["_parent"])).p["onPremisesPublishing"] == nil {
				return bad("The application is not published.")
			}
			o.p["action"], o.p["port"] = "tunnel", 0
			return nil
		},
		sample: func(t *Tenant, i int, app *object) map[string]any {
			for _, o := range []*object{app, t.spByAppID(text(app.p["appId"]), true)} {
				if o != nil {
					d := o.clone()
					d.p["tags"] = append(asList(o.p["tags"]), []any{"PrivateAccessNonWebApplication", "NetworkAccessManagedApplication", "NetworkAccessQuickAccessApplication"}[i])
					t.put(d, nil)
				}
			}
			return map[string]any{"action": "tunnel", "destinationHost": "server" + itoa(i) + ".corp.example", "destinationType": "fqdn", "port": 0, "ports": list("443-443", "8080-8081"), "protocol": "tcp"}
		}}}
}
