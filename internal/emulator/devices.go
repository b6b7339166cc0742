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
	}}
}

func deviceTies(kinds map[string]kindID) []tie {
	devices := []kindID{kinds["devices"]}
	return []tie{{devices, "registeredOwners", "users", 1, nil}, {devices, "registeredUsers", "users", 0, nil}}
}
