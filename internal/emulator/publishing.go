package emulator

import "maps"

// This is how applications inside a network are reached from outside.

// publish refuses to publish an application without its addresses, and completes what is published.
// Source: Microsoft Graph documentation, onPremisesPublishing.
func publish(app *object) error {
	p := maps.Clone(sub(app.p["onPremisesPublishing"]))
	if p["applicationType"] == nil && (text(p["externalUrl"]) == "" || text(p["internalUrl"]) == "") {
		return bad("An application is published with an internalUrl and an externalUrl.")
	}
	for _, name := range []string{"verifiedCustomDomainKeyCredential", "verifiedCustomDomainPasswordCredential"} {
		delete(p, name) // never shown again
	}
	p["isOnPremPublishingEnabled"] = true
	for name, v := range published() {
		if p[name] == nil {
			p[name] = v
		}
	}
	app.p["onPremisesPublishing"] = p
	return nil
}

// published is what holds of a published application where nothing else is said.
func published() props {
	return props{"applicationServerTimeout": "Default", "externalAuthenticationType": "aadPreAuthentication", "isBackendCertificateValidationEnabled": true, "isHttpOnlyCookieEnabled": false,
		"isPersistentCookieEnabled": false, "isSecureCookieEnabled": true, "isTranslateHostHeaderEnabled": true, "isTranslateLinksInBodyEnabled": false}
}

// seedPublished publishes some applications: with single sign-on, without a sign-in before, and one that is no site.
func (t *Tenant) seedPublished() {
	for i, app := range t.first(kApp, samples) {
		d := app.clone()
		p := published()
		switch i {
		case 0:
			p["internalUrl"], p["externalUrl"] = "https://payroll.corp.example/", "https://payroll-contoso.msappproxy.example/"
			p["singleSignOnSettings"] = props{"singleSignOnMode": "onPremisesKerberos", "kerberosSignOnSettings": props{"kerberosServicePrincipalName": "HTTP/payroll.corp.example", "kerberosSignOnMappingAttributeType": "userPrincipalName"}}
		case 1:
			p["internalUrl"], p["externalUrl"], p["externalAuthenticationType"], p["applicationServerTimeout"] = "http://news.corp.example/", "https://news.contoso.example/", "passthru", "Long"
			p["verifiedCustomDomainCertificatesMetadata"] = props{"thumbprint": "0A1B2C", "subjectName": "*.contoso.example", "issuerName": "CN=Authority", "issueDate": stamp(t.clock()), "expiryDate": stamp(t.clock())}
		default:
			p["applicationType"], p["isAccessibleViaZTNAClient"], p["isDnsResolutionEnabled"] = "nonwebapp", true, false
		}
		p["isOnPremPublishingEnabled"] = true
		d.p["onPremisesPublishing"] = p
		t.put(d, nil)
	}
}
