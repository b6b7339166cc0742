package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// A session is one tenant opened: its settings, its repository and the index over it.
type session struct {
	*env
	settings *tenantSettings
	url      string
	repo     *repository.Repository
	index    *index.Index
	other    *session              // of the tenant that a goal is a snapshot of; nil until it is needed
	anew     bool                  // the whole log is read, whatever this machine knows of it
	kept     int64                 // records of the log that this machine has kept
	clients  map[string]connection // by what they are for
	told     []string              // what need not be said again
}

// A connection is one of the tenant's two identities signed in. Its claims are zero where they cannot be read.
type connection struct {
	client *graph.Client
	claims graph.Claims
}

// requests is how many requests were sent to the tenant so far.
func (s *session) requests() (n int64) {
	counted := map[*graph.Client]bool{} // one can stand for several
	for _, c := range s.clients {
		if !counted[c.client] {
			n += c.client.Stats().Requests
		}
		counted[c.client] = true
	}
	return n
}

// tenantSettings returns what is configured for the tenant; with --repository alone there is no
// configuration, and everything else is asked of the repository.
func (e *env) tenantSettings() (*tenantSettings, error) {
	if e.repository != "" && e.config == "" && e.getenv("TIDEMARK_CONFIG") == "" {
		return &tenantSettings{Repository: e.repository, Index: "file"}, nil
	}
	s, err := e.readSettings()
	if err != nil {
		return nil, err
	}
	t, err := s.pick(e.tenant)
	if err != nil {
		return nil, err
	}
	if e.repository != "" {
		t.Repository = e.repository
	}
	return t, nil
}

// open opens the tenant's repository, checks it against the newest head this machine has seen, and brings
// the index up to date. The caller closes the session.
func (e *env) open(ctx context.Context) (*session, error) {
	t, err := e.tenantSettings()
	if err != nil {
		return nil, err
	}
	s := &session{env: e, settings: t, url: t.Repository}
	if err := s.openRepository(ctx); err != nil {
		return nil, err
	}
	path := ":memory:"
	if t.Index == "file" {
		path = e.cache(s.repo.ID() + ".sqlite")
	}
	if s.index, err = index.Open(ctx, path, history.Kept()); err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	if err := s.update(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) openRepository(ctx context.Context) error {
	st, err := openStore(s.url)
	if err != nil {
		return err
	}
	// The signer and the newest head are filed under the repository's ID, which only the repository knows.
	id, err := repository.Identify(ctx, st)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.url, err)
	}
	o := repository.Options{Now: s.now}
	if o.Identities, err = s.identities(ctx); err != nil {
		return err
	}
	dir := s.state(id)
	if text, err := os.ReadFile(filepath.Join(dir, "head")); err == nil { //nolint:gosec // our own folder
		if o.Seen, err = repository.ParseHead(strings.TrimSpace(string(text))); err != nil {
			return fmt.Errorf("read newest head seen: %w", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read newest head seen: %w", err)
	}
	if o.Signer, err = s.signer(dir); err != nil {
		return err
	}
	if s.settings.Index == "file" && !s.anew {
		o.Kept, _ = os.ReadFile(s.cache(id + ".log")) //nolint:gosec // our own folder; where it cannot be read, nothing is known
	}
	if s.repo, err = repository.Open(ctx, st, o); err != nil {
		return fmt.Errorf("open %s: %w", s.url, err)
	}
	s.kept = s.repo.Recalled()
	if s.settings.ID != "" && entra.TenantID(s.settings.ID) != s.repo.Tenant().ID {
		return &exit{code: 2, err: fmt.Errorf("the repository %s belongs to tenant %s, the configuration names %s", s.url, s.repo.Tenant().ID, s.settings.ID),
			hint: "one repository keeps one tenant; correct id or repository"}
	}
	return s.saw()
}

// state is the folder that holds what this machine knows about a repository.
func (e *env) state(id string) string {
	return filepath.Join(e.xdg("XDG_STATE_HOME", filepath.Join(".local", "state")), "tidemark", id)
}

// cache is a file of what this machine could find out anew.
func (e *env) cache(name string) string {
	return filepath.Join(e.xdg("XDG_CACHE_HOME", ".cache"), "tidemark", name)
}

// signer reads this machine's key for a repository; nil where it has none.
func (e *env) signer(dir string) (*repository.Signer, error) {
	text, err := os.ReadFile(filepath.Join(dir, "signer.key")) //nolint:gosec // our own folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no key is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read signer: %w", err)
	}
	return repository.ParseSigner(string(text))
}

// writable makes sure that this machine can sign. A machine that never did makes a key and has it admitted by
// what the identity opens: on the worst day there is the repository, an identity, and a new machine.
func (s *session) writable(ctx context.Context) error {
	if s.repo.CanWrite() {
		return nil
	}
	signer, pending, err := s.newSigner(s.url)
	if err != nil {
		return err
	}
	if err := s.repo.Admit(ctx, signer); err != nil {
		return err
	}
	if err := s.keepSigner(pending); err != nil {
		return err
	}
	name, _, _ := strings.Cut(signer.String(), "+")
	fmt.Fprintf(s.err, "tidemark: this machine signs what it writes from now on, as %s\n", name)
	return s.saw()
}

// keepSigner files this machine's key under the repository.
func (s *session) keepSigner(pending string) error {
	dir := s.state(s.repo.ID())
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.Rename(pending, filepath.Join(dir, "signer.key"))
	}
	if err != nil {
		return fmt.Errorf("keep signer: %w", err)
	}
	return nil
}

// identities reads the age identities that open the repository.
func (s *session) identities(ctx context.Context) ([]age.Identity, error) {
	if s.secret != "" {
		return s.passphraseIdentity(ctx, s.secret)
	}
	ref := s.settings.Keys.Identity
	if s.identity != "" {
		ref = s.identity
		if !isReference(ref) {
			ref = "file:" + ref
		}
	}
	if ref == "" {
		return nil, &exit{code: 12, err: errors.New("no identity to open the repository with"), hint: "name it with --identity or keys.identity"}
	}
	text, err := s.resolve(ctx, ref)
	if err != nil {
		return nil, &exit{code: 12, err: err, hint: "the identity file is made by tidemark init; without it the repository cannot be read"}
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, &exit{code: 12, err: fmt.Errorf("read identity: %w", err)}
	}
	return ids, nil
}

// saw keeps the repository's head, so that an older or another history is noticed next time.
func (s *session) saw() error {
	dir := s.state(s.repo.ID())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep newest head: %w", err)
	}
	if err := writeFile(filepath.Join(dir, "head"), []byte(s.repo.Head().String()+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep newest head: %w", err)
	}
	_ = s.keepLog() // where it cannot, the next command reads the log as this one did, and doctor says why
	return nil
}

// fewNotes is how many records are read as quickly as none.
const fewNotes = 8

// keepLog keeps what is known of the log in the cache, so that the next command need not read all of it.
func (s *session) keepLog() error {
	size := s.repo.Head().Size
	if s.settings.Index != "file" || size-s.kept < fewNotes {
		return nil
	}
	path := s.cache(s.repo.ID() + ".log")
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = writeFile(path, s.repo.Kept(), 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep log: %w", err)
	}
	s.kept = size
	return nil
}

// writeFile replaces a file at once, so that a crash, a loss of power, or another process that does the same leaves the old
// content or the new.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if is, err := os.ReadFile(path); err == nil && bytes.Equal(is, data) { //nolint:gosec // our own folder, or named by the person
		return nil
	}
	draft, err := writeDraft(path, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return nil
}

// writeDraft writes a file beside a path, durably, and returns its name.
func writeDraft(path string, data []byte, mode fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// update brings the index up to date with the repository.
func (s *session) update(ctx context.Context) error {
	if err := s.index.Update(ctx, s.repo); err != nil {
		return fmt.Errorf("update index: %w", err)
	}
	return s.saw()
}

func (s *session) close() {
	if s.other != nil {
		s.other.close()
	}
	if s.index != nil {
		_ = s.index.Close() // it holds nothing the repository does not
	}
}

// connect signs in to the tenant as one of its two identities, once. It returns the client and what the token says of
// itself, zero where it cannot be read.
func (s *session) connect(ctx context.Context, id identitySettings, what string) (*graph.Client, graph.Claims, error) {
	if c, ok := s.clients[what]; ok {
		return c.client, c.claims, nil
	}
	client, claims, err := s.signIn(ctx, id, what)
	if err != nil {
		return nil, graph.Claims{}, err
	}
	if s.clients == nil {
		s.clients = map[string]connection{}
	}
	s.clients[what] = connection{client, claims}
	return client, claims, nil
}

func (s *session) signIn(ctx context.Context, id identitySettings, what string) (*graph.Client, graph.Claims, error) {
	if id.none() {
		return nil, graph.Claims{}, &exit{code: 2, err: fmt.Errorf("no %s identity is configured for tenant %q", what, s.settings.Name),
			hint: "add a section " + what + " with client_id and certificate; tidemark types --permissions lists what it needs"}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if s.settings.CA != "" {
		pem, err := s.resolve(ctx, s.settings.CA)
		if err != nil {
			return nil, graph.Claims{}, err
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, graph.Claims{}, &exit{code: 2, err: errors.New("ca: no certificate in it")}
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	login := graph.Identity{
		Tenant: s.settings.ID, ClientID: id.ClientID, Authority: s.settings.Authority, Scope: s.settings.Graph + "/.default",
		FederatedTokenFile: id.FederatedTokenFile, ManagedIdentity: id.ManagedIdentity,
		HTTP: &http.Client{Transport: transport}, Custom: s.settings.Cloud == "custom",
	}
	if id.scopes != nil {
		login.Scope = ""
		for _, name := range id.scopes {
			login.Scope += s.settings.Graph + "/" + name + " "
		}
	}
	var err error
	if id.Certificate != "" {
		login.CertificatePEM, err = s.resolve(ctx, id.Certificate)
	}
	if id.ClientSecret != "" {
		fmt.Fprintf(s.err, "tidemark: warning: the %s identity uses a client secret; a certificate cannot be copied out of a log or a chat\n", what)
		var secret []byte
		secret, err = s.resolve(ctx, id.ClientSecret)
		login.Secret = strings.TrimSpace(string(secret))
	}
	if id.Interactive {
		login.Person, err = s.person()
	}
	if err != nil {
		return nil, graph.Claims{}, err
	}
	cred, err := graph.Login(login)
	if err != nil {
		return nil, graph.Claims{}, fmt.Errorf("sign in as the %s identity: %w", what, err)
	}
	token, _, err := cred.Token(ctx, "")
	refusal, refused := errors.AsType[*graph.Error](err)
	if refused && id.scopes == nil && gone(refusal) {
		return nil, graph.Claims{}, &exit{code: 1, err: fmt.Errorf("sign in as the %s identity: %w", what, err),
			hint: "where the application, its service principal or its credential was taken away, tidemark bootstrap brings it back: somebody who administers the tenant signs in"}
	}
	if refused && id.Interactive && id.scopes == nil {
		return nil, graph.Claims{}, &exit{code: 1, err: fmt.Errorf("sign in as the %s identity: %w", what, err),
			hint: "for people the application needs the redirect address http://localhost, consent to delegated permissions, and for --device-code \"allow public client flows\""}
	}
	if err != nil {
		return nil, graph.Claims{}, fmt.Errorf("sign in as the %s identity: %w", what, err)
	}
	client, err := graph.New(cred, graph.Options{HTTP: &http.Client{Transport: transport}, Endpoint: s.settings.Graph, Scale: s.settings.scale(), Now: s.now, UserAgent: "tidemark/" + version()})
	if err != nil {
		return nil, graph.Claims{}, err
	}
	claims, ok := graph.ReadClaims(token)
	if !ok {
		fmt.Fprintf(s.err, "tidemark: warning: the %s identity's token cannot be read, so its permissions are not known\n", what)
		return client, claims, nil
	}
	if claims.Tenant != "" && !strings.EqualFold(claims.Tenant, s.settings.ID) {
		return nil, graph.Claims{}, &exit{code: 2, err: fmt.Errorf("the %s identity belongs to tenant %s, the configuration names %s", what, claims.Tenant, s.settings.ID)}
	}
	if claims.Person != "" {
		fmt.Fprintf(s.err, "tidemark: signed in as %s to tenant %s (%s)\n", clean(cmp.Or(claims.Name, claims.Person)), clean(s.tenantName()), claims.Tenant)
	}
	return client, claims, nil
}

// gone reports whether somebody who signs in is refused because an application, its service principal or its credential is not
// there, or is off. Source: Microsoft identity platform, AADSTS error codes.
func gone(e *graph.Error) bool {
	return slices.ContainsFunc(e.Inner, func(code string) bool {
		switch code {
		case "AADSTS700016", "AADSTS7000112", "AADSTS7000229", // there is no application; it is off; it has no service principal
			"AADSTS700027", "AADSTS7000215", "AADSTS70021", "AADSTS700211", "AADSTS700213": // certificate, secret, federation
			return true
		}
		return false
	})
}

// asJSON is for documents that are kept in the log.
func asJSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}
