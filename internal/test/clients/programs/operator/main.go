// Command operator resolves the references of an ExternalSecret with the Vault provider of External
// Secrets Operator, and prints the resulting values as JSON. It reads a Secret, a SecretStore and an
// ExternalSecret from standard input, as a cluster would have them:
//
//	operator < vault.yaml
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	"github.com/external-secrets/external-secrets/pkg/provider/vault"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

const namespace = "default"

func run(ctx context.Context) error {
	var secret corev1.Secret
	var store esv1.SecretStore
	var wanted esv1.ExternalSecret
	docs := yaml.NewYAMLOrJSONDecoder(os.Stdin, 4096)
	for _, object := range []any{&secret, &store, &wanted} {
		if err := docs.Decode(object); err != nil {
			return err
		}
	}
	// The provider needs a cluster only for the Secret with the key.
	secret.Namespace, store.Namespace = namespace, namespace
	secret.Data = map[string][]byte{}
	for name, text := range secret.StringData {
		secret.Data[name] = []byte(text)
	}
	kube := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(&secret).Build()
	provider := &vault.Provider{NewVaultClient: vault.NewVaultClient}
	if _, err := provider.ValidateStore(&store); err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	secrets, err := provider.NewClient(ctx, &store, kube, namespace)
	if err != nil {
		return err
	}
	answer := map[string]any{"target": map[string]string{}}
	ready, err := secrets.Validate()
	answer["ready"] = fmt.Sprint(ready, " ", err)
	if err := resolve(ctx, secrets, wanted.Spec, answer["target"].(map[string]string)); err != nil {
		return err
	}
	_, err = secrets.GetSecret(ctx, esv1.ExternalSecretDataRemoteRef{Key: wanted.Spec.Data[0].RemoteRef.Key + "-missing"})
	answer["missing"] = errors.Is(err, esv1.NoSecretError{})
	if err := secrets.Close(ctx); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// resolve does what the operator does with spec.data and spec.dataFrom.
func resolve(ctx context.Context, secrets esv1.SecretsClient, spec esv1.ExternalSecretSpec, target map[string]string) error {
	for _, d := range spec.Data {
		value, err := secrets.GetSecret(ctx, d.RemoteRef)
		if err != nil {
			return fmt.Errorf("data %s: %w", d.SecretKey, err)
		}
		target[d.SecretKey] = string(value)
	}
	for _, from := range spec.DataFrom {
		var values map[string][]byte
		var err error
		switch {
		case from.Extract != nil:
			values, err = secrets.GetSecretMap(ctx, *from.Extract)
		case from.Find != nil:
			values, err = secrets.GetAllSecrets(ctx, *from.Find)
		}
		if err != nil {
			return fmt.Errorf("dataFrom: %w", err)
		}
		for name, value := range values {
			target[name] = string(value)
		}
	}
	return nil
}
