package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// What stands beside people, groups and applications: whatever somebody chose to note there.

const definedAttributes entra.Type = "customSecurityAttributeDefinition"

func asides() []*Resource {
	const each = "the service gives it out by another reading of all of them"
	open := func(t, of entra.Type, list, title, who, read, write string) *Resource {
		return &Resource{
			Type: t, Is: "openTypeExtension", Title: title, Doc: "What applications have noted about " + who + ", under a name of their own.",
			List: list + "/{parent}/extensions", Item: list + "/{parent}/extensions/{id}", Under: of, Expand: "extensions", Open: true, Unless: each,
			Name: []string{"extensionName"}, Match: []string{"extensionName"},
			Can: Create | Update | Delete, Read: []string{read}, Write: []string{write},
			Properties: []Property{{Name: "extensionName", Write: OnCreate, Must: true, Reason: "what is noted under another name is something else"}},
			create: func(set map[string]any, _ Fresh) (map[string]any, error) {
				set["@odata.type"] = "#microsoft.graph.openTypeExtension"
				return nil, nil
			},
		}
	}
	units := open("administrativeUnitExtension", UnitType, "/directory/administrativeUnits", "Open extensions of administrative units", "administrative units", "AdministrativeUnit.Read.All", "AdministrativeUnit.ReadWrite.All")
	units.Expand, units.Unless = "", "" // there are few

	noted := func(t, of entra.Type, list, title, who string) *Resource {
		return &Resource{
			Type: t, Is: of, Title: title, Doc: "What is noted about " + who + " in custom security attributes, for rules to judge by.",
			List: list + "/{parent}", Item: list + "/{parent}", Under: of, One: true, ID: ownNone, Expand: "customSecurityAttributes", Given: definedAttributes, Select: true, Chosen: "PATCH",
			Name: []string{"id"}, Match: []string{"customSecurityAttributes"},
			Can: Create | Update | Delete, Read: []string{"CustomSecAttributeAssignment.Read.All"}, Write: []string{"CustomSecAttributeAssignment.ReadWrite.All"}, Grants: true,
			Properties: []Property{{Name: "customSecurityAttributes", Write: Both, Must: true}},
			rules:      1,
			read: func(m map[string]any) {
				keepOnly(m, "customSecurityAttributes")
				if sets, ok := m["customSecurityAttributes"].(map[string]any); ok {
					m["customSecurityAttributes"] = readAttributes(sets)
				}
			},
			create: func(set map[string]any, _ Fresh) (map[string]any, error) {
				set["customSecurityAttributes"] = writeAttributes(mapOf(set["customSecurityAttributes"]), nil)
				return nil, nil
			},
			update: func(_ entra.ID, set, was map[string]any) ([]part, error) {
				set["customSecurityAttributes"] = writeAttributes(mapOf(set["customSecurityAttributes"]), mapOf(was["customSecurityAttributes"]))
				return nil, nil
			},
			none: func(m map[string]any) bool {
				sets, told := m["customSecurityAttributes"]
				return told && (sets == nil || mapOf(sets) != nil && len(readAttributes(mapOf(sets))) == 0)
			},
			clear: func(m map[string]any) map[string]any {
				return map[string]any{"customSecurityAttributes": writeAttributes(nil, mapOf(m["customSecurityAttributes"]))}
			},
		}
	}

	return []*Resource{
		open("userExtension", UserType, "/users", "Open extensions of people", "people", "User.Read.All", "User.ReadWrite.All"),
		open("groupExtension", GroupType, "/groups", "Open extensions of groups", "groups", "Group.Read.All", "Group.ReadWrite.All"),
		units,
		noted("userSecurityAttributes", UserType, "/users", "Security attributes of people", "people"),
		noted("servicePrincipalSecurityAttributes", ServicePrincipalType, "/servicePrincipals", "Security attributes of applications", "applications"),
		{
			Type: "strongAuthenticationRequirements", Title: "Multifactor authentication by person", Doc: "Whether a person is asked for a second factor at every sign-in, which policies have replaced.", Version: "beta",
			List: "/users/{parent}/authentication/requirements", Under: UserType, One: true, Chosen: "PATCH", Unless: "the service is asked about each person",
			Name: []string{"perUserMfaState"}, Match: []string{"perUserMfaState"},
			Can: Create | Update | Delete, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.ReadWrite.AuthenticationMethod"}, Grants: true,
			Properties: []Property{{Name: "perUserMfaState", Write: Both, Must: true}},
			none:       func(m map[string]any) bool { return m["perUserMfaState"] == "disabled" },
			clear:      func(map[string]any) map[string]any { return map[string]any{"perUserMfaState": "disabled"} },
		},
	}
}

// ownNone is the ID property of what has no ID of its own: it is part of what contains it.
const ownNone = "-"

// keepOnly leaves of an answer only the members named.
func keepOnly(m map[string]any, names ...string) {
	maps.DeleteFunc(m, func(name string, _ any) bool { return !slices.Contains(names, name) })
}

// readAttributes turns sets of custom security attributes into values by set and name. A value of which the service says
// the type, because JSON does not, stands beside it; of several the order means nothing.
// Source: Microsoft Graph documentation, "Assign custom security attributes".
func readAttributes(sets map[string]any) map[string]any {
	out := map[string]any{}
	for set, v := range sets {
		values := map[string]any{}
		for name, v := range mapOf(v) {
			if annotation(name) || v == nil {
				continue
			}
			if a, ok := v.([]any); ok {
				v = arrange(a, "")
			}
			if kind := mapOf(sets[set])[name+"@odata.type"]; kind != nil {
				v = map[string]any{"type": kind, "value": v}
			}
			values[name] = v
		}
		if len(values) > 0 {
			out[set] = values
		}
	}
	return out
}

// writeAttributes turns values into what the service takes. What was there and is no more is cleared.
func writeAttributes(values, was map[string]any) map[string]any {
	out := map[string]any{}
	put := func(set, name string, v any, clear bool) {
		if out[set] == nil {
			out[set] = map[string]any{"@odata.type": "#Microsoft.DirectoryServices.CustomSecurityAttributeValue"}
		}
		to := out[set].(map[string]any)
		if typed := mapOf(v); typed != nil {
			v = typed["value"]
			if kind, _ := typed["type"].(string); !clear || strings.HasPrefix(kind, "#Collection") {
				to[name+"@odata.type"] = kind
			}
		}
		if _, many := v.([]any); clear && many {
			v = []any{}
		} else if clear {
			v = nil
		}
		to[name] = v
	}
	for set, names := range values {
		for name, v := range mapOf(names) {
			put(set, name, v, false)
		}
	}
	for set, names := range was {
		for name, v := range mapOf(names) {
			if mapOf(values[set])[name] == nil {
				put(set, name, v, true)
			}
		}
	}
	return out
}
