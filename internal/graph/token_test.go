package graph_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

// mint is a credential that counts.
type mint struct {
	mu     sync.Mutex
	claims []string
	life   time.Duration
	err    error
}

func (m *mint) Token(_ context.Context, claims string) (string, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return "", time.Time{}, m.err
	}
	m.claims = append(m.claims, claims)
	return fmt.Sprint("token-", len(m.claims)), time.Now().Add(m.life), nil
}

func minted(t *testing.T, m *mint, w *wire) *graph.Client {
	t.Helper()
	c, err := graph.New(m, graph.Options{Endpoint: endpoint, HTTP: &http.Client{Transport: w}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, c *graph.Client) error {
	_, err := c.Do(t.Context(), graph.Request{Path: "/users/1"})
	return err
}

// A burst of refusals causes one renewal, and every request goes through.
func TestOneRenewalForABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{life: time.Hour}
		w := &wire{serve: func(_ int, r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			if r.Header.Get("Authorization") == "Bearer token-1" {
				return refuse(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid."), nil
			}
			return reply(200, `{"id":"1"}`), nil
		}}
		c := minted(t, m, w)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := get(t, c); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(m.claims) != 2 || m.claims[0] != "" || m.claims[1] == "" {
			t.Errorf("tokens were asked for with claims %q", m.claims)
		}
	})
}

func TestTokensAreKeptForHalfTheirLife(t *testing.T) {
	for _, row := range []struct {
		life time.Duration
		want int // tokens in two hours of a request per minute
	}{{time.Hour, 4}, {24 * time.Hour, 1}, {8 * time.Minute, 30}, {time.Minute, 1}} {
		synctest.Test(t, func(t *testing.T) {
			m := &mint{life: row.life}
			c := minted(t, m, always(func() *http.Response { return reply(200, `{"id":"1"}`) }))
			minutes := 120
			if row.life == time.Minute {
				minutes = 1
			}
			if row.life == 8*time.Minute {
				minutes = 90 // kept for 3 minutes each
			}
			for range minutes {
				if err := get(t, c); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
			}
			if len(m.claims) != row.want {
				t.Errorf("life %s: %d tokens, want %d", row.life, len(m.claims), row.want)
			}
		})
	}
}

func TestClaimsChallenges(t *testing.T) {
	demand := `{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}`
	std := base64.StdEncoding.EncodeToString([]byte(demand))
	plain := `{"access_token":{"xms_cc":{"values":["cp1"]}}}`
	for name, row := range map[string]struct {
		headers []string
		want    string
	}{
		"documented":    {[]string{`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="` + std + `"`}, demand},
		"other order":   {[]string{`Bearer claims="` + std + `", client_id="x", error="insufficient_claims", realm=""`}, demand},
		"second header": {[]string{`Basic realm="x"`, `Bearer error="insufficient_claims",claims="` + std + `"`}, demand},
		"unpadded":      {[]string{`Bearer error="insufficient_claims", claims="` + strings.TrimRight(std, "=") + `"`}, demand},
		"unquoted":      {[]string{`Bearer error=insufficient_claims, claims=` + std}, demand},
		"url alphabet":  {[]string{`Bearer error="insufficient_claims", claims="` + base64.URLEncoding.EncodeToString([]byte(demand)) + `"`}, demand},
		"other error":   {[]string{`Bearer error="invalid_token", claims="` + std + `"`}, plain},
		"not base64":    {[]string{`Bearer error="insufficient_claims", claims="%%%"`}, plain},
		"not JSON":      {[]string{`Bearer error="insufficient_claims", claims="aGVsbG8="`}, plain},
		"null":          {[]string{`Bearer error="insufficient_claims", claims="bnVsbA=="`}, plain},
		"no claims":     {[]string{`Bearer error="insufficient_claims"`}, plain},
		"nothing":       {nil, plain},
		"open quote":    {[]string{`Bearer error="insufficient_claims", claims="` + std}, demand},
		"escaped":       {[]string{`Bearer realm="a\"b, c=d", error="insufficient_claims", claims="` + std + `"`}, demand},
	} {
		t.Run(name, func(t *testing.T) {
			m := &mint{life: time.Hour}
			w := script(func() (*http.Response, error) {
				r := refuse(401, "InvalidAuthenticationToken", "")
				r.Header["Www-Authenticate"] = row.headers
				return r, nil
			}, answer(200, `{"id":"1"}`))
			if err := get(t, minted(t, m, w)); err != nil {
				t.Fatal(err)
			}
			if len(m.claims) != 2 || m.claims[1] != row.want {
				t.Errorf("claims %q, want %s", m.claims, row.want)
			}
			if got := w.asked[1].Header.Get("Authorization"); got != "Bearer token-2" {
				t.Errorf("sent %s", got)
			}
		})
	}
}

func TestRefusedTwiceIsRefused(t *testing.T) {
	m := &mint{life: time.Hour}
	err := get(t, minted(t, m, always(func() *http.Response { return refuse(401, "InvalidAuthenticationToken", "") })))
	if !errors.Is(err, fs.ErrPermission) || len(m.claims) != 2 {
		t.Errorf("%v after %d tokens", err, len(m.claims))
	}
}

func TestTokensThatDoNotCome(t *testing.T) {
	reason := errors.New("the vault is shut")
	w := always(func() *http.Response { t.Error("sent"); return reply(200, `{}`) })
	if err := get(t, minted(t, &mint{err: reason}, w)); !errors.Is(err, reason) {
		t.Error(err)
	}
	for _, token := range []string{"", "a b", "a\r\nX: y", "ä"} {
		c, err := graph.New(bearer(token), graph.Options{Endpoint: endpoint, HTTP: &http.Client{Transport: w}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), graph.Request{Method: "POST", Path: "/users"}); err == nil || errors.Is(err, graph.ErrUnknownOutcome) || token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("token %q: %v", token, err)
		}
	}
}
