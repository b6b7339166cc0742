package emulator

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	skuE5 = "06ebc4ee-1bb5-47dd-8120-11324bc54e06"
	skuP2 = "84a661c4-e949-4bd2-a560-ed7766fcaf2b"
	skuP1 = "078d2b04-f1bd-4111-bbd4-b4b1b354cef4"
)

// The first users and groups of every tenant have a part to play.
const (
	userAdmin = iota
	userGlass1
	userGlass2
	userSecurity
	userHelpdesk
	fixedUsers
)

const (
	groupGlass = iota
	groupTierZero
	groupEveryone
	groupE5
	groupPilot
	groupFinance
	groupEngineering
	groupGuests
	fixedGroups
)

// population computes the users and groups of a tenant from the seed. It is
// immutable and safe for concurrent use.
type population struct {
	seed          uint64
	users, groups uint64
	ids           guids
	start         time.Time
	extensions    [extBadges + 1]string // names of what an application defines
	domain        string                // that people have addresses under
	initial       string                // the domain that the tenant was made with
}

func (p population) count(k kindID) uint64 {
	switch k {
	case kUser:
		return p.users
	case kGroup:
		return p.groups
	}
	return 0
}

func (p population) has(k kindID, n uint64) bool { return n < p.count(k) }

func (p population) object(k kindID, n uint64) *object {
	if !p.has(k, n) {
		return nil
	}
	o := &object{kind: k, id: p.ids.at(k, n)}
	switch k {
	case kUser:
		o.typ, o.p = "user", p.user(n, o.id)
	case kGroup:
		o.typ, o.p = "group", p.group(n, o.id)
	}
	return o
}

func (p population) pick(n, salt uint64, from []string) string {
	return from[p.roll(n, salt, uint64(len(from)))]
}

func (p population) roll(n, salt, sides uint64) uint64 {
	return mix(p.seed*0x9e3779b97f4a7c15^mix(n+salt<<48)) % sides
}

func (p population) names(n uint64) (given, sur string) {
	given = p.pick(n, 1, []string{"Amara", "Ben", "Chiara", "Dmitri", "Elif", "Farah", "Goran", "Hana", "Ivo", "Jun", "Kofi", "Lena", "Mateo", "Nadia", "Omar", "Priya", "Quinn", "Rosa", "Sven", "Tala", "Uma", "Viktor", "Wanda", "Ximena", "Yusuf", "Zoe"})
	sur = p.pick(n, 2, []string{"Abe", "Bauer", "Costa", "Dahl", "Eriksen", "Fischer", "Gupta", "Haddad", "Ito", "Jansen", "Kovac", "Lind", "Moreau", "Novak", "Okafor", "Petrov", "Quiroga", "Rossi", "Silva", "Tanaka", "Ueda", "Varga", "Weber", "Xu", "Yilmaz", "Zhang"})
	return given, sur
}

func (p population) guest(n uint64) bool  { return n >= fixedUsers && n%12 == 11 }
func (p population) synced(n uint64) bool { return n >= fixedUsers && n%20 == 19 && !p.guest(n) }

// licensed tells whether computed user n has a licence of their own.
func (p population) licensed(n uint64) bool {
	return n >= fixedUsers && !p.guest(n) && p.roll(n, 13, 6) == 0
}

func (p population) upn(n uint64) string {
	switch n {
	case userAdmin:
		return "admin@" + p.domain
	case userGlass1:
		return "breakglass1@" + p.initial
	case userGlass2:
		return "breakglass2@" + p.initial
	case userSecurity:
		return "security.admin@" + p.domain
	case userHelpdesk:
		return "helpdesk.admin@" + p.domain
	}
	g, s := p.names(n)
	local := strings.ToLower(g) + "." + strings.ToLower(s) + "." + strconv.FormatUint(n, 10)
	if p.guest(n) {
		return local + "_fabrikam.example#EXT#@" + p.initial
	}
	return local + "@" + p.domain
}

func (p population) userByUPN(upn string) (uint64, bool) {
	for n := range uint64(fixedUsers) {
		if upn == p.upn(n) {
			return n, n < p.users
		}
	}
	local, _, _ := strings.Cut(upn, "@")
	local, _, _ = strings.Cut(local, "_")
	n, err := strconv.ParseUint(local[strings.LastIndexByte(local, '.')+1:], 10, 48)
	if err != nil || n >= p.users || strings.ToLower(p.upn(n)) != upn {
		return 0, false
	}
	return n, true
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func (p population) born(n uint64) string {
	return stamp(p.start.Add(-time.Duration(30+p.roll(n, 3, 1400)) * 24 * time.Hour).Add(-time.Duration(p.roll(n, 4, 86400)) * time.Second))
}

// sid is the security identifier the directory derives from an object id.
func sid(id string) string {
	b, _ := parseGUID(id)
	le := func(i int) uint32 {
		return uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24
	}
	mixed := uint32(b[5]) | uint32(b[4])<<8 | uint32(b[7])<<16 | uint32(b[6])<<24
	first := uint32(b[3]) | uint32(b[2])<<8 | uint32(b[1])<<16 | uint32(b[0])<<24
	return fmt.Sprintf("S-1-12-1-%d-%d-%d-%d", first, mixed, le(8), le(12))
}

func (p population) user(n uint64, id string) map[string]any {
	upn := p.upn(n)
	local, _, _ := strings.Cut(upn, "@")
	nick := strings.ReplaceAll(local, "#EXT#", "")
	born := p.born(n)
	m := make(map[string]any, 48)
	m["id"] = id
	m["userPrincipalName"] = upn
	m["mailNickname"] = nick
	m["accountEnabled"] = true
	m["createdDateTime"] = born
	m["userType"] = "Member"
	m["securityIdentifier"] = sid(id)
	m["lastPasswordChangeDateTime"] = born
	m["signInSessionsValidFromDateTime"] = born
	if n < fixedUsers {
		m["displayName"] = [...]string{"Ada Admin", "Break-glass 1", "Break-glass 2", "Sigrid Security", "Henk Helpdesk"}[n]
		m["identities"] = p.identity(upn)
		if n != userGlass1 && n != userGlass2 {
			g, s, _ := strings.Cut(text(m["displayName"]), " ")
			m["givenName"], m["surname"] = g, s
			m["usageLocation"] = "NL"
			m["department"] = "IT"
			m["mail"] = upn
			m["proxyAddresses"] = list("SMTP:" + upn)
		} else {
			m["passwordPolicies"] = "DisablePasswordExpiration"
		}
		return m
	}
	given, sur := p.names(n)
	m["givenName"], m["surname"] = given, sur
	m["displayName"] = given + " " + sur
	if p.guest(n) {
		mail := strings.ToLower(given) + "." + strings.ToLower(sur) + "." + strconv.FormatUint(n, 10) + "@fabrikam.example"
		m["userType"] = "Guest"
		m["mail"] = mail
		m["otherMails"] = list(mail)
		m["creationType"] = "Invitation"
		m["externalUserState"] = "Accepted"
		m["externalUserStateChangeDateTime"] = born
		m["companyName"] = "Fabrikam"
		m["proxyAddresses"] = list("SMTP:" + mail)
		m["identities"] = []any{map[string]any{"signInType": "federated", "issuer": "ExternalAzureAD", "issuerAssignedId": nil}, p.identity(upn)[0]}
		return m
	}
	place := p.roll(n, 5, 6)
	m["city"] = [...]string{"Amsterdam", "Berlin", "Chicago", "Lagos", "Osaka", "Sao Paulo"}[place]
	m["country"] = [...]string{"Netherlands", "Germany", "United States", "Nigeria", "Japan", "Brazil"}[place]
	m["usageLocation"] = [...]string{"NL", "DE", "US", "NG", "JP", "BR"}[place]
	m["preferredLanguage"] = [...]string{"nl-NL", "de-DE", "en-US", "en-NG", "ja-JP", "pt-BR"}[place]
	m["officeLocation"] = strconv.FormatUint(1+p.roll(n, 6, 9), 10) + "/" + strconv.FormatUint(100+p.roll(n, 7, 200), 10)
	m["department"] = p.pick(n, 8, []string{"Finance", "Engineering", "Sales", "Human Resources", "Legal", "Operations", "Marketing", "IT"})
	m["jobTitle"] = p.pick(n, 9, []string{"Analyst", "Engineer", "Manager", "Consultant", "Coordinator", "Director", "Specialist"})
	m["employeeId"] = "E" + strconv.FormatUint(100000+n, 10)
	m["employeeType"] = "Employee"
	m["companyName"] = "Contoso"
	m["mail"] = upn
	m["proxyAddresses"] = []any{"SMTP:" + upn, "smtp:" + nick + "@" + p.initial}
	m["identities"] = p.identity(upn)
	m["imAddresses"] = list(upn)
	phone := strconv.FormatUint(5550000+p.roll(n, 10, 9999), 10)
	m["businessPhones"] = list("+1 425 " + phone)
	if p.roll(n, 11, 3) == 0 {
		m["mobilePhone"] = "+1 206 " + phone
	}
	if p.roll(n, 12, 10) == 0 {
		m["accountEnabled"] = false
	}
	if p.licensed(n) {
		m["_direct"] = []any{map[string]any{"skuId": skuP2, "disabledPlans": []any{}}}
	}
	if p.roll(n, 14, 5) == 0 {
		m["onPremisesExtensionAttributes"] = map[string]any{"extensionAttribute1": "CC" + strconv.FormatUint(p.roll(n, 15, 900), 10)}
		m["employeeOrgData"] = map[string]any{"division": "EMEA", "costCenter": strconv.FormatUint(1000+p.roll(n, 15, 900), 10)}
		m["employeeHireDate"] = born
	}
	if p.roll(n, 16, 4) == 0 {
		m[p.extensions[extCostCenter]] = "CC" + strconv.FormatUint(100+p.roll(n, 17, 40), 10)
	}
	if p.roll(n, 18, 6) == 0 {
		m[p.extensions[extPayGrade]] = 1 + int(p.roll(n, 19, 15))
	}
	if p.roll(n, 20, 9) == 0 {
		m[p.extensions[extBadges]] = list("garage", "lab")
	}
	if p.synced(n) {
		m["onPremisesSyncEnabled"] = true
		m["onPremisesDomainName"] = "corp.contoso.example"
		m["onPremisesSamAccountName"] = nick
		m["onPremisesUserPrincipalName"] = upn
		m["onPremisesImmutableId"] = strconv.FormatUint(mix(n), 36) + "=="
		m["onPremisesLastSyncDateTime"] = stamp(p.start.Add(-time.Hour))
		m["onPremisesDistinguishedName"] = "CN=" + text(m["displayName"]) + ",OU=People,DC=corp,DC=contoso,DC=example"
		m["onPremisesSecurityIdentifier"] = "S-1-5-21-1000-2000-3000-" + strconv.FormatUint(1000+n, 10)
	}
	return m
}

func (p population) identity(upn string) []any {
	return []any{map[string]any{"signInType": "userPrincipalName", "issuer": p.initial, "issuerAssignedId": upn}}
}

// unified tells whether computed group n is a Microsoft 365 group.
func (p population) unified(n uint64) bool { return n >= fixedGroups && n%3 == 0 }

func (p population) groupSynced(n uint64) bool {
	return n >= fixedGroups && n%25 == 24 && !p.unified(n)
}

func (p population) group(n uint64, id string) map[string]any {
	born := p.born(n + 1<<40)
	m := map[string]any{"id": id, "createdDateTime": born, "renewedDateTime": born, "mailEnabled": false, "securityEnabled": true,
		"groupTypes": []any{}, "securityIdentifier": sid(id), "organizationId": p.ids.at(kNone, 0)}
	num := strconv.FormatUint(n, 10)
	if n < fixedGroups {
		m["displayName"] = [...]string{"Break-glass accounts", "Tier 0 administrators", "All employees", "Licence E5", "MFA pilot", "Finance", "Engineering", "Partner guests"}[n]
		m["mailNickname"] = [...]string{"breakglass", "tier0", "allemployees", "licencee5", "mfapilot", "finance", "engineering", "guests"}[n]
		m["description"] = [...]string{"Emergency access, excluded from Conditional Access", "Role-assignable group for directory roles", "Everyone employed here", "Assigns Microsoft 365 E5", "Tries new authentication methods", "Finance team", "Engineering team", "People of partner companies"}[n]
		switch n {
		case groupTierZero:
			m["isAssignableToRole"] = true
			m["visibility"] = "Private"
		case groupEveryone:
			m["groupTypes"] = list("DynamicMembership")
			m["membershipRule"] = `(user.userType -eq "Member")`
			m["membershipRuleProcessingState"] = "On"
		case groupE5:
			m["assignedLicenses"] = []any{map[string]any{"skuId": skuE5, "disabledPlans": []any{}}}
		}
		return m
	}
	topic := p.pick(n, 21, []string{"Project", "Readers", "Owners", "Access", "Region", "Vendors", "Board", "Lab"})
	m["displayName"] = topic + " " + num
	m["mailNickname"] = strings.ToLower(topic) + num
	if p.roll(n, 22, 2) == 0 {
		m["description"] = topic + " group number " + num
	}
	if p.roll(n, 24, 5) == 0 {
		m[p.extensions[extCostCenter]] = "CC" + strconv.FormatUint(100+p.roll(n, 25, 40), 10)
	}
	switch {
	case p.unified(n):
		mail := text(m["mailNickname"]) + "@" + p.domain
		m["groupTypes"] = list("Unified")
		m["mailEnabled"] = true
		m["securityEnabled"] = false
		m["visibility"] = p.pick(n, 23, []string{"Private", "Public"})
		m["mail"] = mail
		m["proxyAddresses"] = list("SMTP:" + mail)
		m["resourceProvisioningOptions"] = []any{}
	case p.groupSynced(n):
		m["onPremisesSyncEnabled"] = true
		m["onPremisesDomainName"] = "corp.contoso.example"
		m["onPremisesSamAccountName"] = text(m["mailNickname"])
		m["onPremisesLastSyncDateTime"] = stamp(p.start.Add(-time.Hour))
	}
	return m
}

// span is a run of consecutive objects of a kind.
type span struct {
	kind    kindID
	from, n uint64
}

// baseLinks is a computed set of link targets.
type baseLinks struct {
	spans      []span
	noGuests   bool
	onlyGuests bool
}

func (b baseLinks) len() int {
	n := 0
	for _, s := range b.spans {
		n += int(s.n)
	}
	return n
}

func (b baseLinks) fits(p population, k kindID, n uint64) bool {
	if k != kUser {
		return true
	}
	return !(b.noGuests && p.guest(n)) && !(b.onlyGuests && !p.guest(n))
}

func (b baseLinks) at(p population, i int) string {
	for _, s := range b.spans {
		if i < int(s.n) {
			n := s.from + uint64(i)
			if !b.fits(p, s.kind, n) {
				return ""
			}
			return p.ids.at(s.kind, n)
		}
		i -= int(s.n)
	}
	return ""
}

func (b baseLinks) has(p population, id string) bool {
	k, n, ok := p.ids.find(id)
	return ok && b.hasAt(p, k, n)
}

func (b baseLinks) hasAt(p population, k kindID, n uint64) bool {
	for _, s := range b.spans {
		if s.kind == k && n >= s.from && n < s.from+s.n {
			return b.fits(p, k, n)
		}
	}
	return false
}

func (b baseLinks) all(p population) []string {
	var out []string
	for i := range b.len() {
		if id := b.at(p, i); id != "" {
			out = append(out, id)
		}
	}
	return out
}

// links computes the targets of a relationship of a computed object.
func (p population) links(k kindID, id string, r relID) baseLinks {
	kind, n, ok := p.ids.find(id)
	if !ok || kind != k || !p.has(k, n) {
		return baseLinks{}
	}
	switch {
	case k == kUser && r == rManager:
		if n < fixedUsers || p.guest(n) {
			return baseLinks{}
		}
		return baseLinks{spans: []span{{kUser, p.boss(n), 1}}}
	case k == kUser && r == rSponsors && p.guest(n):
		return baseLinks{spans: []span{{kUser, n - 1, 1}}}
	case k == kGroup && r == rMembers:
		return p.members(n)
	case k == kGroup && r == rOwners:
		return baseLinks{spans: []span{{kUser, p.owner(n), 1}}}
	}
	return baseLinks{}
}

// boss makes a tree of eight reports each below the administrator.
func (p population) boss(n uint64) uint64 {
	if n < fixedUsers+8 {
		return userAdmin
	}
	b := fixedUsers + (n-fixedUsers)/8 - 1
	for p.guest(b) {
		b--
	}
	return b
}

func (p population) owner(n uint64) uint64 {
	if n < fixedGroups && n != groupFinance && n != groupEngineering {
		return userAdmin
	}
	o := fixedUsers + p.roll(n, 31, p.users-fixedUsers)
	if p.guest(o) {
		o--
	}
	return o
}

func (p population) members(n uint64) baseLinks {
	run := func(from, count uint64) span {
		from = min(from, p.users)
		return span{kUser, from, min(count, p.users-from)}
	}
	switch n {
	case groupGlass:
		return baseLinks{spans: []span{{kUser, userGlass1, 2}}}
	case groupTierZero:
		return baseLinks{spans: []span{{kUser, userAdmin, 1}, {kUser, userSecurity, 1}}}
	case groupEveryone:
		return baseLinks{spans: []span{run(userSecurity, p.users)}, noGuests: true}
	case groupE5:
		return baseLinks{spans: []span{run(fixedUsers, p.users/2)}, noGuests: true}
	case groupPilot:
		return baseLinks{spans: []span{run(userSecurity, 6), {kGroup, groupFinance, 2}}, noGuests: true}
	case groupFinance:
		return baseLinks{spans: []span{run(fixedUsers, max(10, p.users/10))}, noGuests: true}
	case groupEngineering:
		return baseLinks{spans: []span{run(fixedUsers+p.users/10, max(24, p.users/5))}, noGuests: true}
	case groupGuests:
		return baseLinks{spans: []span{run(fixedUsers, min(p.users, 2000))}, onlyGuests: true}
	}
	size := 3 + p.roll(n, 32, 38)
	if n%50 == 49 {
		size = 500 + p.roll(n, 33, 4500)
	}
	from := fixedUsers + p.roll(n, 34, p.users-fixedUsers)
	b := baseLinks{spans: []span{run(from, size)}, noGuests: true}
	if !p.unified(n) && n%7 == 5 && n+1 < p.groups && !p.unified(n+1) {
		b.spans = append(b.spans, span{kGroup, n + 1, 1})
	}
	return b
}

// sources computes which computed objects link to target.
func (p population) sources(r relID, target string) []string {
	k, n, ok := p.ids.find(target)
	if !ok {
		return nil
	}
	var out []string
	switch r {
	case rManager:
		if k != kUser {
			return nil
		}
		near := func(from, to uint64) {
			for c := from; c < min(to, p.users); c++ {
				if c >= fixedUsers && !p.guest(c) && p.boss(c) == n {
					out = append(out, p.ids.at(kUser, c))
				}
			}
		}
		if n == userAdmin {
			near(fixedUsers, fixedUsers+8)
		} else if n >= fixedUsers {
			first := fixedUsers + (n-fixedUsers+1)*8
			near(first, first+16) // a guest's place is taken by the one before
		}
	case rSponsors:
		if k == kUser && n+1 < p.users && p.guest(n+1) {
			out = append(out, p.ids.at(kUser, n+1))
		}
	case rMembers:
		for g := range p.groups {
			if p.members(g).hasAt(p, k, n) {
				out = append(out, p.ids.at(kGroup, g))
			}
		}
	case rOwners:
		for g := range p.groups {
			if k == kUser && p.owner(g) == n {
				out = append(out, p.ids.at(kGroup, g))
			}
		}
	}
	return out
}
