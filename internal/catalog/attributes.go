package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// Custom security attributes. The service lets them be made and never deleted, so what was there is there: it can
// have been changed, and changed back.
// Source: Microsoft Graph documentation, customSecurityAttributeDefinition.
func attributes() []*Resource {
	read, write := []string{"CustomSecAttributeDefinition.Read.All"}, []string{"CustomSecAttributeDefinition.ReadWrite.All"}
	const fixed = "fixed when the attribute is defined"
	return []*Resource{{
		Type: "attributeSet", Chore: defining, Title: "Attribute sets", Doc: "Sets of custom security attributes.",
		List: "/directory/attributeSets", Name: []string{"id"},
		Can: Update, Read: read, Write: write,
		Properties: entries(OnUpdate, "", "description", "maxAttributesPerSet"),
	}, {
		Type: "customSecurityAttributeDefinition", Chore: defining, Title: "Custom security attributes", Doc: "What a tenant can note about people and applications for rules to judge by.",
		List: "/directory/customSecurityAttributeDefinitions", Name: []string{"id"},
		Can: Update, Read: read, Write: write,
		Properties: slices.Concat(
			entries(OnUpdate, "", "description", "status"),
			[]Property{{Name: "attributeSet", Ref: []entra.Type{"attributeSet"}, Reason: fixed}},
			never(fixed, "isCollection", "isSearchable", "name", "type"),
			never("can be turned off, and never on again", "usePreDefinedValuesOnly"),
		),
	}, {
		Type: "allowedValue", Chore: defining, Title: "Values of custom security attributes", Doc: "The values that a custom security attribute can have.",
		List: "/directory/customSecurityAttributeDefinitions/{parent}/allowedValues", Item: "/directory/customSecurityAttributeDefinitions/{parent}/allowedValues/{id}",
		Under: "customSecurityAttributeDefinition", Name: []string{"id"},
		Can: Update, Read: read, Write: write,
		Properties: entries(OnUpdate, "", "isActive"),
	}}
}
