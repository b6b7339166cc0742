package repository_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tidemark-backup/tidemark/internal/repository"
)

// leads reports whether a proof leads from its object to the root of the log.
func leads(t *testing.T, p *repository.Proof) bool {
	t.Helper()
	hashes := func(path []string) (out []tlog.Hash) {
		for _, h := range path {
			var x tlog.Hash
			_, err := hex.Decode(x[:], []byte(h))
			must(t, err)
			out = append(out, x)
		}
		return out
	}
	salt, err := hex.DecodeString(p.Salt)
	must(t, err)
	of := sha256.Sum256(fmt.Appendf(nil, "%s/%s %x", p.Type, p.ID, sha256.Sum256([]byte(p.Body))))
	var key tlog.Hash
	_, rest, _ := strings.Cut(p.Record, "\nkey ")
	text, _, _ := strings.Cut(rest, "\n")
	_, err = hex.Decode(key[:], []byte(text))
	must(t, err)
	if tlog.CheckRecord(hashes(p.Path), p.Leaves, key, p.Leaf, tlog.RecordHash(append(salt, of[:]...))) != nil {
		return false
	}
	root, err := tlog.ParseHash(p.Root)
	must(t, err)
	return tlog.CheckRecord(hashes(p.LogPath), p.Size, root, p.Number, tlog.RecordHash([]byte(p.Record))) == nil
}

// Law: each object that a record says is proven against the log as it was at any time since, and nothing else is.
func TestProofs(t *testing.T) {
	k := newKeys(t)
	r := reopen(t, lived(t, k), k)
	head := r.Head()
	proven := 0
	for rec, err := range r.Records(t.Context(), 0) {
		must(t, err)
		for l, err := range r.Replay(t.Context(), rec) {
			must(t, err)
			o, ok := l.(repository.Object)
			if !ok {
				continue
			}
			for size := rec.Number + 1; size <= head.Size; size++ {
				p, err := r.Prove(t.Context(), rec.Number, o.Ref, size)
				if err != nil {
					t.Fatal(err)
				}
				if !leads(t, p) || p.Body != string(o.Body) || p.Signer == "" || !strings.HasPrefix(p.Note, "tidemark/"+r.ID()+"\n") {
					t.Errorf("%s in record %d of %d is not proven: %+v", o.Ref, rec.Number, size, p)
				}
				proven++
				for name, change := range map[string]func(){"body": func() { p.Body += " " }, "id": func() { p.ID += "x" }, "leaf": func() { p.Leaf ^= 1 }, "number": func() { p.Number++ }} {
					was := *p
					change()
					if p.Leaf < p.Leaves && p.Number < p.Size && leads(t, p) {
						t.Errorf("%s of record %d: another %s is proven", o.Ref, rec.Number, name)
					}
					*p = was
				}
			}
			for _, size := range []int64{rec.Number, head.Size + 1, -1} {
				if p, err := r.Prove(t.Context(), rec.Number, o.Ref, size); err == nil {
					t.Errorf("proven in a log of %d records: %+v", size, p)
				}
			}
		}
	}
	if proven < 10 {
		t.Fatalf("only %d proofs", proven)
	}
	if _, err := r.Prove(t.Context(), 1, ref("user", "none"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if _, err := r.Prove(t.Context(), 0, ref("user", "1"), 0); !errors.Is(err, repository.ErrNoProof) {
		t.Errorf("a record that says no objects: %v", err)
	}
}
