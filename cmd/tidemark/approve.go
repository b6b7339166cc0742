package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/repository"
)

// An approvalDoc is a person's yes to a plan, as the log keeps it. Signature is a signed note over approvalText.
type approvalDoc struct {
	Plan      string    `json:"plan"` // the digest
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Signature string    `json:"signature"`
}

func approveCommand(e *env) *cobra.Command {
	var key, fresh, name, yes string
	c := &cobra.Command{
		Use:   "approve PLAN --key FILE",
		Short: "Sign a plan's digest, where the configuration asks for more than one person",
		Long: `Shows the plan in a file that plan, undo or contain --out wrote, or of the unfinished restore with a number, asks, and puts
a signature over its digest into the repository's log. It holds for four hours, for one restore, for this plan and its
requester, and for no other. Who asked for the plan cannot approve it, and of who carries it out the approval does not count.

--new-key makes a key; the line it prints goes into guard.approvers of the configuration.`,
		Example: `  tidemark approve --new-key anna.key --name anna
  tidemark plan --to latest~1 --out monday.plan
  tidemark approve monday.plan --key anna.key
  tidemark apply monday.plan`,
		Args: func(c *cobra.Command, args []string) error {
			if fresh != "" {
				return noArgs(c, args)
			}
			return takes(1, 1, "a plan file, or the number of an unfinished restore")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if fresh != "" {
				return e.approverKey(fresh, name)
			}
			if key == "" {
				return usage("name your key with --key; --new-key makes one")
			}
			s, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return s.approve(c.Context(), args[0], key, yes)
		},
	}
	f := c.Flags()
	f.StringVar(&key, "key", "", "the file that holds your key")
	f.StringVar(&fresh, "new-key", "", "make a key and write it to this file, which must not exist")
	f.StringVar(&name, "name", "", "with --new-key: your login name")
	f.StringVar(&yes, "yes", "", "sign without asking: the plan's digest")
	return c
}

// approverKey makes a key for a person.
func (e *env) approverKey(path, name string) error {
	if name == "" {
		name = requester()
	}
	k, err := repository.GenerateSigner(name)
	if err != nil {
		return usage("--name: %v", err)
	}
	if err := writeNew(path, []byte(k.Secret()+"\n")); err != nil {
		return &exit{code: 2, err: fmt.Errorf("write key: %w", err), hint: "the file is kept as it is; name another one"}
	}
	doc := map[string]string{"name": name, "key": path, "approver": k.String()}
	return e.print(result{doc: doc, rows: []any{doc}, text: "guard:\n  approvers: [" + k.String() + "]\n"})
}

// requester is who runs the program, as the system knows them.
func requester() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// approvalText is what an approver signs: to the last digit of the time, so that none can be put behind it.
func approvalText(digest, requester, by string, at time.Time) string {
	return fmt.Sprintf("tidemark approval\nplan %s\nrequested by %q\napproved by %q\nat %s\n", digest, requester, by, at.UTC().Format(time.RFC3339Nano))
}

func (s *session) approve(ctx context.Context, name, keyFile, yes string) error {
	record, k, p, err := s.submitted(ctx, name)
	if err != nil {
		return err
	}
	if record == 0 {
		if err := s.timely(k); err != nil {
			return err
		}
	}
	if k.Requester == "" {
		return &exit{code: 6, err: errors.New("the plan does not say who asked for it"), hint: "make a new plan"}
	}
	text, err := os.ReadFile(keyFile) //nolint:gosec // the person names the file
	if err != nil {
		return &exit{code: 2, err: fmt.Errorf("read key: %w", err)}
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return &exit{code: 2, err: fmt.Errorf("%s holds no key", keyFile), hint: "tidemark approve --new-key FILE makes one"}
	}
	by := signer.Name()
	if guard.SamePerson(by, k.Requester) {
		return &exit{code: 6, err: fmt.Errorf("%s asked for this plan and cannot approve it", by), hint: "another person approves it"}
	}
	known := false
	for _, v := range s.settings.Guard.Approvers {
		if a, err := note.NewVerifier(v); err == nil && a.Name() == by && a.KeyHash() == signer.KeyHash() {
			known = true
		}
	}
	if !known {
		return &exit{code: 6, err: fmt.Errorf("the key of %s is not among guard.approvers", by), hint: "the line that --new-key printed goes there"}
	}
	base, goal, err := s.ends(ctx, k)
	if err != nil {
		return err
	}
	x, err := s.cleared(ctx, k, p, base, goal, guard.Writer{}, false)
	if err != nil {
		return err
	}
	if s.format == "table" {
		fmt.Fprintf(s.out, "%s asked for this plan\n%s", clean(k.Requester), s.planDoc(ctx, x).text())
	}
	if err := s.confirm(x, yes); err != nil {
		return err
	}
	doc := approvalDoc{Plan: k.Digest, By: by, At: s.now().UTC().Truncate(time.Second)}
	signed, err := note.Sign(&note.Note{Text: approvalText(doc.Plan, k.Requester, by, doc.At)}, signer)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	doc.Signature = string(signed)
	data, err := asJSON(doc)
	if err != nil {
		return err
	}
	if err := s.writable(ctx); err != nil {
		return err
	}
	if _, err := s.repo.Append(ctx, repository.KindApproval, base.Number, data); err != nil {
		return fmt.Errorf("keep approval: %w", err)
	}
	if err := s.update(ctx); err != nil {
		return err
	}
	return s.print(result{doc: doc, rows: []any{doc}, text: fmt.Sprintf("%s approved plan %s; it holds until %s\n", by, k.Digest[:12], doc.At.Add(validity).Format(time.RFC3339))})
}

// approvals reads who approved a plan, and what tells whether their signatures hold.
func (s *session) approvals(ctx context.Context, digest, requester string) ([]guard.Approval, func(guard.Approval) bool, error) {
	verify, err := verifier(s.settings.Guard.Approvers, requester)
	if err != nil {
		return nil, nil, err
	}
	records, err := s.index.Records(ctx, repository.KindApproval, repository.KindPlan, repository.KindResult)
	if err != nil {
		return nil, nil, err
	}
	ended := map[int64]bool{}
	for _, rec := range records {
		ended[rec.Parent] = ended[rec.Parent] || rec.Kind == repository.KindResult
	}
	var all []guard.Approval
	for _, rec := range records {
		switch {
		case rec.Kind == repository.KindApproval:
			data, err := s.repo.Data(ctx, rec)
			if err != nil {
				return nil, nil, err
			}
			var doc approvalDoc
			if err := json.Unmarshal(data, &doc); err != nil {
				return nil, nil, fmt.Errorf("record %d: %w", rec.Number, err)
			}
			if doc.Plan == digest {
				all = append(all, guard.Approval{Plan: doc.Plan, By: doc.By, At: doc.At, Signature: []byte(doc.Signature)})
			}
		case rec.Kind == repository.KindPlan && len(all) > 0 && ended[rec.Number]:
			k, _, err := s.keptPlan(ctx, rec)
			if err != nil {
				return nil, nil, err
			}
			for i := range all {
				all[i].Used = all[i].Used || k.Digest == digest
			}
		}
	}
	return all, verify, nil
}

// verifier tells whether one of the approvers, and nobody else, signed an approval of what requester asked for.
func verifier(approvers []string, requester string) (func(guard.Approval) bool, error) {
	var verifiers []note.Verifier
	for _, text := range approvers {
		v, err := note.NewVerifier(text)
		if err != nil {
			return nil, fmt.Errorf("guard.approvers: %q is no approver's line: %w", text, err)
		}
		verifiers = append(verifiers, v)
	}
	return func(a guard.Approval) bool {
		n, err := note.Open(a.Signature, note.VerifierList(verifiers...))
		return err == nil && len(n.Sigs) == 1 && n.Sigs[0].Name == a.By && n.Text == approvalText(a.Plan, requester, a.By, a.At)
	}, nil
}
