package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const small = `tenants:
  - name: contoso
    id: 8F1C0C1E-0000-4000-8000-000000000001
    repository: file:///var/lib/tidemark/contoso
`

func TestParseSettings(t *testing.T) {
	for name, text := range map[string]string{"small": small, "example": exampleConfig} {
		s, err := parseSettings([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := s.pick("")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.ID != "8f1c0c1e-0000-4000-8000-000000000001" || got.Graph != "https://graph.microsoft.com" || got.Index != "file" || got.limits() != defaultLimits {
			t.Errorf("%s: %+v", name, got)
		}
		if s.lines["tenants[0].repository"] == 0 {
			t.Errorf("%s: nobody knows where repository stands", name)
		}
	}
}

// A slash at the end of an address went into the scope of tokens and into references to objects.
func TestAddressesEndWithoutASlash(t *testing.T) {
	s, err := parseSettings([]byte(small + "    cloud: custom\n    graph: https://127.0.0.1:8443/\n    authority: https://127.0.0.1:8444//\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.pick("")
	if err != nil || got.Graph != "https://127.0.0.1:8443" || got.Authority != "https://127.0.0.1:8444" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseSettingsRefuses(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"no tenants", "tenants: []\n", "at least one"},
		{"a scalar for a list", "tenants: yes\n", "line 1: tenants: wrong kind of value"},
		{"an unknown key", small + "    repositry: x\n", `line 5: unknown key "repositry"; did you mean "repository"?`},
		{"an unknown key at the top", "tenant: []\n", `line 1: unknown key "tenant"; did you mean "tenants"?`},
		{"an unknown inner key", small + "    capture:\n      clientid: x\n", `line 6: unknown key "clientid"; did you mean "client_id"?`},
		{"a key far from any", small + "    zzzzzzzzzz: 1\n", `line 5: unknown key "zzzzzzzzzz"`},
		{"a key twice", small + "    cloud: global\n    cloud: global\n", `line 6: key "cloud" occurs twice`},
		{"a list for a scalar", small + "    cloud: [global]\n", "line 5: tenants[0].cloud: wrong kind of value"},
		{"no GUID", strings.Replace(small, "8F1C0C1E", "contoso", 1), "is not a tenant ID"},
		{"an unknown cloud", small + "    cloud: mars\n", `cloud: "mars" is not one of`},
		{"plain http", small + "    cloud: custom\n    graph: http://127.0.0.1\n    authority: https://127.0.0.1\n", "is not an https:// address"},
		{"endpoints of a known cloud", small + "    graph: https://127.0.0.1\n", "cloud: custom only"},
		{"a literal secret", small + "    keys: {identity: AGE-SECRET-KEY-1}\n", "keys.identity: write file:PATH"},
		{"a client secret unasked", small + "    capture: {client_id: x, client_secret: 'env:X'}\n", "allow_client_secret: true"},
		{"two ways to sign in", small + "    capture: {client_id: x, certificate: 'file:x', managed_identity: true}\n", "give one of"},
		{"no client", small + "    restore: {certificate: 'file:x'}\n", "restore.client_id is missing"},
		{"a person at two ways", small + "    restore: {client_id: x, certificate: 'file:x', interactive: true}\n", "give one of"},
		{"a person at none", small + "    restore: {interactive: true}\n", "restore.client_id is missing"},
		{"a person who captures", small + "    capture: {client_id: x, interactive: true}\n", "a capture never runs as a person"},
		{"an unknown type", small + "    capture: {exclude: [grup]}\n", `no type is called "grup"; did you mean "group"?`},
		{"a break-glass account without a type", small + "    guard: {break_glass: [anna]}\n", "guard.break_glass"},
		{"an unknown index", small + "    index: cloud\n", "neither file nor memory"},
		{"one name twice", small + strings.TrimPrefix(small, "tenants:\n"), `two tenants are named "contoso"`},
	}
	for _, c := range cases {
		_, err := parseSettings([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "AGE-SECRET-KEY") {
			t.Errorf("%s: the error repeats the secret", c.name)
		}
	}
}

func TestNearest(t *testing.T) {
	known := map[string]bool{"repository": true, "restore": true, "cloud": true}
	for word, want := range map[string]string{"repositry": "repository", "restor": "restore", "clod": "cloud", "wholly-different": ""} {
		if want != "" {
			want = `; did you mean "` + want + `"?`
		}
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// The distance is a metric.
func TestDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-c]{0,6}`)
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		if (distance(a, b) == 0) != (a == b) {
			t.Fatalf("distance(%q, %q) = %d", a, b, distance(a, b))
		}
		if distance(a, b) != distance(b, a) {
			t.Fatalf("distance(%q, %q) depends on the order", a, b)
		}
		if distance(a, c) > distance(a, b)+distance(b, c) {
			t.Fatalf("from %q by %q to %q is shorter than straight", a, b, c)
		}
	})
}

// A client ID is replaced where it stands, and nothing else is touched; where that cannot be done, nothing is.
func TestClientIDsAreReplacedWhereTheyStand(t *testing.T) {
	const old, now = "11111111-1111-1111-1111-111111111111", "44444444-4444-4444-8444-444444444444"
	docs := []clientDoc{{"capture.client_id", old, now}}
	for name, c := range map[string]struct {
		from, to string
		done     bool
	}{
		"as in the example": {exampleConfig, strings.Replace(exampleConfig, old, now, 1), true},
		"quoted, with a comment": {strings.Replace(exampleConfig, "client_id: "+old, "client_id: '"+old+"'  # mine", 1),
			strings.Replace(exampleConfig, "client_id: "+old, "client_id: '"+now+"'  # mine", 1), true},
		"named twice on a line": {strings.Replace(exampleConfig, "client_id: "+old, "client_id: "+old+" # "+old, 1), "", false},
		"by an anchor":          {strings.Replace(strings.Replace(exampleConfig, "cloud: global", "cloud: &c global", 1), "client_id: "+old, "client_id: *c", 1), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tidemark.yaml")
			link := filepath.Join(t.TempDir(), "link.yaml")
			if err := errors.Join(os.WriteFile(path, []byte(c.from), 0o640), os.Symlink(path, link)); err != nil {
				t.Fatal(err)
			}
			e := &env{config: link, getenv: func(string) string { return "" }}
			_, err := e.updateClientIDs("contoso", docs)
			is, e2 := os.ReadFile(path)
			info, e3 := os.Stat(path)
			if e2 != nil || e3 != nil {
				t.Fatal(e2, e3)
			}
			want := c.to
			if !c.done {
				want = c.from
			}
			if (err == nil) != c.done || string(is) != want || info.Mode().Perm() != 0o640 {
				t.Errorf("error %v, mode %o, content:\n%s", err, info.Mode().Perm(), is)
			}
			if to, err := os.Readlink(link); err != nil || to != path {
				t.Errorf("the link leads to %q: %v", to, err)
			}
		})
	}
}
