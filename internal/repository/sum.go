package repository

import (
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A summer brings a part's sum up to date, on all processors, since the hashing of a first snapshot takes long.
type summer struct {
	work    errgroup.Group
	links   []entra.Link            // to be added
	changes []func(*snapshot.Adder) // to be made

	mu  sync.Mutex
	sum snapshot.Sum
}

// summed is how many things are added up at a time.
const summed = 1024

func newSummer(sum snapshot.Sum) *summer {
	s := &summer{sum: sum}
	s.work.SetLimit(runtime.GOMAXPROCS(0))
	return s
}

// do adds what change adds to a sum of nothing.
func (s *summer) do(change func(*snapshot.Adder)) {
	s.work.Go(func() error {
		part := snapshot.NewAdder(snapshot.Sum{})
		change(part)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sum.Add(part.Sum())
		return nil
	})
}

// link adds a link.
func (s *summer) link(l entra.Link) {
	if s.links = append(s.links, l); len(s.links) == summed {
		s.flush()
	}
}

// change is do for one of many small changes.
func (s *summer) change(change func(*snapshot.Adder)) {
	if s.changes = append(s.changes, change); len(s.changes) == summed {
		s.flush()
	}
}

func (s *summer) flush() {
	links, changes := s.links, s.changes
	s.links, s.changes = nil, nil
	if len(links)+len(changes) == 0 {
		return
	}
	s.do(func(part *snapshot.Adder) {
		for _, l := range links {
			part.AddLink(l)
		}
		for _, change := range changes {
			change(part)
		}
	})
}

// root waits for all that was given and returns the sum's root.
func (s *summer) root() snapshot.Root {
	s.flush()
	_ = s.work.Wait() // nothing of it can fail
	return s.sum.Root()
}
