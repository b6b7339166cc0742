package storetest

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// S3 runs an S3 server on this machine until the test ends, and returns the URL of a bucket in it, in which {name} stands
// for a prefix. Its credentials are in the environment.
func S3(t *testing.T) string {
	t.Helper()
	dir, at := t.TempDir(), free(t)
	if err := os.MkdirAll(filepath.Join(dir, "root", "tidemark"), 0o700); err != nil { // a folder's folders are its buckets
		t.Fatal(err)
	}
	serve(t, dir, at, "versitygw", "--port", at, "posix", "root")
	t.Setenv("AWS_ACCESS_KEY_ID", "tidemark")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "tidemark-secret")
	return "s3://tidemark/{name}?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape("http://"+at)
}

// LockedS3 is as S3, with a bucket that has object lock.
func LockedS3(t *testing.T) string {
	t.Helper()
	dir, at := t.TempDir(), free(t)
	if err := os.Mkdir(filepath.Join(dir, "root"), 0o700); err != nil {
		t.Fatal(err)
	}
	serve(t, dir, at, "versitygw", "--port", at, "posix", "--versioning-dir", t.TempDir(), "root")
	t.Setenv("AWS_ACCESS_KEY_ID", "tidemark")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "tidemark-secret")
	client := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://" + at), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("tidemark", "tidemark-secret", "")})
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("locked"), ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	return "s3://locked/{name}?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape("http://"+at)
}

// Azure runs Microsoft's own stand-in for Azure Blob Storage, with the account and the key that it documents for everyone;
// else it is as S3.
func Azure(t *testing.T) string {
	t.Helper()
	const account, key = "devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	dir, at := t.TempDir(), free(t)
	host, port, _ := strings.Cut(at, ":")
	serve(t, dir, at, "azurite-blob", "--blobHost", host, "--blobPort", port, "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
	t.Setenv("AZURE_STORAGE_ACCOUNT", account)
	t.Setenv("AZURE_STORAGE_KEY", key)
	credential, err := container.NewSharedKeyCredential(account, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := container.NewClientWithSharedKeyCredential("http://"+at+"/"+account+"/tidemark", credential, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return "azblob://tidemark/{name}?protocol=http&localemu=true&domain=" + url.QueryEscape(at)
}

// serve runs a server of this machine until the test ends, and waits until it answers.
func serve(t *testing.T, dir, address, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not on the PATH; make test installs it and runs the tests with it", name)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, args...)
	c.Dir, c.Stdout, c.Stderr = dir, log, log
	c.Env = append(os.Environ(), "ROOT_ACCESS_KEY=tidemark", "ROOT_SECRET_KEY=tidemark-secret")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		c.Process.Kill()
		<-ended
		log.Close()
	})
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			said, _ := os.ReadFile(log.Name())
			ended <- err
			t.Fatalf("%s ended: %v\n%s", name, err, said)
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// free is an address that nothing listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
