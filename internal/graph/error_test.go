package graph_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/graph"
)

// refusal is what a client makes of an answer with a status of 400.
func refusal(t *testing.T, body string, headers ...string) *graph.Error {
	t.Helper()
	_, err := client(t, always(func() *http.Response { return reply(400, body, headers...) }), graph.Options{}).Do(t.Context(), graph.Request{Method: "POST", Path: "/groups", Body: []byte(`{}`)})
	var e *graph.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v", err, err)
	}
	return e
}

func TestEnvelopesOfErrors(t *testing.T) {
	for name, row := range map[string]struct {
		body, code, message, request string
		inner                        []string
	}{
		"documented":    {`{"error":{"code":"Request_BadRequest","message":"No.","innerError":{"date":"2025-02-13T10:17:06","request-id":"r2","client-request-id":"r3"}}}`, "Request_BadRequest", "No.", "4f1c", nil},
		"innererror":    {`{"error":{"code":"a","message":"b","innererror":{"code":"c","innererror":{"code":"d","innerError":{"code":"e"}}}}}`, "a", "b", "4f1c", []string{"c", "d", "e"}},
		"details":       {`{"error":{"code":"a","message":"b","details":[{"code":"ObjectConflict","target":"x"},{"code":"y"},3],"innerError":{"code":"z"}}}`, "a", "b", "4f1c", []string{"ObjectConflict", "y", "z"}},
		"empty code":    {`{"error":{"code":"","message":""}}`, "", "", "4f1c", nil},
		"legacy":        {`{"odata.error":{"code":"Request_BadRequest","message":{"lang":"en","value":"No."},"requestId":"x","date":"d"}}`, "Request_BadRequest", "No.", "4f1c", nil},
		"token":         {`{"error":"invalid_client","error_description":"AADSTS7000215: Bad.\r\nTrace ID: t","error_codes":[7000215]}`, "invalid_client", "AADSTS7000215: Bad. Trace ID: t", "4f1c", []string{"AADSTS7000215"}},
		"html":          {`<html>no</html>`, "", "", "4f1c", nil},
		"empty":         {``, "", "", "4f1c", nil},
		"array":         {`[]`, "", "", "4f1c", nil},
		"null":          {`{"error":null}`, "", "", "4f1c", nil},
		"wrong types":   {`{"error":{"code":400,"message":["x"],"details":{},"innerError":7}}`, "400", "", "4f1c", nil},
		"Error":         {`{"Error":{"Code":"a","Message":"b"}}`, "a", "b", "4f1c", nil},
		"control":       {`{"error":{"code":"a\u001b[31m","message":"x\u001b]8;;http://evil\u0007y\u202ez\u200b\r\nw"}}`, "a[31m", "x]8;;http://evilyz w", "4f1c", nil},
		"deeply nested": {`{"error":{"code":"a","innerError":` + strings.Repeat(`{"code":"x","innerError":`, 50) + `{}` + strings.Repeat(`}`, 50) + `}}`, "a", "", "4f1c", []string{"x", "x", "x", "x", "x", "x", "x", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := refusal(t, row.body)
			if e.Code != row.code || e.Message != row.message || e.RequestID != row.request || !cmp.Equal(e.Inner, row.inner) || e.At.IsZero() {
				t.Errorf("%#v", e)
			}
		})
	}
	if e := refusal(t, `{"error":{"innerError":{"request-id":"r2"}}}`, "Request-Id", ""); e.RequestID != "r2" {
		t.Errorf("%#v", e)
	}
}

func TestWhatIsAnError(t *testing.T) {
	for message, want := range map[string]bool{
		"One or more added object references already exist for the following modified properties: 'members'.": true,
		"Another object with the same value for property userPrincipalName already exists.":                   true,
		"Permission being assigned already exists on the object":                                              true,
		"A conflicting object with one or more of the specified property values is present in the directory.": true,
		"Not so: One or more added object references already exist":                                           false,
		"Something already exists": false,
		"":                         false,
	} {
		if got := errors.Is(refusal(t, fmt.Sprintf(`{"error":{"code":"Request_BadRequest","message":%q}}`, message)), fs.ErrExist); got != want {
			t.Errorf("%q: exists is %t", message, got)
		}
	}
	if !errors.Is(refusal(t, `{"error":{"code":"x","details":[{"code":"ObjectConflict"}]}}`), fs.ErrExist) {
		t.Error("a conflict in the details")
	}
	if !errors.Is(&graph.Error{Status: 400, Code: "RoleAssignmentExists"}, fs.ErrExist) {
		t.Error("a schedule that is there")
	}
	busy := &graph.Error{Status: 409, Code: "Directory_ConcurrencyViolation"}
	if errors.Is(busy, fs.ErrExist) {
		t.Error("a concurrent write is not an existing object")
	}
	if errors.Is(&graph.Error{Status: 503, Code: "syncStateNotFound"}, graph.ErrDeltaReset) {
		t.Error("a failing service does not reset a delta")
	}
}

// A law: whatever the service writes, the message is one short printable line.
func TestMessagesArePrintable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		message := rapid.OneOf(rapid.String(), rapid.StringN(200, 400, -1), rapid.SampledFrom([]string{"\u2028x", "\u009b31m", "a\x00b", "\U000e0001"})).Draw(rt, "message")
		q, err := jsonString(message)
		if err != nil {
			rt.Skip(err)
		}
		e := refusal(t, `{"error":{"code":`+q+`,"message":`+q+`}}`)
		if n := utf8.RuneCountInString(e.Message); n > 300 {
			rt.Fatalf("%d runes", n)
		}
		for _, r := range e.Error() {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
				rt.Fatalf("%U in %q", r, e.Error())
			}
		}
	})
}
