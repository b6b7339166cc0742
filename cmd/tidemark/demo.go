package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func demoCommand(e *env) *cobra.Command {
	var dir string
	var serve bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "A made-up tenant on this machine: capture, damage, diff, restore, verify; no account needed",
		Long: `Starts a made-up tenant behind real HTTPS on the loopback interface, captures it, lets three bad days happen to it
(a deleted user, a policy edited to pieces, an attacker), says what changed, plans, lets guard judge, restores and
verifies. The repository stays for you to look at.`,
		Example: "  tidemark demo\n  tidemark demo --dir /tmp/demo --serve",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return e.demo(c.Context(), dir, serve) },
	}
	c.Flags().StringVar(&dir, "dir", "", "folder for the repository and the configuration (default: a new one among the temporary files)")
	c.Flags().BoolVar(&serve, "serve", false, "keep the tenant running afterwards, until interrupted")
	return c
}

func (e *env) demo(ctx context.Context, dir string, serve bool) error {
	var err error
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tidemark-demo-"); err != nil {
			return err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	t, err := emulator.Start(emulator.Options{Now: e.now})
	if err != nil {
		return fmt.Errorf("start the made-up tenant: %w", err)
	}
	defer t.Close()
	if err := writeTenant(dir, t); err != nil {
		return err
	}
	d := &demo{env: e, ctx: ctx, dir: dir, tenant: t}
	d.say("A made-up tenant, Contoso, answers at %s. It knows nothing of Tidemark.", t.URL())
	for _, act := range []func() error{d.first, d.damage, d.look, d.repair} {
		if err := act(); err != nil {
			return err
		}
	}
	d.say("\nAs before. The repository is %s", filepath.Join(dir, "repository"))
	d.say("Try it yourself:\n  export TIDEMARK_CONFIG=%s\n  tidemark snapshots\n  tidemark history \"conditionalAccessPolicy:Require MFA for administrators\"\n  tidemark show admin@contoso.example", filepath.Join(dir, "tidemark.yaml"))
	if serve {
		d.say("The tenant keeps answering until you press Ctrl-C.")
		<-ctx.Done()
	}
	return nil
}

// A demo is one run of the demonstration.
type demo struct {
	*env
	ctx    context.Context
	dir    string
	tenant *emulator.Tenant
	err    error // of the first act on the tenant that was refused
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// tidemark runs one command line as the reader would, and shows it. It fails unless the command ends with
// the exit code.
func (d *demo) tidemark(code int, args ...string) error {
	shown := make([]string, len(args))
	for i, a := range args {
		if shown[i] = a; strings.ContainsAny(a, " \"") {
			shown[i] = fmt.Sprintf("%q", a)
		}
	}
	d.say("\n$ tidemark %s", strings.Join(shown, " "))
	e := &env{in: strings.NewReader(""), out: d.out, err: d.env.err, getenv: d.getenv, now: d.now, terminal: d.terminal}
	got := run(d.ctx, e, append([]string{"--config", filepath.Join(d.dir, "tidemark.yaml"), "--progress", "none"}, args...))
	if got != code {
		return &exit{code: 1, err: fmt.Errorf("demo: tidemark %s ended with %d instead of %d", args[0], got, code)}
	}
	return nil
}

func (d *demo) first() error {
	if err := d.tidemark(0, "init"); err != nil {
		return err
	}
	return d.tidemark(0, "capture")
}

// act is one request by a person or an application to the tenant.
func (d *demo) act(by *emulator.Actor, method, path string, body any) map[string]any {
	status, answer := by.Do(method, path, body)
	if status >= 400 && d.err == nil {
		d.err = fmt.Errorf("demo: %s %s: the made-up tenant answered %d: %v", method, path, status, answer)
	}
	return answer
}

func (d *demo) damage() error {
	t := d.tenant
	anna := t.As("user", t.Find("users", "admin@contoso.example"), "Ada Admin")
	d.say("\nA bad day. An administrator deletes Sigrid Security, who holds a role and sits in groups.")
	d.act(anna, "DELETE", "/v1.0/users/"+t.Find("users", "security.admin@contoso.example"), nil)

	d.say("Three people edit one policy; one of them switches it off.")
	admins := "/v1.0/identity/conditionalAccess/policies/" + t.Find("policies", "Require MFA for administrators")
	d.act(anna, "PATCH", admins, map[string]any{"displayName": "Require MFA for administrators (2026)"})
	d.act(anna, "PATCH", admins, map[string]any{"state": "disabled"})

	d.say("An attacker comes in: an application with a secret and a consent that is as good as the tenant, a credential")
	d.say("on an application that was there, a Global Administrator, an exemption, a trusted location, text messages.")
	evil := t.As("user", t.Find("users", "Break-glass 1"), "Break-glass 1")
	app := d.act(evil, "POST", "/v1.0/applications", map[string]any{"displayName": "Mail archiver"})
	d.act(evil, "POST", fmt.Sprintf("/v1.0/applications/%v/addPassword", app["id"]), map[string]any{"passwordCredential": map[string]any{"displayName": "x"}})
	sp := d.act(evil, "POST", "/v1.0/servicePrincipals", map[string]any{"appId": app["appId"]})
	graph := t.Find("servicePrincipals", "Microsoft Graph")
	d.act(evil, "POST", "/v1.0/servicePrincipals/"+graph+"/appRoleAssignedTo", map[string]any{
		"principalId": sp["id"], "resourceId": graph, "appRoleId": d.role(graph, "RoleManagement.ReadWrite.Directory")})
	d.act(evil, "POST", "/v1.0/applications/"+t.Find("applications", "Payroll")+"/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": "backup key"}})
	d.act(evil, "POST", "/v1.0/roleManagement/directory/roleAssignments", map[string]any{
		"principalId": sp["id"], "roleDefinitionId": "62e90394-69f5-4237-9190-012177145e10", "directoryScopeId": "/"})
	all := "/v1.0/identity/conditionalAccess/policies/" + t.Find("policies", "Require MFA for all users")
	now := d.act(evil, "GET", all, nil)
	if conditions, ok := now["conditions"].(map[string]any); ok {
		if users, ok := conditions["users"].(map[string]any); ok {
			users["excludeUsers"] = []any{t.Find("users", "Break-glass 1")}
		}
		d.act(evil, "PATCH", all, map[string]any{"conditions": conditions})
	}
	d.act(evil, "POST", "/v1.0/identity/conditionalAccess/namedLocations", map[string]any{
		"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Branch", "isTrusted": true,
		"ipRanges": []any{map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.0/24"}}})
	sms := "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/sms"
	d.act(evil, "PATCH", sms, map[string]any{"@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration", "state": "enabled"})
	return d.err
}

// role finds the application permission with a name.
func (d *demo) role(servicePrincipal, value string) any {
	answer := d.act(d.tenant.As("user", "", ""), "GET", "/v1.0/servicePrincipals/"+servicePrincipal, nil)
	roles, _ := answer["appRoles"].([]any)
	for _, r := range roles {
		if m, ok := r.(map[string]any); ok && m["value"] == value {
			return m["id"]
		}
	}
	d.err = errors.Join(d.err, fmt.Errorf("demo: the made-up tenant has no permission %s", value))
	return ""
}

func (d *demo) look() error {
	d.say("\nNobody tells Tidemark. It captures again and says what changed, the worst first:")
	if err := d.tidemark(0, "capture"); err != nil {
		return err
	}
	return d.tidemark(0, "diff", "latest~1")
}

func (d *demo) repair() error {
	d.say("\nOnly the harmful edit of the policy goes; the new name stays:")
	policy := "conditionalAccessPolicy/" + d.tenant.Find("policies", "Require MFA for administrators (2026)")
	if err := d.tidemark(0, "restore", "--object", policy, "--field", "state", "--to", "1", "--yes", "any"); err != nil {
		return err
	}
	d.say("\nThe rest goes back as a whole. Guard does not take that lightly:")
	if err := d.tidemark(6, "plan", "--to", "1", "--with-deletes"); err != nil {
		return err
	}
	d.say("\nA person who has looked raises the limits:")
	if err := d.tidemark(0, "restore", "--to", "1", "--with-deletes", "--allow", "deletions=20,privileged=20", "--yes", "any"); err != nil {
		return err
	}
	d.say("\nA second plan finds nothing left to do:")
	return d.tidemark(0, "plan", "--to", "1", "--with-deletes", "--allow", "deletions=20,privileged=20", "--detailed-exitcode")
}

// writeTenant writes the files with which the program finds a made-up tenant: a configuration, the tenant's
// CA, and the certificates of its two identities.
func writeTenant(dir string, t *emulator.Tenant) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{"ca.pem": t.CA(), "capture.pem": t.CaptureApp().CertificatePEM, "restore.pem": t.RestoreApp().CertificatePEM}
	files["tidemark.yaml"] = fmt.Appendf(nil, `tenants:
  - name: contoso
    id: %s
    cloud: custom
    graph: %s
    authority: %s
    ca: file:%s
    repository: file://%s
    keys:
      identity: file:%s
      single_key: true
    capture:
      client_id: %s
      certificate: file:%s
    restore:
      client_id: %s
      certificate: file:%s
    guard:
      break_glass: [group/%s]
    quotas: 100
`, t.ID(), t.URL(), t.URL(), filepath.Join(dir, "ca.pem"), filepath.Join(dir, "repository"), filepath.Join(dir, "identity.txt"),
		t.CaptureApp().ClientID, filepath.Join(dir, "capture.pem"), t.RestoreApp().ClientID, filepath.Join(dir, "restore.pem"), t.Find("groups", "Break-glass accounts"))
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
