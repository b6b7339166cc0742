package catalog

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// This is what an application needs in order to act in a tenant by itself: a registration, a service principal that is on,
// permissions, and something to sign in with.

// ConsentingRoles are the directory roles of which a person needs one to give an application permissions that reach the
// directory, by their template IDs: Global Administrator and Privileged Role Administrator. Source: Microsoft Entra
// documentation, "Grant tenant-wide admin consent to an application".
var ConsentingRoles = []entra.ID{"62e90394-69f5-4237-9190-012177145e10", "e8611ab8-c189-46e8-94e1-60213ab1f814"}

// Invented returns an ID for what was never captured, of the form that the service gives them. The same words give the same
// one, and it is nobody else's.
func Invented(words ...string) entra.ID {
	sum := sha256.Sum256([]byte("tidemark " + strings.Join(words, " ")))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // RFC 9562: version 8, for what an application makes up
	h := hex.EncodeToString(sum[:16])
	return entra.ID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

func made(t entra.Type, id entra.ID, m map[string]any) (entra.Object, error) {
	body, err := entra.Encode(m)
	if err != nil {
		return entra.Object{}, fmt.Errorf("make up a %s: %w", t, err)
	}
	return entra.Object{Ref: entra.Ref{Type: t, ID: id}, Body: body}, nil
}

// Registration is an application of this tenant alone that nobody has captured, under an invented ID.
func Registration(appID, name string) (entra.Object, error) {
	return made(ApplicationType, Invented("application", appID), map[string]any{"appId": appID, "displayName": name, "signInAudience": "AzureADMyOrg"})
}

// Principal is the service principal of an application, under an invented ID.
func Principal(appID, name string) (entra.Object, error) {
	return made(ServicePrincipalType, Invented("service principal", appID), map[string]any{"appId": appID, "displayName": name, "accountEnabled": true,
		"servicePrincipalType": "Application", "tags": []any{"WindowsAzureActiveDirectoryIntegratedApp"}}) // with this tag portals show it
}

// On returns an object as it is where it has not been turned off: the opposite of what Contained does to switches.
func On(o entra.Object) (entra.Object, error) {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return o, nil
	}
	m := o.Body.Decode()
	for _, p := range r.Properties {
		switch {
		case p.Still && m[p.Name] == false:
			m[p.Name] = true
		case p.Name == "isDisabled" && m[p.Name] == true:
			m[p.Name] = false
		}
	}
	return made(o.Ref.Type, o.Ref.ID, m)
}

// Allowed is the consent by which a service principal holds an application permission of a resource, which is a service
// principal as well.
func Allowed(principal, resource entra.ID, role string) (entra.Object, error) {
	joined, err := hex.DecodeString(strings.ReplaceAll(string(principal)+role, "-", ""))
	if err != nil || len(joined) != 32 {
		return entra.Object{}, fmt.Errorf("permission %s for %s: they are no GUIDs", role, principal)
	}
	// The form of the service's own IDs, which it parses.
	return made(appRoleType, entra.Join(resource, entra.ID(base64.RawURLEncoding.EncodeToString(joined))),
		map[string]any{"principalId": string(principal), "resourceId": string(resource), "appRoleId": role, "principalType": "ServicePrincipal"})
}

// Permitted returns which permissions a service principal holds of those that a resource offers, by name.
func Permitted(assignments []entra.Object, resource entra.Object) (names []string) {
	offers, _ := Permissions(resource)
	for _, o := range assignments {
		a, ok := Assignment(o)
		if !ok || a.Resource != resource.Ref.ID {
			continue
		}
		for _, p := range offers {
			if p.ID == a.Role {
				names = append(names, p.Value)
			}
		}
	}
	return names
}

// A Federation says whose tokens an application is signed in with.
type Federation struct {
	Issuer    string   `json:"issuer"`
	Subject   string   `json:"subject"`
	Audiences []string `json:"audiences"`
}

// Trusts reports whether an object lets an application be signed in by a federation.
func (f Federation) Trusts(o entra.Object) bool {
	m := o.Body.Decode()
	return o.Ref.Type == federatedType && m["issuer"] == f.Issuer && m["subject"] == f.Subject
}

// In is the federation as an application has it.
func (f Federation) In(app entra.ID) (entra.Object, error) {
	var audiences []any
	for _, a := range f.Audiences {
		audiences = append(audiences, a)
	}
	id := Invented("federation", string(app), f.Issuer, f.Subject)
	return made(federatedType, entra.Join(app, id), map[string]any{"name": "tidemark-" + string(id[:8]), "issuer": f.Issuer, "subject": f.Subject, "audiences": audiences})
}

const federatedType entra.Type = "federatedIdentityCredential"

// SignsIn returns an application with the credentials that it has to have: those that it has now, of which is is the present
// object (no body where there is none), and one for each certificate in DER, which is told with it so that it can be registered
// again. With passwords it also keeps those that it had, and has one at least.
func SignsIn(o, is entra.Object, certificates [][]byte, passwords bool) (entra.Object, error) {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return o, nil
	}
	m, now := o.Body.Decode(), map[string]any{}
	if is.Body != "" {
		now = is.Body.Decode()
	}
	for _, p := range r.Properties {
		if p.Issue == "" {
			continue
		}
		had := list(m[p.Name])
		have := had
		if is.Body != "" {
			have = list(now[p.Name])
		}
		have = slices.Clone(have)
		switch {
		case p.Issue == Certificate:
			for _, der := range certificates {
				var err error
				if have, err = registered(have, had, der, is.Body != ""); err != nil {
					return o, fmt.Errorf("certificate for %s: %w", o.Ref, err)
				}
			}
		case passwords:
			for _, e := range had {
				if !slices.ContainsFunc(have, func(h any) bool { return member(h, p.Key) == member(e, p.Key) }) {
					have = append(have, e)
				}
			}
			if len(have) == 0 { // one that has ended: the new one lasts as long as is usual
				have = append(have, map[string]any{p.Key: string(Invented("password", string(o.Ref.ID))), "displayName": "Tidemark", "startDateTime": stamp(time.Unix(0, 0)), "endDateTime": stamp(time.Unix(0, 0))})
			}
		}
		if delete(m, p.Name); len(have) > 0 {
			m[p.Name] = have
		}
	}
	return made(o.Ref.Type, o.Ref.ID, m)
}

func member(e any, name string) any {
	m, _ := e.(map[string]any)
	return m[name]
}

// registered is a list of certificates with one of them in it: as it is, or told, as it was where that is known.
func registered(have, had []any, der []byte, present bool) ([]any, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	entry := map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": cert.Subject.String(), "keyId": string(Invented("certificate", Mark(der))),
		"customKeyIdentifier": Mark(der), "startDateTime": stamp(cert.NotBefore), "endDateTime": stamp(cert.NotAfter)}
	is := func(e any) bool {
		return member(e, "customKeyIdentifier") == Mark(der) && member(e, "usage") == "Verify"
	}
	i := slices.IndexFunc(have, is)
	if old := slices.IndexFunc(had, is); i < 0 && old >= 0 {
		entry, _ = had[old].(map[string]any)
	}
	if i >= 0 && present {
		return have, nil
	}
	if i >= 0 {
		entry, _ = have[i].(map[string]any)
	} else {
		i, have = len(have), append(have, nil)
	}
	entry = maps.Clone(entry)
	entry["key"] = base64.StdEncoding.EncodeToString(der)
	have[i] = entry
	return have, nil
}
