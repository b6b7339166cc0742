package apply_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// change alters one property of an object, beginning with a random one.
func (v *vandal) change(r *catalog.Resource, o entra.Object, random *rand.Rand) bool {
	v.t.Helper()
	all := v.changeable(r, o)
	for _, i := range random.Perm(len(all)) {
		if _, changed := v.alter(r, o, all[i]); changed {
			return true
		}
	}
	return false
}

// changeAll alters each property that can be written of some object of a type, and returns how many that were, and those
// that none of them could be altered in.
func (v *vandal) changeAll(r *catalog.Resource, random *rand.Rand) (n int, left []string) {
	v.t.Helper()
	const most = 8 // objects that a property is tried in
	tries, done := map[string]int{}, map[string]bool{}
	all, has := v.objects(r), map[string]bool{} // a value in some object
	for _, o := range all {
		for name := range o.Body.Decode() {
			has[name] = true
		}
	}
	for _, i := range random.Perm(len(all)) {
		o := all[i]
		was := o.Body.Decode()
		for _, p := range v.changeable(r, o) {
			if done[p.Name] || tries[p.Name] >= most || has[p.Name] && was[p.Name] == nil {
				continue
			}
			tries[p.Name]++
			if o, done[p.Name] = v.alter(r, o, p); done[p.Name] {
				n++
			}
		}
	}
	for name, altered := range done {
		if !altered {
			left = append(left, name)
		}
	}
	slices.Sort(left)
	return n, left
}

// changeable are the properties of an object that can be written, sorted.
func (v *vandal) changeable(r *catalog.Resource, o entra.Object) []catalog.Property {
	if catalog.Frozen(o) != "" {
		return nil
	}
	var all []catalog.Property
	for _, p := range r.Properties {
		switch {
		case r.Binary != "" && p.Name != "data":
		case p.Name == "mail": // the service keeps every address that someone once had
		case untouched[string(r.Type)+"."+p.Name] != "":
		case p.Write != catalog.Both && p.Write != catalog.OnUpdate || p.Secret || p.Omit || strings.ContainsAny(p.Name, ".[@"):
		default:
			all = append(all, p)
		}
	}
	if r.Open {
		for _, name := range slices.Sorted(maps.Keys(o.Body.Decode())) {
			if p, declared := r.Property(name); declared && p.Write == catalog.Both {
				all = append(all, catalog.Property{Name: name, Write: catalog.Both})
			}
		}
	}
	return all
}

// alter changes a property of an object to anything else that the tenant takes, and returns the object as it is then.
func (v *vandal) alter(r *catalog.Resource, o entra.Object, p catalog.Property) (is entra.Object, changed bool) {
	v.t.Helper()
	was := o.Body.Decode()
	for _, other := range v.others(r, was, p) {
		calls, err := r.Update(o.Ref.ID, other, was)
		if err == nil && len(calls) > 0 && !slices.ContainsFunc(calls, func(c catalog.Call) bool { return !v.do(c) }) {
			if is := v.now(r, o); is.Body != o.Body {
				return is, true
			}
		}
	}
	return o, false
}

// together are what properties are changed to for which no other value can be guessed, or not alone; {group} is some group.
var together = map[string]map[string]any{
	"administrativeUnit.membershipRule":                          {"membershipType": "Dynamic", "membershipRule": rule, "membershipRuleProcessingState": "On"},
	"administrativeUnit.membershipRuleProcessingState":           {"membershipType": "Dynamic", "membershipRule": rule, "membershipRuleProcessingState": "On"},
	"administrativeUnit.membershipType":                          {"membershipType": "Dynamic", "membershipRule": rule, "membershipRuleProcessingState": "On"},
	"administrativeUnit.visibility":                              {"visibility": "HiddenMembership"},
	"application.groupMembershipClaims":                          {"groupMembershipClaims": "SecurityGroup"},
	"application.signInAudience":                                 {"signInAudience": "AzureADMultipleOrgs"},
	"authenticationMethodConfiguration.defaultLifetimeInMinutes": {"defaultLifetimeInMinutes": entra.Number("90")},
	"authenticationMethodConfiguration.excludeTargets":           {"excludeTargets": []any{map[string]any{"targetType": "group", "id": "{group}"}}},
	"authenticationMethodConfiguration.maximumLifetimeInMinutes": {"maximumLifetimeInMinutes": entra.Number("600")},
	"authorizationPolicy.guestUserRoleId":                        {"guestUserRoleId": "2af84b1e-32c8-42b7-82bc-daa82404023b"},
	"customCalloutExtension.authenticationConfiguration":         {"authenticationConfiguration": map[string]any{"@odata.type": "#microsoft.graph.azureAdTokenAuthentication", "resourceId": "api://other.example"}},
	"customTaskExtension.authenticationConfiguration":            {"authenticationConfiguration": map[string]any{"@odata.type": "#microsoft.graph.azureAdTokenAuthentication", "resourceId": "api://other.example"}},
	"customSecurityAttributeDefinition.status":                   {"status": "Deprecated"},
	"group.classification":                                       {"classification": "Low"},
	"group.membershipRuleProcessingState":                        {"membershipRuleProcessingState": "Paused"},
	"group.theme":                                                {"theme": "Teal"},
	"group.visibility":                                           {"visibility": "Private"},
	"groupLifecyclePolicy.managedGroupTypes":                     {"managedGroupTypes": "None"},
	"deviceLink.deviceVendor":                                    {"deviceVendor": "versa"},
	"hardwareOathTokenAuthenticationMethodDevice.assignedTo":     {"assignedTo": map[string]any{}},
	"lifecycleManagementSettings.quarantineConfiguration": {"quarantineConfiguration": map[string]any{"matchMode": "any", "conditions": []any{
		map[string]any{"@odata.type": "#microsoft.graph.identityGovernance.countBasedQuarantineCondition", "threshold": entra.Number("7")}}}},
	"servicePrincipal.preferredSingleSignOnMode": {"preferredSingleSignOnMode": "saml"},
	"tlsInspectionRule.priority":                 {"priority": entra.Number("150")},
	"user.ageGroup":                              {"ageGroup": "Adult"},
	"user.consentProvidedForMinor":               {"consentProvidedForMinor": "Granted"},
	"user.passwordPolicies":                      {"passwordPolicies": "DisablePasswordExpiration, DisableStrongPassword"},
	"user.usageLocation":                         {"usageLocation": "NL"},
	"user.userPrincipalName":                     {"userPrincipalName": "somebody.else@contoso.example"},
	"user.userType":                              {"userType": "Guest"},
}

const rule = `(user.country -eq "NL")`

// untouched are properties that can be written, and not in this tenant.
var untouched = map[string]string{
	"application.tokenEncryptionKeyId":                                         "names one of the application's own certificates",
	"authenticationCombinationConfiguration.appliesToCombinations":             "each strength has one combination of its kind",
	"authenticationMethodConfiguration.appId":                                  "of external methods, of which there is none",
	"authenticationMethodConfiguration.displayName":                            "of external methods, of which there is none",
	"authenticationMethodConfiguration.openIdConnectSetting":                   "of external methods, of which there is none",
	"authenticationMethodConfiguration.pinLength":                              "of QR codes, which this tenant does not know",
	"authenticationMethodConfiguration.standardQRCodeLifetimeInDays":           "of QR codes, which this tenant does not know",
	"crossTenantAccessPolicyConfigurationDefault.automaticUserConsentSettings": "is for partners",
	"customAuthenticationExtension.behaviorOnError":                            "has one kind and no members",
	"deviceRegistrationPolicy.azureADRegistration":                             "is fixed while devices are managed",
	"identityProviderBase.developerId":                                         "of Apple, which the tenant does not have",
	"identityProviderBase.keyId":                                               "of Apple, which the tenant does not have",
	"identityProviderBase.serviceId":                                           "of Apple, which the tenant does not have",
	"servicePrincipal.homepage":                                                "follows from the application",
	"servicePrincipal.logoutUrl":                                               "follows from the application",
	"servicePrincipal.replyUrls":                                               "follows from the application",
	"servicePrincipal.tokenEncryptionKeyId":                                    "names one of its own certificates",
	"user.employeeHireDate":                                                    "may be refused to applications, and is here",
}

// others are what an object could be changed to in a property.
func (v *vandal) others(r *catalog.Resource, was map[string]any, p catalog.Property) (all []map[string]any) {
	v.t.Helper()
	if m, ok := together[string(r.Type)+"."+p.Name]; ok {
		text, err := entra.Encode(m)
		if err != nil {
			v.t.Fatal(err)
		}
		groups, _ := catalog.Lookup(catalog.GroupType)
		text = entra.Body(strings.ReplaceAll(string(text), "{group}", string(v.objects(groups)[0].Ref.ID)))
		all = append(all, text.Decode())
	}
	add := func(values ...any) {
		for _, value := range values {
			all = append(all, map[string]any{p.Name: value})
		}
	}
	if r.Binary != "" {
		add(base64.StdEncoding.EncodeToString([]byte("others")))
		return all
	}
	add(others(was[p.Name], p.Must)...)
	peers := map[string]any{} // what it is in others of the type
	for _, o := range v.objects(r) {
		if value, has := o.Body.Get(p.Name); has && len(peers) < 5 {
			text, err := entra.Text(value)
			if err != nil {
				v.t.Fatal(err)
			}
			peers[text] = value
		}
	}
	for _, text := range slices.Sorted(maps.Keys(peers)) {
		add(peers[text])
	}
	kind, _ := was["@odata.type"].(string)
	if kind = strings.TrimPrefix(kind, "#microsoft.graph."); kind == "" {
		kind = string(r.Type)
	}
	for _, value := range v.lab.Tenant.Values(kind, p.Name, was[p.Name]) {
		raw, err := json.Marshal(map[string]any{"": plain(value)})
		if err != nil {
			v.t.Fatal(err)
		}
		m, err := entra.Decode(raw)
		if err != nil {
			v.t.Fatal(err)
		}
		add(m[""])
	}
	return all[:min(len(all), 40)]
}

// plain is a value with numbers as the standard library has them.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			out[name] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case entra.Number:
		return json.Number(v)
	}
	return v
}

// others returns values that a value could be changed to.
func others(v any, must bool) (all []any) {
	switch v := v.(type) {
	case string:
		if m, err := entra.Decode([]byte(v)); err == nil { // JSON in text
			for _, other := range others(m, must) {
				if text, err := entra.Text(other); err == nil {
					all = append(all, text)
				}
			}
		}
		all = append(all, v+"x")
		for _, pair := range [][2]string{{"enabled", "disabled"}, {"disabled", "enabled"}, {"default", "enabled"}, {"afterDateTime", "noExpiration"}} { // states
			if v == pair[0] {
				all = append(all, pair[1])
			}
		}
	case bool:
		all = append(all, !v)
	case entra.Number:
		for _, n := range []entra.Number{"3", "4"} {
			if n != v {
				all = append(all, n)
			}
		}
	case []any:
		if !must && len(v) > 0 {
			all = append(all, v[:len(v)/2])
		}
		for i, e := range v {
			if m, ok := e.(map[string]any); ok { // what an element says
				for _, other := range others(m, false) {
					changed := slices.Clone(v)
					changed[i] = other
					all = append(all, changed)
				}
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			for _, other := range others(v[name], false) {
				if name != "@odata.type" {
					changed := maps.Clone(v)
					changed[name] = other
					all = append(all, changed)
				}
			}
		}
	}
	return all
}
