package file

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// A folder is a directory of this machine's file system, as a Disk.
type folder struct{ root *os.Root }

func (f folder) Create(name string) (Draft, error) {
	return f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
}

func (f folder) Open(name string) (File, error) { return f.root.OpenFile(name, os.O_RDONLY|atOnce, 0) }

func (f folder) Link(from, to string) error { return f.root.Link(from, to) }

func (f folder) Remove(name string) error { return f.root.Remove(name) }

func (f folder) Mkdir(name string) error { return f.root.Mkdir(name, 0o700) }

func (f folder) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(f.root.FS(), name) }

func (f folder) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// SyncDir implements Disk. Windows has no such call and journals entries by itself.
func (f folder) SyncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return syncDir(f.root.Open(name))
}

func syncDir(d *os.File, err error) error {
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// settle makes the entry of an empty directory durable, and those of the directories above it, which may have been made
// for it. What stands above and may not be read, or cannot sync, was not.
func settle(root *os.Root, dir string) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	_, err = d.Readdirnames(1)
	if err := d.Close(); err != nil {
		return err
	}
	if !errors.Is(err, io.EOF) || runtime.GOOS == "windows" {
		return nil // what is there already was settled before it, and what cannot be listed shows later
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for at != filepath.Dir(at) {
		at = filepath.Dir(at)
		if err := syncDir(os.Open(at)); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}
