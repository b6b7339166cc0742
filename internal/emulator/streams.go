package emulator

import (
	"maps"
	"mime"
	"slices"
	"strings"
)

// A stream is what the service keeps of an object as bytes, at a path of its own below it.
type stream struct {
	of     string // the collection of the objects
	path   string // after the object, "logo"
	kind   string // its media type, or with a slash at the end what that begins with
	most   int    // bytes
	remove bool   // DELETE works
	access
	// show writes down at the object whether there is one.
	show func(p map[string]any, there bool)
}

const localizations = "organization/{}/branding/localizations"

func streams() []*stream {
	all := []*stream{{
		of: "applications", path: "logo", kind: "image/", most: 100 << 10, access: accessOf(kApp),
		show: func(p map[string]any, there bool) {
			info := maps.Clone(sub(p["info"]))
			if info == nil {
				info = map[string]any{}
			}
			info["logoUrl"] = nil
			if there {
				info["logoUrl"] = "https://cdn.example/logos/" + itoa(len(text(p["_logo"])))
			}
			p["info"] = info
		},
	}}
	for _, of := range []string{"users", "groups"} {
		k := map[string]kindID{"users": kUser, "groups": kGroup}[of]
		all = append(all, &stream{of: of, path: "photo/$value", kind: "image/", most: 4 << 20, remove: true, access: accessOf(k), show: func(map[string]any, bool) {}})
	}
	for _, name := range []string{"backgroundImage", "bannerLogo", "customCSS", "favicon", "headerLogo", "squareLogo", "squareLogoDark"} {
		s := &stream{of: localizations, path: name, kind: "image/", most: 300 << 10, remove: true, access: brandingAccess()}
		if name == "customCSS" {
			s.kind, s.most = "text/css", 25<<10
		}
		s.show = func(p map[string]any, there bool) {
			p[name+"RelativeUrl"] = nil
			if there {
				p[name+"RelativeUrl"] = "c1c6b6c8/" + name + "?ts=" + itoa(len(text(p["_"+name])))
			}
		}
		all = append(all, s)
	}
	return all
}

func brandingAccess() access {
	return access{"directory", []string{"OrganizationalBranding.Read.All", "OrganizationalBranding.ReadWrite.All"}, []string{"OrganizationalBranding.ReadWrite.All"}, nil}
}

// streamed serves a stream of an object. It reports false where the path is none.
func (c *call) streamed(o *object, rest []string) (done bool, a answer, err error) {
	i := slices.IndexFunc(streams(), func(s *stream) bool { return s.path == strings.Join(rest, "/") && s.of == collectionName(o.kind) })
	if i < 0 {
		return false, answer{}, nil
	}
	s := streams()[i]
	need := s.read
	if c.method != "GET" {
		need = s.write
	}
	if !c.holds(need...) {
		return true, a, denied()
	}
	data, there := o.p["_"+s.path].(string)
	d := o.clone()
	switch c.method {
	case "GET":
		if !there {
			return true, a, notFound(s.path)
		}
		a = answer{status: 200, body: []byte(data)}
		a.set("Content-Type", text(o.p["_"+s.path+":type"]))
		return true, a, nil
	case "PUT", "PATCH":
		if o.kind == kGroup && !slices.Contains(texts(o.p["groupTypes"]), "Unified") {
			return true, a, notFound(s.path)
		}
		kind, _, err := mime.ParseMediaType(c.header.Get("Content-Type"))
		switch {
		case err != nil || kind != s.kind && !(strings.HasSuffix(s.kind, "/") && strings.HasPrefix(kind, s.kind)):
			return true, a, refuse(415, "Request_BadRequest", "The content type must be %s.", s.kind)
		case len(c.body) == 0:
			return true, a, bad("A value for '%s' is required.", s.path)
		case len(c.body) > s.most:
			return true, a, bad("The size of '%s' exceeds the maximum of %d bytes.", s.path, s.most)
		}
		d.p["_"+s.path], d.p["_"+s.path+":type"] = string(c.body), kind
		s.show(d.p, true)
	case "DELETE":
		if !s.remove {
			return true, a, notAllowed()
		}
		if !there {
			return true, a, notFound(s.path)
		}
		delete(d.p, "_"+s.path)
		delete(d.p, "_"+s.path+":type")
		s.show(d.p, false)
	default:
		return true, a, notAllowed()
	}
	c.t.put(d, []string{s.path})
	if strings.HasPrefix(s.path, "photo/") { // which another service keeps: the audit log does not tell of it
		return true, answer{status: 204}, nil
	}
	c.audit("Update "+noun(o.kind), d, changes(map[string]any{}, map[string]any{}, []string{s.path}))
	return true, answer{status: 204}, nil
}

// decorate gives an object a stream as it is at the start.
func (o *object) decorate(path, data, kind string) {
	for _, s := range streams() {
		if s.path == path && s.of == collectionName(o.kind) {
			o.p["_"+path], o.p["_"+path+":type"] = data, kind
			s.show(o.p, true)
		}
	}
}

// picture is some bytes that are no text.
func picture(of string) string { return "\x89PNG\r\n\x1a\n\x00\xff" + of }

// seedStreams gives some objects streams.
func (t *Tenant) seedStreams() {
	for _, app := range t.first(kApp, samples) {
		app.decorate("logo", picture(app.id), "image/png")
	}
	for _, user := range t.first(kUser, samples) {
		d := user.clone()
		d.decorate("photo/$value", picture(user.id), "image/jpeg")
		t.put(d, nil)
	}
	var unified []*object
	t.each(kGroup, func(g *object) bool {
		if slices.Contains(texts(g.p["groupTypes"]), "Unified") {
			unified = append(unified, g.clone())
		}
		return len(unified) < samples
	})
	for _, group := range unified {
		group.decorate("photo/$value", picture(group.id), "image/jpeg")
		t.put(group, nil)
	}
	k := kin().kinds[localizations]
	for _, o := range t.first(k, 2*samples) {
		switch o.p["id"] {
		case "0":
			o.decorate("bannerLogo", picture("banner"), "image/png")
			o.decorate("customCSS", ".ext-sign-in-box { border: 0 }", "text/css")
		case "fr-FR":
			for _, s := range streams() {
				if s.of == localizations && s.path == "customCSS" {
					o.decorate(s.path, ".ext-footer { color: red }", "text/css")
				} else if s.of == localizations {
					o.decorate(s.path, picture(s.path), "image/jpeg")
				}
			}
		}
	}
}

// brandingTexts are what a new language has as the default has it, where it says nothing itself.
func brandingTexts() []string {
	return []string{"backgroundColor", "customAccountResetCredentialsUrl", "customCannotAccessYourAccountText", "customCannotAccessYourAccountUrl", "customForgotMyPasswordText", "customPrivacyAndCookiesText",
		"customPrivacyAndCookiesUrl", "customResetItNowText", "customTermsOfUseText", "customTermsOfUseUrl", "headerBackgroundColor", "signInPageText", "usernameHintText"}
}

func brandingKind() *family {
	undecorated := func(o *object) error {
		for _, s := range streams() {
			if s.of == localizations && o.p["_"+s.path] != nil {
				return bad("All images must be removed before the branding is deleted: '%s' is there.", s.path)
			}
		}
		return nil
	}
	local := func(id string, i int) map[string]any {
		return map[string]any{"id": id, "backgroundColor": "#00FF0" + itoa(i), "headerBackgroundColor": "#0000FF", "signInPageText": "Welcome " + id, "usernameHintText": "you@contoso.example", "cdnList": list("cdn.example"),
			"customAccountResetCredentialsUrl": "https://reset.example", "customCannotAccessYourAccountText": "No access?", "customCannotAccessYourAccountUrl": "https://access.example", "customForgotMyPasswordText": "Forgot?",
			"customPrivacyAndCookiesText": "Privacy", "customPrivacyAndCookiesUrl": "https://privacy.example", "customResetItNowText": "Reset", "customTermsOfUseText": "Terms", "customTermsOfUseUrl": "https://terms.example",
			"loginPageLayoutConfiguration":    map[string]any{"layoutTemplateType": "default", "isHeaderShown": true, "isFooterShown": true},
			"loginPageTextVisibilitySettings": map[string]any{"hideForgotMyPassword": false, "hideTermsOfUse": false}}
	}
	return &family{
		path: "branding/localizations", under: "organization", types: []string{"organizationalBrandingLocalization"}, noun: "branding", verbs: "POST PATCH DELETE", access: brandingAccess(), bare: true,
		create: func(c *call, o *object, _ checked) error {
			id := text(o.p["id"])
			if id == "0" || strings.EqualFold(id, "default") {
				if !c.asDefault {
					return bad("The id '%s' is reserved for the default branding.", id)
				}
				return nil
			}
			for _, x := range liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"]))) {
				if strings.EqualFold(text(x.p["id"]), id) {
					return conflict("id")
				}
			}
			for _, x := range liveOnly(c.t.joined(o.kind, "_parent", text(o.p["_parent"]))) {
				for _, name := range brandingTexts() {
					if x.p["id"] == "0" && o.p[name] == nil {
						o.p[name] = x.p[name]
					}
				}
			}
			return nil
		},
		remove: func(_ *call, o *object) error { return undecorated(o) },
		seed: func(t *Tenant, _ string) {
			if !t.o.Every {
				return
			}
			for _, org := range t.first(kOrg, 1) {
				for i, id := range []string{"0", "fr-FR", "de-DE"} {
					p := local(id, i)
					if id == "de-DE" {
						delete(p, "customTermsOfUseText")
					}
					p["_parent"] = org.id
					t.plant(localizations, "", p)
				}
			}
		},
	}
}

// branding serves the branding itself, which is what is said where no language says something else.
func (c *call) branding(org *object) (answer, error) {
	k := kin().kinds[localizations]
	if err := c.allow(k, c.method != "GET"); err != nil {
		return answer{}, err
	}
	var o *object
	for _, x := range liveOnly(c.t.joined(k, "_parent", org.id)) {
		if x.p["id"] == "0" {
			o = c.see(x)
		}
	}
	switch c.method {
	case "PATCH":
		if c.header.Get("Accept-Language") != "0" {
			return answer{}, bad("The header Accept-Language must be 0 for the default branding.")
		}
		if o.live() {
			return c.update(o)
		}
		body, err := c.object()
		if err != nil {
			return answer{}, err
		}
		body["id"], c.asDefault = "0", true
		_, err = c.make(k, body, map[string]any{"_parent": org.id})
		return answer{status: 204}, err
	case "GET", "DELETE":
		if !o.live() {
			return answer{}, notFound("branding")
		}
		if c.method == "GET" {
			return c.one(o)
		}
		body, err := c.object()
		if err != nil {
			return answer{}, err
		}
		if body["id"] != "0" {
			return answer{}, bad("The body must name the default branding.")
		}
		return c.remove(o)
	}
	return answer{}, notAllowed()
}
