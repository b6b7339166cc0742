package index_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/store/file"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
)

// BenchmarkManySnapshots asks a repository of 5,000 snapshots what it asks one of 100, or a twentieth of both below the full
// size. What only names a few of them takes no longer for there being many. Opening without what was kept of
// the log reads each note, and a list is as long as it is: for these it gives the time for each snapshot.
func BenchmarkManySnapshots(b *testing.B) {
	few, many := 5, 250
	if long() {
		few, many = 100, 5000
	}
	for b.Loop() {
		var archives [2]*archive
		for i, n := range []int{few, many} {
			c := newCrowd(1, 0.02)
			t, err := c.record(filepath.Join(b.TempDir(), "tape"))
			if err != nil {
				b.Fatal(err)
			}
			a := newArchive(b, &mem.Store{})
			a.first(c, t)
			t.file.Close()
			a.fill()
			for k := 1; k < n; k++ {
				a.next(c, c.change(k, 2, 4))
				a.fill()
			}
			archives[i] = a
		}
		// Of objects that nothing happened to the life is as long in both.
		var calm []entra.Ref
		c := newCrowd(1, 0.02)
		for n := range c.counts[principals] {
			ref := c.ref(one{principals, n})
			if moments, err := archives[1].x.Moments(b.Context(), ref); err != nil {
				b.Fatal(err)
			} else if len(moments) == 1 {
				calm = append(calm, ref)
			}
		}
		if len(calm) == 0 {
			b.Fatal("everything has changed")
		}
		r := rand.New(rand.NewPCG(7, 7))
		for _, q := range []struct {
			name string
			each bool // the time is for each snapshot
			do   func(a *archive)
		}{
			{"open", true, func(a *archive) {
				again, err := repository.Open(a.ctx, a.store, a.o)
				a.must(err)
				a.r = again
			}},
			{"list", true, func(a *archive) {
				all, err := a.x.Tallies(a.ctx, 0)
				a.must(err)
				if len(all) != len(a.all) {
					b.Fatalf("%d snapshots, want %d", len(all), len(a.all))
				}
			}},
			{"diff", false, func(a *archive) {
				numbers, err := a.x.Numbers(a.ctx)
				a.must(err)
				n := len(numbers)
				for _, err := range diff.Trees(a.ctx, a.tree(numbers[n-2]), a.tree(numbers[n-1]), diff.Options{}) {
					a.must(err)
				}
			}},
			{"history", false, func(a *archive) {
				for _, err := range history.Of(a.ctx, history.Stored(a.x, a.r), calm[r.IntN(len(calm))]) {
					a.must(err)
				}
			}},
		} {
			times := [2][]float64{}
			for range 41 {
				for i, a := range archives {
					took := time.Now()
					q.do(a)
					t := time.Since(took).Seconds()
					if q.each {
						t /= float64(len(a.all))
					}
					times[i] = append(times[i], t)
				}
			}
			was, is := median(times[0]), median(times[1])
			b.Logf("%s: %.3f ms with %d snapshots, %.3f ms with %d", q.name, 1e3*was, few, 1e3*is, many)
			limit(b, "x-"+q.name, is/was, 2)
		}
	}
}

// BenchmarkAgainstFiles keeps the same data as pretty-printed JSON in git, one file for each object and one for the members of
// each group, which is what people do without a program for it.
func BenchmarkAgainstFiles(b *testing.B) {
	if _, err := exec.LookPath("git"); err != nil {
		b.Fatal("git is not installed, and the comparison is with it")
	}
	times, smaller, less, faster := 0.02, 3.0, 5.0, 1.0
	if long() {
		times, smaller, less, faster = 1, 4, 100, 50
	}
	for b.Loop() {
		c := newCrowd(1, times)
		t, err := c.record(filepath.Join(b.TempDir(), "tape"))
		if err != nil {
			b.Fatal(err)
		}
		s, err := file.Open(filepath.Join(b.TempDir(), "store"))
		if err != nil {
			b.Fatal(err)
		}
		a := newArchive(b, s)
		defer s.Close()
		first := seconds(func() { a.first(c, t) })
		t.file.Close()
		a.fill()
		f := &files{b: b, c: c, dir: b.TempDir()}
		f.git("init", "-q")
		writing := seconds(func() {
			for s, n := range c.counts {
				for i := range n {
					f.object(one{s, i})
				}
			}
			for k := range c.members {
				f.group(k)
			}
		})
		committing := seconds(f.commit)
		mine, theirs := a.size(a.records()[0]), f.size()
		b.Logf("%d files: git takes %.1f MB in %.1f s and %.1f s to write them, archive %.1f MB in %.1f s", f.n, float64(theirs)/1e6, committing, writing, float64(mine)/1e6, first)
		if got := float64(theirs) / float64(mine); got < smaller {
			b.Errorf("the archive is %.2f times smaller than files in git, want %.0f", got, smaller)
		} else {
			b.ReportMetric(got, "x-smaller")
		}
		var sizes, quick []float64
		for n := range 3 {
			turn := c.change(n+1, 226, 1000)
			took := seconds(func() { a.next(c, turn) })
			records := a.records()
			size := a.size(records[len(records)-1])
			a.fill()
			writing := seconds(func() { f.turn(turn) })
			before := theirs
			committing := seconds(f.commit)
			theirs = f.size()
			b.Logf("increment: git takes %.1f KB in %.2f s and %.2f s to write files, archive %.1f KB in %.3f s", float64(theirs-before)/1e3, committing, writing, float64(size)/1e3, took)
			sizes = append(sizes, float64(theirs-before)/float64(size))
			quick = append(quick, committing/took)
		}
		b.ReportMetric(median(sizes), "x-less")
		b.ReportMetric(median(quick), "x-faster")
		if got := median(sizes); got < less {
			b.Errorf("an increment is %.1f times smaller, want %.0f", got, less)
		}
		if got := median(quick); got < faster {
			b.Errorf("an increment is %.1f times faster, want %.0f", got, faster)
		}
	}
}

// files is a tenant as files in git.
type files struct {
	b   *testing.B
	c   *crowd
	dir string
	n   int
}

func (f *files) git(args ...string) {
	f.b.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a")
	if out, err := cmd.CombinedOutput(); err != nil {
		f.b.Fatalf("git %s: %v\n%s", args[0], err, out)
	}
}

func (f *files) commit() {
	f.git("add", "-A")
	f.git("-c", "gc.auto=0", "commit", "-q", "-m", "snapshot")
}

// size is what git keeps.
func (f *files) size() (n int64) {
	f.b.Helper()
	err := filepath.WalkDir(filepath.Join(f.dir, ".git", "objects"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		f.b.Fatal(err)
	}
	return n
}

func (f *files) path(o one, name string) string {
	return filepath.Join(f.dir, string(kinds[o.kind].t), string(f.c.ref(o).ID), name)
}

func (f *files) write(path string, raw []byte) {
	var pretty bytes.Buffer
	err := errors.Join(json.Indent(&pretty, raw, "", "  "), os.MkdirAll(filepath.Dir(path), 0o700))
	if err == nil {
		err = os.WriteFile(path, pretty.Bytes(), 0o600)
	}
	if err != nil {
		f.b.Fatal(err)
	}
	f.n++
}

func (f *files) object(o one) {
	body, err := entra.Canonical(f.c.tell(nil, o))
	if err != nil {
		f.b.Fatal(err)
	}
	f.write(f.path(o, "object.json"), []byte(body))
}

// group writes the members of a group, in the order of their IDs.
func (f *files) group(k int) {
	var ids []string
	for _, u := range f.c.members[k] {
		if o := (one{users, int(u)}); !f.c.gone[o] {
			ids = append(ids, string(f.c.ref(o).ID))
		}
	}
	slices.Sort(ids)
	raw, err := json.Marshal(ids)
	if err != nil {
		f.b.Fatal(err)
	}
	f.write(f.path(one{groups, k}, "members.json"), raw)
}

// turn writes what a turn changes.
func (f *files) turn(t turn) {
	for _, o := range t.put {
		f.object(o)
	}
	for _, o := range t.gone {
		if err := os.RemoveAll(filepath.Dir(f.path(o, "object.json"))); err != nil {
			f.b.Fatal(err)
		}
	}
	touched := map[entra.ID]bool{}
	for _, l := range append(t.link, t.relinks...) {
		touched[l.From.ID] = true
	}
	for k := range f.c.members {
		if id := f.c.ref(one{groups, k}).ID; touched[id] {
			f.group(k)
		}
	}
}

// rebuildIn is the environment variable that makes the test's process fill an index from the repository in a folder, and
// say how much memory that took at most.
const rebuildIn = "TIDEMARK_TEST_REBUILD"

// rebuild is the process that BenchmarkRebuild starts.
func rebuild(dir string) error {
	s, err := file.Open(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	defer s.Close()
	secret, err := os.ReadFile(filepath.Join(dir, "identity"))
	if err != nil {
		return err
	}
	identity, err := age.ParseX25519Identity(string(secret))
	if err != nil {
		return err
	}
	ctx := context.Background()
	r, err := repository.Open(ctx, s, repository.Options{Identities: []age.Identity{identity}})
	if err != nil {
		return err
	}
	x, err := index.Open(ctx, filepath.Join(dir, "index.db"), history.Kept())
	if err != nil {
		return err
	}
	if err := errors.Join(x.Update(ctx, r), x.Close()); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Print(strings.Fields(rest)[0])
			return nil
		}
	}
	return errors.New("the system does not tell the peak of memory")
}

// BenchmarkRebuild fills an index of a million objects and five million links in a process of its own, within 512 MiB; of a
// fiftieth of them below the full size, within what the empty process and the caches take.
func BenchmarkRebuild(b *testing.B) {
	times, most := 0.1, 320.0
	if long() {
		times, most = 4.45, 512
	}
	for b.Loop() {
		dir := b.TempDir()
		s, err := file.Open(filepath.Join(dir, "store"))
		if err != nil {
			b.Fatal(err)
		}
		a := newArchive(b, s)
		c := newCrowd(1, times)
		more := rand.New(rand.NewPCG(3, 3))
		for k := len(c.members) - 1; c.links < int(5_000_000*times/4.45); k = max(k-1, 1) { // more members for the small ones
			for range 8 {
				c.members[k] = append(c.members[k], uint32(more.IntN(c.counts[users])))
				c.links++
			}
		}
		t, err := c.record(filepath.Join(b.TempDir(), "tape"))
		if err != nil {
			b.Fatal(err)
		}
		snap := a.first(c, t)
		if err := errors.Join(t.file.Close(), s.Close(), os.WriteFile(filepath.Join(dir, "identity"), []byte(a.identity.String()), 0o600)); err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), rebuildIn+"="+dir)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		took := seconds(func() { err = cmd.Run() })
		if err != nil {
			b.Fatalf("%v\n%s", err, errs.String())
		}
		kib, err := strconv.Atoi(out.String())
		if err != nil {
			b.Fatal(err)
		}
		var used time.Duration
		if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			used = time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
		b.Logf("%d objects, %d links: %.1f s, %.1f s of the processors, peak %d MiB", c.objects(), snap.Part(kinds[groups].t, "members").Links, took, used.Seconds(), kib>>10)
		limit(b, "peak-MiB", float64(kib)/1024, most)
	}
}
