package emulator

import "slices"

// These say whom the tenant trusts to say who somebody is.

func certificateKinds() []*family {
	pki := access{"directory", []string{"PublicKeyInfrastructure.Read.All", "PublicKeyInfrastructure.ReadWrite.All"}, []string{"PublicKeyInfrastructure.ReadWrite.All"}, nil}
	const stores = "directory/publicKeyInfrastructure/certificateBasedAuthConfigurations"
	return []*family{{
		path: "certificateBasedAuthConfiguration", under: "organization", types: []string{"certificateBasedAuthConfiguration"}, noun: "certificate based authentication configuration", verbs: "POST DELETE",
		access: access{"directory", []string{"Organization.Read.All", "Organization.ReadWrite.All"}, []string{"Organization.ReadWrite.All"}, nil},
		create: func(c *call, o *object, _ checked) error {
			if len(liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"])))) > 0 {
				return bad("A certificate based authentication configuration exists already.")
			}
			all := subs(o.p["certificateAuthorities"])
			if len(all) == 0 {
				return bad("A certificate authority is required.")
			}
			for _, a := range all {
				if a["issuer"] != nil || a["issuerSki"] != nil {
					return bad("Property 'certificateAuthorities' holds read-only properties.")
				}
				a["issuer"], a["issuerSki"] = "CN=Sample", "00"
			}
			o.p["id"] = "29728ade-6ae4-4ee9-9103-412912537da5"
			return nil
		},
		sample: func(_ *Tenant, _ int, _ *object) map[string]any {
			return map[string]any{"id": "29728ade-6ae4-4ee9-9103-412912537da5", "certificateAuthorities": []any{map[string]any{"certificate": "TUlJQg==", "isRootAuthority": true,
				"certificateRevocationListUrl": "https://crl.example/root", "deltaCertificateRevocationListUrl": nil, "issuer": "CN=Sample", "issuerSki": "00"}}}
		},
	}, {
		path: stores, types: []string{"certificateBasedAuthPki"}, noun: "public key infrastructure", verbs: "POST PATCH DELETE", access: pki, full: true,
		create: func(c *call, o *object, _ checked) error {
			o.p["lastModifiedDateTime"], o.p["status"] = stamp(c.t.clock()), "succeeded"
			return nil
		},
		change: func(c *call, _, d *object, _ checked) error {
			d.p["lastModifiedDateTime"] = stamp(c.t.clock())
			return nil
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"displayName": "Trust store " + itoa(i), "status": "succeeded"}
		},
	}, {
		path: "certificateAuthorities", under: stores, types: []string{"certificateAuthorityDetail"}, noun: "certificate authority", verbs: "POST PATCH DELETE", access: pki, full: true,
		create: func(c *call, o *object, _ checked) error {
			o.p["thumbprint"], o.p["issuer"], o.p["issuerSubjectKeyIdentifier"] = "AA", "CN=Sample", "00"
			o.p["createdDateTime"], o.p["expirationDateTime"] = stamp(c.t.clock()), "2036-01-01T00:00:00Z"
			return nil
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"certificate": "TUlJQg==", "certificateAuthorityType": "root", "displayName": "Authority " + itoa(i), "certificateRevocationListUrl": "https://crl.example/" + itoa(i),
				"deltaCertificateRevocationListUrl": "https://crl.example/delta/" + itoa(i), "isIssuerHintEnabled": true, "issuer": "CN=Sample", "issuerSubjectKeyIdentifier": "00", "thumbprint": "AA",
				"createdDateTime": "2026-01-01T00:00:00Z", "expirationDateTime": "2036-01-01T00:00:00Z"}
		},
	}}
}

func federationKinds() []*family {
	domain := access{"directory", []string{"Domain.Read.All", "Domain.ReadWrite.All"}, []string{"Domain.ReadWrite.All"}, nil}
	provider := func(i int) map[string]any {
		return map[string]any{"displayName": "Provider " + itoa(i), "issuerUri": "https://idp.example/" + itoa(i), "metadataExchangeUri": "https://idp.example/mex", "passiveSignInUri": "https://idp.example/passive",
			"preferredAuthenticationProtocol": "wsFed", "signingCertificate": "TUlJQg=="}
	}
	return []*family{{
		path: "federatedIdentityCredentials", under: "applications", types: []string{"federatedIdentityCredential"}, noun: "federated identity credential", verbs: "POST PATCH DELETE",
		access: access{"directory", []string{"Application.Read.All", "Application.ReadWrite.All"}, []string{"Application.ReadWrite.All"}, nil},
		create: func(c *call, o *object, _ checked) error {
			have := liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"])))
			if len(have) >= expandMost {
				return bad("The number of federated identity credentials exceeds the limit of %d.", expandMost)
			}
			return checkCredential(o, have)
		},
		change: func(c *call, o, d *object, _ checked) error {
			return checkCredential(d, slices.DeleteFunc(liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"]))), func(x *object) bool { return x.id == o.id }))
		},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"name": "sample-" + itoa(i), "issuer": "https://token.example", "subject": "repo:sample:" + itoa(i), "audiences": list("api://AzureADTokenExchange"), "description": "Sample"}
		},
	}, {
		path: "federationConfiguration", under: "domains", types: []string{"internalDomainFederation"}, noun: "domain federation", verbs: "PATCH DELETE", access: domain, full: true, bare: true,
		sample: func(t *Tenant, i int, parent *object) map[string]any {
			parent.p["authenticationType"] = "Federated"
			p := provider(i)
			for name, v := range map[string]any{"activeSignInUri": "https://idp.example/active", "federatedIdpMfaBehavior": "rejectMfaByFederatedIdp", "isSignedAuthenticationRequestRequired": false,
				"nextSigningCertificate": "TUlJQw==", "passwordResetUri": "https://idp.example/reset", "promptLoginBehavior": "disabled", "signOutUri": "https://idp.example/out"} {
				p[name] = v
			}
			return p
		},
	}, {
		path: "directory/federationConfigurations/microsoft.graph.samlOrWsFedExternalDomainFederation", types: []string{"samlOrWsFedExternalDomainFederation"}, noun: "external domain federation", verbs: "PATCH DELETE", access: domain,
		sample: func(_ *Tenant, i int, _ *object) map[string]any { return provider(i) },
	}}
}

// checkCredential refuses a federated credential that another of the application stands for already.
func checkCredential(o *object, others []*object) error {
	if len(texts(o.p["audiences"])) != 1 {
		return bad("Property 'audiences' must hold exactly one audience.")
	}
	for _, x := range others {
		if x.p["name"] == o.p["name"] {
			return conflict("name")
		}
		if x.p["issuer"] == o.p["issuer"] && x.p["subject"] == o.p["subject"] {
			return conflict("subject")
		}
	}
	return nil
}
