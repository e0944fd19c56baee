package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/strongroom/strongroom/internal/client"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
)

// A remote is a command that asks a server over the network, with the user's credential.
type remote struct {
	*client.Session
	out *cobra.Command
}

// remoteCommand returns a command of the client. Its last argument may follow an OWNER.
func remoteCommand(use, short string, args cobra.PositionalArgs, do func(context.Context, *remote, []string) error) *cobra.Command {
	var profile string
	c := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(c *cobra.Command, args []string) error {
			session, err := client.NewSession("strongroom/" + version)
			if err != nil {
				return err
			}
			session.Profile = profile
			return do(c.Context(), &remote{session, c}, args)
		},
	}
	c.Flags().StringVar(&profile, "profile", "", "`name` of the profile (default $STRONGROOM_PROFILE, else the one of the last login)")
	_ = c.RegisterFlagCompletionFunc("profile", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		session, err := client.NewSession("")
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return session.Profiles.Names(), cobra.ShellCompDirectiveNoFileComp
	})
	return c
}

// open returns the secrets of an owner, and the owner.
func (r *remote) open(owner string) (client.Secrets, secret.Owner, error) {
	t, err := r.Target(owner)
	if err != nil {
		return nil, t.Owner, err
	}
	s, err := r.Open(t)
	return s, t.Owner, err
}

// ownerAnd splits [OWNER] THING.
func ownerAnd(args []string) (owner, thing string) {
	if len(args) == 2 {
		return args[0], args[1]
	}
	return "", args[0]
}

func (r *remote) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(r.out.OutOrStdout(), format, args...)
	return err
}

// note writes a line to standard error, for people.
func (r *remote) note(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out.ErrOrStderr(), format+"\n", args...)
}

func (r *remote) warn(warnings []string) {
	for _, text := range warnings {
		r.note("warning: %s", printable(text))
	}
}

// print writes v as JSON with -o json, else calls table.
func (r *remote) print(v any, table func() error) error {
	if r.out.Flag("output").Value.String() != string(asJSON) {
		return table()
	}
	enc := json.NewEncoder(r.out.OutOrStdout())
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// mustHide refuses to print values to a terminal, where others can read them and scrollback keeps them.
func (r *remote) mustHide(show bool) error {
	if !show && isTerminal(r.out.OutOrStdout()) {
		return errors.New("this would show values on the terminal: add --show, or send the output to a file or a pipe")
	}
	return nil
}

// A valueSource is the place from which a command reads a value or a credential. It is
// never an argument, because every process on the machine can see arguments.
type valueSource struct {
	stdin bool
	file  string
}

func (v *valueSource) flags(c *cobra.Command, thing string) {
	c.Flags().BoolVar(&v.stdin, "stdin", false, "read "+thing+" from standard input, without the line break at its end")
	c.Flags().StringVar(&v.file, "file", "", "read "+thing+" from this `file`, exactly as it is")
	c.MarkFlagsMutuallyExclusive("stdin", "file")
}

// maxValue limits the size of a value that is read, in bytes. The server's limit is
// lower.
const maxValue = 2 * secret.MaxValueBytes

func (v *valueSource) read(r *remote, prompt string) (secret.Value, error) {
	switch {
	case v.file != "":
		f, err := safefile.Open(v.file, os.O_RDONLY)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		return readValue(f)
	case v.stdin:
		text, err := readValue(r.out.InOrStdin())
		return secret.Value(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")), err
	case !isTerminal(r.out.InOrStdin()):
		return "", errors.New("there is no terminal to ask on: add --stdin or --file FILE")
	}
	return readHidden(r.out.Context(), r.out.InOrStdin().(*os.File), r.out.ErrOrStderr(), prompt)
}

// readHidden switches the echo off before the prompt appears, so that nothing that is typed or pasted at once
// is shown.
func readHidden(ctx context.Context, terminal *os.File, to io.Writer, prompt string) (secret.Value, error) {
	fd := int(terminal.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return "", err
	}
	defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }()
	_, _ = fmt.Fprint(to, prompt)
	text, err := orInterrupted(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	_, _ = fmt.Fprintln(to)
	return secret.Value(text), err
}

// orInterrupted returns what a prompt reads, or an error at once when the context ends, as by Ctrl-C. The
// read itself cannot be ended: it ends with the process.
func orInterrupted[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		text T
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		var none T
		return none, errors.New("interrupted")
	}
}

func readValue(from io.Reader) (secret.Value, error) {
	text, err := readAtMost(from, maxValue)
	return secret.Value(text), err
}

// readAtMost reads the whole input. More than most bytes are an error.
func readAtMost(from io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("the input is larger than %d MiB", most>>20)
	}
	return text, err
}

// agree asks for confirmation, unless --yes was given.
func (r *remote) agree(yes bool, question string) error {
	if yes {
		return nil
	}
	in := r.out.InOrStdin()
	if !isTerminal(in) {
		return errors.New(question + "\nThere is no terminal to ask on: add --yes to do it.")
	}
	_, _ = fmt.Fprintf(r.out.ErrOrStderr(), "%s Type yes: ", question)
	answer, err := orInterrupted(r.out.Context(), func() (string, error) {
		text, _ := bufio.NewReader(in).ReadString('\n') // the end of input is not a yes
		return text, nil
	})
	if err != nil {
		_, _ = fmt.Fprintln(r.out.ErrOrStderr())
		return err
	}
	if strings.TrimSpace(strings.ToLower(answer)) != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}
