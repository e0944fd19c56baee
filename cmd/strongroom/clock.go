package main

import (
	"context"

	"github.com/spf13/cobra"
)

func clockCommand() *cobra.Command {
	c := &cobra.Command{Use: "clock", Short: "Decide about a clock that has jumped ahead", Args: noArgs, RunE: showHelp}
	c.AddCommand(adminCommand("confirm", "Believe the clock, and remove what is old by it", noArgs, confirmClock))
	return c
}

func confirmClock(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.ConfirmClockWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printf("the clock is believed: what is old by it is removed within the hour\n")
}
