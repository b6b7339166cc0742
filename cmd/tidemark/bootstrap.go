package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// commandLineTools is the client ID of Microsoft Graph Command Line Tools: a public client of Microsoft's to which people of
// every tenant can sign in, whatever applications the tenant has. Source: Microsoft Graph PowerShell, which signs in by it.
const commandLineTools = "14d82eec-204b-4c2f-b7e8-296a70dab67e"

// bootstrapScopes are the delegated permissions that somebody is asked for: to write applications, their consent and the roles
// that they hold, and to read what guard judges by.
var bootstrapScopes = []string{
	"AppRoleAssignment.ReadWrite.All", "Application.Read.All", "Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All", "RoleManagement.ReadWrite.Directory",
	"AdministrativeUnit.Read.All", "Directory.Read.All", "Domain.Read.All", "Group.Read.All", "LicenseAssignment.Read.All", "Organization.Read.All", "Policy.Read.All",
	"RoleAssignmentSchedule.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "RoleManagement.Read.Directory", "User.Read.All",
}

// A bootstrapping says what Tidemark's own applications need. It is kept with the plan, so that the goal can be made again.
type bootstrapping struct {
	Client string   `json:"client"`           // the public client that somebody signs in to
	Scopes []string `json:"scopes,omitempty"` // asked for besides the usual ones
	Own    []own    `json:"own"`
}

// An own is one of Tidemark's applications, as the configuration has it.
type own struct {
	For          []string            `json:"for"` // capture, restore or both
	ClientID     string              `json:"clientId"`
	Permissions  []string            `json:"permissions,omitempty"`  // application permissions that it needs
	Certificates [][]byte            `json:"certificates,omitempty"` // that it signs in with, in DER
	Federation   *catalog.Federation `json:"federation,omitempty"`   // whose tokens it signs in with
	Secret       bool                `json:"secret,omitempty"`       // it signs in with a client secret
	Password     bool                `json:"password,omitempty"`     // of which a new one is made where it has none
}

// name is what an application is called that nobody has captured. With its client ID in it nobody else's is taken for it.
func (o own) name() string { return "Tidemark " + strings.Join(o.For, " and ") + " " + o.ClientID }

func bootstrapCommand(e *env) *cobra.Command {
	var w wish
	var out receipt
	var b bootstrapping
	var file, yes string
	var dry, anew, update bool
	c := &cobra.Command{
		Use:   "bootstrap",
		Short: "Bring back Tidemark's own applications, as a person who signs in",
		Long: `For the day on which the applications that capture and restore are gone themselves: deleted or purged, off, without consent,
without what they sign in with. Somebody who administers the tenant signs in, through an application of Microsoft's that is
there in every tenant. As that person the tenant is read as far as is needed, and the applications that the configuration
names come back as the newest snapshot that holds them has them, or as --to names one: with their service principals, consent
for what types --permissions lists, the certificate that the configuration names, or the trust in the federated token that
it names. Nothing is taken away. It is a restore like any other: guard judges it, the person is asked, and tidemark undo --restore N takes it back.

Global Administrator or Privileged Role Administrator is needed to consent. An application that was purged comes back under a
new client ID, which --update-config writes into the configuration. A client secret cannot come back: --new-secrets FILE makes
another. A managed identity belongs to its Azure resource and is turned on there.`,
		Example: `  tidemark bootstrap --dry-run
  tidemark bootstrap --device-code --allow privileged=60,objects=120 --update-config
  tidemark bootstrap --to "3 days ago" --client-id 33333333-3333-3333-3333-333333333333`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if e.repository != "" && e.config == "" && e.getenv("TIDEMARK_CONFIG") == "" {
				return usage("bootstrap brings back the applications that a configuration names: give one with --config; --repository alone does not tell which they are")
			}
			w.newSecrets = out.file != ""
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			if b.Own, err = s.ownApplications(c.Context(), w.newSecrets); err != nil {
				return err
			}
			return s.bootstrap(c.Context(), &b, &w, out, file, yes, dry, anew, update)
		},
	}
	out.flags(c)
	f := c.Flags()
	f.StringVar(&w.to, "to", "", "the snapshot to go back to; the newest that holds the applications where it is left out")
	f.StringSliceVar(&w.allow, "allow", nil, "raise limits of the plan: objects=N,links=N,deletions=N,privileged=N,suspect=N")
	f.StringVar(&b.Client, "client-id", commandLineTools, "the public client to sign in to; it has to let people in at http://localhost, or with --device-code")
	f.StringArrayVar(&b.Scopes, "scope", nil, "ask the person for one more delegated permission of Microsoft Graph, such as GroupMember.ReadWrite.All (repeatable)")
	f.BoolVar(&e.deviceCode, "device-code", false, "sign in with a code typed into a browser on another machine")
	f.BoolVar(&update, "update-config", false, "write new client IDs into the configuration file")
	f.StringVar(&file, "out", "", "write the plan to this file, for approve and apply, and nothing to the tenant")
	f.StringVar(&yes, "yes", "", "carry out without asking: the plan's digest, or \"any\" for whatever guard clears")
	f.BoolVar(&dry, "dry-run", false, "everything but the writes")
	f.BoolVar(&anew, "anew", false, "make a new plan even where the same was begun and not finished")
	return c
}

// ownApplications are those that the configuration names.
func (s *session) ownApplications(ctx context.Context, passwords bool) ([]own, error) {
	var all []own
	for _, id := range []struct {
		what string
		identitySettings
		permissions []string
	}{{"capture", s.settings.Capture.identitySettings, consent(s.settings.Capture).Capture}, {"restore", s.settings.Restore, consent(captureSettings{}).Restore}} {
		switch {
		case id.none():
			continue
		case id.ManagedIdentity:
			fmt.Fprintf(s.err, "tidemark: the %s identity is a managed identity and belongs to its Azure resource: turn it on there, put its client ID in place if it has another, and consent to what tidemark types --permissions lists\n", id.what)
			continue
		}
		o := own{For: []string{id.what}, ClientID: strings.ToLower(id.ClientID), Secret: id.ClientSecret != "", Password: id.ClientSecret != "" && passwords}
		if !id.Interactive {
			o.Permissions = id.permissions
		}
		if err := s.signsInWith(ctx, id.what, id.identitySettings, &o); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(all, func(x own) bool { return x.ClientID == o.ClientID }); i >= 0 {
			x := &all[i]
			x.For, x.Permissions, x.Certificates = append(x.For, o.For...), append(x.Permissions, o.Permissions...), append(x.Certificates, o.Certificates...)
			x.Federation, x.Secret, x.Password = cmp.Or(x.Federation, o.Federation), x.Secret || o.Secret, x.Password || o.Password
			continue
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		return nil, usage("the configuration names no application that could be brought back; it has client_id under capture and under restore")
	}
	return all, nil
}

// signsInWith notes the certificate or the token that an identity signs in with. The machine on which the application is
// brought back need not have it: then it comes back with what it had.
func (s *session) signsInWith(ctx context.Context, what string, id identitySettings, o *own) error {
	ref := id.Certificate
	if id.FederatedTokenFile != "" {
		ref = "file:" + id.FederatedTokenFile
	}
	if ref == "" {
		return nil
	}
	data, err := s.resolve(ctx, ref)
	if err != nil {
		fmt.Fprintf(s.err, "tidemark: warning: what the %s identity signs in with is not here, so it is not seen to that the application has it: %s; where that is needed, run this again on a machine that has it\n", what, clean(err.Error()))
		return nil
	}
	if id.FederatedTokenFile != "" {
		o.Federation, err = federation(data)
	} else {
		var der []byte
		if der, err = graph.Certificate(data, nil); err == nil {
			o.Certificates = append(o.Certificates, der)
			err = s.unexpired(der)
		}
	}
	if err != nil {
		return &exit{code: 2, err: fmt.Errorf("what the %s identity signs in with: %w", what, err), hint: "correct it first: the application would come back and could not sign in"}
	}
	return nil
}

func (s *session) unexpired(der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err == nil && !cert.NotAfter.After(s.now()) {
		err = fmt.Errorf("its certificate ended on %s", cert.NotAfter.UTC().Format("2006-01-02"))
	}
	return err
}

// federation reads of a token whose it is. Nothing is verified: it is from the configuration's own file.
func federation(token []byte) (*catalog.Federation, error) {
	parts := strings.Split(strings.TrimSpace(string(token)), ".")
	var said struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience any    `json:"aud"`
	}
	if len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "=")); err == nil {
			_ = json.Unmarshal(payload, &said) // what is missing is noticed
		}
	}
	f := &catalog.Federation{Issuer: said.Issuer, Subject: said.Subject}
	switch a := said.Audience.(type) {
	case string:
		f.Audiences = []string{a}
	case []any:
		for _, one := range a {
			f.Audiences = append(f.Audiences, fmt.Sprint(one))
		}
	}
	if f.Issuer == "" || f.Subject == "" || len(f.Audiences) == 0 {
		return nil, errors.New("the federated token does not say its issuer, its subject and its audience")
	}
	return f, nil
}

func (s *session) bootstrap(ctx context.Context, b *bootstrapping, w *wish, out receipt, file, yes string, dry, anew, update bool) error {
	began := s.now()
	limits, err := w.limits(s.settings)
	if err != nil {
		return err
	}
	client, writer, err := s.asPerson(ctx, b)
	if err != nil {
		return err
	}
	goal, reach, err := s.lastHeld(ctx, b, w.to, writer)
	if err != nil {
		return err
	}
	of := making{Bootstrap: b}
	var x *proposal
	var record int64
	if !anew && !dry && file == "" {
		if record, x, err = s.proceedBootstrap(ctx, of, goal, writer); err != nil {
			return err
		}
	}
	if x == nil {
		x, err = s.proposed(ctx, reach, func(base *snapshot.Snapshot) (*proposal, error) {
			if goal == nil {
				goal = base
			}
			tree, err := s.index.Tree(ctx, s.repo, base.Number)
			if err != nil {
				return nil, err
			}
			_, refs, err := s.bootstrapped(ctx, tree, goal, b)
			if err != nil {
				return nil, err
			}
			return s.judge(ctx, base, goal, of, plan.Request{Scope: plan.Scope{Refs: refs}, Limits: limits, NewSecrets: w.newSecrets}, writer)
		})
		if err != nil {
			return err
		}
	}
	if err := s.secretless(ctx, x, b); err != nil {
		return err
	}
	if file != "" {
		if err := writePlan(file, x); err != nil {
			return err
		}
	}
	x.receipt = out
	err = s.conclude(ctx, client, x, record, yes, dry || file != "", began)
	if dry || file != "" {
		return err
	}
	return errors.Join(err, s.newClientIDs(ctx, b, update))
}

// asPerson has somebody sign in, who then both reads and writes.
func (s *session) asPerson(ctx context.Context, b *bootstrapping) (*graph.Client, guard.Writer, error) {
	scopes := slices.Concat(bootstrapScopes, b.Scopes)
	slices.Sort(scopes)
	client, claims, err := s.signIn(ctx, identitySettings{ClientID: b.Client, Interactive: true, scopes: slices.Compact(scopes)}, "bootstrap")
	if _, refused := errors.AsType[*graph.Error](err); refused || err != nil && strings.Contains(err.Error(), "AADSTS") { // a browser brings text only
		return nil, guard.Writer{}, &exit{code: 1, err: err,
			hint: "somebody has to sign in who may consent for the tenant: a Global Administrator, or a Privileged Role Administrator; where the tenant does not let people in to " + b.Client + ", name another public client with --client-id"}
	}
	if err != nil {
		return nil, guard.Writer{}, err
	}
	if claims.Person == "" {
		return nil, guard.Writer{}, &exit{code: 1, err: errors.New("sign in: it cannot be told who signed in, so what they may do cannot be judged")}
	}
	fmt.Fprintf(s.err, "tidemark: %s reads the tenant and writes to it, both: a capture refuses whoever may write, but for this command; nothing of the sign-in is kept\n", clean(cmp.Or(claims.Name, claims.Person)))
	s.clients = map[string]connection{"capture": {client, claims}, "restore": {client, claims}}
	return client, guard.Writer{Ref: entra.Ref{Type: catalog.UserType, ID: entra.ID(claims.Person)}, Permissions: claims.Permissions}, nil
}

// lines returns all names that an application ever had, and those of its service principal. The first of each is that under
// which it is invented.
func (s *session) lines(ctx context.Context, clientID string) (halves [2][]entra.Ref, err error) {
	aliases, err := s.index.Aliases(ctx)
	if err != nil {
		return halves, err
	}
	app, err := catalog.Registration(clientID, "")
	if err != nil {
		return halves, err
	}
	principal, err := catalog.Principal(clientID, "")
	if err != nil {
		return halves, err
	}
	for i, invented := range []entra.Ref{app.Ref, principal.Ref} {
		refs := []entra.Ref{invented}
		found, err := s.index.Find(ctx, index.Query{Text: clientID, Type: invented.Type, Max: 20})
		if err != nil {
			return halves, err
		}
		for _, f := range found {
			tree, err := s.index.Tree(ctx, s.repo, f.Seen())
			if err != nil {
				return halves, err
			}
			o, err := tree.Object(ctx, f.Ref)
			if err != nil {
				return halves, err
			}
			if v, _ := o.Body.Get("appId"); v == clientID {
				refs = append(refs, f.Ref)
			}
		}
		halves[i] = refs[:1:1]
		for _, r := range (plan.Reach{Refs: refs}).Named(aliases).Refs {
			if r != invented {
				halves[i] = append(halves[i], r)
			}
		}
	}
	return halves, nil
}

// lastHeld returns the snapshot that the applications are brought back from, and what has to be read for it. Without a snapshot
// it is the one that is about to be taken.
func (s *session) lastHeld(ctx context.Context, b *bootstrapping, to string, writer guard.Writer) (*snapshot.Snapshot, *plan.Reach, error) {
	numbers, err := s.index.Numbers(ctx)
	if err != nil || len(numbers) == 0 {
		return nil, nil, err
	}
	latest := numbers[len(numbers)-1]
	type half struct {
		own    own
		spans  []index.Span
		latest int64
	}
	var halves []half
	var refs []entra.Ref
	unheld := false
	for _, o := range b.Own {
		lines, err := s.lines(ctx, o.ClientID)
		if err != nil {
			return nil, nil, err
		}
		held := false
		for _, names := range lines {
			h := half{own: o}
			for _, r := range names {
				spans, err := s.index.Spans(ctx, r)
				if err != nil {
					return nil, nil, err
				}
				for _, span := range spans {
					span.Last = cmp.Or(span.Last, latest)
					h.spans, h.latest, held = append(h.spans, span), max(h.latest, span.Last), true
				}
				refs = append(refs, r)
			}
			halves = append(halves, h)
		}
		unheld = unheld || !held
	}
	has := func(h half, n int64) bool {
		return slices.ContainsFunc(h.spans, func(span index.Span) bool { return span.First <= n && n <= span.Last })
	}
	best, most := latest, 0
	for _, h := range halves {
		n := 0
		for _, x := range halves {
			if has(x, h.latest) {
				n++
			}
		}
		if n > most || n == most && h.latest > best && n > 0 {
			best, most = h.latest, n
		}
	}
	goal, err := s.index.Snapshot(ctx, best)
	if to != "" && err == nil {
		goal, err = s.snapshot(ctx, to)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, h := range halves {
		if h.latest != 0 && !has(h, goal.Number) {
			fmt.Fprintf(s.err, "tidemark: warning: snapshot %d does not hold all of the application %s (%s), which snapshot %d does; --to %d goes back to that\n", goal.Number, h.own.ClientID, strings.Join(h.own.For, " and "), h.latest, h.latest)
		}
	}
	if unheld { // it may be there all the same, and only a whole reading tells
		return goal, nil, nil
	}
	reach, err := s.reach(ctx, plan.Scope{Refs: refs}, goal, making{}, writer)
	return goal, reach, err
}

// proceedBootstrap finds the same one where it was begun and not finished.
func (s *session) proceedBootstrap(ctx context.Context, of making, goal *snapshot.Snapshot, writer guard.Writer) (int64, *proposal, error) {
	return s.resumed(ctx, writer, func(k kept, _ *plan.Plan) bool {
		return k.Bootstrap != nil && goal != nil && k.Goal == goal.Number && reflect.DeepEqual(k.Bootstrap.Own, of.Bootstrap.Own)
	})
}

// bootstrapped is the goal as it is where Tidemark's own applications can do what they are for, with what it is about. What they
// have now they keep.
func (s *session) bootstrapped(ctx context.Context, base *index.Tree, goal *snapshot.Snapshot, b *bootstrapping) (snapshot.Tree, []entra.Ref, error) {
	was, err := s.index.Tree(ctx, s.repo, goal.Number)
	if err != nil {
		return nil, nil, err
	}
	resource, err := graphIn(ctx, base)
	if err != nil {
		return nil, nil, err
	}
	tree := snapshot.NewOverlay(was, catalog.IDs, catalog.Container)
	if _, err := was.Object(ctx, resource.Ref); errors.Is(err, fs.ErrNotExist) {
		tree.Set(resource)
	} else if err != nil {
		return nil, nil, err
	}
	var refs []entra.Ref
	for _, o := range b.Own {
		some, err := s.fit(ctx, tree, was, base, resource, o)
		if err != nil {
			return nil, nil, fmt.Errorf("application %s: %w", o.ClientID, err)
		}
		refs = append(refs, some...)
	}
	slices.SortFunc(refs, entra.Ref.Compare)
	return tree, slices.Compact(refs), nil
}

// graphIn returns the service principal of Microsoft Graph, which says what permissions there are.
func graphIn(ctx context.Context, tree *index.Tree) (entra.Object, error) {
	for r, err := range tree.Holders(ctx, graphID) {
		if err != nil {
			return entra.Object{}, err
		}
		if r.Type != catalog.ServicePrincipalType {
			continue
		}
		o, err := tree.Object(ctx, r)
		if err != nil {
			return o, err
		}
		if v, _ := o.Body.Get("appId"); v == graphID {
			return o, nil
		}
	}
	return entra.Object{}, &exit{code: 1, err: errors.New("the tenant's service principal of Microsoft Graph could not be read, which says what permissions there are"), hint: "sign in as somebody who may read enterprise applications"}
}

// fit puts one application into the goal, and returns its halves.
func (s *session) fit(ctx context.Context, tree *snapshot.Overlay, was, base *index.Tree, resource entra.Object, o own) ([]entra.Ref, error) {
	lines, err := s.lines(ctx, o.ClientID)
	if err != nil {
		return nil, err
	}
	app, now, err := either(ctx, was, base, lines[0])
	if err != nil {
		return nil, err
	}
	principal, acting, err := either(ctx, was, base, lines[1])
	if err != nil {
		return nil, err
	}
	appID := o.ClientID
	for _, half := range []entra.Object{principal, app} { // in the goal it can have another one than the configuration has by now
		if v, _ := half.Body.Get("appId"); v != nil {
			appID = fmt.Sprint(v)
		}
	}
	home, _ := principal.Body.Get("appOwnerOrganizationId")
	foreign := home != nil && home != string(s.repo.Tenant().ID)
	var refs []entra.Ref
	if app.Body == "" && !foreign {
		if app, err = catalog.Registration(appID, o.name()); err != nil {
			return nil, err
		}
	}
	if app.Body != "" {
		if app, err = catalog.On(app); err == nil {
			app, err = catalog.SignsIn(app, now, o.Certificates, o.Password)
		}
		if err != nil {
			return nil, err
		}
		tree.Set(app)
		refs = append(refs, app.Ref)
	}
	if principal.Body == "" {
		if principal, err = catalog.Principal(appID, o.name()); err != nil {
			return nil, err
		}
	}
	if principal, err = catalog.On(principal); err != nil {
		return nil, err
	}
	tree.Set(principal)
	refs = append(refs, principal.Ref)
	if o.Federation != nil && app.Body != "" {
		around, err := belongings(ctx, was, app.Ref, base, now.Ref)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(around, o.Federation.Trusts) {
			f, err := o.Federation.In(app.Ref.ID)
			if err != nil {
				return nil, err
			}
			tree.Set(f)
		}
	}
	around, err := belongings(ctx, was, principal.Ref, base, acting.Ref)
	if err != nil {
		return nil, err
	}
	offers, _ := catalog.Permissions(resource)
	for _, name := range lacking(catalog.Permitted(around, resource), o.Permissions) {
		i := slices.IndexFunc(offers, func(p catalog.Permission) bool { return p.Value == name })
		if i < 0 {
			s.once("tidemark: warning: this tenant's Microsoft Graph offers no permission %s: what needs it stays out\n", name)
			continue
		}
		grant, err := catalog.Allowed(principal.Ref.ID, resource.Ref.ID, offers[i].ID)
		if err != nil {
			return nil, err
		}
		tree.Set(grant)
	}
	return refs, nil
}

// either returns an object by one of its names as it was and as it is, no body where there is none. What it was not, it was as
// it is.
func either(ctx context.Context, was, is *index.Tree, names []entra.Ref) (before, now entra.Object, err error) {
	for _, side := range []struct {
		tree *index.Tree
		o    *entra.Object
	}{{was, &before}, {is, &now}} {
		for _, r := range names {
			o, err := side.tree.Object(ctx, r)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return before, now, err
			}
			*side.o = o
			break
		}
	}
	if before.Body == "" {
		before = now
	}
	return before, now, nil
}

// belongings returns what belongs to an object in either of two trees, in which it may have two names.
func belongings(ctx context.Context, was *index.Tree, then entra.Ref, is *index.Tree, now entra.Ref) (all []entra.Object, err error) {
	for _, side := range []struct {
		tree *index.Tree
		ref  entra.Ref
	}{{was, then}, {is, now}} {
		refs, err := plan.Belonging(ctx, side.tree, side.ref)
		if err != nil {
			return nil, err
		}
		for _, r := range refs {
			o, err := side.tree.Object(ctx, r)
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
	}
	return all, nil
}

// once says something to the person that is found out again and again.
func (s *session) once(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(s.told, text) {
		s.told = append(s.told, text)
		fmt.Fprint(s.err, text)
	}
}

// secretless refuses to bring back an application that signs in with a client secret and would have none.
func (s *session) secretless(ctx context.Context, x *proposal, b *bootstrapping) error {
	tree, err := s.index.Tree(ctx, s.repo, x.base.Number)
	if err != nil {
		return err
	}
	for _, o := range b.Own {
		if !o.Secret || o.Password {
			continue
		}
		lines, err := s.lines(ctx, o.ClientID)
		if err != nil {
			return err
		}
		_, now, err := either(ctx, tree, tree, lines[0])
		if err != nil {
			return err
		}
		has := slices.ContainsFunc(catalog.Credentials(now), func(c catalog.Credential) bool { return !c.Certificate })
		back := slices.ContainsFunc(x.plan.Steps, func(t plan.Step) bool { return t.Action == plan.Undelete && slices.Contains(lines[0], t.Ref) })
		if !has && !back {
			return &exit{code: 2, err: fmt.Errorf("the application of the %s identity has no client secret any more, and its old one cannot come back; nothing was written", strings.Join(o.For, " and ")),
				hint: "add --new-secrets FILE: a new secret is handed out there, to be put where the configuration's client_secret points"}
		}
	}
	return nil
}

// A clientDoc is a line of the configuration that has to change.
type clientDoc struct {
	Key string `json:"key"`
	Old string `json:"old"`
	New string `json:"new"`
}

// clientIDs returns what the configuration has to say of applications that came back under other client IDs.
func (s *session) clientIDs(ctx context.Context, b *bootstrapping, number int64) (docs []clientDoc, err error) {
	if b == nil {
		return nil, nil
	}
	tree, err := s.index.Tree(ctx, s.repo, number)
	if err != nil {
		return nil, err
	}
	for _, o := range b.Own {
		lines, err := s.lines(ctx, o.ClientID)
		if err != nil {
			return nil, err
		}
		is, _, err := either(ctx, tree, tree, lines[0])
		if err != nil {
			return nil, err
		}
		now, _ := is.Body.Get("appId")
		if is.Body == "" || now == nil || now == o.ClientID {
			continue
		}
		for _, what := range o.For {
			docs = append(docs, clientDoc{what + ".client_id", o.ClientID, fmt.Sprint(now)})
		}
	}
	return docs, nil
}

// configured says what the configuration has to say from now on.
func configured(docs []clientDoc) string {
	var b strings.Builder
	for i, d := range docs {
		if i == 0 {
			b.WriteString("the configuration has to name new client IDs, as bootstrap --update-config writes them:\n")
		}
		section, key, _ := strings.Cut(d.Key, ".")
		fmt.Fprintf(&b, "  %s:\n    %s: %s # was %s\n", section, key, d.New, d.Old)
	}
	return b.String()
}

// newClientIDs writes new client IDs into the configuration where that is asked for.
func (s *session) newClientIDs(ctx context.Context, b *bootstrapping, update bool) error {
	latest, err := s.index.Latest(ctx)
	if err != nil {
		return err
	}
	docs, err := s.clientIDs(ctx, b, latest.Number)
	if err != nil || len(docs) == 0 || !update {
		return err
	}
	path, err := s.updateClientIDs(s.settings.Name, docs)
	if err != nil {
		return &exit{code: 1, err: fmt.Errorf("write new client IDs into the configuration: %w", err), hint: "change the lines by hand:\n" + configured(docs)}
	}
	fmt.Fprintf(s.err, "tidemark: %s names the new client IDs now; tidemark doctor says whether they sign in, which can take some minutes\n", clean(path))
	return nil
}

// beyond returns the types that somebody with the permissions cannot read.
func beyond(held []string) (types []entra.Type) {
	for r := range catalog.All() {
		if slices.ContainsFunc(lacking(held, r.Read), func(p string) bool { return !hides(p) }) {
			types = append(types, r.Type)
		}
	}
	return types
}

// personally reports whether a capture reads as the person who signed in for a bootstrap.
func (s *session) personally() bool { return s.clients["capture"].claims.Person != "" }
