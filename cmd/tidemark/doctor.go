package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/store"
)

// A checkup is one thing that doctor looked at.
type checkup struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn or fail
	What   string `json:"what"`
	Fix    string `json:"fix"`
}

// A doctorDoc is all that doctor found. OK means that nothing failed.
type doctorDoc struct {
	OK     bool      `json:"ok"`
	Checks []checkup `json:"checks"`
}

// A doctor collects what it finds; one failure does not end the examination.
type doctor struct {
	*session
	restoring bool
	doc       doctorDoc
}

// maxSkew is how far this machine's clock may be from the service's before doctor warns. Tokens are judged
// by the service with about this tolerance (Microsoft identity platform documentation).
const maxSkew = 5 * time.Minute

// expiring is how long before a certificate's end doctor warns.
const expiring = 30 * 24 * time.Hour

func doctorCommand(e *env) *cobra.Command {
	var restoring bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Examine configuration, repository, keys, clock and permissions, and say how to fix each",
		Long: `Examines everything that a capture and a restore need: configuration, repository, identity, signer, index, clock,
sign-in, permissions that are missing and permissions that are too much. It writes nothing. With --restore it also
says, type by type, what the identity that restores cannot write. Exit code 1 means that something failed.`,
		Example: "  tidemark doctor\n  tidemark doctor --restore -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d := &doctor{session: &session{env: e}, restoring: restoring, doc: doctorDoc{OK: true, Checks: []checkup{}}}
			d.examine(c.Context())
			d.close()
			if err := c.Context().Err(); err != nil {
				return err
			}
			if err := e.print(d.result()); err != nil {
				return err
			}
			if !d.doc.OK {
				return &exit{code: 1}
			}
			return nil
		},
	}
	e.personFlags(c)
	c.Flags().BoolVar(&restoring, "restore", false, "also say what the identity that restores cannot write")
	return c
}

func (d *doctor) ok(check, what string, args ...any) { d.add(check, "ok", "", what, args...) }

func (d *doctor) warn(check, fix, what string, args ...any) { d.add(check, "warn", fix, what, args...) }

func (d *doctor) fail(check, fix, what string, args ...any) { d.add(check, "fail", fix, what, args...) }

func (d *doctor) add(check, status, fix, what string, args ...any) {
	d.doc.OK = d.doc.OK && status != "fail"
	d.doc.Checks = append(d.doc.Checks, checkup{check, status, fmt.Sprintf(what, args...), fix})
}

// refuse notes an error with the next step that the person would be told.
func (d *doctor) refuse(check string, err error) {
	_, fix := explain(err)
	d.fail(check, fix, "%v", err)
}

func (d *doctor) examine(ctx context.Context) {
	t, err := d.tenantSettings()
	if err != nil {
		d.refuse("configuration", err)
		return
	}
	d.settings, d.url = t, t.Repository
	if t.ID == "" {
		d.ok("configuration", "none; the repository says what it is")
	} else {
		d.ok("configuration", "tenant %s, %s", t.Name, t.ID)
	}
	d.examineRepository(ctx)
	if t.ID == "" {
		return
	}
	if len(t.Guard.BreakGlass) == 0 {
		d.warn("break-glass", "name the accounts that must always get in under guard.break_glass", "no break-glass account is named, so guard protects none")
	} else {
		d.ok("break-glass", "%d accounts and groups keep their access", len(t.Guard.BreakGlass))
	}
	d.examineCapture(ctx)
	d.examineRestore(ctx)
}

func (d *doctor) examineRepository(ctx context.Context) {
	// Whether there is a repository at all is said before what its keys are.
	st, err := openStore(d.url)
	if err == nil {
		_, err = repository.Identify(ctx, st)
		closeStore(st)
	}
	if err != nil {
		d.refuse("repository", err)
		return
	}
	if err := d.openRepository(ctx); err != nil {
		d.refuse("repository", err)
		return
	}
	d.ok("repository", "%s, %d records", d.url, d.repo.Head().Size)
	d.examineStore(ctx)
	if d.repo.CanWrite() {
		d.ok("signer", "this machine signs what it writes")
	} else {
		d.ok("signer", "this machine has signed nothing yet; its first capture or restore makes a key and introduces it")
	}
	if err := d.keepLog(); err != nil {
		d.warn("log", "take away what is there, or make its folder writable", "each command reads all of the log anew, since this machine cannot keep it: %v", err)
	}
	path := ":memory:"
	if d.settings.Index == "file" {
		path = d.cache(d.repo.ID() + ".sqlite")
	}
	if d.index, err = index.Open(ctx, path, history.Kept()); err == nil {
		err = d.update(ctx)
	}
	if err != nil {
		d.refuse("index", err)
		return
	}
	d.examineIndex(ctx, path)
	d.examineTest()
	d.examineDrill(ctx)
}

// examineTest says when a key was tried last.
func (d *doctor) examineTest() {
	const often = 90 * 24 * time.Hour
	at, err := d.tested()
	switch age := d.now().Sub(at); {
	case err != nil:
		d.refuse("key test", err)
	case at.IsZero():
		d.warn("key test", "tidemark key test, with each copy of a key", "no key has been tested from this machine")
	case age > often:
		d.warn("key test", "tidemark key test, with each copy of a key", "the last was %d days ago", age/(24*time.Hour))
	default:
		d.ok("key test", "the last was %s", at.Format(time.DateOnly))
	}
}

// examineDrill says whether the last rehearsed restore brought everything back, and when that was.
func (d *doctor) examineDrill(ctx context.Context) {
	const often = 30 * 24 * time.Hour
	last, err := d.drills(ctx, 1)
	switch {
	case err != nil:
		d.refuse("drill", err)
	case len(last) == 0:
		d.warn("drill", "tidemark drill", "no restore has been rehearsed: nobody knows whether one would succeed")
	case !last[0].Equal:
		d.fail("drill", "tidemark report drill -o json says what; then tidemark drill", "the last rehearsed restore, of snapshot %d, left %s", last[0].Snapshot, count(len(last[0].Differences), "difference"))
	case d.now().Sub(last[0].At) > often:
		d.warn("drill", "tidemark drill", "the last rehearsed restore was %d days ago", d.now().Sub(last[0].At)/(24*time.Hour))
	default:
		d.ok("drill", "snapshot %d came back whole on %s, in %s", last[0].Snapshot, last[0].At.Format(time.DateOnly), duration(last[0].Seconds))
	}
}

// examineStore tries to write a file that is there, which a store refuses without changing anything, and
// counts for how many holders the newest keys are sealed.
func (d *doctor) examineStore(ctx context.Context) {
	st, err := openStore(d.url)
	if err != nil {
		d.refuse("store", err)
		return
	}
	defer closeStore(st)
	holders, epoch, taken := 0, "", ""
	for name, err := range st.List(ctx, "keys/") {
		if err != nil {
			d.refuse("store", err)
			return
		}
		taken = name
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "keys/"), ".")
		switch {
		case len(number) > len(epoch) || len(number) == len(epoch) && number > epoch:
			epoch, holders = number, 1
		case number == epoch:
			holders++
		}
	}
	if taken == "" {
		d.fail("holders", "restore the folder keys from a copy of the repository", "the repository's keys are missing")
		return
	}
	if err := st.Put(ctx, taken, strings.NewReader("")); errors.Is(err, fs.ErrExist) {
		d.ok("store", "can be written to, and what is there cannot be overwritten")
	} else if errors.Is(err, fs.ErrPermission) || err != nil {
		d.fail("store", "let this user write there, or capture as another one", "cannot be written to: %v", err)
	} else {
		d.fail("store", "replace the store: it does not keep what was written; then check the repository", "what is there can be overwritten")
	}
	d.examineLock(ctx, st, taken)
	switch {
	case holders > 1:
		d.ok("holders", "%d keys open the repository", holders)
	case d.settings.Keys.SingleKey || d.settings.ID == "":
		d.warn("holders", "keep a copy of the identity in another place", "one key opens the repository: who loses it loses every snapshot")
	default:
		d.fail("holders", "set keys.single_key: true if one is enough, and keep a copy of it in another place", "one key opens the repository: who loses it loses every snapshot")
	}
}

// examineLock says whether what is in a bucket can be taken away, by a file of it that is not new.
func (d *doctor) examineLock(ctx context.Context, st store.Store, name string) {
	l, ok := st.(store.Locker)
	switch scheme, _, _ := strings.Cut(d.url, "://"); {
	case ok:
	case scheme == "s3":
		d.warn("lock", "add lock_days=DAYS to the repository's address; the bucket needs object lock", "nothing is locked: whoever may delete can take it away")
		return
	case scheme == "azblob":
		d.warn("lock", "lock a time-based retention policy on the container", "locks are the container's, which Tidemark does not see")
		return
	default:
		return
	}
	switch until, err := l.Until(ctx, name); {
	case err != nil:
		d.refuse("lock", err)
	case until.Before(d.now()):
		d.fail("lock", "turn on the bucket's object lock, capture, and look again with tidemark check", "%s is not locked, and %d days are asked for", name, l.Days())
	default:
		d.ok("lock", "for %d days from when it is written; %s until %s", l.Days(), name, until.UTC().Format(time.DateOnly))
	}
}

func (d *doctor) examineIndex(ctx context.Context, path string) {
	latest, err := d.index.Latest(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.warn("index", "tidemark capture", "up to date; there is no snapshot yet")
	case err != nil:
		d.refuse("index", err)
	case !latest.Whole():
		d.warn("index", "tidemark coverage says which parts, and why", "up to date in %s; the latest snapshot, %d, is partial", path, latest.Number)
	default:
		d.ok("index", "up to date in %s; the latest snapshot is %d of %s", path, latest.Number, latest.Ended.UTC().Format(time.RFC3339))
	}
}

func (d *doctor) examineCapture(ctx context.Context) {
	id := d.settings.Capture.identitySettings
	client, claims, ok := d.signIn(ctx, id, "capture")
	held := claims.Permissions
	if !ok {
		return
	}
	d.examineClock(ctx, client)
	if held == nil {
		d.warn("capture permissions", "", "not known: the token cannot be read")
		return
	}
	need := consent(d.settings.Capture)
	// Without the permission to see hidden memberships the groups that have them are known as holes, which
	// an owner can decide to live with.
	lack := lacking(held, need.Capture)
	hidden := slices.DeleteFunc(slices.Clone(lack), func(p string) bool { return !hides(p) })
	lack = slices.DeleteFunc(lack, hides)
	fix := "grant it to " + id.ClientID + ", with an administrator's consent"
	switch {
	case len(lack) > 0:
		d.fail("capture permissions", fix+"; or leave the types out with capture.exclude",
			"missing: %s; so these are not captured whole: %s", strings.Join(lack, ", "), strings.Join(readers(need.Types, lack), ", "))
	case len(hidden) == 0:
		d.ok("capture permissions", "all there")
	}
	if len(hidden) > 0 {
		d.warn("capture permissions", fix, "missing: %s; hidden memberships are not captured", strings.Join(hidden, ", "))
	}
	var excess []string
	for _, p := range held {
		if !reads(p) && !slices.Contains(d.settings.Capture.AllowPermissions, p) {
			excess = append(excess, p)
		}
	}
	slices.Sort(excess)
	if len(excess) > 0 {
		d.fail("capture excess", "take them away from "+id.ClientID+"; one that a reading cannot do without goes into capture.allow_permissions",
			"may write to the tenant: %s", strings.Join(excess, ", "))
	} else {
		d.ok("capture excess", "no permission writes")
	}
}

func (d *doctor) examineRestore(ctx context.Context) {
	id := d.settings.Restore
	if id.none() {
		if d.restoring {
			d.fail("restore sign-in", "add a section restore with client_id and certificate", "no restore identity is configured")
		} else {
			d.ok("restore sign-in", "not configured: nothing is restored from here")
		}
		return
	}
	if id.Interactive && !d.restoring {
		d.ok("restore sign-in", "a person signs in to %s; doctor --restore asks for one", id.ClientID)
		return
	}
	_, claims, ok := d.signIn(ctx, id, "restore")
	if !ok {
		return
	}
	held := claims.Permissions
	if held == nil {
		d.warn("restore permissions", "", "not known: the token cannot be read")
		return
	}
	need := consent(captureSettings{})
	lack := lacking(held, need.Restore)
	if len(lack) == 0 {
		d.ok("restore permissions", "all there")
	} else {
		d.fail("restore permissions", "grant them to "+id.ClientID+", with an administrator's consent", "missing: %s", strings.Join(lack, ", "))
	}
	if !d.restoring {
		return
	}
	for _, n := range need.Types {
		if less := lacking(held, n.Write); len(less) > 0 {
			d.warn("restore "+string(n.Type), "grant it where such objects are to be restored", "cannot be written whole without %s", strings.Join(less, ", "))
		}
	}
}

// signIn signs in as one of the identities and looks at its certificate.
func (d *doctor) signIn(ctx context.Context, id identitySettings, what string) (*graph.Client, graph.Claims, bool) {
	check := what + " sign-in"
	if id.Certificate != "" {
		d.examineCertificate(ctx, id, what)
	}
	client, claims, err := d.connect(ctx, id, what)
	if err != nil {
		d.refuse(check, err)
		return nil, graph.Claims{}, false
	}
	if claims.Person != "" {
		d.warn(check, "activate the roles that the restore needs before it", "signed in to %s as %s, whose own roles bound what can be written: they are not judged here", id.ClientID, clean(cmp.Or(claims.Name, claims.Person)))
	} else {
		d.ok(check, "signed in as %s", id.ClientID)
	}
	return client, claims, true
}

// examineCertificate says when a certificate ends. What it cannot read is left to the sign-in.
func (d *doctor) examineCertificate(ctx context.Context, id identitySettings, what string) {
	data, err := d.resolve(ctx, id.Certificate)
	if err != nil {
		return
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return
		}
		end := cert.NotAfter.UTC().Format(time.RFC3339)
		fix := "register a new certificate for " + id.ClientID + ", then put it into " + what + ".certificate"
		switch left := cert.NotAfter.Sub(d.now()); {
		case left <= 0:
			d.fail(what+" certificate", fix, "ended on %s", end)
		case left < expiring:
			d.warn(what+" certificate", fix, "ends on %s", end)
		default:
			d.ok(what+" certificate", "ends on %s", end)
		}
		return
	}
}

// examineClock compares this machine's clock with the service's.
func (d *doctor) examineClock(ctx context.Context, client *graph.Client) {
	answer, err := client.Do(ctx, graph.Request{Path: "/organization", Query: url.Values{"$select": {"id"}}})
	if err != nil {
		d.refuse("service", err)
		return
	}
	d.ok("service", "%s answers", d.settings.Graph)
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		d.warn("clock", "", "the service says no time")
		return
	}
	if skew := d.now().Sub(date); skew.Abs() > maxSkew {
		d.warn("clock", "set this machine's clock by a time server", "differs from the service's by %s; the times of snapshots would be wrong by as much", skew.Round(time.Second).Abs())
	} else {
		d.ok("clock", "agrees with the service's")
	}
}

// hides reports whether all that a permission adds is the sight of hidden links.
func hides(permission string) bool {
	for r := range catalog.All() {
		if slices.ContainsFunc(r.Links, func(l catalog.Relation) bool { return l.HiddenFrom == permission }) {
			return true
		}
	}
	return false
}

// readers returns the types that need one of the permissions in order to be read.
func readers(types []needDoc, permissions []string) []string {
	var names []string
	for _, n := range types {
		if slices.ContainsFunc(n.Read, func(p string) bool { return slices.Contains(permissions, p) }) {
			names = append(names, string(n.Type))
		}
	}
	return names
}

// lacking returns the permissions that are needed and that nothing held covers, ascending.
func lacking(held, need []string) []string {
	lack := slices.DeleteFunc(slices.Clone(need), func(p string) bool { return covered(held, p) })
	slices.Sort(lack)
	return slices.Compact(lack)
}

// covered reports whether a permission is held, or another that includes it: writing includes reading,
// reading groups includes reading their members, reading all policies includes reading each kind, and
// reading the directory includes reading each of its basic types. Source: Microsoft Graph permissions reference.
func covered(held []string, need string) bool {
	holds := func(p string) bool { return slices.Contains(held, p) }
	if holds(need) {
		return true
	}
	what, rest, ok := strings.Cut(need, ".Read.")
	if !ok {
		return what == "GroupMember.ReadWrite.All" && holds("Group.ReadWrite.All")
	}
	if holds(what + ".ReadWrite." + rest) {
		return true
	}
	if what == "Policy" && (rest == "AuthenticationMethod" || rest == "ConditionalAccess") && holds("Policy.Read.All") {
		return true
	}
	if what == "GroupMember" && (holds("Group.Read.All") || holds("Group.ReadWrite.All")) {
		return true
	}
	if !slices.Contains(basic, what) || rest != "All" {
		return false
	}
	return holds("Directory.Read.All") || holds("Directory.ReadWrite.All")
}

// basic are the resources that Directory.Read.All includes.
var basic = []string{"AdministrativeUnit", "Application", "DelegatedPermissionGrant", "Device", "Domain", "Group", "GroupMember",
	"LicenseAssignment", "Organization", "OrgContact", "User"}

func (d *doctor) result() result {
	doc := d.doc
	return result{doc: doc, rows: anySlice(doc.Checks), head: []string{"CHECK", "STATUS", "WHAT"}, cells: func(yield func([]string)) {
		for _, c := range doc.Checks {
			what := c.What
			if c.Fix != "" && c.Status != "ok" {
				what += ". To do: " + c.Fix
			}
			yield([]string{c.Check, c.Status, what})
		}
	}}
}
