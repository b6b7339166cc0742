package capture_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/diff"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A listing that breaks after some pages has seen what arrived: what is new on them is news, what is missing from
// them is not gone.
func TestPagesThatArrivedCount(t *testing.T) {
	// Pages are of ten at most, some short and some empty; who is new comes after the forty that were there.
	news := 0
	for _, page := range []int{2, 5, 6, 7} {
		t.Run(fmt.Sprint(page), func(t *testing.T) {
			l := lab.New(t, lab.Start(t, emulator.Options{Users: 40}))
			l.Wire.Top = 10
			first := l.Capture()
			made := map[string]bool{}
			for i := range 25 {
				status, answer := l.Tenant.Do("POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": fmt.Sprintf("New %d", i), "mailNickname": fmt.Sprintf("new%d", i),
					"userPrincipalName": fmt.Sprintf("new%d@contoso.example", i), "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})
				if status != 201 {
					t.Fatalf("%d %v", status, answer)
				}
				made[fmt.Sprint(answer["id"])] = true
			}
			l.Tenant.Inject(emulator.Fault{Match: "GET /v1.0/users", Page: page, Times: -1, Status: 400})
			var mu sync.Mutex
			arrived := map[string]bool{} // of the new people, those on a page that the capture got
			l.Wire.Meddle = func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
				r.Header.Del("Accept-Encoding")
				answer, err := pass()
				if err != nil || r.URL.Path != "/v1.0/users" || r.URL.Query().Has("$expand") {
					return answer, err
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body = io.NopCloser(bytes.NewReader(body))
				mu.Lock()
				defer mu.Unlock()
				for id := range made {
					if bytes.Contains(body, []byte(id)) {
						arrived[id] = true
					}
				}
				return answer, err
			}
			broken := l.Full()
			l.Wire.Meddle = nil
			if p := broken.Part("user", ""); p.Coverage != snapshot.Partial {
				t.Fatalf("coverage is %s", p.Coverage)
			}
			news += len(arrived)
			seen := 0
			for c, err := range diff.Trees(t.Context(), l.Tree(first), l.Tree(broken), diff.Options{Types: []entra.Type{"user"}}) {
				if err != nil {
					t.Fatal(err)
				}
				if c.IsLink() {
					continue
				}
				seen++
				if !made[string(c.Ref.ID)] || c.Kind != diff.Added {
					t.Errorf("%s %s, which did not change", c.Kind, c.Ref)
				}
			}
			if seen != len(arrived) {
				t.Errorf("%d of the new people were reported, %d arrived", seen, len(arrived))
			}
			l.Tenant.ClearFaults()
			healed := l.Capture()
			if p := healed.Part("user", ""); p.Coverage != snapshot.Complete || p.Objects != 65 {
				t.Errorf("%s with %d users in the end, want 65", p.Coverage, p.Objects)
			}
		})
	}
	if news == 0 {
		t.Error("nobody new was on a page that arrived")
	}
}

// A listing that says nothing of much that is there, page by page as if it were whole, is not believed.
func TestAShrunkenListingIsNotBelieved(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{Users: 200}))
	first := l.Capture()
	l.Tenant.Inject(emulator.Fault{Match: `GET ^/users\?`, Status: 200, Body: `{"value":[]}`, Times: -1})
	empty := l.Full()
	if p := empty.Part("user", ""); p.Coverage == snapshot.Complete || !strings.Contains(p.Reason, "is there when asked for by itself") {
		t.Errorf("an empty listing counts: %s %s", p.Coverage, p.Reason)
	}
	if p := empty.Part("user", ""); p.Objects != first.Part("user", "").Objects {
		t.Errorf("%d users are left", p.Objects)
	}
	l.Tenant.ClearFaults()

	// People who are really gone are gone, however many at once.
	n := 0
	for e, err := range l.Tree(first).Entries(t.Context(), "user") {
		if err != nil {
			t.Fatal(err)
		}
		if n == 60 {
			break
		}
		if status, _ := l.Tenant.Do("DELETE", "/v1.0/users/"+string(e.Ref.ID), nil); status == 204 {
			n++
		}
	}
	after := l.Capture()
	if p := after.Part("user", ""); p.Coverage != snapshot.Complete || p.Removed != int64(n) {
		t.Errorf("%s, %d removed, want %d: %s", p.Coverage, p.Removed, n, p.Reason)
	}
}

// A missing permission costs its part, with the word for it; so does a missing licence.
func TestOneRefusalCostsOnePart(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	l.Capture()
	l.Tenant.Deny("Policy.Read.All")
	denied := l.Capture()
	if p := denied.Part("conditionalAccessPolicy", ""); p.Coverage != snapshot.Denied {
		t.Errorf("policies are %s", p.Coverage)
	}
	if p := denied.Part("user", ""); p.Coverage != snapshot.Complete {
		t.Errorf("users are %s: %s", p.Coverage, p.Reason)
	}
	l.Tenant.Grant("Policy.Read.All")
	l.Tenant.Inject(emulator.Fault{Match: "GET /v1.0/auditLogs/directoryAudits", Status: 403, Times: -1,
		Body: `{"error":{"code":"Authentication_RequestFromNonPremiumTenantOrB2CTenant","message":"Neither tenant is B2C or tenant doesn't have premium license"}}`})
	if p := l.Capture().Part("directoryAudit", ""); p.Coverage != snapshot.Unlicensed {
		t.Errorf("the audit log is %s: %s", p.Coverage, p.Reason)
	}
	for _, refusal := range []struct {
		status     int
		code, says string
	}{
		{403, "NoLicense", "User is not authorized to perform the operation. Reason: Tenant does not meet license requirement!"},
		{403, "NoGovernanceSku", "This feature requires a Microsoft Entra ID Governance Subscription"},
		{400, "AadPremiumLicenseRequired", "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license."},
		{403, "UnknownError", "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license."},
	} {
		l.Tenant.ClearFaults()
		for _, version := range []string{"/v1.0", "/beta"} {
			l.Tenant.Inject(emulator.Fault{Match: "GET " + version + "/identityGovernance", Status: refusal.status, Times: -1, Body: fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, refusal.code, refusal.says)})
		}
		s, n := l.Full(), 0
		for r := range catalog.All() {
			if strings.HasPrefix(r.List, "/identityGovernance/") && !r.People {
				n++
				if p := s.Part(r.Type, ""); p.Coverage != snapshot.Unlicensed {
					t.Errorf("%s: %s is %s: %s", refusal.code, r.Type, p.Coverage, p.Reason)
				}
			}
		}
		if n == 0 {
			t.Error("nothing was refused")
		}
	}
}

// An unchanged tenant costs a second capture nothing but a snapshot line.
func TestNothingChangedIsOneSmallBlob(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{Users: 1000}))
	first := l.Capture()
	second := l.Capture()
	var sizes []int64
	for rec, err := range l.Repo.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Number == first.Number || rec.Number == second.Number {
			var size int64
			for _, b := range rec.Blobs {
				size += b.Size
			}
			sizes = append(sizes, size)
		}
	}
	if len(sizes) != 2 || sizes[1]*10 > sizes[0] || sizes[1] > int64(160*len(second.Parts)) {
		t.Errorf("the snapshots take %v bytes", sizes)
	}
	for _, p := range second.Parts {
		if p.Added+p.Removed+p.Changed+p.Linked+p.Unlinked != 0 {
			t.Errorf("%s %s changed: %+v", p.Type, p.Relation, p)
		}
	}
}

// What was left out by configuration is skipped and keeps what was known.
func TestExcludedTypesAreSkipped(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	first := l.Capture()
	s, err := capture.Run(t.Context(), l.Reader, l.Repo, l.Index, l.Tenant.Now, capture.Options{Exclude: []entra.Type{"group"}})
	if err != nil {
		t.Fatal(err)
	}
	l.Follow()
	for _, rel := range []string{"", "members", "owners"} {
		if p := s.Part("group", rel); p.Coverage != snapshot.Skipped || p.Objects+p.Links != first.Part("group", rel).Objects+first.Part("group", rel).Links {
			t.Errorf("group %s: %s, %d objects and links", rel, p.Coverage, p.Objects+p.Links)
		}
	}
	if !s.Whole() {
		t.Error("what its owner left out makes a snapshot partial")
	}
}

// A list that is begun in a batch is followed to its end: the many who have a role in one application come on
// several pages, which once counted as a broken delta round.
func TestListsOfABatchAreFollowed(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	whole := l.Capture()
	l = lab.New(t, l.Tenant)
	l.Wire.Top = 2
	s := l.Capture()
	if len(s.Parts) == 0 {
		t.Fatal("no parts")
	}
	for _, p := range s.Parts {
		if !forPeople(p.Type) && (p.Coverage != snapshot.Complete || p.Root != whole.Part(p.Type, p.Relation).Root) {
			t.Errorf("%s %s: in pages of two it is %s, and not what it is in one: %s", p.Type, p.Relation, p.Coverage, p.Reason)
		}
	}
	followed := 0
	for _, q := range l.Tenant.Requests() {
		if strings.Contains(q.Path, "/appRoleAssignedTo?") && strings.Contains(q.Path, "skiptoken") {
			followed++
		}
	}
	if followed == 0 {
		t.Error("no list of a batch had a second page")
	}
}

// Links that a round leaves out without a word are asked for object by object before they count as gone.
func TestVanishedLinksAreAskedForAgain(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{Users: 400, Groups: 40}))
	first := l.Capture()
	l.Tenant.Inject(emulator.Fault{Match: `GET ^/groups/delta`, Times: -1, Status: 200, Body: everyGroup(t, l, first)})
	second := l.Full()
	if was, p := first.Part("group", "members"), second.Part("group", "members"); was.Links < 40 || p.Coverage != snapshot.Complete || p.Root != was.Root {
		t.Errorf("of %d members %d are left, %d counted as gone; %s %s", was.Links, p.Links, p.Unlinked, p.Coverage, p.Reason)
	}
}

// everyGroup is a delta round in which every group is there and none has a member.
func everyGroup(t *testing.T, l *lab.Lab, s *snapshot.Snapshot) string {
	t.Helper()
	var items []string
	for e, err := range l.Tree(s).Entries(t.Context(), "group") {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, fmt.Sprintf(`{"id":%q}`, e.Ref.ID))
	}
	return `{"value":[` + strings.Join(items, ",") + `],"@odata.deltaLink":"` + l.Tenant.URL() + `/v1.0/groups/delta?$deltatoken=x"}`
}

// An object that went while the capture read what it contains is no fault; one that is there is.
func TestNotFoundInTheMiddle(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	first := l.Capture()
	var groups []entra.ID
	for e, err := range l.Tree(first).Entries(t.Context(), "group") {
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, e.Ref.ID)
	}
	owners := "GET /v1.0/groups/" + string(groups[0]) + "/owners"
	l.Tenant.Inject(emulator.Fault{Match: owners, Status: 404, Times: -1})
	if p := l.Full().Part("group", "owners"); p.Coverage != snapshot.Partial || p.Unlinked != 0 {
		t.Errorf("the owners of a group that is there are not found: %s, %d unlinked: %s", p.Coverage, p.Unlinked, p.Reason)
	}
	l.Tenant.Inject(emulator.Fault{Match: "GET /v1.0/groups/" + string(groups[0]) + "?", Status: 404, Times: -1})
	if p := l.Full().Part("group", "owners"); p.Coverage != snapshot.Complete {
		t.Errorf("a group went: %s: %s", p.Coverage, p.Reason)
	}
}

// What a tenant could do before and cannot now is a fault of the service, and does not pass in silence.
func TestACollectionThatIsNoLongerThere(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{})
	list := emulator.Fault{Match: "GET ^/policies/authenticationStrengthPolicies", Status: 501, Times: -1}
	l := lab.New(t, tenant)
	l.Capture()
	tenant.Inject(list)
	if s := l.Capture(); s.Part("authenticationStrengthPolicy", "").Coverage != snapshot.Failed || s.Whole() {
		t.Errorf("it was there: %s", s.Part("authenticationStrengthPolicy", "").Coverage)
	}
	if s := lab.New(t, tenant).Capture(); s.Part("authenticationStrengthPolicy", "").Coverage != snapshot.Unsupported || !s.Whole() {
		t.Errorf("it never was there: %s", s.Part("authenticationStrengthPolicy", "").Coverage)
	}
}

// Groups whose members the service hides from this identity are holes: what was known of them stays.
func TestHiddenMembersAreHoles(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	if status, g := l.Tenant.Do("POST", "/v1.0/groups", map[string]any{"displayName": "Hidden", "mailNickname": "hidden", "mailEnabled": true, "securityEnabled": false,
		"groupTypes": []string{"Unified"}, "visibility": "HiddenMembership"}); status != 201 {
		t.Fatalf("%d %v", status, g)
	} else if status, a := l.Tenant.Do("POST", fmt.Sprintf("/v1.0/groups/%v/members/$ref", g["id"]), map[string]any{"@odata.id": l.Tenant.URL() + "/v1.0/directoryObjects/" + l.Tenant.Find("users", "Ada Admin")}); status != 204 {
		t.Fatalf("%d %v", status, a)
	}
	s, err := capture.Run(t.Context(), l.Reader, l.Repo, l.Index, l.Tenant.Now, capture.Options{Permissions: []string{"Group.Read.All"}})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Part("group", "members")
	if len(p.Holes) != 1 || string(p.Holes[0].ID) != l.Tenant.Find("groups", "Hidden") || !strings.Contains(p.Reason, "hidden") {
		t.Errorf("the holes are %v: %s", p.Holes, p.Reason)
	}
}

// The service tells the members of an enumeration that came later only to those who ask for them.
func TestReadingsAskForUnknownMembers(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	s := l.Capture()
	ref := entra.Ref{Type: "conditionalAccessPolicy", ID: entra.ID(l.Tenant.Find("policies", "Unmanaged devices sign in daily"))}
	if o, err := l.Tree(s).Object(t.Context(), ref); err != nil || !strings.Contains(string(o.Body), `"linux"`) || strings.Contains(string(o.Body), "unknownFutureValue") {
		t.Errorf("%s: %s %v", ref, o.Body, err)
	}
}

// Entries of the audit log that come late are taken in, and none twice.
func TestAuditEntriesOnce(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	for i := range 3 {
		if status, a := l.Tenant.Do("PATCH", "/v1.0/users/"+l.Tenant.Find("users", "Ada Admin"), map[string]any{"jobTitle": fmt.Sprint(i)}); status != 204 {
			t.Fatalf("%d %v", status, a)
		}
		if i == 1 { // a page of it is lost, and has to come with the next reading
			l.Tenant.Inject(emulator.Fault{Match: "GET /v1.0/auditLogs/directoryAudits", Status: 400})
		}
		l.Capture()
	}
	ids := map[string]int{}
	for rec, err := range l.Repo.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Kind != repository.KindSnapshot {
			continue
		}
		for line, err := range l.Repo.Replay(t.Context(), rec) {
			if err != nil {
				t.Fatal(err)
			}
			if entry, ok := line.(repository.AuditEntry); ok {
				id, _ := entry.Body.Get("id")
				ids[fmt.Sprint(id)]++
			}
		}
	}
	if len(ids) != 3 {
		t.Errorf("%d entries, want 3", len(ids))
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("entry %s came %d times", id, n)
		}
	}
}
