package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/catalog"
)

// resources writes down every type as the catalog declares it.
func resources() string {
	var b strings.Builder
	b.WriteString("# Types\n\nWhat of a tenant is captured, what of that can be brought back, and why the rest cannot. It is made from the catalog\nby `TIDEMARK_UPDATE=1 go test ./cmd/tidemark -run TestResources`.\n")
	count := map[string]int{}
	for r := range catalog.All() {
		how, _ := restorable(r)
		count[how]++
	}
	fmt.Fprintf(&b, "\n%d types are captured: %d can be restored in full, %d in part, %d not.\n", count["full"]+count["partial"]+count["no"], count["full"], count["partial"], count["no"])
	b.WriteString("\n" + native(typeDocs()) + "\n")
	for r := range catalog.All() {
		d := typeDocOf(r)
		fmt.Fprintf(&b, "\n## %s\n\n`%s`, from `%s %s`. %s\n", d.Title, d.Type, d.Version, d.List, r.Doc)
		fmt.Fprintf(&b, "\n- Read with %s.\n", coded(r.Read))
		if d.People {
			b.WriteString("- Captured and restored only where a person signs in (`capture --person`, `restore.interactive`).\n")
		}
		if d.Unless != "" {
			fmt.Fprintf(&b, "- Captured only where `capture.include` names it: %s.\n", d.Unless)
		}
		if r.Unshown {
			b.WriteString("- Microsoft's reference does not show it, so a tenant may not have it.\n")
		}
		switch d.Restorable {
		case "full":
			fmt.Fprintf(&b, "- Restored in full, with %s.\n", coded(r.Write))
		case "partial":
			fmt.Fprintf(&b, "- Restored in part, with %s: %s.\n", coded(r.Write), d.Reason)
		default:
			fmt.Fprintf(&b, "- Not restored: %s.\n", d.Reason)
		}
		if d.Native {
			b.WriteString("- Microsoft's own recovery takes it back too, unless it was purged.\n")
		}
		for _, l := range r.Links {
			fmt.Fprintf(&b, "- Links: `%s`, to %s.\n", l.Rel, coded(l.To))
		}
		var refs []string
		for _, p := range r.Properties {
			if p.Ref != nil {
				refs = append(refs, fmt.Sprintf("`%s` (%s)", p.Name, coded(p.Ref)))
			}
		}
		slices.Sort(refs)
		if len(refs) > 0 {
			fmt.Fprintf(&b, "- Refers to others in %s.\n", strings.Join(refs, ", "))
		}
	}
	b.WriteString("\n## What is left out\n")
	for _, group := range leftOut {
		var types []string
		for line := range strings.Lines(strings.TrimSpace(group.types)) {
			name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if name != "" && !typeKnown(name) {
				types = append(types, "`"+name+"`")
			}
		}
		if len(types) > 0 {
			fmt.Fprintf(&b, "\n- %s: %s.\n", group.reason, strings.Join(types, ", "))
		}
	}
	return b.String()
}

func coded[T ~string](all []T) string {
	quoted := make([]string, len(all))
	for i, name := range all {
		quoted[i] = "`" + string(name) + "`"
	}
	return strings.Join(quoted, ", ")
}

// TestResources holds doc/resources.md against the catalog.
func TestResources(t *testing.T) {
	path := filepath.Join("..", "..", "doc", "resources.md")
	want := resources()
	if os.Getenv("TIDEMARK_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("doc/resources.md is not what the catalog says; TIDEMARK_UPDATE=1 makes it anew (-want +got):\n%.2000s", d)
	}
}

// What the catalog has is not left out.
func TestLeftOut(t *testing.T) {
	for _, group := range leftOut {
		for line := range strings.Lines(strings.TrimSpace(group.types)) {
			if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); typeKnown(name) {
				t.Errorf("%s is said to be left out, because %s, and the catalog has it", name, group.reason)
			}
		}
	}
}
