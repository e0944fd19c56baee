package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/client/child"
	"github.com/strongroom/strongroom/internal/client/envfile"
	"github.com/strongroom/strongroom/internal/secret"
)

func editCommand() *cobra.Command {
	var a applier
	c := remoteCommand("edit [OWNER] [NAME]", "Change values in an editor", cobra.MaximumNArgs(2), func(ctx context.Context, r *remote, args []string) error {
		var owner, name string
		switch len(args) {
		case 1:
			owner, name = r.ownerOrName(args[0])
		case 2:
			owner, name = args[0], args[1]
		}
		return r.edit(ctx, owner, name, &a)
	})
	c.Long = `Change the values of a secret, or of all secrets of an owner, in $VISUAL or $EDITOR, as YAML. The file is in memory (below
$XDG_RUNTIME_DIR or /dev/shm), and is overwritten and removed afterwards. Then a table shows the changes, and the command asks.
Only changed secrets are sent, each only if no other client has changed it meanwhile. With --prune, secrets and data
keys whose lines were removed are deleted.

One argument is an OWNER if it is me, user/<id>, app/<uuid> or an alias, else a NAME of yours. Editors can keep copies elsewhere, such as vim's
viminfo: vim -n -i NONE keeps none.`
	c.Example = `  strongroom edit
  strongroom edit app/0f8fad5b-d9cb-469f-a165-70867728950e db`
	a.flags(c, "delete secrets and data keys whose lines were removed")
	return c
}

// ownerOrName decides whether a single argument is an owner or a name.
func (r *remote) ownerOrName(text string) (owner, name string) {
	if _, err := r.Profiles.ParseTarget(text); err == nil || strings.ContainsAny(text, "/:") {
		return text, ""
	}
	return "", text
}

func (r *remote) edit(ctx context.Context, owner, name string, a *applier) (err error) {
	s, kind, err := r.open(owner)
	if err != nil {
		return err
	}
	sel := client.Selection{}
	if name != "" {
		sel.Only = []string{name}
	}
	vars, before, err := client.Vars(ctx, s, kind, sel)
	if err != nil {
		return err
	}
	text, err := envfile.Write(envfile.YAML, vars)
	if err != nil {
		return err
	}
	edited, err := r.inEditor(ctx, text)
	if err != nil {
		return err
	}
	if string(edited) == string(text) {
		r.note("nothing was changed")
		return nil
	}
	vars, err = envfile.Read(envfile.YAML, edited)
	if err != nil {
		return fmt.Errorf("reading the edited file: %w; nothing was changed", err)
	}
	wanted := client.Wanted(vars, "")
	if err := client.Check(kind, wanted); err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	plan, err := client.NewPlanSince(ctx, s, before, wanted, a.prune)
	if err != nil {
		return err
	}
	return a.apply(ctx, r, s, plan)
}

// inEditor returns the text after the user has edited it. The file is in memory only.
func (r *remote) inEditor(ctx context.Context, text []byte) (edited []byte, err error) {
	editor := os.Getenv("VISUAL")
	if editor == "" {
		editor = os.Getenv("EDITOR")
	}
	if editor == "" {
		return nil, errors.New("set EDITOR to the editor to use")
	}
	dir, err := client.TempDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Remove()) }()
	path, err := dir.Write("secrets.yaml", secret.Value(text))
	if err != nil {
		return nil, err
	}
	// EDITOR may have arguments, so a shell starts it, as git and crontab do. The shell sees the path and no
	// value.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", editor+` "$1"`, "sh", path) // #nosec G204 G702 -- the user names the editor
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.out.InOrStdin(), r.out.OutOrStdout(), r.out.ErrOrStderr()
	cmd.Env = child.Env(os.Environ(), nil)
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the editor failed: %w; nothing was changed", err)
	}
	return os.ReadFile(path)
}
