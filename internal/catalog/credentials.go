package catalog

import (
	"crypto/sha1" //nolint:gosec // the service names certificates by it
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// CredentialType is what the log calls credentials that a restore replaced: the ID is that of the object that has
// it, joined with the credential's own. No snapshot holds objects of it.
const CredentialType entra.Type = "credential"

// A Credential is an element of an object by which whoever knows its secret acts as the object.
type Credential struct {
	Property    string    // that holds it
	Key         entra.ID  // tells it from the others
	Name        string    // as people see it; "" where it has none
	Began, Ends time.Time // as the service says; zero where it does not
	Certificate bool      // the service has the public half of a pair of keys; else a password
	Mark        string    // what tells a certificate from another: see [Mark]; "" where it has none
	Fixed       string    // why no new one can be made in its place; "" where one can
	Public      []byte    // the certificate itself in DER, where it is told: then it can be registered again
}

// Credentials returns the credentials of an object, by property and key. It knows only what the service gives out:
// never a secret.
func Credentials(o entra.Object) (all []Credential) {
	r, ok := Lookup(o.Ref.Type)
	if !ok {
		return nil
	}
	body := o.Body.Decode()
	signing := map[any]bool{}
	for _, p := range r.Properties {
		for _, e := range list(body[p.Name]) {
			if m, _ := e.(map[string]any); p.Issue == Certificate && m["usage"] == "Sign" && m["customKeyIdentifier"] != nil {
				signing[m["customKeyIdentifier"]] = true
			}
		}
	}
	for _, p := range r.Properties {
		if p.Issue == "" {
			continue
		}
		for _, e := range list(body[p.Name]) {
			m, _ := e.(map[string]any)
			c := Credential{Property: p.Name, Key: entra.ID(text(m, p.Key)), Name: text(m, "displayName"), Certificate: p.Issue == Certificate, Mark: text(m, "customKeyIdentifier")}
			c.Began, _ = time.Parse(time.RFC3339Nano, text(m, "startDateTime")) // zero where there is none
			c.Ends, _ = time.Parse(time.RFC3339Nano, text(m, "endDateTime"))
			if told, err := base64.StdEncoding.DecodeString(text(m, "key")); err == nil && c.Certificate && len(told) > 0 {
				c.Public = told
			}
			switch {
			case m["usage"] == "Sign" || signing[m["customKeyIdentifier"]]:
				c.Fixed = "it signs tokens, and the service itself holds the private key: make a new signing certificate in the portal and give its public half to who relies on it"
			case c.Certificate && m["usage"] != "Verify":
				c.Fixed = "its private key decrypts what the service sends, and whoever holds it still does: upload the same certificate again"
			case c.Certificate && m["type"] != "AsymmetricX509Cert":
				c.Fixed = "it is no certificate: make a new key by hand"
			}
			all = append(all, c)
		}
	}
	return all
}

// Issue returns the call that gives an object a new credential in the place of c, under its name, until ends. was is
// the object's present body, decoded. certificate is the new certificate in DER, nil for a password. The new one has
// an ID of its own.
// Source: Microsoft Graph documentation, "application: addPassword"; certificates are sent with those that are
// there, which need no key again, because addKey wants a proof by one that is held.
func (r *Resource) Issue(id entra.ID, c Credential, was map[string]any, began, ends time.Time, certificate []byte) (Call, error) {
	m := map[string]any{"startDateTime": stamp(began), "endDateTime": stamp(ends)}
	if c.Name != "" {
		m["displayName"] = c.Name
	}
	if c.Certificate != (certificate != nil) || c.Fixed != "" {
		return Call{}, fmt.Errorf("issuing a credential of a %s: %s cannot be made so", r.Type, c.Property)
	}
	if !c.Certificate {
		return r.call("POST", r.at(id)+"/addPassword", map[string]any{"passwordCredential": m})
	}
	maps.Copy(m, map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(certificate), "customKeyIdentifier": Mark(certificate)})
	return r.call("PATCH", r.at(id), map[string]any{c.Property: append(slices.Clone(list(was[c.Property])), m)})
}

// Issued reads the answer to the call that Issue returns for a password: the credential's ID and its secret, which
// the service never shows again. It reports false, and says no more, where the answer does not hold both.
func Issued(answer []byte) (key entra.ID, secret string, ok bool) {
	m, err := entra.Decode(answer)
	if err != nil {
		return "", "", false
	}
	key, secret = entra.ID(text(m, "keyId")), text(m, "secretText")
	return key, secret, key != "" && secret != ""
}

// Mark returns what a certificate in DER is told by: its SHA-1 thumbprint in base64.
func Mark(certificate []byte) string {
	sum := sha1.Sum(certificate) //nolint:gosec // it names, and protects nothing
	return base64.StdEncoding.EncodeToString(sum[:])
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Without returns the elements of a credential's property without those of the given IDs.
func Without(property any, keys ...entra.ID) []any {
	return slices.DeleteFunc(slices.Clone(list(property)), func(e any) bool {
		m, _ := e.(map[string]any)
		return slices.Contains(keys, entra.ID(text(m, "keyId")))
	})
}
