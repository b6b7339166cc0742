package graph

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

// signInTime is how long a person has to sign in. A device code lives as long (Microsoft identity platform, device
// authorization grant).
const signInTime = 15 * time.Minute

// A Person is somebody who signs in. Exactly one of Open and Code is to be given.
type Person struct {
	// Open shows somebody the sign-in page at an address. It must not wait for them to sign in: the browser brings
	// the result to a port on this machine's loopback interface (authorization code with PKCE; RFC 8252).
	Open func(address string) error
	// Code shows somebody an address and the code to type there, in a browser on any machine (RFC 8628). Whoever
	// can be talked into typing a stranger's code signs the stranger in, so this is for when Open cannot work.
	Code func(address, code string) error
}

// A person is the source of tokens for somebody who signs in. It keeps them in memory only.
type person struct {
	ask    Person
	tenant string // ID, or a domain name, which has a dot
	client public.Client

	mu      sync.Mutex
	account public.Account // zero while nobody has signed in
}

// The library for credentials is not used for people: its credential for browsers cannot be told how to open one. It
// starts whatever it finds, lets that write to standard output and waits for its end, and has no way to show the
// address instead.
func newPerson(id Identity, o azcore.ClientOptions) (*person, error) {
	if (id.Person.Open == nil) == (id.Person.Code == nil) {
		return nil, errors.New("a person signs in with a browser or with a code")
	}
	client, err := public.New(id.ClientID, public.WithAuthority(id.Authority+"/"+id.Tenant),
		public.WithInstanceDiscovery(!id.Custom), public.WithClientCapabilities([]string{"cp1"}),
		public.WithHTTPClient(authorityPipe{runtime.NewPipeline("tidemark", "", runtime.PipelineOptions{}, &o)}))
	if err != nil {
		return nil, err
	}
	return &person{ask: *id.Person, tenant: id.Tenant, client: client}, nil
}

// GetToken renews the token of who has signed in, and asks them to sign in again where the authority wants that. The
// first time it asks anybody; later nobody else is accepted, and another tenant never.
func (p *person) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.account.IsZero() {
		r, err := p.client.AcquireTokenSilent(ctx, o.Scopes, public.WithSilentAccount(p.account), public.WithClaims(o.Claims))
		if err == nil {
			return azcore.AccessToken{Token: r.AccessToken, ExpiresOn: r.ExpiresOn}, nil
		}
		// Somebody is asked for what they can help.
		_, unheard := errors.AsType[net.Error](err)
		refused, heard := errors.AsType[msal.CallErr](err)
		if unheard || ctx.Err() != nil || heard && (refused.Resp == nil || refused.Resp.StatusCode != http.StatusBadRequest) {
			return azcore.AccessToken{}, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	r, err := p.signIn(limited, o)
	switch {
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		return azcore.AccessToken{}, fmt.Errorf("nobody signed in within %d minutes", signInTime/time.Minute)
	case err != nil:
		return azcore.AccessToken{}, err
	case !strings.Contains(p.tenant, ".") && r.IDToken.TenantID != "" && !strings.EqualFold(r.IDToken.TenantID, p.tenant):
		return azcore.AccessToken{}, fmt.Errorf("%s signed in to tenant %s, and not to %s", r.Account.PreferredUsername, r.IDToken.TenantID, p.tenant)
	case !p.account.IsZero() && p.account.HomeAccountID != r.Account.HomeAccountID:
		return azcore.AccessToken{}, fmt.Errorf("%s signed in, and %s began this: only they can go on", r.Account.PreferredUsername, p.account.PreferredUsername)
	}
	p.account = r.Account
	return azcore.AccessToken{Token: r.AccessToken, ExpiresOn: r.ExpiresOn}, nil
}

func (p *person) signIn(ctx context.Context, o policy.TokenRequestOptions) (public.AuthResult, error) {
	if p.ask.Open != nil {
		return p.client.AcquireTokenInteractive(ctx, o.Scopes, public.WithClaims(o.Claims), public.WithOpenURL(p.ask.Open), public.WithLoginHint(p.account.PreferredUsername))
	}
	code, err := p.client.AcquireTokenByDeviceCode(ctx, o.Scopes, public.WithClaims(o.Claims))
	if err != nil {
		return public.AuthResult{}, err
	}
	if err := p.ask.Code(code.Result.VerificationURL, code.Result.UserCode); err != nil {
		return public.AuthResult{}, err
	}
	return code.AuthenticationResult(ctx)
}

// An authorityPipe carries requests to the authority, again where that helps.
type authorityPipe struct{ runtime.Pipeline }

func (a authorityPipe) Do(req *http.Request) (*http.Response, error) {
	r, err := runtime.NewRequestFromRequest(req)
	if err != nil {
		return nil, err
	}
	return a.Pipeline.Do(r)
}

// CloseIdleConnections does nothing: the connections belong to the client given.
func (authorityPipe) CloseIdleConnections() {}
