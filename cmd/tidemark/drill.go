package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/apply"
	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/history"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/repository"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
	"github.com/tidemark-backup/tidemark/internal/store/mem"
	"github.com/tidemark-backup/tidemark/internal/verify"
)

// A drillDoc is how one rehearsed restore ended; its record in the log holds it, but for its number.
type drillDoc struct {
	Number      int64           `json:"number,omitempty"` // of the record
	Snapshot    int64           `json:"snapshot"`
	At          time.Time       `json:"at"`
	Objects     int64           `json:"objects"` // that the snapshot has of types that can be restored
	Links       int64           `json:"links"`
	Writes      int             `json:"writes"`
	Seconds     float64         `json:"seconds"`
	Equal       bool            `json:"equal"`
	Differences []differenceDoc `json:"differences"`
	Gaps        []gapDoc        `json:"gaps"`
	Random      *drillDoc       `json:"random,omitempty"` // of another snapshot, chosen by chance
}

func drillCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "drill [SNAPSHOT]",
		Short: "Rehearse a restore: rebuild a snapshot in a made-up tenant, and compare",
		Long: `Starts a small made-up tenant on this machine, restores into it over HTTPS, as a restore does, all of a snapshot that an
application may write, captures it and compares. Nothing is sent to the real tenant, and nothing of the snapshot leaves this machine or is kept. Without
SNAPSHOT it is done with the newest and with another that chance chooses. The result is signed into the repository's log;
tidemark report drill shows the last ones. Exit code 5 means that something did not come back and nothing says why.

The made-up tenant has the snapshot's domains, licences and other companies' applications, and accepts and refuses what
Microsoft documents. It has no quotas: the seconds are those of this machine, and a plan's estimate says what the
service would take.`,
		Example: "  tidemark drill\n  tidemark drill 12 -o json",
		Args:    takes(0, 1, "at most one snapshot"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return s.drill(c.Context(), args, nil)
		},
	}
	return c
}

// drill rehearses one snapshot, or the newest and another. meddle, if any, does something to each made-up tenant before
// anything is written to it.
func (s *session) drill(ctx context.Context, args []string, meddle func(*emulator.Tenant)) error {
	name := "latest"
	if len(args) > 0 {
		name = args[0]
	}
	first, err := s.snapshot(ctx, name)
	if err != nil {
		return err
	}
	if err := s.writable(ctx); err != nil {
		return err
	}
	doc, err := s.drilled(ctx, first, meddle)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		other, err := s.another(ctx, first.Number)
		if err == nil && other != nil {
			doc.Random, err = s.drilled(ctx, other, meddle)
		}
		if err != nil {
			return err
		}
	}
	if err := s.print(result{doc: doc, rows: []any{doc}, text: doc.text()}); err != nil {
		return err
	}
	for _, d := range []*drillDoc{doc, doc.Random} {
		if d != nil && !d.Equal {
			return &exit{code: 5, err: fmt.Errorf("snapshot %d would not come back whole: %s", d.Snapshot, count(len(d.Differences), "difference")),
				hint: "each difference says what a restore would leave undone; what the made-up tenant does otherwise than Microsoft's is a bug worth a report"}
		}
	}
	return nil
}

// another chooses a snapshot by chance; nil where there is no other.
func (s *session) another(ctx context.Context, but int64) (*snapshot.Snapshot, error) {
	var numbers []int64
	for rec, err := range s.repo.Records(ctx, 0) {
		if err != nil {
			return nil, err
		}
		if rec.Kind == repository.KindSnapshot && rec.Number != but && !s.repo.Forgotten(rec) {
			numbers = append(numbers, rec.Number)
		}
	}
	if len(numbers) == 0 {
		return nil, nil //nolint:nilnil // none is an answer
	}
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(numbers))))
	if err != nil {
		return nil, fmt.Errorf("choose a snapshot: %w", err)
	}
	return s.index.Snapshot(ctx, numbers[n.Int64()])
}

// drilled rehearses one snapshot and keeps the result in the log.
func (s *session) drilled(ctx context.Context, goal *snapshot.Snapshot, meddle func(*emulator.Tenant)) (*drillDoc, error) {
	fmt.Fprintf(s.err, "tidemark: rebuilding snapshot %d in a made-up tenant\n", goal.Number)
	doc, err := s.rehearse(ctx, goal, meddle)
	if err != nil {
		return nil, fmt.Errorf("drill of snapshot %d: %w", goal.Number, err)
	}
	data, err := asJSON(doc)
	if err != nil {
		return nil, err
	}
	rec, err := s.repo.Append(ctx, repository.KindDrill, goal.Number, data)
	if err != nil {
		return nil, fmt.Errorf("keep the result of a drill: %w", err)
	}
	doc.Number = rec.Number
	return doc, s.update(ctx)
}

// A rehearsal is a made-up tenant with a repository in memory, which ends with it.
type rehearsal struct {
	tenant *emulator.Tenant
	reader *graph.Client
	writer *graph.Client
	repo   *repository.Repository
	index  *index.Index
	asked  []entra.Type // what the snapshot has of what is read only if it is asked for
}

func (s *session) rehearse(ctx context.Context, goal *snapshot.Snapshot, meddle func(*emulator.Tenant)) (*drillDoc, error) {
	began := time.Now()
	old, err := s.index.Tree(ctx, s.repo, goal.Number)
	if err != nil {
		return nil, err
	}
	r, domains, err := s.stage(ctx, old)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if meddle != nil {
		meddle(r.tenant)
	}
	doc := &drillDoc{Snapshot: goal.Number, At: s.now().UTC().Truncate(time.Second), Differences: []differenceDoc{}, Gaps: []gapDoc{}}
	scope := plan.Scope{}
	for t := range catalog.All() {
		if t.Can == 0 || t.People || t.Stream || t.Live != "" {
			continue // nobody can write it, or only somebody who signs in
		}
		scope.Types = append(scope.Types, t.Type)
		for _, p := range goal.Parts {
			if p.Type == t.Type {
				doc.Objects, doc.Links = doc.Objects+p.Objects, doc.Links+p.Links
			}
		}
	}
	base, err := r.capture(ctx)
	if err != nil {
		return nil, err
	}
	baseTree, err := r.index.Tree(ctx, r.repo, base.Number)
	if err != nil {
		return nil, err
	}
	tree, err := plan.Move{From: goal.Tenant, To: entra.TenantID(r.tenant.ID()), Domains: domains}.Move(old)
	if err != nil {
		return nil, err
	}
	p, cleared, err := r.cleared(ctx, baseTree, tree, scope)
	if err != nil {
		return nil, err
	}
	report, err := r.apply(ctx, p, cleared, baseTree, base.Number)
	if err != nil {
		return nil, err
	}
	after, err := r.capture(ctx)
	if err != nil {
		return nil, err
	}
	afterTree, err := r.index.Tree(ctx, r.repo, after.Number)
	if err != nil {
		return nil, err
	}
	aliases, err := r.index.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	differences, _, err := verify.Run(ctx, p, tree, afterTree, aliases)
	if err != nil {
		return nil, err
	}
	refused := map[entra.Ref]string{}
	for _, res := range report.Results {
		if t := p.Steps[res.Step-1]; res.Error != "" && refused[t.Ref] == "" {
			refused[t.Ref] = res.Error
		}
	}
	doc.Differences = s.differenceDocs(differences, s.names(ctx, goal.Number))
	for i, d := range doc.Differences {
		if o, err := tree.Object(ctx, entra.Ref{Type: d.Type, ID: d.ID}); err == nil && d.Name == "" { // of what has another ID here
			doc.Differences[i].Name = catalog.Name(o)
		}
		if why := refused[entra.Ref{Type: d.Type, ID: d.ID}]; why != "" {
			doc.Differences[i].Reason += ": " + why
		}
	}
	for _, g := range p.Gaps {
		doc.Gaps = append(doc.Gaps, gapOf(g))
	}
	doc.Writes, doc.Equal, doc.Seconds = len(p.Steps), len(doc.Differences) == 0, time.Since(began).Seconds()
	return doc, nil
}

// stage starts a made-up tenant with what the snapshot's tenant has from outside, and says which domains take the place of
// which.
func (s *session) stage(ctx context.Context, old *index.Tree) (*rehearsal, map[string]string, error) {
	o := emulator.Options{Users: 16, Groups: 8, Apps: 1, Seed: 1, Domain: "drill.example", Privy: true, Now: s.now, Start: s.now()}
	theirs, initial, err := domains(ctx, old)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range theirs {
		if d != initial {
			o.World.Domains = append(o.World.Domains, d)
		}
	}
	own := map[string]bool{}
	for _, t := range []entra.Type{catalog.ApplicationType, catalog.ServicePrincipalType, catalog.LicenceType} {
		for e, err := range old.Entries(ctx, t) {
			var x entra.Object
			if err == nil {
				x, err = old.Object(ctx, e.Ref)
			}
			if err != nil {
				return nil, nil, err
			}
			body := valueMap(x.Body.Decode())
			id, _ := body["appId"].(string)
			switch {
			case t == catalog.ApplicationType:
				own[id] = true
			case t == catalog.LicenceType:
				o.World.Licences = append(o.World.Licences, body)
			case id != "" && !own[id]:
				o.World.Apps = append(o.World.Apps, body)
			}
		}
	}
	tenant, err := emulator.Start(o)
	if err != nil {
		return nil, nil, fmt.Errorf("start a made-up tenant: %w", err)
	}
	room := 0
	for _, p := range old.Snapshot().Parts {
		room += int(p.Objects)
	}
	tenant.Room(room) // whatever quota the snapshot's tenant had, it held this much
	r := &rehearsal{tenant: tenant}
	if err := r.open(ctx); err != nil {
		r.close()
		return nil, nil, err
	}
	for t := range catalog.All() {
		if t.Unless != "" && old.Snapshot().Part(t.Type, "").Coverage == snapshot.Complete {
			r.asked = append(r.asked, t.Type)
		}
	}
	moved := map[string]string{}
	if initial != "" {
		moved[initial] = tenant.InitialDomain()
	}
	return r, moved, nil
}

// open signs in to the made-up tenant and makes a repository for it.
func (r *rehearsal) open(ctx context.Context) (err error) {
	if r.reader, err = r.client(r.tenant.CaptureApp()); err != nil {
		return err
	}
	if r.writer, err = r.client(r.tenant.RestoreApp()); err != nil {
		return err
	}
	signer, err := repository.GenerateSigner("drill")
	if err != nil {
		return err
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	st := new(mem.Store)
	if _, err = repository.Init(ctx, st, repository.InitOptions{Tenant: entra.Tenant{ID: entra.TenantID(r.tenant.ID()), Name: "drill"}, Holders: []string{identity.Recipient().String()}, Now: r.tenant.Now, Signer: signer}); err != nil {
		return err
	}
	if r.repo, err = repository.Open(ctx, st, repository.Options{Identities: []age.Identity{identity}, Signer: signer, Now: r.tenant.Now}); err != nil {
		return err
	}
	r.index, err = index.Open(ctx, ":memory:", history.Kept())
	return err
}

func (r *rehearsal) client(app emulator.App) (*graph.Client, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.tenant.CA())
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	cred, err := graph.Login(graph.Identity{Tenant: r.tenant.ID(), ClientID: app.ClientID, CertificatePEM: app.CertificatePEM, Authority: r.tenant.URL(), Scope: r.tenant.URL() + "/.default", HTTP: h, Custom: true})
	if err != nil {
		return nil, err
	}
	const unbound = 100 // it holds to no quotas
	return graph.New(cred, graph.Options{HTTP: h, Endpoint: r.tenant.URL(), Now: r.tenant.Now, Scale: unbound})
}

func (r *rehearsal) close() {
	if r.index != nil {
		_ = r.index.Close() // it holds nothing that is kept
	}
	r.tenant.Close()
}

func (r *rehearsal) capture(ctx context.Context) (*snapshot.Snapshot, error) {
	x, err := capture.Run(ctx, r.reader, r.repo, r.index, r.tenant.Now, capture.Options{Full: true, Include: r.asked})
	if err != nil {
		return nil, err
	}
	return x, r.index.Update(ctx, r.repo)
}

// cleared plans the restore, with policies in force and people enabled where guard lets it be.
func (r *rehearsal) cleared(ctx context.Context, base, goal snapshot.Tree, scope plan.Scope) (*plan.Plan, guard.Cleared, error) {
	const none = 1 << 30
	var objections []guard.Objection
	for _, all := range []bool{true, false} {
		p, err := plan.Make(ctx, base, goal, plan.Request{Scope: scope, Limits: plan.Limits{Objects: none, Links: none, Deletions: none, Privileged: none}, Enforce: all, EnableUsers: all})
		if err != nil {
			return nil, guard.Cleared{}, err
		}
		var cleared guard.Cleared
		if cleared, objections, err = guard.Clear(ctx, p, base, guard.Config{}, nil, r.tenant.Now()); err != nil {
			return nil, cleared, err
		}
		if len(objections) == 0 {
			return p, cleared, nil
		}
	}
	return nil, guard.Cleared{}, fmt.Errorf("guard objects to the restore: %s", objections[0].Reason)
}

func (r *rehearsal) apply(ctx context.Context, p *plan.Plan, cleared guard.Cleared, base snapshot.Tree, number int64) (*apply.Report, error) {
	data, err := p.Encode()
	if err != nil {
		return nil, err
	}
	rec, err := r.repo.Append(ctx, repository.KindPlan, number, data)
	if err != nil {
		return nil, err
	}
	report, err := apply.Run(ctx, r.writer, r.repo, cleared, rec.Number, apply.Options{Endpoint: r.tenant.URL(), Now: r.tenant.Now, Password: func(plan.Step) (string, bool) { return password(), true }, Existed: existed(base)})
	if err != nil {
		return nil, err
	}
	return report, r.index.Update(ctx, r.repo)
}

// text is the result as a person reads it.
func (d *drillDoc) text() string {
	var b strings.Builder
	for ; d != nil; d = d.Random {
		verdict := "as it was"
		if !d.Equal {
			verdict = "NOT as it was"
		}
		fmt.Fprintf(&b, "drill %d: snapshot %d, %s and %s, rebuilt in %s with %s: %s\n", d.Number, d.Snapshot, count(int(d.Objects), "object"), count(int(d.Links), "link"), duration(d.Seconds), count(d.Writes, "write"), verdict)
		for _, x := range d.Differences {
			fmt.Fprintf(&b, "  differs: %s\n", clean(x.line()))
		}
		if reasons := d.reasons(); len(reasons) > 0 {
			fmt.Fprintf(&b, "  what no restore brings back, %s:\n", count(len(d.Gaps), "place"))
			for _, line := range reasons {
				fmt.Fprintf(&b, "    %s\n", clean(line))
			}
		}
	}
	return b.String()
}

// reasons counts the gaps by what they say, the most frequent first.
func (d *drillDoc) reasons() []string {
	counts := map[string]int{}
	for _, g := range d.Gaps {
		counts[string(g.Type)+": "+g.Reason]++
	}
	lines := slices.Sorted(mapsKeys(counts))
	slices.SortStableFunc(lines, func(a, b string) int { return counts[b] - counts[a] })
	const most = 12
	for i, line := range lines {
		if i == most {
			return append(lines[:most], fmt.Sprintf("and %s more; -o json has them all", count(len(lines)-most, "reason")))
		}
		lines[i] = fmt.Sprintf("%d x %s", counts[line], line)
	}
	return lines
}

// drills returns the newest results, the newest first.
func (s *session) drills(ctx context.Context, most int) ([]drillDoc, error) {
	records, err := s.index.Records(ctx, repository.KindDrill)
	if err != nil {
		return nil, err
	}
	docs := []drillDoc{}
	for _, rec := range slices.Backward(records) {
		if len(docs) == most {
			break
		}
		data, err := s.repo.Data(ctx, rec)
		if err != nil {
			return nil, err
		}
		var d drillDoc
		if err := json.Unmarshal(data, &d); err != nil {
			return nil, fmt.Errorf("record %d: %w", rec.Number, err)
		}
		d.Number = rec.Number
		docs = append(docs, d)
	}
	return docs, nil
}
