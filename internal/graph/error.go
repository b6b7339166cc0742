package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

var (
	// ErrUnknownOutcome marks a write that may or may not have taken effect: the connection broke, time ran
	// out, or the answer could not be read. Only reading tells.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrExpiredPage marks a listing whose page token the service no longer accepts
	// (Directory_ExpiredPageToken). Asking again for the same page is of no use: what was read is to be
	// discarded and the listing started anew.
	ErrExpiredPage = errors.New("page token expired")
	// ErrMiscounted marks a listing that does not have as many items as the service counted. It may have changed
	// while it was read: only if it is so again is something left out.
	ErrMiscounted = errors.New("other than as many items as counted")
	// ErrDeltaReset marks a delta link that the service no longer accepts (status 410, or the codes
	// syncStateNotFound and resyncRequired, or a token it calls badly formed). A full reading is due.
	ErrDeltaReset = errors.New("delta state is gone")
)

// An Error is a refusal by the service: an answer with a status of 400 or more.
type Error struct {
	Method, Path string        // of the request, without version and query
	Page         int           // of a listing, 1-based; 0 outside listings
	Status       int           // HTTP status
	Code         string        // as sent: may be empty, "UnknownError", or say less than the status
	Message      string        // printable, at most 300 runes; for people, not for decisions
	RequestID    string        // the service's name for the request, else ours
	RetryAfter   time.Duration // as understood; 0 if the service gave none
	At           time.Time     // when the answer came, by our clock; zero for a refusal by the authority
	Inner        []string      // codes of details and of nested inner errors, outermost first

	unknown bool // the request was a write and may have had effect
}

// Error says what was refused, where, and how the service named it.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", e.Method, e.Path)
	if e.Page > 0 {
		fmt.Fprintf(&b, "page %d: ", e.Page)
	}
	fmt.Fprintf(&b, "%d", e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	} else if text := http.StatusText(e.Status); text != "" {
		b.WriteString(" " + text)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.unknown {
		b.WriteString(": " + ErrUnknownOutcome.Error())
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

// Is makes errors.Is work with fs.ErrNotExist (404), fs.ErrPermission (403, and 401 after a refreshed token),
// fs.ErrExist (409, and the spellings of "already exists" under status 400), [ErrExpiredPage], [ErrDeltaReset]
// and [ErrUnknownOutcome].
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Status == http.StatusNotFound
	case fs.ErrPermission:
		return e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized
	case fs.ErrExist:
		return e.exists()
	case ErrExpiredPage:
		return e.has("Directory_ExpiredPageToken")
	case ErrDeltaReset:
		return e.deltaReset()
	case ErrUnknownOutcome:
		return e.unknown
	}
	return false
}

func (e *Error) has(codes ...string) bool {
	for _, code := range codes {
		same := func(s string) bool { return strings.EqualFold(s, code) }
		if same(e.Code) || slices.ContainsFunc(e.Inner, same) {
			return true
		}
	}
	return false
}

// crossed reports that the service did not act because another write came in between, and asks to be asked again.
func (e *Error) crossed() bool {
	return e.Status == http.StatusConflict && e.has("Directory_ConcurrencyViolation")
}

// exists knows the one thing for which the service has no code of its own: Microsoft Graph documentation
// promises only the text of these refusals.
func (e *Error) exists() bool {
	switch e.Status {
	case http.StatusConflict:
		return !e.crossed()
	case http.StatusBadRequest:
		if e.has("ObjectConflict", "RoleAssignmentExists") { // the latter of schedules
			return true
		}
		for _, text := range []string{
			"One or more added object references already exist",
			"Another object with the same value for property",
			"Permission being assigned already exists on the object",
			"An extension property exists with the name",
			"A conflicting object with one or more of the specified property values is present",
		} {
			if strings.HasPrefix(e.Message, text) {
				return true
			}
		}
	}
	return false
}

func (e *Error) deltaReset() bool {
	if e.Status == http.StatusGone {
		return true
	}
	if e.Status < 400 || e.Status >= 500 {
		return false
	}
	if e.has("syncStateNotFound", "syncStateInvalid", "resyncRequired", "resyncChangesApplyDifferences", "resyncChangesUploadDifferences") {
		return true
	}
	text := strings.ToLower(e.Message)
	return e.Status == http.StatusBadRequest &&
		(strings.Contains(text, "badly formed token") || strings.Contains(text, "deltatoken") || strings.Contains(text, "delta token") || strings.Contains(text, "deltalink"))
}

// A ProtocolError is an answer that breaks the protocol: what it carried was not used.
type ProtocolError struct {
	Endpoint string // method and path of the request: "GET /groups"
	Page     int    // of a listing, 1-based; 0 outside listings
	Reason   string // what is wrong, without any text of the answer

	miscounted bool
}

// Is makes errors.Is work with [ErrMiscounted].
func (e *ProtocolError) Is(target error) bool { return target == ErrMiscounted && e.miscounted }

// Error says which answer was refused, and why.
func (e *ProtocolError) Error() string {
	if e.Page > 0 {
		return fmt.Sprintf("%s: page %d: answer refused: %s", e.Endpoint, e.Page, e.Reason)
	}
	return fmt.Sprintf("%s: answer refused: %s", e.Endpoint, e.Reason)
}

// A ConnectionError is a request to which no usable answer came: the connection broke or never came about, or time
// ran out.
type ConnectionError struct {
	Endpoint string // method and path of the request: "GET /groups"
	Page     int    // of a listing, 1-based; 0 outside listings
	Err      error  // what happened
}

// Error says which request it was, and what happened.
func (e *ConnectionError) Error() string {
	if e.Page > 0 {
		return fmt.Sprintf("%s: page %d: %v", e.Endpoint, e.Page, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Endpoint, e.Err)
}

// Unwrap returns what happened.
func (e *ConnectionError) Unwrap() error { return e.Err }

// fill reads the envelope of a refusal into e. It accepts the documented shape, the legacy "odata.error", the
// shape of the token endpoint, and anything else, since gateways answer in HTML.
func (e *Error) fill(body []byte) {
	var top map[string]any
	if json.Unmarshal(body, &top) != nil {
		return
	}
	inner, ok := member(top, "error").(map[string]any)
	if !ok {
		inner, ok = member(top, "odata.error").(map[string]any)
	}
	if !ok {
		e.Code = text(member(top, "error"))
		e.Message = printable(text(member(top, "error_description")))
		codes, _ := member(top, "error_codes").([]any)
		for _, c := range codes[:min(len(codes), 8)] {
			e.addInner("AADSTS" + text(c))
		}
		return
	}
	e.Code = text(member(inner, "code"))
	if m, ok := member(inner, "message").(map[string]any); ok {
		e.Message = printable(text(member(m, "value")))
	} else {
		e.Message = printable(text(member(inner, "message")))
	}
	e.RequestID = orDefault(e.RequestID, text(member(inner, "requestId")))
	details, _ := member(inner, "details").([]any)
	for _, d := range details[:min(len(details), 8)] {
		if d, ok := d.(map[string]any); ok {
			e.addInner(text(member(d, "code")))
		}
	}
	for range 8 {
		if inner, ok = member(inner, "innererror").(map[string]any); !ok {
			break
		}
		e.addInner(text(member(inner, "code")))
		e.RequestID = orDefault(e.RequestID, text(member(inner, "request-id")))
	}
}

func (e *Error) addInner(code string) {
	if code != "" && code != "AADSTS" && len(e.Inner) < 16 {
		e.Inner = append(e.Inner, code)
	}
}

// member finds a name as the service spells it today or another day: "innerError" and "innererror" both occur.
// An exact match wins; otherwise the first name in order does, so that the answer does not depend on chance.
func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	found := ""
	for k := range m {
		if strings.EqualFold(k, name) && (found == "" || k < found) {
			found = k
		}
	}
	return m[found]
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return cut(strip(v), 1000)
	case float64:
		return fmt.Sprintf("%.0f", v)
	}
	return ""
}

// printable makes text of the service harmless in a log or on a terminal, and short.
func printable(s string) string { return cut(strip(s), 300) }

func strip(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
			b.WriteByte(' ')
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
		default:
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func cut(s string, runes int) string {
	n := 0
	for i := range s {
		if n == runes {
			return s[:i]
		}
		n++
	}
	return s
}
