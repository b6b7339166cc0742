package emulator_test

import (
	"slices"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// Telephones and addresses are written each in a list of its own, and told with all else that somebody has.
func TestMethods(t *testing.T) {
	at := start(t, emulator.Options{})
	people := must(t, at, 200, "GET", "/v1.0/users?$top=2", nil)["value"].([]any)
	u := people[0].(map[string]any)["id"].(string)
	where := "/v1.0/users/" + u + "/authentication/"
	const mobile, alternate, email = "3179e48a-750b-4051-897c-87b9720928f7", "b6332ec1-7057-4abe-9331-3d72feddfe41", "3ddfcfc8-9383-446f-83cc-3ab9be4be18f"
	kinds := func() (all []string) {
		for _, m := range must(t, at, 200, "GET", where+"methods", nil)["value"].([]any) {
			all = append(all, m.(map[string]any)["@odata.type"].(string)[len("#microsoft.graph."):])
		}
		slices.Sort(all)
		return all
	}
	phone := func(kind, number string) map[string]any {
		return map[string]any{"phoneType": kind, "phoneNumber": number}
	}
	if got := kinds(); !slices.Equal(got, []string{"passwordAuthenticationMethod"}) {
		t.Fatal(got)
	}
	for _, r := range []struct {
		name, method, path string
		body               any
		status             int
	}{
		{"a second mobile without the first", "POST", "phoneMethods", phone("alternateMobile", "+1 2065550101"), 400},
		{"a number without a country", "POST", "phoneMethods", phone("mobile", "2065550101"), 400},
		{"no number", "POST", "phoneMethods", map[string]any{"phoneType": "mobile"}, 400},
		{"a mobile", "POST", "phoneMethods", phone("mobile", "+1 2065550101"), 201},
		{"another mobile", "POST", "phoneMethods", phone("mobile", "+1 2065550102"), 400},
		{"a second mobile", "POST", "phoneMethods", phone("alternateMobile", "+1 2065550103x12"), 201},
		{"the mobile before the second", "DELETE", "phoneMethods/" + mobile, nil, 400},
		{"another type", "PATCH", "phoneMethods/" + mobile, phone("office", "+1 2065550101"), 400},
		{"another number", "PATCH", "phoneMethods/" + mobile, map[string]any{"phoneNumber": "+1 2065550109"}, 204},
		{"an address", "POST", "emailMethods", map[string]any{"emailAddress": "me@home.example"}, 201},
		{"another address", "POST", "emailMethods", map[string]any{"emailAddress": "us@home.example"}, 400},
		{"no address", "PATCH", "emailMethods/" + email, map[string]any{"emailAddress": "home"}, 400},
		{"what is changed where all are told", "PATCH", "methods/" + mobile, map[string]any{"phoneNumber": "+1 2065550101"}, 405},
		{"what is made where all are told", "POST", "methods", phone("office", "+1 2065550101"), 405},
		{"a key", "POST", "fido2Methods", map[string]any{"displayName": "Key"}, 405},
		{"one that nobody has", "GET", "methods/" + "e37fc753-ff3b-4958-9484-eaa9425c82bc", nil, 404},
	} {
		if status, answer := at.Do(r.method, where+r.path, r.body); status != r.status {
			t.Errorf("%s: %d, want %d: %v", r.name, status, r.status, answer)
		}
	}
	if got := kinds(); !slices.Equal(got, []string{"emailAuthenticationMethod", "passwordAuthenticationMethod", "phoneAuthenticationMethod", "phoneAuthenticationMethod"}) {
		t.Error(got)
	}
	one := must(t, at, 200, "GET", where+"methods/"+mobile, nil)
	if one["@odata.type"] != "#microsoft.graph.phoneAuthenticationMethod" || one["phoneNumber"] != "+1 2065550109" {
		t.Error(one)
	}
	must(t, at, 204, "DELETE", where+"phoneMethods/"+alternate, nil)
	must(t, at, 204, "DELETE", where+"phoneMethods/"+mobile, nil)
	if got := kinds(); len(got) != 2 {
		t.Error(got)
	}
}

// Every kind of method is told, none with a secret, and only to whom may read them.
func TestMethodsOfEveryKind(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.CaptureApp())
	all, _, _ := c.all("/v1.0/users")
	kinds := map[any]bool{}
	var path string
	for _, u := range all {
		path = "/v1.0/users/" + u["id"].(string) + "/authentication/methods"
		methods, _, _ := c.all(path)
		for _, m := range methods {
			kinds[m["@odata.type"]] = true
			for _, secret := range []string{"password", "secretKey", "temporaryAccessPass", "publicKeyCredential"} {
				if m[secret] != nil {
					t.Errorf("%s is told", secret)
				}
			}
		}
	}
	if len(kinds) != 8 {
		t.Error(kinds)
	}
	at.Deny("UserAuthenticationMethod.Read.All")
	if r := c.do("GET", path, ""); r.status != 403 {
		t.Errorf("without the permission: %d", r.status)
	}
}
