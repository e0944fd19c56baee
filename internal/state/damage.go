package state

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// ErrDamaged means that the file holds something that was never written to it.
var ErrDamaged = errors.New("the state file is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// Damage says what was found wrong with a file that could be opened all the
// same; it is empty if nothing was.
func (f *File) Damage() string { return f.damage }

// guarded runs fn, which reads the mapped file. Where bbolt comes upon pages
// that make no sense it panics, and where the file ends before its mapping
// does the kernel would end the process; here, both are an ErrDamaged. Open
// has looked at every page, so this is for what happens to the file later.
func guarded(fn func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if p := recover(); p != nil {
			if !isFault(p) && !isFromBbolt() {
				panic(p)
			}
			err = damaged("%v", p)
		}
	}()
	return fn()
}

// isFault tells a read of what is not there from a nil pointer, which has no
// address.
func isFault(p any) bool {
	_, ok := p.(interface {
		runtime.Error
		Addr() uintptr
	})
	return ok
}

// isFromBbolt reports whether bbolt's code has panicked, rather than that of
// the function it was called by. It goes by the innermost call below the
// panic that is not the runtime's.
func isFromBbolt() bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicking := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(frame.Function, "runtime."):
			return strings.HasPrefix(frame.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}
