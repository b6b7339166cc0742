package emulator_test

import (
	"runtime"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

const wide = "/v1.0/users?$top=999&$select=id,accountEnabled,ageGroup,assignedLicenses,businessPhones,city,companyName,country,createdDateTime,department,displayName,employeeId,employeeOrgData,employeeType,givenName,identities,jobTitle,licenseAssignmentStates,mail,mailNickname,mobilePhone,officeLocation,onPremisesExtensionAttributes,onPremisesSyncEnabled,otherMails,passwordPolicies,postalCode,preferredLanguage,proxyAddresses,securityIdentifier,state,streetAddress,surname,usageLocation,userPrincipalName,userType"

// A hundred thousand users are listed without being held.
func TestLargeTenant(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred thousand users")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	at := start(t, emulator.Options{Users: 100_000, Groups: 2000, Apps: 50})
	c := newClient(t, at, at.CaptureApp())
	n, target := 0, wide
	for target != "" {
		r := c.do("GET", target, "")
		if r.status != 200 {
			t.Fatalf("%d %s", r.status, r.raw)
		}
		n += len(r.items())
		target = r.text("@odata.nextLink")
	}
	if n != 100_000 {
		t.Errorf("%d users", n)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the tenant holds %d MiB", grown>>20)
	}
	upn := c.do("GET", "/v1.0/users?$top=1&$filter=userPrincipalName%20eq%20'security.admin@contoso.example'", "")
	if len(upn.items()) != 1 {
		t.Errorf("look-up: %s", upn.raw)
	}
}

func BenchmarkListUsers(b *testing.B) {
	at, err := emulator.Start(emulator.Options{Users: 100_000})
	if err != nil {
		b.Fatal(err)
	}
	defer at.Close()
	b.ReportAllocs()
	for b.Loop() {
		if s, _ := at.Do("GET", wide, nil); s != 200 {
			b.Fatal(s)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		at, err := emulator.Start(emulator.Options{Users: 100_000, Groups: 2000, Apps: 2000})
		if err != nil {
			b.Fatal(err)
		}
		at.Close()
	}
}
