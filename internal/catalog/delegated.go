package catalog

import (
	"maps"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// delegated declares what the service shows to people only, by permissions that an application has only together with
// somebody who signs in.
func delegated() []*Resource {
	return []*Resource{{
		Type: "ownerlessGroupPolicy", Title: "Ownerless group policy", Doc: "Who is asked to own a Microsoft 365 group that has no owner.",
		List: "/policies/ownerlessGroupPolicy", One: true, Chosen: "PATCH", People: true, Name: []string{"id"}, Match: []string{"id"},
		Can: Create | Update, Read: []string{"Group.Read.All"}, Write: []string{"Group.ReadWrite.All"},
		Properties: slices.Concat(
			both("emailInfo", "isEnabled", "maxMembersToNotify", "notificationDurationInWeeks", "policyWebUrl", "targetOwners"),
			[]Property{
				{Name: "enabledGroupIds", Write: Both, Set: true, Ref: []entra.Type{GroupType}},
				{Name: "targetOwners.securityGroups", Set: true, Ref: []entra.Type{GroupType}},
			},
		),
		// To turn it off clears the rest. Source: Microsoft Graph documentation, "Create or update ownerlessGroupPolicy".
		update: func(_ entra.ID, set, _ map[string]any) ([]part, error) {
			if set["isEnabled"] == false {
				maps.DeleteFunc(set, func(name string, _ any) bool { return name != "isEnabled" })
			}
			return nil, nil
		},
	}}
}
