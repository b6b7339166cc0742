package guard_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/guard"
	"github.com/tidemark-backup/tidemark/internal/plan"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// A scene is one case of the corpus: a tenant, a plan for it, and what the guard says. testdata/README.md
// explains the lines.
type scene struct {
	objects   map[entra.Ref]entra.Object
	links     []entra.Link
	parts     map[[2]string]snapshot.Part
	plan      *plan.Plan
	config    guard.Config
	approvals []guard.Approval
	want      []string
}

func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

// words are the short names of types in the corpus.
func words() map[string]entra.Type {
	return map[string]entra.Type{
		"user": catalog.UserType, "group": catalog.GroupType, "app": catalog.ServicePrincipalType, "policy": catalog.PolicyType,
		"place": catalog.LocationType, "strength": catalog.StrengthType, "role": catalog.RoleType, "unit": catalog.UnitType,
		"held": "unifiedRoleAssignment", "grant": "appRoleAssignment", "defaults": "identitySecurityDefaultsEnforcementPolicy",
		"method": "authenticationMethodConfiguration", "domain": "domain", "application": catalog.ApplicationType, "federated": "federatedIdentityCredential", "authority": "certificateAuthorityDetail",
		"package": "accessPackage", "gives": "accessPackageResourceRoleScope", "offer": "accessPackageAssignmentPolicy", "workflow": "workflow", "settings": "authorizationPolicy",
	}
}

func roleID(name string) string {
	if id, ok := map[string]string{"ga": "62e90394-69f5-4237-9190-012177145e10", "helpdesk": "729827e3-9c14-49f7-bb1b-9608f156bbb8",
		"reader": "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"}[name]; ok {
		return id
	}
	return name
}

func ref(s string) (entra.Ref, error) {
	word, id, ok := strings.Cut(s, "/")
	word, bin := strings.CutPrefix(word, "deleted-")
	t, known := words()[word]
	if !ok || !known {
		return entra.Ref{}, fmt.Errorf("%q is no ref", s)
	}
	if t == catalog.RoleType {
		id = roleID(id)
	}
	if bin {
		c, _ := catalog.Lookup(t)
		t = c.Bin
	}
	return entra.Ref{Type: t, ID: entra.ID(id)}, nil
}

// pairs reads "word k=v k=v" into words and values.
func pairs(fields []string) (plain []string, kv map[string]string) {
	kv = map[string]string{}
	for _, f := range fields {
		if k, v, ok := strings.Cut(f, "="); ok {
			kv[k] = v
		} else {
			plain = append(plain, f)
		}
	}
	return plain, kv
}

func value(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	return v
}

func list(s string, split func(string) string) (in, out []any) {
	in, out = []any{}, []any{}
	for _, e := range strings.Split(s, ",") {
		if e == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(e, "-"); ok {
			out = append(out, split(rest))
		} else {
			in = append(in, split(e))
		}
	}
	return in, out
}

// policyBody writes out the short form of a policy.
func policyBody(id string, kv map[string]string) map[string]any {
	same := func(s string) string { return s }
	users := map[string]any{}
	for _, e := range strings.Split(kv["users"], ",") {
		side := "include"
		if rest, ok := strings.CutPrefix(e, "-"); ok {
			side, e = "exclude", rest
		}
		name := "Users"
		switch word, rest, _ := strings.Cut(e, "/"); word {
		case "group":
			name, e = "Groups", rest
		case "role":
			name, e = "Roles", roleID(rest)
		case "":
			continue
		}
		all, _ := users[side+name].([]any)
		users[side+name] = append(all, e)
	}
	apps := map[string]any{}
	if kv["apps"] == "" {
		kv["apps"] = "All"
	}
	apps["includeApplications"], apps["excludeApplications"] = list(kv["apps"], same)
	conditions := map[string]any{"users": users, "applications": apps}
	if kv["places"] != "" {
		in, out := list(kv["places"], same)
		conditions["locations"] = map[string]any{"includeLocations": in, "excludeLocations": out}
	}
	if kv["workloads"] != "" {
		in, out := list(kv["workloads"], same)
		conditions["clientApplications"] = map[string]any{"includeServicePrincipals": in, "excludeServicePrincipals": out}
	}
	clients, _ := list(kv["clients"], same)
	if len(clients) == 0 {
		clients = []any{"all"}
	}
	conditions["clientAppTypes"] = clients
	if kv["risk"] != "" {
		conditions["signInRiskLevels"], _ = list(kv["risk"], same)
	}
	if kv["devices"] != "" {
		conditions["devices"] = map[string]any{"deviceFilter": map[string]any{"mode": "exclude", "rule": kv["devices"]}}
	}
	m := map[string]any{"displayName": id, "state": "enabled", "conditions": conditions}
	grant := map[string]any{"operator": "OR"}
	if kv["grant"] != "" {
		controls := []any{}
		for _, c := range strings.FieldsFunc(kv["grant"], func(r rune) bool { return r == '|' || r == '&' }) {
			controls = append(controls, c)
		}
		grant["builtInControls"] = controls
		if strings.Contains(kv["grant"], "&") {
			grant["operator"] = "AND"
		}
	}
	if kv["strength"] != "" {
		grant["authenticationStrength"] = map[string]any{"id": kv["strength"]}
	}
	if kv["session"] == "" {
		m["grantControls"] = grant
	} else {
		m["sessionControls"] = map[string]any{"persistentBrowser": map[string]any{"isEnabled": true, "mode": kv["session"]}}
	}
	switch kv["state"] {
	case "off":
		m["state"] = "disabled"
	case "report":
		m["state"] = "enabledForReportingButNotEnforced"
	}
	return m
}

// object reads a line that describes one object.
func object(line string) (entra.Object, error) {
	fields := strings.Fields(line)
	plain, kv := pairs(fields)
	if len(plain) < 2 {
		return entra.Object{}, fmt.Errorf("%q: want TYPE ID", line)
	}
	r, err := ref(plain[0] + "/" + plain[1])
	if err != nil {
		return entra.Object{}, err
	}
	id, flags := plain[1], plain[2:]
	m := map[string]any{"displayName": id}
	switch strings.TrimPrefix(plain[0], "deleted-") {
	case "policy":
		m = policyBody(id, kv)
		kv = nil
	case "user":
		m["accountEnabled"], m["userType"], m["userPrincipalName"] = !slices.Contains(flags, "disabled"), "Member", id+"@contoso.example"
	case "group":
		m["securityEnabled"], m["mailEnabled"], m["mailNickname"] = true, false, id
		if slices.Contains(flags, "assignable") {
			m["isAssignableToRole"] = true
		}
		if slices.Contains(flags, "dynamic") {
			m["groupTypes"], m["membershipRule"] = []any{"DynamicMembership"}, `user.department -eq "x"`
		}
	case "app":
		m["accountEnabled"], m["appId"] = !slices.Contains(flags, "disabled"), "app-"+id
	case "place":
		m["@odata.type"], m["isTrusted"] = "#microsoft.graph.ipNamedLocation", slices.Contains(flags, "trusted")
		m["ipRanges"] = []any{map[string]any{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}}
	case "strength":
		combos, _ := list(kv["accepts"], func(s string) string { return s })
		m["allowedCombinations"], m["policyType"] = combos, "custom"
		delete(kv, "accepts")
	case "role":
		m["templateId"], m["isBuiltIn"], m["isEnabled"] = roleID(id), true, true
	case "held": // held ID PRINCIPAL ROLE [scope=]
		if len(flags) < 2 {
			return entra.Object{}, fmt.Errorf("%q: want held ID PRINCIPAL ROLE", line)
		}
		m = map[string]any{"principalId": flags[0], "roleDefinitionId": roleID(flags[1]), "directoryScopeId": "/"}
	case "grant": // grant RESOURCE/ID PRINCIPAL ROLE
		if len(flags) < 2 {
			return entra.Object{}, fmt.Errorf("%q: want grant RESOURCE/ID PRINCIPAL ROLE", line)
		}
		resource, _, _ := strings.Cut(id, "/")
		m = map[string]any{"principalId": flags[0], "resourceId": resource, "appRoleId": flags[1]}
	case "defaults":
		m["isEnabled"] = slices.Contains(flags, "on")
	case "method":
		m = map[string]any{"state": "disabled", "@odata.type": "#microsoft.graph." + id + "AuthenticationMethodConfiguration"}
		if slices.Contains(flags, "on") {
			m["state"] = "enabled"
		}
	}
	for path, v := range kv {
		entra.Set(m, path, value(v))
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return entra.Object{}, err
	}
	body, err := entra.Canonical(raw)
	return entra.Object{Ref: r, Body: body}, err
}

// tenant reads the lines of a base.
func (s *scene) tenant(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		switch f[0] {
		case "member", "owner":
			from, err := ref(f[1])
			if err != nil {
				return err
			}
			to, err := ref(f[2])
			if err != nil {
				return err
			}
			s.links = append(s.links, entra.Link{From: from, Rel: f[0] + "s", To: to})
		case "drop":
			r, err := ref(f[1])
			if err != nil {
				return err
			}
			if _, ok := s.objects[r]; !ok {
				return fmt.Errorf("%q: there is none", line)
			}
			delete(s.objects, r)
			s.links = slices.DeleteFunc(s.links, func(l entra.Link) bool { return l.From == r || l.To == r })
		case "nomember":
			r, err := ref(f[1])
			if err != nil {
				return err
			}
			s.links = slices.DeleteFunc(s.links, func(l entra.Link) bool { return l.From == r && l.Rel == catalog.Members })
		case "part": // part TYPE RELATION|- COVERAGE [complete=N]
			_, kv := pairs(f[4:])
			p := snapshot.Part{Type: words()[f[1]], Relation: strings.TrimPrefix(f[2], "-")}
			if err := p.Coverage.UnmarshalText([]byte(f[3])); err != nil {
				return err
			}
			if p.Type == "" {
				return fmt.Errorf("%q: no such type", line)
			}
			p.Complete, _ = strconv.ParseInt(kv["complete"], 10, 64)
			if kv["hole"] != "" {
				r, err := ref(kv["hole"])
				if err != nil {
					return err
				}
				p.Holes = []entra.Ref{r}
			}
			s.parts[[2]string{string(p.Type), p.Relation}] = p
		default:
			o, err := object(line)
			if err != nil {
				return err
			}
			s.objects[o.Ref] = o
		}
	}
	return nil
}

// tree returns the base.
func (s *scene) tree() *snapshot.Memory {
	snap := &snapshot.Snapshot{Number: 7, Tenant: "contoso"}
	for r := range catalog.All() {
		for _, rel := range append([]catalog.Relation{{}}, r.Links...) {
			p, ok := s.parts[[2]string{string(r.Type), rel.Rel}]
			if !ok {
				p = snapshot.Part{Type: r.Type, Relation: rel.Rel, Coverage: snapshot.Complete}
			}
			snap.Parts = append(snap.Parts, p)
		}
	}
	slices.SortFunc(snap.Parts, snapshot.Part.Compare)
	var objects []entra.Object
	for _, o := range s.objects {
		objects = append(objects, o)
	}
	return snapshot.NewMemory(snap, func(o entra.Object) (ids []entra.ID) {
		for _, f := range catalog.Refs(o) {
			ids = append(ids, f.ID)
		}
		return ids
	}, objects, s.links)
}

// steps reads the lines of a plan.
func (s *scene) steps(text string) error {
	s.plan = &plan.Plan{Tenant: "contoso", Limits: plan.Limits{Objects: 50, Links: 2000}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		step := plan.Step{Number: len(s.plan.Steps) + 1, Action: plan.Action(f[0]), Why: "it differs"}
		switch f[0] {
		case "limits":
			_, kv := pairs(f[1:])
			for k, n := range map[string]*int{"objects": &s.plan.Limits.Objects, "links": &s.plan.Limits.Links, "deletions": &s.plan.Limits.Deletions,
				"privileged": &s.plan.Limits.Privileged, "approvers": &s.plan.Limits.Approvers, "suspect": &s.plan.Limits.Suspect} {
				if v, ok := kv[k]; ok {
					*n, _ = strconv.Atoi(v)
				}
			}
			continue
		case "id": // id OLD NEW
			from, err := ref(f[1])
			if err != nil {
				return err
			}
			to, err := ref(f[2])
			if err != nil {
				return err
			}
			if s.plan.IDs == nil {
				s.plan.IDs = map[entra.Ref]entra.Ref{}
			}
			s.plan.IDs[from] = to
			continue
		case "gap": // gap REF FIELD MISSING
			r, err := ref(f[1])
			if err != nil {
				return err
			}
			missing, err := ref(f[3])
			if err != nil {
				return err
			}
			s.plan.Gaps = append(s.plan.Gaps, plan.Gap{Ref: r, Field: f[2], Reason: "it names what does not exist", Missing: missing})
			continue
		case "create":
			o, err := object(strings.Join(f[1:], " "))
			if err != nil {
				return err
			}
			step.Ref, step.Set = o.Ref, o.Body.Decode()
		case "edit": // edit policy ID ...: the whole policy anew
			o, err := object(strings.Join(f[1:], " "))
			if err != nil {
				return err
			}
			step.Action, step.Ref, step.Set = plan.Update, o.Ref, o.Body.Decode()
		case "update", "issue":
			r, err := ref(f[1])
			if err != nil {
				return err
			}
			_, kv := pairs(f[2:])
			step.Ref, step.Set = r, map[string]any{}
			for path, v := range kv {
				step.Set[path] = value(v)
			}
		case "undelete", "delete":
			r, err := ref(f[1])
			if err != nil {
				return err
			}
			step.Ref, step.OfBase = r, f[0] == "delete"
		case "attach", "detach":
			from, err := ref(f[1])
			if err != nil {
				return err
			}
			to, err := ref(f[3])
			if err != nil {
				return err
			}
			step.Ref, step.Link = from, &entra.Link{From: from, Rel: f[2], To: to}
		default:
			return fmt.Errorf("%q is no step", line)
		}
		s.plan.Steps = append(s.plan.Steps, step)
	}
	if len(s.plan.Steps) == 0 {
		return fmt.Errorf("the plan has no step")
	}
	return nil
}

func (s *scene) configure(text string) error {
	s.config.Verify = func(a guard.Approval) bool { return string(a.Signature) == "good" }
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "breakglass":
			r, err := ref(f[1])
			if err != nil {
				return err
			}
			s.config.BreakGlass = append(s.config.BreakGlass, r)
		case "writer":
			r, err := ref(f[1])
			if err != nil {
				return err
			}
			s.config.Writer.Ref = r
			if len(f) > 2 {
				s.config.Writer.Permissions = f[2:]
			}
		case "requester":
			s.config.Own = append(s.config.Own, f[1])
		case "doubt": // doubt STEP SINCE LAST WORDS...
			var n [3]int
			for i := range n {
				v, err := strconv.Atoi(f[1+i])
				if err != nil {
					return err
				}
				n[i] = v
			}
			s.config.Doubts = append(s.config.Doubts, guard.Doubt{Steps: []int{n[0]}, Since: int64(n[1]), Last: int64(n[2]), Text: strings.Join(f[4:], " ")})
		case "unverified":
			s.config.Verify = nil
		case "approve": // approve NAME age=1h [plan=other] [forged]
			plain, kv := pairs(f[1:])
			digest, err := s.plan.Digest()
			if err != nil {
				return err
			}
			age, err := time.ParseDuration(kv["age"])
			if err != nil {
				return err
			}
			a := guard.Approval{Plan: digest, By: plain[0], At: noon().Add(-age), Signature: []byte("good")}
			if kv["plan"] != "" {
				a.Plan = kv["plan"]
			}
			if len(plain) > 1 {
				a.Signature = []byte(plain[1])
			}
			s.approvals = append(s.approvals, a)
		default:
			return fmt.Errorf("%q is no configuration", line)
		}
	}
	return nil
}

// read reads one file of the corpus over the common tenant.
func read(path, common string) (*scene, error) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	part := map[string]string{}
	for _, f := range a.Files {
		part[f.Name] = string(f.Data)
	}
	s := &scene{objects: map[entra.Ref]entra.Object{}, parts: map[[2]string]snapshot.Part{}}
	for _, text := range []string{common, part["base"]} {
		if err := s.tenant(text); err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
	}
	if err := s.steps(part["plan"]); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if err := s.configure(part["config"]); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	for line := range strings.Lines(part["want"]) {
		if line = strings.TrimSpace(line); line != "" {
			s.want = append(s.want, line)
		}
	}
	return s, nil
}

// corpus reads every case whose file name begins with kind.
func corpus(t *testing.T, kind string) map[string]*scene {
	t.Helper()
	common, err := os.ReadFile(filepath.Join("testdata", "tenant.txt"))
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join("testdata", kind+"-*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*scene{}
	for _, path := range paths {
		s, err := read(path, string(common))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".txtar")] = s
	}
	return all
}

// line says an objection as the corpus does.
func line(o guard.Objection) string {
	s := fmt.Sprintf("%s: %s", o.Rule, o.Reason)
	if o.Lift != "" {
		s += " [" + o.Lift + "]"
	}
	return s
}

func TestHarm(t *testing.T) {
	all := corpus(t, "harm")
	if len(all) < 50 {
		t.Fatalf("%d harmful plans, want at least 50", len(all))
	}
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			c, objections, err := guard.Clear(t.Context(), s.plan, s.tree(), s.config, s.approvals, noon())
			if err != nil {
				t.Fatal(err)
			}
			if c.Plan() != nil {
				t.Error("the plan is cleared")
			}
			if len(s.want) == 0 {
				t.Fatal("the case wants no objection")
			}
			met := map[string]bool{}
			for _, o := range objections {
				ok := false
				for _, w := range s.want {
					rule, words, _ := strings.Cut(w, ":")
					if rule == string(o.Rule) && strings.Contains(line(o), strings.TrimSpace(words)) {
						ok, met[w] = true, true
					}
				}
				if !ok {
					t.Errorf("not wanted: %s", line(o))
				}
				if o.Rule != guard.Approvals && len(o.Steps) == 0 {
					t.Errorf("no steps: %s", line(o))
				}
				for _, n := range o.Steps {
					if n < 1 || n > len(s.plan.Steps) {
						t.Errorf("step %d does not exist: %s", n, line(o))
					}
				}
			}
			for _, w := range s.want {
				if !met[w] {
					t.Errorf("missing: %s", w)
				}
			}
		})
	}
}

func TestHarmless(t *testing.T) {
	all := corpus(t, "harmless")
	if len(all) < 20 {
		t.Fatalf("%d harmless plans, want at least 20", len(all))
	}
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			c, objections, err := guard.Clear(t.Context(), s.plan, s.tree(), s.config, s.approvals, noon())
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objections {
				t.Errorf("not wanted: %s", line(o))
			}
			if c.Plan() != s.plan {
				t.Error("the plan is not cleared")
			}
		})
	}
}
