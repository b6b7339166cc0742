package emulator

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deltaToken is the state of a delta query; the options of its first request
// travel in it.
type deltaToken struct {
	Kind   kindID   `json:"k"`
	Select []string `json:"s,omitempty"`
	IDs    []string `json:"f,omitempty"`
	Since  uint64   `json:"c"`           // changes after this one are news
	Until  uint64   `json:"u,omitempty"` // the round goes up to this one
	Full   bool     `json:"i,omitempty"` // the round lists everything
	Pos    int      `json:"p,omitempty"` // position in the listing, or in the changed ids
	Link   int      `json:"l,omitempty"` // position in the links of the object at Pos
	Rel    int      `json:"r,omitempty"`
	Page   int      `json:"n,omitempty"`
	Issued int64    `json:"t"`
	Next   bool     `json:"x,omitempty"` // a page of a round, not the end of one
}

const (
	deltaLife  = 7 * 24 * time.Hour
	deltaPage  = 200  // objects a page
	deltaLinks = 1000 // links a page
)

func (t *Tenant) writeDelta(d deltaToken) string {
	b, _ := json.Marshal(d) // plain values
	s := base64.RawURLEncoding.EncodeToString(b)
	return s + "." + strconv.FormatUint(t.mac(s), 36)
}

func (t *Tenant) readDelta(s string) (deltaToken, bool) {
	var d deltaToken
	body, mac, ok := strings.Cut(s, ".")
	if !ok || strconv.FormatUint(t.mac(body), 36) != mac {
		return d, false
	}
	b, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(b, &d) != nil {
		return d, false
	}
	return d, true
}

func deltaRels(k kindID) []relID {
	switch k {
	case kUser:
		return []relID{rManager}
	case kGroup:
		return []relID{rMembers, rOwners}
	case kUnit:
		return []relID{rMembers}
	}
	return nil
}

func (c *call) delta(k kindID) (answer, error) {
	switch k {
	case kUser, kGroup, kApp, kSP, kUnit, kConsent:
	default:
		if f := familyOf(k); f == nil || !f.delta {
			return answer{}, refuse(400, "BadRequest", "Resource not found for the segment 'delta'.")
		}
	}
	if err := c.allow(k, false); err != nil {
		return answer{}, err
	}
	t := c.t
	o := c.opts
	if slices.Contains(o.names, "$skiptoken") || o.hasDelta && !strings.EqualFold(o.delta, "latest") {
		if err := c.only("$skiptoken", "$deltatoken"); err != nil {
			return answer{}, err
		}
		raw := o.delta
		if !o.hasDelta {
			raw = o.skip
		}
		if raw == "" {
			return c.deltaRound(deltaToken{Kind: k, Full: true, Until: t.seq, Page: 1})
		}
		d, ok := t.readDelta(raw)
		if !ok || d.Kind != k || d.Next == o.hasDelta {
			return answer{}, bad("Badly formed token.")
		}
		if t.clock().UnixMilli()-d.Issued > deltaLife.Milliseconds() {
			return answer{}, c.resync()
		}
		if o.hasDelta {
			d.Until, d.Pos, d.Page, d.Full = t.seq, 0, 1, false
		}
		return c.deltaRound(d)
	}
	if err := c.only("$select", "$filter", "$deltatoken"); err != nil {
		return answer{}, refuse(400, "BadRequest", "Invalid request for delta query: %s", err.(*refusal).message)
	}
	typ := c.types(k)[0]
	for _, s := range o.sel {
		if slices.ContainsFunc(deltaRels(k), func(r relID) bool { return relNames[r] == s }) {
			continue
		}
		p := c.t.property(typ, s)
		if p == nil || p.Beta && c.version != "beta" {
			return answer{}, refuse(400, "BadRequest", "Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", s, typ.Name)
		}
		if p.Single || slices.Contains([]string{"signInActivity", "customSecurityAttributes"}, p.Name) {
			return answer{}, refuse(400, "BadRequest", "Invalid request for delta query: for this entity set, $expand/$select is not supported for the following properties: %s", s)
		}
	}
	d := deltaToken{Kind: k, Select: o.sel, Until: t.seq, Page: 1, Full: true}
	if o.filter != nil {
		ids, ok := idFilter(o.filter)
		if !ok || len(ids) > 50 {
			return answer{}, refuse(400, "Request_UnsupportedQuery", "The filter of a delta query can only name ids, at most 50.")
		}
		d.IDs = ids
	}
	if o.hasDelta {
		d.Full, d.Since = false, t.seq
		return c.deltaPage(d, nil, true)
	}
	return c.deltaRound(d)
}

func idFilter(n *node) ([]string, bool) {
	switch {
	case n.op == "eq" && n.path == "id":
		return []string{text(n.vals[0])}, true
	case n.op == "or":
		a, ok1 := idFilter(n.kids[0])
		b, ok2 := idFilter(n.kids[1])
		return append(a, b...), ok1 && ok2
	}
	return nil, false
}

// resync tells the client to start again.
func (c *call) resync() *refusal {
	return &refusal{status: 410, code: "syncStateNotFound", message: "The delta token is expired or no longer known. Start a full synchronization.",
		header: map[string]string{"Location": c.t.URL() + "/" + c.version + c.path + "?$deltatoken="}}
}

func (c *call) deltaPage(d deltaToken, items []byte, last bool) (answer, error) {
	t := c.t
	name := collectionName(d.Kind)
	if len(d.Select) > 0 {
		name += "(" + strings.Join(d.Select, ",") + ")"
	}
	b := append([]byte(`{"@odata.context":`), appendString(nil, t.URL()+"/"+c.version+"/$metadata#"+name+"/$delta")...)
	link, param := `,"@odata.nextLink":`, "$skiptoken="
	d.Issued = t.clock().UnixMilli()
	if last {
		link, param = `,"@odata.deltaLink":`, "$deltatoken="
		d = deltaToken{Kind: d.Kind, Select: d.Select, IDs: d.IDs, Since: d.Until, Issued: d.Issued}
	} else {
		d.Next = true
		d.Page++
	}
	b = appendString(append(b, link...), t.URL()+"/"+c.version+c.path+"?"+param+t.writeDelta(d))
	b = append(append(b, `,"value":[`...), items...)
	return answer{status: 200, body: append(b, ']', '}')}, nil
}

// deltaRound answers with one page of a round.
func (c *call) deltaRound(d deltaToken) (answer, error) {
	if d.Full {
		return c.deltaFull(d)
	}
	return c.deltaNews(d)
}

// tracked are the properties a delta query returns, and the relationships.
func (c *call) tracked(d deltaToken) ([]*property, []relID) {
	typ := c.types(d.Kind)[0]
	if d.Select == nil {
		return c.fields(typ, nil), deltaRels(d.Kind)
	}
	fields := c.fields(typ, append([]string{"id"}, d.Select...))
	var rels []relID
	for _, r := range deltaRels(d.Kind) {
		if slices.Contains(d.Select, relNames[r]) {
			rels = append(rels, r)
		}
	}
	return fields, rels
}

// deltaFull lists the current state: only properties that were ever set, large
// sets of links cut over several pages with the object repeated.
func (c *call) deltaFull(d deltaToken) (answer, error) {
	t := c.t
	fields, rels := c.tracked(d)
	n := t.size(d.Kind)
	at := func(i int) *object { return t.at(d.Kind, i) }
	if d.IDs != nil {
		n = len(d.IDs)
		at = func(i int) *object { return t.get(d.IDs[i]) }
	}
	var items []byte
	got, budget := 0, deltaLinks
	for d.Pos < n && got < t.most(deltaPage) && budget > 0 {
		o := c.see(at(d.Pos))
		if o == nil || o.kind != d.Kind || !t.shown(o) {
			d.Pos, d.Link, d.Rel = d.Pos+1, 0, 0
			continue
		}
		whole := true
		item := c.appendSet(nil, o, fields)
		for ri := d.Rel; ri < len(rels); ri++ {
			count, target := t.targets(o, rels[ri], !c.direct)
			if ri > d.Rel {
				d.Link = 0
			}
			if budget <= 0 && count > 0 {
				d.Rel, whole = ri, false
				break
			}
			var links []byte
			i := d.Link
			for ; i < count && budget > 0; i++ {
				x := t.get(target(i))
				if !x.live() {
					continue
				}
				links = appendLink(links, x.typ, x.id, false)
				budget--
			}
			if links != nil {
				item = appendLinks(item, rels[ri], links)
			}
			if i < count {
				d.Rel, d.Link, whole = ri, i, false
				break
			}
		}
		if got > 0 {
			items = append(items, ',')
		}
		items = append(items, item...)
		got++
		if !whole {
			break
		}
		d.Pos, d.Link, d.Rel = d.Pos+1, 0, 0
	}
	return c.deltaPage(d, items, d.Pos >= n)
}

// appendSet writes the properties of o that were ever set.
func (c *call) appendSet(b []byte, o *object, fields []*property) []byte {
	var set []*property
	for _, p := range fields {
		_, ok := o.p[p.Name]
		if ok || p.Name == "id" || (p.Name == "assignedLicenses" && len(asList(c.t.value(o, p))) > 0) {
			set = append(set, p)
		}
	}
	return c.appendObject(b, o, set, false, nil)
}

func appendLink(b []byte, typ, id string, removed bool) []byte {
	if len(b) > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"@odata.type":"#microsoft.graph.`+typ+`","id":"`+id+`"`...)
	if removed {
		b = append(b, `,"@removed":{"reason":"deleted"}`...)
	}
	return append(b, '}')
}

func appendLinks(item []byte, r relID, links []byte) []byte {
	item = append(item[:len(item)-1], `,"`+relNames[r]+`@delta":[`...)
	return append(append(item, links...), ']', '}')
}

// deltaNews lists what changed since the token.
func (c *call) deltaNews(d deltaToken) (answer, error) {
	t := c.t
	fields, rels := c.tracked(d)
	minimal := strings.Contains(c.header.Get("Prefer"), "return=minimal")
	type news struct {
		all   bool
		names []string
		links []change
	}
	from, _ := slices.BinarySearchFunc(t.log, d.Since+1, func(x change, s uint64) int {
		switch {
		case x.seq < s:
			return -1
		case x.seq > s:
			return 1
		}
		return 0
	})
	found := map[string]*news{}
	var order []string
	for _, x := range t.log[from:] {
		if x.seq > d.Until {
			break
		}
		if x.kind != d.Kind || d.IDs != nil && !slices.Contains(d.IDs, x.id) || x.rel != 0 && !slices.Contains(rels, x.rel) {
			continue
		}
		w := found[x.id]
		if w == nil {
			w = &news{}
			found[x.id] = w
			order = append(order, x.id)
		}
		switch {
		case x.rel != 0:
			w.links = append(w.links, x)
		case x.props == nil:
			w.all = true
		default:
			w.names = append(w.names, x.props...)
		}
	}
	var items []byte
	got := 0
	for ; d.Pos < len(order) && got < t.most(deltaPage); d.Pos++ {
		id := order[d.Pos]
		w := found[id]
		o := t.objects[idKey(id)]
		if o == nil {
			o = t.get(id)
		}
		if o != nil && !o.purged {
			o = c.see(o)
		}
		if o == nil {
			continue
		}
		var item []byte
		switch {
		case o.purged:
			item = append(item, `{"id":"`+id+`","@removed":{"reason":"deleted"}}`...)
		case !t.shown(o):
			item = append(item, `{"id":"`+id+`","@removed":{"reason":"changed"}}`...)
		default:
			concerns := w.all || len(w.links) > 0
			show := fields
			if !w.all {
				var changed []*property
				for _, p := range fields {
					if slices.Contains(w.names, p.Name) {
						changed = append(changed, p)
						concerns = true
					}
				}
				if minimal {
					show = append([]*property{t.schema.Types[o.typ].byName["id"]}, changed...)
				}
			}
			if !concerns {
				continue
			}
			item = c.appendSet(nil, o, show)
			for _, r := range rels {
				var links []byte
				if w.all { // new or restored: the whole set
					for _, x := range t.liveTargets(o, r) {
						links = appendLink(links, x.typ, x.id, false)
					}
				} else {
					seen := map[string]bool{}
					for _, l := range slices.Backward(w.links) {
						if l.rel != r || seen[l.target] {
							continue
						}
						seen[l.target] = true
						x := t.objects[idKey(l.target)]
						if x == nil {
							x = t.get(l.target)
						}
						if x == nil {
							continue
						}
						links = appendLink(links, x.typ, x.id, !(l.added && x.live()))
					}
				}
				if links != nil {
					item = appendLinks(item, r, links)
				}
			}
		}
		if got > 0 {
			items = append(items, ',')
		}
		items = append(items, item...)
		got++
	}
	return c.deltaPage(d, items, d.Pos >= len(order))
}
