package emulator

func deviceKinds() []*family {
	return []*family{{
		path: "devices", types: []string{"device"}, noun: "device", verbs: "PATCH DELETE", delta: true,
		access: access{"directory", []string{"Device.Read.All", "Device.ReadWrite.All", "Directory.Read.All"}, []string{"Device.ReadWrite.All"}, nil},
		change: func(c *call, o, _ *object, in checked) error {
			if flag(o.p["onPremisesSyncEnabled"]) && in.p["accountEnabled"] != nil {
				return mastered()
			}
			for name := range in.p {
				if name != "extensionAttributes" && o.p["operatingSystem"] != "Windows" && c.actor.kind != "user" {
					return denied()
				}
			}
			return nil
		},
		sample: func(t *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"accountEnabled": true, "deviceId": t.fresh(kKey), "displayName": "LAPTOP-" + itoa(i), "operatingSystem": "Windows", "operatingSystemVersion": "10.0.1", "trustType": "AzureAd",
				"isManaged": true, "isCompliant": true, "registrationDateTime": "2026-01-02T00:00:00Z", "physicalIds": list("[GID]:g:" + itoa(i)),
				"extensionAttributes": map[string]any{"extensionAttribute1": "room " + itoa(i)}}
		},
	}, {
		path: "contacts", types: []string{"orgContact"}, noun: "contact", delta: true,
		access: access{"directory", []string{"OrgContact.Read.All", "Directory.Read.All"}, nil, nil},
		sample: func(_ *Tenant, i int, _ *object) map[string]any {
			return map[string]any{"displayName": "Contact " + itoa(i), "mail": "contact" + itoa(i) + "@elsewhere.example", "mailNickname": "contact" + itoa(i), "proxyAddresses": list("SMTP:contact" + itoa(i) + "@elsewhere.example")}
		},
	}, hardwareTokens()}
}

const tokensPath = "directory/authenticationMethodDevices/hardwareOathDevices"

// hardwareTokens show codes for a second factor. Whose each is, its person's methods say.
func hardwareTokens() *family {
	const write = "Policy.ReadWrite.AuthenticationMethod"
	f := &family{path: tokensPath, types: []string{"hardwareOathTokenAuthenticationMethodDevice"}, noun: "hardware OATH token", beta: true, verbs: "POST PATCH DELETE",
		access: access{"directory", []string{"Policy.Read.All", write}, []string{write}, nil}}
	f.create = func(c *call, o *object, _ checked) error {
		if c.t.taken(o.kind, o, func(x *object) bool { return x.live() && x.p["serialNumber"] == o.p["serialNumber"] }) {
			return conflict("serialNumber")
		}
		o.p["status"] = "available"
		if o.p["hashFunction"] == nil {
			o.p["hashFunction"] = "hmacsha1"
		}
		return nil
	}
	free := func(c *call, o *object) error {
		if c.t.tokenOwner(o) != nil {
			return bad("The token is assigned to a user and has to be unassigned first.")
		}
		return nil
	}
	f.change = func(c *call, o, d *object, _ checked) error {
		if n, _ := number(d.p["timeIntervalInSeconds"]); n != 30 && n != 60 {
			return bad("Invalid value specified for property 'timeIntervalInSeconds'.")
		}
		return free(c, o)
	}
	f.remove = free
	f.value = func(t *Tenant, o *object, name string) (any, bool) {
		u := t.tokenOwner(o)
		switch {
		case name == "secretKey":
			return nil, true
		case name == "assignedTo" && u != nil:
			return props{"id": u.id, "displayName": u.p["displayName"]}, true
		case name == "status" && u == nil:
			return "available", true
		}
		return nil, name == "assignedTo"
	}
	f.sample = func(t *Tenant, i int, _ *object) map[string]any {
		p := props{"displayName": "Token " + itoa(i), "serialNumber": "TOTP12345" + itoa(i), "manufacturer": "Contoso", "model": "Hardware Token 1000", "secretKey": "s3cret-of-token", "timeIntervalInSeconds": []int{60, 30, 30}[i], "hashFunction": "hmacsha1", "status": "available"}
		if i > 0 {
			p["_user"], p["status"] = t.first(kUser, samples+1)[i+1].id, "assigned"
		}
		return p
	}
	return f
}

// tokenOwner returns whose a token is; nil where it is nobody's.
func (t *Tenant) tokenOwner(o *object) *object { return t.liveOf(text(o.p["_user"]), kUser) }

// tokens serves the hardware tokens among the methods of a person.
func (c *call) tokens(u *object, rest []string) (answer, error) {
	t, k := c.t, kin().kinds[tokensPath]
	if c.method == "GET" && !c.holds("UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All") || c.method != "GET" && !c.holds("UserAuthenticationMethod.ReadWrite.All") {
		return answer{}, denied()
	}
	give := func(o, to *object) {
		d := o.clone()
		d.p["_user"], d.p["status"] = nil, "available"
		if to != nil {
			d.p["_user"], d.p["status"] = to.id, "assigned"
		}
		t.put(d, []string{"assignedTo"})
		c.audit("Update hardware OATH token", d, nil, u)
	}
	switch {
	case c.method == "POST" && len(rest) == 0:
		body, err := c.object()
		if err != nil {
			return answer{}, err
		}
		id := text(sub(body["device"])["id"])
		if o := t.get(id); !o.live() || o.kind != k {
			return answer{}, notFound(id)
		} else if t.tokenOwner(o) != nil {
			return answer{}, bad("The token is assigned to a user already.")
		} else {
			give(o, u)
		}
		return answer{status: 201, body: appendValue(nil, props{"id": id, "createdDateTime": stamp(t.clock())})}, nil
	case c.method == "DELETE" && len(rest) == 1:
		o := t.get(rest[0])
		if !o.live() || o.kind != k || t.tokenOwner(o) == nil || t.tokenOwner(o).id != u.id {
			return answer{}, notFound(rest[0])
		}
		give(o, nil)
		return answer{status: 204}, nil
	}
	return answer{}, notAllowed()
}

func deviceTies(kinds map[string]kindID) []tie {
	devices := []kindID{kinds["devices"]}
	return []tie{{devices, "registeredOwners", "users", 1, nil}, {devices, "registeredUsers", "users", 0, nil}}
}
