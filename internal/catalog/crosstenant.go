package catalog

import (
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

const partnerType entra.Type = "crossTenantAccessPolicyConfigurationPartner"

// What people of the tenant may do in other tenants, and those of other tenants in this one.
func crossTenant() []*Resource {
	const write = "Policy.ReadWrite.CrossTenantAccess"
	root := setting("crossTenantAccessPolicy", "crossTenantAccessPolicy", "Cross-tenant access policy", "With which other clouds of Microsoft there can be partners.", write,
		entries(OnUpdate, "", "displayName"), sets(OnUpdate, "", "allowedCloudEndpoints"), never(byService, "description"),
		omit("set only on deleted objects", "deletedDateTime"))

	standard := setting("crossTenantAccessPolicyConfigurationDefault", "crossTenantAccessPolicy/default", "Cross-tenant access default", "What other tenants may do that are not named as partners.", write,
		crossing(OnUpdate),
		entries(OnUpdate, "", "invitationRedemptionIdentityProviderConfiguration"),
		omit("turns false with the first write, for good", "isServiceDefault"))
	standard.Name, standard.Grants = []string{"id"}, true

	const template = "crossTenantAccessPolicy/templates/multiTenantOrganization"
	const sync entra.Type = "multiTenantOrganizationIdentitySyncPolicyTemplate"
	synchronization := setting(sync, template+"IdentitySynchronization", "Multi-tenant synchronisation template", "Whether new members of a multi-tenant organisation may synchronise people into the tenant.", write,
		entries(OnUpdate, "", "templateApplicationLevel", "userSyncInbound"))
	partners := setting("multiTenantOrganizationPartnerConfigurationTemplate", template+"PartnerConfiguration", "Multi-tenant partner template", "What new members of a multi-tenant organisation may do.", write,
		entries(OnUpdate, "", "templateApplicationLevel"),
		slices.DeleteFunc(crossing(OnUpdate), func(p Property) bool {
			switch unit, _, _ := strings.Cut(p.Name, "."); unit {
			case "appServiceConnectInbound", "m365CollaborationInbound", "m365CollaborationOutbound", "tenantRestrictions":
				return true
			}
			return false
		}))
	synchronization.Name, partners.Name = []string{"id"}, []string{"id"}
	partner := &Resource{
		Type: partnerType, Title: "Cross-tenant partners", Doc: "What is agreed with another tenant that differs from the default.",
		List: "/policies/crossTenantAccessPolicy/partners", ID: "tenantId", Name: []string{"tenantId"}, Match: []string{"tenantId"}, Grants: true,
		Can: Create | Update | Delete, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.Read.All", write},
		Properties: slices.Concat(
			[]Property{{Name: "tenantId", Write: OnCreate, Must: true, Reason: "it says which tenant is the partner"}},
			crossing(Both),
			never("set by the service for those who sell or share a licence", "isServiceProvider", "isInMultiTenantOrganization"),
		),
	}
	// The reference names no permission for reading this bin, to people or to applications.
	// Source: Microsoft Graph documentation, "List policyDeletableItem objects".
	const bin = "/policies/deletedItems/crossTenantPartners"
	gone := discarded(partner, "deletedCrossTenantAccessPolicyConfigurationPartner", bin, bin+"/{id}", sealed)
	gone.Version, gone.Unless = "beta", "the service names no permission by which an application may read it"
	gone.Properties = append(gone.Properties, never(byService, "deletedDateTime")...)
	synchronized := &Resource{
		Type: "crossTenantIdentitySyncPolicyPartner", Title: "Cross-tenant synchronisation", Doc: "Whether a partner may synchronise its people into the tenant.",
		List: "/policies/crossTenantAccessPolicy/partners/{parent}/identitySynchronization", Item: "/policies/crossTenantAccessPolicy/partners/{parent}/identitySynchronization",
		One: true, Under: partnerType, Chosen: "PUT", Name: []string{"displayName"}, Match: []string{"displayName"}, Grants: true,
		Can: Create | Update | Delete, Read: []string{"Policy.Read.All"}, Write: []string{"Policy.Read.All", write},
		Properties: slices.Concat(both("displayName", "userSyncInbound"), omit("it is the partner's", "tenantId")),
	}
	// Here it stands by itself, under the ID of the partner.
	const syncBin = "/policies/deletedItems/crossTenantSyncPolicyPartners"
	unsynchronized := discarded(synchronized, "deletedCrossTenantIdentitySyncPolicyPartner", syncBin, syncBin+"/{id}", sealed)
	unsynchronized.ID, unsynchronized.Version, unsynchronized.Unless = "tenantId", gone.Version, gone.Unless
	unsynchronized.Properties = slices.Concat(never(sealed, "displayName", "tenantId", "userSyncInbound"), never(byService, "deletedDateTime"))
	return []*Resource{root, standard, synchronization, partners, partner, gone, synchronized, unsynchronized}
}

// crossing declares what may be done across tenants. People and groups are this tenant's on the way out and the other
// tenant's on the way in, where their IDs mean nothing here; with applications it is the other way round.
func crossing(w Write) (ps []Property) {
	targets := func(name string, p Property) {
		ps = append(ps, Property{Name: name + ".targets", Key: "target"})
		if p.Ref != nil {
			p.Name = name + ".targets[].target"
			ps = append(ps, p)
		}
	}
	ours, apps, theirs := Property{Ref: []entra.Type{UserType, GroupType}}, Property{Ref: []entra.Type{ServicePrincipalType}, By: "appId"}, Property{}
	for _, name := range []string{"b2bCollaboration", "b2bDirectConnect"} {
		ps = append(ps, entries(w, "", name+"Inbound", name+"Outbound")...)
		targets(name+"Inbound.usersAndGroups", theirs)
		targets(name+"Inbound.applications", apps)
		targets(name+"Outbound.usersAndGroups", ours)
		targets(name+"Outbound.applications", theirs)
	}
	ps = append(ps, entries(w, "", "appServiceConnectInbound", "automaticUserConsentSettings", "inboundTrust", "m365CollaborationInbound", "m365CollaborationOutbound", "tenantRestrictions")...)
	targets("appServiceConnectInbound.applications", apps)
	targets("m365CollaborationInbound.users", theirs)
	targets("m365CollaborationOutbound.usersAndGroups", ours)
	targets("tenantRestrictions.usersAndGroups", theirs)
	targets("tenantRestrictions.applications", theirs)
	return ps
}
