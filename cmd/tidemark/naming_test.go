package main

import (
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 30, 0, 0, time.UTC)
	e := &env{now: func() time.Time { return now }}
	cases := map[string]time.Time{
		"2026-03-03T10:00:00Z":      time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC),
		"2026-03-03T10:00Z":         time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC),
		"2026-03-03T10:00+02:00":    time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC),
		"2026-03-03T10:00":          time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC),
		"2026-03-03 10:00":          time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC),
		"2026-03-03":                time.Date(2026, 3, 3, 23, 59, 59, 999999999, time.UTC),
		"now":                       now,
		"yesterday":                 now.AddDate(0, 0, -1),
		"1 minute ago":              now.Add(-time.Minute),
		"an hour ago":               now.Add(-time.Hour),
		"a day ago":                 now.AddDate(0, 0, -1),
		"3 days ago":                now.AddDate(0, 0, -3),
		"2 weeks ago":               now.AddDate(0, 0, -14),
		"1 month ago":               now.AddDate(0, -1, 0),
		"10 years ago":              now.AddDate(-10, 0, 0),
		"2026-03-03T10:00:00+05:30": time.Date(2026, 3, 3, 4, 30, 0, 0, time.UTC),
	}
	for text, want := range cases {
		got, err := e.moment(text)
		if err != nil || !got.Equal(want) {
			t.Errorf("moment(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "3 days", "days ago", "-3 days ago", "tomorrow", "2026-13-01", "2026-02-30", "99999999999999999999 days ago", "3 days ago ", "latest"} {
		if got, err := e.moment(text); err == nil {
			t.Errorf("moment(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseTypes(t *testing.T) {
	if types, err := parseTypes([]string{"user", "group"}); err != nil || len(types) != 2 {
		t.Errorf("parseTypes = %v, %v", types, err)
	}
	_, err := parseTypes([]string{"usr"})
	if code, _ := explain(err); err == nil || code != 2 {
		t.Errorf("an unknown type is error %v with code %d", err, code)
	}
}
