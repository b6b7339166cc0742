package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/export"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// nasty are IDs that some system would take for something else than a name.
var nasty = []entra.ID{
	"8f1c0c1e-0000-4000-8000-000000000001", "a", "A", "..", ".", "../../etc/passwd", "/etc/passwd", "a/b%2Fc", `a\b`, "a_b", "a b", "con", "CON", "con.json",
	"nul", "lpt1.x.y", "com10", "console", "trailing.", "trailing ", ".hidden", "-rf", "_a~ca978112ca1bbdca", "~", "é", "e\u0301", "\u212a", "k", "K", "line\nfeed", "nul\x00", "\u202egnp",
	entra.ID(strings.Repeat("x", 100)), entra.ID(strings.Repeat("x", 101)), entra.ID(strings.Repeat("x", 101) + "y"), entra.ID(strings.Repeat("é", 300)),
}

var (
	nameForm   = regexp.MustCompile(`^[a-z0-9_][a-z0-9._~-]*\.json$`)
	deviceForm = regexp.MustCompile(`^(con|prn|aux|nul|com[0-9]|lpt[0-9])\.`)
)

func FuzzFileName(f *testing.F) {
	for i, id := range nasty {
		f.Add(string(id), string(nasty[(i+1)%len(nasty)]))
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err := export.FileName(entra.Ref{Type: "user", ID: entra.ID(a)})
		if err != nil {
			t.Fatal(err)
		}
		dir, name := path.Split(x)
		if dir != "user/" || !nameForm.MatchString(name) || deviceForm.MatchString(name) || len(name) > 110 || !filepath.IsLocal(filepath.FromSlash(x)) {
			t.Errorf("%q is written to %q", a, x)
		}
		y, err := export.FileName(entra.Ref{Type: "user", ID: entra.ID(b)})
		if err != nil {
			t.Fatal(err)
		}
		if (a == b) != strings.EqualFold(x, y) {
			t.Errorf("%q is written to %q, %q to %q", a, x, b, y)
		}
	})
}

func TestNoTwoIDsShareAFile(t *testing.T) {
	names := map[string]entra.ID{}
	for _, id := range nasty {
		name, err := export.FileName(entra.Ref{Type: "user", ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := names[strings.ToLower(name)]; ok {
			t.Errorf("%q and %q are both written to %s", id, other, name)
		}
		names[strings.ToLower(name)] = id
	}
}

func TestATypeThatIsNoWordIsRefused(t *testing.T) {
	for _, typ := range []entra.Type{"", "..", ".", "a/b", "a.b", "con", "LPT1", "1a", "a b", "é", entra.Type(strings.Repeat("a", 101))} {
		if name, err := export.FileName(entra.Ref{Type: typ, ID: "1"}); err == nil {
			t.Errorf("%q is written to %q", typ, name)
		}
	}
}

// random returns a tree, some of whose links start at objects that were not seen.
func random(t *testing.T, seed uint64) *snapshot.Memory {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	ref := func() entra.Ref {
		return entra.Ref{Type: []entra.Type{"device", "group", "user"}[r.IntN(3)], ID: nasty[r.IntN(len(nasty))]}
	}
	var objects []entra.Object
	for range r.IntN(1200) { // more than are read at a time, often
		body, err := entra.Encode(map[string]any{"displayName": string(nasty[r.IntN(len(nasty)-2)]), "list": []any{}, "map": map[string]any{}, "n": entra.Number("1.50")})
		if err != nil {
			t.Fatal(err)
		}
		o := entra.Object{Ref: ref(), Body: body}
		if r.IntN(3) > 0 {
			o.Ref.ID = entra.ID(fmt.Sprint(o.Ref.ID, r.IntN(1000)))
		}
		objects = append(objects, o)
	}
	var links []entra.Link
	for range r.IntN(200) {
		links = append(links, entra.Link{From: ref(), Rel: []string{"members", "owners"}[r.IntN(2)], To: ref()})
	}
	s := &snapshot.Snapshot{Number: 7, Tenant: "t", Began: time.Unix(1, 5).UTC(), Ended: time.Unix(2, 0).UTC()}
	for _, typ := range []entra.Type{"device", "group", "user"} {
		for _, rel := range []string{"", "members", "owners"} {
			s.Parts = append(s.Parts, snapshot.Part{Type: typ, Relation: rel, Coverage: snapshot.Coverage(r.IntN(int(snapshot.Complete) + 1))})
		}
	}
	return snapshot.NewMemory(s, nil, objects, links)
}

// A file is an object's file.
type objectFile struct {
	Type    entra.Type             `json:"type"`
	ID      entra.ID               `json:"id"`
	Version string                 `json:"version"`
	Body    json.RawMessage        `json:"body"`
	Links   map[string][]entra.Ref `json:"links"`
}

// write exports into a new folder and returns the folder.
func write(t *testing.T, tree snapshot.Tree, o export.Options) (string, export.Count, error) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	count, err := export.JSON(t.Context(), root, tree, o)
	return dir, count, err
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))) //nolint:gosec // below a test's folder
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// read turns files back into objects and links.
func read(t *testing.T, all map[string]string) (map[entra.Ref]entra.Body, map[entra.Link]bool) {
	t.Helper()
	objects, links := map[entra.Ref]entra.Body{}, map[entra.Link]bool{}
	for name, text := range all {
		if name == export.Manifest {
			continue
		}
		var f objectFile
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := entra.Ref{Type: f.Type, ID: f.ID}
		if want, err := export.FileName(r); err != nil || want != name {
			t.Errorf("%s lies at %s, want %s", r, name, want)
		}
		if f.Body != nil {
			var b bytes.Buffer
			if err := json.Compact(&b, f.Body); err != nil {
				t.Fatal(err)
			}
			objects[r] = entra.Body(b.String())
			if v := objects[r].Version().String(); v != f.Version {
				t.Errorf("%s says version %s, its body is %s", r, f.Version, v)
			}
		}
		for rel, to := range f.Links {
			if !slices.IsSortedFunc(to, entra.Ref.Compare) || len(to) == 0 {
				t.Errorf("%s: %s: %v", name, rel, to)
			}
			for _, x := range to {
				links[entra.Link{From: r, Rel: rel, To: x}] = true
			}
		}
	}
	return objects, links
}

// held returns what a tree holds and the options ask for.
func held(t *testing.T, tree snapshot.Tree, o export.Options) (map[entra.Ref]entra.Body, map[entra.Link]bool) {
	t.Helper()
	objects, links := map[entra.Ref]entra.Body{}, map[entra.Link]bool{}
	for _, p := range tree.Snapshot().Parts {
		if o.Types != nil && !slices.Contains(o.Types, p.Type) {
			continue
		}
		if p.Relation == "" {
			for e := range tree.Entries(t.Context(), p.Type) {
				x, err := tree.Object(t.Context(), e.Ref)
				if err != nil {
					t.Fatal(err)
				}
				if o.Keep == nil || o.Keep(e.Ref) {
					objects[e.Ref] = x.Body
				}
			}
			continue
		}
		for l := range tree.Links(t.Context(), p.Type, p.Relation) {
			if (o.Keep == nil || o.Keep(l.From)) && (o.Link == nil || o.Link(l)) {
				links[l] = true
			}
		}
	}
	return objects, links
}

// What is read back from the files is what the tree holds of the selection, and the counts say how much.
func TestFilesHoldTheTree(t *testing.T) {
	selections := map[string]export.Options{
		"all":     {},
		"types":   {Types: []entra.Type{"group"}},
		"objects": {Keep: func(r entra.Ref) bool { return len(r.ID)%2 == 0 }},
		"links":   {Link: func(l entra.Link) bool { return l.Rel == "owners" }},
		"both":    {Types: []entra.Type{"user", "group"}, Keep: func(r entra.Ref) bool { return r.Type == "user" }, Link: func(l entra.Link) bool { return l.To.Type == "user" }},
	}
	seenLinks, bare := 0, 0
	for name, o := range selections {
		for seed := range uint64(6) {
			tree := random(t, seed)
			dir, count, err := write(t, tree, o)
			if err != nil {
				t.Fatal(err)
			}
			all := files(t, dir)
			objects, links := read(t, all)
			wantObjects, wantLinks := held(t, tree, o)
			if d := cmp.Diff(wantObjects, objects); d != "" {
				t.Errorf("%s, seed %d: objects (-tree +files):\n%s", name, seed, d)
			}
			if d := cmp.Diff(wantLinks, links); d != "" {
				t.Errorf("%s, seed %d: links (-tree +files):\n%s", name, seed, d)
			}
			if want := (export.Count{Objects: int64(len(objects)), Links: int64(len(links)), Files: int64(len(all))}); count != want {
				t.Errorf("%s, seed %d: counted %+v, want %+v", name, seed, count, want)
			}
			seenLinks, bare = seenLinks+len(links), bare+len(all)-1-len(objects)
			var m struct {
				Whole bool
				Parts []struct {
					Type     entra.Type
					Relation string
					Coverage snapshot.Coverage
				}
			}
			if err := json.Unmarshal([]byte(all[export.Manifest]), &m); err != nil {
				t.Fatal(err)
			}
			if m.Whole != (o.Keep == nil && o.Link == nil) {
				t.Errorf("%s: the manifest says whole: %t", name, m.Whole)
			}
			for _, p := range m.Parts {
				if p.Coverage != tree.Snapshot().Part(p.Type, p.Relation).Coverage {
					t.Errorf("%s, seed %d: %s %s is said to be %s", name, seed, p.Type, p.Relation, p.Coverage)
				}
			}
			if o.Types == nil && len(m.Parts) != len(tree.Snapshot().Parts) {
				t.Errorf("%s: %d parts in the manifest", name, len(m.Parts))
			}
		}
	}
	if seenLinks == 0 || bare == 0 {
		t.Fatalf("%d links, %d files without a body", seenLinks, bare)
	}
}

// The same tree gives the same files, whether its objects are read one by one or many at a time.
func TestTheSameTreeGivesTheSameFiles(t *testing.T) {
	tree := random(t, 3)
	aliases := map[entra.Ref]entra.Ref{}
	for i := range 20 {
		aliases[entra.Ref{Type: "user", ID: entra.ID(fmt.Sprint(i))}] = entra.Ref{Type: "user", ID: entra.ID(fmt.Sprint("new", i))}
	}
	one, _, err := write(t, tree, export.Options{Aliases: aliases})
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := write(t, many{tree}, export.Options{Aliases: aliases})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(files(t, one), files(t, two)); d != "" {
		t.Error(d)
	}
}

// many is a tree that reads many objects at once.
type many struct{ *snapshot.Memory }

func (m many) Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		for _, r := range refs {
			if o, err := m.Object(ctx, r); !yield(o, err) {
				return
			}
		}
	}
}

func TestAFolderThatIsNotEmptyIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".keep"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if _, err := export.JSON(t.Context(), root, random(t, 1), export.Options{}); !errors.Is(err, export.ErrNotEmpty) {
		t.Errorf("error %v", err)
	}
	if d := cmp.Diff(map[string]string{".keep": "mine"}, files(t, dir)); d != "" {
		t.Error(d)
	}
}

// broken is a tree that fails at an object, or within a listing.
type broken struct {
	*snapshot.Memory
	object, entries, links bool
}

var errBroken = errors.New("broken")

func (b broken) Object(ctx context.Context, r entra.Ref) (entra.Object, error) {
	if b.object && r.Type == "user" {
		return entra.Object{}, errBroken
	}
	return b.Memory.Object(ctx, r)
}

func (b broken) Entries(ctx context.Context, t entra.Type) iter.Seq2[snapshot.Entry, error] {
	if !b.entries || t != "user" {
		return b.Memory.Entries(ctx, t)
	}
	return cutShort(b.Memory.Entries(ctx, t))
}

func (b broken) Links(ctx context.Context, t entra.Type, rel string) iter.Seq2[entra.Link, error] {
	if !b.links || t != "user" {
		return b.Memory.Links(ctx, t, rel)
	}
	return cutShort(b.Memory.Links(ctx, t, rel))
}

// cutShort yields the first pair, then an error.
func cutShort[T any](all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for x, err := range all {
			if !yield(x, err) {
				return
			}
			break
		}
		var zero T
		yield(zero, errBroken)
	}
}

// A tree that cannot be read is an error, and no manifest says that the folder is whole.
func TestAFailureLeavesNoManifest(t *testing.T) {
	for name, b := range map[string]broken{"object": {object: true}, "entries": {entries: true}, "links": {links: true}} {
		b.Memory = random(t, 2)
		dir, _, err := write(t, b, export.Options{})
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, ok := files(t, dir)[export.Manifest]; ok {
			t.Errorf("%s: a manifest is there", name)
		}
	}
}
