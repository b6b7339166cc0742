package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/file"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

// live is a scenario: it makes a repository and goes on until an error, and tells what it was promised.
func live(ctx context.Context, t *testing.T, s store.Store, k keys, committed func(*snapshot.Snapshot, state)) error {
	o := repository.InitOptions{Tenant: tenant, Holders: []string{k.identity.Recipient().String()}, Now: clock(), Signer: k.signer}
	if _, err := repository.Init(ctx, s, o); err != nil {
		return err
	}
	r, err := repository.Open(ctx, s, k.options())
	if err != nil {
		return err
	}
	now := newState()
	u1, u2, g := object(t, ref("user", "1"), `{"displayName":"one"}`), object(t, ref("user", "2"), `{"displayName":"two"}`), object(t, ref("group", "g"), `{}`)
	member := entra.Link{From: g.Ref, Rel: "members", To: u1.Ref}
	w, err := r.Begin(ctx, nil, start)
	if err != nil {
		return err
	}
	defer w.Abort()
	err = errors.Join(w.Put(ctx, u1), w.Put(ctx, u2), w.Put(ctx, g), w.Link(ctx, member), w.Audit(ctx, []byte(`{"id":"a"}`)),
		w.End(ctx, snapshot.Part{Type: "user", Coverage: snapshot.Complete}, true))
	if err != nil {
		return err
	}
	first, err := w.Commit(ctx)
	if err != nil {
		return err
	}
	now.objects[u1.Ref], now.objects[u2.Ref], now.objects[g.Ref], now.links[member] = u1.Body, u2.Body, g.Body, true
	committed(first, now.clone())
	if _, err := r.Append(ctx, repository.KindPlan, first.Number, []byte(`{"steps":[]}`)); err != nil {
		return err
	}
	w, err = r.Begin(ctx, now.tree(first), start)
	if err != nil {
		return err
	}
	defer w.Abort()
	u2.Body = `{"displayName":"two again"}`
	err = errors.Join(w.Put(ctx, u2), w.End(ctx, snapshot.Part{Type: "user", Coverage: snapshot.Complete}, true))
	if err != nil {
		return err
	}
	second, err := w.Commit(ctx)
	if err != nil {
		return err
	}
	delete(now.objects, u1.Ref)
	delete(now.links, member)
	now.objects[u2.Ref] = u2.Body
	committed(second, now.clone())
	if _, err := r.AddHolder(ctx, 1, k.identity.Recipient()); err != nil {
		return err
	}
	if _, err := r.Rotate(ctx, []age.Recipient{k.identity.Recipient()}); err != nil {
		return err
	}
	_, err = r.Append(ctx, repository.KindResult, second.Number, []byte(`{"ok":true}`))
	return err
}

// replayTo returns the state that the log gives up to a record.
func replayTo(ctx context.Context, r *repository.Repository, number int64) (state, error) {
	s := newState()
	for rec, err := range r.Records(ctx, 0) {
		if err != nil || rec.Number > number {
			return s, err
		}
		for l, err := range r.Replay(ctx, rec) {
			if err != nil {
				return s, err
			}
			s.play(l)
		}
	}
	return s, nil
}

// Law: stop the program at any store operation; it opens again, Check is clean, and what was committed is
// whole.
func TestStoppedAnywhereNothingIsLost(t *testing.T) {
	k := newKeys(t)
	for _, kind := range []storetest.Fault{storetest.Before, storetest.After} {
		for n, whole := 0, false; !whole; n++ {
			if n > 500 {
				t.Fatal("the scenario does not end")
			}
			s := new(mem.Store)
			whole = true
			faulty := storetest.Faulty(s, func(i int, _, _ string) storetest.Fault {
				if i < n {
					return storetest.None
				}
				whole = false
				return kind
			})
			name := fmt.Sprintf("fault %d from operation %d on", kind, n)
			var last *snapshot.Snapshot
			var want state
			err := live(t.Context(), t, faulty, k, func(snap *snapshot.Snapshot, s state) { last, want = snap, s })
			if (err == nil) != whole {
				t.Errorf("%s: error %v", name, err)
			}
			r, err := repository.Open(t.Context(), s, k.options())
			if errors.Is(err, repository.ErrNoRepository) && last == nil {
				r = create(t, s, k) // it can be begun again
			} else if err != nil {
				t.Errorf("%s: Open: %v", name, err)
				continue
			}
			for finding, err := range r.Check(t.Context(), true) {
				t.Errorf("%s: Check: %+v, %v", name, finding, err)
			}
			if last == nil {
				continue
			}
			got, err := replayTo(t.Context(), r, last.Number)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if d := cmp.Diff(want.objects, got.objects) + cmp.Diff(want.links, got.links); d != "" {
				t.Errorf("%s: committed snapshot %d (-want +got):\n%s", name, last.Number, d)
			}
		}
	}
}

// A single fault is an error to its caller, and the same program goes on afterwards.
func TestOneFaultIsSurvived(t *testing.T) {
	k := newKeys(t)
	for n, whole := 0, false; !whole; n++ {
		s := new(mem.Store)
		whole = true
		faulty := storetest.Faulty(s, func(i int, _, _ string) storetest.Fault {
			if i == n {
				whole = false
				return storetest.After
			}
			return storetest.None
		})
		err := live(t.Context(), t, faulty, k, func(*snapshot.Snapshot, state) {})
		if err != nil && !errors.Is(err, storetest.ErrFault) {
			t.Errorf("fault at %d: %v", n, err)
		}
	}
}

// overlay is a store of which some blobs are others; nil data is a missing one.
type overlay struct {
	store.Store
	blobs map[string][]byte
}

func (o overlay) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	data, ok := o.blobs[name]
	if !ok {
		return o.Store.Get(ctx, name, off, n)
	}
	if data == nil {
		return nil, fmt.Errorf("get %s: %w", name, fs.ErrNotExist)
	}
	data = data[min(int(off), len(data)):]
	if n >= 0 {
		data = data[:min(int(n), len(data))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (o overlay) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range o.Store.List(ctx, prefix) {
			if data, ok := o.blobs[name]; ok && data == nil {
				continue
			}
			if !yield(name, err) {
				return
			}
		}
	}
}

func contents(t *testing.T, s store.Store) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for name, err := range s.List(t.Context(), "") {
		must(t, err)
		f, err := s.Get(t.Context(), name, 0, -1)
		must(t, err)
		if all[name], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) == 0 {
		t.Fatal("the store is empty")
	}
	return all
}

// blame opens and checks the store and returns every name that is blamed, or "" for an error without one.
func blame(t *testing.T, s store.Store, o repository.Options, deep bool) []string {
	t.Helper()
	r, err := repository.Open(t.Context(), s, o)
	if err != nil {
		var e *repository.CorruptError
		if errors.As(err, &e) {
			return []string{e.Blob}
		}
		return []string{""}
	}
	var names []string
	for f, err := range r.Check(t.Context(), deep) {
		if err != nil {
			return append(names, "")
		}
		names = append(names, f.Blob)
	}
	return names
}

// Law: flip any byte, and Open or Check says which file it is in.
func TestEveryFlippedByteIsFound(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	must(t, live(t.Context(), t, s, k, func(*snapshot.Snapshot, state) {}))
	if names := blame(t, s, k.options(), true); names != nil {
		t.Fatalf("the sound repository is blamed for %q", names)
	}
	tried := 0
	for name, data := range contents(t, s) {
		step := 1
		if strings.HasPrefix(name, "blobs/") {
			step = 5
		}
		for i := 0; i < len(data); i += step {
			flipped := bytes.Clone(data)
			flipped[i] ^= 1 << (i % 8)
			tried++
			names := blame(t, overlay{s, map[string][]byte{name: flipped}}, repository.Options{}, false)
			switch {
			case len(names) == 0:
				t.Errorf("%s: bit %d of byte %d is not found", name, i%8, i)
			case name == "repo.json" || slices.Contains(names, name):
			default:
				t.Errorf("%s: byte %d: %q is blamed", name, i, names)
			}
		}
	}
	if tried < 3000 {
		t.Errorf("only %d bytes tried", tried)
	}
}

// No flipped byte in a blob ever gives another answer.
func TestDamagedBlobsAreNotRead(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	var want state
	var last *snapshot.Snapshot
	must(t, live(t.Context(), t, s, k, func(snap *snapshot.Snapshot, s state) { last, want = snap, s }))
	tried := 0
	for name, data := range contents(t, s) {
		for i := 0; strings.HasPrefix(name, "blobs/") && i < len(data); i += 11 {
			tried++
			flipped := bytes.Clone(data)
			flipped[i] ^= 0x10
			r, err := repository.Open(t.Context(), overlay{s, map[string][]byte{name: flipped}}, k.options())
			must(t, err)
			got, err := replayTo(t.Context(), r, last.Number)
			var e *repository.CorruptError
			if err != nil && (!errors.As(err, &e) || e.Blob != name || len(e.Snapshots) != 1) {
				t.Errorf("%s: byte %d: %v", name, i, err)
			}
			if err == nil && !cmp.Equal(want.objects, got.objects) {
				t.Errorf("%s: byte %d: other objects", name, i)
			}
		}
	}
	if tried == 0 {
		t.Fatal("no blobs")
	}
}

// Law: drop, cut, lengthen or swap any file, and Open or Check says so.
func TestTamperedFilesAreFound(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	must(t, live(t.Context(), t, s, k, func(*snapshot.Snapshot, state) {}))
	head := reopen(t, s, k).Head()
	all := contents(t, s)
	names := slices.Sorted(maps.Keys(all))
	check := func(what string, blobs map[string][]byte) {
		t.Helper()
		for _, deep := range []bool{false, true} {
			o := k.options()
			o.Seen = head
			if blame(t, overlay{s, blobs}, o, deep) == nil {
				t.Errorf("%s: not found (deep %v)", what, deep)
			}
		}
	}
	for i, name := range names {
		data := all[name]
		check("without "+name, map[string][]byte{name: nil})
		check("half of "+name, map[string][]byte{name: data[:len(data)/2]})
		check("empty "+name, map[string][]byte{name: {}})
		check("longer "+name, map[string][]byte{name: append(bytes.Clone(data), '\n')})
		check("doubled "+name, map[string][]byte{name: append(bytes.Clone(data), data...)})
		check("zeroed "+name, map[string][]byte{name: make([]byte, len(data))})
		for _, other := range names[i+1:] {
			check("swapped "+name+" and "+other, map[string][]byte{name: all[other], other: data})
		}
	}
}

// Law: a head older than one seen before is refused, and so is one that forked.
func TestRollbackAndForkAreRefused(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	r := create(t, s, k)
	appendPlan := func(r *repository.Repository, data string) repository.Head {
		t.Helper()
		_, err := r.Append(t.Context(), repository.KindPlan, 0, []byte(data))
		must(t, err)
		return r.Head()
	}
	appendPlan(r, "one")
	old := new(mem.Store)
	for name, data := range contents(t, s) {
		must(t, old.Put(t.Context(), name, bytes.NewReader(data)))
	}
	head := appendPlan(r, "two")
	for name, fork := range map[string]func(){
		"rolled back":    func() {},
		"forked":         func() { appendPlan(reopen(t, old, k), "another two") },
		"forked, longer": func() { appendPlan(reopen(t, old, k), "three") },
	} {
		if name != "rolled back" {
			fork()
		}
		o := k.options()
		o.Seen = head
		if _, err := repository.Open(t.Context(), old, o); !errors.Is(err, repository.ErrRollback) {
			t.Errorf("%s: Open: %v, want ErrRollback", name, err)
		}
		if _, err := repository.Open(t.Context(), s, o); err != nil {
			t.Errorf("the true one: %v", err)
		}
	}
}

func TestBlobsOfAnotherRecordAreRefused(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	r := create(t, s, k)
	first, st := fill(t, r, 3)
	must(t, begin(t, r, st.tree(first)).Put(t.Context(), object(t, ref("user", "x"), `{}`)))
	for name := range contents(t, s) {
		if strings.HasPrefix(name, "blobs/") {
			data := contents(t, s)[name]
			again, err := repository.Open(t.Context(), overlay{s, map[string][]byte{name: data[:len(data)-1]}}, k.options())
			must(t, err)
			if _, err := replayTo(t.Context(), again, first.Number); err == nil {
				t.Errorf("%s: a cut blob is read", name)
			}
		}
	}
}

func TestInitAndOpen(t *testing.T) {
	k := newKeys(t)
	init := func(s store.Store, k keys) error {
		_, err := repository.Init(t.Context(), s, repository.InitOptions{Tenant: tenant, Holders: []string{k.identity.Recipient().String()}, Now: clock(), Signer: k.signer})
		return err
	}
	t.Run("nothing there", func(t *testing.T) {
		if _, err := repository.Open(t.Context(), new(mem.Store), k.options()); !errors.Is(err, repository.ErrNoRepository) {
			t.Errorf("Open: %v, want ErrNoRepository", err)
		}
	})
	t.Run("there already", func(t *testing.T) {
		s := new(mem.Store)
		must(t, init(s, k))
		if err := init(s, k); !errors.Is(err, fs.ErrExist) {
			t.Errorf("second Init: %v, want fs.ErrExist", err)
		}
		if err := init(s, newKeys(t)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Init by another: %v, want fs.ErrExist", err)
		}
	})
	t.Run("a foreign file", func(t *testing.T) {
		s := new(mem.Store)
		must(t, s.Put(t.Context(), "repo.json", strings.NewReader(`{"format":1}`)))
		if err := init(s, k); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Init: %v, want fs.ErrExist", err)
		}
	})
	t.Run("without a key", func(t *testing.T) {
		s := new(mem.Store)
		create(t, s, k)
		r, err := repository.Open(t.Context(), s, repository.Options{Signer: k.signer, Now: clock()})
		must(t, err)
		rec, err := r.Append(t.Context(), repository.KindPlan, 0, []byte("secret"))
		must(t, err) // a writer needs no secret of the readers
		if _, err := r.Data(t.Context(), rec); !errors.Is(err, repository.ErrKey) {
			t.Errorf("Data: %v, want ErrKey", err)
		}
		got, err := reopen(t, s, k).Data(t.Context(), rec)
		if err != nil || string(got) != "secret" {
			t.Errorf("Data with the key: %q, %v", got, err)
		}
	})
	t.Run("another key", func(t *testing.T) {
		s := new(mem.Store)
		must(t, init(s, k))
		if _, err := repository.Open(t.Context(), s, newKeys(t).options()); !errors.Is(err, repository.ErrKey) {
			t.Errorf("Open: %v, want ErrKey", err)
		}
	})
	t.Run("a newer format", func(t *testing.T) {
		s := new(mem.Store)
		must(t, init(s, k))
		raw := bytes.Replace(contents(t, s)["repo.json"], []byte(`"format": 2`), []byte(`"format": 3`), 1)
		if _, err := repository.Open(t.Context(), overlay{s, map[string][]byte{"repo.json": raw}}, k.options()); !errors.Is(err, repository.ErrFormat) {
			t.Errorf("Open: %v, want ErrFormat", err)
		}
	})
	t.Run("what it says of itself", func(t *testing.T) {
		s := new(mem.Store)
		r := create(t, s, k)
		if r.Tenant() != tenant || len(r.ID()) != 32 || r.Head().Size != 1 {
			t.Errorf("%+v %q %+v", r.Tenant(), r.ID(), r.Head())
		}
		h, err := repository.ParseHead(r.Head().String())
		if err != nil || h.Size != 1 || h.Root != r.Head().Root {
			t.Errorf("ParseHead: %+v, %v", h, err)
		}
		for _, bad := range []string{"", "1", "1 x", " 1", "01 " + strings.Fields(r.Head().String())[1], "-1 " + strings.Fields(r.Head().String())[1]} {
			if _, err := repository.ParseHead(bad); err == nil {
				t.Errorf("ParseHead(%q): no error", bad)
			}
		}
	})
}

func TestSignersAreIntroduced(t *testing.T) {
	s, k, other := new(mem.Store), newKeys(t), newKeys(t)
	r := create(t, s, k)
	o := k.options()
	o.Signer = other.signer
	stranger, err := repository.Open(t.Context(), s, o)
	must(t, err)
	if _, err := stranger.Append(t.Context(), repository.KindPlan, 0, nil); !errors.Is(err, repository.ErrReadOnly) {
		t.Errorf("Append by a stranger: %v, want ErrReadOnly", err)
	}
	if _, err := stranger.Begin(t.Context(), nil, start); !errors.Is(err, repository.ErrReadOnly) {
		t.Errorf("Begin by a stranger: %v, want ErrReadOnly", err)
	}
	if _, err := r.Append(t.Context(), repository.KindSigner, 0, []byte("nonsense")); err == nil {
		t.Error("a signer that is none is introduced")
	}
	_, err = r.Append(t.Context(), repository.KindSigner, 0, []byte(other.signer.String()))
	must(t, err)
	if _, err := r.Append(t.Context(), repository.KindSigner, 0, []byte(other.signer.String())); !errors.Is(err, fs.ErrExist) {
		t.Errorf("introduced again: %v, want fs.ErrExist", err)
	}
	friend, err := repository.Open(t.Context(), s, o)
	must(t, err)
	rec, err := friend.Append(t.Context(), repository.KindPlan, 0, []byte{})
	must(t, err)
	if got, err := friend.Data(t.Context(), rec); err != nil || got == nil || len(got) != 0 {
		t.Errorf("empty data comes back as %v, %v", got, err)
	}
	for rec, err := range r.Records(t.Context(), 2) {
		if err != nil || rec.Signer != other.signer.String()[:len("test/machine-1")] || rec.Kind != repository.KindPlan {
			t.Errorf("record %+v, %v", rec, err)
		}
	}
	again, err := repository.ParseSigner(other.signer.Secret() + "\n")
	if err != nil || again.String() != other.signer.String() {
		t.Errorf("ParseSigner: %v", err)
	}
	for _, name := range []string{"", "a b", "a+b", "é", strings.Repeat("x", 41)} {
		if _, err := repository.GenerateSigner(name); err == nil {
			t.Errorf("GenerateSigner(%q): no error", name)
		}
	}
}

// On the day when every machine that signed is gone, whoever can read can go on writing, by introducing a
// signer of their own; the key that introduces can do nothing else.
func TestAHolderAdmitsAnotherMachine(t *testing.T) {
	s, k, other := new(mem.Store), newKeys(t), newKeys(t)
	r := create(t, s, k)
	o := k.options()
	o.Signer = nil
	fresh, err := repository.Open(t.Context(), s, o)
	must(t, err)
	if fresh.CanWrite() {
		t.Error("CanWrite without a signer")
	}
	must(t, fresh.Admit(t.Context(), other.signer))
	if !fresh.CanWrite() {
		t.Error("an admitted signer cannot write")
	}
	_, err = fresh.Append(t.Context(), repository.KindPlan, 0, []byte("by the new machine"))
	must(t, err)
	size := fresh.Head().Size
	must(t, fresh.Admit(t.Context(), other.signer))
	if fresh.Head().Size != size {
		t.Error("a signer that is known was introduced again")
	}

	// Without an identity of the present epoch there is nothing to admit with.
	stranger, err := repository.Open(t.Context(), s, repository.Options{Now: clock()})
	must(t, err)
	if err := stranger.Admit(t.Context(), newKeys(t).signer); !errors.Is(err, repository.ErrKey) {
		t.Errorf("Admit without an identity: %v, want ErrKey", err)
	}
	late := newKeys(t)
	_, err = r.Rotate(t.Context(), []age.Recipient{late.identity.Recipient()})
	must(t, err)
	if err := reopen(t, s, k).Admit(t.Context(), newKeys(t).signer); !errors.Is(err, repository.ErrKey) {
		t.Errorf("Admit by a holder of an earlier epoch: %v, want ErrKey", err)
	}
	o = late.options()
	o.Signer = nil
	latecomer, err := repository.Open(t.Context(), s, o)
	must(t, err)
	must(t, latecomer.Admit(t.Context(), late.signer))
	for f, err := range reopen(t, s, late).Check(t.Context(), false) {
		t.Errorf("check: %+v, %v", f, err)
	}
}

func TestHoldersAndEpochs(t *testing.T) {
	s, k, late := new(mem.Store), newKeys(t), newKeys(t)
	r := create(t, s, k)
	before, err := r.Append(t.Context(), repository.KindPlan, 0, []byte("before"))
	must(t, err)
	if _, err := repository.Open(t.Context(), s, late.options()); !errors.Is(err, repository.ErrKey) {
		t.Errorf("before the slot: %v, want ErrKey", err)
	}
	_, err = r.Rotate(t.Context(), []age.Recipient{late.identity.Recipient()})
	must(t, err)
	after, err := r.Append(t.Context(), repository.KindPlan, 0, []byte("after"))
	must(t, err)
	if _, err := r.Data(t.Context(), after); !errors.Is(err, repository.ErrKey) {
		t.Errorf("the earlier holder reads the later epoch: %v, want ErrKey", err)
	}
	if _, err := r.AddHolder(t.Context(), 2, k.identity.Recipient()); !errors.Is(err, repository.ErrKey) {
		t.Errorf("AddHolder without the present identity: %v, want ErrKey", err)
	}
	o := late.options()
	o.Signer = k.signer
	second, err := repository.Open(t.Context(), s, o)
	must(t, err)
	if _, err := second.Data(t.Context(), before); !errors.Is(err, repository.ErrKey) {
		t.Errorf("the later holder reads the earlier epoch: %v, want ErrKey", err)
	}
	_, err = second.AddHolder(t.Context(), 2, k.identity.Recipient())
	must(t, err)
	for range r.Records(t.Context(), 0) {
		break // reads on, and finds the new slot
	}
	for _, c := range []struct {
		rec  repository.Record
		want string
	}{{before, "before"}, {after, "after"}} {
		if got, err := r.Data(t.Context(), c.rec); err != nil || string(got) != c.want {
			t.Errorf("Data = %q, %v, want %q", got, err, c.want)
		}
	}
	// Of the earlier epoch it has no secret, and a later one is not there.
	for _, epoch := range []int{0, 1, 3} {
		if _, err := second.AddHolder(t.Context(), epoch, k.identity.Recipient()); !errors.Is(err, repository.ErrKey) {
			t.Errorf("AddHolder to epoch %d: %v, want ErrKey", epoch, err)
		}
	}
	slots, err := r.Slots(t.Context())
	must(t, err)
	var got []string
	for _, s := range slots {
		got = append(got, fmt.Sprint(s.Epoch, s.Record, s.Opens))
	}
	if want := []string{"1 0 true", "2 2 false", "2 4 true"}; !slices.Equal(got, want) {
		t.Errorf("slots (epoch, record, opens) %q, want %q", got, want)
	}
}

// A passphrase is a holder as any other.
func TestPassphraseIsAHolder(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	r := create(t, s, k)
	to, err := age.NewScryptRecipient("correct horse battery staple")
	must(t, err)
	to.SetWorkFactor(10) // so that it takes no second
	_, err = r.AddHolder(t.Context(), r.Epoch(), to)
	must(t, err)
	rec, err := r.Append(t.Context(), repository.KindPlan, 0, []byte("said"))
	must(t, err)
	pass, err := age.NewScryptIdentity("correct horse battery staple")
	must(t, err)
	again, err := repository.Open(t.Context(), s, repository.Options{Identities: []age.Identity{pass}})
	must(t, err)
	if got, err := again.Data(t.Context(), rec); err != nil || string(got) != "said" {
		t.Errorf("Data = %q, %v", got, err)
	}
}

func TestPassphraseIdentityIsTried(t *testing.T) {
	s, k := new(mem.Store), newKeys(t)
	create(t, s, k)
	pass, err := age.NewScryptIdentity("correct horse battery staple")
	must(t, err)
	if _, err := repository.Open(t.Context(), s, repository.Options{Identities: []age.Identity{pass}}); !errors.Is(err, repository.ErrKey) {
		t.Errorf("Open: %v, want ErrKey", err)
	}
}

func TestOnFiles(t *testing.T) {
	dir, k := t.TempDir(), newKeys(t)
	s, err := file.Open(dir)
	must(t, err)
	defer s.Close()
	must(t, live(t.Context(), t, s, k, func(*snapshot.Snapshot, state) {}))
	must(t, os.WriteFile(filepath.Join(dir, "tmp", "torn"), []byte("half a note"), 0o600))
	if names := blame(t, s, k.options(), true); names != nil {
		t.Errorf("blamed: %q", names)
	}
	must(t, os.WriteFile(filepath.Join(dir, "log", "000", "000000099"), []byte("stray"), 0o600))
	if names := blame(t, s, k.options(), false); names == nil {
		t.Error("a note with a gap before it is not found")
	}
}
