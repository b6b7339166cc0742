package catalog_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

func TestWellFormed(t *testing.T) {
	n := 0
	var last entra.Type
	for r := range catalog.All() {
		n++
		bad := func(format string, args ...any) { t.Helper(); t.Errorf(string(r.Type)+": "+format, args...) }
		if r.Type <= last {
			bad("comes after %s", last)
		}
		last = r.Type
		if r.Title == "" || !strings.HasSuffix(r.Doc, ".") || r.Version == "" || len(r.Name) == 0 || len(r.Read) == 0 {
			bad("lacks a title, a sentence, a version, a name or a permission")
		}
		if (r.Can == 0) != (r.Refusal != "") || (r.Can == 0) != (len(r.Write) == 0) {
			bad("can do %v and says %q with permissions %v", r.Can, r.Refusal, r.Write)
		}
		if r.Can.Has(catalog.Create) && len(r.Match) == 0 {
			bad("can be created and not be recognised")
		}
		if r.Can.Has(catalog.Delete) && !r.Can.Has(catalog.Create) {
			bad("can be deleted and not be created")
		}
		if (r.Bin != "") != (r.Undelete != "") {
			bad("has a recycle bin and no way back, or the other way round")
		}
		if r.Bin != "" {
			if b, ok := catalog.Lookup(r.Bin); !ok || b.Live != r.Type || b.Can != 0 {
				bad("its bin is %v", b)
			}
		}
		if in := regexp.MustCompile(`\{(parent|holder)\}`); r.Under != "" && !(in.MatchString(r.List) && in.MatchString(r.Item)) && !strings.Contains(r.Filter, "{parent}") {
			bad("is contained and its paths are not")
		}
		if given, ok := catalog.Lookup(r.Given); ok && r.Under == "" && (given.Delta != "" || given.Under != "" || given.Given != "") {
			bad("waits for %s, which may itself wait", given.Type)
		}
		seen := map[string]bool{}
		for _, p := range r.Properties {
			if seen[p.Name] {
				bad("%s is declared twice", p.Name)
			}
			seen[p.Name] = true
			top := !strings.ContainsAny(p.Name, ".[") || strings.HasPrefix(p.Name, "@")
			if (p.Omit || p.Secret || p.Elements != "" || top && p.Write == catalog.Never) && p.Reason == "" {
				bad("%s gives no reason", p.Name)
			}
			if p.Safe != nil && p.Lift == "" || p.Elements != "" && (p.Key == "" || p.Elements != "remove") {
				bad("%s is declared by halves", p.Name)
			}
			if top && p.Must && r.Can.Has(catalog.Create) && p.Write != catalog.Both && p.Write != catalog.OnCreate {
				bad("%s must be there on creation and is written %s", p.Name, p.Write)
			}
			if top && !r.Can.Has(catalog.Update) && (p.Write == catalog.Both || p.Write == catalog.OnUpdate) && r.Can != 0 {
				bad("%s is written %s and the type is not", p.Name, p.Write)
			}
			if !top {
				if q, ok := r.Property(strings.FieldsFunc(p.Name, func(c rune) bool { return c == '.' || c == '[' })[0]); !ok || q.Name == p.Name {
					bad("%s refines what is not declared", p.Name)
				}
			}
		}
		for _, l := range r.Links {
			if len(l.To) == 0 || !strings.Contains(l.Path, "{id}") || l.Batch && !l.Many {
				bad("%s is declared by halves", l.Rel)
			}
		}
		if r.Judged && (r.Delta != "" || r.Stream || r.Under != "") {
			bad("it is read whole before each restore and is not small")
		}
		if r.Declaration() == "" || r.Select != (r.Asked() != nil) || !slices.IsSorted(r.Asked()) {
			bad("asks for %v", r.Asked())
		}
		for _, a := range r.Asked() {
			if p, ok := r.Property(a); a != "id" && (!ok || p.Omit && a != "licenseAssignmentStates") {
				bad("asks for %s", a)
			}
		}
	}
	if n < 27 {
		t.Fatalf("only %d declarations", n)
	}
}

func TestOrder(t *testing.T) {
	order := catalog.Order()
	at := map[entra.Type]int{}
	for i, ty := range order {
		at[ty] = i
	}
	n := 0
	for r := range catalog.All() {
		if _, ok := at[r.Type]; !ok {
			t.Errorf("%s is not in the order", r.Type)
		}
		before := []entra.Type{r.Under}
		for _, p := range r.Properties {
			before = append(before, p.Ref...)
		}
		for _, b := range before {
			if _, known := catalog.Lookup(b); known && b != r.Type {
				n++
				if at[b] >= at[r.Type] {
					t.Errorf("%s refers to %s, which comes after it", r.Type, b)
				}
			}
		}
	}
	if n == 0 || len(at) != len(order) || !slices.Equal(order, catalog.Order()) {
		t.Fatalf("%d references, order %v", n, order)
	}
}

func TestProperty(t *testing.T) {
	tests := []struct {
		typ        entra.Type
		path, want string
		write      catalog.Write
	}{
		{catalog.PolicyType, "conditions.users.excludeUsers[7f]", "conditions.users.excludeUsers", catalog.Both},
		{catalog.PolicyType, "conditions.users", "conditions", catalog.Both},
		{catalog.PolicyType, "grantControls.authenticationStrength.id", "grantControls.authenticationStrength.id", catalog.Both},
		{catalog.PolicyType, "modifiedDateTime", "modifiedDateTime", catalog.Never},
		{catalog.UserType, "extension_0123_badge", "extension_0123_badge", catalog.Both},
		{catalog.UserType, "assignedLicenses[x].disabledPlans", "assignedLicenses[].disabledPlans", catalog.ByAction},
		{catalog.ApplicationType, "requiredResourceAccess[a.b/c].resourceAppId", "requiredResourceAccess[].resourceAppId", catalog.Both},
		{catalog.LocationType, "@odata.type", "@odata.type", catalog.OnCreate},
		{catalog.UserType, "nothing", "", catalog.Never},
		{catalog.UserType, "displayNames", "", catalog.Never},
	}
	for _, tt := range tests {
		r, _ := catalog.Lookup(tt.typ)
		p, ok := r.Property(tt.path)
		if p.Name != tt.want || p.Write != tt.write || ok != (tt.want != "") {
			t.Errorf("%s: Property(%q) = %q, %s, %t; want %q, %s", tt.typ, tt.path, p.Name, p.Write, ok, tt.want, tt.write)
		}
	}
	r, _ := catalog.Lookup(catalog.PolicyType)
	for path, want := range map[string]string{"conditions.users.excludeUsers[x]": "conditions", "state": "state", "a[b.c]": "a", "@odata.type": "@odata.type"} {
		if got := r.Unit(path); got != want {
			t.Errorf("Unit(%q) = %q, want %q", path, got, want)
		}
	}
}
