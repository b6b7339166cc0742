package emulator

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Directory extensions: an application defines a property, and objects of the types that it names can then hold
// values under the name extension_{appId without dashes}_{name}. The rules are those of Microsoft Graph
// documentation, "Add custom data to resources using extensions" and extensionProperty.
//
// A value is returned only where $select names it. It is out of sight while its definition or the application is
// deleted, or while the application has no service principal in the tenant, and in sight again once all three are
// there: the value itself stays with its object, under the old name.

const (
	extensionsMost = 100  // values of one object
	principalsMost = 1000 // with more service principals, getAvailableExtensionProperties answers with an empty list (a known issue of the service)
)

// extendable are the types that definitions can name.
func extendable() []string {
	return []string{"User", "Group", "AdministrativeUnit", "Application", "Device", "Organization"}
}

func extensionName(appID, name string) string {
	return "extension_" + strings.ReplaceAll(appID, "-", "") + "_" + name
}

// extensionType is the type of values, by what definitions call it; "" for none.
func extensionType(dataType any) string {
	switch dataType {
	case "Binary":
		return "Edm.Binary"
	case "Boolean":
		return "Edm.Boolean"
	case "DateTime":
		return "Edm.DateTimeOffset"
	case "Integer":
		return "Edm.Int32"
	case "LargeInteger":
		return "Edm.Int64"
	case "String":
		return "Edm.String"
	}
	return ""
}

// discoverable tells whether values of a definition are in sight.
func (t *Tenant) discoverable(d *object) bool {
	if !d.live() {
		return false
	}
	app := t.get(text(d.p["_app"]))
	return app.live() && t.spByAppID(text(app.p["appId"]), true) != nil
}

// property is a property that objects of a type have in this tenant, by its name in any case; nil for none.
func (t *Tenant) property(typ *typeInfo, name string) *property {
	name = strings.ToLower(name)
	if p := typ.byFold[name]; p != nil {
		return p
	}
	d := t.get(t.extensions[name])
	if !t.discoverable(d) || !slices.Contains(texts(d.p["targetObjects"]), title(typ.Name)) {
		return nil
	}
	p := &property{Name: text(d.p["name"]), elem: extensionType(d.p["dataType"]), Nullable: true, Returned: "select", Write: "cu", extension: true, coll: flag(d.p["isMultiValued"])}
	p.key = append(appendString(nil, p.Name), ':')
	return p
}

// checkExtension holds the value of an extension against the limits of its type.
func checkExtension(p *property, v any) error {
	values, many := v.([]any)
	if !many && v != nil {
		values = []any{v}
	}
	for _, v := range values {
		s, _ := v.(string)
		switch p.elem {
		case "Edm.String":
			if utf8.RuneCountInString(s) > 256 {
				return bad("Property '%s' exceeds the maximum length of 256.", p.Name)
			}
		case "Edm.Binary":
			if b, err := base64.StdEncoding.DecodeString(s); err != nil || len(b) > 256 {
				return bad("Invalid value specified for property '%s'.", p.Name)
			}
		case "Edm.Int32":
			n, _ := v.(json.Number)
			if i, err := n.Int64(); err != nil || int64(int32(i)) != i {
				return bad("Invalid value specified for property '%s'.", p.Name)
			}
		}
	}
	return nil
}

// checkExtensions refuses an object with more values than one can hold. Those out of sight count too.
func checkExtensions(o *object) error {
	n := 0
	for name, v := range o.p {
		if strings.HasPrefix(name, "extension_") && v != nil {
			n++
		}
	}
	if n > extensionsMost {
		return refuse(403, "Directory_QuotaExceeded", "The maximum number of extension values of the resource has been reached.")
	}
	return nil
}

// definitions are what an application defines.
func (t *Tenant) definitions(app *object) []*object { return t.joined(kExtension, "_app", app.id) }

// define carries out POST to extensionProperties of an application.
func (c *call) define(app *object) (answer, error) {
	if err := c.allow(kExtension, true); err != nil {
		return answer{}, err
	}
	if err := c.only(); err != nil {
		return answer{}, err
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	typ := c.types(kExtension)[0]
	in, err := c.check(body, typ, true)
	if err != nil {
		return answer{}, err
	}
	p := in.p
	for _, r := range typ.Required {
		if p[r] == nil {
			return answer{}, missing(typ, r)
		}
	}
	name := text(p["name"])
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return answer{}, bad("Invalid value specified for property 'name' of resource 'ExtensionProperty'.")
	}
	if extensionType(p["dataType"]) == "" {
		return answer{}, bad("Invalid value specified for property 'dataType' of resource 'ExtensionProperty'.")
	}
	targets := texts(p["targetObjects"])
	if len(targets) == 0 || slices.ContainsFunc(targets, func(s string) bool { return !slices.Contains(extendable(), s) }) {
		return answer{}, bad("Invalid value specified for property 'targetObjects' of resource 'ExtensionProperty'.")
	}
	full := extensionName(text(app.p["appId"]), name)
	if c.t.extensions[strings.ToLower(full)] != "" {
		return answer{}, bad("An extension property exists with the name %s.", full)
	}
	p["name"] = full
	o := &object{kind: kExtension, typ: typ.Name, id: c.t.fresh(kExtension), p: p}
	p["id"], p["_app"], p["isSyncedFromOnPremises"], p["isMultiValued"] = o.id, app.id, false, flag(p["isMultiValued"])
	c.t.put(o, nil)
	c.audit("Update application", app, []any{map[string]any{"displayName": "ExtensionProperty", "oldValue": nil, "newValue": string(appendString(nil, full))}})
	w := *c
	w.opts = options{}
	a, err := w.one(o)
	a.status = http.StatusCreated
	return a, err
}

// undefine carries out DELETE of a definition. The values stay where they are, out of sight.
func (c *call) undefine(app *object, id string) (answer, error) {
	if err := c.allow(kExtension, true); err != nil {
		return answer{}, err
	}
	for _, d := range c.t.definitions(app) {
		if d.id != id {
			continue
		}
		if flag(d.p["isSyncedFromOnPremises"]) {
			return answer{}, bad("Extension properties that are synchronized from on-premises cannot be deleted.")
		}
		c.t.purge(d)
		c.audit("Update application", app, []any{map[string]any{"displayName": "ExtensionProperty", "oldValue": string(appendString(nil, text(d.p["name"]))), "newValue": nil}})
		return answer{status: 204}, nil
	}
	return answer{}, notFound(id)
}

// available answers POST directoryObjects/getAvailableExtensionProperties.
func (c *call) available() (answer, error) {
	if c.method != "POST" {
		return answer{}, notAllowed()
	}
	c.reads = true
	if !c.holds("Directory.Read.All") {
		return answer{}, denied()
	}
	body, err := c.object()
	if err != nil {
		return answer{}, err
	}
	for name, v := range body {
		if _, ok := v.(bool); name != "isSyncedFromOnPremises" || !ok {
			return answer{}, bad("Invalid value specified for parameter '%s'.", name)
		}
	}
	principals := 0
	c.t.each(kSP, func(o *object) bool {
		if o.live() {
			principals++
		}
		return true
	})
	b := append(appendString([]byte(`{"@odata.context":`), c.context("Collection(extensionProperty)", false)), `,"value":[`...)
	n := 0
	c.t.each(kExtension, func(o *object) bool {
		if synced, asked := body["isSyncedFromOnPremises"]; principals > principalsMost || !c.t.discoverable(o) || asked && flag(o.p["isSyncedFromOnPremises"]) != synced {
			return true
		}
		if n > 0 {
			b = append(b, ',')
		}
		n++
		b = c.appendObject(b, o, c.fields(c.types(kExtension)[0], nil), true, nil)
		return true
	})
	return answer{status: 200, body: append(b, ']', '}')}, nil
}

// definer is the application of a population that defines extensions: the last of the first twelve.
func definer(o Options) uint64 { return uint64(min(o.Apps, 12) - 1) }

// That application defines these, and some people and groups hold values of them.
const (
	extCostCenter = iota // a text, of people and groups
	extPayGrade          // a number, of people
	extBadges            // texts, of people
)

func (t *Tenant) seedExtensions(app *object) {
	for n, d := range []struct {
		name, kind string
		many       bool
		targets    []any
	}{
		{"costCenter", "String", false, list("User", "Group")},
		{"payGrade", "Integer", false, list("User")},
		{"badges", "String", true, list("User")},
	} {
		t.seed(kExtension, "extensionProperty", t.pop.ids.at(kExtension, uint64(n)), map[string]any{"name": t.pop.extensions[n], "dataType": d.kind, "isMultiValued": d.many,
			"isSyncedFromOnPremises": false, "targetObjects": d.targets, "_app": app.id})
	}
}
