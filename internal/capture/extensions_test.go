package capture_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// named returns the names of extensions that a part knows of.
func named(s *snapshot.Snapshot, t entra.Type) (names []string) {
	p := s.Part(t, "")
	for _, name := range slices.Sorted(slices.Values(slices.Concat(p.Asked, p.Absent))) {
		if _, short, ok := catalog.Extension(name); ok {
			names = append(names, short)
		}
	}
	return names
}

// holders counts the objects of a type that hold a value of an extension.
func holders(t *testing.T, l *lab.Lab, s *snapshot.Snapshot, of entra.Type) (n int) {
	tree := l.Tree(s)
	for e, err := range tree.Entries(t.Context(), of) {
		if err != nil {
			t.Fatal(err)
		}
		o, err := tree.Object(t.Context(), e.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if len(catalog.Named(o)) > 0 {
			n++
		}
	}
	return n
}

func changed(t *testing.T, l *lab.Lab, a, b *snapshot.Snapshot) (n int) {
	for c, err := range diff.Trees(t.Context(), l.Tree(a), l.Tree(b), diff.Options{Types: []entra.Type{catalog.UserType}}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind == diff.Changed {
			n++
		}
	}
	return n
}

// Values of extensions are captured under the names that the tenant has for them. Names that could not be read make
// the values unknown, not gone; names that are gone make them gone.
func TestExtensionValues(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	first := l.Capture()
	if got := named(first, catalog.UserType); !slices.Equal(got, []string{"badges", "costCenter", "payGrade"}) {
		t.Errorf("people were asked for %v", got)
	}
	if got := named(first, catalog.GroupType); !slices.Equal(got, []string{"costCenter"}) {
		t.Errorf("groups were asked for %v", got)
	}
	people := holders(t, l, first, catalog.UserType)
	if people < 10 || holders(t, l, first, catalog.GroupType) == 0 {
		t.Errorf("%d people hold values", people)
	}

	for _, permission := range []string{"Directory.Read.All", "Application.Read.All", "Application.ReadWrite.All"} {
		l.Tenant.Deny(permission)
	}
	blind := l.Capture()
	if p := blind.Part(catalog.UserType, ""); named(blind, catalog.UserType) != nil || p.Coverage != snapshot.Complete || !strings.Contains(p.Reason, "directory extensions") {
		t.Errorf("without the permission: %v, %s %q", named(blind, catalog.UserType), p.Coverage, p.Reason)
	}
	if n := changed(t, l, first, blind); n > 0 {
		t.Errorf("%d people changed because a permission is missing", n)
	}
	for _, permission := range []string{"Directory.Read.All", "Application.Read.All", "Application.ReadWrite.All"} {
		l.Tenant.Grant(permission)
	}
	again := l.Capture()
	if n := changed(t, l, first, again) + changed(t, l, blind, again); n > 0 || holders(t, l, again, catalog.UserType) != people {
		t.Errorf("%d people changed after the permission came back", n)
	}

	// The one list of all definitions may not be there: the applications have them too.
	l.Tenant.Deny("Directory.Read.All")
	if s := l.Capture(); !slices.Equal(named(s, catalog.UserType), named(first, catalog.UserType)) {
		t.Errorf("from the applications: %v", named(s, catalog.UserType))
	}

	app := l.Tenant.Find("applications", "Survey")
	for _, path := range []string{"/v1.0/applications/" + app, "/v1.0/directory/deletedItems/" + app} {
		if status, answer := l.Tenant.Do("DELETE", path, nil); status != 204 {
			t.Fatalf("%d %v", status, answer)
		}
	}
	for _, with := range []bool{false, true} {
		if with {
			l.Tenant.Grant("Directory.Read.All")
		}
		s := l.Capture()
		if !slices.Equal(named(s, catalog.UserType), named(first, catalog.UserType)) {
			t.Errorf("the names that are gone for good: %v", named(s, catalog.UserType))
		}
		if n := changed(t, l, first, s); n != people {
			t.Errorf("%d people lost values, want %d", n, people)
		}
	}
}

// A tenant with hundreds of extensions has them captured all the same: what no address can hold goes inside a batch.
func TestManyExtensions(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	app := l.Tenant.Find("applications", "Survey")
	last := ""
	for i := range 180 {
		status, answer := l.Tenant.Do("POST", "/v1.0/applications/"+app+"/extensionProperties", map[string]any{"name": "anotherAttribute" + string(rune('a'+i%26)) + strings.Repeat("x", i/26), "dataType": "String", "targetObjects": []string{"User"}})
		if status != 201 {
			t.Fatalf("%d %v", status, answer)
		}
		last = answer["name"].(string)
	}
	user := l.Tenant.Find("users", "Ada Admin")
	if status, answer := l.Tenant.Do("PATCH", "/v1.0/users/"+user, map[string]any{last: "here"}); status != 204 {
		t.Fatalf("%d %v", status, answer)
	}
	l.Wire.Top = 20
	s := l.Capture()
	if p := s.Part(catalog.UserType, ""); p.Coverage != snapshot.Complete || p.Objects != 60 || len(named(s, catalog.UserType)) != 183 {
		t.Errorf("%s %q: %d people, %d names", p.Coverage, p.Reason, p.Objects, len(named(s, catalog.UserType)))
	}
	o, err := l.Tree(s).Object(t.Context(), entra.Ref{Type: catalog.UserType, ID: entra.ID(user)})
	if v, _ := o.Body.Get(last); err != nil || v != "here" {
		t.Errorf("%v %v", v, err)
	}
}

// A name that has gone between its reading and the listing costs the values, not the part.
func TestStaleExtensionName(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "_costCenter", "_costCenterThatWas")
		return pass()
	}
	s := l.Capture()
	for _, of := range []entra.Type{catalog.UserType, catalog.GroupType} {
		if p := s.Part(of, ""); p.Coverage != snapshot.Complete || named(s, of) != nil || !strings.Contains(p.Reason, "not known") {
			t.Errorf("%s: %s %q %v", of, p.Coverage, p.Reason, named(s, of))
		}
	}
}
