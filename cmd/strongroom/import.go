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

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
)

// maxImport is the size limit of an imported file, in bytes.
const maxImport = 64 << 20

func secretImportCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "import", Short: "Copy secrets from OpenHands or from a cluster", Example: `  strongroom secret import openhands ~/.openhands/secrets.json`, Args: noArgs, RunE: showHelp,
	}
	c.AddCommand(importOpenHandsCommand(), importKubernetesCommand())
	return c
}

func importOpenHandsCommand() *cobra.Command {
	var store, user string
	var keyFiles []string
	c := adminCommand("openhands FILE", "Import the secrets.json of OpenHands", cobra.ExactArgs(1),
		func(ctx context.Context, a *adminClient, args []string) error {
			name, err := a.store(store)
			if err != nil {
				return err
			}
			cipher, err := readSecretKeys(keyFiles)
			if err != nil {
				return err
			}
			kept, err := cipher.readOpenHands(args[0])
			if err != nil {
				return fmt.Errorf("reading %s: %w", args[0], err)
			}
			return kept.importTo(ctx, a, name, user)
		})
	c.Long = `Import the secrets.json of OpenHands, which is in ~/.openhands by default. Existing secrets are not changed, so the
import can be repeated. Provider tokens, which OpenHands keeps managing itself, become secrets of
user/<user>/provider-tokens.

OpenHands' agent server encrypts the values in this file under OH_SECRET_KEY, which it keeps in
~/.openhands/agent-canvas/secret-key.txt. Name that file with --secret-key-file.`
	c.Example = `  strongroom secret import openhands ~/.openhands/secrets.json
  strongroom secret import openhands ~/.openhands/secrets.json --user alice --secret-key-file ~/.openhands/agent-canvas/secret-key.txt`
	storeFlag(c, &store)
	c.Flags().StringVar(&user, "user", apikey.DefaultUser, "`user` that gets the secrets, as named in a keys file")
	c.Flags().StringArrayVar(&keyFiles, "secret-key-file", nil, "`file` with OH_SECRET_KEY, and earlier keys (OH_PREVIOUS_SECRET_KEYS) on lines of their own; can be repeated")
	return c
}

// An openHands is the content of OpenHands' secrets.json. Since November 2026 the file
// usually belongs to the agent server: its values are Fernet tokens, and it has no
// provider tokens:
//
//	{"provider_tokens":{"github":{"token":"ghp_x","host":null,"user_id":null}},"custom_secrets":{"API_KEY":{"secret":"v","description":""}}}
type openHands struct {
	secrets, tokens map[string]foreign
	unknown         []string // unknown members
}

// A foreign secret is a secret to import, or the reason why it cannot be imported.
type foreign struct {
	description string
	data        map[string]string
	wrong       string
}

func (c openHandsCipher) readOpenHands(path string) (openHands, error) {
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
	return c.parseOpenHands(text)
}

// An outcome counts the results of importing the secrets of a file.
type outcome struct{ imported, present, lost int }

// importTo creates the secrets and prints the result of each. It continues after a
// secret that cannot be imported.
func (o openHands) importTo(ctx context.Context, a *adminClient, store, user string) error {
	var total outcome
	if err := a.importAll(ctx, store, secret.User(user), "secret", o.secrets, &total); err != nil {
		return err
	}
	if err := a.importAll(ctx, store, secret.User(user+"/provider-tokens"), "provider token", o.tokens, &total); err != nil {
		return err
	}
	for _, name := range o.unknown {
		if err := a.printf("unknown member, not imported: %q\n", name); err != nil {
			return err
		}
	}
	if total.lost > 0 {
		return fmt.Errorf("%d of %d were not imported: keep the file", total.lost, len(o.secrets)+len(o.tokens))
	}
	return a.printf("%s\n", o.advice(total))
}

// advice says whether the file can be deleted: only if every secret was imported, because
// a secret that already existed may have a different value.
func (o openHands) advice(total outcome) string {
	switch {
	case len(o.unknown) > 0:
		return "keep the file: it has members that were not imported"
	case total.present > 0:
		return "the file still has the values: before you delete it, check the values of the secrets that already existed"
	case total.imported > 0:
		return "the file still has the values: delete it when nothing needs it any more"
	}
	return "the file has nothing to import"
}

// importAll adds the results to the total.
func (a *adminClient) importAll(ctx context.Context, store string, owner secret.Owner, kind string, all map[string]foreign, total *outcome) error {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		said, err := a.importOne(ctx, gen.SecretRef{Store: store, Owner: owner.String(), Name: name}, all[name], total)
		if err != nil {
			return err
		}
		if err := a.printf("%s %q: %s\n", kind, name, said); err != nil {
			return err
		}
	}
	return nil
}

// importOne prints the result, and returns an error if the import cannot continue.
func (a *adminClient) importOne(ctx context.Context, ref gen.SecretRef, f foreign, total *outcome) (said string, err error) {
	if f.wrong != "" {
		total.lost++
		return "not imported: " + f.wrong, nil
	}
	body := gen.ImportSecretJSONRequestBody{Store: ref.Store, Owner: ref.Owner, Name: ref.Name, Description: f.description}
	for _, key := range slices.Sorted(maps.Keys(f.data)) {
		body.Data = append(body.Data, gen.KeyValue{Key: key, Value: f.data[key]})
	}
	resp, err := a.ImportSecretWithResponse(ctx, body)
	if err != nil {
		return "", err
	}
	switch refused := refusal(resp, nil); {
	case refused == nil:
		total.imported++
		return "imported to " + ref.Owner + warnings(ref.Name, f.data[custom.ValueKey]), nil
	case resp.StatusCode() == http.StatusConflict:
		total.present++
		return "already exists and is not changed", nil
	case resp.StatusCode() == http.StatusBadRequest, resp.StatusCode() == http.StatusRequestEntityTooLarge:
		total.lost++
		return "not imported: " + refused.Error(), nil
	default:
		return "", refused
	}
}

func warnings(name, value string) (text string) {
	for _, reason := range secret.NameSuspicions(name) {
		text += "; its name " + reason
	}
	for _, reason := range secret.Suspicions(secret.Value(value)) {
		text += "; its value " + reason
	}
	return text
}
