package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state/change"
)

// Open opens both files and checks that they belong to the state file. Call
// [Journal.Replay] next. Errors: os.ErrNotExist, ErrDamaged, ErrForeign.
func Open(statePath string, id Identity) (_ *Journal, err error) {
	j := &Journal{id: id}
	defer func() {
		if err != nil {
			_ = j.Close()
		}
	}()
	for i, path := range Paths(statePath) {
		f, err := safefile.OpenOwn(path, os.O_RDWR)
		if err != nil {
			return nil, err
		}
		j.files[i] = &file{File: f, end: headerBytes}
		j.files[i].free.Store(true)
		if err := j.files[i].readHeader(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if j.files[i].header.id != id {
			return nil, fmt.Errorf("%s: %w", path, ErrForeign)
		}
	}
	if j.files[1].header.first > j.files[0].header.first {
		j.now = 1
	}
	j.bytes = j.files[0].header.size
	if j.bytes != j.files[1].header.size || j.current().header.first == 0 {
		return nil, fmt.Errorf("%s: %w: its two files do not belong together", Paths(statePath)[0], ErrDamaged)
	}
	return j, nil
}

func (j *Journal) current() *file { return j.files[j.now] }

func (f *file) readHeader() error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, headerBytes)
	if _, err := f.ReadAt(b, 0); err != nil {
		return fmt.Errorf("%w: it has only %d bytes", ErrDamaged, info.Size())
	}
	h, ok := decodeHeader(b)
	switch {
	case !ok:
		return fmt.Errorf("%w: neither copy of its header is whole, if it is a journal at all", ErrDamaged)
	case h.size != info.Size() || h.size < MinBytes:
		return fmt.Errorf("%w: it has %d bytes and was made with %d", ErrDamaged, info.Size(), h.size)
	}
	f.header = h
	return nil
}

// Replay calls fn for each record after the last one that the state file has applied, in
// order, and makes the journal ready for the next record. fn may keep the record.
//
// A record that is not whole ends the journal: a power failure during a write leaves
// that, and nothing was acknowledged. If a later record says that it had been on disk,
// the file was damaged afterwards, and the error is ErrDamaged. Other errors: ErrGap and
// those of fn.
func (j *Journal) Replay(applied uint64, fn func(change.Record) error) error {
	next := applied + 1
	for _, f := range []*file{j.files[1-j.now], j.current()} {
		if f.header.first == 0 {
			continue
		}
		if f.header.first > next {
			return fmt.Errorf("%w: changes %d to %d are missing", ErrGap, next, f.header.first-1)
		}
		err := f.scan(f == j.current(), func(r change.Record) error {
			if r.Seq < next {
				return nil
			}
			next = r.Seq + 1
			f.free.Store(false)
			return fn(r)
		})
		if err != nil {
			return err
		}
	}
	return j.continueAt(next)
}

// continueAt makes the next record the one with this number. It flushes the records that have
// been read: after a kill they may only be in the page cache.
func (j *Journal) continueAt(next uint64) error {
	f := j.current()
	if err := f.sync(); err != nil {
		return err
	}
	j.written, j.durable = next-1, next-1
	if f.next == next {
		f.free.Store(false)
		return nil
	}
	// A change that does not fit into the journal goes straight to the state file, and a
	// crash can come before the turn behind it.
	if f.next == f.header.first && f.next == next-1 {
		return j.Turn(next)
	}
	return fmt.Errorf("%w: the state file has change %d, and the journal ends with change %d", ErrGap, next-1, f.next-1)
}

// Beyond reports whether the journal has a record that the state file has not applied.
// Use it instead of [Journal.Replay] for a state file that says that it is complete.
func (j *Journal) Beyond(applied uint64) (beyond bool, err error) {
	for _, f := range j.files {
		if f.header.first > applied+1 {
			return true, nil
		}
		err := f.mapped(func(b []byte) error {
			for at := int64(headerBytes); at < int64(len(b)); at += alignment {
				if _, _, ok := f.recordFrom(b[at:], applied+1); ok {
					beyond = true
				}
			}
			return nil
		})
		if beyond || err != nil {
			return beyond, err
		}
	}
	return false, nil
}

// scan calls fn for the whole records at the beginning of the file, with copies, and
// sets the end. Of the current file it decides whether what follows is a torn write.
func (f *file) scan(current bool, fn func(change.Record) error) error {
	return f.mapped(func(b []byte) error {
		want, at := f.header.first, int64(headerBytes)
		for {
			r, _, ok := decodeRecord(b[at:], f.header.salt)
			if !ok || r.Seq != want {
				break
			}
			r.Content = bytes.Clone(r.Content)
			if err := fn(r); err != nil {
				return err
			}
			want++
			at += recordBytes(len(r.Content))
		}
		f.end, f.next = at, want
		if !current {
			return nil // the current one continues it, or there is a gap
		}
		return f.settle(b, want)
	})
}

// settle decides what a record is that is not whole: torn, or damaged later. Whole
// records behind a torn one were not acknowledged. They are erased, because they would
// continue the next record that takes the torn one's place.
func (f *file) settle(b []byte, torn uint64) error {
	behind := false
	for at := f.end; at < int64(len(b)); at += alignment {
		r, durable, ok := f.recordFrom(b[at:], torn)
		if !ok {
			continue
		}
		if durable >= torn {
			return fmt.Errorf("%s: %w: record %d is not whole, and record %d says that it was on disk", f.Name(), ErrDamaged, torn, r.Seq)
		}
		behind = true
	}
	if !behind {
		return nil
	}
	if _, err := f.WriteAt(make([]byte, int64(len(b))-f.end), f.end); err != nil {
		return err
	}
	return f.sync()
}

// recordFrom returns the record at the beginning of b if its number is at least least. It
// checks the number first, so that it does not compute sums over other content of the
// file.
func (f *file) recordFrom(b []byte, least uint64) (r change.Record, durable uint64, ok bool) {
	most := least + uint64(f.header.size/alignment) // #nosec G115 -- a size is not negative
	if seq := seqOf(b); seq < least || seq > most {
		return change.Record{}, 0, false
	}
	return decodeRecord(b, f.header.salt)
}

// mapped calls fn with the content of the file. It is mapped, so it uses no memory of the
// process afterwards.
func (f *file) mapped(fn func(b []byte) error) (err error) {
	b, err := unix.Mmap(int(f.Fd()), 0, int(f.header.size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping %s: %w", f.Name(), err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(b)) }()
	return fn(b)
}
