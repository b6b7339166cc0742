package repository

import "context"

// AppendAll appends a record with a blob for each of the data, which goes to a list where they are many. Outside of tests
// only snapshots of more than a GiB have so many.
func (r *Repository) AppendAll(ctx context.Context, kind Kind, parent int64, data ...[]byte) (Record, error) {
	rec := Record{Kind: kind, Parent: parent}
	for _, d := range data {
		b, err := r.sealData(ctx, d)
		if err != nil {
			return Record{}, err
		}
		rec.Blobs = append(rec.Blobs, b)
	}
	return r.commit(ctx, rec, nil)
}
