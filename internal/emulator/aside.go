package emulator

import (
	"maps"
	"slices"
	"strings"
)

// What stands beside people, groups and applications, and the log of who signed in.

func asideKinds() []*family {
	extensions := func(under, read, write string) *family {
		return &family{path: "extensions", under: under, types: []string{"openTypeExtension"}, noun: "extension", verbs: "POST PATCH DELETE", open: true,
			access: access{"directory", []string{read, write}, []string{write}, nil},
			create: func(c *call, o *object, _ checked) error {
				for _, x := range liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"]))) {
					if x.p["id"] == o.p["extensionName"] {
						return refuse(409, "Request_MultipleObjectsWithSameKeyValue", "An extension already exists with the given id.")
					}
				}
				o.p["id"] = o.p["extensionName"]
				return nil
			},
			sample: func(_ *Tenant, i int, _ *object) map[string]any {
				return map[string]any{"id": "com.contoso.settings" + itoa(i), "extensionName": "com.contoso.settings" + itoa(i), "theme": "dark", "size": 3 + i, "places": list("a", "b"), "more": map[string]any{"on": true}}
			}}
	}
	return []*family{
		extensions("users", "User.Read.All", "User.ReadWrite.All"),
		extensions("groups", "Group.Read.All", "Group.ReadWrite.All"),
		extensions("directory/administrativeUnits", "AdministrativeUnit.Read.All", "AdministrativeUnit.ReadWrite.All"),
		{path: "authentication/requirements", under: "users", types: []string{"strongAuthenticationRequirements"}, one: "requirements", beta: true, noun: "authentication requirements", verbs: "PATCH",
			access:  access{"directory", []string{"Policy.Read.All"}, []string{"Policy.ReadWrite.AuthenticationMethod"}, nil},
			initial: map[string]any{"perUserMfaState": "disabled"},
			sample: func(_ *Tenant, i int, _ *object) map[string]any {
				return map[string]any{"perUserMfaState": []string{"enforced", "enabled"}[i%2]}
			}},
		{path: "auditLogs/signIns", types: []string{"signIn"}, noun: "sign-in", access: access{"auditLog", []string{"AuditLog.Read.All"}, nil, nil},
			sample: func(t *Tenant, i int, _ *object) map[string]any {
				u := t.first(kUser, samples)[i]
				return map[string]any{"createdDateTime": stamp(t.clock()), "userId": u.id, "userDisplayName": u.p["displayName"], "userPrincipalName": u.p["userPrincipalName"], "appDisplayName": "Portal", "ipAddress": "192.0.2." + itoa(i),
					"clientAppUsed": "Browser", "isInteractive": true, "status": map[string]any{"errorCode": 0}}
			}},
	}
}

// note sets custom security attributes: of a set those that are named, null and nothing of several clear one.
func (c *call) note(was, values any) (map[string]any, error) {
	if !c.holds("CustomSecAttributeAssignment.ReadWrite.All") {
		return nil, denied()
	}
	out := maps.Clone(sub(was))
	if out == nil {
		out = map[string]any{}
	}
	for _, set := range slices.Sorted(maps.Keys(sub(values))) {
		given := sub(sub(values)[set])
		if s := c.t.get(set); !s.live() || s.typ != "attributeSet" {
			return nil, bad("The attribute set '%s' does not exist.", set)
		}
		if !strings.EqualFold(text(given["@odata.type"]), "#Microsoft.DirectoryServices.CustomSecurityAttributeValue") {
			return nil, bad("The type of the values of set '%s' is missing.", set)
		}
		in := maps.Clone(sub(out[set]))
		if in == nil {
			in = map[string]any{}
		}
		for name, v := range given {
			if strings.Contains(name, "@") {
				continue
			}
			d, kind := c.t.get(set+"_"+name), text(given[name+"@odata.type"])
			many, isMany := v.([]any)
			switch {
			case !d.live():
				return nil, bad("The attribute '%s' does not exist.", name)
			case v == nil || isMany && len(many) == 0:
				delete(in, name)
				delete(in, name+"@odata.type")
				continue
			case isMany != flag(d.p["isCollection"]), isMany && kind != "#Collection(String)":
				return nil, bad("The value of attribute '%s' has the wrong type.", name)
			}
			if in[name] = v; kind != "" {
				in[name+"@odata.type"] = kind
			}
		}
		if in["@odata.type"] = "#microsoft.graph.customSecurityAttributeValue"; len(in) == 1 {
			delete(out, set)
		} else {
			out[set] = in
		}
	}
	return out, nil
}

// seedNotes gives some people and applications custom security attributes.
func (t *Tenant) seedNotes() {
	for _, k := range []kindID{kUser, kSP} {
		for i, o := range t.first(k, samples) {
			d := o.clone()
			set := "Set" + itoa(i)
			d.p["customSecurityAttributes"] = map[string]any{set: map[string]any{"@odata.type": "#microsoft.graph.customSecurityAttributeValue", "Level": "Value " + itoa(i)}}
			t.put(d, nil)
		}
	}
}
