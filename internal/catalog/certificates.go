package catalog

import (
	"slices"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const trustStoreType entra.Type = "certificateBasedAuthPki"

// Whom the tenant trusts to say who somebody is: other identity providers, issuers of tokens, certificate authorities.
func trusts() []*Resource {
	provider := slices.Concat(
		both("displayName", "metadataExchangeUri"),
		[]Property{
			{Name: "issuerUri", Write: Both, Must: true}, {Name: "passiveSignInUri", Write: Both, Must: true},
			{Name: "preferredAuthenticationProtocol", Write: Both, Must: true}, {Name: "signingCertificate", Write: Both, Must: true},
		})
	only := slices.Clone(provider) // of what cannot be created
	for i := range only {
		only[i].Write = OnUpdate
	}
	return []*Resource{{
		Type: federatedType, Title: "Federated credentials", Doc: "Whose tokens an application can sign in with instead of a secret.",
		List: "/applications/{parent}/federatedIdentityCredentials", Item: "/applications/{parent}/federatedIdentityCredentials/{id}", Under: ApplicationType, Expand: "federatedIdentityCredentials", Admits: AsContainer,
		Name: []string{"name"}, Match: []string{"name"},
		Can: Create | Update | Delete, Read: []string{"Application.Read.All"}, Write: []string{"Application.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "name", Write: OnCreate, Must: true, Reason: "fixed when it is created"},
				{Name: "issuer", Write: Both, Must: true},
				{Name: "subject", Write: Both, Ref: []entra.Type{ServicePrincipalType}, Loose: true, Must: true},
				{Name: "audiences", Write: Both, Must: true, Set: true},
			},
			both("description"),
		),
	}, {
		Type: "internalDomainFederation", Chore: federating, Title: "Domain federation", Doc: "Where people of a federated domain are sent to sign in, and whose signature is believed.",
		List: "/domains/{parent}/federationConfiguration", Item: "/domains/{parent}/federationConfiguration/{id}", Under: DomainType, Admits: AsAnyone,
		Name: []string{"displayName", "issuerUri"},
		// A creation would send a domain's people elsewhere to sign in, a deletion lock out those without a password.
		Can: Update, Read: []string{"Domain.Read.All"}, Write: []string{"Domain.ReadWrite.All"},
		Properties: slices.Concat(only,
			entries(OnUpdate, "", "activeSignInUri", "federatedIdpMfaBehavior", "isSignedAuthenticationRequestRequired", "nextSigningCertificate", "passwordResetUri", "promptLoginBehavior", "signOutUri"),
			omit("says when the certificate was last looked for", "signingCertificateUpdateStatus"),
		),
		barren: func(domain map[string]any) bool { return domain["authenticationType"] == "Managed" },
	}, {
		Type: "samlOrWsFedExternalDomainFederation", Chore: federating, Title: "Federation with partners", Doc: "Identity providers of partners, whose people sign in as guests.",
		List: "/directory/federationConfigurations/microsoft.graph.samlOrWsFedExternalDomainFederation",
		Name: []string{"displayName", "issuerUri"},
		// Which domains it is for is read and written by calls of their own, and nothing is created without them.
		Can: Update, Read: []string{"Domain.Read.All"}, Write: []string{"Domain.ReadWrite.All"},
		Properties: only,
	}, {
		Type: "certificateBasedAuthConfiguration", Title: "Certificate authorities of sign-in (old store)", Doc: "The authorities whose certificates people can sign in with, in the place where they were kept at first.",
		List: "/organization/{parent}/certificateBasedAuthConfiguration", Item: "/organization/{parent}/certificateBasedAuthConfiguration/{id}", Under: "organization", Admits: AsAnyone,
		Name: []string{"id"}, Match: []string{"certificateAuthorities"},
		Can: Create | Delete, Read: []string{"Organization.Read.All"}, Write: []string{"Organization.ReadWrite.All"},
		Properties: []Property{
			{Name: "certificateAuthorities", Write: OnCreate, Must: true, Key: "certificate", Reason: "the service does not let it be changed: nobody could sign in with a certificate while it is deleted and made anew"},
			{Name: "certificateAuthorities[].issuer", Omit: true, Reason: "says what the certificate says"},
			{Name: "certificateAuthorities[].issuerSki", Omit: true, Reason: "says what the certificate says"},
		},
	}, {
		Type: trustStoreType, Title: "Trust stores", Doc: "Sets of authorities whose certificates people can sign in with.",
		List: "/directory/publicKeyInfrastructure/certificateBasedAuthConfigurations", Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: []string{"PublicKeyInfrastructure.Read.All"}, Write: []string{"PublicKeyInfrastructure.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{{Name: "displayName", Write: Both, Must: true}},
			omit("says how far a change of it is", "status", "statusDetails"),
			omit("moves with every write", "lastModifiedDateTime"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}, {
		Type: "certificateAuthorityDetail", Title: "Certificate authorities", Doc: "The authorities of a trust store.",
		List: "/directory/publicKeyInfrastructure/certificateBasedAuthConfigurations/{parent}/certificateAuthorities",
		Item: "/directory/publicKeyInfrastructure/certificateBasedAuthConfigurations/{parent}/certificateAuthorities/{id}", Under: trustStoreType, Admits: AsAnyone,
		Name: []string{"displayName", "issuer"}, Match: []string{"certificate"},
		Can: Create | Update | Delete, Read: []string{"PublicKeyInfrastructure.Read.All"}, Write: []string{"PublicKeyInfrastructure.ReadWrite.All"},
		Properties: slices.Concat(
			[]Property{
				{Name: "certificate", Write: OnCreate, Must: true, Reason: "another certificate is another authority"},
				{Name: "certificateAuthorityType", Write: Both, Must: true},
			},
			both("certificateRevocationListUrl", "deltaCertificateRevocationListUrl", "displayName", "isIssuerHintEnabled"),
			never("follows from the certificate", "expirationDateTime", "issuer", "issuerSubjectKeyIdentifier", "thumbprint"),
			never(byService, "createdDateTime"),
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}, {
		Type: "certificateBasedApplicationConfiguration", Title: "Certificate authorities of applications", Doc: "Sets of authorities from which certificates of applications may be demanded to come.",
		List: "/directory/certificateAuthorities/certificateBasedApplicationConfigurations", Version: "beta", Inline: "trustedCertificateAuthorities",
		Name: []string{"displayName"}, Match: []string{"displayName"},
		Can: Create | Update | Delete, Read: []string{"AppCertTrustConfiguration.Read.All"}, Write: []string{"AppCertTrustConfiguration.ReadWrite.All"},
		Properties: slices.Concat(
			both("description", "displayName"),
			[]Property{
				// It is made with them: one that has none is refused.
				{Name: "trustedCertificateAuthorities", Write: OnCreate, Must: true, Key: "certificate", Reason: "the service takes authorities away one by one, and never the last root, so that they cannot all be changed"},
				{Name: "trustedCertificateAuthorities[].id", Omit: true, Reason: byService},
			},
			omit("set only on deleted objects", "deletedDateTime"),
		),
	}}
}
