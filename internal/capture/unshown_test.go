package capture_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// What Microsoft's reference does not show, a service may not have: however it says so the capture is whole, until a
// service that had it has it no more.
func TestWhatAServiceMayNotHave(t *testing.T) {
	unknown := []entra.Type{"identityProtectionPolicy", "enrichedAuditLogs", "privateAccessPublishingProfile", "intunePfxPublishingProfile", "intunePfxAgent", "intunePfxAgentGroup",
		"intunePfxPublishedResource", "oflineDomainJoinPublishingProfile", "oflineDomainJoinAgent", "oflineDomainJoinAgentGroup", "oflineDomainJoinPublishedResource"}
	for _, tt := range []struct {
		status int
		body   string
		want   snapshot.Coverage
	}{
		{400, `{"error":{"code":"BadRequest","message":"Resource not found for the segment 'policy'."}}`, snapshot.Unsupported},
		{400, `{"error":{"code":"BadRequest","message":"Invalid publishing type."}}`, snapshot.Unsupported},
		{400, `{"error":{"code":"BadRequest","message":"The tenant is not licensed for it."}}`, snapshot.Unlicensed},
		{404, `{"error":{"code":"ResourceNotFound","message":"Not found"}}`, snapshot.Unsupported},
		{405, `{"error":{"code":"BadRequest","message":"Not allowed"}}`, snapshot.Unsupported},
		{501, `{"error":{"code":"NotImplemented","message":"Not implemented"}}`, snapshot.Unsupported},
		{403, `{"error":{"code":"Forbidden","message":"Access denied"}}`, snapshot.Denied},
		{403, `{"error":{"code":"Authentication_RequestFromNonPremiumTenantOrB2CTenant","message":"premium"}}`, snapshot.Unlicensed},
		{500, `{"error":{"code":"InternalServerError","message":"Unable to find target address"}}`, snapshot.Failed},
	} {
		tenant := lab.Start(t, emulator.Options{Every: true})
		synctest.Test(t, func(t *testing.T) {
			l := lab.New(t, tenant)
			l.SignIn()
			for _, name := range unknown {
				r, ok := catalog.Lookup(name)
				if !ok || !r.Unshown {
					t.Fatalf("%s is declared as if the reference showed it", name)
				}
				tenant.Inject(emulator.Fault{Match: "GET ^/beta" + r.List + `(\?.*)?$`, Status: tt.status, Times: -1, Body: tt.body})
			}
			s := l.Capture()
			for _, name := range unknown {
				if p := s.Part(name, ""); p.Coverage != tt.want || p.Objects != 0 {
					t.Errorf("%d %s: %s is %s, %d objects: %s", tt.status, tt.body, name, p.Coverage, p.Objects, p.Reason)
				}
			}
			if s.Whole() == tt.want.Gap() {
				t.Errorf("%d: the capture is whole: %t", tt.status, s.Whole())
			}
		})
	}
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		l.Capture()
		tenant.Inject(emulator.Fault{Match: "GET /beta/identityProtection/policy", Status: 400, Times: -1, Body: `{"error":{"code":"BadRequest","message":"Gone."}}`})
		if p := l.Capture().Part("identityProtectionPolicy", ""); p.Coverage != snapshot.Failed || p.Objects != 1 {
			t.Errorf("what was there once is %s, %d objects: %s", p.Coverage, p.Objects, p.Reason)
		}
	})
}

// What an application provisions with is kept but for its credentials, and may not be there to be read.
func TestProvisioningSettings(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		const match = `GET /synchronization/secrets$`
		for _, tt := range []struct {
			status int
			body   string
			want   snapshot.Coverage
		}{
			{400, `{"error":{"code":"BadRequest","message":"Invalid request."}}`, snapshot.Unsupported},
			{403, `{"error":{"code":"Forbidden","message":"Access denied"}}`, snapshot.Denied},
			{405, `{"error":{"code":"BadRequest","message":"Not allowed"}}`, snapshot.Unsupported},
			{200, `{"@odata.context":"x","value":[]}`, snapshot.Complete},
			{200, `{"@odata.context":"x"}`, snapshot.Failed},
			{200, `{"@odata.context":"x","value":null}`, snapshot.Failed},
		} {
			tenant.Inject(emulator.Fault{Match: match, Status: tt.status, Times: -1, Body: tt.body})
			if p := l.Capture().Part("synchronizationSecrets", ""); p.Coverage != tt.want || p.Objects != 0 {
				t.Errorf("%d: %s, %d objects: %s", tt.status, p.Coverage, p.Objects, p.Reason)
			}
			tenant.ClearFaults()
		}
		s, n := l.Capture(), 0
		tree := l.Tree(s)
		for e, err := range tree.Entries(t.Context(), "synchronizationSecrets") {
			if err != nil {
				t.Fatal(err)
			}
			o, err := tree.Object(t.Context(), e.Ref)
			if body := string(o.Body); err != nil || strings.Contains(body, "s3cret") || !strings.Contains(body, "DeleteThresholdValue") || !strings.Contains(body, `"https://scim.example"`) {
				t.Error(body, err)
			}
			n++
		}
		if p := s.Part("synchronizationSecrets", ""); n == 0 || int64(n) != p.Objects {
			t.Errorf("%d objects; %s, %d: %s", n, p.Coverage, p.Objects, p.Reason)
		}
	})
}
