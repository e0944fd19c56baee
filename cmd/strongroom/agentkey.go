package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/duration"
)

func agentKeyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "agent-key",
		Short: "Create, list and revoke short-lived keys for agents",
		Long: `Create, list and revoke agent keys. An agent key reads the names and values of the secrets it was created for, and
nothing else. Its reads are counted. It stops working when it expires, after its last read, or when it is revoked.`,
		Example: `  strongroom agent-key create --for 1h --reads 3 user/default GITHUB_TOKEN`,
		Args:    noArgs, RunE: showHelp,
	}
	c.AddCommand(
		createAgentKeyCommand(),
		prints(described(adminCommand("list", "List agent keys and how often each was used, oldest first", noArgs, listAgentKeys),
			"", `  strongroom agent-key list
  strongroom agent-key list -o json`)),
		revokeAgentKeyCommand(),
	)
	return c
}

func createAgentKeyCommand() *cobra.Command {
	var body gen.CreateAgentKeyJSONRequestBody
	var sandbox, profile, subject string
	var writeBack bool
	var strategies []string
	var reads int
	ends := duration.Duration(time.Hour)
	c := adminCommand("create OWNER NAME…", "Create an agent key for these secrets. It is shown only once", cobra.MinimumNArgs(2), func(ctx context.Context, a *adminClient, args []string) (err error) {
		if body.Lifetime, err = lifetime("for", ends); err != nil {
			return err
		}
		if body.Strategies, err = a.strategies(strategies); err != nil {
			return err
		}
		body.Owner, body.Names = args[0], args[1:]
		body.Sandbox, body.Subject, body.Reads = ifGiven(a, "sandbox", sandbox), ifGiven(a, "subject", subject), ifGiven(a, "reads", reads)
		body.Profile, body.WriteBack = ifGiven(a, "profile", profile), ifGiven(a, "write-back", writeBack)
		resp, err := a.CreateAgentKeyWithResponse(ctx, body)
		if err := refusal(resp, err); err != nil {
			return err
		}
		if err := a.warnOfMissing(body.Owner, resp.JSON200.Missing); err != nil {
			return err
		}
		return a.printNewKey(*resp.JSON200)
	})
	c.Long = `Create an agent key for these secrets of an owner. The key is printed on standard output, and only once. It reads
their names and values in the headers of all api_key strategies, or of those named with --strategy.`
	c.Example = `  strongroom agent-key create --for 1h --reads 3 user/default GITHUB_TOKEN
  strongroom agent-key create --sandbox box-17 user/default GITHUB_TOKEN NPM_TOKEN`
	f := c.Flags()
	f.Var(&ends, "for", "`time` for which the key works, at most 30d")
	f.IntVar(&reads, "reads", 0, "`number` of reads that the key allows (default unlimited)")
	f.StringVar(&sandbox, "sandbox", "", "`id` of the only sandbox on whose routes the key works")
	f.StringVar(&profile, "profile", "", "`id` of the agent profile that the key is for: a list for this profile shows these secrets")
	f.BoolVar(&writeBack, "write-back", false, "let the key replace these values, if they are unchanged since it read them (…/binding)")
	f.StringVar(&subject, "subject", "", "`name` of the holder in the audit log (default the sandbox)")
	strategyFlag(c, &strategies)
	return c
}

// warnOfMissing warns of secrets that do not exist. It is not an error, because keys are
// often created before their secrets.
func (a *adminClient) warnOfMissing(owner string, names *[]string) error {
	if names == nil {
		return nil
	}
	for _, name := range *names {
		if _, err := fmt.Fprintf(a.out.ErrOrStderr(), "warning: no store has a secret %q of %s yet\n", name, owner); err != nil {
			return err
		}
	}
	return nil
}

func listAgentKeys(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.ListAgentKeysWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error {
		return printTable(a, "ID|STATE|HOLDER|MAY|READS|LAST READ|MADE FOR", *resp.JSON200, func(k gen.IssuedKey) []string {
			return []string{k.Id, stateOf(k), k.Subject, grantsOf(k), readsOf(k), when(k.LastRead), madeFor(k)}
		})
	})
}

// madeFor returns the sandbox, the profile and the write-back right of an agent key.
func madeFor(k gen.IssuedKey) string {
	var parts []string
	if k.Profile != nil {
		parts = append(parts, "profile "+*k.Profile)
	}
	if k.WriteBack != nil {
		parts = append(parts, "writes back")
	}
	return strings.Join(parts, ", ")
}

func revokeAgentKeyCommand() *cobra.Command {
	var sandbox string
	c := adminCommand("revoke ID | --sandbox ID", "Revoke an agent key, or all agent keys of a sandbox, at once", cobra.MaximumNArgs(1), func(ctx context.Context, a *adminClient, args []string) error {
		body := gen.RevokeAgentKeysJSONRequestBody{Sandbox: &sandbox}
		if len(args) > 0 {
			body.Id = &args[0]
		}
		resp, err := a.RevokeAgentKeysWithResponse(ctx, body)
		if err := refusal(resp, err); err != nil {
			return err
		}
		return a.print(resp.Body, func() error {
			for _, k := range *resp.JSON200 {
				if err := a.printf("%s %s\n", k.Id, stateOf(k)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	c.Example = `  strongroom agent-key revoke h7q2mfk3
  strongroom agent-key revoke --sandbox box-17`
	c.Flags().StringVar(&sandbox, "sandbox", "", "`id` of the sandbox whose keys to revoke")
	return asksFirst(prints(c), func(args []string) string {
		target := "the agent key"
		if len(args) == 0 {
			target = "all agent keys of the sandbox"
		}
		return "This revokes " + target + " at once and for good."
	})
}
