package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
)

// maxImport bounds a file that is imported, in bytes.
const maxImport = 64 << 20

func importCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "import", Short: "Take over secrets that others have kept", Args: cobra.NoArgs, RunE: showHelp,
	}
	c.AddCommand(importOpenHandsCommand(), importKubernetesCommand())
	return c
}

func importOpenHandsCommand() *cobra.Command {
	var store, user string
	c := adminCommand("openhands FILE", "Take over the secrets.json of OpenHands", cobra.ExactArgs(1),
		func(ctx context.Context, a *adminClient, args []string) error {
			name, err := a.store(store)
			if err != nil {
				return err
			}
			kept, err := readOpenHands(args[0])
			if err != nil {
				return fmt.Errorf("reading %s: %w", args[0], err)
			}
			return kept.importTo(ctx, a, name, user)
		})
	c.Long = `Take over the secrets.json of OpenHands, which it has in ~/.openhands unless told otherwise. Secrets
that are there already stay as they are, so it can be run again. Provider tokens, which OpenHands goes on
to look after itself, are kept aside, as secrets of user/<user>/provider-tokens.`
	c.Flags().StringVar(&store, "store", "", "`name` of the store, if the config has several")
	c.Flags().StringVar(&user, "user", apikey.DefaultUser, "whose secrets they become: the user of a keys file")
	return c
}

// An openHands is what OpenHands 0.53.0 keeps in its secrets.json:
//
//	{"provider_tokens":{"github":{"token":"ghp_x","host":null,"user_id":null}},"custom_secrets":{"API_KEY":{"secret":"v","description":""}}}
type openHands struct {
	secrets, tokens map[string]foreign
	unknown         []string // members that nobody knows here
}

// A foreign secret is one that is to be taken over, or what is wrong with it.
type foreign struct {
	description string
	data        map[string]string
	wrong       string
}

func readOpenHands(path string) (openHands, error) {
	f, err := safefile.Open(path, os.O_RDONLY)
	if err != nil {
		return openHands{}, errors.Unwrap(err) // without the path
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxImport+1))
	if err != nil {
		return openHands{}, err
	}
	if len(text) > maxImport {
		return openHands{}, errors.New("it has more than 64 MiB")
	}
	return parseOpenHands(text)
}

// importTo makes secrets of all that was read and says of each what became of
// it. It goes on after one that cannot be taken over.
func (o openHands) importTo(ctx context.Context, a *adminClient, store, user string) error {
	lost, err := a.importAll(ctx, store, secret.User(user), "secret", o.secrets)
	if err != nil {
		return err
	}
	more, err := a.importAll(ctx, store, secret.User(user+"/provider-tokens"), "provider token", o.tokens)
	if err != nil {
		return err
	}
	for _, name := range o.unknown {
		if err := a.printf("not looked at: %q\n", name); err != nil {
			return err
		}
	}
	if lost += more; lost > 0 {
		return fmt.Errorf("%d of %d were not imported", lost, len(o.secrets)+len(o.tokens))
	}
	if len(o.secrets)+len(o.tokens) == 0 {
		return a.printf("there is nothing in it to take over\n")
	}
	return a.printf("the file still has the values as plain text, also of what was there already: delete it when nobody needs it any more\n")
}

// importAll returns how many could not be taken over.
func (a *adminClient) importAll(ctx context.Context, store string, owner secret.Owner, kind string, all map[string]foreign) (lost int, err error) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		outcome, taken, err := a.importOne(ctx, gen.SecretRef{Store: store, Owner: owner.String(), Name: name}, all[name])
		if err != nil {
			return lost, err
		}
		if !taken {
			lost++
		}
		if err := a.printf("%s %q: %s\n", kind, name, outcome); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// importOne returns what became of it, and an error where going on is of no use.
func (a *adminClient) importOne(ctx context.Context, ref gen.SecretRef, f foreign) (outcome string, taken bool, err error) {
	if f.wrong != "" {
		return "not imported: " + f.wrong, false, nil
	}
	body := gen.ImportSecretJSONRequestBody{Store: ref.Store, Owner: ref.Owner, Name: ref.Name, Description: f.description}
	for _, key := range slices.Sorted(maps.Keys(f.data)) {
		body.Data = append(body.Data, gen.KeyValue{Key: key, Value: f.data[key]})
	}
	resp, err := a.ImportSecretWithResponse(ctx, body)
	if err != nil {
		return "", false, err
	}
	switch refused := refusal(resp, nil); {
	case refused == nil:
		return "imported to " + ref.Owner + warnings(f.data[custom.ValueKey]), true, nil
	case resp.StatusCode() == http.StatusConflict:
		return "is there already, and stays as it is", true, nil
	case resp.StatusCode() == http.StatusBadRequest, resp.StatusCode() == http.StatusRequestEntityTooLarge:
		return "not imported: " + refused.Error(), false, nil
	default:
		return "", false, refused
	}
}

func warnings(value string) string {
	reasons := secret.Suspicions(secret.Value(value))
	if len(reasons) == 0 {
		return ""
	}
	return "; its value " + strings.Join(reasons, " and ")
}
