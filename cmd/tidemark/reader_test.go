package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/export"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store/file"
)

var update = flag.Bool("update", false, "write the goldens anew")

// TestASecondReaderAgrees has the reader in doc/reader, which knows doc/format.md and nothing of this program,
// write snapshots of random repositories out, and compares with export to the byte.
func TestASecondReaderAgrees(t *testing.T) {
	seeds := 4
	if long() {
		seeds = 60
	}
	compared, kinds := 0, map[repository.Kind]int{}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWriting(t, uint64(seed))
			for range 4 {
				w.snapshot()
				w.between()
			}
			for _, number := range w.numbers {
				w.agree(number)
				compared++
			}
			for rec, err := range w.repo.Records(t.Context(), 0) {
				w.must(err)
				kinds[rec.Kind]++
			}
		})
	}
	for _, k := range []repository.Kind{repository.KindEpoch, repository.KindHolder, repository.KindSigner, repository.KindOutcomes} {
		if kinds[k] == 0 {
			t.Errorf("no repository had a record of kind %s", k)
		}
	}
	if compared == 0 {
		t.Fatal("nothing was compared")
	}
	t.Logf("%d snapshots compared, of logs with %v", compared, kinds)
}

// agree holds what export writes of a snapshot against what the second reader writes.
func (w *writing) agree(number int64) {
	w.t.Helper()
	ours, theirs := filepath.Join(w.dir, fmt.Sprintf("ours%d", number)), filepath.Join(w.dir, fmt.Sprintf("theirs%d", number))
	w.export(number, ours)
	out, err := exec.CommandContext(w.t.Context(), "python3", "../../doc/reader/tidemark_reader.py", w.place, w.keyFile, fmt.Sprint(number), theirs).CombinedOutput() //nolint:gosec // our own script
	if err != nil {
		w.t.Fatalf("snapshot %d: %v\n%s", number, err, out)
	}
	if d := cmp.Diff(files(w.t, ours), files(w.t, theirs)); d != "" {
		w.t.Fatalf("snapshot %d: export (-) and the second reader (+) differ:\n%s", number, d)
	}
}

// A repository that began in the first format goes on in the newest: both readers read all of it, and every root is right
// by the rule of its time.
func TestARepositoryOfTheFirstFormatGoesOn(t *testing.T) {
	w := &writing{t: t, rand: rand.New(rand.NewPCG(11, 7)), dir: t.TempDir(), now: time.Date(2026, 12, 4, 5, 6, 7, 0, time.UTC)} //nolint:gosec // a test
	w.place, w.keyFile = filepath.Join(w.dir, "repository"), "testdata/format1/identity.txt"
	w.must(os.CopyFS(w.place, os.DirFS("testdata/format1/repository")))
	text, err := os.ReadFile(w.keyFile)
	w.must(err)
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	w.must(err)
	w.keys, _ = ids[0].(*age.X25519Identity)
	st, err := file.Open(w.place)
	w.must(err)
	signer, err := repository.GenerateSigner("new-machine")
	w.must(err)
	w.repo, err = repository.Open(t.Context(), st, repository.Options{Identities: ids, Signer: signer, Now: w.clock})
	w.must(err)
	w.must(w.repo.Admit(t.Context(), signer))
	w.index, err = index.Open(t.Context(), ":memory:", history.Kept())
	w.must(err)
	defer func() { w.must(w.index.Close()) }()
	w.must(w.index.Update(t.Context(), w.repo))
	first, err := w.index.Latest(t.Context())
	w.must(err)
	w.numbers = []int64{first.Number}
	for range 2 {
		w.snapshot()
	}
	for f, err := range w.repo.Check(t.Context(), true) {
		t.Errorf("check: %+v, %v", f, err)
	}
	for _, number := range w.numbers {
		w.agree(number)
	}
	formats := map[int64]int{}
	for rec, err := range w.repo.Records(t.Context(), 0) {
		w.must(err)
		for l, err := range w.repo.Replay(t.Context(), rec) {
			w.must(err)
			if s, ok := l.(repository.Snapshot); ok {
				formats[s.Format]++
			}
		}
	}
	if formats[1] == 0 || formats[2] != 2 {
		t.Errorf("snapshots by format: %v", formats)
	}
}

// The second reader refuses what was damaged.
func TestASecondReaderRefusesDamage(t *testing.T) {
	w := newWriting(t, 99)
	w.snapshot()
	w.between()
	w.snapshot()
	flipped := 0
	err := filepath.WalkDir(w.place, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		good, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		bad := bytes.Clone(good)
		bad[w.rand.IntN(len(bad))] ^= 1 << w.rand.IntN(8)
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			return err
		}
		to := filepath.Join(t.TempDir(), "out")
		out, err := exec.CommandContext(t.Context(), "python3", "../../doc/reader/tidemark_reader.py", w.place, w.keyFile, fmt.Sprint(w.numbers[len(w.numbers)-1]), to).CombinedOutput() //nolint:gosec // our own script
		if _, failed := err.(*exec.ExitError); !failed {
			t.Errorf("a bit of %s was flipped, and nobody noticed: %v\n%s", path, err, out)
		}
		flipped++
		return os.WriteFile(path, good, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if flipped < 6 {
		t.Fatalf("only %d files", flipped)
	}
}

// A writing is a random repository being written.
type writing struct {
	t       *testing.T
	rand    *rand.Rand
	dir     string
	place   string
	keyFile string
	keys    *age.X25519Identity
	repo    *repository.Repository
	index   *index.Index
	now     time.Time
	numbers []int64
}

func newWriting(t *testing.T, seed uint64) *writing {
	t.Helper()
	w := &writing{t: t, rand: rand.New(rand.NewPCG(seed, 7)), dir: t.TempDir(), now: time.Date(2026, 3, 4, 5, 6, 7, 891011, time.UTC)} //nolint:gosec // a test
	w.place, w.keyFile = filepath.Join(w.dir, "repository"), filepath.Join(w.dir, "identity.txt")
	var err error
	w.keys, err = age.GenerateX25519Identity()
	w.must(err)
	w.must(os.WriteFile(w.keyFile, []byte(w.keys.String()+"\n"), 0o600))
	other, err := age.GenerateX25519Identity()
	w.must(err)
	w.must(os.Mkdir(w.place, 0o700))
	st, err := file.Open(w.place)
	w.must(err)
	signer, err := repository.GenerateSigner("test")
	w.must(err)
	_, err = repository.Init(t.Context(), st, repository.InitOptions{Tenant: entra.Tenant{ID: "8f1c0c1e-0000-4000-8000-000000000001", Name: "Ünïcode & <co>"},
		Holders: []string{other.Recipient().String(), w.keys.Recipient().String()}, Now: w.clock, Signer: signer})
	w.must(err)
	w.repo, err = repository.Open(t.Context(), st, repository.Options{Identities: []age.Identity{w.keys}, Signer: signer, Now: w.clock})
	w.must(err)
	w.index, err = index.Open(t.Context(), ":memory:", history.Kept())
	w.must(err)
	t.Cleanup(func() { w.must(w.index.Close()) })
	w.must(w.index.Update(t.Context(), w.repo))
	return w
}

func (w *writing) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

func (w *writing) clock() time.Time {
	w.now = w.now.Add(time.Duration(w.rand.IntN(1e9)) * 7)
	return w.now
}

// nasty are IDs and texts that have to survive.
var nasty = []string{"plain", "8f1c0c1e-0000-4000-8000-00000000000a", "con", "nul.json", "../../etc/passwd", "a/b%2Fc", "Mixed-Case_ID", "mixed-case_id", "trailing.", ".hidden",
	"quote\"back\\slash", "line\nfeed\ttab\u0001\u007f", "\u2028<&>é€😀", `","h":"` + "0000", "contoso.example", "x y", "—", "~", "_"}

func (w *writing) ref() entra.Ref {
	types := []entra.Type{"user", "group", "administrativeUnit", "domain"}
	id := nasty[w.rand.IntN(len(nasty))]
	if w.rand.IntN(2) == 0 {
		id = fmt.Sprintf("%s-%d", id, w.rand.IntN(6))
	}
	return entra.Ref{Type: types[w.rand.IntN(len(types))], ID: entra.ID(id)}
}

func (w *writing) body() entra.Body {
	m := map[string]any{"displayName": nasty[w.rand.IntN(len(nasty))], "n": json.Number([]string{"0", "-1", "1e400", "9007199254740993", "1.50"}[w.rand.IntN(5)])}
	for i := range w.rand.IntN(4) {
		m[fmt.Sprint(i, nasty[w.rand.IntN(len(nasty))])] = []any{map[string]any{}, []any{}, true, nasty[w.rand.IntN(len(nasty))]}[w.rand.IntN(4)]
	}
	raw, err := json.Marshal(m)
	w.must(err)
	b, err := entra.Canonical(raw)
	w.must(err)
	return b
}

func (w *writing) snapshot() {
	ctx := w.t.Context()
	var parent snapshot.Base
	if len(w.numbers) > 0 {
		tree, err := w.index.Tree(ctx, w.repo, w.numbers[len(w.numbers)-1])
		w.must(err)
		parent = tree
	}
	x, err := w.repo.Begin(ctx, parent, w.clock())
	w.must(err)
	for range 30 {
		w.must(x.Put(ctx, entra.Object{Ref: w.ref(), Body: w.body()}))
	}
	for range 60 {
		from := w.ref()
		w.must(x.Link(ctx, entra.Link{From: from, Rel: []string{"members", "owners"}[w.rand.IntN(2)], To: w.ref()}))
	}
	if w.rand.IntN(3) == 0 { // more links than one line takes
		from := w.ref()
		for i := range 1200 {
			w.must(x.Link(ctx, entra.Link{From: from, Rel: "members", To: entra.Ref{Type: "user", ID: entra.ID(fmt.Sprint(w.rand.IntN(5000), i%3))}}))
		}
	}
	if w.rand.IntN(2) == 0 {
		w.must(x.Gone(ctx, w.ref()))
		w.must(x.Audit(ctx, []byte(`{"id":"1","activityDateTime":"2026-03-04T05:06:07Z"}`)))
	}
	for _, t := range []entra.Type{"user", "group", "administrativeUnit", "domain"} {
		for _, rel := range []string{"", "members", "owners"} {
			p := snapshot.Part{Type: t, Relation: rel, Coverage: snapshot.Coverage(w.rand.IntN(int(snapshot.Complete) + 1)), Version: "v1.0"}
			if w.rand.IntN(2) == 0 {
				p.Coverage = snapshot.Complete
			}
			if p.Coverage != snapshot.Complete {
				p.Reason = nasty[w.rand.IntN(len(nasty))]
			}
			if w.rand.IntN(3) == 0 {
				p.Asked, p.Holes = []string{"displayName", "n"}, []entra.Ref{{Type: t, ID: "a/b%2Fc"}}
			}
			w.must(x.End(ctx, p, p.Coverage == snapshot.Complete && w.rand.IntN(3) > 0))
		}
	}
	taken, err := x.Commit(ctx)
	w.must(err)
	w.numbers = append(w.numbers, taken.Number)
	w.must(w.index.Update(ctx, w.repo))
}

// between appends what else a log holds.
func (w *writing) between() {
	ctx := w.t.Context()
	switch w.rand.IntN(4) {
	case 0:
		_, err := w.repo.Rotate(ctx, []age.Recipient{w.keys.Recipient()})
		w.must(err)
	case 1:
		signer, err := repository.GenerateSigner(fmt.Sprintf("machine-%d", w.rand.IntN(1000)))
		w.must(err)
		w.must(w.repo.Admit(ctx, signer))
	case 2:
		other, err := age.GenerateX25519Identity()
		w.must(err)
		_, err = w.repo.AddHolder(ctx, w.repo.Epoch(), other.Recipient())
		w.must(err)
	}
	plan, err := w.repo.Append(ctx, repository.KindPlan, w.numbers[0], []byte("{}"))
	w.must(err)
	ids := map[string]string{}
	for range 3 {
		old, to := w.ref(), w.ref()
		to.Type = old.Type
		ids[old.String()] = to.String()
	}
	data, err := json.Marshal(map[string]any{"results": []any{}, "ids": ids})
	w.must(err)
	_, err = w.repo.Append(ctx, repository.KindOutcomes, plan.Number, data)
	w.must(err)
	w.must(w.index.Update(ctx, w.repo))
}

func (w *writing) export(number int64, dir string) {
	ctx := context.WithoutCancel(w.t.Context())
	tree, err := w.index.Tree(ctx, w.repo, number)
	w.must(err)
	aliases, err := w.index.Aliases(ctx)
	w.must(err)
	w.must(os.Mkdir(dir, 0o700))
	root, err := os.OpenRoot(dir)
	w.must(err)
	_, err = export.JSON(ctx, root, tree, export.Options{Aliases: aliases})
	w.must(err)
	w.must(root.Close())
}

// files returns what a folder holds, by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		all[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Repositories of every format so far lie in testdata and open for ever. A new one is written there by
// `go test ./cmd/tidemark -run EveryFormat -update` when the format's number grows, and never again.
func TestRepositoriesOfEveryFormatOpen(t *testing.T) {
	const newest = "testdata/format2"
	if *update {
		if _, err := os.Stat(newest); err == nil {
			t.Fatalf("%s is there, and stays as it is", newest)
		}
		w := newWriting(t, 1)
		for range 3 {
			w.snapshot()
			w.between()
		}
		for from, to := range map[string]string{w.place: newest + "/repository", w.keyFile: newest + "/identity.txt"} {
			w.must(os.MkdirAll(newest, 0o750))
			out, err := exec.CommandContext(t.Context(), "cp", "-r", from, to).CombinedOutput() //nolint:gosec // our own folders
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		w.export(w.numbers[2], newest+"/want")
	}
	dirs, err := filepath.Glob("testdata/format*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no repositories: %v", err)
	}
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, "identity.txt"))
		if err != nil {
			t.Fatal(err)
		}
		w := &writing{t: t, dir: t.TempDir()}
		ids, err := age.ParseIdentities(bytes.NewReader(text))
		w.must(err)
		st, err := file.Open(filepath.Join(dir, "repository"))
		w.must(err)
		w.repo, err = repository.Open(t.Context(), st, repository.Options{Identities: ids})
		w.must(err)
		for f, err := range w.repo.Check(t.Context(), true) {
			t.Errorf("%s: check: %+v, %v", dir, f, err)
		}
		w.index, err = index.Open(t.Context(), ":memory:", history.Kept())
		w.must(err)
		w.must(w.index.Update(t.Context(), w.repo))
		latest, err := w.index.Latest(t.Context())
		w.must(err)
		out := filepath.Join(w.dir, "out")
		w.export(latest.Number, out)
		if d := cmp.Diff(files(t, filepath.Join(dir, "want")), files(t, out)); d != "" {
			t.Errorf("%s reads otherwise than it did (-):\n%s", dir, d)
		}
		w.must(w.index.Close())
	}
}
