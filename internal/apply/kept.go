package apply

import (
	"context"
	"encoding/json"
	"iter"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A list is one that the service keeps at an object of links that an undelete of the object may have brought back by
// itself.
type list struct {
	call  catalog.Call
	links func(item []byte) ([]entra.Link, error)
	steps []plan.Step // the attachments that it was chosen for
}

// kept returns the attachments yet to come to what was undeleted since it was called last, by their links, and the lists
// that tell which of them hold by themselves. It names nothing twice, so that a restore does not cost its square.
func (u *run) kept() (byLink map[entra.Link]int, lists []*list) {
	if len(u.back) == 0 {
		return nil, nil
	}
	type place struct {
		at   entra.Ref
		name string
	}
	byLink, at := map[entra.Link]int{}, map[place]*list{}
	for _, s := range u.plan.Steps[u.settled:] {
		if _, settled := u.results[s.Number]; settled || s.Action != plan.Attach {
			continue
		}
		l, err := u.ends(s)
		if err != nil || !u.back[l.From] && !u.back[l.To] {
			continue
		}
		byLink[l] = s.Number
		r, ok := catalog.Lookup(l.From.Type)
		if !ok {
			continue
		}
		rel, ok := r.Relation(l.Rel)
		if !ok || !rel.Kept {
			continue
		}
		p, backs := place{l.From, l.Rel}, []catalog.Back(nil)
		if to, ok := catalog.Lookup(l.To.Type); ok && u.back[l.To] {
			backs = slices.DeleteFunc(to.Backs(), func(b catalog.Back) bool { return b.Name() != rel.Back })
		}
		if len(backs) > 0 {
			p = place{l.To, rel.Back}
		} else if !u.back[l.From] {
			continue
		}
		if at[p] == nil {
			at[p] = &list{call: r.Ends(rel, l.From.ID), links: func(item []byte) ([]entra.Link, error) {
				l, err := rel.Link(p.at, item)
				return []entra.Link{l}, err
			}}
			if len(backs) > 0 {
				at[p].call = backs[0].Call(l.To.ID)
				at[p].links = func(item []byte) ([]entra.Link, error) {
					links, _, err := backs[0].Item(p.at, item)
					return links, err
				}
			}
			lists = append(lists, at[p])
		}
		at[p].steps = append(at[p].steps, s)
	}
	clear(u.back)
	return byLink, lists
}

// recognise finds which attachments to what was undeleted hold by themselves. A link in a list is there; one that is not may
// be there all the same, and is written: a list lags, and may not be readable at all.
func (u *run) recognise(ctx context.Context) {
	byLink, lists := u.kept()
	byVersion := map[string][]*list{}
	for _, l := range lists {
		byVersion[l.call.Version] = append(byVersion[l.call.Version], l)
	}
	for version, lists := range byVersion {
		requests := make([]graph.Request, len(lists))
		for i, l := range lists {
			requests[i] = graph.Request{Method: l.call.Method, Path: l.call.Path, Query: l.call.Query}
		}
		results, err := u.client.Batch(ctx, version, requests)
		if err != nil {
			return
		}
		for i, l := range lists {
			for item := range u.items(ctx, results[i]) {
				links, err := l.links(item)
				if err != nil {
					continue
				}
				for _, link := range links {
					if n, wanted := byLink[link]; wanted {
						u.held[n] = true
					}
				}
			}
		}
	}
}

// items yields what a list in a batch holds, its later pages too, as far as it could be read.
func (u *run) items(ctx context.Context, first graph.Result) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var page struct {
			Value []json.RawMessage `json:"value"`
			Next  string            `json:"@odata.nextLink"`
		}
		if first.Err != nil || json.Unmarshal(first.Body, &page) != nil {
			return
		}
		for _, item := range page.Value {
			if !yield(item) {
				return
			}
		}
		if page.Next == "" {
			return
		}
		for page, err := range u.client.Follow(ctx, page.Next, nil) {
			if err != nil {
				return
			}
			for _, item := range page.Items {
				if !yield(item) {
					return
				}
			}
		}
	}
}
