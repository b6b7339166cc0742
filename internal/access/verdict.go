package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Where is the circumstances of a sign-in. The zero Where is an ordinary one: an application that no policy
// names, from outside every named location, in a browser on a platform that no policy names, without risk.
type Where struct {
	App        string   // appId, "Office365" or "MicrosoftAdminPortals"
	Action     string   // a user action instead of an application: "urn:user:registerdevice"
	Context    string   // an authentication context instead of an application: "c1"
	Place      entra.ID // a named location
	Platform   string   // "windows", "iOS", ...
	Client     string   // "browser", "mobileAppsAndDesktopClients", ...; "" is a browser
	UserRisk   string   // "low", "medium", "high"; "" is none
	SignInRisk string
	Insider    string // insider risk: "minor", "moderate", "elevated"
	Flow       string // "deviceCodeFlow", "authenticationTransfer"
}

// A Verdict is what the policies in force ask of someone.
type Verdict struct {
	Blocked bool
	By      []entra.Ref // the policies that apply, and security defaults, ascending
	// Needs are the demands, all of which must be met, ascending: "mfa", "compliantDevice", "strength:ID",
	// "termsOfUse:ID", "custom:ID", or alternatives joined by " or ".
	Needs []string
	// Unknown says what could not be decided, in words. Where there is any, neither Blocked nor Needs is all.
	Unknown []string
	// MayBlock says that a policy that could not be decided blocks, or that policies were not read.
	MayBlock bool
}

// Verdict evaluates every policy that is in force for a user or a service principal. Policies that are
// report-only or disabled ask for nothing.
func (v *View) Verdict(ctx context.Context, who entra.Ref, w Where) (Verdict, error) {
	var d Verdict
	there, err := v.Exists(ctx, who)
	if err != nil {
		return d, err
	}
	if there != Yes {
		d.Unknown = append(d.Unknown, fmt.Sprintf("%s is not in the snapshot", who))
		return d, nil
	}
	if !v.Known(catalog.PolicyType, "") {
		d.MayBlock = true
		d.Unknown = append(d.Unknown, title(catalog.PolicyType)+" were not read completely")
	}
	for _, p := range v.policies {
		if p.State != catalog.Enabled {
			continue
		}
		about, why, err := v.about(ctx, p.AccessPolicy, who)
		if err != nil {
			return Verdict{}, err
		}
		when, reason := v.when(p.AccessPolicy, w, who.Type == catalog.ServicePrincipalType)
		switch and(about, when) {
		case Yes:
			d.By = append(d.By, p.Ref)
			if p.Blocks() {
				d.Blocked = true
			}
			d.Needs = append(d.Needs, Demands(p.AccessPolicy)...)
		case Unknown:
			if about == Yes {
				why = reason
			}
			d.MayBlock = d.MayBlock || p.Blocks()
			d.Unknown = append(d.Unknown, fmt.Sprintf("policy %q: %s", p.Name, why))
		}
	}
	if who.Type == catalog.UserType {
		on, is := v.Defaults()
		if on {
			d.By = append(d.By, v.defaults...)
			d.Needs = append(d.Needs, "mfa")
		} else if !is {
			d.Unknown = append(d.Unknown, "whether security defaults are on")
		}
	}
	slices.SortFunc(d.By, entra.Ref.Compare)
	slices.Sort(d.Needs)
	d.Needs = slices.Compact(d.Needs)
	return d, nil
}

// Demands returns what a policy asks for where it lets people through: each must be met. Alternatives are
// one entry, joined by " or ". A policy that blocks demands nothing.
func Demands(p catalog.AccessPolicy) []string {
	if p.Blocks() {
		return nil
	}
	all := slices.Clone(p.Controls)
	if p.Strength != "" {
		all = append(all, "strength:"+string(p.Strength))
	}
	for _, t := range p.Terms {
		all = append(all, "termsOfUse:"+t)
	}
	for _, c := range p.Custom {
		all = append(all, "custom:"+c)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if p.Any && len(all) > 1 {
		return []string{strings.Join(all, " or ")}
	}
	return all
}

// A Reach is a policy in force that is about someone, whatever the circumstances of the sign-in.
type Reach struct {
	Policy
	Sure bool   // else it could not be decided
	Why  string // what could not be decided
}

// Reached returns the policies in force that are, or may be, about someone, ascending by ref. A policy that
// can match no sign-in, because it names no application, is left out.
func (v *View) Reached(ctx context.Context, who entra.Ref) ([]Reach, error) {
	var all []Reach
	for _, p := range v.policies {
		if p.State != catalog.Enabled || idle(p.AccessPolicy) {
			continue
		}
		about, why, err := v.about(ctx, p.AccessPolicy, who)
		if err != nil {
			return nil, err
		}
		if about != No {
			all = append(all, Reach{p, about == Yes, why})
		}
	}
	return all, nil
}

// idle reports whether a policy has no target: no sign-in can match it.
func idle(p catalog.AccessPolicy) bool {
	return len(p.Actions) == 0 && len(p.Contexts) == 0 && p.AppRule == "" &&
		(len(p.Apps.Include) == 0 || slices.Equal(p.Apps.Include, []string{"None"}))
}

// about says whether a policy is about someone, whatever its state and the circumstances, and if that is not
// known what could not be decided.
func (v *View) about(ctx context.Context, p catalog.AccessPolicy, who entra.Ref) (Truth, string, error) {
	if who.Type == catalog.ServicePrincipalType {
		in := truth(fold(p.Workloads.Include, string(who.ID)) || fold(p.Workloads.Include, "ServicePrincipalsInMyTenant"))
		if p.WorkRule != "" { // it may include or exclude; the attributes it looks at are not evaluated
			in = and(in, Unknown)
		}
		return and(in, truth(!fold(p.Workloads.Exclude, string(who.ID)))), "its filter on service principals", nil
	}
	if who.Type != catalog.UserType {
		return No, "", nil
	}
	o, err := v.tree.Object(ctx, who)
	if errors.Is(err, fs.ErrNotExist) {
		return Unknown, who.String() + " is not in the snapshot", nil
	}
	if err != nil {
		return Unknown, "", fmt.Errorf("read %s: %w", who, err)
	}
	person := v.person(o)
	out, whyOut, err := v.picked(ctx, person, p.Users.Users.Exclude, p.Users.Groups.Exclude, p.Users.Roles.Exclude, p.Users.Except)
	if err != nil || out == Yes {
		return No, "", err
	}
	in, whyIn, err := v.picked(ctx, person, p.Users.Users.Include, p.Users.Groups.Include, p.Users.Roles.Include, p.Users.Guests)
	if err != nil {
		return Unknown, "", err
	}
	if in == Unknown {
		return Unknown, whyIn, nil
	}
	return and(in, not(out)), whyOut, nil
}

// picked says whether one side of a policy's scope picks someone. The words are read without regard to
// case, as are IDs, because the service returns GUIDs in lower case but people write them as they like.
func (v *View) picked(ctx context.Context, who person, users, groups, roles []string, guests catalog.Guests) (Truth, string, error) {
	if fold(users, "All") || fold(users, string(who.ref.ID)) {
		return Yes, "", nil
	}
	answer, why := No, ""
	add := func(t Truth, reason string) bool {
		answer = or(answer, t)
		if t == Unknown && why == "" {
			why = reason
		}
		return answer == Yes
	}
	if fold(users, "GuestsOrExternalUsers") && add(who.guest, "whether the user is a guest") {
		return Yes, "", nil
	}
	for _, g := range groups {
		group := entra.Ref{Type: catalog.GroupType, ID: entra.ID(g)}
		in, err := v.Inside(ctx, who.ref, group)
		if err != nil {
			return Unknown, "", err
		}
		if add(in, "who is in "+group.String()) {
			return Yes, "", nil
		}
	}
	for _, r := range roles {
		has, err := v.holds(ctx, who.ref, entra.ID(r))
		if err != nil {
			return Unknown, "", err
		}
		if add(has, "who holds role "+r) {
			return Yes, "", nil
		}
	}
	if len(guests.Kinds) > 0 {
		kind := No
		for _, k := range guests.Kinds {
			kind = or(kind, who.kind(k))
		}
		if kind != No && len(guests.Tenants) > 0 {
			kind = Unknown // the object does not say which tenant a guest comes from
		}
		add(kind, "what sort of guest the user is")
	}
	return answer, why, nil
}

// A person is a user as policies see one.
type person struct {
	ref      entra.Ref
	guest    Truth
	external Truth // signs in with an account of another tenant
}

// person reads the properties that Microsoft's documentation of guest and external user types goes by.
func (v *View) person(o entra.Object) person {
	p := person{ref: o.Ref}
	part := v.tree.Snapshot().Part(o.Ref.Type, "")
	m := o.Body.Decode()
	if kind, ok := m["userType"].(string); ok {
		p.guest = truth(strings.EqualFold(kind, "Guest"))
	} else if part.Asks("userType") {
		p.guest = No // accounts from before the property existed are members
	}
	name, _ := m["userPrincipalName"].(string)
	_, invited := m["externalUserState"]
	made, _ := m["creationType"].(string)
	switch {
	case invited, strings.EqualFold(made, "Invitation"), strings.Contains(strings.ToUpper(name), "#EXT#"):
		p.external = Yes
	case name != "":
		p.external = No
	}
	return p
}

func (p person) kind(k string) Truth {
	switch strings.ToLower(k) {
	case "internalguest":
		return and(p.guest, not(p.external))
	case "b2bcollaborationguest":
		return and(p.guest, p.external)
	case "b2bcollaborationmember":
		return and(not(p.guest), p.external)
	case "b2bdirectconnectuser", "serviceprovider", "none":
		return No // these have no user object here
	case "otherexternaluser":
		if p.external == No {
			return No
		}
		return Unknown
	}
	return Unknown
}

// when says whether the circumstances match, and what could not be decided.
func (v *View) when(p catalog.AccessPolicy, w Where, workload bool) (Truth, string) {
	answer, why := v.target(p, w), ""
	if answer == Unknown {
		why = "its filter on applications"
	}
	add := func(t Truth, reason string) {
		answer = and(answer, t)
		if t == Unknown && why == "" {
			why = reason
		}
	}
	add(v.place(p.Locations, w.Place), "a named location it refers to is not in the snapshot")
	if workload {
		add(truth(len(p.WorkRisk) == 0), "")
		return answer, why
	}
	if len(p.Platforms.Include) > 0 {
		add(truth(listed(p.Platforms.Include, w.Platform, "all")), "")
	}
	add(truth(!listed(p.Platforms.Exclude, w.Platform, "all")), "")
	client := w.Client
	if client == "" {
		client = "browser"
	}
	add(truth(len(p.Clients) == 0 || listed(p.Clients, client, "all")), "")
	if p.DeviceRule != "" {
		add(Unknown, "its filter on devices")
	}
	add(truth(len(p.UserRisk) == 0 || fold(p.UserRisk, orNone(w.UserRisk))), "")
	add(truth(len(p.SignInRisk) == 0 || fold(p.SignInRisk, orNone(w.SignInRisk))), "")
	add(truth(len(p.InsiderRisk) == 0 || fold(p.InsiderRisk, w.Insider)), "")
	add(truth(len(p.Flows) == 0 || fold(p.Flows, w.Flow)), "")
	return answer, why
}

func orNone(risk string) string {
	if risk == "" {
		return "none"
	}
	return risk
}

func listed(list []string, value, all string) bool {
	return fold(list, all) || value != "" && fold(list, value)
}

func (v *View) target(p catalog.AccessPolicy, w Where) Truth {
	switch {
	case w.Action != "":
		return truth(fold(p.Actions, w.Action))
	case w.Context != "":
		return truth(fold(p.Contexts, w.Context))
	}
	if appListed(p.Apps.Exclude, w.App) {
		return No
	}
	in := truth(appListed(p.Apps.Include, w.App))
	if p.AppRule != "" { // it may include or exclude; the attributes of applications are not evaluated
		return Unknown
	}
	return in
}

func appListed(list []string, app string) bool {
	if listed(list, app, "All") {
		return true
	}
	return slices.ContainsFunc(list, func(s string) bool { return suite(s, app) })
}

// suite reports whether a group of Microsoft applications has one. Only the applications that Microsoft's
// documentation lists under it by a fixed ID are known.
func suite(name, app string) bool {
	switch strings.ToLower(name) {
	case "office365":
		return fold([]string{
			"00000002-0000-0ff1-ce00-000000000000", // Exchange Online
			"00000003-0000-0ff1-ce00-000000000000", // SharePoint Online
			"00000004-0000-0ff1-ce00-000000000000", // Skype for Business Online
			"cc15fd57-2c6c-4117-a88c-83b1d56b4bbe", // Teams
			"00000005-0000-0ff1-ce00-000000000000", // Yammer
		}, app)
	case "microsoftadminportals":
		return strings.EqualFold(app, "c44b4083-3bb0-49c1-b47d-974e53cbdf3c") // the Azure portal
	}
	return false
}

// zero is the ID by which policies mean the trusted addresses of the old multifactor settings. They are no
// named location, so whoever is in one, or outside all, is not taken to be there.
const zero = "00000000-0000-0000-0000-000000000000"

func (v *View) place(f catalog.Filter, at entra.ID) Truth {
	in := Yes
	if len(f.Include) > 0 {
		in = v.standing(f.Include, at)
	}
	return and(in, not(v.standing(f.Exclude, at)))
}

func (v *View) standing(list []string, at entra.ID) Truth {
	answer := No
	for _, id := range list {
		here := No
		_, there := v.places[entra.ID(id)]
		switch {
		case strings.EqualFold(id, "All"):
			here = Yes
		case strings.EqualFold(id, "AllTrusted"):
			if p, ok := v.places[at]; ok {
				here = truth(p.Trusted)
			} else if at != "" {
				here = Unknown
			}
		case at != "" && strings.EqualFold(id, string(at)):
			here = Yes
		case id == zero:
		case !there:
			here = Unknown // the policy means a location that nobody knows any more
		}
		answer = or(answer, here)
	}
	return answer
}
