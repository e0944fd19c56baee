package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// asksFirst adds a confirmation to a destructive command. It shows the consequence and
// asks, unless --yes is given or the consequence is empty. It asks before it opens the
// state file, so that a waiting prompt does not lock out other processes.
func asksFirst(c *cobra.Command, consequence func(args []string) string) *cobra.Command {
	yes := c.Flags().BoolP("yes", "y", false, "do not ask for confirmation")
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if err := before(c, args); err != nil {
			return err
		}
		if text := consequence(args); text != "" && !*yes {
			return confirm(c.InOrStdin(), c.ErrOrStderr(), text)
		}
		return nil
	}
	return c
}

// says is a consequence that does not depend on the arguments.
func says(text string) func([]string) string { return func([]string) string { return text } }

func confirm(in io.Reader, out io.Writer, consequence string) error {
	if f, ok := in.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return errors.New(consequence + "\nThere is no terminal to ask on: add --yes to do it.")
	}
	if _, err := fmt.Fprintf(out, "%s\nContinue? Type yes: ", consequence); err != nil {
		return err
	}
	answer, _ := bufio.NewReader(in).ReadString('\n') // the end of input is not a yes
	if strings.TrimSpace(strings.ToLower(answer)) != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}
