package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

func captureCommand(e *env) *cobra.Command {
	var full, person bool
	c := &cobra.Command{
		Use:   "capture",
		Short: "Read the tenant into a new snapshot",
		Long: `Reads the tenant and keeps what differs from the snapshot before. Where the service says what has changed since
then, that is read, and all of it once a day or, of what delta queries cover, once a week; --full reads everything. What cannot be read is named in the
snapshot, keeps its last known state, and never looks like a deletion; the command then ends with exit code 3.

A few types the service shows to people only. They are read with --person, for which somebody signs in to the application
that captures, and keep their last known state otherwise.`,
		Example: "  tidemark capture\n  tidemark capture --person\n  tidemark capture --tenant contoso -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			if person {
				if err := s.signPersonIn(c.Context()); err != nil {
					return err
				}
			}
			var stats graph.Stats
			taken, err := s.captured(c.Context(), &stats, capture.Options{Full: full})
			if err != nil {
				return err
			}
			if err := s.print(s.captureResult(taken, stats)); err != nil {
				return err
			}
			return incomplete(taken)
		},
	}
	c.Flags().BoolVar(&full, "full", false, "read every part in full, whatever the service says has changed")
	c.Flags().BoolVar(&person, "person", false, "sign in, and read also what the service shows to people only")
	c.Flags().BoolVar(&e.deviceCode, "device-code", false, "with --person: sign in with a code typed into a browser on another machine")
	return c
}

// incomplete is how a command ends whose capture could not read everything; nil for a whole one.
func incomplete(taken *snapshot.Snapshot) error {
	if taken.Whole() {
		return nil
	}
	n := 0
	for _, p := range taken.Parts {
		if p.Coverage.Gap() {
			n++
		}
	}
	return partial("snapshot %d is partial: %d of %d parts could not be read whole", taken.Number, n, len(taken.Parts))
}

// capture takes a snapshot of the tenant as it is now.
func (s *session) capture(ctx context.Context) (*snapshot.Snapshot, error) {
	return s.captured(ctx, nil, capture.Options{Now: true})
}

// signPersonIn has somebody sign in to the application that captures, for what the service shows to people only.
func (s *session) signPersonIn(ctx context.Context) error {
	if s.settings.Capture.ClientID == "" {
		return &exit{code: 2, err: fmt.Errorf("capture.client_id of tenant %q names no application to which somebody could sign in", s.settings.Name),
			hint: "a person signs in to an application of the tenant: give its ID, and to it the delegated permissions of tidemark types --manifest person"}
	}
	_, claims, err := s.connect(ctx, identitySettings{ClientID: s.settings.Capture.ClientID, Interactive: true}, "person's")
	if err != nil {
		return err
	}
	// What a delegated permission allows, somebody has to sign in for: whoever steals the host can do nothing by it.
	return readsOnly(claims.Permissions, slices.Concat(s.settings.Capture.AllowPermissions, consent(s.settings.Capture).Person))
}

// captured takes a snapshot, as far as the options go. Where somebody has signed in, they read what the service shows to
// people only.
func (s *session) captured(ctx context.Context, stats *graph.Stats, o capture.Options) (*snapshot.Snapshot, error) {
	client, claims, err := s.connect(ctx, s.settings.Capture.identitySettings, "capture")
	if err != nil {
		return nil, err
	}
	if err := s.writable(ctx); err != nil {
		return nil, err
	}
	if err := readsOnly(claims.Permissions, s.settings.Capture.AllowPermissions); err != nil && !s.personally() {
		return nil, err
	}
	progress := s.env.newProgress()
	defer progress.close()
	told, stop := progress.capturing(client.Waiting)
	defer stop()
	o.Permissions, o.Progress = claims.Permissions, told
	for _, c := range s.clients {
		if c.claims.Person != "" && c.client != client {
			o.Person = c.client
		}
	}
	if s.personally() {
		o.Beyond = beyond(claims.Permissions)
	}
	types := s.settings.Capture.options()
	o.Exclude, o.Include = append(o.Exclude, types.Exclude...), types.Include
	taken, err := capture.Run(ctx, client, s.repo, s.index, s.now, o)
	if stats != nil {
		*stats = client.Stats()
	}
	if err != nil {
		return nil, err
	}
	stop()
	progress.close()
	if err := s.update(ctx); err != nil {
		return nil, err
	}
	if err := s.checkpointed(ctx); err != nil {
		return nil, err
	}
	return taken, s.lockOn(ctx)
}

// readsOnly refuses an identity that could write: whoever steals the capture host must not own the tenant.
func readsOnly(permissions, allowed []string) error {
	var excess []string
	for _, p := range permissions {
		if !reads(p) && !slices.Contains(allowed, p) {
			excess = append(excess, p)
		}
	}
	if len(excess) == 0 {
		return nil
	}
	slices.Sort(excess)
	return &exit{code: 6, err: fmt.Errorf("the capture identity may write to the tenant: %s", strings.Join(excess, ", ")),
		hint: "take these permissions away from it; one that a reading cannot do without goes into capture.allow_permissions"}
}

// reads reports whether a permission lets its holder read and nothing else. Microsoft Graph names them
// RESOURCE.OPERATION.CONSTRAINT; those of OpenID Connect only say who signed in.
func reads(permission string) bool {
	if slices.Contains([]string{"openid", "profile", "email", "offline_access"}, permission) {
		return true
	}
	parts := strings.Split(permission, ".")
	if len(parts) < 2 {
		return false
	}
	return parts[1] == "Read" || parts[1] == "ReadBasic"
}

// A captureDoc is what capture prints as data.
type captureDoc struct {
	Snapshot string         `json:"snapshot"`
	Number   int64          `json:"number"`
	Tenant   string         `json:"tenant"`
	Began    time.Time      `json:"began"`
	Ended    time.Time      `json:"ended"`
	Complete bool           `json:"complete"`
	Parts    []partDoc      `json:"parts"`
	Requests map[string]any `json:"requests"`
	Seconds  float64        `json:"seconds"`
	Head     string         `json:"head"`
}

// A partDoc is what was seen of a type and of the links that start at it.
type partDoc struct {
	Type     entra.Type        `json:"type"`
	Coverage snapshot.Coverage `json:"coverage"`
	Reason   string            `json:"reason"`
	Objects  int64             `json:"objects"`
	Links    int64             `json:"links"`
	Added    int64             `json:"added"`
	Removed  int64             `json:"removed"`
	Changed  int64             `json:"changed"`
	Linked   int64             `json:"linked"`
	Unlinked int64             `json:"unlinked"`
}

// byType sums the parts of each type. A type is as complete as the least complete of its parts.
func byType(parts []snapshot.Part) []partDoc {
	docs := []partDoc{}
	for _, p := range parts {
		if len(docs) == 0 || docs[len(docs)-1].Type != p.Type {
			docs = append(docs, partDoc{Type: p.Type, Coverage: p.Coverage, Reason: p.Reason})
		}
		d := &docs[len(docs)-1]
		if p.Coverage < d.Coverage {
			d.Coverage = p.Coverage
			d.Reason = strings.TrimPrefix(p.Relation+": "+p.Reason, ": ")
		}
		if d.Reason == "" && p.Reason != "" {
			d.Reason = strings.TrimPrefix(p.Relation+": "+p.Reason, ": ")
		}
		d.Objects += p.Objects
		d.Links += p.Links
		d.Added += p.Added
		d.Removed += p.Removed
		d.Changed += p.Changed
		d.Linked += p.Linked
		d.Unlinked += p.Unlinked
	}
	return docs
}

func (s *session) captureResult(taken *snapshot.Snapshot, stats graph.Stats) result {
	doc := captureDoc{
		Snapshot: taken.ID.String(), Number: taken.Number, Tenant: s.tenantName(), Began: taken.Began, Ended: taken.Ended,
		Complete: taken.Whole(), Parts: byType(taken.Parts), Seconds: taken.Ended.Sub(taken.Began).Seconds(), Head: s.repo.Head().String(),
		Requests: map[string]any{"total": stats.Requests, "throttled": stats.Throttled, "resourceUnits": stats.ResourceUnits, "bytes": stats.Bytes},
	}
	var sum partDoc
	var gaps []partDoc
	unasked, people := 0, 0 // types that are read only where they are asked for, and only for people
	include := s.settings.Capture.options().Include
	for _, p := range doc.Parts {
		sum.Objects += p.Objects
		sum.Links += p.Links
		sum.Added += p.Added
		sum.Removed += p.Removed
		sum.Changed += p.Changed
		sum.Linked += p.Linked
		sum.Unlinked += p.Unlinked
		switch r, ok := catalog.Lookup(p.Type); {
		case ok && r.Unless != "" && p.Coverage == snapshot.Skipped && !slices.Contains(include, r.Type):
			unasked++
		case ok && r.People && p.Coverage == snapshot.Skipped:
			people++
		case p.Coverage != snapshot.Complete || p.Reason != "":
			gaps = append(gaps, p)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "snapshot %d: %d objects, %d links in %.1f s (%d requests)\n", doc.Number, sum.Objects, sum.Links, doc.Seconds, stats.Requests)
	if taken.Parent != 0 {
		fmt.Fprintf(&b, "since snapshot %d: +%d -%d ~%d objects, +%d -%d links\n", taken.Parent, sum.Added, sum.Removed, sum.Changed, sum.Linked, sum.Unlinked)
	}
	for _, p := range gaps {
		fmt.Fprintf(&b, "  %s: %s: %s\n", p.Type, p.Coverage, clean(p.Reason))
	}
	if unasked > 0 {
		fmt.Fprintf(&b, "  %d types are read only where capture.include names them: see tidemark types\n", unasked)
	}
	if people > 0 {
		fmt.Fprintf(&b, "  %s the service shows to people only: capture --person reads them\n", count(people, "type"))
	}
	fmt.Fprintf(&b, "head %s\n", doc.Head)
	return result{doc: doc, rows: []any{doc}, text: b.String(), head: nil}
}

// tenantName is what people call the tenant.
func (s *session) tenantName() string {
	if s.settings.Name != "" {
		return s.settings.Name
	}
	return s.repo.Tenant().Name
}
