package catalog_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// TestChores holds that every chore which something leads to is described, and that something leads to each that is.
func TestChores(t *testing.T) {
	led := map[string]bool{}
	for _, c := range catalog.Chores() {
		if _, twice := led[c.Name]; twice || c.Name == "" || c.Title == "" || c.Do == "" {
			t.Errorf("chore %+v is there twice, or not described", c)
		}
		led[c.Name] = false
	}
	leads := func(name, from string) {
		if _, ok := led[name]; !ok && name != "" {
			t.Errorf("%s leads to the chore %q, which is not described", from, name)
		}
		if name != "" {
			led[name] = true
		}
	}
	for r := range catalog.All() {
		leads(r.Chore, string(r.Type))
		if got := catalog.ByHand(r.Type, r.Type, "", ""); got != r.Chore {
			t.Errorf("%s: got %q", r.Type, got)
		}
		if got := catalog.ByHand(r.Type, "", "", "the name is taken"); got != "" {
			t.Errorf("%s that could be there leads to %q", r.Type, got)
		}
		for _, p := range r.Properties {
			leads(catalog.ByHand(r.Type, "", p.Name, p.Reason), string(r.Type)+"."+p.Name)
		}
	}
	for name, is := range led {
		if !is {
			t.Errorf("nothing leads to the chore %q", name)
		}
	}
	for _, tt := range []struct {
		of, missing entra.Type
		path, want  string
	}{
		{"user", "domain", "", "domains"},
		{"user", "", "accountEnabled", "passwords"},
		{"servicePrincipal", "servicePrincipal", "", "applications"},
		{"conditionalAccessPolicy", "servicePrincipal", "conditions.applications.includeApplications[a]", ""},
		{"user", "", "displayName", ""},
		{"application", "", "passwordCredentials[k1]", "secrets"},
		{"application", "", "keyCredentials", "certificates"},
		{"application", "", "createdDateTime, publisherDomain", ""},
		{"nothing", "", "", ""},
	} {
		if got := catalog.ByHand(tt.of, tt.missing, tt.path, "why"); got != tt.want {
			t.Errorf("%s lacks %s, %s: got %q, want %q", tt.of, tt.missing, tt.path, got, tt.want)
		}
	}
}
