package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidemark-backup/tidemark/internal/catalog"
)

func TestTypeDocs(t *testing.T) {
	docs := typeDocs()
	captured := 0
	for i, d := range docs {
		if i > 0 && docs[i-1].Type >= d.Type {
			t.Errorf("%s comes after %s", d.Type, docs[i-1].Type)
		}
		if d.Title == "" || d.List == "" || d.Version != "v1.0" && d.Version != "beta" || d.Links == nil || d.Properties == nil {
			t.Errorf("%s: something is missing: %+v", d.Type, d)
		}
		if !strings.HasPrefix(d.List, "/") {
			t.Errorf("%s: list %q is no path", d.Type, d.List)
		}
		if full := d.Restorable == "full"; full != (d.Reason == "") {
			t.Errorf("%s: %s, and the reason is %q", d.Type, d.Restorable, d.Reason)
		}
		r, ok := catalog.Lookup(d.Type)
		if ok != d.Captured {
			t.Errorf("%s: captured is %v, in the catalog is %v", d.Type, d.Captured, ok)
		}
		if !d.Captured {
			if d.Restorable != "no" {
				t.Errorf("%s is restorable without being captured", d.Type)
			}
			continue
		}
		captured++
		if (r.Can == 0) != (d.Restorable == "no") {
			t.Errorf("%s: %s, but what can be done is %d", d.Type, d.Restorable, r.Can)
		}
		for _, p := range d.Properties {
			if p.Secret && d.Restorable == "full" {
				t.Errorf("%s is full with the secret %s", d.Type, p.Name)
			}
			if p.Secret && p.Reason == "" {
				t.Errorf("%s.%s is secret without a reason", d.Type, p.Name)
			}
		}
	}
	if captured == 0 || captured == len(docs) {
		t.Fatalf("%d of %d types are captured", captured, len(docs))
	}
}

// The reasons by which a loss counts as none are the catalog's own words; one that it no longer uses is an
// oversight.
func TestDerivedReasonsOccur(t *testing.T) {
	for _, d := range derived {
		found := false
		for r := range catalog.All() {
			found = found || slices.ContainsFunc(r.Properties, func(p catalog.Property) bool { return !p.Omit && strings.HasPrefix(p.Reason, d) })
		}
		if !found {
			t.Errorf("no property's reason begins with %q", d)
		}
	}
}

func TestTypesFitTheScreen(t *testing.T) {
	for _, args := range [][]string{{"types"}, {"types", "--permissions"}} {
		var out bytes.Buffer
		if code := run(t.Context(), &env{out: &out, err: &out, getenv: func(string) string { return "" }}, args); code != 0 {
			t.Fatalf("%v: exit code %d:\n%s", args, code, out.String())
		}
		if out.Len() == 0 {
			t.Fatalf("%v prints nothing", args)
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
				t.Errorf("%v: wider than 80 columns: %s", args, line)
			}
		}
	}
}

func TestTypesAsData(t *testing.T) {
	var out, said bytes.Buffer
	if code := run(t.Context(), &env{out: &out, err: &said, getenv: func(string) string { return "" }}, []string{"types", "-o", "json"}); code != 0 {
		t.Fatalf("exit code %d: %s", code, said.String())
	}
	var docs []map[string]any
	if err := json.Unmarshal(out.Bytes(), &docs); err != nil || len(docs) == 0 {
		t.Fatalf("%d types, %v", len(docs), err)
	}
	for _, d := range docs {
		for _, key := range []string{"type", "title", "list", "version", "captured", "restorable", "reason", "links", "properties"} {
			if v, ok := d[key]; !ok || v == nil {
				t.Errorf("%v: no %s", d["type"], key)
			}
		}
	}
}

func TestConsent(t *testing.T) {
	doc := consent(captureSettings{})
	if len(doc.Types) == 0 || len(doc.Capture) == 0 || len(doc.Restore) == 0 {
		t.Fatalf("%+v", doc)
	}
	for _, p := range doc.Capture {
		if !reads(p) {
			t.Errorf("a capture would need %s, which writes", p)
		}
	}
	for _, n := range doc.Types {
		reading := doc.Capture
		if n.People {
			reading = doc.Person
		}
		for _, p := range n.Read {
			if !slices.Contains(reading, p) {
				t.Errorf("%s: %s is not in the list for capturing", n.Type, p)
			}
		}
		for _, p := range n.Write {
			if !n.People && !slices.Contains(doc.Restore, p) {
				t.Errorf("%s: %s is not in the list for restoring", n.Type, p)
			}
		}
	}
	less := consent(captureSettings{Exclude: []string{string(doc.Types[0].Type)}})
	if len(less.Types) != len(doc.Types)-1 {
		t.Errorf("without one type %d of %d are left", len(less.Types), len(doc.Types))
	}
}

func TestSpaced(t *testing.T) {
	for name, want := range map[string]string{"device": "Device", "accessPackageCatalog": "Access package catalog", "networkaccess.forwardingProfile": "Forwarding profile"} {
		if got := spaced(name); got != want {
			t.Errorf("spaced(%q) = %q, want %q", name, got, want)
		}
	}
}
