package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
	"golang.org/x/mod/sumdb/note"

	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A settings is the configuration file.
type settings struct {
	Tenants []tenantSettings `yaml:"tenants"`

	path  string         // of the file; "" where there is none
	lines map[string]int // where each value stands, by its dotted path
}

// A tenantSettings says everything about one tenant.
type tenantSettings struct {
	Name       string           `yaml:"name"`
	ID         string           `yaml:"id"`
	Cloud      string           `yaml:"cloud"`
	Graph      string           `yaml:"graph"`
	Authority  string           `yaml:"authority"`
	CA         string           `yaml:"ca"`
	Quotas     int              `yaml:"quotas"`
	Repository string           `yaml:"repository"`
	Keys       keySettings      `yaml:"keys"`
	Capture    captureSettings  `yaml:"capture"`
	Restore    identitySettings `yaml:"restore"`
	Guard      guardSettings    `yaml:"guard"`
	Index      string           `yaml:"index"`
}

type keySettings struct {
	Holders   []string `yaml:"holders"`
	Identity  string   `yaml:"identity"`
	SingleKey bool     `yaml:"single_key"`
}

// An identitySettings is how one application signs in.
type identitySettings struct {
	ClientID           string `yaml:"client_id"`
	Certificate        string `yaml:"certificate"`
	FederatedTokenFile string `yaml:"federated_token_file"`
	ManagedIdentity    bool   `yaml:"managed_identity"`
	ClientSecret       string `yaml:"client_secret"`
	AllowClientSecret  bool   `yaml:"allow_client_secret"`
	// Interactive says that a person signs in to the application, for a restore.
	Interactive bool `yaml:"interactive"`

	scopes []string // delegated permissions to ask for; nil asks for those that somebody has consented to
}

// none reports whether nothing is said of the identity.
func (i identitySettings) none() bool { return i.ClientID == "" && !i.ManagedIdentity }

type captureSettings struct {
	identitySettings `yaml:",inline"`
	Schedule         string   `yaml:"schedule"`
	Exclude          []string `yaml:"exclude"`
	Include          []string `yaml:"include"`
	// AllowPermissions names write permissions that the capturing identity may hold, one by one.
	AllowPermissions []string `yaml:"allow_permissions"`
}

// options returns which types a capture reads.
func (c captureSettings) options() (o capture.Options) {
	for _, t := range c.Exclude {
		o.Exclude = append(o.Exclude, entra.Type(t))
	}
	for _, t := range c.Include {
		o.Include = append(o.Include, entra.Type(t))
	}
	return o
}

type guardSettings struct {
	BreakGlass []string       `yaml:"break_glass"`
	Approvers  []string       `yaml:"approvers"`
	Limits     *limitSettings `yaml:"limits"`
}

type limitSettings struct {
	Objects    int `yaml:"objects"`
	Links      int `yaml:"links"`
	Deletions  int `yaml:"deletions"`
	Privileged int `yaml:"privileged"`
	Approvers  int `yaml:"approvers"`
}

// defaultLimits bound a plan where the configuration says nothing.
var defaultLimits = plan.Limits{Objects: 50, Links: 2000}

// A cloud is where one deployment of the service answers.
type cloud struct{ graph, authority string }

// clouds are the deployments Microsoft publishes (Microsoft Graph documentation, national clouds).
var clouds = map[string]cloud{
	"global":    {"https://graph.microsoft.com", "https://login.microsoftonline.com"},
	"usgov":     {"https://graph.microsoft.us", "https://login.microsoftonline.us"},
	"usgov-dod": {"https://dod-graph.microsoft.us", "https://login.microsoftonline.us"},
	"china":     {"https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"},
}

// configPath returns the file to read: the one asked for, or the first of the known places that exists.
func (e *env) configPath() (string, error) {
	if e.config != "" {
		return e.config, nil
	}
	if p := e.getenv("TIDEMARK_CONFIG"); p != "" {
		return p, nil
	}
	places := []string{"tidemark.yaml", filepath.Join(e.xdg("XDG_CONFIG_HOME", ".config"), "tidemark", "tidemark.yaml"), "/etc/tidemark/tidemark.yaml"}
	for _, p := range places {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("read configuration: %w", err)
		}
	}
	return "", &exit{code: 2, err: fmt.Errorf("no configuration found; looked for %s", strings.Join(places, ", ")),
		hint: "write one (see tidemark config example), name it with --config, or give --repository and --identity"}
}

// xdg returns one of the folders of the XDG base directory specification.
func (e *env) xdg(name, fallback string) string {
	if dir := e.getenv(name); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(e.getenv("HOME"), fallback)
}

// readSettings reads and checks the configuration file.
func (e *env) readSettings() (*settings, error) {
	path, err := e.configPath()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path) //nolint:gosec // the person names the file
	if err != nil {
		return nil, &exit{code: 2, err: fmt.Errorf("read configuration: %w", err)}
	}
	s, err := parseSettings(data)
	if err != nil {
		return nil, &exit{code: 2, err: fmt.Errorf("%s: %w", path, err), hint: "tidemark config example prints a whole configuration with every key"}
	}
	s.path = path
	return s, nil
}

func parseSettings(data []byte) (*settings, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	s := &settings{lines: map[string]int{}}
	if len(doc.Content) == 0 {
		return nil, errors.New("the file is empty")
	}
	if err := strict(doc.Content[0], reflect.TypeFor[settings](), "", s.lines); err != nil {
		return nil, err
	}
	if err := doc.Decode(s); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i := range s.Tenants {
		t := &s.Tenants[i]
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("line %d: tenants[%d]: %w", s.lines[fmt.Sprintf("tenants[%d]", i)], i, err)
		}
		if names[t.Name] {
			return nil, fmt.Errorf("line %d: two tenants are named %q", s.lines[fmt.Sprintf("tenants[%d].name", i)], t.Name)
		}
		names[t.Name] = true
	}
	if len(s.Tenants) == 0 {
		return nil, errors.New("tenants: at least one is needed")
	}
	return s, nil
}

// strict refuses keys the program does not know, naming the nearest one it does, and notes where each value
// stands.
func strict(n *yaml.Node, t reflect.Type, path string, lines map[string]int) error {
	lines[path] = n.Line
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for i, c := range n.Content {
			if err := strict(c, t.Elem(), fmt.Sprintf("%s[%d]", path, i), lines); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		known := keys(t)
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			field, ok := known[key.Value]
			if !ok {
				return fmt.Errorf("line %d: unknown key %q%s", key.Line, key.Value, nearest(key.Value, known))
			}
			if seen[key.Value] {
				return fmt.Errorf("line %d: key %q occurs twice", key.Line, key.Value)
			}
			seen[key.Value] = true
			if err := strict(value, field, strings.TrimPrefix(path+"."+key.Value, "."), lines); err != nil {
				return err
			}
		}
	case n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode || t.Kind() == reflect.Struct || t.Kind() == reflect.Slice:
		if n.Tag != "!!null" {
			return fmt.Errorf("line %d: %s: wrong kind of value", n.Line, path)
		}
	}
	return nil
}

// keys returns the YAML keys of a struct with the types of their values.
func keys(t reflect.Type) map[string]reflect.Type {
	known := map[string]reflect.Type{}
	for f := range t.Fields() {
		tag, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case opts == "inline":
			for k, v := range keys(f.Type) {
				known[k] = v
			}
		case tag != "":
			known[tag] = f.Type
		}
	}
	return known
}

// nearest suggests the known word closest to a wrong one.
func nearest[V any](word string, known map[string]V) string {
	best, least := "", len(word)/2+2
	for _, k := range slices.Sorted(mapsKeys(known)) {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

func (t *tenantSettings) check() error {
	if t.Name == "" {
		return errors.New("name is missing")
	}
	if len(t.ID) != 36 || strings.Count(t.ID, "-") != 4 {
		return fmt.Errorf("id: %q is not a tenant ID; it is the GUID on the tenant's overview page", t.ID)
	}
	t.ID = strings.ToLower(t.ID)
	if t.Cloud == "" {
		t.Cloud = "global"
	}
	if known, ok := clouds[t.Cloud]; ok {
		if t.Graph != "" || t.Authority != "" {
			return errors.New("graph and authority go with cloud: custom only")
		}
		t.Graph, t.Authority = known.graph, known.authority
	} else if t.Cloud != "custom" {
		return fmt.Errorf("cloud: %q is not one of global, usgov, usgov-dod, china, custom", t.Cloud)
	}
	// What is put together from an address, such as the scope of tokens and references to objects, begins with it.
	t.Graph, t.Authority = strings.TrimRight(t.Graph, "/"), strings.TrimRight(t.Authority, "/")
	for _, u := range []struct{ key, value string }{{"graph", t.Graph}, {"authority", t.Authority}} {
		p, err := url.Parse(u.value)
		if err != nil || p.Scheme != "https" || p.Host == "" {
			return fmt.Errorf("%s: %q is not an https:// address", u.key, u.value)
		}
	}
	if t.Repository == "" {
		return errors.New("repository is missing; for example file:///var/lib/tidemark/" + t.Name)
	}
	for _, ref := range []struct{ key, value string }{
		{"ca", t.CA}, {"keys.identity", t.Keys.Identity},
		{"capture.certificate", t.Capture.Certificate}, {"capture.client_secret", t.Capture.ClientSecret},
		{"restore.certificate", t.Restore.Certificate}, {"restore.client_secret", t.Restore.ClientSecret},
	} {
		if ref.value != "" && !isReference(ref.value) {
			return fmt.Errorf("%s: write file:PATH, env:NAME or exec:COMMAND; a value written here would be a secret in a file", ref.key)
		}
	}
	for _, id := range []struct {
		key string
		*identitySettings
	}{{"capture", &t.Capture.identitySettings}, {"restore", &t.Restore}} {
		if id.ClientSecret != "" && !id.AllowClientSecret {
			return fmt.Errorf("%s.client_secret: a client secret can be stolen and used from anywhere; use a certificate, federated_token_file or managed_identity, or set allow_client_secret: true", id.key)
		}
		ways := 0
		for _, set := range []bool{id.Certificate != "", id.FederatedTokenFile != "", id.ManagedIdentity, id.ClientSecret != "", id.Interactive} {
			if set {
				ways++
			}
		}
		if ways > 1 {
			return fmt.Errorf("%s: give one of certificate, federated_token_file, managed_identity, client_secret, interactive", id.key)
		}
		if ways > 0 && id.ClientID == "" && !id.ManagedIdentity {
			return fmt.Errorf("%s.client_id is missing", id.key)
		}
	}
	if t.Capture.Interactive {
		return errors.New("capture.interactive: a capture never runs as a person: what people may do is not only reading, and nobody is there to sign in at night; use a certificate, federated_token_file or managed_identity")
	}
	known := map[string]bool{}
	for r := range catalog.All() {
		known[string(r.Type)] = true
	}
	for _, x := range t.Capture.Exclude {
		if !known[x] {
			return fmt.Errorf("capture.exclude: no type is called %q%s", x, nearest(x, known))
		}
	}
	for _, x := range t.Capture.Include {
		if !known[x] {
			return fmt.Errorf("capture.include: no type is called %q%s", x, nearest(x, known))
		}
		if r, _ := catalog.Lookup(entra.Type(x)); r.Unless == "" {
			return fmt.Errorf("capture.include: %s is captured anyway; only what is left out otherwise is named here, as tidemark types says", x)
		}
	}
	for _, ref := range t.Guard.BreakGlass {
		if _, err := entra.ParseRef(ref); err != nil {
			return fmt.Errorf("guard.break_glass: %w", err)
		}
	}
	holder := map[string]string{}
	for _, line := range t.Guard.Approvers {
		v, err := note.NewVerifier(line)
		if err != nil {
			return fmt.Errorf("guard.approvers: %q is no approver's line; tidemark approve --new-key prints one", line)
		}
		key, _ := base64.StdEncoding.DecodeString(strings.SplitN(line, "+", 3)[2]) // as a verifier reads it
		if other, ok := holder[string(key)]; ok {
			return fmt.Errorf("guard.approvers: %s and %s have the same key; each person has a key of their own", other, v.Name())
		}
		holder[string(key)] = v.Name()
	}
	if l := t.Guard.Limits; l != nil && min(l.Objects, l.Links, l.Deletions, l.Privileged, l.Approvers) < 0 {
		return errors.New("guard.limits: a limit below zero means nothing; 0 allows none")
	}
	switch {
	case t.Quotas == 0:
		t.Quotas = 1
	case t.Quotas < 0 || t.Quotas > maxQuotas:
		return fmt.Errorf("quotas: %d is not a number from 1 to %d; leave it out where Microsoft has not raised the tenant's quotas", t.Quotas, maxQuotas)
	}
	switch t.Index {
	case "":
		t.Index = "file"
	case "file", "memory":
	default:
		return fmt.Errorf("index: %q is neither file nor memory", t.Index)
	}
	return nil
}

// maxQuotas bounds how much faster than documented the service is ever asked.
const maxQuotas = 100

// scale is what the service grants the tenant of its quotas.
func (t *tenantSettings) scale() graph.Scale { return graph.Scale(t.Quotas) }

// limits are what a plan may do unless a flag allows more.
func (t *tenantSettings) limits() plan.Limits {
	if t.Guard.Limits == nil {
		return defaultLimits
	}
	l := t.Guard.Limits
	return plan.Limits{Objects: l.Objects, Links: l.Links, Deletions: l.Deletions, Privileged: l.Privileged, Approvers: l.Approvers}
}

// pick returns the tenant the command is about.
func (s *settings) pick(name string) (*tenantSettings, error) {
	var names []string
	for i := range s.Tenants {
		if s.Tenants[i].Name == name || name == "" && len(s.Tenants) == 1 {
			return &s.Tenants[i], nil
		}
		names = append(names, s.Tenants[i].Name)
	}
	if name == "" {
		return nil, usage("which tenant? --tenant takes one of: %s", strings.Join(names, ", "))
	}
	return nil, usage("no tenant is called %q in %s; it has: %s", name, s.path, strings.Join(names, ", "))
}

// updateClientIDs replaces client IDs of a tenant in the configuration file, at once and touching nothing else. It returns the
// file's name.
func (e *env) updateClientIDs(tenant string, docs []clientDoc) (string, error) {
	s, err := e.readSettings()
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(s.path) // a link stays one
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path) //nolint:gosec // the configuration
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(s.Tenants, func(t tenantSettings) bool { return t.Name == tenant })
	lines := strings.SplitAfter(string(data), "\n")
	for _, d := range docs {
		n := s.lines[fmt.Sprintf("tenants[%d].%s", i, d.Key)] - 1
		if n < 0 || n >= len(lines) || strings.Count(strings.ToLower(lines[n]), d.Old) != 1 {
			return "", fmt.Errorf("%s is not written out, once, on a line of %s", d.Key, path)
		}
		at := strings.Index(strings.ToLower(lines[n]), d.Old)
		lines[n] = lines[n][:at] + d.New + lines[n][at+len(d.Old):]
		switch d.Key {
		case "capture.client_id":
			s.Tenants[i].Capture.ClientID = d.New
		case "restore.client_id":
			s.Tenants[i].Restore.ClientID = d.New
		}
	}
	text := []byte(strings.Join(lines, ""))
	if now, err := parseSettings(text); err != nil || !reflect.DeepEqual(now.Tenants, s.Tenants) {
		return "", fmt.Errorf("%s would say something else as well", path)
	}
	draft, err := writeDraft(path, text, info.Mode().Perm())
	if err != nil {
		return "", err
	}
	if err = keepOwner(draft, info); err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(draft))
	}
	return path, nil
}

const exampleConfig = `# Tidemark: one entry per tenant. Secrets are references: file:PATH, env:NAME or exec:COMMAND.
tenants:
  - name: contoso                       # what --tenant takes
    id: 8f1c0c1e-0000-4000-8000-000000000001
    cloud: global                       # global | usgov | usgov-dod | china | custom
    # graph: https://127.0.0.1:8443     # cloud: custom only
    # authority: https://127.0.0.1:8443 # cloud: custom only
    # ca: file:/etc/tidemark/ca.pem     # an extra trust anchor for graph and authority
    quotas: 1                           # how many times the documented request quotas Microsoft grants the tenant; it raises them on request
    repository: file:///var/lib/tidemark/contoso
    keys:
      holders: []                       # age recipients that can read the repository, besides the identity below
      identity: file:/etc/tidemark/identity.txt   # made by tidemark init where it does not exist
      single_key: true                  # without it, init wants at least two holders
    capture:                            # the identity that reads; it holds no write permission; people sign in to it for capture --person
      client_id: 11111111-1111-1111-1111-111111111111
      certificate: file:/etc/tidemark/capture.pem # or federated_token_file: PATH, or managed_identity: true
      # client_secret: env:TIDEMARK_SECRET        # needs allow_client_secret: true
      # allow_client_secret: false
      schedule: "0 * * * *"
      exclude: []                       # types, as tidemark types names them
      include: []                       # types that are left out otherwise, such as signIn
      allow_permissions: []             # write permissions this identity may hold, one by one
    restore:                            # the identity that writes; leave it out where nothing is ever restored
      client_id: 22222222-2222-2222-2222-222222222222
      certificate: file:/etc/tidemark/restore.pem
      # interactive: true               # instead: a person signs in, in a browser or with --device-code
    guard:
      break_glass: []                   # user/ID and group/ID that must keep access, whatever a plan does
      approvers: []                     # lines that tidemark approve --new-key printed; limits.approvers of them must agree
      limits: {objects: 50, links: 2000, deletions: 0, privileged: 0, approvers: 0}
    index: file                         # file: in the cache folder, mode 0600; or memory
`

func configCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Explain the configuration, or print an example",
		Example: "  tidemark config explain\n  tidemark config example > tidemark.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:     "explain",
		Short:   "Show each value and where it came from",
		Example: "  tidemark config explain\n  tidemark config explain -o json",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return e.explainConfig() },
	}, &cobra.Command{
		Use:     "example",
		Short:   "Print a whole configuration with every key",
		Example: "  tidemark config example > tidemark.yaml",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(e.out, exampleConfig)
			return err
		},
	})
	return c
}

// An origin is one value of the configuration and where it came from.
type origin struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (e *env) explainConfig() error {
	s, err := e.readSettings()
	if err != nil {
		return err
	}
	var rows []origin
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		from := "default"
		if line, ok := s.lines[path]; ok {
			from = fmt.Sprintf("%s:%d", s.path, line)
		}
		switch {
		case v.Kind() == reflect.Pointer && v.IsNil():
			walk(reflect.ValueOf(limitSettings{Objects: defaultLimits.Objects, Links: defaultLimits.Links}), path)
		case v.Kind() == reflect.Pointer:
			walk(v.Elem(), path)
		case v.Kind() == reflect.Struct:
			for f, value := range v.Fields() {
				tag, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
				if opts == "inline" {
					walk(value, path)
				} else if tag != "" {
					walk(value, strings.TrimPrefix(path+"."+tag, "."))
				}
			}
		case v.Kind() == reflect.Slice && v.Len() > 0:
			for i := range v.Len() {
				walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
			}
		case v.Kind() == reflect.Slice:
			rows = append(rows, origin{path, "[]", from})
		default:
			rows = append(rows, origin{path, fmt.Sprint(v.Interface()), from})
		}
	}
	walk(reflect.ValueOf(*s), "")
	// A person reads the file's name once.
	return e.print(result{doc: rows, rows: anySlice(rows), text: "from " + clean(s.path) + "\n", head: []string{"KEY", "VALUE", "FROM"}, cells: func(yield func([]string)) {
		for _, r := range rows {
			yield([]string{r.Key, r.Value, strings.Replace(r.From, s.path+":", "line ", 1)})
		}
	}})
}
