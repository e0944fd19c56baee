package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// records are the sizes of the records that requests append to the server's journal, in
// bytes with padding.
type records struct{ Put, Create, Reveal int }

// journalBytes is the size of the file of an appender. The server's are 16 MiB each.
const journalBytes = 16 << 20

// An appender does the least that the server promises for a change: it appends a record to
// a file and flushes it once. Concurrent appends share a flush.
type appender struct {
	file *os.File

	mu      sync.Mutex // guards the fields below
	at      int64
	written uint64

	flushing sync.Mutex // held during a flush; guards flushed
	flushed  uint64
}

// newAppender fills the file with zeros, as the server does with its own.
func newAppender(path string) (*appender, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(make([]byte, journalBytes)); err != nil {
		return nil, err
	}
	return &appender{file: file}, file.Sync()
}

// append returns when the record is on disk.
func (a *appender) append(record []byte) error {
	number, err := a.write(record)
	if err != nil {
		return err
	}
	a.flushing.Lock()
	defer a.flushing.Unlock()
	if a.flushed >= number { // by another append
		return nil
	}
	a.mu.Lock()
	last := a.written
	a.mu.Unlock()
	if err := fdatasync(a.file); err != nil {
		return err
	}
	a.flushed = last
	return nil
}

func (a *appender) write(record []byte) (number uint64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at+int64(len(record)) > journalBytes {
		a.at = 0
	}
	if _, err := a.file.WriteAt(record, a.at); err != nil {
		return 0, err
	}
	a.at += int64(len(record))
	a.written++
	return a.written, nil
}

// recordOf returns the size of the record that a request appends to the journal of a
// running server. Audit entries of other requests are written every 500 ms, so the smallest
// of several records counts.
func (in *installation) recordOf(address string, request func() []byte) (int, error) {
	smallest := 0
	for range 5 {
		before, err := in.journalUsed()
		if err != nil {
			return 0, err
		}
		if _, err := ask(address, request()); err != nil {
			return 0, err
		}
		after, err := in.journalUsed()
		if err != nil {
			return 0, err
		}
		if size := after - before; size > 0 && (smallest == 0 || size < smallest) {
			smallest = size
		}
		time.Sleep(50 * time.Millisecond)
	}
	if smallest == 0 {
		return 0, fmt.Errorf("no record of a request is in the journal of %s", in.stateFile())
	}
	return smallest, nil
}

// journalUsed returns the bytes in use of the current file of the journal, whose format is
// in internal/state/journal/format.go.
func (in *installation) journalUsed() (int, error) {
	var current []byte
	for _, suffix := range []string{".journal0", ".journal1"} {
		b, err := os.ReadFile(in.stateFile() + suffix)
		if err != nil {
			return 0, err
		}
		if current == nil || firstRecord(b) > firstRecord(current) {
			current = b
		}
	}
	return usedOf(current), nil
}

const (
	journalHeader    = 4096
	journalAlignment = 64
	recordHead       = 40
)

func firstRecord(journal []byte) uint64 { return binary.LittleEndian.Uint64(journal[48:]) }

// usedOf does not check sums: only the last record could be one that is being written.
func usedOf(journal []byte) int {
	at, next := journalHeader, firstRecord(journal)
	for at+recordHead <= len(journal) && binary.LittleEndian.Uint64(journal[at+8:]) == next {
		length := recordHead + int(binary.LittleEndian.Uint32(journal[at:]))
		at += (length + journalAlignment - 1) / journalAlignment * journalAlignment
		next++
	}
	return at
}

// slowed returns the command with a delay of each flush, by strace. The process id is that
// of the command.
func slowed(delay time.Duration, command ...string) []string {
	if delay == 0 {
		return command
	}
	return slices.Concat([]string{
		"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", os.DevNull,
		"-e", "trace=fdatasync", "-e", fmt.Sprintf("inject=fdatasync:delay_exit=%d", delay.Microseconds()),
	}, command)
}
