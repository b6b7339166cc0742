package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const (
	providerType  entra.Type = "identityProviderBase"
	attributeType entra.Type = "identityUserFlowAttribute"
	callType      entra.Type = "customAuthenticationExtension"
)

// How people from outside sign up and in: who vouches for them, what they are asked for, and what is called meanwhile.
func external() []*Resource {
	variant := func(what string, w Write) Property {
		return Property{Name: "@odata.type", Write: w, Must: w != Never, Reason: what + " is fixed"}
	}
	// A write to one of several shapes has to say which it is.
	said := func(_ entra.ID, set, was map[string]any) ([]part, error) {
		return nil, sayType(set, was, func() string { return "" })
	}
	const noSecret = "the service never gives it out; it has to come from where the provider was registered"
	secret := func(name string) Property { return Property{Name: name, Omit: true, Secret: true, Reason: noSecret} }
	// What a flow asks for and speaks is read with it.
	inside := func(t, is entra.Type, in flow, path, title, doc string, names ...string) *Resource {
		return &Resource{
			Type: t, Is: is, Title: title, Doc: doc, Version: in.version,
			List: in.list + "/{parent}/" + path, Item: in.list + "/{parent}/" + path + "/{id}", Under: in.of,
			Name: []string{"displayName"},
			Read: []string{"IdentityUserFlow.Read.All"}, Refusal: noFlow,
			Properties: never("a part of its flow", names...),
		}
	}
	question := func(t, is entra.Type, in flow, title, doc string) *Resource {
		return inside(t, is, in, "userAttributeAssignments", title, doc, "displayName", "isOptional", "requiresVerification", "userAttributeValues", "userInputType")
	}
	language := func(t, is entra.Type, in flow, title, doc string) *Resource {
		return inside(t, is, in, "languages", title, doc, "displayName", "isEnabled")
	}
	guests, customers := flow{"b2xIdentityUserFlow", "v1.0", "/identity/b2xUserFlows"}, flow{"b2cIdentityUserFlow", "beta", "/identity/b2cUserFlows"}
	const profiles = "the service takes these profiles from people only, not from applications"
	return []*Resource{{
		Type: "verifiedIdProfile", Title: "Verified ID profiles", Doc: "Which verified IDs people can show, what is matched with the directory, and for what.",
		List: "/identity/verifiedId/profiles", Name: []string{"name"},
		Read: []string{"VerifiedId-Profile.Read.All"}, Refusal: profiles,
		Properties: slices.Concat(
			[]Property{
				{Name: "verifiedIdProfileConfiguration", Reason: profiles},
				{Name: "verifiedIdProfileConfiguration.claimBindings", Key: "verifiedIdClaim", Reason: profiles},
				{Name: "verifiedIdProfileConfiguration.claimValidation.customExtensionId", Ref: []entra.Type{"customAuthenticationExtension"}, Reason: profiles},
				{Name: "verifiedIdUsageConfigurations", Set: true, Reason: profiles},
			},
			never(profiles, "description", "faceCheckConfiguration", "name", "priority", "state", "verifierDid"),
			omit("moves with every write", "lastModifiedDateTime"),
		),
	}, {
		Type: providerType, Title: "Identity providers", Doc: "Who else may vouch for people that sign in: Google, Facebook, Apple, OpenID Connect.",
		List: "/identity/identityProviders", Variants: true,
		Name: []string{"displayName"},
		// A new one would need its secret, which the service never gives out, so none is made or taken away.
		Can: Update, Read: []string{"IdentityProvider.Read.All"}, Write: []string{"IdentityProvider.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				variant("what kind of provider it is", Never),
				secret("clientSecret"), secret("certificateData"),
				{Name: "clientAuthentication", Reason: "travels with a secret that the service never gives out"},
				secret("clientAuthentication.clientSecret"),
			},
			entries(OnUpdate, "", "clientId", "developerId", "displayName", "inboundClaimMapping", "issuer", "keyId", "responseType", "scope", "serviceId", "wellKnownEndpoint"),
			never("fixed when the provider is made", "identityProviderType"),
		),
		frozen: func(m map[string]any) string {
			if m["@odata.type"] == "#microsoft.graph.builtInIdentityProvider" {
				return "a built-in provider is the same in every tenant and cannot be changed"
			}
			return ""
		},
		update: said,
	}, {
		Type: "identityApiConnector", Title: "API connectors", Doc: "What is called while somebody signs up.",
		List: "/identity/apiConnectors",
		Name: []string{"displayName"},
		// As for providers: a new one needs a password or a private key.
		Can: Update, Read: []string{"APIConnectors.Read.All"}, Write: []string{"APIConnectors.ReadWrite.All"},
		Properties: slices.Concat(
			entries(OnUpdate, "", "displayName", "targetUrl"),
			[]Property{
				{Name: "authenticationConfiguration", Reason: "is replaced whole, with a secret that the service never gives out"},
				{Name: "authenticationConfiguration.certificateList", Key: "thumbprint"},
				secret("authenticationConfiguration.password"), secret("authenticationConfiguration.pkcs12Value"),
			},
		),
	}, {
		Type: attributeType, Title: "User flow attributes", Doc: "What people can be asked for when they sign up.",
		List: "/identity/userFlowAttributes",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: []string{"IdentityUserFlow.Read.All"}, Write: []string{"IdentityUserFlow.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "displayName", Write: OnCreate, Must: true, Reason: "fixed when the attribute is made"},
				{Name: "dataType", Write: OnCreate, Must: true, Reason: "fixed when the attribute is made"},
				{Name: "description", Write: Both, Must: true},
			},
			never("what the tenant makes is custom", "userFlowAttributeType"),
		),
		frozen: func(m map[string]any) string {
			if m["userFlowAttributeType"] != "custom" {
				return "a built-in attribute is the same in every tenant and cannot be changed"
			}
			return ""
		},
	}, {
		Type: callType, Title: "Custom authentication extensions", Doc: "What is called while somebody signs in, such as to add claims to tokens.",
		List: "/identity/customAuthenticationExtensions", Variants: true,
		Name: []string{"displayName"}, Match: []string{"@odata.type", "displayName"},
		Can: Create | Update | Delete, Read: []string{"CustomAuthenticationExtension.Read.All"}, Write: []string{"CustomAuthenticationExtension.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				variant("at what moment it is called", OnCreate),
				{Name: "authenticationConfiguration", Write: Both, Must: true},
				{Name: "authenticationConfiguration.resourceId", Ref: []entra.Type{ApplicationType}, By: "appId"},
				{Name: "claimsForTokenConfiguration", Write: Both, Key: "claimIdInApiResponse"},
			},
			both("behaviorOnError", "clientConfiguration", "description", "displayName", "endpointConfiguration"),
		),
		update: said,
	}, {
		Type: "authenticationEventListener", Title: "Authentication event listeners", Doc: "What is done at which moment of a sign-in, and for which applications.",
		List: "/identity/authenticationEventListeners", Variants: true,
		Name: []string{"displayName", "@odata.type"},
		Read: []string{"EventListener.Read.All"},
		Refusal: "the service does not promise to say for which applications it is and what it calls, and one that " +
			"calls what is not there stops sign-ins",
		Properties: slices.Concat(
			[]Property{
				variant("at what moment it acts", Never),
				{Name: "conditions.applications.includeApplications", Key: "appId"},
				{Name: "conditions.applications.includeApplications[].appId", Ref: []entra.Type{ApplicationType}, By: "appId"},
				{Name: "handler.attributes[].id", Ref: []entra.Type{attributeType}},
				{Name: "handler.customExtension.id", Ref: []entra.Type{callType}},
				{Name: "handler.identityProviders[].id", Ref: []entra.Type{providerType}},
			},
			never("cannot be told whole", "conditions", "displayName", "handler"),
			[]Property{{Name: "authenticationEventsFlowId", Ref: []entra.Type{"authenticationEventsFlow"}, Reason: "the flow makes its listeners itself"}},
		),
	}, {
		Type: "authenticationEventsFlow", Title: "User flows", Doc: "How people from outside sign up, step by step.",
		List: "/identity/authenticationEventsFlows", Variants: true,
		Name: []string{"displayName"},
		Can:  Update, Read: []string{"EventListener.Read.All"}, Write: []string{"EventListener.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				variant("what kind of flow it is", Never),
				{Name: "displayName", Write: OnUpdate, Must: true},
				{Name: "description", Write: OnUpdate},
				{Name: "conditions.applications.includeApplications", Key: "appId"},
				{Name: "conditions.applications.includeApplications[].appId", Ref: []entra.Type{ApplicationType}, By: "appId"},
				{Name: "onAttributeCollection.attributes[].id", Ref: []entra.Type{attributeType}},
				{Name: "onAttributeCollection.attributeCollectionPage.views[].inputs[].attribute", Ref: []entra.Type{attributeType}},
				{Name: "onAttributeCollectionStart.customExtension.id", Ref: []entra.Type{callType}},
				{Name: "onAttributeCollectionSubmit.customExtension.id", Ref: []entra.Type{callType}},
				{Name: "onAuthenticationMethodLoadStart.identityProviders[].id", Ref: []entra.Type{providerType}},
			},
			never("its parts have lists of their own, which the answer need not show whole", "conditions", "onAttributeCollection", "onAttributeCollectionStart",
				"onAttributeCollectionSubmit", "onAuthenticationMethodLoadStart", "onInteractiveAuthFlowStart", "onUserCreateStart"),
		),
		update: said,
	}, {
		Type: "b2xIdentityUserFlow", Title: "Guest sign-up flows", Doc: "How guests sign themselves up: by whose word, and what they are asked for.",
		List: "/identity/b2xUserFlows",
		Name: []string{"id"},
		Read: []string{"IdentityUserFlow.Read.All"}, Refusal: noFlow,
		Properties: slices.Concat(
			never("fixed when the flow is made", "userFlowType", "userFlowTypeVersion"),
			omit("only a reading of one flow gives it", "apiConnectorConfiguration"),
		),
		Links: []Relation{{Rel: "userFlowIdentityProviders", To: []entra.Type{providerType}, Many: true, Path: "/identity/b2xUserFlows/{id}/userFlowIdentityProviders"}},
	}, {
		// A flow is made by a name that becomes its ID, and of many parts: none is made or taken away.
		Type: "b2cIdentityUserFlow", Title: "Customer sign-up flows", Doc: "How customers sign up and in, and reset their passwords, in a tenant that is one for customers.",
		List: "/identity/b2cUserFlows", Version: "beta",
		Name: []string{"id"},
		Can:  Update, Read: []string{"IdentityUserFlow.Read.All"}, Write: []string{"IdentityUserFlow.ReadWrite.All"},
		Properties: slices.Concat(
			entries(OnUpdate, "", "defaultLanguageTag", "isLanguageCustomizationEnabled"),
			never("fixed when the flow is made", "userFlowType", "userFlowTypeVersion"),
			omit("only a reading of one flow gives it", "apiConnectorConfiguration"),
		),
		Links: []Relation{{Rel: "userFlowIdentityProviders", To: []entra.Type{providerType}, Many: true, Path: "/identity/b2cUserFlows/{id}/userFlowIdentityProviders", Write: true, Said: "identity/identityProviders"}},
	},
		question("identityUserFlowAttributeAssignment", "", guests, "Questions of guest sign-up flows", "What a guest sign-up flow asks for."),
		language("userFlowLanguageConfiguration", "", guests, "Languages of guest sign-up flows", "The languages that a guest sign-up flow speaks."),
		question("customerUserFlowAttributeAssignment", "identityUserFlowAttributeAssignment", customers, "Questions of customer sign-up flows", "What a customer sign-up flow asks for."),
		language("customerUserFlowLanguageConfiguration", "userFlowLanguageConfiguration", customers, "Languages of customer sign-up flows", "The languages that a customer sign-up flow speaks."),
	}
}

// A flow is where flows of a type are.
type flow struct {
	of            entra.Type
	version, list string
}

// The name of a flow is its ID, and the answer does not say which attribute a question is about.
const noFlow = "a flow is made whole, by a name that becomes its ID, and what it is made of is not all in the answers"

// What partners and customers have agreed on.
func partners() []*Resource {
	read := []string{"DelegatedAdminRelationship.Read.All"}
	const agreed = "an agreement between two tenants, to which the customer has to say yes"
	return []*Resource{{
		Type: "delegatedAdminRelationship", Chore: agreements, Title: "Delegated administration of customers", Doc: "Which roles in a customer's tenant a partner may use, and until when.",
		List: "/tenantRelationships/delegatedAdminRelationships", Top: 300,
		Name: []string{"displayName"},
		Read: read, Refusal: agreed,
		Properties: slices.Concat(
			[]Property{
				{Name: "accessDetails", Reason: agreed},
				{Name: "accessDetails.unifiedRoles", Key: "roleDefinitionId"},
			},
			never(agreed, "activatedDateTime", "autoExtendDuration", "customer", "displayName", "duration", "endDateTime", "status"),
			never(byService, "createdDateTime"),
			omit("moves with every write", "lastModifiedDateTime"),
		),
	}, {
		Type: "delegatedAdminAccessAssignment", Chore: agreements, Title: "Delegated administrators", Doc: "Which group of the partner has which roles in a customer's tenant.",
		List: "/tenantRelationships/delegatedAdminRelationships/{parent}/accessAssignments", Item: "/tenantRelationships/delegatedAdminRelationships/{parent}/accessAssignments/{id}",
		Under: "delegatedAdminRelationship",
		Name:  []string{"id"},
		Read:  read, Refusal: "it gives power over another tenant, which only a person of the partner should do",
		Properties: slices.Concat(
			[]Property{
				{Name: "accessContainer", Reason: agreed},
				{Name: "accessContainer.accessContainerId", Ref: []entra.Type{GroupType}},
				{Name: "accessDetails", Reason: agreed},
				{Name: "accessDetails.unifiedRoles", Key: "roleDefinitionId"},
			},
			never(agreed, "status"),
			never(byService, "createdDateTime"),
			omit("moves with every write", "lastModifiedDateTime"),
		),
	}}
}
