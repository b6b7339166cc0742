package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

// ahead is the environment variable by which a script sets the program's clock forward, together with the
// made-up tenant's.
const ahead = "TIDEMARK_TEST_AHEAD"

// peakFile is the environment variable that names a file for the program's peak memory.
const peakFile = "TIDEMARK_TEST_PEAK"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tidemark": func() {
		offset, err := time.ParseDuration(os.Getenv(ahead))
		if err != nil {
			offset = 0
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		code := run(ctx, &env{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv,
			now: func() time.Time { return time.Now().Add(offset) }}, os.Args[1:])
		if name := os.Getenv(peakFile); name != "" {
			if err := os.WriteFile(name, []byte(strconv.FormatInt(peakMemory(), 10)), 0o600); err != nil {
				panic(err)
			}
		}
		os.Exit(code)
	}, "xdg-open": xdgOpen, "somebody": somebody})
}

func TestScripts(t *testing.T) { scripts(t, "testdata/script") }

// TestBuckets has a repository in an object store, of each kind that there is.
func TestBuckets(t *testing.T) {
	for name, serve := range map[string]func(*testing.T) string{"s3": storetest.S3, "azblob": storetest.Azure} {
		t.Run(name, func(t *testing.T) { scripts(t, "testdata/bucket", placed(serve(t))...) })
	}
}

// TestLocks has one in a bucket with object lock.
func TestLocks(t *testing.T) { scripts(t, "testdata/lock", placed(storetest.LockedS3(t))...) }

// placed is the environment of scripts for a place in an object store.
func placed(place string) []string {
	env := []string{"PLACE=" + strings.ReplaceAll(strings.Replace(place, "{name}", "contoso", 1), "&", `\&`)} // as sed takes it
	for _, e := range os.Environ() {
		if strings.HasPrefix(e, "AWS_") || strings.HasPrefix(e, "AZURE_") {
			env = append(env, e)
		}
	}
	return env
}

// scripts runs those of a folder, with more in their environment.
func scripts(t *testing.T, dir string, more ...string) {
	files, err := filepath.Glob(dir + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	reader, err := filepath.Abs("../../doc/reader/tidemark_reader.py")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, more...)
			for _, dir := range []string{"state", "cache", "config", "home"} {
				if err := os.Mkdir(filepath.Join(e.WorkDir, dir), 0o700); err != nil {
					return err
				}
			}
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv(ahead, "0s")
			e.Setenv("READER", reader)
			e.Values["world"] = &world{}
			return nil
		},
		Condition: func(what string) (bool, error) {
			if what != "long" {
				return false, fmt.Errorf("unknown condition %q", what)
			}
			return long(), nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"tenant": tenant, "json": jsonIs, "exit": exitIs},
	})
}

// A world is the made-up tenant of one script.
type world struct {
	tenant *emulator.Tenant
	named  map[string]*emulator.Tenant // by name, where there are several
	ahead  time.Duration
}

// now makes the made-up tenant's clock and the program's one, so that audit entries fall where they belong: the
// tenant's may lag, or be ahead, since each write moves it.
func (w *world) now(ts *testscript.TestScript) {
	d := time.Now().Add(w.ahead).Sub(w.tenant.Now())
	if d > 0 {
		w.tenant.Advance(d)
		return
	}
	w.ahead -= d
	ts.Setenv(ahead, w.ahead.String())
}

// tenant is the script command that starts and changes the made-up tenant.
//
//	tenant start [USERS GROUPS APPS]      and write tidemark.yaml
//	tenant more NAME DOMAIN [USERS GROUPS APPS]  start another and add it to tidemark.yaml; the commands are about it then
//	tenant switch NAME                    the commands are about another; the first is called contoso
//	tenant id VAR COLLECTION NAME         set VAR to the ID of an object
//	tenant do [as NAME] METHOD PATH [BODY] a request by an administrator; must succeed, or fail with !
//	tenant get VAR PATH FIELD             set VAR to a field of an answer
//	tenant owner COLLECTION ID USER, tenant member GROUP USER, tenant manager USER MANAGER
//	tenant advance DURATION               let time pass, for the program too
//	tenant login FILE                     each appId in the file signs in with the secret on the next line
//	tenant deny|grant PERMISSION
//	tenant fault JSON | tenant heal       inject a fault, take all away
//	tenant lag N
//	tenant sync ID [JSON]                 what directory synchronisation does: properties set, or the object deleted
//	tenant room N                         there is room for N more objects than the directory holds now
//	tenant writes N                       fails unless so many writes came over the network since it was asked last
//	tenant wipe                           delete all people but the break-glass accounts, all groups but theirs, administrative units,
//	                                      applications but the one that captures, policies and locations, and purge every second of them
//	tenant killed N ARG...                run tidemark and kill it when the tenant has taken N writes from it
//	tenant certified                      the certificates of the two applications are among their properties, as they are
//	                                      of applications that people register
//	tenant disconsent ID, purge ID, consented APPID
//	tenant signing                        let people sign in to the application that restores, which then does for them
//	                                      what it may do by itself; tidemark.yaml says so
func tenant(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("tenant: what?")
	}
	w, ok := ts.Value("world").(*world)
	if !ok {
		ts.Fatalf("tenant: no world")
	}
	if args[0] != "start" && w.tenant == nil {
		ts.Fatalf("tenant %s: start it first", args[0])
	}
	if w.tenant != nil {
		w.now(ts)
		defer w.now(ts)
	}
	switch verb, args := args[0], args[1:]; verb {
	case "switch":
		if w.tenant = w.named[args[0]]; w.tenant == nil {
			ts.Fatalf("tenant switch: none is called %q", args[0])
		}
		ts.Setenv("TENANT", w.tenant.ID())
		ts.Setenv("TENANT_URL", w.tenant.URL())
	case "start", "more":
		o := emulator.Options{Start: time.Now(), Now: time.Now}
		name := "contoso"
		if verb == "more" {
			name, o.Domain, o.Seed, args = args[0], args[1], uint64(len(w.named)), args[2:]
		}
		for i, to := range []*int{&o.Users, &o.Groups, &o.Apps} {
			if i < len(args) {
				n, err := strconv.Atoi(args[i])
				ts.Check(err)
				*to = n
			}
		}
		t, err := emulator.Start(o)
		ts.Check(err)
		ts.Defer(t.Close)
		if w.tenant = t; w.named == nil {
			w.named = map[string]*emulator.Tenant{}
		}
		w.named[name] = t
		if verb == "start" {
			ts.Check(writeTenant(ts.MkAbs("."), t))
		} else {
			ts.Check(writeTenant(ts.MkAbs(name), t))
			_, entry, _ := strings.Cut(ts.ReadFile(name+"/tidemark.yaml"), "tenants:\n")
			ts.Check(os.WriteFile(ts.MkAbs("tidemark.yaml"), []byte(ts.ReadFile("tidemark.yaml")+strings.Replace(entry, "name: contoso", "name: "+name, 1)), 0o600))
		}
		ts.Setenv("TENANT", t.ID())
		ts.Setenv("TENANT_URL", t.URL())
	case "id":
		id := w.tenant.Find(args[1], args[2])
		if id == "" {
			ts.Fatalf("tenant id: no %s is called %q", args[1], args[2])
		}
		ts.Setenv(args[0], id)
	case "do", "get":
		name := "Ada Admin"
		if args[0] == "as" {
			name, args = args[1], args[2:]
		}
		by := w.as(ts, name)
		if verb == "get" {
			status, answer := by.Do("GET", args[1], nil)
			if status != 200 {
				ts.Fatalf("GET %s: %d %v", args[1], status, answer)
			}
			ts.Setenv(args[0], fmt.Sprint(dig(answer, args[2])))
			return
		}
		var body any
		if len(args) > 2 {
			ts.Check(json.Unmarshal([]byte(args[2]), &body))
		}
		status, answer := by.Do(args[0], args[1], body)
		if failed := status >= 400; failed != neg {
			ts.Fatalf("%s %s: %d %v", args[0], args[1], status, answer)
		}
		if id, ok := answer["id"].(string); ok {
			ts.Setenv("NEW", id)
		}
		if id, ok := answer["appId"].(string); ok {
			ts.Setenv("NEWAPP", id)
		}
	case "owner", "member", "manager":
		// tenant owner COLLECTION OBJECT USER, tenant member GROUP USER, tenant manager USER MANAGER
		method, path := "POST", ""
		switch verb {
		case "owner":
			path, args = "/v1.0/"+args[0]+"/"+args[1]+"/owners/$ref", args[2:]
		case "member":
			path, args = "/v1.0/groups/"+args[0]+"/members/$ref", args[1:]
		case "manager":
			method, path, args = "PUT", "/v1.0/users/"+args[0]+"/manager/$ref", args[1:]
		}
		if status, answer := w.tenant.Do(method, path, map[string]any{"@odata.id": w.tenant.URL() + "/v1.0/directoryObjects/" + args[0]}); status >= 400 {
			ts.Fatalf("%s %s: %d %v", method, path, status, answer)
		}
	case "hire": // tenant hire N: new people
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		for i := range n {
			w.must(ts, "POST", "/v1.0/users", map[string]any{"accountEnabled": true, "displayName": fmt.Sprintf("Hired %d", i), "mailNickname": fmt.Sprintf("hired%d", i),
				"userPrincipalName": fmt.Sprintf("hired%d@contoso.example", i), "passwordProfile": map[string]any{"password": "Xk29!fmmwqp0"}})
		}
	case "staff", "script", "correct", "count":
		w.people(ts, verb, args)
	case "entangle": // tenant entangle USER
		w.entangle(ts, args[0])
	case "sp": // tenant sp APPID
		w.must(ts, "POST", "/v1.0/servicePrincipals", map[string]any{"appId": args[0]})
	case "role": // tenant role PRINCIPAL ROLE
		w.must(ts, "POST", "/v1.0/roleManagement/directory/roleAssignments", map[string]any{"principalId": args[0], "roleDefinitionId": args[1], "directoryScopeId": "/"})
	case "approle": // tenant approle SERVICEPRINCIPAL PERMISSION, of Microsoft Graph
		graph := w.tenant.Find("servicePrincipals", "Microsoft Graph")
		var role any
		roles, _ := dig(w.must(ts, "GET", "/v1.0/servicePrincipals/"+graph, nil), "appRoles").([]any)
		for _, r := range roles {
			if dig(r, "value") == args[1] {
				role = dig(r, "id")
			}
		}
		w.must(ts, "POST", "/v1.0/servicePrincipals/"+graph+"/appRoleAssignedTo", map[string]any{"principalId": args[0], "resourceId": graph, "appRoleId": role})
	case "exclude": // tenant exclude POLICY USER
		w.patch(ts, args[0], "conditions.users.excludeUsers", []any{args[1]})
	case "patch": // tenant patch POLICY PATH JSON
		var value any
		ts.Check(json.Unmarshal([]byte(args[2]), &value))
		w.patch(ts, args[0], args[1], value)
	case "login": // tenant login FILE: each appId in it signs in with the secret on the next line
		lines := strings.Fields(ts.ReadFile(args[0]))
		if len(lines) == 0 || len(lines)%2 != 0 {
			ts.Fatalf("%s holds %d lines, want pairs", args[0], len(lines))
		}
		for i := 0; i < len(lines); i += 2 {
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {"https://graph.microsoft.com/.default"}, "client_id": {lines[i]}, "client_secret": {lines[i+1]}}
			r := httptest.NewRequest("POST", w.tenant.URL()+"/"+w.tenant.ID()+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			answer := httptest.NewRecorder()
			w.tenant.ServeHTTP(answer, r)
			if answer.Code != 200 {
				ts.Fatalf("sign in as %s: %d %s", lines[i], answer.Code, answer.Body)
			}
		}
	case "disablepolicies": // all that are on
		all, _ := dig(w.must(ts, "GET", "/v1.0/identity/conditionalAccess/policies", nil), "value").([]any)
		for _, p := range all {
			if dig(p, "state") != "disabled" {
				w.must(ts, "PATCH", fmt.Sprint("/v1.0/identity/conditionalAccess/policies/", dig(p, "id")), map[string]any{"state": "disabled"})
			}
		}
	case "wipe": // by a rogue administrator
		w.wipe(ts)
	case "killed": // tenant killed N ARG...
		w.killed(ts, args)
	case "advance":
		d, err := time.ParseDuration(args[0])
		ts.Check(err)
		w.ahead += d
		ts.Setenv(ahead, w.ahead.String())
	case "certified":
		for i, app := range []emulator.App{w.tenant.CaptureApp(), w.tenant.RestoreApp()} {
			rest, certificate := app.CertificatePEM, ""
			for block := (&pem.Block{}); block != nil; {
				if block, rest = pem.Decode(rest); block != nil && block.Type == "CERTIFICATE" {
					certificate = base64.StdEncoding.EncodeToString(block.Bytes)
				}
			}
			w.must(ts, "PATCH", "/v1.0/applications(appId='"+app.ClientID+"')", map[string]any{"keyCredentials": []any{map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": certificate, "displayName": "CN=" + []string{"capture", "restore"}[i]}}})
		}
		ts.Setenv("BROWSER_CA", ts.MkAbs("ca.pem"))
	case "disconsent": // tenant disconsent SERVICEPRINCIPAL: it has no application permissions any more
		for _, g := range w.all(ts, "/v1.0/servicePrincipals/"+args[0]+"/appRoleAssignments") {
			w.must(ts, "DELETE", fmt.Sprint("/v1.0/servicePrincipals/", args[0], "/appRoleAssignments/", dig(g, "id")), nil)
		}
	case "purge": // tenant purge APPLICATION: for good
		w.must(ts, "DELETE", "/v1.0/applications/"+args[0], nil)
		w.must(ts, "DELETE", "/v1.0/directory/deletedItems/"+args[0], nil)
	case "consented": // tenant consented APPID: what people sign in to it for is granted for everybody
		clients := w.all(ts, "/v1.0/servicePrincipals?$filter="+url.QueryEscape("appId eq '"+args[0]+"'"))
		if len(clients) != 1 {
			ts.Fatalf("%d service principals have the appId %s", len(clients), args[0])
		}
		for _, g := range w.all(ts, fmt.Sprint("/v1.0/servicePrincipals/", dig(clients[0], "id"), "/oauth2PermissionGrants")) {
			w.must(ts, "POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": dig(g, "clientId"), "consentType": "AllPrincipals", "resourceId": dig(g, "resourceId"), "scope": dig(g, "scope")})
		}
	case "signing":
		app := w.tenant.RestoreApp()
		graph := w.tenant.Find("servicePrincipals", "Microsoft Graph")
		named := map[string]string{}
		roles, _ := dig(w.must(ts, "GET", "/v1.0/servicePrincipals/"+graph, nil), "appRoles").([]any)
		for _, r := range roles {
			named[fmt.Sprint(dig(r, "id"))] = fmt.Sprint(dig(r, "value"))
		}
		var scopes []string // a grant holds no more than 3850 characters: what no type needs that is not asked for is left out
		needed := consent(captureSettings{})
		for _, g := range w.all(ts, "/v1.0/servicePrincipals/"+app.ObjectID+"/appRoleAssignments") {
			if name := named[fmt.Sprint(dig(g, "appRoleId"))]; slices.ContainsFunc(needed.Types, func(n needDoc) bool { return slices.Contains(n.Read, name) || slices.Contains(n.Write, name) }) {
				scopes = append(scopes, name)
			}
		}
		// A consent takes so many only: whoever may write may read, where no type asks for both by name.
		writes := map[string]bool{}
		for r := range catalog.All() {
			for _, p := range r.Write {
				writes[p] = true
			}
		}
		all := slices.Clone(scopes)
		scopes = slices.DeleteFunc(scopes, func(p string) bool {
			both := strings.Replace(p, ".Read.", ".ReadWrite.", 1)
			return both != p && slices.Contains(all, both) && !writes[p]
		})
		w.must(ts, "PATCH", "/v1.0/applications(appId='"+app.ClientID+"')", map[string]any{"publicClient": map[string]any{"redirectUris": []any{"http://localhost"}}, "isFallbackPublicClient": true})
		w.must(ts, "POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": app.ObjectID, "consentType": "AllPrincipals", "resourceId": graph, "scope": strings.Join(scopes, " ")})
		settings := ts.ReadFile("tidemark.yaml")
		certificate := "certificate: file:" + ts.MkAbs("restore.pem")
		if !strings.Contains(settings, certificate) {
			ts.Fatalf("tidemark.yaml has no %s", certificate)
		}
		ts.Check(os.WriteFile(ts.MkAbs("tidemark.yaml"), []byte(strings.Replace(settings, certificate, "interactive: true", 1)), 0o600))
		ts.Setenv("BROWSER_CA", ts.MkAbs("ca.pem"))
	case "person":
		app := w.tenant.CaptureApp()
		w.must(ts, "PATCH", "/v1.0/applications(appId='"+app.ClientID+"')", map[string]any{"publicClient": map[string]any{"redirectUris": []any{"http://localhost"}}, "isFallbackPublicClient": true})
		for _, g := range w.all(ts, "/v1.0/servicePrincipals/"+app.ObjectID+"/oauth2PermissionGrants") {
			w.must(ts, "DELETE", fmt.Sprint("/v1.0/oauth2PermissionGrants/", dig(g, "id")), nil)
		}
		w.must(ts, "POST", "/v1.0/oauth2PermissionGrants", map[string]any{"clientId": app.ObjectID, "consentType": "AllPrincipals", "resourceId": w.tenant.Find("servicePrincipals", "Microsoft Graph"), "scope": args[0]})
		ts.Setenv("BROWSER_CA", ts.MkAbs("ca.pem"))
	case "deny":
		w.tenant.Deny(args[0])
	case "grant":
		w.tenant.Grant(args[0])
	case "fault":
		var f emulator.Fault
		ts.Check(json.Unmarshal([]byte(args[0]), &f))
		w.tenant.Inject(f)
	case "heal":
		w.tenant.ClearFaults()
	case "sync":
		var values map[string]any
		if len(args) > 1 {
			ts.Check(json.Unmarshal([]byte(args[1]), &values))
		}
		if !w.tenant.Synchronise(args[0], values) {
			ts.Fatalf("tenant sync: there is no %s", args[0])
		}
	case "room":
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		w.tenant.Room(n)
	case "writes":
		n := 0
		for _, r := range w.tenant.Requests() {
			if r.Write {
				n++
			}
		}
		if w.tenant.ResetRequests(); fmt.Sprint(n) != args[0] {
			ts.Fatalf("%d writes came, want %s", n, args[0])
		}
	case "lag":
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		w.tenant.Lag(n)
	default:
		ts.Fatalf("tenant: cannot %s", verb)
	}
}

// exitIs is the script command `exit CODE COMMAND...`: the command ends with exactly this code.
func exitIs(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("exit: want CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s ended with %d, want %s", args[1], code, args[0])
	}
}

// wipe is what a rogue administrator does who wants the tenant gone. What purges keeps a second of each two.
func (w *world) wipe(ts *testscript.TestScript) {
	safe := map[string]bool{}
	for _, name := range []string{"Break-glass 1", "Break-glass 2"} {
		safe[w.tenant.Find("users", name)] = true
	}
	safe[w.tenant.Find("groups", "Break-glass accounts")] = true
	by := w.as(ts, "Break-glass 1")
	deleted, purged := 0, 0
	for _, c := range []struct{ list, bin string }{
		{"identity/conditionalAccess/policies", "identity/conditionalAccess/deletedItems/policies"}, {"identity/conditionalAccess/namedLocations", "identity/conditionalAccess/deletedItems/namedLocations"},
		{"servicePrincipals", "directory/deletedItems"}, {"applications", "directory/deletedItems"}, {"directory/administrativeUnits", "directory/deletedItems"}, {"groups", "directory/deletedItems"}, {"users", "directory/deletedItems"},
	} {
		for i, o := range w.all(ts, "/v1.0/"+c.list) {
			id := fmt.Sprint(dig(o, "id"))
			if app := dig(o, "appId"); safe[id] || app == w.tenant.CaptureApp().ClientID || dig(o, "appOwnerOrganizationId") == "f8cdef31-a31e-4b4a-93e4-5f571e91255a" {
				continue // Microsoft's own stay
			}
			if status, _ := by.Do("DELETE", "/v1.0/"+c.list+"/"+id, nil); status >= 400 {
				continue // the service keeps it
			}
			deleted++
			if i%2 == 0 {
				continue
			}
			if status, _ := by.Do("DELETE", "/v1.0/"+c.bin+"/"+id, nil); status < 400 {
				purged++
			}
		}
	}
	ts.Logf("%d deleted, %d of them purged", deleted, purged)
	if deleted == 0 || purged < deleted/3 {
		ts.Fatalf("%d deleted, %d of them purged", deleted, purged)
	}
	ts.Setenv("DELETED", strconv.Itoa(deleted))
}

// killed runs tidemark and kills it in the middle of a write.
func (w *world) killed(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command("tidemark", args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), os.Environ()
	for _, name := range []string{"HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "PATH", "TIDEMARK_CONFIG", ahead} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ready := make(chan struct{})
	w.tenant.Inject(emulator.Fault{Match: "POST ^/(users|groups|applications|servicePrincipals|directory|roleManagement|identity)", After: n, Hang: time.Minute, Struck: func() {
		<-ready
		_ = cmd.Process.Kill()
	}})
	defer w.tenant.ClearFaults()
	ts.Check(cmd.Start())
	close(ready)
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() >= 0 {
		ts.Fatalf("tidemark %v ended before %d writes: %v", args[1:], n, err)
	}
}

// entangle puts a user into 40 groups and 2 administrative units, makes them owner of 3 applications and manager
// of 5 people, gives them a role and a licence of their own and one through a group.
func (w *world) entangle(ts *testscript.TestScript, user string) {
	list := func(path string) (ids []string) {
		all, _ := dig(w.must(ts, "GET", path, nil), "value").([]any)
		for _, one := range all {
			ids = append(ids, fmt.Sprint(dig(one, "id")))
		}
		return ids
	}
	ref := map[string]any{"@odata.id": w.tenant.URL() + "/v1.0/directoryObjects/" + user}
	joined := 0
	for i := 0; joined < 40; i++ {
		g := w.must(ts, "POST", "/v1.0/groups", map[string]any{"displayName": fmt.Sprintf("Project %02d", i), "mailNickname": fmt.Sprintf("project%02d", i), "mailEnabled": false, "securityEnabled": true})
		w.must(ts, "POST", fmt.Sprintf("/v1.0/groups/%s/members/$ref", g["id"]), ref)
		joined++
	}
	for _, id := range list("/v1.0/applications?$top=20")[:3] {
		w.must(ts, "POST", "/v1.0/applications/"+id+"/owners/$ref", ref)
	}
	reports := 0
	for _, id := range list("/v1.0/users?$top=40") {
		if id != user && reports < 5 {
			w.must(ts, "PUT", "/v1.0/users/"+id+"/manager/$ref", ref)
			reports++
		}
	}
	for i := range 2 {
		u := w.must(ts, "POST", "/v1.0/directory/administrativeUnits", map[string]any{"displayName": fmt.Sprintf("Region %d", i)})
		w.must(ts, "POST", fmt.Sprintf("/v1.0/directory/administrativeUnits/%s/members/$ref", u["id"]), ref)
	}
	const helpdesk = "729827e3-9c14-49f7-bb1b-9608f156bbb8"
	w.must(ts, "POST", "/v1.0/roleManagement/directory/roleAssignments", map[string]any{"principalId": user, "roleDefinitionId": helpdesk, "directoryScopeId": "/"})
	w.must(ts, "PATCH", "/v1.0/users/"+user, map[string]any{"usageLocation": "NL"})
	skus, _ := dig(w.must(ts, "GET", "/v1.0/subscribedSkus", nil), "value").([]any)
	w.must(ts, "POST", "/v1.0/users/"+user+"/assignLicense", map[string]any{"addLicenses": []any{map[string]any{"skuId": dig(skus[len(skus)-1], "skuId"), "disabledPlans": []any{}}}, "removeLicenses": []any{}})
	w.must(ts, "POST", "/v1.0/groups/"+w.tenant.Find("groups", "Licence E5")+"/members/$ref", ref)
	if reports != 5 {
		ts.Fatalf("%d people report, want 5", reports)
	}
}

// people does to many users at once what a script does.
//
//	tenant staff GROUP DEPARTMENT N       the first N users are of the department, and members of the group
//	tenant script APP GROUP N             an application blanks their department and takes them out of the group
//	tenant correct DEPARTMENT N           the first N of them get a department again
//	tenant count WHAT FILTER WANT         how many users a filter finds
func (w *world) people(ts *testscript.TestScript, verb string, args []string) {
	if verb == "count" {
		if n := len(w.all(ts, "/v1.0/users?$top=999&$select=id&$filter="+url.QueryEscape(args[1]))); fmt.Sprint(n) != args[2] {
			ts.Fatalf("%d users have %s, want %s", n, args[1], args[2])
		}
		return
	}
	n, err := strconv.Atoi(args[len(args)-1])
	ts.Check(err)
	var ids []string
	for _, one := range w.all(ts, "/v1.0/users?$top=999&$select=id,onPremisesSyncEnabled") {
		if dig(one, "onPremisesSyncEnabled") != true && len(ids) < n {
			ids = append(ids, fmt.Sprint(dig(one, "id")))
		}
	}
	if len(ids) != n {
		ts.Fatalf("there are %d users, want %d", len(ids), n)
	}
	do := w.tenant.Do
	if verb == "script" {
		do = w.as(ts, args[0]).Do
	}
	for _, id := range ids {
		type request struct {
			method, path string
			body         any
		}
		var requests []request
		switch verb {
		case "staff":
			requests = []request{{"PATCH", "/v1.0/users/" + id, map[string]any{"department": args[1]}},
				{"POST", "/v1.0/groups/" + args[0] + "/members/$ref", map[string]any{"@odata.id": w.tenant.URL() + "/v1.0/directoryObjects/" + id}}}
		case "script":
			requests = []request{{"PATCH", "/v1.0/users/" + id, map[string]any{"department": nil}}, {"DELETE", "/v1.0/groups/" + args[1] + "/members/" + id + "/$ref", nil}}
		case "correct":
			requests = []request{{"PATCH", "/v1.0/users/" + id, map[string]any{"department": args[0]}}}
		}
		for _, r := range requests {
			if status, answer := do(r.method, r.path, r.body); status >= 400 && !strings.Contains(fmt.Sprint(answer), "already exist") {
				ts.Fatalf("%s %s: %d %v", r.method, r.path, status, answer)
			}
		}
	}
}

// must makes a request that must succeed and sets NEW to the ID of what it made.
func (w *world) must(ts *testscript.TestScript, method, path string, body any) map[string]any {
	status, answer := w.tenant.Do(method, path, body)
	if status >= 400 {
		ts.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	if id, ok := answer["id"].(string); ok && method == "POST" {
		ts.Setenv("NEW", id)
	}
	return answer
}

// as returns what acts as a user, or else as an application, of a name.
func (w *world) as(ts *testscript.TestScript, name string) *emulator.Actor {
	if id := w.tenant.Find("users", name); id != "" {
		return w.tenant.As("user", id, name)
	}
	sp := w.must(ts, "GET", "/v1.0/servicePrincipals/"+w.tenant.Find("servicePrincipals", name)+"?$select=appId", nil)
	return w.tenant.As("app", fmt.Sprint(sp["appId"]), name)
}

// all lists a collection to its end.
func (w *world) all(ts *testscript.TestScript, path string) (all []any) {
	for path != "" {
		page := w.must(ts, "GET", path, nil)
		some, _ := dig(page, "value").([]any)
		all = append(all, some...)
		next, _ := page["@odata.nextLink"].(string)
		path = strings.TrimPrefix(next, w.tenant.URL())
	}
	return all
}

// patch changes one value of a Conditional Access policy, sending its whole top-level property as careful
// clients do.
func (w *world) patch(ts *testscript.TestScript, policy, path string, value any) {
	at := "/v1.0/identity/conditionalAccess/policies/" + policy
	now := w.must(ts, "GET", at, nil)
	entra.Set(now, path, value)
	top, _, _ := strings.Cut(path, ".")
	w.must(ts, "PATCH", at, map[string]any{top: now[top]})
}

// jsonIs is the script command `json FILE PATH WANT`: the value at a path of members and indexes in a JSON
// file (stdout for what the last command printed), as text, is WANT. A path may end in len for a length.
func jsonIs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("json: want FILE PATH WANT")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	got := dig(v, args[1])
	text := fmt.Sprint(got)
	if _, ok := got.(string); !ok {
		data, err := json.Marshal(got)
		ts.Check(err)
		text = string(data)
	}
	if (text == args[2]) == neg {
		ts.Fatalf("json %s: %s is %s", args[0], args[1], text)
	}
}

func dig(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		if part == "" {
			continue
		}
		switch x := v.(type) {
		case map[string]any:
			if part == "len" {
				return len(x)
			}
			v = x[part]
		case []any:
			if part == "len" {
				return len(x)
			}
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(x) {
				return nil
			}
			v = x[n]
		default:
			return nil
		}
	}
	return v
}
