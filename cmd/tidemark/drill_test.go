package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// drilled captures a made-up tenant and rehearses its restore. It returns what was printed and how it ended.
func drilled(t *testing.T, o emulator.Options, meddle func(*emulator.Tenant)) (d drillDoc, err error) {
	t.Helper()
	o.Start, o.Now = time.Now(), time.Now
	tenant, err := emulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tenant.Close)
	dir := t.TempDir()
	if err := writeTenant(dir, tenant); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	vars := map[string]string{"HOME": dir, "XDG_STATE_HOME": filepath.Join(dir, "state"), "XDG_CACHE_HOME": filepath.Join(dir, "cache"), "TIDEMARK_CONFIG": filepath.Join(dir, "tidemark.yaml"), "GOGC": "100"}
	e := &env{in: strings.NewReader(""), out: &out, err: &said, getenv: func(name string) string { return vars[name] }, now: time.Now}
	for _, args := range [][]string{{"init"}, {"capture", "--progress", "none"}} {
		if code := run(t.Context(), e, args); code != 0 && code != 3 {
			t.Fatalf("%v ended with %d: %s", args, code, said.String())
		}
	}
	out.Reset()
	e.format, e.progress = "json", "none"
	s, err := e.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	ended := s.drill(t.Context(), nil, meddle)
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatalf("%v, %v: %s", ended, err, out.String())
	}
	last, err := s.drills(t.Context(), 1)
	if err != nil || len(last) != 1 || last[0].Equal != d.Equal || len(last[0].Differences) != len(d.Differences) {
		t.Errorf("the log holds %+v, %v", last, err)
	}
	return d, ended
}

// A drill of a tenant with all sorts of things brings everything back.
func TestADrillOfEverything(t *testing.T) {
	d, err := drilled(t, emulator.Options{Users: 30, Groups: 12, Apps: 4, Every: true}, nil)
	if err != nil || !d.Equal || d.Objects < 300 || d.Writes < 300 {
		t.Errorf("%v: %d objects, %d writes", err, d.Objects, d.Writes)
	}
	for _, x := range d.Differences {
		t.Errorf("%+v", x)
	}
	t.Logf("%d objects, %d links, %d writes in %.1f s", d.Objects, d.Links, d.Writes, d.Seconds)
}

// However large the snapshot's tenant was, the made-up one has room for it, and is not held to what a small tenant may have.
func TestADrillHasRoom(t *testing.T) {
	var quota struct{ Used, Total int }
	d, err := drilled(t, emulator.Options{Users: 30, Groups: 12, Apps: 4}, func(tenant *emulator.Tenant) {
		_, answer := tenant.Do("GET", "/beta/organization?$select=directorySizeQuota", nil)
		text, err := json.Marshal(answer["value"].([]any)[0].(map[string]any)["directorySizeQuota"])
		if err == nil {
			err = json.Unmarshal(text, &quota)
		}
		if err != nil {
			t.Error(err)
		}
	})
	left := quota.Total - quota.Used
	if err != nil || !d.Equal || int64(left) < int64(d.Objects) || left > 10*int(d.Objects) {
		t.Errorf("%v: %d objects, and room for %d", err, d.Objects, left)
	}
}

// What does not come back in a drill is named, and why: an object that is refused, a property that is, and a link that is lost.
func TestADrillNamesWhatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name, match, path string
		status, times     int
		field, reason     string
	}{
		{"an object", "POST", "/oauth2PermissionGrants", 400, -1, "", "it is refused here"},
		{"a property", "PATCH", "/organization/", 400, -1, "", "it is refused here"},
		{"a link", "POST", "/groups/[^/]*/members/\\$ref", 204, 1, "members[", "it held and does not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := drilled(t, emulator.Options{Users: 30, Groups: 12, Apps: 4}, func(tenant *emulator.Tenant) {
				tenant.Inject(emulator.Fault{Match: tt.match + " " + tt.path, Status: tt.status, Times: tt.times, Body: `{"error":{"code":"Request_BadRequest","message":"it is refused here"}}`})
			})
			var end *exit
			if !errors.As(err, &end) || end.code != 5 || d.Equal {
				t.Fatalf("it ended with %v, equal %v", err, d.Equal)
			}
			named := false
			for _, x := range d.Differences {
				named = named || strings.HasPrefix(x.Field, tt.field) && strings.Contains(x.Reason, tt.reason) && x.Name != ""
			}
			if !named || len(d.Differences) > 20 {
				t.Errorf("%+v", d.Differences)
			}
		})
	}
}

// Ten thousand objects are rehearsed within a minute, the made-up tenant's own work included.
func TestADrillOfTenThousand(t *testing.T) {
	if !long() {
		t.Skip("TIDEMARK_LONG is not set")
	}
	d, err := drilled(t, emulator.Options{Users: 6850, Groups: 600, Apps: 340}, nil)
	t.Logf("%d objects, %d links, %d writes in %.1f s", d.Objects, d.Links, d.Writes, d.Seconds)
	if err != nil || !d.Equal || d.Objects < 10_000 || d.Seconds > 60 {
		t.Errorf("%v", err)
	}
}
