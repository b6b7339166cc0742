package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/access"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// privilege counts the steps that touch a privileged role, a role-assignable group, who holds one, whom the tenant
// believes when it says who somebody is, or a policy that lets people in or gives them power.
func (j *judge) privilege(ctx context.Context) error {
	var steps []int
	for _, s := range j.p.Steps {
		touches, err := j.privileged(ctx, s)
		if err != nil {
			return err
		}
		if touches {
			steps = append(steps, s.Number)
		}
	}
	if len(steps) > j.p.Limits.Privileged {
		j.objections = append(j.objections, Objection{
			Rule: Privilege, Steps: steps,
			Reason: fmt.Sprintf("%d steps touch a privileged role, a role-assignable group, an identity that holds one, whom the tenant believes, or a policy that gives power; the limit is %d", len(steps), j.p.Limits.Privileged),
			Lift:   fmt.Sprintf("--allow privileged=%d", len(steps)),
		})
	}
	return nil
}

func (j *judge) privileged(ctx context.Context, s plan.Step) (bool, error) {
	if r, ok := catalog.Lookup(s.Ref.Type); ok && r.Grants {
		return true, nil
	}
	refs := j.names(s)
	if r, ok := catalog.Lookup(s.Ref.Type); ok && r.Admits == catalog.AsAnyone {
		return true, nil
	}
	if s.Link != nil {
		if s.Link.Rel != catalog.Members && s.Link.Rel != catalog.Owners {
			return false, nil
		}
		refs = j.both(s.Link.From, s.OfBase)
	}
	all, err := j.seen(ctx, refs)
	if err != nil {
		return false, err
	}
	for _, o := range all {
		if h, ok := catalog.RoleHeld(o); ok && j.powerful(h.Role) {
			return true, nil
		}
		if r, ok := catalog.Role(o); ok && r.Privileged {
			return true, nil
		}
		if g, ok := catalog.GroupOf(o); ok && g.Assignable {
			return true, nil
		}
		if a, ok := catalog.Assignment(o); ok {
			high, err := j.high(ctx, a)
			if err != nil || high {
				return high, err
			}
		}
	}
	if hands, err := j.hands(ctx, all); err != nil || hands {
		return hands, err
	}
	if _, inside := catalog.Admitted(s.Ref); s.Action == plan.Update && !inside && !empowers(s.Set) {
		return false, nil
	}
	in, inside := catalog.Admitted(s.Ref)
	if inside {
		refs = j.both(in, s.OfBase)
		if all, err = j.seen(ctx, refs); err != nil {
			return false, err
		}
	}
	if s.Action == plan.Issue || inside {
		if refs, err = j.acting(ctx, refs, all); err != nil {
			return false, err
		}
	}
	for _, r := range refs {
		has, err := j.holds(ctx, r)
		if err != nil || has {
			return has, err
		}
	}
	return false, nil
}

// hands reports whether one of the objects lets others into a role-assignable group, or into a privileged role.
func (j *judge) hands(ctx context.Context, all []entra.Object) (bool, error) {
	met := map[entra.Ref]bool{}
	for len(all) > 0 {
		o := all[0]
		all = all[1:]
		for _, r := range catalog.Hands(o) {
			if met[r] {
				continue
			}
			met[r] = true
			if r.Type == catalog.RoleType && j.powerful(r.ID) {
				return true, nil
			}
			if has, err := j.holds(ctx, r); err != nil || has {
				return has, err
			}
			found, err := j.seen(ctx, []entra.Ref{r})
			if err != nil {
				return false, err
			}
			for _, x := range found {
				if g, ok := catalog.GroupOf(x); ok && g.Assignable {
					return true, nil
				}
			}
			inside, err := j.contents(ctx, r)
			if err != nil {
				return false, err
			}
			all = append(all, inside...)
		}
	}
	return false, nil
}

// contents returns what an object contains, before and after the plan.
func (j *judge) contents(ctx context.Context, in entra.Ref) (all []entra.Object, err error) {
	for r := range catalog.All() {
		if r.Under != in.Type {
			continue
		}
		for _, tree := range []snapshot.Tree{j.base, j.after} {
			for e, err := range tree.Entries(ctx, r.Type) {
				if err != nil {
					return nil, fmt.Errorf("what is in %s: %w", in, err)
				}
				if c, ok := catalog.Container(e.Ref); !ok || c != in {
					continue
				}
				o, err := tree.Object(ctx, e.Ref)
				if err != nil {
					return nil, fmt.Errorf("read %s: %w", e.Ref, err)
				}
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// acting adds to refs who acts with the credentials of the objects: an application's are used as its service principal.
func (j *judge) acting(ctx context.Context, refs []entra.Ref, all []entra.Object) ([]entra.Ref, error) {
	refs = slices.Clone(refs)
	for _, o := range all {
		for _, id := range catalog.Handles(o) {
			for _, tree := range []snapshot.Tree{j.base, j.after} {
				for h, err := range tree.Holders(ctx, id) {
					if err != nil {
						return nil, fmt.Errorf("who acts as %s: %w", o.Ref, err)
					}
					if h.Type == catalog.ServicePrincipalType && !slices.Contains(refs, h) {
						refs = append(refs, h)
					}
				}
			}
		}
	}
	return refs, nil
}

// empowers reports whether an update decides who can act as the object, and not only how it looks.
func empowers(set map[string]any) bool {
	for path := range set {
		switch name, _, _ := cutAny(path); name {
		case "accountEnabled", "keyCredentials", "passwordCredentials", "identities", "onPremisesImmutableId", "userPrincipalName",
			"membershipRule", "groupTypes":
			return true
		}
	}
	return false
}

// cutAny splits a path after its first name.
func cutAny(path string) (name, rest string, deeper bool) {
	for i, r := range path {
		if r == '.' || r == '[' {
			return path[:i], path[i:], true
		}
	}
	return path, "", false
}

// powerful reports whether a role is privileged. One that neither tree defines could be anything.
func (j *judge) powerful(role entra.ID) bool {
	defined := false
	for _, v := range []*access.View{j.was, j.is} {
		if r, ok := v.Role(role); ok {
			defined = true
			if r.Privileged {
				return true
			}
		}
	}
	return !defined
}

// holds reports whether someone has a privileged role or application permission before or after the plan, or can have such a
// role.
func (j *judge) holds(ctx context.Context, who entra.Ref) (bool, error) {
	if who.Type != catalog.UserType && who.Type != catalog.GroupType && who.Type != catalog.ServicePrincipalType {
		return false, nil
	}
	for _, v := range []*access.View{j.was, j.is} {
		roles, err := v.Held(ctx, who)
		if err != nil {
			return false, err
		}
		for _, r := range roles {
			if j.powerful(r) {
				return true, nil
			}
		}
	}
	for _, tree := range []snapshot.Tree{j.base, j.after} {
		for r, err := range tree.Holders(ctx, who.ID) {
			if err != nil {
				return false, fmt.Errorf("permissions of %s: %w", who, err)
			}
			o, err := tree.Object(ctx, r)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return false, fmt.Errorf("read %s: %w", r, err)
			}
			if a, ok := catalog.Assignment(o); ok && a.Principal == who.ID && who.Type == catalog.ServicePrincipalType {
				high, err := j.high(ctx, a)
				if err != nil || high {
					return high, err
				}
			}
			if role, ok := catalog.Eligible(o, who.ID); ok && j.powerful(role) {
				return true, nil
			}
		}
	}
	return false, nil
}

// anyHigh is a permission that every application with powerful permissions offers.
const anyHigh = "RoleManagement.ReadWrite.Directory"

// high reports whether an application permission lets its holder take over the tenant. One whose resource
// neither tree has could be anything.
func (j *judge) high(ctx context.Context, a catalog.AppRole) (bool, error) {
	resource, err := j.resource(ctx, a.Resource)
	if err != nil {
		return false, err
	}
	named := a.Role == "00000000-0000-0000-0000-000000000000" // default access names no permission
	for _, o := range resource {
		account, _ := catalog.AccountOf(o)
		if !catalog.HighPermission(account.Login, anyHigh) {
			return false, nil // an application none of whose permissions reach the directory
		}
		offers, _ := catalog.Permissions(o)
		for _, p := range offers {
			if p.ID == a.Role {
				named = true
				if catalog.HighPermission(account.Login, p.Value) {
					return true, nil
				}
			}
		}
	}
	return !named, nil
}

// resource returns what offers application permissions, before and after the plan.
func (j *judge) resource(ctx context.Context, id entra.ID) ([]entra.Object, error) {
	return j.seen(ctx, []entra.Ref{{Type: catalog.ServicePrincipalType, ID: id}})
}

// reaches reports whether a resource offers permissions by which the tenant can be taken over.
func (j *judge) reaches(ctx context.Context, id entra.ID) (bool, error) {
	resource, err := j.resource(ctx, id)
	return slices.ContainsFunc(resource, func(o entra.Object) bool {
		account, _ := catalog.AccountOf(o)
		return catalog.HighPermission(account.Login, anyHigh)
	}), err
}
