// Package house tests the shape of the source tree: who may import whom, what the pure packages keep away
// from, and that only the catalog names a type.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
)

const module = "github.com/tidemark-backup/tidemark"

// floors lists the packages, ground floor first, each with what it may import. A package may import only
// from the floors below it, and only what it names.
var floors = []map[string]string{
	{"entra": "", "graph": "", "store": "", "emulator": "", "hostile": ""},
	{"catalog": "entra", "snapshot": "entra"},
	{"repository": "entra snapshot store", "diff": "catalog entra snapshot", "export": "entra snapshot"},
	{"index": "entra repository snapshot", "words": "catalog diff entra", "access": "catalog entra snapshot",
		"plan": "catalog diff entra snapshot", "merge": "catalog diff entra snapshot"},
	{"capture": "catalog entra graph index repository snapshot", "guard": "access catalog diff entra plan snapshot",
		"verify": "diff entra plan snapshot", "history": "catalog diff entra index repository snapshot"},
	{"apply": "catalog entra graph guard plan repository"},
	{"lab": "apply capture catalog emulator entra graph guard history index plan repository snapshot store verify"},
}

// pure packages do no I/O, start no goroutines, and read no clock. Of sync they may have a Pool, which only spares memory.
var pure = strings.Fields("entra catalog snapshot diff merge plan guard verify words access")

var impure = strings.Fields("os net net/http os/exec database/sql log log/slog time/tzdata")

// forbidden are the names that say nothing about what is inside.
var forbidden = strings.Fields("util utils helper helpers common misc base core manager service handler processor model models types impl")

func TestFloors(t *testing.T) {
	floor := map[string]int{}
	may := map[string][]string{}
	for i, f := range floors {
		for pkg, imports := range f {
			floor[pkg], may[pkg] = i, strings.Fields(imports)
		}
	}
	for pkg, imports := range may {
		for _, imp := range imports {
			if n, ok := floor[imp]; !ok || n >= floor[pkg] {
				t.Errorf("%s may not be allowed to import %s: it is not on a lower floor", pkg, imp)
			}
		}
	}
	seen := 0
	eachFile(t, func(name string, fset *token.FileSet, f *ast.File) {
		for part := range strings.SplitSeq(path.Dir(name), "/") {
			if slices.Contains(forbidden, part) {
				t.Errorf("%s: %q says nothing about what is inside", name, part)
			}
		}
		pkg := strings.Split(name, "/")[0]
		if _, ok := floor[pkg]; !ok {
			if pkg != "house" {
				t.Errorf("%s: package %s has no floor", name, pkg)
			}
			return
		}
		seen++
		for _, spec := range f.Imports {
			imp := strings.Trim(spec.Path.Value, `"`)
			if slices.Contains(pure, pkg) && slices.Contains(impure, imp) {
				t.Errorf("%s: %s is pure and imports %s", name, pkg, imp)
			}
			rest, ours := strings.CutPrefix(imp, module+"/internal/")
			if !ours {
				continue
			}
			if to := strings.Split(rest, "/")[0]; to != pkg && !slices.Contains(may[pkg], to) {
				t.Errorf("%s: %s may not import %s", name, pkg, to)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if p, ok := n.X.(*ast.Ident); ok && p.Name == "sync" && n.Sel.Name != "Pool" && slices.Contains(pure, pkg) {
					t.Errorf("%s: %s is pure and needs no sync.%s", fset.Position(n.Pos()), pkg, n.Sel.Name)
				}
			case *ast.GoStmt:
				if slices.Contains(pure, pkg) {
					t.Errorf("%s: %s is pure and starts a goroutine", fset.Position(n.Pos()), pkg)
				}
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s: no init functions", fset.Position(n.Pos()))
				}
			case *ast.CallExpr:
				if x, ok := n.Fun.(*ast.SelectorExpr); ok && x.Sel.Name == "Now" {
					if p, ok := x.X.(*ast.Ident); ok && p.Name == "time" {
						t.Errorf("%s: take the clock from the options", fset.Position(n.Pos()))
					}
				}
			}
			return true
		})
	})
	if seen == 0 {
		t.Fatal("no source files found")
	}
}

// TestOnlyCatalogNamesTypes holds the middle blind: a string that equals a type's name belongs to the
// catalog. The emulator is a service of its own and speaks the names of the wire.
func TestOnlyCatalogNamesTypes(t *testing.T) {
	names := map[string]bool{}
	for r := range catalog.All() {
		names[string(r.Type)] = true
	}
	if len(names) == 0 {
		t.Fatal("the catalog is empty")
	}
	// A type may share its name with an ordinary word or with a property of the wire.
	words := map[string]string{
		"user":         "an actor's kind, a passphrase's prompt",
		"group":        "a word",
		"application":  "a word",
		"domain":       "a word",
		"organization": "a word",
	}
	seen := 0
	eachFile(t, func(name string, fset *token.FileSet, f *ast.File) {
		switch strings.Split(name, "/")[0] {
		case "catalog", "emulator", "house":
			return
		}
		seen++
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if s, err := strconv.Unquote(lit.Value); err == nil && names[s] && words[s] == "" {
				t.Errorf("%s: only the catalog names the type %s", fset.Position(lit.Pos()), s)
			}
			return true
		})
	})
	if seen == 0 {
		t.Fatal("no source files found")
	}
}

// TestOnlyApplyWrites holds that no other package than apply turns a catalog's write into a request.
func TestOnlyApplyWrites(t *testing.T) {
	writes := strings.Fields("Create Update Remove Revive Bind Unbind BindMany Issue")
	seen := 0
	eachFile(t, func(name string, fset *token.FileSet, f *ast.File) {
		switch strings.Split(name, "/")[0] {
		case "apply", "catalog", "emulator", "house", "lab":
			return
		}
		seen++
		imports := slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool {
			return strings.Trim(s.Path.Value, `"`) == module+"/internal/graph"
		})
		if !imports {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if x, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(writes, x.Sel.Name) {
				t.Errorf("%s: only apply writes to a tenant", fset.Position(call.Pos()))
			}
			return true
		})
	})
	if seen == 0 {
		t.Fatal("no source files found")
	}
}

func eachFile(t *testing.T, do func(name string, fset *token.FileSet, f *ast.File)) {
	t.Helper()
	root := ".."
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if path.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, nil, 0)
		if err != nil {
			return err
		}
		do(filepath.ToSlash(rel), fset, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
