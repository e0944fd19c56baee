package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/client/child"
	"github.com/strongroom/strongroom/internal/client/envfile"
	"github.com/strongroom/strongroom/internal/duration"
	"github.com/strongroom/strongroom/internal/secret"
)

// A runner has the flags and the state of the command run.
type runner struct {
	*remote
	selection client.Selection
	files     string
	watch     bool
	every     time.Duration
	signal    string
	mask      bool
	fallback  duration.Duration

	copy    *client.Fallback // nil without --fallback
	secrets client.Secrets
	owner   secret.Owner
	last    []client.Secret // the values that the command has
}

func runCommand() *cobra.Command {
	var r runner
	c := remoteCommand("run [OWNER] -- COMMAND [ARGUMENT...]", "Run a command with secrets in its environment", needsDash, func(ctx context.Context, base *remote, args []string) error {
		r.remote = base
		dash := base.out.ArgsLenAtDash()
		return r.run(ctx, strings.Join(args[:dash], ""), args[dash:])
	})
	c.Long = `Run a command with secrets as environment variables, without a shell. The command takes the place of this process, so
it gets all signals, and its exit code is the result; with --files, --watch or --mask this process waits for it and passes signals on. The
command does not get the variables STRONGROOM_*, and writes no core dumps.

A custom secret is the variable of its name. A value of an app secret is NAME_KEY in upper case (db.PASSWORD is DB_PASSWORD), or NAME if
its data key is "value". Characters that no variable can have become _. --env DATABASE_URL=db.URL names a variable.

--fallback 24h keeps a copy of the values in ~/.cache/strongroom, and uses it with a warning while the server does not answer, for at most 24
hours after they were read. The copy is sealed with a key derived from the credential, and cannot be opened without the
credential. It is removed if the server does not accept the credential, or forbids or lacks a secret.

OWNER is me (the default), user/<id>, app/<uuid> or an alias, and PROFILE:OWNER on the server of another profile.`
	c.Example = `  strongroom run -- ./server --port 8080
  strongroom run app/0f8fad5b-d9cb-469f-a165-70867728950e --only db --env PGPASSWORD=db.PASSWORD -- psql
  strongroom run --watch --mask -- npm start
  strongroom run --fallback 24h -- ./server
  strongroom run --files /dev/shm/app --watch --signal HUP -- nginx -g 'daemon off;'`
	selectionFlags(c, &r.selection)
	f := c.Flags()
	f.StringVar(&r.files, "files", "", "write each value to a file in this new `directory` in memory (below /dev/shm or $XDG_RUNTIME_DIR), and set NAME_FILE to its path instead of NAME")
	f.BoolVar(&r.watch, "watch", false, "run the command again when a secret changes: SIGTERM, after 10 s SIGKILL, then a new start")
	f.DurationVar(&r.every, "every", time.Second, "interval (`time`) at which --watch checks for changes")
	f.StringVar(&r.signal, "signal", "", "with --watch and --files: rewrite the files and send the command this `signal`, such as HUP, instead of running it again")
	f.Var(&r.fallback, "fallback", "while the server is away, use the values of the last answer for this `duration` after it, as in 24h; 30d at most")
	f.BoolVar(&r.mask, "mask", false, "replace values of 4 bytes and more by **** in the command's output, which is then a pipe instead of a terminal")
	return c
}

func selectionFlags(c *cobra.Command, s *client.Selection) {
	f := c.Flags()
	f.StringArrayVar(&s.Only, "only", nil, "only this secret or value, `NAME` or NAME.KEY; can be repeated")
	f.StringVar(&s.Prefix, "prefix", "", "`text` before the name of each variable")
	f.StringArrayVar(&s.Env, "env", nil, "name a variable, as in `VARIABLE=NAME.KEY`; can be repeated")
}

func needsDash(c *cobra.Command, args []string) error {
	switch dash := c.ArgsLenAtDash(); {
	case dash < 0 || dash == len(args):
		return errors.New("want -- and the command to run, as in strongroom run -- env")
	case dash > 1:
		return errors.New("want at most one OWNER before --")
	}
	return nil
}

func (r *runner) run(ctx context.Context, owner string, args []string) (err error) {
	var signal syscall.Signal
	if r.signal != "" {
		if signal = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(r.signal), "SIG")); signal == 0 || !r.watch || r.files == "" {
			return errors.New("--signal: want a signal such as HUP, with --watch and --files")
		}
	}
	vars, err := r.begin(ctx, owner)
	if err != nil {
		return err
	}
	var dir *client.MemoryDir
	if r.files != "" {
		if dir, err = client.NewMemoryDir(r.files); err != nil {
			return err
		}
	}
	env, err := environment(vars, dir)
	if err != nil {
		return errors.Join(err, remove(dir))
	}
	if dir == nil && !r.watch && !r.mask {
		return child.Replace(args, env)
	}
	command := &child.Run{Args: args, Env: env, Signal: signal, Grace: 10 * time.Second}
	var masks []*child.Mask
	if r.mask {
		masks = []*child.Mask{child.NewMask(os.Stdout, values(vars)), child.NewMask(os.Stderr, values(vars))}
		command.Stdout, command.Stderr = masks[0], masks[1]
	}
	if r.watch {
		command.Changes = r.changes(ctx, dir, masks)
	}
	return command.Supervise(func() {
		for _, m := range masks {
			_ = m.Close()
		}
		if err := remove(dir); err != nil {
			r.note("removing %s: %v", r.files, err)
		}
	})
}

func remove(dir *client.MemoryDir) error {
	if dir == nil {
		return nil
	}
	return dir.Remove()
}

// fallbackAfter is how long the server may take to answer before the copy is used.
const fallbackAfter = 15 * time.Second

// begin returns the values to start with: those of the server, or of the copy while the server is away.
func (r *runner) begin(ctx context.Context, owner string) ([]envfile.Var, error) {
	t, err := r.Target(owner)
	if err != nil {
		return nil, err
	}
	r.owner = t.Owner
	if r.secrets, err = r.Open(t); err != nil {
		return nil, err
	}
	if r.fallback == 0 {
		return r.fetch(ctx)
	}
	if r.copy, err = r.Fallback(t, r.selection, time.Duration(r.fallback)); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, fallbackAfter)
	defer cancel()
	vars, err := r.fetch(limited)
	if !client.IsAway(err) || ctx.Err() != nil {
		return vars, err
	}
	vars, last, made, useless := r.copy.Open()
	if useless != nil {
		return nil, fmt.Errorf("%w; --fallback: %w", err, useless)
	}
	r.note("warning: %s: using the values of %s", printable(err.Error()), made.Local().Format(time.DateTime))
	r.last = last
	return vars, nil
}

// fetch asks the server, and keeps the copy in step with its answer.
func (r *runner) fetch(ctx context.Context) (vars []envfile.Var, err error) {
	vars, all, err := client.Vars(ctx, r.secrets, r.owner, r.selection)
	if err == nil {
		r.last = all
	}
	if r.copy == nil {
		return vars, err
	}
	var failed error
	if err == nil {
		failed = r.copy.Keep(vars, all)
	} else {
		failed = r.copy.Refused(err)
	}
	if failed != nil {
		r.note("warning: --fallback: %s", printable(failed.Error()))
	}
	return vars, err
}

func values(vars []envfile.Var) (all []secret.Value) {
	for _, v := range vars {
		all = append(all, v.Value)
	}
	return all
}

// environment returns the command's variables. With a directory the values are files there.
func environment(vars []envfile.Var, dir *client.MemoryDir) ([]string, error) {
	if dir == nil {
		env, err := client.Environment(vars)
		return child.Env(os.Environ(), env), err
	}
	var paths []string
	for _, v := range vars {
		path, err := dir.Write(v.Env, v.Value)
		if err != nil {
			return nil, err
		}
		paths = append(paths, v.Env+"_FILE="+path)
	}
	return child.Env(os.Environ(), paths), nil
}

// changes looks for changes until the process ends, and delivers the environment after each.
func (r *runner) changes(ctx context.Context, dir *client.MemoryDir, masks []*child.Mask) <-chan []string {
	deliver := make(chan []string)
	ctx = context.WithoutCancel(ctx) // signals go to the command; this process ends with it
	go func() {
		failing := false
		for ; ; time.Sleep(r.every) {
			vars, err := r.changed(ctx)
			var env []string
			if err == nil && vars != nil {
				for _, m := range masks {
					m.Hide(values(vars))
				}
				env, err = environment(vars, dir)
			}
			if err != nil && !failing {
				r.note("watching: %s (the command keeps its current values)", printable(err.Error()))
			}
			failing = err != nil
			if env != nil {
				deliver <- env
			}
		}
	}()
	return deliver
}

// changed returns the values if they differ from the last ones.
func (r *runner) changed(ctx context.Context) ([]envfile.Var, error) {
	same, err := client.Unchanged(ctx, r.secrets, r.last, len(r.selection.Only) == 0)
	if err != nil && r.copy != nil {
		err = errors.Join(err, r.copy.Refused(err))
	}
	if err != nil || same {
		return nil, err
	}
	vars, err := r.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the changed secrets: %w", err)
	}
	return vars, nil
}
