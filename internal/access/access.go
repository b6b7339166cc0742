// Package access answers who has what by which path, and which Conditional Access policies reach whom,
// over one tree.
//
// It promises that what it cannot decide is said to be unknown and is never taken for allowed: a group
// that the tree does not have, a part that was not read whole, a rule in a language it does not evaluate.
// It reads the small parts once (policies, role assignments and definitions, named locations,
// authentication strengths, security defaults) and asks for group membership only around the people it is
// asked about. It refuses to judge what a sign-in cannot tell in advance: whether a person can meet a demand.
package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// GlobalAdministrator is the template ID of the role that may do everything in a tenant. Microsoft's list of
// built-in roles gives it; it is the same in every tenant.
const GlobalAdministrator entra.ID = "62e90394-69f5-4237-9190-012177145e10"

// maxGroups bounds how many groups are followed from one person or one group, so that a hostile tree costs
// an answer of unknown and not the machine.
const maxGroups = 20000

// A View is what the package has read of one tree. It is not safe for concurrent use.
type View struct {
	tree                     snapshot.Tree
	assignment, defaultsType entra.Type
	policies                 []Policy
	holdings                 []catalog.Holding
	roles                    map[entra.ID]catalog.DirectoryRole // by the definition's ID
	places                   map[entra.ID]catalog.Place
	defaults                 []entra.Ref // the objects that say security defaults are on
	above                    map[entra.Ref]map[entra.Ref]bool
	over                     map[entra.Ref][]entra.Ref // what groups are members of
	held                     map[entra.Ref]bool        // holes of the members part, with the groups above them
}

// A Policy is a Conditional Access policy and what it says.
type Policy struct {
	Ref entra.Ref
	catalog.AccessPolicy
}

// Open reads the small parts of a tree. It errs where the tree cannot be read, not where a part is missing.
func Open(ctx context.Context, tree snapshot.Tree) (*View, error) {
	v := &View{
		tree:   tree,
		roles:  map[entra.ID]catalog.DirectoryRole{},
		places: map[entra.ID]catalog.Place{},
		above:  map[entra.Ref]map[entra.Ref]bool{},
		over:   map[entra.Ref][]entra.Ref{},
	}
	v.assignment, v.defaultsType = found()
	take := map[entra.Type]func(entra.Object){
		catalog.PolicyType: func(o entra.Object) {
			if p, ok := catalog.Policy(o); ok {
				v.policies = append(v.policies, Policy{o.Ref, p})
			}
		},
		v.assignment: func(o entra.Object) {
			if h, ok := catalog.RoleHeld(o); ok {
				v.holdings = append(v.holdings, h)
			}
		},
		catalog.RoleType: func(o entra.Object) {
			if r, ok := catalog.Role(o); ok {
				v.roles[o.Ref.ID] = r
			}
		},
		catalog.LocationType: func(o entra.Object) {
			if p, ok := catalog.Location(o); ok {
				v.places[o.Ref.ID] = p
			}
		},
		v.defaultsType: func(o entra.Object) {
			if on, _ := catalog.SecurityDefaults(o); on {
				v.defaults = append(v.defaults, o.Ref)
			}
		},
	}
	for _, t := range []entra.Type{catalog.PolicyType, v.assignment, catalog.RoleType, catalog.LocationType, v.defaultsType} {
		for e, err := range tree.Entries(ctx, t) {
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", title(t), err)
			}
			o, err := tree.Object(ctx, e.Ref)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", e.Ref, err)
			}
			take[t](o)
		}
	}
	return v, nil
}

// found asks the catalog which types it reads as role assignments and as security defaults: it alone knows
// the names of types.
func found() (assignment, defaults entra.Type) {
	for r := range catalog.All() {
		o := entra.Object{Ref: entra.Ref{Type: r.Type}}
		if _, ok := catalog.RoleHeld(o); ok {
			assignment = r.Type
		}
		if _, ok := catalog.SecurityDefaults(o); ok {
			defaults = r.Type
		}
	}
	return assignment, defaults
}

// Unread returns the parts that decide about access and were not read whole, ascending: the view is built
// on them, and its answers are only as good as they are.
func (v *View) Unread() []snapshot.Part {
	var all []snapshot.Part
	for _, p := range []snapshot.Part{
		{Type: catalog.PolicyType}, {Type: catalog.LocationType}, {Type: catalog.StrengthType}, {Type: v.defaultsType},
		{Type: v.assignment}, {Type: catalog.RoleType}, {Type: catalog.GroupType}, {Type: catalog.GroupType, Relation: catalog.Members},
		{Type: catalog.UserType},
	} {
		if !v.Known(p.Type, p.Relation) {
			all = append(all, v.tree.Snapshot().Part(p.Type, p.Relation))
		}
	}
	slices.SortFunc(all, snapshot.Part.Compare)
	return all
}

// Policies returns every policy of the tree, whatever its state, ascending by ref.
func (v *View) Policies() []Policy { return slices.Clone(v.policies) }

// Places returns the named locations of the tree by ID.
func (v *View) Places() map[entra.ID]catalog.Place { return v.places }

// Defaults reports whether security defaults are on. known is false where the tree cannot tell.
func (v *View) Defaults() (on, known bool) {
	return len(v.defaults) > 0, len(v.defaults) > 0 || v.Known(v.defaultsType, "")
}

// Known reports whether absence from a part is proof of absence: it was read whole, or the tenant does not
// have such a thing at all because the service or its licence does not offer it. A targeted capture reads
// policies and roles anew and carries people and groups, so there those count as they were last read whole.
func (v *View) Known(t entra.Type, relation string) bool {
	s := v.tree.Snapshot()
	p := s.Part(t, relation)
	switch p.Coverage {
	case snapshot.Complete, snapshot.Unlicensed, snapshot.Unsupported:
		return true
	case snapshot.Carried:
		return p.Complete > 0 && (t == catalog.UserType || t == catalog.GroupType || t == catalog.ServicePrincipalType)
	}
	return false
}

// Exists says whether the tree has an object: No only where that is proven.
func (v *View) Exists(ctx context.Context, r entra.Ref) (Truth, error) {
	_, err := v.tree.Object(ctx, r)
	switch {
	case err == nil:
		return Yes, nil
	case !errors.Is(err, fs.ErrNotExist):
		return Unknown, fmt.Errorf("read %s: %w", r, err)
	}
	if !v.Known(r.Type, "") || v.tree.Snapshot().Part(r.Type, "").Hole(r) {
		return Unknown, nil
	}
	return No, nil
}

// Role returns the definition of a role by its ID or template ID. ok is false where the tree has none.
func (v *View) Role(id entra.ID) (catalog.DirectoryRole, bool) {
	if r, ok := v.roles[id]; ok {
		return r, true
	}
	for _, r := range v.roles {
		if entra.ID(r.Template) == id {
			return r, true
		}
	}
	return catalog.DirectoryRole{}, false
}

// is reports whether a role's ID means the same role as another ID or template ID.
func (v *View) is(role, wanted entra.ID) bool {
	return role == wanted || v.template(role) == v.template(wanted)
}

func (v *View) template(role entra.ID) entra.ID {
	if r, ok := v.roles[role]; ok && r.Template != "" {
		return entra.ID(r.Template)
	}
	return role
}

// A Holding is one way in which someone has a directory role.
type Holding struct {
	Principal entra.Ref   // its Type is "" where the tree has no such object
	Path      []entra.Ref // the groups it goes through, the one that was given the role first; none if direct
	Scope     string      // "/" for the whole tenant
}

// Holders yields who has a role, given by its ID or template ID: each principal that was assigned it, and
// where that is a group everyone in it, nested groups included, by the shortest path.
func (v *View) Holders(ctx context.Context, role entra.ID) iter.Seq2[Holding, error] {
	return func(yield func(Holding, error) bool) {
		for _, h := range v.holdings {
			if !v.is(h.Role, role) {
				continue
			}
			who, err := v.principal(ctx, h.Principal)
			if err != nil {
				yield(Holding{}, err)
				return
			}
			if !yield(Holding{Principal: who, Scope: h.Scope}, nil) {
				return
			}
			if who.Type != catalog.GroupType {
				continue
			}
			for m, err := range v.Members(ctx, who) {
				if err != nil {
					yield(Holding{}, err)
					return
				}
				if !yield(Holding{m.Ref, m.Path, h.Scope}, nil) {
					return
				}
			}
		}
	}
}

// Held returns the IDs of the roles that a principal has over any scope, directly or through groups,
// ascending. It is what can be proven: an unread group gives nothing.
func (v *View) Held(ctx context.Context, who entra.Ref) ([]entra.ID, error) {
	groups, err := v.groups(ctx, who)
	if err != nil {
		return nil, err
	}
	var roles []entra.ID
	for _, h := range v.holdings {
		if h.Principal == who.ID || groups[entra.Ref{Type: catalog.GroupType, ID: h.Principal}] {
			roles = append(roles, h.Role)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles), nil
}

func (v *View) principal(ctx context.Context, id entra.ID) (entra.Ref, error) {
	for _, t := range []entra.Type{catalog.UserType, catalog.GroupType, catalog.ServicePrincipalType} {
		r := entra.Ref{Type: t, ID: id}
		is, err := v.Exists(ctx, r)
		if err != nil {
			return entra.Ref{}, err
		}
		if is == Yes {
			return r, nil
		}
	}
	return entra.Ref{ID: id}, nil
}

// A Member is someone in a group.
type Member struct {
	Ref  entra.Ref
	Path []entra.Ref // the group asked about, then the nested groups on the way
}

// Members yields everything in a group, nested groups and what is in them included, each once, by the
// shortest path. It errs on a group of more than 20,000 nested groups.
func (v *View) Members(ctx context.Context, group entra.Ref) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		seen := map[entra.Ref]bool{group: true}
		for queue := []Member{{Ref: group}}; len(queue) > 0; queue = queue[1:] {
			if len(queue) > maxGroups {
				yield(Member{}, fmt.Errorf("members of %s: more than %d nested groups", group, maxGroups))
				return
			}
			at := queue[0]
			path := append(slices.Clone(at.Path), at.Ref)
			for l, err := range v.tree.Around(ctx, at.Ref) {
				if err != nil {
					yield(Member{}, fmt.Errorf("members of %s: %w", at.Ref, err))
					return
				}
				if l.From != at.Ref || l.Rel != catalog.Members || seen[l.To] {
					continue
				}
				seen[l.To] = true
				m := Member{l.To, path}
				if !yield(m, nil) {
					return
				}
				if l.To.Type == catalog.GroupType {
					queue = append(queue, m)
				}
			}
		}
	}
}

// groups returns every group that someone is in, nested ones included.
func (v *View) groups(ctx context.Context, who entra.Ref) (map[entra.Ref]bool, error) {
	if all, ok := v.above[who]; ok {
		return all, nil
	}
	all := map[entra.Ref]bool{}
	for queue := []entra.Ref{who}; len(queue) > 0; queue = queue[1:] {
		in, err := v.direct(ctx, queue[0])
		if err != nil {
			return nil, fmt.Errorf("groups of %s: %w", who, err)
		}
		for _, g := range in {
			if all[g] {
				continue
			}
			if len(all) == maxGroups {
				return nil, fmt.Errorf("groups of %s: more than %d", who, maxGroups)
			}
			all[g] = true
			queue = append(queue, g)
		}
	}
	v.above[who] = all
	return all, nil
}

// direct returns the groups that have someone as a member. Of a group they are remembered: all that is around it are its
// members as well, and those ask for the same.
func (v *View) direct(ctx context.Context, who entra.Ref) (in []entra.Ref, err error) {
	in, ok := v.over[who]
	if ok {
		return in, nil
	}
	for l, err := range v.tree.Around(ctx, who) {
		if err != nil {
			return nil, err
		}
		if l.To == who && l.Rel == catalog.Members && l.From.Type == catalog.GroupType {
			in = append(in, l.From)
		}
	}
	if who.Type == catalog.GroupType {
		v.over[who] = in
	}
	return in, nil
}

// Inside says whether someone is in a group, directly or through nested groups.
func (v *View) Inside(ctx context.Context, who, group entra.Ref) (Truth, error) {
	all, err := v.groups(ctx, who)
	if err != nil {
		return Unknown, err
	}
	if all[group] {
		return Yes, nil
	}
	there, err := v.Exists(ctx, group)
	if err != nil || there != Yes {
		return Unknown, err
	}
	if !v.Known(catalog.GroupType, catalog.Members) {
		return Unknown, nil
	}
	if v.held == nil {
		v.held = map[entra.Ref]bool{}
		for _, hole := range v.tree.Snapshot().Part(catalog.GroupType, catalog.Members).Holes {
			v.held[hole] = true
			over, err := v.groups(ctx, hole)
			if err != nil {
				return Unknown, err
			}
			for g := range over {
				v.held[g] = true
			}
		}
	}
	if v.held[group] {
		return Unknown, nil
	}
	return No, nil
}

// holds says whether someone has a role for the whole tenant. Only such assignments count in Conditional
// Access; Microsoft's documentation says that roles scoped to administrative units do not.
func (v *View) holds(ctx context.Context, who entra.Ref, role entra.ID) (Truth, error) {
	answer := No
	if !v.Known(v.assignment, "") {
		answer = Unknown
	}
	for _, h := range v.holdings {
		if h.Scope != "/" || !v.is(h.Role, role) {
			continue
		}
		if h.Principal == who.ID {
			return Yes, nil
		}
		// The principal may be a group or not; only a group can contain someone.
		group := entra.Ref{Type: catalog.GroupType, ID: h.Principal}
		there, err := v.Exists(ctx, group)
		if err != nil {
			return Unknown, err
		}
		if there == No {
			continue
		}
		in, err := v.Inside(ctx, who, group)
		if err != nil {
			return Unknown, err
		}
		if answer = or(answer, in); answer == Yes {
			return Yes, nil
		}
	}
	return answer, nil
}

// Administrators returns the enabled users who are Global Administrators of the whole tenant, directly or
// through groups, ascending.
func (v *View) Administrators(ctx context.Context) ([]entra.Ref, error) {
	var all []entra.Ref
	for h, err := range v.Holders(ctx, GlobalAdministrator) {
		if err != nil {
			return nil, err
		}
		if h.Scope != "/" || h.Principal.Type != catalog.UserType {
			continue
		}
		on, err := v.Enabled(ctx, h.Principal)
		if err != nil {
			return nil, err
		}
		if on {
			all = append(all, h.Principal)
		}
	}
	slices.SortFunc(all, entra.Ref.Compare)
	return slices.Compact(all), nil
}

// Privileged yields the enabled users who hold a role that is known to be privileged, over any scope, each as often as
// there are ways in which they hold it.
func (v *View) Privileged(ctx context.Context) iter.Seq2[Holding, error] {
	return func(yield func(Holding, error) bool) {
		var roles []entra.ID
		for _, h := range v.holdings {
			if r, ok := v.Role(h.Role); ok && r.Privileged && !slices.Contains(roles, v.template(h.Role)) {
				roles = append(roles, v.template(h.Role))
			}
		}
		for _, role := range roles {
			for h, err := range v.Holders(ctx, role) {
				if err != nil {
					yield(Holding{}, err)
					return
				}
				if h.Principal.Type != catalog.UserType {
					continue
				}
				on, err := v.Enabled(ctx, h.Principal)
				if err != nil {
					yield(Holding{}, err)
					return
				}
				if on && !yield(h, nil) {
					return
				}
			}
		}
	}
}

// Enabled reports whether the tree has the object and shows its account as enabled.
func (v *View) Enabled(ctx context.Context, r entra.Ref) (bool, error) {
	o, err := v.tree.Object(ctx, r)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", r, err)
	}
	on, _ := o.Body.Get("accountEnabled")
	return on == true, nil
}

// title is what people call a type.
func title(t entra.Type) string {
	if r, ok := catalog.Lookup(t); ok && r.Title != "" {
		return r.Title
	}
	return string(t)
}

func fold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}
