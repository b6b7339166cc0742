package index

import (
	"container/list"
	"encoding/json"
	"slices"
	"sync"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A cache keeps the bodies read last, up to maxCache bytes of them.
type cache struct {
	mu    sync.Mutex
	size  int
	order *list.List // of cached, newest first
	at    map[entra.Version]*list.Element
}

type cached struct {
	version entra.Version
	body    entra.Body
}

const maxCache = 8 << 20

func newCache() *cache { return &cache{order: list.New(), at: map[entra.Version]*list.Element{}} }

func (c *cache) get(v entra.Version) (entra.Body, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.at[v]
	if !ok {
		return "", false
	}
	c.order.MoveToFront(e)
	return e.Value.(cached).body, true
}

func (c *cache) put(v entra.Version, b entra.Body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.at[v]; ok || len(b) > maxCache {
		return
	}
	c.at[v] = c.order.PushFront(cached{v, b})
	c.size += len(b)
	for c.size > maxCache {
		last := c.order.Remove(c.order.Back()).(cached)
		delete(c.at, last.version)
		c.size -= len(last.body)
	}
}

// A shelf keeps the snapshots decoded last, by what they are in JSON, since a snapshot of hundreds of parts takes longer to
// decode than to read.
type shelf struct {
	mu  sync.Mutex
	all []shelved // newest last
}

type shelved struct {
	body     string
	snapshot *snapshot.Snapshot
}

const maxShelf = 32

// get returns the snapshot that body is. It is not to be changed.
func (s *shelf) get(body []byte) (*snapshot.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.all, func(e shelved) bool { return e.body == string(body) })
	var e shelved
	if i >= 0 {
		e = s.all[i]
		s.all = slices.Delete(s.all, i, i+1)
	} else {
		e = shelved{string(body), new(snapshot.Snapshot)}
		if err := json.Unmarshal(body, e.snapshot); err != nil {
			return nil, err
		}
		for i := range e.snapshot.Parts { // who adds to a list adds to a copy
			p := &e.snapshot.Parts[i]
			p.Asked, p.Absent = slices.Clip(p.Asked), slices.Clip(p.Absent)
			p.Holes, p.Seen, p.SeenTo = slices.Clip(p.Holes), slices.Clip(p.Seen), slices.Clip(p.SeenTo)
		}
		if len(s.all) == maxShelf {
			s.all = slices.Delete(s.all, 0, 1)
		}
	}
	s.all = append(s.all, e)
	return e.snapshot, nil
}
