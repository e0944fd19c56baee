package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/safefile"
)

// File returns a sink that appends each entry as a line of JSON to a file and flushes it.
// It creates the file with mode 0600. When the file was renamed or removed, as by
// logrotate, the next entries go to a new one.
func File(path string) Sink { return &file{path: path} }

type file struct {
	path string
	open *os.File // nil before the first entries and after a failure
}

// Send implements [Sink].
func (f *file) Send(_ context.Context, entries []audit.Entry) error {
	lines, err := linesOf(entries)
	if err != nil {
		return err
	}
	if err = f.ensure(); err != nil {
		return err
	}
	if _, err = f.open.Write(lines); err == nil {
		err = f.open.Sync()
	}
	if err != nil { // part of a line may be in the file
		return errors.Join(err, f.Close())
	}
	return nil
}

// Close implements [Sink].
func (f *file) Close() error {
	if f.open == nil {
		return nil
	}
	err := f.open.Close()
	f.open = nil
	return err
}

// ensure opens the file that the path names now.
func (f *file) ensure() error {
	if f.open != nil {
		now, err := os.Stat(f.path)
		have, haveErr := f.open.Stat()
		if err == nil && haveErr == nil && os.SameFile(now, have) {
			return nil
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	opened, err := safefile.OpenOwn(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return err
	}
	f.open = opened
	if err := endLine(opened); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// endLine ends a line that a crash or a full disk has cut off. Its entry is sent again.
func endLine(f *os.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, size-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.Write([]byte("\n"))
	return err
}

// linesOf returns the entries as lines of JSON, as strongroom audit export prints them.
func linesOf(entries []audit.Entry) ([]byte, error) {
	var b bytes.Buffer
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}
