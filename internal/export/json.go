// Package export writes a tree out as plain files that need no program of ours to be read.
//
// It promises that the same tree gives the same files to the byte, on every system; that every object and
// every link of the selection is in exactly one file, whatever its ID looks like; and that the manifest says
// what was not seen, so that a missing file is not taken for a missing object. It refuses a folder that is
// not empty, and never writes outside of it.
package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// Options narrow what is written. The zero value writes the whole tree.
type Options struct {
	Types []entra.Type // only these; nil means all
	// Keep says whether an object is written with its links, and Link whether a link is; nil means all.
	Keep func(entra.Ref) bool
	Link func(entra.Link) bool
	// Aliases maps the refs of objects that a restore made anew to their later refs; it goes into the manifest.
	Aliases map[entra.Ref]entra.Ref
}

// A Count is what was written.
type Count struct {
	Objects, Links, Files int64
}

// ErrNotEmpty says that the folder holds something already.
var ErrNotEmpty = errors.New("folder is not empty")

// Manifest is the name of the file that says what the folder holds.
const Manifest = "snapshot.json"

// JSON writes the tree into a folder, which must be empty, else the error wraps ErrNotEmpty: TYPE/NAME.json for each object, with the IDs it is
// linked to by relation, and the manifest last, so that a folder without one is not whole. Files are indented
// by two blanks and end in a line feed; a body stands in one as the repository has it, but for white space.
//
// doc/format.md, "Plain files", is the law of names and members.
func JSON(ctx context.Context, dir *os.Root, tree snapshot.Tree, o Options) (Count, error) {
	w := &writer{dir: dir, tree: tree, o: o}
	if err := w.all(ctx); err != nil {
		return w.count, fmt.Errorf("export: %w", err)
	}
	return w.count, nil
}

type writer struct {
	dir   *os.Root
	tree  snapshot.Tree
	o     Options
	count Count
}

func (w *writer) all(ctx context.Context) error {
	if err := w.empty(); err != nil {
		return err
	}
	relations := map[entra.Type][]string{}
	var types []entra.Type
	for _, p := range w.tree.Snapshot().Parts { // ascending
		if w.o.Types != nil && !slices.Contains(w.o.Types, p.Type) {
			continue
		}
		if len(types) == 0 || types[len(types)-1] != p.Type {
			types = append(types, p.Type)
		}
		if p.Relation != "" {
			relations[p.Type] = append(relations[p.Type], p.Relation)
		}
	}
	for _, t := range types {
		if err := w.ofType(ctx, t, relations[t]); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	return w.manifest()
}

func (w *writer) empty() error {
	f, err := w.dir.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	switch names, err := f.Readdirnames(1); {
	case len(names) > 0:
		return ErrNotEmpty
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// A group is one object's links, by relation.
type group struct {
	from  entra.Ref
	links map[string][]entra.Ref
}

// ofType writes the objects of one type, and what has links and no object: it was not seen itself.
func (w *writer) ofType(ctx context.Context, t entra.Type, relations []string) error {
	next, stop := iter.Pull2(w.groups(ctx, t, relations))
	defer stop()
	g, err, more := next()
	if err != nil {
		return err
	}
	for o, err := range w.objects(ctx, t) {
		if err != nil {
			return err
		}
		for more && g.from.Compare(o.Ref) < 0 {
			if err := w.object(g.from, nil, g.links); err != nil {
				return err
			}
			if g, err, more = next(); err != nil {
				return err
			}
		}
		var links map[string][]entra.Ref
		if more && g.from == o.Ref {
			links = g.links
			if g, err, more = next(); err != nil {
				return err
			}
		}
		if err := w.object(o.Ref, &o, links); err != nil {
			return err
		}
	}
	for more {
		if err := w.object(g.from, nil, g.links); err != nil {
			return err
		}
		if g, err, more = next(); err != nil {
			return err
		}
	}
	return nil
}

// groups merges the links of a type's relations by the object they start at, ascending.
func (w *writer) groups(ctx context.Context, t entra.Type, relations []string) iter.Seq2[group, error] {
	return func(yield func(group, error) bool) {
		type stream struct {
			next func() (entra.Link, error, bool)
			link entra.Link
			more bool
		}
		streams := make([]*stream, len(relations))
		for i, rel := range relations {
			next, stop := iter.Pull2(w.tree.Links(ctx, t, rel))
			defer stop()
			streams[i] = &stream{next: next}
		}
		step := func(s *stream) (err error) {
			for {
				if s.link, err, s.more = s.next(); err != nil || !s.more || w.o.Link == nil || w.o.Link(s.link) {
					return err
				}
			}
		}
		for _, s := range streams {
			if err := step(s); err != nil {
				yield(group{}, err)
				return
			}
		}
		for {
			var from entra.Ref
			for _, s := range streams {
				if s.more && (from == entra.Ref{} || s.link.From.Compare(from) < 0) {
					from = s.link.From
				}
			}
			if from == (entra.Ref{}) {
				return
			}
			g := group{from, map[string][]entra.Ref{}}
			for _, s := range streams {
				for s.more && s.link.From == from {
					g.links[s.link.Rel] = append(g.links[s.link.Rel], s.link.To)
					if err := step(s); err != nil {
						yield(group{}, err)
						return
					}
				}
			}
			if w.o.Keep != nil && !w.o.Keep(from) {
				continue
			}
			if !yield(g, nil) {
				return
			}
		}
	}
}

// batch is how many objects are asked for at a time.
const batch = 512

// library is a tree that reads many objects at once quicker than one by one, in the order asked for.
type library interface {
	Objects(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error]
}

func (w *writer) objects(ctx context.Context, t entra.Type) iter.Seq2[entra.Object, error] {
	return func(yield func(entra.Object, error) bool) {
		refs := make([]entra.Ref, 0, batch)
		flush := func() bool {
			for o, err := range w.read(ctx, refs) {
				if !yield(o, err) || err != nil {
					return false
				}
			}
			refs = refs[:0]
			return true
		}
		for e, err := range w.tree.Entries(ctx, t) {
			if err != nil {
				yield(entra.Object{}, err)
				return
			}
			if w.o.Keep != nil && !w.o.Keep(e.Ref) {
				continue
			}
			if refs = append(refs, e.Ref); len(refs) == batch && !flush() {
				return
			}
		}
		flush()
	}
}

func (w *writer) read(ctx context.Context, refs []entra.Ref) iter.Seq2[entra.Object, error] {
	if l, ok := w.tree.(library); ok {
		return l.Objects(ctx, refs)
	}
	return func(yield func(entra.Object, error) bool) {
		for _, r := range refs {
			o, err := w.tree.Object(ctx, r)
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// object writes one file. o is nil for what was not seen itself.
func (w *writer) object(r entra.Ref, o *entra.Object, links map[string][]entra.Ref) error {
	b := []byte(`{"type":`)
	var err error
	add := func(s string) {
		if err == nil {
			b, err = jsontext.AppendQuote(b, s)
		}
	}
	add(string(r.Type))
	b = append(b, `,"id":`...)
	add(string(r.ID))
	if o != nil {
		b = append(b, `,"version":`...)
		add(o.Version().String())
		b = append(b, `,"body":`...)
		b = append(b, o.Body...)
		w.count.Objects++
	}
	if len(links) > 0 {
		b = append(b, `,"links":`...)
		for i, rel := range sortedKeys(links) {
			b = append(b, "{,"[min(i, 1)])
			add(rel)
			b = append(b, ':')
			for i, to := range links[rel] {
				b = append(b, "[,"[min(i, 1)])
				add(to.String())
			}
			b = append(b, ']')
			w.count.Links += int64(len(links[rel]))
		}
		b = append(b, '}')
	}
	b = append(b, '}')
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	name, err := FileName(r)
	if err != nil {
		return err
	}
	return w.file(name, b)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var (
	folderForm = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9]{0,99}$`)
	plainForm  = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9_-])?$`)
	deviceForm = regexp.MustCompile(`^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)
)

// FileName returns where an object lies: TYPE/ID.json where the ID is a name on every system, and else
// TYPE/, an underscore, what of the ID is, a tilde and 16 digits of the ID's SHA-256, so that two IDs have two
// names also where capitals are not told apart. A type that is no plain word is refused.
func FileName(r entra.Ref) (string, error) {
	if !folderForm.MatchString(string(r.Type)) || deviceForm.MatchString(strings.ToLower(string(r.Type))) {
		return "", fmt.Errorf("type %q cannot be a folder's name", r.Type)
	}
	id := string(r.ID)
	if plainForm.MatchString(id) && !deviceForm.MatchString(id) {
		return string(r.Type) + "/" + id + ".json", nil
	}
	short := []byte(id[:min(len(id), 60)])
	for i, c := range short {
		switch {
		case 'A' <= c && c <= 'Z':
			short[i] = c - 'A' + 'a'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
		default:
			short[i] = '_'
		}
	}
	sum := sha256.Sum256([]byte(id))
	return string(r.Type) + "/_" + string(short) + "~" + hex.EncodeToString(sum[:8]) + ".json", nil
}

// file writes one file, indented.
func (w *writer) file(name string, text []byte) error {
	v := jsontext.Value(text)
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if folder, _, ok := strings.Cut(name, "/"); ok {
		if err := w.dir.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	f, err := w.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(v, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	w.count.Files++
	return nil
}

// manifest writes what the folder holds.
func (w *writer) manifest() error {
	s := w.tree.Snapshot()
	type part struct {
		Type     entra.Type        `json:"type"`
		Relation string            `json:"relation"`
		Coverage snapshot.Coverage `json:"coverage"`
		Reason   string            `json:"reason"`
		Asked    []string          `json:"asked"` // null: all that the service returns unasked
		Holes    []entra.Ref       `json:"holes"`
		Objects  int64             `json:"objects"`
		Links    int64             `json:"links"`
		Root     snapshot.Root     `json:"root"`
		Complete int64             `json:"complete"` // the snapshot that the entries are from
	}
	m := struct {
		Export  int                     `json:"export"`
		Tenant  entra.TenantID          `json:"tenant"`
		Number  int64                   `json:"number"`
		ID      string                  `json:"id"`
		Began   time.Time               `json:"began"`
		Ended   time.Time               `json:"ended"`
		Parent  int64                   `json:"parent"`
		Whole   bool                    `json:"whole"` // all that the tree has of the parts is here
		Parts   []part                  `json:"parts"`
		Aliases map[entra.Ref]entra.Ref `json:"aliases"`
	}{1, s.Tenant, s.Number, s.ID.String(), s.Began, s.Ended, s.Parent, w.o.Keep == nil && w.o.Link == nil, []part{}, w.o.Aliases}
	if m.Aliases == nil {
		m.Aliases = map[entra.Ref]entra.Ref{}
	}
	for _, p := range s.Parts {
		if w.o.Types != nil && !slices.Contains(w.o.Types, p.Type) {
			continue
		}
		holes := p.Holes
		if holes == nil {
			holes = []entra.Ref{}
		}
		m.Parts = append(m.Parts, part{p.Type, p.Relation, p.Coverage, p.Reason, p.Asked, holes, p.Objects, p.Links, p.Root, p.Complete})
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%s: %w", Manifest, err)
	}
	// encoding/json escapes more than it must; jsontext writes strings in their one form.
	v := jsontext.Value(text)
	if err := v.Compact(jsontext.PreserveRawStrings(false)); err != nil {
		return fmt.Errorf("%s: %w", Manifest, err)
	}
	return w.file(Manifest, v)
}
