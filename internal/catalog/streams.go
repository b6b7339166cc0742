package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// stream declares what the service keeps of an object as bytes. There is none where the property of the object that
// shows says so, which must be one that is kept; where that is "", each object is asked.
func stream(r Resource, under entra.Type, path, shows string) *Resource {
	r.List, r.Item, r.Under, r.One, r.Binary = path, path, under, true, "image/*, application/octet-stream"
	r.Chosen, r.Name, r.Match = "PUT", []string{"contentType"}, []string{"contentType"}
	r.Properties = []Property{
		{Name: "data", Write: Both, Must: true},
		{Name: "contentType", Write: Both, Must: true},
	}
	if shows != "" {
		r.holds = func(m map[string]any) bool { return m[shows] == true }
	}
	return &r
}

// shown are properties that read makes of addresses, and that say which streams there are.
func shown(names ...string) []Property {
	var all []Property
	for _, name := range names {
		all = append(all, Property{Name: name, Omit: true, kept: true, Reason: "bytes, which are an object of their own"})
	}
	return all
}

// brandingStreams are what belongs to the branding in one language, by property.
// Source: Microsoft Graph documentation, organizationalBrandingLocalization.
func brandingStreams() []string {
	return []string{"backgroundImage", "bannerLogo", "customCSS", "favicon", "headerLogo", "squareLogo", "squareLogoDark"}
}

// brandingImages are the images and the style sheet of the page on which people sign in. Their addresses change and end,
// so the bytes are kept. No page describes how one is removed; that all have to be removed before a language is, says
// that it can be done.
func brandingImages() (all []*Resource) {
	titles := map[string][2]string{
		"backgroundImage": {"Sign-in background image", "What is behind the page on which people sign in."},
		"bannerLogo":      {"Sign-in banner logo", "The logo above the page on which people sign in."},
		"customCSS":       {"Sign-in style sheet", "How the page on which people sign in is laid out."},
		"favicon":         {"Sign-in icon", "What a browser shows for the page on which people sign in."},
		"headerLogo":      {"Sign-in header logo", "The logo in the header of the page on which people sign in."},
		"squareLogo":      {"Sign-in square logo", "The logo that devices show when they are set up."},
		"squareLogoDark":  {"Sign-in dark square logo", "The logo that devices show when they are set up, on dark ground."},
	}
	for _, name := range brandingStreams() {
		image := stream(Resource{
			Type: entra.Type("branding" + string(name[0]-'a'+'A') + name[1:]), Title: titles[name][0], Doc: titles[name][1],
			Can: Create | Update | Delete, Read: []string{"OrganizationalBranding.Read.All"}, Write: []string{"OrganizationalBranding.ReadWrite.All"},
		}, brandingType, "/organization/{holder}/branding/localizations/{parent}/"+name, name)
		if name == "customCSS" {
			image.Binary = "text/css, text/plain, application/octet-stream"
		}
		all = append(all, image)
	}
	return all
}

const brandingType entra.Type = "organizationalBrandingLocalization"

// readBranding says of the images which there are: where they are is an address for a time.
func readBranding(m map[string]any) {
	for _, name := range brandingStreams() {
		if address, _ := m[name+"RelativeUrl"].(string); address != "" {
			m[name] = true
		} else if m[name] != true { // as it is when it was read already
			delete(m, name)
		}
	}
}

// createBranding clears what a new language takes over from the default where nothing is said.
// Source: Microsoft Graph documentation, Create organizationalBrandingLocalization.
func createBranding(set map[string]any, _ Fresh) (map[string]any, error) {
	later := map[string]any{}
	for _, name := range brandingTexts() {
		if set[name] == nil {
			later[name] = nil
		}
	}
	return later, nil
}

// brandingTexts are the properties of a branding that are texts.
func brandingTexts() []string {
	return []string{"backgroundColor", "customAccountResetCredentialsUrl", "customCannotAccessYourAccountText", "customCannotAccessYourAccountUrl", "customForgotMyPasswordText", "customPrivacyAndCookiesText",
		"customPrivacyAndCookiesUrl", "customResetItNowText", "customTermsOfUseText", "customTermsOfUseUrl", "headerBackgroundColor", "signInPageText", "usernameHintText"}
}

// disarmBranding removes the images, without which the service removes no language.
func disarmBranding(m map[string]any) (parts []part) {
	for _, name := range brandingStreams() {
		if m[name] == true {
			parts = append(parts, part{method: "DELETE", suffix: "/" + name})
		}
	}
	return parts
}

// placeBranding says that what is shown where no language has words of its own is written at the branding itself.
// Source: Microsoft Graph documentation, Update and Delete organizationalBranding.
func placeBranding(id entra.ID) (method, path string, header map[string]string) {
	if own(id) != "0" {
		return "", "", nil
	}
	return "PATCH", "/organization/" + escape(id.In()) + "/branding", map[string]string{"Accept-Language": "0"}
}

// appLogos are the logos of applications, of which the service does not say how one is removed.
func appLogos() []*Resource {
	return []*Resource{stream(Resource{
		Type: "applicationLogo", Title: "Application logo", Doc: "What people see of an application when they are asked to consent, and in their list of applications.",
		Can: Create | Update, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
	}, ApplicationType, "/applications/{parent}/logo", "logo")}
}

// readLogo says whether there is a logo: its address changes with it.
func readLogo(m map[string]any) {
	info, _ := m["info"].(map[string]any)
	if address, _ := info["logoUrl"].(string); address != "" {
		m["logo"] = true
	} else if m["logo"] != true { // as it is when it was read already
		delete(m, "logo")
	}
}

// photos are those of people and of Microsoft 365 groups. The permissions are those by which people and groups are read
// and written, which do here what ProfilePhoto.Read.All and ProfilePhoto.ReadWrite.All do.
// Source: Microsoft Graph documentation, Get, Update and Delete profilePhoto.
func photos() []*Resource {
	user := stream(Resource{
		Type: "userPhoto", Title: "Photo", Doc: "What people see of somebody beside the name.", Silent: true, Unless: "the service is asked about each person",
		Can: Create | Update | Delete, Read: []string{"User.Read.All"}, Write: []string{"User.ReadWrite.All"},
	}, UserType, "/users/{parent}/photo/$value", "")
	group := stream(Resource{
		Type: "groupPhoto", Title: "Photo", Doc: "What people see of a Microsoft 365 group beside the name.", Silent: true, Unless: "the service is asked about each group",
		Can: Create | Update | Delete, Read: []string{"Group.Read.All"}, Write: []string{"Group.ReadWrite.All"},
	}, GroupType, "/groups/{parent}/photo/$value", "")
	group.holds = func(m map[string]any) bool { return slices.Contains(texts(m, "groupTypes"), "Unified") }
	return []*Resource{user, group}
}

func streams() []*Resource { return slices.Concat(brandingImages(), appLogos(), photos()) }
