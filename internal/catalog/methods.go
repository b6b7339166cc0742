package catalog

import (
	"slices"
	"strings"
)

// What people have registered to prove who they are. Telephones and addresses can be written, each kind in a list of its
// own; the rest is bound to a device or to a secret that only the person has.
// Source: Microsoft Graph documentation, "Microsoft Entra authentication methods API overview".
func methods() []*Resource {
	const registered = "only its person can register it again"
	return []*Resource{{
		Type: "authenticationMethod", Title: "Authentication methods of people", Doc: "With what people prove who they are: telephones, addresses, keys, applications; none of their secrets.",
		List: "/users/{parent}/authentication/methods", Item: "/users/{parent}/authentication/methods/{id}", Under: UserType, Variants: true,
		Silent: true, Unless: "the service is asked about each person, and tells telephone numbers", Grants: true,
		Name: []string{"displayName", "phoneNumber", "emailAddress", "@odata.type"}, Match: []string{"@odata.type", "phoneType"},
		Can: Create | Update | Delete, Read: []string{"UserAuthenticationMethod.Read.All"}, Write: []string{"UserAuthenticationMethod.ReadWrite.All"},
		Properties: slices.Concat(
			entries(OnCreate, whatItIs, "@odata.type", "phoneType"),
			stays("emailAddress", "phoneNumber"),
			never(byService, "createdDateTime"),
			never("follows from policies, and from a switch of its own", "smsSignInState"),
			never(registered, "aaGuid", "attestationCertificates", "attestationLevel", "configurationId", "deviceTag", "displayName", "keyStrength", "model", "passkeyType", "platform"),
			never("fixed when the pass is made", "isUsableOnce", "lifetimeInMinutes", "startDateTime"),
			omit("moves by itself", "isUsable", "methodUsabilityReason", "phoneAppVersion"),
			[]Property{
				{Name: "password", Omit: true, Secret: true, Reason: "the service shows no password"},
				{Name: "publicKeyCredential", Omit: true, Secret: true, Reason: "the service takes it when a key is registered, and never shows it"},
				{Name: "secretKey", Omit: true, Secret: true, Reason: "the service shows it only when it is made"},
				{Name: "temporaryAccessPass", Omit: true, Secret: true, Reason: "the service shows it only when it is made"},
			},
		),
		shelf:  func(m map[string]any) string { return shelves[methodKind(m)] },
		frozen: frozenMethod,
		create: func(set map[string]any, _ Fresh) (map[string]any, error) {
			delete(set, "@odata.type") // the list says it
			return nil, nil
		},
		// Source: Microsoft Graph documentation, "Delete phoneAuthenticationMethod": no second mobile without the first.
		precedes: func(m map[string]any) bool { return m["phoneType"] == "mobile" },
	}}
}

// shelves are the lists in which methods are written, by kind.
var shelves = map[string]string{"phone": "phoneMethods", "email": "emailMethods"}

// methodKind says what sort of method an object is: "phone" or "fido2".
func methodKind(m map[string]any) string {
	return strings.TrimSuffix(strings.TrimPrefix(text(m, "@odata.type"), "#microsoft.graph."), "AuthenticationMethod")
}

func frozenMethod(m map[string]any) string {
	switch kind := methodKind(m); kind {
	case "phone", "email":
		return ""
	case "password":
		return "nobody is shown a password; a new one is set at the person"
	case "temporaryAccessPass":
		return "it is good for a short time, and nobody is shown it again; a new one takes its place"
	case "softwareOath":
		return "nobody is shown its seed; the person registers it again"
	case "fido2", "microsoftAuthenticator", "passwordlessMicrosoftAuthenticator", "platformCredential", "windowsHelloForBusiness":
		return "its key is in a device of the person, who registers it again"
	case "external":
		return "it is registered with another provider"
	}
	return "the service documents no way to bring it back"
}
