//go:build !man

// Strongroom keeps secrets and serves them through two published APIs at once.
// Each command has a file here. Package app builds the server that a config
// describes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client/child"
	"github.com/strongroom/strongroom/internal/logging"
	"github.com/strongroom/strongroom/internal/state"
)

// Exit codes.
const (
	exitFailed = 1
	// exitNotRunning (LSB: "program is not running") is the code of status when no
	// server is running.
	exitNotRunning = 3
	// exitDisk (EX_IOERR of sysexits.h) means that the disk failed under the state file,
	// damaged it or lost it: check it before the next start.
	exitDisk = 74
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main as a function: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return explainFlagError(c, args, err) })
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := harden()
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return 0
	}
	if ended, ok := errors.AsType[*child.ExitError](err); ok && ended.Err == nil {
		return ended.Code // the command has printed the reason
	}
	complain(stderr, err)
	return exitCode(err)
}

func exitCode(err error) int {
	for _, disk := range []error{state.ErrBroken, state.ErrUnlinked, state.ErrDamaged, state.ErrJournal} {
		if errors.Is(err, disk) {
			return exitDisk
		}
	}
	if started, ok := errors.AsType[*child.ExitError](err); ok {
		return started.Code
	}
	if errors.Is(err, errNotRunning) {
		return exitNotRunning
	}
	return exitFailed
}

// complain does not wait for long: the reader of stderr may have stalled.
func complain(stderr io.Writer, err error) {
	q := logging.NewQueue(stderr, logging.Text)
	_, _ = fmt.Fprintln(q, "strongroom:", printable(err.Error()))
	_ = q.Close()
}
