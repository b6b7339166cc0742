package emulator

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// These are the policies that say what people may consent to, with the conditions in them.

const grantPath = "policies/permissionGrantPolicies"

// chosenID is what the ID of a permission grant policy can be.
var chosenID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]+$`) })

func builtIn(id string) bool { return strings.HasPrefix(id, "microsoft-") }

func consentPolicies() []*family {
	may := access{"directory", []string{"Policy.Read.PermissionGrant"}, []string{"Policy.ReadWrite.PermissionGrant"}, []string{"Policy.Read.PermissionGrant"}}
	untouched := func(id string) error {
		if builtIn(id) {
			return refuse(403, "Authorization_RequestDenied", "Built-in permission grant policies cannot be changed.")
		}
		return nil
	}
	policy := &family{path: grantPath, types: []string{"permissionGrantPolicy"}, noun: "permission grant policy", verbs: "POST PATCH DELETE", access: may}
	policy.seed = func(t *Tenant, _ string) {
		for _, id := range []string{"microsoft-user-default-low", "microsoft-user-default-legacy"} {
			t.plant(grantPath, id, props{"displayName": title(strings.ReplaceAll(id, "-", " ")), "description": "Permissions that people may consent to by default."})
		}
	}
	policy.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"id": "consent-" + itoa(i), "displayName": "Consent " + itoa(i), "description": "Sample"}
	}
	policy.create = func(c *call, o *object, _ checked) error {
		id := text(o.p["id"])
		if builtIn(id) || !chosenID().MatchString(id) {
			return bad("The id '%s' of a permission grant policy is not allowed.", id)
		}
		if c.t.get(id).live() {
			return conflict("id")
		}
		return nil
	}
	policy.change = func(_ *call, o, _ *object, _ checked) error { return untouched(o.id) }
	policy.remove = func(c *call, o *object) error {
		if err := untouched(o.id); err != nil {
			return err
		}
		for _, name := range []string{"includes", "excludes"} {
			for _, x := range liveOnly(c.t.joined(kin().kinds[grantPath+"/{}/"+name], "_parent", o.id)) {
				c.t.discard(x)
			}
		}
		return nil
	}
	policy.value = func(t *Tenant, o *object, name string) (any, bool) {
		if name != "includes" && name != "excludes" {
			return nil, false
		}
		all := []any{}
		for _, x := range liveOnly(t.joined(kin().kinds[grantPath+"/{}/"+name], "_parent", o.id)) {
			p := maps.Clone(x.p)
			delete(p, "_parent")
			all = append(all, p)
		}
		return all, true
	}
	condition := func(path string, made func(t *Tenant, i int) props) *family {
		f := &family{path: path, under: grantPath, types: []string{"permissionGrantConditionSet"}, noun: "permission grant condition", verbs: "POST DELETE", access: may}
		f.seed = func(t *Tenant, _ string) {
			for i, parent := range t.first(kin().kinds[grantPath], 5) {
				if p := made(t, i); p != nil {
					p["_parent"] = parent.id
					t.plant(f.name(), "", p)
				}
			}
		}
		f.create = func(_ *call, o *object, _ checked) error {
			if err := untouched(text(o.p["_parent"])); err != nil {
				return err
			}
			if o.p["permissionType"] == "delegatedUserConsentable" {
				return bad("The permission type 'delegatedUserConsentable' is reserved to built-in policies.")
			}
			for name, v := range anything() {
				if o.p[name] == nil {
					o.p[name] = v
				}
			}
			return nil
		}
		f.remove = func(_ *call, o *object) error { return untouched(text(o.p["_parent"])) }
		return f
	}
	return []*family{policy,
		condition("includes", func(t *Tenant, i int) props {
			p := anything()
			p["permissionType"] = "delegated"
			if i > 1 {
				p["resourceApplication"], p["permissionClassification"] = graphAppID, "low"
				for _, sp := range t.first(kSP, 3)[2:] {
					p["clientApplicationIds"] = []any{sp.p["appId"]}
				}
			}
			return p
		}),
		condition("excludes", func(_ *Tenant, i int) props {
			if i < 2 {
				return nil
			}
			p := anything()
			p["permissionType"], p["clientApplicationsFromVerifiedPublisherOnly"] = "application", true
			return p
		})}
}

// anything is a condition that nothing is said of.
func anything() props {
	return props{"permissionClassification": "all", "resourceApplication": "any", "permissions": list("all"), "clientApplicationIds": list("all"),
		"clientApplicationPublisherIds": list("all"), "clientApplicationTenantIds": list("all"), "clientApplicationsFromVerifiedPublisherOnly": false}
}

func authenticationContexts() []*family {
	const path = "identity/conditionalAccess/authenticationContextClassReferences"
	f := &family{path: path, types: []string{"authenticationContextClassReference"}, noun: "authentication context", verbs: "PATCH DELETE", upsert: true,
		access: access{"identity", []string{"Policy.Read.ConditionalAccess", "Policy.Read.All"}, []string{"Policy.ReadWrite.ConditionalAccess"}, []string{"Policy.Read.ConditionalAccess"}}}
	f.sample = func(_ *Tenant, i int, _ *object) map[string]any {
		return props{"id": "c" + itoa(i+1), "displayName": "Context " + itoa(i+1), "description": "Sample", "isAvailable": i == 0}
	}
	f.create = func(_ *call, o *object, _ checked) error {
		if id := text(o.p["id"]); !slices.Contains(contextIDs(), id) {
			return bad("The id '%s' of an authentication context is not allowed.", id)
		}
		if o.p["isAvailable"] == nil {
			o.p["isAvailable"] = false
		}
		return nil
	}
	f.remove = func(c *call, o *object) error {
		if flag(o.p["isAvailable"]) {
			return refuse(403, "Forbidden", "An authentication context that is published cannot be deleted.")
		}
		used := false
		c.t.each(kPolicy, func(p *object) bool {
			used = p.live() && slices.Contains(texts(sub(sub(p.p["conditions"])["applications"])["includeAuthenticationContextClassReferences"]), o.id)
			return !used
		})
		if used {
			return bad("An authentication context that a policy refers to cannot be deleted.")
		}
		return nil
	}
	return []*family{f}
}

// contextIDs are all that there can be.
func contextIDs() []string {
	ids := make([]string, 99)
	for i := range ids {
		ids[i] = "c" + itoa(i+1)
	}
	return ids
}
