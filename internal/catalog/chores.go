package catalog

import "github.com/tidemark-backup/tidemark/internal/entra"

// A Chore is a kind of work after which what a restore leaves out is there, and that only a person can do.
type Chore struct {
	Name  string // as data
	Title string // for people
	Do    string // what has to be done
}

// The chores that declarations and reasons name.
const (
	OnPremises = "onPremises"

	inDNS           = "domains"
	federating      = "federation"
	defining        = "attributes"
	byOthers        = "applications"
	newSecrets      = "secrets"
	newCertificates = "certificates"
	newPasswords    = "passwords"
	agreements      = "agreements"
)

// Chores returns all of them, in the order in which they are best done. Each call returns a new slice.
func Chores() []Chore {
	return []Chore{
		{inDNS, "Domains and DNS", "take each domain out of the tenant that has it, add it here, prove it in DNS and point mail to it; or map it to a domain that is here (--map-domain); then restore this again, for those who have their address in it"},
		{OnPremises, "Directory synchronisation", "have synchronisation bring them into this tenant; then restore this again, for what they had here"},
		{federating, "Federation", "set it up anew, at the identity provider as well, which has to know this tenant"},
		{defining, "Custom security attributes", "define them here under the same names, which nobody can take back; then restore this again, for their values"},
		{byOthers, "Applications that others make", "a managed identity comes with its resource in Azure, an agent with its blueprint, an application of another company from the gallery or with consent to it; then restore this again, for what it had"},
		{newSecrets, "Secrets", "make new ones (--new-secrets makes those of applications) and give them to whoever uses them; those of other providers come from there"},
		{newCertificates, "Certificates", "make new ones, or upload them with their private keys, and tell whoever trusts them"},
		{newPasswords, "Passwords of people", "hand out new ones, or temporary access passes, and enable the accounts (--enable-users)"},
		{agreements, "Agreements with other tenants", "have them made anew: the other side has to agree to this tenant"},
	}
}

// ByHand names the chore after which what is left out of an object of a type can be there, "" where there is none: what is missing,
// if that is known, or else the property at the path. why is the reason that was given.
func ByHand(of, missing entra.Type, path, why string) string {
	if Mastered(why) {
		return OnPremises
	}
	// What could be made is no work for a person, unless it is what was refused.
	if r, ok := Lookup(missing); ok && r.Chore != "" && (!r.Can.Has(Create) || missing == of && path == "") {
		return r.Chore
	}
	r, ok := Lookup(of)
	if !ok {
		return ""
	}
	p, ok := r.Property(path)
	switch {
	case !ok:
		return ""
	case p.Fresh || p.Lift == "enable-users":
		return newPasswords
	case p.Issue == Certificate:
		return newCertificates
	case p.Secret:
		return newSecrets
	}
	return ""
}
