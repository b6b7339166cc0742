package catalog

import (
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Home returns the domain that an object has its address under, and which property says so. It reports false for what has no
// address.
func Home(o entra.Object) (property string, domain entra.Ref, ok bool) {
	r, _ := Lookup(o.Ref.Type)
	if r == nil {
		return "", entra.Ref{}, false
	}
	for _, p := range r.Properties {
		v, _ := o.Body.Get(p.Name)
		address, _ := v.(string)
		if i := strings.LastIndexByte(address, '@'); p.Home && i >= 0 {
			return p.Name, entra.Ref{Type: DomainType, ID: entra.ID(strings.ToLower(address[i+1:]))}, true
		}
	}
	return "", entra.Ref{}, false
}

// Verified reports whether a domain is proven to be the tenant's, so that addresses can be under it.
func Verified(domain entra.Object) bool {
	v, _ := domain.Body.Get("isVerified")
	return v == true
}

// Initial reports whether a domain is the one that the tenant was made with, which it cannot give away.
func Initial(domain entra.Object) bool {
	v, _ := domain.Body.Get("isInitial")
	return v == true
}
