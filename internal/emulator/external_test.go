package emulator_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func TestExternalIdentities(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	find := func(path, name string) string {
		t.Helper()
		items, _, _ := c.all("/v1.0" + path)
		for _, o := range items {
			if o["displayName"] == name {
				return path + "/" + o["id"].(string)
			}
		}
		t.Fatalf("%s has no %s", path, name)
		return ""
	}
	const providers, attributes, extensions = "/identity/identityProviders", "/identity/userFlowAttributes", "/identity/customAuthenticationExtensions"
	builtIn, google, connector := find(providers, "Microsoft Account"), find(providers, "Google"), find("/identity/apiConnectors", "Connector 0")
	social := `{"@odata.type":"#microsoft.graph.socialIdentityProvider"`
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"provider without a secret", "POST", providers, social + `,"displayName":"F","identityProviderType":"Facebook","clientId":"f"}`, 400},
		{"provider of no type", "POST", providers, `{"displayName":"F"}`, 400},
		{"provider", "POST", providers, social + `,"displayName":"F","identityProviderType":"Facebook","clientId":"f","clientSecret":"s3cret"}`, 201},
		{"provider renamed without its type", "PATCH", google, `{"displayName":"G"}`, 400},
		{"provider renamed", "PATCH", google, social + `,"displayName":"G"}`, 204},
		{"mask in the place of a secret", "PATCH", google, social + `,"clientSecret":"****"}`, 400},
		{"another type of provider", "PATCH", google, social + `,"identityProviderType":"Facebook"}`, 400},
		{"built-in provider deleted", "DELETE", builtIn, ``, 400},
		{"mask in the place of a password", "PATCH", connector, `{"authenticationConfiguration":{"@odata.type":"#microsoft.graph.basicAuthentication","username":"u","password":"****"}}`, 400},
		{"attribute without a description", "POST", attributes, `{"displayName":"Shoe","dataType":"string"}`, 400},
		{"attribute", "POST", attributes, `{"displayName":"Shoe","description":"Size","dataType":"int64"}`, 201},
		{"attribute of a taken name", "POST", attributes, `{"displayName":"Shoe","description":"Size","dataType":"int64"}`, 400},
		{"attribute renamed", "PATCH", find(attributes, "Hobby1"), `{"displayName":"Pastime"}`, 400},
		{"built-in attribute changed", "PATCH", find(attributes, "City"), `{"description":"Town"}`, 400},
		{"built-in attribute deleted", "DELETE", find(attributes, "City"), ``, 400},
		{"extension changed without its type", "PATCH", find(extensions, "Extension 0"), `{"description":"x"}`, 400},
		{"extension without a way to prove itself", "POST", extensions, `{"@odata.type":"#microsoft.graph.onTokenIssuanceStartCustomExtension","displayName":"x"}`, 400},
		{"flow made a listener's", "PATCH", find("/identity/authenticationEventListeners", "Listener 0"), `{"@odata.type":"#microsoft.graph.onTokenIssuanceStartListener","authenticationEventsFlowId":"x"}`, 400},
		{"guest flow of another kind", "POST", "/identity/b2xUserFlows", `{"id":"Partners","userFlowType":"signIn","userFlowTypeVersion":1}`, 400},
		{"guest flow", "POST", "/identity/b2xUserFlows", `{"id":"Partners","userFlowType":"signUpOrSignIn","userFlowTypeVersion":1}`, 201},
		{"guest flow of a taken name", "POST", "/identity/b2xUserFlows", `{"id":"Partners","userFlowType":"signUpOrSignIn","userFlowTypeVersion":1}`, 400},
		{"guest flow by its name", "GET", "/identity/b2xUserFlows/B2X_1_Partners", ``, 200},
		{"guest flow changed", "PATCH", "/identity/b2xUserFlows/B2X_1_Partners", `{}`, 405},
		{"provider of a guest flow", "POST", "/identity/b2xUserFlows/B2X_1_Partners/userFlowIdentityProviders/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0` + google + `"}`, 204},
		{"active relationship changed", "PATCH", find("/tenantRelationships/delegatedAdminRelationships", "Customer 0"), `{"displayName":"x"}`, 400},
	} {
		if r := c.do(tc.method, "/v1.0"+tc.path, tc.body); r.status != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, r.status, tc.status, r.raw)
		}
	}
	for _, path := range []string{providers, google, "/identity/apiConnectors", connector} {
		r := c.do("GET", "/v1.0"+path, "")
		if s := r.raw; r.status != 200 || strings.Contains(s, "s3cret") || !strings.Contains(s, `"****"`) {
			t.Errorf("%s: %d %s", path, r.status, s)
		}
	}
}
