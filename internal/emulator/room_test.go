package emulator_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// A directory that is full takes no object more until one is purged, and what it counts besides people it takes.
func TestRoom(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.RestoreApp())
	user := `{"accountEnabled":true,"displayName":"H","mailNickname":"h","userPrincipalName":"h@contoso.example","passwordProfile":{"password":"Xk29!fmmwqp0"}}`
	group := `{"displayName":"G","mailNickname":"g","mailEnabled":false,"securityEnabled":true}`
	room := func() (left int) {
		t.Helper()
		all, _ := c.want(200, "GET", "/beta/organization?$select=id,directorySizeQuota", "").body["value"].([]any)
		if len(all) != 1 {
			t.Fatalf("got %d organizations", len(all))
		}
		o, _ := all[0].(map[string]any)
		q, _ := o["directorySizeQuota"].(map[string]any)
		used, counted := q["used"].(float64)
		total, limited := q["total"].(float64)
		if !counted || !limited || used <= 0 {
			t.Fatalf("got %v", o)
		}
		return int(total - used)
	}
	if room() <= 0 {
		t.Fatal("an ordinary tenant is full")
	}
	at.Room(1)
	made := c.want(201, "POST", "/v1.0/users", user).body
	id, _ := made["id"].(string)
	if left := room(); left != 0 {
		t.Fatalf("room for %d, want none", left)
	}
	if got := c.want(403, "POST", "/v1.0/groups", group); !strings.Contains(got.raw, "Directory_QuotaExceeded") {
		t.Fatalf("got %s", got.raw)
	}
	c.want(201, "POST", "/v1.0/identity/conditionalAccess/namedLocations", `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"L","countriesAndRegions":["NL"]}`)
	c.want(204, "DELETE", "/v1.0/users/"+id, "")
	if left := room(); left != 0 {
		t.Fatalf("with one in the recycle bin there is room for %d, want none", left)
	}
	c.want(200, "POST", "/v1.0/directory/deletedItems/"+id+"/restore", "")
	c.want(204, "DELETE", "/v1.0/users/"+id, "")
	c.want(204, "DELETE", "/v1.0/directory/deletedItems/"+id, "")
	if left := room(); left != 1 {
		t.Fatalf("with one purged there is room for %d, want 1", left)
	}
	c.want(201, "POST", "/v1.0/groups", group)
}
