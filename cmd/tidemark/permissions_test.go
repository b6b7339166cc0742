package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A manifest names every permission that the consent list has, but for those that it says it lacks.
func TestManifest(t *testing.T) {
	doc := consent(captureSettings{})
	known := map[string]string{} // by ID
	for _, ids := range []map[string]string{permissionIDs, scopeIDs} {
		for name, id := range ids {
			if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(id) || known[id] != "" {
				t.Errorf("%s: %q is no ID, or that of %s", name, id, known[id])
			}
			known[id] = name
		}
	}
	for _, tt := range []struct {
		names []string
		ids   map[string]string
		kind  string
		least int
	}{{doc.Capture, permissionIDs, "Role", 10}, {doc.Restore, permissionIDs, "Role", 10}, {doc.Person, scopeIDs, "Scope", 1}} {
		names := tt.names
		text, unknown, err := manifest(names, tt.ids, tt.kind)
		if err != nil {
			t.Fatal(err)
		}
		var all []resourceAccess
		if err := json.Unmarshal(text, &all); err != nil || len(all) != 1 || all[0].Resource != graphID {
			t.Fatalf("%s, %v", text, err)
		}
		got := slices.Clone(unknown)
		for _, p := range all[0].Permissions {
			if p.Type != tt.kind {
				t.Errorf("%s is a %s", known[p.ID], p.Type)
			}
			got = append(got, known[p.ID])
		}
		slices.Sort(got)
		if !slices.Equal(got, names) || len(names) < tt.least {
			t.Errorf("of %v it names %v", names, got)
		}
		// The service gives no public ID for these.
		if left := slices.DeleteFunc(unknown, func(name string) bool {
			return name == "Policy.Read.AuthenticationMethod" || name == "VerifiedId-Profile.Read.All" || name == "Policy.Read.HybridAuthentication" || strings.HasPrefix(name, "AppCertTrustConfiguration.") || strings.HasPrefix(name, "ConfigurationMonitoring.")
		}); len(left) > 0 {
			t.Errorf("no ID is known for %v", left)
		}
	}
}
