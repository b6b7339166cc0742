package capture_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
)

// A shuffler tells what lists hold in another order, also those within a batch.
type shuffler struct {
	mu     sync.Mutex
	random *rand.Rand
	lists  int
}

func (s *shuffler) meddle(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/oauth2/") {
		return pass()
	}
	r.Header.Del("Accept-Encoding")
	return through(pass, func(body []byte) io.Reader {
		var m map[string]any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if d.Decode(&m) != nil {
			return bytes.NewReader(body)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.list(m)
		for _, answer := range list(m["responses"]) {
			if inner, ok := answer.(map[string]any)["body"].(map[string]any); ok {
				s.list(inner)
			}
		}
		body, err := json.Marshal(m)
		if err != nil {
			return bytes.NewReader(nil)
		}
		return bytes.NewReader(body)
	})
}

func (s *shuffler) list(m map[string]any) {
	if items := list(m["value"]); len(items) > 1 {
		s.random.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		s.lists++
	}
}

func list(v any) []any {
	all, _ := v.([]any)
	return all
}

// However the service tells of what is there, by lists in any order or by what changed, it is the same: for each type.
func TestHoweverItIsTold(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 12, Groups: 8, Apps: 4, Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		first := l.Capture()
		shuffled := &shuffler{random: rand.New(rand.NewPCG(1, 2))}
		l.Wire.Meddle = shuffled.meddle
		again, err := capture.Run(t.Context(), l.Reader, l.Repo, l.Index, tenant.Now, capture.Options{Full: true, Include: l.Asked})
		if err != nil {
			t.Fatal(err)
		}
		l.Wire.Meddle = nil
		l.Follow()
		if err := asInCalm(again, first); err != nil {
			t.Errorf("lists in another order: %v", err)
		}
		if shuffled.lists < 50 {
			t.Errorf("only %d lists were in another order", shuffled.lists)
		}

		touched := map[entra.Type]int{}
		tree := l.Tree(again)
		for r := range catalog.All() {
			if r.Delta == "" || !r.Can.Has(catalog.Update) {
				continue
			}
			for e, err := range tree.Entries(t.Context(), r.Type) {
				if err != nil {
					t.Fatal(err)
				}
				o, err := tree.Object(t.Context(), e.Ref)
				if err != nil {
					t.Fatal(err)
				}
				for _, set := range []map[string]any{{"jobTitle": "touched"}, {"description": "touched"}, {"notes": "touched"}, {"accountEnabled": false}, {"scope": "openid"}} {
					calls, err := r.Update(o.Ref.ID, set, o.Body.Decode())
					if err != nil || len(calls) == 0 {
						continue
					}
					var body any
					if err := json.Unmarshal(calls[0].Body, &body); err != nil {
						t.Fatal(err)
					}
					if status, _ := tenant.Do(calls[0].Method, "/"+calls[0].Version+calls[0].Path, body); status < 300 {
						touched[r.Type]++
						break
					}
				}
			}
		}
		heard := l.Capture()
		truth := fresh(t, tenant)
		if err := asInCalm(heard, truth.snap); err != nil {
			t.Errorf("by what changed: %v", err)
		}
		for r := range catalog.All() {
			if r.Delta == "" || !r.Can.Has(catalog.Update) {
				continue
			}
			if p := heard.Part(r.Type, ""); touched[r.Type] == 0 || p.Changed != int64(touched[r.Type]) || !p.Full.Before(p.Read) {
				t.Errorf("%s: %d were touched and %d heard to have changed; listed %s, read %s", r.Type, touched[r.Type], p.Changed, p.Full, p.Read)
			}
		}
	})
}

// The elements of a set come in any order, and mean the same: in every object of every type.
func TestSetsInAnotherOrderAreTheSame(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Users: 12, Groups: 8, Apps: 4, Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		tree := l.Tree(l.Capture())
		random := rand.New(rand.NewPCG(3, 4))
		types, sets := 0, 0
		for r := range catalog.All() {
			if r.Binary != "" || r.Stream {
				continue
			}
			n := 0
			for e, err := range tree.Entries(t.Context(), r.Type) {
				if err != nil {
					t.Fatal(err)
				}
				o, err := tree.Object(t.Context(), e.Ref)
				if err != nil {
					t.Fatal(err)
				}
				m := o.Body.Decode()
				sets += shuffle(m, "", r, random)
				if _, has := m["id"]; !has {
					parts := o.Ref.ID.Split()
					m["id"] = string(parts[len(parts)-1])
				}
				raw, err := json.Marshal(numbers(m))
				if err != nil {
					t.Fatal(err)
				}
				in, _ := catalog.Container(o.Ref)
				is, err := r.Object(raw, in.ID)
				if err != nil || is.Body != o.Body {
					t.Errorf("%s: %v\n%s\nis\n%s", o.Ref, err, o.Body, is.Body)
				}
				n++
			}
			if n > 0 {
				types++
			}
		}
		if types < 100 || sets < 100 {
			t.Errorf("only %d types and %d sets", types, sets)
		}
	})
}

// shuffle puts the elements of sets in another order, and returns of how many.
func shuffle(v any, path string, r *catalog.Resource, random *rand.Rand) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			n += shuffle(e, strings.TrimPrefix(path+"."+name, "."), r, random)
		}
	case []any:
		for _, e := range v {
			n += shuffle(e, path+"[]", r, random)
		}
		i := slices.IndexFunc(r.Properties, func(p catalog.Property) bool { return p.Name == path })
		if i >= 0 && (r.Properties[i].Set || r.Properties[i].Key != "") && len(v) > 1 {
			random.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
			n++
		}
	}
	return n
}

// numbers is a value with numbers as the standard library has them.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			v[name] = numbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = numbers(e)
		}
	case entra.Number:
		return json.Number(v)
	}
	return v
}
