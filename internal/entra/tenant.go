// Package entra names the things a Microsoft Entra tenant is made of: tenants, objects, links and the
// canonical form of an object's properties.
//
// It promises that equal content has equal bytes: a body is canonical JSON, so two bodies are the same
// exactly when their versions are. It refuses JSON that has no single meaning: duplicate member names,
// names that differ only in case, invalid UTF-8, lone surrogates, text after the value, and anything
// nested deeper than 64 levels. It knows no type, no wire and no disk.
package entra

// A TenantID is the directory ID of a tenant, a GUID in lower case.
type TenantID string

// A Cloud is a national deployment of the service; the empty Cloud is the global one.
type Cloud string

// A Tenant is one Microsoft Entra directory.
type Tenant struct {
	ID    TenantID
	Name  string // as its administrators call it in the configuration
	Cloud Cloud
}
