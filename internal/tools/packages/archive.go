package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// An archive is a tar file whose bytes depend only on the files in it. All files belong
// to root.
type archive struct {
	*tar.Writer
	time time.Time
}

func (a archive) addDir(name string) error {
	return a.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: a.time, Format: tar.FormatUSTAR})
}

func (a archive) addFile(name string, mode fs.FileMode, content []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: int64(len(content)), ModTime: a.time, Format: tar.FormatUSTAR}
	if err := a.WriteHeader(h); err != nil {
		return err
	}
	_, err := a.Write(content)
	return err
}

// addTree adds a directory with everything in it, sorted by name.
func (a archive) addTree(name, dir string) error {
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := path.Join(name, strings.TrimPrefix(filepath.ToSlash(file), filepath.ToSlash(dir)))
		if d.IsDir() {
			return a.addDir(at)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return a.addFile(at, modeOf(file), content)
	})
}

// modeOf returns the mode of a file in the packages. It does not depend on the builder's
// umask.
func modeOf(file string) fs.FileMode {
	if info, err := os.Stat(file); err == nil && info.Mode()&0o100 != 0 {
		return 0o755
	}
	return 0o644
}

// writeArchive writes the tree as a tar.gz, below one directory.
func (r *release) writeArchive(w io.Writer, name, tree string) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	a := archive{tar.NewWriter(z), r.time}
	return errors.Join(a.addTree(name, tree), a.Close(), z.Close())
}
