package entra_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/hostile"
)

func TestCanonicalForm(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"members are sorted", `{"b":1,"a":2}`, `{"a":2,"b":1}`},
		{"nulls go", `{"a":null,"b":{"c":null}}`, `{"b":{}}`},
		{"nulls in arrays stay", `{"a":[null,1]}`, `{"a":[null,1]}`},
		{"numbers keep every digit", `{"a":9007199254740993,"b":1.10,"c":1e400}`, `{"a":9007199254740993,"b":1.10,"c":1e400}`},
		{"dates keep every digit", `{"a":"2020-03-13T19:15:41.6195833Z"}`, `{"a":"2020-03-13T19:15:41.6195833Z"}`},
		{"white space goes", " { \"a\" : [ 1 , 2 ] } ", `{"a":[1,2]}`},
		{"escapes are the shortest", `{"a":"\u0041\/\u000a"}`, `{"a":"A/\n"}`},
		// RFC 8785, section 3.2.3: the surrogates of the smiley sort before the ligature.
		{"order is that of UTF-16", "{\"\ufb33\":1,\"\U0001f600\":2}", "{\"\U0001f600\":2,\"\ufb33\":1}"},
		{"empty arrays stay", `{"a":[]}`, `{"a":[]}`},
	}
	for _, c := range cases {
		got, err := entra.Canonical([]byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestRefusesWhatHasNoSingleMeaning(t *testing.T) {
	cases := []struct{ name, in string }{
		{"nothing", ``}, {"an array", `[]`}, {"a string", `"a"`}, {"a duplicate member", `{"a":1,"a":2}`},
		{"a case variant", `{"id":1,"ID":2}`}, {"a case variant, upper first", `{"ID":1,"x":2,"id":3}`}, {"a case variant deep inside", `{"a":[{"bB":1,"bb":2}]}`},
		{"invalid UTF-8", "{\"a\":\"\xff\"}"}, {"a lone surrogate", `{"a":"\ud800"}`}, {"text after it", `{} x`}, {"a second document", `{}{}`},
		{"a truncated document", `{"a":`}, {"a byte order mark", "\ufeff{}"}, {"not a number", `{"a":NaN}`},
		{"deep nesting", `{"a":` + strings.Repeat("[", 80) + strings.Repeat("]", 80) + `}`},
	}
	for _, c := range cases {
		if got, err := entra.Canonical([]byte(c.in)); err == nil {
			t.Errorf("%s: accepted as %q", c.name, got)
		}
	}
}

func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 6
		if depth == 0 {
			kinds = 4
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.String().Draw(t, "string")
		case 1:
			return entra.Number(rapid.SampledFrom([]string{"0", "-1", "1.50", "9007199254740993", "1e5"}).Draw(t, "number"))
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return nil
		case 4:
			return rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "array")
		}
		return object(depth-1).Draw(t, "object")
	})
}

func object(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.StringMatching(`[a-z]{1,6}`), value(depth), 0, 5)
}

func TestCanonicalIsItsOwnCanonicalForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, err := entra.Encode(object(4).Draw(t, "object"))
		if err != nil {
			t.Skip("no canonical form")
		}
		again, err := entra.Canonical([]byte(b))
		if err != nil || again != b {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
		if b.Version() != sha256.Sum256([]byte(b)) {
			t.Fatal("a version is not the SHA-256 of the body")
		}
		decoded, err := entra.Encode(b.Decode())
		if err != nil || decoded != b {
			t.Fatalf("%q decoded and encoded is %q, %v", b, decoded, err)
		}
	})
}

// TestCheckKnowsTheCanonicalForm: Check and Canonical agree on any text, whether the quick way knows it or not.
func TestCheckKnowsTheCanonicalForm(t *testing.T) {
	canonical, other := 0, 0
	agree := func(t rapid.TB, b entra.Body) {
		again, err := entra.Canonical([]byte(b))
		is := err == nil && again == b
		if got := b.Check() == nil; got != is {
			t.Fatalf("%q: Check says %v, its canonical form is %q, %v", b, got, again, err)
		}
		if is {
			canonical++
		} else {
			other++
		}
	}
	for _, s := range []string{``, `{}`, `{} `, ` {}`, `{"a":1}x`, `{"a":01}`, `{"a":-0}`, `{"a":1.50}`, `{"a":-}`, `{"a":}`, `{"a":null}`, `{"a":[null]}`, `{"a":nul}`,
		`{"a":truE}`, `{"a":tru`, `{"a":1,}`, `{"a":1,"a":1}`, `{"A":1,"a":1}`, `{"b":1,"a":1}`, `{"a":"\n"}`, `{"a":"\u000a"}`, `{"a":"\/"}`, "{\"a\":\"\xff\"}", "{\"a\":\"\u2028é\"}",
		"{\"\U0001f600\":2,\"\ufb33\":1}", "{\"\ufb33\":1,\"\U0001f600\":2}", "{\"K\":1,\"\u212a\":2}", `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 ]}`, `{"a":{"b":{}}}`, `[]`, `{"a":[]`,
		"{\"a\":\"\x01\"}", "{\"a\":\"\x7f\"}", `{"a":0}`, `{"a":9007199254740993}`, `{"aa":{"b":"c"},"ab":[{"x":true},{"x":false}]}`} {
		agree(t, entra.Body(s))
	}
	for _, depth := range []int{62, 63, 64, 65, 66} {
		agree(t, entra.Body(`{"a":`+strings.Repeat("[", depth)+strings.Repeat("]", depth)+`}`))
		agree(t, entra.Body(strings.Repeat(`{"a":`, depth)+"1"+strings.Repeat("}", depth)))
	}
	for _, c := range []string{`"`, `\`, "\x00", "\x1f", " ", "!", "#", "[", "]", "\x7f", "\x80", "\xff", "é", "\u2028", "\U0001f600"} {
		for at := range 26 {
			agree(t, entra.Body(`{"a":"`+strings.Repeat("x", at)+c+strings.Repeat("y", 25-at)+`"}`))
		}
	}
	wide := []string{}
	for i := range 200 {
		wide = append(wide, `"m`+strings.Repeat("x", i)+`":1`)
		agree(t, entra.Body("{"+strings.Join(wide, ",")+"}"))
	}
	rapid.Check(t, func(t *rapid.T) {
		b, err := entra.Encode(object(4).Draw(t, "object"))
		if err != nil {
			t.Skip("no canonical form")
		}
		agree(t, b)
		spoiled := []byte(b)
		spoiled[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.SampledFrom([]byte("\"\\{}[]:, 0aA1n\x00\xc3")).Draw(t, "byte")
		agree(t, entra.Body(spoiled))
	})
	if canonical == 0 || other == 0 {
		t.Fatalf("%d canonical texts and %d others", canonical, other)
	}
}

func TestSetThenGet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := object(3).Draw(t, "object")
		path := rapid.StringMatching(`[a-z]{1,3}(\.[a-z]{1,3}){0,3}`).Draw(t, "path")
		entra.Set(m, path, "x")
		if got, ok := entra.Get(m, path); !ok || got != "x" {
			t.Fatalf("%s is %v, %v", path, got, ok)
		}
		entra.Set(m, path, nil)
		if got, ok := entra.Get(m, path); ok {
			t.Fatalf("%s is still %v", path, got)
		}
	})
}

func TestJoinThenSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.Map(rapid.StringN(1, 8, -1), func(s string) entra.ID { return entra.ID(s) }), 2, 4).Draw(t, "parts")
		if got := entra.Join(parts...).Split(); !slices.Equal(got, parts) {
			t.Fatalf("%q came back as %q", parts, got)
		}
	})
}

func TestRefRoundTrip(t *testing.T) {
	for _, s := range []string{"user/1", "domain/contoso.com", "appRoleAssignment/a%2Fb/c"} {
		r, err := entra.ParseRef(s)
		if err != nil || r.String() != s {
			t.Errorf("%s: %v, %v", s, r, err)
		}
	}
	for _, s := range []string{"", "user", "user/", "/1"} {
		if r, err := entra.ParseRef(s); err == nil {
			t.Errorf("%q: accepted as %v", s, r)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":null}`, `{"a":[1,"x",{"b":true}]}`, `{"id":1,"ID":2}`, "{\"\U0001f600\":2}"} {
		f.Add([]byte(s))
	}
	for c := range hostile.All() {
		if len(c.Body) < 1<<12 {
			f.Add([]byte(c.Body))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := entra.Canonical(raw)
		if is, says := err == nil && string(b) == string(raw), entra.Body(raw).Check() == nil; is != says {
			t.Fatalf("%q: its canonical form is %q, %v, and Check says %v", raw, b, err, says)
		}
		if err != nil {
			return
		}
		if again, err := entra.Canonical([]byte(b)); err != nil || again != b {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
	})
}

// TestUnlikeIsWhatDiffers: what is the same in both bodies is left out, and nothing else.
func TestUnlikeIsWhatDiffers(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c", "d", `e"`, `f\`, "é", "\ufb33", "\U0001f600", "g,h", "{", "i:"})
	rapid.Check(t, func(t *rapid.T) {
		var both [2]map[string]any
		for i := range both {
			both[i] = rapid.MapOfN(names, value(2), 0, 8).Draw(t, "object")
		}
		for name, v := range both[0] {
			if _, ok := both[1][name]; ok && rapid.Bool().Draw(t, "same") {
				both[1][name] = v
			}
		}
		x, err := entra.Encode(both[0])
		y, err2 := entra.Encode(both[1])
		if err != nil || err2 != nil {
			t.Skip("no canonical form")
		}
		was, is := x.Decode(), y.Decode()
		for name, v := range was {
			a, _ := entra.Text(v)
			if w, ok := is[name]; ok {
				if b, _ := entra.Text(w); a == b {
					delete(was, name)
					delete(is, name)
				}
			}
		}
		mine, theirs := entra.Unlike(x, y)
		a, b := mine.Decode(), theirs.Decode()
		if strings.Contains(string(x+y), `\`) { // a name with an escape in it may keep all of them
			for _, name := range []string{"a", "b", "c", "d", `e"`, `f\`, "é", "\ufb33", "\U0001f600", "g,h", "{", "i:"} {
				p, _ := entra.Text(a[name])
				if q, _ := entra.Text(b[name]); p == q {
					delete(a, name)
					delete(b, name)
				}
			}
		}
		if d := cmp.Diff(was, a, cmpopts.EquateEmpty()) + cmp.Diff(is, b, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s and %s: %s", x, y, d)
		}
	})
	for _, s := range []entra.Body{"", "{}", "[]", "{", `{"a"`, `{"a":`, `{"a":1}}`, `{"a":{}`, `{"a":"`, `{,}`, `{:}`, `{"a":1,}`, `{"a":"\"}`} {
		entra.Unlike(s, `{"a":1}`)
		entra.Unlike(`{"a":1}`, s)
	}
}
