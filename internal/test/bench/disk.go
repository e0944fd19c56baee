package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// pageBytes is the size of one write.
const pageBytes = 4 << 10

// A disk measures the disk with a separate file. The file is preallocated,
// because flushing a growing file takes longer.
type disk struct {
	file *os.File
	page []byte
	at   int64
}

const diskPages = 4 << 10

func openDisk(dir string) (*disk, error) {
	file, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		return nil, fmt.Errorf("making a file: %w", err)
	}
	d := &disk{file: file, page: make([]byte, pageBytes)}
	for range diskPages {
		if _, err := file.Write(d.page); err != nil {
			return nil, fmt.Errorf("filling a file: %w", err)
		}
	}
	return d, file.Sync()
}

// sync writes a page and waits until it is on disk.
func (d *disk) sync() error {
	d.at = (d.at + 1) % diskPages
	if _, err := d.file.WriteAt(d.page, d.at*pageBytes); err != nil {
		return err
	}
	return fdatasync(d.file)
}

// repeat calls do until end and returns the duration of each call.
func repeat(start, end time.Time, do func() error) (took []time.Duration, err error) {
	for began := time.Now(); began.Before(end); {
		if err := do(); err != nil {
			return nil, err
		}
		now := time.Now()
		if !began.Before(start) {
			took = append(took, now.Sub(began))
		}
		began = now
	}
	return took, nil
}
