package bucket_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/tidemark-backup/tidemark/internal/store"
	"github.com/tidemark-backup/tidemark/internal/store/bucket"
	"github.com/tidemark-backup/tidemark/internal/store/storetest"
)

func TestS3(t *testing.T) { run(t, storetest.S3(t)) }

func TestAzureBlob(t *testing.T) { run(t, storetest.Azure(t)) }

// run holds a store to its promises, each under a prefix of its own.
func run(t *testing.T, place string) {
	storetest.Run(t, func(t *testing.T) store.Store {
		u, err := url.Parse(strings.Replace(place, "{name}", "a/"+strings.ToLower(rand.Text()), 1))
		if err != nil {
			t.Fatal(err)
		}
		s, err := bucket.Open(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

// Places that no bucket can be.
func TestOpenRefuses(t *testing.T) {
	for _, place := range []string{"s3://", "s3://user:secret@bucket", "s3://bucket/A", "s3://bucket/.hidden", "s3://bucket?what=this", "azblob://container#x"} {
		u, err := url.Parse(place)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := bucket.Open(t.Context(), u); err == nil || s != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", place, err)
		}
	}
}
