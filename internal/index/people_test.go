package index_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A kind is a sort of object, in the proportions of a tenant of 200,000 people.
type kind struct {
	t     entra.Type
	share int // how many there are
	write func(*teller, int)
}

var kinds = []kind{
	{"user", 200_000, (*teller).user},
	{"group", 20_000, (*teller).group},
	{"application", 2_000, (*teller).application},
	{"servicePrincipal", 5_000, (*teller).servicePrincipal},
	{"conditionalAccessPolicy", 200, (*teller).policy},
}

// Places of kinds.
const (
	users = iota
	groups
	applications
	principals
)

// A crowd is a made-up tenant in numbers: of each object there is only which it is and how often it has changed, and its
// JSON is made when it is asked for, from the seed. So a tenant of any size takes the memory of its memberships.
type crowd struct {
	seed    uint64
	counts  []int // of each kind, those that are gone included
	turns   map[one]int
	gone    map[one]bool
	members [][]uint32 // of each group, users
	links   int
	large   int // members of the largest group, at first
}

// one is an object: of which kind, and which of it.
type one struct{ kind, n int }

// newCrowd makes a tenant so many times as large as one of 227,200 objects and a million memberships, of which the largest group
// has 50,000, and each next one fewer.
func newCrowd(seed uint64, times float64) *crowd {
	c := &crowd{seed: seed, turns: map[one]int{}, gone: map[one]bool{}}
	for _, s := range kinds {
		c.counts = append(c.counts, int(float64(s.share)*times))
	}
	c.counts[len(kinds)-1] = max(20, min(c.counts[len(kinds)-1], 200))
	want, largest := 1_000_000*times, 50_000*times
	low, high := 0.0, 3.0 // how fast sizes fall, by halving
	for range 50 {
		mid, sum := (low+high)/2, 0.0
		for k := range c.counts[groups] {
			sum += math.Floor(largest / math.Pow(float64(k+1), mid))
		}
		if sum > want {
			low = mid
		} else {
			high = mid
		}
	}
	c.members = make([][]uint32, c.counts[groups])
	seen := make([]int32, c.counts[users])
	for k := range c.members {
		r := c.random(100, k, 0)
		n := min(int(largest/math.Pow(float64(k+1), high)), c.counts[users])
		for len(c.members[k]) < n {
			if u := r.IntN(c.counts[users]); seen[u] != int32(k+1) {
				seen[u] = int32(k + 1)
				c.members[k] = append(c.members[k], uint32(u))
			}
		}
		c.links += n
	}
	c.large = len(c.members[0])
	return c
}

func (c *crowd) random(kind, n, turn int) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed+uint64(kind)<<32+uint64(turn)<<40, uint64(n)*0x9e3779b97f4a7c15+1))
}

func (c *crowd) ref(o one) entra.Ref {
	var room [36]byte
	return entra.Ref{Type: kinds[o.kind].t, ID: entra.ID(c.guid(room[:0], o))}
}

// guid appends the ID of an object.
func (c *crowd) guid(b []byte, o one) []byte {
	return appendGUID(b, mix(c.seed+uint64(o.kind)<<56+uint64(o.n)), mix(c.seed+uint64(o.kind)<<56+uint64(o.n)+1<<50))
}

// mix is the end of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func appendGUID(b []byte, high, low uint64) []byte {
	var raw [16]byte
	for i := range 8 {
		raw[i], raw[8+i] = byte(high>>(8*i)), byte(low>>(8*i))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	var text [32]byte
	hex.Encode(text[:], raw[:])
	for i, part := range []struct{ from, to int }{{0, 8}, {8, 12}, {12, 16}, {16, 20}, {20, 32}} {
		if i > 0 {
			b = append(b, '-')
		}
		b = append(b, text[part.from:part.to]...)
	}
	return b
}

// objects is how many there are.
func (c *crowd) objects() int {
	n := -len(c.gone)
	for _, of := range c.counts {
		n += of
	}
	return n
}

// tell appends an object as the service tells it: members in no order, nulls among them.
func (c *crowd) tell(b []byte, o one) []byte {
	t := teller{b: b, c: c, r: c.random(o.kind, o.n, 0), now: c.random(o.kind, o.n, c.turns[o])}
	t.b = append(t.b, `{"id":"`...)
	t.b = append(c.guid(t.b, o), '"')
	kinds[o.kind].write(&t, o.n)
	return append(t.b, '}')
}

// A tape holds what the service tells of all objects of a crowd, in a file, so that telling takes no time when it counts.
type tape struct {
	file  *os.File
	pages []page
	size  int64
}

// A page is some objects of one kind that follow one another.
type page struct {
	off, size int64
	objects   []one
}

// record puts the objects on a tape.
func (c *crowd) record(path string) (*tape, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	t := &tape{file: f}
	out := bufio.NewWriterSize(f, 1<<20)
	var b []byte
	for s, n := range c.counts {
		for first := 0; first < n; first += 64 {
			p := page{off: t.size}
			for n := first; n < min(first+64, c.counts[s]); n++ {
				o := one{s, n}
				if c.gone[o] {
					continue
				}
				b = append(c.tell(b[:0], o), '\n')
				p.objects = append(p.objects, o)
				p.size += int64(len(b))
				if _, err := out.Write(b); err != nil {
					return nil, err
				}
			}
			t.pages = append(t.pages, p)
			t.size += p.size
		}
	}
	return t, out.Flush()
}

// each plays all objects, on all processors. What do is given it may not keep.
func (t *tape) each(ctx context.Context, do func(worker int, o one, raw []byte) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for worker := range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			var b []byte
			for ctx.Err() == nil {
				at := int(next.Add(1)) - 1
				if at >= len(t.pages) {
					return nil
				}
				p := t.pages[at]
				b = slices.Grow(b[:0], int(p.size))[:p.size]
				if _, err := t.file.ReadAt(b, p.off); err != nil {
					return err
				}
				rest := b
				for _, o := range p.objects {
					end := bytes.IndexByte(rest, '\n')
					if err := do(worker, o, rest[:end]); err != nil {
						return err
					}
					rest = rest[end+1:]
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

// memberships yields the links of all groups.
func (c *crowd) memberships(yield func(entra.Link) bool) {
	for k, all := range c.members {
		from := c.ref(one{groups, k})
		if c.gone[one{groups, k}] {
			continue
		}
		for _, u := range all {
			if o := (one{users, int(u)}); !c.gone[o] && !yield(entra.Link{From: from, Rel: "members", To: c.ref(o)}) {
				return
			}
		}
	}
}

// A turn is what happens between two snapshots.
type turn struct {
	put           []one
	gone          []one
	link, relinks []entra.Link // that begin, and that end
}

// change makes so many objects other ones, of which each twentieth is new and each twentieth goes, and half as many links
// end as are changed, and begin.
func (c *crowd) change(number, objects, links int) turn {
	r := c.random(200, number, 0)
	var t turn
	done := map[one]bool{}
	some := func() one {
		for {
			o := one{kind: users}
			at := r.IntN(c.counts[0] + c.counts[1] + c.counts[2] + c.counts[3] + c.counts[4])
			for at >= c.counts[o.kind] {
				at -= c.counts[o.kind]
				o.kind++
			}
			if o.n = at; !c.gone[o] && !done[o] {
				done[o] = true
				return o
			}
		}
	}
	for i := range objects {
		switch {
		case i%20 == 0:
			o := one{users, c.counts[users]}
			c.counts[users]++
			done[o] = true
			t.put = append(t.put, o)
		case i%20 == 10:
			o := some()
			for o.kind != users {
				o = some()
			}
			c.gone[o] = true
			t.gone = append(t.gone, o)
		default:
			o := some()
			c.turns[o] = number
			t.put = append(t.put, o)
		}
	}
	group := func() int { // as often as it has members
		at := r.IntN(c.links)
		for k := range c.members {
			if at -= len(c.members[k]); at < 0 {
				return k
			}
		}
		return 0
	}
	for range links / 2 {
		k := group()
		for len(c.members[k]) == 0 {
			k = group()
		}
		i := r.IntN(len(c.members[k]))
		u := one{users, int(c.members[k][i])}
		c.members[k] = slices.Delete(c.members[k], i, i+1)
		if !c.gone[u] {
			t.relinks = append(t.relinks, entra.Link{From: c.ref(one{groups, k}), Rel: "members", To: c.ref(u)})
		}
		k = group()
		u = one{users, r.IntN(c.counts[users])}
		if !c.gone[u] && !slices.Contains(c.members[k], uint32(u.n)) {
			c.members[k] = append(c.members[k], uint32(u.n))
			t.link = append(t.link, entra.Link{From: c.ref(one{groups, k}), Rel: "members", To: c.ref(u)})
		}
	}
	// Of begin and end of one link the later holds, which is not what is asked here.
	t.relinks = slices.DeleteFunc(t.relinks, func(l entra.Link) bool { return slices.Contains(t.link, l) })
	return t
}

// A teller writes one object.
type teller struct {
	b   []byte
	c   *crowd
	r   *rand.Rand // what an object is
	now *rand.Rand // what changes about it
}

func (t *teller) add(format string, args ...any) { t.b = fmt.Appendf(t.b, format, args...) }

func of(r *rand.Rand, all []string) string { return all[r.IntN(len(all))] }

var (
	given      = pile(0x11, 900, 4, 9)
	family     = pile(0x12, 4000, 4, 11)
	streets    = pile(0x13, 1500, 5, 12)
	cities     = pile(0x14, 120, 4, 11)
	plain      = pile(0x15, 1200, 2, 10) // words of descriptions
	titles     = []string{"Engineer", "Senior Engineer", "Analyst", "Consultant", "Manager", "Account Manager", "Specialist", "Director", "Assistant", "Technician", "Controller", "Buyer", "Planner", "Developer", "Architect"}
	subjects   = []string{"Finance", "Sales", "Marketing", "Operations", "Research", "Human Resources", "Legal", "Support", "Logistics", "Production", "Quality", "Facilities", "Procurement", "Security", "IT"}
	services   = []string{"exchange", "SharePoint", "MicrosoftCommunicationsOnline", "AADPremiumService", "TeamspaceAPI", "YammerEnterprise", "Sway", "ProcessSimple", "PowerAppsService", "MicrosoftStream", "Deskless", "ProjectWorkManagement", "To-Do", "RMSOnline", "SCO", "WhiteboardServices", "MIPExchangeSolutions", "Bing", "OfficeForms", "M365LabelAnalytics"}
	plans      = guids(0x21, 70)
	licences   = guids(0x22, 12)
	permission = guids(0x23, 400)
	countries  = []string{"DE", "FR", "US", "GB", "NL", "SE", "PL", "ES"}
)

// pile makes words that nobody has.
func pile(seed uint64, n, short, long int) []string {
	r := rand.New(rand.NewPCG(seed, seed))
	all := make([]string, n)
	for i := range all {
		b := make([]byte, short+r.IntN(long-short+1))
		for j := range b {
			if j%2 == 0 {
				b[j] = "bcdfghklmnprstvw"[r.IntN(16)]
			} else {
				b[j] = "aeiou"[r.IntN(5)]
			}
		}
		all[i] = string(b)
	}
	return all
}

func guids(seed uint64, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = string(appendGUID(nil, mix(seed<<20+uint64(i)), mix(seed<<40+uint64(i))))
	}
	return all
}

func title(s string) string { return string(s[0]-'a'+'A') + s[1:] }

// day is a time of the last years, to the second.
func day(r *rand.Rand) string {
	return fmt.Sprintf("20%02d-%02d-%02dT%02d:%02d:%02dZ", 16+r.IntN(10), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
}

func digits(r *rand.Rand, n int) string {
	return fmt.Sprintf("%0*d", n, r.Uint64N(uint64(math.Pow10(n))))
}

func bits(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b)
}

func newGUID(r *rand.Rand) string { return string(appendGUID(nil, r.Uint64(), r.Uint64())) }

func words(r *rand.Rand, n int) string {
	s := ""
	for i := range n {
		if i > 0 {
			s += " "
		}
		s += of(r, plain)
	}
	return s
}

func (t *teller) user(n int) {
	r := t.r
	first, last, country := of(r, given), of(r, family), of(r, countries)
	alias := first + "." + last + strconv.Itoa(n)
	name := title(last) + ", " + title(first)
	city := title(of(r, cities))
	t.add(`,"deletedDateTime":null,"accountEnabled":%t,"ageGroup":null,"businessPhones":["+%s %s"],"city":"%s","companyName":"Contoso %s","consentProvidedForMinor":null,"country":"%s","createdDateTime":"%s","creationType":null`,
		r.IntN(20) > 0, digits(r, 2), digits(r, 9), city, country, country, day(r))
	t.add(`,"department":"%s","displayName":"%s","employeeId":"%s","employeeHireDate":"%s","employeeType":"Employee","faxNumber":null,"givenName":"%s","surname":"%s","jobTitle":"%s %s","mail":"%s@contoso.example","mailNickname":"%s","mobilePhone":"+%s %s"`,
		of(t.now, subjects), name, digits(r, 7), day(r)[:10]+"T00:00:00Z", title(first), title(last), of(t.now, titles), of(t.now, subjects), alias, alias, digits(t.now, 2), digits(t.now, 10))
	t.add(`,"officeLocation":"%d/%d","onPremisesDistinguishedName":"CN=%s,OU=%s,OU=People,OU=%s,DC=corp,DC=contoso,DC=example","onPremisesDomainName":"corp.contoso.example","onPremisesImmutableId":"%s","onPremisesSamAccountName":"%s%s","onPremisesSecurityIdentifier":"S-1-5-21-1292428093-1844237615-2146931005-%d","onPremisesSyncEnabled":true,"onPremisesUserPrincipalName":"%s@corp.contoso.example"`,
		1+t.now.IntN(40), 100+t.now.IntN(400), name[:len(name)-2], of(r, subjects), city, bits(r, 16), first[:2], digits(r, 6), 1000+r.IntN(2_000_000), alias)
	t.add(`,"passwordPolicies":null,"postalCode":"%s","preferredDataLocation":null,"preferredLanguage":"%s","proxyAddresses":["SMTP:%s@contoso.example","smtp:%s@contoso.onmicrosoft.example","x500:/o=ExchangeLabs/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn=%s-%s"],"securityIdentifier":"S-1-12-1-%d-%d-%d-%d","state":null,"streetAddress":"%s %d","usageLocation":"%s","userPrincipalName":"%s@contoso.example","userType":"Member"`,
		digits(r, 5), country, alias, alias, newGUID(r)[24:], alias, r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32(), title(of(r, streets)), 1+r.IntN(200), country, alias)
	t.add(`,"identities":[{"signInType":"userPrincipalName","issuer":"contoso.onmicrosoft.example","issuerAssignedId":"%s@contoso.example"}],"onPremisesExtensionAttributes":{"extensionAttribute1":"%s","extensionAttribute2":"%s","extensionAttribute3":null,"extensionAttribute4":"%s"}`,
		alias, digits(r, 6), of(r, plain), digits(r, 4))
	licence := r.IntN(len(licences))
	t.add(`,"assignedLicenses":[{"disabledPlans":[],"skuId":"%s"}],"assignedPlans":[`, licences[licence])
	at := day(r)
	for i := range 6 + licence%4 {
		if i > 0 {
			t.b = append(t.b, ',')
			if r.IntN(5) == 0 {
				at = day(r)
			}
		}
		plan := (licence*5 + i) % len(plans)
		t.add(`{"assignedDateTime":"%s","capabilityStatus":"Enabled","service":"%s","servicePlanId":"%s"}`, at, services[plan%len(services)], plans[plan])
	}
	t.b = append(t.b, ']')
}

func (t *teller) group(n int) {
	r := t.r
	name := title(of(r, plain)) + " " + of(r, subjects)
	nick := of(r, plain) + strconv.Itoa(n)
	t.add(`,"deletedDateTime":null,"classification":null,"createdDateTime":"%s","creationOptions":[],"description":"%s","displayName":"%s %d","expirationDateTime":null,"groupTypes":["Unified"],"isAssignableToRole":null,"mail":"%s@contoso.example","mailEnabled":true,"mailNickname":"%s","membershipRule":null`,
		day(r), words(t.now, 20+t.now.IntN(30)), name, n, nick, nick)
	t.add(`,"onPremisesSyncEnabled":null,"preferredDataLocation":null,"preferredLanguage":null,"proxyAddresses":["SPO:SPO_%s@SPO_%s","SMTP:%s@contoso.example"],"renewedDateTime":"%s","resourceBehaviorOptions":["HideGroupInOutlook","SubscribeMembersToCalendarEventsDisabled","WelcomeEmailDisabled"],"resourceProvisioningOptions":["Team"],"securityEnabled":false,"securityIdentifier":"S-1-12-1-%d-%d-%d-%d","theme":null,"visibility":"Private"`,
		newGUID(r), plans[0], nick, day(r), r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32())
}

// roles are those that an application offers, and what it lets be asked for.
func (t *teller) roles(r *rand.Rand, n int) {
	t.add(`,"appRoles":[`)
	for i := range n {
		if i > 0 {
			t.b = append(t.b, ',')
		}
		t.add(`{"allowedMemberTypes":["User","Application"],"description":"%s","displayName":"%s","id":"%s","isEnabled":true,"origin":"Application","value":"%s.%s"}`, words(r, 9), words(r, 3), newGUID(r), title(of(r, plain)), title(of(r, plain)))
	}
	t.add(`]`)
}

func (t *teller) application(n int) {
	r := t.r
	t.add(`,"deletedDateTime":null,"appId":"%s","applicationTemplateId":null,"createdDateTime":"%s","displayName":"%s %d","identifierUris":["api://%s"],"notes":"%s","publisherDomain":"contoso.example","signInAudience":"AzureADMyOrg","tags":["HideApp","WindowsAzureActiveDirectoryIntegratedApp"]`,
		newGUID(r), day(r), title(of(r, plain)), n, newGUID(r), words(t.now, 14))
	t.roles(r, 9)
	t.add(`,"api":{"acceptMappedClaims":null,"knownClientApplications":[],"oauth2PermissionScopes":[`)
	for i := range 4 {
		if i > 0 {
			t.b = append(t.b, ',')
		}
		t.add(`{"adminConsentDescription":"%s","adminConsentDisplayName":"%s","id":"%s","isEnabled":true,"type":"User","userConsentDescription":"%s","userConsentDisplayName":"%s","value":"%s.Read"}`, words(r, 12), words(r, 4), newGUID(r), words(r, 10), words(r, 4), title(of(r, plain)))
	}
	t.add(`],"preAuthorizedApplications":[],"requestedAccessTokenVersion":2},"requiredResourceAccess":[`)
	for i := range 2 {
		if i > 0 {
			t.b = append(t.b, ',')
		}
		t.add(`{"resourceAppId":"%s","resourceAccess":[`, permission[i])
		for j := range 9 {
			if j > 0 {
				t.b = append(t.b, ',')
			}
			t.add(`{"id":"%s","type":"Scope"}`, of(r, permission))
		}
		t.add(`]}`)
	}
	t.add(`],"web":{"homePageUrl":"https://%s.contoso.example/","implicitGrantSettings":{"enableAccessTokenIssuance":false,"enableIdTokenIssuance":true},"logoutUrl":null,"redirectUris":[`, of(r, plain))
	for i := range 5 {
		if i > 0 {
			t.b = append(t.b, ',')
		}
		t.add(`"https://%s%d.contoso.example/%s/signin-oidc"`, of(r, plain), n, of(r, plain))
	}
	t.add(`]}`)
	t.credentials(r)
}

func (t *teller) credentials(r *rand.Rand) {
	t.add(`,"keyCredentials":[{"customKeyIdentifier":"%s","displayName":"CN=%s","endDateTime":"%s","key":null,"keyId":"%s","startDateTime":"%s","type":"AsymmetricX509Cert","usage":"Verify"}],"passwordCredentials":[{"customKeyIdentifier":null,"displayName":"%s","endDateTime":"%s","hint":"%s","keyId":"%s","secretText":null,"startDateTime":"%s"}]`,
		bits(r, 20), of(r, plain), day(t.now), newGUID(r), day(r), words(r, 2), day(t.now), bits(r, 2)[:3], newGUID(r), day(r))
}

func (t *teller) servicePrincipal(n int) {
	r := t.r
	app := newGUID(r)
	t.add(`,"deletedDateTime":null,"accountEnabled":true,"alternativeNames":[],"appDescription":"%s","appDisplayName":"%s %d","appId":"%s","appOwnerOrganizationId":"%s","appRoleAssignmentRequired":false,"createdDateTime":"%s","displayName":"%s %d","homepage":"https://%s.example/","loginUrl":null,"logoutUrl":null,"notes":"%s","servicePrincipalNames":["%s","api://%s"],"servicePrincipalType":"Application","signInAudience":"AzureADMultipleOrgs","tags":["WindowsAzureActiveDirectoryIntegratedApp"]`,
		words(r, 14), title(of(r, plain)), n, app, newGUID(r), day(r), title(of(r, plain)), n, of(r, plain), words(t.now, 10), app, app)
	t.roles(r, 7)
	t.add(`,"oauth2PermissionScopes":[`)
	for i := range 4 {
		if i > 0 {
			t.b = append(t.b, ',')
		}
		t.add(`{"adminConsentDescription":"%s","adminConsentDisplayName":"%s","id":"%s","isEnabled":true,"type":"User","userConsentDescription":"%s","userConsentDisplayName":"%s","value":"%s.Read"}`, words(r, 12), words(r, 4), newGUID(r), words(r, 10), words(r, 4), title(of(r, plain)))
	}
	t.add(`],"replyUrls":["https://%s.example/%s","https://%s.example/%s"]`, of(r, plain), of(r, plain), of(r, plain), of(r, plain))
	t.credentials(r)
}

func (t *teller) policy(n int) {
	r := t.r
	list := func(kind, many int) string {
		s := ""
		for i := range many {
			if i > 0 {
				s += ","
			}
			s += `"` + string(t.c.guid(nil, one{kind, r.IntN(t.c.counts[kind])})) + `"`
		}
		return s
	}
	t.add(`,"createdDateTime":"%s","displayName":"CA%03d %s","modifiedDateTime":"%s","state":"enabled","templateId":null,"conditions":{"applications":{"excludeApplications":[],"includeApplications":[%s],"includeAuthenticationContextClassReferences":[],"includeUserActions":[]},"clientAppTypes":["browser","mobileAppsAndDesktopClients"],"locations":{"excludeLocations":["AllTrusted"],"includeLocations":["All"]},"platforms":null,"servicePrincipalRiskLevels":[],"signInRiskLevels":["high","medium"],"userRiskLevels":[],"users":{"excludeGroups":[%s],"excludeRoles":[],"excludeUsers":[%s],"includeGroups":[%s],"includeRoles":[],"includeUsers":[]}}`,
		day(r), n, words(t.now, 5), day(t.now), list(applications, 5), list(groups, 8), list(users, 4), list(groups, 10))
	t.add(`,"grantControls":{"authenticationStrength":null,"builtInControls":["mfa","compliantDevice"],"customAuthenticationFactors":[],"operator":"OR","termsOfUse":[]},"sessionControls":{"applicationEnforcedRestrictions":null,"disableResilienceDefaults":null,"persistentBrowser":{"isEnabled":true,"mode":"never"},"signInFrequency":{"authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true,"type":"hours","value":%d}}`, 1+t.now.IntN(24))
}
