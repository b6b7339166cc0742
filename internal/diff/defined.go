package diff

import (
	"context"

	"github.com/tidemark-backup/tidemark/internal/catalog"
	"github.com/tidemark-backup/tidemark/internal/entra"
)

// undefined reports whether the earlier tree proves that nobody had a property, by its later name, for which it did
// not ask: the later tree has what defines it, and the earlier one knows that it was not there.
func (c *comparison) undefined(ctx context.Context, property string) (bool, error) {
	if _, _, ok := catalog.Extension(property); !ok {
		return false, nil
	}
	if c.defined == nil {
		c.defined = map[string]entra.Ref{}
		for r := range catalog.All() {
			if !catalog.Defines(r.Type) {
				continue
			}
			for e, err := range c.after.Entries(ctx, r.Type) {
				if err != nil {
					return false, err
				}
				o, err := c.after.Object(ctx, e.Ref)
				if err != nil {
					return false, err
				}
				for _, by := range catalog.Naming(r.Type) {
					name, _ := o.Body.Get(by)
					if name, ok := name.(string); ok {
						c.defined[name] = e.Ref
					}
				}
			}
		}
	}
	r, ok := c.defined[property]
	if !ok {
		return false, nil
	}
	r = c.earlier(r)
	has, err := fetch(ctx, c.before, []entra.Ref{r})
	return err == nil && has[r] == nil && c.before.Snapshot().Knows(r), err
}
