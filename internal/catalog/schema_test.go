package catalog_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A schema is a digest of the metadata that Microsoft publishes of Microsoft Graph v1.0.
type schema struct {
	Roots map[string]string
	Bound []string          // "TYPE/FUNCTION", with "[]" before the type where it is bound to a collection
	Gives map[string]string // what such a function gives that does not give what it is bound to
	Types map[string]struct {
		Base       string
		Open       bool
		Properties map[string]string
		Navigation map[string]string
	}
}

func readSchema(t *testing.T) schema {
	raw, err := os.ReadFile("testdata/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// member finds what a member of a type, of what it derives from, or of what derives from it, is.
func (s schema) member(of, name string) (string, bool) {
	if t, ok := s.up(of, name); ok {
		return t, true
	}
	for d, def := range s.Types {
		if def.Base != of {
			continue
		}
		if t, ok := s.member(d, name); ok {
			return t, true
		}
	}
	return "", false
}

func (s schema) up(of, name string) (string, bool) {
	for t := of; t != ""; t = s.Types[t].Base {
		if p, ok := s.Types[t].Properties[name]; ok {
			return p, true
		}
		if p, ok := s.Types[t].Navigation[name]; ok {
			return p, true
		}
	}
	return "", false
}

func (s schema) is(t, base string) bool {
	for ; t != ""; t = s.Types[t].Base {
		if t == base {
			return true
		}
	}
	return false
}

// path finds what a path leads to; it starts at a root.
func (s schema) path(path string) (string, bool) {
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	at, ok := s.Roots[names[0]]
	for _, name := range names[1:] {
		if !ok {
			return "", false
		}
		element, many := strings.CutPrefix(at, "[]")
		switch {
		case strings.HasPrefix(name, "{"):
			at, ok = element, many
		case strings.HasSuffix(name, "()"):
			at, ok = s.Gives[at+"/"+strings.TrimPrefix(strings.TrimSuffix(name, "()"), "microsoft.graph.")]
		case strings.HasPrefix(name, "microsoft.graph."):
			to := strings.TrimPrefix(name, "microsoft.graph.")
			ok = s.is(to, element)
			at = strings.TrimSuffix(at, element) + to
		case slices.Contains(s.Bound, at+"/"+name):
		default:
			for t := element; t != ""; t = s.Types[t].Base {
				if slices.Contains(s.Bound, strings.TrimSuffix(at, element)+t+"/"+name) {
					return at, true
				}
			}
			if many {
				return "", false
			}
			at, ok = s.up(at, name)
		}
	}
	return at, ok
}

// outside holds what v1.0's metadata does not have, with the reason why the catalog has it all the same.
func outside() map[string]string {
	return map[string]string{
		"cloudFirewallRule.@odata.type":                                      "annotation that tells the variants apart",
		"fraudProtectionProvider.@odata.type":                                "annotation that tells the variants apart",
		"webApplicationFirewallProvider.@odata.type":                         "annotation that tells the variants apart",
		"filteringRule.@odata.type":                                          "annotation that tells the variants apart",
		"forwardingPolicyLink.@odata.type":                                   "annotation that tells the variants apart",
		"forwardingRule.@odata.type":                                         "annotation that tells the variants apart",
		"policyLink.@odata.type":                                             "annotation that tells the variants apart",
		"threatIntelligenceRule.@odata.type":                                 "annotation that tells the variants apart",
		"tlsInspectionRule.@odata.type":                                      "annotation that tells the variants apart",
		"namedLocation.@odata.type":                                          "annotation that tells the variants apart",
		"deletedNamedLocation.@odata.type":                                   "annotation that tells the variants apart",
		"authenticationMethodConfiguration.@odata.type":                      "annotation that tells the variants apart",
		"authenticationMethod.@odata.type":                                   "annotation that tells the variants apart",
		"device.extensionAttributes":                                         "documented for updates, and answers have it",
		"deletedCrossTenantAccessPolicyConfigurationPartner.deletedDateTime": "beta has it",
		"deletedCrossTenantIdentitySyncPolicyPartner.deletedDateTime":        "beta has it",
		"user.@odata.type":                                                   "annotation that tells what is more special",
		"deletedUser.@odata.type":                                            "annotation that tells what is more special",
		"application.@odata.type":                                            "annotation that tells what is more special",
		"deletedApplication.@odata.type":                                     "annotation that tells what is more special",
		"servicePrincipal.@odata.type":                                       "annotation that tells what is more special",
		"deletedServicePrincipal.@odata.type":                                "annotation that tells what is more special",
		"customCalloutExtension.@odata.type":                                 "annotation that tells the variants apart",
		"identityProviderBase.@odata.type":                                   "annotation that tells the variants apart",
		"customAuthenticationExtension.@odata.type":                          "annotation that tells the variants apart",
		"authenticationCombinationConfiguration.@odata.type":                 "annotation that tells the variants apart",
		"authenticationEventListener.@odata.type":                            "annotation that tells the variants apart",
		"authenticationEventListener.handler.attributes[].id":                "handlers of one kind have it",
		"authenticationEventListener.handler.identityProviders[].id":         "handlers of one kind have it",
		"authenticationEventListener.handler.customExtension.id":             "handlers of each kind have one of another type",
		"unifiedRoleManagementAlertConfiguration.@odata.type":                "annotation that tells the variants apart",
		"authenticationEventsFlow.@odata.type":                               "annotation that tells the variants apart",
		"synchronizationJob.isActive":                                        "made of the state in its schedule",
		"synchronizationJob.secrets":                                         "kept beside the jobs",
		"servicePrincipal.createdDateTime":                                   "answers have it; the metadata has it on derived types only",
		"deletedServicePrincipal.createdDateTime":                            "answers have it; the metadata has it on derived types only",
		"servicePrincipal.samlMetadataUrl":                                   "answers of some tenants have it",
		"deletedServicePrincipal.samlMetadataUrl":                            "answers of some tenants have it",
		"oAuth2PermissionGrant.startTime":                                    "beta, and seen in v1.0 answers",
		"oAuth2PermissionGrant.expiryTime":                                   "beta, and seen in v1.0 answers",
		"unifiedRoleEligibilitySchedule.startDateTime":                       "scheduleInfo has it",
		"unifiedRoleAssignmentSchedule.startDateTime":                        "scheduleInfo has it",
		"privilegedAccessGroupEligibilitySchedule.startDateTime":             "scheduleInfo has it",
		"privilegedAccessGroupAssignmentSchedule.startDateTime":              "scheduleInfo has it",
	}
}

// unpublished holds the types that the metadata does not have, with what says that there are such.
func unpublished() map[entra.Type]string {
	return map[entra.Type]string{
		"identityProtectionPolicy": "Microsoft's own configuration tool reads and writes it",
		"enrichedAuditLogs":        "the metadata and the reference had it once",
		"synchronizationSecrets":   "the metadata has it as a property of what cannot be read",
	}
}

func TestDeclarationsAgainstSchema(t *testing.T) {
	s := readSchema(t)
	out := outside()
	for name := range unpublished() {
		if r, ok := catalog.Lookup(name); !ok || !r.Unshown || s.Types[string(name)].Properties != nil {
			t.Errorf("%s is declared as if it were published, or is", name)
		}
	}
	used := map[string]bool{}
	paths, properties, relations, refs := 0, 0, 0, 0
	leads := func(r *catalog.Resource, path, want string) {
		paths++
		got, ok := s.path(path)
		if !ok || !s.is(strings.TrimPrefix(got, "[]"), strings.TrimPrefix(want, "[]")) && !s.is(strings.TrimPrefix(want, "[]"), strings.TrimPrefix(got, "[]")) || strings.HasPrefix(got, "[]") != strings.HasPrefix(want, "[]") {
			t.Errorf("%s: %s leads to %q, want %q", r.Type, path, got, want)
		}
	}
	has := func(r *catalog.Resource, of, name string) {
		properties++
		if out[string(r.Type)+"."+name] != "" {
			used[string(r.Type)+"."+name] = true
			return
		}
		at := of
		for _, n := range strings.Split(name, ".") {
			n, element := strings.CutSuffix(n, "[]")
			next, ok := s.member(strings.TrimPrefix(at, "[]"), n)
			if !ok {
				t.Errorf("%s: %s: the schema's %s has no %s", r.Type, name, at, n)
				return
			}
			if at = next; element {
				if !strings.HasPrefix(at, "[]") {
					t.Errorf("%s: %s: %s is no array", r.Type, name, n)
				}
			}
		}
	}
	for r := range catalog.All() {
		if unpublished()[r.Type] != "" {
			continue
		}
		live := string(r.Type)
		if r.Binary != "" {
			if at, ok := strings.CutSuffix(r.List, "/$value"); ok {
				leads(r, at, "profilePhoto")
				continue
			}
			leads(r, r.List, "Edm.Stream")
			leads(r, r.Item, "Edm.Stream")
			continue
		}
		switch {
		case r.Live != "":
			live = string(r.Live)
		case r.Is != "":
			live = string(r.Is)
		}
		many := "[]"
		if r.One {
			many = ""
		}
		leads(r, r.List, many+live)
		leads(r, r.Item, live)
		if r.Delta != "" {
			leads(r, r.Delta, "[]"+live)
		}
		if r.Undelete != "" {
			leads(r, r.Undelete, live)
		}
		for _, p := range r.Properties {
			has(r, live, p.Name)
			if p.Key != "" {
				has(r, live, p.Name+"[]."+p.Key)
			}
			if p.Set || p.Key != "" {
				if ty := s.typeAt(live, p.Name); !strings.HasPrefix(ty, "[]") {
					t.Errorf("%s: %s is declared a set and is a %q", r.Type, p.Name, ty)
				}
			}
			for _, to := range p.Ref {
				refs++
				target, ok := catalog.Lookup(to)
				if !ok {
					t.Errorf("%s: %s refers to %s, which is not declared", r.Type, p.Name, to)
				} else if p.By != "" {
					has(target, string(to), p.By)
				}
			}
		}
		for _, n := range slices.Concat(r.Name, r.Match) {
			has(r, live, n)
		}
		for _, l := range r.Links {
			relations++
			called := func(t entra.Type) string {
				if to, ok := catalog.Lookup(t); ok && to.Is != "" {
					t = to.Is
				}
				return string(t)
			}
			end := "directoryObject"
			if !s.is(called(l.To[0]), end) {
				end = called(l.To[0])
			}
			leads(r, l.Path, map[bool]string{true: "[]"}[l.Many]+end)
			for _, to := range l.To {
				if !s.is(called(to), end) {
					t.Errorf("%s: %s leads to %s, which is no %s", r.Type, l.Rel, to, end)
				}
			}
			if !strings.HasSuffix(l.Path, "/"+l.Rel) {
				t.Errorf("%s: %s is read at %s", r.Type, l.Rel, l.Path)
			}
		}
	}
	if paths < 50 || properties < 500 || relations < 6 || refs < 50 {
		t.Fatalf("checked only %d paths, %d properties, %d relations, %d references", paths, properties, relations, refs)
	}
	for name := range maps.Keys(out) {
		if !used[name] {
			t.Errorf("%s is excused and needs no excuse", name)
		}
	}
}

func (s schema) typeAt(of, name string) string {
	at := of
	for _, n := range strings.Split(name, ".") {
		at, _ = s.member(strings.TrimPrefix(at, "[]"), strings.TrimSuffix(n, "[]"))
	}
	return at
}

// Every property that the service can be asked for is declared, so that none is lost without a word.
func TestNoPropertyForgotten(t *testing.T) {
	s := readSchema(t)
	left := map[entra.Type][]string{
		// Stored outside the directory: a list of users that asks for them is refused. The rest needs
		// permissions of its own or is reserved.
		"user": {"aboutMe", "birthday", "customSecurityAttributes", "deviceEnrollmentLimit", "employeeLeaveDateTime", "hireDate", "identityParentId",
			"interests", "isResourceAccount", "mailboxSettings", "mySite", "pastProjects", "preferredName", "print", "responsibilities", "schools", "signInActivity", "skills"},
		// Kept by Exchange, or about who asks.
		"group": {"accessType", "allowExternalSenders", "autoSubscribeNewMembers", "hasMembersWithLicenseErrors", "hideFromAddressLists",
			"hideFromOutlookClients", "infoCatalogs", "isArchived", "isFavorite", "isSubscribedByMail", "onPremisesExtensionAttributes", "organizationId",
			"unseenConversationsCount", "unseenCount", "unseenMessagesCount", "welcomeMessageEnabled"},
		// About another type's objects.
		"application":      {"managerApplications", "onPremisesPublishing"},
		"servicePrincipal": {"customSecurityAttributes"},
		"organization":     {},
	}
	checked := 0
	for r := range catalog.All() {
		if r.Live != "" || r.Variants {
			continue
		}
		of := r.Type
		if r.Is != "" {
			of = r.Is
		}
		if of == r.Under || r.Open {
			continue // a part of what contains it, or anything
		}
		for at := string(of); at != ""; at = s.Types[at].Base {
			for name := range s.Types[at].Properties {
				checked++
				_, ok := r.Property(name)
				if skip := slices.Contains(left[r.Type], name); !ok && !skip && name != "id" && name != "deletedDateTime" {
					t.Errorf("%s: %s is not declared", r.Type, name)
				} else if ok && skip {
					t.Errorf("%s: %s is declared and said to be left out", r.Type, name)
				}
			}
		}
	}
	if checked < 200 {
		t.Fatalf("checked only %d", checked)
	}
}
