package state

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// ErrDamaged means that the file has content that was never written to it.
var ErrDamaged = errors.New("the state file is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// Damage describes a defect that did not prevent opening the file; empty for none.
func (f *File) Damage() string { return f.damage }

// guarded runs fn, which reads the mapped file, and turns two faults into ErrDamaged:
// bbolt's panic on inconsistent pages, and the kernel's signal when the file ends
// before its mapping. Open has checked every page, so these faults mean later damage.
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

// isFault reports whether a panic is a fault of the mapping. A nil pointer's panic has
// no address.
func isFault(p any) bool {
	_, ok := p.(interface {
		runtime.Error
		Addr() uintptr
	})
	return ok
}

// isFromBbolt reports whether bbolt's own code panicked, by the innermost frame below
// the panic that is not the runtime's.
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
