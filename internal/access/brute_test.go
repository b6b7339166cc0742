package access_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/access"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A tenancy is a random tenant as the documents that Graph gives out, and what brute looks at: everything.
type tenancy struct {
	random   *rand.Rand
	users    map[string]map[string]any
	groups   []string
	members  map[string][]string // of a group, groups among them
	roles    []string
	given    [][3]string // role, principal, scope
	places   map[string]bool
	defaults bool
	policies []map[string]any
}

const (
	exchange = "00000002-0000-0ff1-ce00-000000000000"
	portal   = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"
)

// some picks up to most of the values; with a chance of one in rare, else none.
func (x *tenancy) some(rare, most int, from ...string) []string {
	if x.random.IntN(rare) > 0 {
		return nil
	}
	var all []string
	for _, i := range x.random.Perm(len(from))[:1+x.random.IntN(min(most, len(from)))] {
		all = append(all, from[i])
	}
	return all
}

func (x *tenancy) one(from ...string) string { return from[x.random.IntN(len(from))] }

func newTenancy(seed uint64) *tenancy {
	x := &tenancy{random: rand.New(rand.NewPCG(seed, 1)), users: map[string]map[string]any{}, members: map[string][]string{}, places: map[string]bool{}}
	names := []string{"u1", "u2", "u3", "u4", "u5", "u6"}
	for _, u := range names {
		body := map[string]any{"accountEnabled": true, "userType": x.one("Member", "Member", "Guest"), "userPrincipalName": u + x.one("@contoso.example", "@contoso.example", "_fabrikam.example#EXT#@contoso.example")}
		if x.random.IntN(8) == 0 {
			delete(body, "userType") // an account from before there were guests
		}
		x.users[u] = body
	}
	x.groups, x.roles = []string{"g1", "g2", "g3", "g4", "g5"}, []string{"r1", "r2", "r3"}
	for i, g := range x.groups {
		x.members[g] = append(x.some(2, 3, names...), x.some(2, 2, x.groups...)...) // a circle is possible
		if i > 0 && x.random.IntN(2) == 0 {
			x.members[x.groups[i-1]] = append(x.members[x.groups[i-1]], g) // and so is a long chain
		}
	}
	for range x.random.IntN(6) {
		x.given = append(x.given, [3]string{x.one(x.roles...), x.one(append(slices.Clone(names), x.groups...)...), x.one("/", "/", "/administrativeUnits/a")})
	}
	for _, l := range []string{"l1", "l2", "l3"} {
		x.places[l] = x.random.IntN(2) == 0
	}
	x.defaults = x.random.IntN(10) == 0
	for i := range 1 + x.random.IntN(8) {
		x.policies = append(x.policies, x.policy(fmt.Sprint("p", i), names))
	}
	return x
}

// policy makes a policy with few conditions, so that some match.
func (x *tenancy) policy(name string, users []string) map[string]any {
	scope := map[string]any{
		"includeUsers": x.some(1, 2, append([]string{"All", "All", "None", "GuestsOrExternalUsers"}, users...)...), "excludeUsers": x.some(3, 2, append([]string{"GuestsOrExternalUsers"}, users...)...),
		"includeGroups": x.some(2, 2, x.groups...), "excludeGroups": x.some(3, 2, x.groups...),
		"includeRoles": x.some(3, 2, x.roles...), "excludeRoles": x.some(4, 2, x.roles...),
	}
	for _, guests := range []struct {
		side string
		rare int
	}{{"includeGuestsOrExternalUsers", 4}, {"excludeGuestsOrExternalUsers", 5}} { // in this order, or a seed is not the same tenancy twice
		side, rare := guests.side, guests.rare
		if kinds := x.some(rare, 3, "internalGuest", "b2bCollaborationGuest", "b2bCollaborationMember", "b2bDirectConnectUser"); kinds != nil {
			scope[side] = map[string]any{"guestOrExternalUserTypes": strings.Join(kinds, ",")}
		}
	}
	apps := map[string]any{"includeApplications": []string{"All"}}
	switch x.random.IntN(8) {
	case 0:
		apps = map[string]any{"includeUserActions": []string{"urn:user:registerdevice"}}
	case 1:
		apps = map[string]any{"includeAuthenticationContextClassReferences": x.some(1, 2, "c1", "c2")}
	case 2, 3:
		apps["includeApplications"] = x.some(1, 3, "a1", "a2", "Office365", "MicrosoftAdminPortals", exchange)
	case 4:
		apps["includeApplications"] = []string{"None"}
	}
	if apps["includeApplications"] != nil {
		apps["excludeApplications"] = x.some(3, 2, "a1", "a2", "Office365", portal)
	}
	conditions := map[string]any{"users": scope, "applications": apps,
		"clientAppTypes": x.some(3, 2, "all", "browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "other"),
		"userRiskLevels": x.some(8, 2, "low", "medium", "high"), "signInRiskLevels": x.some(8, 3, "low", "medium", "high", "none")}
	if in, out := x.some(3, 2, "All", "AllTrusted", "l1", "l2", "l3"), x.some(3, 2, "AllTrusted", "l1", "l2", "l3"); in != nil || out != nil {
		conditions["locations"] = map[string]any{"includeLocations": in, "excludeLocations": out}
	}
	if in, out := x.some(4, 2, "all", "windows", "iOS", "android"), x.some(5, 2, "windows", "iOS"); in != nil || out != nil {
		conditions["platforms"] = map[string]any{"includePlatforms": in, "excludePlatforms": out}
	}
	if levels := x.some(9, 2, "minor", "moderate", "elevated"); levels != nil {
		conditions["insiderRiskLevels"] = strings.Join(levels, ",")
	}
	if flows := x.some(9, 2, "deviceCodeFlow", "authenticationTransfer"); flows != nil {
		conditions["authenticationFlows"] = map[string]any{"transferMethods": strings.Join(flows, ",")}
	}
	p := map[string]any{"displayName": name, "state": x.one("enabled", "enabled", "enabled", "disabled", "enabledForReportingButNotEnforced"), "conditions": conditions}
	switch x.random.IntN(6) {
	case 0:
		p["grantControls"] = map[string]any{"operator": "OR", "builtInControls": []string{"block"}}
	case 1:
		p["sessionControls"] = map[string]any{"signInFrequency": map[string]any{"isEnabled": true, "value": 4, "type": "hours"}}
	default:
		grant := map[string]any{"operator": x.one("AND", "OR"), "builtInControls": x.some(1, 3, "mfa", "compliantDevice", "domainJoinedDevice", "approvedApplication"), "termsOfUse": x.some(5, 2, "t1", "t2"),
			"customAuthenticationFactors": x.some(7, 1, "f1")}
		if x.random.IntN(4) == 0 {
			grant["authenticationStrength"] = map[string]any{"id": "s1"}
			grant["builtInControls"] = x.some(2, 1, "compliantDevice")
		}
		p["grantControls"] = grant
	}
	return p
}

func (x *tenancy) view(t *testing.T) *access.View {
	t.Helper()
	var objects []entra.Object
	var links []entra.Link
	for id, body := range x.users {
		objects = append(objects, object(t, catalog.UserType, id, body))
	}
	for _, g := range x.groups {
		objects = append(objects, object(t, catalog.GroupType, g, nil))
		for _, m := range x.members[g] {
			to := user(m)
			if m[0] == 'g' {
				to = group(m)
			}
			if l := member(group(g), to); !slices.Contains(links, l) {
				links = append(links, l)
			}
		}
	}
	for _, r := range x.roles {
		objects = append(objects, object(t, catalog.RoleType, r, map[string]any{"templateId": r}))
	}
	for i, g := range x.given {
		objects = append(objects, object(t, held, fmt.Sprint(i), map[string]any{"roleDefinitionId": g[0], "principalId": g[1], "directoryScopeId": g[2]}))
	}
	for l, trusted := range x.places {
		objects = append(objects, object(t, catalog.LocationType, l, map[string]any{"@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": trusted}))
	}
	objects = append(objects, object(t, defaults, "-", map[string]any{"isEnabled": x.defaults}))
	for _, p := range x.policies {
		objects = append(objects, object(t, catalog.PolicyType, p["displayName"].(string), p))
	}
	return open(t, complete(), objects, links...)
}

// closure is everyone in each group: membership is spread until nothing is added any more.
func (x *tenancy) closure() map[string]map[string]bool {
	in := map[string]map[string]bool{}
	for _, g := range x.groups {
		in[g] = map[string]bool{}
	}
	for grown := true; grown; {
		grown = false
		for _, g := range x.groups {
			for _, m := range x.members[g] {
				all := map[string]bool{m: true}
				for inner := range in[m] {
					all[inner] = true
				}
				for one := range all {
					grown = grown || !in[g][one]
					in[g][one] = true
				}
			}
		}
	}
	return in
}

// list reads strings at a path of a document: an array, or words with commas between them.
func list(doc map[string]any, path ...string) []string {
	for _, p := range path[:len(path)-1] {
		doc, _ = doc[p].(map[string]any)
	}
	switch v := doc[path[len(path)-1]].(type) {
	case []string:
		return v
	case string:
		return strings.Split(v, ",")
	}
	return nil
}

func has(list []string, any ...string) bool {
	for _, a := range any {
		if a != "" && slices.Contains(list, a) {
			return true
		}
	}
	return false
}

// picks says whether a side of a policy, "include" or "exclude", is about someone.
func (x *tenancy) picks(p map[string]any, side, who string, in map[string]map[string]bool) bool {
	kind, _ := x.users[who]["userType"].(string)
	guest, outside := kind == "Guest", strings.Contains(x.users[who]["userPrincipalName"].(string), "#EXT#")
	at := func(rest ...string) []string { return list(p, append([]string{"conditions", "users"}, rest...)...) }
	if has(at(side+"Users"), "All", who) || guest && has(at(side+"Users"), "GuestsOrExternalUsers") {
		return true
	}
	for _, g := range at(side + "Groups") {
		if in[g][who] {
			return true
		}
	}
	for _, given := range x.given { // roles over a part of the tenant do not count
		if given[2] == "/" && has(at(side+"Roles"), given[0]) && (given[1] == who || in[given[1]][who]) {
			return true
		}
	}
	sort := map[[2]bool]string{{true, false}: "internalGuest", {true, true}: "b2bCollaborationGuest", {false, true}: "b2bCollaborationMember"}
	return has(at(side+"GuestsOrExternalUsers", "guestOrExternalUserTypes"), sort[[2]bool{guest, outside}])
}

// matches says whether a policy's conditions fit the circumstances of a sign-in.
func (x *tenancy) matches(p map[string]any, w access.Where) bool {
	at := func(rest ...string) []string { return list(p, append([]string{"conditions"}, rest...)...) }
	// A condition that is not there fits everything.
	fits := func(values []string, any ...string) bool { return len(values) == 0 || has(values, any...) }
	suites := map[string]string{exchange: "Office365", portal: "MicrosoftAdminPortals"}
	switch {
	case w.Action != "":
		if !has(at("applications", "includeUserActions"), w.Action) {
			return false
		}
	case w.Context != "":
		if !has(at("applications", "includeAuthenticationContextClassReferences"), w.Context) {
			return false
		}
	default:
		if !has(at("applications", "includeApplications"), "All", w.App, suites[w.App]) || has(at("applications", "excludeApplications"), w.App, suites[w.App]) {
			return false
		}
	}
	trusted := ""
	if x.places[string(w.Place)] {
		trusted = "AllTrusted"
	}
	client, user, sign := w.Client, w.UserRisk, w.SignInRisk
	for value, otherwise := range map[*string]string{&client: "browser", &user: "none", &sign: "none"} {
		if *value == "" {
			*value = otherwise
		}
	}
	return fits(at("locations", "includeLocations"), "All", string(w.Place), trusted) && !has(at("locations", "excludeLocations"), string(w.Place), trusted) &&
		fits(at("platforms", "includePlatforms"), "all", w.Platform) && !has(at("platforms", "excludePlatforms"), w.Platform) &&
		fits(at("clientAppTypes"), "all", client) && fits(at("userRiskLevels"), user) && fits(at("signInRiskLevels"), sign) &&
		fits(at("insiderRiskLevels"), w.Insider) && fits(at("authenticationFlows", "transferMethods"), w.Flow)
}

// brute evaluates every policy against its documentation.
func (x *tenancy) brute(who string, w access.Where, in map[string]map[string]bool) (blocked bool, needs, by []string) {
	demand := map[string]bool{}
	if x.defaults {
		demand["mfa"] = true
		by = append(by, "-")
	}
	for _, p := range x.policies {
		if p["state"] != "enabled" || !x.picks(p, "include", who, in) || x.picks(p, "exclude", who, in) || !x.matches(p, w) {
			continue
		}
		by = append(by, p["displayName"].(string))
		grant, _ := p["grantControls"].(map[string]any)
		asked := slices.Clone(list(p, "grantControls", "builtInControls"))
		if has(asked, "block") {
			blocked = true
			continue
		}
		for _, one := range list(p, "grantControls", "termsOfUse") {
			asked = append(asked, "termsOfUse:"+one)
		}
		for _, one := range list(p, "grantControls", "customAuthenticationFactors") {
			asked = append(asked, "custom:"+one)
		}
		for _, one := range list(p, "grantControls", "authenticationStrength", "id") {
			asked = append(asked, "strength:"+one)
		}
		slices.Sort(asked)
		if grant["operator"] == "OR" && len(asked) > 0 {
			asked = []string{strings.Join(asked, " or ")}
		}
		for _, a := range asked {
			demand[a] = true
		}
	}
	for d := range demand {
		needs = append(needs, d)
	}
	slices.Sort(needs)
	slices.Sort(by)
	return blocked, needs, by
}

// TestVerdictBrute evaluates a thousand sets of policies twice: by the package, and from the documents by looking at
// everything. They agree on who is blocked, what is asked and by which policies.
func TestVerdictBrute(t *testing.T) {
	sets, compared, blocks, demands := 1000, 0, 0, 0
	reached := map[string]int{}
	for seed := range uint64(sets) {
		x := newTenancy(seed)
		v, in := x.view(t), x.closure()
		for range 8 {
			w := access.Where{App: x.one("", "a1", "a2", exchange, portal), Place: entra.ID(x.one("", "l1", "l2", "l3")), Platform: x.one("", "windows", "iOS", "android"),
				Client: x.one("", "browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "other"), UserRisk: x.one("", "", "low", "high"), SignInRisk: x.one("", "", "medium", "high"),
				Insider: x.one("", "", "elevated"), Flow: x.one("", "", "deviceCodeFlow")}
			switch x.random.IntN(8) {
			case 0:
				w.App, w.Action = "", "urn:user:registerdevice"
			case 1:
				w.App, w.Context = "", x.one("c1", "c2")
			}
			for who := range x.users {
				d, err := v.Verdict(t.Context(), user(who), w)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, r := range d.By {
					got = append(got, string(r.ID))
				}
				slices.Sort(got)
				blocked, needs, by := x.brute(who, w, in)
				if d.Blocked != blocked || !slices.Equal(d.Needs, needs) || !slices.Equal(got, by) || len(d.Unknown) > 0 || d.MayBlock {
					t.Fatalf("seed %d: %s at %+v: blocked %v needs %q by %q unknown %q; want blocked %v needs %q by %q", seed, who, w, d.Blocked, d.Needs, got, d.Unknown, blocked, needs, by)
				}
				compared++
				if blocked {
					blocks++
				}
				if len(needs) > 0 {
					demands++
				}
				for _, p := range by {
					reached[p]++
				}
			}
		}
	}
	t.Logf("seeds 0 to %d: %d verdicts, %d with a block, %d with a demand", sets-1, compared, blocks, demands)
	if compared < 40*sets || blocks < sets || demands < 8*sets {
		t.Error("too little was reached")
	}
	if len(reached) < 8 {
		t.Errorf("only %v reached someone", reached)
	}
}
