package emulator_test

import (
	"encoding/base64"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/emulator"
)

func TestStreams(t *testing.T) {
	at := start(t, emulator.Options{Every: true})
	item := func(method, path, kind, body string) (int, any, map[string]any) {
		t.Helper()
		m := map[string]any{"id": "1", "method": method, "url": path, "headers": map[string]any{}}
		if kind != "" {
			m["headers"] = map[string]any{"Content-Type": kind}
			m["body"] = base64.StdEncoding.EncodeToString([]byte(body))
		}
		if method == "PATCH" {
			m["headers"] = map[string]any{"Content-Type": "application/json", "Accept-Language": kind}
			m["body"] = map[string]any{"signInPageText": body}
		}
		_, all := at.Do("POST", "/v1.0/$batch", map[string]any{"requests": []any{m}})
		got := all["responses"].([]any)[0].(map[string]any)
		headers, _ := got["headers"].(map[string]any)
		return int(got["status"].(float64)), got["body"], headers
	}
	branding := "/organization/" + at.ID() + "/branding"
	fr, de := branding+"/localizations/fr-FR", branding+"/localizations/de-DE"
	_, made := at.Do("POST", "/v1.0/applications", map[string]any{"displayName": "With a logo"})
	app := "/applications/" + made["id"].(string)
	for _, tc := range []struct {
		name, method, path, kind, body string
		status                         int
	}{
		{"photo of a person", "PUT", "/users/" + at.Find("users", "Ada Admin") + "/photo/$value", "image/jpeg", "\xff\xd8", 204},
		{"photo removed", "DELETE", "/users/" + at.Find("users", "Ada Admin") + "/photo/$value", "", "", 204},
		{"no photo", "GET", "/users/" + at.Find("users", "Ada Admin") + "/photo/$value", "", "", 404},
		{"no logo", "GET", app + "/logo", "", "", 404},
		{"logo that is no image", "PUT", app + "/logo", "application/json", "{}", 415},
		{"logo", "PUT", app + "/logo", "image/png", "\x89PNG", 204},
		{"logo too large", "PUT", app + "/logo", "image/png", string(make([]byte, 101<<10)), 400},
		{"logo removed", "DELETE", app + "/logo", "", "", 405},
		{"style sheet that is an image", "PUT", de + "/customCSS", "image/png", "x", 415},
		{"style sheet", "PUT", de + "/customCSS", "text/css", "a {}", 204},
		{"language with a style sheet removed", "DELETE", de, "", "", 400},
		{"style sheet removed", "DELETE", de + "/customCSS", "", "", 204},
		{"style sheet removed again", "DELETE", de + "/customCSS", "", "", 404},
		{"language removed", "DELETE", de, "", "", 204},
		{"language with images removed", "DELETE", fr, "", "", 400},
		{"default without its header", "PATCH", branding, "fr", "x", 400},
		{"default", "PATCH", branding, "0", "x", 204},
	} {
		if status, body, _ := item(tc.method, tc.path, tc.kind, tc.body); status != tc.status {
			t.Errorf("%s: status %d, want %d: %v", tc.name, status, tc.status, body)
		}
	}
	if status, body, h := item("GET", app+"/logo", "", ""); status != 200 || body != base64.StdEncoding.EncodeToString([]byte("\x89PNG")) || h["Content-Type"] != "image/png" {
		t.Errorf("logo in a batch: %d %v %v", status, body, h)
	}
	_, o := at.Do("GET", "/v1.0"+app, nil)
	if info, _ := o["info"].(map[string]any); info["logoUrl"] == nil {
		t.Error("a logo without an address")
	}
	for id, status := range map[string]int{"0": 400, "default": 400, "fr-FR": 400, "it-IT": 201} {
		if got, body := at.Do("POST", "/v1.0"+branding+"/localizations", map[string]any{"id": id}); got != status {
			t.Errorf("language %s: status %d, want %d: %v", id, got, status, body)
		} else if got == 201 && body["signInPageText"] != "x" {
			t.Errorf("a new language does not begin as the default: %v", body)
		}
	}
	if got, _ := at.Do("DELETE", "/v1.0"+branding, nil); got < 400 {
		t.Error("the default is removed without a body")
	}
}
