package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
)

func importKubernetesCommand() *cobra.Command {
	var store, kubeconfig, inContext string
	c := adminCommand("kubernetes NAMESPACE/SECRET "+secretArgs, "Copy a Secret of a cluster", cobra.ExactArgs(3),
		func(ctx context.Context, a *adminClient, args []string) error {
			name, err := a.store(store)
			if err != nil {
				return err
			}
			data, err := readSecret(ctx, kubeconfig, inContext, args[0])
			if err != nil {
				return fmt.Errorf("reading %s: %w", args[0], err)
			}
			return a.importSecret(ctx, gen.SecretRef{Store: name, Owner: args[1], Name: args[2]}, data)
		})
	c.Long = `Copy a Secret of a cluster. It is read with your kubeconfig and not changed. OWNER is
user/<id> or app/<uuid>. An existing secret of this name is not changed either.`
	c.Example = `  strongroom secret import kubernetes shop/db app/0f8fad5b-d9cb-469f-a165-70867728950e db`
	storeFlag(c, &store)
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", "the kubeconfig `file` (default as for kubectl)")
	c.Flags().StringVar(&inContext, "context", "", "the `context` in the kubeconfig (default the current one)")
	return c
}

func readSecret(ctx context.Context, kubeconfig, inContext, path string) (map[string]secret.Value, error) {
	namespace, name, ok := strings.Cut(path, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return nil, errors.New("it must be NAMESPACE/SECRET")
	}
	cluster, err := kubernetes.FromKubeconfig(kubeconfig, inContext)
	if err != nil {
		return nil, err
	}
	return kubernetes.Foreign(ctx, cluster, "strongroom/"+version, namespace, name)
}

func (a *adminClient) importSecret(ctx context.Context, ref gen.SecretRef, data map[string]secret.Value) error {
	body := gen.ImportSecretJSONRequestBody{Store: ref.Store, Owner: ref.Owner, Name: ref.Name}
	isBase64 := true
	for _, key := range slices.Sorted(maps.Keys(data)) {
		value := base64.StdEncoding.EncodeToString([]byte(data[key]))
		body.Data = append(body.Data, gen.KeyValue{Key: key, Value: value, Base64: &isBase64})
	}
	resp, err := a.ImportSecretWithResponse(ctx, body)
	if err := refusal(resp, err); err != nil {
		return err
	}
	return a.printf("imported to %s as %q, with the keys %s\n", ref.Owner, ref.Name, strings.Join(resp.JSON200.Keys, ", "))
}
