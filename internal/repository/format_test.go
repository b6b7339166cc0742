package repository

import (
	"os"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// The examples in doc/format.md are in the one form that this package reads and writes.
func TestTheDocumentsExamplesAreOfThisFormat(t *testing.T) {
	text, err := os.ReadFile("../../doc/format.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, block := range strings.Split(string(text), "```")[1:] {
		word, body, _ := strings.Cut(block, "\n")
		seen[word]++
		switch word {
		case "record":
			if r, err := parseRecord(body); err != nil || r.text() != body {
				t.Errorf("record %q: %v", body, err)
			}
		case "line":
			for line := range strings.Lines(body) {
				v, err := parseLine(line, false)
				if err != nil {
					t.Errorf("%s%v", line, err)
					continue
				}
				var a appender
				v.(interface{ append(*appender) }).append(&a) //nolint:forcetypeassert // every form has it
				if string(a.b) != line {
					t.Errorf("line %q is written as %q", line, a.b)
				}
			}
		}
	}
	if seen["record"] == 0 || seen["line"] == 0 {
		t.Fatalf("no examples: %v", seen)
	}
	// The document's example names this version.
	if v := entra.Body(`{"displayName":"Finance"}`).Version().String(); !strings.Contains(string(text), v) {
		t.Errorf("the example's version is %s", v)
	}
}
