package snapshot_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// Who forgets to say how much was seen has said that nothing was.
func TestWhatIsNotSaidIsMissed(t *testing.T) {
	var c snapshot.Coverage
	if c != snapshot.Missed || !c.Gap() {
		t.Errorf("the zero coverage is %s", c)
	}
	s := &snapshot.Snapshot{Parts: []snapshot.Part{
		{Type: "group", Coverage: snapshot.Complete},
		{Type: "group", Relation: "owners", Coverage: snapshot.Complete},
		{Type: "user", Relation: "manager", Coverage: snapshot.Complete},
	}}
	for _, p := range s.Parts {
		if d := cmp.Diff(p, s.Part(p.Type, p.Relation)); d != "" {
			t.Error(d)
		}
	}
	for _, p := range []snapshot.Part{{Type: "device"}, {Type: "group", Relation: "members"}, {Type: "user"}, {Type: "user", Relation: "sponsors"}} {
		if d := cmp.Diff(p, s.Part(p.Type, p.Relation)); d != "" {
			t.Errorf("a part that the snapshot does not have: %s", d)
		}
	}
	if d := cmp.Diff(snapshot.Part{Type: "user"}, new(snapshot.Snapshot).Part("user", "")); d != "" {
		t.Error(d)
	}
}

func TestCoveragesAreWords(t *testing.T) {
	gaps := map[snapshot.Coverage]bool{snapshot.Missed: true, snapshot.Denied: true, snapshot.Failed: true, snapshot.Partial: true}
	words := map[string]bool{}
	for c := snapshot.Missed; c <= snapshot.Complete; c++ {
		text, err := c.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again snapshot.Coverage
		if err := again.UnmarshalText(text); err != nil || again != c {
			t.Errorf("%s is read as %s: %v", c, again, err)
		}
		words[string(text)] = true
		if c.Gap() != gaps[c] {
			t.Errorf("%s is a gap: %t", c, c.Gap())
		}
		s := &snapshot.Snapshot{Parts: []snapshot.Part{{Type: "a", Coverage: snapshot.Complete}, {Type: "b", Coverage: c}}}
		if s.Whole() == gaps[c] {
			t.Errorf("with a part that is %s, the snapshot is whole: %t", c, s.Whole())
		}
	}
	if len(words) != int(snapshot.Complete)+1 {
		t.Errorf("%d words for %d coverages", len(words), snapshot.Complete+1)
	}
	for _, word := range []string{"", "COMPLETE", "coverage(9)", "unknown"} {
		c := snapshot.Denied
		if err := c.UnmarshalText([]byte(word)); err == nil || c != snapshot.Denied {
			t.Errorf("%q is read as %s: %v", word, c, err)
		}
	}
}

func TestAskedIsJudgedByTheFirstName(t *testing.T) {
	all, some, none := snapshot.Part{}, snapshot.Part{Asked: []string{"conditions", "displayName"}}, snapshot.Part{Asked: []string{}}
	for path, asked := range map[string]bool{
		"displayName": true, "conditions": true, "conditions.users.includeUsers[8f1c]": true, "conditions[x]": true,
		"display": false, "displayNames": false, "x.displayName": false, "": false,
	} {
		if !all.Asks(path) || some.Asks(path) != asked || none.Asks(path) {
			t.Errorf("%q is asked for by all %t, some %t, none %t", path, all.Asks(path), some.Asks(path), none.Asks(path))
		}
	}
}

func TestPartsAreReadAsTheyWereWritten(t *testing.T) {
	p := snapshot.Part{Type: "user", Relation: "manager", Coverage: snapshot.Partial, Reason: "page 3", Asked: []string{"a"},
		Holes: []entra.Ref{{Type: "user", ID: "a/b"}}, Root: snapshot.Root{1, 31: 2}, Complete: 3, Linked: 1}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again snapshot.Part
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, again); d != "" {
		t.Error(d)
	}
	if !p.Hole(p.Holes[0]) || p.Hole(entra.Ref{Type: "user", ID: "a"}) {
		t.Error("holes are mistaken")
	}
	for _, text := range []string{"", "00", snapshot.ID{}.String() + "00", "zz" + snapshot.ID{}.String()[2:]} {
		var r snapshot.Root
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as a root", text)
		}
	}
}
