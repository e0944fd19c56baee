package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/client/child"
	"github.com/strongroom/strongroom/internal/secret"
)

// clipTime is how long a value stays in the clipboard.
const clipTime = 45 * time.Second

// clip starts a process that clears the clipboard later, and then copies a value to the clipboard. The other
// process begins to wait when its input ends. That also happens if this process fails or is killed, so the
// value never stays in the clipboard.
func (r *remote) clip(ctx context.Context, v secret.Value, name string, after time.Duration) error {
	env := child.Env(os.Environ(), nil)
	board, err := client.FindClipboard(env)
	if err != nil {
		return err
	}
	text, err := json.Marshal(client.NewClearing(v, after))
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	cmd := exec.Command(self, clipboardClear) // #nosec G204 -- this program
	cmd.Stdin, cmd.Env = from, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives the terminal
	err = cmd.Start()
	_ = from.Close()
	if err != nil {
		return err
	}
	if _, err := to.Write(text); err != nil {
		return err
	}
	if err := board.Copy(ctx, v); err != nil {
		return err
	}
	r.note("%s is in the clipboard for %v", name, after)
	return nil
}

// clipboardClear is the command that [remote.clip] leaves behind.
const clipboardClear = "clipboard-clear"

func clipboardClearCommand() *cobra.Command {
	return &cobra.Command{
		Use: clipboardClear, Short: "Clear the clipboard after get --clip", Args: noArgs, Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			of, err := client.ReadClearing(c.InOrStdin())
			if err != nil {
				return err
			}
			board, err := client.FindClipboard(child.Env(os.Environ(), nil))
			if err != nil {
				return err
			}
			return board.Clear(c.Context(), of)
		},
	}
}
