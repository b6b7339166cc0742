package emulator

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// options are the query options of a call.
type options struct {
	sel       []string
	selected  bool
	filter    *node
	filterRaw string
	top       int // 0: not given
	hasTop    bool
	expand    string // name of the relationship; of several the first
	expandSel []string
	inline    []string // names of all
	within    string   // what the brackets of the last hold, if that is no $select
	nested    bool     // more than one relationship, or options that a directory object's has not
	count     bool
	orderBy   string
	search    bool
	skip      string // page token
	delta     string // delta token
	hasDelta  bool
	names     []string // of all options given
	rest      string   // the raw query without page and delta tokens
}

func (c *call) parseQuery() error {
	o := options{}
	var rest []string
	if c.query == "" {
		c.opts = o
		return nil
	}
	for pair := range strings.SplitSeq(c.query, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return bad("Invalid query option.")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return bad("Invalid value of query option '%s'.", name)
		}
		if c.version == "beta" && !strings.HasPrefix(name, "$") {
			name = "$" + name // the prefix is optional on beta
		}
		if strings.EqualFold(name, "$deltatoken") {
			name = "$deltatoken"
		}
		if slices.Contains(o.names, name) {
			return bad("Query option '%s' was specified more than once, but it must be specified at most once.", name)
		}
		o.names = append(o.names, name)
		if name != "$skiptoken" && name != "$deltatoken" {
			rest = append(rest, pair)
		}
		switch name {
		case "$select":
			o.selected = true
			for s := range strings.SplitSeq(value, ",") {
				s = strings.TrimSpace(s)
				if s == "" {
					return bad("Syntax error: an empty name in $select.")
				}
				o.sel = append(o.sel, s)
			}
		case "$filter":
			o.filterRaw = value
			if o.filter, err = parseFilter(value); err != nil {
				return refuse(400, "BadRequest", "Invalid filter clause: %v", err)
			}
		case "$top":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return bad("Invalid value '%s' for $top query option found. The $top query option requires a non-negative integer value.", value)
			}
			o.top, o.hasTop = n, true
		case "$expand":
			all, err := expansions(value)
			if err != nil {
				return err
			}
			o.nested = len(all) > 1
			for _, one := range all {
				rel, in, options := strings.Cut(one, "(")
				o.inline = append(o.inline, strings.TrimSpace(rel))
				if options {
					if s, ok := strings.CutPrefix(strings.TrimSuffix(in, ")"), "$select="); ok {
						o.expandSel = strings.Split(s, ",")
					} else {
						o.nested, o.within = true, strings.TrimSuffix(in, ")")
					}
				}
			}
			o.expand = o.inline[0]
		case "$count":
			if value != "true" && value != "false" {
				return bad("Invalid value '%s' for $count query option.", value)
			}
			o.count = value == "true"
		case "$orderby":
			o.orderBy = value
		case "$search":
			o.search = true
		case "$skiptoken":
			o.skip = rawValue
		case "$deltatoken":
			o.delta, o.hasDelta = value, true
		case "$format":
			if value != "json" && value != "application/json" {
				return bad("The format '%s' is not supported.", value)
			}
		default:
			return bad("The query parameter '%s' is not supported.", name)
		}
	}
	o.rest = strings.Join(rest, "&")
	c.opts = o
	return nil
}

// expansions parts what $expand holds at the commas that are in no brackets.
func expansions(value string) (all []string, err error) {
	depth, from := 0, 0
	for i, r := range value + "," {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			if i == from {
				return nil, bad("Syntax error: an empty name in $expand.")
			}
			all = append(all, value[from:i])
			from = i + 1
		}
	}
	if depth != 0 {
		return nil, bad("Syntax error: the brackets of $expand do not match.")
	}
	return all, nil
}

// only refuses every query option but the named ones.
func (c *call) only(names ...string) error {
	for _, n := range c.opts.names {
		if !slices.Contains(names, n) && n != "$format" {
			return bad("The query option '%s' is not supported for this request.", n)
		}
	}
	return nil
}

// eventual tells whether the call carries the header of advanced queries.
func (c *call) eventual() bool {
	return strings.EqualFold(c.header.Get("ConsistencyLevel"), "eventual")
}

// advanced tells whether operators of advanced queries may be used.
func (c *call) advanced() bool { return c.eventual() && c.opts.count }

// pageToken is the place a listing goes on from. It is bound to what was
// asked, by whom and how, and lives ten minutes.
type pageToken struct {
	pos, page int
	issued    int64
	bound     uint64
}

const pageLife = 10 * time.Minute

func (c *call) bound() uint64 {
	h := uint64(14695981039346656037)
	for _, s := range []string{c.version, c.path, c.opts.rest, c.appID, fmt.Sprint(c.eventual())} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = mix(h)
	}
	return h
}

func (c *call) seal(p pageToken) string {
	s := fmt.Sprintf("%d.%d.%d.%d", p.pos, p.page, p.issued, p.bound)
	s += "." + strconv.FormatUint(c.t.mac(s), 36)
	return "X%27" + strings.ToUpper(hex.EncodeToString([]byte(s))) + "%27"
}

func (t *Tenant) mac(s string) uint64 {
	h := t.pop.ids.check
	for i := range len(s) {
		h = mix(h ^ uint64(s[i]))
	}
	return h
}

// unseal reads a page token exactly as it was sent: its text is sensitive to
// case and encoding.
func (c *call) unseal() (pageToken, bool) {
	in, ok := strings.CutPrefix(c.opts.skip, "X%27")
	in, ok2 := strings.CutSuffix(in, "%27")
	if !ok || !ok2 || in != strings.ToUpper(in) {
		return pageToken{}, false
	}
	b, err := hex.DecodeString(in)
	if err != nil {
		return pageToken{}, false
	}
	s := string(b)
	i := strings.LastIndexByte(s, '.')
	if i < 0 || strconv.FormatUint(c.t.mac(s[:i]), 36) != s[i+1:] {
		return pageToken{}, false
	}
	var p pageToken
	if _, err := fmt.Sscanf(s[:i], "%d.%d.%d.%d", &p.pos, &p.page, &p.issued, &p.bound); err != nil {
		return pageToken{}, false
	}
	return p, true
}

func expiredPage() *refusal {
	return refuse(400, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
}

// pageFrom returns the token of the call, or that of a first page.
func (c *call) pageFrom() (pageToken, error) {
	if !slices.Contains(c.opts.names, "$skiptoken") {
		return pageToken{page: 1}, nil
	}
	p, ok := c.unseal()
	if !ok {
		return p, bad("Badly formed token.")
	}
	if p.bound != c.bound() || c.t.clock().UnixMilli()-p.issued > pageLife.Milliseconds() {
		return p, expiredPage()
	}
	return p, nil
}

// pageOf is the number of the page a call asks for, before anything is
// checked: faults are chosen by it.
func (c *call) pageOf() int {
	if err := c.parseQuery(); err != nil {
		return 1
	}
	if c.opts.skip != "" {
		if p, ok := c.unseal(); ok {
			return p.page
		}
		if d, ok := c.t.readDelta(c.opts.skip); ok {
			return d.Page
		}
	}
	return 1
}

func (c *call) nextLink(p pageToken) string {
	p.issued, p.bound = c.t.clock().UnixMilli(), c.bound()
	u := c.t.URL() + "/" + c.version + c.path + "?"
	if c.opts.rest != "" {
		u += c.opts.rest + "&"
	}
	return u + "$skiptoken=" + c.seal(p)
}

// node is a parsed $filter: an operator with operands, a path or a literal.
type node struct {
	op   string // and or not eq ne ge le gt lt in startswith endswith contains any isof
	kids []*node
	path string
	vals []any // literals; a time for a date
	name string
}

// advancedOp tells whether the filter needs an advanced query.
func (n *node) advancedOp() bool {
	if n == nil {
		return false
	}
	switch n.op {
	case "not", "ne", "endswith", "contains":
		return true
	}
	return slices.ContainsFunc(n.kids, (*node).advancedOp)
}

// paths lists the properties a filter reads.
func (n *node) paths() []string {
	if n == nil {
		return nil
	}
	var out []string
	if n.path != "" {
		out = append(out, n.path)
	}
	if n.op == "any" {
		return out
	}
	for _, k := range n.kids {
		out = append(out, k.paths()...)
	}
	return out
}

type filterParser struct {
	toks []string
	i    int
}

func parseFilter(s string) (*node, error) {
	toks, err := filterTokens(s)
	if err != nil {
		return nil, err
	}
	p := &filterParser{toks: toks}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.i < len(p.toks) {
		return nil, fmt.Errorf("syntax error at '%s'", p.toks[p.i])
	}
	return n, nil
}

func filterTokens(s string) ([]string, error) {
	var out []string
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ':
			i++
		case c == '(' || c == ')' || c == ',':
			out = append(out, string(c))
			i++
		case c == '\'':
			j := i + 1
			for {
				k := strings.IndexByte(s[j:], '\'')
				if k < 0 {
					return nil, fmt.Errorf("unterminated string literal")
				}
				j += k + 1
				if j < len(s) && s[j] == '\'' {
					j++
					continue
				}
				break
			}
			out = append(out, s[i:j])
			i = j
		default:
			j := i
			for j < len(s) && !strings.ContainsRune(" (),'", rune(s[j])) {
				j++
			}
			out = append(out, s[i:j])
			i = j
		}
	}
	return out, nil
}

func (p *filterParser) peek() string {
	if p.i < len(p.toks) {
		return p.toks[p.i]
	}
	return ""
}

func (p *filterParser) next() string { t := p.peek(); p.i++; return t }

func (p *filterParser) want(t string) error {
	if got := p.next(); got != t {
		return fmt.Errorf("'%s' expected, found '%s'", t, got)
	}
	return nil
}

func (p *filterParser) or() (*node, error)  { return p.chain("or", p.and) }
func (p *filterParser) and() (*node, error) { return p.chain("and", p.unary) }

func (p *filterParser) chain(op string, operand func() (*node, error)) (*node, error) {
	n, err := operand()
	if err != nil {
		return nil, err
	}
	for p.peek() == op {
		p.next()
		m, err := operand()
		if err != nil {
			return nil, err
		}
		n = &node{op: op, kids: []*node{n, m}}
	}
	return n, nil
}

func (p *filterParser) unary() (*node, error) {
	switch t := p.peek(); {
	case strings.EqualFold(t, "not"):
		p.next()
		n, err := p.unary()
		return &node{op: "not", kids: []*node{n}}, err
	case t == "(":
		p.next()
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		return n, p.want(")")
	case t == "" || t == ")" || t == ",":
		return nil, fmt.Errorf("an expression was expected")
	}
	path := p.next()
	if p.peek() == "(" {
		p.next()
		switch f := strings.ToLower(path); {
		case f == "startswith" || f == "endswith" || f == "contains":
			n := &node{op: f, path: p.next()}
			if err := p.want(","); err != nil {
				return nil, err
			}
			v, err := literal(p.next())
			if err != nil {
				return nil, err
			}
			n.vals = []any{v}
			return n, p.want(")")
		case f == "isof":
			v, err := literal(p.next())
			if err != nil {
				return nil, err
			}
			return &node{op: "isof", vals: []any{v}}, p.want(")")
		case strings.HasSuffix(f, "/any"):
			// The lambda variable is glued to its first use: t:t/id
			t := p.next()
			v, first, ok := strings.Cut(t, ":")
			if !ok {
				return nil, fmt.Errorf("a lambda was expected, found '%s'", t)
			}
			if first == "" {
				first = p.next()
			}
			p.i--
			p.toks[p.i] = first
			in, err := p.or()
			if err != nil {
				return nil, err
			}
			return &node{op: "any", path: path[:len(path)-4], name: v, kids: []*node{in}}, p.want(")")
		}
		return nil, fmt.Errorf("unknown function '%s'", path)
	}
	op := p.next()
	switch op {
	case "eq", "ne", "ge", "le", "gt", "lt":
		v, err := literal(p.next())
		return &node{op: op, path: path, vals: []any{v}}, err
	case "in":
		n := &node{op: "in", path: path}
		if err := p.want("("); err != nil {
			return nil, err
		}
		for {
			v, err := literal(p.next())
			if err != nil {
				return nil, err
			}
			n.vals = append(n.vals, v)
			switch p.next() {
			case ",":
			case ")":
				if len(n.vals) > 15 {
					return nil, fmt.Errorf("too many child clauses: at most 15 values are allowed")
				}
				return n, nil
			default:
				return nil, fmt.Errorf("')' expected")
			}
		}
	}
	return nil, fmt.Errorf("unknown operator '%s'", op)
}

func literal(t string) (any, error) {
	switch {
	case t == "":
		return nil, fmt.Errorf("a literal was expected")
	case t[0] == '\'':
		return strings.ReplaceAll(t[1:len(t)-1], "''", "'"), nil
	case t == "null":
		return nil, nil
	case t == "true":
		return true, nil
	case t == "false":
		return false, nil
	case isGUID(t):
		return t, nil
	}
	if n, err := strconv.Atoi(t); err == nil {
		return n, nil
	}
	for _, l := range []string{time.RFC3339Nano, "2006-01-02"} {
		if d, err := time.Parse(l, t); err == nil {
			return d, nil
		}
	}
	return nil, fmt.Errorf("'%s' is not a literal", t)
}

// match evaluates a filter; get reads a path of the object at hand.
func (n *node) match(get func(path string) any, typ string) bool {
	switch n.op {
	case "and":
		return n.kids[0].match(get, typ) && n.kids[1].match(get, typ)
	case "or":
		return n.kids[0].match(get, typ) || n.kids[1].match(get, typ)
	case "not":
		return !n.kids[0].match(get, typ)
	case "isof":
		return text(n.vals[0]) == "microsoft.graph."+typ
	case "any":
		a, _ := get(n.path).([]any)
		for _, x := range a {
			if n.kids[0].match(func(path string) any {
				p, ok := strings.CutPrefix(path, n.name+"/")
				if !ok {
					return x
				}
				v := x
				for s := range strings.SplitSeq(p, "/") {
					v = sub(v)[s]
				}
				return v
			}, typ) {
				return true
			}
		}
		return false
	}
	v := get(n.path)
	switch n.op {
	case "startswith":
		return strings.HasPrefix(strings.ToLower(text(v)), strings.ToLower(text(n.vals[0]))) && v != nil
	case "endswith":
		return strings.HasSuffix(strings.ToLower(text(v)), strings.ToLower(text(n.vals[0]))) && v != nil
	case "contains":
		return strings.Contains(strings.ToLower(text(v)), strings.ToLower(text(n.vals[0]))) && v != nil
	case "in":
		return slices.ContainsFunc(n.vals, func(x any) bool { c, ok := compare(v, x); return ok && c == 0 })
	}
	c, ok := compare(v, n.vals[0])
	switch n.op {
	case "eq":
		return ok && c == 0
	case "ne":
		return !ok || c != 0
	case "ge":
		return ok && c >= 0
	case "le":
		return ok && c <= 0
	case "gt":
		return ok && c > 0
	case "lt":
		return ok && c < 0
	}
	return false
}

// compare orders two values of the same type; text without regard to case, as
// the directory does.
func compare(a, b any) (int, bool) {
	switch b := b.(type) {
	case nil:
		return 0, a == nil
	case bool:
		x, ok := a.(bool)
		if !ok || x == b {
			return 0, ok
		}
		return 1, true
	case int:
		x, ok := number(a)
		return x - b, ok
	case time.Time:
		x, err := time.Parse(time.RFC3339Nano, text(a))
		return x.Compare(b), err == nil
	case string:
		x, ok := a.(string)
		return strings.Compare(strings.Map(unicode.ToLower, x), strings.Map(unicode.ToLower, b)), ok
	}
	return 0, false
}
