package words

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// changed says what changed in an object.
func (s *speaker) changed() []clause {
	var cs []clause
	for _, t := range s.turns() {
		cs = append(cs, s.say(t)...)
	}
	if len(cs) == 0 {
		cs = append(cs, clause{text: s.self() + " changed", risk: Low, plain: true})
	}
	return cs
}

func (s *speaker) say(t turn) []clause {
	var cs []clause
	ok := false
	if _, is := catalog.Policy(s.o); is {
		cs, ok = s.policy(t)
	} else if _, is := catalog.Location(s.o); is {
		cs, ok = s.location(t)
	} else if _, is := catalog.Strength(s.o); is {
		cs, ok = s.strength(t)
	} else if s.methods() {
		cs, ok = s.method(t)
	} else if _, is := catalog.SecurityDefaults(s.o); is && t.path == "isEnabled" {
		if t.after == true {
			return []clause{{text: "security defaults were turned on", risk: Medium, effect: "Conditional Access policies and security defaults do not go together."}}
		}
		return []clause{{text: "security defaults were turned off", risk: High, effect: "Multifactor authentication is demanded only where a policy does."}}
	} else if g, is := catalog.Grant(s.o); is && t.path == "scope" {
		return s.scopeChange(g, t)
	} else if _, is := catalog.Role(s.o); is {
		cs, ok = s.role(t)
	}
	if !ok {
		cs, ok = s.property(t)
	}
	if !ok {
		c := s.plain(t)
		if effect, admits := s.admits(); admits {
			c.risk, c.effect = High, effect
		}
		cs = []clause{c}
	}
	return cs
}

// plain is the wording for what has none of its own.
func (s *speaker) plain(t turn) clause {
	return clause{text: fmt.Sprintf("the property %s of %s %s", s.label(strings.TrimSuffix(t.full, "[]")), s.self(), s.became(t)), risk: Low, plain: true}
}

// became says how a value changed.
func (s *speaker) became(t turn) string {
	switch {
	case len(t.in)+len(t.out) > 0:
		return "changed: " + s.shown(t)
	case t.before == nil:
		return "was set to " + s.value(t.path, t.after)
	case t.after == nil:
		return fmt.Sprintf("was cleared (it was %s)", s.value(t.path, t.before))
	}
	return "changed " + s.shown(t)
}

func (s *speaker) scopeChange(g catalog.Consent, t turn) []clause {
	was, is := strings.Fields(fmt.Sprint(t.before)), strings.Fields(fmt.Sprint(t.after))
	if t.before == nil {
		was = nil
	}
	if t.after == nil {
		is = nil
	}
	lost := slices.DeleteFunc(slices.Clone(was), func(x string) bool { return slices.Contains(is, x) })
	won := slices.DeleteFunc(slices.Clone(is), func(x string) bool { return slices.Contains(was, x) })
	_, client := s.resolve(g.Client)
	resource, on := s.resolve(g.Resource)
	whom := "every user"
	if g.User != "" {
		_, whom = s.resolve(g.User)
	}
	var cs []clause
	if len(won) > 0 {
		cs = append(cs, clause{text: fmt.Sprintf("app %s may now also use %s on %s for %s", client, list(won), on, whom), risk: max(Medium, s.scopes(resource, won))})
	}
	if len(lost) > 0 {
		cs = append(cs, clause{text: fmt.Sprintf("app %s may no longer use %s on %s for %s", client, list(lost), on, whom), risk: Low})
	}
	return cs
}

// role says what changed in a role's definition.
func (s *speaker) role(t turn) ([]clause, bool) {
	switch {
	case t.path == "isEnabled":
		return []clause{{text: s.self() + pick(t.after == true, " was enabled", " was disabled"), risk: Medium}}, true
	case strings.HasPrefix(t.path, "rolePermissions"):
		actions := func(values []any) []string {
			var all []string
			for _, v := range values {
				m, _ := v.(map[string]any)
				list, _ := m["allowedResourceActions"].([]any)
				for _, a := range list {
					all = append(all, fmt.Sprint(a))
				}
			}
			return all
		}
		was, is := actions(t.out), actions(t.in)
		won := slices.DeleteFunc(slices.Clone(is), func(x string) bool { return slices.Contains(was, x) })
		lost := slices.DeleteFunc(slices.Clone(was), func(x string) bool { return slices.Contains(is, x) })
		var cs []clause
		if len(won) > 0 {
			cs = append(cs, clause{text: fmt.Sprintf("%s now also allows %s", s.self(), list(won)), risk: High, effect: "Every holder of the role can do more."})
		}
		if len(lost) > 0 {
			cs = append(cs, clause{text: fmt.Sprintf("%s no longer allows %s", s.self(), list(lost)), risk: Medium})
		}
		return cs, len(cs) > 0
	}
	return nil, false
}

// property says what changed in a property that means the same wherever it occurs.
func (s *speaker) property(t turn) ([]clause, bool) {
	self := s.self()
	one := func(risk Risk, format string, args ...any) ([]clause, bool) {
		return []clause{{text: fmt.Sprintf(format, args...), risk: risk}}, true
	}
	// both says what came and what went of an array.
	both := func(in, out Risk, came, went, effect string, name func(any) string) ([]clause, bool) {
		texts := func(values []any) []string {
			var names []string
			for _, v := range values {
				names = append(names, name(v))
			}
			return names
		}
		var cs []clause
		if len(t.in) > 0 {
			cs = append(cs, clause{text: fmt.Sprintf("%s was added to %s: %s", came, self, list(texts(t.in))), risk: in, effect: effect})
		}
		if len(t.out) > 0 {
			cs = append(cs, clause{text: fmt.Sprintf("%s was removed from %s: %s", went, self, list(texts(t.out))), risk: out})
		}
		return cs, len(cs) > 0
	}
	plain := func(v any) string { return s.value(t.path, v) }
	titled := func(v any) string {
		for _, n := range []string{"displayName", "value", "adminConsentDisplayName", "keyId", "id"} {
			if text := member(v, n); text != "" {
				return text
			}
		}
		return s.value(t.path, v)
	}
	switch t.path {
	case "accountEnabled":
		if t.after == true {
			return one(Medium, "%s was enabled", self)
		}
		return one(Medium, "%s was disabled", self)
	case "displayName":
		return one(Low, "%s %s was renamed to %s", noun(s.c.Ref.Type), s.value(t.path, t.before), s.value(t.path, t.after))
	case "userPrincipalName":
		return one(Low, "the sign-in name of %s changed from %s to %s", self, s.value(t.path, t.before), s.value(t.path, t.after))
	case "userType":
		return one(Medium, "%s was changed from %s to %s", self, strings.ToLower(s.value(t.path, t.before)), strings.ToLower(s.value(t.path, t.after)))
	case "assignedLicenses[]":
		var cs []clause
		names := func(values []any) []string {
			var all []string
			for _, v := range values {
				all = append(all, s.licence(member(v, "skuId")))
			}
			return all
		}
		if len(t.in) > 0 {
			cs = append(cs, clause{text: fmt.Sprintf("%s was given the licence %s", self, list(names(t.in))), risk: Low})
		}
		if len(t.out) > 0 {
			cs = append(cs, clause{text: fmt.Sprintf("%s lost the licence %s", self, list(names(t.out))), risk: Low})
		}
		return cs, len(cs) > 0
	case "assignedLicenses[].disabledPlans[]":
		return one(Low, "the service plans of a licence of %s changed: %s", self, s.shown(t))
	case "membershipRule":
		return one(Medium, "the membership rule of %s changed from %s to %s", self, s.value("", t.before), s.value("", t.after))
	case "membershipRuleProcessingState":
		return one(Medium, "the membership rule of %s was %s", self, pick(t.after == "On", "turned on", "paused"))
	case "groupTypes[]":
		if slices.Contains(t.in, any("DynamicMembership")) {
			return one(Medium, "the members of %s now follow from a rule", self)
		}
		if slices.Contains(t.out, any("DynamicMembership")) {
			return one(Medium, "the members of %s no longer follow from a rule", self)
		}
	case "isAssignableToRole":
		return one(Medium, "roles can %s be given to %s", pick(t.after == true, "now", "no longer"), self)
	case "visibility":
		return one(Low, "the visibility of %s changed from %s to %s", self, s.value(t.path, t.before), s.value(t.path, t.after))
	case "isMemberManagementRestricted":
		return one(Medium, "managing the members of %s is %s to its own administrators", self, pick(t.after == true, "now restricted", "no longer restricted"))
	case "keyCredentials[]":
		return both(High, Medium, "a certificate", "a certificate", "Whoever holds its key can sign in as the app.", titled)
	case "passwordCredentials[]":
		return both(High, Medium, "a client secret", "a client secret", "Whoever holds it can sign in as the app.", titled)
	case "web.redirectUris[]", "spa.redirectUris[]", "publicClient.redirectUris[]", "replyUrls[]":
		return both(Medium, Low, "a redirect URI", "a redirect URI", "Sign-in responses of the app can be sent there.", plain)
	case "identifierUris[]":
		return both(Medium, Low, "an identifier URI", "an identifier URI", "", plain)
	case "appRoles[]":
		return both(Low, Medium, "an app role", "an app role", "", titled)
	case "api.oauth2PermissionScopes[]", "oauth2PermissionScopes[]":
		return both(Low, Medium, "a delegated permission", "a delegated permission", "", titled)
	case "requiredResourceAccess[]":
		return s.requested(t, func(v any) string { return member(v, "resourceAppId") }), true
	case "requiredResourceAccess[].resourceAccess[]":
		path := t.full
		return s.requested(t, func(any) string {
			_, after, _ := strings.Cut(path, "resourceAppId=")
			id, _, _ := strings.Cut(after, "]")
			return id
		}), true
	case "appRoleAssignmentRequired":
		if t.after == true {
			return one(Low, "%s is now open only to those assigned to it", self)
		}
		return one(Medium, "%s is now open to everyone, assigned or not", self)
	case "signInAudience":
		return one(Medium, "who can sign in to %s changed from %s to %s", self, s.value(t.path, t.before), s.value(t.path, t.after))
	case "isFallbackPublicClient":
		return one(Medium, "%s is %s treated as a public client", self, pick(t.after == true, "now", "no longer"))
	case "authenticationType":
		if t.after == "Federated" {
			return []clause{{text: self + " is now federated (it was managed)", risk: High, effect: "Whoever runs its identity provider can sign in as anyone of the domain."}}, true
		}
		return one(Medium, "%s is now %s (it was %s)", self, strings.ToLower(s.value(t.path, t.after)), strings.ToLower(s.value(t.path, t.before)))
	case "isDefault":
		return one(Medium, "%s is %s the default domain", self, pick(t.after == true, "now", "no longer"))
	case "isVerified":
		return one(Medium, "%s is %s verified", self, pick(t.after == true, "now", "no longer"))
	case "prepaidUnits.enabled":
		return one(None, "the tenant now has %s units of %s (it had %s)", s.value(t.path, t.after), s.product(), s.value(t.path, t.before))
	case "capabilityStatus":
		return one(Low, "the state of %s changed from %s to %s", s.product(), s.value(t.path, t.before), s.value(t.path, t.after))
	case "technicalNotificationMails[]", "securityComplianceNotificationMails[]", "marketingNotificationEmails[]":
		return one(Medium, "who is told by mail about %s changed: %s", self, s.shown(t))
	case "passwordPolicies":
		return one(Medium, "the password policy of %s changed from %s to %s", self, s.value(t.path, t.before), s.value(t.path, t.after))
	}
	// Simple facts about people and things: the property's name says it.
	if t.before == nil && t.after == nil || strings.ContainsAny(t.path, ".[") {
		return nil, false
	}
	switch t.path {
	case "givenName", "surname", "jobTitle", "department", "companyName", "employeeId", "employeeType", "officeLocation", "city", "state", "country",
		"postalCode", "streetAddress", "mobilePhone", "faxNumber", "usageLocation", "preferredLanguage", "mail", "mailNickname", "description", "notes",
		"ageGroup", "homepage", "loginUrl", "logoutUrl", "employeeHireDate", "employeeLeaveDateTime", "classification", "theme", "preferredDataLocation":
		c := s.plain(t)
		c.text, c.plain = strings.Replace(c.text, "the property "+t.full+" of", "the "+spaced(t.path)+" of", 1), false
		return []clause{c}, true
	}
	return nil, false
}

// requested says which permissions an application asks for now, or no longer.
func (s *speaker) requested(t turn, resource func(any) string) []clause {
	var cs []clause
	for _, side := range []struct {
		values []any
		text   string
		risk   Risk
		effect string
	}{
		{t.in, "%s now asks for %s on %s", Medium, "The permissions hold once someone consents."},
		{t.out, "%s no longer asks for %s on %s", Low, ""},
	} {
		for _, v := range side.values {
			appID := resource(v)
			name := appID
			ref, n, ok := s.names.Find(entra.ID(appID), []entra.Type{catalog.ServicePrincipalType}, "appId")
			if ok {
				name = n
			}
			access := []any{v}
			if m, _ := v.(map[string]any); m["resourceAccess"] != nil {
				access, _ = m["resourceAccess"].([]any)
			}
			var wants []string
			risk := side.risk
			for _, a := range access {
				p := s.permission(ref, member(a, "id"))
				wants = append(wants, p)
				if side.risk == Medium && catalog.HighPermission(appID, p) {
					risk = High
				}
			}
			cs = append(cs, clause{text: fmt.Sprintf(side.text, s.self(), list(wants), name), risk: risk, effect: side.effect})
		}
	}
	return cs
}

// permission names a permission that a service principal offers.
func (s *speaker) permission(resource entra.Ref, id string) string {
	o, ok := s.object(resource)
	if !ok {
		return id
	}
	roles, _ := catalog.Permissions(o)
	for _, p := range roles {
		if p.ID == id && p.Value != "" {
			return p.Value
		}
	}
	scopes, _ := o.Body.Get("oauth2PermissionScopes")
	all, _ := scopes.([]any)
	for _, p := range all {
		if member(p, "id") == id {
			return member(p, "value")
		}
	}
	return id
}

// licence names a product by its ID in the tenant's licences.
func (s *speaker) licence(sku string) string {
	if _, name, ok := s.find("assignedLicenses[].skuId", sku); ok {
		return product(name)
	}
	return sku
}

func (s *speaker) product() string { return product(s.name(s.c.Ref)) }

// product gives the name on the bill for a part number, for the commonest ones.
// Source: Microsoft Entra documentation, "Product names and service plan identifiers for licensing".
func product(part string) string {
	switch part {
	case "ENTERPRISEPACK":
		return "Office 365 E3"
	case "ENTERPRISEPREMIUM":
		return "Office 365 E5"
	case "STANDARDPACK":
		return "Office 365 E1"
	case "SPE_E3":
		return "Microsoft 365 E3"
	case "SPE_E5":
		return "Microsoft 365 E5"
	case "SPE_F1":
		return "Microsoft 365 F3"
	case "SPB":
		return "Microsoft 365 Business Premium"
	case "O365_BUSINESS_PREMIUM":
		return "Microsoft 365 Business Standard"
	case "O365_BUSINESS_ESSENTIALS":
		return "Microsoft 365 Business Basic"
	case "AAD_PREMIUM":
		return "Microsoft Entra ID P1"
	case "AAD_PREMIUM_P2":
		return "Microsoft Entra ID P2"
	case "EMS":
		return "Enterprise Mobility + Security E3"
	case "EMSPREMIUM":
		return "Enterprise Mobility + Security E5"
	case "EXCHANGESTANDARD":
		return "Exchange Online (Plan 1)"
	case "EXCHANGEENTERPRISE":
		return "Exchange Online (Plan 2)"
	case "POWER_BI_PRO":
		return "Power BI Pro"
	case "VISIOCLIENT":
		return "Visio Plan 2"
	case "PROJECTPROFESSIONAL":
		return "Project Plan 3"
	case "FLOW_FREE":
		return "Microsoft Power Automate Free"
	}
	return part
}
