package capture_test

import (
	"sync"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/capture"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
)

// Each part is told of before it is read, with how much there was where it is listed whole and something was there to
// go by; a tenant that stands still has as much again. What only brings a part up to date has nothing to go by.
func TestProgressSaysHowMuchThereIs(t *testing.T) {
	l := lab.New(t, lab.Start(t, emulator.Options{}))
	for _, o := range []struct {
		name string
		full bool
	}{{"the first", false}, {"whole", true}, {"what changed", false}} {
		var mu sync.Mutex
		type part struct{ t, rel string }
		parts, ended := map[part]capture.Progress{}, 0
		_, err := capture.Run(t.Context(), l.Reader, l.Repo, l.Index, l.Tenant.Now, capture.Options{Full: o.full, Include: l.Asked, Progress: func(p capture.Progress) {
			if forPeople(p.Type) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			at := part{string(p.Type), p.Relation}
			if _, told := parts[at]; !told && (p.Items != 0 || p.Done) && p.Type != "directoryAudit" {
				t.Errorf("%s: %v is told of once it is under way", o.name, at)
			}
			parts[at] = p
			if p.Done {
				ended++
			}
			if o.full && p.Of < p.Items || o.full && p.Done && p.Of != p.Items {
				t.Errorf("%s: %v: %d of %d", o.name, at, p.Items, p.Of)
			}
			if !o.full && p.Type == "user" && p.Relation == "" && p.Of != -1 {
				t.Errorf("%s: %v: nobody can know that there are %d", o.name, at, p.Of)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if ended != len(parts) || ended == 0 {
			t.Errorf("%s: %d parts, %d ended", o.name, len(parts), ended)
		}
		l.Follow()
	}
}
