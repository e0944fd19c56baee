package main

import (
	"context"

	"github.com/spf13/cobra"
)

func clockCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "clock", Short: "Confirm a clock that has jumped ahead", Args: noArgs, RunE: showHelp,
		Example: `  strongroom clock confirm`,
	}
	c.AddCommand(asksFirst(described(adminCommand("confirm", "Confirm that the clock is right, so that old data is removed again", noArgs, confirmClock),
		`Confirm that the clock is right. After a jump of more than a week ahead, no deleted secret and no audit entry is removed
by age for a day, because a wrong clock must not destroy data. strongroom status says whether this is so.`,
		`  strongroom clock confirm`), says("The server will remove deleted secrets and audit entries that are too old by the current time. Check the date first.")))
	return c
}

func confirmClock(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.ConfirmClockWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printf("the clock is confirmed: data that is too old is removed within the hour\n")
}
