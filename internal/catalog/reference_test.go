package catalog_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// An ID before and after what it names was made anew, and what stands for each of them in names of directory extensions.
const (
	wasID, isID   = "11111111-2222-4333-8444-555555555555", "99999999-8888-4777-8666-555555555555"
	wasHex, isHex = "11111111222243338444555555555555", "99999999888847778666555555555555"
)

// holding returns an object that holds a value at a path: members after a dot, elements after "[]". {id} and {hex} in
// both are the ID, with and without its dashes.
func holding(t *testing.T, kind entra.Type, path, text string) entra.Object {
	t.Helper()
	value := any(with(text))
	names := strings.Split(with(path), ".")
	for i := len(names) - 1; i >= 0; i-- {
		name, element := strings.CutSuffix(names[i], "[]")
		if element {
			value = []any{value}
		}
		value = map[string]any{name: value}
	}
	body, err := entra.Encode(value.(map[string]any))
	if err != nil {
		t.Fatal(err)
	}
	return entra.Object{Ref: entra.Ref{Type: kind, ID: "x"}, Body: body}
}

func with(text string) string {
	return strings.NewReplacer("{id}", wasID, "{hex}", wasHex).Replace(text)
}

// found returns what the references in an object that hold the ID can lead to, and whether one of them is at the path.
func found(o entra.Object, path string) (types []entra.Type, at bool) {
	for _, f := range catalog.Refs(o) {
		if f.ID == wasID || strings.Contains(string(f.ID), wasHex) {
			types, at = append(types, f.Types...), at || f.Path == path
		}
	}
	return types, at
}

// rewritten reports whether the object names the new ID after what it names was made anew, and the old one no more.
func rewritten(o entra.Object) (string, bool) {
	body := string(catalog.Rename(o, map[entra.ID]entra.ID{wasID: isID}).Body)
	old, now := strings.Contains(body, wasID) || strings.Contains(body, wasHex), strings.Contains(body, isID) || strings.Contains(body, isHex)
	return body, now && !old
}

// Every declared reference is found in what an object says, and names the new ID after what it names was made anew.
func TestEveryReferenceIsRewritten(t *testing.T) {
	n := 0
	for r := range catalog.All() {
		for _, p := range r.Properties {
			if p.Ref == nil || p.Omit {
				continue
			}
			o := holding(t, r.Type, p.Name, "{id}")
			if _, at := found(o, p.Name); !at {
				t.Errorf("%s: %s is declared and not found", r.Type, p.Name)
			}
			if body, ok := rewritten(o); !ok {
				t.Errorf("%s: %s is not rewritten: %s", r.Type, p.Name, body)
			}
			n++
		}
	}
	if n < 150 {
		t.Fatalf("only %d references", n)
	}
}

// TestEveryReference holds the catalog against testdata/references.txt, every property and relation of Microsoft Graph's
// identities that is documented to name another object. A line is a type, a path, and what that leads to: types of the
// catalog, or words for what is outside of it. A path is as in holding, and after "=" comes what stands there where that
// is not the ID alone. Then comes nothing, where the catalog finds the reference and a restore rewrites it, or
//
//	~ REASON        it is rewritten, and not looked for as a reference
//	= TYPE          it is kept as an object of that type, or by lying in one
//	= TYPE.PATH     it is kept there
//	- REASON        there is nothing to rewrite
func TestEveryReference(t *testing.T) {
	raw, err := os.ReadFile("testdata/references.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen, kinds := map[string]bool{}, map[string]int{}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) < 3 || len(fields) > 4 {
			t.Fatalf("not a row: %q", line)
		}
		kind, row := entra.Type(fields[0]), fields[0]+" "+fields[1]
		path, text, some := strings.Cut(fields[1], "=")
		if !some {
			text = "{id}"
		}
		if seen[row] {
			t.Errorf("%s is there twice", row)
		}
		seen[row] = true
		sign, why := "", ""
		if len(fields) == 4 {
			sign, why, _ = strings.Cut(fields[3], " ")
			if why == "" {
				t.Errorf("%s: %q gives no reason", row, fields[3])
			}
		}
		kinds[sign]++

		var to []entra.Type
		for _, name := range strings.Split(fields[2], ",") {
			if _, ok := catalog.Lookup(entra.Type(name)); ok {
				to = append(to, entra.Type(name))
			} else if sign == "" {
				t.Errorf("%s leads to %s, which is no type", row, name)
			}
		}
		r, ok := catalog.Lookup(kind)
		if !ok {
			if sign != "=" && sign != "-" {
				t.Errorf("%s: there is no such type", row)
			}
			r = &catalog.Resource{}
		}
		o := holding(t, kind, path, text)
		types, _ := found(o, "")
		if sign != "" { // whatever stands there
			more, _ := found(holding(t, kind, path, "{id}"), "")
			types = append(types, more...)
		}
		_, linked := r.Relation(strings.TrimSuffix(path, "[]"))
		if sign != "" && (linked || len(types) > 0) {
			t.Errorf("%s is in the catalog and needs no excuse", row)
		}
		switch sign {
		case "":
			leads(t, row, kind, path, text, to)
			if body, ok := rewritten(o); !ok && !linked {
				t.Errorf("%s is not rewritten: %s", row, body)
			}
		case "~":
			if body, ok := rewritten(o); !ok {
				t.Errorf("%s is not rewritten: %s", row, body)
			}
		case "=":
			name, at, deeper := strings.Cut(why, ".")
			in, ok := catalog.Lookup(entra.Type(name))
			switch {
			case !ok:
				t.Errorf("%s: there is no type %s", row, name)
			case !deeper && r.Type != "" && in.Type != r.Under && in.Under != r.Type:
				t.Errorf("%s: %s neither contains it nor lies in it", row, name)
			case deeper && to != nil:
				leads(t, row, in.Type, at, "{id}", to)
			case deeper:
				if _, ok := in.Property(at); !ok {
					t.Errorf("%s: %s has no %s", row, name, at)
				}
			}
		case "-":
		default:
			t.Errorf("%s: %q says neither where it is nor why it is not", row, fields[3])
		}
	}
	rows := 0
	for _, n := range kinds {
		rows += n
	}
	if rows < 250 || kinds[""] < 150 {
		t.Fatalf("only %d rows, %d of them references", rows, kinds[""])
	}
	t.Logf("%d rows: %v", rows, kinds)
}

// leads checks that what a property or a relation holds can be an object of each of some types.
func leads(t *testing.T, row string, kind entra.Type, path, text string, to []entra.Type) {
	t.Helper()
	r, ok := catalog.Lookup(kind)
	if !ok {
		return
	}
	var types []entra.Type
	if rel, linked := r.Relation(strings.TrimSuffix(path, "[]")); linked {
		types = rel.To
	} else {
		name := with(path)
		if p, ok := r.Property(name); ok {
			name = p.Name
		}
		at := false
		if types, at = found(holding(t, kind, path, text), name); !at {
			if types, at = found(holding(t, kind, path, text), r.Unit(name)); !at {
				t.Errorf("%s is not found", row)
				return
			}
		}
	}
	for _, want := range to {
		if !slices.Contains(types, want) {
			t.Errorf("%s leads to %v and not to %s", row, types, want)
		}
	}
}
