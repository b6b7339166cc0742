package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                       "plain",
		"two\nlines\tand a tab":       "two lines and a tab",
		"\x1b[31mred\x1b[0m":          "[31mred[0m",
		"bell\a\x00\u0085":            "bell",
		"evil\u202egnp.exe":           "evilgnp.exe",
		"\u2066iso\u2069\u200e\ufeff": "iso",
		"Zoë 李 👩‍💻":                   "Zoë 李 👩‍💻",
	} {
		if got := clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
}

// Whatever an object is called, nothing in its printed name moves a cursor, and cleaning twice changes nothing.
func TestCleanIsFinal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got := clean(rapid.String().Draw(t, "text"))
		if strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q holds a control character", got)
		}
		if again := clean(got); again != got {
			t.Fatalf("%q becomes %q", got, again)
		}
	})
}

func TestInert(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain": "plain", "a=b": "a=b", "=1+1": "'=1+1", "+49": "'+49", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "  =1": "'  =1", "\u00a0=1": "'\u00a0=1",
	} {
		if got := inert(text); got != want {
			t.Errorf("inert(%q) = %q, want %q", text, got, want)
		}
	}
}

// One result says the same in every format, and text of the tenant cannot forge a row.
func TestPrint(t *testing.T) {
	type doc struct {
		Name string `json:"name"`
	}
	docs := []doc{{"=cmd\nforged,row"}, {"<b>Zoë</b>"}}
	r := result{doc: docs, rows: anySlice(docs), head: []string{"NAME", "END"}, cells: func(yield func([]string)) {
		for _, d := range docs {
			yield([]string{d.Name, "x"})
		}
	}}
	out := map[string]string{}
	for _, format := range []string{"table", "json", "jsonl", "csv", "yaml"} {
		var b bytes.Buffer
		if err := (&env{out: &b, format: format}).print(r); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		out[format] = b.String()
	}
	var back []doc
	if err := json.Unmarshal([]byte(out["json"]), &back); err != nil || len(back) != 2 || back[0] != docs[0] || back[1] != docs[1] {
		t.Errorf("json: %v, %v", back, err)
	}
	if strings.Contains(out["json"], `\u003c`) {
		t.Error("json: < is escaped")
	}
	if n := strings.Count(out["jsonl"], "\n"); n != 2 {
		t.Errorf("jsonl: %d lines", n)
	}
	if n := strings.Count(out["table"], "\n"); n != 3 {
		t.Errorf("table: %d lines:\n%s", n, out["table"])
	}
	rows, err := csv.NewReader(strings.NewReader(out["csv"])).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != "'=cmd forged,row" {
		t.Errorf("csv: %q, %v", rows, err)
	}
	if !strings.Contains(out["yaml"], "name:") {
		t.Errorf("yaml:\n%s", out["yaml"])
	}
}

func TestEmptyListIsAList(t *testing.T) {
	for _, format := range []string{"json", "yaml", "csv", "table"} {
		e := &env{format: format}
		var b bytes.Buffer
		e.out = &b
		docs := []string{}
		if err := e.print(e.unlessEmpty(0, "nothing here\n", result{doc: docs, rows: anySlice(docs), head: []string{"NAME"}, cells: func(func([]string)) {}})); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		want := map[string]string{"json": "[]\n", "yaml": "[]\n", "csv": "NAME\n", "table": "nothing here\n"}[format]
		if b.String() != want {
			t.Errorf("%s: %q, want %q", format, b.String(), want)
		}
	}
}
