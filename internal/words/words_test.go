package words_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/words"
)

var update = flag.Bool("update", false, "rewrite the sentences in testdata")

// A book names what stands in the files' sections.
type book map[entra.Ref]entra.Object

func (b book) Name(r entra.Ref) (string, bool) {
	o, ok := b[r]
	return catalog.Name(o), ok
}

func (b book) Find(id entra.ID, types []entra.Type, by string) (entra.Ref, string, bool) {
	for r, o := range b {
		if !slices.Contains(types, r.Type) {
			continue
		}
		if by == "" && r.ID == id {
			return r, catalog.Name(o), true
		}
		if v, _ := o.Body.Get(by); by != "" && v == string(id) {
			return r, catalog.Name(o), true
		}
	}
	return entra.Ref{}, "", false
}

func (b book) Object(r entra.Ref) (entra.Object, bool) {
	o, ok := b[r]
	return o, ok
}

// read makes objects and links of lines "TYPE/ID {body}" and "TYPE/ID relation TYPE/ID".
func read(t *testing.T, name, data string) ([]entra.Object, []entra.Link) {
	t.Helper()
	var objects []entra.Object
	var links []entra.Link
	for line := range strings.Lines(data) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		first, rest, _ := strings.Cut(line, " ")
		ref, err := entra.ParseRef(first)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if strings.HasPrefix(rest, "{") {
			body, err := entra.Canonical([]byte(rest))
			if err != nil {
				t.Fatalf("%s: %s: %v", name, ref, err)
			}
			objects = append(objects, entra.Object{Ref: ref, Body: body})
			continue
		}
		rel, end, _ := strings.Cut(rest, " ")
		to, err := entra.ParseRef(end)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		links = append(links, entra.Link{From: ref, Rel: rel, To: to})
	}
	return objects, links
}

// A section of a golden file starts with a line "-- NAME --"; what stands before the first is a comment.
type section struct{ name, text string }

func sections(t *testing.T, file string) []section {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := []section{{}}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			all = append(all, section{name: strings.TrimSuffix(name, " --\n")})
			continue
		}
		all[len(all)-1].text += line
	}
	return all
}

// said reads one golden file and says what changed.
func said(t *testing.T, file string) ([]section, []words.Said) {
	t.Helper()
	all := sections(t, file)
	text := func(name string) string {
		for _, s := range all {
			if s.name == name {
				return s.text
			}
		}
		return ""
	}
	names := book{}
	side := func(name string, coverage snapshot.Coverage) snapshot.Tree {
		objects, links := read(t, file, text("both"))
		o, l := read(t, file, text(name))
		objects, links = append(objects, o...), append(links, l...)
		for _, o := range objects {
			names[o.Ref] = o
		}
		s := &snapshot.Snapshot{}
		for r := range catalog.All() {
			s.Parts = append(s.Parts, snapshot.Part{Type: r.Type, Coverage: coverage})
			for _, rel := range r.Links {
				s.Parts = append(s.Parts, snapshot.Part{Type: r.Type, Relation: rel.Rel, Coverage: coverage})
			}
		}
		slices.SortFunc(s.Parts, snapshot.Part.Compare)
		return snapshot.NewMemory(s, nil, objects, links)
	}
	coverage := snapshot.Complete
	if strings.Contains(text(""), "incomplete") {
		coverage = snapshot.Partial
	}
	var changes []diff.Change
	for c, err := range diff.Trees(t.Context(), side("before", coverage), side("after", coverage), diff.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	return all, words.All(changes, names)
}

func TestSentences(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			parts, all := said(t, file)
			if len(all) == 0 {
				t.Fatal("nothing changed")
			}
			if !slices.IsSortedFunc(all, words.Order) {
				t.Error("not in order")
			}
			var b strings.Builder
			for _, s := range all {
				fmt.Fprintf(&b, "%s: %s", s.Risk, s.Text)
				if s.Effect != "" {
					fmt.Fprintf(&b, " Effect: %s", s.Effect)
				}
				if s.Plain > 0 {
					fmt.Fprint(&b, " (no wording yet)")
				}
				b.WriteByte('\n')
			}
			last := len(parts) - 1
			if parts[last].name != "words" {
				parts, last = append(parts, section{name: "words"}), last+1
			}
			if *update {
				parts[last].text = b.String()
				var out strings.Builder
				for i, s := range parts {
					if i > 0 {
						fmt.Fprintf(&out, "-- %s --\n", s.name)
					}
					out.WriteString(s.text)
				}
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := gocmp.Diff(parts[last].text, b.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

// What an attacker does comes first, each as high risk; what else happened that day comes after it.
func TestAttackComesFirst(t *testing.T) {
	_, all := said(t, "testdata/attack.txtar")
	if len(all) < 8 {
		t.Fatalf("got %d changes", len(all))
	}
	for _, want := range []string{
		"Mail Sync was created with a client secret",
		"was granted the application permission RoleManagement.ReadWrite.Directory on Microsoft Graph",
		"added to enterprise application Payroll",
		"was made Global Administrator (whole tenant)",
		"now exempt from policy Require MFA",
		"named location Home was created",
		"domain evil.example was added and is federated",
		"sign-in method Sms was enabled",
	} {
		if !slices.ContainsFunc(all, func(s words.Said) bool {
			return s.Risk == words.High && strings.Contains(strings.ToLower(s.Text), strings.ToLower(want))
		}) {
			t.Errorf("nothing of high risk says %q", want)
		}
	}
}

func TestRiskIsAWord(t *testing.T) {
	for k := words.None; k <= words.High; k++ {
		text, err := k.MarshalText()
		var back words.Risk
		if err != nil || back.UnmarshalText(text) != nil || back != k {
			t.Errorf("%s comes back as %s", k, back)
		}
	}
	var k words.Risk
	if k.UnmarshalText([]byte("extreme")) == nil {
		t.Error("an unknown word was read")
	}
	if cmp.Compare(words.None, words.High) >= 0 {
		t.Error("risks do not rise")
	}
}

// Every property of every type can change in every way without a panic or an empty sentence, and without a
// dot in front of or behind another.
func TestEveryPropertyHasASentence(t *testing.T) {
	n := 0
	values := []any{nil, "text", true, false, entra.Number("5"), []any{"a"}, []any{map[string]any{"id": "a", "keyId": "a", "skuId": "a"}}, map[string]any{"a": "b"}}
	for r := range catalog.All() {
		for _, p := range r.Properties {
			path := p.Name
			if strings.Contains(path, "[]") {
				path = strings.ReplaceAll(path, "[]", "[x]")
			}
			for _, before := range values {
				for _, after := range values {
					ref := entra.Ref{Type: r.Type, ID: "1"}
					o := entra.Object{Ref: ref, Body: "{}"}
					c := diff.Change{Kind: diff.Changed, Ref: ref, Before: &o, After: &o, Fields: []diff.Field{{Path: path, Before: before, After: after}}}
					s := words.Say(c, book{})
					if s.Text == "" || strings.Contains(s.Text, "..") && !strings.Contains(s.Text, "...") || strings.Contains(s.Text, "%!") {
						t.Fatalf("%s %s: %q", r.Type, path, s.Text)
					}
					n++
				}
			}
		}
	}
	if n == 0 {
		t.Fatal("nothing was said")
	}
}

// The properties that guard the tenant all have a wording of their own.
func TestSecurityPropertiesHaveWords(t *testing.T) {
	n := 0
	for _, typ := range []entra.Type{catalog.PolicyType, catalog.LocationType, catalog.StrengthType, catalog.GroupType, catalog.RoleType, "authenticationMethodConfiguration", "identitySecurityDefaultsEnforcementPolicy", "domain"} {
		r, ok := catalog.Lookup(typ)
		if !ok {
			t.Fatalf("the catalog has no %s", typ)
		}
		for _, p := range r.Properties {
			if p.Omit || p.Write == catalog.Never && !p.Set || strings.Contains(p.Name, "[") || strings.HasPrefix(p.Name, "@") {
				continue
			}
			f := diff.Field{Path: p.Name, Before: "a", After: "b"}
			switch {
			case p.Set:
				f = diff.Field{Path: p.Name + "[a]", After: "a"}
			case p.Key != "":
				f = diff.Field{Path: p.Name + "[" + p.Key + "=a]", After: map[string]any{p.Key: "a"}}
			case p.Name == "conditions" || p.Name == "grantControls" || p.Name == "keyRestrictions" || p.Name == "rolePermissions":
				continue // taken apart
			}
			o := entra.Object{Ref: entra.Ref{Type: typ, ID: "1"}, Body: "{}"}
			s := words.Say(diff.Change{Kind: diff.Changed, Ref: o.Ref, Before: &o, After: &o, Fields: []diff.Field{f}}, book{})
			if n++; s.Plain > 0 {
				t.Logf("%s %s has no wording of its own: %s", typ, p.Name, s.Text)
				plain(t, typ, p.Name)
			}
		}
	}
	if n == 0 {
		t.Fatal("nothing was said")
	}
}

// plain fails for a property that should have a wording and is not in this list.
func plain(t *testing.T, typ entra.Type, name string) {
	t.Helper()
	switch typ {
	case catalog.PolicyType, "identitySecurityDefaultsEnforcementPolicy", "authenticationMethodConfiguration":
		t.Errorf("%s: %s has no wording of its own", typ, name)
	}
}

// A change of bytes says how many there are, and of what.
func TestBytes(t *testing.T) {
	ref := entra.Ref{Type: "brandingFavicon", ID: "o/fr-FR/brandingFavicon"}
	before := &entra.Object{Ref: ref, Body: `{"contentType":"image/png","data":"YWI="}`}
	after := &entra.Object{Ref: ref, Body: `{"contentType":"image/png","data":"YWJj"}`}
	got := words.Say(diff.Change{Kind: diff.Changed, Ref: ref, Before: before, After: after, Fields: diff.Bodies(nil, before.Body, after.Body)}, book{}).Text
	if want := "The property data of the sign-in icon of branding o/fr-FR changed from 2 bytes to 3 bytes."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
