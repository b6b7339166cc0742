package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A making says what a plan's goal is made of where it is no snapshot of the tenant itself.
type making struct {
	// Undo is what is taken back; the goal is then where the window begins.
	Undo *undoing `json:"undo,omitempty"`
	// Contain is who can do nothing in the goal, which is base otherwise.
	Contain *containing `json:"contain,omitempty"`
	// Bootstrap is what Tidemark's own applications need, which the goal has besides what a snapshot has.
	Bootstrap *bootstrapping `json:"bootstrap,omitempty"`
	// Move is the tenant whose snapshot the goal is.
	Move *moving `json:"move,omitempty"`
}

// A moving says which other tenant's snapshot is the goal. It is kept with the plan, so that the goal can be made again.
type moving struct {
	Tenant  string            `json:"tenant"` // as the configuration names it
	ID      entra.TenantID    `json:"id"`
	Domains map[string]string `json:"domains,omitempty"` // of the other tenant to those of this one
}

// same reports whether a move is the one that was begun: a domain that is not named may have been mapped by itself.
func (m *moving) same(asked *moving) bool {
	if m == nil || asked == nil {
		return m == nil && asked == nil
	}
	for from, to := range asked.Domains {
		if m.Domains[from] != to {
			return false
		}
	}
	return m.ID == asked.ID && len(m.Domains) <= len(asked.Domains)+1
}

// A route is what a person says of a move; its flags are those of plan and restore.
type route struct {
	from, into string
	domains    []string
}

func (w *route) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&w.from, "from", "", "rebuild what another configured tenant had: --to names one of its snapshots")
	f.StringVar(&w.into, "into", "", "the configured tenant to rebuild it in, as --tenant")
	f.StringArrayVar(&w.domains, "map-domain", nil, "OLD=NEW: what was under the other tenant's domain OLD comes under this one's NEW (repeatable)")
}

// pick has the environment open the tenant that is written to.
func (w *route) pick(e *env) error {
	switch {
	case w.from == "" && w.into == "" && len(w.domains) == 0:
		return nil
	case w.from == "":
		return usage("--into and --map-domain go with --from TENANT, whose snapshot --to names")
	case e.repository != "":
		return usage("--from needs a configuration that names both tenants, not --repository alone")
	case w.into != "" && e.tenant != "" && w.into != e.tenant:
		return usage("--into %s and --tenant %s are two tenants", w.into, e.tenant)
	case w.into != "":
		e.tenant = w.into
	}
	return nil
}

// moving returns what the route comes to for this session; nil where there is none.
func (w *route) moving(ctx context.Context, s *session) (*moving, error) {
	if w.from == "" {
		return nil, nil //nolint:nilnil // none is an answer
	}
	m := &moving{Tenant: w.from, Domains: map[string]string{}}
	for _, pair := range w.domains {
		from, to, ok := strings.Cut(strings.ToLower(pair), "=")
		if !ok || from == "" || to == "" || strings.Contains(to, "=") {
			return nil, usage("--map-domain %q: want OLD=NEW", pair)
		}
		if other, ok := m.Domains[from]; ok && other != to {
			return nil, usage("--map-domain: %s is to be both %s and %s", from, other, to)
		}
		m.Domains[from] = to
	}
	o, err := s.origin(ctx, m)
	if err != nil {
		return nil, err
	}
	if m.ID = o.repo.Tenant().ID; m.ID == s.repo.Tenant().ID {
		return nil, usage("--from %s is the tenant that is written to; without --from it is restored itself", w.from)
	}
	return m, nil
}

// origin is the session of the tenant that a goal is a snapshot of.
func (s *session) origin(ctx context.Context, m *moving) (*session, error) {
	if m == nil {
		return s, nil
	}
	if s.other != nil && s.other.settings.Name == m.Tenant {
		return s.other, nil
	}
	e := *s.env
	e.tenant = m.Tenant
	o, err := e.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("tenant %s, whose snapshot is the goal: %w", m.Tenant, err)
	}
	if m.ID != "" && o.repo.Tenant().ID != m.ID {
		o.close()
		return nil, &exit{code: 2, err: fmt.Errorf("%s is tenant %s; the plan is made of a snapshot of %s", m.Tenant, o.repo.Tenant().ID, m.ID)}
	}
	if s.other != nil {
		s.other.close()
	}
	s.other = o
	return o, nil
}

// goalNumbered is the snapshot that a kept plan leads to.
func (s *session) goalNumbered(ctx context.Context, of making, number int64) (*snapshot.Snapshot, error) {
	o, err := s.origin(ctx, of.Move)
	if err != nil {
		return nil, err
	}
	goal, err := o.index.Snapshot(ctx, number)
	if err != nil {
		return nil, fmt.Errorf("the plan's goal, snapshot %d: %w", number, err)
	}
	return goal, nil
}

// goalTree is what the goal holds, as this tenant would have it.
func (s *session) goalTree(ctx context.Context, of making, goal *snapshot.Snapshot) (snapshot.Tree, error) {
	o, err := s.origin(ctx, of.Move)
	if err != nil {
		return nil, err
	}
	tree, err := o.index.Tree(ctx, o.repo, goal.Number)
	if err != nil || of.Move == nil {
		return tree, err
	}
	return plan.Move{From: of.Move.ID, To: s.repo.Tenant().ID, Domains: of.Move.Domains}.Move(tree)
}

// settleDomains maps the first domain of the other tenant, which no tenant can give away, to this one's, unless the person
// mapped it, and refuses domains that are not the tenants'.
func (s *session) settleDomains(ctx context.Context, m *moving, base snapshot.Tree, goal *snapshot.Snapshot) error {
	if m == nil {
		return nil
	}
	old, err := s.goalTree(ctx, making{Move: &moving{Tenant: m.Tenant, ID: m.ID}}, goal)
	if err != nil {
		return err
	}
	theirs, first, err := domains(ctx, old)
	if err != nil {
		return err
	}
	ours, initial, err := domains(ctx, base)
	if err != nil {
		return err
	}
	for _, from := range slices.Sorted(maps.Keys(m.Domains)) {
		if !slices.Contains(theirs, from) {
			return usage("--map-domain %s: tenant %s had no such domain in snapshot %d; it had %s", from, m.Tenant, goal.Number, strings.Join(theirs, ", "))
		}
		if to := m.Domains[from]; !slices.Contains(ours, to) {
			return usage("--map-domain %s=%s: the tenant has no domain %s; it has %s", from, to, to, strings.Join(ours, ", "))
		}
	}
	if _, mapped := m.Domains[first]; !mapped && first != "" && initial != "" && first != initial {
		if slices.Contains(slices.Collect(maps.Values(m.Domains)), initial) {
			return nil // somebody else's addresses are there
		}
		m.Domains[first] = initial
	}
	return nil
}

// domains returns the names of a tenant's domains, and the one that it was made with.
func domains(ctx context.Context, tree snapshot.Tree) (all []string, initial string, err error) {
	for e, err := range tree.Entries(ctx, catalog.DomainType) {
		if err != nil {
			return nil, "", err
		}
		o, err := tree.Object(ctx, e.Ref)
		if err != nil {
			return nil, "", err
		}
		name := strings.ToLower(string(o.Ref.ID))
		all = append(all, name)
		if catalog.Initial(o) {
			initial = name
		}
	}
	if len(all) == 0 {
		return nil, "", errors.New("no domain of a tenant is known; capture it with the permission Domain.Read.All")
	}
	return all, initial, nil
}
