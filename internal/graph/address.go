package graph

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// maxLink is the longest link that is followed. The gateway of the service accepts about 16,000 characters.
const maxLink = 32 << 10

// An origin is where tokens may go.
type origin struct {
	host, port string // lower case; the port is never empty
}

// String is the origin as a URL without a path; the default port is left out.
func (o origin) String() string {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port == "443" {
		return "https://" + host
	}
	return "https://" + host + ":" + o.port
}

// of returns the origin of u, or false if u has none that a token may go to.
func originOf(u *url.URL) (origin, bool) {
	if u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Hostname() == "" {
		return origin{}, false
	}
	// A colon without a port, and a port with a leading zero, mean different things to different readers.
	port := u.Port()
	if port == "" && strings.HasSuffix(u.Host, ":") || strings.HasPrefix(port, "0") {
		return origin{}, false
	}
	return origin{strings.ToLower(u.Hostname()), orDefault(port, "443")}, true
}

func parseEndpoint(s string) (origin, error) {
	u, err := url.Parse(s)
	if err != nil {
		return origin{}, errors.New("the endpoint is not a URL")
	}
	at, ok := originOf(u)
	if !ok {
		return origin{}, fmt.Errorf("the endpoint %q is not of the form https://host", u.Redacted())
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return origin{}, fmt.Errorf("the endpoint %q has more than a host", u.Redacted())
	}
	return at, nil
}

func checkVersion(v string) (string, error) {
	switch v {
	case "", "v1.0":
		return "v1.0", nil
	case "beta":
		return v, nil
	}
	return "", fmt.Errorf("version %q is neither v1.0 nor beta", v)
}

// checkPath accepts an escaped path that stays where it is put: below the version.
func checkPath(p string) error {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || len(p) > maxLink {
		return errors.New("the path does not start with one slash")
	}
	for _, c := range []byte(p) {
		if c <= ' ' || c >= 0x7f || c == '?' || c == '#' || c == '\\' {
			return errors.New("the path is not escaped")
		}
	}
	plain, err := url.PathUnescape(p)
	if err != nil {
		return errors.New("the path is not escaped")
	}
	if hasDots(p) || hasDots(plain) {
		return errors.New("the path has a dot segment")
	}
	// What goes out must be these bytes, so that nothing depends on how a library spells them.
	if u, err := url.Parse("https://host" + p); err != nil || u.EscapedPath() != p {
		return errors.New("the path is not escaped")
	}
	return nil
}

func hasDots(p string) bool {
	for s := range strings.SplitSeq(strings.ReplaceAll(p, "\\", "/"), "/") {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

// checkLink accepts a link that the service gave us: absolute, of our own origin, below the version it belongs
// to, and spelled so that it can be sent byte for byte. It returns the version and the path below it.
func (o origin) checkLink(link, version string) (v, path string, err error) {
	if link == "" {
		return "", "", errors.New("the link is empty")
	}
	if len(link) > maxLink {
		return "", "", fmt.Errorf("the link has %d bytes", len(link))
	}
	for _, c := range []byte(link) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return "", "", errors.New("the link has a character that does not belong into one")
		}
	}
	u, err := url.Parse(link)
	if err != nil {
		return "", "", errors.New("the link is not a URL")
	}
	if at, ok := originOf(u); !ok || at != o {
		return "", "", errors.New("the link leads to another origin")
	}
	escaped := u.EscapedPath()
	v, path, ok := strings.Cut(strings.TrimPrefix(escaped, "/"), "/")
	path = "/" + path
	if !ok || v != "v1.0" && v != "beta" || version != "" && v != version {
		return "", "", errors.New("the link leaves its version of the service")
	}
	if err := checkPath(path); err != nil || path == "/" {
		return "", "", errors.New("the link has no usable path")
	}
	if !strings.HasSuffix(link, u.RequestURI()) {
		return "", "", errors.New("the link cannot be sent as received")
	}
	return v, path, nil
}

// encodeQuery escapes as RFC 3986 wants it, a space as %20, with the names in order, so that one request has
// one spelling. The characters that OData uses as punctuation stay readable.
func encodeQuery(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names)
	readable := strings.NewReplacer("+", "%20", "%24", "$", "%2C", ",", "%27", "'", "%28", "(", "%29", ")", "%3A", ":", "%2F", "/", "%40", "@", "%2A", "*")
	var b strings.Builder
	for _, name := range names {
		for _, value := range q[name] {
			if b.Len() == 0 {
				b.WriteByte('?')
			} else {
				b.WriteByte('&')
			}
			b.WriteString(readable.Replace(url.QueryEscape(name)))
			b.WriteByte('=')
			b.WriteString(readable.Replace(url.QueryEscape(value)))
		}
	}
	return b.String()
}
