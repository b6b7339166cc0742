package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/graph"
	"github.com/tidemark-backup/tidemark/internal/snapshot"
)

// extensions are the properties that applications have added to the objects of a tenant. Their values come only where
// they are asked for by name, so the names are read first.
type extensions struct {
	names map[entra.Type][]string
	gone  map[entra.Type][]string // that the parent asked for and the tenant has no more: known to be absent, unasked
	fault error                   // why names are not known, if so
}

// discover reads which properties there are. That it cannot is no fault of any part: what is not asked for is
// unknown, and stays as it was.
func (rd *reading) discover(ctx context.Context) error {
	found := map[string]bool{}
	rd.extensions.names, rd.extensions.gone = map[entra.Type][]string{}, map[entra.Type][]string{}
	take := func(d catalog.Definition) {
		if d.Name == "" || found[d.Name] {
			return
		}
		found[d.Name] = true
		for _, t := range d.Of {
			rd.extensions.names[t] = append(rd.extensions.names[t], d.Name)
		}
	}
	read := func(call catalog.Call) error {
		return rd.pages(ctx, call, func(page graph.Page) error {
			for _, item := range page.Items {
				d, err := catalog.Define(item)
				if err != nil {
					return err
				}
				take(d)
			}
			return nil
		})
	}
	err := read(catalog.Definitions())
	all := err == nil && len(found) > 0
	own := map[entra.ID]bool{} // applications whose definitions are all known
	if !all {
		// An empty list means nothing in a large tenant; what the tenant's own applications define they say.
		err = rd.pages(ctx, catalog.Definers(), func(page graph.Page) error {
			for _, item := range page.Items {
				app, defines, more, err := catalog.Definer(item)
				if err == nil && more.Path != "" {
					err = read(more)
				}
				if err != nil {
					return err
				}
				for _, d := range defines {
					take(d)
				}
				own[app] = true
			}
			return nil
		})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		rd.extensions.names = nil
		rd.extensions.fault = fmt.Errorf("the values of directory extensions are not known, since their names could not be read: %w", err)
		return nil
	}
	return rd.bygone(ctx, func(app entra.ID) (bool, error) {
		if all || own[app] {
			return true, nil
		}
		// What an application without a service principal defines cannot be seen.
		_, err := rd.client.Do(ctx, request(catalog.Consented(app)))
		return errors.Is(err, fs.ErrNotExist), ctx.Err()
	})
}

// bygone finds the names that the parent asked for and that are proven not to be there any more. over reports whether
// an application defines nothing but what was found.
func (rd *reading) bygone(ctx context.Context, over func(entra.ID) (bool, error)) error {
	if rd.parent == nil {
		return nil
	}
	whole := map[entra.ID]bool{}
	for r := range catalog.All() {
		if r.Extended == "" {
			continue
		}
		for _, name := range properties(rd.parent.Part(r.Type, "")) {
			app, _, ok := catalog.Extension(name)
			if !ok || slices.Contains(rd.extensions.names[r.Type], name) {
				continue
			}
			if _, asked := whole[app]; !asked {
				is, err := over(app)
				if err != nil {
					return err
				}
				whole[app] = is
			}
			if whole[app] {
				rd.extensions.gone[r.Type] = append(rd.extensions.gone[r.Type], name)
			}
		}
	}
	return ctx.Err()
}

// extended returns a declaration with what the tenant's applications have added to it.
func (rd *reading) extended(r *catalog.Resource) *catalog.Resource {
	return r.With(rd.extensions.names[r.Type]...)
}

// properties returns the properties that a part knows of by their names.
func properties(p snapshot.Part) []string { return slices.Concat(p.Asked, p.Absent) }

// absences returns the properties of a type of which the service says that nobody can have them any more, ascending.
func (rd *reading) absences(r *catalog.Resource) []string {
	return slices.Compact(slices.Sorted(slices.Values(rd.extensions.gone[r.Type])))
}

// plain reports whether a listing was refused for what it asks for, which can be a name that has gone since it was
// read; without names of extensions it may be taken.
func plain(r *catalog.Resource, err error) (*catalog.Resource, bool) {
	refused, ok := errors.AsType[*graph.Error](err)
	declared, _ := catalog.Lookup(r.Type)
	return declared, ok && refused.Status == http.StatusBadRequest && r != declared
}
