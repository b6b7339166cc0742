package emulator

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

type kindID uint8

const (
	kUser kindID = iota + 1
	kGroup
	kApp
	kSP
	kRoleGrant // appRoleAssignment
	kConsent   // oAuth2PermissionGrant
	kUnit
	kRoleDef
	kRoleAssignment
	kPolicy
	kLocation
	kStrength
	kDomain
	kSku
	kOrg
	kMethodPolicy
	kMethod
	kDefaults
	kAudit
	kAppID // numbers that are not ids of objects
	kKey
	kNone
	kExtension // extensionProperty; last, because the numbers are part of ids
)

type relID uint8

const (
	rManager relID = iota + 1
	rSponsors
	rMembers
	rOwners
)

var relNames = [...]string{rManager: "manager", rSponsors: "sponsors", rMembers: "members", rOwners: "owners"}

// object is one object of the tenant. It does not change once it is stored:
// a write stores a changed copy.
type object struct {
	kind    kindID
	id      string
	typ     string         // name of its type in the schema
	p       map[string]any // properties that were ever set; null means cleared
	deleted time.Time      // zero: live
	purged  bool
	managed bool // belongs to Microsoft: most changes are refused

	lag   int     // reads that still see stale
	stale *object // nil: they see nothing
}

func (o *object) live() bool { return o != nil && !o.purged && o.deleted.IsZero() }

func (o *object) clone() *object {
	c := *o
	c.p = maps.Clone(o.p)
	c.lag, c.stale = 0, nil
	return &c
}

func (o *object) name() string {
	for _, k := range []string{"displayName", "skuPartNumber", "id"} {
		if s := text(o.p[k]); s != "" {
			return s
		}
	}
	return o.id
}

// linkSet is the set of targets of one relationship of one source, in order
// of addition; a removed target leaves a hole so that positions stay valid.
type linkSet struct {
	ids   []string
	at    map[string]int
	lag   int
	stale []string
}

// change is one line of the log that delta queries read.
type change struct {
	seq    uint64
	kind   kindID
	id     string
	props  []string // names of changed properties; nil with rel 0: all
	rel    relID
	target string
	added  bool
}

// end is one end of objects that join others: their kind, the property that
// names what is joined, and its id.
type end struct {
	kind     kindID
	name, id string
}

// store keeps what was written; the rest of the population is computed.
// It is guarded by Tenant.mu.
type store struct {
	pop        population
	objects    map[string]*object
	order      map[kindID][]string // ids of objects that are not computed, in order of creation
	links      map[relID]map[string]*linkSet
	back       map[relID]map[string]map[string]bool // of those links: target to sources
	mail       map[string][]string                  // address in lower case to the living written objects that have it
	upn        map[string]string                    // lower-case name of written users
	appID      map[string]string                    // appId of applications
	spOf       map[string][]string
	ends       map[end][]string  // ids of what was ever written that joins an object, such as grants
	held       map[any]int       // how many living users have a licence of their own, by SKU
	extensions map[string]string // ids of live extension definitions by lower-case name
	bin        map[string]bool   // ids of deleted, not yet purged objects
	gone       map[kindID]int    // how many were purged
	log        []change
	quiet      bool // what happens is news to nobody
	seq        uint64
	lag        int      // reads after a write that still see the old state
	lagging    int      // objects and link sets with lag left
	licence    []string // groups that carry licences

	counted struct { // what consumed found, and when
		sync.Mutex
		seq   uint64
		units map[string]int
	}
}

func newStore(p population) *store {
	s := &store{pop: p, objects: map[string]*object{}, order: map[kindID][]string{}, links: map[relID]map[string]*linkSet{}, back: map[relID]map[string]map[string]bool{},
		mail: map[string][]string{}, upn: map[string]string{}, appID: map[string]string{}, spOf: map[string][]string{}, ends: map[end][]string{}, held: map[any]int{}, extensions: map[string]string{}, bin: map[string]bool{}, gone: map[kindID]int{}}
	for r := rManager; r <= rOwners+relID(len(kin().tied)); r++ {
		s.links[r], s.back[r] = map[string]*linkSet{}, map[string]map[string]bool{}
	}
	for n := range p.users {
		if p.licensed(n) {
			s.held[skuP2]++
		}
	}
	return s
}

func idKey(id string) string {
	if len(id) == 36 {
		return strings.ToLower(id)
	}
	return id
}

// get returns the object with this id in any state but purged, or nil.
func (s *store) get(id string) *object {
	id = idKey(id)
	if o := s.objects[id]; o != nil {
		if o.purged {
			return nil
		}
		return o
	}
	k, n, ok := s.pop.ids.find(id)
	if !ok {
		return nil
	}
	return s.pop.object(k, n)
}

func (s *store) liveOf(id string, kinds ...kindID) *object {
	o := s.get(id)
	if !o.live() || len(kinds) > 0 && !slices.Contains(kinds, o.kind) {
		return nil
	}
	return o
}

// put stores o, which must be a new or cloned object, and logs which
// properties changed; nil means all of them.
func (s *store) put(o *object, props []string) {
	key := idKey(o.id)
	old := s.objects[key]
	if old == nil {
		if k, n, ok := s.pop.ids.find(key); ok && s.pop.has(k, n) {
			old = s.pop.object(k, n)
		} else {
			s.order[o.kind] = append(s.order[o.kind], o.id)
		}
	}
	if s.lag > 0 && !o.purged {
		if old != nil && old.lag > 0 {
			o.stale = old.stale
			s.lagging--
		} else {
			o.stale = old
		}
		o.lag = s.lag
		s.lagging++
	} else if old != nil && old.lag > 0 {
		s.lagging--
	}
	if old != nil {
		s.unindex(old)
	} else {
		for _, name := range []string{"principalId", "resourceId", "clientId", "_app", "_parent"} {
			if id := text(o.p[name]); id != "" && (o.kind == kRoleGrant || o.kind == kConsent || o.kind == kRoleAssignment || o.kind == kExtension || name == "_parent") {
				e := end{o.kind, name, id}
				s.ends[e] = append(s.ends[e], o.id)
			}
		}
	}
	if o.purged && (old == nil || !old.purged) {
		s.gone[o.kind]++
	}
	s.objects[key] = o
	s.index(o)
	s.seq++
	s.news(change{seq: s.seq, kind: o.kind, id: o.id, props: props})
}

func (s *store) index(o *object) {
	if o.purged {
		delete(s.bin, o.id)
		return
	}
	if !o.deleted.IsZero() {
		s.bin[o.id] = true
	} else {
		delete(s.bin, o.id)
	}
	if o.live() {
		for _, a := range addresses(o) {
			s.mail[a] = append(s.mail[a], o.id)
		}
	}
	switch o.kind {
	case kUser:
		if o.live() { // the name of a deleted one is free
			s.upn[strings.ToLower(text(o.p["userPrincipalName"]))] = o.id
			s.hold(o, 1)
		}
	case kApp:
		s.appID[text(o.p["appId"])] = o.id
	case kSP:
		a := text(o.p["appId"])
		s.spOf[a] = append(s.spOf[a], o.id)
	case kExtension:
		s.extensions[strings.ToLower(text(o.p["name"]))] = o.id
	case kGroup:
		if l, _ := o.p["assignedLicenses"].([]any); len(l) > 0 && !slices.Contains(s.licence, o.id) {
			s.licence = append(s.licence, o.id)
		}
	}
}

// addresses are those of an object, in lower case and without what they are for.
func addresses(o *object) []string {
	all := texts(o.p["proxyAddresses"])
	for i, a := range all {
		_, a, _ = strings.Cut(a, ":")
		all[i] = strings.ToLower(a)
	}
	return all
}

func (s *store) unindex(o *object) {
	for _, a := range addresses(o) {
		if s.mail[a] = slices.DeleteFunc(s.mail[a], func(id string) bool { return id == o.id }); len(s.mail[a]) == 0 {
			delete(s.mail, a)
		}
	}
	switch o.kind {
	case kUser:
		u := strings.ToLower(text(o.p["userPrincipalName"]))
		if s.upn[u] == o.id {
			delete(s.upn, u)
		}
		if o.live() {
			s.hold(o, -1)
		}
	case kExtension:
		delete(s.extensions, strings.ToLower(text(o.p["name"])))
	case kApp:
		delete(s.appID, text(o.p["appId"]))
	case kSP:
		a := text(o.p["appId"])
		s.spOf[a] = slices.DeleteFunc(s.spOf[a], func(x string) bool { return x == o.id })
	}
}

// hold counts the licences that a user has of their own, n times.
func (s *store) hold(o *object, n int) {
	for _, l := range subs(o.p["_direct"]) {
		s.held[l["skuId"]] += n
	}
}

// byUPN finds who has a name: a living user, or a computed one that was deleted since and had it.
func (s *store) byUPN(upn string) *object {
	upn = strings.ToLower(upn)
	if id := s.upn[upn]; id != "" {
		return s.get(id)
	}
	n, ok := s.pop.userByUPN(upn)
	if !ok {
		return nil
	}
	if o := s.get(s.pop.ids.at(kUser, n)); o != nil && strings.ToLower(text(o.p["userPrincipalName"])) == upn {
		return o
	}
	return nil
}

func (s *store) spByAppID(appID string, live bool) *object {
	for _, id := range s.spOf[strings.ToLower(appID)] {
		if o := s.get(id); o != nil && (!live || o.live()) {
			return o
		}
	}
	return nil
}

// size is the number of positions of a kind: computed objects first, then the
// written ones.
func (s *store) size(k kindID) int { return int(s.pop.count(k)) + len(s.order[k]) }

func (s *store) at(k kindID, pos int) *object {
	n := int(s.pop.count(k))
	if pos >= n {
		return s.objects[idKey(s.order[k][pos-n])]
	}
	id := s.pop.ids.at(k, uint64(pos))
	if o := s.objects[id]; o != nil {
		return o
	}
	return s.pop.object(k, uint64(pos))
}

// each visits the objects of a kind that are not purged.
func (s *store) each(k kindID, visit func(*object) bool) {
	for pos := range s.size(k) {
		if o := s.at(k, pos); !o.purged && !visit(o) {
			return
		}
	}
}

// seen is what a reader from outside sees of o: with lag left, the old state.
func (s *store) seen(o *object) *object {
	if o == nil || o.lag == 0 {
		return o
	}
	o.lag--
	if o.lag == 0 {
		s.lagging--
	}
	return o.stale
}

// own returns the link set of a source for writing.
func (s *store) own(src *object, r relID) *linkSet {
	l := s.links[r][src.id]
	if l == nil {
		l = &linkSet{at: map[string]int{}}
		for _, id := range s.pop.links(src.kind, src.id, r).all(s.pop) {
			s.add(l, src, r, id)
		}
		s.links[r][src.id] = l
	}
	if s.lag > 0 {
		if l.lag == 0 {
			l.stale = slices.Clone(l.ids)
			s.lagging++
		}
		l.lag = s.lag
	}
	return l
}

// add puts a target at the end of a link set.
func (s *store) add(l *linkSet, src *object, r relID, target string) {
	l.at[target] = len(l.ids)
	l.ids = append(l.ids, target)
	if s.back[r][target] == nil {
		s.back[r][target] = map[string]bool{}
	}
	s.back[r][target][src.id] = true
}

func (s *store) link(src *object, r relID, target string) {
	l := s.own(src, r)
	if _, ok := l.at[target]; ok {
		return
	}
	s.add(l, src, r, target)
	s.logLink(src, r, target, true)
}

func (s *store) unlink(src *object, r relID, target string) {
	l := s.own(src, r)
	i, ok := l.at[target]
	if !ok {
		return
	}
	delete(l.at, target)
	if delete(s.back[r][target], src.id); len(s.back[r][target]) == 0 {
		delete(s.back[r], target)
	}
	l.ids[i] = ""
	s.logLink(src, r, target, false)
}

func (s *store) logLink(src *object, r relID, target string, added bool) {
	s.seq++
	s.news(change{seq: s.seq, kind: src.kind, id: src.id, rel: r, target: target, added: added})
}

// news is what delta queries tell of.
func (s *store) news(x change) {
	if !s.quiet {
		s.log = append(s.log, x)
	}
}

func (s *store) linked(src *object, r relID, target string) bool {
	if l := s.links[r][src.id]; l != nil {
		_, ok := l.at[target]
		return ok
	}
	return s.pop.links(src.kind, src.id, r).has(s.pop, target)
}

// targets returns an accessor of the positions of a link set: their number and
// the id at each, "" for a hole. A reader from outside sees lag.
func (s *store) targets(src *object, r relID, outside bool) (int, func(int) string) {
	if l := s.links[r][src.id]; l != nil {
		ids := l.ids
		if outside && l.lag > 0 {
			if l.lag--; l.lag == 0 {
				s.lagging--
			}
			ids = l.stale
		}
		return len(ids), func(i int) string { return ids[i] }
	}
	b := s.pop.links(src.kind, src.id, r)
	return b.len(), func(i int) string { return b.at(s.pop, i) }
}

// liveTargets returns the live targets of a link set.
func (s *store) liveTargets(src *object, r relID) []*object {
	n, at := s.targets(src, r, false)
	var out []*object
	for i := range n {
		if id := at(i); id != "" {
			if o := s.liveOf(id); o != nil {
				out = append(out, o)
			}
		}
	}
	return out
}

// sources returns the objects that have a link to target.
func (s *store) sources(r relID, target string) []*object {
	var out []*object
	add := func(id string) {
		if o := s.get(id); o != nil {
			out = append(out, o)
		}
	}
	for _, id := range s.pop.sources(r, target) {
		if s.links[r][id] == nil {
			add(id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.back[r][target])) {
		add(id)
	}
	return out
}

// joined returns the objects of a kind, not purged, that join the object id
// by the property.
func (s *store) joined(k kindID, name, id string) []*object {
	var out []*object
	for _, x := range s.ends[end{k, name, id}] {
		if o := s.get(x); o != nil && text(o.p[name]) == id {
			out = append(out, o)
		}
	}
	return out
}

// shown tells whether o is visible in its collection: a grant is not while
// one of the objects it joins is deleted.
func (s *store) shown(o *object) bool {
	if !o.live() {
		return false
	}
	var ends []string
	switch o.kind {
	case kRoleGrant:
		ends = []string{"principalId", "resourceId"}
	case kConsent:
		ends = []string{"clientId", "resourceId", "principalId"}
	case kRoleAssignment:
		ends = []string{"principalId"}
	default:
		if f := familyOf(o.kind); f != nil {
			ends = f.ends
		}
	}
	for _, e := range ends {
		if id := text(o.p[e]); id != "" && s.liveOf(id) == nil {
			return false
		}
	}
	return true
}
