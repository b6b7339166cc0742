package plan_test

import (
	"testing"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// TestMissing holds that a gap says what has to be there first: for people the domain of their address, for what no restore makes
// itself, for what could come back nothing.
func TestMissing(t *testing.T) {
	base, err := parse(`domain/here.example {"isVerified":true,"isInitial":true}
group/g {"displayName":"G","mailNickname":"g","mailEnabled":false,"securityEnabled":true}`)
	if err != nil {
		t.Fatal(err)
	}
	goal, err := parse(`domain/here.example {"isVerified":true,"isInitial":true}
domain/there.example {"isVerified":true}
user/a {"displayName":"A","userPrincipalName":"a@there.example","mailNickname":"a","accountEnabled":true}
user/b {"displayName":"B","userPrincipalName":"b@here.example","mailNickname":"b","accountEnabled":true}
group/g {"displayName":"G","mailNickname":"g","mailEnabled":false,"securityEnabled":true}`)
	if err != nil {
		t.Fatal(err)
	}
	domain := entra.Ref{Type: "domain", ID: "there.example"}
	want := map[entra.Ref]entra.Ref{domain: domain, {Type: "user", ID: "a"}: domain}
	for _, g := range mustMake(t, base, goal, plan.Request{}).Gaps {
		if g.Missing != want[g.Ref] {
			t.Errorf("%s %s (%s) lacks %s, want %s", g.Ref, g.Field, g.Reason, g.Missing, want[g.Ref])
		}
		if g.Missing != (entra.Ref{}) {
			delete(want, g.Ref)
		}
	}
	if len(want) > 0 {
		t.Errorf("no gap for %v", want)
	}
}
