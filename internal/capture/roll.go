package capture

import (
	"context"
	"slices"
	"sync"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A roll is which objects of a type are there. It is filled by a listing, and may be asked meanwhile. A nil one has none.
type roll struct {
	begun, done chan struct{} // closed when the listing has its turn, and when nothing is added any more

	mu     sync.Mutex
	ids    entra.IDs // also of objects that were only heard of
	there  marks     // those that are there
	hidden map[entra.ID]bool
	can    map[entra.Type][2]*marks // those that can contain something of a type, and that cannot
}

func newRoll() *roll {
	return &roll{begun: make(chan struct{}), done: make(chan struct{}), hidden: map[entra.ID]bool{}, can: map[entra.Type][2]*marks{}}
}

// roll returns the type's roll.
func (rd *reading) roll(t entra.Type) *roll {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if rd.seen[t] == nil {
		rd.seen[t] = newRoll()
	}
	return rd.seen[t]
}

// filled says that do fills the roll.
func (l *roll) filled(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		close(l.begun)
		defer close(l.done)
		return do(ctx)
	}
}

// add puts an object on the roll; with hidden, one whose relations this identity cannot read.
func (l *roll) add(id entra.ID, hidden bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there.set(l.ids.Add(id))
	if delete(l.hidden, id); hidden {
		l.hidden[id] = true
	}
}

// has reports whether an object is on the roll.
func (l *roll) has(id entra.ID) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.ids.Find(id)
	return ok && l.there.has(n)
}

// note says whether an object, whether or not it is on the roll, can contain something of a type.
func (l *roll) note(id entra.ID, t entra.Type, can bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.can[t] == [2]*marks{} {
		l.can[t] = [2]*marks{new(marks), new(marks)}
	}
	n, yes, no := l.ids.Add(id), l.can[t][0], l.can[t][1]
	if !can {
		yes, no = no, yes
	}
	yes.set(n)
	no.clear(n)
}

// holds reports whether an object can contain something of a type; known is false where nothing was said of it.
func (l *roll) holds(id entra.ID, t entra.Type) (can, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.ids.Find(id)
	if !ok || l.can[t] == [2]*marks{} {
		return false, false
	}
	can = l.can[t][0].has(n)
	return can, can || l.can[t][1].has(n)
}

// mark marks an object by its number, whether or not it is on the roll. It reports false where it was marked before.
func (l *roll) mark(m *marks, id entra.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.ids.Add(id)
	before := m.has(n)
	m.set(n)
	return !before
}

// unmarked returns the objects on the roll that are not marked, ascending.
func (l *roll) unmarked(m *marks) (ids []entra.ID) {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range uint32(l.ids.Len()) {
		if l.there.has(n) && !m.has(n) {
			ids = append(ids, l.ids.At(n))
		}
	}
	slices.Sort(ids)
	return ids
}

// all returns the objects on the roll, ascending.
func (l *roll) all() []entra.ID { return l.unmarked(new(marks)) }

// concealed returns the objects on the roll whose relations this identity cannot read, ascending.
func (l *roll) concealed() []entra.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]entra.ID, 0, len(l.hidden))
	for id := range l.hidden {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// count returns how many objects are on the roll.
func (l *roll) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.there.n
}

// Marks are a set of numbers.
type marks struct {
	words []uint64
	n     int64
}

func (m *marks) has(n uint32) bool {
	return int(n/64) < len(m.words) && m.words[n/64]>>(n%64)&1 != 0
}

func (m *marks) set(n uint32) {
	for int(n/64) >= len(m.words) {
		m.words = append(m.words, 0)
	}
	if !m.has(n) {
		m.n++
	}
	m.words[n/64] |= 1 << (n % 64)
}

func (m *marks) clear(n uint32) {
	if m.has(n) {
		m.words[n/64] &^= 1 << (n % 64)
		m.n--
	}
}

// wait waits until the channel is closed.
func wait(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
