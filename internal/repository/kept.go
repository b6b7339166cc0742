package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// What is kept of a log is text, which only the machine that wrote it reads:
//
//	tidemark log 1 REPOSITORY
//	SIGNER           the name in the key that signed the record
//	kind KIND        the record's own lines
//	...
//	                 an empty line, and so on
//	sha256 HASH      of all before it
const keptForm = "tidemark log 1 "

// Kept returns the log as last read for Options.Kept of who opens the repository next. Nothing secret is in it.
func (r *Repository) Kept() []byte {
	r.mu.RLock()
	records := r.records
	r.mu.RUnlock()
	b := append(append(append(make([]byte, 0, 512*(1+len(records))), keptForm...), r.id...), '\n')
	for _, rec := range records {
		b = append(append(b, rec.Signer...), '\n')
		b = append(rec.appendText(b), '\n')
	}
	sum := sha256.Sum256(b)
	return append(hex.AppendEncode(append(b, "sha256 "...), sum[:]), '\n')
}

// Recalled returns how many of the records Open took from Options.Kept.
func (r *Repository) Recalled() int64 { return r.recalled }

// recall opens a repository with the records that were kept and that Seen covers, and reads on from the note of Seen. It
// returns nil where that leads to no log that continues Seen: then all has to be read, and what is wrong is told by that.
func recall(ctx context.Context, s store.Store, h header, o Options) (*Repository, error) {
	r, err := fresh(s, h, o)
	if err != nil || o.Seen.Size < 2 || !r.take(o.Kept, o.Seen.Size-1) {
		return nil, nil //nolint:nilerr,nilnil // nothing is known
	}
	err = r.readOn(ctx, readers) // so that a hole near the end shows, which a list of all would show
	if err == nil {
		err = r.seen(o.Seen)
	}
	if _, damaged := errors.AsType[*CorruptError](err); damaged || errors.Is(err, ErrRollback) {
		return nil, nil //nolint:nilnil // what was kept does not lead to what is there
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// take takes in the records that were kept, up to so many. They were verified when they were read: that they are the same
// shows in the root of what follows them. It reports false where there is none, or the text is not what Kept wrote.
func (r *Repository) take(kept []byte, most int64) bool {
	end := len(kept) - len("sha256 \n") - 2*sha256.Size
	if end < 0 {
		return false
	}
	sum := sha256.Sum256(kept[:end])
	text, ok := strings.CutPrefix(string(kept[:end]), keptForm+r.id+"\n")
	if !ok || string(kept[end:]) != "sha256 "+hex.EncodeToString(sum[:])+"\n" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	many := strings.Count(text, "\n\n")
	r.records, r.hashes = make([]Record, 0, many+readers), make([]tlog.Hash, 0, 2*(many+readers))
	for n := int64(0); text != "" && n < most; n++ {
		signer, rest, _ := strings.Cut(text, "\n")
		cut := strings.Index(rest, "\n\n")
		if cut < 0 {
			return false
		}
		rec, err := parseRecord(rest[:cut+1])
		if err != nil {
			return false
		}
		rec.Number, rec.Signer = n, signer
		change, err := r.fits(rec)
		if err != nil {
			return false
		}
		change()
		r.hashes = r.more(r.hashes, rec)
		r.records = append(r.records, rec)
		text = rest[cut+2:]
	}
	r.recalled = int64(len(r.records))
	r.head.Size = r.recalled
	return r.recalled > 0
}
