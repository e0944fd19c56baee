package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/strongroom/strongroom/internal/safefile"
)

// upgrade copies a file of format 1 beside it, and then makes it one of this format. It
// removes the reserve of format 1, whose place the journal takes.
func (f *File) upgrade(file *os.File, h *header) error {
	backup := fmt.Sprintf("%s.v%d", f.path, h.version)
	if err := copyOnce(backup, file); err != nil {
		return fmt.Errorf("copying it to %s, before its format changes: %w", backup, err)
	}
	if err := h.begin(f.gen.Load().db, nil, rowSum{}, func(*boltTx) error { return nil }); err != nil {
		return fmt.Errorf("changing its format from %d to %d: %w", h.version, FormatVersion, err)
	}
	f.upgraded = backup
	return safefile.Remove(f.path + ".reserve")
}

// copyOnce accepts an existing copy with the same content, which a crash can leave.
func copyOnce(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	whole := io.NewSectionReader(file, 0, info.Size())
	err = safefile.Create(path, func(to *os.File) error {
		_, err := io.Copy(to, whole)
		return err
	})
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	same, readErr := sameContent(path, whole)
	switch {
	case readErr != nil:
		return readErr
	case !same:
		return fmt.Errorf("%w: move it away", err)
	}
	return nil
}

func sameContent(path string, whole *io.SectionReader) (same bool, err error) {
	there, err := safefile.OpenOwn(path, os.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer func() { _ = there.Close() }()
	a, b := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, err := io.ReadFull(there, a)
		m, err2 := io.ReadFull(whole, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
		if err != nil || err2 != nil {
			return errors.Is(err, err2) && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)), nil
		}
	}
}
