package storetest

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-backup/tidemark/internal/store/file"
)

// A Disk is a file system in memory that fails as real ones do: operations go wrong, and with the power goes what was not
// synced. A sync that fails drops what it was to write, which a later one does not bring back, and which is there to be read
// all the same until the power is lost. That is what Linux does, and the worst that POSIX allows.
type Disk struct {
	mu      sync.Mutex
	root    *node
	trouble func(n int, op, name string) Trouble
	n       int
	retried []string
}

// Trouble says how an operation of a Disk goes wrong. The zero value is not at all.
type Trouble struct {
	Err   error // what the caller is told
	Done  bool  // it happens all the same
	Short int   // of a write: so many bytes are written, but never all
}

// ErrStopped is the trouble of a program that is no more: nothing happens, whatever the operation.
var ErrStopped = errors.New("the program was stopped")

// Keep says what is left of a file's bytes that were not synced when the power is lost.
type Keep int

// What may be left.
const (
	Nothing Keep = iota
	Beginning
	Sectors // some of 512 bytes, and what was there before in the others
)

const sector = 512

// A node is a file or a directory, as it is read and as it is on the disk.
type node struct {
	dir           bool
	failed        bool // to sync
	data, durable []byte
	dirty         map[int]bool // sectors
	entries       map[string]*node
	written       map[string]*node // the durable entries
	touched       map[string]bool  // entries that are not synced
}

func newDir() *node {
	return &node{dir: true, entries: map[string]*node{}, written: map[string]*node{}, touched: map[string]bool{}}
}

// NewDisk returns an empty one.
func NewDisk() *Disk { return &Disk{root: newDir()} }

// Clone returns a copy that goes wrong in nothing.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Disk{root: d.root.clone(map[*node]*node{})}
}

func (n *node) clone(done map[*node]*node) *node {
	if c := done[n]; c != nil {
		return c // of a link
	}
	c := &node{dir: n.dir, data: slices.Clone(n.data), durable: slices.Clone(n.durable), dirty: maps.Clone(n.dirty), touched: maps.Clone(n.touched)}
	done[n] = c
	if n.dir {
		c.entries, c.written = map[string]*node{}, map[string]*node{}
		for name, e := range n.entries {
			c.entries[name] = e.clone(done)
		}
		for name, e := range n.written {
			c.written[name] = e.clone(done)
		}
	}
	return c
}

// Inject has trouble asked before each operation from now on, which it gives the operation's number from 0, its kind and
// the name. The kinds are create, write, sync, close, link, remove, mkdir, syncdir, open, read, shut, readdir and stat.
func (d *Disk) Inject(trouble func(n int, op, name string) Trouble) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble, d.n = trouble, 0
}

// Retried returns what was synced again after a sync of it had failed, which proves nothing.
func (d *Disk) Retried() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.retried
}

// PowerLoss takes the power away and gives it back: of entries that were not synced some are kept, or none where random is
// nil, and of bytes what keep says. Nothing goes wrong afterwards.
func (d *Disk) PowerLoss(keep Keep, random *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = nil
	d.root.lose(keep, random, map[*node]bool{})
}

func (n *node) lose(keep Keep, random *rand.Rand, done map[*node]bool) {
	if done[n] {
		return
	}
	done[n], n.failed = true, false
	if !n.dir {
		if random != nil {
			n.settle(keep, random)
		}
		n.data, n.dirty = slices.Clone(n.durable), nil
		return
	}
	for _, name := range slices.Sorted(maps.Keys(n.touched)) {
		if random != nil && random.IntN(2) == 0 {
			n.write(name)
		}
	}
	n.touched, n.entries = map[string]bool{}, maps.Clone(n.written)
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		n.entries[name].lose(keep, random, done)
	}
}

// settle puts some of the bytes that were not synced onto the disk.
func (n *node) settle(keep Keep, random *rand.Rand) {
	switch keep {
	case Beginning:
		if len(n.dirty) > 0 {
			n.durable = slices.Clone(n.data[:random.IntN(len(n.data)+1)])
		}
	case Sectors:
		for _, i := range slices.Sorted(maps.Keys(n.dirty)) {
			if random.IntN(2) == 0 {
				n.put(i)
			}
		}
	}
}

// put writes a sector to the disk.
func (n *node) put(i int) {
	end := min((i+1)*sector, len(n.data))
	if len(n.durable) < end {
		n.durable = append(n.durable, make([]byte, end-len(n.durable))...)
	}
	copy(n.durable[i*sector:end], n.data[i*sector:end])
}

// write writes an entry to the disk.
func (n *node) write(name string) {
	if e := n.entries[name]; e != nil {
		n.written[name] = e
	} else {
		delete(n.written, name)
	}
}

// do runs an operation, or has it go wrong.
func (d *Disk) do(op, name string, run func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return wrong(op, name, d.next(op, name), run, nil)
}

func (d *Disk) next(op, name string) Trouble {
	if d.trouble == nil {
		return Trouble{}
	}
	d.n++
	return d.trouble(d.n-1, op, name)
}

// wrong runs an operation as t has it, and then what comes of it in any case.
func wrong(op, name string, t Trouble, run func() error, then func()) error {
	if then != nil {
		defer then()
	}
	err := t.Err
	if err == nil || t.Done {
		err = cmp.Or(err, run())
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// find returns what lies under a name; nil for nothing.
func (d *Disk) find(name string) *node {
	if name == "." {
		return d.root
	}
	if in := d.find(path.Dir(name)); in != nil && in.dir {
		return in.entries[path.Base(name)]
	}
	return nil
}

// enter makes an entry.
func (d *Disk) enter(name string, n *node) error {
	in := d.find(path.Dir(name))
	switch {
	case in == nil || !in.dir:
		return fs.ErrNotExist
	case in.entries[path.Base(name)] != nil:
		return fs.ErrExist
	}
	in.entries[path.Base(name)], in.touched[path.Base(name)] = n, true
	return nil
}

// Create implements file.Disk.
func (d *Disk) Create(name string) (file.Draft, error) {
	n := &node{dirty: map[int]bool{}}
	if err := d.do("create", name, func() error { return d.enter(name, n) }); err != nil {
		return nil, err
	}
	return &draft{d, name, n}, nil
}

// Link implements file.Disk.
func (d *Disk) Link(from, to string) error {
	return d.do("link", to, func() error {
		n := d.find(from)
		if n == nil {
			return fs.ErrNotExist
		}
		return d.enter(to, n)
	})
}

// Remove implements file.Disk.
func (d *Disk) Remove(name string) error {
	return d.do("remove", name, func() error {
		if d.find(name) == nil {
			return fs.ErrNotExist
		}
		in := d.find(path.Dir(name))
		delete(in.entries, path.Base(name))
		in.touched[path.Base(name)] = true
		return nil
	})
}

// Mkdir implements file.Disk.
func (d *Disk) Mkdir(name string) error {
	return d.do("mkdir", name, func() error { return d.enter(name, newDir()) })
}

// SyncDir implements file.Disk.
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sync("syncdir", name, d.find(name))
}

// sync is that of a file and of a directory. One that fails drops what it was to write.
func (d *Disk) sync(op, name string, n *node) error {
	if n == nil {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	if n.failed {
		d.retried = append(d.retried, name)
	}
	t := d.next(op, name)
	if errors.Is(t.Err, ErrStopped) {
		return t.Err
	}
	n.failed = n.failed || t.Err != nil
	return wrong(op, name, t, func() error { n.flush(); return nil }, func() { n.dirty, n.touched = map[int]bool{}, map[string]bool{} })
}

// flush writes all of it to the disk.
func (n *node) flush() {
	for i := range n.dirty {
		n.put(i)
	}
	for name := range n.touched {
		n.write(name)
	}
}

// ReadDir implements file.Disk.
func (d *Disk) ReadDir(name string) (entries []fs.DirEntry, err error) {
	err = d.do("readdir", name, func() error {
		n := d.find(name)
		if n == nil || !n.dir {
			return fs.ErrNotExist
		}
		for _, e := range slices.Sorted(maps.Keys(n.entries)) {
			entries = append(entries, fs.FileInfoToDirEntry(info{e, n.entries[e]}))
		}
		return nil
	})
	return entries, err
}

// Lstat implements file.Disk.
func (d *Disk) Lstat(name string) (i fs.FileInfo, err error) {
	err = d.do("stat", name, func() error {
		n := d.find(name)
		if n == nil {
			return fs.ErrNotExist
		}
		i = info{path.Base(name), n}
		return nil
	})
	return i, err
}

// Open implements file.Disk.
func (d *Disk) Open(name string) (f file.File, err error) {
	err = d.do("open", name, func() error {
		n := d.find(name)
		if n == nil {
			return fs.ErrNotExist
		}
		f = &opened{d, name, n, 0}
		return nil
	})
	return f, err
}

// A draft is a file that is written.
type draft struct {
	d    *Disk
	name string
	n    *node
}

func (f *draft) Write(p []byte) (written int, err error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	t := f.d.next("write", f.name)
	if t.Err != nil && !t.Done || t.Short > 0 {
		p = p[:max(0, min(t.Short, len(p)-1))]
	}
	for i := len(f.n.data) / sector; i*sector < len(f.n.data)+len(p); i++ {
		f.n.dirty[i] = true
	}
	f.n.data = append(f.n.data, p...)
	if t.Err != nil {
		return len(p), &fs.PathError{Op: "write", Path: f.name, Err: t.Err}
	}
	return len(p), nil
}

func (f *draft) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.sync("sync", f.name, f.n)
}

func (f *draft) Close() error { return f.d.do("close", f.name, func() error { return nil }) }

// opened is a file that is read.
type opened struct {
	d    *Disk
	name string
	n    *node
	at   int64
}

func (f *opened) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *opened) ReadAt(p []byte, off int64) (n int, err error) {
	end := false
	err = f.d.do("read", f.name, func() error {
		n = copy(p, f.n.data[min(off, int64(len(f.n.data))):])
		end = n < len(p)
		return nil
	})
	if err == nil && end {
		err = io.EOF
	}
	return n, err
}

func (f *opened) Stat() (fs.FileInfo, error) {
	err := f.d.do("stat", f.name, func() error { return nil })
	return info{path.Base(f.name), f.n}, err
}

func (f *opened) Close() error { return f.d.do("shut", f.name, func() error { return nil }) }

// info is what is known of a node.
type info struct {
	name string
	n    *node
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(len(i.n.data)) }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.n.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.n.dir {
		return fs.ModeDir | 0o700
	}
	return 0o400
}
