package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
	"golang.org/x/term"
)

// A result is what a command prints on standard output, in whichever format was asked for.
type result struct {
	doc   any                  // json and yaml print it whole
	rows  []any                // jsonl prints one a line; nil means the doc alone
	text  string               // table prints it, where cells is nil
	head  []string             // of the table
	cells func(func([]string)) // the table's rows, and csv's
}

func (e *env) checkFlags() error {
	switch e.format {
	case "table", "json", "jsonl", "csv", "yaml":
	default:
		return usage("--output %q: want table, json, jsonl, csv or yaml", e.format)
	}
	switch e.progress {
	case "auto", "plain", "json", "none":
	default:
		return usage("--progress %q: want auto, plain, json or none", e.progress)
	}
	switch e.color {
	case "auto", "always", "never":
	default:
		return usage("--color %q: want auto, always or never", e.color)
	}
	return nil
}

// print writes a result to standard output.
func (e *env) print(r result) error {
	switch e.format {
	case "json":
		return writeJSON(e.out, r.doc, "  ")
	case "jsonl":
		if r.rows == nil {
			return writeJSON(e.out, r.doc, "")
		}
		for _, row := range r.rows {
			if err := writeJSON(e.out, row, ""); err != nil {
				return err
			}
		}
		return nil
	case "yaml":
		return writeYAML(e.out, r.doc)
	case "csv":
		if r.cells == nil {
			return usage("this result is no table; use -o json, jsonl or yaml")
		}
		w := csv.NewWriter(e.out)
		err := w.Write(r.head)
		r.cells(func(row []string) {
			for i := range row {
				row[i] = inert(clean(row[i]))
			}
			if err == nil {
				err = w.Write(row)
			}
		})
		w.Flush()
		if err != nil {
			return err
		}
		return w.Error()
	}
	if r.cells == nil {
		_, err := io.WriteString(e.out, r.text)
		return err
	}
	if r.text != "" {
		if _, err := io.WriteString(e.out, r.text); err != nil {
			return err
		}
	}
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	if width := e.width(); width > 0 {
		t.Style().Size.WidthMax = width
		// The last column takes what is left, folded at words, so that a line never runs over.
		t.SetColumnConfigs([]table.ColumnConfig{{Number: len(r.head), WidthMax: max(20, width-e.used(r)), WidthMaxEnforcer: text.WrapSoft}})
	}
	head := make(table.Row, len(r.head))
	for i, h := range r.head {
		head[i] = h
	}
	t.AppendHeader(head)
	r.cells(func(cells []string) {
		row := make(table.Row, len(cells))
		for i, c := range cells {
			row[i] = clean(c)
		}
		t.AppendRow(row)
	})
	out := t.Render()
	for line := range strings.SplitSeq(out, "\n") {
		if _, err := fmt.Fprintln(e.out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// width is the width of the terminal that standard output is, or 0 where it is none.
func (e *env) width() int {
	if f, ok := e.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil { //nolint:gosec // a file descriptor fits an int
			return w
		}
	}
	return 0
}

// used is how many columns the table takes before its last.
func (e *env) used(r result) int {
	widest := make([]int, len(r.head))
	for i, h := range r.head {
		widest[i] = len(h)
	}
	r.cells(func(row []string) {
		for i, c := range row {
			widest[i] = max(widest[i], text.StringWidthWithoutEscSequences(clean(c)))
		}
	})
	sum := 0
	for _, w := range widest[:len(widest)-1] {
		sum += w + 2
	}
	return sum + 2
}

func writeJSON(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	return enc.Encode(v)
}

// writeYAML writes what JSON would say, so that field names are the same in both.
func writeYAML(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return err
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// clean takes out of tenant text what could move a cursor, hide text or forge a line: control characters,
// terminal escapes and marks of writing direction.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x061C, r == 0xFEFF, r == 0x2028, r == 0x2029:
			return -1
		}
		return r
	}, s)
}

// inert keeps a spreadsheet from reading a cell as a formula (OWASP, CSV injection).
func inert(s string) string {
	if t := strings.TrimLeft(s, " \u00a0"); t != "" && strings.ContainsRune("=+-@\t\r", rune(t[0])) {
		return "'" + s
	}
	return s
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes no argument, got %q; see %s --help", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

// takes checks the number of arguments and says in the error what they are.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage("%s takes %s; see %s --help", c.CommandPath(), what, c.CommandPath())
		}
		return nil
	}
}

func anySlice[T any](s []T) []any {
	a := make([]any, len(s))
	for i, v := range s {
		a[i] = v
	}
	return a
}

func mapsKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }
