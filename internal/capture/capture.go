// Package capture reads a tenant into the repository.
//
// It promises that absence means something: a part is Complete only if its listing reached the end, and a
// part that did not keeps what was known before, with the reason. It promises to read everything it may in
// spite of what it may not: one refused part costs that part. It refuses to write to a tenant, to guess at
// what it could not read, and to hold more of a type in memory than the IDs of its objects.
package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// Options for a capture. The zero value reads what the service says has changed, and the rest whole, in silence.
type Options struct {
	Exclude []entra.Type // types to leave out
	Beyond  []entra.Type // types that this identity cannot read, and that another has read before
	Include []entra.Type // types to read that are left out otherwise, see [catalog.Resource.Unless]
	// Permissions are the application permissions that the identity holds; nil means they are not known.
	// Where one is needed to see what a service otherwise leaves out in silence, its lack makes holes.
	Permissions []string
	// Person reads what the service shows to people only; nil leaves that out.
	Person *graph.Client
	// Full lists every part whole, whatever the service could say of what has changed.
	Full bool
	// Now reads also what the audit log does not name: the log is some minutes late, which matters to whoever is about
	// to write, or just wrote.
	Now bool
	// Target narrows the capture; nil reads the whole tenant. It is left unused where there is nothing to carry the
	// rest from, or what there is was read by other rules.
	Target *Target
	// Progress is told of each part as it is read, from several goroutines at once; nil means silence.
	Progress func(Progress)
}

// Progress is how far the reading of one part has come. Where a whole capture begins, it is told of each part that is
// to be read.
type Progress struct {
	Type     entra.Type
	Relation string
	Items    int64
	// Of is how many items there are, about: by the service's own count, or as many as the snapshot before had. It is -1
	// where that cannot be said: nothing was read before, or only what has changed is read.
	Of       int64
	Done     bool
	Coverage snapshot.Coverage // once done
	Reason   string
}

// parallel is how many parts are read at once of one service. The client bounds the requests.
const parallel = 6

// A reading is one capture under way.
type reading struct {
	client *graph.Client
	repo   *repository.Repository
	index  *index.Index
	writer *repository.Writer
	parent *snapshot.Snapshot // nil for the first
	before *index.Tree        // the parent's; nil for the first
	began  time.Time
	o      Options

	extensions extensions
	heard      bool // the audit log was read before all else
	vouches    bool // it is whole since the parent, so that what it does not name is as it was
	unclear    bool // it has an entry of which nobody knows what it is about
	blind      bool // something changed of which neither delta rounds nor the audit log tell

	mu     sync.Mutex
	rounds map[entra.Type]*round
	of     map[partName]int64 // how many items of a part there are, about, where that can be said
	// What the audit log names since the parent, and whether it came out of the recycle bin. The type is empty where the
	// log has a word for it that the catalog has not.
	named map[entra.Ref]bool
	seen  map[entra.Type]*roll         // of the objects, by which their relations and contents are read
	parts map[entra.Type]snapshot.Part // of the objects, as far as read
}

// Run captures the tenant and returns the committed snapshot. A part that cannot be read whole is not an
// error: the snapshot says so. Run fails where nothing could be committed: the repository failed, the
// context ended, or not one part could be read.
func Run(ctx context.Context, c *graph.Client, r *repository.Repository, x *index.Index, now func() time.Time, o Options) (*snapshot.Snapshot, error) {
	rd := &reading{client: c, repo: r, index: x, began: now(), o: o, seen: map[entra.Type]*roll{}, parts: map[entra.Type]snapshot.Part{},
		rounds: map[entra.Type]*round{}, of: map[partName]int64{}, named: map[entra.Ref]bool{}}
	var parent snapshot.Base
	switch latest, err := x.Latest(ctx); {
	case err == nil:
		rd.parent = latest
		tree, err := x.Tree(ctx, r, latest.Number)
		if err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
		rd.before, parent = tree, tree
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("capture: %w", err)
	}
	var err error
	if rd.writer, err = r.Begin(ctx, parent, rd.began); err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	s, err := rd.read(ctx)
	if err != nil {
		rd.writer.Abort()
		return nil, fmt.Errorf("capture: %w", err)
	}
	return s, nil
}

// read reads what is wanted and commits it.
func (rd *reading) read(ctx context.Context) (*snapshot.Snapshot, error) {
	aimed, err := rd.aimed(ctx)
	if err != nil {
		return nil, err
	}
	if aimed {
		return rd.targeted(ctx)
	}
	if err := rd.discover(ctx); err != nil {
		return nil, err
	}
	return rd.run(ctx)
}

func (rd *reading) run(ctx context.Context) (*snapshot.Snapshot, error) {
	if err := rd.listen(ctx); err != nil {
		return nil, err
	}
	rd.announce()
	if err := rd.parallel(ctx); err != nil {
		return nil, err
	}
	if err := rd.nothing(); err != nil {
		return nil, err
	}
	return rd.writer.Commit(ctx)
}

// parallel reads all parts, some at once, each as soon as what it hangs on is known and it is its turn. Those that wait
// for the quota of one service take no turn from those of another.
func (rd *reading) parallel(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	lanes := map[string]chan struct{}{}
	begin := func(call catalog.Call, do func(context.Context) error, after ...<-chan struct{}) {
		lane := request(call).Service()
		if lanes[lane] == nil {
			lanes[lane] = make(chan struct{}, parallel)
		}
		turns := lanes[lane]
		g.Go(func() error {
			for _, c := range after {
				if err := wait(ctx, c); err != nil {
					return err
				}
			}
			turns <- struct{}{}
			defer func() { <-turns }()
			return do(ctx)
		})
	}
	settled := make(chan struct{})
	var lists []<-chan struct{}
	for r := range catalog.All() {
		roll, call := rd.roll(r.Type), r.Listing("")
		switch {
		case rd.o.Leaves(r) != "":
			begin(call, roll.filled(func(ctx context.Context) error { return rd.skip(ctx, r) }))
			continue
		case rd.heard && r == catalog.Audit(): // it has been read
		case r.Stream:
			begin(call, func(ctx context.Context) error { return rd.stream(ctx, r) })
		case r.Under != "":
			after := []<-chan struct{}{rd.known(r.Under, settled)}
			for _, t := range []entra.Type{r.Among, r.Given} {
				if t != "" {
					after = append(after, rd.known(t, settled))
				}
			}
			begin(call, roll.filled(func(ctx context.Context) error { return rd.contents(ctx, r) }), after...)
		default:
			var after []<-chan struct{}
			if r.Given != "" {
				after = append(after, rd.known(r.Given, settled))
			}
			begin(call, roll.filled(func(ctx context.Context) error { return rd.objects(ctx, r) }), after...)
			lists = append(lists, roll.done)
		}
		for _, rel := range r.Links {
			after := rd.known(r.Type, settled)
			if after == roll.done && rel.Read != catalog.ByList {
				after = roll.begun
			}
			begin(r.Ends(rel, ""), func(ctx context.Context) error { return rd.links(ctx, r, rel) }, after)
		}
	}
	begin(catalog.Call{}, func(ctx context.Context) error { defer close(settled); return rd.settle(ctx) }, lists...)
	return g.Wait()
}

// known is closed when it is known which objects of a type are there: where a round may tell, once that is settled.
func (rd *reading) known(t entra.Type, settled <-chan struct{}) <-chan struct{} {
	if r, ok := catalog.Lookup(t); ok && rd.rounded(rd.extended(r)) {
		return settled
	}
	return rd.roll(t).done
}

// nothing returns an error if not one part could be read: then the service, the network or the credential
// is at fault, and a snapshot would say nothing.
func (rd *reading) nothing() error {
	var why string
	for _, p := range rd.parts {
		if p.Coverage == snapshot.Complete || p.Coverage == snapshot.Partial {
			return nil
		}
		if why == "" || p.Coverage == snapshot.Denied {
			why = p.Reason
		}
	}
	return fmt.Errorf("nothing could be read: %s", why)
}

// part begins the account of one part.
func (rd *reading) part(r *catalog.Resource, relation string) snapshot.Part {
	p := snapshot.Part{Type: r.Type, Relation: relation, Version: r.Version, Declaration: r.Declaration(), Read: rd.began, Full: rd.began}
	if relation == "" {
		p.Asked, p.Absent = r.Asked(), rd.absences(r)
		if rd.extensions.fault != nil && r.Extended != "" {
			p.Reason = rd.extensions.fault.Error()
		}
	}
	return p
}

// end closes a part that was listed whole. The error, if any, becomes its coverage, unless it is the end of the whole
// capture.
func (rd *reading) end(ctx context.Context, p snapshot.Part, items int64, err error) error {
	return rd.close(ctx, p, items, err, true)
}

// close closes a part; of one that was not listed whole, what was not mentioned is as it was.
func (rd *reading) close(ctx context.Context, p snapshot.Part, items int64, err error, whole bool) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed, ok := errors.AsType[*writeError](err); ok {
		return failed.err
	}
	if err != nil {
		p.Coverage, p.Reason = judge(p.Type, err, items > 0), err.Error()
		if p.Coverage == snapshot.Unsupported && rd.parent != nil && rd.parent.Part(p.Type, p.Relation).Complete != 0 {
			p.Coverage = snapshot.Failed // it was there once: that it is not now is a fault until the owner says otherwise
		}
	} else if p.Coverage == snapshot.Missed {
		p.Coverage = snapshot.Complete
	}
	if len(p.Holes) > snapshot.MaxHoles {
		p.Coverage, p.Holes = snapshot.Partial, nil
	}
	if p.Relation == "" {
		rd.mu.Lock()
		rd.parts[p.Type] = p
		rd.mu.Unlock()
	}
	if err := rd.writer.End(ctx, p, whole && p.Coverage == snapshot.Complete); err != nil {
		return err
	}
	rd.tell(Progress{Type: p.Type, Relation: p.Relation, Items: items, Done: true, Coverage: p.Coverage, Reason: p.Reason})
	return nil
}

func (rd *reading) tell(p Progress) {
	if rd.o.Progress == nil {
		return
	}
	part := partName{p.Type, p.Relation}
	rd.mu.Lock()
	if p.Of > 0 {
		rd.of[part] = p.Of
	} else if of, ok := rd.of[part]; ok {
		p.Of = of
	} else {
		p.Of = -1
	}
	rd.mu.Unlock()
	rd.o.Progress(p)
}

// announce tells of each part that is to be read, and how much of it there was. Which parts are brought up to date
// instead of listed is known by now as far as it does not depend on how that goes.
func (rd *reading) announce() {
	for r := range catalog.All() {
		if rd.heard && r == catalog.Audit() {
			continue
		}
		excluded := rd.o.Leaves(r) != ""
		r := rd.extended(r)
		rounded := rd.rounded(r)
		likely := rd.vouches && !rd.o.Now
		for _, rel := range append([]catalog.Relation{{}}, r.Links...) {
			heard := rounded && (rel.Rel == "" || rel.Read == catalog.ByDelta) ||
				likely && (rel.Rel != "" || r.Under != "" && !r.Silent) && rd.lately(r, rel.Rel, vouchedFor)
			if rd.parent != nil && !heard && !excluded {
				was := rd.parent.Part(r.Type, rel.Rel)
				rd.of[partName{r.Type, rel.Rel}] = was.Objects + was.Links // a part has either
			}
			rd.tell(Progress{Type: r.Type, Relation: rel.Rel})
		}
	}
}

// A writeError is a failure of our own side, which ends the capture instead of a part.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }

// judge says what an error means for a part of a type: refused, not there, not licensed, or failed. Some of a part
// arrived, or none did.
func judge(t entra.Type, err error, some bool) snapshot.Coverage {
	if some {
		return snapshot.Partial
	}
	if errors.Is(err, errWithout) {
		return snapshot.Unsupported
	}
	refused, ok := errors.AsType[*graph.Error](err)
	if !ok {
		return snapshot.Failed
	}
	switch refused.Status {
	case http.StatusForbidden:
		if unlicensed(refused) {
			return snapshot.Unlicensed
		}
		return snapshot.Denied
	case http.StatusUnauthorized:
		return snapshot.Denied
	case http.StatusNotFound, http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return snapshot.Unsupported
	case http.StatusBadRequest:
		// A collection that a cloud does not have is a path that cannot be parsed there.
		if strings.Contains(refused.Message, "not found for the segment") {
			return snapshot.Unsupported
		}
		if unlicensed(refused) {
			return snapshot.Unlicensed
		}
		if r, ok := catalog.Lookup(t); ok && r.Unshown {
			return snapshot.Unsupported
		}
	}
	return snapshot.Failed
}

// unlicensed tells a missing licence from a missing permission; the service says both with one status. The
// code is the documented one; the words are how it is told where there is no code of its own.
func unlicensed(e *graph.Error) bool {
	if strings.HasPrefix(e.Code, "Authentication_RequestFromNonPremiumTenant") || strings.Contains(e.Code, "License") || e.Code == "NoGovernanceSku" {
		return true
	}
	said := strings.ToLower(e.Message)
	return slices.ContainsFunc([]string{"premium license", "not licensed", "requires a license", "license requirement", "governance license", "governance subscription"},
		func(words string) bool { return strings.Contains(said, words) })
}

// Leaves says why a type is left out, or "" where it is read.
func (o Options) Leaves(r *catalog.Resource) string {
	switch {
	case slices.Contains(o.Exclude, r.Type):
		return "left out by the configuration"
	case slices.Contains(o.Beyond, r.Type):
		return "who reads this once has no permission for it"
	case r.Unless != "" && !slices.Contains(o.Include, r.Type):
		return "read only where capture.include names it: " + r.Unless
	case r.People && o.Person == nil:
		return "the service shows it to people only, and nobody signed in"
	}
	return ""
}

// skip records a type that the configuration leaves out, with its relations.
func (rd *reading) skip(ctx context.Context, r *catalog.Resource) error {
	for _, rel := range append([]string{""}, relations(r)...) {
		p := rd.part(r, rel)
		p.Coverage, p.Reason = snapshot.Skipped, rd.o.Leaves(r)
		if err := rd.end(ctx, p, 0, nil); err != nil {
			return err
		}
	}
	return nil
}

func relations(r *catalog.Resource) []string {
	names := make([]string, len(r.Links))
	for i, rel := range r.Links {
		names[i] = rel.Rel
	}
	return names
}

// via returns the client of who has to make a call.
func (rd *reading) via(c catalog.Call) *graph.Client {
	if c.People {
		return rd.o.Person
	}
	return rd.client
}

// request turns a call of the catalog into a request.
func request(c catalog.Call) graph.Request {
	h := http.Header{}
	for name, value := range c.Header {
		h.Set(name, value)
	}
	return graph.Request{Method: c.Method, Version: c.Version, Path: c.Path, Query: c.Query, Header: h, Body: c.Body, Read: c.Read}
}
