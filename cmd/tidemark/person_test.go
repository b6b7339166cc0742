package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// A visitor stands for somebody's browser, and for them: it follows an address, enters a name and goes where the
// pages send it.
type visitor struct {
	person string // user principal name, or "cancel"
	http   *http.Client
}

func newVisitor(person string) (*visitor, error) {
	pem, err := os.ReadFile(os.Getenv("BROWSER_CA"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &visitor{person, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}}, nil
}

var (
	actionOf = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	inputs   = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// submit fills a page's form, as far as it is hidden and by what else is given, and returns the next page.
func (b *visitor) submit(at, page string, more url.Values) (string, error) {
	action := actionOf.FindStringSubmatch(page)
	if action == nil {
		return "", fmt.Errorf("no form at %s: %s", at, page)
	}
	base, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	to, err := base.Parse(html.UnescapeString(action[1]))
	if err != nil {
		return "", err
	}
	for _, m := range inputs.FindAllStringSubmatch(page, -1) {
		more.Set(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return body(b.http.PostForm(to.String(), more))
}

func body(r *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Body.Close() }()
	data, err := io.ReadAll(r.Body)
	return string(data), err
}

// signIn follows the address of a sign-in page to its end.
func (b *visitor) signIn(address string) error {
	page, err := body(b.http.Get(address))
	if err != nil {
		return err
	}
	who := url.Values{"username": {b.person}}
	if b.person == "cancel" {
		who = url.Values{"cancel": {"Cancel"}}
	}
	if page, err = b.submit(address, page, who); err == nil {
		page, err = b.consent(address, page)
	}
	if err == nil {
		_, err = b.submit(address, page, url.Values{})
	}
	return err
}

// consent accepts what a page asks for, where it asks.
func (b *visitor) consent(address, page string) (string, error) {
	if !strings.Contains(page, "Permissions requested") {
		return page, nil
	}
	return b.submit(address, page, url.Values{})
}

// enter types a code at an address.
func (b *visitor) enter(address, code string) error {
	page, err := body(b.http.Get(address))
	if err == nil {
		page, err = b.submit(address, page, url.Values{"otc": {code}, "username": {b.person}})
	}
	if err == nil {
		_, err = b.consent(address, page)
	}
	return err
}

// xdgOpen is the program by which a desktop opens an address.
func xdgOpen() {
	b, err := newVisitor(os.Getenv("BROWSER_PERSON"))
	if err == nil {
		err = b.signIn(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// somebody is the program `somebody NAME`: a person who reads what is piped to them, does what it asks for, and passes
// it on.
func somebody() {
	b, err := newVisitor(os.Args[1])
	in := bufio.NewScanner(os.Stdin)
	for err == nil && in.Scan() {
		fmt.Println(in.Text())
		if strings.HasPrefix(in.Text(), "https://") {
			err = b.signIn(in.Text())
		} else if words := strings.Fields(in.Text()); strings.Contains(in.Text(), "enter the code") {
			for _, w := range words {
				if strings.HasPrefix(w, "https://") {
					err = b.enter(w, words[len(words)-1])
				}
			}
		}
	}
	if err != nil {
		fmt.Println("somebody:", err)
		os.Exit(1)
	}
}
