package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// rootCommand returns the tree of all commands.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "strongroom",
		Short: "Store secrets and serve them through the APIs of OpenHands and Nx1",
		Long: `Store secrets in one encrypted file, a PostgreSQL database or a Kubernetes cluster, and serve them
through the APIs of OpenHands (custom secrets) and Nx1 (app secrets).

The commands under "Your secrets on a server" are a client: they connect to any server over HTTPS with your
credential and have its rights. They need no server config. Start with strongroom login.

All other commands administer a server on its own machine. They read the config from --config FILE, else from
the first of ./strongroom.yaml, $STRONGROOM_CONFIG and /etc/strongroom/strongroom.yaml. They talk to the
running server; without one they open the state file themselves. None of them shows the value of a secret.

Durations are written as 90s, 30m, 24h, 30d or 2w. OWNER is user/<id> or app/<uuid>.`,
		Example: `  strongroom init --dir strongroom
  strongroom serve --config strongroom/strongroom.yaml`,
		Args: noArgs, RunE: showHelp, SilenceUsage: true, SilenceErrors: true, Version: version,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	for _, section := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"client", "Your secrets on a server", []*cobra.Command{
			loginCommand(), logoutCommand(), whoamiCommand(), getCommand(), setCommand(), lsCommand(), historyCommand(), rmCommand(), mvCommand(),
			editCommand(), copyCommand(), runCommand(), exportCommand(), importCommand(), templateCommand(), aliasCommand(),
		}},
		{"server", "Server", []*cobra.Command{initCommand(), serveCommand(), statusCommand(), configCommand(), doctorCommand()}},
		{"secrets", "All secrets of this machine's server", []*cobra.Command{secretCommand(), ownerCommand(), migrateCommand()}},
		{"access", "Access", []*cobra.Command{apiKeyCommand(), agentKeyCommand(), explainCommand(), auditCommand()}},
		{"state", "State file", []*cobra.Command{backupCommand(), restoreCommand(), keyringCommand(), compactCommand(), clockCommand()}},
		{"other", "Other commands", []*cobra.Command{versionCommand(), completionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: section.id, Title: section.title + ":"})
		for _, c := range section.commands {
			c.GroupID = section.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(clipboardClearCommand())
	root.SetHelpCommandGroupID("other")
	shortenSwitches(root)
	return root
}

// shortenSwitches prints --mask in help texts, not --mask[=true|false] as pflag does since 1.1.
func shortenSwitches(root *cobra.Command) {
	usage := root.UsageFunc()
	root.SetUsageFunc(func(c *cobra.Command) error {
		var text strings.Builder
		out := c.OutOrStderr()
		c.SetOut(&text)
		defer c.SetOut(out)
		if err := usage(c); err != nil {
			return err
		}
		const choice = "[=true|false]"
		_, err := io.WriteString(out, strings.ReplaceAll(text.String(), choice, strings.Repeat(" ", len(choice))))
		return err
	})
}

// showHelp shows the help of a group of commands.
func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// noArgs refuses arguments. To a group of commands, an argument is an unknown
// command.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		return unknownCommand(c, args[0])
	}
	return fmt.Errorf("%s takes no arguments, but got %q: see %[1]s --help", c.CommandPath(), args[0])
}

func unknownCommand(c *cobra.Command, name string) error {
	c.SuggestionsMinimumDistance = 2 // edits; a common beginning also counts
	advice := "see " + c.CommandPath() + " --help"
	if similar := c.SuggestionsFor(name); len(similar) > 0 {
		advice = "did you mean " + strings.Join(similar, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q of %s: %s", name, c.CommandPath(), advice)
}

// explainFlagError returns err, or the error for an unknown command: cobra parses flags
// before it validates arguments, and so would report a flag of an unknown command.
func explainFlagError(c *cobra.Command, args []string, err error) error {
	if !c.HasSubCommands() {
		return err
	}
	_, rest, findErr := c.Root().Find(args)
	if findErr != nil || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return err
	}
	if argErr := c.ValidateArgs(rest[:1]); argErr != nil {
		return argErr
	}
	return err
}
