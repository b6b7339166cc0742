package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A segment takes in what one snapshot changed. It can be told the same thing twice.
type segment struct {
	*writer
	number  int64 // the snapshot's; the z of rows it closes
	at      int64 // the a of rows it opens: its number, or 0 for the first snapshot
	types   map[entra.Type]int64
	rels    map[string]int64
	refs    *recent[entra.Ref]
	targets *recent[entra.ID]
	sums    map[sumKey]*snapshot.Sum // of the parts that differ
	numbers []int64                  // of objects by their ordinals in a checkpoint; 0 is not known yet
}

// A sumKey names a part.
type sumKey struct {
	t   entra.Type
	rel string
}

func (w *writer) segment(r *repository.Repository, record repository.Record) (err error) {
	s := &segment{writer: w, number: record.Number, at: record.Number, types: map[entra.Type]int64{}, rels: map[string]int64{},
		refs: newRecent[entra.Ref](), targets: newRecent[entra.ID](), sums: map[sumKey]*snapshot.Sum{}}
	var first int64
	if ok, err := w.get("first", nil, &first); err != nil {
		return err
	} else if !ok {
		s.at = 0
		if _, err := w.tx.ExecContext(w.bare, "PRAGMA cache_size = "+firstCache); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.lessCache()) }()
	}
	var found *snapshot.Snapshot
	lines := 0
	for line, err := range r.Replay(w.ctx, record) {
		if err != nil {
			return err
		}
		if lines++; lines%256 == 0 && w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		switch line := line.(type) {
		case repository.Object:
			err = s.object(line)
		case repository.Gone:
			err = s.gone(line.Ref)
		case repository.Anew:
			err = s.anew()
		case repository.Links:
			err = s.links(line)
		case repository.AuditEntry:
			err = s.act(line)
		case repository.Snapshot:
			found = line.Snapshot
		}
		if err != nil {
			return err
		}
	}
	if found == nil || found.Number != record.Number {
		return errors.New("the segment does not say which snapshot it is")
	}
	for _, name := range []string{"drop empty versions", "drop empty links", "drop empty references"} {
		if _, err := s.run(name, s.number); err != nil {
			return err
		}
	}
	for k, sum := range s.sums {
		if _, err := s.run("set sum", string(k.t), k.rel, sum.Bytes()); err != nil {
			return err
		}
	}
	body, err := json.Marshal(found)
	if err != nil {
		return err
	}
	if _, err := s.run("add snapshot", s.number, nano(found.Ended), body); err != nil {
		return err
	}
	if body, err = json.Marshal(TallyOf(found)); err != nil {
		return err
	}
	if _, err := s.run("add tally", s.number, body); err != nil {
		return err
	}
	if s.at == 0 {
		if err := s.lessCache(); err != nil { // what an index sorts takes as much once more
			return err
		}
		if _, err := s.tx.ExecContext(s.bare, script("indexes.sql")); err != nil {
			return fmt.Errorf("index the first snapshot: %w", err)
		}
	}
	return nil
}

// lessCache gives back what a first fill kept of the database in memory.
func (w *writer) lessCache() error {
	_, err := w.tx.ExecContext(w.bare, "PRAGMA cache_size = "+pageCache)
	return err
}

// object makes the line's version the object's living one.
func (s *segment) object(line repository.Object) error {
	n, fresh, err := s.ordinal(line.Ordinal, line.Ref)
	if err != nil {
		return err
	}
	var a, z, label int64
	var hash, digest []byte
	var name string
	known := false
	if !fresh {
		if known, err = s.get("newest version", []any{n}, &a, &z, &hash, &label, &name, &digest); err != nil {
			return err
		}
	}
	same := known && bytes.Equal(hash, line.Version[:])
	if same && z == forever {
		return nil
	}
	sum, err := s.sum(line.Ref.Type, "")
	if err != nil {
		return err
	}
	if known && z == forever {
		sum.SubEntry(line.Ref, entra.Version(hash))
	}
	sum.AddEntry(line.Ref, line.Version)
	switch {
	case same && z == s.number:
		if _, err := s.run("revive version", n, a); err != nil {
			return err
		}
		return s.refers(n, fresh, s.project(line).Refs)
	case known && z == forever && a != s.at:
		if _, err := s.run("close version", n, a, s.number); err != nil {
			return err
		}
	}
	p := s.project(line)
	words := strings.Join(p.Search, "\n")
	of := sha256.Sum256([]byte(words))
	if !known || name != p.Name || !bytes.Equal(digest, of[:16]) {
		if label, _, err = s.insert("add label", n, p.Name, of[:16]); err != nil {
			return err
		}
		if _, err := s.run("add text", label, p.Name+"\n"+words); err != nil {
			return err
		}
	}
	if _, err := s.run("add version", n, s.at, line.Version[:], label, pack(line.Position)); err != nil {
		return err
	}
	return s.refers(n, fresh, p.Refs)
}

func (s *segment) project(line repository.Object) Projection {
	if s.x.o.Project == nil {
		return Projection{Name: string(line.Ref.ID)}
	}
	p := s.x.o.Project(entra.Object{Ref: line.Ref, Body: line.Body})
	if p.Name == "" {
		p.Name = string(line.Ref.ID)
	}
	return p
}

// refers makes the IDs the ones that the object holds.
func (s *segment) refers(n int64, fresh bool, ids []entra.ID) error {
	held := map[int64]bool{}
	if !fresh {
		rows, err := s.stmt("references held").QueryContext(s.bare, n)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var target int64
			if err := rows.Scan(&target); err != nil {
				return err
			}
			held[target] = true
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	wanted := map[int64]bool{}
	for _, id := range ids {
		target, err := s.target(id)
		if err != nil {
			return err
		}
		if wanted[target] {
			continue
		}
		wanted[target] = true
		if held[target] {
			continue
		}
		var revived int64
		if !fresh {
			revived, err = s.run("revive reference", n, target, s.number)
		}
		if err == nil && revived == 0 {
			_, err = s.run("add reference", n, target, s.at)
		}
		if err != nil {
			return err
		}
	}
	for target := range held {
		if !wanted[target] {
			if _, err := s.run("close reference", n, target, s.number); err != nil {
				return err
			}
		}
	}
	return nil
}

// anew ends all that there is. What is said again afterwards goes on.
func (s *segment) anew() error {
	if s.at == 0 {
		return nil
	}
	for _, name := range []string{"close all versions", "close all links", "close all references"} {
		if _, err := s.run(name, s.number); err != nil {
			return err
		}
	}
	rows, err := s.stmt("sums").QueryContext(s.bare)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k sumKey
		if err := rows.Scan(&k.t, &k.rel); err != nil {
			return err
		}
		s.sums[k] = &snapshot.Sum{}
	}
	return rows.Err()
}

// gone ends an object, and its links in both directions.
func (s *segment) gone(r entra.Ref) error {
	n, fresh, err := s.ref(r)
	if err != nil || fresh {
		return err
	}
	var a, z, label int64
	var hash, digest []byte
	var name string
	known, err := s.get("newest version", []any{n}, &a, &z, &hash, &label, &name, &digest)
	if err != nil {
		return err
	}
	if known && z == forever {
		sum, err := s.sum(r.Type, "")
		if err != nil {
			return err
		}
		sum.SubEntry(r, entra.Version(hash))
		if _, err := s.run("close version", n, a, s.number); err != nil {
			return err
		}
	}
	for _, name := range []string{"close references", "close links from", "close links to"} {
		if _, err := s.run(name, n, s.number); err != nil {
			return err
		}
	}
	return nil
}

func (s *segment) links(line repository.Links) error {
	from, to := int64(-1), []int64(nil)
	if line.Ordinals != nil {
		from, to = line.Ordinals[0], line.Ordinals[1:]
	}
	src, _, err := s.ordinal(from, line.From)
	if err != nil {
		return err
	}
	rel, err := s.rel(line.Rel)
	if err != nil {
		return err
	}
	sum, err := s.sum(line.From.Type, line.Rel)
	if err != nil {
		return err
	}
	for _, to := range line.Remove {
		sum.SubLink(entra.Link{From: line.From, Rel: line.Rel, To: to})
	}
	for _, to := range line.Add {
		sum.AddLink(entra.Link{From: line.From, Rel: line.Rel, To: to})
	}
	if err := s.each(line.Remove, nil, func(ends string) error {
		_, err := s.run("close links", src, rel, ends, s.number)
		return err
	}); err != nil {
		return err
	}
	return s.each(line.Add, to, func(ends string) error {
		if s.at == 0 {
			_, err := s.run("add first links", src, rel, ends)
			return err
		}
		// What was taken away and comes back in one segment never went.
		if _, err := s.run("revive links", src, rel, ends, s.number); err != nil {
			return err
		}
		_, err := s.run("add links", src, rel, ends, s.at)
		return err
	})
}

// each gives do the objects as far ends, as JSON, a chunk at a time. Ordinals are those of the refs, or nil.
func (s *segment) each(refs []entra.Ref, ordinals []int64, do func(ends string) error) error {
	ends := make([]int64, 0, min(len(refs), chunk))
	for i, r := range refs {
		o := int64(-1)
		if ordinals != nil {
			o = ordinals[i]
		}
		n, _, err := s.ordinal(o, r)
		if err != nil {
			return err
		}
		end, err := far(s.types[r.Type], r.ID, n)
		if err != nil {
			return err
		}
		if ends = append(ends, end); len(ends) == chunk || i == len(refs)-1 {
			slices.Sort(ends) // as the rows lie
			if err := do(text(ends)); err != nil {
				return err
			}
			ends = ends[:0]
		}
	}
	return nil
}

func (s *segment) act(line repository.AuditEntry) error {
	if s.x.o.Act == nil {
		return nil
	}
	a, ok := s.x.o.Act(line.Body)
	if !ok || a.ID == "" {
		return nil
	}
	n, added, err := s.insert("add act", a.ID, nano(a.At), pack(line.Position))
	if err != nil || !added {
		return err
	}
	for _, id := range a.On {
		target, err := s.target(id)
		if err != nil {
			return err
		}
		if _, err := s.run("add act on", target, nano(a.At), n); err != nil {
			return err
		}
	}
	return nil
}

// ordinal is ref for an object that a checkpoint has given an ordinal, and ref itself where that is -1.
func (s *segment) ordinal(o int64, r entra.Ref) (n int64, fresh bool, err error) {
	if o < 0 {
		return s.ref(r)
	}
	if o < int64(len(s.numbers)) && s.numbers[o] != 0 {
		return s.numbers[o], false, nil
	}
	if n, fresh, err = s.numbered(r); err == nil {
		for int64(len(s.numbers)) <= o {
			s.numbers = append(s.numbers, 0)
		}
		s.numbers[o] = n
	}
	return n, fresh, err
}

// ref returns the object's row number, making the row where it is missing, which it reports as fresh.
func (s *segment) ref(r entra.Ref) (n int64, fresh bool, err error) {
	if n, ok := s.refs.get(r); ok {
		return n, false, nil
	}
	if n, fresh, err = s.numbered(r); err == nil {
		s.refs.put(r, n)
	}
	return n, fresh, err
}

// numbered is ref without the memory of what was asked for last.
func (s *segment) numbered(r entra.Ref) (n int64, fresh bool, err error) {
	t, ok := s.types[r.Type]
	if !ok {
		if t, _, err = s.row("type number", "add type", string(r.Type)); err != nil {
			return 0, false, err
		}
		s.types[r.Type] = t
	}
	return s.row("object number", "add object", t, string(r.ID))
}

func (s *segment) rel(name string) (n int64, err error) {
	n, ok := s.rels[name]
	if !ok {
		n, _, err = s.row("rel number", "add rel", name)
		s.rels[name] = n
	}
	return n, err
}

// sum returns what a part adds up to so far, which the caller brings up to date.
func (s *segment) sum(t entra.Type, rel string) (*snapshot.Sum, error) {
	k := sumKey{t, rel}
	if s.sums[k] == nil {
		var value []byte
		if _, err := s.get("sum", []any{string(t), rel}, &value); err != nil {
			return nil, err
		}
		sum, _ := snapshot.SumOf(value) // of none it is that of nothing
		s.sums[k] = &sum
	}
	return s.sums[k], nil
}

func (s *segment) target(id entra.ID) (n int64, err error) {
	n, ok := s.targets.get(id)
	if !ok {
		if n, _, err = s.row("target number", "add target", string(id)); err == nil {
			s.targets.put(id, n)
		}
	}
	return n, err
}

// row finds a row's number, or adds the row. In the first snapshot nearly all is new, so adding is tried before finding.
func (s *segment) row(find, add string, args ...any) (n int64, fresh bool, err error) {
	if s.at != 0 {
		if found, err := s.get(find, args, &n); err != nil || found {
			return n, false, err
		}
	}
	n, fresh, err = s.insert(add, args...)
	if err != nil || fresh {
		return n, true, err
	}
	_, err = s.get(find, args, &n)
	return n, false, err
}

// recent is a bounded memory of row numbers: what was asked for since the last time but one that it was full.
type recent[K comparable] struct{ now, before map[K]int64 }

// maxRecent bounds each half of a recent: some 20 MB.
const maxRecent = 1 << 17

func newRecent[K comparable]() *recent[K] { return &recent[K]{now: map[K]int64{}} }

func (r *recent[K]) get(k K) (int64, bool) {
	if n, ok := r.now[k]; ok {
		return n, true
	}
	n, ok := r.before[k]
	if ok {
		r.put(k, n)
	}
	return n, ok
}

func (r *recent[K]) put(k K, n int64) {
	if len(r.now) >= maxRecent {
		r.before, r.now = r.now, map[K]int64{}
	}
	r.now[k] = n
}
