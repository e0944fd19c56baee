package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const noCompactFlag = "no-compact"

// removes adds --no-compact to a command that removes something for good.
func removes(c *cobra.Command) *cobra.Command {
	c.Flags().Bool(noCompactFlag, false, "do not compact the state file or cache afterwards: the removed content stays in it until strongroom compact")
	return c
}

// noCompact returns the value of --no-compact.
func (a *adminClient) noCompact() *bool {
	no, _ := a.out.Flags().GetBool(noCompactFlag) // fails only for a command without the flag
	return &no
}

// sayWhatStays says where removed content still is, if anywhere.
func (a *adminClient) sayWhatStays(what string) error {
	where := ""
	switch {
	case a.cfg.State.Postgres != nil:
		where = "in the database until it is trimmed after a day and vacuumed, and in the nodes' caches until their free pages are used again"
	case *a.noCompact():
		where = "in free pages of the state file and in old records of its journal until these are used again; strongroom compact removes it"
	default:
		return nil
	}
	_, err := fmt.Fprintf(a.out.ErrOrStderr(), "%s stays, encrypted, %s\n", what, where)
	return err
}
