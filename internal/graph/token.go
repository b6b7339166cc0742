package graph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// plainChallenge asks for a fresh token when the service refused one without saying what it lacked. It is the
// declaration that the client understands claims challenges, so it asks for nothing else.
const plainChallenge = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`

// A lease keeps the token in use. One renewal runs at a time; who comes meanwhile waits for it.
type lease struct {
	cred Credential
	now  func() time.Time
	turn chan struct{} // held by whoever reads or renews

	token string
	until time.Time // zero: until it is refused
}

func newLease(cred Credential, now func() time.Time) *lease {
	return &lease{cred: cred, now: now, turn: make(chan struct{}, 1)}
}

func (l *lease) lock(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// get returns a token that is good for now.
func (l *lease) get(ctx context.Context) (string, error) {
	if err := l.lock(ctx); err != nil {
		return "", err
	}
	defer func() { <-l.turn }()
	if l.token != "" && (l.until.IsZero() || l.now().Before(l.until)) {
		return l.token, nil
	}
	if err := l.fetch(ctx, ""); err != nil {
		return "", err
	}
	return l.token, nil
}

// renew replaces a refused token, unless somebody already has: a burst of refusals causes one renewal.
func (l *lease) renew(ctx context.Context, refused, claims string) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer func() { <-l.turn }()
	if l.token != refused {
		return nil
	}
	if claims == "" {
		claims = plainChallenge
	}
	l.token = ""
	return l.fetch(ctx, claims)
}

// fetch asks for a token and keeps it for half of its life, or until 300 s before its end if that is earlier.
func (l *lease) fetch(ctx context.Context, claims string) error {
	token, expires, err := l.cred.Token(ctx, claims)
	if err != nil {
		return err
	}
	l.token, l.until = token, time.Time{}
	if !expires.IsZero() {
		now := l.now()
		life := expires.Sub(now)
		l.until = now.Add(min(life/2, life-300*time.Second))
	}
	return nil
}

// challenge returns the claims that an answer with status 401 demands, or "" if it demands none. The fields of
// WWW-Authenticate stand in any order, and the header may occur more than once (Microsoft identity platform,
// claims challenges).
func challenge(h http.Header) string {
	for _, line := range h.Values("WWW-Authenticate") {
		fields := authParams(line)
		if fields["error"] != "insufficient_claims" {
			continue
		}
		s := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(fields["claims"]), "=")
		claims, err := base64.RawStdEncoding.DecodeString(s)
		var object map[string]any
		if err == nil && len(claims) <= 16<<10 && json.Unmarshal(claims, &object) == nil && object != nil {
			return string(claims)
		}
	}
	return ""
}

// authParams reads name="value" pairs; a value may be unquoted. A first word, the scheme, is skipped.
func authParams(s string) map[string]string {
	fields := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		if i := strings.LastIndexAny(name, " ,"); i >= 0 {
			name = name[i+1:]
		}
		var value string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			var b strings.Builder
			i := 0
			for ; i < len(quoted) && quoted[i] != '"'; i++ {
				if quoted[i] == '\\' && i+1 < len(quoted) {
					i++
				}
				b.WriteByte(quoted[i])
			}
			value, s = b.String(), quoted[min(i+1, len(quoted)):]
		} else {
			value, s, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
		}
		if name = strings.ToLower(name); fields[name] == "" {
			fields[name] = value
		}
	}
	return fields
}
