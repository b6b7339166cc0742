package capture_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/hostile"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// swap gives a body in the place of every first page of the people.
func swap(body string) carrier {
	return func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
		if r.URL.Path != "/v1.0/users" || r.URL.Query().Has("$expand") {
			return pass()
		}
		h := http.Header{"Content-Type": {"application/json"}}
		return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// A page that is right in form and cannot be meant so costs its part, and nothing that was known; a page that is only
// odd is taken, and the next capture is whole.
func TestHostileMeaning(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 40, Groups: 8, Apps: 1})
	synctest.Test(t, func(t *testing.T) {
		n := 0
		for c := range hostile.All() {
			if c.Family != "meaning" {
				continue
			}
			n++
			l := lab.New(t, tenant)
			if c.Taken {
				l.Wire.Meddle = swap(c.Body)
				s := l.Full()
				if p := s.Part("user", ""); p.Coverage != snapshot.Complete || p.Objects != 1 {
					t.Errorf("%s: %s, %d objects: %s", c.Name, p.Coverage, p.Objects, p.Reason)
				}
				l.Wire.Meddle = nil
			} else {
				before := l.Full()
				l.Wire.Meddle = swap(c.Body)
				s := l.Full()
				if p, was := s.Part("user", ""), before.Part("user", ""); p.Coverage == snapshot.Complete || p.Objects < was.Objects || p.Removed > 0 || !strings.Contains(p.Reason, "GET /users") {
					t.Errorf("%s: %s, %d of %d objects: %s", c.Name, p.Coverage, p.Objects, was.Objects, p.Reason)
				}
				l.Wire.Meddle = nil
			}
			if s := l.Full(); !s.Whole() || s.Part("user", "").Objects < 40 {
				t.Errorf("%s: it does not heal", c.Name)
			}
		}
		if n < 20 {
			t.Errorf("%d cases", n)
		}
		t.Logf("%d cases", n)
	})
}

// What people wrote into a tenant is kept letter by letter, and what did not change does not seem to have.
func TestHostileTexts(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	var items []string
	want := map[string]string{}
	for c := range hostile.All() {
		if c.Family != "text" {
			continue
		}
		var page struct {
			Value []json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal([]byte(c.Body), &page); err != nil {
			t.Fatal(err)
		}
		var user struct{ ID, DisplayName string }
		if err := json.Unmarshal(page.Value[0], &user); err != nil {
			t.Fatal(err)
		}
		items = append(items, string(page.Value[0]))
		want[user.ID] = user.DisplayName
	}
	if len(want) < 150 {
		t.Fatalf("%d texts", len(want))
	}
	l.Wire.Meddle = swap(`{"value":[` + strings.Join(items, ",") + `]}`)
	s := l.Full()
	tree := l.Tree(s)
	for id, text := range want {
		o, err := tree.Object(t.Context(), entra.Ref{Type: "user", ID: entra.ID(id)})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := o.Body.Get("displayName"); got != text {
			t.Errorf("%s: %.80q became %.80q", id, text, got)
		}
	}
	if p := l.Full().Part("user", ""); p.Added+p.Changed+p.Removed != 0 || p.Coverage != snapshot.Complete {
		t.Errorf("%s, %d changed: %s", p.Coverage, p.Changed, p.Reason)
	}
}
