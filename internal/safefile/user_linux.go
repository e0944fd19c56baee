package safefile

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// doAs runs fn on a locked thread with the file system ids of a user and without
// supplementary groups. The kernel also removes root's capabilities over files from that
// thread (setfsuid(2), capabilities(7)). The thread is never unlocked, so the runtime
// ends it and no other goroutine runs with these ids.
func doAs(uid, gid int, fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := become(uid, gid)
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	return <-done
}

// become changes only this thread: golang.org/x/sys/unix.Setgroups would change all
// threads.
func become(uid, gid int) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return fmt.Errorf("acting as user %d: %w", uid, os.NewSyscallError("setgroups", errno))
	}
	// Neither call reports a failure: each returns the previous id.
	_, gidErr := unix.SetfsgidRetGid(gid)
	_, uidErr := unix.SetfsuidRetUid(uid)
	gidNow, gidErr2 := unix.SetfsgidRetGid(-1)
	uidNow, uidErr2 := unix.SetfsuidRetUid(-1)
	if err := errors.Join(gidErr, uidErr, gidErr2, uidErr2); err != nil {
		return err
	}
	if gidNow != gid || uidNow != uid {
		return fmt.Errorf("root cannot act as user %d here: run the command as that user", uid)
	}
	return nil
}

// claim renames a draft unless the path exists. Some file systems have no hard links,
// others no RENAME_NOREPLACE (renameat2(2)).
func claim(draft, path string) error {
	err := unix.Renameat2(unix.AT_FDCWD, draft, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return os.Link(draft, path)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: draft, New: path, Err: err}
	}
	return nil
}
