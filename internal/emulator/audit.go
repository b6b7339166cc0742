package emulator

import (
	"strings"
)

func noun(k kindID) string {
	if f := familyOf(k); f != nil {
		return f.noun
	}
	return [...]string{kUser: "user", kGroup: "group", kApp: "application", kSP: "service principal", kRoleGrant: "app role assignment", kConsent: "delegated permission grant", kUnit: "administrative unit",
		kRoleDef: "role definition", kRoleAssignment: "member to role", kPolicy: "conditional access policy", kLocation: "named location", kStrength: "authentication strength", kDomain: "domain",
		kOrg: "company information", kMethodPolicy: "authentication methods policy", kMethod: "authentication method configuration", kDefaults: "security defaults"}[k]
}

func targetType(o *object) string {
	switch o.kind {
	case kUser:
		return "User"
	case kGroup:
		return "Group"
	case kApp:
		return "Application"
	case kSP:
		return "ServicePrincipal"
	case kRoleDef, kRoleAssignment:
		return "Role"
	case kPolicy, kLocation, kStrength, kMethodPolicy, kMethod, kDefaults:
		return "Policy"
	}
	return "Other"
}

func auditTarget(o *object, modified []any) map[string]any {
	m := map[string]any{"id": o.id, "displayName": o.name(), "type": targetType(o), "userPrincipalName": nil, "groupType": nil, "modifiedProperties": modified}
	if modified == nil {
		m["modifiedProperties"] = []any{}
	}
	switch o.kind {
	case kUser:
		m["displayName"], m["userPrincipalName"] = nil, o.p["userPrincipalName"]
	case kGroup:
		m["groupType"] = "azureAD"
		if strings.Contains(strings.Join(texts(o.p["groupTypes"]), ","), "Unified") {
			m["groupType"] = "unifiedGroups"
		}
	}
	return m
}

// audit writes one entry of the directory audit log.
func (c *call) audit(activity string, o *object, modified []any, more ...*object) {
	t := c.t
	if t.quiet {
		return
	}
	activity = renamed(activity)
	service, category := "Core Directory", ""
	switch o.kind {
	case kUser:
		category = "UserManagement"
	case kGroup:
		category = "GroupManagement"
	case kApp, kSP, kConsent, kRoleGrant:
		category = "ApplicationManagement"
	case kRoleDef, kRoleAssignment:
		category = "RoleManagement"
	case kUnit:
		category = "AdministrativeUnit"
	case kPolicy, kLocation:
		service, category = "Conditional Access", "Policy"
	case kStrength, kMethodPolicy, kMethod:
		service, category = "Authentication Methods", "ApplicationManagement"
	case kDefaults:
		service, category = "Core Directory", "Policy"
	default:
		category = "DirectoryManagement"
	}
	operation, _, _ := strings.Cut(activity, " ")
	switch operation {
	case "Remove", "Hard":
		operation = "Delete"
	case "Restore", "Change", "Set":
		operation = "Update"
	}
	if strings.Contains(activity, "member") || strings.Contains(activity, "owner") || strings.Contains(activity, "assignment") {
		operation = map[string]string{"Add": "Assign", "Delete": "Unassign", "Update": "Update"}[operation]
	}
	targets := []any{auditTarget(o, modified)}
	if in := t.get(text(o.p["_parent"])); in != nil { // a change of what contains it
		activity, targets = "Update "+noun(in.kind), []any{auditTarget(in, []any{map[string]any{"displayName": title(o.typ), "oldValue": nil, "newValue": string(appendString(nil, text(o.p["id"])))}})}
	}
	if o.kind == kRoleAssignment {
		if who := t.get(text(o.p["principalId"])); who != nil {
			role := t.get(text(o.p["roleDefinitionId"]))
			name := ""
			if role != nil {
				name = role.name()
			}
			targets = []any{auditTarget(who, []any{
				map[string]any{"displayName": "Role.ObjectID", "oldValue": nil, "newValue": string(appendString(nil, text(o.p["roleDefinitionId"])))},
				map[string]any{"displayName": "Role.DisplayName", "oldValue": nil, "newValue": string(appendString(nil, name))}})}
			if role != nil {
				targets = append(targets, auditTarget(role, nil))
			}
		}
	}
	if o.kind == kConsent {
		if sp := t.get(text(o.p["resourceId"])); sp != nil {
			targets = append(targets, auditTarget(sp, nil))
		}
	}
	for _, x := range more {
		if x != nil {
			targets = append(targets, auditTarget(x, nil))
		}
	}
	by := map[string]any{"user": nil, "app": nil}
	if c.actor.kind == "user" {
		by["user"] = map[string]any{"id": c.actor.id, "displayName": nil, "userPrincipalName": c.actor.who, "ipAddress": "192.0.2.10"}
	} else {
		var sp any
		if x := t.spByAppID(c.actor.id, false); x != nil {
			sp = x.id
		}
		by["app"] = map[string]any{"appId": c.actor.id, "displayName": c.actor.who, "servicePrincipalId": sp, "servicePrincipalName": nil}
	}
	correlation := c.header.Get("client-request-id")
	if correlation == "" {
		correlation = t.fresh(kKey)
	}
	id := "Directory_" + t.fresh(kKey) + "_" + itoa(len(t.audits)+1)
	t.audits = append(t.audits, &object{kind: kAudit, id: id, typ: "directoryAudit", p: map[string]any{"id": id, "activityDateTime": precise(c), "activityDisplayName": activity, "category": category,
		"correlationId": correlation, "initiatedBy": by, "loggedByService": service, "operationType": operation, "result": "success", "resultReason": "", "targetResources": targets, "additionalDetails": []any{}}})
}

// renamed gives the names the log uses where they are not made of verb and
// noun.
func renamed(s string) string {
	switch s {
	case "Delete member to role":
		return "Remove member from role"
	case "Delete delegated permission grant":
		return "Remove delegated permission grant"
	case "Delete service principal":
		return "Remove service principal"
	}
	return s
}

func (c *call) auditLink(o *object, r relID, x *object, added bool) {
	verb, to := "Add ", " to "
	if !added {
		verb, to = "Remove ", " from "
	}
	prop := map[string]any{"displayName": title(o.typ) + ".ObjectID", "oldValue": nil, "newValue": string(appendString(nil, o.id))}
	if !added {
		prop["oldValue"], prop["newValue"] = prop["newValue"], nil
	}
	switch r {
	case rManager:
		activity := "Set user manager"
		if !added {
			activity = "Remove user manager"
		}
		c.audit(activity, o, nil, x)
	case rSponsors:
		c.audit(verb+"user sponsor", o, nil, x)
	case rOwners:
		c.audit(verb+"owner"+to+noun(o.kind), o, []any{prop}, x)
	default:
		c.audit(verb+"member"+to+noun(o.kind), o, []any{prop}, x)
	}
}
