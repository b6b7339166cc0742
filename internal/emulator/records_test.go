package emulator_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

// What can only be read is there, and nobody can write it.
func TestRecords(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	c := newClient(t, at, at.RestoreApp())
	lists := []string{"/v1.0/groupSettingTemplates", "/v1.0/identity/conditionalAccess/templates", "/v1.0/applicationTemplates", "/v1.0/informationProtection/bitlocker/recoveryKeys", "/v1.0/directory/recovery/snapshots"}
	reviews, _, _ := c.all("/v1.0/identityGovernance/accessReviews/definitions")
	for _, r := range reviews {
		runs := "/v1.0/identityGovernance/accessReviews/definitions/" + r["id"].(string) + "/instances"
		for _, run := range must(t, at, 200, "GET", runs, nil)["value"].([]any) {
			lists = append(lists, runs, runs+"/"+run.(map[string]any)["id"].(string)+"/contactedReviewers")
		}
	}
	if len(lists) != 5+2*3 {
		t.Fatal(lists)
	}
	for _, list := range lists {
		all := must(t, at, 200, "GET", list, nil)["value"].([]any)
		if len(all) == 0 {
			t.Errorf("%s is empty", list)
			continue
		}
		one := all[0].(map[string]any)
		if one["key"] != nil {
			t.Errorf("%s tells a secret", list)
		}
		must(t, at, 200, "GET", list+"/"+one["id"].(string), nil)
		for method, path := range map[string]string{"POST": list, "PATCH": list + "/" + one["id"].(string), "DELETE": list + "/" + one["id"].(string)} {
			if got := c.do(method, path, `{"id":"x"}`); got.status != 405 && got.status != 403 {
				t.Errorf("%s %s: %d", method, path, got.status)
			}
		}
	}
}

// What applications lead to is told of those that bear a tag.
func TestSegments(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	n := 0
	for _, x := range must(t, at, 200, "GET", "/v1.0/applications?$select=id,tags", nil)["value"].([]any) {
		app := x.(map[string]any)
		path := "/applications/" + app["id"].(string) + "/onPremisesPublishing/segmentsConfiguration/microsoft.graph.ipSegmentConfiguration/applicationSegments"
		all := must(t, at, 200, "GET", "/beta"+path, nil)["value"].([]any)
		if len(all) > 0 && len(app["tags"].([]any)) == 0 {
			t.Errorf("%v has %v", app, all)
		}
		for _, s := range all {
			n++
			must(t, at, 200, "GET", "/beta"+path+"/"+s.(map[string]any)["id"].(string), nil)
		}
		must(t, at, 400, "GET", "/v1.0"+path, nil)
	}
	if n == 0 {
		t.Error("there are none")
	}
	const below = "/onPremisesPublishing/segmentsConfiguration/microsoft.graph.ipSegmentConfiguration/applicationSegments"
	one := "/beta/applications/" + must(t, at, 201, "POST", "/v1.0/applications", map[string]any{"displayName": "Inside"})["id"].(string)
	body := map[string]any{"destinationHost": "10.0.0.0/8", "destinationType": "ipRangeCidr", "ports": []any{"22-22"}, "protocol": "tcp"}
	must(t, at, 400, "POST", one+below, body) // it is not published
	must(t, at, 204, "PATCH", one, map[string]any{"onPremisesPublishing": map[string]any{"internalUrl": "https://in.example", "externalUrl": "https://out.example"}})
	segment := one + below + "/" + must(t, at, 201, "POST", one+below, body)["id"].(string)
	must(t, at, 400, "PATCH", segment, map[string]any{"action": "exclude"})
	must(t, at, 204, "PATCH", segment, map[string]any{"ports": []any{"22-22", "443-443"}})
	must(t, at, 204, "DELETE", segment, nil)
}
