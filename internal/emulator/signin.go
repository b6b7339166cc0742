package emulator

import "slices"

// These are the policies that applications and service principals are given: how tokens are made, where people are
// sent to sign in, and what of credentials is allowed.

func signInPolicies() []*family {
	policy := func(path, typ, noun string, also ...string) *family {
		return &family{path: "policies/" + path, types: []string{typ}, noun: noun, verbs: "POST PATCH DELETE",
			access: access{"directory", []string{"Policy.Read.All"}, []string{"Policy.ReadWrite.ApplicationConfiguration"}, also}}
	}
	all := []*family{
		policy("tokenLifetimePolicies", "tokenLifetimePolicy", "token lifetime policy"),
		policy("tokenIssuancePolicies", "tokenIssuancePolicy", "token issuance policy"),
		policy("claimsMappingPolicies", "claimsMappingPolicy", "claims mapping policy"),
		policy("homeRealmDiscoveryPolicies", "homeRealmDiscoveryPolicy", "home realm discovery policy"),
		policy("activityBasedTimeoutPolicies", "activityBasedTimeoutPolicy", "activity based timeout policy"),
	}
	management := policy("appManagementPolicies", "appManagementPolicy", "app management policy")
	management.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"displayName": "App management policy " + itoa(i), "description": "Sample", "isEnabled": true, "restrictions": restrictions()}
	}
	management.create = func(_ *call, o *object, _ checked) error {
		if o.p["isEnabled"] == nil {
			o.p["isEnabled"] = false
		}
		return nil
	}
	for _, f := range all {
		f.create = func(_ *call, o *object, _ checked) error {
			if o.p["isOrganizationDefault"] == nil {
				o.p["isOrganizationDefault"] = false
			}
			return checkDefinition(o)
		}
		f.change = func(_ *call, _, d *object, _ checked) error { return checkDefinition(d) }
		f.sample = func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"displayName": title(f.noun) + " " + itoa(i), "description": "Sample", "isOrganizationDefault": false, "definition": list(`{"Sample":{"Version":` + itoa(i+1) + `}}`)}
		}
	}
	return append(all, management)
}

// checkDefinition refuses a policy whose definition is not one text of JSON.
func checkDefinition(o *object) error {
	texts := texts(o.p["definition"])
	if len(texts) != 1 {
		return bad("Property 'definition' must hold exactly one policy definition.")
	}
	if _, err := parseObject([]byte(texts[0])); err != nil {
		return bad("Property definition has an invalid value.")
	}
	return nil
}

func signInTies() []tie {
	write := []string{"Application.ReadWrite.All"}
	both, sp := []kindID{kApp, kSP}, []kindID{kSP}
	return slices.Concat([]tie{
		{from: both, name: "tokenLifetimePolicies", to: "policies/tokenLifetimePolicies", most: 1, write: write},
		{from: both, name: "tokenIssuancePolicies", to: "policies/tokenIssuancePolicies", most: 1, write: write},
		{from: sp, name: "claimsMappingPolicies", to: "policies/claimsMappingPolicies", most: 1, write: write},
		{from: both, name: "homeRealmDiscoveryPolicies", to: "policies/homeRealmDiscoveryPolicies", most: 1, write: write},
		{from: both, name: "appManagementPolicies", to: "policies/appManagementPolicies", most: 1, write: write},
	})
}
