package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

var (
	agoForm    = regexp.MustCompile(`^(\d+|an?) (minute|hour|day|week|month|year)s? ago$`)
	latestForm = regexp.MustCompile(`^latest(?:~(\d+))?$`)
	hexForm    = regexp.MustCompile(`^[0-9a-f]{6,64}$`)
)

// snapshot finds the snapshot that a person named: a number, an ID's first digits, latest, latest~N, a
// time or a date, "3 days ago". "live" captures now.
func (s *session) snapshot(ctx context.Context, name string) (*snapshot.Snapshot, error) {
	all, err := s.index.Numbers(ctx)
	if err != nil {
		return nil, err
	}
	if name == "live" {
		return s.capture(ctx)
	}
	if len(all) == 0 {
		return nil, &exit{code: 1, err: errors.New("the repository holds no snapshot yet"), hint: "tidemark capture makes one"}
	}
	if m := latestForm.FindStringSubmatch(name); m != nil {
		back := 0
		if m[1] != "" {
			if back, err = strconv.Atoi(m[1]); err != nil {
				return nil, usage("snapshot %q: %v", name, err)
			}
		}
		if back >= len(all) {
			return nil, usage("snapshot %q: there are only %d snapshots", name, len(all))
		}
		return s.index.Snapshot(ctx, all[len(all)-1-back])
	}
	if n, err := strconv.ParseInt(name, 10, 64); err == nil {
		if _, ok := slices.BinarySearch(all, n); ok {
			return s.index.Snapshot(ctx, n)
		}
	}
	if prefix := strings.ToLower(name); hexForm.MatchString(prefix) {
		var found []int64
		for rec, err := range s.repo.Records(ctx, all[0]) {
			if err != nil {
				return nil, err
			}
			if _, there := slices.BinarySearch(all, rec.Number); there && strings.HasPrefix(snapshot.ID(rec.Leaf).String(), prefix) {
				found = append(found, rec.Number)
			}
		}
		switch len(found) {
		case 1:
			return s.index.Snapshot(ctx, found[0])
		case 0:
		default:
			return nil, usage("snapshot %q: %d IDs begin so; give more digits", name, len(found))
		}
	}
	at, err := s.moment(name)
	if err != nil {
		if _, e := strconv.ParseInt(name, 10, 64); e == nil || hexForm.MatchString(name) {
			return nil, usage("no snapshot is called %q; tidemark snapshots lists them", name)
		}
		return nil, usage("snapshot %q: want a number, an ID, latest, latest~N, a time such as 2026-03-03T10:00Z, a date, or \"3 days ago\"", name)
	}
	found, err := s.index.At(ctx, at)
	if errors.Is(err, fs.ErrNotExist) {
		first, err := s.index.Snapshot(ctx, all[0])
		if err != nil {
			return nil, err
		}
		return nil, usage("no snapshot is as old as %s; the first is number %d of %s", at.UTC().Format(time.RFC3339), first.Number, first.Ended.UTC().Format(time.RFC3339))
	}
	return found, err
}

// moment reads a time as people write it. A date means its end, so that the date of a snapshot finds it.
func (e *env) moment(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return t, nil
		}
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.UTC); err == nil {
		return t.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	now := e.now()
	switch text {
	case "now":
		return now, nil
	case "yesterday":
		return now.AddDate(0, 0, -1), nil
	}
	m := agoForm.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, errors.New("not a time")
	}
	n := 1
	if m[1][0] != 'a' {
		var err error
		if n, err = strconv.Atoi(m[1]); err != nil {
			return time.Time{}, err
		}
	}
	switch m[2] {
	case "minute":
		return now.Add(-time.Duration(n) * time.Minute), nil
	case "hour":
		return now.Add(-time.Duration(n) * time.Hour), nil
	case "week":
		n *= 7
		fallthrough
	case "day":
		return now.AddDate(0, 0, -n), nil
	case "month":
		return now.AddDate(0, -n, 0), nil
	}
	return now.AddDate(-n, 0, 0), nil
}

// object finds the object that a person named: TYPE/ID, TYPE:NAME, a user principal name, or whatever Find
// knows, as long as it is one. What the name means is asked of snapshot at first, unless that is 0: what a
// restore brings back is what had the name then, whoever has it now.
func (s *session) object(ctx context.Context, name string, at int64) (entra.Ref, error) {
	q := index.Query{Text: name, Max: 20, At: at}
	if t, id, ok := strings.Cut(name, "/"); ok && typeKnown(t) {
		ref := entra.Ref{Type: entra.Type(t), ID: entra.ID(id)}
		spans, err := s.index.Spans(ctx, ref)
		if err != nil {
			return ref, err
		}
		if len(spans) > 0 {
			return ref, nil
		}
		return ref, usage("no snapshot holds %s", ref)
	}
	if t, text, ok := strings.Cut(name, ":"); ok && typeKnown(t) {
		q.Type, q.Text = entra.Type(t), text
	} else if ok && !strings.ContainsAny(t, " @.") {
		return entra.Ref{}, usage("object %q: no type is called %q%s", name, t, nearest(t, typeNames()))
	}
	found, err := s.index.Find(ctx, q)
	if err != nil {
		return entra.Ref{}, err
	}
	if at != 0 && !slices.ContainsFunc(found, func(f index.Found) bool { return s.called(ctx, f, q.Text) }) {
		q.At = 0
		if found, err = s.index.Find(ctx, q); err != nil {
			return entra.Ref{}, err
		}
	}
	exact := slices.DeleteFunc(slices.Clone(found), func(f index.Found) bool { return !s.called(ctx, f, q.Text) })
	// What is in the recycle bin is the same object: its own type is what was meant.
	if live := slices.DeleteFunc(slices.Clone(exact), func(f index.Found) bool {
		r, ok := catalog.Lookup(f.Ref.Type)
		return ok && r.Live != ""
	}); len(live) > 0 {
		exact = live
	}
	// One that exists now is meant before one that is gone.
	if len(exact) > 1 {
		if living := slices.DeleteFunc(slices.Clone(exact), func(f index.Found) bool { return f.Last != 0 }); len(living) == 1 {
			exact = living
		}
	}
	switch {
	case len(exact) == 1:
		return exact[0].Ref, nil
	case len(exact) == 0 && len(found) == 0:
		return entra.Ref{}, usage("no object is called %q; tidemark find searches by the beginnings of words", name)
	}
	candidates := exact
	if len(candidates) == 0 {
		candidates = found
	}
	lines := make([]string, len(candidates))
	for i, f := range candidates {
		lines[i] = fmt.Sprintf("%s (%s)", f.Ref, f.Name)
	}
	if len(exact) == 0 {
		return entra.Ref{}, usage("no object is called exactly %q; near it: %s", name, strings.Join(lines, ", "))
	}
	return entra.Ref{}, usage("%q is ambiguous; say which by TYPE/ID: %s", name, strings.Join(lines, ", "))
}

// called reports whether the text is the whole of one of an object's names, and not just a part of it.
func (s *session) called(ctx context.Context, f index.Found, text string) bool {
	if strings.EqualFold(f.Name, text) || strings.EqualFold(string(f.Ref.ID), text) {
		return true
	}
	tree, err := s.index.Tree(ctx, s.repo, f.Seen())
	if err != nil {
		return false
	}
	o, err := tree.Object(ctx, f.Ref)
	return err == nil && slices.ContainsFunc(catalog.Words(o), func(w string) bool { return strings.EqualFold(w, text) })
}

func typeKnown(t string) bool {
	_, ok := catalog.Lookup(entra.Type(t))
	return ok
}

func typeNames() map[string]bool {
	m := map[string]bool{}
	for r := range catalog.All() {
		m[string(r.Type)] = true
	}
	return m
}

// types reads the value of --only.
func parseTypes(only []string) ([]entra.Type, error) {
	var types []entra.Type
	for _, t := range only {
		if !typeKnown(t) {
			return nil, usage("--only: no type is called %q%s", t, nearest(t, typeNames()))
		}
		types = append(types, entra.Type(t))
	}
	return types, nil
}
