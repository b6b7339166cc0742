package apply_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/emulator"
	"github.com/tidemark-backup/tidemark/internal/lab"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// What is contained in an object is named by its own ID alone. Made anew it has another, under which others find it.
func TestNamedByItsOwnID(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		goal := l.Capture()
		v := newVandal(t, l, goal)
		policies, _ := catalog.Lookup("accessPackageAssignmentPolicy")
		extensions, _ := catalog.Lookup("customCalloutExtension")
		tried := false
		for _, p := range v.objects(policies) {
			for _, x := range v.objects(extensions) {
				if own := x.Ref.ID.Split(); !strings.Contains(string(p.Body), string(own[len(own)-1])) {
					continue
				}
				tried = true
				calls, err := policies.Update(p.Ref.ID, map[string]any{"customExtensionStageSettings": nil}, p.Body.Decode())
				if err != nil || !v.do(calls[0]) || !v.remove(extensions, x) {
					t.Fatalf("the extension could not be taken away: %v", err)
				}
			}
		}
		if !tried {
			t.Fatal("no policy calls an extension")
		}
		if p := restored(t, l, goal, plan.Request{}); len(p.Steps) != 2 {
			t.Errorf("%d steps: %+v", len(p.Steps), p.Steps)
		}
	})
}

// A resource of a catalog is had by a request, whose answer is not the resource. What gives a role in it finds the new one.
func TestHadByRequest(t *testing.T) {
	tenant := lab.Start(t, emulator.Options{Every: true})
	synctest.Test(t, func(t *testing.T) {
		l := lab.New(t, tenant)
		goal := l.Capture()
		v := newVandal(t, l, goal)
		resources, _ := catalog.Lookup("accessPackageResource")
		roles, _ := catalog.Lookup("accessPackageResourceRoleScope")
		n := 0
		for _, role := range v.objects(roles) {
			if !v.remove(roles, role) {
				t.Fatalf("%s cannot be taken away", role.Ref)
			}
			n++
		}
		for _, x := range v.objects(resources) {
			if !v.remove(resources, x) {
				t.Fatalf("%s cannot be taken away", x.Ref)
			}
			n++
		}
		if p := restored(t, l, goal, plan.Request{}); len(p.Steps) != n || n == 0 {
			t.Errorf("%d steps, %d were wanted: %+v", len(p.Steps), n, p.Steps)
		}
	})
}
