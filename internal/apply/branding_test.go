package apply_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A language goes with its images, which the service wants removed before, and comes back with them.
func TestLanguagesGoAndComeWithTheirImages(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		without := l.Capture()
		at := "/organization/" + tenant.ID() + "/branding/localizations"
		if status, _ := tenant.Do("POST", "/v1.0"+at, map[string]any{"id": "it-IT", "signInPageText": "Ciao"}); status != 201 {
			t.Fatal(status)
		}
		tenant.Do("POST", "/v1.0/$batch", map[string]any{"requests": []any{map[string]any{"id": "1", "method": "PUT", "url": at + "/it-IT/favicon",
			"headers": map[string]any{"Content-Type": "image/png"}, "body": base64.StdEncoding.EncodeToString([]byte("\x89PNG\x00"))}}})
		with := l.Capture()
		restored(t, l, without, plan.Request{Scope: plan.Scope{Delete: true}})
		if status, _ := tenant.Do("GET", "/v1.0"+at+"/it-IT", nil); status != 404 {
			t.Errorf("the language is there: %d", status)
		}
		restored(t, l, with, plan.Request{})
		if _, body := tenant.Do("GET", "/v1.0"+at+"/it-IT/favicon", nil); !strings.HasPrefix(body["value"].(string), "\x89PNG") {
			t.Errorf("the icon is %v", body)
		}
	})
}
