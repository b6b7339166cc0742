package catalog

import (
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// An AccessPolicy is what a Conditional Access policy says.
type AccessPolicy struct {
	Name  string
	State PolicyState
	Users Scope // whom it is about

	Apps        Filter   // appIds, "All", "None", "Office365", "MicrosoftAdminPortals"
	Actions     []string // user actions, such as registering a device
	Contexts    []string // authentication contexts
	AppRule     string   // a filter on applications in the rule language; "" for none
	Workloads   Filter   // IDs of service principals, or "ServicePrincipalsInMyTenant"
	WorkRule    string   // a filter on service principals in the rule language; "" for none
	Locations   Filter   // IDs of named locations, "All", "AllTrusted"
	Platforms   Filter   // "android", "all", ...
	DeviceRule  string   // a filter on devices in the rule language; "" for none
	DeviceMode  string   // "include" or "exclude": whom DeviceRule picks
	Clients     []string // "all", "browser", "exchangeActiveSync", ...
	UserRisk    []string
	SignInRisk  []string
	WorkRisk    []string // risk of service principals
	InsiderRisk []string
	Flows       []string // transfer methods: deviceCodeFlow, authenticationTransfer

	Any      bool     // one of the demands is enough; else all of them
	Controls []string // "block", "mfa", "compliantDevice", ...
	Custom   []string // custom authentication factors
	Terms    []string // terms of use
	Strength entra.ID // authentication strength demanded; "" for none
	Session  bool     // it has session controls
}

// Blocks reports whether the policy refuses access outright.
func (p AccessPolicy) Blocks() bool {
	return slices.Contains(p.Controls, "block")
}

// A Filter includes and excludes.
type Filter struct{ Include, Exclude []string }

// A Scope is whom a policy is about.
type Scope struct {
	Users          Filter // IDs of users, "All", "None", "GuestsOrExternalUsers"
	Groups         Filter // IDs of groups
	Roles          Filter // template IDs of roles
	Guests, Except Guests // kinds of outside users included and excluded
}

// Guests are kinds of outside users.
type Guests struct {
	Kinds   []string // "b2bCollaborationGuest", ...; none means the condition is not there
	Tenants []string // of these tenants only; none means all
}

// A PolicyState says whether a policy is in force.
type PolicyState string

// The states of a policy.
const (
	Enabled    PolicyState = "enabled"
	Disabled   PolicyState = "disabled"
	ReportOnly PolicyState = "enabledForReportingButNotEnforced"
)

// Policy reads a Conditional Access policy. It reports false for any other object.
func Policy(o entra.Object) (AccessPolicy, bool) {
	if o.Ref.Type != PolicyType {
		return AccessPolicy{}, false
	}
	m := o.Body.Decode()
	p := AccessPolicy{
		Name:  text(m, "displayName"),
		State: PolicyState(text(m, "state")),
		Users: Scope{
			Users:  filter(m, "conditions.users", "Users"),
			Groups: filter(m, "conditions.users", "Groups"),
			Roles:  filter(m, "conditions.users", "Roles"),
			Guests: guests(m, "conditions.users.includeGuestsOrExternalUsers"),
			Except: guests(m, "conditions.users.excludeGuestsOrExternalUsers"),
		},
		Apps:        filter(m, "conditions.applications", "Applications"),
		Actions:     texts(m, "conditions.applications.includeUserActions"),
		Contexts:    texts(m, "conditions.applications.includeAuthenticationContextClassReferences"),
		AppRule:     rule(m, "conditions.applications.applicationFilter"),
		Workloads:   filter(m, "conditions.clientApplications", "ServicePrincipals"),
		WorkRule:    rule(m, "conditions.clientApplications.servicePrincipalFilter"),
		Locations:   filter(m, "conditions.locations", "Locations"),
		Platforms:   filter(m, "conditions.platforms", "Platforms"),
		DeviceRule:  text(m, "conditions.devices.deviceFilter.rule"),
		DeviceMode:  text(m, "conditions.devices.deviceFilter.mode"),
		Clients:     texts(m, "conditions.clientAppTypes"),
		UserRisk:    texts(m, "conditions.userRiskLevels"),
		SignInRisk:  texts(m, "conditions.signInRiskLevels"),
		WorkRisk:    texts(m, "conditions.servicePrincipalRiskLevels"),
		InsiderRisk: flags(m, "conditions.insiderRiskLevels"),
		Flows:       flags(m, "conditions.authenticationFlows.transferMethods"),
		Any:         strings.EqualFold(text(m, "grantControls.operator"), "OR"),
		Controls:    texts(m, "grantControls.builtInControls"),
		Custom:      texts(m, "grantControls.customAuthenticationFactors"),
		Terms:       texts(m, "grantControls.termsOfUse"),
		Strength:    entra.ID(text(m, "grantControls.authenticationStrength.id")),
	}
	session, _ := entra.Get(m, "sessionControls")
	controls, _ := session.(map[string]any)
	p.Session = len(controls) > 0
	return p, true
}

// A Holding is a directory role that someone has.
type Holding struct {
	Principal entra.ID
	Role      entra.ID // of the role's definition
	Scope     string   // "/" for the whole tenant
}

// RoleHeld reads a role assignment. It reports false for any other object.
func RoleHeld(o entra.Object) (Holding, bool) {
	if o.Ref.Type != roleAssignmentType {
		return Holding{}, false
	}
	m := o.Body.Decode()
	h := Holding{entra.ID(text(m, "principalId")), entra.ID(text(m, "roleDefinitionId")), text(m, "directoryScopeId")}
	if h.Scope == "" {
		h.Scope = text(m, "appScopeId")
	}
	return h, true
}

// A DirectoryRole is a role's definition.
type DirectoryRole struct {
	Name       string
	Template   string // the ID that is the same in every tenant, for a built-in role
	BuiltIn    bool
	Enabled    bool
	Privileged bool // whoever holds it can take over the tenant, or a part that leads to it
}

// Role reads a role's definition. It reports false for any other object.
func Role(o entra.Object) (DirectoryRole, bool) {
	if o.Ref.Type != RoleType {
		return DirectoryRole{}, false
	}
	m := o.Body.Decode()
	r := DirectoryRole{
		Name: text(m, "displayName"), Template: text(m, "templateId"),
		BuiltIn: m["isBuiltIn"] == true, Enabled: m["isEnabled"] != false,
	}
	if r.Template == "" {
		r.Template = string(o.Ref.ID)
	}
	r.Privileged = privileged(r.Template)
	if !r.BuiltIn {
		r.Privileged = slices.ContainsFunc(list(m["rolePermissions"]), func(p any) bool {
			in, _ := p.(map[string]any)
			return slices.ContainsFunc(texts(in, "allowedResourceActions"), powerful)
		})
	}
	return r, true
}

// A Consent lets a client act on a resource for one user or all.
type Consent struct {
	Client, Resource entra.ID // service principals
	User             entra.ID // "" for all users
	Scopes           []string // ascending
}

// Grant reads a delegated permission grant. It reports false for any other object.
func Grant(o entra.Object) (Consent, bool) {
	if o.Ref.Type != grantType {
		return Consent{}, false
	}
	m := o.Body.Decode()
	return Consent{
		Client: entra.ID(text(m, "clientId")), Resource: entra.ID(text(m, "resourceId")), User: entra.ID(text(m, "principalId")),
		Scopes: strings.Fields(text(m, "scope")),
	}, true
}

// An AppRole is a role of an application given to someone.
type AppRole struct {
	Principal, Resource entra.ID
	Role                string // ID of the role within the resource; zeros for default access
}

// Assignment reads an app role assignment. It reports false for any other object.
func Assignment(o entra.Object) (AppRole, bool) {
	if o.Ref.Type != appRoleType {
		return AppRole{}, false
	}
	m := o.Body.Decode()
	return AppRole{entra.ID(text(m, "principalId")), entra.ID(text(m, "resourceId")), text(m, "appRoleId")}, true
}

// An Act is what an audit entry says.
type Act struct {
	At     time.Time
	Actor  Actor
	What   string      // "Add member to group"
	Result string      // "success", "failure", ...
	On     []entra.Ref // ascending; the type is the entry's own word where the catalog has none for it
	// Changed are the names of the properties that the entry says were changed, in small letters. They are the
	// directory's own, which are Graph's but for capitals where the two have the same property, and not complete.
	Changed []string

	Service     string // which part of the service wrote it down
	Correlation string // shared by the entries of one operation
}

// An Actor is who did something.
type Actor struct {
	ID   entra.ID
	Name string
	Kind string // "user" or "app"
}

// Audit returns the declaration of the directory's audit log.
func Audit() *Resource {
	return declarations.byType[auditType]
}

// Acted reads an audit entry. It reports false for any other object.
func Acted(o entra.Object) (Act, bool) {
	if o.Ref.Type != auditType {
		return Act{}, false
	}
	m := o.Body.Decode()
	at, err := time.Parse(time.RFC3339Nano, text(m, "activityDateTime"))
	if err != nil {
		return Act{}, false
	}
	a := Act{At: at.UTC(), What: text(m, "activityDisplayName"), Result: text(m, "result"), Service: text(m, "loggedByService"), Correlation: text(m, "correlationId")}
	if id, name := text(m, "initiatedBy.user.id"), text(m, "initiatedBy.user.userPrincipalName"); id != "" || name != "" {
		a.Actor = Actor{ID: entra.ID(id), Name: name, Kind: "user"}
	} else if _, ok := entra.Get(m, "initiatedBy.app"); ok {
		a.Actor = Actor{ID: entra.ID(text(m, "initiatedBy.app.servicePrincipalId")), Name: text(m, "initiatedBy.app.displayName"), Kind: "app"}
	}
	for _, t := range list(m["targetResources"]) {
		t, _ := t.(map[string]any)
		if id := text(t, "id"); id != "" {
			a.On = append(a.On, entra.Ref{Type: target(text(t, "type")), ID: entra.ID(id)})
		}
		for _, p := range list(t["modifiedProperties"]) {
			if p, _ := p.(map[string]any); text(p, "displayName") != "" {
				a.Changed = append(a.Changed, strings.ToLower(text(p, "displayName")))
			}
		}
	}
	slices.SortFunc(a.On, entra.Ref.Compare)
	a.On = slices.Compact(a.On)
	slices.Sort(a.Changed)
	a.Changed = slices.Compact(a.Changed)
	return a, true
}

// SecurityDefaults reads whether the tenant's security defaults are on. ok is false for any other object.
func SecurityDefaults(o entra.Object) (on, ok bool) {
	if o.Ref.Type != defaultsType {
		return false, false
	}
	return o.Body.Decode()["isEnabled"] == true, true
}

// A Place is a named location.
type Place struct {
	Name      string
	Trusted   bool
	Ranges    []string // CIDR
	Countries []string // ISO 3166-1 alpha-2
}

// Location reads a named location. It reports false for any other object.
func Location(o entra.Object) (Place, bool) {
	if o.Ref.Type != LocationType {
		return Place{}, false
	}
	m := o.Body.Decode()
	p := Place{Name: text(m, "displayName"), Trusted: m["isTrusted"] == true, Countries: texts(m, "countriesAndRegions")}
	for _, r := range list(m["ipRanges"]) {
		r, _ := r.(map[string]any)
		p.Ranges = append(p.Ranges, text(r, "cidrAddress"))
	}
	return p, true
}

// A Demand is an authentication strength: the combinations of methods that satisfy it.
type Demand struct {
	Name         string
	BuiltIn      bool
	Combinations []string
}

// Strength reads an authentication strength. It reports false for any other object.
func Strength(o entra.Object) (Demand, bool) {
	if o.Ref.Type != StrengthType {
		return Demand{}, false
	}
	m := o.Body.Decode()
	return Demand{text(m, "displayName"), m["policyType"] == "builtIn", texts(m, "allowedCombinations")}, true
}

// An Account is what can sign in: a user or a service principal.
type Account struct {
	Name    string
	Login   string // userPrincipalName of a user, appId of a service principal
	Enabled bool
	Guest   bool
	Synced  bool   // mastered on premises
	Kind    string // servicePrincipalType of a service principal; "" for a user
}

// AccountOf reads a user or a service principal. It reports false for any other object.
func AccountOf(o entra.Object) (Account, bool) {
	m := map[string]any{}
	switch o.Ref.Type {
	case UserType, ServicePrincipalType:
		m = o.Body.Decode()
	}
	a := Account{Name: text(m, "displayName"), Enabled: m["accountEnabled"] == true}
	switch o.Ref.Type {
	case UserType:
		a.Login, a.Guest, a.Synced = text(m, "userPrincipalName"), text(m, "userType") == "Guest", m["onPremisesSyncEnabled"] == true
	case ServicePrincipalType:
		a.Login, a.Kind = text(m, "appId"), text(m, "servicePrincipalType")
	default:
		return Account{}, false
	}
	return a, true
}

// A Group is what matters of a group to who gets access by it.
type Group struct {
	Name       string
	Dynamic    bool   // its members follow from Rule
	Rule       string // in the rule language of dynamic membership
	Assignable bool   // roles can be given to it
	Unified    bool   // a Microsoft 365 group
}

// GroupOf reads a group. It reports false for any other object.
func GroupOf(o entra.Object) (Group, bool) {
	if o.Ref.Type != GroupType {
		return Group{}, false
	}
	m := o.Body.Decode()
	types := texts(m, "groupTypes")
	return Group{
		Name: text(m, "displayName"), Dynamic: slices.Contains(types, "DynamicMembership"), Rule: text(m, "membershipRule"),
		Assignable: m["isAssignableToRole"] == true, Unified: slices.Contains(types, "Unified"),
	}, true
}

// A Permission is a role that an application offers to other applications or to people.
type Permission struct{ ID, Value, Name string }

// Permissions reads the roles that a service principal or an application offers. It reports false for any
// other object.
func Permissions(o entra.Object) ([]Permission, bool) {
	if o.Ref.Type != ServicePrincipalType && o.Ref.Type != ApplicationType {
		return nil, false
	}
	var ps []Permission
	for _, r := range list(o.Body.Decode()["appRoles"]) {
		r, _ := r.(map[string]any)
		ps = append(ps, Permission{text(r, "id"), text(r, "value"), text(r, "displayName")})
	}
	return ps, true
}

// powerful reports whether an action of a custom role lets its holder act with other identities: the
// actions that Microsoft marks as privileged and that custom roles can hold.
// Source: Microsoft Entra documentation, "Privileged roles and permissions".
func powerful(action string) bool {
	switch action {
	case "microsoft.directory/applications/allProperties/update", "microsoft.directory/applications/credentials/update",
		"microsoft.directory/servicePrincipals/credentials/update", "microsoft.directory/servicePrincipals/allProperties/update",
		"microsoft.directory/applications/owners/update", "microsoft.directory/servicePrincipals/owners/update",
		"microsoft.directory/servicePrincipals/managePermissionGrantsForAll.microsoft-company-admin",
		"microsoft.directory/users/password/update", "microsoft.directory/conditionalAccessPolicies/basic/update",
		"microsoft.directory/groupsAssignableToRoles/allProperties/update", "microsoft.directory/groups.security.assignedMembership/members/update":
		return true
	}
	return false
}

// target turns an audit entry's word for what was acted on into a type.
// Source: Microsoft Graph documentation of targetResource.
func target(word string) entra.Type {
	switch word {
	case "User":
		return UserType
	case "Group":
		return GroupType
	case "Application":
		return ApplicationType
	case "ServicePrincipal":
		return ServicePrincipalType
	case "AdministrativeUnit":
		return UnitType
	case "Role":
		return RoleType
	case "Policy", "ConditionalAccessPolicy":
		return PolicyType
	case "NamedLocation":
		return LocationType
	case "":
		return "other"
	}
	return entra.Type(lowerFirst(word))
}

func text(m map[string]any, path string) string {
	v, _ := entra.Get(m, path)
	s, _ := v.(string)
	return s
}

func texts(m map[string]any, path string) []string {
	v, _ := entra.Get(m, path)
	var out []string
	for _, e := range list(v) {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// flags reads words that the service joins by commas.
func flags(m map[string]any, path string) []string {
	var out []string
	for f := range strings.SplitSeq(text(m, path), ",") {
		if f = strings.TrimSpace(f); f != "" && f != "none" {
			out = append(out, f)
		}
	}
	return out
}

func filter(m map[string]any, path, what string) Filter {
	return Filter{texts(m, path+".include"+what), texts(m, path+".exclude"+what)}
}

func guests(m map[string]any, path string) Guests {
	return Guests{flags(m, path+".guestOrExternalUserTypes"), texts(m, path+".externalTenants.members")}
}

// rule shows a filter with the way it picks, since one that excludes means the opposite.
func rule(m map[string]any, path string) string {
	r := text(m, path+".rule")
	if r != "" && text(m, path+".mode") == "exclude" {
		return "not (" + r + ")"
	}
	return r
}

// Bears reports whether a policy is another policy without what the property at a path names: whom it does not
// reach, or what it demands. One that reaches fewer is not.
func Bears(path string) bool {
	last := path[strings.LastIndexByte(path, '.')+1:]
	return strings.HasPrefix(path, "conditions.") && strings.HasPrefix(last, "exclude") || path == "grantControls.authenticationStrength" || path == "grantControls.termsOfUse"
}
