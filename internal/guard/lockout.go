package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/access"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// lockOut compares who can get in before and after the plan.
func (j *judge) lockOut(ctx context.Context) error {
	tight, err := j.tightened(ctx)
	if err != nil {
		return err
	}
	for _, rule := range []func(context.Context, []access.Policy) error{
		j.everybody, j.exclusions, j.dangling, j.trusted, j.breakGlass, j.administrators, j.defaults, j.writer, j.methods,
	} {
		if err := rule(ctx, tight); err != nil {
			return err
		}
	}
	return nil
}

// before returns the policy as base has it.
func (j *judge) before(r entra.Ref) (access.Policy, bool) {
	for _, p := range j.was.Policies() {
		if p.Ref == r {
			return p, true
		}
	}
	return access.Policy{}, false
}

// tightened returns the policies that the plan puts into force, makes stricter, or lets reach other people.
func (j *judge) tightened(ctx context.Context) ([]access.Policy, error) {
	moved, err := j.moved(ctx)
	if err != nil {
		return nil, err
	}
	var all []access.Policy
	for _, p := range j.is.Policies() {
		if p.State != catalog.Enabled {
			continue
		}
		b, ok := j.before(p.Ref)
		if !ok || b.State != catalog.Enabled || access.Stricter(b.AccessPolicy, p.AccessPolicy) || !sameScope(b.Users, p.Users) || moved(p) {
			all = append(all, p)
		}
	}
	return all, nil
}

func sameScope(a, b catalog.Scope) bool {
	lists := func(s catalog.Scope) [][]string {
		return [][]string{s.Users.Include, s.Users.Exclude, s.Groups.Include, s.Groups.Exclude, s.Roles.Include, s.Roles.Exclude,
			s.Guests.Kinds, s.Guests.Tenants, s.Except.Kinds, s.Except.Tenants}
	}
	return slices.EqualFunc(lists(a), lists(b), func(a, b []string) bool {
		return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	})
}

// moved returns a test for policies whose meaning the plan changes through what they refer to: a named
// location that lies elsewhere, a strength that accepts fewer methods.
func (j *judge) moved(ctx context.Context) (func(access.Policy) bool, error) {
	was, is := j.was.Places(), j.is.Places()
	places := map[string]bool{}
	trust := false
	for id, p := range was {
		q, ok := is[id]
		if !ok || p.Trusted != q.Trusted || !slices.Equal(p.Ranges, q.Ranges) || !slices.Equal(p.Countries, q.Countries) {
			places[string(id)] = true
			trust = trust || p.Trusted || q.Trusted
		}
	}
	for id, q := range is {
		if _, ok := was[id]; !ok {
			places[string(id)] = true
			trust = trust || q.Trusted
		}
	}
	strengths := map[entra.ID]bool{}
	for _, s := range j.p.Steps {
		for _, r := range j.names(s) {
			if r.Type != catalog.StrengthType {
				continue
			}
			narrower, err := j.narrower(ctx, r)
			if err != nil {
				return nil, err
			}
			if narrower {
				strengths[r.ID] = true
			}
		}
	}
	return func(p access.Policy) bool {
		for _, id := range slices.Concat(p.Locations.Include, p.Locations.Exclude) {
			if places[id] || trust && strings.EqualFold(id, "AllTrusted") {
				return true
			}
		}
		return strengths[p.Strength]
	}, nil
}

// narrower reports whether a strength no longer accepts something that it did.
func (j *judge) narrower(ctx context.Context, r entra.Ref) (bool, error) {
	var accepts [][]string
	for _, tree := range []snapshot.Tree{j.base, j.after} {
		o, err := tree.Object(ctx, r)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %s: %w", r, err)
		}
		d, _ := catalog.Strength(o)
		accepts = append(accepts, d.Combinations)
	}
	return slices.ContainsFunc(accepts[0], func(c string) bool { return !slices.Contains(accepts[1], c) }), nil
}

// everyone reports whether a policy is about all users.
func everyone(p access.Policy) bool { return has(p.Users.Users.Include, "All") }

func has(list []string, word string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, word) })
}

// always reports whether a policy applies whatever is signed in to, and from wherever and however.
func always(p access.Policy) bool {
	return has(p.Apps.Include, "All") && len(p.Apps.Exclude) == 0 && p.AppRule == "" && p.DeviceRule == "" &&
		(len(p.Locations.Include) == 0 || has(p.Locations.Include, "All")) && len(p.Locations.Exclude) == 0 &&
		(len(p.Platforms.Include) == 0 || has(p.Platforms.Include, "all")) && len(p.Platforms.Exclude) == 0 &&
		(len(p.Clients) == 0 || has(p.Clients, "all")) &&
		len(p.UserRisk)+len(p.SignInRisk)+len(p.InsiderRisk)+len(p.Flows) == 0
}

// everybody objects to a policy that shuts everybody out of everything.
func (j *judge) everybody(ctx context.Context, tight []access.Policy) error {
	for _, p := range tight {
		if !p.Blocks() || !everyone(p) || !always(p) {
			continue
		}
		left, err := shielded(ctx, j.is, p, true)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			j.object(LockOut, j.touching(p.Ref), "policy %q blocks all users from all applications, and excludes no account that could still sign in: exclude a break-glass account or group", p.Name)
		}
	}
	return nil
}

// shielded returns the enabled users whom a policy's excluded groups reach, and with direct also those whom
// it excludes themselves or by a role, ascending.
func shielded(ctx context.Context, v *access.View, p access.Policy, direct bool) ([]entra.Ref, error) {
	found := map[entra.Ref]bool{}
	add := func(r entra.Ref) error {
		if r.Type != catalog.UserType {
			return nil
		}
		on, err := v.Enabled(ctx, r)
		if on {
			found[r] = true
		}
		return err
	}
	if direct {
		for _, id := range p.Users.Users.Exclude {
			if err := add(entra.Ref{Type: catalog.UserType, ID: entra.ID(id)}); err != nil {
				return nil, err
			}
		}
		for _, id := range p.Users.Roles.Exclude {
			for h, err := range v.Holders(ctx, entra.ID(id)) {
				if err == nil && h.Scope == "/" {
					err = add(h.Principal)
				}
				if err != nil {
					return nil, err
				}
			}
		}
	}
	for _, id := range p.Users.Groups.Exclude {
		for m, err := range v.Members(ctx, entra.Ref{Type: catalog.GroupType, ID: entra.ID(id)}) {
			if err == nil {
				err = add(m.Ref)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), entra.Ref.Compare), nil
}

// exclusions objects where a policy about all users loses everybody whom it left out. Taking out the one
// account that somebody put there is none of it: only groups and what the policy still claims to leave out
// count.
func (j *judge) exclusions(ctx context.Context, tight []access.Policy) error {
	admins, err := j.is.Administrators(ctx)
	if err != nil {
		return err
	}
	for _, p := range j.is.Policies() {
		if p.State != catalog.Enabled || !everyone(p) || len(access.Demands(p.AccessPolicy)) == 0 && !p.Blocks() {
			continue
		}
		now, err := shielded(ctx, j.is, p, true)
		if err != nil {
			return err
		}
		if len(now) > 0 {
			continue
		}
		var before, inGroups []entra.Ref
		if b, ok := j.before(p.Ref); ok {
			if before, err = shielded(ctx, j.was, b, true); err != nil {
				return err
			}
			if inGroups, err = shielded(ctx, j.was, b, false); err != nil {
				return err
			}
		}
		claims := len(p.Users.Users.Exclude)+len(p.Users.Groups.Exclude)+len(p.Users.Roles.Exclude) > 0
		lost := slices.ContainsFunc(inGroups, func(r entra.Ref) bool { return slices.Contains(admins, r) })
		put := slices.ContainsFunc(tight, func(t access.Policy) bool { return t.Ref == p.Ref })
		if claims && (len(before) > 0 || put) || lost {
			refs, err := j.circle(ctx, p)
			if err != nil {
				return err
			}
			refs = append(refs, before...)
			j.object(LockOut, j.touching(refs...), "the exclusions of policy %q would reach no account that can sign in: restore the members of its excluded groups, or exclude a break-glass account", p.Name)
		}
	}
	return nil
}

// dangling objects to a policy in force that refers to what does not exist: an exclusion that excludes
// nobody, a location that is nowhere.
func (j *judge) dangling(ctx context.Context, tight []access.Policy) error {
	for _, p := range j.is.Policies() {
		if p.State != catalog.Enabled {
			continue
		}
		put := slices.ContainsFunc(tight, func(t access.Policy) bool { return t.Ref == p.Ref })
		after, err := j.after.Object(ctx, p.Ref)
		if err != nil {
			return fmt.Errorf("read %s: %w", p.Ref, err)
		}
		was := map[entra.Ref]bool{}
		if b, ok := j.before(p.Ref); ok && b.State == catalog.Enabled {
			o, err := j.base.Object(ctx, p.Ref)
			if err != nil {
				return fmt.Errorf("read %s: %w", p.Ref, err)
			}
			if was, err = j.missing(ctx, j.was, o); err != nil {
				return err
			}
		}
		is, err := j.missing(ctx, j.is, after)
		if err != nil {
			return err
		}
		for _, r := range slices.SortedFunc(maps.Keys(is), entra.Ref.Compare) {
			if _, before := was[r]; before {
				continue
			}
			if !is[r] {
				if put {
					j.object(Coverage, j.touching(p.Ref, r), "could not be judged: policy %q refers to %s, and whether it exists was not read", p.Name, r)
				}
				continue
			}
			j.object(LockOut, j.touching(p.Ref, r), "policy %q would be in force and refers to %s, which does not exist%s", p.Name, r, j.advice(ctx, r))
		}
	}
	return j.bereft(ctx, tight)
}

// bereft objects to a policy in force that is written without something it cannot do without in the goal, an
// exclusion or a demand: the plan leaves it out because what it names is gone, and the policy then reaches whom it
// never reached, or demands what nobody decided.
func (j *judge) bereft(ctx context.Context, tight []access.Policy) error {
	all := j.is.Policies()
	for _, g := range j.p.Gaps {
		path, _, _ := strings.Cut(g.Field, "[")
		i := slices.IndexFunc(all, func(t access.Policy) bool {
			return t.State == catalog.Enabled && slices.Contains(j.both(g.Ref, false), t.Ref)
		})
		c, known := catalog.Lookup(g.Ref.Type)
		if i < 0 || !known || !catalog.Bears(path) {
			continue
		}
		p := all[i]
		// What is written of a policy travels in whole units, and the gap's is one of them.
		written := slices.ContainsFunc(j.p.Steps, func(s plan.Step) bool {
			if !slices.Contains(j.names(s), p.Ref) {
				return false
			}
			for at := range s.Set {
				if c.Unit(at) == c.Unit(path) {
					return true
				}
			}
			return false
		})
		if !written && !slices.ContainsFunc(tight, func(t access.Policy) bool { return t.Ref == p.Ref }) {
			continue
		}
		if g.Missing == (entra.Ref{}) || personal(g.Missing.Type) {
			continue
		}
		if b, ok := j.before(p.Ref); ok && b.State == catalog.Enabled {
			o, err := j.base.Object(ctx, p.Ref)
			if err != nil {
				return fmt.Errorf("read %s: %w", p.Ref, err)
			}
			was, err := j.missing(ctx, j.was, o)
			if err != nil {
				return err
			}
			if was[g.Missing] {
				continue // it does without it already
			}
		}
		j.object(LockOut, j.touching(p.Ref), "policy %q would be in force without what its %s names: %s does not exist%s", p.Name, c.Unit(path), g.Missing, j.advice(ctx, g.Missing))
	}
	return nil
}

// personal reports whether a policy that names one of the type who is gone only reaches fewer.
func personal(t entra.Type) bool {
	return t == catalog.UserType || t == catalog.RoleType || t == catalog.ServicePrincipalType
}

// missing returns what a policy refers to that the tree does not have; the value says whether that is proven.
// Left out are people, roles and applications: a policy that names one who is gone only reaches fewer.
func (j *judge) missing(ctx context.Context, v *access.View, o entra.Object) (map[entra.Ref]bool, error) {
	all := map[entra.Ref]bool{}
	for _, f := range catalog.Refs(o) {
		if f.By != "" || len(f.Types) != 1 || strings.HasPrefix(string(f.ID), builtIn) {
			continue
		}
		if personal(f.Types[0]) {
			continue
		}
		r := entra.Ref{Type: f.Types[0], ID: f.ID}
		is, err := v.Exists(ctx, r)
		if err != nil {
			return nil, err
		}
		if is != access.Yes {
			all[r] = is == access.No
		}
	}
	return all, nil
}

// builtIn begins the IDs of the authentication strengths that every tenant has, whether listed or not.
const builtIn = "00000000-0000-0000-0000-"

// advice says where a missing object may come from.
func (j *judge) advice(ctx context.Context, r entra.Ref) string {
	if c, ok := catalog.Lookup(r.Type); ok && c.Bin != "" {
		if _, err := j.base.Object(ctx, entra.Ref{Type: c.Bin, ID: r.ID}); err == nil {
			return ": it lies in the recycle bin, add --object " + r.String() + " to the restore"
		}
	}
	return ": add --object " + r.String() + " to the restore, or take it out of the policy"
}

// trusted objects to a policy that blocks everywhere but in trusted locations where none is left.
func (j *judge) trusted(ctx context.Context, tight []access.Policy) error {
	some := func(places map[entra.ID]catalog.Place) bool {
		for _, p := range places {
			if p.Trusted {
				return true
			}
		}
		return false
	}
	if some(j.is.Places()) {
		return nil
	}
	for _, p := range j.is.Policies() {
		if p.State != catalog.Enabled || !p.Blocks() || !has(p.Locations.Exclude, "AllTrusted") || has(p.Locations.Exclude, zero) {
			continue
		}
		put := slices.ContainsFunc(tight, func(t access.Policy) bool { return t.Ref == p.Ref })
		if put || some(j.was.Places()) {
			refs, err := j.circle(ctx, p)
			if err != nil {
				return err
			}
			j.object(LockOut, j.touching(refs...), "policy %q leaves out trusted locations and there would be none, so it would block everywhere: restore the trusted location too", p.Name)
		}
	}
	return nil
}

// zero stands for the trusted addresses of the old multifactor settings.
const zero = "00000000-0000-0000-0000-000000000000"

// defaults objects to security defaults that come on beside policies in force, or over break-glass accounts:
// they know no exclusion. Source: Microsoft Entra documentation, "Security defaults".
func (j *judge) defaults(ctx context.Context, _ []access.Policy) error {
	on, _ := j.is.Defaults()
	if !on {
		return nil
	}
	before, _ := j.was.Defaults()
	force := func(v *access.View) (names []string) {
		for _, p := range v.Policies() {
			if p.State == catalog.Enabled {
				names = append(names, fmt.Sprintf("%q", p.Name))
			}
		}
		return names
	}
	var steps []int
	for _, s := range j.p.Steps {
		all, err := j.seen(ctx, j.names(s))
		if err != nil {
			return err
		}
		for _, o := range all {
			if _, ok := catalog.SecurityDefaults(o); ok || o.Ref.Type == catalog.PolicyType {
				steps = append(steps, s.Number)
				break
			}
		}
	}
	if names := force(j.is); len(names) > 0 && (!before || len(force(j.was)) == 0) {
		j.object(LockOut, steps, "security defaults would be on while %s %s in force; the service refuses the one beside the other: turn security defaults off", strings.Join(names, ", "), isAre(len(names)))
	} else if !before && len(j.c.BreakGlass) > 0 {
		j.object(LockOut, steps, "security defaults would come on and ask the break-glass accounts for mfa, from which nobody can be excluded: leave them off")
	}
	return nil
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// methods objects where no method to authenticate with stays enabled, and where a domain's sign-in would go
// elsewhere.
func (j *judge) methods(ctx context.Context, _ []access.Policy) error {
	done := map[entra.Type]bool{}
	for _, s := range j.p.Steps {
		if s.Set["authenticationType"] == "Federated" && s.Was["authenticationType"] != "Federated" {
			j.object(LockOut, []int{s.Number}, "domain %q would send its people to another identity provider to sign in", s.Name)
		}
		t := s.Ref.Type
		if !methodType(t) || done[t] {
			continue
		}
		done[t] = true
		before, _, err := enabledIn(ctx, j.base, t)
		if err != nil {
			return err
		}
		after, all, err := enabledIn(ctx, j.after, t)
		if err != nil {
			return err
		}
		if before > 0 && after == 0 {
			j.object(LockOut, j.touching(all...), "no authentication method would stay enabled: keep one")
		}
	}
	return nil
}

// methodType reports whether a type's objects switch the methods that people can authenticate with. Source:
// Microsoft Graph documentation of authenticationMethodsPolicy.
func methodType(t entra.Type) bool {
	r, ok := catalog.Lookup(t)
	return ok && strings.HasSuffix(r.List, "/authenticationMethodConfigurations")
}

func enabledIn(ctx context.Context, tree snapshot.Tree, t entra.Type) (n int, all []entra.Ref, err error) {
	for e, err := range tree.Entries(ctx, t) {
		if err != nil {
			return 0, nil, fmt.Errorf("read %s: %w", t, err)
		}
		o, err := tree.Object(ctx, e.Ref)
		if err != nil {
			return 0, nil, fmt.Errorf("read %s: %w", e.Ref, err)
		}
		all = append(all, e.Ref)
		if state, _ := o.Body.Get("state"); state == "enabled" {
			n++
		}
	}
	return n, all, nil
}
