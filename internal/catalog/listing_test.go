package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
)

// FuzzLocate: a name is one literal of the filter, whatever it holds, and says nothing else.
func FuzzLocate(f *testing.F) {
	for _, s := range []string{"Finance", "O'Brien", "''", "'", "x' or 'a' eq 'a", "a\\'b", "\u2019", "", "%27", "line\nbreak"} {
		f.Add(s)
	}
	group, ok := catalog.Lookup(catalog.GroupType)
	if !ok {
		f.Fatal("no groups")
	}
	f.Fuzz(func(t *testing.T, name string) {
		filter := group.Locate("", map[string]any{"displayName": name}).Query.Get("$filter")
		if name == "" {
			if filter != "" {
				t.Fatalf("no name is asked for by %s", filter)
			}
			return
		}
		literal, begins := strings.CutPrefix(filter, "displayName eq '")
		literal, ends := strings.CutSuffix(literal, "'")
		if !begins || !ends || strings.Contains(strings.ReplaceAll(literal, "''", ""), "'") || strings.ReplaceAll(literal, "''", "'") != name {
			t.Fatalf("%q is asked for by %s", name, filter)
		}
	})
}

// What $expand brings is not asked for a second time, by its name.
func TestAskedAndExpanded(t *testing.T) {
	r, ok := catalog.Lookup("configurationMonitor")
	if !ok {
		t.Fatal("no monitors")
	}
	for _, c := range []catalog.Call{r.Listing(""), r.Fetch("m")} {
		asked := strings.Split(c.Query.Get("$select"), ",")
		if c.Query.Get("$expand") != "baseline" || slices.Contains(asked, "baseline") || !slices.Contains(asked, "parameters") {
			t.Errorf("%s asks for %v", c.Path, c.Query)
		}
	}
}

// A list that the service gives for a scope only is asked for with it; one object is not.
func TestAListOfAScope(t *testing.T) {
	r, ok := catalog.Lookup("unifiedRoleManagementAlertConfiguration")
	if !ok {
		t.Fatal("no alerts")
	}
	if got := r.Listing("").Query.Get("$filter"); got != "scopeId eq '/' and scopeType eq 'DirectoryRole'" {
		t.Errorf("listed with %q", got)
	}
	if got := r.Fetch("x").Query.Get("$filter"); got != "" {
		t.Errorf("one is read with %q", got)
	}
}
