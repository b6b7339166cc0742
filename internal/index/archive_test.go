package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
)

// long reports whether the full sizes are asked for.
func long() bool { return os.Getenv("TIDEMARK_LONG") != "" }

// An archive is a repository that a crowd is kept in, with its index.
type archive struct {
	t        testing.TB
	ctx      context.Context
	store    store.Store
	identity *age.X25519Identity
	o        repository.Options
	r        *repository.Repository
	x        *index.Index
	path     string // of the index
	now      time.Time
	all      []*snapshot.Snapshot
}

func newArchive(t testing.TB, s store.Store) *archive {
	t.Helper()
	a := &archive{t: t, ctx: t.Context(), store: s, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	a.identity, err = age.GenerateX25519Identity()
	a.must(err)
	signer, err := repository.GenerateSigner("test")
	a.must(err)
	clock := func() time.Time { return a.now }
	_, err = repository.Init(a.ctx, s, repository.InitOptions{Tenant: entra.Tenant{ID: "11111111-2222-3333-4444-555555555555", Name: "test"},
		Holders: []string{a.identity.Recipient().String()}, Now: clock, Signer: signer})
	a.must(err)
	a.o = repository.Options{Identities: []age.Identity{a.identity}, Signer: signer, Now: clock}
	a.r, err = repository.Open(a.ctx, s, a.o)
	a.must(err)
	return a
}

func (a *archive) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// fill makes the index.
func (a *archive) fill() {
	a.t.Helper()
	if a.x == nil {
		var err error
		a.path = filepath.Join(a.t.TempDir(), "index.db")
		a.x, err = index.Open(a.ctx, a.path, history.Kept())
		a.must(err)
		a.t.Cleanup(func() { a.must(a.x.Close()) })
	}
	a.must(a.x.Update(a.ctx, a.r))
}

// end closes all parts and commits.
func (a *archive) end(w *repository.Writer, whole bool) *snapshot.Snapshot {
	a.t.Helper()
	for _, k := range kinds {
		a.must(w.End(a.ctx, snapshot.Part{Type: k.t, Coverage: snapshot.Complete, Read: a.now, Delta: "next"}, whole))
	}
	a.must(w.End(a.ctx, snapshot.Part{Type: kinds[groups].t, Relation: "members", Coverage: snapshot.Complete, Read: a.now, Delta: "next"}, whole))
	s, err := w.Commit(a.ctx)
	a.must(err)
	a.all = append(a.all, s)
	return s
}

// first commits a first snapshot of what is on the tape, as a capture does: objects on all processors, links beside them.
func (a *archive) first(c *crowd, t *tape) *snapshot.Snapshot {
	a.t.Helper()
	a.now = a.now.Add(time.Hour)
	w, err := a.r.Begin(a.ctx, nil, a.now)
	a.must(err)
	defer w.Abort()
	var both errgroup.Group
	both.Go(func() error {
		for l := range c.memberships {
			if err := w.Link(a.ctx, l); err != nil {
				return err
			}
		}
		return nil
	})
	both.Go(func() error {
		return t.each(a.ctx, func(_ int, o one, raw []byte) error {
			b, err := entra.Canonical(raw)
			if err != nil {
				return err
			}
			return w.Put(a.ctx, entra.Object{Ref: c.ref(o), Body: b})
		})
	})
	a.must(both.Wait())
	return a.end(w, true)
}

// next commits what a turn changes.
func (a *archive) next(c *crowd, t turn) *snapshot.Snapshot {
	a.t.Helper()
	a.now = a.now.Add(time.Hour)
	tree := a.tree(a.all[len(a.all)-1].Number)
	w, err := a.r.Begin(a.ctx, tree, a.now)
	a.must(err)
	defer w.Abort()
	for _, o := range t.put {
		b, err := entra.Canonical(c.tell(nil, o))
		a.must(err)
		a.must(w.Put(a.ctx, entra.Object{Ref: c.ref(o), Body: b}))
	}
	for _, o := range t.gone {
		a.must(w.Gone(a.ctx, c.ref(o)))
	}
	for _, l := range t.relinks {
		a.must(w.Unlink(a.ctx, l))
	}
	for _, l := range t.link {
		a.must(w.Link(a.ctx, l))
	}
	return a.end(w, false)
}

func (a *archive) tree(number int64) *index.Tree {
	a.t.Helper()
	tree, err := a.x.Tree(a.ctx, a.r, number)
	a.must(err)
	return tree
}

// records are those of the snapshots.
func (a *archive) records() (all []repository.Record) {
	a.t.Helper()
	for rec, err := range a.r.Records(a.ctx, 0) {
		a.must(err)
		if rec.Kind == repository.KindSnapshot {
			all = append(all, rec)
		}
	}
	return all
}

// size is what a record takes in the store, its note included.
func (a *archive) size(rec repository.Record) (n int64) {
	a.t.Helper()
	for _, b := range rec.Blobs {
		n += b.Size
	}
	f, err := a.store.Get(a.ctx, fmt.Sprintf("log/%03d/%09d", rec.Number/1_000_000, rec.Number), 0, -1)
	a.must(err)
	note, err := io.Copy(io.Discard, f)
	a.must(errors.Join(err, f.Close()))
	return n + note
}

// packer compresses and seals frames of lines as a blob has them, and keeps nothing.
type packer struct {
	sealed io.WriteCloser
	z      *zstd.Encoder
	frame  []byte
	plain  int64
	packed int64
}

func newPacker(to age.Recipient, level zstd.EncoderLevel) (*packer, error) {
	sealed, err := age.Encrypt(io.Discard, to)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level), zstd.WithSingleSegment(true), zstd.WithWindowSize(256<<10))
	return &packer{sealed: sealed, z: z}, err
}

func (p *packer) add(line []byte) error {
	p.plain += int64(len(line))
	if len(p.frame) > 0 && len(p.frame)+len(line) >= 256<<10 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.frame = append(append(p.frame, line...), '\n')
	return nil
}

func (p *packer) flush() error {
	b := p.z.EncodeAll(p.frame, nil)
	p.packed += int64(len(b))
	p.frame = p.frame[:0]
	_, err := p.sealed.Write(b)
	return err
}

// loop is what no first snapshot can do without: it canonicalises, hashes, compresses and seals the objects on the tape, on
// all processors. It returns how many bytes they have in canonical form.
func (a *archive) loop(t *tape) (canonical int64) {
	a.t.Helper()
	packers := make([]*packer, runtime.GOMAXPROCS(0))
	for i := range packers {
		var err error
		packers[i], err = newPacker(a.identity.Recipient(), zstd.SpeedBetterCompression)
		a.must(err)
	}
	a.must(t.each(a.ctx, func(worker int, _ one, raw []byte) error {
		b, err := entra.Canonical(raw)
		if err != nil {
			return err
		}
		v := b.Version()
		p := packers[worker]
		p.frame = append(p.frame, v[:]...)
		return p.add([]byte(b))
	}))
	for _, p := range packers {
		a.must(p.flush())
		a.must(p.sealed.Close())
		canonical += p.plain
	}
	return canonical
}

// epoch is what the repository's blobs are sealed to, as its slot holds it.
func (a *archive) epoch() []age.Identity {
	a.t.Helper()
	for name, err := range a.store.List(a.ctx, "keys/") {
		a.must(err)
		f, err := a.store.Get(a.ctx, name, 0, -1)
		a.must(err)
		plain, err := age.Decrypt(f, a.identity)
		a.must(err)
		text, err := io.ReadAll(plain)
		a.must(errors.Join(err, f.Close()))
		all, err := age.ParseIdentities(bytes.NewReader(text))
		a.must(err)
		return all
	}
	a.t.Fatal("the repository has no slot")
	return nil
}

// open is what no reading can do without: it opens and decompresses the blobs of the records.
func (a *archive) open(identities []age.Identity, records []repository.Record) (n int64) {
	a.t.Helper()
	z, err := zstd.NewReader(nil)
	a.must(err)
	defer z.Close()
	for _, rec := range records {
		for _, b := range rec.Blobs {
			f, err := a.store.Get(a.ctx, b.Name, 0, -1)
			a.must(err)
			plain, err := age.Decrypt(f, identities...)
			a.must(err)
			a.must(z.Reset(plain))
			m, err := io.Copy(io.Discard, z)
			a.must(errors.Join(err, f.Close()))
			n += m
		}
	}
	return n
}

// replay reads all that the records say.
func (a *archive) replay(records []repository.Record) (objects, links int) {
	a.t.Helper()
	for _, rec := range records {
		for l, err := range a.r.Replay(a.ctx, rec) {
			a.must(err)
			switch l := l.(type) {
			case repository.Object:
				objects++
			case repository.Links:
				links += len(l.Add)
			}
		}
	}
	return objects, links
}

// check finds nothing wrong.
func (a *archive) check() {
	a.t.Helper()
	for f, err := range a.r.Check(a.ctx, true) {
		a.must(err)
		a.t.Fatalf("%+v", f)
	}
}

// whole reads all of the newest snapshot with the index.
func (a *archive) whole() (objects, links int) {
	a.t.Helper()
	tree := a.tree(a.all[len(a.all)-1].Number)
	for _, k := range kinds {
		for _, err := range tree.Whole(a.ctx, k.t) {
			a.must(err)
			objects++
		}
	}
	for _, err := range tree.Links(a.ctx, kinds[groups].t, "members") {
		a.must(err)
		links++
	}
	return objects, links
}

// bare reads all of the newest snapshot without an index: from the newest record to the first, so that only what later
// records say has to be remembered.
func (a *archive) bare(records []repository.Record) (objects, links int) {
	a.t.Helper()
	said := map[entra.Ref]bool{}     // of a later record
	decided := map[entra.Link]bool{} // likewise
	for i, rec := range slices.Backward(records) {
		var refs []entra.Ref
		var ends []entra.Link
		for l, err := range a.r.Replay(a.ctx, rec) {
			a.must(err)
			switch l := l.(type) {
			case repository.Object:
				if !said[l.Ref] {
					objects++
					refs = append(refs, l.Ref)
				}
			case repository.Gone:
				refs = append(refs, l.Ref)
			case repository.Links:
				for _, to := range l.Add {
					if link := (entra.Link{From: l.From, Rel: l.Rel, To: to}); !decided[link] {
						links++
						ends = append(ends, link)
					}
				}
				for _, to := range l.Remove {
					ends = append(ends, entra.Link{From: l.From, Rel: l.Rel, To: to})
				}
			}
			if i == 0 { // nothing comes after it
				refs, ends = refs[:0], ends[:0]
			}
		}
		for _, r := range refs {
			said[r] = true
		}
		for _, l := range ends {
			decided[l] = true
		}
	}
	return objects, links
}

// seconds is how long something takes.
func seconds(do func()) float64 {
	runtime.GC()
	began := time.Now()
	do()
	return time.Since(began).Seconds()
}

// ratio is the middle one of how many times as long as a loop something takes. They take turns, and each turn is held against
// the loops before and after it, since a machine is not as fast at one moment as at another.
func ratio(turns int, loop, do func()) (middle, loops, does float64) {
	var ratios, times, its []float64
	before := seconds(loop)
	for range turns {
		it := seconds(do)
		after := seconds(loop)
		ratios, times, its = append(ratios, 2*it/(before+after)), append(times, after), append(its, it)
		before = after
	}
	return median(ratios), median(times), median(its)
}

func median(all []float64) float64 {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

// A limit is what a figure may be.
func limit(b *testing.B, name string, got, most float64) {
	b.Helper()
	b.ReportMetric(got, name)
	if got > most {
		b.Errorf("%s is %.3f, more than %.3f", name, got, most)
	}
}

// BenchmarkArchive keeps a tenant of 227,200 objects and a million memberships, and 100 further snapshots of 226 changed objects
// and 1,000 links that begin or end, and one of 999,000 objects; without TIDEMARK_LONG, a tenth of it and 12 snapshots. It holds the archive against bare
// loops over the same bytes. How much longer than its loop a deep check takes is held to a bound of its own: it hashes each body
// and each line, holds bodies against their form and adds up what a root is made of, none of which the loop does.
// What is asked of it is held against limits of the clock at the full size, and at any size against what is asked of a third of
// the tenant and of a small group.
func BenchmarkArchive(b *testing.B) {
	if long() {
		b.Run("S", func(b *testing.B) { benchArchive(b, 1, 100, 3) })
		b.Run("M", func(b *testing.B) { benchArchive(b, 4.4, 23, 1) })
	} else {
		b.Run("tenth", func(b *testing.B) { benchArchive(b, 0.1, 12, 3) })
	}
}

func benchArchive(b *testing.B, times float64, further, turns int) {
	for b.Loop() {
		c := newCrowd(1, times)
		t, err := c.record(filepath.Join(b.TempDir(), "tape"))
		if err != nil {
			b.Fatal(err)
		}
		defer t.file.Close()
		// Neither keeps what it made: beside a large heap that lives, garbage is collected less often, and the other one would gain.
		var canonical int64
		middle, loop, first := ratio(2*turns-1, func() { canonical = newArchive(b, &mem.Store{}).loop(t) }, func() { newArchive(b, &mem.Store{}).first(c, t) })
		a := newArchive(b, &mem.Store{})
		a.first(c, t)
		rec := a.records()[0]
		size := a.size(rec)
		b.Logf("%d objects, %d links, largest group %d: %.1f MB of canonical JSON, %.1f MB archive, %.2f times smaller", c.objects(), c.links, c.large, float64(canonical)/1e6, float64(size)/1e6, float64(canonical)/float64(size))
		b.Logf("first write: loop %.2f s, write %.2f s, %.2f times", loop, first, middle)
		most := 1.5
		if !long() {
			most = 1.65 // at a tenth a turn is short, and what a commit does at its end weighs more
		}
		limit(b, "x-write", middle, most)
		if small := float64(canonical) / float64(size); small < 6 {
			b.Errorf("the archive is %.2f times smaller than the JSON", small)
		} else {
			b.ReportMetric(small, "x-smaller")
		}
		filled := seconds(a.fill)
		info, err := os.Stat(a.path)
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("index: %.2f s, %.1f MB", filled, float64(info.Size())/1e6)

		identities := a.epoch()
		records := a.records()
		reads := turns
		if !long() {
			reads = 15 // each takes a tenth of a second
		}
		middle, loop, read := ratio(reads, func() { a.open(identities, records) }, func() { a.replay(records) })
		b.Logf("full read: loop %.2f s, replay %.2f s, %.2f times", loop, read, middle)
		limit(b, "x-read", middle, 1.5)
		middle, loop, read = ratio(reads, func() { a.open(identities, records) }, a.check)
		b.Logf("check: loop %.2f s, check %.2f s, %.2f times", loop, read, middle)
		limit(b, "x-check", middle, 6)

		var took, update, shares []float64
		var touched []entra.Ref
		var bytes, loose int64
		for n := range further {
			turn := c.change(n+1, 226, 1000)
			took = append(took, seconds(func() { a.next(c, turn) }))
			update = append(update, seconds(a.fill))
			records = a.records()
			size, bare := a.size(records[len(records)-1]), a.changes(c, turn)
			shares = append(shares, float64(size)/float64(bare))
			bytes, loose = bytes+size, loose+bare
			for _, o := range turn.put {
				touched = append(touched, c.ref(o))
			}
		}
		b.Logf("increment: %.1f KB, %.2f times its compressed changes; %.0f ms, and %.0f ms for the index", float64(bytes)/float64(further)/1e3, float64(bytes)/float64(loose), 1e3*median(took), 1e3*median(update))
		limit(b, "x-increment", median(shares), 1.3)

		last := a.all[len(a.all)-1].Number
		var withObjects, withLinks, bareObjects, bareLinks int
		middle, with, without := ratio(turns, func() { withObjects, withLinks = a.whole() }, func() { bareObjects, bareLinks = a.bare(records) })
		if withObjects != bareObjects || withObjects != c.objects() {
			b.Errorf("%d objects with the index, %d without it, want %d", withObjects, bareObjects, c.objects())
		}
		if withLinks != bareLinks {
			b.Errorf("%d links with the index, %d without it", withLinks, bareLinks)
		}
		b.Logf("all of the newest snapshot: %.2f s with the index, %.2f s without, %.2f times", with, without, middle)
		limit(b, "x-bare", middle, 2)

		r := rand.New(rand.NewPCG(7, 7))
		ask := func(name string, rounds int, most time.Duration, do func()) time.Duration {
			var all []float64
			for range rounds {
				began := time.Now()
				do()
				all = append(all, time.Since(began).Seconds())
			}
			got := time.Duration(median(all) * float64(time.Second))
			b.Logf("%s: %s", name, got.Round(10*time.Microsecond))
			if long() && got > most {
				b.Errorf("%s takes %s, more than %s", name, got, most)
			}
			return got
		}
		ask("one object at a time", 200, time.Millisecond, func() {
			at := a.all[r.IntN(len(a.all))].Number
			_, err := a.tree(at).Object(a.ctx, c.ref(one{users, r.IntN(kinds[users].share / 10)}))
			if !errors.Is(err, os.ErrNotExist) {
				a.must(err)
			}
		})
		ask("history of one object", 200, 2*time.Millisecond, func() { a.life(touched[r.IntN(len(touched))]) })
		ask("diff of neighbours", min(further, 20), 50*time.Millisecond, func() {
			if n := a.neighbours(r); n < 1000 {
				b.Fatalf("%d changes", n)
			}
		})
		ask("what differs between the first and the last, by keys", 5, time.Second, func() {
			refs, ok := a.tree(last).Touched(a.ctx, a.tree(a.all[0].Number))
			n := 0
			for _, err := range refs {
				a.must(err)
				n++
			}
			if !ok || n < 226 {
				b.Fatalf("%d touched", n)
			}
		})
		ask("the same with bodies", 1, time.Hour, func() { b.Logf("%d changes", a.compare(a.all[0].Number, last)) })
		page := func(k int) func() {
			return func() { a.page(c.ref(one{groups, k}), r) }
		}
		large := ask("first page of the largest group with names", 50, 10*time.Millisecond, page(0))
		k := 0
		for k+1 < len(c.members) && len(c.members[k+1]) >= 150 {
			k++
		}
		small := ask(fmt.Sprintf("first page of a group of %d", len(c.members[k])), 50, 10*time.Millisecond, page(k))
		limit(b, "x-page", large.Seconds()/small.Seconds(), 5)

		// A third of the tenant, in which as much happens.
		d := newCrowd(2, times/3)
		if t, err = d.record(filepath.Join(b.TempDir(), "tape")); err != nil {
			b.Fatal(err)
		}
		defer t.file.Close()
		third := newArchive(b, &mem.Store{})
		third.first(d, t)
		third.fill()
		var moved []entra.Ref
		for n := range min(further, 12) {
			turn := d.change(n+1, 226, 1000)
			third.next(d, turn)
			third.fill()
			for _, o := range turn.put {
				moved = append(moved, d.ref(o))
			}
		}
		grows := func(name string, rounds int, most float64, one, other func()) {
			var ratios []float64
			for range rounds {
				began := time.Now()
				other()
				middle := time.Now()
				one()
				ratios = append(ratios, float64(time.Since(middle))/float64(middle.Sub(began)))
			}
			limit(b, name, median(ratios), most)
		}
		grows("x-history", 200, 2, func() { a.life(touched[r.IntN(len(touched))]) }, func() { third.life(moved[r.IntN(len(moved))]) })
		grows("x-neighbours", 20, 2.5, func() { a.neighbours(r) }, func() { third.neighbours(r) })
	}
}

// life tells the history of an object.
func (a *archive) life(ref entra.Ref) {
	a.t.Helper()
	n := 0
	for _, err := range history.Of(a.ctx, history.Stored(a.x, a.r), ref) {
		a.must(err)
		n++
	}
	if n == 0 {
		a.t.Fatal("no history")
	}
}

// compare returns how many changes there are between two snapshots.
func (a *archive) compare(from, to int64) (n int) {
	a.t.Helper()
	for _, err := range diff.Trees(a.ctx, a.tree(from), a.tree(to), diff.Options{}) {
		a.must(err)
		n++
	}
	return n
}

// neighbours compares two snapshots that follow one another.
func (a *archive) neighbours(r *rand.Rand) int {
	a.t.Helper()
	i := 1 + r.IntN(len(a.all)-1)
	return a.compare(a.all[i-1].Number, a.all[i].Number)
}

// page reads the first hundred members of a group at any time, and what they are called.
func (a *archive) page(group entra.Ref, r *rand.Rand) {
	a.t.Helper()
	var page []entra.Ref
	tree := a.tree(a.all[r.IntN(len(a.all))].Number)
	for l, err := range tree.Around(a.ctx, group) {
		a.must(err)
		if page = append(page, l.To); len(page) == 100 {
			break
		}
	}
	names, err := tree.Names(a.ctx, page)
	a.must(err)
	if len(names) != 100 {
		a.t.Fatalf("%d names", len(names))
	}
}

// changes is how many bytes the changes of a turn take by themselves: the new bodies and the ends of links, compressed at once.
func (a *archive) changes(c *crowd, t turn) int64 {
	a.t.Helper()
	var text []byte
	for _, o := range t.put {
		b, err := entra.Canonical(c.tell(nil, o))
		a.must(err)
		text = append(append(text, b...), '\n')
	}
	for _, o := range t.gone {
		text = append(append(text, c.ref(o).String()...), '\n')
	}
	links := slices.Concat(t.link, t.relinks)
	slices.SortFunc(links, entra.Link.Compare)
	var from entra.Ref
	for _, l := range links {
		if l.From != from {
			from = l.From
			text = append(append(text, from.String()...), '\n')
		}
		text = append(append(text, l.To.ID...), '\n')
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault))
	a.must(err)
	defer z.Close()
	return int64(len(z.EncodeAll(text, nil)))
}
