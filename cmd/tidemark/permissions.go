package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// graphID is the application ID of Microsoft Graph, the same in every tenant.
const graphID = "00000003-0000-0000-c000-000000000000"

// A resourceAccess is what an application's manifest asks of one resource.
type resourceAccess struct {
	Resource    string       `json:"resourceAppId"`
	Permissions []permission `json:"resourceAccess"`
}

// A permission is one of them, by its ID.
type permission struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// manifest writes permissions as the requiredResourceAccess of an application, which names them by ID, and returns those
// whose ID is not known here. kind is Role for those of applications, and Scope for delegated ones.
func manifest(names []string, ids map[string]string, kind string) (text []byte, unknown []string, err error) {
	a := resourceAccess{Resource: graphID, Permissions: []permission{}}
	for _, name := range names {
		id, ok := ids[name]
		if !ok {
			unknown = append(unknown, name)
			continue
		}
		a.Permissions = append(a.Permissions, permission{id, kind})
	}
	text, err = json.MarshalIndent([]resourceAccess{a}, "", "  ")
	return text, unknown, err
}

// printManifest prints the manifest of one of the two identities.
func (e *env) printManifest(who string) error {
	doc := consent(captureSettings{})
	names := map[string][]string{"capture": doc.Capture, "restore": doc.Restore, "person": doc.Person}[who]
	if names == nil {
		return usage("--manifest takes capture, restore or person, not %q", who)
	}
	ids, kind := permissionIDs, "Role"
	if who == "person" {
		ids, kind = scopeIDs, "Scope"
	}
	text, unknown, err := manifest(names, ids, kind)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if _, err := fmt.Fprintf(e.out, "%s\n", text); err != nil {
		return err
	}
	if len(unknown) > 0 {
		return &exit{code: 3, err: fmt.Errorf("the manifest lacks %s, of which no ID is known", strings.Join(unknown, ", ")), hint: "add them by name, where the application's permissions are set"}
	}
	return nil
}

// scopeIDs are the IDs of delegated permissions of Microsoft Graph, which are the same in every tenant.
var scopeIDs = map[string]string{
	"AgreementAcceptance.Read.All":               "a66a5341-e66e-4897-9d52-c2df58c2bfb9",
	"Application.Read.All":                       "c79f8feb-a9db-4090-85f9-90d820caa0eb",
	"Directory.ReadWrite.All":                    "c5366453-9fb0-48a5-a156-24f0c49a4b84",
	"Group.Read.All":                             "5f8c59db-677d-491f-a6b8-5f174b11ec1d",
	"OnPremisesPublishingProfiles.ReadWrite.All": "8c4d5184-71c2-4bf8-bb9d-bc3378c9ad42",
	"Policy.Read.All":                            "572fea84-0151-49b2-9301-11cb16974376",
	"RiskPreventionProviders.Read.All":           "e197c06f-ae7b-4398-b0a2-89f76ebca159",
}

// permissionIDs are the IDs of application permissions of Microsoft Graph, which are the same in every tenant.
// Source: Microsoft Graph permissions reference.
var permissionIDs = map[string]string{
	"APIConnectors.Read.All":                               "b86848a7-d5b1-41eb-a9b4-54a4e6306e97",
	"APIConnectors.ReadWrite.All":                          "1dfe531a-24a6-4f1b-80f4-7a0dc5a0a171",
	"AccessReview.Read.All":                                "d07a8cc0-3d51-4b77-b3b0-32704d1f69fa",
	"AccessReview.ReadWrite.All":                           "ef5f7d5c-338f-44b0-86c3-351f46c8bb5f",
	"AdministrativeUnit.Read.All":                          "134fd756-38ce-4afd-ba33-e9623dbe66c2",
	"AdministrativeUnit.ReadWrite.All":                     "5eb59dd3-1da2-4329-8733-9dabdc435916",
	"Agreement.Read.All":                                   "2f3e6f8c-093b-4c57-a58b-ba5ce494a169",
	"Agreement.ReadWrite.All":                              "c9090d00-6101-42f0-a729-c41074260d47",
	"AppRoleAssignment.ReadWrite.All":                      "06b708a9-e830-4db3-a914-8e69da51d44f",
	"Application-RemoteDesktopConfig.ReadWrite.All":        "3be0012a-cc4e-426b-895b-f9c836bf6381",
	"Application.Read.All":                                 "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
	"Application.ReadWrite.All":                            "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
	"AuditLog.Read.All":                                    "b0afded3-3588-46d8-8b3d-9842eff778da",
	"AuthenticationContext.Read.All":                       "381f742f-e1f8-4309-b4ab-e3d91ae4c5c1",
	"AuthenticationContext.ReadWrite.All":                  "a88eef72-fed0-4bf7-a2a9-f19df33f8b83",
	"BitlockerKey.ReadBasic.All":                           "f690d423-6b29-4d04-98c6-694c42282419",
	"CloudPC.Read.All":                                     "a9e09520-8ed4-4cde-838e-4fdea192c227",
	"ConsentRequest.Read.All":                              "1260ad83-98fb-4785-abbb-d6cc1806fd41",
	"CustomAuthenticationExtension.Read.All":               "88bb2658-5d9e-454f-aacd-a3933e079526",
	"CustomAuthenticationExtension.ReadWrite.All":          "c2667967-7050-4e7e-b059-4cbbb3811d03",
	"CustomSecAttributeAssignment.Read.All":                "3b37c5a4-1226-493d-bec3-5d6c6b866f3f",
	"CustomSecAttributeAssignment.ReadWrite.All":           "de89b5e4-5b8f-48eb-8925-29c2b33bd8bd",
	"CustomSecAttributeDefinition.Read.All":                "b185aa14-d8d2-42c1-a685-0f5596613624",
	"CustomSecAttributeDefinition.ReadWrite.All":           "12338004-21f4-4896-bf5e-b75dfaf1016d",
	"DelegatedAdminRelationship.Read.All":                  "f6e9e124-4586-492f-adc0-c6f96e4823fd",
	"DelegatedPermissionGrant.Read.All":                    "81b4724a-58aa-41c1-8a55-84ef97466587",
	"DelegatedPermissionGrant.ReadWrite.All":               "8e8e4742-1d95-4f68-9d56-6ee75648c72a",
	"Device.Read.All":                                      "7438b122-aefc-4978-80ed-43db9fcc7715",
	"Device.ReadWrite.All":                                 "1138cb37-bd11-4084-a2b7-9f71582aeddb",
	"DeviceManagementRBAC.Read.All":                        "58ca0d9a-1575-47e1-a3cb-007ef2e4583b",
	"DeviceManagementRBAC.ReadWrite.All":                   "e330c4f0-4170-414e-a55a-2f022ec2b57b",
	"Directory.Read.All":                                   "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
	"Directory.ReadWrite.All":                              "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
	"DirectoryRecommendations.Read.All":                    "ae73097b-cb2a-4447-b064-5d80f6093921",
	"Domain.Read.All":                                      "dbb9058a-0e50-45d7-ae91-66909b5d4664",
	"Domain.ReadWrite.All":                                 "7e05723c-0bb0-42da-be95-ae9f08a6e53c",
	"EntitlementManagement.Read.All":                       "c74fd47d-ed3c-45c3-9a9e-b8676de685d2",
	"EntitlementManagement.ReadWrite.All":                  "9acd699f-1e81-4958-b001-93b1d2506e19",
	"EventListener.Read.All":                               "b7f6385c-6ce6-4639-a480-e23c42ed9784",
	"EventListener.ReadWrite.All":                          "0edf5e9e-4ce8-468a-8432-d08631d18c43",
	"Group.Read.All":                                       "5b567255-7703-4780-807c-7be8301ae99b",
	"Group.ReadWrite.All":                                  "62a82d76-70ea-41e2-9197-370581804d09",
	"GroupMember.Read.All":                                 "98830695-27a2-44f7-8c18-0c3ebc9698f6",
	"GroupMember.ReadWrite.All":                            "dbaae8cf-10b5-4b86-a4a1-f871c94c6695",
	"IdentityProvider.Read.All":                            "e321f0bb-e7f7-481e-bb28-e3b0b32d4bd0",
	"IdentityProvider.ReadWrite.All":                       "90db2b9a-d928-4d33-a4dd-8442ae3d41e4",
	"IdentityRiskEvent.Read.All":                           "6e472fd1-ad78-48da-a0f0-97ab2c6b769e",
	"IdentityRiskyServicePrincipal.Read.All":               "607c7344-0eed-41e5-823a-9695ebe1b7b0",
	"IdentityRiskyUser.Read.All":                           "dc5007c0-2d7d-4c42-879c-2dab87571379",
	"IdentityUserFlow.Read.All":                            "1b0c317f-dd31-4305-9932-259a8b6e8099",
	"IdentityUserFlow.ReadWrite.All":                       "65319a09-a2be-469d-8782-f6b07debf789",
	"LicenseAssignment.Read.All":                           "e2f98668-2877-4f38-a2f4-8202e0717aa1",
	"LicenseAssignment.ReadWrite.All":                      "5facf0c1-8979-4e95-abcf-ff3d079771c0",
	"LifecycleWorkflows.Read.All":                          "7c67316a-232a-4b84-be22-cea2c0906404",
	"LifecycleWorkflows.ReadWrite.All":                     "5c505cf4-8424-4b8e-aa14-ee06e3bb23e3",
	"Member.Read.Hidden":                                   "658aa5d8-239f-45c4-aa12-864f4fc7e490",
	"MultiTenantOrganization.Read.All":                     "4f994bc0-31bb-44bb-b480-7a7c1be8c02e",
	"MultiTenantOrganization.ReadWrite.All":                "920def01-ca61-4d2d-b3df-105b46046a70",
	"NetworkAccess.Read.All":                               "e30060de-caa5-4331-99d3-6ac6c966a9a4",
	"NetworkAccess.ReadWrite.All":                          "b10642fc-a6cf-4c46-87f9-e1f96c2a18aa",
	"NetworkAccessBranch.Read.All":                         "39ae4a24-1ef0-49e8-9d63-2a66f5c39edd",
	"NetworkAccessBranch.ReadWrite.All":                    "8137102d-ec16-4191-aaf8-7aeda8026183",
	"NetworkAccessPolicy.Read.All":                         "8a3d36bf-cb46-4bcc-bec9-8d92829dab84",
	"NetworkAccessPolicy.ReadWrite.All":                    "f0c341be-8348-4989-8e43-660324294538",
	"OnPremDirectorySynchronization.Read.All":              "bb70e231-92dc-4729-aff5-697b3f04be95",
	"OnPremDirectorySynchronization.ReadWrite.All":         "c22a92cc-79bf-4bb1-8b6c-e0a05d3d80ce",
	"OnPremisesPublishingProfiles.ReadWrite.All":           "0b57845e-aa49-4e6f-8109-ce654fffa618",
	"OrgContact.Read.All":                                  "e1a88a34-94c4-4418-be12-c87b00e26bea",
	"Organization.Read.All":                                "498476ce-e0fe-48b0-b801-37ba7e2685c6",
	"Organization.ReadWrite.All":                           "292d869f-3427-49a8-9dab-8c70152b74e9",
	"OrganizationalBranding.Read.All":                      "eb76ac34-0d62-4454-b97c-185e4250dc20",
	"OrganizationalBranding.ReadWrite.All":                 "d2ebfbc1-a5f8-424b-83a6-56ab5927a73c",
	"PeopleSettings.Read.All":                              "ef02f2e7-e22d-4c77-8614-8f765683b86e",
	"PeopleSettings.ReadWrite.All":                         "b6890674-9dd5-4e42-bb15-5af07f541ae1",
	"Policy.Read.All":                                      "246dd0d5-5bd0-4def-940b-0421030a5b68",
	"Policy.Read.B2BManagementPolicy":                      "b41683de-870d-4462-939a-1a3d94f3accf",
	"Policy.Read.ConditionalAccess":                        "37730810-e9ba-4e46-b07e-8ca78d182097",
	"Policy.Read.DeviceConfiguration":                      "bdba4817-6ba1-4a7c-8a01-be9bc7c242dd",
	"Policy.Read.IdentityProtection":                       "b21b72f6-4e6a-4533-9112-47eea9f97b28",
	"Policy.Read.PermissionGrant":                          "9e640839-a198-48fb-8b9a-013fd6f6cbcd",
	"Policy.Read.ServicePrincipalCreate":                   "0272797c-7372-4a0a-aa3a-a259f8d6dd75",
	"Policy.ReadWrite.AccessReview":                        "77c863fd-06c0-47ce-a7eb-49773e89d319",
	"Policy.ReadWrite.ApplicationConfiguration":            "be74164b-cff1-491c-8741-e671cb536e13",
	"Policy.ReadWrite.AuthenticationFlows":                 "25f85f3c-f66c-4205-8cd5-de92dd7f0cec",
	"Policy.ReadWrite.AuthenticationMethod":                "29c18626-4985-4dcd-85c0-193eef327366",
	"Policy.ReadWrite.Authorization":                       "fb221be6-99f2-473f-bd32-01c6a0e9ca3b",
	"Policy.ReadWrite.B2BManagementPolicy":                 "50c51436-099b-4545-b39b-9fdf1274707c",
	"Policy.ReadWrite.ConditionalAccess":                   "01c0a623-fc9b-48e9-b794-0756f8e8f067",
	"Policy.ReadWrite.ConsentRequest":                      "999f8c63-0a38-4f1b-91fd-ed1947bdd1a9",
	"Policy.ReadWrite.CrossTenantAccess":                   "338163d7-f101-4c92-94ba-ca46fe52447c",
	"Policy.ReadWrite.DeviceConfiguration":                 "230fb2d5-aa21-49c1-bfa7-ae1be179d867",
	"Policy.ReadWrite.ExternalIdentities":                  "03cc4f92-788e-4ede-b93f-199424d144a5",
	"Policy.ReadWrite.FeatureRollout":                      "2044e4f1-e56c-435b-925c-44cd8f6ba89a",
	"Policy.ReadWrite.FedTokenValidation":                  "90bbca0b-227c-4cdc-8083-1c6cfb95bac6",
	"Policy.ReadWrite.IdentityProtection":                  "2dcf8603-09eb-4078-b1ec-d30a1a76b873",
	"Policy.ReadWrite.PermissionGrant":                     "a402ca1c-2696-4531-972d-6e5ee4aa11ea",
	"Policy.ReadWrite.SecurityDefaults":                    "1c6e93a6-28e2-4cbb-9f64-1a46a821124d",
	"Policy.ReadWrite.ServicePrincipalCreate":              "3f648e07-9d74-49be-861a-4b6c04092def",
	"PrivilegedAccess.Read.AzureADGroup":                   "01e37dc9-c035-40bd-b438-b2879c4870a6",
	"PrivilegedAccess.ReadWrite.AzureADGroup":              "2f6817f8-7b12-4f0f-bc18-eeaf60705a9e",
	"PrivilegedAssignmentSchedule.Read.AzureADGroup":       "cd4161cb-f098-48f8-a884-1eda9a42434c",
	"PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup":  "41202f2c-f7ab-45be-b001-85c9728b9d69",
	"PrivilegedEligibilitySchedule.Read.AzureADGroup":      "edb419d6-7edc-42a3-9345-509bfdf5d87c",
	"PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup": "618b6020-bca8-4de6-99f6-ef445fa4d857",
	"ProgramControl.Read.All":                              "eedb7fdd-7539-4345-a38b-4839e4a84cbd",
	"PublicKeyInfrastructure.Read.All":                     "214fda0c-514a-4650-b037-b562b1a66124",
	"PublicKeyInfrastructure.ReadWrite.All":                "a2b63618-5350-462d-b1b3-ba6eb3684e26",
	"RoleAssignmentSchedule.Read.Directory":                "d5fe8ce8-684c-4c83-a52c-46e882ce4be1",
	"RoleAssignmentSchedule.ReadWrite.Directory":           "dd199f4a-f148-40a4-a2ec-f0069cc799ec",
	"RoleEligibilitySchedule.Read.Directory":               "ff278e11-4a33-4d0c-83d2-d01dc58929a5",
	"RoleEligibilitySchedule.ReadWrite.Directory":          "fee28b28-e1f3-4841-818e-2704dc62245f",
	"RoleManagement.Read.All":                              "c7fbd983-d9aa-4fa7-84b8-17382c103bc4",
	"RoleManagement.Read.CloudPC":                          "031a549a-bb80-49b6-8032-2068448c6a3c",
	"RoleManagement.Read.Defender":                         "4d6e30d1-e64e-4ae7-bf9d-c706cc928cef",
	"RoleManagement.Read.Directory":                        "483bed4a-2ad3-4361-a73b-c83ccdbdc53c",
	"RoleManagement.Read.Exchange":                         "c769435f-f061-4d0b-8ff1-3d39870e5f85",
	"RoleManagement.ReadWrite.CloudPC":                     "274d0592-d1b6-44bd-af1d-26d259bcb43a",
	"RoleManagement.ReadWrite.Defender":                    "8b7e8c0a-7e9d-4049-97ec-04b5e1bcaf05",
	"RoleManagement.ReadWrite.Directory":                   "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
	"RoleManagementAlert.Read.Directory":                   "ef31918f-2d50-4755-8943-b8638c0a077e",
	"RoleManagementAlert.ReadWrite.Directory":              "11059518-d6a6-4851-98ed-509268489c4a",
	"RoleManagementPolicy.Read.AzureADGroup":               "69e67828-780e-47fd-b28c-7b27d14864e6",
	"RoleManagementPolicy.Read.Directory":                  "fdc4c997-9942-4479-bfcb-75a36d1138df",
	"RoleManagementPolicy.ReadWrite.AzureADGroup":          "b38dcc4d-a239-4ed6-aa84-6c65b284f97c",
	"RoleManagementPolicy.ReadWrite.Directory":             "31e08e0a-d3f7-4ca2-ac39-7343fb83e8ad",
	"SharePointTenantSettings.Read.All":                    "83d4163d-a2d8-4d3b-9695-4ae3ca98f888",
	"SharePointTenantSettings.ReadWrite.All":               "19b94e34-907c-4f43-bde9-38b1909ed408",
	"Synchronization.Read.All":                             "5ba43d2f-fa88-4db2-bd1c-a67c5f0fb1ce",
	"Synchronization.ReadWrite.All":                        "9b50c33d-700f-43b1-b2eb-87e89b703581",
	"Teamwork.Read.All":                                    "75bcfbce-a647-4fba-ad51-b63d73b210f4",
	"User-LifeCycleInfo.Read.All":                          "8556a004-db57-4d7a-8b82-97a13428e96f",
	"User-LifeCycleInfo.ReadWrite.All":                     "925f1248-0f97-47b9-8ec8-538c54e01325",
	"User-PasswordProfile.ReadWrite.All":                   "cc117bb9-00cf-4eb8-b580-ea2a878fe8f7",
	"User.DeleteRestore.All":                               "eccc023d-eccf-4e7b-9683-8813ab36cecc",
	"User.EnableDisableAccount.All":                        "3011c876-62b7-4ada-afa2-506cbbecc68c",
	"User.ManageIdentities.All":                            "c529cfca-c91b-489c-af2b-d92990b66ce6",
	"User.Read.All":                                        "df021288-bdef-4463-88db-98f22de89214",
	"User.ReadWrite.All":                                   "741f803b-c850-494e-b5df-cde7c675a1ca",
	"UserAuthenticationMethod.Read.All":                    "38d9df27-64da-44fd-b7c5-a6fbac20248f",
	"UserAuthenticationMethod.ReadWrite.All":               "50483e42-d915-4231-9639-7fdb7fd190e5",
}
