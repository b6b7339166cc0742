package emulator

import "maps"

// These are shown to people only, whatever an application is permitted.

func delegatedKinds() []*family {
	group := access{"directory", []string{"Group.Read.All", "Group.ReadWrite.All"}, []string{"Group.ReadWrite.All"}, nil}
	return []*family{{
		path: "policies/ownerlessGroupPolicy", types: []string{"ownerlessGroupPolicy"}, one: "ownerlessGroupPolicy", noun: "ownerless group policy", verbs: "PATCH", people: true, access: group,
		seed: func(t *Tenant, _ string) {
			t.plant("policies/ownerlessGroupPolicy", "ownerlessGroupPolicy", map[string]any{"isEnabled": false})
		},
		sample: func(t *Tenant, _ int, _ *object) map[string]any {
			return map[string]any{"isEnabled": true, "maxMembersToNotify": 5, "notificationDurationInWeeks": 4, "policyWebUrl": "https://contoso.example/groups",
				"enabledGroupIds": []any{t.pop.ids.at(kGroup, groupFinance)},
				"emailInfo":       map[string]any{"senderEmailAddress": "it@contoso.example", "subject": "A group needs an owner", "body": "Would you own it?"},
				"targetOwners":    map[string]any{"notifyMembers": "all", "securityGroups": []any{}}}
		},
		change: func(_ *call, o, d *object, _ checked) error {
			if o.p["isEnabled"] == true && d.p["isEnabled"] == false { // which clears the rest
				maps.DeleteFunc(d.p, func(name string, _ any) bool { return name != "id" && name != "isEnabled" })
			}
			return nil
		},
	}}
}
