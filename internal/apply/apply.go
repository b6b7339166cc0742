// Package apply carries out a cleared plan; it is the only writer to a tenant.
//
// It promises that what it is about to write is in the repository's log before the first write, that no
// creation is repeated whose outcome is not known (it looks first), that an object the plan did not expect is
// left alone, and that run again with the same plan it continues where it stopped, without a duplicate. It
// refuses a plan that guard did not clear, and it takes no decision: every write is a step of the plan, and
// where several objects could be the one that a lost answer created it says so instead of choosing.
package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// ErrStale means that the tenant is no longer what the plan was made for.
var ErrStale = errors.New("tenant changed since the plan was made")

// Options for a run.
type Options struct {
	Endpoint string           // of the service, as references to objects are written: "https://graph.microsoft.com"
	Now      func() time.Time // required
	// Password returns the password that a created account begins with, the same one whenever it is asked for a step: an answer that
	// was lost can have made the account. It reports false where there is none yet, and the account is not made then. Required. It
	// is told to nobody else.
	Password func(plan.Step) (string, bool)
	// Existed reports whether the plan's base has the object; required. Such a one was there before, so it is
	// never taken for one that this plan created, however much alike they are.
	Existed func(context.Context, entra.Ref) (bool, error)
	// Secrets is where new credentials are handed out; steps that make one are not run where it is nil.
	Secrets Handout
	// Progress is told of each result, one at a time; nil means silence.
	Progress func(plan.Step, Result)
}

// A Report says what became of each step, and which IDs new objects were given.
type Report struct {
	Results []Result                // in step order
	IDs     map[entra.Ref]entra.Ref // what the goal calls an object -> what the tenant calls it now
}

// Count returns how many results have the outcome.
func (r *Report) Count(o Outcome) (n int) {
	for _, x := range r.Results {
		if x.Outcome == o {
			n++
		}
	}
	return n
}

// A Result is what became of one step.
type Result struct {
	Step    int      `json:"step"`
	Outcome Outcome  `json:"outcome"`
	ID      entra.ID `json:"id,omitempty"` // of the object that a creation made, even if it could not be completed; of an issue, of the new credential
	Error   string   `json:"error,omitempty"`
	Unknown bool     `json:"unknown,omitempty"` // of a failure: it may have happened all the same
}

// An Outcome is what became of a step.
type Outcome string

// The outcomes.
const (
	NotRun      Outcome = "notRun"
	Done        Outcome = "done"
	AlreadyDone Outcome = "alreadyDone"
	Stale       Outcome = "stale"
	Failed      Outcome = "failed"
)

func (o Outcome) holds() bool { return o == Done || o == AlreadyDone }

const (
	wave  = 200              // steps whose intents share a record, at least
	grace = 30 * time.Second // for what is under way when the person asks to stop
)

// The documents that a restore leaves in the log, each in a record whose parent is the plan's.
type (
	intents struct {
		Steps []int `json:"steps"`
	}
	outcomes struct {
		Results []Result                `json:"results"`
		IDs     map[entra.Ref]entra.Ref `json:"ids,omitempty"`
		// Values maps what else names a created object from the goal's value to the one the service chose.
		Values map[entra.ID]entra.ID `json:"values,omitempty"`
	}
)

// A run is one plan being carried out.
type run struct {
	client *graph.Client
	repo   *repository.Repository
	plan   *plan.Plan
	scale  graph.Scale
	wide   int // steps of a wave
	record int64
	o      Options

	mu      sync.Mutex
	results map[int]Result
	settled int                     // so many steps from the first have results
	ids     map[entra.Ref]entra.Ref // goal's ref -> tenant's
	values  map[entra.ID]entra.ID   // what else names objects: goal's value -> tenant's
	made    map[entra.Ref]bool      // tenant's refs that this plan created or undeleted: they may be slow to appear
	coined  map[entra.ID]bool       // what else names them
	back    map[entra.Ref]bool      // those undeleted of which nobody has asked yet what came back with them
	held    map[int]bool            // attachments that were seen to hold by themselves, by step
	learned naming                  // of what ids and values held when the wave began
	asked   map[int][]time.Time     // when each attempt at a step was written down
	busy    map[entra.Ref]chan struct{}
	open    map[int]time.Time // steps that were begun, of which nobody knows what became, and since when
	begun   map[int]entra.ID  // objects that were created and not completed, by step
	refused map[int]bool      // steps that the service refused as wrong, to be tried once more: false once they were
}

// width is how many steps a wave has: what is under way at once several times over, since a wave ends with its slowest
// step.
func width(s graph.Scale) int { return max(wave, 8*s.InFlight()) }

// Run carries out the plan that record number in the log holds. A step that failed, or found the tenant
// changed, stops only the steps that need it; Run's own error means that the log or the context failed, and
// that running again continues.
func Run(ctx context.Context, c *graph.Client, r *repository.Repository, cleared guard.Cleared, record int64, o Options) (*Report, error) {
	p := cleared.Plan()
	if p == nil {
		return nil, errors.New("apply: the plan was not cleared")
	}
	u := &run{client: c, repo: r, plan: p, scale: c.Scale(), wide: width(c.Scale()), record: record, o: o,
		results: map[int]Result{}, ids: maps.Clone(p.IDs), values: maps.Clone(p.Values), made: map[entra.Ref]bool{}, coined: map[entra.ID]bool{}, back: map[entra.Ref]bool{}, held: map[int]bool{}, asked: map[int][]time.Time{}, busy: map[entra.Ref]chan struct{}{}, open: map[int]time.Time{}, begun: map[int]entra.ID{}, refused: map[int]bool{}}
	if u.ids == nil {
		u.ids = map[entra.Ref]entra.Ref{}
	}
	if u.values == nil {
		u.values = map[entra.ID]entra.ID{}
	}
	if err := u.resume(ctx); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	for {
		steps := u.next()
		if len(steps) == 0 && !u.reopen() {
			break
		}
		if len(steps) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return u.report(), fmt.Errorf("apply: stopped before step %d: %w", steps[0].Number, err)
		}
		if err := u.wave(ctx, steps); err != nil {
			return u.report(), fmt.Errorf("apply: %w", err)
		}
	}
	return u.report(), nil
}

// resume takes over what earlier runs of the same plan wrote down.
func (u *run) resume(ctx context.Context) error {
	for rec, err := range u.repo.Records(ctx, u.record+1) {
		if err != nil {
			return err
		}
		if rec.Parent != u.record || rec.Kind != repository.KindIntents && rec.Kind != repository.KindOutcomes {
			continue
		}
		data, err := u.repo.Data(ctx, rec)
		if err != nil {
			return err
		}
		switch rec.Kind {
		case repository.KindIntents:
			var in intents
			if err := json.Unmarshal(data, &in); err != nil {
				return fmt.Errorf("record %d: %w", rec.Number, err)
			}
			for _, n := range in.Steps {
				u.open[n] = rec.At
				u.asked[n] = append(u.asked[n], rec.At)
			}
		case repository.KindOutcomes:
			var out outcomes
			if err := json.Unmarshal(data, &out); err != nil {
				return fmt.Errorf("record %d: %w", rec.Number, err)
			}
			maps.Copy(u.values, out.Values)
			for _, now := range out.Values {
				u.coined[now] = true
			}
			for _, res := range out.Results {
				if !res.Unknown {
					delete(u.open, res.Step)
				}
				if res.Outcome.holds() {
					u.results[res.Step] = res
					u.note(u.step(res.Step), res)
				} else if res.ID != "" {
					u.begun[res.Step] = res.ID
				}
			}
		}
	}
	return nil
}

func (u *run) step(n int) plan.Step { return u.plan.Steps[n-1] }

// note remembers what a step that holds means for later ones.
func (u *run) note(s plan.Step, res Result) {
	switch s.Action {
	case plan.Create:
		now := entra.Ref{Type: s.Ref.Type, ID: res.ID}
		u.ids[s.Ref], u.made[now] = now, true
	case plan.Undelete:
		now := s.Ref
		if to, ok := u.ids[s.Ref]; ok {
			now = to
		}
		u.made[now], u.back[now] = true, true
	}
}

// next returns the steps of the next wave: as many as follow one another in the plan, do the same to objects of one
// type, and do not need one another. What the plan does to another type comes after it: security defaults have to
// be off before a policy can be turned on. Steps that need one that does not hold are settled on the way.
func (u *run) next() []plan.Step {
	var steps []plan.Step
	for ; u.settled < len(u.plan.Steps); u.settled++ {
		if _, settled := u.results[u.settled+1]; !settled {
			break
		}
	}
	for _, s := range u.plan.Steps[u.settled:] {
		if _, settled := u.results[s.Number]; settled {
			continue
		}
		if len(steps) > 0 && (len(steps) == u.wide || s.Action != steps[0].Action || s.Ref.Type != steps[0].Ref.Type) {
			break
		}
		waits := false
		for _, n := range s.Needs {
			need, settled := u.results[n]
			if !settled {
				waits = true
			} else if !need.Outcome.holds() {
				u.settle(s, Result{Step: s.Number, Outcome: NotRun, Error: fmt.Sprintf("it needs step %d, which did not happen", n)})
				break
			}
		}
		if _, settled := u.results[s.Number]; settled {
			continue
		}
		if waits {
			break
		}
		if u.o.Secrets == nil && s.Secret() {
			u.settle(s, Result{Step: s.Number, Outcome: NotRun, Error: "it makes a new secret, and there is nowhere to hand it out; the same command with --new-secrets FILE continues"})
			continue
		}
		steps = append(steps, s)
	}
	return steps
}

// reopen opens the steps that were refused before others were carried out, once, with those that need them: what
// made the service refuse may be what a later step put right, as a role that has to be there before it is given.
func (u *run) reopen() (any bool) {
	u.settled = 0
	last := 0
	for n, res := range u.results {
		if res.Outcome == Done {
			last = max(last, n)
		}
	}
	for n, first := range u.refused {
		if first && n < last {
			delete(u.results, n)
			any = true
		}
		u.refused[n] = false
	}
	for n, res := range u.results {
		if any && res.Outcome == NotRun {
			delete(u.results, n)
		}
	}
	return any
}

func (u *run) settle(s plan.Step, res Result) {
	u.results[s.Number] = res
	if res.Outcome.holds() {
		u.note(s, res)
	}
	if _, told := u.refused[s.Number]; u.o.Progress != nil && !told {
		u.o.Progress(s, res)
	}
}

// wave writes down what it is about to do, does it, and writes down what came of it.
func (u *run) wave(ctx context.Context, steps []plan.Step) error {
	numbers := make([]int, len(steps))
	for i, s := range steps {
		numbers[i] = s.Number
	}
	intended, err := u.append(ctx, repository.KindIntents, intents{numbers})
	if err != nil {
		return err
	}
	for _, n := range numbers {
		u.asked[n] = append(u.asked[n], intended)
	}
	u.learn()
	work, done := linger(ctx)
	defer done()
	if steps[0].Action == plan.Attach {
		u.recognise(work)
	}
	var clear, doubtful []plan.Step
	for _, s := range steps {
		if _, open := u.open[s.Number]; u.held[s.Number] {
			u.settle(s, Result{Step: s.Number, Outcome: AlreadyDone})
		} else if open {
			doubtful = append(doubtful, s)
		} else {
			clear = append(clear, s)
		}
	}
	clear = u.together(ctx, work, clear)
	var g errgroup.Group
	g.SetLimit(u.scale.InFlight())
	for _, s := range clear {
		g.Go(func() error {
			if ctx.Err() == nil {
				u.take(work, s)
			}
			return nil
		})
	}
	_ = g.Wait() // no step returns an error: what became of it is its result
	for _, s := range clear {
		if _, open := u.open[s.Number]; open {
			doubtful = append(doubtful, s)
		}
	}
	// What may have been created is looked for one by one, so that one find is not taken twice, and when all
	// others of the wave have found theirs.
	for _, s := range doubtful {
		if ctx.Err() == nil {
			u.take(work, s)
		}
	}
	var stopped error
	out := outcomes{IDs: map[entra.Ref]entra.Ref{}, Values: map[entra.ID]entra.ID{}}
	for _, s := range steps {
		res, settled := u.results[s.Number]
		if !settled {
			stopped = fmt.Errorf("stopped at step %d: %w", s.Number, ctx.Err())
			res = Result{Step: s.Number, Outcome: NotRun, Error: "it was not begun: the restore was stopped"}
			if _, open := u.open[s.Number]; open {
				res = Result{Step: s.Number, Outcome: Failed, Unknown: true, Error: "what became of it was not looked for: the restore was stopped"}
			}
			u.results[s.Number] = res
		}
		out.Results = append(out.Results, res)
		if s.Action == plan.Issue && res.Outcome.holds() {
			if old, err := replaces(s); err == nil {
				out.IDs[credential(s.Ref, old.Key)] = credential(u.names().now(s.Ref, s.OfBase), res.ID)
			}
		}
		if s.Action == plan.Create && res.ID != "" {
			out.IDs[s.Ref] = entra.Ref{Type: s.Ref.Type, ID: res.ID}
			for _, was := range s.Values {
				if now, ok := u.values[was]; ok {
					out.Values[was] = now
				}
			}
		}
	}
	// The outcome is written down even when the person has asked to stop.
	if _, err := u.append(context.WithoutCancel(ctx), repository.KindOutcomes, out); err != nil {
		return err
	}
	return stopped
}

// credential is what the log calls a credential of an object.
func credential(of entra.Ref, key entra.ID) entra.Ref {
	return entra.Ref{Type: catalog.CredentialType, ID: entra.Join(of.ID, key)}
}

// linger returns a context that ends a while after ctx: a step that has begun is finished when the person asks to
// stop, because nobody knows what became of one that was cut off, but not waited for without end.
func linger(ctx context.Context) (context.Context, func()) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = pause(work, grace) // either way it ends
		cancel()
	})
	return work, func() { stop(); cancel() }
}

// take carries out one step. A creation of unknown outcome is left open, unless it was so before: then it has
// been looked for.
func (u *run) take(ctx context.Context, s plan.Step) {
	res := Result{Step: s.Number}
	outcome, id, err := u.do(ctx, s)
	res.Outcome, res.ID = outcome, id
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		res.Error = err.Error()
		if errors.Is(err, ErrStale) {
			res.Outcome = Stale
		} else {
			res.Outcome, res.Unknown = Failed, errors.Is(err, graph.ErrUnknownOutcome)
		}
		_, open := u.open[s.Number]
		if !open && s.Action == plan.Create && id == "" && doubtful(err) {
			u.open[s.Number] = u.o.Now()
			return
		}
	}
	u.settle(s, res)
	refusal, ok := errors.AsType[*graph.Error](err)
	if _, tried := u.refused[s.Number]; ok && !tried && res.Outcome == Failed && id == "" && refusal.Status == http.StatusBadRequest {
		u.refused[s.Number] = true
	}
}

// append writes a document into the log and returns when it says it was.
func (u *run) append(ctx context.Context, kind repository.Kind, doc any) (time.Time, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return time.Time{}, err
	}
	rec, err := u.repo.Append(ctx, kind, u.record, append(data, '\n'))
	return rec.At, err
}

func (u *run) report() *Report {
	r := &Report{IDs: map[entra.Ref]entra.Ref{}}
	for _, s := range u.plan.Steps {
		res, ok := u.results[s.Number]
		if !ok {
			res = Result{Step: s.Number, Outcome: NotRun}
		}
		r.Results = append(r.Results, res)
		if s.Action == plan.Create && res.ID != "" {
			r.IDs[s.Ref] = entra.Ref{Type: s.Ref.Type, ID: res.ID}
		}
	}
	return r
}
