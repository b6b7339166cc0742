package emulator

import "strings"

// What tokens for an application say of people, as set at its service principal.
func claimKinds() []*family {
	const may = "Policy.ReadWrite.ApplicationConfiguration"
	f := &family{path: "claimsPolicy", under: "servicePrincipals", one: "claimsPolicy", types: []string{"customClaimsPolicy"}, beta: true, noun: "custom claims policy", verbs: "PUT PATCH", whole: true,
		access: access{"directory", []string{may}, []string{may}, nil}}
	check := func(o *object) error {
		if uri := text(o.p["audienceOverride"]); uri != "" && !strings.Contains(uri, ":") {
			return bad("audienceOverride must be an absolute URI.")
		}
		for _, claim := range subs(o.p["claims"]) {
			if claim["@odata.type"] == "#microsoft.graph.customClaim" && text(claim["name"]) == "" {
				return bad("A claim needs a name.")
			}
		}
		return nil
	}
	f.create = func(_ *call, o *object, _ checked) error { return check(o) }
	f.change = func(_ *call, _, d *object, _ checked) error { return check(d) }
	f.sample = func(t *Tenant, i int, _ *object) map[string]any {
		mail := props{"@odata.type": "#microsoft.graph.sourcedAttribute", "id": "mail", "source": "user", "isExtensionAttribute": false}
		return props{"audienceOverride": "https://app" + itoa(i) + ".contoso.example", "includeApplicationIdInIssuer": false, "includeBasicClaimSet": true, "claims": []any{
			props{"@odata.type": "#microsoft.graph.samlNameIdClaim", "nameIdFormat": "emailAddress", "configurations": []any{
				props{"attribute": mail, "condition": nil, "transformations": []any{}}}},
			props{"@odata.type": "#microsoft.graph.customClaim", "name": "mail", "namespace": nil, "samlAttributeNameFormat": "basic", "tokenFormat": list("saml", "jwt"), "configurations": []any{
				props{"attribute": nil, "condition": props{"@odata.type": "#microsoft.graph.customClaimCondition", "userType": "members", "memberOf": list(t.first(kGroup, 1)[0].id)},
					"transformations": []any{props{"@odata.type": "#microsoft.graph.toLowercaseTransformation", "input": props{"attribute": mail, "treatAsMultiValue": false}}}}}},
		}}
	}
	return []*family{f}
}
