package words

import (
	"fmt"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// came says that an object is there.
func (s *speaker) came() []clause {
	if s.r != nil && s.r.Live != "" {
		return []clause{{text: s.binned() + " was deleted" + until(&s.o)}}
	}
	if c, ok := s.held(true); ok {
		return []clause{c}
	}
	self := s.self()
	c := clause{text: self + " was created", risk: Low}
	if effect, ok := s.admits(); ok {
		return []clause{{text: c.text, risk: High, effect: effect}}
	}
	if p, ok := catalog.Policy(s.o); ok {
		c = clause{text: fmt.Sprintf("%s was created and is %s", self, stateOf(string(p.State))), risk: Medium}
		if p.State == catalog.Enabled && p.Blocks() {
			c.effect = "It blocks sign-ins."
		}
		return []clause{c}
	}
	if p, ok := catalog.Location(s.o); ok {
		if p.Trusted {
			return []clause{{text: "trusted " + self + " was created" + place(p), risk: High, effect: "Policies that spare trusted locations now spare it."}}
		}
		return []clause{{text: self + " was created" + place(p), risk: Medium}}
	}
	if p, ok := catalog.Strength(s.o); ok {
		return []clause{{text: fmt.Sprintf("%s was created; it accepts %s", self, list(combinations(p.Combinations))), risk: Medium}}
	}
	if r, ok := catalog.Role(s.o); ok {
		if c.risk = Medium; r.Privileged && !r.BuiltIn {
			c.risk, c.effect = High, "The role lets its holders act with other identities."
		}
		return []clause{c}
	}
	if g, ok := catalog.GroupOf(s.o); ok {
		switch {
		case g.Assignable:
			return []clause{{text: self + " was created; roles can be given to it", risk: Medium}}
		case g.Dynamic:
			return []clause{{text: fmt.Sprintf("%s was created; its members follow from the rule %s", self, short(g.Rule)), risk: Low}}
		}
		return []clause{c}
	}
	if a, ok := catalog.AccountOf(s.o); ok && a.Login != "" && a.Kind == "" && s.text("userPrincipalName") != "" {
		if c.text = fmt.Sprintf("%s (%s) was created", self, a.Login); a.Guest {
			c.text = fmt.Sprintf("guest %s (%s) was created", s.name(s.c.Ref), a.Login)
		}
		if !a.Enabled {
			c.text += " and is disabled"
		}
		return []clause{c}
	}
	var more []string
	if s.has("passwordCredentials") {
		more = append(more, "a client secret")
	}
	if s.has("keyCredentials") {
		more = append(more, "a certificate")
	}
	if len(more) > 0 {
		return []clause{{text: fmt.Sprintf("%s was created with %s", self, list(more)), risk: High, effect: "Whoever holds the credential can sign in as it."}}
	}
	if s.has("requiredResourceAccess") {
		c.risk = Medium
		c.effect = "It asks for permissions; they hold once someone consents."
	}
	if how := s.text("authenticationType"); how != "" {
		c = clause{text: fmt.Sprintf("%s was added", self), risk: Medium}
		if how == "Federated" {
			c = clause{text: fmt.Sprintf("%s was added and is federated", self), risk: High, effect: "Whoever runs its identity provider can sign in as anyone of the domain."}
		}
	}
	return []clause{c}
}

// admits says as whom the object lets others in, where it does.
func (s *speaker) admits() (effect string, ok bool) {
	switch {
	case s.r == nil || s.r.Admits == "":
		return "", false
	case s.r.Admits == catalog.AsContainer:
		in, _ := catalog.Container(s.c.Ref)
		return "Whoever it trusts can sign in as " + s.called(in) + ".", true
	}
	return "Whoever has the key to it can sign in as anyone it is for.", true
}

// binned is what lies in a recycle bin, called as when it lived.
func (s *speaker) binned() string { return noun(s.r.Live) + " " + s.name(s.c.Ref) }

// went says that an object is gone.
func (s *speaker) went() []clause {
	if s.r != nil && s.r.Live != "" {
		return []clause{{text: s.binned() + " was removed from the recycle bin for good, or brought back", risk: Low}}
	}
	if c, ok := s.held(false); ok {
		return []clause{c}
	}
	c := clause{text: s.self() + " was deleted", risk: Medium}
	if p, ok := catalog.Policy(s.o); ok && p.State == catalog.Enabled {
		c.risk, c.effect = High, "What it demanded is no longer demanded."
	}
	return []clause{c}
}

func place(p catalog.Place) string {
	if all := append(p.Ranges[:len(p.Ranges):len(p.Ranges)], p.Countries...); len(all) > 0 {
		return ": " + list(all)
	}
	return ""
}

// resolve looks up an ID that the object holds in one of its references.
func (s *speaker) resolve(id entra.ID) (ref entra.Ref, name string) {
	for _, r := range catalog.Refs(s.o) {
		if r.ID == id {
			if ref, name, ok := s.names.Find(id, r.Types, r.By); ok {
				return ref, name
			}
			if len(r.Types) == 1 {
				return entra.Ref{Type: r.Types[0], ID: id}, string(id)
			}
		}
	}
	return entra.Ref{ID: id}, string(id)
}

// held says that something was given to someone, or taken: a role, an app role, a delegated permission.
func (s *speaker) held(given bool) (clause, bool) {
	if h, ok := catalog.RoleHeld(s.o); ok {
		who, name := s.resolve(h.Principal)
		role, roleName := s.resolve(h.Role)
		c := clause{risk: Medium, exact: true}
		if given {
			c.text = fmt.Sprintf("%s was made %s (%s)", name, roleName, s.scope(h.Scope))
		} else {
			c.text = fmt.Sprintf("%s is no longer %s (%s)", name, roleName, s.scope(h.Scope))
		}
		d, known := catalog.DirectoryRole{}, false
		if o, ok := s.object(role); ok {
			d, known = catalog.Role(o)
		}
		if given && (d.Privileged || !known) {
			c.risk = High
		}
		if g, ok := s.object(who); ok && given {
			if _, group := catalog.GroupOf(g); group {
				c.effect = "Every member of the group holds the role."
			}
		}
		return c, true
	}
	if a, ok := catalog.Assignment(s.o); ok {
		return s.appRole(a, given), true
	}
	if g, ok := catalog.Grant(s.o); ok {
		_, client := s.resolve(g.Client)
		resource, on := s.resolve(g.Resource)
		whom := "every user"
		c := clause{risk: Medium}
		if g.User != "" {
			c.risk = Low
			_, whom = s.resolve(g.User)
		}
		if !given {
			c.text = fmt.Sprintf("app %s may no longer act on %s for %s (%s)", client, on, whom, list(g.Scopes))
			return c, true
		}
		c.text = fmt.Sprintf("app %s may now act on %s for %s: %s", client, on, whom, list(g.Scopes))
		c.risk = max(c.risk, s.scopes(resource, g.Scopes))
		return c, true
	}
	return clause{}, false
}

// scopes judges delegated permissions on a resource.
func (s *speaker) scopes(resource entra.Ref, scopes []string) Risk {
	o, ok := s.object(resource)
	if !ok {
		return None
	}
	a, _ := catalog.AccountOf(o)
	for _, scope := range scopes {
		if catalog.HighPermission(a.Login, scope) {
			return High
		}
	}
	return None
}

func (s *speaker) appRole(a catalog.AppRole, given bool) clause {
	who, name := s.resolve(a.Principal)
	resource, on := s.resolve(a.Resource)
	role, appID := "", ""
	o, known := s.object(resource)
	if known {
		account, _ := catalog.AccountOf(o)
		appID = account.Login
		offered, _ := catalog.Permissions(o)
		for _, p := range offered {
			if p.ID == a.Role {
				if role = p.Value; role == "" {
					role = p.Name
				}
			}
		}
	}
	if role == "" {
		role = a.Role
	}
	if who.Type == catalog.ServicePrincipalType {
		c := clause{text: fmt.Sprintf("app %s was granted the application permission %s on %s", name, role, on), risk: Medium}
		switch {
		case !given:
			c.text = fmt.Sprintf("app %s no longer has the application permission %s on %s", name, role, on)
		case catalog.HighPermission(appID, role):
			c.risk, c.effect = High, "With it the app can take over the tenant, or change what guards it."
		case !known:
			c.risk = High // which permission it is cannot be told
		}
		return c
	}
	who.ID = a.Principal
	c := clause{risk: Low}
	if strings.Trim(a.Role, "0-") == "" {
		role = ""
	} else {
		role = " with the role " + role
	}
	if given {
		c.text = fmt.Sprintf("%s was assigned to app %s%s", kinded(who, name), on, role)
	} else {
		c.text = fmt.Sprintf("%s is no longer assigned to app %s%s", kinded(who, name), on, role)
	}
	return c
}

func kinded(r entra.Ref, name string) string {
	if r.Type == "" {
		return name
	}
	return noun(r.Type) + " " + name
}

// scope says where a role holds.
func (s *speaker) scope(scope string) string {
	if scope == "/" || scope == "" {
		return "whole tenant"
	}
	for _, r := range catalog.Refs(s.o) {
		if strings.Contains(scope, string(r.ID)) {
			if ref, name, ok := s.names.Find(r.ID, r.Types, r.By); ok {
				return noun(ref.Type) + " " + name
			}
		}
	}
	return scope
}

// link says that a link was added or is gone.
func (s *speaker) link(added bool) clause {
	l := s.c.Link
	to, from := s.called(l.To), s.called(l.From)
	owner, hasOwner := s.object(l.From)
	group, isGroup := catalog.GroupOf(owner)
	c := clause{risk: Low}
	switch l.Rel {
	case "members":
		c.text = pick(added, "%s became a member of %s", "%s is no longer a member of %s", to, from)
		switch {
		case isGroup && group.Assignable:
			c.text += ", to which roles can be given"
			c.risk = pickRisk(added, High, Medium)
		case !hasOwner && l.From.Type == catalog.GroupType:
			c.risk = pickRisk(added, Medium, Low)
		}
	case "owners":
		c.text = pick(added, "%s became an owner of %s", "%s is no longer an owner of %s", to, from)
		c.risk = pickRisk(added, Medium, Low)
		if credentials(l.From.Type) {
			c.risk = pickRisk(added, High, Medium)
			if added {
				c.effect = "An owner can add credentials and act with all that the app may do."
			}
		}
		if isGroup && group.Assignable {
			c.risk = pickRisk(added, High, Medium)
		}
	case "manager":
		c.text = pick(added, "%s is now the manager of %s", "%s is no longer the manager of %s", to, from)
	case "sponsors":
		c.text = pick(added, "%s became a sponsor of %s", "%s is no longer a sponsor of %s", to, from)
	default:
		c.text = pick(added, "%s is now among the "+spaced(l.Rel)+" of %s", "%s is no longer among the "+spaced(l.Rel)+" of %s", to, from)
	}
	return c
}

// credentials reports whether objects of a type hold credentials of their own.
func credentials(t entra.Type) bool {
	return t == catalog.ApplicationType || t == catalog.ServicePrincipalType
}

func pick(yes bool, a, b string, args ...any) string {
	if yes {
		return fmt.Sprintf(a, args...)
	}
	return fmt.Sprintf(b, args...)
}

func pickRisk(yes bool, a, b Risk) Risk {
	if yes {
		return a
	}
	return b
}
