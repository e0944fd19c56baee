package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

func statusCommand() *cobra.Command {
	return prints(described(adminCommand("status", "Show the running server, and whether the current config is in force", noArgs, showStatus),
		`Show the running server, and whether the current config is in force. Warnings name a certificate that expires, a clock
that jumped, a state.key with which the next start would fail, and removed content that is still in the files.

Exit codes: 0 a server is running, 1 its config is invalid or another error, 3 no server is running.`,
		`  strongroom status
  strongroom status -o json`))
}

var errNotRunning = errors.New("no server is running")

// showStatus fails if the config is invalid, and with errNotRunning.
func showStatus(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.StatusWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	if err := a.print(resp.Body, func() error { return a.printStatus(resp.JSON200) }); err != nil {
		return err
	}
	switch s := resp.JSON200; {
	case !s.Serving:
		return fmt.Errorf("%w on this %s", errNotRunning, a.fileKind())
	case s.Config.Problem != "":
		return errors.New("the config is invalid; the previous one stays in force: " + s.Config.Problem)
	}
	return nil
}

func (a *adminClient) printStatus(s *gen.Status) error {
	config, where := s.Config, "state file "+s.State
	if a.cfg.State.Postgres != nil {
		where = "state " + s.State + " in a database"
	}
	if !s.Serving {
		return errors.Join(a.printf("%s, stores %s\n", where, strings.Join(s.Stores, " ")), a.printCompaction(s.Compaction), a.showWarnings(s.Warnings))
	}
	err := a.printf("version %s is serving; config in force since %s\n%s, stores %s\n",
		s.Version, config.Since.UTC().Format(time.RFC3339), where, strings.Join(s.Stores, " "))
	if st := s.AuditStream; st != nil {
		err = errors.Join(err, a.printf("audit entries to %s: %d delivered, %d waiting\n", st.Destination, st.Delivered, st.Waiting))
	}
	if s.Nodes != nil {
		err = errors.Join(err, a.showNodes(*s.Nodes))
	}
	if err := errors.Join(err, a.printCompaction(s.Compaction), a.showWarnings(s.Warnings)); err != nil {
		return err
	}
	if len(config.NeedsRestart) > 0 {
		return a.printf("restart required for: %s\n", strings.Join(config.NeedsRestart, " "))
	}
	return nil
}

func (a *adminClient) printCompaction(c gen.Compaction) error {
	switch {
	case c.Since != nil:
		return a.printf("compaction in progress since %s\n", when(c.Since))
	case c.Ended != nil:
		return a.printf("last compaction ended %s\n", when(c.Ended))
	}
	return nil
}

// showNodes prints a line for each node that shares the state.
func (a *adminClient) showNodes(nodes []gen.Node) (err error) {
	for _, n := range nodes {
		line := "node " + n.Name
		if n.Self {
			line += " (this one)"
		}
		line += ", version " + n.Version + ", "
		switch heard := time.Duration(float64(n.HeardSeconds) * float64(time.Second)); {
		case heard >= silent:
			line += "silent for " + heard.Round(time.Second).String()
		case n.Behind > 0:
			line += fmt.Sprintf("%d behind when it last reported", n.Behind)
		default:
			line += "up to date"
		}
		if len(n.Duties) > 0 {
			line += "; duties: " + strings.Join(n.Duties, ", ")
		}
		err = errors.Join(err, a.printf("%s\n", line))
	}
	return err
}

// silent is the age of the last beat from which a node is shown as silent.
const silent = 10 * time.Second

func (a *adminClient) showWarnings(warnings []gen.Finding) error {
	for _, w := range warnings {
		if err := a.printf("warning: %s: %s\n", w.About, w.Text); err != nil {
			return err
		}
	}
	return nil
}
