package plan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

var (
	ctx    = context.Background()
	update = flag.Bool("update", false, "write the plans in testdata anew")
)

// show writes a plan the way the goldens hold it.
func show(p *plan.Plan) string {
	var b strings.Builder
	var ids []string
	for g, base := range p.IDs {
		ids = append(ids, fmt.Sprintf("id %s is %s\n", g, base))
	}
	for g, base := range p.Values {
		ids = append(ids, fmt.Sprintf("value %s is %s\n", g, base))
	}
	slices.Sort(ids)
	b.WriteString(strings.Join(ids, ""))
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%d %s %s", s.Number, s.Action, s.Ref)
		if s.OfBase {
			b.WriteString(" of base")
		}
		if s.Link != nil {
			fmt.Fprintf(&b, " %s %s", s.Link.Rel, s.Link.To)
		}
		if s.Replaces != nil {
			fmt.Fprintf(&b, " instead of %s", *s.Replaces)
		}
		if len(s.Needs) > 0 {
			fmt.Fprintf(&b, " after %v", s.Needs)
		}
		b.WriteString("\n")
		for _, side := range []struct {
			word string
			set  map[string]any
		}{{"set", s.Set}, {"was", s.Was}, {"value", values(s.Values)}} {
			var paths []string
			for path := range side.set {
				paths = append(paths, path)
			}
			slices.Sort(paths)
			for _, path := range paths {
				v, err := entra.Text(side.set[path])
				if err != nil {
					panic(err)
				}
				fmt.Fprintf(&b, "\t%s %s %s\n", side.word, path, v)
			}
		}
	}
	for _, g := range p.Gaps {
		fmt.Fprintf(&b, "gap %s %s: %s\n", g.Ref, g.Field, g.Reason)
	}
	return b.String()
}

func values(of map[string]entra.ID) map[string]any {
	m := map[string]any{}
	for property, v := range of {
		m[property] = string(v)
	}
	return m
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			part := map[string]string{}
			for _, f := range a.Files {
				part[f.Name] = string(f.Data)
			}
			base, err := parse(part["both"] + part["base"])
			if err != nil {
				t.Fatal(err)
			}
			goal, err := parse(part["both"] + part["goal"])
			if err != nil {
				t.Fatal(err)
			}
			var q plan.Request
			if text := part["request"]; text != "" {
				d := json.NewDecoder(strings.NewReader(text))
				d.DisallowUnknownFields()
				if err := d.Decode(&q); err != nil {
					t.Fatal(err)
				}
			}
			p, err := plan.Make(ctx, base.tree(nil), goal.tree(nil), q)
			if err != nil {
				t.Fatal(err)
			}
			got := show(p)
			if *update {
				a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == "plan" })
				a.Files = append(a.Files, txtar.File{Name: "plan", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(part["plan"], got); d != "" {
				t.Error(d)
			}
			// The document reads back to the same bytes.
			data, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			q2, err := plan.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if again, _ := q2.Encode(); !bytes.Equal(again, data) {
				t.Error("decoding loses something")
			}
			checkPromise(t, p, base, goal, q)
		})
	}
}
