package words

import (
	"fmt"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
)

// stateOf says a policy's state.
func stateOf(state string) string {
	switch catalog.PolicyState(state) {
	case catalog.Enabled:
		return "on"
	case catalog.Disabled:
		return "off"
	case catalog.ReportOnly:
		return "report-only"
	}
	return state
}

// policy says what changed in a Conditional Access policy.
func (s *speaker) policy(t turn) ([]clause, bool) {
	self := "policy " + s.name(s.c.Ref)
	one := func(risk Risk, effect, format string, args ...any) ([]clause, bool) {
		return []clause{{text: fmt.Sprintf(format, args...), risk: risk, effect: effect}}, true
	}
	// sides says what came and what went of one condition, each with its own risk.
	sides := func(noun string, came, went string, risky bool, effectIn, effectOut string) ([]clause, bool) {
		var cs []clause
		for _, side := range []struct {
			values []any
			phrase string
			risk   Risk
			effect string
		}{{t.in, came, pickRisk(risky, High, Medium), effectIn}, {t.out, went, pickRisk(risky, Medium, High), effectOut}} {
			if len(side.values) == 0 {
				continue
			}
			names := s.all(noun, t.path, side.values)
			phrase := strings.ReplaceAll(side.phrase, "VERB", is(names))
			phrase = strings.ReplaceAll(phrase, "POLICY", self)
			cs = append(cs, clause{text: strings.ReplaceAll(phrase, "THINGS", list(names)), risk: side.risk, effect: side.effect})
		}
		return cs, len(cs) > 0
	}
	const (
		exempt   = "THINGS VERB now exempt from POLICY"
		unexempt = "THINGS VERB no longer exempt from POLICY"
		covered  = "THINGS VERB now covered by POLICY"
		left     = "THINGS VERB no longer covered by POLICY"
	)
	switch t.path {
	case "state":
		before, after := fmt.Sprint(t.before), fmt.Sprint(t.after)
		switch {
		case catalog.PolicyState(after) == catalog.Enabled:
			return one(Medium, "What it demands is demanded from now on.", "%s was turned on (it was %s)", self, stateOf(before))
		case catalog.PolicyState(before) == catalog.Enabled:
			return one(High, "What it demanded is no longer demanded.", "%s was set to %s (it was on)", self, stateOf(after))
		}
		return one(Low, "", "%s was set to %s (it was %s); it is still not in force", self, stateOf(after), stateOf(before))
	case "conditions.users.includeUsers[]":
		return sides("user", covered, left, false, "", "")
	case "conditions.users.includeGroups[]":
		return sides("group", covered, left, false, "", "Members of it are covered only if something else in the policy includes them.")
	case "conditions.users.includeRoles[]":
		return sides("role", covered, left, false, "", "")
	case "conditions.users.excludeUsers[]":
		return sides("user", exempt, unexempt, true, "", "")
	case "conditions.users.excludeGroups[]":
		return sides("group", exempt, unexempt, true, "Every member of the group is now exempt.", "Its members are no longer exempt, unless something else excludes them.")
	case "conditions.users.excludeRoles[]":
		return sides("role", exempt, unexempt, true, "Every holder of the role is now exempt.", "")
	case "conditions.applications.includeApplications[]":
		return sides("app", covered, left, false, "", "")
	case "conditions.applications.excludeApplications[]":
		return sides("app", exempt, unexempt, true, "", "")
	case "conditions.applications.includeUserActions[]":
		return sides("action", covered, left, false, "", "")
	case "conditions.applications.includeAuthenticationContextClassReferences[]":
		return sides("authentication context", covered, left, false, "", "")
	case "conditions.clientApplications.includeServicePrincipals[]":
		return sides("app", covered, left, false, "", "")
	case "conditions.clientApplications.excludeServicePrincipals[]":
		return sides("app", exempt, unexempt, true, "", "")
	case "conditions.locations.includeLocations[]":
		return sides("location", "sign-ins from THINGS are now covered by POLICY", "sign-ins from THINGS are no longer covered by POLICY", false, "", "")
	case "conditions.locations.excludeLocations[]":
		return sides("location", "sign-ins from THINGS are now exempt from POLICY", "sign-ins from THINGS are no longer exempt from POLICY", true, "", "")
	case "conditions.platforms.includePlatforms[]":
		return sides("platform", covered, left, false, "", "")
	case "conditions.platforms.excludePlatforms[]":
		return sides("platform", exempt, unexempt, true, "", "")
	case "conditions.clientAppTypes[]":
		return sides("client", covered, left, false, "", "")
	case "conditions.signInRiskLevels[]":
		return sides("sign-in risk", covered, left, false, "", "")
	case "conditions.userRiskLevels[]":
		return sides("user risk", covered, left, false, "", "")
	case "conditions.servicePrincipalRiskLevels[]":
		return sides("app risk", covered, left, false, "", "")
	case "grantControls.builtInControls[]":
		return sides("", "POLICY now demands THINGS", "POLICY no longer demands THINGS", false, "", "Sign-ins that had to meet it need it no more.")
	case "grantControls.termsOfUse[]":
		return sides("", "POLICY now demands consent to terms of use THINGS", "POLICY no longer demands consent to terms of use THINGS", false, "", "")
	case "grantControls.customAuthenticationFactors[]":
		return sides("", "POLICY now demands the custom factor THINGS", "POLICY no longer demands the custom factor THINGS", false, "", "")
	case "grantControls.operator":
		switch {
		case t.after == "OR" && t.before != nil:
			return one(High, "Meeting any one of its demands is enough now.", "%s now demands one of its controls instead of all", self)
		case t.after == "AND" && t.before != nil:
			return one(Medium, "", "%s now demands all of its controls instead of one", self)
		case t.after == nil:
			return nil, true // went with the controls
		}
		return nil, true
	case "grantControls.authenticationStrength.id", "grantControls.authenticationStrength":
		const path = "grantControls.authenticationStrength.id"
		switch {
		case t.after == nil:
			return one(High, "Sign-ins that had to meet it need it no more.", "%s no longer demands %s", self, s.value(path, strength(t.before)))
		case t.before == nil:
			return one(Medium, "", "%s now demands %s", self, s.value(path, strength(t.after)))
		}
		return one(High, "", "%s now demands %s instead of %s", self, s.value(path, strength(t.after)), s.value(path, strength(t.before)))
	case "conditions.devices.deviceFilter.rule":
		return one(High, "", "the device filter of %s %s", self, s.became(t))
	case "conditions.devices.deviceFilter.mode":
		return one(High, "", "the device filter of %s now picks devices to %s", self, s.value(t.path, t.after))
	case "displayName":
		return one(Low, "", "policy %s was renamed to %s", s.value(t.path, t.before), s.value(t.path, t.after))
	}
	switch {
	case strings.HasPrefix(t.path, "conditions.users.excludeGuestsOrExternalUsers"):
		if t.after == nil && len(t.in) == 0 {
			return one(Medium, "", "outside users (%s) are no longer exempt from %s", s.shown(t), self)
		}
		return one(High, "", "outside users (%s) are now exempt from %s", s.shown(t), self)
	case strings.HasPrefix(t.path, "conditions.users.includeGuestsOrExternalUsers"):
		if t.after == nil && len(t.in) == 0 {
			return one(High, "", "outside users (%s) are no longer covered by %s", s.shown(t), self)
		}
		return one(Medium, "", "outside users (%s) are now covered by %s", s.shown(t), self)
	case strings.HasPrefix(t.path, "sessionControls"):
		what := strings.TrimPrefix(strings.TrimPrefix(t.path, "sessionControls"), ".")
		if what == "" {
			what = "all"
		}
		return one(Medium, "", "the session control %s of %s %s", what, self, s.became(t))
	case strings.HasPrefix(t.path, "conditions."):
		return one(High, "", "the condition %s of %s %s", strings.TrimSuffix(strings.TrimPrefix(t.path, "conditions."), "[]"), self, s.became(t))
	}
	return nil, false
}

func strength(v any) any {
	if id := member(v, "id"); id != "" {
		return id
	}
	return v
}

// shown shows what a turn changed, shortly.
func (s *speaker) shown(t turn) string {
	var parts []string
	if len(t.in) > 0 {
		parts = append(parts, "added "+list(s.all("", t.path, t.in)))
	}
	if len(t.out) > 0 {
		parts = append(parts, "removed "+list(s.all("", t.path, t.out)))
	}
	if len(parts) > 0 {
		return strings.Join(parts, ", ")
	}
	switch {
	case t.before == nil:
		return s.value(t.path, t.after)
	case t.after == nil:
		return s.value(t.path, t.before)
	}
	return fmt.Sprintf("from %s to %s", s.value(t.path, t.before), s.value(t.path, t.after))
}

// all names values that stand in an array, each with its noun.
func (s *speaker) all(noun, path string, values []any) []string {
	var names []string
	for _, v := range values {
		id, ok := v.(string)
		if !ok {
			names = append(names, s.value(path, v))
			continue
		}
		if w, ok := special(id); ok {
			switch {
			case noun == "location" && id == "All":
				w = "everywhere"
			case noun == "app" && id == "All":
				w = "every app"
			case noun == "user" && id == "All":
				w = "every user"
			case noun == "user" && id == "None":
				w = "nobody"
			}
			names = append(names, w)
			continue
		}
		if w, ok := control(id); ok && noun == "" {
			names = append(names, w)
			continue
		}
		name := id
		if _, n, ok := s.find(strings.TrimSuffix(path, "[]"), id); ok {
			name = n
		} else if noun == "action" || noun == "client" {
			name = spaced(strings.TrimPrefix(id, "urn:user:"))
		}
		if noun != "" {
			name = noun + " " + name
		}
		names = append(names, name)
	}
	return names
}

// control says what a policy can demand.
func control(v string) (string, bool) {
	switch v {
	case "block":
		return "that access be blocked", true
	case "mfa":
		return "multifactor authentication", true
	case "compliantDevice":
		return "a compliant device", true
	case "domainJoinedDevice":
		return "a hybrid joined device", true
	case "approvedApplication":
		return "an approved app", true
	case "compliantApplication":
		return "an app protection policy", true
	case "passwordChange":
		return "a password change", true
	}
	return "", false
}

// location says what changed in a named location.
func (s *speaker) location(t turn) ([]clause, bool) {
	self := s.self()
	p, _ := catalog.Location(s.o)
	var cs []clause
	switch t.path {
	case "isTrusted":
		if t.after == true {
			return []clause{{text: self + " is now trusted", risk: High, effect: "Policies that spare trusted locations now spare it."}}, true
		}
		return []clause{{text: self + " is no longer trusted", risk: Medium, effect: "Policies that spare trusted locations no longer spare it."}}, true
	case "ipRanges[]", "countriesAndRegions[]":
		if len(t.in) > 0 {
			cs = append(cs, clause{text: fmt.Sprintf("%s now also covers %s", self, list(ranges(t.in))), risk: pickRisk(p.Trusted, High, Medium)})
		}
		if len(t.out) > 0 {
			cs = append(cs, clause{text: fmt.Sprintf("%s no longer covers %s", self, list(ranges(t.out))), risk: Medium})
		}
	case "includeUnknownCountriesAndRegions":
		cs = append(cs, clause{text: fmt.Sprintf("%s %s addresses of unknown countries", self, pick(t.after == true, "now covers", "no longer covers")), risk: Medium})
	}
	return cs, len(cs) > 0
}

func ranges(values []any) []string {
	var names []string
	for _, v := range values {
		n, _ := v.(string)
		if n == "" {
			n = member(v, "cidrAddress")
		}
		names = append(names, n)
	}
	return names
}

func combinations(all []string) []string {
	var names []string
	for _, c := range all {
		var methods []string
		for m := range strings.SplitSeq(c, ",") {
			methods = append(methods, spaced(m))
		}
		names = append(names, strings.Join(methods, " with "))
	}
	return names
}

// strength says what changed in an authentication strength.
func (s *speaker) strength(t turn) ([]clause, bool) {
	if t.path != "allowedCombinations[]" {
		return nil, false
	}
	texts := func(values []any) []string {
		var all []string
		for _, v := range values {
			all = append(all, fmt.Sprint(v))
		}
		return combinations(all)
	}
	var cs []clause
	if len(t.in) > 0 {
		cs = append(cs, clause{text: fmt.Sprintf("%s now also accepts %s", s.self(), list(texts(t.in))), risk: High, effect: "Policies that demand this strength let more sign-ins pass."})
	}
	if len(t.out) > 0 {
		cs = append(cs, clause{text: fmt.Sprintf("%s no longer accepts %s", s.self(), list(texts(t.out))), risk: Medium})
	}
	return cs, len(cs) > 0
}

// methods reports whether the object is about sign-in methods: a method's configuration or their policy.
func (s *speaker) methods() bool {
	if s.r == nil {
		return false
	}
	_, config := s.r.Property("certificateUserBindings")
	_, policy := s.r.Property("registrationEnforcement")
	return config || policy
}

// strong reports whether a method resists phishing or at least theft of a message, so that allowing it
// loosens nothing.
func strong(id string) bool {
	switch strings.ToLower(id) {
	case "fido2", "x509certificate", "microsoftauthenticator", "windowshelloforbusiness":
		return true
	}
	return false
}

// method says what changed about sign-in methods.
func (s *speaker) method(t turn) ([]clause, bool) {
	id := string(s.c.Ref.ID)
	self := "sign-in method " + id
	if s.r.One {
		self = "the " + noun(s.c.Ref.Type)
	}
	weak := !s.r.One && !strong(id)
	one := func(risk Risk, effect, format string, args ...any) ([]clause, bool) {
		return []clause{{text: fmt.Sprintf(format, args...), risk: risk, effect: effect}}, true
	}
	last := t.path[strings.LastIndexByte(t.path, '.')+1:]
	switch {
	case t.path == "state" && t.after == "enabled":
		return one(pickRisk(weak, High, Medium), "People can now sign in with it, where a policy asks for no more.", "%s was enabled", self)
	case t.path == "state":
		return one(Medium, "Nobody can sign in with it any more.", "%s was %s", self, s.value(t.path, t.after))
	case strings.HasSuffix(t.path, "includeTargets[]"), strings.HasSuffix(t.path, "excludeTargets[]"):
		include := strings.HasSuffix(t.path, "includeTargets[]")
		var cs []clause
		for _, side := range []struct {
			values []any
			widens bool
			text   string
		}{
			{t.in, include, pick(include, "%s now includes %s", "%s now excludes %s", self, list(s.targets(t.path, t.in)))},
			{t.out, !include, pick(include, "%s no longer includes %s", "%s no longer excludes %s", self, list(s.targets(t.path, t.out)))},
		} {
			if len(side.values) > 0 {
				cs = append(cs, clause{text: side.text, risk: pickRisk(side.widens && weak, High, Medium)})
			}
		}
		return cs, len(cs) > 0
	}
	risk := Medium
	low := strings.ToLower(last)
	switch {
	case t.after == false && (strings.Contains(low, "enforced") || strings.Contains(low, "required") || low == "isusableonce"),
		t.after == true && (strings.Contains(low, "allowed") || strings.Contains(low, "usable") && low != "isusableonce" || low == "allowexternalidtouseemailotp"),
		last == "state" && t.before == "enabled",
		strings.HasPrefix(low, "maximumlifetime") || strings.HasPrefix(low, "defaultlifetime"),
		strings.HasPrefix(t.path, "authenticationModeConfiguration"):
		risk = High
	}
	return one(risk, "", "the setting %s of %s %s", strings.TrimSuffix(t.path, "[]"), self, s.became(t))
}

func (s *speaker) targets(path string, values []any) []string {
	var names []string
	for _, v := range values {
		id := member(v, "id")
		if w, ok := special(id); ok {
			names = append(names, w)
			continue
		}
		names = append(names, s.value(path+".id", id))
	}
	return names
}
