// Command vaultapi reads secrets with HashiCorp's Go client and prints what it returns as JSON:
//
//	TOKEN=… vaultapi ADDRESS SECRET FOLDER MISSING
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/vault/api"
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "vaultapi:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, secret, folder, missing string) error {
	config := api.DefaultConfig()
	config.Address = address
	client, err := api.NewClient(config)
	if err != nil {
		return err
	}
	client.SetToken(os.Getenv("TOKEN"))
	kv := client.KVv2("secret")
	now, err := kv.Get(ctx, secret)
	if err != nil {
		return err
	}
	first, err := kv.GetVersion(ctx, secret, 1)
	if err != nil {
		return err
	}
	versions, err := kv.GetVersionsAsList(ctx, secret)
	if err != nil {
		return err
	}
	list, err := client.Logical().ListWithContext(ctx, "secret/metadata/"+folder)
	if err != nil {
		return err
	}
	self, err := client.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		return err
	}
	health, err := client.Sys().HealthWithContext(ctx)
	if err != nil {
		return err
	}
	_, missingErr := kv.Get(ctx, missing)
	_, writeErr := kv.Put(ctx, secret, map[string]any{"A": "b"})
	written, _ := errors.AsType[*api.ResponseError](writeErr)
	if written == nil {
		return fmt.Errorf("writing: %w", writeErr)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"data": now.Data, "version": now.VersionMetadata.Version, "first": first.Data, "versions": len(versions), "keys": list.Data["keys"],
		"subject": self.Data["display_name"], "sealed": health.Sealed,
		"missing": errors.Is(missingErr, api.ErrSecretNotFound), "write": written.StatusCode,
	})
}
