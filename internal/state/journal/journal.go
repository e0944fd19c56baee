// Package journal is a write-ahead log on two preallocated files that take turns: a
// change costs one write and one fdatasync, in a file that neither grows nor moves.
//
// A checkpoint empties it: [Journal.Turn] directs new records to the other file, the
// content of the full one is moved elsewhere, and [Journal.Release] frees it.
//
// Start reading at [Journal.Append]; format.go has the format, read.go decides after a
// crash which records count.
package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state/change"
)

// MinBytes and MaxBytes limit the size of each file.
const (
	MinBytes = 64 << 10
	MaxBytes = 1 << 30
)

var (
	// ErrDamaged means that a file has content that was never written to it.
	ErrDamaged = errors.New("the journal is damaged")
	// ErrForeign means that the files belong to another state file, or to another copy
	// of this one.
	ErrForeign = errors.New("the journal belongs to another state file")
	// ErrGap means that records are missing between the state file and the first record
	// of the journal, or at the journal's end: one of the two is older than the other.
	ErrGap = errors.New("the journal does not continue the state file")
)

// An Identity tells the journals of different state files apart.
type Identity struct {
	State   [16]byte // id of the state file
	Lineage [16]byte // a new one after each restore
}

// A Journal is an open pair of files. It is not safe for concurrent use, except for
// [Journal.Release], [Journal.Released] and the function that [Journal.Flush] returns.
type Journal struct {
	id      Identity
	bytes   int64 // size of each file
	files   [2]*file
	now     int    // the file that gets new records
	written uint64 // number of the last record
	durable uint64 // number of the last record that is on disk
	buf     []byte

	flushing sync.Mutex // guards failed, and is held during a flush
	failed   error      // of a flush
}

type file struct {
	*os.File
	header header
	end    int64       // position of the next record
	next   uint64      // its number, after a scan
	free   atomic.Bool // no record in it is needed any more
}

// Paths returns the paths of the two files beside a state file.
func Paths(statePath string) []string {
	return []string{statePath + ".journal0", statePath + ".journal1"}
}

// Create makes an empty journal whose first record gets the number first, and replaces
// the files of an older one. Each file takes size bytes on the disk from now on.
func Create(statePath string, id Identity, size int64, first uint64) error {
	if size < MinBytes || size > MaxBytes || size%headerBytes != 0 {
		return fmt.Errorf("a journal file of %d bytes is not possible: it takes %d to %d, in steps of %d", size, MinBytes, MaxBytes, headerBytes)
	}
	for i, path := range Paths(statePath) {
		h := header{id: id, size: size}
		if i == 0 {
			h.first = first
		}
		if err := create(path, h); err != nil {
			return err
		}
	}
	return safefile.SyncDir(filepath.Dir(statePath))
}

// create fills the file with zeros: writing into blocks that are only allocated costs a
// change of the file system's own records with each flush.
func create(path string, h header) (err error) {
	f, err := safefile.CreateOwn(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	zeros := make([]byte, min(1<<20, h.size))
	for at := int64(0); at < h.size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), h.size-at)], at); err != nil {
			return err
		}
	}
	_, _ = rand.Read(h.salt[:])
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	return f.Sync()
}

// Files returns the two open files.
func (j *Journal) Files() []*os.File { return []*os.File{j.files[0].File, j.files[1].File} }

// Bytes returns the size of each file.
func (j *Journal) Bytes() int64 { return j.bytes }

// Used returns the bytes of the current file that are in use.
func (j *Journal) Used() int64 { return j.files[j.now].end }

// Last returns the number of the last record.
func (j *Journal) Last() uint64 { return j.written }

// Fits reports whether a record with this much content fits into the current file and
// leaves the given number of bytes in it.
func (j *Journal) Fits(content int, leaving int64) bool {
	return j.files[j.now].end+recordBytes(content)+leaving <= j.bytes
}

// Append writes the next record, which must fit. It is durable after [Journal.Sync]. An
// error of the write leaves the journal as it was, and the record can be appended again.
func (j *Journal) Append(chain change.Chain, content []byte) error {
	f := j.files[j.now]
	if !j.Fits(len(content), 0) {
		return fmt.Errorf("a record of %d bytes does not fit into the journal", len(content))
	}
	r := change.Record{Seq: j.written + 1, Chain: chain, Content: content}
	j.buf = encode(j.buf[:0], r, f.header.salt, j.durable)
	if _, err := f.WriteAt(j.buf, f.end); err != nil {
		return err
	}
	f.end += recordBytes(len(content))
	j.written = r.Seq
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return nil
}

// Sync makes all appended records durable. Its error is final: the kernel may have
// dropped what was written, and report success the next time.
func (j *Journal) Sync() error {
	if j.durable == j.written {
		return nil
	}
	flush, last := j.Flush()
	if err := flush(); err != nil {
		return err
	}
	j.Flushed(last)
	return nil
}

// Flush is [Journal.Sync] in parts: flush may run while other records are appended. When
// it has returned nil, call Flushed with last, the number of the last record that it made
// durable.
func (j *Journal) Flush() (flush func() error, last uint64) {
	f := j.files[j.now]
	return func() error { return j.flush(f) }, j.written
}

// flush flushes a file unless a flush has failed before: the kernel reports a failure only
// once, to one of the callers, and all records are lost to each of them.
func (j *Journal) flush(f *file) error {
	j.flushing.Lock()
	defer j.flushing.Unlock()
	if j.failed == nil {
		j.failed = f.sync()
	}
	return j.failed
}

// Flushed notes that the records up to this number are durable.
func (j *Journal) Flushed(last uint64) { j.durable = max(j.durable, last) }

// Unsynced reports whether a record is not durable yet.
func (j *Journal) Unsynced() bool { return j.durable != j.written }

func (f *file) sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// Turn directs new records to the other file, which must be free. The records of the
// current one remain until [Journal.Release]. next is the number of the next record, more
// than that of the last one plus one if changes went past the journal. Its errors are
// final.
func (j *Journal) Turn(next uint64) error {
	from, to := j.files[j.now], j.files[1-j.now]
	if err := j.Sync(); err != nil {
		return err
	}
	if from.header.first == next { // it is empty
		j.written, j.durable = next-1, next-1
		return nil
	}
	if !to.free.Load() {
		return errors.New("turning the journal while its other file is in use")
	}
	h := header{id: j.id, size: j.bytes, first: next}
	_, _ = rand.Read(h.salt[:])
	// The records that follow are found only with this header, so it comes first.
	if _, err := to.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	if err := j.flush(to); err != nil {
		return err
	}
	to.header, to.end = h, headerBytes
	to.free.Store(false)
	j.now, j.written, j.durable = 1-j.now, next-1, next-1
	return nil
}

// Release frees the file that is not current: a checkpoint holds its records.
func (j *Journal) Release() { j.files[1-j.now].free.Store(true) }

// Wipe overwrites the records of the file that is not current with zeros, once they are
// not needed any more. Call it before Release: until then, no record goes to that file.
// Its errors are final.
func (j *Journal) Wipe() error {
	f, zeros := j.files[1-j.now], make([]byte, min(1<<20, j.bytes))
	for at := int64(headerBytes); at < j.bytes; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), j.bytes-at)], at); err != nil {
			return err
		}
	}
	return f.sync()
}

// Released reports whether [Journal.Release] has freed the other file, so that appending
// can continue there.
func (j *Journal) Released() bool { return j.files[1-j.now].free.Load() }

// Close closes the files.
func (j *Journal) Close() error {
	var errs []error
	for _, f := range j.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
