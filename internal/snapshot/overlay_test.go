package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

var (
	drawnTypes = []entra.Type{"group", "part", "user"}
	drawnIDs   = []entra.ID{"1", "1/a", "1/b", "2", "2/a", "é"}
	drawnRels  = []string{"members", "owners"}
)

// refsOf says which IDs a body names: {"refs":[...]}.
func refsOf(o entra.Object) []entra.ID {
	var ids []entra.ID
	refs, _ := o.Body.Get("refs")
	list, _ := refs.([]any)
	for _, id := range list {
		if s, ok := id.(string); ok {
			ids = append(ids, entra.ID(s))
		}
	}
	return ids
}

// container says that a part is contained in the group whose ID it begins with.
func container(r entra.Ref) (entra.Ref, bool) {
	id, _, ok := strings.Cut(string(r.ID), "/")
	return entra.Ref{Type: "group", ID: entra.ID(id)}, ok && r.Type == "part"
}

func drawRef(t *rapid.T) entra.Ref {
	return entra.Ref{Type: rapid.SampledFrom(drawnTypes).Draw(t, "type"), ID: rapid.SampledFrom(drawnIDs).Draw(t, "id")}
}

func drawObject(t *rapid.T) entra.Object {
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom(drawnIDs), 0, 2, rapid.ID[entra.ID]).Draw(t, "refs")
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = string(id)
	}
	body, err := entra.Encode(map[string]any{"refs": list, "v": entra.Number(fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "v")))})
	if err != nil {
		t.Fatal(err)
	}
	return entra.Object{Ref: drawRef(t), Body: body}
}

func drawLink(t *rapid.T) entra.Link {
	return entra.Link{From: drawRef(t), Rel: rapid.SampledFrom(drawnRels).Draw(t, "rel"), To: drawRef(t)}
}

// A world is what a tree is said to hold, kept in the plainest way.
type world struct {
	objects map[entra.Ref]entra.Object
	links   map[entra.Link]bool
	gone    map[entra.Ref]bool
}

func (w world) hidden(r entra.Ref) bool {
	up, ok := container(r)
	return w.gone[r] || ok && w.gone[up]
}

// tree returns what of the world is not hidden.
func (w world) tree(s *snapshot.Snapshot) *snapshot.Memory {
	var objects []entra.Object
	for r, o := range w.objects {
		if !w.hidden(r) {
			objects = append(objects, o)
		}
	}
	var links []entra.Link
	for l := range w.links {
		if !w.hidden(l.From) && !w.hidden(l.To) {
			links = append(links, l)
		}
	}
	return snapshot.NewMemory(s, refsOf, objects, links)
}

// An overlay is the tree that one would have with the changes made.
func TestAnOverlayIsTheChangedTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := world{map[entra.Ref]entra.Object{}, map[entra.Link]bool{}, map[entra.Ref]bool{}}
		for range rapid.IntRange(0, 8).Draw(t, "objects") {
			o := drawObject(t)
			w.objects[o.Ref] = o
		}
		for range rapid.IntRange(0, 8).Draw(t, "links") {
			w.links[drawLink(t)] = true
		}
		under := w.tree(&snapshot.Snapshot{Number: 1})
		over := snapshot.NewOverlay(under, refsOf, container)
		for range rapid.IntRange(0, 12).Draw(t, "changes") {
			switch rapid.IntRange(0, 4).Draw(t, "change") {
			case 0, 1:
				o := drawObject(t)
				delete(w.gone, o.Ref)
				w.objects[o.Ref] = o
				over.Set(o)
			case 2:
				r := drawRef(t)
				w.gone[r] = true
				over.Drop(r)
			case 3:
				l := drawLink(t)
				w.links[l] = true
				over.Link(l)
			case 4:
				l := drawLink(t)
				delete(w.links, l)
				over.Unlink(l)
			}
		}
		want := w.tree(under.Snapshot())
		if d := cmp.Diff(dump(t, want), dump(t, over)); d != "" {
			t.Fatalf("overlay (+) is not the changed tree (-):\n%s", d)
		}
		touched(t, over, under, len(w.gone) > 0)
	})
}

// touched holds Overlay.Touched: no ref where the trees differ is left out.
func touched(t *rapid.T, over *snapshot.Overlay, under snapshot.Tree, hides bool) {
	ctx := context.Background()
	refs, ok := over.Touched(ctx, under)
	if ok == hides {
		t.Fatalf("touched: %t, though something is hidden: %t", ok, hides)
	}
	if _, ok := over.Touched(ctx, over); ok {
		t.Fatal("touched: another tree is taken")
	}
	if hides {
		return
	}
	named := collect(t, refs)
	if !slices.IsSortedFunc(named, entra.Ref.Compare) {
		t.Fatalf("touched: %v", named)
	}
	for _, typ := range drawnTypes {
		for _, id := range drawnIDs {
			r := entra.Ref{Type: typ, ID: id}
			if slices.Contains(named, r) {
				continue
			}
			a, _ := under.Object(ctx, r)
			b, _ := over.Object(ctx, r)
			if a != b || !slices.Equal(starting(t, under, r), starting(t, over, r)) {
				t.Fatalf("%s differs, and is not among the touched %v", r, named)
			}
		}
	}
}

func starting(t *rapid.T, tree snapshot.Tree, r entra.Ref) []entra.Link {
	return slices.DeleteFunc(collect(t, tree.Around(context.Background(), r)), func(l entra.Link) bool { return l.From != r })
}

func collect[T any](t *rapid.T, all iter.Seq2[T, error]) []T {
	var list []T
	for x, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
	return list
}

// dump asks a tree everything, and whether what it yields can be left early.
func dump(t *rapid.T, tree snapshot.Tree) map[string]any {
	ctx := context.Background()
	all := map[string]any{}
	for _, typ := range drawnTypes {
		all["entries "+string(typ)] = collect(t, tree.Entries(ctx, typ))
		for range tree.Entries(ctx, typ) {
			break
		}
		for _, rel := range drawnRels {
			all["links "+string(typ)+" "+rel] = collect(t, tree.Links(ctx, typ, rel))
		}
		for _, id := range drawnIDs {
			r := entra.Ref{Type: typ, ID: id}
			o, err := tree.Object(ctx, r)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			all["object "+r.String()] = o
			all["around "+r.String()] = collect(t, tree.Around(ctx, r))
			for range tree.Around(ctx, r) {
				break
			}
		}
	}
	for _, id := range drawnIDs {
		all["holders "+string(id)] = collect(t, tree.Holders(ctx, id))
	}
	return all
}

// An overlay that could not be made is an error wherever it is read, never an empty tree.
func TestAnOverlayThatFailedYieldsNothing(t *testing.T) {
	o := entra.Object{Ref: entra.Ref{Type: "user", ID: "1"}, Body: `{"refs":["2"]}`}
	l := entra.Link{From: o.Ref, Rel: "members", To: o.Ref}
	under := snapshot.NewMemory(&snapshot.Snapshot{}, refsOf, []entra.Object{o}, []entra.Link{l})
	over := snapshot.NewOverlay(under, refsOf, container)
	over.Set(o)
	broken := errors.New("broken")
	over.Fail(broken)
	ctx := t.Context()
	if _, err := over.Object(ctx, o.Ref); !errors.Is(err, broken) {
		t.Errorf("Object: %v", err)
	}
	refs, ok := over.Touched(ctx, under)
	if !ok {
		t.Fatal("nothing is touched")
	}
	for name, n := range map[string][2]int{
		"Entries": failing(over.Entries(ctx, "user")), "Links": failing(over.Links(ctx, "user", "members")), "Around": failing(over.Around(ctx, o.Ref)),
		"Holders": failing(over.Holders(ctx, "2")), "Touched": failing(refs),
	} {
		if n != [2]int{1, 1} {
			t.Errorf("%s yields %d pairs, %d of them errors", name, n[0], n[1])
		}
	}
}

func failing[T any](all iter.Seq2[T, error]) (n [2]int) {
	for _, err := range all {
		n[0]++
		if err != nil {
			n[1]++
		}
	}
	return n
}
