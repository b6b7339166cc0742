package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	upload "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/tidemark-backup/tidemark/internal/store"
)

// lockDays is the parameter of a place whose blobs are locked for so many days.
const lockDays = "lock_days"

// mostDays is the longest lock, a hundred years: S3's own limit.
const mostDays = 36500

// A Locking store is a store.Locker: a bucket with object lock, whose blobs nobody can take away before a time, the owner of
// the account included (compliance mode; Amazon S3 documentation, "Locking objects with Object Lock").
type Locking struct {
	*Store
	client *s3.Client
	bucket string
	prefix string
	days   int
	now    func() time.Time
}

// locked takes the lock's parameter out of a URL; 0 for none.
func locked(u *url.URL) (int, error) {
	q := u.Query()
	if !q.Has(lockDays) {
		return 0, nil
	}
	n, err := strconv.Atoi(q.Get(lockDays))
	if err != nil || n < 1 || n > mostDays || u.Scheme != "s3" {
		return 0, fmt.Errorf("open %s: %s is a number of days from 1 to %d, and for s3:// only: %w", u.Redacted(), lockDays, mostDays, fs.ErrInvalid)
	}
	q.Del(lockDays)
	u.RawQuery = q.Encode()
	return n, nil
}

// Days is for how many days what is put is locked, and is to be locked again and again.
func (s *Locking) Days() int { return s.days }

// lock has what is put locked from the beginning.
func (s *Locking) lock(as func(any) bool) error {
	var in *transfermanager.UploadObjectInput
	if !as(&in) {
		return fmt.Errorf("the lock cannot be set: %w", fs.ErrInvalid)
	}
	in.ObjectLockMode = upload.ObjectLockModeCompliance
	in.ObjectLockRetainUntilDate = aws.Time(s.now().AddDate(0, 0, s.days))
	return nil
}

// Put implements store.Store. Where somebody deleted the name, which only hides what is locked, some services take it for
// taken all the same: then what lies there is shown again.
func (s *Locking) Put(ctx context.Context, name string, r io.Reader) error {
	err := s.Store.Put(ctx, name, r)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, look := s.head(ctx, "look at", name); !errors.Is(look, fs.ErrNotExist) {
		return err
	}
	key := s.prefix + name
	out, look := s.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &key})
	if look != nil {
		return s.sdk(ctx, "look at the versions of", name, look)
	}
	for _, m := range out.DeleteMarkers {
		if aws.ToString(m.Key) != key {
			continue
		}
		if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key, VersionId: m.VersionId}); err != nil {
			return s.sdk(ctx, "show", name, err)
		}
	}
	return err
}

// head asks for what the service says of a blob.
func (s *Locking) head(ctx context.Context, op, name string) (*s3.HeadObjectOutput, error) {
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String(s.prefix + name)})
	if err != nil {
		return nil, s.sdk(ctx, op, name, err)
	}
	return out, nil
}

// Until implements store.Locker. What the owner of the account can lift is no lock.
func (s *Locking) Until(ctx context.Context, name string) (time.Time, error) {
	out, err := s.head(ctx, "look at the lock of", name)
	if err != nil || out.ObjectLockMode != types.ObjectLockModeCompliance || out.ObjectLockRetainUntilDate == nil {
		return time.Time{}, err
	}
	return *out.ObjectLockRetainUntilDate, nil
}

// Lock implements store.Locker.
func (s *Locking) Lock(ctx context.Context, name string, until time.Time) error {
	out, err := s.head(ctx, "lock", name)
	if err != nil {
		return err
	}
	if was := out.ObjectLockRetainUntilDate; out.ObjectLockMode == types.ObjectLockModeCompliance && was != nil && !was.Before(until) {
		return nil
	}
	_, err = s.client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &s.bucket, Key: aws.String(s.prefix + name), VersionId: out.VersionId,
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: &until}})
	if err != nil {
		return s.sdk(ctx, "lock", name, err)
	}
	return nil
}

// Remove implements store.Remover. A deletion of the name alone would succeed and only hide what the lock keeps, so the very
// version is deleted.
func (s *Locking) Remove(ctx context.Context, name string) error {
	out, err := s.head(ctx, "remove", name)
	if err != nil {
		return err
	}
	if until := out.ObjectLockRetainUntilDate; until != nil && until.After(s.now()) {
		return fmt.Errorf("remove %s: it is locked until %s: %w", name, until.UTC().Format(time.RFC3339), fs.ErrPermission)
	}
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String(s.prefix + name), VersionId: out.VersionId}); err != nil {
		return s.sdk(ctx, "remove", name, err)
	}
	return nil
}
