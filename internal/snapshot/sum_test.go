package snapshot_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// TestASumIsThatOfWhatIsInIt: in whatever order things come and go, what is left decides.
func TestASumIsThatOfWhatIsInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var came, left snapshot.Sum
		adder := snapshot.NewAdder(came)
		links, entries := map[entra.Link]bool{}, map[entra.Ref]entra.Version{}
		for range rapid.IntRange(0, 30).Draw(t, "changes") {
			if rapid.Bool().Draw(t, "a link") {
				l := drawLink(t)
				if links[l] {
					came.SubLink(l)
					adder.SubLink(l)
				} else {
					came.AddLink(l)
					adder.AddLink(l)
				}
				links[l] = !links[l]
				continue
			}
			o := drawObject(t)
			if v, ok := entries[o.Ref]; ok {
				came.SubEntry(o.Ref, v)
				adder.SubEntry(o.Ref, v)
			}
			came.AddEntry(o.Ref, o.Version())
			adder.AddEntry(o.Ref, o.Version())
			entries[o.Ref] = o.Version()
		}
		for l, there := range links {
			if there {
				left.AddLink(l)
			}
		}
		for r, v := range entries {
			left.AddEntry(r, v)
		}
		if came != left || came.Root() != left.Root() {
			t.Fatalf("%v and %v have different sums", links, entries)
		}
		if *adder.Sum() != came {
			t.Fatalf("%v and %v: another sum where four are hashed at a time", links, entries)
		}
		if again, ok := snapshot.SumOf(came.Bytes()); !ok || again != came {
			t.Fatal("a sum does not come back from its bytes")
		}
		more := drawLink(t)
		if left.AddLink(more); left.Root() == came.Root() {
			t.Fatal("one more link makes no difference")
		}
	})
	if _, ok := snapshot.SumOf(make([]byte, 511)); ok {
		t.Error("511 bytes are taken for a sum")
	}
}

// TestLongTextsAddUpTheSame: a text that fills a block to the last byte, one that does not fit, and many that wait together.
func TestLongTextsAddUpTheSame(t *testing.T) {
	var one snapshot.Sum
	many := snapshot.NewAdder(one)
	lengths := 0
	for n := 1; n < 300; n++ {
		l := entra.Link{From: entra.Ref{Type: "group", ID: entra.ID(strings.Repeat("x", n))}, Rel: "members", To: entra.Ref{Type: "user", ID: "y"}}
		one.AddLink(l)
		many.AddLink(l)
		if n%7 == 0 {
			one.SubLink(l)
			many.SubLink(l)
		}
		if n%3 == 0 && *many.Sum() != one {
			t.Fatalf("after a text of %d bytes more the sums differ", n)
		}
		lengths++
	}
	if lengths == 0 || *many.Sum() != one {
		t.Error("the sums differ")
	}
}

// BenchmarkSum is what one more link costs.
func BenchmarkSum(b *testing.B) {
	var s snapshot.Sum
	l := entra.Link{From: entra.Ref{Type: "group", ID: "8b4f2c9e-6f0a-4e3b-9a51-2f6b1d0c7e11"}, Rel: "members", To: entra.Ref{Type: "user", ID: "1c0f2c9e-6f0a-4e3b-9a51-2f6b1d0c7e77"}}
	for b.Loop() {
		s.AddLink(l)
	}
}

// BenchmarkAdder is the same where there are many.
func BenchmarkAdder(b *testing.B) {
	a := snapshot.NewAdder(snapshot.Sum{})
	l := entra.Link{From: entra.Ref{Type: "group", ID: "8b4f2c9e-6f0a-4e3b-9a51-2f6b1d0c7e11"}, Rel: "members", To: entra.Ref{Type: "user", ID: "1c0f2c9e-6f0a-4e3b-9a51-2f6b1d0c7e77"}}
	for b.Loop() {
		a.AddLink(l)
	}
}
