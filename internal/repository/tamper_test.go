package repository_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
)

// noted is the name of a record's note.
func noted(n int64) string { return fmt.Sprintf("log/%03d/%09d", n/1_000_000, n) }

// rich returns a repository with files of every kind, which each file's kind is told of, and what was promised of it.
func rich(t *testing.T, k keys) (files map[string][]byte, kinds map[string][]string, kept []promise) {
	t.Helper()
	s := new(mem.Store)
	r := create(t, s, k)
	must(t, capture(t.Context(), t, s, k, &kept))
	_, err := r.AppendAll(t.Context(), repository.KindPlan, 2, []byte("1"), []byte("2"), []byte("3"), []byte("4"), []byte("5"))
	must(t, err)
	must(t, journal(t.Context(), r, &kept, repository.KindPlan, repository.KindIntents, repository.KindOutcomes, repository.KindResult))
	_, err = r.AddHolder(t.Context(), r.Epoch(), k.identity.Recipient())
	must(t, err)
	must(t, capture(t.Context(), t, s, k, &kept))
	files, kinds = contents(t, s), map[string][]string{}
	add := func(kind, name string) {
		if !slices.Contains(kinds[kind], name) {
			kinds[kind] = append(kinds[kind], name)
		}
	}
	for rec, err := range r.Records(t.Context(), 0) {
		must(t, err)
		for _, b := range rec.Blobs {
			add(b.Role, b.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch {
		case strings.HasPrefix(name, "log/"):
			add("note", name)
		case strings.HasPrefix(name, "keys/"):
			add("slot", name)
		}
	}
	for _, kind := range []string{"repository", "slot", "note", "list", "objects", "audit", "data"} {
		if len(kinds[kind]) == 0 {
			t.Fatalf("no file of kind %s", kind)
		}
	}
	return files, kinds, kept
}

// Law: of any bit that flips in any file, the check names the file and the snapshots that it touches, and nothing that is
// read is ever another.
func TestEveryFlippedBitIsFound(t *testing.T) {
	flips := 1000
	if long() {
		flips = 10_000
	}
	k, random := newKeys(t), rand.New(rand.NewPCG(7, 8))
	files, kinds, kept := rich(t, k)
	sound := storing(t, files)
	if names := blame(t, sound, k.options(), true); names != nil {
		t.Fatalf("the sound repository is blamed for %q", names)
	}
	// Which snapshots build on a blob.
	touches := map[string][]int64{}
	for _, p := range kept {
		for _, b := range p.rec.Blobs {
			for _, q := range kept {
				if p.tree != nil && q.tree != nil && q.rec.Number >= p.rec.Number {
					touches[b.Name] = append(touches[b.Name], q.rec.Number)
				}
			}
		}
	}
	found, order := map[string]int{}, slices.Sorted(maps.Keys(kinds))
	for range flips {
		kind := order[random.IntN(len(order))]
		name := kinds[kind][random.IntN(len(kinds[kind]))]
		flipped := bytes.Clone(files[name])
		at := random.IntN(8 * len(flipped))
		flipped[at/8] ^= 1 << (at % 8)
		where := fmt.Sprintf("%s %s: bit %d of byte %d", kind, name, at%8, at/8)
		s := overlay{sound, map[string][]byte{name: flipped}}
		found[kind]++

		// Without a key.
		named := false
		r, err := repository.Open(t.Context(), s, repository.Options{})
		if e, ok := errors.AsType[*repository.CorruptError](err); ok {
			named = e.Blob == name
		} else if err != nil {
			named = kind == "repository" && errors.Is(err, repository.ErrFormat)
		}
		if err == nil {
			for f, err := range r.Check(t.Context(), false) {
				if err != nil {
					t.Errorf("%s: check: %v", where, err)
				}
				if named = named || f.Blob == name; f.Blob == name && !slices.Equal(f.Snapshots, touches[name]) {
					t.Errorf("%s: touches %v, not %v", where, touches[name], f.Snapshots)
				}
			}
		}
		if !named {
			t.Errorf("%s: is not named: %v", where, err)
		}

		// With one.
		r, err = repository.Open(t.Context(), s, k.options())
		if err != nil {
			continue
		}
		now := newState()
		for _, p := range kept {
			if p.data != nil {
				if got, err := r.Data(t.Context(), p.rec); err == nil && !bytes.Equal(got, p.data) {
					t.Errorf("%s: record %d holds %q", where, p.rec.Number, got)
				}
				continue
			}
			var broken error
			for l, err := range r.Replay(t.Context(), p.rec) {
				if err != nil {
					broken = err
					break
				}
				now.play(l)
			}
			if broken != nil {
				if e, ok := errors.AsType[*repository.CorruptError](broken); !ok || e.Blob != name {
					t.Errorf("%s: %v", where, broken)
				}
				break // what builds on it has no ground
			}
			if !cmp.Equal(p.tree.objects, now.objects) || !cmp.Equal(p.tree.links, now.links) {
				t.Errorf("%s: snapshot %d is another one", where, p.rec.Number)
			}
		}
	}
	for kind := range kinds {
		if found[kind] < flips/20 {
			t.Errorf("only %d flips in files of kind %s", found[kind], kind)
		}
	}
	t.Logf("%d flips: %v", flips, found)
}

// Law: whatever is done to the files of a store, by whoever has the signer's key too, is found by who knows one older head.
func TestEveryTamperingIsFound(t *testing.T) {
	actions := 100
	if long() {
		actions = 1000
	}
	k, random := newKeys(t), rand.New(rand.NewPCG(9, 10))
	files, _, _ := rich(t, k)
	foreign, _, _ := rich(t, keys{k.signer, k.identity}) // of the same people
	names := slices.Sorted(maps.Keys(files))
	size := int64(0)
	for files[noted(size)] != nil {
		size++
	}
	upTo := func(n int64) map[string][]byte {
		some := maps.Clone(files)
		for ; n < size; n++ {
			delete(some, noted(n))
		}
		return some
	}
	heads, memories := map[int64]repository.Head{}, map[int64][]byte{}
	for n := int64(2); n < size; n++ {
		r := reopen(t, storing(t, upTo(n)), k)
		heads[n], memories[n] = r.Head(), r.Kept()
	}
	if len(heads) < 8 {
		t.Fatalf("only %d heads", len(heads))
	}
	done := map[string]int{}
	hows := []string{"delete", "cut", "double", "zero", "garbage", "swap", "old", "note again", "of another repository", "another repository", "cut the log", "roll back", "rewrite"}
	for i := range actions {
		how := hows[i%len(hows)]
		seen := heads[2+random.Int64N(size-2)]
		all := maps.Clone(files)
		name := names[random.IntN(len(names))]
		data := bytes.Clone(all[name])
		blamed := []string{name} // one of these
		switch how {
		case "delete":
			if name >= noted(seen.Size) && strings.HasPrefix(name, "log/") {
				name = noted(seen.Size - 1) // the log's end may be that of an hour ago, which nobody has seen
				blamed = nil
			}
			delete(all, name)
		case "cut":
			all[name] = data[:random.IntN(len(data))]
		case "double":
			all[name] = append(data, data...)
		case "zero":
			from := random.IntN(len(data))
			clear(data[from:])
			all[name] = data
			if bytes.Equal(data, files[name]) {
				all[name] = data[:from]
			}
		case "garbage":
			all[name] = append(data, fmt.Sprint(random.Uint64())...)
		case "swap":
			other := names[random.IntN(len(names))]
			for other == name {
				other = names[random.IntN(len(names))]
			}
			all[name], all[other] = all[other], all[name]
			blamed = append(blamed, other)
		case "old":
			n := 1 + random.Int64N(size-1)
			name = noted(n)
			all[name], blamed = all[noted(random.Int64N(n))], []string{name}
		case "note again":
			name = noted(size + random.Int64N(3))
			all[name], blamed = all[noted(random.Int64N(size))], nil
		case "of another repository":
			n := random.Int64N(size)
			name = noted(n)
			all[name], blamed = foreign[noted(n)], []string{name}
			if n == 0 {
				blamed = append(blamed, "repo.json") // the two do not fit
			}
		case "another repository":
			all, blamed = foreign, nil
		case "cut the log":
			all, blamed = upTo(1+random.Int64N(seen.Size-1)), nil
		case "roll back": // all of it, and no file is there that came later
			to := new(mem.Store)
			_, err := repository.Copy(t.Context(), storing(t, upTo(1+random.Int64N(seen.Size-1))), to, repository.CopyOptions{})
			must(t, err)
			all, blamed = contents(t, to), nil
		case "rewrite":
			s := storing(t, upTo(1+random.Int64N(seen.Size-1)))
			var kept []promise
			must(t, capture(t.Context(), t, s, k, &kept))
			for range random.IntN(int(size)) {
				_, err := reopen(t, s, k).Append(t.Context(), repository.KindPlan, 0, fmt.Append(nil, random.Uint64()))
				must(t, err)
			}
			all, blamed = contents(t, s), nil
		}
		done[how]++
		o := k.options()
		o.Seen = seen
		for _, o.Kept = range [][]byte{nil, memories[seen.Size]} {
			got := blame(t, storing(t, all), o, false)
			if len(got) == 0 {
				t.Errorf("%d: %s of %s is not found by who saw %d records, and kept %d bytes", i, how, name, seen.Size, len(o.Kept))
			} else if blamed != nil && !slices.ContainsFunc(blamed, func(name string) bool { return slices.Contains(got, name) }) && !errors.Is(opened(t, all, o), repository.ErrFormat) {
				t.Errorf("%d: %s of %s: blamed are %q: %v", i, how, name, got, opened(t, all, o))
			}
		}
	}
	for _, how := range hows {
		if done[how] < actions/len(hows) {
			t.Errorf("only %d times: %s", done[how], how)
		}
	}
	t.Logf("%d actions: %v", actions, done)
}

// opened is the error of opening a store of the files.
func opened(t *testing.T, files map[string][]byte, o repository.Options) error {
	_, err := repository.Open(t.Context(), storing(t, files), o)
	return err
}
