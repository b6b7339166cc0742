package emulator

import (
	"slices"
	"strings"
)

// These are the roles of services beside the directory, and what is watched of privileged roles.

const (
	inPackages = "roleManagement/entitlementManagement/roleAssignments"
	inCatalog  = "/AccessPackageCatalog/"
	alertPath  = "identityGovernance/roleManagementAlerts/alertConfigurations"

	catalogOwner   = "ae79f266-94d4-4dab-b730-feca7e132178"
	catalogCreator = "ba92d953-d8e0-4e39-a797-0cbedb0a89e8"
)

func serviceRoles() []*family {
	roles := func(service, actions, read, write string) *family {
		f := &family{path: "roleManagement/" + service + "/roleDefinitions", types: []string{"unifiedRoleDefinition"}, noun: "role definition", beta: true, access: access{"directory", []string{read}, nil, nil}}
		if write != "" {
			f.verbs, f.read, f.write = "POST PATCH DELETE", []string{read, write}, []string{write}
		}
		fixed := func(o *object) error {
			if flag(o.p["isBuiltIn"]) {
				return bad("Built-in role definitions cannot be changed.")
			}
			return nil
		}
		check := func(c *call, o *object) error {
			if c.t.taken(o.kind, o, func(x *object) bool { return x.live() && x.p["displayName"] == o.p["displayName"] }) {
				return conflict("displayName")
			}
			if len(subs(o.p["rolePermissions"])) == 0 {
				return bad("rolePermissions must not be empty.")
			}
			for _, r := range subs(o.p["rolePermissions"]) {
				for _, a := range texts(r["allowedResourceActions"]) {
					if !strings.HasPrefix(a, actions) {
						return bad("Action '%s' is not supported for custom roles.", a)
					}
				}
				if r["condition"] != nil || len(asList(r["excludedResourceActions"])) > 0 {
					return bad("condition and excludedResourceActions are not supported for custom roles.")
				}
			}
			return nil
		}
		f.create = func(c *call, o *object, _ checked) error {
			o.p["isBuiltIn"], o.p["templateId"], o.p["resourceScopes"] = false, o.id, list("/")
			return check(c, o)
		}
		f.change = func(c *call, o, d *object, _ checked) error {
			if err := fixed(o); err != nil {
				return err
			}
			return check(c, d)
		}
		f.remove = func(_ *call, o *object) error { return fixed(o) }
		f.sample = func(t *Tenant, i int, _ *object) map[string]any {
			id := t.fresh(kKey)
			return props{"displayName": title(service) + " role " + itoa(i), "description": "Sample", "isBuiltIn": i == 0, "isEnabled": true, "templateId": id, "version": nil, "resourceScopes": list("/"),
				"rolePermissions": []any{props{"allowedResourceActions": list(actions+"Things/Read", actions+"Things/Update"), "condition": nil}}}
		}
		return f
	}
	return []*family{
		roles("exchange", "", "RoleManagement.Read.Exchange", ""),
		roles("deviceManagement", "Microsoft.Intune/", "DeviceManagementRBAC.Read.All", "DeviceManagementRBAC.ReadWrite.All"),
		roles("cloudPC", "Microsoft.CloudPC/", "RoleManagement.Read.CloudPC", "RoleManagement.ReadWrite.CloudPC"),
		roles("defender", "microsoft.xdr/", "RoleManagement.Read.Defender", "RoleManagement.ReadWrite.Defender"),
	}
}

// entitlementRoles are who may make and manage access packages.
func entitlementRoles() *family {
	f := &family{path: inPackages, types: []string{"unifiedRoleAssignment"}, noun: "entitlement management role", verbs: "POST DELETE", ends: []string{"principalId"},
		access: access{"identityGovernance", []string{"EntitlementManagement.Read.All", "EntitlementManagement.ReadWrite.All"}, []string{"EntitlementManagement.ReadWrite.All"}, nil}}
	f.create = func(c *call, o *object, _ checked) error {
		if c.t.liveOf(text(o.p["principalId"]), kUser, kGroup, kSP) == nil {
			return notFound(text(o.p["principalId"]))
		}
		if role := text(o.p["roleDefinitionId"]); role != catalogOwner && role != catalogCreator {
			return notFound(role)
		}
		app, directory := text(o.p["appScopeId"]), text(o.p["directoryScopeId"])
		id, in := strings.CutPrefix(app, inCatalog)
		switch {
		case (app == "") == (directory == ""):
			return bad("Exactly one of appScopeId and directoryScopeId is required.")
		case in && c.t.liveIn(catalogs, id) == nil:
			return notFound(id)
		case !in && app+directory != "/":
			return bad("The scope '%s' does not exist.", app+directory)
		}
		same := c.t.taken(o.kind, o, func(x *object) bool {
			return x.live() && !slices.ContainsFunc([]string{"principalId", "roleDefinitionId", "appScopeId", "directoryScopeId"}, func(name string) bool { return x.p[name] != o.p[name] })
		})
		if same {
			return bad("A conflicting object with one or more of the specified property values is present in the directory.")
		}
		return nil
	}
	f.sample = func(t *Tenant, i int, _ *object) map[string]any {
		p := props{"principalId": t.first(kUser, samples+1)[i+1].id, "roleDefinitionId": catalogOwner, "appScopeId": inCatalog + t.first(kin().kinds[catalogs], samples)[i].id}
		if i == 2 {
			p["roleDefinitionId"], p["appScopeId"] = catalogCreator, "/"
		}
		return p
	}
	return f
}

// roleAlerts are what about privileged roles raises an alert.
func roleAlerts() *family {
	f := &family{path: alertPath, types: []string{"rolesAssignedOutsidePrivilegedIdentityManagementAlertConfiguration", "staleSignInAlertConfiguration", "sequentialActivationRenewalsAlertConfiguration", "tooManyGlobalAdminsAssignedToTenantAlertConfiguration"},
		noun: "alert configuration", beta: true, verbs: "PATCH", access: access{"identityGovernance", []string{"RoleManagementAlert.Read.Directory", "RoleManagementAlert.ReadWrite.Directory"}, []string{"RoleManagementAlert.ReadWrite.Directory"}, nil}}
	f.list = func(c *call) error {
		asked := c.opts.filter.paths()
		if slices.Contains(asked, "scopeId") && slices.Contains(asked, "scopeType") {
			return nil
		}
		return refuse(400, "InvalidFilter", "The filter has to name scopeId and scopeType.")
	}
	f.sample = func(t *Tenant, i int, _ *object) map[string]any {
		p := []props{
			{"@odata.type": "tooManyGlobalAdminsAssignedToTenantAlertConfiguration", "globalAdminCountThreshold": 5, "percentageOfGlobalAdminsOutOfRolesThreshold": 20},
			{"@odata.type": "staleSignInAlertConfiguration", "duration": "P30D"},
			{"@odata.type": "sequentialActivationRenewalsAlertConfiguration", "sequentialActivationCounterThreshold": 10, "timeIntervalBetweenActivations": "PT4H"},
		}[i]
		p["id"] = "DirectoryRole_" + t.id + "_" + strings.TrimSuffix(title(text(p["@odata.type"])), "Configuration")
		p["alertDefinitionId"], p["isEnabled"], p["scopeId"], p["scopeType"] = p["id"], true, "/", "DirectoryRole"
		return p
	}
	return f
}
