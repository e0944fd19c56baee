package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const noCompactFlag = "no-compact"

// removes adds --no-compact to a command that removes something for good.
func removes(c *cobra.Command) *cobra.Command {
	c.Flags().Bool(noCompactFlag, false, "do not compact the state file afterwards: the removed content stays in it until strongroom compact")
	return c
}

// noCompact returns the value of --no-compact.
func (a *adminClient) noCompact() *bool {
	no, _ := a.out.Flags().GetBool(noCompactFlag) // fails only for a command without the flag
	return &no
}

// sayWhatStays names the removed content that is still in the files, if any.
func (a *adminClient) sayWhatStays(what string) error {
	if !*a.noCompact() {
		return nil
	}
	_, err := fmt.Fprintf(a.out.ErrOrStderr(), "%s stays, encrypted, in free pages of the state file and in old records of its journal "+
		"until these are used again; strongroom compact removes it\n", what)
	return err
}
