package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tidemark-backup/tidemark/internal/entra"
	"github.com/tidemark-backup/tidemark/internal/index"
	"github.com/tidemark-backup/tidemark/internal/plan"
)

// A selection narrows a command to some of the tenant. Its flags are the same on every command.
type selection struct {
	only, objects, fields, links []string
}

func (x *selection) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&x.only, "only", nil, "only objects of these types")
	f.StringArrayVar(&x.objects, "object", nil, "only this object, its links and what refers to it: TYPE/ID, TYPE:NAME or a UPN (repeatable)")
	f.StringArrayVar(&x.fields, "field", nil, "only this property, such as state or conditions.users.excludeGroups[ID] (repeatable)")
	f.StringArrayVar(&x.links, "link", nil, "only this relation, such as members or members[ID] (repeatable)")
	completeTypes(c, "only")
}

// completeTypes offers the catalog's types for a flag's value.
func completeTypes(c *cobra.Command, flag string) {
	_ = c.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for t := range typeNames() {
			names = append(names, t)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}) // fails only for a flag that does not exist
}

// scope resolves the selection, names as snapshot at has them; 0 is any.
func (x *selection) scope(ctx context.Context, s *session, at int64) (plan.Scope, error) {
	types, err := parseTypes(x.only)
	if err != nil {
		return plan.Scope{}, err
	}
	scope := plan.Scope{Types: types, Fields: x.fields, Links: x.links}
	for _, name := range x.objects {
		ref, err := s.object(ctx, name, at)
		if err != nil {
			return plan.Scope{}, err
		}
		scope.Refs = append(scope.Refs, ref)
	}
	return scope, nil
}

// names says what objects of some trees are called; it is what words asks.
type names struct {
	ctx   context.Context
	trees []*index.Tree
}

// Name implements words.Namer.
func (n names) Name(ref entra.Ref) (string, bool) {
	for _, t := range n.trees {
		if name, err := t.Name(n.ctx, ref); err == nil && name != "" {
			return name, true
		}
	}
	return "", false
}

// Object gives words the ends of a link or an assignment.
func (n names) Object(ref entra.Ref) (entra.Object, bool) {
	for _, t := range n.trees {
		if o, err := t.Object(n.ctx, ref); err == nil {
			return o, true
		}
	}
	return entra.Object{}, false
}

// Find implements words.Namer.
func (n names) Find(id entra.ID, types []entra.Type, by string) (entra.Ref, string, bool) {
	for _, of := range types {
		if by == "" {
			ref := entra.Ref{Type: of, ID: id}
			if name, ok := n.Name(ref); ok {
				return ref, name, true
			}
			continue
		}
		for _, t := range n.trees {
			found, err := t.Find(n.ctx, index.Query{Text: string(id), Type: of, Max: 4})
			if err != nil {
				continue
			}
			for _, f := range found {
				if o, err := t.Object(n.ctx, f.Ref); err == nil {
					if v, _ := o.Body.Get(by); v == string(id) {
						return f.Ref, f.Name, true
					}
				}
			}
		}
	}
	return entra.Ref{}, "", false
}
