package repository_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/bucket"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

// Law: whatever an object store does to a request, nothing that was promised is lost, and nothing is written twice.
func TestAServiceMisbehaves(t *testing.T) {
	rounds := 50
	if long() {
		rounds = 500
	}
	place := storetest.S3(t)
	var faults sync.Map // prefix to what befalls its requests
	through := storetest.Proxy(t, place, func(_ string, at *url.URL) storetest.Mishap {
		prefix, _, _ := strings.Cut(strings.TrimPrefix(at.Path, "/tidemark/"), "/")
		if at.Query().Has("prefix") {
			prefix, _, _ = strings.Cut(at.Query().Get("prefix"), "/")
		}
		if f, ok := faults.Load(prefix); ok {
			return f.(func() storetest.Mishap)()
		}
		return storetest.Fine
	})
	open := func(place, prefix string) store.Store {
		u, err := url.Parse(strings.Replace(place, "{name}", prefix, 1))
		must(t, err)
		s, err := bucket.Open(t.Context(), u, time.Now)
		must(t, err)
		return s
	}
	var stopped, survived, hits atomic.Int64
	k := newKeys(t)
	round := func(n int) error {
		prefix := fmt.Sprint("r", n)
		random := rand.New(rand.NewPCG(uint64(n), 11))
		at, what := int64(random.IntN(60)), storetest.Mishap(1+n%storetest.Mishaps)
		var asked atomic.Int64
		last := at + int64(random.IntN(3)) // more than once, so that a second try fails too
		faults.Store(prefix, func() storetest.Mishap {
			if i := asked.Add(1) - 1; i >= at && i <= last {
				hits.Add(1)
				return what
			}
			return storetest.Fine
		})
		var kept []promise
		err := tellAll(t, open(through, prefix), k, &kept)
		if err != nil {
			stopped.Add(1)
		} else {
			survived.Add(1)
		}
		direct := open(place, prefix)
		if e := keeps(t, direct, k, kept); e != nil {
			return fmt.Errorf("round %d: mishap %d at request %d, told %v: %w", n, what, at, err, e)
		}
		if r, e := repository.Open(t.Context(), direct, k.options()); e == nil {
			if more := r.Head().Size - int64(len(kept)) - 1; more > 1 || more > 0 && err == nil {
				return fmt.Errorf("round %d: mishap %d at request %d, told %v: %d records more than promised", n, what, at, err, more)
			}
			if e := capture(t.Context(), t, direct, k, &kept); e != nil {
				return fmt.Errorf("round %d: mishap %d at request %d, told %v: the next capture: %w", n, what, at, err, e)
			}
			if e := keeps(t, direct, k, kept); e != nil {
				return fmt.Errorf("round %d: after the next capture: %w", n, e)
			}
		}
		return nil
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "2") // the SDK waits before it tries again, so many rounds go on at once
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < rounds; n = int(next.Add(1)) - 1 {
				if err := round(n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if hits.Load() < int64(rounds) {
		t.Errorf("only %d mishaps in %d rounds", hits.Load(), rounds)
	}
	t.Logf("%d rounds, %d mishaps: %d times told so, %d survived", rounds, hits.Load(), stopped.Load(), survived.Load())
}

// tellAll is a repository's life in short.
func tellAll(t *testing.T, s store.Store, k keys, kept *[]promise) error {
	o := repository.InitOptions{Tenant: tenant, Holders: []string{k.identity.Recipient().String()}, Now: clock(), Signer: k.signer}
	if _, err := repository.Init(t.Context(), s, o); err != nil {
		return err
	}
	if err := capture(t.Context(), t, s, k, kept); err != nil {
		return err
	}
	r, err := repository.Open(t.Context(), s, k.options())
	if err != nil {
		return err
	}
	added, err := r.AddHolder(t.Context(), 1, k.identity.Recipient())
	if err == nil {
		*kept = append(*kept, promise{rec: added})
		added, err = r.Rotate(t.Context(), []age.Recipient{k.identity.Recipient()})
	}
	if err != nil {
		return err
	}
	*kept = append(*kept, promise{rec: added})
	return journal(t.Context(), r, kept, repository.KindPlan, repository.KindResult)
}
