package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// The names of a tenant's extensions are asked for wherever an object is read, by a declaration of their own.
func TestWith(t *testing.T) {
	const name = "extension_" + x1 + "_costCenter"
	n := 0
	for r := range catalog.All() {
		with := r.With("displayName", name, "extension_x")
		asks := slices.Contains(with.Asked(), name)
		if asks != (r.Extended != "") || asks && r.Asked() == nil {
			t.Errorf("%s: extended %q, asks %v", r.Type, r.Extended, with.Asked())
		}
		if slices.Contains(r.Asked(), name) || r.Declaration() != with.Declaration() {
			t.Errorf("%s: the shared declaration changed", r.Type)
		}
		if !asks {
			continue
		}
		n++
		if !slices.IsSorted(with.Asked()) || len(with.Asked()) != len(r.Asked())+1 {
			t.Errorf("%s: %v", r.Type, with.Asked())
		}
		for _, c := range []catalog.Call{with.Listing(""), with.Fetch("x"), with.Locate("", nil)} {
			if !strings.Contains(c.Query.Get("$select"), name) {
				t.Errorf("%s: %v", r.Type, c)
			}
		}
		if p, ok := r.Property(name); !ok || p.Write != catalog.Both {
			t.Errorf("%s: %+v", r.Type, p)
		}
	}
	if n == 0 {
		t.Error("no type has extensions")
	}
	o := entra.Object{Ref: entra.Ref{Type: catalog.UserType, ID: "u"}, Body: `{"displayName":"Ann","` + name + `":"1"}`}
	if got := catalog.Named(o); !slices.Equal(got, []string{name}) {
		t.Errorf("named: %v", got)
	}
}

func TestRenamePath(t *testing.T) {
	ids := map[entra.ID]entra.ID{g1: g2}
	x2 := strings.ReplaceAll(g2, "-", "")
	for path, want := range map[string]string{
		"extension_" + x1 + "_a": "extension_" + x2 + "_a", "extension_" + x2 + "_a": "extension_" + x2 + "_a",
		"displayName": "displayName", "members[" + g1 + "]": "members[" + g1 + "]", "extension_" + x1: "extension_" + x1,
	} {
		if got := catalog.RenamePath(path, ids); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestDefiner(t *testing.T) {
	const name = "extension_" + x1 + "_costCenter"
	definition := `{"name":"` + name + `","targetObjects":["User","Device"]}`
	want := []catalog.Definition{{Name: name, Of: []entra.Type{"deletedUser", "user"}}}
	app, defines, more, err := catalog.Definer([]byte(`{"id":"i","appId":"` + g1 + `","extensionProperties":[` + definition + `]}`))
	if err != nil || app != g1 || more.Path != "" || cmp.Diff(want, defines) != "" {
		t.Errorf("%s %v %v %v", app, defines, more, err)
	}
	many := strings.Repeat(definition+",", catalog.MaxExpanded-1) + definition
	for _, item := range []string{`{"id":"i","appId":"` + g1 + `"}`, `{"id":"i","appId":"` + g1 + `","extensionProperties":[` + many + `]}`} {
		if _, defines, more, err := catalog.Definer([]byte(item)); err != nil || defines != nil || more.Path != "/applications/i/extensionProperties" {
			t.Errorf("%.60s: %v %v %v", item, defines, more, err)
		}
	}
	if _, _, _, err := catalog.Definer([]byte(`{"id":"i"}`)); err == nil {
		t.Error("an application without appId was taken")
	}
	if d, err := catalog.Define([]byte(definition)); err != nil || cmp.Diff(want[0], d) != "" {
		t.Errorf("%v %v", d, err)
	}
	if app, short, ok := catalog.Extension(name); !ok || app != g1 || short != "costCenter" {
		t.Errorf("%s %s %v", app, short, ok)
	}
}
