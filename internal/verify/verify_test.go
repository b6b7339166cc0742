package verify_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/verify"
)

type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func held(o entra.Object) []entra.ID {
	var all []entra.ID
	for _, r := range catalog.Refs(o) {
		all = append(all, r.ID)
	}
	return all
}

// tree makes a tree in which every part is complete but those named.
func tree(objects map[entra.Ref]entra.Body, links []entra.Link, unread ...entra.Type) *snapshot.Memory {
	s := &snapshot.Snapshot{}
	for r := range catalog.All() {
		p := snapshot.Part{Type: r.Type, Coverage: snapshot.Complete}
		if slices.Contains(unread, r.Type) {
			p.Coverage = snapshot.Denied
		}
		s.Parts = append(s.Parts, p)
		for _, l := range r.Links {
			s.Parts = append(s.Parts, snapshot.Part{Type: r.Type, Relation: l.Rel, Coverage: snapshot.Complete})
		}
	}
	slices.SortFunc(s.Parts, snapshot.Part.Compare)
	var all []entra.Object
	for r, b := range objects {
		all = append(all, entra.Object{Ref: r, Body: b})
	}
	return snapshot.NewMemory(s, held, all, links)
}

func guid(n int) entra.ID { return entra.ID(fmt.Sprintf("%08x-0000-4000-8000-%012x", n*7919+1, n)) }

func user(n int) entra.Ref   { return entra.Ref{Type: "user", ID: guid(n)} }
func group(n int) entra.Ref  { return entra.Ref{Type: "group", ID: guid(100 + n)} }
func policy(n int) entra.Ref { return entra.Ref{Type: "conditionalAccessPolicy", ID: guid(200 + n)} }

func canonical(t failer, raw string) entra.Body {
	t.Helper()
	b, err := entra.Canonical([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tenant is three users in two groups that a policy excludes.
func tenant(t failer) (map[entra.Ref]entra.Body, []entra.Link) {
	t.Helper()
	objects := map[entra.Ref]entra.Body{}
	var links []entra.Link
	for n := range 3 {
		objects[user(n)] = canonical(t, fmt.Sprintf(`{"displayName":"U","userPrincipalName":"u%d@x.example","mailNickname":"u","accountEnabled":true,"city":"a","createdDateTime":"x"}`, n))
	}
	for n := range 2 {
		objects[group(n)] = canonical(t, fmt.Sprintf(`{"displayName":"G%d","mailNickname":"g","mailEnabled":false,"securityEnabled":true}`, n))
		links = append(links, entra.Link{From: group(n), Rel: "members", To: user(n)}, entra.Link{From: group(n), Rel: "members", To: user(2)})
	}
	objects[policy(0)] = canonical(t, fmt.Sprintf(`{"displayName":"P","state":"enabled","conditions":{"users":{"excludeGroups":[%q],"excludeUsers":[%q,%q],"includeUsers":["All"]}}}`, guid(100), guid(0), guid(1)))
	return objects, links
}

func run(t failer, p *plan.Plan, goal, after snapshot.Tree, aliases map[entra.Ref]entra.Ref) []string {
	t.Helper()
	found, _, err := verify.Run(context.Background(), p, goal, after, aliases)
	if err != nil {
		t.Fatal(err)
	}
	return text(found)
}

func text(found []verify.Difference) []string {
	out := []string{}
	for _, d := range found {
		out = append(out, strings.TrimSpace(d.Ref.String()+" "+d.Field+": "+d.Reason))
	}
	return out
}

// TestBreakingOnePropertyNamesIt restores a tenant that lost something, breaks one thing, and wants exactly
// that to be named.
func TestBreakingOnePropertyNamesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		objects, links := tenant(t)
		goal := tree(objects, links)
		lost := maps.Clone(objects)
		gone := rapid.SampledFrom([]entra.Ref{user(0), user(2), group(0), group(1)}).Draw(t, "gone")
		delete(lost, gone)
		less := slices.DeleteFunc(slices.Clone(links), func(l entra.Link) bool { return l.From == gone || l.To == gone })
		base := tree(lost, less)
		var scope plan.Scope
		if rapid.Bool().Draw(t, "one object") {
			scope.Refs = []entra.Ref{gone}
		}
		p, err := plan.Make(context.Background(), base, goal, plan.Request{Scope: scope})
		if err != nil {
			t.Fatal(err)
		}
		// As the service has it afterwards: under a new ID, disabled if it is a user, created today.
		to := entra.Ref{Type: gone.Type, ID: guid(999)}
		ids := map[entra.ID]entra.ID{gone.ID: to.ID}
		now := map[entra.Ref]entra.Body{}
		for r, b := range objects {
			o := catalog.Rename(entra.Object{Ref: r, Body: b}, ids)
			if r == gone && r.Type == "user" {
				m := o.Body.Decode()
				m["accountEnabled"], m["createdDateTime"] = false, "y"
				if o.Body, err = entra.Encode(m); err != nil {
					t.Fatal(err)
				}
			}
			now[o.Ref] = o.Body
		}
		var held []entra.Link
		for _, l := range links {
			if l.From == gone {
				l.From = to
			}
			if l.To == gone {
				l.To = to
			}
			held = append(held, l)
		}
		aliases := map[entra.Ref]entra.Ref{gone: to}
		if got := run(t, p, goal, tree(now, held), aliases); len(got) > 0 {
			t.Fatalf("nothing is broken, got %q", got)
		}

		var want string
		switch rapid.IntRange(0, 3).Draw(t, "what breaks") {
		case 0:
			m := now[to].Decode()
			m["displayName"] = "other"
			body, err := entra.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			now[to] = body
			want = gone.String() + " displayName: it differs"
		case 1:
			i := slices.IndexFunc(held, func(l entra.Link) bool { return l.From == to || l.To == to })
			want = strings.ReplaceAll(held[i].From.String()+" members["+string(held[i].To.ID)+"]", string(to.ID), string(gone.ID)) + ": it held and does not"
			held = slices.Delete(held, i, i+1)
		case 2:
			delete(now, to)
			held = slices.DeleteFunc(held, func(l entra.Link) bool { return l.From == to || l.To == to })
			got := run(t, p, goal, tree(now, held), aliases)
			if !slices.Contains(got, gone.String()+" : it existed and does not") {
				t.Fatalf("%s is gone, got %q", gone, got)
			}
			return
		case 3:
			if gone != user(0) && gone != group(0) {
				return // the policy does not name it
			}
			// The policy still names what is gone.
			now[policy(0)] = objects[policy(0)]
			got := run(t, p, goal, tree(now, held), aliases)
			if len(got) != 1 || !strings.HasPrefix(got[0], policy(0).String()+" conditions.users.exclude") {
				t.Fatalf("the policy names what is gone, got %q", got)
			}
			return
		}
		if got := run(t, p, goal, tree(now, held), aliases); !slices.Equal(got, []string{want}) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// TestScope looks at what is outside the scope, what was announced, and what could not be read.
func TestScope(t *testing.T) {
	objects, links := tenant(t)
	goal := tree(objects, links)
	broken := maps.Clone(objects)
	broken[group(0)] = canonical(t, `{"displayName":"X","mailNickname":"x","mailEnabled":false,"securityEnabled":true}`)
	extra := maps.Clone(objects)
	extra[user(7)] = canonical(t, `{"displayName":"X"}`)
	without := maps.Clone(objects)
	delete(without, user(1))
	for _, tt := range []struct {
		name  string
		plan  plan.Plan
		after snapshot.Tree
		want  []string
	}{
		{"everything", plan.Plan{}, tree(broken, links), []string{group(0).String() + " displayName: it differs", group(0).String() + " mailNickname: it differs"}},
		{"another type", plan.Plan{Scope: plan.Scope{Types: []entra.Type{"user"}}}, tree(broken, links), nil},
		{"another object", plan.Plan{Scope: plan.Scope{Refs: []entra.Ref{group(1)}}}, tree(broken, links), nil},
		{"one field", plan.Plan{Scope: plan.Scope{Refs: []entra.Ref{group(0)}, Fields: []string{"mailNickname"}}}, tree(broken, links), []string{group(0).String() + " mailNickname: it differs"}},
		{"only links", plan.Plan{Scope: plan.Scope{Refs: []entra.Ref{group(0)}, Links: []string{"members"}}}, tree(broken, links), nil},
		{"one link", plan.Plan{Scope: plan.Scope{Refs: []entra.Ref{group(0)}, Links: []string{"members[" + string(guid(2)) + "]"}}}, tree(broken, links[2:]),
			[]string{group(0).String() + " members[" + string(guid(2)) + "]: it held and does not"}},
		{"an announced field", plan.Plan{Gaps: []plan.Gap{{Ref: group(0), Field: "createdDateTime, displayName"}}}, tree(broken, links), []string{group(0).String() + " mailNickname: it differs"}},
		{"an announced object", plan.Plan{Gaps: []plan.Gap{{Ref: group(0)}}}, tree(broken, links), nil},
		{"something more", plan.Plan{}, tree(extra, links), nil},
		{"something more, which was to go", plan.Plan{Scope: plan.Scope{Delete: true}}, tree(extra, links), []string{user(7).String() + " : it exists and did not"}},
		{"not read", plan.Plan{Scope: plan.Scope{Types: []entra.Type{"user"}}}, tree(without, links, "user"), []string{user(1).String() + " : it could not be read whether it exists"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := run(t, &tt.plan, goal, tt.after, nil); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A condition of consent that names an application which is gone stays, beside the one that was made in its place. Later
// both are there, and each is what it was.
func TestWhatWasReplacedMayStay(t *testing.T) {
	include := func(n int) entra.Ref {
		return entra.Ref{Type: "permissionGrantInclude", ID: entra.Join("p", guid(n))}
	}
	body := func(app int) entra.Body {
		return canonical(t, fmt.Sprintf(`{"clientApplicationIds":[%q],"permissionType":"delegated"}`, guid(app)))
	}
	objects := map[entra.Ref]entra.Body{
		{Type: "permissionGrantPolicy", ID: "p"}: canonical(t, `{"displayName":"P","description":"D","id":"p"}`),
		include(1):                               body(10), include(2): body(20),
	}
	goal := tree(objects, nil)
	lost := maps.Clone(objects)
	delete(lost, include(2))
	p, err := plan.Make(context.Background(), tree(lost, nil), goal, plan.Request{})
	if err != nil || len(p.Steps) != 1 {
		t.Fatalf("%v, %+v", err, p)
	}
	lost[include(3)] = body(20)
	aliases := map[entra.Ref]entra.Ref{include(1): include(3), include(2): include(3)}
	if found := run(t, p, goal, tree(lost, nil), aliases); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	delete(lost, include(3))
	if found := run(t, p, goal, tree(lost, nil), aliases); len(found) == 0 {
		t.Error("one is missing, and nobody says so")
	}
}

// What relates others and the service made anew by itself is the same under another ID.
func TestWhatTheServiceMadeIsRecognised(t *testing.T) {
	body := canonical(t, fmt.Sprintf(`{"principalId":%q,"roleDefinitionId":%q,"directoryScopeId":"/"}`, user(0).ID, guid(7)))
	objects, links := tenant(t)
	objects[entra.Ref{Type: "unifiedRoleAssignment", ID: "a"}] = body
	goal := tree(objects, links)
	p, err := plan.Make(context.Background(), goal, goal, plan.Request{})
	if err != nil {
		t.Fatal(err)
	}
	delete(objects, entra.Ref{Type: "unifiedRoleAssignment", ID: "a"})
	if found := run(t, p, goal, tree(objects, links), nil); len(found) == 0 {
		t.Error("it is missing, and nobody says so")
	}
	objects[entra.Ref{Type: "unifiedRoleAssignment", ID: "b"}] = body
	found, came, err := verify.Run(context.Background(), p, goal, tree(objects, links), nil)
	if err != nil || len(found) > 0 || came[entra.Ref{Type: "unifiedRoleAssignment", ID: "a"}].ID != "b" {
		t.Errorf("found %v, came %v, %v", found, came, err)
	}
}
