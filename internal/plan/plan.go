// Package plan decides which steps bring base to goal.
//
// A plan is a document: a person reads it, approves its digest, and apply does exactly what it says. It
// promises that the same trees and the same request give the same bytes, that nothing outside the scope is
// touched, that nothing is deleted unless the scope says so, that an object is created only where its
// absence is proven, and that what the goal has and no step can bring back is named as a gap. It refuses
// to guess: an ambiguous match is a gap. It reads trees and nothing else.
package plan

import (
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// A Plan is the writes that bring base to goal within a scope. It holds no time and no snapshot's number,
// so that equal states give an equal digest.
type Plan struct {
	Tenant entra.TenantID `json:"tenant"`
	// Base and Goal are hashes over the roots of the parts that the plan used, as 64 hexadecimal digits.
	Base string `json:"base"`
	Goal string `json:"goal"`

	Scope  Scope  `json:"scope"`
	Limits Limits `json:"limits"`
	// Enforce lets re-created policies come back as they were; otherwise they come back report-only.
	Enforce bool `json:"enforce,omitempty"`
	// EnableUsers lets re-created users come back enabled; otherwise they come back disabled.
	EnableUsers bool `json:"enableUsers,omitempty"`
	// RenameTaken lets what comes back and has a name or an address that another took since come back under a free
	// name, without the address.
	RenameTaken bool `json:"renameTaken,omitempty"`
	// NewSecrets lets new credentials be made and handed out in the place of those that cannot come back.
	NewSecrets bool `json:"newSecrets,omitempty"`

	// IDs maps objects as the goal names them to what base calls them, where the two differ: what an
	// earlier restore re-created, and what Match recognised.
	IDs map[entra.Ref]entra.Ref `json:"ids,omitempty"`
	// Values maps what else names those objects and the service chose anew, such as an application's appId,
	// from the goal's value to base's.
	Values map[entra.ID]entra.ID `json:"values,omitempty"`

	Steps []Step `json:"steps"`
	Gaps  []Gap  `json:"gaps"`

	// Unread is what base does not tell and the plan depends on, for a capture that goes after it. It is no part of
	// the document.
	Unread Reach `json:"-"`
}

// A Scope says what to restore. The zero Scope is everything, deleting nothing.
type Scope struct {
	Types []entra.Type `json:"types,omitempty"`
	// Refs selects objects: each with what it contains, its links both ways, every reference to it, and
	// the objects that relate it to another (assignments, grants).
	Refs []entra.Ref `json:"refs,omitempty"`
	// Fields narrows to properties: paths, an element of a set or keyed array in brackets.
	Fields []string `json:"fields,omitempty"`
	// Links narrows to relations, or to one link: "members", "members[ID]".
	Links []string `json:"links,omitempty"`
	// Delete also takes away what the goal does not have.
	Delete bool `json:"delete,omitempty"`
}

// Limits bound what one plan may do; guard holds it to them.
type Limits struct {
	Objects    int `json:"objects"`    // created, undeleted, updated or deleted
	Links      int `json:"links"`      // attached or detached
	Deletions  int `json:"deletions"`  // objects deleted
	Privileged int `json:"privileged"` // steps that touch a privileged role, a role-assignable group, or who holds one
	Approvers  int `json:"approvers"`  // people who must approve
	// Suspect is how much may come back that came up in the goal shortly before it, as a change of high risk.
	Suspect int `json:"suspect,omitempty"`
}

// A Step is one write.
type Step struct {
	Number int    `json:"number"` // from 1; a step comes after those it needs
	Action Action `json:"action"`
	// Ref is the object written: as the goal names it, or, with OfBase, as base does. Of a link, its From.
	Ref    entra.Ref `json:"ref"`
	Name   string    `json:"name,omitempty"` // what a person calls it
	OfBase bool      `json:"ofBase,omitempty"`
	// Set holds the values to write, by path, arrays whole; nil clears. Of an undelete it holds what the object gets in
	// the place of names and addresses that others have. IDs inside are the goal's. Values are
	// those of entra.Decode.
	// Of an issue it holds the credential in whose place a new one is made, as the goal has it, alone in its property.
	Set map[string]any `json:"set,omitempty"`
	// Values holds, by property, the goal's values of what else will name a created object and the service
	// chooses, such as an application's appId. Later steps use them where the object is meant.
	Values map[string]entra.ID `json:"values,omitempty"`
	// Was holds base's values at the paths of Set, with base's IDs: what must still be there.
	// Of an object that an earlier step creates or undeletes it may lack a path: anything can be there.
	Was map[string]any `json:"was,omitempty"`
	// Link is what Attach and Detach write. With OfBase both its ends are base's names.
	Link *entra.Link `json:"link,omitempty"`
	// Replaces is the target that an Attach to a single-valued relation puts aside, as base names it.
	Replaces *entra.Ref `json:"replaces,omitempty"`
	// Version is what Delete and Undelete expect to find; zero otherwise.
	Version entra.Version `json:"version,omitzero"`
	// Asked names the properties that the object of that version has only where they are asked for.
	Asked []string `json:"asked,omitempty"`
	Needs []int    `json:"needs,omitempty"` // numbers of earlier steps
	Why   string   `json:"why"`
}

// An Action says what sort of write a step is.
type Action string

// The actions.
const (
	Create   Action = "create"
	Undelete Action = "undelete"
	Update   Action = "update"
	Attach   Action = "attach"
	Detach   Action = "detach"
	Delete   Action = "delete"
	Issue    Action = "issue"  // make a new credential, and hand its secret out
	Revoke   Action = "revoke" // end the sessions of whoever is signed in as the object
)

// A Gap is something the goal has that no step can bring back, with the reason and the next thing to do.
type Gap struct {
	Ref  entra.Ref `json:"ref"`
	Name string    `json:"name,omitempty"`
	// Field is the path of a property, or several parted by ", "; of a link "REL[ID]"; "" is the object itself.
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
	// Missing is what would have to be there first, where that is the reason: what the property names in the goal and does not
	// exist, the domain of an address, or the object itself, where no restore makes it; else zero.
	Missing entra.Ref `json:"missing,omitzero"`
}
