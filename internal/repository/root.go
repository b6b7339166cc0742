package repository

import (
	"crypto/sha256"
	"encoding/hex"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A rooter computes the RFC 6962 tree hash of leaves that come one by one, holding one hash a level.
type rooter struct {
	count int64
	stack []tlog.Hash // of complete subtrees, the largest first
	text  []byte
}

func (r *rooter) leaf(text []byte) {
	h := tlog.RecordHash(text)
	for n := r.count; n&1 == 1; n >>= 1 {
		last := len(r.stack) - 1
		h = tlog.NodeHash(r.stack[last], h)
		r.stack = r.stack[:last]
	}
	r.stack = append(r.stack, h)
	r.count++
}

// entry adds the object's leaf: "TYPE/ID VERSION", the version in hexadecimal.
func (r *rooter) entry(ref entra.Ref, v entra.Version) {
	b := append(append(append(append(r.text[:0], ref.Type...), '/'), ref.ID...), ' ')
	r.text = hex.AppendEncode(b, v[:])
	r.leaf(r.text)
}

// link adds the link's leaf: "FROM REL TO".
func (r *rooter) link(l entra.Link) {
	b := append(append(append(append(r.text[:0], l.From.Type...), '/'), l.From.ID...), ' ')
	b = append(append(b, l.Rel...), ' ')
	r.text = append(append(append(b, l.To.Type...), '/'), l.To.ID...)
	r.leaf(r.text)
}

// root returns the hash over all leaves so far; without any, the SHA-256 of nothing.
func (r *rooter) root() snapshot.Root {
	if len(r.stack) == 0 {
		return sha256.Sum256(nil)
	}
	h := r.stack[len(r.stack)-1]
	for i := len(r.stack) - 2; i >= 0; i-- {
		h = tlog.NodeHash(r.stack[i], h)
	}
	return snapshot.Root(h)
}
