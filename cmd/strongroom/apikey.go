package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/duration"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/strictyaml"
)

func apiKeyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "apikey",
		Short: "Create, list, rotate and revoke API keys",
		Long: `Create, list, rotate and revoke API keys that the server issues. They work at once, beside the keys in keys files.
The state file keeps their hashes. apikey rotate also replaces keys in keys files.`,
		Example: `  strongroom apikey list`,
		Args:    noArgs, RunE: showHelp,
	}
	c.AddCommand(
		createAPIKeyCommand(),
		prints(described(adminCommand("list", "List issued API keys, oldest first", noArgs, listAPIKeys),
			"", `  strongroom apikey list
  strongroom apikey list -o json`)),
		asksFirst(prints(described(adminCommand("revoke ID", "Revoke an issued API key at once", cobra.ExactArgs(1), revokeAPIKey),
			"", `  strongroom apikey revoke k3x7q2mf`)), func(args []string) string {
			return "This revokes the API key " + args[0] + " at once and for good."
		}),
		rotateAPIKeyCommand(),
	)
	return c
}

// lifetime returns the duration of a flag in whole seconds.
func lifetime(flag string, d duration.Duration) (seconds int, err error) {
	if d < 0 || time.Duration(d)%time.Second != 0 {
		return 0, fmt.Errorf("--%s: must be whole seconds", flag)
	}
	return int(time.Duration(d) / time.Second), nil
}

// ifGiven returns the value of the flag, or nil if the flag was not given.
func ifGiven[T any](a *adminClient, flag string, value T) *T {
	if !a.out.Flags().Changed(flag) {
		return nil
	}
	return &value
}

func createAPIKeyCommand() *cobra.Command {
	var subject, user string
	var grants, strategies []string
	var ends duration.Duration
	c := adminCommand("create --subject NAME --grant GRANT", "Create an API key. It is shown only once", noArgs, func(ctx context.Context, a *adminClient, _ []string) error {
		body := gen.CreateApiKeyJSONRequestBody{Subject: subject, User: ifGiven(a, "user", user)}
		for _, text := range grants {
			g, err := parseGrant(text)
			if err != nil {
				return fmt.Errorf("--grant: %w", err)
			}
			body.Grants = append(body.Grants, g)
		}
		seconds, err := lifetime("for", ends)
		if err != nil {
			return err
		}
		if body.Strategies, err = a.strategies(strategies); err != nil {
			return err
		}
		body.Lifetime = ifGiven(a, "for", seconds)
		resp, err := a.CreateApiKeyWithResponse(ctx, body)
		if err := refusal(resp, err); err != nil {
			return err
		}
		return a.printNewKey(*resp.JSON200)
	})
	c.Long = `Create an API key. The key is printed on standard output, and only once. It works at once in the headers of all
api_key strategies, or of those named with --strategy.`
	c.Example = `  strongroom apikey create --subject ci --for 90d \
    --grant '{actions: [list, reveal], owner: app/0f8fad5b-d9cb-469f-a165-70867728950e, names: [db]}'`
	f := c.Flags()
	f.StringVar(&subject, "subject", "", "`name` of the holder in the audit log")
	f.StringVar(&user, "user", "", "`user` whose custom secrets the key is for (default \"default\")")
	f.StringArrayVar(&grants, "grant", nil, "`grant` as in a keys file, such as '{actions: [list, reveal], owner: user/alice, names: [DB]}'; can be repeated")
	f.Var(&ends, "for", "`time` for which the key works, such as 24h, 30d or 2w (default unlimited)")
	strategyFlag(c, &strategies)
	for _, name := range []string{"subject", "grant"} {
		_ = c.MarkFlagRequired(name) // fails only for a flag that does not exist
	}
	return c
}

func strategyFlag(c *cobra.Command, strategies *[]string) {
	c.Flags().StringArrayVar(strategies, "strategy", nil,
		"`name` of an api_key strategy (under auth) that accepts the key; can be repeated (default all)")
	completeFromConfig(c, "strategy", apiKeyStrategies)
}

// strategies checks that the strategies exist and accept API keys: a key for any other
// would never work.
func (a *adminClient) strategies(names []string) (*[]string, error) {
	for _, name := range names {
		if a.cfg.Auth[name].APIKey == nil {
			return nil, fmt.Errorf("--strategy: must be of the kind api_key: %s", strings.Join(apiKeyStrategies(a.cfg), ", "))
		}
	}
	if names == nil {
		return nil, nil
	}
	return &names, nil
}

// apiKeyStrategies returns the names of the strategies of the kind api_key.
func apiKeyStrategies(cfg *config.Config) []string {
	keys := maps.Clone(cfg.Auth)
	maps.DeleteFunc(keys, func(_ string, s config.Strategy) bool { return s.APIKey == nil })
	return slices.Sorted(maps.Keys(keys))
}

// parseGrant parses a grant in the form of a keys file.
func parseGrant(text string) (gen.Grant, error) {
	var line grant.Line
	err := strictyaml.Decode([]byte(text), &line)
	if err == nil {
		_, err = grant.Parse([]grant.Line{line}, "", nil)
	}
	if err != nil {
		return gen.Grant{}, err
	}
	g := gen.Grant{Owner: line.Owner, Deny: &line.Deny}
	for _, action := range line.Actions {
		g.Actions = append(g.Actions, string(action))
	}
	if line.Names != nil {
		g.Names = &line.Names
	}
	if !line.Until.IsZero() {
		until := line.Until.Format(time.RFC3339)
		g.Until = &until
	}
	return g, nil
}

func listAPIKeys(ctx context.Context, a *adminClient, _ []string) error {
	resp, err := a.ListApiKeysWithResponse(ctx)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error {
		return printTable(a, "ID|STATE|HOLDER|USER|MAY|STRATEGIES|LAST USED", *resp.JSON200, func(k gen.IssuedKey) []string {
			return []string{k.Id, stateOf(k), k.Subject, k.User, grantsOf(k), strings.Join(k.Strategies, ","), when(k.Used)}
		})
	})
}

func revokeAPIKey(ctx context.Context, a *adminClient, args []string) error {
	resp, err := a.RevokeApiKeyWithResponse(ctx, gen.RevokeApiKeyJSONRequestBody{Id: args[0]})
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.print(resp.Body, func() error { return a.printf("%s %s\n", resp.JSON200.Id, stateOf(*resp.JSON200)) })
}

// printNewKey writes the key, and nothing else, to standard output.
func (a *adminClient) printNewKey(k gen.NewKey) error {
	_, err := fmt.Fprintf(a.out.ErrOrStderr(), "key %s %s; it is shown only once:\n", k.Issued.Id, stateOf(k.Issued))
	return errors.Join(err, a.printf("%s\n", k.Key))
}

// stateOf describes whether the key works, and until or since when.
func stateOf(k gen.IssuedKey) string {
	switch {
	case k.Revoked != nil:
		return "was revoked " + when(k.Revoked)
	case k.Works && k.Ends == nil:
		return "works"
	case k.Works:
		return "works until " + when(k.Ends)
	case k.Reads != nil && k.ReadCount != nil && *k.ReadCount >= *k.Reads:
		return "was spent " + when(k.LastRead)
	default:
		return "ended " + when(k.Ends)
	}
}

func when(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// grantsOf summarizes the grants of a key, for example
//
//	list,reveal app/0f8fad5b-d9cb-469f-a165-70867728950e (db), not write app/*
func grantsOf(k gen.IssuedKey) string {
	var all []string
	for _, g := range k.Grants {
		text := strings.Join(g.Actions, ",") + " " + g.Owner
		if g.Deny != nil && *g.Deny {
			text = "not " + text
		}
		if g.Names != nil {
			text += " (" + strings.Join(*g.Names, ", ") + ")"
		}
		if g.Until != nil {
			text += " until " + *g.Until
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// readsOf formats the number of reads and the limit, as in "3 of 5".
func readsOf(k gen.IssuedKey) string {
	n := 0
	if k.ReadCount != nil {
		n = *k.ReadCount
	}
	text := strconv.Itoa(n)
	if k.Reads != nil {
		text += " of " + strconv.Itoa(*k.Reads)
	}
	return text
}
