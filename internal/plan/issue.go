package plan

import (
	"fmt"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	again    = "the same certificate is registered again, under an ID of its own; nothing to do"
	renewed  = "the old secret cannot come back; a new one is made and handed out in the restore's secrets file"
	replaced = "the old secret cannot come back; the one that a restore made and handed out in its place is there"
)

// issue plans new credentials in the place of those of one property that base's object lacks, where they are asked for, and has
// a certificate that is told registered again; base is nil where the object is made anew. It returns the paths of those that
// it leaves out, because nobody asks for new ones.
func (m *maker) issue(goal entra.Object, p catalog.Property, base *entra.Object, all []standing, made *node) (left []string) {
	had, marked := map[entra.ID]bool{}, map[string]bool{}
	var was map[string]any
	if base != nil {
		for _, c := range catalog.Credentials(*base) {
			had[c.Key], marked[c.Mark] = true, true
		}
		for _, s := range all {
			had[s.goal] = true
		}
		v, _ := base.Body.Get(p.Name)
		was = map[string]any{p.Name: v}
	}
	name, some, same := catalog.Name(goal), false, false
	for _, c := range catalog.Credentials(goal) {
		path := at(p, c.Key)
		if c.Property != p.Name || had[c.Key] || !m.inField(path) {
			continue
		}
		if !m.q.NewSecrets && (c.Fixed != "" || c.Public == nil) {
			left = append(left, path)
			continue
		}
		if c.Fixed != "" {
			m.gap(goal.Ref, name, path, c.Fixed)
			continue
		}
		what := "password"
		if c.Certificate {
			what = "certificate"
		}
		why := fmt.Sprintf("a new %s %q is made and handed out in the secrets file, because the old one's secret cannot come back", what, c.Name)
		if c.Public != nil {
			if marked[c.Mark] {
				continue
			}
			same, why = true, fmt.Sprintf("the certificate %q is registered again, so that who has its private key signs in as before", c.Name)
		}
		some = some || c.Public == nil
		n := node{Step: Step{
			Action: Issue, Ref: goal.Ref, Name: name, Set: map[string]any{p.Name: []any{element(p, goal, c.Key)}}, Was: was,
			Why: why,
		}, rank: rankIssue}
		if made != nil {
			n.needs = append(n.needs, made)
		}
		m.add(n)
	}
	if some {
		m.gap(goal.Ref, name, p.Name, renewed)
	} else if same {
		m.gap(goal.Ref, name, p.Name, again)
	}
	return left
}

// Secret reports whether a step makes a secret, which has to be handed out.
func (s Step) Secret() bool {
	if s.Action != Issue {
		return false
	}
	body, err := entra.Encode(nested(s.Set))
	all := catalog.Credentials(entra.Object{Ref: s.Ref, Body: body})
	return err != nil || !slices.ContainsFunc(all, func(c catalog.Credential) bool { return c.Public != nil })
}

// element returns the element of an object's property that has a key.
func element(p catalog.Property, o entra.Object, key entra.ID) any {
	v, _ := o.Body.Get(p.Name)
	elements, _ := v.([]any)
	for _, e := range elements {
		if e, _ := e.(map[string]any); e[p.Key] == string(key) {
			return e
		}
	}
	return nil
}

// A standing says that a credential of base stands for one of the goal's, because a restore made it in its place.
type standing struct {
	p          catalog.Property
	goal, base entra.ID // their keys
}

// at is the path of the credential with a key.
func at(p catalog.Property, key entra.ID) string {
	return p.Name + "[" + p.Key + "=" + string(key) + "]"
}

// standing finds them by what the log says, and announces them: the goal's own do not come back.
func (m *maker) standing(r *catalog.Resource, goal, base entra.Object) (found []standing) {
	if len(m.q.Aliases) == 0 {
		return nil
	}
	there := map[entra.Ref]bool{}
	of := func(o entra.Object, c catalog.Credential) entra.Ref {
		return entra.Ref{Type: catalog.CredentialType, ID: entra.Join(o.Ref.ID, c.Key)}
	}
	for _, c := range catalog.Credentials(base) {
		there[of(base, c)] = true
	}
	for _, c := range catalog.Credentials(goal) {
		old := of(goal, c)
		now := newest(old, m.q.Aliases)
		if now == old || !there[now] {
			continue
		}
		p, _ := r.Property(c.Property)
		key := now.ID.Split()[1]
		found = append(found, standing{p, c.Key, key})
		for _, key := range []entra.ID{c.Key, key} {
			m.gap(goal.Ref, catalog.Name(goal), at(p, key), replaced)
		}
	}
	return found
}

// stand puts the goal's credentials into base's body where base's stand for them. With back it does the reverse.
func stand(r *catalog.Resource, body entra.Body, goal, base entra.Object, all []standing, back bool) (entra.Body, error) {
	var fields []diff.Field
	for _, s := range all {
		out, in, from := s.base, s.goal, goal
		if back {
			out, in, from = s.goal, s.base, base
		}
		fields = append(fields, diff.Field{Path: at(s.p, out)}, diff.Field{Path: at(s.p, in), After: element(s.p, from, in)})
	}
	return diff.With(r, body, fields)
}
