package emulator_test

import (
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// The library of the platform's own maker logs in, by secret and by
// certificate.
func TestAzidentityLogsIn(t *testing.T) {
	at := start(t, emulator.Options{})
	app := at.CaptureApp()
	c := newClient(t, at, app)
	o := azcore.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: at.URL()}, Transport: c.http}
	secret, err := azidentity.NewClientSecretCredential(at.ID(), app.ClientID, app.Secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	certs, key, err := azidentity.ParseCertificates(app.CertificatePEM, nil)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := azidentity.NewClientCertificateCredential(at.ID(), app.ClientID, certs, key, &azidentity.ClientCertificateCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, cred := range map[string]azcore.TokenCredential{"secret": secret, "certificate": certificate} {
		token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}, EnableCAE: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c2 := *c
		c2.token = token.Token
		if r := c2.do("GET", "/v1.0/users", ""); r.status != 200 {
			t.Errorf("%s: %d", name, r.status)
		}
		at.Revoke()
		if r := c2.do("GET", "/v1.0/users", ""); r.status != 401 || !strings.Contains(r.header.Get("WWW-Authenticate"), "insufficient_claims") {
			t.Errorf("%s: revoked: %d %s", name, r.status, r.header.Get("WWW-Authenticate"))
		}
	}
}
