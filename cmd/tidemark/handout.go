package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A receipt says where new secrets go, and for whom they are sealed.
type receipt struct {
	file string
	to   []string // age recipients; the repository's key holders where there is none
}

func (r *receipt) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.file, "new-secrets", "", "make new passwords and certificates where the old secrets cannot come back, and hand them out in this file, sealed with age")
	r.recipients(c)
}

func (r *receipt) recipients(c *cobra.Command) {
	c.Flags().StringArrayVar(&r.to, "secrets-to", nil, "seal the new secrets for this age recipient instead of the repository's key holders (repeatable)")
}

func (r *receipt) check() error {
	if r.file == "" && len(r.to) > 0 {
		return usage("--secrets-to says who can read the file that --new-secrets names; name one")
	}
	return nil
}

// A handoutDoc is what the file holds, sealed.
type handoutDoc struct {
	About       string        `json:"about"` // for people
	Tenant      string        `json:"tenant"`
	Plan        string        `json:"plan"` // digest
	Credentials []handoverDoc `json:"credentials"`
	People      []accountDoc  `json:"people"` // in the order in which they come back
}

// An accountDoc is a person whose account is made anew, and the password that it begins with.
type accountDoc struct {
	Step     int    `json:"step"`
	Wave     string `json:"wave"` // administrators, managers or everyone, who come back in this order
	Name     string `json:"name"`
	Login    string `json:"userPrincipalName"`
	Password string `json:"password"` // to be changed at the first sign-in
	// Manager is whom the person's manager is by the goal, who can vouch for them and hand the password over.
	Manager string `json:"manager,omitempty"`
	Enabled bool   `json:"enabled"`
	// Restored says whether the account was made; until the restore has ended nobody knows.
	Restored *bool `json:"restored"`
}

// A handoverDoc is one new credential.
type handoverDoc struct {
	Step        int        `json:"step"`
	Application string     `json:"application"`
	Type        entra.Type `json:"type"`
	AppID       string     `json:"appId"`
	ObjectID    entra.ID   `json:"objectId"`
	Credential  string     `json:"credential"` // password or certificate
	DisplayName string     `json:"displayName"`
	OldKeyID    entra.ID   `json:"oldKeyId"`
	NewKeyID    entra.ID   `json:"newKeyId"`
	Expires     time.Time  `json:"expires"`
	Secret      string     `json:"secret,omitempty"`
	PEM         string     `json:"pem,omitempty"` // the private key and the certificate
	// Void are credentials of an attempt that was cut off: they were removed, wherever they are written.
	Void      []entra.ID   `json:"void,omitempty"`
	Consumers consumersDoc `json:"consumers"`
	Say       string       `json:"say"` // for the people who use it
}

// A consumersDoc is what the tenant tells of who uses an application.
type consumersDoc struct {
	Owners    []string          `json:"owners"`
	Addresses []string          `json:"addresses"` // where the application is: reply URLs and others
	NamedBy   []string          `json:"namedBy"`   // objects that name it: service principals, grants, policies
	Said      map[string]any    `json:"said,omitempty"`
	Formerly  map[string]string `json:"formerly,omitempty"` // what it was called by before: id, appId
}

const aboutHandout = "New secrets of applications that were restored, and new passwords of people whose accounts were made anew. Each is in this file " +
	"only: nothing can show it again. Give a secret to who runs the application, to be put in the place of the old one together with the new appId; " +
	"give a password to the person, who has to change it at the first sign-in, and be sure who it is. Then destroy this file."

// A handout is the file with new secrets. It implements apply.Handout.
type handout struct {
	path   string
	to     []age.Recipient
	tree   snapshot.Tree // the goal
	called names
	ctx    context.Context

	mu  sync.Mutex
	doc handoutDoc
}

// hands opens or begins the file of a restore; nil where none is asked for. It is written before anything else is, so
// that a place where it cannot be is noticed in time. One that is continued goes on with the file it has: accounts may be made
// already, with the passwords in it.
func (s *session) hands(ctx context.Context, x *proposal, goal snapshot.Tree) (*handout, error) {
	r := x.receipt
	if r.file == "" || !issues(x.plan) && len(accounts(x.plan)) == 0 {
		return nil, nil //nolint:nilnil // nothing to hand out
	}
	to, err := s.recipients(ctx, r)
	if err != nil {
		return nil, err
	}
	h := &handout{path: r.file, to: to, tree: goal, called: s.namesOf(ctx, x.making, x.goal), ctx: ctx, doc: handoutDoc{About: aboutHandout, Tenant: string(x.plan.Tenant), Plan: x.digest, Credentials: []handoverDoc{}}}
	if err := h.people(x); err != nil {
		return nil, err
	}
	sealed, err := os.ReadFile(r.file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && x.continues && len(h.doc.People) > 0:
		return nil, &exit{code: 2, err: fmt.Errorf("%s is not there, and accounts may be made already whose passwords are in the file that this restore began with; nothing was written", r.file),
			hint: "name that file with --new-secrets; where it is lost, --anew plans from the tenant as it is now"}
	case errors.Is(err, fs.ErrNotExist):
		if err := h.write(); err != nil {
			return nil, &exit{code: 2, err: fmt.Errorf("begin the file for new secrets: %w", err), hint: "nothing was written to the tenant; name a file that can be written with --new-secrets"}
		}
		return h, nil
	case err != nil:
		return nil, &exit{code: 2, err: fmt.Errorf("read the file for new secrets: %w", err)}
	}
	// It is that of an earlier run of the same restore, or it is left alone.
	other := &exit{code: 2, err: fmt.Errorf("%s is there already and holds other things, or cannot be read with this identity; nothing was written", r.file),
		hint: "name another file with --new-secrets"}
	ids, err := s.identities(ctx)
	if err != nil {
		return nil, err
	}
	in, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		return nil, other
	}
	var earlier handoutDoc
	if err := json.NewDecoder(in).Decode(&earlier); err != nil || earlier.Plan != x.digest || earlier.Tenant != h.doc.Tenant {
		return nil, other
	}
	h.doc.Credentials, h.doc.People = earlier.Credentials, earlier.People
	return h, nil
}

// people gives everybody a password whose account the plan makes. All are in the file before the first account is.
func (h *handout) people(x *proposal) error {
	waves, leads := map[int]string{}, map[entra.Ref]entra.Ref{}
	for _, way := range x.cleared.Returning() {
		for _, n := range way {
			waves[n] = "administrators"
		}
	}
	managers := map[entra.Ref]bool{}
	for _, t := range x.plan.Steps {
		if t.Action == plan.Attach && t.Link.Rel == catalog.Manager {
			leads[t.Link.From], managers[t.Link.To] = t.Link.To, true
		}
	}
	h.doc.People = []accountDoc{}
	for _, n := range accounts(x.plan) {
		t := x.plan.Steps[n-1]
		wave := cmp.Or(waves[n], map[bool]string{true: "managers", false: "everyone"}[managers[t.Ref]])
		body, err := holding(t.Set)
		if err != nil {
			return fmt.Errorf("step %d: %w", n, err)
		}
		account, _ := catalog.AccountOf(entra.Object{Ref: t.Ref, Body: body})
		d := accountDoc{Step: n, Wave: wave, Name: t.Name, Login: account.Login, Password: password(), Enabled: account.Enabled}
		if leader, ok := leads[t.Ref]; ok {
			d.Manager, _ = h.called.Name(leader)
		}
		h.doc.People = append(h.doc.People, d)
	}
	return nil
}

// accounts returns the numbers of the steps that make an account with a new password, ascending.
func accounts(p *plan.Plan) (numbers []int) {
	for _, t := range p.Steps {
		if r, ok := catalog.Lookup(t.Ref.Type); ok && t.Action == plan.Create && r.Fresh() {
			numbers = append(numbers, t.Number)
		}
	}
	return numbers
}

// password makes a random password of 100 bits that every password policy takes and a person can type.
// Source: Microsoft Entra documentation, "Password policies and account restrictions": three of four kinds of characters.
func password() string {
	text := rand.Text()[:20]
	return "Tm-" + strings.Join([]string{text[:5], strings.ToLower(text[5:10]), text[10:15], strings.ToLower(text[15:])}, "-")
}

// password is that of the account which a step of a plan makes. Where nobody asked for it, nobody will know it.
func (h *handout) password(p *plan.Plan, t plan.Step) (string, bool) {
	switch {
	case h != nil:
		i, ok := slices.BinarySearchFunc(h.doc.People, t.Number, func(d accountDoc, n int) int { return d.Step - n })
		if !ok {
			return "", false
		}
		return h.doc.People[i].Password, true
	case p.NewSecrets:
		return "", false
	}
	return password(), true
}

// settle notes in the file which accounts there are.
func (h *handout) settle(r *apply.Report) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.doc.People) == 0 {
		return nil
	}
	made := map[int]bool{}
	for _, x := range r.Results {
		made[x.Step] = x.Outcome == apply.Done || x.Outcome == apply.AlreadyDone
	}
	for i, d := range h.doc.People {
		there := made[d.Step]
		h.doc.People[i].Restored = &there
	}
	return h.write()
}

// issues reports whether a plan makes secrets.
func issues(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Steps, plan.Step.Secret)
}

// recipients are for whom new secrets are sealed.
func (s *session) recipients(ctx context.Context, r receipt) (to []age.Recipient, err error) {
	texts := r.to
	if len(texts) == 0 {
		_, own, err := s.ownHolders(ctx)
		if err != nil {
			return nil, err
		}
		texts = append(slices.Clone(s.settings.Keys.Holders), own...)
	}
	for _, text := range texts {
		some, err := age.ParseRecipients(strings.NewReader(strings.TrimSpace(text)))
		if err != nil {
			return nil, usage("--secrets-to %q is no age recipient; one begins with age1", text)
		}
		to = append(to, some...)
	}
	if len(to) == 0 {
		return nil, usage("nobody could read the new secrets: name an age recipient with --secrets-to")
	}
	return to, nil
}

// write replaces the file, durably, by one that holds the document.
func (h *handout) write() (err error) {
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, h.to...)
	if err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(h.doc); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	dir := filepath.Dir(h.path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(h.path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &sealed)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // sealed, and of no use
		return err
	}
	d, err := os.Open(dir) //nolint:gosec // where the person wants the file
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Given implements apply.Handout.
func (h *handout) Given(t plan.Step) (entra.ID, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.doc.Credentials {
		if c.Step == t.Number {
			return c.NewKeyID, true
		}
	}
	return "", false
}

// Give implements apply.Handout.
func (h *handout) Give(i apply.Issued) error {
	d := handoverDoc{Step: i.Step.Number, Application: catalog.Name(i.Object), Type: i.Object.Ref.Type, ObjectID: i.Object.Ref.ID, Credential: string(catalog.Password),
		DisplayName: i.Old.Name, OldKeyID: i.Old.Key, NewKeyID: i.Key, Expires: i.Ends.UTC(), Void: i.Void, Consumers: h.consumers(i)}
	if v, ok := i.Object.Body.Get("appId"); ok {
		d.AppID, _ = v.(string)
	}
	if d.Secret = i.Secret; i.Old.Certificate {
		d.Credential, d.Secret, d.PEM = string(catalog.Certificate), "", i.Secret
	}
	d.Say = fmt.Sprintf("%s signs in with this %s from now on, as appId %s; the one it had is void.", d.Application, d.Credential, d.AppID)
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.doc.Credentials
	h.doc.Credentials = append(slices.DeleteFunc(slices.Clone(before), func(c handoverDoc) bool { return c.Step == d.Step }), d)
	if err := h.write(); err != nil {
		h.doc.Credentials = before
		return err
	}
	return nil
}

func (h *handout) count() (credentials, people int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.doc.People {
		if d.Restored != nil && *d.Restored {
			people++
		}
	}
	return len(h.doc.Credentials), people
}

// consumers finds in the goal who uses the object that a credential belongs to. What cannot be read is left out: the
// secret matters more.
func (h *handout) consumers(i apply.Issued) consumersDoc {
	d := consumersDoc{Owners: []string{}, Addresses: []string{}, NamedBy: []string{}, Said: map[string]any{}, Formerly: map[string]string{}}
	o, err := h.tree.Object(h.ctx, i.Step.Ref)
	if err != nil {
		o = i.Object
	}
	called := h.called
	who := func(r entra.Ref) string {
		name, _ := called.Name(r)
		return strings.TrimSpace(fmt.Sprintf("%s (%s)", name, r))
	}
	for l, err := range h.tree.Around(h.ctx, o.Ref) {
		if err == nil && l.From == o.Ref && l.Rel == catalog.Owners {
			d.Owners = append(d.Owners, who(l.To))
		}
	}
	for _, id := range catalog.Handles(o) {
		for r, err := range h.tree.Holders(h.ctx, id) {
			if err == nil && r != o.Ref {
				d.NamedBy = append(d.NamedBy, who(r))
			}
		}
	}
	body := o.Body.Decode()
	d.Addresses = addresses(body)
	for _, property := range []string{"notes", "tags", "description", "serviceManagementReference", "notificationEmailAddresses"} {
		if v := body[property]; v != nil && v != "" {
			d.Said[property] = values(v)
		}
	}
	if o.Ref != i.Object.Ref {
		d.Formerly["id"] = string(o.Ref.ID)
		if v, _ := body["appId"].(string); v != "" {
			d.Formerly["appId"] = v
		}
	}
	for _, list := range []*[]string{&d.Owners, &d.NamedBy, &d.Addresses} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return d
}

// addresses returns the texts in a value that are addresses of hosts.
func addresses(v any) []string {
	found := []string{}
	switch v := v.(type) {
	case string:
		if u, err := url.Parse(v); err == nil && u.Scheme != "" && u.Host != "" {
			found = append(found, v)
		}
	case []any:
		for _, e := range v {
			found = append(found, addresses(e)...)
		}
	case map[string]any:
		for _, e := range v {
			found = append(found, addresses(e)...)
		}
	}
	return found
}
