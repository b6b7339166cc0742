package catalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A Key is a value that only one living object of the tenant can have.
type Key struct {
	Path string   // the property that holds it
	ID   entra.ID // what Tree.Holders finds its holders by: equal for equal keys, whatever their types
}

// Keys returns what no other living object may have that the object has, in the order of its properties. What lies
// in a recycle bin has the keys that it claims when it comes back.
// Source: Microsoft Graph documentation of user, group and application, and of the error ObjectConflict.
func Keys(o entra.Object) []Key {
	r, ok := Lookup(o.Ref.Type)
	if ok && r.Live != "" {
		r, ok = Lookup(r.Live)
	}
	if !ok || r.keys == nil {
		return nil
	}
	return r.keys(o.Body.Decode())
}

// Spares reports whether an undelete can give the property another value than the one that the object had.
func (r *Resource) Spares(property string) bool { return slices.Contains(r.spare, property) }

// Spare returns the nth other value for a key that is taken, from 1: anna-restored@contoso.com.
func Spare(value string, n int) string {
	mark := "-restored"
	if n > 1 {
		mark += strconv.Itoa(n)
	}
	local, domain, address := strings.Cut(value, "@")
	if !address {
		return value + mark
	}
	return local + mark + "@" + domain
}

// key makes a key of a text in a space of names, which the service compares without regard to case; "" is none.
func key(path, space, value string) []Key {
	if value == "" {
		return nil
	}
	return []Key{{path, entra.ID(space + " " + strings.ToLower(value))}}
}

// addresses are the mail addresses of an object: users and groups share them.
func addresses(m map[string]any) (keys []Key) {
	for _, a := range list(m["proxyAddresses"]) {
		s, _ := a.(string)
		if kind, address, ok := strings.Cut(s, ":"); ok && strings.EqualFold(kind, "smtp") {
			keys = append(keys, key("proxyAddresses", "address", address)...)
		}
	}
	return keys
}

func userKeys(m map[string]any) []Key {
	name, _ := m["userPrincipalName"].(string)
	return append(key("userPrincipalName", "userPrincipalName", name), addresses(m)...)
}

// groupKeys: the nickname makes the address of a Microsoft 365 group.
func groupKeys(m map[string]any) (keys []Key) {
	if slices.Contains(list(m["groupTypes"]), any("Unified")) {
		nick, _ := m["mailNickname"].(string)
		keys = key("mailNickname", "mailNickname", nick)
	}
	name, _ := m["uniqueName"].(string)
	return slices.Concat(keys, addresses(m), key("uniqueName", "group uniqueName", name))
}

func appKeys(m map[string]any) []Key {
	name, _ := m["uniqueName"].(string)
	return key("uniqueName", "application uniqueName", name)
}

// reviveUser is what an undelete of a person takes: another name, and leave to drop the addresses that others have.
// Source: Microsoft Graph documentation, "directoryObject: restore".
func reviveUser(set map[string]any) map[string]any {
	body := map[string]any{}
	if name, ok := set["userPrincipalName"]; ok {
		body["newUserPrincipalName"] = name
	}
	if _, ok := set["proxyAddresses"]; ok {
		body["autoReconcileProxyConflict"] = true
	}
	return body
}
