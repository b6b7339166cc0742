package apply

import (
	"errors"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

// What the service says of an object that one of its replicas does not know yet is waited out, and nothing else.
func TestRefusalsThatPassByThemselves(t *testing.T) {
	for _, tt := range []struct {
		status  int
		message string
		want    bool
	}{
		{404, "", true},
		{404, "Resource 'x' does not exist or one of its queried reference-property objects are not present.", true},
		{400, "The source resource object or one of the objects being referenced don't exist.", true},
		{400, "One or more referenced objects do not exist.", true},
		{400, "The appId 'x' of the service principal does not reference a valid application object.", true},
		{400, "Permission being assigned was not found on application 'x'.", true},
		{400, "1054: Invalid servicePrincipal value.", true},
		{403, "The backing application of the service principal being created must in the local tenant.", true},
		{403, "Insufficient privileges to complete the operation.", false},
		{400, "Invalid value specified for property 'usageLocation' of resource 'User'.", false},
		{400, "One or more added object references already exist for the following modified properties: 'members'.", false},
		{409, "Permission entry already exists.", false},
		{503, "does not exist", false},
	} {
		if got := unseen(&graph.Error{Status: tt.status, Message: tt.message}); got != tt.want {
			t.Errorf("%d %s: %t", tt.status, tt.message, got)
		}
	}
	if unseen(errors.New("not found")) {
		t.Error("a failure that is no refusal is waited out")
	}
}
