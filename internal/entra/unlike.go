package entra

import "strings"

// Unlike returns two bodies without the members that are the same in both, for comparing the rest. It reads the text of the
// others without making anything of it.
func Unlike(x, y Body) (Body, Body) {
	a, ok := split(string(x))
	b, fine := split(string(y))
	if !ok || !fine {
		return x, y
	}
	var mine, theirs []string
	for len(a) > 0 && len(b) > 0 {
		switch n := compareUTF16(a[0].name, b[0].name); {
		case n < 0:
			mine, a = append(mine, a[0].text), a[1:]
		case n > 0:
			theirs, b = append(theirs, b[0].text), b[1:]
		default:
			if a[0].text != b[0].text {
				mine, theirs = append(mine, a[0].text), append(theirs, b[0].text)
			}
			a, b = a[1:], b[1:]
		}
	}
	for _, m := range a {
		mine = append(mine, m.text)
	}
	for _, m := range b {
		theirs = append(theirs, m.text)
	}
	return Body("{" + strings.Join(mine, ",") + "}"), Body("{" + strings.Join(theirs, ",") + "}")
}

// A member is one of a body's own, as text.
type member struct {
	name string
	text string // the name's and the value's
}

// split takes a body apart into its members. It reports false where it is not sure to do it right: a name with an escape in it
// is left to others.
func split(s string) (all []member, ok bool) {
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, s == ""
	}
	depth, quoted, from, colon := 0, false, 1, 0
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted:
			if c == '\\' {
				if colon == 0 {
					return nil, false
				}
				i++
			}
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == ':' && depth == 0 && colon == 0:
			colon = i
		case depth == 0 && (c == ',' || i == len(s)-1):
			if i == from && len(all) == 0 && c == '}' {
				return nil, true // of no members
			}
			if colon < from+2 {
				return nil, false
			}
			all = append(all, member{s[from+1 : colon-1], s[from:i]})
			from, colon = i+1, 0
		case c == '}' || c == ']':
			depth--
		}
	}
	return all, from == len(s) && !quoted && depth == 0
}
