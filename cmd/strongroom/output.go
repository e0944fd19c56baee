package main

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// A format is the output format of a command.
type format string

const (
	asTable format = "table"
	asJSON  format = "json"
)

var formats = []string{string(asTable), string(asJSON)}

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *format) Type() string { return "format" }

// Set implements pflag.Value.
func (f *format) Set(text string) error {
	if !slices.Contains(formats, text) {
		return errors.New("must be " + strings.Join(formats, " or "))
	}
	*f = format(text)
	return nil
}

// outputFlag adds --output to a command.
func outputFlag(c *cobra.Command) *format {
	f := asTable
	c.Flags().VarP(&f, "output", "o", "`format`: table, or json for scripts")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return &f
}

// prints adds --output to a command that prints a document of the server.
func prints(c *cobra.Command) *cobra.Command {
	outputFlag(c)
	return c
}

// print writes the server's document as it was sent, or calls table.
func (a *adminClient) print(document []byte, table func() error) error {
	if !a.wantsJSON() {
		return table()
	}
	return a.printf("%s\n", strings.TrimSpace(string(document)))
}

func (a *adminClient) wantsJSON() bool {
	f := a.out.Flags().Lookup("output")
	return f != nil && f.Value.String() == string(asJSON)
}

// described adds the long help and the examples to a command.
func described(c *cobra.Command, long, example string) *cobra.Command {
	c.Long, c.Example = long, example
	return c
}

// printable escapes text that other users control, such as the target of a symbolic link,
// so that it cannot send commands to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
