package catalog

// Shapes says which hooks a declaration has: what they do needs a case in a table, the rest follows from the declaration.
func Shapes(r *Resource) (reads, creates, updates bool) {
	return r.read != nil, r.create != nil, r.update != nil
}
