package apply

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// trip is what a request to the service and its answer usually take. Nobody promises it.
const trip = 150 * time.Millisecond

// A Forecast says what a plan costs if nothing gets in its way.
type Forecast struct {
	Writes int             // requests that write
	Ends   []time.Duration // when each step will be done, in step order, from the beginning of the first
}

// Whole returns how long all of the plan takes.
func (f Forecast) Whole() time.Duration {
	if len(f.Ends) == 0 {
		return 0
	}
	return slices.Max(f.Ends)
}

// Estimate carries a plan out on paper: wave by wave, as many requests at once as Run sends, within the quotas that
// its client keeps to at that scale.
func Estimate(p *plan.Plan, scale graph.Scale) Forecast {
	u := &run{plan: p, scale: scale, wide: width(scale), o: Options{Secrets: nobody{}}, results: map[int]Result{}, ids: maps.Clone(p.IDs), values: maps.Clone(p.Values), back: map[entra.Ref]bool{}, held: map[int]bool{}}
	u.learn()
	out := Forecast{Ends: make([]time.Duration, len(p.Steps))}
	quotas := graph.Forecast{Scale: scale}
	lanes := make([]time.Duration, scale.InFlight())
	first := func() *time.Duration {
		lane := &lanes[0]
		for i := range lanes {
			if lanes[i] < *lane {
				lane = &lanes[i]
			}
		}
		return lane
	}
	carry := func(calls []catalog.Call, steps ...plan.Step) {
		lane := first()
		for _, c := range calls {
			*lane = quotas.Go(c.Method, c.Path, *lane) + trip
			if c.Method != http.MethodGet {
				out.Writes++
			}
		}
		for _, s := range steps {
			out.Ends[s.Number-1] = *lane
		}
	}
	meet := func() {
		last := slices.Max(lanes)
		for i := range lanes {
			lanes[i] = last
		}
	}
	for steps := u.next(); len(steps) > 0; steps = u.next() {
		if steps[0].Action == plan.Attach {
			_, lists := u.kept()
			for batch := range slices.Chunk(lists, graph.MaxBatch) {
				lane := first()
				for _, l := range batch {
					*lane = quotas.Go(l.call.Method, l.call.Path, *lane)
					for _, s := range l.steps {
						u.held[s.Number] = true
					}
				}
				*lane += trip
			}
			meet()
		}
		rest := slices.DeleteFunc(slices.Clone(steps), func(s plan.Step) bool { return u.held[s.Number] })
		bundles, single := u.bundled(rest)
		for _, b := range bundles {
			carry([]catalog.Call{b.call}, b.steps...)
		}
		meet()
		for _, s := range single {
			if carry(u.calls(s), s); s.Action == plan.Undelete {
				u.back[u.names().now(s.Ref, s.OfBase)] = true
			}
		}
		meet()
		for _, s := range steps {
			if u.held[s.Number] {
				out.Ends[s.Number-1] = lanes[0]
			}
		}
		for _, s := range steps {
			u.results[s.Number] = Result{Step: s.Number, Outcome: Done}
		}
	}
	return out
}

// nobody is where a forecast hands out what is not made.
type nobody struct{}

func (nobody) Given(plan.Step) (entra.ID, bool) { return "", false }
func (nobody) Give(Issued) error                { return nil }

// calls returns the requests that a step usually takes.
func (u *run) calls(s plan.Step) []catalog.Call {
	r, ok := catalog.Lookup(s.Ref.Type)
	if !ok {
		return nil
	}
	ref := u.names().now(s.Ref, s.OfBase)
	fetch := r.Fetch(ref.ID)
	write := func(c catalog.Call, err error) catalog.Call {
		if err != nil { // it will fail, or be said in another way
			c = fetch
			c.Method = http.MethodPatch
		}
		return c
	}
	several := func(calls []catalog.Call, err error) []catalog.Call {
		if err != nil || len(calls) == 0 {
			return []catalog.Call{write(catalog.Call{}, http.ErrNotSupported)}
		}
		return calls
	}
	switch s.Action {
	case plan.Create:
		return several(r.Create(ref.ID, s.Set, catalog.Fresh{Password: "-"}))
	case plan.Undelete:
		bin, ok := catalog.Lookup(r.Bin)
		if !ok {
			return nil
		}
		there := bin.Fetch(ref.ID)
		out := there
		out.Method = http.MethodPost
		return []catalog.Call{fetch, there, out}
	case plan.Update:
		return append([]catalog.Call{fetch}, several(r.Update(ref.ID, s.Set, s.Was))...)
	case plan.Revoke:
		return []catalog.Call{r.Revoked(ref.ID)}
	case plan.Issue:
		write := fetch
		write.Method = http.MethodPost
		return []catalog.Call{fetch, write}
	case plan.Attach, plan.Detach:
		l, err := u.ends(s)
		if err != nil {
			return nil
		}
		if s.Action == plan.Detach {
			return []catalog.Call{write(r.Unbind(l))}
		}
		return []catalog.Call{write(r.Bind(l))}
	case plan.Delete:
		return []catalog.Call{fetch, r.Remove(entra.Object{Ref: ref})}
	}
	return nil
}
