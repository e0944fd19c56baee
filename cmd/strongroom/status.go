package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

func statusCommand() *cobra.Command {
	return adminCommand("status", "Say what is running, and whether the config as it is now is in force", noArgs, showStatus)
}

// showStatus fails if the config is broken.
func showStatus(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.StatusWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	s, config := resp.JSON200, resp.JSON200.Config
	if !s.Serving {
		return errors.Join(a.printf("no server is running\nstate file %s, stores %s\n", s.State, strings.Join(s.Stores, " ")), a.showWarnings(s.Warnings))
	}
	err = a.printf("version %s is serving; config in force since %s\nstate file %s, stores %s\n",
		s.Version, config.Since.UTC().Format(time.RFC3339), s.State, strings.Join(s.Stores, " "))
	if err := errors.Join(err, a.showWarnings(s.Warnings)); err != nil {
		return err
	}
	if len(config.NeedsRestart) > 0 {
		if err := a.printf("to take effect, a restart: %s\n", strings.Join(config.NeedsRestart, " ")); err != nil {
			return err
		}
	}
	if config.Problem != "" {
		return errors.New("the config is broken, and what was in force stays so: " + config.Problem)
	}
	return nil
}

func (a *adminClient) showWarnings(warnings []gen.Finding) error {
	for _, w := range warnings {
		if err := a.printf("warning: %s: %s\n", w.About, w.Text); err != nil {
			return err
		}
	}
	return nil
}
