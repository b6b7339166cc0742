package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/store"
)

// A sheet is what a person needs on the day when the host that captures is gone too.
type sheet struct {
	Repository string    `json:"repository"`
	ID         string    `json:"id"`
	Tenant     string    `json:"tenant"`
	Name       string    `json:"name"`
	Made       time.Time `json:"made"`
	Identity   string    `json:"identity"` // where the identity lies; "" where none was made or named
	Holders    []string  `json:"holders"`  // age recipients that can read the repository
	Signer     string    `json:"signer"`   // public key of this machine's signer
	Head       string    `json:"head"`
}

func initCommand(e *env) *cobra.Command {
	var tenant entra.Tenant
	var id string
	var single bool
	c := &cobra.Command{
		Use:   "init",
		Short: "Make the repository and its keys, and print the recovery sheet",
		Long: `Makes the repository. Everything in it is sealed for its holders: those under keys.holders, and the identity that
keys.identity or --identity names, which is made where there is none yet. At least two holders are wanted, so that one
lost key is not the end; --single-key, or keys.single_key, does without. Prints the recovery sheet: keep it on paper.`,
		Example: `  tidemark init
  tidemark init --repository file:///var/lib/tidemark/contoso --identity identity.txt \
      --tenant-id 8f1c0c1e-0000-4000-8000-000000000001 --name contoso --single-key`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := e.tenantSettings()
			if err != nil {
				return err
			}
			if t.ID != "" && id != "" && !strings.EqualFold(t.ID, id) {
				return usage("--tenant-id %s: the configuration names %s", id, t.ID)
			}
			if t.ID == "" {
				if !guidForm.MatchString(id) {
					return usage("--tenant-id %q is not a tenant ID; it is the GUID on the tenant's overview page", id)
				}
				t.ID = strings.ToLower(id)
			}
			if t.Name == "" {
				t.Name = tenant.Name
			}
			t.Keys.SingleKey = t.Keys.SingleKey || single
			return e.initialise(c.Context(), t)
		},
	}
	f := c.Flags()
	f.StringVar(&id, "tenant-id", "", "ID of the tenant, where there is no configuration")
	f.StringVar(&tenant.Name, "name", "", "what to call the tenant, where there is no configuration")
	f.BoolVar(&single, "single-key", false, "do with one holder: who loses that key loses the repository")
	return c
}

var guidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// initialise makes a repository. What it makes beside it is made first: an identity without a repository
// can be used again, a repository without its identity is lost.
func (e *env) initialise(ctx context.Context, t *tenantSettings) error {
	s := &session{env: e, settings: t, url: absolute(t.Repository)}
	// The holders are counted before anything is made.
	path, recipients, err := s.ownHolders(ctx)
	if err != nil {
		return err
	}
	holders, err := distinct(append(slices.Clone(t.Keys.Holders), recipients...))
	if err != nil {
		return err
	}
	making := path != "" && len(recipients) == 0
	count := len(holders)
	if making {
		count++
	}
	if count == 0 {
		return &exit{code: 2, err: errors.New("nobody could read the repository"), hint: "name keys.identity (init makes the file) or keys.holders"}
	}
	if count < 2 && !t.Keys.SingleKey {
		return &exit{code: 2, err: errors.New("the repository would have one holder: who loses that key loses every snapshot"),
			hint: "add a recipient to keys.holders whose identity is kept elsewhere (age-keygen makes one), or decide for one with keys.single_key: true or --single-key"}
	}
	st, err := makeStore(t.Repository)
	if err != nil {
		return err
	}
	defer closeStore(st)
	for name, err := range st.List(ctx, "log/") {
		if err != nil {
			return fmt.Errorf("look at %s: %w", t.Repository, err)
		}
		return &exit{code: 1, err: fmt.Errorf("%s holds a repository already (%s)", t.Repository, name), hint: "it is kept as it is; choose another place, or use it"}
	}
	if making {
		recipient, err := makeIdentity(path, e.now())
		if err != nil {
			return err
		}
		holders = append(holders, recipient)
		fmt.Fprintf(e.err, "tidemark: made the identity %s\n", path)
	}
	signer, pending, err := e.newSigner(s.url)
	if err != nil {
		return err
	}
	cloud := t.Cloud
	if cloud == "global" {
		cloud = ""
	}
	made := e.now().UTC()
	s.repo, err = repository.Init(ctx, st, repository.InitOptions{Tenant: entra.Tenant{ID: entra.TenantID(t.ID), Name: t.Name, Cloud: entra.Cloud(cloud)},
		Holders: holders, Now: e.now, Signer: signer})
	if errors.Is(err, fs.ErrExist) {
		return &exit{code: 1, err: fmt.Errorf("%s holds a repository already: %w", t.Repository, err), hint: "it is kept as it is; choose another place, or use it"}
	}
	if err != nil {
		return err
	}
	// Nothing has been captured yet, so a signer that cannot be kept costs a new init and no data.
	if err := s.keepSigner(pending); err != nil {
		return err
	}
	if err := s.saw(); err != nil {
		return err
	}
	doc := sheet{Repository: s.url, ID: s.repo.ID(), Tenant: t.ID, Name: t.Name, Made: made, Identity: path, Holders: holders, Signer: signer.String(), Head: s.repo.Head().String()}
	return e.print(result{doc: doc, rows: []any{doc}, text: doc.text()})
}

// absolute is the repository's URL as it can be used from any folder.
func absolute(place string) string {
	if strings.Contains(place, "://") {
		return place
	}
	if path, err := filepath.Abs(place); err == nil {
		return "file://" + path
	}
	return place
}

// ownHolders returns where the identity lies and the recipients of what is there: none where the file does
// not exist yet. Where the identity is no file, the path is "".
func (s *session) ownHolders(ctx context.Context) (path string, recipients []string, err error) {
	ref := s.settings.Keys.Identity
	if s.identity != "" {
		if ref = s.identity; !isReference(ref) {
			ref = "file:" + ref
		}
	}
	if ref == "" {
		return "", nil, nil
	}
	if name, ok := strings.CutPrefix(ref, "file:"); ok {
		if path, err = filepath.Abs(name); err != nil {
			return "", nil, err
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil, nil
		}
	}
	text, err := s.resolve(ctx, ref)
	if err != nil {
		return "", nil, err
	}
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return "", nil, &exit{code: 12, err: fmt.Errorf("read identity: %w", err), hint: "the file is kept as it is; name another one to have it made"}
	}
	for _, i := range identities {
		switch i := i.(type) {
		case *age.X25519Identity:
			recipients = append(recipients, i.Recipient().String())
		case *age.HybridIdentity:
			recipients = append(recipients, i.Recipient().String())
		}
	}
	if len(recipients) == 0 {
		return "", nil, &exit{code: 12, err: errors.New("read identity: it names no recipient")}
	}
	return path, recipients, nil
}

// makeIdentity writes a new age identity into a file that must not exist, and returns its recipient.
func makeIdentity(path string, now time.Time) (string, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("make identity: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("make identity: %w", err)
	}
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", now.UTC().Format(time.RFC3339), identity.Recipient(), identity)
	if err := writeNew(path, []byte(text)); err != nil {
		return "", fmt.Errorf("make identity: %w", err)
	}
	return identity.Recipient().String(), nil
}

// writeNew writes a file that must not exist, durably and for its owner only. Whoever stops it leaves no half of it.
func writeNew(path string, data []byte) error {
	draft, err := writeDraft(path, data, 0o600)
	if err != nil {
		return err
	}
	linked := os.Link(draft, path)
	if err := os.Remove(draft); err != nil {
		return err
	}
	if linked == nil || errors.Is(linked, fs.ErrExist) {
		return linked
	}
	// A file system without links, as of a memory stick.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the person names the file
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// newSigner makes this machine's key, or finds the one that an init of the same place left when it was cut
// short: with it, the repository can be finished. It returns where the key lies.
func (e *env) newSigner(place string) (*repository.Signer, string, error) {
	dir := e.state("new")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("make signer: %w", err)
	}
	sum := sha256.Sum256([]byte(place))
	path := filepath.Join(dir, hex.EncodeToString(sum[:8])+".key")
	if text, err := os.ReadFile(path); err == nil { //nolint:gosec // our own folder
		signer, err := repository.ParseSigner(string(text))
		return signer, path, err
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("make signer: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	signer, err := repository.GenerateSigner(signerName(host))
	if err != nil {
		return nil, "", err
	}
	if err := writeFile(path, []byte(signer.Secret()+"\n"), 0o600); err != nil {
		return nil, "", fmt.Errorf("make signer: %w", err)
	}
	return signer, path, nil
}

var unsafeForm = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

// signerName makes a signer's name of a host's: letters, digits, dots and hyphens, at most 40.
func signerName(host string) string {
	name := strings.Trim(unsafeForm.ReplaceAllString(host, "-"), "-.")
	if len(name) > 40 {
		name = name[:40]
	}
	if name == "" {
		return "tidemark"
	}
	return name
}

// distinct returns the holders without repeats. One that is no age recipient is an error.
func distinct(holders []string) ([]string, error) {
	var out []string
	for _, h := range holders {
		h = strings.TrimSpace(h)
		if _, err := age.ParseRecipients(strings.NewReader(h)); err != nil {
			return nil, usage("keys.holders: %q is no age recipient; one begins with age1", h)
		}
		if !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out, nil
}

// closeStore lets go of a store that holds something open.
func closeStore(s store.Store) {
	if c, ok := s.(io.Closer); ok {
		_ = c.Close() // what was put is durable already
	}
}

func (d sheet) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "RECOVERY SHEET. Print it and keep it away from this machine.\n\n")
	fmt.Fprintf(&b, "Repository   %s\n", clean(d.Repository))
	fmt.Fprintf(&b, "             %s, made %s\n", d.ID, d.Made.Format(time.RFC3339))
	fmt.Fprintf(&b, "Tenant       %s", d.Tenant)
	if d.Name != "" {
		fmt.Fprintf(&b, " (%s)", clean(d.Name))
	}
	b.WriteByte('\n')
	if d.Identity != "" {
		fmt.Fprintf(&b, "Identity     %s\n", clean(d.Identity))
		b.WriteString("             Keep a copy elsewhere. Without an identity nobody can read the\n             repository, and nobody can make a new one for it.\n")
	}
	for i, h := range d.Holders {
		label := ""
		if i == 0 {
			label = "Holders"
		}
		fmt.Fprintf(&b, "%-12s %s\n", label, h)
	}
	fmt.Fprintf(&b, "Signer       %s\n", d.Signer)
	identity := d.Identity
	if identity == "" {
		identity = "identity.txt"
	}
	fmt.Fprintf(&b, `
On another machine, with nothing but the repository and an identity:
  tidemark snapshots --repository %s --identity %s

By hand, with age, zstd and jq, inside the repository's folder:
  age -d -i %s keys/1.XX....age > epoch.txt     # one of them opens
  age -d -i epoch.txt blobs/XX/XX....age | zstd -dc | jq .
The notes in log/ name the blobs of each snapshot; sha256sum proves them.
`, clean(d.Repository), clean(identity), clean(identity))
	return b.String()
}
