package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

func grantCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "grant",
		Short: "Give an agent the values of some secrets for a while",
		Long: `Give an agent the values of some secrets for a while: by a key that is good for their names and values, and for nothing
else. Its deliveries are counted, and after its end, its last read or its revocation there are none.`,
		Args: cobra.NoArgs, RunE: showHelp,
	}
	c.AddCommand(
		createGrantCommand(),
		adminCommand("list", "List agents' keys and what they delivered, the oldest first", cobra.NoArgs, listGrants),
		revokeGrantCommand(),
	)
	return c
}

func createGrantCommand() *cobra.Command {
	var body gen.CreateGrantJSONRequestBody
	var sandbox, profile, subject string
	var writeBack bool
	var strategies []string
	var reads int
	var ends time.Duration
	c := adminCommand("create OWNER NAME…", "Issue an agent's key for these secrets and print it, once", cobra.MinimumNArgs(2), func(ctx context.Context, a *adminClient, args []string) (err error) {
		if body.Lifetime, err = lifetime("for", ends); err != nil {
			return err
		}
		if body.Strategies, err = a.strategies(strategies); err != nil {
			return err
		}
		body.Owner, body.Names = args[0], args[1:]
		body.Sandbox, body.Subject, body.Reads = ifGiven(a, "sandbox", sandbox), ifGiven(a, "subject", subject), ifGiven(a, "reads", reads)
		body.Profile, body.WriteBack = ifGiven(a, "profile", profile), ifGiven(a, "write-back", writeBack)
		resp, err := a.CreateGrantWithResponse(ctx, body)
		if err := refusal(resp, err); err != nil {
			return err
		}
		return a.printNewKey(*resp.JSON200)
	})
	f := c.Flags()
	f.DurationVar(&ends, "for", time.Hour, "`time` for which it works, at most 720h")
	f.IntVar(&reads, "reads", 0, "`number` of deliveries for which it is good (default any)")
	f.StringVar(&sandbox, "sandbox", "", "`id` of the sandbox that it is for: it is of no use on the routes of another")
	f.StringVar(&profile, "profile", "", "`id` of the agent profile that it is for: a list for this profile shows these secrets")
	f.BoolVar(&writeBack, "write-back", false, "let it replace these values under the version that it has read (…/binding), and nothing else")
	f.StringVar(&subject, "subject", "", "`who` has the key, for the audit log (default the sandbox)")
	strategyFlag(c, &strategies)
	return c
}

func listGrants(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.ListGrantsWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return printTable(a, *resp.JSON200, func(k gen.IssuedKey) []string {
		return []string{k.Id, stateOf(k), k.Subject, grantsOf(k), "delivered " + deliveriesOf(k), "last " + when(k.LastDelivery), madeFor(k)}
	})
}

// madeFor is what else an agent's key was made for.
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

func revokeGrantCommand() *cobra.Command {
	var sandbox string
	c := adminCommand("revoke ID | --sandbox ID", "Stop an agent's key, or all of a sandbox, for good and at once", cobra.MaximumNArgs(1), func(ctx context.Context, a *adminClient, args []string) error {
		body := gen.RevokeGrantsJSONRequestBody{Sandbox: &sandbox}
		if len(args) > 0 {
			body.Id = &args[0]
		}
		resp, err := a.RevokeGrantsWithResponse(ctx, body)
		if err := refusal(resp, err); err != nil {
			return err
		}
		for _, k := range *resp.JSON200 {
			if err := a.printf("%s %s\n", k.Id, stateOf(k)); err != nil {
				return err
			}
		}
		return nil
	})
	c.Flags().StringVar(&sandbox, "sandbox", "", "`id` of the sandbox whose keys are to be revoked")
	return c
}
