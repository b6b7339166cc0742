package emulator

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// With what people prove who they are. Everybody has a password; the rest is registered, by the person or for them.
// Source: Microsoft Graph documentation, "Microsoft Entra authentication methods API overview".

// The IDs of what a person can have one of.
const (
	passwordMethod = "28c10230-6103-485e-b985-444c60001490"
	emailMethod    = "3ddfcfc8-9383-446f-83cc-3ab9be4be18f"
)

// phoneMethods are the IDs of a person's telephones, by what each is for.
func phoneMethods() map[string]string {
	return map[string]string{
		"mobile":          "3179e48a-750b-4051-897c-87b9720928f7",
		"alternateMobile": "b6332ec1-7057-4abe-9331-3d72feddfe41",
		"office":          "e37fc753-ff3b-4958-9484-eaa9425c82bc",
	}
}

// methodKinds are the lists in which each kind of method is written. What nobody but the person can register can be
// removed there all the same.
func methodKinds() []*family {
	may := access{"directory", []string{"UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"}, []string{"UserAuthenticationMethod.ReadWrite.All"}, nil}
	list := func(name, noun, verbs string) *family {
		return &family{path: "authentication/" + name + "Methods", under: "users", types: []string{name + "AuthenticationMethod"}, noun: noun, verbs: verbs, access: may}
	}
	number := regexp.MustCompile(`^\+\d{1,3} \d{4,14}(x\d+)?$`)
	phone := list("phone", "phone authentication method", "POST PATCH DELETE")
	phone.create = func(c *call, o *object, _ checked) error {
		id, known := phoneMethods()[text(o.p["phoneType"])]
		switch {
		case !known:
			return bad("Invalid value specified for property 'phoneType'.")
		case !number.MatchString(text(o.p["phoneNumber"])):
			return bad("The phone number is not in the format +{country code} {number}x{extension}.")
		case c.methodOf(o, id) != nil:
			return refuse(400, "phoneTypeAlreadyExists", "A phone of type '%s' already exists for the user.", text(o.p["phoneType"]))
		case o.p["phoneType"] == "alternateMobile" && c.methodOf(o, phoneMethods()["mobile"]) == nil:
			return bad("A mobile phone must be set before an alternate mobile phone.")
		}
		o.p["id"], o.p["createdDateTime"], o.p["smsSignInState"] = id, stamp(c.t.clock()), "notEnabled"
		return nil
	}
	phone.change = func(_ *call, o, d *object, in checked) error {
		switch {
		case in.p["phoneType"] != nil && in.p["phoneType"] != o.p["phoneType"]:
			return bad("The type of a phone cannot be changed.")
		case !number.MatchString(text(d.p["phoneNumber"])):
			return bad("The phone number is not in the format +{country code} {number}x{extension}.")
		}
		return nil
	}
	phone.remove = func(c *call, o *object) error {
		if o.p["phoneType"] == "mobile" && c.methodOf(o, phoneMethods()["alternateMobile"]) != nil {
			return bad("The alternate mobile phone must be removed before the mobile phone.")
		}
		return nil
	}
	phone.seed = func(t *Tenant, born string) {
		if !t.o.Every {
			return
		}
		for i, u := range t.first(kUser, 2*samples) {
			for j, kind := range []string{"mobile", "alternateMobile", "office"}[:1+i%3] {
				t.plant("users/{}/authentication/phoneMethods", "", map[string]any{"_parent": u.id, "id": phoneMethods()[kind], "createdDateTime": born, "phoneType": kind, "phoneNumber": "+1 20655501" + itoa(10+10*i+j), "smsSignInState": "notEnabled"})
			}
		}
	}
	email := list("email", "email authentication method", "POST PATCH DELETE")
	email.create = func(c *call, o *object, _ checked) error {
		if c.methodOf(o, emailMethod) != nil {
			return bad("An email method already exists for the user.")
		}
		o.p["id"], o.p["createdDateTime"] = emailMethod, stamp(c.t.clock())
		return checkAddress(o)
	}
	email.change = func(_ *call, _, d *object, _ checked) error { return checkAddress(d) }
	email.sample = func(t *Tenant, i int, _ *object) map[string]any {
		return map[string]any{"id": emailMethod, "createdDateTime": stamp(t.clock()), "emailAddress": "me" + itoa(i) + "@home.example"}
	}
	all := []*family{phone, email}
	for name, p := range map[string]map[string]any{
		"fido2":                   {"aaGuid": "2fc0579f-8113-47ea-b116-bb5a8db9202a", "attestationCertificates": []any{}, "attestationLevel": "attested", "displayName": "Red key", "model": "Security Key"},
		"microsoftAuthenticator":  {"deviceTag": "SoftwareTokenActivated", "displayName": "Pixel", "phoneAppVersion": "6.2001"},
		"softwareOath":            {},
		"temporaryAccessPass":     {"isUsable": true, "isUsableOnce": false, "lifetimeInMinutes": 60, "methodUsabilityReason": "EnabledByPolicy"},
		"windowsHelloForBusiness": {"displayName": "LAPTOP", "keyStrength": "normal"},
	} {
		f := list(name, name+" authentication method", "DELETE")
		f.sample = func(t *Tenant, i int, _ *object) map[string]any {
			m := maps.Clone(p)
			m["id"], m["createdDateTime"] = t.fresh(kKey), stamp(t.clock())
			if name == "temporaryAccessPass" {
				m["startDateTime"] = stamp(t.clock())
			}
			return m
		}
		all = append(all, f)
	}
	slices.SortFunc(all[2:], func(a, b *family) int { return strings.Compare(a.path, b.path) })
	return all
}

func checkAddress(o *object) error {
	if name, domain, ok := strings.Cut(text(o.p["emailAddress"]), "@"); !ok || name == "" || !strings.Contains(domain, ".") {
		return bad("Invalid value specified for property 'emailAddress'.")
	}
	return nil
}

// methodOf is the method of an ID that the person has whom one is of; nil for none.
func (c *call) methodOf(of *object, id string) *object {
	for _, m := range c.t.methodsOf(text(of.p["_parent"])) {
		if text(m.p["id"]) == id {
			return c.see(m)
		}
	}
	return nil
}

// methodsOf are what somebody has registered.
func (t *Tenant) methodsOf(user string) (all []*object) {
	for i, f := range kin().all {
		if f.under == "users" && strings.HasSuffix(f.types[0], "AuthenticationMethod") {
			all = append(all, liveOnly(t.joined(firstFamily+kindID(i), "_parent", user))...)
		}
	}
	return all
}

// methods serves all the methods of a person at once, which say of what kind they are and cannot be written there.
func (c *call) methods(user *object, rest []string) (answer, error) {
	if !c.holds("UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All") {
		return answer{}, denied()
	}
	if c.method != "GET" {
		return answer{}, notAllowed()
	}
	password := &object{kind: kNone, typ: "passwordAuthenticationMethod", id: passwordMethod, p: map[string]any{"id": passwordMethod, "createdDateTime": user.p["createdDateTime"]}}
	all := append([]*object{password}, c.t.methodsOf(user.id)...)
	if len(rest) == 0 {
		l := listing{kind: kin().kinds["users/{}/authentication/phoneMethods"], name: "users('" + user.id + "')/authentication/methods", n: len(all), annotate: true, at: func(i int) *object {
			if i == 0 {
				return password
			}
			return c.see(all[i])
		}}
		for _, o := range all {
			l.types = append(l.types, c.t.schema.Types[o.typ])
		}
		return c.page(l)
	}
	for _, o := range all {
		if len(rest) == 1 && strings.EqualFold(text(o.p["id"]), rest[0]) {
			if o != password {
				o = c.see(o)
			}
			if o == nil {
				break
			}
			c.said = true
			return c.one(o)
		}
	}
	return answer{}, notFound(rest[0])
}
