package index

import (
	"container/list"
	"sync"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A cache keeps the bodies read last, up to maxCache bytes of them.
type cache struct {
	mu    sync.Mutex
	size  int
	order *list.List // of entra.Body, newest first
	at    map[entra.Version]*list.Element
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
	return e.Value.(entra.Body), true
}

func (c *cache) put(v entra.Version, b entra.Body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.at[v]; ok || len(b) > maxCache {
		return
	}
	c.at[v] = c.order.PushFront(b)
	c.size += len(b)
	for c.size > maxCache {
		last := c.order.Back()
		b := c.order.Remove(last).(entra.Body)
		delete(c.at, b.Version())
		c.size -= len(b)
	}
}
