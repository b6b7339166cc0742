package capture_test

import (
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// forPeople reports whether a capture for which nobody signs in leaves a type out.
func forPeople(t entra.Type) bool {
	r, ok := catalog.Lookup(t)
	return ok && r.People
}

// What the service shows to people only is read where somebody signs in, kept as it was where nobody does, and denied to
// an application that asks all the same.
func TestWhatIsForPeopleOnly(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		types := 0
		each := func(s *snapshot.Snapshot, ok func(p snapshot.Part) bool) {
			t.Helper()
			for r := range catalog.All() {
				if r.People {
					types++
					if p := s.Part(r.Type, ""); !ok(p) {
						t.Errorf("%s: %s, %d objects as of snapshot %d: %s", r.Type, p.Coverage, p.Objects, p.Complete, p.Reason)
					}
				}
			}
		}
		each(l.Capture(), func(p snapshot.Part) bool { return p.Coverage == snapshot.Skipped && p.Objects == 0 })
		l.SignIn()
		seen := l.Capture()
		each(seen, func(p snapshot.Part) bool { return p.Coverage == snapshot.Complete && p.Objects > 0 })
		person := l.Person
		l.Person = nil
		if status, answer := tenant.Do("PATCH", "/v1.0/policies/ownerlessGroupPolicy", map[string]any{"isEnabled": false}); status != 204 {
			t.Fatal(status, answer)
		}
		kept := l.Capture()
		each(kept, func(p snapshot.Part) bool {
			return p.Coverage == snapshot.Skipped && p.Complete == seen.Number && p.Root == seen.Part(p.Type, "").Root
		})
		l.Person = l.Reader
		each(l.Capture(), func(p snapshot.Part) bool { return p.Coverage == snapshot.Denied && p.Complete == seen.Number })
		l.Person = person
		each(l.Capture(), func(p snapshot.Part) bool { return p.Coverage == snapshot.Complete })
		// One that somebody has to make first is not there before.
		tenant.Inject(emulator.Fault{Match: "GET /v1.0/policies/ownerlessGroupPolicy", Status: 404, Times: -1, Body: `{"error":{"code":"ResourceNotFound","message":"Not found"}}`})
		if p := l.Capture().Part("ownerlessGroupPolicy", ""); p.Coverage != snapshot.Complete || p.Objects != 0 {
			t.Errorf("one that is not found is %s, %d objects: %s", p.Coverage, p.Objects, p.Reason)
		}
		if types < 5 {
			t.Errorf("only %d parts", types)
		}
	})
}
