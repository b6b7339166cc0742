package emulator_test

import (
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// What synchronisation brings, only synchronisation changes, and what Exchange keeps of it stays with Exchange.
func TestSynchronise(t *testing.T) {
	at := start(t, emulator.Options{})
	c := newClient(t, at, at.RestoreApp())
	made := c.want(201, "POST", "/v1.0/users", `{"accountEnabled":true,"displayName":"H","mailNickname":"h","userPrincipalName":"h@contoso.example","passwordProfile":{"password":"Xk29!fmmwqp0"}}`).body
	id, _ := made["id"].(string)
	user := "/v1.0/users/" + id
	own := `{"onPremisesExtensionAttributes":{"extensionAttribute2":"south"}}`
	c.want(204, "PATCH", user, own)
	if !at.Synchronise(id, map[string]any{"onPremisesSyncEnabled": true, "jobTitle": "Clerk"}) || at.Synchronise("nobody", map[string]any{}) {
		t.Fatal("synchronises who is not there, or not who is")
	}
	if got := c.want(200, "GET", user+"?$select=jobTitle", "").body; got["jobTitle"] != "Clerk" {
		t.Errorf("got %v", got)
	}
	for body, status := range map[string]int{own: 400, `{"jobTitle":"Boss"}`: 400, `{"accountEnabled":false}`: 400, `{"usageLocation":"NL"}`: 204, `{"passwordPolicies":"None"}`: 204} {
		c.want(status, "PATCH", user, body)
	}
	c.want(200, "POST", user+"/revokeSignInSessions", "")
	c.want(400, "DELETE", user, "")
	at.Synchronise(id, map[string]any{"onPremisesSyncEnabled": false})
	c.want(204, "PATCH", user, `{"jobTitle":"Boss"}`)
	if got := c.want(400, "PATCH", user, own); !strings.Contains(got.raw, "external service") {
		t.Errorf("got %s", got.raw)
	}
	if !at.Synchronise(id, nil) {
		t.Fatal("nobody was there to be deleted")
	}
	c.want(404, "GET", user, "")
	c.want(200, "GET", "/v1.0/directory/deletedItems/"+id, "")
}
