package graph

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"software.sslmate.com/src/go-pkcs12"
)

// maxTokenAnswer bounds what is read from the authority; a token with many roles has some 10 kB.
const maxTokenAnswer = 1 << 20

// An Identity says as whom to sign in, and how. Exactly one of CertificatePEM, Secret, FederatedTokenFile,
// ManagedIdentity and Person is to be given.
type Identity struct {
	Tenant   string // ID or a domain name; not needed for a managed identity
	ClientID string // of the application; for a managed identity that of a user-assigned one, or empty

	// Authority issues the tokens; empty means "https://login.microsoftonline.com". It is never derived from
	// the endpoint of the service, nor the other way round.
	Authority string
	Scope     string // of the tokens, or several with blanks between; empty means "https://graph.microsoft.com/.default"

	CertificatePEM      []byte // certificate and private key, in PEM or PKCS#12
	CertificatePassword []byte // for PKCS#12; nil means none
	Secret              string
	FederatedTokenFile  string // is read again for new tokens, since it is rewritten in place
	ManagedIdentity     bool
	Person              *Person // signs in to the application; the tokens are for what both may do

	HTTP *http.Client // for the authority; nil means one with sane timeouts
	// Custom says that the authority is not one of Microsoft's. Its endpoints are then asked for neither at
	// login.microsoftonline.com nor at the authority: its token endpoint is AUTHORITY/TENANT/oauth2/v2.0/token.
	Custom bool
}

// Login returns a credential that acquires tokens for an identity. It makes no request; the first token does.
// The credential keeps a token until shortly before its end, acquires one at a time, and declares that the
// service may revoke tokens early (continuous access evaluation). It keeps nothing on disk. A refusal by the authority
// is an *[Error]. A person has 15 minutes to sign in, is asked again where the authority wants that, and must then be
// the same.
func Login(id Identity) (Credential, error) {
	id.Authority = strings.TrimRight(orDefault(id.Authority, "https://login.microsoftonline.com"), "/")
	u, err := url.Parse(id.Authority)
	if err != nil {
		return nil, errors.New("login: the authority is not a URL")
	}
	if _, ok := originOf(u); !ok || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("login: the authority %q is not of the form https://host", u.Redacted())
	}
	ways := 0
	for _, given := range []bool{len(id.CertificatePEM) > 0, id.Secret != "", id.FederatedTokenFile != "", id.ManagedIdentity, id.Person != nil} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, fmt.Errorf("login: %d ways to sign in are given, not one", ways)
	case !id.ManagedIdentity && (id.Tenant == "" || id.ClientID == ""):
		return nil, errors.New("login: tenant or client ID is missing")
	}
	source, err := id.source()
	if err != nil {
		// The library's text may be long, but it names no secret.
		return nil, fmt.Errorf("login: %w", err)
	}
	return &login{source: source, scopes: strings.Fields(orDefault(id.Scope, "https://graph.microsoft.com/.default")), path: "/" + orDefault(id.Tenant, "managed-identity") + "/oauth2/v2.0/token"}, nil
}

func (id Identity) source() (azcore.TokenCredential, error) {
	o := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: id.Authority, Services: map[cloud.ServiceName]cloud.ServiceConfiguration{}},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
	if id.ManagedIdentity {
		// The machine's own endpoint must not be reached through a proxy (Microsoft Entra documentation on
		// managed identities). The library wants a plain client here, to pin certificates on some hosts.
		hc := id.HTTP
		if hc == nil {
			hc = &http.Client{Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
				ResponseHeaderTimeout:  stall,
				IdleConnTimeout:        45 * time.Second,
				MaxResponseHeaderBytes: 1 << 20,
			}}
		}
		o.Transport = newHTTP(hc, 1)
		mo := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: o}
		if id.ClientID != "" {
			mo.ID = azidentity.ClientID(id.ClientID)
		}
		return azidentity.NewManagedIdentityCredential(mo)
	}
	line := &authorityLine{http: newHTTP(id.HTTP, 1)}
	if id.Custom {
		line.home = id.Authority + "/" + id.Tenant
	}
	o.Transport = line
	switch {
	case id.Person != nil:
		return newPerson(id, o)
	case len(id.CertificatePEM) > 0:
		certs, key, err := parseCertificate(id.CertificatePEM, id.CertificatePassword)
		if err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
		return azidentity.NewClientCertificateCredential(id.Tenant, id.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: id.Custom})
	case id.Secret != "":
		return azidentity.NewClientSecretCredential(id.Tenant, id.ClientID, id.Secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: id.Custom})
	}
	return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: o, DisableInstanceDiscovery: id.Custom,
		TenantID: id.Tenant, ClientID: id.ClientID, TokenFilePath: id.FederatedTokenFile,
	})
}

// Certificate returns the certificate that somebody signs in with in DER, of what [Identity] calls CertificatePEM: the one
// whose private key is with it.
func Certificate(data, password []byte) ([]byte, error) {
	certs, key, err := parseCertificate(data, password)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	private, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("read the certificate: its private key cannot sign")
	}
	for _, cert := range certs {
		if public, ok := private.Public().(interface{ Equal(crypto.PublicKey) bool }); ok && public.Equal(cert.PublicKey) {
			return cert.Raw, nil
		}
	}
	return nil, errors.New("read the certificate: none is there that fits the private key")
}

// parseCertificate reads a certificate and its key.
func parseCertificate(data, password []byte) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if block, _ := pem.Decode(data); block != nil {
		return azidentity.ParseCertificates(data, password)
	}
	key, leaf, chain, err := pkcs12.DecodeChain(data, string(password))
	if err != nil {
		return nil, nil, err
	}
	return append([]*x509.Certificate{leaf}, chain...), key, nil
}

type login struct {
	source azcore.TokenCredential
	scopes []string
	path   string // of the token endpoint, for messages
}

// Token asks the library, which caches, and asks the authority for one token at a time. Claims pass its cache by.
func (l *login) Token(ctx context.Context, claims string) (string, time.Time, error) {
	claims, err := withoutCapability(claims)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("acquire a token: %w", err)
	}
	t, err := l.source.GetToken(ctx, policy.TokenRequestOptions{Scopes: l.scopes, Claims: claims, EnableCAE: true})
	if err != nil {
		if cause := ctx.Err(); cause != nil {
			return "", time.Time{}, cause
		}
		return "", time.Time{}, l.refusal(err)
	}
	return t.Token, t.ExpiresOn, nil
}

// withoutCapability removes the declaration of capabilities from a challenge. The library adds its own and
// takes a second one for a contradiction. What remains is never empty, or the library would use its cache.
func withoutCapability(claims string) (string, error) {
	if claims == "" {
		return "", nil
	}
	var top map[string]any
	if err := json.Unmarshal([]byte(claims), &top); err != nil || top == nil {
		return "", errors.New("the claims are not a JSON object")
	}
	if inner, ok := top["access_token"].(map[string]any); ok {
		delete(inner, "xms_cc")
	}
	rest, err := json.Marshal(top)
	return string(rest), err
}

// refusal makes an Error of a failure if the authority answered, and shortens it if not.
func (l *login) refusal(err error) error {
	var resp *http.Response
	if failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		resp = failed.RawResponse
	} else if failed, ok := errors.AsType[msal.CallErr](err); ok {
		resp = failed.Resp
	}
	if resp == nil || resp.StatusCode < 400 {
		return fmt.Errorf("acquire a token: %s", printable(err.Error()))
	}
	e := &Error{Method: http.MethodPost, Path: l.path, Status: resp.StatusCode, RequestID: text(resp.Header.Get("x-ms-request-id"))}
	if resp.Body != nil {
		if body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer)); err == nil {
			e.fill(body)
		}
	}
	return e
}

// An authorityLine carries requests to the authority.
type authorityLine struct {
	http *http.Client
	home string // of the tenant at a custom authority, else empty
}

// Do sends a request. It answers one request itself: a private authority is described as the public ones are,
// since the library goes no further without a description, and need not have one.
func (a *authorityLine) Do(req *http.Request) (*http.Response, error) {
	if a.home != "" && strings.EqualFold(req.URL.Scheme+"://"+req.URL.Host+req.URL.Path, a.home+"/v2.0/.well-known/openid-configuration") {
		return a.description(req)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxTokenAnswer), resp.Body}
	return resp, nil
}

func (a *authorityLine) description(req *http.Request) (*http.Response, error) {
	body, err := json.Marshal(map[string]string{
		"issuer":                 a.home + "/v2.0",
		"authorization_endpoint": a.home + "/oauth2/v2.0/authorize",
		"token_endpoint":         a.home + "/oauth2/v2.0/token",
	})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Request: req,
	}, nil
}

// Claims are what an access token says of itself.
type Claims struct {
	// Permissions are those the application holds, or, where a person has signed in, those it may use for them. What
	// the person's own roles allow bounds them, and is not in them. Empty means that none has been granted.
	Permissions []string
	Tenant, App string
	Person      string // object ID of who signed in; "" where the application acts by itself
	Name        string // user principal name of who signed in, where it is told
}

// ReadClaims reads what an access token says of itself. Nothing is verified, and tokens are opaque by contract, so
// this is for diagnostics only; ok is false if the token cannot be read. Permissions are not nil if it can.
// Source: Microsoft identity platform, access token claims reference.
func ReadClaims(token string) (c Claims, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Claims{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return Claims{}, false
	}
	var said struct {
		Roles      []string `json:"roles"`
		Scopes     *string  `json:"scp"`
		TID        string   `json:"tid"`
		OID        string   `json:"oid"`
		AppID      string   `json:"appid"`
		AZP        string   `json:"azp"`
		UPN        string   `json:"upn"`
		UniqueName string   `json:"unique_name"`
		Preferred  string   `json:"preferred_username"`
	}
	if json.Unmarshal(payload, &said) != nil {
		return Claims{}, false
	}
	c = Claims{Permissions: append([]string{}, said.Roles...), Tenant: said.TID, App: orDefault(said.AppID, said.AZP)}
	if said.Scopes != nil { // a person's roles in the application are none of its permissions
		c.Permissions = append([]string{}, strings.Fields(*said.Scopes)...)
		c.Person, c.Name = said.OID, orDefault(said.UPN, orDefault(said.UniqueName, said.Preferred))
	}
	return c, true
}
